/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is looked at is who gets which phone, when, and what stays behind.
 */
#include "tests/unit/station_rig.h"

static void test_order_on_a_slot(void **state)
{
	struct rig *r = *state;
	struct job_view v;
	struct slot *slot = slot_get(r->st, "pci-1");
	struct job *a = flash(r, (struct job_request){ .slot = slot });
	struct job *b = flash(r, (struct job_request){ .slot = slot });
	struct job *c = flash(r, (struct job_request){ .slot = slot });
	struct slot_view sv;

	assert_true(a->number < b->number && b->number < c->number);
	assert_string_equal(state_of(a), "waiting-for-device");
	assert_string_equal(state_of(b), "queued");
	job_view(b, &v);
	assert_string_equal(v.queued_for, "slot");
	slot_view(slot, &sv);
	assert_string_equal(sv.state, "waiting");
	assert_int_equal(sv.queued, 3);
	plug(r, "pci-1", 5);
	assert_string_equal(state_of(a), "running"); /* at once: nothing stands in this path */
	slot_view(slot, &sv);
	assert_string_equal(sv.state, "busy");
	assert_ptr_equal(sv.job, a);
	UNTIL(r, r->finished == 1);
	assert_string_equal(state_of(a), "failed");
	assert_true(error_of(a) != ERR_NONE);
	/* the phone could not be opened, but nothing says that it has left: the next may try */
	UNTIL(r, r->finished == 3 || !strcmp(state_of(b), "waiting-for-device"));
	unplug(r, "pci-1", 5);
	assert_int_equal(r->devices, 0);
	assert_int_equal(r->slots, 1);
	if (r->finished == 1) {
		plug(r, "pci-1", 6);
		UNTIL(r, r->finished >= 2);
	}
	assert_int_equal(r->order[0], a->number);
	assert_int_equal(r->order[1], b->number);
}

static void test_next_phone(void **state)
{
	struct rig *r = *state;
	struct slot *one = slot_get(r->st, "pci-1"), *two = slot_get(r->st, "pci-2");
	struct slot *places[] = { two };
	struct job *any, *there;

	there = flash(r, (struct job_request){ .slots = places, .slot_count = 1 });
	any = flash(r, (struct job_request){ .slot_count = 0 });
	assert_string_equal(state_of(any), "waiting-for-device");
	plug(r, "pci-1", 3);
	assert_string_equal(state_of(there), "waiting-for-device");
	assert_string_equal(state_of(any), "running");
	assert_ptr_equal(any->slot, one);
	plug(r, "pci-2", 4);
	assert_string_equal(state_of(there), "running");
	assert_ptr_equal(there->slot, two);
	UNTIL(r, r->finished == 2);
	/* a phone that is there and free is the next one as well, unless a session has had it */
	unplug(r, "pci-1", 3);
	unplug(r, "pci-2", 4);
	plug(r, "pci-1", 5);
	one->device->used = true;
	any = flash(r, (struct job_request){ .slot_count = 0 });
	assert_string_equal(state_of(any), "waiting-for-device");
	plug(r, "pci-2", 6);
	assert_ptr_equal(any->slot, two);
	UNTIL(r, r->finished == 3);
}

static void test_spent(void **state)
{
	struct rig *r = *state;
	struct slot *slot = slot_get(r->st, "pci-1");
	struct job_progress p;
	struct job *job;

	plug(r, "pci-1", 3);
	slot->device->spent = true;
	job = flash(r, (struct job_request){ .slot = slot });
	assert_string_equal(state_of(job), "waiting-for-device");
	job_progress(job, &p);
	assert_non_null(strstr(p.why, "unplug"));
	assert_true(p.deadline_usec > 500000000 && p.deadline_usec <= 600000000);
	unplug(r, "pci-1", 3);
	plug(r, "pci-1", 4);
	assert_string_equal(state_of(job), "running");
	UNTIL(r, r->finished == 1);
}

