/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whole jobs against the simulated phone: every profile, cancels, breakdowns, and what is owed afterwards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/phone/profile.h"
#include "tests/simlib/scenario.h"
#include "tests/simlib/simlib.h"

struct job {
	struct scenario sc;
	struct plan *plan;
	struct phone *phone;
	struct plan_options options;
	struct sim_config config;
	struct sim_outcome out;
};

static void job_make(struct job *j, const char *profile, struct scenario_want want,
		     struct plan_options options, const char *faults)
{
	struct failure why = { 0 };
	const char *wrong = NULL;

	memset(j, 0, sizeof(*j));
	j->options = options;
	assert_int_equal(scenario_make(11, phone_profile_by_name(profile), &want, &j->sc, &why), 0);
	assert_int_equal(plan_compile(j->sc.package.pac, &j->options, &j->plan, &why), 0);
	j->phone = scenario_phone(&j->sc, 11, faults, &wrong);
	assert_non_null(j->phone);
	phone_plug(j->phone, 0);
	j->config = (struct sim_config){
		.phone = j->phone,
		.package = &j->sc.package.source,
		.session = { .plan = j->plan, .arrival_seen = true, .job = 1 },
		.seed = 11,
		.cut = true,
		.fetch_usec = 200,
		.store_usec = 500,
		.gate_usec = 5000,
	};
}

static void job_run(struct job *j)
{
	assert_int_equal(sim_run(&j->config, &j->out), 0);
	if (j->out.broken[0])
		print_error("%s\n", j->out.broken);
	assert_string_equal(j->out.broken, "");
}

static void job_free(struct job *j)
{
	sim_outcome_free(&j->out);
	plan_free(j->plan);
	phone_free(j->phone);
	scenario_free(&j->sc);
}

/* Switches the phone off and on again for the next job on the same records. */
static void again(struct job *j)
{
	uint64_t now = j->out.now + 1000000;

	sim_outcome_free(&j->out);
	phone_unplug(j->phone, now);
	phone_plug(j->phone, now + 1000000);
	j->config.now = now + 1000000;
	j->config.session.job++;
	memset(&j->config.breaks, 0, sizeof(j->config.breaks));
}

static const struct scenario_want tiny = { .tiny = true };

static void every_profile_passes(void **state)
{
	static const char *const profiles[] = { "sc9863a", "ums512",  "ud710",	     "ums9230",
						"ums9620", "sc8830",  "sc7731g",     "sc6531e",
						"ums9117", "uic8850", "sprd4-autod", "nand-9820e" };

	(void)state;
	for (size_t i = 0; i < sizeof(profiles) / sizeof(profiles[0]); i++)
		for (int level = 0; level < 2; level++)
			for (int other = 0; other < 2; other++) {
				struct scenario_want want = { .other_table = other, .large = level };
				struct plan_options options = { .level = level ? LEVEL_VERIFIED
									       : LEVEL_ACKNOWLEDGED };
				struct job j;
				char text[300] = "";

				job_make(&j, profiles[i], want, options, NULL);
				job_run(&j);
				if (!j.out.pass)
					print_error("%s: %s\n", profiles[i],
						    failure_text(&j.out.failure, text, sizeof(text)));
				assert_true(j.out.pass);
				assert_int_equal(j.out.level, options.level);
				assert_string_equal(j.out.leaves, "complete");
				assert_true(scenario_holds(&j.sc, &j.options, j.phone, text, sizeof(text)));
				assert_true(scenario_kept(&j.sc, j.phone, true, text, sizeof(text)));
				assert_int_equal(phone_counters(j.phone)->unknown_commands, 0);
				assert_int_equal(phone_counters(j.phone)->check_errors, 0);
				assert_int_equal(phone_counters(j.phone)->second_starts, 0);
				assert_false(j.out.nv_owed);
				job_free(&j);
			}
}

/* On the wire it is unframed; without a comparison the result says so. */
static void raw_says_so(void **state)
{
	struct scenario_want want = { .large = true };
	struct plan_options options = { .raw = true };
	struct job j;

	(void)state;
	job_make(&j, "sc9863a", want, options, NULL);
	job_run(&j);
	assert_true(j.out.pass);
	assert_true(j.out.want_count[WANT_STREAM] > 0);
	assert_true(j.out.noted_entries > 1);
	job_free(&j);
}

static void raw_mode(void **state)
{
	struct scenario_want want = { .large = true };
	struct plan_options options = { .raw = true, .level = LEVEL_VERIFIED };
	static const char *const profiles[] = { "sc9863a", "ums9230" };
	char text[300];

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct job j;

		job_make(&j, profiles[i], want, options, NULL);
		job_run(&j);
		assert_true(j.out.pass);
		assert_true(j.out.want_count[WANT_STREAM] > 0);
		assert_true(scenario_holds(&j.sc, &j.options, j.phone, text, sizeof(text)));
		job_free(&j);
	}
}

