/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The wall of slots as a picture: facts in, characters with a look out. No terminal, no bus, no clock, no
 * words of its own but PASS and FAIL; verb_top.c puts the picture on the screen.
 */
#ifndef FDLD_CLIENT_WALL_H
#define FDLD_CLIENT_WALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <wchar.h>

/* How a character is shown; colours are the screen's business. */
enum wall_look {
	LOOK_PLAIN,
	LOOK_DIM,
	LOOK_HEAD,   /* the line with a slot's name */
	LOOK_CHOSEN, /* the same of the chosen slot */
	LOOK_BAR,    /* what is done of a bar */
	LOOK_WARN,
	LOOK_GOOD, /* filled */
	LOOK_BAD,  /* filled */
	LOOK_COUNT
};

/* What a cell is to say first. */
enum wall_state {
	WALL_EMPTY, /* no phone */
	WALL_READY, /* a phone and no job */
	WALL_WAITS, /* a job waits, or its phone is silent: the text says why */
	WALL_RUNS,
	WALL_PASS,
	WALL_FAIL
};

/* One slot. Texts are NULL or of the locale, clean for a terminal, borrowed. */
struct wall_slot {
	enum wall_state state;
	const char *label;   /* or the port */
	const char *unit;    /* first digits of the phone's identity */
	const char *work;    /* step and entry; what a filled cell is about: the error's name, the time */
	const char *text;    /* why it waits, with its countdown; what is there if there is no job */
	const char *rate;    /* "31 MiB/s" */
	const char *eta;     /* "0:12 left" */
	const char *counter; /* "12/13  92 %" */
	const char *mark;    /* "suspect" and the like; NULL: nothing is wrong with the place */
	double fraction;     /* 0..1 */
};

/* Where the cells are. */
struct wall_grid {
	int columns, rows; /* cells; rows: all of them, also those that are scrolled away */
	int width, height; /* of one cell; one column of it is the gap to the next */
	int shown;	   /* rows of cells that fit */
};

/* At least this much of a cell is needed to tell slots apart; more slots than fit are scrolled. */
#define WALL_CELL_MIN 10
/* From here on PASS and FAIL are block letters. */
#define WALL_BLOCK_WIDTH  24
#define WALL_BLOCK_HEIGHT 7

/* The largest cells for count slots on width x height characters. */
void wall_layout(size_t count, int width, int height, struct wall_grid *grid);
/* The first row of cells to be shown so that the chosen slot is among them; from: the one shown before. */
int wall_scroll(const struct wall_grid *grid, size_t chosen, int from);

/* A picture: width * height characters by line. ch 0: the right half of the wide character before it. */
struct wall_char {
	wchar_t ch;
	enum wall_look look;
};
struct wall_picture {
	int width, height;
	wchar_t block; /* what block letters are made of */
	struct wall_char at[];
};

/* Blank; free() it. NULL: no memory, or a size below 1. */
struct wall_picture *wall_new(int width, int height, wchar_t block);
/*
 * Text of the locale at a place, cut after `room` columns and at the picture's edge; returns the columns it
 * took.
 */
int wall_put(struct wall_picture *p, int x, int y, int room, enum wall_look look, const char *text);
/* A text of several lines, wrapped at blanks, into at most `lines` lines; returns how many it took. */
int wall_text(struct wall_picture *p, int x, int y, int room, int lines, enum wall_look look,
	      const char *text);
/* The slots, from row `first` of the grid on, into the lines from `top` on. chosen >= count: none. */
void wall_paint(struct wall_picture *p, int top, const struct wall_grid *grid, const struct wall_slot *slots,
		size_t count, size_t chosen, int first);

#endif
