/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "flash/plan.h"
#include "tests/simlib/scenario.h"

/* A plan of a made package, and a phone that suits it; each test bends one of the two. */
struct set {
	struct scenario sc;
	struct plan *plan;
	struct device_facts facts;
};

static void begin(struct set *t, const char *profile, const struct plan_options *o)
{
	struct failure why = { 0 };
	char text[400];
	uint32_t rest;

	memset(t, 0, sizeof(*t));
	if (scenario_make(11, phone_profile_by_name(profile), NULL, &t->sc, &why) ||
	    plan_compile(t->sc.package.pac, o, &t->plan, &why))
		fail_msg("%s", failure_text(&why, text, sizeof(text)));
	t->facts.has_capabilities = true;
	t->facts.storage = t->sc.profile->store == PHONE_UFS ? STORAGE_UFS : STORAGE_EMMC;
	t->facts.lk = t->sc.profile->second == PHONE_LK;
	t->facts.table = t->plan->table;
	if (t->facts.table.count) {
		t->facts.table.origin = TABLE_GPT;
		t->facts.table.sector = t->sc.profile->sector;
		t->facts.table.unit_sure = true;
		t->facts.table.user_size = t->sc.profile->user_bytes;
		rest = t->facts.table.count - 1;
		t->facts.table.entry[rest].size = 1u << 30;
	}
	t->facts.backup_count = t->plan->backup_count;
	for (uint32_t i = 0; i < t->plan->backup_count; i++) {
		t->facts.backups[i].step = i;
		t->facts.backups[i].state = BACKUP_VALID;
		t->facts.backups[i].size = t->plan->backup[i].size;
	}
}

static void end(struct set *t)
{
	plan_free(t->plan);
	scenario_free(&t->sc);
}

static struct plan *resolved(const struct set *t)
{
	struct failure why;
	struct plan *p;
	char text[400];

	if (plan_resolve(t->plan, &t->facts, &p, &why))
		fail_msg("%s", failure_text(&why, text, sizeof(text)));
	for (uint32_t i = 0; i < p->step_count; i++)
		assert_int_equal(p->step[i].guard, GUARD_ALWAYS);
	return p;
}

static void refused(const struct set *t, enum error_id error)
{
	struct failure why;
	struct plan *p;

	assert_int_not_equal(plan_resolve(t->plan, &t->facts, &p, &why), 0);
	assert_null(p);
	if (why.error != error)
		fail_msg("expected %s, got %s: %s", error_entry(error)->name, error_entry(why.error)->name,
			 why.detail);
	assert_true(why.detail[0]);
}

static uint32_t count(const struct plan *p, enum plan_op op, const char *target)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < p->step_count; i++)
		n += p->step[i].op == op && (!target || !strcmp(p->step[i].target, target));
	return n;
}

static const struct plan_step *step(const struct plan *p, enum plan_op op, const char *target)
{
	for (uint32_t i = 0; i < p->step_count; i++)
		if (p->step[i].op == op && (!target || !strcmp(p->step[i].target, target)))
			return &p->step[i];
	fail_msg("no %s of %s", plan_op_name(op), target ? target : "anything");
	return NULL;
}

static bool doubted(const struct plan *p, const char *text)
{
	for (uint32_t i = 0; i < p->doubt_count; i++)
		if (strstr(p->doubt[i], text))
			return true;
	return false;
}

static struct table_entry *row(struct set *t, const char *name)
{
	return (struct table_entry *)(uintptr_t)table_find(&t->facts.table, name);
}

static struct backup_fact *fact(struct set *t, const char *target)
{
	for (uint32_t i = 0; i < t->plan->backup_count; i++)
		if (!strcmp(t->plan->backup[i].target, target))
			return &t->facts.backups[i];
	fail_msg("no backup of %s", target);
	return NULL;
}

