/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who may erase what on a phone, and what a person is shown before. */
#include <stdio.h>
#include <string.h>

#include "tests/bus/authority.h"

#define FLASH	    "org.fdld1.flash"
#define UNPROTECTED "org.fdld1.flash-unprotected"

static bool asks(struct rig *rig, struct scene *s, struct authority *a, const char *area, const char *option,
		 const char *action, const char *words)
{
	bool called = area ? user_call(rig, s->user, 5000, NULL, s->phone->slot, SLOT, "Erase", "a(st)a{sv}",
				       1, area, UINT64_C(0), option ? 1 : 0, option, "b", 1)
			   : user_call(rig, s->user, 5000, NULL, s->phone->slot, SLOT, "Erase", "a(st)a{sv}",
				       0, 1, option, "b", 1);

	if (!called && !strcmp(s->user->error, NOT_AUTHORIZED) && !strcmp(a->last.action, action) &&
	    !strcmp(a->last.operation, words) && !strcmp(a->last.slot, s->phone->id))
		return true;
	tap_note("%s: %s, asked for %s: '%s'", words, s->user->error, a->last.action, a->last.operation);
	return false;
}

static void storage(struct rig *rig)
{
	struct authority *a;
	struct scene s;

	CHECK(scene_set(rig, &s, NULL));
	a = authority_new(rig, AUTHORITY_NO);
	CHECK(asks(rig, &s, a, "boot", NULL, FLASH, "erase boot"));
	CHECK(asks(rig, &s, a, "prodnv", NULL, FLASH, "erase prodnv")); /* which is refused without more */
	CHECK(asks(rig, &s, a, "boot", "dry_run", FLASH, "dry-run erase boot"));
	CHECK(asks(rig, &s, a, NULL, "user_data", FLASH, "erase user_data"));
	CHECK(asks(rig, &s, a, "prodnv", "i_know", UNPROTECTED, "erase i_know prodnv"));
	CHECK(asks(rig, &s, a, "boot", "without_backup", UNPROTECTED, "erase without_backup boot"));
	CHECK(asks(rig, &s, a, "boot", "force_loaders", UNPROTECTED, "erase force_loaders boot"));
	CHECK(asks(rig, &s, a, NULL, "everything", UNPROTECTED, "erase erase_all"));
	CHECK(!bed_count(bed_phone_dev(s.phone->bp))->submits);
	/* with leave it goes its way, and finds no loaders here */
	a->mood = AUTHORITY_YES;
	CHECK(!user_call(rig, s.user, 5000, NULL, s.phone->slot, SLOT, "Erase", "a(st)a{sv}", 1, "boot",
			 UINT64_C(0), 0));
	CHECK(strstr(s.user->error, "NoLoader"));
	scene_strike(&s);
}

static const struct rig_test tests[] = {
	{ "a stranger and what is to be erased", storage },
};

int main(void)
{
	return users_run(tests, sizeof(tests) / sizeof(tests[0]));
}
