/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which backups are owed, and to whom: an index in memory over what the job folders say. A backup is owed
 * from the moment its job is about to destroy something until a job says that it was written back and read
 * back. Belongs to the loop's thread.
 */
#ifndef FDLD_STATION_OWED_H
#define FDLD_STATION_OWED_H

#include <stdbool.h>
#include <stdint.h>

#include "station/records.h"

struct owed {
	struct owed *next; /* by rising job number */
	uint64_t job;
	char unit[65]; /* "": no identity */
	char slot[RECORD_SLOT_MAX];
	struct record_backup backups[RECORD_BACKUPS_MAX];
	uint32_t backup_count;
};

struct owed_index {
	struct owed *first;
};

/* A record from the start-up scan, in rising order: adds what it owes, takes away what it has settled. 0 or
 * -ENOMEM. */
int owed_learn(struct owed_index *ix, const struct job_record *record);
/* 0 or -ENOMEM; adding one that is there replaces its file list. What was stored as no valid NV (.raw), or
 * is given up by the job that kept it (.was), is owed to nobody and left out; where nothing is left nothing
 * is owed. */
int owed_add(struct owed_index *ix, uint64_t job, const char *unit, const char *slot,
	     const struct record_backup *backups, uint32_t count);
void owed_settle(struct owed_index *ix, uint64_t job);
void owed_clear(struct owed_index *ix);
const struct owed *owed_find(const struct owed_index *ix, uint64_t job);
/* The oldest that is owed to a phone of this place; NULL: none. */
const struct owed *owed_of_slot(const struct owed_index *ix, const char *slot);

struct owed_match {
	const struct owed *owed;
	const struct record_backup *backup;
	bool same_unit;
};
/*
 * What may belong to the phone with this identity in this place: first those of the same unit, then, where
 * either side has no identity, those of the same slot; the oldest job first. named: a job that a person has
 * named (0: none): it counts from any slot, but never for a unit that is known to be another. Returns how
 * many there are, which may be more than the max that are filled in.
 */
uint32_t owed_query(const struct owed_index *ix, const char *unit, const char *slot, uint64_t named,
		    struct owed_match *match, uint32_t max);
/*
 * A job has written NV back to this unit and read it back: fills jobs with those that owe nothing any more
 * (same unit, or named). Returns how many.
 */
uint32_t owed_settled_by(const struct owed_index *ix, const char *unit, uint64_t named, uint64_t self,
			 uint64_t *jobs, uint32_t max);

#endif
