/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How a phone starts. mode: what is started next, and the mode of the first start; active: the slot; verity:
 * dm-verity; reset: ends what is kept running on a phone, into one of the modes.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/ask.h"
#include "client/read.h"
#include "common/names.h"
#include "common/util.h"

enum { OPT_SLOT = 1, OPT_LOADER, OPT_END, OPT_FORCE, OPT_WAIT, OPT_OFF, OPT_TO };

static const struct verb_opt options[] = {
	{ "slot", OPT_SLOT, N_("SLOT"), N_("this port; without it the only one with a phone"), false },
	{ "loader", OPT_LOADER, N_("LOADER"), N_("a stored pair, or a package whose loaders to use"), false },
	{ "end", OPT_END, N_("ACTION"), N_("stay (default), reset, power-off"), false },
	{ "wait", OPT_WAIT, N_("SECONDS"), N_("how long to wait for a phone (600; 0: do not)"), false },
	{ "force-loaders", OPT_FORCE, NULL, N_("take loaders that are not of one family"), false },
	{ 0 },
};

/* What is to be set; NULL or negative: nothing of that. */
struct wish {
	struct read_wish read;
	const char *name; /* of the slot as it was said */
	const char *start, *active;
	int verity, first;
};

/* ---- the job ---- */

static int put_marks(sd_bus_message *m, const struct wish *w)
{
	int r = ask_text(m, "start", w->start);

	if (r >= 0)
		r = ask_text(m, "active", w->active);
	if (r >= 0 && w->verity >= 0)
		r = sd_bus_message_append(m, "{sv}", "verity", "b", w->verity);
	if (r >= 0 && w->first >= 0)
		r = sd_bus_message_append(m, "{sv}", "first_mode", "u", (uint32_t)w->first);
	return r;
}

static int ask(struct client *c, const struct wish *w, const char *slot, const char *method, char **job)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	_cleanup_free_ char *loader = NULL;
	int r, rc = w->read.loader ? ask_package(c, w->read.loader, &loader) : 0;

	if (rc)
		return rc;
	r = sd_bus_message_new_method_call(c->bus, &m, FDLD_BUS_NAME, slot, FDLD_IFACE_SLOT, method);
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "{sv}");
	if (r >= 0)
		r = put_marks(m, w);
	if (r >= 0)
		r = ask_text(m, "loader", loader);
	if (r >= 0)
		r = ask_text(m, "end", w->read.end);
	if (r >= 0)
		r = ask_flag(m, "force_loaders", w->read.force_loaders);
	if (r >= 0 && w->read.has_wait)
		r = sd_bus_message_append(m, "{sv}", "wait_usec", "t", w->read.wait_usec);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	return ask_path(c, m, r, job);
}

static int find_slot(struct client *c, const char *verb, const char *name, char **slot)
{
	int rc = mirror_load(c);

	if (!rc)
		rc = name ? ask_slot(c, name, slot) : ask_only_slot(c, verb, slot);
	return rc;
}

/* Sets what the wish says, and follows that to its end. */
static int set(struct client *c, const char *verb, const struct wish *w)
{
	_cleanup_free_ char *slot = NULL, *job = NULL;
	int rc = find_slot(c, verb, w->name, &slot);

	if (!rc)
		rc = ask(c, w, slot, "SetMarks", &job);
	if (!rc)
		rc = follow_jobs(c, (const char *const[]){ job }, 1, true);
	if (!rc && !c->json)
		read_say_kept(c, slot);
	return rc;
}

/* Reads what there is and has it shown. */
static int show(struct client *c, const char *verb, const struct wish *w,
		int (*fn)(const struct client *c, json_object *marks))
{
	_cleanup_free_ char *slot = NULL, *job = NULL;
	json_object *result = NULL, *marks = NULL;
	int rc = find_slot(c, verb, w->name, &slot);

	if (!rc)
		rc = ask(c, w, slot, "ReadMarks", &job);
	if (!rc)
		rc = table_follow(c, job);
	if (rc)
		return rc;
	json_object_object_get_ex(mirror_props(c, job, FDLD_IFACE_JOB), "Result", &result);
	json_object_object_get_ex(result, "marks", &marks);
	if (!marks)
		return error_entry(ERR_INTERNAL)->exit_code;
	if (!c->json)
		return fn(c, marks);
	print_json(marks);
	return 0;
}

static int absent(const struct client *c, const char *what)
{
	struct failure why = { .error = ERR_MARK_UNUSABLE, .code = -1 };

	snprintf(why.detail, sizeof(why.detail), "%s", what);
	return client_complain(c, &why);
}

/* ---- options ---- */

