/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of the history share: history.c (the loop's side), history_work.c (what its worker does),
 * history_db.c (the database), history_sync.c (database against job folders), history_keep.c (what is kept
 * for how long), history_read.c (answers). Everything here blocks and belongs on a worker.
 */
#ifndef FDLD_STATION_HISTORY_INNER_H
#define FDLD_STATION_HISTORY_INNER_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/error.h"
#include "station/history.h"
#include "station/records.h"

/* ---- the database (history_db.c) ------------------------------------------------------------------ */

/* One connection; belongs to one thread at a time. */
struct history_db {
	sqlite3 *sql;
	sqlite3_stmt *put, *put_entry, *drop, *drop_entries;
	bool made; /* the file was not there, or held nothing */
};

/*
 * For writing: made if it is missing, and looked through for damage. 0, or negative errno with *why
 * (HistoryUnusable): -EBADMSG, and only that: the file is no database of ours or a damaged one, and a new one
 * may take its place.
 */
int history_db_open(const char *path, struct history_db *db, struct failure *why);
/* For reading beside a writer. 0, or negative errno with *why. */
int history_db_open_read(const char *path, struct history_db *db, struct failure *why);
void history_db_close(struct history_db *db);

int history_db_begin(struct history_db *db, struct failure *why);
int history_db_commit(struct history_db *db, struct failure *why);
void history_db_rollback(struct history_db *db);
/* One statement without a result. */
int history_db_exec(struct history_db *db, const char *sql, struct failure *why);
/* What went wrong last, as HistoryUnusable; -EBADMSG for damage, else -EIO or what fits better. */
int history_db_fail(const struct history_db *db, int rc, struct failure *why);

/* The row of a job that has ended, with its entries, in place of the one that is there. */
int history_db_put(struct history_db *db, const struct job_record *r, struct failure *why);
int history_db_drop(struct history_db *db, uint64_t job, struct failure *why);
/* Numbers of all rows, rising; *numbers is the caller's. */
int history_db_list(struct history_db *db, uint64_t **numbers, size_t *count, struct failure *why);
int history_db_count(struct history_db *db, uint64_t *count, struct failure *why);
/* The latest end of all, usec since 1970; 0 without a row. */
int history_db_latest(struct history_db *db, uint64_t *at, struct failure *why);
/* A number that is kept beside the rows; 0 if it was never set. */
int history_db_note(struct history_db *db, const char *name, uint64_t *value, struct failure *why);
int history_db_set_note(struct history_db *db, const char *name, uint64_t value, struct failure *why);

/* ---- columns: one table for writing, comparing and showing ------------------------------------------ */

#define HISTORY_TEXT_MAX 4096u

struct history_column {
	const char *name;
	char type; /* t text, i number, and a few odd ones */
	size_t at; /* in struct job_record */
};
extern const struct history_column history_columns[];
extern const size_t history_column_count;
/* A column's value as the database keeps it: number true: *n, else text. null: there is none. */
struct history_value {
	bool null, number;
	int64_t n;
	const char *text;
};
/* buf: HISTORY_TEXT_MAX bytes for what has to be put together. */
struct history_value history_value(const struct job_record *r, size_t column, char *buf);

/* ---- database and files (history_sync.c) ------------------------------------------------------------ */

/* The job has ended and its result can be read: then it is put. *there (may be NULL) says so. */
int history_index(struct history_db *db, struct records *rec, uint64_t job, bool *there, struct failure *why);
/* Jobs without a row get one, rows without a folder go. anew: every row is made again. */
int history_sync(struct history_db *db, struct records *rec, bool anew, struct failure *why);

/* Jobs that must not be looked at or touched, rising; and all from `end` on. */
struct history_spare {
	uint64_t *job;
	size_t count;
	uint64_t end;
};
bool history_spared(const struct history_spare *spare, uint64_t job);

/*
 * Compares rows with files, a line of JSON to `out` for each difference. 0 with the counts, or negative
 * errno with *why.
 */
int history_compare(struct history_db *db, struct records *rec, const struct history_spare *spare, FILE *out,
		    uint64_t *jobs, uint64_t *differences, struct failure *why);

/* ---- retention (history_keep.c) ---------------------------------------------------------------------- */

struct history_policy {
	uint64_t jobs, days, backups, backup_days; /* UINT64_MAX: for ever */
	uint64_t wall;				   /* usec since 1970, as the clock says */
	uint64_t ran; /* usec since the last time in this process, by a clock that nobody sets; 0: the first
			 time */
	uint64_t at;  /* when that was; for whoever asks */
};
/*
 * Job folders and backups that are no longer to be kept, a few hundred at most; *more: there are others. What
 * is spared stays, whatever its age: that is what is owed, and what somebody may still be looking at.
 */
int history_keep(struct history_db *db, struct records *rec, const struct history_policy *policy,
		 const struct history_spare *spare, bool *more, struct failure *why);
/* Rest of what an earlier run was removing. */
void history_sweep(struct records *rec);

/* ---- answers (history_read.c) ------------------------------------------------------------------------ */

/* Writes the lines of an answer; *more: number to go on before, 0 if that was all. */
int history_select(struct history_db *db, const struct history_filter *filter, FILE *out, uint64_t *more,
		   struct failure *why);
/* A string as JSON, with its quotes; bytes that are no UTF-8 become '?'. */
void history_json(FILE *out, const char *text);
/* An anonymous file to be filled through *out; history_sealed() closes *out and gives its descriptor. */
int history_sheet(FILE **out, int *fd, struct failure *why);
int history_sealed(FILE *out, int fd, struct failure *why);

#endif
