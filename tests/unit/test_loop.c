/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The loop, its calls, and threads that come back, come late or never. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/util.h"
#include "loop/worker.h"

static struct loop *loop;

static int make_loop(void **state)
{
	loop = loop_new();
	return loop ? 0 : -1;
}

static int end_loop(void **state)
{
	loop_free(loop);
	loop = NULL;
	return 0;
}

static void count(void *arg)
{
	++*(int *)arg;
}

static void quit(void *arg)
{
	loop_quit(loop, 7);
}

/* Turns until *value reaches at_least, five seconds at most. */
static void turn_until(const int *value, int at_least)
{
	uint64_t end = loop_now() + 5000000;

	while (*value < at_least && loop_now() < end)
		assert_int_equal(loop_turn(loop, 10000), 0);
	assert_true(*value >= at_least);
}

static void runs_and_quits(void **state)
{
	int hooks = 0;
	struct loop_prepare *hook = loop_prepare_new(loop, count, &hooks);

	assert_int_equal(loop_defer(loop, quit, NULL), 0);
	assert_int_equal(loop_run(loop), 7);
	assert_true(hooks >= 1);
	loop_prepare_free(hook);
	/* it can run again, and a freed hook does not */
	hooks = 0;
	assert_int_equal(loop_defer(loop, quit, NULL), 0);
	assert_int_equal(loop_run(loop), 7);
	assert_int_equal(hooks, 0);
}

struct hook_state {
	struct loop_prepare *hook;
	int runs, deferred;
};

static void hook_that_defers_once(void *arg)
{
	struct hook_state *hs = arg;

	if (hs->runs++ == 0)
		assert_int_equal(loop_defer(loop, count, &hs->deferred), 0);
	else
		loop_prepare_free(TAKE_PTR(hs->hook));
}

static void hook_that_defers_keeps_awake(void **state)
{
	struct hook_state hs = { 0 };
	uint64_t begun = loop_now();

	hs.hook = loop_prepare_new(loop, hook_that_defers_once, &hs);
	assert_int_equal(loop_turn(loop, 3000000), 0);
	assert_true(loop_now() - begun < 1000000);
	assert_int_equal(hs.deferred, 1);
	/* and one that frees itself in its own call is gone */
	assert_int_equal(loop_turn(loop, 0), 0);
	assert_int_equal(loop_turn(loop, 0), 0);
	assert_int_equal(hs.runs, 2);
}

struct timer_state {
	struct loop_timer *timer;
	uint64_t due, fired;
	int count;
};

static void on_timer(void *arg)
{
	struct timer_state *ts = arg;

	ts->fired = loop_now();
	assert_false(loop_timer_armed(ts->timer));
	if (ts->count++ == 0) {
		ts->due = ts->fired + 1500;
		assert_int_equal(loop_timer_at(ts->timer, ts->due), 0);
	} else {
		loop_timer_free(TAKE_PTR(ts->timer));
	}
}

static void timers_are_never_early(void **state)
{
	struct timer_state ts = { 0 };
	struct loop_timer *never = loop_timer_new(loop, count, &ts.count);
	uint64_t first;

	ts.timer = loop_timer_new(loop, on_timer, &ts);
	first = loop_now() + 3300;
	assert_int_equal(loop_timer_at(ts.timer, first), 0);
	assert_int_equal(loop_timer_at(never, UINT64_MAX), 0);
	assert_false(loop_timer_armed(never));
	assert_int_equal(loop_timer_after(never, UINT64_MAX), 0);
	turn_until(&ts.count, 1);
	assert_true(ts.fired >= first);
	turn_until(&ts.count, 2);
	assert_true(ts.fired >= ts.due);
	assert_null(ts.timer);
	loop_timer_free(never);
}

static void on_pipe(int fd, unsigned int events, void *arg)
{
	char byte;

	assert_int_equal(events, LOOP_READ);
	assert_int_equal(read(fd, &byte, 1), 1);
	count(arg);
}

