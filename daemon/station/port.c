/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ports reset and switched, when somebody says so and nothing else goes on there. */
#include "station/port.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/journal.h"
#include "common/util.h"
#include "station/internal.h"
#include "station/kv.h"
#include "usb/hubport.h"
#include "usb/kick.h"
#include "usb/place.h"

#define OFF_USEC UINT64_C(2000000)

struct errand {
	struct slot *slot;
	struct usb_kick *reset; /* one of the two */
	struct usb_hub_errand *hub;
	enum usb_hub_verb verb;
	char uid[16];
	station_done_fn done;
	station_port_fn told;
	void *user;
};

static const struct {
	const char *name, *done;
} verbs[] = {
	[USB_HUB_LOOK] = { "status", "" },
	[USB_HUB_ON] = { "on", "on" },
	[USB_HUB_OFF] = { "off", "off" },
	[USB_HUB_CYCLE] = { "cycle", "off and on again" },
};

static const char *const switchings[] = {
	[USB_HUB_EACH] = "each",
	[USB_HUB_TOGETHER] = "together",
	[USB_HUB_NEVER] = "none",
};

static const char *name_of(const struct slot *slot)
{
	return *slot->port ? slot->port : slot->id;
}

/* Takes it out of the slot, which is free again; the caller frees it. */
static struct errand *over(struct errand *e)
{
	e->slot->errand = NULL;
	station_poke(e->slot->st);
	return e;
}

static void say(const struct errand *e, enum event_id event, const char *what)
{
	const struct slot *slot = e->slot;
	struct journal_field fields[] = { { "FDL_SLOT", slot->id },
					  { "FDL_PORT", name_of(slot) },
					  { "FDL_SENDER_UID", e->uid },
					  { "FDL_REASON", what } };

	journal_event(event, fields, ARRAY_SIZE(fields), "port %s: %s, as uid %s has asked", name_of(slot),
		      what, e->uid);
}

static struct errand *errand_new(struct slot *slot, const struct station_caller *caller, void *user,
				 struct failure *why)
{
	struct errand *e = NULL;

	if (slot->st->draining)
		failure_set(why, ERR_DRAINING, "%s", "");
	else if (slot->job || slot->kick || slot->errand)
		failure_set(why, ERR_SLOT_BUSY, "%s: %s", slot->id,
			    slot->job ? "a job has it" : "something else is going on there");
	else if (!(e = calloc(1, sizeof(*e))))
		failure_set(why, ERR_INTERNAL, "out of memory");
	if (!e)
		return NULL;
	e->slot = slot;
	e->user = user;
	snprintf(e->uid, sizeof(e->uid), "%u", caller->uid);
	return e;
}

void errand_free(struct slot *slot)
{
	struct errand *e = slot->errand;

	if (!e)
		return;
	if (e->reset)
		usb_kick_forget(e->reset);
	if (e->hub)
		usb_hub_forget(e->hub);
	free(e);
	slot->errand = NULL;
}

/* ---- reset ---- */

static void on_reset(void *user, const struct usb_kick_report *report, const struct failure *why)
{
	_cleanup_free_ struct errand *e = over(user);

	if (report)
		say(e, EVENT_PORT_RESET, report->end == USB_KICK_LEFT ? "reset, the phone left" : "reset");
	e->done(e->user, why);
}

int station_port_reset(struct slot *slot, const struct station_caller *caller, station_done_fn done,
		       void *user, struct failure *why)
{
	const struct device *d = slot->device && slot->device->present ? slot->device : slot->runs;
	struct failure own = { 0 };
	struct errand *e;

	if (!d)
		return failure_set(why, ERR_SLOT_EMPTY, "%s: nothing is there to be reset", slot->id);
	e = errand_new(slot, caller, user, &own);
	if (e) {
		e->done = done;
		e->reset = usb_port_reset(slot->st->loop, &d->arrival, on_reset, e, &own);
		if (e->reset) {
			slot->errand = e;
			return 0;
		}
		free(e);
	}
	if (why)
		*why = own;
	return -error_entry(own.error)->err;
}

/* ---- power ---- */

static void on_hub(void *user, const struct usb_hub_state *state, const struct failure *why)
{
	_cleanup_free_ struct errand *e = over(user);
	struct port_view view = { 0 };

	if (!state) {
		e->told(e->user, NULL, why);
		return;
	}
	if (e->verb != USB_HUB_LOOK)
		say(e, EVENT_PORT_SWITCHED, verbs[e->verb].done);
	view = (struct port_view){ .hub = state->hub,
				   .port = state->port,
				   .vendor = state->vendor,
				   .product = state->product,
				   .switching = switchings[state->switching],
				   .powered = state->powered,
				   .connected = state->connected };
	e->told(e->user, &view, NULL);
}

/*
 * Where it is now: bus numbers wander. The two root hubs of one controller share the place's name, so that
 * the one on which a phone was seen goes first.
 */
static bool find(const struct slot *slot, struct usb_place *place)
{
	if (*slot->port && usb_place_find(slot->port, place) == 0 && !strcmp(place->slot, slot->id))
		return true;
	return usb_place_find(slot->id, place) == 0;
}

int station_port_power(struct slot *slot, const char *action, uint64_t off_usec,
		       const struct station_caller *caller, station_port_fn done, void *user,
		       struct failure *why)
{
	struct failure own = { 0 };
	struct usb_place place;
	struct errand *e;
	size_t verb = 0;

	while (verb < ARRAY_SIZE(verbs) && strcmp(verbs[verb].name, action) != 0)
		verb++;
	if (verb == ARRAY_SIZE(verbs))
		return failure_set(why, ERR_INVALID_ARGS, "\"%.32s\" is none of status, on, off, cycle",
				   action);
	if (off_usec > PORT_OFF_USEC_MAX)
		return failure_set(why, ERR_INVALID_ARGS, "a port is without power for a minute at most");
	if (!find(slot, &place))
		return failure_set(why, ERR_NO_SUCH_SLOT, "%s: no hub has that port now", slot->id);
	e = errand_new(slot, caller, user, &own);
	if (e) {
		e->told = done;
		e->verb = (enum usb_hub_verb)verb;
		e->hub = usb_hub_begin(slot->st->loop, place.port, e->verb, off_usec ? off_usec : OFF_USEC,
				       on_hub, e, &own);
		if (e->hub) {
			slot->errand = e;
			return 0;
		}
		free(e);
	}
	if (why)
		*why = own;
	return -error_entry(own.error)->err;
}
