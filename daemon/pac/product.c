/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The Product half of the XML: switches, NV items, partition table, variants (pac-and-flow 2.2 to 2.4). */
#include "common/util.h"
#include "pac/build.h"
#include "pac/fail.h"
#include "pac/text.h"

#include <errno.h>

static uint32_t unit_bytes(unsigned unit)
{
	static const uint32_t bytes[] = { 1u << 20, 512u << 10, 1u << 10, 1, 0 };

	return bytes[unit];
}

static int build_partition(struct build *b, const struct xml_node *n, struct scheme_table *t, bool last)
{
	struct scheme_partition *p = &t->part[t->parts];
	const char *id = xml_attr(n, "id"), *size = xml_attr(n, "size"), *gap = xml_attr(n, "gap");
	int64_t v;
	size_t i;
	int r;

	r = build_partition_name(b, n, id ? id : "", p->name);
	if (r < 0)
		return r;
	for (i = 0; i < t->parts; i++)
		if (!strcmp(t->part[i].name, p->name))
			return build_fail(b, ERR_PACKAGE_PARTITIONS, p->name, n,
					  "partition %s is listed twice", p->name);
	if (!size || !build_number(size, &v) || v < -1)
		return build_fail(b, ERR_PACKAGE_PARTITIONS, p->name, n, "partition %s has no usable size",
				  p->name);
	if (v == -1 || v == 0xffffffff) {
		if (!last)
			return build_fail(b, ERR_PACKAGE_PARTITIONS, p->name, n,
					  "partition %s takes the rest of the device but is not the last one",
					  p->name);
		p->size = SCHEME_REST;
	} else {
		p->size = (uint64_t)v;
		if (!v)
			return build_fail(b, ERR_PACKAGE_PARTITIONS, p->name, n, "partition %s has size 0",
					  p->name);
		if (t->unit_bytes && p->size > INT64_MAX / t->unit_bytes)
			return build_fail(b, ERR_PACKAGE_PARTITIONS, p->name, n,
					  "partition %s: size 0x%llx is absurd", p->name,
					  (unsigned long long)p->size);
		/* the device tells "rest" by the low 32 bits alone (bsl-protocol 12) */
		if (t->v1 && (uint32_t)(t->unit_bytes ? p->size * t->unit_bytes : p->size) == UINT32_MAX)
			return build_fail(b, ERR_PACKAGE_PARTITIONS, p->name, n,
					  "partition %s: size 0x%llx would be taken for \"the rest\"",
					  p->name, (unsigned long long)p->size);
		if (!t->v1 && p->size >= UINT32_MAX)
			return build_fail(b, ERR_PACKAGE_PARTITIONS, p->name, n,
					  "partition %s: %llu MiB do not fit 32 bits", p->name,
					  (unsigned long long)p->size);
	}
	if (gap && (!build_number(gap, &v) || (t->unit_bytes && (v > INT64_MAX / t->unit_bytes ||
								 v < -(INT64_MAX / (int64_t)t->unit_bytes)))))
		return build_fail(b, ERR_PACKAGE_PARTITIONS, p->name, n,
				  "partition %s: the gap is no usable number", p->name);
	if (gap && t->v1)
		p->gap = v;
	else if (gap && v)
		build_odd(b, n, "partition %s: a gap without unit is ignored", p->name);
	t->parts++;
	return 0;
}

int build_table(struct build *b, const struct xml_node *n, struct scheme_table *t)
{
	const struct xml_node *p;
	const char *unit = xml_attr(n, "unit");
	size_t count = xml_count(n, "Partition");
	int64_t v = 0;
	int r;

	t->present = true;
	t->v1 = unit != NULL;
	if (unit && (!build_number(unit, &v) || v < 0 || v > 4))
		return build_fail(b, ERR_PACKAGE_PARTITIONS, NULL, n,
				  "the unit of the table is none of 0 to 4");
	t->unit = (unsigned)v;
	t->unit_bytes = unit_bytes(t->unit);
	if (!count || count > SCHEME_PARTS_MAX)
		return build_fail(b, ERR_PACKAGE_PARTITIONS, NULL, n, "%zu partitions, 1 to %u expected",
				  count, SCHEME_PARTS_MAX);
	r = build_rows(b, n, count, sizeof(*t->part), &t->part);
	for (p = xml_child(n, "Partition"); r == 0 && p; p = xml_next(p))
		r = build_partition(b, p, t, t->parts + 1 == count);
	return r;
}

