/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One exchange at a time: a request out, its reply in, or a named reason why not. No I/O, no clock: the owner
 * sends the bytes, feeds what comes, and says when a deadline has passed. Replies carry no echo of their
 * request (bsl-protocol 8), so order is everything: after a timeout nothing is matched to anything until the
 * owner says that the line is quiet.
 *
 * The next frame can be encoded while a reply is outstanding: prepare, feed the reply, send.
 * Memory: two frames and one reply, allocated once.
 */
#ifndef FDLD_BSL_LINK_H
#define FDLD_BSL_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bsl/codec.h"
#include "bsl/message.h"
#include "bsl/shelf.h"

/* A frame ready to leave. */
struct bsl_wire {
	const uint8_t *bytes; /* the link's or the shelf's; valid until its reply is in and the next but one
				 prepare */
	size_t len;
	bool zlp;   /* must be ended by a zero-length packet, since it could not be resized (bsl-protocol 2.4)
		     */
	bool leads; /* shared data that were on no shelf: this link goes ahead of the others */
	uint16_t command;
	struct bsl_timing timing; /* of the reply, from the moment the bytes have left */
};

struct bsl_request {
	uint16_t command;
	const struct bsl_piece *pieces; /* payload; read during the call only */
	unsigned count;
	unsigned flags;	     /* BSL_TIMING_ bits */
	uint64_t work_bytes; /* what the phone has to go through for it: for the usual time */
	uint8_t also_accept; /* one reply type more than the table's that means success here; 0: none */
};

enum bsl_event {
	BSL_EVENT_NONE,	   /* all bytes used, nothing whole yet */
	BSL_EVENT_REPLY,   /* a reply the request accepts; the exchange is over */
	BSL_EVENT_REFUSED, /* a reply by which the phone refuses or reports an error; the exchange is over */
	BSL_EVENT_UNEXPECTED, /* a whole frame that answers something else; the exchange is over and not to be
				 trusted */
	BSL_EVENT_LOG,	      /* a log frame (FF); the exchange goes on */
	BSL_EVENT_BAD,	      /* bytes that are no frame; the exchange goes on until the owner expires it */
	BSL_EVENT_LATE,	      /* a frame, good or bad, that belongs to an exchange given up: dropped */
	BSL_EVENT_SURPLUS,    /* a good frame while nothing was asked */
};

struct bsl_reply {
	struct bsl_frame frame; /* of all events but NONE and BAD; payload: bsl_frame */
	enum bsl_fault fault;	/* BAD; LATE where what came late was damaged too */
	uint16_t command;	/* that it answers; of REPLY, REFUSED, UNEXPECTED */
};

struct bsl_link_counters {
	uint64_t requests, replies, refused, unexpected, logs, bad, late, surplus, expired;
};

struct bsl_link; /* opaque; about 400 KiB, of which only what is used becomes resident */

/* NULL: no memory. Starts in stage unknown, escaped, packet size 64. */
struct bsl_link *bsl_link_new(void);
void bsl_link_free(struct bsl_link *link); /* NULL is fine */
void bsl_link_freep(struct bsl_link **link);
/* Once, before anything is sent: data that others send too come from there. Takes a reference. */
void bsl_link_share(struct bsl_link *link, struct bsl_shelf *shelf);

/*
 * A phone has arrived (or come back): forgets exchange, prepared frame, framing and debts of late replies.
 * max_packet: bulk OUT wMaxPacketSize in bytes.
 */
void bsl_link_arrived(struct bsl_link *link, enum bsl_stage stage, unsigned max_packet);
/*
 * Another stage listens now. Sets the check: CRC-16 in ROM, sum elsewhere; UNKNOWN allows nothing but the
 * probe, and the answer's check tells (frame.check). Back to escaped framing unless the stage stays what it
 * was. An exchange outstanding stays so (FDL2 answers the EXEC that FDL1 was sent). A frame prepared earlier
 * is dropped.
 */
void bsl_link_set_stage(struct bsl_link *link, enum bsl_stage stage);
/* Resumes a loader of which a record says that 0x21 was accepted; else the link switches by itself on that
 * ACK. */
void bsl_link_set_plain(struct bsl_link *link);

