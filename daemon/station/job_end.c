/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How jobs end: the verdict taken over from the session, what is owed brought up to date, result and trace
 * stored on a worker, then told. And jobs of an earlier run.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "common/util.h"
#include "station/armed.h"
#include "station/history.h"
#include "station/internal.h"
#include "station/kv.h"

/* What the worker writes; self-contained, it may outlive the job. */
struct storing {
	struct job *job; /* looked at on the loop only */
	struct records *records;
	uint64_t number;
	char *trace, *result;
	size_t trace_len, result_len;
	struct failure why;
	int status;
};

static void store_run(void *arg)
{
	struct storing *s = arg;

	/* the trace first: a job with a result is closed, nothing is added to it any more */
	if (s->trace)
		s->status = records_write(s->records, s->number, "trace", s->trace, s->trace_len, &s->why);
	if (s->status)
		(void)records_write(s->records, s->number, "result", s->result, s->result_len, NULL);
	else
		s->status = records_write(s->records, s->number, "result", s->result, s->result_len, &s->why);
}

static void store_release(void *arg)
{
	struct storing *s = arg;

	free(s->trace);
	free(s->result);
	records_unref(s->records);
	free(s);
}

static void finished(struct job *job)
{
	struct station *st = job->st;
	const char *how = job->record.result;

	job_announce(job);
	job->state = JOB_ENDED;
	job->forget_at = loop_now() + st->set.keep_usec;
	if (!strcmp(how, "succeeded"))
		st->counts.jobs_succeeded++;
	else if (!strcmp(how, "cancelled"))
		st->counts.jobs_cancelled++;
	else if (!strcmp(how, "skipped"))
		st->counts.jobs_skipped++;
	else
		st->counts.jobs_failed++;
	history_ended(st->history, job->number);
	if (job->slot)
		slot_counted(job->slot, &job->record);
	pace_finish(&job->pace, !strcmp(how, "succeeded"));
	plan_free(TAKE_PTR(job->plan));
	sinks_unref(TAKE_PTR(job->sinks));
	job_moved(job);
	job_told(job);
	EMIT(st, job_finished, job);
	if (job->image)
		image_release(TAKE_PTR(job->image));
	if (job->lender)
		image_release(TAKE_PTR(job->lender));
	station_told(st);
	station_poke(st);
}

void job_unstored(struct job *job, const char *why)
{
	char note[sizeof(job->unstored) + 32];

	kv_copy(job->unstored, sizeof(job->unstored), why);
	snprintf(note, sizeof(note), "the result could not be stored: %s", job->unstored);
	(void)job_record_note(&job->record, note);
}

static void store_done(void *arg, int status)
{
	struct storing *s = arg;

	s->job->st->writing--;
	if (status < 0 || s->status < 0)
		job_unstored(s->job, status < 0 ? strerror(-status) : s->why.detail);
	finished(s->job);
}

/* What the record says of the job as a whole, beside the verdict. */
static void complete(struct job *job)
{
	struct job_record *r = &job->record;

	r->finished_at = station_wall();
	r->run_usec = job->run_since ? loop_now() - job->run_since : 0;
	if (job->image && *job->image->digest)
		kv_copy(r->digest, sizeof(r->digest), job->image->digest);
}

static void store(struct job *job)
{
	struct station *st = job->st;
	struct storing *s = calloc(1, sizeof(*s));
	struct worker_call call = {
		.run = store_run, .done = store_done, .release = store_release, .arg = s
	};

	job->state = JOB_ENDING;
	job->silent_since = 0;
	job->lively = loop_now();
	complete(job);
	armed_over(job);
	queue_leave(job);
	if (s && records_result_text(&job->record, &s->result, &s->result_len) == 0) {
		s->job = job;
		s->records = records_ref(st->records);
		s->number = job->number;
		s->trace = TAKE_PTR(job->trace);
		s->trace_len = job->trace_len;
		job->record.has_trace = s->trace != NULL;
		st->writing++;
		if (worker_submit(st->files, &call, NULL) == 0)
			return;
		st->writing--;
		store_release(s);
	} else {
		free(s);
	}
	job_unstored(job, "out of memory");
	finished(job);
}

void job_end_failed(struct job *job, const struct failure *why)
{
	struct job_record *r = &job->record;

	if (job->state == JOB_ENDING || job->state == JOB_ENDED)
		return;
	r->failure = *why;
	kv_copy(r->result, sizeof(r->result), why->error == ERR_CANCELLED ? "cancelled" : "failed");
	if (!*r->failure.stage)
		kv_copy(r->failure.stage, sizeof(r->failure.stage), "station");
	store(job);
}

