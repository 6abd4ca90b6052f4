/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/util.h"
#include "flash/plan.h"
#include "tests/compose/compose.h"
#include "tests/compose/compose.h"
#include "tests/simlib/package.h"
#include "tests/simlib/scenario.h"

/* ---- a small product that each test bends ---- */

struct bend {
	const char *partitions; /* inside <Partitions>; NULL: none */
	const char *extra;	/* further File elements, before the last one */
	const char *extra_id;	/* row of the package for them */
	const char *extra_data;
	const char *product; /* further children of Product */
	uint32_t strategy;
	size_t boot_size;
};

static const char usual_table[] =
	"<Partition id=\"prodnv\" size=\"5\"/><Partition id=\"miscdata\" size=\"1\"/>"
	"<Partition id=\"l_fixnv1\" size=\"2\"/><Partition id=\"l_fixnv2\" size=\"2\"/>"
	"<Partition id=\"uboot\" size=\"1\"/><Partition id=\"uboot_bak\" size=\"1\"/>"
	"<Partition id=\"boot\" size=\"1\"/><Partition id=\"userdata\" size=\"0xFFFFFFFF\"/>";

static struct scenario sc; /* only for its loaders and NV */
static uint8_t nv[SIM_NV_MIN], image[1 << 21];

static enum error_id try_make(const struct bend *b, struct sim_package *out)
{
	const struct sim_image rows[] = {
		{ "FDL", NULL, 0, false },
		{ "FDL2", NULL, 0, false },
		{ "NV_LTE", nv, sizeof(nv), false },
		{ "ProdNV", "prodnv of the package", 21, false },
		{ "PhaseCheck", NULL, 0, false },
		{ "EraseUBOOT", NULL, 0, false },
		{ "SPLLoader", image, 5000, false },
		{ "BOOT", image, b->boot_size ? b->boot_size : 3001, false },
		{ "UBOOTLoader", image, 4000, false },
		{ b->extra_id ? b->extra_id : "none", b->extra_data,
		  b->extra_data ? strlen(b->extra_data) : 0, false },
	};
	struct sim_image all[10];
	struct sim_xml x = { 0 };
	struct failure why;
	size_t n;
	const struct pac_item *from = pac_items(sc.package.pac, &n);

	memcpy(all, rows, sizeof(all));
	for (int i = 0; i < 2; i++) {
		all[i].data = sc.package.bytes + from[i].offset;
		all[i].len = from[i].size;
	}
	sim_xml_add(
		&x,
		"<BMAConfig><ProductList><Product name=\"p\"><SchemeName>s</SchemeName><FlashTypeID>1</FlashTypeID>"
		"<NVBackup backup=\"1\"><NVItem name=\"IMEI\" backup=\"1\"><ID>0xFFFFFFFF</ID></NVItem></NVBackup>");
	if (b->partitions)
		sim_xml_add(&x, "<Partitions>%s</Partitions>", b->partitions);
	sim_xml_add(&x, "%s</Product></ProductList><SchemeList><Scheme name=\"s\">",
		    b->product ? b->product : "");
	sim_xml_file(&x, "", "FDL", "FDL", NULL, 0x5000, 0, 1, 1);
	sim_xml_file(&x, "", "FDL2", "NAND_FDL", NULL, 0x9EFFFE00, 0, 1, 1);
	sim_xml_file(&x, "", "SPLLoader", "UBOOT_LOADER2", "splloader", 0x80000000, 0, 1, 0);
	sim_xml_file(&x, "", "EraseUBOOT", "EraseFlash2", "uboot", 0, 0, 0, 2);
	sim_xml_file(&x, "", "BOOT", "CODE2", "boot", 0, 0, 1, 0);
	sim_xml_file(&x, " backup=\"1\"", "ProdNV", "CODE2", "prodnv", 0, 0x2000, 1, 2);
	sim_xml_file(&x, " backup=\"1\"", "PhaseCheck", "CODE2", "miscdata", 0, 0, 0, 2);
	sim_xml_file(&x, "", "NV_LTE", "NV_COMM", "l_fixnv1", 0, 0x4000, 1, 2);
	if (b->extra)
		sim_xml_add(&x, "%s", b->extra);
	sim_xml_file(&x, "", "UBOOTLoader", "UBOOT_LOADER2", "uboot", 0, 0, 1, 0);
	sim_xml_add(&x, "</Scheme></SchemeList></BMAConfig>");
	memset(&why, 0, sizeof(why));
	sim_pack("p", x.text, all, b->extra_id ? 10 : 9, b->strategy, out, &why);
	sim_xml_free(&x);
	return why.error;
}

