/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Second loader: start, capability block, the command table of u-boot15 and what LK adds (device-behaviour 5,
 * 10). */
#include <stdio.h>

#include "tests/phone/device.h"

static size_t tlv(uint8_t *at, uint16_t type, uint16_t length, uint64_t value)
{
	ph_put_le16(at, type);
	ph_put_le16(at + 2, length);
	for (uint16_t i = 0; i < length; i++)
		at[4 + i] = i < 8 ? (uint8_t)(value >> 8 * i) : (uint8_t)(i * 37 + 11);
	return 4u + length;
}

static uint32_t storage_code(const struct phone *p)
{
	return p->profile->store == PHONE_RAWNAND ? 0x101 : p->profile->store == PHONE_UFS ? 0x103 : 0x102;
}

static uint8_t old_memory(struct phone *p)
{
	if (p->profile->store != PHONE_EMMC && p->profile->store != PHONE_UFS)
		return 0;
	ph_gpt_load(p, false);
	return p->gpt_state ? 6 : 0;
}

static size_t offer_tlv(struct phone *p, uint8_t *out)
{
	const struct phone_profile *profile = p->profile;
	bool lk = profile->second == PHONE_LK;
	size_t at = 4;

	ph_put_le32(out, 0x7477656e);
	at += tlv(out + at, 0, 4, profile->no_hdlc);
	at += tlv(out + at, 1, 1, old_memory(p));
	at += tlv(out + at, 2, 1, profile->raw_level);
	at += tlv(out + at, 3, 4, profile->flush_kib);
	if (lk)
		at += tlv(out + at, 5, 8, UINT64_MAX);
	at += tlv(out + at, 6, 4, storage_code(p));
	if (lk)
		at += tlv(out + at, 7, 4, 1);
	if (p->handshake_due) {
		at += tlv(out + at, 4, 260, 2);
		out[at - 256] = 0x5a;
	}
	return at;
}

static size_t offer_flat(struct phone *p, uint8_t *out)
{
	const struct phone_profile *profile = p->profile;
	bool raw = profile->raw_level && !ph_fault_hit(p, "F17", NULL);

	memset(out, 0, 256);
	ph_put_le32(out, raw ? 4 : 2);
	ph_put_le32(out + 4, profile->no_hdlc);
	out[8] = old_memory(p);
	if (raw) {
		out[9] = profile->raw_level;
		ph_put_le32(out + 12, profile->flush_kib);
	} else {
		ph_fault_fired(p, "F17");
	}
	return 256;
}

void ph_fdl2_up(struct phone *p)
{
	struct armed *form = ph_fault_for(p, "F16", NULL), *code = ph_fault_for(p, "U34", NULL);
	enum phone_offer offer = p->profile->offer;
	uint8_t block[512];
	size_t length = 0;

	p->stage = PHONE_FDL2;
	p->booting = p->unwaking = false;
	p->out_disarmed = false;
	p->in_frame = false;
	p->rx_length = p->dma_length = 0;
	p->crc16 = false;
	p->busy_until = p->now;
	p->pool = 3;
	p->x.entry = NO_ENTRY;
	p->second_seen = (unsigned)p->entry_count;
	p->whim = (struct whim){ 0 };
	p->handshake_due = ph_fault_for(p, "F57", NULL) != NULL;
	if (ph_fault_hit(p, "U35", NULL)) { /* vendor permit missing: it switches off before a word (10.2) */
		ph_leave(p, p->now, PHONE_NEVER, PHONE_OFF);
		return;
	}
	if (code) {
		ph_reply_after(p, 0, code->has_value ? (uint16_t)code->value : R_DEVICE, NULL, 0);
		ph_die(p, "fault: FDL2 reports a start-up error", true);
		return;
	}
	if (form) {
		ph_fault_mark(p, form);
		offer = form->has_value ? (enum phone_offer)form->value : PHONE_BARE;
	}
	ph_fault_fired(p, "F16");
	if (ph_fault_hit(p, "U33", NULL)) {
		ph_reply_after(p, 0, R_INCOMPATIBLE, "\x01\x02", 2);
		return;
	}
	if (offer == PHONE_TLV)
		length = offer_tlv(p, block);
	else if (offer == PHONE_FLAT)
		length = offer_flat(p, block);
	ph_reply_after(p, 0, offer == PHONE_BARE_ACK ? R_ACK : R_INCOMPATIBLE, block, length);
}

