/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The history's database: one row a job, one row an entry of it. Everything in it comes from the job's files.
 */
#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "common/util.h"
#include "station/history_inner.h"

#define APPLICATION 0x66646c64 /* "fdld", for file(1) */
#define VERSION	    4
#define BUSY_MSEC   10000

/* ---- columns ---- */

#define TEXT(column, member)                                       \
	{                                                          \
#column, 't', offsetof(struct job_record, member), \
	}
#define NUM(column, member)                                        \
	{                                                          \
#column, 'i', offsetof(struct job_record, member), \
	}
/* The names are those of the answers, too: they stay. */
const struct history_column history_columns[] = {
	TEXT(kind, kind),
	TEXT(result, result),
	{ "error", 'e', 0 },
	TEXT(stage, failure.stage),
	TEXT(step, failure.step),
	TEXT(entry, failure.entry),
	{ "offset", 'o', 0 },
	{ "device_code", 'c', 0 },
	TEXT(detail, failure.detail),
	TEXT(level, level),
	TEXT(leaves, leaves),
	TEXT(nv, nv),
	{ "nv_owed", 'w', 0 },
	{ "backups", 'b', 0 },
	TEXT(last_confirmed, last_confirmed),
	TEXT(slot, slot),
	TEXT(unit, unit),
	TEXT(storage, storage),
	TEXT(rom_version, rom_version),
	TEXT(image, image_name),
	TEXT(product, product),
	TEXT(firmware, firmware),
	TEXT(digest, digest),
	TEXT(fdl1, fdl1),
	TEXT(fdl2, fdl2),
	TEXT(loader, loader),
	{ "uid", 'u', 0 },
	TEXT(operator, operator),
	TEXT(work_order, work_order),
	TEXT(serial, serial),
	TEXT(rule, rule),
	TEXT(sample, sample),
	TEXT(host, host),
	TEXT(version, version),
	NUM(created_at, created_at),
	NUM(started_at, started_at),
	NUM(finished_at, finished_at),
	NUM(run_usec, run_usec),
	NUM(bytes_sent, bytes_sent),
	NUM(bytes_compared, bytes_compared),
	NUM(bytes_read, bytes_read),
	{ "notes", 'n', 0 },
};
const size_t history_column_count = ARRAY_SIZE(history_columns);

static struct history_value number(uint64_t n)
{
	return (struct history_value){ .number = true, .n = (int64_t)n };
}

/* One a line. */
static const char *notes_of(const struct job_record *r, char *buf)
{
	size_t used = 0;

	*buf = 0;
	for (uint32_t i = 0; i < r->note_count; i++) {
		size_t n = strlen(r->notes[i]);

		if (used + n + 2 > HISTORY_TEXT_MAX)
			break;
		if (used)
			buf[used++] = '\n';
		memcpy(buf + used, r->notes[i], n + 1);
		used += n;
	}
	return buf;
}

struct history_value history_value(const struct job_record *r, size_t column, char *buf)
{
	const struct history_column *c = &history_columns[column];
	const struct failure *f = &r->failure;
	uint64_t n;

	switch (c->type) {
	case 'i': memcpy(&n, (const char *)r + c->at, sizeof(n)); return number(n);
	case 'u': return number(r->uid);
	case 'w': return number(r->nv_owed);
	case 'b': return number(r->backup_count);
	case 'o': return f->has_offset ? number(f->offset) : (struct history_value){ .null = true };
	case 'c': return f->code > 0 ? number((uint64_t)f->code) : (struct history_value){ .null = true };
	case 'e':
		return (struct history_value){ .text = f->error == ERR_NONE ? ""
									    : error_entry(f->error)->name };
	case 'n': return (struct history_value){ .text = notes_of(r, buf) };
	default: return (struct history_value){ .text = (const char *)r + c->at };
	}
}

/* ---- errors ---- */

