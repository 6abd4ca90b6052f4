/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Asks become wants here, and inputs become answers; the flight recorder sees everything that passes. */
#include <errno.h>
#include <stdio.h>

#include "flash/inner.h"

/* ---- flight recorder ------------------------------------------------------------------------- */

void session_note(struct session *s, enum record_kind kind, const char *text)
{
	recorder_note(&s->recorder, s->now, kind, text);
}

static void record_out(struct session *s, const struct ask *ask, uint16_t type, const uint8_t *payload,
		       size_t len)
{
	struct record r = { .at_usec = s->now, .kind = RECORD_OUT, .secret = ask->secret, .type = type };

	r.length = (uint32_t)len;
	/* the check stands before the closing flag; where it is escaped the head tells enough */
	if (s->want.send.len >= 4)
		r.check = get_be16(s->want.send.bytes + s->want.send.len - 3);
	if (!ask->secret && payload) {
		r.head_len = (uint8_t)MIN(len, (size_t)RECORDER_HEAD);
		memcpy(r.head, payload, r.head_len);
	}
	recorder_add(&s->recorder, &r);
}

/*
 * Read data that answer no read of ours may be anybody's NV: an earlier read's, or an earlier session's. The
 * same of an identity.
 */
static bool stray_data(const struct bsl_frame *f)
{
	return f->type == BSL_REP_READ_FLASH || f->type == BSL_REP_NVITEM || f->type == BSL_REP_CHIP_UID ||
	       f->type == BSL_REP_FLASH_UID;
}

static void record_in(struct session *s, const struct bsl_frame *f, bool secret)
{
	struct record r = {
		.at_usec = s->now,
		.kind = RECORD_IN,
		.secret = secret,
		.type = f->type,
		.length = (uint32_t)f->len,
		.check = f->check_field,
	};

	if (!secret) {
		r.head_len = (uint8_t)MIN(f->len, (size_t)RECORDER_HEAD);
		memcpy(r.head, f->payload, r.head_len);
	}
	recorder_add(&s->recorder, &r);
}

/* ---- asks ------------------------------------------------------------------------------------ */

static enum silence silence_of(const struct ask *ask)
{
	switch (ask->doing) {
	case DOING_START_FDL1:
	case DOING_START_FDL2: return SILENCE_CLEARING;
	case DOING_EXEC_FDL1:
	case DOING_PROBE_FDL1:
	case DOING_EXEC_FDL2: return SILENCE_STARTING;
	case DOING_ERASE:
	case DOING_REPARTITION: return SILENCE_ERASING;
	case DOING_START:
	case DOING_SEND:
	case DOING_RAW:
	case DOING_END: return SILENCE_WRITING;
	case DOING_TABLE_OPEN:
	case DOING_TABLE_READ:
	case DOING_PROVE_TABLE:
	case DOING_BACKUP_NV:
	case DOING_BACKUP_FILE:
	case DOING_VERIFY_OPEN:
	case DOING_VERIFY_READ:
	case DOING_READ_OPEN:
	case DOING_READ: return SILENCE_READING;
	case DOING_RESET:
	case DOING_POWER_OFF: return SILENCE_FINISHING;
	default: return SILENCE_NONE;
	}
}

static struct want *new_want(struct session *s, enum want_kind kind)
{
	memset(&s->want, 0, sizeof(s->want));
	s->want.kind = kind;
	s->want.serial = ++s->serial;
	return &s->want;
}

static int prepare(struct session *s, const struct ask *ask, size_t *taken)
{
	*taken = 0;
	if (ask->kind == ASK_DATA)
		return bsl_link_prepare_data(s->link, ask->data.shared ? &ask->data.place : NULL,
					     ask->data.bytes, ask->data.len, ask->data.flush, ask->data.work,
					     taken);
	struct bsl_piece piece = { .data = ask->command.payload, .len = ask->command.len };
	struct bsl_request request = {
		.command = ask->command.code,
		.pieces = &piece,
		.count = ask->command.len ? 1 : 0,
		.flags = ask->command.flags,
		.work_bytes = ask->command.work,
		.also_accept = ask->command.also,
	};
	return bsl_link_prepare(s->link, &request);
}

