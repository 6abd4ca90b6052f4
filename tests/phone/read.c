/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading in FDL2 (device-behaviour 5.7, 5.8, 7.4, 10.10). */
#include <stdio.h>
#include <stdlib.h>

#include "tests/phone/device.h"

void ph_read_start(struct phone *p, const uint8_t *payload, size_t length)
{
	char name[NAME_ROOM] = "";
	uint8_t magic[2];
	struct place place;

	p->counters.reads++;
	for (size_t i = 0; i < 35 && length >= 76; i++)
		name[i] = (char)payload[2 * i];
	snprintf(p->current, sizeof(p->current), "%.35s", name);
	p->nv_reading = false;
	if (p->profile->slots && ph_nv_is_pair(p, name, NULL) && !ph_has_name(p, name))
		snprintf(p->current, sizeof(p->current), "%.33s_a", name); /* current slot */
	if (ph_nv_is_pair(p, p->current, NULL)) {
		if (!ph_has_name(p, p->current) && p->profile->second != PHONE_NAND)
			ph_resolve(p, p->current, &place);
		if (!ph_nv_load(p, p->current, true)) {
			ph_fault_fired(p, "F50");
			ph_reply(p, R_FAILED, NULL, 0);
			return;
		}
		p->nv_reading = true;
	} else if (strcmp(name, "prodnv") == 0 && ph_resolve(p, name, &place)) {
		ph_area_read(&p->area[place.area], place.start + 1024 + 56, magic, 2);
		if (magic[0] != 0x53 || magic[1] != 0xef) {
			ph_fault_fired(p, "F51");
			ph_reply(p, R_FAILED, NULL, 0);
			return;
		}
	} else if (p->profile->second == PHONE_NAND &&
		   (strcmp(name, "user_partition") == 0 || !ph_resolve(p, name, &place))) {
		/* neither an MTD partition nor a UBI volume has that name */
		ph_fault_fired(p, "F30");
		ph_reply(p, R_INCOMPATIBLE, NULL, 0);
		return;
	} else if (p->profile->second == PHONE_NAND && length >= 76 && ph_le32(payload + 72) > place.size) {
		ph_reply(p, R_SIZE, NULL, 0);
		return;
	}
	ph_reply(p, R_ACK, NULL, 0);
}

/* Reads of names with "_size" answer in words. False: not such a name. */
static bool size_text(struct phone *p, uint32_t size)
{
	const char *mark = strstr(p->current, "_size");
	char name[NAME_ROOM], text[256] = "";
	struct place place;
	uint8_t *out;

	if (!mark)
		return false;
	snprintf(name, sizeof(name), "%.*s", (int)(mark - p->current), p->current);
	if (!p->profile->size_names && strcmp(name, "splloader") && strcmp(name, "splloader_bak") &&
	    strcmp(name, "user_partition")) {
		ph_reply(p, R_FAILED, NULL, 0);
		return true;
	}
	if (!ph_resolve(p, name, &place)) {
		ph_reply(p, R_FAILED, NULL, 0);
		return true;
	}
	if (p->profile->size_names)
		snprintf(text, sizeof(text), "partition %s total size: 0x%llx", name,
			 (unsigned long long)place.size);
	else
		snprintf(text, sizeof(text), "size:%s: 0x%llx block number: 0x%llx", name,
			 (unsigned long long)place.size,
			 (unsigned long long)(place.size / p->profile->sector));
	out = calloc(1, size + 1u);
	if (!out)
		abort();
	memcpy(out, text, strlen(text) < size ? strlen(text) : size);
	ph_reply(p, R_READ, out, size);
	free(out);
	return true;
}

/* Replies that lie about the storage: skip-list builds echo the request (F59), U15 the last received data. */
static bool lying_read(struct phone *p, uint8_t *out, size_t size, const uint8_t *request, size_t length)
{
	struct armed *skip = ph_fault_for(p, "F59", p->current), *echo = ph_fault_for(p, "U15", p->current);

	if (skip) {
		memset(out, 0x5c, size);
		memcpy(out, request, length < size ? length : size);
		ph_fault_mark(p, skip);
		p->lied = true;
		return true;
	}
	if (echo && p->last_data_length) {
		for (size_t at = 0; at < size; at += p->last_data_length)
			memcpy(out + at, p->last_data,
			       size - at < p->last_data_length ? size - at : p->last_data_length);
		ph_fault_mark(p, echo);
		p->lied = true;
		return true;
	}
	return false;
}