static void watches(void **state)
{
	int fds[2], got = 0;
	struct loop_io *io;

	assert_int_equal(pipe(fds), 0);
	io = loop_io_new(loop, fds[0], 0, on_pipe, &got);
	assert_non_null(io);
	assert_int_equal(write(fds[1], "ab", 2), 2);
	assert_int_equal(loop_turn(loop, 0), 0);
	assert_int_equal(got, 0);
	assert_int_equal(loop_io_set(io, LOOP_READ), 0);
	turn_until(&got, 2);
	assert_int_equal(loop_io_set(io, 0), 0);
	assert_int_equal(write(fds[1], "c", 1), 1);
	assert_int_equal(loop_turn(loop, 1000), 0);
	assert_int_equal(got, 2);
	loop_io_free(io);
	close(fds[0]);
	close(fds[1]);
}

static void regular_files_are_refused(void **state)
{
	char path[] = "/tmp/fdld-loop-XXXXXX";
	int fd = mkstemp(path), got = 0;

	unlink(path);
	assert_null(loop_io_new(loop, fd, LOOP_READ, on_pipe, &got));
	assert_int_equal(errno, EPERM);
	close(fd);
}

static void signals(void **state)
{
	int got = 0;
	struct loop_signal *sig = loop_signal_new(loop, SIGUSR1, count, &got);

	assert_non_null(sig);
	raise(SIGUSR1);
	turn_until(&got, 1);
	loop_signal_free(sig);
}

#define POSTERS	   4
#define PER_THREAD 5000

static int posts_seen;

static void on_post(void *arg)
{
	assert_true(loop_here(loop));
	posts_seen++;
}

static void *poster(void *arg)
{
	int i;

	for (i = 0; i < PER_THREAD; i++) {
		if (loop_post(loop, on_post, NULL) < 0)
			return (void *)1;
	}
	return NULL;
}

static void posts_from_threads(void **state)
{
	pthread_t thread[POSTERS];
	void *result;
	int i;

	posts_seen = 0;
	for (i = 0; i < POSTERS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, poster, NULL), 0);
	turn_until(&posts_seen, POSTERS * PER_THREAD);
	for (i = 0; i < POSTERS; i++) {
		pthread_join(thread[i], &result);
		assert_null(result);
	}
	assert_int_equal(posts_seen, POSTERS * PER_THREAD);
}

static int victim, other;

static void forget_victim(void *arg)
{
	loop_forget(loop, &victim);
}

static void forgotten_calls_are_not_made(void **state)
{
	victim = other = 0;
	assert_int_equal(loop_defer(loop, forget_victim, NULL), 0);
	assert_int_equal(loop_defer(loop, count, &victim), 0);
	assert_int_equal(loop_defer(loop, count, &other), 0);
	assert_int_equal(loop_post(loop, count, &victim), 0);
	assert_int_equal(loop_post(loop, count, &other), 0);
	turn_until(&other, 2);
	assert_int_equal(loop_turn(loop, 0), 0);
	assert_int_equal(victim, 0);
	/* the queue is whole after a forget that emptied it */
	assert_int_equal(loop_defer(loop, count, &victim), 0);
	loop_forget(loop, &victim);
	assert_int_equal(loop_defer(loop, count, &other), 0);
	turn_until(&other, 3);
	assert_int_equal(victim, 0);
}

static void be_slow(void *arg)
{
	usleep(20000);
}

static void turns_are_measured(void **state)
{
	struct loop_stats stats;

	loop_stats_reset_max(loop);
	assert_int_equal(loop_turn(loop, 300000), 0);
	loop_stats(loop, &stats);
	assert_true(stats.max_turn_usec < 200000);
	assert_int_equal(loop_defer(loop, be_slow, NULL), 0);
	assert_int_equal(loop_turn(loop, 0), 0);
	assert_int_equal(loop_turn(loop, 0), 0);
	loop_stats(loop, &stats);
	assert_true(stats.max_turn_usec >= 20000);
	assert_int_equal(stats.slow_turns, 0);
	assert_true(stats.turns >= 3);
}

/* ---- workers ---------------------------------------------------------------------------------------- */

struct job {
	atomic_int ran, released;
	int done, status;
	atomic_bool hold; /* run() does not come back while this is set */
	pthread_t runner;
	int order;
};

static int order;

static void job_run(void *arg)
{
	struct job *job = arg;

	job->runner = pthread_self();
	atomic_fetch_add(&job->ran, 1);
	while (atomic_load(&job->hold))
		usleep(500);
}

