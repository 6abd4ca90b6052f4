/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Questions about the history and about NV backups. Each is answered beside the worker that writes, with a
 * connection of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/util.h"
#include "station/history.h"
#include "station/history_work.h"
#include "station/internal.h"
#include "station/kv.h"

/* Threads that wait for a disk, of the whole process, beyond which nobody is asked any more. */
#define ASK_LEFT_BEHIND_MAX 16u

struct question {
	struct station *st; /* looked at on the loop only */
	struct history_store *store;
	struct history_filter filter;
	char slot[RECORD_SLOT_MAX], unit[65], result[16], error[48], image[256];
	char rule[64], serial[64], work_order[64];
	uint64_t *owed;
	size_t owed_count;
	struct station_sheet sheet; /* fd is owned */
	int result_code;
	struct failure why;
	station_sheet_fn done;
	void *user;
	struct worker *worker;
	enum error_id unanswered;
	/* of an export */
	uint64_t job;
	char name[40];
	int to;
};

static void answered(void *arg, int status)
{
	struct question *q = arg;

	if (q->worker) {
		if (status == -ETIMEDOUT)
			worker_abandon(q->worker);
		else
			worker_close(q->worker);
		q->worker = NULL;
	}
	q->st->writing--;
	if (status < 0) { /* not through q->why: the thread may still write to it */
		struct failure why = { 0 };

		failure_set(&why, status == -ETIMEDOUT ? q->unanswered : ERR_INTERNAL, "%s",
			    status == -ETIMEDOUT ? "the disk has not answered in time" : strerror(-status));
		q->done(q->user, NULL, &why);
	} else {
		q->done(q->user, q->result_code < 0 ? NULL : &q->sheet, q->result_code < 0 ? &q->why : NULL);
	}
	station_poke(q->st);
}

static void release(void *arg)
{
	struct question *q = arg;

	util_closep(&q->sheet.fd);
	util_closep(&q->to);
	free(q->owed);
	history_store_unref(q->store);
	free(q);
}

static const char *copy(char *to, size_t size, const char *from)
{
	(void)kv_copy(to, size, from ? from : "");
	return to;
}

static struct question *question_new(struct station *st, const struct history_filter *filter,
				     station_sheet_fn done, void *user)
{
	struct question *q = calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	q->st = st;
	q->sheet.fd = q->to = -1;
	q->done = done;
	q->user = user;
	q->store = history_store_ref(history_store_of(st));
	if (!filter)
		return q;
	q->filter = *filter;
	q->filter.slot = copy(q->slot, sizeof(q->slot), filter->slot);
	q->filter.unit = copy(q->unit, sizeof(q->unit), filter->unit);
	q->filter.result = copy(q->result, sizeof(q->result), filter->result);
	q->filter.error = copy(q->error, sizeof(q->error), filter->error);
	q->filter.image = copy(q->image, sizeof(q->image), filter->image);
	q->filter.rule = copy(q->rule, sizeof(q->rule), filter->rule);
	q->filter.serial = copy(q->serial, sizeof(q->serial), filter->serial);
	q->filter.work_order = copy(q->work_order, sizeof(q->work_order), filter->work_order);
	return q;
}

/*
 * Each on a thread of its own with a deadline: a disk that does not answer keeps that one, and nobody else
 * from being answered. unanswered: what it is called then.
 */
static int ask(struct question *q, void (*run)(void *arg), enum error_id unanswered, struct failure *why)
{
	struct worker_call call = { .run = run, .done = answered, .release = release, .arg = q };
	struct station *st = q->st;
	int r = -EAGAIN;

	if (worker_left_behind() >= ASK_LEFT_BEHIND_MAX) {
		release(q);
		return failure_set(why, unanswered, "%u calls of a disk have not come back",
				   worker_left_behind());
	}
	q->unanswered = unanswered;
	call.deadline = loop_now() + st->set.store_usec;
	q->worker = worker_new(st->loop, "fdld-lookup", 1);
	if (q->worker)
		r = worker_submit(q->worker, &call, NULL);
	if (r < 0) {
		worker_close(TAKE_PTR(q->worker));
		release(q);
		return failure_set(why, ERR_INTERNAL, "%s", strerror(-r));
	}
	st->writing++;
	return 0;
}

/* ---- the history ---- */

