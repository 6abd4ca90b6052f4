/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pac/image.h"
#include "common/util.h"
#include "pac/fail.h"
#include "pac/sparse.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>

#define SIHR_MAGIC   "SIHR"
#define UIMAGE_MAGIC 0x27051956u /* big-endian */
#define SPL_MAGIC    0xAA55A5A5u
#define HASH_PIECE   (256u << 10)

const char *image_kind_name(enum image_kind kind)
{
	switch (kind) {
	case IMAGE_NONE: return "none";
	case IMAGE_RAW: return "raw";
	case IMAGE_SPARSE: return "sparse";
	case IMAGE_NV: return "nv";
	case IMAGE_NV_MULTI: return "nv-multi";
	case IMAGE_SIHR: return "sihr";
	case IMAGE_UIMAGE: return "uimage";
	}
	return "none";
}

int dhtb_parse(const uint8_t header[DHTB_HEADER], uint64_t size, struct dhtb_info *out, struct failure *why)
{
	uint64_t payload = get_le32(header + 0x30);

	*out = (struct dhtb_info){ 0 };
	if (get_le32(header) != DHTB_MAGIC)
		return -ENOENT;
	if (size < DHTB_HEADER || payload > size - DHTB_HEADER)
		return pac_fail(why, ERR_PACKAGE_IMAGE_DAMAGED, NULL, 0x30,
				"the signed header names %llu bytes of payload, the image has %llu behind it",
				(unsigned long long)payload,
				(unsigned long long)(size < DHTB_HEADER ? 0 : size - DHTB_HEADER));
	out->present = true;
	out->version = get_le32(header + 4);
	memcpy(out->hash, header + 8, sizeof(out->hash));
	out->address = get_le64(header + 0x28);
	out->payload_at = DHTB_HEADER;
	out->payload_size = payload;
	out->is_packed = get_le32(header + 0x34) != 0;
	return 0;
}

/* The trailer's magic differs among signers; its offsets, which must repeat what is known, tell it as surely.
 */
static int read_trailer(const struct source *src, uint64_t offset, uint64_t size, struct dhtb_info *d,
			struct failure *why)
{
	uint64_t at = d->payload_at + d->payload_size;
	uint8_t t[DHTB_TRAILER];
	int r;

	if (size - at < sizeof(t))
		return 0;
	r = source_read(src, offset + at, t, sizeof(t));
	if (r < 0)
		return pac_fail_read(why, NULL, offset + at, sizeof(t), r);
	if (get_le64(t + 0x10) != d->payload_size || get_le64(t + 0x18) != d->payload_at)
		return 0;
	d->signature = true;
	d->cert_size = get_le64(t + 0x20);
	d->cert_at = get_le64(t + 0x28);
	if (d->cert_at > size || d->cert_size > size - d->cert_at)
		return pac_fail(why, ERR_PACKAGE_IMAGE_DAMAGED, NULL, at + 0x20,
				"the certificate at 0x%llx, %llu bytes, lies outside the image of %llu",
				(unsigned long long)d->cert_at, (unsigned long long)d->cert_size,
				(unsigned long long)size);
	return 0;
}

int dhtb_length(const uint8_t header[DHTB_HEADER], const uint8_t *trailer, uint64_t limit, uint64_t *len)
{
	uint64_t payload = get_le32(header + 0x30);

	if (get_le32(header) != DHTB_MAGIC)
		return -ENOENT;
	*len = DHTB_HEADER + payload;
	if (trailer && get_le64(trailer + 0x10) == payload && get_le64(trailer + 0x18) == DHTB_HEADER) {
		uint64_t size = get_le64(trailer + 0x20), at = get_le64(trailer + 0x28);

		*len += DHTB_TRAILER;
		if (at > limit || size > limit - at)
			return -ERANGE;
		*len = MAX(*len, at + size);
	}
	return *len > limit ? -ERANGE : 0;
}

