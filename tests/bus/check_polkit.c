/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who may: other users and polkit. A scripted authority for what the real one cannot be made to do; the real
 * polkitd has a program of its own (check_polkitd).
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bus/authority.h"

/* ---- pieces ------------------------------------------------------------------------- */

static bool has_asked(void *arg)
{
	return ((struct authority *)arg)->asked > 0;
}

static bool has_cancelled(void *arg)
{
	return ((struct authority *)arg)->cancelled > 0;
}

static bool has_answer(void *arg)
{
	return ((struct user *)arg)->answered > 0;
}

/* ---- the question ------------------------------------------------------------------- */

static void asks(struct rig *rig)
{
	struct authority *a;
	struct scene s;
	char job[64];
	const char *name;

	CHECK(scene_set(rig, &s, NULL));
	a = authority_new(rig, AUTHORITY_NO);
	CHECK(!scene_flash(rig, &s, 5000, NULL, 0));
	CHECK(!strcmp(s.user->error, NOT_AUTHORIZED));
	CHECK(a->asked == 1 && scene_untouched(&s));
	CHECK(sd_bus_get_unique_name(s.user->bus, &name) >= 0);
	CHECK(!strcmp(a->last.kind, "system-bus-name") && !strcmp(a->last.name, name));
	CHECK(!strcmp(a->last.action, "org.fdld1.flash"));
	CHECK(!strcmp(a->last.slot, s.phone->id) && !strcmp(a->last.image, "stock.pac"));
	CHECK(!strcmp(a->last.operation, "flash"));
	CHECK(a->last.flags == 0 && a->last.id[0]);
	s.user->interactive = true;
	CHECK(!scene_flash(rig, &s, 5000, NULL, 0));
	CHECK(a->asked == 2 && a->last.flags == 1);
	/* a yes runs it, once, and is not remembered */
	a->mood = AUTHORITY_YES;
	CHECK(scene_flash(rig, &s, 5000, job, sizeof(job)));
	CHECK(!strcmp(rig_wait(rig, job, 30000), ""));
	CHECK(rig_num(rig, job, JOB, "StartedBy") == STRANGER);
	CHECK(a->asked == 3 && rig_counter(rig, "jobs-accepted") == 1);
	a->mood = AUTHORITY_NO;
	CHECK(!scene_flash(rig, &s, 5000, NULL, 0) && a->asked == 4);
	scene_strike(&s);
}

static void refuses(struct rig *rig)
{
	static const struct {
		enum authority_mood mood;
		const char *error;
	} cases[] = {
		{ AUTHORITY_NO, NOT_AUTHORIZED },
		{ AUTHORITY_CHALLENGE, NEEDS_PASSWORD },
		{ AUTHORITY_ERROR, NOT_AUTHORIZED },
		{ AUTHORITY_NONSENSE, NOT_AUTHORIZED },
	};
	struct authority *a;
	struct scene s;

	CHECK(scene_set(rig, &s, NULL));
	/* no polkit at all */
	CHECK(!scene_flash(rig, &s, 5000, NULL, 0));
	CHECK(!strcmp(s.user->error, NOT_AUTHORIZED) && strstr(s.user->text, "polkit"));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		a = authority_new(rig, cases[i].mood);
		s.user->interactive = i & 1;
		CHECK(!scene_flash(rig, &s, 5000, NULL, 0));
		if (strcmp(s.user->error, cases[i].error))
			tap_note("%s expected, %s came", cases[i].error, s.user->error);
		CHECK(!strcmp(s.user->error, cases[i].error) && a->asked == 1);
	}
	CHECK(scene_untouched(&s) && rig_counter(rig, "jobs-accepted") == 0 &&
	      rig_counter(rig, "images") == 0);
	/* root needs nobody's leave, ill or not */
	a = authority_new(rig, AUTHORITY_ERROR);
	CHECK(rig_call(rig, 5000, NULL, ROOT, MANAGER, "OpenImage", "ha{sv}", s.pack.fd, 0));
	CHECK(a->asked == 0);
	scene_strike(&s);
}

