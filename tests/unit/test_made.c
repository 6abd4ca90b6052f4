/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Packages put together in memory: the one parser takes them, and every byte comes from its part. */
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
#include "pac/made.h"
#include "pac/pac.h"
#include "tests/compose/compose.h"

static struct compose_spec spec = { .family = "sc9863a", .seed = 11 };

struct parts {
	uint8_t *bytes[5];
	size_t len[5];
	struct source source[5];
	struct made_part part[7];
};

static void load(struct parts *p, size_t i, const char *id)
{
	p->bytes[i] = compose_payload(&spec, id, 0, &p->len[i]);
	assert_non_null(p->bytes[i]);
	p->source[i] = source_memory(p->bytes[i], p->len[i]);
}

/* Both loaders, NV, an image by name, one with an odd name, and two operations without a file. */
static void parts_make(struct parts *p)
{
	load(p, 0, "FDL");
	load(p, 1, "FDL2");
	load(p, 2, "NV_LTE");
	load(p, 3, "BOOT");
	load(p, 4, "System");
	p->part[0] = (struct made_part){ "FDL", "FDL", NULL, 0x5000, 0, &p->source[0], NULL, 0, false };
	p->part[1] = (struct made_part){ "FDL2",	"NAND_FDL", NULL, 0x9EFFFE00, 0,
					 &p->source[1], NULL,	    0,	  false };
	p->part[2] = (struct made_part){ "NV_LTE",	"NV_COMM", "l_fixnv1", 0,   0x200000,
					 &p->source[2], NULL,	   2,	       true };
	p->part[3] = (struct made_part){ "boot", "CODE2", "boot", 0, 0, &p->source[3], "a <&\"> \xc3\xa4.img",
					 2,	 false };
	p->part[4] = (struct made_part){ "System", "YAFFS_IMG2", "system", 0, 0, &p->source[4], NULL, 2, 0 };
	p->part[5] = (struct made_part){ "EraseMisc", "EraseFlash2", "misc", 0, 0, NULL, NULL, 2, false };
	p->part[6] = (struct made_part){ "Table", "FORCE_REPARTITION2", NULL, 0, 0, NULL, NULL, 0, false };
}

static void parts_free(struct parts *p)
{
	for (size_t i = 0; i < 5; i++)
		free(p->bytes[i]);
}

static const struct scheme_nv_item nv[] = {
	{ .name = "Calibration", .id = SCHEME_NV_DEFAULT, .backup = true, .use_flags = true },
	{ .name = "IMEI", .id = SCHEME_NV_DEFAULT, .backup = true },
	{ .name = "BlueTooth", .id = 0x191, .backup = true, .use_flags = true, .carry_on = true },
};

static struct made_scheme scheme_make(const struct scheme_table *table)
{
	return (struct made_scheme){ .product = "sc9863a",
				     .version = "made here",
				     .flash_type = 1,
				     .nv_backup = true,
				     .nv = nv,
				     .nvs = ARRAY_SIZE(nv),
				     .table = table };
}

static struct scheme_table table_make(struct scheme_partition *part)
{
	part[0] = (struct scheme_partition){ "prodnv", 5 << 10, 0 };
	part[1] = (struct scheme_partition){ "boot", 45 << 10, -1024 };
	part[2] = (struct scheme_partition){ "userdata", SCHEME_REST, 0 };
	return (struct scheme_table){
		.present = true, .v1 = true, .unit = 2, .unit_bytes = 1024, .part = part, .parts = 3
	};
}

static struct pac *open_made(const struct made *m, bool made, struct failure *why)
{
	struct pac_options opt = { .made = made };
	struct pac *pac = NULL;

	*why = (struct failure){ 0 };
	if (pac_open(made_source(m), &opt, &pac, why) < 0)
		print_message("%s: %s\n", error_entry(why->error)->name, why->detail);
	return pac;
}

static void no_doubts(const struct pac *pac)
{
	size_t count;
	const struct pac_doubt *d = pac_doubts(pac, &count);

	for (size_t i = 0; i < count; i++)
		fail_msg("%s: %s", d[i].entry, d[i].text);
}

