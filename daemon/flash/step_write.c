/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writing an entry: START, MIDST, END (bsl-protocol 9). The host counts the bytes; the first error decides,
 * and END repairs nothing (9.2). No request in here is ever sent twice. One row allows an entry to begin
 * again: a START that was refused because writing had to be enabled first, which executed nothing
 * (device-behaviour 17: F47).
 */
#include <stdio.h>

#include "flash/inner.h"

#define RAW_BLOCK  (2u << 20)
#define RAW_PIECE  65536u
#define QUIET_LATE (300 * MSEC) /* for an error that follows the last raw ACK (bsl-protocol 10) */
#define FLUSH_EVERY                                                                            \
	(2ull << 20) /* from here on any MIDST may make the phone write (device-behaviour 5.5) \
		      */

/* What may make an entry begin again from START in the same session; everything else ends the session. */
static const struct {
	uint8_t code;	  /* reply to START */
	uint16_t command; /* to be sent in between, once */
} restarts[] = {
	{ BSL_REP_WRITE_NOT_ENABLED, BSL_CMD_ENABLE_WRITE },
};

static const struct plan_step *current(const struct session *s)
{
	return &s->resolved->step[s->running];
}

static bool writes_nv(const struct session *s)
{
	return current(s)->op == OP_WRITE_NV;
}

/* MIDST payload: what the frame can hold, while escaped no more than the vendor's tools send for the type
 * (pac-and-flow 2.6). */
static size_t chunk(const struct session *s)
{
	const struct pac_item *item = session_item(s, current(s)->item);
	size_t limit = bsl_link_chunk(s->link);
	size_t packet = item && item->file ? scheme_type_info(item->file->type)->packet : 0x1000;

	if (session_plain(s))
		return limit;
	packet = MIN(MAX(packet, (size_t)528), (size_t)0x3000);
	return MIN(packet, limit) & ~(size_t)1;
}

static enum step_says write_begin(struct session *s)
{
	struct write_state *st = &s->st.write;
	const struct plan_step *p = current(s);
	const struct pac_item *item = session_item(s, p->item);

	st->size = p->size;
	if (p->op == OP_RESTORE) {
		struct source_ref source = { .kind = SOURCE_BACKUP, .index = (uint32_t)p->backup };

		st->size = s->facts.backups[p->backup].size;
		feed_open(&s->feed, source, st->size, chunk(s));
	} else if (session_sends_held(p)) {
		const struct nv_kept *nv = session_nv(s, s->running);

		if (!nv || !nv->merged)
			return step_fail(s, ERR_INTERNAL, "no bytes were made ready for %s", p->target);
		st->size = nv->merged_len;
		st->sum = nv->sum;
		st->with_sum = writes_nv(s);
		feed_open_memory(&s->feed, nv->merged, nv->merged_len);
	} else {
		struct source_ref source = { .kind = SOURCE_ITEM, .index = (uint32_t)p->item };

		if (!item)
			return step_fail(s, ERR_INTERNAL, "no item for %s", p->target);
		st->size = item->size;
		feed_open(&s->feed, source, st->size, chunk(s));
		if (item->image.kind == IMAGE_SPARSE) {
			s->written[s->running].scanned = true;
			sparse_scan_begin(&s->written[s->running].scan, item->image.body_at);
		}
	}
	st->total = st->size;
	/* receivers of other code bases do not take odd frames: one zero more, never for NV
	 * (bsl-protocol 3.1) */
	if ((st->size & 1) && !writes_nv(s) && (session_when(s) & WHEN_SINGLE))
		st->total++;
	/* where the phone would have to expand, both readings of raw mode differ: framed (bsl-protocol 18) */
	st->raw = s->raw && p->op == OP_WRITE && !s->written[s->running].scanned && st->size > SESSION_CHUNK;
	if (!st->size)
		return step_fail(s, ERR_INTERNAL, "%s is empty", p->target);
	return STEP_ASK;
}

static int build_start(struct session *s)
{
	struct write_state *st = &s->st.write;
	const struct plan_step *p = current(s);
	const uint32_t *sum = st->with_sum ? &st->sum : NULL;

	if (p->by_name)
		return bsl_payload_start_name(&s->payload, p->target, st->total, sum);
	if (st->total > UINT32_MAX || p->address > UINT32_MAX)
		return -1; /* the 64-bit address form is known to no device (bsl-protocol 18) */
	return bsl_payload_start_address(&s->payload, (uint32_t)p->address, (uint32_t)st->total, sum);
}

