/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The merge of pac-and-flow 3.3: what only this phone has goes into the image that replaces its own. */
#include "common/util.h"
#include "pac/fail.h"
#include "pac/nv.h"
#include "pac/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#define CALI_LEN 6020u /* the known structures of versions 0xFF0A and 0xFF0B */

const char *nv_outcome_name(enum nv_outcome o)
{
	switch (o) {
	case NV_KEPT: return "kept";
	case NV_SAME: return "same";
	case NV_ABSENT: return "absent";
	case NV_NO_PLACE: return "no-place";
	case NV_NOT_LISTED: return "not-listed";
	case NV_LEFT_PACKAGE: return "package";
	case NV_FAILED: return "failed";
	}
	return "failed";
}

void nv_report_free(struct nv_report *r)
{
	free(r->row);
	*r = (struct nv_report){ 0 };
}

/* Names with an ID of their own; the longer ones first, because the vendor compares beginnings. */
static const struct known {
	const char *name;
	uint16_t id;
} known[] = {
	{ "TD_Calibration", 0x516 },	      { "LTE_Calibration", 0x9C4 }, { "W_Calibration", 0x12D },
	{ "Calibration", NV_ID_CALIBRATION }, { "IMEI", NV_ID_IMEI },	    { "BlueTooth", NV_ID_BLUETOOTH },
};

static const struct known imeis[] = {
	{ "IMEI", NV_ID_IMEI }, { "IMEI2", NV_ID_IMEI2 }, { "IMEI3", NV_ID_IMEI3 }, { "IMEI4", NV_ID_IMEI4 }
};

struct merge {
	const struct nv_image *phone, *package;
	uint8_t *out;
	struct nv_report *report, local;
	size_t room;
	struct failure *why;
};

static int note(struct merge *m, const char *name, uint16_t id, size_t core, uint32_t len, enum nv_outcome o)
{
	struct nv_report *r = m->report;
	struct nv_report_row *row;

	if (r->rows == m->room) {
		size_t room = m->room ? 2 * m->room : 64;
		struct nv_report_row *grown = realloc(r->row, room * sizeof(*grown));

		if (!grown)
			return pac_fail_memory(m->why);
		r->row = grown;
		m->room = room;
	}
	row = &r->row[r->rows++];
	*row = (struct nv_report_row){ .id = id, .core = (uint16_t)core, .len = len, .outcome = o };
	snprintf(row->name, sizeof(row->name), "%s", name);
	r->kept += o == NV_KEPT || o == NV_SAME || o == NV_NOT_LISTED;
	return 0;
}

