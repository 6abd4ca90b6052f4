/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Frames on the wire: 7E | type BE16 | length BE16 | payload | check BE16 | 7E (bsl-protocol 3).
 * Encoder for the host's frames, incremental decoder for the phone's. Escaped mode replaces 7E by 7D 5E
 * and 7D by 7D 5D between the flags; plain mode (after command 0x21) replaces nothing and goes by the length.
 *
 * No allocation, no state but the deframer's own. All sizes are bytes. Written for any byte order.
 */
#ifndef FDLD_BSL_CODEC_H
#define FDLD_BSL_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Bits, so that a deframer can be told to take either (the answer to a probe tells the stage by its check).
 */
enum bsl_check {
	BSL_CHECK_CRC16 = 1, /* CRC-16/XMODEM: boot ROM (bsl-protocol 3.1) */
	BSL_CHECK_SUM = 2,   /* 16-bit one's complement sum: everything that was loaded */
	BSL_CHECK_EITHER = 3 /* deframer only */
};

enum bsl_framing { BSL_FRAMING_ESCAPED, BSL_FRAMING_PLAIN };

#define BSL_FLAG	0x7e
#define BSL_PLAIN_HEAD	5u		       /* flag, type, length: what a plain frame's payload follows */
#define BSL_PAYLOAD_MAX 65535u		       /* what the length field can say */
#define BSL_BODY_MAX	(BSL_PAYLOAD_MAX + 6u) /* type, length, payload, check */
#define BSL_WIRE_MAX	(2u * BSL_BODY_MAX + 2u) /* everything escaped, and two flags */

/* One piece of a payload; borrowed for the call. */
struct bsl_piece {
	const void *data;
	size_t len;
};

/* Most bytes that a frame with that payload can take on the wire. */
size_t bsl_wire_bound(enum bsl_framing framing, size_t payload);

/*
 * Encodes one host frame into out. size must be at least bsl_wire_bound() of the payload's sum, whatever the
 * content. Odd payloads in sum mode get the check in the order a phone expects from a host
 * (bsl-protocol 3.1). Returns the wire length; -EMSGSIZE: payload longer than BSL_PAYLOAD_MAX; -ENOBUFS: out
 * too small; -EINVAL: check is not exactly one of the two.
 */
ssize_t bsl_encode(enum bsl_check check, enum bsl_framing framing, uint16_t type,
		   const struct bsl_piece *pieces, unsigned count, uint8_t *out, size_t size);

/*
 * A frame whose wire length is a multiple of the bulk packet size would need a zero-length packet, which some
 * phones need and others die of. Data can be cut anywhere, so it is cut elsewhere (bsl-protocol 2.4). Given
 * the wire length that len payload bytes made: the number of payload bytes to send instead. Returns len where
 * nothing has to change; an odd len gives up one byte (so that only the last frame of a file is odd), an even
 * one two.
 */
size_t bsl_fit_payload(size_t wire, size_t len, unsigned max_packet);

/*
 * bsl_encode() of one data piece with that rule applied: *taken is how many of the len bytes went into the
 * frame, the caller sends the rest in its next frame. max_packet 0: no rule. Returns and errors as
 * bsl_encode().
 */
ssize_t bsl_encode_fit(enum bsl_check check, enum bsl_framing framing, uint16_t type, const void *data,
		       size_t len, unsigned max_packet, uint8_t *out, size_t size, size_t *taken);

/* CRC-16/XMODEM over data, continuing from crc (0 at the start). */
uint16_t bsl_crc16(uint16_t crc, const void *data, size_t len);
/*
 * One's complement sum of the little-endian 16-bit words of data, folded, not inverted; a last single byte
 * counts as the low byte. Sums of parts that start at even offsets may be added with bsl_sum_add().
 */
uint16_t bsl_sum(const void *data, size_t len);
uint16_t bsl_sum_add(uint16_t a, uint16_t b);

/* ---- phone to host ---- */

struct bsl_frame {
	uint16_t type;
	uint16_t check_field; /* as on the wire, big endian read */
	enum bsl_check check; /* which of the two it satisfied */
	/*
	 * Where a plain frame came whole: in the bytes that were fed, as long as these are there; else in the
	 * deframer's buffer: until its next feed, mode or reset.
	 */
	const uint8_t *payload;
	size_t len;
};

/* What is wrong with bytes that are no frame. */
enum bsl_fault {
	BSL_FAULT_NONE,
	BSL_FAULT_CHECK,  /* the check field does not agree */
	BSL_FAULT_ESCAPE, /* 7D followed by neither 5D nor 5E */
	BSL_FAULT_LONG,	  /* more bytes than a frame can have */
	BSL_FAULT_SHORT,  /* closing flag after fewer than 6 bytes */
	BSL_FAULT_LENGTH, /* check agrees, but the length field names another number of bytes than came */
	BSL_FAULT_TYPE,	  /* plain mode: not a reply's type, so the length cannot be trusted either */
	BSL_FAULT_TAIL,	  /* plain mode: no flag where the frame must end */
};
const char *bsl_fault_text(enum bsl_fault fault);

enum bsl_decode { BSL_DECODE_MORE, BSL_DECODE_FRAME, BSL_DECODE_BAD };

/* Members are the deframer's own. */
struct bsl_deframer {
	uint8_t *body; /* the caller's buffer */
	size_t size;
	size_t len;  /* bytes of body so far */
	size_t want; /* plain: bytes of body in all, once the header is there */
	int state;
	enum bsl_check check;
	enum bsl_framing framing;
	enum bsl_fault fault;
	uint64_t skipped; /* bytes outside of frames, ever */
};

/*
 * buf: at least 6 bytes, BSL_BODY_MAX to take every frame; stays the caller's. A frame that does not fit is
 * BSL_FAULT_LONG. Starts with either check, escaped.
 */
void bsl_deframer_init(struct bsl_deframer *d, uint8_t *buf, size_t size);
/* Both forget a frame begun; skipped is kept. */
void bsl_deframer_mode(struct bsl_deframer *d, enum bsl_check check, enum bsl_framing framing);
void bsl_deframer_reset(struct bsl_deframer *d);
/* Bytes of a frame begun and not ended; 0 between frames. */
size_t bsl_deframer_pending(const struct bsl_deframer *d);

/*
 * Takes bytes, however transfers cut them, up to the end of one frame; *used says how many, the caller feeds
 * the rest again. Flags may be repeated, or shared by two frames. FRAME fills *frame; BAD fills *fault, and
 * the deframer looks for the next flag by itself.
 */
enum bsl_decode bsl_deframer_feed(struct bsl_deframer *d, const uint8_t *bytes, size_t len, size_t *used,
				  struct bsl_frame *frame, enum bsl_fault *fault);

#endif
