/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "flash/table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/util.h"

#define GPT_HEADER_MIN 92u
#define GPT_ENTRY_MIN  128u
#define GPT_ARRAY_MAX  (1u << 20) /* bytes of an entry array that we are willing to read */
#define GPT_NAME_AT    56u

#define LIST_RECORD    76u
#define LIST_NAME      72u

static uint32_t crc32_ieee(uint32_t crc, const uint8_t *p, size_t len)
{
	crc = ~crc;
	while (len--) {
		crc ^= *p++;
		for (int i = 0; i < 8; i++)
			crc = crc >> 1 ^ (0xEDB88320u & -(crc & 1));
	}
	return ~crc;
}

const struct table_entry *table_find(const struct flash_table *t, const char *name)
{
	for (uint32_t i = 0; i < t->count; i++)
		if (!strcmp(t->entry[i].name, name))
			return &t->entry[i];
	return NULL;
}

/* Letters to put in, take out or change to get from one to the other. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[TABLE_NAME_MAX + 1], n = (unsigned)strlen(b);

	for (unsigned k = 0; k <= n; k++)
		row[k] = k;
	for (unsigned i = 1; *a; a++, i++) {
		unsigned before = row[0];

		row[0] = i;
		for (unsigned k = 1; k <= n; k++) {
			unsigned change = before + (*a != b[k - 1]);

			before = row[k];
			row[k] = MIN(change, MIN(row[k], row[k - 1]) + 1);
		}
	}
	return row[n];
}

const struct table_entry *table_near(const struct flash_table *t, const char *name)
{
	const struct table_entry *found = NULL;
	unsigned best = strlen(name) < 4 ? 2 : 3; /* fewer letters than that */

	if (strlen(name) >= TABLE_NAME_MAX)
		return NULL;
	for (uint32_t i = 0; i < t->count; i++) {
		unsigned d = distance(name, t->entry[i].name);

		if (d < best) {
			best = d;
			found = &t->entry[i];
		}
	}
	return found;
}

/*
 * The device keeps the low byte of each unit only. A name that is empty, not printable ASCII or wider than a
 * byte can not be addressed with certainty, so the table it stands in is not one to work with.
 */
static int take_name(const uint8_t *units, char name[TABLE_NAME_MAX + 1])
{
	size_t n = 0;

	for (; n < TABLE_NAME_MAX; n++) {
		uint16_t u = get_le16(units + 2 * n);

		if (!u)
			break;
		if (u < 0x20 || u > 0x7e)
			return -EBADMSG;
		name[n] = (char)u;
	}
	name[n] = 0;
	return n ? 0 : -EBADMSG;
}

struct gpt_header {
	uint64_t last_lba, first_usable, last_usable, array_lba;
	uint32_t entries, entry_size, array_crc;
};

static int gpt_header_parse(const uint8_t *p, size_t left, uint32_t sector, struct gpt_header *h)
{
	uint8_t copy[4096];
	uint32_t size;

	if (left < GPT_HEADER_MIN)
		return -EBADMSG;
	size = get_le32(p + 12);
	if (size < GPT_HEADER_MIN || size > sector || size > left)
		return -EBADMSG;
	memcpy(copy, p, size);
	memset(copy + 16, 0, 4);
	if (crc32_ieee(0, copy, size) != get_le32(p + 16))
		return -EBADMSG;
	if (get_le64(p + 24) != 1)
		return -EBADMSG;
	h->last_lba = get_le64(p + 32);
	h->first_usable = get_le64(p + 40);
	h->last_usable = get_le64(p + 48);
	h->array_lba = get_le64(p + 72);
	h->entries = get_le32(p + 80);
	h->entry_size = get_le32(p + 84);
	h->array_crc = get_le32(p + 88);
	if (h->entry_size < GPT_ENTRY_MIN || h->entry_size % 8 || h->entry_size > GPT_ARRAY_MAX ||
	    !h->entries)
		return -EBADMSG;
	if (h->entries > GPT_ARRAY_MAX / h->entry_size)
		return -EBADMSG;
	if (h->array_lba < 2 || h->array_lba > GPT_ARRAY_MAX / sector)
		return -EBADMSG;
	if (h->last_lba >= UINT64_MAX / sector || h->first_usable > h->last_usable ||
	    h->last_usable > h->last_lba)
		return -EBADMSG;
	return 0;
}

static bool overlaps(const struct flash_table *t, uint64_t start, uint64_t size)
{
	for (uint32_t i = 0; i < t->count; i++)
		if (start < t->entry[i].start + t->entry[i].size && t->entry[i].start < start + size)
			return true;
	return false;
}

