/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Cells as large as the slots' number allows, and in each of them what can be read from where the operator
 * stands: with room, block letters; without, a filled cell with the word.
 */
#include "client/wall.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"

/* ---- where the cells are --------------------------------------------------------------------------- */

void wall_layout(size_t count, int width, int height, struct wall_grid *grid)
{
	int n = count > 4096 ? 4096 : count ? (int)count : 1;
	double best = -1;

	width = MAX(width, 1);
	height = MAX(height, 1);
	*grid = (struct wall_grid){ .columns = 1, .rows = n, .width = width, .height = 1, .shown = height };
	for (int columns = MAX(MIN(n, width / WALL_CELL_MIN), 1); columns >= 1; columns--) {
		int rows = (n + columns - 1) / columns, w = width / columns, h = height / rows;
		double wide = (double)w / WALL_BLOCK_WIDTH, high = (double)h / WALL_BLOCK_HEIGHT;
		double size = MIN(wide, high);

		if (h < 1 && best >= 0)
			break; /* fewer columns are more rows still */
		/* of cells equally good the wider ones: names and reasons are long */
		if (h >= 1 ? size >= best : best < 0) {
			best = h >= 1 ? size : 0;
			*grid = (struct wall_grid){ .columns = columns,
						    .rows = rows,
						    .width = w,
						    .height = MAX(h, 1),
						    .shown = MIN(rows, height / MAX(h, 1)) };
		}
		if (h < 1)
			break; /* too many for this screen: as many as can be side by side */
	}
}

int wall_scroll(const struct wall_grid *grid, size_t chosen, int from)
{
	int row = (int)(chosen / (size_t)grid->columns), last = MAX(grid->rows - grid->shown, 0);

	if (row < from)
		from = row;
	if (row >= from + grid->shown)
		from = row - grid->shown + 1;
	return MAX(MIN(from, last), 0);
}

/* ---- the picture ------------------------------------------------------------------------------------- */

struct wall_picture *wall_new(int width, int height, wchar_t block)
{
	size_t n = width > 0 && height > 0 ? (size_t)width * (size_t)height : 0;
	struct wall_picture *p = n ? calloc(1, sizeof(*p) + n * sizeof(p->at[0])) : NULL;

	if (!p)
		return NULL;
	p->width = width;
	p->height = height;
	p->block = block;
	for (size_t i = 0; i < n; i++)
		p->at[i].ch = L' ';
	return p;
}

static void set(struct wall_picture *p, int x, int y, enum wall_look look, wchar_t ch)
{
	if (x >= 0 && y >= 0 && x < p->width && y < p->height)
		p->at[(size_t)y * (size_t)p->width + (size_t)x] = (struct wall_char){ ch, look };
}

static void fill(struct wall_picture *p, int x, int y, int width, int height, enum wall_look look)
{
	for (int i = 0; i < height; i++)
		for (int k = 0; k < width; k++)
			set(p, x + k, y + i, look, L' ');
}

/* The next character of a text and its columns; what is none of the locale is shown as a question mark. */
static size_t next(const char *text, wchar_t *ch, int *columns)
{
	mbstate_t state = { 0 };
	size_t n = mbrtowc(ch, text, strlen(text), &state);

	if (n == 0 || n == (size_t)-1 || n == (size_t)-2) {
		*ch = L'?';
		n = 1;
	}
	*columns = wcwidth(*ch);
	if (*columns < 0) {
		*ch = L'?';
		*columns = 1;
	}
	return n;
}

int wall_put(struct wall_picture *p, int x, int y, int room, enum wall_look look, const char *text)
{
	int at = 0;

	room = MIN(room, p->width - x);
	while (text && *text) {
		wchar_t ch;
		int columns;
		size_t n = next(text, &ch, &columns);

		if (at + columns > room)
			break;
		if (columns > 0)
			set(p, x + at, y, look, ch);
		if (columns > 1)
			set(p, x + at + 1, y, look, 0);
		at += columns;
		text += n;
	}
	return at;
}

static int width_of(const char *text)
{
	int all = 0, columns;
	wchar_t ch;

	while (text && *text) {
		text += next(text, &ch, &columns);
		all += columns;
	}
	return all;
}

static void put_right(struct wall_picture *p, int x, int y, int room, enum wall_look look, const char *text)
{
	int width = width_of(text);

	if (width <= room)
		wall_put(p, x + room - width, y, width, look, text);
}

static void put_middle(struct wall_picture *p, int x, int y, int room, enum wall_look look, const char *text)
{
	int width = width_of(text);

	wall_put(p, x + MAX(room - width, 0) / 2, y, room, look, text);
}

