/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The phone as a whole, without a package: its table learned and changed, everything saved, wiped and brought
 * back, and the marks that say how it starts.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flash/partition.h"
#include "flash/table_text.h"
#include "tests/simlib/work.h"

#define MISC  (1u << 20) /* bytes of that partition */
#define SMALL (9u << 20) /* bytes: larger partitions would only take time */

static unsigned tests, failures;
static char name_text[160];

static void ok(bool good, const char *profile, const char *what, const char *why)
{
	tests++;
	failures += !good;
	snprintf(name_text, sizeof(name_text), "%s: %s", profile, what);
	printf("%sok %u - %s%s%s\n", good ? "" : "not ", tests, name_text, good ? "" : ": ", good ? "" : why);
}

static void learn(const char *profile, const char *faults, enum table_origin origin, const char *what)
{
	struct phone_slice slices[TABLE_MAX];
	struct work_phone w;
	struct work_job j = { 0 };
	uint32_t wrong = 0;
	size_t count;
	bool ran;

	if (!work_begin(&w, profile, 24, NULL, faults)) {
		ok(false, profile, what, "no phone");
		return;
	}
	j.table = true;
	j.options.end = END_STAY;
	ran = work_run(&w, &j);
	count = phone_partitions(w.phone, slices, TABLE_MAX);
	for (size_t i = 0; i < count; i++) {
		const struct table_entry *e = table_find(&w.before.table, slices[i].name);

		if (origin == TABLE_PROBED && !e)
			printf("# %s: not found: %s\n", profile, slices[i].name);
		if (!e || (e->size != slices[i].size && i + 1 < count))
			wrong++;
	}
	snprintf(name_text, sizeof(name_text), "%s; origin %s, %" PRIu32 " rows of %zu, %" PRIu32 " wrong",
		 work_told(&j), table_origin_name(w.before.table.origin), w.before.table.count, count, wrong);
	{
		char text[sizeof(name_text)];

		memcpy(text, name_text, sizeof(text));
		/* probing finds the names that are known, not all there are; a list may be asked for in vain
		 */
		ok(ran && j.o.pass && phone_counters(w.phone)->unknown_commands < 2 &&
			   w.before.table.origin == origin && w.before.table.count &&
			   (origin == TABLE_PROBED ? wrong * 4 <= count : !wrong) && !work_changes(&w),
		   profile, what, text);
	}
	work_done(&j);
	work_end(&w);
}

static bool rows_are(const struct work_phone *w, const struct scheme_table *t)
{
	struct phone_slice slices[TABLE_MAX];
	size_t count = phone_partitions(w->phone, slices, TABLE_MAX);

	if (count != t->parts)
		return false;
	for (size_t i = 0; i < count; i++)
		if (strcmp(slices[i].name, t->part[i].name) != 0 ||
		    (t->part[i].size != SCHEME_REST && slices[i].size != t->part[i].size * t->unit_bytes))
			return false;
	return true;
}

static size_t row_of(const struct scheme_table *t, const char *name)
{
	size_t i = 0;

	while (i < t->parts && strcmp(t->part[i].name, name) != 0)
		i++;
	return i;
}

static void drop_row(struct scheme_table *t, const char *name)
{
	size_t i = row_of(t, name);

	memmove(&t->part[i], &t->part[i + 1], (t->parts - i - 1) * sizeof(t->part[0]));
	t->parts--;
}

