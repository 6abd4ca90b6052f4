/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where a read job puts what it reads: descriptors of the caller, one for each area. A file, a pipe or a
 * socket that is open for writing; bytes go out whole and in their order, and are hashed on their way. In a
 * file zeros behind its end become holes; size and sum are those of the whole.
 *
 * Counted: the job holds them, and a thread that is left behind in a write that never returns. Taken and
 * looked at on the loop, written on the job's writer thread; what is told of one is fixed once it is closed.
 */
#ifndef FDLD_STATION_SINK_H
#define FDLD_STATION_SINK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

struct sinks;

/*
 * Takes count descriptors (also when it fails; the array stays the caller's). InvalidArgs: one is not open
 * for writing, or is no file, pipe or socket. No file system is asked anything.
 */
int sinks_new(const int *fds, uint32_t count, struct sinks **out, struct failure *why);
struct sinks *sinks_ref(struct sinks *sinks);
/* Any thread; NULL is fine. The last one closes what is open, aside: a file system may not let go. */
void sinks_unref(struct sinks *sinks);

/*
 * On the writer thread: all of len bytes, or TargetFailed: errno in the detail, or that a pipe or socket has
 * not taken all of it within stall_usec. Cancelled: after sinks_stop().
 */
int sinks_write(struct sinks *sinks, uint32_t index, const void *bytes, size_t len, uint64_t stall_usec,
		struct failure *why);
/* On the writer thread: a file is synced, then the descriptor is closed and the sum is there. */
int sinks_finish(struct sinks *sinks, uint32_t index, struct failure *why);
/* Any thread: whoever waits for a pipe or socket gives up. */
void sinks_stop(struct sinks *sinks);

/* Bytes that went out and, in hex, their SHA-256; "" while it is not finished. The text lives with sinks. */
const char *sinks_sum(const struct sinks *sinks, uint32_t index, uint64_t *bytes);
uint32_t sinks_whole(const struct sinks *sinks); /* how many are finished; any thread, NULL is fine */

#endif
