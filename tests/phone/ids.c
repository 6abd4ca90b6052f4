/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The old generation with partition ids (device-behaviour 12): big-endian, START erases, errors then hang. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/phone/device.h"

static void start(struct phone *p, const uint8_t *payload, size_t length)
{
	uint32_t id = length >= 8 ? ph_be32(payload) : 0, size = length >= 8 ? ph_be32(payload + 4) : 0;
	const struct phone_part *part = ph_part_by_id(p, id);
	struct xfer *x = &p->x;
	struct place place;

	snprintf(p->current, sizeof(p->current), "%s", part ? part->name : "");
	ph_entry_open(p, part ? part->name : "?", id, size);
	if (!part || !ph_resolve(p, part->name, &place)) {
		ph_fault_fired(p, "F30");
		ph_entry_now(p)->refused = true;
		ph_reply(p, R_INCOMPATIBLE, NULL, 0);
		ph_die(p, "unknown partition id", true);
		return;
	}
	x->nv = ph_nv_is_pair(p, part->name, NULL);
	if (size > place.size || (x->nv && size > p->profile->fixnv_bytes)) {
		ph_entry_now(p)->refused = true;
		x->failed = true;
		ph_reply(p, R_SIZE, NULL, 0);
		return;
	}
	x->open = true;
	x->failed = false;
	x->total = size;
	x->received = x->offset = x->staged = 0;
	x->has_checksum = length >= 12;
	x->checksum = length >= 12 ? ph_be32(payload + 8) : 0;
	if (!x->nv) {
		ph_area_erase(&p->area[place.area], place.start, place.size);
		ph_deed(p, PHONE_DEED_ERASE, part->name, 0, place.size, 0, false);
	}
	ph_reply_after(p, p->profile->t_erase, R_ACK, NULL, 0);
}

static bool store(struct phone *p)
{
	struct xfer *x = &p->x;
	struct place place;
	bool good = ph_resolve(p, p->current, &place) &&
		    ph_put_bytes(p, p->current, &place, x->offset, x->stage, x->staged, PHONE_DEED_WRITE);

	x->offset += x->staged;
	x->staged = 0;
	return good;
}

static void midst(struct phone *p, const uint8_t *data, size_t length)
{
	struct xfer *x = &p->x;
	uint64_t cost = p->profile->t_reply;

	if (!x->open || x->failed || length > x->total - x->received) {
		ph_entry_piece(p, data, length, false, false);
		ph_reply(p, R_FAILED, NULL, 0);
		return;
	}
	ph_entry_piece(p, data, length, false, true);
	if (x->staged + length > x->stage_room) {
		x->stage_room = (x->staged + length) * 2 + (1 << 20);
		x->stage = realloc(x->stage, x->stage_room);
		if (!x->stage)
			abort();
	}
	memcpy(x->stage + x->staged, data, length);
	x->staged += length;
	x->received += length;
	if (!x->nv && x->staged >= (1 << 20)) {
		cost += ph_write_cost(p, x->staged);
		if (!store(p)) {
			x->failed = true;
			ph_entry_error(p, R_FAILED);
			ph_reply_after(p, cost, R_FAILED, NULL, 0);
			return;
		}
	}
	ph_reply_after(p, cost, R_ACK, NULL, 0);
}

static void finish(struct phone *p)
{
	struct xfer *x = &p->x;
	uint64_t cost = p->profile->t_end + ph_write_cost(p, x->staged);
	uint16_t code = R_ACK;
	uint32_t sum = 0;

	if (!x->open || x->failed || x->received < x->total) {
		code = R_FAILED;
	} else if (x->nv) {
		for (size_t i = 0; i < x->staged; i++)
			sum += x->stage[i];
		if (!x->has_checksum || sum != x->checksum) {
			ph_fault_fired(p, "F34");
			code = R_CHECKSUM;
		} else {
			code = ph_nv_store(p, p->current, x->stage, x->staged);
		}
	} else if (x->staged && !store(p)) {
		code = R_WRITE;
	}
	ph_entry_end(p, code);
	x->open = false;
	x->entry = NO_ENTRY;
	ph_reply_after(p, cost, code, NULL, 0);
	if (code == R_CHECKSUM || code == R_WRITE)
		ph_die(p, "write failed", true);
}

