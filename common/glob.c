/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/glob.h"

#include <stddef.h>
#include <stdint.h>

/* The character at *at, which goes behind it; a byte that is no UTF-8 counts as one. *at is not at the end.
 */
static uint32_t next(const char **at)
{
	const unsigned char *p = (const unsigned char *)*at;
	unsigned int more = *p < 0xc0 ? 0 : *p < 0xe0 ? 1 : *p < 0xf0 ? 2 : 3;
	uint32_t c = more ? *p & (0x3fu >> more) : *p;

	for (unsigned int i = 1; i <= more; i++) {
		if ((p[i] & 0xc0) != 0x80) {
			(*at)++;
			return *p;
		}
		c = c << 6 | (p[i] & 0x3f);
	}
	*at += more + 1;
	return c;
}

/*
 * The bracket behind "[": *at goes behind its "]". Whether c is in it; *valid false: it is none. A "]" that
 * stands first is one of the characters.
 */
static bool bracket(const char **at, uint32_t c, bool *valid)
{
	bool negated = **at == '!', in = false, first = true;

	*valid = true;
	*at += negated;
	for (; **at && (first || **at != ']'); first = false) {
		uint32_t from = next(at), to = from;

		if ((*at)[0] == '-' && (*at)[1] && (*at)[1] != ']') {
			(*at)++;
			to = next(at);
		}
		if (to < from)
			*valid = false;
		in = in || (c >= from && c <= to);
	}
	if (first || **at != ']')
		*valid = false;
	else
		(*at)++;
	return in != negated;
}

bool glob_valid(const char *pattern)
{
	bool valid = true;

	while (*pattern && valid)
		if (*pattern++ == '[')
			(void)bracket(&pattern, 0, &valid);
	return valid;
}

/* One character of text against what stands at *pattern, which is no star and not the end. Both go on. */
static bool one(const char **pattern, const char **text)
{
	uint32_t c = next(text);
	bool valid;

	if (**pattern == '?') {
		(*pattern)++;
		return true;
	}
	if (**pattern == '[') {
		(*pattern)++;
		return bracket(pattern, c, &valid) && valid;
	}
	return next(pattern) == c;
}

bool glob_match(const char *pattern, const char *text)
{
	const char *star = NULL, *from = NULL; /* behind the last star; where it has taken text up to */

	while (*text) {
		if (*pattern == '*') {
			star = ++pattern;
			from = text;
			continue;
		}
		if (*pattern && one(&pattern, &text))
			continue;
		if (!star)
			return false;
		next(&from); /* the star takes one more */
		pattern = star;
		text = from;
	}
	while (*pattern == '*')
		pattern++;
	return !*pattern;
}
