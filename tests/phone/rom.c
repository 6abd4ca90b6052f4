/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* BootROM, and the SPRD4 role that plays it (device-behaviour 3, 11). */
#include <stdlib.h>

#include "tests/phone/device.h"

void rom_probe(struct phone *p)
{
	const char *text = p->profile->rom_text;

	if (p->autod_execs && p->ver_sent)
		return;
	p->ver_sent = true;
	reply(p, R_VER, text, strlen(text) + 1);
}

void load_start(struct phone *p, uint32_t address, uint32_t size, const char *name)
{
	p->load_open = true;
	p->load_address = address;
	p->load_size = size;
	p->load_received = 0;
	p->damaged = false;
	entry_open(p, name, address, size);
	if (p->image_room < size && size <= 64u << 20) {
		free(p->image);
		p->image_room = size;
		p->image = malloc(size);
		if (!p->image)
			abort();
	}
}

bool load_bytes(struct phone *p, const uint8_t *data, size_t length)
{
	bool fits = length <= p->load_size - p->load_received;

	entry_piece(p, data, length, false, fits);
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
		load_start(p, length >= 8 ? be32(payload) : 0, length >= 8 ? be32(payload + 4) : 0,
			   p->autod_execs ? "fdl2" : "fdl1");
		break;
	case C_MIDST: entry_piece(p, payload, length, false, true); break;
	case C_END: entry_end(p, R_ACK); break;
	case C_CONNECT:
	case C_BAUD:
	case C_KEEP_CHARGE: break;
	case C_EXEC:
		deed(p, PHONE_DEED_RAM, p->autod_execs ? "fdl2" : "fdl1", 0, p->load_received, 0, false);
		if (p->autod_execs++) {
			p->booting = p->unwaking = true;
			p->replied = true;
			queue(p, p->now + delay(p, p->profile->t_fdl2), EV_FDL2_UP, NULL, 0, false);
			return;
		}
		reply(p, R_ACK, NULL, 0);
		p->crc16 = false;
		p->ver_sent = false;
		return;
	default:
		p->counters.unknown_commands++;
		p->counters.leaked_packets++;
		return;
	}
	reply(p, R_ACK, NULL, 0);
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
	uint32_t address = length >= 8 ? be32(payload) : 0, size = length >= 8 ? be32(payload + 4) : 0;

	p->load_open = false;
	if (length < 8 || address - profile->rom_window >= profile->rom_window_size) {
		reply(p, R_ADDRESS, NULL, 0);
		return;
	}
	if (size > profile->fdl1_limit || size > profile->rom_window_size - (address - profile->rom_window)) {
		reply(p, R_SIZE, NULL, 0);
		return;
	}
	load_start(p, address, size, "fdl1");
	reply(p, R_ACK, NULL, 0);
}

static void rom_end(struct phone *p)
{
	struct armed *armed = fault_for(p, "F14", NULL);
	bool at_end = p->profile->rom_verify == PHONE_ROM_END &&
		      !(armed && armed->has_value && armed->value == 1);
	bool wrong = p->profile->rom_hash && !phone_dhtb_right(p->image, p->load_received);
	uint16_t code;

	if (!p->load_open) {
		reply(p, R_FAILED, NULL, 0);
		return;
	}
	if (at_end && armed)
		fault_mark(p, armed);
	else if (at_end && wrong)
		fault_fired(p, "F14");
	code = at_end && (armed || wrong) ? R_SIGN : R_ACK;
	entry_end(p, code);
	reply(p, code, NULL, 0);
}

static void rom_exec(struct phone *p)
{
	struct armed *again = fault_for(p, "F15", NULL), *slow = fault_for(p, "F01", NULL);
	struct armed *sign = fault_for(p, "F14", NULL);
	const char *wrong = p->load_open ? fdl1_wrong(p) : "EXEC without an image";
	uint64_t after = delay(p, p->profile->t_fdl1);

	deed(p, PHONE_DEED_RAM, "fdl1", p->load_address, p->load_received, 0, false);
	reply(p, R_ACK, NULL, 0);
	if (p->stage == PHONE_DEAD)
		return;
	if (sign)
		fault_mark(p, sign);
	if (wrong || sign) {
		if (!sign)
			fault_fired(p, "F14");
		die(p, wrong ? wrong : "fault: FDL1 signature", true);
		return;
	}
	p->booting = true;
	p->unwaking = false;
	p->dma_length = 0;
	if (slow) {
		fault_mark(p, slow);
		after += delay(p, slow->has_time ? slow->time : 1500000);
	}
	if (p->profile->second_enumeration || again) {
		if (again)
			fault_mark(p, again);
		else
			fault_fired(p, "F15");
		leave(p, p->busy_until + delay(p, 8000),
		      again && again->has_time ? again->time : delay(p, p->profile->t_gone) + 1, PHONE_FDL1);
		return;
	}
	queue(p, p->busy_until + after, EV_FDL1_UP, NULL, 0, false);
}

void rom_frame(struct phone *p, uint16_t type, const uint8_t *payload, size_t length)
{
	if (p->profile->autodownload) {
		autod_frame(p, type, payload, length);
		return;
	}
	switch (type) {
	case C_CONNECT:
	case C_BAUD:
	case C_KEEP_CHARGE: reply(p, R_ACK, NULL, 0); break;
	case C_START: rom_start(p, payload, length); break;
	case C_MIDST:
		if (length > p->profile->rom_packet)
			p->damaged = true;
		reply(p, p->load_open && load_bytes(p, payload, length) ? R_ACK : R_SIZE, NULL, 0);
		break;
	case C_END: rom_end(p); break;
	case C_EXEC: rom_exec(p); break;
	default:
		p->counters.unknown_commands++;
		reply(p, R_INVALID, NULL, 0);
		break;
	}
}
