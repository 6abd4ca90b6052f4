/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The whole: start, what an earlier run left, listeners, the clock of waits, the end.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "common/util.h"
#include "station/armed.h"
#include "station/config.h"
#include "station/errand.h"
#include "station/history.h"
#include "station/internal.h"
#include "station/kv.h"

#define FREE_USEC 2000000 /* how long station_free() waits for pipes to close */

uint64_t station_wall(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* ---- listeners ---- */

int station_subscribe(struct station *st, const struct station_events *events, void *user)
{
	for (int i = 0; i < STATION_LISTENERS; i++)
		if (!st->listener[i].events) {
			st->listener[i] = (struct listener){ events, user };
			return 0;
		}
	return -ENOMEM;
}

void station_unsubscribe(struct station *st, const struct station_events *events, void *user)
{
	for (int i = 0; i < STATION_LISTENERS; i++)
		if (st->listener[i].events == events && st->listener[i].user == user)
			st->listener[i].events = NULL;
}

void station_told(struct station *st)
{
	EMIT(st, station_changed);
}

/* ---- the turn after something changed ---- */

static void look_for_end(struct station *st)
{
	if (!st->draining || st->idle_told || st->asking || st->writing)
		return;
	for (struct job *j = st->jobs; j; j = j->next)
		if (j->state != JOB_ENDED)
			return;
	st->idle_told = true;
	EMIT(st, idle);
}

static void look(void *arg)
{
	struct station *st = arg;
	uint64_t next = UINT64_MAX;

	st->queue_deferred = false;
	queue_run(st);
	armed_look(st);
	kick_look(st);
	job_expire(st, loop_now(), &next);
	device_expire(st, loop_now(), &next);
	kick_expire(st, loop_now(), &next);
	next = MIN(next, queue_again(st));
	next = MIN(next, armed_again(st));
	loop_timer_at(st->timer, next);
	look_for_end(st);
}

void station_poke(struct station *st)
{
	if (!st->queue_deferred && loop_defer(st->loop, look, st) == 0)
		st->queue_deferred = true;
}

/* ---- an earlier run ---- */

struct scan {
	struct station *st;
	struct failure *why;
	uint64_t now;
};

/*
 * A job that has no result was cut short: by a crash, a kill, the power. From here on it has one; a disk that
 * will not take it (*why) is no reason not to start: the next start finds the job as this one did.
 */
static void interrupted(struct scan *s, struct job_record *r, struct failure *why)
{
	struct failure *f = &r->failure;
	bool damaged = r->damaged;
	struct slot *slot;

	if (damaged)
		records_set_aside(s->st->records, r->number, "result");
	memset(f, 0, sizeof(*f));
	kv_copy(r->result, sizeof(r->result), "interrupted");
	kv_copy(r->leaves, sizeof(r->leaves), r->had_intent || damaged ? "needs-flash" : "unchanged");
	failure_set(f, ERR_INTERRUPTED, "%s%s%s", damaged ? "its result could not be read; " : "",
		    *r->last_confirmed ? "last confirmed: "
		    : r->had_intent    ? "nothing was confirmed after the first destructive step"
				       : "nothing had been destroyed",
		    r->last_confirmed);
	kv_copy(f->stage, sizeof(f->stage), "station");
	r->nv_owed = owed_find(&s->st->owed, r->number) != NULL;
	if (r->nv_owed)
		kv_copy(r->nv, sizeof(r->nv), "owed");
	r->finished_at = s->now;
	s->st->counts.jobs_interrupted++;
	slot = *r->slot ? slot_get(s->st, r->slot) : NULL;
	if (slot) {
		armed_unit_interrupted(slot, r);
		bound_interrupted(slot, r);
	}
	history_ended(s->st->history, r->number);
	(void)records_write_result(s->st->records, r, why);
}

static int on_record(void *user, struct job_record *r)
{
	struct scan *s = user;
	struct station *st = s->st;
	int ret = owed_learn(&st->owed, r);
	bool open = !*r->result || r->damaged;
	struct failure unstored = { 0 };

	/* a folder whose request was never written: nobody was told of that job */
	if (!ret && open && !r->created_at && !r->had_intent && !r->backup_count && !r->damaged) {
		job_record_clear(r);
		return 0;
	}
	if (!ret && open)
		interrupted(s, r, &unstored);
	if (!ret && (open || r->finished_at + st->set.keep_usec > s->now))
		ret = job_from_record(st, r, !open, unstored.detail);
	job_record_clear(r);
	if (ret == -ENOMEM && s->why->error == ERR_NONE)
		failure_set(s->why, ERR_INTERNAL, "out of memory");
	return ret;
}

/* ---- begin ---- */

int station_new(struct loop *loop, const struct station_config *config, struct station **out,
		struct failure *why)
{
	struct station *st = calloc(1, sizeof(*st));
	struct failure own = { 0 };
	struct scan scan = { .st = st, .why = why ? why : &own, .now = station_wall() };
	int r;

	if (!st)
		return failure_set(why, ERR_INTERNAL, "out of memory");
	st->loop = loop;
	st->config = config->config;
	if (config->settings)
		st->set = *config->settings;
	else
		settings_preset(&st->set);
	st->probing = true;
	if (gethostname(st->host, sizeof(st->host)) < 0)
		*st->host = 0;
	st->host[sizeof(st->host) - 1] = 0;
	r = digest_begin();
	if (r < 0) {
		failure_set(why, ERR_INTERNAL, "libcrypto has no SHA-256 or no AES-GCM");
		goto fail;
	}
	r = records_open(config->state_dir, config->runtime_dir, &st->records, why);
	if (r < 0)
		goto fail;
	st->timer = loop_timer_new(loop, look, st);
	st->files = worker_new(loop, "fdld-files", 3);
	st->budget = usb_budget_new(NULL);
	if (!st->timer || !st->files || !st->budget) {
		r = failure_set(why, ERR_INTERNAL, "out of memory");
		goto fail;
	}
	usb_budget_share(st->budget, st->set.usb_percent);
	st->history = history_new(st, config->state_dir);
	if (!st->history) {
		r = failure_set(why, ERR_INTERNAL, "out of memory");
		goto fail;
	}
	r = slot_load_all(st);
	if (r < 0) {
		failure_set(why, ERR_STATE_DIRECTORY, "%s/slot cannot be read: %s", config->state_dir,
			    strerror(-r));
		goto fail;
	}
	r = records_scan(st->records, on_record, &scan);
	if (r < 0) {
		if (scan.why->error == ERR_NONE)
			failure_set(scan.why, ERR_STATE_DIRECTORY, "%s/job cannot be read: %s",
				    config->state_dir, strerror(-r));
		goto fail;
	}
	r = image_load_all(st, why);
	if (r < 0)
		goto fail;
	config_attach(st->config, st);
	history_start(st->history);
	*out = st;
	return 0;
fail:
	station_free(st);
	return r;
}

int station_start(struct station *st, struct failure *why)
{
	static const struct usb_watcher_events events = { .arrived = device_arrived, .left = device_left };

	st->usb = usb_context_new(st->loop, why);
	if (!st->usb)
		return why && why->error != ERR_NONE ? -error_entry(why->error)->err : -EIO;
	st->watcher = usb_watcher_new(st->loop, *st->set.udev_tag ? st->set.udev_tag : NULL, &events, st,
				      why);
	if (!st->watcher)
		return why && why->error != ERR_NONE ? -error_entry(why->error)->err : -EIO;
	st->probing = false;
	station_told(st);
	station_poke(st);
	return 0;
}

/* ---- settings ---- */

void station_configure(struct station *st, const struct settings *settings)
{
	struct settings old = st->set;

	st->set = *settings;
	kv_copy(st->set.udev_tag, sizeof(st->set.udev_tag), old.udev_tag);
	job_keep(st, old.keep_usec, st->set.keep_usec);
	usb_budget_share(st->budget, st->set.usb_percent);
	history_configure(st->history);
	armed_changed(st);
	station_told(st);
	station_poke(st);
}

const struct settings *station_settings(const struct station *st)
{
	return &st->set;
}

struct config *station_config(const struct station *st)
{
	return st->config;
}

/* ---- the whole ---- */

bool station_probing(const struct station *st)
{
	return st->probing;
}

bool station_draining(const struct station *st)
{
	return st->draining;
}

bool station_busy(const struct station *st)
{
	for (const struct job *j = st->jobs; j; j = j->next)
		if (j->state != JOB_ENDED)
			return true;
	for (const struct image *i = st->images; i; i = i->next)
		if (!i->stored || i->refs > 1)
			return true;
	return st->asking || st->writing;
}

void station_counts(const struct station *st, struct station_counts *counts)
{
	struct usb_budget_state budget;

	*counts = st->counts;
	usb_budget_state(st->budget, &budget);
	counts->usb_memory_used = budget.used;
	counts->usb_memory_limit = budget.limit;
	counts->threads_left_behind = worker_left_behind();
	for (struct slot *s = st->slots; s; s = s->next) {
		counts->slots++;
		counts->armed += s->book.arm.armed != 0;
		counts->stopped += *s->book.arm.stopped != 0;
	}
	for (struct device *d = st->devices; d; d = d->next)
		counts->devices += !d->running;
	for (struct image *i = st->images; i; i = i->next)
		counts->images += !i->loader && !i->pair;
	for (const struct owed *o = st->owed.first; o; o = o->next)
		counts->owed++;
	for (struct job *j = st->jobs; j; j = j->next) {
		counts->waiting += j->state == JOB_WAITING;
		counts->queued += j->state == JOB_QUEUED;
		counts->gated += j->state == JOB_GATED;
		counts->running += j->state == JOB_RUNNING || j->state == JOB_ENDING;
	}
}

void station_drain(struct station *st, bool now)
{
	bool first = !st->draining;

	st->draining = true;
	for (struct job *j = st->jobs; j; j = j->next) {
		struct failure why = { 0 };

		if (j->state <= JOB_QUEUED) {
			failure_set(&why, ERR_CANCELLED, "the daemon is being stopped");
			job_end_failed(j, &why);
		} else if (j->errand && (now || j->errand->kind->hasty)) {
			(void)errand_cancel(j->errand, "the daemon is being stopped", NULL);
		} else if (now && j->state == JOB_RUNNING && j->runner && !j->cancelling) {
			(void)job_cancel(j, false, NULL, NULL);
		}
	}
	image_store_drain(st);
	if (first)
		station_told(st);
	station_poke(st);
}

void station_hold(struct station *st, const char *word)
{
	if (st->held == word)
		return;
	st->held = word;
	station_poke(st);
}

void station_free(struct station *st)
{
	uint64_t until = loop_now() + FREE_USEC;
	bool busy = true;

	if (!st)
		return;
	memset(st->listener, 0, sizeof(st->listener));
	config_attach(st->config, NULL);
	usb_watcher_free(st->watcher);
	while (busy) {
		busy = false;
		for (struct job *j = st->jobs; j; j = j->next)
			busy |= j->runner && !runner_drop(j->runner);
		busy |= st->writing || st->asking || history_busy(st->history);
		if (!busy || loop_now() >= until)
			break;
		loop_turn(st->loop, until - loop_now());
	}
	loop_forget(st->loop, st);
	worker_abandon(st->files);
	history_free(st->history);
	image_store_free(st);
	job_free_all(st);
	image_free_all(st);
	slot_free_all(st);
	owed_clear(&st->owed);
	usb_budget_free(st->budget);
	loop_timer_free(st->timer);
	if (!busy)
		usb_context_free(st->usb);
	records_unref(st->records);
	free(st);
}
