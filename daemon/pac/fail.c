/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pac/fail.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int pac_fail(struct failure *why, enum error_id error, const char *entry, uint64_t offset, const char *fmt,
	     ...)
{
	struct failure fresh = { 0 };
	char detail[sizeof(fresh.detail)];
	va_list ap;
	int r;

	va_start(ap, fmt);
	vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	r = failure_set(&fresh, error, "%s", detail);
	snprintf(fresh.stage, sizeof(fresh.stage), "package");
	if (entry)
		snprintf(fresh.entry, sizeof(fresh.entry), "%s", entry);
	if (offset != PAC_NOWHERE) {
		fresh.offset = offset;
		fresh.has_offset = true;
	}
	if (why)
		*why = fresh;
	return r;
}

int pac_fail_read(struct failure *why, const char *entry, uint64_t offset, uint64_t len, int err)
{
	return pac_fail(why, ERR_PACKAGE_READ_FAILED, entry, offset, "reading %llu bytes: %s",
			(unsigned long long)len, strerror(err < 0 ? -err : err));
}

int pac_fail_memory(struct failure *why)
{
	return pac_fail(why, ERR_INTERNAL, NULL, PAC_NOWHERE, "out of memory");
}
