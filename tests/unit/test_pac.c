/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The container and the join: what is right is read right, what is damaged is named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/util.h"
#include "pac/crc16.h"
#include "pac/pac.h"
#include "tests/compose/compose.h"

/* Opens bytes; on failure *why tells. */
static struct pac *open_bytes(const uint8_t *bytes, size_t len, const struct pac_options *opt,
			      struct failure *why)
{
	struct source src = source_memory(bytes, len);
	struct pac *p = NULL;

	*why = (struct failure){ 0 };
	if (pac_open(&src, opt, &p, why) < 0)
		assert_true(why->error != ERR_NONE);
	return p;
}

static bool has_doubt(const struct pac *p, const char *part)
{
	size_t count, i;
	const struct pac_doubt *d = pac_doubts(p, &count);

	for (i = 0; i < count; i++)
		if (strstr(d[i].text, part))
			return true;
	return false;
}

/* The error a spec ends in, at open or at the long check. */
static struct failure verdict(const struct compose_spec *spec)
{
	struct failure why = { 0 };
	struct pac_body *body = NULL;
	struct pac *p;
	uint8_t *bytes;
	size_t len;

	assert_int_equal(compose_package(spec, &bytes, &len), 0);
	p = open_bytes(bytes, len, NULL, &why);
	if (p) {
		struct source src = source_memory(bytes, len);

		if (pac_check(p, &src, NULL, NULL, NULL, &body, &why) == 0)
			pac_body_free(body);
	}
	pac_free(p);
	free(bytes);
	return why;
}

static void expect(const struct compose_spec *spec, enum error_id error, const char *entry, const char *words)
{
	struct failure why = verdict(spec);

	if (why.error != error || (words && !strstr(why.detail, words)) ||
	    (entry && strcmp(why.entry, entry)))
		fail_msg("got %s, entry \"%s\": %s", error_entry(why.error)->name, why.entry, why.detail);
}

static void crc_is_the_reference(void **state)
{
	uint8_t buf[4099];
	size_t len, at;

	assert_int_equal(crc16_arc(0, "123456789", 9), 0xbb3d);
	compose_random(1, buf, sizeof(buf));
	for (len = 0; len < 200; len++)
		for (at = 0; at < 17; at++)
			assert_int_equal(crc16_arc(0x1234, buf + at, len),
					 compose_crc16(0x1234, buf + at, len));
	assert_int_equal(crc16_arc(0, buf, sizeof(buf)), compose_crc16(0, buf, sizeof(buf)));
	assert_int_equal(crc16_arc(crc16_arc(0, buf, 1001), buf + 1001, sizeof(buf) - 1001),
			 crc16_arc(0, buf, sizeof(buf)));
}

static void digests_prove_chunks(void **state)
{
	size_t len = 2 * (size_t)DIGEST_CHUNK + 777, i;
	uint8_t *buf = malloc(len);
	struct tag_key key = { "k" }, other = { "l" };
	uint8_t tag[3][TAG_SIZE];
	struct digest_table t;

	compose_random(9, buf, len);
	assert_int_equal(digest_table_init(&t, &key, len), 0);
	assert_int_equal(t.count, 3);
	for (i = 0; i < 3; i++)
		assert_int_equal(digest_table_put(&t, i, buf + i * DIGEST_CHUNK, digest_chunk_len(&t, i)), 0);
	assert_int_equal(digest_table_put(&t, 2, buf, 778), -EINVAL);
	assert_int_equal(digest_chunk_len(&t, 2), 777);
	assert_int_equal(digest_chunk_len(&t, 3), 0);
	assert_int_equal(digest_check(&t, 0, buf, len), 0);
	assert_int_equal(digest_check(&t, DIGEST_CHUNK, buf + DIGEST_CHUNK, DIGEST_CHUNK), 0);
	assert_int_equal(digest_check(&t, 2 * DIGEST_CHUNK, buf + 2 * DIGEST_CHUNK, 777), 0);
	assert_int_equal(digest_check(&t, 1, buf + 1, DIGEST_CHUNK), -EINVAL);
	assert_int_equal(digest_check(&t, 0, buf, DIGEST_CHUNK - 1), -EINVAL);
	assert_int_equal(digest_check(&t, 0, buf, len + 1), -EINVAL);
	buf[len - 1] ^= 1;
	assert_int_equal(digest_check(&t, 2 * DIGEST_CHUNK, buf + 2 * DIGEST_CHUNK, 777), -EBADMSG);
	assert_int_equal(digest_check(&t, DIGEST_CHUNK, buf + DIGEST_CHUNK, DIGEST_CHUNK), 0);
	digest_table_free(&t);
	/* place and key are part of it */
	assert_int_equal(digest_tag(&key, 0, buf, 100, tag[0]), 0);
	assert_int_equal(digest_tag(&key, 1, buf, 100, tag[1]), 0);
	assert_int_equal(digest_tag(&other, 0, buf, 100, tag[2]), 0);
	assert_memory_not_equal(tag[0], tag[1], TAG_SIZE);
	assert_memory_not_equal(tag[0], tag[2], TAG_SIZE);
	free(buf);
}

