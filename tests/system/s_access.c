/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who gets in, by polkit, and what the service itself may do while it flashes. */
#include <dirent.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "tests/system/guest.h"

#define RULES "/etc/polkit-1/rules.d"

/* In a session of its own on seat0, as somebody who sits at the station; the output goes to /run/seat.out. */
#define AT_THE_SEAT                                                                                                   \
	"systemd-run --quiet --wait --collect -p PAMName=login -p User=%s -p Environment='XDG_SEAT=seat0 XDG_VTNR=1 " \
	"XDG_SESSION_CLASS=user XDG_SESSION_TYPE=tty LC_ALL=C.UTF-8' -p TTYPath=/dev/tty1 -p StandardInput=tty "      \
	"-p StandardOutput=truncate:/run/seat.out -p StandardError=append:/run/seat.out "

/* The refusal must be the service's own, named as such, and no other failure. */
static bool refused(int status)
{
	return status > 0 && status < 256 && strstr(said, "NotAuthorized");
}

static bool alice_flashes(void *arg)
{
	const struct guest_phone *p = arg;

	return sh_as("alice", "fdlctl flash --slot %s %s", p->id, p->pac) == 0;
}

void strangers_are_refused(void)
{
	struct guest_phone *p = phone_at("sc9863a", "", 4, 1, NULL);
	int status;

	ok(plug(p), "a phone");
	ok(sh_as("alice", "fdlctl list") == 0 && strstr(said, "usb"), "everybody may look");
	status = sh_as("alice", "fdlctl flash --slot %s %s", p->id, p->pac);
	ok(refused(status), "somebody without a right to it is refused (status %d)", status);
	status = sh_as("alice", "fdlctl flash --wait 1 %s", p->pac);
	ok(refused(status), "on any port as well (status %d)", status);
	ok(sh_as("alice", "busctl call " FDLD " " ROOT " " MANAGER " Drain 'a{sv}' 0") != 0 &&
		   !strcmp(get(ROOT, MANAGER, "Draining"), "false"),
	   "they do not stop the station either");
	ok(sh_as("alice", "head -c 1 $(find /dev/bus/usb -group fdld)") != 0, "nor open the phone's node");
	ok(words(p) == 0, "and the phone has not heard a word of it");
	unplug(p);
	phones_free();
}

void rule_lets_in(void)
{
	struct guest_phone *p = phone_at("sc9863a", "", 4, 1, NULL);
	const char *wrong;
	uint64_t before;
	int status;

	ok(sh("groupadd -f fdld-station && usermod -aG fdld-station alice && cp %s/station.rules " RULES
	      "/60-station.rules",
	      share) == 0,
	   "the example rule for a station group is put in force");
	ok(plug(p), "a phone");
	ok(until(15000, alice_flashes, p), "a member of the group flashes it");
	wrong = storage(p, NULL);
	ok(!*wrong, "it holds its package %s", wrong);
	unplug(p);
	ok(plug(p), "the phone again");
	before = words(p);
	status = sh_as("alice", "fdlctl flash --slot %s --nv package %s", p->id, p->pac);
	ok(refused(status), "what may lose the phone's own data is still refused (status %d)", status);
	status = sh_as("bob", "fdlctl flash --slot %s %s", p->id, p->pac);
	ok(refused(status), "and so is somebody who is not in the group (status %d)", status);
	ok(words(p) == before, "the phone has heard nothing of either");
	unplug(p);
	phones_free();
}

void starter_may_cancel(void)
{
	struct phone_setup slow = { .faults = "late 5s at end of boot" };
	struct guest_phone *p = phone_at("sc9863a", "", 4, 1, &slow);
	char job[64], number[32];
	const char *error;
	int status;

	ok(plug(p), "a slow phone");
	status = sh_as("alice", "fdlctl flash --slot %s --detach %s", p->id, p->pac);
	if (!ok(status == 0 && sscanf(said, "job %31[0-9]", number) == 1, "alice starts a job (status %d)",
		status))
		return;
	snprintf(job, sizeof(job), ROOT "/job/%s", number);
	status = sh_as("bob", "fdlctl cancel %s", number);
	ok(refused(status), "somebody else may not cancel it (status %d)", status);
	(void)sh("rm " RULES "/60-station.rules");
	ok(sh_as("alice", "fdlctl cancel %s", number) == 0,
	   "who started it cancels it, with no rule to help");
	error = outcome(job, 30000);
	ok(!strcmp(error, ERR("Cancelled")), "it ends as cancelled: %s", error);
	unplug(p);
	phones_free();
}

