/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Between learning and destroying: the plan is decided, the package proved whole, NV joined, and the intent
 * durable. After this nothing is decided any more.
 */
#include <inttypes.h>
#include <stdio.h>

#include "flash/inner.h"

/* ---- resolve --------------------------------------------------------------------------------- */

static enum step_says resolve_next(struct session *s, struct ask *ask)
{
	struct failure why = { 0 };
	uint64_t total;
	uint32_t n;

	session_entry(s, "");
	if (plan_resolve(s->plan, &s->facts, &s->resolved, &why))
		return step_fail_why(s, &why);
	n = s->resolved->step_count;
	s->entries = calloc(n ? n : 1, sizeof(*s->entries));
	s->written = calloc(n ? n : 1, sizeof(*s->written));
	if (!s->entries || !s->written)
		return step_fail(s, ERR_INTERNAL, "no memory for %u entries", n);
	s->result.resolved = s->resolved; /* to be shown from now on */
	for (uint32_t i = 0; i < n; i++)
		s->entries[i].step = i;
	s->progress.entry_count = n;
	total = s->resolved->bytes_to_send + s->resolved->bytes_to_verify + s->resolved->bytes_to_read;
	if (s->resumed && !s->progress.bytes_done) /* the loaders were there */
		total -= MIN(total, s->plan->fdl1.size + s->plan->fdl2.size);
	/* guarded steps are decided: what they would have moved counts no more */
	s->progress.bytes_total = MAX(s->progress.bytes_done, total);
	return STEP_DONE;
}

static enum step_says resolve_take(struct session *s, const struct answer *a)
{
	return step_refused(s, a);
}

const struct step_kind step_resolve = {
	.name = "resolve",
	.stage = STAGE_CHECK,
	.next = resolve_next,
	.take = resolve_take,
};

/* ---- gate ------------------------------------------------------------------------------------ */

static enum step_says gate_next(struct session *s, struct ask *ask)
{
	if (s->st.load.pos)
		return STEP_DONE;
	ask->kind = ASK_AWAIT;
	ask->await.what = AWAIT_GATE;
	return STEP_ASK;
}

static enum step_says gate_take(struct session *s, const struct answer *a)
{
	if (a->kind != ANSWER_GOOD)
		return step_refused(s, a);
	s->st.load.pos = 1;
	return STEP_ASK;
}

const struct step_kind step_gate = {
	.name = "check-package",
	.stage = STAGE_CHECK,
	.next = gate_next,
	.take = gate_take,
};

/* ---- NV, as it will be sent ------------------------------------------------------------------- */

const struct nv_kept *session_nv(const struct session *s, int32_t step)
{
	const struct plan_step *p = &s->resolved->step[step];

	if (p->backup >= 0)
		return s->nv[p->backup].merged ? &s->nv[p->backup] : NULL;
	for (uint32_t i = 0; i < s->package_nv_count; i++)
		if (s->package_nv_step[i] == step)
			return &s->package_nv[i];
	return NULL;
}

static struct nv_kept *nv_slot(struct session *s)
{
	const struct plan_step *p = &s->resolved->step[s->merge_at];

	if (p->backup >= 0)
		return &s->nv[p->backup];
	if (s->package_nv_count == ARRAY_SIZE(s->package_nv))
		return NULL;
	s->package_nv_step[s->package_nv_count] = (int32_t)s->merge_at;
	return &s->package_nv[s->package_nv_count++];
}

static enum step_says merge_begin(struct session *s)
{
	const struct plan_step *p = &s->resolved->step[s->merge_at];
	const struct pac_item *item = session_item(s, p->item);
	struct source_ref source = { .kind = SOURCE_ITEM, .index = (uint32_t)p->item };
	struct merge_state *st = &s->st.merge;

	session_entry(s, p->target);
	if (p->backup >= 0 && !s->nv[p->backup].image)
		return step_fail(s, ERR_NV_UNREADABLE, "no NV were kept for %s", p->target);
	if (p->item < 0)
		return STEP_ASK;
	if (!item || !item->size || item->size > NV_SIZE_MAX || s->nv_bytes + item->size > NV_SIZE_MAX)
		return step_fail(s, ERR_PACKAGE_NV, "an NV image of a size that is not held");
	st->image = malloc(item->size);
	if (!st->image)
		return step_fail(s, ERR_INTERNAL, "no memory for NV");
	s->nv_bytes += item->size;
	st->len = item->size;
	feed_open(&st->feed, source, item->size, 0);
	return STEP_ASK;
}

