/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Another table while something else goes wrong: the disk of the service is full, the client or the service
 * dies, the descriptor is none, the cable is pulled. NV come through, what could not be kept is not touched,
 * and the same asked for again passes.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/util.h"
#include "tests/bus/ctl.h"
#include "tests/bus/disk.h"
#include "tests/bus/rig.h"
#include "tests/bus/written.h"

static uint8_t nv[2][2 * MIB];
static size_t nv_len;

static bool go(struct rig *rig, struct rig_phone *p, struct rig_package *pack)
{
	rig_package(rig, pack, "sc9863a", 7, 4096);
	nv_len = sizeof(nv[0]);
	return phone_nv_read(p->phone, "l_fixnv1", nv[0], &nv_len) && rig_up(rig, NULL) && rig_plug(rig, p);
}

static bool nv_same(struct rig_phone *p)
{
	size_t n = sizeof(nv[1]);

	return phone_nv_read(p->phone, "l_fixnv1", nv[1], &n) && n == nv_len && !memcmp(nv[0], nv[1], n);
}

static char table[160];

/* The phone's own with misc three MiB larger, in a file; job 1. */
static bool fetch(struct rig *rig, const struct rig_package *pack)
{
	static char xml[64 * 1024];
	char *at, *size;
	FILE *f;

	if (ctl(rig, 60000, "partitions --xml --loader %s", pack->path) != 0 ||
	    strlen(ctl_out) >= sizeof(xml))
		return false;
	snprintf(xml, sizeof(xml), "%s", ctl_out);
	at = strstr(xml, "id=\"misc\"");
	size = at ? strstr(at, "size=\"1\"") : NULL;
	if (!size)
		return false;
	size[6] = '4';
	snprintf(table, sizeof(table), "%s/table.xml", rig->dir);
	f = fopen(table, "w");
	return f && fputs(xml, f) >= 0 && fclose(f) == 0;
}

static uint64_t misc_size(const struct rig_phone *p)
{
	uint64_t size = 0;

	return phone_storage_size(p->phone, "misc", &size) ? size : 0;
}

static void full_disk(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;
	char command[400];

	CHECK(disk_small(rig, "size=48m,mode=700"));
	CHECK(go(rig, p, &pack) && fetch(rig, &pack) && rig_replug(rig, p));
	snprintf(command, sizeof(command), "repartition --yes --loader %s %s", pack.path, table);
	/* for nothing; not for the first copy; for some of them */
	CHECK(disk_refuses(rig, p, 0, command) && disk_refuses(rig, p, 64 * KIB, command) &&
	      disk_refuses(rig, p, MIB + 512 * KIB, command));
	CHECK(misc_size(p) == MIB && nv_same(p));
	CHECK(ctl(rig, 60000, "%s", command) == 0 && misc_size(p) == 4 * MIB && nv_same(p));
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "OwedBackup"), ""));
	CHECK(rig_down(rig, SIGTERM, 5000) == 0 && disk_gone(rig));
	rig_package_free(&pack);
}

/* What it has begun goes on to its end; job 2 only looks. */
static void client_dies(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	static struct ctl_run run;
	struct rig_package pack;
	char args[300];

	CHECK(go(rig, p, &pack) && fetch(rig, &pack));
	CHECK(phone_set_faults(p->phone, "late 1s at start 1 of l_fixnv1", NULL));
	snprintf(args, sizeof(args), "repartition --yes %s", table);
	ctl_start(rig, &run, args);
	CHECK(rig_expect(rig, 20000, ROOT "/job/3", JOB, "State", "running"));
	CHECK(kill(run.pid, SIGKILL) == 0 && ctl_wait(rig, &run, 5000) == 256 + SIGKILL);
	CHECK(!strcmp(rig_wait(rig, ROOT "/job/3", 60000), "") && misc_size(p) == 4 * MIB && nv_same(p));
	rig_package_free(&pack);
}

