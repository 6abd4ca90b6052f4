/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "flash/table_text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "flash/partition.h"
#include "flash/plan_build.h"

#define KIB 1024u
#define FIRST_MIB \
	(1u << 20) /* where the first partition lies unless a gap says otherwise (bsl-protocol 12) */
#define TAIL 34u   /* sectors of the second copy of a GPT, and one to spare */

/* ---- to XML ---- */

static int by_place(const void *a, const void *b)
{
	const struct table_entry *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static uint64_t end_of(const struct flash_table *t)
{
	return t->user_size ? t->user_size - MIN(t->user_size, (uint64_t)TAIL * (t->sector ? t->sector : 512))
			    : 0;
}

/* Do the rows lie one behind the other, from the first MiB on, in whole MiB? The last one may end anywhere.
 */
static bool plain(const struct table_entry *e, uint32_t count, bool places)
{
	uint64_t at = FIRST_MIB;

	for (uint32_t i = 0; i < count; i++) {
		if ((places && e[i].start != at) || (i + 1 < count && e[i].size % FIRST_MIB))
			return false;
		at += e[i].size;
	}
	return true;
}

static int fill(const struct flash_table *t, const struct table_entry *e, bool places,
		struct scheme_table *out)
{
	uint64_t at = FIRST_MIB, end = end_of(t);
	bool v0 = plain(e, t->count, places);
	uint64_t unit = v0 ? FIRST_MIB : KIB;

	*out = (struct scheme_table){
		.present = true, .v1 = !v0, .unit = v0 ? 0 : 2, .unit_bytes = (uint32_t)unit
	};
	out->part = calloc(t->count, sizeof(*out->part));
	if (!out->part)
		return -ENOMEM;
	for (; out->parts < t->count; out->parts++, e++) {
		struct scheme_partition *p = &out->part[out->parts];
		bool last = out->parts + 1 == t->count;
		/* a row that ends where the device does takes what there is */
		bool rest = last &&
			    (e->size == UINT64_MAX || e->size % unit || !strcmp(e->name, "userdata") ||
			     (places && end && e->start + e->size + FIRST_MIB > end));

		memcpy(p->name, e->name, MIN(sizeof(p->name), sizeof(e->name)));
		p->name[sizeof(p->name) - 1] = 0;
		if (strlen(e->name) >= sizeof(p->name) || !e->size || (!rest && e->size == UINT64_MAX))
			return -ENODATA;
		if ((!rest && e->size % unit) || (places && e->start % KIB))
			return -ERANGE;
		p->size = rest ? SCHEME_REST : e->size / unit;
		/* the first gap counts from the start of the device, 0 stands for the first MiB */
		if (places && e->start != at)
			p->gap = out->parts ? (int64_t)(e->start - at) / (int64_t)unit
					    : (int64_t)(e->start / unit);
		if (p->gap < 0)
			return -ERANGE; /* they overlap */
		at = places ? e->start + e->size : 0;
	}
	return 0;
}

int table_to_scheme(const struct flash_table *t, struct scheme_table *out)
{
	struct table_entry *e;
	bool places = t->origin == TABLE_GPT;
	int rc;

	*out = (struct scheme_table){ 0 };
	/* a probed table is in no order of the phone's, and may lack a row */
	if (!t->count || !t->unit_sure || t->origin == TABLE_PROBED)
		return -ENODATA;
	e = calloc(t->count, sizeof(*e));
	if (!e)
		return -ENOMEM;
	memcpy(e, t->entry, t->count * sizeof(*e));
	if (places)
		qsort(e, t->count, sizeof(*e), by_place);
	rc = fill(t, e, places, out);
	free(e);
	if (rc) {
		free(out->part);
		*out = (struct scheme_table){ 0 };
	}
	return rc;
}

/* ---- from XML ---- */

static int does_not(struct failure *why, const char *name, const char *what)
{
	return failure_set(why, ERR_PACKAGE_PARTITIONS, "'%s' %s", name, what);
}

int table_from_scheme(const struct scheme_table *s, uint32_t sector, uint64_t user_size,
		      struct flash_table *out, struct failure *why)
{
	uint64_t bytes = sector ? sector : 512, unit = s->unit_bytes ? s->unit_bytes : bytes, at = 0,
		 end = user_size - MIN(user_size, TAIL * bytes);

	memset(out, 0, sizeof(*out));
	if (s->parts > TABLE_MAX)
		return failure_set(why, ERR_PACKAGE_PARTITIONS, "%zu partitions, at most %d can be sent",
				   s->parts, TABLE_MAX);
	out->origin = TABLE_PACKAGE;
	out->unit_sure = s->unit_bytes || sector;
	out->sector = sector;
	out->user_size = user_size;
	for (size_t i = 0; i < s->parts; i++) {
		const struct scheme_partition *p = &s->part[i];
		struct table_entry *e = &out->entry[out->count++];
		uint64_t gap = (uint64_t)(p->gap < 0 ? -p->gap : p->gap);

		snprintf(e->name, sizeof(e->name), "%s", p->name);
		if (gap > UINT64_MAX / 4 / unit ||
		    (p->size != SCHEME_REST && p->size > UINT64_MAX / 4 / unit))
			return does_not(why, p->name, "has an absurd size");
		if (p->gap < 0 && gap * unit > at)
			return does_not(why, p->name, "would begin before the device does");
		at = p->gap < 0 ? at - gap * unit : at + gap * unit;
		if (!i && !p->gap)
			at = FIRST_MIB;
		e->start = at;
		if (p->size == SCHEME_REST) {
			e->size = user_size && end > at ? end - at : UINT64_MAX;
			if (user_size && end <= at)
				return does_not(why, p->name, "has no room left on this phone");
			break;
		}
		e->size = p->size * unit;
		at += e->size;
		if (at > UINT64_MAX / 2 || (user_size && at > end))
			return does_not(why, p->name, "leads past the end of this phone's storage");
	}
	return 0;
}

/* ---- difference ---- */

const char *table_change_name(enum table_change c)
{
	static const char *const names[] = { "same", "resized", "moved", "new", "gone" };

	return (unsigned)c < ARRAY_SIZE(names) ? names[c] : "same";
}

/* The last one of both ends where the device does: how much the copy of the table leaves, phones do not agree
 * on. */
static bool takes_rest(const struct flash_table *phone, const struct table_entry *was,
		       const struct flash_table *coming, const struct table_entry *row)
{
	uint64_t more = was->size > row->size ? was->size - row->size : row->size - was->size;

	return was == &phone->entry[phone->count - 1] && row == &coming->entry[coming->count - 1] &&
	       more < FIRST_MIB;
}

static struct table_step compare(const struct flash_table *phone, const struct flash_table *coming,
				 const struct table_entry *row)
{
	const struct table_entry *was = table_find(phone, row->name);
	struct table_step s = { .change = TABLE_NEW,
				.will = row->size,
				.own = partition_class(row->name) == PARTITION_OWN };

	memcpy(s.name, row->name, sizeof(s.name));
	if (!was)
		return s;
	s.was = was->size;
	s.unsure = phone->origin != TABLE_GPT;
	if (!s.unsure && was->start != row->start)
		s.change = TABLE_MOVED;
	else if (was->size == row->size || row->size == UINT64_MAX || takes_rest(phone, was, coming, row))
		s.change = TABLE_SAME;
	else
		s.change = TABLE_RESIZED;
	return s;
}

uint32_t table_difference(const struct flash_table *phone, const struct flash_table *coming,
			  void (*line)(void *ctx, const struct table_step *step), void *ctx)
{
	uint32_t differ = 0;

	for (uint32_t i = 0; i < coming->count; i++) {
		struct table_step s = compare(phone, coming, &coming->entry[i]);

		differ += s.change != TABLE_SAME;
		if (line)
			line(ctx, &s);
	}
	for (uint32_t i = 0; i < phone->count; i++) {
		const struct table_entry *e = &phone->entry[i];
		struct table_step s = { .change = TABLE_GONE,
					.was = e->size,
					.own = partition_class(e->name) == PARTITION_OWN };

		if (table_find(coming, e->name))
			continue;
		memcpy(s.name, e->name, sizeof(s.name));
		differ++;
		if (line)
			line(ctx, &s);
	}
	return differ;
}

/* ---- of a plan ---- */

int table_of_plan(const struct plan *plan, const struct device_facts *facts, struct flash_table *coming,
		  struct failure *why)
{
	return table_from_scheme(&pac_product(plan->pac)->table, facts->table.sector, facts->table.user_size,
				 coming, why);
}

bool table_is(const struct flash_table *phone, const struct flash_table *coming)
{
	char text[8];

	/* places tell the order, too */
	return phone->origin == TABLE_GPT ? !table_difference(phone, coming, NULL, NULL)
					  : table_agrees(phone, coming, text, sizeof(text));
}

static bool comes_back(const struct plan *resolved, const char *name)
{
	char twin[TABLE_NAME_MAX + 8];

	for (uint32_t i = 0; i < resolved->step_count; i++) {
		const struct plan_step *s = &resolved->step[i];

		if (!s->by_name || (s->op != OP_RESTORE && s->op != OP_WRITE_NV))
			continue;
		/* the second copy, and that of the other slot, the phone writes by itself */
		if (!strcmp(s->target, name) ||
		    (rule_nv_twin(s->target, twin, sizeof(twin)) && !strcmp(twin, name)) ||
		    (s->op == OP_WRITE_NV && rule_other_slot(s->target, twin, sizeof(twin)) &&
		     !strcmp(twin, name)))
			return true;
	}
	return false;
}

static bool is_written(const struct plan *resolved)
{
	for (uint32_t i = 0; i < resolved->step_count; i++)
		if (resolved->step[i].op == OP_REPARTITION)
			return true;
	return false;
}

enum table_fate table_fate(const struct table_step *s, const struct plan *resolved)
{
	if (s->change == TABLE_NEW)
		return FATE_EMPTY;
	if (!is_written(resolved))
		return FATE_STAYS;
	if (s->change != TABLE_GONE && comes_back(resolved, s->name))
		return FATE_KEPT;
	if (s->change == TABLE_GONE)
		return s->own && !rule_is_nv_twin(s->name) ? FATE_SAVED : FATE_LOST;
	if (s->change == TABLE_MOVED)
		return FATE_LOST;
	if (s->unsure)
		return FATE_UNSURE;
	return s->change == TABLE_RESIZED && s->will < s->was ? FATE_CUT : FATE_STAYS;
}

const char *table_fate_name(enum table_fate f)
{
	static const char *const names[] = { "stays", "cut", "kept", "saved", "lost", "empty", "unsure" };

	return (unsigned)f < ARRAY_SIZE(names) ? names[f] : "unsure";
}

static const char *size_text(uint64_t bytes, char *buf, size_t size)
{
	if (bytes == UINT64_MAX)
		snprintf(buf, size, "the rest");
	else if (bytes % FIRST_MIB)
		snprintf(buf, size, "%" PRIu64 " KiB", bytes / KIB);
	else
		snprintf(buf, size, "%" PRIu64 " MiB", bytes / FIRST_MIB);
	return buf;
}

const char *table_step_text(const struct table_step *s, char *buf, size_t size)
{
	char was[32], will[32];

	size_text(s->was, was, sizeof(was));
	size_text(s->will, will, sizeof(will));
	switch (s->change) {
	case TABLE_SAME: snprintf(buf, size, "%s: %s, stays", s->name, was); break;
	case TABLE_RESIZED: snprintf(buf, size, "%s: %s, becomes %s", s->name, was, will); break;
	case TABLE_MOVED:
		snprintf(buf, size, "%s: %s, moves and has %s: its content is lost", s->name, was, will);
		break;
	case TABLE_NEW: snprintf(buf, size, "%s: new, %s", s->name, will); break;
	case TABLE_GONE: snprintf(buf, size, "%s: %s, goes with its content", s->name, was); break;
	}
	return buf;
}
