/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What others are told beside the bus: hooks that the service manager starts (here one by script, on the
 * rig's own connection), and figures in a file.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/bus/ctl.h"
#include "tests/bus/line.h"
#include "tests/bus/rig.h"

#define NAME  "org.freedesktop.systemd1"
#define PATH  "/org/freedesktop/systemd1"
#define IFACE "org.freedesktop.systemd1.Manager"
#define HOOKS 32

struct manager {
	struct rig *rig;
	bool refuses;
	unsigned int count;
	char facts[HOOKS][4096]; /* the environment, as it was when the unit was asked for */
	char unit[HOOKS][64];
	const char *piped; /* what came through a file that is a pipe */
	sd_bus_slot *slot;
};

static size_t slurp(const char *path, char *out, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n = fd < 0 ? -1 : read(fd, out, size - 1);

	if (fd >= 0)
		close(fd);
	out[n > 0 ? n : 0] = '\0';
	return n > 0 ? (size_t)n : 0;
}

static int on_start(sd_bus_message *m, void *user, sd_bus_error *error)
{
	struct manager *manager = user;
	const char *unit, *mode;
	unsigned int i = manager->count;
	char path[256];
	int r = sd_bus_message_read(m, "ss", &unit, &mode);

	if (r < 0 || i == HOOKS || strcmp(mode, "replace"))
		return -EINVAL;
	manager->count++;
	snprintf(manager->unit[i], sizeof(manager->unit[0]), "%s", unit);
	snprintf(path, sizeof(path), "%s/hook/%s", manager->rig->runtime, unit + strlen("fdld-hook@"));
	snprintf(strrchr(path, '.'), 8, ".env");
	if (!slurp(path, manager->facts[i], sizeof(manager->facts[0])) && manager->piped)
		snprintf(manager->facts[i], sizeof(manager->facts[0]), "%s", manager->piped);
	if (manager->refuses)
		return sd_bus_error_set(error, SD_BUS_ERROR_ACCESS_DENIED, "Permission denied");
	return sd_bus_reply_method_return(m, "o", "/org/freedesktop/systemd1/job/1");
}

static const sd_bus_vtable vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("StartUnit", "ss", "o", on_start, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_VTABLE_END,
};

static bool manage(struct manager *manager, struct rig *rig)
{
	memset(manager, 0, sizeof(*manager));
	manager->rig = rig;
	return sd_bus_add_object_vtable(rig_bus(rig), &manager->slot, PATH, IFACE, vtable, manager) >= 0 &&
	       sd_bus_request_name(rig_bus(rig), NAME, 0) >= 0;
}

struct told {
	const struct manager *manager;
	const char *event;
	unsigned int count;
};

/* The facts of the last hook of this event; NULL: none. */
static const char *facts(const struct manager *manager, const char *event)
{
	char line[64];

	snprintf(line, sizeof(line), "FDLD_EVENT=\"%s\"\n", event);
	for (unsigned int i = manager->count; i--;)
		if (strstr(manager->facts[i], line))
			return manager->facts[i];
	return NULL;
}

static bool told(void *arg)
{
	const struct told *t = arg;

	return facts(t->manager, t->event) && t->manager->count >= t->count;
}

static bool wait_for(struct manager *manager, const char *event, unsigned int count)
{
	struct told t = { manager, event, count };

	return rig_until(manager->rig, 5000, told, &t);
}

static bool has(const char *text, const char *name, const char *value)
{
	char line[512];

	snprintf(line, sizeof(line), "%s=\"%s\"\n", name, value);
	if (text && strstr(text, line))
		return true;
	tap_note("%s not in: %s", line, text ? text : "nothing");
	return false;
}

static char *const on[] = { (char *)"--set=hooks=on", NULL };

/* a package whose file name is nobody's friend */
static void flash_odd(struct rig *rig, const struct rig_phone *p, int fd, char *job, size_t size)
{
	sd_bus_message *m = NULL;
	const char *path = "";

	CHECK(rig_call(rig, 5000, &m, p->slot, SLOT, "Flash", "ha{sv}", fd, 1, "name", "s",
		       "a \"b\" $(reboot) `x` \\ c.pac"));
	if (m)
		CHECK(sd_bus_message_read(m, "o", &path) > 0);
	snprintf(job, size, "%s", path);
	sd_bus_message_unref(m);
}

static void pass(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;
	struct manager manager;
	char job[128];
	const char *text;

	rig_package(rig, &pack, "sc9863a", 5, 4096);
	CHECK(manage(&manager, rig));
	CHECK(rig_up(rig, on));
	CHECK(rig_plug(rig, p));
	CHECK(wait_for(&manager, "arrival", 1));
	CHECK(has(facts(&manager, "arrival"), "FDLD_SLOT", p->id));
	/* a job without a session is one for them too */
	CHECK(ctl(rig, 20000, "port reset 1-1") == 0);
	CHECK(wait_for(&manager, "pass", 2));
	text = facts(&manager, "pass");
	CHECK(has(text, "FDLD_KIND", "port-reset") && has(text, "FDLD_LEAVES", "unchanged"));
	flash_odd(rig, p, pack.fd, job, sizeof(job));
	CHECK(!strcmp(rig_wait(rig, job, 60000), ""));
	CHECK(wait_for(&manager, "pass", 3));
	text = facts(&manager, "pass");
	CHECK(has(text, "FDLD_SLOT", p->id) && has(text, "FDLD_RESULT", "succeeded"));
	CHECK(has(text, "FDLD_LEVEL", "acknowledged") && has(text, "FDLD_LEAVES", "complete"));
	/* what a shell would run is only text */
	CHECK(has(text, "FDLD_IMAGE", "a \\\"b\\\" \\$(reboot) \\`x\\` \\\\ c.pac"));
	CHECK(text && !strstr(text, "FDLD_ERROR") && strstr(text, "FDLD_JOB=2\n"));
	/* instances are numbers */
	for (unsigned int i = 0; i < manager.count; i++)
		CHECK(strspn(manager.unit[i] + strlen("fdld-hook@"), "0123456789") +
			      strlen("fdld-hook@.service") ==
		      strlen(manager.unit[i]));
	sd_bus_slot_unref(manager.slot);
	rig_package_free(&pack);
}

static void fail(struct rig *rig)
{
	struct phone_setup setup = { .faults = "unplug at midst 1 of boot" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &setup);
	struct rig_package pack;
	struct manager manager;
	const char *job, *text;

	rig_package(rig, &pack, "sc9863a", 5, 4096);
	CHECK(manage(&manager, rig));
	CHECK(rig_up(rig, on));
	CHECK(rig_plug(rig, p));
	job = rig_flash(rig, p->slot, pack.fd, NULL, 0);
	CHECK(job && !strcmp(rig_wait(rig, job, 60000), "org.fdld1.Error.DeviceVanished"));
	CHECK(wait_for(&manager, "fail", 2));
	text = facts(&manager, "fail");
	CHECK(has(text, "FDLD_ERROR", "DeviceVanished") && has(text, "FDLD_ENTRY", "boot"));
	CHECK(text && strstr(text, "FDLD_REMEDY=\"") && strstr(text, "FDLD_CAUSE=\""));
	sd_bus_slot_unref(manager.slot);
	rig_package_free(&pack);
}

/* neither a pass nor a failure: the rule was for other phones, which only this one could tell */
static void skipped(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;
	struct manager manager;
	const char *text;

	CHECK(manage(&manager, rig));
	CHECK(line_up(rig, &pack, "[service]\nhooks=on\n", "[foreign]\nstorage=ufs\nimage=line.pac\n"));
	CHECK(line_known(rig, p) && ctl(rig, 10000, "arm %s", p->id) == 0);
	bed_phone_plug(p->bp, true);
	CHECK(rig_until(rig, 60000, told, &(struct told){ &manager, "skip", 1 }));
	text = facts(&manager, "skip");
	CHECK(has(text, "FDLD_RESULT", "skipped") && has(text, "FDLD_ERROR", "RuleNotMet"));
	CHECK(has(text, "FDLD_LEAVES", "unchanged") && has(text, "FDLD_RULE", "foreign"));
	CHECK(!facts(&manager, "fail") && !facts(&manager, "pass"));
	sd_bus_slot_unref(manager.slot);
	rig_package_free(&pack);
}

/* off: nobody is asked; refused: said once, jobs go on */
static void off_and_refused(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL), *q = rig_phone(rig, "sc9863a", "2", NULL);
	struct manager manager;
	char log[65536];
	const char *first = NULL;

	CHECK(manage(&manager, rig));
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	rig_sleep(rig, 300);
	CHECK(manager.count == 0);
	bed_phone_unplug(p->bp, true);
	CHECK(rig_down(rig, SIGTERM, 5000) == 0);
	manager.refuses = true;
	CHECK(rig_up(rig, on));
	CHECK(rig_plug(rig, p) && rig_plug(rig, q));
	CHECK(wait_for(&manager, "arrival", 2));
	for (int i = 0; i < rig_patience(20) && !first; i++) {
		rig_sleep(rig, 200);
		slurp(rig->log, log, sizeof(log));
		first = strstr(log, "was not started: Permission denied");
	}
	CHECK(first && !strstr(first + 1, "was not started"));
	sd_bus_slot_unref(manager.slot);
}

