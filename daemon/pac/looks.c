/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* First bytes of every image, NV images whole, and which chip all of it speaks of (pac-and-flow 3.1, 6). */
#include "common/util.h"
#include "pac/fail.h"
#include "pac/inside.h"
#include "pac/pair.h"
#include "pac/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

/* Offsets of the image parsers count from the image; a package's error counts from the package. */
static int in_package(struct opening *o, const struct pac_item *item, int r)
{
	if (r < 0 && o->why) {
		snprintf(o->why->entry, sizeof(o->why->entry), "%.39s", item->file->id);
		if (o->why->has_offset && o->why->error != ERR_PACKAGE_READ_FAILED)
			o->why->offset += item->offset;
	}
	return r;
}

static bool is_nv_class(const struct pac_item *item)
{
	return item->file->class == CLASS_NV_ADDR || item->file->class == CLASS_NV_ID;
}

static int package_nv(struct opening *o, const struct pac_item *item, const struct failure *nv,
		      size_t skipped)
{
	uint64_t at = nv->has_offset ? item->offset + skipped + nv->offset : PAC_NOWHERE;

	if (nv->error != ERR_NV_INVALID) {
		if (o->why)
			*o->why = *nv;
		return -ENOMEM;
	}
	return pac_fail(o->why, ERR_PACKAGE_NV, item->file->id, at, "%s%s%s", nv->entry,
			nv->entry[0] ? ": " : "", nv->detail);
}

/* Whether the package counts on a calibration in its NV: then an image without one is broken, not modern. */
static bool wants_calibration(const struct scheme_product *p)
{
	size_t i;

	for (i = 0; i < p->nvs; i++)
		if (p->nv[i].backup &&
		    (p->nv[i].id == NV_ID_CALIBRATION ||
		     (p->nv[i].id == SCHEME_NV_DEFAULT && text_begins(p->nv[i].name, "Calibration"))))
			return true;
	return false;
}

static int look_at_nv(struct opening *o, struct pac_item *item, bool only_one)
{
	_cleanup_free_ uint8_t *buf = NULL;
	struct failure why = { 0 };
	struct nv_image img;
	size_t len, skip;
	bool doubt;
	int r;

	if (item->size > NV_SIZE_MAX || item->size < 8)
		return pac_fail(o->why, ERR_PACKAGE_NV, item->file->id, item->offset,
				"%llu bytes, 8 to %u expected", (unsigned long long)item->size, NV_SIZE_MAX);
	buf = malloc((size_t)item->size);
	if (!buf)
		return pac_fail_memory(o->why);
	r = source_read(o->src, item->offset, buf, (size_t)item->size);
	if (r < 0)
		return pac_fail_read(o->why, item->file->id, item->offset, item->size, r);
	skip = nv_flash_header(buf, (size_t)item->size, &len);
	if (skip)
		pac_doubt(o->pac, item->file->id,
			  "is a raw dump with the 512-byte flash header, which is not sent");
	r = nv_parse(buf + skip, len, &img, &why);
	if (r < 0)
		return package_nv(o, item, &why, skip);
	item->image.kind = img.multi ? IMAGE_NV_MULTI : IMAGE_NV;
	item->image.body_at = skip;
	item->image.expanded = len;
	r = nv_sane(&img, !wants_calibration(o->pac->product), &doubt, &why);
	if (r < 0 && only_one)
		r = package_nv(o, item, &why, skip);
	else if (r < 0)
		pac_doubt(o->pac, item->file->id, "NV: %s: %s", why.entry, why.detail);
	else if (doubt)
		pac_doubt(o->pac, item->file->id, "NV has no GSM calibration (item 0x2), as 5G images may");
	nv_free(&img);
	return only_one ? r : 0;
}

/* It is not flashed unless somebody names it: what is wrong with it is no reason to refuse the package. */
static int look_at_unticked(struct opening *o, struct pac_item *item)
{
	struct failure why = { 0 };
	int r;

	if (is_nv_class(item))
		return 0;
	r = image_peek(o->src, item->offset, item->size, text_begins(item->partition, "vbmeta"), &item->image,
		       &why);
	if (r < 0 && why.error != ERR_PACKAGE_IMAGE_DAMAGED && why.error != ERR_PACKAGE_SPARSE) {
		if (o->why)
			*o->why = why;
		return in_package(o, item, r);
	}
	item->image.broken = r < 0;
	return 0;
}

/*
 * Bytes that a phone had may look like anything: a signed image whose hash went stale, a sparse one that was
 * stored as it is. What the boot area says of the storage it is for still counts.
 */
static int look_as_is(struct opening *o, struct pac_item *item)
{
	struct image_info is = { .kind = IMAGE_RAW, .expanded = item->size };
	struct failure why = { 0 };
	int r = image_peek(o->src, item->offset, item->size, false, &item->image, &why);

	if (r < 0 && why.error != ERR_PACKAGE_IMAGE_DAMAGED && why.error != ERR_PACKAGE_SPARSE) {
		if (o->why)
			*o->why = why;
		return in_package(o, item, r);
	}
	is.spl_header = !r && item->image.spl_header;
	item->image = is;
	return 0;
}

static bool is_written(const struct pac_item *item)
{
	return item->file->class == CLASS_WRITE_ID || item->file->class == CLASS_WRITE_ADDR;
}

