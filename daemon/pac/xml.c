/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pac/xml.h"
#include "common/util.h"
#include "pac/fail.h"
#include "pac/text.h"

#include <errno.h>
#include <expat.h>

/* ---- bytes to UTF-8 ---- */

static int from_utf16(const uint8_t *p, size_t len, char **out, size_t *out_len, struct failure *why)
{
	char *text;
	size_t at = 0, i;

	if (len % 2)
		return pac_fail(why, ERR_PACKAGE_XML, NULL, len - 1,
				"UTF-16 text has an odd length of %zu bytes", len);
	text = malloc(len / 2 * 3 + 1); /* a unit makes at most 3 bytes, a pair 4 */
	if (!text)
		return pac_fail_memory(why);
	for (i = 0; i + 2 <= len; i += 2) {
		uint32_t c = get_le16(p + i);

		if (c >= 0xd800 && c < 0xdc00 && i + 4 <= len) {
			uint32_t low = get_le16(p + i + 2);

			if (low >= 0xdc00 && low < 0xe000) {
				c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
				i += 2;
			}
		}
		at += text_put_utf8(text + at, c);
	}
	*out = text;
	*out_len = at;
	return 0;
}

static int from_8bit(const uint8_t *p, size_t len, char **out, size_t *out_len, struct failure *why)
{
	bool utf8 = text_is_utf8(p, len);
	char *text = malloc((utf8 ? len : 2 * len) + 1);
	size_t at = 0, i;

	if (!text)
		return pac_fail_memory(why);
	if (utf8) {
		memcpy(text, p, len);
		at = len;
	} else {
		for (i = 0; i < len; i++)
			at += text_put_utf8(text + at, p[i]);
	}
	*out = text;
	*out_len = at;
	return 0;
}

/* ---- comments ---- */

/* End of the comment that begins at text[at], inner ones counted if nested; 0 if it never ends. */
static size_t comment_end(const char *text, size_t len, size_t at, bool nested)
{
	size_t depth = 1;

	for (at += 4; at + 3 <= len;) {
		if (!memcmp(text + at, "-->", 3)) {
			at += 3;
			if (!--depth)
				return at;
		} else if (nested && at + 4 <= len && !memcmp(text + at, "<!--", 4)) {
			depth++;
			at += 4;
		} else {
			at++;
		}
	}
	return 0;
}

/*
 * Vendor files hold comments inside comments, and now and then a comment that merely mentions the opening
 * mark; the second reading is tried when the first one runs into the end of the text.
 */
static int blank_comments(char *text, size_t len, struct failure *why)
{
	bool nested = true;
	size_t at = 0;

	while (at + 4 <= len) {
		char *p = memchr(text + at, '<', len - at);
		size_t end;

		if (!p)
			break;
		at = (size_t)(p - text);
		if (len - at >= 9 && !memcmp(p, "<![CDATA[", 9)) {
			char *stop = memmem(p, len - at, "]]>", 3);

			at = stop ? (size_t)(stop - text) + 3 : len;
			continue;
		}
		if (len - at < 4 || memcmp(p, "<!--", 4)) {
			at++;
			continue;
		}
		end = nested ? comment_end(text, len, at, true) : 0;
		if (!end) {
			/* one such text is enough to know the habit of its author; also keeps this linear */
			nested = false;
			end = comment_end(text, len, at, false);
		}
		if (!end)
			return pac_fail(why, ERR_PACKAGE_XML, NULL, at, "a comment never ends");
		for (; at < end; at++)
			if (text[at] != '\n')
				text[at] = ' ';
	}
	return 0;
}

int xml_prepare(const void *data, size_t len, char **text, size_t *text_len, struct failure *why)
{
	const uint8_t *p = data;
	int r;

	*text = NULL;
	if (len > XML_SIZE_MAX)
		return pac_fail(why, ERR_PACKAGE_XML, NULL, PAC_NOWHERE, "%zu bytes, more than %u", len,
				XML_SIZE_MAX);
	if (len >= 2 && p[0] == 0xff && p[1] == 0xfe) {
		while (len >= 4 && !p[len - 1] && !p[len - 2])
			len -= 2;
		r = from_utf16(p + 2, len - 2, text, text_len, why);
	} else {
		while (len && !p[len - 1])
			len--;
		if (len >= 3 && !memcmp(p, "\xef\xbb\xbf", 3)) {
			p += 3;
			len -= 3;
		}
		r = from_8bit(p, len, text, text_len, why);
	}
	if (r < 0)
		return r;
	(*text)[*text_len] = '\0';
	if (strlen(*text) != *text_len) {
		r = pac_fail(why, ERR_PACKAGE_XML, NULL, strlen(*text), "a zero byte inside the text");
	} else {
		r = blank_comments(*text, *text_len, why);
	}
	if (r < 0) {
		free(*text);
		*text = NULL;
	}
	return r;
}

