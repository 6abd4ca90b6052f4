/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Of this room only: a package from within, and the steps of pac_open() in their order.
 */
#ifndef FDLD_PAC_INSIDE_H
#define FDLD_PAC_INSIDE_H

#include "pac/pac.h"

#define PAC_DOUBTS_MAX 128u

struct pac {
	struct pac_header header;
	struct pac_entry *entry;
	size_t entries; /* rows of the table */
	struct pac_item *item;
	size_t items;
	struct pac_doubt *doubt;
	size_t doubts;
	struct scheme_doc *doc;
	const struct scheme_product *product;
	const struct scheme *scheme;
	struct pac_chip chip;
	const struct pac_item *fdl1, *fdl2;
	char *xml;
	size_t xml_len;
	/* what was read when it was opened, so that the long pass can tell another file by it */
	uint8_t seal[DIGEST_SIZE];
};

struct opening {
	const struct source *src;
	const struct pac_options *opt; /* never NULL */
	struct pac *pac;
	struct failure *why;
};

/* Adds a doubt; entry may be NULL. Beyond PAC_DOUBTS_MAX they are dropped. */
void pac_doubt(struct pac *p, const char *entry, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

int pac_read_header(struct opening *o);
int pac_read_table(struct opening *o);
int pac_read_xml(struct opening *o);
int pac_join(struct opening *o);	   /* items, ticks, completeness */
int pac_look_at_images(struct opening *o); /* first bytes of each, NV whole */
int pac_guess_chip(struct opening *o);

/* SHA-256 over header, table as stored, and XML. */
int pac_seal(const struct source *src, const struct pac_header *h, const struct pac_entry *xml,
	     uint8_t out[DIGEST_SIZE], struct failure *why);

#endif