static int errno_of(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB: return -EBADMSG;
	case SQLITE_FULL: return -ENOSPC;
	case SQLITE_READONLY: return -EROFS;
	case SQLITE_NOMEM: return -ENOMEM;
	case SQLITE_BUSY:
	case SQLITE_LOCKED: return -EBUSY;
	default: return -EIO;
	}
}

int history_db_fail(const struct history_db *db, int rc, struct failure *why)
{
	int err = db->sql ? sqlite3_system_errno(db->sql) : 0;
	bool disk = err && ((rc & 0xff) == SQLITE_IOERR || (rc & 0xff) == SQLITE_CANTOPEN);

	if (disk && err == ENOSPC)
		rc = SQLITE_FULL;
	if (disk && err == EROFS)
		rc = SQLITE_READONLY;
	failure_set(why, ERR_HISTORY_UNUSABLE, "%s%s%s", sqlite3_errstr(rc), disk ? ": " : "",
		    disk ? strerror(err) : "");
	return errno_of(rc);
}

int history_db_exec(struct history_db *db, const char *sql, struct failure *why)
{
	int rc = sqlite3_exec(db->sql, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? 0 : history_db_fail(db, rc, why);
}

static int prepare(struct history_db *db, const char *sql, sqlite3_stmt **out, struct failure *why)
{
	int rc = sqlite3_prepare_v3(db->sql, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL);

	return rc == SQLITE_OK ? 0 : history_db_fail(db, rc, why);
}

/* A statement that gives nothing. */
static int run(struct history_db *db, sqlite3_stmt *stmt, struct failure *why)
{
	int rc = sqlite3_step(stmt), r = 0;

	if (rc != SQLITE_DONE)
		r = history_db_fail(db, rc, why);
	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
	return r;
}

/* The first column of the only row. */
static int read_number(struct history_db *db, const char *sql, const char *name, uint64_t *value,
		       struct failure *why)
{
	sqlite3_stmt *stmt = NULL;
	int r = prepare(db, sql, &stmt, why), rc;

	*value = 0;
	if (r < 0)
		return r;
	if (name)
		sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC);
	rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
		*value = (uint64_t)sqlite3_column_int64(stmt, 0);
	else if (rc != SQLITE_DONE)
		r = history_db_fail(db, rc, why);
	sqlite3_finalize(stmt);
	return r;
}

/* ---- opening ---- */

static int make_tables(struct history_db *db, struct failure *why)
{
	char sql[4096];
	size_t n = (size_t)snprintf(sql, sizeof(sql),
				    "PRAGMA application_id=%d; CREATE TABLE job(job INTEGER PRIMARY KEY",
				    APPLICATION);

	for (size_t i = 0; i < history_column_count; i++) {
		const struct history_column *c = &history_columns[i];

		n += (size_t)snprintf(sql + n, sizeof(sql) - n, ", \"%s\" %s", c->name,
				      strchr("ten", c->type) ? "TEXT" : "INTEGER");
	}
	snprintf(
		sql + n, sizeof(sql) - n,
		");"
		"CREATE TABLE entry(job INTEGER, n INTEGER, op TEXT, entry TEXT, verdict TEXT, bytes_sent INTEGER, "
		"bytes_compared INTEGER, bytes_read INTEGER, sha256 TEXT, usec INTEGER, note TEXT, PRIMARY KEY(job, n)) WITHOUT ROWID;"
		"CREATE TABLE IF NOT EXISTS note(name TEXT PRIMARY KEY, value INTEGER) WITHOUT ROWID;"
		"CREATE INDEX job_slot ON job(slot, job); CREATE INDEX job_unit ON job(unit, job);"
		"CREATE INDEX job_error ON job(error, job); CREATE INDEX job_finished ON job(finished_at);"
		"CREATE INDEX job_serial ON job(serial, job) WHERE serial<>'';"
		"CREATE INDEX job_backups ON job(unit, finished_at) WHERE backups>0;"
		"PRAGMA user_version=%d;",
		VERSION);
	return history_db_exec(db, sql, why);
}