static void make(const struct bend *b, struct sim_package *out)
{
	enum error_id error = try_make(b, out);

	if (error)
		fail_msg("the package was refused: %s", error_entry(error)->name);
}

static struct plan *compile(const struct sim_package *p, const struct plan_options *o)
{
	struct failure why;
	struct plan *plan;
	char text[400];

	if (plan_compile(p->pac, o, &plan, &why))
		fail_msg("%s", failure_text(&why, text, sizeof(text)));
	return plan;
}

/* The plan as one line: "repartition? write-nv:l_fixnv1 ..." ; '?' marks a guard. */
static const char *shape(const struct plan *p)
{
	static char text[2000];

	text[0] = 0;
	for (uint32_t i = 0; i < p->step_count; i++) {
		const struct plan_step *s = &p->step[i];
		size_t n = strlen(text);

		snprintf(text + n, sizeof(text) - n, "%s%s%s%s%s", n ? " " : "", plan_op_name(s->op),
			 s->guard ? "?" : "", s->target[0] && s->op != OP_REPARTITION ? ":" : "",
			 s->op == OP_REPARTITION ? "" : s->target);
	}
	return text;
}

static void refused(const struct bend *b, const struct plan_options *o, enum error_id error)
{
	struct sim_package p;
	struct failure why;
	struct plan *plan;

	why.error = try_make(b, &p);
	if (why.error) {
		/* some things are refused before there is a plan at all */
		assert_int_equal(why.error, error);
		return;
	}
	assert_int_not_equal(plan_compile(p.pac, o, &plan, &why), 0);
	assert_null(plan);
	if (why.error != error)
		fail_msg("expected %s, got %s: %s", error_entry(error)->name, error_entry(why.error)->name,
			 why.detail);
	assert_true(why.detail[0]);
	sim_package_free(&p);
}

/* ---- the order ---- */

static void places_nv_behind_the_table(void **state)
{
	struct bend b = { .partitions = usual_table };
	struct sim_package p;
	struct plan *plan;

	make(&b, &p);
	plan = compile(&p, NULL);
	assert_string_equal(
		shape(plan),
		"repartition? write-nv:l_fixnv1 verify:l_fixnv1 restore?:prodnv restore?:miscdata "
		"write:splloader erase?:uboot write:boot write?:uboot reset");
	assert_int_equal(plan->family, PLAN_TWO_STAGE);
	assert_true(plan->keep_charge);
	assert_false(plan->old_ids);
	assert_int_equal(plan->may_not_know, UNKNOWN_UID);
	/* nobody may stop between the table and what belongs to this phone */
	for (int i = 0; i < 6; i++)
		assert_int_equal(plan->step[i].boundary, BOUNDARY_BOUND);
	assert_int_equal(plan->step[7].boundary, BOUNDARY_ENTRY);
	assert_int_equal(plan->step[8].boundary, BOUNDARY_BOUND);
	/* NV goes through the backup, and is compared from byte 4 on */
	assert_int_equal(plan->step[1].backup, 2);
	assert_true(plan->step[1].item >= 0);
	assert_int_equal(plan->step[2].of, 1);
	assert_int_equal(plan->step[2].skips, 1);
	assert_int_equal(plan->step[2].skip[0].size, 4);
	assert_int_equal(plan->backup_count, 3);
	assert_int_equal(plan->backup[2].kind, BACKUP_NV);
	assert_true(plan->backup[2].must);
	assert_int_equal(plan->backup[2].size, 0x4000);
	assert_int_equal(plan->backup[1].size, 8192);
	assert_string_equal(plan->backup[1].sink, "miscdata");
	assert_int_equal(plan->fdl2.base, 0x9EFFFE00);
	plan_free(plan);
	sim_package_free(&p);
}

static void verifies_at_the_end(void **state)
{
	struct plan_options o = { .level = LEVEL_VERIFIED, .end = END_POWER_OFF };
	struct bend b = { .partitions = usual_table };
	struct sim_package p;
	struct plan *plan;

	make(&b, &p);
	plan = compile(&p, &o);
	assert_string_equal(
		shape(plan),
		"repartition? write-nv:l_fixnv1 verify:l_fixnv1 restore?:prodnv restore?:miscdata "
		"write:splloader erase?:uboot write:boot write?:uboot verify?:prodnv verify?:miscdata "
		"verify:splloader verify:boot verify?:uboot power-off");
	/* an unsigned boot loader: the phone fills four words at 0x20 */
	assert_int_equal(plan->step[11].skip[0].at, 0x20);
	assert_int_equal(plan->step[11].skip[0].size, 16);
	assert_int_equal(plan->step[11].skips, 1); /* 5000 bytes do not reach the balancing word */
	assert_true(plan->step[11].no_verify[0]);
	assert_int_equal(plan->step[12].size, 3001);
	assert_string_equal(plan->step[12].no_verify, "");
	assert_int_equal(plan->bytes_to_verify, sizeof(nv) + 0x2000 + 8192 + 5000 + 3001 + 4000);
	assert_int_equal(plan_verify_usec(plan, 1000), plan->bytes_to_verify * 1000);
	assert_int_equal(plan_verify_usec(plan, 0), 0);
	plan_free(plan);
	sim_package_free(&p);
}