static void job_done(void *arg, int status)
{
	struct job *job = arg;

	assert_true(loop_here(loop));
	assert_int_equal(atomic_load(&job->released), 0);
	job->done++;
	job->status = status;
	job->order = ++order;
}

static void job_release(void *arg)
{
	struct job *job = arg;

	atomic_fetch_add(&job->released, 1);
}

static struct worker_call call_for(struct job *job, uint64_t deadline)
{
	return (struct worker_call){ job_run, job_done, job_release, job, deadline };
}

static void wait_released(struct job *job)
{
	uint64_t end = loop_now() + 5000000;

	while (!atomic_load(&job->released) && loop_now() < end)
		loop_turn(loop, 1000);
	assert_int_equal(atomic_load(&job->released), 1);
}

static void a_worker_answers_in_order(void **state)
{
	struct worker *worker = worker_new(loop, "test", 1);
	struct job job[20] = { 0 };
	int i;

	order = 0;
	for (i = 0; i < 20; i++) {
		struct worker_call call = call_for(&job[i], 0);

		assert_int_equal(worker_submit(worker, &call, NULL), 0);
	}
	assert_int_equal(worker_busy(worker), 20);
	worker_close(worker);
	turn_until(&job[19].done, 1);
	for (i = 0; i < 20; i++) {
		assert_int_equal(job[i].order, i + 1);
		assert_int_equal(job[i].status, 0);
		assert_int_equal(atomic_load(&job[i].released), 1);
		assert_true(pthread_equal(job[i].runner, job[0].runner));
		assert_false(pthread_equal(job[i].runner, pthread_self()));
	}
}

static void a_late_thread_is_left_behind(void **state)
{
	struct worker *worker = worker_new(loop, "test", 1);
	static struct job late, queued, refused;
	struct worker_call call;
	uint64_t begun = loop_now();

	late.hold = true;
	call = call_for(&late, begun + 20000);
	assert_int_equal(worker_submit(worker, &call, NULL), 0);
	call = call_for(&queued, 0);
	assert_int_equal(worker_submit(worker, &call, NULL), 0);
	turn_until(&late.done, 1);
	assert_true(loop_now() - begun >= 20000 && loop_now() - begun < 1000000);
	assert_int_equal(late.status, -ETIMEDOUT);
	assert_int_equal(atomic_load(&late.released), 0);
	assert_int_equal(worker_left_behind(), 1);
	turn_until(&queued.done, 1);
	assert_int_equal(queued.status, -ECANCELED);
	assert_int_equal(atomic_load(&queued.ran), 0);
	assert_int_equal(atomic_load(&queued.released), 1);
	call = call_for(&refused, 0);
	assert_int_equal(worker_submit(worker, &call, NULL), -ESHUTDOWN);
	assert_int_equal(atomic_load(&refused.released), 0);
	worker_close(worker);
	/* it comes back after all and tidies up by itself, unheard */
	late.hold = false;
	wait_released(&late);
	while (worker_left_behind())
		usleep(100);
	assert_int_equal(late.done, 1);
}

static void a_deadline_in_the_queue(void **state)
{
	struct worker *worker = worker_new(loop, "test", 1);
	static struct job slow, waiting;
	struct worker_call call = call_for(&slow, 0);

	slow.hold = true;
	assert_int_equal(worker_submit(worker, &call, NULL), 0);
	while (!atomic_load(&slow.ran))
		usleep(100);
	call = call_for(&waiting, loop_now() + 5000);
	assert_int_equal(worker_submit(worker, &call, NULL), 0);
	turn_until(&waiting.done, 1);
	assert_int_equal(waiting.status, -ETIMEDOUT);
	assert_int_equal(atomic_load(&waiting.ran), 0);
	slow.hold = false;
	turn_until(&slow.done, 1);
	assert_int_equal(slow.status, 0);
	worker_close(worker);
}

