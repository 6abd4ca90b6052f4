/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pac/scheme.h"
#include "common/util.h"
#include "pac/build.h"
#include "pac/fail.h"
#include "pac/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

void build_odd(struct build *b, const struct xml_node *n, const char *fmt, ...)
{
	char text[120];
	va_list ap;

	if (b->doc->oddities >= SCHEME_ODD_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	snprintf(b->doc->oddity[b->doc->oddities++], sizeof(b->doc->oddity[0]), "line %u: %s", n->line, text);
}

int build_fail(struct build *b, enum error_id error, const char *entry, const struct xml_node *n,
	       const char *fmt, ...)
{
	char text[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!n)
		return pac_fail(b->why, error, entry, PAC_NOWHERE, "%s", text);
	return pac_fail(b->why, error, entry, PAC_NOWHERE, "XML line %u: %s", n->line, text);
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static const char *skip_blank(const char *s)
{
	return s + strspn(s, " \t\r\n");
}

/* NULL on overflow; otherwise behind the last digit, == s if there is none */
static const char *digits(const char *s, int base, uint64_t *value)
{
	uint64_t v = 0;
	int d;

	for (; (d = digit(*s)) >= 0 && d < base; s++)
		if (__builtin_mul_overflow(v, (uint64_t)base, &v) ||
		    __builtin_add_overflow(v, (uint64_t)d, &v))
			return NULL;
	*value = v;
	return s;
}

int build_hex(const char *text, uint64_t *value, bool *odd)
{
	const char *s = skip_blank(text), *end;

	*value = 0;
	*odd = *s != '\0';
	if (s[0] != '0' || (s[1] | 0x20) != 'x')
		return 0;
	end = digits(s + 2, 16, value);
	if (!end)
		return -ERANGE;
	*odd = end == s + 2 || *skip_blank(end);
	return 0;
}

bool build_number(const char *text, int64_t *value)
{
	const char *s = skip_blank(text), *end;
	bool minus = *s == '-';
	uint64_t v;

	s += minus || *s == '+';
	if (s[0] == '0' && (s[1] | 0x20) == 'x') {
		s += 2;
		end = digits(s, 16, &v);
	} else {
		end = digits(s, 10, &v);
	}
	if (!end || end == s || *skip_blank(end) || v > INT64_MAX)
		return false;
	*value = minus ? -(int64_t)v : (int64_t)v;
	return true;
}

int build_int(struct build *b, const struct xml_node *parent, const char *child)
{
	const struct xml_node *n = xml_child(parent, child);
	int64_t v;

	if (!n || !*n->text)
		return 0;
	if (!build_number(n->text, &v) || v < 0 || v > INT32_MAX) {
		build_odd(b, n, "%s is no number and counts as 0", child);
		return 0;
	}
	return (int)v;
}

bool build_flag(const char *text)
{
	int64_t v;

	return text && build_number(text, &v) && v == 1;
}

int build_partition_name(struct build *b, const struct xml_node *n, const char *text, char out[32])
{
	char shown[64];
	size_t len, i;

	text = skip_blank(text);
	len = strlen(text);
	while (len && strchr(" \t\r\n", text[len - 1]))
		len--;
	text_clean(shown, sizeof(shown), text);
	if (!len || len > 31)
		return build_fail(b, ERR_PACKAGE_NAME, shown, n,
				  "partition name \"%s\" has %zu characters, 1 to 31 are safe", shown, len);
	for (i = 0; i < len; i++)
		if (text[i] <= ' ' || text[i] > '~' || text[i] == '/' || text[i] == '\\')
			return build_fail(b, ERR_PACKAGE_NAME, shown, n,
					  "partition name \"%s\" has byte 0x%02x at position %zu", shown,
					  (unsigned char)text[i], i);
	memcpy(out, text, len);
	out[len] = '\0';
	return 0;
}

int build_rows(struct build *b, const struct xml_node *n, size_t count, size_t size, void *rows)
{
	void *p = NULL;

	if (count > SCHEME_ROWS_MAX)
		return build_fail(b, ERR_PACKAGE_SCHEME, NULL, n, "%zu rows, more than %u", count,
				  SCHEME_ROWS_MAX);
	if (count) {
		p = calloc(count, size);
		if (!p)
			return pac_fail_memory(b->why);
	}
	memcpy(rows, &p, sizeof(p));
	return 0;
}

/* ---- files ---- */

static const char *const file_attributes[] = { "backup", "selbyflash", "selbyrf", "CheckCali", "groupflag" };

static void file_attribute(struct build *b, const struct xml_node *n, struct scheme_file *f)
{
	static const struct {
		const char *name;
		unsigned bit;
	} marks[] = { { "GSM", CALI_GSM }, { "TD", CALI_TD }, { "WCDMA", CALI_WCDMA }, { "LTE", CALI_LTE } };
	const struct xml_attr *a;
	const char *cali = xml_attr(n, "CheckCali"), *value = xml_attr(n, "backup");
	char text[SCHEME_ID_MAX], *word, *rest = NULL;
	size_t i;

	for (a = n->attr; a; a = a->next) {
		for (i = 0; i < ARRAY_SIZE(file_attributes) && strcmp(a->name, file_attributes[i]); i++)
			;
		if (i == ARRAY_SIZE(file_attributes)) {
			text_clean(text, sizeof(text), a->name);
			build_odd(b, n, "%s has an attribute %s that is not known", f->id, text);
		}
	}
	f->backup = !value ? -1 : build_flag(value);
	f->sel_by_flash = build_flag(xml_attr(n, "selbyflash"));
	f->sel_by_rf = build_flag(xml_attr(n, "selbyrf"));
	f->group = build_flag(xml_attr(n, "groupflag"));
	if (!cali)
		return;
	text_clean(text, sizeof(text), cali);
	for (word = strtok_r(text, ", ", &rest); word; word = strtok_r(NULL, ", ", &rest)) {
		for (i = 0; i < ARRAY_SIZE(marks) && !text_same(word, marks[i].name); i++)
			;
		if (i < ARRAY_SIZE(marks))
			f->cali |= marks[i].bit;
		else
			build_odd(b, n, "%s: CheckCali %s is not known", f->id, word);
	}
}

static int file_block(struct build *b, const struct xml_node *n, const char *file, struct scheme_block *blk)
{
	const char *id = xml_attr(n, "id");
	bool odd_base, odd_size;
	int r;

	if (id && *id) {
		r = build_partition_name(b, n, id, blk->id);
		if (r < 0)
			return r;
	}
	if (build_hex(xml_text(n, "Base"), &blk->base, &odd_base) < 0 ||
	    build_hex(xml_text(n, "Size"), &blk->size, &odd_size) < 0)
		return build_fail(b, ERR_PACKAGE_SCHEME, file, n, "Base or Size exceeds 64 bits");
	if (odd_base || odd_size)
		build_odd(b, n, "%s: %s is not written as 0x... and is cut or counts as 0", file,
			  odd_base ? "Base" : "Size");
	if (!blk->id[0] && (blk->base > UINT32_MAX || blk->size > UINT32_MAX))
		return build_fail(b, ERR_PACKAGE_SCHEME, file, n,
				  "address 0x%llx size 0x%llx do not fit 32 bits",
				  (unsigned long long)blk->base, (unsigned long long)blk->size);
	return 0;
}

static int build_file(struct build *b, const struct xml_node *n, struct scheme_file *f)
{
	const struct scheme_type_info *type;
	const struct xml_node *blk;
	int r;

	if (!text_clean(f->id, sizeof(f->id), xml_text(n, "ID")) || !f->id[0])
		return build_fail(b, ERR_PACKAGE_SCHEME, f->id, n, "a File %s",
				  f->id[0] ? "has an ID of more than 63 bytes" : "has no ID");
	if (!text_clean(f->alias, sizeof(f->alias), xml_text(n, "IDAlias")))
		build_odd(b, n, "%s: the alias is cut", f->id);
	if (!f->alias[0])
		memcpy(f->alias, f->id, sizeof(f->alias));
	text_clean(f->type_text, sizeof(f->type_text), xml_text(n, "Type"));
	text_clean(f->description, sizeof(f->description), xml_text(n, "Description"));
	type = scheme_type_by_name(f->type_text);
	f->type = type->type;
	f->class = type->class;
	f->flag = build_int(b, n, "Flag");
	f->check_flag = build_int(b, n, "CheckFlag");
	if (f->flag > 2)
		return build_fail(b, ERR_PACKAGE_SCHEME, f->id, n, "Flag is %d, 0, 1 or 2 expected", f->flag);
	if (f->check_flag > 2) {
		build_odd(b, n, "%s: CheckFlag %d is not known and counts as 0", f->id, f->check_flag);
		f->check_flag = 0;
	}
	file_attribute(b, n, f);
	for (blk = xml_child(n, "Block"); blk; blk = xml_next(blk)) {
		if (f->blocks == SCHEME_BLOCKS_MAX)
			return build_fail(b, ERR_PACKAGE_SCHEME, f->id, blk, "more than %u Blocks",
					  SCHEME_BLOCKS_MAX);
		r = file_block(b, blk, f->id, &f->block[f->blocks++]);
		if (r < 0)
			return r;
	}
	return 0;
}

bool scheme_file_is_nv(const struct scheme_file *f)
{
	return text_begins(f->id, "NV");
}

bool scheme_file_backs_up(const struct scheme_file *f)
{
	if (f->backup >= 0)
		return f->backup == 1;
	return f->class == CLASS_NV_ADDR || f->class == CLASS_NV_ID;
}

static int build_scheme(struct build *b, const struct xml_node *n, struct scheme *s)
{
	const struct xml_node *f;
	const char *name = xml_attr(n, "name");
	int r;

	text_clean(s->name, sizeof(s->name), name ? name : "");
	r = build_rows(b, n, xml_count(n, "File"), sizeof(*s->file), &s->file);
	for (f = xml_child(n, "File"); r == 0 && f; f = xml_next(f))
		r = build_file(b, f, &s->file[s->files++]);
	return r;
}

/* ---- the document ---- */

static int build_doc(struct build *b, const struct xml_node *root)
{
	const struct xml_node *products = xml_child(root, "ProductList"),
			      *schemes = xml_child(root, "SchemeList"), *n;
	char shown[SCHEME_ID_MAX];
	size_t count;
	int r;

	if (strcmp(root->name, "BMAConfig")) {
		text_clean(shown, sizeof(shown), root->name);
		return build_fail(b, ERR_PACKAGE_SCHEME, NULL, root,
				  "the document is <%s>, <BMAConfig> expected", shown);
	}
	b->doc->oddity = calloc(SCHEME_ODD_MAX, sizeof(*b->doc->oddity));
	if (!b->doc->oddity)
		return pac_fail_memory(b->why);
	count = xml_count(products, "Product");
	if (!count || count > SCHEME_PRODUCTS_MAX)
		return build_fail(b, ERR_PACKAGE_PRODUCT, NULL, products ? products : root,
				  "%zu products, 1 to %u expected", count, SCHEME_PRODUCTS_MAX);
	r = build_rows(b, products, count, sizeof(*b->doc->product), &b->doc->product);
	for (n = xml_child(products, "Product"); r == 0 && n; n = xml_next(n))
		r = build_product(b, n, &b->doc->product[b->doc->products++]);
	if (r < 0)
		return r;
	count = xml_count(schemes, "Scheme");
	if (!count || count > SCHEME_PRODUCTS_MAX)
		return build_fail(b, ERR_PACKAGE_SCHEME, NULL, schemes ? schemes : root,
				  "%zu schemes, 1 to %u expected", count, SCHEME_PRODUCTS_MAX);
	r = build_rows(b, schemes, count, sizeof(*b->doc->scheme), &b->doc->scheme);
	for (n = xml_child(schemes, "Scheme"); r == 0 && n; n = xml_next(n))
		r = build_scheme(b, n, &b->doc->scheme[b->doc->schemes++]);
	return r;
}

int scheme_parse(const void *data, size_t len, struct scheme_doc **doc, struct failure *why)
{
	struct build b = { .why = why };
	struct xml_doc *xml;
	int r;

	*doc = NULL;
	r = xml_parse(data, len, &xml, why);
	if (r < 0)
		return r;
	b.doc = calloc(1, sizeof(*b.doc));
	r = b.doc ? build_doc(&b, xml_root(xml)) : pac_fail_memory(why);
	xml_free(xml);
	if (r < 0) {
		scheme_doc_free(b.doc);
		return r;
	}
	*doc = b.doc;
	return 0;
}

void scheme_doc_free(struct scheme_doc *doc)
{
	size_t i;

	if (!doc)
		return;
	for (i = 0; i < doc->products; i++)
		build_product_free(&doc->product[i]);
	for (i = 0; i < doc->schemes; i++)
		free(doc->scheme[i].file);
	free(doc->product);
	free(doc->scheme);
	free(doc->oddity);
	free(doc);
}

const struct scheme_product *scheme_find_product(const struct scheme_doc *doc, const char *name, bool *exact)
{
	size_t i;

	*exact = true;
	if (text_begins(name, "PAC_"))
		name += 4;
	for (i = 0; i < doc->products; i++)
		if (text_same(doc->product[i].name, name))
			return &doc->product[i];
	*exact = false;
	return doc->products == 1 ? &doc->product[0] : NULL;
}

const struct scheme *scheme_of(const struct scheme_doc *doc, const struct scheme_product *p)
{
	size_t i;

	for (i = 0; i < doc->schemes; i++)
		if (text_same(doc->scheme[i].name, p->scheme))
			return &doc->scheme[i];
	return NULL;
}
