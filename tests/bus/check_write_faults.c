/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files into single places of a phone: what can go wrong in the middle, and what is left then. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/util.h"
#include "tests/bus/conf.h"
#include "tests/bus/ctl.h"
#include "tests/bus/written.h"

/* ---- faults in the middle -------------------------------------------------------------------- */

static void fault(struct rig *rig, const char *script, const char *error, const char *leaves)
{
	struct phone_setup setup = { .faults = script };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &setup);
	struct rig_package pack;
	const char *path;

	rig_package(rig, &pack, "sc9863a", 7, 4096);
	path = written_any(rig, "x.img", 15, MIB, false);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	CHECK(ctl(rig, 60000, "write --loader %s logo %s", pack.path, path) == ctl_code(error));
	CHECK(!strcmp(rig_get(rig, ROOT "/job/1", JOB, "CancelLeaves"), leaves));
	CHECK(written_only(p->phone, "logo", ""));
	/* after a new start all is well */
	CHECK(phone_set_faults(p->phone, "", NULL));
	bed_phone_unplug(p->bp, true);
	CHECK(rig_expect(rig, 5000, p->slot, SLOT, "State", "empty") && rig_plug(rig, p));
	CHECK(ctl(rig, 60000, "write --loader %s logo %s", pack.path, path) == 0);
	CHECK(written_holds_any(p, "logo", 15, MIB, false));
	rig_package_free(&pack);
}

static void unplugged(struct rig *rig)
{
	fault(rig, "unplug at midst 3 of logo", "DeviceVanished", "needs-flash");
}

static void not_written(struct rig *rig)
{
	fault(rig, "refuse at end of logo with 0xa2", "EndFailed", "needs-flash");
}

/* By a loader that has less room for NV: it says so before it takes a byte, and nothing is owed. */
static void refused_at_once(struct rig *rig)
{
	struct phone_setup setup = { .faults = "F35" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &setup);
	struct rig_package pack;
	uint8_t *bytes;
	unsigned int once;
	size_t len;

	rig_package(rig, &pack, "sc9863a", 7, 4096);
	bytes = compose_payload(&pack.spec, "NV_LTE", 0, &len);
	CHECK(bytes && rig_up(rig, NULL) && rig_plug(rig, p));
	CHECK(ctl(rig, 60000, "write --loader %s l_fixnv1 %s", pack.path,
		  written_file(rig, "nv.bin", bytes, len)) == ctl_code("NvTooLarge"));
	CHECK(!strcmp(rig_get(rig, ROOT "/job/1", JOB, "CancelLeaves"), "unchanged"));
	CHECK(strcmp(rig_dict(rig, ROOT "/job/1", JOB, "Result", "nv"), "owed") != 0);
	CHECK(!written_changes(p->phone) && !strcmp(rig_get(rig, p->slot, SLOT, "OwedBackup"), ""));
	/* and the phone waits for the next command */
	once = written_loads(p->phone);
	CHECK(phone_set_faults(p->phone, "", NULL));
	CHECK(ctl(rig, 60000, "write l_fixnv1 %s", written_file(rig, "nv.bin", bytes, len)) == 0);
	CHECK(written_loads(p->phone) == once);
	free(bytes);
	rig_package_free(&pack);
}

static void lied(struct rig *rig)
{
	fault(rig, "lie-write on logo from 0x8000", "VerifyMismatch", "needs-flash");
}

