/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Phones that hang: their port reset, its power switched by its hub, and what hubs make of that. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bed/hub.h"
#include "tests/bus/conf.h"
#include "tests/bus/ctl.h"
#include "tests/bus/rig.h"

static struct bed_hub *hubs[4];
static unsigned int hub_count;
static char hub_rig[64];

static void forget_hubs(void)
{
	while (hub_count)
		bed_hub_free(hubs[--hub_count]);
}

/* A hub on port 4 of a bus; it lives until another test wants one. */
static struct bed_hub *hub(struct rig *rig, uint8_t bus, enum bed_hub_kind kind, bool super)
{
	if (strcmp(hub_rig, rig->dir) != 0)
		forget_hubs();
	snprintf(hub_rig, sizeof(hub_rig), "%s", rig->dir);
	return hubs[hub_count++] = bed_hub_new(rig->bed, bus, "4", kind, super);
}

static struct rig_phone *phone_on(struct rig *rig, struct bed_hub *h)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "4.3", NULL);

	bed_hub_attach(h, 3, p->bp);
	return p;
}

/* ---- reset ---- */

/* A phone that takes nothing fails, is reset, and passes: the same arrival of the same phone. */
static void a_stuck_phone(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;
	const char *device, *job;
	char wrong[128], before[256];

	rig_package(rig, &pack, "sc9863a", 6, 4096);
	CHECK(rig_up(rig, NULL));
	CHECK(ctl(rig, 10000, "port reset 1-1") == ctl_code("NoSuchSlot"));
	CHECK(rig_plug(rig, p));
	device = rig_get(rig, p->slot, SLOT, "Device");
	snprintf(before, sizeof(before), "%s", device);
	phone_jam(p->phone);
	job = rig_flash(rig, p->slot, pack.fd, "a{sv}", 0);
	CHECK(job && *rig_wait(rig, job, 120000));
	CHECK(ctl(rig, 10000, "port reset 1-1") == 0);
	CHECK(phone_counters(p->phone)->bus_resets == 1);
	CHECK(conf_logged(rig, "port 1-1: reset") && conf_logged(rig, "job 2 (port-reset) passed on 1-1"));
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "Device"), before));
	job = rig_flash(rig, p->slot, pack.fd, "a{sv}", 0);
	CHECK(job && !strcmp(rig_wait(rig, job, 60000), ""));
	CHECK(rig_compare(p->phone, &pack, wrong, sizeof(wrong)) >= 8 && !wrong[0]);
	bed_phone_unplug(p->bp, true);
	CHECK(rig_expect(rig, 10000, p->slot, SLOT, "State", "empty"));
	CHECK(ctl(rig, 10000, "port reset 1-1") == ctl_code("SlotEmpty"));
	rig_package_free(&pack);
}

/* One that runs can be stuck as well; and nothing else is sent to it. */
static void a_stuck_running_phone(struct rig *rig)
{
	static const struct phone_running how = { .diag = true };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);

	phone_runs(p->phone, &how);
	bed_phone_plug(p->bp, true);
	CHECK(rig_up(rig, NULL) && rig_expect(rig, 10000, p->slot, SLOT, "State", "running"));
	CHECK(ctl(rig, 10000, "port reset 1-1") == 0);
	CHECK(phone_counters(p->phone)->bus_resets == 1);
	CHECK(!bed_count(bed_phone_dev(p->bp))->submits);
}

/* ---- power ---- */

