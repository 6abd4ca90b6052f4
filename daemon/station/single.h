/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Single work on a phone that is no package: one partition written, areas erased, a table, marks. What is to
 * be done is put together here entry by entry; with the loaders of a pair it becomes a package (pac/made.h),
 * that becomes an image nobody else sees, and that image is worked on by a job like any other.
 *
 *	struct single *s = single_new("erase", "misc, logo");
 *	single_add(s, &(struct made_part){ .id = "misc", .type = "EraseFlash2", .partition = "misc" });
 *	r = single_ask(st, request, s, &options, done, user, why);
 *
 * The pair is chosen as for a read (job_loader()), and is what stays known of the phone when it is kept in
 * its loader: the package goes with its job.
 */
#ifndef FDLD_STATION_SINGLE_H
#define FDLD_STATION_SINGLE_H

#include "flash/plan.h"
#include "pac/made.h"
#include "station/station.h"

#define SINGLE_PARTS_MAX (PLAN_READS_MAX + 8)

struct package;
struct package_reader;

/* One entry. The texts of `made` stand here. */
struct single_part {
	struct made_part made;
	char id[64], type[24], partition[40], name[256];
	uint8_t *bytes; /* its file: owned, of the size that is said; or */
	uint64_t size;
	int fd; /* a descriptor, owned: all of the file behind it, whose size is looked up; -1: neither, it is
		   an operation */
};

struct single {
	char kind[16];	/* of the job: "erase", "write", ... */
	char name[256]; /* what the job is about, for people: "misc, logo" */
	struct single_part part[SINGLE_PARTS_MAX];
	uint32_t parts;
	struct made_scheme
		scheme; /* product, flash_type and table are filled in; what nv points to is arg's */
	struct scheme_table table;	  /* owned; of a repartition: present */
	struct mark mark[PLAN_MARKS_MAX]; /* then nothing else, and the plan is of these */
	uint32_t marks;
	bool failed; /* memory was short, or there was no room for another: single_ask() says so */
	/* On the worker that makes the package, before it does: to look at files. May add parts. */
	int (*prepare)(struct single *s, void *arg, struct failure *why);
	void (*release)(void *arg); /* of arg; NULL: nothing to do */
	void *arg;
};

struct single *single_new(const char *kind, const char *name); /* NULL: no memory */
void single_free(struct single *s);			       /* NULL is fine; any thread */
/* Adds a copy, texts too; its source is not looked at. The part's bytes or descriptor may be set then. NULL:
 * s->failed. */
struct single_part *single_add(struct single *s, const struct made_part *made);

/*
 * Asks for the job on request->slot, which is not NULL. Takes s, also on failure. options: as they go to the
 * plan; own is OWN_REFUSE or OWN_I_KNOW. Of the request options are not looked at. 0: done() is called once,
 * never from within. As station_read(); besides what pac_made(), the parser and the plan may say.
 */
int single_ask(struct station *st, const struct job_request *request, struct single *s,
	       const struct plan_options *options, station_job_fn done, void *user, struct failure *why);

/*
 * The options of single work: as options_translate(), but the phone stays, what is written is compared, and
 * the phone's own is left alone, unless something else was said. 0 or InvalidArgs.
 */
int single_options(const struct job_options *in, const struct settings *set, struct plan_options *out,
		   struct failure *why);

/*
 * On a worker: the package. loaders: a reader of the pair's package, which remembers what it has read
 * that was not proved yet. 0 and *out (package_unref()), not parsed; PackageNoLoader, PackageReadFailed,
 * PackageChanged, InvalidImage (a file: which, and why), InvalidArgs, Internal.
 */
int single_package(struct single *s, struct package_reader *loaders, struct package **out,
		   struct failure *why);

#endif
