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

/* What the daemon asks about is what the installed policy knows, all of it and nothing else. */
static bool as_installed(const struct authority *a)
{
	char line[512], id[64];
	unsigned int known = 0, asked = 0;
	FILE *f = fopen("dbus/org.fdld1.policy", "r");

	while (f && fgets(line, sizeof(line), f)) {
		unsigned int i = 0;

		if (sscanf(line, " <action id=\"%63[^\"]\"", id) != 1)
			continue;
		known++;
		while (i < a->actions && strcmp(a->action[i], id) != 0)
			i++;
		if (i == a->actions)
			tap_note("no method asks about %s", id);
		else
			asked++;
	}
	if (f)
		fclose(f);
	tap_note("%u actions in the policy, %u of them asked about, %u in all", known, asked, a->actions);
	return known && known == asked && asked == a->actions;
}

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
	CHECK(rig_call(rig, 20000, NULL, ROOT, MANAGER, "ImportLoader", "ha{sv}", s.pack.fd, 0));
	CHECK(walk_as_stranger(rig, &s, false)); /* no polkit */
	a = authority_new(rig, AUTHORITY_NO);
	CHECK(walk_as_stranger(rig, &s, false));
	CHECK(!user_call(rig, s.user, 5000, NULL, s.phone->slot, SLOT, "Flash", "ha{sv}", s.pack.fd, 1,
			 "erase_all", "b", 1));
	CHECK(as_installed(a));
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

/* ---- what is the phone's own ---------------------------------------------------------- */

#define PLAIN_UID "c0ffee1234567890"

/* What must not be read anywhere, in every shape it could take. */
struct secrets {
	char text[16][160];
	unsigned int count, found;
	char where[512];
};

static void add_secret(struct secrets *x, const char *text)
{
	if (x->count < 16)
		snprintf(x->text[x->count++], sizeof(x->text[0]), "%s", text);
}

/* As it is, and as dumps show it. */
static void add_bytes(struct secrets *x, const uint8_t *bytes, size_t len)
{
	char hex[160] = "", upper[160] = "", spaced[160] = "";

	for (size_t i = 0; i < len && i < 40; i++) {
		snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
		snprintf(upper + 2 * i, 3, "%02X", bytes[i]);
		snprintf(spaced + 3 * i, 4, "%02x ", bytes[i]);
	}
	add_secret(x, hex);
	add_secret(x, upper);
	add_secret(x, spaced);
}

static void look_into(struct secrets *x, const char *where, const char *text)
{
	for (unsigned int i = 0; i < x->count; i++)
		if (strcasestr(text, x->text[i]) && !x->found++)
			snprintf(x->where, sizeof(x->where), "%s: ...%.300s", where, text);
}

static void look_at(const char *path, const char *iface, const char *name, const char *value, void *arg)
{
	char where[600];

	snprintf(where, sizeof(where), "%s %s.%s", path, iface, name);
	look_into(arg, where, value);
}

/* Everything a stranger can read now. */
static unsigned int look_around(struct rig *rig, struct secrets *x, struct scene *s, const char *job)
{
	static char text[65536];
	struct walk walk;
	sd_bus_message *m = NULL;
	size_t n;
	FILE *f;

	walk_objects(rig, &walk);
	walk_properties(rig, &walk, look_at, x);
	if (user_call(rig, s->user, 5000, &m, job, JOB, "Plan", "a{sv}", 0)) {
		text[0] = '\0';
		walk_text(m, text, sizeof(text));
		look_into(x, "Plan", text);
		sd_bus_message_unref(m);
	}
	f = fopen(rig->log, "r");
	n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
	text[n] = '\0';
	look_into(x, "log", text);
	if (f)
		fclose(f);
	return walk.properties;
}

