/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pac/pac.h"
#include "common/util.h"
#include "pac/fail.h"
#include "pac/inside.h"
#include "pac/text.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>

void pac_doubt(struct pac *p, const char *entry, const char *fmt, ...)
{
	struct pac_doubt *grown, *d;
	va_list ap;

	if (p->doubts == PAC_DOUBTS_MAX)
		return;
	grown = realloc(p->doubt, (p->doubts + 1) * sizeof(*grown));
	if (!grown)
		return;
	p->doubt = grown;
	d = &p->doubt[p->doubts++];
	*d = (struct pac_doubt){ 0 };
	snprintf(d->entry, sizeof(d->entry), "%.39s", entry ? entry : "");
	va_start(ap, fmt);
	vsnprintf(d->text, sizeof(d->text), fmt, ap);
	va_end(ap);
}

static int hash_part(EVP_MD_CTX *md, const struct source *src, uint64_t at, uint64_t len, struct failure *why)
{
	uint8_t buf[8192];

	while (len) {
		size_t n = (size_t)MIN(len, sizeof(buf));
		int r = source_read(src, at, buf, n);

		if (r < 0)
			return pac_fail_read(why, NULL, at, n, r);
		if (EVP_DigestUpdate(md, buf, n) != 1)
			return pac_fail_memory(why);
		at += n;
		len -= n;
	}
	return 0;
}

int pac_seal(const struct source *src, const struct pac_header *h, const struct pac_entry *xml,
	     uint8_t out[DIGEST_SIZE], struct failure *why)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	int r = 0;

	if (!md || EVP_DigestInit_ex(md, EVP_sha256(), NULL) != 1)
		r = pac_fail_memory(why);
	if (r == 0)
		r = hash_part(md, src, 0, PAC_HEADER_SIZE, why);
	if (r == 0)
		r = hash_part(md, src, h->table_at, (uint64_t)h->entries * PAC_ENTRY_SIZE, why);
	if (r == 0)
		r = hash_part(md, src, xml->offset, xml->size, why);
	if (r == 0 && EVP_DigestFinal_ex(md, out, NULL) != 1)
		r = pac_fail_memory(why);
	EVP_MD_CTX_free(md);
	return r;
}

int pac_open(const struct source *src, const struct pac_options *opt, struct pac **out, struct failure *why)
{
	static const struct pac_options plain = { 0 };
	struct opening o = { .src = src, .opt = opt ? opt : &plain, .why = why };
	int r;

	*out = NULL;
	o.pac = calloc(1, sizeof(*o.pac));
	if (!o.pac)
		return pac_fail_memory(why);
	r = pac_read_header(&o);
	if (r == 0)
		r = pac_read_table(&o);
	if (r == 0)
		r = pac_read_xml(&o);
	if (r == 0)
		r = pac_join(&o);
	if (r == 0)
		r = pac_look_at_images(&o);
	if (r == 0)
		r = pac_guess_chip(&o);
	if (r == 0)
		r = pac_seal(src, &o.pac->header, &o.pac->entry[o.pac->entries - 1], o.pac->seal, why);
	if (r < 0) {
		pac_free(o.pac);
		return r;
	}
	*out = o.pac;
	return 0;
}

void pac_free(struct pac *p)
{
	if (!p)
		return;
	scheme_doc_free(p->doc);
	free(p->entry);
	free(p->item);
	free(p->doubt);
	free(p->xml);
	free(p);
}

const struct pac_header *pac_header(const struct pac *p)
{
	return &p->header;
}

const struct pac_entry *pac_entries(const struct pac *p, size_t *count)
{
	*count = p->entries;
	return p->entry;
}

const struct pac_item *pac_items(const struct pac *p, size_t *count)
{
	*count = p->items;
	return p->item;
}

const struct pac_doubt *pac_doubts(const struct pac *p, size_t *count)
{
	*count = p->doubts;
	return p->doubt;
}

const struct scheme_doc *pac_document(const struct pac *p)
{
	return p->doc;
}

const struct scheme_product *pac_product(const struct pac *p)
{
	return p->product;
}

const struct scheme *pac_scheme(const struct pac *p)
{
	return p->scheme;
}

const struct pac_chip *pac_chip(const struct pac *p)
{
	return &p->chip;
}

bool pac_two_stage(const struct pac *p)
{
	return p->product->flash_type >= 1;
}

bool pac_has_loaders(const struct pac *p)
{
	return p->fdl1->has_file && (!p->fdl2 || p->fdl2->has_file);
}

const struct pac_item *pac_fdl1(const struct pac *p)
{
	return p->fdl1;
}

const struct pac_item *pac_fdl2(const struct pac *p)
{
	return p->fdl2;
}

const struct pac_item *pac_item_by_id(const struct pac *p, const char *id)
{
	size_t i;

	for (i = 0; i < p->items; i++)
		if (text_same(p->item[i].file->id, id))
			return &p->item[i];
	for (i = 0; i < p->items; i++)
		if (text_same(p->item[i].file->alias, id))
			return &p->item[i];
	return NULL;
}

const char *pac_xml(const struct pac *p, size_t *len)
{
	*len = p->xml_len;
	return p->xml;
}
