/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a phone is told by a few bytes: exactly those change, and checksums follow. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/util.h"
#include "flash/marks.h"
#include "tests/compose/compose.h"

#define SIZE 8192

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

/* Slot a is started, b has been left behind. */
static void slots_make(uint8_t *misc)
{
	uint8_t *c = misc + 2048;

	memset(c, 0, 32);
	memcpy(c, "_a", 2);
	memcpy(c + 4, "BCAB", 4);
	c[8] = 1;
	c[9] = 2 | 5 << 3;
	c[12] = 15 | 1 << 7;
	c[14] = 14 | 3 << 4;
	put_le32(c + 28, crc32(c, 28));
}

static enum error_id apply(enum mark_kind kind, int value, uint8_t *bytes, size_t len)
{
	struct mark m = { .kind = kind, .value = value };
	struct failure why = { 0 };

	return mark_apply(&m, bytes, len, &why) ? why.error : ERR_NONE;
}

/* The bytes outside of [from, to) are as before. */
static void only(const uint8_t *was, const uint8_t *is, size_t from, size_t to)
{
	for (size_t i = 0; i < SIZE; i++)
		if ((i < from || i >= to) && was[i] != is[i])
			fail_msg("byte %zu was changed", i);
}

static void the_next_start(void **state)
{
	static const struct {
		enum boot_mark mark;
		const char *command, *arguments;
	} rows[] = {
		{ BOOT_RECOVERY, "boot-recovery", "recovery" },
		{ BOOT_FASTBOOT, "boot-recovery", "recovery --fastboot" },
		{ BOOT_WIPE_DATA, "boot-recovery", "recovery --wipe_data" },
		{ BOOT_NORMAL, "", "" },
	};
	uint8_t was[SIZE], misc[SIZE];
	struct mark_boot b;

	(void)state;
	compose_random(1, was, sizeof(was));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		memcpy(misc, was, sizeof(misc));
		assert_int_equal(apply(MARK_BOOT, rows[i].mark, misc, sizeof(misc)), ERR_NONE);
		only(was, misc, 0, 832);
		assert_int_equal(mark_show_boot(misc, sizeof(misc), &b), 0);
		assert_string_equal(b.command, rows[i].command);
		assert_string_equal(b.arguments, rows[i].arguments);
	}
	/* the very bytes that Android's recovery looks for */
	assert_int_equal(apply(MARK_BOOT, BOOT_WIPE_DATA, misc, sizeof(misc)), ERR_NONE);
	assert_memory_equal(misc, "boot-recovery\0", 14);
	assert_memory_equal(misc + 64, "recovery\n--wipe_data\n\0", 22);
	assert_int_equal(apply(MARK_BOOT, 9, misc, sizeof(misc)), ERR_INVALID_ARGS);
	assert_int_equal(apply(MARK_BOOT, BOOT_NORMAL, misc, 2047), ERR_MARK_UNUSABLE);
	assert_int_equal(mark_show_boot(misc, 2047, &b), -ENODATA);
	/* hostile and erased content is shown as text without steering anything */
	memset(misc, 0xff, sizeof(misc));
	assert_int_equal(mark_show_boot(misc, sizeof(misc), &b), 0);
	assert_string_equal(b.command, "");
	memset(misc, 0x1b, sizeof(misc));
	assert_int_equal(mark_show_boot(misc, sizeof(misc), &b), 0);
	assert_string_equal(b.command, "????????????????????????????????");
}

