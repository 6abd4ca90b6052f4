/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Raw data mode: 0x28, 0x31, 0x32, 0x33 (device-behaviour 8). */
#include <stdlib.h>

#include "tests/phone/device.h"

enum { CHUNK = 2 << 20, NODE = 65472 };

static uint64_t due_now(const struct xfer *x)
{
	return x->raw_left < CHUNK ? x->raw_left : CHUNK;
}

void ph_raw_command(struct phone *p, uint16_t type, const uint8_t *payload, size_t length)
{
	struct xfer *x = &p->x;

	if (type == C_RAW_ENABLE) {
		p->raw_enabled = true;
		ph_reply(p, R_ACK, NULL, 0);
		return;
	}
	if (type == C_RAW_SHA) {
		ph_reply(p, R_FAILED, NULL, 0);
		return;
	}
	if (!p->raw_enabled || !x->open) {
		ph_die(p, "raw data without 0x28 and START", false);
		return;
	}
	if (p->profile->raw_level == 0) { /* the driver's ready count is 0: ACK, then refusal (8.9) */
		ph_reply(p, R_ACK, NULL, 0);
		ph_reply(p, R_SIZE, NULL, 0);
		return;
	}
	if (x->raw_left == 0) {
		if (type == C_RAW1)
			ph_reply(p, R_ACK, NULL, 0);
		ph_reply(p, R_SIZE, NULL, 0);
		return;
	}
	x->raw_mode = true;
	x->raw_wait = type;
	p->dma_length = 0;
	ph_reply(p, R_ACK, NULL, 0);
}

static void chunk_done(struct phone *p)
{
	struct xfer *x = &p->x;
	uint64_t want = due_now(x), cost = 0;
	size_t got = p->dma_length;
	bool silent = false, last, true_end;
	uint16_t code;

	p->whim = (struct whim){ 0 };
	ph_fault_at(p, AT_CHUNK, p->current);
	if (p->whim.vanish) {
		ph_leave(p, p->now, PHONE_NEVER, PHONE_OFF);
		ph_advance(p, p->now);
		return;
	}
	if (p->whim.stall) {
		ph_die(p, "fault: stall", false);
		return;
	}
	if (ph_fault_hit(p, "F43", p->current) && got > NODE) {
		got /= 2; /* half was lost on the bus; the driver reports the full length, stale bytes are
			     written */
		memset(p->dma + got, 0xa5, (size_t)want - got);
		got = (size_t)want;
		p->lied = true;
	}
	if (got < want && want <= NODE) {
		x->raw_wait = 0;
		ph_reply(p, R_SIZE, NULL, 0);
		return;
	}
	if (got < want) {
		ph_fault_fired(p, "F43");
		p->lied = true;
		if (p->dma_room < want) {
			p->dma = realloc(p->dma, want);
			p->dma_room = want;
			if (!p->dma)
				abort();
		}
		memset(p->dma + got, 0xa5, (size_t)want - got);
	}
	ph_entry_piece(p, p->dma, (size_t)want, true, true);
	x->raw_left -= want;
	last = x->raw_left == 0;
	true_end = p->profile->raw_true_end && last;
	/* The ACK says received, not written; only the late builds' last one says written. */
	if (!true_end)
		ph_reply(p, R_ACK, NULL, 0);
	code = ph_fault_hit(p, "F42", p->current) ? R_WRITE
						  : ph_write_push(p, p->dma, (size_t)want, &cost, &silent);
	p->dma_length = 0;
	if (x->raw_wait == C_RAW1 || last)
		x->raw_wait = 0;
	if (silent) {
		ph_die(p, "image refused in silence", false);
		return;
	}
	if (code != R_ACK) {
		ph_entry_error(p, code);
		x->raw_wait = 0;
		x->unsaved = 0;
		ph_reply_after(p, cost, code, NULL, 0); /* one more: in the place of the next ACK */
		return;
	}
	if (true_end)
		ph_reply_after(p, cost + p->profile->t_reply, R_ACK, NULL, 0);
	else
		p->busy_until += ph_delay(p, cost);
}

/* A piece is over with a short packet or ZLP, not by its length: its last DMA node is armed for more (6.3).
 */
void ph_raw_bytes(struct phone *p, const uint8_t *data, size_t length, bool ended)
{
	uint64_t want = due_now(&p->x);

	if (p->dma_length + length > p->dma_room) {
		p->dma_room = CHUNK + p->dma_length + length;
		p->dma = realloc(p->dma, p->dma_room);
		if (!p->dma)
			abort();
	}
	if (length)
		memcpy(p->dma + p->dma_length, data, length);
	p->dma_length += length;
	if (ended && p->dma_length)
		chunk_done(p);
	else if (p->dma_length >= want)
		ph_fault_fired(p, "F24");
}
