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

#include "tests/bus/walk.h"

#define STRANGER 65534
#define OTHER	 2 /* bin: the bus lets in only whom it finds in passwd */

/* ---- pieces ------------------------------------------------------------------------- */

struct scene {
	struct rig_phone *phone;
	struct rig_package pack;
	struct user *user;
};

static bool set(struct rig *rig, struct scene *s, char *const more[])
{
	users_forget(); /* of a test that broke off */
	memset(s, 0, sizeof(*s));
	s->phone = rig_phone(rig, "sc9863a", "1", NULL);
	rig_package(rig, &s->pack, "sc9863a", 40, 4096);
	if (!rig_up(rig, more) || !rig_plug(rig, s->phone))
		return false;
	s->user = user_new(rig, STRANGER);
	return true;
}

static void strike(struct scene *s)
{
	users_forget();
	rig_package_free(&s->pack);
}

/* Nothing that anybody asked for has reached the phone: nobody even opened it. */
static bool untouched(const struct scene *s)
{
	const struct bed_count *c = bed_count(bed_phone_dev(s->phone->bp));

	return !c->opens && !c->submits;
}

static uint64_t counter(struct rig *rig, const char *key)
{
	sd_bus_message *m = NULL;
	uint64_t value = UINT64_MAX, v;
	const char *k;

	if (!rig_call(rig, 5000, &m, ROOT, "org.freedesktop.DBus.Properties", "Get", "ss", MANAGER,
		      "Counters") ||
	    sd_bus_message_enter_container(m, 'v', "a{st}") < 0 ||
	    sd_bus_message_enter_container(m, 'a', "{st}") < 0)
		return value;
	while (sd_bus_message_read(m, "{st}", &k, &v) > 0)
		if (!strcmp(k, key))
			value = v;
	sd_bus_message_unref(m);
	return value;
}

static bool flash(struct rig *rig, struct scene *s, int timeout_ms, char *job, size_t room)
{
	sd_bus_message *m = NULL;
	const char *path = "";
	bool ok = user_call(rig, s->user, timeout_ms, &m, s->phone->slot, SLOT, "Flash", "ha{sv}", s->pack.fd,
			    1, "name", "s", "stock.pac");

	if (ok)
		(void)sd_bus_message_read(m, "o", &path);
	if (job)
		snprintf(job, room, "%s", path);
	sd_bus_message_unref(m);
	return ok;
}

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

	if (!users_exist())
		return;
	CHECK(set(rig, &s, NULL));
	a = authority_new(rig, AUTHORITY_NO);
	CHECK(!flash(rig, &s, 5000, NULL, 0));
	CHECK(!strcmp(s.user->error, NOT_AUTHORIZED));
	CHECK(a->asked == 1 && untouched(&s));
	CHECK(sd_bus_get_unique_name(s.user->bus, &name) >= 0);
	CHECK(!strcmp(a->last.kind, "system-bus-name") && !strcmp(a->last.name, name));
	CHECK(!strcmp(a->last.action, "org.fdld1.flash"));
	CHECK(!strcmp(a->last.slot, s.phone->id) && !strcmp(a->last.image, "stock.pac"));
	CHECK(!strcmp(a->last.operation, "flash"));
	CHECK(a->last.flags == 0 && a->last.id[0]);
	s.user->interactive = true;
	CHECK(!flash(rig, &s, 5000, NULL, 0));
	CHECK(a->asked == 2 && a->last.flags == 1);
	/* a yes runs it, once, and is not remembered */
	a->mood = AUTHORITY_YES;
	CHECK(flash(rig, &s, 5000, job, sizeof(job)));
	CHECK(!strcmp(rig_wait(rig, job, 30000), ""));
	CHECK(rig_num(rig, job, JOB, "StartedBy") == STRANGER);
	CHECK(a->asked == 3 && counter(rig, "jobs-accepted") == 1);
	a->mood = AUTHORITY_NO;
	CHECK(!flash(rig, &s, 5000, NULL, 0) && a->asked == 4);
	strike(&s);
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

	if (!users_exist())
		return;
	CHECK(set(rig, &s, NULL));
	/* no polkit at all */
	CHECK(!flash(rig, &s, 5000, NULL, 0));
	CHECK(!strcmp(s.user->error, NOT_AUTHORIZED) && strstr(s.user->text, "polkit"));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		a = authority_new(rig, cases[i].mood);
		s.user->interactive = i & 1;
		CHECK(!flash(rig, &s, 5000, NULL, 0));
		if (strcmp(s.user->error, cases[i].error))
			tap_note("%s expected, %s came", cases[i].error, s.user->error);
		CHECK(!strcmp(s.user->error, cases[i].error) && a->asked == 1);
	}
	CHECK(untouched(&s) && counter(rig, "jobs-accepted") == 0 && counter(rig, "images") == 0);
	/* root needs nobody's leave, ill or not */
	a = authority_new(rig, AUTHORITY_ERROR);
	CHECK(rig_call(rig, 5000, NULL, ROOT, MANAGER, "OpenImage", "ha{sv}", s.pack.fd, 0));
	CHECK(a->asked == 0);
	strike(&s);
}

