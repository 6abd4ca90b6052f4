/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pac/swap.h"

#include <inttypes.h>

#include "common/util.h"
#include "pac/crc16.h"
#include "pac/fail.h"

/* Where in the package (pac-and-flow 1.2, 1.4). */
#define HEADER_SIZE_HIGH 44u
#define HEADER_SIZE_LOW	 48u
#define HEADER_CRC1	 2120u
#define HEADER_CRC2	 2122u
#define ROW_SIZE_HIGH	 1532u
#define ROW_OFFSET_HIGH	 1536u
#define ROW_SIZE_LOW	 1540u
#define ROW_FLAG	 1544u
#define ROW_CHECK_FLAG	 1548u
#define ROW_OFFSET_LOW	 1552u

static int put_row(const struct source *src, const struct pac *pac, const struct pac_item *item,
		   const struct swap_loader *loader, struct swap *out, struct failure *why)
{
	uint64_t row_at;
	uint8_t *row = out->part[out->parts].row;
	int r;

	if (item->entry < 0)
		return pac_fail(why, ERR_PACKAGE_NO_LOADER, item->file->id, PAC_NOWHERE,
				"the table has no row for %s that a loader could be put in", item->file->id);
	if (item->address != loader->address)
		return pac_fail(why, ERR_LOADER_MISMATCH, item->file->id, PAC_NOWHERE,
				"the package loads it at 0x%" PRIx64 ", the pair is for 0x%" PRIx64,
				item->address, loader->address);
	row_at = pac_header(pac)->table_at + (uint64_t)item->entry * PAC_ENTRY_SIZE;
	r = source_read(src, row_at, row, PAC_ENTRY_SIZE);
	if (r < 0)
		return pac_fail_read(why, item->file->id, row_at, PAC_ENTRY_SIZE, r);
	put_le32(row + ROW_SIZE_HIGH, (uint32_t)(loader->size >> 32));
	put_le32(row + ROW_SIZE_LOW, (uint32_t)loader->size);
	put_le32(row + ROW_OFFSET_HIGH, (uint32_t)(out->size >> 32));
	put_le32(row + ROW_OFFSET_LOW, (uint32_t)out->size);
	put_le32(row + ROW_FLAG, 1);
	put_le32(row + ROW_CHECK_FLAG, 1);
	out->part[out->parts].row_at = row_at;
	out->part[out->parts].at = out->size;
	out->parts++;
	out->size += loader->size;
	return 0;
}

int swap_prepare(const struct source *src, const struct pac *pac, const struct swap_loader *loader,
		 size_t count, struct swap *out, struct failure *why)
{
	const struct pac_item *item[2] = { pac_fdl1(pac), pac_fdl2(pac) };
	size_t wanted = pac_two_stage(pac) ? 2 : 1;
	int r;

	memset(out, 0, sizeof(*out));
	out->size = src->size;
	if (pac_header(pac)->masked)
		return pac_fail(why, ERR_PACKAGE_MASKED, NULL, PAC_NOWHERE,
				"a masked table is read, but not written");
	if (count != wanted)
		return pac_fail(why, ERR_LOADER_MISMATCH, NULL, PAC_NOWHERE,
				"the package takes %zu loaders, there are %zu", wanted, count);
	if (src->size > UINT32_MAX - (64u << 20) && src->size <= UINT32_MAX)
		return pac_fail(why, ERR_PACKAGE_SIZE, NULL, PAC_NOWHERE,
				"with other loaders it would be larger than its layout can say");
	for (size_t i = 0; i < count; i++) {
		r = put_row(src, pac, item[i], &loader[i], out, why);
		if (r < 0)
			return r;
	}
	r = source_read(src, 0, out->header, sizeof(out->header));
	if (r < 0)
		return pac_fail_read(why, NULL, 0, sizeof(out->header), r);
	put_le32(out->header + HEADER_SIZE_HIGH, (uint32_t)(out->size >> 32));
	put_le32(out->header + HEADER_SIZE_LOW, (uint32_t)out->size);
	out->sealed = pac_header(pac)->checked;
	return 0;
}

int swap_seal(const struct source *patched, struct swap *swap, struct failure *why)
{
	_cleanup_free_ uint8_t *buf = malloc(DIGEST_CHUNK);
	uint64_t at = PAC_HEADER_SIZE;
	uint16_t crc = 0;

	if (!buf)
		return pac_fail_memory(why);
	while (swap->sealed && at < patched->size) {
		size_t n = (size_t)MIN((uint64_t)DIGEST_CHUNK, patched->size - at);
		int r = source_read(patched, at, buf, n);

		if (r < 0)
			return pac_fail_read(why, NULL, at, n, r);
		crc = crc16_arc(crc, buf, n);
		at += n;
	}
	if (!swap->sealed)
		return 0;
	put_le16(swap->header + HEADER_CRC1, crc16_arc(0, swap->header, HEADER_CRC1));
	put_le16(swap->header + HEADER_CRC2, crc);
	return 0;
}
