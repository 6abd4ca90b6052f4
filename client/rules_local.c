/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>

#include "client/rules.h"
#include "common/util.h"

static void add(json_object *o, const char *key, const char *text)
{
	json_object_object_add(o, key, json_object_new_string(text));
}

static void add_value(json_object *o, const struct rule *rule, enum rule_key_id id, const char *key)
{
	_cleanup_free_ char *value = rule_value(rule, id);

	add(o, key, value ? value : "");
}

static json_object *named(const struct rule *rule)
{
	json_object *o = json_object_new_object();

	add(o, "name", rule->name);
	add(o, "file", rule->file);
	json_object_object_add(o, "line", json_object_new_int64(rule->line));
	return o;
}

json_object *rules_as_json(const struct rules *rules)
{
	json_object *all = json_object_new_object(), *list = json_object_new_array(),
		    *files = json_object_new_array();

	for (size_t i = 0; i < rules_count(rules); i++) {
		const struct rule *rule = rules_at(rules, i);
		json_object *o = named(rule), *keys = json_object_new_object();

		for (int k = 0; k < RULE_KEY_COUNT; k++)
			if (rule->said[k])
				add_value(keys, rule, (enum rule_key_id)k,
					  rule_key((enum rule_key_id)k)->key);
		json_object_object_add(o, "keys", keys);
		json_object_array_add(list, o);
	}
	for (size_t i = 0; i < rules_files(rules); i++)
		json_object_array_add(files, json_object_new_string(rules_file(rules, i)));
	json_object_object_add(all, "rules", list);
	json_object_object_add(all, "files", files);
	return all;
}

static json_object *verdict(const struct rule *rule, const struct rule_facts *facts)
{
	json_object *o = named(rule), *open = json_object_new_object();
	struct rule_verdict of;
	char reason[1024];

	rule_judge(rule, facts, &of);
	add(o, "fit", rule_fit_name(of.fit));
	if (of.fit == RULE_DIFFERS) {
		add(o, "condition", rule_key(of.differs)->key);
		add(o, "is", facts->fact[of.differs]);
		add_value(o, rule, of.differs, "wanted");
	}
	for (int i = 0; i < RULE_CONDITIONS; i++)
		if (of.open & 1u << i)
			add_value(open, rule, (enum rule_key_id)i, rule_key((enum rule_key_id)i)->key);
	json_object_object_add(o, "open", open);
	add(o, "reason", rule_verdict_text(rule, facts, &of, reason, sizeof(reason)));
	return o;
}

json_object *rules_explained(const struct rules *rules, const struct rule_facts *facts)
{
	const struct rule *rule = rules_pick(rules, facts, NULL);
	json_object *o = json_object_new_object(), *known = json_object_new_object(),
		    *list = json_object_new_array();

	add(o, "slot", facts->fact[RULE_SLOT] ? facts->fact[RULE_SLOT] : "");
	for (int i = 0; i < RULE_CONDITIONS; i++)
		if (facts->fact[i])
			add(known, rule_key((enum rule_key_id)i)->key, facts->fact[i]);
	json_object_object_add(o, "facts", known);
	add(o, "rule", rule ? rule->name : "");
	if (rule) {
		add(o, "file", rule->file);
		json_object_object_add(o, "line", json_object_new_int64(rule->line));
		add(o, "action", rule->action);
	}
	if (rule && *rule->image)
		add(o, "image", rule->image);
	for (size_t i = 0; i < rules_count(rules); i++)
		json_object_array_add(list, verdict(rules_at(rules, i), facts));
	json_object_object_add(o, "rules", list);
	return o;
}
