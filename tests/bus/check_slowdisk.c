/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Packages on a file system that stops answering (a real one, behind FUSE): the call or the job ends with an
 * error that says so, and nobody else notices.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/bus/authority.h"
#include "tests/bus/ctl.h"
#include "tests/bus/slowdisk.h"

#define ERR(name) "org.fdld1.Error." name

static struct rig_phone *phone;
static struct rig_package pack;

static bool set(struct rig *rig, const struct phone_setup *setup, char *const more[])
{
	phone = rig_phone(rig, "sc9863a", "1", setup);
	rig_package(rig, &pack, "sc9863a", 50, 200000);
	return rig_up(rig, more) && rig_plug(rig, phone);
}

static bool is_error(struct rig *rig, const char *name)
{
	return !strcmp(rig->error, name);
}

static bool untouched(void)
{
	const struct bed_count *c = bed_count(bed_phone_dev(phone->bp));

	return !c->opens && !c->submits;
}

static bool passes(struct rig *rig, const char *job)
{
	char wrong[128] = "", error[128];

	snprintf(error, sizeof(error), "%s", rig_wait(rig, job, 60000));
	if (error[0])
		tap_note("%s", error);
	return !error[0] && rig_compare(phone->phone, &pack, wrong, sizeof(wrong)) > 0 && !wrong[0];
}

static struct slowdisk *slow;

#define SLOW_TIMES                                                                 \
	{                                                                          \
		(char *)"--set=open-timeout=1s", (char *)"--set=check-timeout=1s", \
			(char *)"--set=read-timeout=1s", NULL                      \
	}

static bool set_slow(struct rig *rig, const struct phone_setup *setup)
{
	char *const times[] = SLOW_TIMES;

	slow = slowdisk_new();
	slowdisk_reset(slow, "/dev/null");
	if (!set(rig, setup, times))
		return false;
	slowdisk_reset(slow, pack.path);
	return true;
}

/* While it hangs, others are served at once. */
static bool serves(struct rig *rig)
{
	uint64_t began = bed_now();

	for (int i = 0; i < 20; i++)
		if (!rig_call(rig, 5000, NULL, ROOT, MANAGER, "GetSlot", "s", phone->id))
			return false;
	if (bed_now() - began > UINT64_C(5000000000))
		tap_note("20 calls took %d ms", (int)((bed_now() - began) / 1000000));
	return bed_now() - began < UINT64_C(5000000000) &&
	       rig_num(rig, ROOT, MANAGER, "LoopStallMaxUsec") < 2000000;
}

static bool answers(void *arg)
{
	return *(bool *)arg;
}

static int on_answered(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	*(bool *)arg = true;
	return 0;
}

/* Asked while the disk hangs; then others are served; then the call ends with this error. */
static bool stalls(struct rig *rig, int fd, const char *error)
{
	bool answered = false;
	sd_bus_message *call = NULL;
	sd_bus_slot *slot = NULL;
	bool ok;

	if (sd_bus_message_new_method_call(rig_bus(rig), &call, "org.fdld1", ROOT, MANAGER, "OpenImage") <
		    0 ||
	    sd_bus_message_append(call, "ha{sv}", fd, 0) < 0 ||
	    sd_bus_call_async(rig_bus(rig), &slot, call, on_answered, &answered, UINT64_MAX) < 0)
		return false;
	rig_sleep(rig, 100);
	/* from now on it does not let go either */
	slow->hold_close = true;
	ok = !answered && serves(rig) && rig_until(rig, 5000, answers, &answered) && serves(rig);
	slow->hold_close = false;
	sd_bus_slot_unref(slot);
	sd_bus_message_unref(call);
	return ok && !rig_call(rig, 5000, NULL, ROOT, MANAGER, "OpenImage", "ha{sv}", fd, 0) &&
	       is_error(rig, error);
}

static void slow_open(struct rig *rig)
{
	int fd;

	CHECK(set_slow(rig, NULL));
	fd = open(SLOWDISK_FILE, O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0);
	/* what kind of file is it? */
	slow->hold_stat = true;
	CHECK(stalls(rig, fd, ERR("PackageReadStalled")));
	slowdisk_reset(slow, NULL);
	/* what is in it? */
	slow->hold_read = 0;
	CHECK(stalls(rig, fd, ERR("PackageReadStalled")));
	CHECK(rig_counter(rig, "threads-left-behind") > 0);
	slowdisk_reset(slow, NULL);
	/* errors are errors */
	slow->fail_read = true;
	CHECK(!rig_call(rig, 5000, NULL, ROOT, MANAGER, "OpenImage", "ha{sv}", fd, 0));
	CHECK(is_error(rig, ERR("PackageReadFailed")));
	slowdisk_reset(slow, NULL);
	slow->shy = true;
	CHECK(!rig_call(rig, 5000, NULL, ROOT, MANAGER, "OpenImage", "ha{sv}", fd, 0));
	CHECK(is_error(rig, ERR("PackageReadFailed")));
	slowdisk_reset(slow, NULL);
	for (int i = 0; i < rig_patience(20) && rig_counter(rig, "threads-left-behind"); i++)
		rig_sleep(rig, 100);
	CHECK(rig_counter(rig, "threads-left-behind") == 0 && rig_counter(rig, "images") == 0);
	CHECK(untouched());
	CHECK(passes(rig, rig_flash(rig, phone->slot, fd, NULL, 0)));
	close(fd);
	rig_package_free(&pack);
}