static void the_active_slot(void **state)
{
	uint8_t was[SIZE], misc[SIZE];
	struct mark_slots s;

	(void)state;
	compose_random(2, was, sizeof(was));
	slots_make(was);
	memcpy(misc, was, sizeof(misc));
	assert_int_equal(mark_show_slots(misc, sizeof(misc), &s), 0);
	assert_int_equal(s.active, 'a');
	assert_int_equal(s.suffix, 'a');
	assert_true(s.slot[0].successful);
	assert_int_equal(s.slot[1].tries, 3);
	assert_int_equal(apply(MARK_SLOT, 'b', misc, sizeof(misc)), ERR_NONE);
	only(was, misc, 2048, 2080);
	assert_int_equal(misc[2048 + 9], 2 | 5 << 3); /* tries of recovery are not ours */
	assert_int_equal(get_le32(misc + 2048 + 28), crc32(misc + 2048, 28));
	assert_int_equal(mark_show_slots(misc, sizeof(misc), &s), 0);
	assert_int_equal(s.active, 'b');
	assert_int_equal(s.suffix, 'b');
	assert_int_equal(s.slot[1].priority, 15);
	assert_false(s.slot[1].successful);
	assert_true(s.slot[1].tries > 0);
	assert_int_equal(s.slot[0].priority, 14);
	assert_true(s.slot[0].successful);
	/* and back */
	assert_int_equal(apply(MARK_SLOT, 'a', misc, sizeof(misc)), ERR_NONE);
	assert_int_equal(mark_show_slots(misc, sizeof(misc), &s), 0);
	assert_int_equal(s.active, 'a');
	assert_int_equal(apply(MARK_SLOT, 'c', misc, sizeof(misc)), ERR_INVALID_ARGS);
}

static void slots_that_are_none(void **state)
{
	uint8_t misc[SIZE] = { 0 }, was[SIZE];
	struct mark_slots s;

	(void)state;
	assert_int_equal(apply(MARK_SLOT, 'a', misc, sizeof(misc)), ERR_MARK_UNUSABLE);
	slots_make(misc);
	misc[2048 + 12] ^= 1;
	memcpy(was, misc, sizeof(was));
	assert_int_equal(mark_show_slots(misc, sizeof(misc), &s), -EBADMSG);
	assert_int_equal(apply(MARK_SLOT, 'b', misc, sizeof(misc)), ERR_MARK_UNUSABLE);
	only(was, misc, 0, 0);
	slots_make(misc);
	assert_int_equal(mark_show_slots(misc, 2079, &s), -ENODATA);
	/* nothing that could be started */
	misc[2048 + 12] = 0;
	misc[2048 + 14] = 14;
	put_le32(misc + 2048 + 28, crc32(misc + 2048, 28));
	assert_int_equal(mark_show_slots(misc, sizeof(misc), &s), 0);
	assert_int_equal(s.active, 0);
}

static void verity_and_its_hash(void **state)
{
	uint8_t body[SIZE - 512] = { 0 }, was[SIZE], *image, *again;
	size_t len;
	bool on;

	(void)state;
	compose_random(4, body, sizeof(body));
	memcpy(body, "AVB0", 4);
	put_be32(body + 120, 2);
	image = compose_sign_tail(body, sizeof(body), SIZE, &len);
	assert_int_equal(len, SIZE);
	memcpy(was, image, SIZE);
	assert_int_equal(mark_show_verity(image, len, &on), 0);
	assert_true(on);
	assert_int_equal(apply(MARK_VERITY, 0, image, len), ERR_NONE);
	assert_int_equal(mark_show_verity(image, len, &on), 0);
	assert_false(on);
	assert_int_equal(get_be32(image + 120), 3);
	/* as if it had been signed so */
	put_be32(body + 120, 3);
	again = compose_sign_tail(body, sizeof(body), SIZE, &len);
	assert_memory_equal(image, again, SIZE);
	assert_int_equal(apply(MARK_VERITY, 1, image, len), ERR_NONE);
	assert_memory_equal(image, was, SIZE);
	assert_int_equal(apply(MARK_VERITY, 2, image, len), ERR_INVALID_ARGS);
	image[0] = 'a';
	assert_int_equal(apply(MARK_VERITY, 0, image, len), ERR_MARK_UNUSABLE);
	assert_int_equal(mark_show_verity(image, 255, &on), -ENODATA);
	free(image);
	free(again);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_next_start),
		cmocka_unit_test(the_active_slot),
		cmocka_unit_test(slots_that_are_none),
		cmocka_unit_test(verity_and_its_hash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
