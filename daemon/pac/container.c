/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Header and table of the container, both layouts and the masked table (pac-and-flow 1). */
#include "common/util.h"
#include "pac/crc16.h"
#include "pac/fail.h"
#include "pac/inside.h"
#include "pac/text.h"

#include <errno.h>
#include <stdio.h>

#define MAGIC	 0xFFFAFFFAu
#define KEY_MASK 0xF8u /* complement of the low byte of the vendor's default key */

static int not_pac(struct opening *o, const uint8_t *h)
{
	const char *what = "neither the container's magic at 2116 nor a version text at 0";

	if (!memcmp(h, "PK\3\4", 4))
		what = "this is a zip archive: unpack it and give the .pac inside";
	else if (h[0] == 0x1f && h[1] == 0x8b)
		what = "this is gzip data: unpack it and give the .pac inside";
	else if (!memcmp(h, "7z\xbc\xaf\x27\x1c", 6) || !memcmp(h, "Rar!", 4) ||
		 !memcmp(h,
			 "\xfd"
			 "7zXZ",
			 5))
		what = "this is an archive: unpack it and give the .pac inside";
	else if (!memcmp(h + 257, "ustar", 5))
		what = "this is a tar archive: unpack it and give the .pac inside";
	return pac_fail(o->why, ERR_PACKAGE_NOT_PAC, NULL, 0, "%s", what);
}

static bool zero(const uint8_t *p, size_t len)
{
	while (len && !*p) {
		p++;
		len--;
	}
	return !len;
}

static void decode_header(const uint8_t *h, struct pac_header *out)
{
	text_from_utf16(out->version, sizeof(out->version), h, 22);
	text_from_utf16(out->product, sizeof(out->product), h + 52, 256);
	text_from_utf16(out->product_version, sizeof(out->product_version), h + 564, 256);
	text_from_utf16(out->product_alias, sizeof(out->product_alias), h + 1104, 100);
	out->size = (uint64_t)get_le32(h + 44) << 32 | get_le32(h + 48);
	out->entries = get_le32(h + 1076);
	out->table_at = get_le32(h + 1080);
	out->mode = get_le32(h + 1084);
	out->flash_type = get_le32(h + 1088);
	out->nand_strategy = get_le32(h + 1092);
	out->nv_backup = get_le32(h + 1096);
	out->nand_page_type = get_le32(h + 1100);
	out->oma_dm_product = get_le32(h + 1304);
	out->oma_dm = get_le32(h + 1308);
	out->preload = get_le32(h + 1312);
	out->masked = get_le16(h + 1316) == 1;
	out->crc1 = get_le16(h + 2120);
	out->crc2 = get_le16(h + 2122);
	out->checked = get_le32(h + 2116) == MAGIC;
}

/* A CRC that does not hold is an error or, on the caller's word, a doubt. */
static int bad_crc(struct opening *o, uint64_t offset, const char *text)
{
	if (!o->opt->accept_bad_crc)
		return pac_fail(o->why, ERR_PACKAGE_HEADER_CRC, NULL, offset, "%s", text);
	pac_doubt(o->pac, NULL, "%s; accepted on request", text);
	return 0;
}

static int check_crc(struct opening *o, const uint8_t *h)
{
	struct pac_header *out = &o->pac->header;
	uint16_t crc = crc16_arc(0, h, 2120);
	char text[160];

	if (!out->checked) {
		/* the oldest layout has zeros where magic and CRCs came to be; a damaged magic is not that
		 * layout */
		if (!zero(h + 1316, PAC_HEADER_SIZE - 1316)) {
			snprintf(text, sizeof(text),
				 "magic 0x%08x, expected 0x%08x, and CRC 0x%04x behind it",
				 get_le32(h + 2116), MAGIC, out->crc1);
			return bad_crc(o, 2116, text);
		}
		if (!o->opt->made)
			pac_doubt(o->pac, NULL, "the oldest layout: there is no CRC to prove the file whole");
		return 0;
	}
	out->crc1_ok = crc == out->crc1 && (crc || out->crc2);
	if (out->crc1_ok)
		return 0;
	if (!out->crc1 && !out->crc2)
		snprintf(text, sizeof(text),
			 "both CRC fields are zero: packing was interrupted or the file was edited");
	else
		snprintf(text, sizeof(text), "CRC over bytes 0 to 2119 is 0x%04x, the header says 0x%04x",
			 crc, out->crc1);
	return bad_crc(o, 2120, text);
}

