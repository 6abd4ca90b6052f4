/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rule files, read into one ordered set. */
#include "common/rules.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "common/rules_inner.h"
#include "common/util.h"

/* As those of fdld.conf; not below /run/fdld, which belongs to whom rules tell what to do. */
const char *const rules_places[RULES_PLACES] = {
	"/etc/fdld/rules",
	"/run/fdld.rules",
	"/usr/local/lib/fdld/rules",
	"/usr/lib/fdld/rules",
};

struct rules {
	atomic_uint refs; /* a thread that was left behind may hold one */
	struct rule **rule;
	size_t count;
	struct conf_list files;
};

struct rules *rules_new(void)
{
	struct rules *rules = calloc(1, sizeof(*rules));

	if (rules)
		atomic_init(&rules->refs, 1);
	return rules;
}

struct rules *rules_ref(struct rules *rules)
{
	atomic_fetch_add(&rules->refs, 1);
	return rules;
}

void rules_unref(struct rules *rules)
{
	if (!rules || atomic_fetch_sub(&rules->refs, 1) != 1)
		return;
	for (size_t i = 0; i < rules->count; i++)
		rule_free(rules->rule[i]);
	free(rules->rule);
	conf_list_free(&rules->files);
	free(rules);
}

size_t rules_count(const struct rules *rules)
{
	return rules ? rules->count : 0;
}

const struct rule *rules_at(const struct rules *rules, size_t index)
{
	return rules->rule[index];
}

const struct rule *rules_named(const struct rules *rules, const char *name)
{
	for (size_t i = 0; i < rules_count(rules); i++)
		if (!strcmp(rules->rule[i]->name, name))
			return rules->rule[i];
	return NULL;
}

size_t rules_files(const struct rules *rules)
{
	return rules ? rules->files.count : 0;
}

const char *rules_file(const struct rules *rules, size_t index)
{
	return rules->files.path[index];
}

static bool rule_same(const struct rule *a, const struct rule *b)
{
	bool same = !strcmp(a->name, b->name);

	for (int i = 0; same && i < RULE_KEY_COUNT; i++) {
		_cleanup_free_ char *va = rule_value(a, (enum rule_key_id)i);
		_cleanup_free_ char *vb = rule_value(b, (enum rule_key_id)i);

		same = va && vb && !strcmp(va, vb);
	}
	return same;
}

bool rules_same(const struct rules *a, const struct rules *b)
{
	bool same = rules_count(a) == rules_count(b);

	for (size_t i = 0; same && i < rules_count(a); i++)
		same = rule_same(a->rule[i], b->rule[i]);
	return same;
}

/* ---- one file ----------------------------------------------------------------------- */

struct reading {
	struct rules *rules;
	const char *file;  /* the set's own copy */
	struct rule *rule; /* whose section it is; NULL: none yet */
};

/* What can only be told of a whole rule. */
static int complete(const struct rule *rule, struct failure *why)
{
	const unsigned int *said = rule->said;
	bool nothing = !strcmp(rule->action, "nothing");

	for (int i = RULE_CONDITIONS + 1; nothing && i < RULE_KEY_COUNT; i++)
		if (said[i])
			return conf_refuse(rule->file, said[i], why,
					   "%s means nothing in a rule with action=nothing",
					   rule_key((enum rule_key_id)i)->key);
	if (!nothing && !*rule->image)
		return conf_refuse(rule->file, rule->line, why, "the rule [%s] names no image", rule->name);
	if (said[RULE_SAMPLE] && strcmp(rule->level, "sampled") != 0)
		return conf_refuse(rule->file, said[RULE_SAMPLE], why,
				   "sample means nothing without level=sampled");
	if (said[RULE_GATE_TIMEOUT] && strcmp(rule->gate, "client") != 0)
		return conf_refuse(rule->file, said[RULE_GATE_TIMEOUT], why,
				   "gate-timeout means nothing without gate=client");
	return 0;
}

