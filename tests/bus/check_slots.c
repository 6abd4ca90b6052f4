/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Places over the years: labels, counters, what stands out, and fdlctl's words for them. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bus/ctl.h"
#include "tests/bus/rig.h"

#define ERR(name) "org.fdld1.Error." name

static bool configure(struct rig *rig, const char *slot, const char *key, const char *value)
{
	return rig_call(rig, 5000, NULL, slot, SLOT, "Configure", "a{sv}", 1, key, "s", value);
}

static bool flash(struct rig *rig, const struct rig_phone *p, int fd, const char *how)
{
	const char *job = rig_flash(rig, p->slot, fd, NULL, 0),
		   *end = job ? rig_wait(rig, job, 60000) : "none";

	if (!strcmp(end, how))
		return true;
	tap_note("ended with '%s', not '%s'", end, how);
	return false;
}

static void labels(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL), *q = rig_phone(rig, "sc9863a", "2", NULL);
	struct rig_package pack;
	char text[80];

	rig_package(rig, &pack, "sc9863a", 6, 4096);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p) && rig_plug(rig, q));
	CHECK(configure(rig, p->slot, "label", "Bank A 3") && configure(rig, p->slot, "note", "new cable"));
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "Label"), "Bank A 3"));
	/* a name means one place */
	CHECK(!configure(rig, q->slot, "label", "Bank A 3") && !strcmp(rig->error, ERR("InvalidArgs")));
	CHECK(!configure(rig, q->slot, "label", "1-1") && !strcmp(rig->error, ERR("InvalidArgs")));
	CHECK(!configure(rig, q->slot, "label", p->id) && !strcmp(rig->error, ERR("InvalidArgs")));
	CHECK(!configure(rig, q->slot, "label", "a\nb") && !strcmp(rig->error, ERR("InvalidArgs")));
	memset(text, 'x', sizeof(text));
	text[64] = '\0';
	CHECK(!configure(rig, q->slot, "label", text) && !strcmp(rig->error, ERR("InvalidArgs")));
	text[63] = '\0';
	CHECK(configure(rig, q->slot, "label", text) && configure(rig, q->slot, "label", ""));
	CHECK(ctl(rig, 60000, "flash --slot 'Bank A 3' %s", pack.path) == 0);
	/* over a restart, without a phone */
	bed_phone_unplug(p->bp, true);
	bed_phone_unplug(q->bp, true);
	CHECK(rig_down(rig, SIGTERM, 5000) == 0);
	CHECK(rig_up(rig, NULL));
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "Label"), "Bank A 3"));
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "Note"), "new cable"));
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "State"), "empty"));
	CHECK(rig_num(rig, p->slot, SLOT, "Attempts") == 1 && rig_num(rig, p->slot, SLOT, "Passes") == 1);
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "LastResult"), "succeeded"));
	/* forgotten: gone with the next start */
	CHECK(rig_call(rig, 5000, NULL, p->slot, SLOT, "Forget", "a{sv}", 0));
	CHECK(rig_call(rig, 5000, NULL, q->slot, SLOT, "Forget", "a{sv}", 0));
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "Label"), ""));
	CHECK(rig_down(rig, SIGTERM, 5000) == 0);
	CHECK(rig_up(rig, NULL));
	CHECK(!strcmp(rig_get(rig, q->slot, SLOT, "Label"), "?"));
	/* the result of a job is still there, and with it where it was */
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "Label"), "") && !rig_num(rig, p->slot, SLOT, "Attempts"));
	rig_package_free(&pack);
}

