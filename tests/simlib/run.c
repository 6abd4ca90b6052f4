/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The loop: wants taken up, time moved on, everything bounded. */
#include "tests/simlib/runner.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

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
			runner_tell(r, INPUT_SENT);
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
		runner_broken(r, "STREAM from outside its source");
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
		runner_deeds(r);
		break;
	case PHONE_NAK: break;
	case PHONE_GONE:
		if (phone_due(r->phone) > r->now)
			runner_gone(r);
		else
			r->out_pending = false; /* its detach is due now and says more */
		break;
	case PHONE_HALTED:
		r->out_pending = false;
		runner_fail(r, ERR_USB_STALL, "OUT endpoint halted");
		break;
	case PHONE_PROTO:
		r->out_pending = false;
		runner_fail(r, ERR_USB_IO, "OUT transfer failed");
		break;
	}
}

static void take_send(struct runner *r)
{
	const struct want *w = r->w;

	if (!w->send.len || !w->deadline_usec)
		runner_broken(r, "SEND of %zu bytes with deadline %" PRIu64, w->send.len, w->deadline_usec);
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
		runner_broken(r, "AWAIT of the phone without a deadline");
	if (w->await.what == AWAIT_GATE || w->await.what == AWAIT_OWED) {
		r->busy = true;
		r->busy_until = r->now + runner_delay(r, w->await.what == AWAIT_GATE ? r->config->gate_usec
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
		runner_trace(r, "%u %s [%s/%s %s]", r->out->wants, text, session_stage_name(p->stage),
			     p->step, p->entry);
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
			runner_broken(r, "STREAM without piece or deadline");
		break;
	case WANT_FETCH: runner_fetch(r); break;
	case WANT_STORE:
	case WANT_SYNC:
		r->stored = 0;
		r->busy = true;
		r->busy_until = r->now + runner_delay(r, r->config->store_usec);
		break;
	case WANT_AWAIT: take_await(r); break;
	case WANT_SLEEP:
	case WANT_DONE: break;
	}
}

static bool give_held(struct runner *r)
{
	uint8_t *held = r->held;
	size_t len = r->held_len;

	if (!len || r->out_pending)
		return false;
	r->held = NULL;
	r->held_len = 0;
	runner_bytes(r, held, len);
	free(held);
	return true;
}

/* An answer that comes before its request has wholly left waits, as the daemon's runner has it. */
static bool held_back(struct runner *r, const uint8_t *bytes, size_t len)
{
	uint8_t *held;

	if (r->w->kind != WANT_SEND || !r->out_pending || r->gone || r->left)
		return false;
	if (!r->held_len)
		try_out(r); /* the phone may just have become ready for it */
	if (!r->out_pending) {
		(void)give_held(r);
		return false;
	}
	held = realloc(r->held, r->held_len + len);
	if (held) {
		memcpy(held + r->held_len, bytes, len);
		r->held = held;
		r->held_len += len;
	}
	return true;
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
		runner_attach(r);
		return true;
	}
	if (!phone_poll(r->phone, r->now, &e))
		return false;
	switch (e.kind) {
	case PHONE_IN:
		runner_trace(r, "  in %zu: %02x %02x %02x %02x %02x", e.length, e.length > 0 ? e.bytes[0] : 0,
			     e.length > 1 ? e.bytes[1] : 0, e.length > 2 ? e.bytes[2] : 0,
			     e.length > 3 ? e.bytes[3] : 0, e.length > 4 ? e.bytes[4] : 0);
		if (e.length && !held_back(r, e.bytes, e.length))
			runner_bytes(r, e.bytes, e.length);
		break;
	case PHONE_DETACH: runner_detach(r); break;
	case PHONE_ATTACH: runner_attach(r); break;
	case PHONE_IN_HALT: runner_fail(r, ERR_USB_STALL, "IN endpoint halted"); break;
	case PHONE_IN_PROTO: runner_fail(r, ERR_USB_IO, "IN transfer failed"); break;
	case PHONE_IN_BABBLE: runner_fail(r, ERR_USB_BABBLE, "more than was asked for"); break;
	}
	return true;
}