static void know(struct secrets *x, struct scene *s, char *full, size_t room)
{
	uint8_t bytes[64];
	size_t n;

	memset(x, 0, sizeof(*x));
	/* any nine digits of it are more than is shown; told as text, so that dumps show the letters' codes
	 */
	snprintf(full, room, "%s", phone_uid_text(s->phone->phone));
	add_secret(x, full + strlen(full) - 9);
	add_bytes(x, (const uint8_t *)full, 8);
	add_secret(x, PLAIN_UID);
	/* item 5: the IMEI */
	n = rig_nv_item(s->phone->phone, 5, bytes, sizeof(bytes));
	if (n >= 8)
		add_bytes(x, bytes, 8);
}

static void privacy(struct rig *rig)
{
	static const char *const stages[] = { "boot", "system" };
	struct phone_setup setup = { .uid = PLAIN_UID,
				     .faults = "late at end of boot for 2s; late at end of system for 2s" };
	struct secrets x;
	struct scene s;
	sd_bus_message *m = NULL;
	const char *job, *text;
	char full[128], unit[32] = "", path[64];
	unsigned int read = 0;

	memset(&s, 0, sizeof(s));
	users_forget();
	s.phone = rig_phone(rig, "sc9863a", "1", &setup);
	rig_package(rig, &s.pack, "sc9863a", 41, 100000);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, s.phone));
	s.user = user_new(rig, STRANGER);
	know(&x, &s, full, sizeof(full));
	CHECK(strlen(full) >= 16 && x.count >= 8);
	job = rig_flash(rig, s.phone->slot, s.pack.fd, "a{sv}", 1, "level", "s", "verified");
	CHECK(job);
	snprintf(path, sizeof(path), "%s", job);
	for (size_t i = 0; i < sizeof(stages) / sizeof(stages[0]); i++) {
		CHECK(rig_expect(rig, 20000, path, JOB, "Entry", stages[i]));
		/* the beginning is shown, and that is all */
		if (!unit[0])
			snprintf(unit, sizeof(unit), "%s",
				 rig_get(rig, rig_get(rig, path, JOB, "Device"), DEVICE, "UnitId"));
		read += look_around(rig, &x, &s, path);
	}
	CHECK(strlen(unit) == 8);
	CHECK(!strcmp(rig_wait(rig, path, 60000), ""));
	read += look_around(rig, &x, &s, path);
	/* in full to those who may */
	CHECK(rig_call(rig, 5000, &m, path, JOB, "GetUnitId", "a{sv}", 0) &&
	      sd_bus_message_read(m, "s", &text) > 0);
	CHECK(strlen(text) == 64 && !strncmp(text, unit, 8));
	add_secret(&x, text + 55);
	sd_bus_message_unref(m);
	read += look_around(rig, &x, &s, path);
	tap_note("%u values read, %u secrets in %u shapes", read, 3u, x.count);
	if (x.found)
		tap_note("%s", x.where);
	CHECK(!x.found && read > 200);
	scene_strike(&s);
}

/* The frames of a job that failed are shown around to find out why. */
static void traces(struct rig *rig)
{
	struct phone_setup setup = { .uid = PLAIN_UID, .faults = "F04 at read-start of l_fixnv1" };
	struct secrets x;
	struct scene s;
	sd_bus_message *m = NULL;
	const char *job, *text = "";
	char full[128];

	memset(&s, 0, sizeof(s));
	users_forget();
	s.phone = rig_phone(rig, "sc9863a", "1", &setup);
	rig_package(rig, &s.pack, "sc9863a", 42, 4096);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, s.phone));
	know(&x, &s, full, sizeof(full));
	job = rig_flash(rig, s.phone->slot, s.pack.fd, NULL, 0);
	CHECK(job && strcmp(rig_wait(rig, job, 60000), "") != 0);
	CHECK(rig_call(rig, 5000, &m, job, JOB, "Trace", "a{sv}", 0) &&
	      sd_bus_message_read(m, "s", &text) > 0);
	CHECK(strstr(text, "secret") && strstr(text, "001a"));
	look_into(&x, "trace", text);
	if (x.found)
		tap_note("%s", x.where);
	CHECK(!x.found);
	sd_bus_message_unref(m);
	scene_strike(&s);
}

