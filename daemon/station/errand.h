/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Jobs that talk to no loader: something is done to a place, or to a phone that runs, and there is no plan,
 * no session, and maybe no phone. What is to be done is a struct errand in front of a structure of its own;
 * the slot owns it from the moment it is asked for, so that nothing else begins there, until it is over.
 */
#ifndef FDLD_STATION_ERRAND_H
#define FDLD_STATION_ERRAND_H

#include "station/internal.h"

struct errand;

struct errand_kind {
	const char *name;  /* of the job; at most 11 bytes */
	const char *stage; /* that it begins in */
	/* Its job is there and runs. 0, and errand_over() is called once, maybe from within; or negative
	 * errno with *why: nothing has begun. */
	int (*begin)(struct errand *errand, struct failure *why);
	/* Stops soon, and calls errand_over() then or from within. NULL: it cannot be stopped half way. */
	void (*stop)(struct errand *errand, const char *why);
	/* Lets go of what is under way: nothing comes of it any more. Frees what is behind the errand. */
	void (*drop)(struct errand *errand);
	/* When the service is told to end it is stopped at once, rather than done to its end. */
	bool hasty;
};

struct errand {
	const struct errand_kind *kind;
	struct slot *slot;
	struct job *job; /* NULL: on its way into being */
};

/*
 * Asks for a job that does it. Takes the errand (from malloc()), also when it fails; its kind is filled in.
 * done() as station_flash() says. Negative errno with *why: SlotBusy, Draining, LimitsExceeded, Internal.
 */
int errand_ask(struct errand *errand, struct slot *slot, const struct station_caller *caller,
	       station_job_fn done, void *user, struct failure *why);
/* job.c: nothing came of asking; the job is there, and is told of next. */
void errand_lost(struct errand *errand);
void errand_begin(struct job *job);
/* What it does now: a word of no more than 15 bytes. until: monotonic, when it gives up on what why tells; 0:
 * nothing is waited for. Both strings stay. */
void errand_stage(struct errand *errand, const char *stage, const char *why, uint64_t until);
/* The end of the job: why NULL, it has done what it was asked. Frees the errand. */
void errand_over(struct errand *errand, const struct failure *why);
/* 0, or NotCancelable. */
int errand_cancel(struct errand *errand, const char *why_text, struct failure *why);
/* A job of this kind had no session. */
bool errand_named(const char *kind);

#endif
