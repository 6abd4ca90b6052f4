/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/simlib/internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define CLASS_REQUEST 0x21, 0x22, 0x0601
#define OPEN_USEC     2000   /* what opening the pipe takes */
#define SPIN_MAX      200000 /* inputs without any time passing */
#define PREPARES_MAX  4

struct fetch {
	bool pending, prepared; /* prepared: asked by session_prepare, under the serial below */
	struct source_ref source;
	uint64_t offset, due;
	size_t len;
	uint32_t serial;
};

struct runner {
	const struct sim_config *config;
	struct sim_outcome *out;
	struct session *s;
	struct sim_records *records;
	struct phone *phone;
	struct sim_random random;
	uint64_t now, started, limit_usec, limit_inputs;

	const struct want *w;
	uint32_t serial;   /* of the want being carried out */
	bool fresh;	   /* w has not been taken up */
	uint64_t deadline; /* absolute; UINT64_MAX none */
	uint8_t *frame;	   /* copy of what is being sent */
	size_t frame_len, frame_room;
	bool out_pending, out_sent, stream_told;
	uint64_t stream_at;
	struct fetch fetch;
	uint8_t *chunk[2];
	unsigned chunk_next;
	uint64_t busy_until; /* STORE, SYNC, GATE, OWED */
	bool busy;

	bool gone, left, back,
		back_failed; /* the phone: told as gone; left while awaited; came back unasked */
	bool swapped, first_departure;
	uint64_t swap_due;
	uint32_t fetches, stores, syncs;
	uint64_t spin_at;
	uint32_t spins;
	size_t deeds_seen;
	char unit[65];
	struct owed_backup owed[SIM_BACKUPS];
	struct sim_backup *owed_from[SIM_BACKUPS];
	uint32_t owed_count;
};

const char *sim_want_name(enum want_kind kind)
{
	static const char *const names[] = { "SEND", "STREAM", "FETCH", "STORE",
					     "SYNC", "AWAIT",  "SLEEP", "DONE" };

	return kind <= WANT_DONE ? names[kind] : "?";
}

static void __attribute__((format(printf, 2, 3))) trace(struct runner *r, const char *fmt, ...)
{
	va_list ap;

	if (!r->config->trace)
		return;
	fprintf(r->config->trace, "%12.6f ", (double)(r->now - r->started) / 1e6);
	va_start(ap, fmt);
	vfprintf(r->config->trace, fmt, ap);
	va_end(ap);
	fputc('\n', r->config->trace);
}

static void __attribute__((format(printf, 2, 3))) broken(struct runner *r, const char *fmt, ...)
{
	va_list ap;

	if (r->out->broken[0])
		return;
	va_start(ap, fmt);
	vsnprintf(r->out->broken, sizeof(r->out->broken), fmt, ap);
	va_end(ap);
	trace(r, "BROKEN %s", r->out->broken);
}

static uint64_t delay(struct runner *r, uint64_t longest)
{
	return r->config->cut ? sim_below(&r->random, longest + 1) : longest;
}

/* A destructive deed may only be there once the intent and every backup of this job are durable. */
static void check_deeds(struct runner *r)
{
	size_t n = phone_deeds(r->phone);

	for (; r->deeds_seen < n; r->deeds_seen++) {
		const struct phone_deed *d = phone_deed(r->phone, r->deeds_seen);

		if (d->kind == PHONE_DEED_GPT_REPAIR || d->kind == PHONE_DEED_NV_REPAIR ||
		    d->kind == PHONE_DEED_MISC || d->kind == PHONE_DEED_LOG || d->kind == PHONE_DEED_RAM)
			continue;
		if (!r->records->intent)
			broken(r, "%s of %s before the intent was durable", phone_deed_name(d->kind),
			       d->name);
		for (uint32_t i = 0; i < r->records->count; i++) {
			const struct sim_backup *b = r->records->backup[i];

			if (b->job == r->records->job && (!b->kept || b->kept_size != b->size))
				broken(r, "%s of %s before the backup %s was durable",
				       phone_deed_name(d->kind), d->name, b->name);
		}
	}
}