static void read_flash(struct phone *p, const uint8_t *payload, size_t length)
{
	const struct phone_part *part = length >= 12 ? ph_part_by_id(p, ph_be32(payload)) : NULL;
	uint32_t size = length >= 12 ? ph_be32(payload + 4) : 0,
		 offset = length >= 12 ? ph_be32(payload + 8) : 0;
	struct armed *bad = part ? ph_fault_for(p, "U10", part->name) : NULL;
	struct place place;
	uint8_t *out;

	p->counters.reads++;
	if (!part || !ph_resolve(p, part->name, &place) || size > 0x10000 || size == 0) {
		ph_reply(p, size > 0x10000 ? R_SIZE : R_FAILED, NULL, 0);
		return;
	}
	out = malloc(size);
	if (!out)
		abort();
	if (ph_nv_is_pair(p, part->name, NULL)) {
		if (!ph_nv_load(p, part->name, true)) {
			ph_fault_fired(p, "F50");
			free(out);
			ph_reply(p, R_NVBAD, NULL, 0);
			ph_die(p, "both NV copies bad", true);
			return;
		}
		memset(out, 0xff, size);
		if (offset < p->nv_ram_length)
			memcpy(out, p->nv_ram + offset,
			       p->nv_ram_length - offset < size ? p->nv_ram_length - offset : size);
	} else if (bad || offset > place.size || size > place.size - offset) {
		free(out);
		ph_reply(p, R_FAILED, NULL, 0);
		return;
	} else {
		ph_area_read(&p->area[place.area], place.start + offset, out, size);
	}
	ph_reply_after(p, p->profile->t_reply + size / 20, R_READ, out, size);
	free(out);
}

static void erase(struct phone *p, const uint8_t *payload, size_t length)
{
	uint32_t id = length >= 4 ? ph_be32(payload) : 0;
	const struct phone_part *part = ph_part_by_id(p, id);

	if (id == 0) { /* whatever the size says */
		if (length < 8 || ph_be32(payload + 4) != UINT32_MAX)
			ph_fault_fired(p, "F65");
		ph_erase_command(p, "erase_all", 0);
		return;
	}
	if (!part) {
		p->counters.erases++;
		ph_fault_fired(p, "F30");
		ph_reply(p, R_INCOMPATIBLE, NULL, 0);
		ph_die(p, "unknown partition id", true);
		return;
	}
	ph_erase_command(p, part->name, 0);
}

void ph_ids_frame(struct phone *p, uint16_t type, const uint8_t *payload, size_t length)
{
	switch (type) {
	case C_START: start(p, payload, length); break;
	case C_MIDST: midst(p, payload, length); break;
	case C_END: finish(p); break;
	case C_READ: read_flash(p, payload, length); break;
	case C_ERASE: erase(p, payload, length); break;
	case C_REPARTITION: /* the payload is ignored, the built-in table is created */
		p->counters.repartitions++;
		ph_gpt_from_parts(p, p->profile->parts, p->profile->part_count);
		ph_deed(p, PHONE_DEED_REPARTITION, "user_partition", 0, p->profile->part_count, 0, false);
		ph_reply_after(p, p->profile->t_repartition, R_ACK, NULL, 0);
		break;
	case C_RESET:
		ph_reply(p, R_ACK, NULL, 0);
		if (p->stage == PHONE_FDL2 && !ph_fault_hit(p, "F60", NULL))
			ph_leave(p, p->busy_until + ph_delay(p, 500000), PHONE_NEVER, PHONE_BOOTED);
		break;
	case C_CHIP: ph_reply(p, R_ACK, NULL, 0); break;
	default:
		p->counters.unknown_commands++;
		ph_die(p, "unregistered command", false);
		break;
	}
}
