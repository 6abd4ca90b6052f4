/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rules: what is in force; rules check SLOT: which rule a phone there would get and why, as the daemon
 * decides it, or as it would decide it with other files; rules check with files alone: whether they are good.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/client.h"
#include "client/rules.h"
#include "common/names.h"
#include "common/util.h"

enum { OPT_ROOT = 1, OPT_FILE, OPT_FACT };

#define FILES_MAX 64

static const struct verb_opt options[] = {
	{ "root", OPT_ROOT, N_("DIR"), N_("check: the files below DIR, in place of those in force"), false },
	{ "file", OPT_FILE, N_("FILE"), N_("check: this file, in place of those in force"), true },
	{ "stage", OPT_FACT + RULE_STAGE, N_("STAGE"), N_("check: as if the phone ran this program"), false },
	{ "family", OPT_FACT + RULE_FAMILY, N_("FAMILY"), N_("check: as if the phone were of this family"),
	  false },
	{ "storage", OPT_FACT + RULE_STORAGE, N_("STORAGE"), N_("check: as if it had this storage"), false },
	{ "unit", OPT_FACT + RULE_UNIT, N_("UNIT"), N_("check: as if it had this identity"), false },
	{ 0 },
};

struct asked {
	const char *root;
	const char *files[FILES_MAX];
	size_t count;
	struct rule_facts facts; /* as if */
	struct rules *rules;	 /* of root or files; NULL: those in force */
};

static void put_object(json_object **o)
{
	json_object_put(*o);
}

static json_object *member(json_object *o, const char *key)
{
	json_object *value = NULL;

	json_object_object_get_ex(o, key, &value);
	return value;
}

static size_t length(json_object *list)
{
	return json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
}

static const char *where(json_object *rule, char *buf, size_t size)
{
	snprintf(buf, size, "%s:%llu", prop_text(rule, "file"), (unsigned long long)prop_u64(rule, "line"));
	return buf;
}

/* What is wrong with the files, while what was read before stays in force. */
static void print_error(struct client *c)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_free_ char *wrong = NULL;

	if (sd_bus_get_property_string(c->bus, FDLD_BUS_NAME, FDLD_PATH_ROOT, FDLD_IFACE_MANAGER,
				       "ConfigError", &error, &wrong) < 0 ||
	    !*wrong)
		return;
	fflush(stdout);
	print_wrapped(stderr, "fdlctl: ",
		      _("The files have an error; what stands here stays in force until a reload succeeds."));
	print_wrapped(stderr, "  ", wrong);
}

/* ---- rules -------------------------------------------------------------------------- */

static int fetch(struct client *c, json_object **out)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	_cleanup_(put_object) json_object *all = json_object_new_object();
	json_object *rules = NULL, *files = NULL;
	int r = client_connect(c);

	if (r)
		return r;
	r = sd_bus_call_method(c->bus, FDLD_BUS_NAME, FDLD_PATH_ROOT, FDLD_IFACE_MANAGER, "GetRules", &error,
			       &reply, "");
	if (r >= 0)
		r = value_read(reply, &rules);
	json_object_object_add(all, "rules", rules);
	if (r >= 0)
		r = value_read(reply, &files);
	json_object_object_add(all, "files", files);
	if (r < 0)
		return client_complain_bus(c, &error, r);
	*out = TAKE_PTR(all);
	return 0;
}

/* "label=A*, storage=emmc" of one part of a rule, wrapped. */
static void print_keys(json_object *rule, enum rule_part part, const char *lead)
{
	json_object *keys = member(rule, "keys");
	char line[4096] = "";
	size_t at = 0;

	for (int i = 0; i < RULE_KEY_COUNT && at < sizeof(line); i++) {
		const struct rule_key *k = rule_key((enum rule_key_id)i);

		if (k->part == part && json_object_object_get_ex(keys, k->key, NULL))
			at += (size_t)snprintf(line + at, sizeof(line) - at, "%s%s=%s", at ? "; " : "",
					       k->key, prop_str(keys, k->key));
	}
	if (!at && part == RULE_PART_MATCH)
		snprintf(line, sizeof(line), "%s", _("every phone"));
	print_wrapped(stdout, lead, line);
}

