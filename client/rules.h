/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rule files looked at without the daemon, told in the daemon's shape. */
#ifndef FDLD_CLIENT_RULES_H
#define FDLD_CLIENT_RULES_H

#include <json-c/json.h>

#include "common/rules.h"

/* As Manager.GetRules: {"rules": [...], "files": [...]}. The caller's. */
json_object *rules_as_json(const struct rules *rules);
/* As the answer and the rules of Manager.ExplainRules, without what only the daemon knows of an image. The
 * caller's. */
json_object *rules_explained(const struct rules *rules, const struct rule_facts *facts);

#endif
