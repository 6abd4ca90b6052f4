/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Beside NV a phone has areas of its own that no package can replace. Whether a package would write into them
 * is for whoever decides who may flash it (pac-and-flow 5.7, 11).
 */
#include <string.h>

#include "flash/partition.h"
#include "flash/plan.h"
#include "flash/plan_build.h"

/* Factory data, serial numbers and station marks, keys, calibration; NV has a policy of its own. */
static bool is_own(const char *name)
{
	return partition_class(name) == PARTITION_OWN &&
	       !(partition_traits(name) & (PARTITION_NV | PARTITION_NV_TWIN));
}

bool plan_area_own(const char *name)
{
	/* an address, or all there is: whatever lies there */
	if (!*name || !strcmp(name, "user_partition"))
		return true;
	return partition_class(name) == PARTITION_OWN || rule_is_nv_twin(name) || rule_is_runtime_nv(name);
}

bool plan_area_nv(const char *name, uint64_t address)
{
	return *name ? rule_is_nv(name) : rule_is_nv_address(address);
}

bool plan_address_own(uint64_t address)
{
	return partition_class_at(address) == PARTITION_OWN;
}

/* Its content is read from the phone before and comes back. */
static bool is_kept(const struct plan_options *options, const struct pac_item *items, size_t count,
		    const char *partition)
{
	for (size_t i = 0; i < count; i++)
		if (rule_taken(options, &items[i]) && items[i].file->backup == 1 &&
		    !strcmp(items[i].partition, partition))
			return true;
	return false;
}

bool plan_loses_own(const struct plan_options *options, const struct pac *pac)
{
	size_t count;
	const struct pac_item *items = pac_items(pac, &count);

	for (size_t i = 0; i < count; i++) {
		const struct pac_item *item = &items[i];
		enum scheme_class c = item->file->class;

		/* PhaseCheck is never written from a file, NV has a policy of its own */
		if (!rule_taken(options, item) || !is_own(item->partition) || rule_item_is_nv(item) ||
		    rule_item_is_phasecheck(item))
			continue;
		if ((c == CLASS_WRITE_ID || c == CLASS_ERASE_ID) &&
		    !is_kept(options, items, count, item->partition))
			return true;
	}
	return false;
}
