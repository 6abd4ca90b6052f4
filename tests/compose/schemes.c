/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Small schemes in the vendors' form, one for each family of phones. */
#include "tests/compose/inside.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct row {
	const char *id, *type;
	const char *block; /* partition, or NULL: by address */
	uint64_t base, size;
	int flag, check;
	const char *attrs;
};

struct family {
	const char *name, *product;
	int flash_type;
	const struct row *row;
	const char *table; /* "name size" pairs in MiB, -1 = rest; NULL: no table */
};

#define LOADERS(a, b)                                    \
	{ "FDL", "FDL", NULL, a, 0, 1, 1, "" },          \
	{                                                \
		"FDL2", "NAND_FDL", NULL, b, 0, 1, 1, "" \
	}
#define NV(id, part, size)                                          \
	{                                                           \
		id, "NV_COMM", part, 0, size, 1, 2, " backup=\"1\"" \
	}
#define KEEP                                                                          \
	{ "ProdNV", "CODE2", "prodnv", 0, 0x500000, 1, 2, " backup=\"1\"" },          \
	{                                                                             \
		"PhaseCheck", "CODE2", "miscdata", 0, 0x100000, 0, 2, " backup=\"1\"" \
	}
#define WRITE(id, part)                           \
	{                                         \
		id, "CODE2", part, 0, 0, 1, 2, "" \
	}
#define SPARSE(id, part)                               \
	{                                              \
		id, "YAFFS_IMG2", part, 0, 0, 1, 2, "" \
	}
#define ERASE(id, part)                                 \
	{                                               \
		id, "EraseFlash2", part, 0, 0, 0, 2, "" \
	}
#define BOOT2(id, part)                                            \
	{                                                          \
		id, "UBOOT_LOADER2", part, 0x80000000, 0, 1, 0, "" \
	}
#define END                                        \
	{                                          \
		NULL, NULL, NULL, 0, 0, 0, 0, NULL \
	}

#define HEAD                                                                                                           \
	"prodnv 5 miscdata 1 recovery 45 recovery_dtb 8 recovery_system 40 misc 1 misc_bak 1 trustos 6 trustos_bak 6 " \
	"sml 1 sml_bak 1 uboot 1 uboot_bak 1 uboot_log 4 logo 6 fbootlogo 6 "

static const struct row sc9863a[] = { LOADERS(0x5000, 0x9EFFFE00),
				      NV("NV_LTE", "l_fixnv1", 0x200000),
				      KEEP,
				      ERASE("EraseUBOOT", "uboot"),
				      BOOT2("SPLLoader", "splloader"),
				      WRITE("Modem_LTE", "l_modem"),
				      WRITE("BOOT", "boot"),
				      WRITE("DTB", "dtb"),
				      SPARSE("System", "system"),
				      SPARSE("UserData", "userdata"),
				      WRITE("BootLogo", "logo"),
				      ERASE("FLASH_LTE", "l_runtimenv1"),
				      ERASE("EraseMisc", "misc"),
				      SPARSE("Misc", "misc"),
				      ERASE("EraseMisc", "misc_bak"),
				      SPARSE("Misc", "misc_bak"),
				      WRITE("Trustos", "trustos"),
				      WRITE("SML", "sml"),
				      ERASE("EraseMetadata", "metadata"),
				      BOOT2("UBOOTLoader", "uboot"),
				      END };

static const struct row dynamic_one[] = { LOADERS(0x5500, 0x9EFFFE00),
					  NV("NV_LTE", "l_fixnv1", 0xc8000),
					  KEEP,
					  BOOT2("SPLLoader", "splloader"),
					  WRITE("Modem_LTE", "l_modem"),
					  WRITE("BOOT", "boot"),
					  WRITE("DTBO", "dtbo"),
					  SPARSE("Super", "super"),
					  WRITE("VBMETA", "vbmeta"),
					  SPARSE("UserData", "userdata"),
					  WRITE("BootLogo", "logo"),
					  ERASE("FLASH_LTE", "l_runtimenv1"),
					  WRITE("Trustos", "trustos"),
					  WRITE("SML", "sml"),
					  ERASE("EraseMetadata", "metadata"),
					  BOOT2("UBOOTLoader", "uboot"),
					  END };

