/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bsl/codec.h"
#include "bsl/wide.h"
#include "common/util.h"

enum state {
	HUNT,	/* outside: nothing counts before a flag */
	OPEN,	/* behind a flag, nothing of a frame yet */
	BODY,	/* inside */
	ESCAPE, /* inside, behind 7D */
	TAIL,	/* plain: only the closing flag is missing */
};

const char *bsl_fault_text(enum bsl_fault fault)
{
	switch (fault) {
	case BSL_FAULT_NONE: return "nothing wrong";
	case BSL_FAULT_CHECK: return "check does not agree";
	case BSL_FAULT_ESCAPE: return "escape byte followed by neither 5d nor 5e";
	case BSL_FAULT_LONG: return "longer than a frame can be";
	case BSL_FAULT_SHORT: return "shorter than a frame can be";
	case BSL_FAULT_LENGTH: return "length field and bytes received differ";
	case BSL_FAULT_TYPE: return "does not begin with a reply type";
	case BSL_FAULT_TAIL: return "no flag where the frame must end";
	}
	return "unknown fault";
}

void bsl_deframer_init(struct bsl_deframer *d, uint8_t *buf, size_t size)
{
	*d = (struct bsl_deframer){ .body = buf, .size = size, .state = HUNT };
	d->check = BSL_CHECK_EITHER;
	d->framing = BSL_FRAMING_ESCAPED;
}

void bsl_deframer_reset(struct bsl_deframer *d)
{
	d->state = HUNT;
	d->len = 0;
	d->want = 0;
}

void bsl_deframer_mode(struct bsl_deframer *d, enum bsl_check check, enum bsl_framing framing)
{
	bsl_deframer_reset(d);
	d->check = check;
	d->framing = framing;
}

size_t bsl_deframer_pending(const struct bsl_deframer *d)
{
	return d->len;
}

static bool satisfies(const uint8_t *body, size_t len, enum bsl_check check)
{
	uint16_t told;

	if (check == BSL_CHECK_CRC16)
		return bsl_crc16(0, body, len) == 0;
	/* phones add an odd payload as if a zero followed it, and swap always (bsl-protocol 3.1) */
	told = get_le16(body + len - 2);
	return (uint16_t)(told + bsl_sum(body, len - 2)) == 0xffff;
}

static enum bsl_decode bad(struct bsl_deframer *d, enum bsl_fault what, enum state next,
			   enum bsl_fault *fault)
{
	d->state = next;
	d->len = 0;
	*fault = what;
	return BSL_DECODE_BAD;
}

/* A closing flag was seen; it may open the next frame too. */
static enum bsl_decode finish(struct bsl_deframer *d, const uint8_t *body, size_t len,
			      struct bsl_frame *frame, enum bsl_fault *fault)
{
	enum bsl_check check;

	if (len < 6)
		return bad(d, BSL_FAULT_SHORT, OPEN, fault);
	if ((d->check & BSL_CHECK_CRC16) && satisfies(body, len, BSL_CHECK_CRC16))
		check = BSL_CHECK_CRC16;
	else if ((d->check & BSL_CHECK_SUM) && satisfies(body, len, BSL_CHECK_SUM))
		check = BSL_CHECK_SUM;
	else
		return bad(d, BSL_FAULT_CHECK, OPEN, fault);
	if (get_be16(body + 2) != len - 6)
		return bad(d, BSL_FAULT_LENGTH, OPEN, fault);
	*frame = (struct bsl_frame){
		.type = get_be16(body),
		.check_field = get_be16(body + len - 2),
		.check = check,
		.payload = body + 4,
		.len = len - 6,
	};
	d->state = OPEN;
	d->len = 0;
	return BSL_DECODE_FRAME;
}

/* One turn inside an escaped frame: a run of plain bytes, and the special byte behind it. Returns MORE to go
 * on. */
