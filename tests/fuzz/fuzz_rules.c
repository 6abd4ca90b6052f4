/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rule files of hostile text, their patterns, and phones of every kind judged by them. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/glob.h"
#include "common/rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int ok)
{
	if (!ok)
		abort();
}

/* What is shown of a rule reads back as the same rule. */
static void again(const struct rule *rule)
{
	struct rules *other = rules_new();
	struct failure why = { 0 };
	char *text = NULL;
	size_t len = 0;
	FILE *m = open_memstream(&text, &len);

	must(other && m);
	fprintf(m, "[%s]\n", rule->name);
	for (int i = 0; i < RULE_KEY_COUNT; i++) {
		char *value = rule_value(rule, (enum rule_key_id)i);

		must(value != NULL);
		/* a backslash at the end stands for itself only if nothing follows another one */
		if (rule->said[i] && *value)
			fprintf(m, "%s=%s%s\n", rule_key((enum rule_key_id)i)->key, value,
				value[strlen(value) - 1] == '\\' ? "\\\n" : "");
		free(value);
	}
	fclose(m);
	must(rules_parse(other, "g", text, len, &why) == 0);
	must(rules_count(other) == 1);
	for (int i = 0; i < RULE_KEY_COUNT; i++) {
		char *a = rule_value(rule, (enum rule_key_id)i),
		     *b = rule_value(rules_at(other, 0), (enum rule_key_id)i);

		must(!strcmp(a, b));
		free(a);
		free(b);
	}
	rules_unref(other);
	free(text);
}

static void judge(const struct rules *rules, const struct rule_facts *facts)
{
	const struct rule *first = NULL;
	struct rule_verdict of, taken;
	char text[128];

	for (size_t i = 0; i < rules_count(rules); i++) {
		const struct rule *rule = rules_at(rules, i);

		rule_judge(rule, facts, &of);
		must((of.fit == RULE_DIFFERS) == (of.differs != RULE_KEY_NONE));
		must(of.fit != RULE_OPEN || of.open);
		must(of.fit != RULE_FITS || !of.open);
		rule_verdict_text(rule, facts, &of, text, sizeof(text));
		for (char *p = text; *p; p++) /* a pattern may have tabs in it */
			*p = *p == '\t' ? ' ' : *p;
		must(conf_clean(text));
		if (!first && of.fit != RULE_DIFFERS)
			first = rule;
	}
	must(rules_pick(rules, facts, &taken) == first);
}

/* Two pieces of the input as pattern and text: some answer, soon. */
static void globs(const char *text, size_t size)
{
	size_t half = size / 2 < 4000 ? size / 2 : 4000;
	char *glob = strndup(text, half), *other = strndup(text + half, half);

	must(glob && other);
	if (glob_valid(glob)) {
		(void)glob_match(glob, other);
		must(glob_match(glob, glob) || strpbrk(glob, "[*?"));
	}
	must(glob_match("*", other));
	free(glob);
	free(other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct rule_facts phones[] = {
		{ .fact = { [RULE_SLOT] = "pci-0000:00:14.0-usb-0:4.3", [RULE_LABEL] = "" } },
		{ .fact = { [RULE_SLOT] = "a",
			    [RULE_LABEL] = "A1",
			    [RULE_STAGE] = "rom",
			    [RULE_STORAGE] = "emmc" } },
		{ .fact = { [RULE_SLOT] = "a",
			    [RULE_LABEL] = "\xc3\xa4",
			    [RULE_STAGE] = "fdl2",
			    [RULE_FAMILY] = "sharkl3",
			    [RULE_STORAGE] = "ufs",
			    [RULE_UNIT] = "0123abcd" } },
	};
	char *text = malloc(size + 1); /* its own, so that a byte beyond it is noticed */
	struct rules *rules = rules_new();
	struct failure why = { 0 };

	must(text && rules);
	memcpy(text, data, size);
	if (rules_parse(rules, "f", text, size, &why) < 0) {
		must(why.error == ERR_CONFIG_INVALID && !strncmp(why.detail, "f:", 2) &&
		     conf_clean(why.detail));
	} else {
		for (size_t i = 0; i < rules_count(rules); i++)
			again(rules_at(rules, i));
		for (size_t i = 0; i < sizeof(phones) / sizeof(phones[0]); i++)
			judge(rules, &phones[i]);
	}
	rules_unref(rules);
	globs(text, size);
	free(text);
	return 0;
}
