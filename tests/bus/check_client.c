/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every verb of fdlctl on the real daemon, with and without --json: what it says, and its exit codes. What
 * needs signals, terminals and failing phones is in check_client_live.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"
#include "tests/bus/ctl.h"

static size_t length(int line)
{
	json_object *value = ctl_line(line);
	size_t n = json_object_is_type(value, json_type_array)	  ? json_object_array_length(value)
		   : json_object_is_type(value, json_type_object) ? (size_t)json_object_object_length(value)
								  : 99999;

	json_object_put(value);
	return n;
}

/* Everything the phone executed so far was loading its loaders into memory. */
static bool untouched(const struct phone *phone)
{
	for (size_t i = 0; i < phone_deeds(phone); i++)
		if (phone_deed(phone, i)->kind != PHONE_DEED_RAM)
			return false;
	return true;
}

/* ---- without a daemon ------------------------------------------------------------------------------ */

static void no_daemon(struct rig *rig)
{
	static const char *const verbs[] = { "list",   "jobs",	   "jobs 1",  "jobs trace 1",
					     "attach", "attach 1", "monitor", "cancel 1" };
	struct rig_package pack;
	char args[256];

	rig_package(rig, &pack, "sc9863a", 1, 4096);
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		CHECK(ctl_both(rig, ctl_code("DaemonUnreachable"), verbs[i]));
		CHECK(!strcmp(ctl_str(0, "error"), "DaemonUnreachable") && *ctl_str(0, "remedy"));
	}
	snprintf(args, sizeof(args), "flash %s", pack.path);
	CHECK(ctl_both(rig, ctl_code("DaemonUnreachable"), args));
	snprintf(args, sizeof(args), "flash --dry-run --slot 1-1 %s", pack.path);
	CHECK(ctl_both(rig, ctl_code("DaemonUnreachable"), args));
	CHECK(ctl(rig, 5000, "--bus unix:path=/run/nobody list") == ctl_code("DaemonUnreachable"));
	CHECK(ctl(rig, 5000, "--json --bus nonsense list") == ctl_code("DaemonUnreachable") && ctl_json());
	rig_package_free(&pack);
}

/* A file's plan and report need nobody. */
static void files(struct rig *rig)
{
	struct rig_package pack;
	unsigned long long read_back;
	char args[256];

	rig_package(rig, &pack, "sc9863a", 2, 4096);
	snprintf(args, sizeof(args), "info %s", pack.path);
	CHECK(ctl_both(rig, 0, args));
	CHECK(!strcmp(ctl_str(0, "integrity"), "good") && *ctl_str(0, "product") &&
	      *ctl_str(0, "plan.steps"));
	CHECK(ctl(rig, 10000, "%s", args) == 0 && strstr(ctl_out, "boot") && !ctl_err[0]);
	CHECK(ctl(rig, 10000, "info --json --quick %s", pack.path) == 0 && ctl_json());
	CHECK(!strcmp(ctl_str(0, "integrity"), "unchecked"));
	snprintf(args, sizeof(args), "flash --dry-run %s", pack.path);
	CHECK(ctl_both(rig, 0, args));
	CHECK(*ctl_str(0, "steps") && strtoull(ctl_str(0, "bytes_to_send"), NULL, 10) > 0);
	read_back = strtoull(ctl_str(0, "bytes_to_verify"), NULL, 10); /* NV always is */
	CHECK(ctl(rig, 10000, "%s", args) == 0 && strstr(ctl_out, "to send") && !ctl_err[0]);
	/* what only tells is no doubt */
	CHECK(strstr(ctl_out, "note: ") && strstr(ctl_out, "[may-not-know=") &&
	      !strstr(ctl_out, "doubt: may"));
	CHECK(ctl(rig, 10000, "--json flash --dry-run --level verified %s", pack.path) == 0 && ctl_json());
	CHECK(strtoull(ctl_str(0, "bytes_to_verify"), NULL, 10) > read_back + 10000);
	CHECK(ctl(rig, 10000, "flash --dry-run --entry no-such-entry %s", pack.path) ==
	      ctl_code("InvalidArgs"));
	CHECK(ctl(rig, 10000, "flash --dry-run --level maybe %s", pack.path) == 2 && !ctl_out[0]);
	CHECK(ctl(rig, 10000, "--json flash --dry-run --level maybe %s", pack.path) == 2 && ctl_json());

	CHECK(ctl_both(rig, ctl_code("InvalidImage"), "info /nonexistent.pac"));
	CHECK(strstr(ctl_str(0, "message"), "/nonexistent.pac"));
	CHECK(ctl_both(rig, ctl_code("InvalidImage"), "info /tmp"));
	CHECK(ctl_both(rig, ctl_code("InvalidImage"), "flash --dry-run /nonexistent.pac"));
	CHECK(ctl_both(rig, ctl_code("InvalidImage"), "flash /nonexistent.pac"));
	pack.spec.damage = COMPOSE_FLIP_BODY;
	rig_package_write(rig, &pack);
	snprintf(args, sizeof(args), "info %s", pack.path);
	CHECK(ctl_both(rig, ctl_code("PackageBodyCrc"), args));
	CHECK(!strcmp(ctl_str(0, "error"), "PackageBodyCrc") && !strcmp(ctl_str(0, "integrity"), "bad"));
	pack.spec.damage = COMPOSE_FLIP_HEADER;
	rig_package_write(rig, &pack);
	snprintf(args, sizeof(args), "info %s", pack.path);
	CHECK(ctl_both(rig, ctl_code("PackageHeaderCrc"), args));
	CHECK(!strcmp(ctl_str(0, "error"), "PackageHeaderCrc") && !strcmp(ctl_str(0, "integrity"), "bad"));
	CHECK(ctl(rig, 10000, "%s", args) == ctl_code("PackageHeaderCrc") && strstr(ctl_out, "BAD"));
	CHECK(!strstr(ctl_out, "good:") && strstr(ctl_out, "boot"));
	CHECK(ctl(rig, 10000, "info --quick %s", pack.path) == ctl_code("PackageHeaderCrc"));
	pack.spec.damage = COMPOSE_TRUNCATE;
	rig_package_write(rig, &pack);
	snprintf(args, sizeof(args), "info %s", pack.path);
	CHECK(ctl_both(rig, ctl_code("PackageSize"), args));
	snprintf(args, sizeof(args), "flash --dry-run %s", pack.path);
	CHECK(ctl_both(rig, ctl_code("PackageSize"), args));
	rig_package_free(&pack);
}