/* out is closed, q->sheet.fd sealed. */
static void seal(struct question *q, FILE *out)
{
	struct failure why = { 0 };
	int r = history_sealed(out, q->sheet.fd, &why);

	if (!q->result_code && r < 0) {
		q->result_code = r;
		q->why = why;
	}
}

static void select_run(void *arg)
{
	struct question *q = arg;
	struct history_db db;
	FILE *out;

	q->result_code = history_sheet(&out, &q->sheet.fd, &q->why);
	if (q->result_code < 0)
		return;
	q->result_code = history_db_open_read(history_store_path(q->store), &db, &q->why);
	if (!q->result_code) {
		q->result_code = history_select(&db, &q->filter, out, &q->sheet.more, &q->why);
		history_db_close(&db);
	}
	seal(q, out);
}

/* What had ended when it was asked for is written. */
static void select_now(void *arg)
{
	struct question *q = arg;
	station_sheet_fn done = q->done;
	struct failure why = { 0 };
	void *user = q->user;

	q->st->writing--;
	if (ask(q, select_run, ERR_HISTORY_UNUSABLE, &why) < 0)
		done(user, NULL, &why);
}

int station_history_select(struct station *st, const struct history_filter *filter, station_sheet_fn done,
			   void *user, struct failure *why)
{
	struct question *q = question_new(st, filter, done, user);
	int r;

	if (!q)
		return failure_set(why, ERR_INTERNAL, "out of memory");
	r = history_when_written(st->history, select_now, release, q);
	if (r > 0)
		return ask(q, select_run, ERR_HISTORY_UNUSABLE, why);
	if (r < 0) {
		release(q);
		return failure_set(why, ERR_INTERNAL, "out of memory");
	}
	st->writing++;
	return 0;
}

/* ---- backups: from the folders, so that no database stands between a phone and its NV ---- */

static bool wanted(const struct question *q, const struct job_record *r)
{
	const struct history_filter *f = &q->filter;

	if (*f->slot && strcmp(f->slot, r->slot) != 0)
		return false;
	return !*f->unit ||
	       !strncasecmp(f->unit, r->unit, f->full ? strlen(f->unit) : MIN(strlen(f->unit), 8u));
}

static void put_backup(const struct question *q, FILE *out, const struct job_record *r, bool owed)
{
	char unit[65];

	snprintf(unit, sizeof(unit), "%.*s", q->filter.full ? 64 : 8, r->unit);
	fprintf(out, "{\"job\":%" PRIu64 ",\"owed\":%s,\"slot\":", r->number, owed ? "true" : "false");
	history_json(out, r->slot);
	fputs(",\"unit\":", out);
	history_json(out, unit);
	fprintf(out, ",\"finished_at\":%" PRIu64 ",\"result\":", r->finished_at);
	history_json(out, r->result);
	fputs(",\"product\":", out);
	history_json(out, r->product);
	fputs(",\"files\":[", out);
	for (uint32_t i = 0; i < r->backup_count; i++) {
		fprintf(out, "%s{\"name\":", i ? "," : "");
		history_json(out, r->backups[i].name);
		fprintf(out, ",\"size\":%" PRIu64 "}", r->backups[i].size);
	}
	fputs("]}\n", out);
}

/* Returns whether there is room for more. */
static bool list_one(struct question *q, FILE *out, uint64_t job, bool owed)
{
	uint64_t limit = q->filter.limit ? MIN(q->filter.limit, HISTORY_LINES_MAX) : HISTORY_LINES_MAX;
	struct job_record r;

	if (records_load(history_store_records(q->store), job, &r) < 0)
		return true;
	if (r.backup_count && wanted(q, &r) && q->sheet.jobs < limit) {
		put_backup(q, out, &r, owed);
		q->sheet.jobs++;
	}
	job_record_clear(&r);
	return q->sheet.jobs < limit;
}

static bool is_owed(const struct question *q, uint64_t job)
{
	for (size_t i = 0; i < q->owed_count; i++)
		if (q->owed[i] == job)
			return true;
	return false;
}

static void list_run(void *arg)
{
	struct question *q = arg;
	struct records *rec = history_store_records(q->store);
	_cleanup_free_ uint64_t *job = NULL;
	size_t count = 0;
	bool room = true;
	FILE *out;
	int r;

	q->result_code = history_sheet(&out, &q->sheet.fd, &q->why);
	if (q->result_code < 0)
		return;
	for (size_t i = 0; i < q->owed_count && room; i++)
		room = list_one(q, out, q->owed[i], true);
	r = records_list(rec, &job, &count);
	if (r < 0)
		q->result_code = failure_set(&q->why, ERR_STORE_FAILED, "job/ cannot be read: %s",
					     strerror(-r));
	for (size_t i = count; i-- && room && !r;)
		if (records_has_backups(rec, job[i]) && !is_owed(q, job[i]))
			room = list_one(q, out, job[i], false);
	seal(q, out);
}

