/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Of this room only: what the two halves of scheme_parse() share - number rules, checked texts, and notes
 * about what was odd.
 */
#ifndef FDLD_PAC_BUILD_H
#define FDLD_PAC_BUILD_H

#include <stdbool.h>
#include <stdint.h>

#include "pac/scheme.h"
#include "pac/xml.h"

#define SCHEME_ROWS_MAX	    4096u /* files of a scheme, NV items, ... */
#define SCHEME_PARTS_MAX    744u  /* what a V1 table can carry; V0 is bounded by its frame: 862 */
#define SCHEME_PRODUCTS_MAX 64u
#define SCHEME_ODD_MAX	    32u

struct build {
	struct scheme_doc *doc;
	struct failure *why;
};

/* Notes something that was ignored; silently full after SCHEME_ODD_MAX. */
void build_odd(struct build *b, const struct xml_node *n, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Sets error with "line N: ..." in front; entry may be NULL. */
int build_fail(struct build *b, enum error_id error, const char *entry, const struct xml_node *n,
	       const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* "0x..." only; anything else is 0, as the vendor's tools read it. -ERANGE above 64 bits. *odd: something was
 * ignored. */
int build_hex(const char *text, uint64_t *value, bool *odd);
/* "0x..." or decimal, with sign. false: neither. */
bool build_number(const char *text, int64_t *value);
int build_int(struct build *b, const struct xml_node *parent, const char *child); /* 0 if absent */
bool build_flag(const char *text);						  /* "1" */
/* A name that goes onto the wire: 1 to 31 printable ASCII characters without blanks, slashes or backslashes.
 */
int build_partition_name(struct build *b, const struct xml_node *n, const char *text, char out[32]);
/* calloc of count rows or -ENOMEM with why; more than SCHEME_ROWS_MAX is PackageScheme. count may be 0 (*rows
 * = NULL). */
int build_rows(struct build *b, const struct xml_node *n, size_t count, size_t size, void *rows);

int build_table(struct build *b, const struct xml_node *n, struct scheme_table *t);
int build_product(struct build *b, const struct xml_node *n, struct scheme_product *p);
void build_product_free(struct scheme_product *p);

#endif