static void follows_policies(void **state)
{
	static const struct {
		enum repartition_policy policy;
		uint32_t strategy;
		const char *head;
	} rows[] = {
		{ REPARTITION_ON_MISMATCH, 0, "repartition? " },
		{ REPARTITION_ALWAYS, 1, "repartition " },
		{ REPARTITION_NEVER, 0, "write-nv" },
		{ REPARTITION_PACKAGE, 0, "repartition " },
		{ REPARTITION_PACKAGE, 1, "write-nv" },
		{ REPARTITION_PACKAGE, 2, "write-nv" },
		{ REPARTITION_PACKAGE, 3, "repartition? " },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bend b = { .partitions = usual_table, .strategy = rows[i].strategy };
		struct plan_options o = { .repartition = rows[i].policy };
		struct sim_package p;
		struct plan *plan;

		make(&b, &p);
		plan = compile(&p, &o);
		assert_memory_equal(shape(plan), rows[i].head, strlen(rows[i].head));
		plan_free(plan);
		sim_package_free(&p);
	}
}

static void takes_and_leaves(void **state)
{
	struct plan_options only = { .only_count = 1, .only = { "boot" } };
	struct plan_options without = { .without_count = 2, .without = { "NV_LTE", "uboot" } };
	struct bend b = { .partitions = usual_table };
	struct sim_package p;
	struct plan *plan;

	make(&b, &p);
	/* one entry: no table, no NV */
	plan = compile(&p, &only);
	assert_string_equal(shape(plan), "write:boot reset");
	plan_free(plan);
	/* NV left out although the table may move: it is kept and brought back as it is */
	plan = compile(&p, &without);
	assert_string_equal(shape(plan), "repartition? write-nv?:l_fixnv1 verify?:l_fixnv1 restore?:prodnv "
					 "restore?:miscdata write:splloader write:boot reset");
	assert_int_equal(plan->step[1].item, -1);
	assert_int_equal(plan->backup[plan->step[1].backup].kind, BACKUP_NV);
	assert_true(plan->backup[plan->step[1].backup].must);
	plan_free(plan);
	without.repartition = REPARTITION_NEVER;
	plan = compile(&p, &without);
	assert_string_equal(shape(plan),
			    "restore?:prodnv restore?:miscdata write:splloader write:boot reset");
	plan_free(plan);
	sim_package_free(&p);
}

static void nv_as_told(void **state)
{
	struct plan_options o = { .nv = NV_PACKAGE };
	struct bend b = { .partitions = usual_table };
	struct sim_package p;
	struct plan *plan;

	make(&b, &p);
	plan = compile(&p, &o);
	assert_int_equal(plan->step[1].op, OP_WRITE_NV);
	assert_int_equal(plan->step[1].backup, -1);
	assert_int_equal(plan->backup_count, 3); /* kept all the same, but it does not stop the job */
	assert_false(plan->backup[2].must);
	plan_free(plan);
	o.nv = NV_KEEP_IF_ANY;
	plan = compile(&p, &o);
	assert_int_equal(plan->step[1].backup, 2);
	assert_false(plan->backup[2].must);
	plan_free(plan);
	sim_package_free(&p);
}

static void erases_nv_only_next_to_its_return(void **state)
{
	struct sim_xml x = { 0 };
	struct bend b = { .partitions = usual_table, .extra_id = "EraseNV" };
	struct plan_options o = { .repartition = REPARTITION_NEVER };
	struct sim_package p;
	struct plan *plan;

	sim_xml_file(&x, "", "EraseNV", "EraseFlash2", "l_fixnv1", 0, 0, 0, 2);
	b.extra = x.text;
	make(&b, &p);
	plan = compile(&p, &o);
	assert_memory_equal(shape(plan), "erase:l_fixnv1 write-nv:l_fixnv1 verify:l_fixnv1 ", 49);
	assert_int_equal(plan->step[0].boundary, BOUNDARY_BOUND);
	plan_free(plan);
	sim_package_free(&p);
	/* without the entry that writes it back it is no plan at all */
	o.without_count = 1;
	strcpy(o.without[0], "NV_LTE");
	refused(&b, &o, ERR_PACKAGE_UNSAFE);
	o.nv = NV_PACKAGE;
	make(&b, &p);
	plan_free(compile(&p, &o));
	sim_package_free(&p);
	sim_xml_free(&x);
}

