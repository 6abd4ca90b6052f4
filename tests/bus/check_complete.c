/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * TAB in bash, zsh and fish: the shells themselves with our functions loaded, asking the real client and,
 * through it, the real daemon. And what TAB must never do: start a service, wait for a bus that is stuck, or
 * offer what a shell would run.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/bus/ctl.h"

static char offers[65536];

static int sh(struct rig *rig, const char *command)
{
	int status = bed_sh(rig->bed, 20000, offers, sizeof(offers), command);

	return status != -1 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* What this shell offers at the end of the line: one a line, into `offers`. */
static bool tab(struct rig *rig, const char *shell, const char *line)
{
	char command[1024];

	if (!strcmp(shell, "fish"))
		snprintf(command, sizeof(command),
			 "export PATH=$PWD/%s:$PATH HOME=%s; fish --no-config -c 'source "
			 "client/completions/fdlctl.fish; complete -C \"%s\"' 2>&1 | cut -f 1",
			 rig->build, rig->dir, line);
	else
		snprintf(command, sizeof(command),
			 "export PATH=$PWD/%s:$PATH HOME=%s; tests/bus/complete.%s '%s' 2>&1", rig->build,
			 rig->dir, shell, line);
	return sh(rig, command) == 0;
}

static bool offered(const char *value)
{
	size_t len = strlen(value);

	for (const char *p = offers; *p; p = strchrnul(p, '\n'), p += *p == '\n')
		if (!strncmp(p, value, len) && (p[len] == '\n' || !p[len]))
			return true;
	tap_note("'%s' is not among: %s", value, offers);
	return false;
}

static unsigned int count(void)
{
	unsigned int n = 0;

	for (const char *p = offers; *p; p++)
		n += *p == '\n';
	return n;
}

static bool only(const char *value)
{
	return offered(value) && count() == 1;
}

#define TAB(line) CHECK(tab(rig, shell, line))

/* What needs no daemon: verbs, options, words, errors, files, the entries of a package. */
static void still(struct rig *rig, const char *shell)
{
	struct rig_package pack;
	char line[512], file[128];

	rig_package(rig, &pack, "sc9863a", 1, 4096);
	TAB("fdlctl ");
	CHECK(offered("list") && offered("flash") && offered("errors"));
	TAB("fdlctl fl");
	CHECK(only("flash"));
	TAB("fdlctl --json inf");
	CHECK(only("info"));
	TAB("fdlctl flash --without-");
	CHECK(only("--without-backup"));
	TAB("fdlctl cancel --f");
	CHECK(only("--force"));
	TAB("fdlctl flash --all --detach --de");
	CHECK(!strstr(offers, "--detach")); /* given already */
	TAB("fdlctl flash --level ");
	CHECK(offered("acknowledged") && offered("verified") && count() == 2);
	TAB("fdlctl flash --repartition ");
	CHECK(offered("on-mismatch") && offered("package") && offered("always") && offered("never"));
	TAB("fdlctl flash --nv=keep-");
	CHECK(only(!strcmp(shell, "bash") ? "keep-if-any" : "--nv=keep-if-any"));
	TAB("fdlctl errors SlotE");
	CHECK(only("SlotEmpty"));
	TAB("fdlctl nosuchverb ");
	CHECK(count() == 0);

	/* packages and folders, and nothing else */
	snprintf(line, sizeof(line), "cd %s && mkdir -p f/sub.d && touch f/no.txt f/one.pac f/Two.PAC",
		 rig->dir);
	CHECK(sh(rig, line) == 0);
	snprintf(line, sizeof(line), "fdlctl info %s/f/", rig->dir);
	TAB(line);
	CHECK(strstr(offers, "one.pac") && strstr(offers, "sub.d") && !strstr(offers, "no.txt"));
	CHECK(!strcmp(shell, "fish") || strstr(offers, "Two.PAC"));

	/* any file behind each name of a partition */
	TAB("fdlctl write uboot_l");
	CHECK(only("uboot_log"));
	snprintf(line, sizeof(line), "fdlctl write logo %s/f/", rig->dir);
	TAB(line);
	CHECK(strstr(offers, "one.pac") && strstr(offers, "no.txt"));
	snprintf(line, sizeof(line), "fdlctl write logo %s/f/no.txt recov", rig->dir);
	TAB(line);
	CHECK(offered("recovery") && !strstr(offers, "no.txt"));

	/* entries of the package on the line */
	snprintf(line, sizeof(line), "fdlctl flash %s --entry BOO", pack.path);
	TAB(line);
	CHECK(only("BOOT"));
	snprintf(file, sizeof(file), "%s/a.pac", rig->dir);
	CHECK(rename(pack.path, file) == 0);
	TAB("fdlctl flash ~/a.pac --without BOO");
	CHECK(only("BOOT"));
	TAB("fdlctl flash ~/nothing.pac --without ");
	CHECK(count() == 0);
	rename(file, pack.path);
	rig_package_free(&pack);
}

/* Slots and jobs of the daemon that runs. */
static void live(struct rig *rig, const char *shell)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1.2", NULL);
	struct rig_phone *q = rig_phone(rig, "sc9863a", "3", NULL);
	struct rig_package pack;
	char line[512], job[8];

	rig_package(rig, &pack, "sc9863a", 2, 4096);
	CHECK(rig_up(rig, NULL));
	TAB("fdlctl flash --slot ");
	CHECK(count() == 0);
	/* a package that somebody has opened; its name is beside it */
	TAB("fdlctl flash --image ");
	CHECK(count() == 0);
	CHECK(rig_call(rig, 5000, NULL, ROOT, MANAGER, "OpenImage", "ha{sv}", pack.fd, 1, "name", "s",
		       "a.pac"));
	TAB("fdlctl flash --image ");
	CHECK(only("1"));
	CHECK(rig_plug(rig, p));
	CHECK(rig_plug(rig, q));
	TAB("fdlctl flash --slot ");
	CHECK(offered("1-1.2") && offered("1-3") && count() == 2);
	TAB("fdlctl flash --slot 1-3 --slot ");
	CHECK(only("1-1.2"));
	/* port names are full of colons, at which bash breaks words */
	TAB("fdlctl flash --slot pci-0000:00:14.0-usb-0:3");
	CHECK(only(!strcmp(shell, "bash") ? "3" : q->id));
	TAB("fdlctl flash --slot=pci-0000:00:14.0-usb-0:1.");
	snprintf(line, sizeof(line), "--slot=%s", p->id);
	CHECK(only(!strcmp(shell, "bash") ? "1.2" : line));

	/* a place that somebody has named */
	CHECK(rig_call(rig, 5000, NULL, p->slot, SLOT, "Configure", "a{sv}", 1, "label", "s", "left-front"));
	TAB("fdlctl rules check lef");
	CHECK(only("left-front"));
	TAB("fdlctl rules check --sto");
	CHECK(only("--storage"));
	TAB("fdlctl flash --slot lef");
	CHECK(only("left-front"));
	TAB("fdlctl flash --slot 1-1");
	CHECK(only("1-1.2"));
	/* that very image, flashed; a job that ended, and one that waits */
	CHECK(ctl(rig, 20000, "flash --slot 1-1.2 --image 1") == 0 && strstr(ctl_out, "PASS"));
	CHECK(ctl(rig, 20000, "flash --slot 1-1.2 --image 77") == ctl_code("NoSuchImage"));
	CHECK(ctl(rig, 20000, "flash --slot 1-1.2 --image 1 %s", pack.path) == 2);
	CHECK(ctl(rig, 20000, "flash --slot 1-1.2 --image a") == ctl_code("NoSuchImage"));
	CHECK(ctl(rig, 20000, "flash --slot 1-3 %s", pack.path) == 0);
	CHECK(ctl(rig, 20000, "flash --slot 1-3 --detach %s", pack.path) == 0);
	CHECK(sscanf(ctl_out, "job %7s", job) == 1);
	TAB("fdlctl jobs ");
	CHECK(offered("1") && offered(job) && offered("trace"));
	TAB("fdlctl cancel ");
	CHECK(only(job));
	TAB("fdlctl attach ");
	CHECK(only(job));
	TAB("fdlctl jobs trace ");
	CHECK(count() == 0);
	snprintf(line, sizeof(line), "fdlctl cancel %s ", job);
	TAB(line);
	CHECK(count() == 0);
	rig_package_free(&pack);
}

