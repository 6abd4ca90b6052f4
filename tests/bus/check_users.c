/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What one user may take up: the settings of [users], each on a user whom polkit lets do everything. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/bus/authority.h"

#define LIMITS "org.fdld1.Error.LimitsExceeded"

/* One setting in a file of its own, put in force. */
static bool set(struct rig *rig, const char *setting)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/run", rig->conf);
	(void)mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s/run/fdld.conf", rig->conf);
	f = fopen(path, "w");
	if (!f || fprintf(f, "[users]\n%s\n", setting) < 0 || fclose(f) != 0 || chmod(path, 0644) < 0)
		return false;
	return rig_call(rig, 5000, NULL, ROOT, MANAGER, "Reload", "a{sv}", 0);
}

static bool open_image(struct rig *rig, struct user *user, int fd)
{
	return user_call(rig, user, 5000, NULL, ROOT, MANAGER, "OpenImage", "ha{sv}", fd, 0);
}

static void jobs(struct rig *rig)
{
	static char more[] = "--set=user-jobs=1";
	char *const args[] = { more, NULL };
	struct user *other;
	struct scene s;

	CHECK(scene_set(rig, &s, args));
	(void)authority_new(rig, AUTHORITY_YES);
	bed_phone_unplug(s.phone->bp, true);
	CHECK(rig_expect(rig, 3000, s.phone->slot, SLOT, "State", "empty"));
	CHECK(scene_flash(rig, &s, 5000, NULL, 0));
	CHECK(!scene_flash(rig, &s, 5000, NULL, 0) && !strcmp(s.user->error, LIMITS));
	/* another connection is the same user; another user, and root, are not */
	other = user_new(rig, STRANGER);
	CHECK(!user_call(rig, other, 5000, NULL, s.phone->slot, SLOT, "Flash", "ha{sv}", s.pack.fd, 0));
	CHECK(!strcmp(other->error, LIMITS));
	user_free(other);
	other = user_new(rig, OTHER);
	CHECK(user_call(rig, other, 5000, NULL, s.phone->slot, SLOT, "Flash", "ha{sv}", s.pack.fd, 0));
	user_free(other);
	for (int i = 0; i < 3; i++)
		CHECK(rig_flash(rig, s.phone->slot, s.pack.fd, NULL, 0));
	/* the command line is stronger than the file, so this changes nothing */
	CHECK(set(rig, "user-jobs=9"));
	CHECK(!scene_flash(rig, &s, 5000, NULL, 0) && !strcmp(s.user->error, LIMITS));
	scene_strike(&s);
}

static void images(struct rig *rig)
{
	struct scene s;

	CHECK(scene_set(rig, &s, NULL));
	(void)authority_new(rig, AUTHORITY_YES);
	CHECK(set(rig, "user-images=2"));
	CHECK(open_image(rig, s.user, s.pack.fd) && open_image(rig, s.user, s.pack.fd));
	CHECK(!open_image(rig, s.user, s.pack.fd) && !strcmp(s.user->error, LIMITS));
	CHECK(set(rig, "user-images=3"));
	CHECK(open_image(rig, s.user, s.pack.fd));
	scene_strike(&s);
}

static void connections(struct rig *rig)
{
	struct user *other;
	struct scene s;

	CHECK(scene_set(rig, &s, NULL));
	(void)authority_new(rig, AUTHORITY_YES);
	CHECK(set(rig, "user-connections=1"));
	CHECK(open_image(rig, s.user, s.pack.fd));
	other = user_new(rig, STRANGER);
	CHECK(!open_image(rig, other, s.pack.fd) && !strcmp(other->error, LIMITS));
	CHECK(set(rig, "user-connections=2"));
	CHECK(open_image(rig, other, s.pack.fd));
	user_free(other);
	scene_strike(&s);
}

static bool one_refused(void *user)
{
	return ((struct user *)user)->refused >= 1;
}

