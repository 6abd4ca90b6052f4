/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "flash/plan_entries.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/util.h"
#include "flash/builder.h"
#include "flash/partition.h"

static struct plan_step *destructive(struct builder *b, enum plan_op op, enum boundary boundary)
{
	struct plan_step *s = plan_add(b->p, op);

	if (s) {
		s->destructive = true;
		s->boundary = boundary;
	}
	return s;
}

/* Nothing follows: the phone is to be left empty, and what it has of its own is kept and owed. */
static bool only_erases_all(const struct builder *b)
{
	for (size_t i = 0; i < b->count; i++)
		if (rule_taken(&b->p->options, &b->items[i]) && item_is_write(&b->items[i]))
			return false;
	return b->p->options.own == OWN_I_KNOW && !b->p->table.count;
}

static int check_erase_all(struct builder *b)
{
	if (b->p->old_ids)
		return failure_set(b->why, ERR_INVALID_ARGS,
				   "everything at once is erased by name only: erase the areas by address");
	if (only_erases_all(b)) {
		b->p->own_by_table = true;
		return 0;
	}
	if (!b->p->table.count)
		return failure_set(b->why, ERR_INVALID_ARGS,
				   "erase-all needs a package with partitions: it erases the table too");
	for (size_t i = 0; i < b->count; i++)
		if (rule_taken(&b->p->options, &b->items[i]) && item_is_write(&b->items[i]) &&
		    !strcmp(b->items[i].partition, "splloader"))
			return 0;
	return failure_set(b->why, ERR_PACKAGE_UNSAFE,
			   "erase-all takes the boot area and nothing would be written to splloader");
}

static int head(struct builder *b)
{
	enum repartition_policy policy = plan_repartition(b->p);
	struct plan_step *s;

	if (b->p->options.erase_all) {
		int rc = check_erase_all(b);

		if (rc)
			return rc;
		s = destructive(b, OP_ERASE_ALL, BOUNDARY_BOUND);
		if (!s)
			return plan_full(b->why);
		s->by_name = true;
		s->size = ERASE_EVERYTHING;
		snprintf(s->target, sizeof(s->target), "erase_all");
		if (b->p->own_by_table)
			plan_doubt(b->p,
				   "nothing is left on the phone; what is its own is kept here, and owed");
		else
			plan_doubt(
				b->p,
				"erase-all also erases what no package can replace beside NV, prodnv and miscdata (persist, keys)");
	}
	if (policy == REPARTITION_NEVER)
		return 0;
	s = destructive(b, OP_REPARTITION, BOUNDARY_BOUND);
	if (!s)
		return plan_full(b->why);
	s->guard = policy == REPARTITION_ALWAYS ? GUARD_ALWAYS : GUARD_TABLE_DIFFERS;
	snprintf(s->target, sizeof(s->target), "partition table");
	/* given up is also what has no row in the new table, and only the phone's tells what that is */
	b->p->own_by_table |= b->p->options.own == OWN_I_KNOW && !b->p->options.erase_all;
	return 0;
}

static int erase(struct builder *b, size_t i, enum boundary boundary)
{
	const struct pac_item *item = &b->items[i];
	struct plan_step *s = destructive(b, OP_ERASE, boundary);

	if (!s)
		return plan_full(b->why);
	b->placed[i] = true;
	s->item = (int32_t)item->index;
	plan_target_of(s, item);
	s->size = item->block_size;
	/* an area is erased by whole words (pac-and-flow 4); the size field of a format names a file system
	 */
	if (!s->by_name && s->size & 1 && s->size != ERASE_EVERYTHING && !rule_write_only(s->address))
		s->size++;
	/* without such a row the phone would take the second boot area for it (device-behaviour 7.2) */
	if (s->by_name && !strcmp(s->target, "uboot"))
		s->guard = GUARD_IN_TABLE;
	if (s->by_name && rule_is_boot_chain(s->target))
		s->boundary = BOUNDARY_BOUND;
	if (b->p->options.own != OWN_PACKAGE && s->by_name &&
	    partition_class(s->target) == PARTITION_BOOT_CHAIN)
		plan_doubt(b->p, "%s is part of what starts the phone: without it only download mode is left",
			   s->target);
	return 0;
}

/* Erases of this place that the scheme has: they go directly before it is written again. */
static int erases_of(struct builder *b, bool by_name, const char *target, uint64_t address)
{
	for (size_t i = 0; i < b->count; i++) {
		const struct pac_item *item = &b->items[i];
		int rc;

		if (!rule_taken(&b->p->options, item) || !item_is_erase(item) || b->placed[i])
			continue;
		if (by_name ? strcmp(item->partition, target) != 0
			    : item->partition[0] || item->address != address)
			continue;
		rc = erase(b, i, BOUNDARY_BOUND);
		if (rc)
			return rc;
	}
	return 0;
}

static int write_nv(struct builder *b, const struct plan_backup *k, int32_t item)
{
	int rc = erases_of(b, k->by_name, k->target, k->address);
	struct plan_step *s;

	if (rc)
		return rc;
	s = destructive(b, OP_WRITE_NV, BOUNDARY_BOUND);
	if (!s)
		return plan_full(b->why);
	s->item = item;
	s->by_name = k->by_name;
	s->address = k->address;
	memcpy(s->target, k->target, sizeof(s->target));
	s->size = item >= 0 ? b->items[item].size : k->size;
	if (b->p->options.nv != NV_PACKAGE || item < 0)
		s->backup = (int32_t)(k - b->p->backup);
	if (item < 0)
		s->guard = GUARD_BACKUP_VALID;
	return plan_add_verify(b->p, b->p->step_count - 1, false) ? 0 : plan_full(b->why);
}

