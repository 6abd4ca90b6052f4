/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "flash/probe.h"

#include <stdlib.h>
#include <string.h>

#include "common/util.h"

#define FIRST_STEP (2ull << 20) /* where a search without an idea begins (bsl-protocol 11.2) */

/* 0xHEX at p; 0 if it is none, or more than 64 bits. */
static uint64_t hex(const char *p, const char **end)
{
	char *stop;
	uint64_t n;

	*end = p;
	if (p[0] != '0' || (p[1] != 'x' && p[1] != 'X') || strspn(p + 2, "0123456789abcdefABCDEF") > 16)
		return 0;
	n = strtoull(p, &stop, 16);
	*end = stop;
	return n;
}

bool probe_text(const uint8_t *bytes, size_t len, const char *name, uint64_t *size, uint32_t *sector)
{
	static const char total[] = " total size: ", blocks[] = " block number: ";
	size_t n = strlen(name);
	char text[PROBE_TEXT + 1];
	const char *at = text;
	uint64_t count;

	*size = 0;
	*sector = 0;
	memcpy(text, bytes, MIN(len, sizeof(text) - 1));
	text[MIN(len, sizeof(text) - 1)] = 0;
	if (!strncmp(at, "partition ", 10) && !strncmp(at + 10, name, n) &&
	    !strncmp(at + 10 + n, total, sizeof(total) - 1)) {
		*size = hex(at + 10 + n + sizeof(total) - 1, &at);
		return *size != 0;
	}
	if (strncmp(at, "size:", 5) || strncmp(at + 5, name, n) || strncmp(at + 5 + n, ": ", 2))
		return false;
	*size = hex(at + 5 + n + 2, &at);
	if (!*size || strncmp(at, blocks, sizeof(blocks) - 1))
		return *size != 0;
	count = hex(at + sizeof(blocks) - 1, &at);
	if (count && *size % count == 0 && (*size / count == 512 || *size / count == 4096))
		*sector = (uint32_t)(*size / count);
	return true;
}

void size_search_begin(struct size_search *s, uint64_t expected, uint64_t unit, uint64_t bound)
{
	*s = (struct size_search){
		.unit = unit,
		.bound = bound / unit * unit,
		.high = UINT64_MAX,
	};
	if (expected < s->bound)
		s->expected = (expected + unit - 1) / unit * unit;
}

bool size_search_next(const struct size_search *s, uint64_t *size)
{
	uint64_t steps;

	if (s->asked >= PROBE_QUESTIONS || s->low >= s->bound)
		return false;
	if (s->expected && s->low < s->expected && s->high > s->expected) {
		*size = s->expected;
		return true;
	}
	/* the likely answer holds: one more question proves that there is no more */
	if (s->expected && s->low == s->expected && s->high > s->expected + s->unit) {
		*size = s->expected + s->unit;
		return true;
	}
	if (s->high == UINT64_MAX) {
		*size = MIN(MAX(2 * s->low, (uint64_t)FIRST_STEP), s->bound);
		return true;
	}
	steps = (s->high - s->low) / s->unit;
	if (steps < 2)
		return false;
	*size = s->low + steps / 2 * s->unit;
	return true;
}

void size_search_take(struct size_search *s, uint64_t size, bool yes)
{
	s->asked++;
	if (yes)
		s->low = MAX(s->low, size);
	else
		s->high = MIN(s->high, size);
}

uint64_t size_search_result(const struct size_search *s)
{
	if (s->low >= s->bound || s->high == UINT64_MAX || s->high - s->low > s->unit)
		return PROBE_UNKNOWN;
	return s->low;
}
