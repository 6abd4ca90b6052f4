/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finding sizes without a table: the text of "_size" reads, the search, and whole sessions that need it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "flash/probe.h"
#include "tests/phone/fault.h"
#include "tests/simlib/scenario.h"
#include "tests/simlib/simlib.h"

/* ---- words ---- */

static bool words(const char *text, const char *name, uint64_t *size, uint32_t *sector)
{
	uint8_t bytes[PROBE_TEXT];

	memset(bytes, 0xA5, sizeof(bytes)); /* stale memory behind the text */
	memcpy(bytes, text, strlen(text) + 1);
	return probe_text(bytes, sizeof(bytes), name, size, sector);
}

static void reads_both_texts(void **state)
{
	uint64_t size;
	uint32_t sector;

	(void)state;
	assert_true(words("size:splloader: 0x40000 block number: 0x200", "splloader", &size, &sector));
	assert_int_equal(size, 0x40000);
	assert_int_equal(sector, 512);
	assert_true(words("size:user_partition: 0x1d8c000000 block number: 0x1d8c000", "user_partition",
			  &size, &sector));
	assert_int_equal(sector, 4096);
	assert_true(words("partition boot_a total size: 0x4000000", "boot_a", &size, &sector));
	assert_int_equal(size, 64 << 20);
	assert_int_equal(sector, 0);
	/* a number of blocks that makes no sector is no reason to doubt the size */
	assert_true(words("size:boot: 0x3000 block number: 0x7", "boot", &size, &sector));
	assert_int_equal(sector, 0);
	assert_true(words("size:boot: 0x3000 block number: 0x0", "boot", &size, &sector));
}

static void refuses_other_texts(void **state)
{
	static const char *const texts[] = {
		"",
		"size:boot: ",
		"size:boot: 4096",
		"size:boot: 0x0",
		"size:boot2: 0x1000",
		"size:boo: 0x1000",
		"size:boot: 0x11111111111111111",
		"partition boot size: 0x1000",
		"partition boot2 total size: 0x1000",
		"partition boot total size: 0x",
		"Partition boot total size: 0x1000",
	};
	uint8_t bytes[PROBE_TEXT];
	uint64_t size;
	uint32_t sector;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (words(texts[i], "boot", &size, &sector))
			fail_msg("took '%s' as %llu", texts[i], (unsigned long long)size);
	/* without an end: nothing is read behind it */
	memset(bytes, '1', sizeof(bytes));
	memcpy(bytes, "size:boot: 0x", 13);
	assert_false(probe_text(bytes, sizeof(bytes), "boot", &size, &sector));
	assert_false(probe_text(bytes, 5, "boot", &size, &sector));
	assert_false(probe_text(bytes, 0, "boot", &size, &sector));
}

/* ---- search ---- */

static uint64_t search(uint64_t truth, uint64_t expected, uint64_t bound, unsigned *asked)
{
	struct size_search s;
	uint64_t question;

	size_search_begin(&s, expected, PROBE_UNIT, bound);
	for (*asked = 0; size_search_next(&s, &question); (*asked)++) {
		assert_true(question > 0 && question % PROBE_UNIT == 0 && question <= bound);
		assert_true(*asked < PROBE_QUESTIONS);
		size_search_take(&s, question, question <= truth);
	}
	return size_search_result(&s);
}

static void finds_every_size(void **state)
{
	static const uint64_t sizes[] = { 512,
					  1024,
					  4096,
					  1 << 20,
					  2 << 20,
					  (2 << 20) + 512,
					  45 << 20,
					  4100ull << 20,
					  (121000ull << 20) - 512,
					  1ull << 40,
					  PROBE_BOUND - 512 };
	unsigned asked;

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++)
			assert_int_equal(search(sizes[i], sizes[k], PROBE_BOUND, &asked), sizes[i]);
		assert_int_equal(search(sizes[i], 0, PROBE_BOUND, &asked), sizes[i]);
		assert_true(asked < 90);
		/* what was expected is proved with two questions */
		assert_int_equal(search(sizes[i], sizes[i], PROBE_BOUND, &asked), sizes[i]);
		assert_in_range(asked, 1, 2);
	}
	/* an expectation that is no multiple, and one larger than the storage */
	assert_int_equal(search(1 << 20, (1 << 20) - 100, PROBE_BOUND, &asked), 1 << 20);
	assert_int_equal(search(1 << 20, 1ull << 40, 1ull << 30, &asked), 1 << 20);
	assert_int_equal(search(0, 0, PROBE_BOUND, &asked), 0);
}

