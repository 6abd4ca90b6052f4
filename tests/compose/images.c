/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Images that hurt: flag bytes, zero runs, odd sizes, sparse, signed (pac-and-flow 6). */
#include "tests/compose/inside.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#define DHTB	   512u
#define TRAILER	   692u
#define EXPAND_MAX (256u << 20)

uint16_t compose_crc16(uint16_t crc, const void *data, size_t len)
{
	const uint8_t *p = data;
	int bit;

	while (len--) {
		crc ^= *p++;
		for (bit = 0; bit < 8; bit++)
			crc = (uint16_t)(crc & 1 ? crc >> 1 ^ 0xa001 : crc >> 1);
	}
	return crc;
}

void compose_random(uint64_t seed, void *out, size_t len)
{
	uint8_t *p = out;
	size_t at = 0;

	while (at < len) {
		uint64_t r = next_random(&seed);
		size_t run = 1 + (r >> 8) % 700, i;

		if (run > len - at)
			run = len - at;
		switch (r % 8) {
		case 0: memset(p + at, 0x00, run); break;
		case 1: memset(p + at, 0xff, run); break;
		case 2: memset(p + at, r & 0x100 ? 0x7e : 0x7d, run > 40 ? run = 40 : run); break;
		default:
			for (i = 0; i < run; i++) {
				r = next_random(&seed);
				p[at + i] = r % 37 == 0 ? 0x7e : r % 41 == 0 ? 0x7d : (uint8_t)(r >> 32);
			}
		}
		at += run;
	}
}

void compose_boot(uint64_t seed, void *out, size_t len)
{
	uint8_t *p = out;

	compose_random(seed, p, len);
	if (len < 2048)
		abort();
	memset(p, 0, 2048);
	memcpy(p, "ANDROID!", 8);
	w32(p + 8, (uint32_t)len - 2048); /* kernel size */
	w32(p + 12, 0x8000);
	w32(p + 36, 2048); /* page */
}

static void sha256(const void *data, size_t len, uint8_t out[32])
{
	if (EVP_Digest(data, len, out, NULL, EVP_sha256(), NULL) != 1)
		abort();
}

static void put_dhtb(uint8_t *header, const void *body, size_t len)
{
	memset(header, 0, DHTB);
	memcpy(header, "DHTB", 4);
	w32(header + 4, 1);
	sha256(body, len, header + 8);
	w32(header + 0x28, 0xcccccccc);
	w32(header + 0x2c, 0xaaaaaaaa);
	w32(header + 0x30, (uint32_t)len);
}

uint8_t *compose_sign(const void *body, size_t body_len, size_t *len)
{
	uint8_t *p = must(malloc(DHTB + body_len + TRAILER)), *t = p + DHTB + body_len;
	uint64_t seed = body_len;

	put_dhtb(p, body, body_len);
	memcpy(p + DHTB, body, body_len);
	memset(t, 0, 0x60);
	memcpy(t, "SIMGHDR", 8);
	w64(t + 0x10, body_len);
	w64(t + 0x18, DHTB);
	w64(t + 0x20, TRAILER - 0x60);
	w64(t + 0x28, DHTB + body_len + 0x60);
	compose_random(seed, t + 0x60, TRAILER - 0x60);
	w32(t + 0x60, 1);
	*len = DHTB + body_len + TRAILER;
	return p;
}

uint8_t *compose_sign_tail(const void *body, size_t body_len, size_t total, size_t *len)
{
	uint8_t *p = must(calloc(1, total));

	if (total < body_len + DHTB)
		abort();
	memcpy(p, body, body_len);
	put_dhtb(p + total - DHTB, p, body_len);
	*len = total;
	return p;
}

/* ---- sparse ---- */

struct out {
	uint8_t *p;
	size_t len, room;
};

static uint8_t *grow(struct out *o, size_t n)
{
	if (o->room - o->len < n) {
		o->room = 2 * o->room + n;
		o->p = must(realloc(o->p, o->room));
	}
	memset(o->p + o->len, 0, n);
	o->len += n;
	return o->p + o->len - n;
}

