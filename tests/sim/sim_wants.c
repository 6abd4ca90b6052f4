/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The want table against its five hard cases: a 62 KiB framed write fed by a slow reader, a raw level 2 file,
 * a read to a descriptor, an NV backup that must be durable before the erase, an FDL1 that re-enumerates.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/simlib/scenario.h"
#include "tests/simlib/simlib.h"

#define LOG_MAX 4096

struct seen {
	enum want_kind kind;
	enum await await;
	size_t len;
	uint64_t offset; /* of a read, as the frame asks */
	uint16_t command;
	bool sync_intent;
	enum sink_kind sink;
	char step[24], entry[40];
};

struct run {
	struct scenario sc;
	struct plan_options options;
	struct plan *plan;
	struct phone *phone;
	struct sim_config config;
	struct sim_outcome o;
	struct sim_records *records;
	struct seen *log;
	size_t count;
};

static unsigned tests, failures;

static void ok(bool good, const char *name, const char *why)
{
	tests++;
	failures += !good;
	printf("%sok %u - %s%s%s\n", good ? "" : "not ", tests, name, good ? "" : ": ", good ? "" : why);
}

static uint32_t le32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void watch(void *arg, const struct session *s, const struct want *w, uint32_t number)
{
	struct run *r = arg;
	struct seen *seen = &r->log[r->count];

	(void)number;
	if (r->count == LOG_MAX)
		return;
	r->count++;
	memset(seen, 0, sizeof(*seen));
	seen->kind = w->kind;
	snprintf(seen->step, sizeof(seen->step), "%s", session_progress(s)->step);
	snprintf(seen->entry, sizeof(seen->entry), "%s", session_progress(s)->entry);
	if (w->kind == WANT_SEND) {
		seen->len = w->send.len;
		seen->command = w->send.len > 3 ? (uint16_t)(w->send.bytes[1] << 8 | w->send.bytes[2]) : 0x7E;
		if (seen->command == 0x11 && w->send.len >= 13)
			seen->offset = le32(w->send.bytes + 9);
	} else if (w->kind == WANT_AWAIT) {
		seen->await = w->await.what;
	} else if (w->kind == WANT_SYNC || w->kind == WANT_STORE) {
		seen->sync_intent = w->kind == WANT_SYNC && w->store.sink.kind == SINK_INTENT;
		seen->sink = w->store.sink.kind;
		seen->len = w->kind == WANT_STORE ? w->store.len : 0;
	} else if (w->kind == WANT_STREAM) {
		seen->len = w->stream.len;
	}
}

static bool start(struct run *r, const char *profile, const struct scenario_want *want,
		  enum verify_level level)
{
	struct failure why = { 0 };
	const char *reason = "";

	r->log = calloc(LOG_MAX, sizeof(*r->log));
	r->records = sim_records_new();
	r->options.level = level;
	if (!r->log || !r->records || scenario_make(9, phone_profile_by_name(profile), want, &r->sc, &why) ||
	    plan_compile(r->sc.package.pac, &r->options, &r->plan, &why))
		return false;
	r->phone = scenario_phone(&r->sc, 9, NULL, &reason);
	if (!r->phone)
		return false;
	phone_plug(r->phone, 0);
	r->config = (struct sim_config){
		.phone = r->phone,
		.package = &r->sc.package.source,
		.session = { .plan = r->plan, .arrival_seen = true, .job = 1 },
		.records = r->records,
		.seed = 9,
		.fetch_usec = 300,
		.store_usec = 1000,
		.watch = watch,
		.watch_arg = r,
	};
	return true;
}

static void end(struct run *r)
{
	sim_outcome_free(&r->o);
	phone_free(r->phone);
	sim_records_free(r->records);
	plan_free(r->plan);
	scenario_free(&r->sc);
	free(r->log);
	memset(r, 0, sizeof(*r));
}

static bool passes(struct run *r, char *text, size_t size)
{
	char what[160];

	if (sim_run(&r->config, &r->o)) {
		snprintf(text, size, "could not be run");
	} else if (r->o.broken[0]) {
		snprintf(text, size, "%s", r->o.broken);
	} else if (!r->o.pass) {
		failure_text(&r->o.failure, text, size);
	} else if (!scenario_holds(&r->sc, &r->options, r->phone, what, sizeof(what))) {
		snprintf(text, size, "%s", what);
	} else {
		return true;
	}
	return false;
}