/* ---- the tree ---- */

#define ARENA_BLOCK 65536u

struct arena {
	struct arena *next;
	size_t used, size;
	_Alignas(max_align_t) uint8_t data[];
};

struct xml_doc {
	struct arena *arena;
	struct xml_node *root;
};

struct builder {
	struct xml_doc *doc;
	struct xml_node *open;
	struct xml_node *last[XML_DEPTH_MAX + 1]; /* last child at each depth: appending stays cheap */
	XML_Parser parser;
	size_t depth, nodes;
	char *text; /* character data of the innermost element so far */
	size_t text_len, text_size;
	const char *refused; /* why parsing was stopped by us */
	bool no_memory;
};

static void *arena_take(struct xml_doc *doc, size_t size)
{
	struct arena *a = doc->arena;
	void *p;

	size = (size + 15) & ~(size_t)15;
	if (!a || a->size - a->used < size) {
		size_t room = MAX(size, ARENA_BLOCK);

		a = calloc(1, sizeof(*a) + room);
		if (!a)
			return NULL;
		a->size = room;
		a->next = doc->arena;
		doc->arena = a;
	}
	p = a->data + a->used;
	a->used += size;
	return p;
}

static char *arena_text(struct xml_doc *doc, const char *text, size_t len)
{
	char *p = arena_take(doc, len + 1);

	if (p && len)
		memcpy(p, text, len);
	return p;
}

static void stop(struct builder *b, const char *refused)
{
	if (!refused)
		b->no_memory = true;
	else
		b->refused = refused;
	XML_StopParser(b->parser, XML_FALSE);
}

/* What was gathered belongs to the open element. Only its first piece counts: no element of a package mixes
 * text and children. */
static bool flush_text(struct builder *b)
{
	struct xml_node *n = b->open;
	size_t i;

	for (i = 0; i < b->text_len && strchr(" \t\r\n", b->text[i]); i++)
		;
	if (n && i < b->text_len && !*n->text) {
		n->text = arena_text(b->doc, b->text, b->text_len);
		if (!n->text)
			return false;
	}
	b->text_len = 0;
	return true;
}

static bool add_attributes(struct builder *b, struct xml_node *n, const XML_Char **atts)
{
	struct xml_attr **tail = &n->attr;
	size_t count = 0;

	for (; atts[0]; atts += 2) {
		struct xml_attr *a = arena_take(b->doc, sizeof(*a));

		if (++count > XML_ATTRS_MAX) {
			stop(b, "an element has too many attributes");
			return true;
		}
		if (!a)
			return false;
		a->name = arena_text(b->doc, atts[0], strlen(atts[0]));
		a->value = arena_text(b->doc, atts[1], strlen(atts[1]));
		if (!a->name || !a->value)
			return false;
		*tail = a;
		tail = &a->next;
	}
	return true;
}

static void XMLCALL on_start(void *data, const XML_Char *name, const XML_Char **atts)
{
	struct builder *b = data;
	struct xml_node *n;

	if (b->depth >= XML_DEPTH_MAX) {
		stop(b, "elements are nested too deep");
		return;
	}
	if (++b->nodes > XML_NODES_MAX) {
		stop(b, "too many elements");
		return;
	}
	if (!flush_text(b) || !(n = arena_take(b->doc, sizeof(*n)))) {
		stop(b, NULL);
		return;
	}
	n->name = arena_text(b->doc, name, strlen(name));
	n->text = "";
	n->line = (uint32_t)XML_GetCurrentLineNumber(b->parser);
	n->parent = b->open;
	if (!n->name || !add_attributes(b, n, atts)) {
		stop(b, NULL);
		return;
	}
	if (!b->open)
		b->doc->root = n;
	else if (b->last[b->depth])
		b->last[b->depth]->next = n;
	else
		b->open->child = n;
	b->last[b->depth] = n;
	b->depth++;
	b->last[b->depth] = NULL;
	b->open = n;
}

