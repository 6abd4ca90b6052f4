/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * slots: what came of the jobs on each place; slot: names for places.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "client/client.h"
#include "common/format.h"
#include "common/names.h"
#include "common/util.h"

/* ---- slots ------------------------------------------------------------------------- */

static void show_slot(const struct client *c, json_object *slot)
{
	uint64_t tries = prop_u64(slot, "Attempts"), passes = prop_u64(slot, "Passes");
	char yield[16] = "-", mean[FORMAT_MAX] = "-", rate[FORMAT_MAX], last[96] = "-", armed[64] = "";
	bool suspect = prop_bool(slot, "Suspect");

	if (tries)
		snprintf(yield, sizeof(yield), "%.0f %%", 100.0 * (double)passes / (double)tries);
	if (passes)
		format_duration(prop_u64(slot, "MeanUsec"), mean, sizeof(mean));
	if (tries)
		snprintf(last, sizeof(last), "%s %s",
			 strcmp(prop_str(slot, "LastResult"), "succeeded") ? "FAIL" : "PASS",
			 prop_text(slot, "LastUnit"));
	if (prop_bool(slot, "Armed") || *prop_str(slot, "DisarmedWhy"))
		snprintf(armed, sizeof(armed), "  %s", prop_bool(slot, "Armed") ? _("armed") : _("stopped"));
	printf("%s %-8s %-9s %8llu %8llu %6s %8s %12s  %-14s%s%s\n",
	       padded(*prop_str(slot, "Label") ? prop_text(slot, "Label") : prop_text(slot, "Id"), 30),
	       prop_text(slot, "Port"), prop_text(slot, "State"), (unsigned long long)tries,
	       (unsigned long long)passes, yield, mean,
	       format_rate(prop_u64(slot, "MeanRate"), rate, sizeof(rate)), last,
	       suspect ? tone(c, TONE_BAD, _("  suspect")) : "",
	       tone(c, prop_bool(slot, "Armed") ? TONE_GOOD : TONE_BAD, armed));
	if (*prop_str(slot, "Loader"))
		printf(_("    loader %s\n"), prop_text(slot, "Loader"));
	if (*prop_str(slot, "KickBy"))
		printf(_("    running phones are asked into download mode (%s)\n"),
		       prop_text(slot, "KickBy"));
}

/* The commonest first. */
static void show_reasons(json_object *slot)
{
	json_object *by = NULL;

	if (!json_object_object_get_ex(slot, "FailuresBy", &by))
		return;
	json_object_object_foreach(by, what, count)
	{
		printf("    %8llu  %s\n", (unsigned long long)json_object_get_uint64(count), clean(what));
	}
}

static void advise(const char **paths, size_t count, const struct client *c)
{
	for (size_t i = 0; i < count; i++) {
		json_object *slot = mirror_props(c, paths[i], FDLD_IFACE_SLOT);
		char text[512], words[320];

		if (*prop_str(slot, "ArmedWhy") || *prop_str(slot, "DisarmedWhy")) {
			snprintf(text, sizeof(text), "%s: %s",
				 *prop_str(slot, "Label") ? prop_text(slot, "Label")
							  : prop_text(slot, "Port"),
				 armed_words(slot, words, sizeof(words)));
			print_wrapped(stdout, "", text);
		}
		if (!prop_bool(slot, "Suspect"))
			continue;
		snprintf(
			text, sizeof(text),
			_("%s: far more phones fail here than on the other slots. Change its cable first, then try another "
			  "port of the hub."),
			*prop_str(slot, "Label") ? prop_text(slot, "Label") : prop_text(slot, "Port"));
		print_wrapped(stdout, "", text);
	}
}

enum { OPT_REASONS = 1 };

static const struct verb_opt slots_options[] = {
	{ "reasons", OPT_REASONS, NULL, N_("and what the failures of each slot were"), false },
	{ 0 },
};

