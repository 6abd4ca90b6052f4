/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the rules share: rulekeys.c has the table and the values, rules.c the files. */
#ifndef FDLD_COMMON_RULES_INNER_H
#define FDLD_COMMON_RULES_INNER_H

#include "common/rules.h"

/* A rule in which nothing is said; rule_free(). NULL: no memory. */
struct rule *rule_new(const char *name);
void rule_free(struct rule *rule);
/*
 * Takes a value as it stands in a file; "" is as if it were not said. 0, -ENOMEM, or -EINVAL with reason (at
 * most size bytes): what would have been right.
 */
int rule_put(struct rule *rule, enum rule_key_id id, const char *value, char *reason, size_t size);
/* The key whose name is most like it, for a message; RULE_KEY_NONE if none is. */
enum rule_key_id rule_key_like(const char *key);
/* The patterns of a condition. */
const struct rule_list *rule_globs(const struct rule *rule, enum rule_key_id id);

#endif
