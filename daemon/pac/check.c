/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The long pass: every byte once, in order, for the body CRC, the SHA-256 of the file, the chunk tags and the
 * signed images; then the sparse maps. */
#include "common/util.h"
#include "pac/crc16.h"
#include "pac/fail.h"
#include "pac/inside.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>

struct signed_image {
	const struct pac_item *item;
	uint64_t at, end; /* signed bytes in the package */
	EVP_MD_CTX *md;
};

struct pass {
	const struct pac *pac;
	const struct source *src;
	const struct pac_options *opt;
	pac_progress progress;
	void *ctx;
	uint64_t done;
	struct pac_body *body;
	EVP_MD_CTX *whole;
	struct signed_image *image;
	size_t images;
	struct failure *why;
};

static bool going(void *ctx)
{
	struct pass *p = ctx;

	return !p->progress || p->progress(p->ctx, p->done, p->src->size);
}

static int stopped(struct pass *p)
{
	return pac_fail(p->why, ERR_CANCELLED, NULL, p->done,
			"the check was stopped after %llu of %llu bytes", (unsigned long long)p->done,
			(unsigned long long)p->src->size);
}

static int doubt(struct pass *p, const char *entry, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static int doubt(struct pass *p, const char *entry, const char *fmt, ...)
{
	struct pac_body *b = p->body;
	struct pac_doubt *grown, *d;
	va_list ap;

	grown = realloc(b->doubt, (b->doubts + 1) * sizeof(*grown));
	if (!grown)
		return pac_fail_memory(p->why);
	b->doubt = grown;
	d = &b->doubt[b->doubts++];
	*d = (struct pac_doubt){ 0 };
	snprintf(d->entry, sizeof(d->entry), "%.39s", entry);
	va_start(ap, fmt);
	vsnprintf(d->text, sizeof(d->text), fmt, ap);
	va_end(ap);
	return 0;
}

static bool all_zero(const uint8_t *p, size_t len)
{
	while (len && !*p) {
		p++;
		len--;
	}
	return !len;
}

static int prepare(struct pass *p)
{
	size_t i;

	p->image = calloc(p->pac->items ? p->pac->items : 1, sizeof(*p->image));
	p->body->map = calloc(p->pac->items ? p->pac->items : 1, sizeof(*p->body->map));
	p->whole = EVP_MD_CTX_new();
	if (!p->image || !p->body->map || !p->whole || EVP_DigestInit_ex(p->whole, EVP_sha256(), NULL) != 1 ||
	    digest_table_init(&p->body->digest, &p->opt->key, p->src->size) < 0)
		return pac_fail_memory(p->why);
	p->body->maps = p->pac->items;
	for (i = 0; i < p->pac->items; i++) {
		const struct pac_item *item = &p->pac->item[i];
		const struct dhtb_info *d = &item->image.dhtb;
		struct signed_image *s = &p->image[p->images];

		if (!item->ticked || !item->has_file || !d->present)
			continue;
		if (all_zero(d->hash, sizeof(d->hash))) {
			if (doubt(p, item->file->id, "its signed header carries no hash") < 0)
				return -ENOMEM;
			continue;
		}
		s->item = item;
		s->at = item->offset + d->payload_at;
		s->end = s->at + d->payload_size;
		s->md = EVP_MD_CTX_new();
		p->images++;
		if (!s->md || EVP_DigestInit_ex(s->md, EVP_sha256(), NULL) != 1)
			return pac_fail_memory(p->why);
	}
	return 0;
}

static int feed_images(struct pass *p, uint64_t at, const uint8_t *buf, size_t len)
{
	size_t i;

	for (i = 0; i < p->images; i++) {
		struct signed_image *s = &p->image[i];
		uint64_t from = MAX(s->at, at), to = MIN(s->end, at + len);

		if (from < to && EVP_DigestUpdate(s->md, buf + (from - at), (size_t)(to - from)) != 1)
			return pac_fail_memory(p->why);
	}
	return 0;
}

static int read_all(struct pass *p)
{
	_cleanup_free_ uint8_t *buf = malloc(DIGEST_CHUNK);
	uint16_t crc = 0;
	size_t i;
	int r;

	if (!buf)
		return pac_fail_memory(p->why);
	for (i = 0; i < p->body->digest.count; i++) {
		uint64_t at = (uint64_t)i * DIGEST_CHUNK;
		uint32_t len = digest_chunk_len(&p->body->digest, i);
		size_t skip = at < PAC_HEADER_SIZE ? PAC_HEADER_SIZE : 0;

		if (!going(p))
			return stopped(p);
		r = source_read(p->src, at, buf, len);
		if (r < 0)
			return pac_fail_read(p->why, NULL, at, len, r);
		r = digest_table_put(&p->body->digest, i, buf, len);
		if (r < 0 || EVP_DigestUpdate(p->whole, buf, len) != 1)
			return pac_fail_memory(p->why);
		crc = crc16_arc(crc, buf + skip, len - skip);
		r = feed_images(p, at, buf, len);
		if (r < 0)
			return r;
		p->done = at + len;
	}
	p->body->crc2 = crc;
	if (EVP_DigestFinal_ex(p->whole, p->body->sha256, NULL) != 1)
		return pac_fail_memory(p->why);
	return going(p) ? 0 : stopped(p);
}

static int crc_range(struct pass *p, uint8_t *buf, uint64_t at, uint64_t len, uint16_t *crc)
{
	while (len) {
		size_t n = (size_t)MIN(len, DIGEST_CHUNK);
		int r = source_read(p->src, at, buf, n);

		if (r < 0)
			return pac_fail_read(p->why, NULL, at, n, r);
		if (!going(p))
			return stopped(p);
		*crc = crc16_arc(*crc, buf, n);
		at += n;
		len -= n;
	}
	return 0;
}

/* The vendor feeds table and payloads in table order: another number where there are gaps between them. */
static int crc_in_table_order(struct pass *p, uint16_t *crc)
{
	const struct pac_header *h = &p->pac->header;
	_cleanup_free_ uint8_t *buf = malloc(DIGEST_CHUNK);
	size_t i;
	int r;

	if (!buf)
		return pac_fail_memory(p->why);
	*crc = 0;
	r = crc_range(p, buf, h->table_at, (uint64_t)h->entries * PAC_ENTRY_SIZE, crc);
	for (i = 0; r == 0 && i < p->pac->entries; i++)
		if (p->pac->entry[i].size)
			r = crc_range(p, buf, p->pac->entry[i].offset, p->pac->entry[i].size, crc);
	return r;
}

static bool sequential(const struct pac *pac)
{
	uint64_t at = PAC_HEADER_SIZE + (uint64_t)pac->header.entries * PAC_ENTRY_SIZE;
	size_t i;

	for (i = 0; i < pac->entries; i++) {
		if (pac->entry[i].size && pac->entry[i].offset != at)
			return false;
		at += pac->entry[i].size;
	}
	return pac->header.table_at == PAC_HEADER_SIZE && at == pac->header.size;
}

static int judge_crc(struct pass *p)
{
	const struct pac_header *h = &p->pac->header;
	uint16_t vendor = p->body->crc2;
	int r;

	if (!h->checked)
		return 0;
	p->body->crc_ok = p->body->crc2 == h->crc2;
	if (!p->body->crc_ok && !sequential(p->pac)) {
		r = crc_in_table_order(p, &vendor);
		if (r < 0)
			return r;
		p->body->crc_ok = vendor == h->crc2;
	}
	if (p->body->crc_ok)
		return 0;
	if (p->opt->accept_bad_crc)
		return doubt(p, "",
			     "CRC over the body is 0x%04x, the header says 0x%04x; accepted on request",
			     p->body->crc2, h->crc2);
	return pac_fail(p->why, ERR_PACKAGE_BODY_CRC, NULL, 2122,
			"CRC over bytes %u to %llu is 0x%04x, the header says 0x%04x", PAC_HEADER_SIZE,
			(unsigned long long)h->size - 1, p->body->crc2, h->crc2);
}

static void first_bytes(const uint8_t *p, char out[17])
{
	size_t i;

	for (i = 0; i < 8; i++)
		snprintf(out + 2 * i, 3, "%02x", p[i]);
}

static int judge_images(struct pass *p)
{
	uint8_t sum[DIGEST_SIZE];
	char want[17], got[17];
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < p->images; i++) {
		struct signed_image *s = &p->image[i];
		const char *id = s->item->file->id;

		if (EVP_DigestFinal_ex(s->md, sum, NULL) != 1)
			return pac_fail_memory(p->why);
		if (!memcmp(sum, s->item->image.dhtb.hash, sizeof(sum))) {
			p->body->dhtb_checked++;
			continue;
		}
		first_bytes(s->item->image.dhtb.hash, want);
		first_bytes(sum, got);
		if (p->opt->accept_bad_crc)
			r = doubt(
				p, id,
				"SHA-256 of its signed bytes begins %s, its header says %s; accepted on request",
				got, want);
		else
			r = pac_fail(p->why, ERR_PACKAGE_IMAGE_DAMAGED, id, s->at,
				     "SHA-256 of %llu signed bytes begins %s, its header says %s",
				     (unsigned long long)(s->end - s->at), got, want);
	}
	return r;
}

