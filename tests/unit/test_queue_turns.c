/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Turns: what a job is first seen as, who is refused a slot that is not free, and what goes on while nothing
 * may begin.
 */
#include <stdatomic.h>
#include <sys/syscall.h>

#include "tests/unit/station_rig.h"

/* The next write that has to be durable: it hangs until the disk is mended. */
static atomic_bool next_hangs, mended;

int fsync(int fd)
{
	bool hangs = atomic_exchange(&next_hangs, false);

	while (hangs && !atomic_load(&mended))
		usleep(1000);
	return (int)syscall(SYS_fsync, fd);
}

static void test_first_state(void **state)
{
	struct rig *r = *state;
	struct slot *slot = slot_get(r->st, "pci-1");

	flash(r, (struct job_request){ .slot = slot });
	assert_string_equal(r->first, "waiting-for-device");
	flash(r, (struct job_request){ .slot = slot });
	assert_string_equal(r->first, "queued");
	plug(r, "pci-2", 4);
	flash(r, (struct job_request){ .slot = slot_get(r->st, "pci-2") });
	assert_string_equal(r->first, "running");
	UNTIL(r, r->finished == 1);
	plug(r, "pci-3", 5);
	flash(r, (struct job_request){ .slot_count = 0 });
	assert_string_equal(r->first, "running");
	assert_int_equal(r->added, 4);
	UNTIL(r, r->finished == 2);
}

/* Whoever does not want to wait is told so; the others queue. */
static void test_no_wait(void **state)
{
	struct rig *r = *state;
	struct slot *slot = slot_get(r->st, "pci-1");
	struct job *job;

	/* somebody waits already for the phone that will come */
	job = flash(r, (struct job_request){ .slot = slot });
	assert_true(ask(r, (struct job_request){ .slot = slot, .wait_given = true }) < 0);
	assert_int_equal(r->why.error, ERR_SLOT_BUSY);
	assert_non_null(strstr(r->why.detail, "job 1"));
	assert_int_equal(job_cancel(job, false, NULL, &r->why), 0);
	UNTIL(r, r->finished == 1);
	assert_true(ask(r, (struct job_request){ .slot = slot, .wait_given = true }) < 0);
	assert_int_equal(r->why.error, ERR_SLOT_EMPTY);
	/* a phone that has been flashed and still hangs there */
	plug(r, "pci-1", 3);
	slot->device->spent = true;
	assert_true(ask(r, (struct job_request){ .slot = slot, .wait_given = true }) < 0);
	assert_int_equal(r->why.error, ERR_SLOT_BUSY);
	assert_non_null(strstr(r->why.detail, "unplug"));
	slot->device->spent = false;
	job = flash(r, (struct job_request){ .slot = slot, .wait_given = true });
	assert_string_equal(r->first, "running");
	/* it has the slot now */
	assert_true(ask(r, (struct job_request){ .slot = slot, .wait_given = true }) < 0);
	assert_int_equal(r->why.error, ERR_SLOT_BUSY);
	assert_non_null(strstr(r->why.detail, "job 2"));
	UNTIL(r, r->finished == 2);
}

static void test_no_wait_race(void **state)
{
	struct rig *r = *state;
	struct slot *slot = slot_get(r->st, "pci-1");
	struct job_request q = { .image = r->image, .slot = slot, .wait_given = true };
	struct job *a, *b;

	plug(r, "pci-1", 3);
	station_hold(r->st, "sleep"); /* so that neither ends before the other comes */
	/* both find it free when they ask */
	assert_int_equal(station_flash(r->st, &q, on_job, r, &r->why), 0);
	assert_int_equal(station_flash(r->st, &q, on_job, r, &r->why), 0);
	UNTIL(r, r->finished == 1);
	a = station_next_job(r->st, NULL);
	b = station_next_job(r->st, a);
	if (!strcmp(state_of(a), "failed")) { /* workers may overtake each other */
		b = a;
		a = station_next_job(r->st, b);
	}
	assert_int_equal(error_of(b), ERR_SLOT_BUSY);
	assert_string_equal(state_of(b), "failed");
	station_hold(r->st, NULL);
	UNTIL(r, r->finished == 2);
	assert_int_equal(r->begun, 1);
	assert_int_equal(r->order[0], a->number);
}

