/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The record of the station: one line for each event that an operator would ask about, with message id and
 * fields (common/journal.h). Phones, jobs, packages, what is owed, and when the loop was held up.
 */
#ifndef FDLD_HOST_LOG_H
#define FDLD_HOST_LOG_H

struct loop;
struct station;
struct host_log;

/* Before station_start(), so that nothing is missed. NULL when memory is short. */
struct host_log *host_log_new(struct loop *loop, struct station *station);
/* Before station_free(). NULL is fine. */
void host_log_free(struct host_log *log);

#endif
