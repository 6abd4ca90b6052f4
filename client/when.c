/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/when.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/util.h"

#define SECOND UINT64_C(1000000)

uint64_t when_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * SECOND + (uint64_t)ts.tv_nsec / 1000;
}

static uint64_t unit_of(const char *text, size_t len)
{
	static const struct {
		const char *name;
		uint64_t usec;
	} units[] = {
		{ "us", 1 },
		{ "ms", 1000 },
		{ "s", SECOND },
		{ "min", 60 * SECOND },
		{ "m", 60 * SECOND },
		{ "h", 3600 * SECOND },
		{ "d", 86400 * SECOND },
		{ "w", 604800 * SECOND },
	};

	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (strlen(units[i].name) == len && !strncmp(units[i].name, text, len))
			return units[i].usec;
	return 0;
}

/* "1h 30min": a length of time, all of the text. */
static bool span(const char *text, uint64_t *out)
{
	uint64_t sum = 0;

	while (*text) {
		unsigned long long n;
		uint64_t unit, part;
		size_t len = 0;
		char *end;

		if (!isdigit((unsigned char)*text))
			return false;
		errno = 0;
		n = strtoull(text, &end, 10);
		while (isalpha((unsigned char)end[len]))
			len++;
		unit = unit_of(end, len);
		if (errno || !unit || __builtin_mul_overflow((uint64_t)n, unit, &part) ||
		    __builtin_add_overflow(sum, part, &sum))
			return false;
		text = end + len;
		text += strspn(text, " ");
	}
	*out = sum;
	return true;
}

static bool from_tm(struct tm *tm, uint64_t *out)
{
	time_t at;

	tm->tm_isdst = -1;
	at = mktime(tm);
	if (at < 0)
		return false;
	*out = (uint64_t)at * SECOND;
	return true;
}

/* Midnight `days` ago. */
static bool midnight(uint64_t now, int days, struct tm *tm)
{
	time_t at = (time_t)(now / SECOND);

	if (!localtime_r(&at, tm))
		return false;
	tm->tm_hour = tm->tm_min = tm->tm_sec = 0;
	tm->tm_mday -= days;
	return true;
}

bool when_parse(const char *text, uint64_t now, uint64_t *out)
{
	static const char *const forms[] = { "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M",
					     "%Y-%m-%dT%H:%M", "%Y-%m-%d" };
	struct tm tm;
	uint64_t usec;
	char *end;

	if (!strcmp(text, "now")) {
		*out = now;
		return true;
	}
	if (!strcmp(text, "today") || !strcmp(text, "yesterday"))
		return midnight(now, *text == 'y', &tm) && from_tm(&tm, out);
	if (*text == '@') {
		errno = 0;
		usec = strtoull(text + 1, &end, 10);
		*out = usec * SECOND;
		return isdigit((unsigned char)text[1]) && !errno && !*end && usec <= UINT64_MAX / SECOND;
	}
	if (*text && span(text + (*text == '-'), &usec)) {
		*out = usec > now ? 0 : now - usec;
		return text[*text == '-'];
	}
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		const char *rest;

		memset(&tm, 0, sizeof(tm));
		rest = strptime(text, forms[i], &tm);
		if (rest && !*rest)
			return from_tm(&tm, out);
	}
	if (midnight(now, 0, &tm)) {
		const char *rest = strptime(text, "%H:%M:%S", &tm);

		if (!rest || *rest) {
			midnight(now, 0, &tm);
			rest = strptime(text, "%H:%M", &tm);
		}
		if (rest && !*rest)
			return from_tm(&tm, out);
	}
	return false;
}
