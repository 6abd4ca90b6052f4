/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The files of the image store: start-up, index, removal, verification. Imports are in store_import.c. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/util.h"
#include "station/kv.h"
#include "station/records_inner.h"
#include "station/store_inner.h"

#define DIGITS	   64u
#define RECORD_MAX (64u << 20) /* bytes: the tags of PACKAGE_SIZE_MAX, and as much again */

static void budget_unref(struct store_budget *budget)
{
	if (budget && atomic_fetch_sub(&budget->refs, 1) == 1)
		free(budget);
}

struct store *store_ref(struct store *store)
{
	atomic_fetch_add(&store->refs, 1);
	return store;
}

void store_unref(struct store *store)
{
	if (!store || atomic_fetch_sub(&store->refs, 1) != 1)
		return;
	util_closep(&store->dir);
	free(store->kept);
	budget_unref(store->budget);
	pthread_mutex_destroy(&store->mutex);
	free(store);
}

void store_file(const char *digest, const char *suffix, char name[STORE_FILE_MAX])
{
	snprintf(name, STORE_FILE_MAX, "%.64s.%s", digest, suffix);
}

/* True: <64 hex digits>.<suffix>; then digest is that. */
static bool is_ours(const char *name, const char *suffix, char digest[DIGITS + 1])
{
	if (strspn(name, "0123456789abcdef") != DIGITS || name[DIGITS] != '.' ||
	    strcmp(name + DIGITS + 1, suffix) != 0)
		return false;
	memcpy(digest, name, DIGITS);
	digest[DIGITS] = 0;
	return true;
}

/* ---- the index ---- */

struct store_kept *store_find(struct store *store, const char *digest)
{
	for (size_t i = 0; i < store->count; i++)
		if (!strcmp(store->kept[i].digest, digest))
			return &store->kept[i];
	return NULL;
}

int store_keep(struct store *store, const struct store_record *rec)
{
	struct store_kept *kept = store_find(store, rec->digest);

	if (!kept) {
		kept = realloc(store->kept, (store->count + 1) * sizeof(*kept));
		if (!kept)
			return -ENOMEM;
		store->kept = kept;
		kept += store->count++;
		kv_copy(kept->digest, sizeof(kept->digest), rec->digest);
		kept->size = rec->size;
		atomic_fetch_add(&store->budget->used, kept->size);
		kept->uid = rec->uid;
	}
	kv_copy(kept->name, sizeof(kept->name), rec->name);
	return 0;
}

static void drop(struct store *store, const char *digest)
{
	struct store_kept *kept;

	pthread_mutex_lock(&store->mutex);
	kept = store_find(store, digest);
	if (kept) {
		atomic_fetch_sub(&store->budget->used, kept->size);
		*kept = store->kept[--store->count];
	}
	pthread_mutex_unlock(&store->mutex);
}

/* ---- start-up ---- */

