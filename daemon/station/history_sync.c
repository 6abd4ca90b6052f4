/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Database and job folders: the one is made from the other, catches up with it, and is compared with it.
 */
#include <errno.h>
#include <inttypes.h>

#include "common/util.h"
#include "station/history_inner.h"

#define BATCH 200 /* jobs of one transaction */

int history_index(struct history_db *db, struct records *rec, uint64_t job, bool *there, struct failure *why)
{
	struct job_record r;
	int ret = records_load(rec, job, &r);
	bool ended = !ret && *r.result && !r.damaged;

	if (there)
		*there = ended;
	if (ret == -ENOMEM)
		return failure_set(why, ERR_INTERNAL, "out of memory");
	/* without a folder, or not ended: there is no row to be */
	ret = ended ? history_db_put(db, &r, why) : history_db_drop(db, job, why);
	if (ret != -ENOENT)
		job_record_clear(&r);
	return ret;
}

static bool listed(const uint64_t *list, size_t count, uint64_t n)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (list[mid] < n)
			low = mid + 1;
		else
			high = mid;
	}
	return low < count && list[low] == n;
}

bool history_spared(const struct history_spare *spare, uint64_t job)
{
	return job >= spare->end || listed(spare->job, spare->count, job);
}

/* One job of a longer work; every now and then what was done so far is made lasting. */
static int step(struct history_db *db, size_t *done, bool whole, struct failure *why)
{
	int r;

	if (whole || ++*done % BATCH)
		return 0;
	r = history_db_commit(db, why);
	return r < 0 ? r : history_db_begin(db, why);
}

struct both {
	uint64_t *row, *folder;
	size_t rows, folders;
};

static void both_free(struct both *b)
{
	free(b->row);
	free(b->folder);
}

static int both_list(struct history_db *db, struct records *rec, struct both *b, struct failure *why)
{
	/* rows first: a folder that comes meanwhile is found, one that goes is not missed */
	int r = history_db_list(db, &b->row, &b->rows, why), err;

	if (r < 0)
		return r;
	err = records_list(rec, &b->folder, &b->folders);
	if (err < 0) {
		failure_set(why, ERR_HISTORY_UNUSABLE, "job/ cannot be read: %s", strerror(-err));
		return err == -EBADMSG ? -EIO : err;
	}
	return 0;
}

int history_sync(struct history_db *db, struct records *rec, bool anew, struct failure *why)
{
	_cleanup_(both_free) struct both b = { 0 };
	size_t done = 0;
	int r = history_db_begin(db, why);

	if (!r && anew)
		r = history_db_exec(db, "DELETE FROM job; DELETE FROM entry", why);
	if (!r)
		r = both_list(db, rec, &b, why);
	for (size_t i = 0; i < b.rows && !r; i++) {
		if (listed(b.folder, b.folders, b.row[i]))
			continue;
		r = history_db_drop(db, b.row[i], why);
		if (!r)
			r = step(db, &done, anew, why);
	}
	for (size_t i = 0; i < b.folders && !r; i++) {
		if (listed(b.row, b.rows, b.folder[i]))
			continue;
		r = history_index(db, rec, b.folder[i], NULL, why);
		if (!r)
			r = step(db, &done, anew, why);
	}
	if (!r)
		r = history_db_commit(db, why);
	if (r < 0)
		history_db_rollback(db);
	return r;
}

/* ---- comparing ---- */

struct comparing {
	struct history_db *db;
	FILE *out;
	uint64_t job, differences;
};

static void tell(struct comparing *c, const char *what)
{
	c->differences++;
	fprintf(c->out, "{\"job\":%" PRIu64 ",\"what\":\"%s\"}\n", c->job, what);
}

static void tell_field(struct comparing *c, const char *field, const char *database, const char *files)
{
	char shown[2][9];

	if (!strcmp(field, "unit")) { /* whole identities are shown to nobody */
		snprintf(shown[0], sizeof(shown[0]), "%.8s", database);
		snprintf(shown[1], sizeof(shown[1]), "%.8s", files);
		database = shown[0];
		files = shown[1];
	}
	c->differences++;
	fprintf(c->out, "{\"job\":%" PRIu64 ",\"what\":\"differs\",\"field\":\"%s\",\"database\":", c->job,
		field);
	history_json(c->out, database);
	fputs(",\"files\":", c->out);
	history_json(c->out, files);
	fputs("}\n", c->out);
}

static const char *text_of(const struct history_value *v, char *buf, size_t size)
{
	if (v->null)
		return "";
	if (!v->number)
		return v->text;
	snprintf(buf, size, "%" PRId64, v->n);
	return buf;
}

