/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The daemon as a guest of its machine: locks of logind, the log level, what the service manager is told
 * while it works, waits and ends, and that its watchdog hangs on its loop.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bus/login.h"
#include "tests/bus/rig.h"

#define ERR(name)  "org.fdld1.Error." name
#define DBUS(name) "org.freedesktop.DBus.Error." name
#define LOG_PATH   "/org/freedesktop/LogControl1"
#define LOG_IFACE  "org.freedesktop.LogControl1"

static bool passes(struct rig *rig, const char *job)
{
	const char *how = rig_wait(rig, job, 60000);

	if (!*how)
		return true;
	tap_note("ended with %s, %s", how, rig_dict(rig, job, JOB, "ErrorDetails", "message"));
	return false;
}

/* How often a text stands in the daemon's log. */
static unsigned int logged(struct rig *rig, const char *text)
{
	unsigned int n = 0;
	char line[1024];
	FILE *f = fopen(rig->log, "r");

	while (f && fgets(line, sizeof(line), f))
		n += strstr(line, text) != NULL;
	if (f)
		fclose(f);
	return n;
}

struct status_wanted {
	struct rig *rig;
	const char *text;
};

static bool status_has(void *arg)
{
	struct status_wanted *w = arg;

	return strstr(bed_notify(w->rig->bed)->status, w->text) != NULL;
}

static bool status(struct rig *rig, const char *text)
{
	struct status_wanted w = { rig, text };

	if (rig_until(rig, 3000, status_has, &w))
		return true;
	tap_note("the status is: %s", bed_notify(rig->bed)->status);
	return false;
}

/* A job on p that stands still in the middle of its last partition for as long as the phone's script says. */
static const char *begin(struct rig *rig, struct rig_phone *p, int fd)
{
	static char job[4][64];
	static unsigned int next;
	char *out = job[next++ % 4];
	const char *s = rig_flash(rig, p->slot, fd, NULL, 0);

	if (!s)
		return NULL;
	snprintf(out, sizeof(job[0]), "%s", s);
	return rig_expect(rig, 20000, out, JOB, "Entry", "system") ? out : NULL;
}

/* ---- logind ----------------------------------------------------------------------- */

static void one_lock(struct rig *rig)
{
	struct phone_setup two = { .faults = "late at end of system for 2s" },
			   one = { .faults = "late at end of system for 1s" };
	struct rig_phone *a = rig_phone(rig, "sc9863a", "1", &one), *b = rig_phone(rig, "sc9863a", "2", &two);
	const struct login_lock *lock;
	const char *first, *second;
	struct rig_package pack;
	struct login login;

	rig_package(rig, &pack, "sc9863a", 31, 4096);
	CHECK(login_start(&login, rig));
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, a));
	CHECK(rig_plug(rig, b));
	rig_sleep(rig, 200);
	CHECK(login.asked == 0); /* nobody is kept from sleeping by phones that lie there */
	CHECK((first = begin(rig, a, pack.fd)));
	CHECK(login_expect(&login, "block", 1, 2000));
	CHECK(login_expect(&login, "delay", 1, 2000));
	CHECK((second = begin(rig, b, pack.fd)));
	CHECK(login_held(&login, "block") == 1 && login_held(&login, "delay") == 1);
	lock = login_last(&login, "block");
	CHECK(!strcmp(lock->what,
		      "shutdown:sleep:idle:handle-power-key:handle-suspend-key:handle-lid-switch"));
	CHECK(strstr(lock->who, "fdld") && strstr(lock->who, "hone"));
	CHECK(strstr(lock->why, "flashed"));
	CHECK(!strcmp(login_last(&login, "delay")->what, "shutdown:sleep"));
	CHECK(passes(rig, first));
	CHECK(login_held(&login, "block") == 1); /* the other one still runs */
	CHECK(passes(rig, second));
	CHECK(login_expect(&login, "block", 0, 2000));
	CHECK(login_expect(&login, "delay", 0, 2000));
	CHECK(login.asked == 2);
	login_free(&login);
	rig_package_free(&pack);
}

