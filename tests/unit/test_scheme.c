/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Products, schemes, partitions and NV items, from real files and from broken ones. */
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
#include "pac/scheme.h"
#include "tests/compose/compose.h"

static struct scheme_doc *parse(const char *text)
{
	struct failure why = { 0 };
	struct scheme_doc *doc;

	if (scheme_parse(text, strlen(text), &doc, &why) < 0)
		fail_msg("%s: %s", error_entry(why.error)->name, why.detail);
	return doc;
}

static void refused(const char *text, enum error_id error, const char *words)
{
	struct failure why = { 0 };
	struct scheme_doc *doc;

	assert_true(scheme_parse(text, strlen(text), &doc, &why) < 0);
	if (why.error != error || !strstr(why.detail, words))
		fail_msg("got %s: %s", error_entry(why.error)->name, why.detail);
}

static void real_schemes(void **state)
{
	static const struct {
		const char *path;
		size_t files, parts, nvs;
	} real[] = { { "xml/sc9863a.xml", 37, 37, 43 },
		     { "xml/ums9620.xml", 36, 36, 381 },
		     { "xml/sc6531efm.xml", 11, 0, 7 } };
	size_t i, k, len;

	for (i = 0; i < ARRAY_SIZE(real); i++) {
		char *text = (char *)compose_data(real[i].path, &len);
		struct scheme_doc *doc;
		const struct scheme *s;

		if (!text)
			skip();
		doc = parse(text);
		assert_int_equal(doc->products, 1);
		s = scheme_of(doc, &doc->product[0]);
		assert_non_null(s);
		assert_int_equal(s->files, real[i].files);
		assert_int_equal(doc->product[0].table.parts, real[i].parts);
		assert_int_equal(doc->product[0].nvs, real[i].nvs);
		assert_int_equal(doc->product[0].flash_type, 1);
		assert_int_equal(doc->oddities, 0);
		for (k = 0; k < s->files; k++)
			assert_true(s->file[k].class != CLASS_UNKNOWN);
		scheme_doc_free(doc);
		free(text);
	}
}

static void sc9863a_in_detail(void **state)
{
	size_t len;
	char *text = (char *)compose_data("xml/sc9863a.xml", &len);
	const struct scheme_product *p;
	const struct scheme_file *f;
	struct scheme_doc *doc;
	uint64_t bytes;
	bool exact;

	if (!text)
		skip();
	doc = parse(text);
	p = scheme_find_product(doc, "PAC_S9863A-1h10", &exact);
	assert_true(p && exact && p->power_off && p->apr && p->nv_backup);
	f = &scheme_of(doc, p)->file[2];
	assert_string_equal(f->id, "NV_LTE");
	assert_true(scheme_file_is_nv(f) && scheme_file_backs_up(f));
	assert_int_equal(f->class, CLASS_NV_ID);
	assert_int_equal(f->cali, CALI_GSM | CALI_WCDMA | CALI_LTE);
	assert_string_equal(f->block[0].id, "l_fixnv1");
	assert_int_equal(f->block[0].size, 0x200000);
	assert_int_equal(scheme_of(doc, p)->file[1].block[0].base, 0x9efffe00);
	assert_string_equal(scheme_of(doc, p)->file[0].alias, "FDL1");
	assert_true(scheme_table_size(&p->table, "system", &bytes));
	assert_int_equal(bytes, 4100ull << 20);
	assert_false(scheme_table_size(&p->table, "userdata", &bytes));
	assert_false(scheme_table_size(&p->table, "nowhere", &bytes));
	assert_int_equal(p->table.part[p->table.parts - 1].size, SCHEME_REST);
	assert_false(p->table.v1);
	assert_int_equal(p->nv[0].id, SCHEME_NV_DEFAULT);
	assert_int_equal(p->nv[3].id, 0xa05);
	assert_false(p->nv[1].use_flags || p->nv[1].carry_on);
	scheme_doc_free(doc);
	free(text);
}

