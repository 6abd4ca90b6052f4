/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Marks while something else goes wrong: the disk of the service is full, the client or the service dies, the
 * cable is pulled. What could not be kept is not touched, and what was kept does not come back by itself.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/util.h"
#include "tests/bus/ctl.h"
#include "tests/bus/disk.h"
#include "tests/bus/rig.h"
#include "tests/bus/written.h"

#define MISC MIB

static uint8_t was[MISC], is[MISC];

static uint32_t crc32(const uint8_t *p, size_t n)
{
	uint32_t crc = 0xFFFFFFFF;

	while (n--) {
		crc ^= *p++;
		for (int k = 0; k < 8; k++)
			crc = crc & 1 ? crc >> 1 ^ 0xEDB88320 : crc >> 1;
	}
	return ~crc;
}

/* No message, two slots; the rest is anything. */
static bool lay_misc(struct rig_phone *p, uint64_t seed)
{
	uint8_t *c = was + 2048;
	uint32_t crc;

	compose_random(seed, was, sizeof(was));
	memset(was, 0, 832);
	memset(c, 0, 32);
	memcpy(c, "_a\0\0BCAB\1\2\0\0\x8f\0\x6e\0", 16);
	crc = crc32(c, 28);
	for (int i = 0; i < 4; i++)
		c[28 + i] = (uint8_t)(crc >> 8 * i);
	return phone_storage_write(p->phone, "misc", 0, was, sizeof(was));
}

/* That slot, and all the rest of misc as it was laid. */
static bool slot_is(struct rig_phone *p, char slot)
{
	return phone_storage_read(p->phone, "misc", 0, is, sizeof(is)) && is[2049] == slot &&
	       !memcmp(is, was, 2048) && !memcmp(is + 2080, was + 2080, sizeof(is) - 2080);
}

static bool go(struct rig *rig, struct rig_phone *p, struct rig_package *pack)
{
	rig_package(rig, pack, "sc9863a", 7, 4096);
	return lay_misc(p, 31) && rig_up(rig, NULL) && rig_plug(rig, p);
}

static void full_disk(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;
	char command[400];

	CHECK(disk_small(rig, "size=32m,mode=700") && go(rig, p, &pack));
	snprintf(command, sizeof(command), "active b --loader %s", pack.path);
	CHECK(disk_refuses(rig, p, 64 * KIB, command));
	snprintf(command, sizeof(command), "mode recovery --loader %s", pack.path);
	CHECK(disk_refuses(rig, p, 0, command) && slot_is(p, 'a'));
	CHECK(ctl(rig, 60000, "active b --loader %s", pack.path) == 0 && slot_is(p, 'b'));
	CHECK(rig_down(rig, SIGTERM, 5000) == 0 && disk_gone(rig));
	rig_package_free(&pack);
}

/* What it has begun goes on to its end. */
static void client_dies(struct rig *rig)
{
	struct phone_setup setup = { .faults = "late 1s at midst 1 of misc" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &setup);
	static struct ctl_run run;
	struct rig_package pack;
	char args[300];

	CHECK(go(rig, p, &pack));
	snprintf(args, sizeof(args), "active b --loader %s", pack.path);
	ctl_start(rig, &run, args);
	CHECK(rig_expect(rig, 20000, ROOT "/job/1", JOB, "State", "running"));
	CHECK(kill(run.pid, SIGKILL) == 0 && ctl_wait(rig, &run, 5000) == 256 + SIGKILL);
	CHECK(!strcmp(rig_wait(rig, ROOT "/job/1", 60000), "") && slot_is(p, 'b'));
	rig_package_free(&pack);
}

static bool in_misc(void *arg)
{
	const struct rig_phone *p = arg;
	size_t n = phone_entries(p->phone);

	return n && !strcmp(phone_entry(p->phone, n - 1)->name, "misc");
}

/* It dies while a mark is written: the copy stays, and does not come back over what the phone has by then. */
static void service_dies(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	static struct ctl_run run;
	struct rig_package pack;
	char args[300];

	CHECK(go(rig, p, &pack));
	CHECK(phone_set_faults(p->phone, "late 60s at midst 1 of misc", NULL));
	snprintf(args, sizeof(args), "active b --loader %s", pack.path);
	ctl_start(rig, &run, args);
	CHECK(rig_until(rig, 30000, in_misc, p));
	CHECK(rig_down(rig, SIGKILL, 5000) == 256 + SIGKILL);
	(void)ctl_wait(rig, &run, 20000);
	CHECK(rig_up(rig, NULL));
	CHECK(!strcmp(rig_get(rig, ROOT "/job/1", JOB, "State"), "interrupted"));
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "OwedBackup"), ""));
	CHECK(ctl(rig, 5000, "--json nv list") == 0 && strstr(ctl_out, "misc.was"));
	/* meanwhile it has started, and has written there itself */
	CHECK(rig_replug(rig, p) && lay_misc(p, 32));
	CHECK(ctl(rig, 60000, "active b --loader %s", pack.path) == 0 && slot_is(p, 'b'));
	rig_package_free(&pack);
}

/* A phone that checks no signatures, with the table of one that has vbmeta. */
static void unplugged(struct rig *rig)
{
	const struct phone_profile *other = phone_profile_by_name("ums512");
	struct phone_setup setup = { .parts = other->parts,
				     .part_count = other->part_count,
				     .faults = "unplug at midst 2 of vbmeta" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &setup);
	struct rig_package pack;

	rig_package(rig, &pack, "sc9863a", 7, 4096);
	compose_random(41, was, sizeof(was));
	memcpy(was, "AVB0", 4);
	memset(was + 120, 0, 4);
	CHECK(phone_storage_write(p->phone, "vbmeta", 0, was, sizeof(was)));
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	CHECK(ctl(rig, 60000, "verity off --loader %s", pack.path) == ctl_code("DeviceVanished"));
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "OwedBackup"), ""));
	CHECK(rig_replug(rig, p) && phone_storage_write(p->phone, "vbmeta", 0, was, sizeof(was)));
	CHECK(ctl(rig, 60000, "verity off --loader %s", pack.path) == 0);
	CHECK(phone_storage_read(p->phone, "vbmeta", 0, is, sizeof(is)) && is[123] & 1 &&
	      !memcmp(is, was, 120) && !memcmp(is + 124, was + 124, sizeof(is) - 124));
	rig_package_free(&pack);
}

int main(void)
{
	static const struct rig_test tests[] = {
		{ "the disk is full", full_disk },
		{ "the client dies", client_dies },
		{ "the service dies, and the phone goes on", service_dies },
		{ "unplugged in vbmeta", unplugged },
	};

	return rig_run(tests, ARRAY_SIZE(tests));
}
