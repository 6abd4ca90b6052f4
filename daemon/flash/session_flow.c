/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which step comes next, what a cancel may cut off, and the verdict. */
#include <stdio.h>

#include "flash/inner.h"

static const struct step_kind *step_of(const struct session *s, const struct plan_step *p)
{
	switch (p->op) {
	case OP_ERASE_ALL: return &step_erase_all;
	case OP_REPARTITION: return &step_repartition;
	case OP_ERASE: return &step_erase;
	case OP_WRITE: return &step_write;
	case OP_WRITE_NV: return &step_write_nv;
	case OP_RESTORE: return &step_restore;
	case OP_CHANGE: return &step_change;
	case OP_FIRST_MODE: return &step_first_mode;
	case OP_ENABLE_WRITE: return &step_enable;
	case OP_VERIFY:
		return p->of >= 0 && s->resolved->step[p->of].op == OP_ERASE ? &step_blank : &step_verify;
	case OP_READ: return &step_read;
	case OP_RESET: return &step_reset;
	case OP_POWER_OFF: return &step_power_off;
	}
	return NULL;
}

static bool ends_job(const struct plan_step *p)
{
	return p->op == OP_RESET || p->op == OP_POWER_OFF;
}

/* Whether a cancel that was asked for may take effect between the step that ran and this one. */
static bool cancel_here(const struct session *s, const struct plan_step *next)
{
	const struct plan_step *ran = s->running >= 0 ? &s->resolved->step[s->running] : NULL;

	if (!s->cancelling || ends_job(next))
		return false;
	return !(ran && ran->boundary == BOUNDARY_BOUND && next->boundary == BOUNDARY_BOUND);
}

static void cancel_now(struct session *s, const char *how)
{
	s->result.cancelled = true;
	step_fail(s, ERR_CANCELLED, "%s", how);
}

static bool same_place(const struct plan_backup *b, const struct plan_step *p)
{
	return b->by_name == p->by_name &&
	       (b->by_name ? !strcmp(b->target, p->target) : b->address == p->address);
}

/* Backups whose original a step endangers: until they are back they are owed to the unit (design, promise 5).
 */
static void threaten(struct session *s, const struct plan_step *p)
{
	for (uint32_t i = 0; i < s->plan->backup_count; i++) {
		const struct plan_backup *b = &s->plan->backup[i];
		bool all = p->op == OP_ERASE_ALL || p->op == OP_REPARTITION;
		bool same = same_place(b, p);

		if (i >= s->facts.backup_count || s->facts.backups[i].state != BACKUP_VALID)
			continue;
		/* told to: kept, but nobody has to bring it back; NV always */
		if (b->given_up && b->kind == BACKUP_FILE)
			continue;
		if (all || same || (p->destructive && p->backup == (int32_t)i))
			s->nv_threat |= 1ull << i;
	}
}

void session_not_begun(struct session *s)
{
	s->progress.changed = s->result.changed = s->was.changed;
	s->nv_threat = s->was.nv_threat;
}

static const struct step_kind *run_next(struct session *s)
{
	struct plan_step *p;

	if (s->run_at >= s->resolved->step_count) {
		s->phase = PHASE_OVER;
		return NULL;
	}
	p = &s->resolved->step[s->run_at];
	if (cancel_here(s, p)) {
		cancel_now(s, "cancelled between two entries");
		return NULL;
	}
	s->running = (int32_t)s->run_at++;
	s->progress.boundary = p->boundary;
	s->progress.entry_index = (uint32_t)s->running + 1;
	session_entry(s, p->target);
	s->was.changed = s->progress.changed;
	s->was.nv_threat = s->nv_threat;
	if (p->destructive) {
		threaten(s, p);
		s->progress.changed = true;
		s->result.changed = true;
	}
	return step_of(s, p);
}

/*
 * The backups that this step's NV answers for: the one it was made from; or, where the operator has said in
 * so many words that the package's NV are to be this phone's, whatever was kept of the same place.
 */
static bool answers_for(const struct session *s, const struct plan_step *p, uint32_t k)
{
	if (p->op != OP_WRITE_NV)
		return false;
	if (p->backup >= 0)
		return p->backup == (int32_t)k;
	return s->plan->options.nv == NV_PACKAGE && s->plan->backup[k].kind == BACKUP_NV &&
	       same_place(&s->plan->backup[k], p);
}

