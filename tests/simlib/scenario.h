/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A phone and a package that belong together, from a seed, and the question afterwards: does the phone hold
 * what the package says, and is its own NV and calibration still there?
 */
#ifndef TESTS_SIMLIB_SCENARIO_H
#define TESTS_SIMLIB_SCENARIO_H

#include "flash/plan.h"
#include "tests/phone/phone.h"
#include "tests/simlib/package.h"

#define SCENARIO_IMAGES 24

struct scenario_image {
	char id[40];
	char place[40]; /* name for phone_storage_read() */
	uint8_t *data;
	size_t len;
	bool sparse, patched, resized, by_name;
};

struct scenario_want {
	bool other_table; /* the phone has another table than the package wants */
	int vbmeta;	  /* so many of them where the profile's table has none: 1, or 2 with slots */
	/* what is the phone's own, and misc, lie in areas of so many KiB (NV: 1 MiB): quick to keep; 0: as
	 * the profile has them */
	uint32_t small_own;
	bool large; /* one image of more than 128 KiB */
	bool huge;  /* one of more than a raw block (2 MiB) */
	bool unsigned_spl;
	bool blank;	    /* a new board: nothing on it */
	bool nv_blank;	    /* used board without NV */
	bool no_nv;	    /* the package has no NV entry */
	bool bad_signature; /* one image of a secure profile is not signed */
	bool tiny;	    /* as few and as small images as make a package */
	const char *untick; /* ID of an image that is left unticked */
	bool damaged;	    /* and whose content is not what it says about itself */
};

struct scenario {
	const struct phone_profile *profile;
	struct scenario_want want;
	struct sim_package package;
	struct scenario_image image[SCENARIO_IMAGES];
	size_t images;
	char erased[8][40], erased_id[8][40];
	size_t erases;
	char nv_place[40]; /* "" if the package has none */
	char nv_name[40];  /* block of the XML, "" by address */
	uint8_t *nv_phone, *nv_package;
	size_t nv_len;
	uint8_t *prodnv_package;
	uint8_t *prodnv, *misc; /* what the phone holds there; NULL: none */
	size_t prodnv_len, misc_len;
	struct phone_part *parts; /* initial table if other_table */
	size_t part_count;
	char unsigned_image[40];
};

/* 0 (scenario_free), or negative errno; *why if the package was refused. */
int scenario_make(uint64_t seed, const struct phone_profile *profile, const struct scenario_want *want,
		  struct scenario *out, struct failure *why);
void scenario_free(struct scenario *s);
/* A phone of this scenario, not yet plugged in. faults may be NULL. */
struct phone *scenario_phone(const struct scenario *s, uint64_t seed, const char *faults, const char **why);

/* Takes what the phone holds now as its own: faults of its making may have damaged it before anybody came. */
void scenario_snapshot(struct scenario *s, const struct phone *phone);

/*
 * Everything that a plan with these options (NULL: all) writes is there, what the phone stamps left out.
 * True, or false with the first difference in text.
 */
bool scenario_holds(const struct scenario *s, const struct plan_options *o, const struct phone *phone,
		    char *text, size_t size);
/* The same for what it erases. */
bool scenario_erased(const struct scenario *s, const struct plan_options *o, const struct phone *phone,
		     char *text, size_t size);
/*
 * The phone's own: listed NV items as before, prodnv and miscdata as before. merged: the rest of NV must be
 * the package's.
 */
bool scenario_kept(const struct scenario *s, const struct phone *phone, bool merged, char *text, size_t size);

#endif
