/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/simlib/scenario.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "tests/phone/loader.h"
#include "tests/simlib/simlib.h"

#define NV_BLOCK   0x4000u
#define KEEP_BLOCK 0x2000u
#define DHTB_SIZE  512u
#define MIB_1	   (1ull << 20)

struct maker {
	struct scenario *s;
	struct sim_random r;
	struct sim_xml xml;
	struct sim_image rows[SCENARIO_IMAGES + 24];
	size_t count;
	uint8_t *loader[2];
};

static const struct phone_part *part(const struct phone_profile *p, const char *name)
{
	for (size_t i = 0; i < p->part_count; i++)
		if (!strcmp(p->parts[i].name, name))
			return &p->parts[i];
	return NULL;
}

static bool by_id(const struct phone_profile *p)
{
	return p->second == PHONE_IDS || p->second == PHONE_NORIDS || p->second == PHONE_SINGLE;
}

static bool unticked(const struct maker *m, const char *id)
{
	return m->s->want.untick && !strcmp(m->s->want.untick, id);
}

static void add_row(struct maker *m, const char *id, const void *data, size_t len)
{
	if (m->count < sizeof(m->rows) / sizeof(m->rows[0]))
		m->rows[m->count++] = (struct sim_image){ id, data, len, unticked(m, id) };
}

static size_t pick_size(struct maker *m)
{
	if (m->s->want.huge && m->s->images == 2)
		return (2 << 20) + 1 + sim_below(&m->r, 3 << 20);
	if (m->s->want.large && m->s->images == 2)
		return 140000 + sim_below(&m->r, 60000);
	if (m->s->want.tiny)
		return 600 + sim_below(&m->r, 900);
	/* around the sizes of one piece and of its neighbours, odd ones too */
	if (sim_one_in(&m->r, 4))
		return 0xF800 - 3 + sim_below(&m->r, 7);
	if (sim_one_in(&m->r, 8))
		return 512 * (1 + sim_below(&m->r, 8));
	return 900 + sim_below(&m->r, 24000);
}

static struct scenario_image *new_image(struct maker *m, const char *id, const char *place)
{
	struct scenario_image *im = &m->s->image[m->s->images];

	if (m->s->images == SCENARIO_IMAGES)
		return NULL;
	m->s->images++;
	snprintf(im->id, sizeof(im->id), "%s", id);
	snprintf(im->place, sizeof(im->place), "%s", place);
	return im;
}

static void plain_image(struct maker *m, const char *id, const char *type, const char *place, uint64_t base,
			bool sign)
{
	struct scenario_image *im = new_image(m, id, place);
	size_t size = pick_size(m), limit = 8 << 20;
	uint8_t *body;

	if (!im)
		return;
	for (size_t i = 0; i < m->s->profile->part_count; i++)
		if (by_id(m->s->profile) && !strcmp(m->s->profile->parts[i].name, place))
			limit = m->s->profile->parts[i].size / 2;
	if (size > limit)
		size = limit;
	if (m->s->want.bad_signature && sign && !m->s->unsigned_image[0]) {
		snprintf(m->s->unsigned_image, sizeof(m->s->unsigned_image), "%s", place);
		sign = false;
	}
	body = malloc(size + DHTB_SIZE);
	im->data = malloc(size + DHTB_SIZE);
	if (!body || !im->data) {
		m->xml.failed = true;
		free(body);
		return;
	}
	sim_bytes(sim_random(&m->r), body, size);
	body[0] = 0x11; /* no magic by chance */
	if (sign) {
		im->len = phone_make_dhtb(body, size, im->data, size + DHTB_SIZE);
	} else {
		memcpy(im->data, body, size);
		im->len = size;
	}
	free(body);
	if (m->s->want.damaged && unticked(m, id))
		im->data[im->len / 2] ^= 1;
	im->by_name = !by_id(m->s->profile);
	sim_xml_file(&m->xml, "", im->id, type, im->by_name ? place : NULL, base, 0, 1, 2);
	add_row(m, im->id, im->data, im->len);
}

