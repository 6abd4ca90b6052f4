/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a stranger can reach: every method of every object, every property, and how much of the daemon one
 * user can take up.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bus/walk.h"

/* ---- every method, every object ------------------------------------------------------- */

static void closed(struct rig *rig)
{
	struct authority *a;
	struct scene s;
	struct walk walk;
	sd_bus_message *m = NULL;

	CHECK(scene_set(rig, &s, NULL));
	/* the job that is there to be cancelled is somebody else's, and waits for a phone that never comes */
	bed_phone_unplug(s.phone->bp, true);
	CHECK(rig_expect(rig, 3000, s.phone->slot, SLOT, "State", "empty"));
	CHECK(rig_flash(rig, s.phone->slot, s.pack.fd, NULL, 0));
	s.phone = rig_phone(rig, "sc9863a", "2", NULL);
	CHECK(rig_plug(rig, s.phone));
	CHECK(walk_as_stranger(rig, &s, false)); /* no polkit */
	a = authority_new(rig, AUTHORITY_NO);
	CHECK(walk_as_stranger(rig, &s, false));
	CHECK(a->asked > 0);
	a->mood = AUTHORITY_CHALLENGE;
	CHECK(walk_as_stranger(rig, &s, false));
	CHECK(scene_untouched(&s) && rig_counter(rig, "jobs-accepted") == 1);
	CHECK(!strcmp(rig_get(rig, ROOT, MANAGER, "Draining"), "false"));
	/* properties are for reading, for root too */
	walk_objects(rig, &walk);
	CHECK(!user_call(rig, s.user, 5000, NULL, ROOT, "org.freedesktop.DBus.Properties", "Set", "ssv",
			 MANAGER, "Draining", "b", 1));
	CHECK(!strcmp(s.user->error, "org.freedesktop.DBus.Error.PropertyReadOnly"));
	/* a call that names no interface has no row */
	CHECK(sd_bus_message_new_method_call(s.user->bus, &m, "org.fdld1", ROOT, NULL, "Drain") >= 0);
	sd_bus_message_unref(m);
	CHECK(!user_call(rig, s.user, 5000, NULL, ROOT, NULL, "Drain", "a{sv}", 0));
	CHECK(!strcmp(rig_get(rig, ROOT, MANAGER, "Draining"), "false"));
	a->mood = AUTHORITY_YES;
	CHECK(walk_as_stranger(rig, &s, true));
	scene_strike(&s);
}

static const struct rig_test tests[] = {
	{ "every method of every object is closed to strangers", closed },
};

int main(void)
{
	return users_run(tests, sizeof(tests) / sizeof(tests[0]));
}