/* What a hook's file is written into: it is written when somebody reads it. */
struct drain {
	struct rig *rig;
	char text[8192];
	size_t len;
	int fd;
};

static bool passed(void *arg)
{
	const struct drain *d = arg;
	char log[65536];

	return slurp(d->rig->log, log, sizeof(log)) && strstr(log, "job 1 passed");
}

static bool drained(void *arg)
{
	struct drain *d = arg;
	ssize_t n = read(d->fd, d->text + d->len, sizeof(d->text) - 1 - d->len);

	d->len += n > 0 ? (size_t)n : 0;
	return n == 0 && d->len;
}

/* The hook of a job that ends as the service does is started, too, and heard when its file is written. */
static void at_the_end(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct drain drain = { .rig = rig };
	struct rig_package pack;
	struct manager manager;
	char pipe[160];
	unsigned long long next;
	const char *job;

	rig_package(rig, &pack, "sc9863a", 5, 4096);
	CHECK(manage(&manager, rig));
	CHECK(rig_up(rig, on));
	CHECK(rig_plug(rig, p));
	CHECK(wait_for(&manager, "arrival", 1));
	manager.piped = drain.text;
	next = strtoull(manager.unit[0] + strlen("fdld-hook@"), NULL, 10) + 1;
	snprintf(pipe, sizeof(pipe), "%s/hook/%llu.env.new", rig->runtime, next);
	CHECK(mkfifo(pipe, 0600) == 0);
	job = rig_flash(rig, p->slot, pack.fd, NULL, 0);
	CHECK(job && rig_expect(rig, 10000, job, JOB, "State", "running"));
	CHECK(rig_down(rig, SIGTERM, 1) == -1);
	CHECK(rig_until(rig, 60000, passed, &drain));
	rig_sleep(rig, 300); /* nothing else is left to be done */
	drain.fd = open(pipe, O_RDONLY | O_NONBLOCK);
	CHECK(drain.fd >= 0 && rig_until(rig, 10000, drained, &drain));
	CHECK(wait_for(&manager, "pass", 2));
	CHECK(rig_down(rig, SIGTERM, 10000) == 0);
	close(drain.fd);
	sd_bus_slot_unref(manager.slot);
	rig_package_free(&pack);
}

