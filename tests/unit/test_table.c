/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/util.h"
#include "flash/table.h"

/* ---- a disk made by hand ---- */

static uint32_t crc32(const uint8_t *p, size_t n)
{
	uint32_t crc = 0xFFFFFFFF;

	for (size_t i = 0; i < n; i++) {
		crc ^= p[i];
		for (int k = 0; k < 8; k++)
			crc = crc & 1 ? crc >> 1 ^ 0xEDB88320 : crc >> 1;
	}
	return ~crc;
}

struct part {
	const char *name;
	uint64_t first, last;
};

static void seal(uint8_t *disk, uint32_t sector, uint32_t entries, uint32_t size)
{
	uint8_t *h = disk + sector;

	put_le32(h + 88, crc32(disk + 2 * sector, (size_t)entries * size));
	put_le32(h + 16, 0);
	put_le32(h + 16, crc32(h, 92));
}

static void make(uint8_t *disk, size_t room, uint32_t sector, const struct part *parts, size_t count)
{
	uint8_t *h = disk + sector, *a = disk + 2 * sector;

	memset(disk, 0, room);
	memcpy(h, "EFI PART", 8);
	put_le32(h + 8, 0x10000);
	put_le32(h + 12, 92);
	put_le64(h + 24, 1);
	put_le64(h + 32, 999999);
	put_le64(h + 40, 34);
	put_le64(h + 48, 999965);
	put_le64(h + 72, 2);
	put_le32(h + 80, 128);
	put_le32(h + 84, 128);
	for (size_t i = 0; i < count; i++) {
		uint8_t *e = a + i * 128;

		e[0] = 1;
		put_le64(e + 32, parts[i].first);
		put_le64(e + 40, parts[i].last);
		for (size_t k = 0; parts[i].name[k]; k++)
			e[56 + 2 * k] = (uint8_t)parts[i].name[k];
	}
	seal(disk, sector, 128, 128);
}

static const struct part usual[] = { { "prodnv", 2048, 12287 },
				     { "miscdata", 12288, 14335 },
				     { "userdata", 14336, 999965 } };

static void reads_gpt(void **state)
{
	static uint8_t disk[65536];
	static struct flash_table t;
	size_t need;

	for (uint32_t sector = 512; sector <= 4096; sector *= 8) {
		make(disk, sizeof(disk), sector, usual, 3);
		assert_int_equal(table_from_gpt(disk, sizeof(disk), &t, &need), 0);
		assert_int_equal(t.origin, TABLE_GPT);
		assert_int_equal(t.sector, sector);
		assert_true(t.unit_sure);
		assert_int_equal(t.count, 3);
		assert_string_equal(t.entry[1].name, "miscdata");
		assert_int_equal(t.entry[1].start, 12288ull * sector);
		assert_int_equal(t.entry[1].size, 2048ull * sector);
		assert_int_equal(t.user_size, 1000000ull * sector);
		assert_ptr_equal(table_find(&t, "userdata"), &t.entry[2]);
		assert_null(table_find(&t, "user"));
	}
}

static void asks_for_more(void **state)
{
	static uint8_t disk[65536];
	static struct flash_table t;
	size_t need;

	make(disk, sizeof(disk), 4096, usual, 3);
	assert_int_equal(table_from_gpt(disk, 3 * 4096, &t, &need), -EAGAIN);
	assert_int_equal(need, 2 * 4096 + 128 * 128);
	assert_int_equal(table_from_gpt(disk, need, &t, &need), 0);
	assert_int_equal(table_from_gpt(disk, 512, &t, &need), -ENOENT);
	assert_int_equal(table_from_gpt(disk, 0, &t, &need), -ENOENT);
	memset(disk, 0xFF, sizeof(disk));
	assert_int_equal(table_from_gpt(disk, sizeof(disk), &t, &need), -ENOENT);
}

static int damaged(uint8_t *disk, size_t at, uint8_t value, bool again)
{
	static struct flash_table t;
	size_t need;

	make(disk, 65536, 512, usual, 3);
	disk[at] = value;
	if (again)
		seal(disk, 512, 128, 128);
	return table_from_gpt(disk, 65536, &t, &need);
}

