/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Loaders into RAM: START, MIDST, END by the ROM (CRC-16) or by FDL1 (sum), at most 528 bytes a frame, which
 * is inside what every ROM and every FDL1 can hold (bsl-protocol 3.4, 4.1, 4.2). END is never left out: where
 * the ROM checks the signature there, its refusal is the answer.
 */
#include <errno.h>

#include "flash/inner.h"

static bool second(const struct session *s)
{
	return s->step == &step_load_fdl2;
}

static const struct plan_loader *loader(const struct session *s)
{
	return second(s) ? &s->plan->fdl2 : &s->plan->fdl1;
}

static enum step_says load_begin(struct session *s)
{
	const struct plan_loader *l = loader(s);
	struct source_ref source = { .kind = SOURCE_LOADER, .index = (uint32_t)l->item };
	const struct pac_item *item = plan_loader_item(s->plan, l);

	if (!item || !l->size || l->size > UINT32_MAX)
		return step_fail(s, ERR_PACKAGE_NO_LOADER, "no loader of a usable size");
	session_entry(s, item->file ? item->file->id : "loader");
	feed_open(&s->feed, source, l->size, bsl_link_chunk(s->link));
	return STEP_ASK;
}

static bool load_data(struct session *s, uint64_t pos, struct ask *ask)
{
	uint64_t left = loader(s)->size - pos;
	size_t ready = feed_ready(&s->feed, pos), n = MIN(left, (uint64_t)bsl_link_chunk(s->link));

	if (!left || !ready)
		return false;
	n = MIN(n, ready);
	ask->kind = ASK_DATA;
	ask->doing = second(s) ? DOING_SEND_FDL2 : DOING_SEND_FDL1;
	ask->when = pos == 0 ? WHEN_FIRST : 0;
	ask->secret = true;
	ask->offset = pos;
	ask->data.bytes = feed_at(&s->feed, pos, n);
	ask->data.len = n;
	return true;
}

static enum step_says load_next(struct session *s, struct ask *ask)
{
	struct load_state *st = &s->st.load;
	const struct plan_loader *l = loader(s);

	switch (st->at) {
	case LOAD_START:
		if (bsl_payload_start_address(&s->payload, l->base, (uint32_t)l->size, NULL))
			return step_fail(s, ERR_INTERNAL, "START of a loader cannot be built");
		ask_payload(s, ask, second(s) ? DOING_START_FDL2 : DOING_START_FDL1, BSL_CMD_START);
		ask->command.work = l->size;
		return STEP_ASK;
	case LOAD_DATA:
		if (!load_data(s, st->pos, ask))
			ask_fetch(ask, &s->feed, st->pos);
		return STEP_ASK;
	case LOAD_END:
		ask_command(s, ask, second(s) ? DOING_END_FDL2 : DOING_END_FDL1, BSL_CMD_END);
		return STEP_ASK;
	case LOAD_OVER: break;
	}
	return STEP_DONE;
}

static enum step_says load_take(struct session *s, const struct answer *a)
{
	struct load_state *st = &s->st.load;

	if (a->kind != ANSWER_GOOD)
		return step_refused(s, a);
	switch (st->at) {
	case LOAD_START: st->at = LOAD_DATA; break;
	case LOAD_DATA:
		st->pos += a->taken;
		session_moved(s, a->taken);
		if (st->pos == loader(s)->size)
			st->at = LOAD_END;
		break;
	case LOAD_END:
	case LOAD_OVER:
		st->at = LOAD_OVER;
		if (second(s))
			s->result.fdl2_sent = true;
		else
			s->result.fdl1_sent = true;
		break;
	}
	return STEP_ASK;
}

static bool load_ahead(struct session *s, struct ask *ask)
{
	struct load_state *st = &s->st.load;

	return st->at == LOAD_DATA && s->ask.kind == ASK_DATA && load_data(s, st->pos + s->taken, ask);
}

const struct step_kind step_load_fdl1 = {
	.name = "load-fdl1",
	.stage = STAGE_FDL1,
	.begin = load_begin,
	.next = load_next,
	.take = load_take,
	.ahead = load_ahead,
};

const struct step_kind step_load_fdl2 = {
	.name = "load-fdl2",
	.stage = STAGE_FDL2,
	.begin = load_begin,
	.next = load_next,
	.take = load_take,
	.ahead = load_ahead,
};