static void erase_all_comes_first(void **state)
{
	struct plan_options o = { .erase_all = true };
	struct bend b = { .partitions = usual_table, .strategy = 1 };
	struct sim_package p;
	struct plan *plan;

	make(&b, &p);
	plan = compile(&p, &o);
	assert_memory_equal(shape(plan), "erase-all:erase_all repartition write-nv:l_fixnv1", 49);
	assert_true(plan->doubt_count > 0);
	plan_free(plan);
	sim_package_free(&p);

	o.without_count = 1;
	strcpy(o.without[0], "SPLLoader");
	refused(&b, &o, ERR_PACKAGE_UNSAFE);
	o.without_count = 0;
	o.repartition = REPARTITION_NEVER;
	refused(&b, &o, ERR_INVALID_ARGS);
	o.repartition = 0;
	o.only_count = 1;
	strcpy(o.only[0], "boot");
	refused(&b, &o, ERR_INVALID_ARGS);
}

static void refuses_options(void **state)
{
	struct bend b = { .partitions = usual_table };
	struct plan_options o = { .only_count = 1, .only = { "nothing-like-it" } };

	refused(&b, &o, ERR_INVALID_ARGS);
	strcpy(o.only[0], "FDL2");
	refused(&b, &o, ERR_INVALID_ARGS);
	o = (struct plan_options){ .level = LEVEL_SAMPLED };
	refused(&b, &o, ERR_UNSUPPORTED);
	o = (struct plan_options){ .nv_from = "7", .nv_not_this_phone = true };
	refused(&b, &o, ERR_INVALID_ARGS);
	o = (struct plan_options){ .nv_from = "7", .nv = NV_PACKAGE };
	refused(&b, &o, ERR_INVALID_ARGS);
	o = (struct plan_options){ .nv = 9 };
	refused(&b, &o, ERR_INVALID_ARGS);
	o = (struct plan_options){ .without_count = PLAN_NAMES_MAX + 1 };
	refused(&b, &o, ERR_INVALID_ARGS);
}

static void refuses_entries(void **state)
{
	static const struct {
		const char *type, *block;
		uint64_t base;
		int flag;
		const char *data;
		enum error_id error;
	} rows[] = {
		{ "EraseFlash2", "erase_all", 0, 0, NULL, ERR_PACKAGE_UNSAFE },
		{ "CODE2", "user_partition", 0, 1, "x", ERR_PACKAGE_UNSAFE },
		{ "CODE2", "boot_size", 0, 1, "x", ERR_PACKAGE_UNSAFE },
		{ "CODE2", "l_fixnv2", 0, 1, "x", ERR_PACKAGE_UNSAFE },
		{ "CODE2", "l_runtimenv1", 0, 1, "x", ERR_PACKAGE_UNSAFE },
		{ "EraseFlash", NULL, 0, 0, NULL, ERR_PACKAGE_UNSAFE },
		{ "MasterImage", "spl2", 0, 1, "x", ERR_PACKAGE_TYPE },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sim_xml x = { 0 };
		struct bend b = { .partitions = usual_table,
				  .extra_id = "Extra",
				  .extra_data = rows[i].data };

		sim_xml_file(&x, "", "Extra", rows[i].type, rows[i].block, rows[i].base, 0, rows[i].flag, 2);
		b.extra = x.text;
		refused(&b, NULL, rows[i].error);
		/* left out, it does no harm */
		{
			struct plan_options o = { .without_count = 1, .without = { "Extra" } };
			struct sim_package p;

			if (!try_make(&b, &p)) {
				plan_free(compile(&p, &o));
				sim_package_free(&p);
			}
		}
		sim_xml_free(&x);
	}
}

/* In a table too: no row may have a name that means more than a partition. */
static void refuses_names_of_rows(void **state)
{
	static const char *const names[] = { "user_partition", "erase_all", "boot_size" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char table[1000];
		struct bend b = { .partitions = table };

		snprintf(table, sizeof(table), "<Partition id=\"%s\" size=\"1\"/>%s", names[i], usual_table);
		refused(&b, NULL, ERR_PACKAGE_PARTITIONS);
	}
}

