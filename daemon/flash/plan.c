/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "flash/plan.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "flash/plan_entries.h"

#define FIRST_GAP (34 * 512) /* bytes; 34 sectors, of the smaller kind */

void plan_free(struct plan *plan)
{
	free(plan);
}

bool plan_destroys(const struct plan *plan)
{
	for (uint32_t i = 0; i < plan->step_count; i++)
		if (plan->step[i].destructive)
			return true;
	return false;
}

static int check_names(const struct pac *pac, const char (*list)[40], uint32_t count, const char *option,
		       struct failure *why)
{
	size_t items;
	const struct pac_item *item = pac_items(pac, &items);

	if (count > PLAN_NAMES_MAX)
		return failure_set(why, ERR_INVALID_ARGS, "more than %d names in '%s'", PLAN_NAMES_MAX,
				   option);
	for (uint32_t i = 0; i < count; i++) {
		bool found = false, loader = false;

		for (size_t k = 0; k < items; k++) {
			if (!rule_item_named(&item[k], list[i]))
				continue;
			found = true;
			loader |= item[k].file->class == CLASS_FDL1 || item[k].file->class == CLASS_FDL2;
		}
		if (!found)
			return failure_set(why, ERR_INVALID_ARGS,
					   "'%s' names no entry of the package (option '%s')", list[i],
					   option);
		if (loader)
			return failure_set(why, ERR_INVALID_ARGS,
					   "'%s' is a loader: it is always sent, never flashed", list[i]);
	}
	return 0;
}

static int check_options(const struct pac *pac, const struct plan_options *o, struct failure *why)
{
	int rc;

	if ((unsigned)o->nv > NV_PACKAGE || (unsigned)o->repartition > REPARTITION_NEVER ||
	    (unsigned)o->level > LEVEL_VERIFIED || (unsigned)o->end > END_STAY)
		return failure_set(why, ERR_INVALID_ARGS, "an option is out of range");
	if (o->level == LEVEL_SAMPLED)
		return failure_set(why, ERR_UNSUPPORTED,
				   "level 'sampled' is not there: use 'acknowledged' or 'verified'");
	if (o->nv_from[0] && o->nv_not_this_phone)
		return failure_set(why, ERR_INVALID_ARGS,
				   "the owed backup is either this phone's or it is not");
	if (o->nv_from[0] && o->nv == NV_PACKAGE)
		return failure_set(why, ERR_INVALID_ARGS,
				   "NV can not come from a backup and from the package");
	if (o->erase_all && o->own == OWN_REFUSE)
		return failure_set(why, ERR_PARTITION_UNIQUE,
				   "everything would be erased, and with it what is this phone's own");
	if (o->erase_all && o->only_count)
		return failure_set(why, ERR_INVALID_ARGS,
				   "erase-all leaves nothing that single entries could join");
	if (o->erase_all && o->own != OWN_I_KNOW && o->repartition == REPARTITION_NEVER)
		return failure_set(why, ERR_INVALID_ARGS,
				   "erase-all takes the table too: it has to be written again");
	if ((unsigned)o->own > OWN_I_KNOW || (unsigned)o->addressing > ADDRESSING_NUMBERS)
		return failure_set(why, ERR_INVALID_ARGS, "an option is out of range");
	rc = check_names(pac, o->only, o->only_count, "entries", why);
	return rc ? rc : check_names(pac, o->without, o->without_count, "without", why);
}

static uint64_t scaled(const struct scheme_table *t, uint64_t n)
{
	uint64_t unit = t->v1 ? (t->unit_bytes ? t->unit_bytes : 512) : 1u << 20;

	return n > UINT64_MAX / 2 / unit ? UINT64_MAX / 2 : n * unit;
}

