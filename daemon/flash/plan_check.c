/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether an entry of a package may be run at all, found before anything is planned for it. */
#include "flash/builder.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/util.h"
#include "flash/partition.h"

int builder_refuse(struct builder *b, const struct pac_item *item, enum error_id error, const char *text)
{
	int rc = failure_set(b->why, error, "%s: %s", item->file->id, text);

	if (b->why)
		snprintf(b->why->entry, sizeof(b->why->entry), "%s", item->label);
	return rc;
}

bool item_is_write(const struct pac_item *item)
{
	enum scheme_class c = item->file->class;

	return c == CLASS_WRITE_ADDR || c == CLASS_WRITE_ID || c == CLASS_NV_ADDR || c == CLASS_NV_ID;
}

bool item_is_erase(const struct pac_item *item)
{
	return item->file->class == CLASS_ERASE_ADDR || item->file->class == CLASS_ERASE_ID;
}

bool item_is_kept(const struct pac_item *item)
{
	return item_is_write(item) && !rule_item_is_nv(item) && item->file->backup == 1;
}

bool name_is_kept(const char *name)
{
	return partition_traits(name) & PARTITION_ALWAYS_KEPT;
}

static int check_class(struct builder *b, const struct pac_item *item)
{
	switch (item->file->class) {
	case CLASS_UNKNOWN: return builder_refuse(b, item, ERR_PACKAGE_TYPE, "its type is not known");
	case CLASS_EXT_TABLE:
	case CLASS_SPECIAL:
		if (item->file->type == TYPE_CHECK_NV || item->file->type == TYPE_CHECK_NV2) {
			plan_doubt(b->p, "%s is not run: NV is compared after writing anyway",
				   item->file->id);
			return 0;
		}
		return builder_refuse(b, item, ERR_PACKAGE_TYPE,
				      "its type needs work on the host that is not supported; leave it out");
	case CLASS_SETTING:
	case CLASS_READ_ADDR:
	case CLASS_READ_ID:
		plan_doubt(b->p, "%s (%s) is not run", item->file->id, item->file->type_text);
		return 0;
	default: return 0;
	}
}

static int check_target(struct builder *b, const struct pac_item *item)
{
	const char *name = item->partition;
	bool write = item_is_write(item);

	if (!write && !item_is_erase(item))
		return 0;
	if (name[0]) {
		if (rule_forbidden(name))
			return builder_refuse(b, item, ERR_PACKAGE_UNSAFE,
					      "this name is never addressed for a package");
		if (write && (rule_is_nv_twin(name) || rule_is_runtime_nv(name)))
			return builder_refuse(b, item, ERR_PACKAGE_UNSAFE,
					      "an NV copy can not be written from outside");
		return 0;
	}
	if (item->address >= GIB4)
		return builder_refuse(b, item, ERR_PACKAGE_SCHEME, "its address has more than 32 bits");
	if (!write && item->address == 0)
		return builder_refuse(b, item, ERR_PACKAGE_UNSAFE, "erasing address 0 erases everything");
	if (!write && item->block_size > UINT32_MAX)
		return builder_refuse(b, item, ERR_PACKAGE_SCHEME, "its size has more than 32 bits");
	return 0;
}

/* Whether running this entry would lose what is the phone's own: NV that is merged, and what is put back, is
 * not. */
static bool loses_own(const struct builder *b, const struct pac_item *item)
{
	enum partition_class class = item->partition[0] ? partition_class(item->partition)
							: partition_class_at(item->address);

	if (item_is_write(item) && rule_item_is_nv(item))
		return b->p->options.nv == NV_PACKAGE;
	if (!item_is_write(item) && !item_is_erase(item))
		return false;
	return class == PARTITION_OWN && !item_is_kept(item) && !rule_item_is_phasecheck(item);
}

static int check_own(struct builder *b, const struct pac_item *item)
{
	if (b->p->options.own == OWN_REFUSE && loses_own(b, item))
		return builder_refuse(b, item, ERR_PARTITION_UNIQUE,
				      item_is_erase(item) ? "it would be erased" : "it would be replaced");
	return 0;
}

bool builder_gives_up(const struct builder *b, const struct pac_item *item)
{
	return b->p->options.own == OWN_I_KNOW && loses_own(b, item);
}

static int check_file(struct builder *b, const struct pac_item *item)
{
	uint64_t room, need = item->image.kind == IMAGE_SPARSE ? item->image.expanded : item->size;
	const struct table_entry *row;

	if (!item_is_write(item))
		return 0;
	if (rule_item_is_phasecheck(item) || item_is_kept(item)) {
		if (rule_item_is_phasecheck(item) || !item->has_file)
			return 0;
	}
	if (!item->has_file)
		return builder_refuse(b, item, ERR_PACKAGE_ENTRY_MISSING,
				      "it is to be flashed but the package has no file for it");
	if (item->image.broken)
		return builder_refuse(b, item, ERR_PACKAGE_IMAGE_DAMAGED,
				      "the header of its image makes no sense");
	if (item->file->sel_by_flash)
		return builder_refuse(b, item, ERR_PACKAGE_TYPE,
				      "its file is to be chosen by the flash chip: not supported");
	if (item->file->sel_by_rf && pac_product(b->p->pac)->rf_enabled)
		return builder_refuse(b, item, ERR_PACKAGE_TYPE,
				      "its file is to be chosen by the radio chip: not supported");
	if (!item->partition[0]) {
		if (item->size >= GIB4)
			return builder_refuse(b, item, ERR_IMAGE_TOO_LARGE,
					      "an address takes less than 4 GiB");
		return 0;
	}
	row = table_find(&b->p->table, item->partition);
	if (!row || row->size == UINT64_MAX || !b->p->table.unit_sure)
		return 0;
	if (rule_item_is_nv(item))
		need += 512;
	room = row->size;
	if (need > room) {
		int rc = failure_set(b->why, ERR_IMAGE_TOO_LARGE,
				     "%s takes %" PRIu64
				     " bytes, the package's own table gives '%s' %" PRIu64,
				     item->file->id, need, item->partition, room);

		if (b->why)
			snprintf(b->why->entry, sizeof(b->why->entry), "%s", item->label);
		return rc;
	}
	return 0;
}

int builder_check(struct builder *b)
{
	if (b->count > ARRAY_SIZE(b->placed))
		return plan_full(b->why);
	for (size_t i = 0; i < b->count; i++) {
		const struct pac_item *item = &b->items[i];
		int rc;

		if (!rule_taken(&b->p->options, item))
			continue;
		rc = check_class(b, item);
		if (!rc)
			rc = check_target(b, item);
		if (!rc)
			rc = check_own(b, item);
		if (!rc)
			rc = check_file(b, item);
		if (rc)
			return rc;
	}
	if (pac_product(b->p->pac)->exts)
		return failure_set(b->why, ERR_PACKAGE_TYPE, "the product has an ExtTable: not supported");
	return 0;
}