/* A phone that says yes to everything has told nothing. */
static void knows_that_it_does_not_know(void **state)
{
	unsigned asked;

	(void)state;
	assert_int_equal(search(UINT64_MAX, 0, PROBE_BOUND, &asked), PROBE_UNKNOWN);
	assert_true(asked < 40);
	assert_int_equal(search(UINT64_MAX, 1 << 20, 1ull << 36, &asked), PROBE_UNKNOWN);
	assert_int_equal(search(1ull << 36, 1 << 20, 1ull << 36, &asked), PROBE_UNKNOWN);
}

/* ---- whole jobs ---- */

struct job {
	struct scenario sc;
	struct plan_options options;
	struct plan *plan;
	struct phone *phone;
	struct sim_config config;
	struct sim_outcome out;
	unsigned reads, uids, lists;
};

static void watch(void *arg, const struct session *s, const struct want *w, uint32_t number)
{
	struct job *j = arg;

	(void)number;
	if (w->kind == WANT_SEND && w->send.len > 4) {
		j->reads += w->send.bytes[2] == 0x11 && !strcmp(session_progress(s)->step, "read-table");
		j->uids += w->send.bytes[2] == 0x1A;
		j->lists += w->send.bytes[2] == 0x2D;
	}
}

static void run(struct job *j, const char *profile, struct scenario_want want, struct plan_options options,
		const char *faults)
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
		.watch = watch,
		.watch_arg = j,
	};
	assert_int_equal(sim_run(&j->config, &j->out), 0);
	assert_string_equal(j->out.broken, "");
}

static void end(struct job *j)
{
	sim_outcome_free(&j->out);
	plan_free(j->plan);
	phone_free(j->phone);
	scenario_free(&j->sc);
}

static void passes(struct job *j)
{
	char text[300];

	if (!j->out.pass)
		fail_msg("%s", failure_text(&j->out.failure, text, sizeof(text)));
	if (!scenario_holds(&j->sc, &j->options, j->phone, text, sizeof(text)) ||
	    !scenario_kept(&j->sc, j->phone, true, text, sizeof(text)))
		fail_msg("%s", text);
}

static unsigned repartitions(const struct job *j)
{
	return phone_counters(j->phone)->repartitions;
}

/* Neither user area nor list: the table is compared by probing, and left alone when it agrees. */
static void compares_by_probing(void **state)
{
	struct scenario_want same = { .tiny = true }, other = { .tiny = true, .other_table = true };
	struct plan_options none = { 0 };
	struct job j;

	(void)state;
	run(&j, "sc9832e", same, none, NULL);
	passes(&j);
	assert_int_equal(repartitions(&j), 0);
	/* 39 names, and a handful of questions for each of them */
	assert_in_range(j.reads, 100, 500);
	assert_int_equal(j.uids, 1);
	assert_int_equal(j.lists, 0);
	end(&j);
	run(&j, "sc9832e", other, none, NULL);
	passes(&j);
	assert_int_equal(repartitions(&j), 1);
	end(&j);
	run(&j, "ums9620", same, none, "fail-read on user_partition");
	passes(&j);
	assert_int_equal(repartitions(&j), 0);
	assert_in_range(j.reads, 20, 200); /* in words: one read for each */
	end(&j);
	run(&j, "ums9230", other, none, "fail-read on user_partition");
	passes(&j);
	assert_int_equal(repartitions(&j), 1);
	end(&j);
}

/* What was decided by stands in the intent: whoever reads it after a crash knows how sure it was. */
static void the_intent_names_the_source(void **state)
{
	static const struct {
		const char *profile, *faults, *line;
	} rows[] = { { "sc9863a", "", "\ntable gpt\n" },
		     { "sc9832e", "", "\ntable probed\n" },
		     { "ums9620", "fail-read on user_partition", "\ntable probed\n" } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sim_records *records = sim_records_new();
		struct job j;

		assert_non_null(records);
		run(&j, rows[i].profile, (struct scenario_want){ .tiny = true }, (struct plan_options){ 0 },
		    rows[i].faults);
		passes(&j);
		sim_outcome_free(&j.out);
		j.config.records = records;
		j.config.now = j.out.now + 1000000;
		phone_unplug(j.phone, j.config.now);
		phone_plug(j.phone, j.config.now);
		assert_int_equal(sim_run(&j.config, &j.out), 0);
		assert_true(j.out.pass && records->intent_text);
		if (!memmem(records->intent_text, records->intent_size, rows[i].line, strlen(rows[i].line)))
			fail_msg("%s: no '%s' in the intent", rows[i].profile, rows[i].line + 1);
		end(&j);
		sim_records_free(records);
	}
}

