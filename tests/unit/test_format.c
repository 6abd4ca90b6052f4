/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "common/format.h"

static char buf[FORMAT_MAX];

static void test_size(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} rows[] = {
		{ 0, "0 B" },
		{ 17, "17 B" },
		{ 999, "999 B" },
		{ 1000, "0.98 KiB" },
		{ 1024, "1.00 KiB" },
		{ 1536, "1.50 KiB" },
		{ 10240, "10.0 KiB" },
		{ 102400, "100 KiB" },
		{ 1023 * 1024, "1.00 MiB" },
		{ 1u << 20, "1.00 MiB" },
		{ 5660000000, "5.27 GiB" },
		{ UINT64_MAX, "16.0 EiB" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_string_equal(format_size(rows[i].bytes, buf, sizeof(buf)), rows[i].text);
}

static void test_rate(void **state)
{
	assert_string_equal(format_rate(0, buf, sizeof(buf)), "-");
	assert_string_equal(format_rate(32u << 20, buf, sizeof(buf)), "32.0 MiB/s");
}

static void test_duration(void **state)
{
	const uint64_t sec = 1000000;

	assert_string_equal(format_duration(0, buf, sizeof(buf)), "0.0 s");
	assert_string_equal(format_duration(400000, buf, sizeof(buf)), "0.4 s");
	assert_string_equal(format_duration(7 * sec, buf, sizeof(buf)), "0:07");
	assert_string_equal(format_duration(750 * sec, buf, sizeof(buf)), "12:30");
	assert_string_equal(format_duration(3723 * sec, buf, sizeof(buf)), "1:02:03");
	/* never "1.0 s", which is 0:01 a microsecond later */
	assert_string_equal(format_duration(999999, buf, sizeof(buf)), "0.9 s");
	assert_true(strlen(format_duration(UINT64_MAX, buf, sizeof(buf))) < sizeof(buf) - 1);
}

static void test_hex(void **state)
{
	static const uint8_t bytes[] = { 0x7e, 0x00, 0x80, 0xff };

	assert_string_equal(format_hex(bytes, 4, buf, sizeof(buf)), "7e 00 80 ff");
	assert_string_equal(format_hex(bytes, 0, buf, sizeof(buf)), "");
	assert_string_equal(format_hex(bytes, 4, buf, 12), "7e 00 80 ff");
	assert_string_equal(format_hex(bytes, 4, buf, 11), "7e 00..");
	assert_string_equal(format_hex(bytes, 4, buf, 6), "7e..");
	assert_string_equal(format_hex(bytes, 4, buf, 3), "..");
	assert_string_equal(format_hex(bytes, 4, buf, 1), "");
	for (size_t size = 1; size < 20; size++) {
		memset(buf, 'x', sizeof(buf));
		format_hex(bytes, 4, buf, size);
		assert_true(strlen(buf) < size);
		assert_int_equal(buf[size], 'x');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_duration),
		cmocka_unit_test(test_hex),
	};

	return cmocka_run_group_tests_name("format", tests, NULL, NULL);
}
