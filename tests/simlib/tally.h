/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a run of the simulation has reached: each fault, error, want and step with a count. Plain memory
 * without pointers, so that workers can share it.
 */
#ifndef TESTS_SIMLIB_TALLY_H
#define TESTS_SIMLIB_TALLY_H

#include "tests/phone/fault.h"
#include "tests/simlib/simlib.h"

#define TALLY_FAULTS 128
#define TALLY_STEPS  48

struct sim_tally {
	uint64_t runs, passes, attempts, kills, virtual_sec, inputs;
	struct {
		uint64_t fired, changed;
	} fault[TALLY_FAULTS]; /* order of phone_faults() */
	uint64_t error[ERR_COUNT];
	struct {
		uint64_t seen, hit;
	} want[WANT_DONE + 1];
	struct {
		char name[24];
		uint64_t seen, hit;
	} step[TALLY_STEPS];
};

/* Counts a step that runs; hit: the run ended in it. */
void tally_step(struct sim_tally *t, const char *name, bool hit);
/* Counts one attempt: its error, the step and want it ended in, and the faults that fired on the phone. */
void tally_attempt(struct sim_tally *t, const struct sim_outcome *o, const struct phone *phone);
void tally_merge(struct sim_tally *into, const struct sim_tally *from);
/*
 * Prints the table as TAP comments. Returns the number of zeros that the file does not excuse; each is named.
 * Lines of the file: "fault F03 why", "changed F01 why", "error PackageSize why", "want STREAM why", "step
 * charge why".
 */
unsigned tally_print(const struct sim_tally *t, const char *excuses, FILE *to);

#endif