static void usage(struct rig *rig)
{
	static const char *const wrong[] = {
		"",
		"flush",
		"flash",
		"flash a b",
		"flash --slot 1-1 --all x.pac",
		"flash --wait soon x.pac",
		"flash --wait -1 x.pac",
		"flash --wait 99999999 x.pac",
		"flash --nonsense x.pac",
		"flash --slot",
		"flash --level sampled --sample 0 x.pac",
		"flash --level sampled --sample -3 x.pac",
		"flash --level sampled --sample 3x x.pac",
		"info",
		"info a b",
		"list --slot",
		"jobs 1 2",
		"cancel",
		"errors NoSuchError",
		"monitor --nonsense",
	};
	static const char *const verbs[] = { "list",   "info",	 "flash",   "jobs",
					     "attach", "cancel", "monitor", "errors" };

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		CHECK(ctl_both(rig, 2, wrong[i]));
		CHECK(!strcmp(ctl_str(0, "error"), "Usage"));
		CHECK(ctl(rig, 5000, "%s", wrong[i]) == 2 && !ctl_out[0] && strstr(ctl_err, "fdlctl"));
	}
	CHECK(ctl(rig, 5000, "--nonsense list") == 2 && !ctl_out[0]);
	CHECK(ctl(rig, 5000, "--help") == 0);
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		CHECK(strstr(ctl_out, verbs[i]));
		CHECK(ctl(rig, 5000, "%s --help", verbs[i]) == 0 && strstr(ctl_out, verbs[i]) && !ctl_err[0]);
		CHECK(ctl(rig, 5000, "--help") == 0);
	}
	CHECK(ctl(rig, 5000, "--version") == 0 && strstr(ctl_out, FDLD_VERSION));
}

static void errors(struct rig *rig)
{
	CHECK(ctl_both(rig, 0, "errors"));
	CHECK(length(0) == ERR_COUNT - 1);
	CHECK(ctl(rig, 5000, "errors") == 0);
	for (int id = ERR_NONE + 1; id < ERR_COUNT; id++) {
		const struct error_entry *e = error_entry((enum error_id)id);
		char line[128];

		snprintf(line, sizeof(line), "%s  (exit %d, %s)\n", e->name, e->exit_code,
			 error_fault_name(e->fault));
		CHECK(strstr(ctl_out, line));
	}
	CHECK(!strchr(ctl_out, '\033'));
	CHECK(ctl_both(rig, 0, "errors SignatureRefused"));
	CHECK(length(0) == 1 && strstr(ctl_out, "org.fdld1.Error.SignatureRefused"));
	CHECK(ctl_both(rig, 0, "errors org.fdld1.Error.DeviceVanished"));
}