static void bash_still(struct rig *rig)
{
	still(rig, "bash");
}
static void zsh_still(struct rig *rig)
{
	still(rig, "zsh");
}
static void fish_still(struct rig *rig)
{
	still(rig, "fish");
}
static void bash_live(struct rig *rig)
{
	live(rig, "bash");
}
static void zsh_live(struct rig *rig)
{
	live(rig, "zsh");
}
static void fish_live(struct rig *rig)
{
	live(rig, "fish");
}

/* The package behind the cursor names the entries too. */
static void behind(struct rig *rig)
{
	struct rig_package pack;
	char command[512];

	rig_package(rig, &pack, "sc9863a", 3, 4096);
	snprintf(command, sizeof(command),
		 "PATH=$PWD/%s:$PATH tests/bus/complete.bash 'fdlctl flash --entry BOO' %s", rig->build,
		 pack.path);
	CHECK(sh(rig, command) == 0 && only("BOOT"));
	rig_package_free(&pack);
}

/* A person at a terminal: readline itself breaks the words and puts the rest in. */
static void typed(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1.2", NULL);
	struct ctl_run run;
	char text[512];

	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	ctl_start_bash(&run);
	snprintf(text, sizeof(text), "PATH=$PWD/%s:$PATH; . client/completions/fdlctl.bash; echo rea''dy\n",
		 rig->build);
	CHECK(ctl_type(&run, text));
	CHECK(ctl_says(rig, &run, "ready", 10000));
	CHECK(ctl_type(&run, "fdlctl flash --slot pci-0000:00:14.0-usb-\t"));
	CHECK(ctl_says(rig, &run, p->id, 10000));
	CHECK(ctl_type(&run, "\001\013exit\n")); /* to the front, cut the line off */
	CHECK(ctl_wait(rig, &run, 10000) == 0);
}