static void compare_row(struct comparing *c, sqlite3_stmt *row, const struct job_record *r)
{
	char buf[HISTORY_TEXT_MAX], number[24];

	for (size_t i = 0; i < history_column_count; i++) {
		struct history_value v = history_value(r, i, buf);
		const char *files = text_of(&v, number, sizeof(number));
		const char *database = (const char *)sqlite3_column_text(row, (int)i + 1);

		if (v.null != (sqlite3_column_type(row, (int)i + 1) == SQLITE_NULL) ||
		    strcmp(database ? database : "", files) != 0)
			tell_field(c, history_columns[i].name, database ? database : "", files);
	}
}

static void entry_text(const struct record_entry *e, char *buf, size_t size)
{
	snprintf(buf, size, "%s %s %s %" PRIu64 " %" PRIu64 " %" PRIu64 " %s %" PRIu64 " %s", e->op, e->entry,
		 e->verdict, e->bytes_sent, e->bytes_compared, e->bytes_read, e->sha256, e->usec, e->note);
}

static int compare_entries(struct comparing *c, sqlite3_stmt *rows, const struct job_record *r,
			   struct failure *why)
{
	char files[448];
	uint32_t n = 0;
	int rc;

	sqlite3_bind_int64(rows, 1, (int64_t)r->number);
	while ((rc = sqlite3_step(rows)) == SQLITE_ROW) {
		const char *database = (const char *)sqlite3_column_text(rows, 0);

		*files = 0;
		if (n < r->entry_count)
			entry_text(&r->entries[n], files, sizeof(files));
		if (strcmp(database ? database : "", files) != 0)
			tell_field(c, "steps", database ? database : "", files);
		n++;
	}
	sqlite3_reset(rows);
	if (rc != SQLITE_DONE)
		return history_db_fail(c->db, rc, why);
	for (; n < r->entry_count; n++) {
		entry_text(&r->entries[n], files, sizeof(files));
		tell_field(c, "steps", "", files);
	}
	return 0;
}

static int compare_job(struct comparing *c, struct records *rec, sqlite3_stmt *row, sqlite3_stmt *entries,
		       bool *ended, struct failure *why)
{
	struct job_record r;
	int ret = records_load(rec, c->job, &r), rc;

	*ended = !ret && *r.result && !r.damaged;
	if (ret < 0)
		memset(&r, 0, sizeof(r));
	sqlite3_bind_int64(row, 1, (int64_t)c->job);
	rc = sqlite3_step(row);
	ret = 0;
	if (rc == SQLITE_ROW && !*ended) {
		tell(c, "no-result");
	} else if (rc == SQLITE_ROW) {
		compare_row(c, row, &r);
		ret = compare_entries(c, entries, &r, why);
	} else if (rc == SQLITE_DONE && *ended) {
		tell(c, "no-row");
	} else if (rc != SQLITE_DONE) {
		ret = history_db_fail(c->db, rc, why);
	}
	sqlite3_reset(row);
	job_record_clear(&r);
	return ret;
}

int history_compare(struct history_db *db, struct records *rec, const struct history_spare *spare, FILE *out,
		    uint64_t *jobs, uint64_t *differences, struct failure *why)
{
	_cleanup_(both_free) struct both b = { 0 };
	struct comparing c = { .db = db, .out = out };
	sqlite3_stmt *row = NULL, *entries = NULL;
	int r = both_list(db, rec, &b, why), rc;

	*jobs = 0;
	if (r < 0)
		return r;
	rc = sqlite3_prepare_v2(db->sql, "SELECT * FROM job WHERE job=?", -1, &row, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_prepare_v2(
			db->sql,
			"SELECT op||' '||entry||' '||verdict||' '||bytes_sent||' '||bytes_compared||' '||bytes_read||"
			"' '||sha256||' '||usec||' '||note FROM entry WHERE job=? ORDER BY n",
			-1, &entries, NULL);
	if (rc != SQLITE_OK)
		r = history_db_fail(db, rc, why);
	for (size_t i = 0; i < b.folders && !r; i++) {
		bool ended;

		c.job = b.folder[i];
		if (history_spared(spare, c.job))
			continue;
		r = compare_job(&c, rec, row, entries, &ended, why);
		*jobs += ended;
	}
	for (size_t i = 0; i < b.rows && !r; i++) {
		c.job = b.row[i];
		if (!history_spared(spare, c.job) && !listed(b.folder, b.folders, c.job))
			tell(&c, "no-folder");
	}
	sqlite3_finalize(row);
	sqlite3_finalize(entries);
	*differences = c.differences;
	return r;
}
