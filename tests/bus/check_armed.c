/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Armed slots: phones that come are flashed by rule, and what keeps one from being flashed is said. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bus/conf.h"
#include "tests/bus/ctl.h"
#include "tests/bus/line.h"
#include "tests/bus/rig.h"

#define QUICK "[armed]\naway-time=60s\nunit-away-time=0s\nsettle-time=100ms\n"

static void begins_by_itself(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL), *q = rig_phone(rig, "sc9863a", "2", NULL);
	struct rig_package pack;
	char wrong[128];

	CHECK(line_up(rig, &pack, QUICK, "[all]\nimage=line.pac\n"));
	CHECK(line_known(rig, p) && rig_plug(rig, q));
	CHECK(ctl(rig, 10000, "arm") == 2);
	CHECK(ctl(rig, 10000, "arm --all") == 0);
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "Armed"), "true"));
	CHECK(rig_num(rig, p->slot, SLOT, "ArmedSince") > 0);
	CHECK(conf_logged(rig, "was armed"));
	/* who was there already is left alone */
	CHECK(line_says(rig, q, "not-fresh"));
	CHECK(!bed_count(bed_phone_dev(q->bp))->submits);
	bed_phone_plug(p->bp, true);
	CHECK(line_passes(rig, p, "1"));
	CHECK(rig_compare(p->phone, &pack, wrong, sizeof(wrong)) >= 8 && !wrong[0]);
	CHECK(!bed_count(bed_phone_dev(q->bp))->submits);
	/* unless asked for */
	CHECK(ctl(rig, 10000, "arm --present %s", q->id) == 0);
	CHECK(line_passes(rig, q, "1"));
	CHECK(ctl(rig, 10000, "disarm 1-1") == 0);
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "Armed"), "false"));
	CHECK(!strcmp(rig_get(rig, q->slot, SLOT, "Armed"), "true"));
	CHECK(ctl(rig, 10000, "disarm --all") == 0);
	CHECK(!strcmp(rig_get(rig, q->slot, SLOT, "Armed"), "false"));
	rig_package_free(&pack);
}

/* A phone that starts anew after its pass comes to the same place: not flashed for ever. */
static void passed_is_left_alone(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;

	CHECK(line_up(rig, &pack, QUICK, "[all]\nimage=line.pac\n"));
	CHECK(line_known(rig, p) && ctl(rig, 10000, "arm %s", p->id) == 0);
	bed_phone_plug(p->bp, true);
	CHECK(line_passes(rig, p, "1"));
	bed_phone_unplug(p->bp, true);
	CHECK(rig_expect(rig, 10000, p->slot, SLOT, "State", "empty"));
	bed_phone_plug(p->bp, true);
	CHECK(line_says(rig, p, "passed"));
	/* a bounce more is no way around it */
	bed_phone_unplug(p->bp, true);
	CHECK(rig_expect(rig, 10000, p->slot, SLOT, "State", "empty"));
	bed_phone_plug(p->bp, true);
	CHECK(line_says(rig, p, "passed"));
	CHECK(rig_num(rig, p->slot, SLOT, "Attempts") == 1);
	/* asked for */
	CHECK(ctl(rig, 10000, "arm --present %s", p->id) == 0);
	CHECK(line_passes(rig, p, "2"));
	/* away for long enough */
	CHECK(conf_set(rig, "[armed]\naway-time=200ms\nunit-away-time=0s\n"));
	bed_phone_unplug(p->bp, true);
	CHECK(rig_expect(rig, 10000, p->slot, SLOT, "State", "empty"));
	rig_sleep(rig, 400);
	bed_phone_plug(p->bp, true);
	CHECK(line_passes(rig, p, "3"));
	rig_package_free(&pack);
}

/* A phone that fails is tried again as often as the rule says, and each job says which try it is. */
static void tries_are_counted(struct rig *rig)
{
	struct phone_setup setup = { .faults = "refuse at connect *" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &setup);
	struct rig_package pack;

	CHECK(line_up(rig, &pack, QUICK, "[all]\nimage=line.pac\nretries=2\nstop-after=unlimited\n"));
	CHECK(line_known(rig, p) && ctl(rig, 10000, "arm --all") == 0);
	bed_phone_plug(p->bp, true);
	CHECK(line_failures(rig, p, "3"));
	CHECK(line_says(rig, p, "tried"));
	tap_note("%s", rig_get(rig, p->slot, SLOT, "ArmedDetail"));
	CHECK(ctl(rig, 10000, "--json history") == 0 && strstr(ctl_out, "try 3 of 3 with this phone"));
	CHECK(strstr(ctl_out, "try 2 of 3"));
	/* replugged it is a new phone: its place does not know better */
	bed_phone_unplug(p->bp, true);
	CHECK(rig_expect(rig, 10000, p->slot, SLOT, "State", "empty"));
	CHECK(!strcmp(line_why_not(rig, p), ""));
	rig_package_free(&pack);
}

