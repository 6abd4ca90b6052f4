/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Phones without names and without a table, whose places are numbers in one flash: a feature phone (sc6531e)
 * and a module with one loader (uic8850) read, written and erased by the real daemon and client.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "tests/bus/ctl.h"
#include "tests/bus/rig.h"
#include "tests/bus/written.h"
#include "tests/phone/loader.h"

static uint8_t want[300 * KIB], have[300 * KIB];

static bool lay(struct rig_phone *p, const char *place, uint64_t seed, size_t len)
{
	compose_random(seed, want, len);
	return phone_storage_write(p->phone, place, 0, want, len);
}

static bool file_is(const char *path, size_t len)
{
	FILE *f = fopen(path, "rb");
	size_t n = f ? fread(have, 1, sizeof(have), f) : 0;

	if (f)
		fclose(f);
	return n == len && !memcmp(have, want, len);
}

static bool erased(struct rig_phone *p, const char *place, size_t len)
{
	if (!phone_storage_read(p->phone, place, 0, have, len))
		return false;
	for (size_t i = 0; i < len; i++)
		if (have[i] != 0xff)
			return false;
	return true;
}

struct flash {
	const char *name;
	const char *area, *place, *other, *beside; /* beside: nothing is done to it */
	unsigned int loaders;
};

static const struct flash feature = { "sc6531e", "0x80000003", "ps", "mmires", "dsp", 2 };
static const struct flash module = { "uic8850", "0x60030000", "ap", "appimg", "prepack", 1 };

/* Written, read, read in part, erased, all on one session. */
static void round_trip(struct rig *rig, const struct flash *f)
{
	struct rig_phone *p = rig_phone(rig, f->name, "1", NULL);
	struct rig_package pack;
	const char *image;
	char path[128];

	rig_package(rig, &pack, f->name, 7, 4096);
	image = written_any(rig, "a.img", 21, 100 * KIB + 13, false);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	CHECK(lay(p, f->other, 4, 5000) && lay(p, f->beside, 5, 5000));
	CHECK(ctl(rig, 60000, "write-flash --slot 1-1 --loader %s %s %s", pack.path, f->area, image) == 0);
	CHECK(strstr(ctl_out, "PASS") && strstr(ctl_out, "written and compared"));
	CHECK(written_holds_any(p, f->place, 21, 100 * KIB + 13, false) &&
	      written_only(p->phone, f->place, ""));
	CHECK(written_loads(p->phone) == f->loaders);
	snprintf(path, sizeof(path), "%s/one.img", rig->dir);
	CHECK(ctl(rig, 60000, "read-flash %s %u %s", f->area, 100 * KIB + 13, path) == 0);
	CHECK(phone_storage_read(p->phone, f->place, 0, want, 100 * KIB + 13) &&
	      file_is(path, 100 * KIB + 13));
	snprintf(path, sizeof(path), "%s/two.img", rig->dir);
	CHECK(ctl(rig, 60000, "read --output %s %s:4096+513", path, f->area) == 0);
	CHECK(phone_storage_read(p->phone, f->place, 4096, want, 513) && file_is(path, 513));
	CHECK(ctl(rig, 60000, "erase-flash %s 0x10000", f->area) == 0 && erased(p, f->place, 0x10000));
	CHECK(written_loads(p->phone) == f->loaders);
	compose_random(4, want, 5000);
	CHECK(phone_storage_read(p->phone, f->other, 0, have, 5000) && !memcmp(have, want, 5000));
	compose_random(5, want, 5000);
	CHECK(phone_storage_read(p->phone, f->beside, 0, have, 5000) && !memcmp(have, want, 5000));
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "State"), "ready"));
	CHECK(ctl(rig, 20000, "reset 1-1") == 0);
	rig_package_free(&pack);
}

static void sc6531e(struct rig *rig)
{
	round_trip(rig, &feature);
}

static void uic8850(struct rig *rig)
{
	round_trip(rig, &module);
}

/* As much as its signed header says. */
static void measured(struct rig *rig)
{
	static uint8_t body[40001], image[41000];
	struct rig_phone *p = rig_phone(rig, feature.name, "1", NULL);
	struct rig_package pack;
	char path[128];
	size_t len;

	rig_package(rig, &pack, feature.name, 7, 4096);
	compose_random(9, body, sizeof(body));
	len = phone_make_dhtb(body, sizeof(body), image, sizeof(image));
	memcpy(want, image, len);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	CHECK(phone_storage_write(p->phone, feature.place, 0, image, len));
	snprintf(path, sizeof(path), "%s/one.img", rig->dir);
	CHECK(ctl(rig, 60000, "read-flash --loader %s %s auto %s", pack.path, feature.area, path) == 0);
	CHECK(file_is(path, len));
	image[0] ^= 1;
	CHECK(phone_storage_write(p->phone, feature.place, 0, image, len));
	CHECK(ctl(rig, 60000, "read-flash --replace %s auto %s", feature.area, path) ==
	      ctl_code("InvalidArgs"));
	rig_package_free(&pack);
}

