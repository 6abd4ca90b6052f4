/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/util.h"
#include "flash/plan_build.h"

#define FIRST_ID  0x80000000u
#define LAST_ID	  0x90000000u
#define BOOT_LOOK 0x4000u /* bytes of a boot area, whose size no table tells */

void plan_doubt(struct plan *p, const char *fmt, ...)
{
	char text[sizeof(p->doubt[0])];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (uint32_t i = 0; i < p->doubt_count; i++)
		if (!strcmp(p->doubt[i], text))
			return;
	if (p->doubt_count < ARRAY_SIZE(p->doubt))
		memcpy(p->doubt[p->doubt_count++], text, sizeof(text));
	else
		snprintf(p->doubt[p->doubt_count - 1], sizeof(p->doubt[0]),
			 "more is to be said about this package than is listed here");
}

int plan_full(struct failure *why)
{
	return failure_set(why, ERR_LIMITS_EXCEEDED, "the package asks for more than %d steps or %d backups",
			   PLAN_STEPS_MAX, FACTS_BACKUPS_MAX);
}

struct plan_step *plan_add(struct plan *p, enum plan_op op)
{
	struct plan_step *s;

	if (p->step_count == PLAN_STEPS_MAX)
		return NULL;
	s = &p->step[p->step_count++];
	memset(s, 0, sizeof(*s));
	s->op = op;
	s->item = s->backup = s->of = -1;
	s->boundary = BOUNDARY_ENTRY;
	return s;
}

const struct pac_item *plan_item(const struct plan *p, int32_t item)
{
	size_t count;
	const struct pac_item *items = p->pac ? pac_items(p->pac, &count) : NULL;

	return item >= 0 && (size_t)item < count ? &items[item] : NULL;
}

void plan_target_of(struct plan_step *s, const struct pac_item *item)
{
	s->by_name = item->partition[0] != 0;
	s->address = s->by_name ? 0 : item->address;
	if (s->by_name)
		snprintf(s->target, sizeof(s->target), "%s", item->partition);
	else
		snprintf(s->target, sizeof(s->target), "0x%08" PRIx64, item->address);
}

uint64_t plan_need(const struct plan *p, const struct plan_step *s)
{
	const struct pac_item *item = plan_item(p, s->item);

	if (s->op == OP_WRITE && item)
		return item->image.kind == IMAGE_SPARSE ? item->image.expanded : item->size;
	/* FDL2 puts 512 bytes in front of an NV image (pac-and-flow 3.4) */
	if (s->op == OP_WRITE_NV)
		return s->by_name ? s->size + 512 : s->size;
	return s->size;
}

static void skip(struct plan_step *v, uint64_t at, uint64_t size)
{
	if (at >= v->size || v->skips == PLAN_SKIPS_MAX)
		return;
	v->skip[v->skips++] = (struct plan_span){ at, MIN(size, v->size - at) };
}

static bool same_place(const struct plan_step *a, const struct plan_step *b)
{
	if (a->by_name != b->by_name)
		return false;
	if (a->by_name)
		return !strcmp(a->target, b->target);
	if (a->address == b->address)
		return true;
	/* from 0x80000000 on they are numbers of areas, not places in a flash (bsl-protocol 9.5) */
	if (a->address >= FIRST_ID || b->address >= FIRST_ID)
		return false;
	return a->address < b->address + b->size && b->address < a->address + a->size;
}

/* What a later step does to the place that step `of` wrote; NULL: nothing. */
static const char *later(const struct plan *p, uint32_t of)
{
	const struct plan_step *w = &p->step[of];

	for (uint32_t i = of + 1; i < p->step_count; i++) {
		const struct plan_step *s = &p->step[i];

		if (s->op == OP_ERASE && same_place(s, w))
			return "erased by a later entry of the package";
		if ((s->op == OP_WRITE || s->op == OP_WRITE_NV || s->op == OP_RESTORE) && same_place(s, w))
			return "written again by a later entry of the package";
	}
	return NULL;
}

/* LK A/B loaders copy a raw image of one slot to the other: the later image is in both (pac-and-flow 5.11).
 */
static bool mirrored_over(const struct plan *p, uint32_t of)
{
	const struct pac_item *own = plan_item(p, p->step[of].item);
	char other[40];

	if (!rule_other_slot(p->step[of].target, other, sizeof(other)))
		return false;
	for (uint32_t i = of + 1; i < p->step_count; i++) {
		const struct plan_step *s = &p->step[i];
		const struct pac_item *item = plan_item(p, s->item);

		if (s->op != OP_WRITE || !s->by_name || strcmp(s->target, other) || !item)
			continue;
		if (item->image.kind != IMAGE_SPARSE && (!own || own->offset != item->offset))
			return true;
	}
	return false;
}

static void whole(struct plan_step *v, const char *why)
{
	v->size = 0;
	v->skips = 0;
	snprintf(v->no_verify, sizeof(v->no_verify), "%s", why);
}

static void limits_by_name(const struct plan *p, struct plan_step *v, const struct plan_step *w,
			   const struct pac_item *item, uint32_t of, bool lk)
{
	if (!strcmp(w->target, "userdata")) {
		whole(v, "the phone resizes this file system after writing");
	} else if (!strcmp(w->target, "uboot_log")) {
		whole(v, "the phone writes its own log here");
	} else if (lk && mirrored_over(p, of)) {
		whole(v, "the phone copies the other slot's image over this one");
	} else if (rule_is_boot_area(w->target) && w->op == OP_WRITE && item &&
		   (!item->image.dhtb.present || item->image.dhtb.at_end)) {
		skip(v, BOOT_HEADER_AT, BOOT_HEADER_SIZE);
		skip(v, BOOT_BALANCE_AT, 4);
		snprintf(v->no_verify, sizeof(v->no_verify), "boot header left out: the phone fills it in");
	} else if (!strcmp(w->target, "miscdata")) {
		skip(v, 0x2400, 0x400);
		skip(v, 0x81400, 0x400);
		snprintf(v->no_verify, sizeof(v->no_verify),
			 "date and mode marks left out: the phone clears them");
	}
}

