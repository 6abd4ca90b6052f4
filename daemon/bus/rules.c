/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The rules on org.fdld1.Manager: what is in force, and which of them a phone would get. */
#include "bus/internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/rules.h"
#include "common/util.h"
#include "station/rules.h"

#define UNIT_DIGITS 8 /* of an identity that everybody may see */

/* ---- dictionaries of texts -------------------------------------------------------- */

static int dict_begin(sd_bus_message *m, const char *key)
{
	int r = sd_bus_message_open_container(m, 'e', "sv");

	if (r >= 0)
		r = sd_bus_message_append_basic(m, 's', key);
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'v', "a{ss}");
	return r < 0 ? r : sd_bus_message_open_container(m, 'a', "{ss}");
}

static int dict_add(sd_bus_message *m, const char *key, const char *text)
{
	int r = sd_bus_message_open_container(m, 'e', "ss");

	if (r >= 0)
		r = sd_bus_message_append_basic(m, 's', key);
	if (r >= 0)
		r = reply_text(m, text);
	return r < 0 ? r : sd_bus_message_close_container(m);
}

static int dict_end(sd_bus_message *m)
{
	int r = sd_bus_message_close_container(m);

	if (r >= 0)
		r = sd_bus_message_close_container(m);
	return r < 0 ? r : sd_bus_message_close_container(m);
}

static int dict_add_value(sd_bus_message *m, const struct rule *rule, enum rule_key_id id)
{
	_cleanup_free_ char *value = rule_value(rule, id);

	return dict_add(m, rule_key(id)->key, value ? value : "");
}

static int append_where(sd_bus_message *m, const struct rule *rule)
{
	int r = reply_entry(m, "file", 's', rule->file);

	return r < 0 ? r : reply_entry(m, "line", 'u', &rule->line);
}

/* ---- GetRules --------------------------------------------------------------------- */

static int append_rule(sd_bus_message *m, const struct rule *rule)
{
	int r = sd_bus_message_open_container(m, 'a', "{sv}");

	if (r >= 0)
		r = reply_entry(m, "name", 's', rule->name);
	if (r >= 0)
		r = append_where(m, rule);
	if (r >= 0)
		r = dict_begin(m, "keys");
	for (int i = 0; r >= 0 && i < RULE_KEY_COUNT; i++)
		if (rule->said[i])
			r = dict_add_value(m, rule, (enum rule_key_id)i);
	if (r >= 0)
		r = dict_end(m);
	return r < 0 ? r : sd_bus_message_close_container(m);
}

int manager_get_rules(struct call *call)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	const struct rules *rules = station_rules(call->bus->station);
	int r = sd_bus_message_new_method_return(call->m, &m);

	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "a{sv}");
	for (size_t i = 0; r >= 0 && i < rules_count(rules); i++)
		r = append_rule(m, rules_at(rules, i));
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "s");
	for (size_t i = 0; r >= 0 && i < rules_files(rules); i++)
		r = reply_text(m, rules_file(rules, i));
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	return r < 0 ? r : sd_bus_send(NULL, m, NULL);
}

/* ---- ExplainRules ----------------------------------------------------------------- */

/* A fact as everybody may see it. */
static const char *shown(const struct rule_facts *facts, int id, char *buf, size_t size)
{
	snprintf(buf, size, "%.*s", id == RULE_UNIT ? UNIT_DIGITS : (int)size - 1, facts->fact[id]);
	return buf;
}

static int append_facts(sd_bus_message *m, const struct rule_facts *facts)
{
	int r = dict_begin(m, "facts");
	char text[256];

	for (int i = 0; r >= 0 && i < RULE_CONDITIONS; i++)
		if (facts->fact[i])
			r = dict_add(m, rule_key((enum rule_key_id)i)->key,
				     shown(facts, i, text, sizeof(text)));
	return r < 0 ? r : dict_end(m);
}

static int append_wrong(sd_bus_message *m, const struct failure *why)
{
	int r = reply_entry(m, "error", 's', reply_error_name(why));

	return r < 0 ? r : reply_entry(m, "detail", 's', why->detail);
}

/* Image and loader: as they are named, and what they stand for or what is wrong with them. */
static int append_image(struct call *call, sd_bus_message *m, const struct slot *slot,
			const struct rule *rule)
{
	struct failure why;
	struct image *image = rule_image(call->bus->station, rule, &why);
	int r = reply_entry(m, "image", 's', rule->image), found;
	const char *loader;
	struct image_view v;

	if (r < 0)
		return r;
	if (!image) {
		if (*rule->loader)
			r = reply_entry(m, "loader", 's', rule->loader);
		return r < 0 ? r : append_wrong(m, &why);
	}
	image_view(image, &v);
	r = reply_entry(m, "path", 'o', object_path(call->bus, image));
	if (r >= 0)
		r = reply_entry(m, "digest", 's', v.digest);
	if (r < 0)
		return r;
	memset(&why, 0, sizeof(why));
	found = rule_loader(call->bus->station, slot, rule, image, &loader, &why);
	if (found < 0)
		loader = rule->loader;
	if (*loader)
		r = reply_entry(m, "loader", 's', loader);
	return r < 0 || found >= 0 ? r : append_wrong(m, &why);
}