static void compare_item(const struct pac *pac, const struct made *m, const struct made_part *part)
{
	const struct pac_item *item = pac_item_by_id(pac, part->id);
	_cleanup_free_ uint8_t *want = NULL, *got = NULL;
	size_t len = part->source ? (size_t)part->source->size : 0;

	assert_non_null(item);
	assert_true(item->ticked);
	assert_int_equal(item->size, len);
	assert_string_equal(item->file->type_text, part->type);
	assert_string_equal(item->partition, part->partition ? part->partition : "");
	assert_int_equal(item->address, part->address);
	assert_int_equal(item->block_size, part->size);
	assert_int_equal(item->file->backup == 1, part->backup);
	want = malloc(len + 1);
	got = malloc(len + 1);
	assert_non_null(want);
	assert_non_null(got);
	if (len)
		assert_int_equal(source_read(part->source, 0, want, len), 0);
	assert_int_equal(source_read(made_source(m), item->offset, got, len), 0);
	assert_memory_equal(want, got, len);
}

static void the_parser_takes_it(void **state)
{
	struct scheme_partition rows[3];
	struct scheme_table table = table_make(rows);
	struct made_scheme scheme = scheme_make(&table);
	struct parts p = { 0 };
	const struct scheme_product *product;
	struct failure why;
	struct pac_body *body;
	struct made *m;
	struct pac *pac;
	size_t i;

	(void)state;
	parts_make(&p);
	assert_int_equal(pac_made(p.part, ARRAY_SIZE(p.part), &scheme, &m, &why), 0);
	pac = open_made(m, true, &why);
	assert_non_null(pac);
	no_doubts(pac);
	for (i = 0; i < ARRAY_SIZE(p.part); i++)
		compare_item(pac, m, &p.part[i]);
	assert_string_equal(pac_item_by_id(pac, "boot")->name, "a <&\"> \xc3\xa4.img");
	assert_true(pac_two_stage(pac));
	assert_string_equal(pac_chip(pac)->family->name, "sharkl3");
	product = pac_product(pac);
	assert_int_equal(product->nvs, ARRAY_SIZE(nv));
	for (i = 0; i < ARRAY_SIZE(nv); i++) {
		assert_string_equal(product->nv[i].name, nv[i].name);
		assert_int_equal(product->nv[i].id, nv[i].id);
		assert_int_equal(product->nv[i].backup, nv[i].backup);
		assert_int_equal(product->nv[i].carry_on, nv[i].carry_on);
	}
	assert_int_equal(product->table.parts, 3);
	assert_int_equal(product->table.part[1].gap, -1024);
	assert_true(product->table.part[2].size == SCHEME_REST);
	assert_int_equal(pac_check(pac, made_source(m), &(struct pac_options){ .made = true }, NULL, NULL,
				   &body, &why),
			 0);
	assert_true(body->dhtb_checked >= 2);
	pac_body_free(body);
	pac_free(pac);
	made_free(m);
	parts_free(&p);
}

static void a_sealed_one_is_a_package_for_all(void **state)
{
	struct made_scheme scheme = scheme_make(NULL);
	struct parts p = { 0 };
	struct failure why;
	struct pac_body *body;
	struct made *m;
	struct pac *pac;

	(void)state;
	parts_make(&p);
	assert_int_equal(pac_made(p.part, 2, &scheme, &m, &why), 0);
	/* as a file of unknown origin, it is told to have no CRC */
	pac = open_made(m, false, &why);
	assert_non_null(pac);
	assert_false(pac_header(pac)->checked);
	pac_free(pac);
	assert_int_equal(made_seal(m, &why), 0);
	pac = open_made(m, false, &why);
	assert_non_null(pac);
	assert_true(pac_header(pac)->checked);
	assert_true(pac_header(pac)->crc1_ok);
	no_doubts(pac);
	assert_int_equal(pac_check(pac, made_source(m), NULL, NULL, NULL, &body, &why), 0);
	assert_true(body->crc_ok);
	pac_body_free(body);
	pac_free(pac);
	/* and a change in a part is found */
	p.bytes[1][p.len[1] / 2] ^= 4;
	pac = open_made(m, false, &why);
	assert_non_null(pac);
	assert_true(pac_check(pac, made_source(m), NULL, NULL, NULL, &body, &why) < 0);
	assert_int_equal(why.error, ERR_PACKAGE_BODY_CRC);
	pac_free(pac);
	made_free(m);
	parts_free(&p);
}