static void switches(void **state)
{
	char *xml = compose_scheme("uic8850"), *all;
	const struct scheme_product *p;
	struct scheme_doc *doc;

	all = compose_replace(
		xml, "<Mode>0</Mode>",
		"<Mode>1</Mode><OmaDMFlag>2</OmaDMFlag><RebootByAT>1</RebootByAT><NVOrgFlag>1</NVOrgFlag>"
		"<Chips enable='1'><ChipItem id='0x2222' name='L2'/><ChipItem id='7' name='L7'/></Chips>"
		"<RF enable='1'><Transceiver id='0x10' name='rf'/></RF>"
		"<SpecialStrings enable='1'><SString name='s' content='c' included='BOOT'>"
		"<LinkedFile id='AP' download='1'/><LinkedFile id='CP' download='0'/></SString></SpecialStrings>"
		"<ExtTable><PartitionType tag='paty'><Partition id='a' id2='b' type='2' size='0x10'/></PartitionType></ExtTable>",
		false);
	doc = parse(all);
	p = &doc->product[0];
	assert_int_equal(p->mode, 1);
	assert_int_equal(p->oma_dm, 2);
	assert_int_equal(p->nv_org, 1);
	assert_true(p->reboot_by_at && p->chips_enabled && p->rf_enabled && p->special_enabled);
	assert_int_equal(p->chips, 2);
	assert_int_equal(p->chip[0].id, 0x2222);
	assert_int_equal(p->chip[1].id, 7);
	assert_int_equal(p->rfs, 1);
	assert_int_equal(p->specials, 1);
	assert_int_equal(p->special[0].links, 2);
	assert_true(p->special[0].link[0].download && !p->special[0].link[1].download);
	assert_int_equal(p->exts, 1);
	assert_int_equal(p->ext[0].type, 2);
	assert_int_equal(p->ext[0].size, 16);
	scheme_doc_free(doc);
	free(all);
	free(xml);
}

static void numbers(void **state)
{
	char *xml = compose_scheme("uic8850"), *x;
	struct scheme_doc *doc;

	x = compose_replace(xml, "<Base>0x50800000</Base>", "<Base>1350565888</Base>",
			    false); /* decimal is not read */
	doc = parse(x);
	assert_int_equal(doc->scheme[0].file[0].block[0].base, 0);
	assert_int_equal(doc->oddities, 1);
	scheme_doc_free(doc);
	free(x);
	x = compose_replace(xml, "<Base>0x50800000</Base>", "<Base> 0X5080aBcD </Base>", false);
	doc = parse(x);
	assert_int_equal(doc->scheme[0].file[0].block[0].base, 0x5080abcd);
	assert_int_equal(doc->oddities, 0);
	scheme_doc_free(doc);
	free(x);
	x = compose_replace(xml, "<Base>0x50800000</Base>", "<Base>0x150800000</Base>", false);
	refused(x, ERR_PACKAGE_SCHEME, "do not fit 32 bits");
	free(x);
	x = compose_replace(xml, "<Base>0x50800000</Base>", "<Base>0x10000000000000000</Base>", false);
	refused(x, ERR_PACKAGE_SCHEME, "exceeds 64 bits");
	free(x);
	x = compose_replace(xml, "<ID>0x191</ID>", "<ID>0x10191</ID>", false);
	refused(x, ERR_PACKAGE_SCHEME, "not within 16 bits");
	free(x);
	x = compose_replace(xml, "<ID>0x191</ID>", "<ID>401</ID>", false);
	refused(x, ERR_PACKAGE_SCHEME, "not written as 0x");
	free(x);
	free(xml);
}

static void partitions(void **state)
{
	static const struct {
		const char *from, *to;
		enum error_id error;
		const char *words;
	} rows[] = {
		{ "\"logo\" size=\"6\"", "\"a_name_of_thirty_two_characters_\" size=\"6\"", ERR_PACKAGE_NAME,
		  "32 characters" },
		{ "\"logo\" size=\"6\"", "\"logo\xc3\xa9\" size=\"6\"", ERR_PACKAGE_NAME, "byte 0xc3" },
		{ "\"logo\" size=\"6\"", "\"a/b\" size=\"6\"", ERR_PACKAGE_NAME, "byte 0x2f" },
		{ "\"logo\" size=\"6\"", "\"a b\" size=\"6\"", ERR_PACKAGE_NAME, "byte 0x20" },
		{ "\"logo\" size=\"6\"", "\"\" size=\"6\"", ERR_PACKAGE_NAME, "0 characters" },
		{ "\"logo\" size=\"6\"", "\"boot\" size=\"6\"", ERR_PACKAGE_PARTITIONS, "listed twice" },
		{ "\"logo\" size=\"6\"", "\"logo\" size=\"-1\"", ERR_PACKAGE_PARTITIONS, "not the last" },
		{ "\"logo\" size=\"6\"", "\"logo\" size=\"0xFFFFFFFF\"", ERR_PACKAGE_PARTITIONS,
		  "not the last" },
		{ "\"logo\" size=\"6\"", "\"logo\" size=\"0\"", ERR_PACKAGE_PARTITIONS, "size 0" },
		{ "\"logo\" size=\"6\"", "\"logo\" size=\"six\"", ERR_PACKAGE_PARTITIONS, "no usable size" },
		{ "\"logo\" size=\"6\"", "\"logo\"", ERR_PACKAGE_PARTITIONS, "no usable size" },
		{ "\"logo\" size=\"6\"", "\"logo\" size=\"0x7fffffffffff\"", ERR_PACKAGE_PARTITIONS,
		  "absurd" },
		{ "\"logo\" size=\"6\"", "\"logo\" size=\"0x100000000\"", ERR_PACKAGE_PARTITIONS, "32 bits" },
		{ "<Partitions>", "<Partitions unit='5'>", ERR_PACKAGE_PARTITIONS, "unit" },
		{ "Block id=\"boot\"", "Block id=\"thirty_two_characters_are_longer\"", ERR_PACKAGE_NAME,
		  "32 characters" },
	};
	char *xml = compose_scheme("sc9863a"), *x;
	struct scheme_doc *doc;
	uint64_t bytes;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		x = compose_replace(xml, rows[i].from, rows[i].to, false);
		refused(x, rows[i].error, rows[i].words);
		free(x);
	}
	x = compose_replace(xml, "<Partitions>",
			    "<Partitions unit='2'><Partition id='first' size='64' gap='-3'/>", false);
	doc = parse(x);
	assert_true(doc->product[0].table.v1);
	assert_int_equal(doc->product[0].table.part[0].gap, -3);
	assert_true(scheme_table_size(&doc->product[0].table, "first", &bytes));
	assert_int_equal(bytes, 65536);
	scheme_doc_free(doc);
	free(x);
	free(xml);
}

