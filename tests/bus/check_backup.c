/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A phone into a folder: what is in it, that a broken run goes on where it stood, and what is refused.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/util.h"
#include "tests/bus/ctl.h"
#include "tests/bus/folder.h"
#include "tests/bus/rig.h"

#define MINUTE 60000

/* ---- round, on every kind of phone --------------------------------------------------- */

static void profile(struct rig *rig, const char *name, bool ab)
{
	struct rig_phone *p = folder_phone(rig, name, ab, NULL);
	struct rig_package pack;
	struct stat st;
	char dir[96], path[128];

	rig_package(rig, &pack, name, 7, 4096);
	snprintf(dir, sizeof(dir), "%s/one", rig->dir);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	CHECK(folder_fill(p, 5));
	CHECK(ctl(rig, MINUTE, "backup --slot 1-1 --loader %s %s", pack.path, dir) == 0);
	CHECK(strstr(ctl_out, "is whole") && strstr(ctl_out, "stays in its loader"));
	CHECK(folder_good(rig, p, dir, 0, false));
	CHECK(!folder_destroyed(p) && folder_loads(p) == 2);
	/* for its owner only, zeros as holes */
	CHECK(stat(dir, &st) == 0 && (st.st_mode & 0777) == 0700);
	snprintf(path, sizeof(path), "%s/super.img", dir);
	CHECK(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
	CHECK(st.st_size == FOLDER_SUPER && st.st_blocks * 512 < st.st_size / 4);
	/* what was asked for is said in the history as any job is, and nothing is read again */
	CHECK(ctl(rig, MINUTE, "--json backup %s", dir) == 0 && ctl_json());
	CHECK(!strcmp(ctl_str(-1, "event"), "backup") && strstr(ctl_out, "\"files_read\":0") &&
	      strstr(ctl_out, "\"whole\":true"));
	CHECK(folder_loads(p) == 2);
	rig_package_free(&pack);
}

static void sc9863a(struct rig *rig)
{
	profile(rig, "sc9863a", false);
}

static void ums512(struct rig *rig)
{
	profile(rig, "ums512", false);
}

static void ums9230(struct rig *rig)
{
	profile(rig, "ums9230", true);
}

/* its NV with slots would be two ordinary places to this loader */
static void ums9620(struct rig *rig)
{
	profile(rig, "ums9620", false);
}

/* ---- what is wanted --------------------------------------------------------------------- */

static bool has(const char *dir, const char *file)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	return access(path, F_OK) == 0;
}

static void selections(struct rig *rig)
{
	struct rig_phone *p = folder_phone(rig, "ums9230", true, NULL);
	struct rig_package pack;
	char dir[96];

	rig_package(rig, &pack, "ums9230", 7, 4096);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p) && folder_fill(p, 6));
	/* no slot is active as far as misc tells */
	snprintf(dir, sizeof(dir), "%s/lite", rig->dir);
	CHECK(ctl(rig, MINUTE, "backup --lite --loader %s %s", pack.path, dir) == ctl_code("InvalidArgs"));
	CHECK(folder_slot(p, 'b'));
	CHECK(ctl(rig, MINUTE, "backup --lite --without generic %s", dir) == 0);
	CHECK(has(dir, "uboot_b.img") && has(dir, "l_fixnv1_b.img") && !has(dir, "uboot_a.img") &&
	      !has(dir, "l_fixnv1_a.img"));
	CHECK(has(dir, "prodnv.img") && has(dir, "splloader.img") && !has(dir, "super.img"));
	/* the rest of it into the same folder */
	CHECK(ctl(rig, MINUTE, "backup --lite %s", dir) == 0);
	CHECK(folder_good(rig, p, dir, 'b', false));
	CHECK(ctl(rig, MINUTE, "backup --user-data %s", dir) == 0);
	CHECK(folder_good(rig, p, dir, 0, true));
	/* by name: also what is left out by itself */
	snprintf(dir, sizeof(dir), "%s/only", rig->dir);
	CHECK(ctl(rig, MINUTE, "backup --only uboot_log --only own --without persist %s", dir) == 0);
	CHECK(has(dir, "uboot_log.img") && has(dir, "l_fixnv1_a.img") && !has(dir, "persist.img") &&
	      !has(dir, "boot_a.img") && !has(dir, "l_fixnv2_a.img"));
	CHECK(ctl(rig, MINUTE, "backup --only nonesuch %s", dir) == ctl_code("PartitionMissing"));
	CHECK(ctl(rig, MINUTE, "backup --without nonesuch %s", dir) == ctl_code("PartitionMissing"));
	CHECK(ctl(rig, MINUTE, "backup") == 2 && ctl(rig, MINUTE, "backup --end x %s", dir) == 2);
	CHECK(ctl(rig, MINUTE, "backup --end reset %s", dir) == 0);
	rig_package_free(&pack);
}

