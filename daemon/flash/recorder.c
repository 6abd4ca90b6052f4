/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "flash/recorder.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"

static const char *const kinds[] = {
	[RECORD_OUT] = "out",	      [RECORD_IN] = "in",   [RECORD_BAD] = "bad",
	[RECORD_TIMEOUT] = "timeout", [RECORD_USB] = "usb", [RECORD_NOTE] = "note",
	[RECORD_STREAM] = "stream",
};

static bool is_text(uint8_t kind)
{
	return kind == RECORD_TIMEOUT || kind == RECORD_USB || kind == RECORD_NOTE;
}

void recorder_add(struct recorder *r, const struct record *event)
{
	struct record *to = &r->ring[r->count++ % RECORDER_EVENTS];

	*to = *event;
	if (to->head_len > RECORDER_HEAD)
		to->head_len = RECORDER_HEAD;
	if (to->secret) {
		memset(to->head, 0, sizeof(to->head));
		to->head_len = 0;
	}
}

void recorder_note(struct recorder *r, uint64_t at_usec, enum record_kind kind, const char *text)
{
	struct record event = { .at_usec = at_usec, .kind = (uint8_t)kind };
	size_t n = strnlen(text, RECORDER_HEAD);

	memcpy(event.head, text, n);
	event.head_len = (uint8_t)n;
	event.length = (uint32_t)n;
	recorder_add(r, &event);
}

static size_t line(const struct record *e, char *buf, size_t size)
{
	size_t n = (size_t)snprintf(buf, size, "%" PRIu64 ".%06" PRIu64 " %s", e->at_usec / 1000000,
				    e->at_usec % 1000000,
				    e->kind < ARRAY_SIZE(kinds) ? kinds[e->kind] : "note");

	if (is_text(e->kind)) {
		n += (size_t)snprintf(buf + n, size - n, " ");
		for (unsigned i = 0; i < e->head_len; i++)
			n += (size_t)snprintf(buf + n, size - n, "%c",
					      isprint(e->head[i]) ? e->head[i] : '_');
	} else {
		n += (size_t)snprintf(buf + n, size - n, " %04x len %" PRIu32 " check %04x ", e->type,
				      e->length, e->check);
		if (e->secret)
			n += (size_t)snprintf(buf + n, size - n, "secret");
		else if (!e->head_len)
			n += (size_t)snprintf(buf + n, size - n, "-");
		for (unsigned i = 0; i < e->head_len && !e->secret; i++)
			n += (size_t)snprintf(buf + n, size - n, "%02x", e->head[i]);
	}
	return n + (size_t)snprintf(buf + n, size - n, "\n");
}

size_t recorder_text(const struct recorder *r, char *buf, size_t size)
{
	uint64_t first = r->count > RECORDER_EVENTS ? r->count - RECORDER_EVENTS : 0;
	size_t at = 0;

	if (size)
		buf[0] = 0;
	for (uint64_t i = first; i < r->count; i++) {
		char text[160];
		size_t n = line(&r->ring[i % RECORDER_EVENTS], text, sizeof(text));

		if (at + 1 < size) {
			size_t put = MIN(n, size - at - 1);

			memcpy(buf + at, text, put);
			buf[at + put] = 0;
		}
		at += n;
	}
	return at;
}

static int hex_head(const char *p, struct record *event)
{
	while (isxdigit((unsigned char)p[0]) && isxdigit((unsigned char)p[1])) {
		char two[3] = { p[0], p[1], 0 };

		if (event->head_len == RECORDER_HEAD)
			return -EBADMSG;
		event->head[event->head_len++] = (uint8_t)strtoul(two, NULL, 16);
		p += 2;
	}
	return *p && *p != '\n' ? -EBADMSG : 0;
}

int recorder_parse(const char *text, struct record *event)
{
	uint64_t sec, usec;
	unsigned type, check;
	char kind[10];
	int n = 0;

	memset(event, 0, sizeof(*event));
	if (sscanf(text, "%" SCNu64 ".%6" SCNu64 " %9[a-z]%n", &sec, &usec, kind, &n) != 3 || usec > 999999 ||
	    sec > UINT64_MAX / 1000000 - 1)
		return -EBADMSG;
	event->at_usec = sec * 1000000 + usec;
	for (event->kind = 0; event->kind < ARRAY_SIZE(kinds); event->kind++)
		if (!strcmp(kind, kinds[event->kind]))
			break;
	if (event->kind == ARRAY_SIZE(kinds) || text[n] != ' ')
		return -EBADMSG;
	text += n + 1;
	if (is_text(event->kind)) {
		size_t len = strcspn(text, "\n");

		if (len > RECORDER_HEAD)
			return -EBADMSG;
		memcpy(event->head, text, len);
		event->head_len = (uint8_t)len;
		event->length = (uint32_t)len;
		return 0;
	}
	n = 0;
	if (sscanf(text, "%4x len %" SCNu32 " check %4x %n", &type, &event->length, &check, &n) != 3 || !n)
		return -EBADMSG;
	event->type = (uint16_t)type;
	event->check = (uint16_t)check;
	text += n;
	if (!strncmp(text, "secret", 6)) {
		event->secret = true;
		return text[6] && text[6] != '\n' ? -EBADMSG : 0;
	}
	if (*text == '-')
		return text[1] && text[1] != '\n' ? -EBADMSG : 0;
	return hex_head(text, event);
}
