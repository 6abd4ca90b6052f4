/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A folder back onto a phone: the bytes are those that were read, whatever they look like; what is refused is
 * refused before anything is sent or written.
 */
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

static bool saved(struct rig *rig, struct rig_phone *p, const struct rig_package *pack, const char *dir,
		  uint64_t seed)
{
	return rig_plug(rig, p) && folder_fill(p, seed) &&
	       ctl(rig, MINUTE, "backup --slot 1-1 --user-data --loader %s %s", pack->path, dir) == 0;
}

/* ---- round, on every kind of phone --------------------------------------------------- */

static void profile(struct rig *rig, const char *name, bool ab)
{
	struct rig_phone *p = folder_phone(rig, name, ab, NULL);
	struct rig_package pack;
	char dir[96];

	rig_package(rig, &pack, name, 7, 4096);
	snprintf(dir, sizeof(dir), "%s/one", rig->dir);
	CHECK(folder_slot(p, 'b'));
	CHECK(rig_up(rig, NULL) && saved(rig, p, &pack, dir, 5));
	CHECK(folder_good(rig, p, dir, 0, true));
	CHECK(folder_wipe(p) && !folder_restored(p, dir, 'b'));
	CHECK(ctl(rig, 2 * MINUTE, "restore %s", dir) == 0);
	CHECK(strstr(ctl_out, "are on the phone") && strstr(ctl_out, "stays in its loader"));
	CHECK(folder_restored(p, dir, 'b'));
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

static void ums9620(struct rig *rig)
{
	profile(rig, "ums9620", false);
}

/* More small ones of a kind than one message of the bus has descriptors for (16), there and back. */
static void many(struct rig *rig)
{
	static const struct phone_part own[] = {
		{ "prodnv", 5u << 20, PHONE_PART_FILLED | PHONE_PART_EXT4, 0, 0 },
		{ "miscdata", 1u << 20, PHONE_PART_FILLED, 0, 0 },
		{ "misc", 1u << 20, 0, 0, 0 },
		{ "l_fixnv1", 2u << 20, PHONE_PART_FILLED, 0, 0 },
		{ "l_fixnv2", 2u << 20, PHONE_PART_FILLED, 0, 0 },
	};
	static char name[20][8];
	struct phone_part parts[ARRAY_SIZE(own) + ARRAY_SIZE(name) + 1];
	struct phone_setup setup = { .parts = parts,
				     .part_count = ARRAY_SIZE(parts),
				     .user_bytes = 64u << 20 };
	struct rig_package pack;
	struct rig_phone *p;
	char dir[96];

	memcpy(parts, own, sizeof(own));
	for (size_t i = 0; i < ARRAY_SIZE(name); i++) {
		snprintf(name[i], sizeof(name[i]), "small%02u", (unsigned int)i % 100);
		parts[ARRAY_SIZE(own) + i] = (struct phone_part){ name[i], 1u << 20, 0, 0, 0 };
	}
	parts[ARRAY_SIZE(parts) - 1] = (struct phone_part){ "userdata", UINT64_MAX, 0, 0, 0 };
	p = rig_phone(rig, "sc9863a", "1", &setup);
	rig_package(rig, &pack, "sc9863a", 7, 4096);
	snprintf(dir, sizeof(dir), "%s/one", rig->dir);
	CHECK(rig_up(rig, NULL) && saved(rig, p, &pack, dir, 5));
	CHECK(folder_good(rig, p, dir, 0, true) && folder_files(dir) > ARRAY_SIZE(name) + 4);
	CHECK(folder_wipe(p) && !folder_restored(p, dir, 'b'));
	CHECK(ctl(rig, 2 * MINUTE, "restore %s", dir) == 0 && folder_restored(p, dir, 'b'));
	CHECK(folder_loads(p) == 2);
	rig_package_free(&pack);
}

/* ---- whatever it looks like ------------------------------------------------------------ */

static void looks(struct rig *rig)
{
	static const uint8_t stale[64] = { 'D', 'H', 'T', 'B', 1, 0, 0, 0, [0x30] = 0, 0x10 };
	struct rig_phone *p = folder_phone(rig, "sc9863a", false, NULL);
	struct rig_package pack;
	char dir[96];

	rig_package(rig, &pack, "sc9863a", 7, 4096);
	snprintf(dir, sizeof(dir), "%s/d", rig->dir);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p) && folder_fill(p, 6));
	CHECK(phone_storage_write(p->phone, "logo", 0, stale, sizeof(stale)) &&
	      phone_storage_write(p->phone, "l_modem", 0x100, "changed", 7));
	CHECK(ctl(rig, MINUTE, "backup --loader %s --only logo --only l_modem %s", pack.path, dir) == 0);
	CHECK(folder_wipe(p));
	/* a plan is a plan */
	CHECK(ctl(rig, MINUTE, "restore --dry-run %s", dir) == 0 && strstr(ctl_out, "logo"));
	CHECK(!folder_destroyed(p));
	CHECK(folder_replug(rig, p)); /* a plan ends with a restart */
	CHECK(ctl(rig, MINUTE, "restore --loader %s %s", pack.path, dir) == 0);
	CHECK(folder_image(p, dir, "logo") && folder_image(p, dir, "l_modem"));
	rig_package_free(&pack);
}