/* One bit in the middle of a large image: neither its first piece nor its last. */
static void verified_means_the_middle_too(void **state)
{
	struct scenario_want want = { .large = true };
	struct plan_options options = { .level = LEVEL_VERIFIED };
	struct scenario_image *big = NULL;
	char faults[100];
	struct job j;

	(void)state;
	job_make(&j, "sc9863a", want, options, NULL);
	for (size_t i = 0; i < j.sc.images; i++) {
		struct scenario_image *image = &j.sc.image[i];

		if (!image->sparse && !image->patched && !image->resized && image->by_name &&
		    (!big || image->len > big->len))
			big = image;
	}
	assert_non_null(big);
	assert_true(big->len > 2 * 0xF800);
	snprintf(faults, sizeof(faults), "U14 on %s from %zu", big->place, big->len / 2);
	job_free(&j);
	job_make(&j, "sc9863a", want, options, faults);
	job_run(&j);
	assert_false(j.out.pass);
	assert_int_equal(j.out.failure.error, ERR_VERIFY_MISMATCH);
	assert_true(j.out.failure.has_offset);
	assert_true(j.out.failure.offset >= 0xF800);
	assert_string_equal(j.out.leaves, "needs-flash");
	job_free(&j);
}

/* The flight recorder has what is needed to replay, and no content of images or NV. */
static void recorder_keeps_no_secrets(void **state)
{
	static const uint32_t kills[] = { 40, 95, 150 };
	struct plan_options options = { .level = LEVEL_VERIFIED };

	(void)state;
	for (size_t k = 0; k < sizeof(kills) / sizeof(kills[0]); k++) {
		unsigned data = 0, others = 0;
		struct job j;

		job_make(&j, "sc9863a", tiny, options, NULL);
		j.config.breaks.unplug_at = kills[k];
		job_run(&j);
		assert_non_null(j.out.trace);
		for (char *line = strtok(j.out.trace, "\n"); line; line = strtok(NULL, "\n")) {
			struct record r;

			if (recorder_parse(line, &r))
				continue;
			if ((r.kind == RECORD_OUT && r.type == 0x02) ||
			    (r.kind == RECORD_IN && r.type == 0x93 && r.secret)) {
				assert_true(r.secret);
				assert_int_equal(r.head_len, 0);
				assert_true(r.length > 0);
				data++;
			} else {
				others++;
			}
		}
		assert_true(data > 0);
		assert_true(others > 0);
		job_free(&j);
	}
}

static void dry_run_changes_nothing(void **state)
{
	struct plan_options options = { 0 };
	struct job j;

	(void)state;
	job_make(&j, "sc9863a", tiny, options, NULL);
	j.config.session.resolve_only = true;
	job_run(&j);
	assert_true(j.out.pass);
	assert_false(j.out.changed);
	assert_string_equal(j.out.leaves, "unchanged");
	assert_int_equal(phone_counters(j.phone)->starts, 0);
	assert_int_equal(phone_counters(j.phone)->erases, 0);
	assert_int_not_equal(phone_stage(j.phone), PHONE_FDL2); /* it was restarted */
	job_free(&j);
}

static void what_the_house_breaks(void **state)
{
	static const struct {
		struct sim_breaks breaks;
		const char *error;
		bool changed;
	} cases[] = {
		{ { .gate_fails = true }, "PackageBodyCrc", false },
		{ { .store_fails_at = 1 }, "StoreFailed", false },
		{ { .sync_fails_at = 1 }, "StoreFailed", false },
		{ { .fetch_fails_at = 1 }, "PackageReadFailed", false },
		{ { .fetch_fails_at = 8 }, "PackageReadFailed", true },
	};
	struct plan_options options = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct job j;

		job_make(&j, "sc9863a", tiny, options, NULL);
		j.config.breaks = cases[i].breaks;
		job_run(&j);
		assert_false(j.out.pass);
		assert_string_equal(error_entry(j.out.failure.error)->name, cases[i].error);
		assert_int_equal(j.out.changed, cases[i].changed);
		job_free(&j);
	}
}

/* Whichever read of the package fails, also one made ahead: the job ends with that name, and before its END.
 */