static enum bsl_decode escaped_turn(struct bsl_deframer *d, const uint8_t **p, const uint8_t *end,
				    struct bsl_frame *frame, enum bsl_fault *fault)
{
	if (d->state == BODY) {
		size_t n = MIN((size_t)(end - *p), d->size - d->len);
		size_t run = wide_copy(d->body + d->len, *p, n);

		d->len += run;
		*p += run;
		if (*p == end)
			return BSL_DECODE_MORE;
		if (**p == WIDE_FLAG) {
			++*p;
			return finish(d, d->body, d->len, frame, fault);
		}
		if (run == n && d->len == d->size)
			return bad(d, BSL_FAULT_LONG, HUNT, fault);
		++*p; /* 7D */
		d->state = ESCAPE;
		if (*p == end)
			return BSL_DECODE_MORE;
	}
	if (**p == (WIDE_FLAG ^ 0x20) || **p == (WIDE_ESCAPE ^ 0x20)) {
		if (d->len == d->size)
			return bad(d, BSL_FAULT_LONG, HUNT, fault);
		d->body[d->len++] = *(*p)++ ^ 0x20;
		d->state = BODY;
		return BSL_DECODE_MORE;
	}
	/* a flag here ends the broken frame and is left to be one */
	return bad(d, BSL_FAULT_ESCAPE, HUNT, fault);
}

/*
 * Bytes of a frame without its flags that is wholly there: what most transfers are. It is looked at where it
 * lies, since copying 62 KiB costs as much as checking them. 0: to be put together, or nothing good.
 */
static size_t lies_whole(const struct bsl_deframer *d, const uint8_t *p, const uint8_t *end)
{
	size_t n;

	if (end - p < 4 || *p)
		return 0;
	n = 4u + get_be16(p + 2) + 2u;
	return n <= d->size && n < (size_t)(end - p) && p[n] == BSL_FLAG ? n : 0;
}

static enum bsl_decode plain_turn(struct bsl_deframer *d, const uint8_t **p, const uint8_t *end,
				  struct bsl_frame *frame, enum bsl_fault *fault)
{
	size_t n = d->len ? 0 : lies_whole(d, *p, end);

	if (n) {
		*p += n + 1;
		return finish(d, *p - n - 1, n, frame, fault);
	}
	if (d->state == TAIL) {
		if (*(*p)++ != BSL_FLAG)
			return bad(d, BSL_FAULT_TAIL, HUNT, fault);
		return finish(d, d->body, d->len, frame, fault);
	}
	if (d->len < 4) {
		d->body[d->len++] = *(*p)++;
		if (d->body[0])
			return bad(d, BSL_FAULT_TYPE, HUNT, fault);
		if (d->len == 4) {
			d->want = 4u + get_be16(d->body + 2) + 2u;
			if (d->want > d->size)
				return bad(d, BSL_FAULT_LONG, HUNT, fault);
		}
		return BSL_DECODE_MORE;
	}
	n = MIN((size_t)(end - *p), d->want - d->len);
	memcpy(d->body + d->len, *p, n);
	d->len += n;
	*p += n;
	if (d->len == d->want)
		d->state = TAIL;
	return BSL_DECODE_MORE;
}

enum bsl_decode bsl_deframer_feed(struct bsl_deframer *d, const uint8_t *bytes, size_t len, size_t *used,
				  struct bsl_frame *frame, enum bsl_fault *fault)
{
	const uint8_t *p = bytes, *end = bytes + len;
	enum bsl_decode result = BSL_DECODE_MORE;

	*fault = BSL_FAULT_NONE;
	while (p != end && result == BSL_DECODE_MORE) {
		if (d->state == HUNT) {
			const uint8_t *flag = memchr(p, BSL_FLAG, (size_t)(end - p));

			d->skipped += (size_t)((flag ? flag : end) - p);
			p = flag ? flag + 1 : end;
			if (flag)
				d->state = OPEN;
			continue;
		}
		if (d->state == OPEN) {
			if (*p == BSL_FLAG) {
				p++;
				continue;
			}
			d->state = BODY;
			d->len = 0;
		}
		if (d->framing == BSL_FRAMING_PLAIN)
			result = plain_turn(d, &p, end, frame, fault);
		else
			result = escaped_turn(d, &p, end, frame, fault);
	}
	*used = (size_t)(p - bytes);
	return result;
}
