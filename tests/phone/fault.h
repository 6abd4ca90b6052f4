/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Faults as data: every id of the fault catalogue (device-behaviour 17) and the general ones (unplug, stall,
 * late ...).
 *
 * Script: lines separated by newline or ';', '#' starts a comment. A line is
 *     WHAT [at EVENT [N]] [of|on NAME] [from OFFSET] [for TIME] [with VALUE]
 * WHAT: an id "F36" or a name ("unplug", "lie-write"). EVENT: what the phone is about to execute:
 *     control probe connect start midst end exec erase repartition read-start read read-end uid list reset
 * poweroff plain (0x21) raw (0x28) raw-start (0x31/0x33) charge chunk reply attach any N counts matching
 * events from 1 (default 1; "0" or "*" = every one). NAME: a partition; loaders are "fdl1" (while the ROM
 * runs) and "fdl2" (while FDL1 runs). OFFSET, VALUE: numbers (0x.. or decimal). TIME: number with us, ms or
 * s. "unplug at midst 12 of system", "F36 on boot", "late at end of super for 30s", "damage at reply 5",
 * "lie-write on vendor from 0x1000", "stall at exec", "refuse at start of modem with 0x8a". Also "late 30s at
 * end of super" and "damage reply 5" are understood.
 */
#ifndef TESTS_PHONE_FAULT_H
#define TESTS_PHONE_FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/phone/phone.h"

enum phone_fault_flag {
	PHONE_FAULT_LYING = 1,	      /* the phone acknowledges, the storage differs */
	PHONE_FAULT_DEADLY = 2,	      /* no way on without a power cycle */
	PHONE_FAULT_BENIGN = 4,	      /* "N": a right host goes on and passes */
	PHONE_FAULT_INHERENT = 8,     /* natural behaviour of a profile: counted whenever it occurs */
	PHONE_FAULT_SCRIPTED = 16,    /* can be put into a script */
	PHONE_FAULT_HOST = 32,	      /* only a wrong host meets it: a right one leaves it at zero */
	PHONE_FAULT_SETUP = 64,	      /* changes the phone when it is made (script has no event) */
	PHONE_FAULT_NAMED = 128,      /* wants a NAME */
	PHONE_FAULT_REPEATABLE = 256, /* "R": the step may be done again */
};

struct phone_fault {
	const char *id;	  /* "F36", "U01" */
	const char *name; /* "verify-silence": may stand in a script instead of the id */
	const char *meaning;
	unsigned flags;
	const char *profiles; /* NULL = all, else space-separated names where it can occur */
};

const struct phone_fault *phone_faults(size_t *count);
const struct phone_fault *phone_fault_by_name(const char *id_or_name);

struct phone_fault_count {
	unsigned armed; /* script lines with it */
	unsigned fired; /* times it happened, scripted or inherent */
};
/* By id; zero counts for an unknown id. */
struct phone_fault_count phone_fault_count(const struct phone *phone, const char *id);
/* True if any fault marked lying has fired in this phone's life. */
bool phone_has_lied(const struct phone *phone);

/*
 * A script from a seed: none (1 in 8), one or two lines that make sense on the profile, over the given
 * partition names (NULL: the profile's own). Printable, replayable. Returns the length written (without NUL),
 * at most room-1.
 */
size_t phone_fault_random(uint64_t seed, const struct phone_profile *profile, const char *const *names,
			  size_t name_count, char *out, size_t room);

#endif