int wall_text(struct wall_picture *p, int x, int y, int room, int lines, enum wall_look look,
	      const char *text)
{
	char word[512];
	int at = 0, line = 0;

	while (text && *text && line < lines) {
		size_t n = strcspn(text, " \n");

		snprintf(word, sizeof(word), "%.*s", (int)MIN(n, sizeof(word) - 1), text);
		if (at && at + 1 + width_of(word) > room) {
			at = 0;
			if (++line == lines)
				return line;
		}
		at += at ? 1 : 0;
		at += wall_put(p, x + at, y + line, room - at, look, word);
		text += n;
		if (*text == '\n') {
			at = 0;
			line++;
			text++;
		} else {
			text += strspn(text, " ");
		}
	}
	return at ? line + 1 : line;
}

/* ---- one slot ---------------------------------------------------------------------------------------- */

static const struct letter {
	char name;
	const char *lines[5];
} letters[] = {
	{ 'P', { "#### ", "#   #", "#### ", "#    ", "#    " } },
	{ 'A', { " ### ", "#   #", "#####", "#   #", "#   #" } },
	{ 'S', { " ####", "#    ", " ### ", "    #", "#### " } },
	{ 'F', { "#####", "#    ", "#### ", "#    ", "#    " } },
	{ 'I', { " ### ", "  #  ", "  #  ", "  #  ", " ### " } },
	{ 'L', { "#    ", "#    ", "#    ", "#    ", "#####" } },
};
#define LETTER_WIDTH  5
#define LETTER_HEIGHT 5

/* Letters of whole multiples of their size, as large as there is room. */
static void put_block(struct wall_picture *p, int x, int y, int room, int lines, enum wall_look look,
		      const char *word)
{
	int n = (int)strlen(word), width = n * (LETTER_WIDTH + 1) - 1;
	int wide = MAX(room / width, 1), high = MAX(lines / LETTER_HEIGHT, 1);

	wide = MIN(wide, 2 * high); /* characters are twice as high as wide */
	high = MIN(high, wide);
	x += (room - width * wide) / 2;
	y += (lines - LETTER_HEIGHT * high) / 2;
	for (int i = 0; i < n; i++) {
		const struct letter *l = letters;

		while (l < &letters[ARRAY_SIZE(letters) - 1] && l->name != word[i])
			l++;
		for (int k = 0; k < LETTER_HEIGHT * high; k++)
			for (int j = 0; j < LETTER_WIDTH * wide; j++)
				if (l->lines[k / high][j / wide] == '#')
					set(p, x + i * (LETTER_WIDTH + 1) * wide + j, y + k, look, p->block);
	}
}

static void put_bar(struct wall_picture *p, int x, int y, int room, double fraction)
{
	char percent[16];
	int cells, full;

	fraction = fraction < 0 ? 0 : fraction > 1 ? 1 : fraction;
	snprintf(percent, sizeof(percent), "%3d %%", (int)(fraction * 100));
	cells = MAX(room - (int)strlen(percent) - 1, 0);
	full = (int)(fraction * cells);
	for (int i = 0; i < cells; i++)
		set(p, x + i, y, i < full ? LOOK_BAR : LOOK_DIM, i < full ? L'#' : L'-');
	wall_put(p, x + (cells ? cells + 1 : 0), y, room, LOOK_PLAIN, percent);
}

struct box {
	int x, y, width, height;
	bool chosen;
};

static void put_name(struct wall_picture *p, const struct box *b, const struct wall_slot *s)
{
	enum wall_look look = b->chosen ? LOOK_CHOSEN : LOOK_HEAD;
	int mark = s->mark ? width_of(s->mark) + 2 : 0, label = width_of(s->label);

	fill(p, b->x, b->y, b->width, 1, look);
	wall_put(p, b->x, b->y, b->width, look, b->chosen ? ">" : " ");
	wall_put(p, b->x + 1, b->y, b->width - 1, look, s->label);
	if (!mark)
		return;
	/* without room for the word: its sign, at the cost of the name's end */
	if (1 + label + mark <= b->width)
		put_right(p, b->x, b->y, b->width, LOOK_WARN, s->mark);
	else
		put_right(p, b->x, b->y, b->width, LOOK_WARN, "!");
}