/* It dies with the question open: the bus says so, and that is a no. */
static void authority_dies(struct rig *rig)
{
	struct authority *a;
	struct scene s;

	CHECK(scene_set(rig, &s, NULL));
	a = authority_new(rig, AUTHORITY_SILENT);
	user_send(s.user, s.phone->slot, SLOT, "Flash", "ha{sv}", s.pack.fd, 0);
	CHECK(users_until(rig, 5000, has_asked, a));
	users_sleep(rig, 300);
	CHECK(!s.user->answered);
	authority_free();
	CHECK(users_until(rig, 5000, has_answer, s.user));
	CHECK(!strcmp(s.user->error, NOT_AUTHORIZED) && scene_untouched(&s));
	scene_strike(&s);
}

/* ---- callers that leave, questions that outlive what they are about ------------------- */

static void caller_leaves(struct rig *rig)
{
	struct authority *a;
	struct scene s;
	char id[64];

	CHECK(scene_set(rig, &s, NULL));
	a = authority_new(rig, AUTHORITY_SILENT);
	s.user->interactive = true;
	user_send(s.user, s.phone->slot, SLOT, "Flash", "ha{sv}", s.pack.fd, 0);
	CHECK(users_until(rig, 5000, has_asked, a));
	snprintf(id, sizeof(id), "%s", a->last.id);
	user_free(s.user);
	CHECK(users_until(rig, 5000, has_cancelled, a));
	CHECK(a->cancelled == 1 && !strcmp(a->cancelled_id, id));
	/* polkit says yes all the same */
	authority_answer(AUTHORITY_YES);
	users_sleep(rig, 500);
	CHECK(rig_counter(rig, "jobs-accepted") == 0 && rig_counter(rig, "images") == 0 &&
	      scene_untouched(&s));
	/* the daemon is none the worse for it */
	s.user = user_new(rig, STRANGER);
	a->mood = AUTHORITY_YES;
	CHECK(scene_flash(rig, &s, 5000, NULL, 0));
	scene_strike(&s);
}

/* Late is fine: the call waits for a person, and then runs once. */
static void late(struct rig *rig)
{
	struct authority *a;
	struct scene s;

	CHECK(scene_set(rig, &s, NULL));
	a = authority_new(rig, AUTHORITY_SILENT);
	user_send(s.user, s.phone->slot, SLOT, "Flash", "ha{sv}", s.pack.fd, 0);
	user_send(s.user, ROOT, MANAGER, "OpenImage", "ha{sv}", s.pack.fd, 0);
	CHECK(users_until(rig, 5000, has_asked, a));
	users_sleep(rig, 1500);
	CHECK(a->asked == 2 && !s.user->answered && scene_untouched(&s));
	/* others are served meanwhile */
	CHECK(rig_call(rig, 5000, NULL, ROOT, MANAGER, "GetSlot", "s", s.phone->id));
	authority_answer(AUTHORITY_YES);
	CHECK(users_count(rig, &s.user->answered, 2) && !s.user->refused && a->asked == 2);
	CHECK(rig_counter(rig, "jobs-accepted") == 1);
	scene_strike(&s);
}

/* A prompt says "the job on any slot"; until it is answered the job is on a phone. */
static void changes(struct rig *rig)
{
	char *const keep[] = { (char *)"--keep=2", NULL };
	struct rig_phone *p;
	struct authority *a;
	struct scene s;
	sd_bus_message *m = NULL;
	const char *path;
	char job[64];

	CHECK(scene_set(rig, &s, keep));
	p = rig_phone(rig, "sc9863a", "2", NULL);
	a = authority_new(rig, AUTHORITY_SILENT);
	bed_phone_unplug(s.phone->bp, true);
	CHECK(rig_expect(rig, 3000, s.phone->slot, SLOT, "State", "empty"));
	CHECK(rig_call(rig, 5000, &m, ROOT, MANAGER, "FlashNext", "haoa{sv}", s.pack.fd, 0, 0));
	CHECK(sd_bus_message_read(m, "o", &path) > 0);
	snprintf(job, sizeof(job), "%s", path);
	sd_bus_message_unref(m);
	user_send(s.user, job, JOB, "Cancel", "a{sv}", 0);
	CHECK(users_until(rig, 5000, has_asked, a));
	CHECK(!strcmp(a->last.action, "org.fdld1.cancel") && !strcmp(a->last.slot, "any"));
	bed_phone_plug(p->bp, true);
	CHECK(rig_expect(rig, 5000, job, JOB, "Slot", p->slot));
	authority_answer(AUTHORITY_YES);
	CHECK(users_until(rig, 5000, has_answer, s.user));
	CHECK(!strcmp(s.user->error, NOT_AUTHORIZED) && strstr(s.user->text, "changed"));
	CHECK(!strcmp(rig_wait(rig, job, 30000), ""));
	/* and now it goes altogether */
	s.user->answered = 0;
	user_send(s.user, job, JOB, "GetUnitId", "a{sv}", 0);
	users_sleep(rig, 4000);
	CHECK(!strcmp(rig_get(rig, job, JOB, "State"), "?"));
	authority_answer(AUTHORITY_YES);
	CHECK(users_until(rig, 5000, has_answer, s.user));
	CHECK(!strcmp(s.user->error, "org.freedesktop.DBus.Error.UnknownObject"));
	scene_strike(&s);
}

