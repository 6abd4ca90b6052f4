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
		snprintf(buf, size, "0.%" PRIu64 " s", usec / 100000);
	else if (s < 3600)
		snprintf(buf, size, "%" PRIu64 ":%02" PRIu64, s / 60, s % 60);
	else
		snprintf(buf, size, "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64, s / 3600, s / 60 % 60, s % 60);
	return buf;
}

char *format_hex(const void *bytes, size_t len, char *buf, size_t size)
{
	static const char digit[] = "0123456789abcdef";
	const uint8_t *p = bytes;
	size_t at = 0, fit;

	if (!size)
		return buf;
	/* all, or as many as leave room for the two dots */
	fit = len && 3 * len <= size ? len : size > 2 ? (size - 3) / 3 : 0;
	if (fit > len)
		fit = len;
	for (size_t i = 0; i < fit; i++) {
		if (i)
			buf[at++] = ' ';
		buf[at++] = digit[p[i] >> 4];
		buf[at++] = digit[p[i] & 15];
	}
	for (int i = 0; fit < len && i < 2 && at + 1 < size; i++)
		buf[at++] = '.';
	buf[at] = '\0';
	return buf;
}
