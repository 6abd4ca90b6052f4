/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How phones start: marks in misc, vbmeta and miscdata shown and set by the real daemon, the bytes they stand
 * in and no others, phones without slots, wrong checksums, and the ways a phone is told to go.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "tests/bus/ctl.h"
#include "tests/bus/rig.h"

#define MISC   (1u << 20) /* bytes */
#define VBMETA (1u << 20)

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

static bool lay(struct rig_phone *p)
{
	return phone_storage_write(p->phone, "misc", 0, was, sizeof(was));
}

/* No message; slots: a has started before, b is untried. */
static bool lay_misc(struct rig_phone *p, bool slots)
{
	uint8_t *c = was + 2048;
	uint32_t crc;

	compose_random(31, was, sizeof(was));
	memset(was, 0, 832);
	memset(c, 0, 32);
	if (slots)
		memcpy(c, "_a\0\0BCAB\1\2\0\0\x8f\0\x6e\0", 16);
	crc = crc32(c, 28);
	for (int i = 0; slots && i < 4; i++)
		c[28 + i] = (uint8_t)(crc >> 8 * i);
	return lay(p);
}

static bool misc(struct rig_phone *p)
{
	return phone_storage_read(p->phone, "misc", 0, is, sizeof(is));
}

/* Outside of these bytes nothing is other than before. */
static bool rest_same(size_t from, size_t to)
{
	return !memcmp(was, is, from) && !memcmp(was + to, is + to, sizeof(is) - to);
}

static unsigned int loads(const struct phone *phone)
{
	unsigned int n = 0;

	for (size_t i = 0; i < phone_deeds(phone); i++)
		n += phone_deed(phone, i)->kind == PHONE_DEED_RAM;
	return n;
}

static unsigned int changes(const struct phone *phone)
{
	unsigned int n = 0;

	for (size_t i = 0; i < phone_deeds(phone); i++)
		n += phone_deed(phone, i)->kind != PHONE_DEED_RAM &&
		     phone_deed(phone, i)->kind != PHONE_DEED_LOG;
	return n;
}

static bool left(void *arg)
{
	return phone_stage(((struct rig_phone *)arg)->phone) != PHONE_FDL2;
}

static bool go(struct rig *rig, struct rig_phone *p, struct rig_package *pack, const char *profile,
	       bool slots)
{
	rig_package(rig, pack, profile, 7, 4096);
	return lay_misc(p, slots) && rig_up(rig, NULL) && rig_plug(rig, p);
}

/* ---- round, on every kind of phone --------------------------------------------------- */

static void profile(struct rig *rig, const char *name)
{
	struct rig_phone *p = rig_phone(rig, name, "1", NULL);
	struct rig_package pack;
	uint8_t first[4];
	unsigned int once;

	CHECK(go(rig, p, &pack, name, true));
	CHECK(ctl(rig, 60000, "mode --slot 1-1 --loader %s", pack.path) == 0);
	CHECK(strstr(ctl_out, "next start: normal") && strstr(ctl_out, "no mode is set"));
	CHECK(!strcmp(rig_get(rig, ROOT "/job/1", JOB, "Kind"), "marks"));
	CHECK(ctl(rig, 60000, "active") == 0 && strstr(ctl_out, "active: a") &&
	      strstr(ctl_out, "slot b: priority 14, 6 tries left"));
	CHECK(ctl(rig, 60000, "--json active") == 0 && ctl_json() && !strcmp(ctl_str(-1, "active"), "a") &&
	      !strcmp(ctl_str(-1, "slot_data"), "valid") && !strcmp(ctl_str(-1, "start"), "normal"));
	once = loads(p->phone);
	/* showing has changed nothing */
	CHECK(once == 2 && !changes(p->phone) && misc(p) && !memcmp(was, is, sizeof(is)));

	CHECK(ctl(rig, 60000, "mode recovery") == 0 && strstr(ctl_out, "PASS") && misc(p));
	CHECK(!memcmp(is, "boot-recovery\0", 14) && !memcmp(is + 64, "recovery\n\0", 10) &&
	      rest_same(0, 832));
	CHECK(ctl(rig, 60000, "mode") == 0 && strstr(ctl_out, "next start: recovery"));
	memcpy(was, is, sizeof(was));
	CHECK(ctl(rig, 60000, "active b") == 0 && misc(p));
	CHECK(!memcmp(is + 2048, "_b", 2) && rest_same(2048, 2080));
	CHECK(ctl(rig, 60000, "active") == 0 && strstr(ctl_out, "active: b"));
	memcpy(was, is, sizeof(was));
	CHECK(ctl(rig, 60000, "mode 17") == 0);
	CHECK(phone_storage_read(p->phone, "miscdata", 0x2420, first, 4) && !memcmp(first, "\x11MFS", 4));
	CHECK(ctl(rig, 60000, "mode") == 0 && strstr(ctl_out, "first start: mode 17"));
	CHECK(misc(p) && !memcmp(was, is, sizeof(is)) && loads(p->phone) == once);
	CHECK(!strcmp(rig_get(rig, ROOT "/job/4", JOB, "Kind"), "mark"));
	CHECK(!strcmp(rig_dict(rig, ROOT "/job/4", JOB, "Result", "level"), "verified") &&
	      !strcmp(rig_dict(rig, ROOT "/job/4", JOB, "Result", "leaves"), "complete"));
	/* nobody is owed anything for it */
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "OwedBackup"), ""));
	CHECK(ctl(rig, 60000, "mode normal") == 0 && misc(p));
	CHECK(!is[0] && !is[64] && rest_same(0, 832));
	CHECK(ctl(rig, 60000, "reset --to fastboot") == 0 && misc(p));
	CHECK(!memcmp(is + 64, "recovery\n--fastboot\n", 21) && rest_same(0, 832));
	CHECK(rig_until(rig, 20000, left, p));
	rig_package_free(&pack);
}

