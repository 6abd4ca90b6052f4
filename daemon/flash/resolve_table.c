/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "flash/resolve_inner.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/util.h"
#include "flash/table_payload.h"
#include "flash/table_text.h"

#define FIRST_MIB (1u << 20)
#define GPT_TAIL  34u /* sectors behind the last usable one, and one to spare */

int resolver_refuse(struct resolver *r, const struct plan_step *s, enum error_id error, const char *text)
{
	int rc = failure_set(r->why, error, "%s", text);

	if (r->why && s)
		snprintf(r->why->entry, sizeof(r->why->entry), "%s", s->target);
	return rc;
}

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

/* Which table all of this rests on: a person may want to know before and a record afterwards. */
static void say_source(struct resolver *r)
{
	switch (r->facts->table.count ? r->facts->table.origin : TABLE_NONE) {
	case TABLE_GPT: plan_doubt(r->to, "table=gpt: as the phone's storage has it"); break;
	case TABLE_LIST:
		plan_doubt(r->to, "table=list: as the phone's loader tells it%s",
			   r->known ? "" : "; in which unit is not clear");
		break;
	case TABLE_PROBED:
		plan_doubt(r->to, "table=probed: found by reading; its order and further partitions are not "
				  "known");
		break;
	default:
		if (r->facts->table_absent)
			plan_doubt(r->to, "table=none: the phone has no partition table yet");
		else
			plan_doubt(r->to, "table=package: the phone's own is not known");
		break;
	}
}

/* A package is content with sizes and their order; who asks for a table means its places too. */
static bool agrees_with(struct resolver *r)
{
	struct flash_table coming;

	if (!table_agrees(&r->facts->table, &r->to->table, r->differs, sizeof(r->differs)))
		return false;
	if (r->from->options.own == OWN_PACKAGE || table_of_plan(r->from, r->facts, &coming, NULL) ||
	    table_is(&r->facts->table, &coming))
		return true;
	snprintf(r->differs, sizeof(r->differs), "partitions lie at other places");
	return false;
}

static int decide_table(struct resolver *r, bool *repartition)
{
	const struct device_facts *f = r->facts;
	enum repartition_policy policy = plan_repartition(r->from);
	/* volumes are a little larger or smaller than their table says: their loader compares by itself
	 * (bsl-protocol 11.5, 12) */
	bool agrees = false, comparable;

	r->known = f->table.count && f->table.unit_sure;
	comparable = r->known && f->storage != STORAGE_NAND;
	say_source(r);
	if (comparable && r->to->table.count) {
		agrees = agrees_with(r);
		if (plan_stops_on_mismatch(r->from) && !agrees)
			return failure_set(r->why, ERR_REPARTITION_NOT_ALLOWED,
					   "the package says stop when the table differs: %s", r->differs);
	}
	switch (policy) {
	case REPARTITION_ALWAYS: *repartition = true; return 0;
	case REPARTITION_ON_MISMATCH:
		if (comparable)
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

int resolver_table(struct resolver *r, bool *repartition)
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

/* The usual mistake is a name from a phone with the other number of slots: the right one is said. */
int plan_absent(const struct flash_table *t, const char *name, struct failure *why)
{
	char a[TABLE_NAME_MAX + 8], b[TABLE_NAME_MAX + 8], other[40];
	const struct table_entry *near;
	size_t n = strlen(name);

	snprintf(a, sizeof(a), "%.36s_a", name);
	snprintf(b, sizeof(b), "%.36s_b", name);
	if (table_find(t, a) && table_find(t, b))
		return failure_set(why, ERR_PARTITION_MISSING,
				   "'%s' is not in the table: this phone has two slots, say '%s' or '%s'",
				   name, a, b);
	if (rule_other_slot(name, other, sizeof(other))) {
		snprintf(a, sizeof(a), "%.*s", (int)(n - 2), name);
		if (table_find(t, a))
			return failure_set(why, ERR_PARTITION_MISSING,
					   "'%s' is not in the table: this phone has one slot, say '%s'",
					   name, a);
	}
	for (uint32_t i = 0; i < t->count; i++)
		if (!strcasecmp(t->entry[i].name, name))
			return failure_set(why, ERR_PARTITION_MISSING, "'%s' is not in the table, '%s' is",
					   name, t->entry[i].name);
	near = table_near(t, name);
	if (near)
		return failure_set(why, ERR_PARTITION_MISSING, "'%s' is not in the table; '%s' is", name,
				   near->name);
	return failure_set(why, ERR_PARTITION_MISSING, "'%s' is not in the table", name);
}

static int missing(struct resolver *r, const struct plan_step *s)
{
	bool wanted = r->differs[0] && table_find(&r->to->table, s->target);
	int rc;

	if (wanted)
		rc = failure_set(r->why, ERR_REPARTITION_NOT_ALLOWED,
				 "'%s' is not in the phone's table and repartitioning is not allowed: %s",
				 s->target, r->differs);
	else
		rc = plan_absent(&r->coming, s->target, r->why);
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

	if (r->facts->storage == STORAGE_NAND || !r->facts->has_capabilities || !r->coming.count)
		return 0;
	if (!rule_nv_twin(s->target, twin, sizeof(twin))) {
		if (r->facts->lk)
			return 0;
		if (s->op == OP_ERASE ? strcmp(s->target, "uboot") != 0
				      : !rule_has_twin(s->target) || !signed_image)
			return 0;
		snprintf(twin, sizeof(twin), "%s_bak", s->target);
	}
	if (table_find(&r->coming, twin))
		return 0;
	return failure_set(
		r->why, ERR_PARTITION_MISSING,
		"the phone does the same to '%s', which is not in the table: it would fail half way", twin);
}

int resolver_fit(struct resolver *r, const struct plan_step *s, bool *drop)
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
	if (!row && guarded && s->op == OP_CHANGE) {
		*drop = true;
		return 0;
	}
	/* a package says what may be there; whoever erases one thing means it */
	if (!row && guarded && s->op == OP_ERASE && r->from->options.own == OWN_PACKAGE) {
		plan_doubt(r->to, "%s is not in the table, so it is not erased", s->target);
		*drop = true;
		return 0;
	}
	if (!row)
		return missing(r, s);
	if (r->coming.unit_sure && row->size != UINT64_MAX && need > row->size) {
		snprintf(text, sizeof(text), "%" PRIu64 " bytes do not fit into '%s', which has %" PRIu64,
			 need, s->target, row->size);
		return resolver_refuse(r, s, ERR_IMAGE_TOO_LARGE, text);
	}
	return check_twin(r, s);
}
