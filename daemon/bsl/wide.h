/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The two loops every byte goes through, many bytes at a time: copying up to the next byte that needs an
 * escape, and adding 16-bit words. Each has a form that is right on any machine; where SSE2 is there it does
 * the copying. Private to this folder and its tests.
 */
#ifndef FDLD_BSL_WIDE_H
#define FDLD_BSL_WIDE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define WIDE_FLAG   0x7e
#define WIDE_ESCAPE 0x7d

/* 0x80 in exactly the bytes of x that are zero; no carry runs from one byte into the next. */
static inline uint64_t wide_zeros(uint64_t x)
{
	const uint64_t low = 0x7f7f7f7f7f7f7f7fu;

	return ~(((x & low) + low) | x | low);
}

/*
 * Copies from the start of from to to, at most n bytes, up to but not including the first 7D or 7E, and
 * returns how many. May write anything into the rest of to[0..n). The areas do not overlap.
 */
static inline size_t wide_copy_any(uint8_t *to, const uint8_t *from, size_t n)
{
	const uint64_t every = 0x0101010101010101u;
	size_t i = 0;

	for (; n - i >= 8; i += 8) {
		uint64_t w, hit;

		memcpy(&w, from + i, 8);
		memcpy(to + i, &w, 8);
		hit = wide_zeros(w ^ every * WIDE_ESCAPE) | wide_zeros(w ^ every * WIDE_FLAG);
		if (hit) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
			return i + (unsigned)__builtin_ctzll(hit) / 8;
#else
			return i + (unsigned)__builtin_clzll(hit) / 8;
#endif
		}
	}
	for (; i < n && from[i] != WIDE_ESCAPE && from[i] != WIDE_FLAG; i++)
		to[i] = from[i];
	return i;
}

#ifdef __SSE2__
static inline size_t wide_copy_sse2(uint8_t *to, const uint8_t *from, size_t n)
{
	const __m128i escape = _mm_set1_epi8(WIDE_ESCAPE), flag = _mm_set1_epi8(WIDE_FLAG);
	size_t i = 0;

	for (; n - i >= 32; i += 32) {
		__m128i a = _mm_loadu_si128((const __m128i *)(from + i));
		__m128i b = _mm_loadu_si128((const __m128i *)(from + i + 16));
		__m128i ha = _mm_or_si128(_mm_cmpeq_epi8(a, escape), _mm_cmpeq_epi8(a, flag));
		__m128i hb = _mm_or_si128(_mm_cmpeq_epi8(b, escape), _mm_cmpeq_epi8(b, flag));
		unsigned hit;

		_mm_storeu_si128((__m128i *)(to + i), a);
		_mm_storeu_si128((__m128i *)(to + i + 16), b);
		if (__builtin_expect(_mm_movemask_epi8(_mm_or_si128(ha, hb)) == 0, 1))
			continue;
		hit = (unsigned)_mm_movemask_epi8(ha) | (unsigned)_mm_movemask_epi8(hb) << 16;
		return i + (unsigned)__builtin_ctz(hit);
	}
	return i + wide_copy_any(to + i, from + i, n - i);
}
#define wide_copy wide_copy_sse2
#else
#define wide_copy wide_copy_any
#endif

typedef uint32_t wide_u32x4 __attribute__((vector_size(16)));

static inline uint16_t wide_fold(uint64_t sum)
{
	sum = (sum & 0xffffffffu) + (sum >> 32);
	sum = (sum & 0xffffu) + (sum >> 16);
	sum = (sum & 0xffffu) + (sum >> 16);
	sum = (sum & 0xffffu) + (sum >> 16);
	return (uint16_t)sum;
}

/*
 * One's complement sum of the 16-bit words of p in the machine's own order, folded; a last single byte is the
 * first byte of a word whose second is zero. The sum commutes with swapping bytes, so order is put right by
 * the caller. Where to is not NULL the bytes are copied there on the way: a byte looked at once is cheaper
 * than one looked at twice.
 */
static inline __attribute__((always_inline)) uint16_t wide_sum_to(uint8_t *to, const uint8_t *p, size_t n)
{
	uint64_t total = 0;

	/* 32-bit lanes: 65536 additions of 16 bits cannot overflow one */
	while (n >= 32) {
		size_t turns = n / 32 < 32768 ? n / 32 : 32768;
		wide_u32x4 even = { 0 }, odd = { 0 };

		n -= turns * 32;
		for (const uint8_t *end = p + turns * 32; p != end; p += 32) {
			wide_u32x4 a, b;

			memcpy(&a, p, 16);
			memcpy(&b, p + 16, 16);
			if (to) {
				memcpy(to, &a, 16);
				memcpy(to + 16, &b, 16);
				to += 32;
			}
			even += a & 0xffff;
			odd += a >> 16;
			even += b & 0xffff;
			odd += b >> 16;
		}
		for (int i = 0; i < 4; i++)
			total += (uint64_t)even[i] + odd[i];
	}
	if (to && n)
		memcpy(to, p, n);
	for (; n >= 2; p += 2, n -= 2) {
		uint16_t w;

		memcpy(&w, p, 2);
		total += w;
	}
	if (n) {
		uint16_t w = 0;

		memcpy(&w, p, 1);
		total += w;
	}
	return wide_fold(total);
}

static inline uint16_t wide_sum(const uint8_t *p, size_t n)
{
	return wide_sum_to(NULL, p, n);
}

/* The same, and to[0..n) becomes a copy of p. */
static inline uint16_t wide_copy_sum(uint8_t *to, const uint8_t *p, size_t n)
{
	return wide_sum_to(to, p, n);
}

#endif
