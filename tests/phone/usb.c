/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The bus side: descriptors, the class request, and what each controller's driver makes of one OUT transfer
 * (device-behaviour 6). */
#include <errno.h>
#include <stdlib.h>

#include "tests/phone/device.h"

enum phone_driver ph_driver_now(const struct phone *p)
{
	if (p->stage == PHONE_ROM && !p->profile->autodownload)
		return PHONE_OTG; /* the ROM takes packet by packet */
	return p->stage == PHONE_FDL2 || (p->stage == PHONE_DEAD && p->pool && p->death_room == 1024)
		       ? p->profile->driver2
		       : p->profile->driver1;
}

void ph_usb_identity(struct phone *p)
{
	const struct phone_profile *profile = p->profile;
	uint16_t packet = profile->max_packet;
	uint8_t device[18] = { 18, 1, 0, 2, 0, 0, 0, 64, 0x82, 0x17, 0x00, 0x4d, 0, 0, 0, 0, 0, 1 };
	uint8_t config[32] = { 9, 2, 32, 0, 1, 1, 0, 0xc0, 0x32, 9, 4, 0, 0, 2, 0xff, 0, 0, 0 };
	uint8_t *end = config + 18;

	if (p->stage == PHONE_RUNNING) {
		ph_running_identity(p);
		return;
	}
	p->usb = (struct phone_usb){ .vendor = 0x1782,
				     .product = 0x4d00,
				     .device = profile->bcd_device,
				     .in_endpoint = profile->in_endpoint,
				     .out_endpoint = profile->out_endpoint,
				     .max_packet = packet,
				     .high_speed = packet == 512 };
	ph_put_le16(device + 12, profile->bcd_device);
	if (profile->bcd_device == 0x0202) {
		device[2] = packet == 64 ? 0x10 : 0x01;
		device[3] = 1;
	}
	for (int i = 0; i < 2; i++, end += 7) {
		end[0] = 7;
		end[1] = 5;
		end[2] = i == 0 ? profile->in_endpoint : profile->out_endpoint;
		end[3] = 2;
		ph_put_le16(end + 4, packet);
	}
	memcpy(p->descriptors, device, 18);
	memcpy(p->descriptors + 18, config, 32);
	p->descriptors_length = 50;
}

struct phone_usb phone_usb(const struct phone *p)
{
	return p->usb;
}

const uint8_t *phone_descriptors(const struct phone *p, size_t *length)
{
	*length = p->descriptors_length;
	return p->descriptors;
}

int phone_control(struct phone *p, uint64_t now, uint8_t request_type, uint8_t request, uint16_t value,
		  uint16_t index)
{
	ph_advance(p, now);
	if (!p->present)
		return -ENODEV;
	p->whim = (struct whim){ 0 };
	ph_fault_at(p, AT_CONTROL, NULL);
	if (ph_fault_hit(p, "U23", NULL))
		return -ETIMEDOUT;
	if (p->whim.vanish) {
		ph_leave(p, p->now, PHONE_NEVER, PHONE_OFF);
		ph_advance(p, p->now);
		return -ENODEV;
	}
	if (p->whim.halt)
		return -EPIPE;
	if ((request_type & 0x7f) != 0x21)
		return -EPIPE;
	if (value & 0xff)
		p->armed_control = true; /* request and high byte are never looked at */
	return 0;
}

/* Appends the unescaped segment to the body being received. */
static void gather(struct phone *p, const uint8_t *data, size_t length)
{
	while (length) {
		const uint8_t *mark;
		size_t run;

		if (p->escape) {
			p->escape = false;
			if (p->rx_length < RX_ROOM)
				p->rx[p->rx_length++] = *data ^ 0x20;
			data++;
			length--;
			continue;
		}
		mark = memchr(data, 0x7d, length);
		run = mark ? (size_t)(mark - data) : length;
		if (run > RX_ROOM - p->rx_length) {
			p->overrun = true;
			memcpy(p->rx + p->rx_length, data, RX_ROOM - p->rx_length);
			p->rx_length = RX_ROOM;
		} else {
			memcpy(p->rx + p->rx_length, data, run);
			p->rx_length += run;
		}
		data += run;
		length -= run;
		if (mark) {
			p->escape = true;
			data++;
			length--;
		}
	}
}