static const struct row ums9230[] = {
	LOADERS(0x65000800, 0x9EFFFE00),
	NV("NV_LTE", "l_fixnv1_a", 0x200000),
	{ "ProdNV", "CODE2", "prodnv", 0, 0xa00000, 1, 2, " backup=\"1\"" },
	{ "PhaseCheck", "CODE2", "miscdata", 0, 0x100000, 0, 2, " backup=\"1\"" },
	BOOT2("SPLLoaderEMMC", "splloader"),
	BOOT2("SPLLoaderUFS", "splloader"),
	WRITE("Modem_LTE", "l_modem_a"),
	WRITE("BOOT", "boot_a"),
	WRITE("Vendor_BOOT", "vendor_boot_a"),
	WRITE("DTBO", "dtbo_a"),
	SPARSE("Super", "super"),
	WRITE("VBMETA", "vbmeta_a"),
	SPARSE("UserData", "userdata"),
	ERASE("FLASH_LTE", "l_runtimenv1"),
	ERASE("EraseMisc", "misc"),
	WRITE("Trustos", "trustos_a"),
	WRITE("SML", "sml_a"),
	{ "EraseMetadata", "EraseFlash2", "metadata", 0, 0, 0, 2, " groupflag=\"1\"" },
	BOOT2("UBOOTLoader", "uboot_a"),
	END
};

static const struct row ums9620[] = { LOADERS(0x65000800, 0xB4FFFE00),
				      NV("NV_NR", "nr_fixnv1", 0xf00000),
				      KEEP,
				      BOOT2("SPLLoader", "splloader"),
				      WRITE("Modem_NR", "nr_modem"),
				      WRITE("Modem_NR_PHY", "nr_phy"),
				      WRITE("BOOT", "boot"),
				      SPARSE("System", "system"),
				      SPARSE("UserData", "userdata"),
				      ERASE("FLASH_NR", "nr_runtimenv1"),
				      WRITE("Trustos", "trustos"),
				      SPARSE("Persist", "persist"),
				      ERASE("EraseMetadata", "metadata"),
				      BOOT2("UBOOTLoader", "uboot"),
				      END };

static const struct row sc7731g[] = { LOADERS(0x50000000, 0x8F800000),
				      { "NV_W", "NV_NAND", NULL, 0x90000001, 0x20000, 1, 2, " backup=\"1\"" },
				      { "Modem_W", "CODE", NULL, 0x80000003, 0, 1, 2, "" },
				      { "BOOT", "CODE", NULL, 0x80000007, 0, 1, 2, "" },
				      { "System", "CODE", NULL, 0x8000000B, 0, 1, 2, "" },
				      { "FLASH_W", "EraseFlash", NULL, 0x9000000F, 0, 0, 2, "" },
				      { "SPLLoader", "BOOT_LOADER", NULL, 0x80000000, 0, 1, 0, "" },
				      { "UBOOTLoader", "UBOOT_LOADER", NULL, 0x80000001, 0, 1, 0, "" },
				      END };

static const struct row sc8830[] = { LOADERS(0x50000000, 0x80E00000),
				     { "NV_W", "NV_NAND", NULL, 0x90000001, 0x20000, 1, 2, " backup=\"1\"" },
				     { "Modem_W", "CODE", NULL, 0x80000003, 0, 1, 2, "" },
				     { "DSP_W", "CODE", NULL, 0x80000004, 0, 1, 2, "" },
				     { "BOOT", "CODE", NULL, 0x80000007, 0, 1, 2, "" },
				     { "Recovery", "CODE", NULL, 0x80000008, 0, 1, 2, "" },
				     { "System", "CODE", NULL, 0x8000000B, 0, 1, 2, "" },
				     { "SPLLoader", "BOOT_LOADER", NULL, 0x80000000, 0, 1, 0, "" },
				     { "UBOOTLoader", "UBOOT_LOADER", NULL, 0x80000001, 0, 1, 0, "" },
				     END };

