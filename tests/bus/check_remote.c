/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fdlctl --host: the daemon of another machine through ssh. The ssh is a stand-in that runs its command here;
 * the bridge and the bus behind it are the real ones.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/bus/ctl.h"

#define ERR(name) "org.fdld1.Error." name

/*
 * What each machine of the stand-in is like. "station" has the descriptors of the real thing, pipes; "socket"
 * what an sshd of today may hand out, a socket over which the bridge would try to pass descriptors.
 */
static const char ssh[] =
	"#!/bin/sh\n"
	"echo \"$*\" >>%s/ssh.calls\n"
	"while [ \"$1\" != -- ]; do shift; done\n"
	"shift; host=$1; shift\n"
	"case $host in\n"
	"*station) cat | \"$@\" | cat ;;\n"
	"socket) exec \"$@\" ;;\n"
	"bare) PATH=/nonexistent; \"$@\" ;;\n"
	"nobus) exec \"$@\" -p unix:path=/run/none ;;\n"
	"slow) sleep 600 ;;\n"
	"*) echo \"some banner\" >&2\n"
	"   echo \"ssh: Could not resolve hostname $host: Name or service not known\" >&2; exit 255 ;;\n"
	"esac\n";

static void put_ssh(struct rig *rig)
{
	char dir[128], path[160], env[1024];
	const char *old = getenv("PATH");
	FILE *f;

	snprintf(dir, sizeof(dir), "%s/bin", rig->dir);
	snprintf(path, sizeof(path), "%s/ssh", dir);
	if (mkdir(dir, 0755) < 0 || !(f = fopen(path, "we"))) {
		perror(path);
		exit(99);
	}
	fprintf(f, ssh, rig->dir);
	fclose(f);
	chmod(path, 0755);
	/* the one of the test before lies in a folder that is gone */
	old = old && strstr(old, "/bin:/") && !strncmp(old, "/tmp/fdld-rig-", 14) ? strchr(old, ':') + 1
										  : old;
	snprintf(env, sizeof(env), "%s:%s", dir, old ? old : "/usr/bin:/bin");
	setenv("PATH", env, 1);
}

/* How often ssh was called; last: what with, the last time. */
static unsigned int calls(struct rig *rig, char *last, size_t room)
{
	char path[128], line[512];
	unsigned int n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/ssh.calls", rig->dir);
	last[0] = '\0';
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		n++;
		snprintf(last, room, "%s", line);
	}
	if (f)
		fclose(f);
	return n;
}

static bool bridge(void)
{
	return access("/usr/bin/systemd-stdio-bridge", X_OK) == 0;
}

/* An image in the store, imported here. */
static bool stock(struct rig *rig, struct rig_package *pack)
{
	rig_package(rig, pack, "sc9863a", 31, 4096);
	return ctl(rig, 20000, "image import --name line.pac %s", pack->path) == 0;
}

/* ---- what goes through ----------------------------------------------------------------- */

static void everything(struct rig *rig, const char *host)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;
	char wrong[128], args[256], here[65536];

	put_ssh(rig);
	CHECK(rig_up(rig, NULL));
	CHECK(stock(rig, &pack));
	CHECK(rig_plug(rig, p));
	CHECK(ctl(rig, 20000, "-H %s list", host) == 0 && strstr(ctl_out, p->id) && !ctl_err[0]);
	CHECK(ctl(rig, 20000, "-H %s partitions --slot %s --loader %s", host, p->id, pack.path) == 2 &&
	      strstr(ctl_err, "do not go through ssh"));
	/* over there everything is called as it is */
	CHECK(ctl(rig, 60000, "-H %s flash line.pac --slot %s --level verified", host, p->id) == 0);
	CHECK(strstr(ctl_out, "PASS"));
	CHECK(rig_compare(p->phone, &pack, wrong, sizeof(wrong)) >= 8 && !wrong[0]);
	snprintf(args, sizeof(args), "--host=%s jobs 1", host);
	CHECK(ctl_both(rig, 0, args));
	snprintf(args, sizeof(args), "-H%s image show line.pac", host);
	CHECK(ctl_both(rig, 0, args));
	/* what comes in a descriptor here comes as text there, and is the same */
	static const char *const same[] = { "history", "nv list", "slots",   "image list",
					    "jobs",    "config",  "attach 1" };

	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		CHECK(ctl(rig, 20000, "--json %s", same[i]) == 0);
		snprintf(here, sizeof(here), "%s", ctl_out);
		CHECK(ctl(rig, 20000, "--host %s --json %s", host, same[i]) == 0);
		CHECK(here[0] && !strcmp(here, ctl_out) && !ctl_err[0]);
	}
	CHECK(ctl(rig, 20000, "-H %s image verify line.pac", host) == 0);
	CHECK(ctl(rig, 20000, "-H %s slot rename %s 'left one'", host, p->id) == 0);
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "Label"), "left one"));
	/* the errors of the daemon come through as they are */
	snprintf(args, sizeof(args), "-H %s flash nothing-of-the-kind", host);
	CHECK(ctl_both(rig, ctl_code("NoSuchImage"), args));
	snprintf(args, sizeof(args), "-H %s flash line.pac --slot 9-9", host);
	CHECK(ctl_both(rig, ctl_code("NoSuchSlot"), args));
	CHECK(ctl(rig, 20000, "-H %s image remove line.pac", host) == 0);
	rig_package_free(&pack);
}

