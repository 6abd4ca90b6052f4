/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/bus/rig.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static _Noreturn void die(const char *what)
{
	perror(what);
	exit(99);
}

/* ---- life ------------------------------------------------------------------------- */

struct rig *rig_new(const char *build)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	if (!rig)
		die("calloc");
	rig->build = build;
	snprintf(rig->dir, sizeof(rig->dir), "/tmp/fdld-rig-XXXXXX");
	if (!mkdtemp(rig->dir))
		die("mkdtemp");
	snprintf(rig->state, sizeof(rig->state), "%s/state", rig->dir);
	snprintf(rig->runtime, sizeof(rig->runtime), "%s/run", rig->dir);
	snprintf(rig->log, sizeof(rig->log), "%s/fdld.log", rig->dir);
	snprintf(rig->conf, sizeof(rig->conf), "%s/conf", rig->dir);
	if (mkdir(rig->state, 0700) < 0 || mkdir(rig->runtime, 0700) < 0 || mkdir(rig->conf, 0755) < 0)
		die("mkdir");
	rig->bed = bed_new();
	bed_bus(rig->bed, NULL, NULL);
	return rig;
}

void rig_disconnect(struct rig *rig)
{
	rig->bus = sd_bus_close_unref(rig->bus);
	bed_watch(rig->bed, -1);
}

void rig_free(struct rig *rig)
{
	char command[128];

	if (!rig)
		return;
	if (rig->daemon)
		(void)rig_down(rig, SIGKILL, 2000);
	rig_disconnect(rig);
	bed_bus_stop(rig->bed);
	bed_free(rig->bed);
	for (unsigned int i = 0; i < rig->old_count; i++)
		bed_phone_free(rig->old[i]);
	for (unsigned int i = 0; i < rig->phone_count; i++) {
		bed_phone_free(rig->phone[i].bp);
		phone_free(rig->phone[i].phone);
	}
	if (!getenv("RIG_KEEP")) {
		snprintf(command, sizeof(command), "rm -rf %s", rig->dir);
		if (system(command))
			fprintf(stderr, "cannot remove %s\n", rig->dir);
	}
	free(rig);
}

bool rig_up(struct rig *rig, char *const more[])
{
	char program[256];
	/* what the machine is configured for is none of the tests' business */
	const char *argv[24] = { program,      "--state-dir",	rig->state, "--runtime-dir",
				 rig->runtime, "--config-root", rig->conf };
	int n = 7;

	snprintf(program, sizeof(program), "%s/fdld", rig->build);
	for (int i = 0; more && more[i] && n < 23; i++)
		argv[n++] = more[i];
	rig->daemon = bed_spawn(rig->bed, (char *const *)argv, NULL, rig->log);
	return bed_ready(rig->bed, rig_patience(10000));
}

int rig_down(struct rig *rig, int signo, int timeout_ms)
{
	int status;

	if (!rig->daemon)
		return 0;
	kill(rig->daemon, signo);
	status = bed_wait(rig->bed, rig->daemon, timeout_ms);
	if (status == -1)
		return -1;
	rig->daemon = 0;
	return WIFSIGNALED(status) ? 256 + WTERMSIG(status) : WEXITSTATUS(status);
}

static bool pump(struct rig *rig)
{
	int r = 0;

	while (rig->bus && (r = sd_bus_process(rig->bus, NULL)) > 0)
		;
	if (rig->bus)
		(void)sd_bus_flush(rig->bus);
	return r >= 0;
}

sd_bus *rig_bus(struct rig *rig)
{
	if (rig->bus)
		return rig->bus;
	if (sd_bus_open_system(&rig->bus) < 0)
		die("sd_bus_open_system");
	bed_watch(rig->bed, sd_bus_get_fd(rig->bus));
	return rig->bus;
}

struct until {
	struct rig *rig;
	bool (*pred)(void *arg);
	void *arg;
};

static bool until_pred(void *arg)
{
	struct until *u = arg;

	pump(u->rig);
	return u->pred && u->pred(u->arg);
}

bool rig_until(struct rig *rig, int timeout_ms, bool (*pred)(void *arg), void *arg)
{
	struct until u = { rig, pred, arg };

	return bed_run(rig->bed, pred ? rig_patience(timeout_ms) : timeout_ms, until_pred, &u);
}

void rig_sleep(struct rig *rig, int ms)
{
	(void)rig_until(rig, ms, NULL, NULL);
}

