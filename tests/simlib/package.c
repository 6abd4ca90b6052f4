/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/simlib/package.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/simlib/simlib.h"

#define HEADER 2124u
#define ROW    2580u

static void le16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

static void le32(uint8_t *p, uint32_t v)
{
	le16(p, v);
	le16(p + 2, v >> 16);
}

static void wide(uint8_t *p, const char *text)
{
	for (; *text; text++, p += 2)
		le16(p, (uint8_t)*text);
}

/* CRC-16/ARC by a table of its own: this side does not borrow the reader's. */
static uint16_t arc(uint16_t crc, const uint8_t *p, size_t len)
{
	static uint16_t table[256];

	if (!table[1])
		for (unsigned i = 0; i < 256; i++) {
			uint16_t v = (uint16_t)i;

			for (int k = 0; k < 8; k++)
				v = (uint16_t)(v & 1 ? v >> 1 ^ 0xA001 : v >> 1);
			table[i] = v;
		}
	while (len--)
		crc = (uint16_t)(crc >> 8 ^ table[(crc ^ *p++) & 0xFF]);
	return crc;
}

static void row(uint8_t *p, const char *id, const char *name, size_t len, size_t at, unsigned flag,
		bool ticked)
{
	le32(p, ROW);
	wide(p + 4, id);
	wide(p + 516, name);
	le32(p + 1540, (uint32_t)len);
	le32(p + 1544, flag);
	le32(p + 1548, ticked);
	le32(p + 1552, (uint32_t)at);
	le32(p + 1560, 1);
}

int sim_pack(const char *product, const char *xml, const struct sim_image *images, size_t count,
	     uint32_t strategy, struct sim_package *out, struct failure *why)
{
	size_t xml_len = strlen(xml), at = HEADER + (count + 1) * ROW;
	uint8_t *b;
	int rc;

	memset(out, 0, sizeof(*out));
	out->size = at + xml_len;
	for (size_t i = 0; i < count; i++)
		out->size += images[i].len;
	b = out->bytes = calloc(1, out->size);
	if (!b)
		return -ENOMEM;
	wide(b, "BP_R1.0.0");
	le32(b + 48, (uint32_t)out->size);
	wide(b + 52, product);
	wide(b + 564, "simulated");
	le32(b + 1076, (uint32_t)count + 1);
	le32(b + 1080, HEADER);
	le32(b + 1088, 1);
	le32(b + 1092, strategy);
	le32(b + 1096, 1);
	le32(b + 2116, 0xFFFAFFFA);
	for (size_t i = 0; i < count; i++) {
		char name[80] = "";

		if (images[i].data)
			snprintf(name, sizeof(name), "%s.bin", images[i].id);
		row(b + HEADER + i * ROW, images[i].id, name, images[i].len, at, images[i].data != NULL,
		    !images[i].unticked);
		if (images[i].len)
			memcpy(b + at, images[i].data, images[i].len);
		at += images[i].len;
	}
	row(b + HEADER + count * ROW, "", "scheme.xml", xml_len, at, 2, false);
	memcpy(b + at, xml, xml_len);
	le16(b + 2122, arc(0, b + HEADER, out->size - HEADER));
	le16(b + 2120, arc(0, b, 2120));
	out->source = source_memory(out->bytes, out->size);
	rc = pac_open(&out->source, NULL, &out->pac, why);
	if (rc)
		sim_package_free(out);
	return rc;
}

int sim_lend(struct sim_package *p, struct sim_package *lender)
{
	const struct pac_item *own[2] = { pac_fdl1(p->pac), pac_fdl2(p->pac) };

	memset(lender, 0, sizeof(*lender));
	lender->size = p->size;
	lender->bytes = malloc(p->size);
	if (!lender->bytes)
		return -ENOMEM;
	memcpy(lender->bytes, p->bytes, p->size);
	lender->source = source_memory(lender->bytes, lender->size);
	if (pac_open(&lender->source, NULL, &lender->pac, NULL)) {
		sim_package_free(lender);
		return -ENOMEM;
	}
	for (int i = 0; i < 2; i++)
		if (own[i])
			sim_bytes(0x10ad + (uint64_t)i, p->bytes + own[i]->offset, own[i]->size);
	return 0;
}

void sim_package_free(struct sim_package *p)
{
	pac_free(p->pac);
	free(p->bytes);
	memset(p, 0, sizeof(*p));
}

void sim_xml_add(struct sim_xml *x, const char *fmt, ...)
{
	va_list ap;
	int n;

	for (;;) {
		size_t room = x->room > x->len ? x->room - x->len : 0;
		char *more;

		va_start(ap, fmt);
		n = vsnprintf(room ? x->text + x->len : NULL, room, fmt, ap);
		va_end(ap);
		if (n < 0)
			break;
		if ((size_t)n < room) {
			x->len += (size_t)n;
			return;
		}
		more = realloc(x->text, x->room ? x->room * 2 : 16384);
		if (!more)
			break;
		x->text = more;
		x->room = x->room ? x->room * 2 : 16384;
	}
	x->failed = true;
}

void sim_xml_free(struct sim_xml *x)
{
	free(x->text);
	memset(x, 0, sizeof(*x));
}