static void sparse_image(struct maker *m, const char *id, const char *place)
{
	struct scenario_image *im = new_image(m, id, place);
	uint32_t blocks = m->s->want.tiny ? 2 : 4 + (uint32_t)sim_below(&m->r, 40);

	if (!im)
		return;
	im->data = malloc((size_t)blocks * 4108 + 28);
	if (!im->data) {
		m->xml.failed = true;
		return;
	}
	im->len = sim_sparse(sim_random(&m->r), blocks, im->data, (size_t)blocks * 4108 + 28);
	if (m->s->want.damaged && unticked(m, id))
		im->data[28] ^= 0x40; /* the type of its first chunk */
	im->sparse = true;
	im->by_name = true;
	im->resized = !strcmp(place, "userdata");
	sim_xml_file(&m->xml, "", id, "YAFFS_IMG2", place, 0, 0, 1, 0);
	add_row(m, im->id, im->data, im->len);
}

static void erase_entry(struct maker *m, const char *id, const char *place, uint64_t base, uint64_t size,
			bool expect)
{
	bool name = !by_id(m->s->profile);

	sim_xml_file(&m->xml, "", id, name ? "EraseFlash2" : "EraseFlash", name ? place : NULL, base, size, 0,
		     2);
	add_row(m, id, NULL, 0);
	if (expect && m->s->erases < 8) {
		snprintf(m->s->erased_id[m->s->erases], 40, "%s", id);
		snprintf(m->s->erased[m->s->erases++], 40, "%s", place);
	}
}

static void nv_entry(struct maker *m, const char *id, const char *type, const char *block, const char *place,
		     uint64_t base)
{
	struct scenario *s = m->s;

	s->nv_len = SIM_NV_MIN + 4 * sim_below(&m->r, 1500); /* some are longer than one read */
	s->nv_phone = malloc(s->nv_len);
	s->nv_package = malloc(s->nv_len);
	if (!s->nv_phone || !s->nv_package) {
		m->xml.failed = true;
		return;
	}
	sim_nv(sim_random(&m->r), s->nv_phone, s->nv_len);
	sim_nv(sim_random(&m->r), s->nv_package, s->nv_len);
	snprintf(s->nv_place, sizeof(s->nv_place), "%s", place);
	snprintf(s->nv_name, sizeof(s->nv_name), "%s", block ? block : "");
	if (s->want.no_nv)
		return;
	sim_xml_file(&m->xml, block ? " backup=\"1\"" : "", id, type, block, base, NV_BLOCK, 1, 2);
	add_row(m, id, s->nv_package, s->nv_len);
}

static uint8_t *own_bytes(struct maker *m, size_t len, bool ext)
{
	uint8_t *b = malloc(len);

	if (!b) {
		m->xml.failed = true;
		return NULL;
	}
	sim_bytes(sim_random(&m->r), b, len);
	if (ext) {
		b[1024 + 56] = 0x53;
		b[1024 + 57] = 0xEF;
	}
	return b;
}

static void kept_entries(struct maker *m)
{
	struct scenario *s = m->s;

	if (part(s->profile, "prodnv")) {
		s->prodnv_len = KEEP_BLOCK;
		s->prodnv = own_bytes(m, s->prodnv_len, true);
		sim_xml_file(&m->xml, " backup=\"1\"", "ProdNV", "CODE2", "prodnv", 0, KEEP_BLOCK, 1, 2);
		s->prodnv_package = own_bytes(m, 2048, true);
		add_row(m, "ProdNV", s->prodnv_package, 2048);
	}
	if (part(s->profile, "miscdata")) {
		s->misc_len = KEEP_BLOCK;
		s->misc = own_bytes(m, s->misc_len, false);
		sim_xml_file(&m->xml, " backup=\"1\"", "PhaseCheck", "CODE2", "miscdata", 0, KEEP_BLOCK, 0,
			     2);
		add_row(m, "PhaseCheck", NULL, 0);
	}
}

static const char *slot(struct maker *m, const char *name, char *buf, size_t size)
{
	snprintf(buf, size, "%s%s", name, m->s->profile->slots ? "_a" : "");
	return part(m->s->profile, buf) ? buf : part(m->s->profile, name) ? name : NULL;
}

