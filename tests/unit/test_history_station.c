/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The station and its history: what ends is in it, what cannot be written is said and caught up with, and
 * whoever starts jobs unasked can look before.
 */
#include <sys/mman.h>

#include "station/history.h"
#include "tests/unit/station_rig.h"

static unsigned int changes;

static void on_history_changed(void *user)
{
	(void)user;
	changes++;
}

static const struct station_events history_events = { .history_changed = on_history_changed };

static const char *state_is(const struct rig *r)
{
	struct history_view h;

	station_history(r->st, &h);
	return h.state;
}

static uint64_t rows(const struct rig *r)
{
	struct history_view h;

	station_history(r->st, &h);
	return h.jobs;
}

/* A phone whose node does not open: its job ends at once. */
static void one_job(struct rig *r, const char *slot, int num)
{
	unsigned int before = r->finished;

	plug(r, slot, num);
	flash(r, (struct job_request){ .wait_usec = 1000000, .wait_given = true });
	UNTIL(r, r->finished == before + 1);
	unplug(r, slot, num);
}

struct answer {
	bool there;
	uint64_t jobs, differences;
	char text[65536];
	enum error_id error;
};

static void on_sheet(void *user, const struct station_sheet *sheet, const struct failure *why)
{
	struct answer *a = user;
	ssize_t n;

	a->there = true;
	a->error = why ? why->error : ERR_NONE;
	if (!sheet)
		return;
	a->jobs = sheet->jobs;
	a->differences = sheet->differences;
	n = sheet->fd < 0 ? 0 : pread(sheet->fd, a->text, sizeof(a->text) - 1, 0);
	assert_true(n >= 0);
	a->text[n] = '\0';
}

static unsigned int lines(const char *text)
{
	unsigned int n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

static void test_what_ends_is_in_it(void **state)
{
	struct rig *r = *state;
	static struct answer a;
	struct failure why = { 0 };

	UNTIL(r, !strcmp(state_is(r), "ready"));
	assert_true(station_history_ok(r->st));
	one_job(r, "a", 1);
	one_job(r, "b", 2);
	/* asked at once: the answer waits until they are written */
	memset(&a, 0, sizeof(a));
	assert_int_equal(station_history_select(r->st, &(struct history_filter){ 0 }, on_sheet, &a, &why), 0);
	assert_false(a.there);
	UNTIL(r, a.there);
	assert_int_equal(lines(a.text), 2);
	assert_non_null(strstr(a.text, "{\"job\":2,\"kind\":\"flash\",\"result\":\"failed\""));
	UNTIL(r, rows(r) == 2);
	memset(&a, 0, sizeof(a));
	assert_int_equal(station_history_verify(r->st, on_sheet, &a, &why), 0);
	/* one at a time */
	assert_true(station_history_verify(r->st, on_sheet, &a, &why) < 0);
	assert_int_equal(why.error, ERR_LIMITS_EXCEEDED);
	UNTIL(r, a.there);
	assert_int_equal(a.error, ERR_NONE);
	assert_int_equal(a.jobs, 2);
	assert_int_equal(a.differences, 0);
}

static void test_it_cannot_be_written(void **state)
{
	struct rig *r = *state;
	static struct answer a;
	struct failure why = { 0 };
	char path[128];

	UNTIL(r, !strcmp(state_is(r), "ready"));
	assert_int_equal(station_subscribe(r->st, &history_events, r), 0);
	changes = 0;
	snprintf(path, sizeof(path), "%s/history.db", r->state);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	one_job(r, "a", 1); /* ends all the same */
	UNTIL(r, !strcmp(state_is(r), "failed"));
	assert_false(station_history_ok(r->st));
	assert_int_equal(changes, 1);
	memset(&a, 0, sizeof(a));
	assert_int_equal(station_history_select(r->st, &(struct history_filter){ 0 }, on_sheet, &a, &why), 0);
	UNTIL(r, a.there);
	assert_int_equal(a.error, ERR_HISTORY_UNUSABLE);
	/* each end is another try, said once */
	one_job(r, "b", 2);
	UNTIL(r, !history_busy(r->st->history));
	assert_int_equal(changes, 1);
	assert_int_equal(rmdir(path), 0);
	one_job(r, "c", 3);
	UNTIL(r, !strcmp(state_is(r), "ready"));
	assert_true(station_history_ok(r->st));
	UNTIL(r, rows(r) == 3);
	assert_int_equal(changes, 2);
	station_unsubscribe(r->st, &history_events, r);
}

/* The end of the station leaves nothing behind, whatever is on its way. */
static void test_freed_in_between(void **state)
{
	struct rig *r = *state;
	static struct answer a;
	struct failure why = { 0 };

	one_job(r, "a", 1);
	memset(&a, 0, sizeof(a));
	assert_int_equal(station_history_select(r->st, &(struct history_filter){ 0 }, on_sheet, &a, &why), 0);
	assert_int_equal(station_backups(r->st, &(struct history_filter){ 0 }, on_sheet, &a, &why), 0);
	station_free(r->st);
	begin(r);
	UNTIL(r, rows(r) == 1);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_what_ends_is_in_it),
		T(test_it_cannot_be_written),
		T(test_freed_in_between),
	};

	return cmocka_run_group_tests_name("history of the station", tests, NULL, NULL);
}
