/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "common/util.h"
#include "station/package.h"

/*
 * Chunks nobody uses at the moment that are kept: read ahead, or for the next phone, as phones side by side
 * read the same places. A few for each reader: few enough to stay in the processor's cache with one phone,
 * and never more than 12 MiB.
 */
#define CACHE_IDLE_MAX	96u
#define CACHE_IDLE_MIN	4u
#define CACHE_IDLE_EACH 6u

/* No loader comes near it; one that says so is left without a name. */
#define LOADER_MAX (16u << 20)

struct chunk {
	struct chunk *next;
	uint64_t index;
	uint64_t used; /* stamp, for the choice of what to drop */
	uint32_t users;
	enum { CHUNK_LOADING, CHUNK_READY, CHUNK_FAILED } state;
	int err;
	uint8_t tag[TAG_SIZE];
	uint32_t len;
	uint8_t bytes[];
};

struct package {
	atomic_uint refs;
	int fd;
	uint64_t size;
	struct source source;
	struct pac_options options;
	struct pac *pac;
	char loader[2][2 * DIGEST_SIZE + 1];
	_Atomic(struct pac_body *) body;
	atomic_uint_fast64_t checked;
	atomic_bool stop, cut; /* cut: a read came to the end before the size of the file */

	pthread_mutex_t mutex;
	pthread_cond_t loaded;
	struct chunk *chunks;
	uint32_t idle;
	uint64_t stamp;
};

