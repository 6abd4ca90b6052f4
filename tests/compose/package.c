/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The container around the payloads (pac-and-flow 1), right or damaged in one chosen way. */
#include "tests/compose/plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* Islands of data at the beginning, behind 4 GiB (or the middle) and at the very end; zeros between. */
#define ISLAND 65536u
static uint64_t island_at(const struct part *p, int i)
{
	if (i == 0)
		return 0;
	if (i == 1)
		return p->huge > (4ull << 30) + (1u << 20) ? (4ull << 30) + 1234 : p->huge / 2;
	return p->huge - ISLAND;
}

static void text16(uint8_t *out, size_t units, const char *text)
{
	size_t i;

	for (i = 0; text[i] && i < units - 1; i++)
		w16(out + 2 * i, (uint8_t)text[i]);
}

static void put_entry(const struct layout *pl, const struct part *p, uint8_t *e)
{
	uint32_t i;

	memset(e, 0, ENTRY);
	w32(e, ENTRY);
	if (p->flag != 2)
		text16(e + 4, 256, pl->spec->by_alias ? p->alias : p->id);
	text16(e + 516, 256, p->name);
	w32(e + 1532, (uint32_t)(layout_length(p) >> 32));
	w32(e + 1536, (uint32_t)(p->offset >> 32));
	w32(e + 1540, (uint32_t)layout_length(p));
	w32(e + 1544, (uint32_t)p->flag);
	w32(e + 1548, p->flag != 2 && p->ticked);
	w32(e + 1552, (uint32_t)p->offset);
	w32(e + 1556, p->check == 2);
	w32(e + 1560, p->addrs ? p->addrs : 1);
	for (i = 0; i < p->addrs && !pl->spec->no_addresses; i++)
		w32(e + 1564 + 4 * i, p->addr[i]);
}

static void put_header(const struct layout *pl, uint8_t *h)
{
	const struct compose_spec *s = pl->spec;
	char product[200];
	const char *version = s->container		    ? s->container
			      : pl->size >> 32 || s->masked ? "BP_R2.0.1"
							    : "BP_R1.0.0";

	memset(h, 0, HEADER);
	layout_between(pl->xml, pl->xml + strlen(pl->xml), "<Product name=\"", '"', product, sizeof(product));
	text16(h, 22, version);
	w32(h + 44, (uint32_t)(pl->size >> 32));
	w32(h + 48, (uint32_t)pl->size);
	text16(h + 52, 256, s->product ? s->product : product);
	text16(h + 564, 256, s->version ? s->version : "made for a test");
	w32(h + 1076, (uint32_t)pl->parts);
	w32(h + 1080, HEADER);
	w32(h + 1088, strstr(pl->xml, "<FlashTypeID>0") ? 0 : 1);
	w32(h + 1096, 1);
	text16(h + 1104, 100, product);
	w32(h + 1308, s->old_layout ? 0 : 1);
	w32(h + 1312, s->old_layout ? 0 : 1);
	if (!s->old_layout)
		w32(h + 2116, 0xfffafffa);
}

static void fill_strings(uint8_t *p, size_t bytes)
{
	static const char path[] = "../../etc/\xe4\xf6\\evil";
	size_t i;

	for (i = 0; i + 2 <= bytes; i += 2)
		w16(p + i, (uint8_t)path[i / 2 % (sizeof(path) - 1)]);
}

static size_t victim(const struct layout *pl)
{
	size_t best = 0, i;

	for (i = 0; i + 1 < pl->parts; i++) {
		if (pl->spec->victim && !strcasecmp(pl->spec->victim, pl->part[i].id))
			return i;
		if (pl->part[i].len > pl->part[best].len)
			best = i;
	}
	return best;
}