static void close_books(struct session *s)
{
	if (s->running < 0)
		return;
	struct entry_result *e = &s->entries[s->running];
	const struct plan_step *p = &s->resolved->step[s->running];

	if (e->verdict == ENTRY_NOT_RUN)
		e->verdict = ENTRY_ACKNOWLEDGED;
	s->result.last_confirmed = s->running;
	if (p->op == OP_RESTORE && p->backup >= 0)
		s->nv_threat &= ~(1ull << p->backup);
	if (p->op == OP_VERIFY && p->of >= 0 && s->entries[s->running].verdict == ENTRY_VERIFIED)
		for (uint32_t k = 0; k < s->plan->backup_count; k++)
			if (answers_for(s, &s->resolved->step[p->of], k))
				s->nv_threat &= ~(1ull << k);
}

void flow_done(struct session *s)
{
	switch (s->phase) {
	case PHASE_BACKUP:
		if (++s->backup_at < s->plan->backup_count)
			return;
		break;
	case PHASE_CHECK:
		if (++s->check_at < s->resolved->step_count)
			return;
		break;
	case PHASE_MERGE:
		if (++s->merge_at < s->resolved->step_count)
			return;
		break;
	case PHASE_RUN:
		close_books(s);
		/* without an intent there is nothing to be gone on with */
		if (!ends_job(&s->resolved->step[s->running]) && s->intended)
			s->phase = PHASE_JOURNAL;
		return;
	case PHASE_JOURNAL: s->phase = PHASE_RUN; return;
	case PHASE_STOP:
	case PHASE_OVER: s->phase = PHASE_OVER; return;
	default: break;
	}
	if (s->phase < PHASE_RUN)
		s->phase++;
}

/* Phases up to the start of FDL2; NULL: nothing to do in this one. */
static const struct step_kind *load_phase(const struct session *s)
{
	bool second = s->plan->fdl2.item >= 0;

	switch (s->phase) {
	case PHASE_LOAD_FDL1: return s->where == BSL_STAGE_ROM ? &step_load_fdl1 : NULL;
	case PHASE_EXEC_FDL1: return s->where == BSL_STAGE_ROM ? &step_exec_fdl1 : NULL;
	case PHASE_CONNECT_FDL1:
		return (s->where == BSL_STAGE_FDL1 || s->where == BSL_STAGE_FDL) && !s->resumed
			       ? &step_connect_fdl1
			       : NULL;
	case PHASE_CHARGE:
		return s->plan->keep_charge && second && s->where == BSL_STAGE_FDL1 ? &step_charge : NULL;
	case PHASE_LOAD_FDL2: return second && s->where == BSL_STAGE_FDL1 ? &step_load_fdl2 : NULL;
	case PHASE_EXEC_FDL2: return second && s->where == BSL_STAGE_FDL1 ? &step_exec_fdl2 : NULL;
	default: return NULL;
	}
}

/* The backups that only the phone's own table tells. False: it has failed. */
static bool keep_by_table(struct session *s)
{
	struct failure why = { 0 };

	if (plan_backups_by_table(s->plan, &s->facts, &s->grown, &why)) {
		step_fail_why(s, &why);
		return false;
	}
	s->plan = s->grown;
	return true;
}

static const struct step_kind *learn_phase(struct session *s)
{
	bool fdl2 = s->where == BSL_STAGE_FDL2 && !s->resumed;

	switch (s->phase) {
	case PHASE_SETUP: return fdl2 && s->facts.has_capabilities ? &step_setup : NULL;
	case PHASE_UID:
		return fdl2 && s->plan->may_not_know != UNKNOWN_NONE && !s->unknown_spent ? &step_uid : NULL;
	case PHASE_OWED: return plan_destroys(s->plan) ? &step_owed : NULL;
	case PHASE_TABLE: return s->plan->old_ids || s->where == BSL_STAGE_FDL ? NULL : &step_table;
	case PHASE_BACKUP:
		if (s->plan->own_by_table && !s->grown && !keep_by_table(s))
			return NULL;
		return s->backup_at < s->plan->backup_count ? &step_backup : NULL;
	/* the first access by name mends a broken first copy from the second (device-behaviour 17: F48) */
	case PHASE_TABLE_AGAIN:
		return s->table_damaged && !s->facts.table.count && s->plan->backup_count ? &step_table
											  : NULL;
	case PHASE_RESOLVE: return &step_resolve;
	default: return NULL;
	}
}

static const struct step_kind *work_phase(struct session *s)
{
	switch (s->phase) {
	case PHASE_GATE:
		if (s->config.resolve_only) {
			s->phase = s->plan->options.end == END_STAY ? PHASE_OVER : PHASE_STOP;
			return s->phase == PHASE_STOP ? &step_reset : NULL;
		}
		return plan_destroys(s->resolved) ? &step_gate : NULL;
	case PHASE_CHECK:
		while (s->check_at < s->resolved->step_count &&
		       !check_needed(s, &s->resolved->step[s->check_at]))
			s->check_at++;
		return s->check_at < s->resolved->step_count ? &step_check : NULL;
	case PHASE_MERGE:
		while (s->merge_at < s->resolved->step_count &&
		       !session_sends_held(&s->resolved->step[s->merge_at]))
			s->merge_at++;
		return s->merge_at < s->resolved->step_count ? &step_merge : NULL;
	case PHASE_INTENT:
		s->intended = plan_destroys(s->resolved); /* else there is nothing to be gone on with */
		return s->intended ? &step_intent : NULL;
	case PHASE_RUN: return run_next(s);
	case PHASE_JOURNAL: return &step_journal;
	default: return NULL;
	}
}

