/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Signed headers, and what loaders give away. */
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
#include "pac/pac.h"
#include "tests/compose/compose.h"

static void real_loaders(void **state)
{
	static const struct {
		const char *path;
		int stage;
		uint64_t base;
	} real[] = { { "fdl/sc9863a-fdl1-sign.bin", 1, 0x5000 },
		     { "fdl/sc9863a-fdl2-sign.bin", 2, 0x9efffe00 } };
	size_t i, len;

	for (i = 0; i < ARRAY_SIZE(real); i++) {
		uint8_t *bytes = compose_data(real[i].path, &len);
		struct failure why = { 0 };
		struct loader_info l;
		struct image_info image;
		struct source src;

		if (!bytes)
			skip();
		src = source_memory(bytes, len);
		assert_int_equal(image_peek(&src, 0, len, false, &image, &why), 0);
		assert_true(image.dhtb.present && image.dhtb.signature);
		assert_int_equal(image.body_at, 512);
		assert_int_equal(image.dhtb.cert_at + image.dhtb.cert_size, len);
		assert_int_equal(dhtb_verify(&src, 0, &image.dhtb, &why), 0);
		assert_int_equal(loader_inspect(&src, 0, len, real[i].stage, &l, &why), 0);
		assert_int_equal(l.base, real[i].base);
		assert_false(l.second_enum);
		if (real[i].stage == 1) {
			assert_int_equal(l.base_sure, SURE_VERY);
			assert_string_equal(l.version, "Spreadtrum Boot Block version 1.1");
		} else {
			assert_string_equal(l.family->name, "sharkl3");
			assert_int_equal(l.family_sure, SURE_GOOD);
			assert_true(l.lk);
		}
		bytes[len / 2] ^= 1;
		assert_int_equal(dhtb_verify(&src, 0, &image.dhtb, &why), -EBADMSG);
		assert_int_equal(why.error, ERR_PACKAGE_IMAGE_DAMAGED);
		free(bytes);
	}
}

static void real_pair_in_a_package(void **state)
{
	static const char *const variants[] = { NULL, "0x00005500" };
	size_t n1, n2, nx, i, k, doubts, linked;
	uint8_t *fdl1 = compose_data("fdl/sc9863a-fdl1-sign.bin", &n1);
	uint8_t *fdl2 = compose_data("fdl/sc9863a-fdl2-sign.bin", &n2);
	char *real = (char *)compose_data("xml/sc9863a.xml", &nx);

	if (!fdl1 || !fdl2 || !real)
		skip();
	for (i = 0; i < ARRAY_SIZE(variants); i++) {
		char *xml = compose_replace(real, "0x00005000", variants[i] ? variants[i] : "0x00005000",
					    false);
		struct compose_spec spec = {
			.seed = 1, .fdl1 = fdl1, .fdl1_len = n1, .fdl2 = fdl2, .fdl2_len = n2, .xml = xml
		};
		const struct pac_doubt *d;
		struct failure why = { 0 };
		struct pac_body *body;
		struct source src;
		uint8_t *bytes;
		struct pac *p;
		size_t len;

		assert_int_equal(compose_package(&spec, &bytes, &len), 0);
		src = source_memory(bytes, len);
		if (pac_open(&src, NULL, &p, &why) < 0)
			fail_msg("%s: %s", error_entry(why.error)->name, why.detail);
		assert_string_equal(pac_chip(p)->family->name, "sharkl3");
		d = pac_doubts(p, &doubts);
		for (k = 0, linked = 0; k < doubts; k++)
			linked += strstr(d[k].text,
					 "is linked to run from 0x5000, the XML loads it at 0x5500") != NULL;
		assert_int_equal(linked, i);
		assert_int_equal(pac_check(p, &src, NULL, NULL, NULL, &body, &why), 0);
		assert_true(body->dhtb_checked >= 2);
		pac_body_free(body);
		pac_free(p);
		free(bytes);
		free(xml);
	}
	free(fdl1);
	free(fdl2);
	free(real);
}

static void headers(void **state)
{
	struct failure why = { 0 };
	struct image_info image;
	struct dhtb_info d;
	struct source src;
	uint8_t *p, tiny[600] = "DHTB";
	size_t len;

	p = compose_sign("hello", 5, &len);
	src = source_memory(p, len);
	assert_int_equal(dhtb_parse(p, len, &d, &why), 0);
	assert_int_equal(d.payload_size, 5);
	assert_int_equal(dhtb_verify(&src, 0, &d, &why), 0);
	assert_int_equal(dhtb_parse(p, 512 + 4, &d, &why), -EBADMSG);
	assert_int_equal(why.offset, 0x30);
	p[0] = 'd';
	assert_int_equal(dhtb_parse(p, len, &d, &why), -ENOENT);
	assert_int_equal(image_peek(&src, 0, len, false, &image, &why), 0);
	assert_false(image.dhtb.present);
	free(p);
	/* certificate that leads outside */
	p = compose_sign("hello", 5, &len);
	src = source_memory(p, len);
	p[512 + 5 + 0x2f] = 0x7f;
	assert_int_equal(image_peek(&src, 0, len, false, &image, &why), -EBADMSG);
	assert_non_null(strstr(why.detail, "certificate"));
	free(p);
	/* shorter than a header: plain bytes */
	src = source_memory(tiny, 100);
	assert_int_equal(image_peek(&src, 0, 100, true, &image, &why), 0);
	assert_false(image.dhtb.present);
	/* nothing behind the header */
	src = source_memory(tiny, 512);
	assert_int_equal(image_peek(&src, 0, 512, false, &image, &why), 0);
	assert_true(image.dhtb.present);
	assert_int_equal(image.kind, IMAGE_RAW);
}

