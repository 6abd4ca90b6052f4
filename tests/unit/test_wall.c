/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The picture that fdlctl top draws: every slot has its place, nothing leaves its cell, and the words can be
 * read at every size.
 */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include <cmocka.h>

#include "client/wall.h"

#define SLOTS 128

static char names[SLOTS][24];

/* A line of the picture as text; of wide characters their first half. */
static const char *line(const struct wall_picture *p, int y)
{
	static char text[4096];
	size_t n = 0;

	for (int x = 0; x < p->width; x++) {
		wchar_t ch = p->at[y * p->width + x].ch;

		if (ch)
			n += (size_t)wctomb(text + n, ch);
	}
	text[n] = '\0';
	return text;
}

static int lines_with(const struct wall_picture *p, const char *word)
{
	int n = 0;

	for (int y = 0; y < p->height; y++)
		n += strstr(line(p, y), word) != NULL;
	return n;
}

static size_t count_look(const struct wall_picture *p, enum wall_look look)
{
	size_t n = 0;

	for (int i = 0; i < p->width * p->height; i++)
		n += p->at[i].look == look;
	return n;
}

static struct wall_slot *fill_slots(size_t count, enum wall_state state)
{
	static struct wall_slot slots[SLOTS];

	for (size_t i = 0; i < count; i++) {
		snprintf(names[i], sizeof(names[i]), "A%zu", i + 1);
		slots[i] = (struct wall_slot){ .state = state,
					       .label = names[i],
					       .unit = "12ab",
					       .work = "write boot",
					       .text = "queued: usb memory",
					       .rate = "31 MiB/s",
					       .eta = "0:12 left",
					       .counter = "12/13  92 %",
					       .fraction = 0.5 };
	}
	return slots;
}

static struct wall_picture *paint(size_t count, int width, int height, const struct wall_slot *slots,
				  size_t chosen)
{
	struct wall_picture *p = wall_new(width, height, L'#');
	struct wall_grid g;

	assert_non_null(p);
	wall_layout(count, width, height, &g);
	wall_paint(p, 0, &g, slots, count, chosen, wall_scroll(&g, chosen, 0));
	return p;
}

/* ---- where cells are ---- */

static void layout_fits(void **state)
{
	static const int sizes[][2] = { { 80, 22 }, { 200, 60 }, { 132, 43 }, { 40, 10 },
					{ 20, 4 },  { 1, 1 },	 { 9, 3 } };

	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		for (size_t n = 0; n <= SLOTS; n++) {
			struct wall_grid g;

			wall_layout(n, sizes[s][0], sizes[s][1], &g);
			assert_true(g.columns >= 1 && g.rows >= 1 && g.width >= 1 && g.height >= 1);
			assert_true(g.columns * g.width <= sizes[s][0]);
			assert_true(g.shown >= 1 && g.shown <= g.rows && g.shown * g.height <= sizes[s][1]);
			assert_true((size_t)(g.columns * g.rows) >= n);
			assert_true((size_t)(g.columns * (g.rows - 1)) < (n ? n : 1));
		}
	}
}

static void sizes_fall(void **state)
{
	struct wall_grid g;
	int before = 1 << 20;

	/* on 80x24 (two lines are the station's) up to 64 slots are all there */
	for (size_t n = 1; n <= 64; n++) {
		wall_layout(n, 80, 22, &g);
		assert_int_equal(g.shown, g.rows);
		assert_true(g.width >= WALL_CELL_MIN);
		assert_true(g.height >= 2); /* a line of its own for the word */
		assert_true(g.width * g.height <= before);
		before = g.width * g.height + 80; /* what does not divide may be lost or won */
	}
	wall_layout(4, 80, 22, &g);
	assert_true(g.width >= WALL_BLOCK_WIDTH && g.height > WALL_BLOCK_HEIGHT);
	wall_layout(9, 80, 22, &g);
	assert_true(g.width >= WALL_BLOCK_WIDTH && g.height >= WALL_BLOCK_HEIGHT);
}