/* A job that waits for a phone has to hear of a sleep in time, but keeps nobody from it. */
static void delay_only(struct rig *rig)
{
	sd_bus_message *m = NULL;
	struct rig_package pack;
	struct login login;
	char job[64];
	const char *s;

	rig_package(rig, &pack, "sc9863a", 32, 4096);
	CHECK(login_start(&login, rig));
	CHECK(rig_up(rig, NULL));
	CHECK(rig_call(rig, 5000, &m, ROOT, MANAGER, "FlashNext", "haoa{sv}", pack.fd, 0, 0));
	CHECK(sd_bus_message_read(m, "o", &s) > 0);
	snprintf(job, sizeof(job), "%s", s);
	sd_bus_message_unref(m);
	CHECK(login_expect(&login, "delay", 1, 2000));
	rig_sleep(rig, 100);
	CHECK(login_held(&login, "block") == 0);
	CHECK(rig_call(rig, 5000, NULL, job, JOB, "Cancel", "a{sv}", 0));
	CHECK(login_expect(&login, "delay", 0, 2000));
	login_free(&login);
	rig_package_free(&pack);
}

static void no_logind(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;

	rig_package(rig, &pack, "sc9863a", 33, 4096);
	CHECK(rig_up(rig, NULL));
	for (int i = 0; i < 2; i++) {
		CHECK(rig_plug(rig, p));
		CHECK(passes(rig, rig_flash(rig, p->slot, pack.fd, NULL, 0)));
		bed_phone_unplug(p->bp, true);
		CHECK(rig_expect(rig, 3000, p->slot, SLOT, "State", "empty"));
	}
	CHECK(logged(rig, "logind") == 1);
	/* a busy machine may warn of other things */
	CHECK(logged(rig, "warning: there is no logind") == 0);
	rig_package_free(&pack);
}

static void refused(struct rig *rig)
{
	struct phone_setup waits = { .faults = "late at end of system for 1s" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &waits);
	struct rig_package pack;
	struct login login;
	const char *job;

	rig_package(rig, &pack, "sc9863a", 34, 4096);
	CHECK(login_start(&login, rig));
	login.refuses = true;
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	CHECK((job = begin(rig, p, pack.fd)));
	CHECK(status(rig, "no lock of logind"));
	CHECK(logged(rig, "logind refused the block lock") == 1);
	CHECK(login_held(&login, "delay") == 1);
	CHECK(passes(rig, job));
	CHECK(status(rig, "Idle, "));
	CHECK(!strstr(bed_notify(rig->bed)->status, "logind"));
	/* the next time it may be another answer */
	login.refuses = false;
	bed_phone_unplug(p->bp, true);
	CHECK(rig_expect(rig, 3000, p->slot, SLOT, "State", "empty"));
	CHECK(rig_plug(rig, p));
	CHECK((job = rig_flash(rig, p->slot, pack.fd, NULL, 0)));
	CHECK(login_expect(&login, "block", 1, 2000));
	CHECK(passes(rig, job));
	CHECK(login_expect(&login, "block", 0, 2000));
	login_free(&login);
	rig_package_free(&pack);
}

static void lock_lost(struct rig *rig)
{
	struct phone_setup waits = { .faults = "late at end of system for 3s" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &waits);
	struct rig_package pack;
	struct login login;
	const char *job;

	rig_package(rig, &pack, "sc9863a", 35, 4096);
	CHECK(login_start(&login, rig));
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	CHECK((job = begin(rig, p, pack.fd)));
	CHECK(login_expect(&login, "block", 1, 2000));
	login_drop(&login);
	CHECK(login_expect(&login, "block", 1, 2500));
	CHECK(login_expect(&login, "delay", 1, 2500));
	CHECK(logged(rig, "logind has dropped the lock") == 1);
	CHECK(passes(rig, job));
	CHECK(login_expect(&login, "block", 0, 2000));
	login_free(&login);
	rig_package_free(&pack);
}