static bool stopped(void *arg)
{
	const struct rig_phone *p = arg;
	size_t n = phone_entries(p->phone);

	return n && !strcmp(phone_entry(p->phone, n - 1)->name, "l_fixnv1");
}

/* The service dies between the new table and NV: they are owed, and come back. */
static void service_dies(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	static struct ctl_run run;
	struct rig_package pack;
	char args[300];

	CHECK(go(rig, p, &pack) && fetch(rig, &pack));
	CHECK(phone_set_faults(p->phone, "late 60s at start 1 of l_fixnv1", NULL));
	snprintf(args, sizeof(args), "repartition --yes %s", table);
	ctl_start(rig, &run, args);
	CHECK(rig_until(rig, 30000, stopped, p));
	CHECK(rig_down(rig, SIGKILL, 5000) == 256 + SIGKILL);
	(void)ctl_wait(rig, &run, 20000);
	CHECK(rig_up(rig, NULL));
	CHECK(!strcmp(rig_get(rig, ROOT "/job/3", JOB, "State"), "interrupted") &&
	      !strcmp(rig_get(rig, ROOT "/job/3", JOB, "CancelLeaves"), "needs-flash"));
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "OwedBackup"), "3"));
	CHECK(rig_replug(rig, p));
	CHECK(ctl(rig, 90000, "repartition --yes --loader %s %s", pack.path, table) == 0);
	CHECK(misc_size(p) == 4 * MIB && nv_same(p));
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "OwedBackup"), ""));
	rig_package_free(&pack);
}

static bool refused(struct rig *rig, const struct rig_phone *p, int fd)
{
	bool good = fd >= 0 && !rig_call(rig, 10000, NULL, p->slot, SLOT, "Repartition", "ha{sv}", fd, 0);

	if (fd >= 0)
		close(fd);
	return good && !written_changes(p->phone);
}

static void descriptors(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;
	int ends[2], fd;

	CHECK(go(rig, p, &pack) && fetch(rig, &pack));
	CHECK(pipe2(ends, O_CLOEXEC) == 0);
	close(ends[1]);
	CHECK(refused(rig, p, ends[0]));
	CHECK(refused(rig, p, open("/dev/null", O_RDONLY | O_CLOEXEC)));
	CHECK(refused(rig, p, open(table, O_WRONLY | O_CLOEXEC)));
	CHECK(refused(rig, p, open(rig->dir, O_RDONLY | O_CLOEXEC)));
	CHECK(refused(rig, p, open(rig->dir, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600)));
	/* closed by who gave it, and nowhere to be found any more: it was given */
	fd = open(table, O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0 && unlink(table) == 0);
	CHECK(rig_call(rig, 10000, NULL, p->slot, SLOT, "Repartition", "ha{sv}", fd, 0));
	close(fd);
	CHECK(rig_expect(rig, 60000, ROOT "/job/2", JOB, "State", "succeeded"));
	CHECK(misc_size(p) == 4 * MIB && nv_same(p));
	rig_package_free(&pack);
}

static void unplugged(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;

	CHECK(go(rig, p, &pack) && fetch(rig, &pack));
	CHECK(phone_set_faults(p->phone, "unplug at repartition 1", NULL));
	CHECK(ctl(rig, 60000, "repartition --yes %s", table) == ctl_code("DeviceVanished"));
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "OwedBackup"), "3"));
	CHECK(rig_replug(rig, p));
	CHECK(ctl(rig, 90000, "repartition --yes --loader %s %s", pack.path, table) == 0);
	CHECK(misc_size(p) == 4 * MIB && nv_same(p));
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "OwedBackup"), ""));
	rig_package_free(&pack);
}

int main(void)
{
	static const struct rig_test tests[] = {
		{ "the disk is full", full_disk },
		{ "the client dies", client_dies },
		{ "the service dies, and NV are not back", service_dies },
		{ "descriptors", descriptors },
		{ "unplugged at the new table", unplugged },
	};

	return rig_run(tests, ARRAY_SIZE(tests));
}