/* The table as saved, then changed by hand: what the phone has of its own lives through it. */
static void new_table(const char *profile)
{
	struct scheme_table t = { 0 }, saved = { 0 };
	struct flash_table coming;
	struct failure why = { 0 };
	struct work_phone w;
	struct work_job j = { 0 };
	char *text = NULL;
	size_t len;
	bool ran;

	if (!work_begin(&w, profile, 25, NULL, NULL)) {
		ok(false, profile, "set up", "no phone");
		return;
	}
	j.table = true;
	j.options.end = END_STAY;
	ran = work_run(&w, &j);
	work_done(&j);
	ran = ran && !table_to_scheme(&w.before.table, &saved) && !made_table_xml(&saved, &text, &len) &&
	      !made_table_parse(text, len, NULL, &t, &why) && rows_are(&w, &t);
	ok(ran, profile, "the phone's table goes to XML and back", why.detail);
	free(text);
	made_table_free(&saved);
	if (!ran)
		return;

	j.scheme.table = &t;
	j.options = (struct plan_options){ .own = OWN_REFUSE, .end = END_STAY };
	ran = work_run(&w, &j);
	ok(work_passed(&w, ran, &j) && !work_changes(&w) && !j.o.changed, profile,
	   "the table that is there is not written again", work_told(&j));
	work_done(&j);

	t.part[row_of(&t, "misc")].size += 3;
	if (row_of(&t, "sysdumpdb") < t.parts)
		drop_row(&t, "sysdumpdb");
	ran = !table_from_scheme(&t, w.before.table.sector, w.before.table.user_size, &coming, &why) &&
	      table_difference(&w.before.table, &coming, NULL, NULL) > 2;
	ok(ran, profile, "the difference is told before", why.detail);
	j.scheme.table = &t;
	j.options = (struct plan_options){ .own = OWN_REFUSE, .end = END_STAY };
	w.kept_name = "prodnv";
	w.kept_bytes = NULL;
	ran = work_run(&w, &j);
	ok(work_passed(&w, ran, &j) && rows_are(&w, &t) && w.kept, profile, "another table is written",
	   work_told(&j));
	ok(scenario_kept(&w.sc, w.phone, false, name_text, sizeof(name_text)) && !j.o.nv_owed, profile,
	   "NV and factory data have come along", name_text);
	work_done(&j);

	w.kept_name = NULL;
	drop_row(&t, "prodnv");
	j.scheme.table = &t;
	j.options = (struct plan_options){ .own = OWN_REFUSE };
	ran = work_run(&w, &j);
	ok(work_refused(&w, ran, &j, ERR_PARTITION_UNIQUE), profile,
	   "a table without a place for the phone's own is refused", work_told(&j));
	work_done(&j);
	made_table_free(&t);
	work_end(&w);
}

/* Nothing is left but copies, and the next whole package brings them back. */
static void everything(const char *profile)
{
	struct work_phone w;
	struct work_job j = { 0 };
	bool ran;

	if (!work_begin(&w, profile, 26, NULL, NULL)) {
		ok(false, profile, "set up", "no phone");
		return;
	}
	j.options = (struct plan_options){ .own = OWN_REFUSE, .erase_all = true };
	ran = work_run(&w, &j);
	ok(work_refused(&w, ran, &j, ERR_PARTITION_UNIQUE), profile, "everything is not erased unasked",
	   work_told(&j));
	work_done(&j);

	j.options = (struct plan_options){ .own = OWN_I_KNOW, .erase_all = true };
	w.kept_name = w.sc.nv_name;
	ran = work_run(&w, &j);
	ok(work_passed(&w, ran, &j) && w.kept && j.o.nv_owed && sim_records_owed(w.records) >= 2, profile,
	   "everything is erased, NV and factory data are on disk and owed", work_told(&j));
	ok(work_erased(&w, "user_partition") || !phone_partitions(w.phone, NULL, 0), profile,
	   "nothing is left", work_told(&j));
	work_done(&j);

	work_replug(&w);
	{
		struct sim_config c = w.config;
		struct sim_outcome o;
		struct plan_options options = { .level = LEVEL_VERIFIED };
		struct failure why = { 0 };
		struct plan *plan = NULL;
		char text[300] = "";

		ran = !plan_compile(w.sc.package.pac, &options, &plan, &why);
		c.package = &w.sc.package.source;
		c.session = (struct session_config){ .plan = plan, .arrival_seen = true, .job = ++w.job };
		c.now = w.now;
		ran = ran && !sim_run(&c, &o);
		ok(ran && o.pass && !strcmp(o.nv, "returned") &&
			   scenario_kept(&w.sc, w.phone, true, text, sizeof(text)),
		   profile, "and a whole package brings them back",
		   !ran	    ? why.detail
		   : o.pass ? text
			    : failure_text(&o.failure, text, sizeof(text)));
		if (ran)
			sim_outcome_free(&o);
		plan_free(plan);
	}
	work_end(&w);
}

/* What a backup of the phone consists of, area by area. */
static struct plan_read *list_areas(struct work_phone *w, const struct plan_save *save, uint32_t *count)
{
	struct plan_read *all = calloc(PLAN_READS_MAX, sizeof(*all));
	struct work_job j = { .table = true, .options = { .end = END_STAY } };
	uint32_t n = 0;

