/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The XML of packages as a small tree: any encoding vendors use, nested comments, no document types, no
 * entities of its own, everything bounded (pac-and-flow 2.1). expat does the parsing.
 */
#ifndef FDLD_PAC_XML_H
#define FDLD_PAC_XML_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

#define XML_SIZE_MAX  (8u << 20) /* bytes as stored */
#define XML_DEPTH_MAX 32u
#define XML_NODES_MAX 200000u
#define XML_ATTRS_MAX 16u

struct xml_attr {
	const char *name, *value;
	struct xml_attr *next;
};

struct xml_node {
	const char *name;
	const char *text; /* character data before the first child; "" if none */
	struct xml_attr *attr;
	struct xml_node *child, *next, *parent;
	uint32_t line; /* from 1 */
};

struct xml_doc;

/*
 * Parses. data as stored in the package; it is not kept. 0 and *doc (xml_free), or PackageXml with the byte
 * in why->offset (of the text in UTF-8, which is the stored text unless that is UTF-16 or 8-bit) and line and
 * column in detail.
 */
int xml_parse(const void *data, size_t len, struct xml_doc **doc, struct failure *why);
void xml_free(struct xml_doc *doc);

const struct xml_node *xml_root(const struct xml_doc *doc); /* never NULL */
/* First child of this name; next sibling of the same name; NULL if none. node may be NULL. */
const struct xml_node *xml_child(const struct xml_node *node, const char *name);
const struct xml_node *xml_next(const struct xml_node *node);
size_t xml_count(const struct xml_node *node, const char *name);
/* Text of the first child of this name, or "". */
const char *xml_text(const struct xml_node *node, const char *child);
/* Value of an attribute, or NULL. */
const char *xml_attr(const struct xml_node *node, const char *name);

/*
 * Turns stored bytes into UTF-8 (malloc'd, NUL-terminated) without comments, which become blanks so that
 * lines and offsets stay. Exposed for tests.
 */
int xml_prepare(const void *data, size_t len, char **text, size_t *text_len, struct failure *why);

#endif
