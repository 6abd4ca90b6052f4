/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include <systemd/sd-bus.h>

#include "common/error.h"
#include "common/utf8.h"

static void becomes(const char *text, const char *want)
{
	char buf[64];

	strcpy(buf, text);
	assert_int_equal(utf8_good(text), !strcmp(text, want));
	utf8_tame(buf);
	assert_string_equal(buf, want);
	assert_true(utf8_good(buf));
}

static void test_texts(void **state)
{
	becomes("", "");
	becomes("plain, with a\ttab", "plain, with a\ttab");
	becomes("Caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "Caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
	/* cut off at the end, and in the middle */
	becomes("Caf\xc3", "Caf?");
	becomes("\xe2\x82", "??");
	becomes("\xf0\x9f\x98", "???");
	becomes("\xe2\x82z", "??z");
	/* a tail without a head, Latin-1 */
	becomes("\xa9\xe9t\xe9", "??t?");
	/* overlong, surrogate, beyond the last, five bytes */
	becomes("\xc0\xaf", "??");
	becomes("\xc1\xbf", "??");
	becomes("\xe0\x80\xaf", "???");
	becomes("\xf0\x80\x80\xaf", "????");
	becomes("\xed\xa0\x80", "???");
	becomes("\xed\x9f\xbf\xee\x80\x80", "\xed\x9f\xbf\xee\x80\x80");
	becomes("\xf4\x90\x80\x80", "????");
	becomes("\xf8\x88\x80\x80\x80", "?????");
	becomes("\xff\xfe", "??");
	/* noncharacters: U+FFFE, U+FDD0, U+10FFFF; U+FFFD and U+FDCF are none of them */
	becomes("\xef\xbf\xbe", "???");
	becomes("\xef\xb7\x90", "???");
	becomes("\xf4\x8f\xbf\xbf", "????");
	becomes("\xef\xbf\xbd\xef\xb7\x8f", "\xef\xbf\xbd\xef\xb7\x8f");
}

/* what we call good is exactly what sd-bus sends */
static void test_as_the_bus(void **state)
{
	sd_bus_message *m = NULL;
	sd_bus *bus = NULL;
	uint32_t seed = 7;
	int ends[2];

	/* messages can be made once a bus has been begun; nothing is sent */
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	assert_true(sd_bus_new(&bus) >= 0);
	assert_true(sd_bus_set_fd(bus, ends[0], ends[0]) >= 0);
	assert_true(sd_bus_start(bus) >= 0);
	for (int i = 0; i < 200000; i++) {
		static const unsigned char heads[] = { 0x41, 0x80, 0xa9, 0xbf, 0xc2, 0xc3, 0xe0, 0xe2, 0xed,
						       0xef, 0xf0, 0xf4, 0xf5, 0x90, 0x9f, 0xb7, 0xbe, 0x8f };
		char text[8] = "";

		for (size_t n = 0; n < sizeof(text) - 1; n++) {
			seed = seed * 1664525u + 1013904223u;
			text[n] = (char)(seed >> 31 ? heads[(seed >> 8) % sizeof(heads)]
						    : 0x80 | (seed >> 10 & 0x3f));
		}
		text[seed >> 16 & 7] = '\0';
		if (!m)
			assert_true(sd_bus_message_new(bus, &m, SD_BUS_MESSAGE_METHOD_CALL) >= 0);
		assert_int_equal(sd_bus_message_append_basic(m, 's', text) >= 0, utf8_good(text));
		if (i % 1000 == 999)
			m = sd_bus_message_unref(m);
	}
	sd_bus_message_unref(m);
	sd_bus_unref(bus);
	close(ends[1]);
}

/* a detail that is cut to fit is cut between characters, as far as anybody can tell */
static void test_failure(void **state)
{
	struct failure why = { 0 };
	char name[300];

	for (size_t pad = 0; pad < 4; pad++) {
		memset(name, 'a', pad);
		name[pad] = '\0';
		while (strlen(name) < 280)
			strcat(name, "\xf0\x9f\x98\x80");
		failure_set(&why, ERR_NO_SUCH_SLOT, "%.129s, or %s", name, name);
		assert_true(utf8_good(why.detail));
		assert_non_null(strstr(why.detail, ", or "));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_as_the_bus),
		cmocka_unit_test(test_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