/* ---- what is there ------------------------------------------------------------------------------------ */

static void list(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1.2", NULL);
	struct rig_package pack;
	json_object *all, *slot, *dev;

	rig_package(rig, &pack, "sc9863a", 3, 4096);
	CHECK(rig_up(rig, NULL));
	CHECK(ctl_both(rig, 0, "list") && length(0) == 0);
	CHECK(ctl(rig, 5000, "list") == 0 && strstr(ctl_out, "No phone yet") &&
	      strstr(ctl_out, "volume down"));
	CHECK(ctl_both(rig, 0, "jobs") && length(0) == 0);
	CHECK(ctl(rig, 5000, "jobs") == 0 && !strcmp(ctl_out, "No jobs.\n"));
	CHECK(ctl_both(rig, ctl_code("NoSuchJob"), "jobs 1"));
	CHECK(ctl_both(rig, ctl_code("NoSuchJob"), "jobs trace 1"));
	CHECK(ctl_both(rig, ctl_code("NoSuchJob"), "attach 1"));
	CHECK(ctl_both(rig, ctl_code("NoSuchJob"), "cancel 1"));
	CHECK(ctl_both(rig, ctl_code("NoSuchJob"), "cancel yesterday"));
	CHECK(ctl_both(rig, ctl_code("NoSuchJob"), "jobs -- -1"));
	CHECK(ctl(rig, 5000, "attach") == 0 && !strcmp(ctl_out, "No job is running.\n") && !ctl_err[0]);

	CHECK(rig_plug(rig, p));
	CHECK(ctl_both(rig, 0, "list") && length(0) == 1);
	all = ctl_line(0);
	slot = json_object_array_get_idx(all, 0);
	CHECK(json_object_object_get_ex(slot, "DeviceObject", &dev));
	CHECK(json_object_get_int(json_object_object_get(dev, "VendorId")) == 0x1782);
	CHECK(!strcmp(json_object_get_string(json_object_object_get(slot, "Path")), p->slot));
	CHECK(!strcmp(json_object_get_string(json_object_object_get(slot, "Port")), "1-1.2"));
	json_object_put(all);
	CHECK(ctl(rig, 5000, "list") == 0 && strstr(ctl_out, p->id) && strstr(ctl_out, "1-1.2"));
	CHECK(strstr(ctl_out, "1782:4d00") && strstr(ctl_out, "ready"));
	bed_phone_unplug(p->bp, true);
	CHECK(rig_expect(rig, 3000, p->slot, SLOT, "State", "empty"));
	CHECK(ctl(rig, 5000, "list") == 0 && strstr(ctl_out, p->id) && strstr(ctl_out, "empty"));
	CHECK(bed_count(bed_phone_dev(p->bp))->submits == 0);
	rig_package_free(&pack);
}

/* ---- flashing -------------------------------------------------------------------------------------------
 */

static bool holds(struct phone *phone, struct rig_package *pack)
{
	char wrong[128];
	unsigned int n = rig_compare(phone, pack, wrong, sizeof(wrong));

	if (wrong[0])
		tap_note("storage differs: %s", wrong);
	return n >= 8 && !wrong[0];
}