/* The daemon opens such a package, for force_loaders: it is the plan that has to refuse it. */
static void refuses_a_wrong_pair(void **state)
{
	static const char fdl1[100] = "............FDL1 sharkl3.",
			  fdl2[100] = "............FDL2 ums9230_1h10.";
	struct compose_spec spec = { .family = "sc9863a",
				     .seed = 1,
				     .fdl1 = fdl1,
				     .fdl1_len = sizeof(fdl1),
				     .fdl2 = fdl2,
				     .fdl2_len = sizeof(fdl2) };
	struct pac_options accept = { .accept_mismatch = true };
	struct plan_options o = { 0 };
	struct failure why = { 0 };
	struct source source;
	struct plan *plan;
	struct pac *pac;
	uint8_t *bytes;
	size_t len;

	assert_int_equal(compose_package(&spec, &bytes, &len), 0);
	source = source_memory(bytes, len);
	assert_int_equal(pac_open(&source, &accept, &pac, &why), 0);
	assert_int_not_equal(plan_compile(pac, &o, &plan, &why), 0);
	assert_int_equal(why.error, ERR_LOADER_MISMATCH);
	o.force_loaders = true;
	assert_int_equal(plan_compile(pac, &o, &plan, &why), 0);
	assert_true(plan->doubt_count > 0);
	plan_free(plan);
	pac_free(pac);
	free(bytes);
}

static void refuses_what_does_not_fit(void **state)
{
	struct bend b = { .partitions = usual_table, .boot_size = (1 << 20) + 1 };
	struct sim_package p;

	refused(&b, NULL, ERR_IMAGE_TOO_LARGE);
	b.boot_size = 1 << 20;
	make(&b, &p);
	plan_free(compile(&p, NULL));
	sim_package_free(&p);
}

static void says_what_slots_do(void **state)
{
	struct sim_xml x = { 0 };
	struct bend b = { .partitions = usual_table, .extra_id = "Logo", .extra_data = "0123456789" };
	struct sim_package p;
	struct plan *plan;
	bool told = false;

	sim_xml_file(&x, "", "Logo", "CODE2", "logo_a", 0, 0, 1, 2);
	sim_xml_file(&x, "", "UBOOTLoader", "CODE2", "logo_b", 0, 0, 1, 2);
	b.extra = x.text;
	make(&b, &p);
	plan = compile(&p, NULL);
	for (uint32_t i = 0; i < plan->doubt_count; i++)
		told |= strstr(plan->doubt[i], "logo_a and logo_b differ") != NULL;
	assert_true(told);
	plan_free(plan);
	sim_package_free(&p);
	sim_xml_free(&x);
}

static void count_line(void *ctx, const char *key, uint32_t index, const char *text)
{
	unsigned *n = ctx;

	assert_true(key[0] && text[0]);
	n[0]++;
	if (!strcmp(key, "step"))
		assert_int_equal(index, n[1]++);
}

static void prints(void **state)
{
	struct plan_options o = { .level = LEVEL_VERIFIED };
	struct bend b = { .partitions = usual_table };
	struct sim_package p;
	struct plan *plan;
	unsigned n[2] = { 0 };
	char text[200];

	make(&b, &p);
	plan = compile(&p, &o);
	plan_print(plan, count_line, n);
	assert_int_equal(n[1], plan->step_count);
	assert_int_equal(n[0], 1 + 2 + plan->table.count + plan->backup_count + plan->step_count +
				       plan->doubt_count + 1);
	assert_string_equal(plan_step_text(plan, &plan->step[7], text, sizeof(text)),
			    "write boot (3001 bytes)");
	assert_string_equal(plan_op_name(OP_WRITE_NV), "write-nv");
	assert_string_equal(guard_name(GUARD_TABLE_DIFFERS), "table-differs");
	assert_string_equal(plan_op_name((enum plan_op)99), "unknown");
	plan_free(plan);
	sim_package_free(&p);
}

/* pac-and-flow 4: an odd size is rounded up, the size field of a format is a name and left alone. */
static void erases_by_address_are_even(void **state)
{
	static const struct {
		const char *base, *size;
		uint64_t want;
	} rows[] = { { "0x60000000", "0x20001", 0x20002 },
		     { "0x60000000", "0x20000", 0x20000 },
		     { "0x90000003", "0xFFFFFFFF", 0xFFFFFFFF },
		     { "0xFE000006", "0x53595347", 0x53595347 } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char extra[400];
		struct bend b = { .partitions = usual_table, .extra = extra, .extra_id = "Wipe" };
		struct sim_package p;
		struct plan *plan;
		bool found = false;

		snprintf(
			extra, sizeof(extra),
			"<File><ID>Wipe</ID><IDAlias>Wipe</IDAlias><Type>EraseFlash</Type><Block><Base>%s</Base>"
			"<Size>%s</Size></Block><Flag>0</Flag><CheckFlag>2</CheckFlag></File>",
			rows[i].base, rows[i].size);
		make(&b, &p);
		plan = compile(&p, NULL);
		for (uint32_t k = 0; k < plan->step_count; k++) {
			if (plan->step[k].op != OP_ERASE || plan->step[k].by_name)
				continue;
			found = true;
			assert_int_equal(plan->step[k].size, rows[i].want);
		}
		assert_true(found);
		plan_free(plan);
		sim_package_free(&p);
	}
}