static void source_keeps_its_bounds(void **state)
{
	struct source src = source_memory("abcdef", 6);
	char buf[8];

	assert_int_equal(source_read(&src, 2, buf, 4), 0);
	assert_memory_equal(buf, "cdef", 4);
	assert_int_equal(source_read(&src, 6, buf, 0), 0);
	assert_int_equal(source_read(&src, 3, buf, 4), -EIO);
	assert_int_equal(source_read(&src, 7, buf, 0), -EIO);
	assert_int_equal(source_read(&src, UINT64_MAX, buf, 2), -EIO);
}

static void real_packages_hold(void **state)
{
	static const struct {
		const char *path;
		size_t items;
		const char *last;
	} real[] = { { "pac/uic8850-core.pac", 13, "SPL" }, { "pac/uic8850-app.pac", 2, "APPIMG" } };
	size_t i, len, items;

	for (i = 0; i < ARRAY_SIZE(real); i++) {
		uint8_t *bytes = compose_data(real[i].path, &len);
		const struct pac_item *item;
		struct pac_body *body;
		struct failure why;
		struct source src;
		struct pac *p;

		if (!bytes)
			skip();
		src = source_memory(bytes, len);
		p = open_bytes(bytes, len, NULL, &why);
		assert_non_null(p);
		assert_true(pac_header(p)->crc1_ok);
		assert_string_equal(pac_header(p)->version, "BP_R1.0.0");
		assert_string_equal(pac_product(p)->name, "8850_MODEM");
		item = pac_items(p, &items);
		assert_int_equal(items, real[i].items);
		assert_string_equal(item[items - 1].file->id, real[i].last);
		assert_false(pac_two_stage(p));
		assert_null(pac_fdl2(p));
		assert_int_equal(pac_fdl1(p)->address, 0x50800000);
		assert_int_equal(pac_fdl1(p)->image.kind, IMAGE_SIHR);
		assert_string_equal(pac_chip(p)->family->name, "8850");
		assert_int_equal(pac_chip(p)->fdl1.base, 0x50800000);
		assert_int_equal(pac_check(p, &src, NULL, NULL, NULL, &body, &why), 0);
		assert_true(body->crc_ok);
		assert_int_equal(body->crc2, pac_header(p)->crc2);
		assert_int_equal(digest_check(&body->digest, 0, bytes, len), 0);
		pac_body_free(body);
		pac_free(p);
		free(bytes);
	}
}

static void real_core_in_detail(void **state)
{
	size_t len;
	uint8_t *bytes = compose_data("pac/uic8850-core.pac", &len);
	const struct pac_item *nv, *fmt;
	struct failure why;
	struct pac *p;

	if (!bytes)
		skip();
	p = open_bytes(bytes, len, NULL, &why);
	assert_non_null(p);
	nv = pac_item_by_id(p, "nv");
	assert_true(nv->nv && nv->backs_up && nv->ticked);
	assert_int_equal(nv->file->class, CLASS_NV_ADDR);
	assert_int_equal(nv->address, 0xfe000003);
	assert_int_equal(nv->block_size, 0x28000);
	assert_int_equal(nv->image.kind, IMAGE_NV);
	assert_int_equal(nv->size, 163840);
	assert_string_equal(nv->label, "0xfe000003");
	fmt = pac_item_by_id(p, "FMT_FSSYS");
	assert_false(fmt->ticked);
	assert_int_equal(fmt->block_size, 0x53595346);
	assert_int_equal(pac_item_by_id(p, "PhaseCheck")->has_file, false);
	/* one wrong bit anywhere in the header or the body is found */
	bytes[700] ^= 1;
	pac_free(p);
	assert_null(open_bytes(bytes, len, NULL, &why));
	assert_int_equal(why.error, ERR_PACKAGE_HEADER_CRC);
	free(bytes);
}

