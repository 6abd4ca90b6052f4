/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "flash/plan_entries.h"
#include "flash/table_payload.h"

#define FIRST_MIB (1u << 20)
#define GPT_TAIL  34u /* sectors behind the last usable one, and one to spare */

struct resolver {
	const struct plan *from;
	const struct device_facts *facts;
	struct plan *to;
	struct failure *why;
	struct flash_table coming; /* as it will be when the images are written */
	bool known;		   /* the phone's table is known, sizes included */
	bool moves;		   /* repartition or erase-all: content loses its place */
	char differs[160];	   /* how the tables differ; empty: they agree or are not both known */
};

static int refuse(struct resolver *r, const struct plan_step *s, enum error_id error, const char *text)
{
	int rc = failure_set(r->why, error, "%s", text);

	if (r->why && s)
		snprintf(r->why->entry, sizeof(r->why->entry), "%s", s->target);
	return rc;
}

/* ---- the table ---- */

static void scale_sectors(struct plan *p, uint32_t sector)
{
	if (!p->table.count || p->table.unit_sure || !sector)
		return;
	for (uint32_t i = 0; i < p->table.count; i++) {
		if (p->table.entry[i].size != UINT64_MAX)
			p->table.entry[i].size = p->table.entry[i].size / 512 * sector;
		p->table_gap[i] = p->table_gap[i] / 512 * (int64_t)sector;
	}
	p->table.sector = sector;
	p->table.unit_sure = true;
}

static int decide_table(struct resolver *r, bool *repartition)
{
	const struct device_facts *f = r->facts;
	enum repartition_policy policy = plan_repartition(r->from);
	bool agrees = false;

	r->known = f->table.count && f->table.unit_sure;
	if (r->known && r->to->table.count) {
		agrees = table_agrees(&f->table, &r->to->table, r->differs, sizeof(r->differs));
		if (plan_stops_on_mismatch(r->from) && !agrees)
			return failure_set(r->why, ERR_REPARTITION_NOT_ALLOWED,
					   "the package says stop when the table differs: %s", r->differs);
	}
	switch (policy) {
	case REPARTITION_ALWAYS: *repartition = true; return 0;
	case REPARTITION_ON_MISMATCH:
		if (r->known)
			*repartition = !agrees;
		else if (f->table_absent || f->storage == STORAGE_NAND)
			*repartition = true; /* nothing to compare with; NAND loaders compare themselves */
		else
			return failure_set(
				r->why, ERR_TABLE_UNREADABLE,
				"%s, so it can not be told whether it differs; say 'always' or 'never'",
				f->table.count ? "the unit of the phone's partition list is not clear"
					       : "the phone's table could not be read");
		return 0;
	default: *repartition = false; return 0;
	}
}

/* The package's table laid out on this phone: the size of "the rest", and whether all fits. */
static int lay_out(struct resolver *r)
{
	struct flash_table *t = &r->coming;
	uint64_t size = r->facts->table.user_size, at = 0,
		 sector = r->facts->table.sector ? r->facts->table.sector : 512;

	*t = r->to->table;
	for (uint32_t i = 0; i < t->count; i++) {
		int64_t gap = r->to->table_gap[i];
		uint64_t skip = !i && !gap ? FIRST_MIB : (uint64_t)gap;

		if (gap < 0 && (uint64_t)-gap > at)
			return failure_set(r->why, ERR_PACKAGE_PARTITIONS,
					   "'%s' would begin before the device does", t->entry[i].name);
		at += skip;
		t->entry[i].start = at;
		if (t->entry[i].size == UINT64_MAX) {
			if (size > at + GPT_TAIL * sector)
				t->entry[i].size = size - at - GPT_TAIL * sector;
			else if (size)
				at = UINT64_MAX / 2;
			break;
		}
		at += t->entry[i].size;
		if (at > UINT64_MAX / 2)
			break; /* two more could wrap; it does not fit anyway */
	}
	if (size && at > size - MIN(size, (uint64_t)GPT_TAIL * sector))
		return failure_set(r->why, ERR_STORAGE_MISMATCH,
				   "the package's partitions need more than the %" PRIu64
				   " MiB this phone has",
				   size >> 20);
	return 0;
}

/* A table that cannot be put into one frame is found before the first erase, not when its turn comes. */
static int sendable(struct resolver *r)
{
	_cleanup_free_ uint8_t *out = malloc(PLAN_TABLE_BYTES);

	if (!out)
		return failure_set(r->why, ERR_INTERNAL, "no memory for a table");
	if (plan_table_payload(r->to, out, PLAN_TABLE_BYTES) < 0)
		return failure_set(r->why, ERR_PACKAGE_PARTITIONS,
				   "the table cannot be sent: a size, or more rows than a frame holds");
	return 0;
}

static int prepare_table(struct resolver *r, bool *repartition)
{
	uint32_t sector = r->facts->table.sector;
	int rc;

	if (!sector)
		sector = r->facts->storage == STORAGE_UFS    ? 4096
			 : r->facts->storage == STORAGE_EMMC ? 512
							     : 0;
	scale_sectors(r->to, sector);
	rc = decide_table(r, repartition);
	if (rc)
		return rc;
	r->moves = *repartition || r->from->options.erase_all;
	if (!*repartition) {
		r->coming = r->facts->table;
		return 0;
	}
	if (!r->to->table.unit_sure)
		return failure_set(
			r->why, ERR_TABLE_UNREADABLE,
			"the package gives its partitions in sectors and the phone's sector size is not known");
	rc = lay_out(r);
	return rc ? rc : sendable(r);
}