int rig_patience(int timeout_ms)
{
	const char *times = getenv("PATIENCE");

	return timeout_ms * (times ? atoi(times) : 4);
}

/* ---- D-Bus ------------------------------------------------------------------------ */

struct answer {
	sd_bus_message *m;
};

static int on_answer(sd_bus_message *m, void *user, sd_bus_error *error)
{
	struct answer *a = user;

	a->m = sd_bus_message_ref(m);
	return 0;
}

static bool answered(void *arg)
{
	return ((struct answer *)arg)->m != NULL;
}

static bool send_and_wait(struct rig *rig, int timeout_ms, sd_bus_message *call, sd_bus_message **reply)
{
	struct answer a = { NULL };
	sd_bus_slot *slot = NULL;
	bool ok = false;
	int r = sd_bus_call_async(rig_bus(rig), &slot, call, on_answer, &a, UINT64_MAX);

	rig->error[0] = rig->text[0] = '\0';
	if (r < 0)
		snprintf(rig->error, sizeof(rig->error), "%s", strerror(-r));
	else
		(void)rig_until(rig, timeout_ms, answered, &a);
	sd_bus_slot_unref(slot);
	if (a.m && sd_bus_message_is_method_error(a.m, NULL)) {
		const sd_bus_error *e = sd_bus_message_get_error(a.m);

		snprintf(rig->error, sizeof(rig->error), "%s", e->name);
		snprintf(rig->text, sizeof(rig->text), "%s", e->message ? e->message : "");
	} else if (a.m) {
		ok = true;
		if (reply)
			*reply = sd_bus_message_ref(a.m);
	}
	sd_bus_message_unref(a.m);
	sd_bus_message_unref(call);
	return ok;
}

bool rig_call(struct rig *rig, int timeout_ms, sd_bus_message **reply, const char *path, const char *iface,
	      const char *member, const char *types, ...)
{
	sd_bus_message *call = NULL;
	va_list ap;
	int r = sd_bus_message_new_method_call(rig_bus(rig), &call, "org.fdld1", path, iface, member);

	va_start(ap, types);
	if (r >= 0 && types)
		r = sd_bus_message_appendv(call, types, ap);
	va_end(ap);
	if (r < 0) {
		snprintf(rig->error, sizeof(rig->error), "cannot make the call: %s", strerror(-r));
		sd_bus_message_unref(call);
		return false;
	}
	return send_and_wait(rig, timeout_ms, call, reply);
}

static char *ring(void)
{
	static char text[8][512];
	static unsigned int next;

	return text[next++ % 8];
}

/* The basic value that comes next, as text. */
static void read_basic(sd_bus_message *m, char type, char *out, size_t room)
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
	case 'u': snprintf(out, room, "%u", v.u); break;
	case 'q': snprintf(out, room, "%u", v.q); break;
	case 'b': snprintf(out, room, "%s", v.b ? "true" : "false"); break;
	case 'd': snprintf(out, room, "%.9g", v.d); break;
	default: break;
	}
}

static sd_bus_message *get(struct rig *rig, const char *path, const char *iface, const char *name)
{
	sd_bus_message *reply = NULL;

	if (!rig_call(rig, 5000, &reply, path, "org.freedesktop.DBus.Properties", "Get", "ss", iface, name))
		return NULL;
	return reply;
}

const char *rig_get(struct rig *rig, const char *path, const char *iface, const char *name)
{
	sd_bus_message *m = get(rig, path, iface, name);
	const char *type;
	char *out = ring();

	strcpy(out, "?");
	if (m && sd_bus_message_peek_type(m, NULL, &type) > 0 && !type[1] &&
	    sd_bus_message_enter_container(m, 'v', type) > 0)
		read_basic(m, type[0], out, 512);
	sd_bus_message_unref(m);
	return out;
}

uint64_t rig_num(struct rig *rig, const char *path, const char *iface, const char *name)
{
	return strtoull(rig_get(rig, path, iface, name), NULL, 10);
}

double rig_real(struct rig *rig, const char *path, const char *iface, const char *name)
{
	return strtod(rig_get(rig, path, iface, name), NULL);
}

const char *rig_dict(struct rig *rig, const char *path, const char *iface, const char *name, const char *key)
{
	sd_bus_message *m = get(rig, path, iface, name);
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
				read_basic(m, type[0], out, 512);
				break;
			}
			if (sd_bus_message_skip(m, "v") < 0 || sd_bus_message_exit_container(m) < 0)
				break;
		}
	sd_bus_message_unref(m);
	return out;
}