static void take(struct runner *r, const struct want *w)
{
	if (!w) {
		broken(r, "the session answered with no want");
		return;
	}
	r->w = w;
	if (w->serial == r->serial && !r->fresh)
		return;
	if (w->serial != r->serial) {
		r->serial = w->serial;
		r->fresh = true;
	}
}

static void give(struct runner *r, struct session_input *in)
{
	r->out->inputs++;
	if (r->spin_at != r->now) {
		r->spin_at = r->now;
		r->spins = 0;
	} else if (++r->spins > SPIN_MAX) {
		broken(r, "%u inputs in no time", r->spins);
		return;
	}
	in->now_usec = r->now;
	take(r, session_input(r->s, in));
	check_deeds(r);
}

static void give_failure(struct runner *r, enum error_id error, const char *detail)
{
	struct failure why = { 0 };
	struct session_input in = { .kind = INPUT_FAILED, .failed.why = &why };

	failure_set(&why, error, "%s", detail);
	trace(r, "  failed: %s", error_entry(error)->name);
	give(r, &in);
}

static void give_plain(struct runner *r, enum input_kind kind)
{
	struct session_input in = { .kind = kind };

	give(r, &in);
}

static void give_gone(struct runner *r)
{
	if (r->gone)
		return;
	r->gone = true;
	r->out_pending = false;
	trace(r, "  gone");
	give_plain(r, INPUT_GONE);
}

static bool awaiting(const struct runner *r, enum await what)
{
	return r->w->kind == WANT_AWAIT && r->w->await.what == what && !r->fresh;
}

static void give_bytes(struct runner *r, const uint8_t *bytes, size_t len)
{
	/* the session must not look beyond what it is given: each piece is a block of its own */
	uint8_t *copy = malloc(len ? len : 1);
	size_t at = 0;

	if (!copy)
		return;
	memcpy(copy, bytes, len);
	while (at < len && !r->out->broken[0] && r->w->kind != WANT_DONE) {
		size_t n = len - at;
		struct session_input in = { .kind = INPUT_BYTES };

		if (r->config->cut && n > 1 && sim_one_in(&r->random, 2))
			n = 1 + sim_below(&r->random, n - 1);
		in.bytes.data = copy + at;
		in.bytes.len = n;
		at += n;
		give(r, &in);
	}
	free(copy);
}

static int open_pipe(struct runner *r)
{
	int rc = phone_control(r->phone, r->now, CLASS_REQUEST, 0);

	/* a stalled request is not fatal: feature phones know none (bsl-protocol 2.3) */
	return rc == -EPIPE ? 0 : rc;
}

static void give_return(struct runner *r)
{
	struct phone_usb usb = phone_usb(r->phone);
	struct session_input in = { .kind = INPUT_AWAITED };

	r->back = false;
	r->gone = false;
	r->left = false;
	if (r->config->breaks.open_fails || r->back_failed) {
		give_failure(r, ERR_USB_OPEN_TIMEOUT, "the control request was not answered");
		return;
	}
	in.awaited.bcd_device = usb.device;
	in.awaited.max_packet = usb.max_packet;
	in.awaited.other = r->swapped && (usb.vendor != 0x1782 || usb.product != 0x4d00);
	trace(r, "  back");
	give(r, &in);
}

static void on_detach(struct runner *r)
{
	trace(r, "  detach");
	r->out_pending = false;
	if (r->config->swap && !r->first_departure) {
		r->swapped = true;
		r->swap_due = r->now + 300000;
	}
	r->first_departure = true;
	r->left = true;
	if (awaiting(r, AWAIT_DEPARTURE))
		give_plain(r, INPUT_AWAITED);
	else if (!awaiting(r, AWAIT_RETURN))
		give_gone(r);
}

static void on_attach(struct runner *r)
{
	trace(r, "  attach");
	r->back_failed = open_pipe(r) < 0;
	r->back = true;
	if (awaiting(r, AWAIT_RETURN))
		give_return(r);
}

static void try_out(struct runner *r);

