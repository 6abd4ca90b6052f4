/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The real daemon on the bed when things go wrong: cables, phones that misbehave beside ones that do not,
 * kill -9, a package that changes, a bus that goes away, the end of the service.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/bus/rig.h"

#define ERR(name) "org.fdld1.Error." name

/* What a job is doing, for the reader of a failed test. */
static void show_job(struct rig *rig, const char *job)
{
	tap_note("%s: %s, %s, %s %s, silent %s us, %s", job, rig_get(rig, job, JOB, "State"),
		 rig_get(rig, job, JOB, "Stage"), rig_get(rig, job, JOB, "Step"),
		 rig_get(rig, job, JOB, "Entry"), rig_get(rig, job, PROG, "SilentUsec"),
		 rig_get(rig, job, PROG, "Why"));
}

static bool passes(struct rig *rig, const char *job)
{
	const char *error = rig_wait(rig, job, 60000);

	if (!strcmp(error, ""))
		return true;
	tap_note("ended with '%s'", error);
	if (job)
		show_job(rig, job);
	return false;
}

static bool is_error(struct rig *rig, const char *name)
{
	return !strcmp(rig->error, name);
}

/* ---- one phone -------------------------------------------------------------------- */

static void unplug(struct rig *rig)
{
	struct phone_setup pulled = { .faults = "unplug at midst 3 of boot" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &pulled);
	struct rig_package pack;
	sd_bus_message *m = NULL;
	const char *job, *text;

	rig_package(rig, &pack, "sc9863a", 1, 200000);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	job = rig_flash(rig, p->slot, pack.fd, NULL, 0);
	CHECK(!strcmp(rig_wait(rig, job, 60000), ERR("DeviceVanished")));
	CHECK(!strcmp(rig_get(rig, job, JOB, "State"), "failed"));
	CHECK(!strcmp(rig_get(rig, job, JOB, "ErrorName"), ERR("DeviceVanished")));
	CHECK(!strcmp(rig_dict(rig, job, JOB, "ErrorDetails", "step"), "write"));
	CHECK(!strcmp(rig_dict(rig, job, JOB, "ErrorDetails", "entry"), "boot"));
	CHECK(!strcmp(rig_dict(rig, job, JOB, "ErrorDetails", "fault"), "phone"));
	CHECK(!strcmp(rig_get(rig, job, JOB, "CancelLeaves"), "needs-flash"));
	CHECK(rig_real(rig, job, PROG, "Fraction") < 1);
	CHECK(rig_expect(rig, 3000, p->slot, SLOT, "State", "empty"));
	CHECK(rig_call(rig, 5000, &m, job, JOB, "Trace", "a{sv}", 0));
	CHECK(sd_bus_message_read(m, "s", &text) > 0 && strlen(text) > 200);
	sd_bus_message_unref(m);
	/* the same phone again, and its NV comes from the backup that is owed */
	CHECK(phone_set_faults(p->phone, "", NULL));
	CHECK(rig_plug(rig, p));
	job = rig_flash(rig, p->slot, pack.fd, NULL, 0);
	CHECK(passes(rig, job));
	rig_package_free(&pack);
}

static void signature(struct rig *rig)
{
	struct phone_setup refuses = { .faults = "refuse at end of boot with 0x84; F37 on boot" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &refuses);
	struct rig_package pack;
	const char *job;

	rig_package(rig, &pack, "sc9863a", 2, 20000);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	job = rig_flash(rig, p->slot, pack.fd, NULL, 0);
	CHECK(!strcmp(rig_wait(rig, job, 60000), ERR("SignatureRefused")));
	CHECK(!strcmp(rig_dict(rig, job, JOB, "ErrorDetails", "entry"), "boot"));
	CHECK(!strcmp(rig_dict(rig, job, JOB, "ErrorDetails", "device_code"), "132"));
	rig_package_free(&pack);
}

static bool job_flashes(struct rig *rig, const char *job)
{
	return rig_expect(rig, 20000, job, JOB, "Stage", "flash");
}