/* Only what a guard needs: without a comparison the names of the entries, not the whole table. */
static void asks_no_more_than_it_needs(void **state)
{
	struct scenario_want want = { .tiny = true };
	struct plan_options never = { .repartition = REPARTITION_NEVER };
	struct job all, few;

	(void)state;
	run(&all, "sc9832e", want, (struct plan_options){ 0 }, NULL);
	run(&few, "sc9832e", want, never, NULL);
	passes(&few);
	assert_true(few.reads > 10 && few.reads * 2 < all.reads);
	end(&few);
	end(&all);
}

/* As run(), but the phone's boot has so many bytes; 0: there is none. */
static void run_boot(struct job *j, const char *profile, struct scenario_want want,
		     struct plan_options options, uint64_t boot, const char *faults)
{
	const struct phone_profile *p = phone_profile_by_name(profile);
	struct phone_part *parts = calloc(p->part_count, sizeof(*parts));
	struct failure why = { 0 };
	const char *wrong = NULL;
	size_t n = 0;

	memset(j, 0, sizeof(*j));
	j->options = options;
	assert_non_null(parts);
	assert_int_equal(scenario_make(11, p, &want, &j->sc, &why), 0);
	for (size_t i = 0; i < p->part_count; i++) {
		bool is_boot = !strcmp(p->parts[i].name, "boot");

		if (is_boot && !boot)
			continue;
		parts[n] = p->parts[i];
		if (is_boot)
			parts[n].size = boot;
		n++;
	}
	j->sc.parts = parts;
	j->sc.part_count = n;
	assert_int_equal(plan_compile(j->sc.package.pac, &j->options, &j->plan, &why), 0);
	j->phone = scenario_phone(&j->sc, 11, faults, &wrong);
	assert_non_null(j->phone);
	phone_plug(j->phone, 0);
	j->config = (struct sim_config){
		.phone = j->phone,
		.package = &j->sc.package.source,
		.session = { .plan = j->plan, .arrival_seen = true, .job = 1 },
		.seed = 11,
		.watch = watch,
		.watch_arg = j,
	};
	assert_int_equal(sim_run(&j->config, &j->out), 0);
	assert_string_equal(j->out.broken, "");
}

/* An image that does not fit and a partition that is missing are found before the first erase. */
static void fits_by_probing(void **state)
{
	static const char *const profiles[] = { "sc9832e", "ums9620" };
	struct plan_options never = { .repartition = REPARTITION_NEVER };
	struct scenario_want want = { .large = true };

	(void)state;
	for (size_t i = 0; i < 2; i++)
		for (int missing = 0; missing < 2; missing++) {
			struct job j;

			run_boot(&j, profiles[i], want, never, missing ? 0 : 65536,
				 "fail-read on user_partition");
			assert_false(j.out.pass || j.out.changed);
			/* the package's table has it, so it is the table that may not be changed */
			if (i == 0)
				assert_int_equal(j.out.failure.error,
						 missing ? ERR_REPARTITION_NOT_ALLOWED : ERR_IMAGE_TOO_LARGE);
			else
				assert_true(j.out.failure.error == ERR_REPARTITION_NOT_ALLOWED ||
					    j.out.failure.error == ERR_PARTITION_MISSING ||
					    j.out.failure.error == ERR_IMAGE_TOO_LARGE);
			assert_int_equal(phone_counters(j.phone)->starts, 0);
			end(&j);
		}
}

/* On NAND a START erases: what does not fit there has to be known before it (device-behaviour 7.5). */
static void fits_on_nand(void **state)
{
	const struct phone_profile *was = phone_profile_by_name("nand-9820e");
	struct phone_profile small = *was;
	struct phone_part *parts = calloc(was->part_count, sizeof(*parts));
	struct scenario_want want = { .large = true };
	struct failure why = { 0 };
	const char *wrong = NULL;

	(void)state;
	assert_non_null(parts);
	memcpy(parts, was->parts, was->part_count * sizeof(*parts));
	for (size_t i = 0; i < was->part_count; i++)
		if (!strcmp(parts[i].name, "l_modem") || !strcmp(parts[i].name, "boot"))
			parts[i].size = 65536;
	small.parts = parts;
	for (int fits = 0; fits < 2; fits++) {
		struct job j = { .options = { .repartition = REPARTITION_NEVER } };

		assert_int_equal(scenario_make(11, was, &want, &j.sc, &why), 0);
		assert_int_equal(plan_compile(j.sc.package.pac, &j.options, &j.plan, &why), 0);
		if (!fits)
			j.sc.profile = &small;
		j.phone = scenario_phone(&j.sc, 11, NULL, &wrong);
		assert_non_null(j.phone);
		phone_plug(j.phone, 0);
		j.config = (struct sim_config){
			.phone = j.phone,
			.package = &j.sc.package.source,
			.session = { .plan = j.plan, .arrival_seen = true, .job = 1 },
			.seed = 11,
		};
		assert_int_equal(sim_run(&j.config, &j.out), 0);
		assert_int_equal(j.out.pass, fits);
		if (!fits) {
			assert_int_equal(j.out.failure.error, ERR_IMAGE_TOO_LARGE);
			assert_int_equal(phone_counters(j.phone)->starts, 0);
		}
		end(&j);
	}
	free(parts);
}