/* quick_check: whether pages, cells and tables hold together */
static int look_through(struct history_db *db, struct failure *why)
{
	sqlite3_stmt *stmt = NULL;
	const char *said;
	int r = prepare(db, "PRAGMA quick_check(1)", &stmt, why), rc;

	if (r < 0)
		return r;
	rc = sqlite3_step(stmt);
	said = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(stmt, 0) : NULL;
	if (rc != SQLITE_ROW) {
		r = history_db_fail(db, rc, why);
	} else if (!said || strcmp(said, "ok") != 0) {
		failure_set(why, ERR_HISTORY_UNUSABLE, "damaged: %.160s", said ? said : "");
		r = -EBADMSG;
	}
	sqlite3_finalize(stmt);
	return r;
}

/*
 * Of an older version. Rows are made from the job folders and hold nothing that is not there, so they are
 * made again rather than changed, in which what this version knows more of is filled in for old jobs too;
 * what was noted about the history as a whole stays. The next step finds that rows are missing.
 */
static int renew(struct history_db *db, struct failure *why)
{
	int r = look_through(db, why);

	if (!r)
		r = history_db_begin(db, why);
	if (!r)
		r = history_db_exec(db, "DROP TABLE job; DROP TABLE entry;", why);
	if (!r)
		r = make_tables(db, why);
	return r ? r : history_db_commit(db, why);
}

static int prepare_all(struct history_db *db, struct failure *why)
{
	char sql[2048];
	size_t n = (size_t)snprintf(sql, sizeof(sql), "INSERT OR REPLACE INTO job VALUES(?");
	int r;

	for (size_t i = 0; i < history_column_count; i++)
		n += (size_t)snprintf(sql + n, sizeof(sql) - n, ",?");
	snprintf(sql + n, sizeof(sql) - n, ")");
	r = prepare(db, sql, &db->put, why);
	if (!r)
		r = prepare(db, "INSERT INTO entry VALUES(?,?,?,?,?,?,?,?,?,?,?)", &db->put_entry, why);
	if (!r)
		r = prepare(db, "DELETE FROM job WHERE job=?", &db->drop, why);
	return r ? r : prepare(db, "DELETE FROM entry WHERE job=?", &db->drop_entries, why);
}

