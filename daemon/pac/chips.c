/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Families of chips by their loaders' addresses (pac-and-flow 7.1), and the texts that give a family away
 * (6.6). For plausibility only: the addresses a phone gets are those of the package's XML.
 */
#include "common/util.h"
#include "pac/image.h"
#include "pac/text.h"

#include <ctype.h>

static const struct chip_family families[] = {
	{ "sharkl3", "SC9863A, SC8581A", 0x5000, 0x9EFFFE00, false, "sharkl3|sp9863|s9863|sc9863|9863a" },
	{ "sharkle", "SC9832E, SC9820E, SL8541E", 0x5000, 0x9EFFFE00, false,
	  "sharkle|sp9832e|sc9832e|s9832e|9820e|8541e" },
	{ "sharkl5", "UMS312", 0x5500, 0x9EFFFE00, false, "sharkl5|ums312" },
	{ "roc1", "UD710", 0x5500, 0x9EFFFE00, false, "roc1|ud710" },
	{ "sharkl5pro", "UMS512", 0x5500, 0x9EFFFE00, false, "sharkl5pro|ums512" },
	{ "qogirl6", "UMS9230", 0x65000800, 0x9EFFFE00, false, "qogirl6|ums9230" },
	{ "qogirn6pro", "UMS9620, UMS9621", 0x65000800, 0xB4FFFE00, false, "qogirn6pro|ums9620|ums9621" },
	{ "qogirn6lite", "UIS7885, UIS8520", 0x65000800, 0xB4FFFE00, false,
	  "qogirn6lite|uis7885|uis8520|p7885" },
	{ "orca", "UDX710", 0x28007000, 0x9EFFFE00, false, "udx710|orca" },
	{ "pike2", "SC7731E", 0x50002E00, 0x9EFFFE00, false, "pike2|sc7731e|sp7731e" },
	{ "sc8830", "SC8830, SC7731G, SC7715, SC9830", 0x50000000, 0, false,
	  "sc8830|sp8830|sc7731g|sp7731g|sc7715|sp7715|sc9830|sp9830" },
	{ "sharklj1", "SC9850", 0x50010000, 0, false, "sharklj1|sc9850|sp9850" },
	{ "isharkl2", "SC9853I, SC9861", 0xE6000000, 0, false, "isharkl2|sc9853i|sp9853i|sc9861|sp9861" },
	{ "sc6531e", "SC6531E, SC6531EFM, SC6531H", 0x40004000, 0x14000000, false, "sc6531e|sc6531h" },
	{ "sc6530", "SC6530, SC6531DA", 0x34000000, 0, true, "sc6530|sc6531da" },
	{ "ums9117", "UMS9117 (T107, T117, T127)", 0x6200, 0x80100000, false, "ums9117|sl8521e" },
	{ "8850", "UIC8850, 8811", 0x50800000, 0, true, "uic8850|8850_modem|8850xm|8850|8811" },
	{ "uws6121e", "UWS6121E", 0x50800000, 0x80100500, false, "uws6121e" },
	{ "8910", "UIX8910", 0x00838000, 0x00810000, false, "uix8910|rda8910|8910dm" },
};

const struct chip_family *chip_family_at(size_t i)
{
	return i < ARRAY_SIZE(families) ? &families[i] : NULL;
}

const struct chip_family *chip_family_by_name(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(families); i++)
		if (text_same(families[i].name, name))
			return &families[i];
	return NULL;
}

const struct chip_family *chip_family_in_text(const char *text)
{
	const struct chip_family *best = NULL;
	size_t best_len = 0, i;

	for (i = 0; i < ARRAY_SIZE(families); i++) {
		const char *mark = families[i].marks;

		while (*mark) {
			size_t len = strcspn(mark, "|");
			char one[32];

			if (len < sizeof(one) && len > best_len) {
				memcpy(one, mark, len);
				one[len] = '\0';
				if (text_contains(text, one)) {
					best = &families[i];
					best_len = len;
				}
			}
			mark += len + (mark[len] == '|');
		}
	}
	return best;
}
