/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/remote.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/util.h"

#define BRIDGE	 "systemd-stdio-bridge"
#define HOST_MAX 300u
/* how long ssh may take to end once its work is over, in steps of 10 ms */
#define END_STEPS 300

/* What ssh and the remote shell answer with by themselves. */
enum { SSH_FAILED = 255, SHELL_NOT_FOUND = 127, SHELL_NOT_RUN = 126 };

struct place {
	char host[HOST_MAX]; /* with USER@, without brackets */
	char port[8];	     /* empty: ssh's own choice */
};

static bool is_port(const char *text)
{
	size_t digits = strspn(text, "0123456789");

	return digits && digits <= 5 && !text[digits] && atoi(text) > 0 && atoi(text) <= 65535;
}

static bool split(const char *text, struct place *p)
{
	const char *at = strrchr(text, '@'), *name = at ? at + 1 : text, *end, *port = NULL;
	size_t user = (size_t)(name - text);

	*p = (struct place){ 0 };
	/* one word that neither ssh nor a terminal takes for something else */
	for (const char *c = text; *c; c++)
		if (!isgraph((unsigned char)*c))
			return false;
	if (*text == '-' || *text == '@' || *name == '-' || strlen(text) >= sizeof(p->host))
		return false;
	if (*name == '[') {
		end = strchr(++name, ']');
		if (!end || (end[1] && end[1] != ':'))
			return false;
		port = end[1] ? end + 2 : NULL;
	} else {
		end = strchrnul(name, ':');
		port = *end ? end + 1 : NULL;
	}
	if (end == name || (port && !is_port(port)))
		return false;
	snprintf(p->host, sizeof(p->host), "%.*s%.*s", (int)user, text, (int)(end - name), name);
	snprintf(p->port, sizeof(p->port), "%s", port ? port : "");
	return true;
}

bool remote_valid(const char *host)
{
	struct place p;

	return split(host, &p);
}

/* ---- ssh ----------------------------------------------------------------------------- */

static void arguments(const struct client *c, const struct place *p, const char **argv)
{
	size_t n = 0;

	argv[n++] = "ssh";
	argv[n++] = "-xT";
	/* a machine that has gone is noticed */
	argv[n++] = "-oServerAliveInterval=15";
	if (c->no_ask || c->in_a_hurry)
		argv[n++] = "-oBatchMode=yes";
	if (c->in_a_hurry)
		argv[n++] = "-oConnectTimeout=2";
	if (*p->port) {
		argv[n++] = "-p";
		argv[n++] = p->port;
	}
	argv[n++] = "--";
	argv[n++] = p->host;
	argv[n++] = BRIDGE;
	argv[n] = NULL;
}

/* In the child; failed: takes the errno if there is no ssh. */
static _Noreturn void become_ssh(const char **argv, int wire, int said, int failed, pid_t parent)
{
	int err;

	/* it is of no use without us; and the key that asks for a job's end must not cut the wire */
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != parent)
		_exit(SSH_FAILED);
	signal(SIGINT, SIG_IGN);
	if (dup2(wire, STDIN_FILENO) >= 0 && dup2(wire, STDOUT_FILENO) >= 0 && dup2(said, STDERR_FILENO) >= 0)
		execvp(argv[0], (char **)(uintptr_t)argv);
	err = errno;
	if (write(failed, &err, sizeof(err)) < 0)
		_exit(SSH_FAILED);
	_exit(SHELL_NOT_RUN);
}

/* Returns our end of the wire, or a negative errno. */
static int start(struct client *c, const struct place *p)
{
	const char *argv[16];
	_cleanup_close_ int wire = -1, theirs = -1, failed = -1, tell = -1;
	int pair[2], err = 0;
	pid_t self = getpid();

	arguments(c, p, argv);
	c->ssh_said = memfd_create("ssh", MFD_CLOEXEC);
	if (c->ssh_said < 0 || fcntl(c->ssh_said, F_SETFL, O_APPEND) < 0)
		return -errno;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	wire = pair[0];
	theirs = pair[1];
	if (pipe2(pair, O_CLOEXEC) < 0)
		return -errno;
	failed = pair[0];
	tell = pair[1];
	fflush(NULL);
	c->ssh = fork();
	if (c->ssh < 0) {
		c->ssh = 0;
		return -errno;
	}
	if (!c->ssh)
		become_ssh(argv, theirs, c->ssh_said, tell, self);
	close(TAKE_FD(tell));
	if (read(failed, &err, sizeof(err)) == sizeof(err)) {
		c->ssh_missing = true;
		return err ? -err : -ENOENT;
	}
	return TAKE_FD(wire);
}

