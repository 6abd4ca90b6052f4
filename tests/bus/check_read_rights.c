/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who may read a phone's storage, and which of it; what a person is shown before. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/bus/authority.h"

#define READ_PHONE "org.fdld1.read-phone"
#define EXPORT_NV  "org.fdld1.export-nv"

static bool asks(struct rig *rig, struct scene *s, struct authority *a, const char *area, const char *action,
		 int fd)
{
	char want[64];

	snprintf(want, sizeof(want), "read %s", area);
	if (!user_call(rig, s->user, 5000, NULL, s->phone->slot, SLOT, "Read", "a(stth)a{sv}", 1, area,
		       UINT64_C(0), UINT64_C(4096), fd, 0) &&
	    !strcmp(s->user->error, NOT_AUTHORIZED) && !strcmp(a->last.action, action) &&
	    !strcmp(a->last.operation, want) && !strcmp(a->last.slot, s->phone->id))
		return true;
	tap_note("%s: %s, asked for %s: '%s'", area, s->user->error, a->last.action, a->last.operation);
	return false;
}

static void storage(struct rig *rig)
{
	static const char *const own[] = { "l_fixnv1", "l_fixnv2_a",	 "nr_runtimenv1",
					   "prodnv",   "miscdata",	 "persist",
					   "calinv_1", "user_partition", "0x80000003" };
	static const char *const others[] = { "boot", "super", "userdata", "splloader" };
	struct authority *a;
	struct scene s;
	char path[128];
	int fd;

	CHECK(scene_set(rig, &s, NULL));
	a = authority_new(rig, AUTHORITY_NO);
	snprintf(path, sizeof(path), "%s/copy", rig->dir);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	CHECK(fd >= 0);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		CHECK(asks(rig, &s, a, others[i], READ_PHONE, fd));
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		CHECK(asks(rig, &s, a, own[i], EXPORT_NV, fd));
	/* one of several is enough */
	CHECK(!user_call(rig, s.user, 5000, NULL, s.phone->slot, SLOT, "Read", "a(stth)a{sv}", 2, "boot",
			 UINT64_C(0), UINT64_C(0), fd, "prodnv", UINT64_C(0), UINT64_C(0), fd, 0));
	CHECK(!strcmp(a->last.action, EXPORT_NV) && !strcmp(a->last.operation, "read boot prodnv"));
	/* and the end of what is kept there */
	CHECK(!user_call(rig, s.user, 5000, NULL, s.phone->slot, SLOT, "Reset", "a{sv}", 1, "power_off", "b",
			 1));
	CHECK(!strcmp(a->last.action, READ_PHONE) && !strcmp(a->last.operation, "power-off"));
	CHECK(!bed_count(bed_phone_dev(s.phone->bp))->submits);
	/* with leave it goes its way, and finds no loaders here */
	a->mood = AUTHORITY_YES;
	CHECK(!user_call(rig, s.user, 5000, NULL, s.phone->slot, SLOT, "Read", "a(stth)a{sv}", 1, "boot",
			 UINT64_C(0), UINT64_C(4096), fd, 0));
	CHECK(strstr(s.user->error, "NoLoader"));
	close(fd);
	scene_strike(&s);
}

static const struct rig_test tests[] = {
	{ "a stranger and a phone's storage", storage },
};

int main(void)
{
	return users_run(tests, sizeof(tests) / sizeof(tests[0]));
}
