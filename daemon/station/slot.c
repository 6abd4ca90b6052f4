/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Slots and devices: physical places that stay once they were seen, and the arrivals of phones on them. A
 * device keeps its number over a departure that the running job expects, and over no other.
 */
#include <errno.h>
#include <stdio.h>

#include "common/util.h"
#include "station/armed.h"
#include "station/errand.h"
#include "station/internal.h"
#include "station/kv.h"
#include "usb/place.h"

/* ---- slots ---- */

/* Bus numbers wander: a name that moves to another place is no longer that of the place where it was seen
 * before. */
static void set_port(struct slot *slot, const char *name)
{
	for (struct slot *s = slot->st->slots; s; s = s->next) {
		if (s == slot || strcmp(s->port, name))
			continue;
		s->port[0] = '\0';
		slot_told(s);
	}
	kv_copy(slot->port, sizeof(slot->port), name);
}

struct slot *slot_get(struct station *st, const char *id)
{
	struct slot **at = &st->slots;
	struct slot *slot;

	for (; *at; at = &(*at)->next)
		if (!strcmp((*at)->id, id))
			return *at;
	slot = calloc(1, sizeof(*slot));
	if (!slot)
		return NULL;
	slot->st = st;
	kv_copy(slot->id, sizeof(slot->id), id);
	kv_copy(slot->book.id, sizeof(slot->book.id), id);
	slot->forgotten = true;
	*at = slot;
	EMIT(st, slot_added, slot);
	return slot;
}

void slot_told(struct slot *slot)
{
	EMIT(slot->st, slot_changed, slot);
}

void slot_free_all(struct station *st)
{
	while (st->devices) {
		struct device *d = st->devices;

		st->devices = d->next;
		free(d->before);
		free(d);
	}
	while (st->slots) {
		struct slot *s = st->slots;

		st->slots = s->next;
		kick_free(s);
		slot_unwait(s);
		errand_free(s);
		free(s);
	}
}

static bool waited_for(const struct slot *slot, uint32_t *count)
{
	*count = 0;
	for (const struct job *j = slot->st->jobs; j; j = j->next)
		if (j->pinned && j->slot == slot && j != slot->job && j->state <= JOB_QUEUED)
			(*count)++;
	return *count > 0;
}

void slot_view(const struct slot *slot, struct slot_view *view)
{
	const struct owed *owed = owed_of_slot(&slot->st->owed, slot->id);
	static char number[4][24];
	static unsigned int turn;
	uint32_t queued;
	bool waiting = waited_for(slot, &queued);
	struct job *job = slot->job ? slot->job : slot->errand ? slot->errand->job : NULL;

	*view = (struct slot_view){
		.id = slot->id,
		.port = slot->port,
		.state = job		? "busy"
			 : waiting	? "waiting"
			 : slot->device ? "ready"
			 : slot->runs	? "running"
					: "empty",
		.device = slot->device,
		.runs = slot->runs,
		.job = job,
		.owed = "",
		.queued = queued,
		.book = &slot->book,
		.suspect = slot_suspect(slot),
		.armed_why = armed_reason_name(slot->arm_why),
		.armed_text = slot->arm_text,
	};
	if (!view->job && waiting)
		for (struct job *j = slot->st->jobs; j && !view->job; j = j->next)
			if (j->pinned && j->slot == slot && j->state <= JOB_GATED)
				view->job = j;
	if (owed) {
		turn = (turn + 1) % ARRAY_SIZE(number);
		snprintf(number[turn], sizeof(number[turn]), "%llu", (unsigned long long)owed->job);
		view->owed = number[turn];
	}
}

struct slot *station_slot(const struct station *st, const char *name)
{
	struct slot *s = st->slots;

	while (s && strcmp(s->id, name))
		s = s->next;
	if (s || !*name)
		return s;
	/* set_port() and slot_set() see to it that no two have the same */
	for (s = st->slots; s; s = s->next)
		if (!strcmp(s->port, name) || !strcmp(s->book.label, name))
			return s;
	return NULL;
}

struct slot *station_slot_named(struct station *st, const char *name)
{
	struct slot *slot = station_slot(st, name);
	struct usb_place place;

	if (slot || usb_place_find(name, &place) < 0)
		return slot;
	/* by another of its names it may be known already */
	slot = slot_get(st, place.slot);
	if (slot && !*slot->port)
		set_port(slot, place.port);
	return slot;
}

struct slot *station_next_slot(const struct station *st, const struct slot *after)
{
	return after ? after->next : st->slots;
}

/* ---- devices ---- */

void device_told(struct device *device)
{
	EMIT(device->st, device_changed, device);
}

static void stage_from_note(struct device *device)
{
	const struct usb_arrival *arrival = &device->arrival;
	struct slot *slot = device->slot;

	if (device->seen)
		return;
	slot->note_known = records_port_read(device->st->records, slot->id, arrival->busnum, arrival->devnum,
					     &slot->note);
	if (slot->note_known && !slot->note.dirty && !strcmp(slot->note.stage, "fdl2")) {
		kv_copy(device->stage, sizeof(device->stage), slot->note.stage);
		device_keep(device, NULL, NULL);
	}
	/* whose plugging has started us, or who waited while we were started anew: as good as seen */
	device->seen = arrival->later && records_port_untouched(device->st->records, slot->id,
								arrival->busnum, arrival->devnum);
}