/* The options that they have in common, and how many words are left; negative: *rc. */
static int take(struct client *c, const struct verb *verb, int argc, char **argv, struct wish *w, int *rc)
{
	int opt;

	*w = (struct wish){ .verity = -1, .first = -1 };
	while ((opt = verb_next(c, verb, argc, argv, rc)) != -1)
		switch (opt) {
		case -2: return -1;
		case OPT_SLOT: w->name = optarg; break;
		case OPT_LOADER: w->read.loader = optarg; break;
		case OPT_END: w->read.end = optarg; break;
		case OPT_FORCE: w->read.force_loaders = true; break;
		case OPT_WAIT:
			w->read.has_wait = true;
			*rc = ask_seconds(optarg, &w->read.wait_usec);
			if (*rc)
				return -1;
			break;
		default: break;
		}
	return argc - optind;
}

/* ---- active ---- */

static int show_active(const struct client *c, json_object *marks)
{
	const char *state = prop_str(marks, "slot_data"), *active = prop_str(marks, "active");
	json_object *slots = NULL;

	if (!strcmp(state, "damaged"))
		return absent(c, "the slot metadata in misc has a wrong checksum");
	if (strcmp(state, "valid") != 0) {
		printf("%s\n", _("This phone has one slot."));
		return 0;
	}
	printf(_("active: %s\n"), *active ? active : _("none, neither can be started"));
	json_object_object_get_ex(marks, "slots", &slots);
	for (size_t i = 0; slots && i < json_object_array_length(slots); i++) {
		json_object *s = json_object_array_get_idx(slots, i);

		printf(_("  slot %s: priority %d, %d tries left%s%s\n"), prop_text(s, "name"),
		       (int)prop_u64(s, "priority"), (int)prop_u64(s, "tries"),
		       prop_bool(s, "successful") ? _(", has started before") : "",
		       prop_bool(s, "corrupted") ? _(", corrupted") : "");
	}
	return 0;
}

static int run_active(struct client *c, int argc, char **argv)
{
	struct wish w;
	int rc, n = take(c, &verb_active, argc, argv, &w, &rc);
	const char *word;

	if (n < 0)
		return rc;
	if (n > 1)
		return client_usage(N_("active: a or b, or nothing to see which it is"));
	if (!n)
		return show(c, "active", &w, show_active);
	word = argv[optind];
	w.active = word[0] == '_' ? word + 1 : word; /* as it stands behind names of partitions */
	if (strcmp(w.active, "a") != 0 && strcmp(w.active, "b") != 0)
		return client_usage(N_("active: '%s' is no slot: a or b"), word);
	return set(c, "active", &w);
}

/* ---- verity ---- */

static int show_verity(const struct client *c, json_object *marks)
{
	json_object *all = NULL;

	json_object_object_get_ex(marks, "verity", &all);
	if (!all || !json_object_object_length(all))
		return absent(c, "this phone has no vbmeta");
	json_object_object_foreach(all, name, on)
		printf("%s: %s\n", clean(name), json_object_get_boolean(on) ? _("on") : _("off"));
	return 0;
}

static int run_verity(struct client *c, int argc, char **argv)
{
	struct wish w;
	int rc, n = take(c, &verb_verity, argc, argv, &w, &rc);

	if (n < 0)
		return rc;
	if (n > 1)
		return client_usage(N_("verity: on or off, or nothing to see which it is"));
	if (!n)
		return show(c, "verity", &w, show_verity);
	if (strcmp(argv[optind], "on") != 0 && strcmp(argv[optind], "off") != 0)
		return client_usage(N_("verity: '%s' is neither on nor off"), argv[optind]);
	w.verity = !strcmp(argv[optind], "on");
	return set(c, "verity", &w);
}

/* ---- mode ---- */

static const char *const starts[] = { "normal", "recovery", "fastboot", NULL };

static bool is_start(const char *word)
{
	for (int i = 0; starts[i]; i++)
		if (!strcmp(word, starts[i]))
			return true;
	return false;
}

static int show_mode(const struct client *c, json_object *marks)
{
	const char *start = prop_str(marks, "start"), *command = prop_str(marks, "command");

	(void)c;
	if (!*start)
		printf("%s\n", _("This phone has no place for what is started next (misc)."));
	else
		printf(_("next start: %s\n"), clean(start));
	if (*command)
		printf("  %s %s\n", clean(command), prop_text(marks, "arguments"));
	if (json_object_object_get_ex(marks, "first_mode", NULL))
		printf(_("first start: mode %d\n"), (int)prop_u64(marks, "first_mode"));
	else
		printf("%s\n", _("first start: no mode is set"));
	return 0;
}