void sim_xml_file(struct sim_xml *x, const char *attributes, const char *id, const char *type,
		  const char *block, uint64_t base, uint64_t size, int flag, int check)
{
	sim_xml_add(x, "<File%s><ID>%s</ID><IDAlias>%s</IDAlias><Type>%s</Type><Block", attributes, id, id,
		    type);
	if (block)
		sim_xml_add(x, " id=\"%s\"", block);
	sim_xml_add(x,
		    "><Base>0x%" PRIX64 "</Base><Size>0x%" PRIX64
		    "</Size></Block><Flag>%d</Flag><CheckFlag>%d</CheckFlag>"
		    "<Description>%s</Description></File>\n",
		    base, size, flag, check, id);
}

void sim_bytes(uint64_t seed, uint8_t *out, size_t size)
{
	struct sim_random r = { seed ^ 0x5151 };
	size_t at = 0;

	while (at < size) {
		uint64_t v = sim_random(&r);
		size_t n = v % 61 == 0 ? 200 + (size_t)(v >> 8) % 900 : 8;

		if (n > size - at)
			n = size - at;
		if (n > 8)
			memset(out + at, v >> 40 & 1 ? 0 : 0x7E, n);
		else
			memcpy(out + at, &v, n);
		if (v % 7 == 0)
			out[at] = v >> 50 & 1 ? 0x7E : 0x7D;
		at += n;
	}
}

static size_t item(uint8_t *out, size_t at, uint16_t id, size_t len, struct sim_random *r)
{
	le16(out + at, id);
	le16(out + at + 2, (uint32_t)len);
	for (size_t i = 0; i < len; i++)
		out[at + 4 + i] = (uint8_t)sim_random(r);
	return at + 4 + ((len + 3) & ~(size_t)3);
}

size_t sim_nv(uint64_t seed, uint8_t *out, size_t size)
{
	static const struct {
		uint16_t id, len;
	} items[] = { { 0x0D, 10 },  { 5, 8 },	     { 0x179, 8 },   { 0x191, 8 },
		      { 0x19A, 32 }, { 0x1F1, 128 }, { 0x300, 700 }, { 0x301, 33 } };
	struct sim_random r = { seed };
	size_t at = 4;

	size &= ~(size_t)3;
	if (size < SIM_NV_MIN)
		return 0;
	memset(out, 0xFF, size);
	le32(out, 0x5EED);
	at = item(out, at, 2, 6020, &r);
	le32(out + 8, 0xFF0C);
	for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++)
		at = item(out, at, items[i].id, items[i].len, &r);
	le16(out + at, 0xFFFF);
	return size;
}

static size_t chunk(uint8_t *out, size_t at, unsigned type, uint32_t blocks, size_t data)
{
	le16(out + at, type);
	le16(out + at + 2, 0);
	le32(out + at + 4, blocks);
	le32(out + at + 8, (uint32_t)(12 + data));
	return at + 12;
}

size_t sim_sparse(uint64_t seed, uint32_t blocks, uint8_t *out, size_t room)
{
	struct sim_random r = { seed };
	uint32_t left = blocks, chunks = 0;
	size_t at = 28;

	if (room < 28 + (size_t)blocks * 4108)
		return 0;
	while (left) {
		uint32_t n = 1 + (uint32_t)sim_below(&r, left < 6 ? left : 6);
		/* the first chunk carries data, so that the device erases */
		unsigned what = chunks ? (unsigned)sim_below(&r, 3) : 0;

		if (what == 0) {
			at = chunk(out, at, 0xCAC1, n, (size_t)n * 4096);
			sim_bytes(sim_random(&r), out + at, (size_t)n * 4096);
			at += (size_t)n * 4096;
		} else if (what == 1) {
			at = chunk(out, at, 0xCAC2, n, 4);
			le32(out + at, (uint32_t)sim_random(&r));
			at += 4;
		} else {
			at = chunk(out, at, 0xCAC3, n, 0);
		}
		left -= n;
		chunks++;
	}
	le32(out, 0xED26FF3A);
	le16(out + 4, 1);
	le16(out + 6, 0);
	le16(out + 8, 28);
	le16(out + 10, 12);
	le32(out + 12, 4096);
	le32(out + 16, blocks);
	le32(out + 20, chunks);
	le32(out + 24, 0);
	return at;
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

void sim_sparse_expand(const uint8_t *image, size_t len, uint8_t *out, uint8_t *known, size_t size)
{
	size_t at = 28, to = 0;

	memset(known, 0, size);
	while (at + 12 <= len && to < size) {
		unsigned type = image[at] | (unsigned)image[at + 1] << 8;
		size_t n = (size_t)get32(image + at + 4) * 4096, total = get32(image + at + 8);

		if (n > size - to)
			return;
		if (type != 0xCAC3)
			memset(known + to, 1, n);
		if (type == 0xCAC1)
			memcpy(out + to, image + at + 12, n);
		for (size_t i = 0; type == 0xCAC2 && i < n; i++)
			out[to + i] = image[at + 12 + i % 4];
		to += n;
		at += total;
	}
}
