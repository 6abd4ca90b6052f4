/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The connection to the bus: opened, armed on the loop before every sleep (sd-bus tells by descriptor, events
 * and timeout, and all three change with its queues), drained in bounded portions, and opened again with a
 * growing pause when it was lost. Nothing here waits for the bus.
 */
#ifndef FDLD_BUS_LINK_H
#define FDLD_BUS_LINK_H

#include <systemd/sd-bus.h>

#include "common/error.h"
#include "loop/loop.h"

#define LINK_ADDRESS_SYSTEM  "system"
#define LINK_ADDRESS_SESSION "session"

struct link;

struct link_events {
	/* A connection was made, nothing was sent yet: register objects. 0 or negative errno. */
	int (*attach)(void *user, sd_bus *bus);
	/* The bus knows us and we own the name. */
	void (*up)(void *user, sd_bus *bus);
	/* That connection is over; every message and slot of it must be let go of now. */
	void (*down)(void *user);
	/* The first attempt failed: BusFailed or NameTaken. Later ones are tried again without a word. */
	void (*refused)(void *user, const struct failure *why);
	/* Before the loop sleeps, while up: the place to emit what has changed in this turn. */
	void (*turn)(void *user);
};

/*
 * address: LINK_ADDRESS_SYSTEM, LINK_ADDRESS_SESSION or a D-Bus address; copied. events must outlive the
 * link. NULL when memory is short.
 */
struct link *link_new(struct loop *loop, const char *address, const char *name,
		      const struct link_events *events, void *user);
/* Begins; up() or refused() follows. */
void link_start(struct link *link);
/* The connection if we own the name, else NULL. */
sd_bus *link_bus(const struct link *link);
/* Sends what is queued (at most a short moment), closes, frees; calls down() if it was up. NULL is fine. */
void link_free(struct link *link);

#endif