static void put_chunk(struct out *o, uint16_t type, uint32_t blocks, uint32_t data)
{
	uint8_t *h = grow(o, 12);

	w16(h, type);
	w32(h + 4, blocks);
	w32(h + 8, 12 + data);
}

static bool is(const char *a, const char *b)
{
	return a && !strcmp(a, b);
}

uint8_t *compose_sparse(const struct compose_sparse *spec, size_t *len)
{
	uint32_t block = spec->block ? spec->block : 4096, chunks = spec->chunks ? spec->chunks : 24, i,
		 written = 0;
	uint64_t seed = spec->seed ^ 0x737061727365u, blocks = 0;
	const char *bad = spec->break_at;
	struct out o = { 0 };
	uint8_t *h;

	grow(&o, 28);
	for (i = 0; i < chunks; i++, written++) {
		uint32_t n = 1 + (uint32_t)(next_random(&seed) % 5);
		size_t at = o.len;

		if (spec->gap && i == chunks / 2) {
			n = (uint32_t)(spec->gap / block);
			put_chunk(&o, 0xcac3, n, 0);
		} else if (i % 11 == 10) {
			n = 0;
			put_chunk(&o, 0xcac4, 0, 4);
			w32(grow(&o, 4), (uint32_t)next_random(&seed));
		} else if (i % 3 == 0) {
			put_chunk(&o, 0xcac1, n, n * block);
			compose_random(next_random(&seed), grow(&o, (size_t)n * block), (size_t)n * block);
		} else if (i % 3 == 1) {
			put_chunk(&o, 0xcac2, n, 4);
			w32(grow(&o, 4), i % 2 ? 0 : (uint32_t)next_random(&seed));
		} else {
			put_chunk(&o, 0xcac3, n, 0);
		}
		blocks += n;
		if (i == 3 && is(bad, "type"))
			w16(o.p + at, 0xcac9);
		if (i == 3 && is(bad, "total"))
			w32(o.p + at + 8, r32(o.p + at + 8) + 4);
		if (i == 4 && is(bad, "fill"))
			w32(o.p + at + 8, 13);
		if (i == 3 && is(bad, "blocks"))
			w32(o.p + at + 4, 0x7fffffff);
	}
	h = o.p;
	w32(h, is(bad, "magic") ? 0xed26ff3b : 0xed26ff3a);
	w16(h + 4, is(bad, "version") ? 2 : 1);
	w16(h + 8, 28);
	w16(h + 10, 12);
	w32(h + 12, is(bad, "block") ? 0 : block);
	w32(h + 16, (uint32_t)blocks);
	w32(h + 20, is(bad, "count") ? written + 1 : written);
	*len = o.len;
	return o.p;
}

uint8_t *compose_expand(const uint8_t *s, size_t len, uint8_t hole, size_t *expanded)
{
	uint64_t block, total, out = 0;
	uint8_t *image;
	size_t at;
	uint32_t i;

	if (len < 28 || r32(s) != 0xed26ff3a)
		return NULL;
	block = r32(s + 12);
	total = block * r32(s + 16);
	if (total > EXPAND_MAX)
		return NULL;
	image = must(malloc((size_t)total + 1));
	at = r16(s + 8);
	for (i = 0; i < r32(s + 20) && at + 12 <= len; i++) {
		uint64_t n = block * r32(s + at + 4), k;
		const uint8_t *data = s + at + r16(s + 10);

		if (r16(s + at) != 0xcac4 && out + n > total)
			break;
		if (r16(s + at) == 0xcac1)
			memcpy(image + out, data, (size_t)n);
		else if (r16(s + at) == 0xcac2)
			for (k = 0; k < n; k++)
				image[out + k] = data[k % 4];
		else if (r16(s + at) == 0xcac3)
			memset(image + out, hole, (size_t)n);
		out += r16(s + at) == 0xcac4 ? 0 : n;
		at += r32(s + at + 8);
	}
	*expanded = (size_t)total;
	if (out != total) {
		free(image);
		return NULL;
	}
	return image;
}
