/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The daemon is killed at a random moment of a job, again and again, on the same phone, until one attempt
 * gets through: the NV in the phone is then what it was before the first, and nothing is owed any more.
 * KILLS=n for more than a few rounds, SEED=n to repeat one.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bus/rig.h"

#define ERR(name) "org.fdld1.Error." name

static const uint16_t items[] = { 5, 2, 0x179, 0x191 };

struct nv {
	uint8_t bytes[4][512];
	size_t len[4];
};

static void remember(struct phone *phone, struct nv *nv)
{
	memset(nv, 0, sizeof(*nv));
	for (int i = 0; i < 4; i++)
		nv->len[i] = rig_nv_item(phone, items[i], nv->bytes[i], sizeof(nv->bytes[i]));
}

static unsigned int number(const char *name, unsigned int def)
{
	const char *text = getenv(name);

	return text ? (unsigned int)strtoul(text, NULL, 10) : def;
}

static void kills(struct rig *rig)
{
	unsigned int rounds = number("KILLS", 6), seed = number("SEED", 1), owed = 0, cut = 0;
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;
	struct nv before, after;
	char job[64];
	const char *s;

	rig_package(rig, &pack, "sc9863a", 21, 60000);
	remember(p->phone, &before);
	CHECK(before.len[0] == 8);
	for (unsigned int round = 0; round < rounds; round++) {
		int wait = 600 + rand_r(&seed) % 1000; /* most of a job's second and a half */

		CHECK(rig_up(rig, NULL));
		CHECK(rig_plug(rig, p));
		s = rig_flash(rig, p->slot, pack.fd, "a{sv}", 3, "without_backup", "b", 1, "repartition", "s",
			      "always", "level", "s", "verified");
		CHECK(s);
		snprintf(job, sizeof(job), "%s", s);
		rig_sleep(rig, wait);
		CHECK(rig_down(rig, SIGKILL, 3000) == 256 + SIGKILL);
		bed_phone_unplug(p->bp, true);
		CHECK(rig_up(rig, NULL));
		s = rig_get(rig, job, JOB, "State");
		CHECK(!strcmp(s, "interrupted") || !strcmp(s, "succeeded"));
		cut += !strcmp(s, "interrupted");
		s = rig_get(rig, p->slot, SLOT, "OwedBackup");
		owed += *s && *s != '?';
		CHECK(rig_down(rig, SIGTERM, 5000) == 0);
	}
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	s = rig_flash(rig, p->slot, pack.fd, "a{sv}", 3, "without_backup", "b", 1, "repartition", "s",
		      "always", "level", "s", "verified");
	CHECK(s && !strcmp(rig_wait(rig, s, 60000), ""));
	tap_note("%u kills, %u jobs cut short, a backup was owed after %u of them", rounds, cut, owed);
	remember(p->phone, &after);
	for (int i = 0; i < 4; i++)
		if (before.len[i] != after.len[i] || memcmp(before.bytes[i], after.bytes[i], 512))
			tap_note("item %#x differs", items[i]);
	CHECK(!memcmp(&before, &after, sizeof(after)));
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "OwedBackup"), ""));
	rig_package_free(&pack);
}

static bool logged(const struct rig *rig, const char *text)
{
	FILE *f = fopen(rig->log, "r");
	char line[2048];
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f))
		found = strstr(line, text);
	if (f)
		fclose(f);
	return found;
}

/* What a phone was given back is not called owed, and what it was not is, whatever the plan was. */
static void says_what_is_owed(struct rig *rig)
{
	struct phone_setup pulled = { .faults = "unplug at midst 1 of l_fixnv1" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &pulled);
	struct rig_package pack;
	const char *s;

	rig_package(rig, &pack, "sc9863a", 23, 4096);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	s = rig_flash(rig, p->slot, pack.fd, "a{sv}", 2, "without_backup", "b", 1, "repartition", "s",
		      "always");
	CHECK(s && !strcmp(rig_wait(rig, s, 60000), ERR("DeviceVanished")));
	CHECK(!strcmp(rig_dict(rig, s, JOB, "Result", "nv"), "owed"));
	CHECK(logged(rig, "the NV backup of job 1 is owed"));
	CHECK(rig_expect(rig, 3000, p->slot, SLOT, "State", "empty"));
	CHECK(phone_set_faults(p->phone, "", NULL));
	CHECK(rig_plug(rig, p));
	s = rig_flash(rig, p->slot, pack.fd, "a{sv}", 2, "without_backup", "b", 1, "repartition", "s",
		      "always");
	CHECK(s && !strcmp(rig_wait(rig, s, 60000), ""));
	CHECK(!strcmp(rig_dict(rig, s, JOB, "Result", "nv"), "returned"));
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "OwedBackup"), ""));
	CHECK(!logged(rig, "the NV backup of job 2 is owed"));
	rig_package_free(&pack);
}

/*
 * A board whose NV are nonsense, but whose calibration is not: what was read of its NV is stored as no valid
 * NV beside what is owed. The next job, of the same run of the daemon, gives back the calibration and not
 * those bytes in its place.
 */
static void beside_invalid(struct rig *rig)
{
	uint8_t before[4096], after[4096];
	struct phone_setup board = { .nv = before,
				     .nv_length = sizeof(before),
				     .faults = "unplug at erase 1; unplug at midst 1 of prodnv" };
	struct rig_phone *p;
	struct rig_package pack;
	const char *s;

	for (size_t i = 0; i < sizeof(before); i++)
		before[i] = (uint8_t)(i * 7 + i / 256);
	p = rig_phone(rig, "sc9863a", "1", &board);
	CHECK(phone_storage_write(p->phone, "prodnv", 65536, before, sizeof(before)));
	CHECK(phone_storage_write(p->phone, "miscdata", 0, before, sizeof(before)));
	rig_package(rig, &pack, "sc9863a", 22, 4096);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	s = rig_flash(rig, p->slot, pack.fd, "a{sv}", 2, "nv", "s", "keep-if-any", "repartition", "s",
		      "always");
	CHECK(s && !strcmp(rig_wait(rig, s, 60000), ERR("DeviceVanished")));
	CHECK(rig_expect(rig, 3000, p->slot, SLOT, "State", "empty"));
	CHECK(*rig_get(rig, p->slot, SLOT, "OwedBackup"));
	CHECK(phone_set_faults(p->phone, "", NULL));
	CHECK(rig_plug(rig, p));
	s = rig_flash(rig, p->slot, pack.fd, "a{sv}", 2, "nv", "s", "keep-if-any", "repartition", "s",
		      "always");
	CHECK(s && !strcmp(rig_wait(rig, s, 60000), ""));
	CHECK(phone_storage_read(p->phone, "prodnv", 65536, after, sizeof(after)));
	CHECK(!memcmp(before, after, sizeof(after)));
	CHECK(phone_storage_read(p->phone, "miscdata", 0, after, sizeof(after)));
	CHECK(!memcmp(before, after, sizeof(after)));
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "OwedBackup"), ""));
	rig_package_free(&pack);
}

static const struct rig_test tests[] = {
	{ "killed at random moments, NV comes through", kills },
	{ "what is owed is called so, what was returned is not", says_what_is_owed },
	{ "calibration is owed beside NV that were none", beside_invalid },
};

int main(void)
{
	return rig_run(tests, sizeof(tests) / sizeof(tests[0]));
}
