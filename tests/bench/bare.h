/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The bare loop that fdld is compared with: libusb, asynchronous, IN posted first, one frame out and one
 * reply in, frames encoded beforehand, nothing else. No files, no checks of content, no jobs, no bus.
 *
 * With a file it does, in the shortest way there is, what nobody who flashes a phone can leave out: the bytes
 * come from the file, each frame gets its sum as it is sent, each reply's is checked, and what is read back
 * is compared with the file.
 */
#ifndef FDLD_TESTS_BENCH_BARE_H
#define FDLD_TESTS_BENCH_BARE_H

#include <stddef.h>
#include <stdint.h>

#define BARE_PHONES_MAX 32
#define BARE_BLOCK	63488u /* payload of one framed write, bytes: 62 KiB */

struct bare_job {
	const char *node[BARE_PHONES_MAX]; /* device nodes */
	size_t phones;
	const uint8_t *fdl1, *fdl2;
	size_t fdl1_len, fdl2_len;
	uint32_t fdl1_base, fdl2_base;
	const char *partition;
	uint64_t bytes;	     /* to write into it on each phone, and to read back */
	uint32_t read_block; /* bytes of one READ_MIDST */
	const char *file;    /* its first bytes are written; NULL: bytes made beforehand */
};

/* Runs to the end in the calling process (which the bed traps). 0, or 1 with a line on stderr. */
int bare_run(const struct bare_job *job);

#endif
