/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a program has drawn on a terminal, as far as an xterm's picture can be told from its output. */
#ifndef TESTS_BUS_SCREEN_H
#define TESTS_BUS_SCREEN_H

#include <stdbool.h>
#include <stddef.h>

#define SCREEN_ROWS 60
#define SCREEN_COLS 200

struct screen {
	int rows, cols, x, y, top, bottom; /* top, bottom: what scrolls */
	char text[SCREEN_ROWS][SCREEN_COLS + 1];
	bool alternate, hidden; /* a screen of its own; no cursor */
	unsigned int colours;	/* how often an ink or paper was chosen */
	char unknown[32];	/* the first sequence that it does not know; empty: none */
};

/* A blank one of this size shows these bytes. */
void screen_show(struct screen *s, int rows, int cols, const char *bytes, size_t len);
/* The first line from `from` on with this text, -1: none. */
int screen_find(const struct screen *s, int from, const char *text);

#endif
