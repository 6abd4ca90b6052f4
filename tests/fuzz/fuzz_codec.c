/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The deframer on anything, in any cut: what comes out does not depend on the cuts, and what it takes for a
 * frame encodes back to itself. First byte: mode; second: how to cut.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "bsl/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	unsigned frames, faults;
	uint64_t digest;
};

static void mix(struct seen *s, const void *p, size_t n)
{
	const uint8_t *b = p;

	while (n--)
		s->digest = (s->digest ^ *b++) * 0x100000001b3u;
}

/* An even frame by sum is the same in both directions, and a CRC frame always is. */
static void round_trip(const struct bsl_frame *f, enum bsl_framing framing)
{
	static uint8_t wire[BSL_WIRE_MAX], body[BSL_BODY_MAX];
	struct bsl_piece piece = { f->payload, f->len };
	struct bsl_deframer d;
	struct bsl_frame again;
	enum bsl_fault fault;
	size_t used;
	ssize_t w;

	if (f->check == BSL_CHECK_SUM && (f->len & 1))
		return;
	w = bsl_encode(f->check, framing, f->type, &piece, 1, wire, sizeof(wire));
	assert(w > 0 && (size_t)w <= bsl_wire_bound(framing, f->len));
	bsl_deframer_init(&d, body, sizeof(body));
	bsl_deframer_mode(&d, f->check, framing);
	if (bsl_deframer_feed(&d, wire, (size_t)w, &used, &again, &fault) != BSL_DECODE_FRAME)
		abort();
	assert(used == (size_t)w && again.type == f->type && again.len == f->len);
	assert(!f->len || !memcmp(again.payload, f->payload, f->len));
	assert(again.check_field == f->check_field || f->check_field == 0xffff);
}

static void run(const uint8_t *data, size_t size, unsigned mode, size_t step, size_t room, struct seen *s)
{
	uint8_t *body = malloc(room);
	enum bsl_framing framing = mode & 4 ? BSL_FRAMING_PLAIN : BSL_FRAMING_ESCAPED;
	struct bsl_deframer d;
	size_t at = 0;

	assert(body);
	bsl_deframer_init(&d, body, room);
	bsl_deframer_mode(&d, (enum bsl_check)(mode & 3 ? mode & 3 : 3), framing);
	while (at < size) {
		size_t n = step < size - at ? step : size - at, used = 0;
		uint8_t *piece = malloc(n);
		struct bsl_frame f;
		enum bsl_fault fault;
		enum bsl_decode r;

		assert(piece);
		memcpy(piece, data + at, n);
		r = bsl_deframer_feed(&d, piece, n, &used, &f, &fault);
		assert(used <= n && (r != BSL_DECODE_MORE || used == n));
		/* a fault may be told without a step, but then the next feed takes one */
		if (r == BSL_DECODE_FRAME) {
			assert(f.len + 6 <= room);
			s->frames++;
			mix(s, &f.type, sizeof(f.type));
			mix(s, f.payload, f.len);
			round_trip(&f, framing);
		} else if (r == BSL_DECODE_BAD) {
			assert(fault != BSL_FAULT_NONE);
			s->faults++;
			mix(s, &fault, sizeof(fault));
		}
		free(piece);
		at += used;
	}
	free(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen whole = { 0 }, cut = { 0 };
	size_t room;

	if (size < 2)
		return 0;
	room = data[0] & 8 ? BSL_BODY_MAX : 6 + data[1] % 64;
	run(data + 2, size - 2, data[0], size, room, &whole);
	run(data + 2, size - 2, data[0], 1 + data[1] % 17, room, &cut);
	assert(whole.frames == cut.frames && whole.faults == cut.faults && whole.digest == cut.digest);
	return 0;
}