/* ---- how much one user can take up ---------------------------------------------------- */

#define LIMITS "org.fdld1.Error.LimitsExceeded"

static bool refused_for_limits(struct rig *rig, struct user *user, const char *path, const char *iface,
			       const char *member)
{
	bool ok = user_call(rig, user, 5000, NULL, path, iface, member, "a{sv}", 0);

	if (ok || strcmp(user->error, LIMITS) != 0)
		tap_note("%s: %s", member, ok ? "done" : user->error);
	return !ok && !strcmp(user->error, LIMITS);
}

static void prompts(struct rig *rig)
{
	struct authority *a;
	struct user *second, *third, *other;
	struct scene s;

	CHECK(scene_set(rig, &s, NULL));
	second = user_new(rig, STRANGER);
	third = user_new(rig, STRANGER);
	other = user_new(rig, OTHER);
	a = authority_new(rig, AUTHORITY_SILENT);
	for (int i = 0; i < 8; i++)
		user_send(s.user, ROOT, MANAGER, "Drain", "a{sv}", 0);
	CHECK(users_count(rig, &a->asked, 8) && !s.user->answered);
	CHECK(refused_for_limits(rig, s.user, ROOT, MANAGER, "Drain"));
	for (int i = 0; i < 8; i++)
		user_send(second, ROOT, MANAGER, "Drain", "a{sv}", 0);
	CHECK(users_count(rig, &a->asked, 16));
	/* another connection of the same user is no way round it; another user has a right of its own */
	CHECK(refused_for_limits(rig, third, ROOT, MANAGER, "Drain"));
	user_send(other, ROOT, MANAGER, "Drain", "a{sv}", 0);
	CHECK(users_count(rig, &a->asked, 17) && !other->answered);
	authority_answer(AUTHORITY_NO);
	CHECK(users_count(rig, &s.user->refused, 8) && users_count(rig, &second->refused, 8) &&
	      users_count(rig, &other->refused, 1));
	user_send(third, ROOT, MANAGER, "Drain", "a{sv}", 0);
	CHECK(users_count(rig, &a->asked, 18));
	/* and whoever leaves makes room */
	user_free(third);
	CHECK(users_count(rig, &a->cancelled, 1));
	scene_strike(&s);
}

static void send_waits(struct rig *rig, struct user *user, const char *job, int count)
{
	/* the first alone: until the bus has said who calls, no more than 16 calls are held */
	for (int i = 0; i < count; i++) {
		user_send(user, job, JOB, "Wait", NULL);
		if (!i)
			users_sleep(rig, 300);
	}
}

static void waits(struct rig *rig)
{
	struct user *second, *other;
	struct scene s;
	const char *job;

	CHECK(scene_set(rig, &s, NULL));
	bed_phone_unplug(s.phone->bp, true);
	CHECK(rig_expect(rig, 3000, s.phone->slot, SLOT, "State", "empty"));
	job = rig_flash(rig, s.phone->slot, s.pack.fd, NULL, 0);
	CHECK(job);
	second = user_new(rig, STRANGER);
	other = user_new(rig, OTHER);
	send_waits(rig, s.user, job, 70);
	CHECK(users_count(rig, &s.user->answered, 6) && s.user->refused == 6 &&
	      !strcmp(s.user->error, LIMITS));
	send_waits(rig, second, job, 40);
	CHECK(users_count(rig, &second->refused, 8)); /* 96 of the user */
	send_waits(rig, other, job, 40);
	CHECK(users_count(rig, &other->refused, 8)); /* 128 of the job */
	/* its starter is not shut out by all of these */
	CHECK(!strcmp(rig_wait(rig, job, 500), "timeout"));
	CHECK(rig_call(rig, 5000, NULL, job, JOB, "Cancel", "a{sv}", 0));
	CHECK(users_count(rig, &s.user->answered, 70) && users_count(rig, &second->answered, 40) &&
	      users_count(rig, &other->answered, 40));
	scene_strike(&s);
}