static int slots(struct client *c, int argc, char **argv)
{
	_cleanup_free_ const char **paths = NULL;
	bool reasons = false;
	char head[320];
	size_t count;
	int opt, rc;

	while ((opt = verb_next(c, &verb_slots, argc, argv, &rc)) != -1) {
		if (opt == -2)
			return rc;
		reasons |= opt == OPT_REASONS;
	}
	if (optind < argc)
		return client_usage(N_("slots: what is '%s' for?"), argv[optind]);
	rc = mirror_load(c);
	if (rc)
		return rc;
	paths = mirror_paths(c, FDLD_IFACE_SLOT, &count);
	if (!paths)
		return error_entry(ERR_INTERNAL)->exit_code;
	if (c->json) {
		json_object *list = json_object_new_array();

		for (size_t i = 0; i < count; i++)
			json_object_array_add(list,
					      json_object_get(mirror_props(c, paths[i], FDLD_IFACE_SLOT)));
		print_json(list);
		json_object_put(list);
		return 0;
	}
	snprintf(head, sizeof(head), "%s %s %s %8s %8s %6s %8s %12s  %s", padded(_("SLOT"), 30),
		 padded(_("PORT"), 8), padded(_("STATE"), 9), _("TRIES"), _("PASSED"), _("YIELD"), _("MEAN"),
		 _("RATE"), _("LAST"));
	printf("%s\n", tone(c, TONE_BOLD, head));
	for (size_t i = 0; i < count; i++) {
		json_object *slot = mirror_props(c, paths[i], FDLD_IFACE_SLOT);

		show_slot(c, slot);
		if (reasons)
			show_reasons(slot);
	}
	advise(paths, count, c);
	return 0;
}

const struct verb verb_slots = {
	.name = "slots",
	.args = "",
	.beside = "list",
	.summary = N_("what came of the phones on each port"),
	.about = N_(
		"Every place that is known, with or without a phone: attempts, passes, mean duration and rate, the last "
		"result. A slot that does far worse than its neighbours is called suspect: mostly its cable is worn."),
	.options = slots_options,
	.run = slots,
};

/* ---- slot ---------------------------------------------------------------------------- */

enum { OPT_LABEL = 1, OPT_NOTE, OPT_LOADER, OPT_KICK };

static const struct verb_opt slot_options[] = {
	{ "label", OPT_LABEL, N_("TEXT"), N_("set: its name, usable as SLOT; empty: none"), false },
	{ "note", OPT_NOTE, N_("TEXT"), N_("set: what is to be known about it"), false },
	{ "loader", OPT_LOADER, N_("NAME"), N_("set: loaders for phones there; empty: none"), false },
	{ "kick", OPT_KICK, N_("WAY"), N_("set: ask running phones so when they are waited for; off"),
	  false },
	{ 0 },
};

struct wish {
	const char *label, *note, *loader, *kick;
};

static int put(sd_bus_message *m, const char *key, const char *value)
{
	return value ? sd_bus_message_append(m, "{sv}", key, "s", value) : 0;
}

/* Slot.<method> with these options. 0 or an exit code. */
static int call_slot(struct client *c, const char *path, const char *method, const struct wish *wish)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r = sd_bus_message_new_method_call(c->bus, &m, FDLD_BUS_NAME, path, FDLD_IFACE_SLOT, method);

	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "{sv}");
	if (r >= 0)
		r = put(m, "label", wish->label);
	if (r >= 0)
		r = put(m, "note", wish->note);
	if (r >= 0)
		r = put(m, "loader", wish->loader);
	if (r >= 0)
		r = put(m, "kick", wish->kick);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	if (r >= 0)
		r = client_ask(c, m, &error, NULL);
	return r < 0 ? client_complain_bus(c, &error, r) : 0;
}

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

static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

/* The slot of a phone that was not there before; NULL: it was interrupted, or the bus is gone. */
static const char *next_arrival(struct client *c, json_object **seen)
{
	while (!stop && !c->bus_lost) {
		_cleanup_free_ const char **paths = NULL;
		size_t count;

		paths = mirror_paths(c, FDLD_IFACE_DEVICE, &count);
		for (size_t i = 0; paths && i < count; i++) {
			if (json_object_object_get_ex(*seen, paths[i], NULL))
				continue;
			json_object_object_add(*seen, paths[i], NULL);
			return prop_str(mirror_props(c, paths[i], FDLD_IFACE_DEVICE), "Slot");
		}
		client_turn(c, 1000000);
	}
	return NULL;
}

