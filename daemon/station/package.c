/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "common/util.h"
#include "station/package_inner.h"

/* No loader comes near it; one that says so is left without a name. */
#define LOADER_MAX (16u << 20)

int package_file_read(void *ctx, uint64_t offset, void *buf, size_t len)
{
	struct package_file *file = ctx;
	uint8_t *to = buf;

	while (len) {
		ssize_t n = pread(file->fd, to, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n) {
			atomic_store(&file->cut, true);
			return -EIO;
		}
		to += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

int package_read_at(struct package *p, uint64_t offset, void *buf, size_t len)
{
	return p->source.read_at(p->source.ctx, offset, buf, len);
}

struct package *package_alloc(struct failure *why)
{
	struct package *p = calloc(1, sizeof(*p));

	if (!p || getrandom(&p->options.key, sizeof(p->options.key), 0) != sizeof(p->options.key)) {
		failure_set(why, ERR_INTERNAL, p ? "no random bytes" : "out of memory");
		free(p);
		return NULL;
	}
	atomic_init(&p->refs, 1);
	p->file.fd = -1;
	p->options.accept_mismatch = true; /* refused by the plan, unless force_loaders */
	pthread_mutex_init(&p->mutex, NULL);
	pthread_cond_init(&p->loaded, NULL);
	return p;
}

int package_fd_check(int fd, struct failure *why)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return failure_set(why, ERR_INVALID_IMAGE, "%s", strerror(errno));
	if ((flags & O_ACCMODE) != O_RDONLY || (flags & O_PATH)) {
		return failure_set(why, ERR_INVALID_IMAGE, "the descriptor must be opened for reading only");
	}
	return 0;
}

struct package *package_new(int fd, bool accept_bad_crc, struct failure *why)
{
	_cleanup_close_ int own = fd;
	struct package *p = package_fd_check(own, why) < 0 ? NULL : package_alloc(why);

	if (!p)
		return NULL;
	p->file.fd = TAKE_FD(own);
	p->options.accept_bad_crc = accept_bad_crc;
	return p;
}

void package_lenient(struct package *p)
{
	p->options.without_loaders = true;
}

struct package *package_ref(struct package *p)
{
	atomic_fetch_add(&p->refs, 1);
	return p;
}

struct closing {
	size_t count;
	int fd[];
};

static void *close_them(void *arg)
{
	struct closing *c = arg;

	for (size_t i = 0; i < c->count; i++)
		close(c->fd[i]);
	free(c);
	return NULL;
}

void package_close(const int *fds, size_t count)
{
	struct closing *c = count ? malloc(sizeof(*c) + count * sizeof(*fds)) : NULL;
	pthread_attr_t attr;
	pthread_t thread;

	if (!c || pthread_attr_init(&attr) != 0) {
		for (size_t i = 0; i < count; i++)
			close(fds[i]);
		free(c);
		return;
	}
	c->count = count;
	memcpy(c->fd, fds, count * sizeof(*fds));
	if (pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED) != 0 ||
	    pthread_create(&thread, &attr, close_them, c) != 0)
		close_them(c);
	(void)pthread_attr_destroy(&attr);
}

void package_unref(struct package *p)
{
	if (!p || atomic_fetch_sub(&p->refs, 1) != 1)
		return;
	package_spans_free(p);
	pac_body_free(atomic_load(&p->body));
	pac_free(p->pac);
	if (p->parts)
		package_parts_free(p->parts);
	else
		package_close(&p->file.fd, 1);
	pthread_cond_destroy(&p->loaded);
	pthread_mutex_destroy(&p->mutex);
	free(p);
}

uint64_t package_size(const struct package *p)
{
	return p->size;
}

const struct pac *package_pac(const struct package *p)
{
	return p->pac;
}

const struct pac_body *package_body(const struct package *p)
{
	return atomic_load(&((struct package *)p)->body);
}

uint64_t package_checked(const struct package *p)
{
	return atomic_load(&((struct package *)p)->checked);
}

void package_stop(struct package *p)
{
	atomic_store(&p->stop, true);
}

int package_name_cut(struct package *p, int r, struct failure *why)
{
	const struct package_file *f = &p->file;

	if (p->parts)
		f = package_parts_cut(p->parts);
	else if (!atomic_load(&f->cut))
		f = NULL;
	if (r < 0 && f && why && why->error == ERR_PACKAGE_READ_FAILED)
		return failure_set(why, ERR_PACKAGE_CHANGED,
				   "%s is shorter than the %" PRIu64 " bytes it had when it was opened",
				   *f->name ? f->name : "the file", f->size);
	return r;
}

