/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rule files, which rule is the one and why, and the file and page that tell of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/glob.h"
#include "common/rules.h"
#include "common/util.h"

#define SHIPPED "daemon/rules.conf"
#define PAGE	"man/fdld-rules.5"

static struct rules *parse(const char *text, struct failure *why)
{
	struct rules *rules = rules_new();

	assert_non_null(rules);
	memset(why, 0, sizeof(*why));
	if (rules_parse(rules, "f", text, strlen(text), why) < 0) {
		rules_unref(rules);
		return NULL;
	}
	return rules;
}

static struct rules *good(const char *text)
{
	struct failure why;
	struct rules *rules = parse(text, &why);

	if (!rules)
		fail_msg("%s", why.detail);
	return rules;
}

/* ---- the table ---------------------------------------------------------------------- */

static void test_table(void **state)
{
	struct rules *rules = good("[a]\nimage=x\n");
	const struct rule *rule = rules_at(rules, 0);

	assert_int_equal(RULE_SLOT, 0);
	for (int i = 0; i < RULE_KEY_COUNT; i++) {
		const struct rule_key *k = rule_key((enum rule_key_id)i);
		char *value = rule_value(rule, (enum rule_key_id)i);

		assert_int_equal(k->part, i < RULE_CONDITIONS ? RULE_PART_MATCH : RULE_PART_ACTION);
		if (k->part == RULE_PART_MATCH)
			assert_int_equal(k->type, RULE_IS_GLOBS);
		assert_int_equal(rule_key_find(k->key), i);
		assert_int_equal(k->help[strlen(k->help) - 1], '.');
		/* what is not said is the preset */
		assert_string_equal(value, i == RULE_IMAGE ? "x" : k->preset);
		free(value);
	}
	assert_int_equal(rule_key_find(""), RULE_KEY_NONE);
	assert_int_equal(rule->stop_after, 3);
	assert_true(rule->gate_usec == 600 * UINT64_C(1000000));
	assert_string_equal(rule->action, "flash");
	rules_unref(rules);
}

/* ---- patterns ----------------------------------------------------------------------- */

static void test_globs(void **state)
{
	static const struct {
		const char *glob, *text;
		bool match;
	} t[] = { { "A1", "A1", true },
		  { "A1", "A12", false },
		  { "A12", "A1", false },
		  { "", "", true },
		  { "", "a", false },
		  { "*", "", true },
		  { "*", "anything", true },
		  { "A*", "A", true },
		  { "A*", "BA", false },
		  { "*7", "A17", true },
		  { "*7", "A71", false },
		  { "pci-*-usb-0:4.*", "pci-0000:00:14.0-usb-0:4.3", true },
		  { "pci-*-usb-0:4.*", "pci-0000:00:14.0-usb-0:41.3", false },
		  { "a*b*c", "aXbXbXc", true },
		  { "a*b*c", "aXbXbXcd", false },
		  { "A?", "A1", true },
		  { "A?", "A", false },
		  { "A?", "A\xc3\xa4", true }, /* one character */
		  { "A??", "A\xc3\xa4", false },
		  { "[\xc3\xa4-\xc3\xbc]", "\xc3\xb6", true },
		  { "A[1-3]", "A2", true },
		  { "A[1-3]", "A4", false },
		  { "A[!1-3]", "A4", true },
		  { "A[!1-3]", "A2", false },
		  { "A[]x]", "A]", true },
		  { "A[a-]", "A-", true },
		  { "[*]", "*", true },
		  { "[*]", "a", false },
		  { "a", "A", false } };
	static const char *const bad[] = { "[", "[]", "[!]", "[a", "[z-a]", "x[1-" };
	char deep[256], text[256];

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		assert_true(glob_valid(t[i].glob));
		if (glob_match(t[i].glob, t[i].text) != t[i].match)
			fail_msg("'%s' and '%s'", t[i].glob, t[i].text);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (glob_valid(bad[i]))
			fail_msg("'%s' is taken for a pattern", bad[i]);
	/* a pattern that asks a simple matcher to try for years */
	for (size_t i = 0; i < sizeof(deep) - 2; i++)
		deep[i] = i % 2 ? 'a' : '*';
	strcpy(deep + sizeof(deep) - 2, "b");
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_false(glob_match(deep, text));
}

