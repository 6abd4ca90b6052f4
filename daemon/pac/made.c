/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pac/made.h"
#include "common/util.h"
#include "pac/crc16.h"
#include "pac/fail.h"
#include "pac/made_inner.h"
#include "pac/pac.h"
#include "pac/text.h"

#include <errno.h>
#include <stdio.h>

#define MAGIC 0xFFFAFFFAu

struct made {
	struct source source; /* of the whole; ctx is this struct */
	struct source *part;
	uint8_t *front; /* header and table */
	size_t front_len;
	char *xml;
	size_t xml_len;
	struct made_extent *extent;
	size_t extents;
};

/* Texts of header and table are UTF-16LE with a NUL at least in the last of `units`. */
static void put_utf16(uint8_t *field, size_t units, const char *text)
{
	size_t len = strlen(text), at = 0, n = 0;

	while (at < len && n + 1 < units) {
		uint32_t code = '?';
		size_t used = text_utf8_at((const uint8_t *)text + at, len - at, &code);

		put_le16(field + 2 * n++, code > 0xffff ? '?' : (uint16_t)code);
		at += used ? used : 1;
	}
}

static uint64_t part_size(const struct made_part *p)
{
	return p->source ? p->source->size : 0;
}

static void put_header(uint8_t *h, const struct made_scheme *s, uint64_t size, size_t entries)
{
	/* what goes beyond 32 bits came with the second version (pac-and-flow 1.2) */
	put_utf16(h, 22, size > UINT32_MAX ? "BP_R2.0.1" : "BP_R1.0.0");
	put_le32(h + 44, (uint32_t)(size >> 32));
	put_le32(h + 48, (uint32_t)size);
	put_utf16(h + 52, 256, s->product);
	put_utf16(h + 564, 256, s->version ? s->version : "");
	put_le32(h + 1076, (uint32_t)entries);
	put_le32(h + 1080, PAC_HEADER_SIZE);
	put_le32(h + 1088, (uint32_t)s->flash_type);
	put_le32(h + 1096, s->nv_backup);
	put_utf16(h + 1104, 100, s->product);
}

static void put_entry(uint8_t *e, const struct made_part *p, uint64_t offset)
{
	uint64_t size = part_size(p);
	char name[PAC_NAME_MAX];

	put_le32(e, PAC_ENTRY_SIZE);
	put_utf16(e + 4, 256, p->id);
	snprintf(name, sizeof(name), p->name ? "%s" : "%s.bin", p->name ? p->name : p->id);
	if (p->source)
		put_utf16(e + 516, 256, name);
	put_le32(e + 1532, (uint32_t)(size >> 32));
	put_le32(e + 1536, size ? (uint32_t)(offset >> 32) : 0);
	put_le32(e + 1540, (uint32_t)size);
	put_le32(e + 1544, p->source != NULL);
	put_le32(e + 1548, 1);
	put_le32(e + 1552, size ? (uint32_t)offset : 0);
	put_le32(e + 1560, 1);
	put_le32(e + 1564, (uint32_t)p->address);
}

static void put_xml_entry(uint8_t *e, uint64_t offset, size_t size)
{
	put_le32(e, PAC_ENTRY_SIZE);
	put_utf16(e + 516, 256, "made.xml");
	put_le32(e + 1536, (uint32_t)(offset >> 32));
	put_le32(e + 1540, (uint32_t)size);
	put_le32(e + 1544, 2);
	put_le32(e + 1552, (uint32_t)offset);
}

static void add_extent(struct made *m, uint64_t at, uint64_t len, int part, const void *bytes)
{
	if (len)
		m->extent[m->extents++] = (struct made_extent){ at, len, part, bytes };
}

static const struct made_extent *extent_at(const struct made *m, uint64_t offset)
{
	size_t low = 0, high = m->extents;

	/* the last one that begins at or before it */
	while (high - low > 1) {
		size_t mid = low + (high - low) / 2;

		if (m->extent[mid].offset <= offset)
			low = mid;
		else
			high = mid;
	}
	return &m->extent[low];
}

/* source_read() has checked the bounds */
static int made_read(void *ctx, uint64_t offset, void *buf, size_t len)
{
	const struct made *m = ctx;
	uint8_t *out = buf;

	while (len) {
		const struct made_extent *x = extent_at(m, offset);
		uint64_t within = offset - x->offset;
		size_t n = (size_t)MIN(x->length - within, (uint64_t)len);

		if (x->part < 0) {
			memcpy(out, x->bytes + within, n);
		} else {
			int r = source_read(&m->part[x->part], within, out, n);

			if (r < 0)
				return r;
		}
		out += n;
		offset += n;
		len -= n;
	}
	return 0;
}

