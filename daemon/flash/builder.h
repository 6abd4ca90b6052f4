/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Making the steps of a plan from the entries of a package, shared by plan_check.c (may this entry be run at
 * all), plan_backups.c (what is kept before) and plan_entries.c (what is done, in which order).
 */
#ifndef FDLD_FLASH_BUILDER_H
#define FDLD_FLASH_BUILDER_H

#include "flash/plan_build.h"

struct builder {
	struct plan *p;
	struct failure *why;
	const struct pac_item *items;
	size_t count;
	bool moves;	   /* the table may be written, or everything erased */
	bool placed[1024]; /* item has its steps already */
};

int builder_refuse(struct builder *b, const struct pac_item *item, enum error_id error, const char *text);
/* Every entry that is taken: type, target, file. Negative errno with why. */
int builder_check(struct builder *b);
/* The areas that are read and stored first. Negative errno with why. */
int builder_backups(struct builder *b);
/* One more, zeroed but for its place; name NULL: by address. NULL: the plan is full. */
struct plan_backup *builder_new_backup(struct builder *b, enum backup_kind kind, const char *name,
				       uint64_t address);
/* Index of the backup of this place, -1 none. */
int32_t builder_find_backup(const struct plan *p, bool by_name, const char *target, uint64_t address);

/* It loses what is the phone's own, and that was said in so many words: a backup is taken, and then it is
 * done. */
bool builder_gives_up(const struct builder *b, const struct pac_item *item);

bool item_is_write(const struct pac_item *item);
bool item_is_erase(const struct pac_item *item);
/* Entries whose content comes from the phone itself. */
bool item_is_kept(const struct pac_item *item);
bool name_is_kept(const char *name);

#endif
