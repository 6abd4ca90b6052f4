/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the verbs have in common that change single things on a phone: options, a question, the job, its end.
 */
#ifndef FDLD_CLIENT_CHANGE_H
#define FDLD_CLIENT_CHANGE_H

#include "client/client.h"

struct change_wish {
	const char *slot;   /* as on the command line; NULL: the only one with a phone */
	const char *loader; /* a file or a name; NULL: the daemon chooses */
	const char *end, *level;
	const char *expect; /* object path of the phone that is meant; NULL: whichever is there */
	bool i_know, without_backup, force_loaders, dry_run, yes, has_wait;
	uint64_t wait_usec;
	char *path; /* of the slot, once it is found; change_drop() */
};

/* Their keys are above those of a verb's own options. */
enum {
	CHANGE_SLOT = 512,
	CHANGE_LOADER,
	CHANGE_END,
	CHANGE_LEVEL,
	CHANGE_KNOW,
	CHANGE_WITHOUT,
	CHANGE_FORCE,
	CHANGE_DRY,
	CHANGE_YES,
	CHANGE_WAIT
};

/* Rows of a verb's table. */
#define CHANGE_OPTIONS                                                                                     \
	{ "slot", CHANGE_SLOT, N_("SLOT"), N_("this port; without it the only one with a phone"), false }, \
		{ "loader", CHANGE_LOADER, N_("LOADER"),                                                   \
		  N_("a stored pair, or a package whose loaders to use"), false },                         \
		{ "dry-run", CHANGE_DRY, NULL, N_("print the plan, as the phone decides it"), false },     \
		{ "i-know", CHANGE_KNOW, NULL, N_("also what is this phone's own; it is kept before"),     \
		  false },                                                                                 \
		{ "without-backup", CHANGE_WITHOUT, NULL, N_("go on though that cannot be kept"), false }, \
		{ "level", CHANGE_LEVEL, N_("LEVEL"), N_("verified (default): read back; acknowledged"),   \
		  false },                                                                                 \
		{ "end", CHANGE_END, N_("ACTION"), N_("stay (default), reset, power-off"), false },        \
		{ "wait", CHANGE_WAIT, N_("SECONDS"), N_("how long to wait for a phone (600; 0: do not)"), \
		  false },                                                                                 \
		{ "force-loaders", CHANGE_FORCE, NULL, N_("take loaders that are not of one family"),      \
		  false },                                                                                 \
	{                                                                                                  \
		"yes", CHANGE_YES, NULL, N_("do not ask"), false                                           \
	}

/* Takes an option that verb_next() gave. 0, or an exit code, told. */
int change_take(struct change_wish *w, int opt);
void change_drop(struct change_wish *w);
/* Loads the mirror and finds the slot. An exit code, told. */
int change_begin(struct client *c, struct change_wish *w, const char *verb);
/*
 * On a terminal: asks whether this is meant, unless that was said (--yes) or nothing is changed (--dry-run).
 * what: a line or several. 0, or the exit code of a usage error when it is not.
 */
int change_confirm(const struct client *c, const struct change_wish *w, const char *what);
/* The common options into an open a{sv}. Negative errno; *rc: an exit code, told. */
int change_put(struct client *c, sd_bus_message *m, const struct change_wish *w, int *rc);
/*
 * Sends the call (r: how far it came), follows the job; prints the plan of a dry run, and how long the phone
 * stays as it is. An exit code, told.
 */
int change_run(struct client *c, const struct change_wish *w, sd_bus_message *m, int r);

#endif