static void named_entries(struct maker *m)
{
	static const char *const few[] = {
		"boot", "l_modem", "nr_modem", "trustos", "logo", "dtbo", "vbmeta"
	};
	const struct phone_profile *p = m->s->profile;
	bool sign = p->secure, tiny = m->s->want.tiny;
	char buf[40];
	const char *name = slot(m, "l_fixnv1", buf, sizeof(buf));

	if (!name)
		name = slot(m, "nr_fixnv1", buf, sizeof(buf));
	if (name)
		nv_entry(m, "NV_LTE", "NV_COMM", name, name, 0);
	kept_entries(m);
	if (part(p, "uboot") && p->second != PHONE_NAND)
		erase_entry(m, "EraseUBOOT", "uboot", 0, 0, false);
	if (p->second != PHONE_NAND) {
		bool pair = !strcmp(p->name, "ums9620");

		plain_image(m, pair ? "SPLLoaderUFS" : "SPLLoader", "UBOOT_LOADER2", "splloader", 0x80000000,
			    sign || !m->s->want.unsigned_spl);
		m->s->image[m->s->images - 1].patched = m->s->want.unsigned_spl && !sign;
		if (pair) {
			sim_xml_file(&m->xml, "", "SPLLoaderEMMC", "UBOOT_LOADER2", "splloader", 0x80000000,
				     0, 1, 2);
			add_row(m, "SPLLoaderEMMC", "not for this storage", 20);
		}
	}
	for (size_t i = 0; i < sizeof(few) / sizeof(few[0]) && !(tiny && i > 1); i++) {
		const char *place = slot(m, few[i], buf, sizeof(buf));
		const struct phone_part *at = place ? part(p, place) : NULL;

		if (at && !(i > 1 && sim_one_in(&m->r, 3)))
			plain_image(m, few[i], "CODE2", place, 0, sign && at->flags & PHONE_PART_VERIFIED);
	}
	if (part(p, "super"))
		sparse_image(m, "Super", "super");
	else if (part(p, "system"))
		sparse_image(m, "System", "system");
	if (part(p, "userdata") && !tiny && p->second != PHONE_NAND && sim_one_in(&m->r, 2))
		sparse_image(m, "UserData", "userdata");
	name = part(p, "l_runtimenv1") ? "l_runtimenv1" : part(p, "nr_runtimenv1") ? "nr_runtimenv1" : NULL;
	if (name)
		erase_entry(m, "FLASH_LTE", name, 0, 0, true);
	if (part(p, "misc") && !tiny) {
		erase_entry(m, "EraseMisc", "misc", 0, 0, false);
		plain_image(m, "Misc", "YAFFS_IMG2", "misc", 0, false);
	}
	if (part(p, "metadata") && !tiny)
		erase_entry(m, "EraseMetadata", "metadata", 0, 0, true);
	name = slot(m, "uboot", buf, sizeof(buf));
	if (name)
		plain_image(m, "UBOOTLoader", "UBOOT_LOADER2", name, 0, sign);
}

static void id_entry(struct maker *m, const char *id, const char *place, bool sign)
{
	const struct phone_part *at = part(m->s->profile, place);

	if (at)
		plain_image(m, id, "CODE", place, at->id, sign);
}

