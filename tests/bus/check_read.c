/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Areas of a phone's storage into descriptors and files: bytes and sums, the loader that stays for the next
 * command, what a read must not do, and what can go wrong on either end.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/util.h"
#include "tests/bus/conf.h"
#include "tests/bus/ctl.h"
#include "tests/bus/rig.h"

#define KIB 1024u

static uint8_t want[16u << 20], have[16u << 20];

/* Other bytes in every area, behind the phone's back. */
static bool lay(struct rig_phone *p, const char *area, size_t len, uint64_t seed)
{
	compose_random(seed, want, len);
	return phone_storage_write(p->phone, area, 0, want, len);
}

static bool file_is(const char *path, const struct rig_phone *p, const char *area, uint64_t offset,
		    size_t len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	bool good = fd >= 0 && fstat(fd, &st) == 0 && (size_t)st.st_size == len && len <= sizeof(have) &&
		    read(fd, have, len) == (ssize_t)len &&
		    phone_storage_read(p->phone, area, offset, want, len) && !memcmp(have, want, len);

	if (fd < 0)
		tap_note("%s: %s", path, strerror(errno));
	else if (!good)
		tap_note("%s: %lld bytes, not the phone's %zu", path, (long long)st.st_size, len);
	if (fd >= 0)
		close(fd);
	return good;
}

/* How often a loader was executed on the phone. */
static unsigned int loads(const struct phone *phone)
{
	unsigned int n = 0;

	for (size_t i = 0; i < phone_deeds(phone); i++)
		n += phone_deed(phone, i)->kind == PHONE_DEED_RAM;
	return n;
}

/* What is not in RAM, and not the phone's own log. */
static unsigned int destroyed(const struct phone *phone)
{
	unsigned int n = 0;

	for (size_t i = 0; i < phone_deeds(phone); i++)
		n += phone_deed(phone, i)->kind != PHONE_DEED_RAM &&
		     phone_deed(phone, i)->kind != PHONE_DEED_LOG;
	return n;
}

static const char *device_of(struct rig *rig, const struct rig_phone *p)
{
	return rig_get(rig, p->slot, SLOT, "Device");
}

static bool kept(struct rig *rig, const struct rig_phone *p)
{
	return rig_num(rig, device_of(rig, p), DEVICE, "KeptUntil") != 0;
}

struct gone {
	struct rig *rig;
	const struct rig_phone *p;
};

static bool gone(void *arg)
{
	struct gone *g = arg;

	return phone_stage(g->p->phone) != PHONE_FDL2;
}

/* ---- round, on every kind of phone --------------------------------------------------- */

static void profile(struct rig *rig, const char *name, const char *area, const char *second)
{
	struct rig_phone *p = rig_phone(rig, name, "1", NULL);
	struct rig_package pack;
	unsigned int once;
	uint64_t size;
	char path[128];
	const char *plain = *area == '0' ? "boot" : area;

	rig_package(rig, &pack, name, 7, 4096);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	CHECK(phone_storage_size(p->phone, plain, &size) && size <= sizeof(want));
	CHECK(lay(p, plain, size, 11));
	snprintf(path, sizeof(path), "%s/one.img", rig->dir);
	if (*area == '0') /* only a table tells where a number ends */
		CHECK(ctl(rig, 60000, "read --slot 1-1 --loader %s --output %s %s", pack.path, path, area) ==
		      ctl_code("InvalidArgs"));
	CHECK(ctl(rig, 60000, "read --slot 1-1 --loader %s --output %s %s%s", pack.path, path, area,
		  *area == '0' ? "+256K" : "") == 0);
	CHECK(strstr(ctl_out, "PASS") && strstr(ctl_out, "sha256") && strstr(ctl_out, "stays in its loader"));
	CHECK(file_is(path, p, plain, 0, *area == '0' ? 256 * KIB : size));
	CHECK(kept(rig, p) && !strcmp(rig_get(rig, device_of(rig, p), DEVICE, "Stage"), "fdl2"));
	CHECK(!destroyed(p->phone));
	/* the second command finds the loader there, and is told none */
	once = loads(p->phone);
	CHECK(once == 2);
	snprintf(path, sizeof(path), "%s/two.img", rig->dir);
	CHECK(ctl(rig, 60000, "read --slot 1-1 --output %s %s:4096+513", path, second) == 0);
	CHECK(file_is(path, p, *area == '0' ? "boot" : second, 4096, 513));
	CHECK(loads(p->phone) == once);
	/* nor is it asked what it might not know: that costs some loaders their buffers */
	for (int i = 0; i < 4; i++)
		CHECK(ctl(rig, 60000, "read --slot 1-1 --replace --output %s %s:4096+513", path, second) ==
		      0);
	CHECK(phone_counters(p->phone)->leaked_packets <= 1 && loads(p->phone) == once);
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "State"), "ready"));
	/* and the explicit end */
	CHECK(ctl(rig, 60000, "reset 1-1") == 0);
	CHECK(rig_until(rig, 10000, gone, &(struct gone){ rig, p }));
	rig_package_free(&pack);
}

