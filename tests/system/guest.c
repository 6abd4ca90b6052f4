/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/system/guest.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COMMAND_MS 60000

char said[65536], refusal[128], refusal_text[512];
const char *share;
unsigned int boot;

static unsigned int lines, bad;

/* ---- results -------------------------------------------------------------------------------------- */

uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

bool ok(bool good, const char *fmt, ...)
{
	static uint64_t last;
	uint64_t now = now_ms();
	va_list ap;

	printf("%sok %u - ", good ? "" : "not ", ++lines);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	/* how long it took since the line before, and when it was since the kernel started */
	printf(" (%" PRIu64 " ms, at %" PRIu64 ".%" PRIu64 " s)\n", last ? now - last : 0, now / 1000,
	       now / 100 % 10);
	last = now;
	if (!good) {
		bad++;
		if (refusal[0])
			printf("#   last refusal: %s: %s\n", refusal, refusal_text);
		if (said[0])
			note_text(said);
	}
	fflush(stdout);
	said[0] = '\0';
	return good;
}

void note(const char *fmt, ...)
{
	va_list ap;

	fputs("# ", stdout);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
}

void note_text(const char *text)
{
	while (*text) {
		size_t n = strcspn(text, "\n");

		printf("#   %.*s\n", (int)n, text);
		text += n + (text[n] == '\n');
	}
	fflush(stdout);
}

unsigned int failed(void)
{
	return bad;
}

void die(const char *what, const char *which)
{
	printf("not ok %u - %s: %s\n", ++lines, what, which ? which : strerror(errno));
	fflush(stdout);
	exit(99);
}

void leave(void)
{
	char path[256];
	FILE *f;

	if (bad)
		(void)sh("journalctl -b -o short-monotonic --no-pager >%s/journal.txt", share);

	snprintf(path, sizeof(path), "%s/done", share);
	f = fopen(path, "we");
	if (!f || fprintf(f, "%u\n", lines) < 0 || fclose(f))
		die(path, NULL);
}

void rest(int ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };

	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		;
}

bool until(int timeout_ms, bool (*pred)(void *arg), void *arg)
{
	uint64_t end = now_ms() + (uint64_t)timeout_ms;

	for (;;) {
		if (pred(arg))
			return true;
		if (now_ms() >= end)
			return false;
		rest(20);
	}
}

/* ---- commands ------------------------------------------------------------------------------------- */

static pid_t spawn(const char *user, const char *line, int out)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork", NULL);
	if (!pid) {
		int null = open("/dev/null", O_RDONLY);

		setpgid(0, 0);
		if (dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
			_exit(126);
		if (user)
			execl("/usr/sbin/runuser", "runuser", "-u", user, "--", "sh", "-c", line,
			      (char *)NULL);
		else
			execl("/bin/sh", "sh", "-c", line, (char *)NULL);
		_exit(127);
	}
	return pid;
}

static int status_of(int status)
{
	return WIFSIGNALED(status) ? 256 + WTERMSIG(status) : WEXITSTATUS(status);
}

int sh_wait(pid_t pid, int timeout_ms)
{
	uint64_t end = now_ms() + (uint64_t)timeout_ms;
	int status;

	while (waitpid(pid, &status, WNOHANG) != pid) {
		if (now_ms() >= end)
			return -1;
		rest(5);
	}
	return status_of(status);
}

__attribute__((format(printf, 2, 0))) static int run(const char *user, const char *fmt, va_list ap)
{
	char line[2048];
	int out[2], status = -1;
	size_t n = 0;
	ssize_t r = 1;
	uint64_t end = now_ms() + COMMAND_MS;
	pid_t pid;

	vsnprintf(line, sizeof(line), fmt, ap);
	if (pipe2(out, O_CLOEXEC) < 0)
		die("pipe", NULL);
	pid = spawn(user, line, out[1]);
	close(out[1]);
	while (r > 0 && now_ms() < end) {
		struct pollfd fd = { .fd = out[0], .events = POLLIN };
		char spill[4096];

		if (poll(&fd, 1, 500) <= 0)
			continue;
		r = n < sizeof(said) - 1 ? read(out[0], said + n, sizeof(said) - 1 - n)
					 : read(out[0], spill, sizeof(spill));
		if (r > 0 && n < sizeof(said) - 1)
			n += (size_t)r;
	}
	close(out[0]);
	said[n] = '\0';
	if (n && said[n - 1] == '\n')
		said[n - 1] = '\0';
	if (r == 0)
		status = sh_wait(pid, COMMAND_MS);
	if (status == -1) {
		kill(-pid, SIGKILL);
		(void)sh_wait(pid, 1000);
	}
	return status;
}

