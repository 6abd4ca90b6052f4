/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Answers: what the database says, as lines of JSON in an anonymous file that nobody can change any more.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/mman.h>

#include "common/util.h"
#include "station/history_inner.h"

/* ---- the sheet ---- */

int history_sheet(FILE **out, int *fd, struct failure *why)
{
	_cleanup_close_ int own = memfd_create("fdld-answer", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int dup = own < 0 ? -1 : fcntl(own, F_DUPFD_CLOEXEC, 3);

	*out = dup < 0 ? NULL : fdopen(dup, "w");
	if (!*out) {
		int err = errno;

		if (dup >= 0)
			close(dup);
		return failure_set(why, ERR_INTERNAL, "no anonymous file: %s", strerror(err));
	}
	*fd = TAKE_FD(own);
	return 0;
}

int history_sealed(FILE *out, int fd, struct failure *why)
{
	bool bad = ferror(out) != 0;

	bad |= fclose(out) != 0;
	if (!bad && lseek(fd, 0, SEEK_SET) == 0 &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) == 0)
		return 0;
	return failure_set(why, ERR_INTERNAL, "the answer could not be written: %s", strerror(errno));
}

/* ---- JSON ---- */

/* Length of the UTF-8 sequence at s; 0: it is none. */
static size_t sequence(const unsigned char *s)
{
	size_t n = *s < 0x80		     ? 1
		   : *s >= 0xc2 && *s < 0xe0 ? 2
		   : *s >= 0xe0 && *s < 0xf0 ? 3
		   : *s >= 0xf0 && *s < 0xf5 ? 4
					     : 0;

	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((*s == 0xe0 && s[1] < 0xa0) || (*s == 0xed && s[1] > 0x9f) || (*s == 0xf0 && s[1] < 0x90) ||
	    (*s == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

void history_json(FILE *out, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;

	putc('"', out);
	while (*s) {
		size_t n = sequence(s);

		if (*s == '"' || *s == '\\')
			fprintf(out, "\\%c", *s);
		else if (*s < 0x20 || *s == 0x7f)
			fprintf(out, "\\u%04x", *s);
		else if (n)
			fwrite(s, 1, n, out);
		else
			putc('?', out);
		s += n ? n : 1;
	}
	putc('"', out);
}

/* ---- the question ---- */

struct text {
	char sql[2048], unit[65];
	size_t len;
	const char *bind[12];
	int64_t number[12];
	int binds;
};

static void also(struct text *t, const char *condition, const char *value, uint64_t number)
{
	t->len += (size_t)snprintf(t->sql + t->len, sizeof(t->sql) - t->len, " AND %s", condition);
	t->bind[t->binds] = value;
	t->number[t->binds++] = (int64_t)MIN(number, (uint64_t)INT64_MAX);
}

static bool given(const char *text)
{
	return text && *text;
}

static void build(const struct history_filter *f, struct text *t)
{
	t->len = (size_t)snprintf(t->sql, sizeof(t->sql), "SELECT * FROM job WHERE 1");
	if (given(f->slot))
		also(t, "slot=:slot", f->slot, 0);
	if (given(f->unit)) {
		/* no more digits than are shown: a longer one would be a way to guess the rest */
		snprintf(t->unit, sizeof(t->unit), "%.*s", f->full ? 64 : 8, f->unit);
		for (char *c = t->unit; *c; c++)
			*c = (char)(*c >= 'A' && *c <= 'F' ? *c + 'a' - 'A' : *c);
		also(t, "unit>=:unit AND unit<:unit||'g'", t->unit, 0);
	}
	if (given(f->result))
		also(t, "result=:result", f->result, 0);
	if (given(f->error))
		also(t, "error=:error", f->error, 0);
	if (given(f->image))
		also(t, "(image=:image OR (length(:image)>=8 AND substr(digest,1,length(:image))=:image))",
		     f->image, 0);
	if (given(f->rule))
		also(t, "rule=:rule", f->rule, 0);
	if (given(f->serial))
		also(t, "serial=:serial AND serial<>''", f->serial, 0);
	if (given(f->work_order))
		also(t, "work_order=:order", f->work_order, 0);
	if (f->since)
		also(t, "finished_at>=:since", NULL, f->since);
	if (f->until)
		also(t, "finished_at<:until", NULL, f->until);
	if (f->before)
		also(t, "job<:before", NULL, f->before);
	snprintf(t->sql + t->len, sizeof(t->sql) - t->len, " ORDER BY job DESC");
}

static void put_value(FILE *out, sqlite3_stmt *row, int column, const char *name, bool full)
{
	const char *text;
	char unit[9];

	fprintf(out, ",\"%s\":", name);
	switch (sqlite3_column_type(row, column)) {
	case SQLITE_INTEGER: fprintf(out, "%" PRId64, (int64_t)sqlite3_column_int64(row, column)); return;
	case SQLITE_NULL: fputs("null", out); return;
	default: break;
	}
	text = (const char *)sqlite3_column_text(row, column);
	if (text && !full && !strcmp(name, "unit")) {
		snprintf(unit, sizeof(unit), "%.8s", text);
		text = unit;
	}
	history_json(out, text ? text : "");
}

static int put_steps(struct history_db *db, sqlite3_stmt *steps, int64_t job, FILE *out, struct failure *why)
{
	static const char *const names[] = { "op",	   "entry",	     "verdict",
					     "bytes_sent", "bytes_compared", "bytes_read",
					     "sha256",	   "usec",	     "note" };
	const char *comma = "";
	int rc;

	fputs(",\"steps\":[", out);
	sqlite3_bind_int64(steps, 1, job);
	while ((rc = sqlite3_step(steps)) == SQLITE_ROW) {
		fprintf(out, "%s{\"n\":%d", comma, sqlite3_column_int(steps, 0));
		for (int i = 0; i < (int)ARRAY_SIZE(names); i++)
			put_value(out, steps, i + 1, names[i], true);
		putc('}', out);
		comma = ",";
	}
	sqlite3_reset(steps);
	putc(']', out);
	return rc == SQLITE_DONE ? 0 : history_db_fail(db, rc, why);
}

static int put_job(struct history_db *db, sqlite3_stmt *row, sqlite3_stmt *steps,
		   const struct history_filter *filter, FILE *out, struct failure *why)
{
	int64_t job = sqlite3_column_int64(row, 0), usec = 0;
	uint64_t bytes = 0;
	int r = 0;

	fprintf(out, "{\"job\":%" PRId64, job);
	for (size_t i = 0; i < history_column_count; i++) {
		const char *name = history_columns[i].name;

		put_value(out, row, (int)i + 1, name, filter->full);
		if (!strcmp(name, "run_usec"))
			usec = sqlite3_column_int64(row, (int)i + 1);
		else if (!strncmp(name, "bytes_", 6))
			bytes += (uint64_t)sqlite3_column_int64(row, (int)i + 1);
	}
	fprintf(out, ",\"rate\":%" PRIu64, usec > 0 ? (uint64_t)((double)bytes * 1e6 / (double)usec) : 0);
	if (filter->steps)
		r = put_steps(db, steps, job, out, why);
	fputs("}\n", out);
	return r;
}

int history_select(struct history_db *db, const struct history_filter *filter, FILE *out, uint64_t *more,
		   struct failure *why)
{
	uint64_t limit = filter->limit ? MIN(filter->limit, HISTORY_LINES_MAX) : HISTORY_LINES_MAX, count = 0;
	sqlite3_stmt *row = NULL, *steps = NULL;
	struct text t = { .len = 0 };
	int64_t last = 0;
	int r = 0, rc;

	build(filter, &t);
	*more = 0;
	rc = sqlite3_prepare_v2(db->sql, t.sql, -1, &row, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_prepare_v2(
			db->sql,
			"SELECT n,op,entry,verdict,bytes_sent,bytes_compared,bytes_read,sha256,usec,note FROM entry "
			"WHERE job=? ORDER BY n",
			-1, &steps, NULL);
	for (int i = 0; i < t.binds && rc == SQLITE_OK; i++)
		rc = t.bind[i] ? sqlite3_bind_text(row, i + 1, t.bind[i], -1, SQLITE_STATIC)
			       : sqlite3_bind_int64(row, i + 1, t.number[i]);
	while (rc == SQLITE_OK && !r && (rc = sqlite3_step(row)) == SQLITE_ROW) {
		/* this one is there, and for another sheet */
		if (count == limit || ftello(out) > HISTORY_BYTES_MAX) {
			*more = (uint64_t)last;
			break;
		}
		last = sqlite3_column_int64(row, 0);
		r = put_job(db, row, steps, filter, out, why);
		count++;
		rc = SQLITE_OK;
	}
	if (!r && rc != SQLITE_OK && rc != SQLITE_DONE && rc != SQLITE_ROW)
		r = history_db_fail(db, rc, why);
	sqlite3_finalize(row);
	sqlite3_finalize(steps);
	return r;
}