/* The file is another, or shorter, before all of it was sent. */
static void changes_meanwhile(struct rig *rig)
{
	struct phone_setup setup = { .faults = "late 2s at midst 1 of logo" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &setup);
	struct rig_package pack;
	const char *path;

	rig_package(rig, &pack, "sc9863a", 7, 4096);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	CHECK(ctl(rig, 20000, "image import %s", pack.path) == 0);
	for (int cut = 0; cut < 2; cut++) {
		int fd, rw;
		char job[40];

		path = written_any(rig, "x.img", 16, 6 * MIB, false);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		rw = open(path, O_WRONLY | O_CLOEXEC);
		CHECK(fd >= 0 && rw >= 0 && written_call(rig, p, fd, strrchr(pack.path, '/') + 1));
		snprintf(job, sizeof(job), ROOT "/job/%d", cut + 1);
		CHECK(rig_expect(rig, 20000, job, JOB, "Entry", "logo"));
		if (cut)
			CHECK(ftruncate(rw, 5 * MIB) == 0);
		else
			CHECK(pwrite(rw, "other", 5, 5 * MIB + 7) == 5);
		close(fd);
		close(rw);
		CHECK(!strcmp(rig_wait(rig, job, 60000), ERR("PackageChanged")));
		CHECK(strstr(rig_dict(rig, job, JOB, "ErrorDetails", "detail"), "x.img"));
		CHECK(!strcmp(rig_get(rig, job, JOB, "CancelLeaves"), "needs-flash"));
		CHECK(phone_set_faults(p->phone, "late 2s at midst 1 of logo", NULL));
		bed_phone_unplug(p->bp, true);
		CHECK(rig_expect(rig, 5000, p->slot, SLOT, "State", "empty") && rig_plug(rig, p));
	}
	rig_package_free(&pack);
}

/* What a cancel leaves is told, and what had not begun is as it was. */
static void cancelled(struct rig *rig)
{
	struct phone_setup setup = { .faults = "late 1s at midst 1 of logo" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &setup);
	struct rig_package pack;
	static struct ctl_run run;
	char args[400];

	rig_package(rig, &pack, "sc9863a", 7, 4096);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	snprintf(args, sizeof(args), "write --loader %s logo %s boot %s", pack.path,
		 written_any(rig, "x.img", 18, MIB, false), written_any(rig, "y.img", 19, MIB, false));
	ctl_start(rig, &run, args);
	CHECK(rig_expect(rig, 20000, ROOT "/job/1", JOB, "Entry", "logo"));
	CHECK(ctl(rig, 20000, "cancel 1") == 0);
	CHECK(ctl_wait(rig, &run, 30000) == ctl_code("Cancelled"));
	CHECK(!strcmp(rig_get(rig, ROOT "/job/1", JOB, "CancelLeaves"), "needs-flash"));
	CHECK(written_holds_any(p, "logo", 18, MIB, false) && written_only(p->phone, "logo", ""));
	rig_package_free(&pack);
}

static void client_dies(struct rig *rig)
{
	struct phone_setup setup = { .faults = "late 2s at midst 1 of logo" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &setup);
	struct rig_package pack;
	static struct ctl_run run;
	char args[400];

	rig_package(rig, &pack, "sc9863a", 7, 4096);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	snprintf(args, sizeof(args), "write --loader %s logo %s", pack.path,
		 written_any(rig, "x.img", 17, 3 * MIB, false));
	ctl_start(rig, &run, args);
	CHECK(rig_expect(rig, 20000, ROOT "/job/1", JOB, "Entry", "logo"));
	CHECK(kill(run.pid, SIGKILL) == 0 && ctl_wait(rig, &run, 5000) == 256 + SIGKILL);
	CHECK(!strcmp(rig_wait(rig, ROOT "/job/1", 60000), ""));
	CHECK(written_holds_any(p, "logo", 17, 3 * MIB, false));
	rig_package_free(&pack);
}

