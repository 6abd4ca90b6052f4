/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is kept for how long. A folder goes as a whole or not at all: it gets a name that no start looks at,
 * durably, before anything in it is removed; half a folder would look like a job that was cut short and owes
 * its backup. For the same reason the job that has returned an owed backup stays as long as the one that had
 * owed it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "common/util.h"
#include "station/history_inner.h"
#include "station/records_inner.h"

#define AT_ONCE	 200 /* folders of one turn: what has ended meanwhile wants to be written, too */
#define DAY_USEC UINT64_C(86400000000)
/* At a start, a clock that is farther ahead of when we last looked is believed so far and no farther. */
#define LEAP_DAYS 30
#define GONE	  ".gone-"

/* ---- folders ---- */

static void empty(int at, const char *name, int depth)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return;
	}
	for (struct dirent *e; (e = readdir(dir));) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (unlinkat(dirfd(dir), e->d_name, 0) < 0 && depth && (errno == EISDIR || errno == EPERM)) {
			empty(dirfd(dir), e->d_name, depth - 1);
			(void)unlinkat(dirfd(dir), e->d_name, AT_REMOVEDIR);
		}
	}
	closedir(dir);
}

void history_sweep(struct records *rec)
{
	int fd = openat(rec->jobs, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return;
	}
	for (struct dirent *e; (e = readdir(dir));)
		if (!strncmp(e->d_name, GONE, strlen(GONE))) {
			empty(rec->jobs, e->d_name, 2);
			(void)unlinkat(rec->jobs, e->d_name, AT_REMOVEDIR);
		}
	closedir(dir);
}

/* Negative errno: it stays. */
static int put_away(struct records *rec, uint64_t job)
{
	char from[32], to[48];

	snprintf(from, sizeof(from), "%" PRIu64, job);
	snprintf(to, sizeof(to), GONE "%" PRIu64, job);
	return renameat(rec->jobs, from, rec->jobs, to) < 0 ? -errno : 0;
}

