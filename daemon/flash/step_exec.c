/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Starting loaders. The ROM acknowledges EXEC and jumps; FDL1 then wants single 7E bytes until it has trained
 * the memory (bsl-protocol 4.2). FDL1 never answers EXEC: what comes is FDL2's first word (bsl-protocol 4.3).
 */
#include <stdio.h>

#include "flash/inner.h"

#define LEAVE_WAIT	 (8 * SEC) /* for a departure that the loader announces (bsl-protocol 2.5) */
#define RETURN_ANNOUNCED (60 * SEC)
#define RETURN_SUDDEN	 (5 * SEC)    /* where the plan says that it is possible (device-behaviour 3.6) */
#define SUDDEN_PROBES	 8	      /* so many calls long a sudden departure is taken for that */
#define QUIET_VERSION	 (100 * MSEC) /* an ACK may follow a version (device-behaviour 13) */
#define QUIET_DOUBLE	 (300 * MSEC) /* old FDL2 may answer EXEC twice (bsl-protocol 4.3) */
#define RTOS_FLAGS	 3	      /* 7E bytes a single loader wants to see (bsl-protocol 2.4) */
#define RTOS_GAP	 (200 * MSEC)

static bool single(const struct session *s)
{
	return s->plan->fdl2.item < 0;
}

/* A boot loader playing the ROM does not enumerate again, whatever the file says (bsl-protocol 2.5). */
static bool announced(const struct session *s)
{
	return s->plan->fdl1.second_enum && !s->facts.autodownloader;
}

/* What the plan said before: by the loader's own word, or as a possibility. No other departure is outlived.
 */
static bool may_leave(const struct session *s)
{
	return announced(s) || (s->plan->fdl1.may_leave && !s->facts.autodownloader);
}

static enum step_says exec1_next(struct session *s, struct ask *ask)
{
	struct exec_state *st = &s->st.exec;

	switch (st->at) {
	case EXEC_SEND:
		ask_command(s, ask, DOING_EXEC_FDL1, BSL_CMD_EXEC);
		/* from here until it speaks nobody knows who listens: no sum frame may be tried
		 * (device-behaviour 18) */
		s->progress.phone_stage[0] = 0;
		s->progress.serial++;
		return STEP_ASK;
	case EXEC_DEPARTURE:
		ask->kind = ASK_AWAIT;
		ask->doing = DOING_RETURN_FDL1;
		ask->await.what = AWAIT_DEPARTURE;
		ask->usec = LEAVE_WAIT;
		return STEP_ASK;
	case EXEC_RETURN:
		ask->kind = ASK_AWAIT;
		ask->doing = DOING_RETURN_FDL1;
		ask->await.what = AWAIT_RETURN;
		ask->usec = announced(s) ? RETURN_ANNOUNCED : RETURN_SUDDEN;
		return STEP_ASK;
	case EXEC_PROBE:
		if (!st->probes) {
			enum bsl_stage to = single(s) ? BSL_STAGE_FDL : BSL_STAGE_FDL1;

			s->where = to;
			bsl_link_set_stage(s->link, to);
		}
		ask->kind = ASK_PROBE;
		ask->doing = DOING_PROBE_FDL1;
		if (single(s) && st->probes < RTOS_FLAGS - 1)
			ask->usec = RTOS_GAP;
		st->probes++;
		return STEP_ASK;
	case EXEC_QUIET:
		ask->doing = DOING_PROBE_FDL1;
		ask_quiet(ask, QUIET_VERSION);
		return STEP_ASK;
	case EXEC_OVER: break;
	}
	return STEP_DONE;
}

static enum step_says came_back(struct session *s, const struct answer *a)
{
	struct exec_state *st = &s->st.exec;

	if (a->kind != ANSWER_GOOD)
		return step_diagnose(s, SYMPTOM_NOT_BACK, -1, "gone after EXEC of FDL1 and not back in time");
	if (a->in->awaited.other)
		return step_diagnose(s, SYMPTOM_OTHER, -1, "another kind of device came back");
	if (a->in->awaited.max_packet)
		s->max_packet = a->in->awaited.max_packet;
	s->bcd_device = a->in->awaited.bcd_device;
	bsl_link_arrived(s->link, single(s) ? BSL_STAGE_FDL : BSL_STAGE_FDL1, s->max_packet);
	session_note(s, RECORD_USB, "back");
	st->returned = true;
	s->facts.left_unsaid = !announced(s);
	st->probes = 0;
	st->at = EXEC_PROBE;
	return STEP_ASK;
}

static enum step_says fdl1_speaks(struct session *s, const struct answer *a)
{
	struct exec_state *st = &s->st.exec;
	struct bsl_version v;

	if (bsl_parse_version(a->payload, a->len, &v))
		return step_diagnose(s, SYMPTOM_CODE, a->code, "a version without text");
	if (a->check == BSL_CHECK_CRC16)
		return step_diagnose(s, SYMPTOM_ROM_AGAIN, -1,
				     "the boot ROM answers where FDL1 was due: reset or another phone");
	memcpy(s->facts.fdl1_version, v.text, sizeof(s->facts.fdl1_version));
	session_where(s, single(s) ? BSL_STAGE_FDL : BSL_STAGE_FDL1);
	st->at = st->probes > 1 || single(s) ? EXEC_QUIET : EXEC_OVER;
	return STEP_ASK;
}

