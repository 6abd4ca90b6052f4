/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A pair of loaders as files, or inside a package, looked at in the client's own process.
 */
#ifndef FDLD_CLIENT_LOADER_FILE_H
#define FDLD_CLIENT_LOADER_FILE_H

#include "client/client.h"
#include "client/package_file.h"
#include "pac/digest.h"
#include "pac/pair.h"

struct loader_file {
	const char *path; /* "": there is none */
	char *text;	  /* what path points into */
	int fd;
	struct source source;
	uint64_t address; /* said behind the '@'; 0: not said */
	uint64_t at;	  /* bytes: where it begins in the file (packages) */
	struct loader_info info;
	char digest[2 * DIGEST_SIZE + 1];
	int looks; /* 1, 2: which loader it looks like; 0: nothing tells */
	enum sureness looks_sure;
};

struct loader_files {
	struct loader_file part[2];
	struct package_file package; /* of which they are parts; package.pac NULL: none */
	struct pair_verdict verdict;
};

/* FILE or FILE@ADDRESS as the loader of this stage. 0 or an exit code, after a message. */
int loader_file_open(struct client *c, const char *spec, int stage, struct loader_file *f);
/* A package, or one or two files (first and second loader in this order, stage 0: as they look). 0 or an exit
 * code. loader_files_close() in any case. */
int loader_files_open(struct client *c, int count, char **specs, struct loader_files *files);
void loader_files_judge(struct loader_files *files);
void loader_files_close(struct loader_files *files);

/* loader check. Returns an exit code. */
int loader_check(struct client *c, int count, char **specs);

#endif