/* A logind that never answers holds up nobody, and gets back what it gives too late. */
static void slow_logind(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;
	struct login login;

	rig_package(rig, &pack, "sc9863a", 36, 4096);
	CHECK(login_start(&login, rig));
	login.silent = true;
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	CHECK(passes(rig, rig_flash(rig, p->slot, pack.fd, NULL, 0)));
	CHECK(login.asked == 2);
	CHECK(rig_num(rig, ROOT, MANAGER, "LoopStallMaxUsec") < 2000000);
	login_free(&login);
	rig_package_free(&pack);
}

static void sleeps(struct rig *rig)
{
	struct phone_setup waits = { .faults = "late at end of system for 2s" };
	struct rig_phone *a = rig_phone(rig, "sc9863a", "1", &waits),
			 *b = rig_phone(rig, "sc9863a", "2", NULL);
	struct rig_package pack;
	struct login login;
	const char *job, *s;
	char next[64];

	rig_package(rig, &pack, "sc9863a", 37, 4096);
	CHECK(login_start(&login, rig));
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, a));
	CHECK(rig_plug(rig, b));
	CHECK((job = begin(rig, a, pack.fd)));
	CHECK(login_expect(&login, "delay", 1, 2000));
	login_prepare(&login, "PrepareForSleep", true, true);
	rig_sleep(rig, 100);
	/* the running job may use what logind grants; no other begins */
	CHECK(login_held(&login, "delay") == 1);
	CHECK((s = rig_flash(rig, b->slot, pack.fd, NULL, 0)));
	snprintf(next, sizeof(next), "%s", s);
	CHECK(!strcmp(rig_get(rig, next, JOB, "State"), "queued"));
	CHECK(!strcmp(rig_get(rig, next, JOB, "QueuedFor"), "sleep"));
	CHECK(!strcmp(rig_get(rig, job, JOB, "State"), "running"));
	CHECK(passes(rig, job));
	CHECK(login_expect(&login, "delay", 0, 2000));
	CHECK(login_expect(&login, "block", 0, 2000));
	rig_sleep(rig, 100);
	CHECK(!strcmp(rig_get(rig, next, JOB, "State"), "queued"));
	CHECK(bed_count(bed_phone_dev(b->bp))->submits == 0);
	login_prepare(&login, "PrepareForSleep", false, true);
	CHECK(passes(rig, next));
	login_free(&login);
	rig_package_free(&pack);
}

static void shuts_down(struct rig *rig)
{
	struct phone_setup waits = { .faults = "late at end of system for 2s" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &waits);
	struct rig_package pack;
	struct login login;
	const char *job;

	rig_package(rig, &pack, "sc9863a", 38, 4096);
	CHECK(login_start(&login, rig));
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	CHECK((job = begin(rig, p, pack.fd)));
	CHECK(login_expect(&login, "delay", 1, 2000));
	/* SIGTERM will follow, and the service manager waits longer than logind: nothing is gained by a delay
	 */
	login_prepare(&login, "PrepareForShutdown", true, true);
	CHECK(login_expect(&login, "delay", 0, 2000));
	CHECK(login_held(&login, "block") == 1);
	CHECK(passes(rig, job));
	login_free(&login);
	rig_package_free(&pack);
}

/* Anybody may send a signal of that name. */
static void forged(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;
	struct login login;

	rig_package(rig, &pack, "sc9863a", 39, 4096);
	CHECK(login_start(&login, rig));
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	login_prepare(&login, "PrepareForSleep", true, false);
	login_prepare(&login, "PrepareForShutdown", true, false);
	rig_sleep(rig, 200);
	CHECK(passes(rig, rig_flash(rig, p->slot, pack.fd, NULL, 0)));
	login_free(&login);
	rig_package_free(&pack);
}

/* ---- the log ---------------------------------------------------------------------- */

