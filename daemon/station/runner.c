/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The only runner of the daemon: carries bytes, time and files between one session and one phone. It knows no
 * command, no stage and no partition; it does what the session wants (flash/want.h) and comes back with what
 * happened.
 */
#include <errno.h>
#include <stdio.h>

#include "common/util.h"
#include "station/armed.h"
#include "station/kv.h"
#include "station/runner.h"

/* When to look for a reply that no short packet closed; each further look comes four times as late. */
#define LOOK_FIRST_USEC 100000
#define TURN_USEC	1000u /* of one phone in a turn of the loop */
#define GATE_SHOW_USEC	250000

static void finish(struct runner *r);

/* ---- the session ----------------------------------------------------------------------------------- */

static void stop_timers(struct runner *r)
{
	loop_timer_stop(r->deadline);
	loop_timer_stop(r->late);
	loop_timer_stop(r->look);
	r->expiring = EXPIRE_NO;
}

static void not_silent(struct runner *r)
{
	struct job *job = r->job;

	r->gate_shown = false;
	if (!job->silent_since && !*job->why)
		return;
	job->silent_since = job->silent_until = 0;
	*job->why = 0;
	job_moved(job);
}

/* What a restart of the service would have to know of this phone; written before the next want is taken up.
 */
static void note(struct runner *r, bool dirty)
{
	const struct session_progress *p = session_progress(r->session);
	struct port_note n = { .bus = r->arrival.busnum,
			       .address = r->arrival.devnum,
			       .plain_framing = p->plain_framing,
			       .dirty = dirty };

	if (r->gone)
		return;
	kv_copy(n.slot, sizeof(n.slot), r->slot->id);
	kv_copy(n.stage, sizeof(n.stage), p->phone_stage);
	if (r->slot->note_known && !memcmp(&n, &r->slot->note, sizeof(n)))
		return;
	r->slot->note = n;
	r->slot->note_known = true;
	r->note_dirty = true;
}

static void write_note(struct runner *r)
{
	if (!r->note_dirty || r->note_busy)
		return;
	r->note_dirty = false;
	r->note_busy = carry_note(r) == 0;
}

void runner_feed(struct runner *r, struct session_input *in)
{
	const struct want *w;

	if (r->over || r->dropped)
		return;
	in->now_usec = loop_now();
	w = session_input(r->session, in);
	if (w->serial != r->w.serial) {
		stop_timers(r);
		r->w = *w;
		r->fresh = true;
		carry_turn(r);
		not_silent(r);
	}
	job_take_progress(r->job, r->session);
	/* what only reads leaves nothing half done: whatever cuts it off, a loader can be spoken to again */
	if (w->kind != WANT_DONE)
		note(r, plan_destroys(r->job->plan));
	runner_take(r);
}

void runner_feed_plain(struct runner *r, enum input_kind kind)
{
	struct session_input in = { .kind = kind };

	runner_feed(r, &in);
}

void runner_fail(struct runner *r, const struct failure *why)
{
	struct session_input in = { .kind = INPUT_FAILED, .failed.why = why };

	runner_feed(r, &in);
}

void runner_feed_bytes(struct runner *r, const uint8_t *bytes, size_t len)
{
	struct session_input in = { .kind = INPUT_BYTES, .bytes = { bytes, len } };

	if (len)
		runner_feed(r, &in);
}

bool runner_awaiting(const struct runner *r, enum await what)
{
	return r->started && !r->over && !r->fresh && r->w.kind == WANT_AWAIT && r->w.await.what == what;
}

bool runner_expects(const struct runner *r)
{
	/* fresh or not: what counts is what the session wants */
	return r->started && !r->over && r->w.kind == WANT_AWAIT &&
	       (r->w.await.what == AWAIT_DEPARTURE || r->w.await.what == AWAIT_RETURN);
}

