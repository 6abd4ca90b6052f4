/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The station without a machine: phones are announced by hand and their nodes do not open, so that a job that
 * was given one ends at once, by name. For unit tests; cmocka is included by the header.
 */
#ifndef FDLD_TESTS_UNIT_STATION_RIG_H
#define FDLD_TESTS_UNIT_STATION_RIG_H

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "common/util.h"
#include "station/internal.h"
#include "station/kv.h"
#include "tests/compose/compose.h"

/* not every test needs all of it */
#define RIG static __attribute__((unused))

struct rig {
	char state[64], runtime[64], pac[64];
	struct loop *loop;
	struct station *st;
	struct station_config config;
	struct image *image;
	struct job *made;
	struct failure why; /* of the last answer */
	bool answered, idle;
	unsigned int added, finished, removed, devices, slots, images_gone;
	uint64_t order[16]; /* jobs in the order in which they were given a phone */
	unsigned int begun;
	char first[24];	    /* state of the latest job when it was announced */
	uint64_t known[32]; /* announced */
};

RIG int rm(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

RIG void turn(struct rig *r, unsigned int msec)
{
	uint64_t until = loop_now() + msec * 1000u;

	do
		loop_turn(r->loop, 2000);
	while (loop_now() < until);
}

#define UNTIL(r, condition)                                                  \
	do {                                                                 \
		uint64_t limit_ = loop_now() + 15000000;                     \
		while (!(condition)) {                                       \
			if (loop_now() > limit_)                             \
				fail_msg("never came true: %s", #condition); \
			loop_turn((r)->loop, 5000);                          \
		}                                                            \
	} while (0)

RIG void on_job_added(void *user, struct job *job)
{
	struct rig *r = user;
	struct job_view v;

	job_view(job, &v);
	snprintf(r->first, sizeof(r->first), "%s", v.state);
	if (r->added < ARRAY_SIZE(r->known))
		r->known[r->added] = v.number;
	r->added++;
}

RIG bool known(const struct rig *r, uint64_t number)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(r->known); i++)
		if (r->known[i] == number)
			return true;
	return r->added > ARRAY_SIZE(r->known);
}

RIG void on_job_changed(void *user, struct job *job)
{
	struct rig *r = user;
	struct job_view v;

	job_view(job, &v);
	assert_true(known(r, v.number)); /* nobody hears of a job before it was announced */
	if (strcmp(v.state, "running"))
		return;
	for (unsigned int i = 0; i < r->begun; i++)
		if (r->order[i] == v.number)
			return;
	assert_true(r->begun < ARRAY_SIZE(r->order));
	r->order[r->begun++] = v.number;
}

RIG void on_job_finished(void *user, struct job *job)
{
	struct job_view v;

	job_view(job, &v);
	assert_true(v.ended && known(user, v.number));
	((struct rig *)user)->finished++;
}

RIG void on_job_removed(void *user, struct job *job)
{
	(void)job;
	((struct rig *)user)->removed++;
}

RIG void on_device_added(void *user, struct device *d)
{
	(void)d;
	((struct rig *)user)->devices++;
}

RIG void on_device_removed(void *user, struct device *d)
{
	(void)d;
	((struct rig *)user)->devices--;
}

RIG void on_slot_added(void *user, struct slot *s)
{
	(void)s;
	((struct rig *)user)->slots++;
}

RIG void on_image_removed(void *user, struct image *i)
{
	(void)i;
	((struct rig *)user)->images_gone++;
}

RIG void on_idle(void *user)
{
	((struct rig *)user)->idle = true;
}

static const struct station_events events = {
	.idle = on_idle,
	.slot_added = on_slot_added,
	.device_added = on_device_added,
	.device_removed = on_device_removed,
	.image_removed = on_image_removed,
	.job_added = on_job_added,
	.job_changed = on_job_changed,
	.job_finished = on_job_finished,
	.job_removed = on_job_removed,
};

RIG void begin(struct rig *r)
{
	struct failure why = { 0 };

	if (station_new(r->loop, &r->config, &r->st, &why) < 0)
		fail_msg("%s", why.detail);
	assert_int_equal(station_subscribe(r->st, &events, r), 0);
	r->st->usb = usb_context_new(r->loop, &why);
	assert_non_null(r->st->usb);
	r->st->probing = false;
}