static void through_pipes(struct rig *rig)
{
	everything(rig, "station");
}

static void through_a_socket(struct rig *rig)
{
	everything(rig, "socket");
}

/* History longer than one answer of the kind that goes through. */
static void long_history(struct rig *rig)
{
	enum { JOBS = 230 };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;
	unsigned int lines = 0;
	char *here;

	put_ssh(rig);
	CHECK(rig_up(rig, NULL));
	CHECK(stock(rig, &pack));
	CHECK(rig_plug(rig, p));
	bed_phone_unplug(p->bp, true);
	CHECK(rig_expect(rig, 5000, p->slot, SLOT, "State", "empty"));
	for (int i = 0; i < JOBS; i++) { /* jobs that nobody waited for */
		const char *job = rig_flash(rig, p->slot, pack.fd, NULL, 0);

		CHECK(job && rig_call(rig, 5000, NULL, job, JOB, "Cancel", "a{sv}", 0));
		CHECK(!strcmp(rig_wait(rig, job, 5000), ERR("Cancelled")));
	}
	CHECK(ctl(rig, 20000, "--json history") == 0);
	here = strdup(ctl_out);
	CHECK(ctl(rig, 20000, "--json -H station history") == 0);
	for (const char *c = ctl_out; *c; c++)
		lines += *c == '\n';
	CHECK(lines == JOBS && here && !strcmp(here, ctl_out));
	free(here);
	CHECK(ctl(rig, 20000, "-H station history --limit 150 --csv") == 0);
	lines = 0;
	for (const char *c = ctl_out; *c; c++)
		lines += *c == '\n';
	CHECK(lines == 151);
	rig_package_free(&pack);
}

/* ---- what does not ---------------------------------------------------------------------- */

static void files_stay(struct rig *rig)
{
	struct rig_package pack;
	char path[256], last[512];
	FILE *f;

	put_ssh(rig);
	CHECK(rig_up(rig, NULL));
	CHECK(stock(rig, &pack));
	/* refused before anybody is asked */
	CHECK(ctl(rig, 20000, "-H station flash %s", pack.path) == 2);
	CHECK(strstr(ctl_err, "copy it to station") && strstr(ctl_err, "image import"));
	CHECK(ctl(rig, 20000, "-H station image import %s", pack.path) == 2 && strstr(ctl_err, "station"));
	CHECK(ctl(rig, 20000, "-H station loader import %s", pack.path) == 2 && strstr(ctl_err, "station"));
	CHECK(ctl(rig, 20000, "-H station read boot --out %s/boot.img", rig->dir) == 2 &&
	      strstr(ctl_err, "station"));
	CHECK(ctl(rig, 20000, "-H station nv export 1 %s/out", rig->dir) == 2 && strstr(ctl_err, "station"));
	CHECK(ctl(rig, 20000, "-H station config check") == 2 && strstr(ctl_err, "ssh station"));
	CHECK(ctl(rig, 20000, "-H station history verify") == 2 && strstr(ctl_err, "ssh station"));
	CHECK(calls(rig, last, sizeof(last)) == 0);
	/* a file of this folder is no package of the store, and is not taken for one */
	snprintf(path, sizeof(path), "%s/here.pac", rig->dir);
	f = fopen(path, "we");
	CHECK(f);
	fclose(f);
	snprintf(path, sizeof(path), "cd %s && %s%s/fdlctl -H station flash here.pac 2>&1", rig->dir,
		 rig->build[0] == '/' ? "" : "$OLDPWD/", rig->build);
	CHECK(bed_sh(rig->bed, 20000, ctl_out, sizeof(ctl_out), path) == 2 << 8);
	CHECK(strstr(ctl_out, "copy it to station"));
	CHECK(calls(rig, last, sizeof(last)) == 1);
	/* what is looked at here needs nobody there */
	CHECK(ctl(rig, 20000, "-H nowhere info %s", pack.path) == 0);
	rig_package_free(&pack);
}

