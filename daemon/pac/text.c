/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pac/text.h"
#include "common/util.h"

#include <stdio.h>
#include <strings.h>

size_t text_put_utf8(char *out, uint32_t code)
{
	if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		code = 0xfffd;
	if (code < 0x80) {
		out[0] = (char)code;
		return 1;
	}
	if (code < 0x800) {
		out[0] = (char)(0xc0 | code >> 6);
		out[1] = (char)(0x80 | (code & 0x3f));
		return 2;
	}
	if (code < 0x10000) {
		out[0] = (char)(0xe0 | code >> 12);
		out[1] = (char)(0x80 | (code >> 6 & 0x3f));
		out[2] = (char)(0x80 | (code & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | code >> 18);
	out[1] = (char)(0x80 | (code >> 12 & 0x3f));
	out[2] = (char)(0x80 | (code >> 6 & 0x3f));
	out[3] = (char)(0x80 | (code & 0x3f));
	return 4;
}

size_t text_utf8_at(const uint8_t *p, size_t len, uint32_t *code)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t c;
	size_t n, i;

	if (!len)
		return 0;
	c = p[0];
	n = c < 0x80		    ? 1
	    : c >= 0xc2 && c < 0xe0 ? 2
	    : c >= 0xe0 && c < 0xf0 ? 3
	    : c >= 0xf0 && c < 0xf5 ? 4
				    : 0;
	if (!n || n > len)
		return 0;
	if (n > 1)
		c &= 0x7fu >> n;
	for (i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	if (code)
		*code = c;
	return n;
}

bool text_is_utf8(const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len) {
		size_t n = *p ? text_utf8_at(p, len, NULL) : 0;

		if (!n)
			return false;
		p += n;
		len -= n;
	}
	return true;
}

/* C0, DEL, C1, and the marks that turn the direction of text or hide in it */
static bool is_control(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x200b && c <= 0x200f) ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff || c == 0xfffd;
}

/* Room for one character and the NUL is kept; false when there is none. */
static bool put(char *out, size_t size, size_t *at, uint32_t c)
{
	char tmp[4];
	size_t n = text_put_utf8(tmp, is_control(c) ? '?' : c);

	if (*at + n + 1 > size)
		return false;
	memcpy(out + *at, tmp, n);
	*at += n;
	return true;
}

bool text_from_utf16(char *out, size_t size, const uint8_t *field, size_t units)
{
	bool whole = true;
	size_t at = 0, i;

	for (i = 0; whole && i < units; i++) {
		uint32_t c = get_le16(field + 2 * i);

		if (!c)
			break;
		if (c >= 0xd800 && c < 0xdc00 && i + 1 < units) {
			uint32_t low = get_le16(field + 2 * i + 2);

			if (low >= 0xdc00 && low < 0xe000) {
				c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
				i++;
			}
		}
		if (c >= 0xd800 && c < 0xe000)
			c = '?';
		whole = put(out, size, &at, c);
	}
	out[at] = '\0';
	return whole;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

bool text_clean(char *out, size_t size, const char *in)
{
	size_t len, at = 0;
	bool whole = true;

	while (is_blank(*in))
		in++;
	len = strlen(in);
	while (len && is_blank(in[len - 1]))
		len--;
	while (whole && len) {
		uint32_t c = '?';
		size_t n = text_utf8_at((const uint8_t *)in, len, &c);

		if (!n)
			n = 1;
		whole = put(out, size, &at, c);
		in += n;
		len -= n;
	}
	out[at] = '\0';
	return whole;
}

const char *text_base_name(const char *name)
{
	const char *base = name;

	for (; *name; name++)
		if (*name == '/' || *name == '\\')
			base = name + 1;
	return !strcmp(base, ".") || !strcmp(base, "..") ? "" : base;
}

bool text_same(const char *a, const char *b)
{
	return !strcasecmp(a, b);
}

bool text_begins(const char *text, const char *prefix)
{
	return !strncasecmp(text, prefix, strlen(prefix));
}

bool text_contains(const char *text, const char *part)
{
	return strcasestr(text, part) != NULL;
}