/* The probe: a lone flag, in stages that answer it. True: this transfer was that and nothing else. */
static bool probe(struct phone *p, const uint8_t *data, size_t length)
{
	bool all = true;

	for (size_t i = 0; i < length && all; i++)
		all = data[i] == 0x7e;
	if (!all || p->in_frame)
		return false;
	p->whim = (struct whim){ 0 };
	ph_fault_at(p, AT_PROBE, NULL);
	if (p->whim.stall) {
		ph_die(p, "fault: stall", false);
		return true;
	}
	if (p->whim.lose)
		return true;
	if (p->whim.vanish || p->whim.boot || p->whim.reset) {
		ph_leave(p, p->now, p->whim.reset ? ph_delay(p, p->profile->t_gone) : PHONE_NEVER,
			 p->whim.reset	? PHONE_ROM
			 : p->whim.boot ? PHONE_BOOTED
					: PHONE_OFF);
		ph_advance(p, p->now);
		return true;
	}
	if (p->stage == PHONE_ROM) {
		ph_rom_probe(p);
		return true;
	}
	if (p->stage == PHONE_FDL1) {
		for (size_t i = 0; i < length; i++)
			ph_fdl1_probe(p);
		return true;
	}
	return false;
}

static bool drops_rest(const struct phone *p)
{
	enum phone_driver driver = ph_driver_now(p);

	return driver == PHONE_DWC3 || (driver == PHONE_MUSB && p->stage == PHONE_FDL2);
}

static void escaped_bytes(struct phone *p, const uint8_t *data, size_t length)
{
	while (length && p->stage != PHONE_DEAD) {
		const uint8_t *flag = memchr(data, 0x7e, length);
		size_t run = flag ? (size_t)(flag - data) : length;

		if (p->in_frame)
			gather(p, data, run);
		data += run;
		length -= run;
		if (!flag)
			return;
		data++;
		length--;
		if (!p->in_frame) {
			/* musb and otg FDL1 read byte by byte: the first flag of its life is the probe, frame
			 * or not. */
			if (p->stage == PHONE_FDL1 && !p->ver_sent) {
				ph_fdl1_probe(p);
				if (p->ver_sent && length > 1)
					return; /* the rest of that frame is thrown away */
				continue;
			}
			p->in_frame = true;
			p->rx_length = 0;
			p->escape = false;
			p->overrun = false;
		} else if (p->rx_length) {
			p->in_frame = false;
			if (p->overrun || p->rx_length > RX_LIMIT)
				p->poisoned = p->damaged = true;
			ph_frame_in(p, p->rx, p->rx_length);
			p->rx_length = 0;
			if (drops_rest(p)) {
				if (length)
					ph_fault_fired(p, "F23");
				return;
			}
		}
	}
}

/* Without escapes one completed transfer is one packet, first and last byte dropped unseen. */
static void plain_bytes(struct phone *p, const uint8_t *data, size_t length)
{
	if (length == 0)
		return;
	if (length < 8) {
		ph_fault_fired(p, "F22");
		ph_die(p, "short transfer without escapes", false);
		return;
	}
	if (length > 2 && length - 2 > RX_LIMIT)
		p->poisoned = true;
	ph_frame_in(p, data + 1, length - 2);
}

static void completed(struct phone *p, const uint8_t *data, size_t length)
{
	if (p->stage == PHONE_DEAD)
		return;
	if (p->plain) {
		plain_bytes(p, data, length);
		return;
	}
	if (p->stage == PHONE_FDL1 && !p->ver_sent && ph_driver_now(p) == PHONE_DWC3 &&
	    (length != 1 || data[0] != 0x7e)) {
		ph_fault_fired(p, "F03");
		ph_die(p, "first transfer was not one 7E", false);
		return;
	}
	if (probe(p, data, length))
		return;
	escaped_bytes(p, data, length);
}

static void dma_append(struct phone *p, const void *data, size_t length)
{
	if (p->dma_length + length > p->dma_room) {
		p->dma_room = (p->dma_length + length) * 2;
		p->dma = realloc(p->dma, p->dma_room);
		if (!p->dma)
			abort();
	}
	if (length)
		memcpy(p->dma + p->dma_length, data, length);
	p->dma_length += length;
}