static void id_entries(struct maker *m)
{
	const struct phone_profile *p = m->s->profile;
	bool tiny = m->s->want.tiny;

	if (p->second == PHONE_SINGLE) {
		erase_entry(m, "ERASE_SPL", "spl", 0x60000000, 0x20000, false);
		id_entry(m, "BOOT", "boot", false);
		if (!tiny)
			erase_entry(m, "FMT_FSSYS", "fssys", 0xfe000006, 0x53595346, true);
		nv_entry(m, "NV", "NV", NULL, "nv", 0xfe000003);
		id_entry(m, "AP", "ap", false);
		if (!tiny)
			id_entry(m, "APPIMG", "appimg", false);
		erase_entry(m, "FLASH", "runningnv", 0xfe000001, 0, true);
		id_entry(m, "SPL", "spl", false);
		return;
	}
	if (p->second == PHONE_NORIDS) {
		nv_entry(m, "NV", "NV", NULL, "nv", 0x90000001);
		id_entry(m, "BOOTLOADER", "bootloader", p->secure);
		id_entry(m, "BOOT0", "boot0", p->secure);
		id_entry(m, "PS", "ps", false);
		id_entry(m, "KERNEL", "kernel", false);
		if (!tiny)
			id_entry(m, "MMIRes", "mmires", false);
		if (!tiny)
			id_entry(m, "DSPCode", "dsp", false);
		erase_entry(m, "FLASH", "runningnv", 0x90000003, 0xC0000, true);
		return;
	}
	nv_entry(m, "NV", "NV", NULL, "fixnv1", 0x90000001);
	id_entry(m, "SPLLoader", "splloader", false);
	id_entry(m, "MODEM", "modem", false);
	id_entry(m, "BOOT", "boot", false);
	if (!tiny)
		id_entry(m, "DSP", "dsp", false);
	id_entry(m, "UBOOTLoader", "uboot", p->secure);
}

static void partitions(struct maker *m)
{
	const struct phone_profile *p = m->s->profile;

	if (by_id(p))
		return;
	sim_xml_add(&m->xml, "<Partitions>\n");
	for (size_t i = 0; i < p->part_count; i++) {
		if (p->parts[i].size == UINT64_MAX)
			sim_xml_add(&m->xml, "<Partition id=\"%s\" size=\"0xFFFFFFFF\"/>\n",
				    p->parts[i].name);
		else
			sim_xml_add(&m->xml, "<Partition id=\"%s\" size=\"%u\"/>\n", p->parts[i].name,
				    (unsigned)((p->parts[i].size + 0xFFFFF) >> 20));
	}
	sim_xml_add(&m->xml, "</Partitions>\n");
}

static void product(struct maker *m)
{
	static const struct {
		const char *name, *id;
		int carry_on;
	} items[] = { { "Calibration", "0xFFFFFFFF", 0 }, { "IMEI", "0xFFFFFFFF", 0 },
		      { "BlueTooth", "0x191", 0 },	  { "BandSelect", "0xD", 0 },
		      { "MMITest", "0x19A", 1 },	  { "Simlock", "0x1F1", 1 } };

	sim_xml_add(
		&m->xml,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<BMAConfig><ProductList><Product name=\"%s\">"
		"<SchemeName>%s</SchemeName><FlashTypeID>%d</FlashTypeID><Mode>0</Mode><NVBackup backup=\"1\">\n",
		m->s->profile->name, m->s->profile->name, m->s->profile->fdl2_base != 0);
	for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++)
		sim_xml_add(
			&m->xml,
			"<NVItem name=\"%s\" backup=\"1\"><ID>%s</ID><BackupFlag use=\"1\"><NVFlag name=\"Continue\" "
			"check=\"%d\"/></BackupFlag></NVItem>\n",
			items[i].name, items[i].id, items[i].carry_on);
	sim_xml_add(&m->xml, "</NVBackup>\n");
	partitions(m);
	sim_xml_add(&m->xml, "</Product></ProductList><SchemeList><Scheme name=\"%s\">\n",
		    m->s->profile->name);
}

static int loaders(struct maker *m)
{
	for (int i = 0; i < 2; i++) {
		size_t size = phone_loader_size(m->s->profile, i + 1);

		if (!size)
			continue;
		m->loader[i] = malloc(size);
		if (!m->loader[i] || phone_make_loader(m->s->profile, i + 1, m->loader[i], size) != size)
			return -ENOMEM;
		sim_xml_file(&m->xml, "", i ? "FDL2" : "FDL", i ? "NAND_FDL" : "FDL", NULL,
			     i ? m->s->profile->fdl2_base : m->s->profile->fdl1_base, 0, 1, 1);
		add_row(m, i ? "FDL2" : "FDL", m->loader[i], size);
	}
	return 0;
}

static bool partition_own(const char *name)
{
	return !strcmp(name, "prodnv") || !strcmp(name, "persist") || !strncmp(name, "misc", 4);
}

