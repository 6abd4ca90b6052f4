/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pac/nv.h"
#include "common/util.h"
#include "pac/crc16.h"
#include "pac/fail.h"

#include <errno.h>
#include <stdio.h>

#define NV_END	   0xffffu
#define NV_PADDING 0xfffeu
#define INDX_MAGIC 0x58444E49u
#define INDX_ROW   24u
#define IMEI_LEN   8u

size_t nv_flash_header(const uint8_t *data, size_t size, size_t *len)
{
	size_t skip = 0, left = size;

	if (size > NV_FLASH_HEADER && get_le32(data) == NV_FLASH_MAGIC) {
		uint32_t recorded = get_le32(data + 4);
		bool fits = recorded >= 4 && recorded <= size - NV_FLASH_HEADER;

		/* by its length or its version; a bare image may begin with these four bytes by chance */
		if (fits || get_le32(data + 12) == 101) {
			skip = NV_FLASH_HEADER;
			left = fits ? recorded : size - skip;
		}
	}
	if (len)
		*len = left;
	return skip;
}

struct reader {
	const uint8_t *data;
	size_t len;
	bool big;
	struct failure *why;
};

static uint16_t u16(const struct reader *rd, size_t at)
{
	return rd->big ? get_be16(rd->data + at) : get_le16(rd->data + at);
}

static uint32_t u32(const struct reader *rd, size_t at)
{
	return rd->big ? get_be32(rd->data + at) : get_le32(rd->data + at);
}

static bool filled(const uint8_t *p, size_t len, uint8_t byte)
{
	while (len && *p == byte) {
		p++;
		len--;
	}
	return !len;
}

static int add_item(struct nv_core *core, size_t *room, uint16_t id, uint16_t len, size_t offset,
		    struct failure *why)
{
	if (core->items == *room) {
		size_t more = *room ? 2 * *room : 64;
		struct nv_item *grown = realloc(core->item, more * sizeof(*grown));

		if (!grown)
			return pac_fail_memory(why);
		core->item = grown;
		*room = more;
	}
	core->item[core->items++] = (struct nv_item){ .id = id, .len = len, .offset = (uint32_t)offset };
	return 0;
}

/* Items from begin up to end at most. */
static int parse_stream(const struct reader *rd, size_t begin, size_t end, struct nv_core *core)
{
	size_t at = begin, room = 0;
	int r;

	while (at < end) {
		uint16_t id, len;
		size_t padded;

		if (end - at < 4) {
			if (!filled(rd->data + at, end - at, 0xff))
				return pac_fail(rd->why, ERR_NV_INVALID, core->name, at,
						"%zu stray bytes where an item should begin", end - at);
			break;
		}
		id = u16(rd, at);
		len = u16(rd, at + 2);
		if (id == NV_END) {
			core->terminated = true;
			core->end = (uint32_t)at + 4;
			return 0;
		}
		if (!id && !len)
			return pac_fail(rd->why, ERR_NV_INVALID, core->name, at,
					"item 0 with length 0 after %zu items", core->items);
		if (len > end - at - 4)
			return pac_fail(rd->why, ERR_NV_INVALID, core->name, at,
					"item 0x%x has %u bytes, %zu are left", id, len, end - at - 4);
		if (core->items == NV_ITEMS_MAX)
			return pac_fail(rd->why, ERR_NV_INVALID, core->name, at, "more than %u items",
					NV_ITEMS_MAX);
		if (id != NV_PADDING) {
			r = add_item(core, &room, id, len, at + 4, rd->why);
			if (r < 0)
				return r;
		}
		padded = ((size_t)len + 3) & ~(size_t)3;
		at += 4 + MIN(padded, end - at - 4);
	}
	core->end = (uint32_t)end;
	return 0;
}