int sh(const char *fmt, ...)
{
	va_list ap;
	int status;

	va_start(ap, fmt);
	status = run(NULL, fmt, ap);
	va_end(ap);
	return status;
}

int sh_as(const char *user, const char *fmt, ...)
{
	va_list ap;
	int status;

	va_start(ap, fmt);
	status = run(user, fmt, ap);
	va_end(ap);
	return status;
}

pid_t sh_start(const char *file, const char *fmt, ...)
{
	char line[2048];
	va_list ap;
	pid_t pid;
	int out = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (out < 0)
		die("open", file);
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	pid = spawn(NULL, line, out);
	close(out);
	return pid;
}

const char *slurp(const char *fmt, ...)
{
	static char text[65536];
	char path[512];
	va_list ap;
	ssize_t n;
	int fd;

	va_start(ap, fmt);
	vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	text[0] = '\0';
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return text;
	n = read(fd, text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = '\0';
	close(fd);
	return text;
}

/* ---- the bus -------------------------------------------------------------------------------------- */

sd_bus *bus(void)
{
	static sd_bus *connection;
	int r = 0;

	if (!connection)
		r = sd_bus_open_system(&connection);
	if (r < 0)
		die("system bus", strerror(-r));
	/* signals that nobody waits for */
	while (sd_bus_process(connection, NULL) > 0)
		;
	return connection;
}

static char *ring(void)
{
	static char text[8][512];
	static unsigned int next;

	return text[next++ % 8];
}

static bool send_call(sd_bus_message *message, int timeout_ms, sd_bus_message **reply)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	int r = sd_bus_call(bus(), message, (uint64_t)timeout_ms * 1000, &error, reply);

	refusal[0] = refusal_text[0] = '\0';
	if (r < 0) {
		snprintf(refusal, sizeof(refusal), "%s", error.name ? error.name : strerror(-r));
		snprintf(refusal_text, sizeof(refusal_text), "%s", error.message ? error.message : "");
	}
	sd_bus_error_free(&error);
	return r >= 0;
}

bool call(sd_bus_message **reply, const char *path, const char *iface, const char *member, const char *types,
	  ...)
{
	sd_bus_message *message = NULL;
	va_list ap;
	bool good;
	int r;

	/* of a job that was refused, say: that it was is told already */
	if (!path || path[0] != '/')
		return false;
	r = sd_bus_message_new_method_call(bus(), &message, FDLD, path, iface, member);

	va_start(ap, types);
	if (r >= 0 && types)
		r = sd_bus_message_appendv(message, types, ap);
	va_end(ap);
	if (r < 0)
		die(member, strerror(-r));
	good = send_call(message, 30000, reply);
	sd_bus_message_unref(message);
	return good;
}

static void as_text(sd_bus_message *m, char type, char *out, size_t room)
{
	union {
		const char *s;
		uint64_t t;
		uint32_t u;
		uint16_t q;
		int b;
		double d;
	} v;

	if (sd_bus_message_read_basic(m, type, &v) < 0)
		return;
	switch (type) {
	case 's':
	case 'o': snprintf(out, room, "%s", v.s); break;
	case 't': snprintf(out, room, "%" PRIu64, v.t); break;
	case 'u': snprintf(out, room, "%" PRIu32, v.u); break;
	case 'q': snprintf(out, room, "%u", v.q); break;
	case 'b': snprintf(out, room, "%s", v.b ? "true" : "false"); break;
	case 'd': snprintf(out, room, "%.6g", v.d); break;
	default: break;
	}
}

static sd_bus_message *read_property(const char *path, const char *iface, const char *name)
{
	sd_bus_message *reply = NULL;

	if (!call(&reply, path, "org.freedesktop.DBus.Properties", "Get", "ss", iface, name))
		return NULL;
	return reply;
}

