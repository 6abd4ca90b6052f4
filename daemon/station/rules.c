/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "station/rules.h"

#include <string.h>

#include "station/config.h"
#include "station/internal.h"

struct rules *station_rules(const struct station *st)
{
	return st->config ? config_rules(st->config) : NULL;
}

static const char *known(const char *text)
{
	return *text ? text : NULL;
}

void slot_rule_facts(const struct slot *slot, struct rule_facts *facts)
{
	const struct device *d = slot->device;

	memset(facts, 0, sizeof(*facts));
	facts->fact[RULE_SLOT] = slot->id;
	facts->fact[RULE_LABEL] = slot->book.label;
	if (!d)
		return;
	facts->fact[RULE_STAGE] = known(d->told.stage);
	facts->fact[RULE_FAMILY] = known(d->told.family);
	facts->fact[RULE_STORAGE] = known(d->told.storage);
	facts->fact[RULE_UNIT] = known(d->told.unit);
}

struct image *rule_image(struct station *st, const struct rule *rule, struct failure *why)
{
	memset(why, 0, sizeof(*why));
	return *rule->image ? station_stored_image(st, rule->image, why) : NULL;
}
