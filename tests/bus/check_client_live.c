/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fdlctl while something happens: failing phones and their traces, Ctrl-C, monitor, a terminal, a daemon that
 * goes away.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bus/ctl.h"

static struct ctl_run run;

static size_t lines_of(const char *text, const char *word)
{
	size_t n = 0;

	for (; (text = strstr(text, word)); text++)
		n++;
	return n;
}

/* Every line that stands in the file of a client left running is JSON. */
static bool run_json(void)
{
	snprintf(ctl_out, sizeof(ctl_out), "%s", run.text);
	return ctl_json();
}

/*
 * The trace of a job goes to the simulation, which must take it. whole: it replays from the start and goes
 * the same way; else the end of it is there and agrees with itself.
 */
static bool replays(struct rig *rig, const char *job, bool whole)
{
	char command[1024];
	int status;

	snprintf(command, sizeof(command),
		 "%s/fdlctl jobs trace %s > %s/trace && exec %s/tests/sim/sim_replay %s/trace", rig->build,
		 job, rig->dir, rig->build, rig->dir);
	status = bed_sh(rig->bed, 10000, ctl_out, sizeof(ctl_out), command);
	if (status != 0)
		tap_note("replay of job %s: %s", job, ctl_out);
	return status == 0 && strstr(ctl_out, whole ? "the same way" : "tail only");
}

/* ---- failures --------------------------------------------------------------------------------------- */

static void signature(struct rig *rig)
{
	struct phone_setup setup = { .faults = "F37 on boot" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &setup);
	struct rig_package pack;
	json_object *line;
	char text[16384];

	rig_package(rig, &pack, "sc9863a", 20, 4096);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	CHECK(ctl(rig, 60000, "flash --slot 1-1 %s", pack.path) == ctl_code("SignatureRefused"));
	CHECK(strstr(ctl_out, "FAIL  1-1  job 1  SignatureRefused"));
	CHECK(strstr(ctl_out, "what happened:") && strstr(ctl_out, "boot") && strstr(ctl_out, "what to do:"));
	CHECK(strstr(ctl_out, "the phone:     needs-flash") && !strchr(ctl_out, '\033'));
	/* the table's words stand there whole, wrapped */
	CHECK(ctl_both(rig, ctl_code("SignatureRefused"), "attach 1"));
	CHECK(strstr(ctl_str(-1, "job.ErrorName"), "org.fdld1.Error.SignatureRefused"));
	CHECK(*ctl_str(-1, "job.ErrorDetails.remedy") && *ctl_str(-1, "job.ErrorDetails.message"));
	CHECK(ctl(rig, 5000, "jobs") == 0 && strstr(ctl_out, "SignatureRefused") &&
	      strstr(ctl_out, "failed"));
	/* its trace: the last frames, and no content */
	CHECK(ctl(rig, 5000, "jobs trace 1") == 0 && strstr(ctl_out, " out 0001 ") &&
	      strstr(ctl_out, " secret\n"));
	CHECK(strstr(ctl_out, " in 0084 ") && strstr(ctl_out, " note SignatureRefused\n"));
	snprintf(text, sizeof(text), "%s", ctl_out);
	CHECK(ctl(rig, 5000, "--json jobs trace 1") == 0 && ctl_json());
	line = ctl_line(0);
	CHECK(!strncmp(json_object_get_string(json_object_object_get(line, "trace")), text,
		       sizeof(text) - 1));
	json_object_put(line);
	CHECK(replays(rig, "1", false));
	/* the same after the service came again */
	CHECK(rig_down(rig, SIGTERM, 5000) == 0 && rig_up(rig, NULL));
	CHECK(ctl(rig, 5000, "jobs 1") == ctl_code("NoSuchJob") || ctl(rig, 5000, "jobs trace 1") == 0);
	rig_package_free(&pack);
}

