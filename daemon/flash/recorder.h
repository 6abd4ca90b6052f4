/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Flight recorder: the last frames, unframed streams and USB events of a session. Never NV or image content:
 * of a data frame only type, length and check are kept, of a stream its length. The text form is what `fdlctl
 * jobs trace` prints and what the simulation replays as the phone's side.
 */
#ifndef FDLD_FLASH_RECORDER_H
#define FDLD_FLASH_RECORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECORDER_EVENTS 256
#define RECORDER_HEAD	16

enum record_kind {
	RECORD_OUT,	/* frame to the phone */
	RECORD_IN,	/* frame from the phone */
	RECORD_BAD,	/* bytes from the phone that are no valid frame */
	RECORD_TIMEOUT, /* deadline passed */
	RECORD_USB,	/* open, gone, back, stall ...: text in head */
	RECORD_NOTE,	/* stage or step entered: text in head */
	RECORD_STREAM,	/* unframed bytes to the phone (raw mode): length only, always secret */
};

struct record {
	uint64_t at_usec;
	uint8_t kind;	 /* enum record_kind */
	bool secret;	 /* payload is NV or image content: head is empty */
	uint16_t type;	 /* BSL type */
	uint32_t length; /* payload bytes */
	uint16_t check;	 /* as on the wire */
	uint8_t head_len;
	uint8_t head[RECORDER_HEAD];
};

struct recorder {
	uint64_t count; /* ever recorded; the last RECORDER_EVENTS are kept, ring by count */
	struct record ring[RECORDER_EVENTS];
};

void recorder_add(struct recorder *r, const struct record *event);
void recorder_note(struct recorder *r, uint64_t at_usec, enum record_kind kind, const char *text);
/* Writes at most size bytes of text, one event per line, oldest first; returns the length needed, like
 * snprintf. */
size_t recorder_text(const struct recorder *r, char *buf, size_t size);
/* Parses one line of that text; 0 or -EBADMSG. */
int recorder_parse(const char *line, struct record *event);

#endif