static void stream_next(struct runner *r)
{
	uint64_t left = r->w->stream.len - r->stream_at;
	size_t n = left < r->w->stream.piece ? (size_t)left : r->w->stream.piece;
	const struct pac_item *items;
	size_t count;

	if (!left) {
		if (!r->stream_told) {
			r->stream_told = true;
			give_plain(r, INPUT_SENT);
		}
		return;
	}
	if (n > r->frame_room) {
		uint8_t *more = realloc(r->frame, n);

		if (!more)
			return;
		r->frame = more;
		r->frame_room = n;
	}
	items = pac_items(r->config->session.plan->pac, &count);
	if (r->w->stream.source.kind != SOURCE_ITEM || r->w->stream.source.index >= count ||
	    source_read(r->config->package,
			items[r->w->stream.source.index].offset + r->w->stream.offset + r->stream_at,
			r->frame, n)) {
		broken(r, "STREAM from outside its source");
		return;
	}
	r->frame_len = n;
	r->out_pending = true;
	try_out(r);
}

static void try_out(struct runner *r)
{
	bool stream = r->w->kind == WANT_STREAM;
	bool last = !stream || r->stream_at + r->frame_len == r->w->stream.len;
	bool zlp = stream ? r->w->stream.zlp && last : r->w->send.zlp;

	switch (phone_out(r->phone, r->now, r->frame, r->frame_len, zlp)) {
	case PHONE_TAKEN:
		r->out_pending = false;
		if (stream) {
			r->stream_at += r->frame_len;
			stream_next(r);
		} else {
			r->out_sent = true;
		}
		check_deeds(r);
		break;
	case PHONE_NAK: break;
	case PHONE_GONE:
		if (phone_due(r->phone) > r->now)
			give_gone(r);
		else
			r->out_pending = false; /* its detach is due now and says more */
		break;
	case PHONE_HALTED:
		r->out_pending = false;
		give_failure(r, ERR_USB_STALL, "OUT endpoint halted");
		break;
	case PHONE_PROTO:
		r->out_pending = false;
		give_failure(r, ERR_USB_IO, "OUT transfer failed");
		break;
	}
}

