/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* NV images: both byte orders, one core and several, the sum, and above all the merge. */
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
#include "pac/nv.h"
#include "pac/phasecheck.h"
#include "tests/compose/compose.h"

#define ITEM(n, i, ...)                                                            \
	{                                                                          \
		.name = n, .id = i, .backup = true, .use_flags = true, __VA_ARGS__ \
	}
static const struct scheme_nv_item list[] = {
	ITEM("Calibration", SCHEME_NV_DEFAULT, .carry_on = false),
	ITEM("IMEI", SCHEME_NV_DEFAULT, .carry_on = false),
	ITEM("BlueTooth", 0x191, .carry_on = true),
	ITEM("Simlock", 0x1f0, .carry_on = true),
	ITEM("Extra", 0x777, .carry_on = true),
};

struct both {
	uint8_t *phone, *package;
	size_t phone_len, package_len;
	struct nv_image d0, d1;
};

static void load(struct both *b, const struct compose_nv *phone, const struct compose_nv *package)
{
	struct failure why = { 0 };

	b->phone = compose_nv(phone, &b->phone_len);
	b->package = compose_nv(package, &b->package_len);
	assert_int_equal(nv_parse(b->phone, b->phone_len, &b->d0, &why), 0);
	assert_int_equal(nv_parse(b->package, b->package_len, &b->d1, &why), 0);
}

static void drop(struct both *b)
{
	nv_free(&b->d0);
	nv_free(&b->d1);
	free(b->phone);
	free(b->package);
}

static void the_vector(void **state)
{
	uint8_t v[] = { 0, 0, 0, 0, 5, 0, 8, 0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88 };
	struct nv_image img;
	uint32_t sum;

	assert_false(nv_crc_ok(v, sizeof(v)));
	assert_int_equal(nv_seal(v, sizeof(v), &sum), 0);
	assert_int_equal(v[0], 0xad);
	assert_int_equal(v[1], 0x6c);
	assert_int_equal(sum, 0x38a);
	assert_true(nv_crc_ok(v, sizeof(v)));
	assert_int_equal(nv_parse(v, sizeof(v), &img, NULL), 0); /* ends exactly with the file */
	assert_int_equal(img.core[0].items, 1);
	assert_false(img.core[0].terminated);
	nv_free(&img);
	assert_int_equal(nv_seal(v, 3, &sum), -EINVAL);
	memset(v, 0, sizeof(v));
	assert_int_equal(nv_seal(v, sizeof(v), &sum), -ERANGE);
}

static void real_image(void **state)
{
	size_t len;
	uint8_t *pac = compose_data("pac/uic8850-core.pac", &len);
	struct failure why = { 0 };
	struct nv_image img;
	bool doubt;

	if (!pac)
		skip();
	assert_int_equal(nv_parse(pac + 117348, 163840, &img, &why), 0);
	assert_int_equal(img.core[0].items, 33);
	assert_true(img.core[0].terminated);
	assert_int_equal(img.true_len, 0x22934 + 4);
	assert_int_equal(nv_find(&img, 0, NV_ID_CALIBRATION, NULL)->len, 6020);
	assert_int_equal(nv_find(&img, 0, NV_ID_IMEI, NULL)->offset, 0x636c + 4);
	assert_int_equal(nv_sane(&img, false, &doubt, &why), 0);
	assert_false(doubt);
	assert_false(nv_crc_ok(pac + 117348, 163840));
	nv_free(&img);
	free(pac);
}

