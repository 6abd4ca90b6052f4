/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which pair of loaders a job is given, and when two files are no pair. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/util.h"
#include "pac/pair.h"
#include "station/loader_choose.h"

/* ---- the choice ---- */

#define DIGEST_A "aaaaaaaa11111111"
#define DIGEST_B "aaaaaaaa22222222"

static const struct failure bad = { .error = ERR_PACKAGE_CHANGED };

static const struct loader_candidate store[] = {
	{ "line one", DIGEST_A, "sharkl3", NULL },
	{ "line two", DIGEST_B, "sharkl5pro", NULL },
	{ "broken", "cccccccc33333333", "sharkl3", &bad },
	{ "unknown", "dddddddd44444444", "", NULL },
};

static int choose(uint32_t from, uint32_t count, const struct loader_wish *wish, struct failure *why)
{
	memset(why, 0, sizeof(*why));
	return loader_choose(store + from, count, wish, why);
}

static void test_named(void **state)
{
	struct failure why;

	assert_int_equal(choose(0, 4, &(struct loader_wish){ .named = "line two" }, &why), 1);
	/* who asks has the last word, then the slot */
	assert_int_equal(choose(0, 4, &(struct loader_wish){ .named = "line two", .slot = "line one" }, &why),
			 1);
	assert_int_equal(choose(0, 4, &(struct loader_wish){ .slot = "line one" }, &why), 0);
	assert_int_equal(choose(0, 4, &(struct loader_wish){ .named = "DDDDdddd" }, &why), 3);
	assert_true(choose(0, 4, &(struct loader_wish){ .named = "ddddddd" }, &why) < 0);
	assert_int_equal(why.error, ERR_NO_LOADER);
	assert_true(choose(0, 4, &(struct loader_wish){ .named = "aaaaaaaa" }, &why) < 0);
	assert_int_equal(why.error, ERR_LOADER_AMBIGUOUS);
	assert_int_equal(choose(0, 4, &(struct loader_wish){ .named = "aaaaaaaa2" }, &why), 1);
	assert_true(choose(0, 4, &(struct loader_wish){ .named = "nobody" }, &why) < 0);
	assert_int_equal(why.error, ERR_NO_LOADER);
	assert_non_null(strstr(why.detail, "nobody"));
	assert_non_null(strstr(why.detail, "line one (sharkl3), line two (sharkl5pro), unknown"));
	assert_null(strstr(why.detail, "broken"));
	/* a slot that names one which has gone gets no other in its place */
	assert_true(choose(0, 1, &(struct loader_wish){ .slot = "gone" }, &why) < 0);
	assert_int_equal(why.error, ERR_NO_LOADER);
	assert_true(choose(0, 4, &(struct loader_wish){ .named = "broken" }, &why) < 0);
	assert_int_equal(why.error, ERR_PACKAGE_CHANGED);
}

static void test_only_one(void **state)
{
	struct loader_wish none = { 0 };
	struct failure why;

	assert_int_equal(choose(0, 1, &none, &why), 0);
	assert_int_equal(choose(1, 2, &none, &why), 0); /* what cannot be used does not count */
	assert_true(choose(0, 4, &none, &why) < 0);
	assert_int_equal(why.error, ERR_LOADER_AMBIGUOUS);
	assert_non_null(strstr(why.detail, "line one (sharkl3), line two (sharkl5pro), unknown (family"));
	assert_true(choose(0, 0, &none, &why) < 0);
	assert_int_equal(why.error, ERR_NO_LOADER);
	assert_true(choose(2, 1, &none, &why) < 0);
	assert_int_equal(why.error, ERR_NO_LOADER);
}

