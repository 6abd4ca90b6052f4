/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Phones that are there before the daemon: one that has just been plugged in, and has the daemon started for
 * it, is a boot ROM; of any other it must be on record what state it is in.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "tests/bus/rig.h"

/* A phone on port 1 that udev has seen so many seconds after the root hub. */
static struct rig_phone *found(struct rig *rig, unsigned int after_s)
{
	const struct bed_spec where = { .bus = 1, .ports = "1", .after_s = after_s };
	struct rig_phone *p = rig_phone_at(rig, "sc9863a", &where, NULL);

	bed_phone_plug(p->bp, false);
	return p;
}

static const char *flashed(struct rig *rig, struct rig_phone *p, const struct rig_package *pack,
			   const char *end)
{
	const char *job;

	if (!rig_expect(rig, 5000, p->slot, SLOT, "State", "ready"))
		return "not ready";
	job = rig_flash(rig, p->slot, pack->fd, "a{sv}", 1, "end", "s", end);
	return rig_wait(rig, job, 30000);
}

static void just_plugged(struct rig *rig)
{
	struct rig_phone *p = found(rig, 3600);
	struct rig_package pack;
	char wrong[160];

	rig_package(rig, &pack, "sc9863a", 5, 20000);
	CHECK(rig_up(rig, NULL));
	CHECK(!strcmp(flashed(rig, p, &pack, "reset"), ""));
	CHECK(rig_compare(p->phone, &pack, wrong, sizeof(wrong)) && !wrong[0]);
	rig_package_free(&pack);
}

/* The machine may have been started anew under a phone that runs a loader. */
static void there_from_the_start(struct rig *rig)
{
	struct rig_phone *p = found(rig, 5);
	struct rig_package pack;

	rig_package(rig, &pack, "sc9863a", 5, 20000);
	CHECK(rig_up(rig, NULL));
	CHECK(!strcmp(flashed(rig, p, &pack, "reset"), "org.fdld1.Error.StageUnknown"));
	CHECK(bed_count(bed_phone_dev(p->bp))->out_bytes == 0);
	rig_package_free(&pack);
}

/* It waits, unused, while the daemon is killed and started anew, again and again. */
static void waits_through_restarts(struct rig *rig)
{
	struct rig_phone *p = found(rig, 100);
	struct rig_package pack;

	rig_package(rig, &pack, "sc9863a", 5, 20000);
	for (int i = 0; i < 3; i++) {
		CHECK(rig_up(rig, NULL));
		CHECK(rig_expect(rig, 5000, p->slot, SLOT, "State", "ready"));
		CHECK(rig_down(rig, i ? SIGTERM : SIGKILL, 5000) >= 0);
	}
	CHECK(rig_up(rig, NULL));
	CHECK(!strcmp(flashed(rig, p, &pack, "reset"), ""));
	rig_package_free(&pack);
}

/* The record of what was said to it counts more than how it came. */
static void left_in_a_loader(struct rig *rig)
{
	struct rig_phone *p = found(rig, 100);
	struct rig_package pack;
	uint64_t before;

	rig_package(rig, &pack, "sc9863a", 5, 20000);
	CHECK(rig_up(rig, NULL));
	CHECK(!strcmp(flashed(rig, p, &pack, "stay"), ""));
	CHECK(phone_stage(p->phone) == PHONE_FDL2);
	CHECK(rig_down(rig, SIGTERM, 5000) == 0);
	before = phone_counters(p->phone)->frames_in;
	CHECK(rig_up(rig, NULL));
	CHECK(rig_expect(rig, 5000, p->slot, SLOT, "State", "ready"));
	CHECK(!strcmp(rig_get(rig, rig_get(rig, p->slot, SLOT, "Device"), DEVICE, "ArrivalSeen"), "false"));
	CHECK(phone_counters(p->phone)->frames_in == before);
	CHECK(phone_stage(p->phone) == PHONE_FDL2);
	rig_package_free(&pack);
}

static const struct rig_test tests[] = {
	{ "a phone that was just plugged in is flashed", just_plugged },
	{ "one that was there from the start is not guessed at", there_from_the_start },
	{ "one that nobody has used waits through restarts", waits_through_restarts },
	{ "one that was left in a loader is not taken for a fresh one", left_in_a_loader },
};

int main(void)
{
	return rig_run(tests, sizeof(tests) / sizeof(tests[0]));
}