enum bsl_stage bsl_link_stage(const struct bsl_link *link);
enum bsl_check bsl_link_check(const struct bsl_link *link);
enum bsl_framing bsl_link_framing(const struct bsl_link *link);
unsigned bsl_link_max_packet(const struct bsl_link *link);
/* Most payload bytes for a MIDST of this stage and framing (BSL_CHUNK_). */
size_t bsl_link_chunk(const struct bsl_link *link);
const struct bsl_link_counters *bsl_link_counters(const struct bsl_link *link);

/*
 * Encodes a request into the buffer that is not in use. Changes no protocol state: allowed while a reply is
 * outstanding, and a frame prepared before is forgotten. -EPERM: the table does not allow the command in this
 * stage; -EMSGSIZE: too long; -EINVAL: BSL_CMD_PROBE (use bsl_link_probe) or a payload in pieces too many.
 */
int bsl_link_prepare(struct bsl_link *link, const struct bsl_request *request);
/*
 * Same for a MIDST of data, which may be cut: *taken of len bytes are in the frame, the rest is for the next
 * one (bsl_encode_fit). len 1 .. BSL_PAYLOAD_MAX. flush: the phone will write on this one if all of len was
 * taken; work_bytes as in the request. place: what they are on the shelf; NULL: nobody else's.
 */
int bsl_link_prepare_data(struct bsl_link *link, const struct bsl_place *place, const void *data, size_t len,
			  bool flush, uint64_t work_bytes, size_t *taken);
/*
 * What was put on the shelf for a MIDST of exactly these len bytes: prepare_data() takes it for data, until
 * another call. NULL: nothing, or not as it was given.
 */
const uint8_t *bsl_link_shelved(const struct bsl_link *link, const struct bsl_place *place, size_t len);
bool bsl_link_prepared(const struct bsl_link *link);
void bsl_link_forget(struct bsl_link *link); /* the prepared frame */

/*
 * Begins the exchange of the prepared frame. -EBUSY: one is outstanding, or expired and not drained; -ENOENT:
 * nothing is prepared; -ESTALE: check or framing changed since it was prepared: prepare again.
 */
int bsl_link_send(struct bsl_link *link, struct bsl_wire *wire);
/* prepare and send in one. */
int bsl_link_request(struct bsl_link *link, const struct bsl_request *request, struct bsl_wire *wire);
/*
 * The unframed probe, one byte 7E. May be called again while a probe is outstanding (that is how it is
 * repeated); answers to earlier ones that come after the first are then dropped as late. Only in stage
 * unknown, ROM, FDL1 and FDL. -EPERM, -EBUSY. The answer is taken with either check. Never in plain framing
 * (-EPERM): a one-byte transfer crashes such a loader.
 */
int bsl_link_probe(struct bsl_link *link, struct bsl_wire *wire);

/*
 * Something unframed has been sent that the phone answers like command (raw blocks: BSL_CMD_RAW_START,
 * BSL_CMD_RAW_START2; or a reply that comes of itself): begins that exchange without a frame. What is
 * prepared stays prepared. Errors as bsl_link_send() and -EPERM; *timing is filled on success.
 */
int bsl_link_expect(struct bsl_link *link, uint16_t command, unsigned flags, uint64_t work_bytes,
		    struct bsl_timing *timing);

/*
 * Bytes from the phone were dropped: what follows up to the next flag is the rest of a frame that nobody has
 * seen, not a frame. What was kept of the last reply stays readable.
 */
void bsl_link_skip(struct bsl_link *link);
/*
 * len bytes of the last reply's payload, where they stay until the next feed: they may have been lying in
 * what was fed. Right behind that reply only: the deframer's buffer is taken for it.
 */
const uint8_t *bsl_link_keep(struct bsl_link *link, const uint8_t *bytes, size_t len);
bool bsl_link_outstanding(const struct bsl_link *link);
/* Bytes of a reply begun: "cut short" rather than "silent". */
size_t bsl_link_pending(const struct bsl_link *link);

/*
 * Bytes from the phone. Stops behind the first event; *used says how many bytes it took: feed the rest again
 * until NONE.
 */
enum bsl_event bsl_link_feed(struct bsl_link *link, const uint8_t *bytes, size_t len, size_t *used,
			     struct bsl_reply *reply);

/* The deadline passed, or the exchange is given up: from now on everything is LATE and nothing can be sent.
 */
void bsl_link_expire(struct bsl_link *link);
bool bsl_link_draining(const struct bsl_link *link);
/* The line has been quiet long enough: a frame begun is forgotten, requests are possible again. */
void bsl_link_drained(struct bsl_link *link);

#endif
