/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of diagnoses is whole: every row can be reached, every question has an answer, every answer a row
 * of errors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "flash/diagnosis.h"

static bool reached(const struct diagnosis_row *row)
{
	for (int doing = DOING_ANY; doing < DOING_COUNT; doing++) {
		if (row->doing != DOING_ANY && (int)row->doing != doing)
			continue;
		for (int code = 0; code < 256; code++) {
			int c = row->symptom == SYMPTOM_CODE ? code : CODE_ANY;

			if (diagnose((enum doing)doing, row->symptom, c, row->when) == row)
				return true;
		}
	}
	return false;
}

static void every_row_is_reached(void **state)
{
	size_t count;
	const struct diagnosis_row *rows = diagnosis_rows(&count);

	(void)state;
	assert_true(count > 100);
	for (size_t i = 0; i < count; i++) {
		if (!reached(&rows[i]))
			print_error("row %zu is shadowed: %s %s code %d when %u\n", i,
				    doing_name(rows[i].doing), symptom_name(rows[i].symptom), rows[i].code,
				    rows[i].when);
		assert_true(reached(&rows[i]));
		assert_non_null(rows[i].cite);
		assert_true(rows[i].error > ERR_NONE && rows[i].error < ERR_COUNT);
		assert_int_not_equal(rows[i].error, ERR_INTERNAL);
	}
}

static void every_question_is_answered(void **state)
{
	(void)state;
	for (int doing = DOING_ANY; doing < DOING_COUNT; doing++)
		for (int symptom = 0; symptom < SYMPTOM_COUNT; symptom++)
			for (int code = CODE_ANY; code < 256; code += 1 + 2 * (code >= 0)) {
				const struct diagnosis_row *row = diagnose((enum doing)doing,
									   (enum symptom)symptom, code, 0);

				assert_non_null(row);
				assert_int_equal(row->symptom, symptom);
				assert_true(row->doing == DOING_ANY || (int)row->doing == doing);
			}
}

/* Four things that must never be mixed up (promise 3): timeout, corruption, refusal, unplug. */
static void four_names(void **state)
{
	(void)state;
	for (int doing = DOING_SETUP; doing < DOING_RESET; doing++) {
		enum error_id silent = diagnose((enum doing)doing, SYMPTOM_SILENT, CODE_ANY, 0)->error;
		enum error_id garbled = diagnose((enum doing)doing, SYMPTOM_GARBLED, CODE_ANY, 0)->error;
		enum error_id refused = diagnose((enum doing)doing, SYMPTOM_CODE, 0x84, 0)->error;
		enum error_id gone = diagnose((enum doing)doing, SYMPTOM_GONE, CODE_ANY, 0)->error;

		assert_int_not_equal(silent, garbled);
		assert_int_not_equal(silent, gone);
		assert_int_not_equal(garbled, gone);
		assert_int_not_equal(refused, garbled);
		assert_int_not_equal(refused, gone);
		if (doing != DOING_ENABLE)
			assert_int_not_equal(refused, silent);
	}
}

static void examples(void **state)
{
	(void)state;
	assert_int_equal(diagnose(DOING_SEND, SYMPTOM_SILENT, CODE_ANY, WHEN_LAST)->error,
			 ERR_WRITE_UNANSWERED);
	assert_int_equal(diagnose(DOING_SEND, SYMPTOM_SILENT, CODE_ANY, 0)->error, ERR_PHONE_TIMEOUT);
	assert_int_equal(diagnose(DOING_SEND, SYMPTOM_CODE, 0x84, WHEN_LAST)->error, ERR_SIGNATURE_REFUSED);
	assert_int_equal(diagnose(DOING_SEND, SYMPTOM_CODE, 0xA2, WHEN_NV | WHEN_LAST)->error,
			 ERR_STORAGE_WRITE_FAILED);
	assert_int_equal(diagnose(DOING_SEND, SYMPTOM_CODE, 0xA2, WHEN_NV | WHEN_LAST | WHEN_LK)->error,
			 ERR_NV_CHECKSUM_REFUSED);
	assert_int_equal(diagnose(DOING_EXEC_FDL2, SYMPTOM_CODE, 0x8B, 0)->error, ERR_FDL2_DAMAGED);
	assert_int_equal(diagnose(DOING_SETUP, SYMPTOM_NOT_TAKEN, CODE_ANY, WHEN_UNSPOKEN)->error,
			 ERR_FDL2_CRASHED);
	assert_int_equal(diagnose(DOING_START, SYMPTOM_CODE, 0x8A, WHEN_NV)->error, ERR_NV_TOO_LARGE);
	assert_int_equal(diagnose(DOING_START, SYMPTOM_CODE, 0x8A, 0)->error, ERR_SIZE_REFUSED);
	assert_int_equal(diagnose(DOING_END, SYMPTOM_CODE, 0x8B, WHEN_SINGLE)->error,
			 ERR_STORAGE_WRITE_FAILED);
	assert_int_equal(diagnose(DOING_END, SYMPTOM_CODE, 0x8B, 0)->error, ERR_LINK_CHECK_REFUSED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_is_reached),
		cmocka_unit_test(every_question_is_answered),
		cmocka_unit_test(four_names),
		cmocka_unit_test(examples),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