/* It dies with the question open: the bus says so, and that is a no. */
static void authority_dies(struct rig *rig)
{
	struct authority *a;
	struct scene s;

	if (!users_exist())
		return;
	CHECK(set(rig, &s, NULL));
	a = authority_new(rig, AUTHORITY_SILENT);
	user_send(s.user, s.phone->slot, SLOT, "Flash", "ha{sv}", s.pack.fd, 0);
	CHECK(users_until(rig, 5000, has_asked, a));
	users_sleep(rig, 300);
	CHECK(!s.user->answered);
	authority_free();
	CHECK(users_until(rig, 5000, has_answer, s.user));
	CHECK(!strcmp(s.user->error, NOT_AUTHORIZED) && untouched(&s));
	strike(&s);
}

/* ---- callers that leave, questions that outlive what they are about ------------------- */

static void caller_leaves(struct rig *rig)
{
	struct authority *a;
	struct scene s;
	char id[64];

	if (!users_exist())
		return;
	CHECK(set(rig, &s, NULL));
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
	CHECK(counter(rig, "jobs-accepted") == 0 && counter(rig, "images") == 0 && untouched(&s));
	/* the daemon is none the worse for it */
	s.user = user_new(rig, STRANGER);
	a->mood = AUTHORITY_YES;
	CHECK(flash(rig, &s, 5000, NULL, 0));
	strike(&s);
}

/* Late is fine: the call waits for a person, and then runs once. */
static void late(struct rig *rig)
{
	struct authority *a;
	struct scene s;

	if (!users_exist())
		return;
	CHECK(set(rig, &s, NULL));
	a = authority_new(rig, AUTHORITY_SILENT);
	user_send(s.user, s.phone->slot, SLOT, "Flash", "ha{sv}", s.pack.fd, 0);
	user_send(s.user, ROOT, MANAGER, "OpenImage", "ha{sv}", s.pack.fd, 0);
	CHECK(users_until(rig, 5000, has_asked, a));
	users_sleep(rig, 1500);
	CHECK(a->asked == 2 && !s.user->answered && untouched(&s));
	/* others are served meanwhile */
	CHECK(rig_call(rig, 5000, NULL, ROOT, MANAGER, "GetSlot", "s", s.phone->id));
	authority_answer(AUTHORITY_YES);
	users_sleep(rig, 1000);
	CHECK(s.user->answered == 2 && !s.user->refused && a->asked == 2);
	CHECK(counter(rig, "jobs-accepted") == 1);
	strike(&s);
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

	if (!users_exist())
		return;
	CHECK(set(rig, &s, keep));
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
	strike(&s);
}