static bool want_ready(struct runner *r)
{
	switch (r->w->kind) {
	case WANT_SEND:
		if (r->out_pending && !r->gone && !r->left)
			try_out(r);
		if (give_held(r))
			return true;
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
			runner_busy_done(r);
			return true;
		}
		if (runner_awaiting(r, AWAIT_DEPARTURE) && r->left) {
			runner_tell(r, INPUT_AWAITED);
			return true;
		}
		if (runner_awaiting(r, AWAIT_RETURN) && r->back) {
			runner_return(r);
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
	uint32_t serial;

	r->deadline = UINT64_MAX;
	if (r->w->kind == WANT_SLEEP) {
		runner_tell(r, INPUT_TICK);
		return;
	}
	in.timeout.sent = r->w->kind == WANT_STREAM ? r->stream_told : r->out_sent;
	r->out_pending = false;
	serial = r->serial;
	if (give_held(r) && r->serial != serial)
		return;
	runner_trace(r, "  timeout, sent %d", in.timeout.sent);
	runner_give(r, &in);
}

static bool breaks(struct runner *r)
{
	const struct sim_breaks *b = &r->config->breaks;
	struct session_input in = { .kind = INPUT_CANCEL };
	uint32_t n = r->out->wants + 1;

	if (n == b->kill_at) {
		runner_trace(r, "killed");
		r->out->killed = true;
		return true;
	}
	if (n == b->unplug_at || n == b->force_at)
		r->out->last_want = r->w->kind;
	if (n == b->cancel_at || n == b->force_at) {
		in.cancel.force = n == b->force_at;
		runner_trace(r, "cancel%s", in.cancel.force ? " by force" : "");
		runner_give(r, &in);
	}
	if (n == b->unplug_at && !r->gone && !r->left) {
		runner_trace(r, "unplugged");
		phone_unplug(r->phone, r->now);
		runner_gone(r);
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
		runner_prepare(r);
		return;
	}
	if (phone_event(r))
		return;
	if (fetch_ready(r)) {
		runner_fetched(r);
		runner_prepare(r);
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
		runner_broken(r, "nothing will ever happen: waiting in %s", sim_want_name(r->w->kind));
	/* a phone that says "now" but has nothing for us must not stop the clock */
	r->now = t > r->now ? t : r->now + 1;
	if (r->now - r->started > r->limit_usec)
		runner_broken(r, "still running after %" PRIu64 " s", r->limit_usec / 1000000);
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
	o->record = (struct port_record){ .known = true, .plain_framing = p->plain_framing };
	snprintf(o->record.stage, sizeof(o->record.stage), "%s", p->phone_stage);
	snprintf(o->step, sizeof(o->step), "%s", p->step);
	o->done = !o->killed && !o->broken[0] && r->w->kind == WANT_DONE;
	o->cancelled = res->cancelled;
	o->changed = res->changed;
	o->pass = o->done && res->pass;
	o->level = res->level;
	o->failure = res->failure;
	o->nv_written_back = res->nv_written_back;
	o->nv_owed = res->nv_owed;
	if (res->facts)
		o->facts = *res->facts;
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
	if (runner_open(r) < 0) {
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
	runner_give(r, &in);
	r->fresh = true;
	return 0;
}

static int begin(struct runner *r, const struct sim_config *config, struct sim_outcome *out)
{
	memset(r, 0, sizeof(*r));
	memset(out, 0, sizeof(*out));
	if (!config->phone || !config->session.plan)
		return -EINVAL;
	r->config = config;
	r->out = out;
	r->random.state = config->seed;
	r->phone = config->phone;
	r->records = config->records ? config->records : sim_records_new();
	if (!r->records)
		return -ENOMEM;
	r->now = r->started = config->now;
	r->limit_usec = config->limit_usec ? config->limit_usec : 6 * 3600ull * 1000000;
	r->limit_inputs = config->limit_inputs ? config->limit_inputs : 20000000;
	r->deadline = UINT64_MAX;
	r->deeds_seen = phone_deeds(r->phone);
	begin_job(r);
	return start(r);
}

static bool going(struct runner *r)
{
	if (r->s && r->out->inputs > r->limit_inputs)
		runner_broken(r, "still running after %" PRIu64 " inputs", r->out->inputs);
	return r->s && r->w && r->w->kind != WANT_DONE && !r->out->broken[0] && !r->out->killed;
}

static void end(struct runner *r)
{
	if (r->s)
		finish(r);
	if (r->s && r->config->ended)
		r->config->ended(r->config->watch_arg, r->s);
	r->out->now = r->now;
	r->out->phone = r->phone;
	session_free(r->s);
	free(r->frame);
	free(r->held);
	free(r->chunk[0]);
	free(r->chunk[1]);
	if (r->config && !r->config->records)
		sim_records_free(r->records);
}

int sim_run(const struct sim_config *config, struct sim_outcome *out)
{
	struct runner r;
	int rc = begin(&r, config, out);

	while (rc >= 0 && going(&r))
		turn(&r);
	end(&r);
	return rc < 0 ? rc : 0;
}

/* Whose clock is the furthest behind; NULL: all have ended. */
static struct runner *earliest(struct runner *r, size_t count)
{
	struct runner *first = NULL;

	for (size_t i = 0; i < count; i++)
		if (going(&r[i]) && (!first || r[i].now < first->now))
			first = &r[i];
	return first;
}

int sim_run_many(const struct sim_config *configs, struct sim_outcome *outs, size_t count, uint64_t host_usec)
{
	struct runner *r = calloc(count, sizeof(*r)), *next;
	uint64_t host = 0;
	int rc = 0;

	if (!r)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		int one = begin(&r[i], &configs[i], &outs[i]);

		rc = one < 0 ? one : rc;
	}
	while (rc >= 0 && (next = earliest(r, count))) {
		uint64_t inputs = next->out->inputs;

		turn(next);
		if (next->out->inputs == inputs)
			continue;
		host = (host > next->now ? host : next->now) + host_usec;
		next->now = host;
	}
	for (size_t i = 0; i < count; i++)
		end(&r[i]);
	free(r);
	return rc < 0 ? rc : 0;
}

void sim_outcome_free(struct sim_outcome *out)
{
	for (size_t i = 0; i < SIM_SINKS; i++) {
		free(out->sink[i].bytes);
		out->sink[i] = (struct sim_sink){ 0 };
	}
	free(out->trace);
	out->trace = NULL;
}
