/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Jobs that wait for somebody's word before the phone hears a byte, and what is bound to phones: work order,
 * operator, serial number.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/util.h"
#include "station/armed.h"
#include "station/kv.h"
#include "station/rules.h"

/* ---- bound to a phone ---- */

bool bound_any(const struct slot_bound *b)
{
	return *b->work_order || *b->operator|| * b->serial;
}

/* NULL: as it is. */
static int check_text(const char *what, const char *text, size_t room, struct failure *why)
{
	if (!text || slot_text_plain(text, room))
		return 0;
	return failure_set(why, ERR_INVALID_ARGS, "%s: at most %zu bytes on one line", what, room - 1);
}

static int check_bound(const struct bind_request *q, struct failure *why)
{
	const struct slot_bound *b = NULL;
	int r = check_text("work_order", q->work_order, sizeof(b->work_order), why);

	if (!r)
		r = check_text("operator", q->operator, sizeof(b->operator), why);
	return r ? r : check_text("serial", q->serial, sizeof(b->serial), why);
}

static void take_bound(struct slot_bound *b, const struct bind_request *q)
{
	if (q->work_order)
		kv_copy(b->work_order, sizeof(b->work_order), q->work_order);
	if (q->operator)
		kv_copy(b->operator, sizeof(b->operator), q->operator);
	if (q->serial)
		kv_copy(b->serial, sizeof(b->serial), q->serial);
}

void bound_note(struct job_record *r, const struct slot_bound *b)
{
	memcpy(r->work_order, b->work_order, sizeof(r->work_order));
	memcpy(r->operator, b->operator, sizeof(r->operator));
	memcpy(r->serial, b->serial, sizeof(r->serial));
}

void bound_of(const struct job_record *r, struct slot_bound *b)
{
	memcpy(b->work_order, r->work_order, sizeof(b->work_order));
	memcpy(b->operator, r->operator, sizeof(b->operator));
	memcpy(b->serial, r->serial, sizeof(b->serial));
}

int slot_bind(struct slot *slot, const struct bind_request *q, struct failure *why)
{
	struct slot_arm *arm = &slot->book.arm;
	int r = check_bound(q, why);

	if (r < 0)
		return r;
	if (q->run && q->serial && *q->serial)
		return failure_set(why, ERR_INVALID_ARGS, "a serial number is of one phone, not of a run");
	take_bound(q->run ? &arm->run : &arm->next, q);
	slot->forgotten = false;
	slot_save(slot);
	slot_told(slot);
	return 0;
}

struct keeping {
	struct slot *slot; /* looked at on the loop only; slots live as long as the station */
	struct records *records;
	uint64_t number;
	char *text;
	size_t len;
	int result;
};

static void keep_run(void *arg)
{
	struct keeping *k = arg;

	k->result = records_write(k->records, k->number, "request", k->text, k->len, NULL);
}

static void keep_done(void *arg, int status)
{
	struct keeping *k = arg;

	k->slot->st->writing--;
	/* on the one file or on the other: it is lost with neither */
	if (status >= 0 && k->result >= 0)
		slot_save(k->slot);
	station_poke(k->slot->st);
}

static void keep_release(void *arg)
{
	struct keeping *k = arg;

	records_unref(k->records);
	free(k->text);
	free(k);
}

void bound_keep(struct job *job)
{
	struct keeping *k = calloc(1, sizeof(*k));
	struct worker_call call = { .run = keep_run, .done = keep_done, .release = keep_release, .arg = k };

	if (!k)
		return;
	k->slot = job->slot;
	k->records = records_ref(job->st->records);
	k->number = job->number;
	if (records_request_text(&job->record, &k->text, &k->len) < 0 ||
	    worker_submit(job->st->files, &call, NULL) < 0) {
		keep_release(k);
		return;
	}
	job->st->writing++;
}

static bool same_bound(const struct slot_bound *a, const struct slot_bound *b)
{
	return !strcmp(a->work_order, b->work_order) && !strcmp(a->operator, b->operator) &&
	       !strcmp(a->serial, b->serial);
}

void bound_interrupted(struct slot *slot, const struct job_record *r)
{
	struct slot_arm *arm = &slot->book.arm;
	struct slot_bound b = { 0 };

	bound_of(r, &b);
	/* what belongs to all of them is said of all of them */
	if (!strcmp(b.work_order, arm->run.work_order))
		*b.work_order = '\0';
	if (!strcmp(b.operator, arm->run.operator))
		*b.operator= '\0';
	if (!bound_any(&b))
		return;
	if (!strcmp(r->leaves, "unchanged") && !bound_any(&arm->next))
		arm->next = b;
	else if (strcmp(r->leaves, "unchanged") != 0 && same_bound(&arm->next, &b))
		memset(&arm->next, 0, sizeof(arm->next));
	else
		return;
	slot_save(slot);
}

/* ---- the gate ---- */

void gate_close(struct job *job)
{
	uint64_t now = loop_now();

	job->gate_until = now + job->gate_usec;
	job->wait_since = now;
	job_state(job, JOB_GATED, "");
}

static void open_gate(struct job *job)
{
	job->gate_usec = 0;
	job_state(job, JOB_WAITING, "");
	/* its phone is there, else it would have ended; it waits for its turn at most */
	job->wait_until = STATION_FOREVER;
	queue_run(job->st);
}

void gate_expire(struct job *job, uint64_t now, uint64_t *next)
{
	struct failure why = { 0 };

	if (now < job->gate_until) {
		*next = MIN(*next, job->gate_until);
		return;
	}
	failure_set(&why, ERR_RELEASE_EXPIRED, "rule %s: nobody within %" PRIu64 " s", job->record.rule,
		    job->gate_usec / 1000000);
	job_end_failed(job, &why);
}