static void test_refusals(void **state)
{
	struct rig *r = *state;
	struct slot *slot = slot_get(r->st, "pci-1");
	const char *const names[] = { "boot", "no-such-entry", NULL };

	assert_true(ask(r, (struct job_request){ .slot = slot, .wait_given = true }) < 0);
	assert_int_equal(r->why.error, ERR_SLOT_EMPTY);
	assert_true(ask(r, (struct job_request){ .wait_given = true }) < 0);
	assert_int_equal(r->why.error, ERR_SLOT_EMPTY);
	assert_true(ask(r, (struct job_request){
				   .slot = slot, .expect_device_given = true, .expect_device = 4 }) < 0);
	assert_int_equal(r->why.error, ERR_DEVICE_CHANGED);
	assert_true(ask(r, (struct job_request){ .slot = slot, .options.nv = "maybe" }) < 0);
	assert_int_equal(r->why.error, ERR_INVALID_ARGS);
	assert_non_null(strstr(r->why.detail, "keep-if-any"));
	assert_true(ask(r, (struct job_request){ .slot = slot, .options.nv_from = "x" }) < 0);
	assert_int_equal(r->why.error, ERR_INVALID_ARGS);
	/* what only the compiler of plans can tell: an answer, but no job */
	assert_int_equal(ask(r, (struct job_request){ .slot = slot, .options.entries = names }), 0);
	assert_null(r->made);
	assert_int_equal(r->why.error, ERR_INVALID_ARGS);
	assert_int_equal(r->added, 0);
	assert_null(station_next_job(r->st, NULL));
	r->st->set.jobs_max = 1;
	flash(r, (struct job_request){ .slot = slot });
	assert_true(ask(r, (struct job_request){ .slot = slot }) < 0);
	assert_int_equal(r->why.error, ERR_LIMITS_EXCEEDED);
}

/* What was expected leaves before the job's turn comes. */
static void test_expected(void **state)
{
	struct rig *r = *state;
	struct slot *slot = slot_get(r->st, "pci-1");
	struct job *job;

	plug(r, "pci-1", 3);
	slot->device->spent = true;
	job = flash(r, (struct job_request){ .slot = slot,
					     .expect_device_given = true,
					     .expect_device = slot->device->number });
	unplug(r, "pci-1", 3);
	plug(r, "pci-1", 4);
	UNTIL(r, r->finished == 1);
	assert_int_equal(error_of(job), ERR_DEVICE_CHANGED);
	assert_int_equal(r->begun, 0);
}

static void test_waiting_ends(void **state)
{
	struct rig *r = *state;
	struct failure why = { 0 };
	struct job *a, *b;

	a = flash(r, (struct job_request){
			     .slot = slot_get(r->st, "pci-1"), .wait_given = true, .wait_usec = 50000 });
	b = flash(r, (struct job_request){ .slot_count = 0 });
	UNTIL(r, r->finished == 1);
	assert_int_equal(error_of(a), ERR_WAIT_EXPIRED);
	assert_string_equal(state_of(a), "failed");
	assert_int_equal(job_cancel(b, false, NULL, &why), 0);
	UNTIL(r, r->finished == 2);
	assert_string_equal(state_of(b), "cancelled");
	assert_true(job_cancel(b, false, NULL, &why) < 0);
	assert_int_equal(why.error, ERR_NOT_CANCELABLE);
}

/* The memory of the machine: one phone fits, the next waits for it, what never fits is refused by name. */
static void test_budget(void **state)
{
	struct rig *r = *state;
	struct slot *one = slot_get(r->st, "pci-1"), *two = slot_get(r->st, "pci-2");
	struct usb_claim *rest = NULL;
	struct usb_budget_state b;
	struct job *job, *other;
	struct job_view v;
	char path[80];
	FILE *f;

	snprintf(path, sizeof(path), "%s/mb", r->runtime);
	f = fopen(path, "w");
	fputs("1\n", f);
	fclose(f);
	usb_budget_free(r->st->budget);
	r->st->budget = usb_budget_new(path);
	usb_budget_state(r->st->budget, &b);
	assert_int_equal(b.limit, 1 << 20);
	assert_int_equal(usb_budget_ask(r->st->budget, b.limit - 1000, NULL, NULL, &rest), 1);
	job = flash(r, (struct job_request){ .slot = one });
	other = flash(r, (struct job_request){ .slot = two });
	plug(r, "pci-1", 3);
	plug(r, "pci-2", 4);
	job_view(job, &v);
	assert_string_equal(v.state, "queued");
	assert_string_equal(v.queued_for, "usb-memory");
	/* its phone leaves: it waits for the next one, and no longer for memory */
	unplug(r, "pci-1", 3);
	turn(r, 20);
	assert_string_equal(state_of(job), "waiting-for-device");
	usb_budget_state(r->st->budget, &b);
	assert_int_equal(b.waiting, 1);
	usb_budget_release(rest);
	assert_string_equal(state_of(other), "running");
	UNTIL(r, r->finished == 1);
	usb_budget_state(r->st->budget, &b);
	assert_int_equal(b.used, 0);
}

