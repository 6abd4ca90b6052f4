/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Files: the two directories, whole files, growing files. What stands in them is in account.c.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pwd.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "common/util.h"
#include "station/kv.h"
#include "station/records_inner.h"

static bool name_ok(const char *name)
{
	return *name && *name != '.' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_.-") == strlen(name);
}

int records_job_dir(struct records *rec, uint64_t job)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "%" PRIu64, job);
	fd = openat(rec->jobs, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
}

static int write_all(int fd, const void *bytes, size_t len)
{
	const char *p = bytes;

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

int records_write_at(int dir, const char *name, const char *text, size_t len, bool durable)
{
	char tmp[80];
	int r;

	if (!name_ok(name) || snprintf(tmp, sizeof(tmp), "%s.tmp", name) >= (int)sizeof(tmp))
		return -EINVAL;

	_cleanup_close_ int fd = openat(dir, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
					0600);

	if (fd < 0)
		return -errno;
	r = write_all(fd, text, len);
	if (!r && durable && fsync(fd) < 0)
		r = -errno;
	if (!r && renameat(dir, tmp, dir, name) < 0)
		r = -errno;
	if (!r && durable && fsync(dir) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(dir, tmp, 0);
	return r;
}

int records_read_at(int dir, const char *name, size_t most, char **text, size_t *len)
{
	_cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	size_t got = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EBADMSG;
	if (st.st_size > (off_t)most)
		return -EFBIG;

	_cleanup_free_ char *buf = malloc((size_t)st.st_size + 1);

	if (!buf)
		return -ENOMEM;
	while (got < (size_t)st.st_size) {
		ssize_t n = read(fd, buf + got, (size_t)st.st_size - got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			break;
		got += (size_t)n;
	}
	buf[got] = 0;
	*len = got;
	*text = TAKE_PTR(buf);
	return 0;
}

/* ---- start-up ---- */

/* "found: directory, mode 0755, owner root (0)": what a person must see to put it right. */
static int refuse(struct failure *why, const char *path, const char *what, int err)
{
	struct passwd *user = getpwuid(geteuid());
	/* a command must not end up cut: there is room for the path twice only if it is short */
	const char *at = strlen(path) <= 70 ? path : "DIRECTORY";
	char me[64], owner[64], cure[192];
	struct stat st;

	snprintf(me, sizeof(me), "%s", user ? user->pw_name : "");
	if (!user) /* a number will do as well */
		snprintf(me, sizeof(me), "%u", (unsigned int)geteuid());
	if (stat(path, &st) < 0)
		return failure_set(why, ERR_STATE_DIRECTORY,
				   "%s: %s (%s); make it with: install -d -m 0700 -o %s %s", path, what,
				   strerror(err), me, at);
	user = getpwuid(st.st_uid);
	snprintf(owner, sizeof(owner), "%s", user ? user->pw_name : "unknown");
	if (!S_ISDIR(st.st_mode))
		snprintf(cure, sizeof(cure), "move it away, then: install -d -m 0700 -o %s %s", me, at);
	else if (st.st_uid != geteuid())
		snprintf(cure, sizeof(cure), "give it to the service with: chown -R %s %s", me, at);
	else
		snprintf(cure, sizeof(cure), "put it right with: chmod 0700 %s", at);
	return failure_set(why, ERR_STATE_DIRECTORY, "%s: %s%s%s; owner %s (%u), mode %04o; %s", path, what,
			   err ? ": " : "", err ? strerror(err) : "", owner, (unsigned int)st.st_uid,
			   (unsigned int)(st.st_mode & 07777), cure);
}

/* Opens a directory that must be ours alone to write. */
static int open_own(const char *path, struct failure *why)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return refuse(why, path, errno == ENOENT ? "does not exist" : "cannot be opened", errno);
	if (fstat(fd, &st) < 0 || (st.st_uid != geteuid())) {
		close(fd);
		return refuse(why, path, "belongs to somebody else", 0);
	}
	if (st.st_mode & S_IWOTH) {
		close(fd);
		return refuse(why, path, "can be written by everybody", 0);
	}
	/* access() would lie to root on a read-only file system */
	int probe = records_write_at(fd, "probe", "", 0, false);

	if (probe < 0 || unlinkat(fd, "probe", 0) < 0) {
		close(fd);
		return refuse(why, path, "cannot be written", probe < 0 ? -probe : errno);
	}
	return fd;
}

/* The next number: what the counter says, and never one whose folder exists. */
static int read_counter(struct records *rec, const char *path, struct failure *why)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r = records_read_at(rec->state, "counter", RECORD_FILE_MAX, &text, &len);
	char *end;

	rec->next = 1;
	if (!r) {
		unsigned long long n = strtoull(text, &end, 10);

		if (end == text || *end != '\n' || !n || n > INT64_MAX)
			return refuse(
				why, path,
				"its file counter is damaged: remove it, job numbers then go on after the highest folder in job/",
				0);
		rec->next = n;
	} else if (r != -ENOENT) {
		return refuse(why, path, "its file counter cannot be read", -r);
	}

	int fd = fcntl(rec->jobs, F_DUPFD_CLOEXEC, 0);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir) {
		r = -errno;
		if (fd >= 0)
			close(fd);
		return refuse(why, path, "its folder job cannot be read", -r);
	}
	rewinddir(dir);
	for (struct dirent *e; (e = readdir(dir));) {
		uint64_t n = kv_u64(e->d_name, 0);

		if (n >= rec->next && n < INT64_MAX)
			rec->next = n + 1;
	}
	closedir(dir);
	return 0;
}

