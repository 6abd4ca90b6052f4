/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sparse images: every expanded byte is where the map says, and what is broken is named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "pac/sparse.h"
#include "tests/compose/compose.h"

/* The map, played back over the source, must be what the reference expands. */
static void maps_equal_the_expansion(void **state)
{
	uint64_t seed;

	for (seed = 0; seed < 40; seed++) {
		struct compose_sparse spec = { .seed = seed,
					       .chunks = 3 + (uint32_t)seed * 2,
					       .block = seed % 3 ? 4096 : 512 };
		size_t len, expanded, lead = (size_t)seed % 5 * 100, i;
		uint8_t *sparse = compose_sparse(&spec, &len),
			*want = compose_expand(sparse, len, 0xee, &expanded), *got, *file;
		struct failure why = { 0 };
		struct sparse_map map;
		struct source src;
		uint64_t at = 0;

		file = malloc(lead + len);
		memcpy(file + lead, sparse, len);
		src = source_memory(file, lead + len);
		assert_int_equal(sparse_walk(&src, lead, len, NULL, NULL, &map, &why), 0);
		assert_int_equal(map.header.expanded, expanded);
		got = malloc(expanded + 1);
		for (i = 0; i < map.count; i++) {
			const struct sparse_extent *e = &map.extents[i];
			uint64_t k;

			assert_int_equal(e->offset, at);
			assert_true(e->length > 0);
			if (i)
				assert_true(e->kind != e[-1].kind || e->kind != SPARSE_HOLE);
			for (k = 0; k < e->length; k++)
				got[at + k] = e->kind == SPARSE_RAW    ? file[e->source + k]
					      : e->kind == SPARSE_FILL ? (uint8_t)(e->fill >> 8 * (k % 4))
								       : 0xee;
			at += e->length;
			assert_ptr_equal(sparse_map_at(&map, e->offset), e);
			assert_ptr_equal(sparse_map_at(&map, e->offset + e->length - 1), e);
		}
		assert_int_equal(at, expanded);
		assert_int_equal(map.raw + map.filled + map.holes, expanded);
		assert_memory_equal(got, want, expanded);
		assert_null(sparse_map_at(&map, expanded));
		sparse_map_free(&map);
		free(got);
		free(want);
		free(sparse);
		free(file);
	}
}

static void broken_ones_are_named(void **state)
{
	static const struct {
		const char *what, *words;
	} rows[] = { { "magic", "magic 0xed26ff3b" },
		     { "version", "version 2" },
		     { "block", "block size 0" },
		     { "type", "type 0xcac9" },
		     { "total", "bytes" },
		     { "blocks", "lead past" },
		     { "fill", "expected 4" },
		     { "count", "bytes left, its header has" } };
	size_t i, len;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct compose_sparse spec = { .seed = i, .break_at = rows[i].what };
		uint8_t *sparse = compose_sparse(&spec, &len);
		struct source src = source_memory(sparse, len);
		struct failure why = { 0 };
		struct sparse_map map;

		assert_int_equal(sparse_walk(&src, 0, len, NULL, NULL, &map, &why), -EBADMSG);
		assert_int_equal(why.error, ERR_PACKAGE_SPARSE);
		assert_true(why.has_offset);
		if (!strstr(why.detail, rows[i].words))
			fail_msg("%s: %s", rows[i].what, why.detail);
		assert_null(map.extents);
		free(sparse);
	}
}

static void cut_anywhere(void **state)
{
	struct compose_sparse spec = { .seed = 3 };
	size_t len, cut;
	uint8_t *sparse = compose_sparse(&spec, &len);

	for (cut = 0; cut < len; cut += cut < 100 ? 1 : 1021) {
		struct source src = source_memory(sparse, cut);
		struct sparse_map map;
		struct failure why = { 0 };

		assert_true(sparse_walk(&src, 0, cut, NULL, NULL, &map, &why) < 0);
		assert_int_equal(why.error, ERR_PACKAGE_SPARSE);
	}
	free(sparse);
}

static bool never(void *ctx)
{
	return false;
}

static void big_and_stoppable(void **state)
{
	struct compose_sparse spec = { .seed = 3, .gap = 3ull << 40 };
	struct failure why = { 0 };
	struct sparse_map map;
	struct source src;
	size_t len;
	uint8_t *sparse = compose_sparse(&spec, &len);

	src = source_memory(sparse, len);
	assert_int_equal(sparse_walk(&src, 0, len, NULL, NULL, &map, &why), 0);
	assert_true(map.header.expanded > 3ull << 40);
	assert_int_equal(sparse_map_at(&map, 2ull << 40)->kind, SPARSE_HOLE);
	sparse_map_free(&map);
	assert_int_equal(sparse_walk(&src, 0, len, never, NULL, &map, &why), -ECANCELED);
	assert_int_equal(why.error, ERR_CANCELLED);
	free(sparse);
}

static void extents_are_bounded(void **state)
{
	uint32_t n = SPARSE_EXTENTS_MAX + 1, i;
	size_t len = 28 + (size_t)n * 16;
	uint8_t *p = calloc(1, len);
	struct failure why = { 0 };
	struct sparse_map map;
	struct source src = source_memory(p, len);

	put_le32(p, SPARSE_MAGIC);
	put_le16(p + 4, 1);
	put_le16(p + 8, 28);
	put_le16(p + 10, 12);
	put_le32(p + 12, 4);
	put_le32(p + 16, n);
	put_le32(p + 20, n);
	for (i = 0; i < n; i++) {
		put_le16(p + 28 + 16 * (size_t)i, 0xcac2);
		put_le32(p + 28 + 16 * (size_t)i + 4, 1);
		put_le32(p + 28 + 16 * (size_t)i + 8, 16);
		put_le32(p + 28 + 16 * (size_t)i + 12, i);
	}
	assert_true(sparse_walk(&src, 0, len, NULL, NULL, &map, &why) < 0);
	assert_non_null(strstr(why.detail, "separate extents"));
	for (i = 0; i < n; i++)
		put_le32(p + 28 + 16 * (size_t)i + 12, 7); /* all alike: one extent */
	assert_int_equal(sparse_walk(&src, 0, len, NULL, NULL, &map, &why), 0);
	assert_int_equal(map.count, 1);
	sparse_map_free(&map);
	free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(maps_equal_the_expansion),
		cmocka_unit_test(broken_ones_are_named),
		cmocka_unit_test(cut_anywhere),
		cmocka_unit_test(big_and_stoppable),
		cmocka_unit_test(extents_are_bounded),
	};

	return cmocka_run_group_tests_name("sparse", tests, NULL, NULL);
}