/*
 * The list of a phone with eMMC that counts in 8 KiB all the same: storage and package disagree, so one
 * partition is measured. By the storage alone an image that fits would be refused.
 */
static void measures_the_unit(void **state)
{
	struct scenario_want want = { .large = true };
	struct plan_options alone = { .only_count = 1, .only = { "boot" } };
	struct job j;

	(void)state;
	run_boot(&j, "ud710", want, alone, 1 << 20, "fail-read on user_partition; F54");
	assert_true(j.out.pass);
	assert_int_equal(j.lists, 1);
	assert_in_range(j.reads, 3, 60);
	end(&j);
	/* and one that does not fit is found by it */
	run_boot(&j, "ud710", want, alone, 65536, "fail-read on user_partition; F54");
	assert_int_equal(j.out.failure.error, ERR_IMAGE_TOO_LARGE);
	assert_false(j.out.changed);
	end(&j);
}

/* A place that was refused while sizes were asked for is kept all the same if it can be read. */
static void a_refusal_is_no_absence(void **state)
{
	struct scenario_want want = { .tiny = true, .other_table = true };
	struct plan_options none = { 0 };
	struct job j;

	(void)state;
	run(&j, "sc9832e", want, none,
	    "refuse at read 1 of prodnv with 0x84; refuse at read 2 of prodnv with 0x84");
	passes(&j);
	assert_int_equal(repartitions(&j), 1);
	end(&j);
	/* what will not be read at all is not given up for that */
	run(&j, "sc9832e", want, none, "refuse at read * of prodnv with 0x84");
	assert_false(j.out.pass || j.out.changed);
	assert_int_equal(j.out.failure.error, ERR_BACKUP_FAILED);
	end(&j);
}

/* At most one of the two commands that a phone may not know; which one is decided by what is kept. */
static void one_command_of_the_doubtful_kind(void **state)
{
	static const struct {
		const char *profile, *faults;
		bool alone;
		unsigned uids, lists;
	} rows[] = {
		{ "sc9863a", "", false, 1, 0 },
		{ "sc9863a", "refuse at uid with 0xfe", false, 1, 0 },
		{ "sc9863a", "fail-read on user_partition", false, 1, 0 },
		{ "sc9863a", "", true, 1, 0 },
		{ "sc9863a", "fail-read on user_partition", true, 0, 1 },
		{ "sc9863a", "fail-read on user_partition; F53", true, 0, 1 },
		{ "sc9863a", "fail-read on user_partition; F54", true, 0, 1 },
		{ "ums9230", "fail-read on user_partition", true, 0, 1 },
		{ "sc9832e", "", true, 0, 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct plan_options o = { 0 };
		char text[300];
		struct job j;

		if (rows[i].alone) {
			snprintf(o.only[0], sizeof(o.only[0]), "boot");
			o.only_count = 1;
		}
		run(&j, rows[i].profile, (struct scenario_want){ .tiny = true }, o, rows[i].faults);
		if (!j.out.pass)
			fail_msg("%s '%s': %s", rows[i].profile, rows[i].faults,
				 failure_text(&j.out.failure, text, sizeof(text)));
		if (j.uids != rows[i].uids || j.lists != rows[i].lists)
			fail_msg("%s '%s': %u UID, %u list", rows[i].profile, rows[i].faults, j.uids,
				 j.lists);
		assert_int_equal(phone_counters(j.phone)->doubtful, 1);
		assert_int_equal(j.plan->may_not_know, rows[i].alone ? UNKNOWN_LIST_OR_UID : UNKNOWN_UID);
		end(&j);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_both_texts),
		cmocka_unit_test(refuses_other_texts),
		cmocka_unit_test(finds_every_size),
		cmocka_unit_test(knows_that_it_does_not_know),
		cmocka_unit_test(compares_by_probing),
		cmocka_unit_test(asks_no_more_than_it_needs),
		cmocka_unit_test(the_intent_names_the_source),
		cmocka_unit_test(fits_by_probing),
		cmocka_unit_test(fits_on_nand),
		cmocka_unit_test(measures_the_unit),
		cmocka_unit_test(a_refusal_is_no_absence),
		cmocka_unit_test(one_command_of_the_doubtful_kind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
