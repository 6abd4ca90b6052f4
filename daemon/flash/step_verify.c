/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading back and comparing as the bytes stream (pac-and-flow 5.9): the last piece first, then from the
 * start, so that a phone which answers from its buffer or repeats the request (device-behaviour 17: F59) is
 * caught. A sparse image is walked by its own chunk headers: RAW and FILL are compared, holes are not read.
 * The plan says which bytes the phone stamps itself.
 */
#include <stdio.h>

#include "flash/inner.h"

static const struct plan_step *current(const struct session *s)
{
	return &s->resolved->step[s->running];
}

static const struct plan_step *target(const struct session *s)
{
	return &s->resolved->step[current(s)->of];
}

static struct written *left_by(struct session *s)
{
	return &s->written[current(s)->of];
}

static bool sparse(struct session *s)
{
	return left_by(s)->scanned;
}

static enum step_says nothing_to_do(struct session *s)
{
	const char *why = current(s)->no_verify[0] ? current(s)->no_verify : "not compared";

	snprintf(s->entries[current(s)->of].note, sizeof(s->entries[0].note), "%s", why);
	snprintf(s->entries[s->running].note, sizeof(s->entries[0].note), "%s", why);
	return STEP_DONE;
}

static void open_source(struct session *s, uint64_t *size)
{
	const struct plan_step *w = target(s);
	struct source_ref source = { .kind = SOURCE_ITEM, .index = (uint32_t)w->item };

	if (session_sends_held(w)) {
		const struct nv_kept *nv = session_nv(s, current(s)->of);

		*size = nv ? nv->merged_len : 0;
		feed_open_memory(&s->feed, nv ? nv->merged : NULL, *size);
		return;
	}
	if (w->op == OP_RESTORE) {
		source.kind = SOURCE_BACKUP;
		source.index = (uint32_t)w->backup;
		*size = s->facts.backups[w->backup].size;
	} else {
		const struct pac_item *item = session_item(s, w->item);

		*size = item ? item->size : 0;
	}
	feed_open(&s->feed, source, *size, reader_piece(s));
}

static enum step_says verify_begin(struct session *s)
{
	struct verify_state *st = &s->st.verify;
	const struct plan_step *p = current(s);
	uint64_t size = 0, end;

	if (p->of < 0 || !p->size)
		return nothing_to_do(s);
	/* NV is read back within the group that wrote it */
	s->progress.stage = p->boundary == BOUNDARY_BOUND ? STAGE_FLASH : STAGE_VERIFY;
	open_source(s, &size);
	end = size;
	if (sparse(s)) {
		struct sparse_scan *scan = &left_by(s)->scan;

		if (scan->bad || !scan->headed)
			return step_fail(s, ERR_PACKAGE_SPARSE, "the chunks of %s cannot be followed",
					 p->target);
		end = scan->header.expanded;
		st->chunk_at = scan->body + scan->header.header_size;
		st->chunks = scan->header.chunks;
		/* holes only: the plan has said so, unless a checksum hid it */
		if (scan->last.kind == PIECE_NONE)
			return step_fail(s, ERR_VERIFY_UNREADABLE, "%s has no data to compare", p->target);
	}
	if (!end)
		return step_fail(s, ERR_INTERNAL, "nothing to compare for %s", p->target);
	/* address products hand out their NV from the first byte on, in order (bsl-protocol 16.2) */
	st->tail_done = target(s)->op == OP_WRITE_NV && !p->by_name;
	/* the announced end covers the byte that may be read to make a number even */
	st->size = end;
	reader_open(&st->r, p->by_name, p->target, p->address, end + (end & 1));
	st->r.doing_open = DOING_VERIFY_OPEN;
	st->r.doing_read = DOING_VERIFY_READ;
	st->r.secret = true;
	st->r.when = target(s)->op == OP_WRITE_NV ? WHEN_NV : 0;
	return STEP_ASK;
}

/* ---- where to read next ---------------------------------------------------------------------- */

