/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A station that works by itself: packages of its own, rules, places that are armed, programs that are told.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/system/guest.h"

#define RULE_FILE "/etc/fdld/rules.d/50-line.conf"
#define HOOK_FILE "/etc/fdld/hooks.d/lamp"
#define IMAGE	  "line.pac"

/* The place that all of this is about; no other scenario uses it. */
static struct guest_phone *line_phone(void)
{
	return phone_at("sc9863a", "", 5, 5, NULL);
}

static bool rules_are_written(void)
{
	return sh("mkdir -p $(dirname " RULE_FILE ") && printf '[line]\nslot = *vhci_hcd.5*\nimage = " IMAGE
		  "\nlevel = verified\n' >" RULE_FILE " && mkdir -p /etc/fdld/fdld.conf.d && "
		  /* one phone stands for all of the line */
		  "printf '[armed]\nunit-away-time = 0s\n' >/etc/fdld/fdld.conf.d/60-line.conf && systemctl reload " UNIT) ==
	       0;
}

/* Nobody asks for anything: a phone is put there, and that is all. */
static void by_itself(struct guest_phone *p, const char *passes)
{
	const char *wrong;

	if (!ok(vhci_phone_plug(p->vp) && expect(90000, p->slot, SLOT, "Passes", passes),
		"a phone that is put there is flashed by itself"))
		note("%s passes, '%s' %s", get(p->slot, SLOT, "Passes"), get(p->slot, SLOT, "ArmedWhy"),
		     get(p->slot, SLOT, "ArmedDetail"));
	wrong = storage(p, NULL);
	ok(!*wrong, "it holds its package %s", wrong);
	unplug(p);
}

static bool hook_has_run(void *arg)
{
	return sh("journalctl -q -b -u 'fdld-hook@*' -o cat | grep -F '%s'", (const char *)arg) == 0;
}

void line_runs_by_itself(void)
{
	struct guest_phone *p = line_phone();
	char told[160];
	pid_t before;

	ok(sh("fdlctl image import %s --name " IMAGE, p->pac) == 0, "a package is kept in the service");
	ok(sh("stat -c '%%U %%a' /var/lib/fdld/image") == 0 && !strncmp(said, "fdld 7", 6),
	   "in a folder of the service: %s", said);
	ok(rules_are_written(), "a rule is read");
	ok(sh("fdlctl rules") == 0 && strstr(said, "line"), "and shown");
	ok(sh("mkdir -p $(dirname " HOOK_FILE ") && printf '#!/bin/sh\nexec env\n' >" HOOK_FILE
	      " && chmod 755 " HOOK_FILE " && mkdir -p /etc/fdld/fdld.conf.d && "
	      "printf '[service]\nhooks = on\n' >/etc/fdld/fdld.conf.d/70-hooks.conf && systemctl reload " UNIT) ==
		   0,
	   "a program that wants to be told");
	ok(plug(p) && words(p) == 0, "a phone is there, and hears nothing");
	unplug(p);
	ok(sh_as("bob", "fdlctl --no-ask-password arm %s", p->id) != 0, "not everybody may arm a place");
	ok(sh("fdlctl arm %s", p->id) == 0, "root may");
	by_itself(p, "1");
	snprintf(told, sizeof(told), "FDLD_SLOT=%s", p->id);
	ok(until(30000, hook_has_run, (void *)(uintptr_t) "FDLD_EVENT=pass"),
	   "the program was told of the pass");
	ok(hook_has_run(told) && hook_has_run((void *)(uintptr_t) "FDLD_IMAGE=" IMAGE), "with its facts");
	ok(sh("systemctl show -P User 'fdld-hook@*' | sort -u; journalctl -q -b -u 'fdld-hook@*' -o cat | grep ^USER=") !=
			   0 ||
		   !strstr(said, "USER=root"),
	   "and not as root");
	before = daemon_pid();
	ok(sh("systemctl restart " UNIT) == 0 && daemon_pid() != before, "the service starts anew");
	ok(!strcmp(get(p->slot, SLOT, "Armed"), "true"), "the place is still armed");
	by_itself(p, "2");
	(void)sh("rm -r " HOOK_FILE " /etc/fdld/fdld.conf.d/70-hooks.conf; systemctl reload " UNIT);
	phones_free();
}

/* After a newer version was installed: what the administrator has said is still there, and in force. */
void upgrade_keeps_the_line(void)
{
	struct guest_phone *p = line_phone();

	ok(sh("grep -q vhci_hcd.5 " RULE_FILE " && fdlctl rules") == 0 && strstr(said, "line"),
	   "the rule is there");
	ok(sh("fdlctl image list") == 0 && strstr(said, IMAGE), "so is the package");
	ok(!strcmp(get(p->slot, SLOT, "Armed"), "true"), "the place is still armed");
	by_itself(p, "3");
	phones_free();
}

/* The power was cut since. The machine's own files are new; the station's disk is not. */
void power_cut_keeps_the_line(void)
{
	struct guest_phone *p = line_phone();

	ok(sh("fdlctl image list") == 0 && strstr(said, IMAGE), "the package is still in the service");
	ok(sh("fdlctl image verify " IMAGE) == 0, "and whole");
	ok(!strcmp(get(p->slot, SLOT, "Armed"), "true"), "the place is armed");
	ok(vhci_phone_plug(p->vp) && expect(20000, p->slot, SLOT, "ArmedWhy", "no-rule") && words(p) == 0,
	   "without rules a phone is left alone, and it is said why");
	unplug(p);
	ok(rules_are_written(), "the rule is read");
	by_itself(p, "4");
	ok(sh("fdlctl disarm --all") == 0 && !strcmp(get(p->slot, SLOT, "Armed"), "false"), "it is disarmed");
	phones_free();
}