static void forms(void **state)
{
	static const uint16_t more[] = { 0x301, 0x302, 0x555 };
	size_t i, len;

	for (i = 0; i < 16; i++) {
		struct compose_nv spec = { .seed = i,
					   .big_endian = i & 1,
					   .multi = i & 2,
					   .swap_words = i & 4,
					   .flash_header = i & 8,
					   .ids = more,
					   .id_count = 3,
					   .seal = !(i & 4) };
		uint8_t *p = compose_nv(&spec, &len);
		size_t body, skip_bytes = nv_flash_header(p, len, &body);
		struct failure why = { 0 };
		struct nv_image img;
		bool swapped;

		assert_int_equal(skip_bytes, i & 8 ? 512 : 0);
		assert_int_equal(body, 65536);
		assert_int_equal(nv_parse_device(p + skip_bytes, body, &img, &swapped, &why), 0);
		/* big-endian items with every word reversed look like little-endian halves exchanged: either
		 * reading must find all */
		assert_int_equal(swapped, (i & 4) != 0);
		assert_int_equal(img.big_endian, i & 1);
		assert_int_equal(img.multi, (i & 2) != 0);
		assert_int_equal(img.cores, i & 2 ? 2 : 1);
		assert_non_null(nv_find(&img, NV_ANY_CORE, 0x555, NULL));
		assert_int_equal(nv_find(&img, NV_ANY_CORE, 5, NULL)->len, 8);
		assert_int_equal(nv_sane(&img, false, NULL, &why), 0);
		if (spec.seal)
			assert_true(nv_crc_ok(p + skip_bytes, body));
		nv_free(&img);
		free(p);
	}
}

static void broken_ones_are_named(void **state)
{
	struct compose_nv spec = { .seed = 1 };
	struct failure why = { 0 };
	struct nv_image img;
	uint8_t *p, *again;
	size_t len, at;

	p = compose_nv(&spec, &len);
	put_le16(p + 6, 0xfff0); /* the first item's length */
	assert_int_equal(nv_parse(p, 40000, &img, &why), -EBADMSG);
	assert_int_equal(why.error, ERR_NV_INVALID);
	assert_int_equal(why.offset, 4);
	assert_non_null(strstr(why.detail, "65520 bytes"));
	put_le32(p + 4, 0);
	assert_int_equal(nv_parse(p, len, &img, &why), -EBADMSG);
	assert_non_null(strstr(why.detail, "item 0 with length 0"));
	memset(p, 0xff, len); /* an erased partition */
	assert_int_equal(nv_parse(p, len, &img, &why), -EBADMSG);
	assert_non_null(strstr(why.detail, "not a single item"));
	assert_int_equal(nv_parse(p, 7, &img, &why), -EBADMSG);
	free(p);
	spec.multi = true;
	p = compose_nv(&spec, &len);
	again = malloc(len);
	for (at = 0; at < 48; at++) { /* index rows that lead astray */
		memcpy(again, p, len);
		again[12 + at] ^= 0x80;
		if (nv_parse(again, len, &img, &why) == 0)
			nv_free(&img);
		else
			assert_int_equal(why.error, ERR_NV_INVALID);
	}
	memcpy(again, p, len);
	put_le32(again + 32, 0xfffffff0);
	assert_int_equal(nv_parse(again, len, &img, &why), -EBADMSG);
	assert_non_null(strstr(why.detail, "outside"));
	put_le16(again + 14, 900);
	assert_int_equal(nv_parse(again, len, &img, &why), -EBADMSG);
	assert_non_null(strstr(why.detail, "900 cores"));
	free(again);
	free(p);
}

static void sanity(void **state)
{
	static const uint16_t no5[] = { 5 }, no2[] = { 2 };
	struct compose_nv spec = { .without = no5, .without_count = 1 };
	struct failure why = { 0 };
	struct nv_image img;
	size_t len;
	uint8_t *p;
	bool doubt;

	p = compose_nv(&spec, &len);
	assert_int_equal(nv_parse(p, len, &img, &why), 0);
	assert_int_equal(nv_sane(&img, true, &doubt, &why), -EBADMSG);
	assert_string_equal(why.entry, "IMEI");
	nv_free(&img);
	free(p);
	spec.without = no2;
	p = compose_nv(&spec, &len);
	assert_int_equal(nv_parse(p, len, &img, &why), 0);
	assert_int_equal(nv_sane(&img, false, &doubt, &why), -EBADMSG);
	assert_string_equal(why.entry, "Calibration");
	assert_int_equal(nv_sane(&img, true, &doubt, &why), 0);
	assert_true(doubt);
	assert_int_equal(nv_calibrations(&img), 0);
	nv_free(&img);
	free(p);
	spec.without_count = 0;
	spec.cali = 0xff09;
	p = compose_nv(&spec, &len);
	assert_int_equal(nv_parse(p, len, &img, &why), 0);
	assert_int_equal(nv_sane(&img, true, &doubt, &why), -EBADMSG);
	assert_non_null(strstr(why.detail, "0xff09"));
	assert_int_equal(nv_calibrations(&img), CALI_GSM);
	nv_free(&img);
	free(p);
}

