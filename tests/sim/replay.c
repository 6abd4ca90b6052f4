/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/sim/replay.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bsl/codec.h"
#include "bsl/message.h"
#include "common/util.h"
#include "pac/pac.h"

#define SINKS	   80
#define INPUTS_MAX 200000

struct sink {
	struct sink_ref ref;
	uint8_t *bytes;
	size_t len;
};

struct replay {
	const struct replay_config *config;
	struct replay_outcome *out;
	const struct replay_list *list;
	struct session *s;
	const struct want *w;
	uint32_t serial, inputs;
	bool fresh, executed, broken;
	struct donor *donor;
	struct sink sink[SINKS];
	uint8_t *chunk[2];
	unsigned chunk_next;
	uint8_t *body, *wire; /* one answer, and the same as it goes over the wire */
	uint8_t *copy;	      /* a block of exactly its size: nobody reads beyond */
};

static void __attribute__((format(printf, 2, 3))) differs(struct replay *r, const char *fmt, ...)
{
	va_list ap;

	if (r->broken)
		return;
	r->broken = true;
	va_start(ap, fmt);
	vsnprintf(r->out->text, sizeof(r->out->text), fmt, ap);
	va_end(ap);
}

static uint64_t seen(const struct replay *r)
{
	return session_recorder(r->s)->count;
}

static const struct record *next_event(const struct replay *r)
{
	uint64_t at = seen(r);

	return at < r->list->count ? &r->list->event[at] : NULL;
}

static void tell(const struct record *e, char *buf, size_t size)
{
	static const char *const kinds[] = { "out", "in", "bad", "timeout", "usb", "note", "stream" };

	if (recording_words(e))
		snprintf(buf, size, "%s '%.*s'", kinds[e->kind], e->head_len, (const char *)e->head);
	else if (e->kind == RECORD_STREAM)
		snprintf(buf, size, "stream, %u bytes", e->length);
	else
		snprintf(buf, size, "%s %s, %u bytes", kinds[e->kind],
			 e->kind == RECORD_OUT ? bsl_command_name(e->type) : bsl_reply_name(e->type),
			 e->length);
}

/* What the session has recorded since `from` must be what stands in the list there. */
static void compare(struct replay *r, uint64_t from)
{
	const struct recorder *now = session_recorder(r->s);

	for (uint64_t i = from; i < now->count && !r->broken; i++) {
		const struct record *a = &now->ring[i % RECORDER_EVENTS], *b = &r->list->event[i];
		char text[2][80] = { "", "its end" };
		bool same = i < r->list->count && a->kind == b->kind;

		if (same && recording_words(a))
			same = a->head_len == b->head_len && !memcmp(a->head, b->head, a->head_len);
		else if (same)
			same = a->type == b->type && a->length == b->length;
		r->out->requests += same && (a->kind == RECORD_OUT || a->kind == RECORD_STREAM);
		r->out->streams += same && a->kind == RECORD_STREAM;
		r->executed |= same && a->kind == RECORD_OUT && a->type == BSL_CMD_EXEC;
		if (same)
			continue;
		tell(a, text[0], sizeof(text[0]));
		if (i < r->list->count)
			tell(b, text[1], sizeof(text[1]));
		differs(r, "event %" PRIu64 ": now %s, recorded %s", i + 1, text[0], text[1]);
	}
}

static void give(struct replay *r, struct session_input *in)
{
	uint64_t from = seen(r);
	const struct record *e = next_event(r);

	in->now_usec = e ? e->at_usec : r->list->event[r->list->count - 1].at_usec;
	r->w = session_input(r->s, in);
	if (r->w->serial != r->serial) {
		r->serial = r->w->serial;
		r->fresh = true;
	}
	compare(r, from);
	if (++r->inputs > INPUTS_MAX)
		differs(r, "%u inputs and no end", r->inputs);
}

static void give_plain(struct replay *r, enum input_kind kind)
{
	struct session_input in = { .kind = kind };

	give(r, &in);
}

static void give_bytes(struct replay *r, const uint8_t *bytes, size_t len)
{
	struct session_input in = { .kind = INPUT_BYTES };

	free(r->copy);
	r->copy = malloc(len ? len : 1);
	if (!r->copy)
		return;
	memcpy(r->copy, bytes, len);
	in.bytes.data = r->copy;
	in.bytes.len = len;
	give(r, &in);
}

/* ---- answers ------------------------------------------------------------------------------------ */

static bool plain_framing(const struct replay *r)
{
	return session_progress(r->s)->plain_framing;
}

