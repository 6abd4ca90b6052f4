/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The XML of a package (pac-and-flow 2): products, schemes, file entries, partition tables, NV items.
 * Everything is plain data with fixed bounds; texts are UTF-8, cleaned of control characters.
 */
#ifndef FDLD_PAC_SCHEME_H
#define FDLD_PAC_SCHEME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

#define SCHEME_ID_MAX	  64u /* with the NUL; longer ones are refused */
#define SCHEME_BLOCKS_MAX 5u
#define SCHEME_REST	  UINT64_MAX /* a partition's size: "the rest of the device" */
#define SCHEME_NV_DEFAULT 0xFFFFFFFFu

/* What a Type asks for (pac-and-flow 2.6). The planner switches on the class; the type names the detail. */
enum scheme_class {
	CLASS_UNKNOWN,	    /* Type is in no list; refused when ticked */
	CLASS_FDL1,	    /* first loader: FDL, FDL1 */
	CLASS_FDL2,	    /* second loader: NAND_FDL, FDL2 */
	CLASS_WRITE_ADDR,   /* file to a logical address: CODE, BOOT_LOADER, ... */
	CLASS_WRITE_ID,	    /* file to a partition by name: CODE2, YAFFS_IMG2, ... */
	CLASS_NV_ADDR,	    /* NV: read, merge, write by address */
	CLASS_NV_ID,	    /* NV_COMM: the same by partition name */
	CLASS_ERASE_ADDR,   /* EraseFlash */
	CLASS_ERASE_ID,	    /* EraseFlash2 */
	CLASS_READ_ADDR,    /* ReadFlash, ReadFlashAndSave, ... */
	CLASS_READ_ID,	    /* the same with 2 */
	CLASS_REPARTITION,  /* REPARTITION(2): only on 0x96; FORCE_REPARTITION(2): always */
	CLASS_EXT_TABLE,    /* EXTTABLE */
	CLASS_QUERY,	    /* one question to FDL2: chip id, flash type, uid, ... */
	CLASS_FDL1_SETTING, /* KeepCharge, DDRCheck, SelfRefresh: sent to FDL1 */
	CLASS_SETTING,	    /* one command to FDL2: APR, EndProcess, ... */
	CLASS_RESET,	    /* Reset */
	CLASS_POWER_OFF,    /* PowerOff */
	CLASS_STAGE,	    /* Init, CheckBaud, CheckDUT: what the session does anyway */
	CLASS_NONE,	    /* DONOTHING */
	CLASS_SPECIAL,	    /* needs host work that we do not have: HOST_FDL, MasterImage, PAGE, CHIP_DSP,
			       Soft_SIM, ... */
};

enum scheme_type {
	TYPE_UNKNOWN,
#define TYPE(id, name, class, packet) TYPE_##id,
#include "pac/types.def"
#undef TYPE
	TYPE_COUNT
};

struct scheme_type_info {
	enum scheme_type type;
	const char *name; /* as in the XML */
	enum scheme_class class;
	uint32_t packet; /* MIDST payload the vendor uses by default, bytes; 0: no data. 0x3000 where it lists
			    none. */
};

const struct scheme_type_info *scheme_type_info(enum scheme_type type); /* never NULL */
const struct scheme_type_info *scheme_type_by_name(const char *name);	/* never NULL; TYPE_UNKNOWN */
const char *scheme_class_name(enum scheme_class class);			/* "write-id", ... */

struct scheme_block {
	char id[32];   /* partition name, ASCII, at most 31; empty if by address */
	uint64_t base; /* address; meaningless for partitions */
	uint64_t size; /* bytes; 0 = not given */
};

enum scheme_cali { CALI_GSM = 1, CALI_TD = 2, CALI_WCDMA = 4, CALI_LTE = 8 };

struct scheme_file {
	char id[SCHEME_ID_MAX];
	char alias[SCHEME_ID_MAX];     /* = id where absent */
	char type_text[SCHEME_ID_MAX]; /* as written */
	enum scheme_type type;
	enum scheme_class class;
	int flag;	       /* 0 operation, 1 needs a file, 2 dropped from processing */
	int check_flag;	       /* 0 optional, 1 mandatory, 2 optional and not counted */
	int backup;	       /* 1, 0, or -1 absent. See scheme_file_backs_up(). */
	bool sel_by_flash;     /* selbyflash="1" */
	bool sel_by_rf;	       /* selbyrf="1" */
	unsigned cali;	       /* CheckCali: enum scheme_cali bits; 0 = attribute absent (then GSM) */
	bool group;	       /* groupflag="1" */
	char description[128]; /* cut to fit */
	struct scheme_block block[SCHEME_BLOCKS_MAX];
	size_t blocks;
};