static uint8_t *data_of(const struct nv_image *img, uint16_t id)
{
	const struct nv_item *item = nv_find(img, NV_ANY_CORE, id, NULL);

	assert_non_null(item);
	return (uint8_t *)(uintptr_t)img->data + item->offset;
}

static void same_item(const struct nv_image *a, const struct nv_image *b, uint16_t id)
{
	size_t n = nv_find(a, NV_ANY_CORE, id, NULL)->len;

	assert_int_equal(n, nv_find(b, NV_ANY_CORE, id, NULL)->len);
	assert_memory_equal(data_of(a, id), data_of(b, id), n);
}

static void merge_carries(void **state)
{
	static const uint16_t more[] = { 0x301, 0x302 }, ids[] = { 2, 5, 0x179, 0x186, 0x1e4, 0x191, 0x1f0 };
	int multi;

	for (multi = 0; multi < 2; multi++) {
		struct compose_nv phone = {
			.seed = 1, .multi = multi, .ids = more, .id_count = 2, .size = 131072
		};
		struct compose_nv package = { .seed = 2, .multi = multi, .ids = more, .id_count = 2 };
		struct nv_report report;
		struct failure why = { 0 };
		struct nv_image result;
		size_t i;
		struct both b;
		uint8_t *out;

		load(&b, &phone, &package);
		if (nv_merge(&b.d0, &b.d1, list, ARRAY_SIZE(list), &out, &report, &why) < 0)
			fail_msg("%s: %s", why.entry, why.detail);
		assert_int_equal(nv_parse(out, b.package_len, &result, &why), 0);
		for (i = 0; i < ARRAY_SIZE(ids); i++)
			same_item(&b.d0, &result, ids[i]);
		/* and nothing else: the package's own item stays */
		same_item(&b.d1, &result, 0x302);
		same_item(&b.d1, &result, 0x19a);
		assert_int_equal(report.kept, 7);
		assert_int_equal(report.row[4].outcome, NV_ABSENT);
		assert_int_equal(report.row[5].outcome, NV_NOT_LISTED);
		assert_int_equal(report.row[5].id, NV_ID_IMEI2);
		nv_report_free(&report);
		nv_free(&result);
		free(out);
		drop(&b);
	}
}

