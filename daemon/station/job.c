/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Jobs: asked for, compiled and numbered on a worker, waiting, running, cancelled, and forgotten some time
 * after their end. How they end is in job_end.c, how they look in job_view.c.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "common/util.h"
#include "station/errand.h"
#include "station/internal.h"
#include "station/kv.h"
#include "station/rules.h"

/* A job on its way into being. */
struct asking {
	struct station *st;
	struct records *records;
	struct package *package, *lending;
	struct image *image, *lender; /* looked at on the loop only */
	struct plan_options options;
	struct plan_read *reads; /* of a read */
	uint32_t read_count;
	struct mark mark[PLAN_MARKS_MAX];
	uint32_t mark_count;
	bool table;	       /* only reads that */
	bool show;	       /* only shows marks */
	bool release;	       /* only ends what runs there */
	struct errand *errand; /* no plan; the slot's, looked at on the loop only */
	struct plan *plan;
	struct failure why;
	int result;
	struct job *job; /* everything the caller said is in it already */
	station_job_fn done;
	void *user;
};

void job_told(struct job *job)
{
	job->changed++;
	if (job->announced)
		EMIT(job->st, job_changed, job);
}

void job_moved(struct job *job)
{
	job->moved++;
	job->lively = loop_now();
	if (job->announced)
		EMIT(job->st, job_progress, job);
}

void job_announce(struct job *job)
{
	if (job->announced)
		return;
	job->announced = true;
	EMIT(job->st, job_added, job);
}

void job_state(struct job *job, enum job_state state, const char *queued_for)
{
	uint64_t now = loop_now();

	if (job->state == state && !strcmp(job->queued_for, queued_for))
		return;
	if (state == JOB_WAITING && job->state != JOB_WAITING) {
		job->wait_since = now;
		job->wait_until = job->wait_usec > STATION_FOREVER - now ? STATION_FOREVER
									 : now + job->wait_usec;
	}
	job->state = state;
	job->queued_for = queued_for;
	job_told(job);
	job_moved(job);
	station_poke(job->st);
}

static void strings_free(char **list, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		free(list[i]);
	free(list);
}

static void job_free(struct job *job)
{
	strings_free(job->lines, job->line_count);
	strings_free(job->doubts, job->doubt_count);
	plan_free(job->plan);
	rules_unref(job->rules);
	sinks_unref(job->sinks);
	peek_free(job->peek);
	free(job->changes);
	job_record_clear(&job->record);
	free(job->places);
	free(job->step_usec);
	free(job->table);
	free(job->trace);
	free(job);
}

/* ---- the plan as text ---- */

void job_take_plan(struct job *job, const struct plan *plan, bool resolved)
{
	uint32_t n = 0;
	char **lines = calloc(plan->step_count + 1, sizeof(*lines));
	char line[200];

	if (!lines)
		return; /* it can be shown less well, but it can be run */
	for (uint32_t i = 0; i < plan->step_count; i++) {
		lines[n] = strdup(plan_step_text(plan, &plan->step[i], line, sizeof(line)));
		if (lines[n])
			n++;
	}
	strings_free(job->lines, job->line_count);
	job->lines = lines;
	job->line_count = n;
	job->resolved = resolved;

	char **doubts = calloc(plan->doubt_count + 1, sizeof(*doubts));

	if (!doubts)
		return;
	n = 0;
	for (uint32_t i = 0; i < plan->doubt_count; i++) {
		doubts[n] = strdup(plan->doubt[i]);
		if (doubts[n])
			n++;
	}
	strings_free(job->doubts, job->doubt_count);
	job->doubts = doubts;
	job->doubt_count = n;
}

/* ---- asking ---- */

/* Who comes first on a slot that is not free; NULL: nobody. */
static const struct job *first_on(const struct slot *slot)
{
	if (slot->job)
		return slot->job;
	if (slot->errand && slot->errand->job)
		return slot->errand->job;
	for (const struct job *j = slot->st->jobs; j; j = j->next)
		if (j->pinned && j->slot == slot && j->state <= JOB_QUEUED)
			return j;
	return NULL;
}

int slot_busy(const struct slot *slot, struct failure *why)
{
	const struct job *first = first_on(slot);

	if (!first)
		return failure_set(why, ERR_SLOT_BUSY, "%s: a job is about to begin there", slot->id);
	return failure_set(why, ERR_SLOT_BUSY, "%s, job %" PRIu64, slot->id, first->number);
}