/* ---- 1 ---- */

static void slow_reader(void)
{
	const struct scenario_want want = { .tiny = true, .huge = true };
	struct run r = { 0 };
	char text[300] = "no setup";
	size_t largest = 0, waits = 0, pieces = 0;
	uint64_t slow, fast;

	ok(start(&r, "sc9863a", &want, LEVEL_ACKNOWLEDGED) && passes(&r, text, sizeof(text)),
	   "a large framed write with a quick reader", text);
	fast = r.o.now;
	end(&r);
	if (!start(&r, "sc9863a", &want, LEVEL_ACKNOWLEDGED))
		return;
	r.config.fetch_usec = 50000;
	ok(passes(&r, text, sizeof(text)), "a large framed write fed by a reader of 50 ms a chunk", text);
	slow = r.o.now;
	for (size_t i = 0; i < r.count; i++) {
		if (strcmp(r.log[i].entry, "boot") != 0)
			continue;
		pieces += r.log[i].kind == WANT_SEND && r.log[i].command == 2;
		waits += r.log[i].kind == WANT_FETCH;
		if (r.log[i].kind == WANT_SEND && r.log[i].len > largest)
			largest = r.log[i].len;
	}
	snprintf(text, sizeof(text), "largest frame %zu", largest);
	ok(largest > 62 * 1024 && largest <= 65472, "frames carry about 62 KiB", text);
	snprintf(text, sizeof(text), "%" PRIu32 " chunks were here early, %zu waits for %zu pieces",
		 r.o.prepared, waits, pieces);
	ok(r.o.prepared + 4 > waits && waits <= pieces, "the next chunk is read while the phone works", text);
	/* nothing is read twice: the time lost is that of the chunks, not more */
	snprintf(text, sizeof(text), "%" PRIu64 " us instead of %" PRIu64, slow, fast);
	ok(slow > fast && slow - fast < (r.o.want_count[WANT_FETCH] + r.o.prepared + 2) * 50000ull,
	   "a slow reader costs its own time only", text);
	end(&r);
}

/* ---- 2 ---- */

static void raw_file(void)
{
	const struct scenario_want want = { .tiny = true, .huge = true };
	struct run r = { .options = { .raw = true } };
	char text[300] = "no setup";
	size_t streams = 0, quiet = 0, ends = 0;
	uint64_t bytes = 0;

	ok(start(&r, "sc9863a", &want, LEVEL_VERIFIED) && passes(&r, text, sizeof(text)),
	   "a raw level 2 file", text);
	for (size_t i = 0; i < r.count; i++) {
		if (r.log[i].kind == WANT_STREAM) {
			streams++;
			bytes += r.log[i].len;
		}
		/* before END the line is given time for a late error */
		quiet += streams && !ends && r.log[i].kind == WANT_SLEEP;
		ends += streams && r.log[i].kind == WANT_SEND && r.log[i].command == 3;
	}
	snprintf(text, sizeof(text), "%zu streams, %" PRIu64 " bytes", streams, bytes);
	ok(streams > 1 && bytes > 2 << 20, "goes out in unframed blocks", text);
	ok(quiet > 0, "the line is drained before END", "no quiet time");
	end(&r);
}

/* ---- 3 ---- */

static void reading_back(void)
{
	const struct scenario_want want = { .large = true };
	struct run r = { 0 };
	char text[300] = "no setup";
	uint64_t first = UINT64_MAX, second = UINT64_MAX;
	size_t reads = 0;

	ok(start(&r, "sc9863a", &want, LEVEL_VERIFIED) && passes(&r, text, sizeof(text)),
	   "a read that streams", text);
	for (size_t i = 0; i < r.count; i++) {
		if (strcmp(r.log[i].step, "verify") != 0 || strcmp(r.log[i].entry, "boot") != 0 ||
		    r.log[i].kind != WANT_SEND || r.log[i].command != 0x11)
			continue;
		if (reads == 0)
			first = r.log[i].offset;
		if (reads == 1)
			second = r.log[i].offset;
		reads++;
	}
	snprintf(text, sizeof(text), "%zu reads, first at %" PRIu64 ", then at %" PRIu64, reads, first,
		 second);
	ok(reads > 2 && first > 0 && second == 0, "the last piece is read first, then from the start", text);
	end(&r);
}