static int refuse(struct merge *m, const char *name, uint16_t id, size_t core, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
static int refuse(struct merge *m, const char *name, uint16_t id, size_t core, const char *fmt, ...)
{
	char text[180], where[40] = "";
	va_list ap;
	int r;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	r = note(m, name, id, core, 0, NV_FAILED);
	if (r < 0)
		return r;
	if (m->package->multi)
		snprintf(where, sizeof(where), " in core %s", m->package->core[core].name);
	return pac_fail(m->why, ERR_NV_MERGE_FAILED, name, PAC_NOWHERE, "NV item 0x%x%s: %s", id, where,
			text);
}

static uint16_t word(const struct nv_image *img, const struct nv_item *item)
{
	return img->big_endian ? get_be16(img->data + item->offset) : get_le16(img->data + item->offset);
}

static bool is_calibration(uint16_t id)
{
	return id == NV_ID_CALIBRATION || id == 0x516 || id == 0x9c4 || id == 0x12d;
}

static int check_calibration(struct merge *m, const char *name, size_t core, const struct nv_item *from,
			     const struct nv_item *to)
{
	uint16_t v0, v1;

	if (from->len < 2 || to->len < 2)
		return refuse(m, name, from->id, core, "too short for a version word");
	v0 = word(m->phone, from);
	v1 = word(m->package, to);
	if (v0 < 0xff0a || v0 > 0xff0c)
		return refuse(m, name, from->id, core,
			      "the phone's calibration has version 0x%04x, known are 0xff0a to 0xff0c", v0);
	if (v0 != v1)
		return refuse(m, name, from->id, core,
			      "the phone's calibration has version 0x%04x, the package's 0x%04x", v0, v1);
	if (v0 != 0xff0c && from->len != CALI_LEN)
		return refuse(m, name, from->id, core,
			      "a calibration of version 0x%04x has %u bytes, expected %u", v0, from->len,
			      CALI_LEN);
	return 0;
}

/* Both images have it: compare lengths and rules, copy. */
static int carry(struct merge *m, const char *name, size_t core, const struct nv_item *from,
		 const struct nv_item *to, enum nv_outcome how)
{
	const uint8_t *src = m->phone->data + from->offset;
	uint8_t *dst = m->out + to->offset;
	bool other_end = m->phone->big_endian != m->package->big_endian;
	int r;

	if (from->len != to->len)
		return refuse(m, name, from->id, core, "%u bytes in the phone, %u in the package", from->len,
			      to->len);
	if (from->id == NV_ID_CALIBRATION) {
		r = check_calibration(m, name, core, from, to);
		if (r < 0)
			return r;
	}
	if (other_end && is_calibration(from->id))
		return refuse(m, name, from->id, core, "the phone's image has the other byte order");
	if (!memcmp(dst, src, from->len))
		return note(m, name, from->id, core, from->len, how == NV_KEPT ? NV_SAME : how);
	memcpy(dst, src, from->len);
	/* the Bluetooth item ends in one 16-bit word */
	if (other_end && from->id == NV_ID_BLUETOOTH && from->len >= 8) {
		dst[from->len - 2] = src[from->len - 1];
		dst[from->len - 1] = src[from->len - 2];
	}
	return note(m, name, from->id, core, from->len, how);
}

/* A listed item: everywhere the phone has it, and somewhere unless it may be absent. */
static int listed(struct merge *m, const char *name, uint16_t id, bool may_lack)
{
	bool seen = false;
	size_t core;
	int r;

	for (core = 0; core < m->phone->cores; core++) {
		const struct nv_item *from = nv_find(m->phone, core, id, NULL);
		const struct nv_item *to = nv_find(m->package, core, id, NULL);

		if (!from)
			continue;
		seen = true;
		if (!to)
			return refuse(m, name, id, core, "the phone has it, the package has no place for it");
		r = carry(m, name, core, from, to, NV_KEPT);
		if (r < 0)
			return r;
	}
	if (seen)
		return 0;
	if (!may_lack)
		return refuse(m, name, id, 0,
			      "the phone does not have it and the package does not allow that");
	return note(m, name, id, 0, 0, NV_ABSENT);
}

/* Not asked for by the list, but the phone's own: goes along wherever both have it. */
static int unlisted(struct merge *m, const struct known *k)
{
	bool imei = k->id == NV_ID_IMEI || k->id == NV_ID_IMEI2 || k->id == NV_ID_IMEI3 ||
		    k->id == NV_ID_IMEI4;
	size_t core;
	int r = 0;

	for (core = 0; r == 0 && core < m->phone->cores; core++) {
		const struct nv_item *from = nv_find(m->phone, core, k->id, NULL);
		const struct nv_item *to = nv_find(m->package, core, k->id, NULL);

		if (!from)
			continue;
		if (to && from->len == to->len)
			r = carry(m, k->name, core, from, to, NV_NOT_LISTED);
		else if (!imei || nv_item_blank(m->phone, from))
			r = note(m, k->name, k->id, core, from->len, NV_NO_PLACE);
		else if (!to)
			r = refuse(m, k->name, k->id, core,
				   "the phone has an IMEI here, the package has no place for it");
		else
			r = refuse(m, k->name, k->id, core, "%u bytes in the phone, %u in the package",
				   from->len, to->len);
	}
	return r;
}

static uint32_t id_of(const struct scheme_nv_item *item)
{
	size_t i;

	if (item->id != SCHEME_NV_DEFAULT)
		return item->id;
	for (i = 0; i < ARRAY_SIZE(known); i++)
		if (text_begins(item->name, known[i].name))
			return known[i].id;
	return SCHEME_NV_DEFAULT;
}

static bool is_listed(const struct scheme_nv_item *list, size_t items, uint16_t id)
{
	size_t i;

	for (i = 0; i < items; i++)
		if (list[i].backup && id_of(&list[i]) == id)
			return true;
	return false;
}

static int merge_all(struct merge *m, const struct scheme_nv_item *list, size_t items)
{
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < items; i++) {
		uint32_t id = id_of(&list[i]);

		if (id == SCHEME_NV_DEFAULT)
			return pac_fail(
				m->why, ERR_NV_MERGE_FAILED, list[i].name, PAC_NOWHERE,
				"the package lists NV item \"%s\" without an ID, and the name is not a known one",
				list[i].name);
		if (!list[i].backup)
			r = id == NV_ID_IMEI ? 0 : note(m, list[i].name, (uint16_t)id, 0, 0, NV_LEFT_PACKAGE);
		else
			r = listed(m, list[i].name, (uint16_t)id, list[i].carry_on);
	}
	for (i = 0; r == 0 && i < ARRAY_SIZE(imeis); i++)
		if (!is_listed(list, items, imeis[i].id))
			r = unlisted(m, &imeis[i]);
	/* a package without any list still must not take the calibration away */
	for (i = 0; r == 0 && !items && i < ARRAY_SIZE(known); i++)
		if (known[i].id != NV_ID_IMEI)
			r = unlisted(m, &known[i]);
	return r;
}

int nv_merge(const struct nv_image *phone, const struct nv_image *package, const struct scheme_nv_item *list,
	     size_t items, uint8_t **out, struct nv_report *report, struct failure *why)
{
	struct merge m = { .phone = phone, .package = package, .why = why };
	int r;

	*out = NULL;
	m.report = report ? report : &m.local;
	*m.report = (struct nv_report){ 0 };
	if (phone->multi != package->multi || phone->cores != package->cores)
		return pac_fail(why, ERR_NV_MERGE_FAILED, NULL, PAC_NOWHERE,
				"the phone's NV has %zu cores%s, the package's %zu%s", phone->cores,
				phone->multi ? " (INDX)" : "", package->cores,
				package->multi ? " (INDX)" : "");
	m.out = malloc(package->len);
	if (!m.out)
		return pac_fail_memory(why);
	memcpy(m.out, package->data, package->len);
	r = merge_all(&m, list, items);
	nv_report_free(&m.local);
	if (r < 0) {
		free(m.out);
		return r;
	}
	*out = m.out;
	return 0;
}
