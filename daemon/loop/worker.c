/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Threads for what blocks. A worker is shared by the loop's side and its threads, and dies with the last of
 * them. A task has one owner at a time: the queue, the thread that runs it, the mailbox on its way home; only
 * when a thread is left behind, loop and thread hold it together and the last one releases it. Members are
 * guarded by the worker's lock, but for those marked "loop", which the loop's thread alone touches.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/util.h"
#include "loop/internal.h"
#include "loop/worker.h"

#define STACK_SIZE (512u * 1024u)

enum task_state { TASK_QUEUED, TASK_RUNNING, TASK_FINISHED };

struct worker_task {
	struct loop_item item; /* the way home */
	struct worker_task *next;
	struct worker_task *sibling; /* loop */
	struct worker *worker;
	struct worker_call call;
	enum task_state state;
	bool forgotten;		  /* nobody wants done() */
	bool orphan;		  /* the loop has given it up while it ran */
	atomic_uint holders;	  /* of an orphan */
	struct loop_timer *timer; /* loop; NULL without a deadline */
};

struct worker {
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct worker_task *queue, **tail;
	struct loop_mailbox *box;
	unsigned int refs; /* one for the owner, one for the loop's side, one for each thread */
	unsigned int threads, idle, limit;
	bool closed;
	char name[16];
	struct loop *loop;	   /* loop */
	struct worker_task *tasks; /* loop: all that are not answered yet */
	unsigned int busy;	   /* loop */
	bool settled;		   /* loop: its reference was given back */
	struct loop_end end;	   /* loop */
};

static atomic_uint left_behind;

unsigned int worker_left_behind(void)
{
	return atomic_load(&left_behind);
}

static void worker_unref(struct worker *worker)
{
	bool last;

	pthread_mutex_lock(&worker->lock);
	last = --worker->refs == 0;
	pthread_mutex_unlock(&worker->lock);
	if (!last)
		return;
	pthread_cond_destroy(&worker->work);
	pthread_mutex_destroy(&worker->lock);
	loop_mailbox_unref(worker->box);
	free(worker);
}

static void task_release(struct worker_task *task)
{
	if (task->call.release)
		task->call.release(task->call.arg);
	free(task);
}

static void orphan_put(struct worker_task *task)
{
	if (atomic_fetch_sub(&task->holders, 1) == 1)
		task_release(task);
}

/* ---- the thread ------------------------------------------------------------------------------------ */

static struct worker_task *queue_pop(struct worker *worker)
{
	struct worker_task *task = worker->queue;

	worker->queue = task->next;
	if (!worker->queue)
		worker->tail = &worker->queue;
	return task;
}

/* Runs one task; the lock is held on entry and on return. False: this thread was left behind meanwhile. */
static bool run_one(struct worker *worker)
{
	struct worker_task *task = queue_pop(worker);
	bool orphan;

	task->state = TASK_RUNNING;
	pthread_mutex_unlock(&worker->lock);
	task->call.run(task->call.arg);
	pthread_mutex_lock(&worker->lock);
	orphan = task->orphan;
	task->state = TASK_FINISHED;
	pthread_mutex_unlock(&worker->lock);
	if (orphan)
		orphan_put(task);
	else if (loop_mailbox_post(worker->box, &task->item) < 0)
		task_release(task);
	pthread_mutex_lock(&worker->lock);
	return !orphan;
}

static void *thread_main(void *arg)
{
	struct worker *worker = arg;
	bool ours = true;

	pthread_setname_np(pthread_self(), worker->name);
	pthread_mutex_lock(&worker->lock);
	while (ours) {
		while (!worker->queue && !worker->closed) {
			worker->idle++;
			pthread_cond_wait(&worker->work, &worker->lock);
			worker->idle--;
		}
		if (!worker->queue)
			break;
		ours = run_one(worker);
	}
	worker->threads--;
	pthread_mutex_unlock(&worker->lock);
	if (ours)
		loop_mailbox_leave(worker->box);
	worker_unref(worker);
	if (!ours)
		atomic_fetch_sub(&left_behind, 1);
	return NULL;
}