static bool stopped(struct rig *rig, const struct rig_phone *p, const char *word)
{
	if (rig_expect(rig, 60000, p->slot, SLOT, "Armed", "false") &&
	    strstr(rig_get(rig, p->slot, SLOT, "DisarmedWhy"), word))
		return true;
	tap_note("armed %s, '%s'", rig_get(rig, p->slot, SLOT, "Armed"),
		 rig_get(rig, p->slot, SLOT, "DisarmedWhy"));
	return false;
}

static void one_slot_stops(struct rig *rig)
{
	struct phone_setup setup = { .faults = "refuse at end * of boot with 0xa2" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &setup),
			 *q = rig_phone(rig, "sc9863a", "2", NULL);
	struct rig_package pack;

	CHECK(line_up(rig, &pack, "[armed]\nsettle-time=0s\n", "[all]\nimage=line.pac\nstop-after=2\n"));
	CHECK(line_known(rig, p) && line_known(rig, q) && ctl(rig, 10000, "arm --all") == 0);
	for (int i = 0; i < 2; i++) {
		bed_phone_plug(p->bp, true);
		CHECK(line_failures(rig, p, i ? "2" : "1"));
		bed_phone_unplug(p->bp, true);
		CHECK(rig_expect(rig, 10000, p->slot, SLOT, "State", "empty"));
	}
	CHECK(stopped(rig, p, "2 phones in a row failed with "));
	CHECK(!strcmp(rig_get(rig, q->slot, SLOT, "Armed"), "true"));
	CHECK(conf_logged(rig, "was disarmed: 2 phones in a row"));
	/* it stays so over a crash, and a phone is left alone */
	CHECK(line_on_disk(rig, "stopped=2 phones.*"));
	CHECK(rig_down(rig, SIGKILL, 5000) == 256 + SIGKILL);
	rig_disconnect(rig);
	CHECK(rig_up(rig, NULL));
	CHECK(stopped(rig, p, "2 phones in a row failed with "));
	CHECK(!strcmp(rig_get(rig, q->slot, SLOT, "Armed"), "true"));
	CHECK(rig_plug(rig, p));
	CHECK(!bed_count(bed_phone_dev(p->bp))->submits);
	/* until it is armed again */
	bed_phone_plug(q->bp, true);
	CHECK(line_passes(rig, q, "1"));
	CHECK(ctl(rig, 10000, "arm %s", p->id) == 0);
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "Armed"), "true"));
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "DisarmedWhy"), ""));
	rig_package_free(&pack);
}

/* The same failure on several places with one image is the image's. */
static void an_image_stops(struct rig *rig)
{
	struct phone_setup setup = { .faults = "refuse at end * of boot with 0xa2" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &setup),
			 *q = rig_phone(rig, "sc9863a", "2", &setup),
			 *other = rig_phone(rig, "sc9863a", "3", NULL),
			 *unused = rig_phone(rig, "sc9863a", "4", NULL);
	struct rig_package pack, pack2;

	rig_package(rig, &pack2, "sc9863a", 7, 4096);
	CHECK(line_up(rig, &pack, "[armed]\nstop-slots=2\n",
		      "[other]\nslot=*3\nimage=other.pac\n[all]\nimage=line.pac\n"));
	CHECK(ctl(rig, 30000, "image import %s --name other.pac", pack2.path) == 0);
	CHECK(line_known(rig, p) && line_known(rig, q) && line_known(rig, other) && line_known(rig, unused));
	CHECK(ctl(rig, 10000, "arm --all") == 0);
	bed_phone_plug(p->bp, true);
	CHECK(line_failures(rig, p, "1"));
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "Armed"), "true"));
	bed_phone_plug(q->bp, true);
	CHECK(stopped(rig, q, "line.pac") && stopped(rig, p, "line.pac") && stopped(rig, unused, "line.pac"));
	CHECK(!strcmp(rig_get(rig, other->slot, SLOT, "Armed"), "true"));
	rig_package_free(&pack);
	rig_package_free(&pack2);
}

