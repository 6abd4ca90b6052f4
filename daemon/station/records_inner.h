/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What records.c (files) and account.c (what stands in them) share.
 */
#ifndef FDLD_STATION_RECORDS_INNER_H
#define FDLD_STATION_RECORDS_INNER_H

#include <pthread.h>
#include <stdatomic.h>

#include "station/records.h"

struct records {
	atomic_uint refs;
	int state, jobs, runtime, lock; /* descriptors; runtime -1: none */
	pthread_mutex_t mutex;
	uint64_t next; /* job number */
	char boot_id[64];
};

int records_job_dir(struct records *rec, uint64_t job); /* a descriptor or negative errno */
/* Temporary file, rename; durable: with fsync of both. Negative errno. */
int records_write_at(int dir, const char *name, const char *text, size_t len, bool durable);
/* most: bytes; a longer file is -EFBIG. */
int records_read_at(int dir, const char *name, size_t most, char **text, size_t *len);
/* A file's name for a place (at most 58 bytes): what is unusual in its id is replaced, a sum keeps two such
 * apart. */
void records_place_name(const char *slot, char *name, size_t size);

#endif