static void test_forgotten(void **state)
{
	struct rig *r = *state;
	struct failure why = { 0 };
	struct job_view v;

	r->st->set.keep_usec = 30000;
	for (int i = 0; i < 3; i++)
		assert_int_equal(
			job_cancel(flash(r, (struct job_request){ .slot_count = 0 }), false, NULL, &why), 0);
	UNTIL(r, r->removed == 3);
	assert_null(station_next_job(r->st, NULL));
	r->st->set.keep_usec = 60000000;
	r->st->set.keep_max = 2;
	for (int i = 0; i < 4; i++)
		assert_int_equal(
			job_cancel(flash(r, (struct job_request){ .slot_count = 0 }), false, NULL, &why), 0);
	UNTIL(r, r->removed == 5);
	turn(r, 30);
	assert_int_equal(r->removed, 5);
	job_view(station_next_job(r->st, NULL), &v);
	assert_int_equal(v.number, 6); /* the oldest went first, numbers are not used again */
}

static void test_drain(void **state)
{
	struct rig *r = *state;
	struct job *a = flash(r, (struct job_request){ .slot_count = 0 });

	station_drain(r->st, false);
	assert_true(station_draining(r->st));
	assert_true(ask(r, (struct job_request){ .slot_count = 0 }) < 0);
	assert_int_equal(r->why.error, ERR_DRAINING);
	UNTIL(r, r->idle);
	assert_string_equal(state_of(a), "cancelled");
	assert_int_equal(r->finished, 1);
}

/* A job on its way into being while the door is closed ends as cancelled, with a result. */
static void test_drain_race(void **state)
{
	struct rig *r = *state;
	struct job_request q = { .image = r->image };

	assert_int_equal(station_flash(r->st, &q, on_job, r, &r->why), 0);
	r->made = NULL;
	station_drain(r->st, false);
	UNTIL(r, r->idle);
	assert_non_null(r->made);
	assert_string_equal(state_of(r->made), "cancelled");
}

static void test_image_life(void **state)
{
	struct rig *r = *state;
	struct failure why = { 0 };
	struct image_view v;
	struct image_entry e;
	struct job *job = flash(r, (struct job_request){ .slot_count = 0 });

	image_view(r->image, &v);
	assert_string_equal(v.name, "a.pac");
	assert_true(v.entries > 5);
	assert_true(image_entry(r->image, 0, &e));
	assert_true(*e.id);
	assert_false(image_entry(r->image, v.entries, &e));
	for (uint64_t i = 0; strcmp(v.state, "good"); i++) {
		assert_true(i < 1000);
		loop_turn(r->loop, 5000);
		image_view(r->image, &v);
	}
	assert_int_equal(strlen(v.digest), 64);
	image_release(r->image); /* the client goes, the job stays */
	turn(r, 20);
	assert_int_equal(r->images_gone, 0);
	assert_int_equal(job_cancel(job, false, NULL, &why), 0);
	UNTIL(r, r->images_gone == 1);
	assert_null(station_next_image(r->st, NULL));
}