static int check_gated(const struct job *job, struct failure *why)
{
	if (job->state == JOB_GATED && !job->releasing)
		return 0;
	return failure_set(why, ERR_INVALID_ARGS, "job %" PRIu64 " does not wait to be released",
			   job->number);
}

/* ---- released ---- */

/*
 * What was said is on the disk before the phone hears a byte and before anybody is told: a job that is cut
 * off after that still knows whose it was. With another image the plan is another one.
 */
struct releasing {
	struct job *job; /* lives on while it is releasing; looked at on the loop only */
	struct records *records;
	uint64_t number;
	struct slot_bound bound;
	char *text; /* of the job's request as it will be */
	size_t len;
	struct package *package; /* NULL: the image stays */
	struct package *lending; /* NULL: its own loaders */
	struct image *image, *lender;
	struct plan_options options;
	struct plan *plan;
	struct failure why;
	int result;
	station_done_fn done;
	void *user;
};

static void release_run(void *arg)
{
	struct releasing *p = arg;

	if (p->package)
		p->result = plan_compile(package_pac(p->package), &p->options, &p->plan, &p->why);
	if (!p->result)
		p->result = records_write(p->records, p->number, "request", p->text, p->len, &p->why);
}

static void release_free(void *arg)
{
	struct releasing *p = arg;

	plan_free(p->plan);
	package_unref(p->package);
	package_unref(p->lending);
	records_unref(p->records);
	free(p->text);
	free(p);
}

static void drop_images(struct image *image, struct image *lender)
{
	if (image)
		image_release(image);
	if (lender)
		image_release(lender);
}

static void take_image(struct job *job, struct releasing *p)
{
	drop_images(job->image, job->lender);
	job->image = p->image;
	job->lender = p->lender;
	plan_free(job->plan);
	job->plan = TAKE_PTR(p->plan);
	job_take_plan(job, job->plan, false);
	job->pace.total = job->plan->bytes_to_send + job->plan->bytes_to_verify;
	job_name_image(&job->record, p->image, p->lender);
}

static void release_done(void *arg, int status)
{
	struct releasing *p = arg;
	struct job *job = p->job;
	struct device *d = job->slot->device;
	bool waits = job->state == JOB_GATED;

	job->st->asking--;
	job->releasing = false;
	if (status < 0)
		p->result = failure_set(&p->why, ERR_INTERNAL, "%s", strerror(-status));
	if (!waits && p->result >= 0)
		p->result = failure_set(&p->why, ERR_INVALID_ARGS, "job %" PRIu64 " has ended meanwhile",
					job->number);
	if (p->result < 0) {
		drop_images(p->image, p->lender);
		p->done(p->user, &p->why);
	} else {
		if (p->image)
			take_image(job, p);
		if (d) {
			armed_take_bound(job->slot);
			d->arm.bound = p->bound;
			slot_save(job->slot); /* it is on the job's record now */
		}
		bound_note(&job->record, &p->bound);
		open_gate(job);
		p->done(p->user, NULL);
	}
	station_poke(job->st);
}

/* With another package: loaders that were asked for stay. */
static int other_image(struct releasing *p, struct job_record *record, struct failure *why)
{
	struct job *job = p->job;
	int r = 0;

	if (job->lender_named)
		p->lender = job->lender;
	else
		r = loader_lend(job->st, job->slot, p->image, NULL, p->options.force_loaders, &p->lender,
				why);
	if (r < 0)
		return r;
	p->package = package_ref(p->image->package);
	p->lending = p->lender ? package_ref(p->lender->package) : NULL;
	p->options.accept_bad_crc = p->image->accept_bad_crc;
	p->options.loaders = p->lender ? package_pac(p->lender->package) : NULL;
	job_name_image(record, p->image, p->lender);
	return 0;
}

int job_release(struct job *job, const struct bind_request *q, struct image *image, station_done_fn done,
		void *user, struct failure *why)
{
	struct worker_call call = { .run = release_run, .done = release_done, .release = release_free };
	struct job_record record;
	struct releasing *p;
	int r = check_gated(job, why);

	if (!r)
		r = check_bound(q, why);
	if (r < 0)
		return r;
	p = call.arg = calloc(1, sizeof(*p));
	if (!p)
		return failure_set(why, ERR_INTERNAL, "out of memory");
	*p = (struct releasing){ .job = job,
				 .records = records_ref(job->st->records),
				 .number = job->number,
				 .image = image != job->image ? image : NULL,
				 .options = job->plan->options,
				 .done = done,
				 .user = user };
	armed_bound_to(job->slot, &p->bound);
	take_bound(&p->bound, q);
	record = job->record;
	bound_note(&record, &p->bound);
	if (p->image)
		r = other_image(p, &record, why);
	if (r < 0) {
		release_free(p);
		return r;
	}
	if (records_request_text(&record, &p->text, &p->len) < 0 ||
	    worker_submit(job->st->files, &call, NULL) < 0) {
		release_free(p);
		return failure_set(why, ERR_INTERNAL, "out of memory");
	}
	if (p->image)
		image_hold(p->image);
	if (p->lender)
		image_hold(p->lender);
	job->releasing = true;
	job->st->asking++;
	return 1;
}

int job_refuse(struct job *job, const char *reason, struct failure *why)
{
	struct failure ended = { 0 };
	int r = check_gated(job, why);

	if (!r)
		r = check_text("reason", reason, 160, why);
	if (r < 0)
		return r;
	failure_set(&ended, ERR_RELEASE_REFUSED, "%s", reason);
	job_end_failed(job, &ended);
	return 0;
}
