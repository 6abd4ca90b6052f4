/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Armed slots, the decision alone: who is begun with, who is left alone, when a slot stops, which unit is
 * verified. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/util.h"
#include "station/armed_decide.h"

#define SEC UINT64_C(1000000)

/* A phone that has just come to an armed slot where nothing is in its way. */
static struct armed_facts fresh(void)
{
	return (struct armed_facts){ .now = 100 * SEC,
				     .arrived = 100 * SEC,
				     .history_ok = true,
				     .rule = true,
				     .fresh = true,
				     .settle = SEC / 2 };
}

static void expect(const struct armed_facts *f, bool start, enum armed_reason why)
{
	struct armed_decision d = armed_decide(f);

	assert_int_equal(d.start, start);
	if (!start)
		assert_string_equal(armed_reason_name(d.why), armed_reason_name(why));
}

static void test_begins(void **state)
{
	struct armed_facts f = fresh();

	expect(&f, true, ARMED_READY);
	assert_true(armed_decide(&f).at == UINT64_MAX);
	f.rule = false;
	expect(&f, false, ARMED_NO_RULE);
	f = fresh();
	f.fresh = false;
	expect(&f, false, ARMED_NOT_FRESH);
	f.asked = true; /* somebody armed the slot with it there */
	expect(&f, true, ARMED_READY);
	f.rule = false;
	expect(&f, false, ARMED_NO_RULE);
}

/* The whole service, or the slot, has a reason: whoever asked. */
static void test_holds(void **state)
{
	for (int asked = 0; asked < 2; asked++) {
		struct armed_facts f = fresh();

		f.asked = asked;
		f.taken = true;
		expect(&f, false, ARMED_TAKEN);
		f = fresh();
		f.asked = asked;
		f.draining = true;
		expect(&f, false, ARMED_DRAINING);
		f = fresh();
		f.asked = asked;
		f.held = true;
		expect(&f, false, ARMED_HELD);
		f = fresh();
		f.asked = asked;
		f.history_ok = false;
		expect(&f, false, ARMED_NO_HISTORY);
		f.without_history = true;
		expect(&f, true, ARMED_READY);
		f.refused = true;
		expect(&f, false, ARMED_REFUSED);
		f = fresh();
		f.asked = asked;
		f.spent = true;
		expect(&f, false, ARMED_PASSED);
	}
}

static void test_guard(void **state)
{
	struct armed_facts f = fresh();

	f.passed = true;
	expect(&f, false, ARMED_PASSED);
	f.tries = 1;
	f.retries = 5;
	f.again = true;
	expect(&f, false, ARMED_PASSED);
	f = fresh();
	f.passed = f.asked = true;
	expect(&f, true, ARMED_READY);
	/* away: nothing was there for long enough */
	assert_true(armed_same_phone(true, 10 * SEC, 12 * SEC, 3 * SEC));
	assert_false(armed_same_phone(true, 10 * SEC, 13 * SEC, 3 * SEC));
	assert_false(armed_same_phone(false, 10 * SEC, 12 * SEC, 3 * SEC));
	assert_false(armed_same_phone(true, 0, 2 * SEC, 3 * SEC));   /* nobody has left */
	assert_false(armed_same_phone(true, 10 * SEC, 10 * SEC, 0)); /* switched off */
}

static void test_same_unit(void **state)
{
	assert_true(armed_same_unit("ab", "ab", 10 * SEC, 11 * SEC));
	assert_false(armed_same_unit("ab", "ab", 11 * SEC, 11 * SEC));
	assert_false(armed_same_unit("ab", "ab", 0, 0)); /* switched off */
	assert_true(armed_same_unit("ab", "ab", 1000000 * SEC, UINT64_MAX));
	assert_false(armed_same_unit("ab", "ac", 0, UINT64_MAX));
	assert_false(armed_same_unit("", "", 0, UINT64_MAX)); /* nobody has told */
	assert_false(armed_same_unit("", "ab", 0, UINT64_MAX));
	assert_true(armed_skips(ERR_ALREADY_PASSED) && armed_skips(ERR_RULE_NOT_MET));
	assert_false(armed_skips(ERR_NONE) || armed_skips(ERR_CANCELLED) || armed_skips(ERR_PHONE_SILENT));
}

static void test_bounce(void **state)
{
	struct armed_facts f = fresh();
	struct armed_decision d;

	f.left_before = f.arrived - SEC / 4;
	expect(&f, false, ARMED_UNSTEADY);
	d = armed_decide(&f);
	assert_true(d.at == f.arrived + SEC / 2);
	f.now = d.at;
	expect(&f, true, ARMED_READY);
	/* long enough after the other one it is somebody else */
	f = fresh();
	f.left_before = f.arrived - SEC / 2;
	expect(&f, true, ARMED_READY);
	/* a rule that wants any phone to be there for a while */
	f.debounce = 2 * SEC;
	expect(&f, false, ARMED_UNSTEADY);
	assert_true(armed_decide(&f).at == f.arrived + 2 * SEC);
	f.now += 2 * SEC;
	expect(&f, true, ARMED_READY);
}

