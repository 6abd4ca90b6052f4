/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which loaders start the phone: those of the package, or of another one, and whether they fit. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "flash/plan_build.h"
#include "pac/pair.h"

const struct pac *plan_loaders_of(const struct plan *p)
{
	return p->options.loaders ? p->options.loaders : p->pac;
}

const struct pac_item *plan_loader_item(const struct plan *p, const struct plan_loader *l)
{
	const struct pac *pac = plan_loaders_of(p);
	size_t count;
	const struct pac_item *items = pac ? pac_items(pac, &count) : NULL;

	return items && l->item >= 0 && (size_t)l->item < count ? &items[l->item] : NULL;
}

static int take(struct plan *p, const struct pac_item *item, const struct loader_info *info,
		struct plan_loader *out, struct failure *why)
{
	if (!item || !item->has_file)
		return failure_set(why, ERR_PACKAGE_NO_LOADER, "the package has no file for its %s loader",
				   out == &p->fdl1 ? "first" : "second");
	if (item->file->class != CLASS_FDL1 && item->file->class != CLASS_FDL2)
		return failure_set(why, ERR_PACKAGE_TYPE, "loader type %s is not supported",
				   item->file->type_text);
	if (item->address >= GIB4 || item->size >= GIB4 || !item->size)
		return failure_set(why, ERR_PACKAGE_NO_LOADER,
				   "loader %s: base 0x%" PRIx64 ", %" PRIu64 " bytes", item->file->id,
				   item->address, item->size);
	out->item = (int32_t)item->index;
	out->base = (uint32_t)item->address;
	out->size = item->size;
	out->second_enum = info->second_enum;
	out->may_leave = out == &p->fdl1 && !info->second_enum && p->family == PLAN_TWO_STAGE;
	snprintf(out->text, sizeof(out->text), "%s", info->family ? info->family->name : info->family_text);
	return 0;
}

/* Something does not fit: the end of it, unless that was said not to matter. */
static int unfit(struct plan *p, const char *text, struct failure *why)
{
	if (!p->options.force_loaders)
		return failure_set(why, ERR_LOADER_MISMATCH, "%s", text);
	plan_doubt(p, "%s; sent because it was asked for", text);
	return 0;
}

/* One with the other. */
static int pair(struct plan *p, const struct pac *from, struct failure *why)
{
	const struct pac_chip *chip = pac_chip(from);
	const struct chip_family *a = chip->fdl1.family, *b = chip->fdl2.family;
	char text[200];

	if (*chip->mismatch)
		return unfit(p, chip->mismatch, why);
	if (!a || !b || a == b)
		return 0;
	snprintf(text, sizeof(text), "FDL1 is for %s, FDL2 for %s", a->name, b->name);
	return unfit(p, text, why);
}

static bool elsewhere(const struct pac_item *own, const struct pac_item *other)
{
	return own && other && own->address != other->address;
}

/*
 * Others with the package. Its name tells its family; where it does not, its own loaders do, though they may
 * be the very thing that is wrong. What nothing tells the family of is compared by where it goes.
 */
static int fit(struct plan *p, const struct pac *from, struct failure *why)
{
	const struct pac_chip *chip = pac_chip(from);
	const struct chip_family *own = pac_named_for(p->pac), *theirs;
	bool moved = elsewhere(pac_fdl1(p->pac), pac_fdl1(from)) ||
		     elsewhere(pac_fdl2(p->pac), pac_fdl2(from));
	struct pair_verdict v;
	char text[200], names[96];

	if (p->family == PLAN_TWO_STAGE && !pac_fdl2(from))
		return failure_set(why, ERR_LOADER_MISMATCH,
				   "the package needs two loaders, and there is one");
	pair_judge(&(struct pair_part){ &chip->fdl1, 0 }, &(struct pair_part){ &chip->fdl2, 0 }, &v);
	if (v.mismatch)
		return 0; /* pair() has told */
	own = own ? own : pac_chip(p->pac)->family;
	theirs = chip->family;
	pair_families(v.families, names, sizeof(names));
	if (own && *names && !pair_may_be_for(&v, own)) {
		snprintf(text, sizeof(text), "the package is for %s, the loaders are for %s", own->name,
			 names);
		return unfit(p, text, why);
	}
	if (own && !*names && theirs && theirs != own) {
		snprintf(text, sizeof(text), "the package is for %s, the loaders are for %s", own->name,
			 theirs->name);
		return unfit(p, text, why);
	}
	if (!moved)
		return 0;
	snprintf(text, sizeof(text),
		 "the loaders go to 0x%" PRIx64 " and 0x%" PRIx64 ", the package has its own at 0x%" PRIx64
		 " and 0x%" PRIx64,
		 pac_fdl1(from)->address, pac_fdl2(from) ? pac_fdl2(from)->address : 0,
		 pac_fdl1(p->pac)->address, pac_fdl2(p->pac) ? pac_fdl2(p->pac)->address : 0);
	if (!own || (!*names && !theirs))
		return unfit(p, text, why);
	plan_doubt(p, "%s", text);
	return 0;
}

int plan_loaders(struct plan *p, struct failure *why)
{
	const struct pac *from = plan_loaders_of(p);
	const struct pac_chip *chip = pac_chip(from);
	int rc = 0;

	if (p->options.loaders == p->pac)
		p->options.loaders = NULL;
	/* before what either lacks is looked at: the better answer */
	if (p->options.loaders)
		rc = fit(p, from, why);
	if (!rc)
		rc = take(p, pac_fdl1(from), &chip->fdl1, &p->fdl1, why);
	p->fdl2.item = -1;
	if (rc || p->family == PLAN_SINGLE_FDL)
		return rc;
	rc = take(p, pac_fdl2(from), &chip->fdl2, &p->fdl2, why);
	return rc ? rc : pair(p, from, why);
}