static void ask_run(void *arg)
{
	struct asking *a = arg;
	struct job_record *r = &a->job->record;

	if (a->errand)
		a->result = 0;
	else if (a->release)
		a->result = plan_compile_end(a->options.end, &a->plan, &a->why);
	else if (a->table)
		a->result = plan_compile_table(package_pac(a->package), &a->options, &a->plan, &a->why);
	else if (a->show)
		a->result = plan_compile_show_marks(package_pac(a->package), &a->options, &a->plan, &a->why);
	else if (a->read_count)
		a->result = plan_compile_read(package_pac(a->package), &a->options, a->reads, a->read_count,
					      &a->plan, &a->why);
	else if (a->mark_count)
		a->result = plan_compile_marks(package_pac(a->package), &a->options, a->mark, a->mark_count,
					       &a->plan, &a->why);
	else
		a->result = plan_compile(package_pac(a->package), &a->options, &a->plan, &a->why);
	if (!a->result)
		a->result = records_new_job(a->records, &r->number, &a->why);
	if (!a->result)
		a->result = records_write_request(a->records, r, &a->why);
}

static void ask_release(void *arg)
{
	struct asking *a = arg;

	if (a->job)
		job_free(a->job);
	plan_free(a->plan);
	package_unref(a->package);
	package_unref(a->lending);
	records_unref(a->records);
	free(a->reads);
	free(a);
}

/* The first state that anybody sees is the true one: with its phone there the job runs already. */
static void settle_in(struct job *job)
{
	struct station *st = job->st;
	struct failure why = { 0 };

	if (st->draining) { /* it came into being while the door was being closed */
		failure_set(&why, ERR_CANCELLED, "the daemon is being stopped");
		job_end_failed(job, &why);
		return;
	}
	if (job->gate_usec)
		gate_close(job);
	queue_run(st);
}

static void ask_done(void *arg, int status)
{
	struct asking *a = arg;
	struct station *st = a->st;
	struct job **at = &st->jobs;
	struct job *job;

	st->asking--;
	if (status < 0)
		a->result = failure_set(&a->why, ERR_INTERNAL, "%s", strerror(-status));
	if (a->result < 0) {
		if (a->image)
			image_release(a->image);
		if (a->lender)
			image_release(a->lender);
		if (a->errand)
			errand_lost(a->errand);
		a->done(a->user, NULL, &a->why);
		station_poke(st);
		return;
	}
	job = TAKE_PTR(a->job);
	job->number = job->record.number;
	job->plan = TAKE_PTR(a->plan);
	job->image = a->image;
	job->lender = a->lender;
	if (job->plan) {
		job_take_plan(job, job->plan, false);
		job->pace.total = job->plan->bytes_to_send + job->plan->bytes_to_verify +
				  job->plan->bytes_to_read;
	}
	job->born_usec = job->wait_since = loop_now();
	job->wait_until = job->wait_usec > STATION_FOREVER - job->wait_since
				  ? STATION_FOREVER
				  : job->wait_since + job->wait_usec;
	while (*at && (*at)->number < job->number)
		at = &(*at)->next;
	job->next = *at;
	*at = job;
	st->counts.jobs_accepted++;
	job->errand = a->errand;
	if (job->errand)
		errand_begin(job);
	else
		settle_in(job);
	job_announce(job);
	/* listeners tell the first state from the changes that follow */
	job_told(job);
	job_moved(job);
	a->done(a->user, job, NULL);
	station_told(st);
	station_poke(st);
}

static int may_use(const struct image *image, struct failure *why)
{
	if (image && (image->leaving || image->told_gone))
		return failure_set(why, ERR_NO_SUCH_IMAGE, "%.100s is being removed", image->name);
	if (!image || image->state != IMAGE_BAD)
		return 0;
	if (why)
		*why = image->failure;
	return -error_entry(image->failure.error)->err;
}

int job_may_ask(struct station *st, const struct job_request *q, struct failure *why)
{
	uint32_t open = st->asking;
	int r;

	if (st->draining)
		return failure_set(why, ERR_DRAINING, "%s", "");
	for (struct job *j = st->jobs; j; j = j->next)
		open += j->state != JOB_ENDED;
	if (open >= st->set.jobs_max)
		return failure_set(why, ERR_LIMITS_EXCEEDED, "%u jobs have not ended", open);
	if (q->slot && q->expect_device_given &&
	    (!q->slot->device || q->slot->device->number != q->expect_device))
		return failure_set(why, ERR_DEVICE_CHANGED, "device %" PRIu64 " was expected in %s, %s",
				   q->expect_device, q->slot->id,
				   q->slot->device ? "another one is there" : "there is none");
	r = may_use(q->image, why);
	if (!r)
		r = may_use(q->lender, why);
	if (r < 0)
		return r;
	if (!q->wait_given || q->wait_usec)
		return 0;
	if (q->slot && (q->slot->errand || first_on(q->slot)))
		return slot_busy(q->slot, why);
	if (q->slot && q->slot->device && q->slot->device->spent)
		return failure_set(why, ERR_SLOT_BUSY,
				   "%s: the phone there has been flashed and told to go; unplug it",
				   q->slot->id);
	if (q->slot ? !q->slot->device || !q->slot->device->present : true) {
		if (q->slot)
			return failure_set(why, ERR_SLOT_EMPTY, "%s%s", q->slot->id,
					   q->slot->runs ? ": the phone there runs" : "");
		for (struct slot *s = st->slots; s; s = s->next) {
			bool named = !q->slot_count;

			for (uint32_t i = 0; i < q->slot_count; i++)
				named |= q->slots[i] == s;
			if (named && s->device && s->device->present && !s->job && !s->errand &&
			    !s->device->used)
				return 0;
		}
		return failure_set(why, ERR_SLOT_EMPTY, "no free phone");
	}
	return 0;
}

