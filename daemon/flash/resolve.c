/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "flash/partition.h"
#include "flash/resolve_inner.h"

/* ---- storage ---- */

static enum storage_kind storage_of(const struct device_facts *f)
{
	if (f->storage != STORAGE_UNKNOWN)
		return f->storage;
	/* a phone that does not say: only UFS has sectors of 4096 bytes */
	if (f->table.origin == TABLE_GPT && f->table.sector)
		return f->table.sector == 4096 ? STORAGE_UFS : STORAGE_EMMC;
	return STORAGE_UNKNOWN;
}

static bool has_spl_for(const struct plan *p, enum guard guard)
{
	for (uint32_t i = 0; i < p->step_count; i++)
		if (p->step[i].op == OP_WRITE && p->step[i].guard == guard)
			return true;
	return false;
}

static int check_storage(struct resolver *r)
{
	enum storage_kind kind = storage_of(r->facts);
	bool emmc = has_spl_for(r->from, GUARD_STORAGE_EMMC), ufs = has_spl_for(r->from, GUARD_STORAGE_UFS);

	if (!emmc && !ufs)
		return 0;
	if (kind == STORAGE_UNKNOWN)
		return failure_set(
			r->why, ERR_STORAGE_MISMATCH,
			"the package has a boot loader for %s and the phone does not tell its storage",
			emmc && ufs ? "eMMC and one for UFS"
			: emmc	    ? "eMMC only"
				    : "UFS only");
	if ((kind == STORAGE_EMMC && emmc) || (kind == STORAGE_UFS && ufs))
		return 0;
	return failure_set(r->why, ERR_STORAGE_MISMATCH,
			   "the phone has %s, the package's boot loader is for %s",
			   kind == STORAGE_EMMC	 ? "eMMC"
			   : kind == STORAGE_UFS ? "UFS"
						 : "other storage",
			   emmc && ufs ? "eMMC or UFS"
			   : emmc      ? "eMMC"
				       : "UFS");
}

/* ---- what comes from the phone ---- */

static const struct backup_fact *fact_of(const struct resolver *r, int32_t backup)
{
	static const struct backup_fact none;

	for (uint32_t i = 0; i < r->facts->backup_count && i < FACTS_BACKUPS_MAX; i++)
		if ((int32_t)r->facts->backups[i].step == backup)
			return &r->facts->backups[i];
	return &none;
}

static bool absent(const struct resolver *r, const struct plan_step *s)
{
	if (!s->by_name)
		return false;
	return r->facts->table_absent || (r->known && r->facts->table.origin != TABLE_PROBED &&
					  !table_find(&r->facts->table, s->target));
}

static bool endangered(const struct resolver *r, const struct plan_step *s)
{
	if (r->moves)
		return true;
	for (uint32_t i = 0; i < r->from->step_count; i++) {
		const struct plan_step *e = &r->from->step[i];

		if (e->op == OP_ERASE && e->by_name == s->by_name &&
		    (e->by_name ? !strcmp(e->target, s->target) : e->address == s->address))
			return true;
	}
	return false;
}

static int no_nv(struct resolver *r, const struct plan_step *s, const struct backup_fact *f)
{
	char text[200];

	snprintf(text, sizeof(text), "the phone's NV in '%s' %s%s%s", s->target,
		 f->state == BACKUP_INVALID   ? "is not valid"
		 : f->state == BACKUP_BLANK   ? "is blank"
		 : f->state == BACKUP_REFUSED ? "can not be read"
					      : "was not read",
		 f->note[0] ? ": " : "", f->note);
	return resolver_refuse(r, s,
			       f->state == BACKUP_INVALID || f->state == BACKUP_BLANK ? ERR_NV_INVALID
										      : ERR_NV_UNREADABLE,
			       text);
}

