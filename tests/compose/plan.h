/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Of the composer only: a package before it becomes bytes. */
#ifndef TESTS_COMPOSE_PLAN_H
#define TESTS_COMPOSE_PLAN_H

#include "tests/compose/inside.h"

#define HEADER 2124u
#define ENTRY  2580u
#define FILES  256u

struct part {
	char id[80], alias[80], type[48], block[48], name[100];
	uint32_t addr[5], addrs;
	int flag, check;
	bool ticked, left;
	unsigned nth;
	uint64_t block_size;
	uint8_t *data;
	size_t len;
	uint64_t huge; /* plain image of this length with three islands of data */
	uint64_t offset;
};

struct layout {
	const struct compose_spec *spec;
	char *xml;
	size_t xml_len;
	struct part part[FILES + 1]; /* table order; the XML last */
	size_t parts;
	uint64_t size;
};

/* What stands between two marks of the XML text; false and "" if it is not there. */
bool layout_between(const char *begin, const char *end, const char *open, char close, char *out, size_t room);
/* NULL: no such family. */
struct layout *layout_make(const struct compose_spec *spec);
void layout_free(struct layout *pl);

static inline uint64_t layout_length(const struct part *p)
{
	return p->huge ? p->huge : p->len;
}

#endif
