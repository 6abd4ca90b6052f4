/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Getting to know who is there: a phone that was seen to arrive is a boot ROM (bsl-protocol 4.1); one that
 * was there before is found out in the order of device-behaviour 18.
 */
#include <stdio.h>

#include "flash/inner.h"

#define BCD_GADGET    0x2416	   /* boot loader that plays the ROM (bsl-protocol 2.2) */
#define QUIET_OPEN    (200 * MSEC) /* old replies in the phone's FIFO: device-behaviour 17, F67 */
#define QUIET_ANSWERS (150 * MSEC)

/* The last loader of the plan, if the record says that it runs; of a plan without loaders whichever does. */
static enum bsl_stage stayed_in(const struct session *s)
{
	const struct plan *p = s->plan;
	bool first = !strcmp(s->config.record.stage, "fdl1"), last = !strcmp(s->config.record.stage, "fdl2");

	if (p->fdl1.item < 0)
		return last ? BSL_STAGE_FDL2 : first ? BSL_STAGE_FDL : BSL_STAGE_UNKNOWN;
	if (!s->config.before)
		return BSL_STAGE_UNKNOWN;
	if (p->fdl2.item < 0)
		return first ? BSL_STAGE_FDL : BSL_STAGE_UNKNOWN;
	return last ? BSL_STAGE_FDL2 : BSL_STAGE_UNKNOWN;
}

/* What may be running there without escaping must not be probed: one byte crashes it (device-behaviour 18).
 */
static enum step_says connect_begin(struct session *s)
{
	struct connect_state *c = &s->st.connect;
	const struct port_record *rec = &s->config.record;

	if (s->fresh) {
		c->drained = true;
		return STEP_ASK;
	}
	c->stayed = s->plan && rec->known && !rec->dirty && stayed_in(s) != BSL_STAGE_UNKNOWN;
	if (!rec->known) {
		s->ask.doing = DOING_DETECT;
		return step_fail(s, ERR_STAGE_UNKNOWN,
				 "it was there before fdld and nothing is on record about it");
	}
	if (rec->plain_framing)
		c->detect = true;
	return STEP_ASK;
}

/* A loader that was left running says nothing of itself a second time. The table may have changed: it is
 * read. */
static void recall(struct session *s)
{
	const struct device_facts *f = s->config.before;

	s->resumed = true;
	if (!f)
		return;
	s->facts.has_capabilities = f->has_capabilities;
	s->facts.transcode_off_offered = f->transcode_off_offered;
	s->facts.lk = f->lk;
	s->facts.raw_level = f->raw_level;
	s->facts.flush_bytes = f->flush_bytes;
	s->facts.storage = f->storage;
	memcpy(s->facts.unit, f->unit, sizeof(s->facts.unit));
}

/* Where the session before this one stopped. Its one command that the phone may not know is used up. */
static void go_on(struct session *s)
{
	recall(s);
	s->unknown_spent = true;
	s->spoken = true;
	session_where(s, stayed_in(s));
	if (s->config.record.plain_framing)
		bsl_link_set_plain(s->link);
	s->progress.plain_framing = s->config.record.plain_framing;
}

static enum step_says connect_next(struct session *s, struct ask *ask)
{
	struct connect_state *c = &s->st.connect;