/* Joins the phone's NV into the package's (pac-and-flow 3.3). */
static int join(struct session *s, const struct nv_kept *phone, const uint8_t *image, size_t len,
		uint8_t **out, struct failure *why)
{
	const struct scheme_product *product = pac_product(s->plan->pac);
	struct nv_image mine, theirs;
	int r = nv_parse(image, len, &theirs, why);

	if (r) {
		why->error = ERR_PACKAGE_NV;
		return r;
	}
	r = nv_parse(phone->image, phone->len, &mine, why);
	if (r == 0) {
		r = nv_merge(&mine, &theirs, product->nv, product->nvs, out, NULL, why);
		nv_free(&mine);
	}
	nv_free(&theirs);
	return r;
}

/* What was read from a phone is as long as the area: what follows its last item is no part of it
 * (bsl-protocol 11.1). */
static size_t without_fill(const uint8_t *image, size_t len)
{
	struct nv_image nv;

	if (nv_parse(image, len, &nv, NULL))
		return len; /* said when it is joined, or by the phone */
	if (nv.multi || nv.core->terminated)
		len = MIN(len, (size_t)(nv.true_len + 3u) & ~(size_t)3u);
	nv_free(&nv);
	return len;
}

bool session_sends_held(const struct plan_step *p)
{
	return p->op == OP_WRITE_NV || p->op == OP_CHANGE;
}

/* The marks of this partition, in its content as it was kept. */
static enum step_says change(struct session *s, struct nv_kept *kept)
{
	const struct plan_step *p = &s->resolved->step[s->merge_at];
	struct failure why = { 0 };

	kept->merged = malloc(kept->len);
	if (!kept->merged)
		return step_fail(s, ERR_INTERNAL, "no memory for %s", p->target);
	memcpy(kept->merged, kept->image, kept->len);
	kept->merged_len = kept->len;
	for (uint32_t i = 0; i < s->plan->mark_count; i++)
		if (!strcmp(s->plan->mark[i].target, p->target) &&
		    mark_apply(&s->plan->mark[i], kept->merged, kept->merged_len, &why))
			return step_fail_why(s, &why);
	return STEP_DONE;
}

static enum step_says seal(struct session *s)
{
	const struct plan_step *p = &s->resolved->step[s->merge_at];
	struct merge_state *st = &s->st.merge;
	struct nv_kept *nv = nv_slot(s);
	struct failure why = { 0 };
	size_t len = st->len, skip = 0;

	if (!nv)
		return step_fail(s, ERR_PACKAGE_NV, "too many NV entries");
	if (p->op == OP_CHANGE)
		return change(s, nv);
	if (st->image)
		skip = nv_flash_header(st->image, st->len, &len);
	if (st->image && s->plan->options.own != OWN_PACKAGE)
		len = without_fill(st->image + skip, len);
	if (!st->image) { /* the backup itself goes back */
		nv->merged = malloc(nv->len);
		if (!nv->merged)
			return step_fail(s, ERR_INTERNAL, "no memory for NV");
		memcpy(nv->merged, nv->image, nv->len);
		nv->merged_len = nv->len;
	} else if (p->backup >= 0) {
		if (join(s, nv, st->image + skip, len, &nv->merged, &why))
			return step_fail_why(s, &why);
		nv->merged_len = len;
	} else {
		memmove(st->image, st->image + skip, len);
		nv->merged = TAKE_PTR(st->image);
		nv->merged_len = len;
	}
	if (nv_seal(nv->merged, nv->merged_len, &nv->sum))
		return step_fail(s, ERR_PACKAGE_NV, "NV of %zu bytes with a sum no phone takes",
				 nv->merged_len);
	return STEP_DONE;
}

static enum step_says merge_next(struct session *s, struct ask *ask)
{
	struct merge_state *st = &s->st.merge;
	enum step_says says;

