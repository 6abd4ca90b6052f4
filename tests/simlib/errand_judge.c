/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Looks into the phone after a job of an errand. Nothing here asks the daemon's side how things should be. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/simlib/errand.h"

#define CONTROL 2048u /* of misc: slot metadata, 32 bytes */

static bool is_erased(const struct work_phone *w, const char *place)
{
	uint8_t got[512];

	if (!phone_storage_read(w->phone, place, 0, got, sizeof(got)))
		return false;
	for (size_t i = 0; i < sizeof(got); i++)
		if (got[i] != w->sc.profile->erased)
			return false;
	return true;
}

static bool nv_is(const struct work_phone *w, const struct errand_part *p)
{
	size_t room = 2 << 20;
	uint8_t *got = malloc(room);
	/* sealed anew, and without what lies behind its end */
	bool same = got && phone_nv_read(w->phone, w->sc.nv_place, got, &room) && room > 64 &&
		    !memcmp(got + 4, p->bytes + 4, (room < p->len ? room : p->len) - 4);

	free(got);
	return same;
}

static bool parts_done(const struct errand *e, const struct work_phone *w, char *text, size_t size)
{
	for (size_t i = e->first[e->job]; i < e->first[e->job + 1]; i++) {
		const struct errand_part *p = &e->part[i];
		bool good;

		if (p->nv)
			good = e->kind == ERRAND_RESTORE ? nv_is(w, p)
							 : scenario_kept(&w->sc, w->phone, true, text, size);
		else
			good = p->bytes ? work_holds(w, p->name, 0, p->bytes, p->len) : is_erased(w, p->name);
		if (good)
			continue;
		snprintf(text, size, "%s %s", p->name,
			 p->nv	    ? "is not the NV it should be"
			 : p->bytes ? "does not hold what was written"
				    : "is not erased");
		return false;
	}
	return true;
}

/* ---- reading ---- */

static const char *place_of(const struct work_phone *w, const struct plan_read *a)
{
	const struct phone_profile *p = w->sc.profile;

	for (size_t i = 0; i < p->part_count && !a->target[0]; i++)
		if (p->parts[i].id == a->address)
			return p->parts[i].name;
	return a->target;
}

static bool area_is(const struct work_phone *w, const struct plan_read *a, const struct sim_sink *sink)
{
	const char *place = place_of(w, a);
	uint64_t size = 0;
	size_t room = 2 << 20;
	uint8_t *nv;
	bool same;

	if (!sink->synced || !sink->size || (a->size && sink->size != a->size))
		return false;
	/* some loaders stamp a word there when they go, after it was read */
	if (!strcmp(place, "miscdata") && !a->size && sink->size > 0x2434)
		return work_holds(w, place, 0, sink->bytes, 0x2430) &&
		       work_holds(w, place, 0x2434, sink->bytes + 0x2434, sink->size - 0x2434);
	if (a->size || (!strstr(place, "fixnv1") && !strstr(place, "runtimenv1")))
		return (a->size || (phone_storage_size(w->phone, place, &size) && size == sink->size)) &&
		       work_holds(w, place, a->offset, sink->bytes, sink->size);
	nv = malloc(room);
	same = nv && phone_nv_read(w->phone, place, nv, &room) && room <= sink->size &&
	       !memcmp(nv, sink->bytes, room);
	free(nv);
	return same;
}

static bool areas_done(const struct work_phone *w, const struct work_job *j, char *text, size_t size)
{
	for (uint32_t i = 0; i < j->reads; i++) {
		if (area_is(w, &j->read[i], &j->o.sink[i]))
			continue;
		snprintf(text, size, "%s was read wrong: %zu bytes", place_of(w, &j->read[i]),
			 j->o.sink[i].size);
		return false;
	}
	return true;
}

static bool shown(const struct work_phone *w, const struct work_job *j, char *text, size_t size)
{
	for (int i = 0; i < MARK_AREAS; i++) {
		const struct mark_area *a = &mark_areas[i];
		const struct sim_sink *sink = &j->o.sink[i];
		uint64_t there;
		bool has = phone_storage_size(w->phone, a->name, &there);

		if (has ? sink->size == a->size && work_holds(w, a->name, a->offset, sink->bytes, a->size)
			: !sink->size)
			continue;
		snprintf(text, size, "marks in %s were read wrong: %zu bytes", a->name, sink->size);
		return false;
	}
	return true;
}

/* ---- marks ---- */