int pac_look_at_images(struct opening *o)
{
	size_t nvs = 0, i;
	int r;

	for (i = 0; i < o->pac->items; i++)
		nvs += is_nv_class(&o->pac->item[i]) && o->pac->item[i].ticked && o->pac->item[i].has_file;
	for (i = 0; i < o->pac->items; i++) {
		struct pac_item *item = &o->pac->item[i];

		if (!item->has_file)
			continue;
		if (!item->ticked) {
			r = look_at_unticked(o, item);
		} else if (is_nv_class(item)) {
			r = look_at_nv(o, item, nvs == 1);
		} else if (o->opt->as_is && is_written(item)) {
			r = look_as_is(o, item);
		} else {
			r = image_peek(o->src, item->offset, item->size,
				       text_begins(item->partition, "vbmeta"), &item->image, o->why);
			r = in_package(o, item, r);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- the chip ---- */

static void reason(struct pac_chip *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void reason(struct pac_chip *c, const char *fmt, ...)
{
	va_list ap;

	if (c->reasons == ARRAY_SIZE(c->reason))
		return;
	va_start(ap, fmt);
	vsnprintf(c->reason[c->reasons++], sizeof(c->reason[0]), fmt, ap);
	va_end(ap);
}

static bool bases_fit(const struct pac *p, const struct chip_family *f)
{
	if (f->fdl1 && f->fdl1 != p->fdl1->address)
		return false;
	return !p->fdl2 ? f->single : !f->fdl2 || f->fdl2 == p->fdl2->address;
}

/* The one family these bases belong to; NULL if none or several. */
static const struct chip_family *family_of_bases(const struct pac *p, size_t *matches)
{
	const struct chip_family *f, *only = NULL;
	size_t i;

	*matches = 0;
	for (i = 0; (f = chip_family_at(i)); i++)
		if (f->fdl1 && bases_fit(p, f)) {
			only = f;
			++*matches;
		}
	return *matches == 1 ? only : NULL;
}

static int inspect(struct opening *o, const struct pac_item *item, int stage, struct loader_info *out)
{
	int r = loader_inspect(o->src, item->offset, item->size, stage, out, o->why);

	if (r < 0)
		return in_package(o, item, r);
	if (out->base_sure >= SURE_GOOD && out->base != item->address)
		pac_doubt(o->pac, item->file->id, "is linked to run from 0x%llx, the XML loads it at 0x%llx",
			  (unsigned long long)out->base, (unsigned long long)item->address);
	return 0;
}

static int compare_loaders(struct opening *o)
{
	struct pac_chip *c = &o->pac->chip;
	struct pair_verdict verdict;

	pair_judge(&(struct pair_part){ &c->fdl1, 0 }, &(struct pair_part){ &c->fdl2, 0 }, &verdict);
	if (!verdict.mismatch)
		return 0;
	if (!o->opt->accept_mismatch)
		return pac_fail(o->why, ERR_LOADER_MISMATCH, o->pac->fdl2->file->id, PAC_NOWHERE, "%s",
				verdict.wrong);
	snprintf(c->mismatch, sizeof(c->mismatch), "%s", verdict.wrong);
	pac_doubt(o->pac, NULL, "%s; accepted on request", verdict.wrong);
	return 0;
}

static void from_loader(struct pac_chip *c, const struct loader_info *l, const char *which)
{
	if (!l->family)
		return;
	reason(c, "%s carries the text \"%.60s\"", which, l->family_text);
	if (!c->family || l->family_sure > c->sure) {
		c->family = l->family;
		c->sure = l->family_sure;
	}
}

/* by: the text that says so */
static const struct chip_family *named_for(const struct pac *p, const char **by)
{
	const char *const texts[] = { p->header.product, p->product->name, p->header.product_version,
				      p->scheme->name };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		const struct chip_family *family = chip_family_in_text(texts[i]);

		*by = texts[i];
		if (family)
			return family;
	}
	return NULL;
}

const struct chip_family *pac_named_for(const struct pac *p)
{
	const char *by;

	return named_for(p, &by);
}

int pac_guess_chip(struct opening *o)
{
	struct pac *p = o->pac;
	struct pac_chip *c = &p->chip;
	const struct chip_family *named, *based;
	size_t matches;
	const char *by;
	int r;

	r = inspect(o, p->fdl1, 1, &c->fdl1);
	if (r == 0 && p->fdl2)
		r = inspect(o, p->fdl2, 2, &c->fdl2);
	if (r == 0)
		r = compare_loaders(o);
	if (r < 0)
		return r;
	from_loader(c, &c->fdl2, "the second loader");
	from_loader(c, &c->fdl1, "the first loader");
	named = named_for(p, &by);
	if (named)
		reason(c, "the package is named \"%.60s\"", by);
	based = family_of_bases(p, &matches);
	if (named && c->family && named != c->family)
		pac_doubt(p, NULL, "it is named for %s, its loaders are for %s", named->name,
			  c->family->name);
	if (!c->family && named) {
		c->family = named;
		c->sure = bases_fit(p, named) ? SURE_GOOD : SURE_FAIR;
	}
	if (!c->family && based) {
		c->family = based;
		c->sure = SURE_FAIR;
	}
	if (p->fdl2)
		reason(c, "loaders go to 0x%llx and 0x%llx", (unsigned long long)p->fdl1->address,
		       (unsigned long long)p->fdl2->address);
	else
		reason(c, "the loader goes to 0x%llx", (unsigned long long)p->fdl1->address);
	if (c->family && c->family->fdl1 && !bases_fit(p, c->family))
		pac_doubt(p, NULL, "%s has its loaders at 0x%llx and 0x%llx elsewhere", c->family->name,
			  (unsigned long long)c->family->fdl1, (unsigned long long)c->family->fdl2);
	else if (c->family && named == c->family && c->sure == SURE_GOOD && matches)
		c->sure = c->fdl1.base_sure == SURE_VERY && c->fdl1.base == p->fdl1->address ? SURE_VERY
											     : SURE_GOOD;
	return 0;
}