	if (!c->drained) {
		ask->doing = DOING_DETECT;
		ask_quiet(ask, QUIET_OPEN);
		return STEP_ASK;
	}
	if (c->stayed) {
		go_on(s);
		return STEP_DONE;
	}
	if (c->spoke) { /* the stage is known; CONNECT is due in the ROM */
		if (c->quiet) {
			ask->doing = DOING_CONNECT_ROM;
			ask_quiet(ask, QUIET_ANSWERS);
		} else {
			ask_command(s, ask, DOING_CONNECT_ROM, BSL_CMD_CONNECT);
		}
		return STEP_ASK;
	}
	if (c->detect) {
		if (bsl_link_draining(s->link)) {
			ask->doing = DOING_DETECT;
			ask_quiet(ask, QUIET_ANSWERS);
			return STEP_ASK;
		}
		session_where(s, BSL_STAGE_FDL1);
		if (s->config.record.plain_framing) {
			session_where(s, BSL_STAGE_FDL2);
			bsl_link_set_plain(s->link);
			s->progress.plain_framing = true;
		}
		ask_command(s, ask, DOING_DETECT, BSL_CMD_CONNECT);
		return STEP_ASK;
	}
	c->probes++;
	ask->kind = ASK_PROBE;
	ask->doing = DOING_PROBE_ROM;
	return STEP_ASK;
}

static enum step_says known_fdl1(struct session *s)
{
	session_where(s, s->plan && s->plan->fdl2.item < 0 ? BSL_STAGE_FDL : BSL_STAGE_FDL1);
	return STEP_ASK;
}

static enum step_says on_version(struct session *s, const struct answer *a)
{
	struct connect_state *c = &s->st.connect;
	struct bsl_version v;

	if (bsl_parse_version(a->payload, a->len, &v))
		return step_diagnose(s, SYMPTOM_CODE, a->code, "a version without text");
	/* one answer for several probes, or one for each: the rest must not answer CONNECT */
	c->quiet = c->probes > 1;
	if (a->check == BSL_CHECK_SUM) {
		/* a fresh FDL1: left there, or started by somebody else */
		memcpy(s->facts.fdl1_version, v.text, sizeof(s->facts.fdl1_version));
		known_fdl1(s);
		return STEP_DONE;
	}
	memcpy(s->facts.rom_version, v.text, sizeof(s->facts.rom_version));
	s->facts.autodownloader = v.autodownloader;
	session_where(s, BSL_STAGE_ROM);
	if (!s->plan)
		return STEP_DONE;
	if (s->plan->fdl1.item < 0) /* there is nothing to load, and nothing to end */
		return step_fail(s, ERR_NOTHING_KEPT, "the phone is in its boot ROM");
	c->spoke = true;
	return STEP_ASK;
}

static enum step_says on_detected(struct session *s, const struct answer *a)
{
	bool fe = a->kind == ANSWER_CODE && a->code == BSL_REP_UNSUPPORTED;

	if (a->kind == ANSWER_GOOD && !s->config.record.plain_framing) {
		recall(s);
		/* loaders of feature phones take it in either stage: what we left there is on record */
		if (s->plan && s->plan->fdl2.item >= 0 && !s->config.record.dirty &&
		    !strcmp(s->config.record.stage, "fdl2"))
			session_where(s, BSL_STAGE_FDL2);
		else
			known_fdl1(s);
		return STEP_DONE;
	}
	if (!fe)
		return step_refused(s, a);
	s->unknown_spent =
		true; /* the FE costs a packet: nothing else it may not know (device-behaviour 18) */
	recall(s);
	session_where(s, BSL_STAGE_FDL2);
	if (s->config.record.plain_framing) {
		bsl_link_set_plain(s->link);
		s->progress.plain_framing = true;
	}
	if (s->config.record.dirty && s->plan && s->plan->fdl1.item >= 0)
		return step_diagnose(
			s, SYMPTOM_STAYS, -1,
			"FDL2 of a session that was broken off still runs, perhaps with half an image");
	return STEP_DONE;
}

/* No version came. */
static enum step_says on_silence(struct session *s, const struct answer *a)
{
	struct connect_state *c = &s->st.connect;
	bool loader = s->config.record.stage[0] && strcmp(s->config.record.stage, "rom") != 0;

