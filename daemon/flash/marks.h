/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The few marks by which a phone is told what to do at its next start, in partitions that others write too:
 * they are read, changed and written back. Layouts are Android's: the bootloader message at the start of
 * misc, the slot metadata 2048 bytes behind it, the flags of vbmeta's header; and the vendor's signed header
 * around vbmeta. Pure functions on bytes.
 */
#ifndef FDLD_FLASH_MARKS_H
#define FDLD_FLASH_MARKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

#define MARK_BYTES_MAX (8u << 20) /* of the partition that is changed */

enum mark_kind {
	MARK_BOOT, /* what is started next: value is enum boot_mark; in misc */
	MARK_SLOT, /* the slot that is tried first: value 'a' or 'b'; in misc */
	/*
	 * The mode of the first start after flashing, 0 (normal) to 255: the loader has a command for it and
	 * keeps it in miscdata (MARK_FIRST_AT). Alone in its plan.
	 */
	MARK_FIRST_MODE,
	/*
	 * dm-verity: value 0 off, 1 on; in vbmeta. Without a target: in each of vbmeta, vbmeta_a and vbmeta_b
	 * that the phone has.
	 */
	MARK_VERITY,
};

enum boot_mark {
	BOOT_NORMAL,
	BOOT_RECOVERY,
	BOOT_FASTBOOT,
	BOOT_WIPE_DATA, /* recovery deletes user data by itself: the factory reset of Android */
};

struct mark {
	enum mark_kind kind;
	int value;
	char target[40]; /* partition; empty: "misc", or "vbmeta" */
};

#define MARK_FIRST_AT	 0x2420u /* in miscdata: 4 bytes, little-endian, MARK_FIRST_MAGIC + mode */
#define MARK_FIRST_MAGIC 0x53464D00u

/* The partition a mark stands in. */
const char *mark_target(const struct mark *m);

/*
 * Changes the whole content of the partition, checksums included. 0; InvalidArgs: no such value;
 * MarkUnusable: what would be changed is not there or not valid (no slot metadata, a wrong checksum, no
 * vbmeta): nothing was changed.
 */
int mark_apply(const struct mark *m, uint8_t *bytes, size_t len, struct failure *why);

/* What the marks say, for people and programs. */
struct mark_boot {
	char command[33];   /* "boot-recovery", ...; cleaned; empty: a normal start */
	char arguments[96]; /* "recovery --wipe_data": lines with blanks between them, cleaned, cut to fit */
};
struct mark_slot_state {
	unsigned priority, tries; /* 0 to 15; 0 to 7 */
	bool successful, corrupted;
};
struct mark_slots {
	char active; /* 'a' or 'b': the one with the highest priority that can be started; 0: none */
	char suffix; /* the one started last; 0 not told */
	struct mark_slot_state slot[2];
};
int mark_show_boot(const uint8_t *misc, size_t len, struct mark_boot *out); /* 0; -ENODATA: too short */
int mark_show_slots(const uint8_t *misc, size_t len,
		    struct mark_slots *out);			   /* 0; -ENODATA; -EBADMSG: checksum */
int mark_show_verity(const uint8_t *vbmeta, size_t len, bool *on); /* 0; -ENODATA: no vbmeta */
int mark_show_first(const uint8_t *bytes, size_t len); /* the four at MARK_FIRST_AT: 0 to 255; -ENODATA */
/* What the message amounts to: enum boot_mark, or -1: something else. */
int mark_boot_of(const struct mark_boot *boot);
const char *mark_boot_name(int boot); /* "normal", "recovery", "fastboot", "factory-reset", "other": stable */

/* Where marks stand: what has to be read to show them all. A phone need not have each of these places. */
enum {
	MARK_AREA_MISC,
	MARK_AREA_VBMETA,
	MARK_AREA_VBMETA_A,
	MARK_AREA_VBMETA_B,
	MARK_AREA_FIRST,
	MARK_AREAS
};
struct mark_area {
	const char *name;      /* partition */
	uint32_t offset, size; /* bytes */
};
extern const struct mark_area mark_areas[MARK_AREAS];

#endif