static void refuses_damage(void **state)
{
	static uint8_t disk[65536];

	/* bits that flipped */
	assert_int_equal(damaged(disk, 512 + 40, 35, false), -EBADMSG);
	assert_int_equal(damaged(disk, 1024 + 56, 'q', false), -EBADMSG);
	/* checks right, content impossible */
	assert_int_equal(damaged(disk, 512 + 12, 91, true), -EBADMSG); /* header size */
	assert_int_equal(damaged(disk, 512 + 24, 2, true), -EBADMSG);  /* not in its place */
	assert_int_equal(damaged(disk, 512 + 84, 64, true), -EBADMSG); /* entry size */
	assert_int_equal(damaged(disk, 512 + 87, 0x7F, true), -EBADMSG);
	assert_int_equal(damaged(disk, 512 + 83, 0x7F, true), -EBADMSG);
	assert_int_equal(damaged(disk, 512 + 79, 0x7F, true), -EBADMSG); /* array far away */
	assert_int_equal(damaged(disk, 512 + 72, 1, true), -EBADMSG);
	assert_int_equal(damaged(disk, 1024 + 56, 0, true), -EBADMSG);	  /* no name */
	assert_int_equal(damaged(disk, 1024 + 57, 1, true), -EBADMSG);	  /* a wide character */
	assert_int_equal(damaged(disk, 1024 + 56, 0x1B, true), -EBADMSG); /* a control character */
	assert_int_equal(damaged(disk, 1024 + 33, 0xF0, true), -EBADMSG); /* first behind last */
	assert_int_equal(damaged(disk, 1024 + 43, 0xF0, true), -EBADMSG); /* beyond the disk */
}

static void refuses_overlap_and_twins(void **state)
{
	static const struct part overlap[] = { { "a", 2048, 4096 }, { "b", 4096, 5000 } };
	static const struct part twins[] = { { "a", 2048, 4095 }, { "a", 4096, 5000 } };
	static uint8_t disk[65536];
	static struct flash_table t;
	size_t need;

	make(disk, sizeof(disk), 512, overlap, 2);
	assert_int_equal(table_from_gpt(disk, sizeof(disk), &t, &need), -EBADMSG);
	assert_int_equal(t.count, 0);
	make(disk, sizeof(disk), 512, twins, 2);
	assert_int_equal(table_from_gpt(disk, sizeof(disk), &t, &need), -EBADMSG);
}

/* A 512-byte table left over where 4096-byte sectors are in use must not be taken if it is damaged. */
static void prefers_the_valid_one(void **state)
{
	static uint8_t disk[65536];
	static struct flash_table t;
	size_t need;

	make(disk, sizeof(disk), 4096, usual, 3);
	memcpy(disk + 512, "EFI PART", 8);
	assert_int_equal(table_from_gpt(disk, sizeof(disk), &t, &need), 0);
	assert_int_equal(t.sector, 4096);
}

/* ---- the list ---- */

static size_t list(uint8_t *out, const char *const *names, const uint32_t *sizes, size_t n)
{
	memset(out, 0, n * 76);
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; names[i][k]; k++)
			out[i * 76 + 2 * k] = (uint8_t)names[i][k];
		put_le32(out + i * 76 + 72, sizes[i]);
	}
	return n * 76;
}

static const char *const names[] = { "prodnv", "miscdata", "boot", "userdata" };

static void settles_the_unit(void **state)
{
	static const uint32_t kib[] = { 5120, 1024, 46080, 1000003 };
	static const uint32_t kib8[] = { 640, 128, 5760, 1000003 };
	static struct flash_table want = { .origin = TABLE_PACKAGE, .count = 4 }, t, gpt;
	static const uint64_t mib[] = { 5, 1, 45 };
	uint8_t bytes[4 * 76];
	size_t n;

	for (int i = 0; i < 4; i++) {
		strcpy(want.entry[i].name, names[i]);
		want.entry[i].size = i < 3 ? mib[i] << 20 : UINT64_MAX;
	}
	n = list(bytes, names, kib, 4);
	assert_int_equal(table_from_list(bytes, n, NULL, 0, &want, &t), 0);
	assert_true(t.unit_sure);
	assert_int_equal(t.entry[2].size, 45 << 20);
	n = list(bytes, names, kib8, 4);
	assert_int_equal(table_from_list(bytes, n, NULL, 0, &want, &t), 0);
	assert_true(t.unit_sure);
	assert_int_equal(t.sector, 4096);
	assert_int_equal(t.entry[2].size, 45 << 20);
	assert_int_equal(t.entry[3].size, 1000003ull * 8192);

	/* nothing to compare with: a guess that says so */
	assert_int_equal(table_from_list(bytes, n, NULL, 0, NULL, &t), 0);
	assert_false(t.unit_sure);
	assert_int_equal(t.entry[0].size, 5 << 20);
	/* the storage's own word is a hint: it has to be measured */
	assert_int_equal(table_from_list(bytes, n, NULL, 4096, NULL, &t), 0);
	assert_false(t.unit_sure);
	assert_int_equal(t.unit, 8192);
	assert_int_equal(t.entry[0].size, 5 << 20);
	table_set_unit(&t, 1024);
	assert_true(t.unit_sure);
	assert_int_equal(t.sector, 512);
	assert_int_equal(t.entry[0].size, (5 << 20) / 8);
	/* together with the package it is settled, against it nothing is */
	assert_int_equal(table_from_list(bytes, n, NULL, 4096, &want, &t), 0);
	assert_true(t.unit_sure);
	assert_int_equal(table_from_list(bytes, n, NULL, 512, &want, &t), 0);
	assert_false(t.unit_sure);
	/* GPT decides even against the sector: a build that corrects the unit */
	gpt = want;
	gpt.origin = TABLE_GPT;
	gpt.sector = 4096;
	gpt.entry[3].size = 1000003ull * 1024;
	n = list(bytes, names, kib, 4);
	assert_int_equal(table_from_list(bytes, n, &gpt, 4096, NULL, &t), 0);
	assert_true(t.unit_sure);
	assert_int_equal(t.entry[0].size, 5 << 20);
	/* GPT that agrees with neither */
	gpt.entry[0].size = 7 << 20;
	assert_int_equal(table_from_list(bytes, n, &gpt, 0, NULL, &t), 0);
	assert_false(t.unit_sure);
}