static bool takes(const char *globs, const char *label)
{
	char text[512];
	struct rule_facts facts = { .fact[RULE_LABEL] = label };
	struct rule_verdict of;
	struct rules *rules;

	snprintf(text, sizeof(text), "[a]\nimage=x\nlabel=%s\n", globs);
	rules = good(text);
	rule_judge(rules_at(rules, 0), &facts, &of);
	assert_true(of.fit == RULE_FITS || (of.fit == RULE_DIFFERS && of.differs == RULE_LABEL));
	rules_unref(rules);
	return of.fit == RULE_FITS;
}

static void test_lists(void **state)
{
	assert_true(takes("A1, B*", "B7"));
	assert_true(takes("A 1 ,B*", "A 1"));
	assert_false(takes("A1, B*", "C"));
	assert_true(takes("!B*", "A"));
	assert_false(takes("!B*", "B1"));
	assert_false(takes("B*, !B7", "B7"));
	assert_false(takes("!B7, B*", "B7"));
	assert_true(takes("B*, !B7", "B8"));
	assert_false(takes("B*, !B7", "C"));
	/* a place without a label */
	assert_true(takes("*", ""));
	assert_true(takes("!B*", ""));
	assert_false(takes("?*", ""));
	/* nothing said is no condition */
	assert_true(takes("", "A"));
}

/* ---- values ------------------------------------------------------------------------- */

static void test_values(void **state)
{
	struct rules *rules = good(
		"; a comment\n[line A]\nslot = pci-*:1.*\nunit = 00AB*, !00ab12*\nimage = a, b.pac\n"
		"level = sampled\nsample = 20\nend = power-off\nnv = keep-if-any\n"
		"repartition = never\nentries = BOOT, \\\n  SYSTEM\nwithout = USER\nerase-all = on\n"
		"raw = yes\ndebounce = 300ms\nretries = 2\ngate = client\ngate-timeout = 1h\n"
		"stop-after = unlimited\nforce-loaders = no\nafter-crash = yes\n"
		"[B]\naction = nothing\nlabel = repair\n");
	const struct rule *a = rules_at(rules, 0), *b = rules_at(rules, 1);
	char *value;

	assert_int_equal(rules_count(rules), 2);
	assert_string_equal(a->name, "line A");
	assert_string_equal(a->file, "f");
	assert_int_equal(a->line, 2);
	assert_int_equal(a->index, 0);
	assert_int_equal(a->said[RULE_SLOT], 3);
	assert_int_equal(a->said[RULE_LABEL], 0);
	assert_string_equal(a->unit.item[0], "00ab*"); /* as the identity is written */
	assert_string_equal(a->unit.item[1], "!00ab12*");
	assert_null(a->unit.item[2]);
	assert_string_equal(a->image, "a, b.pac");
	assert_string_equal(a->level, "sampled");
	assert_int_equal(a->sample, 20);
	assert_string_equal(a->end, "power-off");
	assert_string_equal(a->nv, "keep-if-any");
	assert_string_equal(a->repartition, "never");
	assert_string_equal(a->entries.item[0], "BOOT");
	assert_string_equal(a->entries.item[1], "SYSTEM");
	assert_null(a->entries.item[2]);
	assert_string_equal(a->without.item[0], "USER");
	assert_true(a->erase_all && a->raw && !a->force_loaders && a->after_crash);
	assert_true(a->debounce_usec == 300000);
	assert_int_equal(a->retries, 2);
	assert_string_equal(a->gate, "client");
	assert_true(a->gate_usec == UINT64_C(3600000000));
	assert_int_equal(a->stop_after, UINT32_MAX);
	assert_string_equal(b->action, "nothing");
	assert_int_equal(b->index, 1);
	assert_ptr_equal(rules_named(rules, "B"), b);
	assert_null(rules_named(rules, "C"));
	assert_null(b->entries.item);
	value = rule_value(a, RULE_UNIT);
	assert_string_equal(value, "00ab*, !00ab12*");
	free(value);
	value = rule_value(a, RULE_STOP_AFTER);
	assert_string_equal(value, "unlimited");
	free(value);
	rules_unref(rules);
}

