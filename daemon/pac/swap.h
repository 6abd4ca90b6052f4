/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A package whose own loaders are missing or wrong is given others: their bytes go behind its end, the rows
 * of the table point there, size and CRCs follow. XML and all other bytes stay as they are, so what is
 * flashed does (pac-and-flow 1).
 */
#ifndef FDLD_PAC_SWAP_H
#define FDLD_PAC_SWAP_H

#include "pac/pac.h"

struct swap_loader {
	uint64_t address, size; /* bytes */
};

struct swap {
	uint64_t size; /* of the package then; the loaders' bytes begin at `at` */
	struct {
		uint64_t at, row_at; /* offsets in the package: its bytes, its row of the table */
		uint8_t row[PAC_ENTRY_SIZE];
	} part[2];
	size_t parts;
	bool sealed; /* it has CRCs */
	uint8_t header[PAC_HEADER_SIZE];
};

/*
 * pac: opened with without_loaders, and checked. 0 and *out; PackageMasked (a masked table is not written),
 * PackageNoLoader (it has no row for one), LoaderMismatch (so many loaders, or these addresses, are not what
 * its XML says), PackageReadFailed.
 */
int swap_prepare(const struct source *src, const struct pac *pac, const struct swap_loader *loader,
		 size_t count, struct swap *out, struct failure *why);
/* patched: the file once rows and loaders are in it, `size` bytes. The header then has its CRCs. 0,
 * PackageReadFailed, Internal. */
int swap_seal(const struct source *patched, struct swap *swap, struct failure *why);

#endif
