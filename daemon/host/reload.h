/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * SIGHUP reads the configuration anew, as Manager.Reload does; whoever asked for it, the service manager is
 * told when it begins and when it is over (RELOADING=1, READY=1).
 */
#ifndef FDLD_HOST_RELOAD_H
#define FDLD_HOST_RELOAD_H

struct loop;
struct station;
struct host_reload;

/* Takes the signal. The station has a configuration. NULL when memory is short. */
struct host_reload *host_reload_new(struct loop *loop, struct station *station);
/* Before station_free(). NULL is fine. */
void host_reload_free(struct host_reload *reload);

#endif