static void sc9863a(struct rig *rig)
{
	profile(rig, "sc9863a", "logo", "boot");
}

static void ums512(struct rig *rig)
{
	profile(rig, "ums512", "logo", "boot");
}

static void ums9230(struct rig *rig)
{
	profile(rig, "ums9230", "misc", "misc");
}

static void ums9620(struct rig *rig)
{
	profile(rig, "ums9620", "misc", "misc");
}

static void sc8830(struct rig *rig)
{
	profile(rig, "sc8830", "0x80000007", "0x80000007");
}

/* ---- several at once, and what becomes of them ---------------------------------------- */

static void several(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;
	json_object *files;
	char path[160], dir[96];

	rig_package(rig, &pack, "sc9863a", 7, 4096);
	snprintf(dir, sizeof(dir), "%s/out", rig->dir);
	CHECK(mkdir(dir, 0700) == 0);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	CHECK(lay(p, "logo", 1 << 20, 1) && lay(p, "misc", 1 << 20, 2));
	CHECK(ctl(rig, 60000, "--json read --loader %s --output %s logo+300K misc:1+1 splloader+4K",
		  pack.path, dir) == 0 &&
	      ctl_json());
	CHECK(!strcmp(ctl_str(-1, "event"), "files"));
	files = ctl_line(-1);
	json_object_put(files);
	snprintf(path, sizeof(path), "%s/logo-300K.img", dir);
	CHECK(file_is(path, p, "logo", 0, 300 * KIB));
	snprintf(path, sizeof(path), "%s/misc-1-1.img", dir);
	CHECK(file_is(path, p, "misc", 1, 1));
	snprintf(path, sizeof(path), "%s/splloader-4K.img", dir);
	CHECK(file_is(path, p, "splloader", 0, 4 * KIB));
	/* what is there stays there */
	CHECK(ctl(rig, 60000, "read --output %s misc:1+1", dir) == ctl_code("TargetFailed"));
	CHECK(ctl(rig, 60000, "read --replace --output %s misc:1+1", dir) == 0);
	/* the sum is the file's */
	CHECK(ctl(rig, 60000,
		  "read --output %s/s misc >%s/said && test $(sha256sum <%s/s | cut -c1-64) = $(grep -o 'sha256 .*' "
		  "%s/said | cut -c8-)",
		  dir, dir, dir, dir) == 0);
	/* the job says so too, and the history */
	CHECK(!strcmp(rig_get(rig, ROOT "/job/1", JOB, "Kind"), "read"));
	CHECK(!strcmp(rig_get(rig, ROOT "/job/1", JOB, "CancelLeaves"), "unchanged"));
	CHECK(ctl(rig, 5000, "--json history") == 0);
	CHECK(strstr(ctl_out, "\"kind\":\"read\"") && strstr(ctl_out, "\"bytes_read\":307200"));
	CHECK(ctl(rig, 5000, "history verify") == 0);
	/* no slot's counters */
	CHECK(rig_num(rig, p->slot, SLOT, "Attempts") == 0);
	rig_package_free(&pack);
}

#define MANY 24

static bool many_there(const struct rig_phone *p, const struct phone_slice *row, const char *dir,
		       const char *what)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/%s%s.img", dir, row->name, what);
	return access(path, F_OK) == 0 && file_is(path, p, row->name, 0, 2048);
}

