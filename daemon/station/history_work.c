/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "station/history_work.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "common/util.h"
#include "station/kv.h"

struct history_store {
	atomic_uint refs;
	struct records *rec;
	struct history_db db;
	bool open;
	bool behind; /* jobs may have ended that have no row */
	dev_t dev;   /* of the file that is open */
	ino_t ino;
	char path[];
};

struct history_store *history_store_new(const char *state_dir, struct records *rec)
{
	size_t len = strlen(state_dir) + sizeof("/history.db");
	struct history_store *s = calloc(1, sizeof(*s) + len);

	if (!s)
		return NULL;
	atomic_init(&s->refs, 1);
	s->rec = records_ref(rec);
	snprintf(s->path, len, "%s/history.db", state_dir);
	return s;
}

struct history_store *history_store_ref(struct history_store *s)
{
	atomic_fetch_add(&s->refs, 1);
	return s;
}

void history_store_unref(struct history_store *s)
{
	if (!s || atomic_fetch_sub(&s->refs, 1) != 1)
		return;
	history_db_close(&s->db);
	records_unref(s->rec);
	free(s);
}

const char *history_store_path(const struct history_store *s)
{
	return s->path;
}

struct records *history_store_records(const struct history_store *s)
{
	return s->rec;
}

static const char *beside(const struct history_store *s, const char *suffix, char *buf, size_t size)
{
	snprintf(buf, size, "%s%s", s->path, suffix);
	return buf;
}

static void close_store(struct history_store *s)
{
	history_db_close(&s->db);
	s->open = false;
	s->behind = true;
}

/* What is damaged is kept for whoever wants to know, but only the latest. */
static int set_aside(struct history_store *s, struct failure *why)
{
	char from[4200], to[4200];

	close_store(s);
	if (rename(s->path, beside(s, ".damaged", to, sizeof(to))) < 0 && errno != ENOENT) {
		int err = errno;

		failure_set(why, ERR_HISTORY_UNUSABLE, "%s; it cannot be moved aside: %s", why->detail,
			    strerror(err));
		return -err;
	}
	/* a log without its database must not be taken for that of the next one */
	if (rename(beside(s, "-wal", from, sizeof(from)), beside(s, ".damaged-wal", to, sizeof(to))) < 0)
		(void)unlink(from);
	(void)unlink(beside(s, "-shm", from, sizeof(from)));
	return 0;
}

/* Somebody has taken the file away, or put another one there. */
static bool replaced(const struct history_store *s)
{
	struct stat st;

	return stat(s->path, &st) < 0 || st.st_dev != s->dev || st.st_ino != s->ino;
}

static int open_store(struct history_store *s, struct failure *why)
{
	char path[4200];
	struct stat st;
	int r;

	if (stat(s->path, &st) < 0 && errno == ENOENT) {
		(void)unlink(beside(s, "-wal", path, sizeof(path)));
		(void)unlink(beside(s, "-shm", path, sizeof(path)));
	}
	r = history_db_open(s->path, &s->db, why);
	if (r < 0)
		return r;
	if (stat(s->path, &st) < 0) {
		r = -errno;
		history_db_close(&s->db);
		failure_set(why, ERR_HISTORY_UNUSABLE, "%s", strerror(-r));
		return r;
	}
	s->dev = st.st_dev;
	s->ino = st.st_ino;
	s->open = s->behind = true;
	history_sweep(s->rec);
	return 0;
}

static int catch_up(struct history_store *s, const struct history_work *w, struct failure *why)
{
	int r;

	if (s->open && replaced(s))
		close_store(s);
	r = s->open ? 0 : open_store(s, why);
	if (r < 0 || (!s->behind && !w->anew))
		return r;
	r = history_sync(&s->db, s->rec, w->anew, why);
	if (!r)
		s->behind = false;
	return r;
}

static int index_all(struct history_store *s, const struct history_work *w, struct failure *why)
{
	int r = w->count ? history_db_begin(&s->db, why) : 0;

	for (size_t i = 0; i < w->count && !r; i++)
		r = history_index(&s->db, s->rec, w->job[i], NULL, why);
	if (!r && w->count)
		r = history_db_commit(&s->db, why);
	if (r < 0)
		history_db_rollback(&s->db);
	return r;
}

static int work_once(struct history_store *s, struct history_work *w, struct failure *why)
{
	int r = catch_up(s, w, why);

	if (!r)
		r = index_all(s, w, why);
	if (!r && w->keep)
		r = history_keep(&s->db, s->rec, &w->policy, &w->spare_all, &w->more, why);
	if (!r && w->compare)
		r = history_compare(&s->db, s->rec, &w->spare_open, w->out, &w->compared, &w->differences,
				    why);
	return r ? r : history_db_count(&s->db, &w->rows, why);
}

int history_store_work(struct history_store *s, struct history_work *w, struct failure *why)
{
	int r = work_once(s, w, why);
	uint64_t before = w->differences;

	if (r == -EBADMSG) {
		kv_copy(w->detail, sizeof(w->detail), why->detail);
		r = set_aside(s, why);
		if (!r) {
			w->set_aside = true;
			memset(why, 0, sizeof(*why));
			r = work_once(s, w, why);
		}
		if (!r && w->compare) { /* it was asked whether all is well */
			fputs("{\"job\":0,\"what\":\"damaged\",\"database\":", w->out);
			history_json(w->out, w->detail);
			fputs("}\n", w->out);
			w->differences += before + 1;
		}
	}
	if (r < 0)
		close_store(s); /* whatever it is, the next try begins from the start */
	return r;
}