static void the_map_leaves_nothing_out(void **state)
{
	struct made_scheme scheme = scheme_make(NULL);
	struct parts p = { 0 };
	const struct made_extent *x;
	struct failure why;
	struct made *m;
	size_t count;
	uint64_t at = 0;

	(void)state;
	parts_make(&p);
	assert_int_equal(pac_made(p.part, ARRAY_SIZE(p.part), &scheme, &m, &why), 0);
	x = made_map(m, &count);
	assert_int_equal(count, 7);
	for (size_t i = 0; i < count; i++) {
		size_t len = (size_t)x[i].length;
		_cleanup_free_ uint8_t *a = malloc(len), *b = malloc(len);

		assert_non_null(a);
		assert_non_null(b);
		assert_int_equal(x[i].offset, at);
		assert_true(x[i].length > 0);
		assert_int_equal(x[i].part < 0, x[i].bytes != NULL);
		assert_int_equal(source_read(made_source(m), at, a, len), 0);
		if (x[i].part < 0)
			memcpy(b, x[i].bytes, len);
		else
			assert_int_equal(source_read(p.part[x[i].part].source, 0, b, len), 0);
		assert_memory_equal(a, b, len);
		at += x[i].length;
	}
	assert_int_equal(at, made_source(m)->size);
	/* reads across every border, and none past the end */
	for (size_t i = 1; i < count; i++) {
		uint8_t two[2], one;

		assert_int_equal(source_read(made_source(m), x[i].offset - 1, two, 2), 0);
		assert_int_equal(source_read(made_source(m), x[i].offset, &one, 1), 0);
		assert_int_equal(two[1], one);
	}
	assert_int_equal(source_read(made_source(m), at, &count, 1), -EIO);
	made_free(m);
	parts_free(&p);
}

static int no_bytes(void *ctx, uint64_t offset, void *buf, size_t len)
{
	(void)ctx;
	(void)offset;
	memset(buf, 0x5a, len);
	return 0;
}

static int broken(void *ctx, uint64_t offset, void *buf, size_t len)
{
	(void)ctx;
	(void)offset;
	(void)buf;
	(void)len;
	return -EIO;
}

static void sizes_beyond_32_bits(void **state)
{
	struct made_scheme scheme = scheme_make(NULL);
	struct source big = { .size = 5ull << 30, .read_at = no_bytes }, bad = big;
	struct parts p = { 0 };
	struct failure why;
	struct made *m;
	struct pac *pac;
	uint8_t b;

	(void)state;
	parts_make(&p);
	p.part[3].source = &big;
	assert_int_equal(pac_made(p.part, ARRAY_SIZE(p.part), &scheme, &m, &why), 0);
	pac = open_made(m, true, &why);
	assert_non_null(pac);
	assert_string_equal(pac_header(pac)->version, "BP_R2.0.1");
	assert_int_equal(pac_item_by_id(pac, "boot")->size, 5ull << 30);
	assert_true(pac_item_by_id(pac, "System")->offset > 5ull << 30);
	assert_int_equal(
		source_read(made_source(m), pac_item_by_id(pac, "boot")->offset + (4ull << 30), &b, 1), 0);
	assert_int_equal(b, 0x5a);
	pac_free(pac);
	made_free(m);
	bad.read_at = broken;
	p.part[3].source = &bad;
	assert_int_equal(pac_made(p.part, ARRAY_SIZE(p.part), &scheme, &m, &why), 0);
	assert_true(made_seal(m, &why) < 0);
	assert_int_equal(why.error, ERR_PACKAGE_READ_FAILED);
	made_free(m);
	parts_free(&p);
}

static void expect_refused(const struct made_part *part, size_t parts)
{
	struct made_scheme scheme = scheme_make(NULL);
	struct failure why = { 0 };
	struct made *m = (void *)&scheme;

	assert_true(pac_made(part, parts, &scheme, &m, &why) < 0);
	assert_int_equal(why.error, ERR_INVALID_ARGS);
	assert_null(m);
}

static void what_cannot_be_one_is_refused(void **state)
{
	struct parts p = { 0 };
	char longer[80];

	(void)state;
	parts_make(&p);
	expect_refused(p.part, 0);
	p.part[6].id = "fdl";
	expect_refused(p.part, 7);
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = 0;
	p.part[6].id = longer;
	expect_refused(p.part, 7);
	p.part[6].id = "Table";
	p.part[6].address = 1ull << 32;
	expect_refused(p.part, 7);
	parts_free(&p);
}

static void round_trip(const struct scheme_table *t, struct scheme_table *out)
{
	struct failure why = { 0 };
	char *text;
	size_t len;

	assert_int_equal(made_table_xml(t, &text, &len), 0);
	assert_int_equal(strlen(text), len);
	if (made_table_parse(text, len, NULL, out, &why) < 0)
		fail_msg("%s: %s", error_entry(why.error)->name, why.detail);
	free(text);
	assert_int_equal(out->v1, t->v1);
	assert_int_equal(out->unit, t->unit);
	assert_int_equal(out->unit_bytes, t->unit_bytes);
	assert_int_equal(out->parts, t->parts);
	for (size_t i = 0; i < t->parts; i++) {
		assert_string_equal(out->part[i].name, t->part[i].name);
		assert_true(out->part[i].size == t->part[i].size);
		assert_int_equal(out->part[i].gap, t->part[i].gap);
	}
}

