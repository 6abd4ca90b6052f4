/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is read of a package for its phones: spans that are shared, kept for a while, and proved. */
#include <errno.h>
#include <inttypes.h>

#include "common/util.h"
#include "station/package_inner.h"

/*
 * Spans nobody uses at the moment that are kept: read ahead, or for the next phone, as phones side by side
 * read the same places. A few for each reader: few enough to stay in the processor's cache with one phone,
 * and never more than 12 MiB. A phone that reads has another two in use, which others mostly have too.
 */
#define CACHE_IDLE_MAX	24u
#define CACHE_IDLE_MIN	2u
#define CACHE_IDLE_EACH 2u

void package_spans_free(struct package *p)
{
	while (p->spans) {
		struct span *c = p->spans;

		p->spans = c->next;
		free(c);
	}
}

static uint32_t idle_max(const struct package *p)
{
	return MIN(CACHE_IDLE_MIN + CACHE_IDLE_EACH * (uint32_t)atomic_load(&p->refs), CACHE_IDLE_MAX);
}

/* Takes out the span that nobody has used for the longest time; NULL: all are in use. */
static struct span *take_oldest(struct package *p)
{
	struct span **oldest = NULL;
	struct span *taken;

	for (struct span **at = &p->spans; *at; at = &(*at)->next)
		if (!(*at)->users && (!oldest || (*at)->used < (*oldest)->used))
			oldest = at;
	if (!oldest)
		return NULL;
	taken = *oldest;
	*oldest = taken->next;
	p->idle--;
	return taken;
}

static void put_span(struct package *p, struct span *c)
{
	pthread_mutex_lock(&p->mutex);
	/* what could not be read is dropped first: the next one tries anew */
	c->used = c->state == SPAN_FAILED ? 0 : ++p->stamp;
	if (--c->users == 0) {
		p->idle++;
		if (p->idle > idle_max(p) || c->state == SPAN_FAILED)
			free(take_oldest(p));
	}
	pthread_mutex_unlock(&p->mutex);
}

static void load(struct package *p, struct span *c)
{
	int r = package_read_at(p, c->at, c->bytes, c->len);

	for (uint32_t in = 0; !r && in < c->len; in += DIGEST_CHUNK)
		r = digest_tag(&p->options.key, (c->at + in) / DIGEST_CHUNK, c->bytes + in,
			       MIN(c->len - in, DIGEST_CHUNK), c->tag[in / DIGEST_CHUNK]);
	pthread_mutex_lock(&p->mutex);
	c->err = r;
	c->state = r < 0 ? SPAN_FAILED : SPAN_READY;
	pthread_cond_broadcast(&p->loaded);
	pthread_mutex_unlock(&p->mutex);
}

/* Whoever comes first reads, the others wait for it: on their own threads, under their own deadlines. */
static struct span *get_span(struct package *p, uint64_t at)
{
	struct span *c;

	pthread_mutex_lock(&p->mutex);
	for (c = p->spans; c; c = c->next)
		if (c->at == at && c->state != SPAN_FAILED)
			break;
	if (c) {
		if (c->users++ == 0)
			p->idle--;
		while (c->state == SPAN_LOADING)
			pthread_cond_wait(&p->loaded, &p->mutex);
		pthread_mutex_unlock(&p->mutex);
		return c;
	}
	/* memory goes round */
	c = p->idle >= idle_max(p) ? take_oldest(p) : malloc(sizeof(*c) + PACKAGE_SPAN);

	uint32_t len = (uint32_t)MIN(p->size - at, (uint64_t)PACKAGE_SPAN);

	if (c) {
		memset(c, 0, sizeof(*c));
		c->at = at;
		c->users = 1;
		c->state = SPAN_LOADING;
		c->len = len;
		c->next = p->spans;
		p->spans = c;
	}
	pthread_mutex_unlock(&p->mutex);
	if (c)
		load(p, c);
	return c;
}

/* The digest chunks that these bytes of a span lie in, by their numbers in it: from first to below *end. */
static uint32_t touched(size_t in, size_t len, uint32_t *end)
{
	*end = (uint32_t)((in + len - 1) / DIGEST_CHUNK + 1);
	return (uint32_t)(in / DIGEST_CHUNK);
}

static bool same_tag(const struct pac_body *body, uint64_t index, const uint8_t *tag)
{
	return index < body->digest.count && !memcmp(body->digest.tag[index], tag, TAG_SIZE);
}

/* These bytes of a span, one at least, are those that were checked; else *wrong is the digest chunk that is
 * not. */
static bool proved(const struct pac_body *body, const struct span *c, size_t in, size_t len, uint64_t *wrong)
{
	uint32_t end, i = touched(in, len, &end);

	for (; i < end; i++) {
		*wrong = c->at / DIGEST_CHUNK + i;
		if (!same_tag(body, *wrong, c->tag[i]))
			return false;
	}
	return true;
}

static void remember_one(struct package_reader *r, uint64_t index, const uint8_t *tag)
{
	for (uint32_t i = 0; i < r->early_count; i++)
		if (r->early[i].index == index && !memcmp(r->early[i].tag, tag, TAG_SIZE))
			return;
	if (r->early_count == READER_EARLY_MAX) {
		r->early_full = true;
		return;
	}
	r->early[r->early_count].index = index;
	memcpy(r->early[r->early_count++].tag, tag, TAG_SIZE);
}

