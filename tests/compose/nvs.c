/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* NV images in the real item format (pac-and-flow 3.1). */
#include "tests/compose/inside.h"

#include <stdlib.h>
#include <string.h>

static const uint16_t always[] = { 5, 2, 0x179, 0x186, 0x1e4, 0x191, 0x19a, 0x1f0 };
#define ALWAYS (sizeof(always) / sizeof(always[0]))

uint16_t compose_nv_len(uint16_t id)
{
	switch (id) {
	case 2: return 6020;
	case 5:
	case 0x179:
	case 0x186:
	case 0x1e4:
	case 0x19a: return 8;
	case 0x191: return 72;
	case 0x1f0: return 128;
	default: return (uint16_t)(6 + id % 61);
	}
}

struct stream {
	const struct compose_nv *spec;
	uint8_t *p;
	size_t at, end;
};

static void put16(struct stream *s, uint16_t v)
{
	if (s->at + 2 > s->end)
		abort(); /* the spec's size is too small for its items */
	if (s->spec->big_endian)
		v = (uint16_t)(v << 8 | v >> 8);
	w16(s->p + s->at, v);
	s->at += 2;
}

static void put32(struct stream *s, uint32_t v)
{
	put16(s, (uint16_t)(s->spec->big_endian ? v >> 16 : v));
	put16(s, (uint16_t)(s->spec->big_endian ? v : v >> 16));
}

static void put_item(struct stream *s, uint16_t id)
{
	uint64_t seed = s->spec->seed * 0x10001 + id;
	uint16_t len = compose_nv_len(id);
	size_t i, padded = (len + 3u) & ~3u, at;

	for (i = 0; i < s->spec->without_count; i++)
		if (s->spec->without[i] == id)
			return;
	put16(s, id);
	put16(s, len);
	at = s->at;
	if (at + padded > s->end)
		abort();
	memset(s->p + at, 0, padded);
	for (i = 0; i < len; i++)
		s->p[at + i] = (uint8_t)(next_random(&seed) >> 24);
	if (id == 2) {
		put16(s, s->spec->cali ? s->spec->cali : 0xff0a);
		s->at = at;
	}
	s->at = at + padded;
}

static void put_items(struct stream *s, const uint16_t *ids, size_t count)
{
	size_t i, k;

	for (i = 0; i < count; i++) {
		for (k = 0; ids != always && k < ALWAYS && always[k] != ids[i]; k++)
			;
		if (ids == always || k == ALWAYS)
			put_item(s, ids[i]);
	}
}

static void put_end(struct stream *s)
{
	put16(s, 0xffff);
	put16(s, 0xffff);
}

/* Two cores: the well-known items in the first, the others in the second, each padded to 512 with an item
 * 0xFFFE. */
static void put_cores(struct stream *s)
{
	static const char names[2][16] = { "modem", "phy" };
	size_t index, from[2], to[2], core;

	put16(s, 0);
	put16(s, 8 + 2 * 24);
	put32(s, 0x58444e49);
	put16(s, 0);
	put16(s, 2);
	index = s->at;
	s->at += 2 * (size_t)24;
	for (core = 0; core < 2; core++) {
		from[core] = s->at;
		if (core == 0)
			put_items(s, always, ALWAYS);
		else
			put_items(s, s->spec->ids, s->spec->id_count);
		if ((s->at + 8) % 512) {
			size_t pad = 512 - (s->at + 8) % 512;

			put16(s, 0xfffe);
			put16(s, (uint16_t)pad);
			memset(s->p + s->at, 0, pad);
			s->at += pad;
		}
		put_end(s);
		to[core] = s->at;
	}
	for (core = 0; core < 2; core++) {
		struct stream row = { .spec = s->spec, .p = s->p, .at = index + core * 24, .end = s->end };

		memcpy(row.p + row.at, names[core], 16);
		row.at += 16;
		put32(&row, (uint32_t)from[core]);
		put32(&row, (uint32_t)(to[core] - from[core]));
	}
}

uint8_t *compose_nv(const struct compose_nv *spec, size_t *len)
{
	size_t size = spec->size ? spec->size : 65536, skip = spec->flash_header ? 512 : 0, i;
	uint8_t *p = must(malloc(size + skip)), *image = p + skip;
	struct stream s = { .spec = spec, .p = image, .at = 4, .end = size };
	uint16_t crc;

	memset(p, 0, skip);
	memset(image, 0xff, size);
	if (spec->multi) {
		put_cores(&s);
	} else {
		put_items(&s, always, ALWAYS);
		put_items(&s, spec->ids, spec->id_count);
		put_end(&s);
	}
	w16(image + 2, 0x3093);
	crc = compose_crc16(0, image + 2, size - 2);
	if (!spec->seal)
		crc ^= 0x5a5a;
	image[0] = (uint8_t)(crc >> 8);
	image[1] = (uint8_t)crc;
	for (i = 0; spec->swap_words && i + 4 <= size; i += 4) {
		uint32_t w = r32(image + i);

		w32(image + i, w >> 24 | (w >> 8 & 0xff00) | (w << 8 & 0xff0000) | w << 24);
	}
	if (skip) {
		w32(p, 0x4e56);
		w32(p + 4, (uint32_t)size);
		w32(p + 12, 101);
	}
	*len = size + skip;
	return p;
}

uint16_t *compose_nv_ids(const char *xml, size_t *count)
{
	static const struct {
		const char *name;
		uint16_t id;
	} known[] = { { "\"Calibration", 2 },
		      { "\"TD_Calibration", 0x516 },
		      { "\"LTE_Calibration", 0x9c4 },
		      { "\"W_Calibration", 0x12d },
		      { "\"IMEI", 5 } };
	uint16_t *ids = must(malloc(4096 * sizeof(*ids)));
	const char *at = xml;

	*count = 0;
	while ((at = strstr(at, "<NVItem")) && *count < 4096) {
		const char *id = strstr(at, "<ID>"), *end = strstr(at, "</NVItem>");
		unsigned long v;
		size_t k, i;

		if (!id || !end)
			break;
		v = strtoul(id + 4, NULL, 16);
		for (k = 0; v > 0xffff && k < sizeof(known) / sizeof(known[0]); k++) {
			const char *name = strstr(at, known[k].name);

			if (name && name < id)
				v = known[k].id;
		}
		for (i = 0; i < *count && ids[i] != v; i++)
			;
		if (v <= 0xffff && i == *count)
			ids[(*count)++] = (uint16_t)v;
		at = end;
	}
	return ids;
}
