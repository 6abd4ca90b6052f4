/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the history's worker does. The database belongs to the worker's one thread; a task that is left behind
 * in a disk that does not answer holds its own reference.
 */
#ifndef FDLD_STATION_HISTORY_WORK_H
#define FDLD_STATION_HISTORY_WORK_H

#include "station/history_inner.h"

struct history_store;

struct history_store *history_store_new(const char *state_dir, struct records *rec); /* NULL: no memory */
struct history_store *history_store_ref(struct history_store *s);
void history_store_unref(struct history_store *s); /* any thread; the last one closes */
const char *history_store_path(const struct history_store *s);
struct records *history_store_records(const struct history_store *s);

struct history_work {
	/* asked */
	uint64_t *job; /* to be looked at anew */
	size_t count;
	bool anew, compare, keep;
	struct history_policy policy;
	struct history_spare spare_all, spare_open; /* for keep: owed and looked at; for compare: not ended */
	FILE *out;				    /* of compare */
	/* answered */
	uint64_t rows, compared, differences;
	bool more;	  /* there is more to be removed */
	bool set_aside;	  /* the file was damaged; a new one has taken its place */
	char detail[200]; /* what was wrong with it */
};
/* Opens what is not open, catches up, then does what was asked. 0 or negative errno with *why. */
int history_store_work(struct history_store *s, struct history_work *w, struct failure *why);

#endif
