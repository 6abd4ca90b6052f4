/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Scheme and table become one list: what is flashed, in which order, from which bytes
 * (pac-and-flow 1.5, 5.2). */
#include "common/util.h"
#include "pac/fail.h"
#include "pac/inside.h"
#include "pac/text.h"

#include <errno.h>
#include <stdio.h>

static int choose_product(struct opening *o)
{
	struct pac *p = o->pac;
	const char *name = o->opt->product ? o->opt->product : p->header.product;
	bool exact;

	p->product = scheme_find_product(p->doc, name, &exact);
	if (!p->product || (o->opt->product && !exact))
		return pac_fail(
			o->why, ERR_PACKAGE_PRODUCT, NULL, PAC_NOWHERE,
			"no product \"%.100s\" among the %zu of the XML, the first of which is \"%.100s\"",
			name, p->doc->products, p->doc->product[0].name);
	if (!exact)
		pac_doubt(p, NULL,
			  "the header names product \"%.60s\"; the only one of the XML, \"%.60s\", is used",
			  name, p->product->name);
	if (!p->product->enabled)
		pac_doubt(p, NULL, "product \"%.100s\" is disabled in the XML", p->product->name);
	p->scheme = scheme_of(p->doc, p->product);
	if (!p->scheme)
		return pac_fail(o->why, ERR_PACKAGE_SCHEME, NULL, PAC_NOWHERE,
				"product \"%.80s\" wants scheme \"%.80s\", which the XML lacks",
				p->product->name, p->product->scheme);
	if (!p->scheme->files)
		return pac_fail(o->why, ERR_PACKAGE_SCHEME, NULL, PAC_NOWHERE, "scheme \"%.100s\" is empty",
				p->scheme->name);
	return 0;
}

/* The nth entry with this ID, or the last one there is: files of one ID share an entry if the table has only
 * one. */
static int find_entry(const struct pac *p, const char *id, size_t nth)
{
	int found = -1;
	size_t i;

	for (i = 0; i + 1 < p->entries; i++) {
		if (!text_same(p->entry[i].id, id))
			continue;
		found = (int)i;
		if (!nth--)
			break;
	}
	return found;
}

static size_t position_among(const struct scheme *s, size_t index, bool by_alias)
{
	size_t nth = 0, i;

	for (i = 0; i < index; i++)
		nth += by_alias ? text_same(s->file[i].alias, s->file[index].alias)
				: text_same(s->file[i].id, s->file[index].id);
	return nth;
}

static void join_item(struct pac *p, size_t i)
{
	const struct scheme_file *f = &p->scheme->file[i];
	struct pac_item *item = &p->item[i];

	item->index = i;
	item->file = f;
	item->partition = f->blocks ? f->block[0].id : "";
	item->address = f->blocks ? f->block[0].base : 0;
	item->block_size = f->blocks ? f->block[0].size : 0;
	item->nv = scheme_file_is_nv(f);
	item->backs_up = scheme_file_backs_up(f);
	if (item->partition[0])
		snprintf(item->label, sizeof(item->label), "%s", item->partition);
	else
		snprintf(item->label, sizeof(item->label), "0x%08llx", (unsigned long long)item->address);
	item->entry = find_entry(p, f->id, position_among(p->scheme, i, false));
	if (item->entry < 0)
		item->entry = find_entry(p, f->alias, position_among(p->scheme, i, true));
	if (item->entry >= 0) {
		struct pac_entry *e = &p->entry[item->entry];

		e->joined = true;
		item->ticked = f->flag != 2 && e->check_flag;
		item->can_omit = e->can_omit;
		item->offset = e->offset;
		item->size = e->size;
		item->has_file = e->size != 0;
		snprintf(item->name, sizeof(item->name), "%s", e->name);
	}
}

static bool takes_file(const struct pac_item *item)
{
	return item->file->flag == 1;
}

