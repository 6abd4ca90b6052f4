/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Packages whose check somebody else has on record: those of a store. */
#include <errno.h>
#include <inttypes.h>

#include "common/util.h"
#include "station/package_inner.h"

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
	r = package_read_at(v->p, index * DIGEST_CHUNK, v->chunk, len);
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

static int restore(struct package *p, struct pac_body *body, struct failure *why)
{
	struct prover v = { .p = p, .table = &body->digest, .index = UINT64_MAX, .wrong = UINT64_MAX };
	struct source source = { .read_at = proved_read_at, .ctx = &v };
	_cleanup_free_ uint8_t *chunk = NULL;
	const uint64_t few[] = { 0, body->digest.count / 2, body->digest.count - 1 };
	int r = package_look(p, why);

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
			return package_not_the_same(p, few[i], why);
		if (r < 0)
			return failure_set(why, ERR_PACKAGE_READ_FAILED, "at %" PRIu64 ": %s",
					   few[i] * DIGEST_CHUNK, strerror(-r));
	}
	r = pac_open(&source, &p->options, &p->pac, why);
	if (r < 0 && v.wrong != UINT64_MAX) /* what pac_open() calls a bad read */
		return package_not_the_same(p, v.wrong, why);
	if (!r)
		r = package_name_loaders(p, why);
	/* their headers stand among the bytes that are sent, and are proved then */
	return r ? r : pac_body_maps(body, p->pac, &p->source, NULL, NULL, why);
}

int package_restore(struct package *p, struct pac_body *body, struct failure *why)
{
	int r = restore(p, body, why);

	if (r < 0) {
		pac_body_free(body);
		return package_name_cut(p, r, why);
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
			return package_not_the_same(p, i, why);
		if (r < 0) {
			r = failure_set(why, ERR_PACKAGE_READ_FAILED, "at %" PRIu64 ": %s", i * DIGEST_CHUNK,
					strerror(-r));
			return package_name_cut(p, r, why);
		}
		atomic_fetch_add(at, digest_chunk_len(table, i));
	}
	return 0;
}
