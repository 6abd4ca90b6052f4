/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Words and JSON on a terminal or in a pipe.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "client/client.h"
#include "common/util.h"

/* C0, DEL, C1, and the marks that turn the direction of text, break its line or hide in it */
static bool is_control(wchar_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x200b && c <= 0x200f) ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff ||
	       (c >= 0xfff9 && c <= 0xfffb) || (c >= 0xe0000 && c <= 0xe007f);
}

/* One character of UTF-8 that is good; its length, 0: a plain byte. */
static size_t decode(const unsigned char *p, wchar_t *c)
{
	size_t n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : p[0] >= 0xc0 ? 2 : 0;

	if (!n)
		return 0;
	*c = (wchar_t)(p[0] & (0xff >> (n + 1)));
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		*c = *c << 6 | (p[i] & 0x3f);
	}
	return n;
}

/* Outside of strings JSON has none of these, and in them this is the same character. */
static void put_json(const char *text, FILE *to)
{
	const unsigned char *p = (const unsigned char *)text;

	while (*p) {
		wchar_t c = *p;
		size_t n = decode(p, &c);

		if (c != '\n' && is_control(c) && c < 0x10000)
			fprintf(to, "\\u%04x", (unsigned)c);
		else if (c >= 0x10000 && is_control(c))
			fprintf(to, "\\u%04x\\u%04x", 0xd800 + (((unsigned)c - 0x10000) >> 10),
				0xdc00 + ((unsigned)c & 0x3ff));
		else
			fwrite(p, 1, n ? n : 1, to);
		p += n ? n : 1;
	}
}

void print_json(json_object *value)
{
	put_json(json_object_to_json_string_ext(value,
						JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE),
		 stdout);
	putchar('\n');
	fflush(stdout);
}

const char *clean(const char *text)
{
	static char *ring[CLEAN_RING];
	static unsigned next;
	char **slot = &ring[next++ % CLEAN_RING], *out;
	size_t left = strlen(text);
	mbstate_t state = { 0 };

	free(*slot);
	*slot = out = malloc(4 * left + 1); /* "\xNN" for each byte at worst */
	if (!out)
		return "?";
	while (left) {
		wchar_t c;
		size_t n = mbrtowc(&c, text, left, &state);

		if (n == (size_t)-1 || n == (size_t)-2) { /* not of this locale, or cut off */
			memset(&state, 0, sizeof(state));
			n = 0;
		}
		if (n && !is_control(c)) {
			memcpy(out, text, n);
			out += n;
		} else {
			n = n ? n : 1;
			for (size_t i = 0; i < n; i++)
				out += sprintf(out, "\\x%02x", (unsigned char)text[i]);
		}
		text += n;
		left -= n;
	}
	*out = '\0';
	return *slot;
}

/* columns of a text that clean() has passed: one for each character */
static int columns(const char *text, size_t bytes)
{
	mbstate_t state = { 0 };
	int n = 0;

	while (bytes) {
		size_t len = mbrlen(text, bytes, &state);

		if (len == 0 || len > bytes) {
			memset(&state, 0, sizeof(state));
			len = 1;
		}
		text += len;
		bytes -= len;
		n++;
	}
	return n;
}

int text_width(const char *text)
{
	return columns(text, strlen(text));
}

const char *padded(const char *text, int width)
{
	static char ring[4][256];
	static unsigned next;
	char *buf = ring[next++ % ARRAY_SIZE(ring)];
	int have = text_width(text);

	snprintf(buf, sizeof(ring[0]), "%s%*s", text, have < width ? width - have : 0, "");
	return buf;
}

const char *tone(const struct client *c, enum tone t, const char *text)
{
	static const char *const code[] = {
		[TONE_PLAIN] = "",	  [TONE_GOOD] = "\033[32m", [TONE_BAD] = "\033[31m",
		[TONE_WARN] = "\033[33m", [TONE_DIM] = "\033[2m",   [TONE_BOLD] = "\033[1m"
	};
	static char ring[4][256];
	static unsigned next;
	char *buf;

	if (!c->color || t == TONE_PLAIN)
		return text;
	buf = ring[next++ % ARRAY_SIZE(ring)];
	snprintf(buf, sizeof(ring[0]), "%s%s\033[0m", code[t], text);
	return buf;
}

static int width_of(FILE *to)
{
	struct winsize w = { 0 };

	if (isatty(fileno(to)) && ioctl(fileno(to), TIOCGWINSZ, &w) == 0 && w.ws_col >= 40)
		return w.ws_col;
	return 80;
}

static void wrap_line(FILE *to, const char *prefix, const char *text, int width)
{
	int indent = text_width(prefix), at = indent;

	fputs(prefix, to);
	while (*text) {
		size_t bytes = strcspn(text, " ");
		int word = columns(text, bytes);

		if (at > indent && at + 1 + word > width) {
			fprintf(to, "\n%*s", indent, "");
			at = indent;
		} else if (at > indent) {
			fputc(' ', to);
			at++;
		}
		fprintf(to, "%.*s", (int)bytes, text);
		at += word;
		text += bytes;
		text += strspn(text, " ");
	}
	fputc('\n', to);
}

void print_wrapped(FILE *to, const char *prefix, const char *text)
{
	wrap_line(to, prefix, clean(text), width_of(to));
}

void print_lines(FILE *to, const char *text)
{
	while (*text) {
		size_t n = strcspn(text, "\n");
		char *line = strndup(text, n);

		fprintf(to, "%s\n", line ? clean(line) : "?");
		free(line);
		text += n + (text[n] == '\n');
	}
}

void print_bar(char *buf, size_t cells, double fraction)
{
	size_t full = (size_t)(fraction * (double)cells);

	memset(buf, '-', cells);
	memset(buf, '#', MIN(full, cells));
	buf[cells] = 0;
}

const char *print_cut(char *line, int width)
{
	while (text_width(line) > width) {
		size_t len = strlen(line) - 1;

		while (len && ((unsigned char)line[len] & 0xc0) == 0x80) /* never a part of a character */
			len--;
		line[len] = '\0';
	}
	return line;
}
