/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Words and JSON on a terminal or in a pipe.
 */
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "client/client.h"
#include "common/util.h"

void print_json(json_object *value)
{
	puts(json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	fflush(stdout);
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

void print_wrapped(FILE *to, const char *prefix, const char *text)
{
	int width = width_of(to), indent = (int)strlen(prefix), at = indent;

	fputs(prefix, to);
	while (*text) {
		int word = (int)strcspn(text, " \n");

		if (at > indent && at + 1 + word > width) {
			fprintf(to, "\n%*s", indent, "");
			at = indent;
		} else if (at > indent) {
			fputc(' ', to);
			at++;
		}
		fprintf(to, "%.*s", word, text);
		at += word;
		text += word;
		text += strspn(text, " \n");
	}
	fputc('\n', to);
}