static void XMLCALL on_end(void *data, const XML_Char *name)
{
	struct builder *b = data;

	if (!flush_text(b)) {
		stop(b, NULL);
		return;
	}
	b->open = b->open->parent;
	b->depth--;
}

static void XMLCALL on_text(void *data, const XML_Char *text, int len)
{
	struct builder *b = data;

	if (b->text_len + (size_t)len > b->text_size) {
		size_t size = MAX(b->text_size * 2, b->text_len + (size_t)len + 256);
		char *grown = realloc(b->text, size);

		if (!grown) {
			stop(b, NULL);
			return;
		}
		b->text = grown;
		b->text_size = size;
	}
	memcpy(b->text + b->text_len, text, (size_t)len);
	b->text_len += (size_t)len;
}

static void XMLCALL on_doctype(void *data, const XML_Char *name, const XML_Char *system_id,
			       const XML_Char *public_id, int internal)
{
	stop(data, "a document type is declared, which no package needs");
}

static int run(struct builder *b, const char *text, size_t len, struct failure *why)
{
	XML_Parser parser = b->parser;
	enum XML_Status status;

	XML_SetUserData(parser, b);
	XML_SetElementHandler(parser, on_start, on_end);
	XML_SetCharacterDataHandler(parser, on_text);
	XML_SetStartDoctypeDeclHandler(parser, on_doctype);
	XML_SetParamEntityParsing(parser, XML_PARAM_ENTITY_PARSING_NEVER);
	status = XML_Parse(parser, text, (int)len, 1);
	if (status == XML_STATUS_OK)
		return 0;
	if (b->no_memory || XML_GetErrorCode(parser) == XML_ERROR_NO_MEMORY)
		return pac_fail_memory(why);
	return pac_fail(why, ERR_PACKAGE_XML, NULL, (uint64_t)XML_GetCurrentByteIndex(parser),
			"line %lu column %lu: %s", (unsigned long)XML_GetCurrentLineNumber(parser),
			(unsigned long)XML_GetCurrentColumnNumber(parser) + 1,
			b->refused ? b->refused : XML_ErrorString(XML_GetErrorCode(parser)));
}

int xml_parse(const void *data, size_t len, struct xml_doc **doc, struct failure *why)
{
	_cleanup_free_ char *text = NULL;
	struct builder b = { 0 };
	size_t text_len;
	int r;

	*doc = NULL;
	r = xml_prepare(data, len, &text, &text_len, why);
	if (r < 0)
		return r;
	b.doc = calloc(1, sizeof(*b.doc));
	/* the text is UTF-8 by now, whatever its declaration says */
	b.parser = XML_ParserCreate("UTF-8");
	if (!b.doc || !b.parser)
		r = pac_fail_memory(why);
	else
		r = run(&b, text, text_len, why);
	if (b.parser)
		XML_ParserFree(b.parser);
	free(b.text);
	if (r < 0) {
		xml_free(b.doc);
		return r;
	}
	*doc = b.doc;
	return 0;
}

void xml_free(struct xml_doc *doc)
{
	if (!doc)
		return;
	while (doc->arena) {
		struct arena *a = doc->arena;

		doc->arena = a->next;
		free(a);
	}
	free(doc);
}

/* ---- looking around ---- */

const struct xml_node *xml_root(const struct xml_doc *doc)
{
	return doc->root;
}

static const struct xml_node *from(const struct xml_node *n, const char *name)
{
	while (n && strcmp(n->name, name))
		n = n->next;
	return n;
}

const struct xml_node *xml_child(const struct xml_node *node, const char *name)
{
	return node ? from(node->child, name) : NULL;
}

const struct xml_node *xml_next(const struct xml_node *node)
{
	return node ? from(node->next, node->name) : NULL;
}

size_t xml_count(const struct xml_node *node, const char *name)
{
	const struct xml_node *n;
	size_t count = 0;

	for (n = xml_child(node, name); n; n = xml_next(n))
		count++;
	return count;
}

const char *xml_text(const struct xml_node *node, const char *child)
{
	const struct xml_node *n = xml_child(node, child);

	return n ? n->text : "";
}

const char *xml_attr(const struct xml_node *node, const char *name)
{
	const struct xml_attr *a;

	for (a = node ? node->attr : NULL; a; a = a->next)
		if (!strcmp(a->name, name))
			return a->value;
	return NULL;
}