int package_not_the_same(const struct package *p, uint64_t index, struct failure *why)
{
	char names[200];

	if (p->parts && *package_parts_at(p->parts, index * DIGEST_CHUNK, DIGEST_CHUNK, names, sizeof(names)))
		return failure_set(why, ERR_PACKAGE_CHANGED, "bytes of %s are not those that were checked",
				   names);
	return failure_set(why, ERR_PACKAGE_CHANGED,
			   "bytes %" PRIu64 " to %" PRIu64 " are not those that were checked",
			   index * DIGEST_CHUNK, (index + 1) * DIGEST_CHUNK - 1);
}

/* Names the loaders for whoever looks back at what was sent; what is sent is proved on its own. */
static int name_loader(struct package *p, const struct pac_item *item, char out[65], struct failure *why)
{
	uint8_t sum[DIGEST_SIZE];
	_cleanup_free_ uint8_t *bytes = NULL;
	int r;

	if (!item || !item->has_file || item->size > LOADER_MAX)
		return 0;
	bytes = malloc(item->size);
	if (!bytes)
		return failure_set(why, ERR_INTERNAL, "out of memory");
	r = package_read_at(p, item->offset, bytes, item->size);
	if (r < 0)
		return failure_set(why, ERR_PACKAGE_READ_FAILED, "at %" PRIu64 ": %s", item->offset,
				   strerror(-r));
	if (digest_bytes(bytes, item->size, sum) < 0)
		return failure_set(why, ERR_INTERNAL, "libcrypto failed");
	for (size_t i = 0; i < sizeof(sum); i++)
		snprintf(out + 2 * i, 3, "%02x", sum[i]);
	return 0;
}

int package_name_loaders(struct package *p, struct failure *why)
{
	int r = name_loader(p, pac_fdl1(p->pac), p->loader[0], why);

	return r ? r : name_loader(p, pac_fdl2(p->pac), p->loader[1], why);
}

int package_file_look(struct package_file *file, struct failure *why)
{
	struct stat st;

	if (fstat(file->fd, &st) < 0)
		return failure_set(why, ERR_INVALID_IMAGE, "%s", strerror(errno));
	if (!S_ISREG(st.st_mode))
		return failure_set(why, ERR_INVALID_IMAGE, "not a regular file");
	if (st.st_size <= 0)
		return failure_set(why, ERR_INVALID_IMAGE, "the file is empty");
	if ((uint64_t)st.st_size > PACKAGE_SIZE_MAX)
		return failure_set(why, ERR_INVALID_IMAGE, "%" PRIu64 " bytes are more than a package has",
				   (uint64_t)st.st_size);
	file->size = (uint64_t)st.st_size;
	return 0;
}

int package_look(struct package *p, struct failure *why)
{
	int r = p->parts ? 0 : package_file_look(&p->file, why);

	if (r < 0 || p->parts) /* those were looked at when it was made of them */
		return r;
	p->size = p->file.size;
	p->source = (struct source){ .size = p->size, .read_at = package_file_read, .ctx = &p->file };
	return 0;
}

int package_parse(struct package *p, struct failure *why)
{
	int r = package_look(p, why);

	if (r < 0)
		return r;
	r = pac_open(&p->source, &p->options, &p->pac, why);
	if (!r)
		r = package_name_loaders(p, why);
	return package_name_cut(p, r, why);
}

const char *package_loader(const struct package *p, int which)
{
	return p->loader[which - 1];
}

static bool on_progress(void *ctx, uint64_t done, uint64_t total)
{
	struct package *p = ctx;

	atomic_store(&p->checked, done);
	return !atomic_load(&p->stop);
}

int package_check(struct package *p, struct failure *why)
{
	struct pac_body *body = NULL;
	int r = pac_check(p->pac, &p->source, &p->options, on_progress, p, &body, why);

	if (r < 0)
		return package_name_cut(p, r, why);
	atomic_store(&p->checked, p->size);
	atomic_store(&p->body, body);
	return 0;
}

struct onlooker {
	atomic_uint_fast64_t *at;
	const atomic_bool *stop;
	uint64_t before;
};

static bool on_told(void *ctx, uint64_t done, uint64_t total)
{
	struct onlooker *o = ctx;

	(void)total;
	atomic_fetch_add(o->at, done - o->before);
	o->before = done;
	return !atomic_load(o->stop);
}

int package_check_told(struct package *p, atomic_uint_fast64_t *at, const atomic_bool *stop,
		       struct failure *why)
{
	struct onlooker o = { .at = at, .stop = stop };
	struct pac_body *body = NULL;
	int r = pac_check(p->pac, &p->source, &p->options, on_told, &o, &body, why);

	if (r < 0)
		return package_name_cut(p, r, why);
	atomic_store(&p->checked, p->size);
	atomic_store(&p->body, body);
	return 0;
}