static const struct row sc6531efm[] = { LOADERS(0x40004000, 0x14000000),
					{ "NV", "NV", NULL, 0x90000001, 0x20000, 1, 0, "" },
					{ "BOOTLOADER", "CODE", NULL, 0x80000000, 0, 1, 2, "" },
					{ "PS", "CODE", NULL, 0x80000003, 0, 1, 0, "" },
					{ "MMIRes", "CODE", NULL, 0x90000004, 0, 1, 2, "" },
					{ "DSPCode", "CODE", NULL, 0x90000009, 0, 1, 2, "" },
					{ "FLASH", "EraseFlash", NULL, 0x90000003, 0xC0000, 0, 0, "" },
					{ "PhaseCheck", "CODE", NULL, 0x90000002, 0x1000, 0, 0, "" },
					END };

static const struct row ums9117[] = { LOADERS(0x6200, 0x80100000),
				      { "NV", "NV", NULL, 0x90000001, 0x80000, 1, 0, "" },
				      { "Boot0", "CODE", NULL, 0x80000001, 0, 1, 2, "" },
				      { "Boot1", "CODE", NULL, 0x80000002, 0, 1, 2, "" },
				      { "Kernel", "CODE", NULL, 0x80000003, 0, 1, 0, "" },
				      { "User", "CODE", NULL, 0x80000004, 0, 1, 0, "" },
				      { "FLASH", "EraseFlash", NULL, 0x90000003, 0xC0000, 0, 0, "" },
				      END };

static const struct row uic8850[] = { { "FDL", "FDL", NULL, 0x50800000, 0x14000, 1, 1, "" },
				      { "ERASE_SPL", "EraseFlash", NULL, 0x60000000, 0x20000, 0, 0, "" },
				      { "BOOT", "CODE", NULL, 0x60020000, 0x10000, 1, 0, "" },
				      { "PhaseCheck", "CODE", NULL, 0xFE000002, 0x100, 0, 0, "" },
				      { "FMT_FSMOD", "EraseFlash", NULL, 0xFE000006, 0x444F4D46, 0, 0, "" },
				      { "NV", "NV", NULL, 0xFE000003, 0x28000, 1, 0, "" },
				      { "AP", "CODE", NULL, 0x60030000, 0x17E000, 1, 0, "" },
				      { "CP", "CODE", NULL, 0xFE000004, 0, 1, 0, "" },
				      { "FLASH", "EraseFlash", NULL, 0xFE000001, 0, 0, 0, "" },
				      { "SPL", "CODE", NULL, 0x60000000, 0x20000, 1, 0, "" },
				      END };

static const char table_sharkl3[] = HEAD
	"l_fixnv1 2 l_fixnv2 2 l_runtimenv1 2 l_runtimenv2 2 gpsgl 1 gpsbd 1 wcnmodem 10 l_modem 25 l_deltanv 1 l_gdsp 10 "
	"l_ldsp 20 pm_sys 1 teecfg 1 teecfg_bak 1 boot 45 dtb 8 dtbo 8 system 4100 metadata 16 sysdumpdb 10 userdata -1";
static const char table_dynamic[] = HEAD
	"l_fixnv1 2 l_fixnv2 2 l_runtimenv1 2 l_runtimenv2 2 gnssmodem 10 wcnmodem 10 persist 2 l_modem 25 l_deltanv 1 "
	"l_gdsp 10 l_ldsp 20 l_agdsp 6 pm_sys 1 teecfg 1 teecfg_bak 1 boot 64 dtb 8 dtbo 8 super 4100 cache 64 socko 75 "
	"odmko 25 vbmeta 1 vbmeta_bak 1 vbmeta_system 1 vbmeta_vendor 1 metadata 16 sysdumpdb 10 userdata -1";