static bool write_data(struct session *s, uint64_t pos, struct ask *ask)
{
	struct write_state *st = &s->st.write;
	uint64_t left = st->total - pos;
	size_t n = (size_t)MIN(left, (uint64_t)chunk(s)), ready = feed_ready(&s->feed, pos);
	bool pad = st->total > st->size;

	if (!left)
		return false;
	memset(ask, 0, sizeof(*ask));
	if (pad && pos + n == st->total) {
		/* the padding goes alone with the byte before it, so that no frame has to be put together */
		if (n > 2) {
			n -= 2;
		} else {
			const uint8_t *byte = feed_at(&s->feed, st->size - 1, 1);

			if (!byte)
				return false;
			st->pad[0] = *byte;
			st->pad[1] = 0;
			ask->data.bytes = st->pad;
		}
	}
	if (!ask->data.bytes) {
		/* of the package, behind its gate: for each phone the same, and maybe framed for another */
		ask->data.shared = !s->feed.memory && s->feed.source.kind == SOURCE_ITEM;
		ask->data.place = (struct bsl_place){ .source = s->feed.source.index, .offset = pos };
		if (ask->data.shared)
			ask->data.bytes = bsl_link_shelved(s->link, &ask->data.place, n);
	}
	if (!ask->data.bytes) {
		if (!ready)
			return false;
		n = MIN(n, ready);
		if (n > 1 && (n & 1) && pos + n < st->total)
			n--; /* only the last frame of a file is odd */
		ask->data.bytes = feed_at(&s->feed, pos, n);
	}
	ask->kind = ASK_DATA;
	ask->doing = DOING_SEND;
	ask->when = (writes_nv(s) ? WHEN_NV : 0) | (pos ? 0 : WHEN_FIRST) |
		    (pos + n == st->total ? WHEN_LAST : 0);
	ask->secret = true;
	ask->offset = pos;
	ask->data.len = n;
	ask->data.flush = pos + n == st->total || pos + n >= FLUSH_EVERY;
	ask->data.work = MIN(pos + n, (uint64_t)256 << 20);
	return true;
}

/* What is announced is what is sent: a block of the size the phone has told. */
static uint32_t raw_next(const struct session *s)
{
	const struct write_state *st = &s->st.write;
	uint32_t block = s->facts.flush_bytes ? s->facts.flush_bytes : RAW_BLOCK;

	return (uint32_t)MIN(st->total - st->pos, (uint64_t)block);
}

static void raw_block(struct session *s, struct ask *ask)
{
	struct write_state *st = &s->st.write;

	st->raw_len = raw_next(s);
	ask->kind = ASK_STREAM;
	ask->doing = DOING_RAW;
	ask->secret = true;
	ask->offset = st->pos;
	ask->stream.source.kind = SOURCE_ITEM;
	ask->stream.source.index = (uint32_t)current(s)->item;
	ask->stream.len = st->raw_len;
	ask->stream.piece = RAW_PIECE;
	ask->stream.zlp = st->raw_len % s->max_packet == 0;
}

static enum step_says write_next(struct session *s, struct ask *ask)
{
	struct write_state *st = &s->st.write;

	switch (st->at) {
	case WRITE_START:
		if (build_start(s))
			return step_fail(s, ERR_INTERNAL, "START of %s cannot be built", current(s)->target);
		ask_payload(s, ask, DOING_START, BSL_CMD_START);
		ask->command.work = st->total;
		if (s->plan->old_ids)
			ask->usec = 300 * SEC; /* START erases there (device-behaviour 12) */
		break;
	case WRITE_ENABLE: ask_command(s, ask, DOING_ENABLE, BSL_CMD_ENABLE_WRITE); break;
	case WRITE_DATA:
		if (!write_data(s, st->pos, ask))
			ask_fetch(ask, &s->feed, MIN(st->pos, st->size - 1));
		else if (s->written[s->running].scanned && ask->data.bytes != st->pad)
			sparse_scan_take(&s->written[s->running].scan, st->pos, ask->data.bytes,
					 ask->data.len);
		return STEP_ASK;
	case WRITE_RAW_ASK:
		if (s->facts.raw_level >= 2) {
			ask_command(s, ask, DOING_RAW, BSL_CMD_RAW_START2);
		} else {
			bsl_payload_raw_start(&s->payload, st->pos, raw_next(s));
			ask_payload(s, ask, DOING_RAW, BSL_CMD_RAW_START);
		}
		break;
	case WRITE_RAW_SEND: raw_block(s, ask); return STEP_ASK;
	case WRITE_RAW_QUIET:
		ask->doing = DOING_RAW;
		ask_quiet(ask, QUIET_LATE);
		return STEP_ASK;
	case WRITE_END: ask_command(s, ask, DOING_END, BSL_CMD_END); break;
	case WRITE_OVER: return STEP_DONE;
	}
	ask->when = writes_nv(s) ? WHEN_NV : 0;
	return STEP_ASK;
}