static void tail_header(void **state)
{
	struct failure why = { 0 };
	struct image_info image;
	struct source src;
	size_t len;
	uint8_t *p = compose_sign_tail("AVB0 and more", 13, 4096, &len);

	src = source_memory(p, len);
	assert_int_equal(image_peek(&src, 0, len, false, &image, &why), 0);
	assert_false(image.dhtb.present);
	assert_int_equal(image_peek(&src, 0, len, true, &image, &why), 0);
	assert_true(image.dhtb.at_end);
	assert_int_equal(image.dhtb.payload_at, 0);
	assert_int_equal(image.body_at, 0);
	assert_int_equal(dhtb_verify(&src, 0, &image.dhtb, &why), 0);
	free(p);
}

static void sparse_behind_a_signature(void **state)
{
	struct compose_sparse spec = { .seed = 4 };
	struct failure why = { 0 };
	struct image_info image;
	struct source src;
	size_t sparse_len, len;
	uint8_t *sparse = compose_sparse(&spec, &sparse_len), *p = compose_sign(sparse, sparse_len, &len);

	src = source_memory(p, len);
	assert_int_equal(image_peek(&src, 0, len, false, &image, &why), 0);
	assert_int_equal(image.kind, IMAGE_SPARSE);
	assert_int_equal(image.body_at, 512);
	put_le32(p + 512 + 12, 3);
	assert_int_equal(image_peek(&src, 0, len, false, &image, &why), -EBADMSG);
	assert_int_equal(why.offset, 512 + 12);
	free(sparse);
	free(p);
}

static void loader_texts(void **state)
{
	static const struct {
		const char *text, *family;
		enum sureness sure;
	} rows[] = {
		{ "xx ums512_1h10 board xx sharkl5pro>", "sharkl5pro", SURE_VERY },
		{ "board: SP9863A_1H10", "sharkl3", SURE_VERY },
		{ "sharkl5 sharkl5 sharkl5pro", "sharkl5", SURE_FAIR },
		{ "sharkl3 sharkl3 sharkl3 ums9230", "sharkl3", SURE_GOOD },
		{ "sharkl3 ums9230", NULL, SURE_NOT },
		{ "no such thing", NULL, SURE_NOT },
	};
	char body[256];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct failure why = { 0 };
		struct loader_info l;
		struct source src = source_memory(body, sizeof(body));

		memset(body, 0, sizeof(body));
		snprintf(body + 32, 200, "%s%c##PORT-SECOND-ENUM##", rows[i].text, 1);
		assert_int_equal(loader_inspect(&src, 0, sizeof(body), 1, &l, &why), 0);
		if (rows[i].family)
			assert_string_equal(l.family->name, rows[i].family);
		else
			assert_null(l.family);
		assert_int_equal(l.family_sure, rows[i].sure);
		assert_true(l.second_enum);
	}
	assert_string_equal(chip_family_in_text("PAC_s9863a-1h10")->name, "sharkl3");
	assert_string_equal(chip_family_in_text("UMS512_foo")->name, "sharkl5pro");
	assert_null(chip_family_in_text("phone"));
	assert_null(chip_family_in_text(""));
}

/* As long as its header says, with the certificate where there is one. */
static void a_header_tells_the_length(void **state)
{
	uint8_t body[3000], *image, bare[DHTB_HEADER];
	uint64_t len = 0;
	size_t size;

	(void)state;
	compose_random(3, body, sizeof(body));
	image = compose_sign(body, sizeof(body), &size);
	memcpy(bare, image, sizeof(bare));
	assert_int_equal(dhtb_length(bare, NULL, 1 << 20, &len), 0);
	assert_int_equal(len, DHTB_HEADER + sizeof(body));
	assert_int_equal(dhtb_length(bare, image + len, 1 << 20, &len), 0);
	assert_int_equal(len, size);
	/* what follows is no trailer */
	assert_int_equal(dhtb_length(bare, body, 1 << 20, &len), 0);
	assert_int_equal(len, DHTB_HEADER + sizeof(body));
	assert_int_equal(dhtb_length(bare, NULL, DHTB_HEADER + sizeof(body) - 1, &len), -ERANGE);
	assert_int_equal(dhtb_length(bare, image + DHTB_HEADER + sizeof(body), size - 1, &len), -ERANGE);
	bare[0] ^= 1;
	assert_int_equal(dhtb_length(bare, NULL, 1 << 20, &len), -ENOENT);
	free(image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_header_tells_the_length),
		cmocka_unit_test(real_loaders),
		cmocka_unit_test(real_pair_in_a_package),
		cmocka_unit_test(headers),
		cmocka_unit_test(tail_header),
		cmocka_unit_test(sparse_behind_a_signature),
		cmocka_unit_test(loader_texts),
	};

	return cmocka_run_group_tests_name("dhtb", tests, NULL, NULL);
}