static bool three_answered(void *user)
{
	return ((struct user *)user)->answered >= 3;
}

/*
 * Three at once: polkit says yes to all of them in one breath, and the daemon hears all of it before it
 * does anything.
 */
static bool three_calls(struct rig *rig, struct scene *s, const struct authority *a)
{
	unsigned int asked = a->asked;

	s->user->answered = s->user->refused = 0;
	for (int i = 0; i < 3; i++)
		user_send(s->user, ROOT, MANAGER, "OpenImage", "ha{sv}", s->pack.fd, 0);
	if (!users_count(rig, &a->asked, asked + 3))
		return false;
	kill(rig->daemon, SIGSTOP);
	authority_answer(AUTHORITY_YES);
	users_sleep(rig, 50);
	kill(rig->daemon, SIGCONT);
	return users_until(rig, 5000, three_answered, s->user);
}

static void calls(struct rig *rig)
{
	struct authority *a;
	struct scene s;

	CHECK(scene_set(rig, &s, NULL));
	a = authority_new(rig, AUTHORITY_SILENT);
	CHECK(set(rig, "user-calls=1"));
	/* a quick machine may be done with the first before it looks at the second: but not each time */
	for (int i = 0; i < 5 && !s.user->refused; i++)
		CHECK(three_calls(rig, &s, a));
	CHECK(s.user->refused >= 1 && !strcmp(s.user->error, LIMITS));
	CHECK(set(rig, "user-calls=3"));
	CHECK(three_calls(rig, &s, a));
	CHECK(!s.user->refused);
	scene_strike(&s);
}

static void waits(struct rig *rig)
{
	struct scene s;
	char job[128];

	CHECK(scene_set(rig, &s, NULL));
	(void)authority_new(rig, AUTHORITY_YES);
	bed_phone_unplug(s.phone->bp, true);
	CHECK(rig_expect(rig, 3000, s.phone->slot, SLOT, "State", "empty"));
	CHECK(scene_flash(rig, &s, 5000, job, sizeof(job)));
	CHECK(set(rig, "user-waits=2"));
	for (int i = 0; i < 2; i++)
		user_send(s.user, job, JOB, "Wait", NULL);
	users_sleep(rig, 100);
	CHECK(!s.user->refused && !s.user->answered);
	user_send(s.user, job, JOB, "Wait", NULL);
	CHECK(users_until(rig, 5000, one_refused, s.user) && !strcmp(s.user->error, LIMITS));
	CHECK(set(rig, "user-waits=3"));
	s.user->refused = 0;
	user_send(s.user, job, JOB, "Wait", NULL);
	users_sleep(rig, 100);
	CHECK(!s.user->refused);
	scene_strike(&s);
}

static void prompts(struct rig *rig)
{
	struct authority *a;
	struct scene s;

	CHECK(scene_set(rig, &s, NULL));
	a = authority_new(rig, AUTHORITY_SILENT);
	CHECK(set(rig, "user-prompts=1"));
	user_send(s.user, ROOT, MANAGER, "Drain", "a{sv}", 0);
	CHECK(users_count(rig, &a->asked, 1) && !s.user->refused);
	user_send(s.user, ROOT, MANAGER, "Drain", "a{sv}", 0);
	CHECK(users_until(rig, 5000, one_refused, s.user) && !strcmp(s.user->error, LIMITS));
	CHECK(a->asked == 1);
	CHECK(set(rig, "user-prompts=2"));
	user_send(s.user, ROOT, MANAGER, "Drain", "a{sv}", 0);
	CHECK(users_count(rig, &a->asked, 2));
	scene_strike(&s);
}

static const struct rig_test tests[] = {
	{ "user-jobs", jobs },	 { "user-images", images }, { "user-connections", connections },
	{ "user-calls", calls }, { "user-waits", waits },   { "user-prompts", prompts },
};

int main(void)
{
	return users_run(tests, sizeof(tests) / sizeof(tests[0]));
}
