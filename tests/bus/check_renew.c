/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A newer version is installed while the daemon works: nothing is lost by it, and it takes over when it can.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "tests/bus/rig.h"

#define RENEW_EXIT 125

static bool flashes(struct rig *rig, const char *job)
{
	return rig_expect(rig, 20000, job, JOB, "State", "running");
}

/* The phone dawdles: the job is still running whatever happens meanwhile. */
static struct rig_phone *slow_phone(struct rig *rig, const char *ports)
{
	struct phone_setup waits = { .faults = "late at end of system for 5s" };

	return rig_phone(rig, "sc9863a", ports, &waits);
}

static void at_work(struct rig *rig)
{
	struct rig_phone *p = slow_phone(rig, "1"), *q = slow_phone(rig, "2");
	struct rig_package pack;
	char first[64], second[64];
	const char *s;

	rig_package(rig, &pack, "sc9863a", 31, 4096);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p) && rig_plug(rig, q));
	s = rig_flash(rig, p->slot, pack.fd, NULL, 0);
	CHECK(s && flashes(rig, s));
	snprintf(first, sizeof(first), "%s", s);
	kill(rig->daemon, SIGUSR1);
	rig_sleep(rig, 3600);
	CHECK(strstr(bed_notify(rig->bed)->status, "a newer version takes over when idle"));
	/* no drain: the next one is taken as ever */
	CHECK(!strcmp(rig_get(rig, ROOT, MANAGER, "Draining"), "false"));
	s = rig_flash(rig, q->slot, pack.fd, NULL, 0);
	CHECK(s);
	snprintf(second, sizeof(second), "%s", s);
	kill(rig->daemon, SIGUSR1); /* once more is once */
	CHECK(!strcmp(rig_wait(rig, first, 60000), ""));
	CHECK(!strcmp(rig_wait(rig, second, 60000), ""));
	/* whoever asked is answered, and the result can be read for a moment */
	CHECK(!strcmp(rig_get(rig, second, JOB, "State"), "succeeded"));
	CHECK(rig_down(rig, 0, 10000) == RENEW_EXIT);
	CHECK(rig_up(rig, NULL));
	CHECK(!strcmp(rig_get(rig, ROOT, MANAGER, "Draining"), "false"));
	rig_package_free(&pack);
}

static void waiting_job(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;
	sd_bus_message *m = NULL;
	char job[64];
	const char *s;

	rig_package(rig, &pack, "sc9863a", 32, 4096);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_call(rig, 5000, &m, ROOT, MANAGER, "FlashNext", "haoa{sv}", pack.fd, 0, 0));
	CHECK(sd_bus_message_read(m, "o", &s) > 0);
	snprintf(job, sizeof(job), "%s", s);
	sd_bus_message_unref(m);
	kill(rig->daemon, SIGUSR1);
	/* somebody stands at the bench with a cable in the hand */
	CHECK(rig_down(rig, 0, 4500) == -1);
	CHECK(!strcmp(rig_get(rig, job, JOB, "State"), "waiting-for-device"));
	bed_phone_plug(p->bp, true);
	CHECK(!strcmp(rig_wait(rig, job, 60000), ""));
	CHECK(rig_down(rig, 0, 10000) == RENEW_EXIT);
	rig_package_free(&pack);
}

static void open_package(struct rig *rig)
{
	struct rig_package pack;
	sd_bus_message *m = NULL;
	char image[64];
	const char *s;

	rig_package(rig, &pack, "sc9863a", 33, 4096);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_call(rig, 5000, &m, ROOT, MANAGER, "OpenImage", "ha{sv}", pack.fd, 0));
	CHECK(sd_bus_message_read(m, "o", &s) > 0);
	snprintf(image, sizeof(image), "%s", s);
	sd_bus_message_unref(m);
	kill(rig->daemon, SIGUSR1);
	CHECK(rig_down(rig, 0, 4500) == -1);
	CHECK(rig_call(rig, 5000, NULL, image, IMAGE, "Release", "a{sv}", 0));
	CHECK(rig_down(rig, 0, 10000) == RENEW_EXIT);
	rig_package_free(&pack);
}

static void told_to_stop(struct rig *rig)
{
	struct rig_phone *p = slow_phone(rig, "1");
	struct rig_package pack;
	const char *s;

	rig_package(rig, &pack, "sc9863a", 34, 4096);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	s = rig_flash(rig, p->slot, pack.fd, NULL, 0);
	CHECK(s && flashes(rig, s));
	kill(rig->daemon, SIGUSR1);
	rig_sleep(rig, 200);
	CHECK(rig_down(rig, SIGTERM, 30000) == 0);
	rig_package_free(&pack);
}

static void idle(struct rig *rig)
{
	CHECK(rig_up(rig, NULL));
	kill(rig->daemon, SIGUSR1);
	CHECK(rig_down(rig, 0, 10000) == RENEW_EXIT);
}

static const struct rig_test tests[] = {
	{ "a newer version waits for running jobs and those that follow", at_work },
	{ "a newer version waits for a job that waits for its phone", waiting_job },
	{ "a newer version waits for whoever has a package open", open_package },
	{ "SIGTERM goes before a newer version", told_to_stop },
	{ "a newer version takes over from an idle service", idle },
};

int main(void)
{
	return rig_run(tests, sizeof(tests) / sizeof(tests[0]));
}
