/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "flash/plan_entries.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/util.h"
#include "pac/phasecheck.h"

#define NV_READ_DEFAULT 0x100000u /* bytes to read of an NV area whose size the scheme leaves out (5.6) */

struct builder {
	struct plan *p;
	struct failure *why;
	const struct pac_item *items;
	size_t count;
	bool moves;	   /* the table may be written, or everything erased */
	bool placed[1024]; /* item has its steps already */
};

enum repartition_policy plan_repartition(const struct plan *p)
{
	enum repartition_policy policy = p->options.repartition;

	if (!p->table.count)
		return REPARTITION_NEVER;
	if (p->options.erase_all)
		return REPARTITION_ALWAYS;
	/* single entries never ask for another table unless that is said too */
	if (p->options.only_count && policy != REPARTITION_ALWAYS)
		return REPARTITION_NEVER;
	if (policy != REPARTITION_PACKAGE)
		return policy;
	switch (pac_header(p->pac)->nand_strategy) {
	case 0: return REPARTITION_ALWAYS;
	case 3: return REPARTITION_ON_MISMATCH;
	default: return REPARTITION_NEVER;
	}
}

bool plan_stops_on_mismatch(const struct plan *p)
{
	return p->table.count && p->options.repartition == REPARTITION_PACKAGE && !p->options.erase_all &&
	       pac_header(p->pac)->nand_strategy == 1;
}

static int refuse(struct builder *b, const struct pac_item *item, enum error_id error, const char *text)
{
	int rc = failure_set(b->why, error, "%s: %s", item->file->id, text);

	if (b->why)
		snprintf(b->why->entry, sizeof(b->why->entry), "%s", item->label);
	return rc;
}

static bool is_write(const struct pac_item *item)
{
	enum scheme_class c = item->file->class;

	return c == CLASS_WRITE_ADDR || c == CLASS_WRITE_ID || c == CLASS_NV_ADDR || c == CLASS_NV_ID;
}

static bool is_erase(const struct pac_item *item)
{
	return item->file->class == CLASS_ERASE_ADDR || item->file->class == CLASS_ERASE_ID;
}

/* Entries whose content comes from the phone itself. */
static bool is_kept_file(const struct pac_item *item)
{
	return is_write(item) && !rule_item_is_nv(item) && item->file->backup == 1;
}

static bool is_kept_name(const char *name)
{
	return !strcmp(name, "prodnv") || !strcmp(name, "miscdata");
}

/* ---- checks of one entry ---- */

static int check_class(struct builder *b, const struct pac_item *item)
{
	switch (item->file->class) {
	case CLASS_UNKNOWN: return refuse(b, item, ERR_PACKAGE_TYPE, "its type is not known");
	case CLASS_EXT_TABLE:
	case CLASS_SPECIAL:
		if (item->file->type == TYPE_CHECK_NV || item->file->type == TYPE_CHECK_NV2) {
			plan_doubt(b->p, "%s is not run: NV is compared after writing anyway",
				   item->file->id);
			return 0;
		}
		return refuse(b, item, ERR_PACKAGE_TYPE,
			      "its type needs work on the host that is not supported; leave it out");
	case CLASS_SETTING:
	case CLASS_READ_ADDR:
	case CLASS_READ_ID:
		plan_doubt(b->p, "%s (%s) is not run", item->file->id, item->file->type_text);
		return 0;
	default: return 0;
	}
}

static int check_target(struct builder *b, const struct pac_item *item)
{
	const char *name = item->partition;
	bool write = is_write(item);

	if (!write && !is_erase(item))
		return 0;
	if (name[0]) {
		if (rule_forbidden(name))
			return refuse(b, item, ERR_PACKAGE_UNSAFE,
				      "this name is never addressed for a package");
		if (write && (rule_is_nv_twin(name) || rule_is_runtime_nv(name)))
			return refuse(b, item, ERR_PACKAGE_UNSAFE,
				      "an NV copy can not be written from outside");
		return 0;
	}
	if (item->address >= GIB4)
		return refuse(b, item, ERR_PACKAGE_SCHEME, "its address has more than 32 bits");
	if (!write && item->address == 0)
		return refuse(b, item, ERR_PACKAGE_UNSAFE, "erasing address 0 erases everything");
	if (!write && item->block_size > UINT32_MAX)
		return refuse(b, item, ERR_PACKAGE_SCHEME, "its size has more than 32 bits");
	return 0;
}