/* Was exactly this ask encoded while the phone was busy? */
static bool is_prepared(const struct session *s, const struct ask *ask)
{
	const struct ask *p = &s->prepared_ask;

	if (!s->prepared || p->kind != ask->kind || p->doing != ask->doing || p->offset != ask->offset)
		return false;
	if (ask->kind == ASK_DATA)
		return p->data.len == ask->data.len && p->data.flush == ask->data.flush &&
		       p->data.shared == ask->data.shared;
	return p->command.code == ask->command.code && p->command.len == ask->command.len;
}

static int send_framed(struct session *s, struct ask *ask, struct bsl_wire *wire)
{
	int r = -ESTALE;

	if (is_prepared(s, ask)) {
		s->taken = s->prepared_taken;
		r = bsl_link_send(s->link, wire);
	}
	s->prepared = false;
	if (r == -ESTALE || r == -ENOENT) {
		r = prepare(s, ask, &s->taken);
		if (r == 0)
			r = bsl_link_send(s->link, wire);
	}
	return r;
}

static const struct want *want_send(struct session *s, struct ask *ask)
{
	struct bsl_wire wire;
	struct want *w;
	int r;

	if (ask->kind == ASK_PROBE) {
		r = bsl_link_probe(s->link, &wire);
		if (r == 0 && ask->usec)
			wire.timing.deadline_usec = ask->usec;
	} else {
		r = send_framed(s, ask, &wire);
	}
	if (r < 0) {
		step_fail(s, ERR_INTERNAL, "%s cannot be sent: %s", doing_name(ask->doing), strerror(-r));
		return NULL;
	}
	w = new_want(s, WANT_SEND);
	w->send.bytes = wire.bytes;
	w->send.len = wire.len;
	w->send.zlp = wire.zlp;
	w->send.leads = wire.leads;
	w->usual_usec = wire.timing.usual_usec;
	w->deadline_usec = wire.timing.deadline_usec;
	w->silence = silence_of(ask);
	if (ask->kind == ASK_COMMAND && ask->usec)
		w->deadline_usec = ask->usec;
	if (ask->kind == ASK_DATA)
		record_out(s, ask, BSL_CMD_MIDST, NULL, s->taken);
	else if (ask->kind == ASK_PROBE)
		record_out(s, ask, BSL_CMD_PROBE, NULL, 0);
	else
		record_out(s, ask, ask->command.code, ask->command.payload, ask->command.len);
	return w;
}

static const struct want *want_fetch(struct session *s, struct ask *ask)
{
	struct feed *f = ask->fetch.feed;
	struct want *w;
	size_t len;
	uint64_t from;

	feed_want(f, ask->offset, &from, &len);
	/* the piece fetched ahead may not begin exactly here: it is what is on its way that counts */
	if (s->fetch_feed == f && ask->offset >= s->fetch_from &&
	    ask->offset < s->fetch_from + s->fetch_len && s->fetch_from == from) {
		len = s->fetch_len;
	}
	if (!len) {
		step_fail(s, ERR_INTERNAL, "nothing to fetch at %llu", (unsigned long long)ask->offset);
		return NULL;
	}
	if (s->fetch_failed && s->fetch_feed == f && s->fetch_from == from) {
		s->fetch_failed = false;
		step_fail_why(s, &s->fetch_failure);
		return NULL;
	}
	s->fetch_feed = NULL;
	s->want_from = from;
	s->want_len = len;
	w = new_want(s, WANT_FETCH);
	w->fetch.source = f->source;
	w->fetch.offset = from;
	w->fetch.len = len;
	return w;
}

static const struct want *want_await(struct session *s, const struct ask *ask)
{
	struct want *w = new_want(s, WANT_AWAIT);

	w->await.what = ask->await.what;
	w->deadline_usec = ask->usec;
	w->silence = silence_of(ask);
	if (ask->await.what == AWAIT_OWED)
		memcpy(w->await.unit, s->facts.unit, sizeof(w->await.unit));
	return w;
}

static const struct want *want_stream(struct session *s, const struct ask *ask)
{
	struct want *w = new_want(s, WANT_STREAM);
	struct bsl_timing t = bsl_command_timing(BSL_CMD_MIDST, s->where, BSL_TIMING_FLUSH, ask->stream.len);

	w->stream.source = ask->stream.source;
	w->stream.offset = ask->offset;
	w->stream.len = ask->stream.len;
	w->stream.piece = ask->stream.piece;
	w->stream.zlp = ask->stream.zlp;
	w->usual_usec = t.usual_usec;
	w->deadline_usec = t.deadline_usec;
	w->silence = SILENCE_WRITING;
	recorder_add(&s->recorder, &(struct record){ .at_usec = s->now,
						     .kind = RECORD_STREAM,
						     .secret = true,
						     .length = (uint32_t)ask->stream.len });
	return w;
}