static void remember(struct package_reader *r, const struct span *c, size_t in, size_t len)
{
	uint32_t end, i = touched(in, len, &end);

	for (; i < end; i++)
		remember_one(r, c->at / DIGEST_CHUNK + i, c->tag[i]);
}

int package_reader_read(struct package_reader *r, uint64_t offset, void *buf, size_t len, struct failure *why)
{
	struct package *p = r->package;
	uint8_t *to = buf;

	if (offset > p->size || len > p->size - offset)
		return failure_set(why, ERR_INTERNAL, "read of %zu bytes at %" PRIu64 " outside the package",
				   len, offset);
	while (len) {
		size_t in = (size_t)(offset % PACKAGE_SPAN);
		struct span *c = get_span(p, offset - in);
		const struct pac_body *body = package_body(p);
		uint64_t wrong;

		if (!c)
			return failure_set(why, ERR_INTERNAL, "out of memory");
		if (c->state == SPAN_FAILED) {
			int err = c->err;

			put_span(p, c);
			failure_set(why, ERR_PACKAGE_READ_FAILED, "at %" PRIu64 ": %s", offset - in,
				    strerror(-err));
			return package_name_cut(p, err, why);
		}

		size_t n = MIN(len, (size_t)c->len - in);

		if (body && !proved(body, c, in, n, &wrong)) {
			put_span(p, c);
			return package_not_the_same(p, wrong, why);
		}
		if (!body)
			remember(r, c, in, n);
		memcpy(to, c->bytes + in, n);
		put_span(p, c);
		to += n;
		offset += n;
		len -= n;
	}
	return 0;
}

/* A span that is there, taken into use; NULL: nobody has read it yet. */
static struct span *find_span(struct package *p, uint64_t at)
{
	struct span *c;

	pthread_mutex_lock(&p->mutex);
	for (c = p->spans; c; c = c->next)
		if (c->at == at && c->state == SPAN_READY)
			break;
	if (c && c->users++ == 0)
		p->idle--;
	pthread_mutex_unlock(&p->mutex);
	return c;
}

/* Of the bytes from offset those in its span, *n of the len, there and proved; taken into use. NULL: they are
 * not. */
static struct span *find_proved(struct package *p, uint64_t offset, size_t len, size_t *n)
{
	const struct pac_body *body = package_body(p);
	size_t in = (size_t)(offset % PACKAGE_SPAN);
	struct span *c;
	uint64_t wrong;

	if (!body || !len || offset > p->size || len > p->size - offset)
		return NULL;
	c = find_span(p, offset - in);
	if (!c)
		return NULL;
	*n = MIN(len, (size_t)c->len - in);
	if (proved(body, c, in, *n, &wrong))
		return c;
	put_span(p, c);
	return NULL;
}

const uint8_t *package_lend(struct package *p, uint64_t offset, size_t len, struct span **loan)
{
	size_t n, in = (size_t)(offset % PACKAGE_SPAN);

	*loan = len <= PACKAGE_SPAN - in ? find_proved(p, offset, len, &n) : NULL;
	return *loan ? (*loan)->bytes + in : NULL;
}

void package_return(struct package *p, struct span *loan)
{
	put_span(p, loan);
}

bool package_try(struct package *p, uint64_t offset, void *buf, size_t len)
{
	uint8_t *to = buf;

	while (len) {
		size_t n;
		struct span *c = find_proved(p, offset, len, &n);

		if (!c)
			return false;
		memcpy(to, c->bytes + offset % PACKAGE_SPAN, n);
		put_span(p, c);
		to += n;
		offset += n;
		len -= n;
	}
	return true;
}

bool package_is_warm(struct package *p, uint64_t offset, uint64_t end)
{
	bool warm = true;

	end = MIN(end, p->size);
	offset = offset < end ? offset - offset % PACKAGE_SPAN : end;
	pthread_mutex_lock(&p->mutex);
	for (; offset < end && warm; offset += PACKAGE_SPAN) {
		struct span *c = p->spans;

		while (c && (c->at != offset || c->state == SPAN_FAILED))
			c = c->next;
		warm = c != NULL;
		if (c)
			c->used = ++p->stamp;
	}
	pthread_mutex_unlock(&p->mutex);
	return warm;
}

void package_warm(struct package *p, uint64_t offset)
{
	struct span *c = offset < p->size ? get_span(p, offset - offset % PACKAGE_SPAN) : NULL;

	if (c)
		put_span(p, c);
}

int package_reader_prove(struct package_reader *r, struct failure *why)
{
	const struct pac_body *body = package_body(r->package);

	if (!body)
		return failure_set(why, ERR_INTERNAL, "no digests yet");
	for (uint32_t i = 0; i < r->early_count; i++)
		if (!same_tag(body, r->early[i].index, r->early[i].tag))
			return package_not_the_same(r->package, r->early[i].index, why);
	r->early_count = 0;
	if (r->early_full)
		return failure_set(why, ERR_PACKAGE_CHANGED,
				   "more was read before the check than can be compared with it");
	return 0;
}