/* ---- 3, to a descriptor ---- */

static size_t destroyed(const struct phone *phone);

static bool start_read(struct run *r, const char *profile, const struct plan_read *reads, uint32_t count,
		       const char *faults)
{
	const struct scenario_want want = { .tiny = true };
	struct failure why = { 0 };
	const char *reason = "";

	if (!start(r, profile, &want, LEVEL_ACKNOWLEDGED))
		return false;
	plan_free(r->plan);
	phone_free(r->phone);
	r->plan = NULL;
	r->phone = NULL;
	if (plan_compile_read(r->sc.package.pac, NULL, reads, count, &r->plan, &why))
		return false;
	r->phone = scenario_phone(&r->sc, 9, faults, &reason);
	if (!r->phone)
		return false;
	phone_plug(r->phone, 0);
	r->config.phone = r->phone;
	r->config.session.plan = r->plan;
	return true;
}

/* What lies in each sink is what lies in the phone; nothing else was done to it. */
static bool sinks_hold(const struct run *r, const struct plan_read *reads, uint32_t count, char *text,
		       size_t size)
{
	for (uint32_t i = 0; i < count; i++) {
		const struct sim_sink *sink = &r->o.sink[i];
		uint8_t *was = malloc(sink->size + 1);
		bool same = was && (!reads[i].size || sink->size == reads[i].size) && sink->size &&
			    phone_storage_read(r->phone, reads[i].target, reads[i].offset, was, sink->size) &&
			    !memcmp(was, sink->bytes, sink->size);

		free(was);
		if (!same || !sink->synced) {
			snprintf(text, size, "sink %u holds %zu bytes, %s", i, sink->size,
				 same ? "not synced" : "not those of the phone");
			return false;
		}
	}
	snprintf(text, size, "%zu deeds", destroyed(r->phone));
	return !destroyed(r->phone) && !r->o.changed && !strcmp(r->o.leaves, "unchanged");
}

/* Bytes of a piece are in the sink before the next piece is asked for: nothing grows with the area. */
static bool one_piece_at_a_time(const struct run *r)
{
	bool in_hand = false;

	for (size_t i = 0; i < r->count; i++) {
		const struct seen *s = &r->log[i];

		if (strcmp(s->step, "read") != 0)
			continue;
		if (s->kind == WANT_SEND && s->command == 0x11 && in_hand)
			return false;
		if (s->kind == WANT_SEND && s->command == 0x11)
			in_hand = true;
		if (s->kind == WANT_STORE && (s->sink != SINK_READ || s->len > 64 * 1024 || !in_hand))
			return false;
		if (s->kind == WANT_STORE)
			in_hand = false;
	}
	return !in_hand;
}

static size_t seen_intents(const struct run *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->count; i++)
		n += (r->log[i].kind == WANT_STORE && r->log[i].sink != SINK_READ) || r->log[i].sync_intent ||
		     (r->log[i].kind == WANT_AWAIT && r->log[i].await <= AWAIT_OWED);
	return n;
}

static void to_a_descriptor(void)
{
	static const struct plan_read reads[] = { { .target = "misc" }, /* 1 MiB, to its end */
						  { .target = "miscdata", .offset = 65536, .size = 8191 },
						  { .target = "splloader", .size = 300 } };
	static const char *const profiles[] = { "sc9863a", "ums9620", "sc9832e" };
	char text[300] = "no setup";
	uint64_t quick = 0;

	for (size_t i = 0; i < 3; i++) {
		struct run r = { 0 };
		bool good = start_read(&r, profiles[i], reads, 3, NULL);

		snprintf(text, sizeof(text), "no setup");
		if (good)
			good = !sim_run(&r.config, &r.o) && !r.o.broken[0] && r.o.pass &&
			       sinks_hold(&r, reads, 3, text, sizeof(text));
		ok(good, "areas are read to descriptors, byte for byte", text);
		ok(good && one_piece_at_a_time(&r), "each piece is taken before the next is asked for",
		   profiles[i]);
		ok(good && !seen_intents(&r), "nothing is kept, looked up or waited for", profiles[i]);
		if (!i)
			quick = r.o.now;
		end(&r);
	}

	/* a descriptor that takes a little at a time: slower, not different, and the phone is not hurried */
	struct run r = { 0 };
	bool good = start_read(&r, "sc9863a", reads, 3, NULL);

	r.config.sink_write = 7001;
	r.config.store_usec = 20000;
	r.config.cut = true;
	if (good)
		good = !sim_run(&r.config, &r.o) && !r.o.broken[0] && r.o.pass &&
		       sinks_hold(&r, reads, 3, text, sizeof(text)) && one_piece_at_a_time(&r);
	ok(good && r.o.now > quick, "short writes", text);
	end(&r);
}

