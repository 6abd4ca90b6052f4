/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Of this room only: filling a failure with entry and offset in one line.
 */
#ifndef FDLD_PAC_FAIL_H
#define FDLD_PAC_FAIL_H

#include <stdint.h>

#include "common/error.h"

#define PAC_NOWHERE UINT64_MAX /* no offset to tell */

/* Sets error, stage "package", entry (NULL or "": none) and offset. Returns the row's errno negated. */
int pac_fail(struct failure *why, enum error_id error, const char *entry, uint64_t offset, const char *fmt,
	     ...) __attribute__((format(printf, 5, 6)));

/* A read of len bytes at offset gave -err. */
int pac_fail_read(struct failure *why, const char *entry, uint64_t offset, uint64_t len, int err);
int pac_fail_memory(struct failure *why);

#endif