static void test_refusals(void **state)
{
	static const struct {
		const char *text, *why;
	} t[] = {
		{ "image=x\n", "f:1: image stands before the first [rule]" },
		{ "[a]\nlabel=b\n", "f:1: the rule [a] names no image" },
		{ "[a]\n\n[b]\nimage=x\n", "f:1: the rule [a] names no image" },
		{ "[a]\nimage=x\n[b]\nimage=\n", "f:3: the rule [b] names no image" },
		{ "[a]\nimage=x\n[b]\nimage=x\n[a]\nimage=y\n",
		  "f:5: the rule [a] stands on line 1 already" },
		{ "[a]\nimage=x\nimage=y\n", "f:3: image was set on line 2 already" },
		{ "[a]\nimage=x\nlable=b\n", "f:3: a rule has no lable; is label meant?" },
		{ "[a]\nimage=x\ncolour-of-the-box=b\n", "f:3: a rule has no colour-of-the-box" },
		{ "[a]\nimage=x\nlabel=a,,b\n", "f:3: label: between two commas stand 1 to 255 bytes" },
		{ "[a]\nimage=x\nlabel=a,\n", "f:3: label: between two commas stand 1 to 255 bytes" },
		{ "[a]\nimage=x\nlabel=!\n", "f:3: label: '!' stands before a pattern" },
		{ "[a]\nimage=x\nlabel=a[\n", "f:3: label: 'a[' has brackets that are not closed" },
		{ "[a]\nimage=x\nstage=brom\n", "f:3: stage: 'brom' matches none of rom, fdl1, fdl2" },
		{ "[a]\nimage=x\nstorage=!sd*\n",
		  "f:3: storage: 'sd*' matches none of nand, emmc, ufs, nor" },
		{ "[a]\nimage=x\nunit=00xy*\n", "f:3: unit: '00xy*' has characters that no hexadecimal" },
		{ "[a]\nimage=x\naction=look\n", "f:3: action is one of flash, nothing, not 'look'" },
		{ "[a]\naction=nothing\nimage=x\n",
		  "f:3: image means nothing in a rule with action=nothing" },
		{ "[a]\naction=nothing\nretries=1\n[b]\nimage=x\n",
		  "f:3: retries means nothing in a rule with action=nothing" },
		{ "[a]\nimage=x\nlevel=sample\n",
		  "f:3: level is one of acknowledged, verified, sampled, not 'sample'" },
		{ "[a]\nimage=x\nsample=3\n", "f:3: sample means nothing without level=sampled" },
		{ "[a]\nimage=x\nlevel=sampled\nsample=0\n", "f:4: sample lies between 1 and 1000000" },
		{ "[a]\nimage=x\nlevel=sampled\nsample=often\n", "f:4: sample is a number, not 'often'" },
		/* what the package's NV replace cannot be got back: not by a file that nobody looks at */
		{ "[a]\nimage=x\nnv=package\n", "f:3: nv is one of keep, keep-if-any, not 'package'" },
		{ "[a]\nimage=x\nerase-all=please\n", "f:3: erase-all is yes or no, not 'please'" },
		{ "[a]\nimage=x\nretries=11\n", "f:3: retries lies between 0 and 10" },
		{ "[a]\nimage=x\ndebounce=2min\n", "f:3: debounce lies between 0s and 1min" },
		{ "[a]\nimage=x\ndebounce=long\n", "f:3: debounce is a time such as" },
		{ "[a]\nimage=x\ngate=me\n", "f:3: gate is one of none, client" },
		{ "[a]\nimage=x\ngate-timeout=5s\n", "f:3: gate-timeout means nothing without gate=client" },
		{ "[a]\nimage=x\ngate=client\ngate-timeout=infinity\n",
		  "f:4: gate-timeout lies between 1s and 1d" },
		{ "[a]\nimage=x\nstop-after=0\n", "f:3: stop-after lies between 1 and unlimited" },
		{ "[a]\nimage=x\nstop-after=never\n",
		  "f:3: stop-after is a number, or unlimited, not 'never'" },
		{ "[a]\nimage=x\nhello\n", "f:3: 'hello' is neither [section] nor key=value" },
	};
	struct failure why;
	char text[16384];
	size_t at;

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		if (parse(t[i].text, &why))
			fail_msg("taken: %s", t[i].text);
		if (why.error != ERR_CONFIG_INVALID || strncmp(why.detail, t[i].why, strlen(t[i].why)) != 0)
			fail_msg("'%s' instead of '%s'", why.detail, t[i].why);
	}
	at = (size_t)snprintf(text, sizeof(text), "[a]\nimage=%0*d\n", (int)RULE_TEXT_MAX, 1);
	assert_null(parse(text, &why));
	assert_non_null(strstr(why.detail, "f:2: image has at most 255 bytes"));
	at = (size_t)snprintf(text, sizeof(text), "[a]\nimage=x\nentries=");
	for (unsigned int i = 0; i <= RULE_NAMES_MAX; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%sE%u", i ? "," : "", i);
	assert_null(parse(text, &why));
	assert_non_null(strstr(why.detail, "f:3: entries has more than 64 of them"));
}

