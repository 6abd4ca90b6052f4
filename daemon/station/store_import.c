/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One package into the store: room, copy, check, commit. Room is asked for before the first byte is copied,
 * so that a package that does not fit costs no time, and so that the disk keeps room for what the station
 * needs of it: a full disk would cost phones their backups.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/format.h"
#include "common/util.h"
#include "station/kv.h"
#include "station/records_inner.h"
#include "station/store_inner.h"

#define PIECE	    (8u << 20)
#define HEADROOM    (64u << 20) /* what an import leaves of the disk: backups and records need it */
#define HEADROOM_OF 20u		/* or this part of a small disk */

int store_stopped(const struct store_work *work, struct failure *why)
{
	return atomic_load(&work->stop) ? failure_set(why, ERR_CANCELLED, "the service is being stopped") : 0;
}

int store_cannot(struct import *in, int err, struct failure *why)
{
	struct statvfs fs = { 0 };
	char left[FORMAT_MAX];

	if (err != ENOSPC && err != EDQUOT)
		return failure_set(why, ERR_STORE_FAILED, "%s/%s: %s", store_folder(in->store), in->tmp,
				   strerror(err));
	if (fstatvfs(in->store->dir, &fs) < 0)
		fs.f_bavail = 0;
	format_size((uint64_t)fs.f_bavail * fs.f_frsize, left, sizeof(left));
	return failure_set(why, ERR_QUOTA_EXCEEDED,
			   "the disk of the state directory filled up after %" PRIu64
			   " bytes of the package; %s are left",
			   (uint64_t)atomic_load(&in->work->moved), left);
}

/* ---- room ---- */

/* So many bytes more, of the quota. */
static int reserve(struct import *in, uint64_t bytes, struct failure *why)
{
	struct store_budget *budget = in->store->budget;
	uint64_t used = atomic_load(&budget->used), quota = in->work->quota;
	char need[FORMAT_MAX], whole[FORMAT_MAX], free_text[FORMAT_MAX];
	bool fits;

	do
		fits = used <= quota && bytes <= quota - used;
	while (fits && !atomic_compare_exchange_weak(&budget->used, &used, used + bytes));
	if (fits)
		in->reserved += bytes;
	if (fits)
		return 0;
	format_size(in->reserved + bytes, need, sizeof(need));
	format_size(quota, whole, sizeof(whole));
	format_size(used < quota ? quota - used : 0, free_text, sizeof(free_text));
	return failure_set(why, ERR_QUOTA_EXCEEDED, "it takes %s; of store-quota, %s, there are %s left",
			   need, whole, free_text);
}

/* So many bytes more, of the disk. */
static int find_room(struct import *in, uint64_t bytes, struct failure *why)
{
	struct statvfs fs;
	char need[FORMAT_MAX], left[FORMAT_MAX], keep[FORMAT_MAX];
	uint64_t have, headroom;

	if (fstatvfs(in->store->dir, &fs) < 0)
		return store_cannot(in, errno, why);
	have = (uint64_t)fs.f_bavail * fs.f_frsize;
	headroom = MIN((uint64_t)fs.f_blocks * fs.f_frsize / HEADROOM_OF, (uint64_t)HEADROOM);
	if (have >= headroom && bytes <= have - headroom)
		return 0;
	format_size(bytes, need, sizeof(need));
	format_size(have, left, sizeof(left));
	format_size(headroom, keep, sizeof(keep));
	return failure_set(
		why, ERR_QUOTA_EXCEEDED,
		"it takes %s; the disk of the state directory has %s left, of which %s are kept for "
		"backups and records",
		need, left, keep);
}

int store_more_room(void *arg, uint64_t bytes, struct failure *why)
{
	struct import *in = arg;
	int r = reserve(in, bytes, why);

	return r ? r : find_room(in, bytes, why);
}

/* ---- copy ---- */