static int check_file(struct builder *b, const struct pac_item *item)
{
	uint64_t room, need = item->image.kind == IMAGE_SPARSE ? item->image.expanded : item->size;
	const struct table_entry *row;

	if (!is_write(item))
		return 0;
	if (rule_item_is_phasecheck(item) || is_kept_file(item)) {
		if (rule_item_is_phasecheck(item) || !item->has_file)
			return 0;
	}
	if (!item->has_file)
		return refuse(b, item, ERR_PACKAGE_ENTRY_MISSING,
			      "it is to be flashed but the package has no file for it");
	if (item->file->sel_by_flash)
		return refuse(b, item, ERR_PACKAGE_TYPE,
			      "its file is to be chosen by the flash chip: not supported");
	if (item->file->sel_by_rf && pac_product(b->p->pac)->rf_enabled)
		return refuse(b, item, ERR_PACKAGE_TYPE,
			      "its file is to be chosen by the radio chip: not supported");
	if (!item->partition[0]) {
		if (item->size >= GIB4)
			return refuse(b, item, ERR_IMAGE_TOO_LARGE, "an address takes less than 4 GiB");
		return 0;
	}
	row = table_find(&b->p->table, item->partition);
	if (!row || row->size == UINT64_MAX || !b->p->table.unit_sure)
		return 0;
	if (rule_item_is_nv(item))
		need += 512;
	room = row->size;
	if (need > room) {
		int rc = failure_set(b->why, ERR_IMAGE_TOO_LARGE,
				     "%s takes %" PRIu64
				     " bytes, the package's own table gives '%s' %" PRIu64,
				     item->file->id, need, item->partition, room);

		if (b->why)
			snprintf(b->why->entry, sizeof(b->why->entry), "%s", item->label);
		return rc;
	}
	return 0;
}

static int check_items(struct builder *b)
{
	if (b->count > ARRAY_SIZE(b->placed))
		return plan_full(b->why);
	for (size_t i = 0; i < b->count; i++) {
		const struct pac_item *item = &b->items[i];
		int rc;

		if (!rule_taken(&b->p->options, item))
			continue;
		rc = check_class(b, item);
		if (!rc)
			rc = check_target(b, item);
		if (!rc)
			rc = check_file(b, item);
		if (rc)
			return rc;
	}
	if (pac_product(b->p->pac)->exts)
		return failure_set(b->why, ERR_PACKAGE_TYPE, "the product has an ExtTable: not supported");
	return 0;
}

/* ---- backups ---- */

static void sink_name(char sink[40], const char *target)
{
	size_t n = 0;

	for (; n < 39 && target[n]; n++) {
		char c = (char)tolower((unsigned char)target[n]);

		sink[n] = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-'
				  ? c
				  : '_';
	}
	sink[n] = 0;
	if (sink[0] == '.')
		sink[0] = '_';
}

static int32_t find_backup(const struct plan *p, bool by_name, const char *target, uint64_t address)
{
	for (uint32_t i = 0; i < p->backup_count; i++)
		if (p->backup[i].by_name == by_name &&
		    (by_name ? !strcmp(p->backup[i].target, target) : p->backup[i].address == address))
			return (int32_t)i;
	return -1;
}

static struct plan_backup *new_backup(struct builder *b, enum backup_kind kind, const char *name,
				      uint64_t address)
{
	struct plan_backup *k;

	if (b->p->backup_count == FACTS_BACKUPS_MAX)
		return NULL;
	k = &b->p->backup[b->p->backup_count++];
	memset(k, 0, sizeof(*k));
	k->kind = kind;
	k->item = -1;
	k->by_name = name != NULL;
	k->address = address;
	if (name)
		snprintf(k->target, sizeof(k->target), "%s", name);
	else
		snprintf(k->target, sizeof(k->target), "0x%08" PRIx64, address);
	sink_name(k->sink, k->target);
	return k;
}

static int item_backup(struct builder *b, const struct pac_item *item)
{
	bool nv = rule_item_is_nv(item), by_name = item->partition[0];
	const struct table_entry *row = by_name ? table_find(&b->p->table, item->partition) : NULL;
	struct plan_backup *k;

	if (find_backup(b->p, by_name, item->partition, item->address) >= 0)
		return refuse(b, item, ERR_PACKAGE_SCHEME, "two entries want to keep the same area");
	k = new_backup(b, nv ? BACKUP_NV : BACKUP_FILE, by_name ? item->partition : NULL, item->address);
	if (!k)
		return plan_full(b->why);
	k->size = item->block_size;
	if (nv) {
		k->item = (int32_t)item->index;
		k->must = b->p->options.nv == NV_KEEP;
		if (!k->size)
			k->size = row && row->size != UINT64_MAX ? MIN(row->size, NV_READ_DEFAULT)
								 : MAX(item->size, (uint64_t)1);
		return 0;
	}
	k->must = !b->p->options.continue_without_backup;
	if (!k->size && rule_item_is_phasecheck(item))
		k->size = PHASECHECK_SIZE;
	if (!k->size)
		return refuse(b, item, ERR_PACKAGE_SCHEME,
			      "it is to be kept but the scheme does not say how many bytes");
	if (k->size > NV_SIZE_MAX)
		return refuse(b, item, ERR_PACKAGE_SCHEME,
			      "it is to be kept but is larger than a backup may be");
	return 0;
}