	c->sent |= a->kind == ANSWER_SILENT;
	if (!s->fresh && c->sent && loader && s->bcd_device != BCD_GADGET) {
		bsl_link_expire(s->link);
		c->detect = true;
		return STEP_ASK;
	}
	if (c->probes < bsl_command_timing(BSL_CMD_PROBE, BSL_STAGE_UNKNOWN, 0, 0).tries)
		return STEP_ASK;
	if (c->garbled)
		return step_diagnose(s, SYMPTOM_GARBLED, -1, "only damaged answers to %u calls", c->probes);
	if (!s->fresh)
		return step_fail(s, ERR_STAGE_UNKNOWN, "no answer to %u calls", c->probes);
	return step_diagnose(s, c->sent ? SYMPTOM_SILENT : SYMPTOM_NOT_TAKEN, -1, "%u calls", c->probes);
}

static enum step_says on_connected(struct session *s, const struct answer *a)
{
	struct connect_state *c = &s->st.connect;

	if (a->kind == ANSWER_GOOD) {
		s->progress.serial++;
		return STEP_DONE;
	}
	/* some ROMs fail the first CONNECT: once more, in the ROM only (bsl-protocol 4.1) */
	if (a->kind != ANSWER_GONE && ++c->connects <= bsl_command_repeats(BSL_CMD_CONNECT, BSL_STAGE_ROM)) {
		c->quiet = true;
		return STEP_ASK;
	}
	return step_refused(s, a);
}

static enum step_says connect_take(struct session *s, const struct answer *a)
{
	struct connect_state *c = &s->st.connect;

	if (s->ask.kind == ASK_QUIET && a->kind == ANSWER_GOOD) {
		c->drained = true;
		c->quiet = false;
		return STEP_ASK;
	}
	if (a->kind == ANSWER_GONE)
		return step_refused(s, a);
	if (s->ask.doing == DOING_CONNECT_ROM)
		return on_connected(s, a);
	if (s->ask.doing == DOING_DETECT)
		return on_detected(s, a);
	if (a->kind == ANSWER_GOOD)
		return on_version(s, a);
	/* an answer to somebody else's question: let the rest of it pass and call again, once (bsl-protocol
	 * 14) */
	if (a->kind == ANSWER_CODE && !c->restarted) {
		c->restarted = true;
		c->drained = false;
		return STEP_ASK;
	}
	if (a->kind == ANSWER_CODE)
		return step_refused(s, a);
	return on_silence(s, a);
}

const struct step_kind step_connect = {
	.name = "connect",
	.stage = STAGE_CONNECT,
	.begin = connect_begin,
	.next = connect_next,
	.take = connect_take,
};

/* ---- FDL1 ------------------------------------------------------------------------------------ */

static enum step_says fdl1_connect_next(struct session *s, struct ask *ask)
{
	ask_command(s, ask, DOING_CONNECT_FDL1, BSL_CMD_CONNECT);
	return STEP_ASK;
}

static enum step_says fdl1_connect_take(struct session *s, const struct answer *a)
{
	return a->kind == ANSWER_GOOD ? STEP_DONE : step_refused(s, a);
}

const struct step_kind step_connect_fdl1 = {
	.name = "connect-fdl1",
	.stage = STAGE_FDL1,
	.next = fdl1_connect_next,
	.take = fdl1_connect_take,
};

/* Before the START of FDL2, which clears the state if it was not set (bsl-protocol 4.2). */
static enum step_says charge_next(struct session *s, struct ask *ask)
{
	ask_command(s, ask, DOING_CHARGE, BSL_CMD_KEEP_CHARGE);
	return STEP_ASK;
}

static enum step_says charge_take(struct session *s, const struct answer *a)
{
	/* a loader that only cannot do it does not stop the job */
	if (a->kind == ANSWER_GOOD || (a->kind == ANSWER_CODE && a->code != BSL_REP_VERIFY_ERROR))
		return STEP_DONE;
	return step_refused(s, a);
}

const struct step_kind step_charge = {
	.name = "keep-charge",
	.stage = STAGE_FDL2,
	.next = charge_next,
	.take = charge_take,
};
