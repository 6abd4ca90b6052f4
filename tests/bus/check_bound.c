/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Work order, operator and serial number, and what else people say of slots: where it is after the end of a
 * job, of the service, of the disk. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bus/conf.h"
#include "tests/bus/ctl.h"
#include "tests/bus/line.h"
#include "tests/bus/rig.h"

static void what_is_bound(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;
	char text[80];

	CHECK(line_up(rig, &pack, "[armed]\naway-time=0s\nunit-away-time=0s\nsettle-time=0s\n",
		      "[all]\nimage=line.pac\n"));
	CHECK(line_known(rig, p) && ctl(rig, 10000, "arm --all") == 0);
	CHECK(ctl(rig, 10000, "bind %s --run --work-order W1 --operator Ann", p->id) == 0);
	CHECK(ctl(rig, 10000, "bind %s --serial S1", p->id) == 0);
	CHECK(ctl(rig, 10000, "bind %s --run --serial S9", p->id) == ctl_code("InvalidArgs"));
	memset(text, 'x', sizeof(text));
	text[64] = '\0';
	CHECK(ctl(rig, 10000, "bind %s --serial %s", p->id, text) == ctl_code("InvalidArgs"));
	CHECK(ctl(rig, 10000, "bind %s --serial \"$(printf 'a\\nb')\"", p->id) == ctl_code("InvalidArgs"));
	/* nothing came of the first: it goes to the next */
	CHECK(phone_set_faults(p->phone, "refuse at connect *", NULL));
	bed_phone_plug(p->bp, true);
	CHECK(line_failures(rig, p, "1"));
	CHECK(line_off_disk(rig, "next_serial=S1")); /* it stands in the job */
	line_unplugged(rig, p);
	CHECK(phone_set_faults(p->phone, "", NULL));
	CHECK(line_on_disk(rig, "next_serial=S1"));
	/* over a crash */
	CHECK(rig_down(rig, SIGKILL, 5000) == 256 + SIGKILL);
	rig_disconnect(rig);
	CHECK(rig_up(rig, NULL));
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "Armed"), "true"));
	bed_phone_plug(p->bp, true);
	CHECK(line_passes(rig, p, "1"));
	line_unplugged(rig, p);
	bed_phone_plug(p->bp, true);
	CHECK(line_passes(rig, p, "2"));
	CHECK(ctl(rig, 10000, "--json history") == 0);
	CHECK(!strcmp(ctl_str(2, "serial"), "S1") && !strcmp(ctl_str(1, "serial"), "S1") &&
	      !strcmp(ctl_str(0, "serial"), ""));
	CHECK(ctl(rig, 10000, "--json history --serial S1 --work-order W1") == 0 &&
	      !strcmp(ctl_str(1, "error"), "RomConnectFailed") && strchr(ctl_out, '\n') &&
	      !strstr(ctl_out, "\"serial\":\"\""));
	CHECK(ctl(rig, 10000, "history --serial S2") == 0 && strstr(ctl_out, "No such jobs."));
	CHECK(ctl(rig, 10000, "--json history") == 0);
	CHECK(!strcmp(ctl_str(0, "work_order"), "W1") && !strcmp(ctl_str(1, "work_order"), "W1"));
	rig_package_free(&pack);
}

/* What is bound stands in the job that was cut off, and is bound to its phone when that is begun with again.
 */
static void cut_off(struct rig *rig)
{
	struct phone_setup setup = { .faults = "late 30s at midst 1 of boot" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &setup);
	struct rig_package pack;
	char job[128];

	CHECK(line_up(rig, &pack, "[armed]\naway-time=0s\nunit-away-time=0s\nsettle-time=0s\n",
		      "[all]\nimage=line.pac\nafter-crash=yes\n"));
	CHECK(line_known(rig, p) && ctl(rig, 10000, "arm --all") == 0);
	CHECK(ctl(rig, 10000, "bind %s --serial S1 --operator Ann", p->id) == 0);
	bed_phone_plug(p->bp, true);
	CHECK(rig_expect(rig, 20000, p->slot, SLOT, "State", "busy"));
	snprintf(job, sizeof(job), "%s", rig_get(rig, p->slot, SLOT, "Job"));
	CHECK(rig_expect(rig, 60000, job, JOB, "Entry", "boot"));
	CHECK(rig_down(rig, SIGKILL, 5000) == 256 + SIGKILL);
	rig_disconnect(rig);
	bed_phone_unplug(p->bp, false);
	CHECK(rig_up(rig, NULL));
	CHECK(ctl(rig, 10000, "--json history") == 0 && !strcmp(ctl_str(0, "result"), "interrupted"));
	CHECK(!strcmp(ctl_str(0, "serial"), "S1") && !strcmp(ctl_str(0, "operator"), "Ann"));
	/* it is half flashed, and its serial number is nobody else's */
	CHECK(phone_set_faults(p->phone, "", NULL));
	bed_phone_plug(p->bp, true);
	CHECK(line_passes(rig, p, "1"));
	CHECK(ctl(rig, 10000, "--json history --limit 1") == 0 && !strcmp(ctl_str(0, "serial"), ""));
	rig_package_free(&pack);
}