static int decide_nv(struct resolver *r, struct plan_step *s, bool *drop)
{
	const struct backup_fact *f = fact_of(r, s->backup);

	if (s->backup < 0) {
		plan_doubt(r->to, "nv=package: %s is written from the package as it is", s->target);
		for (uint32_t i = 0; i < r->facts->backup_count && i < FACTS_BACKUPS_MAX; i++)
			if (r->facts->backups[i].from_owed && r->from->backup[i].kind == BACKUP_NV)
				plan_doubt(
					r->to,
					"nv=package: the backup of %s stays stored, but is owed no more after this",
					r->from->backup[i].target);
		return 0;
	}
	if (s->item < 0 && !f->from_owed && (!endangered(r, s) || absent(r, s))) {
		*drop = true;
		return 0;
	}
	if (f->state == BACKUP_VALID) {
		if (s->item < 0)
			s->size = f->size;
		if (f->from_owed)
			plan_doubt(r->to, "nv=owed: %s is taken from a backup that is owed to this phone",
				   s->target);
		return 0;
	}
	/* an area that could not be read to its end may hold NV: it never counts as blank */
	if (f->from_owed || r->from->options.nv == NV_KEEP || f->state == BACKUP_NOT_READ)
		return no_nv(r, s, f);
	plan_doubt(r->to, "nv=blank: %s held no valid NV%s%s", s->target, f->note[0] ? ": " : "", f->note);
	s->backup = -1;
	*drop = s->item < 0;
	return 0;
}

/* Without content to keep, the package's own image takes the place if there is one. */
static int from_package(struct resolver *r, struct plan_step *s, bool *drop)
{
	const struct pac_item *item = plan_item(r->from, s->item);

	s->backup = -1;
	if (!item || !item->has_file || rule_item_is_phasecheck(item)) {
		*drop = true;
		return 0;
	}
	s->op = OP_WRITE;
	s->size = item->size;
	plan_doubt(r->to, "%s: nothing to keep, the package's image is written", s->target);
	return 0;
}

static int decide_restore(struct resolver *r, struct plan_step *s, bool *drop)
{
	const struct backup_fact *f = fact_of(r, s->backup);
	char text[200];

	if (f->state == BACKUP_VALID) {
		s->size = f->size;
		/* what nothing touches need not be written; an owed one was touched by an earlier job */
		*drop = !f->from_owed && !endangered(r, s);
		return 0;
	}
	if (absent(r, s))
		return from_package(r, s, drop);
	if (!endangered(r, s)) {
		*drop = true;
		return 0;
	}
	/* with a package a blank area is suspicious, it was made for this phone; a table alone asks for
	 * nothing */
	if (f->state == BACKUP_BLANK && r->from->options.own != OWN_PACKAGE) {
		plan_doubt(r->to, "%s is blank: nothing of it has to come back", s->target);
		return from_package(r, s, drop);
	}
	/* leave is given for what is blank; what could not be read may be there */
	if (!r->from->options.continue_without_backup || f->state != BACKUP_BLANK) {
		snprintf(text, sizeof(text), "'%s' could not be backed up%s%s", s->target,
			 f->note[0] ? ": " : "", f->note);
		return resolver_refuse(r, s, ERR_BACKUP_FAILED, text);
	}
	return from_package(r, s, drop);
}

/* Blank is good enough: a boot message may be the first thing that is written there. */
static int decide_change(struct resolver *r, struct plan_step *s)
{
	const struct backup_fact *f = fact_of(r, s->backup);
	char text[200];

	if (absent(r, s))
		return 0; /* said when it is fitted to the table */
	/* of several places one was refused when it was asked for by its name: it is left out there, too */
	if (s->guard == GUARD_IN_TABLE && r->known && !table_find(&r->facts->table, s->target))
		return 0;
	s->size = f->size;
	if (f->size && (f->state == BACKUP_VALID || f->state == BACKUP_BLANK))
		return 0;
	snprintf(text, sizeof(text), "'%s' could not be read as a whole%s%s", s->target,
		 f->note[0] ? ": " : "", f->note);
	return resolver_refuse(r, s, ERR_BACKUP_FAILED, text);
}

/* ---- all steps ---- */

