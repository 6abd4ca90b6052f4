/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Frames of data that several links send: phones side by side take the same bytes in the same pieces, so each
 * piece is encoded once, and its frame is kept for a while for the next phone. What lies at a place never
 * changes while the shelf lives; its owner vouches for that. One thread.
 */
#ifndef FDLD_BSL_SHELF_H
#define FDLD_BSL_SHELF_H

#include "bsl/codec.h"

/* Which data: the same place and length are the same bytes. */
struct bsl_place {
	uint32_t source; /* the owner's number */
	uint64_t offset; /* bytes, in that source */
};

/* How they are framed: all that bsl_encode_fit() goes by. */
struct bsl_form {
	enum bsl_check check;
	enum bsl_framing framing;
	unsigned max_packet;
};

struct bsl_shelf;

/* One encoded MIDST, read only. */
struct bsl_shelved {
	size_t len;   /* bytes on the wire */
	size_t taken; /* bytes of data in it: bsl_encode_fit() */
	const uint8_t *bytes;
	const uint8_t *data; /* those bytes as they were given, in the frame; NULL: it is escaped */
};

/* keep: bytes of frames that nobody uses and that stay all the same. One reference, its owner's. NULL: no
 * memory. */
struct bsl_shelf *bsl_shelf_new(size_t keep);
/* A reference for each link; whoever goes last frees it. A link has put its frames back by then. */
struct bsl_shelf *bsl_shelf_ref(struct bsl_shelf *shelf);
void bsl_shelf_unref(struct bsl_shelf *shelf); /* NULL is fine */
/* Several links are there: a frame is worth keeping. */
bool bsl_shelf_shared(const struct bsl_shelf *shelf);

/* The frame of len bytes from there, or NULL; not in use by that. */
const struct bsl_shelved *bsl_shelf_look(struct bsl_shelf *shelf, const struct bsl_form *form,
					 struct bsl_place place, size_t len);
/*
 * The frame of these len bytes, encoded now unless it is there (*made): in use until bsl_shelf_put(). 0;
 * -ENOMEM, or what bsl_encode_fit() returns.
 */
int bsl_shelf_get(struct bsl_shelf *shelf, const struct bsl_form *form, struct bsl_place place,
		  const void *data, size_t len, const struct bsl_shelved **out, bool *made);
void bsl_shelf_put(struct bsl_shelf *shelf, const struct bsl_shelved *frame); /* NULL is fine */

#endif