void job_end_errand(struct job *job, const struct failure *why)
{
	if (why) {
		job_end_failed(job, why);
		return;
	}
	kv_copy(job->record.result, sizeof(job->record.result), "succeeded");
	store(job);
}

static const char *verdict_name(enum entry_verdict verdict)
{
	static const char *const names[] = { "not-run", "acknowledged", "verified", "failed" };

	return verdict <= ENTRY_FAILED ? names[verdict] : "failed";
}

static void take_entries(struct job *job, const struct session_result *res)
{
	struct job_record *r = &job->record;

	if (!res->resolved || !res->entry_count)
		return;
	r->entries = calloc(res->entry_count, sizeof(*r->entries));
	if (!r->entries)
		return;
	for (uint32_t i = 0; i < res->entry_count; i++) {
		const struct entry_result *from = &res->entries[i];
		struct record_entry *to = &r->entries[r->entry_count];
		const struct plan_step *step;
		uint64_t sum_of;

		if (from->step >= res->resolved->step_count)
			continue;
		step = &res->resolved->step[from->step];

		kv_copy(to->entry, sizeof(to->entry), step->target);
		kv_copy(to->op, sizeof(to->op), plan_op_name(step->op));
		kv_copy(to->verdict, sizeof(to->verdict), verdict_name(from->verdict));
		kv_copy(to->note, sizeof(to->note), from->note);
		to->bytes_sent = from->bytes_sent;
		to->bytes_compared = from->bytes_compared;
		to->usec = from->step < job->step_count ? job->step_usec[from->step] : 0;
		to->bytes_read = from->bytes_read;
		if (step->op == OP_READ)
			kv_copy(to->sha256, sizeof(to->sha256), sinks_sum(job->sinks, step->sink, &sum_of));
		r->bytes_read += from->bytes_read;
		r->bytes_sent += from->bytes_sent;
		r->bytes_compared += from->bytes_compared;
		r->entry_count++;
	}
	if (res->last_confirmed >= 0 && (uint32_t)res->last_confirmed < res->resolved->step_count)
		plan_step_text(res->resolved, &res->resolved->step[res->last_confirmed], r->last_confirmed,
			       sizeof(r->last_confirmed));
}

const char *storage_word(enum storage_kind kind)
{
	static const char *const words[] = { "", "nand", "emmc", "ufs", "nor" };

	return (size_t)kind < ARRAY_SIZE(words) ? words[kind] : "";
}

/* Of a job that was to read it, or has written it and read it again. */
static void take_table(struct job *job, const struct device_facts *facts)
{
	if (!facts || (strcmp(job->record.kind, "table") != 0 && !job_tables(job)))
		return;
	job->table = malloc(sizeof(*job->table));
	if (job->table)
		*job->table = facts->table;
}

static void take_facts(struct job_record *r, const struct device_facts *facts)
{
	if (!facts)
		return;
	kv_copy(r->unit, sizeof(r->unit), facts->unit);
	kv_copy(r->rom_version, sizeof(r->rom_version), facts->rom_version);
	kv_copy(r->storage, sizeof(r->storage), storage_word(facts->storage));
}

/* Promise 5: a backup is owed until a job has written it back and read it back; then every one of that unit
 * is settled. */
static void settle(struct job *job, const struct session_result *res, const struct record_backup *backups,
		   uint32_t count)
{
	struct job_record *r = &job->record;
	struct owed_index *ix = &job->st->owed;

	r->nv_owed = res->nv_owed;
	r->nv_written_back = res->nv_written_back && !res->nv_owed;
	if (r->nv_written_back) {
		r->settled_count = owed_settled_by(ix, r->unit, kv_u64(job->plan->options.nv_from, 0),
						   job->number, r->settled, RECORD_SETTLED_MAX);
		for (uint32_t i = 0; i < r->settled_count; i++)
			owed_settle(ix, r->settled[i]);
	}
	if (r->nv_owed && count && owed_add(ix, job->number, r->unit, r->slot, backups, count) < 0)
		(void)job_record_note(r,
				      "the owed backup is stored, but not known to this run of the daemon");
}