/* ---- what TAB must not do ---------------------------------------------------------------------- */

/* A bus that could start the service: TAB does not make it, and a verb does. */
static void starts_nothing(struct rig *rig)
{
	char command[2048];

	snprintf(
		command, sizeof(command),
		"cd %s && mkdir -p services && "
		"printf '#!/bin/sh\\ntouch %s/started\\nsleep 1\\n' >service && chmod +x service && "
		"printf '[D-BUS Service]\\nName=org.fdld1\\nExec=%s/service\\n' >services/org.fdld1.service && "
		"printf '<busconfig><type>session</type><listen>unix:path=%s/bus</listen>"
		"<servicedir>%s/services</servicedir><policy context=\"default\"><allow send_destination=\"*\"/>"
		"<allow receive_sender=\"*\"/><allow own=\"*\"/><allow user=\"*\"/></policy>"
		"<limit name=\"service_start_timeout\">3000</limit></busconfig>' >bus.conf && "
		"dbus-daemon --config-file=bus.conf --fork --print-pid >bus.pid && test -S bus",
		rig->dir, rig->dir, rig->dir, rig->dir, rig->dir);
	CHECK(sh(rig, command) == 0);
	snprintf(command, sizeof(command),
		 "FDLD_BUS=unix:path=%s/bus %s/fdlctl __complete 2 flash --slot '' 2>&1; "
		 "%s/fdlctl __complete 4 --bus unix:path=%s/bus flash --slot '' 2>&1; "
		 "%s/fdlctl __complete 3 --bus=unix:path=%s/bus jobs trace '' 2>&1; "
		 "sleep 0.3; test ! -e %s/started",
		 rig->dir, rig->build, rig->build, rig->dir, rig->build, rig->dir, rig->dir);
	CHECK(sh(rig, command) == 0 && !offers[0]);
	snprintf(
		command, sizeof(command),
		"FDLD_BUS=unix:path=%s/bus timeout 20 %s/fdlctl list >/dev/null 2>&1; r=$?; test -e %s/started || r=1; "
		"kill $(cat %s/bus.pid); exit $r",
		rig->dir, rig->build, rig->dir, rig->dir);
	/* and says what became of it */
	CHECK(sh(rig, command) == ctl_code("DaemonUnreachable"));
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* A bus that takes the connection and says nothing, and one that is not there. */
static void waits_for_nobody(struct rig *rig)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char command[512];
	double begun;

	snprintf(at.sun_path, sizeof(at.sun_path), "%s/stuck", rig->dir);
	CHECK(bind(s, (struct sockaddr *)&at, sizeof(at)) == 0 && listen(s, 5) == 0);
	begun = seconds();
	snprintf(command, sizeof(command),
		 "FDLD_BUS=unix:path=%s/stuck %s/fdlctl __complete 1 attach '' 2>&1", rig->dir, rig->build);
	CHECK(sh(rig, command) == 0 && !offers[0]);
	CHECK(seconds() - begun < 3);
	close(s);
	begun = seconds();
	snprintf(command, sizeof(command), "FDLD_BUS=unix:path=%s/none %s/fdlctl __complete 1 attach '' 2>&1",
		 rig->dir, rig->build);
	CHECK(sh(rig, command) == 0 && !offers[0]);
	CHECK(seconds() - begun < 1);
	snprintf(command, sizeof(command),
		 "%s/fdlctl __complete 9 a; %s/fdlctl __complete x; %s/fdlctl __complete", rig->build,
		 rig->build, rig->build);
	CHECK(sh(rig, command) == 0 && !offers[0]);
}

static const struct rig_test tests[] = {
	{ "bash: verbs, options, words, files, entries", bash_still },
	{ "bash: live slots and jobs", bash_live },
	{ "bash: the package behind the cursor", behind },
	{ "bash: typed at a terminal", typed },
	{ "zsh: verbs, options, words, files, entries", zsh_still },
	{ "zsh: live slots and jobs", zsh_live },
	{ "fish: verbs, options, words, files, entries", fish_still },
	{ "fish: live slots and jobs", fish_live },
	{ "TAB starts no service", starts_nothing },
	{ "TAB waits for no bus", waits_for_nobody },
};

int main(void)
{
	return rig_run(tests, sizeof(tests) / sizeof(tests[0]));
}
