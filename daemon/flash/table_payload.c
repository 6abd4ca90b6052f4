/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The package's table as REPARTITION wants it. Apart from the plan, which the client uses without the
 * protocol. */
#include "flash/table_payload.h"

#include <errno.h>

#include "common/util.h"

ssize_t plan_table_payload(const struct plan *p, uint8_t *out, size_t room)
{
	const struct flash_table *t = &p->table;
	struct bsl_table_row rows[TABLE_MAX];
	uint64_t unit = p->table_version == 0 ? 1u << 20 : 1;

	if (p->table_version && p->table_unit == BSL_UNIT_SECTOR)
		unit = t->sector ? t->sector : 512;
	for (uint32_t i = 0; i < t->count && i < TABLE_MAX; i++)
		rows[i] = (struct bsl_table_row){
			.name = t->entry[i].name,
			.size = t->entry[i].size == UINT64_MAX ? BSL_REST : t->entry[i].size / unit,
			.gap = p->table_version ? p->table_gap[i] / (int64_t)unit : 0,
		};
	if (p->table_version == 0)
		return bsl_payload_repartition_v0(rows, t->count, out, room);
	return bsl_payload_repartition_v1(rows, t->count,
					  p->table_unit == BSL_UNIT_SECTOR ? BSL_UNIT_SECTOR : BSL_UNIT_BYTE,
					  out, room);
}
