/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whether two loaders belong together, as far as two files can tell: by their texts, by the addresses they
 * are linked to, and by how they are signed and built (pac-and-flow 6.6, 7.1). Pure.
 */
#ifndef FDLD_PAC_PAIR_H
#define FDLD_PAC_PAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pac/image.h"

#define PAIR_DOUBTS_MAX 8u

/* One loader: what was found in it, and where it is to be loaded. */
struct pair_part {
	const struct loader_info *info; /* NULL: there is none */
	uint64_t address;		/* where somebody says it goes; 0: nobody has said */
};

struct pair_verdict {
	bool mismatch;	/* no family we know has both of them; `wrong` says why */
	bool misplaced; /* one is linked to another place than the one it is to be loaded to */
	char wrong[200];
	const struct chip_family *family; /* the one that is left; NULL: several, or nothing tells */
	enum sureness sure;
	uint32_t families; /* of chip_family_at(), a bit each: those that both may be for */
	char doubt[PAIR_DOUBTS_MAX][160];
	size_t doubts;
};

/* second: info NULL for chips with one loader. mismatch comes before misplaced in `wrong`. */
void pair_judge(const struct pair_part *first, const struct pair_part *second, struct pair_verdict *out);
/* Both may be for this family, as far as can be told. */
bool pair_may_be_for(const struct pair_verdict *v, const struct chip_family *family);
/* "sharkl3, sharkle": the names of a set of families; cut to fit. "" for none and for all. Returns buf. */
const char *pair_families(uint32_t families, char *buf, size_t size);
/* Where this loader has to go as far as it can be told: by its own link address, else by the only family it
 * may be for. 0: cannot be told. stage 1 or 2. */
uint64_t pair_address(const struct loader_info *info, int stage, enum sureness *sure);

/*
 * Whether a file is a first (1) or a second (2) loader, from loader_inspect() of it as either; 0: nothing
 * tells. By the words it begins with and where it is linked, else by its texts and size; then *sure is fair.
 */
int pair_stage(const struct loader_info *as_first, const struct loader_info *as_second, enum sureness *sure);

#endif
