/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A state directory on a disk that is full, at whatever moment it becomes so: nothing is destroyed that is
 * not stored, the job says StoreFailed, and the same job passes once there is room.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/bus/conf.h"
#include "tests/bus/disk.h"
#include "tests/bus/rig.h"

/* NV, calibration and miscdata of the phone that is used here, in bytes */
#define BACKUPS (6 << 20)

/* Loaders in RAM and the phone's own log apart, what of the storage was touched. */
static unsigned int destroyed(const struct phone *phone)
{
	unsigned int count = 0;

	for (size_t i = 0; i < phone_deeds(phone); i++) {
		enum phone_deed_kind kind = phone_deed(phone, i)->kind;

		count += kind != PHONE_DEED_RAM && kind != PHONE_DEED_LOG;
	}
	return count;
}

static bool again(struct rig *rig, struct rig_phone *p)
{
	bed_phone_unplug(p->bp, true);
	rig_sleep(rig, 50);
	return rig_plug(rig, p);
}

/* One attempt with so much room, then one with enough: the second passes, and NV is what it was. */
static void attempt(struct rig *rig, size_t room, bool *failed, bool *harmless)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	uint8_t before[16], after[16];
	struct rig_package pack;
	char wrong[128], leaves[32], error[128];
	const char *job;
	int rc;

	rig_package(rig, &pack, "sc9863a", 5, 0);
	CHECK(rig_nv_item(p->phone, 5, before, sizeof(before)) == 8);
	CHECK(disk_small(rig, "size=32m,mode=700"));
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	CHECK(disk_fill(rig, room));
	job = rig_flash(rig, p->slot, pack.fd, NULL, 0);
	snprintf(error, sizeof(error), "%s", job ? rig_wait(rig, job, 60000) : rig->error);
	snprintf(leaves, sizeof(leaves), "%s", job ? rig_get(rig, job, JOB, "CancelLeaves") : "unchanged");
	rc = *error ? 1 : 0;
	*failed |= rc;
	tap_note("%zu KiB: %s, %s, %u deeds%s", room / 1024, rc ? error : "passed", leaves,
		 destroyed(p->phone), job ? "" : ", refused");
	if (rc) {
		CHECK(strstr(error, "StoreFailed"));
		CHECK(strcmp(leaves, "complete"));
		if (!strcmp(leaves, "unchanged")) {
			*harmless = true;
			CHECK(!destroyed(p->phone));
		}
	}
	CHECK(disk_empty(rig));
	CHECK(again(rig, p));
	job = rig_flash(rig, p->slot, pack.fd, NULL, 0);
	CHECK(job);
	CHECK(!strcmp(rig_wait(rig, job, 60000), ""));
	CHECK(rig_compare(p->phone, &pack, wrong, sizeof(wrong)) >= 8 && !wrong[0]);
	CHECK(rig_nv_item(p->phone, 5, after, sizeof(after)) == 8 && !memcmp(before, after, 8));
	CHECK(rig_down(rig, SIGTERM, 5000) == 0);
	CHECK(disk_gone(rig));
	rig_package_free(&pack);
}

static void full_from_the_start(struct rig *rig)
{
	bool failed = false, harmless = false;

	attempt(rig, 0, &failed, &harmless);
	CHECK(failed && harmless);
}

static void no_room_for_the_first_backup(struct rig *rig)
{
	bool failed = false, harmless = false;

	attempt(rig, 256 << 10, &failed, &harmless);
	CHECK(failed && harmless);
}

static void no_room_for_the_last_backup(struct rig *rig)
{
	bool failed = false, harmless = false;

	attempt(rig, BACKUPS - (64 << 10), &failed, &harmless);
	CHECK(failed && harmless);
}

/* The backups are stored, what is to be done with the phone is not. */
static void no_room_for_the_intent(struct rig *rig)
{
	bool failed = false, harmless = false;

	attempt(rig, BACKUPS + (8 << 10), &failed, &harmless);
	CHECK(failed && harmless);
}

static void room_for_all(struct rig *rig)
{
	bool failed = false, harmless = false;

	attempt(rig, 2 * BACKUPS, &failed, &harmless);
	CHECK(!failed);
}

static bool has_result(struct rig *rig, const char *job)
{
	char path[128];

	snprintf(path, sizeof(path), "%s%s/result", rig->state, strstr(job, "/job/"));
	return access(path, R_OK) == 0;
}

/* Killed in the middle of a job, and the disk is full by the time it starts again: it starts, and says all.
 */
static void full_after_a_crash(struct rig *rig)
{
	const struct phone_setup waits = { .faults = "late at end of system for 30s" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &waits);
	struct rig_package pack;
	char job[64];
	const char *s;

	rig_package(rig, &pack, "sc9863a", 3, 20000);
	CHECK(disk_small(rig, "size=32m,mode=700"));
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	s = rig_flash(rig, p->slot, pack.fd, NULL, 0);
	CHECK(s);
	snprintf(job, sizeof(job), "%s", s);
	CHECK(rig_expect(rig, 30000, job, JOB, "Entry", "system"));
	CHECK(rig_down(rig, SIGKILL, 3000) == 256 + SIGKILL);
	bed_phone_unplug(p->bp, true);
	CHECK(disk_fill(rig, 0));
	CHECK(rig_up(rig, NULL));
	CHECK(!strcmp(rig_get(rig, job, JOB, "State"), "interrupted"));
	CHECK(conf_logged(rig, "the result of job 1 is not stored: "));
	CHECK(!has_result(rig, job));
	CHECK(rig_plug(rig, p));
	s = rig_flash(rig, p->slot, pack.fd, NULL, 0);
	CHECK(!s ? strstr(rig->error, "StoreFailed") : strstr(rig_wait(rig, s, 60000), "StoreFailed"));
	CHECK(rig_down(rig, SIGTERM, 10000) == 0);
	/* there is room again: the same job is found once more, and now it stays */
	CHECK(disk_empty(rig));
	CHECK(rig_up(rig, NULL));
	CHECK(!strcmp(rig_get(rig, job, JOB, "State"), "interrupted"));
	CHECK(has_result(rig, job));
	CHECK(rig_down(rig, SIGTERM, 10000) == 0);
	CHECK(disk_gone(rig));
	rig_package_free(&pack);
}

#define T(x)          \
	{             \
#x, x \
	}
static const struct rig_test tests[] = { T(full_from_the_start),
					 T(no_room_for_the_first_backup),
					 T(no_room_for_the_last_backup),
					 T(no_room_for_the_intent),
					 T(room_for_all),
					 T(full_after_a_crash) };

int main(void)
{
	return rig_run(tests, sizeof(tests) / sizeof(tests[0]));
}