static void sc9863a(struct rig *rig)
{
	profile(rig, "sc9863a");
}

static void ums512(struct rig *rig)
{
	profile(rig, "ums512");
}

static void ums9230(struct rig *rig)
{
	profile(rig, "ums9230");
}

static void ums9620(struct rig *rig)
{
	profile(rig, "ums9620");
}

/* ---- verity -------------------------------------------------------------------------- */

static uint8_t meta[2][VBMETA];

static bool verity_is(const struct rig_phone *p, const char *name, const uint8_t *before, bool on)
{
	return phone_storage_read(p->phone, name, 0, is, VBMETA) && !memcmp(is, before, 120) &&
	       !memcmp(is + 124, before + 124, VBMETA - 124) && !is[120] && !is[121] && !is[122] &&
	       is[123] == (on ? 2 : 3);
}

/* Verity is on, and another flag is set, which stays. */
static bool lay_meta(struct rig_phone *p, bool slots)
{
	for (int i = 0; i < 2; i++) {
		compose_random(41 + (uint64_t)i, meta[i], VBMETA);
		memcpy(meta[i], "AVB0", 4);
		memcpy(meta[i] + 120, "\0\0\0\2", 4);
		memset(meta[i] + VBMETA - 512, 0, 512);
	}
	return phone_storage_write(p->phone, slots ? "vbmeta_a" : "vbmeta", 0, meta[0], VBMETA) &&
	       (!slots || phone_storage_write(p->phone, "vbmeta_b", 0, meta[1], VBMETA));
}

/* A phone that checks no signatures, with the table of one that does. */
static void verity(struct rig *rig, const char *name, const char *table, bool slots)
{
	const struct phone_profile *other = phone_profile_by_name(table);
	struct phone_setup setup = { .parts = other->parts, .part_count = other->part_count };
	struct rig_phone *p = rig_phone(rig, name, "1", &setup);
	struct rig_package pack;

	CHECK(go(rig, p, &pack, name, slots));
	CHECK(lay_meta(p, slots));
	CHECK(ctl(rig, 60000, "verity --loader %s", pack.path) == 0);
	CHECK(strstr(ctl_out, slots ? "vbmeta_a: on" : "vbmeta: on"));
	CHECK(!slots || strstr(ctl_out, "vbmeta_b: on"));
	CHECK(!changes(p->phone));
	CHECK(ctl(rig, 60000, "verity off") == 0);
	CHECK(verity_is(p, slots ? "vbmeta_a" : "vbmeta", meta[0], false) &&
	      (!slots || verity_is(p, "vbmeta_b", meta[1], false)));
	CHECK(ctl(rig, 60000, "verity") == 0 && strstr(ctl_out, ": off") && !strstr(ctl_out, ": on"));
	CHECK(ctl(rig, 60000, "verity on") == 0);
	CHECK(verity_is(p, slots ? "vbmeta_a" : "vbmeta", meta[0], true) &&
	      (!slots || verity_is(p, "vbmeta_b", meta[1], true)));
	rig_package_free(&pack);
}

static void verity_one(struct rig *rig)
{
	verity(rig, "sc9863a", "ums512", false);
}

static void verity_two(struct rig *rig)
{
	verity(rig, "sc9863a", "ums9230", true);
}

