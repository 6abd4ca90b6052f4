/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* read-flash: bytes from an address, or from a number that stands for one, of phones without partitions. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "client/ask.h"
#include "client/read.h"
#include "common/names.h"
#include "common/util.h"

enum { OPT_SLOT = 1, OPT_LOADER, OPT_END, OPT_REPLACE, OPT_FORCE, OPT_WAIT };

static const struct verb_opt options[] = {
	{ "slot", OPT_SLOT, N_("SLOT"), N_("this port; without it the only one with a phone"), false },
	{ "loader", OPT_LOADER, N_("LOADER"), N_("a stored pair, or a package whose loaders to use"), false },
	{ "end", OPT_END, N_("ACTION"), N_("stay (default), reset, power-off"), false },
	{ "wait", OPT_WAIT, N_("SECONDS"), N_("how long to wait for a phone (600; 0: do not)"), false },
	{ "replace", OPT_REPLACE, NULL, N_("replace a file that is there"), false },
	{ "force-loaders", OPT_FORCE, NULL, N_("take loaders that are not of one family"), false },
	{ 0 },
};

/* The three words of the command line as the area they are. */
static int area_of(char **argv, struct read_area *area, char *text, size_t size)
{
	if (!isdigit((unsigned char)*argv[0]) || strpbrk(argv[0], ":+") || strpbrk(argv[1], ":+") ||
	    snprintf(text, size, "%s+%s", argv[0], argv[1]) >= (int)size || !read_area_parse(text, area))
		return client_usage(N_("read-flash: '%s %s' is no address and size: 0x80000003 1M, or auto"),
				    argv[0], argv[1]);
	return 0;
}

static int read_it(struct client *c, struct read_wish *w, struct read_area *area, const char *slot,
		   const char *path, bool replace)
{
	_cleanup_free_ char *place = NULL;
	int rc = read_area_open(c, area, path, replace);

	if (!rc)
		rc = mirror_load(c);
	if (!rc)
		rc = slot ? ask_slot(c, slot, &place) : ask_only_slot(c, "read-flash", &place);
	w->slot = place;
	if (!rc)
		rc = read_run(c, w, area, 1);
	if (!rc)
		read_say_files(c, area, 1);
	if (!rc && !c->json)
		read_say_kept(c, place);
	return rc;
}

static int run(struct client *c, int argc, char **argv)
{
	struct read_area area = { .fd = -1 };
	struct read_wish w = { 0 };
	const char *slot = NULL;
	bool replace = false;
	char text[96];
	int opt, rc;

	while ((opt = verb_next(c, &verb_read_flash, argc, argv, &rc)) != -1)
		switch (opt) {
		case -2: return rc;
		case OPT_SLOT: slot = optarg; break;
		case OPT_LOADER: w.loader = optarg; break;
		case OPT_END: w.end = optarg; break;
		case OPT_REPLACE: replace = true; break;
		case OPT_FORCE: w.force_loaders = true; break;
		case OPT_WAIT:
			w.has_wait = true;
			rc = ask_seconds(optarg, &w.wait_usec);
			if (rc)
				return rc;
			break;
		default: break;
		}
	if (c->host)
		return client_usage(
			N_("read-flash: files do not come through ssh; read on %s and copy it from there"),
			c->host);
	if (argc - optind != 3)
		return client_usage(N_("read-flash: ADDRESS, SIZE or auto, and FILE"));
	rc = area_of(argv + optind, &area, text, sizeof(text));
	if (!rc)
		rc = read_it(c, &w, &area, slot, argv[optind + 2], replace);
	read_area_drop(&area);
	return rc;
}

const struct verb verb_read_flash = {
	.name = "read-flash",
	.args = N_("ADDRESS SIZE|auto FILE"),
	.summary = N_("bytes from an address of a phone without partitions"),
	.about = N_(
		"Reads SIZE bytes (K, M and G count) from an address, or from a number that stands for one, into FILE; "
		"with auto as many as the signed header there tells. The phone is not changed, and stays in its loader."),
	.options = options,
	.operand = OPERAND_NONE,
	.beside = "read",
	.run = run,
};