static struct job *job_from_request(struct station *st, const struct job_request *q, const char *kind)
{
	struct job *job = calloc(1, sizeof(*job));
	struct job_record *r;

	if (!job)
		return NULL;
	r = &job->record;
	job->st = st;
	job->queued_for = "";
	job->pinned = q->slot != NULL;
	job->slot = q->slot;
	job->dry_run = q->dry_run;
	job->wait_usec = q->wait_given ? q->wait_usec : st->set.wait_usec;
	job->expect_given = q->slot && q->expect_device_given;
	job->expect = q->expect_device;
	if (q->slot_count) {
		job->places = calloc(q->slot_count, sizeof(struct slot *));
		if (!job->places) {
			free(job);
			return NULL;
		}
		memcpy(job->places, q->slots, q->slot_count * sizeof(struct slot *));
		job->place_count = q->slot_count;
	}
	kv_copy(job->sender, sizeof(job->sender), q->caller.name);
	kv_copy(r->kind, sizeof(r->kind), kind);
	kv_copy(r->leaves, sizeof(r->leaves), "unchanged");
	kv_copy(r->slot, sizeof(r->slot), q->slot ? q->slot->id : "");
	kv_copy(r->host, sizeof(r->host), st->host);
	kv_copy(r->version, sizeof(r->version), FDLD_VERSION);
	if (q->rule) {
		job->rules = rules_ref(q->rules);
		job->rule = q->rule;
		kv_copy(r->rule, sizeof(r->rule), q->rule->name);
	}
	job->gate_usec = q->gate_usec;
	if (q->note)
		(void)job_record_note(r, q->note);
	if (q->image)
		job_name_image(r, q->image, q->lender);
	r->uid = q->caller.uid;
	r->created_at = station_wall();
	return job;
}

/*
 * Whether this is the phone of so many that is read back. Jobs that stand before it on its slot are counted
 * as if they passed; one that does not leaves the sample due.
 */
static void sample(struct job *job, uint32_t every, struct plan_options *options)
{
	uint64_t count = job->slot->book.arm.samples;
	char note[64];
	bool due;

	job->sample = every ? every : 10;
	for (const struct job *j = job->st->jobs; j; j = j->next)
		if (j->slot == job->slot && j->sample && j->state != JOB_ENDED && j->state != JOB_ENDING)
			count = armed_sample_passed(count, armed_sample_due(count, j->sample));
	due = armed_sample_due(count, job->sample);
	options->level = due ? LEVEL_VERIFIED : LEVEL_ACKNOWLEDGED;
	kv_copy(job->record.sample, sizeof(job->record.sample), due ? "taken" : "left");
	snprintf(note, sizeof(note), "sampled, one of %u: %s", job->sample,
		 due ? "this one" : "not this one");
	(void)job_record_note(&job->record, note);
}

int job_ask(struct station *st, const struct job_wish *wish, station_job_fn done, void *user,
	    struct failure *why)
{
	struct worker_call call = { .run = ask_run, .done = ask_done, .release = ask_release };
	const struct job_request *q = wish->request;
	struct job *job;
	struct asking *a;
	int r = job_may_ask(st, q, why);

