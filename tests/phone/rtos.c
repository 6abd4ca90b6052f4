/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The RTOS engine over NOR (device-behaviour 13, bsl-protocol 16.2, 16.3): a real state machine, addresses
 * and logical areas. Serves the single loader of UIC8850 and the second loader of the feature phones.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/phone/device.h"

enum { MAX_BODY = 0x3000 + 32, FLASH = 0x60000000, NV_ID = 0xfe000003, FORMAT_ID = 0xfe000006 };

/* An address or logical id to a range of the flash; the name is for the record. */
static bool locate(struct phone *p, uint32_t address, struct place *place, char name[NAME_ROOM])
{
	const struct phone_part *part = ph_part_by_id(p, address);

	*place = (struct place){ .part = part };
	if (part) {
		place->start = part->start;
		place->size = part->size;
		snprintf(name, NAME_ROOM, "%s", part->name);
		return true;
	}
	snprintf(name, NAME_ROOM, "addr:%08x", address);
	if (p->profile->second != PHONE_SINGLE || address - (uint32_t)FLASH >= p->area[USER].size)
		return false;
	place->start = address - (uint32_t)FLASH;
	place->size = p->area[USER].size - place->start;
	return true;
}

static bool is_phase(const struct place *place)
{
	return place->part && strcmp(place->part->name, "phasecheck") == 0;
}

static void start(struct phone *p, const uint8_t *payload, size_t length)
{
	uint32_t address = length >= 8 ? ph_be32(payload) : 0, size = length >= 8 ? ph_be32(payload + 4) : 0;
	struct xfer *x = &p->x;
	struct place place;
	bool known = locate(p, address, &place, p->current);

	ph_entry_open(p, p->current, address, size);
	x->open = false;
	if (!known || size == 0) {
		ph_entry_now(p)->refused = true;
		ph_reply(p, R_ADDRESS, NULL, 0);
		return;
	}
	/* A flash address may span several named areas; a logical one is its own room. */
	if (address >> 28 == 6 && p->profile->second == PHONE_SINGLE)
		place.size = p->area[USER].size - place.start;
	if (size > place.size || (is_phase(&place) && size != place.size)) {
		ph_entry_now(p)->refused = true;
		ph_reply(p, R_SIZE, NULL, 0);
		return;
	}
	x->open = true;
	x->total = size;
	x->received = x->staged = 0;
	x->start_word = address;
	x->has_checksum = length >= 12;
	x->checksum = length >= 12 ? ph_be32(payload + 8) : 0;
	ph_area_erase(&p->area[USER], place.start, (size + 4095) / 4096 * 4096);
	ph_deed(p, PHONE_DEED_ERASE, p->current, 0, size, 0, false);
	ph_reply(p, R_ACK, NULL, 0);
}

static void midst(struct phone *p, const uint8_t *data, size_t length)
{
	struct xfer *x = &p->x;

	if (!x->open) {
		ph_reply(p, R_ORDER, NULL, 0);
		return;
	}
	if (length > x->total - x->received) {
		ph_entry_piece(p, data, length, false, false);
		ph_entry_error(p, R_SIZE);
		ph_reply(p, R_SIZE, NULL, 0);
		return;
	}
	ph_entry_piece(p, data, length, false, true);
	if (x->staged + length > x->stage_room) {
		x->stage_room = (x->staged + length) * 2;
		x->stage = realloc(x->stage, x->stage_room);
		if (!x->stage)
			abort();
	}
	memcpy(x->stage + x->staged, data, length);
	x->staged += length;
	x->received += length;
	ph_reply_after(p, p->profile->t_reply + ph_write_cost(p, length), R_ACK, NULL, 0);
}

static void finish(struct phone *p)
{
	struct xfer *x = &p->x;
	struct place place;
	uint16_t code = R_ACK;
	uint8_t *back;

	if (!x->open) {
		ph_reply(p, R_ORDER, NULL, 0);
		return;
	}
	locate(p, x->start_word, &place, p->current);
	if (p->profile->second == PHONE_SINGLE && x->start_word >> 28 == 6)
		place.size = p->area[USER].size - place.start;
	if (x->received < x->total) {
		code = R_SIZE;
	} else if (ph_fault_hit(p, "F37", p->current) ||
		   (p->profile->secure && place.part && place.part->flags & PHONE_PART_VERIFIED &&
		    !phone_dhtb_right(x->stage, x->staged))) {
		code = R_IMAGE;
	} else if (!ph_put_bytes(p, p->current, &place, 0, x->stage, x->staged,
				 x->start_word == (uint32_t)NV_ID || x->start_word == 0x90000001
					 ? PHONE_DEED_NV
					 : PHONE_DEED_WRITE)) {
		code = R_CHECK; /* the readback CRC does not fit */
	} else if (!p->lied) {
		back = malloc(x->staged + 1);
		if (!back)
			abort();
		ph_area_read(&p->area[USER], place.start, back, x->staged);
		if (memcmp(back, x->stage, x->staged) != 0)
			code = R_CHECK;
		free(back);
	}
	ph_entry_end(p, code);
	x->open = false;
	x->entry = NO_ENTRY;
	x->staged = 0;
	ph_reply_after(p, p->profile->t_end + x->total / 4, code, NULL, 0);
}