/* A sparse image without any data: that there is nothing to compare stands in the plan from the start. */
static void says_that_holes_are_not_compared(void **state)
{
	static uint8_t holes[28 + 3 * 12];
	struct plan_options o = { .level = LEVEL_VERIFIED };
	struct bend b = { .partitions = usual_table, .boot_size = sizeof(holes) };
	struct sim_package p;
	struct plan *plan;
	uint8_t keep[sizeof(holes)];

	memset(holes, 0, sizeof(holes));
	put_le32(holes, 0xED26FF3A);
	put_le16(holes + 4, 1);
	put_le16(holes + 8, 28);
	put_le16(holes + 10, 12);
	put_le32(holes + 12, 4096);
	put_le32(holes + 16, 30);
	put_le32(holes + 20, 3);
	for (int i = 0; i < 3; i++) {
		put_le16(holes + 28 + 12 * i, 0xCAC3);
		put_le32(holes + 28 + 12 * i + 4, 10);
		put_le32(holes + 28 + 12 * i + 8, 12);
	}
	memcpy(keep, image, sizeof(keep));
	memcpy(image, holes, sizeof(holes));
	make(&b, &p);
	memcpy(image, keep, sizeof(keep));
	plan = compile(&p, &o);
	for (uint32_t k = 0; k < plan->step_count; k++)
		if (plan->step[k].op == OP_VERIFY && !strcmp(plan->step[k].target, "boot")) {
			assert_int_equal(plan->step[k].size, 0);
			assert_non_null(strstr(plan->step[k].no_verify, "holes"));
		}
	plan_free(plan);
	sim_package_free(&p);
}

/*
 * What was not ticked when it was packed is looked at all the same. That its header makes no sense is no
 * reason to refuse the package, but it is not flashed by name either.
 */
static void an_unticked_entry_that_is_broken(void **state)
{
	struct scenario_want want = { .tiny = true, .untick = "SPLLoader" };
	struct plan_options all = { 0 }, named = { .only_count = 1, .only = { "splloader" } };
	struct failure why = { 0 };
	const struct pac_item *item;
	struct scenario s;
	struct source src;
	struct plan *plan;
	struct pac *pac = NULL;
	size_t n, at = 0;

	assert_int_equal(scenario_make(7, phone_profile_by_name("sc9863a"), &want, &s, &why), 0);
	item = pac_items(s.package.pac, &n);
	for (size_t i = 0; i < n; i++)
		if (!strcmp(item[i].file->id, "SPLLoader")) {
			assert_false(item[i].ticked || item[i].image.broken);
			assert_true(item[i].image.dhtb.present);
			at = item[i].offset;
		}
	assert_true(at);
	assert_int_equal(plan_compile(s.package.pac, &named, &plan, &why), 0);
	plan_free(plan);
	memset(s.package.bytes + at + 0x30, 0xFF, 4); /* a payload far longer than the image */
	src = source_memory(s.package.bytes, s.package.size);
	assert_int_equal(pac_open(&src, NULL, &pac, &why), 0);
	assert_int_equal(plan_compile(pac, &all, &plan, &why), 0);
	plan_free(plan);
	assert_int_not_equal(plan_compile(pac, &named, &plan, &why), 0);
	assert_int_equal(why.error, ERR_PACKAGE_IMAGE_DAMAGED);
	pac_free(pac);
	scenario_free(&s);
}

/* Every kind of phone that the simulation knows. */
static void compiles_all_profiles(void **state)
{
	size_t count;
	const struct phone_profile *profiles = phone_profiles(&count);

	for (size_t i = 0; i < count; i++) {
		struct plan_options o = { .level = LEVEL_VERIFIED };
		struct scenario s;
		struct failure why = { 0 };
		struct plan *plan;
		char text[400];

		if (scenario_make(7 + i, &profiles[i], NULL, &s, &why))
			fail_msg("%s: %s", profiles[i].name, failure_text(&why, text, sizeof(text)));
		plan = compile(&s.package, &o);
		assert_int_equal(plan->family, profiles[i].fdl2_base ? PLAN_TWO_STAGE : PLAN_SINGLE_FDL);
		assert_int_equal(plan->old_ids, profiles[i].second == PHONE_IDS ||
							profiles[i].second == PHONE_NORIDS ||
							profiles[i].second == PHONE_SINGLE);
		assert_int_equal(plan->fdl1.second_enum, profiles[i].second_enumeration);
		if (plan->old_ids)
			assert_int_equal(plan->may_not_know, UNKNOWN_NONE);
		/* ids that follow each other are no ranges that overlap */
		for (uint32_t k = 0; k < plan->step_count; k++)
			if (plan->step[k].op == OP_VERIFY && plan->step[k].address)
				assert_true(plan->step[k].size > 0);
		plan_free(plan);
		scenario_free(&s);
	}
}