enum spot { SPOT_READ, SPOT_FETCH, SPOT_END, SPOT_BAD };

/* An even number of bytes, at most a piece. One byte too many is asked for where the image ends odd:
 * partitions do not. */
static void read_here(struct session *s, uint64_t at, uint64_t len, uint64_t source, bool fill)
{
	struct verify_state *st = &s->st.verify;

	st->asked = (size_t)MIN(len, (uint64_t)reader_piece(s));
	st->asked_at = at;
	st->source_at = source;
	st->fill = fill;
}

static enum spot whole_spot(struct session *s)
{
	struct verify_state *st = &s->st.verify;
	uint64_t size = st->size, piece = reader_piece(s);

	if (!st->tail_done) {
		uint64_t from = (size - 1) / piece * piece;

		read_here(s, from, size - from, from, false);
		return SPOT_READ;
	}
	if (st->pos >= size)
		return SPOT_END;
	read_here(s, st->pos, size - st->pos, st->pos, false);
	return SPOT_READ;
}

static void extent_spot(struct session *s, const struct sparse_piece *e, uint64_t pos)
{
	read_here(s, e->offset + pos, e->length - pos, e->source + pos, e->kind == PIECE_FILL);
}

/* The next header of a sparse image, out of the stream. */
static enum spot next_chunk(struct session *s)
{
	struct verify_state *st = &s->st.verify;
	const struct sparse_header *h = &left_by(s)->scan.header;
	size_t need = (size_t)MIN((uint64_t)h->chunk_size + 4, s->feed.size - st->chunk_at);
	struct sparse_chunk chunk;
	const uint8_t *bytes = feed_at(&s->feed, st->chunk_at, need);

	if (!bytes)
		return SPOT_FETCH;
	if (sparse_piece_parse(h, bytes, need, h->chunks - st->chunks, st->chunk_at,
			       s->feed.size - st->chunk_at, st->out, &chunk, &st->extent))
		return SPOT_BAD;
	st->pos = 0;
	st->out += chunk.length;
	st->chunk_at += chunk.bytes;
	st->chunks--;
	return SPOT_READ;
}

static enum spot sparse_spot(struct session *s)
{
	struct verify_state *st = &s->st.verify;
	uint64_t piece = reader_piece(s);

	if (!st->tail_done) {
		const struct sparse_piece *last = &left_by(s)->scan.last;

		st->extent = *last;
		extent_spot(s, last, (last->length - 1) / piece * piece);
		return SPOT_READ;
	}
	while (st->extent.kind == PIECE_NONE || st->pos >= st->extent.length) {
		enum spot spot;

		st->extent.kind = PIECE_NONE;
		if (!st->chunks)
			return SPOT_END;
		if (st->chunk_at >= s->feed.size)
			return SPOT_BAD;
		spot = next_chunk(s);
		if (spot != SPOT_READ)
			return spot;
	}
	extent_spot(s, &st->extent, st->pos);
	return SPOT_READ;
}

static enum step_says verify_next(struct session *s, struct ask *ask)
{
	struct verify_state *st = &s->st.verify;
	enum step_says says;
	enum spot spot;

	if (st->r.at == READER_OVER || st->over)
		return STEP_DONE;
	if (st->r.at != READER_DATA)
		return reader_next(s, &st->r, ask, 0);
	spot = sparse(s) ? sparse_spot(s) : whole_spot(s);
	if (spot == SPOT_BAD)
		return step_fail(s, ERR_PACKAGE_SPARSE, "a chunk of %s cannot be followed",
				 current(s)->target);
	if (spot == SPOT_FETCH) {
		ask_fetch(ask, &s->feed, st->chunk_at);
		return STEP_ASK;
	}
	if (spot == SPOT_END) {
		st->r.at = st->r.by_name ? READER_END : READER_OVER;
		return verify_next(s, ask);
	}
	if (!st->fill && !feed_at(&s->feed, st->source_at, st->asked)) {
		size_t ready = feed_ready(&s->feed, st->source_at) & ~(size_t)1;

		if (!ready) {
			ask_fetch(ask, &s->feed, st->source_at);
			return STEP_ASK;
		}
		st->asked = MIN(st->asked, ready);
	}
	st->r.pos = st->asked_at;
	says = reader_next(s, &st->r, ask, st->asked + (st->asked & 1));
	ask->when |= st->tail_done ? 0 : WHEN_LAST;
	return says;
}

