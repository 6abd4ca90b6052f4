/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The feed of lent chunks, and the scan that follows a sparse image as it passes by. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "flash/feed.h"
#include "pac/sparse_scan.h"
#include "tests/simlib/package.h"

static void chunks_are_whole_pieces(void **state)
{
	struct source_ref item = { .kind = SOURCE_ITEM, .index = 3 };
	struct feed f;
	uint64_t from;
	size_t len;

	(void)state;
	feed_open(&f, item, 1000000, 0xF800);
	feed_want(&f, 0, &from, &len);
	assert_int_equal(len, 0xF800); /* one by one */
	feed_want(&f, 999990, &from, &len);
	assert_int_equal(from, 999990);
	assert_int_equal(len, 10);
	feed_want(&f, 1000000, &from, &len);
	assert_int_equal(len, 0);
	feed_open(&f, item, 1000000, 528);
	feed_want(&f, 0, &from, &len);
	assert_int_equal(len, SESSION_CHUNK / 528 * 528);
}

static void two_chunks_are_lent(void **state)
{
	struct source_ref item = { .kind = SOURCE_ITEM };
	static uint8_t a[100], b[100], c[50];
	struct feed f;
	uint64_t from;
	size_t len;

	(void)state;
	feed_open(&f, item, 250, 100);
	f.chunk = 100;
	assert_null(feed_at(&f, 0, 1));
	assert_false(feed_want_ahead(&f, &from, &len));
	assert_true(feed_put(&f, 0, 100, a, 100));
	assert_ptr_equal(feed_at(&f, 10, 90), a + 10);
	assert_null(feed_at(&f, 10, 91));
	assert_true(feed_want_ahead(&f, &from, &len));
	assert_int_equal(from, 100);
	assert_int_equal(len, 100);
	assert_true(feed_put(&f, 100, 100, b, 100));
	assert_false(feed_want_ahead(&f, &from, &len)); /* both are lent */
	assert_ptr_equal(feed_at(&f, 50, 1), a + 50);	/* the first is still in use */
	assert_ptr_equal(feed_at(&f, 100, 100), b);	/* now it is behind */
	assert_null(feed_at(&f, 50, 1));
	assert_true(feed_want_ahead(&f, &from, &len));
	assert_int_equal(from, 200);
	assert_int_equal(len, 50);
	assert_true(feed_put(&f, 200, 50, c, 50));
	assert_ptr_equal(feed_at(&f, 249, 1), c + 49);
	assert_false(feed_want_ahead(&f, &from, &len));
	assert_false(feed_put(&f, 0, 100, a, 99)); /* not what was asked for */
}

static void a_jump_drops_both(void **state)
{
	struct source_ref item = { .kind = SOURCE_ITEM };
	static uint8_t a[100], b[100];
	struct feed f;

	(void)state;
	feed_open(&f, item, 1000, 100);
	assert_true(feed_put(&f, 900, 100, a, 100));
	assert_true(feed_put(&f, 0, 100, b, 100));
	assert_null(feed_at(&f, 900, 1));
	assert_ptr_equal(feed_at(&f, 0, 100), b);
}

static void memory_serves_itself(void **state)
{
	static const uint8_t bytes[8] = "abcdefg";
	struct feed f;

	(void)state;
	feed_open_memory(&f, bytes, sizeof(bytes));
	assert_ptr_equal(feed_at(&f, 3, 5), bytes + 3);
	assert_null(feed_at(&f, 3, 6));
}

/* However the image is cut, the scan ends with the last data extent that the package's own walk finds. */
static void scan_finds_the_last_data(void **state)
{
	enum { BLOCKS = 24 };
	uint8_t *image = malloc(BLOCKS * 4108 + 28);

	(void)state;
	assert_non_null(image);
	for (uint64_t seed = 1; seed < 60; seed++) {
		size_t len = sim_sparse(seed, BLOCKS, image, BLOCKS * 4108 + 28);
		struct source src = source_memory(image, len);
		struct sparse_extent last = { 0 };
		struct sparse_scan scan;
		struct sparse_map map;

		assert_int_equal(sparse_walk(&src, 0, len, NULL, NULL, &map, NULL), 0);
		for (size_t i = 0; i < map.count; i++)
			if (map.extents[i].kind != SPARSE_HOLE)
				last = map.extents[i];
		sparse_scan_begin(&scan, 0);
		for (size_t at = 0, n; at < len; at += n) {
			n = 1 + (seed * 7919 + at) % 977;
			if (n > len - at)
				n = len - at;
			/* a frame may give less than was shown: the same bytes are shown again */
			sparse_scan_take(&scan, at, image + at, n);
			if (n > 3)
				n -= seed & 3;
		}
		assert_false(scan.bad);
		assert_true(scan.headed);
		assert_int_equal(scan.left, 0);
		assert_int_equal(scan.out, map.header.expanded);
		if (last.length) {
			assert_int_equal(scan.last.offset + scan.last.length, last.offset + last.length);
			assert_int_equal(scan.last.kind, last.kind == SPARSE_RAW ? PIECE_RAW : PIECE_FILL);
		} else {
			assert_int_equal(scan.last.kind, PIECE_NONE);
		}
		sparse_map_free(&map);
	}
	free(image);
}

static void a_broken_chunk_is_not_followed(void **state)
{
	uint8_t image[8 * 4108 + 28];
	size_t len = sim_sparse(5, 8, image, sizeof(image));
	struct sparse_scan scan;

	(void)state;
	image[28] = 0x77; /* type of the first chunk */
	sparse_scan_begin(&scan, 0);
	sparse_scan_take(&scan, 0, image, len);
	assert_true(scan.bad);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chunks_are_whole_pieces),  cmocka_unit_test(two_chunks_are_lent),
		cmocka_unit_test(a_jump_drops_both),	    cmocka_unit_test(memory_serves_itself),
		cmocka_unit_test(scan_finds_the_last_data), cmocka_unit_test(a_broken_chunk_is_not_followed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