static void unplug(struct rig *rig)
{
	struct phone_setup setup = { .faults = "unplug at midst 2 of fdl2" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &setup);
	struct rig_phone *q = rig_phone(rig, "sc9863a", "2", NULL);
	struct rig_package pack;

	rig_package(rig, &pack, "sc9863a", 21, 4096);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p) && rig_plug(rig, q));
	/* one fails, the other passes: the worse result is the exit code, both are told */
	CHECK(ctl(rig, 60000, "flash --all %s", pack.path) == ctl_code("DeviceVanished"));
	CHECK(strstr(ctl_out, "FAIL  ") && strstr(ctl_out, "DeviceVanished") &&
	      strstr(ctl_out, "PASS  1-2 "));
	CHECK(strstr(ctl_out, "the phone:     unchanged"));
	CHECK(ctl_both(rig, 0, "jobs trace 1"));
	CHECK(replays(rig, "1", true));
	/* a job that passed has no trace */
	CHECK(ctl(rig, 5000, "jobs trace 2") == 0 && !ctl_out[0] && strstr(ctl_err, "No trace"));
	rig_package_free(&pack);
}

/* ---- Ctrl-C ------------------------------------------------------------------------------------------- */

static void cancel_and_wait(struct rig *rig)
{
	struct phone_setup slow = { .time_percent = 200 };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &slow);
	struct rig_package pack;
	char args[300];

	rig_package(rig, &pack, "sc9863a", 22, 4096);
	snprintf(args, sizeof(args), "flash --slot 1-1 %s", pack.path);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	ctl_start(rig, &run, args);
	CHECK(rig_expect(rig, 10000, ROOT "/job/1", JOB, "State", "running"));
	CHECK(ctl_says(rig, &run, "load-fdl1", 10000));
	kill(run.pid, SIGINT);
	CHECK(ctl_wait(rig, &run, 20000) == ctl_code("Cancelled"));
	CHECK(strstr(run.text, "Asking to stop") && strstr(run.text, "CANCELLED  1-1  job 1"));
	CHECK(!strcmp(rig_get(rig, ROOT "/job/1", JOB, "State"), "cancelled"));
	rig_package_free(&pack);
}

/* Cancelled where something was changed already: up to the boundary, not by force. */
static void cancel_late(struct rig *rig)
{
	struct phone_setup slow = { .time_percent = 100, .faults = "late 3s at end of boot" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &slow);
	struct rig_package pack;

	rig_package(rig, &pack, "sc9863a", 23, 4096);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	CHECK(ctl(rig, 10000, "flash --detach --slot 1-1 %s", pack.path) == 0);
	CHECK(rig_expect(rig, 30000, ROOT "/job/1", JOB, "Entry", "boot"));
	CHECK(ctl(rig, 5000, "cancel 1") == 0);
	CHECK(!strcmp(rig_get(rig, ROOT "/job/1", JOB, "Cancelling"), "true"));
	CHECK(ctl(rig, 30000, "--json attach 1") == ctl_code("Cancelled") && ctl_json());
	CHECK(!strcmp(ctl_str(-1, "job.CancelLeaves"), "needs-flash"));
	/* the entry that ran was finished */
	for (size_t i = 0; i < phone_entries(p->phone); i++) {
		const struct phone_entry *e = phone_entry(p->phone, i);

		if (!strcmp(e->name, "boot"))
			CHECK(e->ends == 1 && e->received == e->size);
	}
	/* by force: at once */
	bed_phone_unplug(p->bp, true);
	CHECK(rig_plug(rig, p));
	CHECK(ctl(rig, 10000, "flash --detach --slot 1-1 %s", pack.path) == 0);
	CHECK(rig_expect(rig, 30000, ROOT "/job/2", JOB, "Stage", "flash"));
	CHECK(ctl(rig, 5000, "cancel --force 2") == 0);
	CHECK(ctl(rig, 10000, "attach 2") == ctl_code("Cancelled"));
	rig_package_free(&pack);
}

