/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Rules: which phone gets what by itself. Files of sections, one rule each, in the order of the files' names;
 * the first rule whose conditions are met is the one. rules.def holds the keys; the service and fdlctl read
 * the files with the same code.
 *
 * A set is immutable once read and counted by references, not atomically: it belongs to one thread at a time
 * (a worker reads it and hands it over). Everything but rules_load...() is pure and does not block.
 *
 * Promise: a rule alone makes no phone hear a byte. What is known on arrival is what the machine knows of the
 * port (slot, label), and stage, family, storage, unit only if a job has talked to this very phone since
 * it came. A condition on what is not known yet neither fails nor is met, it is *open*: the rule may be
 * taken, and whoever takes it has to make sure of the open conditions (rule_judge() with facts that are known
 * by then) before anything of the phone is changed, else refuse with RuleNotMet. After that refusal the facts
 * are known, and the rules can be asked again for the same phone: this rule then differs for good, so that
 * this ends.
 */
#ifndef FDLD_COMMON_RULES_H
#define FDLD_COMMON_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/conffile.h"
#include "common/error.h"

enum rule_key_id {
#define RULE_KEY(id, ...) RULE_##id,
#include "common/rules.def"
#undef RULE_KEY
	RULE_KEY_COUNT
};

#define RULE_KEY_NONE	RULE_KEY_COUNT
#define RULE_CONDITIONS RULE_ACTION /* keys below this one are conditions */
#define RULE_TEXT_MAX	256u	    /* bytes of a TEXT, with the NUL */
#define RULE_WORD_MAX	16u	    /* bytes of a WORD, with the NUL */
#define RULES_MAX	1024u	    /* rules in all files */
#define RULE_NAMES_MAX	64u	    /* patterns or names of one key */

enum rule_part { RULE_PART_MATCH, RULE_PART_ACTION };
enum rule_type {
	RULE_IS_GLOBS,
	RULE_IS_WORD,
	RULE_IS_COUNT,
	RULE_IS_DURATION,
	RULE_IS_TEXT,
	RULE_IS_NAMES,
	RULE_IS_FLAG
};

struct rule_key {
	const char *key;
	enum rule_part part;
	enum rule_type type;
	const char *preset; /* as it would be written; "": not said */
	uint64_t least, most;
	const char *words; /* with commas between; NULL */
	const char *help;  /* one paragraph */
};
/* The row; id below RULE_KEY_COUNT. */
const struct rule_key *rule_key(enum rule_key_id id);
enum rule_key_id rule_key_find(const char *key); /* RULE_KEY_NONE */

/* Strings, ended by NULL; as job_options takes entries. NULL: none. */
struct rule_list {
	char **item;
	size_t count;
};

/* One rule. Lent by its set. Texts and words are never NULL, "" is "not said"; words are of the row's list.
 */
struct rule {
	const char *name;		   /* of the section; no other rule of the set is called so */
	const char *file;		   /* where it was said */
	unsigned int line;		   /* of its [section] */
	uint32_t index;			   /* place in the set, from 0 */
	unsigned int said[RULE_KEY_COUNT]; /* line of the key, 0: not said */
#define RULE_MEMBER_GLOBS(member)		   struct rule_list member
#define RULE_MEMBER_NAMES(member)		   struct rule_list member
#define RULE_MEMBER_WORD(member)		   char member[RULE_WORD_MAX]
#define RULE_MEMBER_TEXT(member)		   char member[RULE_TEXT_MAX]
#define RULE_MEMBER_COUNT(member)		   uint32_t member /* UINT32_MAX: unlimited */
#define RULE_MEMBER_DURATION(member)		   uint64_t member /* usec */
#define RULE_MEMBER_FLAG(member)		   bool member
#define RULE_KEY(id, key, part, type, member, ...) RULE_MEMBER_##type(member);
#include "common/rules.def"
#undef RULE_KEY
};

/* ---- the set ------------------------------------------------------------------------------------------ */

struct rules;

/* Where rule files lie, the strongest first: every *.conf of "<place>.d" (common/conffile.h,
 * conf_find_dropins()). */
#define RULES_PLACES 4u
extern const char *const rules_places[RULES_PLACES];

/*
 * Reads all files that count, below root (NULL: the machine's). 0 with *out, one reference, which may hold no
 * rule at all; or ConfigInvalid with file and line, Internal. Blocks on files.
 */
int rules_load(const char *root, struct rules **out, struct failure *why);
/* The same from exactly these files, in this order. */
int rules_load_files(const char *const *paths, size_t count, struct rules **out, struct failure *why);
/* One more file's text into a set that nobody else has yet; what is wrong with its last rule is said here
 * too. */
int rules_parse(struct rules *rules, const char *file, const char *text, size_t len, struct failure *why);
struct rules *rules_new(void); /* no rules; one reference. NULL: no memory */
struct rules *rules_ref(struct rules *rules);
void rules_unref(struct rules *rules); /* NULL is fine */

size_t rules_count(const struct rules *rules); /* rules NULL: 0 */
const struct rule *rules_at(const struct rules *rules, size_t index);
const struct rule *rules_named(const struct rules *rules, const char *name); /* NULL: none */
size_t rules_files(const struct rules *rules); /* that were read, with rules or not */
const char *rules_file(const struct rules *rules, size_t index);

/* They say the same, wherever that was said. */
bool rules_same(const struct rules *a, const struct rules *b);

/* A value as it would be written ("unlimited", "10min", "A*, !A7"); free() it. NULL: no memory. */
char *rule_value(const struct rule *rule, enum rule_key_id id);

/* ---- which one ---------------------------------------------------------------------------------------- */

/* What is known of a phone and its place, by condition; NULL: not known (yet). A place without a label: "".
 */
struct rule_facts {
	const char *fact[RULE_CONDITIONS]; /* fact[RULE_SLOT], fact[RULE_LABEL], ... */
};

enum rule_fit {
	RULE_FITS,   /* every condition is met */
	RULE_OPEN,   /* none fails, but some cannot be told yet */
	RULE_DIFFERS /* one fails */
};

const char *rule_fit_name(enum rule_fit fit); /* "fits", "open", "differs" */

struct rule_verdict {
	enum rule_fit fit;
	enum rule_key_id differs; /* RULE_DIFFERS: the first that fails, in the order of the table */
	uint32_t open;		  /* conditions that are not known, bit 1 << id; of all fits */
};
void rule_judge(const struct rule *rule, const struct rule_facts *facts, struct rule_verdict *verdict);
/*
 * In words, without the rule's name: "label is 'B3', not 'A*'", "unit is not known yet, it must be '12*'",
 * "every condition is met". At most size bytes, always NUL-terminated UTF-8; returns buf.
 */
char *rule_verdict_text(const struct rule *rule, const struct rule_facts *facts,
			const struct rule_verdict *verdict, char *buf, size_t size);
/*
 * The first rule that fits or is open; NULL: none. *verdict (may be NULL) is of the one returned. The rule's
 * action may be "nothing". Take rules_ref() for as long as the rule is used: a reload brings another set.
 */
const struct rule *rules_pick(const struct rules *rules, const struct rule_facts *facts,
			      struct rule_verdict *verdict);

/* Whether the list's patterns take text: one without "!" does (or there is none such), and no one with "!".
 */
bool rule_globs_match(const struct rule_list *globs, const char *text);

#endif