static int source_bytes(struct runner *r, const struct fetch *f, uint8_t *to)
{
	if (f->source.kind == SOURCE_ITEM) {
		size_t count;
		const struct pac_item *items = pac_items(r->config->session.plan->pac, &count);

		if (f->source.index >= count || f->offset > items[f->source.index].size ||
		    f->len > items[f->source.index].size - f->offset)
			return -ERANGE;
		return source_read(r->config->package, items[f->source.index].offset + f->offset, to, f->len);
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

static void fetch_done(struct runner *r)
{
	struct fetch f = r->fetch;
	struct session_input in = { .kind = INPUT_FETCHED };
	unsigned slot = r->chunk_next;

	r->fetch.pending = false;
	if (++r->fetches == r->config->breaks.fetch_fails_at) {
		give_failure(r, ERR_PACKAGE_READ_FAILED, "simulated read error");
		return;
	}
	/* two chunks are lent at a time; a third reuses the memory of the first */
	r->chunk_next ^= 1;
	free(r->chunk[slot]);
	r->chunk[slot] = malloc(f.len ? f.len : 1);
	if (!r->chunk[slot])
		return;
	if (source_bytes(r, &f, r->chunk[slot])) {
		broken(r, "FETCH outside its source: kind %d index %u offset %" PRIu64 " length %zu",
		       f.source.kind, f.source.index, f.offset, f.len);
		return;
	}
	in.bytes.data = r->chunk[slot];
	in.bytes.len = f.len;
	give(r, &in);
}

/* Encoding ahead: asked after a new SEND and after each answer that did not change the want. */
static void prepare(struct runner *r)
{
	struct want w = { 0 };

	if (r->fetch.pending || r->fresh || (r->w->kind != WANT_SEND && r->w->kind != WANT_STREAM))
		return;
	if (!session_prepare(r->s, &w))
		return;
	if (w.kind != WANT_FETCH || !w.fetch.len || w.fetch.len > SESSION_CHUNK) {
		broken(r, "session_prepare() asked for %s", sim_want_name(w.kind));
		return;
	}
	r->out->prepared++;
	r->fetch = (struct fetch){ .pending = true,
				   .prepared = true,
				   .source = w.fetch.source,
				   .offset = w.fetch.offset,
				   .len = w.fetch.len,
				   .due = r->now + delay(r, r->config->fetch_usec),
				   .serial = r->serial };
}

static void take_fetch(struct runner *r)
{
	const struct want *w = r->w;

	if (!w->fetch.len || w->fetch.len > SESSION_CHUNK)
		broken(r, "FETCH of %zu bytes", w->fetch.len);
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
				   .due = r->now + delay(r, r->config->fetch_usec) };
}

static void take_send(struct runner *r)
{
	const struct want *w = r->w;

	if (!w->send.len || !w->deadline_usec)
		broken(r, "SEND of %zu bytes with deadline %" PRIu64, w->send.len, w->deadline_usec);
	if (w->send.len > r->frame_room) {
		uint8_t *more = realloc(r->frame, w->send.len);

		if (!more)
			return;
		r->frame = more;
		r->frame_room = w->send.len;
	}
	memcpy(r->frame, w->send.bytes, w->send.len);
	r->frame_len = w->send.len;
	r->out_pending = true;
	r->out_sent = false;
}

static void take_await(struct runner *r)
{
	const struct want *w = r->w;

	if ((w->await.what == AWAIT_DEPARTURE || w->await.what == AWAIT_RETURN) && !w->deadline_usec)
		broken(r, "AWAIT of the phone without a deadline");
	if (w->await.what == AWAIT_GATE || w->await.what == AWAIT_OWED) {
		r->busy = true;
		r->busy_until = r->now + delay(r, w->await.what == AWAIT_GATE ? r->config->gate_usec
									      : r->config->store_usec);
		if (w->await.what == AWAIT_OWED)
			memcpy(r->unit, w->await.unit, sizeof(r->unit));
	}
}

static void describe(struct runner *r, char *buf, size_t size)
{
	const struct want *w = r->w;

	switch (w->kind) {
	case WANT_SEND:
		snprintf(buf, size, "SEND %zu", w->send.len);
		for (size_t i = 0, n = strlen(buf); i < w->send.len && i < 12 && n + 4 < size; i++)
			n += (size_t)snprintf(buf + n, size - n, " %02x", w->send.bytes[i]);
		break;
	case WANT_FETCH:
		snprintf(buf, size, "FETCH %d/%u at %" PRIu64 " len %zu", w->fetch.source.kind,
			 w->fetch.source.index, w->fetch.offset, w->fetch.len);
		break;
	case WANT_STORE:
		snprintf(buf, size, "STORE %d/%u %s len %zu", w->store.sink.kind, w->store.sink.index,
			 w->store.sink.name, w->store.len);
		break;
	case WANT_SYNC:
		snprintf(buf, size, "SYNC %d/%u %s", w->store.sink.kind, w->store.sink.index,
			 w->store.sink.name);
		break;
	case WANT_AWAIT: snprintf(buf, size, "AWAIT %d unit '%.8s'", w->await.what, w->await.unit); break;
	default: snprintf(buf, size, "%s", sim_want_name(w->kind)); break;
	}
}

/* The first thing done with a new want. */
static void take_up(struct runner *r)
{
	const struct want *w = r->w;

	r->fresh = false;
	r->busy = false;
	r->out_pending = false;
	r->out_sent = false;
	r->out->wants++;
	r->out->want_count[w->kind]++;
	if (w->kind != WANT_DONE)
		r->out->last_want = w->kind;
	r->deadline = w->deadline_usec || w->kind == WANT_SLEEP ? r->now + w->deadline_usec : UINT64_MAX;
	if (r->config->trace) {
		char text[160];
		const struct session_progress *p = session_progress(r->s);

		describe(r, text, sizeof(text));
		trace(r, "%u %s [%s/%s %s]", r->out->wants, text, session_stage_name(p->stage), p->step,
		      p->entry);
	}
	if (r->config->watch)
		r->config->watch(r->config->watch_arg, r->s, w, r->out->wants);
	if (r->fetch.pending && r->fetch.prepared && w->kind != WANT_FETCH && r->fetch.serial != r->serial)
		r->fetch.pending = w->kind == WANT_SEND || w->kind == WANT_STREAM;

	switch (w->kind) {
	case WANT_SEND: take_send(r); break;
	case WANT_STREAM:
		r->stream_at = 0;
		r->stream_told = false;
		if (!w->stream.piece || !w->deadline_usec)
			broken(r, "STREAM without piece or deadline");
		break;
	case WANT_FETCH: take_fetch(r); break;
	case WANT_STORE:
	case WANT_SYNC:
		r->busy = true;
		r->busy_until = r->now + delay(r, r->config->store_usec);
		break;
	case WANT_AWAIT: take_await(r); break;
	case WANT_SLEEP:
	case WANT_DONE: break;
	}
}

static void do_store(struct runner *r)
{
	const struct want *w = r->w;
	struct sim_backup *b;
	int rc = 0;

	if (++r->stores == r->config->breaks.store_fails_at) {
		give_failure(r, ERR_STORE_FAILED, "simulated: no space left");
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
			broken(r, "too many backups");
			return;
		}
		memcpy(b->unit, r->unit, sizeof(b->unit));
		rc = records_append(&b->bytes, &b->size, &b->room, w->store.bytes, w->store.len);
		break;
	case SINK_READ: {
		size_t room = r->out->read_size;

		rc = records_append(&r->out->read, &r->out->read_size, &room, w->store.bytes, w->store.len);
		break;
	}
	}
	if (rc)
		give_failure(r, ERR_STORE_FAILED, "no memory");
	else
		give_plain(r, INPUT_STORED);
}