/* The boot loader goes first and comes last, so that a broken job always ends in ROM download mode. */
static void keeps_the_order_of_one_loader(void **state)
{
	const struct scenario_want want = { .tiny = true };
	struct scenario s;
	struct failure why;
	struct plan *plan;

	assert_int_equal(scenario_make(3, phone_profile_by_name("uic8850"), &want, &s, &why), 0);
	plan = compile(&s.package, NULL);
	assert_string_equal(shape(plan),
			    "erase:0x60000000 write:0x60020000 write-nv:0xfe000003 verify:0xfe000003 "
			    "write:0x60030000 erase:0xfe000001 write:0x60000000 reset");
	assert_false(plan->keep_charge);
	plan_free(plan);
	scenario_free(&s);
}

static void picks_spl_by_storage(void **state)
{
	struct scenario s;
	struct failure why;
	struct plan *plan;

	assert_int_equal(scenario_make(3, phone_profile_by_name("ums9620"), NULL, &s, &why), 0);
	plan = compile(&s.package, NULL);
	assert_non_null(strstr(shape(plan), "write?:splloader write?:splloader"));
	plan_free(plan);
	scenario_free(&s);
}

/* ---- the real schemes, with made images ---- */

struct real {
	char *xml;
	uint8_t *bytes;
	size_t len;
	struct source source;
	struct pac *pac;
};

static bool real(const char *path, struct real *t)
{
	struct failure why;
	char text[400];
	size_t len;

	memset(t, 0, sizeof(*t));
	t->xml = (char *)compose_data(path, &len);
	if (!t->xml)
		return false;
	{
		struct compose_spec spec = { .xml = t->xml, .seed = 3, .image_bytes = 3000 };

		assert_int_equal(compose_package(&spec, &t->bytes, &t->len), 0);
	}
	t->source = source_memory(t->bytes, t->len);
	if (pac_open(&t->source, NULL, &t->pac, &why))
		fail_msg("%s: %s", path, failure_text(&why, text, sizeof(text)));
	return true;
}

static void real_end(struct real *t)
{
	pac_free(t->pac);
	free(t->bytes);
	free(t->xml);
}

static struct plan *real_plan(const struct real *t, const struct plan_options *o)
{
	struct failure why;
	struct plan *plan;
	char text[400];

	if (plan_compile(t->pac, o, &plan, &why))
		fail_msg("%s", failure_text(&why, text, sizeof(text)));
	return plan;
}

static uint32_t place_of(const struct plan *p, enum plan_op op, const char *target)
{
	for (uint32_t i = 0; i < p->step_count; i++)
		if (p->step[i].op == op && !strcmp(p->step[i].target, target))
			return i;
	fail_msg("no %s of %s", plan_op_name(op), target);
	return 0;
}

static void real_sc9863a(void **state)
{
	struct plan_options o = { .level = LEVEL_VERIFIED };
	struct real t;
	struct plan *p;
	uint32_t fixnv, last;

	if (!real("xml/sc9863a.xml", &t))
		skip();
	p = real_plan(&t, &o);
	assert_int_equal(p->table.count, 37);
	assert_true(p->table.entry[36].size == UINT64_MAX);
	assert_int_equal(p->fdl1.base, 0x5000);
	assert_int_equal(p->fdl2.base, 0x9EFFFE00);
	/* the strategy of a made package is its own; the default policy asks the table */
	assert_int_equal(p->step[0].op, OP_REPARTITION);
	fixnv = place_of(p, OP_WRITE_NV, "l_fixnv1");
	assert_int_equal(fixnv, 1);
	assert_int_equal(p->step[fixnv + 1].op, OP_VERIFY);
	assert_true(place_of(p, OP_RESTORE, "prodnv") < place_of(p, OP_ERASE, "uboot"));
	assert_true(place_of(p, OP_RESTORE, "miscdata") < place_of(p, OP_ERASE, "uboot"));
	/* U-Boot is erased before the images and written after the last of them */
	assert_true(place_of(p, OP_ERASE, "uboot") < place_of(p, OP_WRITE, "splloader"));
	last = place_of(p, OP_WRITE, "uboot");
	for (uint32_t i = last + 1; i < p->step_count; i++)
		assert_true(p->step[i].op == OP_VERIFY || p->step[i].op == OP_RESET);
	/* both Misc entries, each behind its own erase */
	assert_true(place_of(p, OP_ERASE, "misc") < place_of(p, OP_WRITE, "misc"));
	assert_true(place_of(p, OP_ERASE, "misc_bak") < place_of(p, OP_WRITE, "misc_bak"));
	assert_int_equal(p->step[place_of(p, OP_VERIFY, "userdata")].size, 0);
	plan_free(p);
	real_end(&t);
}