static int list(struct client *c)
{
	_cleanup_(put_object) json_object *all = NULL;
	int rc = fetch(c, &all);
	json_object *rules = member(all, "rules");

	if (rc)
		return rc;
	if (c->json) {
		print_json(all);
		return 0;
	}
	if (!length(rules))
		print_wrapped(stdout, "",
			      _("There are no rules: nothing begins by itself. See fdld-rules(5)."));
	for (size_t i = 0; i < length(rules); i++) {
		json_object *rule = json_object_array_get_idx(rules, i);
		char name[96], at[512];

		snprintf(name, sizeof(name), "[%s]", prop_text(rule, "name"));
		printf("%s  %s\n", tone(c, TONE_BOLD, name), tone(c, TONE_DIM, where(rule, at, sizeof(at))));
		print_keys(rule, RULE_PART_MATCH, "  ");
		print_keys(rule, RULE_PART_ACTION, "    ");
	}
	print_error(c);
	return 0;
}

/* ---- rules check SLOT --------------------------------------------------------------- */

static int append_facts(sd_bus_message *m, const struct rule_facts *facts)
{
	int r = sd_bus_message_open_container(m, 'a', "{sv}");

	for (int i = 0; r >= 0 && i < RULE_CONDITIONS; i++)
		if (facts->fact[i])
			r = sd_bus_message_append(m, "{sv}", rule_key((enum rule_key_id)i)->key, "s",
						  facts->fact[i]);
	return r < 0 ? r : sd_bus_message_close_container(m);
}

/* The daemon's answer with its list of rules in it. 0 or an exit code. */
static int explain(struct client *c, const char *slot, const struct rule_facts *facts, json_object **out)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
	_cleanup_(put_object) json_object *answer = json_object_new_object();
	json_object *rules = NULL;
	int r = sd_bus_message_new_method_call(c->bus, &m, FDLD_BUS_NAME, FDLD_PATH_ROOT, FDLD_IFACE_MANAGER,
					       "ExplainRules");

	if (r >= 0)
		r = sd_bus_message_append(m, "s", slot);
	if (r >= 0)
		r = append_facts(m, facts);
	if (r >= 0)
		r = sd_bus_call(c->bus, m, 0, &error, &reply);
	if (r >= 0)
		r = value_read_dict(reply, answer);
	if (r >= 0)
		r = value_read(reply, &rules);
	json_object_object_add(answer, "rules", rules);
	if (r < 0)
		return client_complain_bus(c, &error, r);
	*out = TAKE_PTR(answer);
	return 0;
}

/* With other rules, and what the daemon knows of the slot. Of an identity it tells only the beginning. */
static json_object *explain_here(const struct asked *asked, json_object *answer)
{
	json_object *known = member(answer, "facts");
	struct rule_facts facts = asked->facts;

	for (int i = 0; i < RULE_CONDITIONS; i++) {
		const char *key = rule_key((enum rule_key_id)i)->key;

		if (!facts.fact[i] && i != RULE_UNIT && json_object_object_get_ex(known, key, NULL))
			facts.fact[i] = prop_str(known, key);
	}
	return rules_explained(asked->rules, &facts);
}

static void print_reason(json_object *rule, bool taken, const char *only)
{
	json_object *open = member(rule, "open");
	char line[2048] = "";
	size_t at = 0;

	if (*only && strcmp(prop_str(rule, "name"), only) != 0)
		snprintf(line, sizeof(line), _("[%s] is passed over: the slot is armed with [%s] alone"),
			 prop_str(rule, "name"), only);
	else if (!strcmp(prop_str(rule, "fit"), "differs"))
		snprintf(line, sizeof(line), _("[%s] is passed over: %s is '%s', not '%s'"),
			 prop_str(rule, "name"), prop_str(rule, "condition"), prop_str(rule, "is"),
			 prop_str(rule, "wanted"));
	else if (!taken)
		snprintf(line, sizeof(line), _("[%s] stands behind it, and is not asked"),
			 prop_str(rule, "name"));
	if (*line)
		print_wrapped(stdout, "    ", line);
	if (!taken || !open)
		return;
	json_object_object_foreach(open, key, wanted)
	{
		if (at < sizeof(line))
			at += (size_t)snprintf(line + at, sizeof(line) - at, "%s%s=%s", at ? "; " : "", key,
					       json_object_get_string(wanted));
	}
	if (at) {
		char text[2304];

		snprintf(text, sizeof(text),
			 _("it is taken, and given up before anything of the phone is changed unless %s"),
			 line);
		print_wrapped(stdout, "    ", text);
	}
}

