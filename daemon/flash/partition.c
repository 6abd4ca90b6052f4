/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "flash/partition.h"

#include <string.h>

#include "common/util.h"

struct rule {
	const char *name;
	enum { IS, ENDS, HOLDS } how; /* of the name without its slot */
	enum partition_class class;
	unsigned traits;
};

static const struct rule rules[] = {
	{ "fixnv1", ENDS, PARTITION_OWN, PARTITION_NV },
	{ "fixnv2", ENDS, PARTITION_OWN, PARTITION_NV_TWIN },
	{ "runtimenv1", ENDS, PARTITION_GENERIC, PARTITION_RUNTIME_NV },
	{ "runtimenv2", ENDS, PARTITION_GENERIC, PARTITION_NV_TWIN },
	{ "prodnv", IS, PARTITION_OWN, PARTITION_ALWAYS_KEPT },
	{ "miscdata", IS, PARTITION_OWN, PARTITION_ALWAYS_KEPT },
	{ "persist", IS, PARTITION_OWN, 0 },
	{ "calinv", HOLDS, PARTITION_OWN, 0 },
	{ "splloader", IS, PARTITION_BOOT_CHAIN, PARTITION_BOOT_AREA | PARTITION_UNCUT },
	{ "splloader_bak", IS, PARTITION_BOOT_CHAIN, PARTITION_BOOT_AREA | PARTITION_UNCUT },
	{ "spl_loader_bak", IS, PARTITION_BOOT_CHAIN, PARTITION_BOOT_AREA | PARTITION_UNCUT },
	{ "uboot", IS, PARTITION_BOOT_CHAIN, PARTITION_UNCUT | PARTITION_HAS_TWIN },
	{ "uboot_bak", IS, PARTITION_BOOT_CHAIN, PARTITION_UNCUT },
	{ "sml", IS, PARTITION_BOOT_CHAIN, PARTITION_HAS_TWIN },
	{ "sml_bak", IS, PARTITION_BOOT_CHAIN, 0 },
	{ "trustos", IS, PARTITION_BOOT_CHAIN, PARTITION_HAS_TWIN },
	{ "trustos_bak", IS, PARTITION_BOOT_CHAIN, 0 },
	{ "teecfg", IS, PARTITION_BOOT_CHAIN, PARTITION_HAS_TWIN },
	{ "teecfg_bak", IS, PARTITION_BOOT_CHAIN, 0 },
	{ "vbmeta", IS, PARTITION_BOOT_CHAIN, PARTITION_HAS_TWIN },
};

/* Where there are no names (pac-and-flow 4): NV, production data, what the ROM starts. */
static const struct {
	uint64_t address;
	enum partition_class class;
} places[] = {
	{ 0x90000001, PARTITION_OWN }, { 0x90000002, PARTITION_OWN },	     { 0xFE000003, PARTITION_OWN },
	{ 0xFE000002, PARTITION_OWN }, { 0x80000000, PARTITION_BOOT_CHAIN },
};

static const char *const known[] = {
	"boot",		 "recovery",	  "system",	   "vendor",
	"product",	 "super",	  "userdata",	   "cache",
	"metadata",	 "misc",	  "misc_bak",	   "miscdata",
	"prodnv",	 "persist",	  "uboot",	   "uboot_bak",
	"uboot_log",	 "sml",		  "sml_bak",	   "trustos",
	"trustos_bak",	 "teecfg",	  "teecfg_bak",	   "vbmeta",
	"vbmeta_bak",	 "vbmeta_system", "vbmeta_vendor", "vbmeta_product",
	"dtb",		 "dtbo",	  "dtbo_bak",	   "init_boot",
	"vendor_boot",	 "logo",	  "fbootlogo",	   "l_fixnv1",
	"l_fixnv2",	 "l_runtimenv1",  "l_runtimenv2",  "l_modem",
	"l_deltanv",	 "l_gdsp",	  "l_ldsp",	   "l_agdsp",
	"l_warm",	 "l_tgdsp",	  "w_fixnv1",	   "w_fixnv2",
	"w_runtimenv1",	 "w_runtimenv2",  "w_modem",	   "w_gdsp",
	"wfixnv1",	 "wfixnv2",	  "wruntimenv1",   "wruntimenv2",
	"wmodem",	 "wdsp",	  "nr_fixnv1",	   "nr_fixnv2",
	"nr_runtimenv1", "nr_runtimenv2", "nr_modem",	   "nr_deltanv",
	"nr_phy",	 "nr_dsp1",	  "nr_dsp2",	   "nr_dsp3",
	"pm_sys",	 "wcnmodem",	  "gnssmodem",	   "gpsgl",
	"gpsbd",	 "sysdumpdb",	  "recovery_dtb",  "recovery_system",
	"elable",	 "odmko",	  "socko",	   "hypervsior",
	"avbmeta_rs",	 "common_rs1",	  "common_rs2",	   "blackbox",
};

/* Length of the name without "_a" or "_b". */
static size_t stem(const char *name)
{
	size_t n = strlen(name);

	return n > 2 && name[n - 2] == '_' && (name[n - 1] == 'a' || name[n - 1] == 'b') ? n - 2 : n;
}

static const struct rule *rule_of(const char *name)
{
	size_t n = stem(name);

	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		const struct rule *r = &rules[i];
		size_t len = strlen(r->name);

		if (n < len)
			continue;
		if (r->how == IS     ? n == len && !strncmp(name, r->name, len)
		    : r->how == ENDS ? !strncmp(name + n - len, r->name, len)
				     : strstr(name, r->name) != NULL)
			return r;
	}
	return NULL;
}

enum partition_class partition_class(const char *name)
{
	const struct rule *r = rule_of(name);

	return r ? r->class : PARTITION_GENERIC;
}

unsigned partition_traits(const char *name)
{
	const struct rule *r = rule_of(name);

	return r ? r->traits : 0;
}

enum partition_class partition_class_at(uint64_t address)
{
	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		if (places[i].address == address)
			return places[i].class;
	return PARTITION_GENERIC;
}

const char *partition_class_name(enum partition_class c)
{
	static const char *const names[] = { "generic", "boot-chain", "own" };

	return (unsigned)c < ARRAY_SIZE(names) ? names[c] : "generic";
}

const char *partition_known(size_t i)
{
	return i < ARRAY_SIZE(known) ? known[i] : NULL;
}
