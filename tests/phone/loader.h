/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Made loaders: images that a profile's ROM loads and that "run" on it.
 *
 * Form: DHTB header of 512 bytes (magic, version 1, SHA-256 of the payload at 8, payload size at 0x30:
 * pac-and-flow 6.2), then a payload that begins with the A64 word 0x14000008, has the link address base+0x200
 * as u32 LE at payload+0x14 (FDL2: 0x1400000A and u64 LE at payload+8) and holds the ASCII tag "FDL1
 * <family>" or "FDL2 <family>" followed by NUL, the VER text in an FDL1, and "##PORT-SECOND-ENUM##" in an
 * FDL1 of a profile that enumerates again (else 20 '0').
 *
 * What runs: an image whose link address fits the address it was loaded to and whose payload has the family's
 * tag, or - real loaders - the family's own strings (profile.marks) or, for an FDL1, just the right link
 * address.
 */
#ifndef TESTS_PHONE_LOADER_H
#define TESTS_PHONE_LOADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/phone/profile.h"

/* which: 1 or 2. Bytes needed; 0 when the profile has no such loader (fdl2_base 0). Odd tail sizes never:
 * multiple of 4. */
size_t phone_loader_size(const struct phone_profile *profile, int which);
/* Fills `out` (room bytes) and returns the size, or 0 if it does not fit or there is none. Same bytes every
 * time. */
size_t phone_make_loader(const struct phone_profile *profile, int which, void *out, size_t room);
/* Wraps a body as DHTB with the right hash: 512 + length bytes into out. Used for images of verified
 * partitions too. */
size_t phone_make_dhtb(const void *body, size_t length, void *out, size_t room);
/* True if bytes begin with DHTB and the hash over the announced payload is right. */
bool phone_dhtb_right(const void *image, size_t length);
/* Would it run on this profile as loader `which`? NULL: yes; else why not, in words. */
const char *phone_loader_wrong(const struct phone_profile *profile, int which, const void *image,
			       size_t length, uint32_t address);

void phone_sha256(const void *data, size_t length, uint8_t out[32]);

#endif