static void same_table_moves_nothing(void **state)
{
	struct plan_options o = { .level = LEVEL_VERIFIED };
	struct set t;
	struct plan *p;

	begin(&t, "sc9863a", &o);
	p = resolved(&t);
	assert_int_equal(count(p, OP_REPARTITION, NULL), 0);
	/* what nothing touches is not written */
	assert_int_equal(count(p, OP_RESTORE, NULL), 0);
	assert_int_equal(count(p, OP_VERIFY, "prodnv"), 0);
	assert_int_equal(count(p, OP_WRITE_NV, NULL), 1);
	assert_int_equal(count(p, OP_VERIFY, "l_fixnv1"), 1);
	assert_int_equal(count(p, OP_ERASE, "uboot"), 1);
	assert_int_equal(p->step[p->step_count - 1].op, OP_RESET);
	/* every comparison points at what it compares */
	for (uint32_t i = 0; i < p->step_count; i++)
		if (p->step[i].op == OP_VERIFY)
			assert_string_equal(p->step[p->step[i].of].target, p->step[i].target);
	plan_free(p);
	end(&t);
}

static void other_table_moves_all(void **state)
{
	struct set t;
	struct plan *p;

	begin(&t, "sc9863a", NULL);
	row(&t, "logo")->size += 1 << 20;
	fact(&t, "prodnv")->size = 0x1000;
	p = resolved(&t);
	assert_int_equal(p->step[0].op, OP_REPARTITION);
	assert_int_equal(count(p, OP_RESTORE, "prodnv"), 1);
	assert_int_equal(step(p, OP_RESTORE, "prodnv")->size, 0x1000);
	assert_int_equal(count(p, OP_RESTORE, "miscdata"), 1);
	assert_true(doubted(p, "the table is written: row"));
	plan_free(p);

	t.facts.table.user_size = 1u << 30; /* too small for the package's partitions */
	refused(&t, ERR_STORAGE_MISMATCH);
	end(&t);
}

static void table_policies(void **state)
{
	struct plan_options never = { .repartition = REPARTITION_NEVER };
	struct plan_options package = { .repartition = REPARTITION_PACKAGE };
	struct set t;
	struct plan *p;

	/* never: what fits goes on, what is missing is named with the difference */
	begin(&t, "sc9863a", &never);
	row(&t, "logo")->size += 1 << 20;
	p = resolved(&t);
	assert_int_equal(count(p, OP_REPARTITION, NULL), 0);
	plan_free(p);
	strcpy(row(&t, "boot")->name, "boot_x");
	refused(&t, ERR_REPARTITION_NOT_ALLOWED);
	end(&t);

	begin(&t, "sc9863a", &never);
	row(&t, "boot")->size = 512;
	refused(&t, ERR_IMAGE_TOO_LARGE);
	end(&t);

	/* the package's strategy 3: on mismatch */
	begin(&t, "sc9863a", &package);
	row(&t, "logo")->size += 1 << 20;
	p = resolved(&t);
	assert_int_equal(count(p, OP_REPARTITION, NULL), 1);
	plan_free(p);
	/* the table can not be read, or its unit is not sure */
	t.facts.table.unit_sure = false;
	refused(&t, ERR_TABLE_UNREADABLE);
	memset(&t.facts.table, 0, sizeof(t.facts.table));
	refused(&t, ERR_TABLE_UNREADABLE);
	/* NAND loaders compare themselves */
	t.facts.storage = STORAGE_NAND;
	p = resolved(&t);
	assert_int_equal(count(p, OP_REPARTITION, NULL), 1);
	plan_free(p);
	end(&t);

	/* its strategy 1: stop on mismatch */
	begin(&t, "sc9863a", &package);
	((struct pac_header *)(uintptr_t)pac_header(t.sc.package.pac))->nand_strategy = 1;
	p = resolved(&t);
	assert_int_equal(count(p, OP_REPARTITION, NULL), 0);
	plan_free(p);
	row(&t, "logo")->size += 1 << 20;
	refused(&t, ERR_REPARTITION_NOT_ALLOWED);
	end(&t);
}

static void unknown_table(void **state)
{
	struct plan_options never = { .repartition = REPARTITION_NEVER };
	struct set t;

	begin(&t, "sc9863a", &never);
	memset(&t.facts.table, 0, sizeof(t.facts.table));
	/* uboot without a table may be the boot loader's backup */
	refused(&t, ERR_PARTITION_MISSING);
	end(&t);
}