/* What is wrong although every CRC is right. */
static void damage_inside(const struct layout *pl, uint8_t *h, uint8_t *table)
{
	uint8_t *e = table + victim(pl) * ENTRY;

	switch (pl->spec->damage) {
	case COMPOSE_NO_MAGIC: break;
	case COMPOSE_COUNT_ZERO: w32(h + 1076, 0); break;
	case COMPOSE_COUNT_HUGE: w32(h + 1076, 0xffffffff); break;
	case COMPOSE_COUNT_MORE: w32(h + 1076, 1000); break;
	case COMPOSE_TABLE_OUTSIDE: w32(h + 1080, (uint32_t)pl->size + 7); break;
	case COMPOSE_TABLE_INSIDE: w32(h + 1080, 100); break;
	case COMPOSE_ENTRY_SIZE: w32(table, 2576); break;
	case COMPOSE_OFFSET_OUTSIDE: w32(e + 1552, (uint32_t)pl->size - 10); break;
	case COMPOSE_OFFSET_WRAP:
		w32(e + 1536, 0xffffffff);
		w32(e + 1552, 0xffffff00);
		break;
	case COMPOSE_OFFSET_TABLE: w32(e + 1552, HEADER + 10); break;
	case COMPOSE_LONG_STRINGS:
		fill_strings(h + 564, 512);
		fill_strings(h + 1104, 200);
		fill_strings(e + 516, 512);
		break;
	default: break;
	}
}

/* ---- CRC over what is mostly zeros ---- */

/* The register after n zero bytes is a linear map of the register: square it up. */
static uint16_t apply(const uint16_t m[16], uint16_t v)
{
	uint16_t r = 0;
	int i;

	for (i = 0; i < 16; i++)
		if (v >> i & 1)
			r ^= m[i];
	return r;
}

static uint16_t crc_zeros(uint16_t crc, uint64_t n)
{
	static const uint8_t zero;
	uint16_t m[16], q[16];
	int i;

	for (i = 0; i < 16; i++)
		m[i] = compose_crc16((uint16_t)(1u << i), &zero, 1);
	for (; n; n >>= 1) {
		if (n & 1)
			crc = apply(m, crc);
		for (i = 0; i < 16; i++)
			q[i] = apply(m, m[i]);
		memcpy(m, q, sizeof(m));
	}
	return crc;
}

static uint16_t crc_part(const struct part *p, uint16_t crc, uint8_t *island)
{
	uint64_t at = 0;
	int i;

	if (!p->huge)
		return compose_crc16(crc, p->data, p->len);
	for (i = 0; i < 3; i++) {
		compose_random(p->huge + (uint64_t)i, island, ISLAND);
		crc = crc_zeros(crc, island_at(p, i) - at);
		crc = compose_crc16(crc, island, ISLAND);
		at = island_at(p, i) + ISLAND;
	}
	return crc;
}

static uint16_t body_crc(const struct layout *pl, const uint8_t *table, uint8_t *island)
{
	uint16_t crc = compose_crc16(0, table, pl->parts * ENTRY);
	uint64_t at = HEADER + pl->parts * ENTRY;
	size_t i;

	for (i = 0; i < pl->parts; i++) {
		crc = crc_zeros(crc, pl->part[i].offset - at);
		crc = crc_part(&pl->part[i], crc, island);
		at = pl->part[i].offset + layout_length(&pl->part[i]);
	}
	return crc;
}

/* ---- output ---- */

typedef int (*put_fn)(void *ctx, uint64_t at, const void *data, size_t len);

static void mask_table(const struct layout *pl, uint8_t *h, uint8_t *table)
{
	size_t len = pl->parts * ENTRY, i;
	uint8_t mask = pl->spec->mask ? pl->spec->mask : 0xf8;
	uint16_t crc = compose_crc16(0, table, len);

	w16(h + 1316, 1);
	w16(h + 1318, pl->spec->damage == COMPOSE_MASK_CRC ? crc ^ 0x1234 : crc);
	w32(h + 1320, (uint32_t)len - (pl->spec->damage == COMPOSE_MASK_SIZE ? 4 : 0));
	w32(h + 1324, (uint32_t)len);
	for (i = 0; i < len; i++)
		table[i] ^= mask;
}

static void finish_header(const struct layout *pl, uint8_t *h, const uint8_t *table, uint8_t *island)
{
	const struct compose_spec *s = pl->spec;
	uint16_t crc2;

	if (s->old_layout)
		return;
	crc2 = body_crc(pl, table, island);
	w16(h + 2120, compose_crc16(0, h, 2120));
	w16(h + 2122, s->damage == COMPOSE_WRONG_BODY_CRC ? crc2 ^ 1 : crc2);
	switch (s->damage) {
	case COMPOSE_ZERO_CRC: w32(h + 2120, 0); break;
	case COMPOSE_FLIP_HEADER: h[s->amount ? s->amount : 60] ^= 0x10; break;
	case COMPOSE_NO_MAGIC: w32(h + 2116, 0); break;
	case COMPOSE_NOT_PAC:
		memset(h, 0, HEADER);
		memcpy(h, "just a text file, not a package\n", 32);
		break;
	default: break;
	}
}

