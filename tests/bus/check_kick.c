/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Phones that run: seen as what they are, left alone, and brought into download mode when somebody asks, or
 * when a job waits for a phone where the slot was set so.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bus/conf.h"
#include "tests/bus/ctl.h"
#include "tests/bus/rig.h"

#define SHORT "[usb]\nkick-leave-time=1s\nkick-return-time=2s\n"

/* A phone that was started as usual, on port 1. */
static struct rig_phone *runner(struct rig *rig, const struct phone_running *how)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);

	phone_runs(p->phone, how);
	return p;
}

/* The next time it comes it is one in download mode again, or one that runs. */
static bool plug_running(struct rig *rig, struct rig_phone *p)
{
	bed_phone_plug(p->bp, true);
	return rig_expect(rig, 10000, p->slot, SLOT, "State", "running");
}

/* Nobody has opened its node, nor sent it anything. */
static bool untouched(const struct rig_phone *p)
{
	const struct bed_count *count = bed_count(bed_phone_dev(p->bp));

	return !count->opens && !count->submits && !count->controls;
}

/* And it still runs. */
static bool left_alone(const struct rig_phone *p)
{
	return phone_stage(p->phone) == PHONE_RUNNING && untouched(p);
}

/* The request has gone out to it. */
static bool asked(void *arg)
{
	const struct rig_phone *p = arg;

	return bed_count(bed_phone_dev(p->bp))->out_bytes > 0;
}

static const char *running_device(struct rig *rig, const struct rig_phone *p)
{
	return rig_get(rig, p->slot, SLOT, "RunningDevice");
}

/* ---- seen ---- */

static void seen_and_left_alone(struct rig *rig)
{
	static const struct phone_running how = { .diag = true, .diag_at = true, .at = true };
	struct rig_phone *p = runner(rig, &how);
	struct rig_package pack;
	const char *job;

	rig_package(rig, &pack, "sc9863a", 6, 4096);
	CHECK(rig_up(rig, NULL) && plug_running(rig, p));
	CHECK(!strcmp(rig_get(rig, running_device(rig, p), DEVICE, "Stage"), "running"));
	CHECK(rig_num(rig, running_device(rig, p), DEVICE, "ProductId") == 0x4d03);
	/* it is no phone that could be flashed */
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "Device"), "/"));
	CHECK(ctl(rig, 10000, "list") == 0 && strstr(ctl_out, "1782:4d03 running"));
	CHECK(!rig_flash(rig, p->slot, pack.fd, "a{sv}", 1, "wait_usec", "t", UINT64_C(0)));
	CHECK(strstr(rig->error, "SlotEmpty") && strstr(rig->text, "runs"));
	/* a job that waits for a phone does not make it one, as long as nobody has said so */
	job = rig_flash(rig, p->slot, pack.fd, "a{sv}", 0);
	CHECK(job && strstr(rig_get(rig, job, PROG, "Why"), "the phone in this port runs"));
	CHECK(rig_expect(rig, 10000, p->slot, SLOT, "State", "waiting"));
	rig_sleep(rig, 500);
	CHECK(left_alone(p));
	bed_phone_unplug(p->bp, true);
	CHECK(rig_expect(rig, 10000, p->slot, SLOT, "RunningDevice", "/"));
	CHECK(strstr(rig_get(rig, job, PROG, "Why"), "waiting for a phone"));
	rig_package_free(&pack);
}

/* ---- by command ---- */

