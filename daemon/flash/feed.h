/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bytes of a source as a step walks over them: at most two chunks lent by the runner, the one in use and
 * the one fetched ahead; or memory that holds the whole. Asks for what is lacking, reads nothing itself.
 */
#ifndef FDLD_FLASH_FEED_H
#define FDLD_FLASH_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flash/want.h"

struct feed_chunk {
	const uint8_t *data; /* NULL: none */
	uint64_t offset;     /* bytes, in the source */
	size_t len;
};

struct feed {
	struct source_ref source;
	const uint8_t *memory; /* the whole source, or NULL */
	uint64_t size;	       /* bytes of the source */
	size_t chunk;	       /* bytes to fetch at once, at most SESSION_CHUNK */
	struct feed_chunk now, ahead;
};

/* piece: the usual bytes of one request; chunks are made a multiple of it, a large one itself, so that
 * requests rarely straddle. */
void feed_open(struct feed *f, struct source_ref source, uint64_t size, size_t piece);
void feed_open_memory(struct feed *f, const uint8_t *memory, uint64_t size);

/* Bytes [offset, offset + len), or NULL if they have to be fetched first. Leaves a chunk behind when it is
 * passed. */
const uint8_t *feed_at(struct feed *f, uint64_t offset, size_t len);

/* Contiguous bytes that feed_at() would give at offset without fetching; 0 if none. */
size_t feed_ready(const struct feed *f, uint64_t offset);

/* What to fetch for offset: *len bytes from there. */
void feed_want(const struct feed *f, uint64_t offset, uint64_t *from, size_t *len);

/* What may be fetched ahead while the chunk in use serves: false if nothing, or if it is here already. */
bool feed_want_ahead(const struct feed *f, uint64_t *from, size_t *len);

/* A chunk has come; false if it is not what was asked for. It follows the one in use or replaces both. */
bool feed_put(struct feed *f, uint64_t offset, size_t asked, const uint8_t *data, size_t len);

#endif
