/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An area of the phone into the caller's sink, piece by piece: what came is stored before the next piece is
 * asked for, so that nothing grows with the area and a full disk stops the reading where it stands. Reads are
 * of even length (bsl-protocol 3.1): a byte too many is asked for at an odd end and not stored.
 */
#include <errno.h>
#include <inttypes.h>

#include "flash/inner.h"

static struct plan_step *current(struct session *s)
{
	return &s->resolved->step[s->running];
}

/* Bytes [from, from + len) of the place, from its `offset` on. */
static void open_at(struct session *s, uint64_t from, uint64_t len)
{
	struct readout_state *st = &s->st.readout;
	const struct plan_step *p = current(s);
	uint64_t at = p->offset + from;

	reader_open(&st->r, p->by_name, p->target, p->address, at + len + (len & 1));
	st->r.pos = at;
	st->r.doing_open = DOING_READ_OPEN;
	st->r.doing_read = DOING_READ;
	st->r.secret = true;
	st->got = 0;
}

static enum step_says read_begin(struct session *s)
{
	struct readout_state *st = &s->st.readout;
	const struct plan_step *p = current(s);

	if (!p->size || (p->measure && p->size < DHTB_HEADER))
		return step_fail(s, ERR_INTERNAL, "nothing to read of %s", p->target);
	st->left = p->size;
	st->at = p->measure ? READOUT_HEADER : READOUT_AREA;
	open_at(s, 0, p->measure ? DHTB_HEADER : p->size);
	return STEP_ASK;
}

/* The header or the trailer has been read. */
static enum step_says measured(struct session *s)
{
	struct readout_state *st = &s->st.readout;
	struct plan_step *p = current(s);
	bool header = st->at == READOUT_HEADER;
	uint64_t len = 0;
	int r = dhtb_length(st->header, header ? NULL : st->trailer, p->size, &len);

	if (r == -ENOENT)
		return step_fail(s, ERR_INVALID_ARGS,
				 "no signed header there tells a length: say how many bytes");
	if (r)
		return step_fail(s, ERR_INVALID_ARGS,
				 "its signed header speaks of more bytes than there are (%" PRIu64 ")",
				 p->size);
	if (header && p->size - len >= DHTB_TRAILER) {
		st->at = READOUT_TRAILER;
		open_at(s, len, DHTB_TRAILER);
		return STEP_ASK;
	}
	/* what it was thought to be at most is not to come any more */
	s->progress.bytes_total -= MIN(s->progress.bytes_total - s->progress.bytes_done, p->size - len);
	s->resolved->bytes_to_read -= p->size - len;
	p->size = st->left = len;
	st->at = READOUT_AREA;
	open_at(s, 0, len);
	return STEP_ASK;
}

static enum step_says read_next(struct session *s, struct ask *ask)
{
	struct readout_state *st = &s->st.readout;
	enum step_says says;

	if (st->piece) {
		ask->kind = ASK_STORE;
		ask->store.bytes = st->piece;
		ask->store.len = st->piece_len;
	} else if (st->synced) {
		return STEP_DONE;
	} else {
		says = reader_next(s, &st->r, ask, 0);
		while (says == STEP_DONE && st->at != READOUT_AREA) {
			if (measured(s) == STEP_FAILED)
				return STEP_FAILED;
			says = reader_next(s, &st->r, ask, 0);
		}
		if (says != STEP_DONE)
			return says;
		ask->kind = ASK_SYNC;
	}
	ask->doing = DOING_READ;
	ask->secret = true;
	ask->offset = current(s)->offset + current(s)->size - st->left;
	ask->store.sink = (struct sink_ref){ .kind = SINK_READ, .index = current(s)->sink };
	return STEP_ASK;
}

static enum step_says read_take(struct session *s, const struct answer *a)
{
	struct readout_state *st = &s->st.readout;
	enum step_says says;
	const uint8_t *data;
	size_t len;

	if (s->ask.kind == ASK_STORE || s->ask.kind == ASK_SYNC) {
		if (a->kind != ANSWER_GOOD)
			return step_refused(s, a);
		if (s->ask.kind == ASK_SYNC) {
			st->synced = true;
			return STEP_ASK;
		}
		st->left -= st->piece_len;
		s->entries[s->running].bytes_read += st->piece_len;
		session_moved(s, st->piece_len);
		st->piece = NULL;
		return STEP_ASK;
	}
	says = reader_take(s, &st->r, a, &data, &len);
	if (says != STEP_ASK || !len)
		return says;
	if (st->at != READOUT_AREA) {
		bool header = st->at == READOUT_HEADER;
		size_t room = (header ? sizeof(st->header) : sizeof(st->trailer)) - st->got;

		memcpy((header ? st->header : st->trailer) + st->got, data, MIN(len, room));
		st->got += MIN(len, room);
		return STEP_ASK;
	}
	st->piece = bsl_link_keep(s->link, data, len);
	st->piece_len = (size_t)MIN((uint64_t)len, st->left);
	return STEP_ASK;
}

const struct step_kind step_read = {
	.name = "read",
	.stage = STAGE_READ,
	.begin = read_begin,
	.next = read_next,
	.take = read_take,
};
