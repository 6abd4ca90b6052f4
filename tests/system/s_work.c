/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a station is for: phones that are plugged in and hold their package afterwards. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/system/guest.h"

static bool is_up(void *arg)
{
	return sh("systemctl is-active multi-user.target") == 0;
}

void machine_is_up(void)
{
	bool up = until(60000, is_up, NULL);

	(void)sh("cut -d' ' -f1 /proc/uptime >%s/up", share);
	ok(up, "the machine is up");
}

void package_is_installed(void)
{
	const char *state;

	ok(sh("mkdir -p /var/lib/fdld && mount -o noatime /dev/vda /var/lib/fdld") == 0,
	   "the station's disk is there");
	if (!ok(sh("dpkg -i %s/deb/*.deb", share) == 0, "the packages install"))
		return;
	(void)sh(
		"test ! -e %s/fdld || { cp %s/fdld /usr/libexec/fdld && mkdir -p /run/systemd/system/fdld.service.d && "
		"printf '[Service]\nReadWritePaths=%s/reports\nEnvironment=ASAN_OPTIONS=detect_leaks=0:log_path=%s/reports/asan "
		"UBSAN_OPTIONS=print_stacktrace=1:log_path=%s/reports/ubsan\n' >/run/systemd/system/fdld.service.d/reports.conf && "
		"systemctl daemon-reload && systemctl restart " UNIT "; }",
		share, share, share, share, share);
	ok(unit_is(20000, "active"), "installing starts the service");
	ok(sh("id -u fdld") == 0 && strcmp(said, "0"), "it has a user of its own");
	state = "fdld:fdld 700";
	ok(sh("stat -c '%%U:%%G %%a' /var/lib/fdld /var/lib/fdld/job | sort -u") == 0 && !strcmp(said, state),
	   "the state directory is for that user alone");
	ok(sh("systemctl --failed --no-legend --plain") == 0 && !*said, "no unit has failed");
}

/*
 * What is plugged in soon after its root hub may have been there when the machine started; the service asks
 * for a replug then. Waits until that time is over for all of them.
 */
