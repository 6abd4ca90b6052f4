/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Making a phone, its cable, and looking inside. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/phone/device.h"

static void make_uid(struct phone *p, const char *plain)
{
	uint8_t sum[32];

	if (plain && strlen(plain) < sizeof(p->uid_plain))
		snprintf(p->uid_plain, sizeof(p->uid_plain), "%s", plain);
	else
		snprintf(p->uid_plain, sizeof(p->uid_plain), "%016llx",
			 (unsigned long long)((p->seed + 1) * 0x9e3779b97f4a7c15u >> 1));
	if (!p->profile->sha_uid) {
		snprintf(p->uid_text, sizeof(p->uid_text), "%s", p->uid_plain);
		return;
	}
	phone_sha256(p->uid_plain, strlen(p->uid_plain), sum);
	for (int i = 0; i < 32; i++)
		snprintf(p->uid_text + 2 * i, 3, "%02x", sum[i]);
}

/* Something to lose in every place that a used phone has filled: the first 8 KiB, seeded by name. */
static void fill_default(struct phone *p, const char *name, unsigned flags)
{
	uint8_t data[8192];
	struct place place;
	uint64_t state = phone_digest(name, strlen(name)) ^ p->seed;

	if (!ph_resolve_const(p, name, &place))
		return;
	for (size_t i = 0; i < sizeof(data); i += 8) {
		state = state * 6364136223846793005u + 1442695040888963407u;
		ph_put_le64(data + i, state);
	}
	if (flags & PHONE_PART_EXT4)
		ph_put_le16(data + 1024 + 56, 0xef53);
	ph_area_write(&p->area[place.area], place.start, data,
		      place.size < sizeof(data) ? place.size : sizeof(data));
	if (strcmp(name, "miscdata") == 0) {
		memset(data, 0, sizeof(data));
		ph_area_write(&p->area[place.area], place.start, data, sizeof(data));
	}
}

static void fill_storage(struct phone *p, const struct phone_setup *setup)
{
	const struct phone_part *parts = setup->parts ? setup->parts : p->profile->parts;
	size_t count = setup->parts ? setup->part_count : p->profile->part_count;
	size_t length = setup->nv_length;
	uint8_t body[8192];
	const void *nv = setup->nv;

	if (setup->blank)
		return;
	if (p->profile->store == PHONE_EMMC || p->profile->store == PHONE_UFS)
		ph_gpt_from_parts(p, parts, count);
	if (!nv) {
		length = ph_nv_make_body(p, body, sizeof(body));
		nv = body;
	}
	for (size_t i = 0; i < count; i++) {
		bool pair = ph_nv_is_pair(p, parts[i].name, NULL);
		size_t tail = strlen(parts[i].name);

		if (pair)
			ph_nv_format(p, parts[i].name, nv, length, setup->nv_blank);
		else if (strcmp(parts[i].name, "nv") == 0 && !setup->nv_blank)
			phone_storage_write(p, "nv", 0, nv,
					    length < parts[i].size ? length : (size_t)parts[i].size);
		else if (parts[i].flags & PHONE_PART_FILLED && !setup->unfilled &&
			 !(tail > 3 && (strstr(parts[i].name, "nv2"))))
			fill_default(p, parts[i].name, parts[i].flags);
	}
}

static struct phone *make(const struct phone_profile *profile, const struct phone_setup *setup,
			  const char **why)
{
	struct phone *p = calloc(1, sizeof(*p));
	const char *dummy;
	int armed;

	if (!why)
		why = &dummy;
	*why = "no memory";
	if (!p)
		return NULL;
	p->profile = profile;
	p->seed = setup->seed;
	p->buffer_bytes = setup->buffer_bytes ? setup->buffer_bytes : profile->buffer_bytes;
	p->rng = setup->seed ^ 0x70686f6e65u;
	p->time_percent = setup->time_percent == PHONE_INSTANT ? 0
			  : setup->time_percent		       ? setup->time_percent
							       : 100;
	p->trace = setup->trace;
	p->trace_arg = setup->trace_arg;
	p->found_in = setup->found_in;
	p->found_plain = setup->found_plain;
	p->x.entry = NO_ENTRY;
	p->rx = malloc(RX_ROOM);
	make_uid(p, setup->uid);
	armed = ph_fault_parse(p->armed, MAX_ARMED, setup->faults, why);
	if (!p->rx || armed < 0) {
		phone_free(p);
		return NULL;
	}
	p->armed_count = (unsigned)armed;
	ph_usb_identity(p);
	return p;
}