/* In the middle of the work: of the check of the whole, and of what a phone waits for. */
static void slow_read(struct rig *rig)
{
	struct phone_setup waits = { .faults = "late at end of l_modem for 1s" };
	const char *job;
	int fd;

	CHECK(set_slow(rig, &waits));
	fd = open(SLOWDISK_FILE, O_RDONLY | O_CLOEXEC);
	slow->hold_read = pack.size - 5000;
	CHECK(fd >= 0);
	/* structure and loaders are in front, the end of it is not there: nothing is erased */
	job = rig_flash(rig, phone->slot, fd, NULL, 0);
	if (job) {
		CHECK(!strcmp(rig_wait(rig, job, 10000), ERR("PackageReadStalled")));
		CHECK(!strcmp(rig_get(rig, job, JOB, "CancelLeaves"), "unchanged"));
	} else {
		CHECK(is_error(rig, ERR("PackageReadStalled")));
	}
	CHECK(phone_counters(phone->phone)->erases == 0);
	slowdisk_reset(slow, NULL);
	bed_phone_unplug(phone->bp, true);
	CHECK(rig_expect(rig, 5000, phone->slot, SLOT, "State", "empty"));
	CHECK(rig_plug(rig, phone));
	job = rig_flash(rig, phone->slot, fd, NULL, 0);
	CHECK(job && rig_expect(rig, 20000, job, JOB, "Entry", "l_modem"));
	slow->hold_read = 0;
	CHECK(serves(rig));
	CHECK(!strcmp(rig_wait(rig, job, 10000), ERR("PackageReadStalled")));
	CHECK(!strcmp(rig_get(rig, job, JOB, "CancelLeaves"), "needs-flash"));
	CHECK(serves(rig));
	slowdisk_reset(slow, NULL);
	close(fd);
	rig_package_free(&pack);
}

/* The file system lets go of nothing: all is done, and closing the file hangs. */
static void slow_close(struct rig *rig)
{
	const char *job;
	int fd;

	CHECK(set_slow(rig, NULL));
	fd = open(SLOWDISK_FILE, O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0);
	job = rig_flash(rig, phone->slot, fd, NULL, 0);
	CHECK(job);
	/* ours too: it would hang there as well, so not before the end */
	slow->hold_close = true;
	CHECK(passes(rig, job));
	for (int i = 0; i < rig_patience(20) && (!slow->held || rig_counter(rig, "images")); i++)
		rig_sleep(rig, 100);
	CHECK(slow->held > 0 && rig_counter(rig, "images") == 0);
	CHECK(serves(rig));
	slowdisk_reset(slow, NULL);
	close(fd);
	rig_package_free(&pack);
}

/* One of the files that are written is such: the call, the check, and the write in the middle. */
static bool write_slow(struct rig *rig, int fd, int other)
{
	return rig_call(rig, 15000, NULL, phone->slot, SLOT, "Write", "a(shs)a{sv}", 2, "boot", other,
			"boot.img", "logo", fd, "logo.img", 1, "loader", "s", "pair");
}

static void slow_write(struct rig *rig)
{
	struct phone_setup waits = { .faults = "late at midst 1 of logo for 1s" };
	static uint8_t bytes[3 << 20];
	char path[160];
	int fd, other;

	CHECK(set_slow(rig, &waits));
	CHECK(ctl(rig, 20000, "image import --name pair %s", pack.path) == 0);
	snprintf(path, sizeof(path), "%s/image", rig->dir);
	compose_random(4, bytes, sizeof(bytes));
	memcpy(bytes, "any", 3);
	other = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	CHECK(other >= 0 && write(other, bytes, sizeof(bytes)) == sizeof(bytes));
	close(other);
	slowdisk_reset(slow, path);
	other = open(path, O_RDONLY | O_CLOEXEC);
	fd = open(SLOWDISK_FILE, O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0 && other >= 0);
	slow->hold_stat = true;
	CHECK(!write_slow(rig, fd, other) && is_error(rig, ERR("PackageReadStalled")));
	CHECK(serves(rig));
	slowdisk_reset(slow, NULL);
	CHECK(untouched());
	/* the head of it is there, the end is not: nothing is written */
	slow->hold_read = sizeof(bytes) - 5000;
	CHECK(write_slow(rig, fd, other));
	CHECK(serves(rig));
	CHECK(!strcmp(rig_wait(rig, ROOT "/job/1", 10000), ERR("PackageReadStalled")));
	CHECK(!strcmp(rig_get(rig, ROOT "/job/1", JOB, "CancelLeaves"), "unchanged"));
	CHECK(phone_counters(phone->phone)->erases == 0);
	slowdisk_reset(slow, NULL);
	bed_phone_unplug(phone->bp, true);
	CHECK(rig_expect(rig, 5000, phone->slot, SLOT, "State", "empty"));
	CHECK(rig_plug(rig, phone));
	CHECK(write_slow(rig, fd, other) && rig_expect(rig, 20000, ROOT "/job/2", JOB, "Entry", "logo"));
	slow->hold_read = 0;
	slow->hold_close = true;
	CHECK(!strcmp(rig_wait(rig, ROOT "/job/2", 10000), ERR("PackageReadStalled")));
	CHECK(!strcmp(rig_get(rig, ROOT "/job/2", JOB, "CancelLeaves"), "needs-flash"));
	CHECK(serves(rig));
	slowdisk_reset(slow, NULL);
	close(fd);
	close(other);
	rig_package_free(&pack);
}