static int check_names(struct opening *o, const struct pac_item *item)
{
	const char *name = item->partition;
	enum scheme_class class = item->file->class;
	bool writes = class == CLASS_WRITE_ID || class == CLASS_NV_ID;

	if (!name[0]) {
		bool by_id = writes || class == CLASS_ERASE_ID || class == CLASS_READ_ID;

		if (by_id)
			return pac_fail(o->why, ERR_PACKAGE_SCHEME, item->file->id, PAC_NOWHERE,
					"%s of type %s works on a partition, but its Block has no id",
					item->file->id, item->file->type_text);
		return 0;
	}
	if (text_same(name, "erase_all"))
		return pac_fail(o->why, ERR_PACKAGE_UNSAFE, item->file->id, PAC_NOWHERE,
				"%s names erase_all: it would wipe the boot areas, the table and NV",
				item->file->id);
	if (class != CLASS_READ_ID && (text_same(name, "user_partition") || text_contains(name, "_size")))
		return pac_fail(o->why, ERR_PACKAGE_UNSAFE, item->file->id, PAC_NOWHERE,
				"%s names %s, a pseudo partition that can only be read", item->file->id,
				name);
	if (writes && (text_contains(name, "fixnv2") || text_contains(name, "runtimenv2")))
		pac_doubt(o->pac, item->file->id,
			  "writes %s, the twin that the phone itself keeps: it gets no header and no check",
			  name);
	return 0;
}

/* The rules of pac-and-flow 5.2 for one entry. */
static int check_item(struct opening *o, const struct pac_item *item)
{
	const struct scheme_file *f = item->file;
	bool phase_check = text_same(f->id, "PhaseCheck");

	if (f->flag == 2)
		return 0;
	if (o->opt->without_loaders && (f->class == CLASS_FDL1 || f->class == CLASS_FDL2))
		return 0;
	if (f->check_flag == 1 && !item->ticked)
		return pac_fail(o->why, ERR_PACKAGE_ENTRY_MISSING, f->id, PAC_NOWHERE,
				"%s is mandatory but %s", f->id,
				item->entry < 0 ? "not in the package" : "was not ticked when it was packed");
	if (f->check_flag == 1 && takes_file(item) && !item->has_file)
		return pac_fail(o->why, ERR_PACKAGE_ENTRY_MISSING, f->id, PAC_NOWHERE,
				"%s is mandatory but has no file", f->id);
	if (!item->ticked) {
		if (f->class == CLASS_UNKNOWN)
			pac_doubt(o->pac, f->id, "type \"%s\" is not known; the entry is not ticked",
				  f->type_text);
		return 0;
	}
	if (f->class == CLASS_UNKNOWN)
		return pac_fail(o->why, ERR_PACKAGE_TYPE, f->id, PAC_NOWHERE,
				"%s has type \"%s\", which is not known", f->id, f->type_text);
	if (takes_file(item) && !item->has_file && !phase_check && (item->nv || !item->backs_up))
		return pac_fail(o->why, ERR_PACKAGE_ENTRY_MISSING, f->id, PAC_NOWHERE,
				"%s is to be flashed but its file is empty", f->id);
	return check_names(o, item);
}

/* A pack that could erase the running NV but leaves it would pair new fixed NV with old running NV. */
static int check_flash_rule(struct opening *o)
{
	size_t i;

	for (i = 0; i < o->pac->items; i++) {
		const struct pac_item *item = &o->pac->item[i];

		if (item->file->flag != 2 && text_begins(item->file->id, "FLASH") && !item->ticked)
			return pac_fail(o->why, ERR_PACKAGE_UNSAFE, item->file->id, PAC_NOWHERE,
					"%s, which erases the running NV, is in the scheme but %s",
					item->file->id,
					item->entry < 0 ? "not in the package" : "not ticked");
	}
	return 0;
}

