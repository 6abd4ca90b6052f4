/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The partition table on the storage, and REPARTITION (device-behaviour 7.1, 7.3). */
#include <stdio.h>

#include "tests/phone/device.h"

enum { ENTRIES = 128, ENTRY = 128, TABLE = ENTRIES * ENTRY, HEAD = 92, FIRST = 34 };

static uint32_t crc32_of(const uint8_t *data, size_t length)
{
	static const uint32_t nibble[16] = { 0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
					     0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
					     0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
					     0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c };
	uint32_t crc = ~0u;

	for (; length; length--) {
		crc ^= *data++;
		crc = crc >> 4 ^ nibble[crc & 15];
		crc = crc >> 4 ^ nibble[crc & 15];
	}
	return ~crc;
}

static bool read_copy(struct phone *p, uint64_t lba)
{
	const struct area *user = &p->area[USER];
	unsigned sector = p->profile->sector;
	uint8_t head[HEAD], table[TABLE];
	uint32_t crc;

	ph_area_read(user, lba * sector, head, HEAD);
	if (memcmp(head, "EFI PART", 8) != 0 || ph_le32(head + 12) != HEAD)
		return false;
	crc = ph_le32(head + 16);
	ph_put_le32(head + 16, 0);
	if (crc32_of(head, HEAD) != crc)
		return false;
	ph_area_read(user, ph_le64(head + 72) * sector, table, TABLE);
	if (crc32_of(table, TABLE) != ph_le32(head + 88))
		return false;
	p->table_count = 0;
	for (size_t i = 0; i < ENTRIES && ph_le32(table + i * ENTRY); i++) {
		const uint8_t *at = table + i * ENTRY;
		struct phone_slice *slice = &p->table[p->table_count++];

		memset(slice, 0, sizeof(*slice));
		slice->start = ph_le64(at + 32) * sector;
		slice->size = (ph_le64(at + 40) + 1) * sector - slice->start;
		for (size_t k = 0; k < 36; k++)
			slice->name[k] = (char)at[56 + 2 * k];
	}
	return true;
}

/* One header with its table behind (primary) or before it (backup). */
static void write_copy(struct phone *p, const uint8_t *table, uint32_t crc, uint64_t lba, uint64_t other,
		       uint64_t entries)
{
	uint64_t last = p->area[USER].size / p->profile->sector - 1;
	uint8_t head[HEAD] = "EFI PART";

	ph_put_le32(head + 8, 0x10000);
	ph_put_le32(head + 12, HEAD);
	ph_put_le64(head + 24, lba);
	ph_put_le64(head + 32, other);
	ph_put_le64(head + 40, FIRST);
	ph_put_le64(head + 48, last + 1 - FIRST);
	memcpy(head + 56, "spreadtrum-disk0", 16);
	ph_put_le64(head + 72, entries);
	ph_put_le32(head + 80, ENTRIES);
	ph_put_le32(head + 84, ENTRY);
	ph_put_le32(head + 88, crc);
	ph_put_le32(head + 16, crc32_of(head, HEAD));
	ph_area_write(&p->area[USER], lba * p->profile->sector, head, HEAD);
	ph_area_write(&p->area[USER], entries * p->profile->sector, table, TABLE);
}