static int decide(struct resolver *r, struct plan_step *s, bool repartition, bool *drop)
{
	enum storage_kind kind = storage_of(r->facts);
	int rc = 0;

	*drop = false;
	switch (s->guard) {
	case GUARD_TABLE_DIFFERS: *drop = !repartition; break;
	case GUARD_STORAGE_EMMC: *drop = kind != STORAGE_EMMC; break;
	case GUARD_STORAGE_UFS: *drop = kind != STORAGE_UFS; break;
	default: break;
	}
	if (*drop)
		return 0;
	if (s->op == OP_WRITE_NV)
		rc = decide_nv(r, s, drop);
	else if (s->op == OP_RESTORE)
		rc = decide_restore(r, s, drop);
	else if (s->op == OP_CHANGE)
		rc = decide_change(r, s);
	if (s->op == OP_READ && s->guard == GUARD_IN_TABLE) {
		if (!r->facts->table.count)
			return resolver_refuse(r, s, ERR_TABLE_UNREADABLE,
					       "which partitions this phone has could not be found");
		*drop = !table_find(&r->facts->table, s->target);
		if (*drop)
			return 0;
	}
	if (s->op == OP_READ) {
		rc = plan_fit_read(r->to, r->facts, s, r->why);
		if (rc && r->why)
			snprintf(r->why->entry, sizeof(r->why->entry), "%s", s->target);
		return rc;
	}
	if (rc || *drop || s->op == OP_REPARTITION || s->op == OP_RESET || s->op == OP_POWER_OFF)
		return rc;
	return resolver_fit(r, s, drop);
}

static int put(struct resolver *r, const struct plan_step *s)
{
	struct plan_step *to = plan_add(r->to, s->op);

	if (!to)
		return plan_full(r->why);
	*to = *s;
	to->guard = GUARD_ALWAYS;
	if (to->op == OP_WRITE_NV && !plan_add_verify(r->to, r->to->step_count - 1, r->facts->lk))
		return plan_full(r->why);
	return 0;
}

static bool is_end(const struct plan_step *s)
{
	return s->op == OP_RESET || s->op == OP_POWER_OFF;
}

static int put_steps(struct resolver *r, bool repartition)
{
	uint32_t written;
	int rc = 0;

	for (uint32_t i = 0; i < r->from->step_count && !rc; i++) {
		struct plan_step s = r->from->step[i];
		bool drop;

		if (s.op == OP_VERIFY || is_end(&s))
			continue;
		rc = decide(r, &s, repartition, &drop);
		if (!rc && !drop)
			rc = put(r, &s);
	}
	/* comparisons anew: what LK copies over what is known only now */
	written = r->to->step_count;
	for (uint32_t i = 0; i < written && !rc && r->from->options.level == LEVEL_VERIFIED; i++)
		if ((r->to->step[i].op == OP_WRITE || r->to->step[i].op == OP_RESTORE ||
		     r->to->step[i].op == OP_CHANGE) &&
		    !plan_add_verify(r->to, i, r->facts->lk))
			rc = plan_full(r->why);
	/* a package writes to most of what it erases; who erases one thing wants to know */
	for (uint32_t i = 0; i < written && !rc && r->from->options.level == LEVEL_VERIFIED &&
			     r->from->options.own != OWN_PACKAGE;
	     i++)
		if (r->to->step[i].op == OP_ERASE && !plan_add_look(r->to, i, &r->coming))
			rc = plan_full(r->why);
	for (uint32_t i = 0; i < r->from->step_count && !rc; i++)
		if (is_end(&r->from->step[i]))
			rc = put(r, &r->from->step[i]);
	return rc;
}

static bool has_step(const struct plan *p, uint32_t backup)
{
	for (uint32_t i = 0; i < p->step_count; i++)
		if (p->step[i].backup == (int32_t)backup && p->step[i].op != OP_VERIFY)
			return true;
	return false;
}

/* What no step brings back is on disk, or was not there: else nothing is begun. */
static int check_kept(struct resolver *r)
{
	for (uint32_t i = 0; i < r->from->backup_count; i++) {
		const struct plan_backup *b = &r->from->backup[i];
		const struct backup_fact *f = fact_of(r, (int32_t)i);
		struct plan_step at = { .by_name = b->by_name };

		memcpy(at.target, b->target, sizeof(at.target));
		if (!b->must || (!b->given_up && !r->from->own_by_table) || has_step(r->from, i) ||
		    absent(r, &at))
			continue;
		if (f->state == BACKUP_VALID || f->state == BACKUP_BLANK || f->state == BACKUP_INVALID)
			continue;
		if (failure_set(r->why, ERR_BACKUP_FAILED, "'%s' could not be backed up%s%s", b->target,
				f->note[0] ? ": " : "", f->note) < 0 &&
		    r->why)
			snprintf(r->why->entry, sizeof(r->why->entry), "%s", b->target);
		return -error_entry(ERR_BACKUP_FAILED)->err;
	}
	return 0;
}

