/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/format.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/util.h"

char *format_size(uint64_t bytes, char *buf, size_t size)
{
	static const char *const unit[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double value = (double)bytes;
	size_t u = 0;

	while (value >= 999.5 && u + 1 < ARRAY_SIZE(unit)) {
		value /= 1024;
		u++;
	}
	if (u == 0)
		snprintf(buf, size, "%" PRIu64 " B", bytes);
	else
		snprintf(buf, size, "%.*f %s", value < 9.995 ? 2 : value < 99.95 ? 1 : 0, value, unit[u]);
	return buf;
}

char *format_rate(uint64_t bytes_per_s, char *buf, size_t size)
{
	char text[FORMAT_MAX];

	if (!bytes_per_s)
		snprintf(buf, size, "-");
	else
		snprintf(buf, size, "%s/s", format_size(bytes_per_s, text, sizeof(text)));
	return buf;
}

char *format_duration(uint64_t usec, char *buf, size_t size)
{
	uint64_t s = usec / 1000000;

	if (usec < 1000000)
		snprintf(buf, size, "%.1f s", (double)usec / 1e6);
	else if (s < 3600)
		snprintf(buf, size, "%" PRIu64 ":%02" PRIu64, s / 60, s % 60);
	else
		snprintf(buf, size, "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64, s / 3600, s / 60 % 60, s % 60);
	return buf;
}