const struct step_kind *flow_next(struct session *s)
{
	while (s->phase < PHASE_OVER && s->result.failure.error == ERR_NONE) {
		const struct step_kind *kind;

		if (s->phase == PHASE_CONNECT) {
			if (!s->step)
				return &step_connect;
			return NULL;
		}
		if (!s->plan) {
			s->phase = PHASE_OVER;
			break;
		}
		if (s->phase < PHASE_SETUP)
			kind = load_phase(s);
		else if (s->phase < PHASE_GATE)
			kind = learn_phase(s);
		else
			kind = work_phase(s);
		if (kind)
			return kind;
		if (s->phase >= PHASE_RUN)
			break;
		s->phase++;
	}
	return NULL;
}

void flow_cancel(struct session *s, bool force)
{
	if (s->over || s->phase == PHASE_OVER)
		return;
	if (force) {
		cancel_now(s, "broken off at once: the link was dropped");
		return;
	}
	s->cancelling = true;
	s->progress.cancelling = true;
	if (s->phase < PHASE_RUN || s->phase == PHASE_STOP)
		cancel_now(s, "cancelled before anything was changed");
	else if (s->phase == PHASE_RUN && s->progress.boundary == BOUNDARY_NOW && s->running >= 0 &&
		 !ends_job(&s->resolved->step[s->running]))
		cancel_now(s, "cancelled");
}

/* ---- the verdict ----------------------------------------------------------------------------- */

static void say_nv(struct session *s)
{
	const char *nv = "none";

	if (s->result.nv_owed) {
		nv = "owed"; /* whatever the plan was: it is not back in the phone */
	} else if (s->resolved) {
		for (uint32_t i = 0; i < s->resolved->step_count; i++) {
			const struct plan_step *p = &s->resolved->step[i];

			if (p->op != OP_WRITE_NV)
				continue;
			/* one area without NV of its own is what has to be told */
			if (p->backup < 0 && s->plan->options.nv != NV_PACKAGE) {
				nv = "blank";
				break;
			}
			if (p->backup < 0) {
				nv = "package";
			} else if (s->facts.backups[p->backup].from_owed) {
				if (!s->result.pass && s->entries &&
				    s->entries[i].verdict != ENTRY_VERIFIED) {
					nv = "owed"; /* by the job before still */
					break;
				}
				nv = "returned";
			} else if (strcmp(nv, "returned") != 0) {
				nv = "kept";
			}
		}
	}
	snprintf(s->result.nv, sizeof(s->result.nv), "%s", nv);
}

static bool all_written(const struct session *s)
{
	if (!s->resolved || !s->entries)
		return false;
	for (uint32_t i = 0; i < s->resolved->step_count; i++)
		if (s->resolved->step[i].destructive &&
		    (s->entries[i].verdict == ENTRY_NOT_RUN || s->entries[i].verdict == ENTRY_FAILED))
			return false;
	return true;
}

/* A PASS at `verified` rests on a comparison of every entry, or on a reason that stood in the plan from the
 * start. */
static bool all_compared(const struct session *s)
{
	for (uint32_t i = 0; i < s->resolved->step_count; i++) {
		const struct plan_step *p = &s->resolved->step[i];
		bool data = p->op == OP_WRITE || p->op == OP_WRITE_NV || p->op == OP_RESTORE ||
			    p->op == OP_CHANGE;

		if (data && s->entries[i].verdict != ENTRY_VERIFIED && !s->entries[i].note[0] &&
		    !p->no_verify[0])
			return false;
	}
	return true;
}

/* Whether this job put the area that backup k holds back, and saw it there. */
static bool put_back(const struct session *s, uint32_t k)
{
	if (s->facts.backups[k].from_owed &&
	    s->facts.backups[k].state == BACKUP_BLANK) /* fill is nothing that could be missing */
		return true;
	for (uint32_t i = 0; i < s->resolved->step_count; i++) {
		const struct plan_step *p = &s->resolved->step[i];
		enum entry_verdict v = s->entries[i].verdict;
		bool package = p->op == OP_WRITE_NV && p->backup < 0;

		if (answers_for(s, p, k) && (package || s->facts.backups[k].from_owed) && v == ENTRY_VERIFIED)
			return true;
		if (p->op == OP_RESTORE && p->backup == (int32_t)k && s->facts.backups[k].from_owed &&
		    (v == ENTRY_VERIFIED || v == ENTRY_ACKNOWLEDGED))
			return true;
	}
	return false;
}

