/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/reload.h"

#include <signal.h>
#include <stdlib.h>

#include "common/journal.h"
#include "host/notify.h"
#include "loop/loop.h"
#include "station/config.h"
#include "station/station.h"

struct host_reload {
	struct station *station;
	struct loop_signal *hup;
};

static void on_signal(void *arg)
{
	struct host_reload *reload = arg;
	struct failure why = { 0 };
	char text[512];

	if (config_reload(station_config(reload->station), NULL, NULL, &why) < 0)
		journal_line(LOG_ERR, "the configuration cannot be read anew: %s",
			     failure_text(&why, text, sizeof(text)));
}

static void on_reading(void *user)
{
	host_notify_reloading();
}

static void on_read(void *user, const struct failure *why)
{
	host_notify_reloaded();
}

static const struct station_events events = { .config_reading = on_reading, .config_read = on_read };

struct host_reload *host_reload_new(struct loop *loop, struct station *station)
{
	struct host_reload *reload = calloc(1, sizeof(*reload));

	if (!reload)
		return NULL;
	reload->station = station;
	reload->hup = loop_signal_new(loop, SIGHUP, on_signal, reload);
	if (!reload->hup || station_subscribe(station, &events, reload) < 0) {
		host_reload_free(reload);
		return NULL;
	}
	return reload;
}

void host_reload_free(struct host_reload *reload)
{
	if (!reload)
		return;
	station_unsubscribe(reload->station, &events, reload);
	loop_signal_free(reload->hup);
	free(reload);
}