static void counters(struct rig *rig)
{
	struct phone_setup setup = { .faults = "unplug at midst 1 of boot" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL),
			 *q = rig_phone(rig, "sc9863a", "2", &setup);
	struct rig_package pack;
	json_object *slots;

	rig_package(rig, &pack, "sc9863a", 6, 4096);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p) && rig_plug(rig, q));
	CHECK(flash(rig, p, pack.fd, "") && flash(rig, q, pack.fd, ERR("DeviceVanished")));
	CHECK(rig_num(rig, p->slot, SLOT, "Attempts") == 1 && rig_num(rig, p->slot, SLOT, "Passes") == 1);
	CHECK(rig_num(rig, p->slot, SLOT, "MeanUsec") > 0 && rig_num(rig, p->slot, SLOT, "MeanRate") > 0);
	CHECK(rig_num(rig, q->slot, SLOT, "Attempts") == 1 && rig_num(rig, q->slot, SLOT, "Failures") == 1);
	CHECK(!strcmp(rig_get(rig, q->slot, SLOT, "LastResult"), "failed"));
	CHECK(ctl(rig, 5000, "slots --reasons") == 0);
	CHECK(strstr(ctl_out, "100 %") && strstr(ctl_out, "0 %") && strstr(ctl_out, "DeviceVanished"));
	CHECK(!strstr(ctl_out, "suspect"));
	CHECK(ctl(rig, 5000, "--json slots") == 0 && ctl_json());
	slots = ctl_line(0);
	CHECK(json_object_is_type(slots, json_type_array) && json_object_array_length(slots) == 2);
	json_object_put(slots);
	/* a dry run and a package that is refused are no attempts */
	CHECK(ctl(rig, 5000, "slot reset-counters 1-2") == 0);
	CHECK(rig_num(rig, q->slot, SLOT, "Attempts") == 0 &&
	      rig_num(rig, q->slot, SLOT, "CountedSince") > 0);
	CHECK(ctl(rig, 5000, "slot rename 1-2 B2") == 0 &&
	      ctl(rig, 5000, "slot set B2 --note 'by the door'") == 0);
	CHECK(!strcmp(rig_get(rig, q->slot, SLOT, "Label"), "B2"));
	CHECK(!strcmp(rig_get(rig, q->slot, SLOT, "Note"), "by the door"));
	CHECK(ctl(rig, 5000, "slot set B2") == 2 && ctl(rig, 5000, "slot drop B2") == 2 &&
	      ctl(rig, 5000, "slot") == 2);
	CHECK(ctl(rig, 5000, "slot forget C7") == ctl_code("NoSuchSlot"));
	rig_package_free(&pack);
}

/* One phone from place to place gives each its name; nothing is sent to it. */
static void learning(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL), *q = rig_phone(rig, "sc9863a", "4", NULL),
			 *r = rig_phone(rig, "sc9863a", "3", NULL);
	static struct ctl_run run;

	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p)); /* there already: not meant */
	ctl_start(rig, &run, "slot learn A1 A2");
	CHECK(ctl_says(rig, &run, "Plug a phone into A1", 5000));
	CHECK(rig_plug(rig, q));
	CHECK(ctl_says(rig, &run, "Plug a phone into A2", 5000));
	CHECK(rig_plug(rig, r));
	CHECK(ctl_wait(rig, &run, 5000) == 0);
	CHECK(!strcmp(rig_get(rig, q->slot, SLOT, "Label"), "A1"));
	CHECK(!strcmp(rig_get(rig, r->slot, SLOT, "Label"), "A2"));
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "Label"), ""));
	CHECK(!bed_count(bed_phone_dev(q->bp))->submits && !bed_count(bed_phone_dev(r->bp))->submits);
}

/* A place where half of the phones fail, beside others where none does. */
static void suspect(struct rig *rig)
{
	struct phone_setup setup = { .faults = "unplug at midst 1 of boot" };
	struct rig_phone *good = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;

	rig_package(rig, &pack, "sc9863a", 6, 4096);
	CHECK(rig_up(rig, NULL));
	for (int i = 0; i < 8; i++) {
		struct rig_phone *bad = rig_phone(rig, "sc9863a", "2", i % 2 ? &setup : NULL);
		const char *one, *two;

		CHECK(!strcmp(rig_get(rig, bad->slot, SLOT, "Suspect"), i ? "false" : "?"));
		CHECK(rig_plug(rig, good) && rig_plug(rig, bad));
		one = rig_flash(rig, good->slot, pack.fd, NULL, 0);
		two = rig_flash(rig, bad->slot, pack.fd, NULL, 0);
		CHECK(one && !strcmp(rig_wait(rig, one, 60000), ""));
		CHECK(two && !strcmp(rig_wait(rig, two, 60000), i % 2 ? ERR("DeviceVanished") : ""));
		bed_phone_unplug(good->bp, true);
		bed_phone_unplug(bad->bp, true);
		CHECK(rig_expect(rig, 5000, bad->slot, SLOT, "State", "empty"));
	}
	CHECK(!strcmp(rig_get(rig, rig->phone[1].slot, SLOT, "Suspect"), "true"));
	CHECK(!strcmp(rig_get(rig, good->slot, SLOT, "Suspect"), "false"));
	CHECK(ctl(rig, 5000, "slots") == 0 && strstr(ctl_out, "suspect") &&
	      strstr(ctl_out, "Change its cable"));
	rig_package_free(&pack);
}

static const struct rig_test tests[] = {
	{ "labels, over a restart, and forgotten", labels },
	{ "counters", counters },
	{ "fdlctl slot learn", learning },
	{ "a place that fails more than its neighbours", suspect },
};

int main(void)
{
	return rig_run(tests, sizeof(tests) / sizeof(tests[0]));
}
