/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A backup while it is made: what is wanted of the phone, and what of it is in the folder. */
#ifndef FDLD_CLIENT_BACKUP_H
#define FDLD_CLIENT_BACKUP_H

#include "client/client.h"
#include "client/manifest.h"
#include "client/read.h"

#define BACKUP_NAMES_MAX 64

struct backup {
	struct client *c;
	const char *path; /* of the folder, to show */
	int dir;
	const char *slot;      /* object path */
	char device[128];      /* object path of the phone */
	struct read_wish wish; /* for further jobs: the loader that runs there, this phone and no other */
	struct manifest m;
	struct plan_read want[PLAN_READS_MAX]; /* still to be read */
	size_t wants;
	int worst;	   /* exit code of a partition that could not be read */
	size_t read, kept; /* files */
	uint64_t bytes;	   /* read */
};

/* What a job that has read the table tells of the phone; borrowed from the mirror. */
struct backup_phone {
	char unit[65];			     /* its identity in full, "" if it tells none */
	char device[128];		     /* object path */
	json_object *result, *table, *image; /* table: at least one row; image: properties, or NULL */
};
/* Reads the table of the phone in wish->slot. An exit code, told. */
int backup_learn(struct client *c, const struct read_wish *wish, struct backup_phone *phone);

/*
 * Reads what is wanted, some partitions a job; each gets its name, and the manifest says so, as soon as it is
 * whole. What the phone refuses to give is noted there, and the rest goes on. An exit code,
 * told.
 */
int backup_read(struct backup *b);
/* The first bytes of one partition into memory. An exit code, told. */
int backup_peek(struct backup *b, const char *partition, void *bytes, size_t len);

#endif