static void then_flashed(struct rig *rig, const struct phone_running *how, const char *args)
{
	struct rig_phone *p = runner(rig, how);
	struct rig_package pack;
	char wrong[128];

	rig_package(rig, &pack, "sc9863a", 6, 4096);
	CHECK(rig_up(rig, NULL) && plug_running(rig, p));
	if (ctl(rig, 60000, "kick %s", args) != 0)
		tap_note("%s", ctl_err);
	CHECK(strstr(ctl_out, "in download mode"));
	CHECK(phone_stage(p->phone) == PHONE_ROM);
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "State"), "ready"));
	CHECK(!strcmp(running_device(rig, p), "/"));
	CHECK(conf_logged(rig, "is asked to start in download mode"));
	/* a job like any other */
	CHECK(!strcmp(rig_get(rig, ROOT "/job/1", JOB, "Kind"), "kick") &&
	      !strcmp(rig_get(rig, ROOT "/job/1", JOB, "State"), "succeeded") &&
	      !strcmp(rig_dict(rig, ROOT "/job/1", JOB, "Result", "leaves"), "unchanged"));
	CHECK(!strcmp(rig_get(rig, ROOT "/job/1", JOB, "Device"), rig_get(rig, p->slot, SLOT, "Device")));
	CHECK(conf_logged(rig, "job 1 (kick) passed on 1-1; phone: unchanged"));
	/* what is in download mode already is not asked again, and nothing is sent to find that out */
	CHECK(ctl_both(rig, 0, "kick 1-1") && strstr(ctl_out, "/org/fdld1/device/"));
	CHECK(strstr(ctl_out, "in download mode already") && untouched(p));
	CHECK(ctl(rig, 60000, "flash --slot 1-1 %s", pack.path) == 0);
	CHECK(rig_compare(p->phone, &pack, wrong, sizeof(wrong)) >= 8 && !wrong[0]);
	rig_package_free(&pack);
}

static void by_diag(struct rig *rig)
{
	then_flashed(rig, &(struct phone_running){ .diag = true }, "--way diag 1-1");
}

static void by_diag_at(struct rig *rig)
{
	then_flashed(rig, &(struct phone_running){ .diag_at = true }, "--way diag-at --slot 1-1");
}

static void by_at(struct rig *rig)
{
	then_flashed(rig, &(struct phone_running){ .at = true }, "--way at");
}

static void by_calibration(struct rig *rig)
{
	then_flashed(rig, &(struct phone_running){ .diag = true, .calibration_first = true },
		     "--way calibration 1-1");
}

/* One way after the other, until one is honoured. */
static void by_itself_the_right_way(struct rig *rig)
{
	conf_put(rig, ETC, "[usb]\nkick-leave-time=2s\n");
	then_flashed(rig, &(struct phone_running){ .at = true, .mumbles = true }, "1-1");
}

/* ---- for a job ---- */

static void a_job_that_waits(struct rig *rig)
{
	struct rig_phone *p = runner(rig, &(struct phone_running){ .diag = true });
	struct rig_package pack;
	const char *job;

	rig_package(rig, &pack, "sc9863a", 6, 4096);
	CHECK(rig_up(rig, NULL) && plug_running(rig, p));
	CHECK(ctl(rig, 10000, "slot set --kick sideways 1-1") == ctl_code("InvalidArgs"));
	CHECK(ctl(rig, 10000, "slot set --kick auto 1-1") == 0);
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "KickBy"), "auto"));
	CHECK(ctl(rig, 10000, "slots") == 0 && strstr(ctl_out, "asked into download mode (auto)"));
	/* set so, and nobody waits: it is left in peace */
	rig_sleep(rig, 500);
	CHECK(left_alone(p));
	job = rig_flash(rig, p->slot, pack.fd, "a{sv}", 0);
	CHECK(job && !strcmp(rig_wait(rig, job, 60000), ""));
	/* and no more once it is said so; it stays over a restart */
	CHECK(ctl(rig, 10000, "slot set --kick off 1-1") == 0);
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "KickBy"), ""));
	CHECK(ctl(rig, 10000, "slot set --kick diag 1-1") == 0);
	rig_disconnect(rig);
	CHECK(rig_down(rig, SIGTERM, 20000) == 0 && rig_up(rig, NULL));
	CHECK(rig_expect(rig, 10000, p->slot, SLOT, "KickBy", "diag"));
	rig_package_free(&pack);
}

/* Somebody asks for it while a job waits: that one is given the phone when the asking is over. */
static void a_job_that_waits_for_the_call(struct rig *rig)
{
	struct rig_phone *p = runner(rig, &(struct phone_running){ .diag = true });
	struct rig_package pack;
	const char *job;

	rig_package(rig, &pack, "sc9863a", 6, 4096);
	CHECK(rig_up(rig, NULL) && plug_running(rig, p));
	job = rig_flash(rig, p->slot, pack.fd, "a{sv}", 0);
	CHECK(job && ctl(rig, 60000, "kick 1-1 --way diag") == 0 && strstr(ctl_out, "PASS"));
	CHECK(!strcmp(rig_wait(rig, job, 60000), ""));
	CHECK(!strcmp(rig_get(rig, ROOT "/job/2", JOB, "State"), "succeeded"));
	rig_package_free(&pack);
}