static int gpt_entries(const uint8_t *array, const struct gpt_header *h, struct flash_table *t)
{
	static const uint8_t none[16];

	for (uint32_t i = 0; i < h->entries; i++) {
		const uint8_t *e = array + (size_t)i * h->entry_size;
		uint64_t first = get_le64(e + 32), last = get_le64(e + 40);
		struct table_entry *to;
		char name[TABLE_NAME_MAX + 1];

		if (!memcmp(e, none, sizeof(none)))
			continue;
		if (first > last || first < h->first_usable || last > h->last_usable)
			return -EBADMSG;
		if (take_name(e + GPT_NAME_AT, name) < 0 || table_find(t, name) || t->count == TABLE_MAX)
			return -EBADMSG;
		if (overlaps(t, first * t->sector, (last - first + 1) * t->sector))
			return -EBADMSG;
		to = &t->entry[t->count++];
		memcpy(to->name, name, sizeof(name));
		to->start = first * t->sector;
		to->size = (last - first + 1) * t->sector;
	}
	return 0;
}

int table_from_gpt(const uint8_t *bytes, size_t len, struct flash_table *t, size_t *need)
{
	static const uint32_t sectors[] = { 512, 4096 };
	bool damaged = false;

	memset(t, 0, sizeof(*t));
	*need = 0;
	/* anything at another step is a leftover: the header of a real table stands in sector 1 */
	for (size_t i = 0; i < ARRAY_SIZE(sectors); i++) {
		uint32_t sector = sectors[i];
		struct gpt_header h;
		uint64_t at, size;

		if (len < sector + GPT_HEADER_MIN || memcmp(bytes + sector, "EFI PART", 8))
			continue;
		if (gpt_header_parse(bytes + sector, len - sector, sector, &h) < 0) {
			damaged = true;
			continue;
		}
		at = h.array_lba * sector;
		size = (uint64_t)h.entries * h.entry_size;
		if (at + size > len) {
			*need = (size_t)(at + size);
			return -EAGAIN;
		}
		if (crc32_ieee(0, bytes + at, (size_t)size) != h.array_crc) {
			damaged = true;
			continue;
		}
		t->origin = TABLE_GPT;
		t->sector = sector;
		t->unit_sure = true;
		t->user_size = (h.last_lba + 1) * sector;
		if (!gpt_entries(bytes + at, &h, t))
			return 0;
		memset(t, 0, sizeof(*t));
		damaged = true;
	}
	return damaged ? -EBADMSG : -ENOENT;
}

/* How many rows of the list have, in this unit, the size that ref gives the same name. */
static uint32_t unit_matches(const struct flash_table *list, const struct flash_table *ref, uint64_t unit,
			     uint32_t *compared)
{
	uint32_t same = 0;

	*compared = 0;
	for (uint32_t i = 0; i < list->count; i++) {
		const struct table_entry *r = table_find(ref, list->entry[i].name);

		if (!r || r->size == UINT64_MAX)
			continue;
		(*compared)++;
		/* the record holds 32 bits: what is larger has wrapped */
		if (list->entry[i].size == (uint32_t)(r->size / unit))
			same++;
	}
	return same;
}

static bool all_whole(const struct flash_table *list, uint64_t per_mib)
{
	/* the last partition takes what is left and is seldom whole */
	for (uint32_t i = 0; i + 1 < list->count; i++)
		if (list->entry[i].size % per_mib)
			return false;
	return list->count > 1;
}

static uint64_t settle_unit(const struct flash_table *list, const struct flash_table *gpt,
			    uint32_t storage_sector, const struct flash_table *want, bool *sure)
{
	const struct flash_table *ref = gpt ? gpt : want;
	uint64_t hint = storage_sector == 4096 ? 8192 : storage_sector ? 1024 : 0, unit = 0;
	uint32_t kib = 0, kib8 = 0, compared = 0;

	*sure = true;
	if (ref) {
		kib = unit_matches(list, ref, 1024, &compared);
		kib8 = unit_matches(list, ref, 8192, &compared);
	}
	if (gpt) {
		/* a build that corrects the unit is thinkable: the sizes decide, the sector only where they
		 * can not */
		if (compared && kib == compared && kib8 != compared)
			return 1024;
		if (compared && kib8 == compared && kib != compared)
			return 8192;
		*sure = false;
		return gpt->sector == 4096 ? 8192 : 1024;
	}
	/* against a package's table one row may differ (that is what we want to find out), all may not */
	if (kib > kib8 && kib8 == 0 && 2 * kib >= compared)
		unit = 1024;
	else if (kib8 > kib && kib == 0 && 2 * kib8 >= compared)
		unit = 8192;
	if (unit && (!hint || hint == unit))
		return unit;
	*sure = false; /* what the storage says is a hint, and two that disagree are none */
	if (hint && !unit)
		return hint;
	return all_whole(list, 128) && !all_whole(list, 1024) ? 8192 : 1024;
}