static void verity_lk(struct rig *rig)
{
	verity(rig, "ums9620", "ums512", false);
}

static void verity_nr(struct rig *rig)
{
	verity(rig, "ud710", "ums9230", true);
}

/* Who checks signatures does not take a vbmeta that was changed, and it is said so. */
static void verity_signed(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "ums9230", "1", NULL);
	struct rig_package pack;

	CHECK(go(rig, p, &pack, "ums9230", true) && lay_meta(p, true));
	CHECK(ctl(rig, 60000, "verity off --loader %s", pack.path) == ctl_code("SignatureRefused"));
	rig_package_free(&pack);
}

/* ---- what is refused ----------------------------------------------------------------- */

/* What is not there is not made up. */
static void one_slot(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;

	CHECK(go(rig, p, &pack, "sc9863a", false));
	CHECK(ctl(rig, 60000, "active --loader %s", pack.path) == 0 && strstr(ctl_out, "one slot"));
	CHECK(ctl(rig, 60000, "active b") == ctl_code("MarkUnusable") && strstr(ctl_out, "one slot"));
	CHECK(strstr(ctl_out, "unchanged"));
	CHECK(ctl(rig, 60000, "verity off") == ctl_code("PartitionMissing"));
	CHECK(ctl(rig, 60000, "verity") == ctl_code("MarkUnusable"));
	CHECK(misc(p) && !memcmp(was, is, sizeof(is)) && !changes(p->phone));
	/* and the phone can be gone on with */
	CHECK(loads(p->phone) == 2);
	CHECK(ctl(rig, 60000, "mode fastboot") == 0 && loads(p->phone) == 2);
	rig_package_free(&pack);
}

static void no_vbmeta(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "ums512", "1", NULL);
	struct rig_package pack;

	CHECK(go(rig, p, &pack, "ums512", false));
	CHECK(phone_storage_write(p->phone, "vbmeta", 0, was, 4096));
	CHECK(ctl(rig, 60000, "verity off --loader %s", pack.path) == ctl_code("MarkUnusable"));
	CHECK(ctl(rig, 60000, "verity") == ctl_code("MarkUnusable") && !changes(p->phone));
	rig_package_free(&pack);
}

static void checksum(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "ums9230", "1", NULL);
	struct rig_package pack;

	CHECK(go(rig, p, &pack, "ums9230", true));
	was[2048 + 28] ^= 1;
	CHECK(lay(p));
	CHECK(ctl(rig, 60000, "active --loader %s", pack.path) == ctl_code("MarkUnusable") &&
	      strstr(ctl_err, "checksum"));
	CHECK(ctl(rig, 60000, "--json active") == 0 && ctl_json() &&
	      !strcmp(ctl_str(-1, "slot_data"), "damaged"));
	CHECK(ctl(rig, 60000, "active a") == ctl_code("MarkUnusable") && strstr(ctl_out, "checksum"));
	/* nor by a change beside it */
	CHECK(misc(p) && !memcmp(was, is, sizeof(is)) && !changes(p->phone));
	CHECK(ctl(rig, 60000, "mode recovery") == 0 && misc(p) && rest_same(0, 832));
	rig_package_free(&pack);
}

static bool call(struct rig *rig, const struct rig_phone *p, const char *key, const char *text,
		 uint32_t number)
{
	bool gone = false;

	if (text)
		gone = rig_call(rig, 5000, NULL, p->slot, SLOT, "SetMarks", "a{sv}", 1, key, "s", text);
	else if (key)
		gone = rig_call(rig, 5000, NULL, p->slot, SLOT, "SetMarks", "a{sv}", 1, key, "u", number);
	else
		gone = rig_call(rig, 5000, NULL, p->slot, SLOT, "SetMarks", "a{sv}", 0);
	return gone;
}

static bool invalid(struct rig *rig, const struct rig_phone *p, const char *key, const char *text,
		    uint32_t number)
{
	return !call(rig, p, key, text, number) && !strcmp(rig->error, "org.fdld1.Error.InvalidArgs");
}

