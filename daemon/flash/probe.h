/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Finding sizes without a table (bsl-protocol 11.2): what a "<name>_size" read answers in words, and the
 * search that asks "is there a byte?" and narrows down. Pure: bytes and answers in, questions out.
 */
#ifndef FDLD_FLASH_PROBE_H
#define FDLD_FLASH_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROBE_UNKNOWN	UINT64_MAX
#define PROBE_TEXT	0x80u		    /* bytes to ask of a "_size" name */
#define PROBE_BOUND	((uint64_t)1 << 47) /* no storage is that large */
#define PROBE_UNIT	512u		    /* bytes; every partition is a multiple of it */
#define PROBE_UNIT_NAND 1024u
#define PROBE_QUESTIONS 128u /* of one search, at most; 2^47 in steps of 512 takes 64 */

/*
 * The text of a "_size" read: "size:NAME: 0xHEX block number: 0xHEX" or "partition NAME total size: 0xHEX".
 * What follows its end is stale memory and not looked at. True with *size bytes (never 0) and *sector bytes
 * (512 or 4096; 0: not told); false if the text is another or names another place.
 */
bool probe_text(const uint8_t *bytes, size_t len, const char *name, uint64_t *size, uint32_t *sector);

struct size_search {
	uint64_t expected; /* asked first: the most likely answer; 0: none */
	uint64_t unit, bound;
	uint64_t low, high; /* it has at least low bytes, and fewer than high */
	uint32_t asked;
};

/* expected and all questions are multiples of unit; a place as large as bound is of unknown size. */
void size_search_begin(struct size_search *s, uint64_t expected, uint64_t unit, uint64_t bound);
/* True: does the place have at least *size bytes? False: nothing is left to ask. */
bool size_search_next(const struct size_search *s, uint64_t *size);
void size_search_take(struct size_search *s, uint64_t size, bool yes);
/* Bytes, a multiple of unit (0: not even one unit); PROBE_UNKNOWN: no end was found. */
uint64_t size_search_result(const struct size_search *s);

#endif