	if (!all || !work_run(w, &j) || !j.o.pass) {
		free(all);
		return NULL;
	}
	*count = plan_reads_of_table(&j.o.facts.table, save, all);
	for (uint32_t i = 0; i < *count; i++) {
		const struct table_entry *e = table_find(&j.o.facts.table, all[i].target);

		if (!e || e->size <= SMALL)
			all[n++] = all[i];
	}
	*count = n;
	work_done(&j);
	return all;
}

/* Saved, wiped, written back: the same bytes; NV by its own way, last. */
static void save_and_restore(const char *profile)
{
	struct plan_save save = { 0 };
	struct plan_read *all;
	struct work_phone w;
	struct work_job j = { 0 };
	uint32_t count = 0, bad = 0, wiped = 0;
	struct sim_sink *sink;
	bool ran = true;

	if (!work_begin(&w, profile, 28, NULL, NULL) || !(all = list_areas(&w, &save, &count))) {
		ok(false, profile, "set up", "no phone");
		return;
	}
	sink = calloc(count, sizeof(*sink));
	for (uint32_t i = 0; sink && i < count; i += SIM_SINKS) {
		j.options.end = END_STAY;
		for (j.reads = 0; j.reads < SIM_SINKS && i + j.reads < count; j.reads++)
			j.read[j.reads] = all[i + j.reads];
		ran = ran && work_run(&w, &j) && j.o.pass;
		for (uint32_t k = 0; k < j.reads; k++) {
			sink[i + k] = j.o.sink[k];
			j.o.sink[k].bytes = NULL;
		}
		work_done(&j);
	}
	for (uint32_t i = 0; i < count; i++) {
		bool nv = partition_traits(all[i].target) & (PARTITION_NV | PARTITION_RUNTIME_NV);

		if (sink[i].size && (nv || work_holds(&w, all[i].target, 0, sink[i].bytes, sink[i].size)))
			continue;
		printf("# %s: %s is not as it was read (%zu bytes)\n", profile, all[i].target, sink[i].size);
		bad++;
	}
	snprintf(name_text, sizeof(name_text), "%" PRIu32 " of %" PRIu32 " areas differ", bad, count);
	{
		char text[sizeof(name_text)];

		memcpy(text, name_text, sizeof(text));
		ok(ran && count > 10 && !bad && !work_changes(&w), profile, "all that is small is saved",
		   text);
	}
	for (uint32_t i = 0; i < count; i++) {
		const char *name = all[i].target;
		enum partition_class class = partition_class(name);
		bool nv = partition_traits(name) & PARTITION_NV;
		struct source source = source_memory(sink[i].bytes, sink[i].size);
		static uint8_t junk[4096];

		/* what the simulated phone is filled with has no signature */
		if (work_part(&w, name) && work_part(&w, name)->flags & PHONE_PART_VERIFIED &&
		    w.sc.profile->secure)
			continue;
		if (class == PARTITION_BOOT_CHAIN || partition_traits(name) & PARTITION_RUNTIME_NV ||
		    !strcmp(name, "vbmeta"))
			continue;
		if (!nv)
			phone_storage_write(w.phone, name, 0, junk, sizeof(junk));
		j.options = (struct plan_options){
			.own = OWN_I_KNOW, .nv = NV_PACKAGE, .level = LEVEL_VERIFIED, .end = END_STAY
		};
		work_add(&j, nv ? "NV" : "image", nv ? "NV_COMM" : "CODE2", name, 0, &source);
		ran = work_run(&w, &j);
		wiped++;
		if (!work_passed(&w, ran, &j) ||
		    (!nv && !work_holds(&w, name, 0, sink[i].bytes, sink[i].size))) {
			printf("# %s: %s: %s\n", profile, name, work_told(&j));
			bad++;
			if (!w.stays)
				work_replug(&w);
		}
		work_done(&j);
	}
	snprintf(name_text, sizeof(name_text), "%" PRIu32 " of %" PRIu32, bad, wiped);
	{
		char text[sizeof(name_text)];

		memcpy(text, name_text, sizeof(text));
		ok(!bad && wiped > 4, profile, "and written back, what is the phone's own too", text);
	}
	ok(scenario_kept(&w.sc, w.phone, false, name_text, sizeof(name_text)), profile,
	   "nothing of its own is lost", name_text);
	for (uint32_t i = 0; i < count; i++)
		free(sink[i].bytes);
	free(sink);
	free(all);
	work_end(&w);
}