static bool set_log(struct rig *rig, const char *property, const char *type, const char *value)
{
	return rig_call(rig, 3000, NULL, LOG_PATH, "org.freedesktop.DBus.Properties", "Set", "ssv", LOG_IFACE,
			property, type, value);
}

static void log_level(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;

	rig_package(rig, &pack, "sc9863a", 40, 4096);
	CHECK(rig_up(rig, NULL));
	CHECK(!strcmp(rig_get(rig, LOG_PATH, LOG_IFACE, "LogLevel"), "info"));
	CHECK(!strcmp(rig_get(rig, LOG_PATH, LOG_IFACE, "LogTarget"), "console"));
	CHECK(!strcmp(rig_get(rig, LOG_PATH, LOG_IFACE, "SyslogIdentifier"), "fdld"));
	CHECK(!set_log(rig, "LogLevel", "s", "loud") && !strcmp(rig->error, DBUS("InvalidArgs")));
	CHECK(!set_log(rig, "LogTarget", "s", "tape") && !strcmp(rig->error, DBUS("InvalidArgs")));
	CHECK(!set_log(rig, "LogLevel", "o", "/debug") && !strcmp(rig->error, DBUS("InvalidArgs")));
	CHECK(!set_log(rig, "SyslogIdentifier", "s", "x") && !strcmp(rig->error, DBUS("PropertyReadOnly")));
	CHECK(!set_log(rig, "LogLevels", "s", "debug") && !strcmp(rig->error, DBUS("UnknownProperty")));
	CHECK(rig_plug(rig, p));
	CHECK(passes(rig, rig_flash(rig, p->slot, pack.fd, NULL, 0)));
	CHECK(logged(rig, "debug:") == 0);
	bed_phone_unplug(p->bp, true);
	CHECK(rig_expect(rig, 3000, p->slot, SLOT, "State", "empty"));
	CHECK(set_log(rig, "LogLevel", "s", "debug"));
	CHECK(!strcmp(rig_get(rig, LOG_PATH, LOG_IFACE, "LogLevel"), "debug"));
	CHECK(rig_plug(rig, p));
	CHECK(passes(rig, rig_flash(rig, p->slot, pack.fd, NULL, 0)));
	CHECK(logged(rig, "debug: job 2: flash") == 1);
	/* only what is worse than this is left */
	CHECK(set_log(rig, "LogLevel", "s", "err"));
	CHECK(logged(rig, "log level is set to err") == 1);
	bed_phone_unplug(p->bp, true);
	CHECK(rig_expect(rig, 3000, p->slot, SLOT, "State", "empty"));
	CHECK(rig_plug(rig, p));
	CHECK(logged(rig, "phone 2 arrived") == 1 && logged(rig, "phone 3 arrived") == 0);
	CHECK(set_log(rig, "LogLevel", "s", "debug"));
	CHECK(set_log(rig, "LogTarget", "s", "null"));
	bed_phone_unplug(p->bp, true);
	CHECK(rig_expect(rig, 3000, p->slot, SLOT, "State", "empty"));
	CHECK(logged(rig, "phone 2 left") == 1 && logged(rig, "phone 3 left") == 0);
	CHECK(set_log(rig, "LogTarget", "s", "auto"));
	CHECK(rig_plug(rig, p));
	CHECK(logged(rig, "phone 4 arrived") == 1);
	CHECK(!strcmp(rig_get(rig, LOG_PATH, LOG_IFACE, "LogTarget"), "console"));
	rig_package_free(&pack);
}