/* NULL: the session has failed instead. */
const struct want *wire_ask(struct session *s, struct ask *ask)
{
	struct want *w;

	s->ask = *ask;
	s->asking = true;
	/* what was encoded or fetched ahead is only good for the exchange that follows it */
	if (ask->kind != ASK_DATA && ask->kind != ASK_COMMAND && ask->kind != ASK_FETCH)
		s->prepared = false;
	switch (ask->kind) {
	case ASK_COMMAND:
	case ASK_DATA:
	case ASK_PROBE: return want_send(s, ask);
	case ASK_FETCH: return want_fetch(s, ask);
	case ASK_STREAM: return want_stream(s, ask);
	case ASK_AWAIT: return want_await(s, ask);
	case ASK_STORE:
		w = new_want(s, WANT_STORE);
		w->store.sink = ask->store.sink;
		w->store.bytes = ask->store.bytes;
		w->store.len = ask->store.len;
		return w;
	case ASK_SYNC:
		w = new_want(s, WANT_SYNC);
		w->store.sink = ask->store.sink;
		return w;
	case ASK_QUIET:
		s->surplus = -1;
		w = new_want(s, WANT_SLEEP);
		w->deadline_usec = ask->usec;
		return w;
	}
	return NULL;
}

/* ---- ahead ----------------------------------------------------------------------------------- */

bool wire_prepare(struct session *s, struct want *w)
{
	struct feed *f = &s->feed;
	uint64_t from;
	size_t len;

	if (s->over || !s->asking || (s->want.kind != WANT_SEND && s->want.kind != WANT_STREAM))
		return false;
	if (!s->prepared && s->step->ahead && s->ask.kind != ASK_PROBE && bsl_link_outstanding(s->link)) {
		struct ask next = { 0 };

		if (s->step->ahead(s, &next) && prepare(s, &next, &s->prepared_taken) == 0) {
			s->prepared = true;
			s->prepared_ask = next;
		}
	}
	if (s->fetch_feed || s->fetch_failed || !s->step->ahead || !feed_want_ahead(f, &from, &len))
		return false;
	s->fetch_feed = f;
	s->fetch_from = from;
	s->fetch_len = len;
	memset(w, 0, sizeof(*w));
	w->kind = WANT_FETCH;
	w->serial = s->want.serial;
	w->fetch.source = f->source;
	w->fetch.offset = from;
	w->fetch.len = len;
	return true;
}

/* ---- inputs ---------------------------------------------------------------------------------- */

static bool framed(const struct ask *ask)
{
	return ask->kind == ASK_COMMAND || ask->kind == ASK_DATA || ask->kind == ASK_PROBE;
}

static bool on_event(struct session *s, enum bsl_event event, const struct bsl_reply *reply, struct answer *a)
{
	switch (event) {
	case BSL_EVENT_NONE: return false;
	case BSL_EVENT_LOG: record_in(s, &reply->frame, false); return false;
	case BSL_EVENT_LATE:
	case BSL_EVENT_SURPLUS:
		if (reply->fault == BSL_FAULT_NONE) {
			record_in(s, &reply->frame, s->ask.secret || stray_data(&reply->frame));
			if (s->surplus < 0)
				s->surplus = reply->frame.type;
			if (s->ask.kind == ASK_STREAM && event == BSL_EVENT_SURPLUS)
				break; /* unframed data have no exchange; this is what ends them */
		}
		return false;
	case BSL_EVENT_BAD:
		session_note(s, RECORD_BAD, bsl_fault_text(reply->fault));
		if (s->ask.kind == ASK_PROBE) {
			/* a probe is repeated anyway; what it woke may be the tail of an old answer */
			s->st.connect.garbled = s->step == &step_connect;
			return false;
		}
		if (!framed(&s->ask) || !bsl_link_outstanding(s->link))
			return false;
		bsl_link_expire(s->link);
		a->kind = ANSWER_GARBLED;
		return true;
	case BSL_EVENT_REPLY:
	case BSL_EVENT_REFUSED:
	case BSL_EVENT_UNEXPECTED: break;
	}
	if (s->ask.kind != ASK_STREAM)
		record_in(s, &reply->frame,
			  s->ask.secret || (event != BSL_EVENT_REPLY && stray_data(&reply->frame)));
	if (s->where == BSL_STAGE_FDL2)
		s->spoken = true;
	a->kind = event == BSL_EVENT_REPLY ? ANSWER_GOOD : ANSWER_CODE;
	if (s->ask.kind == ASK_STREAM && reply->frame.type == BSL_REP_ACK)
		a->kind = ANSWER_GOOD;
	a->code = reply->frame.type;
	a->check = reply->frame.check;
	a->payload = reply->frame.payload;
	a->len = reply->frame.len;
	a->taken = s->taken;
	return true;
}

