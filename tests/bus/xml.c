/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/bus/xml.h"

#include <expat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINES 256

/* An interface as lines, one for each member, argument and annotation; each begins with the member's name. */
struct shape {
	const char *interface;
	bool inside;
	char member[80];
	char *line[LINES];
	unsigned int count;
};

static const char *attribute(const char **a, const char *name)
{
	for (; a[0]; a += 2)
		if (!strcmp(a[0], name))
			return a[1];
	return "";
}

static void add(struct shape *s, const char *tag, const char **a)
{
	/* the direction of a signal's argument and the access of a property have one value only */
	const char *direction = attribute(a, "direction");
	char text[256];

	snprintf(text, sizeof(text), "%s | %s name=%s type=%s direction=%s value=%s", s->member, tag,
		 attribute(a, "name"), attribute(a, "type"), direction, attribute(a, "value"));
	if (s->count < LINES)
		s->line[s->count++] = strdup(text);
}

static void on_start(void *user, const char *tag, const char **a)
{
	struct shape *s = user;

	if (!strcmp(tag, "interface")) {
		s->inside = !strcmp(attribute(a, "name"), s->interface);
		return;
	}
	if (!s->inside)
		return;
	if (!strcmp(tag, "method") || !strcmp(tag, "signal") || !strcmp(tag, "property"))
		snprintf(s->member, sizeof(s->member), "%s %s", tag, attribute(a, "name"));
	add(s, tag, a);
}

static void on_end(void *user, const char *tag)
{
	struct shape *s = user;

	if (!strcmp(tag, "interface"))
		s->inside = false;
}

/* Members may stand in any order, the lines of one member may not. */
static int by_member(const void *a, const void *b)
{
	const char *x = *(char *const *)a, *y = *(char *const *)b;

	return strcmp(x, y);
}

/* Numbers the lines of each member, so that sorting keeps the order of arguments. */
static void sort(struct shape *s)
{
	for (unsigned int i = 0; i < s->count; i++) {
		char *bar = strstr(s->line[i], " | "), *numbered = NULL;

		if (asprintf(&numbered, "%.*s %03u%s", (int)(bar - s->line[i]), s->line[i], 0, bar) < 0)
			abort();
		for (unsigned int k = 0, n = 0; k < i; k++)
			if (!strncmp(s->line[k], numbered, (size_t)(bar - s->line[i]) + 1)) {
				n++;
				snprintf(numbered + (bar - s->line[i]) + 1, 4, "%03u", n);
				numbered[(bar - s->line[i]) + 4] = ' ';
			}
		free(s->line[i]);
		s->line[i] = numbered;
	}
	qsort(s->line, s->count, sizeof(s->line[0]), by_member);
}

static bool parse(struct shape *s, const char *text, size_t len)
{
	XML_Parser parser = XML_ParserCreate(NULL);
	bool ok;

	XML_SetUserData(parser, s);
	XML_SetElementHandler(parser, on_start, on_end);
	ok = XML_Parse(parser, text, (int)len, 1) == XML_STATUS_OK;
	XML_ParserFree(parser);
	sort(s);
	return ok;
}

static void clear(struct shape *s)
{
	for (unsigned int i = 0; i < s->count; i++)
		free(s->line[i]);
}

bool xml_same(const char *live, const char *interface, char *wrong, size_t room)
{
	struct shape is = { .interface = interface }, promised = { .interface = interface };
	char path[128], text[32768];
	size_t len = 0;
	FILE *f;

	snprintf(path, sizeof(path), "dbus/%s.xml", interface);
	f = fopen(path, "r");
	if (f) {
		len = fread(text, 1, sizeof(text), f);
		fclose(f);
	}
	wrong[0] = '\0';
	if (!len || !parse(&promised, text, len) || !parse(&is, live, strlen(live)))
		snprintf(wrong, room, "%s or the answer cannot be parsed", path);
	else if (!promised.count)
		snprintf(wrong, room, "%s says nothing", path);
	for (unsigned int i = 0; !wrong[0] && i < promised.count && i < is.count; i++)
		if (strcmp(is.line[i], promised.line[i]))
			snprintf(wrong, room, "is '%s', promised '%s'", is.line[i], promised.line[i]);
	if (!wrong[0] && is.count != promised.count)
		snprintf(wrong, room, "%u lines are, %u are promised", is.count, promised.count);
	clear(&is);
	clear(&promised);
	return !wrong[0];
}
