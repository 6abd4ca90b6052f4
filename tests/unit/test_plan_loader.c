/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A package that is started with the loaders of another one: whose they are, and which are refused. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "flash/plan.h"
#include "tests/phone/loader.h"
#include "tests/simlib/package.h"
#include "tests/simlib/scenario.h"

static const struct scenario_want tiny = { .tiny = true };

static void make(const char *profile, struct scenario *out)
{
	struct failure why = { 0 };

	if (scenario_make(7, phone_profile_by_name(profile), &tiny, out, &why))
		fail_msg("%s: %s", profile, why.detail);
}

static enum error_id compile(const struct pac *pac, const struct pac *loaders, bool force, struct plan **plan,
			     struct failure *why)
{
	struct plan_options o = { .loaders = loaders, .force_loaders = force };

	memset(why, 0, sizeof(*why));
	if (plan_compile(pac, &o, plan, why) == 0)
		assert_int_equal(why->error, ERR_NONE);
	return why->error;
}

static bool doubted(const struct plan *plan, const char *text)
{
	for (uint32_t i = 0; i < plan->doubt_count; i++)
		if (strstr(plan->doubt[i], text))
			return true;
	return false;
}

static void takes_those_of_another(void **state)
{
	struct plan *own, *lent;
	struct sim_package lender;
	struct scenario sc;
	struct failure why;

	(void)state;
	make("sc9863a", &sc);
	assert_int_equal(sim_lend(&sc.package, &lender), 0);
	assert_int_equal(compile(sc.package.pac, NULL, false, &own, &why), ERR_NONE);
	assert_int_equal(compile(sc.package.pac, lender.pac, false, &lent, &why), ERR_NONE);
	assert_ptr_equal(plan_loaders_of(own), sc.package.pac);
	assert_ptr_equal(plan_loaders_of(lent), lender.pac);
	assert_ptr_equal(plan_loader_item(lent, &lent->fdl1), pac_fdl1(lender.pac));
	assert_ptr_equal(plan_loader_item(lent, &lent->fdl2), pac_fdl2(lender.pac));
	assert_ptr_equal(lent->pac, sc.package.pac);
	/* all else is as it was */
	assert_int_equal(lent->step_count, own->step_count);
	assert_int_equal(lent->bytes_to_send, own->bytes_to_send);
	plan_free(own);
	plan_free(lent);
	/* a package lends to itself: nothing of another */
	assert_int_equal(compile(sc.package.pac, sc.package.pac, false, &own, &why), ERR_NONE);
	assert_null(own->options.loaders);
	plan_free(own);
	sim_package_free(&lender);
	scenario_free(&sc);
}

/* What is decided by the phone's facts keeps them, too. */
static void resolving_keeps_them(void **state)
{
	struct device_facts *facts = calloc(1, sizeof(*facts));
	struct plan_options o = { .repartition = REPARTITION_NEVER };
	struct plan *plan, *resolved;
	struct sim_package lender;
	struct scenario sc;
	struct failure why = { 0 };
	const char *only;

	(void)state;
	assert_non_null(facts);
	make("sc9863a", &sc);
	assert_int_equal(sim_lend(&sc.package, &lender), 0);
	only = sc.image[0].id;
	o.loaders = lender.pac;
	o.only_count = 1;
	snprintf(o.only[0], sizeof(o.only[0]), "%s", only);
	assert_int_equal(plan_compile(sc.package.pac, &o, &plan, &why), 0);
	facts->storage = STORAGE_EMMC;
	if (plan_resolve(plan, facts, &resolved, &why) == 0) {
		assert_ptr_equal(plan_loaders_of(resolved), lender.pac);
		assert_int_equal(resolved->fdl1.size, plan->fdl1.size);
		plan_free(resolved);
	} else {
		fail_msg("%s: %s", error_entry(why.error)->name, why.detail);
	}
	plan_free(plan);
	free(facts);
	sim_package_free(&lender);
	scenario_free(&sc);
}

static void refuses_another_family(void **state)
{
	struct scenario l3, pro;
	struct failure why;
	struct plan *plan;

	(void)state;
	make("sc9863a", &l3);
	make("ums512", &pro);
	assert_int_equal(compile(l3.package.pac, pro.package.pac, false, &plan, &why), ERR_LOADER_MISMATCH);
	assert_null(plan);
	assert_non_null(strstr(why.detail, "the package is for sharkl3"));
	assert_non_null(strstr(why.detail, "sharkl5pro"));
	assert_string_equal(why.stage, "package");
	/* in so many words */
	assert_int_equal(compile(l3.package.pac, pro.package.pac, true, &plan, &why), ERR_NONE);
	assert_true(doubted(plan, "sent because it was asked for"));
	assert_int_equal(plan->fdl1.base, pac_fdl1(pro.package.pac)->address);
	plan_free(plan);
	scenario_free(&l3);
	scenario_free(&pro);
}

/* A small package; its loaders consist of this text. */
static void bare(const char *product, const char *text, uint64_t base1, uint64_t base2, bool two,
		 struct sim_package *out)
{
	struct failure why = { 0 };
	struct sim_image rows[3] = {
		{ "FDL", text, strlen(text), false },
		{ "FDL2", text, strlen(text), false },
		{ "BOOT", "an image", 8, false },
	};
	struct sim_xml x = { 0 };

