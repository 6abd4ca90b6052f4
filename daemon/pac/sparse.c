/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pac/sparse.h"
#include "common/util.h"
#include "pac/fail.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

enum { CHUNK_RAW = 0xcac1, CHUNK_FILL = SPARSE_TYPE_FILL, CHUNK_DONT_CARE = 0xcac3, CHUNK_CRC32 = 0xcac4 };

bool sparse_is(const void *data, size_t len)
{
	return len >= 4 && get_le32(data) == SPARSE_MAGIC;
}

int sparse_header_parse(const void *data, size_t len, struct sparse_header *h, struct failure *why)
{
	const uint8_t *p = data;

	if (len < SPARSE_HEADER)
		return pac_fail(why, ERR_PACKAGE_SPARSE, NULL, 0, "%zu bytes, a sparse header has %u", len,
				SPARSE_HEADER);
	if (!sparse_is(p, len))
		return pac_fail(why, ERR_PACKAGE_SPARSE, NULL, 0, "magic 0x%08x, expected 0x%08x",
				get_le32(p), SPARSE_MAGIC);
	*h = (struct sparse_header){
		.major = get_le16(p + 4),
		.minor = get_le16(p + 6),
		.header_size = get_le16(p + 8),
		.chunk_size = get_le16(p + 10),
		.block = get_le32(p + 12),
		.blocks = get_le32(p + 16),
		.chunks = get_le32(p + 20),
		.checksum = get_le32(p + 24),
	};
	if (h->major != 1)
		return pac_fail(why, ERR_PACKAGE_SPARSE, NULL, 4, "format version %u, expected 1", h->major);
	if (h->header_size < SPARSE_HEADER)
		return pac_fail(why, ERR_PACKAGE_SPARSE, NULL, 8, "header size %u, at least %u expected",
				h->header_size, SPARSE_HEADER);
	if (h->chunk_size < SPARSE_CHUNK)
		return pac_fail(why, ERR_PACKAGE_SPARSE, NULL, 10,
				"chunk header size %u, at least %u expected", h->chunk_size, SPARSE_CHUNK);
	if (!h->block || h->block % 4 || h->block > 64u << 20)
		return pac_fail(why, ERR_PACKAGE_SPARSE, NULL, 12,
				"block size %u is no multiple of 4 up to 64 MiB", h->block);
	h->expanded = (uint64_t)h->block * h->blocks;
	if (h->expanded > INT64_MAX)
		return pac_fail(why, ERR_PACKAGE_SPARSE, NULL, 16, "%u blocks of %u bytes are absurd",
				h->blocks, h->block);
	return 0;
}

int sparse_chunk_parse(const struct sparse_header *h, const uint8_t head[SPARSE_CHUNK], uint32_t number,
		       uint64_t at, uint64_t left, uint64_t room, struct sparse_chunk *out,
		       struct failure *why)
{
	uint32_t blocks = get_le32(head + 4), total = get_le32(head + 8);
	uint16_t type = get_le16(head);
	uint64_t data;

	*out = (struct sparse_chunk){ .bytes = total, .length = (uint64_t)blocks * h->block };
	if (total < h->chunk_size || total > left)
		return pac_fail(why, ERR_PACKAGE_SPARSE, NULL, at,
				"chunk %u of %u says %u bytes, %llu are left", number, h->chunks, total,
				(unsigned long long)left);
	data = total - h->chunk_size;
	if (type != CHUNK_CRC32 && out->length > room)
		return pac_fail(why, ERR_PACKAGE_SPARSE, NULL, at,
				"chunk %u of %u: %u blocks lead past the %u of the image", number, h->chunks,
				blocks, h->blocks);
	switch (type) {
	case CHUNK_RAW:
		out->kind = SPARSE_RAW;
		if (data == out->length)
			return 0;
		return pac_fail(why, ERR_PACKAGE_SPARSE, NULL, at,
				"raw chunk %u has %llu bytes of data for %llu", number,
				(unsigned long long)data, (unsigned long long)out->length);
	case CHUNK_FILL:
		out->kind = SPARSE_FILL;
		if (data == 4)
			return 0;
		return pac_fail(why, ERR_PACKAGE_SPARSE, NULL, at,
				"fill chunk %u has %llu bytes of data, expected 4", number,
				(unsigned long long)data);
	case CHUNK_DONT_CARE:
		out->kind = SPARSE_HOLE;
		if (!data)
			return 0;
		return pac_fail(why, ERR_PACKAGE_SPARSE, NULL, at, "hole chunk %u has %llu bytes of data",
				number, (unsigned long long)data);
	case CHUNK_CRC32:
		out->length = 0;
		if (data == 4 && !blocks)
			return 0;
		return pac_fail(why, ERR_PACKAGE_SPARSE, NULL, at,
				"checksum chunk %u has %llu bytes of data and %u blocks", number,
				(unsigned long long)data, blocks);
	default: break;
	}
	return pac_fail(why, ERR_PACKAGE_SPARSE, NULL, at, "chunk %u of %u has type 0x%04x", number,
			h->chunks, type);
}

