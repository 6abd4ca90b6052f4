/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tables for people and files: how two of them differ, and a phone's table in the form that packages and
 * repartitioning have. Pure.
 */
#ifndef FDLD_FLASH_TABLE_TEXT_H
#define FDLD_FLASH_TABLE_TEXT_H

#include "flash/plan.h"
#include "flash/table.h"
#include "pac/scheme.h"

/*
 * A phone's table as XML has it, rows in the order they lie in the storage: made_table_xml() makes the text.
 * Sizes in MiB where all are whole ones and lie one behind the other from the first MiB on, else in KiB with
 * gaps. The last row takes the rest if nothing follows it. 0 (release with made_table_free()); -ENODATA:
 * there is none, or a size is not known; -ERANGE: sizes or places that are no whole KiB; -ENOMEM.
 */
int table_to_scheme(const struct flash_table *t, struct scheme_table *out);

/*
 * A table of a file in bytes, with the places that its rows get: from the first MiB on, in order, each behind
 * its gap. sector: bytes of the phone's sector, for tables in sectors (0: 512). user_size: of the phone's
 * user area, which tells how large "the rest" is; 0: not known, then it stays UINT64_MAX. 0, or
 * PackagePartitions: too many rows, it begins before the device does, it does not fit.
 */
int table_from_scheme(const struct scheme_table *s, uint32_t sector, uint64_t user_size,
		      struct flash_table *out, struct failure *why);

enum table_change {
	TABLE_SAME,    /* name, place and size as they are: content stays */
	TABLE_RESIZED, /* begins where it did: the beginning of its content stays */
	TABLE_MOVED,   /* begins elsewhere: its content is lost */
	TABLE_NEW,
	TABLE_GONE,
};
const char *table_change_name(enum table_change c); /* "same", "resized", "moved", "new", "gone": stable */

/* One row of a difference: `was` in the phone, `will` in the other; sizes 0 where there is none. */
struct table_step {
	enum table_change change;
	char name[TABLE_NAME_MAX + 1];
	uint64_t was, will; /* bytes; UINT64_MAX: the rest */
	bool own;	    /* it holds what is this phone's own (partition.h) */
	bool unsure;	    /* where it lies could not be compared: the phone's table tells no places */
};

/*
 * Each row of both, those of the coming table first and in its order, then what goes. Returns the number of
 * rows that are not TABLE_SAME. line may be NULL: only counted.
 */
uint32_t table_difference(const struct flash_table *phone, const struct flash_table *coming,
			  void (*line)(void *ctx, const struct table_step *step), void *ctx);

/*
 * The two tables of a plan that writes one (plan->table.count), once it is decided: the phone's as it was,
 * the coming one laid out on it. The plan's package has to be there. 0, or as table_from_scheme().
 */
int table_of_plan(const struct plan *plan, const struct device_facts *facts, struct flash_table *coming,
		  struct failure *why);
/* The phone's table is this one already: rows, order, sizes, and places where its own tells them. */
bool table_is(const struct flash_table *phone, const struct flash_table *coming);

enum table_fate {
	FATE_STAYS,
	FATE_CUT,    /* its beginning stays */
	FATE_KEPT,   /* it is read before, or made anew by the phone, and put back */
	FATE_SAVED,  /* it is read before, and stays in the job's folder */
	FATE_LOST,   /* it does not come back */
	FATE_EMPTY,  /* there was none */
	FATE_UNSURE, /* whether the place moves cannot be told */
};
/* What becomes of the content of a row, by the decided plan. */
enum table_fate table_fate(const struct table_step *step, const struct plan *resolved);
const char *
table_fate_name(enum table_fate f); /* "stays", "cut", "kept", "saved", "lost", "empty", "unsure" */

/* "boot: 35 MiB, becomes 64 MiB", in English; returns buf. */
const char *table_step_text(const struct table_step *step, char *buf, size_t size);

#endif