/* Bytes that were moved, 0 at the end, or negative errno; *reading says whose fault. */
static ssize_t move_piece(struct import *in, size_t want, char **buf, bool *reading)
{
	ssize_t n = 0, put;

	if (!*buf) {
		n = copy_file_range(in->work->fd, NULL, in->out, NULL, want, 0);
		if (n >= 0)
			return n;
		if (errno != EXDEV && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
			return -errno;
		*buf = malloc(PIECE); /* the two file systems do not do it between them */
		if (!*buf)
			return -ENOMEM;
	}
	*reading = true;
	do
		n = read(in->work->fd, *buf, want);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n ? -errno : 0;
	*reading = false;
	for (ssize_t done = 0; done < n; done += put) {
		put = write(in->out, *buf + done, (size_t)(n - done));
		if (put < 0 && errno != EINTR)
			return -errno;
		put = put < 0 ? 0 : put;
	}
	return n;
}

static int copy(struct import *in, uint64_t size, struct failure *why)
{
	struct store_work *work = in->work;
	_cleanup_free_ char *buf = NULL;
	int r;

	if (ioctl(in->out, FICLONE, work->fd) == 0) {
		atomic_fetch_add(&work->moved, size);
		return 0;
	}
	r = find_room(in, size, why);
	if (r < 0)
		return r;
	/* nobody else takes that room while we copy; where a file system cannot promise it, we find out */
	if (fallocate(in->out, FALLOC_FL_KEEP_SIZE, 0, (off_t)size) < 0 && errno != EOPNOTSUPP &&
	    errno != EINTR)
		return store_cannot(in, errno, why);
	if (lseek(work->fd, 0, SEEK_SET) < 0)
		return failure_set(why, ERR_PACKAGE_READ_FAILED, "%s", strerror(errno));
	for (uint64_t left = size; left;) {
		bool reading = false;
		ssize_t n;

		r = store_stopped(work, why);
		if (r < 0)
			return r;
		n = move_piece(in, (size_t)MIN(left, (uint64_t)PIECE), &buf, &reading);
		if (n < 0 && reading)
			return failure_set(why, ERR_PACKAGE_READ_FAILED, "at %" PRIu64 ": %s", size - left,
					   strerror((int)-n));
		if (n < 0)
			return store_cannot(in, (int)-n, why);
		if (!n)
			return failure_set(why, ERR_PACKAGE_CHANGED,
					   "the file ended at %" PRIu64 " of %" PRIu64 " bytes", size - left,
					   size);
		left -= (uint64_t)n;
		atomic_fetch_add(&work->moved, (uint64_t)n);
	}
	return 0;
}

/* ---- names ---- */

static int name_taken(const struct store_kept *other, const char *what, struct failure *why)
{
	return failure_set(why, ERR_INVALID_ARGS,
			   "'%.100s' is what %s %.12s is called already; give another name", other->name,
			   what, other->digest);
}

/* Before anything is copied: a name of another size is another package's. */
static int early_name(struct import *in, uint64_t size, struct failure *why)
{
	struct store *store = in->store;
	int r = 0;

	pthread_mutex_lock(&store->mutex);
	for (size_t i = 0; !r && i < store->count; i++)
		if (*in->work->name && !strcmp(store->kept[i].name, in->work->name) && size &&
		    store->kept[i].size != size)
			r = name_taken(&store->kept[i], store_folder(store), why);
	pthread_mutex_unlock(&store->mutex);
	return r;
}

/* ---- check and commit ---- */

static int open_copy(struct import *in, struct package **out, struct failure *why)
{
	struct package *p;
	int fd = openat(in->store->dir, in->tmp, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return store_cannot(in, errno, why);
	p = package_new(fd, in->work->accept_bad_crc, why);
	if (!p)
		return -EIO;
	*out = p;
	return 0;
}

/* Whoever may flash could else free a name that others rely on, and give it to a package of their own. */
static int name_is_theirs(const struct store_kept *kept, const struct store_work *work, const char *what,
			  struct failure *why)
{
	if (!kept || !strcmp(kept->name, work->rec.name) || kept->uid == work->uid || !work->uid ||
	    work->uid == geteuid())
		return 0;
	return failure_set(why, ERR_NOT_AUTHORIZED,
			   "%s %.12s is called '%.100s' by uid %u, who brought it; only they or root may "
			   "name it anew",
			   what, kept->digest, kept->name, kept->uid);
}

static void fill_record(struct import *in, struct package *p)
{
	const struct pac_header *h = pac_header(package_pac(p));
	const struct pac_body *body = package_body(p);
	struct store_work *work = in->work;
	struct store_record *rec = &work->rec;

	memset(rec, 0, sizeof(*rec));
	for (unsigned int i = 0; i < DIGEST_SIZE; i++)
		snprintf(rec->digest + 2 * i, 3, "%02x", body->sha256[i]);
	kv_copy(rec->name, sizeof(rec->name), work->name);
	kv_copy(rec->product, sizeof(rec->product), h->product);
	kv_copy(rec->firmware, sizeof(rec->firmware), h->product_version);
	rec->size = package_size(p);
	rec->imported_at = work->now;
	rec->uid = work->uid;
	rec->accept_bad_crc = work->accept_bad_crc;
	rec->loader = in->origin;
}

/* With the mutex held. */
static int commit_locked(struct import *in, const struct pac_body *body, struct failure *why)
{
	struct store *store = in->store;
	struct store_record *rec = &in->work->rec;
	const struct store_kept *kept = store_find(store, rec->digest);
	char file[STORE_FILE_MAX], record[STORE_FILE_MAX];
	_cleanup_free_ char *text = NULL;
	int r = store_stopped(in->work, why);
	size_t len;

	if (!r)
		r = name_is_theirs(kept, in->work, store_folder(store), why);
	if (r < 0)
		return r;
	if (kept)
		rec->uid = kept->uid;
	if (store_record_text(rec, body, &text, &len) < 0)
		return failure_set(why, ERR_INTERNAL, "out of memory");
	for (size_t i = 0; i < store->count; i++)
		if (*rec->name && !strcmp(store->kept[i].name, rec->name) &&
		    strcmp(store->kept[i].digest, rec->digest) != 0)
			return name_taken(&store->kept[i], store_folder(store), why);
	store_file(rec->digest, "pac", file);
	store_file(rec->digest, "img", record);
	if (renameat(store->dir, in->tmp, store->dir, file) < 0)
		return store_cannot(in, errno, why);
	kv_copy(in->tmp, sizeof(in->tmp), ""); /* it has its name: nothing to remove */
	r = fsync(store->dir) < 0 ? -errno : records_write_at(store->dir, record, text, len, true);
	if (!r)
		r = store_keep(store, rec);
	if (r < 0) {
		if (faccessat(store->dir, record, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
			(void)unlinkat(store->dir, file, 0);
		return r == -ENOSPC ? store_cannot(in, ENOSPC, why)
				    : failure_set(why, ERR_STORE_FAILED, "%s/%.16s...: %s",
						  store_folder(store), record, strerror(-r));
	}
	return 0;
}

static int check_and_commit(struct import *in, struct failure *why)
{
	struct store_work *work = in->work;
	struct package *p = NULL;
	int r = open_copy(in, &p, why);

	if (!r)
		r = package_parse(p, why);
	if (!r) {
		atomic_store(&work->total, atomic_load(&work->moved) + package_size(p));
		r = package_check_told(p, &work->moved, &work->stop, why);
	}
	if (!r) {
		fill_record(in, p);
		pthread_mutex_lock(&in->store->mutex);
		r = commit_locked(in, package_body(p), why);
		pthread_mutex_unlock(&in->store->mutex);
	}
	if (!r)
		work->package = p;
	else
		package_unref(p);
	return r;
}

/* ---- the whole ---- */

static int take_in(struct import *in, struct failure *why)
{
	struct store_work *work = in->work;
	struct stat st;
	int r;

	if (fstat(work->fd, &st) < 0)
		return failure_set(why, ERR_INVALID_IMAGE, "%s", strerror(errno));
	if (!S_ISREG(st.st_mode) || st.st_size <= 0)
		return failure_set(why, ERR_INVALID_IMAGE,
				   S_ISREG(st.st_mode) ? "the file is empty" : "not a regular file");
	if ((uint64_t)st.st_size > PACKAGE_SIZE_MAX)
		return failure_set(why, ERR_INVALID_IMAGE, "%" PRIu64 " bytes are more than a package has",
				   (uint64_t)st.st_size);
	if (in->store->kind == STORE_LOADERS) {
		r = store_take_loaders(in, why);
	} else if (unpack_wanted(work->fd)) {
		r = unpack(work->fd, in->out, work, store_more_room, in, why);
		if (r == -ENOSPC || r == -EDQUOT)
			r = why->error == ERR_NONE ? store_cannot(in, -r, why) : r;
	} else {
		/* copied, then checked; twice where something is changed in between */
		atomic_store(&work->total, (work->swap ? 3 : 2) * (uint64_t)st.st_size);
		r = work->swap ? 0 : early_name(in, (uint64_t)st.st_size, why);
		if (!r)
			r = reserve(in, (uint64_t)st.st_size, why);
		if (!r)
			r = copy(in, (uint64_t)st.st_size, why);
	}
	if (!r && work->swap)
		r = store_swap_loaders(in, why);
	if (r < 0)
		return r;
	if (fsync(in->out) < 0)
		return store_cannot(in, errno, why);
	return check_and_commit(in, why);
}

int store_import(struct store_work *work, struct failure *why)
{
	struct import in = { .work = work, .store = work->store, .out = -1 };
	struct failure own = { 0 };
	int r;

	why = why ? why : &own;
	pthread_mutex_lock(&in.store->mutex);
	snprintf(in.tmp, sizeof(in.tmp), "import-%" PRIu64 ".tmp", ++in.store->serial);
	pthread_mutex_unlock(&in.store->mutex);
	in.out = openat(in.store->dir, in.tmp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (in.out < 0)
		return store_cannot(&in, errno, why);
	r = take_in(&in, why);
	close(in.out);
	if (*in.tmp)
		(void)unlinkat(in.store->dir, in.tmp, 0);
	atomic_fetch_sub(&in.store->budget->used, in.reserved);
	return r;
}
