/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What an image says about itself, proved while its bytes pass by in order: the SHA-256 of a signed header
 * (pac-and-flow 6.2) and the chunks of a sparse image (6.1).
 */
#ifndef FDLD_PAC_IMAGE_CHECK_H
#define FDLD_PAC_IMAGE_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "pac/image.h"

struct image_check;

/* There is something to prove. */
bool image_check_wanted(const struct image_info *info);
/* size: bytes of the image. 0 or -ENOMEM. Release with image_check_free(). */
int image_check_new(const struct image_info *info, uint64_t size, struct image_check **out);
void image_check_free(struct image_check *c);
/* The bytes at offset, in order and without gaps. 0 or -EIO. */
int image_check_feed(struct image_check *c, uint64_t offset, const uint8_t *bytes, size_t len);
/*
 * All bytes were given: 0, or PackageImageDamaged or PackageSparse in *why. hash_accepted: a hash that does
 * not agree was accepted on request.
 */
int image_check_end(struct image_check *c, bool hash_accepted, struct failure *why);

#endif