static uint32_t crc32(const uint8_t *p, size_t n)
{
	uint32_t crc = 0xFFFFFFFF;

	while (n--) {
		crc ^= *p++;
		for (int k = 0; k < 8; k++)
			crc = crc & 1 ? crc >> 1 ^ 0xEDB88320 : crc >> 1;
	}
	return ~crc;
}

/* How the phone starts next, and from which slot: those bytes and no others. */
static void marks(const char *profile)
{
	static uint8_t was[MISC], is[MISC];
	uint8_t *c = was + 2048;
	struct work_phone w;
	struct work_job j = { 0 };
	uint32_t crc;
	bool ran;

	if (!work_begin(&w, profile, 29, NULL, NULL)) {
		ok(false, profile, "set up", "no phone");
		return;
	}
	sim_bytes(3, was, sizeof(was));
	memcpy(c, "_a\0\0BCAB\1\2\0\0\x8f\0\x8e\0", 16);
	memset(c + 16, 0, 12);
	crc = crc32(c, 28);
	for (int i = 0; i < 4; i++)
		c[28 + i] = (uint8_t)(crc >> 8 * i);
	phone_storage_write(w.phone, "misc", 0, was, sizeof(was));

	j.marks = 2;
	j.mark[0] = (struct mark){ .kind = MARK_BOOT, .value = BOOT_WIPE_DATA };
	j.mark[1] = (struct mark){ .kind = MARK_SLOT, .value = 'b' };
	j.options.end = END_STAY;
	w.kept_name = "misc";
	w.kept_bytes = was;
	w.kept_len = sizeof(was);
	ran = work_run(&w, &j);
	phone_storage_read(w.phone, "misc", 0, is, sizeof(is));
	ok(work_passed(&w, ran, &j) && w.kept && j.o.verified_entries &&
		   !memcmp(is + 64, "recovery\n--wipe_data\n", 22) && !memcmp(is + 2048, "_b", 2) &&
		   !memcmp(is + 832, was + 832, 2048 - 832) &&
		   !memcmp(is + 2080, was + 2080, sizeof(is) - 2080),
	   profile, "factory reset and the other slot are marked, nothing else is", work_told(&j));
	ok(!j.o.nv_owed && !sim_records_owed(w.records), profile, "nobody is owed anything for it",
	   work_told(&j));
	work_done(&j);

	j.marks = 1;
	j.mark[0] = (struct mark){ .kind = MARK_FIRST_MODE, .value = 17 };
	j.options.end = END_STAY;
	w.kept_name = NULL;
	ran = work_run(&w, &j);
	ok(work_passed(&w, ran, &j) &&
		   work_holds(&w, "miscdata", MARK_FIRST_AT, (const uint8_t *)"\x11MFS", 4),
	   profile, "the mode of the first start is set and looked at", work_told(&j));
	work_done(&j);

	is[2048 + 28] ^= 1;
	phone_storage_write(w.phone, "misc", 0, is, sizeof(is));
	j.marks = 1;
	j.mark[0] = (struct mark){ .kind = MARK_SLOT, .value = 'a' };
	w.kept_name = NULL;
	ran = work_run(&w, &j);
	ok(work_refused(&w, ran, &j, ERR_MARK_UNUSABLE), profile,
	   "a wrong checksum is not made right by guessing", work_told(&j));
	work_done(&j);
	work_end(&w);
}

int main(void)
{
	static const char *const named[] = { "sc9863a", "ums512", "ums9230", "ums9620" };

	for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
		learn(named[i], NULL, TABLE_GPT, "the table comes from the GPT");
		new_table(named[i]);
		everything(named[i]);
		save_and_restore(named[i]);
		marks(named[i]);
	}
	learn("sc9863a", "fail-read on user_partition", TABLE_LIST, "the table comes from the list");
	learn("sc9863a", "fail-read on user_partition; F54", TABLE_LIST, "its unit is measured");
	learn("ums9230", "fail-read on user_partition; F53", TABLE_PROBED,
	      "the table is probed name by name, slots too");
	learn("sc9832e", NULL, TABLE_PROBED, "the table is probed where there is neither");
	printf("1..%u\n", tests);
	return failures != 0;
}