static void what_is_missing_is_said(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;

	CHECK(line_up(rig, &pack, QUICK, "[far]\nslot=*-9\nimage=line.pac\n"));
	CHECK(line_known(rig, p));
	CHECK(ctl(rig, 10000, "arm %s", p->id) == ctl_code("NoRule"));
	CHECK(ctl(rig, 10000, "arm --all") == ctl_code("NoRule"));
	CHECK(ctl(rig, 10000, "arm --rule nobody %s", p->id) == ctl_code("NoRule"));
	conf_put(rig, LINE_RULES, "[all]\nimage=nowhere.pac\n");
	CHECK(conf_reload(rig));
	CHECK(ctl(rig, 10000, "arm %s", p->id) == ctl_code("NoSuchImage"));
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "Armed"), "false"));
	conf_put(rig, LINE_RULES, "[all]\nimage=line.pac\n");
	CHECK(conf_reload(rig));
	CHECK(ctl(rig, 10000, "arm %s", p->id) == 0);
	/* the image goes while the slot is armed; it is said, and it begins when the image is back */
	CHECK(ctl(rig, 10000, "image remove line.pac") == 0);
	bed_phone_plug(p->bp, true);
	CHECK(line_says(rig, p, "refused"));
	CHECK(strstr(rig_get(rig, p->slot, SLOT, "ArmedDetail"), "NoSuchImage"));
	CHECK(!bed_count(bed_phone_dev(p->bp))->submits);
	CHECK(ctl(rig, 30000, "image import %s --name line.pac", pack.path) == 0);
	CHECK(line_passes(rig, p, "1"));
	/* a rule file with an error changes nothing */
	conf_put(rig, LINE_RULES, "[all]\nimage=line.pac\nnonsense=1\n");
	CHECK(!conf_reload(rig));
	bed_phone_unplug(p->bp, true);
	CHECK(rig_expect(rig, 10000, p->slot, SLOT, "State", "empty"));
	CHECK(ctl(rig, 10000, "slots") == 0);
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "Armed"), "true"));
	/* rules that are gone are said, too */
	conf_put(rig, LINE_RULES, "");
	CHECK(conf_reload(rig) && conf_set(rig, "[armed]\naway-time=0s\n"));
	bed_phone_plug(p->bp, true);
	CHECK(line_says(rig, p, "no-rule"));
	rig_package_free(&pack);
}

/* A plug that touches, lets go and touches again: the first touch counts at once, then it has to stay. */
static void a_plug_that_bounces(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;

	CHECK(line_up(rig, &pack, "[armed]\nsettle-time=60s\n", "[all]\nimage=line.pac\n"));
	CHECK(line_known(rig, p) && ctl(rig, 10000, "arm --all") == 0);
	bed_phone_plug(p->bp, true);
	CHECK(line_says(rig, p, "unsteady"));
	CHECK(!bed_count(bed_phone_dev(p->bp))->submits);
	CHECK(ctl(rig, 10000, "list") == 0 && strstr(ctl_out, "it has to stay for a while first"));
	CHECK(conf_set(rig, "[armed]\nsettle-time=1s\n"));
	CHECK(line_passes(rig, p, "1"));
	rig_package_free(&pack);
}

static uint64_t job_of(struct rig *rig, const struct rig_phone *p, char *path, size_t size)
{
	snprintf(path, size, "%s", rig_get(rig, p->slot, SLOT, "Job"));
	return rig_num(rig, path, JOB, "Id");
}

static bool gated(struct rig *rig, const struct rig_phone *p, char *path, size_t size)
{
	for (int i = 0; i < 200; i++) {
		if (job_of(rig, p, path, size) &&
		    !strcmp(rig_get(rig, path, JOB, "State"), "waiting-for-release"))
			return true;
		rig_sleep(rig, 50);
	}
	tap_note("no job waits: %s %s", line_why_not(rig, p), rig_get(rig, p->slot, SLOT, "ArmedDetail"));
	return false;
}