static void scrolls(void **state)
{
	struct wall_grid g;
	int first = 0;

	wall_layout(128, 20, 4, &g);
	assert_true(g.shown < g.rows);
	for (size_t chosen = 0; chosen < 128; chosen++) {
		int row = (int)chosen / g.columns;

		first = wall_scroll(&g, chosen, first);
		assert_true(row >= first && row < first + g.shown && first + g.shown <= g.rows);
	}
	assert_int_equal(wall_scroll(&g, 0, first), 0);
}

/* ---- what stands in them ---- */

static void every_slot_is_there(void **state)
{
	static const enum wall_state all[] = { WALL_EMPTY, WALL_READY, WALL_WAITS,
					       WALL_RUNS,  WALL_PASS,  WALL_FAIL };

	for (size_t s = 0; s < sizeof(all) / sizeof(all[0]); s++) {
		for (size_t n = 1; n <= 64; n++) {
			struct wall_slot *slots = fill_slots(n, all[s]);
			struct wall_picture *p = paint(n, 80, 22, slots, 0);
			size_t found = 0;

			for (size_t i = 0; i < n; i++) {
				char name[16];
				bool there = false;

				snprintf(name, sizeof(name), i ? " %s" : ">%s", names[i]);
				for (int y = 0; y < p->height && !there; y++) {
					const char *at = strstr(line(p, y), name);

					for (; at && !there; at = strstr(at + 1, name))
						there = strspn(at + strlen(name), "0123456789") == 0;
				}
				found += there;
			}
			assert_int_equal(found, n);
			free(p);
		}
	}
}

static void block_letters(void **state)
{
	struct wall_slot *slots = fill_slots(4, WALL_PASS);
	struct wall_picture *p;

	slots[3].state = WALL_FAIL;
	p = paint(4, 80, 22, slots, 0);
	assert_true(count_look(p, LOOK_GOOD) > 3 * 200 && count_look(p, LOOK_BAD) > 200);
	assert_int_equal(lines_with(p, "PASS"), 2); /* in small below the letters, for each row of cells */
	assert_int_equal(lines_with(p, "FAIL write boot"), 1);
	assert_true(lines_with(p, "####   ###   ####  ####") >= 1); /* the tops of P A S S */
	assert_true(lines_with(p, "#####  ###   ###  #") >= 1);	    /* and of F A I L */
	free(p);
}

static void words_when_small(void **state)
{
	struct wall_slot *slots = fill_slots(64, WALL_PASS);
	struct wall_picture *p;

	slots[63].state = WALL_FAIL;
	p = paint(64, 80, 22, slots, 0);
	assert_int_equal(lines_with(p, "FAIL"), 1);
	assert_true(lines_with(p, "PASS") >= 8);
	assert_true(count_look(p, LOOK_BAD) >= 10); /* the whole line of the cell, not the word alone */
	free(p);
	p = paint(64, 80, 8, slots, 0); /* a line for each */
	assert_true(lines_with(p, "PASS") == 8 && lines_with(p, "FAIL") == 1);
	free(p);
	p = paint(1, 5, 1, slots, 0); /* the name before the word */
	assert_int_equal(lines_with(p, ">A1"), 1);
	free(p);
}

static void bar_and_reason(void **state)
{
	struct wall_slot *slots = fill_slots(2, WALL_RUNS);
	struct wall_picture *p = paint(2, 80, 22, slots, 1);

	assert_int_equal(lines_with(p, "######--") > 0, 1);
	assert_true(lines_with(p, " 50 %") > 0 && lines_with(p, "write boot") > 0);
	assert_true(lines_with(p, "31 MiB/s  0:12 left") > 0 && lines_with(p, "12/13  92 %") > 0);
	assert_true(lines_with(p, "12ab") > 0 && lines_with(p, ">A2") == 1 && lines_with(p, ">A1") == 0);
	free(p);
	slots[0].fraction = 7; /* never beyond its cell */
	p = paint(2, 80, 22, slots, 0);
	assert_true(lines_with(p, "100 %") > 0);
	free(p);
	slots = fill_slots(2, WALL_WAITS);
	p = paint(2, 80, 22, slots, 0);
	assert_true(lines_with(p, "queued: usb memory") > 0 && count_look(p, LOOK_WARN) > 0);
	free(p);
}

