/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The history: a database of all jobs that have ended, <state directory>/history.db. It is an index of the
 * job folders and nothing else: whatever it holds can be made again from them, and is, when the file is
 * missing or damaged. It is written on a worker of its own and read beside that. A history that cannot be
 * written holds up no job; it says so, tries again, and catches up from the folders. The same worker takes
 * away folders and backups that are no longer to be kept; never one whose NV is owed.
 *
 * Belongs to the loop's thread.
 */
#ifndef FDLD_STATION_HISTORY_H
#define FDLD_STATION_HISTORY_H

#include <stdbool.h>
#include <stdint.h>

#include "station/station.h"

struct history;
struct history_store;

/* state_dir is copied. NULL: no memory. Nothing is opened yet. */
struct history *history_new(struct station *st, const char *state_dir);
/* Opens, or makes, the database and catches up with the job folders, on the worker. Once st->records are
 * there. */
void history_start(struct history *h);
/* The files of this job say how it ended: they have changed since the history last looked. */
void history_ended(struct history *h, uint64_t job);
/* Other settings: what is no longer to be kept may be more, or less. */
void history_configure(struct history *h);
bool history_busy(const struct history *h); /* something is being written */
/*
 * What has ended by now is to be in the answer. 1: it is written, or cannot be; 0: go(arg) is called later,
 * when that is so, or drop(arg), when the history is freed; -ENOMEM.
 */
int history_when_written(struct history *h, void (*go)(void *arg), void (*drop)(void *arg), void *arg);
/* For history_ask.c: what answers are made from. */
struct history_store *history_store_of(struct station *st);
void history_free(struct history *h); /* NULL is fine. What is being written is left behind */

#endif