static void refuses_bad_lists(void **state)
{
	static const char *const twice[] = { "boot", "boot" };
	static const uint32_t sizes[] = { 1024, 1024 };
	static struct flash_table t;
	uint8_t bytes[200];
	size_t n = list(bytes, twice, sizes, 2);

	assert_int_equal(table_from_list(bytes, n, NULL, 0, NULL, &t), -EBADMSG);
	assert_int_equal(table_from_list(bytes, 75, NULL, 0, NULL, &t), -EBADMSG);
	assert_int_equal(table_from_list(bytes, 0, NULL, 0, NULL, &t), -EBADMSG);
	bytes[0] = 0;
	assert_int_equal(table_from_list(bytes, 76, NULL, 0, NULL, &t), -EBADMSG);
	assert_int_equal(t.count, 0);
}

static void tells_differences(void **state)
{
	static struct flash_table a, b;
	char text[160];

	for (int i = 0; i < 4; i++) {
		strcpy(a.entry[i].name, names[i]);
		a.entry[i].size = (uint64_t)(i + 1) << 20;
	}
	a.count = 4;
	b = a;
	b.entry[3].size = UINT64_MAX;
	assert_true(table_agrees(&a, &b, text, sizeof(text)));
	assert_string_equal(text, "");
	b.entry[1].size = 9 << 20;
	assert_false(table_agrees(&a, &b, text, sizeof(text)));
	assert_string_equal(text,
			    "row 2: the phone has miscdata (2 MiB), the package wants miscdata (9 MiB)");
	strcpy(b.entry[2].name, "boot_a");
	assert_false(table_agrees(&a, &b, text, sizeof(text)));
	assert_non_null(strstr(text, "; 1 more"));
	b = a;
	b.count = 3;
	assert_false(table_agrees(&a, &b, text, sizeof(text)));
	assert_non_null(strstr(text, "wants nothing"));
	assert_false(table_agrees(&a, &b, NULL, 0));
}

static void knows_what_was_meant(void **state)
{
	static const char *const rows[] = { "boot", "recovery", "l_fixnv1",
					    "misc", "userdata", "abcdefghijklmnopqrstuvwxyz0123456789" };
	static struct flash_table t = { .count = 6 };
	static const struct {
		const char *said, *meant; /* NULL: nobody knows */
	} cases[] = { { "bot", "boot" },
		      { "boots", "boot" },
		      { "recovrey", "recovery" },
		      { "l_fixnv", "l_fixnv1" },
		      { "mics", "misc" },
		      { "user_data", "userdata" },
		      { "nonesuch", NULL },
		      { "x", NULL },
		      { "", NULL },
		      { "boot_vendor", NULL },
		      { "abcdefghijklmnopqrstuvwxyz01234567890123", NULL },
		      { "abcdefghijklmnopqrstuvwxyz012345678", "abcdefghijklmnopqrstuvwxyz0123456789" } };

	(void)state;
	for (int i = 0; i < 6; i++)
		strcpy(t.entry[i].name, rows[i]);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct table_entry *e = table_near(&t, cases[i].said);

		if (!cases[i].meant)
			assert_null(e);
		else
			assert_string_equal(e->name, cases[i].meant);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_gpt),
		cmocka_unit_test(asks_for_more),
		cmocka_unit_test(refuses_damage),
		cmocka_unit_test(refuses_overlap_and_twins),
		cmocka_unit_test(prefers_the_valid_one),
		cmocka_unit_test(settles_the_unit),
		cmocka_unit_test(refuses_bad_lists),
		cmocka_unit_test(knows_what_was_meant),
		cmocka_unit_test(tells_differences),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