static void uboot_only_if_listed(void **state)
{
	struct plan_options never = { .repartition = REPARTITION_NEVER,
				      .without_count = 1,
				      .without = { "UBOOTLoader" } };
	struct plan_options write = { .only_count = 1, .only = { "UBOOTLoader" } };
	struct set t;
	struct plan *p;

	begin(&t, "sc9863a", &never);
	strcpy(row(&t, "uboot")->name, "uboot_a");
	p = resolved(&t);
	assert_int_equal(count(p, OP_ERASE, "uboot"), 0);
	assert_true(doubted(p, "uboot is not in the table"));
	plan_free(p);
	end(&t);

	begin(&t, "sc9863a", &write);
	strcpy(row(&t, "uboot")->name, "uboot_a");
	refused(&t, ERR_REPARTITION_NOT_ALLOWED);
	end(&t);

	/* the twin is missing: the phone would fail half way */
	begin(&t, "sc9863a", &never);
	strcpy(row(&t, "uboot_bak")->name, "uboot_old");
	refused(&t, ERR_PARTITION_MISSING);
	end(&t);
}

static void storage_chooses_spl(void **state)
{
	struct set t;
	struct plan *p;

	begin(&t, "ums9620", NULL);
	p = resolved(&t);
	assert_int_equal(count(p, OP_WRITE, "splloader"), 1);
	assert_true(step(p, OP_WRITE, "splloader")->size > 100);
	plan_free(p);
	t.facts.storage = STORAGE_EMMC;
	p = resolved(&t);
	assert_int_equal(step(p, OP_WRITE, "splloader")->size, 20);
	plan_free(p);
	/* not told: the sector does */
	t.facts.storage = STORAGE_UNKNOWN;
	p = resolved(&t);
	assert_true(step(p, OP_WRITE, "splloader")->size > 100);
	plan_free(p);
	memset(&t.facts.table, 0, sizeof(t.facts.table));
	refused(&t, ERR_STORAGE_MISMATCH);
	t.facts.storage = STORAGE_NAND;
	refused(&t, ERR_STORAGE_MISMATCH);
	end(&t);
}

static void storage_without_spl(void **state)
{
	struct plan_options o = { .without_count = 1, .without = { "SPLLoaderUFS" } };
	struct set t;

	begin(&t, "ums9620", &o);
	refused(&t, ERR_STORAGE_MISMATCH);
	end(&t);
}

static void nv_must_be_there(void **state)
{
	static const struct {
		enum backup_state state;
		enum error_id error;
	} rows[] = { { BACKUP_NOT_READ, ERR_NV_UNREADABLE },
		     { BACKUP_REFUSED, ERR_NV_UNREADABLE },
		     { BACKUP_INVALID, ERR_NV_INVALID },
		     { BACKUP_BLANK, ERR_NV_INVALID } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct plan_options if_any = { .nv = NV_KEEP_IF_ANY }, package = { .nv = NV_PACKAGE };
		struct set t;
		struct plan *p;

		begin(&t, "sc9863a", NULL);
		fact(&t, "l_fixnv1")->state = rows[i].state;
		refused(&t, rows[i].error);
		/* an answer for it that never came is no answer */
		t.facts.backup_count = 0;
		refused(&t, ERR_NV_UNREADABLE);
		end(&t);

		begin(&t, "sc9863a", &if_any);
		fact(&t, "l_fixnv1")->state = rows[i].state;
		if (rows[i].state == BACKUP_NOT_READ) {
			/* what was not read to its end may be there */
			refused(&t, ERR_NV_UNREADABLE);
		} else {
			p = resolved(&t);
			assert_int_equal(step(p, OP_WRITE_NV, NULL)->backup, -1);
			assert_true(step(p, OP_WRITE_NV, NULL)->item >= 0);
			assert_true(doubted(p, "nv=blank"));
			plan_free(p);
		}
		/* never while a backup is owed */
		fact(&t, "l_fixnv1")->from_owed = true;
		refused(&t, rows[i].error);
		end(&t);

		begin(&t, "sc9863a", &package);
		fact(&t, "l_fixnv1")->state = rows[i].state;
		p = resolved(&t);
		assert_int_equal(step(p, OP_WRITE_NV, NULL)->backup, -1);
		assert_true(doubted(p, "nv=package"));
		plan_free(p);
		end(&t);
	}
}

static void owed_files_come_back(void **state)
{
	struct set t;
	struct plan *p;

	begin(&t, "sc9863a", NULL);
	fact(&t, "prodnv")->from_owed = true;
	fact(&t, "l_fixnv1")->from_owed = true;
	p = resolved(&t);
	assert_int_equal(count(p, OP_REPARTITION, NULL), 0);
	assert_int_equal(count(p, OP_RESTORE, "prodnv"), 1);
	assert_int_equal(count(p, OP_RESTORE, "miscdata"), 0);
	assert_true(doubted(p, "nv=owed"));
	plan_free(p);
	end(&t);
}

