/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Places by name, with and without a phone in them; and what the second word of an impatient person does.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bus/rig.h"

#define ERR(name) "org.fdld1.Error." name

/* The path that GetSlot gives, in a ring of four; NULL: refused. */
static const char *slot_named(struct rig *rig, const char *name)
{
	static char path[4][400];
	static unsigned int next;
	char *out = path[next++ % 4];
	sd_bus_message *m = NULL;
	const char *s;

	if (!rig_call(rig, 3000, &m, ROOT, MANAGER, "GetSlot", "s", name))
		return NULL;
	snprintf(out, sizeof(path[0]), "%s", sd_bus_message_read(m, "o", &s) > 0 ? s : "?");
	sd_bus_message_unref(m);
	return out;
}

static unsigned int slots(struct rig *rig)
{
	char out[64];

	if (bed_sh(rig->bed, 5000, out, sizeof(out),
		   "busctl --system tree --list org.fdld1 | grep -c ^/org/fdld1/slot/") < 0)
		return 99;
	return (unsigned int)strtoul(out, NULL, 10);
}

static const char *flash(struct rig *rig, const char *slot, int fd)
{
	static char job[4][64];
	static unsigned int next;
	char *out = job[next++ % 4];
	const char *s = rig_flash(rig, slot, fd, NULL, 0);

	if (!s)
		return NULL;
	snprintf(out, sizeof(job[0]), "%s", s);
	return out;
}

/* A port that was seen keeps its names, both of them. */
static void emptied(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;
	const char *job, *path;

	rig_package(rig, &pack, "sc9863a", 61, 4096);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	bed_phone_unplug(p->bp, true);
	CHECK(rig_expect(rig, 3000, p->slot, SLOT, "State", "empty"));
	CHECK((path = slot_named(rig, "1-1")) && !strcmp(path, p->slot));
	CHECK((path = slot_named(rig, p->id)) && !strcmp(path, p->slot));
	CHECK((job = flash(rig, p->slot, pack.fd)));
	CHECK(!strcmp(rig_get(rig, job, JOB, "State"), "waiting-for-device"));
	bed_phone_plug(p->bp, true);
	CHECK(!strcmp(rig_wait(rig, job, 30000), ""));
	rig_package_free(&pack);
}

static void never_seen(struct rig *rig)
{
	static const char *const nowhere[] = { "1-99",
					       "9-1",
					       "1-2.9",
					       "1-2.1.1", /* that one is no hub */
					       "1-02",
					       "1-2.",
					       "1-",
					       "-1",
					       "usb1",
					       "1-0",
					       "",
					       "..",
					       "1-../../usb1",
					       "/dev/bus/usb/001/002",
					       "pci-0000:00:14.0-usb-0:0",
					       "pci-0000:00:14.0-usb-0:2.9",
					       "pci-0000:00:15.0-usb-0:1",
					       "pci-0000:00:14.0-usb-0:1:1.0",
					       "pci-0000:00:14.0-usb-0:1 " };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "2.1", NULL),
			 *other = rig_phone(rig, "sc9863a", "2.3", NULL);
	char path[400], job[64];
	struct rig_package pack;
	const char *s;

	rig_package(rig, &pack, "sc9863a", 62, 4096);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	CHECK(slots(rig) == 1);
	for (unsigned int i = 0; i < sizeof(nowhere) / sizeof(nowhere[0]); i++) {
		if (slot_named(rig, nowhere[i]))
			tap_note("'%s' was taken for a port", nowhere[i]);
		CHECK(!strcmp(rig->error, ERR("NoSuchSlot")));
	}
	CHECK(slots(rig) == 1);
	CHECK((s = slot_named(rig, "1-2.3")));
	snprintf(path, sizeof(path), "%s", s);
	CHECK(!strcmp(path, other->slot));
	CHECK((s = slot_named(rig, "pci-0000:00:14.0-usb-0:2.3")) && !strcmp(s, path));
	CHECK(slots(rig) == 2);
	CHECK(!strcmp(rig_get(rig, path, SLOT, "State"), "empty"));
	CHECK(!strcmp(rig_get(rig, path, SLOT, "Port"), "1-2.3"));
	CHECK((s = flash(rig, path, pack.fd)));
	snprintf(job, sizeof(job), "%s", s);
	CHECK(!strcmp(rig_get(rig, job, JOB, "State"), "waiting-for-device"));
	CHECK(!strcmp(rig_get(rig, path, SLOT, "State"), "waiting"));
	/* the phone beside it is not meant */
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "State"), "ready"));
	bed_phone_plug(other->bp, true);
	CHECK(!strcmp(rig_wait(rig, job, 30000), ""));
	CHECK(bed_count(bed_phone_dev(p->bp))->submits == 0);
	rig_package_free(&pack);
}

