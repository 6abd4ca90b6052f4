/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The mode of the first start: the loader's own command, which is sent once, then a look at where it is kept.
 * A loader that took it for something else is found out by that.
 */
#include "flash/inner.h"

static enum step_says first_begin(struct session *s)
{
	struct first_state *st = &s->st.first;

	put_le32(st->sent, (uint32_t)s->plan->mark[0].value);
	reader_open(&st->r, true, s->resolved->step[s->running].target, 0, MARK_FIRST_AT + sizeof(st->got));
	st->r.pos = MARK_FIRST_AT;
	st->r.doing_open = DOING_VERIFY_OPEN;
	st->r.doing_read = DOING_VERIFY_READ;
	return STEP_ASK;
}

static enum step_says compare(struct session *s)
{
	struct first_state *st = &s->st.first;
	uint32_t want = MARK_FIRST_MAGIC + get_le32(st->sent), got = get_le32(st->got);

	s->ask.doing = DOING_VERIFY_READ;
	if (got != want)
		return step_diagnose(s, SYMPTOM_DIFFERS, -1, "the mode was to be 0x%08x, there stands 0x%08x",
				     want, got);
	s->entries[s->running].verdict = ENTRY_VERIFIED;
	s->entries[s->running].bytes_compared = sizeof(st->got);
	return STEP_DONE;
}

static enum step_says first_next(struct session *s, struct ask *ask)
{
	struct first_state *st = &s->st.first;
	enum step_says says;

	if (!st->set) {
		s->unknown_spent = true;
		ask_command(s, ask, DOING_SETUP, BSL_CMD_SET_FIRST_MODE);
		ask->command.payload = st->sent;
		ask->command.len = sizeof(st->sent);
		return STEP_ASK;
	}
	says = reader_next(s, &st->r, ask, 0);
	return says == STEP_DONE ? compare(s) : says;
}

static enum step_says first_take(struct session *s, const struct answer *a)
{
	struct first_state *st = &s->st.first;
	enum step_says says;
	const uint8_t *data;
	size_t len;

	if (!st->set) {
		if (a->kind != ANSWER_GOOD)
			return step_refused(s, a);
		st->set = true;
		return STEP_ASK;
	}
	says = reader_take(s, &st->r, a, &data, &len);
	if (says == STEP_ASK && len) {
		memcpy(st->got + st->have, data, MIN(len, sizeof(st->got) - st->have));
		st->have += MIN(len, sizeof(st->got) - st->have);
	}
	return says;
}

const struct step_kind step_first_mode = {
	.name = "first-mode",
	.stage = STAGE_FLASH,
	.begin = first_begin,
	.next = first_next,
	.take = first_take,
};