/* ---- comparing ------------------------------------------------------------------------------- */

static bool skipped(const struct session *s, uint64_t at)
{
	const struct plan_step *p = current(s);

	for (uint32_t i = 0; i < p->skips && i < PLAN_SKIPS_MAX; i++)
		if (at >= p->skip[i].at && at < p->skip[i].at + p->skip[i].size)
			return true;
	return false;
}

/* Offset of the first difference that counts, or len. */
static size_t difference(struct session *s, const uint8_t *got, size_t len)
{
	struct verify_state *st = &s->st.verify;
	const uint8_t *want = st->fill ? NULL : feed_at(&s->feed, st->source_at, len);

	if (want && !current(s)->skips && !memcmp(want, got, len))
		return len;
	for (size_t i = 0; i < len; i++) {
		uint8_t byte = st->fill ? st->extent.fill[(st->asked_at + i - st->extent.offset) & 3]
					: (want ? want[i] : (uint8_t)~got[i]);

		if (byte != got[i] && !skipped(s, st->asked_at + i))
			return i;
	}
	return len;
}

static enum step_says compare(struct session *s, const uint8_t *data)
{
	struct verify_state *st = &s->st.verify;
	size_t at = difference(s, data, st->asked);

	if (at < st->asked) {
		uint64_t where = st->asked_at + at;

		s->ask.offset = where;
		if (current(s)->of >= 0)
			s->entries[current(s)->of].verdict = ENTRY_FAILED;
		return step_diagnose(s, SYMPTOM_DIFFERS, -1, "first difference at byte %llu",
				     (unsigned long long)where);
	}
	st->r.at = READER_DATA;
	if (!st->tail_done) {
		st->tail_done = true;
		st->extent.kind = PIECE_NONE;
		st->pos = 0;
		return STEP_ASK;
	}
	st->pos += st->asked;
	session_moved(s, st->asked);
	s->entries[current(s)->of].bytes_compared += st->asked;
	return STEP_ASK;
}

static enum step_says verify_take(struct session *s, const struct answer *a)
{
	struct verify_state *st = &s->st.verify;
	enum step_says says;
	const uint8_t *data;
	bool ending = st->r.at == READER_END;
	size_t len;

	says = reader_take(s, &st->r, a, &data, &len);
	if (says != STEP_ASK)
		return says;
	if (len)
		return compare(s, data);
	if (ending || st->r.at == READER_OVER) {
		st->over = true;
	}
	return STEP_ASK;
}

static enum step_says verify_says_done(struct session *s)
{
	struct entry_result *of = &s->entries[current(s)->of];

	of->verdict = ENTRY_VERIFIED;
	s->entries[s->running].verdict = ENTRY_VERIFIED;
	s->entries[s->running].bytes_compared = of->bytes_compared;
	snprintf(of->note, sizeof(of->note), "%s", current(s)->no_verify);
	return STEP_DONE;
}

static enum step_says verify_ask(struct session *s, struct ask *ask)
{
	enum step_says says = verify_next(s, ask);

	return says == STEP_DONE ? verify_says_done(s) : says;
}

/* Only says that chunks may be fetched ahead; a read request costs nothing to encode. */
static bool verify_ahead(struct session *s, struct ask *ask)
{
	return false;
}

const struct step_kind step_verify = {
	.name = "verify",
	.stage = STAGE_COUNT,
	.begin = verify_begin,
	.next = verify_ask,
	.take = verify_take,
	.ahead = verify_ahead,
};