	while (st->pos < st->len) {
		size_t n = (size_t)MIN(st->len - st->pos, (uint64_t)SESSION_CHUNK);
		const uint8_t *bytes = feed_at(&st->feed, st->pos, n);

		if (!bytes) {
			ask_fetch(ask, &st->feed, st->pos);
			ask->secret = true;
			return STEP_ASK;
		}
		memcpy(st->image + st->pos, bytes, n);
		st->pos += n;
	}
	says = seal(s);
	free(st->image);
	st->image = NULL;
	return says;
}

const struct step_kind step_merge = {
	.name = "join-nv",
	.stage = STAGE_CHECK,
	.begin = merge_begin,
	.next = merge_next,
	.take = resolve_take,
};

/* ---- intent ---------------------------------------------------------------------------------- */

/* Where the table came from that all of this was decided by. */
static const char *table_source(const struct device_facts *f)
{
	if (f->table.count)
		return table_origin_name(f->table.origin);
	return table_origin_name(f->table_absent ? TABLE_NONE : TABLE_PACKAGE);
}

static int write_intent(struct session *s)
{
	FILE *f = open_memstream(&s->intent, &s->intent_len);
	char line[160];

	if (!f)
		return -1;
	fprintf(f, "fdld-intent 1\njob %" PRIu64 "\nunit %s\nentries %u\n", s->config.job,
		s->facts.unit[0] ? s->facts.unit : "-", s->resolved->step_count);
	if (!s->plan->old_ids)
		fprintf(f, "table %s\n", table_source(&s->facts));
	for (uint32_t i = 0; i < s->facts.backup_count; i++) {
		const struct backup_fact *b = &s->facts.backups[i];

		fprintf(f, "backup %u %s %s %" PRIu64 "\n", i, s->plan->backup[i].sink,
			b->state == BACKUP_VALID ? (b->from_owed ? "owed" : "valid") : "none", b->size);
	}
	for (uint32_t i = 0; i < s->resolved->step_count; i++)
		fprintf(f, "step %u %s\n", i,
			plan_step_text(s->resolved, &s->resolved->step[i], line, sizeof(line)));
	fputs("begin\n", f);
	return fclose(f);
}

static enum step_says record_next(struct session *s, struct ask *ask)
{
	struct journal_state *st = &s->st.journal;

	ask->store.sink.kind = SINK_INTENT;
	if (st->pos < s->intent_len) {
		ask->kind = ASK_STORE;
		ask->store.bytes = (const uint8_t *)s->intent + st->pos;
		ask->store.len = MIN(s->intent_len - st->pos, (size_t)SESSION_CHUNK);
		return STEP_ASK;
	}
	if (st->synced)
		return STEP_DONE;
	ask->kind = ASK_SYNC;
	return STEP_ASK;
}

static enum step_says record_take(struct session *s, const struct answer *a)
{
	struct journal_state *st = &s->st.journal;

	if (a->kind != ANSWER_GOOD)
		return step_refused(s, a);
	if (s->ask.kind == ASK_SYNC)
		st->synced = true;
	else
		st->pos += s->ask.store.len;
	return STEP_ASK;
}

static enum step_says intent_begin(struct session *s)
{
	free(s->intent);
	s->intent = NULL;
	session_entry(s, "");
	if (write_intent(s))
		return step_fail(s, ERR_INTERNAL, "no memory for the intent");
	return STEP_ASK;
}

const struct step_kind step_intent = {
	.name = "intent",
	.stage = STAGE_CHECK,
	.begin = intent_begin,
	.next = record_next,
	.take = record_take,
};

/* After each entry: "done N", durable before the next one begins. */
static enum step_says journal_begin(struct session *s)
{
	char line[64];
	int n = snprintf(line, sizeof(line), "done %d\n", s->running);

	free(s->intent);
	s->intent = strdup(line);
	s->intent_len = (size_t)n;
	if (!s->intent)
		return step_fail(s, ERR_INTERNAL, "no memory for the intent");
	return STEP_ASK;
}

const struct step_kind step_journal = {
	.name = "record",
	.stage = STAGE_COUNT,
	.begin = journal_begin,
	.next = record_next,
	.take = record_take,
};
