/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pac/digest.h"

#include <errno.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

int digest_bytes(const void *data, size_t len, uint8_t out[DIGEST_SIZE])
{
	return EVP_Digest(data, len, out, NULL, EVP_sha256(), NULL) == 1 ? 0 : -EIO;
}

struct digest_stream *digest_stream_new(void)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	if (ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1)
		return (struct digest_stream *)ctx;
	EVP_MD_CTX_free(ctx);
	return NULL;
}

int digest_stream_put(struct digest_stream *s, const void *data, size_t len)
{
	return EVP_DigestUpdate((EVP_MD_CTX *)s, data, len) == 1 ? 0 : -EIO;
}

int digest_stream_end(struct digest_stream *s, uint8_t out[DIGEST_SIZE])
{
	int r = !out || EVP_DigestFinal_ex((EVP_MD_CTX *)s, out, NULL) == 1 ? 0 : -EIO;

	EVP_MD_CTX_free((EVP_MD_CTX *)s);
	return r;
}

int digest_tag(const struct tag_key *key, uint64_t index, const void *data, size_t len, uint8_t out[TAG_SIZE])
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t nonce[12] = { 0 }; /* GCM's own length; no two chunks share one */
	int done, good;

	memcpy(nonce, &index, sizeof(index));
	good = ctx && len <= INT_MAX && EVP_EncryptInit_ex(ctx, EVP_aes_128_gcm(), NULL, key->bytes, nonce) &&
	       EVP_EncryptUpdate(ctx, NULL, &done, data, (int)len) && EVP_EncryptFinal_ex(ctx, out, &done) &&
	       EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG_SIZE, out);
	EVP_CIPHER_CTX_free(ctx);
	return good ? 0 : -EIO;
}

int digest_begin(void)
{
	const struct tag_key key = { { 0 } };
	uint8_t sum[DIGEST_SIZE], tag[TAG_SIZE];
	int r;

	/* a thread that hangs in a file system may outlive main(): nothing is torn down under it */
	if (!OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL))
		return -EIO;
	r = digest_bytes("", 0, sum);
	return r < 0 ? r : digest_tag(&key, 0, "", 0, tag);
}

int digest_table_init(struct digest_table *t, const struct tag_key *key, uint64_t size)
{
	uint64_t count = size / DIGEST_CHUNK + (size % DIGEST_CHUNK != 0);

	*t = (struct digest_table){ .key = *key };
	if (count > SIZE_MAX / TAG_SIZE)
		return -ENOMEM;
	if (count) {
		t->tag = calloc((size_t)count, TAG_SIZE);
		if (!t->tag)
			return -ENOMEM;
	}
	t->size = size;
	t->chunk = DIGEST_CHUNK;
	t->count = (size_t)count;
	return 0;
}

void digest_table_free(struct digest_table *t)
{
	free(t->tag);
	*t = (struct digest_table){ 0 };
}

uint32_t digest_chunk_len(const struct digest_table *t, size_t index)
{
	uint64_t left;

	if (index >= t->count)
		return 0;
	left = t->size - (uint64_t)index * t->chunk;
	return left < t->chunk ? (uint32_t)left : t->chunk;
}

int digest_table_put(struct digest_table *t, size_t index, const void *data, size_t len)
{
	if (index >= t->count || len != digest_chunk_len(t, index))
		return -EINVAL;
	return digest_tag(&t->key, index, data, len, t->tag[index]);
}

int digest_check(const struct digest_table *t, uint64_t offset, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint8_t tag[TAG_SIZE];
	size_t i;
	int r;

	if (!t->chunk || offset % t->chunk || offset > t->size || len > t->size - offset)
		return -EINVAL;
	for (i = (size_t)(offset / t->chunk); len; i++) {
		uint32_t part = digest_chunk_len(t, i);

		if (len < part)
			return -EINVAL;
		r = digest_tag(&t->key, i, p, part, tag);
		if (r < 0)
			return r;
		if (memcmp(tag, t->tag[i], TAG_SIZE))
			return -EBADMSG;
		p += part;
		len -= part;
	}
	return 0;
}
