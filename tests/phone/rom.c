/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* BootROM, and the SPRD4 role that plays it (device-behaviour 3, 11). */
#include <stdlib.h>

#include "tests/phone/device.h"

void ph_rom_probe(struct phone *p)
{
	const char *text = p->profile->rom_text;

	if (p->autod_execs && p->ver_sent)
		return;
	p->ver_sent = true;
	ph_reply(p, R_VER, text, strlen(text) + 1);
}

void ph_load_start(struct phone *p, uint32_t address, uint32_t size, const char *name)
{
	p->load_open = true;
	p->load_address = address;
	p->load_size = size;
	p->load_received = 0;
	p->damaged = false;
	ph_entry_open(p, name, address, size);
	if (p->image_room < size && size <= 64u << 20) {
		free(p->image);
		p->image_room = size;
		p->image = malloc(size);
		if (!p->image)
			abort();
	}
}

bool ph_load_bytes(struct phone *p, const uint8_t *data, size_t length)
{
	bool fits = length <= p->load_size - p->load_received;

	ph_entry_piece(p, data, length, false, fits);
	if (!fits)
		return false;
	if (p->load_received + length <= p->image_room && length)
		memcpy(p->image + p->load_received, data, length);
	p->load_received += (uint32_t)length;
	return true;
}

/* Content is ignored, only the two EXECs count (11.2). */
static void autod_frame(struct phone *p, uint16_t type, const uint8_t *payload, size_t length)
{
	switch (type) {
	case C_START:
		ph_load_start(p, length >= 8 ? ph_be32(payload) : 0, length >= 8 ? ph_be32(payload + 4) : 0,
			      p->autod_execs ? "fdl2" : "fdl1");
		break;
	case C_MIDST: ph_entry_piece(p, payload, length, false, true); break;
	case C_END: ph_entry_end(p, R_ACK); break;
	case C_CONNECT:
	case C_BAUD:
	case C_KEEP_CHARGE: break;
	case C_EXEC:
		ph_deed(p, PHONE_DEED_RAM, p->autod_execs ? "fdl2" : "fdl1", 0, p->load_received, 0, false);
		if (p->autod_execs++) {
			p->booting = p->unwaking = true;
			p->replied = true;
			ph_queue(p, p->now + ph_delay(p, p->profile->t_fdl2), EV_FDL2_UP, NULL, 0, false);
			return;
		}
		ph_reply(p, R_ACK, NULL, 0);
		p->crc16 = false;
		p->ver_sent = false;
		return;
	default:
		p->counters.unknown_commands++;
		p->counters.leaked_packets++;
		return;
	}
	ph_reply(p, R_ACK, NULL, 0);
}

static const char *fdl1_wrong(struct phone *p)
{
	if (p->damaged)
		return "FDL1 packets overran the ROM's buffer";
	if (p->load_received < p->load_size)
		return "FDL1 incomplete";
	if (p->profile->rom_hash && !phone_dhtb_right(p->image, p->load_received))
		return "FDL1 hash wrong";
	return phone_loader_wrong(p->profile, 1, p->image, p->load_received, p->load_address);
}

static void rom_start(struct phone *p, const uint8_t *payload, size_t length)
{
	const struct phone_profile *profile = p->profile;
	uint32_t address = length >= 8 ? ph_be32(payload) : 0, size = length >= 8 ? ph_be32(payload + 4) : 0;

	p->load_open = false;
	if (length < 8 || address - profile->rom_window >= profile->rom_window_size) {
		ph_reply(p, R_ADDRESS, NULL, 0);
		return;
	}
	if (size > profile->fdl1_limit || size > profile->rom_window_size - (address - profile->rom_window)) {
		ph_reply(p, R_SIZE, NULL, 0);
		return;
	}
	ph_load_start(p, address, size, "fdl1");
	ph_reply(p, R_ACK, NULL, 0);
}

static void rom_end(struct phone *p)
{
	struct armed *armed = ph_fault_for(p, "F14", NULL);
	bool at_end = p->profile->rom_verify == PHONE_ROM_END &&
		      !(armed && armed->has_value && armed->value == 1);
	bool wrong = p->profile->rom_hash && !phone_dhtb_right(p->image, p->load_received);
	uint16_t code;

	if (!p->load_open) {
		ph_reply(p, R_FAILED, NULL, 0);
		return;
	}
	if (at_end && armed)
		ph_fault_mark(p, armed);
	else if (at_end && wrong)
		ph_fault_fired(p, "F14");
	code = at_end && (armed || wrong) ? R_SIGN : R_ACK;
	ph_entry_end(p, code);
	ph_reply(p, code, NULL, 0);
}

static void rom_exec(struct phone *p)
{
	struct armed *again = ph_fault_for(p, "F15", NULL), *slow = ph_fault_for(p, "F01", NULL);
	struct armed *sign = ph_fault_for(p, "F14", NULL);
	const char *wrong = p->load_open ? fdl1_wrong(p) : "EXEC without an image";
	uint64_t after = ph_delay(p, p->profile->t_fdl1);

	ph_deed(p, PHONE_DEED_RAM, "fdl1", p->load_address, p->load_received, 0, false);
	ph_reply(p, R_ACK, NULL, 0);
	if (p->stage == PHONE_DEAD)
		return;
	if (sign)
		ph_fault_mark(p, sign);
	if (wrong || sign) {
		if (!sign)
			ph_fault_fired(p, "F14");
		ph_die(p, wrong ? wrong : "fault: FDL1 signature", true);
		return;
	}
	p->booting = true;
	p->unwaking = false;
	p->dma_length = 0;
	if (slow) {
		ph_fault_mark(p, slow);
		after += ph_delay(p, slow->has_time ? slow->time : 1500000);
	}
	if (p->profile->second_enumeration || again) {
		if (again)
			ph_fault_mark(p, again);
		else
			ph_fault_fired(p, "F15");
		ph_leave(p, p->busy_until + ph_delay(p, 8000),
			 again && again->has_time ? again->time : ph_delay(p, p->profile->t_gone) + 1,
			 PHONE_FDL1);
		return;
	}
	ph_queue(p, p->busy_until + after, EV_FDL1_UP, NULL, 0, false);
}

void ph_rom_frame(struct phone *p, uint16_t type, const uint8_t *payload, size_t length)
{
	if (p->profile->autodownload) {
		autod_frame(p, type, payload, length);
		return;
	}
	switch (type) {
	case C_CONNECT:
	case C_BAUD:
	case C_KEEP_CHARGE: ph_reply(p, R_ACK, NULL, 0); break;
	case C_START: rom_start(p, payload, length); break;
	case C_MIDST:
		if (length > p->profile->rom_packet)
			p->damaged = true;
		ph_reply(p, p->load_open && ph_load_bytes(p, payload, length) ? R_ACK : R_SIZE, NULL, 0);
		break;
	case C_END: rom_end(p); break;
	case C_EXEC: rom_exec(p); break;
	default:
		p->counters.unknown_commands++;
		ph_reply(p, R_INVALID, NULL, 0);
		break;
	}
}
