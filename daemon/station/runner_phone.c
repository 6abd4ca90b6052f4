/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The phone of a running job: opened, lost, back again; what its pipe tells.
 */
#include <errno.h>

#include "common/util.h"
#include "station/armed.h"
#include "station/runner.h"

/* A transfer error may be the first sign of an unplug: what udev says comes a little later. */
#define GRACE_USEC 300000

void phone_close(struct runner *r)
{
	if (r->pipe_state == PIPE_NONE || r->pipe_state == PIPE_CLOSING)
		return;
	r->pipe_state = PIPE_CLOSING;
	usb_pipe_close(r->pipe);
}

/* Whichever sign comes first: a transfer that ends so, a submit that is refused, udev. */
static void phone_gone(struct runner *r)
{
	if (r->gone)
		return;
	r->gone = true;
	r->back = false;
	r->slot->note_known = false;
	loop_timer_stop(r->grace);
	r->broken.error = ERR_NONE;
	phone_close(r);
	if (!r->started) {
		failure_set(&r->end, ERR_DEVICE_VANISHED, "%s", "it left while it was being opened");
		r->over = true;
		runner_pump(r);
	} else if (!runner_expects(r)) {
		runner_feed_plain(r, INPUT_GONE);
	} else {
		runner_pump(r);
	}
}

bool runner_left(struct runner *r)
{
	phone_gone(r);
	return runner_expects(r);
}

void runner_back(struct runner *r)
{
	r->back = true;
	runner_pump(r);
}

static void tell_arrival(struct runner *r)
{
	struct usb_pipe_facts facts;
	struct device *d = r->job->device;

	usb_pipe_facts(r->pipe, &facts);
	/* a measure only where a job was waiting for the phone, or its slot was armed for it */
	if (d && !r->started && (r->job->born_usec <= r->arrival.received_usec || armed_at_once(r->job)) &&
	    facts.first_transfer_usec >= r->arrival.received_usec) {
		d->first_transfer_usec = facts.first_transfer_usec - r->arrival.received_usec;
		device_told(d);
	}
}

static void start_session(struct runner *r)
{
	struct session_input in = { .kind = INPUT_START };
	struct usb_pipe_facts facts;

	usb_pipe_facts(r->pipe, &facts);
	in.awaited.bcd_device = facts.bcd_device;
	in.awaited.max_packet = facts.packet_out;
	r->started = true;
	if (r->job->device)
		r->job->device->used = true;
	runner_feed(r, &in);
}

static void give_return(struct runner *r)
{
	struct session_input in = { .kind = INPUT_AWAITED };
	struct usb_pipe_facts facts;

	usb_pipe_facts(r->pipe, &facts);
	r->gone = r->back = false;
	in.awaited.bcd_device = facts.bcd_device;
	in.awaited.max_packet = facts.packet_out;
	in.awaited.other = r->arrival.vendor != USB_VENDOR_UNISOC ||
			   r->arrival.product != USB_PRODUCT_DOWNLOAD;
	runner_feed(r, &in);
}

static void on_opened(void *user, const struct failure *why)
{
	struct runner *r = user;

	if (r->dropped || r->pipe_state != PIPE_OPENING)
		return;
	if (why && why->error == ERR_DEVICE_VANISHED) {
		if (r->started) { /* came and left again: the next one that comes may be it */
			r->back = false;
			phone_close(r);
		} else {
			phone_gone(r);
		}
		return;
	}
	if (why) {
		r->pipe_state = PIPE_BROKEN;
		phone_close(r);
		if (r->started) {
			runner_fail(r, why);
			return;
		}
		r->end = *why;
		r->over = true;
		runner_pump(r);
		return;
	}
	r->pipe_state = PIPE_OPEN;
	r->out_busy = false;
	tell_arrival(r);
	if (r->over)
		runner_pump(r);
	else if (!r->started)
		start_session(r);
	else if (runner_awaiting(r, AWAIT_RETURN))
		give_return(r);
}

static void give_held(struct runner *r)
{
	uint8_t *held = TAKE_PTR(r->held);
	size_t len = r->held_len;

	r->held_len = 0;
	if (held)
		runner_feed_bytes(r, held, len);
	free(held);
}

static void on_sent(void *user, const struct failure *why, size_t len)
{
	struct runner *r = user;

	if (r->dropped || r->over)
		return;
	if (r->streaming) {
		runner_stream_sent(r, len);
		if (r->out_busy)
			return;
	} else {
		r->out_busy = false;
		if (!why)
			r->sent = true;
	}
	give_held(r);
	if (r->expiring == EXPIRE_OUT)
		runner_expire_in(r);
	runner_take(r); /* what had to wait for it */
}

static void on_received(void *user, const uint8_t *bytes, size_t len, bool more)
{
	struct runner *r = user;
	bool expiring = r->expiring == EXPIRE_IN;

	(void)more;
	if (r->dropped || r->over)
		return;
	if (r->out_busy && r->w.kind == WANT_SEND) {
		/* the frame is the session's again only when it has left: an early answer waits */
		uint8_t *held = realloc(r->held, r->held_len + len + 1);

		if (!held)
			return;
		memcpy(held + r->held_len, bytes, len);
		r->held = held;
		r->held_len += len;
		return;
	}
	runner_feed_bytes(r, bytes, len);
	/* still expiring: it was not what the session was waiting for */
	if (expiring && r->expiring == EXPIRE_IN)
		runner_expired(r);
}

void phone_on_grace(void *arg)
{
	struct runner *r = arg;
	struct failure why = r->broken;

	if (r->over || why.error == ERR_NONE)
		return;
	r->broken.error = ERR_NONE;
	runner_fail(r, &why);
}

static void on_failed(void *user, const struct failure *why)
{
	struct runner *r = user;

	if (r->dropped)
		return;
	r->pipe_state = PIPE_BROKEN;
	r->out_busy = false;
	runner_stream_drop(r);
	if (r->over) {
		runner_pump(r);
		return;
	}
	if (why->error == ERR_DEVICE_VANISHED) {
		phone_gone(r);
		return;
	}
	loop_timer_stop(r->deadline);
	loop_timer_stop(r->look);
	phone_close(r);
	if (runner_expects(r))
		return; /* a phone that restarts says so in many ways; its deadline stands */
	r->broken = *why;
	loop_timer_after(r->grace, GRACE_USEC);
}

static void on_closed(void *user)
{
	struct runner *r = user;

	r->pipe = NULL;
	r->pipe_state = PIPE_NONE;
	r->out_busy = false;
	if (r->dropped)
		return;
	runner_pump(r);
}

static const struct usb_pipe_events pipe_events = { on_opened, on_sent, on_received, on_failed, on_closed };

void phone_open(struct runner *r)
{
	const struct usb_pipe_options options = { .flags = USB_OPEN_CONTROL };
	struct device *d = r->job->device;
	struct failure why = { 0 };

	if (!d || !d->present)
		return;
	r->arrival = d->arrival;
	r->out_busy = false;
	r->pipe = usb_pipe_open(r->st->usb, &r->arrival, &options, &pipe_events, r, &why);
	if (r->pipe) {
		r->pipe_state = PIPE_OPENING;
	} else if (r->started) {
		runner_fail(r, &why);
	} else {
		r->end = why;
		r->over = true;
		runner_pump(r);
	}
}