/* Another run finds: an ended job (still readable), one that was cut short, one that never was announced. */
static void test_restart(void **state)
{
	struct rig *r = *state;
	struct failure why = { 0 };
	struct job *done = flash(r, (struct job_request){ .slot = slot_get(r->st, "pci-1") });
	struct job *cut = flash(r, (struct job_request){ .slot = slot_get(r->st, "pci-2") });
	uint64_t done_number = done->number, cut_number = cut->number;
	struct station_counts counts;
	struct job_result res;
	struct job_view v;
	char path[96];

	assert_int_equal(job_cancel(done, false, NULL, &why), 0);
	UNTIL(r, r->finished == 1);
	station_free(r->st);
	snprintf(path, sizeof(path), "%s/job/77", r->state);
	assert_int_equal(mkdir(path, 0700), 0);
	begin(r);
	assert_non_null(station_job(r->st, done_number));
	job_view(station_job(r->st, done_number), &v);
	assert_string_equal(v.state, "cancelled");
	assert_int_equal(v.failure.error, ERR_CANCELLED);
	assert_int_equal(v.uid, 7);
	assert_string_equal(v.image_name, "a.pac");
	assert_non_null(station_job(r->st, cut_number));
	job_view(station_job(r->st, cut_number), &v);
	assert_string_equal(v.state, "interrupted");
	assert_int_equal(v.failure.error, ERR_INTERRUPTED);
	assert_string_equal(v.leaves, "unchanged");
	assert_false(v.old);
	job_result(station_job(r->st, cut_number), &res);
	assert_string_equal(res.result, "interrupted");
	assert_null(station_job(r->st, 77));
	station_counts(r->st, &counts);
	assert_int_equal(counts.jobs_interrupted, 1);
	/* reported once */
	station_free(r->st);
	begin(r);
	station_counts(r->st, &counts);
	assert_int_equal(counts.jobs_interrupted, 0);
	job_view(station_job(r->st, cut_number), &v);
	assert_string_equal(v.state, "interrupted");
	assert_true(v.old);
}

/* A phone that was there before: its record counts only for this very arrival. */
static void test_port_record(void **state)
{
	struct rig *r = *state;
	struct port_note note = {
		.slot = "pci-1", .bus = 1, .address = 9, .stage = "fdl2", .plain_framing = true
	};
	struct usb_arrival a = arrival("pci-1", 9, USB_SEEN_COLD), b = arrival("pci-2", 9, USB_SEEN_COLD);
	struct device_view v;

	assert_int_equal(records_port_write(r->st->records, &note), 0);
	r->st->probing = true;
	device_arrived(r->st, &a);
	device_arrived(r->st, &b);
	r->st->probing = false;
	assert_true(slot_get(r->st, "pci-1")->note_known);
	assert_true(slot_get(r->st, "pci-1")->note.plain_framing);
	assert_false(slot_get(r->st, "pci-2")->note_known);
	device_view(slot_get(r->st, "pci-1")->device, &v);
	assert_false(v.arrival_seen);
	assert_string_equal(v.stage, "fdl2"); /* an earlier run left it there, in good order */
	device_view(slot_get(r->st, "pci-2")->device, &v);
	assert_string_equal(v.stage, "unknown"); /* nobody has asked it */
	device_left(r->st, &a);
	assert_false(slot_get(r->st, "pci-1")->note_known);
}

static void on_limited(void *user, struct job *job)
{
	struct rig *r = user;
	uint32_t busy = 0;

	(void)job;
	for (struct slot *s = r->st->slots; s; s = s->next)
		busy += s->job != NULL;
	assert_true(busy <= r->st->set.running_max);
}

/* Hubs of three ports each: not more at once on one of them, whatever the others do. */
static void test_hub(void **state)
{
	static const char *const names[] = { "pci-0-usb-0:1.1",	  "pci-0-usb-0:1.2", "pci-0-usb-0:1.3.1",
					     "pci-0-usb-0:1.3.2", "pci-0-usb-0:2",   "pci-0-usb-0:10" };
	static const char *const want[] = { "running", "queued", "running", "queued", "running", "queued" };
	struct rig *r = *state;
	struct settings set = *station_settings(r->st);
	struct job *job[ARRAY_SIZE(names)];
	struct job_view v;

	set.hub_max = 1;
	station_configure(r->st, &set);
	station_hold(r->st, "sleep");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		job[i] = flash(r, (struct job_request){ .slot = slot_get(r->st, names[i]) });
		plug(r, names[i], (uint8_t)(3 + i));
	}
	station_hold(r->st, NULL);
	turn(r, 0);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		job_view(job[i], &v);
		assert_string_equal(v.state, want[i]);
		assert_string_equal(v.queued_for, *want[i] == 'q' ? "hub" : "");
	}
	UNTIL(r, r->finished == ARRAY_SIZE(names));
}

