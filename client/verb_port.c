/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* port: a stuck port reset, its power looked at and switched. */
#include <stdlib.h>
#include <string.h>

#include "client/ask.h"
#include "client/client.h"
#include "common/names.h"
#include "common/util.h"

enum { OPT_OFF_TIME = 1 };

static const struct verb_opt options[] = {
	{ "off-time", OPT_OFF_TIME, N_("SECONDS"), N_("power-cycle: so long without power; default 2"),
	  false },
	{ 0 },
};

static int say(const struct client *c, const char *slot, json_object *port)
{
	json_object *props = mirror_props(c, slot, FDLD_IFACE_SLOT);
	const char *switching = prop_str(port, "switching");

	if (c->json) {
		json_object_object_add(port, "slot", json_object_new_string(prop_str(props, "Id")));
		print_json(port);
		return 0;
	}
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
static int ask(struct client *c, const char *slot, const char *action, uint64_t off_usec, json_object *port)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
	int r = sd_bus_message_new_method_call(c->bus, &m, FDLD_BUS_NAME, slot, FDLD_IFACE_SLOT,
					       action ? "PortPower" : "ResetPort");

	if (r >= 0 && action)
		r = sd_bus_message_append(m, "s", action);
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "{sv}");
	if (r >= 0 && off_usec)
		r = sd_bus_message_append(m, "{sv}", "off_usec", "t", off_usec);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	if (r >= 0)
		r = client_ask(c, m, &error, &reply);
	if (r >= 0 && action)
		r = value_read_dict(reply, port);
	return r < 0 ? client_complain_bus(c, &error, r) : 0;
}

static int run(struct client *c, int argc, char **argv)
{
	_cleanup_free_ char *slot = NULL;
	uint64_t off_usec = 0;
	const char *what, *action;
	json_object *port;
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
	if (!strcmp(what, "reset"))
		return ask(c, slot, NULL, 0, NULL);
	port = json_object_new_object();
	rc = ask(c, slot, action, off_usec, port);
	if (!rc)
		rc = say(c, slot, port);
	json_object_put(port);
	return rc;
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
