/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the image store share. */
#ifndef FDLD_STATION_STORE_INNER_H
#define FDLD_STATION_STORE_INNER_H

#include <pthread.h>
#include <stdatomic.h>

#include "station/store.h"

#define STORE_FILE_MAX 72

struct store_kept {
	char digest[2 * DIGEST_SIZE + 1], name[STORE_NAME_MAX];
	uint64_t size;
	uint32_t uid; /* who brought it: the name is theirs */
};

/* What counts for the quota: of all stores that share it. */
struct store_budget {
	atomic_uint refs;
	atomic_uint_fast64_t used; /* bytes of what is kept, and of imports under way */
};

struct store {
	atomic_uint refs;
	int dir;
	enum store_kind kind;
	struct store_budget *budget;
	pthread_mutex_t mutex; /* over what follows */
	struct store_kept *kept;
	size_t count;
	uint64_t serial; /* of temporary names */
};

/* An import under way. */
struct import {
	struct store_work *work;
	struct store *store;
	char tmp[40];
	int out; /* -1: not open */
	uint64_t reserved;
	struct store_origin origin; /* of loaders; of an image: the pair it was given */
};
/* Room for so many bytes more, of quota and disk; arg is a struct import. */
int store_more_room(void *arg, uint64_t bytes, struct failure *why);
/* Writing to the disk has failed. */
int store_cannot(struct import *in, int err, struct failure *why);
int store_stopped(const struct store_work *work, struct failure *why);
/* store_loader.c: the package or the files of in->work become a package of loaders in in->out. */
int store_take_loaders(struct import *in, struct failure *why);
/* store_swap.c: the package in in->out gets the loaders of in->work->swap. */
int store_swap_loaders(struct import *in, struct failure *why);
const char *store_folder(const struct store *store); /* "image", "loader" */

void store_file(const char *digest, const char *suffix, char name[STORE_FILE_MAX]);
/* With the mutex held. NULL: there is none of this content. */
struct store_kept *store_find(struct store *store, const char *digest);
/* With the mutex held, or at start-up: it is in the index from now on, or has another name. 0 or -ENOMEM. */
int store_keep(struct store *store, const struct store_record *rec);

#endif