static bool fetch(struct phone *p, uint64_t offset, uint8_t *out, uint32_t size)
{
	struct place place;

	if (p->nv_reading) { /* RAM, no bounds: stale bytes behind the body */
		size_t room = 4u << 20;

		memset(out, 0xff, size);
		if (offset < room)
			memcpy(out, p->nv_ram + offset,
			       room - offset < size ? (size_t)(room - offset) : size);
		return true;
	}
	if (!ph_resolve(p, p->current, &place) ||
	    (p->profile->user_hidden && strcmp(p->current, "user_partition") == 0))
		return false;
	if (!place.unranged && (offset > place.size || size > place.size - offset)) {
		ph_fault_fired(p, "F52");
		return false;
	}
	ph_area_read(&p->area[place.area], place.start + offset, out, size);
	return true;
}

void ph_read_midst(struct phone *p, const uint8_t *payload, size_t length)
{
	struct armed *bad = ph_fault_for(p, "U10", p->current), *cut;
	uint64_t offset, cost;
	uint32_t size;
	uint8_t *out;

	if (length < 8) {
		ph_reply(p, R_FAILED, NULL, 0);
		return;
	}
	size = ph_le32(payload);
	offset = length >= 12 ? ph_le64(payload + 4) : ph_le32(payload + 4);
	if (size > 0x10000) {
		ph_reply(p, R_SIZE, NULL, 0);
		return;
	}
	if (size_text(p, size))
		return;
	if (size == 0) {
		ph_die(p, "READ of 0 bytes", false);
		return;
	}
	if ((bad && offset + size > bad->from) || ph_fault_hit(p, "F52", p->current)) {
		if (bad)
			ph_fault_mark(p, bad);
		ph_reply(p, R_FAILED, NULL, 0);
		return;
	}
	out = malloc(size);
	if (!out)
		abort();
	if (!lying_read(p, out, size, payload, length) && !fetch(p, offset, out, size)) {
		free(out);
		ph_reply(p, R_FAILED, NULL, 0);
		return;
	}
	cost = p->profile->t_reply + (uint64_t)size * 5 / 1000;
	cut = ph_fault_hit(p, "U29", p->current);
	/* The size field is 16 bit: 0x10000 wraps to 0, the data follow nevertheless. */
	ph_reply_after(p, cost, R_READ, out, cut ? size / 2 : size);
	free(out);
}

void ph_read_uid(struct phone *p)
{
	char text[80] = { 0 };
	size_t length;

	snprintf(text, sizeof(text), "%s", p->uid_text);
	if (ph_fault_hit(p, "U24", NULL))
		text[0] = text[0] == 'f' ? '0' : 'f';
	if (ph_fault_hit(p, "U36", NULL)) /* efuse failure: zeros */
		memset(text, 0, 64);
	length = strlen(p->uid_text);
	length += length & 1;
	ph_reply(p, R_UID, text, length);
}

void ph_read_list(struct phone *p)
{
	uint8_t cells[128 * 76];
	struct armed *unit = ph_fault_for(p, "F54", NULL);
	uint64_t lba = unit ? 4096 : p->profile->sector;

	ph_gpt_load(p, true);
	if (p->table_count == 0) {
		ph_reply(p, R_FAILED, NULL, 0);
		return;
	}
	if (unit)
		ph_fault_mark(p, unit);
	else if (lba == 4096)
		ph_fault_fired(p, "F54");
	memset(cells, 0, sizeof(cells));
	for (size_t i = 0; i < p->table_count; i++) {
		uint8_t *at = cells + i * 76;

		for (size_t k = 0; k < 36 && p->table[i].name[k]; k++)
			at[2 * k] = (uint8_t)p->table[i].name[k];
		ph_put_le32(at + 72, (uint32_t)(p->table[i].size / lba >> 1));
	}
	ph_reply_after(p, 2000, R_LIST, cells, p->table_count * 76);
}

/* Swaps: the old bytes go out, the request's go in. So it writes. */
void ph_read_refinfo(struct phone *p, const uint8_t *payload, size_t length)
{
	uint8_t old[4096];
	struct place place;

	if (length > sizeof(old))
		length = sizeof(old);
	if (!ph_resolve(p, "miscdata", &place)) {
		ph_reply(p, R_REFINFO, payload, length);
		return;
	}
	ph_area_read(&p->area[place.area], place.start + MISC_REFINFO, old, length);
	ph_misc_write(p, MISC_REFINFO, payload, length);
	ph_reply(p, R_REFINFO, old, length);
}