static void test_held(void **state)
{
	struct rig *r = *state;
	struct slot *slot = slot_get(r->st, "pci-1");
	struct job *job = flash(r, (struct job_request){ .slot = slot });
	struct job *any;
	struct job_view v;

	station_hold(r->st, "sleep");
	turn(r, 10);
	assert_string_equal(state_of(job), "waiting-for-device"); /* that goes on */
	plug(r, "pci-1", 3);
	turn(r, 10);
	job_view(job, &v);
	assert_string_equal(v.state, "queued");
	assert_string_equal(v.queued_for, "sleep");
	plug(r, "pci-2", 4);
	any = flash(r, (struct job_request){ .slot_count = 0 });
	job_view(any, &v);
	assert_string_equal(v.queued_for, "sleep");
	station_hold(r->st, "shutdown");
	turn(r, 10);
	job_view(any, &v);
	assert_string_equal(v.queued_for, "shutdown");
	assert_int_equal(r->begun, 0);
	/* the phone does not wait */
	unplug(r, "pci-2", 4);
	turn(r, 10);
	assert_string_equal(state_of(any), "waiting-for-device");
	station_hold(r->st, NULL);
	UNTIL(r, r->finished == 1);
	assert_int_equal(r->begun, 1);
	assert_int_equal(r->order[0], job->number);
}

/* Memory that comes free meanwhile is kept for the job that has asked for it. */
static void test_held_memory(void **state)
{
	struct rig *r = *state;
	struct slot *slot = slot_get(r->st, "pci-1");
	struct usb_claim *rest = NULL;
	struct usb_budget_state b;
	struct job_view v;
	struct job *job;

	usb_budget_state(r->st->budget, &b);
	if (b.limit == UINT64_MAX)
		skip();
	assert_int_equal(usb_budget_ask(r->st->budget, b.limit - b.used - 1000, NULL, NULL, &rest), 1);
	plug(r, "pci-1", 3);
	job = flash(r, (struct job_request){ .slot = slot });
	job_view(job, &v);
	assert_string_equal(v.queued_for, "usb-memory");
	station_hold(r->st, "sleep");
	usb_budget_release(rest);
	turn(r, 10);
	job_view(job, &v);
	assert_string_equal(v.state, "queued");
	assert_string_equal(v.queued_for, "sleep");
	assert_int_equal(r->begun, 0);
	station_hold(r->st, NULL);
	UNTIL(r, r->finished == 1);
	assert_int_equal(r->begun, 1);
	usb_budget_state(r->st->budget, &b);
	assert_int_equal(b.used, 0);
}

static void on_released(void *user, const struct failure *why)
{
	struct rig *r = user;

	r->answered = true;
	r->why = *why;
}

/* It was released, and ended before that was on the disk: it stays until the answer has looked at it. */
static void test_released_too_late(void **state)
{
	struct rig *r = *state;
	struct slot *slot = slot_get(r->st, "pci-1");
	struct job *job = flash(r, (struct job_request){ .slot = slot, .gate_usec = 60000000 });

	r->st->set.keep_usec = 1;
	r->answered = false;
	atomic_store(&mended, false);
	atomic_store(&next_hangs, true);
	assert_int_equal(job_release(job, &(struct bind_request){ 0 }, NULL, on_released, r, &r->why), 1);
	UNTIL(r, !atomic_load(&next_hangs));
	assert_int_equal(job_cancel(job, false, NULL, &r->why), 0);
	UNTIL(r, r->finished == 1);
	turn(r, 20);
	assert_false(r->answered);
	assert_int_equal(r->removed, 0);
	atomic_store(&mended, true);
	UNTIL(r, r->answered);
	assert_int_equal(r->why.error, ERR_INVALID_ARGS);
	UNTIL(r, r->removed == 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_first_state), TEST(test_no_wait),	TEST(test_no_wait_race),
		TEST(test_held),	TEST(test_held_memory), TEST(test_released_too_late),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
