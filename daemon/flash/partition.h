/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the names of partitions mean for us, in one table: whose content is this one phone's own, what starts
 * the phone, what the loaders do to a place by themselves. Policy asks for the class; the rest are traits.
 */
#ifndef FDLD_FLASH_PARTITION_H
#define FDLD_FLASH_PARTITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum partition_class {
	PARTITION_GENERIC,    /* comes back from a package, or is user data */
	PARTITION_BOOT_CHAIN, /* the phone does not start without it, but the ROM still speaks */
	PARTITION_OWN,	      /* factory data, calibration, NV, keys: of this one phone; no package has it */
};

enum partition_trait {
	PARTITION_NV = 1,	    /* fixed NV, primary copy (pac-and-flow 3.4) */
	PARTITION_NV_TWIN = 2,	    /* the copy that the phone keeps by itself: never written from outside */
	PARTITION_RUNTIME_NV = 4,   /* made anew by the phone from the fixed NV */
	PARTITION_BOOT_AREA = 8,    /* in no table: splloader */
	PARTITION_UNCUT = 16,	    /* a cancel waits for the end of such an entry */
	PARTITION_HAS_TWIN = 32,    /* FDL2 writes <name>_bak too, of the name without a slot (5.11) */
	PARTITION_ALWAYS_KEPT = 64, /* read before and put back whenever places move */
};

/* A name may carry a slot ("_a", "_b"). */
enum partition_class partition_class(const char *name);
unsigned partition_traits(const char *name);
/* The same for products without names: an id or a flash address. */
enum partition_class partition_class_at(uint64_t address);

const char *partition_class_name(enum partition_class c); /* "generic", "boot-chain", "own": stable */

/*
 * Names that phones are known to have, for where nothing but asking name by name is left; NULL past the end.
 * Without slots.
 */
const char *partition_known(size_t i);

#endif
