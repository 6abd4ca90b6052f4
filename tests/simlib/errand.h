/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Single things as a person asks for them, made up at random: a place written or erased, areas saved, a
 * backup put back in the client's order, another table, marks; some take several jobs. And the question after
 * each job that passed: is it done, to the byte, and is nothing else touched that stands beside it?
 */
#ifndef TESTS_SIMLIB_ERRAND_H
#define TESTS_SIMLIB_ERRAND_H

#include "tests/simlib/work.h"

enum errand_kind {
	ERRAND_WRITE,	   /* one place */
	ERRAND_ERASE,	   /* one place */
	ERRAND_ERASE_SOME, /* several in one job */
	ERRAND_NV,	   /* an NV image of a file: merged */
	ERRAND_RESTORE,	   /* what is the phone's own, NV, several others: a job each */
	ERRAND_READ,	   /* a piece of one place */
	ERRAND_SAVE,	   /* the table, then area after area: the whole phone, or some of it */
	/* from here on phones whose places have names, and a table */
	ERRAND_START, /* what is started next; with it the factory reset */
	ERRAND_SLOT,
	ERRAND_VERITY,
	ERRAND_MODE,	   /* of the first start */
	ERRAND_SHOW,	   /* the marks there are */
	ERRAND_LEARN,	   /* the table */
	ERRAND_LOOK,	   /* what another table would do */
	ERRAND_TABLE,	   /* and it is done */
	ERRAND_GIVE_UP,	   /* miscdata erased, in so many words */
	ERRAND_EVERYTHING, /* all erased, in so many words */
	ERRAND_KINDS
};

/* What is said in addition after a refusal. */
struct errand_word {
	char nv_from[24];
	bool without_backup, nv_if_any;
};

#define ERRAND_JOBS 4

struct errand_part {
	char name[40], id[48];
	uint64_t address;
	uint8_t *bytes; /* NULL: erased */
	size_t len;
	struct source source;
	bool nv, own;
};

struct errand {
	enum errand_kind kind;
	bool number; /* the phone's places have numbers */
	struct errand_part part[WORK_PARTS];
	size_t parts;
	size_t first[ERRAND_JOBS + 1]; /* RESTORE: parts of each job */
	uint32_t job, jobs;
	struct plan_read *area; /* SAVE; known after its first job */
	uint32_t areas;
	struct scheme_table table;
	bool same; /* the phone has this table already */
	struct scheme_nv_item nv[MADE_NV_ITEMS];
	size_t nvs;
	struct mark mark;
	char place[40];	 /* that a mark stands in */
	uint8_t *before; /* all of it */
	size_t before_len;
	const char *gives_up; /* in so many words; NULL nothing */
};

/* Puts into the phone what errands with marks need to find there. */
void errand_prepare(struct work_phone *w, uint64_t seed);
bool errand_fits(const struct work_phone *w, enum errand_kind kind);
/* Another table: which; at random if nothing else is said. */
enum errand_table { ERRAND_TABLE_ANY, ERRAND_TABLE_SAME, ERRAND_TABLE_WITHOUT_OWN, ERRAND_TABLE_LARGER };

/* table: of TABLE and LOOK. False: no memory. errand_free() in any case. */
bool errand_make(struct errand *e, const struct work_phone *w, enum errand_kind kind, enum errand_table table,
		 struct sim_random *r);
void errand_free(struct errand *e);
const char *errand_name(enum errand_kind kind);

/* The job that is due. Sets w->kept_name where something is given up. */
void errand_build(struct errand *e, struct work_phone *w, const struct errand_word *word,
		  enum verify_level level, bool stay, struct work_job *j);
/* The job changes nothing on the phone. */
bool errand_reads(const struct errand *e);
/* It passed: has it done what it was for? text says what not. */
bool errand_done(const struct errand *e, struct work_phone *w, const struct work_job *j, char *text,
		 size_t size);
/* On to the next job; false: that was the last. False with e->kind SAVE and no area: nothing could be
 * learned. */
bool errand_next(struct errand *e, const struct work_phone *w, struct sim_random *r);

/* The phone would not give this area, and it cannot (true): the others can be had. */
bool errand_leave(struct errand *e, const struct work_phone *w, const char *area);

/* What is the phone's own is on it, or in a durable copy with those bytes; gone: given up, not looked at. */
bool errand_own_safe(const struct work_phone *w, const char *gone, char *text, size_t size);
/* The rows of the phone are those of the table, in its order. */
bool errand_rows_are(const struct work_phone *w, const struct scheme_table *t, char *text, size_t size);

#endif