/* body: type, length, payload; the check is put behind it, then flags and escapes around it. */
static size_t to_wire(struct replay *r, size_t len, uint16_t check, bool escape)
{
	size_t n = 0;

	put_be16(r->body + len, check);
	r->wire[n++] = BSL_FLAG;
	for (size_t i = 0; i < len + 2; i++) {
		bool special = escape && (r->body[i] == 0x7e || r->body[i] == 0x7d);

		if (special)
			r->wire[n++] = 0x7d;
		r->wire[n++] = special ? r->body[i] ^ 0x20 : r->body[i];
	}
	r->wire[n++] = BSL_FLAG;
	return n;
}

static void answer(struct replay *r, const struct record *e)
{
	const uint8_t *known = recording_complete(e) ? NULL : donor_find(r->donor, e);
	size_t len = 4 + e->length;
	uint16_t check = e->check;

	recording_body(r->body, e);
	if (known)
		memcpy(r->body + 4, known, e->length);
	r->out->answers++;
	r->out->found += known != NULL;
	if (!recording_complete(e) && !known) {
		/* made-up bytes need a check of their own, of the kind that this stage uses */
		const char *stage = session_progress(r->s)->phone_stage;
		bool rom = (!*stage || !strcmp(stage, "rom")) && !r->executed;

		check = rom ? recording_crc(r->body, len) : recording_sum(r->body, len);
		r->out->unknown++;
	}
	give_bytes(r, r->wire, to_wire(r, len, check, !plain_framing(r)));
}

static void damaged(struct replay *r, const struct record *e)
{
	static const uint8_t escape[] = { 0x7e, 0x00, 0x7d, 0x00 }, brief[] = { 0x7e, 0x00, 0x80, 0x7e };
	static const uint8_t type[] = { 0x7e, 0x80 }, tail[] = { 0x7e, 0, 0x80, 0, 0, 0x7f, 0xff, 0x00 };
	size_t len = 4;

	put_be16(r->body, BSL_REP_ACK);
	put_be16(r->body + 2, 0);
	if (recording_is(e, RECORD_BAD, bsl_fault_text(BSL_FAULT_ESCAPE))) {
		give_bytes(r, escape, sizeof(escape));
	} else if (recording_is(e, RECORD_BAD, bsl_fault_text(BSL_FAULT_SHORT))) {
		give_bytes(r, brief, sizeof(brief));
	} else if (recording_is(e, RECORD_BAD, bsl_fault_text(BSL_FAULT_TYPE))) {
		give_bytes(r, type, sizeof(type));
	} else if (recording_is(e, RECORD_BAD, bsl_fault_text(BSL_FAULT_TAIL))) {
		give_bytes(r, tail, sizeof(tail));
	} else if (recording_is(e, RECORD_BAD, bsl_fault_text(BSL_FAULT_LENGTH))) {
		put_be16(r->body + 2, 5);
		give_bytes(r, r->wire,
			   to_wire(r, len,
				   r->executed ? recording_sum(r->body, len) : recording_crc(r->body, len),
				   true));
	} else if (recording_is(e, RECORD_BAD, bsl_fault_text(BSL_FAULT_LONG))) {
		memset(r->wire, 0x55, BSL_WIRE_MAX);
		r->wire[0] = BSL_FLAG;
		give_bytes(r, r->wire, BSL_WIRE_MAX);
	} else {
		give_bytes(r, r->wire, to_wire(r, len, 0x1234, true));
	}
}

static void timeout(struct replay *r, const struct record *e)
{
	struct session_input in = { .kind = INPUT_TIMEOUT };
	static const uint8_t half[] = { 0x7e, 0x00 };

	in.timeout.sent = !recording_is(e, RECORD_TIMEOUT, "not taken");
	/* silence that was named "garbled" was half an answer */
	if (in.timeout.sent && r->w->kind == WANT_SEND && e + 1 < r->list->event + r->list->count &&
	    recording_is(e + 1, RECORD_NOTE, "garbled"))
		give_bytes(r, half, sizeof(half));
	give(r, &in);
}

static void usb(struct replay *r, const struct record *e)
{
	struct session_input in = { .kind = INPUT_GONE };
	struct failure why = { .code = -1 };

	if (recording_is(e, RECORD_USB, "gone")) {
		give(r, &in);
		return;
	}
	for (int id = ERR_NONE + 1; id < ERR_COUNT; id++)
		if (recording_is(e, RECORD_USB, error_entry((enum error_id)id)->name))
			why.error = (enum error_id)id;
	if (why.error == ERR_NONE) {
		differs(r, "usb event '%.*s' has no place here", e->head_len, (const char *)e->head);
		return;
	}
	in.kind = INPUT_FAILED;
	in.failed.why = &why;
	give(r, &in);
}

