/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a made package says of itself, and tables as text: the same elements the parser of scheme.c and
 * product.c takes (pac-and-flow 2). */
#include "common/util.h"
#include "pac/build.h"
#include "pac/fail.h"
#include "pac/made_inner.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

/* Text for an attribute or an element. Control characters would not come back as they went in. */
static void put_text(FILE *f, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '&': fputs("&amp;", f); break;
		case '<': fputs("&lt;", f); break;
		case '>': fputs("&gt;", f); break;
		case '"': fputs("&quot;", f); break;
		default: fputc((unsigned char)*text < ' ' ? '?' : *text, f);
		}
	}
}

static void put_element(FILE *f, const char *name, const char *text)
{
	fprintf(f, "<%s>", name);
	put_text(f, text);
	fprintf(f, "</%s>", name);
}

static void put_table(FILE *f, const struct scheme_table *t)
{
	if (t->v1)
		fprintf(f, "<Partitions unit=\"%u\">\n", t->unit);
	else
		fputs("<Partitions>\n", f);
	for (size_t i = 0; i < t->parts; i++) {
		const struct scheme_partition *p = &t->part[i];

		fputs("\t<Partition id=\"", f);
		put_text(f, p->name);
		if (p->size == SCHEME_REST)
			fputs("\" size=\"0xFFFFFFFF\"", f);
		else
			fprintf(f, "\" size=\"%" PRIu64 "\"", p->size);
		if (t->v1 && p->gap)
			fprintf(f, " gap=\"%" PRId64 "\"", p->gap);
		fputs("/>\n", f);
	}
	fputs("</Partitions>\n", f);
}

static void put_nv(FILE *f, const struct made_scheme *s)
{
	fprintf(f, "<NVBackup backup=\"%d\">\n", s->nv_backup);
	for (size_t i = 0; i < s->nvs; i++) {
		const struct scheme_nv_item *n = &s->nv[i];

		fputs("<NVItem name=\"", f);
		put_text(f, n->name);
		fprintf(f,
			"\" backup=\"%d\"><ID>0x%" PRIX32 "</ID><BackupFlag use=\"%d\">"
			"<NVFlag name=\"Replace\" check=\"%d\"/><NVFlag name=\"Continue\" check=\"%d\"/></BackupFlag></NVItem>\n",
			n->backup, n->id, n->use_flags, n->replace, n->carry_on);
	}
	fputs("</NVBackup>\n", f);
}

static void put_file(FILE *f, const struct made_part *p)
{
	enum scheme_class class = scheme_type_by_name(p->type)->class;
	bool loader = class == CLASS_FDL1 || class == CLASS_FDL2;

	fprintf(f, "<File backup=\"%d\">", p->backup);
	put_element(f, "ID", p->id);
	put_element(f, "IDAlias", p->id);
	put_element(f, "Type", p->type);
	fputs("<Block", f);
	if (p->partition) {
		fputs(" id=\"", f);
		put_text(f, p->partition);
		fputc('"', f);
	}
	fprintf(f, "><Base>0x%" PRIX64 "</Base><Size>0x%" PRIX64 "</Size></Block>", p->address, p->size);
	fprintf(f, "<Flag>%d</Flag><CheckFlag>%d</CheckFlag></File>\n", p->source != NULL,
		loader ? 1 : p->check_flag);
}

static int finish(FILE *f, char **text)
{
	bool bad = ferror(f) != 0;

	if (fclose(f) == 0 && !bad)
		return 0;
	free(*text);
	*text = NULL;
	return -ENOMEM;
}

int made_scheme_xml(const struct made_part *part, size_t parts, const struct made_scheme *s, char **text,
		    size_t *len)
{
	FILE *f;

	*text = NULL;
	f = open_memstream(text, len);
	if (!f)
		return -ENOMEM;
	fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<BMAConfig>\n<ProductList>\n<Product name=\"", f);
	put_text(f, s->product);
	fputs("\">\n", f);
	put_element(f, "SchemeName", "made");
	fprintf(f, "<FlashTypeID>%d</FlashTypeID>\n", s->flash_type);
	put_nv(f, s);
	if (s->table)
		put_table(f, s->table);
	fputs("</Product>\n</ProductList>\n<SchemeList>\n<Scheme name=\"made\">\n", f);
	for (size_t i = 0; i < parts; i++)
		put_file(f, &part[i]);
	fputs("</Scheme>\n</SchemeList>\n</BMAConfig>\n", f);
	return finish(f, text);
}

int made_table_xml(const struct scheme_table *t, char **text, size_t *len)
{
	FILE *f;

	*text = NULL;
	f = open_memstream(text, len);
	if (!f)
		return -ENOMEM;
	put_table(f, t);
	return finish(f, text);
}

/* ---- and back ---- */

static int no_table(struct failure *why, const char *what)
{
	return pac_fail(why, ERR_PACKAGE_PARTITIONS, NULL, PAC_NOWHERE, "%s", what);
}

static int table_of_package(const void *data, size_t len, const char *product, struct scheme_table *out,
			    struct failure *why)
{
	struct scheme_product *found = NULL;
	struct scheme_doc *doc;
	size_t tables = 0;
	bool exact;
	int r;

	r = scheme_parse(data, len, &doc, why);
	if (r < 0)
		return r;
	if (product) {
		const struct scheme_product *named = scheme_find_product(doc, product, &exact);

		if (!named || !exact)
			r = pac_fail(why, ERR_PACKAGE_PRODUCT, NULL, PAC_NOWHERE,
				     "no product \"%.100s\" among the %zu of the XML", product,
				     doc->products);
		else
			found = &doc->product[named - doc->product];
	}
	for (size_t i = 0; r == 0 && !product && i < doc->products; i++)
		if (doc->product[i].table.present) {
			found = &doc->product[i];
			tables++;
		}
	if (r == 0 && tables > 1)
		r = no_table(why, "several products have a table: name one");
	else if (r == 0 && (!found || !found->table.present))
		r = no_table(why, "there is no partition table in it");
	if (r == 0) {
		*out = found->table;
		found->table = (struct scheme_table){ 0 };
	}
	scheme_doc_free(doc);
	return r;
}

int made_table_parse(const void *data, size_t len, const char *product, struct scheme_table *out,
		     struct failure *why)
{
	struct scheme_doc doc = { 0 };
	struct build b = { .doc = &doc, .why = why };
	struct xml_doc *xml;
	bool bare;
	int r;

	*out = (struct scheme_table){ 0 };
	r = xml_parse(data, len, &xml, why);
	if (r < 0)
		return r;
	bare = !strcmp(xml_root(xml)->name, "Partitions");
	doc.oddity = bare ? calloc(SCHEME_ODD_MAX, sizeof(*doc.oddity)) : NULL;
	if (bare)
		r = doc.oddity ? build_table(&b, xml_root(xml), out) : pac_fail_memory(why);
	xml_free(xml);
	free(doc.oddity);
	if (!bare)
		return table_of_package(data, len, product, out, why);
	if (r < 0)
		made_table_free(out);
	return r;
}

void made_table_free(struct scheme_table *t)
{
	free(t->part);
	*t = (struct scheme_table){ 0 };
}