/* The package's table in bytes; pac-and-flow 2.4. */
static int table(struct plan *p, struct failure *why)
{
	const struct scheme_table *from = &pac_product(p->pac)->table;
	struct flash_table *t = &p->table;

	if (!from->present || !from->parts)
		return 0;
	if (from->parts > TABLE_MAX)
		return failure_set(why, ERR_PACKAGE_PARTITIONS, "%zu partitions, at most %d can be sent",
				   from->parts, TABLE_MAX);
	t->origin = TABLE_PACKAGE;
	t->unit_sure = !from->v1 || from->unit_bytes;
	t->sector = t->unit_sure ? 0 : 512;
	p->table_version = from->v1;
	p->table_unit = from->v1 ? (from->unit_bytes ? 3 : 4) : 0;
	for (size_t i = 0; i < from->parts; i++) {
		const struct scheme_partition *part = &from->part[i];
		struct table_entry *e = &t->entry[t->count];

		if (rule_forbidden(part->name) || table_find(t, part->name))
			return failure_set(why, ERR_PACKAGE_PARTITIONS, "partition name '%s' %s", part->name,
					   rule_forbidden(part->name) ? "is reserved" : "stands twice");
		if (part->size == SCHEME_REST && i + 1 < from->parts)
			return failure_set(why, ERR_PACKAGE_PARTITIONS,
					   "'%s' takes the rest but is not the last", part->name);
		if (!part->size)
			return failure_set(why, ERR_PACKAGE_PARTITIONS, "partition '%s' has size 0",
					   part->name);
		snprintf(e->name, sizeof(e->name), "%s", part->name);
		e->size = part->size == SCHEME_REST ? UINT64_MAX : scaled(from, part->size);
		p->table_gap[t->count] = part->gap < 0 ? -(int64_t)scaled(from, (uint64_t)-part->gap)
						       : (int64_t)scaled(from, (uint64_t)part->gap);
		t->count++;
	}
	return 0;
}

/* Gaps that a phone refuses or that we do not send: found before anything is erased for them (bsl-protocol
 * 12). */
static int gaps(struct plan *p, struct failure *why)
{
	if (!p->table.count || plan_repartition(p) == REPARTITION_NEVER)
		return 0;
	for (uint32_t i = 0; i < p->table.count; i++)
		if (p->table_gap[i] < 0)
			return failure_set(why, ERR_PACKAGE_PARTITIONS,
					   "'%s' has a negative gap: it would overlap what stands before it",
					   p->table.entry[i].name);
	if (p->table_gap[0] && p->table_gap[0] < FIRST_GAP)
		return failure_set(why, ERR_PACKAGE_PARTITIONS,
				   "'%s' would begin inside the partition table itself",
				   p->table.entry[0].name);
	return 0;
}

enum addressing plan_addressing_of(const struct pac *pac)
{
	bool entries = false;
	size_t count;
	const struct pac_item *items = pac_items(pac, &count);

	if (pac_product(pac)->table.parts)
		return ADDRESSING_NAMES;
	for (size_t i = 0; i < count; i++) {
		enum scheme_class c = items[i].file->class;

		if (items[i].file->flag == 2)
			continue;
		if (items[i].partition[0])
			return ADDRESSING_NAMES;
		entries |= c != CLASS_FDL1 && c != CLASS_FDL2;
	}
	return entries ? ADDRESSING_NUMBERS : ADDRESSING_PACKAGE;
}

static bool any_by_name(const struct plan *p)
{
	enum addressing a = p->table.count ? ADDRESSING_NAMES : plan_addressing_of(p->pac);

	if (a == ADDRESSING_PACKAGE) /* a phone with one loader knows no names (bsl-protocol 16) */
		return p->options.addressing != ADDRESSING_NUMBERS && p->family == PLAN_TWO_STAGE;
	return a == ADDRESSING_NAMES;
}

static void mirror_doubts(struct plan *p)
{
	for (uint32_t i = 0; i < p->step_count; i++) {
		char other[40];

		if (p->step[i].op != OP_WRITE || !p->step[i].by_name ||
		    !rule_other_slot(p->step[i].target, other, sizeof(other)))
			continue;
		for (uint32_t k = i + 1; k < p->step_count; k++) {
			if (p->step[k].op != OP_WRITE || strcmp(p->step[k].target, other) ||
			    plan_item(p, p->step[k].item)->offset == plan_item(p, p->step[i].item)->offset)
				continue;
			plan_doubt(
				p,
				"%s and %s differ: late loaders (LK) copy each to the other, the later image ends in both",
				p->step[i].target, other);
		}
	}
}

static int verify_steps(struct plan *p, struct failure *why)
{
	uint32_t written = p->step_count;

	if (p->options.level != LEVEL_VERIFIED)
		return 0;
	for (uint32_t i = 0; i < written; i++)
		if ((p->step[i].op == OP_WRITE || p->step[i].op == OP_RESTORE) &&
		    !plan_add_verify(p, i, false))
			return plan_full(why);
	return 0;
}