static void test_too_many(void **state)
{
	struct failure why;
	char *text = NULL;
	size_t len;
	FILE *m = open_memstream(&text, &len);
	struct rules *rules;

	for (unsigned int i = 0; i < RULES_MAX; i++)
		fprintf(m, "[r%u]\nimage=x\n", i);
	fflush(m);
	rules = good(text);
	assert_int_equal(rules_count(rules), RULES_MAX);
	rules_unref(rules);
	fprintf(m, "[more]\nimage=x\n");
	fclose(m);
	assert_null(parse(text, &why));
	assert_non_null(strstr(why.detail, "more than 1024 rules"));
	free(text);
}

/* ---- which one ---------------------------------------------------------------------- */

#define THREE                                                                           \
	"[repair]\naction=nothing\nlabel=R*\n[golden]\nimage=g\nunit=0011*\nlabel=A*\n" \
	"[line]\nimage=l\nstorage=emmc\nlabel=A*, B*\n[rest]\nimage=r\nslot=pci-*\n"

static const char *pick(const struct rules *rules, const struct rule_facts *facts, uint32_t *open)
{
	struct rule_verdict of = { 0 };
	const struct rule *rule = rules_pick(rules, facts, &of);

	*open = of.open;
	if (rule)
		assert_int_equal(of.fit, of.open ? RULE_OPEN : RULE_FITS);
	return rule ? rule->name : "";
}