	a = r < 0 ? NULL : calloc(1, sizeof(*a));
	job = a ? job_from_request(st, q, wish->kind) : NULL;
	if (!job) {
		free(a);
		free(wish->reads);
		sinks_unref(wish->sinks);
		peek_free(wish->peek);
		return r < 0 ? r : failure_set(why, ERR_INTERNAL, "out of memory");
	}
	job->sinks = wish->sinks;
	job->peek = wish->peek;
	job->lender_named = wish->lender_named;
	a->job = job;
	a->st = st;
	a->options = wish->options;
	if (a->options.addressing == ADDRESSING_PACKAGE && q->image)
		a->options.addressing = loader_addressing(q->image);
	if (a->options.level == LEVEL_SAMPLED)
		sample(job, q->options.sample, &a->options);
	a->reads = wish->reads;
	a->read_count = wish->reads ? q->read_count : 0;
	a->mark_count = MIN(wish->mark_count, (uint32_t)PLAN_MARKS_MAX);
	if (a->mark_count)
		memcpy(a->mark, wish->marks, a->mark_count * sizeof(*a->mark));
	a->table = wish->table;
	a->show = wish->peek != NULL;
	a->release = wish->release;
	a->errand = wish->errand;
	a->image = q->image;
	a->lender = q->lender;
	if (q->image)
		a->package = package_ref(q->image->package);
	if (q->lender) {
		a->lending = package_ref(q->lender->package);
		a->options.loaders = package_pac(a->lending);
	}
	a->records = records_ref(st->records);
	a->done = done;
	a->user = user;
	call.arg = a;
	r = worker_submit(st->files, &call, NULL);
	if (r < 0) {
		ask_release(a);
		return failure_set(why, ERR_INTERNAL, "%s", strerror(-r));
	}
	if (q->image)
		image_hold(q->image);
	if (q->lender)
		image_hold(q->lender);
	st->asking++;
	return 0;
}

int station_flash(struct station *st, const struct job_request *request, station_job_fn done, void *user,
		  struct failure *why)
{
	struct job_request q = *request;
	struct job_wish wish = { .request = &q, .kind = request->dry_run ? "dry-run" : "flash" };
	int r = options_translate(&request->options, &st->set, &wish.options, why);

	if (r < 0)
		return r;
	if (wish.options.level == LEVEL_SAMPLED && !request->slot)
		return failure_set(why, ERR_INVALID_ARGS,
				   "level sampled counts the phones of a slot: name one");
	wish.options.accept_bad_crc = request->image->accept_bad_crc;
	wish.lender_named = q.lender || (q.loader && *q.loader);
	if (!q.lender)
		r = loader_lend(st, q.slot, q.image, q.loader, q.options.force_loaders, &q.lender, why);
	return r < 0 ? r : job_ask(st, &wish, done, user, why);
}

/* ---- cancel, expiry ---- */

int job_cancel(struct job *job, bool force, const struct station_caller *caller, struct failure *why)
{
	struct failure ended = { 0 };

	(void)caller;
	if (job->state == JOB_ENDED || job->state == JOB_ENDING)
		return failure_set(why, ERR_NOT_CANCELABLE, "job %" PRIu64 " has ended", job->number);
	/* impatience is no consent to a phone that does not start: only force says that */
	if (job->cancelling && !force)
		return 0;
	if (job->errand)
		return errand_cancel(job->errand, "as asked", why);
	job->cancelling = true;
	if (job->runner) {
		runner_cancel(job->runner, force);
		if (job->state == JOB_RUNNING)
			job_told(job);
		return 0;
	}
	failure_set(&ended, ERR_CANCELLED, "before it had begun");
	job_end_failed(job, &ended);
	return 0;
}

static void forget(struct job *job)
{
	struct station *st = job->st;
	struct job **at = &st->jobs;

	EMIT(st, job_removed, job);
	while (*at && *at != job)
		at = &(*at)->next;
	if (*at)
		*at = job->next;
	loop_forget(st->loop, job);
	job_free(job);
}

void job_expire(struct station *st, uint64_t now, uint64_t *next)
{
	uint32_t kept = 0;
	struct job *after;

	for (struct job *j = st->jobs; j; j = j->next) {
		struct failure why = { 0 };

		kept += j->state == JOB_ENDED;
		if (j->state == JOB_GATED)
			gate_expire(j, now, next);
		if (j->state != JOB_WAITING)
			continue;
		if (now < j->wait_until) {
			*next = MIN(*next, j->wait_until);
			continue;
		}
		failure_set(&why, ERR_WAIT_EXPIRED, "no phone came to %s within %llu s",
			    j->slot ? j->slot->id : "any of its ports",
			    (unsigned long long)(j->wait_usec / 1000000));
		job_end_failed(j, &why);
	}
	for (struct job *j = st->jobs; j; j = after) {
		after = j->next;
		if (j->state != JOB_ENDED || j->releasing) /* the answer still looks at it */
			continue;
		if (now >= j->forget_at || kept > st->set.keep_max) {
			forget(j);
			kept--;
		} else {
			*next = MIN(*next, j->forget_at);
		}
	}
}

void job_keep(struct station *st, uint64_t was_usec, uint64_t is_usec)
{
	for (struct job *j = st->jobs; j; j = j->next)
		if (j->state == JOB_ENDED)
			j->forget_at += is_usec - was_usec; /* modulo 2^64: also backwards */
}

void job_free_all(struct station *st)
{
	while (st->jobs) {
		struct job *job = st->jobs;

		st->jobs = job->next;
		loop_forget(st->loop, job);
		usb_budget_release(job->claim);
		job_free(job);
	}
}
