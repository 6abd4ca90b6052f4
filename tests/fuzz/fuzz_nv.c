/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* NV images from hostile bytes, as a package, as a phone's, and merged: the input is cut in two. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "pac/nv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct scheme_nv_item list[] = {
	{ .name = "Calibration", .id = SCHEME_NV_DEFAULT, .backup = true, .carry_on = true },
	{ .name = "IMEI", .id = SCHEME_NV_DEFAULT, .backup = true, .carry_on = true },
	{ .name = "BlueTooth", .id = 0x191, .backup = true, .carry_on = true },
	{ .name = "any", .id = 7, .backup = true, .carry_on = true },
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nv_image phone = { 0 }, package = { 0 };
	struct nv_report report;
	struct failure why;
	uint8_t *a, *b, *out;
	size_t half, skip, len;
	uint32_t sum;
	bool swapped, doubt;

	if (size < 4)
		return 0;
	half = MIN(get_le16(data), size - 2);
	a = malloc(half + 1);
	b = malloc(size - 2 - half + 1);
	if (a && b) {
		memcpy(a, data + 2, half);
		memcpy(b, data + 2 + half, size - 2 - half);
		skip = nv_flash_header(b, size - 2 - half, &len);
		if (nv_parse(b + skip, len, &package, &why) == 0 &&
		    nv_parse_device(a, half, &phone, &swapped, &why) == 0) {
			nv_sane(&phone, true, &doubt, &why);
			nv_calibrations(&phone);
			if (nv_merge(&phone, &package, list, data[0] % 5, &out, &report, &why) == 0) {
				nv_seal(out, package.len, &sum);
				free(out);
			}
			nv_report_free(&report);
		}
		nv_free(&phone);
		nv_free(&package);
	}
	free(a);
	free(b);
	return 0;
}