static void a_hub_that_switches(struct rig *rig)
{
	struct bed_hub *h = hub(rig, 1, BED_HUB_SWITCHES, false);
	struct rig_phone *p = phone_on(rig, h);
	struct rig_package pack;
	const char *job;

	rig_package(rig, &pack, "sc9863a", 6, 4096);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	/* looking changes nothing */
	CHECK(ctl(rig, 20000, "port status 1-4.3") == 0);
	CHECK(strstr(ctl_out, "power on") && strstr(ctl_out, "port 3 of hub 1-4 (05e3:0610)") &&
	      strstr(ctl_out, "each port by itself"));
	CHECK(!bed_hub_switched(h));
	CHECK(ctl_both(rig, 0, "port off 1-4.3") && strstr(ctl_out, "\"powered\":false") &&
	      strstr(ctl_out, "\"hub\":\"1-4\""));
	CHECK(!bed_hub_powered(h, 3) && bed_hub_powered(h, 2));
	CHECK(rig_expect(rig, 10000, p->slot, SLOT, "State", "empty"));
	CHECK(conf_logged(rig, "port 1-4.3: off"));
	CHECK(ctl(rig, 20000, "port on 1-4.3") == 0 && strstr(ctl_out, "power on"));
	CHECK(rig_expect(rig, 10000, p->slot, SLOT, "State", "ready"));
	/* what was left in the middle of something begins anew */
	phone_jam(p->phone);
	job = rig_flash(rig, p->slot, pack.fd, "a{sv}", 0);
	CHECK(job && *rig_wait(rig, job, 120000));
	CHECK(ctl(rig, 20000, "port power-cycle --off-time 1 1-4.3") == 0);
	CHECK(bed_hub_switched(h) == 5 && bed_hub_powered(h, 3));
	CHECK(rig_expect(rig, 10000, p->slot, SLOT, "State", "ready"));
	job = rig_flash(rig, p->slot, pack.fd, "a{sv}", 0);
	CHECK(job && !strcmp(rig_wait(rig, job, 60000), ""));
	/* each of them a job */
	CHECK(ctl(rig, 20000, "--json history") == 0 && !strcmp(ctl_str(1, "kind"), "port-power") &&
	      strstr(ctl_out, "power on again") &&
	      strstr(ctl_out, "power off; port 3 of hub 1-4 (05e3:0610)"));
	CHECK(ctl(rig, 20000, "port off 1-4.9") == ctl_code("NoSuchSlot"));
	CHECK(ctl(rig, 20000, "port power-cycle --off-time 120 1-4.3") == ctl_code("InvalidArgs"));
	CHECK(ctl(rig, 20000, "port sideways 1-4.3") == 2 && ctl(rig, 20000, "port off") == 2);
	CHECK(ctl(rig, 20000, "port on --off-time 1 1-4.3") == 2);
	rig_package_free(&pack);
}

/* The two halves of a USB 3 socket share their power: one alone would change nothing. */
static void both_halves(struct rig *rig)
{
	struct bed_hub *fast = hub(rig, 2, BED_HUB_SWITCHES, true), *h = hub(rig, 1, BED_HUB_SWITCHES, false);
	struct rig_phone *p = phone_on(rig, h);

	bed_hub_pair(h, fast, 3);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	CHECK(ctl(rig, 20000, "port off 1-4.3") == 0 && strstr(ctl_out, "power off"));
	CHECK(!bed_hub_powered(h, 3) && !bed_hub_powered(fast, 3));
	CHECK(ctl(rig, 20000, "port on 1-4.3") == 0);
	CHECK(bed_hub_powered(h, 3) && bed_hub_powered(fast, 3));
	bed_hub_deny(fast);
	CHECK(ctl(rig, 20000, "port off 1-4.3") == ctl_code("HubNotAllowed"));
	CHECK(conf_said("hub 2-4") && bed_hub_powered(h, 3));
}

static void does_not_switch(struct rig *rig, enum bed_hub_kind kind, const char *words, unsigned int requests)
{
	struct bed_hub *h = hub(rig, 1, kind, false);
	struct rig_phone *p = phone_on(rig, h);

	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	CHECK(ctl(rig, 20000, "port off 1-4.3") == ctl_code("HubNotSwitching"));
	if (!conf_said(words))
		tap_note("%s", ctl_err);
	CHECK(conf_said("hub 1-4 (05e3:0610)") && conf_said(words));
	CHECK(bed_hub_switched(h) == requests);
	CHECK(ctl(rig, 20000, "port power-cycle 1-4.3") == ctl_code("HubNotSwitching"));
	/* the phone has noticed nothing */
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "State"), "ready"));
	CHECK(!bed_count(bed_phone_dev(p->bp))->opens);
	/* that it is on is true */
	CHECK(ctl(rig, 20000, "port status 1-4.3") == 0 && strstr(ctl_out, "something is plugged in"));
}

static void a_hub_that_pretends(struct rig *rig)
{
	does_not_switch(rig, BED_HUB_PRETENDS, "took the request and says that port 3 still has its power",
			1);
}

static void a_hub_that_relapses(struct rig *rig)
{
	does_not_switch(rig, BED_HUB_RELAPSES, "took the request and says that port 3 still has its power",
			1);
}

static void a_hub_that_refuses(struct rig *rig)
{
	does_not_switch(rig, BED_HUB_REFUSES, "refuses to switch port 3", 1);
}

static void a_hub_that_switches_all(struct rig *rig)
{
	does_not_switch(rig, BED_HUB_TOGETHER, "switches all of its ports together", 0);
}