int plan_add_end(struct plan *p, struct failure *why)
{
	struct plan_step *s;

	if (p->options.end == END_STAY)
		return 0;
	s = plan_add(p, p->options.end == END_RESET ? OP_RESET : OP_POWER_OFF);
	if (!s)
		return plan_full(why);
	s->boundary = BOUNDARY_NOW;
	return 0;
}

int plan_head(struct plan *p, struct failure *why)
{
	int rc;

	p->family = pac_two_stage(p->pac) ? PLAN_TWO_STAGE : PLAN_SINGLE_FDL;
	rc = plan_loaders(p, why);
	if (!rc)
		rc = table(p, why);
	if (rc)
		return rc;
	p->old_ids = !any_by_name(p);
	if (p->fdl1.second_enum)
		plan_doubt(p, "departure=announced: the phone leaves the bus and returns as %s starts",
			   plan_loader_item(p, &p->fdl1)->file->id);
	else if (p->fdl1.may_leave)
		plan_doubt(p, "departure=possible: some phones leave the bus for a moment as %s starts",
			   plan_loader_item(p, &p->fdl1)->file->id);
	p->keep_charge = p->family == PLAN_TWO_STAGE && !p->old_ids;
	return 0;
}

void plan_blame(struct failure *why)
{
	if (why && !why->stage[0])
		snprintf(why->stage, sizeof(why->stage), "package");
	if (why && !why->step[0])
		snprintf(why->step, sizeof(why->step), "plan");
}

/* A table of somebody's own, for a phone that has none. That of a package is its maker's business. */
static int check_nameable(const struct plan *p, struct failure *why)
{
	if (!p->table.count || p->options.own == OWN_PACKAGE ||
	    (p->options.addressing != ADDRESSING_NUMBERS && p->family == PLAN_TWO_STAGE))
		return 0;
	return failure_set(why, ERR_NO_PARTITIONS, "there is no table that could be replaced");
}

/* Nor does it hear of places with names. */
static int check_places(const struct plan *p, struct failure *why)
{
	if (p->options.own == OWN_PACKAGE ||
	    (p->options.addressing != ADDRESSING_NUMBERS && p->family == PLAN_TWO_STAGE))
		return 0;
	for (uint32_t i = 0; i < p->step_count; i++)
		if (p->step[i].by_name && p->step[i].op != OP_ERASE_ALL)
			return failure_set(why, ERR_NO_PARTITIONS, "there is no '%s'", p->step[i].target);
	return 0;
}

static int compile(struct plan *p, struct failure *why)
{
	int rc = check_options(p->pac, &p->options, why);

	if (!rc)
		rc = plan_head(p, why);
	if (!rc)
		rc = check_nameable(p, why);
	if (!rc)
		rc = gaps(p, why);
	if (!rc)
		rc = plan_entries(p, why);
	if (!rc)
		rc = check_places(p, why);
	if (!rc)
		rc = verify_steps(p, why);
	if (!rc)
		rc = plan_add_end(p, why);
	if (rc)
		return rc;
	p->may_not_know = p->old_ids			       ? UNKNOWN_NONE
			  : p->backup_count || p->own_by_table ? UNKNOWN_UID
							       : UNKNOWN_LIST_OR_UID;
	if (p->may_not_know != UNKNOWN_NONE)
		plan_doubt(p, "may-not-know=%s: the one command that the phone may not know",
			   plan_unknown_text(p->may_not_know));
	mirror_doubts(p);
	plan_total(p);
	return 0;
}

int plan_compile(const struct pac *pac, const struct plan_options *options, struct plan **out,
		 struct failure *why)
{
	static const struct plan_options defaults;
	struct plan *p;
	int rc;

	*out = NULL;
	if (why)
		memset(why, 0, sizeof(*why));
	p = calloc(1, sizeof(*p));
	if (!p)
		return failure_set(why, ERR_INTERNAL, "no memory for the plan");
	p->pac = pac;
	p->options = options ? *options : defaults;
	rc = compile(p, why);
	if (rc) {
		plan_blame(why);
		plan_free(p);
		return rc;
	}
	*out = p;
	return 0;
}
