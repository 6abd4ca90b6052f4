/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Saves what cannot be replaced, one area after another, durably (design, promise 5): from the phone, or from
 * the owed backup of an earlier job, which is then saved under this job too. NV stays in memory for the
 * merge.
 */
#include <stdio.h>

#include "flash/inner.h"

#define DOUBT_USEC (200 * MSEC) /* for an answer behind a no */

static const struct plan_backup *area(const struct session *s)
{
	return &s->plan->backup[s->backup_at];
}

static struct backup_fact *fact(struct session *s)
{
	return &s->facts.backups[s->backup_at];
}

static bool is_nv(const struct session *s)
{
	return area(s)->kind == BACKUP_NV;
}

static bool in_memory(const struct session *s)
{
	return is_nv(s) || area(s)->held;
}

static int32_t find_owed(const struct session *s)
{
	const char *from = s->plan->options.nv_from;

	/* what is changed is what is there */
	for (uint32_t i = 0; i < s->owed_count && !area(s)->held; i++) {
		const struct owed_backup *o = &s->owed[i];

		if (strcmp(o->name, area(s)->sink) != 0 && strcmp(o->name, area(s)->target) != 0)
			continue;
		if (from[0] ? !strcmp(from, o->job) : o->same_unit)
			return (int32_t)i;
	}
	return -1;
}

static enum step_says note(struct session *s, enum backup_state state, const char *text)
{
	fact(s)->state = state;
	snprintf(fact(s)->note, sizeof(fact(s)->note), "%.119s", text);
	return STEP_DONE;
}

static enum step_says backup_begin(struct session *s)
{
	struct backup_state_inner *st = &s->st.backup;
	const struct plan_backup *b = area(s);
	uint64_t size = b->size;

	s->facts.backup_count = s->backup_at + 1;
	*fact(s) = (struct backup_fact){ .step = s->backup_at };
	session_entry(s, b->target);
	st->zeros = st->ones = true;
	st->owed = find_owed(s);
	if (st->owed >= 0) {
		struct source_ref from = { .kind = SOURCE_OWED, .index = (uint32_t)st->owed };

		size = s->owed[st->owed].size;
		st->at = BACKUP_OWED;
		feed_open(&st->feed, from, size, 0);
		fact(s)->from_owed = true;
		s->owed_used = true;
	} else if (b->by_name && s->facts.table.count) {
		const struct table_entry *e = table_find(&s->facts.table, b->target);

		/* that probing met a refusal proves nothing: it is tried */
		if (!e && s->facts.table.origin != TABLE_PROBED)
			return note(s, BACKUP_REFUSED, "the phone's table has no such partition");
		if (e && !is_nv(s) && e->size && e->size != UINT64_MAX && (!size || e->size < size))
			size = e->size;
	}
	if (!size && st->owed < 0)
		return note(s, BACKUP_REFUSED, "how large it is could not be found");
	if (!is_nv(s) && size > NV_SIZE_MAX)
		return note(s, BACKUP_REFUSED, "it is larger than a backup may be");
	if (area(s)->held && size > MARK_BYTES_MAX)
		return note(s, BACKUP_REFUSED, "it is larger than what is changed in memory");
	if (in_memory(s)) {
		if (!size || size > NV_SIZE_MAX || s->nv_bytes + size > NV_SIZE_MAX)
			return step_fail(s, ERR_NV_UNREADABLE, "%llu bytes of NV are more than is held",
					 (unsigned long long)size);
		s->nv[s->backup_at].image = malloc(size);
		if (!s->nv[s->backup_at].image)
			return step_fail(s, ERR_INTERNAL, "no memory for NV");
		s->nv_bytes += size;
	}
	reader_open(&st->r, b->by_name, b->target, b->address, size);
	st->r.doing_open = st->r.doing_read = is_nv(s) ? DOING_BACKUP_NV : DOING_BACKUP_FILE;
	st->r.when = is_nv(s) ? WHEN_NV : 0;
	st->r.secret = true;
	return STEP_ASK;
}

static void look_at(struct backup_state_inner *st, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len && (st->zeros || st->ones); i++) {
		st->zeros &= bytes[i] == 0x00;
		st->ones &= bytes[i] == 0xFF;
	}
}