static void every_family_holds(void **state)
{
	const char *family;
	size_t i, variant;

	for (i = 0; (family = compose_family(i)); i++)
		for (variant = 0; variant < 4; variant++) {
			struct compose_spec spec = { .family = family,
						     .seed = 100 + i,
						     .shuffle = variant == 1,
						     .by_alias = variant == 1,
						     .masked = variant == 2,
						     .mask = variant == 2 && i % 2 ? 0x5a : 0,
						     .multi_nv = variant == 3,
						     .no_addresses = variant == 3 };
			struct failure why = verdict(&spec);

			if (why.error)
				fail_msg("%s, variant %zu: %s: %s", family, variant,
					 error_entry(why.error)->name, why.detail);
		}
}

static void order_is_the_schemes(void **state)
{
	struct compose_spec spec = { .family = "sc9863a", .seed = 4, .shuffle = true, .no_addresses = true };
	struct failure why;
	uint8_t *bytes, *want;
	const struct pac_item *item;
	size_t len, items, i, n;
	struct pac *p;

	compose_package(&spec, &bytes, &len);
	p = open_bytes(bytes, len, NULL, &why);
	assert_non_null(p);
	item = pac_items(p, &items);
	assert_string_equal(item[0].file->id, "FDL");
	assert_int_equal(item[0].address, 0x5000);
	assert_string_equal(item[items - 1].file->id, "UBOOTLoader");
	for (i = 0; i < items; i++)
		assert_int_equal(item[i].index, i);
	/* two files of one ID, in shuffled order: the first in the table goes to the first in the scheme */
	n = 0;
	for (i = 0; i < items; i++)
		if (!strcmp(item[i].file->id, "Misc")) {
			assert_true(item[i].has_file);
			assert_string_equal(item[i].partition, n++ ? "misc_bak" : "misc");
		}
	assert_int_equal(n, 2);
	want = compose_payload(&spec, "BOOT", 0, &n);
	assert_int_equal(pac_item_by_id(p, "BOOT")->size, n);
	assert_memory_equal(bytes + pac_item_by_id(p, "BOOT")->offset, want, n);
	free(want);
	pac_free(p);
	free(bytes);
}

static void duplicates_can_share(void **state)
{
	/* a table with one Misc for two Misc files of the scheme: both take it */
	struct compose_spec spec = { .family = "sc9863a", .seed = 5 };
	const struct pac_item *item, *first = NULL;
	struct failure why;
	uint8_t *bytes;
	size_t len, items, i, shared = 0;
	struct pac *p;
	uint8_t *e;

	compose_package(&spec, &bytes, &len);
	/* the second Misc of the table becomes something the scheme does not know */
	for (i = 0, e = bytes + 2124;; e += 2580)
		if (!memcmp(e + 4, "M\0i\0s\0c\0\0", 9) && i++)
			break;
	e[4] = 'X';
	{
		struct pac_options opt = { .accept_bad_crc = true };

		p = open_bytes(bytes, len, &opt, &why);
	}
	assert_non_null(p);
	item = pac_items(p, &items);
	for (i = 0; i < items; i++)
		if (!strcmp(item[i].file->id, "Misc")) {
			if (first)
				shared += item[i].offset == first->offset && item[i].ticked;
			first = &item[i];
		}
	assert_int_equal(shared, 1);
	assert_true(has_doubt(p, "scheme does not list it"));
	pac_free(p);
	free(bytes);
}