static void descriptors_that_fail(void)
{
	static const struct plan_read reads[] = { { .target = "misc" } };
	static const struct {
		const char *name;
		struct sim_breaks breaks;
		uint64_t bytes; /* in the sink at the end */
		enum error_id error;
	} rows[] = {
		{ "a full disk", { .sink_full_at = 200000 }, 200000, ERR_STORE_FAILED },
		{ "a reader that has gone", { .sink_closed_at = 1 }, 0xF800, ERR_STORE_FAILED },
		{ "an fsync that fails", { .sync_fails_at = 1 }, 1 << 20, ERR_STORE_FAILED },
		{ "a cable that is pulled", { .unplug_at = 320 }, 0, ERR_DEVICE_VANISHED },
		{ "a cancel", { .cancel_at = 320 }, 0, ERR_CANCELLED },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct run r = { 0 };
		char text[300] = "no setup";
		bool good = start_read(&r, "sc9863a", reads, 1, NULL);
		size_t after = 0;

		r.config.breaks = rows[i].breaks;
		/* where the reading begins is found by a run before */
		if (good && (rows[i].breaks.unplug_at || rows[i].breaks.cancel_at)) {
			uint32_t begun = 0;

			good = !sim_run(&r.config, &r.o);
			for (size_t k = 0; k < r.count && !begun; k++)
				if (!strcmp(r.log[k].step, "read"))
					begun = (uint32_t)k + 6;
			end(&r);
			good = good && start_read(&r, "sc9863a", reads, 1, NULL);
			r.config.breaks.unplug_at = rows[i].breaks.unplug_at ? begun : 0;
			r.config.breaks.cancel_at = rows[i].breaks.cancel_at ? begun : 0;
		}
		if (good) {
			good = !sim_run(&r.config, &r.o) && !r.o.broken[0] && !r.o.pass && !r.o.changed &&
			       !strcmp(r.o.leaves, "unchanged") && !destroyed(r.phone) &&
			       r.o.failure.error == rows[i].error &&
			       (!rows[i].bytes || r.o.sink[0].size == rows[i].bytes);
			snprintf(text, sizeof(text), "%s, %zu bytes, offset %llu %s",
				 error_entry(r.o.failure.error)->name, r.o.sink[0].size,
				 (unsigned long long)r.o.failure.offset, r.o.broken);
			/* what was told last is where it ended */
			for (size_t k = 0; k < r.count; k++)
				after = r.log[k].kind == WANT_SEND && !strcmp(r.log[k].step, "reset");
		}
		ok(good && !after, rows[i].name, text);
		end(&r);
	}
}

