/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "station/kv.h"
#include "station/owed.h"

/* No valid NV; what somebody has given up, or a mark has replaced. */
static bool nobodys(const char *name)
{
	size_t n = strlen(name);

	return n > 4 && (!strcmp(name + n - 4, ".raw") || !strcmp(name + n - 4, ".was"));
}

int owed_add(struct owed_index *ix, uint64_t job, const char *unit, const char *slot,
	     const struct record_backup *backups, uint32_t count)
{
	struct owed **at = &ix->first;
	uint32_t owed = 0;

	for (uint32_t i = 0; i < count; i++)
		owed += !nobodys(backups[i].name);
	if (!owed) {
		owed_settle(ix, job);
		return 0;
	}
	while (*at && (*at)->job < job)
		at = &(*at)->next;

	struct owed *o = *at && (*at)->job == job ? *at : NULL;

	if (!o) {
		o = calloc(1, sizeof(*o));
		if (!o)
			return -ENOMEM;
		o->job = job;
		o->next = *at;
		*at = o;
	}
	kv_copy(o->unit, sizeof(o->unit), unit);
	kv_copy(o->slot, sizeof(o->slot), slot);
	o->backup_count = 0;
	for (uint32_t i = 0; i < count && o->backup_count < RECORD_BACKUPS_MAX; i++)
		if (!nobodys(backups[i].name))
			o->backups[o->backup_count++] = backups[i];
	return 0;
}

void owed_settle(struct owed_index *ix, uint64_t job)
{
	for (struct owed **at = &ix->first; *at; at = &(*at)->next)
		if ((*at)->job == job) {
			struct owed *gone = *at;

			*at = gone->next;
			free(gone);
			return;
		}
}

void owed_clear(struct owed_index *ix)
{
	while (ix->first)
		owed_settle(ix, ix->first->job);
}

/*
 * A job without a readable result that had begun to destroy owes what it stored: whether it came to the NV or
 * had returned it cannot be told, and to return a backup twice costs nothing.
 */
int owed_learn(struct owed_index *ix, const struct job_record *r)
{
	bool open = !*r->result || r->damaged;

	for (uint32_t i = 0; i < r->settled_count && !r->damaged; i++)
		owed_settle(ix, r->settled[i]);
	if (!r->backup_count || !(open ? r->had_intent || r->damaged : r->nv_owed))
		return 0;
	return owed_add(ix, r->number, r->unit, r->slot, r->backups, r->backup_count);
}

const struct owed *owed_find(const struct owed_index *ix, uint64_t job)
{
	const struct owed *o = ix->first;

	while (o && o->job != job)
		o = o->next;
	return o;
}

const struct owed *owed_of_slot(const struct owed_index *ix, const char *slot)
{
	const struct owed *o = ix->first;

	while (o && strcmp(o->slot, slot))
		o = o->next;
	return o;
}

static bool same_unit(const struct owed *o, const char *unit)
{
	return *unit && !strcmp(o->unit, unit);
}

static bool could_be(const struct owed *o, const char *unit, const char *slot, uint64_t named)
{
	if (*unit && *o->unit)
		return false; /* two identities that differ */
	return o->job == named || !strcmp(o->slot, slot);
}

uint32_t owed_query(const struct owed_index *ix, const char *unit, const char *slot, uint64_t named,
		    struct owed_match *match, uint32_t max)
{
	uint32_t n = 0;

	for (int sure = 1; sure >= 0; sure--)
		for (const struct owed *o = ix->first; o; o = o->next) {
			bool same = same_unit(o, unit);

			if (sure ? !same : same || !could_be(o, unit, slot, named))
				continue;
			for (uint32_t i = 0; i < o->backup_count; i++, n++)
				if (n < max)
					match[n] = (struct owed_match){ o, &o->backups[i], same };
		}
	return n;
}

uint32_t owed_settled_by(const struct owed_index *ix, const char *unit, uint64_t named, uint64_t self,
			 uint64_t *jobs, uint32_t max)
{
	uint32_t n = 0;

	for (const struct owed *o = ix->first; o && n < max; o = o->next) {
		bool other = *unit && *o->unit && strcmp(unit, o->unit);

		if (o->job == self || same_unit(o, unit) || (o->job == named && !other))
			jobs[n++] = o->job;
	}
	return n;
}