static void bus_goes(struct rig *rig)
{
	struct authority *a;
	struct scene s;

	if (!users_exist())
		return;
	CHECK(set(rig, &s, NULL));
	a = authority_new(rig, AUTHORITY_SILENT);
	user_send(s.user, s.phone->slot, SLOT, "Flash", "ha{sv}", s.pack.fd, 0);
	CHECK(users_until(rig, 5000, has_asked, a));
	users_forget();
	rig_disconnect(rig);
	bed_bus_stop(rig->bed);
	rig_sleep(rig, 300);
	bed_bus(rig->bed, NULL, NULL);
	CHECK(rig_expect(rig, 8000, ROOT, MANAGER, "Probing", "false"));
	CHECK(untouched(&s) && counter(rig, "jobs-accepted") == 0);
	s.user = user_new(rig, STRANGER);
	a = authority_new(rig, AUTHORITY_SILENT);
	user_send(s.user, s.phone->slot, SLOT, "Flash", "ha{sv}", s.pack.fd, 0);
	CHECK(users_until(rig, 5000, has_asked, a));
	/* the service stops: nobody must be left in front of a prompt */
	kill(rig->daemon, SIGTERM);
	CHECK(users_until(rig, 5000, has_cancelled, a));
	CHECK(!strcmp(a->cancelled_id, a->last.id));
	CHECK(rig_down(rig, 0, 5000) == 0);
	strike(&s);
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

	if (!users_exist())
		return;
	CHECK(set(rig, &s, NULL));
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
	strike(&s);
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

	if (!users_exist())
		return;
	CHECK(set(rig, &s, NULL));
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
	CHECK(untouched(&s));
	/* options that make no sense are told before anybody is asked */
	a->asked = 0;
	CHECK(!user_call(rig, s.user, 5000, NULL, s.phone->slot, SLOT, "Flash", "ha{sv}", s.pack.fd, 1,
			 "erase_al", "b", 1));
	CHECK(!strcmp(s.user->error, "org.fdld1.Error.InvalidArgs") && a->asked == 0);
	/* and what keeps everything is a flash */
	CHECK(user_call(rig, s.user, 5000, NULL, s.phone->slot, SLOT, "Flash", "ha{sv}", s.pack.fd, 3, "nv",
			"s", "keep", "erase_all", "b", 0, "dry_run", "b", 1));
	CHECK(a->asked == 1 && !strcmp(a->last.operation, "dry-run"));
	strike(&s);
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

	if (!users_exist())
		return;
	CHECK(set(rig, &s, NULL));
	a = authority_new(rig, AUTHORITY_NO);
	plain = compose_scheme("sc9863a");
	xml = compose_replace(plain, "<File backup=\"1\">\n\t\t\t\t<ID>ProdNV</ID>",
			      "<File>\n\t\t\t\t<ID>ProdNV</ID>", false);
	s.pack.spec.xml = xml;
	rig_package_write(rig, &s.pack);
	/* the first question is about a flash; that it is more comes out when the package is open */
	a->only = "org.fdld1.flash";
	CHECK(!flash(rig, &s, 5000, NULL, 0));
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
	CHECK(flash(rig, &s, 5000, NULL, 0) && a->asked == 8 && counter(rig, "jobs-accepted") == 3);
	a->asked = 0;
	user_send(s.user, s.phone->slot, SLOT, "Flash", "ha{sv}", s.pack.fd, 0);
	CHECK(users_until(rig, 5000, has_asked, a));
	a->mood = AUTHORITY_SILENT;
	users_sleep(rig, 500);
	CHECK(a->asked == 2);
	user_free(s.user);
	CHECK(users_until(rig, 5000, has_cancelled, a));
	authority_answer(AUTHORITY_YES);
	users_sleep(rig, 300);
	CHECK(counter(rig, "jobs-accepted") == 3);
	free(plain);
	free(xml);
	strike(&s);
}

/* ---- every method, every object ------------------------------------------------------- */

struct wanderer {
	struct rig *rig;
	struct scene *s;
	char image[64];
	unsigned int asked, denied, open, own;
	bool allowed; /* they are to be let in */
	char wrong[256];
};

/* What anybody may call: reading. Whatever is not here must be refused to a stranger. */
static bool is_reading(const struct walk_method *method)
{
	static const char *const list[] = { MANAGER ".GetSlot", MANAGER ".GetJob", JOB ".Plan", JOB ".Wait" };
	char name[128];

	snprintf(name, sizeof(name), "%s.%s", method->iface, method->name);
	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		if (!strcmp(name, list[i]))
			return true;
	return false;
}

