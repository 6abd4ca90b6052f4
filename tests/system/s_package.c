/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The package itself: what becomes of jobs and records when it is taken away. */
#include <stdio.h>
#include <string.h>

#include "tests/system/guest.h"

static bool is_flashing(void *job)
{
	return !strcmp(get(job, JOB, "Stage"), "flash");
}

static bool says_so(void *arg)
{
	return strstr(slurp("/tmp/removal"), "waiting for 1 running job") != NULL;
}

void removal_waits_for_job(void)
{
	struct phone_setup slow = { .faults = "late 15s at end of boot" };
	struct guest_phone *p = phone_at("sc9863a", "", 4, 5, &slow);
	pid_t before, dpkg;
	const char *error;
	char job[64];

	ok(plug(p), "a slow phone");
	snprintf(job, sizeof(job), "%s", flash(p, NULL, 0));
	ok(until(30000, is_flashing, job), "it is being written");
	before = daemon_pid();
	dpkg = sh_start("/tmp/removal", "dpkg --remove fdld");
	ok(until(20000, says_so, NULL), "a removal says that it waits for it");
	ok(sh_wait(dpkg, 0) == -1 && daemon_pid() == before && !strcmp(get(job, JOB, "State"), "running"),
	   "and waits");
	ok(sh("systemctl start " UNIT) != 0 && strstr(said, "masked"),
	   "nobody can start the service meanwhile");
	ok(sh_wait(dpkg, 60000) == 0, "then it goes through");
	error = storage(p, NULL);
	ok(!*error, "the phone holds its package %s", error);
	ok(!call(NULL, ROOT, MANAGER, "Drain", "a{sv}", 0) &&
		   !strcmp(refusal, "org.freedesktop.DBus.Error.ServiceUnknown"),
	   "nothing answers to the name any more, and nothing is started by it: %s", refusal);
	ok(!strcmp(unit("LoadState"), "not-found") && sh("pgrep -x fdld") != 0,
	   "the unit is gone, and the process");
	ok(sh("id fdld && test -e /var/lib/fdld/job/%s/result", strrchr(job, '/') + 1) == 0,
	   "user and records stay");
	ok(sh("dpkg -i %s/deb/fdld_*.deb", share) == 0 && unit_is(20000, "active"),
	   "it is installed again, and runs");
	ok(expect(10000, job, JOB, "State", "succeeded"), "and knows how the job has ended");
	unplug(p);
	phones_free();
}
