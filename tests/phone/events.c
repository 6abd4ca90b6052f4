/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Time: the queue of what is going to happen, stage changes, dying and leaving. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/phone/device.h"

uint64_t ph_delay(const struct phone *p, uint64_t us)
{
	return p->time_percent == 100 ? us : us * p->time_percent / 100;
}

uint64_t ph_random64(struct phone *p)
{
	uint64_t z = p->rng += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

void ph_queue(struct phone *p, uint64_t due, int kind, const void *bytes, size_t length, bool ends)
{
	struct event *event;
	size_t at;

	if (p->event_count == p->event_room) {
		p->event_room = p->event_room ? p->event_room * 2 : 8;
		p->events = realloc(p->events, p->event_room * sizeof(*p->events));
		if (!p->events)
			abort();
	}
	for (at = p->event_count; at > 0 && p->events[at - 1].due > due; at--)
		p->events[at] = p->events[at - 1];
	event = &p->events[at];
	*event = (struct event){
		.due = due, .order = p->order++, .kind = kind, .length = length, .ends = ends
	};
	if (bytes && length <= sizeof(event->in_place)) {
		memcpy(event->in_place, bytes, length);
	} else if (bytes) {
		event->bytes = malloc(length);
		if (!event->bytes)
			abort();
		memcpy(event->bytes, bytes, length);
	}
	p->event_count++;
}

static void take_out(struct phone *p, size_t at)
{
	p->event_count--;
	memmove(p->events + at, p->events + at + 1, (p->event_count - at) * sizeof(*p->events));
}

void ph_drop_events(struct phone *p, bool all)
{
	for (size_t i = 0; i < p->event_count;) {
		if (!all && (p->events[i].kind == PHONE_DETACH || p->events[i].kind == PHONE_ATTACH)) {
			i++;
			continue;
		}
		free(p->events[i].bytes);
		take_out(p, i);
	}
}

/* Power is gone: RAM state with it. Storage, record and fault counters stay. */
void ph_power_clear(struct phone *p)
{
	uint8_t *stage = p->x.stage;
	size_t room = p->x.stage_room;

	ph_sparse_clear(&p->sparse);
	p->x = (struct xfer){ .stage = stage, .stage_room = room, .entry = NO_ENTRY };
	p->death[0] = 0;
	p->busy_until = p->nak_until = 0;
	p->booting = p->nak_seen = p->armed_control = p->out_disarmed = false;
	p->dma_length = p->rx_length = 0;
	p->in_frame = p->escape = p->overrun = false;
	p->crc16 = true;
	p->plain = false;
	p->ver_sent = p->keep_charge = p->load_open = p->damaged = p->early_probe = false;
	p->probes = p->autod_execs = 0;
	p->load_size = p->load_received = p->load_address = 0;
	p->pool = 3;
	p->raw_enabled = p->auth_ok = p->wp_off = p->log_on = p->permitted = p->poisoned = p->handshake_due =
		false;
	p->userdata_trimmed = p->nv_reading = false;
	p->current[0] = 0;
	p->nv_ram_length = 0;
	p->last_data_length = 0;
	p->second_seen = (unsigned)p->entry_count;
}

/* device-behaviour 15: a hung phone stays enumerated and swallows what its driver had armed. */
void ph_die(struct phone *p, const char *why, bool after_reply)
{
	enum phone_driver driver = ph_driver_now(p);
	bool fdl1 = p->stage != PHONE_FDL2;

	snprintf(p->death, sizeof(p->death), "%s", why);
	if (driver == PHONE_DWC3)
		p->death_room = after_reply ? (fdl1 ? 4096 : 65536) : 0;
	else if (driver == PHONE_MUSB)
		p->death_room = fdl1 ? 4096 : 1024;
	else
		p->death_room = 4096;
	p->stage = PHONE_DEAD;
	if (ph_entry_now(p))
		ph_entry_now(p)->silent = true;
}

/* Off the bus at `due`; back after `back_after` in `stage` (PHONE_NEVER: stays away). */
void ph_leave(struct phone *p, uint64_t due, uint64_t back_after, enum phone_stage stage)
{
	ph_queue(p, due, PHONE_DETACH, NULL, back_after == PHONE_NEVER ? (size_t)stage : SIZE_MAX, false);
	if (back_after != PHONE_NEVER)
		ph_queue(p, due + back_after, PHONE_ATTACH, NULL, (size_t)stage, false);
	p->booting = true;
}

static void detached(struct phone *p, size_t to)
{
	p->present = p->armed_control = false;
	p->in_frame = p->early_probe = p->out_disarmed = false; /* what was armed goes with the bus */
	p->dma_length = p->rx_length = 0;
	p->counters.detaches++;
	if (to != SIZE_MAX) {
		p->stage = (enum phone_stage)to;
		p->booting = false;
	}
}

static void attached(struct phone *p, enum phone_stage stage)
{
	p->present = true;
	p->booting = false;
	if (stage == PHONE_ROM)
		ph_power_clear(p);
	p->stage = stage;
	p->leaving = false;
	ph_usb_identity(p);
	if (stage == PHONE_FDL1)
		ph_fdl1_up(p);
	ph_fault_at(p, AT_ATTACH, NULL);
}

/* Everything due by now that the phone does to itself. Events for the caller stay, marked as done by `ends`.
 */
void ph_advance(struct phone *p, uint64_t now)
{
	if (now > p->now)
		p->now = now;
	for (size_t i = 0; i < p->event_count && p->events[i].due <= p->now;) {
		struct event *event = &p->events[i];
		int kind = event->kind;
		uint64_t saved = p->now;

		if (kind == PHONE_DETACH && !event->ends) {
			event->ends = true;
			detached(p, event->length);
		} else if (kind == PHONE_ATTACH && !event->ends) {
			event->ends = true;
			p->now = event->due;
			attached(p, (enum phone_stage)event->length);
			p->now = saved;
		} else if (kind >= EV_FDL1_UP) {
			p->now = event->due;
			take_out(p, i);
			if (kind == EV_FDL1_UP)
				ph_fdl1_up(p);
			else if (kind == EV_FDL2_UP)
				ph_fdl2_up(p);
			p->now = saved;
			i = 0;
			continue;
		}
		i++;
	}
}

static bool show(struct phone *p, size_t at, struct phone_event *out)
{
	struct event event = p->events[at];

	take_out(p, at);
	free(p->shown);
	p->shown = event.bytes;
	*out = (struct phone_event){ .kind = (enum phone_event_kind)event.kind, .due = event.due };
	if (event.kind == PHONE_IN) {
		out->length = event.length;
		out->ends = event.ends;
		if (!event.bytes)
			memcpy(p->shown_in_place, event.in_place, sizeof(event.in_place));
		out->bytes = event.bytes ? event.bytes : p->shown_in_place;
		p->counters.bytes_out += event.length;
		p->counters.transfers_out++;
	}
	return true;
}

bool phone_poll(struct phone *p, uint64_t now, struct phone_event *out)
{
	ph_advance(p, now);
	while (p->event_count && p->events[0].due <= p->now) {
		struct event *event = &p->events[0];

		/* dwc_otg waits one second for the host, then forgets the reply (F28). */
		if (event->kind == PHONE_IN && ph_driver_now(p) == PHONE_OTG && p->stage == PHONE_FDL2 &&
		    p->now - event->due > 1000000) {
			ph_fault_fired(p, "F28");
			free(event->bytes);
			take_out(p, 0);
			continue;
		}
		return show(p, 0, out);
	}
	return false;
}

bool phone_poll_bus(struct phone *p, uint64_t now, struct phone_event *out)
{
	ph_advance(p, now);
	for (size_t i = 0; i < p->event_count && p->events[i].due <= p->now; i++) {
		if (p->events[i].kind != PHONE_DETACH && p->events[i].kind != PHONE_ATTACH)
			continue;
		/* What was not fetched before the phone left is lost with it. */
		for (size_t k = 0; k < i; k++)
			free(p->events[k].bytes);
		memmove(p->events, p->events + i, (p->event_count - i) * sizeof(*p->events));
		p->event_count -= i;
		return show(p, 0, out);
	}
	return false;
}

uint64_t phone_due(const struct phone *p)
{
	uint64_t due = p->event_count ? p->events[0].due : PHONE_NEVER, ready;

	if (p->nak_seen) {
		ready = p->busy_until > p->nak_until ? p->busy_until : p->nak_until;
		if (ready > p->now && ready < due)
			due = ready;
	}
	return due;
}
