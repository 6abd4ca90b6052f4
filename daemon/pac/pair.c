/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Each loader leaves a set of families that it may be for: the one that its texts name, else those whose
 * loaders are linked to where it is, else all. Two sets without a common family are two families. What our
 * table does not know proves nothing: an address that no row has leaves all rows.
 */
#include "pac/pair.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/util.h"

#define ALL	     0xffffffffu

#define FIRST_MAX    (256u << 10) /* bytes: what runs in a chip's own memory is no larger */
#define FIRST_LIKELY (96u << 10)  /* and mostly much smaller, as no second loader is */

static void doubt(struct pair_verdict *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void doubt(struct pair_verdict *v, const char *fmt, ...)
{
	va_list ap;

	if (v->doubts == PAIR_DOUBTS_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(v->doubt[v->doubts++], sizeof(v->doubt[0]), fmt, ap);
	va_end(ap);
}

static uint64_t place_of(const struct chip_family *f, int stage)
{
	return stage == 1 ? f->fdl1 : f->fdl2;
}

/* Families whose loader of this stage is linked there, or whose address nobody knows. */
static uint32_t linked_at(uint64_t base, int stage)
{
	const struct chip_family *f;
	uint32_t set = 0;
	bool known = false;

	for (size_t i = 0; i < 32 && (f = chip_family_at(i)); i++) {
		uint64_t place = place_of(f, stage);

		known |= place == base;
		if (place == base || (!place && !(stage == 2 && f->single)))
			set |= UINT32_C(1) << i;
	}
	return known ? set : ALL;
}

static uint32_t bit_of(const struct chip_family *family)
{
	const struct chip_family *f;

	for (size_t i = 0; i < 32 && (f = chip_family_at(i)); i++)
		if (f == family)
			return UINT32_C(1) << i;
	return ALL;
}

static uint32_t may_be_for(const struct loader_info *info, int stage)
{
	if (!info || !info->present)
		return ALL;
	if (info->family && info->family_sure >= SURE_GOOD)
		return bit_of(info->family);
	return info->base_sure >= SURE_GOOD ? linked_at(info->base, stage) : ALL;
}

bool pair_may_be_for(const struct pair_verdict *v, const struct chip_family *family)
{
	return v->families & bit_of(family);
}

const char *pair_families(uint32_t families, char *buf, size_t size)
{
	const struct chip_family *f;
	size_t at = 0;

	buf[0] = '\0';
	for (size_t i = 0; families != ALL && i < 32 && (f = chip_family_at(i)) && at < size; i++)
		if (families & UINT32_C(1) << i)
			at += (size_t)snprintf(buf + at, size - at, "%s%s", at ? ", " : "", f->name);
	return buf;
}

/* What makes it a loader of these families. */
static void because(const struct loader_info *info, uint32_t families, char *buf, size_t size)
{
	char names[96];

	if (info->family && info->family_sure >= SURE_GOOD)
		snprintf(buf, size, "for %s (\"%.40s\")", info->family->name, info->family_text);
	else
		snprintf(buf, size, "linked to 0x%" PRIx64 " as those for %s", info->base,
			 pair_families(families, names, sizeof(names)));
}

/* One by itself: does it say the same in all its ways? */
static void look_at(const struct pair_part *part, int stage, struct pair_verdict *v)
{
	const struct loader_info *l = part->info;
	const char *which = stage == 1 ? "first" : "second";
	uint64_t place;

	if (!l || !l->present)
		return;
	place = l->family ? place_of(l->family, stage) : 0;
	if (l->base_sure >= SURE_GOOD && place && place != l->base)
		doubt(v, "the %s loader is linked to 0x%" PRIx64 "; those for %s run from 0x%" PRIx64, which,
		      l->base, l->family->name, place);
	if (part->address && l->base_sure < SURE_GOOD && place && place != part->address)
		doubt(v, "the %s loader is for %s, whose loaders run from 0x%" PRIx64 ", not 0x%" PRIx64,
		      which, l->family->name, place, part->address);
	if (l->family && l->family_sure < SURE_GOOD)
		doubt(v, "the %s loader carries texts of more than one family; most are of %s", which,
		      l->family->name);
	if (!part->address || l->base_sure < SURE_GOOD || part->address == l->base)
		return;
	if (!v->mismatch && !v->misplaced)
		snprintf(v->wrong, sizeof(v->wrong),
			 "the %s loader is linked to run from 0x%" PRIx64 ", not from 0x%" PRIx64, which,
			 l->base, part->address);
	v->misplaced = true;
}

static void compare(const struct loader_info *a, const struct loader_info *b, struct pair_verdict *v)
{
	if (a->dhtb.present != b->dhtb.present)
		doubt(v, "only the %s loader is signed (DHTB)", a->dhtb.present ? "first" : "second");
	if (a->a64 != b->a64)
		doubt(v, "the %s loader is 64-bit code as far as its first word tells, the other is not",
		      a->a64 ? "first" : "second");
	if (*a->version && *b->version && strcmp(a->version, b->version) != 0)
		doubt(v, "the loaders say two versions: \"%.40s\", \"%.40s\"", a->version, b->version);
}

static bool single_only(uint32_t families)
{
	const struct chip_family *f;
	bool any = false;

	for (size_t i = 0; i < 32 && (f = chip_family_at(i)); i++)
		if (families & UINT32_C(1) << i) {
			if (!f->single)
				return false;
			any = true;
		}
	return any;
}

static void name_family(const struct loader_info *a, const struct loader_info *b, struct pair_verdict *v)
{
	const struct chip_family *f;
	bool told;

	for (size_t i = 0; i < 32 && (f = chip_family_at(i)); i++)
		if (v->families == UINT32_C(1) << i)
			v->family = f;
	if (!v->family)
		return;
	told = a && a->family == v->family;
	v->sure = told ? a->family_sure : SURE_GOOD;
	if (b && b->family == v->family && (!told || b->family_sure > v->sure))
		v->sure = b->family_sure;
}

void pair_judge(const struct pair_part *first, const struct pair_part *second, struct pair_verdict *out)
{
	const struct loader_info *a = first->info && first->info->present ? first->info : NULL;
	const struct loader_info *b = second->info && second->info->present ? second->info : NULL;
	uint32_t of_a = may_be_for(a, 1), of_b = may_be_for(b, 2);

	memset(out, 0, sizeof(*out));
	out->families = of_a & of_b;
	if (!out->families) {
		char one[120], other[120];

		because(a, of_a, one, sizeof(one));
		because(b, of_b, other, sizeof(other));
		snprintf(out->wrong, sizeof(out->wrong), "the first loader is %s, the second is %s", one,
			 other);
		out->mismatch = true;
	}
	look_at(first, 1, out);
	look_at(second, 2, out);
	if (a && b)
		compare(a, b, out);
	if (b && single_only(out->families))
		doubt(out, "phones of this family take one loader only");
	name_family(a, b, out);
}

uint64_t pair_address(const struct loader_info *info, int stage, enum sureness *sure)
{
	if (info->base_sure != SURE_NOT) {
		*sure = info->base_sure;
		return info->base;
	}
	if (info->family && place_of(info->family, stage)) {
		*sure = MIN(info->family_sure, SURE_FAIR);
		return place_of(info->family, stage);
	}
	*sure = SURE_NOT;
	return 0;
}

/* Somebody's loader of this stage is linked there. */
static bool known_place(uint64_t base, int stage)
{
	const struct chip_family *f;

	for (size_t i = 0; (f = chip_family_at(i)); i++)
		if (base && place_of(f, stage) == base)
			return true;
	return false;
}

int pair_stage(const struct loader_info *a, const struct loader_info *b, enum sureness *sure)
{
	bool first = a->base_sure == SURE_VERY, second = b->base_sure == SURE_VERY;

	*sure = SURE_VERY;
	if (first && second) { /* its header says where it goes, whatever it is */
		first = known_place(a->base, 1);
		second = known_place(b->base, 2);
	}
	if (first != second)
		return first ? 1 : 2;
	*sure = SURE_FAIR;
	if (b->lk || b->size > FIRST_MAX)
		return 2;
	if (b->size <= FIRST_LIKELY && a->family)
		return 1;
	*sure = SURE_NOT;
	return 0;
}
