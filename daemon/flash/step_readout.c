/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An area of the phone into the caller's sink, piece by piece: what came is stored before the next piece is
 * asked for, so that nothing grows with the area and a full disk stops the reading where it stands. Reads are
 * of even length (bsl-protocol 3.1): a byte too many is asked for at an odd end and not stored.
 */
#include "flash/inner.h"

static const struct plan_step *current(const struct session *s)
{
	return &s->resolved->step[s->running];
}

static enum step_says read_begin(struct session *s)
{
	struct readout_state *st = &s->st.readout;
	const struct plan_step *p = current(s);
	uint64_t end = p->offset + p->size;

	if (!p->size)
		return step_fail(s, ERR_INTERNAL, "nothing to read of %s", p->target);
	st->left = p->size;
	reader_open(&st->r, p->by_name, p->target, p->address, end + (p->size & 1));
	st->r.pos = p->offset;
	st->r.doing_open = DOING_READ_OPEN;
	st->r.doing_read = DOING_READ;
	st->r.secret = true;
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
	st->piece = data;
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
