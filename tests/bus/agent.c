/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/bus/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define POLKIT	    "org.freedesktop.PolicyKit1"
#define AUTHORITY   "/org/freedesktop/PolicyKit1/Authority"
#define AUTHORITY_I "org.freedesktop.PolicyKit1.Authority"
#define AGENT_I	    "org.freedesktop.PolicyKit1.AuthenticationAgent"
#define AGENT_PATH  "/org/example/agent"

/* ---- the user's process ------------------------------------------------------------- */

static struct {
	int from, fd;
	const char *slot;
	sd_bus *agent, *caller;
	sd_bus_message *dialogue;
} me;

static int on_begin(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	const char *action, *message, *icon, *cookie;
	int r = sd_bus_message_read(m, "sss", &action, &message, &icon);

	if (r >= 0)
		r = sd_bus_message_skip(m, "a{ss}");
	if (r >= 0)
		r = sd_bus_message_read(m, "s", &cookie);
	if (r < 0)
		return r;
	dprintf(me.from, "begin %s %s | %s\n", action, cookie, message);
	sd_bus_message_unref(me.dialogue);
	me.dialogue = sd_bus_message_ref(m);
	return 1;
}

static int on_cancel(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	const char *cookie;
	int r = sd_bus_message_read(m, "s", &cookie);

	if (r < 0)
		return r;
	dprintf(me.from, "cancel %s\n", cookie);
	return sd_bus_reply_method_return(m, "");
}