static void kill_nine(struct rig *rig)
{
	struct phone_setup waits = { .faults = "late at end of system for 30s" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &waits);
	uint8_t before[8], after[8];
	struct rig_package pack;
	char job[64], wrong[128];
	const char *s;

	rig_package(rig, &pack, "sc9863a", 3, 20000);
	CHECK(rig_nv_item(p->phone, 5, before, 8) == 8);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	s = rig_flash(rig, p->slot, pack.fd, NULL, 0);
	CHECK(s && job_flashes(rig, s));
	snprintf(job, sizeof(job), "%s", s);
	CHECK(rig_expect(rig, 20000, job, JOB, "Entry", "system"));
	CHECK(rig_down(rig, SIGKILL, 3000) == 256 + SIGKILL);
	CHECK(rig_up(rig, NULL));
	CHECK(!strcmp(rig_get(rig, job, JOB, "State"), "interrupted"));
	CHECK(!strcmp(rig_get(rig, job, JOB, "ErrorName"), ERR("Interrupted")));
	CHECK(strcmp(rig_dict(rig, job, JOB, "Result", "last_confirmed"), "?"));
	CHECK(!strcmp(rig_wait(rig, job, 3000), ERR("Interrupted")));
	/* as the remedy says: cable out, in again, the same job anew */
	bed_phone_unplug(p->bp, true);
	CHECK(phone_set_faults(p->phone, "", NULL));
	CHECK(rig_expect(rig, 3000, p->slot, SLOT, "State", "empty"));
	CHECK(rig_plug(rig, p));
	s = rig_flash(rig, p->slot, pack.fd, NULL, 0);
	CHECK(s && strcmp(s, job));
	CHECK(passes(rig, s));
	rig_compare(p->phone, &pack, wrong, sizeof(wrong));
	CHECK(!wrong[0]);
	CHECK(rig_nv_item(p->phone, 5, after, 8) == 8 && !memcmp(before, after, 8));
	rig_package_free(&pack);
}

static void package_changes(struct rig *rig)
{
	struct phone_setup waits = { .faults = "late at end of l_modem for 4s" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &waits);
	struct rig_package pack;
	char block[4096];
	const char *job;
	int fd;

	rig_package(rig, &pack, "sc9863a", 4, 200000);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	job = rig_flash(rig, p->slot, pack.fd, NULL, 0);
	CHECK(job && rig_expect(rig, 20000, job, JOB, "Entry", "l_modem"));
	memset(block, 0x55, sizeof(block));
	fd = open(pack.path, O_WRONLY | O_CLOEXEC);
	for (uint64_t at = pack.size / 2; at + 16384 < pack.size; at += 16384)
		CHECK(pwrite(fd, block, sizeof(block), (off_t)at) == sizeof(block));
	close(fd);
	CHECK(!strcmp(rig_wait(rig, job, 60000), ERR("PackageChanged")));
	CHECK(!strcmp(rig_get(rig, job, JOB, "CancelLeaves"), "needs-flash"));
	rig_package_free(&pack);
}

static bool has_left(void *arg)
{
	return phone_counters(((struct rig_phone *)arg)->phone)->detaches > 0;
}

/* Between FDL1's start and its return somebody puts another phone of the same model there. */
static void swapped(struct rig *rig)
{
	struct phone_setup as_it_is = { .time_percent = 100, .seed = 1 }, other = { .seed = 2 };
	struct rig_phone *p = rig_phone(rig, "sc7731g", "1", &as_it_is);
	struct phone *second = rig_spare(rig, "sc7731g", &other);
	struct rig_package pack;
	const char *job;

	rig_package(rig, &pack, "sc7731g", 5, 4096);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	job = rig_flash(rig, p->slot, pack.fd, NULL, 0);
	CHECK(job);
	CHECK(rig_until(rig, 20000, has_left, p));
	bed_phone_swap(p->bp, second, true);
	CHECK(!strcmp(rig_wait(rig, job, 60000), ERR("PhoneSwapped")));
	CHECK(!strcmp(rig_get(rig, job, JOB, "CancelLeaves"), "unchanged"));
	CHECK(phone_counters(second)->erases == 0 && phone_entries(second) == 0);
	rig_package_free(&pack);
}