/*
 * A job that had only some of the owed areas in its plan must not settle the rest of them: they stay owed
 * (design, promise 5).
 */
static bool owed_put_back(const struct session *s)
{
	const char *from = s->plan->options.nv_from;

	for (uint32_t i = 0; i < s->owed_count; i++) {
		const struct owed_backup *o = &s->owed[i];
		bool back = false;

		if (!*o->name || (!o->same_unit && (!from[0] || strcmp(from, o->job) != 0)))
			continue; /* no valid NV, or said to be another phone's: not settled by this one */
		for (uint32_t k = 0; k < s->plan->backup_count && k < s->facts.backup_count && !back; k++)
			back = (!strcmp(o->name, s->plan->backup[k].sink) ||
				!strcmp(o->name, s->plan->backup[k].target)) &&
			       put_back(s, k);
		if (!back)
			return false;
	}
	return true;
}

void flow_finish(struct session *s)
{
	struct session_result *r = &s->result;
	bool whole = s->phase == PHASE_OVER || !s->plan;

	if (r->failure.error == ERR_NONE && !whole)
		step_fail(s, ERR_INTERNAL, "the session stopped in the middle");
	if (r->failure.error == ERR_NONE && s->plan && !s->config.resolve_only &&
	    s->plan->options.level == LEVEL_VERIFIED && !all_compared(s))
		step_fail(s, ERR_VERIFY_UNREADABLE, "an entry was not compared");
	r->pass = r->failure.error == ERR_NONE;
	r->level = s->plan && r->pass && !s->config.resolve_only ? s->plan->options.level
								 : LEVEL_ACKNOWLEDGED;
	r->changed = s->progress.changed;
	r->resolved = s->resolved;
	r->entries = s->entries;
	r->entry_count = s->resolved && s->entries ? s->resolved->step_count : 0;
	if (!r->pass && s->running >= 0 && s->entries && s->phase == PHASE_RUN &&
	    s->entries[s->running].verdict == ENTRY_NOT_RUN)
		s->entries[s->running].verdict = ENTRY_FAILED;
	r->nv_owed = s->nv_threat != 0;
	r->nv_written_back = false;
	if (s->resolved && !r->nv_owed && s->entries && owed_put_back(s))
		for (uint32_t i = 0; i < s->resolved->step_count; i++)
			if (s->resolved->step[i].op == OP_WRITE_NV &&
			    s->entries[i].verdict == ENTRY_VERIFIED &&
			    (s->resolved->step[i].backup >= 0 || s->plan->options.nv == NV_PACKAGE))
				r->nv_written_back = true;
	say_nv(s);
	if (!r->changed)
		r->leaves = "unchanged";
	else if (all_written(s) && r->failure.error != ERR_VERIFY_MISMATCH)
		r->leaves = "complete";
	else
		r->leaves = "needs-flash";
	if (r->pass && s->plan && !s->config.resolve_only) {
		s->progress.bytes_done = s->progress.bytes_total;
		s->progress.stage = STAGE_END;
	}
	session_note(s, RECORD_NOTE, r->pass ? "pass" : error_entry(r->failure.error)->name);
}

const char *session_stage_name(enum session_stage stage)
{
	static const char *const names[STAGE_COUNT] = { "connect", "fdl1",   "fdl2", "learn", "check",
							"flash",   "verify", "read", "end" };

	return (unsigned)stage < STAGE_COUNT ? names[stage] : "connect";
}

const char *silence_text(enum silence why, uint64_t deadline_usec, char *buf, size_t size)
{
	static const char *const texts[] = {
		"the phone has not answered yet",
		"the phone is starting a loader and training its memory",
		"the phone is clearing the memory it will receive into",
		"the phone is erasing",
		"the phone is checking the signature and writing",
		"the phone is reading its storage",
		"the phone is flushing its caches or restarting",
	};
	const char *text = (unsigned)why < ARRAY_SIZE(texts) ? texts[why] : texts[0];
	uint64_t seconds = (deadline_usec + SEC - 1) / SEC;

	if (seconds >= 120)
		snprintf(buf, size, "%s; up to %llu minutes", text, (unsigned long long)(seconds + 59) / 60);
	else if (seconds)
		snprintf(buf, size, "%s; up to %llu second%s", text, (unsigned long long)seconds,
			 seconds == 1 ? "" : "s");
	else
		snprintf(buf, size, "%s", text);
	return buf;
}