static void files(void **state)
{
	char *xml = compose_scheme("sc9863a"), *x;
	struct scheme_doc *doc;

	x = compose_replace(xml, "<ID>BOOT</ID>", "<ID></ID>", false);
	refused(x, ERR_PACKAGE_SCHEME, "no ID");
	free(x);
	x = compose_replace(xml, "<Flag>0</Flag>", "<Flag>3</Flag>", false);
	refused(x, ERR_PACKAGE_SCHEME, "Flag is 3");
	free(x);
	x = compose_replace(xml, "<File>\n\t\t\t\t<ID>BOOT",
			    "<File new='1' selbyflash='1' selbyrf='1' CheckCali='LTE, 6G'>\n\t\t\t\t<ID>BOOT",
			    false);
	doc = parse(x);
	assert_int_equal(doc->oddities, 2);
	assert_non_null(strstr(doc->oddity[0], "attribute new"));
	assert_non_null(strstr(doc->oddity[1], "6G"));
	scheme_doc_free(doc);
	free(x);
	x = compose_replace(xml, "<File>\n\t\t\t\t<ID>BOOT",
			    "<File>\n<Block/><Block/><Block/><Block/><Block/>\t\t\t\t<ID>BOOT", false);
	refused(x, ERR_PACKAGE_SCHEME, "more than 5 Blocks");
	free(x);
	refused("<other/>", ERR_PACKAGE_SCHEME, "<BMAConfig> expected");
	refused("<BMAConfig/>", ERR_PACKAGE_PRODUCT, "0 products");
	refused("<BMAConfig><ProductList><Product name='a'/></ProductList></BMAConfig>", ERR_PACKAGE_SCHEME,
		"0 schemes");
	refused("<BMAConfig><ProductList><Product/></ProductList></BMAConfig>", ERR_PACKAGE_PRODUCT,
		"no name");
	free(xml);
}

static void types(void **state)
{
	unsigned i;

	for (i = TYPE_UNKNOWN + 1; i < TYPE_COUNT; i++) {
		const struct scheme_type_info *t = scheme_type_info((enum scheme_type)i);

		assert_int_equal(t->type, i);
		assert_ptr_equal(scheme_type_by_name(t->name), t);
		assert_true(t->class != CLASS_UNKNOWN);
		assert_string_not_equal(scheme_class_name(t->class), "unknown");
	}
	assert_int_equal(scheme_type_by_name("")->class, CLASS_UNKNOWN);
	assert_int_equal(scheme_type_by_name("NV_COMM")->class, CLASS_NV_ID);
	assert_int_equal(scheme_type_info((enum scheme_type)9999)->type, TYPE_UNKNOWN);
	assert_int_equal(scheme_type_by_name("FDL")->packet, 0x210);
	assert_int_equal(scheme_type_by_name("NAND_FDL")->packet, 0x840);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(real_schemes), cmocka_unit_test(sc9863a_in_detail),
		cmocka_unit_test(switches),	cmocka_unit_test(numbers),
		cmocka_unit_test(partitions),	cmocka_unit_test(files),
		cmocka_unit_test(types),
	};

	return cmocka_run_group_tests_name("scheme", tests, NULL, NULL);
}
