/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is a phone's own and a person's: its identity in full, its IMEI, the content of its NV. Every local
 * user can read properties, histories and some files; none of these may be in any of them, and neither in the
 * journal.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/bus/walk.h"

#define NV_IMEI	       5u
#define NV_CALIBRATION 0x191u
#define SHORT_UNIT     8

struct secrets {
	char unit[80];	 /* in full, as GetUnitId says */
	char imei[40];	 /* its bytes */
	char number[20]; /* its digits */
	char calibration[40];
	unsigned int seen, shown, told; /* values looked at; the short unit in them; secrets in them */
};

static void hex_of(const uint8_t *bytes, size_t len, char *out)
{
	for (size_t i = 0; i < len; i++)
		sprintf(out + 2 * i, "%02x", bytes[i]);
}

/* Two digits a byte, the lower half first; the first half byte says what it is. */
static void digits_of(const uint8_t *bytes, size_t len, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (i)
			out[n++] = (char)('0' + (bytes[i] & 15) % 10);
		out[n++] = (char)('0' + (bytes[i] >> 4) % 10);
	}
	out[n] = '\0';
}

static bool holds(const char *text, const char *secret)
{
	size_t len = strlen(secret);

	for (; *text; text++)
		if (!strncasecmp(text, secret, len))
			return true;
	return false;
}

/* In one place; what: to be named when it is found. */
static void look(struct secrets *s, const char *text, const char *where, const char *what)
{
	char longer[SHORT_UNIT + 2], shorter[SHORT_UNIT + 1];

	/* one digit more than everybody may see is too many */
	snprintf(longer, sizeof(longer), "%.*s", SHORT_UNIT + 1, s->unit);
	snprintf(shorter, sizeof(shorter), "%.*s", SHORT_UNIT, s->unit);
	s->seen++;
	s->shown += holds(text, shorter);
	if (holds(text, longer) || holds(text, s->imei) || holds(text, s->number) ||
	    holds(text, s->calibration)) {
		s->told++;
		tap_note("%s %s: %.200s", where, what, text);
	}
}

static void on_property(const char *path, const char *iface, const char *name, const char *value, void *arg)
{
	char what[128];

	snprintf(what, sizeof(what), "%s.%s", iface, name);
	look(arg, value, path, what);
}

static bool look_at_file(struct secrets *s, const char *path)
{
	static char text[1 << 20];
	FILE *f = fopen(path, "r");
	size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;

	text[n] = '\0';
	for (size_t i = 0; i < n; i++)
		text[i] = text[i] ? text[i] : ' ';
	if (f)
		fclose(f);
	look(s, text, path, "");
	return n > 0;
}

