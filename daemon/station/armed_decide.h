/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whether an armed slot begins with the phone in it, now, later or not at all, and when a slot stops by
 * itself. Facts in, decision out: no clock, no files, no station.
 */
#ifndef FDLD_STATION_ARMED_DECIDE_H
#define FDLD_STATION_ARMED_DECIDE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

enum armed_reason {
	ARMED_READY,	  /* it may begin; or there is nothing to begin with */
	ARMED_TAKEN,	  /* a job has the slot or its next phone */
	ARMED_DRAINING,	  /* the service is stopping */
	ARMED_HELD,	  /* the machine is about to sleep or to stop */
	ARMED_NO_HISTORY, /* what ends now would be in no history */
	ARMED_PASSED,	  /* this phone has passed and was not away since */
	ARMED_CRASHED,	  /* an earlier run of the service has left it in the middle of a job */
	ARMED_NO_RULE,	  /* none matches, or the one that does says nothing is to be done */
	ARMED_REFUSED,	  /* a rule matches, and no job can be made of it: image, package, options */
	ARMED_NOT_FRESH,  /* it was there before the slot was armed, or before the service */
	ARMED_UNSTEADY,	  /* it has come and gone too quickly: it has to stay for a while */
	ARMED_TRIED,	  /* it has failed, and is not tried again */
	ARMED_REPLUG,	  /* it has failed, and hears nothing before it was plugged in anew */
	ARMED_AGAIN_SOON, /* it has failed, and is tried again in a moment */
	ARMED_REASON_COUNT
};

/* All times: microseconds of one clock that never jumps; 0 = never. */
struct armed_facts {
	uint64_t now;
	bool taken, draining, held;
	bool history_ok, without_history; /* can be written; the settings do not ask for that */
	/* the phone */
	bool rule;	  /* there is one for it */
	bool refused;	  /* no job could be made for it, and nothing has changed since */
	bool asked;	  /* somebody has asked for it by arming with it there */
	bool fresh;	  /* its arrival was seen, or is as good as seen, while the slot was armed; nobody has
			     talked to it */
	bool passed;	  /* it passed here and has not been away since */
	bool spent;	  /* it was told to leave and has not left yet */
	bool crashed;	  /* an earlier run was in the middle of a job with it */
	bool after_crash; /* the rule says to begin with such a phone all the same */
	uint64_t arrived; /* when it came */
	uint64_t left_before; /* when the one before it left this place */
	/* what became of it */
	uint32_t tries;	   /* jobs of the slot with this phone, that have ended */
	uint32_t retries;  /* how many more than one the rule grants */
	bool replug;	   /* the last of them left it in what answers to a new start only */
	bool again;	   /* the last of them ended with an error that another try can help */
	uint64_t failed;   /* when */
	uint64_t debounce; /* how long the rule wants any phone to be there first */
	uint64_t
		settle; /* how long one that came back at once has to be there, and to rest after a failure */
};

struct armed_decision {
	bool start;
	enum armed_reason why; /* not to start */
	uint64_t at; /* look again then, even if nothing happens; UINT64_MAX: only if something does */
};

struct armed_decision armed_decide(const struct armed_facts *facts);
/* A word for programs ("passed", "no-history"); "" for ARMED_READY. */
const char *armed_reason_name(enum armed_reason reason);

/*
 * Whether a phone that comes is taken for the one that left: what left had passed, and the place was without
 * a phone for a shorter time than `away`. A phone that starts anew comes back much sooner than a person
 * changes phones.
 */
bool armed_same_phone(bool passed, uint64_t left, uint64_t now, uint64_t away);

/*
 * Whether a phone that has told who it is, is the one that passed there last. passed, unit: 64 hex digits, ""
 * not known; away: how long it was away at least, `needed`: how long is enough (UINT64_MAX: never).
 */
bool armed_same_unit(const char *passed, const char *unit, uint64_t away, uint64_t needed);
/* The phone was left alone, and nobody has failed: neither a pass nor a failure. */
bool armed_skips(enum error_id error);

/* ---- the stop line -------------------------------------------------------------------------------- */

/* Failures in a row with one error, of one slot. */
struct armed_streak {
	char error[40];	 /* its name; "": the last one was none */
	char digest[65]; /* of the image it was with */
	uint64_t count;
};

/* Takes in the end of a job that a rule has started; error ERR_NONE: it passed. What the caller or a person
 * decided (cancelled, released too late) neither counts nor ends a row. */
void armed_streak_take(struct armed_streak *streak, enum error_id error, const char *digest);
/* One slot has failed often enough. limit UINT32_MAX: never. */
bool armed_stop_slot(const struct armed_streak *streak, uint32_t limit);
/* So many slots are in a row of the same error with the same image as this one, which counts. limit
 * UINT32_MAX: never.
 */
bool armed_stop_image(const struct armed_streak *all, uint32_t count, const struct armed_streak *latest,
		      uint32_t limit);

/* ---- samples -------------------------------------------------------------------------------------- */

/*
 * One unit of `every` is verified, the first of all included. count is kept by the place: 0 before the first
 * verified unit has passed, then 1 and one more with each unit that passed since. A sample that failed stays
 * due.
 */
bool armed_sample_due(uint64_t count, uint32_t every);
uint64_t armed_sample_passed(uint64_t count, bool verified);

#endif