static void detach(struct rig *rig)
{
	struct phone_setup slow = { .time_percent = 100, .faults = "late 4s at end of boot" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &slow);
	struct rig_package pack;
	char args[300];

	rig_package(rig, &pack, "sc9863a", 24, 4096);
	snprintf(args, sizeof(args), "flash --slot 1-1 %s", pack.path);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	ctl_start(rig, &run, args);
	CHECK(rig_expect(rig, 30000, ROOT "/job/1", JOB, "Entry", "boot"));
	kill(run.pid, SIGINT);
	CHECK(ctl_says(rig, &run, "Asking to stop", 2000));
	kill(run.pid, SIGINT);
	CHECK(ctl_wait(rig, &run, 1500) == ctl_code("Cancelled"));
	/* the job goes on, to its boundary */
	CHECK(!strcmp(rig_get(rig, ROOT "/job/1", JOB, "State"), "running"));
	CHECK(rig_expect(rig, 30000, ROOT "/job/1", JOB, "State", "cancelled"));
	/* attach only looks: one Ctrl-C and nothing is asked */
	bed_phone_unplug(p->bp, true);
	CHECK(rig_plug(rig, p));
	CHECK(ctl(rig, 10000, "flash --detach --slot 1-1 %s", pack.path) == 0);
	ctl_start(rig, &run, "attach 2");
	CHECK(ctl_says(rig, &run, "job 2", 5000));
	kill(run.pid, SIGINT);
	CHECK(ctl_wait(rig, &run, 1500) == ctl_code("Cancelled") && !strstr(run.text, "Asking"));
	CHECK(!strcmp(rig_get(rig, ROOT "/job/2", JOB, "Cancelling"), "false"));
	/* and a client that is killed changes nothing either */
	ctl_start(rig, &run, "attach");
	CHECK(ctl_says(rig, &run, "job 2", 5000));
	kill(run.pid, SIGKILL);
	CHECK(ctl_wait(rig, &run, 1500) == 256 + SIGKILL);
	CHECK(ctl(rig, 60000, "attach 2") == 0 && strstr(ctl_out, "PASS"));
	rig_package_free(&pack);
}

/* ---- monitor ---------------------------------------------------------------------------------------------
 */

static void monitor(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;
	struct rig_phone *q = rig_phone(rig, "sc9863a", "2", NULL);
	static struct ctl_run json;

	rig_package(rig, &pack, "sc9863a", 25, 4096);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, q)); /* what is there already is told first */
	ctl_start(rig, &run, "monitor");
	ctl_start(rig, &json, "--json monitor");
	CHECK(ctl_says(rig, &json, "\"added\"", 5000) && ctl_says(rig, &run, "added", 5000));
	CHECK(rig_plug(rig, p));
	CHECK(ctl_says(rig, &run, "/device/2", 5000) && ctl_says(rig, &run, "State=ready", 5000));
	CHECK(ctl(rig, 60000, "flash --slot 1-1 %s", pack.path) == 0);
	CHECK(ctl_says(rig, &run, "State=succeeded", 5000) &&
	      ctl_says(rig, &run, "removed  /device/2", 5000));
	CHECK(ctl_says(rig, &json, "\"removed\"", 5000) && ctl_says(rig, &json, "org.fdld1.Progress", 5000));
	kill(run.pid, SIGINT);
	kill(json.pid, SIGTERM);
	CHECK(ctl_wait(rig, &run, 3000) == 0 && !strchr(run.text, '\033'));
	CHECK(ctl_wait(rig, &json, 3000) == 0);
	run = json;
	CHECK(run_json() && lines_of(run.text, "\"event\":\"added\"") >= 3);
	/* when the service goes, monitor says so and ends */
	ctl_start(rig, &run, "--json monitor");
	CHECK(ctl_says(rig, &run, "added", 5000));
	CHECK(rig_down(rig, SIGTERM, 5000) == 0);
	CHECK(ctl_wait(rig, &run, 5000) == ctl_code("DaemonUnreachable") && run_json());
	CHECK(!strcmp(ctl_str(-1, "error"), "DaemonUnreachable"));
	rig_package_free(&pack);
}

