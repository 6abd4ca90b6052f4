/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* org.fdld1.Slot.Write. */
#include "bus/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct files {
	struct job_write file[JOB_WRITES_MAX]; /* texts are the message's */
	uint32_t count;
};

static void files_free(void *arg)
{
	struct files *files = arg;

	for (uint32_t i = 0; files && i < files->count; i++)
		if (files->file[i].fd >= 0)
			close(files->file[i].fd);
	free(files);
}

static int malformed(struct failure *why)
{
	return failure_set(why, ERR_INVALID_ARGS, "malformed files");
}

/* The a(shs) that comes next, with descriptors of our own; without `to` it is only looked at. */
static int take_files(struct call *call, struct files *to, char *text, size_t room, struct failure *why)
{
	const char *target, *name;
	size_t used = 0;
	uint32_t count = 0;
	int r = sd_bus_message_enter_container(call->m, 'a', "(shs)");

	if (r < 0)
		return malformed(why);
	while ((r = sd_bus_message_enter_container(call->m, 'r', "shs")) > 0) {
		int fd = -1;

		if (count == JOB_WRITES_MAX)
			return failure_set(why, ERR_INVALID_ARGS, "more than %d files", JOB_WRITES_MAX);
		if (sd_bus_message_read(call->m, "s", &target) < 0)
			return malformed(why);
		if (to) {
			r = work_take_fd(call->m, &fd, why);
			if (r < 0)
				return r;
			to->file[count] = (struct job_write){ .target = target, .fd = fd };
			to->count = count + 1;
		} else if (sd_bus_message_skip(call->m, "h") < 0) {
			return malformed(why);
		}
		if (sd_bus_message_read(call->m, "s", &name) < 0 ||
		    sd_bus_message_exit_container(call->m) < 0)
			return malformed(why);
		if (to)
			to->file[count].name = name;
		else if (used < room) /* as much of it as fits */
			used += (size_t)snprintf(text + used, room - used, " %.40s", target);
		count++;
	}
	return r < 0 || sd_bus_message_exit_container(call->m) < 0 ? malformed(why) : 0;
}

int demand_write(struct call *call, struct demand *demand)
{
	char text[256] = "", more[128] = "", operation[400];
	struct options options = { 0 };
	struct failure why = { 0 };
	struct slot_view view;
	int r = take_files(call, NULL, text, sizeof(text), &why);

	if (r >= 0)
		r = options_read(call->bus, call->m, OPTION_SINGLE | OPTION_WRITE | OPTION_EXPECT, &options,
				 &why);
	if (r >= 0 && options_unprotected(&options, more, sizeof(more)))
		demand->action = ACTION_FLASH_UNPROTECTED;
	snprintf(operation, sizeof(operation), "%s%s%s", options.dry_run ? "dry-run write" : "write", more,
		 text);
	slot_view(call->object->handle, &view);
	demand_text(demand->slot, sizeof(demand->slot), view.id);
	demand_text(demand->operation, sizeof(demand->operation), operation);
	options_free(&options);
	return r < 0 ? reply_failure(call->error, &why) : 0;
}

static int start(struct station *st, struct job_request *request, const struct options *options, void *extra,
		 station_job_fn done, void *user, struct failure *why)
{
	struct files *files = extra;

	(void)options;
	request->writes = files->file;
	request->write_count = files->count;
	return station_write(st, request, done, user, why);
}

int slot_write(struct call *call)
{
	struct work_place place = {
		.flash = true, .read = true, .slot = call->object->handle, .fd = -1, .start = start
	};
	struct files *files = calloc(1, sizeof(*files));
	struct failure why = { 0 };
	int r = files ? take_files(call, files, NULL, 0, &why) : failure_set(&why, ERR_INTERNAL, "no memory");

	if (r < 0) {
		files_free(files);
		return reply_failure(call->error, &why);
	}
	place.extra = files;
	place.drop = files_free;
	return work_begin(call, &place, OPTION_SINGLE | OPTION_WRITE | OPTION_EXPECT);
}
