/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bsl/codec.h"
#include "bsl/wide.h"
#include "common/util.h"

#include <errno.h>

size_t bsl_wire_bound(enum bsl_framing framing, size_t payload)
{
	return framing == BSL_FRAMING_PLAIN ? payload + 8 : 2 * (payload + 6) + 2;
}

static uint16_t swap16(uint16_t v)
{
	return (uint16_t)(v << 8 | v >> 8);
}

static uint16_t little(uint16_t sum)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	return swap16(sum);
#else
	return sum;
#endif
}

uint16_t bsl_sum(const void *data, size_t len)
{
	return little(wide_sum(data, len));
}

uint16_t bsl_sum_add(uint16_t a, uint16_t b)
{
	return wide_fold((uint64_t)a + b);
}

static uint8_t *copy(uint8_t *to, const uint8_t *from, size_t n)
{
	if (n)
		memcpy(to, from, n);
	return to + n;
}

/*
 * The two check bytes as they go out, before escaping. In plain framing the pieces are copied to `to` in the
 * same pass.
 */
static void host_check(enum bsl_check check, const uint8_t head[4], const struct bsl_piece *pieces,
		       unsigned count, uint8_t *to, uint8_t out[2])
{
	size_t at = 0;
	uint16_t sum;

	if (check == BSL_CHECK_CRC16) {
		uint16_t crc = bsl_crc16(0, head, 4);

		for (unsigned i = 0; i < count; i++) {
			crc = bsl_crc16(crc, pieces[i].data, pieces[i].len);
			if (to)
				to = copy(to, pieces[i].data, pieces[i].len);
		}
		put_be16(out, crc);
		return;
	}
	sum = bsl_sum(head, 4);
	for (unsigned i = 0; i < count; i++) {
		const struct bsl_piece *p = &pieces[i];
		uint16_t s = little(to ? wide_copy_sum(to + at, p->data, p->len) : wide_sum(p->data, p->len));

		/* a piece that begins in the middle of a word has its bytes in the other halves */
		sum = bsl_sum_add(sum, at & 1 ? swap16(s) : s);
		at += p->len;
	}
	/* the phone adds the check too and wants FFFF: behind an odd payload its bytes sit in the other
	 * halves */
	if (at & 1)
		put_be16(out, (uint16_t)~sum);
	else
		put_le16(out, (uint16_t)~sum);
}

static uint8_t *escape(uint8_t *to, const uint8_t *from, size_t n)
{
	for (;;) {
		size_t run = wide_copy(to, from, n);

		to += run;
		if (run == n)
			return to;
		*to++ = WIDE_ESCAPE;
		*to++ = from[run] ^ 0x20;
		from += run + 1;
		n -= run + 1;
	}
}

ssize_t bsl_encode(enum bsl_check check, enum bsl_framing framing, uint16_t type,
		   const struct bsl_piece *pieces, unsigned count, uint8_t *out, size_t size)
{
	uint8_t head[4], tail[2], *p = out;
	size_t len = 0;

	if (check != BSL_CHECK_CRC16 && check != BSL_CHECK_SUM)
		return -EINVAL;
	for (unsigned i = 0; i < count; i++) {
		if (pieces[i].len > BSL_PAYLOAD_MAX - len)
			return -EMSGSIZE;
		len += pieces[i].len;
	}
	if (size < bsl_wire_bound(framing, len))
		return -ENOBUFS;
	put_be16(head, type);
	put_be16(head + 2, (uint16_t)len);
	*p++ = BSL_FLAG;
	if (framing == BSL_FRAMING_PLAIN) {
		p = copy(p, head, 4);
		host_check(check, head, pieces, count, p, tail);
		p = copy(p + len, tail, 2);
	} else {
		host_check(check, head, pieces, count, NULL, tail);
		p = escape(p, head, 4);
		for (unsigned i = 0; i < count; i++)
			p = escape(p, pieces[i].data, pieces[i].len);
		p = escape(p, tail, 2);
	}
	*p++ = BSL_FLAG;
	return p - out;
}

size_t bsl_fit_payload(size_t wire, size_t len, unsigned max_packet)
{
	size_t less = len & 1 ? 1 : 2;

	if (!max_packet || !wire || wire % max_packet || len <= less)
		return len;
	return len - less;
}

ssize_t bsl_encode_fit(enum bsl_check check, enum bsl_framing framing, uint16_t type, const void *data,
		       size_t len, unsigned max_packet, uint8_t *out, size_t size, size_t *taken)
{
	for (;;) {
		struct bsl_piece piece = { data, len };
		ssize_t wire = bsl_encode(check, framing, type, &piece, 1, out, size);
		size_t fit;

		if (wire < 0)
			return wire;
		fit = bsl_fit_payload((size_t)wire, len, max_packet);
		if (fit == len) {
			*taken = len;
			return wire;
		}
		len = fit;
	}
}