struct device *device_new(struct slot *slot, const struct usb_arrival *arrival)
{
	struct device *device = calloc(1, sizeof(*device)), **at = &slot->st->devices;

	if (!device)
		return NULL;
	device->st = slot->st;
	device->slot = slot;
	device->number = ++slot->st->device_number;
	device->arrival = *arrival;
	device->arrived_at = station_wall();
	device->present = true;
	device->seen = arrival->seen != USB_SEEN_COLD;
	device->first_transfer_usec = STATION_NONE;
	kv_copy(device->stage, sizeof(device->stage), "unknown");
	while (*at)
		at = &(*at)->next;
	*at = device;
	return device;
}

void device_arrived(void *user, const struct usb_arrival *arrival)
{
	struct station *st = user;
	struct slot *slot = slot_get(st, arrival->slot);
	struct device *device;
	const char *name;

	if (!slot)
		return;
	name = strrchr(arrival->syspath, '/');
	set_port(slot, name ? name + 1 : arrival->syspath);
	if (slot->device && slot->device->present) /* its leaving was never reported */
		device_left(st, &slot->device->arrival);
	if (arrival->running) {
		running_arrived(slot, arrival);
		return;
	}
	if (slot->runs)
		running_left(slot);
	device = slot->device;
	if (device && !device->present && slot->job && slot->job->runner &&
	    runner_expects(slot->job->runner)) {
		device->arrival = *arrival;
		device->present = true;
		device_told(device);
		slot_told(slot);
		runner_back(slot->job->runner);
		return;
	}
	if (device)
		device_remove(device);
	device = device_new(slot, arrival);
	if (!device)
		return;
	slot->device = device;
	st->counts.devices_arrived++;
	slot->note_known = false;
	if (st->probing) /* start-up: the record of an earlier run may tell what state it is in */
		stage_from_note(device);
	armed_arrived(device);
	/* a job that waits for it goes first: telling people can wait */
	queue_run(st);
	armed_look_at(slot);
	station_poke(st); /* it may have to be looked at again later */
	EMIT(st, device_added, device);
	slot_told(slot);
	station_told(st);
	kick_arrived(slot);
}

void device_left(void *user, const struct usb_arrival *arrival)
{
	struct station *st = user;
	struct slot *slot = st->slots;
	struct device *device;

	/* arrival may be that of the device itself, which does not survive this */
	while (slot && strcmp(slot->id, arrival->slot))
		slot = slot->next;
	if (slot && slot->runs && !strcmp(slot->runs->arrival.syspath, arrival->syspath) &&
	    slot->runs->arrival.devnum == arrival->devnum) {
		running_left(slot);
		return;
	}
	device = slot ? slot->device : NULL;
	if (!device || !device->present || strcmp(device->arrival.syspath, arrival->syspath))
		return;
	device->present = false;
	slot->note_known = false;
	if (slot->job && slot->job->runner && runner_left(slot->job->runner)) {
		device_told(device);
		slot_told(slot);
		return;
	}
	device_remove(device);
}

void device_remove(struct device *device)
{
	struct station *st = device->st;
	struct slot *slot = device->slot;
	struct device **at = &st->devices;

	device->present = false;
	if (!device->running)
		armed_gone(device);
	if (slot->device == device)
		slot->device = NULL;
	if (slot->runs == device)
		slot->runs = NULL;
	device->kept = false;
	if (device->kept_image)
		image_release(TAKE_PTR(device->kept_image));
	EMIT(st, device_removed, device);
	for (struct job *j = st->jobs; j; j = j->next)
		if (j->device == device) {
			j->device = NULL;
			job_told(j);
		}
	slot_told(slot);
	while (*at && *at != device)
		at = &(*at)->next;
	if (*at)
		*at = device->next;
	free(device->before);
	free(device);
	station_told(st);
	station_poke(st);
}

void device_view(const struct device *device, struct device_view *view)
{
	*view = (struct device_view){
		.number = device->number,
		.slot = device->slot,
		.vendor = device->arrival.vendor,
		.product = device->arrival.product,
		.bcd_device = device->arrival.bcd_device,
		.arrived_at = device->arrived_at,
		.present = device->present,
		.arrival_seen = device->seen,
		.bus = device->arrival.busnum,
		.address = device->arrival.devnum,
		.stage = device->stage,
		.unit = device->unit,
		.first_transfer_usec = device->first_transfer_usec,
		.running = device->running,
		.kept_until_at = device->kept ? device->kept_until_at : 0,
	};
}

struct device *station_device(const struct station *st, uint64_t number)
{
	struct device *d = st->devices;

	while (d && d->number != number)
		d = d->next;
	return d;
}

struct device *station_next_device(const struct station *st, const struct device *after)
{
	return after ? after->next : st->devices;
}