static void nv_that_no_entry_writes(void **state)
{
	struct plan_options o = { .without_count = 1, .without = { "NV_LTE" } };
	struct set t;
	struct plan *p;

	begin(&t, "sc9863a", &o);
	p = resolved(&t);
	assert_int_equal(count(p, OP_WRITE_NV, NULL), 0);
	plan_free(p);
	row(&t, "logo")->size += 1 << 20;
	p = resolved(&t);
	assert_int_equal(step(p, OP_WRITE_NV, NULL)->item, -1);
	assert_int_equal(count(p, OP_VERIFY, "l_fixnv1"), 1);
	plan_free(p);
	fact(&t, "l_fixnv1")->state = BACKUP_INVALID;
	refused(&t, ERR_NV_INVALID);
	/* a board that has no such partition has nothing to lose */
	strcpy(row(&t, "l_fixnv1")->name, "something");
	p = resolved(&t);
	assert_int_equal(count(p, OP_WRITE_NV, NULL), 0);
	plan_free(p);
	end(&t);
}

static void files_that_could_not_be_kept(void **state)
{
	struct plan_options go_on = { .continue_without_backup = true };
	struct set t;
	struct plan *p;

	begin(&t, "sc9863a", NULL);
	fact(&t, "prodnv")->state = BACKUP_BLANK;
	p = resolved(&t); /* nothing touches it */
	assert_int_equal(count(p, OP_WRITE, "prodnv"), 0);
	plan_free(p);
	row(&t, "logo")->size += 1 << 20;
	refused(&t, ERR_BACKUP_FAILED);
	end(&t);

	begin(&t, "sc9863a", &go_on);
	fact(&t, "prodnv")->state = BACKUP_BLANK;
	fact(&t, "miscdata")->state = BACKUP_REFUSED;
	row(&t, "logo")->size += 1 << 20;
	refused(&t, ERR_BACKUP_FAILED); /* not read is not blank */
	fact(&t, "miscdata")->state = BACKUP_BLANK;
	p = resolved(&t);
	/* the package's own prodnv, and no production record at all */
	assert_int_equal(count(p, OP_WRITE, "prodnv"), 1);
	assert_int_equal(count(p, OP_RESTORE, NULL), 0);
	assert_int_equal(count(p, OP_WRITE, "miscdata"), 0);
	plan_free(p);
	end(&t);
}

static void new_board(void **state)
{
	struct plan_options if_any = { .nv = NV_KEEP_IF_ANY };
	struct set t;
	struct plan *p;

	begin(&t, "sc9863a", &if_any);
	memset(&t.facts.table, 0, sizeof(t.facts.table));
	t.facts.table_absent = true;
	for (uint32_t i = 0; i < t.facts.backup_count; i++)
		t.facts.backups[i].state = BACKUP_REFUSED;
	p = resolved(&t);
	assert_int_equal(p->step[0].op, OP_REPARTITION);
	assert_true(doubted(p, "nv=blank"));
	assert_int_equal(count(p, OP_WRITE, "prodnv"), 1);
	plan_free(p);
	end(&t);
}

static void slots_on_lk(void **state)
{
	struct plan_options o = { .level = LEVEL_VERIFIED };
	struct set t;
	struct plan *p;

	begin(&t, "ums9230", &o);
	p = resolved(&t);
	assert_int_equal(count(p, OP_WRITE, "boot_a"), 1);
	assert_string_equal(step(p, OP_VERIFY, "boot_a")->no_verify, "");
	assert_int_equal(step(p, OP_VERIFY, "boot_a")->size, step(p, OP_WRITE, "boot_a")->size);
	assert_int_equal(count(p, OP_RESTORE, NULL), 0);
	/* one slot's NV is enough: the phone writes the other */
	assert_int_equal(count(p, OP_WRITE_NV, NULL), 1);
	plan_free(p);
	end(&t);
}

static void addresses_need_no_table(void **state)
{
	struct set t;
	struct plan *p;

	begin(&t, "uic8850", NULL);
	p = resolved(&t);
	assert_int_equal(count(p, OP_WRITE_NV, NULL), 1);
	assert_int_equal(count(p, OP_VERIFY, NULL), 1);
	plan_free(p);
	fact(&t, "0xfe000003")->state = BACKUP_INVALID;
	refused(&t, ERR_NV_INVALID);
	end(&t);
}

