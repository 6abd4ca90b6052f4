/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The composer itself: repeatable, as promised in its header, and loaded with what hurts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/util.h"
#include "tests/compose/compose.h"

static void same_seed_same_bytes(void **state)
{
	struct compose_spec spec = { .family = "ums9230", .seed = 77 };
	uint8_t *a, *b, *file;
	size_t n, m;
	uint64_t written;
	char path[] = "/tmp/fdld-test-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	unlink(path);
	assert_int_equal(compose_package(&spec, &a, &n), 0);
	assert_int_equal(compose_package(&spec, &b, &m), 0);
	assert_int_equal(n, m);
	assert_memory_equal(a, b, n);
	free(b);
	assert_int_equal(compose_write(&spec, fd, &written), 0);
	assert_int_equal(written, n);
	file = malloc(n);
	assert_int_equal(pread(fd, file, n, 0), n);
	assert_memory_equal(a, file, n);
	close(fd);
	free(file);
	spec.seed = 78;
	assert_int_equal(compose_package(&spec, &b, &m), 0);
	assert_true(n != m || memcmp(a, b, n));
	free(a);
	free(b);
	spec.family = "nokia3310";
	assert_int_equal(compose_package(&spec, &a, &n), -1);
}

static void crcs_are_right(void **state)
{
	struct compose_spec spec = { .family = "sc8830", .seed = 1 };
	uint8_t *p;
	size_t n;

	assert_int_equal(compose_package(&spec, &p, &n), 0);
	assert_int_equal(get_le32(p + 48), n);
	assert_int_equal(compose_crc16(0, p, 2120), get_le16(p + 2120));
	assert_int_equal(compose_crc16(0, p, 2122), 0);
	assert_int_equal(compose_crc16(0, p + 2124, n - 2124), get_le16(p + 2122));
	assert_int_equal(compose_crc16(0, "123456789", 9), 0xbb3d);
	free(p);
}

static void payloads_hurt(void **state)
{
	struct compose_spec spec = { .family = "ums512", .seed = 3 };
	unsigned odd = 0, even = 0;
	static const char *const ids[] = { "Modem_LTE", "BOOT", "DTBO",	    "BootLogo",
					   "Trustos",	"SML",	"SPLLoader" };
	size_t flags = 0, escapes = 0, longest = 0, run = 0, i, k, n;

	for (i = 0; i < ARRAY_SIZE(ids); i++) {
		uint8_t *p = compose_payload(&spec, ids[i], 0, &n);

		assert_non_null(p);
		n % 2 ? odd++ : even++;
		for (k = 0; k < n; k++) {
			flags += p[k] == 0x7e;
			escapes += p[k] == 0x7d;
			run = p[k] ? 0 : run + 1;
			longest = MAX(longest, run);
		}
		free(p);
	}
	assert_true(odd && even);
	assert_true(flags > 500 && escapes > 500);
	assert_true(longest > 500);
	assert_null(compose_payload(&spec, "NoSuchThing", 0, &n));
}

static void given_files_win(void **state)
{
	static const struct compose_file file[] = { { .id = "Misc", .nth = 1, .data = "abc", .len = 3 } };
	struct compose_spec spec = { .family = "sc9863a", .seed = 3, .file = file, .files = 1 };
	uint8_t *a, *b;
	size_t n, m;

	a = compose_payload(&spec, "Misc", 0, &n);
	b = compose_payload(&spec, "Misc", 1, &m);
	assert_true(n > 3);
	assert_int_equal(m, 3);
	assert_memory_equal(b, "abc", 3);
	free(a);
	free(b);
}

static void nv_items_have_fixed_lengths(void **state)
{
	size_t count, n;
	char *xml = compose_scheme("sc9863a");
	uint16_t *ids = compose_nv_ids(xml, &count);
	struct compose_nv spec = { .seed = 9, .ids = ids, .id_count = count };
	uint8_t *p = compose_nv(&spec, &n);

	assert_int_equal(count, 5);
	assert_int_equal(ids[0], 2);
	assert_int_equal(ids[1], 5);
	assert_int_equal(n, 65536);
	assert_int_equal(get_le16(p + 4), 5);
	assert_int_equal(get_le16(p + 6), 8);
	assert_int_equal(get_le16(p + 16), 2);
	assert_int_equal(get_le16(p + 18), compose_nv_len(2));
	assert_int_equal(get_le16(p + 20), 0xff0a);
	free(p);
	free(ids);
	free(xml);
}

static void every_family_has_a_scheme(void **state)
{
	size_t i;

	for (i = 0; compose_family(i); i++) {
		char *xml = compose_scheme(compose_family(i));

		assert_non_null(strstr(xml, "</BMAConfig>"));
		free(xml);
	}
	assert_int_equal(i, 10);
	assert_null(compose_scheme("x"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_seed_same_bytes),
		cmocka_unit_test(crcs_are_right),
		cmocka_unit_test(payloads_hurt),
		cmocka_unit_test(given_files_win),
		cmocka_unit_test(nv_items_have_fixed_lengths),
		cmocka_unit_test(every_family_has_a_scheme),
	};

	return cmocka_run_group_tests_name("compose", tests, NULL, NULL);
}