static const char table_nr[] = HEAD
	"nr_fixnv1 15 nr_fixnv2 15 nr_runtimenv1 20 nr_runtimenv2 20 gnssmodem 1 wcnmodem 10 persist 2 nr_modem 50 "
	"nr_deltanv 1 nr_phy 50 pm_sys 1 teecfg 1 teecfg_bak 1 boot 45 dtb 8 dtbo 8 system 4100 metadata 16 sysdumpdb 10 "
	"userdata -1";
static const char table_slots[] =
	"prodnv 10 miscdata 1 misc 1 trustos_a 6 trustos_b 6 sml_a 1 sml_b 1 uboot_a 3 uboot_b 3 uboot_log 4 logo_a 8 logo_b 8 "
	"fbootlogo_a 8 fbootlogo_b 8 l_fixnv1_a 2 l_fixnv1_b 2 l_fixnv2_a 2 l_fixnv2_b 2 l_runtimenv1 2 l_runtimenv2 2 "
	"gnssmodem_a 10 gnssmodem_b 10 wcnmodem_a 10 wcnmodem_b 10 persist 2 l_modem_a 25 l_modem_b 25 l_deltanv_a 1 "
	"l_deltanv_b 1 l_gdsp_a 10 l_gdsp_b 10 l_ldsp_a 20 l_ldsp_b 20 l_agdsp_a 6 l_agdsp_b 6 pm_sys_a 1 pm_sys_b 1 "
	"teecfg_a 1 teecfg_b 1 boot_a 64 boot_b 64 vendor_boot_a 100 vendor_boot_b 100 dtbo_a 8 dtbo_b 8 super 5500 vbmeta_a 1 "
	"vbmeta_b 1 vbmeta_system_a 1 vbmeta_system_b 1 vbmeta_vendor_a 1 vbmeta_vendor_b 1 cache 64 metadata 16 sysdumpdb 10 "
	"userdata -1";

static const struct family families[] = {
	{ "sc9863a", "s9863a-made", 1, sc9863a, table_sharkl3 },
	{ "ums512", "ums512-made", 1, dynamic_one, table_dynamic },
	{ "ums9230", "ums9230-made", 1, ums9230, table_slots },
	{ "ums9620", "ums9620-made", 1, ums9620, table_nr },
	{ "ud710", "ud710-made", 1, dynamic_one, table_dynamic },
	{ "sc7731g", "sc7731g-made", 1, sc7731g, NULL },
	{ "sc8830", "sc8830-made", 1, sc8830, NULL },
	{ "sc6531efm", "NOR_FLASH_SC6531EFM", 1, sc6531efm, NULL },
	{ "ums9117", "ums9117-made", 1, ums9117, NULL },
	{ "uic8850", "8850_MODEM", 0, uic8850, NULL },
};

const char *compose_family(size_t i)
{
	return i < sizeof(families) / sizeof(families[0]) ? families[i].name : NULL;
}

static void put_row(struct text *t, const struct row *r)
{
	text_add(
		t,
		"\t\t\t<File%s>\n\t\t\t\t<ID>%s</ID>\n\t\t\t\t<IDAlias>%s</IDAlias>\n\t\t\t\t<Type>%s</Type>\n",
		r->attrs, r->id, !strcmp(r->id, "FDL") ? "FDL1" : r->id, r->type);
	if (r->block)
		text_add(t, "\t\t\t\t<Block id=\"%s\">", r->block);
	else
		text_add(t, "\t\t\t\t<Block>");
	text_add(t, "<Base>0x%llX</Base><Size>0x%llX</Size></Block>\n", (unsigned long long)r->base,
		 (unsigned long long)r->size);
	text_add(t, "\t\t\t\t<Flag>%d</Flag>\n\t\t\t\t<CheckFlag>%d</CheckFlag>\n\t\t\t</File>\n", r->flag,
		 r->check);
}

static void put_table(struct text *t, const char *table)
{
	char name[40];
	int size, used;

	text_add(t, "\t\t\t<Partitions>\n\t\t\t\t<!-- size unit is MBytes -->\n");
	for (; sscanf(table, "%39s %d%n", name, &size, &used) == 2; table += used) {
		if (size < 0)
			text_add(t, "\t\t\t\t<Partition id=\"%s\" size=\"0xFFFFFFFF\"/>\n", name);
		else
			text_add(t, "\t\t\t\t<Partition id=\"%s\" size=\"%d\"/>\n", name, size);
	}
	text_add(t, "\t\t\t</Partitions>\n");
}