static int restore(struct builder *b, const struct plan_backup *k, int32_t item)
{
	int rc = erases_of(b, k->by_name, k->target, k->address);
	struct plan_step *s;

	if (rc)
		return rc;
	s = destructive(b, OP_RESTORE, BOUNDARY_BOUND);
	if (!s)
		return plan_full(b->why);
	s->item = item;
	s->backup = (int32_t)(k - b->p->backup);
	s->guard = GUARD_BACKUP_VALID;
	s->by_name = k->by_name;
	s->address = k->address;
	memcpy(s->target, k->target, sizeof(s->target));
	s->size = k->size;
	return 0;
}

/* What comes from the phone itself: back in one group with the table, so that no cancel finds it missing. */
static int bound_group(struct builder *b)
{
	for (int nv = 1; nv >= 0; nv--) {
		for (uint32_t k = 0; k < b->p->backup_count; k++) {
			const struct plan_backup *backup = &b->p->backup[k];
			int32_t item = backup->item;
			int rc;

			if ((backup->kind == BACKUP_NV) != nv || backup->given_up)
				continue;
			for (size_t i = 0; !nv && i < b->count; i++)
				if (rule_taken(&b->p->options, &b->items[i]) && item_is_kept(&b->items[i]) &&
				    (backup->by_name ? !strcmp(b->items[i].partition, backup->target)
						     : !b->items[i].partition[0] &&
							       b->items[i].address == backup->address))
					item = (int32_t)i;
			if (item >= 0)
				b->placed[item] = true;
			rc = nv ? write_nv(b, backup, item) : restore(b, backup, item);
			if (rc)
				return rc;
		}
	}
	return 0;
}

static bool has_word(const char *text, const char *word)
{
	size_t n = strlen(word);

	for (; *text; text++)
		if (!strncasecmp(text, word, n))
			return true;
	return false;
}

static int write_file(struct builder *b, size_t i)
{
	const struct pac_item *item = &b->items[i];
	struct plan_step *s = destructive(b, OP_WRITE, BOUNDARY_ENTRY);

	if (!s)
		return plan_full(b->why);
	b->placed[i] = true;
	s->item = (int32_t)item->index;
	plan_target_of(s, item);
	s->size = item->size;
	if (!s->by_name)
		return 0;
	if (rule_is_boot_chain(s->target))
		s->boundary = BOUNDARY_BOUND;
	if (!strcmp(s->target, "uboot"))
		s->guard = GUARD_IN_TABLE;
	if (!strcmp(s->target, "splloader") && has_word(item->file->id, "ufs"))
		s->guard = GUARD_STORAGE_UFS;
	else if (!strcmp(s->target, "splloader") && has_word(item->file->id, "emmc"))
		s->guard = GUARD_STORAGE_EMMC;
	if (b->p->options.own != OWN_PACKAGE && partition_class(s->target) == PARTITION_BOOT_CHAIN)
		plan_doubt(
			b->p,
			"%s is part of what starts the phone: an image that is none leaves only download mode",
			s->target);
	if (name_is_kept(s->target) || strstr(s->target, "calinv") || !strcmp(s->target, "persist"))
		plan_doubt(b->p, "%s is written from the package: what is this phone's own in it is lost",
			   s->target);
	if (b->p->table.count && !rule_is_boot_area(s->target) && !table_find(&b->p->table, s->target))
		plan_doubt(b->p, "%s is not in the package's own table", s->target);
	return 0;
}

static bool endangers_nv(const struct pac_item *item)
{
	return item->partition[0] ? rule_is_nv(item->partition) : rule_is_nv_address(item->address);
}

static int rest(struct builder *b)
{
	for (size_t i = 0; i < b->count; i++) {
		const struct pac_item *item = &b->items[i];
		int rc = 0;

		if (!rule_taken(&b->p->options, item) || b->placed[i])
			continue;
		if (item_is_erase(item)) {
			if (endangers_nv(item) && b->p->options.nv != NV_PACKAGE &&
			    !builder_gives_up(b, item))
				return builder_refuse(b, item, ERR_PACKAGE_UNSAFE,
						      "it erases NV and no entry writes NV back");
			rc = erase(b, i, BOUNDARY_ENTRY);
		} else if (item_is_write(item) && rule_item_is_phasecheck(item)) {
			continue; /* never from a file; kept entries have been placed */
		} else if (item_is_write(item) && rule_item_is_nv(item)) {
			int32_t k = builder_find_backup(b->p, item->partition[0], item->partition,
							item->address);

			b->placed[i] = true;
			rc = write_nv(b, &b->p->backup[k], (int32_t)i);
		} else if (item_is_kept(item)) {
			int32_t k = builder_find_backup(b->p, item->partition[0], item->partition,
							item->address);

			b->placed[i] = true;
			rc = restore(b, &b->p->backup[k], (int32_t)i);
		} else if (item_is_write(item)) {
			rc = write_file(b, i);
		}
		if (rc)
			return rc;
	}
	return 0;
}

int plan_entries(struct plan *p, struct failure *why)
{
	struct builder b = { .p = p, .why = why };
	int rc;

	b.items = pac_items(p->pac, &b.count);
	b.moves = plan_repartition(p) != REPARTITION_NEVER;
	rc = builder_check(&b);
	if (!rc)
		rc = builder_backups(&b);
	if (!rc)
		rc = head(&b);
	/* address products have no table to come back after: NV keeps its place, the boot area is erased
	 * first there */
	if (!rc && !p->old_ids)
		rc = bound_group(&b);
	if (!rc)
		rc = rest(&b);
	if (rc)
		return rc;
	if (plan_destroys(p))
		return 0;
	return failure_set(why, ERR_INVALID_ARGS, "nothing is left to be flashed");
}