static int bad_part(struct failure *why, const struct made_part *p, const char *what)
{
	return pac_fail(why, ERR_INVALID_ARGS, p->id, PAC_NOWHERE, "%s", what);
}

static int check_parts(const struct made_part *part, size_t parts, struct failure *why)
{
	uint64_t sum = 0;

	if (!parts || parts >= PAC_ENTRIES_MAX)
		return pac_fail(why, ERR_INVALID_ARGS, NULL, PAC_NOWHERE, "%zu parts, 1 to %u make a package",
				parts, PAC_ENTRIES_MAX - 1);
	for (size_t i = 0; i < parts; i++) {
		const struct made_part *p = &part[i];

		if (!p->id[0] || strlen(p->id) >= SCHEME_ID_MAX)
			return bad_part(why, p, "an ID has 1 to 63 bytes");
		if (!p->partition && (p->address > UINT32_MAX || p->size > UINT32_MAX))
			return bad_part(why, p, "address and size have 32 bits");
		if (__builtin_add_overflow(sum, part_size(p), &sum) || sum > INT64_MAX)
			return bad_part(why, p, "its size is absurd");
		for (size_t k = 0; k < i; k++)
			if (text_same(part[k].id, p->id))
				return bad_part(why, p, "the ID is there twice");
	}
	return 0;
}

static int lay_out(struct made *m, const struct made_part *part, size_t parts, const struct made_scheme *s)
{
	uint64_t at;
	int r;

	r = made_scheme_xml(part, parts, s, &m->xml, &m->xml_len);
	if (r < 0)
		return r;
	m->front_len = PAC_HEADER_SIZE + (parts + 1) * PAC_ENTRY_SIZE;
	m->front = calloc(1, m->front_len);
	m->part = calloc(parts, sizeof(*m->part));
	m->extent = calloc(parts + 2, sizeof(*m->extent));
	if (!m->front || !m->part || !m->extent)
		return -ENOMEM;
	at = m->front_len;
	add_extent(m, 0, m->front_len, -1, m->front);
	for (size_t i = 0; i < parts; i++) {
		put_entry(m->front + PAC_HEADER_SIZE + i * PAC_ENTRY_SIZE, &part[i], at);
		if (part[i].source)
			m->part[i] = *part[i].source;
		add_extent(m, at, part_size(&part[i]), (int)i, NULL);
		at += part_size(&part[i]);
	}
	put_xml_entry(m->front + PAC_HEADER_SIZE + parts * PAC_ENTRY_SIZE, at, m->xml_len);
	add_extent(m, at, m->xml_len, -1, m->xml);
	m->source = (struct source){ .size = at + m->xml_len, .read_at = made_read, .ctx = m };
	put_header(m->front, s, m->source.size, parts + 1);
	return 0;
}

int pac_made(const struct made_part *part, size_t parts, const struct made_scheme *scheme, struct made **out,
	     struct failure *why)
{
	struct made *m;
	int r;

	*out = NULL;
	r = check_parts(part, parts, why);
	if (r < 0)
		return r;
	m = calloc(1, sizeof(*m));
	if (!m)
		return pac_fail_memory(why);
	if (lay_out(m, part, parts, scheme) < 0) {
		made_free(m);
		return pac_fail_memory(why);
	}
	*out = m;
	return 0;
}

void made_free(struct made *m)
{
	if (!m)
		return;
	free(m->part);
	free(m->front);
	free(m->xml);
	free(m->extent);
	free(m);
}

const struct source *made_source(const struct made *m)
{
	return &m->source;
}

const struct made_extent *made_map(const struct made *m, size_t *count)
{
	*count = m->extents;
	return m->extent;
}

int made_seal(struct made *m, struct failure *why)
{
	_cleanup_free_ uint8_t *buf = malloc(DIGEST_CHUNK);
	uint64_t at = PAC_HEADER_SIZE;
	uint16_t crc = 0;

	if (!buf)
		return pac_fail_memory(why);
	while (at < m->source.size) {
		size_t n = (size_t)MIN((uint64_t)DIGEST_CHUNK, m->source.size - at);
		int r = source_read(&m->source, at, buf, n);

		if (r < 0)
			return pac_fail_read(why, NULL, at, n, r);
		crc = crc16_arc(crc, buf, n);
		at += n;
	}
	put_le32(m->front + 2116, MAGIC);
	put_le16(m->front + 2120, crc16_arc(0, m->front, 2120));
	put_le16(m->front + 2122, crc);
	return 0;
}
