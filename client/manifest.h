/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The folder of a backup: one file a partition, the table as XML, and a manifest that says what all of them
 * are. Whoever works in it holds it locked; a file has its name once it is whole, and the manifest follows.
 */
#ifndef FDLD_CLIENT_MANIFEST_H
#define FDLD_CLIENT_MANIFEST_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "flash/plan.h"

#define MANIFEST_FILE	"manifest.json"
#define MANIFEST_TABLE	"table.xml"
#define MANIFEST_FORMAT 1
#define MANIFEST_MAX	PLAN_READS_MAX

struct manifest_file {
	char partition[40];
	char file[144]; /* a plain name in the folder; empty: it could not be read */
	uint64_t size;	/* bytes */
	char sha256[65];
	char error[48]; /* why it could not be read: name of an error */
};

struct manifest {
	char unit[65];	 /* identity of the phone, 64 hex digits; empty: it tells none, or it was not asked */
	char source[16]; /* of the table: gpt, list, probed */
	uint64_t sector, user_size, created;		  /* bytes; seconds since 1970 */
	json_object *table;				  /* rows as in a job's Result; owned */
	char product[64], storage[32], rom[64], fdld[64]; /* as told; empty: not */
	char slot;					  /* 'a', 'b': only this one's partitions; 0: all */
	bool user_data;
	bool whole; /* all that was asked for is there */
	struct manifest_file file[MANIFEST_MAX];
	size_t count;
};

/*
 * Opens the folder and locks it: to make a backup, and the folder if it is not there (0700), alone; else with
 * others that only read. The descriptor, or negative errno with why: TargetFailed, BackupDamaged (no folder).
 */
int manifest_open(const char *path, bool make, struct failure *why);
/* True: nothing is in the folder, or only what a run has left that began in it. */
bool manifest_empty(int dir);
/* 0; -ENOENT: there is none, nothing said; else BackupDamaged. Zeroes *m first; manifest_free() in any case.
 */
int manifest_load(int dir, struct manifest *m, struct failure *why);
/* Replaces the manifest, durably. 0 or TargetFailed. */
int manifest_save(int dir, const struct manifest *m, struct failure *why);
void manifest_free(struct manifest *m);

/* By name of the partition; make: adds one if there is room. NULL: none. */
struct manifest_file *manifest_find(struct manifest *m, const char *partition, bool make);
/*
 * Name of the file of a partition: its own name, what is no plain character of a name as %XX, and ".img"; of
 * which nothing leads out of the folder or is hidden in it.
 */
void manifest_name(const char *partition, char *buf, size_t size);
/* The file is there, of this size and with this sum: 0. BackupDamaged names what is wrong. */
int manifest_check(int dir, const struct manifest_file *f, struct failure *why);
/* Writes a file of a few bytes under its name, durably. 0 or TargetFailed. */
int manifest_put(int dir, const char *name, const void *bytes, size_t len, struct failure *why);

/* Files that never got their names. The folder is locked alone. */
void manifest_sweep(int dir);

/*
 * The partition, or its class (own, boot-chain, generic), is one of the words of a command line; used marks
 * those that meant something.
 */
bool manifest_named(const char *partition, const char *const *list, size_t count, bool *used);

/* The same table: names and sizes, and starts where both know them. */
bool manifest_same_table(json_object *a, json_object *b);
/* Rows as the flash room reads them. */
void manifest_table(json_object *rows, struct flash_table *t);

#endif
