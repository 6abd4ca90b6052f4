/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Text of vendors' XML: encodings, nested comments, attacks. */
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
#include "pac/text.h"
#include "pac/xml.h"

static struct xml_doc *parse(const char *text, size_t len)
{
	struct failure why = { 0 };
	struct xml_doc *doc;

	if (xml_parse(text, len, &doc, &why) < 0)
		fail_msg("%s: %s", error_entry(why.error)->name, why.detail);
	return doc;
}

static struct failure refused(const char *text, size_t len)
{
	struct failure why = { 0 };
	struct xml_doc *doc = (void *)&why;

	assert_true(xml_parse(text, len, &doc, &why) < 0);
	assert_null(doc);
	assert_int_equal(why.error, ERR_PACKAGE_XML);
	return why;
}

static void tree(void **state)
{
	static const char text[] = "<a x='1' y=\"two\"><b>  eins </b><c/><b>zwei</b></a>";
	struct xml_doc *doc = parse(text, sizeof(text) - 1);
	const struct xml_node *a = xml_root(doc);

	assert_string_equal(a->name, "a");
	assert_string_equal(xml_attr(a, "y"), "two");
	assert_null(xml_attr(a, "z"));
	assert_int_equal(xml_count(a, "b"), 2);
	assert_string_equal(xml_text(a, "b"), "  eins ");
	assert_string_equal(xml_next(xml_child(a, "b"))->text, "zwei");
	assert_null(xml_next(xml_next(xml_child(a, "b"))));
	assert_string_equal(xml_text(a, "c"), "");
	assert_string_equal(xml_text(NULL, "c"), "");
	xml_free(doc);
}

static void comments(void **state)
{
	static const char *const same[] = {
		"<a><!-- x --><b>1</b></a>",
		"<a><!-- <!-- inner --> still --><b>1</b></a>",
		"<!-- <!-- <!-- --> --> --><a><b>1</b></a>",
		"<a><!-- mentions <!-- once --><b>1</b></a>",
		"<a><!--<b>0</b>--><b>1</b><!----></a>",
		"<a><b><![CDATA[1]]></b><!-- -- --></a>",
	};
	static const char cdata[] = "<a><b><![CDATA[<!-- kept -->]]></b></a>";
	struct xml_doc *doc;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(same); i++) {
		doc = parse(same[i], strlen(same[i]));
		assert_int_equal(xml_count(xml_root(doc), "b"), 1);
		assert_string_equal(xml_text(xml_root(doc), "b"), "1");
		xml_free(doc);
	}
	doc = parse(cdata, sizeof(cdata) - 1);
	assert_string_equal(xml_text(xml_root(doc), "b"), "<!-- kept -->");
	xml_free(doc);
	assert_int_equal(refused("<a><b/><!-- open </a>", 21).offset, 7);
}

static void lines_survive_comments(void **state)
{
	static const char text[] = "<a>\n<!-- 1\n2\n<!-- 3\n-->\n-->\n<b></c></a>";
	struct failure why = refused(text, sizeof(text) - 1);

	assert_non_null(strstr(why.detail, "line 7 "));
	assert_true(why.has_offset);
}

static void encodings(void **state)
{
	static const char utf8[] = "\xef\xbb\xbf<a n='\xc3\xa9'>x</a>\0\0";
	static const char latin[] = "<a n='\xe9'>x</a>";
	static const char lies[] = "<?xml version='1.0' encoding='GB2312'?><a n='\xe9'>x</a>\0";
	uint8_t wide[2 * 40] = { 0xff, 0xfe };
	const char *plain = "<?xml version='1.0'?><a n='e'>x</a>";
	struct xml_doc *doc;
	size_t i;

	doc = parse(utf8, sizeof(utf8) - 1);
	assert_string_equal(xml_attr(xml_root(doc), "n"), "\xc3\xa9");
	xml_free(doc);
	doc = parse(latin, sizeof(latin) - 1);
	assert_string_equal(xml_attr(xml_root(doc), "n"), "\xc3\xa9");
	xml_free(doc);
	doc = parse(lies, sizeof(lies) - 1);
	assert_string_equal(xml_attr(xml_root(doc), "n"), "\xc3\xa9");
	xml_free(doc);
	for (i = 0; plain[i]; i++)
		wide[2 + 2 * i] = (uint8_t)plain[i];
	wide[2 + 2 * 27] = 0xe9; /* the e within the quotes */
	doc = parse((char *)wide, 2 + 2 * i + 2);
	assert_string_equal(xml_attr(xml_root(doc), "n"), "\xc3\xa9");
	xml_free(doc);
	refused((char *)wide, 2 + 2 * i - 1);
	refused("<a>\0</a>", 8);
}

