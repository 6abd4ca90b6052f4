/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* NV pairs: header, twin copies, repair on read (device-behaviour 5.6, 5.7, pac-and-flow 3.4). */
#include <stdio.h>
#include <stdlib.h>

#include "tests/phone/device.h"

bool ph_nv_is_pair(const struct phone *p, const char *name, char twin[NAME_ROOM])
{
	static const char *const prefix[] = { "",    "td", "g_", "nr_", "l_", "tl_",
					      "lf_", "w",  "w_", "wl_", "wcn" };
	static const char *const kind[] = { "fixnv1", "runtimenv1" };
	char want[NAME_ROOM];

	for (size_t i = 0; i < sizeof(prefix) / sizeof(prefix[0]); i++)
		for (size_t k = 0; k < 2; k++) {
			size_t length = (size_t)snprintf(want, sizeof(want), "%s%s", prefix[i], kind[k]);
			const char *tail = name + length;

			if (strncmp(name, want, length) != 0)
				continue;
			if (*tail && !(p->profile->slots && (!strcmp(tail, "_a") || !strcmp(tail, "_b"))))
				continue;
			if (twin) {
				snprintf(twin, NAME_ROOM, "%s", name);
				twin[length - 1] = '2';
			}
			return true;
		}
	return false;
}

/* A valid item stream like real images: crc, stamp, items 5 (version), 2 (calibration) and 0x179 (IMEI), end
 * mark. */
size_t ph_nv_make_body(const struct phone *p, uint8_t *out, size_t room)
{
	static const uint16_t arc[16] = { 0x0000, 0xcc01, 0xd801, 0x1400, 0xf001, 0x3c00, 0x2800, 0xe401,
					  0xa001, 0x6c00, 0x7800, 0xb401, 0x5000, 0x9c01, 0x8801, 0x4400 };
	uint64_t state = p->seed ^ 0x4e564e56u;
	uint16_t crc = 0;
	size_t at = 4;
	static const struct {
		uint16_t id, length;
	} items[] = { { 5, 8 }, { 2, 6020 }, { 0x179, 8 }, { 0x19a, 8 }, { 0x191, 72 }, { 0x1f0, 128 } };

	memset(out, 0xff, room);
	ph_put_le16(out + 2, 0);
	for (size_t i = 0; i < sizeof(items) / sizeof(items[0]) && at + items[i].length + 12 < room; i++) {
		ph_put_le16(out + at, items[i].id);
		ph_put_le16(out + at + 2, items[i].length);
		for (size_t k = 0; k < items[i].length; k++) {
			state = state * 6364136223846793005u + 1442695040888963407u;
			out[at + 4 + k] = (uint8_t)(state >> 56);
		}
		if (items[i].id == 2)
			ph_put_le32(out + at + 4, 0xff0a);
		at += 4u + ((items[i].length + 3u) & ~3u);
	}
	ph_put_le16(out + at, 0xffff);
	ph_put_le16(out + at + 2, 0xffff);
	for (size_t i = 2; i < at + 4; i++) { /* CRC-16/ARC */
		crc ^= out[i];
		crc = (uint16_t)(crc >> 4 ^ arc[crc & 15]);
		crc = (uint16_t)(crc >> 4 ^ arc[crc & 15]);
	}
	ph_put_be16(out, crc);
	return at + 4;
}

/* The tail is FF: words that add nothing to a sum folded like this one, so it is neither built nor summed. */
static void put_copy(struct phone *p, const struct place *place, const uint8_t *body, size_t length,
		     size_t full)
{
	struct area *area = &p->area[place->area];
	size_t even = length + (length & 1 && full > length);
	uint8_t head[NV_HEADER] = { 0 };
	uint8_t *summed = malloc(even + 1);

	if (!summed)
		abort();
	memcpy(summed, body, length);
	if (even > length)
		summed[length] = 0xff;
	ph_put_le32(head, 0x4e56);
	ph_put_le32(head + 4, (uint32_t)full);
	ph_put_le32(head + 8, ph_check_sum16(summed, even));
	ph_put_le32(head + 12, 101);
	ph_area_write(area, place->start, head, NV_HEADER);
	ph_area_write(area, place->start + NV_HEADER, summed, even);
	if (full > even)
		ph_area_fill(area, place->start + NV_HEADER + even, full - even, 0xff);
	free(summed);
}

static size_t full_size(const struct phone *p, const struct place *place, size_t length)
{
	size_t full = p->profile->second == PHONE_LK ? length : p->profile->fixnv_bytes;

	return full + NV_HEADER > place->size ? (size_t)place->size - NV_HEADER : full;
}