static enum step_says fdl1_silent(struct session *s, const struct answer *a)
{
	struct exec_state *st = &s->st.exec;
	unsigned tries = bsl_command_timing(BSL_CMD_PROBE, BSL_STAGE_FDL1, 0, 0).tries;

	st->sent |= a->kind == ANSWER_SILENT;
	if (st->probes < tries)
		return STEP_ASK;
	return step_diagnose(s, st->sent ? SYMPTOM_SILENT : SYMPTOM_NOT_TAKEN, -1, "%u calls to FDL1",
			     st->probes);
}

static enum step_says exec1_take(struct session *s, const struct answer *a)
{
	struct exec_state *st = &s->st.exec;

	/* it left: announced by the loader, or within the moment in which the plan takes that for possible */
	if (a->kind == ANSWER_GONE && may_leave(s) && st->at != EXEC_RETURN && !st->returned &&
	    st->probes <= SUDDEN_PROBES) {
		st->at = EXEC_RETURN;
		return STEP_ASK;
	}
	if (a->kind == ANSWER_GONE)
		return step_refused(s, a);
	switch (st->at) {
	case EXEC_SEND:
		if (a->kind != ANSWER_GOOD)
			return step_refused(s, a);
		st->at = announced(s) ? EXEC_DEPARTURE : EXEC_PROBE;
		return STEP_ASK;
	case EXEC_DEPARTURE:
		/* it stays: the loader may have thought better of it */
		st->at = a->kind == ANSWER_GOOD ? EXEC_RETURN : EXEC_PROBE;
		return STEP_ASK;
	case EXEC_RETURN: return came_back(s, a);
	case EXEC_PROBE:
		if (a->kind == ANSWER_GOOD)
			return fdl1_speaks(s, a);
		if (a->kind == ANSWER_CODE)
			return step_refused(s, a);
		return fdl1_silent(s, a);
	case EXEC_QUIET:
	case EXEC_OVER: st->at = EXEC_OVER; break;
	}
	return STEP_ASK;
}

const struct step_kind step_exec_fdl1 = {
	.name = "start-fdl1",
	.stage = STAGE_FDL1,
	.next = exec1_next,
	.take = exec1_take,
};

/* ---- FDL2 ------------------------------------------------------------------------------------ */

static enum step_says exec2_next(struct session *s, struct ask *ask)
{
	struct exec_state *st = &s->st.exec;

	switch (st->at) {
	case EXEC_SEND:
		ask_command(s, ask, DOING_EXEC_FDL2, BSL_CMD_EXEC);
		ask->command.also = BSL_REP_INCOMPATIBLE; /* not an error here: FDL2 reports itself by it */
		s->progress.phone_stage[0] = 0;
		s->progress.serial++;
		return STEP_ASK;
	case EXEC_QUIET:
		ask->doing = DOING_EXEC_FDL2;
		ask_quiet(ask, QUIET_DOUBLE);
		return STEP_ASK;
	default: return STEP_DONE;
	}
}

static enum step_says learn_capabilities(struct session *s, const struct answer *a)
{
	struct bsl_capability cap;
	struct device_facts *f = &s->facts;

	if (bsl_parse_capability(a->payload, a->len, &cap))
		return step_diagnose(s, SYMPTOM_MALFORMED, -1, "%zu bytes", a->len);
	if (cap.handshake)
		return step_fail(s, ERR_HANDSHAKE_REQUIRED, "algorithm %u", cap.handshake_kind);
	f->has_capabilities = cap.form != BSL_CAP_NONE;
	f->transcode_off_offered = cap.disable_transcode;
	f->lk = cap.lk;
	f->raw_level = cap.raw_level;
	f->flush_bytes = (uint32_t)MIN(cap.flush_bytes, (uint64_t)UINT32_MAX);
	switch (cap.storage) {
	case BSL_STORAGE_NAND: f->storage = STORAGE_NAND; break;
	case BSL_STORAGE_EMMC: f->storage = STORAGE_EMMC; break;
	case BSL_STORAGE_UFS: f->storage = STORAGE_UFS; break;
	case BSL_STORAGE_UNKNOWN: break;
	}
	return STEP_ASK;
}

static enum step_says exec2_take(struct session *s, const struct answer *a)
{
	struct exec_state *st = &s->st.exec;

	if (st->at == EXEC_QUIET) {
		if (a->kind != ANSWER_GOOD)
			return step_refused(s, a);
		st->at = EXEC_OVER;
		return STEP_ASK;
	}
	if (a->kind != ANSWER_GOOD)
		return step_refused(s, a);
	if (a->code == BSL_REP_INCOMPATIBLE && learn_capabilities(s, a) == STEP_FAILED)
		return STEP_FAILED;
	session_where(s, BSL_STAGE_FDL2);
	s->spoken = false; /* this was its first word, not an answer to a command */
	st->at = s->facts.has_capabilities ? EXEC_OVER : EXEC_QUIET;
	return STEP_ASK;
}

const struct step_kind step_exec_fdl2 = {
	.name = "start-fdl2",
	.stage = STAGE_FDL2,
	.next = exec2_next,
	.take = exec2_take,
};