/* Threads that hang are bounded: first the calls of one caller, then what never came back. */
static void slow_many(struct rig *rig)
{
	struct user *user;
	int fd;

	CHECK(set_slow(rig, NULL));
	user = user_new(rig, 0);
	fd = open(SLOWDISK_FILE, O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0);
	CHECK(user_call(rig, user, 5000, NULL, ROOT, MANAGER, "OpenImage", "ha{sv}", pack.fd, 0));
	slow->hold_stat = true;
	for (int i = 0; i < 33; i++)
		user_send(user, ROOT, MANAGER, "OpenImage", "ha{sv}", fd, 0);
	CHECK(users_count(rig, &user->answered, 1));
	CHECK(user->refused == 1 && !strcmp(user->error, ERR("LimitsExceeded")));
	CHECK(serves(rig));
	CHECK(users_count(rig, &user->refused, 33) && !strcmp(user->error, ERR("PackageReadStalled")));
	CHECK(rig_counter(rig, "threads-left-behind") == 32);
	CHECK(!user_call(rig, user, 5000, NULL, ROOT, MANAGER, "OpenImage", "ha{sv}", pack.fd, 0));
	CHECK(!strcmp(user->error, ERR("LimitsExceeded")));
	slowdisk_reset(slow, NULL);
	users_sleep(rig, 300);
	CHECK(user_call(rig, user, 5000, NULL, ROOT, MANAGER, "OpenImage", "ha{sv}", fd, 0));
	CHECK(untouched());
	close(fd);
	users_forget();
	rig_package_free(&pack);
}

/* What the stores are doing: one import of so many bytes in all. */
static bool at_work(struct rig *rig, uint64_t *done)
{
	sd_bus_message *m = NULL;
	const char *kind, *name;
	uint64_t total;
	bool good = rig_call(rig, 5000, &m, ROOT, "org.freedesktop.DBus.Properties", "Get", "ss", MANAGER,
			     "StoreWork") &&
		    sd_bus_message_enter_container(m, 'v', "a(sstt)") > 0 &&
		    sd_bus_message_enter_container(m, 'a', "(sstt)") > 0 &&
		    sd_bus_message_read(m, "(sstt)", &kind, &name, done, &total) > 0 &&
		    !strcmp(kind, "import") && !strcmp(name, "package.pac") && total == 2 * pack.size &&
		    sd_bus_message_at_end(m, 0) > 0;

	sd_bus_message_unref(m);
	return good;
}

static bool half_way(void *rig)
{
	uint64_t done = 0;

	return at_work(rig, &done) && done > 0 && done < pack.size;
}

/* Half of it is there when the disk stops to answer: who waits sees that, and the rest once it goes on. */
static void import_is_followed(struct rig *rig)
{
	struct ctl_run run;
	uint64_t done;

	slow = slowdisk_new();
	rig_package(rig, &pack, "sc9863a", 50, 6000000); /* it is copied in pieces of 8 MiB */
	CHECK(rig_up(rig, NULL));
	slowdisk_reset(slow, pack.path);
	slow->hold_read = pack.size / 2;
	ctl_start_tty(rig, &run, NULL, "image import " SLOWDISK_FILE);
	CHECK(rig_until(rig, 10000, half_way, rig));
	CHECK(ctl_says(rig, &run, " %  ", 20000) && ctl_said(&run, "package.pac"));
	slow->hold_read = UINT64_MAX;
	CHECK(ctl_says(rig, &run, "Firmware", 20000));
	CHECK(ctl_wait(rig, &run, 20000) == 0);
	CHECK(!at_work(rig, &done));
}

static const struct rig_test tests[] = {
	{ "a disk that does not answer: opening", slow_open },
	{ "a disk that does not answer: reading", slow_read },
	{ "a disk that does not answer: closing", slow_close },
	{ "a disk that does not answer: writing a file", slow_write },
	{ "a disk that does not answer: many", slow_many },
	{ "how far an import has come", import_is_followed },
};

int main(void)
{
	if (geteuid() || !slowdisk_prepare()) {
		tap_skip("a disk that does not answer", "it takes root and /dev/fuse");
		return tap_end();
	}
	return rig_run(tests, sizeof(tests) / sizeof(tests[0]));
}
