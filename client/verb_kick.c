/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* kick: a running phone into download mode. */
#include <stdlib.h>
#include <string.h>

#include "client/ask.h"
#include "client/client.h"
#include "common/names.h"
#include "common/util.h"

enum { OPT_SLOT = 1, OPT_WAY, OPT_INTERFACE };

static const struct verb_opt options[] = {
	{ "way", OPT_WAY, N_("WAY"), N_("auto, diag, calibration, diag-at, at"), false },
	{ "interface", OPT_INTERFACE, N_("NUMBER"), N_("USB interface that the port is on"), false },
	{ "slot", OPT_SLOT, N_("SLOT"), N_("the same as SLOT without the option"), false },
	{ 0 },
};

/* The only slot with a phone that runs. */
static int only_running(struct client *c, char **slot)
{
	_cleanup_free_ const char **all = NULL;
	const char *found = NULL;
	size_t n, count = 0;

	all = mirror_paths(c, FDLD_IFACE_SLOT, &n);
	if (!all)
		return error_entry(ERR_INTERNAL)->exit_code;
	for (size_t i = 0; i < n; i++) {
		if (strlen(prop_str(mirror_props(c, all[i], FDLD_IFACE_SLOT), "RunningDevice")) < 2)
			continue;
		found = all[i];
		count++;
	}
	if (count > 1)
		return client_usage(N_("kick: %zu running phones are there: name one with --slot"), count);
	if (!found)
		return client_complain(c, &(struct failure){ .error = ERR_NO_RUNNING_PHONE, .code = -1 });
	*slot = strdup(found);
	return *slot ? 0 : error_entry(ERR_INTERNAL)->exit_code;
}

static void say(const struct client *c, const char *slot)
{
	json_object *props = mirror_props(c, slot, FDLD_IFACE_SLOT);

	printf(_("%s: the phone is in download mode\n"), *prop_str(props, "Label") ? prop_text(props, "Label")
							 : *prop_str(props, "Port") ? prop_text(props, "Port")
										    : prop_text(props, "Id"));
}

static int run(struct client *c, int argc, char **argv)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	_cleanup_free_ char *slot = NULL, *job = NULL;
	const char *name = NULL, *way = NULL, *interface = NULL;
	unsigned long number = 0;
	char *end = NULL;
	int opt, rc, r;

	while ((opt = verb_next(c, &verb_kick, argc, argv, &rc)) != -1)
		switch (opt) {
		case -2: return rc;
		case OPT_SLOT: name = optarg; break;
		case OPT_WAY: way = optarg; break;
		case OPT_INTERFACE: interface = optarg; break;
		default: break;
		}
	if (argc - optind > (name ? 0 : 1))
		return client_usage(N_("kick: one slot at a time"));
	if (interface)
		number = strtoul(interface, &end, 10);
	if (interface && (*interface < '0' || *interface > '9' || *end || number > 31))
		return client_usage(N_("'%s' is no number of an interface"), interface);
	if (!name && optind < argc)
		name = argv[optind];
	rc = mirror_load(c);
	if (!rc)
		rc = name ? ask_slot(c, name, &slot) : only_running(c, &slot);
	if (rc)
		return rc;
	r = sd_bus_message_new_method_call(c->bus, &m, FDLD_BUS_NAME, slot, FDLD_IFACE_SLOT, "Kick");
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "{sv}");
	if (r >= 0)
		r = ask_text(m, "way", way);
	if (r >= 0 && interface)
		r = sd_bus_message_append(m, "{sv}", "interface", "u", (uint32_t)number);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	rc = ask_path(c, m, r, &job);
	if (!rc)
		rc = follow_jobs(c, (const char *const[]){ job }, 1, true);
	if (!rc && !c->json)
		say(c, slot);
	return rc;
}

const struct verb verb_kick = {
	.name = "kick",
	.args = N_("[SLOT]"),
	.summary = N_("a running phone into download mode"),
	.about = N_(
		"Asks a phone that was started as usual to start in download mode, through its diagnosis or AT port, "
		"and waits until it is there. A phone that does not honour the request stays as it is. To have that done "
		"whenever a job waits for a phone on a port: slot set --kick auto."),
	.options = options,
	.operand = OPERAND_PLACES,
	.beside = "slot",
	.run = run,
};
