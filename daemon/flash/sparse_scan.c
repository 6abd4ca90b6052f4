/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "flash/sparse_scan.h"

#include <errno.h>
#include <string.h>

#include "common/util.h"

#define CHUNK_RAW   0xCAC1u
#define CHUNK_FILL  0xCAC2u
#define CHUNK_HOLE  0xCAC3u
#define CHUNK_CRC32 0xCAC4u

int sparse_chunk_parse(const struct sparse_header *h, const uint8_t *bytes, size_t len, uint64_t at,
		       uint64_t out, struct sparse_chunk_head *head)
{
	uint16_t type;
	uint64_t body;

	memset(head, 0, sizeof(*head));
	if (len < SPARSE_CHUNK)
		return -EBADMSG;
	type = get_le16(bytes);
	head->out = (uint64_t)get_le32(bytes + 4) * h->block;
	head->bytes = get_le32(bytes + 8);
	if (head->bytes < h->chunk_size || out + head->out > h->expanded)
		return -EBADMSG;
	body = head->bytes - h->chunk_size;
	switch (type) {
	case CHUNK_RAW:
		if (body != head->out)
			return -EBADMSG;
		head->piece = (struct sparse_piece){
			.kind = head->out ? PIECE_RAW : PIECE_NONE,
			.offset = out,
			.length = head->out,
			.source = at + h->chunk_size,
		};
		return 0;
	case CHUNK_FILL:
		if (body != 4 || len < (size_t)h->chunk_size + 4)
			return -EBADMSG;
		head->piece = (struct sparse_piece){
			.kind = head->out ? PIECE_FILL : PIECE_NONE,
			.offset = out,
			.length = head->out,
		};
		memcpy(head->piece.fill, bytes + h->chunk_size, 4);
		return 0;
	case CHUNK_HOLE: return 0;
	case CHUNK_CRC32: head->out = 0; return 0;
	default: return -EBADMSG;
	}
}

void sparse_scan_begin(struct sparse_scan *scan, uint64_t body)
{
	memset(scan, 0, sizeof(*scan));
	scan->body = body;
	scan->next = body;
}

static void whole(struct sparse_scan *scan)
{
	struct sparse_chunk_head head;

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
	if (sparse_chunk_parse(&scan->header, scan->part, sizeof(scan->part), scan->next, scan->out, &head)) {
		scan->bad = true;
		return;
	}
	if (head.piece.kind != PIECE_NONE)
		scan->last = head.piece;
	scan->out += head.out;
	scan->next += head.bytes;
	scan->left--;
}

void sparse_scan_take(struct sparse_scan *scan, uint64_t offset, const uint8_t *bytes, size_t len)
{
	while (!scan->bad && (!scan->headed || scan->left)) {
		size_t need = scan->headed ? scan->header.chunk_size : SPARSE_HEADER;
		uint64_t at = scan->next + scan->have;
		size_t n;

		/* the word of a fill chunk stands behind its header */
		if (scan->headed && scan->have >= 2 && get_le16(scan->part) == CHUNK_FILL)
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
