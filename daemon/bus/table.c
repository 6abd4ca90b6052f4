/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* org.fdld1.Slot.Repartition, and what a job's Result tells of tables. */
#include "bus/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/util.h"

#define WITH (OPTION_SINGLE | OPTION_TABLE | OPTION_EXPECT)

/* The caller's file until the station has it. */
struct asked {
	int fd;
};

static void drop(void *extra)
{
	struct asked *a = extra;

	if (a->fd >= 0)
		close(a->fd);
	free(a);
}

int demand_repartition(struct call *call, struct demand *demand)
{
	struct failure why = { 0 };
	struct options options = { 0 };
	char text[256], more[128] = "";
	struct slot_view view;
	int r = sd_bus_message_skip(call->m, "h");

	if (r < 0)
		return r;
	r = options_read(call->bus, call->m, WITH, &options, &why);
	if (r >= 0 && options_unprotected(&options, more, sizeof(more)))
		demand->action = ACTION_FLASH_UNPROTECTED;
	snprintf(text, sizeof(text), "%s%s", options.dry_run ? "dry-run repartition" : "repartition", more);
	slot_view(call->object->handle, &view);
	demand_text(demand->slot, sizeof(demand->slot), view.id);
	demand_text(demand->operation, sizeof(demand->operation), text);
	options_free(&options);
	return r < 0 ? reply_failure(call->error, &why) : 0;
}

static int start(struct station *st, struct job_request *request, const struct options *options, void *extra,
		 station_job_fn done, void *user, struct failure *why)
{
	struct asked *a = extra;

	return station_repartition(st, request, TAKE_FD(a->fd), options->product, done, user, why);
}

int slot_repartition(struct call *call)
{
	struct work_place place = {
		.flash = true, .read = true, .slot = call->object->handle, .fd = -1, .start = start
	};
	struct asked *a = calloc(1, sizeof(*a));
	struct failure why = { 0 };

	if (!a)
		return -ENOMEM;
	a->fd = -1;
	if (work_take_fd(call->m, &a->fd, &why) < 0) {
		drop(a);
		return reply_failure(call->error, &why);
	}
	place.extra = a;
	place.drop = drop;
	return work_begin(call, &place, WITH);
}

/* ---- Result ----------------------------------------------------------------------- */

static int open_rows(sd_bus_message *m, const char *key)
{
	int r;

	if ((r = sd_bus_message_open_container(m, 'e', "sv")) < 0 ||
	    (r = sd_bus_message_append_basic(m, 's', key)) < 0 ||
	    (r = sd_bus_message_open_container(m, 'v', "aa{sv}")) < 0)
		return r;
	return sd_bus_message_open_container(m, 'a', "a{sv}");
}

static int close_rows(sd_bus_message *m, int r)
{
	for (int i = 0; r >= 0 && i < 3; i++)
		r = sd_bus_message_close_container(m);
	return r;
}

static int append_rows(struct job *job, sd_bus_message *m)
{
	struct job_partition p;
	struct job_table t;
	uint64_t sector;
	int r;

	job_table(job, &t);
	if (!*t.source)
		return 0;
	sector = t.sector;
	if ((r = reply_entry(m, "table_source", 's', t.source)) < 0 ||
	    (r = reply_entry(m, "sector", 't', &sector)) < 0 ||
	    (r = reply_entry(m, "user_size", 't', &t.user_size)) < 0 || (r = open_rows(m, "table")) < 0)
		return r;
	for (uint32_t i = 0; r >= 0 && job_partition(job, i, &p); i++)
		if ((r = sd_bus_message_open_container(m, 'a', "{sv}")) >= 0 &&
		    (r = reply_entry(m, "name", 's', p.name)) >= 0 &&
		    (r = reply_entry(m, "start", 't', &p.start)) >= 0 &&
		    (r = reply_entry(m, "size", 't', &p.size)) >= 0)
			r = sd_bus_message_close_container(m);
	return close_rows(m, r);
}

int table_append(struct job *job, sd_bus_message *m)
{
	struct job_change c;
	int own, r = append_rows(job, m);

	if (r < 0 || !job_change(job, 0, &c))
		return r;
	r = open_rows(m, "table_changes");
	for (uint32_t i = 0; r >= 0 && job_change(job, i, &c); i++) {
		own = c.own;
		if ((r = sd_bus_message_open_container(m, 'a', "{sv}")) >= 0 &&
		    (r = reply_entry(m, "name", 's', c.name)) >= 0 &&
		    (r = reply_entry(m, "change", 's', c.change)) >= 0 &&
		    (r = reply_entry(m, "content", 's', c.content)) >= 0 &&
		    (r = reply_entry(m, "was", 't', &c.was)) >= 0 &&
		    (r = reply_entry(m, "will", 't', &c.will)) >= 0 &&
		    (r = reply_entry(m, "own", 'b', &own)) >= 0)
			r = sd_bus_message_close_container(m);
	}
	return close_rows(m, r);
}
