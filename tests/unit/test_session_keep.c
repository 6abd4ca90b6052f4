/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What only this phone has: owed until all of it is back, never taken for whole when it was cut short. And
 * what has to be known before something is done that cannot be taken back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "flash/table_payload.h"
#include "pac/scheme.h"
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

static uint64_t seed = 11; /* of scenario and phone */

static void plug(struct job *j, const char *faults)
{
	const char *wrong = NULL;

	j->phone = scenario_phone(&j->sc, seed, faults, &wrong);
	assert_non_null(j->phone);
	phone_plug(j->phone, j->config.now);
	j->config.phone = j->phone;
}

static void compile(struct job *j)
{
	struct failure why = { 0 };

	plan_free(j->plan);
	assert_int_equal(plan_compile(j->sc.package.pac, &j->options, &j->plan, &why), 0);
	j->config.session.plan = j->plan;
}

static void job_make(struct job *j, const char *profile, struct scenario_want want,
		     struct plan_options options)
{
	struct failure why = { 0 };

	memset(j, 0, sizeof(*j));
	j->options = options;
	assert_int_equal(scenario_make(seed, phone_profile_by_name(profile), &want, &j->sc, &why), 0);
	j->config = (struct sim_config){
		.package = &j->sc.package.source,
		.session = { .arrival_seen = true, .job = 1 },
		.seed = 11,
		.cut = true,
	};
	compile(j);
}

static void job_run(struct job *j)
{
	assert_int_equal(sim_run(&j->config, &j->out), 0);
	if (j->out.broken[0])
		print_error("%s\n", j->out.broken);
	assert_string_equal(j->out.broken, "");
}

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

static void job_free(struct job *j)
{
	sim_outcome_free(&j->out);
	plan_free(j->plan);
	phone_free(j->phone);
	scenario_free(&j->sc);
}

/*
 * The first job dies behind the repartition. The second one writes only NV: it takes them from the owed
 * backup, but what else is owed stays so until a whole job has returned it.
 */
static void a_part_does_not_settle_the_rest(void **state)
{
	struct scenario_want want = { .tiny = true, .other_table = true };
	struct sim_records *records = sim_records_new();
	struct plan_options none = { 0 };
	unsigned parts = 0;

	(void)state;
	assert_non_null(records);
	for (uint32_t at = 80; at < 140; at += 4) {
		char text[300];
		uint32_t owed;
		struct job j;

		job_make(&j, "sc9863a", want, none);
		plug(&j, NULL);
		j.config.records = records;
		j.config.breaks.kill_at = at;
		job_run(&j);
		owed = sim_records_owed(records);
		again(&j);
		snprintf(j.options.only[0], sizeof(j.options.only[0]), "NV_LTE");
		j.options.only_count = 1;
		compile(&j);
		job_run(&j);
		if (owed > 1 && j.out.pass) {
			assert_string_equal(j.out.nv, "returned");
			assert_false(j.out.nv_owed);
			assert_false(j.out.nv_written_back);
			assert_int_equal(sim_records_owed(records), owed);
			parts++;
		}
		again(&j);
		j.options.only_count = 0;
		compile(&j);
		job_run(&j);
		assert_true(j.out.pass);
		assert_int_equal(sim_records_owed(records), 0);
		assert_true(scenario_kept(&j.sc, j.phone, true, text, sizeof(text)));
		job_free(&j);
	}
	assert_true(parts > 1);
	sim_records_free(records);
}

/* One item after another from `from` to `to`, then the end. */
static void fill_items(uint8_t *nv, size_t from, size_t to)
{
	uint16_t id = 0x2000;

	while (from < to) {
		size_t len = to - from > 0x400 ? 0x400 : to - from;

		nv[from] = (uint8_t)id;
		nv[from + 1] = (uint8_t)(id++ >> 8);
		nv[from + 2] = (uint8_t)(len - 4);
		nv[from + 3] = (uint8_t)((len - 4) >> 8);
		memset(nv + from + 4, 0x5a, len - 4);
		from += len;
	}
	memset(nv + to, 0xff, 4);
}

/* The read of NV breaks off exactly between two items: what was read looks whole, and is not. */
static void cut_nv_is_no_nv(void **state)
{
	static const enum nv_policy policies[] = { NV_KEEP, NV_KEEP_IF_ANY };
	const size_t piece = 0xF800, size = piece + 0x2000;

	(void)state;
	for (size_t i = 0; i < 2; i++)
		for (int cut = 0; cut < 2; cut++) {
			struct plan_options options = { .nv = policies[i] };
			struct scenario_want want = { .tiny = true };
			size_t at = 4;
			struct job j;
			uint8_t *nv;

			job_make(&j, "sc9863a", want, options);
			for (uint32_t k = 0; k < j.plan->backup_count; k++)
				if (j.plan->backup[k].kind == BACKUP_NV)
					j.plan->backup[k].size = size + 4;
			nv = malloc(size + 4);
			assert_non_null(nv);
			memcpy(nv, j.sc.nv_phone, j.sc.nv_len);
			while (at + 4 < j.sc.nv_len && (nv[at] & nv[at + 1]) != 0xff)
				at += 4 + ((nv[at + 2] + nv[at + 3] * 256u + 3) & ~3u);
			fill_items(nv, at, piece);
			fill_items(nv, piece, size);
			free(j.sc.nv_phone);
			j.sc.nv_phone = nv;
			j.sc.nv_len = size + 4;
			plug(&j, cut ? "U10 on l_fixnv1 from 0xf800" : NULL);
			job_run(&j);
			assert_int_equal(j.out.pass, !cut);
			if (cut) {
				assert_int_equal(j.out.failure.error, ERR_NV_UNREADABLE);
				assert_false(j.out.changed);
			}
			job_free(&j);
		}
}

