/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/util.h"
#include "flash/partition.h"
#include "flash/plan_entries.h"

/* Length of the name without "_a" or "_b". */
static size_t stem(const char *name)
{
	size_t n = strlen(name);

	return n > 2 && name[n - 2] == '_' && (name[n - 1] == 'a' || name[n - 1] == 'b') ? n - 2 : n;
}

bool rule_forbidden(const char *name)
{
	return !strcasecmp(name, "erase_all") || !strcasecmp(name, "user_partition") || strstr(name, "_size");
}

bool rule_is_nv(const char *name)
{
	return partition_traits(name) & PARTITION_NV;
}

bool rule_is_nv_twin(const char *name)
{
	return partition_traits(name) & PARTITION_NV_TWIN;
}

bool rule_is_runtime_nv(const char *name)
{
	return partition_traits(name) & PARTITION_RUNTIME_NV;
}

bool rule_nv_twin(const char *name, char *twin, size_t size)
{
	if ((!rule_is_nv(name) && !rule_is_runtime_nv(name)) || strlen(name) >= size)
		return false;
	memcpy(twin, name, strlen(name) + 1);
	twin[stem(name) - 1] = '2';
	return true;
}

bool rule_is_boot_area(const char *name)
{
	return partition_traits(name) & PARTITION_BOOT_AREA;
}

bool rule_is_boot_chain(const char *name)
{
	return partition_traits(name) & PARTITION_UNCUT;
}

bool rule_has_twin(const char *name)
{
	return partition_traits(name) & PARTITION_HAS_TWIN && stem(name) == strlen(name);
}

bool rule_other_slot(const char *name, char *other, size_t size)
{
	size_t n = strlen(name);

	if (stem(name) == n || n >= size)
		return false;
	memcpy(other, name, n + 1);
	other[n - 1] = name[n - 1] == 'a' ? 'b' : 'a';
	return true;
}

bool rule_write_only(uint64_t address)
{
	return address >= 0xFE000004u && address <= 0xFE000006u;
}

bool rule_is_nv_address(uint64_t address)
{
	return address == 0xFE000003u || address == 0x90000001u;
}

bool rule_item_is_nv(const struct pac_item *item)
{
	enum scheme_class c = item->file->class;

	if (c == CLASS_NV_ADDR || c == CLASS_NV_ID)
		return true;
	if (c != CLASS_WRITE_ADDR && c != CLASS_WRITE_ID)
		return false;
	return item->nv ||
	       (item->partition[0] ? rule_is_nv(item->partition) : rule_is_nv_address(item->address));
}

bool rule_item_is_phasecheck(const struct pac_item *item)
{
	return !strcasecmp(item->file->id, "PhaseCheck");
}

bool rule_item_named(const struct pac_item *item, const char *name)
{
	return !strcasecmp(item->file->id, name) || !strcasecmp(item->file->alias, name) ||
	       (item->partition[0] && !strcasecmp(item->partition, name));
}

static bool listed(const char (*list)[40], uint32_t count, const struct pac_item *item)
{
	for (uint32_t i = 0; i < count; i++)
		if (rule_item_named(item, list[i]))
			return true;
	return false;
}

bool rule_taken(const struct plan_options *o, const struct pac_item *item)
{
	enum scheme_class c = item->file->class;

	if (item->file->flag == 2 || c == CLASS_FDL1 || c == CLASS_FDL2)
		return false;
	if (listed(o->without, o->without_count, item))
		return false;
	/* what is named is taken even if the packer left it unticked, if there is something to take */
	if (o->only_count)
		return listed(o->only, o->only_count, item) && (item->ticked || item->has_file);
	return item->ticked;
}

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

bool plan_compares_table(const struct plan *p)
{
	return plan_repartition(p) == REPARTITION_ON_MISMATCH || plan_stops_on_mismatch(p);
}

bool plan_stops_on_mismatch(const struct plan *p)
{
	return p->table.count && p->options.repartition == REPARTITION_PACKAGE && !p->options.erase_all &&
	       pac_header(p->pac)->nand_strategy == 1;
}