static bool bob_at_the_seat(void *arg)
{
	const struct guest_phone *p = arg;

	(void)sh(AT_THE_SEAT "/usr/bin/fdlctl flash --slot %s %s", "bob", p->id, p->pac);
	return strstr(slurp("/run/seat.out"), "PASS") || strstr(slurp("/run/seat.out"), "passed");
}

/* What polkit grants to people at the machine is decided by logind's sessions, not by who says so. */
void seat_counts(void)
{
	struct guest_phone *p = phone_at("sc9863a", "", 5, 1, NULL);
	FILE *rules = fopen(RULES "/50-seat.rules", "we");
	const char *wrong;
	int status;

	if (!rules)
		die("rules", NULL);
	fputs("polkit.addRule(function(action, subject) {\n"
	      "  if (action.id == 'org.fdld1.flash' && subject.active && subject.local && subject.user == 'bob')\n"
	      "    return polkit.Result.YES;\n"
	      "});\n",
	      rules);
	fclose(rules);
	ok(plug(p), "a phone");
	status = sh_as("bob", "fdlctl flash --slot %s %s", p->id, p->pac);
	ok(refused(status) && words(p) == 0, "bob without a session is refused (status %d)", status);
	ok(until(20000, bob_at_the_seat, p), "bob in a session on seat0 is let in by the same rule");
	if (failed())
		note_text(slurp("/run/seat.out"));
	wrong = storage(p, NULL);
	ok(!*wrong, "the phone holds its package %s", wrong);
	(void)sh("rm " RULES "/50-seat.rules");
	unplug(p);
	phones_free();
}

/* ---- a password ----------------------------------------------------------------------------------- */

static unsigned int count(const char *text, const char *word)
{
	unsigned int n = 0;

	while ((text = strstr(text, word))) {
		text += strlen(word);
		n++;
	}
	return n;
}

/*
 * A line of shell by alice on a terminal of her own, in a session as ssh would make it (without one polkit
 * passes over agents that call themselves a fallback); what is typed is given whenever a password is asked
 * for. Status as sh(); what the terminal showed is in said.
 */
static int on_a_terminal(const char *line, const char *typed, unsigned int *asked)
{
	uint64_t end = now_ms() + 90000;
	struct termios mode;
	char name[64];
	size_t n = 0;
	int tty, slave, status = -1;
	pid_t pid;

	*asked = 0;
	if (openpty(&tty, &slave, name, NULL, NULL) < 0)
		die("openpty", NULL);
	pid = sh_start(
		"/run/terminal.out",
		"systemd-run --quiet --wait --collect -p PAMName=login -p User=alice -p Environment='XDG_SESSION_CLASS=user "
		"XDG_SESSION_TYPE=tty LC_ALL=C.UTF-8' -p TTYPath=%s -p StandardInput=tty -p StandardOutput=tty "
		"-p StandardError=tty sh -c '%s'",
		name, line);
	while (now_ms() < end && status == -1) {
		struct pollfd fd = { .fd = tty, .events = POLLIN };

		if (poll(&fd, 1, 100) > 0 && n < sizeof(said) - 1) {
			ssize_t r = read(tty, said + n, sizeof(said) - 1 - n);

			n += r > 0 ? (size_t)r : 0;
		}
		said[n] = '\0';
		/* who asks turns the echo off, and throws away what was typed before that */
		if (count(said, "assword:") > *asked && tcgetattr(tty, &mode) == 0 &&
		    !(mode.c_lflag & ECHO)) {
			(*asked)++;
			if (write(tty, typed, strlen(typed)) < 0)
				break;
		}
		status = sh_wait(pid, 0);
	}
	if (status == -1) {
		kill(pid, SIGKILL);
		(void)sh_wait(pid, 1000);
	}
	close(slave);
	close(tty);
	return status;
}

/* Whoever has no right to it may ask an administrator, who is told what for. */
void password_is_asked(void)
{
	struct guest_phone *p = phone_at("sc9863a", "", 4, 2, NULL);
	char line[256], shown[4096];
	unsigned int asked;
	const char *wrong;
	int status;

	ok(sh("usermod -aG sudo bob && echo bob:station | chpasswd") == 0,
	   "bob is an administrator with a password");
	ok(plug(p), "a phone");
	snprintf(line, sizeof(line), "fdlctl --no-ask-password flash --slot %s %s", p->id, p->pac);
	status = on_a_terminal(line, "station\n", &asked);
	ok(refused(status) && !asked, "alice, who wants no questions, is refused (status %d)", status);
	snprintf(line, sizeof(line), "fdlctl flash --slot %s %s", p->id, p->pac);
	status = on_a_terminal(line, "wrong\n", &asked);
	ok(refused(status) && asked, "with a wrong password as well, asked %u times (status %d)", asked,
	   status);
	ok(words(p) == 0, "and the phone has not heard a word");
	status = on_a_terminal(line, "station\n", &asked);
	snprintf(shown, sizeof(shown), "%.4000s", said);
	ok(status == 0, "with bob's password her job passes, asked %u times (status %d)", asked, status);
	wrong = storage(p, NULL);
	ok(!*wrong, "the phone holds its package %s", wrong);
	snprintf(said, sizeof(said), "%s", shown);
	ok(strstr(shown, FDLD ".flash") && strstr(shown, "sc9863a.pac") && strstr(shown, p->id),
	   "he was told what for: action, package and port");
	(void)sh("gpasswd -d bob sudo");
	unplug(p);
	phones_free();
}