static const sd_bus_vtable vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("BeginAuthentication", "sssa{ss}sa(sa{sv})", "", on_begin, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("CancelAuthentication", "s", "", on_cancel, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_VTABLE_END,
};

static int on_flash(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	const sd_bus_error *e = sd_bus_message_get_error(m);
	const char *job = "?";

	if (!e)
		(void)sd_bus_message_read(m, "o", &job);
	dprintf(me.from, "reply %s\n", e ? e->name : job);
	return 0;
}

static int call_flash(void)
{
	sd_bus_message *m = NULL;
	int r = sd_bus_message_new_method_call(me.caller, &m, "org.fdld1", me.slot, SLOT, "Flash");

	if (r >= 0)
		r = sd_bus_message_set_allow_interactive_authorization(m, true);
	if (r >= 0)
		r = sd_bus_message_append(m, "ha{sv}", me.fd, 1, "name", "s", "stock.pac");
	if (r >= 0)
		r = sd_bus_call_async(me.caller, NULL, m, on_flash, NULL, UINT64_MAX);
	sd_bus_message_unref(m);
	return r;
}

/* polkit tells processes apart by their number and when they began */
static uint64_t start_time(void)
{
	char text[1024];
	FILE *f = fopen("/proc/self/stat", "r");
	size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
	char *p;

	if (f)
		fclose(f);
	text[n] = '\0';
	p = strrchr(text, ')');
	for (int i = 0; p && i < 20; i++)
		p = strchr(p + 1, ' ');
	return p ? strtoull(p, NULL, 10) : 0;
}

static int registered(void)
{
	int r = sd_bus_open_system(&me.agent);

	if (r >= 0)
		r = sd_bus_open_system(&me.caller);
	if (r >= 0)
		r = sd_bus_add_object_vtable(me.agent, NULL, AGENT_PATH, AGENT_I, vtable, NULL);
	if (r >= 0)
		r = sd_bus_call_method(me.agent, POLKIT, AUTHORITY, AUTHORITY_I,
				       "RegisterAuthenticationAgent", NULL, NULL, "(sa{sv})ss",
				       "unix-process", 3, "pid", "u", (uint32_t)getpid(), "start-time", "t",
				       start_time(), "uid", "i", (int32_t)getuid(), "C", AGENT_PATH);
	dprintf(me.from, r < 0 ? "not registered: %s\n" : "registered\n", strerror(-r));
	return r;
}

static void obey(char what)
{
	switch (what) {
	case 'c':
		if (call_flash() < 0)
			exit(1);
		break;
	case 'd':
		(void)sd_bus_reply_method_return(me.dialogue, "");
		me.dialogue = sd_bus_message_unref(me.dialogue);
		break;
	case 'l': me.caller = sd_bus_close_unref(me.caller); break;
	default: exit(0);
	}
}

static void pump(sd_bus *bus)
{
	while (bus && sd_bus_process(bus, NULL) > 0)
		;
	if (bus)
		(void)sd_bus_flush(bus);
}

static _Noreturn void live(int to)
{
	struct pollfd fds[3] = { { .fd = to, .events = POLLIN } };
	char what;

	if (registered() < 0)
		exit(1);
	for (;;) {
		pump(me.agent);
		pump(me.caller);
		fds[1] = (struct pollfd){ .fd = sd_bus_get_fd(me.agent), .events = POLLIN };
		fds[2] = (struct pollfd){ .fd = me.caller ? sd_bus_get_fd(me.caller) : -1, .events = POLLIN };
		(void)poll(fds, 3, 50);
		if (fds[0].revents && read(to, &what, 1) != 1)
			exit(0);
		if (fds[0].revents)
			obey(what);
	}
}

/* ---- the test's side ---------------------------------------------------------------- */

bool agent_start(struct rig *rig, struct agent *agent, uid_t uid, const char *slot, int fd)
{
	int to[2], from[2];

	memset(agent, 0, sizeof(*agent));
	if (pipe2(to, O_CLOEXEC) < 0 || pipe2(from, O_CLOEXEC) < 0)
		return false;
	fflush(stdout);
	agent->pid = fork();
	if (agent->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(to[1]);
		close(from[0]);
		me.from = from[1];
		me.fd = fd;
		me.slot = slot;
		if (setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
			_exit(1);
		live(to[0]);
	}
	close(to[0]);
	close(from[1]);
	agent->to = to[1];
	agent->from = from[0];
	(void)fcntl(agent->from, F_SETFL, O_NONBLOCK);
	return agent_says(rig, agent, 5000, "registered", NULL, 0);
}

void agent_tell(struct agent *agent, char what)
{
	if (write(agent->to, &what, 1) != 1)
		tap_note("the user's process is gone");
}

struct saying {
	struct agent *agent;
	const char *line;
	char *found;
};

static bool said(void *arg)
{
	struct saying *s = arg;
	struct agent *a = s->agent;
	size_t used = strlen(a->text);
	ssize_t n = read(a->from, a->text + used, sizeof(a->text) - 1 - used);

	if (n > 0)
		a->text[used + (size_t)n] = '\0';
	for (char *p = a->text; p && *p; p = strchr(p, '\n'), p += p != NULL)
		if (!strncmp(p, s->line, strlen(s->line)) && strchr(p, '\n')) {
			s->found = p + strlen(s->line);
			return true;
		}
	return false;
}

bool agent_says(struct rig *rig, struct agent *agent, int timeout_ms, const char *line, char *out,
		size_t room)
{
	struct saying s = { agent, line, NULL };

	if (!rig_until(rig, timeout_ms, said, &s)) {
		tap_note("the user's process does not say '%s': %s", line, agent->text);
		return false;
	}
	if (out)
		snprintf(out, room, "%.*s", (int)strcspn(s.found, "\n"), s.found);
	return true;
}

bool agent_password(struct rig *rig, uid_t uid, const char *cookie)
{
	sd_bus_message *m = NULL;
	int r = sd_bus_message_new_method_call(rig_bus(rig), &m, POLKIT, AUTHORITY, AUTHORITY_I,
					       "AuthenticationAgentResponse2");

	if (r >= 0)
		r = sd_bus_message_append(m, "us(sa{sv})", (uint32_t)uid, cookie, "unix-user", 1, "uid", "u",
					  0);
	if (r >= 0)
		r = sd_bus_call(rig_bus(rig), m, 5000000, NULL, NULL);
	sd_bus_message_unref(m);
	if (r < 0)
		tap_note("AuthenticationAgentResponse2: %s", strerror(-r));
	return r >= 0;
}

void agent_stop(struct rig *rig, struct agent *agent)
{
	close(agent->to);
	close(agent->from);
	kill(agent->pid, SIGKILL);
	(void)bed_wait(rig->bed, agent->pid, 2000);
}
