/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The loop's side of the history: what has to be written is handed to the worker, one task at a time; what
 * fails is tried again.
 */
#include "station/history.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "common/util.h"
#include "station/history_work.h"
#include "station/internal.h"

#define RETRY_USEC UINT64_C(30000000)
/* How often what is too old is looked for although no job has ended. */
#define KEEP_USEC UINT64_C(3600000000)
/* Opening, catching up and comparing read every folder. */
#define LONG_TIMES 10

enum history_state { HISTORY_STARTING, HISTORY_READY, HISTORY_FAILED };

struct history_task {
	struct history *h; /* looked at on the loop only; NULL: nobody waits any more */
	struct history_store *store;
	struct history_work work;
	int fd; /* of the sheet that work.out fills */
	int result;
	struct failure why;
	station_sheet_fn done; /* NULL: ours */
	void *user;
};

/* Somebody who wants to see what was ended before he asked. */
struct waiting {
	struct waiting *next;
	uint64_t turn; /* of the task that writes it */
	void (*go)(void *arg);
	void (*drop)(void *arg);
	void *arg;
};

struct history {
	struct station *st;
	struct history_store *store;
	struct worker *worker;
	enum history_state state;
	struct failure failure;
	uint64_t jobs;
	uint32_t rebuilt;
	char damage[200];

	uint64_t *pending; /* jobs that have to be looked at */
	size_t count, cap;
	struct history_task *task; /* the one of ours that is under way */
	uint64_t task_since;	   /* monotonic */
	uint64_t begun_tasks;	   /* of ours, so far */
	struct waiting *waiting;   /* in the order of asking */
	bool begun, keep_due, again, looking;
	uint64_t kept; /* CLOCK_BOOTTIME, usec: when keeping was last looked at; 0 never */
	struct loop_timer *timer;
};