/* The exit code of what is wrong with the image or the loaders that the rule names; 0: nothing. */
static int print_image(const struct client *c, json_object *answer)
{
	const char *name = prop_str(answer, "error");
	enum error_id id = error_by_name(name);
	struct failure why = { .error = id, .code = -1 };
	char text[1024], said[768];

	if (!*name)
		return 0;
	snprintf(why.detail, sizeof(why.detail), "%s", prop_str(answer, "detail"));
	if (!c->json) {
		snprintf(text, sizeof(text),
			 json_object_object_get_ex(answer, "path", NULL) ? _("its loaders cannot be had: %s")
									 : _("its image cannot be had: %s"),
			 words_failure(&why, said, sizeof(said)));
		print_wrapped(stdout, "    ", text);
	}
	return id == ERR_NONE ? error_entry(ERR_INTERNAL)->exit_code : error_entry(id)->exit_code;
}

static void print_head(const struct client *c, const char *slot, json_object *answer)
{
	const char *rule = prop_text(answer, "rule"), *label = prop_text(member(answer, "facts"), "label"),
		   *loader = prop_text(answer, "loader");
	char line[1024], at[512];

	if (!*rule)
		snprintf(line, sizeof(line), "%s", _("no rule"));
	else if (!strcmp(prop_str(answer, "action"), "nothing"))
		snprintf(line, sizeof(line), _("[%s]: nothing"), rule);
	else if (*loader)
		snprintf(line, sizeof(line), _("[%s]: flash %s with the loaders of %s"), rule,
			 prop_text(answer, "image"), loader);
	else
		snprintf(line, sizeof(line), _("[%s]: flash %s"), rule, prop_text(answer, "image"));
	printf("%s%s%s%s  %s", clean(slot), *label ? " (" : "", label, *label ? ")" : "",
	       tone(c, *rule ? TONE_BOLD : TONE_WARN, line));
	if (*rule)
		printf("  %s", tone(c, TONE_DIM, where(answer, at, sizeof(at))));
	if (*rule && json_object_object_get_ex(answer, "armed", NULL))
		printf("  %s", prop_bool(answer, "armed") ? _("armed") : tone(c, TONE_WARN, _("not armed")));
	putchar('\n');
}

static int print_answer(const struct client *c, const char *slot, json_object *answer, bool all)
{
	json_object *rules = member(answer, "rules");
	int rc;

	if (c->json)
		return print_image(c, answer);
	print_head(c, slot, answer);
	rc = print_image(c, answer);
	for (size_t i = 0; i < length(rules); i++) {
		json_object *rule = json_object_array_get_idx(rules, i);
		bool taken = *prop_str(answer, "rule") &&
			     !strcmp(prop_str(rule, "name"), prop_str(answer, "rule"));

		if (all || taken)
			print_reason(rule, taken, prop_str(answer, "only"));
	}
	return rc;
}

/* Every slot if none is named: then the one that is taken, without the others. */
static int check_slots(struct client *c, const struct asked *asked, const char *const *names, size_t count)
{
	_cleanup_(put_object) json_object *list = json_object_new_array();
	_cleanup_free_ const char **paths = NULL;
	bool all = count;
	int worst = 0, rc = mirror_load(c);

	if (rc)
		return rc;
	if (!all)
		paths = mirror_paths(c, FDLD_IFACE_SLOT, &count);
	for (size_t i = 0; i < count; i++) {
		json_object *slot = all ? NULL : mirror_props(c, paths[i], FDLD_IFACE_SLOT), *answer = NULL;
		const char *name = all ? names[i] : prop_str(slot, "Id");

		rc = explain(c, name, &asked->facts, &answer);
		if (rc)
			return rc;
		if (asked->rules) {
			json_object *here = explain_here(asked, answer);

			json_object_put(answer);
			answer = here;
		}
		rc = print_answer(c, slot && *prop_str(slot, "Port") ? prop_str(slot, "Port") : name, answer,
				  all);
		worst = worst ? worst : rc;
		json_object_array_add(list, answer);
	}
	if (c->json)
		print_json(list);
	else if (!count)
		puts(_("There is no slot yet."));
	if (!c->json && !asked->rules)
		print_error(c);
	return worst;
}