bool scheme_table_size(const struct scheme_table *t, const char *name, uint64_t *bytes)
{
	size_t i;

	for (i = 0; i < t->parts; i++) {
		const struct scheme_partition *p = &t->part[i];

		if (strcmp(p->name, name))
			continue;
		if (p->size == SCHEME_REST || !t->unit_bytes)
			return false;
		*bytes = p->size * t->unit_bytes;
		return true;
	}
	return false;
}

static int build_nv_item(struct build *b, const struct xml_node *n, struct scheme_nv_item *item)
{
	const struct xml_node *flags = xml_child(n, "BackupFlag"), *f;
	const char *name = xml_attr(n, "name"), *scene = xml_attr(n, "scene");
	uint64_t id;
	bool odd;

	if (!text_clean(item->name, sizeof(item->name), name ? name : ""))
		build_odd(b, n, "NV item %s: the name is cut", item->name);
	text_clean(item->scene, sizeof(item->scene), scene ? scene : "");
	item->backup = build_flag(xml_attr(n, "backup"));
	if (build_hex(xml_text(n, "ID"), &id, &odd) < 0 || (id > 0xffff && id != SCHEME_NV_DEFAULT))
		return build_fail(b, ERR_PACKAGE_SCHEME, item->name, n,
				  "NV item %s: the ID is not within 16 bits", item->name);
	if (odd || !*xml_text(n, "ID"))
		return build_fail(b, ERR_PACKAGE_SCHEME, item->name, n,
				  "NV item %s: the ID is not written as 0x...", item->name);
	item->id = (uint32_t)id;
	item->use_flags = build_flag(xml_attr(flags, "use"));
	for (f = xml_child(flags, "NVFlag"); f; f = xml_next(f)) {
		const char *flag = xml_attr(f, "name");
		bool on = build_flag(xml_attr(f, "check"));

		if (flag && text_same(flag, "Continue"))
			item->carry_on = on && item->use_flags;
		else if (flag && text_same(flag, "Replace"))
			item->replace = on;
		else
			build_odd(b, f, "NV item %s has a flag that is not known", item->name);
	}
	return 0;
}

static int build_named_ids(struct build *b, const struct xml_node *n, const char *child,
			   struct scheme_named_id **rows, size_t *count)
{
	const struct xml_node *c;
	int r = build_rows(b, n, xml_count(n, child), sizeof(**rows), rows);

	for (c = xml_child(n, child); r == 0 && c; c = xml_next(c)) {
		struct scheme_named_id *row = &(*rows)[(*count)++];
		const char *id = xml_attr(c, "id"), *name = xml_attr(c, "name");
		int64_t v = 0;

		if (!id || !build_number(id, &v) || v < 0 || v > UINT32_MAX)
			build_odd(b, c, "%s has no usable id", child);
		else
			row->id = (uint32_t)v;
		text_clean(row->name, sizeof(row->name), name ? name : "");
	}
	return r;
}

static int build_specials(struct build *b, const struct xml_node *n, struct scheme_product *p)
{
	const struct xml_node *s, *l;
	int r = build_rows(b, n, xml_count(n, "SString"), sizeof(*p->special), &p->special);

	for (s = xml_child(n, "SString"); r == 0 && s; s = xml_next(s)) {
		struct scheme_special *row = &p->special[p->specials++];
		const char *name = xml_attr(s, "name"), *content = xml_attr(s, "content"),
			   *included = xml_attr(s, "included");

		text_clean(row->name, sizeof(row->name), name ? name : "");
		text_clean(row->content, sizeof(row->content), content ? content : "");
		text_clean(row->included, sizeof(row->included), included ? included : "");
		for (l = xml_child(s, "LinkedFile"); l; l = xml_next(l)) {
			const char *id = xml_attr(l, "id");

			if (row->links == ARRAY_SIZE(row->link)) {
				build_odd(b, l, "special text %s links more than %zu files", row->name,
					  row->links);
				break;
			}
			text_clean(row->link[row->links].id, sizeof(row->link[0].id), id ? id : "");
			row->link[row->links++].download = build_flag(xml_attr(l, "download"));
		}
	}
	return r;
}

