/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Follows the chunk headers of an Android sparse image (pac-and-flow 6.1) while its bytes pass by, and
 * remembers its last data: what comparing begins with. The phone expands the image itself.
 */
#ifndef FDLD_PAC_SPARSE_SCAN_H
#define FDLD_PAC_SPARSE_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pac/sparse.h"

enum sparse_piece_kind { PIECE_NONE, PIECE_RAW, PIECE_FILL };

struct sparse_piece {
	enum sparse_piece_kind kind;
	uint64_t offset; /* bytes, expanded image */
	uint64_t length; /* bytes, never 0 unless NONE */
	uint64_t source; /* RAW: offset of its bytes in the item */
	uint8_t fill[4]; /* FILL: the word in memory order */
};

/*
 * What the chunk header at file offset `at` means for comparing: *piece (NONE for holes and checksums), and
 * the chunk itself. number: of the chunk, from 0; left: bytes of the file from `at` on; out: its place in the
 * expanded image. FILL needs 4 bytes more than the header. 0 or -EBADMSG.
 */
int sparse_piece_parse(const struct sparse_header *h, const uint8_t *bytes, size_t len, uint32_t number,
		       uint64_t at, uint64_t left, uint64_t out, struct sparse_chunk *chunk,
		       struct sparse_piece *piece);

struct sparse_scan {
	struct sparse_header header;
	uint64_t body; /* file offset of the sparse header */
	bool headed;   /* it has been read */
	bool bad;      /* not to be followed */
	uint64_t next; /* file offset of the next chunk header */
	uint64_t out;  /* expanded offset of the next chunk */
	uint32_t left; /* chunks */
	uint8_t part[32];
	size_t have;
	struct sparse_piece last; /* the last data so far */
};

void sparse_scan_begin(struct sparse_scan *scan, uint64_t body);
/* The bytes at file offset `offset`, in order and without gaps. */
void sparse_scan_take(struct sparse_scan *scan, uint64_t offset, const uint8_t *bytes, size_t len);
/* All of its chunks have passed by, and they make what the header says. */
bool sparse_scan_whole(const struct sparse_scan *scan);

#endif
