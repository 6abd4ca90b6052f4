/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pairs of loaders that are kept: which of them a job is given, and what is shown of them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/util.h"
#include "station/internal.h"
#include "station/kv.h"
#include "station/loader_choose.h"
#include "station/rules.h"

static const struct pac_chip *chip_of(const struct image *image)
{
	return image->package && image->state == IMAGE_GOOD ? pac_chip(package_pac(image->package)) : NULL;
}

static const char *family_of(const struct image *image)
{
	const struct pac_chip *chip = chip_of(image);

	return chip && chip->family ? chip->family->name : image->origin.family;
}

static bool kept(const struct image *image)
{
	return image->loader && image->stored && !image->leaving;
}

/* free() them; NULL with *count 0: there is none, or no memory. */
static struct loader_candidate *candidates(const struct station *st, uint32_t *count,
					   const struct image ***images)
{
	struct loader_candidate *c;
	uint32_t n = 0;

	for (const struct image *i = st->images; i; i = i->next)
		n += kept(i);
	*count = 0;
	c = calloc(n + 1, sizeof(*c));
	*images = calloc(n + 1, sizeof(**images));
	if (!c || !*images) {
		free(c);
		return NULL;
	}
	for (const struct image *i = st->images; i; i = i->next) {
		if (!kept(i))
			continue;
		(*images)[*count] = i;
		c[(*count)++] = (struct loader_candidate){
			.name = i->name,
			.digest = i->digest,
			.family = family_of(i),
			.failure = i->state == IMAGE_BAD ? &i->failure : NULL,
		};
	}
	return c;
}

static int choose(const struct station *st, const struct loader_wish *wish, const struct image **out,
		  struct failure *why)
{
	_cleanup_free_ const struct image **images = NULL;
	_cleanup_free_ struct loader_candidate *c = NULL;
	uint32_t count;
	int r;

	c = candidates(st, &count, &images);
	if (!c)
		return failure_set(why, ERR_INTERNAL, "out of memory");
	r = loader_choose(c, count, wish, why);
	if (r >= 0)
		*out = images[r];
	return r < 0 ? r : 0;
}

int station_loader(struct station *st, const struct slot *slot, const char *named, struct image **image,
		   struct failure *why)
{
	struct loader_wish wish = { .named = named, .slot = slot ? slot->book.loader : "" };
	const struct image *chosen = NULL;
	int r = choose(st, &wish, &chosen, why);

	if (!r)
		*image = (struct image *)chosen;
	return r;
}

static const char *family_for(const struct image *image)
{
	const struct pac *pac = package_pac(image->package);
	const struct chip_family *family = pac_named_for(pac);

	family = family ? family : pac_chip(pac)->family;
	return family ? family->name : "";
}

int loader_lend(struct station *st, const struct slot *slot, struct image *image, const char *named,
		bool force, struct image **lender, struct failure *why)
{
	struct loader_wish wish = { .named = named, .slot = slot ? slot->book.loader : "", .force = force };
	const struct image *chosen = NULL;
	struct failure none = { 0 };
	bool by_name = named && *named;
	int r;

	*lender = NULL;
	if (!by_name && pac_has_loaders(package_pac(image->package)))
		return 0;
	wish.family = family_for(image);
	r = choose(st, &wish, &chosen, &none);
	if (r < 0 && by_name && none.error == ERR_NO_LOADER) {
		chosen = station_stored_image(st, named, NULL);
		r = chosen ? 0 : r;
	}
	if (r < 0 && why)
		*why = none;
	if (!r && chosen != image)
		*lender = (struct image *)chosen;
	return r;
}

enum addressing loader_addressing(const struct image *pair)
{
	const struct pac *pac = package_pac(pair->package);
	enum addressing a = pac ? plan_addressing_of(pac) : ADDRESSING_PACKAGE;

	return a == ADDRESSING_PACKAGE && pair->origin.by_number ? ADDRESSING_NUMBERS : a;
}