/* What a new table would displace although no entry cares for it: kept by name. */
static int table_backups(struct builder *b)
{
	for (uint32_t i = 0; b->moves && i < b->p->table.count; i++) {
		const struct table_entry *row = &b->p->table.entry[i];
		bool nv = rule_is_nv(row->name);
		struct plan_backup *k;

		char other[40];

		if ((!nv && !is_kept_name(row->name)) || find_backup(b->p, true, row->name, 0) >= 0)
			continue;
		/* the phone writes an NV image of one slot to the other by itself: a second write would undo
		 * the first */
		if (rule_other_slot(row->name, other, sizeof(other)) &&
		    find_backup(b->p, true, other, 0) >= 0)
			continue;
		k = new_backup(b, nv ? BACKUP_NV : BACKUP_FILE, row->name, 0);
		if (!k)
			return plan_full(b->why);
		/* in front of an NV image stands the phone's own header, which no read shows */
		k->size = MIN(row->size - (nv ? MIN(row->size / 2, 512u) : 0), (uint64_t)NV_SIZE_MAX);
		k->must = nv ? b->p->options.nv == NV_KEEP : !b->p->options.continue_without_backup;
	}
	return 0;
}

static int backups(struct builder *b)
{
	for (size_t i = 0; i < b->count; i++) {
		const struct pac_item *item = &b->items[i];
		int rc;

		if (!rule_taken(&b->p->options, item) || !is_write(item))
			continue;
		if (!rule_item_is_nv(item) && !is_kept_file(item))
			continue;
		rc = item_backup(b, item);
		if (rc)
			return rc;
	}
	return table_backups(b);
}

/* ---- steps ---- */

static struct plan_step *destructive(struct builder *b, enum plan_op op, enum boundary boundary)
{
	struct plan_step *s = plan_add(b->p, op);

	if (s) {
		s->destructive = true;
		s->boundary = boundary;
	}
	return s;
}

static int head(struct builder *b)
{
	enum repartition_policy policy = plan_repartition(b->p);
	struct plan_step *s;

	if (b->p->options.erase_all) {
		bool spl = false;

		if (b->p->old_ids || !b->p->table.count)
			return failure_set(
				b->why, ERR_INVALID_ARGS,
				"erase-all needs a package with partitions: it erases the table too");
		for (size_t i = 0; i < b->count; i++)
			spl |= rule_taken(&b->p->options, &b->items[i]) && is_write(&b->items[i]) &&
			       !strcmp(b->items[i].partition, "splloader");
		if (!spl)
			return failure_set(
				b->why, ERR_PACKAGE_UNSAFE,
				"erase-all takes the boot area and nothing would be written to splloader");
		s = destructive(b, OP_ERASE_ALL, BOUNDARY_BOUND);
		if (!s)
			return plan_full(b->why);
		s->by_name = true;
		s->size = ERASE_EVERYTHING;
		snprintf(s->target, sizeof(s->target), "erase_all");
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
	/* without such a row the phone would take the second boot area for it (device-behaviour 7.2) */
	if (s->by_name && !strcmp(s->target, "uboot"))
		s->guard = GUARD_IN_TABLE;
	if (s->by_name && rule_is_boot_chain(s->target))
		s->boundary = BOUNDARY_BOUND;
	return 0;
}

/* Erases of this place that the scheme has: they go directly before it is written again. */
static int erases_of(struct builder *b, bool by_name, const char *target, uint64_t address)
{
	for (size_t i = 0; i < b->count; i++) {
		const struct pac_item *item = &b->items[i];
		int rc;

		if (!rule_taken(&b->p->options, item) || !is_erase(item) || b->placed[i])
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

			if ((backup->kind == BACKUP_NV) != nv)
				continue;
			for (size_t i = 0; !nv && i < b->count; i++)
				if (rule_taken(&b->p->options, &b->items[i]) && is_kept_file(&b->items[i]) &&
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
	if (is_kept_name(s->target) || strstr(s->target, "calinv") || !strcmp(s->target, "persist"))
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
		if (is_erase(item)) {
			if (endangers_nv(item) && b->p->options.nv != NV_PACKAGE)
				return refuse(b, item, ERR_PACKAGE_UNSAFE,
					      "it erases NV and no entry writes NV back");
			rc = erase(b, i, BOUNDARY_ENTRY);
		} else if (is_write(item) && rule_item_is_phasecheck(item)) {
			continue; /* never from a file; kept entries have been placed */
		} else if (is_write(item) && rule_item_is_nv(item)) {
			int32_t k = find_backup(b->p, item->partition[0], item->partition, item->address);

			b->placed[i] = true;
			rc = write_nv(b, &b->p->backup[k], (int32_t)i);
		} else if (is_kept_file(item)) {
			int32_t k = find_backup(b->p, item->partition[0], item->partition, item->address);

			b->placed[i] = true;
			rc = restore(b, &b->p->backup[k], (int32_t)i);
		} else if (is_write(item)) {
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
	rc = check_items(&b);
	if (!rc)
		rc = backups(&b);
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
	for (uint32_t i = 0; i < p->step_count; i++)
		if (p->step[i].destructive)
			return 0;
	return failure_set(why, ERR_INVALID_ARGS, "nothing is left to be flashed");
}
