/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is read of a package for its phones: chunks that are shared, kept for a while, and proved. */
#include <errno.h>
#include <inttypes.h>

#include "common/util.h"
#include "station/package_inner.h"

/*
 * Chunks nobody uses at the moment that are kept: read ahead, or for the next phone, as phones side by side
 * read the same places. A few for each reader: few enough to stay in the processor's cache with one phone,
 * and never more than 12 MiB.
 */
#define CACHE_IDLE_MAX	96u
#define CACHE_IDLE_MIN	4u
#define CACHE_IDLE_EACH 6u

void package_chunks_free(struct package *p)
{
	while (p->chunks) {
		struct chunk *c = p->chunks;

		p->chunks = c->next;
		free(c);
	}
}

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
	int r = package_read_at(p, c->index * DIGEST_CHUNK, c->bytes, c->len);

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
			return package_name_cut(p, err, why);
		}
		if (body && !proved(body, index, c->tag)) {
			put_chunk(p, c);
			return package_not_the_same(p, index, why);
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
			return package_not_the_same(r->package, r->early[i].index, why);
	r->early_count = 0;
	if (r->early_full)
		return failure_set(why, ERR_PACKAGE_CHANGED,
				   "more was read before the check than can be compared with it");
	return 0;
}
