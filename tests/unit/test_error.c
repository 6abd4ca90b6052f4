/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "common/error.h"
#include "common/names.h"

static void test_rows(void **state)
{
	for (int i = 1; i < ERR_COUNT; i++) {
		const struct error_entry *e = error_entry((enum error_id)i);

		assert_int_equal(e->id, i);
		assert_true(e->err > 0);
		assert_true(strlen(e->cause) > 20 && strlen(e->remedy) > 20);
		/* a sentence, and one that fits a terminal's few lines */
		assert_int_equal(e->cause[strlen(e->cause) - 1], '.');
		assert_int_equal(e->remedy[strlen(e->remedy) - 1], '.');
		assert_true(isupper((unsigned char)e->cause[0]) && isupper((unsigned char)e->remedy[0]));
		assert_true(strlen(e->cause) < 200 && strlen(e->remedy) < 230);
		assert_int_equal(strncmp(e->bus_name, FDLD_ERROR_PREFIX, strlen(FDLD_ERROR_PREFIX)), 0);
		assert_string_equal(e->bus_name + strlen(FDLD_ERROR_PREFIX), e->name);
		for (const char *c = e->name; *c; c++)
			assert_true(isalnum((unsigned char)*c));
		for (int j = 1; j < i; j++)
			assert_string_not_equal(error_entry((enum error_id)j)->name, e->name);
	}
}

/* 1 and 2 belong to others, 125 and up to shells; the ranges are documented at the table */
static void test_exit_codes(void **state)
{
	for (int i = 1; i < ERR_COUNT; i++) {
		const struct error_entry *e = error_entry((enum error_id)i);

		assert_in_range(e->exit_code, 3, 124);
		if (e->fault == FAULT_CALLER)
			assert_in_range(e->exit_code, 3, 19);
		if (e->fault == FAULT_STATION)
			assert_in_range(e->exit_code, 100, 119);
		if (e->fault == FAULT_US)
			assert_in_range(e->exit_code, 120, 124);
		if (e->fault == FAULT_PHONE)
			assert_in_range(e->exit_code, 50, 99);
		/* only at work and at the station do neighbours share a code */
		for (int j = 1; j < i; j++)
			if (e->exit_code < 77 || e->exit_code > 119)
				assert_int_not_equal(error_entry((enum error_id)j)->exit_code, e->exit_code);
	}
}

static void test_lookup(void **state)
{
	for (int i = 1; i < ERR_COUNT; i++) {
		const struct error_entry *e = error_entry((enum error_id)i);

		assert_int_equal(error_by_name(e->name), i);
		assert_int_equal(error_by_name(e->bus_name), i);
	}
	assert_int_equal(error_by_name("Nonsense"), ERR_NONE);
	assert_int_equal(error_by_name("org.fdld1.Error."), ERR_NONE);
	assert_int_equal(error_by_name("org.fdld1.Error.Nonsense"), ERR_NONE);
	assert_int_equal(error_by_name(NULL), ERR_NONE);
	assert_int_equal(error_entry(ERR_NONE)->err, 0);
	assert_int_equal(error_entry((enum error_id)9999)->id, ERR_INTERNAL);
	assert_int_equal(error_entry((enum error_id) - 1)->id, ERR_INTERNAL);
	assert_string_equal(error_fault_name(FAULT_PACKAGE), "package");
	assert_string_equal(error_fault_name(FAULT_STATION), "station");
}

static void test_failure_set(void **state)
{
	struct failure why = { 0 };

	assert_int_equal(failure_set(&why, ERR_DEVICE_VANISHED, "after %d bytes", 17), -ENODEV);
	assert_int_equal(why.error, ERR_DEVICE_VANISHED);
	assert_string_equal(why.detail, "after 17 bytes");
	assert_int_equal(why.code, -1);
	strcpy(why.stage, "fdl2");
	/* the same error: what was known stays */
	failure_set(&why, ERR_DEVICE_VANISHED, "%s, twice", why.detail);
	assert_string_equal(why.stage, "fdl2");
	assert_string_equal(why.detail, "after 17 bytes, twice");
	/* another: nothing of the first is left */
	failure_set(&why, ERR_USB_IO, "%0400d", 1);
	assert_string_equal(why.stage, "");
	assert_int_equal(strlen(why.detail), sizeof(why.detail) - 1);
	assert_int_equal(failure_set(NULL, ERR_USB_IO, "unheard"), -EIO);
}

static void test_failure_text(void **state)
{
	struct failure why = { .error = ERR_SIGNATURE_REFUSED,
			       .stage = "fdl2",
			       .step = "write",
			       .entry = "boot",
			       .offset = 0x1000,
			       .has_offset = true,
			       .code = 0x84,
			       .detail = "last block" };
	char buf[512], small[20];

	assert_string_equal(
		failure_text(&why, buf, sizeof(buf)),
		"SignatureRefused in fdl2, write boot at 0x1000, reply 0x84: The phone checked an image's "
		"signature and refused it. (last block)");
	assert_string_equal(failure_text(&why, small, sizeof(small)), "SignatureRefused in");
	memset(&why, 0, sizeof(why));
	assert_string_equal(failure_text(&why, buf, sizeof(buf)), "no failure");
	why.error = ERR_PHONE_SILENT;
	failure_text(&why, buf, sizeof(buf));
	assert_int_equal(strncmp(buf, "PhoneSilent: ", 13), 0);
	failure_text(&why, buf, 1);
	assert_string_equal(buf, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),	     cmocka_unit_test(test_exit_codes),
		cmocka_unit_test(test_lookup),	     cmocka_unit_test(test_failure_set),
		cmocka_unit_test(test_failure_text),
	};

	return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}