static void test_pick(void **state)
{
	struct rules *rules = good(THREE);
	struct rule_facts f = { .fact[RULE_SLOT] = "pci-1", .fact[RULE_LABEL] = "" };
	uint32_t open;

	assert_string_equal(pick(rules, &f, &open), "rest");
	assert_int_equal(open, 0);
	f.fact[RULE_LABEL] = "R1";
	assert_string_equal(pick(rules, &f, &open), "repair");
	/* the first that fits or is open: a condition that cannot be told yet is no failure */
	f.fact[RULE_LABEL] = "A1";
	assert_string_equal(pick(rules, &f, &open), "golden");
	assert_int_equal(open, 1u << RULE_UNIT);
	/* once it can be told, the rule is over for this phone, and the next is asked */
	f.fact[RULE_UNIT] = "00aa";
	assert_string_equal(pick(rules, &f, &open), "line");
	assert_int_equal(open, 1u << RULE_STORAGE);
	f.fact[RULE_STORAGE] = "emmc";
	assert_string_equal(pick(rules, &f, &open), "line");
	assert_int_equal(open, 0);
	f.fact[RULE_STORAGE] = "ufs";
	assert_string_equal(pick(rules, &f, &open), "rest");
	f.fact[RULE_UNIT] = "0011ffff";
	assert_string_equal(pick(rules, &f, &open), "golden");
	assert_int_equal(open, 0);
	f.fact[RULE_SLOT] = "platform-1";
	f.fact[RULE_LABEL] = "C";
	assert_string_equal(pick(rules, &f, &open), "");
	assert_string_equal(pick(NULL, &f, &open), "");
	rules_unref(rules);
}

static const char *say(const struct rule *rule, const struct rule_facts *facts)
{
	static char text[512];
	struct rule_verdict of;

	rule_judge(rule, facts, &of);
	return rule_verdict_text(rule, facts, &of, text, sizeof(text));
}

static void test_words(void **state)
{
	struct rules *rules = good(THREE "[both]\nimage=x\nstorage=ufs\nunit=1*\nslot=a*\n");
	struct rule_facts f = { .fact[RULE_SLOT] = "pci-1", .fact[RULE_LABEL] = "B1" };
	const struct rule *both = rules_named(rules, "both");
	struct rule_verdict of;
	char tight[24];

	assert_string_equal(say(rules_at(rules, 0), &f), "label is 'B1', not 'R*'");
	assert_string_equal(say(rules_at(rules, 2), &f), "storage is not known yet, it must be 'emmc'");
	assert_string_equal(say(rules_at(rules, 3), &f), "every condition is met");
	/* what fails is told before what cannot be told */
	assert_string_equal(say(both, &f), "slot is 'pci-1', not 'a*'");
	f.fact[RULE_SLOT] = "a";
	assert_string_equal(say(both, &f),
			    "storage is not known yet, it must be 'ufs'; unit is not known yet, "
			    "it must be '1*'");
	assert_string_equal(rule_fit_name(RULE_FITS), "fits");
	assert_string_equal(rule_fit_name(RULE_OPEN), "open");
	assert_string_equal(rule_fit_name(RULE_DIFFERS), "differs");
	/* what is cut is cut between characters */
	f.fact[RULE_LABEL] = "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4";
	for (size_t size = 1; size <= sizeof(tight); size++) {
		rule_judge(rules_at(rules, 0), &f, &of);
		assert_true(conf_clean(rule_verdict_text(rules_at(rules, 0), &f, &of, tight, size)));
	}
	rules_unref(rules);
}

static void test_same(void **state)
{
	struct rules *a = good("[a]\nimage=x\n"), *b = good("# moved\n[a]\n\nimage = x\nretries=0\n"),
		     *c = good("[a]\nimage=x\nretries=1\n"), *d = good("[b]\nimage=x\n"), *e = rules_new();

	assert_true(rules_same(a, b));
	assert_false(rules_same(a, c));
	assert_false(rules_same(a, d));
	assert_false(rules_same(a, e));
	assert_true(rules_same(NULL, e));
	assert_ptr_equal(rules_ref(a), a);
	rules_unref(a);
	assert_int_equal(rules_count(a), 1);
	rules_unref(a);
	rules_unref(b);
	rules_unref(c);
	rules_unref(d);
	rules_unref(e);
	rules_unref(NULL);
}

/* ---- files -------------------------------------------------------------------------- */