/* Such a line is in a slot's file. Looked at once: an answer was given. */
static bool stands(struct rig *rig, const char *line)
{
	char command[200];

	snprintf(command, sizeof(command), "grep -qrx --exclude='*.*' '%s' %s/slot", line, rig->state);
	return system(command) == 0;
}

static void in_state(struct rig *rig, const char *command)
{
	char line[300];

	snprintf(line, sizeof(line), "cd %s && %s", rig->state, command);
	CHECK(system(line) == 0);
}

/* Who is told that it is done may pull the plug. */
static void answers_when_it_is_stored(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;

	CHECK(line_up(rig, &pack, "", "[all]\nimage=line.pac\n"));
	CHECK(line_known(rig, p));
	CHECK(ctl(rig, 10000, "arm %s", p->id) == 0 && stands(rig, "armed=.*"));
	CHECK(ctl(rig, 10000, "bind %s --serial S1", p->id) == 0 && stands(rig, "next_serial=S1"));
	CHECK(ctl(rig, 10000, "slot rename %s left", p->id) == 0 && stands(rig, "label=left"));
	CHECK(rig_down(rig, SIGKILL, 5000) == 256 + SIGKILL);
	rig_disconnect(rig);
	CHECK(rig_up(rig, NULL));
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "Armed"), "true"));
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "Label"), "left"));
	/* a disk that takes nothing */
	in_state(rig, "mv slot kept && touch slot");
	CHECK(ctl(rig, 10000, "bind %s --serial S2", p->id) == ctl_code("StoreFailed"));
	CHECK(ctl(rig, 10000, "disarm --all") == ctl_code("StoreFailed"));
	CHECK(strstr(ctl_err, "in force until the service ends"));
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "Armed"), "false"));
	CHECK(ctl(rig, 10000, "slot rename %s right", p->id) == ctl_code("StoreFailed"));
	CHECK(ctl(rig, 10000, "slot reset-counters %s", p->id) == ctl_code("StoreFailed"));
	/* asked again when it does, everything is there */
	in_state(rig, "rm slot && mv kept slot");
	CHECK(ctl(rig, 10000, "disarm %s", p->id) == 0);
	CHECK(stands(rig, "next_serial=S2") && stands(rig, "label=right") && stands(rig, "armed=0"));
	rig_package_free(&pack);
}

static bool gated(struct rig *rig, const struct rig_phone *p, char *path, size_t size)
{
	for (int i = 0; i < 400; i++) {
		snprintf(path, size, "%s", rig_get(rig, p->slot, SLOT, "Job"));
		if (!strcmp(rig_get(rig, path, JOB, "State"), "waiting-for-release"))
			return true;
		rig_sleep(rig, 50);
	}
	return false;
}

static void released_when_it_is_stored(struct rig *rig)
{
	struct phone_setup setup = { .faults = "late 30s at midst 1 of boot" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &setup);
	struct rig_package pack;
	char job[128];

	CHECK(line_up(rig, &pack, "[armed]\nunit-away-time=0s\n",
		      "[all]\nimage=line.pac\ngate=client\ngate-timeout=600s\n"));
	CHECK(line_known(rig, p) && ctl(rig, 10000, "arm --all") == 0);
	CHECK(ctl(rig, 10000, "bind %s --work-order W1", p->id) == 0);
	bed_phone_plug(p->bp, true);
	CHECK(gated(rig, p, job, sizeof(job)));
	in_state(rig, "mv job/1/request job/1/kept && mkdir -p job/1/request/x");
	CHECK(ctl(rig, 10000, "release 1 --serial S1") == ctl_code("StoreFailed"));
	CHECK(!strcmp(rig_get(rig, job, JOB, "State"), "waiting-for-release"));
	CHECK(!bed_count(bed_phone_dev(p->bp))->submits);
	in_state(rig, "rm -r job/1/request && mv job/1/kept job/1/request");
	CHECK(ctl(rig, 10000, "release 1 --serial S1") == 0);
	CHECK(rig_expect(rig, 60000, job, JOB, "Entry", "boot"));
	CHECK(rig_down(rig, SIGKILL, 5000) == 256 + SIGKILL);
	rig_disconnect(rig);
	CHECK(rig_up(rig, NULL));
	CHECK(ctl(rig, 10000, "--json history") == 0 && !strcmp(ctl_str(0, "result"), "interrupted"));
	CHECK(!strcmp(ctl_str(0, "serial"), "S1") && !strcmp(ctl_str(0, "work_order"), "W1"));
	rig_package_free(&pack);
}

static const struct rig_test tests[] = {
	{ "what is bound to phones", what_is_bound },
	{ "what was bound to a phone whose job was cut off", cut_off },
	{ "what is answered is stored", answers_when_it_is_stored },
	{ "what is released is stored", released_when_it_is_stored },
};

int main(void)
{
	return rig_run(tests, sizeof(tests) / sizeof(tests[0]));
}