/* 36 UTF-16 units, low bytes only; then the size in one of two widths and perhaps the NV sum (5.3). */
struct idlen {
	char name[NAME_ROOM];
	uint64_t size;
	bool has_sum, slot;
	uint32_t sum;
};

static struct idlen parse_idlen(const uint8_t *payload, size_t length)
{
	struct idlen out = { .name = "" };

	if (length < 76)
		return out;
	for (size_t i = 0; i < 35; i++)
		out.name[i] = (char)payload[2 * i];
	out.slot = payload[70] == 0x31;
	if (length < 88) {
		out.size = ph_le32(payload + 72);
		out.has_sum = length >= 80;
		out.sum = out.has_sum ? ph_le32(payload + 76) : 0;
	} else {
		out.size = ph_le64(payload + 72);
		out.has_sum = length >= 92;
		out.sum = out.has_sum ? ph_le32(payload + 88) : 0;
	}
	return out;
}

void ph_name_in(const uint8_t *payload, size_t length, char name[NAME_ROOM])
{
	struct idlen id = parse_idlen(payload, length);

	memcpy(name, id.name, NAME_ROOM);
}

static void unknown(struct phone *p)
{
	p->counters.unknown_commands++;
	ph_fault_fired(p, "F20");
	ph_reply(p, R_UNSUPPORTED, NULL, 0);
	if (!p->profile->leak)
		return;
	p->counters.leaked_packets++;
	/* Two leaks leave only the receive packet, a third leaves none. */
	if (--p->pool == 0)
		ph_die(p, "packet pool exhausted", true);
}

/* A data reply needs a packet besides the one being handled. */
static bool pool_ok(struct phone *p)
{
	if (!p->profile->leak || p->pool >= 2)
		return true;
	ph_fault_fired(p, "F21");
	ph_die(p, "packet pool exhausted", false);
	return false;
}

static bool gate(struct phone *p, uint16_t type)
{
	bool guarded = type == C_START || type == C_READ_START || type == C_ERASE || type == C_REPARTITION;
	struct armed *permit = ph_fault_for(p, "F58", NULL), *wp = ph_fault_for(p, "F47", NULL);
	struct armed *auth = ph_fault_for(p, "F56", NULL);

	if (p->handshake_due &&
	    type != C_HANDSHAKE) { /* the one-shot reader; the loop runs on after it (10.5) */
		p->handshake_due = false;
		ph_fault_fired(p, "F57");
		ph_reply(p, R_HANDSHAKE, NULL, 0);
		return false;
	}
	if (auth && !p->auth_ok && type != C_AUTH_ASK && type != C_AUTH_ANSWER && type != C_PLAIN) {
		ph_fault_mark(p, auth);
		ph_reply(p, R_UNSUPPORTED, NULL, 0);
		return false;
	}
	if (permit && guarded) {
		ph_fault_mark(p, permit);
		ph_reply(p, R_FAILED, NULL, 0);
		return false;
	}
	if (wp && !p->wp_off && (type == C_START || type == C_REPARTITION)) {
		ph_fault_mark(p, wp);
		ph_reply(p, R_PROTECTED, NULL, 0);
		return false;
	}
	return true;
}

