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

struct store {
	atomic_uint refs;
	int dir;
	pthread_mutex_t mutex; /* over what follows */
	struct store_kept *kept;
	size_t count;
	uint64_t reserved; /* bytes of imports under way */
	uint64_t serial;   /* of their temporary names */
};

void store_file(const char *digest, const char *suffix, char name[STORE_FILE_MAX]);
/* With the mutex held. NULL: there is none of this content. */
struct store_kept *store_find(struct store *store, const char *digest);
/* With the mutex held, or at start-up: it is in the index from now on, or has another name. 0 or -ENOMEM. */
int store_keep(struct store *store, const struct store_record *rec);

#endif