/* More than the descriptors that the bus takes in one message (16): one job after the other. */
static void many(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct phone_slice rows[160], row[MANY];
	size_t count = phone_partitions(p->phone, rows, ARRAY_SIZE(rows)), n = 0;
	char args[1024] = "", dir[96], path[200];
	struct rig_package pack;

	rig_package(rig, &pack, "sc9863a", 7, 4096);
	snprintf(dir, sizeof(dir), "%s/many", rig->dir);
	CHECK(mkdir(dir, 0700) == 0);
	for (size_t i = 0; i < count && n < MANY; i++)
		if (!strstr(rows[i].name, "nv") && lay(p, rows[i].name, 2048, 100 + i))
			row[n++] = rows[i];
	CHECK(n == MANY);
	for (size_t i = 0; i < n; i++)
		snprintf(args + strlen(args), sizeof(args) - strlen(args), " %s+2K", row[i].name);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	CHECK(ctl(rig, 60000, "read --loader %s --output %s%s", pack.path, dir, args) == 0);
	for (size_t i = 0; i < n; i++)
		CHECK(many_there(p, &row[i], dir, "-2K") && strstr(ctl_out, row[i].name));
	CHECK(loads(p->phone) == 2 && kept(rig, p));
	CHECK(!strcmp(rig_get(rig, ROOT "/job/2", JOB, "State"), "succeeded"));
	/* the last one that there is none of: what was read before stays, and is said */
	*args = 0;
	for (size_t i = 0; i < n; i++)
		snprintf(args + strlen(args), sizeof(args) - strlen(args), " %s:0+2K", row[i].name);
	CHECK(ctl(rig, 60000, "read --output %s%s nonesuch", dir, args) == ctl_code("PartitionMissing"));
	for (size_t i = 0; i < n; i++) {
		if (i < 16) {
			CHECK(many_there(p, &row[i], dir, "-0-2K") && strstr(ctl_out, row[i].name));
			continue;
		}
		snprintf(path, sizeof(path), "%s/%s-0-2K.img", dir, row[i].name);
		CHECK(access(path, F_OK) < 0);
		strcat(path, ".part");
		CHECK(access(path, F_OK) < 0);
	}
	/* only behind the last of them the phone is let go */
	CHECK(ctl(rig, 60000, "read --end reset --replace --output %s%s", dir, args) == 0);
	CHECK(rig_until(rig, 10000, gone, &(struct gone){ rig, p }) && loads(p->phone) == 2);
	/* two into one file */
	CHECK(ctl(rig, 5000, "read --output %s misc:2+1 misc-2-1", dir) == 2 && strstr(ctl_err, "one file"));
	rig_package_free(&pack);
}

static void pipes(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;
	char path[128];

	rig_package(rig, &pack, "sc9863a", 7, 4096);
	snprintf(path, sizeof(path), "%s/piped", rig->dir);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	CHECK(lay(p, "logo", 1 << 20, 1));
	CHECK(ctl(rig, 60000, "read --loader %s --output - logo | cat >%s", pack.path, path) == 0);
	CHECK(strstr(ctl_out, "PASS") && file_is(path, p, "logo", 0, 6 << 20));
	/* whoever reads goes away: a named end, and the phone can go on */
	CHECK(ctl(rig, 60000,
		  "read --output - logo 2>%s | head -c 70000 >/dev/null; cat %s; grep -q TargetFailed %s",
		  path, path, path) == 0);
	CHECK(strstr(ctl_out, "unchanged"));
	CHECK(ctl(rig, 60000, "read --output %s --replace logo", path) == 0 &&
	      file_is(path, p, "logo", 0, 6 << 20));
	CHECK(loads(p->phone) == 2);
	rig_package_free(&pack);
}

static const char *base(const struct rig_package *pack)
{
	return strrchr(pack->path, '/') + 1;
}

/* ---- what is refused ------------------------------------------------------------------- */

