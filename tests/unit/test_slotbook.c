/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Counters of a place: what counts, when a place stands out, and the file. */
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/util.h"
#include "station/slotbook.h"

static struct job_record job(const char *result, enum error_id error)
{
	struct job_record r = { .number = 7,
				.kind = "flash",
				.unit = "0123456789abcdef",
				.run_usec = 2000000,
				.finished_at = 99,
				.bytes_sent = 1000 };

	snprintf(r.result, sizeof(r.result), "%s", result);
	if (error != ERR_NONE) {
		failure_set(&r.failure, error, "%s", "");
		snprintf(r.failure.stage, sizeof(r.failure.stage), "write");
	}
	return r;
}

static void count(struct slot_book *book, const char *result, enum error_id error, int times)
{
	struct job_record r = job(result, error);

	while (times--)
		slot_book_count(book, &r);
}

static void test_count(void **state)
{
	struct slot_book book = { 0 };
	struct job_record r = job("succeeded", ERR_NONE);
	uint32_t bad;

	count(&book, "succeeded", ERR_NONE, 3);
	count(&book, "failed", ERR_DEVICE_VANISHED, 2);
	count(&book, "failed", ERR_PACKAGE_BODY_CRC, 1); /* a failure, but not the place's */
	assert_int_equal(book.attempts, 6);
	assert_int_equal(book.passes, 3);
	assert_int_equal(book.failures, 3);
	assert_int_equal(book.pass_usec, 6000000);
	assert_int_equal(book.pass_bytes, 3000);
	assert_string_equal(book.last_unit, "01234567");
	assert_string_equal(book.last_result, "failed");
	assert_int_equal(slot_book_recent(&book, &bad), 5);
	assert_int_equal(bad, 2);
	assert_int_equal(book.reasons, 2);
	assert_string_equal(book.reason[0].what, "write/DeviceVanished");
	assert_int_equal(book.reason[0].count, 2);
	/* no phone was touched, or nothing was to be written */
	r.run_usec = 0;
	slot_book_count(&book, &r);
	r.run_usec = 1;
	snprintf(r.kind, sizeof(r.kind), "dry-run");
	slot_book_count(&book, &r);
	count(&book, "cancelled", ERR_CANCELLED, 1);
	count(&book, "interrupted", ERR_INTERRUPTED, 1);
	assert_int_equal(book.attempts, 6);
	snprintf(book.label, sizeof(book.label), "A3");
	slot_book_reset(&book, 5);
	assert_int_equal(book.attempts, 0);
	assert_int_equal(book.reasons, 0);
	assert_int_equal(book.since, 5);
	assert_string_equal(book.label, "A3");
}

/* Kinds of failure beyond the room for them are not lost. */
static void test_many_reasons(void **state)
{
	struct slot_book book = { 0 };
	uint64_t sum = 0;

	for (int e = ERR_NONE + 1; e < ERR_COUNT; e++)
		count(&book, "failed", (enum error_id)e, 1);
	assert_int_equal(book.reasons, SLOT_REASON_MAX);
	assert_string_equal(book.reason[SLOT_REASON_MAX - 1].what, "other");
	for (uint32_t i = 0; i < book.reasons; i++)
		sum += book.reason[i].count;
	assert_int_equal(sum, book.failures);
	/* a phone that a rule turned out not to be for is no attempt, nor is one that has passed before */
	assert_int_equal(sum, ERR_COUNT - 3);
}

static void test_suspect(void **state)
{
	struct slot_book book = { 0 };

	/* few jobs prove nothing, however bad */
	count(&book, "failed", ERR_USB_IO, 7);
	assert_false(slot_book_suspect(&book, 100, 0));
	count(&book, "succeeded", ERR_NONE, 1);
	assert_true(slot_book_suspect(&book, 100, 0));
	/* nor without neighbours to compare with */
	assert_false(slot_book_suspect(&book, 7, 0));
	/* all do badly: it is not this place */
	assert_false(slot_book_suspect(&book, 100, 50));
	assert_true(slot_book_suspect(&book, 100, 29));
	/* mended: what was long ago does not count for ever */
	count(&book, "succeeded", ERR_NONE, 32);
	assert_false(slot_book_suspect(&book, 100, 0));
	/* one failure in eight is under what matters */
	book = (struct slot_book){ 0 };
	count(&book, "succeeded", ERR_NONE, 7);
	count(&book, "failed", ERR_USB_IO, 1);
	assert_false(slot_book_suspect(&book, 100, 0));
}

static int take(void *user, const struct slot_book *book)
{
	struct slot_book **at = user;

	*(*at)++ = *book;
	return 0;
}

static void test_file(void **state)
{
	char dir[] = "/tmp/fdld-slotbook-XXXXXX", path[128];
	struct slot_book book = {
		.id = "pci-0000:00:14.0-usb-0:4.3", .label = "A\\3", .note = "left", .since = 3
	};
	struct slot_book found[4], *end = found;
	struct records *rec;
	char *text, *again;
	size_t len;
	FILE *f;

	assert_non_null(mkdtemp(dir));
	assert_int_equal(records_open(dir, NULL, &rec, NULL), 0);
	count(&book, "succeeded", ERR_NONE, 2);
	count(&book, "failed", ERR_USB_IO, 1);
	assert_int_equal(slot_book_text(&book, &text, &len), 0);
	assert_int_equal(slot_book_store(rec, book.id, text, len), 0);
	/* a file that was cut, and one that is of another place */
	snprintf(path, sizeof(path), "%s/slot/other-00000000", dir);
	f = fopen(path, "w");
	assert_non_null(f);
	fwrite(text, 1, len, f);
	fclose(f);
	snprintf(path, sizeof(path), "%s/slot/cut", dir);
	f = fopen(path, "w");
	assert_non_null(f);
	fwrite(text, 1, len - 7, f);
	fclose(f);
	assert_int_equal(slot_book_scan(rec, take, &end), 0);
	assert_int_equal(end - found, 1);
	assert_int_equal(slot_book_text(&found[0], &again, &len), 0);
	assert_string_equal(again, text);
	assert_string_equal(found[0].label, "A\\3");
	free(again);
	free(text);
	snprintf(path, sizeof(path), "%s/slot/cut.damaged", dir);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(slot_book_remove(rec, book.id), 0);
	assert_int_equal(slot_book_remove(rec, book.id), 0);
	end = found;
	assert_int_equal(slot_book_scan(rec, take, &end), 0);
	assert_ptr_equal(end, found);
	records_unref(rec);
	snprintf(path, sizeof(path), "rm -r %s", dir);
	assert_int_equal(system(path), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_count),
		cmocka_unit_test(test_many_reasons),
		cmocka_unit_test(test_suspect),
		cmocka_unit_test(test_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