/* Exactly one thing wrong in each row. */
static void merge_refuses(void **state)
{
	static const uint16_t two[] = { 2 }, five[] = { 5 }, second[] = { 0x179 }, lock[] = { 0x1f0 },
			      extra[] = { 0x777 };
	const struct {
		struct compose_nv phone, package;
		const char *entry, *words;
	} rows[] = {
		{ { .without = two, .without_count = 1 },
		  { .seed = 1 },
		  "Calibration",
		  "the phone does not have it" },
		{ { .seed = 2 }, { .without = two, .without_count = 1 }, "Calibration", "no place" },
		{ { .without = five, .without_count = 1 },
		  { .seed = 1 },
		  "IMEI",
		  "the phone does not have it" },
		{ { .seed = 2 }, { .without = second, .without_count = 1 }, "IMEI2", "has an IMEI here" },
		{ { .seed = 2 }, { .without = lock, .without_count = 1 }, "Simlock", "no place" },
		{ { .ids = extra, .id_count = 1 }, { .seed = 1 }, "Extra", "no place" },
		{ { .cali = 0xff0a }, { .cali = 0xff0b }, "Calibration", "0xff0a, the package's 0xff0b" },
		{ { .cali = 0xff10 }, { .cali = 0xff10 }, "Calibration", "known are" },
		{ { .multi = true }, { .seed = 1 }, "", "2 cores (INDX), the package's 1" },
		{ { .big_endian = true }, { .seed = 1 }, "Calibration", "byte order" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct nv_report report;
		struct failure why = { 0 };
		struct both b;
		uint8_t *out;

		load(&b, &rows[i].phone, &rows[i].package);
		assert_int_equal(nv_merge(&b.d0, &b.d1, list, ARRAY_SIZE(list), &out, &report, &why),
				 -EBADMSG);
		assert_null(out);
		if (why.error != ERR_NV_MERGE_FAILED || strcmp(why.entry, rows[i].entry) ||
		    !strstr(why.detail, rows[i].words))
			fail_msg("%zu: %s: %s", i, why.entry, why.detail);
		if (report.rows)
			assert_int_equal(report.row[report.rows - 1].outcome, NV_FAILED);
		nv_report_free(&report);
		drop(&b);
	}
}

static void lengths_must_agree(void **state)
{
	struct compose_nv phone = { .seed = 1 }, package = { .seed = 2 };
	struct failure why = { 0 };
	struct both b;
	uint8_t *out;

	load(&b, &phone, &package);
	((struct nv_item *)nv_find(&b.d0, 0, 0x1f0, NULL))->len = 127;
	assert_int_equal(nv_merge(&b.d0, &b.d1, list, ARRAY_SIZE(list), &out, NULL, &why), -EBADMSG);
	assert_string_equal(why.entry, "Simlock");
	assert_non_null(strstr(why.detail, "127 bytes in the phone, 128 in the package"));
	drop(&b);
}

static void nothing_is_lost_without_a_list(void **state)
{
	static const uint16_t second[] = { 0x179 };
	struct compose_nv phone = { .seed = 1 }, package = { .seed = 2 };
	struct scheme_nv_item off[ARRAY_SIZE(list)];
	struct nv_report report;
	struct failure why = { 0 };
	struct nv_image result;
	size_t i;
	struct both b;
	uint8_t *out;

	load(&b, &phone, &package);
	assert_int_equal(nv_merge(&b.d0, &b.d1, NULL, 0, &out, &report, &why), 0);
	assert_int_equal(nv_parse(out, b.package_len, &result, &why), 0);
	same_item(&b.d0, &result, 2);
	same_item(&b.d0, &result, 5);
	nv_free(&result);
	nv_report_free(&report);
	free(out);
	/* backup="0" leaves the package's calibration, but never its IMEI */
	memcpy(off, list, sizeof(list));
	for (i = 0; i < ARRAY_SIZE(off); i++)
		off[i].backup = false;
	assert_int_equal(nv_merge(&b.d0, &b.d1, off, ARRAY_SIZE(off), &out, &report, &why), 0);
	assert_int_equal(nv_parse(out, b.package_len, &result, &why), 0);
	same_item(&b.d1, &result, 2);
	same_item(&b.d0, &result, 5);
	assert_int_equal(report.row[0].outcome, NV_LEFT_PACKAGE);
	nv_free(&result);
	nv_report_free(&report);
	free(out);
	drop(&b);
	/* a blank second IMEI needs no place */
	package.without = second;
	package.without_count = 1;
	load(&b, &phone, &package);
	memset(data_of(&b.d0, 0x179), 0, 8);
	assert_int_equal(nv_merge(&b.d0, &b.d1, list, ARRAY_SIZE(list), &out, &report, &why), 0);
	assert_int_equal(report.row[5].outcome, NV_NO_PLACE);
	nv_report_free(&report);
	free(out);
	drop(&b);
}

static void unnamed_items(void **state)
{
	static const struct scheme_nv_item odd[] = { ITEM("Mystery", SCHEME_NV_DEFAULT, .carry_on = true) };
	struct compose_nv spec = { .seed = 1 };
	struct failure why = { 0 };
	struct both b;
	uint8_t *out;

	load(&b, &spec, &spec);
	assert_int_equal(nv_merge(&b.d0, &b.d1, odd, 1, &out, NULL, &why), -EBADMSG);
	assert_non_null(strstr(why.detail, "without an ID"));
	assert_int_equal(nv_merge(&b.d0, &b.d1, list, ARRAY_SIZE(list), &out, NULL, &why), 0);
	assert_memory_equal(out, b.package, b.package_len);
	free(out);
	drop(&b);
}

static void real_list_with_made_images(void **state)
{
	static const char *const paths[] = { "xml/sc9863a.xml", "xml/ums9620.xml", "xml/sc6531efm.xml" };
	size_t k;

	for (k = 0; k < ARRAY_SIZE(paths); k++) {
		size_t len, count;
		char *xml = (char *)compose_data(paths[k], &len);
		struct compose_nv phone = { .seed = 1, .size = 200000 },
				  package = { .seed = 2, .size = 180000 };
		struct scheme_doc *doc;
		struct nv_report report;
		struct failure why = { 0 };
		uint16_t *ids;
		struct both b;
		uint8_t *out;

		if (!xml)
			skip();
		ids = compose_nv_ids(xml, &count);
		phone.ids = package.ids = ids;
		phone.id_count = package.id_count = count;
		load(&b, &phone, &package);
		assert_int_equal(scheme_parse(xml, len, &doc, &why), 0);
		if (nv_merge(&b.d0, &b.d1, doc->product[0].nv, doc->product[0].nvs, &out, &report, &why) < 0)
			fail_msg("%s: %s", why.entry, why.detail);
		assert_true(report.kept >= doc->product[0].nvs);
		nv_report_free(&report);
		scheme_doc_free(doc);
		free(out);
		free(ids);
		drop(&b);
		free(xml);
	}
}

static void compare_from_byte_four(void **state)
{
	uint8_t a[64], b[80];
	size_t at = 99;

	memset(a, 7, sizeof(a));
	memset(b, 7, sizeof(b));
	memset(b, 1, 4);
	assert_int_equal(nv_compare(a, sizeof(a), b, sizeof(b), &at), 0);
	b[40] = 0;
	assert_int_equal(nv_compare(a, sizeof(a), b, sizeof(b), &at), 1);
	assert_int_equal(at, 40);
	b[40] = 7;
	assert_int_equal(nv_compare(a, sizeof(a), b, 60, &at), 1);
	assert_int_equal(at, 60);
}

static void phase_check(void **state)
{
	uint8_t block[8192] = { 0 };
	struct phasecheck p;

	assert_false(phasecheck_parse(block, sizeof(block), &p));
	memcpy(block,
	       "90PS"
	       "SN0001",
	       10);
	memcpy(block + 28, "SN2\x01x", 5);
	put_le32(block + 52, 7);
	assert_true(phasecheck_parse(block, sizeof(block), &p));
	assert_string_equal(p.layout, "SP09");
	assert_string_equal(p.sn1, "SN0001");
	assert_string_equal(p.sn2, "SN2");
	assert_int_equal(p.stations, 7);
	memset(block, 0, sizeof(block));
	memcpy(block, "51PS", 4);
	memset(block + 4, 'A', 64);
	put_le32(block + 132, 0xffffffff);
	assert_true(phasecheck_parse(block, sizeof(block), &p));
	assert_string_equal(p.layout, "SP15");
	assert_int_equal(strlen(p.sn1), 64);
	assert_int_equal(p.stations, 0);
	assert_false(phasecheck_parse(block, 100, &p));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_vector),
		cmocka_unit_test(real_image),
		cmocka_unit_test(forms),
		cmocka_unit_test(broken_ones_are_named),
		cmocka_unit_test(sanity),
		cmocka_unit_test(merge_carries),
		cmocka_unit_test(merge_refuses),
		cmocka_unit_test(lengths_must_agree),
		cmocka_unit_test(nothing_is_lost_without_a_list),
		cmocka_unit_test(unnamed_items),
		cmocka_unit_test(real_list_with_made_images),
		cmocka_unit_test(compare_from_byte_four),
		cmocka_unit_test(phase_check),
	};

	return cmocka_run_group_tests_name("nv", tests, NULL, NULL);
}
