/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Arming and disarming, by people and by the stop line. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/journal.h"
#include "common/util.h"
#include "station/armed.h"
#include "station/kv.h"
#include "station/rules.h"

static const char *name_of(const struct slot *slot)
{
	return *slot->book.label ? slot->book.label : *slot->port ? slot->port : slot->id;
}

/* The rule for a place alone, whatever phone may come to it; NULL: there can be none. */
static const struct rule *possible(const struct slot *slot, const char *only)
{
	const struct rules *rules = station_rules(slot->st);
	struct rule_verdict verdict;
	struct rule_facts facts;

	slot_rule_facts(slot, &facts);
	facts.fact[RULE_STAGE] = facts.fact[RULE_FAMILY] = NULL;
	facts.fact[RULE_STORAGE] = facts.fact[RULE_UNIT] = NULL;
	for (size_t i = 0; i < rules_count(rules); i++) {
		const struct rule *rule = rules_at(rules, i);

		if (*only && strcmp(rule->name, only) != 0)
			continue;
		rule_judge(rule, &facts, &verdict);
		if (verdict.fit == RULE_DIFFERS)
			continue;
		if (!strcmp(rule->action, "flash"))
			return rule;
		if (verdict.fit == RULE_FITS)
			return NULL; /* nobody asks those behind it */
	}
	return NULL;
}

/* 0, or why it cannot be armed. */
static int check(struct slot *slot, const char *only, struct failure *why)
{
	const struct rule *rule = possible(slot, only);

	if (!rule)
		return failure_set(why, ERR_NO_RULE, "%s%s%s", name_of(slot), *only ? ", rule " : "", only);
	if (rule_image(slot->st, rule, why))
		return 0;
	if (why->error == ERR_NONE)
		return failure_set(why, ERR_NO_SUCH_IMAGE, "rule %s names none", rule->name);
	return -error_entry(why->error)->err;
}

static void event(const struct slot *slot, enum event_id id, const char *word, const char *more)
{
	struct journal_field fields[] = { { "FDL_SLOT", slot->id },
					  { "FDL_PORT", name_of(slot) },
					  { "FDL_REASON", more } };

	journal_event(id, fields, ARRAY_SIZE(fields), "%s was %s%s%s", name_of(slot), word, *more ? ": " : "",
		      more);
}

static void arm(struct slot *slot, const struct arm_request *request, const char *only)
{
	struct slot_arm *a = &slot->book.arm;
	bool news = !a->armed || strcmp(a->rule, only) != 0;

	if (!a->armed)
		a->armed = station_wall();
	kv_copy(a->rule, sizeof(a->rule), only);
	*a->stopped = '\0';
	a->stopped_at = 0;
	memset(&a->streak, 0, sizeof(a->streak));
	slot->forgotten = false;
	if (request->present && slot->device && slot->device->present && !slot->job) {
		slot->device->arm.asked = true;
		slot->device->arm.tries = 0;
	}
	if (request->present && slot->runs)
		slot->runs->arm.asked = true;
	slot_save(slot);
	if (news)
		event(slot, EVENT_SLOT_ARMED, "armed", only);
	slot_told(slot);
}

int station_arm(struct station *st, struct slot *const *slots, uint32_t count,
		const struct arm_request *request, struct failure *why)
{
	const char *only = request->rule ? request->rule : "";
	struct failure none = { 0 };
	bool some = false;
	int r;

	if (st->draining)
		return failure_set(why, ERR_DRAINING, "%s", "");
	if (strlen(only) >= sizeof(st->slots->book.arm.rule) ||
	    (*only && !rules_named(station_rules(st), only)))
		return failure_set(why, ERR_NO_RULE, "no rule is called %.64s", only);
	for (uint32_t i = 0; i < count; i++) {
		r = check(slots[i], only, why);
		if (r < 0)
			return r;
	}
	for (uint32_t i = 0; i < count; i++)
		arm(slots[i], request, only);
	for (struct slot *s = st->slots; s && !count; s = s->next) {
		struct failure own = { 0 };

		if (check(s, only, &own) < 0) {
			if (none.error == ERR_NONE || none.error == ERR_NO_RULE)
				none = own;
			continue;
		}
		arm(s, request, only);
		some = true;
	}
	if (!count && !some) {
		if (none.error != ERR_NONE) {
			*why = none;
			return -error_entry(none.error)->err;
		}
		return failure_set(why, ERR_NO_SUCH_SLOT, "no port is known yet");
	}
	station_told(st);
	armed_changed(st);
	return 0;
}

static void disarm(struct slot *slot)
{
	struct slot_arm *a = &slot->book.arm;

	if (!a->armed && !*a->stopped)
		return;
	if (a->armed)
		event(slot, EVENT_SLOT_DISARMED, "disarmed", "");
	a->armed = a->stopped_at = 0;
	*a->stopped = *a->rule = '\0';
	slot_save(slot);
	slot_told(slot);
}

void station_disarm(struct station *st, struct slot *const *slots, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		disarm(slots[i]);
	for (struct slot *s = st->slots; s && !count; s = s->next)
		disarm(s);
	station_told(st);
	station_poke(st);
}

/* ---- the stop line ---- */

void armed_stop(struct slot *slot, const char *why)
{
	struct slot_arm *a = &slot->book.arm;

	if (!a->armed)
		return;
	a->armed = 0;
	kv_copy(a->stopped, sizeof(a->stopped), why);
	a->stopped_at = station_wall();
	event(slot, EVENT_SLOT_STOPPED, "disarmed", a->stopped);
	slot_save(slot);
	slot_told(slot);
	station_told(slot->st);
}

/* Every armed place whose rule would now take this image. */
static void stop_image(struct station *st, const struct armed_streak *latest, const char *image,
		       uint32_t count)
{
	char why[160];

	snprintf(why, sizeof(why), "%u ports in a row failed with %s and image %.64s", count, latest->error,
		 image);
	for (struct slot *s = st->slots; s; s = s->next) {
		const struct rule *rule = s->book.arm.armed ? possible(s, s->book.arm.rule) : NULL;
		struct image *its = NULL;
		struct failure none = { 0 };

		if (rule)
			its = rule_image(st, rule, &none);
		if (its && !strcmp(its->digest, latest->digest))
			armed_stop(s, why);
	}
}

void armed_count(struct job *job)
{
	const struct job_record *r = &job->record;
	struct slot *slot = job->slot;
	struct station *st = slot->st;
	struct armed_streak *own = &slot->book.arm.streak, *all;
	uint32_t count = 0;
	char why[160];

	if (!strcmp(r->result, "cancelled"))
		return;
	armed_streak_take(own, r->failure.error, r->digest);
	if (armed_stop_slot(own, job->rule->stop_after)) {
		snprintf(why, sizeof(why), "%llu phones in a row failed with %s",
			 (unsigned long long)own->count, own->error);
		armed_stop(slot, why);
	}
	for (struct slot *s = st->slots; s; s = s->next)
		count++;
	all = calloc(count, sizeof(*all));
	if (!all)
		return;
	count = 0;
	for (struct slot *s = st->slots; s; s = s->next)
		all[count++] = s->book.arm.streak;
	if (armed_stop_image(all, count, own, st->set.stop_slots))
		stop_image(st, own, r->image_name, st->set.stop_slots);
	free(all);
}
