/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading in pieces: by partition name READ_START, READ_MIDST, READ_END; by address or id one READ_FLASH for
 * each piece (bsl-protocol 7, 11.1). A piece that stayed unanswered or arrived damaged is asked for once
 * more, since reads by offset change nothing; a START or END is not, nor a piece of what a loader hands out
 * in order whatever offset it is asked for (bsl-protocol 16.2: NV of an 8910 or 8850).
 */
#include "flash/inner.h"

#define QUIET_AGAIN (200 * MSEC)
#define NV_IN_ORDER 0xFE000003u

void reader_open(struct reader *r, bool by_name, const char *name, uint64_t address, uint64_t size)
{
	memset(r, 0, sizeof(*r));
	r->by_name = by_name;
	if (by_name)
		memccpy(r->name, name, 0, sizeof(r->name) - 1);
	r->address = address;
	r->sequential = !by_name && address == NV_IN_ORDER;
	r->size = size;
	r->at = by_name ? READER_START : READER_DATA;
}

size_t reader_piece(const struct session *s)
{
	return session_plain(s) ? READ_PLAIN : READ_ESCAPED;
}

static int build_piece(struct session *s, struct reader *r)
{
	enum bsl_framing framing = bsl_link_framing(s->link);

	if (r->by_name)
		return bsl_payload_read_midst(&s->payload, framing, (uint32_t)r->asked, r->pos);
	/* ids carry an offset field, mapped flash does not (pac-and-flow 4) */
	if (r->address >= 0x80000000u && r->pos <= UINT32_MAX)
		return bsl_payload_read_flash(&s->payload, framing, (uint32_t)r->address, (uint32_t)r->asked,
					      (uint32_t)r->pos);
	return bsl_payload_read_flash_address(&s->payload, framing, (uint32_t)(r->address + r->pos),
					      (uint32_t)r->asked);
}

enum step_says reader_next(struct session *s, struct reader *r, struct ask *ask, size_t limit)
{
	switch (r->at) {
	case READER_START:
		if (bsl_payload_read_start(&s->payload, r->name, r->size))
			return step_fail(s, ERR_INTERNAL, "READ_START of %s cannot be built", r->name);
		ask_payload(s, ask, r->doing_open, BSL_CMD_READ_START);
		break;
	case READER_DATA:
		r->asked = reader_piece(s);
		if (limit && limit < r->asked)
			r->asked = limit;
		r->asked = (size_t)MIN((uint64_t)r->asked, r->size - r->pos);
		if (build_piece(s, r))
			return step_fail(s, ERR_INTERNAL, "a read of %zu bytes cannot be built", r->asked);
		ask_payload(s, ask, r->doing_read, r->by_name ? BSL_CMD_READ_MIDST : BSL_CMD_READ_FLASH);
		ask->offset = r->pos;
		ask->command.work = r->asked;
		break;
	case READER_DRAIN:
		ask->doing = r->doing_read;
		ask_quiet(ask, QUIET_AGAIN);
		return STEP_ASK;
	case READER_END: ask_command(s, ask, r->doing_read, BSL_CMD_READ_END); break;
	case READER_OVER: return STEP_DONE;
	}
	ask->when = r->when;
	ask->secret = r->secret;
	return STEP_ASK;
}

static enum step_says piece_lost(struct session *s, struct reader *r, const struct answer *a)
{
	bool lost = a->kind == ANSWER_SILENT || a->kind == ANSWER_GARBLED;

	if (!lost || r->again || r->sequential || !bsl_command_repeats(s->ask.command.code, s->where))
		return step_refused(s, a);
	r->again = true;
	r->at = READER_DRAIN;
	return STEP_ASK;
}

enum step_says reader_take(struct session *s, struct reader *r, const struct answer *a, const uint8_t **data,
			   size_t *len)
{
	*data = NULL;
	*len = 0;
	switch (r->at) {
	case READER_START:
		if (a->kind != ANSWER_GOOD)
			return step_refused(s, a);
		r->at = READER_DATA;
		return STEP_ASK;
	case READER_DATA:
		if (a->kind != ANSWER_GOOD)
			return piece_lost(s, r, a);
		if (a->len != r->asked)
			return step_diagnose(s, SYMPTOM_SHORT, -1, "asked for %zu bytes, got %zu", r->asked,
					     a->len);
		r->again = false;
		*data = a->payload;
		*len = a->len;
		r->pos += a->len;
		if (r->pos >= r->size)
			r->at = r->by_name ? READER_END : READER_OVER;
		return STEP_ASK;
	case READER_DRAIN:
		if (a->kind == ANSWER_GONE)
			return step_refused(s, a);
		r->at = READER_DATA;
		return STEP_ASK;
	case READER_END:
		if (a->kind != ANSWER_GOOD && a->kind != ANSWER_CODE)
			return step_refused(s, a);
		r->at = READER_OVER;
		return STEP_ASK;
	case READER_OVER: break;
	}
	return STEP_ASK;
}
