/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is kept of a phone's NV where no package says it (pac-and-flow 3.3). */
#include "common/util.h"
#include "pac/fail.h"
#include "pac/made.h"
#include "pac/nv.h"

#include <stdio.h>

static const struct {
	const char *name;
	uint16_t id;
	bool must;
} own[] = {
	{ "Calibration", NV_ID_CALIBRATION, false },
	{ "W_Calibration", 0x12D, false },
	{ "TD_Calibration", 0x516, false },
	{ "LTE_Calibration", 0x9C4, false },
	{ "IMEI", NV_ID_IMEI, true },
	{ "BlueTooth", NV_ID_BLUETOOTH, false },
	{ "BandSelect", 0x00D, false },
	{ "WIFI", 0x199, false },
	{ "MMITest", 0x19A, false },
	{ "Simlock", 0x1F0, false },
	{ "Simlock2", 0x1F1, false },
};

static int list(const struct nv_image *img, struct scheme_nv_item *out, size_t *count)
{
	for (size_t i = 0; i < ARRAY_SIZE(own) && *count < MADE_NV_ITEMS; i++) {
		struct scheme_nv_item *item = &out[*count];

		if (!nv_find(img, NV_ANY_CORE, own[i].id, NULL))
			continue;
		*item = (struct scheme_nv_item){
			.id = own[i].id, .backup = true, .use_flags = true, .carry_on = !own[i].must
		};
		snprintf(item->name, sizeof(item->name), "%s", own[i].name);
		++*count;
	}
	return 0;
}

int made_nv_items(const struct source *image, struct scheme_nv_item out[MADE_NV_ITEMS], size_t *count,
		  struct failure *why)
{
	_cleanup_free_ uint8_t *bytes = NULL;
	struct failure wrong = { 0 };
	struct nv_image img;
	size_t len, skip;
	int r;

	*count = 0;
	if (image->size < 8 || image->size > NV_SIZE_MAX)
		return pac_fail(why, ERR_PACKAGE_NV, NULL, PAC_NOWHERE, "%llu bytes, 8 to %u expected",
				(unsigned long long)image->size, NV_SIZE_MAX);
	bytes = malloc((size_t)image->size);
	if (!bytes)
		return pac_fail_memory(why);
	r = source_read(image, 0, bytes, (size_t)image->size);
	if (r < 0)
		return pac_fail_read(why, NULL, 0, image->size, r);
	skip = nv_flash_header(bytes, (size_t)image->size, &len);
	if (nv_parse(bytes + skip, len, &img, &wrong))
		return wrong.error == ERR_NV_INVALID
			       ? pac_fail(why, ERR_PACKAGE_NV, NULL, PAC_NOWHERE, "%s", wrong.detail)
			       : pac_fail_memory(why);
	r = list(&img, out, count);
	nv_free(&img);
	return r;
}