static void the_gate(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack, pack2;
	char job[128], wrong[128];
	uint64_t id;

	rig_package(rig, &pack2, "sc9863a", 7, 4096);
	CHECK(line_up(rig, &pack, "[armed]\naway-time=0s\nunit-away-time=0s\nsettle-time=0s\n",
		      "[all]\nimage=line.pac\ngate=client\ngate-timeout=60s\n"));
	CHECK(ctl(rig, 30000, "image import %s --name other.pac", pack2.path) == 0);
	CHECK(line_known(rig, p) && ctl(rig, 10000, "arm --all") == 0);
	/* refused */
	bed_phone_plug(p->bp, true);
	CHECK(gated(rig, p, job, sizeof(job)));
	CHECK(!strcmp(rig_get(rig, job, JOB, "Stage"), "waiting-for-release"));
	CHECK(!strcmp(rig_get(rig, job, JOB, "Rule"), "all"));
	id = rig_num(rig, job, JOB, "Id");
	CHECK(ctl(rig, 10000, "refuse %llu 'serial 4711 is blocked'", (unsigned long long)id) == 0);
	CHECK(!strcmp(rig_wait(rig, job, 20000), ERR("ReleaseRefused")));
	CHECK(!bed_count(bed_phone_dev(p->bp))->submits);
	CHECK(ctl(rig, 10000, "release %llu", (unsigned long long)id) == ctl_code("InvalidArgs"));
	/* it leaves while it waits: nothing to be released any more */
	line_unplugged(rig, p);
	bed_phone_plug(p->bp, true);
	CHECK(gated(rig, p, job, sizeof(job)));
	line_unplugged(rig, p);
	CHECK(!strcmp(rig_wait(rig, job, 20000), ERR("DeviceChanged")));
	/* released, with another image, and what it belongs to; whoever did that goes away at once */
	bed_phone_plug(p->bp, true);
	CHECK(gated(rig, p, job, sizeof(job)));
	id = rig_num(rig, job, JOB, "Id");
	CHECK(ctl(rig, 10000, "release %llu --image nowhere.pac", (unsigned long long)id) ==
	      ctl_code("NoSuchImage"));
	CHECK(ctl(rig, 10000, "release %llu --image other.pac --serial S1 --work-order W7 --operator Ann",
		  (unsigned long long)id) == 0);
	CHECK(!strcmp(rig_wait(rig, job, 60000), ""));
	CHECK(rig_compare(p->phone, &pack2, wrong, sizeof(wrong)) >= 8 && !wrong[0]);
	CHECK(!strcmp(rig_get(rig, job, JOB, "Serial"), "S1"));
	CHECK(ctl(rig, 10000, "--json history") == 0 && strstr(ctl_out, "\"serial\":\"S1\"") &&
	      strstr(ctl_out, "\"work_order\":\"W7\"") && strstr(ctl_out, "\"operator\":\"Ann\""));
	/* nobody comes */
	conf_put(rig, LINE_RULES, "[all]\nimage=line.pac\ngate=client\ngate-timeout=1s\n");
	CHECK(conf_reload(rig));
	line_unplugged(rig, p);
	bed_phone_plug(p->bp, true);
	CHECK(gated(rig, p, job, sizeof(job)) || !strcmp(rig_get(rig, job, JOB, "State"), "failed"));
	CHECK(!strcmp(rig_wait(rig, job, 20000), ERR("ReleaseExpired")));
	rig_package_free(&pack);
	rig_package_free(&pack2);
}

/* One of three is read back, the first included, and each result says what it rests on. */
static void samples(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;
	unsigned int taken = 0, left = 0;

	CHECK(line_up(rig, &pack, "[armed]\naway-time=0s\nunit-away-time=0s\nsettle-time=0s\n",
		      "[all]\nimage=line.pac\nlevel=sampled\nsample=3\n"));
	CHECK(line_known(rig, p) && ctl(rig, 10000, "arm --all") == 0);
	for (int i = 1; i <= 9; i++) {
		char count[8];

		if (i == 5) { /* the count stays over a restart */
			CHECK(rig_down(rig, SIGTERM, 10000) == 0);
			rig_disconnect(rig);
			CHECK(rig_up(rig, NULL));
		}
		snprintf(count, sizeof(count), "%d", i);
		bed_phone_plug(p->bp, true);
		CHECK(line_passes(rig, p, count));
		line_unplugged(rig, p);
	}
	CHECK(ctl(rig, 10000, "--json history") == 0);
	for (int i = 0; i < 9; i++) {
		bool verified = !strcmp(ctl_str(i, "level"), "verified");

		taken += verified && strstr(ctl_str(i, "notes"), "one of 3: this one");
		left += !strcmp(ctl_str(i, "level"), "acknowledged") &&
			strstr(ctl_str(i, "notes"), "one of 3: not this one");
	}
	tap_note("%u taken, %u left", taken, left);
	CHECK(taken == 3 && left == 6);
	/* in the history */
	CHECK(ctl(rig, 10000, "--json history --rule all") == 0 && !strcmp(ctl_str(8, "sample"), "taken"));
	CHECK(ctl(rig, 10000, "history --rule al") == 0 && strstr(ctl_out, "No such jobs."));
	CHECK(ctl(rig, 10000, "history --csv --limit 9") == 0 && strstr(ctl_out, ",\"all\",\"taken\",") &&
	      strstr(ctl_out, ",\"all\",\"left\",") && strstr(ctl_out, ",rule,sample,"));
	rig_package_free(&pack);
}