static int check_size(struct opening *o)
{
	uint64_t said = o->pac->header.size, is = o->src->size;

	if (said == is)
		return 0;
	if (said > is)
		return pac_fail(
			o->why, ERR_PACKAGE_SIZE, NULL, is,
			"expected %llu bytes, found %llu: %llu are missing, the download is incomplete",
			(unsigned long long)said, (unsigned long long)is, (unsigned long long)(said - is));
	return pac_fail(o->why, ERR_PACKAGE_SIZE, NULL, said,
			"expected %llu bytes, found %llu: %llu follow the end", (unsigned long long)said,
			(unsigned long long)is, (unsigned long long)(is - said));
}

int pac_read_header(struct opening *o)
{
	struct pac_header *out = &o->pac->header;
	static const uint8_t version[] = { 'B', 0, 'P', 0, '_', 0 }; /* UTF-16LE */
	uint8_t h[PAC_HEADER_SIZE];
	size_t have;
	bool known;
	int r;

	have = (size_t)MIN(o->src->size, (uint64_t)sizeof(h));
	memset(h, 0, sizeof(h));
	r = source_read(o->src, 0, h, have);
	if (r < 0)
		return pac_fail_read(o->why, NULL, 0, have, r);
	/* cut short is only what begins as a package does */
	if (have < sizeof(h) && memcmp(h, version, MIN(have, sizeof(version))))
		return not_pac(o, h);
	if (have < sizeof(h))
		return pac_fail(o->why, ERR_PACKAGE_SIZE, NULL, o->src->size,
				"%llu bytes, the header alone has %u", (unsigned long long)o->src->size,
				PAC_HEADER_SIZE);
	decode_header(h, out);
	known = !strcmp(out->version, "BP_R1.0.0") || !strcmp(out->version, "BP_R2.0.1");
	if (!out->checked && !text_begins(out->version, "BP_"))
		return not_pac(o, h);
	r = check_crc(o, h);
	if (r < 0)
		return r;
	if (!out->version[0])
		return pac_fail(o->why, ERR_PACKAGE_NOT_PAC, NULL, 0, "there is no version text");
	if (!known)
		pac_doubt(o->pac, NULL, "version \"%s\" is neither BP_R1.0.0 nor BP_R2.0.1", out->version);
	r = check_size(o);
	if (r < 0)
		return r;
	if (!out->entries || out->entries > PAC_ENTRIES_MAX)
		return pac_fail(o->why, ERR_PACKAGE_TABLE, NULL, 1076, "%u entries, 1 to %u expected",
				out->entries, PAC_ENTRIES_MAX);
	if (out->table_at < PAC_HEADER_SIZE || out->table_at > out->size ||
	    (uint64_t)out->entries * PAC_ENTRY_SIZE > out->size - out->table_at)
		return pac_fail(
			o->why, ERR_PACKAGE_TABLE, NULL, 1080,
			"a table of %u entries at %llu does not lie between byte %u and the end at %llu",
			out->entries, (unsigned long long)out->table_at, PAC_HEADER_SIZE,
			(unsigned long long)out->size);
	if (out->table_at != PAC_HEADER_SIZE)
		pac_doubt(o->pac, NULL, "the table begins at %llu instead of %u",
			  (unsigned long long)out->table_at, PAC_HEADER_SIZE);
	if (out->mode)
		pac_doubt(o->pac, NULL, "mode %u: packages for two phones in one are not known", out->mode);
	if (out->masked) {
		/* kept for the table: the CRC of its plain form and both lengths */
		uint32_t plain = get_le32(h + 1320), stored = get_le32(h + 1324);

		if (plain != out->entries * PAC_ENTRY_SIZE || stored != plain)
			return pac_fail(
				o->why, ERR_PACKAGE_MASKED, NULL, 1320,
				"a masked table of %u bytes, stored in %u, for %u entries of %u bytes", plain,
				stored, out->entries, PAC_ENTRY_SIZE);
	}
	return 0;
}