static void abandoned_workers_are_silent(void **state)
{
	struct worker *worker = worker_new(loop, "test", 1);
	static struct job stuck, queued;
	struct worker_call call = call_for(&stuck, 0);

	stuck.hold = true;
	assert_int_equal(worker_submit(worker, &call, NULL), 0);
	call = call_for(&queued, 0);
	assert_int_equal(worker_submit(worker, &call, NULL), 0);
	while (!atomic_load(&stuck.ran))
		usleep(100);
	worker_abandon(worker);
	assert_int_equal(atomic_load(&queued.released), 1);
	assert_int_equal(atomic_load(&stuck.released), 0);
	stuck.hold = false;
	wait_released(&stuck);
	assert_int_equal(stuck.done, 0);
	assert_int_equal(queued.done, 0);
	while (worker_left_behind())
		usleep(100);
}

static void forgotten_tasks(void **state)
{
	struct worker *worker = worker_new(loop, "test", 1);
	struct worker_task *task_running, *task_queued;
	static struct job running, queued;
	struct worker_call call = call_for(&running, 0);

	running.hold = true;
	assert_int_equal(worker_submit(worker, &call, &task_running), 0);
	call = call_for(&queued, 0);
	assert_int_equal(worker_submit(worker, &call, &task_queued), 0);
	while (!atomic_load(&running.ran))
		usleep(100);
	worker_forget(task_queued);
	assert_int_equal(atomic_load(&queued.released), 1);
	worker_forget(task_running);
	running.hold = false;
	wait_released(&running);
	assert_int_equal(running.done + queued.done, 0);
	assert_int_equal(worker_busy(worker), 0);
	worker_close(worker);
}

static void a_pool_works_side_by_side(void **state)
{
	struct worker *pool = worker_new(loop, "pool", 3);
	struct job job[3] = { 0 };
	uint64_t end = loop_now() + 5000000;
	int i;

	for (i = 0; i < 3; i++) {
		struct worker_call call = call_for(&job[i], 0);

		job[i].hold = true;
		assert_int_equal(worker_submit(pool, &call, NULL), 0);
	}
	/* none has come back, all have begun */
	while (job[0].ran + job[1].ran + job[2].ran < 3 && loop_now() < end)
		usleep(100);
	assert_int_equal(job[0].ran + job[1].ran + job[2].ran, 3);
	for (i = 0; i < 3; i++)
		job[i].hold = false;
	for (i = 0; i < 3; i++)
		turn_until(&job[i].done, 1);
	worker_close(pool);
}

static void close_in_done(void *arg, int status)
{
	worker_close(arg);
	victim = 1;
}

static void job_sleep(void *arg)
{
	usleep(1000);
}

static void closing_in_the_answer(void **state)
{
	struct worker *worker = worker_new(loop, "test", 1);
	struct worker_call call = { job_sleep, close_in_done, NULL, worker, 0 };

	victim = 0;
	assert_int_equal(worker_submit(worker, &call, NULL), 0);
	turn_until(&victim, 1);
}

static void the_loop_ends_first(void **state)
{
	struct worker *worker = worker_new(loop, "test", 1);
	static struct job running, queued;
	struct worker_call call = call_for(&running, loop_now() + 1000000);
	uint64_t begun;

	running.hold = true;
	assert_int_equal(worker_submit(worker, &call, NULL), 0);
	call = call_for(&queued, 0);
	assert_int_equal(worker_submit(worker, &call, NULL), 0);
	while (!atomic_load(&running.ran))
		usleep(100);
	worker_close(worker);
	running.hold = false;
	begun = loop_now();
	loop_free(loop);
	assert_true(loop_now() - begun < 1500000);
	assert_int_equal(atomic_load(&running.released), 1);
	assert_int_equal(atomic_load(&queued.released), 1);
	assert_int_equal(running.done + queued.done, 0);
	loop = loop_new();
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, make_loop, end_loop)
	const struct CMUnitTest tests[] = {
		T(runs_and_quits),
		T(hook_that_defers_keeps_awake),
		T(timers_are_never_early),
		T(watches),
		T(regular_files_are_refused),
		T(signals),
		T(posts_from_threads),
		T(forgotten_calls_are_not_made),
		T(turns_are_measured),
		T(a_worker_answers_in_order),
		T(a_late_thread_is_left_behind),
		T(a_deadline_in_the_queue),
		T(abandoned_workers_are_silent),
		T(forgotten_tasks),
		T(a_pool_works_side_by_side),
		T(closing_in_the_answer),
		T(the_loop_ends_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
