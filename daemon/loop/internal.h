/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of this room share: the loop itself, and the queue of calls (calls.c) behind it.
 */
#ifndef FDLD_LOOP_INTERNAL_H
#define FDLD_LOOP_INTERNAL_H

#include <pthread.h>

#include "loop/loop.h"

struct event;
struct event_base;

/* Somebody who has to know that the loop ends, while it still can free timers and watches. */
struct loop_end {
	struct loop_end *next;
	void (*fn)(struct loop_end *end); /* already unlinked */
};

struct loop {
	struct event_base *base;
	struct event *limit; /* of loop_turn() */
	pthread_t thread;
	struct loop_prepare *prepare;
	struct loop_mailbox *box;
	struct event *box_event;
	struct loop_item *calls, **calls_tail; /* deferred and posted, in order */
	struct loop_item *running;	       /* the calls of this turn that have not been made yet */
	struct loop_end *ends;
	bool quit;
	int code;
	uint64_t turn_began; /* 0: asleep, or nothing has run yet */
	struct loop_stats stats;
};

/* Something runs: the turn began now, if it had not yet. */
void loop_woken(struct loop *loop);
void loop_prepare_sweep(struct loop *loop);

void loop_end_add(struct loop *loop, struct loop_end *end);
void loop_end_remove(struct loop *loop, struct loop_end *end);

int loop_calls_init(struct loop *loop);
bool loop_calls_ready(const struct loop *loop);
void loop_calls_run(struct loop *loop);
void loop_calls_end(struct loop *loop);

#endif