static void reads_that_cannot_be(void)
{
	static const struct {
		struct plan_read read;
		enum error_id error;
		const char *faults, *profile; /* NULL: sc9863a */
	} rows[] = {
		{ { .target = "nothing" }, ERR_PARTITION_MISSING, NULL, NULL },
		{ { .target = "misc", .offset = 1 << 20 }, ERR_INVALID_ARGS, NULL, NULL },
		{ { .target = "misc", .offset = 1000, .size = 1 << 20 }, ERR_INVALID_ARGS, NULL, NULL },
		{ { .target = "misc", .size = 4096 },
		  ERR_READ_FAILED,
		  "refuse at read * of misc with 0x84",
		  NULL },
		{ { .target = "misc", .size = 4096 }, ERR_READ_SHORT, "read-short on misc", NULL },
		{ { .target = "misc", .size = 4096 }, ERR_READ_UNANSWERED, "stall at read * of misc", NULL },
		{ { .target = "misc", .size = 4096 }, ERR_NONE, "lose at read of misc", NULL },
		{ { .target = "misc", .size = 4096 },
		  ERR_READ_FAILED,
		  "refuse at read-start 2 with 0x84",
		  NULL },
		{ { .target = "misc", .size = 4096 },
		  ERR_UNSUPPORTED_COMMAND,
		  "refuse at read-start 2 with 0xfe",
		  NULL },
		{ { .target = "misc", .size = 4096 }, ERR_LINK_CHECK_REFUSED, "F04 at read-start 2", NULL },
		{ { .target = "misc", .size = 4096 }, ERR_READ_UNANSWERED, "stall at read-start 2", NULL },
		{ { .target = "misc", .size = 4096 }, ERR_LINK_CHECK_REFUSED, "F04 at read of misc", NULL },
		{ { .target = "misc", .size = 4096 },
		  ERR_READ_SHORT,
		  "refuse at read * of misc with 0x8a",
		  NULL },
		{ { .target = "misc", .size = 4096 },
		  ERR_READ_FAILED,
		  "refuse at read * of misc with 0xd2",
		  NULL },
		/* who does not permit it refuses the table already */
		{ { .target = "misc", .size = 4096 },
		  ERR_READ_FAILED,
		  "refuse at read-start 2 with 0x84",
		  "ums9620" },
		{ { .target = "misc", .size = 4096 }, ERR_NOT_PERMITTED, "F58", "ums9230" },
		{ { .target = "misc", .size = 4096 }, ERR_DEVICE_VANISHED, "unplug at read of misc", NULL },
		{ { .target = "misc", .size = 4096 }, ERR_LINK_GARBLED, "damage at read * of misc", NULL },
	};
	static const struct plan_read refused[] = {
		{ .target = "erase_all" },
		{ .target = "boot_size" },
		{ .target = "splloader" },
		{ .address = 0x80000003 },
		{ .target = "a name with gaps" },
		{ .address = 1, .size = 2 },
		{ .target = "abcdefghijklmnopqrstuvwxyzabcdef", .size = 2 },
	};
	char text[300];
	struct run r = { 0 };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(text, sizeof(text), "no setup");
		bool good = start_read(&r, rows[i].profile ? rows[i].profile : "sc9863a", &rows[i].read, 1,
				       rows[i].faults) &&
			    !sim_run(&r.config, &r.o) && !r.o.broken[0];

		if (good)
			failure_text(&r.o.failure, text, sizeof(text));
		good = good && r.o.failure.error == rows[i].error && !r.o.changed;
		if (good && rows[i].error == ERR_NONE)
			good = sinks_hold(&r, &rows[i].read, 1, text, sizeof(text));
		ok(good, rows[i].faults ? rows[i].faults : "outside of what the phone has", text);
		end(&r);
	}
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		snprintf(text, sizeof(text), "'%s' was taken", refused[i].target);
		ok(!start_read(&r, "sc9863a", &refused[i], 1, NULL) && r.plan == NULL, "is no plan at all",
		   text);
		end(&r);
	}
}

/* By address: ids carry an offset of their own, a mapped flash does not. */
static void by_address(void)
{
	static const struct plan_read flash = { .address = 0x60030000, .offset = 4096, .size = 40001 };
	static const struct plan_read id = { .address = 0x80000003, .offset = 512, .size = 9000 };
	static const struct {
		const char *profile, *place;
		const struct plan_read *read;
	} rows[] = { { "uic8850", "ap", &flash }, { "ums9117", "kernel", &id } };

	for (size_t i = 0; i < 2; i++) {
		struct run r = { 0 };
		char text[300] = "no setup";
		bool good = start_read(&r, rows[i].profile, rows[i].read, 1, NULL);
		struct plan_read named = *rows[i].read;

		snprintf(named.target, sizeof(named.target), "%s", rows[i].place);
		if (good)
			good = !sim_run(&r.config, &r.o) && !r.o.broken[0] && r.o.pass;
		if (good)
			good = sinks_hold(&r, &named, 1, text, sizeof(text));
		else
			failure_text(&r.o.failure, text, sizeof(text));
		ok(good, "a read by address", text);
		end(&r);
	}
}

