/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who may write what to a phone, and what a person is shown before. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/bus/authority.h"

#define FLASH	    "org.fdld1.flash"
#define UNPROTECTED "org.fdld1.flash-unprotected"

static int fd = -1;

static bool asks(struct rig *rig, struct scene *s, struct authority *a, const char *area, const char *option,
		 const char *type, const char *value, const char *action, const char *words)
{
	bool called;

	if (!option)
		called = user_call(rig, s->user, 5000, NULL, s->phone->slot, SLOT, "Write", "a(shs)a{sv}", 1,
				   area, fd, "x.img", 0);
	else if (*type == 's')
		called = user_call(rig, s->user, 5000, NULL, s->phone->slot, SLOT, "Write", "a(shs)a{sv}", 1,
				   area, fd, "x.img", 1, option, type, value);
	else
		called = user_call(rig, s->user, 5000, NULL, s->phone->slot, SLOT, "Write", "a(shs)a{sv}", 1,
				   area, fd, "x.img", 1, option, type, 1);
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

	fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0 && scene_set(rig, &s, NULL));
	a = authority_new(rig, AUTHORITY_NO);
	CHECK(asks(rig, &s, a, "boot", NULL, "", "", FLASH, "write boot"));
	/* which is refused without more */
	CHECK(asks(rig, &s, a, "prodnv", NULL, "", "", FLASH, "write prodnv"));
	CHECK(asks(rig, &s, a, "boot", "dry_run", "b", "", FLASH, "dry-run write boot"));
	CHECK(asks(rig, &s, a, "boot", "nv", "s", "keep", FLASH, "write boot"));
	CHECK(asks(rig, &s, a, "l_fixnv1", "nv", "s", "package", UNPROTECTED, "write nv=package l_fixnv1"));
	CHECK(asks(rig, &s, a, "l_fixnv1", "nv", "s", "keep-if-any", UNPROTECTED,
		   "write nv=keep-if-any l_fixnv1"));
	CHECK(asks(rig, &s, a, "prodnv", "i_know", "b", "", UNPROTECTED, "write i_know prodnv"));
	CHECK(asks(rig, &s, a, "boot", "without_backup", "b", "", UNPROTECTED, "write without_backup boot"));
	CHECK(asks(rig, &s, a, "boot", "force_loaders", "b", "", UNPROTECTED, "write force_loaders boot"));
	CHECK(!bed_count(bed_phone_dev(s.phone->bp))->submits);
	/* with leave it goes its way, and finds no loaders here */
	a->mood = AUTHORITY_YES;
	CHECK(!user_call(rig, s.user, 5000, NULL, s.phone->slot, SLOT, "Write", "a(shs)a{sv}", 1, "boot", fd,
			 "x.img", 0));
	CHECK(strstr(s.user->error, "NoLoader"));
	close(fd);
	scene_strike(&s);
}

static const struct rig_test tests[] = {
	{ "a stranger and what is to be written", storage },
};

int main(void)
{
	return users_run(tests, sizeof(tests) / sizeof(tests[0]));
}