/* NV: is it one? What is blank, broken or foreign is stored all the same. */
static void judge_nv(struct session *s)
{
	struct nv_kept *nv = &s->nv[s->backup_at];
	struct failure why = { 0 };
	enum backup_state wrong;
	struct nv_image img;
	size_t len = nv->len, skip = nv_flash_header(nv->image, nv->len, &len);

	if (skip) {
		memmove(nv->image, nv->image + skip, nv->len - skip);
		nv->len = MIN(len, nv->len - skip);
	}
	/* of what was cut short nothing is known but its beginning: it counts only if its own end is in it */
	wrong = s->st.backup.cut ? BACKUP_NOT_READ : BACKUP_INVALID;
	if (s->st.backup.zeros || s->st.backup.ones) {
		note(s, s->st.backup.cut ? BACKUP_NOT_READ : BACKUP_BLANK, "nothing but fill");
		return;
	}
	if (nv_parse_device(nv->image, nv->len, &img, NULL, &why)) {
		note(s, wrong, why.detail);
		return;
	}
	if (nv_sane(&img, true, NULL, &why)) {
		note(s, wrong, why.detail);
	} else if (s->st.backup.cut && !img.multi && !img.core->terminated) {
		note(s, wrong, "the phone broke off before the end of the items");
	} else {
		note(s, BACKUP_VALID, "");
		/* what follows the last item is stale memory of the phone (bsl-protocol 11.1) */
		nv->len = MIN(nv->len, (size_t)(img.true_len + 3u) & ~(size_t)3u);
	}
	nv_free(&img);
}

bool session_is_raw(const char *name)
{
	size_t n = strlen(name);

	return n > 4 && !strcmp(name + n - 4, ".raw");
}

/*
 * What is no valid NV must never be taken for a backup that is owed, nor what a person gives up or a mark
 * replaces, even if this service dies: later it would come back over what is newer. Both are stored under
 * names that say so (station/owed.h).
 */
static struct sink_ref sink(struct session *s)
{
	struct sink_ref to = { .kind = SINK_BACKUP, .index = s->backup_at };
	bool raw = is_nv(s) && fact(s)->state != BACKUP_VALID, was = !is_nv(s) && area(s)->given_up;

	snprintf(to.name, sizeof(to.name), "%.34s%s", area(s)->sink, raw ? ".raw" : was ? ".was" : "");
	return to;
}

static enum step_says store(struct session *s, struct ask *ask, const uint8_t *bytes, size_t len)
{
	ask->kind = ASK_STORE;
	ask->secret = true;
	ask->store.sink = sink(s);
	ask->store.bytes = bytes;
	ask->store.len = len;
	return STEP_ASK;
}

/* NV is judged before it is stored: what follows its last item is not kept. */
static void read_whole(struct session *s)
{
	s->st.backup.at = is_nv(s) ? BACKUP_STORE : BACKUP_SYNC;
	if (is_nv(s))
		judge_nv(s);
}

static enum step_says take_owed(struct session *s, struct ask *ask)
{
	struct backup_state_inner *st = &s->st.backup;
	size_t n = (size_t)MIN(st->feed.size - st->r.pos, (uint64_t)SESSION_CHUNK);
	const uint8_t *bytes;

	if (st->r.pos >= st->feed.size) {
		read_whole(s);
		return STEP_DONE;
	}
	bytes = feed_at(&st->feed, st->r.pos, n);
	if (!bytes) {
		ask_fetch(ask, &st->feed, st->r.pos);
		return STEP_ASK;
	}
	look_at(st, bytes, n);
	st->r.pos += n;
	if (is_nv(s)) {
		memcpy(s->nv[s->backup_at].image + s->nv[s->backup_at].len, bytes, n);
		s->nv[s->backup_at].len += n;
		return STEP_DONE;
	}
	st->piece_len = n;
	return store(s, ask, bytes, n);
}

static enum step_says backup_next(struct session *s, struct ask *ask)
{
	struct backup_state_inner *st = &s->st.backup;
	struct nv_kept *nv = &s->nv[s->backup_at];
	enum step_says says;

	if (fact(s)->state == BACKUP_REFUSED)
		return STEP_DONE;
	if (st->piece)
		return store(s, ask, st->piece, st->piece_len);
	if (st->at == BACKUP_DOUBT) {
		ask->doing = st->r.doing_read;
		ask_quiet(ask, DOUBT_USEC);
		return STEP_ASK;
	}
	if (st->at == BACKUP_READ) {
		says = reader_next(s, &st->r, ask, 0);
		if (says != STEP_DONE)
			return says;
		read_whole(s);
	}
	while (st->at == BACKUP_OWED) {
		says = take_owed(s, ask);
		if (says != STEP_DONE)
			return says;
	}
	if (st->at == BACKUP_STORE) {
		size_t n = (size_t)MIN((uint64_t)nv->len - st->stored, (uint64_t)SESSION_CHUNK);

		if (n) {
			st->piece_len = n;
			return store(s, ask, nv->image + st->stored, n);
		}
		st->at = BACKUP_SYNC;
	}
	if (st->closing || !st->stored)
		return STEP_DONE;
	ask->kind = ASK_SYNC;
	ask->store.sink = sink(s);
	return STEP_ASK;
}