char *compose_scheme(const char *family)
{
	const struct family *f = NULL;
	const struct row *r;
	struct text t = { 0 };
	size_t i;

	for (i = 0; compose_family(i); i++)
		if (!strcmp(family, families[i].name))
			f = &families[i];
	if (!f)
		return NULL;
	text_add(
		&t,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- made <!-- for tests --> -->\n<BMAConfig>\n\t<ProductList>\n"
		"\t\t<Product name=\"%s\">\n\t\t\t<SchemeName>%s</SchemeName>\n\t\t\t<FlashTypeID>%d</FlashTypeID>\n"
		"\t\t\t<Mode>0</Mode>\n\t\t\t<NVBackup backup=\"1\">\n",
		f->product, f->product, f->flash_type);
	text_add(
		&t,
		"\t\t\t\t<NVItem name=\"Calibration\" backup=\"1\"><ID>0xFFFFFFFF</ID><BackupFlag use=\"1\">"
		"<NVFlag name=\"Continue\" check=\"0\"/></BackupFlag></NVItem>\n"
		"\t\t\t\t<NVItem name=\"IMEI\" backup=\"1\"><ID>0xFFFFFFFF</ID><BackupFlag use=\"0\"></BackupFlag></NVItem>\n"
		"\t\t\t\t<NVItem name=\"BlueTooth\" backup=\"1\"><ID>0x191</ID><BackupFlag use=\"1\">"
		"<NVFlag name=\"Continue\" check=\"1\"/></BackupFlag></NVItem>\n"
		"\t\t\t\t<NVItem name=\"MMITest\" backup=\"1\"><ID>0x19A</ID><BackupFlag use=\"1\">"
		"<NVFlag name=\"Continue\" check=\"1\"/></BackupFlag></NVItem>\n"
		"\t\t\t\t<NVItem name=\"Simlock\" backup=\"1\"><ID>0x1F0</ID><BackupFlag use=\"1\">"
		"<NVFlag name=\"Continue\" check=\"1\"/></BackupFlag></NVItem>\n\t\t\t</NVBackup>\n");
	if (f->table)
		put_table(&t, f->table);
	text_add(&t, "\t\t</Product>\n\t</ProductList>\n\t<SchemeList>\n\t\t<Scheme name=\"%s\">\n",
		 f->product);
	for (r = f->row; r->id; r++)
		put_row(&t, r);
	text_add(&t, "\t\t</Scheme>\n\t</SchemeList>\n</BMAConfig>\n");
	return t.p;
}

char *compose_replace(const char *text, const char *from, const char *to, bool all)
{
	struct text t = { 0 };
	const char *at = strstr(text, from);

	if (!at)
		abort();
	do {
		text_add(&t, "%.*s%s", (int)(at - text), text, to);
		text = at + strlen(from);
		at = all ? strstr(text, from) : NULL;
	} while (at);
	text_add(&t, "%s", text);
	return t.p;
}

uint8_t *compose_data(const char *path, size_t *len)
{
	const char *dir = getenv("FDLD_DATA");
	char full[1024];
	uint8_t *data;
	long size;
	FILE *f;

	snprintf(full, sizeof(full), "%s/%s", dir && *dir ? dir : "../shared/data", path);
	f = fopen(full, "rb");
	if (!f)
		return NULL;
	fseek(f, 0, SEEK_END);
	size = ftell(f);
	rewind(f);
	data = must(calloc(1, (size_t)size + 1));
	*len = fread(data, 1, (size_t)size, f);
	fclose(f);
	return data;
}

void *must(void *p)
{
	if (!p)
		abort();
	return p;
}

void text_add(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	t->p = must(realloc(t->p, t->len + (size_t)n + 1));
	va_start(ap, fmt);
	vsnprintf(t->p + t->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	t->len += (size_t)n;
}
