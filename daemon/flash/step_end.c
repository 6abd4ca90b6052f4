/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The end of a job (bsl-protocol 4.6): restart, or power off, which waits for the cable. A departure instead
 * of an ACK is success; an ACK without a departure is not, for a restart.
 */
#include "flash/inner.h"

#define LEAVE_WAIT (5 * SEC)

static bool resets(const struct session *s)
{
	return s->step == &step_reset;
}

static enum step_says end_next(struct session *s, struct ask *ask)
{
	struct end_state *st = &s->st.end;

	switch (st->at) {
	case END_SEND:
		s->progress.boundary = BOUNDARY_BOUND;
		ask_command(s, ask, resets(s) ? DOING_RESET : DOING_POWER_OFF,
			    resets(s) ? BSL_CMD_RESET : BSL_CMD_POWER_OFF);
		return STEP_ASK;
	case END_DEPARTURE:
		ask->kind = ASK_AWAIT;
		ask->doing = resets(s) ? DOING_RESET : DOING_POWER_OFF;
		ask->await.what = AWAIT_DEPARTURE;
		ask->usec = LEAVE_WAIT;
		return STEP_ASK;
	case END_OVER: break;
	}
	return STEP_DONE;
}

static enum step_says end_take(struct session *s, const struct answer *a)
{
	struct end_state *st = &s->st.end;

	if (a->kind == ANSWER_GONE) { /* some builds leave before their ACK does (bsl-protocol 14) */
		st->at = END_OVER;
		return STEP_ASK;
	}
	switch (st->at) {
	case END_SEND:
		/* without a readable ACK the departure decides */
		if (a->kind != ANSWER_GOOD && a->kind != ANSWER_SILENT && a->kind != ANSWER_GARBLED)
			return step_refused(s, a);
		st->acked = a->kind == ANSWER_GOOD;
		st->at = END_DEPARTURE;
		return STEP_ASK;
	case END_DEPARTURE:
		if (a->kind != ANSWER_GOOD && (resets(s) || !st->acked))
			return step_diagnose(s, SYMPTOM_STAYS, -1, "still there after the restart was due");
		/* switching off waits until the cable is out: nothing failed (device-behaviour 17: F61) */
		if (a->kind != ANSWER_GOOD)
			session_note(s, RECORD_NOTE, "unplug to switch off");
		st->at = END_OVER;
		return STEP_ASK;
	case END_OVER: break;
	}
	return STEP_ASK;
}

const struct step_kind step_reset = {
	.name = "reset",
	.stage = STAGE_END,
	.next = end_next,
	.take = end_take,
};

const struct step_kind step_power_off = {
	.name = "power-off",
	.stage = STAGE_END,
	.next = end_next,
	.take = end_take,
};