static void read_flash(struct phone *p, const uint8_t *payload, size_t length)
{
	uint32_t address = length >= 8 ? ph_be32(payload) : 0, size = length >= 8 ? ph_be32(payload + 4) : 0;
	uint32_t offset = length >= 12 ? ph_be32(payload + 8) : 0;
	char name[NAME_ROOM];
	struct armed *bad;
	struct place place;
	uint8_t *out;

	p->counters.reads++;
	if (!locate(p, address, &place, name)) {
		ph_reply(p, R_ADDRESS, NULL, 0);
		return;
	}
	if (p->profile->second == PHONE_SINGLE && address >> 28 == 6)
		place.size = p->area[USER].size - place.start;
	if (size == 0 || size > 0x3000 || offset > place.size || size > place.size - offset) {
		ph_reply(p, R_SIZE, NULL, 0);
		return;
	}
	bad = ph_fault_for(p, "U10", name);
	if (bad) {
		ph_fault_mark(p, bad);
		ph_reply(p, R_FAILED, NULL, 0);
		return;
	}
	out = malloc(size);
	if (!out)
		abort();
	ph_area_read(&p->area[USER], place.start + offset, out, size);
	ph_reply_after(p, p->profile->t_reply + size / 10, R_READ, out, size);
	free(out);
}

/* Erase of everything keeps NV and phase check in RAM and puts them back. */
static void erase_all(struct phone *p)
{
	static const char *const kept[] = { "nv", "phasecheck" };
	uint8_t *copy[2] = { NULL, NULL };

	for (int i = 0; i < 2; i++) {
		const struct phone_part *part = ph_profile_part(p, kept[i]);

		copy[i] = part ? malloc((size_t)part->size) : NULL;
		if (copy[i])
			ph_area_read(&p->area[USER], part->start, copy[i], part->size);
	}
	ph_area_erase(&p->area[USER], 0, p->area[USER].size);
	for (int i = 0; i < 2; i++) {
		const struct phone_part *part = ph_profile_part(p, kept[i]);

		if (copy[i])
			ph_area_write(&p->area[USER], part->start, copy[i], part->size);
		free(copy[i]);
	}
	ph_deed(p, PHONE_DEED_ERASE_ALL, "erase_all", 0, p->area[USER].size, 0, false);
}

static void erase(struct phone *p, const uint8_t *payload, size_t length)
{
	uint32_t address = length >= 8 ? ph_be32(payload) : 0, size = length >= 8 ? ph_be32(payload + 4) : 0;
	const struct phone_part *part;
	char name[NAME_ROOM];
	struct place place;

	p->counters.erases++;
	p->x.entry = NO_ENTRY;
	if (address == 0 && size == UINT32_MAX) {
		erase_all(p);
		ph_reply_after(p, p->profile->t_erase + p->area[USER].size / p->profile->erase_mib_s, R_ACK,
			       NULL, 0);
		return;
	}
	if (address == (uint32_t)FORMAT_ID) { /* size is the four letters of a file system */
		part = ph_part_by_id(p, size);
		if (!part) {
			ph_reply(p, R_ADDRESS, NULL, 0);
			return;
		}
		address = size;
		size = (uint32_t)part->size;
	}
	if (address == 0xfe000005) { /* application image */
		address = 0x601ae000;
		size = 0;
	}
	if (address == 0x90000005)
		address = 0x90000006;
	if (!locate(p, address, &place, name)) {
		ph_reply(p, R_ADDRESS, NULL, 0);
		return;
	}
	if (size == 0 || size > place.size)
		size = (uint32_t)place.size;
	snprintf(p->current, sizeof(p->current), "%s", name);
	if (ph_fault_hit(p, "U11", name)) {
		ph_reply(p, R_FAILED, NULL, 0);
		return;
	}
	ph_area_erase(&p->area[USER], place.start, size);
	ph_deed(p, PHONE_DEED_ERASE, name, 0, size, 0, false);
	ph_reply_after(p, p->profile->t_erase + size / p->profile->erase_mib_s, R_ACK, NULL, 0);
}

void ph_rtos_frame(struct phone *p, uint16_t type, const uint8_t *payload, size_t length)
{
	if (length > MAX_BODY) {
		ph_fault_fired(p, "F64");
		return;
	}
	switch (type) {
	case C_CONNECT:
	case C_BAUD:
	case C_REPARTITION:
	case C_DEBUGINFO: ph_reply(p, R_ACK, NULL, 0); break;
	case C_START: start(p, payload, length); break;
	case C_MIDST: midst(p, payload, length); break;
	case C_END: finish(p); break;
	case C_EXEC: ph_reply(p, R_ACK, NULL, 0); break;
	case C_READ: read_flash(p, payload, length); break;
	case C_ERASE: erase(p, payload, length); break;
	case C_RESET:
		ph_reply(p, R_ACK, NULL, 0);
		if (p->stage != PHONE_DEAD && !ph_fault_hit(p, "F60", NULL))
			ph_leave(p, p->busy_until + ph_delay(p, 2000), PHONE_NEVER, PHONE_BOOTED);
		break;
	case C_POWER_OFF:
		ph_fault_fired(p, "F61");
		ph_reply(p, R_ACK, NULL, 0);
		if (p->stage != PHONE_DEAD)
			p->booting = p->unwaking = true;
		break;
	default:
		p->counters.unknown_commands++;
		ph_reply(p, R_INVALID, NULL, 0);
		break;
	}
}