/* ---- whose it is, and whether it fits ------------------------------------------------------ */

static void other_phone(struct rig *rig)
{
	struct rig_phone *p = folder_phone(rig, "sc9863a", false, NULL), *q;
	struct phone_setup other = { .uid = "00112233445566aa" };
	struct rig_package pack;
	char dir[96];

	rig_package(rig, &pack, "sc9863a", 7, 4096);
	snprintf(dir, sizeof(dir), "%s/d", rig->dir);
	CHECK(rig_up(rig, NULL) && saved(rig, p, &pack, dir, 7));
	bed_phone_unplug(p->bp, true);
	q = folder_phone_at(rig, "sc9863a", "2", false, &other);
	CHECK(rig_plug(rig, q) && folder_fill(q, 99));
	CHECK(ctl(rig, MINUTE, "restore --slot 1-2 --loader %s %s", pack.path, dir) ==
	      ctl_code("PartitionUnique"));
	CHECK(strstr(ctl_err, "another phone") && !folder_destroyed(q));
	/* what is no phone's own may go there */
	CHECK(ctl(rig, MINUTE, "restore --slot 1-2 --without own --without userdata %s", dir) == 0);
	CHECK(folder_image(q, dir, "boot") && folder_image(q, dir, "super") &&
	      folder_image(q, dir, "splloader"));
	CHECK(!folder_image(q, dir, "persist") && !folder_image(q, dir, "userdata"));
	/* and on somebody's word all of it */
	CHECK(ctl(rig, MINUTE, "restore --slot 1-2 --only persist --i-know %s", dir) == 0);
	CHECK(folder_image(q, dir, "persist"));
	/* a backup that does not tell whose it is */
	CHECK(folder_swap(dir, "unit_id\":\"", "unit_id\":\"\",\"x\":\""));
	CHECK(ctl(rig, MINUTE, "restore --slot 1-2 --only own %s", dir) == ctl_code("PartitionUnique"));
	CHECK(strstr(ctl_err, "does not tell"));
	rig_package_free(&pack);
}

static void other_table(struct rig *rig)
{
	static const struct phone_part small[] = {
		{ "prodnv", 5 << 20, PHONE_PART_FILLED | PHONE_PART_EXT4, 0, 0 },
		{ "miscdata", 1 << 20, PHONE_PART_FILLED, 0, 0 },
		{ "boot", 2 << 20, 0, 0, 0 },
		{ "userdata", UINT64_MAX, 0, 0, 0 },
	};
	struct phone_setup setup = { .parts = small,
				     .part_count = ARRAY_SIZE(small),
				     .user_bytes = 64 << 20 };
	struct rig_phone *p = folder_phone(rig, "sc9863a", false, NULL), *q;
	struct rig_package pack;
	char dir[96];

	rig_package(rig, &pack, "sc9863a", 7, 4096);
	snprintf(dir, sizeof(dir), "%s/d", rig->dir);
	CHECK(rig_up(rig, NULL) && saved(rig, p, &pack, dir, 8));
	bed_phone_unplug(p->bp, true);
	q = rig_phone(rig, "sc9863a", "2", &setup);
	CHECK(rig_plug(rig, q));
	CHECK(ctl(rig, MINUTE, "restore --slot 1-2 --only boot --loader %s %s", pack.path, dir) ==
	      ctl_code("BackupDoesNotFit"));
	CHECK(strstr(ctl_err, "boot: 2097152 bytes are there, 8388608 are needed") &&
	      strstr(ctl_err, "repartition"));
	CHECK(ctl(rig, MINUTE, "restore --slot 1-2 --only super %s", dir) == ctl_code("BackupDoesNotFit"));
	CHECK(strstr(ctl_err, "super: the phone has no such partition"));
	CHECK(!folder_destroyed(q));
	rig_package_free(&pack);
}

