/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of a rule's keys, and their values as text. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/glob.h"
#include "common/rules_inner.h"
#include "common/settings.h"
#include "common/util.h"

static const struct row {
	struct rule_key key;
	size_t offset;
} rows[RULE_KEY_COUNT] = {
#define RULE_KEY(id, key, part, type, member, preset, least, most, words, help)                      \
	[RULE_##id] = { { key, RULE_PART_##part, RULE_IS_##type, preset, least, most, words, help }, \
			offsetof(struct rule, member) },
#include "common/rules.def"
#undef RULE_KEY
};

const struct rule_key *rule_key(enum rule_key_id id)
{
	return &rows[id].key;
}

enum rule_key_id rule_key_find(const char *key)
{
	for (int i = 0; i < RULE_KEY_COUNT; i++)
		if (!strcmp(rows[i].key.key, key))
			return (enum rule_key_id)i;
	return RULE_KEY_NONE;
}

enum rule_key_id rule_key_like(const char *key)
{
	enum rule_key_id like = RULE_KEY_NONE;
	unsigned int best = 4;

	for (int i = 0; i < RULE_KEY_COUNT; i++) {
		unsigned int d = setting_distance(key, rows[i].key.key);

		if (d < best && d < strlen(rows[i].key.key)) {
			best = d;
			like = (enum rule_key_id)i;
		}
	}
	return like;
}

/* ---- a rule ------------------------------------------------------------------------- */

static void *at(struct rule *rule, enum rule_key_id id)
{
	return (char *)rule + rows[id].offset;
}

static const void *at_const(const struct rule *rule, enum rule_key_id id)
{
	return (const char *)rule + rows[id].offset;
}

static void list_clear(struct rule_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->item[i]);
	free(list->item);
	memset(list, 0, sizeof(*list));
}

static bool is_list(enum rule_key_id id)
{
	return rows[id].key.type == RULE_IS_GLOBS || rows[id].key.type == RULE_IS_NAMES;
}

void rule_free(struct rule *rule)
{
	if (!rule)
		return;
	for (int i = 0; i < RULE_KEY_COUNT; i++)
		if (is_list((enum rule_key_id)i))
			list_clear(at(rule, (enum rule_key_id)i));
	free((char *)rule->name);
	free(rule);
}

struct rule *rule_new(const char *name)
{
	struct rule *rule = calloc(1, sizeof(*rule));
	char reason[8];

	if (!rule)
		return NULL;
	rule->file = "";
	rule->name = strdup(name);
	if (!rule->name) {
		free(rule);
		return NULL;
	}
	/* the table's own values are good: a test says so */
	for (int i = 0; i < RULE_KEY_COUNT; i++)
		(void)rule_put(rule, (enum rule_key_id)i, "", reason, sizeof(reason));
	return rule;
}

/* ---- values ------------------------------------------------------------------------- */

/* A pattern that takes none of the words there are would never match. */
static bool takes_a_word(const char *pattern, const char *words)
{
	char word[RULE_WORD_MAX];

	while (words) {
		size_t n = strcspn(words, ",");

		snprintf(word, sizeof(word), "%.*s", (int)n, words);
		if (glob_match(pattern, word))
			return true;
		words = words[n] ? words + n + 2 : NULL;
	}
	return false;
}

static int check_glob(enum rule_key_id id, char *glob, char *reason, size_t size)
{
	const struct rule_key *k = &rows[id].key;
	const char *pattern = glob + (*glob == '!');

	if (id == RULE_UNIT)
		for (char *p = glob; *p; p++)
			if (*p >= 'A' && *p <= 'F')
				*p = (char)(*p - 'A' + 'a');
	if (!*pattern)
		snprintf(reason, size, "%s: '!' stands before a pattern", k->key);
	else if (!glob_valid(pattern))
		snprintf(reason, size, "%s: '%.60s' has brackets that are not closed, empty or backwards",
			 k->key, pattern);
	else if (k->words && !takes_a_word(pattern, k->words))
		snprintf(reason, size, "%s: '%.60s' matches none of %s", k->key, pattern, k->words);
	else if (id == RULE_UNIT && pattern[strspn(pattern, "0123456789abcdef*?[]!-")])
		snprintf(reason, size, "%s: '%.70s' has characters that no hexadecimal number has", k->key,
			 pattern);
	else
		return 0;
	return -EINVAL;
}

