/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Erasing, a new partition table, write protection. None of these is ever sent twice: a repeat is executed
 * twice (bsl-protocol 5).
 */
#include <stdio.h>

#include "flash/inner.h"
#include "flash/table_payload.h"

static const struct plan_step *current(const struct session *s)
{
	return &s->resolved->step[s->running];
}

static int build_erase(struct session *s)
{
	const struct plan_step *p = current(s);

	if (p->op == OP_ERASE_ALL)
		return s->plan->old_ids ? bsl_payload_erase_all_address(&s->payload)
					: bsl_payload_erase_all_name(&s->payload);
	if (p->by_name)
		return bsl_payload_erase_name(&s->payload, p->target);
	return bsl_payload_erase_address(&s->payload, (uint32_t)p->address, (uint32_t)p->size);
}

static enum step_says erase_next(struct session *s, struct ask *ask)
{
	switch (s->st.erase.at) {
	case ERASE_SEND:
		if (build_erase(s))
			return step_fail(s, ERR_INTERNAL, "an erase of %s cannot be built",
					 current(s)->target);
		ask_payload(s, ask, DOING_ERASE, BSL_CMD_ERASE);
		ask->command.work = current(s)->size;
		return STEP_ASK;
	case ERASE_ENABLE: ask_command(s, ask, DOING_ENABLE, BSL_CMD_ENABLE_WRITE); return STEP_ASK;
	default: return STEP_DONE;
	}
}

/* AC: nothing was done, the phone wants 0x1B first (device-behaviour 17: F47). Once. */
static bool protection(struct session *s, const struct answer *a)
{
	struct erase_state *st = &s->st.erase;

	if (a->kind != ANSWER_CODE || a->code != BSL_REP_WRITE_NOT_ENABLED || st->enabled ||
	    st->at != ERASE_SEND)
		return false;
	st->enabled = true;
	st->at = ERASE_ENABLE;
	return true;
}

static enum step_says erase_take(struct session *s, const struct answer *a)
{
	struct erase_state *st = &s->st.erase;

	if (protection(s, a))
		return STEP_ASK;
	if (a->kind != ANSWER_GOOD)
		return step_refused(s, a);
	if (st->at == ERASE_SEND && current(s)->op == OP_ERASE_ALL)
		memset(&s->facts.table, 0, sizeof(s->facts.table)); /* it went with the rest */
	st->at = st->at == ERASE_ENABLE ? ERASE_SEND : ERASE_OVER;
	return STEP_ASK;
}

const struct step_kind step_erase = {
	.name = "erase",
	.stage = STAGE_FLASH,
	.next = erase_next,
	.take = erase_take,
};

const struct step_kind step_erase_all = {
	.name = "erase-all",
	.stage = STAGE_FLASH,
	.next = erase_next,
	.take = erase_take,
};

static enum step_says enable_begin(struct session *s)
{
	s->st.erase.at = ERASE_ENABLE;
	s->st.erase.enabled = true;
	return STEP_ASK;
}

static enum step_says enable_take(struct session *s, const struct answer *a)
{
	if (a->kind != ANSWER_GOOD)
		return step_refused(s, a);
	s->st.erase.at = ERASE_OVER;
	return STEP_ASK;
}

const struct step_kind step_enable = {
	.name = "enable-write",
	.stage = STAGE_FLASH,
	.begin = enable_begin,
	.next = erase_next,
	.take = enable_take,
};

/* ---- repartition ----------------------------------------------------------------------------- */

static enum step_says repartition_next(struct session *s, struct ask *ask)
{
	struct erase_state *st = &s->st.erase;

	switch (st->at) {
	case ERASE_SEND: {
		ssize_t n;

		free(s->intent); /* the scratch that is free now: the link copies from it */
		s->intent_len = 0;
		s->intent = malloc(PLAN_TABLE_BYTES);
		if (!s->intent)
			return step_fail(s, ERR_INTERNAL, "no memory for a table");
		n = s->resolved->table.count
			    ? plan_table_payload(s->resolved, (uint8_t *)s->intent, PLAN_TABLE_BYTES)
			    : 0;
		if (n < 0)
			return step_fail(s, ERR_PACKAGE_PARTITIONS, "the table cannot be put into one frame");
		ask_command(s, ask, DOING_REPARTITION, BSL_CMD_REPARTITION);
		ask->command.payload = s->intent;
		ask->command.len = (size_t)n;
		return STEP_ASK;
	}
	case ERASE_ENABLE: ask_command(s, ask, DOING_ENABLE, BSL_CMD_ENABLE_WRITE); return STEP_ASK;
	case ERASE_PROVE: return table_next(s, ask);
	case ERASE_OVER: break;
	}
	return STEP_DONE;
}

/* The phone has acknowledged; what it shows now is what counts (bsl-protocol 12). */
static enum step_says prove(struct session *s)
{
	char text[160];

	s->ask.doing = DOING_PROVE_TABLE;
	if (s->facts.storage == STORAGE_NAND && s->table.refused)
		return STEP_DONE; /* volumes, whose sizes are the loader's own business (bsl-protocol 11.5) */
	if (!s->facts.table.count)
		return step_diagnose(s, SYMPTOM_DIFFERS, -1, "no table can be read after it was written");
	if (table_agrees(&s->facts.table, &s->resolved->table, text, sizeof(text)))
		return STEP_DONE;
	return step_diagnose(s, SYMPTOM_DIFFERS, -1, "%s", text);
}

static enum step_says repartition_ask(struct session *s, struct ask *ask)
{
	enum step_says says = repartition_next(s, ask);

	if (says == STEP_DONE && s->st.erase.at == ERASE_PROVE)
		return prove(s);
	return says;
}

static enum step_says repartition_take(struct session *s, const struct answer *a)
{
	struct erase_state *st = &s->st.erase;

	if (st->at == ERASE_PROVE)
		return table_take(s, a);
	if (protection(s, a))
		return STEP_ASK;
	if (a->kind != ANSWER_GOOD)
		return step_refused(s, a);
	if (st->at == ERASE_ENABLE) {
		st->at = ERASE_SEND;
		return STEP_ASK;
	}
	if (s->plan->old_ids || s->where == BSL_STAGE_FDL) {
		st->at = ERASE_OVER; /* acknowledged and ignored, or compiled in: nothing to read
					(device-behaviour 12) */
		return STEP_ASK;
	}
	st->at = ERASE_PROVE;
	return table_begin(s, true);
}

const struct step_kind step_repartition = {
	.name = "repartition",
	.stage = STAGE_FLASH,
	.next = repartition_ask,
	.take = repartition_take,
};
