/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One seed: a phone, a package, options, faults and breaks; attempts until one passes; every invariant
 * checked.
 */
#ifndef TESTS_SIMLIB_TRIAL_H
#define TESTS_SIMLIB_TRIAL_H

#include "tests/simlib/scenario.h"
#include "tests/simlib/tally.h"

/* True: every invariant held. False: text says which one did not. trace may be NULL. */
bool sim_trial(uint64_t seed, struct sim_tally *tally, FILE *trace, char *text, size_t size);

/* What reached the storage during one power cycle: each piece once and in its place. False: text. */
bool sim_pieces_right(const struct scenario *s, const struct phone *phone, size_t first_entry, char *text,
		      size_t size);

#endif
