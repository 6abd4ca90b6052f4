/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Looking at an area that was erased. Some loaders acknowledge an erase and leave a partition of their list
 * as it was (device-behaviour 10.10), and nothing but a read tells. What is erased reads as 00 or FF, by the
 * storage; both may stand side by side, where whole blocks were erased and the rest of one was filled. Small
 * areas are read to their end, large ones in places, the first and the last among them.
 */
#include <stdio.h>

#include "flash/inner.h"
#include "flash/plan_build.h"

#define SECTOR 512u

static const struct plan_step *current(const struct session *s)
{
	return &s->resolved->step[s->running];
}

static enum step_says blank_begin(struct session *s)
{
	struct blank_state *st = &s->st.blank;
	const struct plan_step *p = current(s);

	if (!p->size) {
		snprintf(s->entries[p->of].note, sizeof(s->entries[0].note), "%s", p->no_verify);
		snprintf(s->entries[s->running].note, sizeof(s->entries[0].note), "%s", p->no_verify);
		return STEP_DONE;
	}
	s->progress.stage = STAGE_VERIFY;
	st->places = p->size > ERASE_LOOK ? ERASE_PLACES
					  : (uint32_t)((p->size + reader_piece(s) - 1) / reader_piece(s));
	reader_open(&st->r, p->by_name, p->target, p->address, p->size);
	st->r.doing_open = DOING_VERIFY_OPEN;
	st->r.doing_read = DOING_VERIFY_READ;
	st->r.secret = true;
	return STEP_ASK;
}

/* Where the next piece begins; the last one ends with the area. */
static uint64_t place(struct session *s)
{
	const struct blank_state *st = &s->st.blank;
	uint64_t size = current(s)->size, piece = reader_piece(s), last = size - MIN(size, piece);

	if (size <= ERASE_LOOK)
		return st->at * piece;
	if (st->at + 1 == st->places)
		return last & ~(uint64_t)1;
	return last / (st->places - 1) * st->at / SECTOR * SECTOR;
}

static enum step_says blank_next(struct session *s, struct ask *ask)
{
	struct blank_state *st = &s->st.blank;
	const struct plan_step *p = current(s);
	enum step_says says;

	if (!p->size)
		return STEP_DONE;
	if (st->r.at == READER_DATA && st->at < st->places)
		st->r.pos = place(s);
	says = reader_next(s, &st->r, ask, 0);
	if (says != STEP_DONE)
		return says;
	s->entries[p->of].verdict = s->entries[s->running].verdict = ENTRY_VERIFIED;
	s->entries[s->running].bytes_compared = s->entries[p->of].bytes_compared;
	snprintf(s->entries[p->of].note, sizeof(s->entries[0].note), "%s", p->no_verify);
	return STEP_DONE;
}

static enum step_says blank_take(struct session *s, const struct answer *a)
{
	struct blank_state *st = &s->st.blank;
	uint64_t from = st->r.pos;
	enum step_says says;
	const uint8_t *data;
	size_t len;

	says = reader_take(s, &st->r, a, &data, &len);
	if (says != STEP_ASK || !len)
		return says;
	for (size_t i = 0; i < len; i++, from++) {
		if (!data[i] || data[i] == 0xff)
			continue;
		s->ask.offset = from;
		s->entries[current(s)->of].verdict = ENTRY_FAILED;
		return step_diagnose(s, SYMPTOM_DIFFERS, -1, "byte %llu is not erased",
				     (unsigned long long)from);
	}
	session_moved(s, len);
	s->entries[current(s)->of].bytes_compared += len;
	/* the piece that ends with the area ends the reading by itself */
	if (++st->at < st->places)
		st->r.at = READER_DATA;
	return STEP_ASK;
}

const struct step_kind step_blank = {
	.name = "verify",
	.stage = STAGE_COUNT,
	.begin = blank_begin,
	.next = blank_next,
	.take = blank_take,
};
