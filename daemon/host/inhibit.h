/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Keeps the machine awake while phones are flashed: locks of logind (org.freedesktop.login1), asked for
 * without waiting, held as descriptors. A block lock from the first job that leaves the queue to the end of
 * the last; a delay lock from the first open job on, so that the news "about to sleep, about to shut down"
 * comes in time: then no further job begins. Without logind, or refused by it, jobs run all the same.
 * (dbus-daemon-practice 13)
 */
#ifndef FDLD_HOST_INHIBIT_H
#define FDLD_HOST_INHIBIT_H

#include <systemd/sd-bus.h>

struct loop;
struct station;
struct host_inhibit;

/* Subscribes to the station. NULL when memory is short. */
struct host_inhibit *host_inhibit_new(struct loop *loop, struct station *station);
/* Frees; lets go of the locks. NULL is fine. */
void host_inhibit_free(struct host_inhibit *inhibit);
/* The bus can be used, until host_inhibit_down(). The locks that are held outlive the connection. */
void host_inhibit_up(struct host_inhibit *inhibit, sd_bus *bus);
void host_inhibit_down(struct host_inhibit *inhibit);
/* For the STATUS line: what is wrong with the locks, "" if nothing. */
const char *host_inhibit_note(const struct host_inhibit *inhibit);

#endif