static void any_read_may_fail(void **state)
{
	struct scenario_want want = { .large = true };
	struct plan_options options = { .level = LEVEL_VERIFIED };
	unsigned failed = 0;

	(void)state;
	for (uint32_t at = 1; at < 60; at++) {
		struct job j;

		job_make(&j, "sc9863a", want, options, NULL);
		j.config.breaks.fetch_fails_at = at;
		job_run(&j);
		if (!j.out.pass) {
			assert_int_equal(j.out.failure.error, ERR_PACKAGE_READ_FAILED);
			failed++;
		}
		job_free(&j);
	}
	assert_true(failed > 12);
}

/* A cancel at any want: before the first change nothing is left behind, after it the entry is finished first.
 */
static void cancel_anywhere(void **state)
{
	struct plan_options options = { 0 };
	unsigned unchanged = 0, flashed = 0, complete = 0;

	(void)state;
	for (uint32_t at = 1; at < 190; at += 3) {
		struct job j;
		char text[300];

		job_make(&j, "sc9863a", tiny, options, NULL);
		j.config.breaks.cancel_at = at;
		job_run(&j);
		assert_true(j.out.done);
		if (j.out.pass) {
			complete++;
		} else {
			assert_true(j.out.cancelled);
			assert_int_equal(j.out.failure.error, ERR_CANCELLED);
			/* never between the erase of NV and its return */
			assert_false(j.out.nv_owed);
			assert_true(scenario_kept(&j.sc, j.phone, false, text, sizeof(text)));
			if (strcmp(j.out.leaves, "unchanged") == 0)
				unchanged++;
			else
				flashed++;
			for (size_t e = 0; e < phone_entries(j.phone); e++)
				if (phone_entry(j.phone, e)->stage == PHONE_FDL2)
					assert_int_equal(phone_entry(j.phone, e)->ends, 1);
		}
		job_free(&j);
	}
	assert_true(unchanged > 5);
	assert_true(flashed > 5);
	assert_true(complete > 0);
}

static void force_drops_at_once(void **state)
{
	struct plan_options options = { 0 };
	struct job j;

	(void)state;
	job_make(&j, "sc9863a", tiny, options, NULL);
	j.config.breaks.force_at = 120;
	job_run(&j);
	assert_true(j.out.cancelled);
	assert_string_equal(j.out.leaves, "needs-flash");
	assert_in_range(j.out.wants, 119, 121);
	job_free(&j);
}

/* Killed at any want and run again until it passes: NV and calibration are those of before the first try. */
static void killed_and_run_again(void **state)
{
	struct scenario_want want = { .tiny = true, .other_table = true };
	struct plan_options options = { 0 };
	unsigned owed = 0;

	(void)state;
	for (uint32_t at = 60; at < 180; at += 2) {
		struct sim_records *records = sim_records_new();
		char text[300];
		struct job j;

		assert_non_null(records);
		job_make(&j, "sc9863a", want, options, NULL);
		j.config.records = records;
		j.config.breaks.kill_at = at;
		job_run(&j);
		again(&j);
		job_run(&j);
		assert_true(j.out.pass);
		owed += strcmp(j.out.nv, "returned") == 0;
		assert_true(scenario_holds(&j.sc, &j.options, j.phone, text, sizeof(text)));
		if (!scenario_kept(&j.sc, j.phone, true, text, sizeof(text)))
			print_error("killed at %u: %s\n", at, text);
		assert_true(scenario_kept(&j.sc, j.phone, true, text, sizeof(text)));
		assert_int_equal(sim_records_owed(records), 0);
		job_free(&j);
		sim_records_free(records);
	}
	assert_true(owed > 3);
}

/* The cable is pulled at any want: from the first change on until NV were read back, the backup is owed. */
static void owed_until_read_back(void **state)
{
	struct plan_options options = { 0 };
	unsigned written = 0, settled = 0;

	(void)state;
	for (uint32_t at = 60; at < 180; at++) {
		struct job j;

		job_make(&j, "sc9863a", tiny, options, NULL);
		j.config.breaks.unplug_at = at;
		job_run(&j);
		if (!j.out.pass && !strcmp(j.out.step, "verify")) {
			assert_true(j.out.nv_owed);
			assert_string_equal(j.out.nv, "owed");
			written++;
		} else if (!j.out.pass && !strcmp(j.out.step, "write")) {
			assert_false(j.out.nv_owed);
			settled++;
		}
		job_free(&j);
	}
	assert_true(written > 2);
	assert_true(settled > 2);
}