static void do_sync(struct runner *r)
{
	const struct want *w = r->w;

	if (++r->syncs == r->config->breaks.sync_fails_at) {
		give_failure(r, ERR_STORE_FAILED, "simulated: fsync failed");
		return;
	}
	if (w->store.sink.kind == SINK_INTENT) {
		r->records->intent = r->records->intent_size > 0;
		r->records->intents++;
	} else if (w->store.sink.kind == SINK_BACKUP) {
		struct sim_backup *b = records_backup(r->records, r->records->job, &w->store.sink, false);

		if (!b || records_sync(b)) {
			broken(r, "SYNC of a backup that was never stored");
			return;
		}
	}
	give_plain(r, INPUT_STORED);
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
	trace(r, "  owed: %u", r->owed_count);
	give(r, &in);
}

static void busy_done(struct runner *r)
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
		give_failure(r, ERR_PACKAGE_BODY_CRC, "simulated: the whole-file check failed");
	else
		give_plain(r, INPUT_AWAITED);
}

/* One event of the phone if there is one now. */
static bool phone_event(struct runner *r)
{
	struct phone_event e;

	if (r->swapped && r->swap_due) {
		if (r->swap_due > r->now)
			return false;
		r->swap_due = 0;
		r->phone = r->config->swap;
		r->deeds_seen = phone_deeds(r->phone);
		if (!phone_present(r->phone))
			phone_plug(r->phone, r->now);
		on_attach(r);
		return true;
	}
	if (!phone_poll(r->phone, r->now, &e))
		return false;
	switch (e.kind) {
	case PHONE_IN:
		trace(r, "  in %zu: %02x %02x %02x %02x %02x", e.length, e.length > 0 ? e.bytes[0] : 0,
		      e.length > 1 ? e.bytes[1] : 0, e.length > 2 ? e.bytes[2] : 0,
		      e.length > 3 ? e.bytes[3] : 0, e.length > 4 ? e.bytes[4] : 0);
		if (e.length)
			give_bytes(r, e.bytes, e.length);
		break;
	case PHONE_DETACH: on_detach(r); break;
	case PHONE_ATTACH: on_attach(r); break;
	case PHONE_IN_HALT: give_failure(r, ERR_USB_STALL, "IN endpoint halted"); break;
	case PHONE_IN_PROTO: give_failure(r, ERR_USB_IO, "IN transfer failed"); break;
	case PHONE_IN_BABBLE: give_failure(r, ERR_USB_BABBLE, "more than was asked for"); break;
	}
	return true;
}

