/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Descriptors of callers that a read job writes to. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include "common/util.h"
#include "pac/digest.h"
#include "station/sink.h"

#define LOOK_MSEC  200	/* how often a full pipe looks whether it is still wanted */
#define PIPE_PIECE 4096 /* what a pipe that polls as writable takes without waiting */
#define HOLE	   4096 /* zeros are looked for in pieces of a file system's block */

enum sink_kind_of { TARGET_FILE, TARGET_PIPE, TARGET_SOCKET };

struct sink {
	int fd;
	enum sink_kind_of kind;
	EVP_MD_CTX *md;
	uint64_t bytes;
	/* a file whose zeros are left out, see look_for_room(); where the next byte goes, zeros not written
	 */
	bool looked, holes;
	uint64_t at, zeros;
	char sum[2 * DIGEST_SIZE + 1];
	atomic_bool whole; /* bytes and sum do not change any more */
};

struct sinks {
	atomic_uint refs;
	atomic_bool stop;
	uint32_t count;
	struct sink sink[];
};

/* ---- taking ---- */

/* Nobody's disk is asked: how it was opened, and what kind of thing it is, the kernel knows by itself. */
static int look_at(int fd, enum sink_kind_of *kind, struct failure *why)
{
	int flags = fcntl(fd, F_GETFL);
	struct statx st;

	if (flags < 0 || (flags & O_PATH) || (flags & O_ACCMODE) == O_RDONLY)
		return failure_set(why, ERR_INVALID_ARGS, "the descriptor is not open for writing");
	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_TYPE, &st) < 0)
		return failure_set(why, ERR_INVALID_ARGS, "the descriptor: %s", strerror(errno));
	switch (st.stx_mode & S_IFMT) {
	case S_IFREG: *kind = TARGET_FILE; return 0;
	case S_IFIFO: *kind = TARGET_PIPE; return 0;
	case S_IFSOCK: *kind = TARGET_SOCKET; return 0;
	default:
		return failure_set(why, ERR_INVALID_ARGS,
				   "the descriptor is that of no file, pipe or socket");
	}
}

int sinks_new(const int *fds, uint32_t count, struct sinks **out, struct failure *why)
{
	struct sinks *s = calloc(1, sizeof(*s) + count * sizeof(s->sink[0]));
	int r = 0;

	if (!s) {
		for (uint32_t i = 0; i < count; i++)
			close(fds[i]);
		return failure_set(why, ERR_INTERNAL, "out of memory");
	}
	atomic_init(&s->refs, 1);
	s->count = count;
	for (uint32_t i = 0; i < count; i++)
		s->sink[i].fd = fds[i];
	for (uint32_t i = 0; i < count && !r; i++) {
		r = look_at(fds[i], &s->sink[i].kind, why);
		if (r)
			break;
		s->sink[i].md = EVP_MD_CTX_new();
		if (!s->sink[i].md || EVP_DigestInit_ex(s->sink[i].md, EVP_sha256(), NULL) != 1)
			r = failure_set(why, ERR_INTERNAL, "no SHA-256");
	}
	if (r < 0) {
		sinks_unref(s);
		return r;
	}
	*out = s;
	return 0;
}

struct sinks *sinks_ref(struct sinks *s)
{
	atomic_fetch_add(&s->refs, 1);
	return s;
}

static void *end(void *arg)
{
	struct sinks *s = arg;

	for (uint32_t i = 0; i < s->count; i++)
		util_closep(&s->sink[i].fd);
	free(s);
	return NULL;
}

void sinks_unref(struct sinks *s)
{
	pthread_attr_t attr;
	pthread_t thread;
	bool open = false;

	if (!s || atomic_fetch_sub(&s->refs, 1) != 1)
		return;
	for (uint32_t i = 0; i < s->count; i++) {
		EVP_MD_CTX_free(s->sink[i].md);
		open |= s->sink[i].fd >= 0 && s->sink[i].kind == TARGET_FILE;
	}
	if (!open || pthread_attr_init(&attr) != 0) {
		(void)end(s);
		return;
	}
	if (pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED) != 0 ||
	    pthread_create(&thread, &attr, end, s) != 0)
		(void)end(s);
	(void)pthread_attr_destroy(&attr);
}

/* ---- writing ---- */