static void test_family(void **state)
{
	struct loader_wish l3 = { .family = "sharkl3" }, other = { .family = "pike2" };
	struct failure why;

	assert_int_equal(choose(0, 3, &l3, &why), 0);
	/* one that says nothing may be it too */
	assert_true(choose(0, 4, &l3, &why) < 0);
	assert_int_equal(why.error, ERR_LOADER_AMBIGUOUS);
	assert_null(strstr(why.detail, "line two"));
	assert_true(choose(0, 3, &other, &why) < 0);
	assert_int_equal(why.error, ERR_NO_LOADER);
	assert_non_null(strstr(why.detail, "pike2"));
	l3.named = "line two";
	assert_true(choose(0, 4, &l3, &why) < 0);
	assert_int_equal(why.error, ERR_LOADER_MISMATCH);
	l3.force = true;
	assert_int_equal(choose(0, 4, &l3, &why), 1);
	l3.named = "unknown";
	l3.force = false;
	assert_int_equal(choose(0, 4, &l3, &why), 3);
	assert_int_equal(choose(0, 3, &(struct loader_wish){ .slot = "line one", .family = "sharkl3" }, &why),
			 0);
}

static void test_long_lists_are_cut(void **state)
{
	struct loader_candidate many[40];
	struct loader_wish none = { 0 };
	struct failure why = { 0 };
	char names[40][32];

	for (size_t i = 0; i < ARRAY_SIZE(many); i++) {
		snprintf(names[i], sizeof(names[i]), "a long name of number %zu", i);
		many[i] = (struct loader_candidate){ names[i], DIGEST_A, "", NULL };
	}
	assert_true(loader_choose(many, ARRAY_SIZE(many), &none, &why) < 0);
	assert_int_equal(why.error, ERR_LOADER_AMBIGUOUS);
	assert_non_null(strstr(why.detail, "number 0"));
}

/* ---- the pair ---- */

static struct loader_info told(const char *family, enum sureness sure, uint64_t base)
{
	struct loader_info l = { .present = true,
				 .family = family ? chip_family_by_name(family) : NULL,
				 .family_sure = family ? sure : SURE_NOT,
				 .base = base,
				 .base_sure = base ? SURE_VERY : SURE_NOT };

	if (family)
		snprintf(l.family_text, sizeof(l.family_text), "text of %s", family);
	return l;
}

static struct pair_verdict judge(const struct loader_info *a, uint64_t at, const struct loader_info *b,
				 uint64_t bt)
{
	struct pair_verdict v;

	pair_judge(&(struct pair_part){ a, at }, &(struct pair_part){ b, bt }, &v);
	return v;
}

static void test_texts(void **state)
{
	struct loader_info a = told("sharkl3", SURE_VERY, 0), b = told("sharkl3", SURE_GOOD, 0);
	struct loader_info c = told("sharkl5pro", SURE_GOOD, 0), d = told("sharkl5pro", SURE_FAIR, 0);
	struct pair_verdict v = judge(&a, 0x5000, &b, 0x9EFFFE00);

	assert_false(v.mismatch);
	assert_false(v.misplaced);
	assert_string_equal(v.family->name, "sharkl3");
	assert_int_equal(v.sure, SURE_VERY);
	assert_int_equal(v.doubts, 0);
	v = judge(&a, 0x5000, &c, 0x9EFFFE00);
	assert_true(v.mismatch);
	assert_null(v.family);
	assert_non_null(strstr(v.wrong, "sharkl3"));
	assert_non_null(strstr(v.wrong, "text of sharkl5pro"));
	/* what is only fairly sure refuses nothing, but is told */
	v = judge(&a, 0, &d, 0);
	assert_false(v.mismatch);
	assert_int_equal(v.doubts, 1);
}

