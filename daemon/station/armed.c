/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Armed slots: facts for the decision, the job that follows from it, and what the end of a job means for the
 * next phone. Arming itself is in arm.c.
 *
 * What is asked of a phone here is only whether it is there. A byte goes to it because a job was made, and a
 * job is made because somebody has armed the place it came to (promise 13).
 */
#include "station/armed.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "common/journal.h"
#include "common/util.h"
#include "station/errand.h"
#include "station/kv.h"
#include "station/rules.h"

/* ---- coming and going ---- */

/* An earlier run of the service was in the middle of a job with this very phone. */
static const struct job *left_in_a_job(const struct device *d)
{
	const struct slot *slot = d->slot;
	const struct job *found = NULL;

	if (!slot->note_known || !slot->note.dirty)
		return NULL;
	for (const struct job *j = d->st->jobs; j; j = j->next)
		if (j->slot == slot && !j->old && !strcmp(j->record.result, "interrupted") &&
		    !errand_named(j->record.kind))
			found = j;
	return found;
}

void armed_arrived(struct device *d)
{
	const struct job *cut = left_in_a_job(d);
	struct slot *slot = d->slot;

	d->arm.came = loop_now();
	d->arm.fresh = d->seen && slot->book.arm.armed;
	d->arm.passed = armed_same_phone(slot->left_passed, slot->left_at, d->arm.came, d->st->set.away_usec);
	d->arm.crashed = cut != NULL;
	if (cut && !strcmp(cut->record.leaves, "needs-flash")) {
		/* what was bound to it still is */
		bound_of(&cut->record, &d->arm.bound);
		d->arm.bound_taken = true;
	}
	armed_unit_arrived(d);
}

/* What was bound to a phone that nothing came of is for the next one. */
static void give_back(struct slot *slot, const struct slot_bound *next)
{
	struct slot_arm *arm = &slot->book.arm;

	if (!bound_any(next) || bound_any(&arm->next))
		return;
	arm->next = *next;
	slot_save(slot);
	slot_told(slot);
}

void armed_gone(struct device *d)
{
	struct slot *slot = d->slot;

	/* a job that still has it knows better, at its end */
	if (slot->job)
		slot->left_next = d->arm.next;
	else if (!d->arm.passed && !d->arm.changed)
		give_back(slot, &d->arm.next);
	armed_unit_gone(d);
	slot->left_at = loop_now();
	slot->left_passed = d->arm.passed;
	slot->arm_why = ARMED_READY;
	slot->arm_at = 0;
	*slot->arm_text = '\0';
}

void armed_changed(struct station *st)
{
	for (struct device *d = st->devices; d; d = d->next)
		d->arm.refused = false;
	station_poke(st);
}

/* ---- which rule ---- */

/* NULL: none that does something. */
static const struct rule *rule_for(const struct slot *slot)
{
	struct rule_facts facts;
	const struct rule *rule;

	slot_rule_facts(slot, &facts);
	rule = slot_rule(slot, &facts, NULL);
	return rule && !strcmp(rule->action, "flash") ? rule : NULL;
}

int armed_met(const struct job *job, struct failure *why)
{
	struct rule_verdict verdict;
	struct rule_facts facts;
	char text[160];

	if (!job->rule || !job->slot)
		return 0;
	slot_rule_facts(job->slot, &facts);
	rule_judge(job->rule, &facts, &verdict);
	if (verdict.fit == RULE_FITS)
		return armed_unit_met(job, why);
	/* what is still not known will not be: the phone has told all it tells */
	return failure_set(why, ERR_RULE_NOT_MET, "rule %s: %s", job->rule->name,
			   rule_verdict_text(job->rule, &facts, &verdict, text, sizeof(text)));
}

/*
 * A phone that was flashed here starts, and is then a running one in an armed slot: without end, were it not
 * known again. What passed last is taken for what runs now unless both went by a number and it is another.
 */
bool armed_wants(const struct slot *slot)
{
	const struct device *d = slot->runs;
	bool other = d && d->arrival.serial && slot->kicked_serial &&
		     d->arrival.serial != slot->kicked_serial;

	return slot->book.arm.armed && d &&
	       (d->arm.asked || (d->arm.fresh && (!slot->left_passed || other))) && rule_for(slot);
}

/* ---- beginning ---- */

static void refused(struct slot *slot, const struct failure *why)
{
	struct device *d = slot->device;

	if (!d)
		return;
	d->arm.refused = true;
	slot->arm_why = ARMED_REFUSED;
	failure_text(why, slot->arm_text, sizeof(slot->arm_text));
	journal_line(LOG_WARNING, "armed %s: no job for the phone there: %s",
		     *slot->port ? slot->port : slot->id, slot->arm_text);
	slot_told(slot);
}

static void on_made(void *user, struct job *job, const struct failure *why)
{
	struct slot *slot = user;

	slot->arming = false;
	if (!job)
		refused(slot, why);
	station_poke(slot->st);
}