/* An armed slot takes it as it comes, and does not take it again when it has started anew. */
static void an_armed_slot(struct rig *rig)
{
	static const struct phone_running how = { .diag = true };
	const struct bed_spec one = { .bus = 1, .ports = "1", .serial = "A1" },
			      two = { .bus = 1, .ports = "1", .serial = "B2" };
	struct rig_phone *p = rig_phone_at(rig, "sc9863a", &one, NULL);
	struct rig_phone *q = rig_phone_at(rig, "sc9863a", &two, NULL);
	struct rig_package pack;

	rig_package(rig, &pack, "sc9863a", 6, 4096);
	conf_put(rig, ETC, "[armed]\naway-time=0s\nsettle-time=100ms\n");
	conf_put(rig, "/etc/fdld/rules.d/10-line.conf", "[all]\nimage=line.pac\n");
	CHECK(rig_up(rig, NULL) && ctl(rig, 30000, "image import %s --name line.pac", pack.path) == 0);
	phone_runs(p->phone, &how);
	CHECK(plug_running(rig, p));
	CHECK(ctl(rig, 10000, "slot set --kick diag 1-1") == 0 && ctl(rig, 10000, "arm 1-1") == 0);
	/* it was there before */
	rig_sleep(rig, 300);
	CHECK(left_alone(p));
	bed_phone_unplug(p->bp, true);
	CHECK(rig_expect(rig, 10000, p->slot, SLOT, "RunningDevice", "/"));
	bed_phone_plug(p->bp, true);
	CHECK(rig_expect(rig, 60000, p->slot, SLOT, "Passes", "1"));
	bed_phone_unplug(p->bp, true);
	CHECK(rig_expect(rig, 10000, p->slot, SLOT, "State", "empty"));
	/* it has started: the same number */
	CHECK(plug_running(rig, p));
	rig_sleep(rig, 500);
	CHECK(left_alone(p) && !strcmp(rig_get(rig, p->slot, SLOT, "Passes"), "1"));
	bed_phone_unplug(p->bp, true);
	CHECK(rig_expect(rig, 10000, p->slot, SLOT, "State", "empty"));
	/* another phone, another number */
	phone_runs(q->phone, &how);
	bed_phone_plug(q->bp, true);
	CHECK(rig_expect(rig, 60000, q->slot, SLOT, "Passes", "2"));
	rig_package_free(&pack);
}

/* ---- what can go wrong ---- */

static void fails(struct rig *rig, const struct phone_running *how, const char *args, const char *error,
		  const char *words)
{
	struct rig_phone *p = runner(rig, how);

	conf_put(rig, ETC, SHORT);
	CHECK(rig_up(rig, NULL) && plug_running(rig, p));
	CHECK(ctl(rig, 60000, "--json kick 1-1 %s", args) == ctl_code(error));
	CHECK(strstr(ctl_out, error) || strstr(ctl_err, error));
	if (words && !strstr(ctl_out, words) && !strstr(ctl_err, words))
		tap_note("%s%s", ctl_out, ctl_err);
	CHECK(!words || strstr(ctl_out, words) || strstr(ctl_err, words));
	CHECK(conf_logged(rig, "the running phone on 1-1"));
	/* and can be asked again */
	CHECK(ctl(rig, 60000, "kick 1-1 %s", args) != ctl_code("SlotBusy"));
}

static void silence(struct rig *rig)
{
	fails(rig, &(struct phone_running){ 0 }, "", "KickUnanswered", NULL);
}

static void nothing_reads(struct rig *rig)
{
	fails(rig, &(struct phone_running){ .reads_nothing = true }, "--way at", "KickUnanswered",
	      "nothing reads there");
}

