/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* arm, disarm: phones that are flashed by rule as they come. */
#include <stdlib.h>
#include <string.h>

#include "client/client.h"
#include "common/names.h"
#include "common/util.h"

/* A slot's path by any of its names. 0 or an exit code. */
static int find(struct client *c, const char *name, char **path)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	const char *found;
	int r = client_connect(c);

	if (r)
		return r;
	r = sd_bus_call_method(c->bus, FDLD_BUS_NAME, FDLD_PATH_ROOT, FDLD_IFACE_MANAGER, "GetSlot", &error,
			       &reply, "s", name);
	if (r >= 0)
		r = sd_bus_message_read(reply, "o", &found);
	if (r < 0)
		return client_complain_bus(c, &error, r);
	*path = strdup(found);
	return *path ? 0 : error_entry(ERR_INTERNAL)->exit_code;
}

/* ---- words --------------------------------------------------------------------------- */

const char *armed_words(json_object *slot, char *buf, size_t size)
{
	static const struct {
		const char *why, *words;
	} table[] = {
		{ "passed", N_("it has passed here and was not away") },
		{ "tried", N_("it has failed and is not tried again") },
		{ "again-soon", N_("it has failed and is tried again in a moment") },
		{ "not-fresh", N_("it was there before") },
		{ "crashed", N_("the service was ended in the middle of its job: plug it in anew") },
		{ "replug", N_("it was left in the middle of a job: plug it in anew") },
		{ "unsteady", N_("it has to stay for a while first") },
		{ "no-rule", N_("no rule is for it") },
		{ "refused", N_("no job can be made for it") },
		{ "no-history", N_("the history cannot be written") },
		{ "held", N_("the machine is about to sleep or to stop") },
		{ "draining", N_("the service is stopping") },
	};
	const char *why = prop_str(slot, "ArmedWhy"), *detail = prop_text(slot, "ArmedDetail"), *words = why;

	if (!prop_bool(slot, "Armed")) {
		snprintf(buf, size, *prop_str(slot, "DisarmedWhy") ? _("stopped: %s") : "%s",
			 prop_text(slot, "DisarmedWhy"));
		return buf;
	}
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (!strcmp(why, table[i].why))
			words = _(table[i].words);
	if (!*why)
		snprintf(buf, size, "%s", _("armed"));
	else if (*detail)
		snprintf(buf, size, _("armed: %s (%s)"), words, detail);
	else
		snprintf(buf, size, _("armed: %s"), words);
	return buf;
}

/* ---- calls --------------------------------------------------------------------------- */

struct wish {
	bool all, present;
	const char *rule;
};

/* The ao: none stands for all. 0 or an exit code. */
static int put_slots(struct client *c, sd_bus_message *m, int argc, char **names)
{
	int r = sd_bus_message_open_container(m, 'a', "o");

	for (int i = 0; r >= 0 && i < argc; i++) {
		_cleanup_free_ char *path = NULL;
		int rc = find(c, names[i], &path);

		if (rc)
			return rc;
		r = sd_bus_message_append_basic(m, 'o', path);
	}
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	return r < 0 ? error_entry(ERR_INTERNAL)->exit_code : 0;
}

static int call(struct client *c, const char *method, const struct wish *wish, int argc, char **names)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r = client_connect(c);

	if (r)
		return r;
	r = sd_bus_message_new_method_call(c->bus, &m, FDLD_BUS_NAME, FDLD_PATH_ROOT, FDLD_IFACE_MANAGER,
					   method);
	if (r >= 0) {
		int rc = put_slots(c, m, argc, names);

		if (rc)
			return rc;
		r = sd_bus_message_open_container(m, 'a', "{sv}");
	}
	if (r >= 0 && wish->rule)
		r = sd_bus_message_append(m, "{sv}", "rule", "s", wish->rule);
	if (r >= 0 && wish->present)
		r = sd_bus_message_append(m, "{sv}", "present", "b", 1);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	if (r >= 0)
		r = client_ask(c, m, &error, NULL);
	return r < 0 ? client_complain_bus(c, &error, r) : 0;
}

enum { OPT_ALL = 1, OPT_RULE, OPT_PRESENT };

static int run(struct client *c, const struct verb *verb, const char *method, int argc, char **argv)
{
	struct wish wish = { 0 };
	int opt, rc;

	while ((opt = verb_next(c, verb, argc, argv, &rc)) != -1) {
		if (opt == -2)
			return rc;
		wish.all |= opt == OPT_ALL;
		wish.present |= opt == OPT_PRESENT;
		if (opt == OPT_RULE)
			wish.rule = optarg;
	}
	/* a word that was forgotten must not arm the whole station */
	if (wish.all == (optind < argc))
		return client_usage(N_("%s: which slots, or --all"), verb->name);
	return call(c, method, &wish, argc - optind, argv + optind);
}

static const struct verb_opt arm_options[] = {
	{ "all", OPT_ALL, NULL, N_("all slots that there may be a rule for"), false },
	{ "rule", OPT_RULE, N_("NAME"), N_("take no other rule than this"), false },
	{ "present", OPT_PRESENT, NULL, N_("begin with the phones that are there, too"), false },
	{ 0 },
};

static int arm(struct client *c, int argc, char **argv)
{
	return run(c, &verb_arm, "Arm", argc, argv);
}

const struct verb verb_arm = {
	.name = "arm",
	.args = N_("SLOT..."),
	.summary = N_("flash by rule whatever phone comes"),
	.about = N_(
		"Each phone that comes to an armed slot is flashed by itself, by the first rule for it (fdlctl rules), until the "
		"slot is disarmed; over restarts too. A slot that fails again and again disarms itself; fdlctl slots says why."),
	.options = arm_options,
	.operand = OPERAND_PLACES,
	.run = arm,
};

static const struct verb_opt disarm_options[] = {
	{ "all", OPT_ALL, NULL, N_("all slots"), false },
	{ 0 },
};

static int disarm(struct client *c, int argc, char **argv)
{
	return run(c, &verb_disarm, "Disarm", argc, argv);
}

const struct verb verb_disarm = {
	.name = "disarm",
	.beside = "arm",
	.args = N_("SLOT..."),
	.summary = N_("flash no phone by itself"),
	.about = N_("Phones wait for a person again; jobs that run go on."),
	.options = disarm_options,
	.operand = OPERAND_PLACES,
	.run = disarm,
};
