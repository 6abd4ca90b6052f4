/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The line that `systemctl status` shows, kept true by the station's events: phones, jobs, what is wrong.
 */
#ifndef FDLD_HOST_STATUS_H
#define FDLD_HOST_STATUS_H

struct loop;
struct station;
struct host_status;
struct host_ending;
struct host_inhibit;
struct host_renew;

/* NULL when memory is short. The line is written at most once a turn of the loop. */
struct host_status *host_status_new(struct loop *loop, struct station *station);
/* What else the line tells of; each lives longer than status, or is NULL. */
void host_status_ask(struct host_status *status, const struct host_ending *ending,
		     const struct host_inhibit *inhibit, const struct host_renew *renew);
/* Before station_free(). NULL is fine. */
void host_status_free(struct host_status *status);

#endif
