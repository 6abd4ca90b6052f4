/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Partition tables: as a package wants them, as a phone has them (GPT read over user_partition, the 0x2D list
 * with its unit trap, or sizes found by probing), and how two of them differ. Pure functions on bytes.
 */
#ifndef FDLD_FLASH_TABLE_H
#define FDLD_FLASH_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

#define TABLE_MAX      128
#define TABLE_NAME_MAX 36 /* UTF-16 units on the wire and in a GPT; over 31 is refused for writing */

enum table_origin {
	TABLE_NONE,
	TABLE_GPT,
	TABLE_LIST,
	TABLE_PROBED, /* only the names that were asked for, in no order of the phone's */
	TABLE_PACKAGE
};

struct table_entry {
	char name[TABLE_NAME_MAX + 1];
	uint64_t start; /* bytes from the start of the user area; 0 where the origin does not tell */
	uint64_t size; /* bytes; UINT64_MAX: "the rest" (package), or it is there but of unknown size (probed)
			*/
};

struct flash_table {
	enum table_origin origin;
	uint32_t sector;    /* bytes; 512 or 4096; 0 unknown */
	uint32_t unit;	    /* list: bytes that one of its numbers stands for; else 0 */
	bool unit_sure;	    /* sizes are settled (GPT, probed, or a list whose unit could be proved) */
	uint64_t user_size; /* bytes of the user area, 0 unknown */
	uint32_t count;
	struct table_entry entry[TABLE_MAX];
};

/* Entry by exact name, NULL if absent. */
const struct table_entry *table_find(const struct flash_table *t, const char *name);
/* What was probably meant: a name that differs in a letter or two; NULL: none does. */
const struct table_entry *table_near(const struct flash_table *t, const char *name);

/*
 * Parses the first `len` bytes of the user area (>= 34 sectors; 32 KiB suffice for 512-byte sectors,
 * 4096-byte ones need 6 sectors + entries). Finds "EFI PART" on 512-byte steps (bsl-protocol 11.4), checks
 * header and entry array CRC-32, bounds and overlap. Returns 0; -ENOENT no GPT; -EAGAIN with *need = bytes to
 * read for the whole entry array; -EBADMSG damaged.
 */
int table_from_gpt(const uint8_t *bytes, size_t len, struct flash_table *t, size_t *need);

/*
 * From a 0x2D reply (records of 76 bytes: 72 name, LE32 sectors/2; bsl-protocol 11.3). The unit is 1 KiB with
 * 512-byte sectors and 8 KiB with 4096. It is settled by `gpt` if not NULL, else by comparing with `want`
 * (package table, may be NULL) unless `storage_sector` (0 unknown) speaks against that. The storage alone is
 * a hint only (device-behaviour 17: F54): then, and where nothing tells, unit is the best guess and unit_sure
 * false; table_set_unit() once somebody has measured. -EBADMSG: length not a multiple of 76, bad name.
 */
int table_from_list(const uint8_t *bytes, size_t len, const struct flash_table *gpt, uint32_t storage_sector,
		    const struct flash_table *want, struct flash_table *t);

/* A list whose unit was measured: 1024 or 8192 bytes. Sizes follow, and the sector that goes with it. */
void table_set_unit(struct flash_table *t, uint32_t unit);

/*
 * Does the phone's table agree with the package's: same names in the same order, same sizes
 * (the last, "rest", is not compared; splloader is in neither)? On a difference, fills text (one line: first
 * difference and how many more). Package sizes are MiB or unit-scaled already. A probed table tells no order
 * and no names beside those asked for: every name of the package must be there, with its size if that could
 * be found.
 */
bool table_agrees(const struct flash_table *phone, const struct flash_table *package, char *text,
		  size_t size);

const char *table_origin_name(enum table_origin origin); /* "none", "gpt", "list", "probed", "package" */

#endif
