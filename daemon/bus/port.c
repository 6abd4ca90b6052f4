/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Slot.Kick, Slot.ResetPort and Slot.PortPower, and what a Result says of a port. */
#include "bus/internal.h"

#include <string.h>

#include "common/util.h"

/* The three of them: options as the one group says, and what a person is shown. */
static int demand_of(struct call *call, struct demand *demand, unsigned int allowed, const char *before,
		     const char *what)
{
	struct failure why = { 0 };
	struct options options;
	int r = options_read(call->bus, call->m, allowed, &options, &why);

	demand_name_slot(demand, call->object->handle);
	demand_name_operation(demand, before, what);
	options_free(&options);
	return r < 0 ? reply_failure(call->error, &why) : 0;
}

int demand_kick(struct call *call, struct demand *demand)
{
	return demand_of(call, demand, OPTION_KICK, "", "kick");
}

int demand_port(struct call *call, struct demand *demand)
{
	bool reset = !strcmp(sd_bus_message_get_member(call->m), "ResetPort");
	const char *action = "reset";
	int r = reset ? 1 : sd_bus_message_read_basic(call->m, 's', &action);

	return r < 0 ? r : demand_of(call, demand, reset ? 0 : OPTION_PORT, "port ", action);
}

/* ---- the calls ---- */

static int start_kick(struct station *st, struct job_request *request, const struct options *options,
		      void *extra, station_job_fn done, void *user, struct failure *why)
{
	struct kick_request kick = options->kicks;

	kick.caller = request->caller;
	kick.expect_device_given = request->expect_device_given;
	kick.expect_device = request->expect_device;
	return station_kick(request->slot, &kick, done, user, why);
}

static int start_reset(struct station *st, struct job_request *request, const struct options *options,
		       void *extra, station_job_fn done, void *user, struct failure *why)
{
	return station_port_reset(request->slot, &request->caller, done, user, why);
}

/* extra: the action, in the message. */
static int start_power(struct station *st, struct job_request *request, const struct options *options,
		       void *extra, station_job_fn done, void *user, struct failure *why)
{
	return station_port_power(request->slot, extra, options->off_usec, &request->caller, done, user, why);
}

int slot_call_kick(struct call *call)
{
	struct work_place place = {
		.flash = true, .read = true, .slot = call->object->handle, .fd = -1, .start = start_kick
	};

	return work_begin(call, &place, OPTION_KICK);
}

int slot_reset_port(struct call *call)
{
	struct work_place place = {
		.flash = true, .read = true, .slot = call->object->handle, .fd = -1, .start = start_reset
	};

	return work_begin(call, &place, 0);
}

int slot_port_power(struct call *call)
{
	struct work_place place = {
		.flash = true, .read = true, .slot = call->object->handle, .fd = -1, .start = start_power
	};
	const char *action;
	int r = sd_bus_message_read_basic(call->m, 's', &action);

	place.extra = r < 0 ? NULL : (void *)(uintptr_t)action;
	return r < 0 ? r : work_begin(call, &place, OPTION_PORT);
}

/* ---- Result ---- */

int port_append(struct job *job, sd_bus_message *m)
{
	const struct port_view *port = job_port(job);
	int powered, connected, r;

	if (!port)
		return 0;
	powered = port->powered;
	connected = port->connected;
	if ((r = sd_bus_message_open_container(m, 'e', "sv")) < 0 ||
	    (r = sd_bus_message_append_basic(m, 's', "port")) < 0 ||
	    (r = sd_bus_message_open_container(m, 'v', "a{sv}")) < 0 ||
	    (r = sd_bus_message_open_container(m, 'a', "{sv}")) < 0 ||
	    (r = reply_entry(m, "hub", 's', port->hub)) < 0 ||
	    (r = reply_entry(m, "port", 'u', &port->port)) < 0 ||
	    (r = reply_entry(m, "vendor", 'q', &port->vendor)) < 0 ||
	    (r = reply_entry(m, "product", 'q', &port->product)) < 0 ||
	    (r = reply_entry(m, "switching", 's', port->switching)) < 0 ||
	    (r = reply_entry(m, "powered", 'b', &powered)) < 0 ||
	    (r = reply_entry(m, "connected", 'b', &connected)) < 0)
		return r;
	for (int i = 0; r >= 0 && i < 3; i++)
		r = sd_bus_message_close_container(m);
	return r;
}