static void attacks(void **state)
{
	static const char laughs[] = "<!DOCTYPE a [<!ENTITY x 'ha'><!ENTITY y '&x;&x;'>]><a>&y;</a>";
	static const char outside[] = "<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>";
	char deep[4 * 100 + 1], *many;
	size_t i, len;

	assert_non_null(strstr(refused(laughs, sizeof(laughs) - 1).detail, "document type"));
	assert_non_null(strstr(refused(outside, sizeof(outside) - 1).detail, "document type"));
	refused("<a>&x;</a>", 10);
	refused("", 0);
	refused("<a>", 3);
	refused("<a/><b/>", 8);
	for (i = 0; i < 100; i++)
		memcpy(deep + 3 * i, "<a>", 4);
	assert_non_null(strstr(refused(deep, 300).detail, "too deep"));
	many = malloc(5 * (size_t)XML_NODES_MAX + 100);
	memcpy(many, "<a>", 3);
	for (len = 3, i = 0; i < XML_NODES_MAX; i++, len += 5)
		memcpy(many + len, "<b/>x", 5);
	memcpy(many + len, "</a>", 4);
	assert_non_null(strstr(refused(many, len + 4).detail, "too many elements"));
	free(many);
	many = calloc(1, XML_SIZE_MAX + 1);
	assert_non_null(strstr(refused(many, XML_SIZE_MAX + 1).detail, "more than"));
	free(many);
	many = malloc(2000);
	len = (size_t)sprintf(many, "<a");
	for (i = 0; i < 40; i++)
		len += (size_t)sprintf(many + len, " a%zu='1'", i);
	len += (size_t)sprintf(many + len, "/>");
	assert_non_null(strstr(refused(many, len).detail, "attributes"));
	free(many);
}

static void texts(void **state)
{
	uint8_t field[20] = { 'a', 0, 0x3d, 0xd8, 0x00, 0xde, 0x00, 0xd8, 'z', 0, 0x1b, 0, 0xe9, 0 };
	char out[20], tiny[4];

	assert_true(text_from_utf16(out, sizeof(out), field, 10));
	assert_string_equal(out, "a\xf0\x9f\x98\x80?z?\xc3\xa9");
	assert_false(text_from_utf16(tiny, sizeof(tiny), field, 10));
	assert_string_equal(tiny, "a");
	assert_true(text_clean(out, sizeof(out), "  a\tb\xff \r\n"));
	assert_string_equal(out, "a?b?");
	assert_false(text_clean(tiny, sizeof(tiny), "abcdef"));
	assert_string_equal(tiny, "abc");
	assert_true(text_clean(out, sizeof(out), "x\xe2\x80\xaey")); /* right-to-left override */
	assert_string_equal(out, "x?y");
	assert_string_equal(text_base_name("C:\\x/y\\boot.img"), "boot.img");
	assert_string_equal(text_base_name("a/.."), "");
	assert_string_equal(text_base_name(""), "");
	assert_false(text_is_utf8("\xc0\x80", 2));
	assert_false(text_is_utf8("\xed\xa0\x80", 3));
	assert_false(text_is_utf8("\xf4\x90\x80\x80", 4));
	assert_true(text_is_utf8("\xf4\x8f\xbf\xbf", 4));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tree),
		cmocka_unit_test(comments),
		cmocka_unit_test(lines_survive_comments),
		cmocka_unit_test(encodings),
		cmocka_unit_test(attacks),
		cmocka_unit_test(texts),
	};

	return cmocka_run_group_tests_name("xml", tests, NULL, NULL);
}