/* While the phone thinks: encode what comes next, fetch what that needs. */
static void prepare(struct runner *r)
{
	struct want w = { 0 };

	if (r->over || r->fresh || r->w.kind != WANT_SEND || r->carry.going)
		return;
	if (session_prepare(r->session, &w) && w.kind == WANT_FETCH)
		carry_fetch(r, &w.fetch.source, w.fetch.offset, w.fetch.len, true);
}

void runner_fetched(struct runner *r, struct fetch *f)
{
	struct session_input in = { .kind = INPUT_FETCHED, .bytes = { f->data, f->len } };
	uint32_t serial = r->w.serial;

	if (r->w.kind == WANT_STREAM && !f->ahead && !r->fresh) {
		runner_stream_out(r, f);
		return;
	}
	/* the chunk before the last is no longer looked at from here on */
	carry_recycle(r, r->carry.lent[0]);
	for (int i = 1; i < CARRY_LENT; i++)
		r->carry.lent[i - 1] = r->carry.lent[i];
	r->carry.lent[CARRY_LENT - 1] = f;
	runner_feed(r, &in);
	if (r->w.serial == serial)
		prepare(r);
}

/* ---- time --------------------------------------------------------------------------------------------- */

void runner_expired(struct runner *r)
{
	struct session_input in = { .kind = INPUT_TIMEOUT, .timeout.sent = r->sent };

	r->expiring = EXPIRE_NO;
	runner_feed(r, &in);
}

/* What the pipe still holds is asked for before anybody is told that nothing came. */
void runner_expire_in(struct runner *r)
{
	r->expiring = EXPIRE_IN;
	if (r->pipe_state == PIPE_OPEN)
		usb_pipe_take_partial(r->pipe);
	else
		runner_expired(r);
}

static void on_deadline(void *arg)
{
	struct runner *r = arg;

	if (r->over)
		return;
	loop_timer_stop(r->look);
	switch (r->w.kind) {
	case WANT_SLEEP: runner_feed_plain(r, INPUT_TICK); break;
	case WANT_SEND:
	case WANT_STREAM:
		if (r->out_busy && r->pipe_state == PIPE_OPEN) {
			r->expiring = EXPIRE_OUT;
			usb_pipe_cancel_out(r->pipe);
		} else {
			runner_expire_in(r);
		}
		break;
	case WANT_AWAIT: runner_expired(r); break;
	default: break; /* files have deadlines of their own */
	}
}

static void on_late(void *arg)
{
	struct runner *r = arg;
	struct job *job = r->job;

	if (r->over)
		return;
	if (r->w.kind == WANT_AWAIT && r->w.await.what == AWAIT_GATE) {
		job_moved(job);
		loop_timer_after(r->late, GATE_SHOW_USEC);
		return;
	}
	job->silent_since = r->taken_at;
	job->silent_until = r->w.deadline_usec ? r->taken_at + r->w.deadline_usec : 0;
	silence_text(r->w.silence, r->w.deadline_usec, job->why, sizeof(job->why));
	job_told(job);
	job_moved(job);
}

static void on_look(void *arg)
{
	struct runner *r = arg;

	if (r->over || r->expiring != EXPIRE_NO || r->pipe_state != PIPE_OPEN)
		return;
	usb_pipe_take_partial(r->pipe);
	if (++r->looks < 8)
		loop_timer_after(r->look, (uint64_t)LOOK_FIRST_USEC << (2 * r->looks));
}

static void arm(struct runner *r)
{
	const struct want *w = &r->w;

	r->taken_at = loop_now();
	r->looks = 0;
	if (w->deadline_usec || w->kind == WANT_SLEEP)
		loop_timer_at(r->deadline, r->taken_at + w->deadline_usec);
	if (w->usual_usec && (w->kind == WANT_SEND || w->kind == WANT_STREAM || w->kind == WANT_AWAIT))
		loop_timer_at(r->late, r->taken_at + w->usual_usec);
	if (w->kind == WANT_SEND || w->kind == WANT_STREAM)
		loop_timer_at(r->look, r->taken_at + LOOK_FIRST_USEC);
}

/* ---- the house ------------------------------------------------------------------------------------------
 */

