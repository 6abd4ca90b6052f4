/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The slow way to make frames, byte by byte from the rules (bsl-protocol 3), for comparison. Shares nothing
 * with daemon/bsl.
 */
#ifndef FDLD_TESTS_BSL_ORACLE_H
#define FDLD_TESTS_BSL_ORACLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t oracle_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

/* Bytes of which about one in four is a flag, an escape or a neighbour of them when spicy. */
static inline void oracle_fill(uint64_t *state, uint8_t *p, size_t n, bool spicy)
{
	static const uint8_t spice[] = { 0x7e, 0x7d, 0x7c, 0x7f, 0x5e, 0x5d, 0xfe, 0xfd };

	for (size_t i = 0; i < n; i++) {
		uint64_t r = oracle_random(state);

		p[i] = spicy && (r >> 32) % 4 == 0 ? spice[r % 8] : (uint8_t)r;
	}
}

static inline uint16_t oracle_crc(const uint8_t *p, size_t n)
{
	unsigned crc = 0;

	while (n--) {
		crc ^= (unsigned)*p++ << 8;
		for (int i = 0; i < 8; i++)
			crc = crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1;
		crc &= 0xffff;
	}
	return (uint16_t)crc;
}

/* Adds low, high, low ... and folds; the plain reading of "little-endian 16-bit words". */
static inline uint16_t oracle_sum(const uint8_t *p, size_t n)
{
	uint32_t s = 0;

	for (size_t i = 0; i < n; i++) {
		s += i & 1 ? (uint32_t)p[i] << 8 : p[i];
		s = (s & 0xffff) + (s >> 16);
	}
	return (uint16_t)s;
}

/* from_phone decides the order of the check behind odd payloads. Returns the wire length. */
static inline size_t oracle_frame(uint8_t *out, bool crc, bool plain, bool from_phone, uint16_t type,
				  const uint8_t *payload, size_t len)
{
	static uint8_t body[70000];
	size_t n = len + 4, at = 0;

	body[0] = (uint8_t)(type >> 8);
	body[1] = (uint8_t)type;
	body[2] = (uint8_t)(len >> 8);
	body[3] = (uint8_t)len;
	if (len)
		memcpy(body + 4, payload, len);
	if (crc) {
		uint16_t c = oracle_crc(body, n);

		body[n++] = (uint8_t)(c >> 8);
		body[n++] = (uint8_t)c;
	} else {
		uint16_t c = (uint16_t)~oracle_sum(body, n);
		bool swap = from_phone || !(len & 1);

		body[n++] = (uint8_t)(swap ? c : c >> 8);
		body[n++] = (uint8_t)(swap ? c >> 8 : c);
	}
	out[at++] = 0x7e;
	for (size_t i = 0; i < n; i++) {
		if (!plain && (body[i] == 0x7e || body[i] == 0x7d)) {
			out[at++] = 0x7d;
			out[at++] = body[i] ^ 0x20;
		} else {
			out[at++] = body[i];
		}
	}
	out[at++] = 0x7e;
	return at;
}

/* "7e 00 80" -> bytes; returns how many. */
static inline size_t oracle_hex(const char *text, uint8_t *out)
{
	size_t n = 0;

	for (; *text; text++) {
		int v = *text >= '0' && *text <= '9'   ? *text - '0'
			: *text >= 'a' && *text <= 'f' ? *text - 'a' + 10
						       : -1;

		if (v < 0)
			continue;
		if (n & 1)
			out[n / 2] = (uint8_t)(out[n / 2] << 4 | v);
		else
			out[n / 2] = (uint8_t)v;
		n++;
	}
	return n / 2;
}

#endif