/* 64 connections of one user, each of which waits for something. */
static void connections(struct rig *rig)
{
	struct user *last, *other;
	struct scene s;
	const char *job;

	CHECK(scene_set(rig, &s, NULL));
	bed_phone_unplug(s.phone->bp, true);
	CHECK(rig_expect(rig, 3000, s.phone->slot, SLOT, "State", "empty"));
	job = rig_flash(rig, s.phone->slot, s.pack.fd, NULL, 0);
	CHECK(job);
	user_send(s.user, job, JOB, "Wait", NULL);
	for (int i = 0; i < 63; i++)
		user_send(user_new(rig, STRANGER), job, JOB, "Wait", NULL);
	last = user_new(rig, STRANGER);
	other = user_new(rig, OTHER);
	users_sleep(rig, rig_patience(500));
	CHECK(!user_call(rig, last, 5000, NULL, job, JOB, "Wait", NULL) && !strcmp(last->error, LIMITS));
	/* reading is still for everyone, and others come in */
	CHECK(user_call(rig, last, 5000, NULL, ROOT, MANAGER, "GetSlot", "s", s.phone->id));
	CHECK(!user_call(rig, other, 500, NULL, job, JOB, "Wait", NULL) && !other->error[0]);
	CHECK(rig_call(rig, 5000, NULL, ROOT, MANAGER, "OpenImage", "ha{sv}", s.pack.fd, 0));
	/* one goes, one comes */
	user_free(s.user);
	users_sleep(rig, 200);
	CHECK(!user_call(rig, last, 500, NULL, job, JOB, "Wait", NULL) && !last->error[0]);
	scene_strike(&s);
}

static void images(struct rig *rig)
{
	struct authority *a;
	struct user *second, *other;
	struct scene s;

	CHECK(scene_set(rig, &s, NULL));
	second = user_new(rig, STRANGER);
	other = user_new(rig, OTHER);
	a = authority_new(rig, AUTHORITY_YES);
	for (int i = 0; i < 16; i++)
		CHECK(user_call(rig, s.user, 5000, NULL, ROOT, MANAGER, "OpenImage", "ha{sv}", s.pack.fd, 0));
	for (int i = 0; i < 16; i++)
		CHECK(user_call(rig, second, 5000, NULL, ROOT, MANAGER, "OpenImage", "ha{sv}", s.pack.fd, 0));
	CHECK(!user_call(rig, second, 5000, NULL, ROOT, MANAGER, "OpenImage", "ha{sv}", s.pack.fd, 0));
	CHECK(!strcmp(second->error, LIMITS) && rig_counter(rig, "images") == 32);
	CHECK(!user_call(rig, second, 5000, NULL, s.phone->slot, SLOT, "Flash", "ha{sv}", s.pack.fd, 0));
	CHECK(!strcmp(second->error, LIMITS) && a->asked == 34);
	CHECK(user_call(rig, other, 5000, NULL, ROOT, MANAGER, "OpenImage", "ha{sv}", s.pack.fd, 0));
	CHECK(rig_call(rig, 5000, NULL, ROOT, MANAGER, "OpenImage", "ha{sv}", s.pack.fd, 0));
	/* they go with who holds them */
	user_free(s.user);
	for (int i = 0; i < rig_patience(20) && rig_counter(rig, "images") != 18; i++)
		users_sleep(rig, 100);
	CHECK(rig_counter(rig, "images") == 18);
	CHECK(user_call(rig, second, 5000, NULL, ROOT, MANAGER, "OpenImage", "ha{sv}", s.pack.fd, 0));
	scene_strike(&s);
}

