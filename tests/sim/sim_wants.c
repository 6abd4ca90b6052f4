/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The want table against its five hard cases: a 62 KiB framed write fed by a slow reader, a raw level 2 file,
 * a read-back that streams, an NV backup that must be durable before the erase, an FDL1 that re-enumerates.
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
	} else if (w->kind == WANT_SYNC) {
		seen->sync_intent = w->store.sink.kind == SINK_INTENT;
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
	durable_first();
	leaves_and_returns();
	printf("1..%u\n", tests);
	return failures != 0;
}
