/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pac/scheme.h"
#include "pac/text.h"

static const struct scheme_type_info types[TYPE_COUNT] = {
	[TYPE_UNKNOWN] = { TYPE_UNKNOWN, "unknown", CLASS_UNKNOWN, 0 },
#define TYPE(id, name, class, packet) [TYPE_##id] = { TYPE_##id, name, class, packet },
#include "pac/types.def"
#undef TYPE
};

const struct scheme_type_info *scheme_type_info(enum scheme_type type)
{
	return &types[(unsigned)type < TYPE_COUNT ? type : TYPE_UNKNOWN];
}

const struct scheme_type_info *scheme_type_by_name(const char *name)
{
	unsigned i;

	for (i = TYPE_UNKNOWN + 1; i < TYPE_COUNT; i++)
		if (text_same(types[i].name, name))
			return &types[i];
	return &types[TYPE_UNKNOWN];
}

const char *scheme_class_name(enum scheme_class class)
{
	switch (class) {
	case CLASS_UNKNOWN: return "unknown";
	case CLASS_FDL1: return "fdl1";
	case CLASS_FDL2: return "fdl2";
	case CLASS_WRITE_ADDR: return "write-address";
	case CLASS_WRITE_ID: return "write";
	case CLASS_NV_ADDR: return "nv-address";
	case CLASS_NV_ID: return "nv";
	case CLASS_ERASE_ADDR: return "erase-address";
	case CLASS_ERASE_ID: return "erase";
	case CLASS_READ_ADDR: return "read-address";
	case CLASS_READ_ID: return "read";
	case CLASS_REPARTITION: return "repartition";
	case CLASS_EXT_TABLE: return "ext-table";
	case CLASS_QUERY: return "query";
	case CLASS_FDL1_SETTING: return "fdl1-setting";
	case CLASS_SETTING: return "setting";
	case CLASS_RESET: return "reset";
	case CLASS_POWER_OFF: return "power-off";
	case CLASS_STAGE: return "stage";
	case CLASS_NONE: return "nothing";
	case CLASS_SPECIAL: return "special";
	}
	return "unknown";
}
