/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The service among others: bus, logind, journal, systemd, dpkg. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "tests/system/guest.h"

static bool is_flashing(void *job)
{
	return !strcmp(get(job, JOB, "Stage"), "flash");
}

/* A phone that takes a while, and a job that writes it. The job's path, NULL: no. */
static const char *begin(struct guest_phone *p)
{
	const char *job;

	if (!ok(plug(p), "a slow phone"))
		return NULL;
	job = flash(p, NULL, 0);
	ok(job && until(30000, is_flashing, (void *)(uintptr_t)job), "it is being written");
	return job;
}

void call_starts_service(void)
{
	ok(sh("systemctl stop " UNIT) == 0 && unit_is(10000, "inactive"), "the service stops");
	ok(sh_as("bob", "fdlctl list") == 0, "somebody looks at the ports");
	ok(unit_is(10000, "active"), "his call has started the service");
	ok(sh_as("bob",
		 "busctl call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus RequestName su " FDLD
		 " 4") != 0,
	   "its name is not to be had for others");
}

void machine_stays_awake(void)
{
	struct phone_setup slow = { .faults = "late 4s at end of boot" };
	struct guest_phone *p = phone_at("sc9863a", "", 7, 1, &slow);
	const char *job, *error;
	int status;

	ok(sh("systemd-inhibit --list --no-legend") == 0 && !strstr(said, "fdld"), "no lock without a job");
	job = begin(p);
	status = sh("systemd-inhibit --list --no-legend | grep fdld");
	ok(status == 0 && strstr(said, "block") && strstr(said, "shutdown") && strstr(said, "sleep"),
	   "while it is written the machine is kept from sleep and shutdown");
	error = outcome(job, 60000);
	ok(!*error, "the job passes %s", error);
	ok(sh("for i in $(seq 50); do systemd-inhibit --list --no-legend | grep -q fdld || exit 0; sleep 0.1; done; exit 1") ==
		   0,
	   "afterwards no lock is left");
	unplug(p);
	phones_free();
}

void log_level_is_set(void)
{
	ok(sh("systemctl service-log-level fdld") == 0 && !strcmp(said, "info"),
	   "the level of the log is info");
	ok(sh("systemctl service-log-level fdld debug && systemctl service-log-level fdld") == 0 &&
		   !strcmp(said, "debug"),
	   "systemctl sets it");
	ok(sh_as("alice", "busctl set-property " FDLD
			  " /org/freedesktop/LogControl1 org.freedesktop.LogControl1 LogLevel s err") != 0,
	   "others do not");
	ok(sh("systemctl service-log-level fdld info && systemctl service-log-target fdld") == 0, "and back");
}

#define DROP_INS "/etc/fdld/fdld.conf.d"

/* Setting, value and file in one line of what is in force. */
static bool in_force(const char *key, const char *value, const char *file)
{
	return sh("fdlctl config | grep -w -- %s | grep -w -- %s | grep -F -- %s", key, value, file) == 0;
}

void configuration_is_taken(void)
{
	struct guest_phone *p = phone_at("sc9863a", "", 0, 4, NULL);
	const char *job, *error;
	pid_t before = daemon_pid();
	int status;

	ok(sh("fdlctl config") == 0 && strstr(said, "level"), "fdlctl shows the configuration");
	ok(sh("mkdir -p " DROP_INS " && printf '[jobs]\nlevel = verified\n' >" DROP_INS
	      "/50-station.conf && systemctl reload fdld") == 0,
	   "a drop-in is taken by a reload");
	ok(in_force("level", "verified", "50-station.conf"), "fdlctl shows value and file");
	ok(plug(p), "a phone");
	job = flash(p, NULL, 0);
	error = outcome(job, 60000);
	ok(!*error && !strcmp(get_in(job, JOB, "Result", "level"), "verified"), "a job follows it %s", error);
	ok(sh("printf '# of today\n[jobs]\nlevel = perhaps\n' >" DROP_INS
	      "/60-wrong.conf; systemctl reload fdld") != 0,
	   "a reload with a file that is wrong fails");
	ok(sh("journalctl -q -b _SYSTEMD_UNIT=" UNIT
	      " MESSAGE_ID=78eabcf845fb5a01b250e15c4af512d8 -o cat -n 1") == 0 &&
		   strstr(said, "60-wrong.conf") && strstr(said, "3"),
	   "the journal names file and line");
	status = sh("fdlctl config check");
	ok(status > 0 && status < 256 && strstr(said, "60-wrong.conf"), "so does fdlctl config check");
	ok(in_force("level", "verified", "50-station.conf") && daemon_pid() == before,
	   "what was in force stays");
	ok(sh("rm -r " DROP_INS "/[56]0-*.conf && systemctl reload fdld && fdlctl config check") == 0,
	   "without them all is well");
	unplug(p);
	phones_free();
}