/* Whatever an import has left that did not come to its end, and nothing else. */
static int sweep(struct store *store)
{
	int fd = openat(store->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	int r = 0;

	if (!dir) {
		r = -errno;
		if (fd >= 0)
			close(fd);
		return r;
	}
	for (struct dirent *e; (e = readdir(dir));) {
		char digest[DIGITS + 1], record[STORE_FILE_MAX];
		size_t n = strlen(e->d_name);
		bool left = n > 4 && !strcmp(e->d_name + n - 4, ".tmp");

		if (is_ours(e->d_name, "pac", digest)) {
			store_file(digest, "img", record);
			left = faccessat(store->dir, record, F_OK, AT_SYMLINK_NOFOLLOW) < 0 &&
			       errno == ENOENT;
		}
		if (left && unlinkat(store->dir, e->d_name, 0) < 0)
			r = -errno;
	}
	closedir(dir);
	return r;
}

const char *store_folder(const struct store *store)
{
	return store->kind == STORE_LOADERS ? "loader" : "image";
}

void store_join(struct store *a, struct store *b)
{
	atomic_fetch_add(&a->budget->refs, 1);
	atomic_fetch_add(&a->budget->used, atomic_load(&b->budget->used));
	budget_unref(b->budget);
	b->budget = a->budget;
}

int store_open(struct records *records, enum store_kind kind, struct store **out, struct failure *why)
{
	struct store *store = calloc(1, sizeof(*store));
	int r = 0;

	if (store)
		store->budget = calloc(1, sizeof(*store->budget));
	if (!store || !store->budget) {
		free(store);
		return failure_set(why, ERR_INTERNAL, "out of memory");
	}
	atomic_init(&store->budget->refs, 1);
	atomic_init(&store->refs, 1);
	store->kind = kind;
	pthread_mutex_init(&store->mutex, NULL);
	store->dir = -1;
	if (mkdirat(records->state, store_folder(store), 0700) < 0 && errno != EEXIST)
		r = -errno;
	if (!r) {
		store->dir = openat(records->state, store_folder(store),
				    O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		r = store->dir < 0 || fsync(records->state) < 0 ? -errno : sweep(store);
	}
	if (r < 0) {
		r = failure_set(why, ERR_STATE_DIRECTORY, "its folder %s cannot be used: %s",
				store_folder(store), strerror(-r));
		store_unref(store);
		return r;
	}
	*out = store;
	return 0;
}

/* ---- one of them ---- */

static int read_record(struct store *store, const char *digest, struct store_record *rec)
{
	_cleanup_free_ char *text = NULL;
	char name[STORE_FILE_MAX];
	size_t len;
	int r;

	memset(rec, 0, sizeof(*rec));
	kv_copy(rec->digest, sizeof(rec->digest), digest);
	store_file(digest, "img", name);
	r = records_read_at(store->dir, name, RECORD_MAX, &text, &len);
	if (r < 0)
		return r;
	return store_record_parse(text, len, rec);
}

/* rec stays readable but for its body; *package, or *why. */
static int load(struct store *store, const char *digest, struct store_record *rec, struct package **package,
		struct failure *why)
{
	char name[STORE_FILE_MAX], sum[DIGITS + 1];
	struct package *p;
	int fd, r = read_record(store, digest, rec);

	if (r < 0)
		return failure_set(why, r == -ENOMEM ? ERR_INTERNAL : ERR_PACKAGE_CHANGED,
				   "the record of its check cannot be read: %s", strerror(-r));
	store_file(digest, "pac", name);
	fd = openat(store->dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0) {
		r = failure_set(why, errno == ENOENT ? ERR_PACKAGE_CHANGED : ERR_PACKAGE_READ_FAILED,
				"%.16s...pac: %s", name, strerror(errno));
		store_record_clear(rec);
		return r;
	}
	p = package_new(fd, rec->accept_bad_crc, why);
	if (!p) {
		store_record_clear(rec);
		return -EIO;
	}
	for (unsigned int i = 0; i < DIGEST_SIZE; i++) /* what the file is called is what was checked */
		rec->body->sha256[i] = (uint8_t)strtoul((snprintf(sum, 3, "%.2s", digest + 2 * i), sum), NULL,
							16);
	r = package_restore(p, TAKE_PTR(rec->body), why);
	if (r < 0) {
		package_unref(p);
		return r;
	}
	*package = p;
	return 0;
}

struct found {
	char digest[DIGITS + 1];
	struct store_record rec;
	struct package *package;
	struct failure why;
};

static int by_import(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	if (x->rec.imported_at != y->rec.imported_at)
		return x->rec.imported_at < y->rec.imported_at ? -1 : 1;
	return strcmp(x->digest, y->digest);
}

static int list(struct store *store, struct found **out, size_t *count)
{
	int fd = openat(store->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	*out = NULL;
	*count = 0;
	if (!dir) {
		int r = -errno;

		if (fd >= 0)
			close(fd);
		return r;
	}
	for (struct dirent *e; (e = readdir(dir));) {
		char digest[DIGITS + 1];
		struct found *grown;

		if (!is_ours(e->d_name, "img", digest))
			continue;
		grown = realloc(*out, (*count + 1) * sizeof(*grown));
		if (!grown) {
			closedir(dir);
			return -ENOMEM;
		}
		*out = grown;
		memset(&grown[*count], 0, sizeof(*grown));
		memcpy(grown[(*count)++].digest, digest, sizeof(digest));
	}
	closedir(dir);
	return 0;
}

int store_scan(struct store *store,
	       int (*fn)(void *user, const struct store_record *rec, struct package *package,
			 const struct failure *why),
	       void *user)
{
	_cleanup_free_ struct found *found = NULL;
	size_t count;
	int r = list(store, &found, &count);

	for (size_t i = 0; !r && i < count; i++)
		(void)load(store, found[i].digest, &found[i].rec, &found[i].package, &found[i].why);
	if (!r && count)
		qsort(found, count, sizeof(*found), by_import);
	for (size_t i = 0; i < count; i++) {
		if (!r)
			r = store_keep(store, &found[i].rec);
		if (!r)
			r = fn(user, &found[i].rec, found[i].package,
			       found[i].package ? NULL : &found[i].why);
		package_unref(found[i].package);
		store_record_clear(&found[i].rec);
	}
	return r;
}

int store_verify(struct store_work *work, struct failure *why)
{
	int r = load(work->store, work->digest, &work->rec, &work->package, why);

	if (!r)
		r = package_prove(work->package, &work->moved, &work->stop, why);
	if (r < 0) {
		package_unref(work->package);
		work->package = NULL;
	}
	return r;
}

int store_remove(struct store_work *work, struct failure *why)
{
	struct store *store = work->store;
	char name[STORE_FILE_MAX];
	int err = 0;

	/* the record first: without it the rest is nothing any more, whenever the power goes */
	store_file(work->digest, "img", name);
	if (unlinkat(store->dir, name, 0) < 0 && errno != ENOENT)
		err = errno;
	if (!err && fsync(store->dir) < 0)
		err = errno;
	store_file(work->digest, "pac", name);
	if (!err && unlinkat(store->dir, name, 0) < 0 && errno != ENOENT)
		err = errno;
	if (err)
		return failure_set(why, ERR_STORE_FAILED, "%s/%.16s...: %s", store_folder(store), name,
				   strerror(err));
	drop(store, work->digest);
	return 0;
}
