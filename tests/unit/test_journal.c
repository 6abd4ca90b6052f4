/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include "common/journal.h"

static void test_table(void **state)
{
	for (int i = 0; i < EVENT_COUNT; i++) {
		const struct event_entry *e = event_entry((enum event_id)i);

		assert_int_equal(strlen(e->message_id), 32);
		assert_int_equal(strspn(e->message_id, "0123456789abcdef"), 32);
		assert_in_range(e->priority, LOG_ERR, LOG_DEBUG);
		for (int j = 0; j < i; j++) {
			assert_string_not_equal(event_entry((enum event_id)j)->message_id, e->message_id);
			assert_string_not_equal(event_entry((enum event_id)j)->name, e->name);
		}
	}
	assert_null(event_entry(EVENT_COUNT));
	/* fixed for ever */
	assert_string_equal(event_entry(EVENT_JOB_FAILED)->name, "job-failed");
	assert_string_equal(event_entry(EVENT_JOB_FAILED)->message_id, "5736778e9f9b567787bd54dbda447084");
}

/* the catalogue says what the table says, entry by entry and nothing else */
static void test_catalogue(void **state)
{
	FILE *f = fopen("systemd/fdld.catalog", "r");
	char *have, *want;
	size_t n, len;
	FILE *m = open_memstream(&want, &len);

	if (!f) {
		fclose(m);
		free(want);
		skip();
	}
	fprintf(m, "# SPDX-License-Identifier: LGPL-2.1-or-later\n");
	for (int i = 0; i < EVENT_COUNT; i++) {
		const struct event_entry *e = event_entry((enum event_id)i);

		fprintf(m, "\n-- %s\nSubject: %s\nDefined-By: fdld\nDocumentation: man:fdld(8)\n\n%s\n\n%s\n",
			e->message_id, e->subject, e->meaning, e->remedy);
	}
	fclose(m);
	have = calloc(1, len + 1000);
	assert_non_null(have);
	n = fread(have, 1, len + 999, f);
	fclose(f);
	assert_int_equal(n, len);
	assert_memory_equal(have, want, len);
	free(have);
	free(want);
}

static FILE *caught;
static int saved;

static void catch_stderr(void)
{
	caught = tmpfile();
	assert_non_null(caught);
	saved = dup(STDERR_FILENO);
	dup2(fileno(caught), STDERR_FILENO);
}

static void release_stderr(char *text, size_t size)
{
	size_t n;

	dup2(saved, STDERR_FILENO);
	close(saved);
	rewind(caught);
	n = fread(text, 1, size - 1, caught);
	text[n] = '\0';
	fclose(caught);
}

static void test_stderr(void **state)
{
	struct failure why = { .error = ERR_DEVICE_VANISHED, .stage = "fdl2" };
	struct journal_field fields[2 + JOURNAL_FAILURE_FIELDS] = { { "FDL_JOB", "12" }, { "FDL_PORT", "" } };
	size_t n = 2 + journal_failure_fields(&why, fields + 2);
	char text[8192];

	unsetenv("JOURNAL_STREAM");
	assert_int_equal(n, 2 + JOURNAL_FAILURE_FIELDS);
	assert_int_equal(journal_failure_fields(NULL, fields + 2), 0);
	catch_stderr();
	journal_event(EVENT_JOB_FAILED, fields, n, "job %d failed\nbadly", 12);
	journal_line(LOG_DEBUG, "not shown");
	journal_set_level(LOG_DEBUG);
	journal_line(LOG_DEBUG, "shown %s", "now");
	journal_set_level(LOG_ERR);
	journal_event(EVENT_DEVICE_LOST, NULL, 0, "not shown");
	journal_set_level(99);
	assert_int_equal(journal_level(), LOG_DEBUG);
	journal_set_level(LOG_INFO);
	release_stderr(text, sizeof(text));
	assert_int_equal(
		strncmp(text,
			"error: job 12 failed badly [FDL_JOB=12 FDL_ERROR=DeviceVanished FDL_CAUSE=", 70),
		0);
	assert_non_null(strstr(text, " FDL_STAGE=fdl2]\ndebug: shown now\n"));
	assert_null(strstr(text, "not shown"));
	assert_null(strstr(text, "FDL_PORT"));
}

/* long texts and many fields are cut, not overrun */
static void test_long(void **state)
{
	struct journal_field fields[40];
	char value[600], text[16384];

	memset(value, 'v', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	for (int i = 0; i < 40; i++)
		fields[i] = (struct journal_field){ "FDL_X", value };
	catch_stderr();
	journal_event(EVENT_JOB_ACCEPTED, fields, 40, "%s%s%s", value, value, value);
	release_stderr(text, sizeof(text));
	assert_true(strlen(text) < 4200);
	assert_int_equal(text[strlen(text) - 1], '\n');
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

/* a stream that is not ours is not taken for the journal */
static void test_foreign_stream(void **state)
{
	char text[256];

	setenv("JOURNAL_STREAM", "1:2", 1);
	catch_stderr();
	journal_line(LOG_NOTICE, "here");
	release_stderr(text, sizeof(text));
	assert_string_equal(text, "notice: here\n");
	unsetenv("JOURNAL_STREAM");
}

/* In place of libsystemd's: the entry as text, a line each. */
static char entry[4096];

int sd_journal_sendv(const struct iovec *iov, int n)
{
	size_t at = 0;

	for (int i = 0; i < n; i++)
		at += (size_t)snprintf(entry + at, sizeof(entry) - at, "%.*s\n", (int)iov[i].iov_len,
				       (const char *)iov[i].iov_base);
	return 0;
}

/* Where stderr is the journal, an event has its id and its fields. */
static void test_journal(void **state)
{
	struct journal_field field = { "FDL_JOB", "12" };
	char stream[64], text[256], id[64];
	struct stat st;

	catch_stderr();
	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	journal_event(EVENT_JOB_FAILED, &field, 1, "job %d failed", 12);
	unsetenv("JOURNAL_STREAM");
	release_stderr(text, sizeof(text));
	assert_string_equal(text, "");
	snprintf(id, sizeof(id), "\nMESSAGE_ID=%s\n", event_entry(EVENT_JOB_FAILED)->message_id);
	assert_int_equal(strncmp(entry, "MESSAGE=job 12 failed\nPRIORITY=3\n", 33), 0);
	assert_non_null(strstr(entry, id));
	assert_non_null(strstr(entry, "\nFDL_JOB=12\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),	       cmocka_unit_test(test_catalogue),
		cmocka_unit_test(test_stderr),	       cmocka_unit_test(test_long),
		cmocka_unit_test(test_foreign_stream), cmocka_unit_test(test_journal),
	};

	return cmocka_run_group_tests_name("journal", tests, NULL, NULL);
}
