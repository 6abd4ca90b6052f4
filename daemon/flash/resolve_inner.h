/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Deciding a plan by what the phone told, shared by resolve.c (storage, what comes from the phone, all steps)
 * and resolve_table.c (which table will be there, and whether an entry fits it).
 */
#ifndef FDLD_FLASH_RESOLVE_INNER_H
#define FDLD_FLASH_RESOLVE_INNER_H

#include "flash/plan_entries.h"

struct resolver {
	const struct plan *from;
	const struct device_facts *facts;
	struct plan *to;
	struct failure *why;
	struct flash_table coming; /* as it will be when the images are written */
	bool known;		   /* the phone's table is known, sizes included */
	bool moves;		   /* repartition or erase-all: content loses its place */
	char differs[160];	   /* how the tables differ; empty: they agree or are not both known */
};

int resolver_refuse(struct resolver *r, const struct plan_step *s, enum error_id error, const char *text);
/* Whether the table is written, and the one that will be there. Negative errno with why. */
int resolver_table(struct resolver *r, bool *repartition);
/* Is the place of this step in that table, and large enough? *drop: it is left out. */
int resolver_fit(struct resolver *r, const struct plan_step *s, bool *drop);

#endif