/* ---- what a job has to do with them ---- */

struct image *job_lender(const struct job *job)
{
	if (job->lender)
		return job->lender;
	return job->image && job->image->pair ? job->image->pair : job->image;
}

static void name_loaders(struct job_record *r, const struct image *lender)
{
	kv_copy(r->fdl1, sizeof(r->fdl1), lender ? package_loader(lender->package, 1) : "");
	kv_copy(r->fdl2, sizeof(r->fdl2), lender ? package_loader(lender->package, 2) : "");
}

void job_name_image(struct job_record *r, const struct image *image, const struct image *lender)
{
	const struct pac_header *h = pac_header(package_pac(image->package));

	kv_copy(r->image_name, sizeof(r->image_name), image->name);
	kv_copy(r->product, sizeof(r->product), h->product);
	kv_copy(r->firmware, sizeof(r->firmware), h->product_version);
	kv_copy(r->digest, sizeof(r->digest), image->digest);
	lender = lender ? lender : image->pair;
	kv_copy(r->loader, sizeof(r->loader), lender ? lender->name : "");
	name_loaders(r, lender ? lender : image);
}

void job_name_loaders(struct job *job, const struct image *kept)
{
	struct job_record *r = &job->record;
	const struct image *meant = job_lender(job);
	char note[320];

	if (kept == meant)
		return;
	snprintf(note, sizeof(note), "no loaders were sent: %s%s ran on the phone already",
		 kept && *kept->name ? "those of " : "", kept && *kept->name ? kept->name : "some");
	(void)job_record_note(r, note);
	name_loaders(r, kept);
	kv_copy(r->loader, sizeof(r->loader), kept && kept != job->image ? kept->name : "");
}

int loader_check_name(const struct station *st, const char *name, struct failure *why)
{
	struct loader_wish wish = { .named = name };
	const struct image *chosen;

	return choose(st, &wish, &chosen, why);
}

static bool called(const struct image *image, const char *name)
{
	return *name && (!strcmp(name, image->name) || (strlen(name) >= LOADER_DIGITS_MIN &&
							!strncasecmp(image->digest, name, strlen(name))));
}

const struct slot *loader_slot(const struct image *image)
{
	for (const struct slot *s = image->st->slots; s; s = s->next)
		if (called(image, s->book.loader))
			return s;
	return NULL;
}

const struct rule *loader_rule(const struct image *image)
{
	const struct rules *rules = station_rules(image->st);

	for (size_t i = 0; i < rules_count(rules); i++)
		if (called(image, rules_at(rules, i)->loader))
			return rules_at(rules, i);
	return NULL;
}

static void view_part(const struct image *image, const struct pac_item *item, const struct loader_info *info,
		      struct loader_view *view)
{
	view->part[view->parts].address = item->address;
	view->part[view->parts].size = item->size;
	view->part[view->parts].digest = package_loader(image->package, (int)view->parts + 1);
	view->part[view->parts].version = info->version;
	view->parts++;
}

void loader_view(const struct image *image, struct loader_view *view)
{
	const struct pac_chip *chip = chip_of(image);
	const struct chip_family *family;

	*view = (struct loader_view){
		.family = family_of(image),
		.chips = "",
		.sure = sureness_name(chip ? chip->sure : SURE_NOT),
		.origin = image->origin.name,
		.origin_digest = image->origin.digest,
		.forced = image->origin.forced,
	};
	for (size_t i = 0; i < ARRAY_SIZE(view->part); i++)
		view->part[i].digest = view->part[i].version = "";
	family = chip_family_by_name(view->family);
	if (family)
		view->chips = family->chips;
	if (!chip)
		return;
	if (family && !chip->family)
		view->sure = sureness_name(SURE_FAIR);
	view_part(image, pac_fdl1(package_pac(image->package)), &chip->fdl1, view);
	if (pac_fdl2(package_pac(image->package)))
		view_part(image, pac_fdl2(package_pac(image->package)), &chip->fdl2, view);
}