static int append_answer(struct call *call, sd_bus_message *m, const struct slot *slot,
			 const struct rule_facts *facts)
{
	const struct rule *rule = slot_rule(slot, facts, NULL);
	int r = sd_bus_message_open_container(m, 'a', "{sv}"), armed;
	struct slot_view v;

	slot_view(slot, &v);
	armed = v.book->arm.armed;

	if (r >= 0)
		r = reply_entry(m, "slot", 's', facts->fact[RULE_SLOT]);
	if (r >= 0)
		r = append_facts(m, facts);
	if (r >= 0)
		r = reply_entry(m, "armed", 'b', &armed);
	if (r >= 0 && *v.book->arm.rule)
		r = reply_entry(m, "only", 's', v.book->arm.rule);
	if (r >= 0)
		r = reply_entry(m, "rule", 's', rule ? rule->name : "");
	if (r >= 0 && rule)
		r = append_where(m, rule);
	if (r >= 0 && rule)
		r = reply_entry(m, "action", 's', rule->action);
	if (r >= 0 && rule && *rule->image)
		r = append_image(call, m, slot, rule);
	return r < 0 ? r : sd_bus_message_close_container(m);
}

/* What is seen of an identity is not all that it was judged by: the words are made of what may be seen. */
static int append_reason(sd_bus_message *m, const struct rule *rule, const struct rule_facts *facts,
			 const struct rule_verdict *of)
{
	struct rule_facts seen = *facts;
	char reason[1024], unit[UNIT_DIGITS + 1];

	if (facts->fact[RULE_UNIT])
		seen.fact[RULE_UNIT] = shown(facts, RULE_UNIT, unit, sizeof(unit));
	return reply_entry(m, "reason", 's', rule_verdict_text(rule, &seen, of, reason, sizeof(reason)));
}

static int append_differs(sd_bus_message *m, const struct rule *rule, const struct rule_facts *facts,
			  enum rule_key_id id)
{
	_cleanup_free_ char *wanted = rule_value(rule, id);
	char is[256];
	int r = reply_entry(m, "condition", 's', rule_key(id)->key);

	if (r >= 0)
		r = reply_entry(m, "is", 's', shown(facts, (int)id, is, sizeof(is)));
	return r < 0 ? r : reply_entry(m, "wanted", 's', wanted ? wanted : "");
}

static int append_verdict(sd_bus_message *m, const struct rule *rule, const struct rule_facts *facts)
{
	struct rule_verdict of;
	int r = sd_bus_message_open_container(m, 'a', "{sv}");

	rule_judge(rule, facts, &of);
	if (r >= 0)
		r = reply_entry(m, "name", 's', rule->name);
	if (r >= 0)
		r = append_where(m, rule);
	if (r >= 0)
		r = reply_entry(m, "fit", 's', rule_fit_name(of.fit));
	if (r >= 0 && of.fit == RULE_DIFFERS)
		r = append_differs(m, rule, facts, of.differs);
	if (r >= 0 && of.open)
		r = dict_begin(m, "open");
	for (int i = 0; r >= 0 && i < RULE_CONDITIONS; i++)
		if (of.open & 1u << i)
			r = dict_add_value(m, rule, (enum rule_key_id)i);
	if (r >= 0 && of.open)
		r = dict_end(m);
	if (r >= 0)
		r = append_reason(m, rule, facts, &of);
	return r < 0 ? r : sd_bus_message_close_container(m);
}

static int answer(struct call *call, const struct slot *slot, const struct rule_facts *facts)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	const struct rules *rules = station_rules(call->bus->station);
	int r = sd_bus_message_new_method_return(call->m, &m);

	if (r >= 0)
		r = append_answer(call, m, slot, facts);
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "a{sv}");
	for (size_t i = 0; r >= 0 && i < rules_count(rules); i++)
		r = append_verdict(m, rules_at(rules, i), facts);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	return r < 0 ? r : sd_bus_send(NULL, m, NULL);
}

int manager_explain_rules(struct call *call)
{
	struct failure why = { 0 };
	struct options options;
	struct rule_facts facts;
	struct slot *slot;
	const char *name;
	int r = sd_bus_message_read_basic(call->m, 's', &name);

	if (r < 0)
		return r;
	r = options_read(call->bus, call->m, OPTION_FACTS, &options, &why);
	if (r >= 0) {
		slot = station_slot_named(call->bus->station, name);
		if (!slot)
			r = failure_set(&why, ERR_NO_SUCH_SLOT, "%.128s", name);
	}
	if (r >= 0) {
		slot_rule_facts(slot, &facts);
		for (int i = 0; i < RULE_CONDITIONS; i++)
			if (options.facts.fact[i])
				facts.fact[i] = options.facts.fact[i];
		r = answer(call, slot, &facts);
	} else {
		r = reply_failure(call->error, &why);
	}
	options_free(&options);
	return r;
}