static void stray_zlp(struct phone *p)
{
	struct armed *armed = ph_fault_for(p, "F25", NULL);

	if (ph_driver_now(p) == PHONE_DWC3 ||
	    (armed && ph_driver_now(p) == PHONE_MUSB && p->stage == PHONE_FDL2)) {
		if (armed)
			ph_fault_mark(p, armed);
		else
			ph_fault_fired(p, "F25");
		ph_die(p, "stray zero-length packet", false);
	}
}

/* musb and DWC3: a transfer is over with a short packet or a full buffer, not before. */
static void dma_transfer(struct phone *p, const uint8_t *data, size_t length, bool ended, bool zlp)
{
	size_t cap = p->stage != PHONE_FDL2 ? 4096 : p->profile->driver2 == PHONE_DWC3 ? 65536 : 65472;
	size_t at = 0, total;

	if (ended && p->dma_length == 0 && length && (length <= cap || !p->plain) &&
	    !(zlp && length % cap == 0)) {
		completed(p, data, length);
		return;
	}
	if (ended && length == 0 && p->dma_length == 0) {
		stray_zlp(p);
		return;
	}
	dma_append(p, data, length);
	total = p->dma_length;
	while (total - at >= cap && p->stage != PHONE_DEAD) {
		completed(p, p->dma + at, cap);
		at += cap;
	}
	if (ended && p->stage != PHONE_DEAD) {
		if (total > at)
			completed(p, p->dma + at, total - at);
		else
			stray_zlp(p);
		at = total;
	} else if (total > at) {
		ph_fault_fired(p, "F24");
	}
	p->dma_length = total - at;
	memmove(p->dma, p->dma + at, p->dma_length);
}

/* Between EXEC and the next stage. */
static enum phone_taken while_booting(struct phone *p, const uint8_t *data, size_t length)
{
	if (p->stage != PHONE_ROM || p->unwaking) {
		p->nak_seen = true;
		return PHONE_NAK;
	}
	if (p->profile->driver1 == PHONE_DWC3) {
		if (p->early_probe || length == 0)
			return PHONE_NAK; /* one transfer is armed, no more */
		dma_append(p, data, length < 512 ? length : 512);
		p->early_probe = true;
		return PHONE_TAKEN;
	}
	if (ph_fault_hit(p, "F02", NULL))
		p->early_probe = true;
	ph_fault_fired(p, "F01");
	return PHONE_TAKEN;
}

static bool busy(struct phone *p)
{
	return p->now < p->busy_until;
}

enum phone_taken phone_out(struct phone *p, uint64_t now, const void *data, size_t length, bool zlp)
{
	bool ended = length % p->usb.max_packet != 0 || zlp || length == 0;

	ph_advance(p, now);
	if (!p->present)
		return PHONE_GONE;
	p->counters.naks++; /* taken back below */
	p->nak_seen = true;
	if ((p->profile->control_needed && !p->armed_control) || p->now < p->nak_until)
		return PHONE_NAK;
	if (p->stage == PHONE_DEAD) {
		if (length > p->death_room)
			return PHONE_NAK;
		p->death_room -= length;
		p->counters.naks--;
		return PHONE_TAKEN;
	}
	if (p->booting) {
		enum phone_taken taken = while_booting(p, data, length);

		p->counters.naks -= taken == PHONE_TAKEN;
		return taken;
	}
	if (p->out_disarmed)
		return PHONE_NAK;
	if (busy(p) && p->stage == PHONE_FDL1 && ph_driver_now(p) == PHONE_MUSB && length > 0 &&
	    p->ver_sent) {
		ph_fault_fired(p, "F66");
		ph_die(p, "transfer during a reply", true);
		p->counters.naks--;
		return PHONE_TAKEN;
	}
	if (busy(p))
		return PHONE_NAK;
	p->counters.naks--;
	p->nak_seen = false;
	p->counters.transfers_in++;
	p->counters.bytes_in += length;
	if (p->x.raw_wait && p->stage == PHONE_FDL2)
		ph_raw_bytes(p, data, length, ended);
	else if (ph_driver_now(p) == PHONE_MUSB || ph_driver_now(p) == PHONE_DWC3)
		dma_transfer(p, data, length, ended, zlp && length && length % p->usb.max_packet == 0);
	else if (length)
		completed(p, data, length);
	return PHONE_TAKEN;
}
