/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The only way bytes enter this room: a length and a positioned read. Whoever opens files or maps memory
 * makes one of these; nothing in here knows a descriptor.
 */
#ifndef FDLD_PAC_SOURCE_H
#define FDLD_PAC_SOURCE_H

#include <stddef.h>
#include <stdint.h>

struct source {
	uint64_t size; /* bytes */
	/*
	 * Fills buf with exactly len bytes from offset. 0, or negative errno; anything short of len is -EIO.
	 * May be called from any thread that holds the source, one call at a time for each caller.
	 */
	int (*read_at)(void *ctx, uint64_t offset, void *buf, size_t len);
	void *ctx;
};

/* Bounded read: -EIO when [offset, offset + len) is not wholly inside the source, else what read_at says. */
int source_read(const struct source *src, uint64_t offset, void *buf, size_t len);

/* A source over memory that the caller keeps alive and unchanged; copyable, owns nothing. */
struct source source_memory(const void *data, size_t len);

#endif