/* Only where there is a second user: as real root. */
static void log_stranger(struct rig *rig)
{
	const char *as = "setpriv --reuid=65534 --regid=65534 --clear-groups";
	const char *at = "org.fdld1 " LOG_PATH " " LOG_IFACE;
	char out[2048], command[512];

	CHECK(rig_up(rig, NULL));
	snprintf(command, sizeof(command), "%s true 2>&1", as);
	if (bed_sh(rig->bed, 5000, out, sizeof(out), command) != 0)
		return;
	snprintf(command, sizeof(command), "%s busctl --system set-property %s LogLevel s debug 2>&1", as,
		 at);
	CHECK(bed_sh(rig->bed, 10000, out, sizeof(out), command) != 0);
	CHECK(strstr(out, "Access denied"));
	CHECK(logged(rig, "setting the log level was denied to uid 65534") == 1);
	CHECK(!strcmp(rig_get(rig, LOG_PATH, LOG_IFACE, "LogLevel"), "info"));
	snprintf(command, sizeof(command), "%s busctl --system get-property %s LogLevel 2>&1", as, at);
	CHECK(bed_sh(rig->bed, 10000, out, sizeof(out), command) == 0);
	CHECK(strstr(out, "s \"info\""));
}

/* ---- the service manager ---------------------------------------------------------- */

static void status_line(struct rig *rig)
{
	struct phone_setup waits = { .faults = "late at end of system for 2s" };
	struct rig_phone *a = rig_phone(rig, "sc9863a", "1", &waits),
			 *b = rig_phone(rig, "sc9863a", "2", NULL);
	struct rig_package pack;
	const char *job;

	rig_package(rig, &pack, "sc9863a", 41, 4096);
	CHECK(rig_up(rig, NULL));
	CHECK(status(rig, "Idle, 0 phones plugged in"));
	CHECK(rig_plug(rig, a));
	CHECK(status(rig, "Idle, 1 phone plugged in"));
	CHECK(rig_plug(rig, b));
	CHECK((job = begin(rig, a, pack.fd)));
	CHECK(rig_flash(rig, a->slot, pack.fd, NULL, 0));
	CHECK(rig_call(rig, 5000, NULL, ROOT, MANAGER, "FlashNext", "haoa{sv}", pack.fd, 1,
		       "/org/fdld1/slot/pci_2d0000_3a00_3a14_2e0_2dusb_2d0_3a1", 0));
	CHECK(status(rig, "Flashing 1 phone (1 past the first erase), 2 phones plugged in, 1 job queued, "
			  "1 waiting for a phone"));
	CHECK(rig_call(rig, 5000, NULL, ROOT, MANAGER, "Drain", "a{sv}", 0));
	CHECK(status(rig, "Draining, no new jobs: flashing 1 phone"));
	kill(rig->daemon, SIGTERM);
	CHECK(status(rig, "Stopping when the running jobs have ended: flashing 1 phone"));
	CHECK(passes(rig, job));
	CHECK(rig_down(rig, 0, 3000) == 0);
	rig_package_free(&pack);
}

/* As long as a phone owes an answer that may still come, time is asked for, and no longer. */
static void extends(struct rig *rig)
{
	struct phone_setup waits = { .faults = "late at end of system for 7s" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &waits);
	const struct bed_notify *told = bed_notify(rig->bed);
	struct rig_package pack;
	const char *job;

	rig_package(rig, &pack, "sc9863a", 42, 4096);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	CHECK((job = begin(rig, p, pack.fd)));
	CHECK(told->extends == 0);
	kill(rig->daemon, SIGTERM);
	CHECK(rig_expect(rig, 3000, ROOT, MANAGER, "Draining", "true"));
	told = bed_notify(rig->bed);
	CHECK(told->stopping && told->extends == 1 && told->extend_usec >= 10000000);
	CHECK(passes(rig, job));
	told = bed_notify(rig->bed);
	tap_note("time was asked for %u times", told->extends);
	CHECK(told->extends >= 3 && told->extends <= 5);
	CHECK(rig_down(rig, 0, 3000) == 0);
	rig_package_free(&pack);
}

/* Nothing runs: the end takes no time, and none is asked for. */
static void ends_idle(struct rig *rig)
{
	struct rig_package pack;

	rig_package(rig, &pack, "sc9863a", 43, 4096);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_call(rig, 5000, NULL, ROOT, MANAGER, "FlashNext", "haoa{sv}", pack.fd, 0, 0));
	CHECK(rig_down(rig, SIGTERM, 3000) == 0);
	CHECK(bed_notify(rig->bed)->stopping);
	CHECK(bed_notify(rig->bed)->extends == 0);
	rig_package_free(&pack);
}