int table_from_list(const uint8_t *bytes, size_t len, const struct flash_table *gpt, uint32_t storage_sector,
		    const struct flash_table *want, struct flash_table *t)
{
	uint64_t unit;

	memset(t, 0, sizeof(*t));
	if (!len || len % LIST_RECORD || len / LIST_RECORD > TABLE_MAX)
		return -EBADMSG;
	for (size_t at = 0; at < len; at += LIST_RECORD) {
		struct table_entry *e = &t->entry[t->count];
		char name[TABLE_NAME_MAX + 1];

		if (take_name(bytes + at, name) < 0 || table_find(t, name))
			goto bad;
		memcpy(e->name, name, sizeof(name));
		e->size = get_le32(bytes + at + LIST_NAME);
		t->count++;
	}
	t->origin = TABLE_LIST;
	unit = settle_unit(t, gpt, storage_sector, want, &t->unit_sure);
	t->unit = (uint32_t)unit;
	t->sector = gpt ? gpt->sector : t->unit_sure ? (unit == 8192 ? 4096 : 512) : storage_sector;
	t->user_size = gpt ? gpt->user_size : 0;
	for (uint32_t i = 0; i < t->count; i++) {
		const struct table_entry *g = gpt ? table_find(gpt, t->entry[i].name) : NULL;

		t->entry[i].size *= unit;
		t->entry[i].start = g ? g->start : 0;
	}
	return 0;
bad:
	memset(t, 0, sizeof(*t));
	return -EBADMSG;
}

void table_set_unit(struct flash_table *t, uint32_t unit)
{
	for (uint32_t i = 0; i < t->count && t->unit; i++)
		t->entry[i].size = t->entry[i].size / t->unit * unit;
	t->unit = unit;
	t->sector = unit == 8192 ? 4096 : 512;
	t->unit_sure = true;
}

static const char *row_text(const struct flash_table *t, uint32_t i, char *buf, size_t size)
{
	if (i >= t->count)
		return "nothing";
	if (t->entry[i].size == UINT64_MAX)
		snprintf(buf, size, "%s (the rest)", t->entry[i].name);
	else if (t->entry[i].size % (1u << 20))
		snprintf(buf, size, "%s (%" PRIu64 " KiB)", t->entry[i].name, t->entry[i].size >> 10);
	else
		snprintf(buf, size, "%s (%" PRIu64 " MiB)", t->entry[i].name, t->entry[i].size >> 20);
	return buf;
}

/* By name: what was not asked for is not missed, and what could not be measured is not wrong. */
static bool probed_agrees(const struct flash_table *phone, const struct flash_table *package, char *text,
			  size_t size)
{
	const struct table_entry *first = NULL, *have = NULL;
	uint32_t differ = 0;
	char a[80], b[80];
	int n;

	for (uint32_t i = 0; i < package->count; i++) {
		const struct table_entry *w = &package->entry[i], *p = table_find(phone, w->name);

		if (p && (w->size == UINT64_MAX || p->size == UINT64_MAX || p->size == w->size))
			continue;
		if (!differ++) {
			first = w;
			have = p;
		}
	}
	if (!differ)
		return true;
	if (!text || !size)
		return false;
	n = snprintf(text, size, "the phone has %s, the package wants %s",
		     have ? row_text(phone, (uint32_t)(have - phone->entry), a, sizeof(a)) : "nothing there",
		     row_text(package, (uint32_t)(first - package->entry), b, sizeof(b)));
	if (differ > 1 && n > 0 && (size_t)n < size)
		snprintf(text + n, size - (size_t)n, "; %" PRIu32 " more", differ - 1);
	return false;
}

const char *table_origin_name(enum table_origin origin)
{
	static const char *const names[] = { "none", "gpt", "list", "probed", "package" };

	return (unsigned)origin < ARRAY_SIZE(names) ? names[origin] : "none";
}

bool table_agrees(const struct flash_table *phone, const struct flash_table *package, char *text, size_t size)
{
	uint32_t rows = MAX(phone->count, package->count), differ = 0, first = 0;
	char a[80], b[80];

	if (text && size)
		text[0] = 0;
	if (phone->origin == TABLE_PROBED)
		return probed_agrees(phone, package, text, size);
	for (uint32_t i = 0; i < rows; i++) {
		const struct table_entry *p = i < phone->count ? &phone->entry[i] : NULL;
		const struct table_entry *w = i < package->count ? &package->entry[i] : NULL;

		if (p && w && !strcmp(p->name, w->name) && (w->size == UINT64_MAX || w->size == p->size))
			continue;
		if (!differ++)
			first = i;
	}
	if (!differ)
		return true;
	if (text && size) {
		int n = snprintf(text, size, "row %" PRIu32 ": the phone has %s, the package wants %s",
				 first + 1, row_text(phone, first, a, sizeof(a)),
				 row_text(package, first, b, sizeof(b)));

		if (differ > 1 && n > 0 && (size_t)n < size)
			snprintf(text + n, size - (size_t)n, "; %" PRIu32 " more", differ - 1);
	}
	return false;
}