static void real_ums9620(void **state)
{
	struct real t;
	struct plan *p;
	unsigned spl = 0;

	if (!real("xml/ums9620.xml", &t))
		skip();
	p = real_plan(&t, NULL);
	assert_int_equal(p->fdl2.base, 0xB4FFFE00);
	assert_int_equal(p->step[1].op, OP_WRITE_NV);
	assert_string_equal(p->step[1].target, "nr_fixnv1");
	for (uint32_t i = 0; i < p->step_count; i++)
		spl += p->step[i].op == OP_WRITE && !strcmp(p->step[i].target, "splloader");
	assert_true(spl >= 1);
	/* persist comes from the package: a person should know */
	assert_non_null(strstr(shape(p), "write:persist"));
	plan_free(p);
	real_end(&t);
}

static void real_sc6531(void **state)
{
	struct real t;
	struct plan *p;

	if (!real("xml/sc6531efm.xml", &t))
		skip();
	p = real_plan(&t, NULL);
	assert_int_equal(p->family, PLAN_TWO_STAGE);
	assert_true(p->old_ids);
	assert_false(p->keep_charge);
	assert_int_equal(p->step[0].op, OP_WRITE_NV);
	assert_int_equal(p->step[0].address, 0x90000001);
	assert_int_equal(p->step[place_of(p, OP_ERASE, "0x90000003")].size, 0xC0000);
	plan_free(p);
	real_end(&t);
}

static void real_uic8850(void **state)
{
	static const char *const paths[] = { "pac/uic8850-core.pac", "pac/uic8850-app.pac" };

	for (int i = 0; i < 2; i++) {
		struct failure why;
		struct plan *p;
		struct pac *pac;
		size_t len;
		uint8_t *bytes = compose_data(paths[i], &len);
		struct source src;

		if (!bytes)
			skip();
		src = source_memory(bytes, len);
		assert_int_equal(pac_open(&src, NULL, &pac, &why), 0);
		assert_int_equal(plan_compile(pac, NULL, &p, &why), 0);
		assert_int_equal(p->family, PLAN_SINGLE_FDL);
		if (i == 0) {
			/* the boot loader is erased first and written last: a broken job lands in the ROM */
			assert_int_equal(p->step[0].op, OP_ERASE);
			assert_int_equal(p->step[0].address, 0x60000000);
			assert_int_equal(p->step[p->step_count - 2].op, OP_WRITE);
			assert_int_equal(p->step[p->step_count - 2].address, 0x60000000);
		} else {
			assert_string_equal(shape(p), "write:0x601ae000 reset");
		}
		plan_free(p);
		pac_free(pac);
		free(bytes);
	}
}

static int setup(void **state)
{
	const struct scenario_want tiny = { .tiny = true };
	struct failure why;

	sim_nv(1, nv, sizeof(nv));
	sim_bytes(2, image, sizeof(image));
	image[0] = 0x11;
	return scenario_make(1, phone_profile_by_name("sc9863a"), &tiny, &sc, &why);
}

static int teardown(void **state)
{
	scenario_free(&sc);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(places_nv_behind_the_table),
		cmocka_unit_test(verifies_at_the_end),
		cmocka_unit_test(follows_policies),
		cmocka_unit_test(takes_and_leaves),
		cmocka_unit_test(nv_as_told),
		cmocka_unit_test(erases_nv_only_next_to_its_return),
		cmocka_unit_test(erase_all_comes_first),
		cmocka_unit_test(refuses_options),
		cmocka_unit_test(refuses_entries),
		cmocka_unit_test(refuses_names_of_rows),
		cmocka_unit_test(refuses_a_wrong_pair),
		cmocka_unit_test(refuses_what_does_not_fit),
		cmocka_unit_test(says_what_slots_do),
		cmocka_unit_test(prints),
		cmocka_unit_test(compiles_all_profiles),
		cmocka_unit_test(an_unticked_entry_that_is_broken),
		cmocka_unit_test(erases_by_address_are_even),
		cmocka_unit_test(says_that_holes_are_not_compared),
		cmocka_unit_test(keeps_the_order_of_one_loader),
		cmocka_unit_test(picks_spl_by_storage),
		cmocka_unit_test(real_sc9863a),
		cmocka_unit_test(real_ums9620),
		cmocka_unit_test(real_sc6531),
		cmocka_unit_test(real_uic8850),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