static void add_part(struct scenario *s, const char *name, uint64_t mib)
{
	s->parts[s->part_count++] = (struct phone_part){ .name = name, .size = mib << 20 };
}

/* Another table: one partition larger, another left out; or smaller ones; or some that the profile lacks. */
static int other_table(struct maker *m)
{
	struct scenario *s = m->s;
	const struct scenario_want *w = &s->want;

	if ((!w->other_table && !w->vbmeta && !w->small_own) || by_id(s->profile) ||
	    s->profile->second == PHONE_NAND)
		return 0;
	s->parts = calloc(s->profile->part_count + 2, sizeof(*s->parts));
	if (!s->parts)
		return -ENOMEM;
	for (size_t i = 0; i < s->profile->part_count; i++) {
		const struct phone_part *from = &s->profile->parts[i];
		struct phone_part *to = &s->parts[s->part_count];

		if (!strcmp(from->name, "sysdumpdb")) {
			if (w->vbmeta && !part(s->profile, "vbmeta") && !part(s->profile, "vbmeta_a")) {
				add_part(s, w->vbmeta == 1 ? "vbmeta" : "vbmeta_a", 1);
				add_part(s, w->vbmeta == 1 ? "vbmeta_bak" : "vbmeta_b", 1);
			}
			if (w->other_table)
				continue;
			to = &s->parts[s->part_count];
		}
		s->part_count++;
		*to = *from;
		if (w->other_table && !strcmp(from->name, "misc"))
			to->size += 3ull << 20;
		if (w->small_own && from->size < 32 * MIB_1 && partition_own(from->name))
			to->size = MIN(to->size, (uint64_t)w->small_own << 10);
		/* NV has to fit all the same */
		if (w->small_own && from->size < 32 * MIB_1 && strstr(from->name, "nv") &&
		    strcmp(from->name, "prodnv") != 0 && s->profile->fixnv_bytes < MIB_1)
			to->size = MIN(to->size, MIB_1);
	}
	return 0;
}

int scenario_make(uint64_t seed, const struct phone_profile *profile, const struct scenario_want *want,
		  struct scenario *s, struct failure *why)
{
	struct maker m = { .s = s, .r = { seed } };
	int rc;

	memset(s, 0, sizeof(*s));
	s->profile = profile;
	if (want)
		s->want = *want;
	product(&m);
	rc = loaders(&m);
	if (!rc && by_id(profile))
		id_entries(&m);
	else if (!rc)
		named_entries(&m);
	sim_xml_add(&m.xml, "</Scheme></SchemeList></BMAConfig>\n");
	if (!rc)
		rc = m.xml.failed ? -ENOMEM : other_table(&m);
	if (!rc)
		rc = sim_pack(profile->name, m.xml.text, m.rows, m.count, 3, &s->package, why);
	free(m.loader[0]);
	free(m.loader[1]);
	sim_xml_free(&m.xml);
	if (rc)
		scenario_free(s);
	return rc;
}

void scenario_free(struct scenario *s)
{
	sim_package_free(&s->package);
	for (size_t i = 0; i < s->images; i++)
		free(s->image[i].data);
	free(s->nv_phone);
	free(s->nv_package);
	free(s->prodnv);
	free(s->prodnv_package);
	free(s->misc);
	free(s->parts);
	memset(s, 0, sizeof(*s));
}

struct phone *scenario_phone(const struct scenario *s, uint64_t seed, const char *faults, const char **why)
{
	struct phone_content contents[] = { { "prodnv", 0, s->prodnv, s->prodnv_len },
					    { "miscdata", 0, s->misc, s->misc_len } };
	struct phone_setup setup = {
		.seed = seed,
		.faults = faults,
		.nv = s->nv_phone,
		.nv_length = s->nv_len,
		.nv_blank = s->want.nv_blank,
		.blank = s->want.blank,
		.unfilled = true,
		.contents = contents,
		.content_count = s->want.blank ? 0 : (s->prodnv != NULL) + (s->misc != NULL),
		.parts = s->parts,
		.part_count = s->part_count,
	};

	if (!s->prodnv && s->misc)
		setup.contents = contents + 1;
	return phone_new(s->profile, &setup, why);
}