void job_end_session(struct job *job, const struct session *session, const struct record_backup *backups,
		     uint32_t backup_count)
{
	const struct session_result *res = session_result(session);
	struct job_record *r = &job->record;
	const struct pac_body *body = job->image ? package_body(job->image->package) : NULL;
	bool destroys = plan_destroys(job->plan);
	size_t need;

	kv_copy(r->result, sizeof(r->result),
		res->pass			  ? "succeeded"
		: res->cancelled		  ? "cancelled"
		: armed_skips(res->failure.error) ? "skipped"
						  : "failed");
	if (!res->pass)
		r->failure = res->failure;
	if (res->pass && destroys)
		kv_copy(r->level, sizeof(r->level),
			res->level == LEVEL_VERIFIED  ? "verified"
			: res->level == LEVEL_SAMPLED ? "sampled"
						      : "acknowledged");
	kv_copy(r->leaves, sizeof(r->leaves),
		res->leaves    ? res->leaves
		: res->changed ? "needs-flash"
			       : "unchanged");
	kv_copy(r->nv, sizeof(r->nv), res->nv);
	take_facts(r, res->facts);
	if (res->pass) {
		take_table(job, res->facts);
		job_take_marks(job);
	}
	job_time_step(job);
	take_entries(job, res);
	if (body && !body->crc_ok && !job->image->pair) /* what was made here has none */
		(void)job_record_note(
			r, "the check sums of the package are wrong or missing; accepted as asked");
	for (uint32_t i = 0; res->facts && i < res->facts->backup_count; i++)
		if (*res->facts->backups[i].note)
			(void)job_record_note(r, res->facts->backups[i].note);
	settle(job, res, backups, backup_count);
	if (!res->pass) {
		need = recorder_text(session_recorder(session), NULL, 0);
		job->trace = malloc(need + 1);
		if (job->trace) {
			job->trace_len = recorder_text(session_recorder(session), job->trace, need + 1);
			job->trace_len = MIN(job->trace_len, need);
		}
	}
	store(job);
}

/* ---- an earlier run ---- */

int job_from_record(struct station *st, struct job_record *record, bool old, const char *unstored)
{
	struct job *job = calloc(1, sizeof(*job));
	struct job **at = &st->jobs;

	if (!job)
		return -ENOMEM;
	job->st = st;
	job->number = record->number;
	job->announced = true; /* found by who looks around at the start */
	job->old = old;
	job->state = JOB_ENDED;
	job->queued_for = "";
	job->record = *record;
	memset(record, 0, sizeof(*record));
	if (!strcmp(job->record.result, "succeeded"))
		job->pace.fraction = 1;
	job->pace.done = job->pace.total = job->record.bytes_sent + job->record.bytes_compared;
	if (*job->record.slot)
		job->slot = slot_get(st, job->record.slot);
	job->forget_at = loop_now() + st->set.keep_usec;
	if (*unstored)
		job_unstored(job, unstored);
	while (*at)
		at = &(*at)->next;
	*at = job;
	return 0;
}

/* ---- the trace ---- */

struct reading {
	struct station *st;
	struct records *records;
	uint64_t number;
	char *text;
	size_t len;
	int result;
	station_text_fn done;
	void *user;
};

static void read_run(void *arg)
{
	struct reading *t = arg;

	t->result = records_read(t->records, t->number, "trace", &t->text, &t->len);
}

static void read_done(void *arg, int status)
{
	struct reading *t = arg;
	struct failure why = { 0 };
	int r = status < 0 ? status : t->result;

	t->st->writing--;
	if (r < 0 && r != -ENOENT) {
		failure_set(&why, ERR_STORE_FAILED, "reading job/%" PRIu64 "/trace: %s", t->number,
			    strerror(-r));
		t->done(t->user, "", &why);
	} else {
		t->done(t->user, r < 0 ? "" : t->text, NULL);
	}
	station_poke(t->st);
}

static void read_release(void *arg)
{
	struct reading *t = arg;

	free(t->text);
	records_unref(t->records);
	free(t);
}

int job_trace(struct job *job, station_text_fn done, void *user, struct failure *why)
{
	struct reading *t = calloc(1, sizeof(*t));
	struct worker_call call = { .run = read_run, .done = read_done, .release = read_release, .arg = t };
	int r;

	if (!t)
		return failure_set(why, ERR_INTERNAL, "out of memory");
	*t = (struct reading){ .st = job->st,
			       .records = records_ref(job->st->records),
			       .number = job->number,
			       .done = done,
			       .user = user };
	r = worker_submit(job->st->files, &call, NULL);
	if (r < 0) {
		read_release(t);
		return failure_set(why, ERR_INTERNAL, "%s", strerror(-r));
	}
	job->st->writing++;
	return 0;
}