static bool on_bytes(struct session *s, const struct session_input *in, struct answer *a)
{
	size_t at = 0;

	/* while something of a reply is being stored its buffer must not be touched */
	if (s->want.kind == WANT_STORE) {
		bsl_link_skip(s->link);
		return false;
	}
	while (at < in->bytes.len) {
		struct bsl_reply reply;
		size_t used = 0;
		enum bsl_event event = bsl_link_feed(s->link, in->bytes.data + at, in->bytes.len - at, &used,
						     &reply);

		at += used;
		if (on_event(s, event, &reply, a)) {
			/* the rest of the transfer answers nothing that was asked; the frame it breaks off in
			 * (a log packet, say) goes on in the next one */
			if (at < in->bytes.len)
				bsl_link_skip(s->link);
			return true;
		}
		if (event == BSL_EVENT_NONE && !used)
			break;
	}
	return false;
}

static bool on_timeout(struct session *s, const struct session_input *in, struct answer *a)
{
	session_note(s, RECORD_TIMEOUT, in->timeout.sent ? "no answer" : "not taken");
	a->kind = in->timeout.sent ? ANSWER_SILENT : ANSWER_NOT_TAKEN;
	if (s->ask.kind == ASK_COMMAND || s->ask.kind == ASK_DATA || s->ask.kind == ASK_STREAM) {
		/* half an answer is a damaged answer, not silence */
		if (a->kind == ANSWER_SILENT && bsl_link_pending(s->link))
			a->kind = ANSWER_GARBLED;
		bsl_link_expire(s->link);
	}
	return true;
}

static bool on_fetched(struct session *s, const struct session_input *in, struct answer *a)
{
	struct feed *f = s->want.kind == WANT_FETCH ? s->ask.fetch.feed : s->fetch_feed;
	uint64_t from = s->want.kind == WANT_FETCH ? s->want_from : s->fetch_from;
	size_t len = s->want.kind == WANT_FETCH ? s->want_len : s->fetch_len;

	if (!f)
		return false;
	s->fetch_feed = NULL;
	if (!feed_put(f, from, len, in->bytes.data, in->bytes.len)) {
		step_fail(s, ERR_PACKAGE_READ_FAILED, "asked for %zu bytes, got %zu", len, in->bytes.len);
		return false;
	}
	a->kind = ANSWER_GOOD;
	return s->want.kind == WANT_FETCH;
}

bool wire_input(struct session *s, const struct session_input *in, struct answer *a)
{
	memset(a, 0, sizeof(*a));
	a->code = -1;
	a->in = in;
	if (!s->asking)
		return false;
	switch (in->kind) {
	case INPUT_BYTES: return on_bytes(s, in, a);
	case INPUT_TIMEOUT:
		if (s->want.kind != WANT_SEND && s->want.kind != WANT_STREAM && s->want.kind != WANT_AWAIT)
			return false;
		return on_timeout(s, in, a);
	case INPUT_TICK:
		if (s->want.kind != WANT_SLEEP)
			return false;
		bsl_link_drained(s->link);
		a->kind = ANSWER_GOOD;
		a->code = s->surplus;
		return true;
	case INPUT_FETCHED: return on_fetched(s, in, a);
	case INPUT_STORED:
		a->kind = ANSWER_GOOD;
		return s->want.kind == WANT_STORE || s->want.kind == WANT_SYNC;
	case INPUT_SENT: return false; /* the reply to a stream decides, see step_write */
	case INPUT_AWAITED: a->kind = ANSWER_GOOD; return s->want.kind == WANT_AWAIT;
	case INPUT_GONE: a->kind = ANSWER_GONE; return true;
	default: return false;
	}
}