static void read_boot_id(struct records *rec)
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, rec->boot_id, sizeof(rec->boot_id) - 1);

	if (fd >= 0)
		close(fd);
	rec->boot_id[n > 0 ? n : 0] = 0;
	rec->boot_id[strcspn(rec->boot_id, "\n")] = 0;
}

int records_open(const char *state_dir, const char *runtime_dir, struct records **out, struct failure *why)
{
	struct records *rec = calloc(1, sizeof(*rec));
	int r;

	if (!rec)
		return failure_set(why, ERR_INTERNAL, "out of memory");
	atomic_init(&rec->refs, 1);
	rec->state = rec->jobs = rec->runtime = rec->lock = -1;
	pthread_mutex_init(&rec->mutex, NULL);
	r = rec->state = open_own(state_dir, why);
	if (r < 0)
		goto fail;
	rec->lock = openat(rec->state, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (rec->lock < 0 || flock(rec->lock, LOCK_EX | LOCK_NB) < 0) {
		r = errno == EWOULDBLOCK ? refuse(why, state_dir, "another fdld is using it", 0)
					 : refuse(why, state_dir, "its file lock cannot be taken", errno);
		goto fail;
	}
	if (mkdirat(rec->state, "job", 0700) < 0 && errno != EEXIST) {
		r = refuse(why, state_dir, "job/ cannot be made in it", errno);
		goto fail;
	}
	rec->jobs = openat(rec->state, "job", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (rec->jobs < 0 || fsync(rec->state) < 0) {
		r = refuse(why, state_dir, "its folder job cannot be opened", errno);
		goto fail;
	}
	r = read_counter(rec, state_dir, why);
	if (r < 0)
		goto fail;
	if (runtime_dir) {
		r = rec->runtime = open_own(runtime_dir, why);
		if (r < 0)
			goto fail;
	}
	read_boot_id(rec);
	*out = rec;
	return 0;
fail:
	records_unref(rec);
	return r;
}

struct records *records_ref(struct records *rec)
{
	atomic_fetch_add(&rec->refs, 1);
	return rec;
}

void records_unref(struct records *rec)
{
	if (!rec || atomic_fetch_sub(&rec->refs, 1) != 1)
		return;
	util_closep(&rec->runtime);
	util_closep(&rec->jobs);
	util_closep(&rec->lock);
	util_closep(&rec->state);
	pthread_mutex_destroy(&rec->mutex);
	free(rec);
}

int records_new_job(struct records *rec, uint64_t *number, struct failure *why)
{
	char text[32], path[32];
	int r;

	pthread_mutex_lock(&rec->mutex);
	*number = rec->next;
	/* the counter first: a number that was told to anybody is never told again */
	r = records_write_at(rec->state, "counter", text,
			     (size_t)snprintf(text, sizeof(text), "%" PRIu64 "\n", rec->next + 1), true);
	if (!r)
		rec->next++;
	pthread_mutex_unlock(&rec->mutex);
	if (r < 0)
		return failure_set(why, ERR_STORE_FAILED, "counter: %s", strerror(-r));
	snprintf(path, sizeof(path), "%" PRIu64, *number);
	if (mkdirat(rec->jobs, path, 0700) < 0 || fsync(rec->jobs) < 0)
		return failure_set(why, ERR_STORE_FAILED, "job/%s: %s", path, strerror(errno));
	return 0;
}

uint64_t records_next(struct records *rec)
{
	uint64_t next;

	pthread_mutex_lock(&rec->mutex);
	next = rec->next;
	pthread_mutex_unlock(&rec->mutex);
	return next;
}

int records_write(struct records *rec, uint64_t job, const char *name, const char *text, size_t len,
		  struct failure *why)
{
	_cleanup_close_ int dir = records_job_dir(rec, job);
	int r = dir < 0 ? dir : records_write_at(dir, name, text, len, true);

	if (r < 0)
		return failure_set(why, ERR_STORE_FAILED, "job/%" PRIu64 "/%s: %s", job, name, strerror(-r));
	return 0;
}

int records_read(struct records *rec, uint64_t job, const char *name, char **text, size_t *len)
{
	_cleanup_close_ int dir = records_job_dir(rec, job);

	if (!name_ok(name))
		return -EINVAL;
	return dir < 0 ? dir : records_read_at(dir, name, RECORD_FILE_MAX, text, len);
}

/* ---- what grows ---- */

void record_sink_init(struct record_sink *sink, uint64_t job, const char *name)
{
	memset(sink, 0, sizeof(*sink));
	sink->job = job;
	sink->fd = sink->dir = -1;
	kv_copy(sink->name, sizeof(sink->name), name);
}

void record_sink_close(struct record_sink *sink)
{
	util_closep(&sink->fd);
	util_closep(&sink->dir);
	sink->fd = sink->dir = -1;
}

static bool is_backup(const struct record_sink *sink)
{
	return !strncmp(sink->name, "nv/", 3);
}

static int sink_fail(const struct record_sink *sink, struct failure *why, int err)
{
	return failure_set(why, ERR_STORE_FAILED, "job/%" PRIu64 "/%s: %s", sink->job, sink->name,
			   strerror(err));
}

static int sink_open(struct records *rec, struct record_sink *sink)
{
	_cleanup_close_ int job = records_job_dir(rec, sink->job);
	const char *name = is_backup(sink) ? sink->name + 3 : sink->name;
	char tmp[80];

	if (job < 0)
		return job;
	if (!name_ok(name))
		return -EINVAL;
	if (!is_backup(sink)) {
		sink->dir = TAKE_FD(job);
		sink->fd = openat(sink->dir, name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW,
				  0600);
		return sink->fd < 0 ? -errno : 0;
	}
	if (mkdirat(job, "nv", 0700) < 0 && errno != EEXIST)
		return -errno;
	if (fsync(job) < 0)
		return -errno;
	sink->dir = openat(job, "nv", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (sink->dir < 0)
		return -errno;
	if (faccessat(sink->dir, name, F_OK, 0) == 0)
		return -EEXIST;
	snprintf(tmp, sizeof(tmp), "%s.tmp", name);
	sink->fd = openat(sink->dir, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	return sink->fd < 0 ? -errno : 0;
}

int record_sink_append(struct records *rec, struct record_sink *sink, const void *bytes, size_t len,
		       struct failure *why)
{
	int r = 0;

	if (sink->whole && is_backup(sink))
		r = -EEXIST; /* it has its name: it does not change any more */
	else if (sink->fd < 0)
		r = sink_open(rec, sink);
	if (!r)
		r = write_all(sink->fd, bytes, len);
	if (r < 0) {
		record_sink_close(sink);
		return sink_fail(sink, why, -r);
	}
	sink->size += len;
	return 0;
}

int record_sink_sync(struct records *rec, struct record_sink *sink, struct failure *why)
{
	int r = 0;

	if (sink->whole && is_backup(sink))
		return 0;
	if (sink->fd < 0)
		r = sink_open(rec, sink);
	if (!r && fsync(sink->fd) < 0)
		r = -errno;
	if (!r && is_backup(sink)) {
		char tmp[80];

		snprintf(tmp, sizeof(tmp), "%s.tmp", sink->name + 3);
		/* a link refuses to replace what is there, a rename would not */
		if (linkat(sink->dir, tmp, sink->dir, sink->name + 3, 0) < 0 ||
		    unlinkat(sink->dir, tmp, 0) < 0)
			r = -errno;
	}
	if (!r && !sink->whole && fsync(sink->dir) < 0)
		r = -errno;
	if (r < 0) {
		record_sink_close(sink);
		return sink_fail(sink, why, -r);
	}
	sink->whole = true;
	if (is_backup(sink))
		record_sink_close(sink);
	return 0;
}

bool records_has_backups(struct records *rec, uint64_t job)
{
	char path[40];

	snprintf(path, sizeof(path), "%" PRIu64 "/nv", job);
	return faccessat(rec->jobs, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

int records_backup_read(struct records *rec, uint64_t job, const char *name, uint64_t offset, void *buf,
			size_t len, struct failure *why)
{
	_cleanup_close_ int dir = records_job_dir(rec, job);
	char path[80];
	uint8_t *p = buf;
	int r = dir < 0 ? dir : name_ok(name) ? 0 : -EINVAL;

	snprintf(path, sizeof(path), "nv/%s", name);

	_cleanup_close_ int fd = r < 0 ? -1 : openat(dir, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (!r && fd < 0)
		r = -errno;
	while (!r && len) {
		ssize_t n = pread(fd, p, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			r = n < 0 ? -errno : -ENODATA;
			break;
		}
		p += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	if (r < 0)
		return failure_set(why, ERR_STORE_FAILED, "reading job/%" PRIu64 "/%s: %s", job, path,
				   strerror(-r));
	return 0;
}
