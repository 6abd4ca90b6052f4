/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/bus/line.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bus/conf.h"
#include "tests/bus/ctl.h"

/* A rig that is up, with a package in the store under this name, and rules. */
bool line_up(struct rig *rig, struct rig_package *pack, const char *settings, const char *rules)
{
	rig_package(rig, pack, "sc9863a", 6, 4096);
	conf_put(rig, ETC, settings);
	conf_put(rig, LINE_RULES, rules);
	return rig_up(rig, NULL) && ctl(rig, 30000, "image import %s --name line.pac", pack->path) == 0;
}

const char *line_why_not(struct rig *rig, const struct rig_phone *p)
{
	return rig_get(rig, p->slot, SLOT, "ArmedWhy");
}

bool line_says(struct rig *rig, const struct rig_phone *p, const char *word)
{
	if (rig_expect(rig, 20000, p->slot, SLOT, "ArmedWhy", word))
		return true;
	tap_note("ArmedWhy is '%s', %s", line_why_not(rig, p), rig_get(rig, p->slot, SLOT, "ArmedDetail"));
	return false;
}

/* So many phones have passed in its slot. */
bool line_passes(struct rig *rig, const struct rig_phone *p, const char *count)
{
	if (rig_expect(rig, 60000, p->slot, SLOT, "Passes", count))
		return true;
	tap_note("%s passes, %s attempts, state %s, '%s' %s", rig_get(rig, p->slot, SLOT, "Passes"),
		 rig_get(rig, p->slot, SLOT, "Attempts"), rig_get(rig, p->slot, SLOT, "State"),
		 line_why_not(rig, p), rig_get(rig, p->slot, SLOT, "ArmedDetail"));
	return false;
}

bool line_failures(struct rig *rig, const struct rig_phone *p, const char *count)
{
	return rig_expect(rig, 60000, p->slot, SLOT, "Failures", count);
}

/* The slot becomes known: a phone was there once. */
bool line_known(struct rig *rig, struct rig_phone *p)
{
	if (!rig_plug(rig, p))
		return false;
	bed_phone_unplug(p->bp, true);
	return rig_expect(rig, 10000, p->slot, SLOT, "State", "empty");
}

/* Files of places are written behind the service's back, each beside its place first. */
static bool until_grep(struct rig *rig, const char *line, bool there)
{
	char command[200];

	snprintf(command, sizeof(command), "grep -qrx --exclude='*.*' '%s' %s/slot", line, rig->state);
	for (int i = 0; i < 200; i++) {
		if ((system(command) == 0) == there)
			return true;
		rig_sleep(rig, 50);
	}
	return false;
}

bool line_on_disk(struct rig *rig, const char *line)
{
	return until_grep(rig, line, true);
}

bool line_off_disk(struct rig *rig, const char *line)
{
	return until_grep(rig, line, false);
}

void line_unplugged(struct rig *rig, struct rig_phone *p)
{
	bed_phone_unplug(p->bp, true);
	rig_expect(rig, 10000, p->slot, SLOT, "State", "empty");
}