static int build_ext(struct build *b, const struct xml_node *n, struct scheme_product *p)
{
	const struct xml_node *group, *c;
	size_t count = 0;
	int r;

	for (group = xml_child(n, "PartitionType"); group; group = xml_next(group))
		count += xml_count(group, "Partition");
	r = build_rows(b, n, count, sizeof(*p->ext), &p->ext);
	for (group = xml_child(n, "PartitionType"); r == 0 && group; group = xml_next(group)) {
		const char *tag = xml_attr(group, "tag");

		if (!tag || strcmp(tag, "paty"))
			build_odd(b, group, "a PartitionType has a tag other than \"paty\"");
		for (c = xml_child(group, "Partition"); r == 0 && c; c = xml_next(c)) {
			struct scheme_ext *row = &p->ext[p->exts++];
			const char *id = xml_attr(c, "id"), *id2 = xml_attr(c, "id2"),
				   *type = xml_attr(c, "type"), *size = xml_attr(c, "size");
			int64_t v = 0, s = 0;

			r = build_partition_name(b, c, id ? id : "", row->id);
			if (r == 0 && id2 && *id2)
				r = build_partition_name(b, c, id2, row->id2);
			if (r == 0 && (!type || !build_number(type, &v) || v < 0 || v > 2 ||
				       (size && (!build_number(size, &s) || s < 0 || s > UINT32_MAX))))
				r = build_fail(b, ERR_PACKAGE_PARTITIONS, row->id, c,
					       "row %s of ExtTable has no usable type or size", row->id);
			row->type = (unsigned)v;
			row->size = (uint32_t)s;
		}
	}
	return r;
}

int build_product(struct build *b, const struct xml_node *n, struct scheme_product *p)
{
	const struct xml_node *nv = xml_child(n, "NVBackup"), *c;
	const char *name = xml_attr(n, "name"), *enable = xml_attr(n, "enable");
	int r;

	if (!text_clean(p->name, sizeof(p->name), name ? name : "") || !p->name[0])
		return build_fail(b, ERR_PACKAGE_PRODUCT, NULL, n, "a Product has %s",
				  p->name[0] ? "a name of more than 127 bytes" : "no name");
	text_clean(p->scheme, sizeof(p->scheme), xml_text(n, "SchemeName"));
	text_clean(p->comment, sizeof(p->comment), xml_text(n, "ProductComment"));
	p->enabled = !enable || build_flag(enable);
	p->flash_type = build_int(b, n, "FlashTypeID");
	p->mode = build_int(b, n, "Mode");
	p->nv_base_change = build_int(b, n, "NvBaseAddrChangeFlag");
	p->nv_new_base = build_int(b, n, "NvNewBasePosition");
	p->nv_org = build_int(b, n, "NVOrgFlag");
	p->nv_org_base = build_int(b, n, "NVOrgBasePosition");
	p->oma_dm = build_int(b, n, "OmaDMFlag");
	p->reboot_by_at = build_flag(xml_text(n, "RebootByAT"));
	p->power_off = build_flag(xml_text(n, "PowerOff"));
	p->apr = build_flag(xml_text(n, "APR"));
	p->nv_backup = build_flag(xml_attr(nv, "backup"));
	r = build_rows(b, n, xml_count(nv, "NVItem"), sizeof(*p->nv), &p->nv);
	for (c = xml_child(nv, "NVItem"); r == 0 && c; c = xml_next(c))
		r = build_nv_item(b, c, &p->nv[p->nvs++]);
	c = xml_child(n, "Partitions");
	if (r == 0 && c)
		r = build_table(b, c, &p->table);
	c = xml_child(n, "Chips");
	p->chips_enabled = build_flag(xml_attr(c, "enable"));
	if (r == 0)
		r = build_named_ids(b, c, "ChipItem", &p->chip, &p->chips);
	c = xml_child(n, "RF");
	p->rf_enabled = build_flag(xml_attr(c, "enable"));
	if (r == 0)
		r = build_named_ids(b, c, "Transceiver", &p->rf, &p->rfs);
	c = xml_child(n, "SpecialStrings");
	p->special_enabled = build_flag(xml_attr(c, "enable"));
	if (r == 0)
		r = build_specials(b, c, p);
	if (r == 0)
		r = build_ext(b, xml_child(n, "ExtTable"), p);
	return r;
}

void build_product_free(struct scheme_product *p)
{
	free(p->nv);
	free(p->table.part);
	free(p->chip);
	free(p->rf);
	free(p->special);
	free(p->ext);
}