/* ---- broken off, and gone on with ---------------------------------------------------------- */

struct some {
	const char *dir;
	unsigned int count;
};

/* The manifest names so many files. */
static bool some(void *arg)
{
	struct some *s = arg;

	return folder_files(s->dir) >= s->count;
}

static void killed(struct rig *rig)
{
	struct rig_phone *p = folder_phone(rig, "sc9863a", false, NULL);
	char args[256], whole[96], broken[96];
	struct rig_package pack;
	struct ctl_run run;

	rig_package(rig, &pack, "sc9863a", 7, 4096);
	snprintf(whole, sizeof(whole), "%s/whole", rig->dir);
	snprintf(broken, sizeof(broken), "%s/broken", rig->dir);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p) && folder_fill(p, 7));
	CHECK(ctl(rig, MINUTE, "backup --loader %s --user-data %s", pack.path, whole) == 0);
	/* the client, with the daemon's job going on into files that have no name any more */
	for (unsigned int after = 1; after < 12; after += 5) {
		snprintf(args, sizeof(args), "backup --user-data %s", broken);
		ctl_start(rig, &run, args);
		CHECK(rig_until(rig, MINUTE, some, &(struct some){ broken, after }));
		kill(run.pid, SIGKILL);
		CHECK(ctl_wait(rig, &run, MINUTE) == 256 + SIGKILL);
		CHECK(!folder_same(rig, whole, broken));
	}
	/* the daemon */
	ctl_start(rig, &run, args);
	CHECK(rig_until(rig, MINUTE, some, &(struct some){ broken, 12 }));
	(void)rig_down(rig, SIGKILL, 10000);
	CHECK(ctl_wait(rig, &run, MINUTE) > 2);
	/* wherever in a read that was: a phone that has been plugged in anew can be gone on with */
	CHECK(rig_up(rig, NULL) && folder_replug(rig, p));
	CHECK(ctl(rig, MINUTE, "backup --user-data --loader %s %s", pack.path, broken) == 0);
	CHECK(strstr(ctl_out, "files are there already and right"));
	CHECK(folder_same(rig, whole, broken));
	rig_package_free(&pack);
}

struct named {
	const char *dir, *file;
};

/* In the manifest, which comes last. */
static bool named(void *arg)
{
	struct named *n = arg;
	static char text[64 * 1024];
	char path[160];
	size_t len;
	FILE *f;

	snprintf(path, sizeof(path), "%s/manifest.json", n->dir);
	f = fopen(path, "re");
	len = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
	text[len] = '\0';
	if (f)
		fclose(f);
	return strstr(text, n->file);
}

