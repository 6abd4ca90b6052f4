/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pac/sparse_scan.h"

#include <errno.h>
#include <string.h>

#include "common/util.h"

int sparse_piece_parse(const struct sparse_header *h, const uint8_t *bytes, size_t len, uint32_t number,
		       uint64_t at, uint64_t left, uint64_t out, struct sparse_chunk *chunk,
		       struct sparse_piece *piece)
{
	memset(piece, 0, sizeof(*piece));
	if (len < SPARSE_CHUNK || out > h->expanded)
		return -EBADMSG;
	if (sparse_chunk_parse(h, bytes, number, at, left, h->expanded - out, chunk, NULL))
		return -EBADMSG;
	if (!chunk->length || (chunk->kind != SPARSE_RAW && chunk->kind != SPARSE_FILL))
		return 0;
	piece->kind = chunk->kind == SPARSE_RAW ? PIECE_RAW : PIECE_FILL;
	piece->offset = out;
	piece->length = chunk->length;
	if (chunk->kind == SPARSE_RAW) {
		piece->source = at + h->chunk_size;
		return 0;
	}
	if (len < (size_t)h->chunk_size + 4)
		return -EBADMSG;
	memcpy(piece->fill, bytes + h->chunk_size, 4);
	return 0;
}

void sparse_scan_begin(struct sparse_scan *scan, uint64_t body)
{
	memset(scan, 0, sizeof(*scan));
	scan->body = body;
	scan->next = body;
}

static void whole(struct sparse_scan *scan)
{
	struct sparse_chunk chunk;
	struct sparse_piece piece;

	scan->have = 0;
	if (!scan->headed) {
		if (sparse_header_parse(scan->part, SPARSE_HEADER, &scan->header, NULL) ||
		    scan->header.chunk_size > sizeof(scan->part) - 4) {
			scan->bad = true;
			return;
		}
		scan->headed = true;
		scan->left = scan->header.chunks;
		scan->next += scan->header.header_size;
		return;
	}
	if (sparse_piece_parse(&scan->header, scan->part, sizeof(scan->part),
			       scan->header.chunks - scan->left, scan->next, UINT64_MAX, scan->out, &chunk,
			       &piece)) {
		scan->bad = true;
		return;
	}
	if (piece.kind != PIECE_NONE)
		scan->last = piece;
	scan->out += chunk.length;
	scan->next += chunk.bytes;
	scan->left--;
}

void sparse_scan_take(struct sparse_scan *scan, uint64_t offset, const uint8_t *bytes, size_t len)
{
	while (!scan->bad && (!scan->headed || scan->left)) {
		size_t need = scan->headed ? scan->header.chunk_size : SPARSE_HEADER;
		uint64_t at = scan->next + scan->have;
		size_t n;

		/* the word of a fill chunk stands behind its header */
		if (scan->headed && scan->have >= 2 && get_le16(scan->part) == SPARSE_TYPE_FILL)
			need += 4;
		if (scan->have >= need) {
			whole(scan);
			continue;
		}
		if (at < offset || at >= offset + len)
			return;
		n = MIN(scan->have < 2 && scan->headed ? 2 - scan->have : need - scan->have,
			(size_t)(offset + len - at));
		memcpy(scan->part + scan->have, bytes + (at - offset), n);
		scan->have += n;
	}
}

bool sparse_scan_whole(const struct sparse_scan *scan)
{
	return scan->headed && !scan->bad && !scan->left && scan->out == scan->header.expanded;
}