static void flash_slot(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_phone *q = rig_phone(rig, "sc9863a", "2", NULL);
	struct rig_package pack, other;
	json_object *line;

	rig_package(rig, &pack, "sc9863a", 4, 4096);
	rig_package(rig, &other, "sc9863a", 40, 8192);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p) && rig_plug(rig, q));
	CHECK(ctl(rig, 60000, "flash --slot 1-1 %s", pack.path) == 0);
	CHECK(strstr(ctl_out, "PASS  1-1  job 1  acknowledged") && !strchr(ctl_out, '\033') && !ctl_err[0]);
	CHECK(!strchr(ctl_out, '\r') && strstr(ctl_out, "NV kept"));
	CHECK(holds(p->phone, &pack));
	/* the same with --json, by the slot's Id and with options */
	CHECK(ctl(rig, 60000, "--json flash --level verified --end stay --slot %s %s", q->id, other.path) ==
	      0);
	CHECK(ctl_json() && !ctl_err[0]);
	CHECK(!strcmp(ctl_str(0, "event"), "started") && strstr(ctl_str(0, "jobs"), ROOT "/job/2"));
	CHECK(!strcmp(ctl_str(-1, "event"), "finished") && !strcmp(ctl_str(-1, "job.State"), "succeeded"));
	CHECK(!strcmp(ctl_str(-1, "job.Result.level"), "verified"));
	CHECK(!strcmp(ctl_str(-1, "progress.Fraction"), "1.0"));
	CHECK(!strcmp(ctl_str(-1, "path"), ROOT "/job/2"));
	CHECK(holds(q->phone, &other));
	for (int i = 1; (line = ctl_line(i)); i++) {
		json_object *event = json_object_object_get(line, "event");

		CHECK(!strcmp(json_object_get_string(event), "progress") ||
		      !strcmp(json_object_get_string(event), "finished"));
		json_object_put(line);
	}
	CHECK(ctl(rig, 10000, "flash --slot 1-1 --slot nowhere %s", pack.path) == ctl_code("NoSuchSlot"));
	CHECK(ctl(rig, 10000, "--json flash --slot 9-9 %s", pack.path) == ctl_code("NoSuchSlot") &&
	      ctl_json());
	CHECK(ctl(rig, 10000, "flash --slot %s %s/fdlctl", q->id, rig->build) == ctl_code("PackageNotPac"));
	CHECK(ctl(rig, 10000, "flash --slot %s --level maybe %s", q->id, pack.path) ==
	      ctl_code("InvalidArgs"));
	CHECK(ctl(rig, 10000, "flash --slot %s --expect-device " ROOT "/device/77 %s", q->id, pack.path) ==
	      ctl_code("DeviceChanged"));
	CHECK(rig_num(rig, ROOT "/job/3", JOB, "Id") == 0);
	rig_package_free(&pack);
	rig_package_free(&other);
}

static void flash_which(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_phone *q = rig_phone(rig, "sc9863a", "2", NULL);
	struct rig_phone *w = rig_phone(rig, "sc9863a", "3", NULL);
	struct rig_package pack;
	static struct ctl_run run;
	char args[300];

	rig_package(rig, &pack, "sc9863a", 5, 4096);
	CHECK(rig_up(rig, NULL));
	/* nobody there: it waits and says what to do; what comes is taken */
	snprintf(args, sizeof(args), "flash %s", pack.path);
	ctl_start(rig, &run, args);
	CHECK(ctl_says(rig, &run, "Waiting for a phone", 5000) && ctl_says(rig, &run, "volume down", 1000));
	CHECK(rig_expect(rig, 5000, ROOT "/job/1", JOB, "State", "waiting-for-device"));
	bed_phone_plug(p->bp, true);
	CHECK(ctl_wait(rig, &run, 60000) == 0 && strstr(run.text, "PASS  1-1  job 1"));
	CHECK(holds(p->phone, &pack));
	/* after the reset it is gone; another one is there: that one */
	bed_phone_unplug(p->bp, true);
	CHECK(rig_plug(rig, q));
	CHECK(ctl(rig, 60000, "%s", args) == 0 && strstr(ctl_out, "PASS  1-2  job 2"));
	CHECK(!strstr(ctl_out, "Waiting for a phone"));
	CHECK(holds(q->phone, &pack));
	/* two: which? nothing is sent */
	bed_phone_unplug(q->bp, true);
	CHECK(rig_plug(rig, p) && rig_plug(rig, w));
	CHECK(ctl_both(rig, 2, args));
	CHECK(ctl(rig, 5000, "%s", args) == 2 && strstr(ctl_err, "--slot") && strstr(ctl_err, "--all"));
	CHECK(bed_count(bed_phone_dev(w->bp))->submits == 0);
	rig_package_free(&pack);
}