/* ---- the sandbox ---------------------------------------------------------------------------------- */

/* A line of /proc/PID/status, without its name. */
static const char *status_line(const char *status, const char *name)
{
	static char line[128];
	const char *at = strstr(status, name);

	line[0] = '\0';
	if (at)
		sscanf(at + strlen(name), " %127[^\n]", line);
	return line;
}

/* Processes that run a program of ours, or belong to the service, as root. */
static unsigned int root_processes(void)
{
	unsigned int n = 0;
	DIR *proc = opendir("/proc");

	for (struct dirent *e; proc && (e = readdir(proc));) {
		char path[300], exe[256] = "";
		const char *uid;

		if (e->d_name[0] < '1' || e->d_name[0] > '9')
			continue;
		snprintf(path, sizeof(path), "/proc/%.200s/exe", e->d_name);
		if (readlink(path, exe, sizeof(exe) - 1) < 0)
			continue;
		if (!strstr(slurp("/proc/%s/cgroup", e->d_name), UNIT) && !strstr(exe, "/fdld") &&
		    !strstr(exe, "/fdlctl"))
			continue;
		uid = status_line(slurp("/proc/%s/status", e->d_name), "Uid:");
		if (strtoul(uid, NULL, 10) == 0 || strstr(uid, "\t0")) {
			note("process %s, %s, runs with uids %s", e->d_name, exe, uid);
			n++;
		}
	}
	if (proc)
		closedir(proc);
	return n;
}

static bool is_flashing(void *job)
{
	return !strcmp(get(job, JOB, "Stage"), "flash");
}

void sandbox_holds(void)
{
	static const char *const none[] = { "CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:" };
	struct phone_setup slow = { .faults = "late 6s at end of boot" };
	struct guest_phone *p = phone_at("sc9863a", "", 6, 1, &slow);
	char status[4096], uid[32], want[160];
	unsigned int caps = 0;
	const char *job, *error;
	pid_t pid;

	ok(plug(p), "a slow phone");
	job = flash(p, NULL, 0);
	ok(job && until(30000, is_flashing, (void *)(uintptr_t)job), "it is being written");
	pid = daemon_pid();
	snprintf(status, sizeof(status), "%s", slurp("/proc/%d/status", (int)pid));
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		caps += !strcmp(status_line(status, none[i]), "0000000000000000");
	ok(caps == 5, "meanwhile the service has no capability, and can get none");
	ok(!strcmp(status_line(status, "NoNewPrivs:"), "1"), "it cannot get new privileges");
	ok(!strcmp(status_line(status, "Seccomp:"), "2"), "its system calls are filtered");
	(void)sh("id -u fdld");
	snprintf(uid, sizeof(uid), "%s", said);
	snprintf(want, sizeof(want), "%s\t%s\t%s\t%s", uid, uid, uid, uid);
	ok(!strcmp(status_line(status, "Uid:"), want), "it runs as its own user: %s", uid);
	ok(root_processes() == 0, "nothing of ours runs as root");
	ok(sh("find /proc/%d/root/home /proc/%d/root/root -mindepth 1", (int)pid, (int)pid) == 0 && !*said,
	   "it sees nobody's home");
	ok(sh("awk '$5 == \"/\" { split($6, o, \",\"); print o[1] }' /proc/%d/mountinfo", (int)pid) == 0 &&
		   !strcmp(said, "ro"),
	   "the system is read-only for it");
	ok(sh("nsenter -t %d -m -- setpriv --reuid=fdld --regid=fdld --clear-groups sh -c 'touch /usr/x /etc/x /var/lib/x'",
	      (int)pid) != 0,
	   "and so it is for whoever takes its place");
	ok(sh("cat /proc/%d/maps | awk '$2 ~ /wx/'", (int)pid) == 0 && !*said,
	   "no page is both written and executed");
	ok(sh("systemd-analyze security --threshold=10 " UNIT) == 0,
	   "systemd finds it exposed by 1.0 at most, as it runs");
	error = outcome(job, 60000);
	ok(!*error, "with all that the job passes %s", error);
	unplug(p);
	phones_free();
}