static void not_reached(struct rig *rig)
{
	static const struct {
		const char *args, *words, *error;
	} none[] = {
		{ "-H nowhere list", "'ssh nowhere' failed: ssh: Could not resolve hostname nowhere",
		  "MachineUnreachable" },
		{ "-H bare slots", "bare has no systemd-stdio-bridge", "MachineUnreachable" },
		{ "-H nobus list", "'ssh nobus systemd-stdio-bridge' ended: ", "MachineUnreachable" },
		{ "-H me@nowhere flash x.pac", "'ssh me@nowhere' failed", "MachineUnreachable" },
		/* all is there but the service */
		{ "-H station list", "org.fdld1", "DaemonUnreachable" },
	};
	static const char *const wrong[] = { "-H -oProxyCommand=x list",
					     "-H '' list",
					     "-H 'a b' list",
					     "-H me@ list",
					     "-H @station list",
					     "-H station: list",
					     "-H station:99999 list",
					     "-H 'st\033ation' list",
					     "-H me@-oProxyCommand=x list",
					     "-H station --bus unix:path=/run/x list",
					     "-H '[fe80::1' list" };
	char last[512];

	put_ssh(rig);
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		CHECK(ctl_both(rig, ctl_code(none[i].error), none[i].args));
		CHECK(!strcmp(ctl_str(0, "error"), none[i].error));
		/* nobody is told to start a service that runs */
		CHECK(!strstr(ctl_str(0, "remedy"), "systemctl start") == (i < 4));
		CHECK(strstr(ctl_str(0, "message"), none[i].words));
		CHECK(!strstr(ctl_out, "banner"));
	}
	CHECK(calls(rig, last, sizeof(last)) == 2 * sizeof(none) / sizeof(none[0]));
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		CHECK(ctl(rig, 5000, "%s", wrong[i]) == 2);
	CHECK(calls(rig, last, sizeof(last)) == 2 * sizeof(none) / sizeof(none[0]));
	/* what ssh is told */
	CHECK(ctl(rig, 5000, "--no-ask-password -H me@host:2222 list") == ctl_code("DaemonUnreachable"));
	(void)calls(rig, last, sizeof(last));
	CHECK(strstr(last, "-oBatchMode=yes") && strstr(last, "-p 2222 -- me@host systemd-stdio-bridge\n"));
	CHECK(ctl(rig, 5000, "-H 'me@[::1]:22' list") == ctl_code("DaemonUnreachable"));
	(void)calls(rig, last, sizeof(last));
	CHECK(!strstr(last, "BatchMode") && strstr(last, "-p 22 -- me@::1 systemd-stdio-bridge\n"));
	/* and without ssh */
	setenv("PATH", "/nonexistent", 1);
	CHECK(ctl(rig, 5000, "--json -H station list") == ctl_code("DaemonUnreachable"));
	CHECK(strstr(ctl_str(0, "message"), "ssh cannot be started"));
	setenv("PATH", "/usr/bin:/bin", 1);
}

/* ---- while it lasts ------------------------------------------------------------------------ */

static void ctrl_c(struct rig *rig)
{
	struct phone_setup slow = { .faults = "late 5s at end of boot" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &slow);
	struct rig_package pack;
	static struct ctl_run run;
	char args[256];

	put_ssh(rig);
	CHECK(rig_up(rig, NULL));
	CHECK(stock(rig, &pack));
	CHECK(rig_plug(rig, p));
	snprintf(args, sizeof(args), "-H station flash line.pac --slot %s", p->id);
	ctl_start_tty(rig, &run, NULL, args);
	CHECK(rig_expect(rig, 30000, "/org/fdld1/job/1", JOB, "State", "running"));
	CHECK(ctl_says(rig, &run, "boot", 30000));
	/* the key reaches ssh, too: the wire must survive it, as the job's end is told through it */
	CHECK(ctl_type(&run, "\003"));
	CHECK(ctl_wait(rig, &run, 60000) == ctl_code("Cancelled"));
	CHECK(!strcmp(rig_get(rig, "/org/fdld1/job/1", JOB, "State"), "cancelled"));
	rig_package_free(&pack);
}