/* ---- the house's wants ---------------------------------------------------------------------------- */

static struct sink *sink_of(struct replay *r, const struct sink_ref *ref, bool make)
{
	for (size_t i = 0; i < SINKS; i++) {
		struct sink *s = &r->sink[i];

		if (s->bytes && s->ref.kind == ref->kind && s->ref.index == ref->index)
			return s;
		if (!s->bytes && make) {
			s->ref = *ref;
			return s;
		}
	}
	return NULL;
}

static void store(struct replay *r)
{
	struct sink *s = sink_of(r, &r->w->store.sink, true);
	uint8_t *more = s ? realloc(s->bytes, s->len + r->w->store.len + 1) : NULL;

	if (!more) {
		differs(r, "no room for what is stored");
		return;
	}
	s->bytes = more;
	memcpy(s->bytes + s->len, r->w->store.bytes, r->w->store.len);
	s->len += r->w->store.len;
	give_plain(r, INPUT_STORED);
}

static int fetch_bytes(struct replay *r, uint8_t *to)
{
	const struct want *w = r->w;
	struct sink_ref ref = { .kind = SINK_BACKUP, .index = w->fetch.source.index };
	struct sink *s;
	size_t count;

	if (w->fetch.source.kind == SOURCE_ITEM || w->fetch.source.kind == SOURCE_LOADER) {
		const struct pac_item *it = pac_items(r->config->session->plan->pac, &count);

		it += w->fetch.source.index;
		return source_read(r->config->package, it->offset + w->fetch.offset, to, w->fetch.len);
	}
	s = sink_of(r, &ref, false);
	if (!s || w->fetch.offset > s->len || w->fetch.len > s->len - w->fetch.offset)
		return -ERANGE;
	memcpy(to, s->bytes + w->fetch.offset, w->fetch.len);
	return 0;
}

static void fetch(struct replay *r)
{
	struct session_input in = { .kind = INPUT_FETCHED };
	unsigned slot = r->chunk_next;

	r->chunk_next ^= 1;
	free(r->chunk[slot]);
	r->chunk[slot] = malloc(r->w->fetch.len);
	if (!r->chunk[slot] || fetch_bytes(r, r->chunk[slot])) {
		differs(r, "nothing to fetch at %" PRIu64, r->w->fetch.offset);
		return;
	}
	in.bytes.data = r->chunk[slot];
	in.bytes.len = r->w->fetch.len;
	give(r, &in);
}

static void awaited(struct replay *r)
{
	struct session_input in = { .kind = INPUT_AWAITED };
	struct phone_usb now;

	if (r->w->await.what == AWAIT_RETURN) {
		donor_pass(r->donor, r->w->deadline_usec);
		now = donor_usb(r->donor);
		in.awaited.bcd_device = now.device;
		in.awaited.max_packet = now.max_packet;
		/* the note that follows says whether it was the same kind of device */
		in.awaited.other = recording_is(next_event(r), RECORD_NOTE, "other");
	}
	give(r, &in);
}

/* The recording says of the house only how the job ended: a failure of it, or a person's cancel, is its end.
 */
static bool house_ends(struct replay *r)
{
	const struct record *e = next_event(r);
	enum want_kind k = r->w->kind;
	struct failure why = { .code = -1 };
	struct session_input in = { .kind = INPUT_FAILED, .failed.why = &why };

	if (!e || e != &r->list->event[r->list->count - 1])
		return false;
	for (int id = ERR_NONE + 1; id < ERR_COUNT; id++)
		if (recording_is(e, RECORD_NOTE, error_entry((enum error_id)id)->name))
			why.error = (enum error_id)id;
	if (why.error == ERR_CANCELLED) {
		in = (struct session_input){ .kind = INPUT_CANCEL, .cancel.force = true };
	} else {
		enum error_fault fault = error_entry(why.error)->fault;
		bool gate = k == WANT_AWAIT && r->w->await.what == AWAIT_GATE;
		bool file = k == WANT_FETCH || k == WANT_STORE || k == WANT_SYNC || gate;
		bool back = k == WANT_AWAIT && r->w->await.what == AWAIT_RETURN;

		if (!(file && (fault == FAULT_STATION || (gate && fault == FAULT_PACKAGE))) &&
		    !(back && fault == FAULT_STATION))
			return false;
	}
	give(r, &in);
	return true;
}