static void tables_go_to_text_and_back(void **state)
{
	struct scheme_partition rows[3];
	struct scheme_table t = table_make(rows), out;

	(void)state;
	round_trip(&t, &out);
	made_table_free(&out);
	t.v1 = false;
	t.unit = 0;
	t.unit_bytes = 1 << 20;
	rows[1].gap = 0;
	round_trip(&t, &out);
	made_table_free(&out);
	assert_null(out.part);
}

static enum error_id table_error(const char *text, const char *product)
{
	struct failure why = { 0 };
	struct scheme_table t;

	if (made_table_parse(text, strlen(text), product, &t, &why) == 0) {
		made_table_free(&t);
		return ERR_NONE;
	}
	assert_null(t.part);
	return why.error;
}

static void tables_of_files(void **state)
{
	char *xml = compose_scheme("sc9863a");

	(void)state;
	assert_non_null(xml);
	assert_int_equal(table_error(xml, NULL), ERR_NONE);
	assert_int_equal(table_error(xml, "nobody"), ERR_PACKAGE_PRODUCT);
	free(xml);
	assert_int_equal(table_error("<Partitions><Partition id=\"a\" size=\"1\"/></Partitions>", NULL),
			 ERR_NONE);
	assert_int_equal(table_error("<Partitions/>", NULL), ERR_PACKAGE_PARTITIONS);
	assert_int_equal(table_error("<Partitions><Partition id=\"a b\" size=\"1\"/></Partitions>", NULL),
			 ERR_PACKAGE_NAME);
	assert_int_equal(table_error("<Partitions><Partition id=\"a\" size=\"1\"/>"
				     "<Partition id=\"a\" size=\"1\"/></Partitions>",
				     NULL),
			 ERR_PACKAGE_PARTITIONS);
	assert_int_equal(table_error("<Partitions>", NULL), ERR_PACKAGE_XML);
	assert_int_equal(table_error("<Something/>", NULL), ERR_PACKAGE_SCHEME);
	xml = compose_scheme("sc7731g");
	assert_non_null(xml);
	assert_int_equal(table_error(xml, NULL), ERR_PACKAGE_PARTITIONS);
	free(xml);
}

/* Of what may be a phone's own, what this image has. */
static void an_nv_image_alone_gets_a_list(void **state)
{
	static const uint16_t without[] = { NV_ID_BLUETOOTH, 0x19A };
	struct compose_nv nv_spec = { .seed = 3, .without = without, .without_count = 2 };
	struct scheme_nv_item items[MADE_NV_ITEMS];
	struct failure why = { 0 };
	struct source src;
	size_t len, count;
	uint8_t *image = compose_nv(&nv_spec, &len);
	bool imei = false;

	(void)state;
	src = source_memory(image, len);
	assert_int_equal(made_nv_items(&src, items, &count, &why), 0);
	assert_true(count >= 3);
	for (size_t i = 0; i < count; i++) {
		assert_true(items[i].backup);
		assert_true(items[i].id != NV_ID_BLUETOOTH && items[i].id != 0x19A);
		assert_int_equal(items[i].carry_on, items[i].id != NV_ID_IMEI);
		imei |= items[i].id == NV_ID_IMEI;
	}
	assert_true(imei);
	src.size = 7;
	assert_true(made_nv_items(&src, items, &count, &why) < 0);
	assert_int_equal(why.error, ERR_PACKAGE_NV);
	memset(image, 0x5a, len);
	src.size = len;
	assert_true(made_nv_items(&src, items, &count, &why) < 0);
	assert_int_equal(why.error, ERR_PACKAGE_NV);
	assert_int_equal(count, 0);
	src.read_at = broken;
	assert_true(made_nv_items(&src, items, &count, &why) < 0);
	assert_int_equal(why.error, ERR_PACKAGE_READ_FAILED);
	free(image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_parser_takes_it),
		cmocka_unit_test(a_sealed_one_is_a_package_for_all),
		cmocka_unit_test(the_map_leaves_nothing_out),
		cmocka_unit_test(sizes_beyond_32_bits),
		cmocka_unit_test(what_cannot_be_one_is_refused),
		cmocka_unit_test(tables_go_to_text_and_back),
		cmocka_unit_test(tables_of_files),
		cmocka_unit_test(an_nv_image_alone_gets_a_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