static int parse_multi(const struct reader *rd, struct nv_image *img)
{
	uint16_t len = u16(rd, 6), count, i;
	int r;

	if (len < 8 || len > rd->len - 8)
		return pac_fail(rd->why, ERR_NV_INVALID, "INDX", 4, "an index of %u bytes in an image of %zu",
				len, rd->len);
	count = u16(rd, 14);
	if (!count || count > NV_CORES_MAX || (size_t)count * INDX_ROW > len - 8u)
		return pac_fail(rd->why, ERR_NV_INVALID, "INDX", 14, "%u cores in an index of %u bytes",
				count, len);
	img->multi = true;
	img->true_len = 8u + len;
	img->core = calloc(count, sizeof(*img->core));
	if (!img->core)
		return pac_fail_memory(rd->why);
	for (i = 0; i < count; i++) {
		struct nv_core *core = &img->core[img->cores++];
		size_t row = 16 + (size_t)i * INDX_ROW, c;

		for (c = 0; c < 16 && rd->data[row + c] > 0x20 && rd->data[row + c] < 0x7f; c++)
			core->name[c] = (char)rd->data[row + c];
		core->offset = u32(rd, row + 16);
		core->size = u32(rd, row + 20);
		if (core->offset < 8u + len || core->offset > rd->len || core->size > rd->len - core->offset)
			return pac_fail(rd->why, ERR_NV_INVALID, core->name, row + 16,
					"core %u at 0x%x, %u bytes, lies outside the image of %zu", i,
					core->offset, core->size, rd->len);
		r = parse_stream(rd, core->offset, (size_t)core->offset + core->size, core);
		if (r < 0)
			return r;
		img->true_len = MAX(img->true_len, core->offset + core->size);
	}
	return 0;
}

static int parse_as(const struct reader *rd, struct nv_image *img)
{
	int r;

	*img = (struct nv_image){ .data = rd->data, .len = rd->len, .big_endian = rd->big };
	if (rd->len >= 16 && u16(rd, 4) == 0 && u32(rd, 8) == INDX_MAGIC) {
		r = parse_multi(rd, img);
	} else {
		img->core = calloc(1, sizeof(*img->core));
		if (!img->core)
			return pac_fail_memory(rd->why);
		img->cores = 1;
		img->core->offset = 4;
		img->core->size = (uint32_t)(rd->len - 4);
		r = parse_stream(rd, 4, rd->len, img->core);
		img->true_len = img->core->end;
		if (r == 0 && !img->core->items)
			r = pac_fail(rd->why, ERR_NV_INVALID, NULL, 4, "there is not a single item");
	}
	if (r < 0)
		nv_free(img);
	return r;
}

/*
 * A wrong reading often ends well, because any chain of lengths that lands in the fill finds a terminator
 * there. The IMEI item, which every image must have, tells the right one.
 */
static bool convincing(const struct nv_image *img)
{
	const struct nv_item *imei = nv_find(img, NV_ANY_CORE, NV_ID_IMEI, NULL);

	return imei && imei->len == IMEI_LEN;
}

int nv_parse(const uint8_t *data, size_t len, struct nv_image *img, struct failure *why)
{
	struct reader little = { data, len, false, why }, big = { data, len, true, NULL };
	struct nv_image other;
	int r;

	*img = (struct nv_image){ 0 };
	if (len < 8 || len > NV_SIZE_MAX)
		return pac_fail(why, ERR_NV_INVALID, NULL, PAC_NOWHERE, "%zu bytes, 8 to %u expected", len,
				NV_SIZE_MAX);
	r = parse_as(&little, img);
	if ((r == 0 && convincing(img)) || parse_as(&big, &other) < 0)
		return r;
	if (!convincing(&other)) {
		nv_free(&other);
		return r;
	}
	nv_free(img);
	*img = other;
	if (r < 0 && why)
		*why = (struct failure){ 0 };
	return 0;
}

void nv_free(struct nv_image *img)
{
	size_t i;

	for (i = 0; i < img->cores; i++)
		free(img->core[i].item);
	free(img->core);
	*img = (struct nv_image){ 0 };
}

static void swap_words(uint8_t *data, size_t len)
{
	size_t i;

	for (i = 0; i + 4 <= len; i += 4)
		put_be32(data + i, get_le32(data + i));
}