static void flash_all(struct rig *rig)
{
	struct rig_phone *p[3] = { rig_phone(rig, "sc9863a", "1", NULL), rig_phone(rig, "sc9863a", "2", NULL),
				   rig_phone(rig, "sc9863a", "4.1", NULL) };
	struct rig_package pack;
	char args[300];
	int ends = 0;

	rig_package(rig, &pack, "sc9863a", 6, 4096);
	snprintf(args, sizeof(args), "flash --all %s", pack.path);
	CHECK(rig_up(rig, NULL));
	CHECK(ctl_both(rig, ctl_code("SlotEmpty"), args));
	for (int i = 0; i < 3; i++)
		CHECK(rig_plug(rig, p[i]));
	CHECK(ctl(rig, 60000, "--json %s", args) == 0 && ctl_json());
	for (const char *s = ctl_out; (s = strstr(s, "\"event\":\"finished\"")); s++)
		ends++;
	CHECK(ends == 3);
	for (int i = 0; i < 3; i++)
		CHECK(holds(p[i]->phone, &pack));
	CHECK(ctl(rig, 5000, "jobs") == 0);
	for (int i = 0; i < 3; i++) {
		CHECK(strstr(ctl_out, "succeeded") && strstr(ctl_out, "100 %"));
		bed_phone_unplug(p[i]->bp, true);
		CHECK(rig_plug(rig, p[i]));
	}
	CHECK(ctl(rig, 60000, "%s", args) == 0);
	CHECK(strstr(ctl_out, "PASS  1-1 ") && strstr(ctl_out, "PASS  1-2 ") &&
	      strstr(ctl_out, "PASS  1-4.1 "));
	rig_package_free(&pack);
}

static void dry_run(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;

	rig_package(rig, &pack, "sc9863a", 7, 4096);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	/* of a file: the daemon is not asked */
	CHECK(ctl(rig, 10000, "flash --dry-run %s", pack.path) == 0);
	CHECK(rig_num(rig, ROOT "/job/1", JOB, "Id") == 0 && bed_count(bed_phone_dev(p->bp))->submits == 0);
	/* of a phone */
	CHECK(ctl(rig, 60000, "flash --dry-run --slot 1-1 %s", pack.path) == 0);
	CHECK(strstr(ctl_out, "  1  ") && strstr(ctl_out, "boot"));
	CHECK(strstr(ctl_out, "[table=") && !strstr(ctl_out, "doubt: table"));
	CHECK(!strcmp(rig_get(rig, ROOT "/job/1", JOB, "Kind"), "dry-run"));
	CHECK(phone_deeds(p->phone) >= 2 && untouched(p->phone));
	bed_phone_unplug(p->bp, true);
	CHECK(rig_plug(rig, p));
	CHECK(ctl(rig, 60000, "--json flash --dry-run --slot 1-1 %s", pack.path) == 0 && ctl_json());
	CHECK(*ctl_str(-1, "steps") && untouched(p->phone));
	rig_package_free(&pack);
}

/* Of two phones the first is verified, and each result says whether it was the one. */
static void flash_sampled(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;

	rig_package(rig, &pack, "sc9863a", 7, 0);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	CHECK(ctl(rig, 60000, "flash --slot 1-1 --level sampled --sample 2 %s", pack.path) == 0);
	CHECK(strstr(ctl_out, "verified (sampled: this one)"));
	bed_phone_unplug(p->bp, true);
	CHECK(rig_expect(rig, 5000, p->slot, SLOT, "State", "empty"));
	CHECK(rig_plug(rig, p));
	CHECK(ctl(rig, 60000, "flash --slot 1-1 --level sampled --sample 2 %s", pack.path) == 0);
	CHECK(strstr(ctl_out, "acknowledged (sampled: not this one)"));
	rig_package_free(&pack);
}

