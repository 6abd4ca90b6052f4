/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/status.h"

#include <stdlib.h>

#include "host/notify.h"
#include "loop/loop.h"
#include "station/station.h"

struct host_status {
	struct station *station;
	struct loop_prepare *prepare;
	bool dirty;
};

static void touch(void *user)
{
	((struct host_status *)user)->dirty = true;
}

static void touch_device(void *user, struct device *device)
{
	touch(user);
}

static void touch_job(void *user, struct job *job)
{
	touch(user);
}

static const struct station_events events = {
	.station_changed = touch,
	.device_added = touch_device,
	.device_removed = touch_device,
	.job_added = touch_job,
	.job_changed = touch_job,
	.job_removed = touch_job,
};

static void on_prepare(void *arg)
{
	struct host_status *status = arg;
	struct station_counts c;

	if (!status->dirty)
		return;
	status->dirty = false;
	station_counts(status->station, &c);
	host_notify_status("%s%u phone%s, %u job%s running, %u queued, %u waiting for a phone%s",
			   station_draining(status->station) ? "Stopping: " : "", c.devices,
			   c.devices == 1 ? "" : "s", c.running, c.running == 1 ? "" : "s", c.queued,
			   c.waiting, c.owed ? "; an NV backup is owed, see `fdlctl jobs`" : "");
}

struct host_status *host_status_new(struct loop *loop, struct station *station)
{
	struct host_status *status = calloc(1, sizeof(*status));

	if (!status)
		return NULL;
	status->station = station;
	status->dirty = true;
	status->prepare = loop_prepare_new(loop, on_prepare, status);
	if (!status->prepare || station_subscribe(station, &events, status) < 0) {
		host_status_free(status);
		return NULL;
	}
	return status;
}

void host_status_free(struct host_status *status)
{
	if (!status)
		return;
	station_unsubscribe(status->station, &events, status);
	loop_prepare_free(status->prepare);
	free(status);
}