RIG void on_image(void *user, struct image *image, const struct failure *why)
{
	struct rig *r = user;

	r->answered = true;
	r->image = image;
	if (why)
		r->why = *why;
}

RIG int setup(void **state)
{
	struct compose_spec spec = { .family = "sc9863a", .seed = 5, .image_bytes = 4000 };
	struct rig *r = calloc(1, sizeof(*r));
	uint64_t len;
	int fd;

	strcpy(r->state, "/tmp/fdld-test-queue-XXXXXX");
	strcpy(r->runtime, "/tmp/fdld-test-run-XXXXXX");
	strcpy(r->pac, "/tmp/fdld-test-pac-XXXXXX");
	assert_non_null(mkdtemp(r->state));
	assert_non_null(mkdtemp(r->runtime));
	fd = mkstemp(r->pac);
	assert_true(fd >= 0);
	assert_int_equal(compose_write(&spec, fd, &len), 0);
	close(fd);
	r->config = (struct station_config){ .state_dir = r->state, .runtime_dir = r->runtime };
	r->loop = loop_new();
	assert_non_null(r->loop);
	begin(r);

	struct station_caller caller = { .uid = 7, .name = ":1.5" };
	struct image_options options = { .name = "a.pac" };

	assert_int_equal(station_open_image(r->st, open(r->pac, O_RDONLY | O_CLOEXEC), &options, &caller,
					    on_image, r, &r->why),
			 0);
	UNTIL(r, r->answered);
	if (!r->image)
		fail_msg("%s: %s", error_entry(r->why.error)->name, r->why.detail);
	*state = r;
	return 0;
}

RIG int teardown(void **state)
{
	struct rig *r = *state;

	station_free(r->st);
	loop_free(r->loop);
	nftw(r->state, rm, 8, FTW_DEPTH | FTW_PHYS);
	nftw(r->runtime, rm, 8, FTW_DEPTH | FTW_PHYS);
	unlink(r->pac);
	free(r);
	return 0;
}

RIG struct usb_arrival arrival(const char *slot, int num, enum usb_seen seen)
{
	struct usb_arrival a = { .busnum = 1,
				 .devnum = (uint8_t)num,
				 .vendor = USB_VENDOR_UNISOC,
				 .product = USB_PRODUCT_DOWNLOAD,
				 .seen = seen,
				 .received_usec = loop_now() };

	snprintf(a.syspath, sizeof(a.syspath), "/sys/devices/none/usb1/1-%s", slot);
	strcpy(a.devnode, "/nowhere/bus/usb/001/002");
	kv_copy(a.slot, sizeof(a.slot), slot);
	return a;
}

RIG void plug(struct rig *r, const char *slot, int num)
{
	struct usb_arrival a = arrival(slot, num, USB_SEEN_EVENT);

	device_arrived(r->st, &a);
}

RIG void unplug(struct rig *r, const char *slot, int num)
{
	struct usb_arrival a = arrival(slot, num, USB_SEEN_EVENT);

	device_left(r->st, &a);
}

RIG void on_job(void *user, struct job *job, const struct failure *why)
{
	struct rig *r = user;

	r->answered = true;
	r->made = job;
	if (why)
		r->why = *why;
}

RIG int ask(struct rig *r, struct job_request q)
{
	int ret;

	q.image = r->image;
	q.caller.uid = 7;
	r->answered = false;
	r->made = NULL;
	memset(&r->why, 0, sizeof(r->why));
	ret = station_flash(r->st, &q, on_job, r, &r->why);
	if (ret == 0) {
		assert_false(r->answered); /* never from within */
		UNTIL(r, r->answered);
	}
	return ret;
}

RIG struct job *flash(struct rig *r, struct job_request q)
{
	if (ask(r, q) < 0 || !r->made)
		fail_msg("%s: %s", error_entry(r->why.error)->name, r->why.detail);
	return r->made;
}

RIG const char *state_of(const struct job *job)
{
	struct job_view v;

	job_view(job, &v);
	return v.state;
}

RIG enum error_id error_of(const struct job *job)
{
	struct job_view v;

	job_view(job, &v);
	return v.failure.error;
}

#endif