/* Header and body to both copies; LK A/B to the other slot's too. */
uint16_t ph_nv_store(struct phone *p, const char *name, const uint8_t *body, size_t length)
{
	char names[4][NAME_ROOM];
	size_t count = 2, tail = strlen(name) - 2;
	bool lied = ph_fault_for(p, "U32", name) != NULL;

	snprintf(names[0], NAME_ROOM, "%s", name);
	ph_nv_is_pair(p, name, names[1]);
	if (p->profile->slots && name[tail] == '_') {
		for (int i = 0; i < 2; i++) {
			memcpy(names[2 + i], names[i], NAME_ROOM);
			names[2 + i][tail + 1] = name[tail + 1] == 'a' ? 'b' : 'a';
		}
		count = 4;
	}
	if (lied) {
		ph_fault_mark(p, ph_fault_for(p, "U32", name));
		p->lied = true;
	}
	for (size_t i = 0; i < count; i++) {
		struct place place;

		if (!ph_resolve(p, names[i], &place) || length + NV_HEADER > place.size) {
			if (i >= 2)
				continue;
			return R_WRITE;
		}
		if (!lied)
			put_copy(p, &place, body, length, full_size(p, &place, length));
		ph_deed(p, PHONE_DEED_NV, names[i], 0, length, phone_digest(body, length), lied);
	}
	return R_ACK;
}

static bool copy_valid(const struct phone *p, const char *name, uint8_t *out, size_t *length)
{
	struct place place;
	uint8_t head[16];
	uint32_t size;

	if (!ph_resolve_const(p, name, &place) || place.size <= NV_HEADER)
		return false;
	ph_area_read(&p->area[place.area], place.start, head, sizeof(head));
	size = ph_le32(head + 4);
	if (ph_le32(head) != 0x4e56 || size > place.size - NV_HEADER || size > *length)
		return false;
	ph_area_read(&p->area[place.area], place.start + NV_HEADER, out, size);
	if (ph_check_sum16(out, size) != ph_le32(head + 8))
		return false;
	*length = size;
	return true;
}

bool ph_nv_read_body(const struct phone *p, const char *name, uint8_t *out, size_t *length)
{
	char twin[NAME_ROOM];
	size_t room = *length;

	if (!ph_nv_is_pair(p, name, twin))
		return false;
	if (copy_valid(p, name, out, length))
		return true;
	*length = room;
	return copy_valid(p, twin, out, length);
}

/* READ_START of an NV name: both copies looked at, the bad one rewritten from the good one (F49). */
bool ph_nv_load(struct phone *p, const char *name, bool repair)
{
	size_t room = 4u << 20, one = room, two = room;
	char twin[NAME_ROOM];
	struct place place;
	bool first, second;
	uint8_t *spare;

	ph_nv_is_pair(p, name, twin);
	if (!p->nv_ram)
		p->nv_ram = calloc(1, room);
	spare = malloc(room);
	if (!p->nv_ram || !spare)
		abort();
	first = copy_valid(p, name, p->nv_ram, &one);
	second = copy_valid(p, twin, first ? spare : p->nv_ram, &two);
	p->nv_ram_length = first ? one : second ? two : 0;
	if (repair && first != second && ph_resolve(p, first ? twin : name, &place)) {
		put_copy(p, &place, p->nv_ram, p->nv_ram_length, p->nv_ram_length);
		ph_deed(p, PHONE_DEED_NV_REPAIR, first ? twin : name, 0, p->nv_ram_length, 0, false);
		ph_fault_fired(p, "F49");
	}
	free(spare);
	return first || second;
}

/* Contents of a used phone's pair at creation. */
void ph_nv_format(struct phone *p, const char *name, const void *body, size_t length, bool blank)
{
	char twin[NAME_ROOM];
	const char *names[2] = { name, twin };
	struct place place;

	ph_nv_is_pair(p, name, twin);
	for (int i = 0; i < 2 && !blank; i++)
		if (ph_resolve_const(p, names[i], &place) && length + NV_HEADER <= place.size)
			put_copy(p, &place, body, length, full_size(p, &place, length));
}

bool phone_nv_read(const struct phone *p, const char *name, void *out, size_t *length)
{
	struct place place;

	if (!p->gpt_known)
		ph_gpt_load((struct phone *)p, false);
	if (ph_nv_is_pair(p, name, NULL))
		return ph_nv_read_body(p, name, out, length);
	if (!ph_resolve_const(p, name, &place) || *length == 0)
		return false;
	if (*length > place.size)
		*length = (size_t)place.size;
	ph_area_read(&p->area[place.area], place.start, out, *length);
	return true;
}