static int run_mode(struct client *c, int argc, char **argv)
{
	struct wish w;
	int rc, n = take(c, &verb_mode, argc, argv, &w, &rc);
	const char *word;
	char *end;
	long number;

	if (n < 0)
		return rc;
	if (n > 1)
		return client_usage(N_("mode: one of normal, recovery, fastboot, a number, or nothing"));
	if (!n)
		return show(c, "mode", &w, show_mode);
	word = argv[optind];
	if (is_start(word)) {
		w.start = word;
		return set(c, "mode", &w);
	}
	errno = 0;
	number = strtol(word, &end, 0);
	if (errno || !isdigit((unsigned char)*word) || *end || number > 255)
		return client_usage(N_("mode: '%s' is none of normal, recovery, fastboot, 0 to 255"), word);
	w.first = (int)number;
	return set(c, "mode", &w);
}

/* ---- reset ---- */

static const struct verb_opt reset_options[] = {
	{ "to", OPT_TO, N_("MODE"), N_("into normal, recovery, fastboot, or power-off"), false },
	{ "power-off", OPT_OFF, NULL, N_("switch it off instead"), false },
	{ "slot", OPT_SLOT, N_("SLOT"), N_("the same as SLOT without the option"), false },
	{ "loader", OPT_LOADER, N_("LOADER"), N_("with --to: as of read, if none is kept there"), false },
	{ 0 },
};

static int reset(struct client *c, const struct wish *w, bool off)
{
	_cleanup_free_ char *slot = NULL;
	int rc = find_slot(c, "reset", w->name, &slot);

	return rc ? rc : read_release(c, slot, off);
}

static int run_reset(struct client *c, int argc, char **argv)
{
	struct wish w = { .verity = -1, .first = -1, .read = { .end = "reset", .has_wait = true } };
	const char *to = NULL;
	bool off = false;
	int opt, rc;

	while ((opt = verb_next(c, &verb_reset, argc, argv, &rc)) != -1)
		switch (opt) {
		case -2: return rc;
		case OPT_OFF: off = true; break;
		case OPT_TO: to = optarg; break;
		case OPT_SLOT: w.name = optarg; break;
		case OPT_LOADER: w.read.loader = optarg; break;
		default: break;
		}
	if (argc - optind > (w.name ? 0 : 1))
		return client_usage(N_("reset: one slot at a time"));
	if (!w.name && optind < argc)
		w.name = argv[optind];
	if (to && off && strcmp(to, "power-off") != 0)
		return client_usage(N_("reset: either --power-off or --to"));
	if (to && !strcmp(to, "power-off"))
		off = true;
	else if (to && !is_start(to))
		return client_usage(N_("reset: '%s' is none of normal, recovery, fastboot, power-off"), to);
	if (off || !to)
		return reset(c, &w, off);
	w.start = to;
	return set(c, "reset", &w);
}

const struct verb verb_mode = {
	.name = "mode",
	.args = "",
	.more = N_("[normal|recovery|fastboot|N]"),
	.summary = N_("how a phone starts; without a word: shown"),
	.about = N_(
		"Shows or sets what the phone starts next (the message in misc), or with a number the mode of its first start, by "
		"a command of the loader. A phone that is shown is not changed."),
	.options = options,
	.words = starts,
	.operand = OPERAND_NONE,
	.run = run_mode,
};

const struct verb verb_active = {
	.name = "active",
	.args = N_("[a|b]"),
	.summary = N_("the slot of an A/B phone that is tried first"),
	.about = N_(
		"Shows or sets the slot that an A/B phone tries first, in the slot metadata of misc. Where there is none, or its "
		"checksum is wrong, nothing is changed."),
	.options = options,
	.words = (const char *const[]){ "a", "b", NULL },
	.operand = OPERAND_NONE,
	.beside = "mode",
	.run = run_active,
};

const struct verb verb_verity = {
	.name = "verity",
	.args = N_("[on|off]"),
	.summary = N_("whether a phone checks its system with dm-verity"),
	.about = N_(
		"Shows or sets the dm-verity flag of each vbmeta that the phone has. A phone that is locked refuses a vbmeta "
		"whose signature does not hold any more."),
	.options = options,
	.words = (const char *const[]){ "on", "off", NULL },
	.operand = OPERAND_NONE,
	.beside = "mode",
	.run = run_verity,
};

const struct verb verb_reset = {
	.name = "reset",
	.args = N_("[SLOT]"),
	.summary = N_("restart a phone that is kept in its loader"),
	.about = N_(
		"Ends what an earlier command has left running on the phone: it is restarted, also into a mode of its own, or switched off."),
	.options = reset_options,
	.operand = OPERAND_PLACES,
	.beside = "cancel",
	.run = run_reset,
};
