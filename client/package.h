/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A package looked at in the client's own process: fdlctl info, and --dry-run of a file. Needs no daemon.
 */
#ifndef FDLD_CLIENT_PACKAGE_H
#define FDLD_CLIENT_PACKAGE_H

#include "client/client.h"

/* What the user asked for, in the words of the command line; NULL: the default. */
struct package_wish {
	const char *file;
	const char *const *only, *const *without;
	size_t only_count, without_count;
	const char *repartition, *level, *end, *nv;
	const char *loader; /* a package whose loaders to use: a file */
	bool erase_all, force_loaders, accept_bad_crc;
};

/* The index-th word that --option takes; "": none of that number; NULL: no more, or the option takes no
 * words. */
const char *package_word(const char *option, size_t index);
/* Prints the plan with its guards. Returns an exit code. */
int package_print_plan(struct client *c, const struct package_wish *wish);

/* The plan of a job, as the phone has decided it. An exit code, told. */
int package_print_decided(struct client *c, const char *job);

/* A remark of a plan, for a person: its key=value behind the words, and no doubt where it only tells. */
void package_remark(const char *remark);

#endif