/* One after the other with some time between, and by itself. */
static void test_stagger(void **state)
{
	struct rig *r = *state;
	struct settings set = *station_settings(r->st);
	uint64_t began = loop_now();
	struct job *one, *two;
	struct job_view v;

	set.stagger_usec = 300000;
	station_configure(r->st, &set);
	station_hold(r->st, "sleep");
	one = flash(r, (struct job_request){ .slot = slot_get(r->st, "pci-1") });
	two = flash(r, (struct job_request){ .slot = slot_get(r->st, "pci-2") });
	plug(r, "pci-1", 3);
	plug(r, "pci-2", 4);
	station_hold(r->st, NULL);
	turn(r, 0);
	assert_string_equal(state_of(one), "running");
	job_view(two, &v);
	assert_string_equal(v.queued_for, "stagger");
	UNTIL(r, strcmp(state_of(two), "queued") != 0);
	assert_true(loop_now() - began >= set.stagger_usec);
	UNTIL(r, r->finished == 2);
}

/* Not more at once than the settings say; the oldest job first, whatever slot it is for. */
static void test_limit(void **state)
{
	static const struct station_events watch = { .job_changed = on_limited };
	struct rig *r = *state;
	struct slot *one = slot_get(r->st, "pci-1"), *two = slot_get(r->st, "pci-2");
	struct settings set = *station_settings(r->st);
	struct job *first, *second, *behind;
	struct job_view v;

	assert_int_equal(station_subscribe(r->st, &watch, r), 0);
	set.running_max = 1;
	station_configure(r->st, &set);
	first = flash(r, (struct job_request){ .slot = two });
	second = flash(r, (struct job_request){ .slot = one });
	behind = flash(r, (struct job_request){ .slot = one });
	station_hold(r->st, "sleep");
	plug(r, "pci-1", 3);
	plug(r, "pci-2", 4);
	station_hold(r->st, NULL);
	turn(r, 0);
	assert_string_equal(state_of(first), "running");
	job_view(second, &v);
	assert_string_equal(v.state, "queued");
	assert_string_equal(v.queued_for, "limit");
	job_view(behind, &v);
	assert_string_equal(v.queued_for, "slot");
	second->wait_until = loop_now(); /* queued jobs do not expire, however long the limit keeps them */
	UNTIL(r, r->finished == 2);
	assert_int_equal(error_of(second) == ERR_WAIT_EXPIRED, 0);
	assert_int_equal(r->order[0], first->number);
	assert_int_equal(r->order[1], second->number);
	/* more than before: at once */
	unplug(r, "pci-1", 3);
	unplug(r, "pci-2", 4);
	first = flash(r, (struct job_request){ .slot = two });
	plug(r, "pci-1", 5);
	plug(r, "pci-2", 6);
	assert_string_equal(state_of(behind), "running");
	assert_string_equal(state_of(first), "queued");
	set.running_max = UINT32_MAX;
	station_configure(r->st, &set);
	UNTIL(r, strcmp(state_of(first), "queued") != 0);
	UNTIL(r, r->finished == 4);
	station_unsubscribe(r->st, &watch, r);
}

/* What is kept already follows the time to keep, in both directions. */
static void test_keep_follows(void **state)
{
	struct rig *r = *state;
	struct settings set = *station_settings(r->st);
	struct failure why = { 0 };

	for (int i = 0; i < 2; i++)
		assert_int_equal(
			job_cancel(flash(r, (struct job_request){ .slot_count = 0 }), false, NULL, &why), 0);
	UNTIL(r, r->finished == 2);
	turn(r, 20);
	assert_int_equal(r->removed, 0);
	set.keep_usec = 1000000;
	station_configure(r->st, &set);
	turn(r, 20);
	assert_int_equal(r->removed, 0);
	set.keep_usec = 3600000000;
	station_configure(r->st, &set);
	turn(r, 1100);
	assert_int_equal(r->removed, 0);
	set.keep_usec = 1000000;
	strcpy(set.udev_tag, "other");
	station_configure(r->st, &set);
	UNTIL(r, r->removed == 2);
	assert_string_equal(station_settings(r->st)->udev_tag, ""); /* not before the next start */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_order_on_a_slot), TEST(test_next_phone),
		TEST(test_spent),	    TEST(test_refusals),
		TEST(test_expected),	    TEST(test_waiting_ends),
		TEST(test_budget),	    TEST(test_forgotten),
		TEST(test_drain),	    TEST(test_drain_race),
		TEST(test_image_life),	    TEST(test_restart),
		TEST(test_port_record),	    TEST(test_limit),
		TEST(test_keep_follows),    TEST(test_hub),
		TEST(test_stagger),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
