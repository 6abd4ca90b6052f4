/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What cannot be replaced and is read before anything is erased (pac-and-flow 5.6). */
#include "flash/builder.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "flash/partition.h"
#include "pac/phasecheck.h"

#define NV_READ_DEFAULT 0x100000u /* bytes to read of an NV area whose size the scheme leaves out (5.6) */

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

int32_t builder_find_backup(const struct plan *p, bool by_name, const char *target, uint64_t address)
{
	for (uint32_t i = 0; i < p->backup_count; i++)
		if (p->backup[i].by_name == by_name &&
		    (by_name ? !strcmp(p->backup[i].target, target) : p->backup[i].address == address))
			return (int32_t)i;
	return -1;
}

struct plan_backup *builder_new_backup(struct builder *b, enum backup_kind kind, const char *name,
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

	if (builder_find_backup(b->p, by_name, item->partition, item->address) >= 0)
		return builder_refuse(b, item, ERR_PACKAGE_SCHEME, "two entries want to keep the same area");
	k = builder_new_backup(b, nv ? BACKUP_NV : BACKUP_FILE, by_name ? item->partition : NULL,
			       item->address);
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
		return builder_refuse(b, item, ERR_PACKAGE_SCHEME,
				      "it is to be kept but the scheme does not say how many bytes");
	if (k->size > NV_SIZE_MAX)
		return builder_refuse(b, item, ERR_PACKAGE_SCHEME,
				      "it is to be kept but is larger than a backup may be");
	return 0;
}

/* What is given up on purpose is kept all the same: NV is owed until something valid stands there again. */
static int given_up(struct builder *b, const struct pac_item *item)
{
	bool by_name = item->partition[0];
	bool nv = by_name ? rule_is_nv(item->partition) : rule_is_nv_address(item->address);
	struct plan_backup *k;

	if (builder_find_backup(b->p, by_name, item->partition, item->address) >= 0)
		return 0;
	/* where no table tells a size, the scheme has to */
	if (!by_name && !item->block_size && !nv)
		return builder_refuse(b, item, ERR_INVALID_ARGS,
				      "how many bytes are to be kept has to be said");
	k = builder_new_backup(b, nv ? BACKUP_NV : BACKUP_FILE, by_name ? item->partition : NULL,
			       item->address);
	if (!k)
		return plan_full(b->why);
	k->given_up = true;
	k->must = !b->p->options.continue_without_backup;
	k->size = by_name ? 0 : item->block_size;
	if (nv)
		k->size = NV_READ_DEFAULT;
	return 0;
}

/* What a new table would displace although no entry cares for it: kept by name. */
static int table_backups(struct builder *b)
{
	for (uint32_t i = 0; b->moves && i < b->p->table.count; i++) {
		const struct table_entry *row = &b->p->table.entry[i];
		bool nv = rule_is_nv(row->name);
		/* a package brings the rest of its firmware; a table alone brings nothing */
		bool own = b->p->options.own != OWN_PACKAGE && partition_class(row->name) == PARTITION_OWN &&
			   !rule_is_nv_twin(row->name);
		struct plan_backup *k;

		char other[40];

		if ((!nv && !own && !name_is_kept(row->name)) ||
		    builder_find_backup(b->p, true, row->name, 0) >= 0)
			continue;
		/* the phone writes an NV image of one slot to the other by itself: a second write would undo
		 * the first */
		if (rule_other_slot(row->name, other, sizeof(other)) &&
		    builder_find_backup(b->p, true, other, 0) >= 0)
			continue;
		k = builder_new_backup(b, nv ? BACKUP_NV : BACKUP_FILE, row->name, 0);
		if (!k)
			return plan_full(b->why);
		/* in front of an NV image stands the phone's own header, which no read shows */
		k->size = MIN(row->size - (nv ? MIN(row->size / 2, 512u) : 0), (uint64_t)NV_SIZE_MAX);
		k->must = nv ? b->p->options.nv == NV_KEEP : !b->p->options.continue_without_backup;
	}
	return 0;
}

int plan_backups_by_table(const struct plan *plan, const struct device_facts *facts, struct plan **out,
			  struct failure *why)
{
	struct plan *p = malloc(sizeof(*p));
	struct builder b = { .p = p, .why = why };

	*out = NULL;
	if (!p)
		return failure_set(why, ERR_INTERNAL, "no memory for the plan");
	*p = *plan;
	if (!facts->table.count && !facts->table_absent) {
		plan_free(p);
		return failure_set(
			why, ERR_TABLE_UNREADABLE,
			"what this phone has of its own could not be found, so it could not be kept");
	}
	for (uint32_t i = 0; i < facts->table.count; i++) {
		const char *name = facts->table.entry[i].name;
		bool nv = rule_is_nv(name);
		struct plan_backup *k;
		char other[40];

		if (partition_class(name) != PARTITION_OWN || rule_is_nv_twin(name) ||
		    builder_find_backup(p, true, name, 0) >= 0)
			continue;
		/* comes back with the other slot's, which the phone writes to both: else it would be owed for
		 * ever */
		if (plan->table.count && nv && rule_other_slot(name, other, sizeof(other)) &&
		    builder_find_backup(p, true, other, 0) >= 0)
			continue;
		k = builder_new_backup(&b, nv ? BACKUP_NV : BACKUP_FILE, name, 0);
		if (!k) {
			plan_free(p);
			return plan_full(why);
		}
		k->size = nv ? NV_READ_DEFAULT : 0;
		k->must = !plan->options.continue_without_backup;
		/* a new table that has no place for it: nobody can bring it back; NV is owed all the same */
		k->given_up = !nv && plan->table.count && !table_find(&plan->table, name);
	}
	*out = p;
	return 0;
}

int builder_backups(struct builder *b)
{
	for (size_t i = 0; i < b->count; i++) {
		const struct pac_item *item = &b->items[i];
		int rc;

		if (rule_taken(&b->p->options, item) && builder_gives_up(b, item) &&
		    !(item_is_write(item) && rule_item_is_nv(item))) {
			rc = given_up(b, item);
			if (rc)
				return rc;
			continue;
		}
		if (!rule_taken(&b->p->options, item) || !item_is_write(item))
			continue;
		if (!rule_item_is_nv(item) && !item_is_kept(item))
			continue;
		rc = item_backup(b, item);
		if (rc)
			return rc;
	}
	return table_backups(b);
}
