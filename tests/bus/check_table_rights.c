/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who may give a phone another table or say how it starts; what a person is shown before. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/bus/authority.h"

#define FLASH	    "org.fdld1.flash"
#define UNPROTECTED "org.fdld1.flash-unprotected"
#define READ_PHONE  "org.fdld1.read-phone"

static bool asked(const struct scene *s, const struct authority *a, const char *action, const char *operation)
{
	if (!strcmp(s->user->error, NOT_AUTHORIZED) && !strcmp(a->last.action, action) &&
	    !strcmp(a->last.operation, operation) && !strcmp(a->last.slot, s->phone->id))
		return true;
	tap_note("%s, asked for %s: '%s'", s->user->error, a->last.action, a->last.operation);
	return false;
}

static void table(struct rig *rig)
{
	struct authority *a;
	struct scene s;
	char path[128];
	int fd;

	CHECK(scene_set(rig, &s, NULL));
	a = authority_new(rig, AUTHORITY_NO);
	snprintf(path, sizeof(path), "%s/table", rig->dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	CHECK(fd >= 0 && write(fd, "<Partitions/>", 13) == 13);
	CHECK(!user_call(rig, s.user, 5000, NULL, s.phone->slot, SLOT, "Repartition", "ha{sv}", fd, 0) &&
	      asked(&s, a, FLASH, "repartition"));
	CHECK(!user_call(rig, s.user, 5000, NULL, s.phone->slot, SLOT, "Repartition", "ha{sv}", fd, 1,
			 "dry_run", "b", 1) &&
	      asked(&s, a, FLASH, "dry-run repartition"));
	CHECK(!user_call(rig, s.user, 5000, NULL, s.phone->slot, SLOT, "Repartition", "ha{sv}", fd, 1,
			 "i_know", "b", 1) &&
	      asked(&s, a, UNPROTECTED, "repartition i_know"));
	CHECK(!user_call(rig, s.user, 5000, NULL, s.phone->slot, SLOT, "Repartition", "ha{sv}", fd, 1,
			 "without_backup", "b", 1) &&
	      asked(&s, a, UNPROTECTED, "repartition without_backup"));
	CHECK(!bed_count(bed_phone_dev(s.phone->bp))->submits);
	/* with leave it goes its way, and finds no loaders here */
	a->mood = AUTHORITY_YES;
	CHECK(!user_call(rig, s.user, 5000, NULL, s.phone->slot, SLOT, "Repartition", "ha{sv}", fd, 0) &&
	      strstr(s.user->error, "NoLoader"));
	close(fd);
	scene_strike(&s);
}

static void marks(struct rig *rig)
{
	struct authority *a;
	struct scene s;

	CHECK(scene_set(rig, &s, NULL));
	a = authority_new(rig, AUTHORITY_NO);
	CHECK(!user_call(rig, s.user, 5000, NULL, s.phone->slot, SLOT, "ReadMarks", "a{sv}", 0) &&
	      asked(&s, a, READ_PHONE, "marks"));
	CHECK(!user_call(rig, s.user, 5000, NULL, s.phone->slot, SLOT, "SetMarks", "a{sv}", 2, "start", "s",
			 "recovery", "active", "s", "b") &&
	      asked(&s, a, FLASH, "mark start=recovery active=b"));
	CHECK(!user_call(rig, s.user, 5000, NULL, s.phone->slot, SLOT, "SetMarks", "a{sv}", 1, "verity", "b",
			 0) &&
	      asked(&s, a, FLASH, "mark verity=off"));
	CHECK(!user_call(rig, s.user, 5000, NULL, s.phone->slot, SLOT, "SetMarks", "a{sv}", 2, "first_mode",
			 "u", 17, "force_loaders", "b", 1) &&
	      asked(&s, a, UNPROTECTED, "mark first_mode=17"));
	CHECK(!bed_count(bed_phone_dev(s.phone->bp))->submits);
	scene_strike(&s);
}

static const struct rig_test tests[] = {
	{ "a stranger and a phone's table", table },
	{ "a stranger and how a phone starts", marks },
};

int main(void)
{
	return users_run(tests, sizeof(tests) / sizeof(tests[0]));
}
