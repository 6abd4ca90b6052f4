/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Frames as the phone's own code makes and judges them: checks, escapes, replies (device-behaviour 1). */
#include <stdio.h>
#include <stdlib.h>

#include "tests/phone/device.h"

uint16_t ph_be16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

uint16_t ph_le16(const uint8_t *at)
{
	return (uint16_t)(at[0] | at[1] << 8);
}

uint32_t ph_be32(const uint8_t *at)
{
	return (uint32_t)ph_be16(at) << 16 | ph_be16(at + 2);
}

uint32_t ph_le32(const uint8_t *at)
{
	return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

uint64_t ph_le64(const uint8_t *at)
{
	return ph_le32(at) | (uint64_t)ph_le32(at + 4) << 32;
}

void ph_put_be16(uint8_t *at, uint16_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

void ph_put_be32(uint8_t *at, uint32_t v)
{
	ph_put_be16(at, (uint16_t)(v >> 16));
	ph_put_be16(at + 2, (uint16_t)v);
}

void ph_put_le16(uint8_t *at, uint16_t v)
{
	at[0] = (uint8_t)v;
	at[1] = (uint8_t)(v >> 8);
}

void ph_put_le32(uint8_t *at, uint32_t v)
{
	ph_put_le16(at, (uint16_t)v);
	ph_put_le16(at + 2, (uint16_t)(v >> 16));
}

void ph_put_le64(uint8_t *at, uint64_t v)
{
	ph_put_le32(at, (uint32_t)v);
	ph_put_le32(at + 4, (uint32_t)(v >> 32));
}

/* Sum of little-endian 16-bit words, an odd last byte as low byte, folded and inverted. Wide: folding keeps
 * 32-bit words right. */
uint16_t ph_check_sum16(const uint8_t *data, size_t length)
{
	uint64_t sum = 0;
	uint32_t word;

	for (; length >= 4; length -= 4, data += 4) {
		memcpy(&word, data, 4);
		sum += word;
	}
	if (length >= 2) {
		sum += (uint32_t)(data[0] | data[1] << 8);
		data += 2;
		length -= 2;
	}
	if (length)
		sum += data[0];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

uint16_t ph_check_crc16(const uint8_t *data, size_t length)
{
	uint16_t crc = 0;

	for (; length; length--, data++) {
		uint16_t x = (uint16_t)((crc >> 8 ^ *data) & 0xff);

		x ^= (uint16_t)(x >> 4);
		crc = (uint16_t)(crc << 8 ^ x << 12 ^ x << 5 ^ x);
	}
	return crc;
}

bool ph_frame_right(const struct phone *p, const uint8_t *body, size_t length)
{
	return (p->crc16 ? ph_check_crc16(body, length) : ph_check_sum16(body, length)) == 0;
}

static void trace_frame(struct phone *p, enum phone_direction direction, const uint8_t *body, size_t length,
			const char *note)
{
	if (!p->trace || length < 4)
		return;
	p->trace(p->trace_arg, &(struct phone_trace){ .time = p->now,
						      .direction = direction,
						      .stage = p->stage,
						      .type = ph_be16(body),
						      .size = ph_be16(body + 2),
						      .payload = body + 4,
						      .length = length >= 6 ? length - 6 : 0,
						      .note = note });
}

static size_t escape_into(uint8_t *out, const uint8_t *body, size_t length)
{
	uint8_t *at = out;

	for (size_t i = 0; i < length; i++) {
		if (body[i] == 0x7e || body[i] == 0x7d) {
			*at++ = 0x7d;
			*at++ = body[i] ^ 0x20;
		} else {
			*at++ = body[i];
		}
	}
	return (size_t)(at - out);
}

/* Hands wire bytes to the IN endpoint by the driver's rules (device-behaviour 6.1, 6.2). */
static void send_wire(struct phone *p, uint64_t due, const uint8_t *wire, size_t length)
{
	struct armed *pieces = ph_fault_for(p, "U19", NULL);
	enum phone_driver driver = ph_driver_now(p);
	size_t part = 0, packet = p->usb.max_packet;

	if (driver == PHONE_MUSB && p->stage == PHONE_FDL2 && length > 0xffff) {
		ph_fault_fired(p, "F26");
		length &= 0xffff; /* 16-bit block length of its DMA */
	}
	if (pieces)
		part = pieces->has_value && pieces->value ? (size_t)pieces->value : 60;
	else if (driver == PHONE_RTOS && p->stage != PHONE_ROM)
		part = 128;
	if (part && length > part) {
		if (pieces)
			ph_fault_mark(p, pieces);
		for (size_t at = 0; at < length; at += part)
			ph_queue(p, due, PHONE_IN, wire + at, length - at < part ? length - at : part, true);
		return;
	}
	if (driver == PHONE_OTG && p->stage == PHONE_FDL2 && length % 64 == 0 && length) {
		ph_fault_fired(p, "F27");
		ph_queue(p, due, PHONE_IN, wire, length - 32, true);
		ph_queue(p, due, PHONE_IN, wire + length - 32, 32, true);
		return;
	}
	if (driver == PHONE_MUSB && p->stage != PHONE_FDL2)
		ph_queue(p, due, PHONE_IN, wire, length, length % packet != 0); /* FDL1: no ZLP */
	else
		ph_queue(p, due, PHONE_IN, wire, length, true);
}

static size_t build(struct phone *p, uint16_t type, const void *payload, size_t length)
{
	size_t body = length + 6, need = 4 + 2 * body;
	uint8_t *plain;

	if (p->tx_room < need + body) {
		free(p->tx);
		p->tx_room = need + body;
		p->tx = malloc(p->tx_room);
		if (!p->tx)
			abort();
	}
	plain = p->tx + need;
	ph_put_be16(plain, type);
	ph_put_be16(plain + 2, (uint16_t)length);
	if (length)
		memcpy(plain + 4, payload, length);
	if (p->crc16)
		ph_put_be16(plain + 4 + length, ph_check_crc16(plain, 4 + length));
	else
		ph_put_le16(plain + 4 + length, ph_check_sum16(plain, 4 + length));
	trace_frame(p, PHONE_TO_HOST, plain, body, NULL);
	p->counters.frames_out++;
	p->tx[0] = 0x7e;
	if (p->plain)
		memcpy(p->tx + 1, plain, body);
	else
		body = escape_into(p->tx + 1, plain, body);
	p->tx[body + 1] = 0x7e;
	return body + 2;
}

/* One changed bit that leaves the frame a frame. */
static void damage(struct phone *p, size_t length)
{
	size_t at = length / 2;

	while (at + 2 < length && ((p->tx[at] ^ 1) == 0x7e || (p->tx[at] ^ 1) == 0x7d || p->tx[at] == 0x7d ||
				   p->tx[at] == 0x7e || p->tx[at - 1] == 0x7d))
		at++;
	p->tx[at] ^= 1;
}

static void before_reply(struct phone *p, uint64_t due)
{
	uint8_t noise[64];
	size_t size;

	if (p->whim.extra_set) {
		size = build(p, p->whim.extra, p->whim.extra == R_LOG ? "\0\0\0\0log" : NULL,
			     p->whim.extra == R_LOG ? 8 : 0);
		send_wire(p, due, p->tx, size);
	}
	if (p->whim.garbage) {
		for (size_t i = 0; i < sizeof(noise); i++)
			noise[i] = (uint8_t)ph_random64(p);
		ph_queue(p, due, PHONE_IN, noise, p->whim.garbage < 64 ? p->whim.garbage : 63, true);
	}
	if (p->whim.halt)
		ph_queue(p, due, PHONE_IN_HALT, NULL, 0, true);
	if (p->whim.proto)
		ph_queue(p, due, PHONE_IN_PROTO, NULL, 0, true);
	if (p->whim.babble)
		ph_queue(p, due, PHONE_IN_BABBLE, NULL, 0, true);
}

static void log_before(struct phone *p, uint64_t due)
{
	struct armed *armed = ph_fault_for(p, "F55", NULL);
	uint8_t text[40] = { 0 };
	unsigned count = p->log_on ? 1 : 0;

	if (armed) {
		count = armed->has_value ? (unsigned)armed->value : 2;
		ph_fault_mark(p, armed);
	} else if (count) {
		ph_fault_fired(p, "F55");
	}
	while (count--) {
		int size = snprintf((char *)text + 4, sizeof(text) - 4, "[%8llu] dl ok\n",
				    (unsigned long long)p->now);

		send_wire(p, due, p->tx, build(p, R_LOG, text, (size_t)(4 + size + 1) & ~(size_t)1));
	}
}

void ph_reply_after(struct phone *p, uint64_t after, uint16_t type, const void *payload, size_t length)
{
	uint64_t base = p->busy_until > p->now ? p->busy_until : p->now, due;
	size_t size;

	ph_fault_at(p, AT_REPLY, p->current);
	p->replied = true;
	p->counters.refused += type == R_UNSUPPORTED && p->stage == PHONE_FDL2;
	due = base + ph_delay(p, after) + p->whim.late;
	if (due > p->busy_until)
		p->busy_until = due;
	if (p->whim.stall) {
		ph_die(p, "fault: stall", false);
		return;
	}
	if (p->stage == PHONE_FDL2 && length && p->pool == 0) {
		ph_die(p, "packet pool exhausted", false);
		ph_fault_fired(p, "F21");
		return;
	}
	if (p->whim.lose)
		return;
	if (p->stage == PHONE_FDL2 && p->profile->second == PHONE_LK && type != R_LOG)
		log_before(p, due);
	before_reply(p, due);
	size = build(p, type, payload, length);
	if (p->whim.damage && size > 6)
		damage(p, size);
	if (length & 1 && !p->crc16)
		ph_fault_fired(p, "F06");
	send_wire(p, due, p->tx, p->whim.cut ? size / 2 : size);
	if (p->whim.duplicate)
		send_wire(p, due, p->tx, size);
	p->whim = (struct whim){ 0 };
}

void ph_reply(struct phone *p, uint16_t type, const void *payload, size_t length)
{
	ph_reply_after(p, p->profile->t_reply, type, payload, length);
}

static void check_error(struct phone *p, const uint8_t *body, size_t length)
{
	uint16_t sum;

	p->counters.check_errors++;
	trace_frame(p, PHONE_TO_PHONE, body, length, "check error");
	if (p->stage == PHONE_ROM && !p->profile->autodownload) {
		ph_reply(p, R_CHECK, NULL, 0); /* and goes on: U15 */
		return;
	}
	if (ph_driver_now(p) == PHONE_RTOS) {
		ph_fault_fired(p, "F63");
		ph_leave(p, p->now + ph_delay(p, 2000), ph_delay(p, p->profile->t_gone), PHONE_ROM);
		return;
	}
	sum = length > 6 ? ph_check_sum16(body, length - 2) : 0;
	ph_fault_fired(p, length > 6 && length & 1 && !p->crc16 && sum == ph_be16(body + length - 2) ? "F07"
												     : "F04");
	ph_reply(p, R_CHECK, NULL, 0);
	ph_die(p, "check error", true);
}

/* True: the faults have dealt with this command, it is not executed. */
static bool whims(struct phone *p)
{
	struct whim *whim = &p->whim;

	if (whim->vanish) {
		ph_drop_events(p, true);
		ph_leave(p, p->now, PHONE_NEVER, PHONE_OFF);
		ph_advance(p, p->now);
		return true;
	}
	if (whim->reset || whim->boot) {
		ph_leave(p, p->now + ph_delay(p, 300),
			 whim->boot ? PHONE_NEVER : ph_delay(p, p->profile->t_gone) + 1,
			 whim->boot ? PHONE_BOOTED : PHONE_ROM);
		return true;
	}
	if (whim->stall) {
		ph_die(p, "fault: stall", false);
		return true;
	}
	if (whim->refusing) {
		ph_entry_error(p, whim->refuse);
		ph_reply(p, whim->refuse, NULL, 0);
		if (whim->refuse == R_CHECK)
			ph_die(p, "fault: check error", true);
		return true;
	}
	return false;
}

/* Every FDL2 that works with names knows these, or has offered them (device-behaviour 2, table of codes). */
static bool common_command(const struct phone *p, uint16_t type)
{
	switch (type) {
	case C_START:
	case C_MIDST:
	case C_END:
	case C_RESET:
	case C_ERASE:
	case C_REPARTITION:
	case C_READ_START:
	case C_READ_MIDST:
	case C_READ_END:
	case C_POWER_OFF: return true;
	case C_PLAIN: return p->profile->no_hdlc;
	case C_RAW_ENABLE:
	case C_RAW1:
	case C_RAW2: return p->profile->raw_level > 0;
	case C_ENABLE_WRITE: return ph_fault_for((struct phone *)p, "F47", NULL) != NULL;
	default: return false;
	}
}

/* What a fault script calls the thing being transferred. */
static const char *loading(const struct phone *p)
{
	if (p->stage == PHONE_ROM)
		return p->autod_execs ? "fdl2" : "fdl1";
	return p->stage == PHONE_FDL1 && p->profile->fdl2_base ? "fdl2" : p->current;
}

void ph_frame_in(struct phone *p, const uint8_t *body, size_t length)
{
	enum phone_stage stage = p->stage;
	char erased[NAME_ROOM];
	const char *name;
	uint16_t type;

	if (stage == PHONE_DEAD || p->booting)
		return;
	p->whim = (struct whim){ 0 };
	p->counters.frames_in++;
	p->replied = false;
	if (length < 6 || !ph_frame_right(p, body, length)) {
		check_error(p, body, length);
		return;
	}
	type = ph_be16(body);
	trace_frame(p, PHONE_TO_PHONE, body, length, NULL);
	name = loading(p);
	if (type == C_ERASE && stage == PHONE_FDL2 && p->profile->second <= PHONE_NAND) {
		ph_name_in(body + 4, length - 6, erased); /* it opens nothing that would be current */
		name = erased;
	}
	ph_fault_at(p, ph_point_of(stage, type), name);
	if (stage == PHONE_FDL2 && p->profile->second <= PHONE_NAND && !common_command(p, type))
		p->counters.doubtful++;
	if (p->whim.garble_in) {
		check_error(p, body, length);
		return;
	}
	if (!whims(p)) {
		if (p->poisoned && stage == PHONE_FDL2) {
			ph_die(p, "packet pool overrun", false);
			return;
		}
		if (stage == PHONE_ROM)
			ph_rom_frame(p, type, body + 4, length - 6);
		else if (stage == PHONE_FDL1)
			ph_fdl1_frame(p, type, body + 4, length - 6);
		else if (stage == PHONE_FDL2)
			ph_fdl2_frame(p, type, body + 4, length - 6);
	}
	if (!p->replied && p->stage == PHONE_FDL2 && stage == PHONE_FDL2 && ph_driver_now(p) == PHONE_DWC3 &&
	    !p->booting)
		p->out_disarmed = true; /* it arms OUT only when it sends */
}