static void bus_goes(struct rig *rig)
{
	struct authority *a;
	struct scene s;

	CHECK(scene_set(rig, &s, NULL));
	a = authority_new(rig, AUTHORITY_SILENT);
	user_send(s.user, s.phone->slot, SLOT, "Flash", "ha{sv}", s.pack.fd, 0);
	CHECK(users_until(rig, 5000, has_asked, a));
	users_forget();
	rig_disconnect(rig);
	bed_bus_stop(rig->bed);
	rig_sleep(rig, 300);
	bed_bus(rig->bed, NULL, NULL);
	CHECK(rig_expect(rig, 8000, ROOT, MANAGER, "Probing", "false"));
	CHECK(scene_untouched(&s) && rig_counter(rig, "jobs-accepted") == 0);
	s.user = user_new(rig, STRANGER);
	a = authority_new(rig, AUTHORITY_SILENT);
	user_send(s.user, s.phone->slot, SLOT, "Flash", "ha{sv}", s.pack.fd, 0);
	CHECK(users_until(rig, 5000, has_asked, a));
	/* the service stops: nobody must be left in front of a prompt */
	kill(rig->daemon, SIGTERM);
	CHECK(users_until(rig, 5000, has_cancelled, a));
	CHECK(!strcmp(a->cancelled_id, a->last.id));
	CHECK(rig_down(rig, 0, 5000) == 0);
	scene_strike(&s);
}

/* ---- whose job it is ------------------------------------------------------------------ */

static void starters(struct rig *rig)
{
	struct authority *a;
	struct user *other;
	struct scene s;
	sd_bus_message *m = NULL;
	const char *path;
	char job[64];

	CHECK(scene_set(rig, &s, NULL));
	other = user_new(rig, OTHER);
	a = authority_new(rig, AUTHORITY_YES);
	bed_phone_unplug(s.phone->bp, true);
	CHECK(rig_expect(rig, 3000, s.phone->slot, SLOT, "State", "empty"));
	CHECK(user_call(rig, s.user, 5000, &m, s.phone->slot, SLOT, "Flash", "ha{sv}", s.pack.fd, 1, "name",
			"s",
			"a\nb\xe2\x80\xae"
			"c.pac"));
	CHECK(sd_bus_message_read(m, "o", &path) > 0);
	snprintf(job, sizeof(job), "%s", path);
	sd_bus_message_unref(m);
	/* what would end a line, or turn what follows around, is not shown to anybody */
	CHECK(!strcmp(a->last.image, "a?b?c.pac"));
	a->mood = AUTHORITY_NO;
	CHECK(!user_call(rig, other, 5000, NULL, job, JOB, "Cancel", "a{sv}", 0));
	CHECK(!strcmp(other->error, NOT_AUTHORIZED));
	CHECK(!strcmp(a->last.action, "org.fdld1.cancel") && !strcmp(a->last.operation, "cancel"));
	CHECK(!strcmp(a->last.slot, s.phone->id));
	CHECK(!user_call(rig, other, 5000, NULL, job, JOB, "Cancel", "a{sv}", 1, "force", "b", 1));
	CHECK(!strcmp(a->last.operation, "cancel force"));
	CHECK(!user_call(rig, other, 5000, NULL, job, JOB, "Trace", "a{sv}", 0));
	CHECK(!strcmp(a->last.action, "org.fdld1.read-trace"));
	CHECK(a->asked == 4);
	/* from another connection of the same user, too */
	user_free(s.user);
	s.user = user_new(rig, STRANGER);
	CHECK(user_call(rig, s.user, 5000, NULL, job, JOB, "Trace", "a{sv}", 0));
	CHECK(!user_call(rig, s.user, 5000, NULL, job, JOB, "GetUnitId", "a{sv}", 0));
	CHECK(!strcmp(a->last.action, "org.fdld1.export-nv") && a->asked == 5);
	CHECK(user_call(rig, s.user, 5000, NULL, job, JOB, "Cancel", "a{sv}", 0));
	CHECK(a->asked == 5);
	CHECK(rig_expect(rig, 5000, job, JOB, "State", "cancelled"));
	scene_strike(&s);
}