const char *get(const char *path, const char *iface, const char *name)
{
	sd_bus_message *m = read_property(path, iface, name);
	const char *type;
	char *out = ring();

	strcpy(out, "?");
	if (m && sd_bus_message_peek_type(m, NULL, &type) > 0 && !type[1] &&
	    sd_bus_message_enter_container(m, 'v', type) > 0)
		as_text(m, type[0], out, 512);
	sd_bus_message_unref(m);
	return out;
}

const char *get_in(const char *path, const char *iface, const char *name, const char *key)
{
	sd_bus_message *m = read_property(path, iface, name);
	const char *type, *k;
	char *out = ring();

	strcpy(out, "?");
	if (m && sd_bus_message_enter_container(m, 'v', "a{sv}") > 0 &&
	    sd_bus_message_enter_container(m, 'a', "{sv}") > 0)
		while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
			if (sd_bus_message_read_basic(m, 's', &k) < 0 ||
			    sd_bus_message_peek_type(m, NULL, &type) < 0)
				break;
			if (!strcmp(k, key) && !type[1] && sd_bus_message_enter_container(m, 'v', type) > 0) {
				as_text(m, type[0], out, 512);
				break;
			}
			if (sd_bus_message_skip(m, "v") < 0 || sd_bus_message_exit_container(m) < 0)
				break;
		}
	sd_bus_message_unref(m);
	return out;
}

bool expect(int timeout_ms, const char *path, const char *iface, const char *name, const char *value)
{
	uint64_t end = now_ms() + (uint64_t)timeout_ms;

	for (;;) {
		if (!strcmp(get(path, iface, name), value))
			return true;
		if (now_ms() >= end)
			return false;
		rest(20);
	}
}

const char *unit(const char *name)
{
	char *out = ring();

	strcpy(out, "?");
	/* one command less than through systemctl's own pager logic, and no escaping of bus paths */
	if (sh("systemctl show --value -p %s " UNIT, name) == 0)
		snprintf(out, 512, "%.500s", said);
	said[0] = '\0';
	return out;
}

pid_t daemon_pid(void)
{
	return (pid_t)strtol(unit("MainPID"), NULL, 10);
}

bool unit_is(int timeout_ms, const char *state)
{
	uint64_t end = now_ms() + (uint64_t)timeout_ms;

	for (;;) {
		if (!strcmp(unit("ActiveState"), state))
			return true;
		if (now_ms() >= end)
			return false;
		rest(50);
	}
}

/* ---- jobs ----------------------------------------------------------------------------------------- */

const char *flash(struct guest_phone *p, const char *types, ...)
{
	static char jobs[16][64];
	static unsigned int next;
	sd_bus_message *message = NULL, *reply = NULL;
	const char *path;
	char *out = NULL;
	va_list ap;
	int fd = open(p->pac, O_RDONLY | O_CLOEXEC), r;

	if (fd < 0)
		die("open", p->pac);
	r = sd_bus_message_new_method_call(bus(), &message, FDLD, p->slot, SLOT, "Flash");
	if (r >= 0)
		r = sd_bus_message_append(message, "h", fd);
	close(fd);
	va_start(ap, types);
	if (r >= 0)
		r = sd_bus_message_appendv(message, types ? types : "a{sv}", ap);
	va_end(ap);
	if (r < 0)
		die("Flash", strerror(-r));
	if (send_call(message, 60000, &reply) && sd_bus_message_read(reply, "o", &path) > 0) {
		out = jobs[next++ % 16];
		snprintf(out, sizeof(jobs[0]), "%s", path);
	}
	sd_bus_message_unref(reply);
	sd_bus_message_unref(message);
	return out;
}

const char *outcome(const char *job, int timeout_ms)
{
	sd_bus_message *message = NULL, *reply = NULL;
	char *out = ring();
	int r;

	if (!job)
		return "no job";
	r = sd_bus_message_new_method_call(bus(), &message, FDLD, job, JOB, "Wait");
	if (r < 0)
		die("Wait", strerror(-r));
	out[0] = '\0';
	if (!send_call(message, timeout_ms, &reply))
		snprintf(out, 512, "%.120s", refusal[0] ? refusal : "timeout");
	sd_bus_message_unref(reply);
	sd_bus_message_unref(message);
	return out;
}
