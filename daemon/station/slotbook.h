/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is known of a physical place over the years: its label, what came of the jobs on it, and whether it
 * does much worse than its neighbours (a worn cable). One file a place in slot/ of the state directory.
 */
#ifndef FDLD_STATION_SLOTBOOK_H
#define FDLD_STATION_SLOTBOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "station/armed_decide.h"
#include "station/records.h"

#define SLOT_LABEL_MAX	64  /* bytes, with the NUL */
#define SLOT_NOTE_MAX	256 /* likewise */
#define SLOT_LOADER_MAX 256 /* likewise */
#define SLOT_REASON_MAX 24  /* kinds of failure counted apart; further ones are counted as "other" */
#define SLOT_RECENT	32  /* jobs that the comparison with the neighbours rests on */

/* What people bind to the units of a place. "": none. */
struct slot_bound {
	char work_order[64], operator[64], serial[64];
};

struct slot_reason {
	char what[64]; /* "write/DeviceVanished": stage and error */
	uint64_t count;
};

/* What an armed place keeps over restarts. */
struct slot_arm {
	uint64_t armed;	   /* usec since 1970: since then; 0: it is not */
	char rule[64];	   /* no other rule may be taken; "": any */
	char stopped[192]; /* why it was disarmed by itself; "": it was not */
	uint64_t stopped_at;
	struct armed_streak streak;
	uint64_t samples;	     /* armed_sample_due() */
	struct slot_bound run, next; /* of every unit, and of the next one only */
	char passed_unit[65];	     /* that passed here last and was not changed here since; "" none known */
	uint64_t passed_at; /* usec since 1970: when it was here last; while it is: when it came to pass */
	uint64_t passed_job;
};

struct slot_book {
	char id[RECORD_SLOT_MAX];
	char label[SLOT_LABEL_MAX], note[SLOT_NOTE_MAX];
	char loader[SLOT_LOADER_MAX]; /* the pair of the loader store for phones here; "" none */
	char kick[16];	/* how a running phone here is asked into download mode by itself; "": it is not */
	uint64_t since; /* usec since 1970: counted from then on */
	uint64_t attempts, passes, failures;
	uint64_t pass_usec, last_usec;	    /* of all passes together; of the last job */
	uint64_t pass_bytes;		    /* sent in all passes together */
	uint64_t last_at, last_job;	    /* end of the last job, usec since 1970; its number */
	char last_result[16], last_unit[9]; /* unit: first digits of its identity */
	uint32_t recent,
		recent_bad; /* one bit a job, the latest lowest: was there one; was it the place's fault */
	struct slot_reason reason[SLOT_REASON_MAX];
	uint32_t reasons;
	struct slot_arm arm;
};

/* Counts an ended job that had a phone in this place; others (dry runs, refused packages, phones that
 * a rule turned out not to be for) are left out. */
void slot_book_count(struct slot_book *book, const struct job_record *job);
/* All counters to nothing; label, note, loader and what belongs to its being armed stay. */
void slot_book_reset(struct slot_book *book, uint64_t now);
/*
 * Of the latest jobs of this place far more have failed for reasons of phone, cable or port than of all the
 * others together (neighbours: their jobs, and how many of them failed so). Few jobs prove nothing.
 */
bool slot_book_suspect(const struct slot_book *book, uint32_t neighbours, uint32_t neighbours_bad);
/* Jobs that the comparison rests on, and how many of them failed so. */
uint32_t slot_book_recent(const struct slot_book *book, uint32_t *bad);

/* The file's text: 0 and *text (free() it), or -ENOMEM. */
int slot_book_text(const struct slot_book *book, char **text, size_t *len);
/* Replaces the place's file, durably. Worker. Negative errno. */
int slot_book_store(struct records *rec, const char *id, const char *text, size_t len);
/* Removes it. Worker. */
int slot_book_remove(struct records *rec, const char *id);
/* Start-up: every file of slot/; one that cannot be read is set aside as <name>.damaged. 0 or negative errno.
 */
int slot_book_scan(struct records *rec, int (*fn)(void *user, const struct slot_book *book), void *user);

#endif
