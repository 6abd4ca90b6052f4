/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Armed slots: a phone that passed and is there again is known by its identity, and left alone. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bus/conf.h"
#include "tests/bus/ctl.h"
#include "tests/bus/line.h"
#include "tests/bus/rig.h"

/* The phone in it was left alone by the latest job, and both place and job say so. */
static bool skipped(struct rig *rig, const struct rig_phone *p, const char *attempts)
{
	bool said = line_says(rig, p, "passed") &&
		    !strcmp(rig_get(rig, p->slot, SLOT, "ArmedDetail"), "AlreadyPassed") &&
		    !strcmp(rig_get(rig, p->slot, SLOT, "Attempts"), attempts);

	/* the place knows before the result is on the disk */
	for (int i = 0; said && i < 200; i++) {
		if (ctl(rig, 10000, "--json history --limit 1") == 0 &&
		    !strcmp(ctl_str(0, "result"), "skipped"))
			return !strcmp(ctl_str(0, "error"), "AlreadyPassed") &&
			       !strcmp(ctl_str(0, "leaves"), "unchanged");
		rig_sleep(rig, 50);
	}
	tap_note("%s attempts, '%s', %s", rig_get(rig, p->slot, SLOT, "Attempts"),
		 rig_get(rig, p->slot, SLOT, "ArmedDetail"), ctl_out);
	return false;
}

/* Until the figures for a scraper have this line. */
static bool figures(struct rig *rig, const char *line)
{
	char command[300];

	snprintf(command, sizeof(command), "grep -qxF '%s' %s/fdld.prom", line, rig->runtime);
	for (int i = 0; i < 400; i++) {
		if (system(command) == 0)
			return true;
		rig_sleep(rig, 50);
	}
	return false;
}

#define KNOWN "[armed]\naway-time=0s\nsettle-time=0s\nunit-away-time=infinity\n"

/* A phone that passed and cannot start comes back again and again, with any time in between. */
static void passed_is_known(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct phone *other = rig_spare(rig, "sc9863a", &(struct phone_setup){ .seed = 77 });
	struct rig_package pack;
	uint64_t erases;

	CHECK(line_up(rig, &pack, KNOWN, "[all]\nimage=line.pac\n"));
	CHECK(line_known(rig, p) && ctl(rig, 10000, "arm %s", p->id) == 0);
	bed_phone_plug(p->bp, true);
	CHECK(line_passes(rig, p, "1"));
	line_unplugged(rig, p);
	CHECK(ctl(rig, 10000, "bind %s --serial S2", p->id) == 0);
	erases = phone_counters(p->phone)->erases;
	bed_phone_plug(p->bp, true);
	CHECK(skipped(rig, p, "1") && phone_counters(p->phone)->erases == erases);
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "Failures"), "0"));
	CHECK(conf_logged(rig, "has left the phone on 1-1 alone: AlreadyPassed"));
	CHECK(ctl(rig, 10000, "history --result skipped") == 0 && strstr(ctl_out, "AlreadyPassed"));
	CHECK(ctl(rig, 10000, "history --result fail") == 0 && !strstr(ctl_out, "AlreadyPassed"));
	CHECK(figures(rig, "fdld_jobs_total{result=\"skipped\"} 1") &&
	      figures(rig, "fdld_jobs_total{result=\"failed\"} 0"));
	/* over a crash of the service; what was bound to the next phone still is */
	line_unplugged(rig, p);
	CHECK(line_on_disk(rig, "next_serial=S2"));
	CHECK(rig_down(rig, SIGKILL, 5000) == 256 + SIGKILL);
	rig_disconnect(rig);
	CHECK(rig_up(rig, NULL));
	bed_phone_plug(p->bp, true);
	CHECK(skipped(rig, p, "1") && phone_counters(p->phone)->erases == erases);
	/* asked for */
	CHECK(ctl(rig, 10000, "arm --present %s", p->id) == 0);
	CHECK(line_passes(rig, p, "2"));
	CHECK(ctl(rig, 10000, "--json history --limit 1") == 0 && !strcmp(ctl_str(0, "serial"), "S2"));
	/* another one was there since */
	line_unplugged(rig, p);
	bed_phone_swap(p->bp, other, true);
	bed_phone_plug(p->bp, true);
	CHECK(line_passes(rig, p, "3"));
	line_unplugged(rig, p);
	bed_phone_swap(p->bp, p->phone, true);
	bed_phone_plug(p->bp, true);
	CHECK(line_passes(rig, p, "4"));
	/* away for long enough */
	line_unplugged(rig, p);
	CHECK(conf_set(rig, "[armed]\naway-time=0s\nunit-away-time=200ms\n"));
	rig_sleep(rig, 500);
	bed_phone_plug(p->bp, true);
	CHECK(line_passes(rig, p, "5"));
	rig_package_free(&pack);
}

/* It has passed, and then somebody has broken off another job in the middle: that is no pass any more. */
static void passed_and_then_changed(struct rig *rig)
{
	struct phone_setup nobody = { .faults = "no-uid" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL),
			 *q = rig_phone(rig, "sc9863a", "2", &nobody);
	struct rig_package pack;
	char job[128];

	CHECK(line_up(rig, &pack, KNOWN, "[all]\nimage=line.pac\n"));
	CHECK(line_known(rig, p) && line_known(rig, q) && ctl(rig, 10000, "arm --all") == 0);
	bed_phone_plug(p->bp, true);
	CHECK(line_passes(rig, p, "1"));
	line_unplugged(rig, p);
	CHECK(phone_set_faults(p->phone, "refuse at end * of boot with 0xa2", NULL));
	bed_phone_plug(p->bp, true);
	CHECK(skipped(rig, p, "1"));
	CHECK(ctl(rig, 10000, "arm --present %s", p->id) == 0);
	CHECK(line_failures(rig, p, "1"));
	line_unplugged(rig, p);
	CHECK(phone_set_faults(p->phone, "", NULL));
	bed_phone_plug(p->bp, true);
	CHECK(line_passes(rig, p, "2"));
	/* the same by the end of the service */
	line_unplugged(rig, p);
	CHECK(phone_set_faults(p->phone, "late 30s at midst 1 of boot", NULL));
	bed_phone_plug(p->bp, true);
	CHECK(skipped(rig, p, "3"));
	CHECK(ctl(rig, 10000, "arm --present %s", p->id) == 0);
	CHECK(rig_expect(rig, 20000, p->slot, SLOT, "State", "busy"));
	snprintf(job, sizeof(job), "%s", rig_get(rig, p->slot, SLOT, "Job"));
	CHECK(rig_expect(rig, 60000, job, JOB, "Entry", "boot"));
	CHECK(rig_down(rig, SIGKILL, 5000) == 256 + SIGKILL);
	rig_disconnect(rig);
	bed_phone_unplug(p->bp, false);
	CHECK(phone_set_faults(p->phone, "", NULL));
	CHECK(rig_up(rig, NULL));
	bed_phone_plug(p->bp, true);
	CHECK(line_passes(rig, p, "3"));
	/* who does not say who it is, is known by the time alone */
	for (int i = 1; i <= 2; i++) {
		bed_phone_plug(q->bp, true);
		CHECK(line_passes(rig, q, i == 1 ? "1" : "2"));
		line_unplugged(rig, q);
	}
	rig_package_free(&pack);
}

static const struct rig_test tests[] = {
	{ "who has passed is known by its identity", passed_is_known },
	{ "who has passed and was then changed is not spared", passed_and_then_changed },
};

int main(void)
{
	return rig_run(tests, sizeof(tests) / sizeof(tests[0]));
}