static int peek_signed(const struct source *src, uint64_t offset, uint64_t size, bool vbmeta,
		       const uint8_t *head, size_t got, struct dhtb_info *d, struct failure *why)
{
	uint8_t tail[DHTB_HEADER];
	int r;

	if (got < DHTB_HEADER)
		return 0;
	r = dhtb_parse(head, size, d, why);
	if (r == 0)
		return read_trailer(src, offset, size, d, why);
	if (r != -ENOENT || !vbmeta)
		return r == -ENOENT ? 0 : r;
	r = source_read(src, offset + size - DHTB_HEADER, tail, sizeof(tail));
	if (r < 0)
		return pac_fail_read(why, NULL, offset + size - DHTB_HEADER, sizeof(tail), r);
	r = dhtb_parse(tail, size, d, why);
	if (r == 0) {
		d->at_end = true;
		d->payload_at = 0;
	}
	return r == -ENOENT ? 0 : r;
}

int image_peek(const struct source *src, uint64_t offset, uint64_t size, bool vbmeta, struct image_info *out,
	       struct failure *why)
{
	uint8_t head[IMAGE_PEEK];
	size_t got = (size_t)MIN(size, sizeof(head)), left;
	const uint8_t *body;
	int r;

	*out = (struct image_info){ .kind = size ? IMAGE_RAW : IMAGE_NONE, .expanded = size };
	if (!size)
		return 0;
	r = source_read(src, offset, head, got);
	if (r < 0)
		return pac_fail_read(why, NULL, offset, got, r);
	r = peek_signed(src, offset, size, vbmeta, head, got, &out->dhtb, why);
	if (r < 0)
		return r;
	if (out->dhtb.present && !out->dhtb.at_end)
		out->body_at = DHTB_HEADER;
	body = head + out->body_at;
	left = got - (size_t)out->body_at;
	if (sparse_is(body, left)) {
		struct sparse_header h;

		r = sparse_header_parse(body, left, &h, why);
		if (r < 0) {
			if (why)
				why->offset += out->body_at;
			return r;
		}
		out->kind = IMAGE_SPARSE;
		out->expanded = h.expanded;
		/* a chunk with data is longer than its header */
		out->hollow = size - out->body_at == h.header_size + (uint64_t)h.chunks * h.chunk_size;
	} else if (left >= 0xc0 && !memcmp(body, SIHR_MAGIC, 4)) {
		out->kind = IMAGE_SIHR;
		out->load = get_le64(body + 0xb0);
	} else if (left >= 64 && get_be32(body) == UIMAGE_MAGIC) {
		out->kind = IMAGE_UIMAGE;
		out->load = get_be32(body + 0x10);
	} else if (left >= 0x30) {
		out->spl_header = get_le32(body + 0x24) == SPL_MAGIC;
	}
	return 0;
}

static void hex(const uint8_t *p, char *out, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		snprintf(out + 2 * i, 3, "%02x", p[i]);
}

static int hash_range(const struct source *src, uint64_t at, uint64_t len, EVP_MD_CTX *md, uint8_t *buf,
		      struct failure *why)
{
	int r;

	if (EVP_DigestInit_ex(md, EVP_sha256(), NULL) != 1)
		return pac_fail_memory(why);
	while (len) {
		size_t n = (size_t)MIN(len, HASH_PIECE);

		r = source_read(src, at, buf, n);
		if (r < 0)
			return pac_fail_read(why, NULL, at, n, r);
		if (EVP_DigestUpdate(md, buf, n) != 1)
			return pac_fail_memory(why);
		at += n;
		len -= n;
	}
	return 0;
}

int dhtb_verify(const struct source *src, uint64_t offset, const struct dhtb_info *d, struct failure *why)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	uint8_t *buf = malloc(HASH_PIECE), sum[32];
	char want[17], got[17];
	int r;

	r = md && buf ? hash_range(src, offset + d->payload_at, d->payload_size, md, buf, why)
		      : pac_fail_memory(why);
	if (r == 0 && EVP_DigestFinal_ex(md, sum, NULL) != 1)
		r = pac_fail_memory(why);
	if (r == 0 && memcmp(sum, d->hash, sizeof(sum))) {
		hex(d->hash, want, 8);
		hex(sum, got, 8);
		r = pac_fail(why, ERR_PACKAGE_IMAGE_DAMAGED, NULL, offset + d->payload_at,
			     "SHA-256 of %llu signed bytes begins %s, its header says %s",
			     (unsigned long long)d->payload_size, got, want);
	}
	EVP_MD_CTX_free(md);
	free(buf);
	return r;
}
