/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which pair of loaders a phone is given. Its boot ROM does not say which chip it is (one text is used by
 * several, and some answer with none), so nothing is guessed from the phone: somebody names the pair, the
 * slot has one, or there is only one to take. Pure.
 */
#ifndef FDLD_STATION_LOADER_CHOOSE_H
#define FDLD_STATION_LOADER_CHOOSE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

/* One pair of the store. Strings are lent. */
struct loader_candidate {
	const char *name;	       /* unique in the store */
	const char *digest;	       /* hex */
	const char *family;	       /* "" cannot be told */
	const struct failure *failure; /* it cannot be used; NULL: it can */
};

/* "" or NULL: nothing is said. */
struct loader_wish {
	const char *named;  /* by whoever asks: a name, or 8 and more digits of a digest */
	const char *slot;   /* likewise, by the slot the phone is on */
	const char *family; /* what the rest is for, a package say: pairs of other families are none */
	bool force;	    /* a pair that is named is taken whatever its family */
};

#define LOADER_DIGITS_MIN 8u

/*
 * Index of the pair to take; or negative errno with *why: NoLoader (none there, or none of that name or for
 * that family), LoaderAmbiguous (more than one, and nobody said which), LoaderMismatch (the named one is for
 * another family), or what is wrong with the named one. The details list what there is.
 */
int loader_choose(const struct loader_candidate *candidates, uint32_t count, const struct loader_wish *wish,
		  struct failure *why);

#endif
