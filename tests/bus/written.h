/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files that tests write to phones, and what the phone holds of them. */
#ifndef TESTS_BUS_WRITTEN_H
#define TESTS_BUS_WRITTEN_H

#include "tests/bus/rig.h"

#define KIB	    1024u
#define MIB	    (1024u * KIB)
#define WRITTEN_MAX (8 * MIB)

/* For whatever comes by: what was made last, a second one, what the phone holds. */
extern uint8_t written_image[WRITTEN_MAX], written_other[WRITTEN_MAX], written_have[WRITTEN_MAX];

/* A file of the caller's; its path in a ring of four. */
const char *written_file(struct rig *rig, const char *name, const void *bytes, size_t len);
/* Bytes that are no image of any kind, signed where a phone wants that; *len: how many it became. */
void written_bytes(uint64_t seed, bool sign, uint8_t *to, size_t *len);
const char *written_any(struct rig *rig, const char *name, uint64_t seed, size_t len, bool sign);
bool written_holds(const struct rig_phone *p, const char *area, const uint8_t *want, size_t len);
bool written_holds_any(const struct rig_phone *p, const char *area, uint64_t seed, size_t len, bool sign);
/* How often a loader was executed on the phone. */
unsigned int written_loads(const struct phone *phone);
/* What was changed of the storage, but for the phone's own log. */
unsigned int written_changes(const struct phone *phone);
/* Nothing but these two places, and what a loader mirrors by itself. */
bool written_only(const struct phone *phone, const char *one, const char *two);
/* Slot.Write of this file into logo; false: refused. loader: a name of the store. */
bool written_call(struct rig *rig, const struct rig_phone *p, int fd, const char *loader);

#endif
