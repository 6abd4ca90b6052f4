/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the session is told, and what becomes of the phone on its port. */
#include "tests/simlib/runner.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

const char *sim_want_name(enum want_kind kind)
{
	static const char *const names[] = { "SEND", "STREAM", "FETCH", "STORE",
					     "SYNC", "AWAIT",  "SLEEP", "DONE" };

	return kind <= WANT_DONE ? names[kind] : "?";
}

void runner_trace(struct runner *r, const char *fmt, ...)
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

void runner_broken(struct runner *r, const char *fmt, ...)
{
	va_list ap;

	if (r->out->broken[0])
		return;
	va_start(ap, fmt);
	vsnprintf(r->out->broken, sizeof(r->out->broken), fmt, ap);
	va_end(ap);
	runner_trace(r, "BROKEN %s", r->out->broken);
}

uint64_t runner_delay(struct runner *r, uint64_t longest)
{
	return r->config->cut ? sim_below(&r->random, longest + 1) : longest;
}

/* A destructive deed may only be there once the intent and every backup of this job are durable. */
void runner_deeds(struct runner *r)
{
	size_t n = phone_deeds(r->phone);

	for (; r->deeds_seen < n; r->deeds_seen++) {
		const struct phone_deed *d = phone_deed(r->phone, r->deeds_seen);

		if (d->kind == PHONE_DEED_GPT_REPAIR || d->kind == PHONE_DEED_NV_REPAIR ||
		    d->kind == PHONE_DEED_MISC || d->kind == PHONE_DEED_LOG || d->kind == PHONE_DEED_RAM)
			continue;
		if (!r->records->intent)
			runner_broken(r, "%s of %s before the intent was durable", phone_deed_name(d->kind),
				      d->name);
		for (uint32_t i = 0; i < r->records->count; i++) {
			const struct sim_backup *b = r->records->backup[i];

			if (b->job == r->records->job && (!b->kept || b->kept_size != b->size))
				runner_broken(r, "%s of %s before the backup %s was durable",
					      phone_deed_name(d->kind), d->name, b->name);
		}
	}
}

static void take(struct runner *r, const struct want *w)
{
	if (!w) {
		runner_broken(r, "the session answered with no want");
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

void runner_give(struct runner *r, struct session_input *in)
{
	r->out->inputs++;
	if (r->spin_at != r->now) {
		r->spin_at = r->now;
		r->spins = 0;
	} else if (++r->spins > SPIN_MAX) {
		runner_broken(r, "%u inputs in no time", r->spins);
		return;
	}
	in->now_usec = r->now;
	take(r, session_input(r->s, in));
	runner_deeds(r);
}

void runner_fail(struct runner *r, enum error_id error, const char *detail)
{
	struct failure why = { 0 };
	struct session_input in = { .kind = INPUT_FAILED, .failed.why = &why };

	failure_set(&why, error, "%s", detail);
	runner_trace(r, "  failed: %s", error_entry(error)->name);
	runner_give(r, &in);
}

void runner_tell(struct runner *r, enum input_kind kind)
{
	struct session_input in = { .kind = kind };

	runner_give(r, &in);
}

void runner_gone(struct runner *r)
{
	if (r->gone)
		return;
	r->gone = true;
	r->out_pending = false;
	runner_trace(r, "  gone");
	runner_tell(r, INPUT_GONE);
}

bool runner_awaiting(const struct runner *r, enum await what)
{
	return r->w->kind == WANT_AWAIT && r->w->await.what == what && !r->fresh;
}

void runner_bytes(struct runner *r, const uint8_t *bytes, size_t len)
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
		runner_give(r, &in);
	}
	free(copy);
}

int runner_open(struct runner *r)
{
	int rc = phone_control(r->phone, r->now, CLASS_REQUEST, 0);

	/* a stalled request is not fatal: feature phones know none (bsl-protocol 2.3) */
	return rc == -EPIPE ? 0 : rc;
}

void runner_return(struct runner *r)
{
	struct phone_usb usb = phone_usb(r->phone);
	struct session_input in = { .kind = INPUT_AWAITED };

	r->back = false;
	r->gone = false;
	r->left = false;
	if (r->config->breaks.open_fails || r->back_failed) {
		runner_fail(r, ERR_USB_OPEN_TIMEOUT, "the control request was not answered");
		return;
	}
	in.awaited.bcd_device = usb.device;
	in.awaited.max_packet = usb.max_packet;
	in.awaited.other = r->swapped && (usb.vendor != 0x1782 || usb.product != 0x4d00);
	runner_trace(r, "  back");
	runner_give(r, &in);
}

void runner_detach(struct runner *r)
{
	runner_trace(r, "  detach");
	r->out_pending = false;
	if (r->config->swap && !r->first_departure) {
		r->swapped = true;
		r->swap_due = r->now + 300000;
	}
	r->first_departure = true;
	r->left = true;
	if (runner_awaiting(r, AWAIT_DEPARTURE))
		runner_tell(r, INPUT_AWAITED);
	else if (!runner_awaiting(r, AWAIT_RETURN))
		runner_gone(r);
}

void runner_attach(struct runner *r)
{
	runner_trace(r, "  attach");
	r->back_failed = runner_open(r) < 0;
	r->back = true;
	if (runner_awaiting(r, AWAIT_RETURN))
		runner_return(r);
}
