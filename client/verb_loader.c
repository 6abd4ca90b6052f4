/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * loader: pairs of loaders that the service keeps, and what two files tell.
 */
#include <errno.h>
#include <string.h>

#include "client/client.h"
#include "client/loader_file.h"
#include "common/util.h"

static int loader(struct client *c, int argc, char **argv)
{
	const char *what;
	int opt, rc;

	while ((opt = verb_next(c, &verb_loader, argc, argv, &rc)) != -1)
		if (opt == -2)
			return rc;
	what = optind < argc ? argv[optind++] : "";
	if (!strcmp(what, "check")) {
		if (argc - optind < 1 || argc - optind > 2)
			return client_usage(N_("loader check: a package, or one or two files: FDL1, FDL2"));
		return loader_check(c, argc - optind, argv + optind);
	}
	return client_usage(N_("loader: what is '%s'?"), what);
}

const struct verb verb_loader = {
	.name = "loader",
	.args = N_("check FILE [FILE]"),
	.summary = N_("what two loaders tell about themselves"),
	.about = N_(
		"check: family, addresses, signatures, versions and doubts of a package's loaders, or of two files (FDL1, then FDL2), "
		"each FILE or FILE@ADDRESS. Needs neither daemon nor phone."),
	.operand = OPERAND_LOADER,
	.beside = "image",
	.run = loader,
};