static int find_loaders(struct opening *o)
{
	struct pac *p = o->pac;
	const struct pac_item *host = NULL;
	size_t i;

	for (i = 0; i < p->items; i++) {
		const struct pac_item *item = &p->item[i];

		if (!item->ticked && !(o->opt->without_loaders && item->file->flag != 2))
			continue;
		if (item->file->type == TYPE_HOST_FDL)
			host = item;
		else if (item->file->class == CLASS_FDL1 && !p->fdl1)
			p->fdl1 = item;
		else if (item->file->class == CLASS_FDL2 && !p->fdl2)
			p->fdl2 = item;
	}
	if (!p->fdl1 && host)
		return pac_fail(o->why, ERR_PACKAGE_TYPE, host->file->id, PAC_NOWHERE,
				"%s is a HOST_FDL: the boot protocol of the 8910 ROM is not spoken here",
				host->file->id);
	if (!p->fdl1 || !(p->fdl1->has_file || o->opt->without_loaders))
		return pac_fail(o->why, ERR_PACKAGE_NO_LOADER, "FDL", PAC_NOWHERE,
				"there is no first loader to send");
	if (pac_two_stage(p) && (!p->fdl2 || !(p->fdl2->has_file || o->opt->without_loaders)))
		return pac_fail(o->why, ERR_PACKAGE_NO_LOADER, "FDL2", PAC_NOWHERE,
				"the product has two stages but there is no second loader to send");
	if (p->header.flash_type != 0 && !pac_two_stage(p))
		pac_doubt(p, NULL, "the header says two stages, the XML one; the XML is followed");
	if (!p->fdl1->address && p->fdl1->file->blocks == 0)
		return pac_fail(o->why, ERR_PACKAGE_SCHEME, p->fdl1->file->id, PAC_NOWHERE,
				"the first loader has no Base");
	if (p->fdl2 && !p->fdl2->address)
		return pac_fail(o->why, ERR_PACKAGE_SCHEME, p->fdl2->file->id, PAC_NOWHERE,
				"the second loader has no Base");
	return 0;
}

static void doubts_of_joining(struct opening *o)
{
	struct pac *p = o->pac;
	const struct pac_item *spl[2] = { NULL, NULL };
	uint64_t room;
	size_t i;

	for (i = 0; i + 1 < p->entries; i++)
		if (!p->entry[i].joined && p->entry[i].id[0])
			pac_doubt(p, p->entry[i].id, "the scheme does not list it: it is ignored");
	for (i = 0; i < p->doc->oddities; i++)
		pac_doubt(p, NULL, "XML %s", p->doc->oddity[i]);
	for (i = 0; i < p->items; i++) {
		const struct pac_item *item = &p->item[i];

		if (!item->ticked)
			continue;
		if (text_same(item->file->id, "SPLLoaderEMMC"))
			spl[0] = item;
		if (text_same(item->file->id, "SPLLoaderUFS"))
			spl[1] = item;
		if (item->file->class == CLASS_SPECIAL)
			pac_doubt(p, item->file->id, "type %s needs work on the host that is not done here",
				  item->file->type_text);
		if (item->file->sel_by_flash || item->file->sel_by_rf)
			pac_doubt(p, item->file->id,
				  "has variants by flash or radio chip; the plain file is used");
		if (item->partition[0] && item->has_file &&
		    scheme_table_size(&p->product->table, item->partition, &room) && item->size > room)
			pac_doubt(p, item->file->id, "%llu bytes for partition %s, which the XML gives %llu",
				  (unsigned long long)item->size, item->partition, (unsigned long long)room);
		if (item->nv && item->has_file && !p->product->nv_backup)
			pac_doubt(p, item->file->id, "NV is written, but the XML asks for no NV backup");
	}
	if (spl[0] && spl[1])
		pac_doubt(p, NULL, "one SPL for eMMC and one for UFS: the phone's storage decides");
	if (p->product->chips_enabled)
		pac_doubt(p, NULL, "the XML has file variants by chip id; the plain files are used");
	if (p->product->special_enabled && p->product->specials)
		pac_doubt(p, NULL, "the XML switches files by special texts, which is not followed");
}

int pac_join(struct opening *o)
{
	struct pac *p = o->pac;
	size_t i;
	int r;

	r = choose_product(o);
	if (r < 0)
		return r;
	p->item = calloc(p->scheme->files, sizeof(*p->item));
	if (!p->item)
		return pac_fail_memory(o->why);
	for (; p->items < p->scheme->files; p->items++)
		join_item(p, p->items);
	for (i = 0; i < p->items; i++) {
		r = check_item(o, &p->item[i]);
		if (r < 0)
			return r;
	}
	r = find_loaders(o);
	if (r == 0)
		r = check_flash_rule(o);
	if (r == 0)
		doubts_of_joining(o);
	return r;
}
