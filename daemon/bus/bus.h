/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The station on D-Bus: org.fdld1 as dbus/ declares it. Shows what the station has, passes on what callers
 * ask for, decides who may ask. A bus that goes away changes nothing for the jobs; everything is shown again
 * when it is back. Belongs to the loop's thread; nothing here blocks.
 */
#ifndef FDLD_BUS_BUS_H
#define FDLD_BUS_BUS_H

#include <systemd/sd-bus.h>

#include "common/error.h"

struct loop;
struct station;
struct bus;

struct bus_events {
	void (*ready)(void *user);				/* we own the name; once */
	void (*refused)(void *user, const struct failure *why); /* the first attempt: BusFailed, NameTaken */
	/*
	 * For what else lives on the same connection (host); each may be NULL. attach: it was made, nothing
	 * was sent yet, objects may be registered; 0 or negative errno. up: we own the name; each time. down:
	 * it is over, every message and slot of it must be let go of now.
	 */
	int (*attach)(void *user, sd_bus *conn);
	void (*up)(void *user, sd_bus *conn);
	void (*down)(void *user);
};

/*
 * address: "system", "session" or a D-Bus address. Subscribes to the station, so before station_start().
 * NULL when memory is short.
 */
struct bus *bus_new(struct loop *loop, struct station *station, const char *address,
		    const struct bus_events *events, void *user);
/* Begins to connect; ready() or refused() follows. */
void bus_start(struct bus *bus);
/* Sends what is queued (half a second at most), closes, lets go of the station: before station_free(). NULL
 * is fine. */
void bus_stop(struct bus *bus);
/* After station_free(), which may still answer what was asked. NULL is fine. */
void bus_free(struct bus *bus);

#endif
