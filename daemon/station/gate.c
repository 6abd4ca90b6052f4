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

/* With another image the plan is another one. */
struct replanning {
	struct job *job; /* lives on while it is releasing; looked at on the loop only */
	struct package *package;
	struct image *image;
	struct plan_options options;
	struct plan *plan;
	struct failure why;
	int result;
	station_done_fn done;
	void *user;
};

static void plan_run(void *arg)
{
	struct replanning *p = arg;

	p->result = plan_compile(package_pac(p->package), &p->options, &p->plan, &p->why);
}

static void plan_release(void *arg)
{
	struct replanning *p = arg;

	plan_free(p->plan);
	package_unref(p->package);
	free(p);
}

static void take_image(struct job *job, struct image *image, struct plan *plan)
{
	const struct pac_header *h = pac_header(package_pac(image->package));
	struct job_record *r = &job->record;

	image_release(job->image);
	job->image = image;
	plan_free(job->plan);
	job->plan = plan;
	job_take_plan(job, plan, false);
	job->pace.total = plan->bytes_to_send + plan->bytes_to_verify;
	kv_copy(r->image_name, sizeof(r->image_name), image->name);
	kv_copy(r->product, sizeof(r->product), h->product);
	kv_copy(r->firmware, sizeof(r->firmware), h->product_version);
	kv_copy(r->digest, sizeof(r->digest), image->digest);
	kv_copy(r->fdl1, sizeof(r->fdl1), package_loader(image->package, 1));
	kv_copy(r->fdl2, sizeof(r->fdl2), package_loader(image->package, 2));
}

static void plan_done(void *arg, int status)
{
	struct replanning *p = arg;
	struct job *job = p->job;
	bool waits = job->state == JOB_GATED;

	job->st->asking--;
	job->releasing = false;
	if (status < 0)
		p->result = failure_set(&p->why, ERR_INTERNAL, "%s", strerror(-status));
	if (!waits && p->result >= 0)
		p->result = failure_set(&p->why, ERR_INVALID_ARGS, "job %" PRIu64 " has ended meanwhile",
					job->number);
	if (p->result < 0) {
		image_release(p->image);
		p->done(p->user, &p->why);
	} else {
		take_image(job, p->image, TAKE_PTR(p->plan));
		open_gate(job);
		p->done(p->user, NULL);
	}
	station_poke(job->st);
}

static int replan(struct job *job, struct image *image, station_done_fn done, void *user, struct failure *why)
{
	struct replanning *p = calloc(1, sizeof(*p));
	struct worker_call call = { .run = plan_run, .done = plan_done, .release = plan_release, .arg = p };
	int r;

	if (!p)
		return failure_set(why, ERR_INTERNAL, "out of memory");
	*p = (struct replanning){ .job = job,
				  .package = package_ref(image->package),
				  .image = image,
				  .options = job->plan->options,
				  .done = done,
				  .user = user };
	p->options.accept_bad_crc = image->accept_bad_crc;
	r = worker_submit(job->st->files, &call, NULL);
	if (r < 0) {
		plan_release(p);
		return failure_set(why, ERR_INTERNAL, "%s", strerror(-r));
	}
	image_hold(image);
	job->releasing = true;
	job->st->asking++;
	return 0;
}

int job_release(struct job *job, const struct bind_request *q, struct image *image, station_done_fn done,
		void *user, struct failure *why)
{
	struct device *d = job->slot ? job->slot->device : NULL;
	int r = check_gated(job, why);

	if (!r)
		r = check_bound(q, why);
	if (r < 0)
		return r;
	if (image && image != job->image) {
		r = replan(job, image, done, user, why);
		if (r < 0)
			return r;
	}
	if (d) {
		armed_take_bound(job->slot);
		take_bound(&d->arm.bound, q);
	}
	if (job->releasing)
		return 1;
	open_gate(job);
	return 0;
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