/* As a person does it, and the wait ends as asked. */
static void by_fdlctl(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;
	char command[512], out[4096];

	rig_package(rig, &pack, "sc9863a", 63, 4096);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	bed_phone_unplug(p->bp, true);
	CHECK(rig_expect(rig, 3000, p->slot, SLOT, "State", "empty"));
	for (int i = 0; i < 2; i++) {
		/* seen before, and never */
		snprintf(command, sizeof(command), "%s/fdlctl flash --slot %s --wait 1 %s 2>&1", rig->build,
			 i ? "1-5" : "1-1", pack.path);
		CHECK(bed_sh(rig->bed, 10000, out, sizeof(out), command) > 0);
		if (!strstr(out, "WaitExpired"))
			tap_note("%s", out);
		CHECK(strstr(out, "WaitExpired"));
	}
	rig_package_free(&pack);
}

/* The first thing anybody reads of a job is true. */
static void first_state(struct rig *rig)
{
	struct phone_setup waits = { .faults = "late at end of fdl1 for 1s" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &waits);
	char out[8192], command[512];
	struct rig_package pack;
	const char *job;

	rig_package(rig, &pack, "sc9863a", 64, 4096);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	/* announced with InterfacesAdded: that message is looked at, not what can be read later */
	snprintf(command, sizeof(command),
		 "cd %s && { timeout 60 busctl --system monitor --json=short --match "
		 "\"type='signal',member='InterfacesAdded'\" >added & } ; sleep 1.5",
		 rig->dir);
	CHECK(bed_sh(rig->bed, 5000, out, sizeof(out), command) == 0);
	CHECK((job = flash(rig, p->slot, pack.fd)));
	CHECK(!strcmp(rig_get(rig, job, JOB, "State"), "running"));
	CHECK(!strcmp(rig_wait(rig, job, 30000), ""));
	snprintf(command, sizeof(command), "grep -F '\"%s\"' %s/added", job, rig->dir);
	for (int i = 0; i < rig_patience(50) && bed_sh(rig->bed, 5000, out, sizeof(out), command) != 0; i++)
		rig_sleep(rig, 100);
	CHECK(bed_sh(rig->bed, 5000, out, sizeof(out), command) == 0);
	CHECK(strstr(out, "\"State\":{\"type\":\"s\",\"data\":\"running\"}"));
	CHECK(!strstr(out, "waiting-for-device"));
	rig_package_free(&pack);
}

/* Asking again is no force: the phone is left as a cancel leaves it. */
static void asked_again(struct rig *rig)
{
	struct phone_setup waits = { .faults = "late at end of l_modem for 2s" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &waits);
	struct rig_package pack;
	const char *job;
	uint64_t asked;

	rig_package(rig, &pack, "sc9863a", 65, 4096);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	CHECK((job = flash(rig, p->slot, pack.fd)));
	CHECK(rig_expect(rig, 20000, job, JOB, "Entry", "l_modem"));
	CHECK(!strcmp(rig_get(rig, job, JOB, "CancelBoundary"), "entry"));
	rig_sleep(rig, 200); /* the phone is at it now */
	asked = bed_now();
	for (int i = 0; i < 3; i++) {
		CHECK(rig_call(rig, 3000, NULL, job, JOB, "Cancel", "a{sv}", 0));
		CHECK(!strcmp(rig_get(rig, job, JOB, "State"), "running"));
		CHECK(!strcmp(rig_get(rig, job, JOB, "Cancelling"), "true"));
		rig_sleep(rig, 100);
	}
	CHECK(rig_call(rig, 3000, NULL, job, JOB, "Cancel", "a{sv}", 1, "force", "b", 0));
	CHECK(!strcmp(rig_wait(rig, job, 30000), ERR("Cancelled")));
	CHECK(bed_now() - asked > 1000000000); /* the entry was finished */
	CHECK(!strcmp(rig_get(rig, job, JOB, "CancelLeaves"), "needs-flash"));
	CHECK(strstr(rig_dict(rig, job, JOB, "ErrorDetails", "detail"), "dropped") == NULL);
	rig_package_free(&pack);
}

static void forced(struct rig *rig)
{
	struct phone_setup waits = { .faults = "late at end of l_modem for 20s" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &waits);
	struct rig_package pack;
	const char *job;
	uint64_t asked;

	rig_package(rig, &pack, "sc9863a", 66, 4096);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	CHECK((job = flash(rig, p->slot, pack.fd)));
	CHECK(rig_expect(rig, 20000, job, JOB, "Entry", "l_modem"));
	rig_sleep(rig, 200);
	CHECK(rig_call(rig, 3000, NULL, job, JOB, "Cancel", "a{sv}", 0));
	asked = bed_now();
	CHECK(rig_call(rig, 3000, NULL, job, JOB, "Cancel", "a{sv}", 1, "force", "b", 1));
	CHECK(!strcmp(rig_wait(rig, job, 10000), ERR("Cancelled")));
	CHECK(bed_now() - asked < 15000000000);
	CHECK(strstr(rig_dict(rig, job, JOB, "ErrorDetails", "detail"), "dropped"));
	rig_package_free(&pack);
}

static const struct rig_test tests[] = {
	{ "a port that was emptied", emptied },
	{ "a port that never had a phone", never_seen },
	{ "ports without a phone by fdlctl", by_fdlctl },
	{ "a job is announced as what it is", first_state },
	{ "asked to cancel again and again", asked_again },
	{ "forced to end", forced },
};

int main(void)
{
	return rig_run(tests, sizeof(tests) / sizeof(tests[0]));
}
