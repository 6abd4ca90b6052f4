/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * org.freedesktop.LogControl1, by which `systemctl service-log-level` and `service-log-target` reach us.
 * Everybody may read; root and our own user may set. Nothing here waits for the bus: who asks is looked up
 * first, and the answer to Set follows.
 */
#ifndef FDLD_HOST_LOGCONTROL_H
#define FDLD_HOST_LOGCONTROL_H

#include <systemd/sd-bus.h>

struct host_logcontrol;

struct host_logcontrol *host_logcontrol_new(void);	    /* NULL when memory is short */
void host_logcontrol_free(struct host_logcontrol *control); /* NULL is fine */
/* Registers the object on a new connection. 0 or negative errno. Everything goes with host_logcontrol_down().
 */
int host_logcontrol_attach(struct host_logcontrol *control, sd_bus *bus);
void host_logcontrol_down(struct host_logcontrol *control);

#endif
