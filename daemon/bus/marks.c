/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* org.fdld1.Slot: how a phone starts, shown and set; and as a job's Result tells it. */
#include "bus/internal.h"

#include <stdio.h>

#include "common/util.h"

#define SET (OPTION_MARKS | OPTION_READ | OPTION_EXPECT)

/* "mark start=recovery active=b" */
static void operation(char *text, size_t room, const struct job_set_marks *set)
{
	char mode[32] = "";

	if (set->mode_given)
		snprintf(mode, sizeof(mode), " first_mode=%u", set->mode);
	snprintf(text, room, "mark%s%.20s%s%.20s%s%s", set->start ? " start=" : "",
		 set->start ? set->start : "", set->active ? " active=" : "", set->active ? set->active : "",
		 !set->verity_given ? ""
		 : set->verity	    ? " verity=on"
				    : " verity=off",
		 mode);
}

int demand_marks(struct call *call, struct demand *demand)
{
	bool set = !strcmp(sd_bus_message_get_member(call->m), "SetMarks");
	struct failure why = { 0 };
	struct slot_view view;
	struct options options;
	char text[160] = "marks";
	int r = options_read(call->bus, call->m, set ? SET : OPTION_READ | OPTION_EXPECT, &options, &why);

	slot_view(call->object->handle, &view);
	demand_text(demand->slot, sizeof(demand->slot), view.id);
	if (r >= 0 && set)
		operation(text, sizeof(text), &options.marks);
	demand_text(demand->operation, sizeof(demand->operation), text);
	if (r >= 0 && set && options.job.force_loaders)
		demand->action = ACTION_FLASH_UNPROTECTED;
	options_free(&options);
	return r < 0 ? reply_failure(call->error, &why) : 0;
}

static int start_set(struct station *st, struct job_request *request, const struct options *options,
		     void *extra, station_job_fn done, void *user, struct failure *why)
{
	(void)extra;
	return station_set_marks(st, request, &options->marks, done, user, why);
}

static int start_read(struct station *st, struct job_request *request, const struct options *options,
		      void *extra, station_job_fn done, void *user, struct failure *why)
{
	(void)extra;
	(void)options;
	return station_read_marks(st, request, done, user, why);
}

int slot_set_marks(struct call *call)
{
	struct work_place place = {
		.flash = true, .read = true, .slot = call->object->handle, .fd = -1, .start = start_set
	};

	return work_begin(call, &place, SET);
}

int slot_read_marks(struct call *call)
{
	struct work_place place = {
		.flash = true, .read = true, .slot = call->object->handle, .fd = -1, .start = start_read
	};

	return work_begin(call, &place, OPTION_READ | OPTION_EXPECT);
}

/* ---- Result ----------------------------------------------------------------------- */

static int append_slots(sd_bus_message *m, const struct job_marks *marks)
{
	int r;

	if ((r = sd_bus_message_open_container(m, 'e', "sv")) < 0 ||
	    (r = sd_bus_message_append_basic(m, 's', "slots")) < 0 ||
	    (r = sd_bus_message_open_container(m, 'v', "aa{sv}")) < 0 ||
	    (r = sd_bus_message_open_container(m, 'a', "a{sv}")) < 0)
		return r;
	for (int i = 0; i < 2; i++) {
		const struct job_mark_slot *s = &marks->slot[i];
		int good = s->successful, bad = s->corrupted;

		if ((r = sd_bus_message_open_container(m, 'a', "{sv}")) < 0 ||
		    (r = reply_entry(m, "name", 's', i ? "b" : "a")) < 0 ||
		    (r = reply_entry(m, "priority", 'u', &s->priority)) < 0 ||
		    (r = reply_entry(m, "tries", 'u', &s->tries)) < 0 ||
		    (r = reply_entry(m, "successful", 'b', &good)) < 0 ||
		    (r = reply_entry(m, "corrupted", 'b', &bad)) < 0 ||
		    (r = sd_bus_message_close_container(m)) < 0)
			return r;
	}
	for (int i = 0; r >= 0 && i < 3; i++)
		r = sd_bus_message_close_container(m);
	return r;
}

static int append_verity(sd_bus_message *m, const struct job_marks *marks)
{
	int r;

	if ((r = sd_bus_message_open_container(m, 'e', "sv")) < 0 ||
	    (r = sd_bus_message_append_basic(m, 's', "verity")) < 0 ||
	    (r = sd_bus_message_open_container(m, 'v', "a{sb}")) < 0 ||
	    (r = sd_bus_message_open_container(m, 'a', "{sb}")) < 0)
		return r;
	for (uint32_t i = 0; r >= 0 && i < marks->verity_count; i++)
		r = sd_bus_message_append(m, "{sb}", marks->verity[i].partition, (int)marks->verity[i].on);
	for (int i = 0; r >= 0 && i < 3; i++)
		r = sd_bus_message_close_container(m);
	return r;
}

int marks_append(struct job *job, sd_bus_message *m)
{
	struct job_marks marks;
	uint32_t mode;
	int r;

	job_marks(job, &marks);
	if (!marks.told)
		return 0;
	mode = marks.mode < 0 ? 0 : (uint32_t)marks.mode;
	if ((r = sd_bus_message_open_container(m, 'e', "sv")) < 0 ||
	    (r = sd_bus_message_append_basic(m, 's', "marks")) < 0 ||
	    (r = sd_bus_message_open_container(m, 'v', "a{sv}")) < 0 ||
	    (r = sd_bus_message_open_container(m, 'a', "{sv}")) < 0 ||
	    (r = reply_entry(m, "start", 's', marks.start)) < 0 ||
	    (r = reply_entry(m, "command", 's', marks.command)) < 0 ||
	    (r = reply_entry(m, "arguments", 's', marks.arguments)) < 0 ||
	    (r = reply_entry(m, "slot_data", 's', marks.slots)) < 0 ||
	    (marks.mode >= 0 && (r = reply_entry(m, "first_mode", 'u', &mode)) < 0) ||
	    (r = append_verity(m, &marks)) < 0)
		return r;
	if (!strcmp(marks.slots, "valid") &&
	    ((r = reply_entry(m, "active", 's', marks.active)) < 0 ||
	     (r = reply_entry(m, "started", 's', marks.started)) < 0 || (r = append_slots(m, &marks)) < 0))
		return r;
	for (int i = 0; r >= 0 && i < 3; i++)
		r = sd_bus_message_close_container(m);
	return r;
}
