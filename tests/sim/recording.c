/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The text of a flight recording, read with more suspicion than the recorder's own parser has. */
#include <stdio.h>
#include <string.h>

#include "bsl/codec.h"
#include "common/util.h"
#include "tests/sim/replay.h"

bool recording_is(const struct record *e, enum record_kind kind, const char *text)
{
	return e && e->kind == kind && e->head_len == strnlen(text, RECORDER_HEAD) &&
	       !memcmp(e->head, text, e->head_len);
}

bool recording_words(const struct record *e)
{
	return e->kind != RECORD_OUT && e->kind != RECORD_IN && e->kind != RECORD_STREAM;
}

uint16_t recording_crc(const uint8_t *body, size_t len)
{
	return bsl_crc16(0, body, len);
}

/* The sum as phones swap it (bsl-protocol 3.1), read as a big-endian field. */
uint16_t recording_sum(const uint8_t *body, size_t len)
{
	uint16_t told = (uint16_t)~bsl_sum(body, len);

	return (uint16_t)(told << 8 | told >> 8);
}

bool recording_complete(const struct record *e)
{
	return e->head_len == e->length;
}

void recording_body(uint8_t *body, const struct record *e)
{
	put_be16(body, e->type);
	put_be16(body + 2, (uint16_t)e->length);
	memset(body + 4, 0, e->length);
	memcpy(body + 4, e->head, e->head_len);
}

/* The text of one event and what it says, beyond what the recorder's parser asks for. */
static const char *damage_of(const struct record *e)
{
	uint8_t body[4 + RECORDER_HEAD];

	if (recording_words(e))
		return NULL;
	if (e->kind == RECORD_STREAM)
		return e->secret && e->length ? NULL : "a stream that shows its bytes, or has none";
	if (e->length > BSL_PAYLOAD_MAX)
		return "longer than a frame can be";
	if (!e->secret && e->head_len != MIN(e->length, (uint32_t)RECORDER_HEAD) &&
	    !(e->kind == RECORD_OUT && !e->head_len))
		return "fewer bytes than it says";
	if (e->kind == RECORD_OUT || !recording_complete(e))
		return NULL;
	recording_body(body, e);
	if (e->check != recording_crc(body, 4 + e->length) && e->check != recording_sum(body, 4 + e->length))
		return "bytes and check do not agree";
	return NULL;
}

static bool refuse(char *why, size_t size, size_t line, const char *what)
{
	snprintf(why, size, "line %zu: %s", line, what);
	return false;
}

bool replay_read(const char *text, struct replay_list *list, char *why, size_t size)
{
	const struct record *last;
	bool open = false; /* a request is out */

	memset(list, 0, sizeof(*list));
	why[0] = 0;
	for (size_t n = 1; *text; n++) {
		struct record *e = &list->event[list->count];
		size_t len = strcspn(text, "\n");
		char one[200];

		if (list->count == RECORDER_EVENTS)
			return refuse(why, size, n, "more than a recorder holds");
		if (len >= sizeof(one) || !text[len])
			return refuse(why, size, n, len >= sizeof(one) ? "too long" : "cut off");
		memcpy(one, text, len);
		one[len] = 0;
		text += len + 1;
		if (recorder_parse(one, e))
			return refuse(why, size, n, "not a recorded event");
		/* words of a damaged frame stand in its bytes */
		if (e->kind == RECORD_BAD)
			e->length = e->head_len;
		if (damage_of(e))
			return refuse(why, size, n, damage_of(e));
		if (list->count && e->at_usec < e[-1].at_usec)
			return refuse(why, size, n, "time runs back");
		bool asks = e->kind == RECORD_OUT || e->kind == RECORD_STREAM;

		if (asks && open)
			return refuse(why, size, n, "a request before the one ahead of it was settled");
		open = asks || (open && e->kind == RECORD_NOTE);
		list->count++;
	}
	if (!list->count)
		return refuse(why, size, 1, "nothing is recorded");
	last = &list->event[list->count - 1];
	if (last->kind != RECORD_NOTE)
		return refuse(why, size, list->count, "the end is missing");
	memcpy(list->end, last->head, last->head_len);
	list->whole = recording_is(&list->event[0], RECORD_USB, "open");
	return true;
}