static void house(struct replay *r)
{
	const struct record *e = next_event(r);
	char text[80] = "its end";

	if (house_ends(r))
		return;
	switch (r->w->kind) {
	case WANT_FETCH: fetch(r); return;
	case WANT_STORE: store(r); return;
	case WANT_SYNC: give_plain(r, INPUT_STORED); return;
	case WANT_AWAIT: awaited(r); return;
	case WANT_SLEEP:
		donor_pass(r->donor, r->w->deadline_usec);
		give_plain(r, INPUT_TICK);
		return;
	default: break;
	}
	if (e)
		tell(e, text, sizeof(text));
	differs(r, "event %" PRIu64 ": the session waits for an answer, recorded is %s", seen(r) + 1, text);
}

/* The donor takes the bytes of a stream as the phone did: else it would not understand what comes after. */
static void stream(struct replay *r)
{
	const struct want *w = r->w;
	uint8_t *piece = malloc(w->stream.piece ? w->stream.piece : 1);
	size_t count;
	const struct pac_item *it = pac_items(r->config->session->plan->pac, &count);

	if (!piece || w->stream.source.kind != SOURCE_ITEM || w->stream.source.index >= count) {
		differs(r, "a stream from nowhere");
		free(piece);
		return;
	}
	it += w->stream.source.index;
	for (uint64_t at = 0; at < w->stream.len && !r->broken;) {
		size_t n = (size_t)MIN(w->stream.len - at, (uint64_t)w->stream.piece);

		if (source_read(r->config->package, it->offset + w->stream.offset + at, piece, n))
			differs(r, "a stream from behind its source");
		at += n;
		donor_stream(r->donor, piece, n, at == w->stream.len && w->stream.zlp,
			     at == w->stream.len ? w->deadline_usec : 0);
	}
	free(piece);
}

/* Some waits end by what the phone does, the rest by the house; a phone that speaks is heard in both. */
static void turn(struct replay *r)
{
	const struct record *e = next_event(r);
	enum want_kind k = r->w->kind;
	bool port = k == WANT_SEND || k == WANT_STREAM || k == WANT_SLEEP || k == WANT_AWAIT;

	if (r->fresh && k == WANT_SEND)
		donor_ask(r->donor, r->w->send.bytes, r->w->send.len, r->w->send.zlp, plain_framing(r),
			  r->w->deadline_usec);
	if (r->fresh && k == WANT_STREAM)
		stream(r);
	r->fresh = false;
	if (e && e->kind == RECORD_USB && !recording_is(e, RECORD_USB, "back"))
		usb(r, e);
	else if (e && port && e->kind == RECORD_IN)
		answer(r, e);
	else if (e && port && e->kind == RECORD_BAD)
		damaged(r, e);
	else if (e && k != WANT_SLEEP && port && e->kind == RECORD_TIMEOUT)
		timeout(r, e);
	else
		house(r);
}

static int begin(struct replay *r)
{
	struct session_input in = { .kind = INPUT_START };
	int rc = session_new(r->config->session, &r->s);

	r->donor = donor_new(r->config->donor);
	r->body = malloc(BSL_BODY_MAX);
	r->wire = malloc(BSL_WIRE_MAX);
	if (rc || !r->donor || !r->body || !r->wire)
		return rc ? rc : -ENOMEM;
	in.awaited.bcd_device = donor_usb(r->donor).device;
	in.awaited.max_packet = donor_usb(r->donor).max_packet;
	give(r, &in);
	return 0;
}

int replay_run(const struct replay_config *config, struct replay_outcome *out)
{
	struct replay r = { .config = config, .out = out, .list = config->list };
	int rc;

	memset(out, 0, sizeof(*out));
	if (!config->list->whole || !config->session->plan || !config->donor)
		return -EINVAL;
	rc = begin(&r);
	while (!rc && !r.broken && r.w->kind != WANT_DONE)
		turn(&r);
	if (!rc && !r.broken && seen(&r) != r.list->count)
		differs(&r, "the session is over after %" PRIu64 " of %zu events", seen(&r), r.list->count);
	if (!rc)
		out->failure = session_result(r.s)->failure;
	out->same = !rc && !r.broken;
	for (size_t i = 0; i < SINKS; i++)
		free(r.sink[i].bytes);
	free(r.chunk[0]);
	free(r.chunk[1]);
	free(r.body);
	free(r.wire);
	free(r.copy);
	donor_free(r.donor);
	session_free(r.s);
	return rc;
}
