/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A tag of every chunk of a file, computed once while the file is checked, so that any later read of a whole
 * chunk can be proved to be the bytes that were checked. A tag is AES-128-GMAC with the chunk's number as
 * nonce: several times as fast as SHA-256, and as good here, because key and tags never leave the process:
 * who changes the file cannot aim at a tag. What names a content to others is its SHA-256.
 */
#ifndef FDLD_PAC_DIGEST_H
#define FDLD_PAC_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#define DIGEST_SIZE 32u /* SHA-256, bytes */
#define TAG_SIZE    16u
/* Bytes; the last chunk of a file is what is left. Whoever wants one byte waits for a whole chunk to be read
 * and tagged. */
#define DIGEST_CHUNK (128u << 10)

/* A secret that nobody can guess who may write to the file. */
struct tag_key {
	uint8_t bytes[16];
};

struct digest_table {
	struct tag_key key;
	uint64_t size;	/* bytes of the file */
	uint32_t chunk; /* bytes in a chunk: DIGEST_CHUNK */
	size_t count;	/* chunks: size / chunk rounded up */
	uint8_t (*tag)[TAG_SIZE];
};

/*
 * Has libcrypto find its algorithms, which it does at the first use of each: once, before threads use them,
 * as two that do it at the same time leave what one of them found behind. 0, or -EIO when one is not there.
 */
int digest_begin(void);

/* SHA-256 of a buffer. 0, or -EIO when libcrypto fails. */
int digest_bytes(const void *data, size_t len, uint8_t out[DIGEST_SIZE]);

/*
 * The same of what comes piece by piece. NULL when libcrypto fails; put: 0 or -EIO; end: 0 or -EIO, and it is
 * gone (out may be NULL: given up).
 */
struct digest_stream;
struct digest_stream *digest_stream_new(void);
int digest_stream_put(struct digest_stream *s, const void *data, size_t len);
int digest_stream_end(struct digest_stream *s, uint8_t out[DIGEST_SIZE]);

/* Tag of chunk number index. 0, or -EIO when libcrypto fails. */
int digest_tag(const struct tag_key *key, uint64_t index, const void *data, size_t len,
	       uint8_t out[TAG_SIZE]);

/* Allocates an empty table for a file of size bytes. 0 or -ENOMEM. Release with digest_table_free(). */
int digest_table_init(struct digest_table *t, const struct tag_key *key, uint64_t size);
void digest_table_free(struct digest_table *t);

/* Records chunk number index (offset index * chunk). len must be that chunk's length. 0, -EINVAL, -EIO. */
int digest_table_put(struct digest_table *t, size_t index, const void *data, size_t len);

/* Bytes that chunk number index has; 0 if there is no such chunk. */
uint32_t digest_chunk_len(const struct digest_table *t, size_t index);

/*
 * Compares bytes read later with the table. offset must be a multiple of the chunk and [offset, offset + len)
 * must consist of whole chunks (the last one may be short). 0 equal, -EBADMSG the file has changed, -EINVAL
 * not whole chunks, -EIO.
 */
int digest_check(const struct digest_table *t, uint64_t offset, const void *data, size_t len);

#endif