static void damaged(struct rig *rig)
{
	struct rig_phone *p = folder_phone(rig, "sc9863a", false, NULL);
	struct rig_package pack;
	char dir[96], path[128];
	unsigned int before;
	int fd;

	rig_package(rig, &pack, "sc9863a", 7, 4096);
	snprintf(dir, sizeof(dir), "%s/d", rig->dir);
	CHECK(ctl(rig, MINUTE, "restore %s", dir) == ctl_code("BackupDamaged"));
	CHECK(rig_up(rig, NULL) && saved(rig, p, &pack, dir, 9));
	before = (unsigned int)bed_count(bed_phone_dev(p->bp))->submits;
	snprintf(path, sizeof(path), "%s/boot.img", dir);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	CHECK(fd >= 0 && pwrite(fd, "x", 1, 4 << 20) == 1 && close(fd) == 0);
	CHECK(ctl(rig, MINUTE, "restore %s", dir) == ctl_code("BackupDamaged"));
	CHECK(strstr(ctl_err, "boot.img: its SHA-256 is another one"));
	CHECK(truncate(path, 77) == 0);
	CHECK(ctl(rig, MINUTE, "restore --only boot %s", dir) == ctl_code("BackupDamaged"));
	CHECK(unlink(path) == 0 && symlink("super.img", path) == 0);
	CHECK(ctl(rig, MINUTE, "restore --only boot %s", dir) == ctl_code("BackupDamaged"));
	CHECK(ctl(rig, MINUTE, "restore %s", rig->dir) == ctl_code("BackupDamaged"));
	CHECK(ctl(rig, MINUTE, "restore --only nonesuch %s", dir) == ctl_code("PartitionMissing"));
	/* all of that without a byte to the phone */
	CHECK((unsigned int)bed_count(bed_phone_dev(p->bp))->submits == before);
	/* what is not damaged can be put back, from a disk that cannot be written to, too */
	CHECK(mount(dir, dir, NULL, MS_BIND, NULL) == 0 &&
	      mount(NULL, dir, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) == 0);
	CHECK(folder_fill(p, 50));
	CHECK(ctl(rig, MINUTE, "restore --without boot %s", dir) == 0);
	CHECK(folder_image(p, dir, "super") && folder_image(p, dir, "uboot"));
	CHECK(umount2(dir, MNT_DETACH) == 0);
	CHECK(ctl(rig, MINUTE, "restore") == 2 && ctl(rig, MINUTE, "restore --end x %s", dir) == 2);
	rig_package_free(&pack);
}

/* ---- faults in the middle --------------------------------------------------------------------- */

static void unplugged(struct rig *rig)
{
	struct phone_setup setup = { .faults = "unplug at midst 3 of super" };
	struct rig_phone *p = folder_phone(rig, "ums512", false, &setup);
	struct rig_package pack;
	char dir[96];

	rig_package(rig, &pack, "ums512", 7, 4096);
	snprintf(dir, sizeof(dir), "%s/d", rig->dir);
	CHECK(rig_up(rig, NULL) && saved(rig, p, &pack, dir, 10) && folder_fill(p, 77));
	CHECK(ctl(rig, MINUTE, "restore %s", dir) == ctl_code("DeviceVanished"));
	CHECK(strstr(ctl_out, "Not surely on the phone:") && strstr(ctl_out, "super"));
	CHECK(folder_replug(rig, p));
	CHECK(ctl(rig, MINUTE, "restore --loader %s %s", pack.path, dir) == 0);
	CHECK(folder_restored(p, dir, 'b'));
	rig_package_free(&pack);
}

static bool begun(void *arg)
{
	return folder_destroyed(arg) > 2;
}

static void killed(struct rig *rig)
{
	struct rig_phone *p = folder_phone(rig, "sc9863a", false, NULL);
	struct rig_package pack;
	char dir[96], args[160];
	struct ctl_run run;

	rig_package(rig, &pack, "sc9863a", 7, 4096);
	snprintf(dir, sizeof(dir), "%s/d", rig->dir);
	CHECK(rig_up(rig, NULL) && saved(rig, p, &pack, dir, 11) && folder_fill(p, 78));
	snprintf(args, sizeof(args), "restore %s", dir);
	ctl_start(rig, &run, args);
	CHECK(rig_until(rig, MINUTE, begun, p));
	kill(run.pid, SIGKILL);
	CHECK(ctl_wait(rig, &run, MINUTE) == 256 + SIGKILL);
	/* its job goes on to its end; the next run waits for that and does all of it */
	CHECK(ctl(rig, 2 * MINUTE, "restore %s", dir) == 0);
	CHECK(folder_restored(p, dir, 'b'));
	rig_package_free(&pack);
}

int main(void)
{
	static const struct rig_test tests[] = {
		{ "sc9863a: read, wiped, written back", sc9863a },
		{ "ums512: the same", ums512 },
		{ "ums9230, A/B: the same", ums9230 },
		{ "ums9620: the same", ums9620 },
		{ "more of a kind than a message of the bus carries", many },
		{ "byte by byte, whatever it looks like", looks },
		{ "another phone", other_phone },
		{ "another table", other_table },
		{ "files that are damaged, folders that are none", damaged },
		{ "unplugged in the middle", unplugged },
		{ "killed in the middle", killed },
	};

	return rig_run(tests, ARRAY_SIZE(tests));
}
