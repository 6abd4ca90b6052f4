/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pac/phasecheck.h"
#include "common/util.h"

#define MAGIC_SP09 0x53503039u
#define MAGIC_SP15 0x53503135u
#define MAGIC_SP05 0x53503035u

static void serial(const uint8_t *p, size_t len, char *out)
{
	size_t i;

	for (i = 0; i < len && p[i] > 0x20 && p[i] < 0x7f; i++)
		out[i] = (char)p[i];
	out[i] = '\0';
}

bool phasecheck_parse(const void *data, size_t len, struct phasecheck *out)
{
	const uint8_t *p = data;
	uint32_t magic;

	*out = (struct phasecheck){ 0 };
	if (len < 256)
		return false;
	magic = get_le32(p);
	if (magic == MAGIC_SP09) {
		memcpy(out->layout, "SP09", 5);
		serial(p + 4, 24, out->sn1);
		serial(p + 28, 24, out->sn2);
		out->stations = get_le32(p + 52);
	} else if (magic == MAGIC_SP15) {
		memcpy(out->layout, "SP15", 5);
		serial(p + 4, 64, out->sn1);
		serial(p + 68, 64, out->sn2);
		out->stations = get_le32(p + 132);
	} else if (magic == MAGIC_SP05) {
		memcpy(out->layout, "SP05", 5);
		return true;
	} else {
		return false;
	}
	/* neither layout has room for more than twenty; a wild number is no count */
	if (out->stations > 20)
		out->stations = 0;
	return true;
}
