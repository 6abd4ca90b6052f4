/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Each way in which a phone can misbehave on the wire ends the job with exactly one entry of the error table:
 * the failure tables of bsl-protocol 14 and device-behaviour 17, row by row, against the simulated phone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/simlib/scenario.h"
#include "tests/simlib/simlib.h"

enum what { PLAIN = 0, VERIFY = 1, OTHER_TABLE = 2, POWER_OFF = 4, RAW = 8 };

struct misbehaviour {
	const char *profile, *faults;
	unsigned what;
	const char *error; /* NULL: the job passes */
	int code;	   /* reply that the failure names, -1: none or any */
};

static const struct misbehaviour cases[] = {
#include "tests/unit/session_errors.inc"
};

static bool run(const struct misbehaviour *m, struct sim_outcome *out, char *text, size_t size)
{
	const struct phone_profile *profile = phone_profile_by_name(m->profile);
	struct scenario_want want = { .tiny = !(m->what & RAW),
				      .large = m->what & RAW,
				      .other_table = m->what & OTHER_TABLE };
	struct plan_options options = {
		.level = m->what & VERIFY ? LEVEL_VERIFIED : LEVEL_ACKNOWLEDGED,
		.end = m->what & POWER_OFF ? END_POWER_OFF : END_RESET,
		.raw = m->what & RAW,
	};
	struct failure why = { 0 };
	struct scenario sc;
	struct plan *plan;
	struct phone *phone;
	const char *wrong = NULL;
	bool right;

	assert_non_null(profile);
	assert_int_equal(scenario_make(7, profile, &want, &sc, &why), 0);
	assert_int_equal(plan_compile(sc.package.pac, &options, &plan, &why), 0);
	phone = scenario_phone(&sc, 7, m->faults, &wrong);
	if (!phone)
		print_error("%s: %s\n", m->faults, wrong);
	assert_non_null(phone);
	phone_plug(phone, 0);
	struct sim_config config = {
		.phone = phone,
		.package = &sc.package.source,
		.session = { .plan = plan, .arrival_seen = true, .job = 1 },
		.seed = 7,
		.fetch_usec = 100,
		.store_usec = 100,
		.gate_usec = 1000,
	};

	assert_int_equal(sim_run(&config, out), 0);
	right = out->done && !out->broken[0];
	if (m->error)
		right = right && !out->pass && !strcmp(error_entry(out->failure.error)->name, m->error) &&
			(m->code < 0 || out->failure.code == m->code);
	else
		right = right && out->pass;
	if (out->broken[0])
		snprintf(text, size, "%s", out->broken);
	else if (out->pass)
		snprintf(text, size, "passed");
	else
		failure_text(&out->failure, text, size);
	plan_free(plan);
	phone_free(phone);
	scenario_free(&sc);
	return right;
}

static void each_has_its_name(void **state)
{
	unsigned wrong = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sim_outcome out;
		char text[700];

		if (!run(&cases[i], &out, text, sizeof(text))) {
			print_error("%s, \"%s\": wanted %s, got %s\n", cases[i].profile, cases[i].faults,
				    cases[i].error ? cases[i].error : "a pass", text);
			wrong++;
		}
		sim_outcome_free(&out);
	}
	assert_int_equal(wrong, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(each_has_its_name) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
