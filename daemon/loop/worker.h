/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Threads for what blocks. A worker has one thread (a phone's USB calls, a job's reader) or a few (the pool
 * for hashes and files), a queue of tasks, and answers on the loop. A task that never comes back is left
 * behind: its thread then holds nothing but the task's own argument, which must be counted or self-contained.
 *
 * All functions belong to the loop's thread. run() and, for a task left behind, release() run on a thread.
 */
#ifndef FDLD_LOOP_WORKER_H
#define FDLD_LOOP_WORKER_H

#include <stdint.h>

#include "loop/loop.h"

struct worker;
struct worker_task;

/*
 * What one task is made of. arg belongs to the task until release(arg), which is called exactly once:
 *   finished    run(arg) on the thread; done(arg, 0) on the loop; release(arg) on the loop
 *   too late    run(arg) on the thread; deadline passes: done(arg, -ETIMEDOUT) on the loop while run() may
 * still be writing to arg; release(arg) on the thread when run() comes back forgotten   worker_abandon(),
 * worker_forget() or loop_free(): no done; release(arg) on whichever side is last done and release may be
 * NULL.
 */
struct worker_call {
	void (*run)(void *arg);
	void (*done)(
		void *arg,
		int status); /* 0, -ETIMEDOUT, or -ECANCELED: never begun (the worker timed out before) */
	void (*release)(void *arg);
	void *arg;
	uint64_t deadline; /* absolute usec from which the thread is left behind; 0 = wait for ever. Not for a
			      pool. */
};

/*
 * A worker of `threads` threads (1: tasks run one after the other). Threads start with the first task. name
 * is shown by the system's tools, at most 15 characters. NULL when memory is short.
 */
struct worker *worker_new(struct loop *loop, const char *name, unsigned int threads);
/*
 * Queues a task. 0; -ENOMEM or -EAGAIN (no thread to be had), then nothing of the call is used or released;
 * -ESHUTDOWN after a timeout, worker_close() or worker_abandon().
 * task (may be NULL) receives a handle, valid until done() returns or worker_forget().
 */
int worker_submit(struct worker *worker, const struct worker_call *call, struct worker_task **task);
/* The caller no longer wants done(). A task not begun is dropped; one that runs is let finish. NULL is fine.
 */
void worker_forget(struct worker_task *task);
/* Tasks queued or running. */
unsigned int worker_busy(const struct worker *worker);
/* Every worker must be closed or abandoned once, also after a deadline left its thread behind. */
/* Takes no more tasks; those queued are finished and answered, then the threads end and the worker is freed.
 * NULL is fine. */
void worker_close(struct worker *worker);
/* Leaves the worker behind: nothing is answered any more; what runs may run for ever. NULL is fine. */
void worker_abandon(struct worker *worker);
/* Threads left behind by a deadline or worker_abandon() that have not come back yet, in the whole process. */
unsigned int worker_left_behind(void);

#endif
