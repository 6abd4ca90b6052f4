/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Numbers as people read them, into the caller's buffer; always NUL-terminated, each returns buf.
 */
#ifndef FDLD_COMMON_FORMAT_H
#define FDLD_COMMON_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#define FORMAT_MAX 32 /* enough for any of them */

/* "17 B", "3.2 KiB", "1.25 GiB": three digits, binary units. */
char *format_size(uint64_t bytes, char *buf, size_t size);
/* "31.2 MiB/s"; "-" for 0. */
char *format_rate(uint64_t bytes_per_s, char *buf, size_t size);
/* "0:07", "12:30", "1:02:03"; below a second with tenths: "0.4 s". */
char *format_duration(uint64_t usec, char *buf, size_t size);

/*
 * "7e 00 80": at most len bytes, as many as size has room for; where some were left out it ends in "..". Each
 * byte takes three characters, the last two.
 */
char *format_hex(const void *bytes, size_t len, char *buf, size_t size);

#endif