static void jobs(struct rig *rig)
{
	sd_bus_message *m = NULL;
	struct user *other;
	struct scene s;
	const char *image;
	bool refused;

	CHECK(scene_set(rig, &s, NULL));
	bed_phone_unplug(s.phone->bp, true);
	CHECK(rig_expect(rig, 3000, s.phone->slot, SLOT, "State", "empty"));
	(void)authority_new(rig, AUTHORITY_YES);
	other = user_new(rig, OTHER);
	CHECK(rig_call(rig, 5000, &m, ROOT, MANAGER, "OpenImage", "ha{sv}", s.pack.fd, 0));
	CHECK(sd_bus_message_read(m, "o", &image) > 0);
	for (int i = 0; i < 256; i++)
		CHECK(user_call(rig, s.user, 5000, NULL, ROOT, MANAGER, "FlashNextImage", "oaoa{sv}", image,
				0, 0));
	refused = !user_call(rig, s.user, 5000, NULL, ROOT, MANAGER, "FlashNextImage", "oaoa{sv}", image, 0,
			     0);
	CHECK(refused && !strcmp(s.user->error, LIMITS));
	CHECK(rig_counter(rig, "jobs-waiting") == 256);
	CHECK(user_call(rig, other, 5000, NULL, ROOT, MANAGER, "FlashNextImage", "oaoa{sv}", image, 0, 0));
	CHECK(rig_call(rig, 5000, NULL, ROOT, MANAGER, "FlashNextImage", "oaoa{sv}", image, 0, 0));
	/* one ends, one may come */
	CHECK(user_call(rig, s.user, 5000, NULL, ROOT "/job/7", JOB, "Cancel", "a{sv}", 0));
	CHECK(rig_expect(rig, 5000, ROOT "/job/7", JOB, "State", "cancelled"));
	CHECK(user_call(rig, s.user, 5000, NULL, ROOT, MANAGER, "FlashNextImage", "oaoa{sv}", image, 0, 0));
	sd_bus_message_unref(m);
	scene_strike(&s);
}

/* What the disk is asked stands in one line with what is written for the jobs of all. */
static void traces_at_once(struct rig *rig)
{
	struct user *second;
	struct scene s;
	char job[64];

	CHECK(scene_set(rig, &s, NULL));
	(void)authority_new(rig, AUTHORITY_YES);
	CHECK(scene_flash(rig, &s, 5000, job, sizeof(job)));
	CHECK(!strcmp(rig_wait(rig, job, 60000), ""));
	second = user_new(rig, STRANGER);
	CHECK(user_call(rig, second, 5000, NULL, job, JOB, "Trace", "a{sv}", 0));
	for (int i = 0; i < 60; i++)
		user_send(s.user, job, JOB, "Trace", "a{sv}", 0);
	CHECK(users_count(rig, &s.user->answered, 60));
	tap_note("%u of 60 traces at once were refused", s.user->refused);
	CHECK(s.user->refused > 0 && s.user->refused < 60 && !strcmp(s.user->error, LIMITS));
	/* one after the other there are as many as one likes */
	for (int i = 0; i < 20; i++)
		CHECK(user_call(rig, s.user, 5000, NULL, job, JOB, "Trace", "a{sv}", 0));
	/* and asking without waiting for the answer leaves nothing behind */
	for (int i = 0; i < 4; i++)
		user_send(second, job, JOB, "Trace", "a{sv}", 0);
	CHECK(sd_bus_flush(second->bus) >= 0);
	user_free(second);
	users_sleep(rig, 200);
	CHECK(user_call(rig, s.user, 5000, NULL, job, JOB, "Trace", "a{sv}", 0));
	scene_strike(&s);
}

static const struct rig_test tests[] = {
	{ "every method of every object is closed to strangers", closed },
	{ "identity and NV are nowhere to be read", privacy },
	{ "identity and NV are in no trace", traces },
	{ "prompts of one user", prompts },
	{ "waits of one user, and of one job", waits },
	{ "connections of one user", connections },
	{ "packages of one user", images },
	{ "jobs of one user", jobs },
	{ "traces at once", traces_at_once },
};

int main(void)
{
	return users_run(tests, sizeof(tests) / sizeof(tests[0]));
}