/* Whoever is killed in the middle of a job leaves what was whole by then: it is not read again. */
static void in_the_middle(struct rig *rig)
{
	struct phone_setup setup = { .faults = "stall at read 2 of l_modem" };
	struct rig_phone *p = folder_phone(rig, "sc9863a", false, &setup);
	struct rig_package pack;
	struct ctl_run run;
	char dir[96], args[256], said[64];
	unsigned int had;

	rig_package(rig, &pack, "sc9863a", 7, 4096);
	snprintf(dir, sizeof(dir), "%s/d", rig->dir);
	snprintf(args, sizeof(args), "backup --loader %s %s", pack.path, dir);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p) && folder_fill(p, 12));
	ctl_start(rig, &run, args);
	CHECK(rig_until(rig, MINUTE, named, &(struct named){ dir, "\"logo.img\"" }));
	/* the job goes on: its next area does not come */
	CHECK(!strcmp(rig_get(rig, ROOT "/job/3", JOB, "State"), "running"));
	CHECK(strstr(rig_get(rig, ROOT "/job/3", JOB, "Entry"), "l_modem"));
	kill(run.pid, SIGKILL);
	CHECK(ctl_wait(rig, &run, MINUTE) == 256 + SIGKILL);
	had = folder_files(dir);
	CHECK(had > 6);
	/* and the service, one area later */
	bed_phone_unplug(p->bp, true);
	CHECK(rig_expect(rig, MINUTE, ROOT "/job/3", JOB, "State", "failed") && folder_replug(rig, p));
	CHECK(phone_set_faults(p->phone, "stall at read 2 of boot", NULL));
	ctl_start(rig, &run, args);
	CHECK(rig_until(rig, MINUTE, named, &(struct named){ dir, "\"l_modem.img\"" }));
	CHECK(!strcmp(rig_get(rig, ROOT "/job/5", JOB, "State"), "running"));
	(void)rig_down(rig, SIGKILL, 10000);
	CHECK(ctl_wait(rig, &run, MINUTE) > 2);
	CHECK(folder_files(dir) == had + 1 && !has(dir, "boot.img") && !has(dir, "boot.img.part"));
	CHECK(phone_set_faults(p->phone, "", NULL));
	CHECK(rig_up(rig, NULL) && folder_replug(rig, p));
	CHECK(ctl(rig, MINUTE, "--json %s", args) == 0);
	snprintf(said, sizeof(said), "\"files_kept\":%u,", had + 1);
	CHECK(strstr(ctl_out, said) && folder_good(rig, p, dir, 0, false));
	rig_package_free(&pack);
}

static void unplugged(struct rig *rig)
{
	struct phone_setup setup = { .faults = "unplug at read 3 of logo" };
	struct rig_phone *p = folder_phone(rig, "ums512", false, &setup);
	struct rig_package pack;
	char dir[96];

	rig_package(rig, &pack, "ums512", 7, 4096);
	snprintf(dir, sizeof(dir), "%s/d", rig->dir);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p) && folder_fill(p, 8));
	CHECK(ctl(rig, MINUTE, "backup --loader %s %s", pack.path, dir) == ctl_code("DeviceVanished"));
	CHECK(strstr(ctl_out, "not whole yet"));
	/* what was whole when it happened is there, in the very job that failed */
	CHECK(has(dir, "l_fixnv1.img") && !has(dir, "logo.img") && !has(dir, "logo.img.part"));
	CHECK(folder_replug(rig, p));
	CHECK(ctl(rig, MINUTE, "backup --loader %s %s", pack.path, dir) == 0);
	CHECK(strstr(ctl_out, "files are there already and right"));
	CHECK(folder_good(rig, p, dir, 0, false));
	rig_package_free(&pack);
}

static void full_disk(struct rig *rig)
{
	struct rig_phone *p = folder_phone(rig, "sc9863a", false, NULL);
	struct rig_package pack;
	char dir[96];

	rig_package(rig, &pack, "sc9863a", 7, 4096);
	snprintf(dir, sizeof(dir), "%s/small", rig->dir);
	CHECK(mkdir(dir, 0700) == 0 && mount("tmpfs", dir, "tmpfs", 0, "size=6m") == 0);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p) && folder_fill(p, 9));
	CHECK(ctl(rig, MINUTE, "backup --loader %s %s", pack.path, dir) == ctl_code("TargetFailed"));
	CHECK(strstr(ctl_out, "No space left") && strstr(ctl_out, "not whole yet"));
	CHECK(mount("tmpfs", dir, "tmpfs", MS_REMOUNT, "size=200m") == 0);
	CHECK(ctl(rig, MINUTE, "backup %s", dir) == 0 && folder_good(rig, p, dir, 0, false));
	CHECK(folder_loads(p) == 2);
	/* a disk that nothing can be written to */
	CHECK(mount("tmpfs", dir, "tmpfs", MS_REMOUNT | MS_RDONLY, "size=200m") == 0);
	CHECK(ctl(rig, MINUTE, "backup %s", dir) == ctl_code("TargetFailed"));
	CHECK(strstr(ctl_err, "Read-only file system"));
	CHECK(ctl(rig, MINUTE, "backup %s/none", dir) == ctl_code("TargetFailed"));
	CHECK(umount2(dir, MNT_DETACH) == 0);
	rig_package_free(&pack);
}