/* What is its own takes so many words, and is kept; NV of a file keep what is the phone's. */
static void own(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, feature.name, "1", NULL);
	struct rig_package pack;
	const char *image;
	char kept[128];

	rig_package(rig, &pack, feature.name, 7, 4096);
	image = written_any(rig, "a.img", 22, 2000, false);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	CHECK(lay(p, "phasecheck", 8, 4096));
	CHECK(ctl(rig, 60000, "write-flash --loader %s 0x90000002 %s", pack.path, image) ==
	      ctl_code("PartitionUnique"));
	CHECK(ctl(rig, 60000, "erase-flash --loader %s 0x90000002 0x1000", pack.path) ==
	      ctl_code("PartitionUnique"));
	CHECK(!bed_count(bed_phone_dev(p->bp))->submits);
	CHECK(ctl(rig, 60000, "erase-flash --loader %s --i-know 0x90000002 0x1000", pack.path) == 0);
	CHECK(erased(p, "phasecheck", 4096));
	snprintf(kept, sizeof(kept), "%s/job/1/nv/0x90000002.was", rig->state);
	compose_random(8, want, 4096);
	CHECK(file_is(kept, 4096));
	CHECK(!*rig_get(rig, p->slot, SLOT, "OwedBackup"));
	rig_package_free(&pack);
}

/* What only phones with names and a table have. */
static void not_there(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, feature.name, "1", NULL);
	struct rig_package pack;
	const char *image = written_any(rig, "a.img", 24, 2000, false);

	rig_package(rig, &pack, feature.name, 7, 4096);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	CHECK(ctl(rig, 60000, "erase --loader %s logo", pack.path) == ctl_code("NoPartitions"));
	CHECK(ctl(rig, 60000, "write --loader %s logo %s", pack.path, image) == ctl_code("NoPartitions"));
	CHECK(ctl(rig, 60000, "partitions --loader %s", pack.path) == ctl_code("NoPartitions"));
	CHECK(ctl(rig, 60000, "active --loader %s b", pack.path) == ctl_code("NoPartitions"));
	CHECK(ctl(rig, 60000, "verity --loader %s off", pack.path) == ctl_code("NoPartitions"));
	CHECK(!bed_count(bed_phone_dev(p->bp))->submits);
	rig_package_free(&pack);
}

static void broken(struct rig *rig, const char *faults, const char *verb, const char *leaves)
{
	struct phone_setup setup = { .faults = faults };
	struct rig_phone *p = rig_phone(rig, feature.name, "1", &setup);
	struct rig_package pack;
	const char *image;
	char what[160];

	rig_package(rig, &pack, feature.name, 7, 4096);
	image = written_any(rig, "a.img", 23, 64 * KIB, false);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	if (*verb == 'r')
		snprintf(what, sizeof(what), "64K %s/one.img", rig->dir);
	else
		snprintf(what, sizeof(what), "%s", *verb == 'e' ? "0x10000" : image);
	CHECK(ctl(rig, 60000, "%s --loader %s %s %s", verb, pack.path, feature.area, what) ==
	      ctl_code("DeviceVanished"));
	CHECK(!strcmp(rig_get(rig, ROOT "/job/1", JOB, "CancelLeaves"), leaves));
	/* again, on the phone as it is */
	CHECK(phone_set_faults(p->phone, "", NULL));
	bed_phone_unplug(p->bp, true);
	CHECK(rig_expect(rig, 5000, p->slot, SLOT, "State", "empty") && rig_plug(rig, p));
	CHECK(ctl(rig, 60000, "write-flash --loader %s %s %s", pack.path, feature.area, image) == 0);
	CHECK(written_holds_any(p, feature.place, 23, 64 * KIB, false));
	rig_package_free(&pack);
}

static void unplugged_write(struct rig *rig)
{
	broken(rig, "unplug at midst 20 of ps", "write-flash", "needs-flash");
}

static void unplugged_read(struct rig *rig)
{
	broken(rig, "unplug at read 5", "read-flash", "unchanged");
}

static void unplugged_erase(struct rig *rig)
{
	broken(rig, "unplug at erase 1", "erase-flash", "needs-flash");
}

/* The whole package: NV merged, what it lists erased. */
static void flashed(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, feature.name, "1", NULL);
	struct rig_package pack;

	rig_package(rig, &pack, feature.name, 7, 4096);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	CHECK(ctl(rig, 60000, "flash %s", pack.path) == 0 && strstr(ctl_out, "PASS"));
	CHECK(!strcmp(rig_dict(rig, ROOT "/job/1", JOB, "Result", "nv"), "kept"));
	rig_package_free(&pack);
}

int main(void)
{
	static const struct rig_test tests[] = {
		{ "sc6531e: written, read and erased by numbers", sc6531e },
		{ "uic8850: the same with one loader", uic8850 },
		{ "as much is read as a signed header says", measured },
		{ "what is the phone's own", own },
		{ "names, slots and verity: there are none", not_there },
		{ "unplugged in a write", unplugged_write },
		{ "unplugged in a read", unplugged_read },
		{ "unplugged in an erase", unplugged_erase },
		{ "a whole package", flashed },
	};

	return rig_run(tests, ARRAY_SIZE(tests));
}