/* The lock is held. Signals stay with the loop's thread. */
static int thread_start(struct worker *worker)
{
	pthread_attr_t attr;
	sigset_t all, old;
	pthread_t id;
	int r;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	worker->refs++;
	worker->threads++;
	loop_mailbox_enter(worker->box);
	r = pthread_create(&id, &attr, thread_main, worker);
	if (r) {
		worker->refs--;
		worker->threads--;
		loop_mailbox_leave(worker->box);
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return -r;
}

/* ---- the loop's side ---------------------------------------------------------------------------------- */

static void tasks_unlink(struct worker_task *task)
{
	struct worker_task **at = &task->worker->tasks;

	while (*at != task)
		at = &(*at)->sibling;
	*at = task->sibling;
	task->worker->busy--;
	loop_timer_free(task->timer);
	task->timer = NULL;
}

/* Closed and everything answered: the loop's side lets go of the worker. */
static void settle(struct worker *worker)
{
	if (!worker->closed || worker->tasks || worker->settled)
		return;
	worker->settled = true;
	loop_end_remove(worker->loop, &worker->end);
	worker_unref(worker);
}

static void answer(struct worker_task *task, int status)
{
	struct worker *worker = task->worker;
	bool wanted;

	pthread_mutex_lock(&worker->lock);
	wanted = !task->forgotten;
	worker->refs++; /* done() may close the worker */
	pthread_mutex_unlock(&worker->lock);
	if (wanted && task->call.done)
		task->call.done(task->call.arg, status);
	tasks_unlink(task);
	task_release(task);
	settle(worker);
	worker_unref(worker);
}

static void on_answer(struct loop_item *item)
{
	answer(CONTAINER_OF(item, struct worker_task, item), 0);
}

/* The loop ends before the answer was heard. */
static void on_drop(struct loop_item *item)
{
	task_release(CONTAINER_OF(item, struct worker_task, item));
}

/* The lock is held. Takes everything out of the queue that has not begun. */
static struct worker_task *queue_take(struct worker *worker)
{
	struct worker_task *tasks = worker->queue;

	worker->queue = NULL;
	worker->tail = &worker->queue;
	return tasks;
}

/* Gives up every task that runs; the lock is held. Returns them chained by `next`, each held by thread and
 * loop. */
static struct worker_task *orphan_running(struct worker *worker)
{
	struct worker_task *task, *list = NULL;

	for (task = worker->tasks; task; task = task->sibling) {
		if (task->state != TASK_RUNNING || task->orphan) /* the latter: done() abandons the worker */
			continue;
		task->orphan = true;
		atomic_store(&task->holders, 2);
		task->next = list;
		list = task;
		atomic_fetch_add(&left_behind, 1);
		loop_mailbox_leave(worker->box);
	}
	return list;
}

/* late: the task whose deadline passed, or NULL when the owner walks away. */
static void leave_behind(struct worker *worker, struct worker_task *late)
{
	struct worker_task *queued, *running, *task;

	pthread_mutex_lock(&worker->lock);
	worker->refs++;
	worker->closed = true;
	queued = queue_take(worker);
	running = orphan_running(worker);
	for (task = worker->tasks; task && !late; task = task->sibling)
		task->forgotten = true;
	pthread_cond_broadcast(&worker->work);
	pthread_mutex_unlock(&worker->lock);
	while ((task = running)) {
		running = task->next;
		if (!task->forgotten && task->call.done)
			task->call.done(task->call.arg, -ETIMEDOUT);
		tasks_unlink(task);
		orphan_put(task);
	}
	while ((task = queued)) {
		queued = task->next;
		answer(task, -ECANCELED);
	}
	settle(worker);
	worker_unref(worker);
}

static void queue_remove(struct worker *worker, struct worker_task *task)
{
	struct worker_task **at = &worker->queue;

	while (*at != task)
		at = &(*at)->next;
	*at = task->next;
	if (!*at)
		worker->tail = at;
}

static void on_deadline(void *arg)
{
	struct worker_task *task = arg;
	struct worker *worker = task->worker;
	enum task_state state;

	pthread_mutex_lock(&worker->lock);
	state = task->state;
	if (state == TASK_QUEUED)
		queue_remove(worker, task);
	pthread_mutex_unlock(&worker->lock);
	if (state == TASK_QUEUED)
		answer(task, -ETIMEDOUT);
	else if (state == TASK_RUNNING)
		leave_behind(worker, task);
	/* finished: the answer is on its way */
}

/* loop_free(): nothing is answered any more, and no timer may be left. */
static void on_loop_end(struct loop_end *end)
{
	struct worker *worker = CONTAINER_OF(end, struct worker, end);
	struct worker_task *task, *queued;

	pthread_mutex_lock(&worker->lock);
	worker->closed = true;
	queued = queue_take(worker);
	pthread_cond_broadcast(&worker->work);
	pthread_mutex_unlock(&worker->lock);
	for (task = worker->tasks; task; task = task->sibling) {
		loop_timer_free(task->timer);
		task->timer = NULL;
	}
	worker->tasks = NULL;
	while ((task = queued)) {
		queued = task->next;
		task_release(task);
	}
	worker->settled = true;
	worker_unref(worker);
}

struct worker *worker_new(struct loop *loop, const char *name, unsigned int threads)
{
	struct worker *worker = calloc(1, sizeof(*worker));

	if (!worker)
		return NULL;
	pthread_mutex_init(&worker->lock, NULL);
	pthread_cond_init(&worker->work, NULL);
	worker->tail = &worker->queue;
	worker->box = loop_mailbox_ref(loop);
	worker->refs = 2;
	worker->limit = threads ? threads : 1;
	worker->loop = loop;
	worker->end.fn = on_loop_end;
	snprintf(worker->name, sizeof(worker->name), "%s", name);
	loop_end_add(loop, &worker->end);
	return worker;
}

static struct worker_task *task_new(struct worker *worker, const struct worker_call *call)
{
	struct worker_task *task = calloc(1, sizeof(*task));

	if (!task)
		return NULL;
	task->item.run = on_answer;
	task->item.drop = on_drop;
	task->worker = worker;
	task->call = *call;
	if (!call->deadline)
		return task;
	task->timer = loop_timer_new(worker->loop, on_deadline, task);
	if (task->timer && loop_timer_at(task->timer, call->deadline) == 0)
		return task;
	loop_timer_free(task->timer);
	free(task);
	return NULL;
}

int worker_submit(struct worker *worker, const struct worker_call *call, struct worker_task **handle)
{
	struct worker_task *task;
	int r = 0;

	if (worker->closed)
		return -ESHUTDOWN;
	if (call->deadline && worker->limit > 1)
		return -EINVAL;
	task = task_new(worker, call);
	if (!task)
		return -ENOMEM;
	pthread_mutex_lock(&worker->lock);
	/* idle threads may have been promised to tasks still queued; more than enough is harmless */
	if (worker->threads < worker->limit && (!worker->idle || worker->queue))
		r = thread_start(worker);
	if (worker->threads) {
		r = 0;
		*worker->tail = task;
		worker->tail = &task->next;
	}
	pthread_mutex_unlock(&worker->lock);
	/* without the lock: who wakes up needs it at once */
	pthread_cond_signal(&worker->work);
	if (r < 0) {
		loop_timer_free(task->timer);
		free(task);
		return -EAGAIN;
	}
	task->sibling = worker->tasks;
	worker->tasks = task;
	worker->busy++;
	if (handle)
		*handle = task;
	return 0;
}

void worker_forget(struct worker_task *task)
{
	struct worker *worker;
	bool queued;

	if (!task)
		return;
	worker = task->worker;
	pthread_mutex_lock(&worker->lock);
	task->forgotten = true;
	queued = task->state == TASK_QUEUED;
	if (queued)
		queue_remove(worker, task);
	pthread_mutex_unlock(&worker->lock);
	if (queued)
		answer(task, -ECANCELED);
}

unsigned int worker_busy(const struct worker *worker)
{
	return worker->busy;
}

void worker_close(struct worker *worker)
{
	if (!worker)
		return;
	pthread_mutex_lock(&worker->lock);
	worker->closed = true;
	pthread_cond_broadcast(&worker->work);
	pthread_mutex_unlock(&worker->lock);
	settle(worker);
	worker_unref(worker);
}

void worker_abandon(struct worker *worker)
{
	if (!worker)
		return;
	leave_behind(worker, NULL);
	worker_unref(worker);
}