static uint64_t now_usec(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static int broken(int err, struct failure *why)
{
	return failure_set(why, ERR_TARGET_FAILED, "%s", strerror(err));
}

/* Whether others share the descriptor's flags is not known, so that they are not changed: it is asked first.
 */
static int wait_for_room(struct sinks *s, const struct sink *k, uint64_t until, struct failure *why)
{
	struct pollfd p = { .fd = k->fd, .events = POLLOUT };

	for (;;) {
		int n = poll(&p, 1, LOOK_MSEC);

		if (n < 0 && errno != EINTR)
			return broken(errno, why);
		if (n > 0)
			return 0; /* also when it is broken: the write says how */
		if (atomic_load(&s->stop))
			return failure_set(why, ERR_CANCELLED, "nobody waits for it any more");
		if (now_usec() >= until)
			return failure_set(why, ERR_TARGET_FAILED,
					   "whoever reads it takes nothing any more, after %" PRIu64 " bytes",
					   k->bytes);
	}
}

/*
 * Zeros become holes where there is nothing yet: behind the end of a file that is not only appended to. What
 * lies there already would show through.
 */
static void look_for_room(struct sink *k)
{
	int flags = fcntl(k->fd, F_GETFL);
	struct stat st;
	off_t at;

	k->looked = true;
	if (k->kind != TARGET_FILE || flags < 0 || (flags & O_APPEND))
		return;
	at = lseek(k->fd, 0, SEEK_CUR);
	if (at < 0 || fstat(k->fd, &st) < 0 || at < st.st_size)
		return;
	k->at = (uint64_t)at;
	k->holes = true;
}

static bool all_zero(const uint8_t *p, size_t len)
{
	return !*p && (len == 1 || !memcmp(p, p + 1, len - 1));
}

/* What of it is all zero, or all not, in the file's blocks. */
static size_t same_kind(const struct sink *k, const uint8_t *p, size_t len, bool *zero)
{
	size_t n = 0, part;
	bool is;

	do {
		part = MIN(len - n, HOLE - (size_t)((k->at + n) % HOLE));
		is = all_zero(p + n, part);
		if (!n)
			*zero = is;
		if (is != *zero)
			break;
		n += part;
	} while (n < len);
	return n;
}

static ssize_t put_file(struct sink *k, const uint8_t *p, size_t len)
{
	size_t n = len;
	bool zero;
	ssize_t r;

	if (!k->holes)
		return write(k->fd, p, len);
	n = same_kind(k, p, len, &zero);
	if (zero) {
		k->zeros += n;
		k->at += n;
		return (ssize_t)n;
	}
	if (k->zeros && lseek(k->fd, (off_t)k->at, SEEK_SET) < 0)
		return -1;
	k->zeros = 0;
	r = write(k->fd, p, n);
	if (r > 0)
		k->at += (size_t)r;
	return r;
}

/* A file that ends with zeros gets its size; whoever shares the descriptor finds it at the end. */
static int end_file(const struct sink *k)
{
	if (!k->zeros)
		return 0;
	if (ftruncate(k->fd, (off_t)k->at) < 0 && pwrite(k->fd, "", 1, (off_t)k->at - 1) != 1)
		return -errno;
	return lseek(k->fd, (off_t)k->at, SEEK_SET) < 0 ? -errno : 0;
}

static ssize_t put(struct sink *k, const uint8_t *p, size_t len)
{
	switch (k->kind) {
	case TARGET_SOCKET: return send(k->fd, p, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	case TARGET_PIPE: return write(k->fd, p, MIN(len, (size_t)PIPE_PIECE));
	default: return put_file(k, p, len);
	}
}

int sinks_write(struct sinks *s, uint32_t index, const void *bytes, size_t len, uint64_t stall_usec,
		struct failure *why)
{
	struct sink *k = index < s->count ? &s->sink[index] : NULL;
	uint64_t until = now_usec() + stall_usec;
	const uint8_t *p = bytes;

	if (!k || k->fd < 0)
		return failure_set(why, ERR_INTERNAL, "no descriptor %u", index);
	if (!k->looked)
		look_for_room(k);
	while (len) {
		int r = k->kind == TARGET_FILE ? 0 : wait_for_room(s, k, until, why);
		ssize_t n;

		if (r < 0)
			return r;
		n = put(k, p, len);
		if (n < 0 &&
		    (errno == EINTR || ((errno == EAGAIN || errno == EWOULDBLOCK) && k->kind != TARGET_FILE)))
			continue;
		if (n <= 0)
			return broken(n ? errno : EIO, why);
		if (EVP_DigestUpdate(k->md, p, (size_t)n) != 1)
			return failure_set(why, ERR_INTERNAL, "no SHA-256");
		p += n;
		k->bytes += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

int sinks_finish(struct sinks *s, uint32_t index, struct failure *why)
{
	struct sink *k = index < s->count ? &s->sink[index] : NULL;
	uint8_t sum[DIGEST_SIZE];
	int r;

	if (!k || k->fd < 0)
		return failure_set(why, ERR_INTERNAL, "no descriptor %u", index);
	r = end_file(k);
	if (r < 0)
		return broken(-r, why);
	/* some file systems know no sync */
	if (k->kind == TARGET_FILE && fsync(k->fd) < 0 && errno != EINVAL && errno != EROFS)
		return broken(errno, why);
	if (EVP_DigestFinal_ex(k->md, sum, NULL) != 1)
		return failure_set(why, ERR_INTERNAL, "no SHA-256");
	if (close(k->fd) < 0 && errno != EINTR) {
		k->fd = -1;
		return broken(errno, why);
	}
	k->fd = -1;
	for (unsigned int i = 0; i < DIGEST_SIZE; i++)
		snprintf(k->sum + 2 * i, 3, "%02x", sum[i]);
	atomic_store(&k->whole, true);
	return 0;
}

void sinks_stop(struct sinks *s)
{
	if (s)
		atomic_store(&s->stop, true);
}

const char *sinks_sum(const struct sinks *s, uint32_t index, uint64_t *bytes)
{
	const struct sink *k = s && index < s->count ? &s->sink[index] : NULL;
	bool whole = k && atomic_load(&k->whole);

	*bytes = whole ? k->bytes : 0;
	return whole ? k->sum : "";
}

uint32_t sinks_whole(const struct sinks *s)
{
	uint32_t n = 0;

	for (uint32_t i = 0; s && i < s->count; i++)
		n += atomic_load(&s->sink[i].whole);
	return n;
}
