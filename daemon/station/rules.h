/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The rules in force, asked about a place of this station. What a rule is and what its conditions mean:
 * common/rules.h. They are read with the configuration (station/config.h): at the start, and with each reload
 * on its worker; rules and settings come into force together or not at all. config_read() tells. Belongs to
 * the loop's thread.
 */
#ifndef FDLD_STATION_RULES_H
#define FDLD_STATION_RULES_H

#include "common/rules.h"

struct image;
struct slot;
struct station;

/* In force; NULL (no rules at all) without a configuration. Until the next turn: rules_ref() what is kept. */
struct rules *station_rules(const struct station *st);
/*
 * What is known of a slot and the phone in it. Lent until the loop's next turn. stage, family, storage and
 * unit are known once a job has talked to this very phone, until it leaves,
 * and "" if it did not tell them then; of an empty slot nothing of a
 * phone is.
 */
void slot_rule_facts(const struct slot *slot, struct rule_facts *facts);
/*
 * rules_pick() for this slot: the only rule it is armed with, if it is so, provided that it fits or is open.
 * facts: slot_rule_facts(), or as if.
 */
const struct rule *slot_rule(const struct slot *slot, const struct rule_facts *facts,
			     struct rule_verdict *verdict);
/*
 * The stored package that a rule names: by name, digest, or first digits. NULL with *why: NoSuchImage (none,
 * or several), or what is wrong with the only one. Of a rule with action=nothing NULL without a failure.
 */
struct image *rule_image(struct station *st, const struct rule *rule, struct failure *why);
/* Whether a phone in this slot could be started with that image and the loader that the rule names, or what
 * takes its place: as station_flash() says. 0 and its name, "" for the image's own; or negative errno. */
int rule_loader(struct station *st, const struct slot *slot, const struct rule *rule, struct image *image,
		const char **name, struct failure *why);

#endif