static char root[64];

static int setup(void **state)
{
	strcpy(root, "/tmp/fdld-rules-XXXXXX");
	return mkdtemp(root) && chmod(root, 0755) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", root);
	return system(command);
}

static const char *below(const char *path)
{
	static char full[256];

	snprintf(full, sizeof(full), "%s%s", root, path);
	return full;
}

static void write_file(const char *path, const char *text)
{
	char full[256];
	FILE *f;

	snprintf(full, sizeof(full), "%s", below(path));
	for (char *p = full + strlen(root) + 1; (p = strchr(p, '/')); *p++ = '/') {
		*p = '\0';
		(void)mkdir(full, 0755);
		(void)chmod(full, 0755);
	}
	f = fopen(full, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	assert_int_equal(chmod(full, 0644), 0);
}

/* "b@/etc/fdld/rules.d/20.conf:3 ..." of all rules, in order. */
static const char *loaded(void)
{
	static char text[1024];
	struct rules *rules = NULL;
	struct failure why = { 0 };

	strcpy(text, "");
	if (rules_load(root, &rules, &why) < 0) {
		assert_null(rules);
		assert_int_equal(why.error, ERR_CONFIG_INVALID);
		snprintf(text, sizeof(text), "%s", why.detail);
		return text;
	}
	for (size_t i = 0; i < rules_count(rules); i++) {
		const struct rule *r = rules_at(rules, i);

		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s@%s:%u", i ? " " : "",
			 r->name, r->file + strlen(root), r->line);
	}
	rules_unref(rules);
	return text;
}

static void test_files(void **state)
{
	assert_string_equal(loaded(), "");
	write_file("/usr/lib/fdld/rules.d/50-v.conf", "[vendor]\nimage=v\n");
	write_file("/usr/local/lib/fdld/rules.d/40-l.conf", "[local]\nimage=l\n");
	write_file("/run/fdld.rules.d/60-r.conf", "[now]\nimage=r\n");
	write_file("/etc/fdld/rules.d/45-e.conf", "\n[ours]\nimage=e\n[last]\nimage=x\n");
	/* by the names of the files, whatever folder they lie in */
	assert_string_equal(loaded(),
			    "local@/usr/local/lib/fdld/rules.d/40-l.conf:1 "
			    "ours@/etc/fdld/rules.d/45-e.conf:2 last@/etc/fdld/rules.d/45-e.conf:4 "
			    "vendor@/usr/lib/fdld/rules.d/50-v.conf:1 now@/run/fdld.rules.d/60-r.conf:1");
	/* the administrator's file of the same name hides the vendor's, and so does a link to nothing */
	write_file("/etc/fdld/rules.d/50-v.conf", "[vendor]\nimage=other\n");
	assert_int_equal(symlink("/dev/null", below("/etc/fdld/rules.d/60-r.conf")), 0);
	assert_int_equal(unlink(below("/usr/local/lib/fdld/rules.d/40-l.conf")), 0);
	/* neither a main file nor what ends otherwise */
	write_file("/etc/fdld/rules", "[main]\nimage=x\n");
	write_file("/etc/fdld/rules.d/10-x.rules", "[main]\nimage=x\n");
	write_file("/run/fdld/rules.d/10-x.conf", "[main]\nimage=x\n");
	assert_string_equal(loaded(), "ours@/etc/fdld/rules.d/45-e.conf:2 last@/etc/fdld/rules.d/45-e.conf:4 "
				      "vendor@/etc/fdld/rules.d/50-v.conf:1");
	/* two of one name, in two files: told with the place of the other */
	write_file("/usr/lib/fdld/rules.d/70-w.conf", "[w]\nimage=w\n[ours]\nimage=w\n");
	assert_non_null(strstr(loaded(), "70-w.conf:3: there is a rule [ours] already, at "));
	assert_non_null(strstr(loaded(), "45-e.conf:2"));
	/* one file that is wrong refuses all */
	write_file("/usr/lib/fdld/rules.d/70-w.conf", "[w]\n");
	assert_non_null(strstr(loaded(), "/usr/lib/fdld/rules.d/70-w.conf:1: the rule [w] names no image"));
}

