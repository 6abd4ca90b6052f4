/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The failure tables as data (bsl-protocol 14, device-behaviour 17): the phone misbehaves so on the wire, and
 * the job must end with exactly this error, in this stage and step.
 */
#ifndef TESTS_SIMLIB_ROWS_H
#define TESTS_SIMLIB_ROWS_H

#include "tests/simlib/scenario.h"
#include "tests/simlib/tally.h"

struct sim_row {
	const char *cite; /* where the pages say so */
	const char *profile;
	const char *faults;
	enum error_id error;	  /* ERR_NONE: the job must pass all the same */
	const char *stage, *step; /* of the failure */
	enum {
		ROW_VERIFIED = 1,
		ROW_OTHER_TABLE = 2,
		ROW_LARGE = 4,
		ROW_RAW = 8,
		ROW_ERASE_ALL = 16,
		ROW_FOUND = 32, /* the phone was there before us */
		ROW_PLAIN = 64, /* and our record says that it was left without escapes */
		ROW_NV_BLANK = 128,
		ROW_NV_OTHER = 256, /* the phone's NV has another layout than the package's */
		ROW_NEVER = 512,    /* never repartition */
		ROW_NO_BOOT = 1024, /* the phone's table lacks an entry that is written */
		ROW_POWER_OFF = 2048,
		ROW_GATE = 4096,
		ROW_KNOWN = 16384, /* our record of the port says in which stage it is */
		ROW_DIRTY = 32768,
		ROW_UNPLUG = 65536,	/* before the first want is carried out */
		ROW_SWAP = 8192,	/* another phone comes back */
		ROW_UNTICKED = 262144,	/* `without` was left unticked and is taken alone */
		ROW_DAMAGED = 524288,	/* and its content is damaged */
		ROW_ONLY_BOOT = 131072, /* one entry alone: nothing of the phone's is kept */
	} how;
	const char *without;
};

const struct sim_row *sim_rows(size_t *count);
/* Runs one; true if it ended as the row says, else text. tally may be NULL. */
bool sim_row_run(const struct sim_row *row, struct sim_tally *tally, FILE *trace, char *text, size_t size);

#endif