/* Entries are found by their ids, carry the service's own credentials, and are explained. */
void journal_tells(void)
{
	static const struct {
		const char *id, *what;
	} events[] = {
		{ "39e4d1780312594c913c8f1d3b219b10", "a start" },
		{ "293e55c82cfb54e1a5fd22409f99cfc4", "an arrival" },
		{ "b9876a7ebbf55bd881ddf940c4d062a9", "a job that passed" },
		{ "5736778e9f9b567787bd54dbda447084", "a job that failed" },
		{ "c5c5b0f65c0e57eaa0bf9fcf3714119e", "a call that was denied" },
	};

	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
		ok(sh("journalctl -q -b _SYSTEMD_UNIT=" UNIT " MESSAGE_ID=%s -o cat -n 1", events[i].id) ==
				   0 &&
			   *said,
		   "the journal has %s under its id", events[i].what);
	ok(sh("journalctl -q -b MESSAGE_ID=%s FDL_ERROR=DeviceVanished -o cat -n 1", events[3].id) == 0 &&
		   *said,
	   "with the error in a field of its own");
	ok(sh("journalctl -q -x -b MESSAGE_ID=%s -n 1", events[2].id) == 0 &&
		   strstr(said, "The phone can be unplugged."),
	   "journalctl -x explains it");
	ok(sh("journalctl -q -b _SYSTEMD_UNIT=" UNIT
	      " -p warning..emerg -o cat | grep -iE 'sanitizer|assert|watchdog'") != 0,
	   "and nothing in it is out of order");
}

static pid_t killed;

static bool another_process(void *arg)
{
	pid_t pid = daemon_pid();

	return pid > 0 && pid != killed;
}

void killed_service_returns(void)
{
	struct phone_setup slow = { .faults = "late 20s at end of boot" };
	struct guest_phone *idle = phone_at("sc9863a", "", 0, 3, NULL),
			   *p = phone_at("sc9863a", "", 1, 3, &slow);
	const char *job, *error;

	ok(plug(idle), "a phone that waits");
	job = begin(p);
	killed = daemon_pid();
	ok(killed > 0 && kill(killed, SIGKILL) == 0, "the service is killed");
	ok(until(30000, another_process, NULL) && unit_is(10000, "active"), "systemd starts it anew");
	ok(job && expect(20000, job, JOB, "State", "interrupted"), "the job is told as interrupted");
	ok(expect(10000, idle->slot, SLOT, "State", "ready"), "the phone that waited is ready");
	error = outcome(flash(idle, NULL, 0), 60000);
	ok(!*error, "and can be flashed without being plugged in anew %s", error);
	unplug(idle);
	unplug(p);
	phones_free();
}

/* A service that hangs is found out by the watchdog, which the loop feeds. */
void hung_service_returns(void)
{
#define DROP_IN "/run/systemd/system/fdld.service.d/watchdog.conf"
	ok(sh("mkdir -p $(dirname " DROP_IN
	      ") && printf '[Service]\nWatchdogSec=3s\nTimeoutAbortSec=2s\n' >" DROP_IN
	      " && systemctl daemon-reload && systemctl restart " UNIT) == 0,
	   "a watchdog of three seconds");
	killed = daemon_pid();
	rest(4000);
	ok(daemon_pid() == killed, "is content with a service that works");
	ok(killed > 0 && kill(killed, SIGSTOP) == 0, "the service is made to hang");
	ok(until(30000, another_process, NULL) && unit_is(10000, "active"), "another takes its place");
	ok(sh("journalctl -q -b -u " UNIT " -o cat | grep -c 'Watchdog timeout'") == 0,
	   "because of the watchdog");
	(void)sh("rm " DROP_IN "; systemctl daemon-reload");
}

/* The manager's own patience would not do: time is asked for while the job goes on. */
void restart_lets_job_end(void)
{
#define IMPATIENT "/run/systemd/system/fdld.service.d/stop.conf"
	struct phone_setup slow = { .faults = "late 6s at end of boot" };
	struct guest_phone *p = phone_at("sc9863a", "", 2, 3, &slow);
	const char *wrong;
	char job[64];
	pid_t before = daemon_pid();

	ok(sh("mkdir -p $(dirname " IMPATIENT ") && printf '[Service]\nTimeoutStopSec=2s\n' >" IMPATIENT
	      " && systemctl daemon-reload") == 0,
	   "two seconds to stop");
	snprintf(job, sizeof(job), "%s", begin(p));
	ok(sh("systemctl restart " UNIT) == 0, "systemctl restart");
	(void)sh("rm " IMPATIENT "; systemctl daemon-reload");
	ok(daemon_pid() > 0 && daemon_pid() != before, "another process runs");
	wrong = storage(p, NULL);
	ok(!*wrong, "it has waited for the job: the phone holds its package %s", wrong);
	ok(expect(10000, job, JOB, "State", "succeeded"), "the new one knows how it ended");
	unplug(p);
	phones_free();
}

static bool runs_the_new_program(void *arg)
{
	return sh("readlink /proc/$(systemctl show -P MainPID " UNIT ")/exe") == 0 &&
	       !strcmp(said, "/usr/libexec/fdld");
}

void upgrade_lets_job_end(void)
{
	/* as long as dpkg may take */
	struct phone_setup slow = { .faults = "late 110s at end of boot" };
	struct guest_phone *p = phone_at("sc9863a", "", 3, 3, &slow);
	const char *job, *error;
	pid_t before = daemon_pid();

	job = begin(p);
	ok(sh("dpkg -i %s/newer/*.deb", share) == 0, "a newer version is installed");
	ok(sh("dpkg-query -W -f '${Version}' fdld | grep -q next") == 0, "it is");
	ok(daemon_pid() == before && job && !strcmp(get(job, JOB, "State"), "running"),
	   "the job goes on, in the old process");
	vhci_phone_skip(p->vp, UINT64_C(110000000));
	error = outcome(job, 60000);
	ok(!*error, "it passes %s", error);
	error = storage(p, NULL);
	ok(!*error, "the phone holds its package %s", error);
	ok(until(60000, runs_the_new_program, NULL) && daemon_pid() != before,
	   "then the new version takes over");
	ok(sh("systemctl is-failed " UNIT) != 0 && unit_is(10000, "active"), "in good order");
	unplug(p);
	phones_free();
}
