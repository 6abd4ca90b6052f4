/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One phone and several jobs on it that are no whole package: each a made package with the phone's loaders
 * and what is asked for, the phone left in FDL2 between them. Whatever a job ends in, the caller can compare
 * what the phone holds with what it held before.
 */
#ifndef TESTS_SIMLIB_WORK_H
#define TESTS_SIMLIB_WORK_H

#include "pac/made.h"
#include "tests/simlib/scenario.h"
#include "tests/simlib/simlib.h"

#define WORK_PARTS 8

struct work_phone {
	struct scenario sc; /* gives loaders and what the phone holds */
	struct source loader[2];
	struct phone *phone;
	struct sim_records *records;
	uint64_t now, seed, job;
	bool stays;		    /* the job before left it in its last loader */
	struct device_facts before; /* what that job learned */
	struct port_record record;  /* what it says of the phone it leaves */
	bool told;
	uint64_t deeds; /* done before the last job */
	/* set by the caller: is this backup durable when the first step begins that changes anything? */
	const char *kept_name;
	const uint8_t *kept_bytes; /* NULL: whatever it holds */
	size_t kept_len;
	bool kept;
	struct sim_config config; /* of the last job: breaks are kept until they are cleared */
	/* where the last job came to decide about a table: how many rows were told to differ */
	bool table_told;
	uint32_t told_rows;
	/* told of each want besides (may be NULL) */
	void (*look)(void *arg, const struct session *s, const struct want *want, uint32_t number);
	void *look_arg;
};

/* An empty made package; add parts, then run. Sources are the caller's. */
struct work_job {
	struct made_part part[WORK_PARTS];
	size_t parts;
	struct made_scheme scheme;
	struct plan_options options;
	struct plan_read read[WORK_PARTS];
	uint32_t reads;
	bool table; /* only the table */
	bool show;  /* only the marks */
	bool look;  /* decide, and change nothing */
	struct mark mark[PLAN_MARKS_MAX];
	uint32_t marks;
	/* afterwards */
	struct failure refused; /* the plan was */
	struct sim_outcome o;
	struct plan *plan;
	struct pac *pac;
	struct made *made;
	struct pac_body *body;
};

/* False: it could not be made. faults may be NULL. */
bool work_begin(struct work_phone *w, const char *profile, uint64_t seed, const struct scenario_want *want,
		const char *faults);
void work_end(struct work_phone *w);
/* The cable is pulled and put back: the next job finds a fresh phone. */
void work_replug(struct work_phone *w);

struct made_part *work_add(struct work_job *j, const char *id, const char *type, const char *partition,
			   uint64_t address, const struct source *source);
/*
 * Makes the package, compiles, runs. True: it ran to an end and the runner saw nothing wrong; how it ended is
 * in j->o, or in j->refused if there was no plan. work_done() releases.
 */
bool work_run(struct work_phone *w, struct work_job *j);
void work_done(struct work_job *j);
/* Deeds of the last job that change the storage. */
size_t work_changes(const struct work_phone *w);

/* How it ended, in words; valid until the next call. */
const char *work_told(const struct work_job *j);
/* It passed, and the phone had nothing to complain about. ran: what work_run() said. */
bool work_passed(const struct work_phone *w, bool ran, const struct work_job *j);
/* It ended in this error, and nothing was changed. */
bool work_refused(const struct work_phone *w, bool ran, const struct work_job *j, enum error_id error);

const struct phone_part *work_part(const struct work_phone *w, const char *name);
bool work_by_number(const struct work_phone *w);
bool work_holds(const struct work_phone *w, const char *place, uint64_t offset, const uint8_t *want,
		size_t len);
/* Its first 4096 bytes. */
bool work_erased(const struct work_phone *w, const char *place);

#endif