/* One item, without blanks around it. */
static int list_add(enum rule_key_id id, struct rule_list *list, const char *from, size_t len, char *reason,
		    size_t size)
{
	const char *key = rows[id].key.key;
	char *item;

	while (len && (*from == ' ' || *from == '\t')) {
		from++;
		len--;
	}
	while (len && (from[len - 1] == ' ' || from[len - 1] == '\t'))
		len--;
	if (!len || len >= RULE_TEXT_MAX) {
		snprintf(reason, size, "%s: between two commas stand 1 to %u bytes", key, RULE_TEXT_MAX - 1);
		return -EINVAL;
	}
	if (list->count == RULE_NAMES_MAX) {
		snprintf(reason, size, "%s has more than %u of them", key, RULE_NAMES_MAX);
		return -EINVAL;
	}
	item = strndup(from, len);
	if (!item)
		return -ENOMEM;
	list->item[list->count++] = item;
	return rows[id].key.type == RULE_IS_GLOBS ? check_glob(id, item, reason, size) : 0;
}

static int put_list(struct rule *rule, enum rule_key_id id, const char *value, char *reason, size_t size)
{
	struct rule_list list = { 0 };
	int r = 0;

	if (*value) {
		list.item = calloc(RULE_NAMES_MAX + 1, sizeof(*list.item));
		if (!list.item)
			return -ENOMEM;
	}
	for (bool more = *value; !r && more;) {
		size_t n = strcspn(value, ",");

		r = list_add(id, &list, value, n, reason, size);
		more = value[n];
		value += n + more;
	}
	if (r < 0) {
		list_clear(&list);
		return r;
	}
	list_clear(at(rule, id));
	memcpy(at(rule, id), &list, sizeof(list));
	return 0;
}

static struct setting_entry as_entry(const struct rule_key *k)
{
	return (struct setting_entry){ .key = k->key,
				       .type = k->type == RULE_IS_DURATION ? SETTING_IS_DURATION
									   : SETTING_IS_COUNT,
				       .least = k->least,
				       .most = k->most };
}

static int put_number(struct rule *rule, enum rule_key_id id, const char *value, char *reason, size_t size)
{
	const struct setting_entry e = as_entry(&rows[id].key);
	uint64_t n = 0;
	int r = setting_take_number(&e, value, &n, reason, size);

	if (r < 0)
		return r;
	if (e.type == SETTING_IS_DURATION)
		*(uint64_t *)at(rule, id) = n;
	else
		*(uint32_t *)at(rule, id) = (uint32_t)n;
	return 0;
}

int rule_put(struct rule *rule, enum rule_key_id id, const char *value, char *reason, size_t size)
{
	const struct rule_key *k = &rows[id].key;

	if (!*value)
		value = k->preset;
	switch (k->type) {
	case RULE_IS_GLOBS:
	case RULE_IS_NAMES: return put_list(rule, id, value, reason, size);
	case RULE_IS_COUNT:
	case RULE_IS_DURATION: return put_number(rule, id, value, reason, size);
	case RULE_IS_FLAG:
		if (!conf_bool(value, at(rule, id)))
			return 0;
		snprintf(reason, size, "%s is yes or no, not '%.30s'", k->key, value);
		return -EINVAL;
	case RULE_IS_WORD:
		if (!*value || setting_one_of(value, k->words)) {
			snprintf(at(rule, id), RULE_WORD_MAX, "%s", value);
			return 0;
		}
		snprintf(reason, size, "%s is one of %s, not '%.30s'", k->key, k->words, value);
		return -EINVAL;
	default: break;
	}
	if (strlen(value) >= RULE_TEXT_MAX) {
		snprintf(reason, size, "%s has at most %u bytes", k->key, RULE_TEXT_MAX - 1);
		return -EINVAL;
	}
	snprintf(at(rule, id), RULE_TEXT_MAX, "%s", value);
	return 0;
}

static char *list_text(const struct rule_list *list)
{
	size_t len = 1, end = 0;
	char *text;

	for (size_t i = 0; i < list->count; i++)
		len += strlen(list->item[i]) + 2;
	text = calloc(1, len);
	for (size_t i = 0; text && i < list->count; i++)
		end += (size_t)snprintf(text + end, len - end, "%s%s", i ? ", " : "", list->item[i]);
	return text;
}

char *rule_value(const struct rule *rule, enum rule_key_id id)
{
	const struct setting_entry e = as_entry(&rows[id].key);
	const void *member = at_const(rule, id);
	char text[SETTING_TEXT_MAX];

	switch (rows[id].key.type) {
	case RULE_IS_GLOBS:
	case RULE_IS_NAMES: return list_text(member);
	case RULE_IS_COUNT:
		return strdup(setting_number_text(&e, *(const uint32_t *)member, text, sizeof(text)));
	case RULE_IS_DURATION:
		return strdup(setting_number_text(&e, *(const uint64_t *)member, text, sizeof(text)));
	case RULE_IS_FLAG: return strdup(*(const bool *)member ? "yes" : "no");
	default: return strdup(member);
	}
}

const struct rule_list *rule_globs(const struct rule *rule, enum rule_key_id id)
{
	return at_const(rule, id);
}
