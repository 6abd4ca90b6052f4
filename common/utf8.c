/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/utf8.h"

#include <stddef.h>
#include <stdint.h>

static bool is_character(uint32_t c, size_t bytes)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };

	if (c < least[bytes] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return false;
	return (c < 0xfdd0 || c > 0xfdef) && (c & 0xfffe) != 0xfffe;
}

/* Bytes of the character at p, which is not the end; 0: it is none. */
static size_t character(const unsigned char *p)
{
	size_t n = p[0] < 0x80	 ? 1
		   : p[0] < 0xc0 ? 0
		   : p[0] < 0xe0 ? 2
		   : p[0] < 0xf0 ? 3
		   : p[0] < 0xf8 ? 4
				 : 0;
	uint32_t c = p[0];

	if (n < 2)
		return n;
	c &= 0x7fu >> n;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80) /* the end, too */
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	return is_character(c, n) ? n : 0;
}

bool utf8_good(const char *text)
{
	const unsigned char *p = (const unsigned char *)text;

	while (*p) {
		size_t n = character(p);

		if (!n)
			return false;
		p += n;
	}
	return true;
}

void utf8_tame(char *text)
{
	unsigned char *p = (unsigned char *)text;

	while (*p) {
		size_t n = character(p);

		if (!n)
			*p = '?';
		p += n ? n : 1;
	}
}