struct plan_step *plan_add_verify(struct plan *p, uint32_t of, bool lk)
{
	const char *overrun = p->step[of].op == OP_WRITE_NV ? NULL : later(p, of);
	struct plan_step *v = plan_add(p, OP_VERIFY);
	const struct plan_step *w = &p->step[of];
	const struct pac_item *item = plan_item(p, w->item);

	if (!v)
		return NULL;
	v->of = (int32_t)of;
	v->guard = w->guard;
	v->item = w->item;
	v->backup = w->backup;
	v->by_name = w->by_name;
	v->address = w->address;
	memcpy(v->target, w->target, sizeof(v->target));
	v->boundary = BOUNDARY_NOW;
	v->size = w->op == OP_WRITE ? plan_need(p, w) : w->size;
	if (!w->by_name && rule_write_only(w->address)) {
		whole(v, "this address only takes data, it cannot be read");
	} else if (overrun) {
		whole(v, overrun);
	} else if (w->op == OP_WRITE && item && item->image.hollow) {
		whole(v, "the image has holes only: nothing of it is written");
	} else if (w->op == OP_WRITE_NV) {
		v->boundary = BOUNDARY_BOUND;
		skip(v, 0, 4);
		snprintf(v->no_verify, sizeof(v->no_verify),
			 "bytes 0 to 3 left out: check word and time stamp");
	} else if (w->by_name) {
		limits_by_name(p, v, w, item, of, lk);
	}
	return v;
}

/* Of four capitals: a file system of an 8850's loader, not a place in its flash (pac-and-flow 5.12). */
static bool is_word(uint64_t address)
{
	for (int i = 0; i < 4; i++, address >>= 8)
		if ((address & 0xff) < 'A' || (address & 0xff) > 'Z')
			return false;
	return true;
}

/* "" with *size, or why nothing can be seen there. */
static const char *seen_erased(const struct plan *p, uint32_t of, const struct flash_table *t, uint64_t *size)
{
	const struct plan_step *e = &p->step[of];
	const struct table_entry *row = e->by_name ? table_find(t, e->target) : NULL;

	*size = 0;
	if (later(p, of))
		return "written or erased again by a later entry";
	if (e->by_name &&
	    (rule_is_nv(e->target) || rule_is_nv_twin(e->target) || rule_is_runtime_nv(e->target)))
		return "NV is given out by the phone only as long as it is valid";
	if (e->by_name && !strcmp(e->target, "uboot_log"))
		return "the phone writes its own log here";
	if (!e->by_name && (e->address > LAST_ID || is_word(e->address)))
		return "this number stands for work of the loader, not for a place";
	if (e->by_name && rule_is_boot_area(e->target))
		*size = BOOT_LOOK;
	else if (row && t->unit_sure && row->size != UINT64_MAX)
		*size = row->size;
	else if (!e->by_name)
		*size = e->size;
	return *size ? "" : "how large it is could not be found";
}

struct plan_step *plan_add_look(struct plan *p, uint32_t of, const struct flash_table *t)
{
	struct plan_step *v = plan_add(p, OP_VERIFY);
	const struct plan_step *e = &p->step[of];
	uint64_t size;

	if (!v)
		return NULL;
	v->of = (int32_t)of;
	v->guard = e->guard;
	v->by_name = e->by_name;
	v->address = e->address;
	memcpy(v->target, e->target, sizeof(v->target));
	v->boundary = BOUNDARY_NOW;
	snprintf(v->no_verify, sizeof(v->no_verify), "%s", seen_erased(p, of, t, &size));
	v->size = size & ~UINT64_C(1);
	if (v->size > ERASE_LOOK)
		snprintf(v->no_verify, sizeof(v->no_verify), "looked at in places from its start to its end");
	return v;
}

void plan_total(struct plan *p)
{
	p->bytes_to_send = p->fdl1.size + p->fdl2.size;
	p->bytes_to_verify = p->bytes_to_read = 0;
	for (uint32_t i = 0; i < p->step_count; i++) {
		const struct plan_step *s = &p->step[i];
		const struct pac_item *item = plan_item(p, s->item);

		if (s->op == OP_WRITE || s->op == OP_WRITE_NV || s->op == OP_RESTORE || s->op == OP_CHANGE)
			p->bytes_to_send += s->size;
		if (s->op == OP_READ)
			p->bytes_to_read += s->size;
		if (s->op != OP_VERIFY || !s->size)
			continue;
		if (s->of >= 0 && p->step[s->of].op == OP_ERASE) {
			p->bytes_to_verify += MIN(s->size, (uint64_t)ERASE_LOOK);
			continue;
		}
		/* holes are not read: the file's length is the better estimate of a sparse image */
		p->bytes_to_verify += item && item->image.kind == IMAGE_SPARSE &&
						      p->step[s->of].op == OP_WRITE
					      ? MIN(item->size, s->size)
					      : s->size;
	}
}

uint64_t plan_verify_usec(const struct plan *plan, uint64_t bytes_per_s)
{
	if (!bytes_per_s)
		return 0;
	return plan->bytes_to_verify / bytes_per_s * 1000000 +
	       plan->bytes_to_verify % bytes_per_s * 1000000 / bytes_per_s;
}
