/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ports reset and switched, when somebody says so and nothing else goes on there. */
#include "station/port.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/journal.h"
#include "common/util.h"
#include "station/errand.h"
#include "station/kv.h"
#include "usb/hubport.h"
#include "usb/kick.h"
#include "usb/place.h"

#define OFF_USEC UINT64_C(2000000)

struct port_errand {
	struct errand errand;
	struct usb_kick *reset; /* one of the two, once it is under way */
	struct usb_hub_errand *hub;
	enum usb_hub_verb verb;
	uint64_t off_usec;
	const char *stopped; /* somebody wants its power back at once, and why */
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

/* In the journal, and with its job. */
static void say(const struct errand *e, enum event_id event, const char *what, const char *note)
{
	const struct slot *slot = e->slot;
	char uid[16];
	struct journal_field fields[] = { { "FDL_SLOT", slot->id },
					  { "FDL_PORT", name_of(slot) },
					  { "FDL_SENDER_UID", uid },
					  { "FDL_REASON", what } };

	snprintf(uid, sizeof(uid), "%u", e->job->record.uid);
	journal_event(event, fields, ARRAY_SIZE(fields), "port %s: %s, as uid %s has asked", name_of(slot),
		      what, uid);
	(void)job_record_note(&e->job->record, note);
}

static void drop(struct errand *errand)
{
	struct port_errand *e = (struct port_errand *)errand;

	if (e->reset)
		usb_kick_forget(e->reset);
	if (e->hub)
		usb_hub_forget(e->hub);
	free(e);
}

/* ---- reset ---- */

static void on_reset(void *user, const struct usb_kick_report *report, const struct failure *why)
{
	struct port_errand *e = user;
	const char *what = report && report->end == USB_KICK_LEFT ? "reset, the phone left" : "reset";

	e->reset = NULL;
	if (report)
		say(&e->errand, EVENT_PORT_RESET, what, what);
	errand_over(&e->errand, why);
}

static const struct device *there(const struct slot *slot)
{
	return slot->device && slot->device->present ? slot->device : slot->runs;
}

static int empty(const struct slot *slot, struct failure *why)
{
	return failure_set(why, ERR_SLOT_EMPTY, "%s: nothing is there to be reset", slot->id);
}

static int reset_begin(struct errand *errand, struct failure *why)
{
	struct port_errand *e = (struct port_errand *)errand;
	const struct device *d = there(errand->slot);

	if (!d)
		return empty(errand->slot, why);
	e->reset = usb_port_reset(errand->slot->st->loop, &d->arrival, on_reset, e, why);
	return e->reset ? 0 : -error_entry(why->error)->err;
}

int station_port_reset(struct slot *slot, const struct station_caller *caller, station_job_fn done,
		       void *user, struct failure *why)
{
	static const struct errand_kind kind = {
		.name = "port-reset", .stage = "reset", .begin = reset_begin, .drop = drop
	};
	struct port_errand *e;

	if (!there(slot))
		return empty(slot, why);
	e = calloc(1, sizeof(*e));
	if (!e)
		return failure_set(why, ERR_INTERNAL, "out of memory");
	e->errand.kind = &kind;
	return errand_ask(&e->errand, slot, caller, done, user, why);
}

/* ---- power ---- */

static int power_begin(struct errand *errand, struct failure *why);
static void power_stop(struct errand *errand, const char *why);

#define POWER(word) .name = "port-power", .stage = word, .begin = power_begin, .drop = drop
static const struct verb {
	const char *name, *done;
	struct errand_kind kind;
} verbs[] = {
	[USB_HUB_LOOK] = { "status", "", { POWER("look") } },
	[USB_HUB_ON] = { "on", "on", { POWER("switch") } },
	[USB_HUB_OFF] = { "off", "off", { POWER("switch") } },
	[USB_HUB_CYCLE] = { "cycle", "off and on again", { POWER("switch"), .stop = power_stop } },
};

/* What a later reader of the history is told. */
static void note_port(struct port_errand *e, const struct port_view *port)
{
	char text[192];

	snprintf(text, sizeof(text), "power %s%s%s; port %u of hub %s (%04x:%04x)",
		 port->powered ? "on" : "off", e->verb == USB_HUB_CYCLE ? " again" : "",
		 port->connected ? ", something is plugged in" : "", port->port, port->hub, port->vendor,
		 port->product);
	if (e->verb == USB_HUB_LOOK)
		(void)job_record_note(&e->errand.job->record, text);
	else
		say(&e->errand, EVENT_PORT_SWITCHED, verbs[e->verb].done, text);
}

static void on_hub(void *user, const struct usb_hub_state *state, const struct failure *why)
{
	struct port_errand *e = user;
	struct job *job = e->errand.job;
	struct failure stopped = { 0 };

	e->hub = NULL;
	if (!state) {
		errand_over(&e->errand, why);
		return;
	}
	kv_copy(job->port_hub, sizeof(job->port_hub), state->hub);
	job->port = (struct port_view){ .hub = job->port_hub,
					.port = state->port,
					.vendor = state->vendor,
					.product = state->product,
					.switching = switchings[state->switching],
					.powered = state->powered,
					.connected = state->connected };
	note_port(e, &job->port);
	if (e->stopped)
		failure_set(&stopped, ERR_CANCELLED, "%s; the port has its power again", e->stopped);
	errand_over(&e->errand, e->stopped ? &stopped : NULL);
}

/*
 * Where it is now: bus numbers wander. The two root hubs of one controller share the place's name, so that
 * the one on which a phone was seen goes first.
 */
static int find(const struct slot *slot, struct usb_place *place, struct failure *why)
{
	if (*slot->port && usb_place_find(slot->port, place) == 0 && !strcmp(place->slot, slot->id))
		return 0;
	if (usb_place_find(slot->id, place) == 0)
		return 0;
	return failure_set(why, ERR_NO_SUCH_SLOT, "%s: no hub has that port now", slot->id);
}

static int power_begin(struct errand *errand, struct failure *why)
{
	struct port_errand *e = (struct port_errand *)errand;
	struct usb_place place;
	int r = find(errand->slot, &place, why);

	if (r < 0)
		return r;
	if (e->verb == USB_HUB_CYCLE)
		errand_stage(errand, errand->kind->stage, "the port is without power for a moment",
			     loop_now() + e->off_usec);
	e->hub = usb_hub_begin(errand->slot->st->loop, place.port, e->verb, e->off_usec, on_hub, e, why);
	return e->hub ? 0 : -error_entry(why->error)->err;
}

/* The power comes back first. */
static void power_stop(struct errand *errand, const char *why)
{
	struct port_errand *e = (struct port_errand *)errand;

	e->stopped = why;
	usb_hub_hurry(e->hub);
}

int station_port_power(struct slot *slot, const char *action, uint64_t off_usec,
		       const struct station_caller *caller, station_job_fn done, void *user,
		       struct failure *why)
{
	struct usb_place place;
	struct port_errand *e;
	size_t verb = 0;

	while (verb < ARRAY_SIZE(verbs) && strcmp(verbs[verb].name, action) != 0)
		verb++;
	if (verb == ARRAY_SIZE(verbs))
		return failure_set(why, ERR_INVALID_ARGS, "\"%.32s\" is none of status, on, off, cycle",
				   action);
	if (off_usec > PORT_OFF_USEC_MAX)
		return failure_set(why, ERR_INVALID_ARGS, "a port is without power for a minute at most");
	if (find(slot, &place, why) < 0)
		return -error_entry(ERR_NO_SUCH_SLOT)->err;
	e = calloc(1, sizeof(*e));
	if (!e)
		return failure_set(why, ERR_INTERNAL, "out of memory");
	e->errand.kind = &verbs[verb].kind;
	e->verb = (enum usb_hub_verb)verb;
	e->off_usec = off_usec ? off_usec : OFF_USEC;
	return errand_ask(&e->errand, slot, caller, done, user, why);
}