/* ---- the table ---- */

static uint16_t masked_crc(const uint8_t *table, size_t len, uint8_t mask, uint8_t *out)
{
	size_t i;

	for (i = 0; i < len; i++)
		out[i] = table[i] ^ mask;
	return crc16_arc(0, out, len);
}

/* One byte masks all; the vendor's own first, then whatever else makes the CRC of the plain table right. */
static int unmask(struct opening *o, uint8_t *table, size_t len)
{
	_cleanup_free_ uint8_t *plain = NULL;
	uint8_t field[2];
	unsigned i;
	int r;

	r = source_read(o->src, 1318, field, sizeof(field));
	if (r < 0)
		return pac_fail_read(o->why, NULL, 1318, sizeof(field), r);
	plain = malloc(len);
	if (!plain)
		return pac_fail_memory(o->why);
	for (i = 0; i <= 256; i++) {
		uint8_t mask = i ? (uint8_t)(i - 1) : KEY_MASK;

		/* the length of an entry, in every entry, tells most masks apart without a pass over the
		 * table */
		if ((table[0] ^ mask) != (PAC_ENTRY_SIZE & 0xff) ||
		    masked_crc(table, len, mask, plain) != get_le16(field))
			continue;
		memcpy(table, plain, len);
		o->pac->header.mask = mask;
		return 0;
	}
	return pac_fail(o->why, ERR_PACKAGE_MASKED, NULL, o->pac->header.table_at,
			"none of the 256 masks gives a table with CRC 0x%04x", get_le16(field));
}

static int decode_entry(struct opening *o, const uint8_t *e, size_t i)
{
	struct pac_entry *out = &o->pac->entry[i];
	const struct pac_header *h = &o->pac->header;
	uint64_t at = h->table_at + i * PAC_ENTRY_SIZE,
		 table_end = h->table_at + (uint64_t)h->entries * PAC_ENTRY_SIZE;
	char name[PAC_NAME_MAX];
	size_t a;

	if (get_le32(e) != PAC_ENTRY_SIZE)
		return pac_fail(o->why, ERR_PACKAGE_TABLE, NULL, at,
				"entry %zu of %u says it has %u bytes, expected %u", i + 1, h->entries,
				get_le32(e), PAC_ENTRY_SIZE);
	if (!text_from_utf16(out->id, sizeof(out->id), e + 4, 256))
		pac_doubt(o->pac, out->id, "its ID is cut");
	text_from_utf16(name, sizeof(name), e + 516, 256);
	text_clean(out->name, sizeof(out->name), text_base_name(name));
	if (strcmp(out->name, name))
		pac_doubt(o->pac, out->id, "its file name carries a path, which is ignored");
	out->size = (uint64_t)get_le32(e + 1532) << 32 | get_le32(e + 1540);
	out->offset = (uint64_t)get_le32(e + 1536) << 32 | get_le32(e + 1552);
	out->flag = get_le32(e + 1544);
	out->check_flag = get_le32(e + 1548);
	out->can_omit = get_le32(e + 1556) != 0;
	out->addrs = MIN(get_le32(e + 1560), 5u);
	for (a = 0; a < 5; a++)
		out->addr[a] = get_le32(e + 1564 + 4 * a);
	if (out->size && (out->offset > h->size || out->size > h->size - out->offset))
		return pac_fail(o->why, ERR_PACKAGE_TABLE, out->id[0] ? out->id : out->name, at + 1540,
				"payload at %llu with %llu bytes leads past the end at %llu",
				(unsigned long long)out->offset, (unsigned long long)out->size,
				(unsigned long long)h->size);
	if (out->size && out->offset < table_end)
		return pac_fail(o->why, ERR_PACKAGE_TABLE, out->id[0] ? out->id : out->name, at + 1552,
				"payload at %llu lies in the header or table, which end at %llu",
				(unsigned long long)out->offset, (unsigned long long)table_end);
	return 0;
}

