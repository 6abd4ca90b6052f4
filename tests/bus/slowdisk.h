/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A file on a file system whose server does as it is told: a process of our own behind the kernel's FUSE.
 * What it is told not to answer hangs in the kernel, as a file does whose network is gone.
 */
#ifndef TESTS_BUS_SLOWDISK_H
#define TESTS_BUS_SLOWDISK_H

#include <stdbool.h>
#include <stdint.h>

struct slowdisk {
	/* what is not answered, until it is cleared again */
	volatile bool hold_stat, hold_close;
	volatile uint64_t hold_read; /* reads that reach this offset; UINT64_MAX: none */
	volatile bool fail_read;     /* EIO */
	volatile bool shy;	     /* EAGAIN, as for a descriptor that must not block */
	/* what has come in */
	volatile unsigned int stats, reads, closes, held;
	char backing[160]; /* the file whose bytes these are */
};

#define SLOWDISK_FILE "/run/slowdisk/package.pac"

/* Before bed_enter(), which hides /dev/fuse. False: there is none. */
bool slowdisk_prepare(void);
/* After bed_enter(): mounts it; NULL where the kernel does not let us. Once; to be used by all tests in turn.
 */
struct slowdisk *slowdisk_new(void);
/* Answers everything, shows this file. */
void slowdisk_reset(struct slowdisk *disk, const char *backing);

#endif
