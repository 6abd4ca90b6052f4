/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who may do something to a port, and what a person is shown before. */
#include <stdio.h>
#include <string.h>

#include "tests/bus/authority.h"

#define CONTROL "org.fdld1.control-port"
#define MANAGE	"org.fdld1.manage-slots"

static bool asked(struct authority *a, const struct scene *s, const char *action, const char *operation)
{
	if (!strcmp(s->user->error, NOT_AUTHORIZED) && !strcmp(a->last.action, action) &&
	    !strcmp(a->last.operation, operation) && !strcmp(a->last.slot, s->phone->id))
		return true;
	tap_note("%s, asked for %s: '%s' on %s", s->user->error, a->last.action, a->last.operation,
		 a->last.slot);
	return false;
}

static void port(struct rig *rig)
{
	struct authority *a;
	struct scene s;

	CHECK(scene_set(rig, &s, NULL));
	a = authority_new(rig, AUTHORITY_NO);
	CHECK(!user_call(rig, s.user, 5000, NULL, s.phone->slot, SLOT, "Kick", "a{sv}", 1, "way", "s",
			 "diag"));
	CHECK(asked(a, &s, CONTROL, "kick"));
	/* who sets a slot so has phones asked later, without being there */
	CHECK(!user_call(rig, s.user, 5000, NULL, s.phone->slot, SLOT, "Configure", "a{sv}", 1, "kick", "s",
			 "auto"));
	CHECK(asked(a, &s, CONTROL, "Configure kick=auto"));
	CHECK(!user_call(rig, s.user, 5000, NULL, s.phone->slot, SLOT, "Configure", "a{sv}", 1, "note", "s",
			 "x"));
	CHECK(asked(a, &s, MANAGE, "Configure"));
	CHECK(!user_call(rig, s.user, 5000, NULL, s.phone->slot, SLOT, "ResetPort", "a{sv}", 0));
	CHECK(asked(a, &s, CONTROL, "port reset"));
	CHECK(!user_call(rig, s.user, 5000, NULL, s.phone->slot, SLOT, "PortPower", "sa{sv}", "off", 0));
	CHECK(asked(a, &s, CONTROL, "port off"));
	CHECK(phone_counters(s.phone->phone)->bus_resets == 0);
	CHECK(!strcmp(rig_get(rig, s.phone->slot, SLOT, "KickBy"), ""));
	/* with leave it goes its way: that phone is in download mode already */
	a->mood = AUTHORITY_YES;
	CHECK(user_call(rig, s.user, 5000, NULL, s.phone->slot, SLOT, "Kick", "a{sv}", 0));
	CHECK(!bed_count(bed_phone_dev(s.phone->bp))->submits);
	scene_strike(&s);
}

static const struct rig_test tests[] = {
	{ "a stranger and a port", port },
};

int main(void)
{
	return users_run(tests, sizeof(tests) / sizeof(tests[0]));
}
