/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Package against phone: reads a .pac file by itself (pac-and-flow 1.2, 2.2; the wide layout with its table
 * in clear) and looks, file by file of the scheme, at what the phone's storage holds. It shares nothing with
 * the daemon and nothing with the composer.
 */
#ifndef TESTS_BUS_STORECHECK_H
#define TESTS_BUS_STORECHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/phone/phone.h"

/* What a phone had before and must still have: its NV and the areas that the scheme backs up. */
struct store_before;
/* path: the package. Never NULL (a failure ends the program with 99). */
struct store_before *store_before(const struct phone *phone, const char *path);
void store_before_free(struct store_before *before);

/*
 * NV as a used phone of the package's model may have it: the package's items, calibration and identity its
 * own. Bytes written to out, 0 if the package has none or room is too small.
 */
size_t store_used_nv(const char *path, const struct phone_profile *profile, uint64_t seed, uint8_t *out,
		     size_t room);

struct store_report {
	unsigned int images; /* compared byte by byte, all equal if !wrong[0] */
	uint64_t bytes;	     /* of them; holes of sparse images left out */
	unsigned int erased; /* areas that had to be empty and are */
	unsigned int kept;   /* areas that had to stay and did */
	unsigned int nv_new; /* NV items that are the package's */
	unsigned int nv_own; /* NV items that differ from the package's and are what the phone had */
	char wrong[160];     /* the first thing that differs, in words; empty: nothing */
};
/* Looks at everything the package's scheme names. The phone may stand in any stage. */
void store_check(const struct phone *phone, const char *path, const struct store_before *before,
		 struct store_report *report);

#endif
