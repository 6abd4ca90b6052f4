/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "station/loader_choose.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool said(const char *text)
{
	return text && *text;
}

/* Of a known family, and not of the one that is wanted. */
static bool other_family(const struct loader_candidate *c, const char *family)
{
	return said(family) && said(c->family) && strcmp(c->family, family) != 0;
}

/* "one (sharkl3), another (sharkl5pro)": what could be named. family "": all. */
static const char *list(const struct loader_candidate *c, uint32_t count, const char *family, char *buf,
			size_t size)
{
	size_t at = 0;

	snprintf(buf, size, "nothing");
	for (uint32_t i = 0; i < count && at < size; i++)
		if (!c[i].failure && !other_family(&c[i], family))
			at += (size_t)snprintf(buf + at, size - at, "%s%s (%s)", at ? ", " : "", c[i].name,
					       said(c[i].family) ? c[i].family : "family unknown");
	if (at >= size)
		memcpy(buf + size - 4, "...", 4);
	return buf;
}

/* Its index, -1: none, -2: several digests begin so. */
static int find(const struct loader_candidate *c, uint32_t count, const char *name)
{
	size_t len = strlen(name);
	int found = -1;

	for (uint32_t i = 0; i < count; i++)
		if (!strcmp(c[i].name, name))
			return (int)i;
	if (len < LOADER_DIGITS_MIN || strspn(name, "0123456789abcdefABCDEF") != len)
		return -1;
	for (uint32_t i = 0; i < count; i++)
		if (!strncasecmp(c[i].digest, name, len))
			found = found == -1 ? (int)i : -2;
	return found;
}

static int take_named(const struct loader_candidate *c, uint32_t count, const char *name,
		      const struct loader_wish *wish, struct failure *why)
{
	const char *by = said(wish->named) ? "" : ", which its slot is to be given,";
	char text[300];
	int i = find(c, count, name);

	if (i == -2)
		return failure_set(why, ERR_LOADER_AMBIGUOUS, "more than one digest begins with %.64s", name);
	if (i < 0)
		return failure_set(why, ERR_NO_LOADER, "'%.64s'%s is not in the loader store; it has %s",
				   name, by, list(c, count, "", text, sizeof(text)));
	if (c[i].failure) {
		if (why)
			*why = *c[i].failure;
		return -error_entry(c[i].failure->error)->err;
	}
	if (!wish->force && other_family(&c[i], wish->family))
		return failure_set(why, ERR_LOADER_MISMATCH, "'%.64s'%s is for %s, the rest is for %s",
				   c[i].name, by, c[i].family, wish->family);
	return i;
}

int loader_choose(const struct loader_candidate *c, uint32_t count, const struct loader_wish *wish,
		  struct failure *why)
{
	uint32_t fit = 0;
	char text[300];
	int only = -1;

	if (said(wish->named))
		return take_named(c, count, wish->named, wish, why);
	if (said(wish->slot))
		return take_named(c, count, wish->slot, wish, why);
	for (uint32_t i = 0; i < count; i++)
		if (!c[i].failure && !other_family(&c[i], wish->family)) {
			only = (int)i;
			fit++;
		}
	if (fit > 1)
		return failure_set(why, ERR_LOADER_AMBIGUOUS, "the loader store has %s",
				   list(c, count, wish->family, text, sizeof(text)));
	if (only >= 0)
		return only;
	if (count && said(wish->family))
		return failure_set(why, ERR_NO_LOADER, "none of the loader store is for %s; it has %s",
				   wish->family, list(c, count, "", text, sizeof(text)));
	return failure_set(why, ERR_NO_LOADER, "the loader store has nothing that can be used");
}