static void go_away(struct phone *p, bool off)
{
	if (p->profile->second == PHONE_LK)
		ph_misc_write(p, MISC_FIRST_MODE + 16, "\x01\0\0\0",
			      4); /* off-mode charge flag, before the ACK (10.13) */
	ph_reply(p, R_ACK, NULL, 0);
	if (p->stage != PHONE_FDL2)
		return;
	if (off) {
		ph_fault_fired(p, "F61");
		p->booting = p->unwaking = true; /* waits for the cable, deaf */
		return;
	}
	if (ph_fault_hit(p, "F60", NULL))
		return;
	ph_leave(p, p->busy_until + ph_delay(p, 300), PHONE_NEVER, PHONE_BOOTED);
}

static void start(struct phone *p, const uint8_t *payload, size_t length)
{
	struct idlen id = parse_idlen(payload, length);
	uint16_t code = ph_write_start(p, id.name, id.size, id.has_sum, id.sum);

	if (code != R_ACK)
		ph_entry_error(p, code);
	ph_reply_after(p, p->profile->second == PHONE_NAND ? p->profile->t_erase : p->profile->t_reply, code,
		       NULL, 0);
}

static void debug_info(struct phone *p, const uint8_t *payload, size_t length)
{
	uint8_t text[32] = "enable";

	if (length >= 32) {
		ph_reply(p, R_SIZE, NULL, 0);
		return;
	}
	if (length) {
		memset(text, 0, sizeof(text));
		memcpy(text, payload, length);
	}
	ph_misc_write(p, MISC_DEBUG, text, sizeof(text));
	ph_reply(p, R_ACK, NULL, 0);
}

static void first_mode(struct phone *p, const uint8_t *payload, size_t length)
{
	uint8_t word[4];

	ph_put_le32(word, 0x53464d00u + (length ? payload[0] : 0));
	ph_misc_write(p, MISC_FIRST_MODE, word, 4);
	ph_reply(p, R_ACK, NULL, 0);
}

static void mcp(struct phone *p)
{
	uint8_t data[12] = { 0 };

	if (p->profile->second != PHONE_NAND) {
		ph_fault_fired(p, ph_driver_now(p) == PHONE_DWC3 ? "F18" : "F19");
		return; /* no answer at all */
	}
	ph_put_be32(data + 4, 2048);
	ph_put_be32(data + 8, 128 * 1024);
	ph_reply(p, R_MCP, data, sizeof(data));
}

static void root_flag(struct phone *p)
{
	uint8_t word[4] = { 0 };
	struct place place;

	if (ph_resolve(p, "miscdata", &place))
		ph_area_read(&p->area[place.area], place.start + MISC_ROOT, word, 4);
	ph_reply(p, memcmp(word, "ROOT", 4) == 0 ? R_ROOTED : R_ACK, NULL, 0);
}

static void list(struct phone *p)
{
	if (ph_fault_hit(p, "F53", NULL)) {
		struct armed *armed = ph_fault_for(p, "F53", NULL);

		ph_reply(p, armed->has_value ? (uint16_t)armed->value : R_UNSUPPORTED, NULL, 0);
		if (armed->has_value && armed->value == R_INCOMPATIBLE)
			ph_die(p, "fault: list command", true);
		return;
	}
	if (p->profile->list)
		ph_read_list(p);
	else
		unknown(p);
}