bool ph_gpt_store(struct phone *p, const struct phone_slice *slices, size_t count)
{
	static const uint8_t type[16] = { 0xa2, 0xa0, 0xd0, 0xeb, 0xe5, 0xb9, 0x33, 0x44,
					  0x87, 0xc0, 0x68, 0xb6, 0xb7, 0x26, 0x99, 0xc7 };
	unsigned sector = p->profile->sector;
	uint64_t last = p->area[USER].size / sector - 1;
	uint8_t table[TABLE] = { 0 }, mbr[512] = { 0 };
	uint32_t crc;

	if (count > ENTRIES)
		return false;
	for (size_t i = 0; i < count; i++) {
		uint8_t *at = table + i * ENTRY;

		memcpy(at, type, 16);
		ph_put_le64(at + 16, phone_digest(slices[i].name, strlen(slices[i].name)));
		ph_put_le64(at + 24, i);
		ph_put_le64(at + 32, slices[i].start / sector);
		ph_put_le64(at + 40, (slices[i].start + slices[i].size) / sector - 1);
		for (size_t k = 0; k < 31 && slices[i].name[k]; k++)
			at[56 + 2 * k] = (uint8_t)slices[i].name[k];
	}
	crc = crc32_of(table, TABLE);
	mbr[446 + 4] = 0xee;
	ph_put_le32(mbr + 446 + 8, 1);
	ph_put_le32(mbr + 446 + 12, last > UINT32_MAX ? UINT32_MAX : (uint32_t)last);
	mbr[510] = 0x55;
	mbr[511] = 0xaa;
	ph_area_write(&p->area[USER], 0, mbr, sizeof(mbr));
	write_copy(p, table, crc, 1, last, 2);
	write_copy(p, table, crc, last, 1, last - TABLE / sector);
	for (size_t i = 0; i < count; i++) {
		p->table[i] = slices[i];
		p->table[i].name[31] = 0;
	}
	p->table_count = count;
	p->gpt_known = true;
	p->gpt_state = 1;
	return true;
}

void ph_gpt_load(struct phone *p, bool repair)
{
	uint64_t last = p->area[USER].size / p->profile->sector - 1;

	p->gpt_known = true;
	p->table_count = 0;
	p->gpt_state = 0;
	if (p->profile->store == PHONE_NOR || p->profile->store == PHONE_RAWNAND)
		return;
	if (read_copy(p, 1)) {
		p->gpt_state = 1;
		return;
	}
	if (!read_copy(p, last)) {
		p->table_count = 0;
		return;
	}
	p->gpt_state = 2;
	if (repair) { /* any lookup rewrites the primary (F48) */
		struct phone_slice copy[ENTRIES];
		size_t count = p->table_count;

		memcpy(copy, p->table, sizeof(copy));
		ph_gpt_store(p, copy, count);
		ph_deed(p, PHONE_DEED_GPT_REPAIR, "user_partition", p->profile->sector, TABLE, 0, false);
		ph_fault_fired(p, "F48");
	}
}

void ph_gpt_break(struct phone *p)
{
	ph_area_fill(&p->area[USER], p->profile->sector, 512, 0);
	p->gpt_known = false;
}

struct layout {
	struct phone_slice slice[ENTRIES];
	size_t count;
	uint64_t at; /* next free byte */
};

/* False: does not fit. `rest` only extends a last row; elsewhere the row becomes empty. */
static bool lay(struct phone *p, struct layout *out, const char *name, uint64_t size, bool rest, bool last)
{
	uint64_t end = p->area[USER].size - (uint64_t)FIRST * p->profile->sector;
	struct phone_slice *slice;

	if (out->count == ENTRIES)
		return false;
	slice = &out->slice[out->count++];
	memset(slice, 0, sizeof(*slice));
	snprintf(slice->name, 32, "%s", name);
	if (rest)
		size = last ? (end > out->at ? end - out->at : 0) : 0;
	if (out->at > end || size > end - out->at || (rest && last && size == 0))
		return false;
	slice->start = out->at;
	slice->size = size;
	out->at += size;
	return true;
}

bool ph_gpt_from_parts(struct phone *p, const struct phone_part *parts, size_t count)
{
	struct layout layout = { .at = 1 << 20 };

	for (size_t i = 0; i < count; i++)
		if (!lay(p, &layout, parts[i].name, parts[i].size, parts[i].size == UINT64_MAX,
			 i + 1 == count))
			return false;
	return ph_gpt_store(p, layout.slice, layout.count);
}

static void cell_name(const uint8_t *cell, char out[NAME_ROOM])
{
	for (size_t i = 0; i < 35; i++)
		out[i] = (char)cell[2 * i];
	out[31] = 0; /* cut to 31 characters */
}