/* What the phone will not give is said, and the rest is there. */
static void unreadable(struct rig *rig)
{
	struct rig_phone *p = folder_phone(rig, "sc9863a", false, NULL);
	struct rig_package pack;
	char dir[96];

	rig_package(rig, &pack, "sc9863a", 7, 4096);
	snprintf(dir, sizeof(dir), "%s/d", rig->dir);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p) && folder_fill(p, 10));
	CHECK(folder_ext(p, false)); /* prodnv without its file system (pac-and-flow 5.6) */
	CHECK(ctl(rig, MINUTE, "backup --loader %s %s", pack.path, dir) == ctl_code("ReadFailed"));
	CHECK(strstr(ctl_out, "MISSING") && strstr(ctl_out, "prodnv could not be read: ReadFailed"));
	CHECK(!has(dir, "prodnv.img") && has(dir, "l_fixnv1.img") && has(dir, "super.img"));
	CHECK(ctl(rig, MINUTE, "backup --without prodnv %s", dir) == 0);
	CHECK(folder_ext(p, true));
	CHECK(ctl(rig, MINUTE, "backup %s", dir) == 0 && folder_good(rig, p, dir, 0, false));
	rig_package_free(&pack);
}

/* ---- what is refused ------------------------------------------------------------------------ */

static void refused(struct rig *rig)
{
	struct rig_phone *p = folder_phone(rig, "sc9863a", false, NULL);
	struct phone_setup other = { .uid = "00112233445566aa" };
	struct rig_phone *q;
	struct rig_package pack;
	char dir[96], path[128];
	int fd;

	rig_package(rig, &pack, "sc9863a", 7, 4096);
	snprintf(dir, sizeof(dir), "%s/d", rig->dir);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p) && folder_fill(p, 11));
	CHECK(ctl(rig, MINUTE, "backup --only own --loader %s %s", pack.path, dir) == 0);
	/* a file that was changed is read again, one that was cut too */
	snprintf(path, sizeof(path), "%s/prodnv.img", dir);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	CHECK(fd >= 0 && pwrite(fd, "x", 1, 77) == 1 && close(fd) == 0);
	snprintf(path, sizeof(path), "%s/miscdata.img", dir);
	CHECK(truncate(path, 5) == 0);
	CHECK(ctl(rig, MINUTE, "backup --only own %s", dir) == 0);
	CHECK(strstr(ctl_out, "prodnv.img is not what it was") &&
	      strstr(ctl_out, "miscdata.img is not what it was"));
	CHECK(folder_image(p, dir, "prodnv") && folder_image(p, dir, "miscdata"));
	/* folders that are no backup, or another version's */
	snprintf(path, sizeof(path), "%s/manifest.json", dir);
	CHECK(ctl(rig, MINUTE, "backup %s", rig->dir) == ctl_code("BackupDamaged"));
	CHECK(ctl(rig, MINUTE, "backup %s", path) == ctl_code("TargetFailed"));
	/* another phone, and this one with another table */
	bed_phone_unplug(p->bp, true);
	q = folder_phone_at(rig, "sc9863a", "2", false, &other);
	CHECK(rig_plug(rig, q));
	CHECK(ctl(rig, MINUTE, "backup --slot 1-2 --loader %s %s", pack.path, dir) ==
	      ctl_code("BackupOfAnother"));
	CHECK(strstr(ctl_err, "identity"));
	CHECK(folder_swap(dir, "\"size\":1048576", "\"size\":2097152") &&
	      folder_swap(dir, "unit_id\":\"", "unit_id\":\"\",\"x\":\""));
	CHECK(ctl(rig, MINUTE, "backup --slot 1-2 %s", dir) == ctl_code("BackupOfAnother"));
	CHECK(strstr(ctl_err, "table"));
	/* what somebody has put into the manifest leads nowhere */
	CHECK(folder_swap(dir, "\"file\":\"prodnv.img\"", "\"file\":\"../logo.img\""));
	CHECK(ctl(rig, MINUTE, "backup --slot 1-2 %s", dir) == ctl_code("BackupDamaged"));
	CHECK(folder_swap(dir, "\"fdld_backup\":1", "\"fdld_backup\":2"));
	CHECK(ctl(rig, MINUTE, "backup --slot 1-2 %s", dir) == ctl_code("BackupDamaged") &&
	      strstr(ctl_err, "newer"));
	rig_package_free(&pack);
}