/* Waits for its end, and makes one if it takes too long. -1: it was not running. */
static int end(struct client *c)
{
	int status = -1;
	pid_t got = 0;

	if (!c->ssh)
		return -1;
	for (int i = 0; i < END_STEPS && !got; i++) {
		got = waitpid(c->ssh, &status, WNOHANG);
		if (!got)
			usleep(10000);
	}
	if (!got) {
		kill(c->ssh, SIGKILL);
		(void)waitpid(c->ssh, &status, 0);
	}
	c->ssh = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : SSH_FAILED;
}

void remote_close(struct client *c)
{
	if (c->ssh) {
		kill(c->ssh, SIGTERM);
		(void)end(c);
	}
	if (c->ssh_said > 0)
		close(c->ssh_said);
	c->ssh_said = -1;
}

int remote_open(struct client *c)
{
	struct place p;
	const char *name;
	int wire, r;

	remote_close(c);
	c->ssh_missing = false;
	c->ssh_status = -1;
	if (!split(c->host, &p))
		return -EINVAL;
	wire = start(c, &p);
	if (wire < 0) {
		c->ssh_status = end(c);
		return wire;
	}
	r = sd_bus_new(&c->bus);
	if (r < 0) {
		close(wire);
	} else {
		r = sd_bus_set_fd(c->bus, wire, wire);
		if (r >= 0)
			r = sd_bus_set_bus_client(c->bus, true);
		/* between ssh and the bridge they would get lost, and the connection with them */
		if (r >= 0)
			r = sd_bus_negotiate_fds(c->bus, 0);
		if (r >= 0)
			r = sd_bus_start(c->bus);
		if (r >= 0)
			r = sd_bus_get_unique_name(c->bus, &name); /* waits for the bus */
	}
	if (r >= 0)
		return 0;
	c->bus = sd_bus_close_unref(c->bus);
	c->ssh_status = end(c);
	return r;
}

/* The last line that ssh, or a program it ran, has written to standard error. */
static void last_words(const struct client *c, char *buf, size_t size)
{
	char text[2048];
	off_t all = c->ssh_said < 0 ? 0 : lseek(c->ssh_said, 0, SEEK_END);
	off_t from = all > (off_t)sizeof(text) - 1 ? all - (off_t)sizeof(text) + 1 : 0;
	ssize_t n = all > 0 ? pread(c->ssh_said, text, sizeof(text) - 1, from) : 0;
	char *line;

	while (n > 0 && isspace((unsigned char)text[n - 1]))
		n--;
	text[MAX(n, 0)] = '\0';
	line = strrchr(text, '\n');
	snprintf(buf, size, "%s", line ? line + 1 : text);
}

const char *remote_why(const struct client *c, int r, char *buf, size_t size)
{
	char said[160];

	last_words(c, said, sizeof(said));
	if (!*said)
		snprintf(said, sizeof(said), "%s", strerror(-r));
	if (c->ssh_missing)
		snprintf(buf, size, _("ssh cannot be started: %s"), strerror(-r));
	else if (c->ssh_status == SSH_FAILED)
		snprintf(buf, size, _("'ssh %.60s' failed: %s"), c->host, said);
	else if (c->ssh_status == SHELL_NOT_FOUND || c->ssh_status == SHELL_NOT_RUN)
		snprintf(buf, size, _("%.60s has no systemd-stdio-bridge, a part of systemd: %s"), c->host,
			 said);
	else
		snprintf(buf, size, _("'ssh %.60s systemd-stdio-bridge' ended: %s"), c->host, said);
	return buf;
}