static void reenumerates(struct rig *rig)
{
	struct phone_setup as_it_is = { .time_percent = 100 };
	struct rig_phone *p = rig_phone(rig, "sc7731g", "1", &as_it_is);
	struct rig_package pack;
	const char *job;
	char device[64];

	rig_package(rig, &pack, "sc7731g", 6, 4096);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	snprintf(device, sizeof(device), "%s", rig_get(rig, p->slot, SLOT, "Device"));
	job = rig_flash(rig, p->slot, pack.fd, "a{sv}", 2, "expect_device", "o", device, "end", "s", "stay");
	CHECK(passes(rig, job));
	/* an announced departure does not make it another one */
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "Device"), device));
	CHECK(phone_counters(p->phone)->detaches > 0);
	rig_package_free(&pack);
}

static void bus_numbers(struct rig *rig)
{
	struct bed_spec one = { .controller = "pci0000:00/0000:00:14.0", .bus = 1, .ports = "2" };
	struct bed_spec two = { .controller = "pci0000:00/0000:00:15.0", .bus = 2, .ports = "2" };
	struct rig_phone *a = rig_phone_at(rig, "sc9863a", &one, NULL);
	struct rig_phone *b = rig_phone_at(rig, "sc9863a", &two, NULL);
	struct rig_package pack;
	const char *job;

	rig_package(rig, &pack, "sc9863a", 7, 4096);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, a));
	CHECK(rig_plug(rig, b));
	CHECK(!strcmp(rig_get(rig, a->slot, SLOT, "Port"), "1-2"));
	CHECK(!strcmp(rig_get(rig, b->slot, SLOT, "Port"), "2-2"));
	CHECK(rig_down(rig, SIGTERM, 5000) == 0);
	bed_phone_unplug(a->bp, false);
	bed_phone_unplug(b->bp, false);
	one.bus = 2;
	two.bus = 1;
	rig_phone_move(rig, a, &one);
	rig_phone_move(rig, b, &two);
	bed_phone_plug(a->bp, false);
	bed_phone_plug(b->bp, false);
	CHECK(rig_up(rig, NULL));
	CHECK(!strcmp(rig_get(rig, a->slot, SLOT, "Id"), a->id));
	CHECK(!strcmp(rig_get(rig, a->slot, SLOT, "Port"), "2-2"));
	CHECK(!strcmp(rig_get(rig, b->slot, SLOT, "Port"), "1-2"));
	/* a phone that was there before the daemon may be in any state: nobody guesses */
	job = rig_flash(rig, a->slot, pack.fd, NULL, 0);
	CHECK(!strcmp(rig_wait(rig, job, 10000), ERR("StageUnknown")));
	bed_phone_unplug(a->bp, true);
	CHECK(rig_expect(rig, 3000, a->slot, SLOT, "State", "empty"));
	CHECK(rig_plug(rig, a));
	job = rig_flash(rig, a->slot, pack.fd, NULL, 0);
	CHECK(passes(rig, job));
	CHECK(phone_entries(a->phone) > 0 && phone_entries(b->phone) == 0);
	rig_package_free(&pack);
}

/* ---- many phones ------------------------------------------------------------------ */

