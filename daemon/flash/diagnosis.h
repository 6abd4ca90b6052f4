/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a misbehaving phone means: (what was being done, symptom, device code, circumstances) to one entry of
 * the error table. Pure data, so that a test can ask whether every row was reached.
 */
#ifndef FDLD_FLASH_DIAGNOSIS_H
#define FDLD_FLASH_DIAGNOSIS_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

/* What the session was doing when the symptom showed. One for each kind of request that fails in its own way.
 */
enum doing {
	DOING_ANY, /* in a row: whatever it was */
	DOING_PROBE_ROM,
	DOING_DETECT, /* one sum-framed CONNECT to a phone that was there before */
	DOING_CONNECT_ROM,
	DOING_START_FDL1,
	DOING_SEND_FDL1,
	DOING_END_FDL1,
	DOING_EXEC_FDL1,
	DOING_RETURN_FDL1, /* waiting for a phone that left after the EXEC */
	DOING_PROBE_FDL1,
	DOING_CONNECT_FDL1,
	DOING_CHARGE,
	DOING_START_FDL2,
	DOING_SEND_FDL2,
	DOING_END_FDL2,
	DOING_EXEC_FDL2,
	DOING_SETUP, /* framing, raw mode */
	DOING_UID,
	DOING_TABLE_OPEN, /* READ_START of the user area: known to every FDL2 that reads by name */
	DOING_TABLE_READ,
	DOING_BACKUP_NV,
	DOING_BACKUP_FILE,
	DOING_ENABLE,
	DOING_ERASE,
	DOING_REPARTITION,
	DOING_PROVE_TABLE, /* reading the table back after it was written */
	DOING_START,
	DOING_SEND,
	DOING_RAW,
	DOING_END,
	DOING_VERIFY_OPEN,
	DOING_VERIFY_READ,
	DOING_READ_OPEN, /* reading for the caller */
	DOING_READ,
	DOING_RESET,
	DOING_POWER_OFF,
	DOING_COUNT
};

enum symptom {
	SYMPTOM_CODE,	   /* the phone answered with a code that is not the one wanted */
	SYMPTOM_SILENT,	   /* the request left, no answer came before the deadline */
	SYMPTOM_NOT_TAKEN, /* the phone did not even take the request */
	SYMPTOM_GARBLED,   /* bytes came whose check or form is wrong */
	SYMPTOM_GONE,	   /* it left the bus */
	SYMPTOM_SHORT,	   /* a good answer of the wrong length */
	SYMPTOM_MALFORMED, /* a good answer whose content makes no sense */
	SYMPTOM_ROM_AGAIN, /* the ROM spoke where FDL1 was due */
	SYMPTOM_OTHER,	   /* another device came back */
	SYMPTOM_NOT_BACK,  /* nothing came back */
	SYMPTOM_STAYS,	   /* acknowledged, but nothing follows */
	SYMPTOM_DIFFERS,   /* what was read back is not what was sent */
	SYMPTOM_COUNT
};

/* Circumstances, as bits. */
enum when {
	WHEN_FIRST = 1,	    /* the first data of a transfer */
	WHEN_LAST = 2,	    /* the data that complete it */
	WHEN_NV = 4,	    /* the entry is NV */
	WHEN_LK = 8,	    /* FDL2 is of the newer kind: TLV 5 or 7 seen (device-behaviour 10) */
	WHEN_SINGLE = 16,   /* one loader does everything: 8910/8850 and feature phones */
	WHEN_OLD = 32,	    /* FDL2 with ids instead of names (device-behaviour 12) */
	WHEN_UNSPOKEN = 64, /* no command was answered by FDL2 since it was started */
	WHEN_OPENED = 128,  /* its table was read there: it permits reading */
};

#define CODE_ANY (-1)

struct diagnosis_row {
	enum doing doing;
	enum symptom symptom;
	int code;      /* SYMPTOM_CODE: 0x00..0xff or CODE_ANY; else CODE_ANY */
	unsigned when; /* all of these must hold */
	enum error_id error;
	const char *cite; /* section of the reference the row comes from */
};

/* The whole table; the first matching row counts. */
const struct diagnosis_row *diagnosis_rows(size_t *count);
/* Never NULL: the table ends with rows for everything. */
const struct diagnosis_row *diagnose(enum doing doing, enum symptom symptom, int code, unsigned when);

const char *doing_name(enum doing doing);	/* "probe-rom", ... stable */
const char *symptom_name(enum symptom symptom); /* "silent", ... stable */

#endif