struct walk {
	const struct source *src;
	uint64_t base, size, at; /* at: from the start of the image */
	uint64_t out;		 /* expanded so far */
	struct sparse_map *map;
	size_t room;
	struct failure *why;
};

static int bad(struct walk *w, uint64_t offset, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static int bad(struct walk *w, uint64_t offset, const char *fmt, ...)
{
	char text[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return pac_fail(w->why, ERR_PACKAGE_SPARSE, NULL, offset, "%s", text);
}

static int take(struct walk *w, uint64_t at, void *buf, size_t len)
{
	int r = source_read(w->src, w->base + at, buf, len);

	return r < 0 ? pac_fail_read(w->why, NULL, at, len, r) : 0;
}

/* Joins with the extent before it where both are one: many builders cut RAW data and holes into small chunks.
 */
static int add(struct walk *w, enum sparse_kind kind, uint64_t len, uint64_t source, uint32_t fill)
{
	struct sparse_map *m = w->map;
	struct sparse_extent *last = m->count ? &m->extents[m->count - 1] : NULL;

	*(kind == SPARSE_RAW ? &m->raw : kind == SPARSE_FILL ? &m->filled : &m->holes) += len;
	if (!len)
		return 0;
	if (last && last->kind == kind && (kind != SPARSE_RAW || last->source + last->length == source) &&
	    (kind != SPARSE_FILL || last->fill == fill)) {
		last->length += len;
		w->out += len;
		return 0;
	}
	if (m->count == SPARSE_EXTENTS_MAX)
		return bad(w, w->at, "more than %u separate extents", SPARSE_EXTENTS_MAX);
	if (m->count == w->room) {
		size_t room = w->room ? 2 * w->room : 64;
		struct sparse_extent *grown = realloc(m->extents, room * sizeof(*grown));

		if (!grown)
			return pac_fail_memory(w->why);
		m->extents = grown;
		w->room = room;
	}
	m->extents[m->count++] = (struct sparse_extent){
		.offset = w->out, .length = len, .source = source, .fill = fill, .kind = kind
	};
	w->out += len;
	return 0;
}

static int chunk(struct walk *w, uint32_t number)
{
	const struct sparse_header *h = &w->map->header;
	uint8_t head[SPARSE_CHUNK], word[4] = { 0 };
	struct sparse_chunk c;
	int r;

	if (w->size - w->at < h->chunk_size)
		return bad(w, w->at, "chunk %u of %u: %llu bytes left, its header has %u", number, h->chunks,
			   (unsigned long long)(w->size - w->at), h->chunk_size);
	r = take(w, w->at, head, sizeof(head));
	if (r == 0)
		r = sparse_chunk_parse(h, head, number, w->at, w->size - w->at, h->expanded - w->out, &c,
				       w->why);
	if (r == 0 && c.kind == SPARSE_FILL)
		r = take(w, w->at + h->chunk_size, word, sizeof(word));
	if (r == 0 && c.kind)
		r = add(w, c.kind, c.length, c.kind == SPARSE_RAW ? w->base + w->at + h->chunk_size : 0,
			get_le32(word));
	w->at += r == 0 ? c.bytes : 0;
	return r;
}

int sparse_walk(const struct source *src, uint64_t offset, uint64_t size, bool (*keep_going)(void *),
		void *ctx, struct sparse_map *map, struct failure *why)
{
	struct walk w = { .src = src, .base = offset, .size = size, .map = map, .why = why };
	uint8_t head[SPARSE_HEADER];
	uint32_t i;
	int r;

	*map = (struct sparse_map){ 0 };
	if (size < sizeof(head))
		return bad(&w, 0, "%llu bytes, a sparse header has %u", (unsigned long long)size,
			   SPARSE_HEADER);
	r = take(&w, 0, head, sizeof(head));
	if (r == 0)
		r = sparse_header_parse(head, sizeof(head), &map->header, why);
	if (r == 0 && map->header.header_size > size)
		r = bad(&w, 8, "header of %u bytes in an image of %llu", map->header.header_size,
			(unsigned long long)size);
	w.at = map->header.header_size;
	for (i = 0; r == 0 && i < map->header.chunks; i++) {
		if (keep_going && i % 256 == 0 && !keep_going(ctx))
			r = pac_fail(why, ERR_CANCELLED, NULL, PAC_NOWHERE, "the check was stopped");
		else
			r = chunk(&w, i);
	}

	if (r == 0 && w.out != map->header.expanded)
		r = bad(&w, w.at, "the chunks make %llu bytes, the header says %llu",
			(unsigned long long)w.out, (unsigned long long)map->header.expanded);
	if (r < 0)
		sparse_map_free(map);
	return r;
}

void sparse_map_free(struct sparse_map *map)
{
	free(map->extents);
	*map = (struct sparse_map){ 0 };
}

const struct sparse_extent *sparse_map_at(const struct sparse_map *map, uint64_t offset)
{
	size_t low = 0, high = map->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct sparse_extent *e = &map->extents[mid];

		if (offset < e->offset)
			high = mid;
		else if (offset - e->offset >= e->length)
			low = mid + 1;
		else
			return e;
	}
	return NULL;
}
