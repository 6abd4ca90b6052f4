/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* org.fdld1.Slot.Erase. */
#include "bus/internal.h"

#include <stdio.h>
#include <stdlib.h>

struct areas {
	struct job_erase area[JOB_ERASES_MAX]; /* texts are the message's */
	uint32_t count;
};

/* The a(st) that comes next. */
static int take_areas(struct call *call, struct areas *to, struct failure *why)
{
	int r = sd_bus_message_enter_container(call->m, 'a', "(st)");

	to->count = 0;
	if (r < 0)
		return failure_set(why, ERR_INVALID_ARGS, "malformed areas");
	while (to->count < JOB_ERASES_MAX &&
	       (r = sd_bus_message_read(call->m, "(st)", &to->area[to->count].target,
					&to->area[to->count].size)) > 0)
		to->count++;
	if (r > 0 && sd_bus_message_at_end(call->m, false) == 0)
		return failure_set(why, ERR_INVALID_ARGS, "more than %d areas", JOB_ERASES_MAX);
	return r < 0 || sd_bus_message_exit_container(call->m) < 0
		       ? failure_set(why, ERR_INVALID_ARGS, "malformed areas")
		       : 0;
}

int demand_erase(struct call *call, struct demand *demand)
{
	struct failure why = { 0 };
	struct options options = { 0 };
	char text[256], more[128] = "";
	struct slot_view view;
	struct areas areas;
	size_t used;
	int r = take_areas(call, &areas, &why);

	if (r >= 0)
		r = options_read(call->bus, call->m, OPTION_SINGLE | OPTION_ERASE | OPTION_EXPECT, &options,
				 &why);
	if (r >= 0 && options_unprotected(&options, more, sizeof(more)))
		demand->action = ACTION_FLASH_UNPROTECTED;
	used = (size_t)snprintf(text, sizeof(text), "%s%s%s", options.dry_run ? "dry-run erase" : "erase",
				more, options.user_data ? " user_data" : "");
	for (uint32_t i = 0; r >= 0 && i < areas.count && used < sizeof(text); i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, " %.40s", areas.area[i].target);
	slot_view(call->object->handle, &view);
	demand_text(demand->slot, sizeof(demand->slot), view.id);
	demand_text(demand->operation, sizeof(demand->operation), text);
	options_free(&options);
	return r < 0 ? reply_failure(call->error, &why) : 0;
}

static int start(struct station *st, struct job_request *request, const struct options *options, void *extra,
		 station_job_fn done, void *user, struct failure *why)
{
	const struct areas *areas = extra;

	request->erases = areas->area;
	request->erase_count = areas->count;
	request->user_data = options->user_data;
	return station_erase(st, request, done, user, why);
}

int slot_erase(struct call *call)
{
	struct work_place place = {
		.flash = true, .read = true, .slot = call->object->handle, .fd = -1, .start = start
	};
	struct areas *areas = calloc(1, sizeof(*areas));
	struct failure why = { 0 };
	int r = areas ? take_areas(call, areas, &why) : failure_set(&why, ERR_INTERNAL, "no memory");

	if (r < 0) {
		free(areas);
		return reply_failure(call->error, &why);
	}
	place.extra = areas;
	place.drop = free;
	return work_begin(call, &place, OPTION_SINGLE | OPTION_ERASE | OPTION_EXPECT);
}