void ph_fdl2_frame(struct phone *p, uint16_t type, const uint8_t *payload, size_t length)
{
	struct idlen id;
	bool handled = false;

	if (p->profile->second == PHONE_IDS) {
		ph_ids_frame(p, type, payload, length);
		return;
	}
	if (p->profile->second == PHONE_NORIDS) {
		ph_rtos_frame(p, type, payload, length);
		return;
	}
	if (!gate(p, type))
		return;
	if (p->profile->second == PHONE_LK) {
		ph_lk_frame(p, type, payload, length, &handled);
		if (handled)
			return;
	}
	switch (type) {
	case C_START: start(p, payload, length); break;
	case C_MIDST: ph_write_midst(p, payload, length); break;
	case C_END: ph_write_end(p); break;
	case C_ERASE:
		id = parse_idlen(payload, length);
		ph_erase_command(p, id.name, id.size);
		break;
	case C_REPARTITION: ph_repartition_command(p, payload, length); break;
	case C_MCP: mcp(p); break;
	case C_READ_START: ph_read_start(p, payload, length); break;
	case C_READ_MIDST:
		if (pool_ok(p))
			ph_read_midst(p, payload, length);
		break;
	case C_READ_END:
		p->nv_reading = false;
		ph_reply(p, R_ACK, NULL, 0);
		break;
	case C_RESET: go_away(p, false); break;
	case C_POWER_OFF: go_away(p, true); break;
	case C_ROOTFLAG: root_flag(p); break;
	case C_UID:
		if (pool_ok(p))
			ph_read_uid(p);
		break;
	case C_ENABLE_WRITE:
		if (!ph_fault_for(p, "F47", NULL)) {
			unknown(p);
			break;
		}
		p->wp_off = true;
		ph_reply(p, R_ACK, NULL, 0);
		break;
	case C_REFINFO:
		if (pool_ok(p))
			ph_read_refinfo(p, payload, length);
		break;
	case C_PLAIN:
		ph_reply(p, R_ACK, NULL, 0); /* still escaped */
		p->plain = true;
		break;
	case C_DATETIME:
		ph_misc_write(p, MISC_DATE, payload, length);
		ph_reply(p, R_ACK, NULL, 0);
		break;
	case C_DEBUGINFO: debug_info(p, payload, length); break;
	case C_FIRST_MODE: first_mode(p, payload, length); break;
	case C_LIST:
		if (pool_ok(p))
			list(p);
		break;
	case C_RAW_ENABLE:
	case C_RAW1:
	case C_RAW_SHA:
	case C_RAW2: ph_raw_command(p, type, payload, length); break;
	case C_END_PROCESS: ph_reply(p, R_ACK, NULL, 0); break;
	default:
		if (type == C_CONNECT)
			ph_fault_fired(p, "F22");
		unknown(p);
		break;
	}
}

/* What late u-boot and LK have besides (10.4-10.7). */
void ph_lk_frame(struct phone *p, uint16_t type, const uint8_t *payload, size_t length, bool *handled)
{
	uint8_t data[292] = { 0 };

	*handled = true;
	switch (type) {
	case C_HANDSHAKE:
		ph_fault_fired(p, "F57");
		ph_reply(p, R_HANDSHAKE, NULL, 0); /* nobody here has the vendor's key */
		ph_die(p, "handshake wrong", true);
		return;
	case C_AUTH_ASK:
		for (size_t i = 0; i < 256; i++)
			data[i] = (uint8_t)ph_random64(p);
		snprintf((char *)data + 256, 32, "%s", p->profile->name);
		ph_put_le16(data + 288, ph_fault_for(p, "F56", NULL) ? 0 : 1);
		p->auth_ok = !ph_fault_for(p, "F56", NULL);
		ph_reply(p, R_AUTH, data, 290);
		return;
	case C_AUTH_ANSWER: ph_reply(p, R_FAILED, NULL, 0); return;
	case C_LOG_ON:
		ph_reply(p, R_ACK, NULL, 0);
		p->log_on = true;
		return;
	case C_LOG_DUMP: return; /* no log: no answer */
	case C_TIMESTAMP:
		ph_misc_write(p, MISC_DATE, payload, length < 8 ? length : 8);
		ph_reply(p, R_ACK, NULL, 0);
		return;
	case C_GET_VERSION: ph_reply(p, R_VERSION_TEXT, "L\0K\0\0\0", 6); return;
	case C_SET_VERSION: ph_reply(p, R_ACK, NULL, 0); return;
	case C_DOG_ON:
	case C_DOG_OFF: ph_reply(p, R_ACK, NULL, 0); return;
	default: *handled = false; return;
	}
}
