/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a session has learned of the phone before anything was destroyed: the second argument of
 * resolving. Plain values; a zeroed struct is "nothing known".
 */
#ifndef FDLD_FLASH_FACTS_H
#define FDLD_FLASH_FACTS_H

#include <stdbool.h>
#include <stdint.h>

#include "flash/table.h"

enum storage_kind { STORAGE_UNKNOWN, STORAGE_NAND, STORAGE_EMMC, STORAGE_UFS, STORAGE_NOR };

/* How a backed-up area was found; NV only ever has these five. */
enum backup_state {
	BACKUP_NOT_READ,
	BACKUP_VALID,	/* parsed (NV) or read whole (files), stored and durable */
	BACKUP_INVALID, /* bytes were read and stored, but they are no valid NV */
	BACKUP_BLANK,	/* nothing there: all 00 or FF, or a file system that was never made */
	BACKUP_REFUSED, /* the phone will not read it: both copies bad, absent */
};

struct backup_fact {
	uint32_t step; /* index of the plan's backup this answers */
	enum backup_state state;
	uint64_t size;	/* bytes stored */
	bool from_owed; /* taken from an owed backup instead of the phone */
	char note[120]; /* why invalid, what the phone answered */
};

#define FACTS_BACKUPS_MAX 16

struct device_facts {
	char rom_version[64], fdl1_version[64];
	bool autodownloader; /* SPRD4: the boot loader plays the ROM */
	bool left_unsaid;    /* it left the bus as FDL1 started although the loader does not say so, and came
				back */
	/* capability block (bsl-protocol 6) */
	bool has_capabilities, transcode_off_offered, lk; /* lk: TLV 5 or 7 seen */
	uint8_t raw_level;
	uint32_t flush_bytes;
	enum storage_kind storage;
	char unit[65];		  /* canonical UID: SHA-256 in 64 hex digits; empty: no identity */
	struct flash_table table; /* as the phone has it now; count 0: could not be read, or is not there */
	bool table_absent;	  /* the start of the user area was read and holds no table (a new board) */
	struct backup_fact backups[FACTS_BACKUPS_MAX];
	uint32_t backup_count;
};

#endif