/* 0: it has passed; 1: not yet; negative: *why. NULL: there is nothing to wait for. */
static int gate_of(const struct image *image, struct failure *why)
{
	if (!image || image->state == IMAGE_GOOD)
		return 0;
	if (image->state == IMAGE_CHECKING)
		return 1;
	*why = image->failure;
	return -1;
}

static void await_gate(struct runner *r)
{
	struct carried *s = r->carry.shared;
	struct failure why = { 0 };
	int image = gate_of(r->job->image, &why), lender = image < 0 ? 0 : gate_of(r->job->lender, &why);

	if (image < 0 || lender < 0) {
		runner_fail(r, &why);
		return;
	}
	if (image || lender) {
		if (!r->gate_shown) {
			r->gate_shown = true;
			kv_copy(r->job->why, sizeof(r->job->why), "the package is being checked");
			job_moved(r->job);
			loop_timer_after(r->late, GATE_SHOW_USEC);
		}
		return;
	}
	if (r->carry.going) /* its thread still has the list of what was read early */
		return;
	if (package_reader_prove(&s->reader, &why) < 0 ||
	    (s->lent.package && package_reader_prove(&s->lent, &why) < 0))
		runner_fail(r, &why);
	else
		runner_feed_plain(r, INPUT_AWAITED);
}

void runner_image_told(struct runner *r)
{
	runner_pump(r);
}

static void pump(void *arg)
{
	struct runner *r = arg;

	r->pumping = false;
	r->sent_turn = 0; /* the others have had theirs */
	if (r->over) {
		finish(r);
		return;
	}
	if (r->fresh) {
		runner_take(r);
		return;
	}
	if (!r->started)
		return;
	if (runner_awaiting(r, AWAIT_GATE))
		await_gate(r);
	else if (runner_awaiting(r, AWAIT_DEPARTURE) && r->gone)
		runner_feed_plain(r, INPUT_AWAITED);
	else if (runner_awaiting(r, AWAIT_RETURN) && r->back && r->pipe_state == PIPE_NONE)
		phone_open(r);
}

void runner_pump(struct runner *r)
{
	if (!r->pumping && loop_defer(r->st->loop, pump, r) == 0)
		r->pumping = true;
}

/* ---- wants ------------------------------------------------------------------------------------------- */

static void take_send(struct runner *r)
{
	int err = -ENOTCONN;

	r->sent = false;
	if (r->w.kind == WANT_STREAM) {
		r->stream_read = r->stream_sent = 0;
		runner_stream_drop(r);
		runner_stream_next(r);
		return;
	}
	if (r->pipe_state == PIPE_OPEN)
		err = usb_pipe_send(r->pipe, r->w.send.bytes, r->w.send.len, r->w.send.zlp);
	r->out_busy = err == 0;
	if (r->sent_turn != loop_turns(r->st->loop) + 1)
		r->turn_at = r->taken_at;
	r->sent_turn = loop_turns(r->st->loop) + 1;
	/* a phone that has left, or a pipe that broke: told by its own way, or else the deadline is the
	 * answer */
	prepare(r);
}

/*
 * Phones that answer at once must not keep the others waiting: one that goes ahead of the others with the
 * same package has one exchange a turn. Those behind it find their frames ready and may catch up for a
 * while, as may those that do not write.
 */
static bool had_its_turn(const struct runner *r)
{
	return r->sent_turn == loop_turns(r->st->loop) + 1 && r->st->runners > 1 &&
	       (r->w.send.leads || loop_now() - r->turn_at > TURN_USEC);
}