static void sixteen(struct rig *rig)
{
	struct rig_phone *p[16];
	struct rig_package pack;
	sd_bus_message *m = NULL;
	char job[16][64], image[64], wrong[128];
	const char *s;

	rig_package(rig, &pack, "sc9863a", 8, 20000);
	CHECK(rig_up(rig, NULL));
	for (int i = 0; i < 16; i++) {
		char ports[16];

		snprintf(ports, sizeof(ports), "%d.%d", i / 4 + 1, i % 4 + 1);
		p[i] = rig_phone(rig, "sc9863a", ports, NULL);
		CHECK(rig_plug(rig, p[i]));
	}
	CHECK(rig_call(rig, 5000, &m, ROOT, MANAGER, "OpenImage", "ha{sv}", pack.fd, 0));
	CHECK(sd_bus_message_read(m, "o", &s) > 0);
	snprintf(image, sizeof(image), "%s", s);
	sd_bus_message_unref(m);
	for (int i = 0; i < 16; i++) {
		CHECK(rig_call(rig, 5000, &m, p[i]->slot, SLOT, "FlashImage", "oa{sv}", image, 0));
		CHECK(sd_bus_message_read(m, "o", &s) > 0);
		snprintf(job[i], sizeof(job[i]), "%s", s);
		sd_bus_message_unref(m);
	}
	for (int i = 0; i < 16; i++)
		CHECK(passes(rig, job[i]));
	for (int i = 0; i < 16; i++) {
		rig_compare(p[i]->phone, &pack, wrong, sizeof(wrong));
		CHECK(!wrong[0]);
	}
	tap_note("longest turn of the loop: %llu us",
		 (unsigned long long)rig_num(rig, ROOT, MANAGER, "LoopStallMaxUsec"));
	rig_package_free(&pack);
}

/* Five that misbehave and one that never answers the very first request of the host, beside four that do. */
struct street {
	struct rig_phone *bad[6], *good[4];
	struct rig_package pack;
};

static const char *const misdeeds[] = { "stall at midst 1 of boot",  "babble at end of boot",
					"unplug at midst 1 of boot", "deaf",
					"halt at midst 1 of boot",   "" };

/* The good ones pass; *turn is the longest turn of the loop in this run of the daemon, in microseconds. */
static void one_day(struct rig *rig, struct street *at, unsigned long long *turn)
{
	char good_job[4][64], bad_job[6][64];
	const char *s;

	CHECK(rig_up(rig, NULL));
	for (int i = 0; i < 6; i++) {
		CHECK(phone_set_faults(at->bad[i]->phone, misdeeds[i], NULL));
		CHECK(rig_plug(rig, at->bad[i]));
	}
	bed_fault(bed_phone_dev(at->bad[5]->bp))->hold_ioctl = true;
	for (int i = 0; i < 4; i++)
		CHECK(rig_plug(rig, at->good[i]));
	for (int i = 0; i < 6; i++) {
		CHECK((s = rig_flash(rig, at->bad[i]->slot, at->pack.fd, NULL, 0)));
		snprintf(bad_job[i], sizeof(bad_job[i]), "%s", s);
		if (i < 4) {
			CHECK((s = rig_flash(rig, at->good[i]->slot, at->pack.fd, NULL, 0)));
			snprintf(good_job[i], sizeof(good_job[i]), "%s", s);
		}
	}
	for (int i = 0; i < 4; i++)
		CHECK(passes(rig, good_job[i]));
	for (int i = 0; i < 6; i++)
		tap_note("%s: %s %s %s %s", i < 5 ? misdeeds[i] : "control request never answered",
			 rig_get(rig, bad_job[i], JOB, "State"), rig_get(rig, bad_job[i], JOB, "Step"),
			 rig_get(rig, bad_job[i], JOB, "Entry"), rig_get(rig, bad_job[i], JOB, "ErrorName"));
	CHECK(!strcmp(rig_wait(rig, bad_job[2], 30000), ERR("DeviceVanished")));
	CHECK(!strcmp(rig_wait(rig, bad_job[1], 30000), ERR("UsbBabble")));
	*turn = (unsigned long long)rig_num(rig, ROOT, MANAGER, "LoopStallMaxUsec");
	tap_note("longest turn of the loop: %llu us", *turn);
	bed_let_go(bed_phone_dev(at->bad[5]->bp));
	for (int i = 0; i < 6; i++)
		(void)rig_call(rig, 5000, NULL, bad_job[i], JOB, "Cancel", "a{sv}", 1, "force", "b", 1);
}

/*
 * The good ones pass, and the loop hardly notices. A turn is measured in time that passes: what the machine
 * gave to others counts too. So the best of three runs is taken; a loop that waits for a phone does so in
 * each.
 */