static void test_links(void **state)
{
	struct loader_info silent = told(NULL, SURE_NOT, 0), at5000 = told(NULL, SURE_NOT, 0x5000);
	struct loader_info at5500 = told(NULL, SURE_NOT, 0x5500), nowhere = told(NULL, SURE_NOT, 0x1234500);
	struct loader_info l3 = told("sharkl3", SURE_VERY, 0), pro = told("sharkl5pro", SURE_VERY, 0);
	struct loader_info n6 = told(NULL, SURE_NOT, 0xB4FFFE00), l6 = told("qogirl6", SURE_VERY, 0);
	struct pair_verdict v;

	assert_false(judge(&at5000, 0x5000, &l3, 0x9EFFFE00).mismatch);
	v = judge(&at5000, 0x5000, &pro, 0x9EFFFE00);
	assert_true(v.mismatch);
	assert_non_null(strstr(v.wrong, "0x5000"));
	assert_non_null(strstr(v.wrong, "sharkl3, sharkle"));
	v = judge(&at5500, 0x5500, &pro, 0x9EFFFE00);
	assert_false(v.mismatch);
	assert_string_equal(v.family->name, "sharkl5pro");
	assert_true(judge(&l6, 0x65000800, &n6, 0xB4FFFE00).mismatch);
	/* what the table does not know proves nothing */
	assert_false(judge(&nowhere, 0, &pro, 0).mismatch);
	assert_false(judge(&silent, 0, &silent, 0).mismatch);
	assert_null(judge(&silent, 0, &silent, 0).family);
	/* a family whose second address nobody knows fits any */
	l3 = told("sc8830", SURE_VERY, 0);
	assert_false(judge(&l3, 0x50000000, &n6, 0xB4FFFE00).mismatch);
}

static void test_places(void **state)
{
	struct loader_info a = told("sharkl3", SURE_VERY, 0x5000), b = told("sharkl3", SURE_VERY, 0);
	struct pair_verdict v = judge(&a, 0x5500, &b, 0x9EFFFE00);
	enum sureness sure;

	assert_true(v.misplaced);
	assert_false(v.mismatch);
	assert_non_null(strstr(v.wrong, "0x5000"));
	assert_non_null(strstr(v.wrong, "0x5500"));
	/* without a link address of its own it is only odd */
	v = judge(&a, 0x5000, &b, 0xB4FFFE00);
	assert_false(v.misplaced);
	assert_int_equal(v.doubts, 1);
	assert_non_null(strstr(v.doubt[0], "0x9efffe00"));
	/* its text and its link disagree */
	a.base = 0x5500;
	v = judge(&a, 0x5500, &b, 0x9EFFFE00);
	assert_false(v.misplaced);
	assert_int_equal(v.doubts, 1);
	assert_int_equal(pair_address(&a, 1, &sure), 0x5500);
	assert_int_equal(sure, SURE_VERY);
	assert_int_equal(pair_address(&b, 2, &sure), 0x9EFFFE00);
	assert_int_equal(sure, SURE_FAIR);
	b = told("sc8830", SURE_VERY, 0);
	assert_int_equal(pair_address(&b, 2, &sure), 0);
	assert_int_equal(sure, SURE_NOT);
}

static void test_make(void **state)
{
	struct loader_info a = told("sharkl3", SURE_VERY, 0), b = told("sharkl3", SURE_VERY, 0);
	struct pair_verdict v;

	a.dhtb.present = true;
	a.a64 = true;
	snprintf(a.version, sizeof(a.version), "Spreadtrum Boot Block version 1.1");
	snprintf(b.version, sizeof(b.version), "Spreadtrum Boot Block version 1.2");
	v = judge(&a, 0, &b, 0);
	assert_false(v.mismatch);
	assert_int_equal(v.doubts, 3);
	a = told("sc6530", SURE_VERY, 0);
	b = told(NULL, SURE_NOT, 0);
	v = judge(&a, 0, &b, 0);
	assert_int_equal(v.doubts, 1);
	assert_non_null(strstr(v.doubt[0], "one loader"));
	v = judge(&a, 0, NULL, 0);
	assert_int_equal(v.doubts, 0);
	assert_string_equal(v.family->name, "sc6530");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_named),  cmocka_unit_test(test_only_one),
		cmocka_unit_test(test_family), cmocka_unit_test(test_long_lists_are_cut),
		cmocka_unit_test(test_texts),  cmocka_unit_test(test_links),
		cmocka_unit_test(test_places), cmocka_unit_test(test_make),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