struct order {
	uint32_t next, reads, back;
};

/* READ_FLASH of the NV area: type 06, id, size, offset, all big endian; no byte of these needs an escape. */
static void watch_reads(void *arg, const struct session *s, const struct want *w, uint32_t number)
{
	const uint8_t *b = w->send.bytes;
	struct order *o = arg;
	uint32_t size, offset;

	(void)s;
	(void)number;
	if (w->kind != WANT_SEND || w->send.len < 20 || b[2] != 0x06 || b[5] != 0xfe || b[8] != 0x03)
		return;
	size = (uint32_t)b[9] << 24 | (uint32_t)b[10] << 16 | (uint32_t)b[11] << 8 | b[12];
	offset = (uint32_t)b[13] << 24 | (uint32_t)b[14] << 16 | (uint32_t)b[15] << 8 | b[16];
	if (offset && offset != o->next)
		o->back++;
	o->next = offset + size;
	o->reads++;
}

/* bsl-protocol 16.2: such a loader hands out its NV from the first byte on, in order. */
static void nv_by_address_in_order(void **state)
{
	struct plan_options options = { .level = LEVEL_VERIFIED };
	struct scenario_want want = { .tiny = true };
	struct order order = { 0 };
	struct job j;

	(void)state;
	for (seed = 1;; seed++) {
		job_make(&j, "uic8850", want, options);
		if (j.sc.nv_len > 0x3000) /* more than one read of such a loader */
			break;
		job_free(&j);
	}
	plug(&j, NULL);
	seed = 11;
	j.config.watch = watch_reads;
	j.config.watch_arg = &order;
	job_run(&j);
	assert_true(j.out.pass);
	assert_true(order.reads >= 4);
	assert_int_equal(order.back, 0);
	job_free(&j);
}

/* "0x21 was sent" is on record when it leaves, not only when it was answered (device-behaviour 17: F69). */
static void watch_transcode(void *arg, const struct session *s, const struct want *w, uint32_t number)
{
	unsigned *seen = arg;

	(void)number;
	if (w->kind != WANT_SEND || w->send.len != 8 || w->send.bytes[2] != 0x21)
		return;
	assert_true(session_progress(s)->plain_framing);
	++*seen;
}

static void transcode_is_on_record_first(void **state)
{
	struct scenario_want want = { .tiny = true };
	struct plan_options options = { 0 };
	unsigned seen = 0;
	struct job j;

	(void)state;
	job_make(&j, "sc9863a", want, options);
	plug(&j, NULL);
	j.config.watch = watch_transcode;
	j.config.watch_arg = &seen;
	job_run(&j);
	assert_true(j.out.pass);
	assert_int_equal(seen, 1);
	job_free(&j);
}

/* What no phone takes is said before the job, not when the table's turn comes after an erase. */
static void tables_that_cannot_be_sent(void **state)
{
	uint8_t *out = malloc(PLAN_TABLE_BYTES);
	struct scenario_want want = { .tiny = true, .other_table = true };
	struct plan_options options = { .repartition = REPARTITION_ALWAYS };
	struct scheme_table *table;
	struct failure why = { 0 };
	struct plan *p;
	struct job j;

	(void)state;
	assert_non_null(out);
	job_make(&j, "sc9863a", want, options);
	assert_int_equal(plan_table_payload(j.plan, out, PLAN_TABLE_BYTES), j.plan->table.count * 76);
	j.plan->table.entry[1].size = 1ull << 60; /* more MiB than the field holds */
	assert_true(plan_table_payload(j.plan, out, PLAN_TABLE_BYTES) < 0);
	/* the same package with gaps */
	table = (struct scheme_table *)(uintptr_t)&pac_product(j.sc.package.pac)->table;
	table->v1 = true;
	table->unit_bytes = 1 << 20;
	table->part[1].gap = -1;
	assert_int_not_equal(plan_compile(j.sc.package.pac, &j.options, &p, &why), 0);
	assert_int_equal(why.error, ERR_PACKAGE_PARTITIONS);
	table->part[1].gap = 0;
	table->part[0].gap = 1;
	assert_int_equal(plan_compile(j.sc.package.pac, &j.options, &p, &why), 0);
	assert_int_equal(plan_table_payload(p, out, PLAN_TABLE_BYTES), 16 + p->table.count * 88);
	plan_free(p);
	/* where the table is not written its gaps do not matter */
	j.options.repartition = REPARTITION_NEVER;
	table->part[1].gap = -1;
	assert_int_equal(plan_compile(j.sc.package.pac, &j.options, &p, &why), 0);
	plan_free(p);
	job_free(&j);
	free(out);
}

