/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The history as an index: made from folders, caught up with, compared, kept, damaged, and read while it is
 * written. Real databases in real folders.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "common/util.h"
#include "station/history_work.h"
#include "station/kv.h"

#define DAY UINT64_C(86400000000)
#define NOW (UINT64_C(20000) * DAY)

struct place {
	char state[64];
	struct records *rec;
	struct history_store *store;
	struct history_work work; /* of the last one */
	struct failure why;
	char *said; /* by the last comparison or question */
};

static int rm(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

static const char *in(const struct place *p, const char *name)
{
	static char path[4][160];
	static int next;
	char *to = path[next++ % 4];

	snprintf(to, sizeof(path[0]), "%s/%s", p->state, name);
	return to;
}

static bool there(const struct place *p, const char *name)
{
	return access(in(p, name), F_OK) == 0;
}

static bool folder(const struct place *p, uint64_t n, const char *in_it)
{
	char name[64];

	snprintf(name, sizeof(name), "job/%" PRIu64 "%s", n, in_it);
	return there(p, name);
}

static int setup(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	strcpy(p->state, "/tmp/fdld-test-history-XXXXXX");
	assert_non_null(mkdtemp(p->state));
	if (records_open(p->state, NULL, &p->rec, &p->why) < 0)
		fail_msg("%s", p->why.detail);
	p->store = history_store_new(p->state, p->rec);
	assert_non_null(p->store);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct place *p = *state;

	history_store_unref(p->store);
	records_unref(p->rec);
	nftw(p->state, rm, 8, FTW_DEPTH | FTW_PHYS);
	free(p->said);
	free(p);
	return 0;
}

/* As a daemon that was started anew. */
static void again(struct place *p)
{
	history_store_unref(p->store);
	p->store = history_store_new(p->state, p->rec);
	assert_non_null(p->store);
}

/* ---- jobs ---- */

struct made {
	const char *result, *unit, *slot;
	uint64_t finished, settles;
	enum error_id error;
	bool backup, owed;
};

static uint64_t new_job(struct place *p)
{
	uint64_t n = 0;

	assert_int_equal(records_new_job(p->rec, &n, &p->why), 0);
	return n;
}

static void end_job(struct place *p, uint64_t n, const struct made *m)
{
	struct record_entry entries[] = { { "boot", "write", "acknowledged", 4096, 0, 1500, "", 0, "" },
					  { "nv \"a\"\\", "write", "verified", 512, 512, 0,
					    "a note | with a bar", 0, "" } };
	struct job_record r = { .number = n,
				.kind = "flash",
				.level = "acknowledged",
				.leaves = "complete",
				.nv = "kept",
				.storage = "emmc",
				.image_name = "a \"name\" \x01 \xc3\xa4.pac",
				.digest = "00112233445566778899",
				.fdl1 = "f1",
				.fdl2 = "f2",
				.loader = "a pair",
				.rule = "line",
				.sample = "taken",
				.serial = "S1",
				.work_order = "W1",
				.host = "station",
				.version = "0.1.0",
				.uid = 1000,
				.created_at = m->finished - 30,
				.started_at = m->finished - 20,
				.finished_at = m->finished,
				.run_usec = 2000000,
				.bytes_sent = 4608,
				.bytes_compared = 512,
				.entries = entries,
				.entry_count = 2,
				.nv_owed = m->owed };

	snprintf(r.result, sizeof(r.result), "%s", m->result);
	snprintf(r.unit, sizeof(r.unit), "%s", m->unit ? m->unit : "");
	snprintf(r.slot, sizeof(r.slot), "%s", m->slot ? m->slot : "pci-usb-1");
	r.failure.error = m->error;
	if (m->error) {
		r.failure.code = 0x84;
		r.failure.offset = 4096;
		r.failure.has_offset = true;
		snprintf(r.failure.stage, sizeof(r.failure.stage), "fdl2");
		snprintf(r.failure.entry, sizeof(r.failure.entry), "boot");
	}
	if (m->settles) {
		r.settled[0] = m->settles;
		r.settled_count = 1;
	}
	if (m->backup) {
		struct record_sink sink;

		record_sink_init(&sink, n, "nv/fixnv1");
		assert_int_equal(record_sink_append(p->rec, &sink, "calibration", 11, &p->why), 0);
		assert_int_equal(record_sink_sync(p->rec, &sink, &p->why), 0);
		record_sink_close(&sink);
	}
	assert_int_equal(job_record_note(&r, "first"), 0);
	assert_int_equal(job_record_note(&r, "second"), 0);
	assert_int_equal(records_write_request(p->rec, &r, &p->why), 0);
	assert_int_equal(records_write_result(p->rec, &r, &p->why), 0);
	for (uint32_t i = 0; i < r.note_count; i++)
		free(r.notes[i]);
	free(r.notes);
}

static uint64_t job(struct place *p, const struct made *m)
{
	uint64_t n = new_job(p);

	end_job(p, n, m);
	return n;
}

static const struct made PASS = { .result = "succeeded", .unit = "aabbccdd00112233", .finished = NOW };
static const struct made FAIL = {
	.result = "failed", .unit = "aabbccdd99887766", .finished = NOW, .error = ERR_SIGNATURE_REFUSED
};

/* ---- work ---- */

static int work(struct place *p, const struct history_work *asked)
{
	p->work = *asked;
	memset(&p->why, 0, sizeof(p->why));
	return history_store_work(p->store, &p->work, &p->why);
}

static void catch_up(struct place *p)
{
	if (work(p, &(struct history_work){ .count = 0 }) < 0)
		fail_msg("%s", p->why.detail);
}

static int put(struct place *p, uint64_t n)
{
	return work(p, &(struct history_work){ .job = &n, .count = 1 });
}

static uint64_t differences(struct place *p, struct history_spare *spare)
{
	struct history_work w = { .compare = true, .spare_open = { .end = UINT64_MAX } };
	size_t len;

	if (spare)
		w.spare_open = *spare;
	free(p->said);
	w.out = open_memstream(&p->said, &len);
	assert_non_null(w.out);
	if (work(p, &w) < 0)
		fail_msg("%s", p->why.detail);
	fclose(w.out);
	return p->work.differences;
}

static int ask(struct place *p, const struct history_filter *f, uint64_t *more)
{
	struct history_db db;
	uint64_t next = 0;
	size_t len;
	FILE *out;
	int r = history_db_open_read(history_store_path(p->store), &db, &p->why);

	if (r < 0)
		return r;
	free(p->said);
	out = open_memstream(&p->said, &len);
	r = history_select(&db, f, out, more ? more : &next, &p->why);
	fclose(out);
	history_db_close(&db);
	return r;
}

static unsigned int lines(const struct place *p)
{
	unsigned int n = 0;

	for (const char *c = p->said; *c; c++)
		n += *c == '\n';
	return n;
}

static unsigned int count(struct place *p, struct history_filter f)
{
	if (ask(p, &f, NULL) < 0)
		fail_msg("%s", p->why.detail);
	return lines(p);
}

/* Everything in it but the retention's own note, as one text. */
static char *dump(struct place *p)
{
	char *text = NULL, *sql = NULL;
	struct history_db db;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (history_db_open_read(history_store_path(p->store), &db, &p->why) < 0)
		fail_msg("%s", p->why.detail);
	for (int table = 0; table < 2; table++) {
		sqlite3_stmt *s;

		assert_int_equal(sqlite3_prepare_v2(db.sql,
						    table ? "SELECT * FROM entry ORDER BY job, n"
							  : "SELECT * FROM job ORDER BY job",
						    -1, &s, NULL),
				 SQLITE_OK);
		while (sqlite3_step(s) == SQLITE_ROW) {
			for (int i = 0; i < sqlite3_column_count(s); i++)
				fprintf(out, "%s=%s|", sqlite3_column_name(s, i),
					sqlite3_column_text(s, i) ? (const char *)sqlite3_column_text(s, i)
								  : "NULL");
			fputc('\n', out);
		}
		sqlite3_finalize(s);
	}
	free(sql);
	history_db_close(&db);
	fclose(out);
	return text;
}

/* ---- made, caught up with, compared ---- */

static void test_everything_is_in_it(void **state)
{
	struct place *p = *state;
	uint64_t n = job(p, &FAIL);

	assert_int_equal(put(p, n), 0);
	assert_int_equal(p->work.rows, 1);
	assert_int_equal(count(p, (struct history_filter){ .steps = true }), 1);
	static const char *const parts[] = {
		"\"job\":1,\"kind\":\"flash\",\"result\":\"failed\",\"error\":\"SignatureRefused\",\"stage\":\"fdl2\"",
		"\"entry\":\"boot\",\"offset\":4096,\"device_code\":132",
		"\"slot\":\"pci-usb-1\",\"unit\":\"aabbccdd\"", /* no more of it */
		"\"image\":\"a \\\"name\\\" \\u0001 \xc3\xa4.pac\"",
		"\"digest\":\"00112233445566778899\",\"fdl1\":\"f1\",\"fdl2\":\"f2\",\"loader\":\"a pair\",\"uid\":1000",
		"\"serial\":\"S1\",\"rule\":\"line\",\"sample\":\"taken\"",
		"\"host\":\"station\",\"version\":\"0.1.0\"",
		"\"run_usec\":2000000,\"bytes_sent\":4608,\"bytes_compared\":512,\"bytes_read\":0",
		"\"notes\":\"first\\u000asecond\",\"rate\":2560,",
		("\"steps\":[{\"n\":0,\"op\":\"write\",\"entry\":\"boot\",\"verdict\":\"acknowledged\",\"bytes_sent\":4096,"
		 "\"bytes_compared\":0,\"bytes_read\":0,\"sha256\":\"\",\"usec\":1500,\"note\":\"\"},{\"n\":1,"),
		"\"note\":\"a note | with a bar\"}]}\n",
	};
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (!strstr(p->said, parts[i]))
			fail_msg("%s is not in %s", parts[i], p->said);
	assert_int_equal(count(p, (struct history_filter){ .full = true }), 1);
	assert_non_null(strstr(p->said, "\"unit\":\"aabbccdd99887766\""));
	assert_null(strstr(p->said, "steps"));
	assert_int_equal(differences(p, NULL), 0);
	assert_int_equal(p->work.compared, 1);
}

static int change(struct place *p, const char *sql)
{
	struct history_db db;
	int r = history_db_open(history_store_path(p->store), &db, &p->why);

	if (!r)
		r = history_db_exec(&db, sql, &p->why);
	history_db_close(&db);
	return r;
}

/* As version 2 made it, before rule and sample were in it; with a job that has a folder and one that has
 * none. */
static const char version2[] =
	"PRAGMA application_id=1717857380; CREATE TABLE job(job INTEGER PRIMARY KEY, "
	"kind TEXT, result TEXT, error TEXT, stage TEXT, step TEXT, entry TEXT, \"offset\" INTEGER, "
	"device_code INTEGER, detail TEXT, level TEXT, leaves TEXT, nv TEXT, nv_owed INTEGER, "
	"backups INTEGER, last_confirmed TEXT, slot TEXT, unit TEXT, storage TEXT, rom_version "
	"TEXT, image TEXT, product TEXT, firmware TEXT, digest TEXT, fdl1 TEXT, fdl2 TEXT, uid "
	"INTEGER, operator TEXT, work_order TEXT, serial TEXT, host TEXT, version TEXT, created_at "
	"INTEGER, started_at INTEGER, finished_at INTEGER, run_usec INTEGER, bytes_sent INTEGER, "
	"bytes_compared INTEGER, bytes_read INTEGER, notes TEXT"
	"); CREATE TABLE entry(job INTEGER, n INTEGER, op TEXT, entry TEXT, verdict TEXT, bytes_sent INTEGER, "
	"bytes_compared INTEGER, bytes_read INTEGER, sha256 TEXT, usec INTEGER, note TEXT, PRIMARY KEY(job, n)) "
	"WITHOUT ROWID; CREATE TABLE note(name TEXT PRIMARY KEY, value INTEGER) WITHOUT ROWID;"
	"CREATE INDEX job_slot ON job(slot, job); CREATE INDEX job_unit ON job(unit, job);"
	"CREATE INDEX job_error ON job(error, job); CREATE INDEX job_finished ON job(finished_at);"
	"CREATE INDEX job_backups ON job(unit, finished_at) WHERE backups>0; PRAGMA user_version=2;"
	"INSERT INTO job(job, kind, result, slot) VALUES(1, 'flash', 'succeeded', 'pci-usb-1'), "
	"(77, 'flash', 'failed', 'pci-usb-1'); INSERT INTO entry(job, n, op) VALUES(1, 0, 'write');"
	"INSERT INTO note VALUES('kept', 4711);";

static void make_old(struct place *p, const char *more)
{
	sqlite3 *sql;
	char *why = NULL;

	assert_int_equal(sqlite3_open(in(p, "history.db"), &sql), SQLITE_OK);
	assert_int_equal(sqlite3_exec(sql, "PRAGMA journal_mode=WAL", NULL, NULL, NULL), SQLITE_OK);
	if (sqlite3_exec(sql, version2, NULL, NULL, &why) != SQLITE_OK)
		fail_msg("%s", why);
	assert_int_equal(sqlite3_exec(sql, more, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(sql);
}

/* That of the daemon before this one: taken over, nothing is moved aside, and what it did not have is there.
 */
static void test_older_version(void **state)
{
	struct place *p = *state;
	struct history_db db;
	uint64_t kept = 0;

	job(p, &PASS);
	job(p, &FAIL);
	make_old(p, "");
	/* who reads meanwhile is told so */
	assert_int_equal(ask(p, &(struct history_filter){ 0 }, NULL), -EAGAIN);
	catch_up(p);
	assert_false(p->work.set_aside);
	assert_false(there(p, "history.db.damaged"));
	assert_int_equal(p->work.rows, 2);
	assert_int_equal(count(p, (struct history_filter){ .rule = "line", .steps = true }), 2);
	assert_non_null(strstr(p->said, "\"job\":1,\"kind\":\"flash\",\"result\":\"succeeded\""));
	assert_non_null(strstr(p->said, "\"sample\":\"taken\""));
	assert_non_null(strstr(p->said, "\"entry\":\"boot\",\"verdict\":\"acknowledged\""));
	assert_int_equal(differences(p, NULL), 0);
	assert_int_equal(history_db_open_read(history_store_path(p->store), &db, &p->why), 0);
	assert_int_equal(history_db_note(&db, "kept", &kept, &p->why), 0);
	assert_int_equal(kept, 4711);
	history_db_close(&db);
	/* and is one of ours from then on */
	again(p);
	catch_up(p);
	assert_false(p->work.set_aside);
	assert_int_equal(p->work.rows, 2);
}

/* An old one that is damaged, or not ours at all, is moved aside as any other. */
static void test_older_and_damaged(void **state)
{
	struct place *p = *state;

	job(p, &PASS);
	make_old(p, "DROP TABLE entry");
	catch_up(p);
	assert_true(p->work.set_aside);
	assert_int_equal(p->work.rows, 1);
}

static void test_filters(void **state)
{
	struct place *p = *state;
	struct made other = PASS;
	uint64_t more;

	other.slot = "pci-usb-2";
	other.unit = "ffeeddcc00000000";
	other.finished = NOW + DAY;
	job(p, &PASS);
	job(p, &FAIL);
	job(p, &other);
	catch_up(p);
	assert_int_equal(count(p, (struct history_filter){ 0 }), 3);
	assert_int_equal(strncmp(p->said, "{\"job\":3,", 9), 0); /* the latest first */
	assert_int_equal(count(p, (struct history_filter){ .slot = "pci-usb-2" }), 1);
	assert_int_equal(count(p, (struct history_filter){ .slot = "pci-usb" }), 0);
	assert_int_equal(count(p, (struct history_filter){ .result = "succeeded" }), 2);
	assert_int_equal(count(p, (struct history_filter){ .error = "SignatureRefused" }), 1);
	assert_int_equal(count(p, (struct history_filter){ .unit = "AABBCCDD" }), 2);
	assert_int_equal(count(p, (struct history_filter){ .unit = "aa", .slot = "pci-usb-1" }), 2);
	/* what is not shown cannot be asked for either */
	assert_int_equal(count(p, (struct history_filter){ .unit = "aabbccdd9988" }), 2);
	assert_int_equal(count(p, (struct history_filter){ .unit = "aabbccdd9988", .full = true }), 1);
	assert_int_equal(count(p, (struct history_filter){ .since = NOW + 1 }), 1);
	assert_int_equal(count(p, (struct history_filter){ .until = NOW + 1 }), 2);
	assert_int_equal(count(p, (struct history_filter){ .since = NOW, .until = NOW }), 0);
	assert_int_equal(count(p, (struct history_filter){ .image = "00112233" }), 3);
	assert_int_equal(count(p, (struct history_filter){ .image = "0011" }), 0);
	assert_int_equal(count(p, (struct history_filter){ .image = "a \"name\" \x01 \xc3\xa4.pac" }), 3);
	assert_int_equal(count(p, (struct history_filter){ .image = "' OR 1=1 --" }), 0);
	assert_int_equal(
		count(p, (struct history_filter){ .rule = "line", .serial = "S1", .work_order = "W1" }), 3);
	assert_int_equal(count(p, (struct history_filter){ .rule = "li" }), 0);
	assert_int_equal(count(p, (struct history_filter){ .serial = "S" }), 0);
	assert_int_equal(count(p, (struct history_filter){ .work_order = "W2" }), 0);
	assert_int_equal(count(p, (struct history_filter){ .slot = "pci-usb-1",
							   .unit = "aa",
							   .result = "failed",
							   .error = "SignatureRefused",
							   .image = "00112233",
							   .rule = "line",
							   .serial = "S1",
							   .work_order = "W1",
							   .since = NOW,
							   .until = NOW + 1,
							   .before = 3 }),
			 1);
	/* page by page: all of them, none twice */
	assert_int_equal(ask(p, &(struct history_filter){ .limit = 2 }, &more), 0);
	assert_int_equal(lines(p), 2);
	assert_int_equal(more, 2);
	assert_int_equal(ask(p, &(struct history_filter){ .limit = 2, .before = more }, &more), 0);
	assert_int_equal(lines(p), 1);
	assert_int_equal(more, 0);
}

/* What a crash can lose of the database is a job whose files are there. */
static void test_catches_up(void **state)
{
	struct place *p = *state;
	uint64_t open;

	job(p, &PASS);
	catch_up(p);
	again(p);
	job(p, &FAIL);
	open = new_job(p); /* has not ended: no row */
	catch_up(p);
	assert_int_equal(p->work.rows, 2);
	assert_int_equal(differences(p, NULL), 0);
	end_job(p, open, &PASS);
	assert_int_equal(put(p, open), 0);
	assert_int_equal(p->work.rows, 3);
	/* a folder that is gone takes its row along */
	nftw(in(p, "job/1"), rm, 8, FTW_DEPTH | FTW_PHYS);
	again(p);
	catch_up(p);
	assert_int_equal(p->work.rows, 2);
	assert_int_equal(count(p, (struct history_filter){ 0 }), 2);
}

static void test_anew_is_the_same(void **state)
{
	struct place *p = *state;
	char *before, *after;

	for (int i = 0; i < 7; i++) {
		uint64_t n = job(p, i % 3 ? &PASS : &FAIL);

		assert_int_equal(put(p, n), 0);
	}
	before = dump(p);
	assert_int_equal(work(p, &(struct history_work){ .anew = true }), 0);
	after = dump(p);
	assert_string_equal(before, after);
	free(after);
	/* without the file: made by itself */
	assert_int_equal(unlink(in(p, "history.db")), 0);
	catch_up(p);
	assert_false(p->work.set_aside);
	after = dump(p);
	assert_string_equal(before, after);
	free(after);
	free(before);
}

static void test_every_difference_is_named(void **state)
{
	struct place *p = *state;
	uint64_t open;
	struct history_spare spare = { .end = UINT64_MAX };

	for (int i = 0; i < 4; i++)
		job(p, &FAIL);
	catch_up(p);
	assert_int_equal(change(p, "UPDATE job SET result='succeeded', unit='0123456789' WHERE job=1"), 0);
	assert_int_equal(change(p, "UPDATE job SET \"offset\"=NULL WHERE job=2"), 0);
	assert_int_equal(change(p, "UPDATE entry SET verdict='verified' WHERE job=2 AND n=0"), 0);
	assert_int_equal(change(p, "DELETE FROM entry WHERE job=3 AND n=1"), 0);
	assert_int_equal(change(p, "DELETE FROM job WHERE job=4"), 0);
	assert_int_equal(change(p, "INSERT INTO job(job) VALUES(77)"), 0);
	assert_int_equal(differences(p, NULL), 7);
	static const char *const parts[] = {
		"{\"job\":1,\"what\":\"differs\",\"field\":\"result\",\"database\":\"succeeded\",\"files\":\"failed\"}\n",
		"\"field\":\"unit\",\"database\":\"01234567\",\"files\":\"aabbccdd\"}",
		"{\"job\":2,\"what\":\"differs\",\"field\":\"offset\",\"database\":\"\",\"files\":\"4096\"}\n",
		"{\"job\":2,\"what\":\"differs\",\"field\":\"steps\",\"database\":\"write boot verified 4096",
		"{\"job\":3,\"what\":\"differs\",\"field\":\"steps\",\"database\":\"\",\"files\":\"write nv",
		"{\"job\":4,\"what\":\"no-row\"}\n",
		"{\"job\":77,\"what\":\"no-folder\"}\n",
	};
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (!strstr(p->said, parts[i]))
			fail_msg("%s is not in %s", parts[i], p->said);
	/* one that is ending now is no difference */
	spare.job = &(uint64_t){ 4 };
	spare.count = 1;
	assert_int_equal(differences(p, &spare), 6);
	assert_int_equal(work(p, &(struct history_work){ .anew = true }), 0);
	assert_int_equal(differences(p, NULL), 0);
	open = new_job(p);
	assert_int_equal(differences(p, NULL), 0);
	end_job(p, open, &PASS);
	assert_int_equal(differences(p, NULL), 1);
}

/* ---- damage ---- */

static void spoil(struct place *p, off_t at, size_t len)
{
	int fd = open(in(p, "history.db"), O_WRONLY);
	char junk[8192];

	memset(junk, 0xa5, sizeof(junk));
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, junk, len, at), len);
	close(fd);
}

static void test_damaged_is_made_anew(void **state)
{
	struct place *p = *state;
	static const struct {
		off_t at;
		size_t len;
	} where[] = { { 0, 100 }, { 4096, 4096 }, { 100, 3996 } };
	char *before;

	for (int i = 0; i < 50; i++)
		job(p, &FAIL);
	catch_up(p);
	before = dump(p);
	for (size_t i = 0; i < ARRAY_SIZE(where); i++) {
		char *after;

		history_store_unref(p->store); /* the log is written back */
		spoil(p, where[i].at, where[i].len);
		p->store = history_store_new(p->state, p->rec);
		catch_up(p);
		assert_true(p->work.set_aside);
		assert_true(*p->work.detail);
		assert_true(there(p, "history.db.damaged"));
		assert_int_equal(p->work.rows, 50);
		after = dump(p);
		assert_string_equal(before, after);
		free(after);
		assert_int_equal(differences(p, NULL), 0);
		assert_false(p->work.set_aside);
	}
	free(before);
	/* somebody else's database, and no database at all */
	history_store_unref(p->store);
	assert_int_equal(truncate(in(p, "history.db"), 0), 0);
	p->store = history_store_new(p->state, p->rec);
	catch_up(p);
	assert_int_equal(p->work.rows, 50);
	assert_false(p->work.set_aside);
	assert_int_equal(change(p, "PRAGMA user_version=99"), 0);
	again(p);
	catch_up(p);
	assert_true(p->work.set_aside);
	assert_int_equal(p->work.rows, 50);
	/* a comparison says what it met */
	history_store_unref(p->store);
	spoil(p, 0, 100);
	p->store = history_store_new(p->state, p->rec);
	assert_int_equal(differences(p, NULL), 1);
	assert_non_null(strstr(p->said, "\"what\":\"damaged\""));
}

static void test_taken_away_while_open(void **state)
{
	struct place *p = *state;

	job(p, &PASS);
	catch_up(p);
	assert_int_equal(unlink(in(p, "history.db")), 0);
	assert_int_equal(put(p, job(p, &FAIL)), 0);
	assert_int_equal(p->work.rows, 2);
	assert_int_equal(count(p, (struct history_filter){ 0 }), 2);
	/* a folder in its place can be neither written nor moved past: an error, not a crash */
	again(p);
	assert_int_equal(unlink(in(p, "history.db")), 0);
	assert_int_equal(mkdir(in(p, "history.db"), 0700), 0);
	assert_true(put(p, job(p, &FAIL)) < 0);
	assert_int_equal(p->why.error, ERR_HISTORY_UNUSABLE);
	assert_true(*p->why.detail);
	assert_int_equal(rmdir(in(p, "history.db")), 0);
	catch_up(p);
	assert_int_equal(p->work.rows, 3);
}

/* ---- at the same time ---- */

/* Beside a writer in another process a reader sees whole jobs, and never fewer than before. */
static void test_reader_beside_writer(void **state)
{
	struct place *p = *state;
	unsigned int seen = 0, n;
	int status;
	pid_t pid;

	job(p, &PASS);
	catch_up(p);
	again(p);
	for (int i = 0; i < 60; i++)
		job(p, i % 2 ? &PASS : &FAIL);
	pid = fork();
	if (!pid) {
		struct failure why;
		struct history_db db;

		if (history_db_open(history_store_path(p->store), &db, &why) < 0)
			_exit(1);
		for (uint64_t i = 2; i <= 61; i++)
			if (history_db_begin(&db, &why) < 0 ||
			    history_index(&db, p->rec, i, NULL, &why) < 0 || history_db_commit(&db, &why) < 0)
				_exit(2);
		history_db_close(&db);
		_exit(0);
	}
	while (waitpid(pid, &status, WNOHANG) == 0) {
		const char *s;

		n = count(p, (struct history_filter){ .steps = true });
		assert_true(n >= seen);
		seen = n;
		for (s = p->said, n = 0; (s = strstr(s, "\"n\":1,")); s++)
			n++;
		assert_int_equal(n, seen);
	}
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_int_equal(count(p, (struct history_filter){ 0 }), 61);
}

/* Killed at some moment between file and database, as often as it takes. */
static void test_killed_in_between(void **state)
{
	struct place *p = *state;
	uint64_t ended = 0;

	for (int round = 0; round < 25; round++) {
		pid_t pid = fork();
		int status;

		if (!pid) {
			struct history_store *s = history_store_new(p->state, p->rec);

			for (;;) {
				uint64_t n = job(p, &PASS);
				struct history_work w = { .job = &n, .count = 1 };
				struct failure why;

				if (history_store_work(s, &w, &why) < 0)
					_exit(1);
			}
		}
		usleep(2000 + (useconds_t)round * 3000);
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		/* the counter is on disk: what this process knows is old */
		history_store_unref(p->store);
		records_unref(p->rec);
		p->rec = NULL;
		assert_int_equal(records_open(p->state, NULL, &p->rec, &p->why), 0);
		p->store = history_store_new(p->state, p->rec);
		catch_up(p);
		assert_false(p->work.set_aside);
		assert_int_equal(differences(p, NULL), 0);
		assert_true(p->work.compared >= ended);
		ended = p->work.compared;
	}
	assert_true(ended > 4);
}

/* ---- retention ---- */

static struct history_policy policy(uint64_t jobs, uint64_t days, uint64_t backups, uint64_t backup_days)
{
	return (struct history_policy){ .jobs = jobs,
					.days = days,
					.backups = backups,
					.backup_days = backup_days,
					.wall = NOW,
					.ran = 0 };
}

static void keep(struct place *p, struct history_policy with, const uint64_t *spared, size_t count)
{
	struct history_work w = { .keep = true,
				  .policy = with,
				  .spare_all = { (uint64_t *)(uintptr_t)spared, count, UINT64_MAX } };

	if (work(p, &w) < 0)
		fail_msg("%s", p->why.detail);
	assert_int_equal(differences(p, NULL), 0);
}

#define EVER UINT64_MAX

static void test_keep_by_number_and_age(void **state)
{
	struct place *p = *state;
	struct made m = PASS;

	for (int i = 0; i < 10; i++) {
		m.finished = NOW - (uint64_t)(10 - i) * DAY; /* job 1: ten days old */
		job(p, &m);
	}
	keep(p, policy(EVER, EVER, EVER, EVER), NULL, 0);
	assert_int_equal(p->work.rows, 10);
	/* job 10 ended one day ago: */
	keep(p, policy(EVER, 7, EVER, EVER), NULL, 0);
	assert_int_equal(p->work.rows, 7);
	assert_false(folder(p, 3, ""));
	assert_true(folder(p, 4, ""));
	keep(p, policy(5, EVER, EVER, EVER), (uint64_t[]){ 5 }, 1);
	assert_int_equal(p->work.rows, 6);
	assert_true(folder(p, 5, "")); /* somebody looks at it, or it owes */
	assert_false(folder(p, 4, ""));
	assert_true(folder(p, 6, ""));
	/* no number is told twice */
	assert_int_equal(job(p, &m), 11);
}

/* many, in turns */
static void test_keep_in_turns(void **state)
{
	struct place *p = *state;

	for (int i = 0; i < 450; i++)
		job(p, &PASS);
	keep(p, policy(1, EVER, EVER, EVER), NULL, 0);
	assert_true(p->work.rows == 250); /* of the comparison behind it */
	keep(p, policy(1, EVER, EVER, EVER), NULL, 0);
	keep(p, policy(1, EVER, EVER, EVER), NULL, 0);
	assert_int_equal(p->work.rows, 1);
	assert_true(folder(p, 450, ""));
	assert_false(there(p, "job/.gone-1"));
}

static void owing(struct place *p, bool *owes)
{
	struct job_record r;

	*owes = !records_load(p->rec, 1, &r) && r.nv_owed && r.backup_count;
	job_record_clear(&r);
}

/* What has returned an owed backup stays as long as what had owed it: or that would owe again. */
static void test_keep_who_returned_it(void **state)
{
	struct place *p = *state;
	struct made owed = FAIL, back = PASS;
	bool owes;

	owed.backup = owed.owed = true;
	owed.finished = NOW - 2 * DAY;
	back.settles = job(p, &owed);
	back.finished = NOW - 9 * DAY; /* by a clock that was wrong */
	job(p, &back);
	job(p, &PASS);
	/* job 1 is still looked at */
	keep(p, policy(1, EVER, EVER, EVER), (uint64_t[]){ 1 }, 1);
	assert_true(folder(p, 1, "") && folder(p, 2, ""));
	owing(p, &owes);
	assert_true(owes);
	/* then both go */
	keep(p, policy(1, EVER, EVER, EVER), NULL, 0);
	assert_false(folder(p, 1, "") || folder(p, 2, ""));
}

static void test_keep_backups_of_a_unit(void **state)
{
	struct place *p = *state;
	struct made a = PASS, b = PASS, nobody = PASS;

	a.backup = b.backup = nobody.backup = true;
	b.unit = "bb";
	nobody.unit = "";
	for (int i = 0; i < 4; i++)
		job(p, &a); /* 1 to 4 */
	job(p, &b);	    /* 5 */
	for (int i = 0; i < 3; i++)
		job(p, &nobody); /* 6 to 8 */
	catch_up(p);
	keep(p, policy(EVER, EVER, 2, EVER), (uint64_t[]){ 1 }, 1);
	assert_true(folder(p, 1, "/nv/fixnv1")); /* owed */
	assert_false(folder(p, 2, "/nv"));
	assert_true(folder(p, 2, "/result"));
	for (uint64_t n = 3; n <= 8; n++)
		assert_true(folder(p, n, "/nv/fixnv1"));
	/* by age: all but what is owed */
	struct history_policy later = policy(EVER, EVER, EVER, 5);

	later.wall = NOW + 10 * DAY;
	keep(p, later, (uint64_t[]){ 1 }, 1);
	assert_true(folder(p, 1, "/nv/fixnv1"));
	for (uint64_t n = 3; n <= 8; n++)
		assert_false(folder(p, n, "/nv"));
	assert_int_equal(p->work.rows, 8);
}

/* A clock that was wrong, or is, does not make everything old. */
static void test_keep_and_the_clock(void **state)
{
	struct place *p = *state;
	struct history_policy year = policy(EVER, 365, EVER, EVER);
	struct made m = PASS;

	job(p, &m);
	m.finished = 5 * DAY; /* 1970 */
	job(p, &m);
	job(p, &PASS);
	keep(p, year, NULL, 0);
	assert_int_equal(p->work.rows, 3);
	/* ten years ahead, within a run: as far as it has run */
	year.wall = NOW + 3650 * DAY;
	for (int i = 0; i < 100; i++) {
		year.ran = DAY;
		keep(p, year, NULL, 0);
		assert_int_equal(p->work.rows, 3);
	}
	/* and over restarts: a month each */
	year.ran = 0;
	for (int i = 0; i < 3; i++)
		keep(p, year, NULL, 0);
	assert_int_equal(p->work.rows, 3);
	/* set right again: nothing is lost, and what is too old by then goes */
	year.wall = NOW + 10 * DAY;
	keep(p, year, NULL, 0);
	assert_int_equal(p->work.rows, 3);
	year.wall = NOW + 400 * DAY;
	year.ran = 400 * DAY;
	keep(p, year, NULL, 0);
	assert_int_equal(p->work.rows, 0);
}

/* What was being removed when the power went is no job any more. */
static void test_swept(void **state)
{
	struct place *p = *state;

	job(p, &PASS);
	assert_int_equal(rename(in(p, "job/1"), in(p, "job/.gone-1")), 0);
	job(p, &PASS);
	catch_up(p);
	assert_int_equal(p->work.rows, 1);
	assert_false(there(p, "job/.gone-1"));
}

/* ---- records ---- */

/* A result of an earlier version is read and recorded as far as it goes. */
static void test_an_old_result(void **state)
{
	struct place *p = *state;
	uint64_t n = new_job(p);
	static const char old[] = "fdld-result 1\nkind=flash\nresult=succeeded\nslot=pci-usb-1\n"
				  "finished_at=1700000000000000\nuid=0\nnv_owed=0\nnv_written_back=1\n"
				  "entry=write|verified|boot|10|10|\nend=1\n";

	assert_int_equal(records_write(p->rec, n, "result", old, sizeof(old) - 1, &p->why), 0);
	assert_int_equal(put(p, n), 0);
	assert_int_equal(count(p, (struct history_filter){ .steps = true }), 1);
	assert_non_null(strstr(p->said, "\"result\":\"succeeded\""));
	assert_non_null(strstr(p->said, "\"usec\":0,"));
	assert_int_equal(differences(p, NULL), 0);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_everything_is_in_it),
		T(test_older_version),
		T(test_older_and_damaged),
		T(test_filters),
		T(test_catches_up),
		T(test_anew_is_the_same),
		T(test_every_difference_is_named),
		T(test_damaged_is_made_anew),
		T(test_taken_away_while_open),
		T(test_reader_beside_writer),
		T(test_killed_in_between),
		T(test_keep_by_number_and_age),
		T(test_keep_in_turns),
		T(test_keep_who_returned_it),
		T(test_keep_backups_of_a_unit),
		T(test_keep_and_the_clock),
		T(test_swept),
		T(test_an_old_result),
	};

	return cmocka_run_group_tests_name("history", tests, NULL, NULL);
}
