/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Passwords on a plain terminal: fdlctl lends polkit a text agent for the calls that may need one, for nobody
 * else and no longer. The authority and the agent are ours; what the real ones do is in the booted machine.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/bus/authority.h"
#include "tests/bus/ctl.h"

static struct ctl_run run;
static char file[160];

static const char *content(void)
{
	static char text[512];
	FILE *f = fopen(file, "re");
	size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;

	if (f)
		fclose(f);
	text[n] = '\0';
	return text;
}

/* An agent that says how it was called, tells that it is there, and stays. */
static bool put_agent(struct rig *rig)
{
	char path[160];
	FILE *f;

	snprintf(file, sizeof(file), "%s/agent.said", rig->dir);
	snprintf(path, sizeof(path), "%s/pkttyagent", rig->dir);
	f = fopen(path, "we");
	if (!f)
		return false;
	fprintf(f,
		"#!/bin/bash\n"
		"echo \"$@\" >>%s\n"
		"eval \"exec $4>&-\"\n"
		"trap 'echo gone >>%s; exit' TERM\n"
		"while :; do sleep 0.05; done\n",
		file, file);
	fclose(f);
	f = fopen(file, "we");
	if (f)
		fclose(f);
	return f && chmod(path, 0755) == 0 && chmod(rig->dir, 0755) == 0 && chmod(file, 0666) == 0;
}

/* A shell of that user on a terminal; fdlctl is on its way. */
static bool login(struct rig *rig, unsigned int uid)
{
	char text[512];

	ctl_start_bash(&run);
	snprintf(
		text, sizeof(text),
		"exec setpriv --reuid=%u --regid=%u --clear-groups env PATH=%s:%s:$PATH PS1= bash --norc --noprofile\n",
		uid, uid, rig->dir, rig->build);
	return ctl_type(&run, text) && ctl_type(&run, "echo rea''dy\n") && ctl_says(rig, &run, "ready", 5000);
}

/* What it prints last is "status N ." */
static bool type(struct rig *rig, const char *command, const char *wanted)
{
	char text[512];

	snprintf(text, sizeof(text), "%s; echo status $? .\n", command);
	run.len = 0;
	if (!ctl_type(&run, text))
		return false;
	for (int i = 0; i < 200 && !ctl_said(&run, wanted); i++)
		users_sleep(rig, 50); /* the authority answers meanwhile */
	return ctl_says(rig, &run, wanted, 1);
}

static void asked(struct rig *rig)
{
	struct authority *a;
	struct scene s;
	char wanted[64], text[256];

	CHECK(scene_set(rig, &s, NULL));
	CHECK(rig_flash(rig, s.phone->slot, s.pack.fd, NULL, 0)); /* somebody else's job */
	a = authority_new(rig, AUTHORITY_NO);
	CHECK(put_agent(rig));
	CHECK(login(rig, STRANGER));
	snprintf(wanted, sizeof(wanted), "status %d .", ctl_code("NotAuthorized"));

	/* a read asks nobody */
	CHECK(type(rig, "fdlctl list", "status 0 ."));
	CHECK(!content()[0] && !a->asked);
	/* a cancel may: the agent is there first, is told whose it is, and goes with the answer */
	CHECK(type(rig, "fdlctl cancel 1", wanted));
	CHECK(!strncmp(content(), "--process ", 10) && strstr(content(), " --notify-fd ") &&
	      strstr(content(), " --fallback\n"));
	CHECK(strstr(content(), "gone\n"));
	CHECK(a->asked == 1 && (a->last.flags & 1));
	/* not asked for: neither agent nor flag */
	CHECK(truncate(file, 0) == 0);
	CHECK(type(rig, "fdlctl --no-ask-password cancel 1", wanted));
	CHECK(!content()[0] && a->asked == 2 && !(a->last.flags & 1));
	/* nobody at the keyboard */
	CHECK(type(rig, "fdlctl cancel 1 </dev/null", wanted));
	CHECK(!content()[0] && a->asked == 3);
	/* a flash of one phone is one question, not one for opening and one for flashing */
	a->asked = 0;
	snprintf(text, sizeof(text), "fdlctl --no-ask-password flash --slot 1-1 %s", s.pack.path);
	CHECK(type(rig, text, wanted) && a->asked == 1);
	CHECK(!strcmp(a->last.action, "org.fdld1.flash"));
	scene_strike(&s);
}

static void not_for_root(struct rig *rig)
{
	struct scene s;

	CHECK(scene_set(rig, &s, NULL));
	CHECK(put_agent(rig));
	CHECK(login(rig, 0));
	CHECK(type(rig, "fdlctl cancel 77", "status 6 ."));
	CHECK(!content()[0]);
	scene_strike(&s);
}

static const struct rig_test tests[] = {
	{ "an agent for the calls that may need a password", asked },
	{ "root needs none", not_for_root },
};

int main(void)
{
	return users_run(tests, sizeof(tests) / sizeof(tests[0]));
}
