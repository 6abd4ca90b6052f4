/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pac/source.h"

#include <errno.h>
#include <string.h>

int source_read(const struct source *src, uint64_t offset, void *buf, size_t len)
{
	if (offset > src->size || len > src->size - offset)
		return -EIO;
	if (!len)
		return 0;
	return src->read_at(src->ctx, offset, buf, len);
}

/* source_read() has checked the bounds */
static int memory_read(void *ctx, uint64_t offset, void *buf, size_t len)
{
	memcpy(buf, (const uint8_t *)ctx + offset, len);
	return 0;
}

struct source source_memory(const void *data, size_t len)
{
	/* read_at never writes through ctx */
	return (struct source){ .size = len, .read_at = memory_read, .ctx = (void *)(uintptr_t)data };
}