static int add(struct reading *reading, const struct conf_entry *e, struct failure *why)
{
	struct rules *rules = reading->rules;
	const struct rule *other = rules_named(rules, e->section);
	struct rule **more, *rule;

	if (other && other->file == reading->file)
		return conf_refuse(e->file, e->line, why, "the rule [%s] stands on line %u already",
				   e->section, other->line);
	if (other)
		return conf_refuse(e->file, e->line, why, "there is a rule [%s] already, at %.100s:%u",
				   e->section, other->file, other->line);
	if (rules->count == RULES_MAX)
		return conf_refuse(e->file, e->line, why, "more than %u rules", RULES_MAX);
	more = realloc(rules->rule, (rules->count + 1) * sizeof(*more));
	if (!more)
		return failure_set(why, ERR_INTERNAL, "out of memory");
	rules->rule = more;
	rule = rule_new(e->section);
	if (!rule)
		return failure_set(why, ERR_INTERNAL, "out of memory");
	rule->file = reading->file;
	rule->line = e->line;
	rule->index = (uint32_t)rules->count;
	more[rules->count++] = reading->rule = rule;
	return 0;
}

static int on_entry(void *user, const struct conf_entry *e, struct failure *why)
{
	struct reading *reading = user;
	char reason[256];
	enum rule_key_id id;
	int r;

	if (!e->key) {
		r = reading->rule ? complete(reading->rule, why) : 0;
		return r ? r : add(reading, e, why);
	}
	if (!reading->rule)
		return conf_refuse(e->file, e->line, why, "%s stands before the first [rule]", e->key);
	id = rule_key_find(e->key);
	if (id == RULE_KEY_NONE) {
		id = rule_key_like(e->key);
		return id == RULE_KEY_NONE
			       ? conf_refuse(e->file, e->line, why, "a rule has no %s", e->key)
			       : conf_refuse(e->file, e->line, why, "a rule has no %s; is %s meant?", e->key,
					     rule_key(id)->key);
	}
	if (reading->rule->said[id])
		return conf_refuse(e->file, e->line, why, "%s was set on line %u already", e->key,
				   reading->rule->said[id]);
	r = rule_put(reading->rule, id, e->value, reason, sizeof(reason));
	if (r == -ENOMEM)
		return failure_set(why, ERR_INTERNAL, "out of memory");
	if (r < 0)
		return conf_refuse(e->file, e->line, why, "%s", reason);
	reading->rule->said[id] = e->line;
	return 0;
}

int rules_parse(struct rules *rules, const char *file, const char *text, size_t len, struct failure *why)
{
	struct reading reading = { .rules = rules };
	int r;

	if (conf_list_add(&rules->files, file) < 0)
		return failure_set(why, ERR_INTERNAL, "out of memory");
	reading.file = rules->files.path[rules->files.count - 1];
	r = conf_parse(file, text, len, on_entry, &reading, why);
	return !r && reading.rule ? complete(reading.rule, why) : r;
}

/* ---- all of them -------------------------------------------------------------------- */

int rules_load_files(const char *const *paths, size_t count, struct rules **out, struct failure *why)
{
	struct rules *rules = rules_new();
	int r = 0;

	if (!rules)
		return failure_set(why, ERR_INTERNAL, "out of memory");
	for (size_t i = 0; !r && i < count; i++) {
		_cleanup_free_ char *text = NULL;
		size_t len;

		r = conf_read(paths[i], &text, &len, why);
		if (!r)
			r = rules_parse(rules, paths[i], text, len, why);
	}
	if (r < 0)
		rules_unref(rules);
	else
		*out = rules;
	return r;
}

int rules_load(const char *root, struct rules **out, struct failure *why)
{
	struct conf_list list;
	int r = conf_find_dropins(root, rules_places, RULES_PLACES, &list, why);

	if (r < 0)
		return r;
	r = rules_load_files((const char *const *)list.path, list.count, out, why);
	conf_list_free(&list);
	return r;
}
