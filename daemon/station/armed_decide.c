/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "station/armed_decide.h"

#include <stdio.h>
#include <string.h>

static struct armed_decision no(enum armed_reason why)
{
	return (struct armed_decision){ .why = why, .at = UINT64_MAX };
}

static struct armed_decision later(enum armed_reason why, uint64_t at)
{
	return (struct armed_decision){ .why = why, .at = at };
}

/* It has had a job of this slot already. */
static struct armed_decision once_more(const struct armed_facts *f)
{
	if (!f->rule)
		return no(ARMED_NO_RULE);
	if (f->replug)
		return no(ARMED_REPLUG);
	if (!f->again || f->tries > f->retries)
		return no(ARMED_TRIED);
	if (f->now - f->failed < f->settle)
		return later(ARMED_AGAIN_SOON, f->failed + f->settle);
	return (struct armed_decision){ .start = true, .at = UINT64_MAX };
}

struct armed_decision armed_decide(const struct armed_facts *f)
{
	uint64_t steady = f->debounce;

	if (f->taken)
		return no(ARMED_TAKEN);
	if (f->draining)
		return no(ARMED_DRAINING);
	/* a phone on its way out is nobody's, whatever was asked */
	if (f->spent)
		return no(ARMED_PASSED);
	if (f->held)
		return no(ARMED_HELD);
	if (!f->history_ok && !f->without_history)
		return no(ARMED_NO_HISTORY);
	if (f->refused)
		return no(ARMED_REFUSED);
	if (f->tries)
		return f->passed ? no(ARMED_PASSED) : once_more(f);
	if (!f->asked) {
		if (f->passed)
			return no(ARMED_PASSED);
		if (f->crashed && !f->after_crash)
			return no(ARMED_CRASHED);
		if (!f->crashed && !f->fresh)
			return no(ARMED_NOT_FRESH);
	}
	if (!f->rule)
		return no(ARMED_NO_RULE);
	/* the first touch of a plug counts at once; one that has bounced has to stay */
	if (f->left_before && f->arrived - f->left_before < f->settle && f->settle > steady)
		steady = f->settle;
	if (f->now - f->arrived < steady)
		return later(ARMED_UNSTEADY, f->arrived + steady);
	return (struct armed_decision){ .start = true, .at = UINT64_MAX };
}

const char *armed_reason_name(enum armed_reason reason)
{
	static const char *const names[ARMED_REASON_COUNT] = {
		[ARMED_READY] = "",
		[ARMED_TAKEN] = "taken",
		[ARMED_DRAINING] = "draining",
		[ARMED_HELD] = "held",
		[ARMED_NO_HISTORY] = "no-history",
		[ARMED_PASSED] = "passed",
		[ARMED_CRASHED] = "crashed",
		[ARMED_NO_RULE] = "no-rule",
		[ARMED_REFUSED] = "refused",
		[ARMED_NOT_FRESH] = "not-fresh",
		[ARMED_UNSTEADY] = "unsteady",
		[ARMED_TRIED] = "tried",
		[ARMED_REPLUG] = "replug",
		[ARMED_AGAIN_SOON] = "again-soon",
	};

	return (unsigned int)reason < ARMED_REASON_COUNT ? names[reason] : "";
}

bool armed_same_phone(bool passed, uint64_t left, uint64_t now, uint64_t away)
{
	return passed && left && now - left < away;
}

bool armed_same_unit(const char *passed, const char *unit, uint64_t away, uint64_t needed)
{
	return *unit && !strcmp(passed, unit) && (needed == UINT64_MAX || away < needed);
}

bool armed_skips(enum error_id error)
{
	return error == ERR_RULE_NOT_MET || error == ERR_ALREADY_PASSED;
}

/* ---- the stop line ---- */

void armed_streak_take(struct armed_streak *streak, enum error_id error, const char *digest)
{
	const struct error_entry *row = error_entry(error);

	if (error == ERR_NONE) {
		memset(streak, 0, sizeof(*streak));
		return;
	}
	if (row->fault == FAULT_CALLER || armed_skips(error))
		return;
	if (strcmp(streak->error, row->name) != 0 || strcmp(streak->digest, digest) != 0)
		streak->count = 0;
	snprintf(streak->error, sizeof(streak->error), "%s", row->name);
	snprintf(streak->digest, sizeof(streak->digest), "%.64s", digest);
	streak->count++;
}

bool armed_stop_slot(const struct armed_streak *streak, uint32_t limit)
{
	return limit != UINT32_MAX && streak->count >= limit;
}

bool armed_stop_image(const struct armed_streak *all, uint32_t count, const struct armed_streak *latest,
		      uint32_t limit)
{
	uint32_t same = 0;

	if (limit == UINT32_MAX || !latest->count)
		return false;
	for (uint32_t i = 0; i < count; i++)
		same += all[i].count && !strcmp(all[i].error, latest->error) &&
			!strcmp(all[i].digest, latest->digest);
	return same >= limit;
}

/* ---- samples ---- */

bool armed_sample_due(uint64_t count, uint32_t every)
{
	return !count || count >= every;
}

uint64_t armed_sample_passed(uint64_t count, bool verified)
{
	return verified ? 1 : count + (count > 0);
}
