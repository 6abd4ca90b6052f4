/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Folders of backups, and small phones of every profile to make them of. */
#ifndef TESTS_BUS_FOLDER_H
#define TESTS_BUS_FOLDER_H

#include "tests/bus/rig.h"

#define FOLDER_SUPER (24 << 20) /* bytes of super, nearly all of them zero */

/* A phone of this profile with a table of its own, small enough to be read whole. */
struct rig_phone *folder_phone(struct rig *rig, const char *profile, bool ab,
			       const struct phone_setup *setup);
struct rig_phone *folder_phone_at(struct rig *rig, const char *profile, const char *ports, bool ab,
				  const struct phone_setup *setup);
/* Other bytes in what has no content of its own. */
bool folder_fill(struct rig_phone *p, uint64_t seed);
/* Zeros over everything that is not NV; NV pairs destroyed. */
bool folder_wipe(struct rig_phone *p);
/* misc says that this slot is active. */
bool folder_slot(struct rig_phone *p, char slot);
/* The mark by which a phone knows a file system in prodnv. */
bool folder_ext(struct rig_phone *p, bool there);
bool folder_replug(struct rig *rig, struct rig_phone *p);
unsigned int folder_loads(const struct rig_phone *p);
/* What is not in RAM, and not the phone's own log. */
unsigned int folder_destroyed(const struct rig_phone *p);

/* NAME.img has the phone's bytes, of NV those that its loader gives out. */
bool folder_image(const struct rig_phone *p, const char *dir, const char *name);
/*
 * Exactly the files that belong in it, each right, and a manifest that is true. slot: of partitions with
 * slots only these.
 */
bool folder_good(struct rig *rig, const struct rig_phone *p, const char *dir, char slot, bool user_data);
/* The phone has all of it, of partitions with slots those of the active one; NV that is made from other NV is
 * erased. */
bool folder_restored(const struct rig_phone *p, const char *dir, char active);
/* Files that the manifest names. */
unsigned int folder_files(const char *dir);
/* The same images, and the same said of them. */
bool folder_same(struct rig *rig, const char *one, const char *other);
/* Replaces the first occurrence in the manifest. */
bool folder_swap(const char *dir, const char *from, const char *to);

#endif