/* A job that is followed when the service dies: said, with its exit code. */
static void dies(struct rig *rig)
{
	struct phone_setup slow = { .time_percent = 200 };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &slow);
	struct rig_package pack;
	char args[300];

	rig_package(rig, &pack, "sc9863a", 26, 4096);
	snprintf(args, sizeof(args), "flash --slot 1-1 %s", pack.path);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	ctl_start(rig, &run, args);
	CHECK(ctl_says(rig, &run, "load-fdl1", 10000));
	CHECK(rig_down(rig, SIGKILL, 3000) == 256 + SIGKILL);
	CHECK(ctl_wait(rig, &run, 3000) == ctl_code("DaemonUnreachable"));
	CHECK(strstr(run.text, "DaemonUnreachable") && strstr(run.text, "what to do:"));
	rig_package_free(&pack);
}

/* ---- a terminal
 * ---------------------------------------------------------------------------------------------
 */

static void terminal(struct rig *rig)
{
	struct phone_setup slow = { .time_percent = 60 };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &slow);
	struct rig_phone *q = rig_phone(rig, "sc9863a", "2", &slow);
	struct rig_package pack;
	char args[300];

	rig_package(rig, &pack, "sc9863a", 27, 4096);
	snprintf(args, sizeof(args), "flash --all %s", pack.path);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p) && rig_plug(rig, q));
	ctl_start_tty(rig, &run, NULL, args);
	CHECK(ctl_wait(rig, &run, 60000) == 0);
	/* one line a job, drawn over again; then the results in colour */
	CHECK(lines_of(run.text, " %") > 4 && strstr(run.text, "[#"));
	CHECK(strstr(run.text, "\033[2A") && strstr(run.text, "\033[2K"));
	CHECK(strstr(run.text, "\033[32mPASS\033[0m  1-1 ") && strstr(run.text, "\033[32mPASS\033[0m  1-2 "));
	CHECK(lines_of(run.text, "PASS") == 2);
	/* no colour, if the user wants none; the cursor moves all the same */
	for (int i = 0; i < 2; i++) {
		bed_phone_unplug(p->bp, true);
		bed_phone_unplug(q->bp, true);
		CHECK(rig_plug(rig, p));
		snprintf(args, sizeof(args), "%sflash --slot 1-1 %s", i ? "--no-color " : "", pack.path);
		ctl_start_tty(rig, &run, i ? NULL : "NO_COLOR=1", args);
		CHECK(ctl_wait(rig, &run, 60000) == 0);
		CHECK(lines_of(run.text, " %") > 4 && strstr(run.text, "\033[2K"));
		CHECK(!strstr(run.text, "\033[32m") && !strstr(run.text, "\033[0m"));
		CHECK(strstr(run.text, "PASS  1-1 "));
	}
	/* JSON stays JSON on a terminal; lists are coloured there */
	ctl_start_tty(rig, &run, NULL, "--json jobs");
	CHECK(ctl_wait(rig, &run, 5000) == 0 && !strchr(run.text, '\033'));
	ctl_start_tty(rig, &run, NULL, "jobs");
	CHECK(ctl_wait(rig, &run, 5000) == 0 && strstr(run.text, "\033[32msucceeded"));
	ctl_start_tty(rig, &run, "TERM=dumb", "jobs");
	CHECK(ctl_wait(rig, &run, 5000) == 0 && !strchr(run.text, '\033'));
	rig_package_free(&pack);
}