int pac_body_maps(struct pac_body *body, const struct pac *pac, const struct source *src,
		  bool (*keep_going)(void *), void *ctx, struct failure *why)
{
	if (!body->map) {
		body->map = calloc(pac->items ? pac->items : 1, sizeof(*body->map));
		if (!body->map)
			return pac_fail_memory(why);
		body->maps = pac->items;
	}
	for (size_t i = 0; i < pac->items; i++) {
		const struct pac_item *item = &pac->item[i];
		uint64_t at = item->offset + item->image.body_at;
		struct sparse_map *map;
		int r;

		if (!item->ticked || item->image.kind != IMAGE_SPARSE)
			continue;
		map = calloc(1, sizeof(*map));
		if (!map)
			return pac_fail_memory(why);
		body->map[i] = map;
		r = sparse_walk(src, at, item->size - item->image.body_at, keep_going, ctx, map, why);
		if (r < 0 && why) {
			snprintf(why->entry, sizeof(why->entry), "%.39s", item->file->id);
			if (why->has_offset && why->error == ERR_PACKAGE_SPARSE)
				why->offset += at;
		}
		if (r < 0)
			return r;
	}
	return 0;
}

/* Is it still the file that was opened? Cheap, and first: every other message would mislead. */
static int same_file(struct pass *p)
{
	const struct pac_header *h = &p->pac->header;
	uint8_t seal[DIGEST_SIZE];
	int r;

	if (p->src->size != h->size)
		return pac_fail(p->why, ERR_PACKAGE_CHANGED, NULL, PAC_NOWHERE,
				"%llu bytes now, %llu when it was opened", (unsigned long long)p->src->size,
				(unsigned long long)h->size);
	r = pac_seal(p->src, h, &p->pac->entry[p->pac->entries - 1], seal, p->why);
	if (r == 0 && memcmp(seal, p->pac->seal, sizeof(seal)))
		r = pac_fail(p->why, ERR_PACKAGE_CHANGED, NULL, PAC_NOWHERE,
			     "header, table or XML are not those of the file that was opened");
	return r;
}