static void sizes_are_told_to_the_byte(void **state)
{
	struct compose_spec spec = { .seed = 1, .damage = COMPOSE_TRUNCATE, .amount = 12345 };
	struct failure why;

	expect(&spec, ERR_PACKAGE_SIZE, NULL, "12345 are missing");
	spec.damage = COMPOSE_TRAILING;
	spec.amount = 3;
	expect(&spec, ERR_PACKAGE_SIZE, NULL, "3 follow the end");
	/* small and not even the beginning of a package: nothing is missing from it, it is something else */
	assert_null(open_bytes((const uint8_t *)"short", 5, NULL, &why));
	assert_int_equal(why.error, ERR_PACKAGE_NOT_PAC);
	assert_null(open_bytes((const uint8_t *)"PK\3\4 and some more", 18, NULL, &why));
	assert_int_equal(why.error, ERR_PACKAGE_NOT_PAC);
	assert_non_null(strstr(why.detail, "zip"));
	assert_null(open_bytes((const uint8_t *)"B\0P\0_\0R\0", 8, NULL, &why));
	assert_int_equal(why.error, ERR_PACKAGE_SIZE);
	assert_null(open_bytes(NULL, 0, NULL, &why));
	assert_int_equal(why.error, ERR_PACKAGE_SIZE);
}

