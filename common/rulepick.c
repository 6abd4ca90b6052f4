/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which rule a phone gets, and why not another. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/glob.h"
#include "common/rules_inner.h"
#include "common/util.h"

bool rule_globs_match(const struct rule_list *globs, const char *text)
{
	bool wanted = false, asked = false;

	for (size_t i = 0; i < globs->count; i++) {
		const char *glob = globs->item[i];

		if (*glob == '!') {
			if (glob_match(glob + 1, text))
				return false;
			continue;
		}
		asked = true;
		wanted = wanted || glob_match(glob, text);
	}
	return wanted || !asked;
}

void rule_judge(const struct rule *rule, const struct rule_facts *facts, struct rule_verdict *verdict)
{
	verdict->differs = RULE_KEY_NONE;
	verdict->open = 0;
	for (int i = 0; i < RULE_CONDITIONS; i++) {
		const struct rule_list *globs = rule_globs(rule, (enum rule_key_id)i);

		if (!globs->count)
			continue;
		if (!facts->fact[i])
			verdict->open |= 1u << i;
		else if (verdict->differs == RULE_KEY_NONE && !rule_globs_match(globs, facts->fact[i]))
			verdict->differs = (enum rule_key_id)i;
	}
	verdict->fit = verdict->differs != RULE_KEY_NONE ? RULE_DIFFERS
		       : verdict->open			 ? RULE_OPEN
							 : RULE_FITS;
}

const struct rule *rules_pick(const struct rules *rules, const struct rule_facts *facts,
			      struct rule_verdict *verdict)
{
	for (size_t i = 0; i < rules_count(rules); i++) {
		const struct rule *rule = rules_at(rules, i);
		struct rule_verdict of;

		rule_judge(rule, facts, &of);
		if (of.fit == RULE_DIFFERS)
			continue;
		if (verdict)
			*verdict = of;
		return rule;
	}
	return NULL;
}

const char *rule_fit_name(enum rule_fit fit)
{
	static const char *const names[] = {
		[RULE_FITS] = "fits", [RULE_OPEN] = "open", [RULE_DIFFERS] = "differs"
	};

	return names[fit];
}

/* ---- in words ----------------------------------------------------------------------- */

struct text {
	char *buf;
	size_t size, at;
};

static void put(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void put(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (t->at >= t->size)
		return;
	va_start(ap, fmt);
	n = vsnprintf(t->buf + t->at, t->size - t->at, fmt, ap);
	va_end(ap);
	t->at += n > 0 ? (size_t)n : 0;
}

/* What was cut in the middle of a character. */
static void tidy(struct text *t)
{
	size_t end;

	if (t->at < t->size)
		return;
	for (end = t->size - 1; end && ((unsigned char)t->buf[end - 1] & 0xc0) == 0x80;)
		end--;
	if (end && (unsigned char)t->buf[end - 1] >= 0xc0)
		end--;
	t->buf[end] = '\0';
}

char *rule_verdict_text(const struct rule *rule, const struct rule_facts *facts,
			const struct rule_verdict *verdict, char *buf, size_t size)
{
	struct text t = { .buf = buf, .size = size };
	bool any = false;

	buf[0] = '\0';
	if (verdict->fit == RULE_DIFFERS) {
		enum rule_key_id id = verdict->differs;
		_cleanup_free_ char *globs = rule_value(rule, id);

		put(&t, "%s is '%s', not '%s'", rule_key(id)->key, facts->fact[id], globs ? globs : "");
	}
	for (int i = 0; verdict->fit == RULE_OPEN && i < RULE_CONDITIONS; i++) {
		_cleanup_free_ char *globs = rule_value(rule, (enum rule_key_id)i);

		if (!(verdict->open & 1u << i))
			continue;
		put(&t, "%s%s is not known yet, it must be '%s'", any ? "; " : "",
		    rule_key((enum rule_key_id)i)->key, globs ? globs : "");
		any = true;
	}
	if (verdict->fit == RULE_FITS)
		put(&t, "every condition is met");
	tidy(&t);
	return buf;
}