static uint16_t parse_v0(struct phone *p, const uint8_t *at, size_t length, struct layout *out)
{
	char name[NAME_ROOM];

	if (length == 0 || length % 76) {
		ph_fault_fired(p, "F45");
		return R_INCOMPATIBLE;
	}
	out->at = 1 << 20;
	for (size_t i = 0; i < length / 76; i++, at += 76) {
		uint32_t size = ph_le32(at + 72);
		bool last = i + 1 == length / 76;

		cell_name(at, name);
		if (!lay(p, out, name, (uint64_t)size << 20, size == UINT32_MAX && last, last))
			return R_FAILED;
	}
	return R_ACK;
}

static uint64_t unit_bytes(const struct phone *p, uint64_t size, unsigned unit)
{
	uint64_t sector = p->profile->sector, bytes;

	switch (unit) {
	case 1: return size << 19;
	case 2: bytes = size << 10; break;
	case 3: bytes = size; break;
	case 4: return size * sector;
	default: return size << 20;
	}
	return (bytes + sector - 1) / sector * sector;
}

static uint16_t parse_v1(struct phone *p, const uint8_t *head, size_t length, struct layout *out)
{
	unsigned unit = length >= 16 ? head[5] : 0;
	size_t bytes = length >= 16 ? (size_t)(head[14] | head[15] << 8) : 1;
	const uint8_t *at = head + 16;
	char name[NAME_ROOM];

	if (bytes % 88 || bytes == 0 || bytes > length - 16) {
		ph_fault_fired(p, "F45");
		return R_INCOMPATIBLE;
	}
	for (size_t i = 0; i < bytes / 88; i++, at += 88) {
		bool last = i + 1 == bytes / 88;
		uint64_t size = ph_le64(at + 72), step;
		int64_t gap = (int64_t)ph_le64(at + 80);
		bool rest = (uint32_t)size == UINT32_MAX && (p->profile->second != PHONE_LK || last);

		cell_name(at, name);
		step = unit_bytes(p, gap < 0 ? (uint64_t)-gap : (uint64_t)gap, unit);
		if (i == 0 && gap == 0)
			step = 1 << 20;
		if (gap < 0 && step) /* overlap */
			return R_FAILED;
		out->at += step;
		if (i == 0 && out->at < (uint64_t)FIRST * p->profile->sector)
			return R_FAILED;
		if (!lay(p, out, name, rest ? 0 : unit_bytes(p, size, unit), rest, last))
			return R_FAILED;
	}
	return R_ACK;
}

void ph_repartition_command(struct phone *p, const uint8_t *payload, size_t length)
{
	struct layout layout = { 0 };
	uint16_t code;

	p->counters.repartitions++;
	if (p->profile->second == PHONE_NAND) { /* volumes are compared by name; equal ones keep their data */
		if (length % 76)
			ph_fault_fired(p, "F45");
		ph_reply_after(p, p->profile->t_repartition, length % 76 ? R_INCOMPATIBLE : R_ACK, NULL, 0);
		return;
	}
	if (ph_fault_hit(p, "F46", NULL)) {
		ph_reply(p, R_FAILED, NULL, 0);
		return;
	}
	if (ph_fault_hit(p, "F45", NULL)) {
		ph_reply(p, R_INCOMPATIBLE, NULL, 0);
		return;
	}
	if (length >= 16 && ph_le32(payload) == 0x3a726170)
		code = payload[4] == 0 ? parse_v0(p, payload + 16, length - 16, &layout)
				       : parse_v1(p, payload, length, &layout);
	else
		code = parse_v0(p, payload, length, &layout);
	if (code == R_FAILED)
		ph_fault_fired(p, "F46");
	if (code == R_ACK) {
		bool lied = ph_fault_hit(p, "U31", NULL) != NULL;

		if (!lied)
			ph_gpt_store(p, layout.slice, layout.count);
		p->lied |= lied;
		ph_deed(p, PHONE_DEED_REPARTITION, "user_partition", 0, layout.count,
			phone_digest(payload, length), lied);
	}
	ph_reply_after(p, code == R_ACK ? p->profile->t_repartition : p->profile->t_reply, code, NULL, 0);
}