static void put_options(const struct rule *rule, struct job_options *o)
{
	o->entries = (const char *const *)rule->entries.item;
	o->without = (const char *const *)rule->without.item;
	o->level = rule->level;
	o->sample = !strcmp(rule->level, "sampled") ? rule->sample : 0;
	o->end = rule->end;
	o->nv = rule->nv;
	o->repartition = rule->repartition;
	o->erase_all = rule->erase_all;
	o->force_loaders = rule->force_loaders;
	o->raw = rule->raw;
}

static void begin(struct slot *slot, const struct rule *rule)
{
	struct station *st = slot->st;
	const struct device *d = slot->device;
	struct failure why = { 0 };
	char note[120];
	struct job_request q = {
		.caller = { .uid = (uint32_t)geteuid() },
		.slot = slot,
		.expect_device_given = true,
		.expect_device = d->number,
		.wait_given = true,
		.rule = rule,
		.rules = station_rules(st),
		.loader = rule->loader,
		.gate_usec = !strcmp(rule->gate, "client") ? rule->gate_usec : 0,
	};

	snprintf(q.caller.name, sizeof(q.caller.name), "rule %s", rule->name);
	put_options(rule, &q.options);
	if (d->arm.tries) {
		snprintf(note, sizeof(note), "try %u of %u with this phone; the one before ended with %s",
			 d->arm.tries + 1, rule->retries + 1, d->arm.error);
		q.note = note;
	}
	q.image = rule_image(st, rule, &why);
	if (!q.image && why.error == ERR_NONE)
		failure_set(&why, ERR_NO_SUCH_IMAGE, "rule %s names none", rule->name);
	if (!q.image || station_flash(st, &q, on_made, slot, &why) < 0) {
		refused(slot, &why);
		return;
	}
	slot->arming = true;
}

/* ---- looking ---- */

static bool taken(const struct slot *slot)
{
	if (slot->job || slot->arming || slot->errand)
		return true;
	for (const struct job *j = slot->st->jobs; j; j = j->next)
		if (j->pinned && j->slot == slot && j->state <= JOB_QUEUED)
			return true;
	return false;
}

static void gather(const struct slot *slot, const struct rule *rule, struct armed_facts *f)
{
	const struct station *st = slot->st;
	const struct device *d = slot->device;

	*f = (struct armed_facts){
		.now = loop_now(),
		.taken = taken(slot),
		.draining = st->draining,
		.held = st->held != NULL,
		.history_ok = station_history_ok(st),
		.without_history = !strcmp(st->set.without_history, "on"),
		.rule = rule != NULL,
		.refused = d->arm.refused,
		.asked = d->arm.asked,
		.fresh = (d->arm.fresh && !d->used) || d->arm.tries,
		.passed = d->arm.passed,
		.spent = d->spent,
		.crashed = d->arm.crashed,
		.arrived = d->arm.came,
		.left_before = slot->left_at,
		.tries = d->arm.unmet ? 0 : d->arm.tries,
		.replug = d->arm.replug,
		.again = d->arm.again,
		.failed = d->arm.failed,
		.settle = st->set.settle_usec,
	};
	if (!rule)
		return;
	f->retries = rule->retries;
	f->after_crash = rule->after_crash;
	f->debounce = rule->debounce_usec;
}

static void show(struct slot *slot, enum armed_reason why, const char *text)
{
	struct journal_field fields[] = { { "FDL_SLOT", slot->id },
					  { "FDL_PORT", *slot->port ? slot->port : slot->id } };

	if (slot->arm_why == why && !strcmp(slot->arm_text, text))
		return;
	if ((why == ARMED_REPLUG || why == ARMED_CRASHED) && slot->arm_why != why)
		journal_event(
			EVENT_SLOT_REPLUG, fields, ARRAY_SIZE(fields),
			"the phone on %s has to be plugged in anew: it was left in the middle of a job%s%s",
			fields[1].value, *text ? ", " : "", text);
	slot->arm_why = why;
	kv_copy(slot->arm_text, sizeof(slot->arm_text), text);
	slot_told(slot);
}

void armed_look_at(struct slot *slot)
{
	const struct device *d = slot->device;
	struct armed_decision decision;
	const struct rule *rule;
	struct armed_facts facts;

	slot->arm_at = 0;
	if (!slot->book.arm.armed || !d || !d->present || slot->job) {
		show(slot, ARMED_READY, "");
		return;
	}
	rule = rule_for(slot);
	gather(slot, rule, &facts);
	decision = armed_decide(&facts);
	if (decision.start) {
		show(slot, ARMED_READY, "");
		begin(slot, rule);
		return;
	}
	slot->device->arm.late |= decision.why != ARMED_TAKEN;
	if (decision.at != UINT64_MAX)
		slot->arm_at = decision.at;
	if (decision.why == ARMED_REFUSED)
		return; /* what was wrong is shown */
	show(slot, decision.why == ARMED_TAKEN ? ARMED_READY : decision.why,
	     decision.why == ARMED_TRIED || decision.why == ARMED_REPLUG ||
			     decision.why == ARMED_AGAIN_SOON || decision.why == ARMED_PASSED
		     ? d->arm.error
		     : "");
}