static void hubs_grow_old(void)
{
	const uint64_t enough = 16000000;
	struct timespec now;
	uint64_t young;

	if (sh("for h in /sys/bus/usb/devices/usb*; do udevadm info -q property -p $h; done | "
	       "sed -n 's/^USEC_INITIALIZED=//p' | sort -n | tail -n 1") != 0)
		return;
	young = strtoull(said, NULL, 10) + enough;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if ((uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000 < young)
		usleep((useconds_t)(young - ((uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000)));
}

/* A phone that stands there before the service starts it, and is told nothing that nobody asked for. */
void plug_starts_service(void)
{
	struct guest_phone *p = phone_at("sc9863a", "", 0, 1, NULL);
	char status[512];
	const char *error;

	ok(sh("systemctl stop " UNIT) == 0 && unit_is(10000, "inactive"), "the service stops");
	hubs_grow_old();
	ok(vhci_phone_plug(p->vp), "a phone is plugged in");
	ok(unit_is(20000, "active"), "udev has the service started for it");
	ok(expect(20000, p->slot, SLOT, "State", "ready"), "it is shown as ready");
	ok(words(p) == 0, "not a word was said to it");
	snprintf(status, sizeof(status), "%s", unit("StatusText"));
	ok(strstr(status, "1 phone"), "systemctl status tells of it: %s", status);
	ok(sh("stat -c '%%U:%%G %%a' /dev/bus/usb/*/* | grep -c '^root:fdld 660$'") == 0 &&
		   !strcmp(said, "1"),
	   "its node belongs to the service, and only its node");
	ok(sh("cat $(grep -l 4d00 /sys/bus/usb/devices/*/idProduct | xargs dirname)/power/control") == 0 &&
		   !strcmp(said, "on"),
	   "it is not put to sleep between two requests");
	error = outcome(flash(p, NULL, 0), 60000);
	ok(!*error, "it is flashed, although it was there before the service %s", error);
	error = storage(p, NULL);
	ok(!*error, "and holds its package %s", error);
	unplug(p);
	phones_free();
}

void flash_passes(void)
{
	struct guest_phone *p = phone_at("sc9863a", "", 1, 1, NULL);
	unsigned int images;
	const char *wrong;

	ok(plug(p), "a phone");
	ok(sh("fdlctl flash --slot %s --level verified %s", p->id, p->pac) == 0,
	   "fdlctl flash passes, verified");
	wrong = storage(p, &images);
	ok(!*wrong && images > 5, "the phone holds the %u images of its package %s", images, wrong);
	unplug(p);
	phones_free();
}

static bool is_writing(void *job)
{
	return !strcmp(get(job, JOB, "Stage"), "flash") &&
	       atof(get(job, FDLD ".Progress", "Fraction")) > 0.05;
}

void unplug_is_named(void)
{
	struct phone_setup slow = { .faults = "late 4s at end of boot" };
	struct guest_phone *p = phone_at("sc9863a", "", 2, 1, &slow),
			   *next = phone_at("sc9863a", "", 2, 1, NULL);
	const char *job, *error;

	ok(plug(p), "a phone");
	job = flash(p, NULL, 0);
	ok(job && until(30000, is_writing, (void *)(uintptr_t)job), "it is being written");
	vhci_phone_unplug(p->vp);
	error = outcome(job, 15000);
	ok(!strcmp(error, ERR("DeviceVanished")), "unplugged in the middle: %s", error);
	ok(!strcmp(get_in(job, JOB, "Result", "leaves"), "needs-flash"),
	   "the result says that it has to be flashed anew");
	ok(expect(10000, p->slot, SLOT, "Device", "/"), "its slot is empty");
	ok(plug(next), "another phone on the same port");
	job = flash(next, NULL, 0);
	error = outcome(job, 60000);
	ok(!*error, "it passes %s", error);
	error = storage(next, NULL);
	ok(!*error, "and holds its package %s", error);
	unplug(next);
	phones_free();
}

/* Its first loader makes it leave the bus and come back as another device of the kernel. */
void returning_phone_passes(void)
{
	struct guest_phone *p = phone_at("sc7731g", "", 3, 1, NULL);
	const char *job, *error;

	ok(plug(p), "a phone that leaves the bus and returns");
	job = flash(p, NULL, 0);
	error = outcome(job, 60000);
	ok(!*error, "it passes %s", error);
	ok(vhci_phone_count(p->vp).plugs >= 2, "it was enumerated %u times", vhci_phone_count(p->vp).plugs);
	error = storage(p, NULL);
	ok(!*error, "it holds its package %s", error);
	unplug(p);
	phones_free();
}

#define MANY 8

void eight_at_once(void)
{
	/* long enough for all to be at it together */
	struct phone_setup slow = { .faults = "late 6s at end of boot" };
	struct guest_phone *p[MANY];
	const char *jobs[MANY];
	unsigned int ready = 0, passed = 0, same = 0, together = 0;

	for (unsigned int i = 0; i < MANY; i++)
		p[i] = phone_at("sc9863a", "", i, 2, &slow);
	for (unsigned int i = 0; i < MANY; i++)
		(void)vhci_phone_plug(p[i]->vp);
	for (unsigned int i = 0; i < MANY; i++)
		ready += expect(20000, p[i]->slot, SLOT, "State", "ready");
	ok(ready == MANY, "%u phones are ready", ready);
	for (unsigned int i = 0; i < MANY; i++)
		jobs[i] = flash(p[i], NULL, 0);
	for (int tries = 0; tries < 200 && together < MANY; tries++) {
		together = 0;
		for (unsigned int i = 0; i < MANY && jobs[i]; i++)
			together += !strcmp(get(jobs[i], JOB, "Stage"), "flash");
		rest(50);
	}
	ok(together == MANY, "%u are written at the same time", together);
	for (unsigned int i = 0; i < MANY; i++) {
		const char *error = outcome(jobs[i], 120000);

		passed += !*error;
		if (*error)
			note("%s: %s", p[i]->id, error);
	}
	ok(passed == MANY, "%u pass", passed);
	for (unsigned int i = 0; i < MANY; i++) {
		const char *wrong = storage(p[i], NULL);

		same += !*wrong;
		if (*wrong)
			note("%s: %s", p[i]->id, wrong);
	}
	ok(same == MANY, "%u hold their package", same);
	for (unsigned int i = 0; i < MANY; i++)
		vhci_phone_unplug(p[i]->vp);
	for (unsigned int i = 0; i < MANY; i++)
		(void)expect(10000, p[i]->slot, SLOT, "Device", "/");
	phones_free();
}