/* ---- figures ---------------------------------------------------------------------- */

struct figure {
	struct rig *rig;
	const char *line;
};

static bool figure_there(void *arg)
{
	const struct figure *f = arg;
	char path[128], text[16384];

	snprintf(path, sizeof(path), "%s/fdld.prom", f->rig->runtime);
	return slurp(path, text, sizeof(text)) && strstr(text, f->line) &&
	       !strcmp(text + strlen(text) - 6, "# EOF\n");
}

static bool figure(struct rig *rig, const char *line)
{
	struct figure f = { rig, line };

	return rig_until(rig, 5000, figure_there, &f);
}

static void figures(struct rig *rig)
{
	struct phone_setup setup = { .faults = "unplug at midst 1 of boot" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL),
			 *q = rig_phone(rig, "sc9863a", "2", &setup);
	struct rig_package pack;
	const char *job;
	char path[128];
	struct stat st;

	rig_package(rig, &pack, "sc9863a", 5, 4096);
	CHECK(rig_up(rig, NULL));
	CHECK(figure(rig, "fdld_phones 0\n"));
	CHECK(rig_plug(rig, p) && rig_plug(rig, q));
	CHECK(figure(rig, "fdld_phones 2\n") && figure(rig, "fdld_arrivals_total 2\n"));
	job = rig_flash(rig, p->slot, pack.fd, NULL, 0);
	CHECK(job && !strcmp(rig_wait(rig, job, 60000), ""));
	CHECK(figure(rig, "fdld_jobs_total{result=\"succeeded\"} 1\n"));
	job = rig_flash(rig, q->slot, pack.fd, NULL, 0);
	CHECK(job && !strcmp(rig_wait(rig, job, 60000), "org.fdld1.Error.DeviceVanished"));
	CHECK(figure(rig, "fdld_failures_total{error=\"DeviceVanished\"} 1\n"));
	CHECK(figure(rig, "fdld_job_seconds_count 2\n") &&
	      figure(rig, "fdld_open_jobs{state=\"running\"} 0\n"));
	/* a scraper is somebody else */
	snprintf(path, sizeof(path), "%s/fdld.prom", rig->runtime);
	CHECK(stat(path, &st) == 0 && (st.st_mode & 07777) == 0644);
	rig_package_free(&pack);
}

static const struct rig_test tests[] = {
	{ "a hook for an arrival and for a pass", pass },
	{ "a hook for a failure", fail },
	{ "a hook for a phone that was skipped", skipped },
	{ "hooks = off, and a manager that refuses", off_and_refused },
	{ "a hook as the service ends", at_the_end },
	{ "figures in a file", figures },
};

int main(void)
{
	return rig_run(tests, sizeof(tests) / sizeof(tests[0]));
}
