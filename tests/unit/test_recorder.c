/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "flash/recorder.h"

static void keeps_the_last(void **state)
{
	static struct recorder r;
	char *text;
	size_t need;

	memset(&r, 0, sizeof(r));
	for (unsigned i = 0; i < 300; i++) {
		struct record e = { .at_usec = i, .kind = RECORD_OUT, .type = (uint16_t)i, .length = i };

		recorder_add(&r, &e);
	}
	assert_int_equal(r.count, 300);
	need = recorder_text(&r, NULL, 0);
	text = malloc(need + 1);
	assert_int_equal(recorder_text(&r, text, need + 1), need);
	assert_int_equal(strlen(text), need);
	/* 300 - 256 = 44 is the oldest that is left */
	assert_memory_equal(text, "0.000044 out 002c ", 18);
	assert_non_null(strstr(text, "0.000299 out 012b "));
	assert_null(strstr(text, "0.000043 "));
	/* a short buffer is filled to its end and no further */
	text[20] = 'x';
	assert_int_equal(recorder_text(&r, text, 20), need);
	assert_int_equal(strlen(text), 19);
	assert_int_equal(text[20], 'x');
	free(text);
}

static void hides_secrets(void **state)
{
	static struct recorder r;
	struct record e = { .kind = RECORD_OUT, .secret = true, .type = 2, .length = 700, .head_len = 16 };
	char text[400];

	memset(&r, 0, sizeof(r));
	memset(e.head, 0xAB, sizeof(e.head));
	recorder_add(&r, &e);
	for (unsigned i = 0; i < RECORDER_HEAD; i++)
		assert_int_equal(r.ring[0].head[i], 0);
	recorder_text(&r, text, sizeof(text));
	assert_string_equal(text, "0.000000 out 0002 len 700 check 0000 secret\n");
}

static void reads_back(void **state)
{
	static const struct record events[] = {
		{ .at_usec = 12345678,
		  .kind = RECORD_IN,
		  .type = 0x81,
		  .length = 6,
		  .check = 0xBEEF,
		  .head_len = 3,
		  .head = { 1, 0x7E, 0xFF } },
		{ .at_usec = 1, .kind = RECORD_BAD, .type = 0xFFFF, .length = 0 },
		{ .at_usec = 9999999999ull,
		  .kind = RECORD_OUT,
		  .type = 2,
		  .length = 65535,
		  .check = 1,
		  .secret = true },
		{ .at_usec = 5, .kind = RECORD_STREAM, .length = 2 << 20, .secret = true },
	};
	static struct recorder r;

	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		struct record got;
		char text[400];

		memset(&r, 0, sizeof(r));
		recorder_add(&r, &events[i]);
		recorder_text(&r, text, sizeof(text));
		assert_int_equal(recorder_parse(text, &got), 0);
		assert_memory_equal(&got, &events[i], sizeof(got));
	}
	memset(&r, 0, sizeof(r));
	recorder_note(&r, 2000000, RECORD_USB, "gone\nnow and for good, far beyond");
	{
		struct record got;
		char text[400];

		recorder_text(&r, text, sizeof(text));
		assert_string_equal(text, "2.000000 usb gone_now and for\n");
		assert_int_equal(recorder_parse(text, &got), 0);
		assert_int_equal(got.kind, RECORD_USB);
		assert_int_equal(got.head_len, 16);
	}
}

static void refuses_nonsense(void **state)
{
	static const char *const bad[] = {
		"",
		"x",
		"1.5",
		"1.000000 blue 0001",
		"1.0000001 out 0001 len 1 check 0000 -",
		"1.000000 out zz len 1 check 0000 -",
		"1.000000 out 0001 len 1 check 0000 0",
		"1.000000 out 0001 len 1 check 0000 00112233445566778899aabbccddeeff00",
		"1.000000 out 0001 len 1 check 0000 secretive",
		"1.000000 usb longer than sixteen bytes",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct record e;

		if (recorder_parse(bad[i], &e) != -EBADMSG)
			fail_msg("accepted: %s", bad[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_the_last),
		cmocka_unit_test(hides_secrets),
		cmocka_unit_test(reads_back),
		cmocka_unit_test(refuses_nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