/* backup="1"; for NV types an absent attribute counts as 1 (pac-and-flow 2.5). */
bool scheme_file_backs_up(const struct scheme_file *f);
/* ID begins with NV: check word, sum and merge apply (pac-and-flow 2.7). */
bool scheme_file_is_nv(const struct scheme_file *f);

struct scheme {
	char name[128];
	struct scheme_file *file; /* XML order, dropped ones (flag 2) included */
	size_t files;
};

struct scheme_partition {
	char name[32];
	uint64_t size; /* unit of the table (see unit_bytes); SCHEME_REST in the last row only */
	int64_t gap;   /* same unit; space before it, may be negative; 0 in V0 */
};

/* V0: no unit attribute, sizes in MiB. V1: unit 0 MiB, 1 512 KiB, 2 KiB, 3 bytes, 4 sectors
 * (pac-and-flow 2.4). */
struct scheme_table {
	bool present;
	bool v1;
	unsigned unit;	     /* V1: 0..4 as written */
	uint32_t unit_bytes; /* V0: 1 MiB; V1: bytes of one unit, 0 for sectors (the device's sector size
				decides) */
	struct scheme_partition *part;
	size_t parts;
};

/* Size of a named partition in bytes; false: unknown name, "rest", or in sectors. */
bool scheme_table_size(const struct scheme_table *t, const char *name, uint64_t *bytes);

struct scheme_nv_item {
	char name[SCHEME_ID_MAX];
	uint32_t id;	/* NV id 0..0xFFFF, or SCHEME_NV_DEFAULT: well known by name */
	bool backup;	/* backup="1" */
	bool use_flags; /* BackupFlag use="1" */
	bool carry_on;	/* NVFlag Continue check="1": absence in the device is not an error */
	bool replace;	/* NVFlag Replace check="1": parsed, used by nobody */
	char scene[64]; /* cut to fit */
};

struct scheme_named_id { /* ChipItem, Transceiver */
	uint32_t id;
	char name[SCHEME_ID_MAX];
};

struct scheme_special { /* SString: if `included` contains `content`, the linked files are forced on or off */
	char name[SCHEME_ID_MAX], content[128], included[SCHEME_ID_MAX];
	struct {
		char id[SCHEME_ID_MAX];
		bool download;
	} link[8];
	size_t links;
};

struct scheme_ext { /* ExtTable row, sent with 0x14 */
	char id[32], id2[32];
	unsigned type; /* 0 raw, 1 NV, 2 sparse */
	uint32_t size;
};

struct scheme_product {
	char name[128];
	char scheme[128];
	char comment[128];
	int flash_type; /* 0 single FDL (NOR), >= 1 two-stage */
	int mode;
	int nv_base_change, nv_new_base;
	int nv_org, nv_org_base;
	int oma_dm;
	bool reboot_by_at, power_off, apr;
	bool enabled;	/* enable attribute; absent counts as 1 */
	bool nv_backup; /* NVBackup backup="1" */
	struct scheme_nv_item *nv;
	size_t nvs;
	struct scheme_table table;
	bool chips_enabled, rf_enabled, special_enabled;
	struct scheme_named_id *chip, *rf;
	size_t chips, rfs;
	struct scheme_special *special;
	size_t specials;
	struct scheme_ext *ext;
	size_t exts;
};

struct scheme_doc {
	struct scheme_product *product;
	size_t products;
	struct scheme *scheme;
	size_t schemes;
	char (*oddity)[160]; /* unknown attributes and values that were ignored; at most 32 */
	size_t oddities;
};

/*
 * Parses XML in any of the accepted encodings (UTF-8, UTF-16LE with mark, local 8-bit), nested comments and a
 * trailing NUL allowed; document types and entities are refused. 0 and *doc (scheme_doc_free), or PackageXml
 * (not well-formed; why->offset in bytes), PackageScheme (a rule of 2.5 is broken), PackagePartitions (2.4),
 * PackageName (a partition name that is unsafe on the wire).
 */
int scheme_parse(const void *data, size_t len, struct scheme_doc **doc, struct failure *why);
void scheme_doc_free(struct scheme_doc *doc);

/*
 * The product a package names: "PAC_" stripped, compared without case. *exact tells whether the name matched;
 * if not, the only product there is. NULL when there is no match among several (or none at all).
 */
const struct scheme_product *scheme_find_product(const struct scheme_doc *doc, const char *name, bool *exact);
/* The scheme a product names; NULL if the document lacks it. */
const struct scheme *scheme_of(const struct scheme_doc *doc, const struct scheme_product *p);

#endif