/* The phone will not read it. Which of that is "nothing there" the catalogue says (device-behaviour 17: F50,
 * F51). */
static enum step_says refused(struct session *s, const struct answer *a)
{
	struct backup_state_inner *st = &s->st.backup;
	bool opening = st->r.by_name ? st->r.at == READER_START : st->r.pos == 0;
	char text[80];

	if (a->code == BSL_REP_VERIFY_ERROR || a->code == BSL_REP_UNSUPPORTED)
		return step_refused(s, a);
	if (!opening && is_nv(s) && s->nv[s->backup_at].len >= 4) {
		st->r.at = READER_OVER; /* the area is shorter than declared, or damaged from here on */
		st->cut = true;
		return STEP_ASK;
	}
	snprintf(text, sizeof(text), "the phone answered %s", bsl_reply_name((uint16_t)a->code));
	if (opening && !is_nv(s) && a->code == BSL_REP_FAILED && !strcmp(area(s)->target, "prodnv")) {
		note(s, BACKUP_BLANK, "the phone finds no file system in it");
		st->closing = true;
		st->at = BACKUP_SYNC;
		return STEP_ASK;
	}
	/* refused to be opened: both copies are bad or there are none; broken off while reading: nothing is
	 * known of it */
	note(s, opening || !is_nv(s) ? BACKUP_REFUSED : BACKUP_NOT_READ, text);
	if (!opening && is_nv(s)) {
		st->closing = true;
		st->at = BACKUP_SYNC;
	}
	return STEP_ASK;
}

/*
 * With a no what is a phone's own may be given up. If its answers are one behind its requests (one of them
 * came twice), the no belongs to something else, and what was asked for comes behind it.
 */
static enum step_says doubted(struct session *s, const struct answer *a)
{
	struct answer no = { .kind = ANSWER_CODE, .code = s->st.backup.no };

	if (a->kind != ANSWER_GOOD)
		return step_refused(s, a);
	if (a->code >= 0)
		return step_fail(s, ERR_UNEXPECTED_REPLY,
				 "%s, and behind it came %s: the phone's answers are out of step",
				 bsl_reply_name((uint16_t)no.code), bsl_reply_name((uint16_t)a->code));
	s->st.backup.at = BACKUP_READ;
	return refused(s, &no);
}

static enum step_says kept(struct session *s)
{
	struct backup_state_inner *st = &s->st.backup;

	fact(s)->size = st->stored;
	if (!is_nv(s))
		note(s, st->zeros || st->ones ? BACKUP_BLANK : BACKUP_VALID, "");
	if (fact(s)->from_owed && is_nv(s) && fact(s)->state != BACKUP_VALID)
		return step_fail(s, ERR_NV_INVALID, "the backup owed by job %s: %s", s->owed[st->owed].job,
				 fact(s)->note);
	session_note(s, RECORD_NOTE, "backup durable");
	return STEP_DONE;
}

static enum step_says backup_take(struct session *s, const struct answer *a)
{
	struct backup_state_inner *st = &s->st.backup;
	enum step_says says;
	const uint8_t *data;
	size_t len;

	if (s->ask.kind == ASK_STORE || s->ask.kind == ASK_SYNC) {
		if (a->kind != ANSWER_GOOD)
			return step_refused(s, a);
		if (s->ask.kind == ASK_SYNC)
			return kept(s);
		st->stored += st->piece_len;
		st->piece = NULL;
		return STEP_ASK;
	}
	if (st->at == BACKUP_DOUBT)
		return doubted(s, a);
	/* only a no says that it cannot be read; what answers something else says nothing of it */
	if (a->kind == ANSWER_CODE && st->r.at != READER_END &&
	    bsl_reply_kind((uint16_t)a->code) == BSL_KIND_REFUSAL) {
		st->no = a->code;
		st->at = BACKUP_DOUBT;
		return STEP_ASK;
	}
	says = reader_take(s, &st->r, a, &data, &len);
	if (says != STEP_ASK || !len)
		return says;
	look_at(st, data, len);
	if (in_memory(s)) {
		memcpy(s->nv[s->backup_at].image + s->nv[s->backup_at].len, data, len);
		s->nv[s->backup_at].len += len;
	}
	if (!is_nv(s)) {
		st->piece = bsl_link_keep(s->link, data, len);
		st->piece_len = len;
	}
	return STEP_ASK;
}

const struct step_kind step_backup = {
	.name = "back-up",
	.stage = STAGE_LEARN,
	.begin = backup_begin,
	.next = backup_next,
	.take = backup_take,
};