static void another_answer(struct rig *rig)
{
	fails(rig, &(struct phone_running){ .mumbles = true }, "--way diag", "KickRefused", NULL);
}

static void an_error(struct rig *rig)
{
	fails(rig, &(struct phone_running){ .says_error = true }, "--way at", "KickRefused", "+CME ERROR: 3");
}

static void comes_back_running(struct rig *rig)
{
	fails(rig, &(struct phone_running){ .diag = true, .restarts = true }, "--way diag", "KickNoReturn",
	      "came back as a running phone");
}

static void stays_away(struct rig *rig)
{
	struct rig_phone *p = runner(rig, &(struct phone_running){ .diag = true, .stays_away = true });

	conf_put(rig, ETC, SHORT);
	CHECK(rig_up(rig, NULL) && plug_running(rig, p));
	CHECK(ctl(rig, 60000, "kick 1-1") == ctl_code("KickNoReturn"));
	CHECK(ctl(rig, 10000, "kick 1-1") == ctl_code("NoRunningPhone"));
	CHECK(ctl(rig, 10000, "kick") == ctl_code("NoRunningPhone"));
}

static void cannot_be_opened(struct rig *rig)
{
	struct rig_phone *p = runner(rig, &(struct phone_running){ .diag = true });

	CHECK(rig_up(rig, NULL) && plug_running(rig, p));
	bed_fault(bed_phone_dev(p->bp))->claim_errno = 16;
	bed_fault(bed_phone_dev(p->bp))->driver = "option";
	CHECK(ctl(rig, 60000, "kick 1-1 --way diag") == ctl_code("UsbClaimed"));
	CHECK(conf_said("interface 0 is held by option"));
	/* not one that it has */
	CHECK(ctl(rig, 60000, "kick 1-1 --interface 7") == ctl_code("UsbNodeWrong"));
	CHECK(ctl(rig, 10000, "kick 1-1 --interface x") == 2);
	CHECK(ctl(rig, 10000, "kick 1-1 --way around") == ctl_code("InvalidArgs"));
	CHECK(!bed_count(bed_phone_dev(p->bp))->out_bytes);
	/* as it is said where its port is */
	CHECK(ctl(rig, 60000, "kick 1-1 --way diag --interface 0") == 0);
}

/* One that says nothing holds up nobody, and a second request does not get between. */
static void holds_up_nobody(struct rig *rig)
{
	struct rig_phone *p = runner(rig, &(struct phone_running){ 0 });
	struct rig_phone *q = rig_phone(rig, "sc9863a", "2", NULL);
	struct rig_package pack;
	struct ctl_run run;

	rig_package(rig, &pack, "sc9863a", 6, 4096);
	conf_put(rig, ETC, "[usb]\nkick-leave-time=5min\nkick-return-time=1s\n");
	CHECK(rig_up(rig, NULL) && plug_running(rig, p) && rig_plug(rig, q));
	ctl_start(rig, &run, "kick 1-1 --way diag");
	CHECK(rig_until(rig, 20000, asked, p));
	CHECK(ctl(rig, 10000, "kick 1-1") == ctl_code("SlotBusy"));
	CHECK(ctl(rig, 60000, "flash --slot 1-2 %s", pack.path) == 0);
	CHECK(phone_counters(p->phone)->transfers_in == 1);
	bed_phone_unplug(p->bp, true);
	CHECK(ctl_wait(rig, &run, 30000) == ctl_code("KickNoReturn"));
	rig_package_free(&pack);
}