/* Begins what the session wants, unless something before it is still going on; then it is tried again. */
void runner_take(struct runner *r)
{
	const struct want *w = &r->w;
	struct failure why = { 0 };

	if (!r->fresh || r->over)
		return;
	if (w->kind == WANT_DONE) {
		r->over = true;
		stop_timers(r);
		runner_pump(r);
		return;
	}
	write_note(r);
	if (r->note_busy)
		return; /* runner_noted() */
	if ((w->kind == WANT_SEND || w->kind == WANT_STREAM) && r->out_busy)
		return; /* on_sent() */
	if (w->kind == WANT_SEND && had_its_turn(r)) {
		runner_pump(r);
		return;
	}
	if ((w->kind == WANT_FETCH || w->kind == WANT_STREAM) && r->carry.going &&
	    !(w->kind == WANT_FETCH && carry_fetching(r, &w->fetch.source, w->fetch.offset, w->fetch.len))) {
		r->carry.going->unwanted = true;
		return; /* pump, when it is back */
	}
	r->fresh = false;
	arm(r);
	switch (w->kind) {
	case WANT_SEND:
	case WANT_STREAM: take_send(r); break;
	case WANT_FETCH:
		if (!r->carry.going)
			carry_fetch(r, &w->fetch.source, w->fetch.offset, w->fetch.len, false);
		break;
	case WANT_STORE:
	case WANT_SYNC: carry_store(r); break;
	case WANT_AWAIT:
		if (w->await.what == AWAIT_OWED)
			job_learned(r->job, r->session);
		if (w->await.what == AWAIT_OWED && armed_met(r->job, &why) < 0)
			runner_fail(r, &why);
		else if (w->await.what == AWAIT_OWED)
			carry_identity(r);
		else
			runner_pump(r);
		break;
	case WANT_SLEEP:
	case WANT_DONE: break;
	}
}

void runner_noted(struct runner *r)
{
	r->note_busy = false;
	runner_pump(r);
}

/* ---- begin and end --------------------------------------------------------------------------------------
 */

static void runner_free(struct runner *r)
{
	r->job->runner = NULL;
	r->st->runners--;
	loop_forget(r->st->loop, r);
	loop_timer_free(r->deadline);
	loop_timer_free(r->late);
	loop_timer_free(r->look);
	loop_timer_free(r->grace);
	runner_stream_drop(r);
	carry_free(r);
	session_free(r->session);
	free(r->before);
	free(r->held);
	free(r);
}

#define READ_REFUSED 0x84 /* the plain "no" of a loader, which goes on (device-behaviour 17: F50 to F52) */

/*
 * It ended before its time for a reason that is not the phone's, or with a read that the phone has answered
 * with no: what runs there is as it was.
 */
static bool ours(const struct failure *why)
{
	enum error_fault fault = error_entry(why->error)->fault;

	return (why->error == ERR_READ_FAILED && why->code == READ_REFUSED) || fault == FAULT_CALLER ||
	       fault == FAULT_PACKAGE || fault == FAULT_STATION;
}

/*
 * What runs there may have been left in the middle of something. A phone that is to stay is in order when the
 * job was refused before it changed anything: between two commands, by what it has learned.
 */
static bool unclear(const struct runner *r, const struct session_result *res)
{
	const struct plan *plan = r->job->plan;

	/* whom a rule did not want was not in the middle of anything */
	if (res->pass || armed_skips(res->failure.error))
		return false;
	if (plan->options.end != END_STAY)
		return plan_destroys(plan) || !ours(&res->failure);
	return res->changed || (!ours(&res->failure) && session_progress(r->session)->stage != STAGE_CHECK);
}

/* What a job has left running there, and is not to go by itself. */
static bool stays(const struct runner *r)
{
	const struct port_note *n = &r->slot->note;
	const struct plan *plan = r->job->plan;
	bool single = plan->fdl1.item >= 0 && plan->fdl2.item < 0;

	return r->slot->note_known && !n->dirty && !strcmp(n->stage, single ? "fdl1" : "fdl2");
}

/* The loaders of this job are what the phone runs, or would have run: none of another job went on there. */
static bool ran(const struct runner *r)
{
	const struct session_result *res = r->started ? session_result(r->session) : NULL;
	const char *stage = r->started ? session_progress(r->session)->phone_stage : "";
	bool single = r->job->plan->fdl2.item < 0;

	if (!res || r->job->plan->fdl1.item < 0)
		return true;
	return strcmp(stage, single ? "fdl1" : "fdl2") != 0 || (single ? res->fdl1_sent : res->fdl2_sent);
}

