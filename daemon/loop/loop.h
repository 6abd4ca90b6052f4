/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The one event loop of the daemon: a libevent base on one thread. Everything that waits, waits here;
 * whatever could block runs on a thread (loop/worker.h) and comes back through loop_post().
 *
 * Times are CLOCK_MONOTONIC microseconds, absolute unless a name says "after". Unless a comment says "any
 * thread", a function belongs to the thread that runs the loop. Functions return 0 or a negative errno; the
 * _new functions return NULL when memory is short (or, for a descriptor, when it cannot be polled: errno).
 */
#ifndef FDLD_LOOP_LOOP_H
#define FDLD_LOOP_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct loop_prepare;
struct loop_timer;
struct loop_io;
struct loop_signal;

typedef void (*loop_fn)(void *arg);
typedef void (*loop_io_fn)(int fd, unsigned int events, void *arg);

#define LOOP_READ	    1u
#define LOOP_WRITE	    2u

#define LOOP_SLOW_TURN_USEC 250000u

/* now, any thread */
uint64_t loop_now(void);

struct loop *loop_new(void);
/*
 * Ends the loop. Calls that are still posted or deferred are not made; a posted struct loop_item gets its
 * drop(). Waits at most two seconds for worker threads that were closed (not for abandoned ones). All
 * timers, watches and hooks must have been freed before. NULL is fine.
 */
void loop_free(struct loop *loop);
/* Turns until loop_quit(); returns its code, or a negative errno when the kernel refuses to poll. */
int loop_run(struct loop *loop);
/* One turn: prepare hooks, then waits at most max_usec (0 = only what is ready), runs what came. For tests.
 */
int loop_turn(struct loop *loop, uint64_t max_usec);
void loop_quit(struct loop *loop, int code);
/* True on the thread that runs the loop; any thread. */
bool loop_here(const struct loop *loop);
/* Counts turns; lets a handler that serves several watches do its work once a turn. */
uint64_t loop_turns(const struct loop *loop);

/*
 * Prepare hooks run before every sleep, in the order of registration, after everything that was ready has
 * run. A hook may change watches and timers, and may defer; then the loop does not sleep.
 */
struct loop_prepare *loop_prepare_new(struct loop *loop, loop_fn fn, void *arg);
void loop_prepare_free(struct loop_prepare *hook); /* NULL is fine; legal in the hook itself */

/* A timer is created stopped. It fires once, never early. Freeing and re-arming in its own call is legal. */
struct loop_timer *loop_timer_new(struct loop *loop, loop_fn fn, void *arg);
int loop_timer_at(struct loop_timer *timer, uint64_t usec); /* in the past: next turn; UINT64_MAX: stop */
int loop_timer_after(struct loop_timer *timer, uint64_t usec);
void loop_timer_stop(struct loop_timer *timer);
bool loop_timer_armed(const struct loop_timer *timer);
void loop_timer_free(struct loop_timer *timer); /* NULL is fine */

/*
 * Watches a descriptor, level-triggered. An error or hang-up is reported as every event that was asked
 * for. The descriptor stays the caller's and must stay open until loop_io_free(). Regular files are refused
 * (EPERM): they need a worker.
 */
struct loop_io *loop_io_new(struct loop *loop, int fd, unsigned int events, loop_io_fn fn, void *arg);
int loop_io_set(struct loop_io *io, unsigned int events); /* 0 = watch nothing for now */
void loop_io_free(struct loop_io *io);			  /* NULL is fine; legal in its own call */

/* One handler a signal number. The handler runs as an ordinary call of the loop. */
struct loop_signal *loop_signal_new(struct loop *loop, int signo, loop_fn fn, void *arg);
void loop_signal_free(struct loop_signal *sig); /* NULL is fine */

/* Calls fn(arg) in the next turn. -ENOMEM if it could not be queued. */
int loop_defer(struct loop *loop, loop_fn fn, void *arg);
/* Any thread: calls fn(arg) on the loop's thread, in order of posting. -ENOMEM, or -ESHUTDOWN after
 * loop_free(). */
int loop_post(struct loop *loop, loop_fn fn, void *arg);
/* Forgets every deferred and posted call with this arg that has not been made yet. */
void loop_forget(struct loop *loop, const void *arg);

/*
 * The same as loop_post() with memory of the caller, so that it cannot fail for want of it. The item is
 * the loop's until run() (or drop(), when the loop ends first) is called; either may free it.
 */
struct loop_item {
	struct loop_item *next;
	void (*run)(struct loop_item *item);
	void (*drop)(struct loop_item *item);
};

/*
 * The door through which threads reach the loop. It outlives the loop while anyone holds a reference, so
 * that a thread that was left behind finds it shut instead of gone. All functions: any thread.
 */
struct loop_mailbox;
struct loop_mailbox *loop_mailbox_ref(struct loop *loop); /* the loop's own thread only */
void loop_mailbox_unref(struct loop_mailbox *box);	  /* NULL is fine */
/* 0, or -ESHUTDOWN: the loop has ended, the item stays the caller's. */
int loop_mailbox_post(struct loop_mailbox *box, struct loop_item *item);
/* Threads that loop_free() waits for: enter before the thread starts, leave as its last act. */
void loop_mailbox_enter(struct loop_mailbox *box);
void loop_mailbox_leave(struct loop_mailbox *box);

struct loop_stats {
	uint64_t turns;
	uint64_t slow_turns;	/* longer than LOOP_SLOW_TURN_USEC */
	uint64_t max_turn_usec; /* longest turn: first call after a sleep until the loop is ready to sleep
				   again */
};
void loop_stats(const struct loop *loop, struct loop_stats *stats);
/* Begins a new measurement of the longest turn; the counters stay. */
void loop_stats_reset_max(struct loop *loop);

#endif
