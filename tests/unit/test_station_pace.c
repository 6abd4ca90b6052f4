/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fraction, rate, time still to go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "station/pace.h"

#define SECOND UINT64_C(1000000)

static void test_fraction(void **state)
{
	struct pace p = { 0 };
	double last = 0;

	(void)state;
	pace_update(&p, SECOND, 50, 100);
	assert_true(p.fraction == 0.5);
	pace_update(&p, SECOND, 50, 400); /* the plan grew: what was shown stays */
	assert_true(p.fraction == 0.5);
	for (uint64_t done = 0; done <= 500; done += 7) {
		pace_update(&p, SECOND, done, 400);
		assert_true(p.fraction >= last && p.fraction < 1);
		last = p.fraction;
	}
	pace_finish(&p, false);
	assert_true(p.fraction < 1);
	pace_finish(&p, true);
	assert_true(p.fraction == 1);

	struct pace none = { 0 };

	pace_update(&none, SECOND, 0, 0);
	assert_true(none.fraction == 0);
}

static void test_rate(void **state)
{
	struct pace p = { 0 };
	uint64_t now = 100 * SECOND, done = 0;

	(void)state;
	assert_int_equal(pace_rate(&p, now), 0);
	assert_true(pace_eta(&p, now) == UINT64_MAX);
	for (int i = 0; i < 4; i++, now += SECOND, done += 1000) {
		pace_update(&p, now, done, 100000);
		assert_true(pace_eta(&p, now) == UINT64_MAX); /* not before five samples */
	}
	pace_update(&p, now, done, 100000);
	assert_int_equal(pace_rate(&p, now), 1000);
	assert_int_equal(pace_eta(&p, now), (100000 - 4000) / 1000 * SECOND);
	/* silence lowers the rate though no sample comes */
	assert_int_equal(pace_rate(&p, now + 4 * SECOND), 500);
	/* the window slides: old speed is forgotten */
	for (int i = 0; i < 2 * PACE_SAMPLES; i++) {
		now += SECOND;
		done += 100;
		pace_update(&p, now, done, 100000);
	}
	assert_int_equal(pace_rate(&p, now), 100);
}

/* Thousands of updates a second are one sample. */
static void test_samples(void **state)
{
	struct pace p = { 0 };

	(void)state;
	for (uint64_t i = 0; i < 1000; i++)
		pace_update(&p, SECOND + i * 1000, i, 5000);
	assert_int_equal(p.count, 4);
	assert_int_equal(pace_rate(&p, SECOND + 999000), 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fraction),
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_samples),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