static void refused(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;

	CHECK(go(rig, p, &pack, "sc9863a", true));
	CHECK(invalid(rig, p, NULL, NULL, 0) && invalid(rig, p, "start", "bootloader", 0));
	CHECK(invalid(rig, p, "start", "factory-reset", 0) && invalid(rig, p, "active", "c", 0));
	CHECK(invalid(rig, p, "first_mode", NULL, 256));
	CHECK(!call(rig, p, "start", "normal", 0) && !strcmp(rig->error, "org.fdld1.Error.NoLoader"));
	CHECK(ctl(rig, 5000, "mode 256") == 2 && ctl(rig, 5000, "mode download") == 2 &&
	      ctl(rig, 5000, "mode a b") == 2 && ctl(rig, 5000, "active c") == 2 &&
	      ctl(rig, 5000, "active a b") == 2 && ctl(rig, 5000, "verity maybe") == 2 &&
	      ctl(rig, 5000, "reset --to moon") == 2 &&
	      ctl(rig, 5000, "reset --power-off --to recovery") == 2);
	CHECK(!loads(p->phone) && !bed_count(bed_phone_dev(p->bp))->submits);
	rig_package_free(&pack);
}

/* By numbers there are no such places. */
static void by_number(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc8830", "1", NULL);
	struct rig_package pack;

	rig_package(rig, &pack, "sc8830", 7, 4096);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	CHECK(ctl(rig, 60000, "mode recovery --loader %s", pack.path) == ctl_code("NoPartitions"));
	CHECK(ctl(rig, 60000, "mode --loader %s", pack.path) == ctl_code("NoPartitions"));
	CHECK(!loads(p->phone));
	rig_package_free(&pack);
}

/* ---- faults and ends ----------------------------------------------------------------- */

static void unplugged(struct rig *rig)
{
	struct phone_setup setup = { .faults = "unplug at midst 1 of misc" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &setup);
	struct rig_package pack;

	CHECK(go(rig, p, &pack, "sc9863a", true));
	CHECK(ctl(rig, 60000, "active b --loader %s", pack.path) == ctl_code("DeviceVanished"));
	CHECK(strstr(ctl_out, "needs"));
	/* what stood there is kept: job/1/nv/misc.was */
	CHECK(ctl(rig, 5000, "nv list") == 0);
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "OwedBackup"), ""));
	snprintf((char *)is, 128, "cmp %s/job/1/nv/misc.was -", rig->state);
	{
		FILE *f = popen((const char *)is, "w");

		CHECK(f && fwrite(was, sizeof(was), 1, f) == 1 && pclose(f) == 0);
	}
	rig_package_free(&pack);
}

static void power_off(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "ums512", "1", NULL);
	struct rig_package pack;

	CHECK(go(rig, p, &pack, "ums512", true));
	CHECK(ctl(rig, 60000, "mode --loader %s", pack.path) == 0);
	CHECK(ctl(rig, 60000, "reset --to power-off") == 0);
	CHECK(!strcmp(rig_get(rig, ROOT "/job/2", JOB, "Kind"), "power-off"));
	/* it waits for the cable to go, and is off then */
	bed_phone_unplug(p->bp, true);
	CHECK(rig_until(rig, 20000, left, p) && phone_stage(p->phone) == PHONE_OFF);
	CHECK(misc(p) && !memcmp(was, is, sizeof(is)));
	rig_package_free(&pack);
}

/* Not kept there: its loaders are sent for it. */
static void fresh(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "ums512", "1", NULL);
	struct rig_package pack;

	CHECK(go(rig, p, &pack, "ums512", true));
	CHECK(ctl(rig, 60000, "reset --to recovery 1-1") == ctl_code("NoLoader"));
	CHECK(ctl(rig, 60000, "reset --to recovery --loader %s 1-1", pack.path) == 0);
	CHECK(rig_until(rig, 20000, left, p));
	CHECK(misc(p) && !memcmp(is + 64, "recovery\n\0", 10));
	rig_package_free(&pack);
}

int main(void)
{
	static const struct rig_test tests[] = {
		{ "sc9863a: shown, set, shown again, reset into a mode", sc9863a },
		{ "ums512: the same", ums512 },
		{ "ums9230: the same", ums9230 },
		{ "ums9620: the same", ums9620 },
		{ "verity, one vbmeta", verity_one },
		{ "verity, one for each slot", verity_two },
		{ "ums9620: verity", verity_lk },
		{ "ud710: verity, one for each slot", verity_nr },
		{ "verity of a phone that checks signatures", verity_signed },
		{ "one slot, and no vbmeta", one_slot },
		{ "a vbmeta that is none", no_vbmeta },
		{ "a wrong checksum is not made right by guessing", checksum },
		{ "what nobody can mean", refused },
		{ "sc8830, by numbers: no such places", by_number },
		{ "unplugged in the middle", unplugged },
		{ "switched off", power_off },
		{ "reset into a mode out of the boot ROM", fresh },
	};

	return rig_run(tests, ARRAY_SIZE(tests));
}