static bool read_into(struct rig *rig, const struct rig_phone *p, const char *area, int fd,
		      const char *loader)
{
	return rig_call(rig, 5000, NULL, p->slot, SLOT, "Read", "a(stth)a{sv}", 1, area, UINT64_C(0),
			UINT64_C(4096), fd, 1, "loader", "s", loader);
}

static void refused(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;
	char path[128];
	int fd, pair[2];

	rig_package(rig, &pack, "sc9863a", 7, 4096);
	snprintf(path, sizeof(path), "%s/target", rig->dir);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	CHECK(ctl(rig, 20000, "image import %s", pack.path) == 0);
	/* nothing is chosen where there is nothing to choose from */
	CHECK(ctl(rig, 5000, "read --output %s logo", path) == ctl_code("NoLoader"));
	CHECK(access(path, F_OK) < 0);
	fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0600);
	CHECK(fd >= 0 && !read_into(rig, p, "logo", fd, base(&pack)) &&
	      !strcmp(rig->error, ERR("InvalidArgs")));
	close(fd);
	fd = open(path, O_PATH | O_CLOEXEC);
	CHECK(fd >= 0 && !read_into(rig, p, "logo", fd, base(&pack)) &&
	      !strcmp(rig->error, ERR("InvalidArgs")));
	close(fd);
	fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	CHECK(fd >= 0 && !read_into(rig, p, "logo", fd, base(&pack)) &&
	      !strcmp(rig->error, ERR("InvalidArgs")));
	close(fd);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	CHECK(!read_into(rig, p, "", fd, base(&pack)) && !strcmp(rig->error, ERR("InvalidArgs")));
	CHECK(!read_into(rig, p, "0x8000000z", fd, base(&pack)) && !strcmp(rig->error, ERR("InvalidArgs")));
	CHECK(!read_into(rig, p, "erase_all", fd, base(&pack)) && !strcmp(rig->error, ERR("InvalidArgs")));
	CHECK(!read_into(rig, p, "logo", fd, "none") && !strcmp(rig->error, ERR("NoLoader")));
	CHECK(!read_into(rig, p, "logo", fd, ROOT "/image/99") && !strcmp(rig->error, ERR("NoSuchImage")));
	close(fd);
	CHECK(!loads(p->phone) && !bed_count(bed_phone_dev(p->bp))->submits);
	CHECK(ctl(rig, 5000, "reset 1-1") == ctl_code("NothingKept"));
	/* what the phone does not have */
	CHECK(ctl(rig, 60000, "read --loader %s --output %s --replace nonesuch", pack.path, path) ==
	      ctl_code("PartitionMissing"));
	CHECK(ctl(rig, 60000, "read --output %s --replace misc:1M+1", path) == ctl_code("InvalidArgs"));
	/* a socket will do */
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	CHECK(read_into(rig, p, "logo", pair[1], base(&pack)));
	close(pair[1]);
	CHECK(rig_expect(rig, 20000, p->slot, SLOT, "State", "ready"));
	CHECK(recv(pair[0], have, 8192, MSG_WAITALL) == 4096);
	CHECK(phone_storage_read(p->phone, "logo", 0, want, 4096) && !memcmp(have, want, 4096));
	close(pair[0]);
	CHECK(ctl(rig, 5000, "read") == 2 && ctl(rig, 5000, "read a b --output %s", path) == 2 &&
	      ctl(rig, 5000, "read boot:x") == 2 && ctl(rig, 5000, "reset a b") == 2);
	rig_package_free(&pack);
}

/* ---- faults in the middle --------------------------------------------------------------- */

static void unplugged(struct rig *rig)
{
	struct phone_setup setup = { .faults = "unplug at read 3 of logo" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &setup);
	struct rig_package pack;
	char path[128], part[136];

	rig_package(rig, &pack, "sc9863a", 7, 4096);
	snprintf(path, sizeof(path), "%s/logo", rig->dir);
	snprintf(part, sizeof(part), "%s.part", path);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	CHECK(ctl(rig, 60000, "read --loader %s --output %s logo", pack.path, path) ==
	      ctl_code("DeviceVanished"));
	CHECK(strstr(ctl_out, "unchanged"));
	/* never half a file, under no name */
	CHECK(access(path, F_OK) < 0 && access(part, F_OK) < 0);
	rig_package_free(&pack);
}