static void neighbours(struct rig *rig)
{
	unsigned long long turn = 0;
	struct street at;

	rig_package(rig, &at.pack, "sc9863a", 9, 100000);
	for (int i = 0; i < 10; i++) {
		char ports[16];

		snprintf(ports, sizeof(ports), "%d.%d", i < 6 ? 1 : 2, i < 6 ? i + 1 : i - 5);
		*(i < 6 ? &at.bad[i] : &at.good[i - 6]) = rig_phone(rig, "sc9863a", ports, NULL);
	}
	for (int run = 0; run < 3; run++) {
		one_day(rig, &at, &turn);
		if (!turn || turn < 50000)
			break;
		CHECK(rig_down(rig, SIGKILL, 3000) == 256 + SIGKILL);
		for (int i = 0; i < 10; i++)
			bed_phone_unplug(i < 6 ? at.bad[i]->bp : at.good[i - 6]->bp, false);
	}
	CHECK(turn && turn < 50000);
	rig_package_free(&at.pack);
}

/* ---- idle ------------------------------------------------------------------------- */

static unsigned long wakeups(pid_t pid)
{
	char command[128], line[64] = "";
	FILE *f;

	snprintf(command, sizeof(command),
		 "cat /proc/%d/task/*/status | awk '/^voluntary/ { n += $2 } END { print n }'", (int)pid);
	f = popen(command, "r");
	if (!f || !fgets(line, sizeof(line), f))
		line[0] = '\0';
	if (f)
		pclose(f);
	return strtoul(line, NULL, 10);
}

static void idle(struct rig *rig)
{
	struct rig_package pack;
	unsigned long before = 0, after;
	const char *job;

	rig_package(rig, &pack, "sc9863a", 10, 4096);
	CHECK(rig_up(rig, NULL));
	for (int i = 0; i < 16; i++) {
		char ports[16];

		snprintf(ports, sizeof(ports), "%d.%d", i / 4 + 1, i % 4 + 1);
		CHECK(rig_plug(rig, rig_phone(rig, "sc9863a", ports, NULL)));
	}
	job = rig_flash(rig, rig->phone[0].slot, pack.fd, "a{sv}", 1, "end", "s", "stay");
	CHECK(passes(rig, job));
	rig_disconnect(rig);
	/* what the job leaves behind it may take its time; then nothing moves */
	for (int i = 0; i < 20 && wakeups(rig->daemon) != before; i++) {
		before = wakeups(rig->daemon);
		rig_sleep(rig, 1000);
	}
	before = wakeups(rig->daemon);
	rig_sleep(rig, 4000);
	after = wakeups(rig->daemon);
	tap_note("%lu wake-ups in 4 s", after - before);
	CHECK(before > 0 && after == before);
	rig_package_free(&pack);
}

/* ---- the bus, the end ------------------------------------------------------------- */

static void bus_restarts(struct rig *rig)
{
	struct phone_setup waits = { .faults = "late at end of system for 3s" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &waits);
	struct rig_package pack;
	char job[64];
	const char *s;

	rig_package(rig, &pack, "sc9863a", 11, 4096);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	s = rig_flash(rig, p->slot, pack.fd, NULL, 0);
	CHECK(s && job_flashes(rig, s));
	snprintf(job, sizeof(job), "%s", s);
	rig_disconnect(rig);
	bed_bus_stop(rig->bed);
	rig_sleep(rig, 300);
	bed_bus(rig->bed, NULL, NULL);
	CHECK(rig_expect(rig, 8000, ROOT, MANAGER, "Probing", "false"));
	CHECK(passes(rig, job));
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "Id"), p->id));
	rig_package_free(&pack);
}

