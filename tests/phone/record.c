/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What really was executed: deeds on the storage, and one entry for each START. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/phone/device.h"

static void *grow(void *list, size_t *room, size_t need, size_t each)
{
	void *more;

	if (need <= *room)
		return list;
	*room = *room ? *room * 2 : 16;
	more = realloc(list, *room * each);
	if (!more)
		abort();
	return more;
}

const char *phone_deed_name(enum phone_deed_kind kind)
{
	static const char *const names[] = {
		[PHONE_DEED_WRITE] = "write",
		[PHONE_DEED_MIRROR] = "mirror",
		[PHONE_DEED_NV] = "nv",
		[PHONE_DEED_ERASE] = "erase",
		[PHONE_DEED_ERASE_ALL] = "erase-all",
		[PHONE_DEED_REPARTITION] = "repartition",
		[PHONE_DEED_GPT_REPAIR] = "gpt-repair",
		[PHONE_DEED_NV_REPAIR] = "nv-repair",
		[PHONE_DEED_MISC] = "misc",
		[PHONE_DEED_LOG] = "log",
		[PHONE_DEED_RAM] = "ram",
	};

	return kind < sizeof(names) / sizeof(names[0]) ? names[kind] : "?";
}

void ph_deed(struct phone *p, enum phone_deed_kind kind, const char *name, uint64_t offset, uint64_t length,
	     uint64_t digest, bool lied)
{
	unsigned entry = p->x.entry == NO_ENTRY ? UINT_MAX : (unsigned)p->x.entry;
	struct phone_deed *last = p->deed_count ? &p->deeds[p->deed_count - 1] : NULL;

	/* Buffers of one image follow each other: one deed, its digest chained. */
	if (last && kind == PHONE_DEED_WRITE && last->kind == kind && last->entry == entry &&
	    last->lied == lied && last->offset + last->length == offset && strcmp(last->name, name) == 0) {
		last->length += length;
		last->digest = last->digest * 0x9e3779b97f4a7c15u ^ digest;
		return;
	}
	p->deeds = grow(p->deeds, &p->deed_room, p->deed_count + 1, sizeof(*p->deeds));
	last = &p->deeds[p->deed_count];
	*last = (struct phone_deed){ .seq = p->deed_count,
				     .time = p->now,
				     .kind = kind,
				     .entry = entry,
				     .offset = offset,
				     .length = length,
				     .digest = digest,
				     .lied = lied };
	snprintf(last->name, sizeof(last->name), "%s", name);
	p->deed_count++;
}

void ph_entry_open(struct phone *p, const char *name, uint64_t address, uint64_t size)
{
	struct phone_entry *entry;
	size_t room = p->entry_room;

	if (p->stage == PHONE_FDL2) {
		p->counters.starts++;
		for (size_t i = p->second_seen; i < p->entry_count; i++)
			if (p->entries[i].stage == PHONE_FDL2 && strcmp(p->entries[i].name, name) == 0) {
				p->counters.second_starts++;
				break;
			}
	}
	p->entries = grow(p->entries, &p->entry_room, p->entry_count + 1, sizeof(*p->entries));
	if (room != p->entry_room) {
		size_t *more = realloc(p->piece_room, p->entry_room * sizeof(*more));

		if (!more)
			abort();
		p->piece_room = more;
	}
	entry = &p->entries[p->entry_count];
	*entry = (struct phone_entry){ .stage = p->stage, .time = p->now, .address = address, .size = size };
	snprintf(entry->name, sizeof(entry->name), "%s", name);
	p->piece_room[p->entry_count] = 0;
	p->x.entry = (int)p->entry_count++;
}

struct phone_entry *ph_entry_now(struct phone *p)
{
	return p->x.entry == NO_ENTRY ? NULL : &p->entries[p->x.entry];
}

void ph_entry_piece(struct phone *p, const void *data, size_t length, bool raw, bool accepted)
{
	struct phone_entry *entry = ph_entry_now(p);
	struct phone_piece *list;

	if (p->stage == PHONE_FDL2)
		p->counters.midsts++;
	if (!entry)
		return;
	list = grow((void *)entry->pieces, &p->piece_room[p->x.entry], entry->piece_count + 1, sizeof(*list));
	list[entry->piece_count++] = (struct phone_piece){ .offset = entry->received,
							   .digest = phone_digest(data, length),
							   .length = (uint32_t)length,
							   .raw = raw,
							   .accepted = accepted };
	entry->pieces = list;
	if (accepted)
		entry->received += length;
}

void ph_entry_end(struct phone *p, uint16_t code)
{
	struct phone_entry *entry = ph_entry_now(p);

	if (p->stage == PHONE_FDL2)
		p->counters.ends++;
	if (!entry)
		return;
	entry->ends++;
	entry->end_reply = code;
	if (code != R_ACK)
		ph_entry_error(p, code);
}

void ph_entry_error(struct phone *p, uint16_t code)
{
	struct phone_entry *entry = ph_entry_now(p);

	if (entry && entry->error == 0)
		entry->error = code;
}

size_t phone_deeds(const struct phone *p)
{
	return p->deed_count;
}

const struct phone_deed *phone_deed(const struct phone *p, size_t index)
{
	return index < p->deed_count ? &p->deeds[index] : NULL;
}

size_t phone_entries(const struct phone *p)
{
	return p->entry_count;
}

const struct phone_entry *phone_entry(const struct phone *p, size_t index)
{
	return index < p->entry_count ? &p->entries[index] : NULL;
}

const struct phone_counters *phone_counters(const struct phone *p)
{
	return &p->counters;
}