int station_backups(struct station *st, const struct history_filter *filter, station_sheet_fn done,
		    void *user, struct failure *why)
{
	struct question *q = question_new(st, filter, done, user);
	size_t count = 0;

	for (const struct owed *o = st->owed.first; o; o = o->next)
		count++;
	if (q)
		q->owed = calloc(count + 1, sizeof(*q->owed));
	if (!q || !q->owed) {
		if (q)
			release(q);
		return failure_set(why, ERR_INTERNAL, "out of memory");
	}
	for (const struct owed *o = st->owed.first; o; o = o->next)
		q->owed[q->owed_count++] = o->job;
	return ask(q, list_run, ERR_STORE_FAILED, why);
}

const char *station_backup_slot(const struct station *st, uint64_t job)
{
	const struct owed *o = owed_find(&st->owed, job);
	const struct job *j = station_job(st, job);

	return o ? o->slot : j ? j->record.slot : "";
}

/* ---- export ---- */

static int put_all(int fd, const uint8_t *p, size_t len)
{
	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static void export_run(void *arg)
{
	static const size_t piece = 64 << 10;
	struct question *q = arg;
	struct records *rec = history_store_records(q->store);
	_cleanup_free_ uint8_t *buf = malloc(piece);
	struct job_record r;
	uint64_t size = 0;
	bool found = false;
	int ret;

	if (!buf || records_load(rec, q->job, &r) == -ENOMEM) {
		q->result_code = failure_set(&q->why, ERR_INTERNAL, "out of memory");
		return;
	}
	for (uint32_t i = 0; i < r.backup_count && !found; i++) {
		found = !strcmp(r.backups[i].name, q->name);
		size = r.backups[i].size;
	}
	job_record_clear(&r);
	if (!found) {
		q->result_code = failure_set(&q->why, ERR_NO_SUCH_BACKUP, "job %" PRIu64 ", %s", q->job,
					     q->name);
		return;
	}
	while (q->sheet.bytes < size) {
		size_t n = (size_t)MIN(size - q->sheet.bytes, (uint64_t)piece);

		q->result_code = records_backup_read(rec, q->job, q->name, q->sheet.bytes, buf, n, &q->why);
		if (q->result_code < 0)
			return;
		ret = put_all(q->to, buf, n);
		if (ret < 0) {
			q->result_code = failure_set(&q->why, ERR_STORE_FAILED,
						     "writing to the caller's file: %s", strerror(-ret));
			return;
		}
		q->sheet.bytes += n;
	}
}

/* Content that nobody else may see goes into a file that is new, and not to a terminal or into a pipe. */
static int check_target(int fd, struct failure *why)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || (flags & O_PATH) || (flags & O_ACCMODE) == O_RDONLY)
		return failure_set(why, ERR_INVALID_ARGS, "the descriptor is not open for writing");
	return 0;
}

/* On the worker, as a file system may take its time with this, too. */
static void export_checked(void *arg)
{
	struct question *q = arg;
	struct stat st;

	if (fstat(q->to, &st) < 0)
		q->result_code = failure_set(&q->why, ERR_INVALID_ARGS, "%s", strerror(errno));
	else if (!S_ISREG(st.st_mode) || st.st_size)
		q->result_code = failure_set(&q->why, ERR_INVALID_ARGS,
					     "the descriptor is not that of an empty file");
	else
		export_run(q);
}

int station_backup_export(struct station *st, uint64_t job, const char *name, int fd, station_sheet_fn done,
			  void *user, struct failure *why)
{
	_cleanup_close_ int own = fd;
	struct question *q;
	int r = check_target(own, why);

	if (r < 0)
		return r;
	q = question_new(st, NULL, done, user);
	if (!q)
		return failure_set(why, ERR_INTERNAL, "out of memory");
	q->to = TAKE_FD(own);
	q->job = job;
	copy(q->name, sizeof(q->name), name);
	return ask(q, export_checked, ERR_STORE_FAILED, why);
}
