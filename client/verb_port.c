/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* port: a stuck port reset, its power looked at and switched. */
#include <stdlib.h>
#include <string.h>

#include "client/ask.h"
#include "client/client.h"
#include "client/read.h"
#include "common/names.h"
#include "common/util.h"

enum { OPT_OFF_TIME = 1 };

static const struct verb_opt options[] = {
	{ "off-time", OPT_OFF_TIME, N_("SECONDS"), N_("power-cycle: so long without power; default 2"),
	  false },
	{ 0 },
};

/* What the hub said of the port. */
static int say(const struct client *c, const char *slot, const char *job, bool look)
{
	json_object *props = mirror_props(c, slot, FDLD_IFACE_SLOT), *result = NULL, *port = NULL, *o = NULL;
	const char *switching;

	json_object_object_get_ex(mirror_props(c, job, FDLD_IFACE_JOB), "Result", &result);
	if (!json_object_object_get_ex(result, "port", &port))
		return error_entry(ERR_INTERNAL)->exit_code;
	if (c->json && look && json_object_deep_copy(port, &o, NULL) == 0) {
		json_object_object_add(o, "slot", json_object_new_string(prop_str(props, "Id")));
		print_json(o);
		json_object_put(o);
	}
	if (c->json)
		return 0;
	switching = prop_str(port, "switching");
	printf(_("%s: power %s, %s; port %u of hub %s (%04x:%04x), which switches %s\n"),
	       prop_text(props, "Id"), prop_bool(port, "powered") ? _("on") : _("off"),
	       prop_bool(port, "connected") ? _("something is plugged in") : _("nothing is seen there"),
	       (unsigned int)prop_u64(port, "port"), prop_text(port, "hub"),
	       (unsigned int)prop_u64(port, "vendor"), (unsigned int)prop_u64(port, "product"),
	       !strcmp(switching, "each")	? _("each port by itself")
	       : !strcmp(switching, "together") ? _("all of its ports together")
						: _("none of its ports"));
	return 0;
}

/* action NULL: reset. */
static int ask(struct client *c, const char *slot, const char *action, uint64_t off_usec)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	_cleanup_free_ char *job = NULL;
	bool look = action && !strcmp(action, "status");
	int rc, r = sd_bus_message_new_method_call(c->bus, &m, FDLD_BUS_NAME, slot, FDLD_IFACE_SLOT,
						   action ? "PortPower" : "ResetPort");

	if (r >= 0 && action)
		r = sd_bus_message_append(m, "s", action);
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "{sv}");
	if (r >= 0 && off_usec)
		r = sd_bus_message_append(m, "{sv}", "off_usec", "t", off_usec);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	rc = ask_path(c, m, r, &job);
	if (!rc) /* who only looks wants that and nothing else */
		rc = look ? table_follow(c, job) : follow_jobs(c, (const char *const[]){ job }, 1, true);
	return rc || !action ? rc : say(c, slot, job, look);
}

static int run(struct client *c, int argc, char **argv)
{
	_cleanup_free_ char *slot = NULL;
	uint64_t off_usec = 0;
	const char *what, *action;
	int opt, rc;

	while ((opt = verb_next(c, &verb_port, argc, argv, &rc)) != -1) {
		if (opt == -2)
			return rc;
		if (opt == OPT_OFF_TIME && (rc = ask_seconds(optarg, &off_usec)))
			return rc;
	}
	what = optind < argc ? argv[optind++] : "";
	if (argc - optind != 1)
		return client_usage(N_("port: status, reset, on, off or power-cycle, and which slot"));
	action = !strcmp(what, "power-cycle") ? "cycle" : what;
	if (strcmp(what, "reset") && strcmp(what, "status") && strcmp(what, "on") && strcmp(what, "off") &&
	    strcmp(what, "power-cycle"))
		return client_usage(N_("port: what is '%s'?"), what);
	if (off_usec && strcmp(what, "power-cycle"))
		return client_usage(N_("port: --off-time belongs to power-cycle"));
	rc = mirror_load(c);
	if (!rc)
		rc = ask_slot(c, argv[optind], &slot);
	if (rc)
		return rc;
	return ask(c, slot, strcmp(what, "reset") ? action : NULL, off_usec);
}

const struct verb verb_port = {
	.name = "port",
	.args = N_("status SLOT"),
	.more = N_("reset SLOT | on SLOT | off SLOT | power-cycle SLOT"),
	.summary = N_("reset a stuck port, switch its power"),
	.about = N_(
		"For phones that hang. reset: the USB of the phone there. on, off, power-cycle: the power of the port, by "
		"its hub, if the station's udev rules let the service open that hub; what the hub says of the port "
		"afterwards is told, and a hub that only pretends is refused by name."),
	.options = options,
	.operand = OPERAND_PORT,
	.beside = "slot",
	.run = run,
};