/* PASS or FAIL: the whole cell. */
static void paint_result(struct wall_picture *p, const struct box *b, const struct wall_slot *s)
{
	bool good = s->state == WALL_PASS;
	enum wall_look look = good ? LOOK_GOOD : LOOK_BAD;
	const char *word = good ? "PASS" : "FAIL";
	char line[320], more[256];
	int below = b->height - 1;

	fill(p, b->x, b->y + 1, b->width, below, look);
	snprintf(more, sizeof(more), "%s%s%s", s->work ? s->work : "", s->unit && *s->unit ? "  " : "",
		 s->unit ? s->unit : "");
	if (b->width >= WALL_BLOCK_WIDTH && b->height >= WALL_BLOCK_HEIGHT) {
		put_block(p, b->x, b->y + 1, b->width, below - 1, look, word);
		snprintf(line, sizeof(line), " %s %s", word, more);
		wall_put(p, b->x, b->y + below, b->width, look, line);
		if (1 + width_of(line) + width_of(s->counter) < b->width)
			put_right(p, b->x, b->y + below, b->width - 1, look, s->counter);
		return;
	}
	if (below >= 3) {
		put_middle(p, b->x, b->y + 1 + (below - 2) / 2, b->width, look, good ? "P A S S" : "F A I L");
		wall_put(p, b->x + 1, b->y + below - 1, b->width - 1, look, more);
		wall_put(p, b->x + 1, b->y + below, b->width - 1, look, s->counter);
	} else {
		snprintf(line, sizeof(line), " %s %s", word, more);
		wall_put(p, b->x, b->y + 1, b->width, look, line);
		if (below == 2)
			wall_put(p, b->x + 1, b->y + 2, b->width - 1, look, s->counter);
	}
}

static void paint_work(struct wall_picture *p, const struct box *b, const struct wall_slot *s)
{
	int below = b->height - 1, y = b->y + 1;
	char line[320];

	if (s->state == WALL_RUNS) {
		put_bar(p, b->x, y, b->width, s->fraction);
		if (below >= 2)
			wall_put(p, b->x, y + 1, b->width, LOOK_PLAIN, s->work);
		snprintf(line, sizeof(line), "%s  %s", s->rate ? s->rate : "", s->eta ? s->eta : "");
		if (below >= 3)
			wall_put(p, b->x, y + 2, b->width, LOOK_PLAIN, line);
	} else {
		enum wall_look look = s->state == WALL_WAITS   ? LOOK_WARN
				      : s->state == WALL_EMPTY ? LOOK_DIM
							       : LOOK_PLAIN;

		wall_text(p, b->x, y, b->width, below >= 4 ? below - 2 : MAX(below - 1, 1), look, s->text);
	}
	if (below >= 5)
		wall_put(p, b->x, y + below - 2, b->width, LOOK_PLAIN, s->unit);
	if (below >= (s->state == WALL_RUNS ? 4 : 2))
		wall_put(p, b->x, y + below - 1, b->width, LOOK_DIM, s->counter);
}

/* A cell of one line: the name, and the word or the percents in what is left. */
static void paint_line(struct wall_picture *p, const struct box *b, const struct wall_slot *s)
{
	enum wall_look look = s->state == WALL_PASS    ? LOOK_GOOD
			      : s->state == WALL_FAIL  ? LOOK_BAD
			      : s->state == WALL_WAITS ? LOOK_WARN
						       : LOOK_PLAIN;
	char end[320] = "";
	int room;

	if (s->state == WALL_PASS || s->state == WALL_FAIL)
		snprintf(end, sizeof(end), "%s", s->state == WALL_PASS ? "PASS" : "FAIL");
	else if (s->state == WALL_RUNS)
		snprintf(end, sizeof(end), "%d%%", (int)(s->fraction * 100));
	else
		snprintf(end, sizeof(end), "%s", s->text ? s->text : "");
	fill(p, b->x, b->y, b->width, 1, look);
	/* on a narrow one the name alone; elsewhere the word, at the cost of the name's end */
	room = MAX(b->width - 2 - width_of(s->label),
		   b->width >= WALL_CELL_MIN - 1 ? MAX(b->width / 2, 4) : 0);
	room = MIN(width_of(end), room);
	wall_put(p, b->x + b->width - room, b->y, room, look, end);
	room = b->width - room - 1;
	wall_put(p, b->x, b->y, room, b->chosen ? LOOK_CHOSEN : look, b->chosen ? ">" : s->mark ? "!" : " ");
	wall_put(p, b->x + 1, b->y, room - 1, b->chosen ? LOOK_CHOSEN : look, s->label);
}

void wall_paint(struct wall_picture *p, int top, const struct wall_grid *grid, const struct wall_slot *slots,
		size_t count, size_t chosen, int first)
{
	size_t columns = (size_t)grid->columns, from = (size_t)first * columns;
	size_t end = from + (size_t)grid->shown * columns;

	for (size_t i = from; i < MIN(end, count); i++) {
		int column = (int)i % grid->columns, row = (int)i / grid->columns - first;
		struct box b = { .x = column * grid->width,
				 .y = top + row * grid->height,
				 .width = grid->width - (grid->columns > 1),
				 .height = grid->height,
				 .chosen = i == chosen };

		if (b.height > 3 && grid->rows > 1)
			b.height--; /* a line between the rows */
		if (b.height == 1) {
			paint_line(p, &b, &slots[i]);
			continue;
		}
		put_name(p, &b, &slots[i]);
		if (slots[i].state == WALL_PASS || slots[i].state == WALL_FAIL)
			paint_result(p, &b, &slots[i]);
		else
			paint_work(p, &b, &slots[i]);
	}
}
