/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tables as text and as a difference; what the names in them mean. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/util.h"
#include "flash/partition.h"
#include "flash/plan.h"
#include "flash/table_text.h"
#include "pac/made.h"

#define MIB (1ull << 20)

static void add(struct flash_table *t, const char *name, uint64_t start, uint64_t size)
{
	struct table_entry *e = &t->entry[t->count++];

	snprintf(e->name, sizeof(e->name), "%s", name);
	e->start = start;
	e->size = size;
}

static struct flash_table phone(void)
{
	struct flash_table t = {
		.origin = TABLE_GPT, .sector = 512, .unit_sure = true, .user_size = 1024 * MIB
	};

	add(&t, "prodnv", MIB, 5 * MIB);
	add(&t, "boot", 6 * MIB, 35 * MIB);
	add(&t, "misc", 41 * MIB, MIB);
	add(&t, "userdata", 42 * MIB, 1024 * MIB - 42 * MIB - 34 * 512);
	return t;
}

static void classes_of_names(void **state)
{
	static const struct {
		const char *name;
		enum partition_class class;
		unsigned traits;
	} rows[] = {
		{ "boot", PARTITION_GENERIC, 0 },
		{ "boot_a", PARTITION_GENERIC, 0 },
		{ "userdata", PARTITION_GENERIC, 0 },
		{ "misc", PARTITION_GENERIC, 0 },
		{ "l_fixnv1", PARTITION_OWN, PARTITION_NV },
		{ "nr_fixnv1_b", PARTITION_OWN, PARTITION_NV },
		{ "wfixnv1", PARTITION_OWN, PARTITION_NV },
		{ "l_fixnv2_a", PARTITION_OWN, PARTITION_NV_TWIN },
		{ "l_runtimenv1", PARTITION_GENERIC, PARTITION_RUNTIME_NV },
		{ "l_runtimenv2", PARTITION_GENERIC, PARTITION_NV_TWIN },
		{ "prodnv", PARTITION_OWN, PARTITION_ALWAYS_KEPT },
		{ "miscdata", PARTITION_OWN, PARTITION_ALWAYS_KEPT },
		{ "persist_a", PARTITION_OWN, 0 },
		{ "calinv", PARTITION_OWN, 0 },
		{ "l_calinv1", PARTITION_OWN, 0 },
		{ "splloader", PARTITION_BOOT_CHAIN, PARTITION_BOOT_AREA | PARTITION_UNCUT },
		{ "uboot_b", PARTITION_BOOT_CHAIN, PARTITION_UNCUT | PARTITION_HAS_TWIN },
		{ "uboot_log", PARTITION_GENERIC, 0 },
		{ "vbmeta_a", PARTITION_BOOT_CHAIN, PARTITION_HAS_TWIN },
		{ "vbmeta_system", PARTITION_GENERIC, 0 },
		{ "a", PARTITION_GENERIC, 0 },
		{ "", PARTITION_GENERIC, 0 },
		{ "_a", PARTITION_GENERIC, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (partition_class(rows[i].name) != rows[i].class)
			fail_msg("%s is %s", rows[i].name,
				 partition_class_name(partition_class(rows[i].name)));
		if (partition_traits(rows[i].name) != rows[i].traits)
			fail_msg("%s has traits 0x%x", rows[i].name, partition_traits(rows[i].name));
	}
	assert_int_equal(partition_class_at(0x90000001), PARTITION_OWN);
	assert_int_equal(partition_class_at(0xFE000003), PARTITION_OWN);
	assert_int_equal(partition_class_at(0x80000003), PARTITION_GENERIC);
	for (size_t i = 0; partition_known(i); i++) {
		assert_true(strlen(partition_known(i)) < 30);
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(partition_known(i), partition_known(k));
	}
}

/* To XML text, parsed, laid out again: the same table. */
static void there_and_back(const struct flash_table *t, bool v1)
{
	struct scheme_table s, parsed;
	struct flash_table back;
	struct failure why = { 0 };
	char *text;
	size_t len;

	assert_int_equal(table_to_scheme(t, &s), 0);
	assert_int_equal(s.v1, v1);
	assert_int_equal(made_table_xml(&s, &text, &len), 0);
	if (made_table_parse(text, len, NULL, &parsed, &why))
		fail_msg("%s in %s", why.detail, text);
	assert_int_equal(table_from_scheme(&parsed, t->sector, t->user_size, &back, &why), 0);
	assert_int_equal(back.count, t->count);
	for (uint32_t i = 0; i < t->count; i++) {
		assert_string_equal(back.entry[i].name, t->entry[i].name);
		assert_int_equal(back.entry[i].start, t->entry[i].start);
		if (i + 1 < t->count)
			assert_int_equal(back.entry[i].size, t->entry[i].size);
	}
	assert_int_equal(table_difference(t, &back, NULL, NULL), 0);
	free(text);
	made_table_free(&s);
	made_table_free(&parsed);
}

static void tables_keep_their_places(void **state)
{
	struct flash_table t = phone();

	(void)state;
	there_and_back(&t, false);
	/* a gap, and a size that is no whole MiB */
	t.entry[1].start += 512 * 1024;
	t.entry[1].size -= 512 * 1024 + 4096;
	there_and_back(&t, true);
	/* the first one elsewhere than in the first MiB */
	t = phone();
	t.entry[0].start = 2 * MIB;
	t.entry[0].size = 4 * MIB;
	there_and_back(&t, true);
}

static void rows_come_in_order_of_places(void **state)
{
	struct flash_table t = phone();
	struct table_entry e = t.entry[0];
	struct scheme_table s;

	(void)state;
	t.entry[0] = t.entry[2];
	t.entry[2] = e;
	assert_int_equal(table_to_scheme(&t, &s), 0);
	assert_string_equal(s.part[0].name, "prodnv");
	assert_string_equal(s.part[2].name, "misc");
	made_table_free(&s);
}

static void what_is_no_table_for_a_phone(void **state)
{
	struct flash_table t = phone();
	struct scheme_table s;

	(void)state;
	t.origin = TABLE_PROBED;
	assert_int_equal(table_to_scheme(&t, &s), -ENODATA);
	t = phone();
	t.unit_sure = false;
	assert_int_equal(table_to_scheme(&t, &s), -ENODATA);
	t = phone();
	t.entry[1].size = UINT64_MAX;
	assert_int_equal(table_to_scheme(&t, &s), -ENODATA);
	t = phone();
	t.entry[1].start -= 4096; /* overlaps */
	assert_int_equal(table_to_scheme(&t, &s), -ERANGE);
	t = phone();
	t.entry[2].start += 512;
	assert_int_equal(table_to_scheme(&t, &s), -ERANGE);
	t.count = 0;
	assert_int_equal(table_to_scheme(&t, &s), -ENODATA);
	assert_null(s.part);
}

/* A list tells no places: sizes in its order. */
static void a_list_becomes_a_table(void **state)
{
	struct flash_table t = phone();
	struct scheme_table s;

	(void)state;
	t.origin = TABLE_LIST;
	t.user_size = 0;
	for (uint32_t i = 0; i < t.count; i++)
		t.entry[i].start = 0;
	assert_int_equal(table_to_scheme(&t, &s), 0);
	assert_false(s.v1);
	assert_int_equal(s.part[1].size, 35);
	assert_true(s.part[3].size == SCHEME_REST);
	made_table_free(&s);
}

struct lines {
	struct table_step step[16];
	size_t count;
};

static void keep(void *ctx, const struct table_step *step)
{
	struct lines *l = ctx;

	assert_true(l->count < ARRAY_SIZE(l->step));
	l->step[l->count++] = *step;
}

static void expect(const struct table_step *s, enum table_change change, const char *text)
{
	char buf[120];

	assert_string_equal(table_change_name(s->change), table_change_name(change));
	assert_string_equal(table_step_text(s, buf, sizeof(buf)), text);
}

static void differences_are_told(void **state)
{
	struct flash_table t = phone(), coming = { .origin = TABLE_PACKAGE };
	struct lines l = { 0 };

	(void)state;
	add(&coming, "boot", MIB, 35 * MIB);
	add(&coming, "logo", 36 * MIB, 5 * MIB + 1024);
	add(&coming, "misc", 41 * MIB, 2 * MIB);
	add(&coming, "userdata", 43 * MIB, UINT64_MAX);
	assert_int_equal(table_difference(&t, &coming, keep, &l), 5);
	assert_int_equal(l.count, 5);
	expect(&l.step[0], TABLE_MOVED, "boot: 35 MiB, moves and has 35 MiB: its content is lost");
	expect(&l.step[1], TABLE_NEW, "logo: new, 5121 KiB");
	expect(&l.step[2], TABLE_RESIZED, "misc: 1 MiB, becomes 2 MiB");
	assert_int_equal(l.step[3].change, TABLE_MOVED);
	expect(&l.step[4], TABLE_GONE, "prodnv: 5 MiB, goes with its content");
	assert_true(l.step[4].own);
	assert_false(l.step[0].own);
	assert_false(l.step[0].unsure);
	/* no places known: sizes alone are compared, and that is said */
	t.origin = TABLE_LIST;
	l.count = 0;
	assert_int_equal(table_difference(&t, &coming, keep, &l), 3);
	assert_true(l.step[0].unsure);
	assert_int_equal(l.step[0].change, TABLE_SAME);
	assert_int_equal(table_difference(&t, &t, NULL, NULL), 0);
}

static void fate(const struct plan *p, const char *name, enum table_change change, uint64_t was,
		 uint64_t will, bool own, bool unsure, const char *want)
{
	struct table_step s = { .change = change, .was = was, .will = will, .own = own, .unsure = unsure };

	snprintf(s.name, sizeof(s.name), "%s", name);
	assert_string_equal(table_fate_name(table_fate(&s, p)), want);
}

static void content_has_a_fate(void **state)
{
	struct plan *p = calloc(1, sizeof(*p));

	(void)state;
	assert_non_null(p);
	/* nothing is written, so everything stays */
	fate(p, "boot", TABLE_SAME, MIB, MIB, false, false, "stays");
	p->step[0] = (struct plan_step){ .op = OP_REPARTITION };
	p->step[1] = (struct plan_step){ .op = OP_WRITE_NV, .by_name = true, .target = "l_fixnv1_a" };
	p->step[2] = (struct plan_step){ .op = OP_RESTORE, .by_name = true, .target = "prodnv" };
	p->step_count = 3;
	fate(p, "boot", TABLE_SAME, MIB, MIB, false, false, "stays");
	fate(p, "boot", TABLE_SAME, MIB, MIB, false, true, "unsure");
	fate(p, "boot", TABLE_RESIZED, MIB, 2 * MIB, false, false, "stays");
	fate(p, "boot", TABLE_RESIZED, 2 * MIB, MIB, false, false, "cut");
	fate(p, "boot", TABLE_MOVED, MIB, MIB, false, false, "lost");
	fate(p, "boot", TABLE_GONE, MIB, 0, false, false, "lost");
	fate(p, "oem", TABLE_NEW, 0, MIB, false, false, "empty");
	fate(p, "prodnv", TABLE_MOVED, MIB, MIB, true, false, "kept");
	fate(p, "prodnv", TABLE_GONE, MIB, 0, true, false, "saved");
	/* the copies that the phone writes by itself */
	fate(p, "l_fixnv1_a", TABLE_MOVED, MIB, MIB, true, false, "kept");
	fate(p, "l_fixnv1_b", TABLE_MOVED, MIB, MIB, true, false, "kept");
	fate(p, "l_fixnv2_a", TABLE_MOVED, MIB, MIB, true, false, "kept");
	fate(p, "persist", TABLE_MOVED, MIB, MIB, true, false, "lost");
	free(p);
}

static void the_same_table_lies_at_the_same_places(void **state)
{
	struct flash_table t = phone(), other = phone();

	(void)state;
	assert_true(table_is(&t, &other));
	/* how much is left at the end, phones and packages do not agree on */
	other.entry[3].size += 17 * 512;
	assert_true(table_is(&t, &other));
	other.entry[2].start += MIB;
	assert_false(table_is(&t, &other));
	t.origin = TABLE_LIST;
	other.entry[3].size = t.entry[3].size;
	assert_true(table_is(&t, &other));
	other.entry[1].size += MIB;
	assert_false(table_is(&t, &other));
}

static void refused(const struct scheme_table *s, uint64_t user, const char *words)
{
	struct failure why = { 0 };
	struct flash_table t;

	assert_true(table_from_scheme(s, 512, user, &t, &why) < 0);
	assert_int_equal(why.error, ERR_PACKAGE_PARTITIONS);
	if (!strstr(why.detail, words))
		fail_msg("%s", why.detail);
}

static void what_does_not_fit(void **state)
{
	struct scheme_partition part[3] = { { "a", 10, 0 }, { "b", 20, 0 }, { "c", SCHEME_REST, 0 } };
	struct scheme_table s = { .present = true, .unit_bytes = (uint32_t)MIB, .part = part, .parts = 3 };
	struct failure why = { 0 };
	struct flash_table t;

	(void)state;
	assert_int_equal(table_from_scheme(&s, 512, 0, &t, &why), 0);
	assert_true(t.entry[2].size == UINT64_MAX);
	assert_int_equal(t.entry[2].start, 31 * MIB);
	assert_int_equal(table_from_scheme(&s, 512, 100 * MIB, &t, &why), 0);
	assert_int_equal(t.entry[2].size, 69 * MIB - 34 * 512);
	refused(&s, 31 * MIB, "'b' leads past the end");
	refused(&s, 31 * MIB + 34 * 512, "'c' has no room");
	refused(&s, 20 * MIB, "'b' leads past");
	part[1].gap = -20;
	refused(&s, 0, "begin before");
	part[1].gap = 0;
	part[1].size = UINT64_MAX / 2;
	refused(&s, 0, "absurd");
}

static const char *areas(const struct flash_table *t, const struct plan_save *save)
{
	static struct plan_read out[PLAN_READS_MAX];
	static char text[400];
	uint32_t n = plan_reads_of_table(t, save, out);

	text[0] = 0;
	for (uint32_t i = 0; i < n; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", i ? " " : "",
			 out[i].target);
	return text;
}

static void what_a_backup_consists_of(void **state)
{
	struct flash_table t = { .origin = TABLE_GPT, .unit_sure = true };
	static const char *const names[] = { "prodnv",	"boot_a",	"boot_b",    "l_fixnv1", "l_fixnv2",
					     "persist", "l_runtimenv1", "uboot_log", "metadata", "userdata" };

	(void)state;
	assert_string_equal(areas(&t, &(struct plan_save){ 0 }), "");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		add(&t, names[i], (i + 1) * MIB, MIB);
	assert_string_equal(areas(&t, &(struct plan_save){ 0 }),
			    "splloader prodnv boot_a boot_b l_fixnv1 persist l_runtimenv1");
	assert_string_equal(areas(&t, &(struct plan_save){ .slot = 'b', .no_spl = true }),
			    "prodnv boot_b l_fixnv1 persist l_runtimenv1");
	assert_string_equal(areas(&t, &(struct plan_save){ .slot = 'a', .user_data = true }),
			    "splloader prodnv boot_a l_fixnv1 persist l_runtimenv1 metadata userdata");
	while (t.count < TABLE_MAX) {
		char name[16];

		snprintf(name, sizeof(name), "more%u", t.count);
		add(&t, name, t.count * MIB, MIB);
	}
	areas(&t, &(struct plan_save){ .user_data = true });
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(classes_of_names),
		cmocka_unit_test(tables_keep_their_places),
		cmocka_unit_test(rows_come_in_order_of_places),
		cmocka_unit_test(what_is_no_table_for_a_phone),
		cmocka_unit_test(a_list_becomes_a_table),
		cmocka_unit_test(differences_are_told),
		cmocka_unit_test(content_has_a_fate),
		cmocka_unit_test(the_same_table_lies_at_the_same_places),
		cmocka_unit_test(what_does_not_fit),
		cmocka_unit_test(what_a_backup_consists_of),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
