/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A flight recording (daemon/flash/recorder.h, `fdlctl jobs trace`) as the phone's side of a session. The
 * recorded answers, silences and departures are given to a real session in their order; what the session
 * records of itself must be the same list again: the same requests by type and length, the same steps, the
 * same end.
 *
 * Of a long answer a recording knows 16 bytes and the check. The rest is taken from a donor, a healthy phone
 * of the same kind that is asked the same questions, where its answer has the recorded length, beginning and
 * check; else it is zeros.
 */
#ifndef TESTS_SIM_REPLAY_H
#define TESTS_SIM_REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flash/recorder.h"
#include "flash/session.h"
#include "pac/source.h"
#include "tests/phone/phone.h"

struct replay_list {
	struct record event[RECORDER_EVENTS];
	size_t count;
	bool whole; /* reaches back to the opening of the phone; false: only its tail is there */
	char end[RECORDER_HEAD + 1]; /* "pass", or the first letters of the error's name */
};

/*
 * Reads the text of a recording. False: it is damaged, and why (size bytes) names line and reason: what the
 * parser of the recorder refuses, times that run back, an answer whose bytes and check do not agree, a
 * request before the one ahead of it was settled, an end that is missing.
 */
bool replay_read(const char *text, struct replay_list *list, char *why, size_t size);

/* An event of words (usb, note, timeout, bad) with this text, which may be longer than an event keeps. e may
 * be NULL. */
bool recording_is(const struct record *e, enum record_kind kind, const char *text);
bool recording_words(const struct record *e);
bool recording_complete(const struct record *e); /* all bytes of the payload are in it */
/* Type, length and payload as far as it is known, zeros behind it: 4 + length bytes. */
void recording_body(uint8_t *body, const struct record *e);
/* Check fields, as on the wire, that the ROM and a loader put behind such a body. */
uint16_t recording_crc(const uint8_t *body, size_t len);
uint16_t recording_sum(const uint8_t *body, size_t len);

struct replay_config {
	const struct replay_list *list;	      /* whole */
	const struct session_config *session; /* as the recorded one had it; with a plan */
	const struct source *package;	      /* of that plan */
	struct phone *donor;		      /* plugged in, fresh */
};

struct replay_outcome {
	bool same;
	size_t requests;	/* that went out again, in the recorded order */
	size_t streams;		/* of these, unframed */
	size_t answers;		/* that were given; of these: */
	size_t found;		/* completed from the donor */
	size_t unknown;		/* completed with zeros */
	struct failure failure; /* of the session at its end */
	char text[240];		/* !same: the first difference */
};

/* 0, or -ENOMEM, -EINVAL. */
int replay_run(const struct replay_config *config, struct replay_outcome *out);

/* ---- what the donor said (donor.c) ---- */

struct donor;

/* NULL: no memory. The phone stays the caller's. */
struct donor *donor_new(struct phone *phone);
void donor_free(struct donor *d);
/* Sends it what the session sends and hears it out, at most usec long. plain: the framing in force. */
void donor_ask(struct donor *d, const uint8_t *bytes, size_t len, bool zlp, bool plain, uint64_t usec);
/* Unframed bytes; the answer is waited for behind the last of them (usec not 0). */
void donor_stream(struct donor *d, const uint8_t *bytes, size_t len, bool zlp, uint64_t usec);
/* Lets its time pass; it may leave and come back meanwhile. */
void donor_pass(struct donor *d, uint64_t usec);
struct phone_usb donor_usb(const struct donor *d);
/* Payload of an answer of this type, length, check and beginning; NULL: it never gave one. */
const uint8_t *donor_find(const struct donor *d, const struct record *like);

#endif