/* For the next session; a copy, or what this one was given. */
static struct device_facts *learned(struct runner *r)
{
	const struct session_result *res = r->started ? session_result(r->session) : NULL;
	struct device_facts *copy;

	if (r->before && !(res && res->pass))
		return TAKE_PTR(r->before);
	copy = res && res->facts ? malloc(sizeof(*copy)) : NULL;
	if (copy)
		*copy = *res->facts;
	return copy;
}

/* Step by step, each called again when the one before it is over: pipe closed, last note written, told. */
static void finish(struct runner *r)
{
	struct job *job = r->job;
	struct device *d = job->device;
	bool leaving = r->gone;

	stop_timers(r);
	loop_timer_stop(r->grace);
	phone_close(r);
	if (r->pipe_state != PIPE_NONE)
		return;
	if (r->started) {
		const struct session_result *res = session_result(r->session);

		note(r, unclear(r, res));
		leaving |= res->pass && job->plan->options.end != END_STAY;
	}
	write_note(r);
	if (r->note_busy)
		return;
	if (d && !ran(r))
		job_name_loaders(job, d->kept_image);
	if (d && leaving)
		d->spent = true; /* nobody else takes it on its way out */
	else if (d && stays(r))
		device_keep(d, ran(r) || !d->kept_image ? job_lender(job) : NULL, learned(r));
	job->runner = NULL;
	if (r->started)
		job_end_session(job, r->session, r->carry.backups, r->carry.backup_count);
	else
		job_end_failed(job, &r->end);
	if (d && !d->present)
		device_remove(d); /* it was expected back and did not come */
	runner_free(r);
}

int runner_start(struct job *job, struct failure *why)
{
	struct device *d = job->device;
	struct session_config config = { .plan = job->plan,
					 .arrival_seen = d->seen && !d->used,
					 .job = job->number,
					 .resolve_only = job->dry_run };
	struct runner *r = calloc(1, sizeof(*r));

	if (!r)
		return failure_set(why, ERR_INTERNAL, "out of memory");
	r->st = job->st;
	r->st->runners++;
	r->job = job;
	r->slot = job->slot;
	r->streaming_tail = &r->streaming;
	if (r->slot->note_known) {
		config.record.known = true;
		config.record.plain_framing = r->slot->note.plain_framing;
		config.record.dirty = r->slot->note.dirty;
		kv_copy(config.record.stage, sizeof(config.record.stage), r->slot->note.stage);
	}
	if (job->image && !job->image->shelf)
		job->image->shelf = session_shelf_new();
	config.shelf = job->image ? job->image->shelf : NULL;
	config.before = r->before = TAKE_PTR(d->before);
	r->deadline = loop_timer_new(r->st->loop, on_deadline, r);
	r->late = loop_timer_new(r->st->loop, on_late, r);
	r->look = loop_timer_new(r->st->loop, on_look, r);
	r->grace = loop_timer_new(r->st->loop, phone_on_grace, r);
	if (!r->deadline || !r->late || !r->look || !r->grace || carry_init(r) < 0 ||
	    session_new(&config, &r->session) < 0) {
		runner_free(r);
		return failure_set(why, ERR_INTERNAL, "out of memory");
	}
	job->runner = r;
	phone_open(r);
	return 0;
}

void runner_cancel(struct runner *r, bool force)
{
	struct session_input in = { .kind = INPUT_CANCEL, .cancel.force = force };

	if (r->over)
		return;
	if (r->started) {
		runner_feed(r, &in);
		return;
	}
	failure_set(&r->end, ERR_CANCELLED, "%s", "before anything was sent to the phone");
	r->over = true;
	runner_pump(r);
}

bool runner_drop(struct runner *r)
{
	r->dropped = true;
	stop_timers(r);
	loop_timer_stop(r->grace);
	phone_close(r);
	if (r->pipe_state != PIPE_NONE)
		return false;
	runner_free(r);
	return true;
}
