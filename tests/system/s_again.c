/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What must outlive the machine: it loses power in the worst moment of a job, and comes up again. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/system/guest.h"

#define STATION_PHONE_SEED 4711
#define NV_PLACE	   "l_fixnv1"

/* The phone that both boots know: the same identity and the same NV, unless they are lost. */
static struct guest_phone *the_phone(bool lost, const char *faults)
{
	struct phone_setup setup = { .seed = STATION_PHONE_SEED, .nv_blank = lost, .faults = faults };

	return phone_at("sc9863a", "", 4, 3, &setup);
}

static bool has_no_nv(void *arg)
{
	struct guest_phone *p = arg;
	static uint8_t nv[1 << 20];
	size_t length = sizeof(nv);
	bool there = phone_nv_read(vhci_phone_hold(p->vp), NV_PLACE, nv, &length);

	vhci_phone_release(p->vp);
	return !there;
}

/* The end of the first boot: NV is read and stored, erased on the phone, and not yet written back. */
void power_is_cut(void)
{
	struct guest_phone *p = the_phone(false, "late 60s at start of " NV_PLACE);
	const char *job;
	char path[256];
	FILE *f;

	ok(plug(p) && !has_no_nv(p), "a phone with NV of its own");
	job = flash(p, "a{sv}", 2, "erase_all", "b", 1, "without_backup", "b", 1);
	if (!ok(job && until(40000, has_no_nv, p), "everything on it is erased"))
		return;
	snprintf(path, sizeof(path), "%s/job", share);
	f = fopen(path, "we");
	if (!f || fprintf(f, "%s", job) < 0 || fclose(f))
		die(path, NULL);
	note("power off, without a sync");
	leave();
	(void)sh("echo b >/proc/sysrq-trigger");
	rest(20000);
	die("the machine goes on", "sysrq");
}

/* What the first boot has left on the disk is found, and told. */
void interruption_is_told(void)
{
	struct guest_phone *p = the_phone(true, NULL);
	char job[128];
	const char *number;

	snprintf(job, sizeof(job), "%s", slurp("%s/job", share));
	number = strrchr(job, '/') ? strrchr(job, '/') + 1 : job;
	ok(!strcmp(get(job, JOB, "State"), "interrupted"), "the job is on the bus as interrupted: %s", job);
	ok(!strcmp(get(job, JOB, "ErrorName"), ERR("Interrupted")), "and says so by its error");
	ok(!strcmp(get(p->slot, SLOT, "OwedBackup"), number), "the backup of its phone's NV is owed");
	ok(sh("journalctl -q -b _SYSTEMD_UNIT=" UNIT
	      " MESSAGE_ID=3b05d6b37a205fca8f6e1d6be1f6c353 FDL_JOB=%s -o cat",
	      number) == 0 &&
		   *said,
	   "the journal has it");
	ok(sh("journalctl -q -b _SYSTEMD_UNIT=" UNIT
	      " MESSAGE_ID=f04bea293c81576f85de3930ce626e7f FDL_JOB=%s -o cat",
	      number) == 0 &&
		   *said,
	   "and the debt");
	phones_free();
}

void owed_nv_returns(void)
{
	struct guest_phone *p = the_phone(true, NULL), *as_it_was = the_phone(false, NULL);
	struct store_before *lost = p->before;
	const char *job, *error;

	ok(plug(p) && has_no_nv(p), "the phone of that job, without its NV");
	job = flash(p, NULL, 0);
	error = outcome(job, 60000);
	ok(!*error, "the same job again passes %s", error);
	/* compared with what it had before the first attempt */
	p->before = as_it_was->before;
	error = storage(p, NULL);
	p->before = lost;
	ok(!*error, "the phone holds its package, and its NV from the backup %s", error);
	ok(expect(5000, p->slot, SLOT, "OwedBackup", ""), "nothing is owed any more");
	unplug(p);
	phones_free();
}

/* ---- ModemManager --------------------------------------------------------------------------------- */

#define INTERFACES \
	"for d in $(grep -l 4d00 /sys/bus/usb/devices/*/idProduct); do readlink $(dirname $d)/*:1.0/driver; done"
#define TEACH_OPTION "modprobe option && echo 1782 4d00 >/sys/bus/usb-serial/drivers/option1/new_id"

static bool was_spoken_to(void *arg)
{
	return words(arg) > 0;
}

static bool is_free(void *arg)
{
	(void)sh(INTERFACES);
	return !*said && access("/dev/ttyUSB0", F_OK) < 0;
}

void modem_manager_keeps_off(void)
{
	struct guest_phone *p = phone_at("sc9863a", "", 5, 3, NULL), *q = phone_at("sc9863a", "", 6, 3, NULL);
	const char *job, *error;

	ok(sh("systemctl is-active ModemManager") == 0, "ModemManager runs");
	ok(sh("modprobe -a option usb-serial-simple qmi_wwan cdc-acm") == 0,
	   "the drivers of modems are loaded");
	ok(plug(p), "a phone");
	(void)sh(INTERFACES);
	ok(!*said, "none of them takes it");
	job = flash(p, NULL, 0);
	error = outcome(job, 60000);
	ok(!*error, "it passes %s", error);
	unplug(p);
	/* the worst case: somebody has taught a serial driver these numbers */
	ok(sh(TEACH_OPTION) == 0 && plug(q), "another phone, with a serial driver that takes it");
	ok(sh("journalctl -k -b --grep 'GSM modem .* now attached to ttyUSB'") == 0, "the driver had it");
	ok(until(10000, is_free, NULL), "it lets go again, as the rule says");
	ok(!until(6000, was_spoken_to, q), "ModemManager says nothing to it");
	ok(is_free(NULL), "it is left alone");
	unplug(q);
	/* the same without our rule, so that the silence means something */
	(void)sh("systemctl stop " UNIT
		 "; ln -s /dev/null /etc/udev/rules.d/70-fdld.rules; udevadm control --reload");
	ok(vhci_phone_plug(q->vp) && until(40000, was_spoken_to, q), "without the rule it does");
	vhci_phone_unplug(q->vp);
	(void)sh(
		"rm /etc/udev/rules.d/70-fdld.rules; udevadm control --reload; systemctl stop ModemManager; modprobe -r option; "
		"systemctl start " UNIT);
	phones_free();
}

/* ---- the end -------------------------------------------------------------------------------------- */

static volatile sig_atomic_t told_to_end;

static void on_term(int sig)
{
	told_to_end = sig;
}

static bool is_told(void *arg)
{
	return told_to_end;
}

static bool is_flashing(void *job)
{
	return !strcmp(get(job, JOB, "Stage"), "flash");
}

/* This program is ordered before fdld, so that it is stopped after it. */
void reboot_lets_job_end(void)
{
	struct phone_setup slow = { .faults = "late 6s at end of boot" };
	struct guest_phone *p = phone_at("sc9863a", "", 7, 3, &slow);
	const char *job, *wrong;

	sigaction(SIGTERM, &(struct sigaction){ .sa_handler = on_term }, NULL);
	ok(plug(p), "a slow phone");
	job = flash(p, NULL, 0);
	ok(job && until(30000, is_flashing, (void *)(uintptr_t)job), "it is being written");
	ok(sh("systemctl reboot") == 0, "systemctl reboot");
	ok(until(60000, is_told, NULL), "the machine goes down");
	wrong = storage(p, NULL);
	ok(!*wrong, "after the job has ended: the phone holds its package %s", wrong);
	leave();
}