static int read_at(void *ctx, uint64_t offset, void *buf, size_t len)
{
	struct package *p = ctx;
	uint8_t *to = buf;

	while (len) {
		ssize_t n = pread(p->fd, to, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n) {
			atomic_store(&p->cut, true);
			return -EIO;
		}
		to += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

struct package *package_new(int fd, bool accept_bad_crc, struct failure *why)
{
	_cleanup_close_ int own = fd;
	int flags = fcntl(own, F_GETFL);
	struct package *p;

	if (flags < 0) {
		failure_set(why, ERR_INVALID_IMAGE, "%s", strerror(errno));
		return NULL;
	}
	if ((flags & O_ACCMODE) != O_RDONLY || (flags & O_PATH)) {
		failure_set(why, ERR_INVALID_IMAGE, "the descriptor must be opened for reading only");
		return NULL;
	}
	p = calloc(1, sizeof(*p));
	if (!p || getrandom(&p->options.key, sizeof(p->options.key), 0) != sizeof(p->options.key)) {
		failure_set(why, ERR_INTERNAL, p ? "no random bytes" : "out of memory");
		free(p);
		return NULL;
	}
	atomic_init(&p->refs, 1);
	p->fd = TAKE_FD(own);
	p->options.accept_bad_crc = accept_bad_crc;
	p->options.accept_mismatch = true; /* refused by the plan, unless force_loaders */
	pthread_mutex_init(&p->mutex, NULL);
	pthread_cond_init(&p->loaded, NULL);
	return p;
}

struct package *package_ref(struct package *p)
{
	atomic_fetch_add(&p->refs, 1);
	return p;
}

static void *close_it(void *fd)
{
	close((int)(intptr_t)fd);
	return NULL;
}

/* A file system that has stopped answering may not even let go of a file: that is for a thread to wait for.
 */
static void close_aside(int fd)
{
	pthread_attr_t attr;
	pthread_t thread;

	if (pthread_attr_init(&attr) != 0) {
		close(fd);
		return;
	}
	if (pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED) != 0 ||
	    pthread_create(&thread, &attr, close_it, (void *)(intptr_t)fd) != 0)
		close(fd);
	(void)pthread_attr_destroy(&attr);
}

void package_unref(struct package *p)
{
	if (!p || atomic_fetch_sub(&p->refs, 1) != 1)
		return;
	while (p->chunks) {
		struct chunk *c = p->chunks;

		p->chunks = c->next;
		free(c);
	}
	pac_body_free(atomic_load(&p->body));
	pac_free(p->pac);
	close_aside(p->fd);
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

/* A read that met the end of the file is a change of the file, not a bad disk. */
static int name_cut(struct package *p, int r, struct failure *why)
{
	if (r < 0 && why && why->error == ERR_PACKAGE_READ_FAILED && atomic_load(&p->cut))
		return failure_set(why, ERR_PACKAGE_CHANGED,
				   "the file is shorter than the %" PRIu64 " bytes it had when it was opened",
				   p->size);
	return r;
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
	r = read_at(p, item->offset, bytes, item->size);
	if (r < 0)
		return failure_set(why, ERR_PACKAGE_READ_FAILED, "at %" PRIu64 ": %s", item->offset,
				   strerror(-r));
	if (digest_bytes(bytes, item->size, sum) < 0)
		return failure_set(why, ERR_INTERNAL, "libcrypto failed");
	for (size_t i = 0; i < sizeof(sum); i++)
		snprintf(out + 2 * i, 3, "%02x", sum[i]);
	return 0;
}

/* Asks the file system, which may be one that does not answer. */
static int look(struct package *p, struct failure *why)
{
	struct stat st;

	if (fstat(p->fd, &st) < 0)
		return failure_set(why, ERR_INVALID_IMAGE, "%s", strerror(errno));
	if (!S_ISREG(st.st_mode))
		return failure_set(why, ERR_INVALID_IMAGE, "not a regular file");
	if (st.st_size <= 0)
		return failure_set(why, ERR_INVALID_IMAGE, "the file is empty");
	if ((uint64_t)st.st_size > PACKAGE_SIZE_MAX)
		return failure_set(why, ERR_INVALID_IMAGE, "%" PRIu64 " bytes are more than a package has",
				   (uint64_t)st.st_size);
	p->size = (uint64_t)st.st_size;
	p->source = (struct source){ .size = p->size, .read_at = read_at, .ctx = p };
	return 0;
}

int package_parse(struct package *p, struct failure *why)
{
	int r = look(p, why);

	if (r < 0)
		return r;
	r = pac_open(&p->source, &p->options, &p->pac, why);
	if (!r)
		r = name_loader(p, pac_fdl1(p->pac), p->loader[0], why);
	if (!r)
		r = name_loader(p, pac_fdl2(p->pac), p->loader[1], why);
	return name_cut(p, r, why);
}

/* Reads whole chunks and proves them: for the few reads that a package is opened with. */
struct prover {
	struct package *p;
	const struct digest_table *table;
	uint64_t index; /* of the chunk that is held; UINT64_MAX none */
	uint64_t wrong; /* of the latest that is another; UINT64_MAX none */
	uint8_t *chunk;
};

static int prove_chunk(struct prover *v, uint64_t index)
{
	uint32_t len = digest_chunk_len(v->table, index);
	int r;

	if (v->index == index)
		return 0;
	v->index = UINT64_MAX;
	r = read_at(v->p, index * DIGEST_CHUNK, v->chunk, len);
	if (!r)
		r = digest_check(v->table, index * DIGEST_CHUNK, v->chunk, len);
	if (!r)
		v->index = index;
	if (r == -EBADMSG)
		v->wrong = index;
	return r;
}

static int proved_read_at(void *ctx, uint64_t offset, void *buf, size_t len)
{
	struct prover *v = ctx;
	uint8_t *to = buf;

	while (len) {
		size_t in = (size_t)(offset % DIGEST_CHUNK), n;
		int r = prove_chunk(v, offset / DIGEST_CHUNK);

		if (r < 0)
			return r;
		n = MIN(len, digest_chunk_len(v->table, offset / DIGEST_CHUNK) - in);
		memcpy(to, v->chunk + in, n);
		to += n;
		offset += n;
		len -= n;
	}
	return 0;
}

static int not_the_same(struct failure *why, uint64_t index)
{
	return failure_set(why, ERR_PACKAGE_CHANGED,
			   "bytes %" PRIu64 " to %" PRIu64 " are not those that were checked",
			   index * DIGEST_CHUNK, (index + 1) * DIGEST_CHUNK - 1);
}

static int restore(struct package *p, struct pac_body *body, struct failure *why)
{
	struct prover v = { .p = p, .table = &body->digest, .index = UINT64_MAX, .wrong = UINT64_MAX };
	struct source source = { .read_at = proved_read_at, .ctx = &v };
	_cleanup_free_ uint8_t *chunk = NULL;
	const uint64_t few[] = { 0, body->digest.count / 2, body->digest.count - 1 };
	int r = look(p, why);

	if (r < 0)
		return r;
	if (p->size != body->digest.size)
		return failure_set(why, ERR_PACKAGE_CHANGED,
				   "the file has %" PRIu64 " bytes, not the %" PRIu64 " that were checked",
				   p->size, body->digest.size);
	chunk = malloc(DIGEST_CHUNK);
	if (!chunk)
		return failure_set(why, ERR_INTERNAL, "out of memory");
	v.chunk = chunk;
	source.size = p->size;
	p->options.key = body->digest.key;
	for (size_t i = 0; i < ARRAY_SIZE(few); i++) {
		r = prove_chunk(&v, few[i]);
		if (r == -EBADMSG)
			return not_the_same(why, few[i]);
		if (r < 0)
			return failure_set(why, ERR_PACKAGE_READ_FAILED, "at %" PRIu64 ": %s",
					   few[i] * DIGEST_CHUNK, strerror(-r));
	}
	r = pac_open(&source, &p->options, &p->pac, why);
	if (r < 0 && v.wrong != UINT64_MAX) /* what pac_open() calls a bad read */
		return not_the_same(why, v.wrong);
	if (!r)
		r = name_loader(p, pac_fdl1(p->pac), p->loader[0], why);
	if (!r)
		r = name_loader(p, pac_fdl2(p->pac), p->loader[1], why);
	/* their headers stand among the bytes that are sent, and are proved then */
	return r ? r : pac_body_maps(body, p->pac, &p->source, NULL, NULL, why);
}

int package_restore(struct package *p, struct pac_body *body, struct failure *why)
{
	int r = restore(p, body, why);

	if (r < 0) {
		pac_body_free(body);
		return name_cut(p, r, why);
	}
	atomic_store(&p->checked, p->size);
	atomic_store(&p->body, body);
	return 0;
}

int package_prove(struct package *p, atomic_uint_fast64_t *at, const atomic_bool *stop, struct failure *why)
{
	const struct digest_table *table = &package_body(p)->digest;
	_cleanup_free_ uint8_t *chunk = malloc(DIGEST_CHUNK);
	struct prover v = { .p = p, .table = table, .index = UINT64_MAX, .chunk = chunk };

	if (!chunk)
		return failure_set(why, ERR_INTERNAL, "out of memory");
	for (uint64_t i = 0; i < table->count; i++) {
		int r = atomic_load(stop) ? -ECANCELED : prove_chunk(&v, i);

		if (r == -ECANCELED)
			return failure_set(why, ERR_CANCELLED, "the service is being stopped");
		if (r == -EBADMSG)
			return not_the_same(why, i);
		if (r < 0) {
			r = failure_set(why, ERR_PACKAGE_READ_FAILED, "at %" PRIu64 ": %s", i * DIGEST_CHUNK,
					strerror(-r));
			return name_cut(p, r, why);
		}
		atomic_fetch_add(at, digest_chunk_len(table, i));
	}
	return 0;
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
		return name_cut(p, r, why);
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
		return name_cut(p, r, why);
	atomic_store(&p->checked, p->size);
	atomic_store(&p->body, body);
	return 0;
}

/* ---- chunks ---- */

static uint32_t idle_max(const struct package *p)
{
	return MIN(CACHE_IDLE_MIN + CACHE_IDLE_EACH * (uint32_t)atomic_load(&p->refs), CACHE_IDLE_MAX);
}

/* Takes out the chunk that nobody has used for the longest time; NULL: all are in use. */
static struct chunk *take_oldest(struct package *p)
{
	struct chunk **oldest = NULL;
	struct chunk *taken;

	for (struct chunk **at = &p->chunks; *at; at = &(*at)->next)
		if (!(*at)->users && (!oldest || (*at)->used < (*oldest)->used))
			oldest = at;
	if (!oldest)
		return NULL;
	taken = *oldest;
	*oldest = taken->next;
	p->idle--;
	return taken;
}

static void put_chunk(struct package *p, struct chunk *c)
{
	pthread_mutex_lock(&p->mutex);
	/* what could not be read is dropped first: the next one tries anew */
	c->used = c->state == CHUNK_FAILED ? 0 : ++p->stamp;
	if (--c->users == 0) {
		p->idle++;
		if (p->idle > idle_max(p) || c->state == CHUNK_FAILED)
			free(take_oldest(p));
	}
	pthread_mutex_unlock(&p->mutex);
}

static void load(struct package *p, struct chunk *c)
{
	int r = read_at(p, c->index * DIGEST_CHUNK, c->bytes, c->len);

	if (!r)
		r = digest_tag(&p->options.key, c->index, c->bytes, c->len, c->tag);
	pthread_mutex_lock(&p->mutex);
	c->err = r;
	c->state = r < 0 ? CHUNK_FAILED : CHUNK_READY;
	pthread_cond_broadcast(&p->loaded);
	pthread_mutex_unlock(&p->mutex);
}

/* Whoever comes first reads, the others wait for it: on their own threads, under their own deadlines. */
static struct chunk *get_chunk(struct package *p, uint64_t index)
{
	uint64_t at = index * DIGEST_CHUNK;
	struct chunk *c;

	pthread_mutex_lock(&p->mutex);
	for (c = p->chunks; c; c = c->next)
		if (c->index == index && c->state != CHUNK_FAILED)
			break;
	if (c) {
		if (c->users++ == 0)
			p->idle--;
		while (c->state == CHUNK_LOADING)
			pthread_cond_wait(&p->loaded, &p->mutex);
		pthread_mutex_unlock(&p->mutex);
		return c;
	}
	/* memory goes round: what is kept idle and what is in use together stay small */
	c = p->idle >= idle_max(p) ? take_oldest(p) : malloc(sizeof(*c) + DIGEST_CHUNK);

	uint32_t len = (uint32_t)MIN(p->size - at, (uint64_t)DIGEST_CHUNK);

	if (c) {
		memset(c, 0, sizeof(*c));
		c->index = index;
		c->users = 1;
		c->state = CHUNK_LOADING;
		c->len = len;
		c->next = p->chunks;
		p->chunks = c;
	}
	pthread_mutex_unlock(&p->mutex);
	if (c)
		load(p, c);
	return c;
}

static bool proved(const struct pac_body *body, uint64_t index, const uint8_t *tag)
{
	return index < body->digest.count && !memcmp(body->digest.tag[index], tag, TAG_SIZE);
}

static void remember(struct package_reader *r, const struct chunk *c)
{
	for (uint32_t i = 0; i < r->early_count; i++)
		if (r->early[i].index == c->index && !memcmp(r->early[i].tag, c->tag, TAG_SIZE))
			return;
	if (r->early_count == READER_EARLY_MAX) {
		r->early_full = true;
		return;
	}
	r->early[r->early_count].index = c->index;
	memcpy(r->early[r->early_count++].tag, c->tag, TAG_SIZE);
}

int package_reader_read(struct package_reader *r, uint64_t offset, void *buf, size_t len, struct failure *why)
{
	struct package *p = r->package;
	uint8_t *to = buf;

	if (offset > p->size || len > p->size - offset)
		return failure_set(why, ERR_INTERNAL, "read of %zu bytes at %" PRIu64 " outside the package",
				   len, offset);
	while (len) {
		uint64_t index = offset / DIGEST_CHUNK;
		size_t in = (size_t)(offset % DIGEST_CHUNK);
		struct chunk *c = get_chunk(p, index);
		const struct pac_body *body = package_body(p);

		if (!c)
			return failure_set(why, ERR_INTERNAL, "out of memory");
		if (c->state == CHUNK_FAILED) {
			int err = c->err;

			put_chunk(p, c);
			failure_set(why, ERR_PACKAGE_READ_FAILED, "at %" PRIu64 ": %s", index * DIGEST_CHUNK,
				    strerror(-err));
			return name_cut(p, err, why);
		}
		if (body && !proved(body, index, c->tag)) {
			put_chunk(p, c);
			return not_the_same(why, index);
		}
		if (!body)
			remember(r, c);

		size_t n = MIN(len, (size_t)c->len - in);

		memcpy(to, c->bytes + in, n);
		put_chunk(p, c);
		to += n;
		offset += n;
		len -= n;
	}
	return 0;
}

/* A ready chunk, taken into use; NULL: nobody has read it yet. */
static struct chunk *find_chunk(struct package *p, uint64_t index)
{
	struct chunk *c;

	pthread_mutex_lock(&p->mutex);
	for (c = p->chunks; c; c = c->next)
		if (c->index == index && c->state == CHUNK_READY)
			break;
	if (c && c->users++ == 0)
		p->idle--;
	pthread_mutex_unlock(&p->mutex);
	return c;
}

bool package_try(struct package *p, uint64_t offset, void *buf, size_t len)
{
	const struct pac_body *body = package_body(p);
	uint8_t *to = buf;

	if (!body || offset > p->size || len > p->size - offset)
		return false;
	while (len) {
		uint64_t index = offset / DIGEST_CHUNK;
		size_t in = (size_t)(offset % DIGEST_CHUNK), n;
		struct chunk *c = find_chunk(p, index);
		bool good = c && proved(body, index, c->tag);

		n = good ? MIN(len, (size_t)c->len - in) : 0;
		if (good)
			memcpy(to, c->bytes + in, n);
		if (c)
			put_chunk(p, c);
		if (!good)
			return false;
		to += n;
		offset += n;
		len -= n;
	}
	return true;
}

void package_warm(struct package *p, uint64_t offset)
{
	struct chunk *c = offset < p->size ? get_chunk(p, offset / DIGEST_CHUNK) : NULL;

	if (c)
		put_chunk(p, c);
}

int package_reader_prove(struct package_reader *r, struct failure *why)
{
	const struct pac_body *body = package_body(r->package);

	if (!body)
		return failure_set(why, ERR_INTERNAL, "no digests yet");
	for (uint32_t i = 0; i < r->early_count; i++)
		if (!proved(body, r->early[i].index, r->early[i].tag))
			return not_the_same(why, r->early[i].index);
	r->early_count = 0;
	if (r->early_full)
		return failure_set(why, ERR_PACKAGE_CHANGED,
				   "more was read before the check than can be compared with it");
	return 0;
}