static void a_hub_that_never_switches(struct rig *rig)
{
	does_not_switch(rig, BED_HUB_NEVER, "switches none of its ports", 0);
}

static void a_hub_nobody_allowed(struct rig *rig)
{
	struct bed_hub *h = hub(rig, 1, BED_HUB_SWITCHES, false);
	struct rig_phone *p = phone_on(rig, h);

	bed_hub_deny(h);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	CHECK(ctl(rig, 20000, "port off 1-4.3") == ctl_code("HubNotAllowed"));
	CHECK(conf_said("hub 1-4 (05e3:0610)") && conf_said("70-fdld.rules"));
	CHECK(ctl(rig, 20000, "port status 1-4.3") == ctl_code("HubNotAllowed"));
	CHECK(!bed_hub_count(h)->controls);
}

/* A port in work is nobody's to switch, and one that is being switched is given no job. */
static void not_under_a_job(struct rig *rig)
{
	struct bed_hub *h = hub(rig, 1, BED_HUB_SWITCHES, false);
	struct rig_phone *p = phone_on(rig, h);
	struct rig_package pack;
	struct ctl_run run;
	const char *job;

	rig_package(rig, &pack, "sc9863a", 6, 4096);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	bed_fault(bed_phone_dev(p->bp))->nak = true;
	job = rig_flash(rig, p->slot, pack.fd, "a{sv}", 0);
	CHECK(job && rig_expect(rig, 20000, p->slot, SLOT, "State", "busy"));
	CHECK(ctl(rig, 20000, "port off 1-4.3") == ctl_code("SlotBusy"));
	CHECK(ctl(rig, 20000, "port reset 1-4.3") == ctl_code("SlotBusy"));
	CHECK(!bed_hub_switched(h));
	CHECK(*rig_wait(rig, job, 120000));
	ctl_start(rig, &run, "port power-cycle --off-time 10 1-4.3");
	CHECK(rig_expect(rig, 20000, p->slot, SLOT, "Device", "/"));
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "State"), "busy"));
	CHECK(ctl(rig, 20000, "port on 1-4.3") == ctl_code("SlotBusy"));
	CHECK(ctl(rig, 20000, "flash --wait 0 --slot 1-4.3 %s", pack.path) == ctl_code("SlotBusy"));
	/* told to end in the middle of it, the service does not leave a port that is off */
	CHECK(!bed_hub_powered(h, 3));
	CHECK(rig_down(rig, SIGTERM, 60000) == 0);
	CHECK(bed_hub_powered(h, 3));
	CHECK(ctl_wait(rig, &run, 20000) == 0);
	rig_package_free(&pack);
}

/* Who has enough of a port without power gets it back. */
static void cancelled(struct rig *rig)
{
	struct bed_hub *h = hub(rig, 1, BED_HUB_SWITCHES, false);
	struct rig_phone *p = phone_on(rig, h);
	struct ctl_run run;

	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	ctl_start(rig, &run, "port power-cycle --off-time 60 1-4.3");
	CHECK(rig_expect(rig, 20000, p->slot, SLOT, "Device", "/"));
	CHECK(!strcmp(rig_get(rig, ROOT "/job/1", JOB, "Kind"), "port-power") &&
	      !strcmp(rig_get(rig, ROOT "/job/1", JOB, "CancelBoundary"), "bound"));
	kill(run.pid, SIGINT);
	CHECK(ctl_wait(rig, &run, 30000) == ctl_code("Cancelled"));
	CHECK(strstr(run.text, "has its power again") && bed_hub_powered(h, 3));
	CHECK(rig_expect(rig, 10000, p->slot, SLOT, "State", "ready"));
}

static const struct rig_test tests[] = {
	{ "a stuck phone, reset", a_stuck_phone },
	{ "a stuck phone that runs, reset", a_stuck_running_phone },
	{ "a hub that switches", a_hub_that_switches },
	{ "both halves of a socket", both_halves },
	{ "a hub that pretends", a_hub_that_pretends },
	{ "a hub that relapses", a_hub_that_relapses },
	{ "a hub that refuses", a_hub_that_refuses },
	{ "a hub that switches all", a_hub_that_switches_all },
	{ "a hub that never switches", a_hub_that_never_switches },
	{ "a hub nobody has allowed", a_hub_nobody_allowed },
	{ "not under a job", not_under_a_job },
	{ "cancelled without power", cancelled },
};

int main(void)
{
	int code = rig_run(tests, sizeof(tests) / sizeof(*tests));

	forget_hubs();
	return code;
}