/* Whatever form the phone tells its UID in, the unit is known by one: the SHA-256 of the plain one. */
static void one_identity(void **state)
{
	struct plan_options options = { 0 };
	struct sim_records *records = sim_records_new();
	struct phone_profile plain;
	const char *wrong = NULL;
	char unit[65];
	struct job j;

	(void)state;
	assert_non_null(records);
	job_make(&j, "sc9863a", tiny, options, NULL);
	snprintf(unit, sizeof(unit), "%s", phone_uid_text(j.phone));
	assert_int_equal(strlen(unit), 64);
	phone_free(j.phone);
	plain = *j.sc.profile;
	plain.sha_uid = false;
	j.sc.profile = &plain;
	j.phone = scenario_phone(&j.sc, 11, NULL, &wrong);
	assert_non_null(j.phone);
	assert_true(strlen(phone_uid_text(j.phone)) < 64);
	phone_plug(j.phone, 0);
	j.config.phone = j.phone;
	j.config.records = records;
	j.config.breaks.unplug_at = 96;
	job_run(&j);
	assert_true(j.out.nv_owed);
	assert_true(records->count > 0);
	assert_string_equal(records->backup[0]->unit, unit);
	job_free(&j);
	sim_records_free(records);
}

/* NV that can be followed item by item but have no IMEI are no NV: nothing is erased. */
static void nv_without_imei_stop(void **state)
{
	struct plan_options options = { 0 };
	const char *wrong = NULL;
	size_t changed = 0;
	struct job j;

	(void)state;
	job_make(&j, "sc9863a", tiny, options, NULL);
	phone_free(j.phone);
	for (size_t at = 4; at + 4 < j.sc.nv_len && !changed;) {
		uint8_t *item = j.sc.nv_phone + at;

		if (item[0] == 5 && !item[1]) {
			item[1] = 0x77;
			changed = at;
		}
		at += 4 + ((item[2] + item[3] * 256u + 3) & ~3u);
	}
	assert_true(changed > 0);
	j.phone = scenario_phone(&j.sc, 11, NULL, &wrong);
	assert_non_null(j.phone);
	phone_plug(j.phone, 0);
	j.config.phone = j.phone;
	job_run(&j);
	assert_int_equal(j.out.failure.error, ERR_NV_INVALID);
	assert_false(j.out.changed);
	job_free(&j);
}

/* Without identity an owed backup of the slot blocks until the operator has said whose it is. */
static void owed_without_identity(void **state)
{
	struct scenario_want want = { .tiny = true, .other_table = true };
	struct plan_options options = { 0 };
	struct sim_records *records = sim_records_new();
	struct failure why = { 0 };
	char text[300];
	struct job j;

	(void)state;
	assert_non_null(records);
	job_make(&j, "sc9863a", want, options, "U36");
	j.config.records = records;
	j.config.breaks.unplug_at = 96;
	job_run(&j);
	assert_false(j.out.pass);
	assert_true(j.out.nv_owed);
	again(&j);
	job_run(&j);
	assert_int_equal(j.out.failure.error, ERR_NV_OWED);
	assert_false(j.out.changed);
	again(&j);
	plan_free(j.plan);
	snprintf(j.options.nv_from, sizeof(j.options.nv_from), "1");
	assert_int_equal(plan_compile(j.sc.package.pac, &j.options, &j.plan, &why), 0);
	j.config.session.plan = j.plan;
	job_run(&j);
	assert_true(j.out.pass);
	assert_string_equal(j.out.nv, "returned");
	assert_true(scenario_kept(&j.sc, j.phone, true, text, sizeof(text)));
	job_free(&j);
	sim_records_free(records);
}

/* Another phone of the same model is plugged in while the first is away. */
static void swapped_phone(void **state)
{
	struct plan_options options = { 0 };
	const char *wrong = NULL;
	struct phone *other;
	struct job j;

	(void)state;
	job_make(&j, "sc7731g", tiny, options, NULL);
	other = scenario_phone(&j.sc, 99, NULL, &wrong);
	assert_non_null(other);
	j.config.swap = other;
	job_run(&j);
	assert_false(j.out.pass);
	assert_int_equal(j.out.failure.error, ERR_PHONE_SWAPPED);
	assert_int_equal(phone_deeds(other), 0);
	job_free(&j);
	phone_free(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_profile_passes),
		cmocka_unit_test(raw_mode),
		cmocka_unit_test(raw_says_so),
		cmocka_unit_test(verified_means_the_middle_too),
		cmocka_unit_test(recorder_keeps_no_secrets),
		cmocka_unit_test(dry_run_changes_nothing),
		cmocka_unit_test(what_the_house_breaks),
		cmocka_unit_test(any_read_may_fail),
		cmocka_unit_test(cancel_anywhere),
		cmocka_unit_test(force_drops_at_once),
		cmocka_unit_test(killed_and_run_again),
		cmocka_unit_test(owed_until_read_back),
		cmocka_unit_test(one_identity),
		cmocka_unit_test(nv_without_imei_stop),
		cmocka_unit_test(owed_without_identity),
		cmocka_unit_test(swapped_phone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
