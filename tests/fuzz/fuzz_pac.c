/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A whole package from hostile bytes. The sizes and CRCs that a mutation breaks are mended first, or nothing
 * behind them would ever be reached; the first byte says how much.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "pac/crc16.h"
#include "pac/pac.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void mend(uint8_t *p, size_t len)
{
	if (len < PAC_HEADER_SIZE)
		return;
	if (p[0] & 1)
		memcpy(p, "B\0P\0_\0R\0001\0.\0000\0.\0000\0\0", 20);
	put_le32(p + 44, 0);
	put_le32(p + 48, (uint32_t)len);
	put_le32(p + 2116, 0xfffafffa);
	put_le16(p + 2122, crc16_arc(0, p + 2124, len - 2124));
	put_le16(p + 2120, crc16_arc(0, p, 2120));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pac_options opt = { 0 };
	struct pac_body *body;
	struct failure why;
	struct source src;
	struct pac *p;
	uint8_t *copy;

	if (size < 1)
		return 0;
	opt.accept_bad_crc = data[0] & 1;
	opt.accept_mismatch = data[0] & 2;
	copy = malloc(size);
	if (!copy)
		return 0;
	memcpy(copy, data + 1, size - 1);
	if (data[0] & 4)
		mend(copy, size - 1);
	src = source_memory(copy, size - 1);
	if (pac_open(&src, &opt, &p, &why) == 0) {
		if (pac_check(p, &src, &opt, NULL, NULL, &body, &why) == 0)
			pac_body_free(body);
		pac_free(p);
	}
	free(copy);
	return 0;
}
