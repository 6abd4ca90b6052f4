/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Raw mode over the wire: the real daemon streams unframed blocks through the real libusb, to loaders that
 * acknowledge the last block before and after it is written (bsl-protocol 10). It is off unless it was asked
 * for, what it wrote is compared with the package, and what it could not be compared with is said.
 */
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "tests/bus/rig.h"

#define BLOCK (2u << 20)

struct raw_seen {
	uint64_t pieces, bytes, largest;
};

static struct raw_seen raw_of(const struct phone *phone)
{
	struct raw_seen seen = { 0 };

	for (size_t i = 0; i < phone_entries(phone); i++) {
		const struct phone_entry *e = phone_entry(phone, i);

		for (size_t k = 0; k < e->piece_count; k++) {
			if (!e->pieces[k].raw)
				continue;
			seen.pieces++;
			seen.bytes += e->pieces[k].length;
			seen.largest = MAX(seen.largest, (uint64_t)e->pieces[k].length);
		}
	}
	return seen;
}

static uint8_t boot[2 * BLOCK + 4097];

/* A package with one image of more than two raw blocks. */
static void large(struct rig *rig, struct rig_package *pack, const char *family, uint64_t seed)
{
	static const struct compose_file file = { .id = "BOOT", .data = boot, .len = sizeof(boot) };

	compose_random(seed, boot, sizeof(boot));
	rig_package(rig, pack, family, seed, 20000);
	pack->spec.plain_boot = true;
	pack->spec.file = &file;
	pack->spec.files = 1;
	rig_package_write(rig, pack);
}

static bool holds(const struct rig_phone *p, const struct rig_package *pack)
{
	char wrong[512] = "";

	if (rig_compare(p->phone, pack, wrong, sizeof(wrong)) && !wrong[0])
		return true;
	tap_note("%s", wrong);
	return false;
}

static void flashes(struct rig *rig, const char *profile, const char *level)
{
	struct rig_phone *p = rig_phone(rig, profile, "1", NULL);
	struct rig_package pack;
	struct raw_seen seen;
	const char *job;

	large(rig, &pack, profile, 31);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	job = rig_flash(rig, p->slot, pack.fd, "a{sv}", 2, "raw", "b", 1, "level", "s", level);
	CHECK(job);
	CHECK(!strcmp(rig_wait(rig, job, 120000), ""));
	CHECK(!strcmp(rig_dict(rig, job, JOB, "Result", "level"), level));
	seen = raw_of(p->phone);
	tap_note("%s: %llu raw bytes in %llu pieces", profile, (unsigned long long)seen.bytes,
		 (unsigned long long)seen.pieces);
	CHECK(seen.pieces > 2 && seen.bytes > 2 * BLOCK && seen.largest <= BLOCK);
	CHECK(holds(p, &pack));
	rig_package_free(&pack);
}

static void compared(struct rig *rig)
{
	flashes(rig, "sc9863a", "verified");
}

static void acknowledged(struct rig *rig)
{
	flashes(rig, "sc9863a", "acknowledged");
}

static void late_loader(struct rig *rig)
{
	flashes(rig, "ums9620", "verified");
}

static void off_by_default(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;
	const char *job;

	large(rig, &pack, "sc9863a", 32);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	job = rig_flash(rig, p->slot, pack.fd, NULL, 0);
	CHECK(job);
	CHECK(!strcmp(rig_wait(rig, job, 120000), ""));
	CHECK(raw_of(p->phone).pieces == 0);
	rig_package_free(&pack);
}

/* A write error in the place of an ACK: named, and the recording tells of the stream. */
static void fails(struct rig *rig)
{
	const struct phone_setup bad = { .faults = "F42 on boot" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &bad);
	struct rig_package pack;
	sd_bus_message *m = NULL;
	const char *job, *text = "";

	large(rig, &pack, "sc9863a", 33);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	job = rig_flash(rig, p->slot, pack.fd, "a{sv}", 1, "raw", "b", 1);
	CHECK(job);
	CHECK(strstr(rig_wait(rig, job, 120000), "StorageWriteFailed"));
	CHECK(rig_call(rig, 5000, &m, job, JOB, "Trace", "a{sv}", 0));
	CHECK(sd_bus_message_read(m, "s", &text) > 0);
	CHECK(strstr(text, " stream 0000 len 2097152 check 0000 secret\n"));
	sd_bus_message_unref(m);
	rig_package_free(&pack);
}

int main(void)
{
	static const struct rig_test tests[] = {
		{ "raw blocks, read back and compared", compared },
		{ "raw blocks, acknowledged", acknowledged },
		{ "raw blocks of a late loader", late_loader },
		{ "raw mode is off by default", off_by_default },
		{ "a raw block that cannot be written", fails },
	};

	return rig_run(tests, ARRAY_SIZE(tests));
}