static void test_trust(void **state)
{
	write_file("/etc/fdld/rules.d/10.conf", "[a]\nimage=x\n");
	assert_int_equal(chmod(below("/etc/fdld/rules.d/10.conf"), 0664), 0);
	assert_non_null(strstr(loaded(), "10.conf: the file has mode 0664: its group can write to it"));
	assert_int_equal(chmod(below("/etc/fdld/rules.d/10.conf"), 0644), 0);
	assert_int_equal(chmod(below("/etc/fdld/rules.d"), 0777), 0);
	assert_non_null(strstr(loaded(), "rules.d: the folder has mode 0777: everybody can write to it"));
	assert_int_equal(chmod(below("/etc/fdld/rules.d"), 0755), 0);
	assert_string_equal(loaded(), "a@/etc/fdld/rules.d/10.conf:1");
	/* only root can give a file away */
	if (chown(below("/etc/fdld/rules.d/10.conf"), 65534, 65534) == 0)
		assert_non_null(strstr(loaded(), "belongs to uid 65534, neither to root nor to us"));
}

/* ---- what tells of them ------------------------------------------------------------- */

static void wrap(FILE *to, const char *text)
{
	size_t at = 1;

	fputc('#', to);
	while (*text) {
		size_t n = strcspn(text, " ");

		if (at + 1 + n > 100) {
			fputs("\n#", to);
			at = 1;
		}
		fprintf(to, " %.*s", (int)n, text);
		at += 1 + n;
		text += n;
		text += *text == ' ';
	}
	fputc('\n', to);
}

static const char *example(enum rule_key_id id)
{
	switch (id) {
	case RULE_SLOT: return "pci-0000:00:14.0-usb-0:4.*";
	case RULE_LABEL: return "A*, !A7";
	case RULE_STAGE: return "rom";
	case RULE_FAMILY: return "sharkl3";
	case RULE_STORAGE: return "emmc";
	case RULE_UNIT: return "0123abcd*";
	case RULE_IMAGE: return "SC9863A_V1.pac";
	case RULE_LOADER: return "sc9863a-line";
	case RULE_LEVEL: return "sampled";
	case RULE_END: return "power-off";
	case RULE_NV: return "keep";
	case RULE_ENTRIES: return "BOOT, SYSTEM";
	case RULE_WITHOUT: return "UserData";
	case RULE_GATE: return "client";
	default: return rule_key(id)->preset;
	}
}

static char *shipped(size_t *len)
{
	enum rule_part part = RULE_PART_ACTION;
	char *text = NULL;
	FILE *m = open_memstream(&text, len);

	assert_non_null(m);
	fputs("# SPDX-License-Identifier: LGPL-2.1-or-later\n#\n", m);
	wrap(m,
	     "Rules of fdld: which phone gets what by itself, on slots that are armed; see fdld-rules(5). "
	     "The first rule whose conditions are met is the one. This file has none: here stands all that "
	     "a rule may say, as comments. Put yours into files of their own, "
	     "/etc/fdld/rules.d/NAME.conf; they are read in the order of their names.");
	fputs("#\n# fdlctl rules check --root /    tries the files\n# systemctl reload fdld          puts them in "
	      "force\n# fdlctl rules                   shows what is in force\n# fdlctl rules check SLOT        tells "
	      "which rule a phone there would get, and why not another\n\n#[name of the rule]\n",
	      m);
	for (int i = 0; i < RULE_KEY_COUNT; i++) {
		const struct rule_key *k = rule_key((enum rule_key_id)i);
		char help[1024];

		if (part != k->part)
			fputs(k->part == RULE_PART_MATCH
				      ? "\n# ---- for which phone: all of these have to be met\n"
				      : "\n# ---- what it gets\n",
			      m);
		part = k->part;
		fputc('\n', m);
		snprintf(help, sizeof(help), "%s%s%s%s", k->help,
			 k->words && k->type == RULE_IS_WORD ? " One of: " : "",
			 k->words && k->type == RULE_IS_WORD ? k->words : "",
			 k->words && k->type == RULE_IS_WORD ? "." : "");
		wrap(m, help);
		fprintf(m, "#%s = %s\n", k->key, example((enum rule_key_id)i));
	}
	fclose(m);
	return text;
}

