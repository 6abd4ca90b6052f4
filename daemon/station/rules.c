/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "station/rules.h"

#include <string.h>

#include "station/config.h"
#include "station/internal.h"

struct rules *station_rules(const struct station *st)
{
	return st->config ? config_rules(st->config) : NULL;
}

/* What a phone does not tell although it was asked is known, too: nothing. */
static const char *known(const struct device *d, const char *text)
{
	return *text || d->told.all ? text : NULL;
}

void slot_rule_facts(const struct slot *slot, struct rule_facts *facts)
{
	const struct device *d = slot->device;

	memset(facts, 0, sizeof(*facts));
	facts->fact[RULE_SLOT] = slot->id;
	facts->fact[RULE_LABEL] = slot->book.label;
	if (!d)
		return;
	facts->fact[RULE_STAGE] = known(d, d->told.stage);
	facts->fact[RULE_FAMILY] = known(d, d->told.family);
	facts->fact[RULE_STORAGE] = known(d, d->told.storage);
	facts->fact[RULE_UNIT] = known(d, d->told.unit);
}

const struct rule *slot_rule(const struct slot *slot, const struct rule_facts *facts,
			     struct rule_verdict *verdict)
{
	const struct rules *rules = station_rules(slot->st);
	const char *only = slot->book.arm.rule;
	struct rule_verdict of;
	const struct rule *rule;

	if (!*only)
		return rules_pick(rules, facts, verdict);
	rule = rules_named(rules, only);
	if (!rule)
		return NULL;
	rule_judge(rule, facts, &of);
	if (verdict)
		*verdict = of;
	return of.fit == RULE_DIFFERS ? NULL : rule;
}

struct image *rule_image(struct station *st, const struct rule *rule, struct failure *why)
{
	memset(why, 0, sizeof(*why));
	return *rule->image ? station_stored_image(st, rule->image, why) : NULL;
}

int rule_loader(struct station *st, const struct slot *slot, const struct rule *rule, struct image *image,
		const char **name, struct failure *why)
{
	struct image *lender;
	int r = loader_lend(st, slot, image, rule->loader, rule->force_loaders, &lender, why);

	*name = !r && lender ? lender->name : "";
	return r;
}