int nv_parse_device(uint8_t *data, size_t len, struct nv_image *img, bool *swapped, struct failure *why)
{
	struct failure first = { 0 };
	int r = nv_parse(data, len, img, &first);

	if (swapped)
		*swapped = false;
	if (r == 0 && convincing(img))
		return 0;
	if (r == 0)
		nv_free(img);
	swap_words(data, len);
	if (nv_parse(data, len, img, NULL) == 0) {
		if (convincing(img)) {
			if (swapped)
				*swapped = true;
			return 0;
		}
		nv_free(img);
	}
	swap_words(data, len);
	if (r == 0)
		return nv_parse(data, len, img, why);
	if (why)
		*why = first;
	return r;
}

const struct nv_item *nv_find(const struct nv_image *img, size_t core, uint16_t id, size_t *at)
{
	size_t c = core == NV_ANY_CORE ? 0 : core, end = core == NV_ANY_CORE ? img->cores : core + 1, i;

	for (; c < end && c < img->cores; c++)
		for (i = 0; i < img->core[c].items; i++)
			if (img->core[c].item[i].id == id) {
				if (at)
					*at = c;
				return &img->core[c].item[i];
			}
	return NULL;
}

bool nv_item_blank(const struct nv_image *img, const struct nv_item *item)
{
	return filled(img->data + item->offset, item->len, 0x00) ||
	       filled(img->data + item->offset, item->len, 0xff);
}

int nv_sane(const struct nv_image *img, bool modern, bool *doubt, struct failure *why)
{
	const struct nv_item *imei = nv_find(img, NV_ANY_CORE, NV_ID_IMEI, NULL);
	const struct nv_item *cali = nv_find(img, NV_ANY_CORE, NV_ID_CALIBRATION, NULL);
	uint16_t version;

	if (doubt)
		*doubt = false;
	if (!imei)
		return pac_fail(why, ERR_NV_INVALID, "IMEI", PAC_NOWHERE, "there is no item 0x5");
	if (imei->len != IMEI_LEN)
		return pac_fail(why, ERR_NV_INVALID, "IMEI", imei->offset,
				"item 0x5 has %u bytes, expected %u", imei->len, IMEI_LEN);
	if (!cali) {
		if (!modern)
			return pac_fail(why, ERR_NV_INVALID, "Calibration", PAC_NOWHERE,
					"there is no item 0x2");
		if (doubt)
			*doubt = true;
		return 0;
	}
	if (cali->len < 2)
		return pac_fail(why, ERR_NV_INVALID, "Calibration", cali->offset, "item 0x2 has %u bytes",
				cali->len);
	version = img->big_endian ? get_be16(img->data + cali->offset) : get_le16(img->data + cali->offset);
	if (version < 0xff0a || version > 0xff0c)
		return pac_fail(why, ERR_NV_INVALID, "Calibration", cali->offset,
				"version word 0x%04x, expected 0xff0a to 0xff0c", version);
	return 0;
}

uint32_t nv_sum(const uint8_t *data, size_t len)
{
	uint32_t sum = 0;

	while (len--)
		sum += *data++;
	return sum;
}

int nv_seal(uint8_t *data, size_t len, uint32_t *sum)
{
	if (len < 4)
		return -EINVAL;
	put_be16(data, crc16_arc(0, data + 2, len - 2));
	*sum = nv_sum(data, len);
	return *sum ? 0 : -ERANGE;
}

bool nv_crc_ok(const uint8_t *data, size_t len)
{
	return len >= 4 && get_be16(data) == crc16_arc(0, data + 2, len - 2);
}

unsigned nv_calibrations(const struct nv_image *img)
{
	return (nv_find(img, NV_ANY_CORE, NV_ID_CALIBRATION, NULL) ? CALI_GSM : 0u) |
	       (nv_find(img, NV_ANY_CORE, 0x516, NULL) ? CALI_TD : 0u) |
	       (nv_find(img, NV_ANY_CORE, 0x12d, NULL) ? CALI_WCDMA : 0u) |
	       (nv_find(img, NV_ANY_CORE, 0x9c4, NULL) ? CALI_LTE : 0u);
}

int nv_compare(const uint8_t *want, size_t want_len, const uint8_t *got, size_t got_len, size_t *offset)
{
	size_t i;

	for (i = 4; i < want_len && i < got_len && want[i] == got[i]; i++)
		;
	if (i >= want_len)
		return 0;
	*offset = i;
	return 1;
}