static uint32_t crc32(const uint8_t *p, size_t n)
{
	uint32_t crc = 0xFFFFFFFF;

	while (n--) {
		crc ^= *p++;
		for (int k = 0; k < 8; k++)
			crc = crc & 1 ? crc >> 1 ^ 0xEDB88320 : crc >> 1;
	}
	return ~crc;
}

static bool says_start(const uint8_t *b, int value)
{
	static const char *const words[] = { "", "recovery\n", "recovery\n--fastboot\n",
					     "recovery\n--wipe_data\n" };
	uint8_t want[832] = { 0 };

	if (value)
		memcpy(want, "boot-recovery", 13);
	memcpy(want + 64, words[value], strlen(words[value]));
	return !memcmp(b, want, sizeof(want));
}

static bool says_slot(const uint8_t *b, int value)
{
	const uint8_t *c = b + CONTROL;
	uint32_t crc = (uint32_t)c[28] | (uint32_t)c[29] << 8 | (uint32_t)c[30] << 16 | (uint32_t)c[31] << 24;
	int is = value - 'a';

	return c[0] == '_' && c[1] == value && crc == crc32(c, 28) &&
	       (c[12 + 2 * is] & 15) > (c[12 + 2 * !is] & 15) && (c[12 + 2 * is] & 15) == 15;
}

/* The mark, and beside it every byte of the partition as it was. */
static bool mark_done(const struct errand *e, const struct work_phone *w, char *text, size_t size)
{
	uint8_t *is = malloc(e->before_len);
	size_t from = 0, to = 832;
	bool good = is && phone_storage_read(w->phone, e->place, 0, is, e->before_len), said = false;

	switch (e->mark.kind) {
	case MARK_BOOT: said = good && says_start(is, e->mark.value); break;
	case MARK_SLOT:
		from = CONTROL;
		to = CONTROL + 32;
		said = good && says_slot(is, e->mark.value);
		break;
	case MARK_VERITY:
		from = 123;
		to = 124;
		said = good && (is[123] & 1) == !e->mark.value;
		break;
	case MARK_FIRST_MODE:
		/* the word behind it is what some loaders stamp when they go */
		from = 0x2420;
		to = 0x2434;
		said = good && is[from] == e->mark.value && !memcmp(is + from + 1, "MFS", 3);
		break;
	}
	if (!said)
		snprintf(text, size, "%s does not say so", e->place);
	else if (memcmp(is, e->before, from) != 0 || memcmp(is + to, e->before + to, e->before_len - to) != 0)
		snprintf(text, size, "%s is changed beside the mark", e->place);
	else
		text[0] = 0;
	free(is);
	return !text[0];
}

/* ---- tables ---- */

bool errand_rows_are(const struct work_phone *w, const struct scheme_table *t, char *text, size_t size)
{
	struct phone_slice is[TABLE_MAX];
	size_t n = phone_partitions(w->phone, is, TABLE_MAX);

	for (size_t i = 0; i < n && i < t->parts; i++)
		if (strcmp(is[i].name, t->part[i].name) != 0 ||
		    (t->part[i].size != SCHEME_REST && is[i].size != t->part[i].size << 20)) {
			snprintf(text, size, "row %zu of the table is %s with %" PRIu64 " bytes", i,
				 is[i].name, is[i].size);
			return false;
		}
	if (n != t->parts)
		snprintf(text, size, "the table has %zu rows instead of %zu", n, t->parts);
	return n == t->parts;
}

/* Rows that will be other than they are, counted anew. */
static uint32_t differing(const struct work_phone *w, const struct scheme_table *t)
{
	struct phone_slice is[TABLE_MAX];
	size_t n = phone_partitions(w->phone, is, TABLE_MAX), found = 0;
	uint64_t at = n ? is[0].start : 0;
	uint32_t differ = 0;

	for (size_t i = 0; i < t->parts; i++) {
		const struct phone_slice *s = NULL;
		bool rest = t->part[i].size == SCHEME_REST;

		for (size_t k = 0; k < n && !s; k++)
			if (!strcmp(is[k].name, t->part[i].name))
				s = &is[k];
		found += s != NULL;
		/* where the rest begins, there its size follows from */
		differ += !s || s->start != at || (!rest && s->size != t->part[i].size << 20);
		at += rest ? 0 : t->part[i].size << 20;
	}
	return differ + (uint32_t)(n - found);
}