/* ---- 4 ---- */

static size_t destroyed(const struct phone *phone)
{
	size_t n = 0;

	for (size_t i = 0; i < phone_deeds(phone); i++) {
		enum phone_deed_kind kind = phone_deed(phone, i)->kind;

		n += kind == PHONE_DEED_WRITE || kind == PHONE_DEED_NV || kind == PHONE_DEED_ERASE ||
		     kind == PHONE_DEED_REPARTITION || kind == PHONE_DEED_ERASE_ALL;
	}
	return n;
}

static void durable_first(void)
{
	const struct scenario_want want = { .tiny = true, .other_table = true };
	char text[300] = "no setup";
	struct run r = { 0 };
	size_t intent = 0, danger = 0;

	ok(start(&r, "sc9863a", &want, LEVEL_ACKNOWLEDGED) && passes(&r, text, sizeof(text)),
	   "backups and intent are durable before the first destructive want", text);
	for (size_t i = 0; i < r.count; i++) {
		if (r.log[i].sync_intent && !intent)
			intent = i + 1;
		if (r.log[i].kind == WANT_SEND && !danger && !strcmp(r.log[i].step, "repartition"))
			danger = i + 1;
	}
	snprintf(text, sizeof(text), "intent synced by want %zu, destroyed by want %zu", intent, danger);
	ok(intent && danger > intent, "the intent comes first", text);
	end(&r);

	for (uint32_t at = 1; at <= 5; at++) {
		if (!start(&r, "sc9863a", &want, LEVEL_ACKNOWLEDGED))
			return;
		r.config.breaks.sync_fails_at = at;
		if (sim_run(&r.config, &r.o))
			return;
		snprintf(text, sizeof(text), "sync %u: %s, %zu deeds, %s", at,
			 error_entry(r.o.failure.error)->name, destroyed(r.phone), r.o.broken);
		/* three backups and the intent; the fifth is the record of the first step */
		ok(!r.o.pass && r.o.failure.error == ERR_STORE_FAILED && !r.o.broken[0] &&
			   (at == 5) == (destroyed(r.phone) > 0),
		   at < 5 ? "what can not be made durable stops the job before anything is touched"
			  : "a journal that can not be written stops the job",
		   text);
		end(&r);
	}
}

/* ---- 5 ---- */

static void leaves_and_returns(void)
{
	const struct scenario_want want = { .tiny = true };
	struct run r = { 0 };
	char text[300] = "no setup";
	size_t left = 0, back = 0;
	const char *why;
	struct phone *other;

	ok(start(&r, "sc7731g", &want, LEVEL_ACKNOWLEDGED) && passes(&r, text, sizeof(text)),
	   "an FDL1 that re-enumerates", text);
	for (size_t i = 0; i < r.count; i++) {
		if (r.log[i].kind != WANT_AWAIT || strcmp(r.log[i].step, "start-fdl1") != 0)
			continue;
		if (r.log[i].await == AWAIT_DEPARTURE)
			left = i + 1;
		if (r.log[i].await == AWAIT_RETURN)
			back = i + 1;
	}
	ok(left && back > left, "departure is awaited, then the return", "no such wants");
	ok(phone_counters(r.phone)->detaches >= 1, "the phone has really left", "it has not");
	end(&r);

	if (!start(&r, "sc7731g", &want, LEVEL_ACKNOWLEDGED))
		return;
	other = scenario_phone(&r.sc, 10, NULL, &why);
	r.config.swap = other;
	if (other && !sim_run(&r.config, &r.o)) {
		snprintf(text, sizeof(text), "%s", error_entry(r.o.failure.error)->name);
		ok(r.o.failure.error == ERR_PHONE_SWAPPED && !destroyed(other) && !destroyed(r.phone),
		   "another phone of the same model in the window ends the session", text);
	}
	end(&r);
	phone_free(other);
}

int main(void)
{
	slow_reader();
	raw_file();
	reading_back();
	to_a_descriptor();
	descriptors_that_fail();
	reads_that_cannot_be();
	by_address();
	durable_first();
	leaves_and_returns();
	printf("1..%u\n", tests);
	return failures != 0;
}