static bool there(struct records *rec, uint64_t job)
{
	char name[32];

	snprintf(name, sizeof(name), "%" PRIu64, job);
	return faccessat(rec->jobs, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* ---- choosing ---- */

struct choice {
	struct history_db *db;
	struct records *rec;
	const struct history_policy *policy;
	const struct history_spare *spare;
	uint64_t now; /* usec since 1970, as far as it is believed */
	uint64_t *job;
	size_t count;
	bool more, any;
	struct failure *why;
};

/* Before this a job is too old; 0: none is. */
static uint64_t limit(uint64_t now, uint64_t days)
{
	return days > now / DAY_USEC ? 0 : now - days * DAY_USEC;
}

static int take(struct choice *c, uint64_t job)
{
	if (history_spared(c->spare, job))
		return 0;
	if (c->count == AT_ONCE) {
		c->more = true;
		return 1;
	}
	c->job[c->count++] = job;
	return 0;
}

/* Calls fn for the first column of each row until it is not 0. */
static int each(struct choice *c, const char *sql, const uint64_t *bind, int binds,
		int (*fn)(struct choice *c, uint64_t job))
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(c->db->sql, sql, -1, &stmt, NULL), r = 0;

	for (int i = 0; i < binds && rc == SQLITE_OK; i++)
		rc = sqlite3_bind_int64(stmt, i + 1, (int64_t)MIN(bind[i], (uint64_t)INT64_MAX));
	while (rc == SQLITE_OK || rc == SQLITE_ROW) {
		rc = sqlite3_step(stmt);
		if (rc != SQLITE_ROW || fn(c, (uint64_t)sqlite3_column_int64(stmt, 0)))
			break;
	}
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		r = history_db_fail(c->db, rc, c->why);
	sqlite3_finalize(stmt);
	return r;
}

/*
 * Age counts from the latest end up to and with a job's own: what ended while the clock was wrong, and said
 * 1970, is as old as what ended just before it.
 */
#define AGED "(SELECT job, unit, backups, max(finished_at) OVER (ORDER BY job) AS ended FROM job)"

static int found(struct choice *c, uint64_t yes)
{
	c->any = yes;
	return 1;
}

/* Asked of indexes, after each job: mostly there is nothing to be done. */
static int any(struct choice *c, const char *sql, const uint64_t *bind)
{
	int r;

	c->any = false;
	r = each(c, sql, bind, 2, found);
	return r < 0 ? r : c->any;
}

static int choose_folders(struct choice *c)
{
	const uint64_t bind[] = { limit(c->now, c->policy->days), c->policy->jobs };
	int r = any(c,
		    "SELECT (SELECT count(*) FROM job)>?2 OR EXISTS(SELECT 1 FROM job WHERE finished_at<?1)",
		    bind);

	return r <= 0 ? r
		      : each(c,
			     "SELECT job FROM " AGED " WHERE ended<?1 OR job<=(SELECT job FROM job "
			     "ORDER BY job DESC LIMIT 1 OFFSET ?2) ORDER BY job",
			     bind, 2, take);
}

static int choose_backups(struct choice *c)
{
	const uint64_t bind[] = { limit(c->now, c->policy->backup_days), c->policy->backups };
	int r = any(c,
		    "SELECT EXISTS(SELECT 1 FROM job WHERE backups>0 AND finished_at<?1) OR EXISTS(SELECT 1 "
		    "FROM job WHERE backups>0 AND unit<>'' GROUP BY unit HAVING count(*)>?2)",
		    bind);

	/* without an identity nobody knows whose the next one is: age alone counts */
	return r <= 0 ? r
		      : each(c,
			     "SELECT job FROM (SELECT job, unit, ended, row_number() OVER (PARTITION BY unit "
			     "ORDER BY job DESC) AS nth FROM " AGED " WHERE backups>0) WHERE ended<?1 OR "
			     "(unit<>'' AND nth>?2) ORDER BY job",
			     bind, 2, take);
}

/* ---- doing ---- */

static int lasting(struct choice *c)
{
	return fsync(c->rec->jobs) < 0
		       ? failure_set(c->why, ERR_HISTORY_UNUSABLE, "job/: %s", strerror(errno))
		       : 0;
}

/* Jobs whose owed backup this one has returned are still there: without it they would owe again. */
static bool vouches(struct records *rec, const struct job_record *r)
{
	for (uint32_t i = 0; i < r->settled_count; i++)
		if (there(rec, r->settled[i]))
			return true;
	return false;
}

static int remove_folder(struct choice *c, uint64_t job, bool *gone)
{
	struct job_record r;
	bool keep, returned;
	int ret = records_load(c->rec, job, &r);

	*gone = ret == -ENOENT;
	if (ret < 0)
		return 0;
	keep = !*r.result || r.damaged || vouches(c->rec, &r);
	returned = r.settled_count > 0;
	job_record_clear(&r);
	if (keep)
		return 0;
	/* those that it vouches for have to be gone for good before it */
	ret = returned ? lasting(c) : 0;
	if (!ret)
		*gone = put_away(c->rec, job) == 0;
	return ret;
}

static int remove_folders(struct choice *c)
{
	size_t gone = 0;
	int r = 0;

	for (size_t i = 0; i < c->count && !r; i++) {
		bool went;

		r = remove_folder(c, c->job[i], &went);
		if (!r && went)
			c->job[gone++] = c->job[i];
	}
	c->more = c->more && gone; /* nothing moves: not again at once */
	if (!gone)
		return r;
	if (!r)
		r = lasting(c);
	if (!r)
		history_sweep(c->rec);
	if (!r)
		r = history_db_begin(c->db, c->why);
	for (size_t i = 0; i < gone && !r; i++)
		r = history_db_drop(c->db, c->job[i], c->why);
	if (!r)
		r = history_db_commit(c->db, c->why);
	if (r < 0)
		history_db_rollback(c->db);
	return r;
}

static int remove_backups(struct choice *c)
{
	size_t gone = 0;
	int r = 0;

	for (size_t i = 0; i < c->count && !r; i++) {
		_cleanup_close_ int dir = records_job_dir(c->rec, c->job[i]);

		if (dir < 0)
			continue;
		empty(dir, "nv", 0);
		if (unlinkat(dir, "nv", AT_REMOVEDIR) < 0 && errno != ENOENT)
			continue;
		gone++;
		r = history_index(c->db, c->rec, c->job[i], NULL, c->why);
	}
	c->more = c->more && gone;
	return r;
}

/*
 * The clock may have been set wrong: one that leaps ahead must not make everything old at once. It is
 * believed as far as we have run since we last looked, and over a restart up to LEAP_DAYS.
 */
static int believe(struct choice *c)
{
	uint64_t last, most;
	int r = history_db_note(c->db, "believed", &last, c->why);

	if (r < 0)
		return r;
	if (!last) /* never looked before, or made anew: what has ended tells */
		r = history_db_latest(c->db, &last, c->why);
	if (r < 0)
		return r;
	/* while we ran we know how much time has passed; before that we were off for nobody knows how long */
	most = last + (c->policy->ran ? c->policy->ran : LEAP_DAYS * DAY_USEC);
	c->now = !last ? c->policy->wall : MAX(last, MIN(c->policy->wall, most));
	return history_db_set_note(c->db, "believed", c->now, c->why);
}

int history_keep(struct history_db *db, struct records *rec, const struct history_policy *policy,
		 const struct history_spare *spare, bool *more, struct failure *why)
{
	uint64_t list[AT_ONCE];
	struct choice c = { .db = db, .rec = rec, .policy = policy, .spare = spare, .job = list, .why = why };
	int r = believe(&c);

	*more = false;
	if (!r)
		r = choose_folders(&c);
	if (!r)
		r = remove_folders(&c);
	*more = c.more;
	c.count = 0;
	c.more = false;
	if (!r)
		r = choose_backups(&c);
	if (!r)
		r = remove_backups(&c);
	*more |= c.more;
	return r;
}