/* As much of it as there is comes back, or nothing is begun: half a file system is none. */
static int check_own_room(struct resolver *r, const struct table_entry *was, const struct table_entry *row)
{
	int rc;

	if (partition_traits(was->name) & (PARTITION_NV | PARTITION_NV_TWIN) || !r->known ||
	    was->size == UINT64_MAX || row->size >= was->size)
		return 0;
	rc = failure_set(r->why, ERR_IMAGE_TOO_LARGE,
			 "'%s' has %" PRIu64 " bytes of this phone's own, and %" PRIu64 " in the new table",
			 was->name, was->size, row->size);
	if (r->why)
		snprintf(r->why->entry, sizeof(r->why->entry), "%s", was->name);
	return rc;
}

/* A table without a row for what is the phone's own leaves it no place to come back to. */
static int check_own_rows(struct resolver *r)
{
	const struct flash_table *t = &r->facts->table;

	for (uint32_t i = 0; i < t->count && r->from->options.own != OWN_PACKAGE; i++) {
		const char *name = t->entry[i].name;
		const struct table_entry *row = table_find(&r->coming, name);
		int rc = 0;

		if (partition_class(name) != PARTITION_OWN)
			continue;
		if (row)
			rc = check_own_room(r, &t->entry[i], row);
		else if (r->from->options.own == OWN_REFUSE)
			rc = failure_set(r->why, ERR_PARTITION_UNIQUE,
					 "the new table has no '%s', which holds what is this phone's own",
					 name);
		if (rc && !row && r->why)
			snprintf(r->why->entry, sizeof(r->why->entry), "%s", name);
		if (rc)
			return rc;
	}
	return 0;
}

/* A loader that lists what it can do takes names; a place by number would be read as the start of one. */
static int check_addressing(struct resolver *r)
{
	if (r->from->options.own == OWN_PACKAGE || !r->from->old_ids || !r->facts->has_capabilities)
		return 0;
	return failure_set(r->why, ERR_INVALID_ARGS,
			   "this phone's storage is addressed by the names of its partitions");
}

/* Of places that one phone has and another has not, one at least. */
static int check_changes(struct resolver *r)
{
	const struct plan_step *first = NULL;

	for (uint32_t i = 0; i < r->from->step_count; i++)
		if (!first && r->from->step[i].op == OP_CHANGE && r->from->step[i].guard == GUARD_IN_TABLE)
			first = &r->from->step[i];
	for (uint32_t i = 0; first && i < r->to->step_count; i++)
		if (r->to->step[i].op == OP_CHANGE &&
		    !strncmp(r->to->step[i].target, first->target, strlen(first->target)))
			return 0;
	return first ? plan_absent(&r->facts->table, first->target, r->why) : 0;
}

static int resolve(struct resolver *r)
{
	bool repartition = false;
	int rc = check_addressing(r);

	if (!rc)
		rc = check_storage(r);

	if (r->facts->left_unsaid)
		plan_doubt(
			r->to,
			"departure=unannounced: the phone left the bus and came back as its first loader started");

	if (!rc && !r->from->old_ids)
		rc = resolver_table(r, &repartition);
	if (!rc && repartition)
		rc = check_own_rows(r);
	if (!rc)
		rc = check_kept(r);
	if (rc)
		return rc;
	if (repartition && r->differs[0])
		plan_doubt(r->to, "the table is written: %s", r->differs);
	rc = put_steps(r, repartition);
	if (!rc)
		rc = check_changes(r);
	if (!rc)
		plan_total(r->to);
	return rc;
}

int plan_resolve(const struct plan *plan, const struct device_facts *facts, struct plan **out,
		 struct failure *why)
{
	struct resolver r = { .from = plan, .facts = facts, .why = why };
	int rc;

	*out = NULL;
	if (why)
		memset(why, 0, sizeof(*why));
	r.to = malloc(sizeof(*r.to));
	if (!r.to)
		return failure_set(why, ERR_INTERNAL, "no memory for the plan");
	*r.to = *plan;
	r.to->step_count = 0;
	rc = resolve(&r);
	if (rc) {
		plan_free(r.to);
		return rc;
	}
	*out = r.to;
	return 0;
}