/* Told to end before anything was erased: that job too goes on to its end. */
static void ends_early_job(struct rig *rig)
{
	struct phone_setup waits = { .faults = "late at end of fdl2 for 1s" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &waits);
	struct rig_package pack;
	char job[64], wrong[128];
	const char *s;

	rig_package(rig, &pack, "sc9863a", 44, 4096);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	s = rig_flash(rig, p->slot, pack.fd, NULL, 0);
	CHECK(s);
	snprintf(job, sizeof(job), "%s", s);
	CHECK(rig_expect(rig, 5000, job, JOB, "Stage", "fdl2"));
	CHECK(!strcmp(rig_get(rig, job, JOB, "CancelLeaves"), "unchanged"));
	kill(rig->daemon, SIGTERM);
	CHECK(passes(rig, job));
	CHECK(rig_down(rig, 0, 3000) == 0);
	rig_compare(p->phone, &pack, wrong, sizeof(wrong));
	CHECK(!wrong[0]);
	rig_package_free(&pack);
}

/* ---- the watchdog ----------------------------------------------------------------- */

static bool pinged(void *arg)
{
	return bed_notify(((struct rig *)arg)->bed)->watchdogs >= 3;
}

static unsigned int pings_within(struct rig *rig, int ms)
{
	unsigned int before = bed_notify(rig->bed)->watchdogs;

	rig_sleep(rig, ms);
	return bed_notify(rig->bed)->watchdogs - before;
}

/* Only the loop's thread is stopped: any other could go on pinging. */
static void watchdog(struct rig *rig)
{
	struct phone_setup waits = { .faults = "late at end of system for 3s" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &waits);
	struct rig_package pack;
	unsigned int again = 0;
	const char *job;

	rig_package(rig, &pack, "sc9863a", 45, 4096);
	setenv("WATCHDOG_USEC", "200000", 1);
	CHECK(rig_up(rig, NULL));
	unsetenv("WATCHDOG_USEC");
	CHECK(rig_plug(rig, p));
	CHECK((job = begin(rig, p, pack.fd))); /* so that its threads are there */
	CHECK(rig_until(rig, 2000, pinged, rig));
	CHECK(ptrace(PTRACE_SEIZE, rig->daemon, NULL, NULL) == 0);
	CHECK(ptrace(PTRACE_INTERRUPT, rig->daemon, NULL, NULL) == 0);
	CHECK(waitpid(rig->daemon, NULL, __WALL) == rig->daemon);
	rig_sleep(rig, 50); /* what was on its way */
	CHECK(pings_within(rig, 600) == 0);
	CHECK(ptrace(PTRACE_DETACH, rig->daemon, NULL, NULL) == 0);
	for (int i = 0; i < rig_patience(10) && again < 3; i++)
		again += pings_within(rig, 200);
	CHECK(again >= 3);
	CHECK(passes(rig, job));
	rig_package_free(&pack);
}

static const struct rig_test tests[] = {
	{ "one lock for all jobs", one_lock },
	{ "a waiting job holds a delay lock only", delay_only },
	{ "no logind is one line", no_logind },
	{ "a refused lock", refused },
	{ "a lost lock", lock_lost },
	{ "a logind that does not answer", slow_logind },
	{ "no job begins before a sleep", sleeps },
	{ "the delay ends before a shutdown", shuts_down },
	{ "forged news of a sleep", forged },
	{ "log level and target", log_level },
	{ "a stranger and the log level", log_stranger },
	{ "status line", status_line },
	{ "time is asked for while a job ends", extends },
	{ "an idle end asks for no time", ends_idle },
	{ "SIGTERM before the first erase", ends_early_job },
	{ "watchdog on the loop", watchdog },
};

int main(void)
{
	return rig_run(tests, sizeof(tests) / sizeof(tests[0]));
}