static int open_at(const char *path, int flags, struct history_db *db, struct failure *why)
{
	int rc;

	memset(db, 0, sizeof(*db));
	rc = sqlite3_open_v2(path, &db->sql, flags | SQLITE_OPEN_FULLMUTEX, NULL);
	if (rc != SQLITE_OK)
		return history_db_fail(db, rc, why);
	sqlite3_extended_result_codes(db->sql, 1);
	sqlite3_busy_timeout(db->sql, BUSY_MSEC);
	/* what stands in the file is data, whoever wrote it there */
	sqlite3_db_config(db->sql, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	return history_db_exec(
		db, "PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; PRAGMA temp_store=MEMORY;", why);
}

int history_db_open(const char *path, struct history_db *db, struct failure *why)
{
	uint64_t version = 0, tables = 0;
	int r = open_at(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, db, why);

	/* a job that was recorded stays recorded, over a loss of power too */
	if (!r)
		r = history_db_exec(db,
				    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
				    "PRAGMA journal_size_limit=4194304;",
				    why);
	if (!r)
		r = read_number(db, "PRAGMA user_version", NULL, &version, why);
	if (!r)
		r = read_number(db, "SELECT count(*) FROM sqlite_schema", NULL, &tables, why);
	if (!r && !version && !tables) {
		db->made = true;
		r = history_db_begin(db, why);
		if (!r)
			r = make_tables(db, why);
		if (!r)
			r = history_db_commit(db, why);
	} else if (!r && version && version < VERSION) {
		r = renew(db, why);
	} else if (!r && version != VERSION) {
		failure_set(why, ERR_HISTORY_UNUSABLE, "of version %" PRIu64 ", not %d", version, VERSION);
		r = -EBADMSG;
	} else if (!r) {
		r = look_through(db, why);
	}
	if (!r)
		r = prepare_all(db, why);
	if (r == -EIO && db->sql && (sqlite3_errcode(db->sql) & 0xff) == SQLITE_ERROR)
		r = -EBADMSG; /* tables or columns that are not ours */
	if (r < 0)
		history_db_close(db);
	return r;
}

/* Nothing waits in the log beside the file: it can be read although nothing can be written beside it. */
static bool settled(const char *path)
{
	char wal[4200];
	struct stat st;

	return snprintf(wal, sizeof(wal), "%s-wal", path) < (int)sizeof(wal) &&
	       (stat(wal, &st) < 0 ? errno == ENOENT : st.st_size == 0);
}

/* "file:...?immutable=1" with what has a meaning there escaped */
static void uri(const char *path, char *out, size_t size)
{
	size_t n = (size_t)snprintf(out, size, "file:");

	for (; *path && n + 20 < size; path++)
		n += (size_t)snprintf(out + n, size - n, strchr("?#%", *path) ? "%%%02x" : "%c",
				      (unsigned char)*path);
	snprintf(out + n, size - n, "?immutable=1");
}

int history_db_open_read(const char *path, struct history_db *db, struct failure *why)
{
	uint64_t version;
	char text[4096];
	int r = open_at(path, SQLITE_OPEN_READONLY, db, why);

	if (!r)
		r = read_number(db, "SELECT count(*) FROM sqlite_schema", NULL, &version, why);
	if (r < 0 && r != -EBADMSG && r != -ENOMEM && settled(path)) {
		history_db_close(db);
		uri(path, text, sizeof(text));
		r = open_at(text, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, db, why);
	}
	if (!r)
		r = read_number(db, "PRAGMA user_version", NULL, &version, why);
	if (!r && version != VERSION) {
		failure_set(why, ERR_HISTORY_UNUSABLE, "it has not been made yet");
		r = -EAGAIN;
	}
	if (r < 0)
		history_db_close(db);
	return r;
}

void history_db_close(struct history_db *db)
{
	sqlite3_finalize(db->put);
	sqlite3_finalize(db->put_entry);
	sqlite3_finalize(db->drop);
	sqlite3_finalize(db->drop_entries);
	sqlite3_close(db->sql);
	memset(db, 0, sizeof(*db));
}

/* ---- rows ---- */

int history_db_begin(struct history_db *db, struct failure *why)
{
	return history_db_exec(db, "BEGIN IMMEDIATE", why);
}

int history_db_commit(struct history_db *db, struct failure *why)
{
	int r = history_db_exec(db, "COMMIT", why);

	if (r < 0)
		history_db_rollback(db);
	return r;
}

void history_db_rollback(struct history_db *db)
{
	if (db->sql && !sqlite3_get_autocommit(db->sql))
		(void)sqlite3_exec(db->sql, "ROLLBACK", NULL, NULL, NULL);
}

static int put_entries(struct history_db *db, const struct job_record *r, struct failure *why)
{
	int ret = 0;

	for (uint32_t i = 0; i < r->entry_count && !ret; i++) {
		const struct record_entry *e = &r->entries[i];
		sqlite3_stmt *s = db->put_entry;

		sqlite3_bind_int64(s, 1, (int64_t)r->number);
		sqlite3_bind_int64(s, 2, i);
		sqlite3_bind_text(s, 3, e->op, -1, SQLITE_STATIC);
		sqlite3_bind_text(s, 4, e->entry, -1, SQLITE_STATIC);
		sqlite3_bind_text(s, 5, e->verdict, -1, SQLITE_STATIC);
		sqlite3_bind_int64(s, 6, (int64_t)e->bytes_sent);
		sqlite3_bind_int64(s, 7, (int64_t)e->bytes_compared);
		sqlite3_bind_int64(s, 8, (int64_t)e->bytes_read);
		sqlite3_bind_text(s, 9, e->sha256, -1, SQLITE_STATIC);
		sqlite3_bind_int64(s, 10, (int64_t)e->usec);
		sqlite3_bind_text(s, 11, e->note, -1, SQLITE_STATIC);
		ret = run(db, s, why);
	}
	return ret;
}

int history_db_put(struct history_db *db, const struct job_record *r, struct failure *why)
{
	char buf[HISTORY_TEXT_MAX];
	sqlite3_stmt *s = db->put;
	int ret;

	sqlite3_bind_int64(s, 1, (int64_t)r->number);
	for (size_t i = 0; i < history_column_count; i++) {
		struct history_value v = history_value(r, i, buf);

		if (v.null)
			sqlite3_bind_null(s, (int)i + 2);
		else if (v.number)
			sqlite3_bind_int64(s, (int)i + 2, v.n);
		else
			sqlite3_bind_text(s, (int)i + 2, v.text, -1, SQLITE_TRANSIENT);
	}
	ret = run(db, s, why);
	if (ret < 0)
		return ret;
	sqlite3_bind_int64(db->drop_entries, 1, (int64_t)r->number);
	ret = run(db, db->drop_entries, why);
	return ret < 0 ? ret : put_entries(db, r, why);
}

int history_db_drop(struct history_db *db, uint64_t job, struct failure *why)
{
	int r;

	sqlite3_bind_int64(db->drop, 1, (int64_t)job);
	r = run(db, db->drop, why);
	if (r < 0)
		return r;
	sqlite3_bind_int64(db->drop_entries, 1, (int64_t)job);
	return run(db, db->drop_entries, why);
}

int history_db_list(struct history_db *db, uint64_t **numbers, size_t *count, struct failure *why)
{
	_cleanup_free_ uint64_t *list = NULL;
	sqlite3_stmt *stmt = NULL;
	size_t n = 0, cap = 0;
	int r = prepare(db, "SELECT job FROM job ORDER BY job", &stmt, why), rc;

	if (r < 0)
		return r;
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		if (n == cap) {
			uint64_t *grown = realloc(list, (cap = cap ? cap * 2 : 256) * sizeof(*list));

			if (!grown) {
				sqlite3_finalize(stmt);
				return failure_set(why, ERR_INTERNAL, "out of memory");
			}
			list = grown;
		}
		list[n++] = (uint64_t)sqlite3_column_int64(stmt, 0);
	}
	if (rc != SQLITE_DONE)
		r = history_db_fail(db, rc, why);
	sqlite3_finalize(stmt);
	if (r < 0)
		return r;
	*numbers = TAKE_PTR(list);
	*count = n;
	return 0;
}

int history_db_count(struct history_db *db, uint64_t *count, struct failure *why)
{
	return read_number(db, "SELECT count(*) FROM job", NULL, count, why);
}

int history_db_latest(struct history_db *db, uint64_t *at, struct failure *why)
{
	return read_number(db, "SELECT max(finished_at) FROM job", NULL, at, why);
}

int history_db_note(struct history_db *db, const char *name, uint64_t *value, struct failure *why)
{
	return read_number(db, "SELECT value FROM note WHERE name=?", name, value, why);
}

int history_db_set_note(struct history_db *db, const char *name, uint64_t value, struct failure *why)
{
	sqlite3_stmt *stmt = NULL;
	int r = prepare(db, "INSERT OR REPLACE INTO note VALUES(?,?)", &stmt, why);

	if (r < 0)
		return r;
	sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC);
	sqlite3_bind_int64(stmt, 2, (int64_t)value);
	r = run(db, stmt, why);
	sqlite3_finalize(stmt);
	return r;
}