/* Its cable is pulled while it is being asked; the service ends meanwhile. */
static void pulled_and_ended(struct rig *rig)
{
	struct rig_phone *p = runner(rig, &(struct phone_running){ 0 });
	struct ctl_run run;

	conf_put(rig, ETC, "[usb]\nkick-leave-time=5min\nkick-return-time=1s\n");
	CHECK(rig_up(rig, NULL) && plug_running(rig, p));
	ctl_start(rig, &run, "kick 1-1 --way diag");
	CHECK(rig_until(rig, 20000, asked, p));
	bed_phone_unplug(p->bp, true);
	CHECK(ctl_wait(rig, &run, 30000) == ctl_code("KickNoReturn"));
	CHECK(plug_running(rig, p));
	ctl_start(rig, &run, "kick 1-1 --way diag");
	CHECK(rig_until(rig, 20000, asked, p));
	rig_disconnect(rig);
	CHECK(rig_down(rig, SIGTERM, 20000) == 0);
	CHECK(ctl_wait(rig, &run, 10000) == ctl_code("Cancelled"));
	/* nobody has to guess what became of it */
	CHECK(rig_up(rig, NULL));
	CHECK(ctl(rig, 20000, "--json history") == 0 && !strcmp(ctl_str(0, "kind"), "kick") &&
	      !strcmp(ctl_str(0, "result"), "cancelled"));
	CHECK(strstr(ctl_out, "the daemon is being stopped"));
}

/* It is seen while it runs, is stopped at any time, and does not get lost. */
static void a_job_of_its_own(struct rig *rig)
{
	struct rig_phone *p = runner(rig, &(struct phone_running){ 0 });
	struct ctl_run run;

	conf_put(rig, ETC, "[usb]\nkick-leave-time=5min\nkick-return-time=1s\n");
	CHECK(rig_up(rig, NULL) && plug_running(rig, p));
	ctl_start(rig, &run, "kick 1-1 --way diag");
	CHECK(rig_until(rig, 20000, asked, p));
	CHECK(rig_expect(rig, 10000, p->slot, SLOT, "State", "busy"));
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "Job"), ROOT "/job/1"));
	CHECK(!strcmp(rig_get(rig, ROOT "/job/1", JOB, "State"), "running") &&
	      !strcmp(rig_get(rig, ROOT "/job/1", JOB, "Stage"), "ask") &&
	      !strcmp(rig_get(rig, ROOT "/job/1", JOB, "CancelBoundary"), "now") &&
	      !strcmp(rig_get(rig, ROOT "/job/1", JOB, "Device"), running_device(rig, p)));
	CHECK(ctl(rig, 10000, "jobs") == 0 && strstr(ctl_out, "kick"));
	kill(run.pid, SIGINT);
	CHECK(ctl_wait(rig, &run, 20000) == ctl_code("Cancelled"));
	CHECK(!strcmp(rig_get(rig, ROOT "/job/1", JOB, "State"), "cancelled"));
	CHECK(rig_expect(rig, 10000, p->slot, SLOT, "State", "running"));
	/* its port was let go of: it can be asked again at once, and that time the service is killed */
	ctl_start(rig, &run, "kick 1-1 --way diag");
	CHECK(rig_expect(rig, 10000, ROOT "/job/2", JOB, "State", "running"));
	rig_disconnect(rig);
	rig_down(rig, SIGKILL, 20000);
	(void)ctl_wait(rig, &run, 10000);
	CHECK(rig_up(rig, NULL) && rig_expect(rig, 10000, ROOT "/job/2", JOB, "State", "interrupted"));
	CHECK(!strcmp(rig_dict(rig, ROOT "/job/2", JOB, "Result", "leaves"), "unchanged"));
}

static const struct rig_test tests[] = {
	{ "seen, and left alone", seen_and_left_alone },
	{ "diag, then flashed", by_diag },
	{ "AT through diag, then flashed", by_diag_at },
	{ "AT, then flashed", by_at },
	{ "calibration first, then flashed", by_calibration },
	{ "one way after the other", by_itself_the_right_way },
	{ "a job that waits, where the slot is set so", a_job_that_waits },
	{ "a job that waits, and a call", a_job_that_waits_for_the_call },
	{ "an armed slot, once each phone", an_armed_slot },
	{ "silence", silence },
	{ "nothing reads there", nothing_reads },
	{ "another answer", another_answer },
	{ "an error", an_error },
	{ "comes back running", comes_back_running },
	{ "stays away", stays_away },
	{ "cannot be opened", cannot_be_opened },
	{ "one that says nothing holds up nobody", holds_up_nobody },
	{ "pulled, and ended meanwhile", pulled_and_ended },
	{ "a job of its own", a_job_of_its_own },
};

int main(void)
{
	return rig_run(tests, sizeof(tests) / sizeof(*tests));
}
