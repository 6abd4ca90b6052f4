/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names to places (device-behaviour 7.2). Every lookup resolves the table afresh, as the vendor code does. */
#include <stdio.h>

#include "tests/phone/device.h"

const struct phone_part *ph_profile_part(const struct phone *p, const char *name)
{
	for (size_t i = 0; i < p->profile->part_count; i++)
		if (strcmp(p->profile->parts[i].name, name) == 0)
			return &p->profile->parts[i];
	return NULL;
}

const struct phone_part *ph_part_by_id(const struct phone *p, uint32_t id)
{
	for (size_t i = 0; i < p->profile->part_count; i++)
		if (p->profile->parts[i].id == id)
			return &p->profile->parts[i];
	return NULL;
}

bool ph_resolve_const(const struct phone *p, const char *name, struct place *place)
{
	bool fixed = p->profile->store == PHONE_NOR || p->profile->store == PHONE_RAWNAND;

	*place = (struct place){ .part = ph_profile_part(p, name) };
	if (strcmp(name, "splloader_bak") == 0 || (strcmp(name, "splloader") == 0 && !fixed)) {
		place->area = name[9] ? BOOT2 : BOOT1;
		place->size = p->area[place->area].size;
		place->unranged = true;
		return place->size != 0;
	}
	if (strcmp(name, "user_partition") == 0 || strcmp(name, "nor") == 0) {
		place->size = p->area[USER].size;
		return true;
	}
	if (fixed) {
		if (strcmp(name, "splloader") == 0)
			place->part = ph_profile_part(p, "spl");
		if (!place->part)
			return false;
		place->start = place->part->start;
		place->size = place->part->size;
		return true;
	}
	for (size_t i = 0; i < p->table_count; i++)
		if (strcmp(p->table[i].name, name) == 0) {
			place->start = p->table[i].start;
			place->size = p->table[i].size;
			return true;
		}
	if (strcmp(name, "uboot") == 0 && p->table_count) { /* the trap: falls to the SPL's backup */
		place->area = BOOT2;
		place->size = p->area[BOOT2].size;
		place->unranged = true;
		return place->size != 0;
	}
	return false;
}

bool ph_resolve(struct phone *p, const char *name, struct place *place)
{
	if (!p->gpt_known || p->gpt_state == 2)
		ph_gpt_load(p, true);
	return ph_resolve_const(p, name, place);
}

bool ph_has_name(const struct phone *p, const char *name)
{
	struct place place;

	return ph_resolve_const(p, name, &place);
}

size_t phone_partitions(const struct phone *p, struct phone_slice *out, size_t room)
{
	bool fixed = p->profile->store == PHONE_NOR || p->profile->store == PHONE_RAWNAND;

	if (!p->gpt_known)
		ph_gpt_load((struct phone *)p, false);
	if (!fixed) {
		for (size_t i = 0; i < p->table_count && i < room; i++)
			out[i] = p->table[i];
		return p->table_count;
	}
	for (size_t i = 0; i < p->profile->part_count && i < room; i++) {
		out[i].start = p->profile->parts[i].start;
		out[i].size = p->profile->parts[i].size;
		snprintf(out[i].name, sizeof(out[i].name), "%s", p->profile->parts[i].name);
	}
	return p->profile->part_count;
}

static bool place_of(const struct phone *p, const char *name, struct place *place)
{
	if (!p->gpt_known)
		ph_gpt_load((struct phone *)p, false);
	return ph_resolve_const(p, name, place);
}

bool phone_storage_size(const struct phone *p, const char *name, uint64_t *size)
{
	struct place place;

	if (!place_of(p, name, &place))
		return false;
	*size = place.size;
	return true;
}

bool phone_storage_read(const struct phone *p, const char *name, uint64_t offset, void *out, size_t length)
{
	struct place place;

	if (!place_of(p, name, &place) || offset > place.size || length > place.size - offset)
		return false;
	ph_area_read(&p->area[place.area], place.start + offset, out, length);
	return true;
}

bool phone_storage_write(struct phone *p, const char *name, uint64_t offset, const void *data, size_t length)
{
	struct place place;

	if (!place_of(p, name, &place) || offset > place.size || length > place.size - offset)
		return false;
	ph_area_write(&p->area[place.area], place.start + offset, data, length);
	if (place.area == USER && place.start == 0)
		p->gpt_known = false;
	return true;
}
