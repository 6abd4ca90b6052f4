/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/bus/ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/error.h"

char ctl_out[1024 * 1024], ctl_err[16 * 1024];

static size_t read_file(const char *path, char *to, size_t room)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, to, room - 1);

	if (fd >= 0)
		close(fd);
	to[n > 0 ? n : 0] = 0;
	return n > 0 ? (size_t)n : 0;
}

int ctl(struct rig *rig, int timeout_ms, const char *fmt, ...)
{
	char args[1024], command[1400], errors[128];
	va_list ap;
	int status;

	va_start(ap, fmt);
	vsnprintf(args, sizeof(args), fmt, ap);
	va_end(ap);
	snprintf(errors, sizeof(errors), "%s/fdlctl.err", rig->dir);
	snprintf(command, sizeof(command), "exec %s/fdlctl %s 2>%s", rig->build, args, errors);
	status = bed_sh(rig->bed, rig_patience(timeout_ms), ctl_out, sizeof(ctl_out), command);
	read_file(errors, ctl_err, sizeof(ctl_err));
	if (getenv("CTL_SHOW"))
		printf("# fdlctl %s: 0x%x\n%s%s", args, (unsigned int)status, ctl_out, ctl_err);
	return status != -1 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int ctl_code(const char *error)
{
	enum error_id id = error_by_name(error);

	return id == ERR_NONE ? 0 : error_entry(id)->exit_code;
}

json_object *ctl_line(int n)
{
	const char *p = ctl_out, *last = NULL, *end;
	json_object *value;
	char *line;

	for (int i = 0; *p; i++) {
		end = strchrnul(p, '\n');
		last = p;
		if (i == n)
			break;
		p = *end ? end + 1 : end;
	}
	if (!last || (n >= 0 && last != p))
		return NULL;
	line = strndup(last, (size_t)(strchrnul(last, '\n') - last));
	value = line ? json_tokener_parse(line) : NULL;
	free(line);
	return value;
}

bool ctl_json(void)
{
	size_t len = strlen(ctl_out);
	int lines = 0;

	for (const char *p = ctl_out; *p; p = strchr(p, '\n') + 1) {
		json_object *value;

		if (!strchr(p, '\n'))
			return false;
		value = ctl_line(lines++);
		if (!value)
			return false;
		json_object_put(value);
	}
	return lines && ctl_out[len - 1] == '\n';
}

bool ctl_both(struct rig *rig, int code, const char *args)
{
	int got = ctl(rig, 20000, "%s", args);

	if (got != code) {
		tap_note("%s: exit %d instead of %d: %s%s", args, got, code, ctl_out, ctl_err);
		return false;
	}
	if (code && code != ctl_code("Cancelled") && !ctl_err[0] && !ctl_out[0]) {
		tap_note("%s: nothing said", args);
		return false;
	}
	got = ctl(rig, 20000, "--json %s", args);
	if (got != code || !ctl_json()) {
		tap_note("--json %s: exit %d instead of %d, or no JSON: %s%s", args, got, code, ctl_out,
			 ctl_err);
		return false;
	}
	return true;
}

const char *ctl_str(int n, const char *path)
{
	static char text[1024];
	json_object *value = ctl_line(n), *at = value;
	char *copy = strdup(path), *save = NULL;

	for (char *p = strtok_r(copy, ".", &save); p && at; p = strtok_r(NULL, ".", &save))
		if (!json_object_object_get_ex(at, p, &at))
			at = NULL;
	snprintf(text, sizeof(text), "%s",
		 !at ? ""
		 : json_object_is_type(at, json_type_string)
			 ? json_object_get_string(at)
			 : json_object_to_json_string_ext(at, JSON_C_TO_STRING_NOSLASHESCAPE));
	free(copy);
	json_object_put(value);
	return text;
}

/* ---- left running ---------------------------------------------------------------------------------- */

static void split(struct rig *rig, char *text, size_t size, const char *args, char **argv, size_t max)
{
	size_t n = 0;
	char *save = NULL;

	snprintf(text, size, "%s/fdlctl %s", rig->build, args);
	for (char *p = strtok_r(text, " ", &save); p && n + 1 < max; p = strtok_r(NULL, " ", &save))
		argv[n++] = p;
	argv[n] = NULL;
}

void ctl_start(struct rig *rig, struct ctl_run *run, const char *args)
{
	static unsigned int serial;
	char text[1024], *argv[32];

	memset(run, 0, sizeof(*run));
	run->master = -1;
	snprintf(run->file, sizeof(run->file), "%s/fdlctl.%u", rig->dir, ++serial);
	split(rig, text, sizeof(text), args, argv, 32);
	run->pid = bed_start(rig->bed, argv, run->file);
}

static void on_terminal(struct ctl_run *run, char **argv, const char *env)
{
	struct winsize size = { .ws_row = 25, .ws_col = 100 };

	memset(run, 0, sizeof(*run));
	fflush(stdout);
	run->pid = forkpty(&run->master, NULL, NULL, &size);
	if (run->pid < 0) {
		perror("forkpty");
		exit(99);
	}
	if (!run->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		setenv("TERM", "xterm", 1);
		unsetenv("NO_COLOR");
		if (env)
			putenv((char *)(uintptr_t)env);
		execvp(argv[0], argv);
		_exit(127);
	}
	fcntl(run->master, F_SETFL, O_NONBLOCK);
	fcntl(run->master, F_SETFD, FD_CLOEXEC);
}

void ctl_start_tty(struct rig *rig, struct ctl_run *run, const char *env, const char *args)
{
	char text[1024], *argv[32];

	split(rig, text, sizeof(text), args, argv, 32);
	on_terminal(run, argv, env);
}

void ctl_start_bash(struct ctl_run *run)
{
	char *argv[] = { (char[]){ "bash" }, (char[]){ "--norc" }, (char[]){ "--noprofile" },
			 (char[]){ "-i" }, NULL };

	on_terminal(run, argv, NULL);
}

bool ctl_type(struct ctl_run *run, const char *keys)
{
	return write(run->master, keys, strlen(keys)) == (ssize_t)strlen(keys);
}

static void hear(struct ctl_run *run)
{
	ssize_t n;

	if (run->master < 0) {
		run->len = read_file(run->file, run->text, sizeof(run->text));
		return;
	}
	while (run->len + 1 < sizeof(run->text) &&
	       (n = read(run->master, run->text + run->len, sizeof(run->text) - 1 - run->len)) > 0)
		run->len += (size_t)n;
	run->text[run->len] = 0;
}

bool ctl_said(struct ctl_run *run, const char *word)
{
	hear(run);
	return strstr(run->text, word) != NULL;
}

struct saying {
	struct ctl_run *run;
	const char *word;
};

static bool said(void *arg)
{
	struct saying *s = arg;

	return ctl_said(s->run, s->word);
}

bool ctl_says(struct rig *rig, struct ctl_run *run, const char *word, int timeout_ms)
{
	struct saying s = { run, word };

	if (rig_until(rig, timeout_ms, said, &s))
		return true;
	tap_note("waited for '%s', it said: %s", word, run->text);
	return false;
}

struct ending {
	struct ctl_run *run;
	int status;
};

static bool ended(void *arg)
{
	struct ending *e = arg;

	hear(e->run); /* a full terminal would hold it */
	return waitpid(e->run->pid, &e->status, WNOHANG) == e->run->pid;
}

int ctl_wait(struct rig *rig, struct ctl_run *run, int timeout_ms)
{
	struct ending e = { run, 0 };
	bool over = rig_until(rig, timeout_ms, ended, &e);

	if (!over) {
		kill(run->pid, SIGKILL);
		waitpid(run->pid, NULL, 0);
	}
	hear(run);
	if (run->master >= 0)
		close(run->master);
	run->master = -1;
	if (!over)
		return -1;
	return WIFSIGNALED(e.status) ? 256 + WTERMSIG(e.status) : WEXITSTATUS(e.status);
}