static void full_disk(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;
	char dir[96];

	rig_package(rig, &pack, "sc9863a", 7, 4096);
	snprintf(dir, sizeof(dir), "%s/small", rig->dir);
	CHECK(mkdir(dir, 0700) == 0 && mount("tmpfs", dir, "tmpfs", 0, "size=256k") == 0);
	CHECK(lay(p, "logo", 1 << 20, 3)); /* zeros take no room */
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	CHECK(ctl(rig, 60000, "read --loader %s --output %s/logo logo", pack.path, dir) ==
	      ctl_code("TargetFailed"));
	CHECK(strstr(ctl_out, "No space left"));
	CHECK(ctl(rig, 60000, "sh -c true; rmdir %s/x 2>/dev/null; ls -A %s", dir, dir) != 0);
	/* the phone is as it was, and in its loader: less fits */
	CHECK(ctl(rig, 60000, "read --output %s/logo logo+64K", dir) == 0);
	CHECK(loads(p->phone) == 2);
	CHECK(umount2(dir, MNT_DETACH) == 0);
	rig_package_free(&pack);
}

static void cancelled(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;
	int pipes[2];

	rig_package(rig, &pack, "sc9863a", 7, 4096);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	CHECK(ctl(rig, 20000, "image import %s", pack.path) == 0);
	/* nobody takes anything out of this pipe */
	CHECK(pipe2(pipes, O_CLOEXEC) == 0);
	CHECK(rig_call(rig, 5000, NULL, p->slot, SLOT, "Read", "a(stth)a{sv}", 1, "logo", UINT64_C(0),
		       UINT64_C(1048576), pipes[1], 1, "loader", "s", base(&pack)));
	close(pipes[1]);
	CHECK(rig_expect(rig, 20000, ROOT "/job/1", JOB, "Stage", "read"));
	rig_sleep(rig, 300);
	CHECK(rig_call(rig, 5000, NULL, ROOT "/job/1", JOB, "Cancel", "a{sv}", 0));
	CHECK(rig_expect(rig, 20000, ROOT "/job/1", JOB, "State", "cancelled"));
	CHECK(!strcmp(rig_get(rig, ROOT "/job/1", JOB, "CancelLeaves"), "unchanged"));
	close(pipes[0]);
	/* and what it has left can be gone on with */
	CHECK(kept(rig, p));
	CHECK(ctl(rig, 60000, "read --output %s/logo logo", rig->dir) == 0);
	CHECK(loads(p->phone) == 2);
	rig_package_free(&pack);
}

/* ---- what is kept ------------------------------------------------------------------------ */

static void idle(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;

	rig_package(rig, &pack, "sc9863a", 7, 4096);
	conf_put(rig, ETC, "[jobs]\nsession-idle = 10s\n");
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	CHECK(ctl(rig, 60000, "read --loader %s --output %s/logo logo", pack.path, rig->dir) == 0);
	CHECK(kept(rig, p) && phone_stage(p->phone) == PHONE_FDL2);
	/* nobody wants it: restarted by itself, and said so */
	CHECK(rig_until(rig, 60000, gone, &(struct gone){ rig, p }));
	CHECK(rig_expect(rig, 10000, ROOT "/job/2", JOB, "State", "succeeded"));
	CHECK(!strcmp(rig_get(rig, ROOT "/job/2", JOB, "Kind"), "reset"));
	rig_package_free(&pack);
}

/* A service that starts anew finds the loader that runs there. */
static void restarted(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;

	rig_package(rig, &pack, "sc9863a", 7, 4096);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	CHECK(ctl(rig, 60000, "read --loader %s --output %s/logo logo", pack.path, rig->dir) == 0);
	CHECK(rig_down(rig, SIGTERM, 10000) == 0 && rig_up(rig, NULL));
	CHECK(rig_expect(rig, 5000, p->slot, SLOT, "State", "ready") && kept(rig, p));
	CHECK(ctl(rig, 60000, "read --loader %s --output %s/two logo", pack.path, rig->dir) == 0);
	CHECK(loads(p->phone) == 2);
	CHECK(rig_down(rig, SIGTERM, 10000) == 0 && rig_up(rig, NULL));
	CHECK(rig_expect(rig, 5000, p->slot, SLOT, "State", "ready"));
	CHECK(ctl(rig, 60000, "reset") == 0 && rig_until(rig, 10000, gone, &(struct gone){ rig, p }));
	rig_package_free(&pack);
}

