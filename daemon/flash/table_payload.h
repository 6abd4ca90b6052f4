/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The payload of REPARTITION from a plan's table (bsl-protocol 12). */
#ifndef FDLD_FLASH_TABLE_PAYLOAD_H
#define FDLD_FLASH_TABLE_PAYLOAD_H

#include <stdint.h>
#include <sys/types.h>

#include "bsl/payload.h"
#include "flash/plan.h"

#define PLAN_TABLE_BYTES (TABLE_MAX * BSL_TABLE_V1_ROW + BSL_TABLE_V1_HEADER)

/*
 * Writes the payload for p->table, at most room bytes. Its length (0 for a table without rows is an error),
 * or -EINVAL: a size or gap that cannot be said, -EMSGSIZE: more than a frame holds, -ENOBUFS.
 */
ssize_t plan_table_payload(const struct plan *p, uint8_t *out, size_t room);

#endif
