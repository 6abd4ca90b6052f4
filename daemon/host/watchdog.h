/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tells the service manager that the loop turns, if it asked for that (WATCHDOG_USEC). The ping is a timer of
 * the same loop that does the work and must stay one: a thread would go on pinging over a dead loop.
 */
#ifndef FDLD_HOST_WATCHDOG_H
#define FDLD_HOST_WATCHDOG_H

#include "loop/loop.h"

struct host_watchdog;

/* Pings at half the time asked for; *out is NULL when nobody asked. 0 or -ENOMEM. */
int host_watchdog_new(struct loop *loop, struct host_watchdog **out);
void host_watchdog_free(struct host_watchdog *watchdog); /* NULL is fine */

#endif
