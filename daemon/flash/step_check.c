/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An entry that was left unticked when the package was packed, and is taken all the same because it was
 * named: the package's own check has passed its image by, so it is proved here, before the first erase.
 */
#include "flash/inner.h"

static const struct plan_step *current(const struct session *s)
{
	return &s->resolved->step[s->check_at];
}

bool check_needed(const struct session *s, const struct plan_step *p)
{
	const struct pac_item *item = p->op == OP_WRITE ? session_item(s, p->item) : NULL;

	return item && !item->ticked && image_check_wanted(&item->image);
}

static enum step_says check_begin(struct session *s)
{
	const struct plan_step *p = current(s);
	const struct pac_item *item = session_item(s, p->item);
	struct source_ref source = { .kind = SOURCE_ITEM, .index = (uint32_t)p->item };

	session_entry(s, p->target);
	if (image_check_new(&item->image, item->size, &s->st.check.check))
		return step_fail(s, ERR_INTERNAL, "no memory to check an image");
	s->st.check.size = item->size;
	feed_open(&s->feed, source, item->size, 0);
	return STEP_ASK;
}

static enum step_says check_next(struct session *s, struct ask *ask)
{
	struct check_state *st = &s->st.check;
	struct failure why = { 0 };
	int rc;

	while (st->pos < st->size) {
		size_t n = (size_t)MIN(st->size - st->pos, (uint64_t)SESSION_CHUNK);
		const uint8_t *bytes = feed_at(&s->feed, st->pos, n);

		if (!bytes) {
			ask_fetch(ask, &s->feed, st->pos);
			return STEP_ASK;
		}
		if (image_check_feed(st->check, st->pos, bytes, n))
			return step_fail(s, ERR_INTERNAL, "an image could not be hashed");
		st->pos += n;
	}
	rc = image_check_end(st->check, s->plan->options.accept_bad_crc, &why);
	image_check_free(st->check);
	st->check = NULL;
	return rc ? step_fail_why(s, &why) : STEP_DONE;
}

static enum step_says check_take(struct session *s, const struct answer *a)
{
	return step_refused(s, a);
}

const struct step_kind step_check = {
	.name = "check-entry",
	.stage = STAGE_CHECK,
	.begin = check_begin,
	.next = check_next,
	.take = check_take,
};
