/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Chunks of the package, sinks, and what the house has on record. */
#include "tests/simlib/runner.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static int source_bytes(struct runner *r, const struct fetch *f, uint8_t *to)
{
	if (f->source.kind == SOURCE_ITEM || f->source.kind == SOURCE_LOADER) {
		const struct plan *plan = r->config->session.plan;
		bool other = f->source.kind == SOURCE_LOADER && plan->options.loaders;
		const struct source *from = other ? r->config->loaders : r->config->package;
		size_t count;
		const struct pac_item *items = pac_items(other ? plan->options.loaders : plan->pac, &count);

		if (!from || f->source.index >= count || f->offset > items[f->source.index].size ||
		    f->len > items[f->source.index].size - f->offset)
			return -ERANGE;
		return source_read(from, items[f->source.index].offset + f->offset, to, f->len);
	}
	for (uint32_t i = 0; i < r->records->count; i++) {
		struct sim_backup *b = r->records->backup[i];
		bool own = f->source.kind == SOURCE_BACKUP && b->job == r->records->job &&
			   b->sink == f->source.index;
		bool owed = f->source.kind == SOURCE_OWED && f->source.index < r->owed_count &&
			    b == r->owed_from[f->source.index];
		const uint8_t *from = owed ? b->kept : b->bytes;
		size_t size = owed ? b->kept_size : b->size;

		if (!own && !owed)
			continue;
		if (f->offset > size || f->len > size - f->offset)
			return -ERANGE;
		memcpy(to, from + f->offset, f->len);
		return 0;
	}
	return -ERANGE;
}

void runner_fetched(struct runner *r)
{
	struct fetch f = r->fetch;
	struct session_input in = { .kind = INPUT_FETCHED };
	unsigned slot = r->chunk_next;

	r->fetch.pending = false;
	if (++r->fetches == r->config->breaks.fetch_fails_at) {
		runner_fail(r, ERR_PACKAGE_READ_FAILED, "simulated read error");
		return;
	}
	/* two chunks are lent at a time; a third reuses the memory of the first */
	r->chunk_next ^= 1;
	free(r->chunk[slot]);
	r->chunk[slot] = malloc(f.len ? f.len : 1);
	if (!r->chunk[slot])
		return;
	if (source_bytes(r, &f, r->chunk[slot])) {
		runner_broken(r, "FETCH outside its source: kind %d index %u offset %" PRIu64 " length %zu",
			      f.source.kind, f.source.index, f.offset, f.len);
		return;
	}
	in.bytes.data = r->chunk[slot];
	in.bytes.len = f.len;
	runner_give(r, &in);
}

/* Encoding ahead: asked after a new SEND and after each answer that did not change the want. */
void runner_prepare(struct runner *r)
{
	struct want w = { 0 };

	if (r->fetch.pending || r->fresh || (r->w->kind != WANT_SEND && r->w->kind != WANT_STREAM))
		return;
	if (!session_prepare(r->s, &w))
		return;
	if (w.kind != WANT_FETCH || !w.fetch.len || w.fetch.len > SESSION_CHUNK) {
		runner_broken(r, "session_prepare() asked for %s", sim_want_name(w.kind));
		return;
	}
	r->out->prepared++;
	r->fetch = (struct fetch){ .pending = true,
				   .prepared = true,
				   .source = w.fetch.source,
				   .offset = w.fetch.offset,
				   .len = w.fetch.len,
				   .due = r->now + runner_delay(r, r->config->fetch_usec),
				   .serial = r->serial };
}

void runner_fetch(struct runner *r)
{
	const struct want *w = r->w;

	if (!w->fetch.len || w->fetch.len > SESSION_CHUNK)
		runner_broken(r, "FETCH of %zu bytes", w->fetch.len);
	/* what is on its way already is not read twice */
	if (r->fetch.pending && r->fetch.source.kind == w->fetch.source.kind &&
	    r->fetch.source.index == w->fetch.source.index && r->fetch.offset == w->fetch.offset &&
	    r->fetch.len == w->fetch.len) {
		r->fetch.prepared = false;
		return;
	}
	r->fetch = (struct fetch){ .pending = true,
				   .source = w->fetch.source,
				   .offset = w->fetch.offset,
				   .len = w->fetch.len,
				   .due = r->now + runner_delay(r, r->config->fetch_usec) };
}

/*
 * One write to a descriptor: it may take less than it was given, and the rest is for the next turn. True when
 * all has been taken or the job has ended.
 */
