/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What of a phone makes up a backup. By itself, so that whoever only asks that needs no planner. */
#include <stdio.h>
#include <string.h>

#include "common/util.h"
#include "flash/partition.h"
#include "flash/plan.h"

#define SPL_USUAL (256u << 10)

static bool saved(const char *name, const struct plan_save *save)
{
	static const char *const users[] = { "userdata", "metadata", "cache" }, *const logs[] = {
		"uboot_log", "sysdumpdb", "blackbox"
	};
	size_t n = strlen(name);

	for (size_t i = 0; i < ARRAY_SIZE(users) && !save->user_data; i++)
		if (!strcmp(name, users[i]))
			return false;
	for (size_t i = 0; i < ARRAY_SIZE(logs); i++)
		if (!strcmp(name, logs[i]))
			return false;
	if (partition_traits(name) & PARTITION_NV_TWIN)
		return false;
	return !save->slot || n < 3 || name[n - 2] != '_' || (name[n - 1] != 'a' && name[n - 1] != 'b') ||
	       name[n - 1] == save->slot;
}

uint32_t plan_reads_of_table(const struct flash_table *t, const struct plan_save *save, struct plan_read *out)
{
	uint32_t n = 0;

	if (!t->count)
		return 0;
	if (!save->no_spl)
		out[n++] = (struct plan_read){ .target = "splloader",
					       .size = save->spl ? save->spl : SPL_USUAL };
	for (uint32_t i = 0; i < t->count; i++) {
		if (!saved(t->entry[i].name, save))
			continue;
		out[n] = (struct plan_read){ 0 };
		snprintf(out[n++].target, sizeof(out[0].target), "%s", t->entry[i].name);
	}
	return n;
}