	sim_xml_add(&x,
		    "<BMAConfig><ProductList><Product name=\"%s\"><SchemeName>s</SchemeName>"
		    "<FlashTypeID>%d</FlashTypeID></Product></ProductList><SchemeList><Scheme name=\"s\">",
		    product, two);
	sim_xml_file(&x, "", "FDL", "FDL", NULL, base1, 0, 1, 1);
	if (two)
		sim_xml_file(&x, "", "FDL2", "NAND_FDL", NULL, base2, 0, 1, 1);
	else
		rows[1] = rows[2];
	sim_xml_file(&x, "", "BOOT", "CODE2", "boot", 0, 0, 1, 0);
	sim_xml_add(&x, "</Scheme></SchemeList></BMAConfig>");
	if (sim_pack(product, x.text, rows, two ? 3 : 2, 0, out, &why))
		fail_msg("%s", why.detail);
	sim_xml_free(&x);
}

/* Where nothing tells the family, the addresses do. */
static void compares_addresses(void **state)
{
	struct sim_package unknown, same, other;
	struct failure why;
	struct plan *plan;

	(void)state;
	bare("box", "no text in it", 0x61000, 0x62000000, true, &unknown);
	bare("tin", "nor in this one", 0x61000, 0x62000000, true, &same);
	bare("tin", "nor in this one", 0x71000, 0x62000000, true, &other);
	assert_int_equal(compile(unknown.pac, same.pac, false, &plan, &why), ERR_NONE);
	plan_free(plan);
	assert_int_equal(compile(unknown.pac, other.pac, false, &plan, &why), ERR_LOADER_MISMATCH);
	assert_non_null(strstr(why.detail, "0x71000"));
	assert_int_equal(compile(unknown.pac, other.pac, true, &plan, &why), ERR_NONE);
	assert_int_equal(plan->fdl1.base, 0x71000);
	plan_free(plan);
	sim_package_free(&unknown);
	sim_package_free(&same);
	sim_package_free(&other);
}

/* Of one family, elsewhere: it is the loaders' own address that counts, and it is told. */
static void takes_their_addresses(void **state)
{
	struct sim_package moved;
	struct scenario sc;
	struct failure why;
	struct plan *plan;

	(void)state;
	make("sc9863a", &sc);
	bare("sc9863a", "text without a family", 0x5100, 0x9EFFFE00, true, &moved);
	assert_int_equal(compile(moved.pac, sc.package.pac, false, &plan, &why), ERR_NONE);
	assert_int_equal(plan->fdl1.base, 0x5000);
	assert_true(doubted(plan, "0x5100"));
	plan_free(plan);
	sim_package_free(&moved);
	scenario_free(&sc);
}

static void one_is_not_two(void **state)
{
	struct sim_package one, two;
	struct failure why;
	struct plan *plan;

	(void)state;
	bare("box", "no text in it", 0x61000, 0, false, &one);
	bare("box", "no text in it", 0x61000, 0x62000000, true, &two);
	assert_int_equal(compile(two.pac, one.pac, true, &plan, &why), ERR_LOADER_MISMATCH);
	assert_non_null(strstr(why.detail, "two loaders"));
	/* the other way round only the first is of use */
	assert_int_equal(compile(one.pac, two.pac, false, &plan, &why), ERR_NONE);
	assert_int_equal(plan->fdl2.item, -1);
	plan_free(plan);
	sim_package_free(&one);
	sim_package_free(&two);
}

/* Without loaders it is refused, until somebody lends some. */
static void without_its_own(void **state)
{
	static const struct pac_options lenient = { .without_loaders = true };
	struct sim_package empty;
	struct scenario sc;
	struct failure why;
	struct plan *plan;
	struct pac *pac = NULL;

	(void)state;
	make("sc9863a", &sc);
	bare("sc9863a", "x", 0x5000, 0x9EFFFE00, true, &empty);
	for (int i = 0; i < 2; i++) { /* their rows say: no bytes */
		uint8_t *row = empty.bytes + PAC_HEADER_SIZE + (size_t)i * PAC_ENTRY_SIZE;

		memset(row + 1540, 0, 4);
	}
	assert_int_equal(pac_open(&empty.source, &lenient, &pac, &why), 0);
	assert_false(pac_has_loaders(pac));
	assert_true(pac_has_loaders(sc.package.pac));
	assert_int_equal(compile(pac, NULL, false, &plan, &why), ERR_PACKAGE_NO_LOADER);
	assert_int_equal(compile(pac, sc.package.pac, false, &plan, &why), ERR_NONE);
	assert_int_equal(plan->fdl2.size, pac_fdl2(sc.package.pac)->size);
	plan_free(plan);
	/* and who has none lends none */
	assert_int_equal(compile(sc.package.pac, pac, false, &plan, &why), ERR_PACKAGE_NO_LOADER);
	pac_free(pac);
	sim_package_free(&empty);
	scenario_free(&sc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_those_of_another), cmocka_unit_test(resolving_keeps_them),
		cmocka_unit_test(refuses_another_family), cmocka_unit_test(compares_addresses),
		cmocka_unit_test(takes_their_addresses),  cmocka_unit_test(one_is_not_two),
		cmocka_unit_test(without_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