/* ---- fitting one entry ---- */

static int missing(struct resolver *r, const struct plan_step *s)
{
	bool wanted = r->differs[0] && table_find(&r->to->table, s->target);
	int rc;

	if (wanted)
		rc = failure_set(r->why, ERR_REPARTITION_NOT_ALLOWED,
				 "'%s' is not in the phone's table and repartitioning is not allowed: %s",
				 s->target, r->differs);
	else
		rc = failure_set(r->why, ERR_PARTITION_MISSING, "'%s' is not in the table", s->target);
	if (r->why)
		snprintf(r->why->entry, sizeof(r->why->entry), "%s", s->target);
	return rc;
}

/* FDL2 of the U-Boot kind writes and erases the twin too, and fails when the first is done and the twin is
 * not there. */
static int check_twin(struct resolver *r, const struct plan_step *s)
{
	const struct pac_item *item = plan_item(r->from, s->item);
	bool signed_image = item && (item->image.dhtb.present || !strcmp(s->target, "vbmeta"));
	char twin[48];

	if (r->facts->lk || r->facts->storage == STORAGE_NAND || !r->facts->has_capabilities)
		return 0;
	if (s->op == OP_ERASE ? strcmp(s->target, "uboot") != 0 : !rule_has_twin(s->target) || !signed_image)
		return 0;
	snprintf(twin, sizeof(twin), "%s_bak", s->target);
	if (table_find(&r->coming, twin))
		return 0;
	return failure_set(
		r->why, ERR_PARTITION_MISSING,
		"the phone does the same to '%s', which is not in the table: it would fail half way", twin);
}

static int fit(struct resolver *r, const struct plan_step *s, bool *drop)
{
	const struct table_entry *row;
	uint64_t need = plan_need(r->from, s);
	bool guarded = s->guard == GUARD_IN_TABLE;
	char text[160];

	*drop = false;
	if (!s->by_name || s->op == OP_ERASE_ALL || rule_is_boot_area(s->target))
		return 0;
	row = table_find(&r->coming, s->target);
	if (!r->coming.count) {
		/* NAND loaders look a name up at START and refuse what they do not know */
		if (!guarded || r->facts->storage == STORAGE_NAND) {
			plan_doubt(r->to,
				   "the phone's table is not known: names and sizes are the package's word");
			return 0;
		}
	}
	if (!row && guarded && s->op == OP_ERASE) {
		plan_doubt(r->to, "%s is not in the table, so it is not erased", s->target);
		*drop = true;
		return 0;
	}
	if (!row)
		return missing(r, s);
	if (r->coming.unit_sure && row->size != UINT64_MAX && need > row->size) {
		snprintf(text, sizeof(text), "%" PRIu64 " bytes do not fit into '%s', which has %" PRIu64,
			 need, s->target, row->size);
		return refuse(r, s, ERR_IMAGE_TOO_LARGE, text);
	}
	return check_twin(r, s);
}

/* ---- storage ---- */

static enum storage_kind storage_of(const struct device_facts *f)
{
	if (f->storage != STORAGE_UNKNOWN)
		return f->storage;
	/* a phone that does not say: only UFS has sectors of 4096 bytes */
	if (f->table.origin == TABLE_GPT)
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
	return r->facts->table_absent || (r->known && !table_find(&r->facts->table, s->target));
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
	return refuse(r, s,
		      f->state == BACKUP_INVALID || f->state == BACKUP_BLANK ? ERR_NV_INVALID
									     : ERR_NV_UNREADABLE,
		      text);
}

static int decide_nv(struct resolver *r, struct plan_step *s, bool *drop)
{
	const struct backup_fact *f = fact_of(r, s->backup);

	if (s->backup < 0) {
		plan_doubt(r->to, "nv=package: %s is written from the package as it is", s->target);
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
	/* leave is given for what is blank; what could not be read may be there */
	if (!r->from->options.continue_without_backup || f->state != BACKUP_BLANK) {
		snprintf(text, sizeof(text), "'%s' could not be backed up%s%s", s->target,
			 f->note[0] ? ": " : "", f->note);
		return refuse(r, s, ERR_BACKUP_FAILED, text);
	}
	return from_package(r, s, drop);
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
	if (rc || *drop || s->op == OP_REPARTITION || s->op == OP_RESET || s->op == OP_POWER_OFF)
		return rc;
	return fit(r, s, drop);
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
		if ((r->to->step[i].op == OP_WRITE || r->to->step[i].op == OP_RESTORE) &&
		    !plan_add_verify(r->to, i, r->facts->lk))
			rc = plan_full(r->why);
	for (uint32_t i = 0; i < r->from->step_count && !rc; i++)
		if (is_end(&r->from->step[i]))
			rc = put(r, &r->from->step[i]);
	return rc;
}

static int resolve(struct resolver *r)
{
	bool repartition = false;
	int rc = check_storage(r);

	if (!rc && !r->from->old_ids)
		rc = prepare_table(r, &repartition);
	if (rc)
		return rc;
	if (repartition && r->differs[0])
		plan_doubt(r->to, "the table is written: %s", r->differs);
	rc = put_steps(r, repartition);
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
