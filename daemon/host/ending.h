/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The end on SIGTERM or SIGINT. First signal: no new jobs, queued and waiting ones are cancelled, running
 * ones go on; the service manager is told that this takes time. Second: running ones stop at their next
 * boundary. The loop is quit with 0 when nothing is left.
 */
#ifndef FDLD_HOST_ENDING_H
#define FDLD_HOST_ENDING_H

struct loop;
struct station;
struct host_ending;

/* Takes the signals. NULL when memory is short. */
struct host_ending *host_ending_new(struct loop *loop, struct station *station);
/* Before station_free(). NULL is fine. */
void host_ending_free(struct host_ending *ending);

#endif