static void jobs(struct rig *rig)
{
	struct phone_setup slow = { .time_percent = 100, .faults = "late 3s at end of boot" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &slow);
	struct rig_package pack;
	char args[300];

	rig_package(rig, &pack, "sc9863a", 8, 4096);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	CHECK(ctl(rig, 10000, "flash --detach --slot 1-1 %s", pack.path) == 0 && !strcmp(ctl_out, "job 1\n"));
	CHECK(ctl_both(rig, 0, "jobs 1") && strstr(ctl_out, JOB));
	CHECK(ctl(rig, 5000, "jobs 1") == 0 && strstr(ctl_out, "State") && strstr(ctl_out, "1-1"));
	CHECK(ctl_both(rig, 0, "jobs " ROOT "/job/1"));
	CHECK(ctl_both(rig, 0, "list") && strstr(ctl_out, "JobObject"));
	CHECK(ctl(rig, 60000, "attach") == 0 && strstr(ctl_out, "PASS  1-1  job 1"));
	/* what has ended is told at once */
	CHECK(ctl_both(rig, 0, "attach 1") && !strcmp(ctl_str(-1, "event"), "finished"));
	CHECK(ctl_both(rig, 0, "attach " ROOT "/job/1"));
	CHECK(ctl_both(rig, ctl_code("NotCancelable"), "cancel 1"));
	CHECK(ctl_both(rig, 0, "jobs") && length(0) == 1);
	/* without a phone: a job that waits; cancelled */
	bed_phone_unplug(p->bp, true);
	CHECK(rig_expect(rig, 3000, p->slot, SLOT, "State", "empty"));
	CHECK(ctl(rig, 10000, "--json flash --detach %s", pack.path) == 0 && ctl_json());
	CHECK(strstr(ctl_str(0, "jobs"), ROOT "/job/2"));
	CHECK(length(0) == 2);
	CHECK(ctl(rig, 5000, "jobs") == 0 && strstr(ctl_out, "waiting-for-device"));
	CHECK(ctl(rig, 5000, "--json cancel 2") == 0 && ctl_json());
	CHECK(ctl(rig, 5000, "attach 2") == ctl_code("Cancelled") && strstr(ctl_out, "Cancelled"));
	CHECK(ctl(rig, 5000, "attach 1 2") == ctl_code("Cancelled"));
	CHECK(ctl(rig, 5000, "cancel 2 77") == ctl_code("NotCancelable"));
	/* waiting that ends */
	snprintf(args, sizeof(args), "flash --wait 1 %s", pack.path);
	CHECK(ctl(rig, 10000, "%s", args) == ctl_code("WaitExpired") && strstr(ctl_out, "WaitExpired"));
	CHECK(ctl(rig, 10000, "--json %s", args) == ctl_code("WaitExpired") && ctl_json());
	CHECK(strstr(ctl_str(-1, "job.ErrorName"), "WaitExpired"));
	CHECK(ctl(rig, 10000, "flash --wait 0 --slot %s %s", p->id, pack.path) == ctl_code("SlotEmpty"));
	rig_package_free(&pack);
}

/* Who looks on until the last one ends has seen the first one be forgotten. */
static void forgotten(struct rig *rig)
{
	static struct ctl_run run;
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL), *q = rig_phone(rig, "sc9863a", "2", NULL);
	char option[] = "--keep=3s", *keep[] = { option, NULL };
	struct rig_package pack;

	rig_package(rig, &pack, "sc9863a", 8, 4096);
	CHECK(rig_up(rig, keep));
	CHECK(rig_plug(rig, p) && rig_plug(rig, q));
	bed_phone_unplug(p->bp, true);
	bed_phone_unplug(q->bp, true);
	CHECK(rig_expect(rig, 10000, p->slot, SLOT, "State", "empty"));
	CHECK(rig_expect(rig, 10000, q->slot, SLOT, "State", "empty"));
	CHECK(ctl(rig, 20000, "flash --detach --slot 1-1 %s", pack.path) == 0);
	CHECK(ctl(rig, 20000, "flash --detach --slot 1-2 %s", pack.path) == 0);
	ctl_start(rig, &run, "attach");
	CHECK(ctl_says(rig, &run, "job 1", 20000) && ctl_says(rig, &run, "job 2", 20000));
	CHECK(ctl(rig, 20000, "cancel 1") == 0);
	CHECK(ctl_says(rig, &run, "CANCELLED  1-1  job 1", 20000));
	CHECK(rig_expect(rig, 20000, ROOT "/job/1", JOB, "State", "?"));
	CHECK(ctl(rig, 20000, "cancel 2") == 0);
	CHECK(ctl_wait(rig, &run, 20000) == ctl_code("Cancelled"));
	CHECK(strstr(run.text, "CANCELLED  1-2  job 2"));
	rig_package_free(&pack);
}

static const struct rig_test tests[] = {
	{ "no daemon: every verb says so", no_daemon },
	{ "info, dry run of a file, bad files", files },
	{ "usage, help, version", usage },
	{ "errors equal the table", errors },
	{ "list, no jobs", list },
	{ "flash --slot", flash_slot },
	{ "flash without --slot: waits, takes the one, asks which", flash_which },
	{ "flash --all", flash_all },
	{ "flash --level sampled", flash_sampled },
	{ "flash --dry-run", dry_run },
	{ "jobs, attach, cancel, --detach, --wait", jobs },
	{ "attach: one is forgotten while another goes on", forgotten },
};

int main(void)
{
	return rig_run(tests, sizeof(tests) / sizeof(tests[0]));
}