static void count(struct session *s, uint64_t bytes)
{
	session_moved(s, bytes);
	s->entries[s->running].bytes_sent += bytes;
}

static enum step_says start_refused(struct session *s, const struct answer *a)
{
	struct write_state *st = &s->st.write;

	for (size_t i = 0; i < ARRAY_SIZE(restarts); i++)
		if (a->kind == ANSWER_CODE && a->code == restarts[i].code && !st->enabled) {
			st->enabled = true;
			st->at = WRITE_ENABLE;
			return STEP_ASK;
		}
	/* loaders that take names look at sizes before anything else, NAND before it erases
	 * (device-behaviour 5.4, 7.5); of those that take numbers it is not known
	 */
	if (a->kind == ANSWER_CODE && a->code == BSL_REP_SIZE_ERROR && !s->plan->old_ids)
		session_not_begun(s);
	return step_refused(s, a);
}

static enum step_says data_taken(struct session *s, const struct answer *a)
{
	struct write_state *st = &s->st.write;

	st->pos += a->taken;
	count(s, a->taken);
	if (st->pos == st->total)
		st->at = WRITE_END;
	return STEP_ASK;
}

static enum step_says raw_taken(struct session *s)
{
	struct write_state *st = &s->st.write;

	st->pos += st->raw_len;
	count(s, st->raw_len);
	if (st->pos == st->total)
		st->at = WRITE_RAW_QUIET;
	else if (s->facts.raw_level < 2)
		st->at = WRITE_RAW_ASK;
	return STEP_ASK;
}

static enum step_says write_take(struct session *s, const struct answer *a)
{
	struct write_state *st = &s->st.write;

	if (a->kind != ANSWER_GOOD)
		return st->at == WRITE_START ? start_refused(s, a) : step_refused(s, a);
	switch (st->at) {
	case WRITE_START: st->at = st->raw ? WRITE_RAW_ASK : WRITE_DATA; break;
	case WRITE_ENABLE: st->at = WRITE_START; break;
	case WRITE_DATA: return data_taken(s, a);
	case WRITE_RAW_ASK: st->at = WRITE_RAW_SEND; break;
	case WRITE_RAW_SEND: return raw_taken(s);
	case WRITE_RAW_QUIET:
		if (a->code >= 0) /* the write behind the last ACK failed */
			return step_diagnose(s, SYMPTOM_CODE, a->code, "after the last raw block");
		st->at = WRITE_END;
		break;
	case WRITE_END:
		if (st->pos != st->total)
			return step_fail(s, ERR_INTERNAL, "END after %llu of %llu bytes",
					 (unsigned long long)st->pos, (unsigned long long)st->total);
		/* raw data carry no check: a result that does not rest on a comparison says so (design,
		 * section 6) */
		if (st->raw && s->plan->options.level != LEVEL_VERIFIED)
			snprintf(s->entries[s->running].note, sizeof(s->entries[0].note),
				 "sent as raw data without a check, not read back");
		st->at = WRITE_OVER;
		break;
	case WRITE_OVER: break;
	}
	return STEP_ASK;
}

static bool write_ahead(struct session *s, struct ask *ask)
{
	struct write_state *st = &s->st.write;

	return st->at == WRITE_DATA && s->ask.kind == ASK_DATA && write_data(s, st->pos + s->taken, ask);
}

const struct step_kind step_write = {
	.name = "write",
	.stage = STAGE_FLASH,
	.begin = write_begin,
	.next = write_next,
	.take = write_take,
	.ahead = write_ahead,
};

const struct step_kind step_write_nv = {
	.name = "write-nv",
	.stage = STAGE_FLASH,
	.begin = write_begin,
	.next = write_next,
	.take = write_take,
	.ahead = write_ahead,
};

const struct step_kind step_restore = {
	.name = "restore",
	.stage = STAGE_FLASH,
	.begin = write_begin,
	.next = write_next,
	.take = write_take,
	.ahead = write_ahead,
};

const struct step_kind step_change = {
	.name = "change",
	.stage = STAGE_FLASH,
	.begin = write_begin,
	.next = write_next,
	.take = write_take,
	.ahead = write_ahead,
};