static uint64_t boottime(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* ---- a task ---- */

static void task_run(void *arg)
{
	struct history_task *t = arg;

	t->result = history_store_work(t->store, &t->work, &t->why);
	if (!t->work.out)
		return;

	FILE *out = TAKE_PTR(t->work.out);
	struct failure own = { 0 };
	int r = history_sealed(out, t->fd, &own);

	if (!t->result && r < 0) {
		t->result = r;
		t->why = own;
	}
}

static void task_release(void *arg)
{
	struct history_task *t = arg;

	if (t->work.out)
		fclose(t->work.out);
	util_closep(&t->fd);
	free(t->work.job);
	free(t->work.spare_all.job);
	free(t->work.spare_open.job);
	history_store_unref(t->store);
	free(t);
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* all: owed, or still shown by somebody; else only what has not ended. */
static int spare(const struct station *st, bool all, struct history_spare *out)
{
	size_t count = 1;

	for (const struct job *j = st->jobs; j; j = j->next)
		count++;
	for (const struct owed *o = st->owed.first; all && o; o = o->next)
		count++;
	out->job = calloc(count, sizeof(*out->job));
	if (!out->job)
		return -ENOMEM;
	for (const struct job *j = st->jobs; j; j = j->next)
		if (all || j->state != JOB_ENDED)
			out->job[out->count++] = j->number;
	for (const struct owed *o = st->owed.first; all && o; o = o->next)
		out->job[out->count++] = o->job;
	if (out->count)
		qsort(out->job, out->count, sizeof(*out->job), by_number);
	out->end = records_next(st->records);
	return 0;
}

static uint64_t count_or_ever(uint32_t n)
{
	return n == UINT32_MAX ? UINT64_MAX : n;
}

static int fill_policy(struct history *h, struct history_work *w)
{
	const struct settings *set = &h->st->set;
	uint64_t now = boottime();

	w->keep = true;
	w->policy = (struct history_policy){
		.jobs = count_or_ever(set->history_jobs),
		.days = count_or_ever(set->history_days),
		.backups = count_or_ever(set->history_backups),
		.backup_days = count_or_ever(set->history_backup_days),
		.wall = station_wall(),
		.ran = h->kept ? MAX(now - h->kept, (uint64_t)1) : 0,
		.at = now,
	};
	return spare(h->st, true, &w->spare_all);
}

static struct history_task *task_new(struct history *h)
{
	struct history_task *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->h = h;
	t->fd = -1;
	t->store = history_store_ref(h->store);
	return t;
}

/* ---- state ---- */

static void show(struct history *h, enum history_state state, const struct failure *why)
{
	bool news = h->state != state || h->failure.error != why->error ||
		    strcmp(h->failure.detail, why->detail) != 0;

	h->state = state;
	h->failure = *why;
	if (news) {
		EMIT(h->st, history_changed);
		station_poke(h->st); /* armed slots */
		station_told(h->st);
	}
}

static void damaged(struct history *h, const struct history_work *w)
{
	if (!w->set_aside)
		return;
	h->rebuilt++;
	snprintf(h->damage, sizeof(h->damage), "%s", w->detail);
	EMIT(h->st, history_changed);
	station_poke(h->st);
}

/* What a task says of the database. */
static void learn(struct history *h, const struct history_task *t)
{
	struct failure none = { 0 };

	damaged(h, &t->work);
	if (t->result < 0) {
		show(h, HISTORY_FAILED, &t->why);
		return;
	}
	h->jobs = t->work.rows;
	show(h, HISTORY_READY, &none);
}

/* ---- writing ---- */

int history_when_written(struct history *h, void (*go)(void *arg), void (*drop)(void *arg), void *arg)
{
	struct waiting **at = &h->waiting, *w;

	if (h->state == HISTORY_FAILED || (!h->task && !h->count))
		return 1;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	/* what has not gone to the worker yet goes with the next task */
	*w = (struct waiting){
		.turn = h->begun_tasks + (h->count ? 1 : 0), .go = go, .drop = drop, .arg = arg
	};
	while (*at)
		at = &(*at)->next;
	*at = w;
	return 0;
}

/* The task of this turn is over, or (UINT64_MAX) nobody knows when it will be. */
static void let_go(struct history *h, uint64_t turn)
{
	while (h->waiting && h->waiting->turn <= turn) {
		struct waiting *w = h->waiting;

		h->waiting = w->next;
		w->go(w->arg);
		free(w);
	}
}

static void pump(struct history *h);

static void remember(struct history *h, uint64_t job)
{
	if (h->count == h->cap) {
		size_t cap = h->cap ? h->cap * 2 : 16;
		uint64_t *grown = realloc(h->pending, cap * sizeof(*grown));

		if (!grown) /* it has no row yet: catching up finds it */
			return;
		h->pending = grown;
		h->cap = cap;
	}
	h->pending[h->count++] = job;
}

static void ours_done(void *arg, int status)
{
	struct history_task *t = arg;
	struct history *h = t->h;

	if (!h)
		return;
	h->task = NULL;
	if (status < 0)
		t->result = failure_set(&t->why, ERR_INTERNAL, "%s", strerror(-status));
	learn(h, t);
	h->again = t->result < 0;
	if (h->again) /* not forgotten: the next try looks at them, too */
		for (size_t i = 0; i < t->work.count; i++)
			remember(h, t->work.job[i]);
	else if (t->work.keep)
		h->kept = t->work.policy.at;
	if (t->work.more)
		h->keep_due = true;
	loop_timer_after(h->timer, h->again ? RETRY_USEC : KEEP_USEC);
	let_go(h, h->again ? UINT64_MAX : h->begun_tasks);
	station_poke(h->st);
	if (!h->again)
		pump(h);
}

static int submit(struct history *h, struct history_task *t, void (*done)(void *arg, int status))
{
	struct worker_call call = { .run = task_run, .done = done, .release = task_release, .arg = t };
	int r = worker_submit(h->worker, &call, NULL);

	if (r < 0)
		task_release(t);
	return r;
}

/* One task at a time; what comes meanwhile goes into the next one. */
static void pump(struct history *h)
{
	struct history_task *t;

	if (h->task || !h->begun || !(h->count || h->keep_due || h->again))
		return;
	t = task_new(h);
	if (!t || ((h->keep_due || h->count) && fill_policy(h, &t->work) < 0)) {
		if (t)
			task_release(t);
		loop_timer_after(h->timer, RETRY_USEC);
		return;
	}
	t->work.job = TAKE_PTR(h->pending);
	t->work.count = h->count;
	h->count = h->cap = 0;
	h->keep_due = h->again = false;
	h->task = t;
	h->task_since = loop_now();
	h->begun_tasks++;
	if (submit(h, t, ours_done) < 0) {
		h->task = NULL;
		h->again = true;
		let_go(h, UINT64_MAX);
		loop_timer_after(h->timer, RETRY_USEC);
		return;
	}
	loop_timer_after(h->timer, h->st->set.store_usec);
}

/* A disk that does not answer is as bad as one that refuses. */
static void look_at_task(struct history *h)
{
	uint64_t patience = h->st->set.store_usec * (h->state == HISTORY_READY ? 1 : LONG_TIMES);
	uint64_t since = loop_now() - h->task_since;
	struct failure why = { 0 };

	if (since < patience) {
		loop_timer_after(h->timer, patience - since);
		return;
	}
	failure_set(&why, ERR_HISTORY_UNUSABLE, "the disk has not answered for %" PRIu64 " s",
		    patience / 1000000);
	show(h, HISTORY_FAILED, &why);
	let_go(h, UINT64_MAX);
}

static void on_timer(void *arg)
{
	struct history *h = arg;

	if (h->task) {
		look_at_task(h);
		return;
	}
	h->keep_due = true;
	pump(h);
}

void history_ended(struct history *h, uint64_t job)
{
	remember(h, job);
	pump(h);
}

void history_configure(struct history *h)
{
	h->keep_due = true;
	pump(h);
}

bool history_busy(const struct history *h)
{
	return h && (h->task || h->looking);
}

/* ---- looking at all of it ---- */

static void asked_done(void *arg, int status)
{
	struct history_task *t = arg;
	struct history *h = t->h;
	struct station_sheet sheet = { .fd = t->fd,
				       .jobs = t->work.compare ? t->work.compared : t->work.rows,
				       .differences = t->work.differences };

	h->looking = false;
	if (status < 0)
		t->result = failure_set(&t->why, ERR_INTERNAL, "%s", strerror(-status));
	learn(h, t);
	if (t->result < 0) {
		for (size_t i = 0; i < t->work.count; i++)
			remember(h, t->work.job[i]);
		h->again = true;
		if (!h->task)
			loop_timer_after(h->timer, RETRY_USEC);
	}
	h->st->writing--;
	t->done(t->user, t->result < 0 ? NULL : &sheet, t->result < 0 ? &t->why : NULL);
	station_poke(h->st);
}

static int look(struct station *st, bool compare, station_sheet_fn done, void *user, struct failure *why)
{
	struct history *h = st->history;
	struct history_task *t;
	int r;

	if (h->looking)
		return failure_set(why, ERR_LIMITS_EXCEEDED,
				   "the history is being verified or rebuilt already");
	if (h->task && h->state == HISTORY_FAILED) /* it would wait behind one that hangs */
		return failure_set(why, ERR_HISTORY_UNUSABLE, "%s", h->failure.detail);
	t = task_new(h);
	if (!t)
		return failure_set(why, ERR_INTERNAL, "out of memory");
	t->done = done;
	t->user = user;
	t->work.compare = compare;
	t->work.anew = !compare;
	r = compare ? history_sheet(&t->work.out, &t->fd, why) : 0;
	if (!r && spare(st, false, &t->work.spare_open) < 0)
		r = failure_set(why, ERR_INTERNAL, "out of memory");
	if (r < 0) {
		task_release(t);
		return r;
	}
	/* what waits to be written is not missing */
	t->work.job = TAKE_PTR(h->pending);
	t->work.count = h->count;
	h->count = h->cap = 0;
	r = submit(h, t, asked_done);
	if (r < 0)
		return failure_set(why, ERR_INTERNAL, "%s", strerror(-r));
	h->looking = true;
	st->writing++;
	return 0;
}

int station_history_verify(struct station *st, station_sheet_fn done, void *user, struct failure *why)
{
	return look(st, true, done, user, why);
}

int station_history_rebuild(struct station *st, station_sheet_fn done, void *user, struct failure *why)
{
	return look(st, false, done, user, why);
}

/* ---- views ---- */

void station_history(const struct station *st, struct history_view *view)
{
	static const char *const states[] = { "starting", "ready", "failed" };
	const struct history *h = st->history;

	*view = (struct history_view){
		.state = states[h->state],
		.failure = &h->failure,
		.jobs = h->jobs,
		.rebuilt = h->rebuilt,
		.damage = h->damage,
	};
}

bool station_history_ok(const struct station *st)
{
	return st->history->state != HISTORY_FAILED;
}

struct history_store *history_store_of(struct station *st)
{
	return st->history->store;
}

/* ---- life ---- */

struct history *history_new(struct station *st, const char *state_dir)
{
	struct history *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->st = st;
	h->store = history_store_new(state_dir, st->records);
	h->worker = worker_new(st->loop, "fdld-history", 1);
	h->timer = loop_timer_new(st->loop, on_timer, h);
	if (!h->store || !h->worker || !h->timer) {
		history_free(h);
		return NULL;
	}
	return h;
}

void history_start(struct history *h)
{
	h->begun = h->keep_due = true;
	pump(h);
}

void history_free(struct history *h)
{
	if (!h)
		return;
	if (h->task)
		h->task->h = NULL;
	while (h->waiting) {
		struct waiting *w = h->waiting;

		h->waiting = w->next;
		w->drop(w->arg);
		free(w);
	}
	if (h->worker)
		worker_abandon(h->worker);
	loop_timer_free(h->timer);
	history_store_unref(h->store);
	free(h->pending);
	free(h);
}