static void without_history(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;
	char path[160];

	CHECK(line_up(rig, &pack, "[armed]\naway-time=0s\nunit-away-time=0s\nsettle-time=0s\n",
		      "[all]\nimage=line.pac\n"));
	CHECK(line_known(rig, p) && ctl(rig, 10000, "arm --all") == 0);
	CHECK(rig_down(rig, SIGTERM, 10000) == 0);
	rig_disconnect(rig);
	/* a folder stands where the database is to be, and where it would be moved aside */
	snprintf(path, sizeof(path),
		 "rm -rf %s/history.db*; mkdir -p %s/history.db/x %s/history.db.damaged/x", rig->state,
		 rig->state, rig->state);
	CHECK(system(path) == 0);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_expect(rig, 20000, ROOT, MANAGER, "HistoryState", "failed"));
	bed_phone_plug(p->bp, true);
	CHECK(line_says(rig, p, "no-history"));
	CHECK(!bed_count(bed_phone_dev(p->bp))->submits);
	CHECK(conf_set(rig, "[armed]\nwithout-history=on\n"));
	CHECK(line_passes(rig, p, "1"));
	rig_package_free(&pack);
}

/* A crash in the middle of a job: the rule says whether its phone is begun with again. */
static void after_a_crash(struct rig *rig)
{
	struct phone_setup setup = { .faults = "late 30s at midst 1 of boot" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &setup);
	struct rig_package pack;
	char job[128];

	CHECK(line_up(rig, &pack, QUICK, "[all]\nimage=line.pac\n"));
	CHECK(line_known(rig, p) && ctl(rig, 10000, "arm --all") == 0);
	bed_phone_plug(p->bp, true);
	CHECK(rig_expect(rig, 20000, p->slot, SLOT, "State", "busy"));
	snprintf(job, sizeof(job), "%s", rig_get(rig, p->slot, SLOT, "Job"));
	CHECK(rig_expect(rig, 60000, job, JOB, "Entry", "boot") && line_on_disk(rig, "armed=.*"));
	CHECK(rig_down(rig, SIGKILL, 5000) == 256 + SIGKILL);
	rig_disconnect(rig);
	CHECK(rig_up(rig, NULL));
	CHECK(line_says(rig, p, "crashed"));
	conf_put(rig, LINE_RULES, "[all]\nimage=line.pac\nafter-crash=yes\n");
	CHECK(conf_reload(rig));
	CHECK(rig_expect(rig, 30000, p->slot, SLOT, "Attempts", "1"));
	rig_package_free(&pack);
}

/* How long it takes from the kernel's news of a phone to the first byte; shown, since no machine is as quick
 * as another. */
static void first_byte(struct rig *rig)
{
	struct rig_package pack;

	CHECK(line_up(rig, &pack, "[armed]\naway-time=0s\nunit-away-time=0s\nsettle-time=0s\n",
		      "[all]\nimage=line.pac\nend=stay\n"));
	for (int i = 0; i < 5; i++) {
		struct rig_phone *p = rig_phone(rig, "sc9863a", i % 2 ? "2" : "1", NULL);
		char device[128], count[8];
		uint64_t usec;

		if (i < 2)
			CHECK(line_known(rig, p) && ctl(rig, 10000, "arm %s", p->id) == 0);
		bed_phone_plug(p->bp, true);
		snprintf(count, sizeof(count), "%d", i / 2 + 1);
		CHECK(line_passes(rig, p, count));
		snprintf(device, sizeof(device), "%s", rig_get(rig, p->slot, SLOT, "Device"));
		usec = rig_num(rig, device, DEVICE, "FirstTransferUsec");
		CHECK(usec && usec < UINT64_C(600000000));
		tap_note("first byte after %.1f ms", (double)usec / 1000);
		line_unplugged(rig, p);
	}
	rig_package_free(&pack);
}

static const struct rig_test tests[] = {
	{ "a phone that comes is flashed by itself", begins_by_itself },
	{ "the first byte", first_byte },
	{ "who has passed is left alone until it was away or asked for", passed_is_left_alone },
	{ "a plug that bounces", a_plug_that_bounces },
	{ "the gate: refused, left, released, expired", the_gate },
	{ "level sampled", samples },
	{ "a history that cannot be written", without_history },
	{ "after a crash the rule decides", after_a_crash },
	{ "tries are counted", tries_are_counted },
	{ "a slot that fails again and again stops", one_slot_stops },
	{ "an image that fails on several slots stops", an_image_stops },
	{ "no rule, no image, bad rules", what_is_missing_is_said },
};

int main(void)
{
	return rig_run(tests, sizeof(tests) / sizeof(tests[0]));
}