/* Arguments that are all right, made from their types. */
static bool call_it(struct wanderer *w, const struct walk_method *method)
{
	struct user *user = w->s->user;
	const char *p = method->path, *i = method->iface, *n = method->name, *t = method->types;
	struct rig *rig = w->rig;
	int fd = w->s->pack.fd;

	if (!t[0])
		return user_call(rig, user, 5000, NULL, p, i, n, NULL);
	if (!strcmp(t, "a{sv}"))
		return user_call(rig, user, 5000, NULL, p, i, n, t, 0);
	if (!strcmp(t, "ha{sv}"))
		return user_call(rig, user, 5000, NULL, p, i, n, t, fd, 0);
	if (!strcmp(t, "haoa{sv}"))
		return user_call(rig, user, 5000, NULL, p, i, n, t, fd, 0, 0);
	if (!strcmp(t, "oa{sv}"))
		return user_call(rig, user, 5000, NULL, p, i, n, t, w->image, 0);
	if (!strcmp(t, "oaoa{sv}"))
		return user_call(rig, user, 5000, NULL, p, i, n, t, w->image, 0, 0);
	snprintf(user->error, sizeof(user->error), "no arguments for %s: teach this test", t);
	return false;
}

static void try_one(const struct walk_method *method, void *arg)
{
	struct wanderer *w = arg;
	struct user *user = w->s->user;
	bool ok, refused;

	if (is_reading(method)) {
		w->open++;
		return;
	}
	w->asked++;
	ok = call_it(w, method);
	refused = !ok && (!strcmp(user->error, NOT_AUTHORIZED) || !strcmp(user->error, NEEDS_PASSWORD));
	w->denied += refused;
	/* Release gives back what the caller holds, and a stranger holds nothing */
	if (!strcmp(method->iface, IMAGE) && !strcmp(method->name, "Release") && !ok &&
	    !strcmp(user->error, "org.fdld1.Error.NoSuchImage")) {
		w->own++;
		return;
	}
	if (refused == w->allowed && !w->wrong[0])
		snprintf(w->wrong, sizeof(w->wrong), "%s.%s on %s: %s", method->iface, method->name,
			 method->path, ok ? "done" : user->error);
}

static bool wander(struct rig *rig, struct scene *s, bool allowed)
{
	struct wanderer w = { .rig = rig, .s = s, .allowed = allowed };
	sd_bus_message *m = NULL;
	const char *path = "";
	struct walk walk;

	/* one of each: a slot with a phone, an image, a job that waits elsewhere */
	if (!rig_call(rig, 5000, &m, ROOT, MANAGER, "OpenImage", "ha{sv}", s->pack.fd, 0) ||
	    sd_bus_message_read(m, "o", &path) < 0)
		return false;
	snprintf(w.image, sizeof(w.image), "%s", path);
	sd_bus_message_unref(m);
	walk_objects(rig, &walk);
	walk_methods(rig, &walk, try_one, &w);
	tap_note("%u objects, %u methods: %u open, %u tried, %u denied, %u not the caller's", walk.paths,
		 walk.methods, w.open, w.asked, w.denied, w.own);
	if (w.wrong[0])
		tap_note("%s", w.wrong);
	return !w.wrong[0] && walk.paths >= 5 && w.asked >= 10 && w.own >= 1 && w.open >= 4;
}

static void closed(struct rig *rig)
{
	struct authority *a;
	struct scene s;
	struct walk walk;
	sd_bus_message *m = NULL;

	if (!users_exist())
		return;
	CHECK(set(rig, &s, NULL));
	/* the job that is there to be cancelled is somebody else's, and waits for a phone that never comes */
	bed_phone_unplug(s.phone->bp, true);
	CHECK(rig_expect(rig, 3000, s.phone->slot, SLOT, "State", "empty"));
	CHECK(rig_flash(rig, s.phone->slot, s.pack.fd, NULL, 0));
	s.phone = rig_phone(rig, "sc9863a", "2", NULL);
	CHECK(rig_plug(rig, s.phone));
	CHECK(wander(rig, &s, false)); /* no polkit */
	a = authority_new(rig, AUTHORITY_NO);
	CHECK(wander(rig, &s, false));
	CHECK(a->asked > 0);
	a->mood = AUTHORITY_CHALLENGE;
	CHECK(wander(rig, &s, false));
	CHECK(untouched(&s) && counter(rig, "jobs-accepted") == 1);
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
	CHECK(wander(rig, &s, true));
	strike(&s);
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
	{ "every method of every object is closed to strangers", closed },
};

int main(void)
{
	return rig_run(tests, sizeof(tests) / sizeof(tests[0]));
}
