/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* org.fdld1.Slot: areas of a phone's storage, and the end of what is kept running on it. */
#include "bus/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"

static int malformed(struct failure *why)
{
	return failure_set(why, ERR_INVALID_ARGS, "malformed areas");
}

/* The a(stth) that comes next, with descriptors of our own. What was taken is the caller's, also on failure.
 */
static int take_areas(struct call *call, struct job_read *reads, uint32_t *count, struct failure *why)
{
	int r = sd_bus_message_enter_container(call->m, 'a', "(stth)");

	*count = 0;
	if (r < 0)
		return malformed(why);
	while ((r = sd_bus_message_enter_container(call->m, 'r', "stth")) > 0) {
		struct job_read *to = &reads[*count];

		if (*count == JOB_READS_MAX)
			return failure_set(why, ERR_INVALID_ARGS, "more than %d areas", JOB_READS_MAX);
		if (sd_bus_message_read(call->m, "stt", &to->target, &to->offset, &to->size) < 0)
			return malformed(why);
		r = work_take_fd(call->m, &to->fd, why);
		if (r < 0)
			return r;
		(*count)++;
		if (sd_bus_message_exit_container(call->m) < 0)
			return malformed(why);
	}
	return r < 0 || sd_bus_message_exit_container(call->m) < 0 ? malformed(why) : 0;
}

static int skip_areas(struct call *call, char *text, size_t room, bool *own, struct failure *why)
{
	uint64_t offset, size;
	const char *target;
	size_t used = (size_t)snprintf(text, room, "read");
	int r = sd_bus_message_enter_container(call->m, 'a', "(stth)");

	*own = false;
	if (r < 0)
		return malformed(why);
	while ((r = sd_bus_message_enter_container(call->m, 'r', "stth")) > 0) {
		if (sd_bus_message_read(call->m, "stt", &target, &offset, &size) < 0 ||
		    sd_bus_message_skip(call->m, "h") < 0 || sd_bus_message_exit_container(call->m) < 0)
			return malformed(why);
		*own |= station_area_own(target);
		/* as much of it as fits */
		if (used < room)
			used += (size_t)snprintf(text + used, room - used, " %.40s", target);
	}
	return r < 0 || sd_bus_message_exit_container(call->m) < 0 ? malformed(why) : 0;
}

static void name_place(struct call *call, struct demand *demand)
{
	struct slot_view view;

	slot_view(call->object->handle, &view);
	demand_text(demand->slot, sizeof(demand->slot), view.id);
}

int demand_read(struct call *call, struct demand *demand)
{
	struct failure why = { 0 };
	struct options options = { 0 };
	char text[256];
	bool own;
	int r = skip_areas(call, text, sizeof(text), &own, &why);

	if (r >= 0)
		r = options_read(call->bus, call->m, OPTION_READ | OPTION_EXPECT, &options, &why);
	name_place(call, demand);
	demand_text(demand->operation, sizeof(demand->operation), text);
	/* identity and calibration of this one phone are for fewer than the rest of it */
	if (own)
		demand->action = ACTION_EXPORT_NV;
	options_free(&options);
	return r < 0 ? reply_failure(call->error, &why) : 0;
}

int demand_release_phone(struct call *call, struct demand *demand)
{
	struct failure why = { 0 };
	struct options options;
	int r = options_read(call->bus, call->m, OPTION_RELEASE | OPTION_EXPECT, &options, &why);

	name_place(call, demand);
	demand_text(demand->operation, sizeof(demand->operation), options.power_off ? "power-off" : "reset");
	options_free(&options);
	return r < 0 ? reply_failure(call->error, &why) : 0;
}

int slot_read(struct call *call)
{
	struct work_place place = { .flash = true, .read = true, .slot = call->object->handle, .fd = -1 };
	struct failure why = { 0 };
	int r;

	place.reads = calloc(JOB_READS_MAX, sizeof(*place.reads));
	r = place.reads ? take_areas(call, place.reads, &place.read_count, &why)
			: failure_set(&why, ERR_INTERNAL, "no memory");
	if (r >= 0)
		return work_begin(call, &place, OPTION_READ | OPTION_EXPECT);
	for (uint32_t i = 0; i < place.read_count; i++)
		close(place.reads[i].fd);
	free(place.reads);
	return reply_failure(call->error, &why);
}

int demand_read_table(struct call *call, struct demand *demand)
{
	struct failure why = { 0 };
	struct options options;
	int r = options_read(call->bus, call->m, OPTION_READ | OPTION_EXPECT, &options, &why);

	name_place(call, demand);
	demand_text(demand->operation, sizeof(demand->operation), "table");
	options_free(&options);
	return r < 0 ? reply_failure(call->error, &why) : 0;
}

int slot_read_table(struct call *call)
{
	struct work_place place = {
		.flash = true, .read = true, .table = true, .slot = call->object->handle, .fd = -1
	};

	return work_begin(call, &place, OPTION_READ | OPTION_EXPECT);
}

int slot_reset_phone(struct call *call)
{
	struct work_place place = { .flash = true, .release = true, .slot = call->object->handle, .fd = -1 };

	return work_begin(call, &place, OPTION_RELEASE | OPTION_EXPECT);
}