static void test_retries(void **state)
{
	struct armed_facts f = fresh();

	f.fresh = false; /* a job has had it */
	f.tries = 1;
	f.again = true;
	f.failed = f.now - SEC;
	expect(&f, false, ARMED_TRIED);
	f.retries = 2;
	expect(&f, true, ARMED_READY);
	f.failed = f.now;
	expect(&f, false, ARMED_AGAIN_SOON);
	assert_true(armed_decide(&f).at == f.now + SEC / 2);
	f.failed = f.now - SEC;
	f.tries = 2;
	expect(&f, true, ARMED_READY);
	f.tries = 3;
	expect(&f, false, ARMED_TRIED);
	f.tries = 1;
	f.again = false; /* a package that is refused is refused again */
	expect(&f, false, ARMED_TRIED);
	f.again = f.replug = true; /* nor is it any use before a hand was there */
	expect(&f, false, ARMED_REPLUG);
	f.replug = false;
	f.rule = false;
	expect(&f, false, ARMED_NO_RULE);
}

static void test_crashed(void **state)
{
	struct armed_facts f = fresh();

	f.fresh = false;
	f.crashed = true;
	expect(&f, false, ARMED_CRASHED);
	f.after_crash = true;
	expect(&f, true, ARMED_READY);
	f.after_crash = false;
	f.asked = true;
	expect(&f, true, ARMED_READY);
}

static void test_stop_line(void **state)
{
	struct armed_streak all[4] = { 0 }, *s = &all[0];

	assert_false(armed_stop_slot(s, 1));
	for (int i = 0; i < 3; i++) {
		assert_false(armed_stop_slot(s, 3));
		armed_streak_take(s, ERR_PHONE_SILENT, "aa");
	}
	assert_true(armed_stop_slot(s, 3));
	assert_false(armed_stop_slot(s, UINT32_MAX));
	armed_streak_take(s, ERR_CANCELLED, "aa"); /* a person's doing */
	assert_int_equal(s->count, 3);
	armed_streak_take(s, ERR_RULE_NOT_MET, "aa"); /* another rule's phone */
	assert_int_equal(s->count, 3);
	armed_streak_take(s, ERR_STORAGE_FAILED, "aa");
	assert_int_equal(s->count, 1);
	armed_streak_take(s, ERR_STORAGE_FAILED, "bb"); /* with another image it may be that one's fault */
	assert_int_equal(s->count, 1);
	/* the same everywhere */
	armed_streak_take(&all[1], ERR_STORAGE_FAILED, "bb");
	armed_streak_take(&all[2], ERR_STORAGE_FAILED, "cc");
	armed_streak_take(&all[3], ERR_PHONE_SILENT, "bb");
	assert_true(armed_stop_image(all, 4, s, 2));
	assert_false(armed_stop_image(all, 4, s, 3));
	armed_streak_take(&all[1], ERR_NONE, "bb");
	assert_false(armed_stop_image(all, 4, s, 2));
	assert_false(armed_stop_image(all, 4, &all[1], 1)); /* the last one has passed */
	armed_streak_take(s, ERR_NONE, "bb");
	assert_int_equal(s->count, 0);
}

/* One of three, the first included; one that fails is made up for. */
static void test_samples(void **state)
{
	uint64_t count = 0;
	unsigned int taken = 0;

	for (int unit = 0; unit < 9; unit++) {
		bool due = armed_sample_due(count, 3);

		assert_int_equal(due, unit % 3 == 0);
		taken += due;
		count = armed_sample_passed(count, due);
	}
	assert_int_equal(taken, 3);
	assert_true(armed_sample_due(count, 3)); /* and due it stays until one has passed */
	count = armed_sample_passed(count, true);
	assert_false(armed_sample_due(count, 3));
	assert_true(armed_sample_due(count, 1));
}

static void test_names(void **state)
{
	for (int i = 0; i < ARMED_REASON_COUNT; i++)
		for (int j = 0; j < i; j++)
			assert_string_not_equal(armed_reason_name((enum armed_reason)i),
						armed_reason_name((enum armed_reason)j));
	assert_string_equal(armed_reason_name(ARMED_REASON_COUNT), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_begins),	cmocka_unit_test(test_holds),
		cmocka_unit_test(test_guard),	cmocka_unit_test(test_same_unit),
		cmocka_unit_test(test_bounce),	cmocka_unit_test(test_retries),
		cmocka_unit_test(test_crashed), cmocka_unit_test(test_stop_line),
		cmocka_unit_test(test_samples), cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
