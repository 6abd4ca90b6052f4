/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The room's life: what the station reports is recorded and shown; the connection comes and goes. */
#include "bus/internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"

/* ---- the station reports ---------------------------------------------------------- */

static void on_station_changed(void *user)
{
	object_touch(user, user);
}

static void add_numbered(struct bus *bus, enum bus_kind kind, void *handle, const char *prefix, uint64_t n)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/%" PRIu64, prefix, n);
	/* without memory for its record a thing is not shown; it is there all the same */
	(void)object_add(bus, kind, handle, path);
}

static void on_slot_added(void *user, struct slot *slot)
{
	_cleanup_free_ char *path = NULL;
	struct slot_view view;

	slot_view(slot, &view);
	if (sd_bus_path_encode(FDLD_PATH_SLOTS, view.id, &path) >= 0)
		(void)object_add(user, KIND_SLOT, slot, path);
}

static void on_slot_changed(void *user, struct slot *slot)
{
	object_touch(user, slot);
}

static void on_device_added(void *user, struct device *device)
{
	struct device_view view;

	device_view(device, &view);
	add_numbered(user, KIND_DEVICE, device, FDLD_PATH_DEVICES, view.number);
	object_touch(user, view.slot);
}

static void on_device_changed(void *user, struct device *device)
{
	object_touch(user, device);
}

static void on_device_removed(void *user, struct device *device)
{
	struct device_view view;

	device_view(device, &view);
	object_remove(user, device);
	object_touch(user, view.slot);
}

static void on_image_added(void *user, struct image *image)
{
	struct image_view view;

	image_view(image, &view);
	add_numbered(user, view.loader ? KIND_LOADER : KIND_IMAGE, image,
		     view.loader ? FDLD_PATH_LOADERS : FDLD_PATH_IMAGES, view.number);
}

static void on_image_changed(void *user, struct image *image)
{
	object_touch(user, image);
}

static void on_image_removed(void *user, struct image *image)
{
	struct bus *bus = user;

	object_remove(bus, image);
	for (struct object *o = bus->objects; o; o = o->next)
		if (o->kind == KIND_JOB)
			object_touch(bus, o->handle);
}

static void on_job_added(void *user, struct job *job)
{
	struct job_view view;

	job_view(job, &view);
	add_numbered(user, KIND_JOB, job, FDLD_PATH_JOBS, view.number);
	object_touch(user, view.slot);
}

static void on_job_changed(void *user, struct job *job)
{
	object_touch(user, job);
}

static void on_job_progress(void *user, struct job *job)
{
	object_touch_progress(user, job);
}

/* The last progress and the change to the end go first, then the convenience signal, then who waits. */
static void on_job_finished(void *user, struct job *job)
{
	struct bus *bus = user;
	struct object *o = object_of(bus, job);
	struct job_view view;

	if (!o)
		return;
	job_view(job, &view);
	object_touch(bus, job);
	object_flush(bus);
	if (link_bus(bus->link))
		(void)sd_bus_emit_signal(bus->conn, FDLD_PATH_ROOT, FDLD_IFACE_MANAGER, "JobFinished", "oss",
					 o->path, view.state, reply_error_name(&view.failure));
	job_answer_waits(bus, o);
}

static void on_job_removed(void *user, struct job *job)
{
	object_remove(user, job);
}

static const struct station_events station_events = {
	.station_changed = on_station_changed,
	.slot_added = on_slot_added,
	.slot_changed = on_slot_changed,
	.device_added = on_device_added,
	.device_changed = on_device_changed,
	.device_removed = on_device_removed,
	.image_added = on_image_added,
	.image_changed = on_image_changed,
	.image_removed = on_image_removed,
	.job_added = on_job_added,
	.job_changed = on_job_changed,
	.job_progress = on_job_progress,
	.job_finished = on_job_finished,
	.job_removed = on_job_removed,
};

/* What is there already: jobs that an earlier run left. */
static void show_what_is_there(struct bus *bus)
{
	for (struct slot *s = NULL; (s = station_next_slot(bus->station, s));)
		on_slot_added(bus, s);
	for (struct device *d = NULL; (d = station_next_device(bus->station, d));)
		on_device_added(bus, d);
	for (struct image *i = NULL; (i = station_next_image(bus->station, i));)
		on_image_added(bus, i);
	for (struct job *j = NULL; (j = station_next_job(bus->station, j));)
		on_job_added(bus, j);
}

/* ---- the connection --------------------------------------------------------------- */

static int on_attach(void *user, sd_bus *conn)
{
	struct bus *bus = user;

	int r;

	bus->conn = conn;
	r = object_attach(bus, conn);
	return r < 0 || !bus->events->attach ? r : bus->events->attach(bus->user, conn);
}

static void on_up(void *user, sd_bus *conn)
{
	struct bus *bus = user;

	if (!bus->announced) {
		bus->announced = true;
		bus->events->ready(bus->user);
	}
	if (bus->events->up)
		bus->events->up(bus->user, conn);
}

/* Callers are gone with the connection; what they asked of a phone goes on. */
static void on_down(void *user)
{
	struct bus *bus = user;

	if (bus->events->down)
		bus->events->down(bus->user);
	work_orphan(bus, NULL);
	client_forget_all(bus);
	for (struct object *o = bus->objects; o; o = o->next)
		job_drop_waits(bus, o, NULL);
	bus->conn = NULL;
}

static void on_refused(void *user, const struct failure *why)
{
	struct bus *bus = user;

	bus->events->refused(bus->user, why);
}

static void on_turn(void *user)
{
	object_flush(user);
}

static const struct link_events link_events = {
	.attach = on_attach,
	.up = on_up,
	.down = on_down,
	.refused = on_refused,
	.turn = on_turn,
};

/* Held-back progress is due: the turn that follows sends it. */
static void on_progress_due(void *arg)
{
}

/* ---- life ------------------------------------------------------------------------- */

struct bus *bus_new(struct loop *loop, struct station *station, const char *address,
		    const struct bus_events *events, void *user)
{
	struct bus *bus = calloc(1, sizeof(*bus));

	if (!bus)
		return NULL;
	bus->loop = loop;
	bus->station = station;
	bus->events = events;
	bus->user = user;
	bus->objects_tail = &bus->objects;
	bus->link = link_new(loop, address, FDLD_BUS_NAME, &link_events, bus);
	bus->progress_timer = loop_timer_new(loop, on_progress_due, bus);
	if (!bus->link || !bus->progress_timer || object_add(bus, KIND_MANAGER, bus, FDLD_PATH_ROOT) < 0 ||
	    reply_map_errors() < 0 || station_subscribe(station, &station_events, bus) < 0) {
		bus_stop(bus);
		bus_free(bus);
		return NULL;
	}
	show_what_is_there(bus);
	return bus;
}

void bus_start(struct bus *bus)
{
	link_start(bus->link);
}

void bus_stop(struct bus *bus)
{
	if (!bus)
		return;
	if (bus->link && link_bus(bus->link))
		object_flush(bus);
	station_unsubscribe(bus->station, &station_events, bus);
	if (bus->link)
		polkit_take_back(bus, NULL);
	link_free(TAKE_PTR(bus->link));
	work_let_go(bus);
	object_free_all(bus);
	loop_timer_free(TAKE_PTR(bus->progress_timer));
}

void bus_free(struct bus *bus)
{
	if (!bus)
		return;
	work_free_all(bus);
	history_free_all(bus);
	free(bus);
}
