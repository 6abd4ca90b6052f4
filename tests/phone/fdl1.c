/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* First loader (device-behaviour 4); the single RTOS loader starts here and goes on in rtos.c. */
#include "tests/phone/device.h"

void ph_fdl1_up(struct phone *p)
{
	bool early = p->early_probe;
	size_t held = p->dma_length;

	p->stage = PHONE_FDL1;
	p->booting = false;
	p->crc16 = false;
	p->ver_sent = p->early_probe = p->load_open = false;
	p->in_frame = false;
	p->rx_length = p->dma_length = 0;
	p->probes = 0;
	p->load_size = p->load_received = 0;
	p->busy_until = p->now;
	p->x.entry = NO_ENTRY;
	if (!early)
		return;
	if (p->profile->driver1 == PHONE_DWC3 && (held != 1 || p->dma[0] != 0x7e)) {
		ph_fault_fired(p, "F03");
		ph_die(p, "first transfer was not one 7E", false);
		return;
	}
	ph_fdl1_probe(p);
}

void ph_fdl1_probe(struct phone *p)
{
	const char *text = p->profile->fdl1_text;

	if (p->ver_sent) {
		ph_fault_fired(p, "F02");
		p->in_frame = true; /* the parser holds it as a head */
		p->rx_length = 0;
		return;
	}
	if (p->profile->second == PHONE_SINGLE && ++p->probes < 3)
		return;
	p->ver_sent = true;
	ph_reply(p, R_VER, text, strlen(text) + 1);
}

static void start(struct phone *p, const uint8_t *payload, size_t length)
{
	struct armed *armed = ph_fault_for(p, "F08", NULL);
	uint32_t address = length >= 8 ? ph_be32(payload) : 0, size = length >= 8 ? ph_be32(payload + 4) : 0;
	uint32_t at = address - p->profile->fdl1_window;

	if (armed || at >= p->profile->fdl1_window_size || size > p->profile->fdl1_window_size - at) {
		if (armed)
			ph_fault_mark(p, armed);
		else
			ph_fault_fired(p, "F08");
		ph_die(p, "START address outside the window", false);
		return;
	}
	ph_load_start(p, address, size, "fdl2");
	ph_reply_after(p, p->profile->t_reply + (size >> 20) * 5000, R_ACK, NULL, 0);
}

static void exec(struct phone *p)
{
	struct armed *code = ph_fault_for(p, "U34", NULL);
	bool right = p->load_open && phone_dhtb_right(p->image, p->load_received);
	bool silent = false;
	const char *wrong;

	ph_deed(p, PHONE_DEED_RAM, "fdl2", p->load_address, p->load_received, 0, false);
	ph_fault_fired(p, "F10");
	p->replied = true;
	if (ph_fault_hit(p, "F12", NULL) || (p->profile->dual_spl && !right)) {
		ph_reply(p, R_CHECK, NULL, 0);
		ph_die(p, "FDL2 hash", true);
		return;
	}
	wrong = p->load_open ? phone_loader_wrong(p->profile, 2, p->image, p->load_received, p->load_address)
			     : "EXEC without an image";
	if (p->load_received < p->load_size)
		wrong = "FDL2 incomplete";
	if (p->damaged)
		wrong = "FDL2 packets overran the pool";
	if (p->profile->fdl2_hash && !right) {
		ph_fault_fired(p, "F11");
		wrong = "FDL2 hash wrong";
	}
	if (ph_fault_hit(p, "F11", NULL))
		silent = true;
	if (wrong || silent) {
		ph_die(p, wrong ? wrong : "fault: FDL2 signature", false);
		return;
	}
	p->booting = p->unwaking = true;
	if (code)
		ph_fault_mark(p, code);
	ph_queue(p, p->now + ph_delay(p, p->profile->t_fdl2), EV_FDL2_UP, NULL, 0, false);
}

static void midst(struct phone *p, const uint8_t *data, size_t length)
{
	unsigned limit = p->profile->fdl1_packet;

	/* The pool is overrun without a word; what lay there shows at EXEC. 2112 survives on the small pools
	 * (4.3). */
	if (length > (limit < 2112 + 2 ? 2112u : limit - 2))
		p->damaged = true;
	if (!ph_load_bytes(p, data, length)) {
		ph_fault_fired(p, "F09");
		ph_reply(p, R_SIZE, NULL, 0);
		return;
	}
	ph_reply(p, R_ACK, NULL, 0);
}

void ph_fdl1_frame(struct phone *p, uint16_t type, const uint8_t *payload, size_t length)
{
	if (p->profile->second == PHONE_SINGLE) {
		ph_rtos_frame(p, type, payload, length);
		return;
	}
	switch (type) {
	case C_CONNECT: ph_reply(p, R_ACK, NULL, 0); break;
	case C_START: start(p, payload, length); break;
	case C_MIDST: midst(p, payload, length); break;
	case C_END:
		ph_entry_end(p, R_ACK);
		ph_reply(p, R_ACK, NULL, 0);
		break;
	case C_EXEC: exec(p); break;
	case C_BAUD: ph_reply(p, R_ACK, NULL, 0); break;
	case C_KEEP_CHARGE:
		p->keep_charge = true;
		ph_reply(p, R_ACK, NULL, 0);
		break;
	case C_DDR_VERIFY:
	case C_DDR_SR: ph_reply(p, R_ACK, NULL, 0); break;
	default:
		p->counters.unknown_commands++;
		ph_fault_fired(p, "F13");
		ph_die(p, "unregistered command in FDL1", false);
		break;
	}
}