/* What History hands out to whoever asks, without a leave. */
static bool look_at_history(struct rig *rig, struct user *user, struct secrets *s, const char *job)
{
	sd_bus_message *m = NULL;
	static char text[1 << 16];
	ssize_t n = 0;
	bool found;
	int fd;

	if (!user_call(rig, user, 10000, &m, ROOT, MANAGER, "History", "a{sv}", 1, "steps", "b", 1))
		return false;
	if (sd_bus_message_read_basic(m, 'h', &fd) > 0)
		n = pread(fd, text, sizeof(text) - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	sd_bus_message_unref(m);
	look(s, text, "History", job);
	found = strstr(text, "\"job\"") != NULL;
	/* and a longer question is no way to guess it digit by digit */
	for (char digit = '0'; found && digit <= 'f'; digit = (char)(digit == '9' ? 'a' : digit + 1)) {
		char guess[SHORT_UNIT + 2];

		snprintf(guess, sizeof(guess), "%.*s%c", SHORT_UNIT, s->unit, digit);
		m = NULL;
		if (!user_call(rig, user, 10000, &m, ROOT, MANAGER, "History", "a{sv}", 1, "unit", "s",
			       guess))
			return false;
		n = sd_bus_message_read_basic(m, 'h', &fd) > 0 ? pread(fd, text, sizeof(text) - 1, 0) : -1;
		sd_bus_message_unref(m);
		if (n <= 0) {
			tap_note("whether the next digit is %c can be told", digit);
			return false;
		}
	}
	return found;
}

static void own_data(struct rig *rig)
{
	struct phone_setup waits = { .faults = "late at end of system for 2s" };
	struct secrets s = { .seen = 0 };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &waits);
	struct rig_package pack;
	sd_bus_message *m = NULL;
	struct user *user;
	uint8_t bytes[512];
	char job[64];
	const char *text;
	struct walk walk;

	CHECK(rig_nv_item(p->phone, NV_IMEI, bytes, sizeof(bytes)) == 8);
	hex_of(bytes, 8, s.imei);
	digits_of(bytes, 8, s.number);
	CHECK(rig_nv_item(p->phone, NV_CALIBRATION, bytes, sizeof(bytes)) >= 8);
	hex_of(bytes, 8, s.calibration);
	rig_package(rig, &pack, "sc9863a", 51, 4096);
	CHECK(rig_up(rig, NULL));
	user = user_new(rig, STRANGER);
	CHECK(rig_plug(rig, p));
	text = rig_flash(rig, p->slot, pack.fd, "a{sv}", 1, "level", "s", "verified");
	CHECK(text);
	snprintf(job, sizeof(job), "%s", text);
	CHECK(rig_expect(rig, 20000, job, JOB, "Stage", "flash"));
	CHECK(rig_call(rig, 5000, &m, job, JOB, "GetUnitId", "a{sv}", 0));
	CHECK(sd_bus_message_read(m, "s", &text) > 0 && strlen(text) > SHORT_UNIT + 1);
	snprintf(s.unit, sizeof(s.unit), "%s", text);
	sd_bus_message_unref(m);
	/* while it runs, and when it has ended */
	memset(&walk, 0, sizeof(walk));
	walk_objects(rig, &walk);
	walk_properties(rig, &walk, on_property, &s);
	CHECK(!strcmp(rig_wait(rig, job, 60000), ""));
	memset(&walk, 0, sizeof(walk));
	walk_objects(rig, &walk);
	walk_properties(rig, &walk, on_property, &s);
	CHECK(walk.properties > 50);
	CHECK(look_at_history(rig, user, &s, job));
	CHECK(look_at_file(&s, rig->log));
	tap_note("%u values, the short identity in %u of them", s.seen, s.shown);
	CHECK(s.told == 0);
	/* the short one is there: it was not for want of an identity that nothing was found */
	CHECK(s.shown > 0);
	/* and the whole is for whoever is let in */
	CHECK(!user_call(rig, user, 5000, NULL, job, JOB, "GetUnitId", "a{sv}", 0));
	CHECK(!user_call(rig, user, 5000, NULL, ROOT, MANAGER, "History", "a{sv}", 1, "full", "b", 1));
	CHECK(!user_call(rig, user, 5000, NULL, ROOT, MANAGER, "Backups", "a{sv}", 1, "full", "b", 1));
	user_free(user);
	rig_package_free(&pack);
}

/* Whoever may read the trace of a job reads what was said, not what was in it. */
static void trace(struct rig *rig)
{
	struct phone_setup fails = { .faults = "refuse at end of boot with 0x84; F37 on boot" };
	struct secrets s = { .unit = "zzzzzzzzzzzz" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &fails);
	struct rig_package pack;
	sd_bus_message *m = NULL;
	uint8_t bytes[512];
	char job[64];
	const char *text;

	CHECK(rig_nv_item(p->phone, NV_IMEI, bytes, sizeof(bytes)) == 8);
	hex_of(bytes, 8, s.imei);
	digits_of(bytes, 8, s.number);
	CHECK(rig_nv_item(p->phone, NV_CALIBRATION, bytes, sizeof(bytes)) >= 8);
	hex_of(bytes, 8, s.calibration);
	rig_package(rig, &pack, "sc9863a", 52, 4096);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	text = rig_flash(rig, p->slot, pack.fd, NULL, 0);
	CHECK(text);
	snprintf(job, sizeof(job), "%s", text);
	CHECK(rig_wait(rig, job, 60000)[0]);
	CHECK(rig_call(rig, 5000, &m, job, JOB, "Trace", "a{sv}", 0));
	CHECK(sd_bus_message_read(m, "s", &text) > 0 && strstr(text, "secret"));
	look(&s, text, job, "Trace");
	sd_bus_message_unref(m);
	CHECK(s.told == 0);
	rig_package_free(&pack);
}

static const struct rig_test tests[] = {
	{ "no property, history or journal tells what is a phone's own", own_data },
	{ "no trace does", trace },
};

int main(void)
{
	return users_run(tests, sizeof(tests) / sizeof(tests[0]));
}