int pac_check(const struct pac *pac, const struct source *src, const struct pac_options *opt,
	      pac_progress progress, void *ctx, struct pac_body **body, struct failure *why)
{
	static const struct pac_options plain = { 0 };
	struct pass p = { .pac = pac,
			  .src = src,
			  .opt = opt ? opt : &plain,
			  .progress = progress,
			  .ctx = ctx,
			  .why = why };
	size_t i;
	int r;

	*body = NULL;
	p.body = calloc(1, sizeof(*p.body));
	if (!p.body)
		return pac_fail_memory(why);
	r = same_file(&p);
	if (r == 0)
		r = prepare(&p);
	if (r == 0)
		r = read_all(&p);
	if (r == 0)
		r = judge_crc(&p);
	if (r == 0)
		r = judge_images(&p);
	if (r == 0)
		r = pac_body_maps(p.body, p.pac, p.src, going, &p, p.why);
	for (i = 0; i < p.images; i++)
		EVP_MD_CTX_free(p.image[i].md);
	free(p.image);
	EVP_MD_CTX_free(p.whole);
	if (r < 0) {
		pac_body_free(p.body);
		return r;
	}
	*body = p.body;
	return 0;
}

void pac_body_free(struct pac_body *body)
{
	size_t i;

	if (!body)
		return;
	for (i = 0; body->map && i < body->maps; i++) {
		if (body->map[i])
			sparse_map_free(body->map[i]);
		free(body->map[i]);
	}
	free(body->map);
	digest_table_free(&body->digest);
	free(body->doubt);
	free(body);
}

const struct sparse_map *pac_body_map(const struct pac_body *body, const struct pac_item *item)
{
	return item->index < body->maps ? body->map[item->index] : NULL;
}