/* What the decision rests on is said, whatever it is. */
static void names_the_source_of_the_table(void **state)
{
	static const struct {
		enum table_origin origin;
		const char *text;
	} rows[] = { { TABLE_GPT, "table=gpt" },
		     { TABLE_LIST, "table=list" },
		     { TABLE_PROBED, "table=probed" },
		     { TABLE_NONE, "table=package" } };
	struct plan_options never = { .repartition = REPARTITION_NEVER,
				      .without_count = 2,
				      .without = { "EraseUBOOT", "UBOOTLoader" } };
	struct set t;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct plan *p;

		begin(&t, "sc9863a", &never);
		t.facts.table.origin = rows[i].origin;
		if (rows[i].origin == TABLE_NONE)
			t.facts.table.count = 0;
		p = resolved(&t);
		assert_true(doubted(p, rows[i].text));
		assert_true(doubted(t.plan, "READ_CHIP_UID"));
		plan_free(p);
		end(&t);
	}
}

/* By probing only names and sizes are compared; what could not be measured is not held against the phone. */
static void compares_what_was_probed(void **state)
{
	struct plan_options mismatch = { .repartition = REPARTITION_ON_MISMATCH };
	struct plan *p;
	struct set t;

	begin(&t, "sc9863a", &mismatch);
	t.facts.table.origin = TABLE_PROBED;
	row(&t, "prodnv")->size = UINT64_MAX;
	row(&t, "userdata")->size = 9u << 30;
	for (uint32_t i = 0; i < t.facts.table.count / 2; i++) { /* in any order */
		struct table_entry swap = t.facts.table.entry[i];

		t.facts.table.entry[i] = t.facts.table.entry[t.facts.table.count - 1 - i];
		t.facts.table.entry[t.facts.table.count - 1 - i] = swap;
	}
	p = resolved(&t);
	assert_int_equal(count(p, OP_REPARTITION, NULL), 0);
	plan_free(p);
	row(&t, "misc")->size += 512;
	p = resolved(&t);
	assert_int_equal(count(p, OP_REPARTITION, NULL), 1);
	assert_true(doubted(p, "misc"));
	plan_free(p);
	row(&t, "misc")->size -= 512;
	strcpy(row(&t, "logo")->name, "lego");
	p = resolved(&t);
	assert_int_equal(count(p, OP_REPARTITION, NULL), 1);
	assert_true(doubted(p, "nothing there"));
	plan_free(p);
	end(&t);
}

/* FDL2 writes and erases both copies of NV: without the second one it would fail half way. */
static void nv_needs_its_second_copy(void **state)
{
	struct plan_options never = { .repartition = REPARTITION_NEVER };
	struct set t;

	begin(&t, "sc9863a", &never);
	strcpy(row(&t, "l_fixnv2")->name, "l_fixnv3");
	refused(&t, ERR_PARTITION_MISSING);
	strcpy(row(&t, "l_fixnv3")->name, "l_fixnv2");
	strcpy(row(&t, "l_runtimenv2")->name, "other");
	refused(&t, ERR_PARTITION_MISSING);
	end(&t);
	begin(&t, "ums9230", &never);
	strcpy(row(&t, "l_fixnv2_a")->name, "other");
	refused(&t, ERR_PARTITION_MISSING);
	end(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_the_source_of_the_table),
		cmocka_unit_test(compares_what_was_probed),
		cmocka_unit_test(nv_needs_its_second_copy),
		cmocka_unit_test(same_table_moves_nothing),
		cmocka_unit_test(other_table_moves_all),
		cmocka_unit_test(table_policies),
		cmocka_unit_test(unknown_table),
		cmocka_unit_test(uboot_only_if_listed),
		cmocka_unit_test(storage_chooses_spl),
		cmocka_unit_test(storage_without_spl),
		cmocka_unit_test(nv_must_be_there),
		cmocka_unit_test(owed_files_come_back),
		cmocka_unit_test(nv_that_no_entry_writes),
		cmocka_unit_test(files_that_could_not_be_kept),
		cmocka_unit_test(new_board),
		cmocka_unit_test(slots_on_lk),
		cmocka_unit_test(addresses_need_no_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