static bool want_ready(struct runner *r)
{
	switch (r->w->kind) {
	case WANT_SEND:
		if (r->out_pending && !r->gone && !r->left)
			try_out(r);
		break;
	case WANT_STREAM:
		if (r->gone || r->left)
			break;
		if (r->out_pending)
			try_out(r);
		else if (!r->stream_told)
			stream_next(r);
		break;
	case WANT_STORE:
	case WANT_SYNC:
	case WANT_AWAIT:
		if (r->busy && r->now >= r->busy_until) {
			busy_done(r);
			return true;
		}
		if (awaiting(r, AWAIT_DEPARTURE) && r->left) {
			give_plain(r, INPUT_AWAITED);
			return true;
		}
		if (awaiting(r, AWAIT_RETURN) && r->back) {
			give_return(r);
			return true;
		}
		break;
	default: break;
	}
	return r->fresh;
}

static void expire(struct runner *r)
{
	struct session_input in = { .kind = INPUT_TIMEOUT };

	r->deadline = UINT64_MAX;
	if (r->w->kind == WANT_SLEEP) {
		give_plain(r, INPUT_TICK);
		return;
	}
	in.timeout.sent = r->w->kind == WANT_STREAM ? r->stream_told : r->out_sent;
	r->out_pending = false;
	trace(r, "  timeout, sent %d", in.timeout.sent);
	give(r, &in);
}

static bool breaks(struct runner *r)
{
	const struct sim_breaks *b = &r->config->breaks;
	struct session_input in = { .kind = INPUT_CANCEL };
	uint32_t n = r->out->wants + 1;

	if (n == b->kill_at) {
		trace(r, "killed");
		r->out->killed = true;
		return true;
	}
	if (n == b->unplug_at || n == b->force_at)
		r->out->last_want = r->w->kind;
	if (n == b->cancel_at || n == b->force_at) {
		in.cancel.force = n == b->force_at;
		trace(r, "cancel%s", in.cancel.force ? " by force" : "");
		give(r, &in);
	}
	if (n == b->unplug_at && !r->gone && !r->left) {
		trace(r, "unplugged");
		phone_unplug(r->phone, r->now);
		give_gone(r);
	}
	return false;
}

static uint64_t next_time(struct runner *r)
{
	uint64_t t = r->deadline, due = r->swapped && r->swap_due ? r->swap_due : phone_due(r->phone);

	if (due < t)
		t = due;
	if (r->fetch.pending && r->fetch.due < t)
		t = r->fetch.due;
	if (r->busy && r->busy_until < t)
		t = r->busy_until;
	return t;
}

static bool fetch_ready(struct runner *r)
{
	if (!r->fetch.pending || r->fetch.due > r->now)
		return false;
	if (r->fetch.prepared && r->w->kind != WANT_SEND && r->w->kind != WANT_STREAM)
		return false;
	return true;
}

static void turn(struct runner *r)
{
	if (r->fresh) {
		uint32_t before = r->serial;

		if (breaks(r))
			return;
		if (r->serial != before || !r->fresh || r->w->kind == WANT_DONE)
			return;
		take_up(r);
		if (want_ready(r))
			return;
		prepare(r);
		return;
	}
	if (phone_event(r))
		return;
	if (fetch_ready(r)) {
		fetch_done(r);
		prepare(r);
		return;
	}
	if (want_ready(r))
		return;
	if (r->now >= r->deadline) {
		expire(r);
		return;
	}
	uint64_t t = next_time(r);

	if (t == UINT64_MAX)
		broken(r, "nothing will ever happen: waiting in %s", sim_want_name(r->w->kind));
	/* a phone that says "now" but has nothing for us must not stop the clock */
	r->now = t > r->now ? t : r->now + 1;
	if (r->now - r->started > r->limit_usec)
		broken(r, "still running after %" PRIu64 " s", r->limit_usec / 1000000);
}