/* The service dies in the middle: the next one says so, and the phone is written anew. */
static void service_dies(struct rig *rig)
{
	struct phone_setup setup = { .faults = "late 2s at midst 1 of logo" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &setup);
	struct rig_package pack;
	const char *path;
	int fd;

	rig_package(rig, &pack, "sc9863a", 7, 4096);
	path = written_any(rig, "x.img", 24, 2 * MIB, false);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	CHECK(ctl(rig, 20000, "image import %s", pack.path) == 0);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0 && written_call(rig, p, fd, strrchr(pack.path, '/') + 1));
	close(fd);
	CHECK(rig_expect(rig, 20000, ROOT "/job/1", JOB, "Entry", "logo"));
	CHECK(rig_down(rig, SIGKILL, 5000) == 256 + SIGKILL && rig_up(rig, NULL));
	CHECK(!strcmp(rig_get(rig, ROOT "/job/1", JOB, "State"), "interrupted") &&
	      !strcmp(rig_get(rig, ROOT "/job/1", JOB, "Kind"), "write") &&
	      !strcmp(rig_get(rig, ROOT "/job/1", JOB, "CancelLeaves"), "needs-flash"));
	/* what runs there is nobody's any more */
	CHECK(ctl(rig, 20000, "write --loader %s logo %s", pack.path, path) == ctl_code("StageUnknown"));
	bed_phone_unplug(p->bp, true);
	CHECK(rig_expect(rig, 5000, p->slot, SLOT, "State", "empty") && rig_plug(rig, p));
	CHECK(ctl(rig, 60000, "write --loader %s logo %s", pack.path, path) == 0);
	CHECK(written_holds_any(p, "logo", 24, 2 * MIB, false));
	rig_package_free(&pack);
}

/* NV that was not back when the cable went is owed, and comes back with the next NV that is written. */
static void nv_owed(struct rig *rig)
{
	struct phone_setup setup = { .faults = "unplug at end of l_fixnv1" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &setup);
	uint8_t before[16], after[16], *nv;
	struct rig_package pack;
	const char *path;
	size_t len;

	rig_package(rig, &pack, "sc9863a", 7, 4096);
	nv = compose_payload(&pack.spec, "NV_LTE", 0, &len);
	path = written_file(rig, "nv.bin", nv, len);
	free(nv);
	CHECK(rig_nv_item(p->phone, 5, before, sizeof(before)) == 8);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	CHECK(ctl(rig, 60000, "write --loader %s l_fixnv1 %s", pack.path, path) ==
	      ctl_code("DeviceVanished"));
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "OwedBackup"), "1"));
	CHECK(phone_set_faults(p->phone, "", NULL));
	CHECK(rig_expect(rig, 5000, p->slot, SLOT, "State", "empty"));
	CHECK(rig_plug(rig, p));
	CHECK(ctl(rig, 60000, "write --loader %s l_fixnv1 %s", pack.path, path) == 0);
	CHECK(rig_nv_item(p->phone, 5, after, sizeof(after)) == 8 && !memcmp(before, after, 8));
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "OwedBackup"), ""));
	rig_package_free(&pack);
}

/* Of several the second fails: the first is there, and the third was not begun. */
static void second_of_three(struct rig *rig)
{
	struct phone_setup setup = { .faults = "refuse at end of boot with 0xa2" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &setup);
	struct rig_package pack;

	rig_package(rig, &pack, "sc9863a", 7, 4096);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	CHECK(ctl(rig, 60000, "write --loader %s logo %s boot %s misc %s", pack.path,
		  written_any(rig, "a.img", 25, 90000, false), written_any(rig, "b.img", 26, 90000, false),
		  written_any(rig, "c.img", 27, 90000, false)) == ctl_code("EndFailed"));
	CHECK(written_holds_any(p, "logo", 25, 90000, false));
	CHECK(written_only(p->phone, "logo", "boot"));
	CHECK(strstr(ctl_out, "boot"));
	CHECK(ctl(rig, 5000, "--json jobs 1") == 0);
	CHECK(strstr(ctl_out, "\"not-run\"") && strstr(ctl_out, "\"acknowledged\""));
	rig_package_free(&pack);
}

int main(void)
{
	static const struct rig_test tests[] = {
		{ "unplugged in the middle", unplugged },
		{ "a write that fails", not_written },
		{ "refused before a byte was taken", refused_at_once },
		{ "a phone that lies", lied },
		{ "the file changes", changes_meanwhile },
		{ "cancelled between two", cancelled },
		{ "the client is killed", client_dies },
		{ "the service is killed", service_dies },
		{ "NV that was not back", nv_owed },
		{ "the second of three fails", second_of_three },
	};

	return rig_run(tests, ARRAY_SIZE(tests));
}
