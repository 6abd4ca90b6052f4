/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The first words with FDL2: framing, raw mode, identity, and what is owed to that identity. 0x0D is never
 * sent: where the storage is no NAND it stays unanswered and can end the session (bsl-protocol 4.5).
 */
#include <stdio.h>

#include "flash/inner.h"
#include "pac/digest.h"

static bool raw_wanted(const struct session *s)
{
	return s->plan->options.raw && s->facts.raw_level && session_plain(s) && !s->facts.autodownloader;
}

static enum step_says setup_next(struct session *s, struct ask *ask)
{
	if (s->facts.transcode_off_offered && !session_plain(s) && !s->st.load.pos) {
		s->st.load.pos = 1;
		/* on record before it leaves: after a crash in between no lone 7E may be tried (F69) */
		s->progress.plain_framing = true;
		s->progress.serial++;
		ask_command(s, ask, DOING_SETUP, BSL_CMD_DISABLE_TRANSCODE);
		return STEP_ASK;
	}
	if (raw_wanted(s) && !s->raw && s->st.load.pos < 2) {
		s->st.load.pos = 2;
		bsl_payload_enable_raw(&s->payload, s->facts.lk);
		ask_payload(s, ask, DOING_SETUP, BSL_CMD_ENABLE_RAW);
		return STEP_ASK;
	}
	return STEP_DONE;
}

static enum step_says setup_take(struct session *s, const struct answer *a)
{
	if (a->kind == ANSWER_CODE && a->code == BSL_REP_UNSUPPORTED) {
		s->unknown_spent = true; /* offered, but not there: go on without it */
		s->progress.plain_framing = session_plain(s);
		s->progress.serial++;
		return STEP_ASK;
	}
	if (a->kind != ANSWER_GOOD)
		return step_refused(s, a);
	s->progress.plain_framing = session_plain(s);
	s->progress.serial++;
	if (s->ask.command.code == BSL_CMD_ENABLE_RAW)
		s->raw = true;
	return STEP_ASK;
}

const struct step_kind step_setup = {
	.name = "set-up",
	.stage = STAGE_LEARN,
	.next = setup_next,
	.take = setup_take,
};

/* ---- identity -------------------------------------------------------------------------------- */

static enum step_says uid_next(struct session *s, struct ask *ask)
{
	if (s->st.load.pos++)
		return STEP_DONE;
	s->unknown_spent = true; /* device-behaviour 17: F20, once a session */
	ask_command(s, ask, DOING_UID, BSL_CMD_READ_CHIP_UID);
	ask->secret = true; /* traces are shown around */
	return STEP_ASK;
}

/* One form for all (design, promise 5): the SHA-256 that newer builds tell; a plain UID is hashed as they do
 * it. */
static void keep_unit(struct session *s, const struct bsl_uid *uid)
{
	uint8_t sum[DIGEST_SIZE];

	if (uid->kind == BSL_UID_NONE)
		return;
	if (uid->kind == BSL_UID_SHA256) {
		memcpy(s->facts.unit, uid->text, sizeof(s->facts.unit));
		s->facts.unit[sizeof(s->facts.unit) - 1] = 0;
		return;
	}
	if (digest_bytes(uid->text, strlen(uid->text), sum))
		return;
	for (size_t i = 0; i < DIGEST_SIZE; i++)
		snprintf(s->facts.unit + 2 * i, 3, "%02x", sum[i]);
}

static enum step_says uid_take(struct session *s, const struct answer *a)
{
	struct bsl_uid uid;

	if (a->kind == ANSWER_GOOD) {
		if (bsl_parse_uid(a->payload, a->len, &uid) == 0)
			keep_unit(s, &uid);
		return STEP_ASK;
	}
	if (a->kind == ANSWER_CODE && (a->code == BSL_REP_UNSUPPORTED || a->code == BSL_REP_FAILED))
		return STEP_ASK;
	return step_refused(s, a);
}

const struct step_kind step_uid = {
	.name = "read-uid",
	.stage = STAGE_LEARN,
	.next = uid_next,
	.take = uid_take,
};

/* ---- what is owed ---------------------------------------------------------------------------- */

static enum step_says owed_next(struct session *s, struct ask *ask)
{
	if (s->st.load.pos)
		return STEP_DONE;
	ask->kind = ASK_AWAIT;
	ask->await.what = AWAIT_OWED;
	return STEP_ASK;
}

/*
 * Without identity on both sides an owed backup of the same slot blocks the job until the operator says whose
 * it is (design, promise 5).
 */
static enum step_says owed_take(struct session *s, const struct answer *a)
{
	const struct plan_options *o = &s->plan->options;
	const struct owed_backup *doubtful = NULL;
	bool named = false;

	if (a->kind != ANSWER_GOOD)
		return step_refused(s, a);
	s->st.load.pos = 1;
	free(s->owed);
	s->owed_count = 0;
	s->owed = calloc(a->in->awaited.count ? a->in->awaited.count : 1, sizeof(*s->owed));
	if (!s->owed)
		return step_fail(s, ERR_INTERNAL, "no memory for what is owed");
	for (uint32_t i = 0; i < a->in->awaited.count; i++) {
		const struct owed_backup *b = &a->in->awaited.list[i];
		struct owed_backup *kept = &s->owed[s->owed_count++];

		/* its place stays: the runner knows backups by the number in its own list */
		if (session_is_raw(b->name))
			continue;
		*kept = *b;
		kept->name[sizeof(kept->name) - 1] = 0;
		kept->job[sizeof(kept->job) - 1] = 0;
		if (o->nv_from[0] && !strcmp(o->nv_from, kept->job))
			named = true;
		if (!b->same_unit)
			doubtful = kept;
	}
	if (o->nv_from[0] && !named)
		return step_fail(s, ERR_NV_OWED, "no backup of job %s is owed to this phone or port",
				 o->nv_from);
	if (doubtful && !named && !o->nv_not_this_phone)
		return step_fail(s, ERR_NV_OWED, "%s of job %s", doubtful->name, doubtful->job);
	return STEP_ASK;
}

const struct step_kind step_owed = {
	.name = "look-up",
	.stage = STAGE_LEARN,
	.next = owed_next,
	.take = owed_take,
};