/*
 * The operator said in so many words that the package's NV are to be this phone's. Once they are there and
 * read back no earlier backup may return: neither this job's own nor one that was owed before.
 */
static void nv_of_the_package_settle(void **state)
{
	struct scenario_want want = { .tiny = true, .other_table = true };
	struct plan_options package = { .nv = NV_PACKAGE };
	size_t room = 1 << 20, len = room;
	uint8_t *before = malloc(room), *after = malloc(room);

	(void)state;
	assert_true(before && after);
	for (int owed_before = 0; owed_before < 2; owed_before++) {
		struct sim_records *records = sim_records_new();
		struct job j;

		assert_non_null(records);
		job_make(&j, "sc9863a", want, (struct plan_options){ 0 });
		plug(&j, NULL);
		j.config.records = records;
		for (uint32_t at = 80; owed_before && !sim_records_owed(records); at += 2) {
			assert_true(at < 600);
			j.config.breaks.kill_at = at;
			job_run(&j);
			again(&j);
		}
		j.options = package;
		compile(&j);
		job_run(&j);
		assert_true(j.out.pass);
		assert_string_equal(j.out.nv, "package");
		assert_true(j.out.nv_written_back);
		assert_false(j.out.nv_owed);
		assert_int_equal(sim_records_owed(records), 0);
		len = room;
		assert_true(phone_nv_read(j.phone, j.sc.nv_place, before, &len));

		/* and the next job keeps what is there now */
		again(&j);
		j.options = (struct plan_options){ 0 };
		compile(&j);
		job_run(&j);
		assert_true(j.out.pass);
		assert_string_equal(j.out.nv, "kept");
		len = room;
		assert_true(phone_nv_read(j.phone, j.sc.nv_place, after, &len));
		assert_memory_equal(before + 4, after + 4, j.sc.nv_len - 4);
		job_free(&j);
		sim_records_free(records);
	}
	free(before);
	free(after);
}

/* Until they are read back, the phone's own stay owed: the job that was to write the package's was cut off.
 */
static void nv_of_the_package_do_not_settle_unseen(void **state)
{
	struct plan_options package = { .nv = NV_PACKAGE };
	struct sim_records *records = sim_records_new();
	struct job j;

	(void)state;
	assert_non_null(records);
	job_make(&j, "sc9863a", (struct scenario_want){ .tiny = true }, package);
	plug(&j, "lie-nv");
	j.config.records = records;
	job_run(&j);
	assert_int_equal(j.out.failure.error, ERR_VERIFY_MISMATCH);
	assert_true(j.out.nv_owed);
	assert_true(sim_records_owed(records) > 0);
	job_free(&j);
	sim_records_free(records);
}

/* A loader that counts by itself would give the next piece for the same one (bsl-protocol 16.2). */
static void a_piece_in_order_is_not_asked_for_again(void **state)
{
	struct order order = { 0 };
	struct job j;

	(void)state;
	job_make(&j, "uic8850", (struct scenario_want){ .tiny = true }, (struct plan_options){ 0 });
	plug(&j, "lose at read 1");
	j.config.watch = watch_reads;
	j.config.watch_arg = &order;
	job_run(&j);
	assert_int_equal(j.out.failure.error, ERR_READ_UNANSWERED);
	assert_false(j.out.changed);
	assert_int_equal(order.reads, 1);
	job_free(&j);
}

/* However much is owed to a port: nothing of it is overlooked. */
static void everything_owed_is_seen(void **state)
{
	struct sim_records *records = sim_records_new();
	struct plan_options from = { .nv_from = "50" };
	struct job j;

	(void)state;
	assert_non_null(records);
	for (uint32_t i = 0; i < 50; i++) {
		struct sim_backup *b = calloc(1, sizeof(*b));

		assert_non_null(b);
		b->job = i + 1;
		b->owed = true;
		b->kept = calloc(1, 16);
		b->kept_size = 16;
		snprintf(b->name, sizeof(b->name), "area%u", i);
		records->backup[records->count++] = b;
	}
	records->job = 50;
	job_make(&j, "sc9863a", (struct scenario_want){ .tiny = true }, from);
	plug(&j, NULL);
	j.config.records = records;
	job_run(&j);
	assert_true(j.out.pass); /* job 50 was found among them */
	job_free(&j);
	sim_records_free(records);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_part_does_not_settle_the_rest),
		cmocka_unit_test(cut_nv_is_no_nv),
		cmocka_unit_test(nv_by_address_in_order),
		cmocka_unit_test(transcode_is_on_record_first),
		cmocka_unit_test(tables_that_cannot_be_sent),
		cmocka_unit_test(nv_of_the_package_settle),
		cmocka_unit_test(nv_of_the_package_do_not_settle_unseen),
		cmocka_unit_test(a_piece_in_order_is_not_asked_for_again),
		cmocka_unit_test(everything_owed_is_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