static bool learned(const struct work_phone *w, const struct work_job *j, char *text, size_t size)
{
	struct phone_slice is[TABLE_MAX];
	size_t n = phone_partitions(w->phone, is, TABLE_MAX);
	const struct flash_table *t = &j->o.facts.table;

	/* a loader that shows neither and says nothing of itself is not asked name by name */
	if (!t->count && !w->sc.profile->list)
		return true;
	for (size_t i = 0; i < n; i++) {
		const struct table_entry *e = table_find(t, is[i].name);

		/* asked name by name only those are found whose names are known, and not always their sizes
		 */
		if ((t->origin == TABLE_PROBED && (!e || !e->size || e->size == UINT64_MAX)) ||
		    (e && (e->size == is[i].size || i + 1 == n)))
			continue;
		snprintf(text, size, "%s was learned wrong (%s): %" PRIu64 " bytes instead of %" PRIu64,
			 is[i].name, table_origin_name(t->origin), e ? e->size : 0, is[i].size);
		return false;
	}
	if (!t->count)
		snprintf(text, size, "no table was found");
	return t->count != 0;
}

/* ---- all of them ---- */

bool errand_done(const struct errand *e, struct work_phone *w, const struct work_job *j, char *text,
		 size_t size)
{
	struct phone_slice is[2];

	switch (e->kind) {
	case ERRAND_SAVE:
		if (!e->number && !e->job)
			return learned(w, j, text, size); /* fallthrough */
	case ERRAND_READ: return areas_done(w, j, text, size);
	case ERRAND_START:
	case ERRAND_SLOT:
	case ERRAND_VERITY:
	case ERRAND_MODE: return mark_done(e, w, text, size);
	case ERRAND_SHOW: return shown(w, j, text, size);
	case ERRAND_LEARN: return learned(w, j, text, size);
	case ERRAND_LOOK:
		snprintf(text, size, "%" PRIu32 " rows differ, %" PRIu32 " were told",
			 differing(w, &e->table), w->told_rows);
		/* of a table found by asking name by name not all is known */
		return w->table_told &&
		       (j->o.facts.table.origin == TABLE_PROBED || w->told_rows == differing(w, &e->table));
	case ERRAND_TABLE: return errand_rows_are(w, &e->table, text, size);
	case ERRAND_EVERYTHING:
		snprintf(text, size, "something is left");
		return work_erased(w, "user_partition") || !phone_partitions(w->phone, is, 2);
	default: return parts_done(e, w, text, size);
	}
}

/* ---- what is the phone's own ---- */

static bool kept_copy(const struct work_phone *w, const char *name, const uint8_t *bytes, size_t len)
{
	for (uint32_t i = 0; i < w->records->count; i++) {
		const struct sim_backup *b = w->records->backup[i];

		if (b->kept && b->owed && !strcmp(b->name, name) && b->kept_size >= len &&
		    !memcmp(b->kept, bytes, len))
			return true;
	}
	return false;
}

static bool blank(const uint8_t *bytes, size_t len)
{
	for (size_t i = 1; i < len; i++)
		if (bytes[i] != bytes[0])
			return false;
	return true;
}

/* Nothing of what is blank has to come back. */
static bool area_safe(const struct work_phone *w, const char *gone, const char *name, const uint8_t *bytes,
		      size_t len)
{
	return !bytes || blank(bytes, len) || (gone && !strcmp(gone, name)) ||
	       work_holds(w, name, 0, bytes, len) || kept_copy(w, name, bytes, len);
}

/* The fixed NV of a copy is that of the phone: compared as the phone would serve it. */
static bool nv_kept_copy(const struct work_phone *w)
{
	for (uint32_t i = 0; i < w->records->count; i++) {
		const struct sim_backup *b = w->records->backup[i];

		if (b->kept && b->owed && strcmp(b->name, "prodnv") != 0 &&
		    strcmp(b->name, "miscdata") != 0 && b->kept_size >= 512)
			return true;
	}
	return false;
}

bool errand_own_safe(const struct work_phone *w, const char *gone, char *text, size_t size)
{
	const struct scenario *s = &w->sc;
	struct scenario nv_only = *s;

	nv_only.prodnv = nv_only.misc = NULL;
	if (s->want.blank)
		return true;
	if (!area_safe(w, gone, "prodnv", s->prodnv, s->prodnv_len)) {
		snprintf(text, size, "prodnv is lost and in no copy");
		return false;
	}
	if (!area_safe(w, gone, "miscdata", s->misc, s->misc_len)) {
		snprintf(text, size, "miscdata is lost and in no copy");
		return false;
	}
	return scenario_kept(&nv_only, w->phone, false, text, size) || nv_kept_copy(w);
}