/* A phone that takes long: the live view says why, and counts down. */
static void patience(struct rig *rig)
{
	struct phone_setup setup = { .time_percent = 20, .faults = "late 8s at end of boot" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &setup);
	struct rig_package pack;
	char args[300];

	rig_package(rig, &pack, "sc9863a", 28, 4096);
	CHECK(rig_up(rig, NULL));
	/* first nobody is there: that counts down too */
	snprintf(args, sizeof(args), "flash %s", pack.path);
	ctl_start_tty(rig, &run, "NO_COLOR=1", args);
	CHECK(ctl_says(rig, &run, "volume down", 5000) && ctl_says(rig, &run, "waiting, at most 9:5", 5000));
	bed_phone_plug(p->bp, true);
	CHECK(ctl_says(rig, &run, "checking the sig", 30000));
	CHECK(ctl_says(rig, &run, "at most 3:", 3000));
	CHECK(ctl(rig, 5000, "--json jobs 1") == 0 && ctl_json());
	CHECK(ctl_wait(rig, &run, 30000) == 0 && strstr(run.text, "PASS  1-1 "));
	rig_package_free(&pack);
}

/* Elsewhere than on a terminal too, and whatever another job tells meanwhile. */
static void patience_plain(struct rig *rig)
{
	struct phone_setup late = { .faults = "late 14s at end of boot" }, slow = { .time_percent = 400 };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &late);
	struct rig_phone *q = rig_phone(rig, "sc9863a", "2", &slow);
	struct rig_package pack;
	char args[300];
	unsigned long last = 0, now;
	unsigned int lines = 0;

	rig_package(rig, &pack, "sc9863a", 29, 4096);
	snprintf(args, sizeof(args), "flash --all %s", pack.path);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p) && rig_plug(rig, q));
	ctl_start(rig, &run, args);
	CHECK(ctl_wait(rig, &run, 60000) == 0);
	for (const char *s = run.text; (s = strstr(s, "write boot  silent for 0:")); s++) {
		now = strtoul(s + strlen("write boot  silent for 0:"), NULL, 10);
		CHECK(now > last && now < 20);
		last = now;
		lines++;
	}
	CHECK(lines >= 2 && last >= 7);
	rig_package_free(&pack);
}

/* A loader that is called in vain, time after time: one silence, however often it is interrupted. */
static void silence_once(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "ums512", "1", NULL);
	struct rig_package pack;
	char args[300];
	unsigned int lines = 0;

	rig_package(rig, &pack, "sc9863a", 30, 4096);
	snprintf(args, sizeof(args), "flash --slot 1-1 %s", pack.path);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	ctl_start(rig, &run, args);
	CHECK(ctl_says(rig, &run, "start-fdl1 FDL  silent for", 20000));
	rig_sleep(rig, 6000);
	CHECK(rig_call(rig, 5000, NULL, ROOT "/job/1", JOB, "Cancel", "a{sv}", 1, "force", "b", 1));
	CHECK(ctl_wait(rig, &run, 20000) == ctl_code("Cancelled"));
	for (const char *s = run.text; (s = strstr(s, "start-fdl1 FDL  silent for")); s++)
		lines++;
	CHECK(lines >= 1 && lines < 4);
	rig_package_free(&pack);
}

static const struct rig_test tests[] = {
	{ "signature refused: FAIL, trace", signature },
	{ "unplugged: the worse of two results", unplug },
	{ "Ctrl-C asks to cancel and waits", cancel_and_wait },
	{ "cancel ends at the boundary, --force at once", cancel_late },
	{ "Ctrl-C twice detaches; attach only looks", detach },
	{ "monitor", monitor },
	{ "the service dies while a job is followed", dies },
	{ "a terminal: live view, colours", terminal },
	{ "a terminal: why it takes so long", patience },
	{ "a file: why it takes so long", patience_plain },
	{ "a file: a silence is told once", silence_once },
};

int main(void)
{
	return rig_run(tests, sizeof(tests) / sizeof(tests[0]));
}