/* ---- rules check, files alone ------------------------------------------------------- */

static int check_files(struct client *c, const struct rules *rules)
{
	size_t count = rules_files(rules);

	if (c->json) {
		json_object *o = rules_as_json(rules);

		json_object_object_add(o, "good", json_object_new_boolean(true));
		print_json(o);
		json_object_put(o);
		return 0;
	}
	if (!count)
		puts(_("There is no file, and so no rule."));
	for (size_t i = 0; i < count; i++) {
		size_t of = 0;

		for (size_t k = 0; k < rules_count(rules); k++)
			of += rules_at(rules, k)->file == rules_file(rules, i);
		printf("%s %s  ", tone(c, TONE_GOOD, _("good")), clean(rules_file(rules, i)));
		printf(_("rules: %zu\n"), of);
	}
	return 0;
}

static int check(struct client *c, struct asked *asked, const char *const *slots, size_t count)
{
	struct failure why = { .code = -1 };
	bool here = asked->root || asked->count, as_if = false;
	int r = 0;

	for (int i = 0; i < RULE_CONDITIONS; i++)
		as_if |= asked->facts.fact[i] != NULL;
	if (here)
		r = asked->count ? rules_load_files(asked->files, asked->count, &asked->rules, &why)
				 : rules_load(asked->root, &asked->rules, &why);
	if (r < 0)
		return client_complain(c, &why);
	r = here && !count && !as_if ? check_files(c, asked->rules) : check_slots(c, asked, slots, count);
	rules_unref(asked->rules);
	return r;
}

static int rules(struct client *c, int argc, char **argv)
{
	struct asked asked = { 0 };
	bool any = false;
	const char *first;
	int opt, rc;

	while ((opt = verb_next(c, &verb_rules, argc, argv, &rc)) != -1) {
		if (opt == -2)
			return rc;
		any |= opt > 0;
		if (opt == OPT_ROOT)
			asked.root = optarg;
		else if (opt == OPT_FILE && asked.count == FILES_MAX)
			return client_usage(N_("rules: more than %d files"), FILES_MAX);
		else if (opt == OPT_FILE)
			asked.files[asked.count++] = optarg;
		else if (opt >= OPT_FACT)
			asked.facts.fact[opt - OPT_FACT] = optarg;
	}
	first = optind < argc ? argv[optind] : "list";
	argc -= optind + 1;
	argv += optind + 1;
	if (!strcmp(first, "check")) {
		if (asked.root && asked.count)
			return client_usage(N_("rules: --root and --file at once"));
		if (asked.root && c->host)
			return client_usage(N_("rules: --root looks at the files of this machine, not of %s"),
					    c->host);
		return check(c, &asked, (const char *const *)argv, argc > 0 ? (size_t)argc : 0);
	}
	if (strcmp(first, "list") != 0)
		return client_usage(N_("rules: list or check, not '%s'"), first);
	if (any)
		return client_usage(N_("rules: its options are for rules check"));
	if (argc > 0)
		return client_usage(N_("rules: what is '%s' for?"), argv[0]);
	return list(c);
}

const struct verb verb_rules = {
	.name = "rules",
	.args = N_("[list]"),
	.summary = N_("which phone gets what by itself; check: why"),
	.about = N_(
		"The rules in force, in the order in which they are asked. 'check' tells which of them a phone on a slot would get, and why not "
		"another; without SLOT briefly of all slots. With --root or --file it tells so of other files, and without SLOT only whether "
		"they are good, for which no service is needed. No phone hears a byte of this. See fdld-rules(5)."),
	.more = N_("check [SLOT...]"),
	.options = options,
	.operand = OPERAND_RULES,
	.run = rules,
};