/* ---- more than a flash ---------------------------------------------------------------- */

static bool action_of(struct rig *rig, struct scene *s, struct authority *a, const char *key,
		      const char *type, ...)
{
	char contents[2] = { type[0], '\0' };
	union {
		const char *s;
		int b;
	} v;
	va_list ap;
	bool ok;

	va_start(ap, type);
	if (type[0] == 's')
		v.s = va_arg(ap, const char *);
	else
		v.b = va_arg(ap, int);
	va_end(ap);
	ok = type[0] == 's' ? user_call(rig, s->user, 5000, NULL, s->phone->slot, SLOT, "Flash", "ha{sv}",
					s->pack.fd, 1, key, contents, v.s)
			    : user_call(rig, s->user, 5000, NULL, s->phone->slot, SLOT, "Flash", "ha{sv}",
					s->pack.fd, 1, key, contents, v.b);
	return !ok && !strcmp(s->user->error, NOT_AUTHORIZED) &&
	       !strcmp(a->last.action, "org.fdld1.flash-unprotected");
}

static void unprotected(struct rig *rig)
{
	struct authority *a;
	struct scene s;

	CHECK(scene_set(rig, &s, NULL));
	a = authority_new(rig, AUTHORITY_NO);
	a->only = "org.fdld1.flash";
	CHECK(action_of(rig, &s, a, "nv", "s", "package"));
	CHECK(!strcmp(a->last.operation, "flash nv=package"));
	CHECK(action_of(rig, &s, a, "nv", "s", "keep-if-any"));
	CHECK(action_of(rig, &s, a, "nv", "s", "no such word"));
	CHECK(action_of(rig, &s, a, "erase_all", "b", 1));
	CHECK(!strcmp(a->last.operation, "flash erase_all"));
	CHECK(action_of(rig, &s, a, "without_backup", "b", 1));
	CHECK(action_of(rig, &s, a, "nv_not_this_phone", "b", 1));
	CHECK(action_of(rig, &s, a, "force_loaders", "b", 1));
	CHECK(scene_untouched(&s));
	/* options that make no sense are told before anybody is asked */
	a->asked = 0;
	CHECK(!user_call(rig, s.user, 5000, NULL, s.phone->slot, SLOT, "Flash", "ha{sv}", s.pack.fd, 1,
			 "erase_al", "b", 1));
	CHECK(!strcmp(s.user->error, "org.fdld1.Error.InvalidArgs") && a->asked == 0);
	/* and what keeps everything is a flash */
	CHECK(user_call(rig, s.user, 5000, NULL, s.phone->slot, SLOT, "Flash", "ha{sv}", s.pack.fd, 3, "nv",
			"s", "keep", "erase_all", "b", 0, "dry_run", "b", 1));
	CHECK(a->asked == 1 && !strcmp(a->last.operation, "dry-run"));
	/* whose loaders: so is this, and it is shown */
	CHECK(!user_call(rig, s.user, 5000, NULL, s.phone->slot, SLOT, "Flash", "ha{sv}", s.pack.fd, 1,
			 "loader", "s", "nobody"));
	CHECK(a->asked == 2 && !strcmp(a->last.operation, "flash loader=nobody") &&
	      !strcmp(a->last.action, "org.fdld1.flash"));
	CHECK(!strcmp(s.user->error, "org.fdld1.Error.NoLoader"));
	scene_strike(&s);
}

