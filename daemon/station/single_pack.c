/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Loaders of a pair and what is to be done with them, made into a package. On a worker. */
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "station/package.h"
#include "station/single.h"

#define LOADER_MAX (16u << 20) /* bytes; no loader comes near it */

struct loader {
	uint8_t *bytes; /* owned */
	uint64_t size;
};

static int take_loader(struct package_reader *from, const struct pac_item *item, struct loader *to,
		       struct failure *why)
{
	if (!item || !item->has_file)
		return failure_set(why, ERR_PACKAGE_NO_LOADER, "%s has no file",
				   item ? item->file->id : "a loader");
	if (item->size > LOADER_MAX)
		return failure_set(why, ERR_PACKAGE_NO_LOADER, "%s: %llu bytes are no loader", item->file->id,
				   (unsigned long long)item->size);
	to->bytes = malloc((size_t)item->size + 1);
	if (!to->bytes)
		return failure_set(why, ERR_INTERNAL, "out of memory");
	to->size = item->size;
	return package_reader_read(from, item->offset, to->bytes, (size_t)item->size, why);
}

/* What the parts bring is the package's then. */
static int make(struct single *s, const struct pac *pac, struct loader loader[2], struct package **out,
		struct failure *why)
{
	struct package_part *part = calloc(s->parts + 2, sizeof(*part));
	bool two = pac_two_stage(pac);
	size_t n = 0;
	int r;

	if (!part)
		return failure_set(why, ERR_INTERNAL, "out of memory");
	for (size_t i = 0; i < 1 + (size_t)two; i++)
		part[n++] = (struct package_part){
			.made = { .id = i ? "FDL2" : "FDL",
				  .type = i ? "NAND_FDL" : "FDL",
				  .address = (i ? pac_fdl2(pac) : pac_fdl1(pac))->address },
			.bytes = TAKE_PTR(loader[i].bytes),
			.size = loader[i].size,
			.fd = -1
		};
	for (uint32_t i = 0; i < s->parts; i++, n++) {
		struct single_part *from = &s->part[i];

		part[n].made = from->made;
		part[n].bytes = TAKE_PTR(from->bytes);
		part[n].size = from->size;
		part[n].fd = TAKE_FD(from->fd);
	}
	s->scheme.product = pac_header(pac)->product;
	s->scheme.flash_type = two;
	s->scheme.table = s->table.present ? &s->table : NULL;
	r = package_make(part, n, &s->scheme, out, why);
	free(part);
	return r;
}

int single_package(struct single *s, struct package_reader *loaders, struct package **out,
		   struct failure *why)
{
	const struct pac *pac = package_pac(loaders->package);
	struct loader loader[2] = { 0 };
	int r = take_loader(loaders, pac_fdl1(pac), &loader[0], why);

	if (!r && pac_two_stage(pac))
		r = take_loader(loaders, pac_fdl2(pac), &loader[1], why);
	if (!r && s->prepare)
		r = s->prepare(s, s->arg, why);
	if (!r && s->failed)
		r = failure_set(why, ERR_LIMITS_EXCEEDED, "more than %d things at once", SINGLE_PARTS_MAX);
	if (!r)
		r = make(s, pac, loader, out, why);
	free(loader[0].bytes);
	free(loader[1].bytes);
	return r;
}
