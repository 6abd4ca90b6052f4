/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/bus/screen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void blank(struct screen *s, int y, int from, int to)
{
	for (int x = from; x < to && x < s->cols; x++)
		s->text[y][x] = ' ';
}

/* Lines from y on go n down (or up), within what scrolls. */
static void shift(struct screen *s, int y, int n)
{
	for (int k = abs(n); k > 0; k--) {
		if (n > 0)
			for (int i = s->bottom; i > y; i--)
				memcpy(s->text[i], s->text[i - 1], sizeof(s->text[i]));
		else
			for (int i = y; i < s->bottom; i++)
				memcpy(s->text[i], s->text[i + 1], sizeof(s->text[i]));
		blank(s, n > 0 ? y : s->bottom, 0, s->cols);
	}
}

static void go(struct screen *s, int y, int x)
{
	s->y = y < 0 ? 0 : y >= s->rows ? s->rows - 1 : y;
	s->x = x < 0 ? 0 : x >= s->cols ? s->cols - 1 : x;
}

static void put(struct screen *s, char c)
{
	if (s->x >= s->cols) { /* it wraps when the next character comes */
		s->x = 0;
		if (s->y == s->bottom)
			shift(s, s->top, -1);
		else
			s->y++;
	}
	s->text[s->y][s->x++] = c;
}

static void mode(struct screen *s, int number, bool on)
{
	if (number == 1049)
		s->alternate = on;
	if (number == 25)
		s->hidden = !on;
}

static void erase(struct screen *s, int what)
{
	for (int y = 0; y < s->rows; y++) {
		bool before = y<s->y, after = y> s->y;

		if ((before && what >= 1) || (after && what != 1))
			blank(s, y, 0, s->cols);
	}
	blank(s, s->y, what ? 0 : s->x, what == 1 ? s->x + 1 : s->cols);
}

static void characters(struct screen *s, char how, int n)
{
	char *line = s->text[s->y];
	int rest = s->cols - s->x;

	n = n > rest ? rest : n;
	if (how == '@')
		memmove(line + s->x + n, line + s->x, (size_t)(rest - n));
	if (how == 'P') {
		memmove(line + s->x, line + s->x + n, (size_t)(rest - n));
		blank(s, s->y, s->cols - n, s->cols);
	} else {
		blank(s, s->y, s->x, s->x + n);
	}
}

static bool control(struct screen *s, char how, bool asked, const int *n, int count, char last)
{
	int one = n[0] ? n[0] : 1, two = n[1] ? n[1] : 1;

	switch (how) {
	case 'H':
	case 'f': go(s, one - 1, two - 1); break;
	case 'A': go(s, s->y - one, s->x); break;
	case 'B': go(s, s->y + one, s->x); break;
	case 'C': go(s, s->y, s->x + one); break;
	case 'D': go(s, s->y, s->x - one); break;
	case 'G': go(s, s->y, one - 1); break;
	case 'd': go(s, one - 1, s->x); break;
	case 'J': erase(s, n[0]); break;
	case 'K': blank(s, s->y, n[0] ? 0 : s->x, n[0] == 1 ? s->x + 1 : s->cols); break;
	case 'L': shift(s, s->y, one); break;
	case 'M': shift(s, s->y, -one); break;
	case 'S': shift(s, s->top, -one); break;
	case 'T': shift(s, s->top, one); break;
	case '@':
	case 'P':
	case 'X': characters(s, how, one); break;
	case 'b':
		for (int i = 0; i < one; i++)
			put(s, last);
		break;
	case 'r':
		s->top = one - 1;
		s->bottom = count > 1 && n[1] ? n[1] - 1 : s->rows - 1;
		go(s, 0, 0);
		break;
	case 'm':
		for (int i = 0; i < count; i++)
			s->colours += (n[i] >= 30 && n[i] <= 38) || (n[i] >= 40 && n[i] <= 48) || n[i] >= 90;
		break;
	case 'h':
	case 'l':
		for (int i = 0; asked && i < count; i++)
			mode(s, n[i], how == 'h');
		break;
	case 't':
	case 'c': break;
	default: return false;
	}
	return true;
}

/* What stands behind ESC; its length. */
static size_t sequence(struct screen *s, const char *p, size_t len, char last)
{
	int n[16] = { 0 }, count = 1;
	bool asked = false;
	size_t i = 1;

	if (len < 2)
		return len;
	if (p[0] == '(' || p[0] == ')')
		return 2;
	if (p[0] == 'M') {
		if (s->y == s->top)
			shift(s, s->top, 1);
		else
			go(s, s->y - 1, s->x);
		return 1;
	}
	if (p[0] != '[')
		return 1;
	for (; i < len && (p[i] < '@' || p[i] > '~'); i++) {
		if (p[i] == '?' || p[i] == '>' || p[i] == '!')
			asked = true;
		else if (p[i] == ';' && count < 16)
			count++;
		else if (p[i] >= '0' && p[i] <= '9' && n[count - 1] < 10000)
			n[count - 1] = n[count - 1] * 10 + p[i] - '0';
	}
	if (i < len && !control(s, p[i], asked, n, count, last) && !s->unknown[0])
		snprintf(s->unknown, sizeof(s->unknown), "%.*s", (int)i + 1, p);
	return i + (i < len);
}

void screen_show(struct screen *s, int rows, int cols, const char *bytes, size_t len)
{
	char last = ' ';

	memset(s, 0, sizeof(*s));
	s->rows = rows < SCREEN_ROWS ? rows : SCREEN_ROWS;
	s->cols = cols < SCREEN_COLS ? cols : SCREEN_COLS;
	s->bottom = s->rows - 1;
	for (int y = 0; y < s->rows; y++)
		blank(s, y, 0, s->cols);
	for (size_t i = 0; i < len; i++) {
		switch (bytes[i]) {
		case '\033': i += sequence(s, bytes + i + 1, len - i - 1, last); break;
		case '\r': s->x = 0; break;
		case '\b': go(s, s->y, (s->x < s->cols ? s->x : s->cols - 1) - 1); break;
		case '\t': go(s, s->y, (s->x / 8 + 1) * 8); break;
		case '\n':
			if (s->y == s->bottom)
				shift(s, s->top, -1);
			else
				go(s, s->y + 1, s->x);
			break;
		default:
			/* of other characters than ASCII: one, a block as '#' */
			if ((unsigned char)bytes[i] >= 0xc0)
				put(s, last = (unsigned char)bytes[i] == 0xe2 ? '#' : '?');
			else if (bytes[i] >= ' ')
				put(s, last = bytes[i]);
		}
	}
}

int screen_find(const struct screen *s, int from, const char *text)
{
	for (int y = from; y < s->rows; y++)
		if (strstr(s->text[y], text))
			return y;
	return -1;
}