/* A package that writes prodnv from a file: seen once it is open, and asked about then. */
static void device_unique(struct rig *rig)
{
	struct authority *a;
	struct scene s;
	char *plain, *xml;
	sd_bus_message *m = NULL;
	const char *path;
	char image[64];

	CHECK(scene_set(rig, &s, NULL));
	a = authority_new(rig, AUTHORITY_NO);
	plain = compose_scheme("sc9863a");
	xml = compose_replace(plain, "<File backup=\"1\">\n\t\t\t\t<ID>ProdNV</ID>",
			      "<File>\n\t\t\t\t<ID>ProdNV</ID>", false);
	s.pack.spec.xml = xml;
	rig_package_write(rig, &s.pack);
	/* the first question is about a flash; that it is more comes out when the package is open */
	a->only = "org.fdld1.flash";
	CHECK(!scene_flash(rig, &s, 5000, NULL, 0));
	CHECK(!strcmp(s.user->error, NOT_AUTHORIZED) && a->asked == 2);
	CHECK(!strcmp(a->last.action, "org.fdld1.flash-unprotected"));
	CHECK(!strcmp(a->last.slot, s.phone->id) && !strcmp(a->last.image, "stock.pac"));
	CHECK(!strcmp(a->last.operation, "flash device-unique"));
	/* left out, or not written at all, it is a flash like any other */
	CHECK(user_call(rig, s.user, 5000, NULL, s.phone->slot, SLOT, "Flash", "ha{sv}", s.pack.fd, 1,
			"dry_run", "b", 1));
	CHECK(a->asked == 3);
	CHECK(user_call(rig, s.user, 5000, NULL, s.phone->slot, SLOT, "Flash", "ha{sv}", s.pack.fd, 1,
			"without", "as", 1, "ProdNV"));
	CHECK(a->asked == 4);
	/* of an open image it is known at once */
	CHECK(rig_call(rig, 5000, &m, ROOT, MANAGER, "OpenImage", "ha{sv}", s.pack.fd, 0));
	CHECK(sd_bus_message_read(m, "o", &path) > 0);
	snprintf(image, sizeof(image), "%s", path);
	sd_bus_message_unref(m);
	CHECK(!user_call(rig, s.user, 5000, NULL, s.phone->slot, SLOT, "FlashImage", "oa{sv}", image, 0));
	CHECK(a->asked == 5 && !strcmp(a->last.action, "org.fdld1.flash-unprotected"));
	CHECK(!user_call(rig, s.user, 5000, NULL, ROOT, MANAGER, "FlashNextImage", "oaoa{sv}", image, 0, 0));
	CHECK(a->asked == 6 && !strcmp(a->last.action, "org.fdld1.flash-unprotected"));
	/* with both it goes; and whoever leaves at the second question has asked for nothing */
	a->only = NULL;
	a->mood = AUTHORITY_YES;
	CHECK(scene_flash(rig, &s, 5000, NULL, 0) && a->asked == 8 && rig_counter(rig, "jobs-accepted") == 3);
	a->asked = 0;
	user_send(s.user, s.phone->slot, SLOT, "Flash", "ha{sv}", s.pack.fd, 0);
	CHECK(users_until(rig, 5000, has_asked, a));
	a->mood = AUTHORITY_SILENT;
	CHECK(users_count(rig, &a->asked, 2));
	user_free(s.user);
	CHECK(users_until(rig, 5000, has_cancelled, a));
	authority_answer(AUTHORITY_YES);
	users_sleep(rig, 300);
	CHECK(rig_counter(rig, "jobs-accepted") == 3);
	free(plain);
	free(xml);
	scene_strike(&s);
}

static const struct rig_test tests[] = {
	{ "what polkit is asked, and what its answer does", asks },
	{ "no polkit, no, challenge, error, nonsense: refused", refuses },
	{ "polkit dies with the question open", authority_dies },
	{ "the caller leaves: the prompt is taken back, nothing runs", caller_leaves },
	{ "a late answer runs the call once", late },
	{ "what it was about has changed, or gone", changes },
	{ "the bus goes, the service stops", bus_goes },
	{ "whoever started a job stops it without a question", starters },
	{ "options that endanger what is the phone's own", unprotected },
	{ "a package that endangers it", device_unique },
};

int main(void)
{
	return users_run(tests, sizeof(tests) / sizeof(tests[0]));
}