static void ends_gently(struct rig *rig)
{
	struct phone_setup waits = { .faults = "late at end of system for 3s" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &waits);
	struct rig_package pack;
	sd_bus_message *m = NULL;
	char job[64], waiting[64];
	const char *s;

	rig_package(rig, &pack, "sc9863a", 12, 4096);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	s = rig_flash(rig, p->slot, pack.fd, NULL, 0);
	CHECK(s && job_flashes(rig, s));
	snprintf(job, sizeof(job), "%s", s);
	CHECK(rig_call(rig, 5000, &m, ROOT, MANAGER, "FlashNext", "haoa{sv}", pack.fd, 0, 0));
	CHECK(sd_bus_message_read(m, "o", &s) > 0);
	snprintf(waiting, sizeof(waiting), "%s", s);
	sd_bus_message_unref(m);
	kill(rig->daemon, SIGTERM);
	CHECK(rig_expect(rig, 3000, ROOT, MANAGER, "Draining", "true"));
	CHECK(bed_notify(rig->bed)->stopping);
	CHECK(!strcmp(rig_wait(rig, waiting, 3000), ERR("Cancelled")));
	CHECK(!rig_flash(rig, p->slot, pack.fd, NULL, 0) && is_error(rig, ERR("Draining")));
	CHECK(!strcmp(rig_get(rig, job, JOB, "State"), "running"));
	CHECK(passes(rig, job));
	CHECK(rig_down(rig, 0, 5000) == 0);
	CHECK(rig_up(rig, NULL));
	CHECK(!strcmp(rig_get(rig, ROOT, MANAGER, "Draining"), "false"));
	rig_package_free(&pack);
}

static void ends_soon(struct rig *rig)
{
	struct phone_setup waits = { .faults = "late at end of l_modem for 4s" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &waits);
	struct rig_package pack;
	unsigned int started;
	char job[64];
	const char *s;

	rig_package(rig, &pack, "sc9863a", 13, 4096);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	s = rig_flash(rig, p->slot, pack.fd, NULL, 0);
	CHECK(s);
	snprintf(job, sizeof(job), "%s", s);
	CHECK(rig_expect(rig, 20000, job, JOB, "Entry", "l_modem"));
	CHECK(!strcmp(rig_get(rig, job, JOB, "CancelBoundary"), "entry"));
	CHECK(!strcmp(rig_get(rig, job, JOB, "CancelLeaves"), "needs-flash"));
	rig_sleep(rig, 200); /* the phone is at it now */
	started = (unsigned int)phone_counters(p->phone)->starts;
	kill(rig->daemon, SIGTERM);
	CHECK(rig_expect(rig, 3000, ROOT, MANAGER, "Draining", "true"));
	rig_sleep(rig, 300);
	CHECK(!strcmp(rig_get(rig, job, JOB, "Cancelling"), "false")); /* the first is no cancel */
	kill(rig->daemon, SIGTERM);
	CHECK(rig_expect(rig, 3000, job, JOB, "Cancelling", "true"));
	CHECK(!strcmp(rig_get(rig, job, JOB, "State"), "running"));
	CHECK(rig_down(rig, 0, 30000) == 0);
	/* the entry that was under way was finished, and no other begun; what came of it is on record */
	CHECK(phone_counters(p->phone)->starts == started);
	CHECK(rig_up(rig, NULL));
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "State"), "ready"));
	CHECK(!strcmp(rig_get(rig, job, JOB, "State"), "cancelled"));
	CHECK(!strcmp(rig_get(rig, job, JOB, "CancelLeaves"), "needs-flash"));
	CHECK(!strcmp(rig_get(rig, job, JOB, "ErrorName"), ERR("Cancelled")));
	rig_package_free(&pack);
}

static const struct rig_test tests[] = {
	{ "unplug is named with its step; the next attempt passes", unplug },
	{ "a refused signature is named", signature },
	{ "kill -9 in the middle, Interrupted, second attempt", kill_nine },
	{ "the package changes on disk", package_changes },
	{ "a phone that re-enumerates stays the same device", reenumerates },
	{ "another phone in the re-enumeration window", swapped },
	{ "bus numbers exchanged between two runs", bus_numbers },
	{ "16 phones at once", sixteen },
	{ "bad neighbours", neighbours },
	{ "no wake-up when idle", idle },
	{ "the bus restarts", bus_restarts },
	{ "SIGTERM", ends_gently },
	{ "SIGTERM twice", ends_soon },
};

int main(void)
{
	return rig_run(tests, sizeof(tests) / sizeof(tests[0]));
}