bool rig_expect(struct rig *rig, int timeout_ms, const char *path, const char *iface, const char *name,
		const char *value)
{
	uint64_t until = bed_now() + (uint64_t)rig_patience(timeout_ms) * 1000000;

	for (;;) {
		if (!strcmp(rig_get(rig, path, iface, name), value))
			return true;
		if (bed_now() >= until)
			return false;
		rig_sleep(rig, 10);
	}
}

/* ---- work ------------------------------------------------------------------------- */

const char *rig_flash(struct rig *rig, const char *slot, int fd, const char *types, ...)
{
	static char jobs[16][128];
	static unsigned int next;
	sd_bus_message *call = NULL, *reply = NULL;
	const char *path;
	char *out = NULL;
	va_list ap;
	int r = sd_bus_message_new_method_call(rig_bus(rig), &call, "org.fdld1", slot, SLOT, "Flash");

	if (r >= 0)
		r = sd_bus_message_append(call, "h", fd);
	va_start(ap, types);
	if (r >= 0)
		r = sd_bus_message_appendv(call, types ? types : "a{sv}", ap);
	va_end(ap);
	if (r < 0) {
		snprintf(rig->error, sizeof(rig->error), "cannot make the call: %s", strerror(-r));
		sd_bus_message_unref(call);
		return NULL;
	}
	if (send_and_wait(rig, 20000, call, &reply) && sd_bus_message_read(reply, "o", &path) > 0) {
		out = jobs[next++ % 16];
		snprintf(out, sizeof(jobs[0]), "%s", path);
	}
	sd_bus_message_unref(reply);
	return out;
}

const char *rig_wait(struct rig *rig, const char *job, int timeout_ms)
{
	char *out = ring();

	if (!job)
		return "no job";
	if (rig_call(rig, timeout_ms, NULL, job, JOB, "Wait", NULL))
		return "";
	snprintf(out, 512, "%s", rig->error[0] ? rig->error : "timeout");
	return out;
}

/* ---- TAP -------------------------------------------------------------------------- */

static unsigned int tap_count, tap_failed;

void tap_ok(bool ok, const char *fmt, ...)
{
	va_list ap;

	printf("%sok %u - ", ok ? "" : "not ", ++tap_count);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
	tap_failed += !ok;
}

void tap_skip(const char *name, const char *why)
{
	printf("ok %u - %s # SKIP %s\n", ++tap_count, name, why);
	fflush(stdout);
}

void tap_note(const char *fmt, ...)
{
	va_list ap;

	fputs("# ", stdout);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
}

static const char *test_failed;
static int test_line;

bool rig_check(bool ok, const char *what, int line)
{
	if (!ok && !test_failed) {
		test_failed = what;
		test_line = line;
	}
	return ok;
}

static void show_log(const struct rig *rig)
{
	char line[256];
	FILE *f = fopen(rig->log, "r");

	if (!f) {
		tap_note("  no log: %s", strerror(errno));
		return;
	}
	while (fgets(line, sizeof(line), f))
		printf("#   %s", line);
	fclose(f);
	if (rig->error[0])
		printf("#   last refusal: %s: %s\n", rig->error, rig->text);
	fflush(stdout);
}

/* However a test left the daemon, it must end when told twice; only phones that hang may keep it. */
static void ends_well(struct rig *rig)
{
	int status = rig_down(rig, SIGTERM, 200);

	if (status == -1)
		status = rig_down(rig, SIGTERM, 1500);
	(void)rig_check(status == 0 || status == -1, "the daemon ended badly", status);
}

int rig_run(const struct rig_test *tests, size_t count)
{
	const char *only = getenv("ONLY"), *build = getenv("FDLD_BUILD");

	bed_enter();
	for (size_t i = 0; i < count; i++) {
		uint64_t began = bed_now();
		struct rig *rig;

		if (only && strcmp(only, tests[i].name))
			continue;
		test_failed = NULL;
		rig = rig_new(build ? build : "build");
		tests[i].fn(rig);
		ends_well(rig);
		if (test_failed) {
			tap_ok(false, "%s: line %d: %s", tests[i].name, test_line, test_failed);
			show_log(rig);
		} else {
			tap_ok(true, "%s (%d ms)", tests[i].name, (int)((bed_now() - began) / 1000000));
		}
		rig_free(rig);
	}
	return tap_end();
}

int tap_end(void)
{
	printf("1..%u\n", tap_count);
	return tap_failed ? 1 : 0;
}