static void say_named(const struct client *c, const char *path, const char *label)
{
	json_object *slot = mirror_props(c, path, FDLD_IFACE_SLOT);

	if (c->json) {
		json_object *o = json_object_new_object();

		json_object_object_add(o, "label", json_object_new_string(label));
		json_object_object_add(o, "slot", json_object_new_string(prop_str(slot, "Id")));
		print_json(o);
		json_object_put(o);
	} else {
		printf(_("%s is %s (%s)\n"), clean(label), prop_text(slot, "Id"), prop_text(slot, "Port"));
		fflush(stdout);
	}
}

/* One phone goes from place to place: each place it comes to gets the next name. */
static int learn(struct client *c, int count, char **labels)
{
	json_object *seen = json_object_new_object();
	_cleanup_free_ const char **paths = NULL;
	size_t present;
	int rc = mirror_load(c);

	if (!rc && !(paths = mirror_paths(c, FDLD_IFACE_DEVICE, &present)))
		rc = error_entry(ERR_INTERNAL)->exit_code;
	for (size_t i = 0; !rc && i < present; i++)
		json_object_object_add(seen, paths[i], NULL);
	sigaction(SIGINT, &(struct sigaction){ .sa_handler = on_signal }, NULL);
	for (int i = 0; !rc && i < count; i++) {
		struct wish wish = { .label = labels[i] };
		_cleanup_free_ char *path = NULL;
		const char *slot;

		if (!c->json)
			fprintf(stderr, _("Plug a phone into %s\n"), clean(labels[i]));
		slot = next_arrival(c, &seen);
		if (!slot) {
			rc = c->bus_lost ? client_lost(c) : error_entry(ERR_CANCELLED)->exit_code;
			break;
		}
		path = strdup(slot);
		rc = path ? call_slot(c, path, "Configure", &wish) : error_entry(ERR_INTERNAL)->exit_code;
		if (!rc)
			say_named(c, path, labels[i]);
	}
	json_object_put(seen);
	return rc;
}

static int slot(struct client *c, int argc, char **argv)
{
	struct wish wish = { 0 };
	_cleanup_free_ char *path = NULL;
	const char *what;
	int opt, rc;

	while ((opt = verb_next(c, &verb_slot, argc, argv, &rc)) != -1) {
		if (opt == -2)
			return rc;
		if (opt == OPT_LABEL)
			wish.label = optarg;
		else if (opt == OPT_NOTE)
			wish.note = optarg;
		else if (opt == OPT_LOADER)
			wish.loader = optarg;
		else if (opt == OPT_KICK)
			wish.kick = optarg;
	}
	what = optind < argc ? argv[optind++] : "";
	if (strcmp(what, "set") && (wish.label || wish.note || wish.loader || wish.kick))
		return client_usage(N_("slot: --label, --note, --loader and --kick belong to set"));
	if (!strcmp(what, "learn") && optind < argc)
		return learn(c, argc - optind, argv + optind);
	if (!strcmp(what, "rename") && argc - optind == 2) {
		wish.label = argv[optind + 1];
		rc = find(c, argv[optind], &path);
		return rc ? rc : call_slot(c, path, "Configure", &wish);
	}
	if (argc - optind != 1)
		return client_usage(N_("slot: set, rename, reset-counters, forget or learn, and which slot"));
	if (!strcmp(what, "set") && !wish.label && !wish.note && !wish.loader && !wish.kick)
		return client_usage(N_("slot set: --label, --note, --loader or --kick"));
	if (strcmp(what, "set") && strcmp(what, "reset-counters") && strcmp(what, "forget"))
		return client_usage(N_("slot: what is '%s'?"), what);
	rc = find(c, argv[optind], &path);
	if (rc)
		return rc;
	return call_slot(c, path,
			 !strcmp(what, "set")	   ? "Configure"
			 : !strcmp(what, "forget") ? "Forget"
						   : "ResetCounters",
			 &wish);
}

const struct verb verb_slot = {
	.name = "slot",
	.args = N_("set SLOT"),
	.more = N_("rename SLOT LABEL | reset-counters SLOT | forget SLOT"),
	.summary = N_("name a port, reset its counters"),
	.about = N_(
		"A label stays with the place, not with the phone, and works wherever a slot is named. 'learn LABEL...': "
		"plug one phone into each place in turn, in the order of the labels; nothing is sent to it. forget: label "
		"and counters go."),
	.options = slot_options,
	.operand = OPERAND_SLOT,
	.run = slot,
};