static void suspect_is_marked(void **state)
{
	struct wall_slot *slots = fill_slots(64, WALL_READY);
	struct wall_picture *p;

	slots[5].mark = "suspect";
	p = paint(6, 80, 22, slots, 0);
	assert_int_equal(lines_with(p, "suspect"), 1);
	free(p);
	slots[5].label = "a label that is long";
	p = paint(64, 80, 22, slots, 0); /* no room for the word: the sign */
	assert_int_equal(lines_with(p, "!"), 1);
	free(p);
	p = paint(64, 80, 8, slots, 0);
	assert_int_equal(lines_with(p, "!"), 1);
	free(p);
}

/* Nothing of one slot is written into another, whatever it is called. */
static void stays_in_its_cell(void **state)
{
	static const char longest[] =
		"QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQ QQQ QQQQ QQ "
		"QQQQ QQQQQ QQQ QQQ Q Q Q Q QQQQ QQQQQQQ QQQQQQQQQQQQQQQQQQQQQQ QQQQQQQQ QQ QQQQQQQ";

	for (int which = WALL_EMPTY; which <= WALL_FAIL; which++) {
		for (size_t n = 1; n <= 64; n++) {
			struct wall_slot *slots = fill_slots(n, (enum wall_state)which);
			size_t odd = n / 2;
			struct wall_picture *p;
			struct wall_grid g;

			slots[odd].label = slots[odd].unit = slots[odd].work = slots[odd].text = longest;
			slots[odd].rate = slots[odd].eta = slots[odd].counter = slots[odd].mark = longest;
			wall_layout(n, 80, 22, &g);
			p = paint(n, 80, 22, slots, 0);
			for (int y = 0; y < 22; y++)
				for (int x = 0; x < 80; x++)
					if (p->at[y * 80 + x].ch == L'Q') {
						assert_int_equal(x / g.width, (int)odd % g.columns);
						assert_int_equal(y / g.height, (int)odd / g.columns);
					}
			free(p);
		}
	}
}

static void wide_characters(void **state)
{
	struct wall_picture *p;

	if (!setlocale(LC_ALL, "C.UTF-8"))
		skip();
	p = wall_new(5, 1, L'#');
	assert_int_equal(wall_put(p, 0, 0, 5, LOOK_PLAIN, "\xe6\x9c\xba\xe4\xbd\x8d\xe4\xb8\x80"),
			 4); /* three of two columns */
	assert_true(p->at[0].ch == 0x673a && p->at[1].ch == 0 && p->at[2].ch == 0x4f4d && p->at[3].ch == 0);
	assert_true(p->at[4].ch == L' ');
	assert_int_equal(wall_put(p, 0, 0, 5, LOOK_PLAIN,
				  "\xff"
				  "b"),
			 2); /* none of the locale */
	assert_true(p->at[0].ch == L'?' && p->at[1].ch == L'b');
	free(p);
	assert_null(wall_new(0, 5, L'#'));
}

static void text_wraps(void **state)
{
	struct wall_picture *p = wall_new(10, 4, L'#');

	assert_int_equal(wall_text(p, 0, 0, 10, 4, LOOK_PLAIN, "one two three\n\nfour"), 4);
	assert_true(!strncmp(line(p, 0), "one two ", 8) && !strncmp(line(p, 1), "three ", 6));
	assert_true(!strncmp(line(p, 2), "     ", 5) && !strncmp(line(p, 3), "four ", 5));
	assert_int_equal(wall_text(p, 0, 0, 10, 2, LOOK_PLAIN, "aaaa bbbbbbb cccccccc dddddd"), 2);
	free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layout_fits),	     cmocka_unit_test(sizes_fall),
		cmocka_unit_test(scrolls),	     cmocka_unit_test(every_slot_is_there),
		cmocka_unit_test(block_letters),     cmocka_unit_test(words_when_small),
		cmocka_unit_test(bar_and_reason),    cmocka_unit_test(suspect_is_marked),
		cmocka_unit_test(stays_in_its_cell), cmocka_unit_test(wide_characters),
		cmocka_unit_test(text_wraps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