static void finish(struct runner *r)
{
	const struct session_progress *p = session_progress(r->s);
	const struct session_result *res = session_result(r->s);
	struct sim_outcome *o = r->out;
	size_t need;

	snprintf(o->progress, sizeof(o->progress), "%s/%s %s", session_stage_name(p->stage), p->step,
		 p->entry);
	o->stage = p->stage;
	snprintf(o->step, sizeof(o->step), "%s", p->step);
	o->done = !o->killed && !o->broken[0] && r->w->kind == WANT_DONE;
	o->cancelled = res->cancelled;
	o->changed = res->changed;
	o->pass = o->done && res->pass;
	o->level = res->level;
	o->failure = res->failure;
	o->nv_written_back = res->nv_written_back;
	o->nv_owed = res->nv_owed;
	snprintf(o->leaves, sizeof(o->leaves), "%s", res->leaves ? res->leaves : "");
	snprintf(o->nv, sizeof(o->nv), "%s", res->nv);
	o->entries = res->entry_count;
	o->last_confirmed = (uint32_t)res->last_confirmed;
	for (uint32_t i = 0; i < res->entry_count; i++) {
		o->verified_entries += res->entries[i].verdict == ENTRY_VERIFIED;
		o->noted_entries += res->entries[i].note[0] != 0;
	}
	need = recorder_text(session_recorder(r->s), NULL, 0);
	if (r->config->trace || !o->pass) {
		o->trace = malloc(need + 1);
		if (o->trace)
			recorder_text(session_recorder(r->s), o->trace, need + 1);
	}
	if (o->killed)
		records_crash(r->records);
	else
		records_settle(r->records, res, r->unit);
}

static void begin_job(struct runner *r)
{
	r->records->job++;
	r->records->intent = false;
	r->records->intent_size = 0;
}

static int start(struct runner *r)
{
	struct phone_usb usb = phone_usb(r->phone);
	struct session_input in = { .kind = INPUT_START };
	int rc;

	r->now += OPEN_USEC;
	if (open_pipe(r) < 0) {
		failure_set(&r->out->failure, ERR_USB_OPEN_TIMEOUT, "the control request was not answered");
		r->out->done = true;
		return 1;
	}
	rc = session_new(&r->config->session, &r->s);
	if (rc)
		return rc;
	in.awaited.bcd_device = usb.device;
	in.awaited.max_packet = usb.max_packet;
	r->fresh = true;
	give(r, &in);
	r->fresh = true;
	return 0;
}

int sim_run(const struct sim_config *config, struct sim_outcome *out)
{
	struct runner r = {
		.config = config, .out = out, .random = { config->seed }, .phone = config->phone
	};
	int rc;

	memset(out, 0, sizeof(*out));
	if (!config->phone || !config->session.plan)
		return -EINVAL;
	r.records = config->records ? config->records : sim_records_new();
	if (!r.records)
		return -ENOMEM;
	r.now = r.started = config->now;
	r.limit_usec = config->limit_usec ? config->limit_usec : 6 * 3600ull * 1000000;
	r.limit_inputs = config->limit_inputs ? config->limit_inputs : 20000000;
	r.deadline = UINT64_MAX;
	r.deeds_seen = phone_deeds(r.phone);
	begin_job(&r);
	rc = start(&r);
	if (!rc) {
		while (r.w && r.w->kind != WANT_DONE && !out->broken[0] && !out->killed) {
			turn(&r);
			if (out->inputs > r.limit_inputs)
				broken(&r, "still running after %" PRIu64 " inputs", out->inputs);
		}
		finish(&r);
	}
	out->now = r.now;
	out->phone = r.phone;
	session_free(r.s);
	free(r.frame);
	free(r.chunk[0]);
	free(r.chunk[1]);
	if (!config->records)
		sim_records_free(r.records);
	return rc < 0 ? rc : 0;
}

void sim_outcome_free(struct sim_outcome *out)
{
	free(out->read);
	free(out->trace);
	out->read = NULL;
	out->trace = NULL;
}
