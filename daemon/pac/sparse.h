/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Android sparse images (pac-and-flow 6.1): header, and a walk that maps every expanded byte to where it
 * comes from. All fields little-endian. The device expands; the map is for checking, fitting and read-back.
 */
#ifndef FDLD_PAC_SPARSE_H
#define FDLD_PAC_SPARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "pac/source.h"

#define SPARSE_MAGIC	   0xED26FF3Au
#define SPARSE_HEADER	   28u
#define SPARSE_CHUNK	   12u
#define SPARSE_TYPE_FILL   0xCAC2u /* type of a chunk whose data is one word */
#define SPARSE_EXTENTS_MAX 262144u /* merged extents kept for one image; more is refused */

struct sparse_header {
	uint16_t major, minor;
	uint16_t header_size; /* bytes, >= 28 */
	uint16_t chunk_size;  /* bytes of a chunk header, >= 12 */
	uint32_t block;	      /* bytes, a multiple of 4 */
	uint32_t blocks;      /* of the expanded image */
	uint32_t chunks;
	uint32_t checksum; /* as stored; not verified */
	uint64_t expanded; /* block * blocks, bytes */
};

enum sparse_kind { SPARSE_RAW = 1, SPARSE_FILL, SPARSE_HOLE };

struct sparse_extent {
	uint64_t offset; /* bytes in the expanded image */
	uint64_t length; /* bytes, never 0 */
	uint64_t source; /* SPARSE_RAW: absolute offset of its bytes in the source given to the walk */
	uint32_t fill;	 /* SPARSE_FILL: the word as stored, little-endian in memory order */
	enum sparse_kind kind;
};

struct sparse_map {
	struct sparse_header header;
	struct sparse_extent *extents; /* ascending, without gaps, neighbours of one kind merged */
	size_t count;
	uint64_t raw, filled, holes; /* bytes of each kind; their sum is header.expanded */
};

/* Whether these first bytes of an image are a sparse header's magic. */
bool sparse_is(const void *data, size_t len);

/* Decodes and checks a header of >= 28 bytes. 0 or PackageSparse in *why (offset relative to the image). */
int sparse_header_parse(const void *data, size_t len, struct sparse_header *h, struct failure *why);

/* One chunk header. */
struct sparse_chunk {
	enum sparse_kind kind; /* 0: a checksum, which stands for no bytes */
	uint64_t bytes;	       /* of the file: header and data */
	uint64_t length;       /* expanded bytes it stands for */
};

/*
 * Decodes and checks the chunk header in head, which stands at byte `at` of the image with `left` bytes of it
 * from there on and `room` expanded bytes still to come. number: its own, from 0, for the text. 0 or
 * PackageSparse in *why (offset relative to the image).
 */
int sparse_chunk_parse(const struct sparse_header *h, const uint8_t head[SPARSE_CHUNK], uint32_t number,
		       uint64_t at, uint64_t left, uint64_t room, struct sparse_chunk *out,
		       struct failure *why);

/*
 * Walks the image at [offset, offset + size) of src. Fills *map (release with sparse_map_free) on 0.
 * Failures: PackageSparse with why->offset from the start of the image, PackageReadFailed, -ENOMEM as
 * Internal. CRC32 chunks are stepped over. keep_going (may be NULL) is asked now and then; false ends the
 * walk with Cancelled.
 */
int sparse_walk(const struct source *src, uint64_t offset, uint64_t size, bool (*keep_going)(void *),
		void *ctx, struct sparse_map *map, struct failure *why);
void sparse_map_free(struct sparse_map *map);

/* The extent that holds this expanded offset; NULL past the end. Logarithmic. */
const struct sparse_extent *sparse_map_at(const struct sparse_map *map, uint64_t offset);

#endif