/* Payloads one after the other in table order is what every packer makes; anything else only warns. */
static void look_at_layout(struct opening *o)
{
	const struct pac_header *h = &o->pac->header;
	uint64_t at = h->table_at + (uint64_t)h->entries * PAC_ENTRY_SIZE;
	size_t i;

	for (i = 0; i < o->pac->entries; i++) {
		const struct pac_entry *e = &o->pac->entry[i];

		if (!e->size)
			continue;
		if (e->offset != at) {
			pac_doubt(
				o->pac, e->id[0] ? e->id : e->name,
				"its payload begins at %llu instead of %llu: payloads are not in table order, or leave gaps",
				(unsigned long long)e->offset, (unsigned long long)at);
			return;
		}
		at += e->size;
	}
	if (at != h->size)
		pac_doubt(o->pac, NULL, "%llu bytes behind the last payload belong to nothing",
			  (unsigned long long)(h->size - at));
}

int pac_read_table(struct opening *o)
{
	const struct pac_header *h = &o->pac->header;
	size_t len = (size_t)h->entries * PAC_ENTRY_SIZE, i;
	_cleanup_free_ uint8_t *table = malloc(len);
	int r;

	o->pac->entry = calloc(h->entries, sizeof(*o->pac->entry));
	if (!table || !o->pac->entry)
		return pac_fail_memory(o->why);
	r = source_read(o->src, h->table_at, table, len);
	if (r < 0)
		return pac_fail_read(o->why, NULL, h->table_at, len, r);
	if (h->masked) {
		r = unmask(o, table, len);
		if (r < 0)
			return r;
	}
	for (i = 0; i < h->entries; i++) {
		o->pac->entries++;
		r = decode_entry(o, table + i * PAC_ENTRY_SIZE, i);
		if (r < 0)
			return r;
	}
	look_at_layout(o);
	return 0;
}

int pac_read_xml(struct opening *o)
{
	struct pac *p = o->pac;
	const struct pac_entry *e = &p->entry[p->entries - 1];
	int r;

	/* the last entry, with an empty ID and flag 2 */
	if (e->id[0] || !e->size || (e->flag & 0xff) == 1)
		return pac_fail(o->why, ERR_PACKAGE_XML, e->id, e->offset,
				"the last entry (ID \"%s\", flag 0x%x, %llu bytes) is not the XML", e->id,
				e->flag, (unsigned long long)e->size);
	if (e->size > PAC_XML_MAX)
		return pac_fail(o->why, ERR_PACKAGE_XML, e->name, e->offset, "%llu bytes, more than %u",
				(unsigned long long)e->size, PAC_XML_MAX);
	p->xml_len = (size_t)e->size;
	p->xml = malloc(p->xml_len + 1);
	if (!p->xml)
		return pac_fail_memory(o->why);
	r = source_read(o->src, e->offset, p->xml, p->xml_len);
	if (r < 0)
		return pac_fail_read(o->why, e->name, e->offset, e->size, r);
	p->xml[p->xml_len] = '\0';
	r = scheme_parse(p->xml, p->xml_len, &p->doc, o->why);
	if (r < 0 && o->why && !o->why->entry[0])
		snprintf(o->why->entry, sizeof(o->why->entry), "%.39s", e->name);
	if (r < 0 && o->why && o->why->has_offset)
		o->why->offset += e->offset;
	return r;
}
