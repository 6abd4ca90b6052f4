/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A healthy phone that is asked what the session asks, so that the rest of a recorded answer can be known. */
#include <stdlib.h>
#include <string.h>

#include "bsl/codec.h"
#include "tests/sim/replay.h"

#define CLASS_REQUEST 0x21, 0x22, 0x0601

struct said {
	uint16_t type, check;
	size_t len;
	uint8_t *payload;
};

struct donor {
	struct phone *phone;
	uint64_t now;
	struct bsl_deframer deframer;
	uint8_t *body;
	struct said *said;
	size_t count, room;
};

struct donor *donor_new(struct phone *phone)
{
	struct donor *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->phone = phone;
	d->now = 1000;
	d->body = malloc(BSL_BODY_MAX);
	if (!d->body) {
		free(d);
		return NULL;
	}
	bsl_deframer_init(&d->deframer, d->body, BSL_BODY_MAX);
	phone_control(phone, d->now, CLASS_REQUEST, 0);
	return d;
}

void donor_free(struct donor *d)
{
	if (!d)
		return;
	for (size_t i = 0; i < d->count; i++)
		free(d->said[i].payload);
	free(d->said);
	free(d->body);
	free(d);
}

struct phone_usb donor_usb(const struct donor *d)
{
	return phone_usb(d->phone);
}

/* short answers stand in the recording whole */
static void keep(struct donor *d, const struct bsl_frame *f)
{
	struct said *s;

	if (d->count == d->room) {
		size_t room = d->room ? 2 * d->room : 64;
		struct said *more = realloc(d->said, room * sizeof(*more));

		if (!more)
			return;
		d->said = more;
		d->room = room;
	}
	s = &d->said[d->count];
	*s = (struct said){ f->type, f->check_field, f->len, malloc(f->len ? f->len : 1) };
	if (!s->payload)
		return;
	memcpy(s->payload, f->payload, f->len);
	d->count++;
}

/* One event of the phone; true: a whole frame came. */
static bool event(struct donor *d)
{
	struct phone_event e;
	bool whole = false;
	size_t at = 0;

	if (!phone_poll(d->phone, d->now, &e))
		return false;
	if (e.kind == PHONE_ATTACH) {
		phone_control(d->phone, d->now, CLASS_REQUEST, 0);
		bsl_deframer_mode(&d->deframer, BSL_CHECK_EITHER, BSL_FRAMING_ESCAPED);
	}
	while (e.kind == PHONE_IN && at < e.length) {
		struct bsl_frame frame;
		enum bsl_fault fault;
		size_t used = 0;

		if (bsl_deframer_feed(&d->deframer, e.bytes + at, e.length - at, &used, &frame, &fault) ==
		    BSL_DECODE_FRAME) {
			keep(d, &frame);
			whole = true;
		}
		at += used;
	}
	return whole;
}

/* Until a frame came if that is what is waited for, else until the time is over. */
static void hear(struct donor *d, uint64_t until, bool frame)
{
	for (;;) {
		uint64_t due;

		if (event(d) && frame)
			return;
		due = phone_due(d->phone);
		if (due > until) {
			d->now = until > d->now && !frame ? until : d->now;
			return;
		}
		d->now = due > d->now ? due : d->now + 1;
		if (d->now > until)
			return;
	}
}

void donor_pass(struct donor *d, uint64_t usec)
{
	hear(d, d->now + usec, false);
}

static bool push(struct donor *d, const uint8_t *bytes, size_t len, bool zlp, uint64_t until)
{
	while (phone_out(d->phone, d->now, bytes, len, zlp) == PHONE_NAK) {
		uint64_t due = phone_due(d->phone);

		if (due > until)
			return false;
		d->now = due > d->now ? due : d->now + 1;
		event(d);
	}
	return true;
}

void donor_stream(struct donor *d, const uint8_t *bytes, size_t len, bool zlp, uint64_t usec)
{
	if (push(d, bytes, len, zlp, d->now + 10000000) && usec)
		hear(d, d->now + usec, true);
}

void donor_ask(struct donor *d, const uint8_t *bytes, size_t len, bool zlp, bool plain, uint64_t usec)
{
	uint64_t until = d->now + usec;

	donor_pass(d, 1000); /* what it still has to say belongs to an earlier question */
	bsl_deframer_mode(&d->deframer, BSL_CHECK_EITHER, plain ? BSL_FRAMING_PLAIN : BSL_FRAMING_ESCAPED);
	if (push(d, bytes, len, zlp, until))
		hear(d, until, true);
}

const uint8_t *donor_find(const struct donor *d, const struct record *like)
{
	/* the latest first: it was asked last what is answered now */
	for (size_t i = d->count; i-- > 0;) {
		const struct said *s = &d->said[i];

		if (s->type == like->type && s->check == like->check && s->len == like->length &&
		    !memcmp(s->payload, like->head, like->head_len))
			return s->payload;
	}
	return NULL;
}
