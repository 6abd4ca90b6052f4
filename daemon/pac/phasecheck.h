/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The production record at the start of miscdata (pac-and-flow 5.7). It is only ever backed up and written
 * back as it was; this reads its serial numbers for people.
 */
#ifndef FDLD_PAC_PHASECHECK_H
#define FDLD_PAC_PHASECHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PHASECHECK_SIZE 8192u /* bytes to back up on smartphones */

struct phasecheck {
	char layout[8];	       /* "SP09", "SP15", "SP05" */
	char sn1[65], sn2[65]; /* printable ASCII only; empty if not set. SP05: not decoded */
	uint32_t stations;     /* number of production stations recorded */
};

/* false: not a production record (blank phones have none). */
bool phasecheck_parse(const void *data, size_t len, struct phasecheck *out);

#endif