static char *slurp(const char *path)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = fopen(path, "r"), *m;
	int c;

	if (!f)
		return NULL;
	m = open_memstream(&text, &len);
	while ((c = getc(f)) != EOF)
		fputc(c, m);
	fclose(m);
	fclose(f);
	return text;
}

/* The file that is installed says all that a rule may say, and nothing by itself. UPDATE=1 writes it anew. */
static void test_shipped(void **state)
{
	size_t len = 0;
	char *want = shipped(&len), *have;
	struct rules *rules;

	if (getenv("UPDATE")) {
		FILE *f = fopen(SHIPPED, "w");

		assert_non_null(f);
		fputs(want, f);
		fclose(f);
	}
	have = slurp(SHIPPED);
	assert_non_null(have);
	assert_string_equal(have, want);
	rules = good(have);
	assert_int_equal(rules_count(rules), 0);
	rules_unref(rules);
	/* with every line taken in it is one good rule that says everything */
	for (char *p = have; (p = strstr(p, "\n#")); p++)
		if (p[2] != ' ' && p[2] != '\n')
			p[1] = ' ';
	rules = good(have);
	assert_int_equal(rules_count(rules), 1);
	for (int i = 0; i < RULE_KEY_COUNT; i++)
		assert_true(rules_at(rules, 0)->said[i] > 0);
	rules_unref(rules);
	free(have);
	free(want);
}

static void escaped(const char *text, char *buf, size_t size)
{
	for (*buf = '\0'; *text; text++)
		snprintf(buf + strlen(buf), size - strlen(buf), *text == '-' ? "\\-" : "%c", *text);
}

/* The page has an entry for each key, with the preset; its examples are good. */
static void test_page(void **state)
{
	char *page = slurp(PAGE), want[128], key[64], preset[64], *entry;
	size_t examples = 0;

	assert_non_null(page);
	for (int i = 0; i < RULE_KEY_COUNT; i++) {
		const struct rule_key *k = rule_key((enum rule_key_id)i);

		escaped(k->key, key, sizeof(key));
		escaped(k->preset, preset, sizeof(preset));
		snprintf(want, sizeof(want), "\n.TP\n.BI %s= ", key);
		entry = strstr(page, want);
		if (!entry)
			fail_msg("%s: no entry for %s", PAGE, k->key);
		snprintf(want, sizeof(want), "Default: %s.", preset);
		if (*k->preset && !strstr(entry, want))
			fail_msg("%s: no '%s' for %s", PAGE, want, k->key);
	}
	for (char *p = page; (p = strstr(p, "\n.EX\n")); examples++) {
		char *end = strstr(p, "\n.EE\n"), *text = strndup(p + 5, (size_t)(end - p - 4));
		char *to = text;

		for (const char *from = text; *from; from++)
			if (*from != '\\')
				*to++ = *from;
		*to = '\0';
		rules_unref(good(text));
		free(text);
		p = end;
	}
	assert_true(examples >= 3);
	free(page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_globs),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_pick),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_same),
		cmocka_unit_test_setup_teardown(test_files, setup, teardown),
		cmocka_unit_test_setup_teardown(test_trust, setup, teardown),
		cmocka_unit_test(test_shipped),
		cmocka_unit_test(test_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