void armed_look(struct station *st)
{
	if (st->probing)
		return;
	for (struct slot *s = st->slots; s; s = s->next)
		armed_look_at(s);
}

uint64_t armed_again(const struct station *st)
{
	uint64_t at = UINT64_MAX;

	for (const struct slot *s = st->slots; s; s = s->next)
		if (s->arm_at)
			at = MIN(at, s->arm_at);
	return at;
}

/* ---- the end of a job ---- */

bool armed_at_once(const struct job *job)
{
	return job->rule && job->device && !job->device->arm.late && !job->device->arm.tries &&
	       !job->gate_until;
}

void armed_bound_to(const struct slot *slot, struct slot_bound *b)
{
	const struct slot_arm *arm = &slot->book.arm;
	const struct device *d = slot->device;

	*b = d && d->arm.bound_taken ? d->arm.bound : arm->next;
	if (d && d->arm.bound_taken)
		return;
	if (!*b->work_order)
		memcpy(b->work_order, arm->run.work_order, sizeof(b->work_order));
	if (!*b->operator)
		memcpy(b->operator, arm->run.operator, sizeof(b->operator));
}

bool armed_take_bound(struct slot *slot)
{
	struct slot_arm *arm = &slot->book.arm;
	struct device *d = slot->device;

	if (d->arm.bound_taken)
		return false;
	armed_bound_to(slot, &d->arm.bound);
	d->arm.bound_taken = true;
	if (!bound_any(&arm->next))
		return false;
	d->arm.next = arm->next;
	memset(&arm->next, 0, sizeof(arm->next));
	slot_told(slot);
	return true;
}

void armed_bound(struct job *job)
{
	struct device *d = job->device;
	bool taken;

	if (!d || job->dry_run || strcmp(job->record.kind, "flash") != 0)
		return;
	taken = armed_take_bound(job->slot);
	bound_note(&job->record, &d->arm.bound);
	if (taken)
		bound_keep(job);
}

static void note_end(struct device *d, const struct job *job)
{
	const struct job_record *r = &job->record;
	bool pass = !strcmp(r->result, "succeeded");

	/* nothing came of it: what was bound to the next phone is not this one's */
	if (r->failure.error == ERR_ALREADY_PASSED) {
		give_back(job->slot, &d->arm.next);
		memset(&d->arm.next, 0, sizeof(d->arm.next));
		d->arm.bound_taken = false;
	}
	d->arm.passed = pass || r->failure.error == ERR_ALREADY_PASSED;
	d->arm.changed |= pass || strcmp(r->leaves, "unchanged") != 0;
	d->arm.tries++;
	d->arm.failed = loop_now();
	/* a second loader that was left in the middle of something, and what nobody knows, answer to a new
	 * start only */
	d->arm.replug = !strcmp(r->result, "failed") &&
			(!strcmp(d->stage, "fdl2") || r->failure.error == ERR_STAGE_UNKNOWN);
	d->arm.again = !strcmp(r->result, "failed") && error_entry(r->failure.error)->again;
	/* its own rule did not want it: another one may */
	d->arm.unmet = r->failure.error == ERR_RULE_NOT_MET;
	kv_copy(d->arm.error, sizeof(d->arm.error),
		r->failure.error == ERR_NONE ? "" : error_entry(r->failure.error)->name);
}

/* The phone was faster than the end of its job; the next one may be there already. */
static void note_gone(const struct job *job)
{
	struct slot *slot = job->slot;
	struct device *next = slot->device;

	slot->left_passed = !strcmp(job->record.result, "succeeded") ||
			    job->record.failure.error == ERR_ALREADY_PASSED;
	if (!strcmp(job->record.leaves, "unchanged"))
		give_back(slot, &slot->left_next);
	memset(&slot->left_next, 0, sizeof(slot->left_next));
	if (next && !next->used)
		next->arm.passed = armed_same_phone(slot->left_passed, slot->left_at, next->arm.came,
						    slot->st->set.away_usec);
}

void armed_over(struct job *job)
{
	struct device *d = job->device;

	if (!job->slot || !job->run_since)
		return;
	armed_unit_over(job);
	if (strcmp(job->record.kind, "flash") != 0)
		return;
	if (d)
		note_end(d, job);
	else
		note_gone(job);
	if (job->sample && !strcmp(job->record.result, "succeeded")) {
		uint64_t *count = &job->slot->book.arm.samples;

		*count = armed_sample_passed(*count, !strcmp(job->record.level, "verified"));
	}
	if (job->rule)
		armed_count(job);
}
