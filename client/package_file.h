/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A package file opened by the client itself, and its plan. Shared by info and --dry-run.
 */
#ifndef FDLD_CLIENT_PACKAGE_FILE_H
#define FDLD_CLIENT_PACKAGE_FILE_H

#include "client/package.h"
#include "flash/plan.h"
#include "pac/pac.h"

struct package_file {
	int fd;
	struct source source;
	struct pac *pac;
};

/* Opens and reads the structure (pac_open). 0, or negative errno with *why. package_close() in any case. */
int package_open(const char *path, const struct pac_options *options, struct package_file *f,
		 struct failure *why);
void package_close(struct package_file *f);

/* Compiles the plan a wish asks for; loaders: whose are used, NULL: its own. 0 or an exit code; usage errors
 * are printed, others are in *why. */
int package_plan(const struct package_wish *wish, const struct pac *pac, const struct pac *loaders,
		 struct plan **plan, struct failure *why);
json_object *package_plan_json(const struct plan *plan);
void package_plan_text(const struct client *c, const struct plan *plan);

#endif