static bool write_sink(struct runner *r)
{
	const struct sim_breaks *b = &r->config->breaks;
	const struct want *w = r->w;
	struct sim_sink *sink = &r->out->sink[w->store.sink.index];
	size_t n = w->store.len - r->stored;

	if (b->sink_closed_at && sink->size >= b->sink_closed_at) {
		runner_fail(r, ERR_STORE_FAILED, "simulated: broken pipe");
		return false;
	}
	if (b->sink_full_at && sink->size >= b->sink_full_at) {
		runner_fail(r, ERR_STORE_FAILED, "simulated: no space left");
		return false;
	}
	if (r->config->sink_write && n > r->config->sink_write)
		n = r->config->sink_write;
	if (b->sink_full_at && n > b->sink_full_at - sink->size)
		n = (size_t)(b->sink_full_at - sink->size);
	if (records_append(&sink->bytes, &sink->size, &sink->room, w->store.bytes + r->stored, n)) {
		runner_fail(r, ERR_STORE_FAILED, "no memory");
		return false;
	}
	r->stored += n;
	if (r->stored == w->store.len)
		return true;
	r->busy = true;
	r->busy_until = r->now + 1 + runner_delay(r, r->config->store_usec);
	return false;
}

static void do_store(struct runner *r)
{
	const struct want *w = r->w;
	struct sim_backup *b;
	int rc = 0;

	if (++r->stores == r->config->breaks.store_fails_at) {
		runner_fail(r, ERR_STORE_FAILED, "simulated: no space left");
		return;
	}
	switch (w->store.sink.kind) {
	case SINK_INTENT:
		rc = records_append((uint8_t **)&r->records->intent_text, &r->records->intent_size,
				    &r->records->intent_room, w->store.bytes, w->store.len);
		break;
	case SINK_BACKUP:
		b = records_backup(r->records, r->records->job, &w->store.sink, true);
		if (!b) {
			runner_broken(r, "too many backups");
			return;
		}
		memcpy(b->unit, r->unit, sizeof(b->unit));
		rc = records_append(&b->bytes, &b->size, &b->room, w->store.bytes, w->store.len);
		break;
	case SINK_READ:
		if (w->store.sink.index >= SIM_SINKS || w->store.sink.name[0]) {
			runner_broken(r, "STORE to sink %u '%s'", w->store.sink.index, w->store.sink.name);
			return;
		}
		r->stores--; /* a short write is not another STORE */
		if (!write_sink(r))
			return;
		r->stores++;
		break;
	}
	if (rc)
		runner_fail(r, ERR_STORE_FAILED, "no memory");
	else
		runner_tell(r, INPUT_STORED);
}

static void do_sync(struct runner *r)
{
	const struct want *w = r->w;

	if (++r->syncs == r->config->breaks.sync_fails_at) {
		runner_fail(r, ERR_STORE_FAILED, "simulated: fsync failed");
		return;
	}
	if (w->store.sink.kind == SINK_INTENT) {
		r->records->intent = r->records->intent_size > 0;
		r->records->intents++;
	} else if (w->store.sink.kind == SINK_BACKUP) {
		struct sim_backup *b = records_backup(r->records, r->records->job, &w->store.sink, false);

		if (!b || records_sync(b)) {
			runner_broken(r, "SYNC of a backup that was never stored");
			return;
		}
	} else {
		r->out->sink[w->store.sink.index % SIM_SINKS].synced = true;
	}
	runner_tell(r, INPUT_STORED);
}

static void do_owed(struct runner *r)
{
	struct session_input in = { .kind = INPUT_AWAITED };

	r->owed_count = 0;
	for (uint32_t i = 0; i < r->records->count; i++) {
		struct sim_backup *b = r->records->backup[i];
		bool same = b->unit[0] && !strcmp(b->unit, r->unit);
		struct owed_backup *o = &r->owed[r->owed_count];

		if (!b->owed || b->job == r->records->job || (!same && b->unit[0] && r->unit[0]))
			continue;
		memset(o, 0, sizeof(*o));
		memcpy(o->name, b->name, sizeof(o->name));
		snprintf(o->job, sizeof(o->job), "%" PRIu64, b->job);
		o->size = b->kept_size;
		o->same_unit = same;
		r->owed_from[r->owed_count++] = b;
	}
	in.awaited.list = r->owed;
	in.awaited.count = r->owed_count;
	runner_trace(r, "  owed: %u", r->owed_count);
	runner_give(r, &in);
}

void runner_busy_done(struct runner *r)
{
	const struct want *w = r->w;

	r->busy = false;
	if (w->kind == WANT_STORE)
		do_store(r);
	else if (w->kind == WANT_SYNC)
		do_sync(r);
	else if (w->await.what == AWAIT_OWED)
		do_owed(r);
	else if (r->config->breaks.gate_fails)
		runner_fail(r, ERR_PACKAGE_BODY_CRC, "simulated: the whole-file check failed");
	else
		runner_tell(r, INPUT_AWAITED);
}