static void damage_is_named(void **state)
{
	static const struct {
		enum compose_damage damage;
		enum error_id error;
		const char *entry, *words;
	} rows[] = {
		{ COMPOSE_FLIP_HEADER, ERR_PACKAGE_HEADER_CRC, "", "the header says" },
		{ COMPOSE_FLIP_BODY, ERR_PACKAGE_BODY_CRC, "", "the header says" },
		{ COMPOSE_ZERO_CRC, ERR_PACKAGE_HEADER_CRC, "", "both CRC fields are zero" },
		{ COMPOSE_WRONG_BODY_CRC, ERR_PACKAGE_BODY_CRC, "", "bytes 2124 to" },
		{ COMPOSE_NO_MAGIC, ERR_PACKAGE_HEADER_CRC, "", "expected 0xfffafffa" },
		{ COMPOSE_NOT_PAC, ERR_PACKAGE_NOT_PAC, "", "neither" },
		{ COMPOSE_COUNT_ZERO, ERR_PACKAGE_TABLE, "", "0 entries" },
		{ COMPOSE_COUNT_HUGE, ERR_PACKAGE_TABLE, "", "4294967295 entries" },
		{ COMPOSE_COUNT_MORE, ERR_PACKAGE_TABLE, "", "1000 entries" },
		{ COMPOSE_TABLE_OUTSIDE, ERR_PACKAGE_TABLE, "", "does not lie" },
		{ COMPOSE_TABLE_INSIDE, ERR_PACKAGE_TABLE, "", "at 100 does not lie" },
		{ COMPOSE_ENTRY_SIZE, ERR_PACKAGE_TABLE, "", "2576 bytes, expected 2580" },
		{ COMPOSE_OFFSET_OUTSIDE, ERR_PACKAGE_TABLE, "BOOT", "past the end" },
		{ COMPOSE_OFFSET_WRAP, ERR_PACKAGE_TABLE, "BOOT", "past the end" },
		{ COMPOSE_OFFSET_TABLE, ERR_PACKAGE_TABLE, "BOOT", "header or table" },
		{ COMPOSE_XML_FIRST, ERR_PACKAGE_XML, "FDL", "is not the XML" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct compose_spec spec = {
			.family = "ums512", .seed = i, .damage = rows[i].damage, .victim = "BOOT"
		};

		expect(&spec, rows[i].error, rows[i].entry, rows[i].words);
	}
}

static void masked_tables(void **state)
{
	struct compose_spec spec = { .seed = 2, .masked = true, .damage = COMPOSE_MASK_CRC };
	struct failure why;
	uint8_t *bytes;
	size_t len;
	struct pac *p;

	expect(&spec, ERR_PACKAGE_MASKED, "", "none of the 256 masks");
	spec.damage = COMPOSE_MASK_SIZE;
	expect(&spec, ERR_PACKAGE_MASKED, "", "masked table of");
	spec.damage = COMPOSE_WHOLE;
	spec.mask = 0x11;
	compose_package(&spec, &bytes, &len);
	p = open_bytes(bytes, len, NULL, &why);
	assert_non_null(p);
	assert_true(pac_header(p)->masked);
	assert_int_equal(pac_header(p)->mask, 0x11);
	pac_free(p);
	free(bytes);
}

static void archives_are_recognised(void **state)
{
	uint8_t bytes[4096] = "PK\3\4";
	struct failure why;

	assert_null(open_bytes(bytes, sizeof(bytes), NULL, &why));
	assert_int_equal(why.error, ERR_PACKAGE_NOT_PAC);
	assert_non_null(strstr(why.detail, "zip"));
	memset(bytes, 0, sizeof(bytes));
	memcpy(bytes + 257, "ustar", 5);
	assert_null(open_bytes(bytes, sizeof(bytes), NULL, &why));
	assert_non_null(strstr(why.detail, "tar"));
}

static void old_layout_and_custom_version(void **state)
{
	struct compose_spec spec = { .seed = 3, .old_layout = true };
	struct failure why;
	uint8_t *bytes;
	size_t len;
	struct pac *p;

	compose_package(&spec, &bytes, &len);
	p = open_bytes(bytes, len, NULL, &why);
	assert_non_null(p);
	assert_false(pac_header(p)->checked);
	assert_true(has_doubt(p, "oldest layout"));
	pac_free(p);
	free(bytes);
	spec.old_layout = false;
	spec.container = "VENDOR_7";
	compose_package(&spec, &bytes, &len);
	p = open_bytes(bytes, len, NULL, &why);
	assert_non_null(p);
	assert_true(has_doubt(p, "VENDOR_7"));
	pac_free(p);
	free(bytes);
}

static void bad_crc_on_request(void **state)
{
	struct compose_spec spec = { .seed = 3, .damage = COMPOSE_ZERO_CRC };
	struct pac_options opt = { .accept_bad_crc = true };
	struct pac_body *body;
	struct failure why;
	struct source src;
	uint8_t *bytes;
	size_t len;
	struct pac *p;

	compose_package(&spec, &bytes, &len);
	src = source_memory(bytes, len);
	p = open_bytes(bytes, len, &opt, &why);
	assert_non_null(p);
	assert_false(pac_header(p)->crc1_ok);
	assert_true(has_doubt(p, "accepted on request"));
	assert_int_equal(pac_check(p, &src, NULL, NULL, NULL, &body, &why), -EBADMSG);
	assert_int_equal(why.error, ERR_PACKAGE_BODY_CRC);
	assert_int_equal(pac_check(p, &src, &opt, NULL, NULL, &body, &why), 0);
	assert_false(body->crc_ok);
	assert_int_equal(body->doubts, 1);
	pac_body_free(body);
	pac_free(p);
	free(bytes);
}

static void gaps_only_warn(void **state)
{
	struct compose_spec spec = { .seed = 6, .damage = COMPOSE_GAP };
	struct failure why;
	uint8_t *bytes;
	size_t len;
	struct pac *p;

	assert_int_equal(verdict(&spec).error, ERR_NONE);
	compose_package(&spec, &bytes, &len);
	p = open_bytes(bytes, len, NULL, &why);
	assert_non_null(p);
	assert_true(has_doubt(p, "table order"));
	pac_free(p);
	free(bytes);
}

static void hostile_strings_are_tamed(void **state)
{
	struct compose_spec spec = { .seed = 6, .damage = COMPOSE_LONG_STRINGS, .victim = "BOOT" };
	const struct pac_item *item;
	struct failure why;
	uint8_t *bytes;
	size_t len;
	struct pac *p;

	compose_package(&spec, &bytes, &len);
	p = open_bytes(bytes, len, NULL, &why);
	assert_non_null(p);
	item = pac_item_by_id(p, "BOOT");
	assert_null(strchr(item->name, '/'));
	assert_null(strchr(item->name, '\\'));
	assert_true(has_doubt(p, "carries a path"));
	pac_free(p);
	free(bytes);
}

static void scheme_rules(void **state)
{
	char *xml = compose_scheme("sc9863a"), *odd;
	struct compose_spec spec = { .xml = xml, .seed = 8 };

	spec.leave = "FDL2";
	expect(&spec, ERR_PACKAGE_ENTRY_MISSING, "FDL2", "not in the package");
	spec.leave = NULL;
	spec.untick = "FDL";
	expect(&spec, ERR_PACKAGE_ENTRY_MISSING, "FDL", "not ticked");
	spec.untick = NULL;
	spec.empty = "FDL";
	expect(&spec, ERR_PACKAGE_ENTRY_MISSING, "FDL", "no file");
	spec.empty = "BOOT";
	expect(&spec, ERR_PACKAGE_ENTRY_MISSING, "BOOT", "empty");
	spec.empty = "ProdNV"; /* comes back from the phone itself */
	assert_int_equal(verdict(&spec).error, ERR_NONE);
	spec.empty = NULL;
	spec.untick = "FLASH_LTE";
	expect(&spec, ERR_PACKAGE_UNSAFE, "FLASH_LTE", "not ticked");
	spec.untick = NULL;
	odd = compose_replace(xml, "<Type>YAFFS_IMG2</Type>", "<Type>TELEPORT</Type>", false);
	spec.xml = odd;
	expect(&spec, ERR_PACKAGE_TYPE, "System", "TELEPORT");
	spec.untick = "System";
	assert_int_equal(verdict(&spec).error, ERR_NONE);
	spec.untick = NULL;
	free(odd);
	odd = compose_replace(xml, "Block id=\"logo\"", "Block id=\"erase_all\"", false);
	spec.xml = odd;
	expect(&spec, ERR_PACKAGE_UNSAFE, "BootLogo", "erase_all");
	free(odd);
	odd = compose_replace(xml, "<CheckFlag>1</CheckFlag>", "<CheckFlag>0</CheckFlag>", true);
	spec.xml = odd;
	spec.leave = "FDL2";
	expect(&spec, ERR_PACKAGE_NO_LOADER, "FDL2", "no second loader");
	spec.leave = "FDL";
	expect(&spec, ERR_PACKAGE_NO_LOADER, "FDL", "no first loader");
	free(odd);
	free(xml);
}

static void products(void **state)
{
	struct compose_spec spec = { .family = "sc9863a", .seed = 8, .product = "PAC_s9863a-MADE" };
	struct pac_options opt = { .product = "something" };
	struct failure why;
	uint8_t *bytes;
	char *xml, *two;
	size_t len;
	struct pac *p;

	compose_package(&spec, &bytes, &len);
	p = open_bytes(bytes, len, NULL, &why);
	assert_non_null(p);
	assert_false(has_doubt(p, "names product"));
	pac_free(p);
	assert_null(open_bytes(bytes, len, &opt, &why));
	assert_int_equal(why.error, ERR_PACKAGE_PRODUCT);
	free(bytes);
	spec.product = "another";
	compose_package(&spec, &bytes, &len);
	p = open_bytes(bytes, len, NULL, &why);
	assert_non_null(p);
	assert_true(has_doubt(p, "names product"));
	pac_free(p);
	free(bytes);
	xml = compose_scheme("sc9863a");
	two = compose_replace(xml, "</ProductList>",
			      "<Product name=\"b\"><SchemeName>x</SchemeName></Product></ProductList>",
			      false);
	spec.xml = two;
	expect(&spec, ERR_PACKAGE_PRODUCT, NULL, "no product \"another\" among the 2");
	spec.product = "b";
	expect(&spec, ERR_PACKAGE_SCHEME, NULL, "wants scheme \"x\"");
	free(xml);
	free(two);
}

static void images_are_told_apart(void **state)
{
	struct compose_spec spec = { .family = "ums512", .seed = 8 };
	const struct pac_item *spl, *vb, *super;
	struct pac_body *body;
	struct failure why;
	struct source src;
	uint8_t *bytes;
	size_t len;
	struct pac *p;

	compose_package(&spec, &bytes, &len);
	src = source_memory(bytes, len);
	p = open_bytes(bytes, len, NULL, &why);
	assert_non_null(p);
	spl = pac_item_by_id(p, "SPLLoader");
	assert_true(spl->image.dhtb.present && spl->image.dhtb.signature && !spl->image.dhtb.at_end);
	assert_int_equal(spl->image.dhtb.cert_at, 512 + spl->image.dhtb.payload_size + 0x60);
	vb = pac_item_by_id(p, "VBMETA");
	assert_true(vb->image.dhtb.present && vb->image.dhtb.at_end);
	super = pac_item_by_id(p, "Super");
	assert_int_equal(super->image.kind, IMAGE_SPARSE);
	assert_true(super->image.expanded > super->size);
	assert_int_equal(pac_item_by_id(p, "NV_LTE")->image.kind, IMAGE_NV);
	assert_int_equal(pac_check(p, &src, NULL, NULL, NULL, &body, &why), 0);
	assert_int_equal(body->dhtb_checked, 7);
	assert_non_null(pac_body_map(body, super));
	assert_int_equal(pac_body_map(body, super)->header.expanded, super->image.expanded);
	assert_null(pac_body_map(body, spl));
	assert_string_equal(pac_chip(p)->family->name, "sharkl5pro");
	pac_body_free(body);
	pac_free(p);
	free(bytes);
}

static void broken_payloads(void **state)
{
	struct compose_sparse sparse = { .break_at = "total" };
	struct compose_file file = { .id = "Super" };
	struct compose_spec spec = { .family = "ums512", .seed = 8, .file = &file, .files = 1 };
	struct compose_nv nv = { .without = (const uint16_t[]){ 5 }, .without_count = 1 };
	uint8_t *image;

	file.data = image = compose_sparse(&sparse, &file.len);
	expect(&spec, ERR_PACKAGE_SPARSE, "Super", "bytes of data for");
	free(image);
	sparse.break_at = "block";
	file.data = image = compose_sparse(&sparse, &file.len);
	expect(&spec, ERR_PACKAGE_SPARSE, "Super", "block size 0");
	free(image);
	file.id = "NV_LTE";
	file.data = image = compose_nv(&nv, &file.len);
	expect(&spec, ERR_PACKAGE_NV, "NV_LTE", "no item 0x5");
	free(image);
	file.data = "not an NV image at all, but long enough to be taken for one";
	file.len = 60;
	expect(&spec, ERR_PACKAGE_NV, "NV_LTE", NULL);
	file.id = "SML";
	image = compose_sign("payload", 7, &file.len);
	file.data = image;
	image[515] ^= 1;
	expect(&spec, ERR_PACKAGE_IMAGE_DAMAGED, "SML", "SHA-256 of 7 signed bytes");
	image[515] ^= 1;
	image[0x32] = 1;
	expect(&spec, ERR_PACKAGE_IMAGE_DAMAGED, "SML", "65543 bytes of payload");
	free(image);
}

static void loaders_of_two_chips(void **state)
{
	static const char a[] =
		"............FDL1 sharkl3........................................................................";
	static const char b[] =
		"............FDL2 ums9230_1h10....................................................................";
	struct compose_spec spec = {
		.seed = 1, .fdl1 = a, .fdl1_len = sizeof(a), .fdl2 = b, .fdl2_len = sizeof(b)
	};
	struct pac_options opt = { .accept_mismatch = true };
	struct failure why;
	uint8_t *bytes;
	size_t len;
	struct pac *p;

	expect(&spec, ERR_LOADER_MISMATCH, "FDL2", "sharkl3");
	compose_package(&spec, &bytes, &len);
	p = open_bytes(bytes, len, &opt, &why);
	assert_non_null(p);
	pac_free(p);
	free(bytes);
}

static bool stop_at(void *ctx, uint64_t done, uint64_t total)
{
	return done < *(uint64_t *)ctx;
}

static void check_can_be_stopped_and_sees_change(void **state)
{
	struct compose_spec spec = { .seed = 5, .image_bytes = 400000 };
	uint64_t limit = 2 << 20;
	struct pac_body *body;
	struct failure why;
	struct source src;
	uint8_t *bytes;
	size_t len;
	struct pac *p;

	compose_package(&spec, &bytes, &len);
	assert_true(len > 3 << 20);
	src = source_memory(bytes, len);
	p = open_bytes(bytes, len, NULL, &why);
	assert_non_null(p);
	assert_int_equal(pac_check(p, &src, NULL, stop_at, &limit, &body, &why), -ECANCELED);
	assert_int_equal(why.offset, 2 << 20);
	bytes[2124 + 600] ^= 1;
	assert_int_equal(pac_check(p, &src, NULL, NULL, NULL, &body, &why), -ESTALE);
	assert_int_equal(why.error, ERR_PACKAGE_CHANGED);
	src.size--;
	assert_int_equal(pac_check(p, &src, NULL, NULL, NULL, &body, &why), -ESTALE);
	pac_free(p);
	free(bytes);
}

struct failing {
	const uint8_t *bytes;
	uint64_t bad; /* reads that touch this byte fail */
};

static int failing_read(void *ctx, uint64_t offset, void *buf, size_t len)
{
	struct failing *f = ctx;

	if (f->bad >= offset && f->bad < offset + len)
		return -EIO;
	memcpy(buf, f->bytes + offset, len);
	return 0;
}

static void reads_can_fail(void **state)
{
	struct compose_spec spec = { .seed = 5 };
	static const uint64_t places[] = { 0, 3000, UINT64_MAX };
	struct failing f;
	struct failure why;
	uint8_t *bytes;
	size_t len, i;
	struct pac *p;

	compose_package(&spec, &bytes, &len);
	f.bytes = bytes;
	for (i = 0; i < ARRAY_SIZE(places); i++) {
		struct source src = { .size = len, .read_at = failing_read, .ctx = &f };

		f.bad = places[i] == UINT64_MAX ? len - 5 : places[i];
		assert_int_equal(pac_open(&src, NULL, &p, &why), -EIO);
		assert_int_equal(why.error, ERR_PACKAGE_READ_FAILED);
		assert_true(why.has_offset);
	}
	free(bytes);
}

static int file_read(void *ctx, uint64_t offset, void *buf, size_t len)
{
	return pread(*(int *)ctx, buf, len, (off_t)offset) == (ssize_t)len ? 0 : -EIO;
}

static void beyond_four_gib(void **state)
{
	struct compose_spec spec = {
		.family = "ums512", .seed = 6, .huge = (4ull << 30) + 99999999, .shuffle = true
	};
	char path[] = "/tmp/fdld-test-XXXXXX";
	const struct pac_item *item;
	struct pac_body *body;
	struct failure why;
	uint64_t len;
	struct source src;
	struct pac *p;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	unlink(path);
	if (compose_write(&spec, fd, &len) < 0) {
		close(fd);
		skip();
	}
	src = (struct source){ .size = len, .read_at = file_read, .ctx = &fd };
	assert_true(len > 4ull << 30);
	assert_int_equal(pac_open(&src, NULL, &p, &why), 0);
	assert_string_equal(pac_header(p)->version, "BP_R2.0.1");
	item = pac_item_by_id(p, "Super");
	assert_int_equal(item->size, (4ull << 30) + 99999999);
	assert_int_equal(pac_check(p, &src, NULL, NULL, NULL, &body, &why), 0);
	assert_true(body->crc_ok);
	assert_int_equal(body->digest.count, (len + DIGEST_CHUNK - 1) / DIGEST_CHUNK);
	pac_body_free(body);
	pac_free(p);
	close(fd);
}

static void every_prefix_fails_cleanly(void **state)
{
	struct compose_spec spec = { .family = "uic8850", .seed = 5 };
	struct failure why;
	uint8_t *bytes, *copy;
	size_t len, cut;

	compose_package(&spec, &bytes, &len);
	for (cut = 0; cut < len; cut += cut < 4000 ? 97 : 7919) {
		copy = malloc(cut ? cut : 1);
		memcpy(copy, bytes, cut);
		assert_null(open_bytes(copy, cut, NULL, &why));
		assert_int_equal(why.error, ERR_PACKAGE_SIZE);
		free(copy);
	}
	free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(crc_is_the_reference),
		cmocka_unit_test(digests_prove_chunks),
		cmocka_unit_test(source_keeps_its_bounds),
		cmocka_unit_test(real_packages_hold),
		cmocka_unit_test(real_core_in_detail),
		cmocka_unit_test(every_family_holds),
		cmocka_unit_test(order_is_the_schemes),
		cmocka_unit_test(duplicates_can_share),
		cmocka_unit_test(sizes_are_told_to_the_byte),
		cmocka_unit_test(damage_is_named),
		cmocka_unit_test(masked_tables),
		cmocka_unit_test(archives_are_recognised),
		cmocka_unit_test(old_layout_and_custom_version),
		cmocka_unit_test(bad_crc_on_request),
		cmocka_unit_test(gaps_only_warn),
		cmocka_unit_test(hostile_strings_are_tamed),
		cmocka_unit_test(scheme_rules),
		cmocka_unit_test(products),
		cmocka_unit_test(images_are_told_apart),
		cmocka_unit_test(broken_payloads),
		cmocka_unit_test(loaders_of_two_chips),
		cmocka_unit_test(check_can_be_stopped_and_sees_change),
		cmocka_unit_test(reads_can_fail),
		cmocka_unit_test(beyond_four_gib),
		cmocka_unit_test(every_prefix_fails_cleanly),
	};

	cmocka_set_test_filter(getenv("ONLY"));
	return cmocka_run_group_tests_name("pac", tests, NULL, NULL);
}
