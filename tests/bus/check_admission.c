/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who is let in, and who waits for what: limits of a hub and of all, and one after the other. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "tests/bus/conf.h"
#include "tests/bus/ctl.h"
#include "tests/bus/rig.h"

#define SLOW "late 600s at midst 1 of boot"

static bool waits_for(struct rig *rig, const char *job, const char *what, const char *words)
{
	return rig_expect(rig, 20000, job, JOB, "QueuedFor", what) &&
	       !strcmp(rig_get(rig, job, JOB, "State"), "queued") &&
	       ctl(rig, 10000, "jobs %s", strrchr(job, '/') + 1) == 0 && strstr(ctl_out, words);
}

/* Phones there, one package, settings in force; the first is in the middle of a write and stays there. */
static const char *first_runs(struct rig *rig, struct rig_package *pack, struct rig_phone *const *p,
			      unsigned int count, const char *settings)
{
	const char *job;

	rig_package(rig, pack, "sc9863a", 8, 4096);
	conf_put(rig, ETC, settings);
	if (!rig_up(rig, NULL))
		return NULL;
	for (unsigned int i = 0; i < count; i++)
		if (!rig_plug(rig, p[i]))
			return NULL;
	job = rig_flash(rig, p[0]->slot, pack->fd, NULL, 0);
	return job && rig_expect(rig, 60000, job, JOB, "Entry", "boot") ? job : NULL;
}

static void one_hub(struct rig *rig)
{
	struct phone_setup slow = { .faults = SLOW };
	struct rig_phone *p[] = { rig_phone(rig, "sc9863a", "1.1", &slow),
				  rig_phone(rig, "sc9863a", "1.2", NULL),
				  rig_phone(rig, "sc9863a", "2.1", NULL) };
	struct rig_package pack;
	const char *first, *behind, *beside;

	first = first_runs(rig, &pack, p, 3, "[jobs]\nmax-per-hub=1\n");
	CHECK(first);
	behind = rig_flash(rig, p[1]->slot, pack.fd, NULL, 0);
	CHECK(behind && waits_for(rig, behind, "hub", "hub"));
	/* another hub is another matter */
	beside = rig_flash(rig, p[2]->slot, pack.fd, NULL, 0);
	CHECK(beside && !strcmp(rig_wait(rig, beside, 60000), ""));
	CHECK(!strcmp(rig_get(rig, behind, JOB, "QueuedFor"), "hub"));
	CHECK(!bed_count(bed_phone_dev(p[1]->bp))->submits);
	/* the place becomes free, however that ended */
	bed_phone_unplug(p[0]->bp, true);
	CHECK(!strcmp(rig_wait(rig, first, 60000), ERR("DeviceVanished")));
	CHECK(!strcmp(rig_wait(rig, behind, 60000), ""));
	rig_package_free(&pack);
}

static void all_together(struct rig *rig)
{
	struct phone_setup slow = { .faults = SLOW };
	struct rig_phone *p[] = { rig_phone(rig, "sc9863a", "1", &slow), rig_phone(rig, "sc9863a", "2", NULL),
				  rig_phone(rig, "sc9863a", "3", NULL) };
	struct rig_package pack;
	const char *second, *third;

	CHECK(first_runs(rig, &pack, p, 3, "[jobs]\nmax-running=1\n"));
	second = rig_flash(rig, p[1]->slot, pack.fd, NULL, 0);
	third = rig_flash(rig, p[2]->slot, pack.fd, NULL, 0);
	CHECK(second && third && waits_for(rig, second, "limit", "limit") &&
	      waits_for(rig, third, "limit", "limit"));
	/* a limit that is raised counts at once; the oldest goes first */
	CHECK(conf_set(rig, "[jobs]\nmax-running=2\n"));
	CHECK(!strcmp(rig_wait(rig, second, 60000), "") && !strcmp(rig_wait(rig, third, 60000), ""));
	CHECK(rig_dict(rig, second, JOB, "Result", "leaves"));
	CHECK(rig_num(rig, second, JOB, "StartedAt") < rig_num(rig, third, JOB, "StartedAt"));
	rig_package_free(&pack);
}

static void one_after_the_other(struct rig *rig)
{
	struct phone_setup slow = { .faults = SLOW };
	struct rig_phone *p[] = { rig_phone(rig, "sc9863a", "1", &slow), rig_phone(rig, "sc9863a", "2", NULL),
				  rig_phone(rig, "sc9863a", "3", NULL) };
	struct rig_package pack;
	const char *second, *third;

	CHECK(first_runs(rig, &pack, p, 3, "[jobs]\nstagger=60s\n"));
	second = rig_flash(rig, p[1]->slot, pack.fd, NULL, 0);
	CHECK(second && waits_for(rig, second, "stagger", "stagger"));
	CHECK(!bed_count(bed_phone_dev(p[1]->bp))->submits);
	CHECK(conf_set(rig, "[jobs]\nstagger=3s\n"));
	third = rig_flash(rig, p[2]->slot, pack.fd, NULL, 0);
	CHECK(third && !strcmp(rig_wait(rig, second, 60000), "") && !strcmp(rig_wait(rig, third, 60000), ""));
	/* never sooner; later it may be */
	CHECK(rig_num(rig, third, JOB, "StartedAt") >= rig_num(rig, second, JOB, "StartedAt") + 2900000);
	rig_package_free(&pack);
}

static const struct rig_test tests[] = {
	{ "so many of one hub", one_hub },
	{ "so many of all", all_together },
	{ "one after the other", one_after_the_other },
};

int main(void)
{
	return rig_run(tests, sizeof(tests) / sizeof(tests[0]));
}