/* ---- the table ---------------------------------------------------------------------------- */

static void table_of(struct rig *rig, const char *profile)
{
	struct rig_phone *p = rig_phone(rig, profile, "1", NULL);
	struct phone_slice slices[160];
	size_t count = phone_partitions(p->phone, slices, ARRAY_SIZE(slices));
	json_object *table, *rows = NULL;
	struct rig_package pack;
	unsigned int once;

	rig_package(rig, &pack, profile, 7, 4096);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	CHECK(ctl(rig, 60000, "--json partitions --loader %s 1-1", pack.path) == 0 && ctl_json());
	CHECK(!strcmp(ctl_str(-1, "source"), "gpt"));
	table = ctl_line(-1);
	json_object_object_get_ex(table, "partitions", &rows);
	CHECK(rows && json_object_array_length(rows) == count && count > 10);
	for (size_t i = 0; i < count; i++) {
		json_object *row = json_object_array_get_idx(rows, i), *name, *size, *start;

		CHECK(json_object_object_get_ex(row, "name", &name) &&
		      json_object_object_get_ex(row, "size", &size) &&
		      json_object_object_get_ex(row, "start", &start));
		CHECK(!strcmp(json_object_get_string(name), slices[i].name) &&
		      json_object_get_uint64(size) == slices[i].size &&
		      json_object_get_uint64(start) == slices[i].start);
	}
	json_object_put(table);
	once = loads(p->phone);
	CHECK(ctl(rig, 60000, "partitions") == 0 && strstr(ctl_out, "source: gpt") &&
	      strstr(ctl_out, slices[count - 1].name));
	CHECK(ctl(rig, 60000, "partitions --xml") == 0 && !strncmp(ctl_out, "<Partitions>", 12));
	CHECK(strstr(ctl_out, slices[0].name) && strstr(ctl_out, slices[count - 1].name));
	CHECK(loads(p->phone) == once && !destroyed(p->phone));
	CHECK(!strcmp(rig_get(rig, ROOT "/job/1", JOB, "Kind"), "table"));
	rig_package_free(&pack);
}

static void table_sc9863a(struct rig *rig)
{
	table_of(rig, "sc9863a");
}

static void table_ums512(struct rig *rig)
{
	table_of(rig, "ums512");
}

static void table_ums9230(struct rig *rig)
{
	table_of(rig, "ums9230");
}

/* By numbers there is none. */
static void table_sc8830(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc8830", "1", NULL);
	struct rig_package pack;

	rig_package(rig, &pack, "sc8830", 7, 4096);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	CHECK(ctl(rig, 60000, "partitions --loader %s", pack.path) == ctl_code("NoPartitions"));
	CHECK(!bed_count(bed_phone_dev(p->bp))->submits);
	rig_package_free(&pack);
}

int main(void)
{
	static const struct rig_test tests[] = {
		{ "sc9863a: read, read again without loaders, reset", sc9863a },
		{ "ums512: the same", ums512 },
		{ "ums9230: the same", ums9230 },
		{ "ums9620: the same", ums9620 },
		{ "sc8830, by numbers: the same", sc8830 },
		{ "several areas, sums, names, history", several },
		{ "more of them than a message of the bus carries", many },
		{ "pipes, and readers that go away", pipes },
		{ "descriptors, areas and loaders that are refused", refused },
		{ "unplugged in the middle", unplugged },
		{ "a full disk", full_disk },
		{ "cancelled while nobody takes anything", cancelled },
		{ "kept until nobody wants it", idle },
		{ "kept over a restart of the service", restarted },
		{ "sc9863a: the table", table_sc9863a },
		{ "ums512: the table", table_ums512 },
		{ "ums9230: the table", table_ums9230 },
		{ "sc8830: no table", table_sc8830 },
	};

	return rig_run(tests, ARRAY_SIZE(tests));
}