/* Of a phone that is read by numbers; as many bytes as its signed header tells, too. */
static void by_address(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc8830", "1", NULL);
	static uint8_t want[8192], have[8193];
	struct rig_package pack;
	char path[128];
	int fd;

	rig_package(rig, &pack, "sc8830", 7, 4096);
	snprintf(path, sizeof(path), "%s/flash", rig->dir);
	compose_random(3, want, sizeof(want));
	CHECK(phone_storage_write(p->phone, "boot", 0, want, sizeof(want)));
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	/* said what to do instead, and before a byte */
	CHECK(ctl(rig, MINUTE, "backup --loader %s %s/d", pack.path, rig->dir) == ctl_code("NoPartitions"));
	CHECK(strstr(ctl_err, "read-flash") && !bed_count(bed_phone_dev(p->bp))->submits);
	CHECK(ctl(rig, MINUTE, "read-flash --loader %s 0x80000007 8K %s", pack.path, path) == 0);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0 && read(fd, have, sizeof(have)) == sizeof(want) && !memcmp(have, want, sizeof(want)));
	close(fd);
	CHECK(ctl(rig, MINUTE, "read-flash 0x80000007 auto %s", path) == ctl_code("TargetFailed"));
	CHECK(ctl(rig, MINUTE, "read-flash --replace 0x80000007 auto %s", path) == ctl_code("InvalidArgs"));
	CHECK(strstr(ctl_out, "no signed header"));
	/* a header that speaks of 3000 bytes: 512 for itself */
	memset(want, 0, 512);
	memcpy(want, "DHTB", 4);
	want[0x30] = 3000 & 0xff;
	want[0x31] = 3000 >> 8;
	CHECK(phone_storage_write(p->phone, "boot", 0, want, sizeof(want)));
	CHECK(ctl(rig, MINUTE, "read-flash --replace 0x80000007 auto %s", path) == 0);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0 && read(fd, have, sizeof(have)) == 3512 && !memcmp(have, want, 3512));
	close(fd);
	CHECK(ctl(rig, MINUTE, "read-flash 1 2") == 2 &&
	      ctl(rig, MINUTE, "read-flash boot auto %s", path) == 2 &&
	      ctl(rig, MINUTE, "read-flash 0x80000007 much %s", path) == 2);
	rig_package_free(&pack);
}

int main(void)
{
	static const struct rig_test tests[] = {
		{ "sc9863a: all of it, once", sc9863a },
		{ "ums512: the same", ums512 },
		{ "ums9230, A/B: the same", ums9230 },
		{ "ums9620: the same", ums9620 },
		{ "active slot, user data, names and classes", selections },
		{ "killed half-way and resumed: as an unbroken one", killed },
		{ "killed within a job: what was whole is kept", in_the_middle },
		{ "unplugged in the middle", unplugged },
		{ "a full disk, and one that is read-only", full_disk },
		{ "what the phone will not give", unreadable },
		{ "another phone, another table, folders that are none", refused },
		{ "by address, and as long as its header tells", by_address },
	};

	return rig_run(tests, ARRAY_SIZE(tests));
}