static void the_wire_breaks(struct rig *rig)
{
	struct phone_setup slow = { .faults = "late 5s at end of boot" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &slow);
	struct rig_package pack;
	static struct ctl_run run;
	char args[256], out[256];

	put_ssh(rig);
	CHECK(rig_up(rig, NULL));
	CHECK(stock(rig, &pack));
	CHECK(rig_plug(rig, p));
	snprintf(args, sizeof(args), "-H socket flash line.pac --slot %s", p->id);
	ctl_start(rig, &run, args);
	CHECK(rig_expect(rig, 30000, "/org/fdld1/job/1", JOB, "State", "running"));
	snprintf(args, sizeof(args), "pkill -KILL -P %d", (int)run.pid);
	CHECK(bed_sh(rig->bed, 5000, out, sizeof(out), args) == 0);
	CHECK(ctl_wait(rig, &run, 20000) == ctl_code("MachineUnreachable"));
	CHECK(strstr(run.text, "MachineUnreachable") &&
	      strstr(run.text, "the connection to socket has ended"));
	/* the job is none of the wire's business */
	CHECK(!strcmp(rig_wait(rig, "/org/fdld1/job/1", 60000), ""));
	rig_package_free(&pack);
}

static void top(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	static struct ctl_run run;
	unsigned int before;
	char last[512];

	put_ssh(rig);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	ctl_start_tty(rig, &run, "LC_ALL=C.UTF-8", "-H station top");
	CHECK(ctl_says(rig, &run, "1-1", 20000));
	before = calls(rig, last, sizeof(last));
	/* the service goes and comes: the wire is the same */
	CHECK(rig_down(rig, SIGTERM, 10000) == 0);
	CHECK(ctl_says(rig, &run, "NO CONNECTION", 20000));
	CHECK(rig_up(rig, NULL));
	rig_sleep(rig, 2500);
	CHECK(ctl_type(&run, "q"));
	CHECK(ctl_wait(rig, &run, 20000) == 0);
	CHECK(before == 1 && calls(rig, last, sizeof(last)) == 1);
}

/* TAB asks over there, and nobody here. */
static void completion(struct rig *rig)
{
	struct rig_package pack;
	char last[512];
	uint64_t began;

	put_ssh(rig);
	CHECK(rig_up(rig, NULL));
	CHECK(stock(rig, &pack));
	CHECK(ctl(rig, 5000, "__complete 4 -H station image show ''") == 0 && strstr(ctl_out, "line.pac\t"));
	CHECK(calls(rig, last, sizeof(last)) == 1);
	CHECK(strstr(last, "-oBatchMode=yes") && strstr(last, "-oConnectTimeout=2"));
	CHECK(ctl(rig, 5000, "__complete 3 --host=station image show ''") == 0 &&
	      strstr(ctl_out, "line.pac\t"));
	CHECK(ctl(rig, 5000, "__complete 3 -Hstation image show ''") == 0 && strstr(ctl_out, "line.pac\t"));
	CHECK(ctl(rig, 5000, "__complete 2 -H station ''") == 0 && strstr(ctl_out, "flash\t"));
	CHECK(ctl(rig, 5000, "__complete 4 -H nowhere image show ''") == 0 && !ctl_out[0] && !ctl_err[0]);
	began = bed_now();
	CHECK(ctl(rig, 20000, "__complete 4 -H slow image show ''") == 0 && !ctl_out[0]);
	CHECK(bed_now() - began < UINT64_C(15000000000));
	rig_package_free(&pack);
}

static const struct rig_test tests[] = {
	{ "through pipes", through_pipes },
	{ "through a socket", through_a_socket },
	{ "a history longer than an answer", long_history },
	{ "files stay where they are", files_stay },
	{ "a machine that is not reached", not_reached },
	{ "Ctrl-C stops the job, not the wire", ctrl_c },
	{ "the wire breaks", the_wire_breaks },
	{ "top over a restart of the service", top },
	{ "completion", completion },
};

int main(void)
{
	if (!bridge()) {
		puts("1..0 # SKIP no systemd-stdio-bridge here");
		return 0;
	}
	return rig_run(tests, sizeof(tests) / sizeof(tests[0]));
}