static int put_payloads(const struct layout *pl, put_fn put, void *ctx, uint8_t *island)
{
	size_t hit = pl->spec->damage == COMPOSE_FLIP_BODY ? victim(pl) : SIZE_MAX, i;
	int r = 0, k;

	for (i = 0; r == 0 && i < pl->parts; i++) {
		const struct part *p = &pl->part[i];

		if (i == hit && p->len)
			p->data[p->len / 2] ^= 0x40;
		if (!p->huge && p->len)
			r = put(ctx, p->offset, p->data, p->len);
		for (k = 0; p->huge && r == 0 && k < 3; k++) {
			compose_random(p->huge + (uint64_t)k, island, ISLAND);
			r = put(ctx, p->offset + island_at(p, k), island, ISLAND);
		}
	}
	return r;
}

static int emit(const struct layout *pl, put_fn put, void *ctx)
{
	uint8_t h[HEADER], *table = must(calloc(pl->parts, ENTRY)), *island = must(malloc(ISLAND));
	size_t i;
	int r;

	put_header(pl, h);
	for (i = 0; i < pl->parts; i++)
		put_entry(pl, &pl->part[i], table + i * ENTRY);
	damage_inside(pl, h, table);
	if (pl->spec->masked)
		mask_table(pl, h, table);
	finish_header(pl, h, table, island);
	r = put(ctx, 0, h, sizeof(h));
	if (r == 0)
		r = put(ctx, HEADER, table, pl->parts * ENTRY);
	if (r == 0)
		r = put_payloads(pl, put, ctx, island);
	free(table);
	free(island);
	return r;
}

static uint64_t final_size(const struct layout *pl)
{
	uint64_t n = pl->spec->amount ? pl->spec->amount : 1000;

	if (pl->spec->damage == COMPOSE_TRUNCATE)
		return n < pl->size ? pl->size - n : 0;
	return pl->spec->damage == COMPOSE_TRAILING ? pl->size + n : pl->size;
}

static int put_memory(void *ctx, uint64_t at, const void *data, size_t len)
{
	memcpy((uint8_t *)ctx + at, data, len);
	return 0;
}

int compose_package(const struct compose_spec *spec, uint8_t **bytes, size_t *len)
{
	struct layout *pl = spec->huge ? NULL : layout_make(spec);

	if (!pl)
		return -1;
	*len = (size_t)final_size(pl);
	*bytes = must(calloc(1, (size_t)pl->size + *len + 1));
	emit(pl, put_memory, *bytes);
	layout_free(pl);
	return 0;
}

static int put_file(void *ctx, uint64_t at, const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len) {
		ssize_t n = pwrite(*(int *)ctx, p, len, (off_t)at);

		if (n < 0)
			return -errno;
		p += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

int compose_write(const struct compose_spec *spec, int fd, uint64_t *len)
{
	struct layout *pl = layout_make(spec);
	int r;

	if (!pl)
		return -EINVAL;
	*len = final_size(pl);
	r = ftruncate(fd, 0) < 0 ? -errno : emit(pl, put_file, &fd);
	if (r == 0 && ftruncate(fd, (off_t)*len) < 0)
		r = -errno;
	layout_free(pl);
	return r;
}

uint8_t *compose_payload(const struct compose_spec *spec, const char *id, unsigned nth, size_t *len)
{
	struct layout *pl = layout_make(spec);
	uint8_t *found = NULL;
	size_t i;

	for (i = 0; pl && i < pl->parts; i++)
		if (!strcasecmp(pl->part[i].id, id) && pl->part[i].nth == nth && pl->part[i].data &&
		    pl->part[i].flag != 2) {
			found = pl->part[i].data;
			*len = pl->part[i].len;
			pl->part[i].data = NULL;
			break;
		}
	if (pl)
		layout_free(pl);
	return found;
}