struct phone *phone_new(const struct phone_profile *profile, const struct phone_setup *setup,
			const char **why)
{
	static const struct phone_setup plain;
	struct phone *p;

	if (!setup)
		setup = &plain;
	p = make(profile, setup, why);
	if (!p)
		return NULL;
	if (!ph_area_make(&p->area[USER], setup->user_bytes ? setup->user_bytes : profile->user_bytes,
			  profile->erased) ||
	    !ph_area_make(&p->area[BOOT1], profile->boot_bytes, profile->erased) ||
	    !ph_area_make(&p->area[BOOT2], profile->boot_bytes, profile->erased)) {
		phone_free(p);
		return NULL;
	}
	fill_storage(p, setup);
	for (size_t i = 0; i < setup->content_count; i++)
		if (!phone_storage_write(p, setup->contents[i].name, setup->contents[i].offset,
					 setup->contents[i].data, setup->contents[i].length)) {
			if (why)
				*why = "content for a place that is not there";
			phone_free(p);
			return NULL;
		}
	ph_fault_apply_setup(p);
	return p;
}

struct phone *phone_clone(const struct phone *old, const struct phone_setup *setup, const char **why)
{
	static const struct phone_setup plain;
	struct phone *p = make(old->profile, setup ? setup : &plain, why);

	if (!p)
		return NULL;
	for (int i = 0; i < AREAS; i++)
		if (!ph_area_share(&p->area[i], &old->area[i])) {
			phone_free(p);
			return NULL;
		}
	if (!setup || !setup->uid) {
		memcpy(p->uid_plain, old->uid_plain, sizeof(p->uid_plain));
		memcpy(p->uid_text, old->uid_text, sizeof(p->uid_text));
	}
	ph_fault_apply_setup(p);
	return p;
}

bool phone_set_faults(struct phone *p, const char *script, const char **why)
{
	struct armed armed[MAX_ARMED];
	const char *dummy;
	int count = ph_fault_parse(armed, MAX_ARMED, script, why ? why : &dummy);

	if (count < 0)
		return false;
	memcpy(p->armed, armed, sizeof(armed));
	p->armed_count = (unsigned)count;
	memset(p->fired, 0, sizeof(p->fired));
	ph_fault_apply_setup(p);
	return true;
}

void phone_free(struct phone *p)
{
	if (!p)
		return;
	ph_drop_events(p, true);
	for (int i = 0; i < AREAS; i++)
		ph_area_drop(&p->area[i]);
	for (size_t i = 0; i < p->entry_count; i++)
		free((void *)p->entries[i].pieces);
	ph_sparse_clear(&p->sparse);
	free(p->events);
	free(p->shown);
	free(p->dma);
	free(p->rx);
	free(p->tx);
	free(p->image);
	free(p->nv_ram);
	free(p->last_data);
	free(p->x.stage);
	free(p->deeds);
	free(p->entries);
	free(p->piece_room);
	free(p);
}

void phone_plug(struct phone *p, uint64_t now)
{
	ph_drop_events(p, true);
	ph_advance(p, now);
	ph_power_clear(p);
	p->present = true;
	p->counters.plugs++;
	p->stage = p->runs ? PHONE_RUNNING : PHONE_ROM;
	p->calibration = p->leaving = false;
	ph_usb_identity(p);
	if (p->runs)
		return;
	if (!p->plugged_once && (p->found_in == PHONE_FDL1 || p->found_in == PHONE_FDL2)) {
		p->stage = p->found_in;
		p->crc16 = false;
		p->ver_sent = true;
		p->armed_control = true; /* the earlier session did it */
		p->plain = p->found_in == PHONE_FDL2 && p->found_plain;
		if (p->found_in == PHONE_FDL2)
			ph_fault_fired(p, p->plain ? "F69" : "F68");
	}
	p->plugged_once = true;
	if (ph_fault_hit(p, "F67", NULL)) {
		static const uint8_t old[] = { 0x7e, 0x00, 0x80, 0x00, 0x00, 0xff, 0x7f, 0x7e };

		ph_queue(p, p->now, PHONE_IN, old, sizeof(old), true);
	}
}

void phone_unplug(struct phone *p, uint64_t now)
{
	ph_advance(p, now);
	ph_drop_events(p, true);
	ph_power_clear(p);
	p->present = false;
	p->stage = PHONE_OFF;
}

void phone_replug(struct phone *p, uint64_t now)
{
	ph_advance(p, now);
	ph_drop_events(p, true);
	p->present = p->stage != PHONE_OFF && p->stage != PHONE_BOOTED;
	p->armed_control = false;
	p->in_frame = false;
	p->dma_length = p->rx_length = 0;
}

void phone_jam(struct phone *p)
{
	p->out_disarmed = true;
}

void phone_bus_reset(struct phone *p, uint64_t now)
{
	ph_advance(p, now);
	p->armed_control = p->out_disarmed = p->in_frame = false;
	p->dma_length = p->rx_length = 0;
	p->counters.bus_resets++;
}

bool phone_present(const struct phone *p)
{
	return p->present;
}

enum phone_stage phone_stage(const struct phone *p)
{
	return p->stage;
}

const struct phone_profile *phone_profile(const struct phone *p)
{
	return p->profile;
}

const char *phone_death(const struct phone *p)
{
	return p->death;
}

bool phone_plain(const struct phone *p)
{
	return p->plain;
}

const char *phone_uid_text(const struct phone *p)
{
	return p->uid_text;
}
