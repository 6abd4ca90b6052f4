/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The image store: what is imported stays, is what was checked, and costs no more room than it may. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/util.h"
#include "tests/bus/ctl.h"
#include "tests/bus/rig.h"

#define ERR(x) "org.fdld1.Error." x

/* Files of the store with this ending; bytes may be NULL. */
static unsigned int stored_files(struct rig *rig, const char *ending, uint64_t *bytes)
{
	char path[512];
	unsigned int count = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/image", rig->state);
	dir = opendir(path);
	if (!dir)
		return 0;
	for (struct dirent *e; (e = readdir(dir));) {
		size_t n = strlen(e->d_name), m = strlen(ending);
		struct stat st;

		if (n < m || strcmp(e->d_name + n - m, ending) != 0 || e->d_name[0] == '.')
			continue;
		count++;
		if (bytes && fstatat(dirfd(dir), e->d_name, &st, 0) == 0)
			*bytes += (uint64_t)st.st_size;
	}
	closedir(dir);
	return count;
}

/* Manager.ImportImage; the image's path, or NULL with rig->error. Static, a ring of four. */
static const char *import(struct rig *rig, const char *file, const char *name)
{
	static char ring[4][128];
	static unsigned int at;
	sd_bus_message *reply = NULL;
	char *out = ring[at++ % 4];
	const char *path;
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	bool good = rig_call(rig, 60000, &reply, ROOT, MANAGER, "ImportImage", "ha{sv}", fd, 1, "name", "s",
			     name) &&
		    sd_bus_message_read(reply, "o", &path) > 0;

	if (good)
		snprintf(out, sizeof(ring[0]), "%s", path);
	sd_bus_message_unref(reply);
	if (fd >= 0)
		close(fd);
	return good ? out : NULL;
}

static const char *find(struct rig *rig, const char *name)
{
	static char out[128];
	sd_bus_message *reply = NULL;
	const char *path;
	bool good = rig_call(rig, 5000, &reply, ROOT, MANAGER, "GetStoredImage", "s", name) &&
		    sd_bus_message_read(reply, "o", &path) > 0;

	if (good)
		snprintf(out, sizeof(out), "%s", path);
	sd_bus_message_unref(reply);
	return good ? out : NULL;
}

/* A byte of the only package of the store, at a thousandth of its size. */
static bool flip(struct rig *rig, unsigned int thousandth)
{
	char path[512];
	bool good = false;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/image", rig->state);
	dir = opendir(path);
	for (struct dirent *e; dir && (e = readdir(dir));) {
		struct stat st;
		uint8_t byte;
		off_t at;
		int fd;

		if (!strstr(e->d_name, ".pac"))
			continue;
		fd = openat(dirfd(dir), e->d_name, O_RDWR | O_CLOEXEC);
		if (fd < 0 || fstat(fd, &st) < 0)
			break;
		at = st.st_size * thousandth / 1000;
		good = pread(fd, &byte, 1, at) == 1;
		byte ^= 0x10;
		good = good && pwrite(fd, &byte, 1, at) == 1;
		close(fd);
	}
	if (dir)
		closedir(dir);
	return good;
}

static void flash_from_the_store(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;
	char wrong[128], digest[80], aside[160];
	const char *image;

	rig_package(rig, &pack, "sc9863a", 5, 0);
	CHECK(rig_up(rig, NULL));
	CHECK(image = import(rig, pack.path, "line.pac"));
	CHECK(!strcmp(rig_get(rig, image, IMAGE, "Stored"), "true"));
	CHECK(!strcmp(rig_get(rig, image, IMAGE, "State"), "good"));
	CHECK(rig_num(rig, image, IMAGE, "Size") == pack.size);
	CHECK(rig_num(rig, image, IMAGE, "BytesChecked") == pack.size);
	CHECK(rig_num(rig, image, IMAGE, "ImportedAt"));
	snprintf(digest, sizeof(digest), "%s", rig_get(rig, image, IMAGE, "Digest"));
	CHECK(strlen(digest) == 64);
	CHECK(stored_files(rig, ".pac", NULL) == 1 && stored_files(rig, ".tmp", NULL) == 0);
	/* nobody holds it, and it is there; so it is after a restart, and without the file */
	rig_disconnect(rig);
	CHECK(rig_down(rig, SIGTERM, 10000) == 0);
	snprintf(aside, sizeof(aside), "%s.aside", pack.path);
	CHECK(rename(pack.path, aside) == 0);
	CHECK(rig_up(rig, NULL));
	CHECK(image = find(rig, "line.pac"));
	CHECK(!strcmp(rig_get(rig, image, IMAGE, "State"), "good"));
	CHECK(!strcmp(rig_get(rig, image, IMAGE, "Digest"), digest));
	CHECK(rename(aside, pack.path) == 0);
	digest[8] = 0;
	CHECK(find(rig, digest));
	digest[7] = 0;
	CHECK(!find(rig, digest) && !strcmp(rig->error, ERR("NoSuchImage")));
	CHECK(rig_plug(rig, p));
	CHECK(ctl(rig, 60000, "flash line.pac --slot %s --level verified", p->id) == 0);
	CHECK(rig_compare(p->phone, &pack, wrong, sizeof(wrong)) >= 8 && !wrong[0]);
	rig_package_free(&pack);
}

static void what_is_there_is_kept_once(struct rig *rig)
{
	struct rig_package a, b;
	const char *image, *again;
	char line[512];
	int fd;

	rig_package(rig, &a, "sc9863a", 5, 0);
	rig_package(rig, &b, "sc9863a", 6, 0);
	CHECK(rig_up(rig, NULL));
	CHECK(image = import(rig, a.path, "one"));
	CHECK(again = import(rig, a.path, "another"));
	CHECK(!strcmp(image, again));
	CHECK(!strcmp(rig_get(rig, image, IMAGE, "Name"), "another"));
	CHECK(stored_files(rig, ".pac", NULL) == 1);
	/* one name is one package */
	CHECK(!import(rig, b.path, "another") && !strcmp(rig->error, ERR("InvalidArgs")));
	CHECK(stored_files(rig, ".pac", NULL) == 1 && stored_files(rig, ".tmp", NULL) == 0);
	CHECK(import(rig, b.path, "one"));
	CHECK(stored_files(rig, ".pac", NULL) == 2);
	/* nor two of the same size */
	snprintf(line, sizeof(line),
		 "cp %s %s/odd && printf X | dd of=%s/odd bs=1 seek=%llu conv=notrunc 2>/dev/null", a.path,
		 rig->dir, rig->dir, (unsigned long long)a.size * 6 / 10);
	CHECK(system(line) == 0);
	snprintf(line, sizeof(line), "%s/odd", rig->dir);
	fd = open(line, O_RDONLY | O_CLOEXEC);
	CHECK(!rig_call(rig, 30000, NULL, ROOT, MANAGER, "ImportImage", "ha{sv}", fd, 2, "name", "s",
			"another", "accept_bad_crc", "b", 1));
	close(fd);
	unlink(line);
	tap_note("%s", rig->text);
	CHECK(!strcmp(rig->error, ERR("InvalidArgs")) && stored_files(rig, ".pac", NULL) == 2);
	CHECK(ctl(rig, 5000, "image list") == 0);
	CHECK(strstr(ctl_out, "another") && strstr(ctl_out, "one") && strstr(ctl_out, "good"));
	CHECK(ctl(rig, 5000, "image show another") == 0 && strstr(ctl_out, "another"));
	CHECK(ctl(rig, 5000, "image remove another") == 0);
	CHECK(stored_files(rig, ".pac", NULL) == 1 && stored_files(rig, ".img", NULL) == 1);
	CHECK(!find(rig, "another") && find(rig, "one"));
	CHECK(ctl_code("NoSuchImage") && ctl(rig, 5000, "image show another") == ctl_code("NoSuchImage"));
	rig_package_free(&a);
	rig_package_free(&b);
}

static void verify_finds_a_flipped_byte(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;
	const char *image;

	rig_package(rig, &pack, "sc9863a", 5, 256 << 10);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	CHECK(image = import(rig, pack.path, "fine"));
	CHECK(rig_call(rig, 30000, NULL, image, IMAGE, "Verify", "a{sv}", 0));
	CHECK(!strcmp(rig_get(rig, image, IMAGE, "State"), "good"));
	CHECK(flip(rig, 700));
	CHECK(!rig_call(rig, 30000, NULL, image, IMAGE, "Verify", "a{sv}", 0));
	CHECK(!strcmp(rig->error, ERR("PackageChanged")));
	CHECK(!strcmp(rig_get(rig, image, IMAGE, "State"), "bad"));
	CHECK(!strcmp(rig_get(rig, image, IMAGE, "ErrorName"), ERR("PackageChanged")));
	CHECK(!find(rig, "fine") && !strcmp(rig->error, ERR("PackageChanged")));
	CHECK(ctl(rig, 20000, "image verify fine") == ctl_code("PackageChanged"));
	/* the same package once more mends it */
	CHECK(import(rig, pack.path, "fine"));
	CHECK(!strcmp(rig_get(rig, image, IMAGE, "State"), "good"));
	CHECK(rig_call(rig, 30000, NULL, image, IMAGE, "Verify", "a{sv}", 0));
	/* wherever it is, also where nothing is looked at but by reading all of it */
	for (unsigned int at = 900; at > 600; at -= 46) {
		CHECK(flip(rig, at));
		CHECK(!rig_call(rig, 30000, NULL, image, IMAGE, "Verify", "a{sv}", 0));
		CHECK(!strcmp(rig->error, ERR("PackageChanged")));
		CHECK(flip(rig, at)); /* as it was: good again, without another import */
		CHECK(rig_call(rig, 30000, NULL, image, IMAGE, "Verify", "a{sv}", 0));
		CHECK(!strcmp(rig_get(rig, image, IMAGE, "State"), "good"));
		CHECK(!strcmp(rig_get(rig, image, IMAGE, "ErrorName"), ""));
	}
	rig_package_free(&pack);
}

/* What is sent is compared as it is sent: a byte that rots later stops the job. */
static void rot_is_found_as_it_is_sent(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;

	rig_package(rig, &pack, "sc9863a", 5, 256 << 10);
	CHECK(rig_up(rig, NULL));
	CHECK(import(rig, pack.path, "rots"));
	/* in one of the chunks that a start does not look at */
	for (unsigned int at = 900; at > 600; at -= 23) {
		CHECK(rig_down(rig, SIGTERM, 10000) == 0);
		CHECK(flip(rig, at));
		CHECK(rig_up(rig, NULL));
		if (find(rig, "rots"))
			break;
		CHECK(flip(rig, at)); /* as it was */
	}
	CHECK(find(rig, "rots"));
	CHECK(rig_plug(rig, p));
	int rc = ctl(rig, 60000, "flash rots --slot %s", p->id);

	tap_note("exit status %d: %s", rc, ctl_err);
	CHECK(rc == ctl_code("PackageChanged"));
	rig_package_free(&pack);
}

static void damage_is_seen_at_the_start(struct rig *rig)
{
	struct rig_package pack;

	rig_package(rig, &pack, "sc9863a", 5, 0);
	CHECK(rig_up(rig, NULL));
	CHECK(import(rig, pack.path, "head"));
	CHECK(rig_down(rig, SIGTERM, 10000) == 0);
	CHECK(flip(rig, 0));
	CHECK(rig_up(rig, NULL));
	CHECK(!find(rig, "head") && !strcmp(rig->error, ERR("PackageChanged")));
	CHECK(ctl(rig, 5000, "image list") == 0 && strstr(ctl_out, "bad"));
	CHECK(ctl(rig, 5000, "image show head") == 0 && strstr(ctl_out, "bad"));
	CHECK(ctl(rig, 5000, "image remove head") == 0);
	CHECK(stored_files(rig, ".pac", NULL) == 0);
	rig_package_free(&pack);
}

static void not_removed_while_a_job_uses_it(struct rig *rig)
{
	struct rig_package pack;
	sd_bus_message *reply = NULL;
	const char *image;
	char job[128];
	const char *path;

	rig_package(rig, &pack, "sc9863a", 5, 0);
	CHECK(rig_up(rig, NULL));
	CHECK(image = import(rig, pack.path, "used"));
	CHECK(rig_call(rig, 10000, &reply, ROOT, MANAGER, "FlashNextImage", "oaoa{sv}", image, 0, 0));
	CHECK(sd_bus_message_read(reply, "o", &path) > 0);
	snprintf(job, sizeof(job), "%s", path);
	sd_bus_message_unref(reply);
	CHECK(!rig_call(rig, 5000, NULL, image, IMAGE, "Remove", "a{sv}", 0));
	CHECK(!strcmp(rig->error, ERR("ImageInUse")));
	CHECK(stored_files(rig, ".pac", NULL) == 1);
	CHECK(rig_call(rig, 5000, NULL, job, JOB, "Cancel", "a{sv}", 0));
	rig_wait(rig, job, 10000);
	rig_sleep(rig, 100);
	CHECK(rig_call(rig, 5000, NULL, image, IMAGE, "Remove", "a{sv}", 0));
	CHECK(stored_files(rig, ".pac", NULL) == 0);
	rig_package_free(&pack);
}

static void full_disk(struct rig *rig)
{
	struct rig_package pack;
	char size[64], line[512];

	rig_package(rig, &pack, "sc9863a", 5, 0);
	snprintf(size, sizeof(size), "size=%lluk,mode=700", (unsigned long long)(pack.size / 1024 * 9 / 10));
	CHECK(mount("small", rig->state, "tmpfs", 0, size) == 0);
	CHECK(rig_up(rig, NULL));
	CHECK(!import(rig, pack.path, "big") && !strcmp(rig->error, ERR("QuotaExceeded")));
	tap_note("%s", rig->text);
	CHECK(strstr(rig->text, "has") && strstr(rig->text, "left"));
	CHECK(stored_files(rig, "", NULL) == 0);
	/* of an archive nobody knows how much it will be: the disk fills up while it is unpacked */
	snprintf(line, sizeof(line), "xz -0 -c < %s > %s/x.pac.xz", pack.path, rig->dir);
	CHECK(system(line) == 0);
	snprintf(line, sizeof(line), "%s/x.pac.xz", rig->dir);
	CHECK(!import(rig, line, "big") && !strcmp(rig->error, ERR("QuotaExceeded")));
	tap_note("%s", rig->text);
	CHECK(stored_files(rig, "", NULL) == 0);
	unlink(line);
	CHECK(rig_down(rig, SIGTERM, 5000) == 0);
	CHECK(umount2(rig->state, MNT_DETACH) == 0);
	rig_package_free(&pack);
}

static void quota(struct rig *rig)
{
	struct rig_package a, b;
	char path[512];
	FILE *f;

	rig_package(rig, &a, "sc9863a", 5, 1 << 20);
	rig_package(rig, &b, "sc9863a", 6, 1 << 20);
	snprintf(path, sizeof(path), "mkdir -p %s/etc/fdld", rig->conf);
	CHECK(system(path) == 0);
	snprintf(path, sizeof(path), "%s/etc/fdld/fdld.conf", rig->conf);
	CHECK(f = fopen(path, "w"));
	fprintf(f, "[images]\nstore-quota = %llu\n", (unsigned long long)(a.size + b.size / 2));
	fclose(f);
	CHECK(rig_up(rig, NULL));
	CHECK(import(rig, a.path, "first"));
	CHECK(!import(rig, b.path, "second") && !strcmp(rig->error, ERR("QuotaExceeded")));
	tap_note("%s", rig->text);
	CHECK(stored_files(rig, ".pac", NULL) == 1 && stored_files(rig, ".tmp", NULL) == 0);
	CHECK(ctl(rig, 5000, "image remove first") == 0);
	CHECK(import(rig, b.path, "second"));
	rig_package_free(&a);
	rig_package_free(&b);
}

static void killed_in_the_middle(struct rig *rig)
{
	struct rig_package pack;
	struct ctl_run *run = malloc(sizeof(*run));
	char args[256];
	unsigned int seen = 0;

	CHECK(run);
	rig_package(rig, &pack, "sc9863a", 5, 4 << 20);
	for (int i = 0; i < 4; i++) {
		CHECK(rig_up(rig, NULL));
		snprintf(args, sizeof(args), "image import %s", pack.path);
		ctl_start(rig, run, args);
		for (int turn = 0; turn < 400 && !stored_files(rig, ".tmp", NULL); turn++)
			rig_sleep(rig, 1);
		rig_sleep(rig, 5 * i);
		seen += stored_files(rig, ".tmp", NULL) != 0 && stored_files(rig, ".img", NULL) == 0;
		CHECK(rig_down(rig, SIGKILL, 5000) == 256 + SIGKILL);
		ctl_wait(rig, run, 5000);
		CHECK(rig_up(rig, NULL));
		CHECK(stored_files(rig, ".tmp", NULL) == 0);
		CHECK(stored_files(rig, ".pac", NULL) == stored_files(rig, ".img", NULL));
		if (stored_files(rig, ".pac", NULL))
			CHECK(ctl(rig, 5000, "image list | tail -n 1 | cut -c1-12 | grep -q . ") == 0);
		CHECK(rig_down(rig, SIGTERM, 5000) == 0);
	}
	tap_note("killed %u times in the middle", seen);
	CHECK(seen > 0);
	free(run);
	rig_package_free(&pack);
}

static void archives(struct rig *rig)
{
	static const struct {
		const char *name, *make;
	} kind[] = {
		{ "a.zip", "bsdtar -a -cf %s/a.zip -C %s x.pac readme" },
		{ "a.tar", "bsdtar -cf %s/a.tar -C %s x.pac readme" },
		{ "a.tar.gz", "bsdtar -czf %s/a.tar.gz -C %s readme x.pac" },
		{ "a.tar.xz", "bsdtar -cJf %s/a.tar.xz -C %s x.pac" },
		{ "a.tar.zst", "bsdtar --zstd -cf %s/a.tar.zst -C %s x.pac" },
		{ "x.pac.xz", "xz -0 -c < %2$s/x.pac > %1$s/x.pac.xz" },
	};
	struct rig_package pack;
	char dir[128], line[512], path[256];
	const char *image;

	rig_package(rig, &pack, "sc9863a", 5, 0);
	CHECK(rig_up(rig, NULL));
	snprintf(dir, sizeof(dir), "%s/pack", rig->dir);
	snprintf(line, sizeof(line), "mkdir -p %s/in && cp %s %s/in/x.pac && echo hello > %s/in/readme", dir,
		 pack.path, dir, dir);
	CHECK(system(line) == 0);
	for (size_t i = 0; i < ARRAY_SIZE(kind); i++) {
		char in[160];

		snprintf(in, sizeof(in), "%s/in", dir);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(line, sizeof(line), kind[i].make, dir, in);
#pragma GCC diagnostic pop
		CHECK(system(line) == 0);
		snprintf(path, sizeof(path), "%s/%s", dir, kind[i].name);
		image = import(rig, path, kind[i].name);
		tap_note("%s: %s", kind[i].name, image ? "taken" : rig->text);
		CHECK(image);
		CHECK(rig_num(rig, image, IMAGE, "Size") == pack.size);
		CHECK(!strcmp(rig_get(rig, image, IMAGE, "State"), "good"));
	}
	CHECK(stored_files(rig, ".pac", NULL) == 1);
	snprintf(
		line, sizeof(line),
		"cd %s/in && cp x.pac y.pac && bsdtar -cf ../two.tar x.pac y.pac && bsdtar -cf ../none.tar "
		"readme && head -c 3000 ../a.tar.gz > ../cut.tar.gz && (echo a bomb; head -c 300000000 /dev/zero) | gzip > "
		"../bomb.gz",
		dir);
	CHECK(system(line) == 0);
	for (size_t i = 0; i < 4; i++) {
		static const char *const bad[] = { "two.tar", "none.tar", "cut.tar.gz", "bomb.gz" };

		snprintf(path, sizeof(path), "%s/%s", dir, bad[i]);
		CHECK(!import(rig, path, bad[i]));
		tap_note("%s: %s", bad[i], rig->text);
		CHECK(!strcmp(rig->error, ERR("PackageNotPac")));
		CHECK(strcmp(bad[i], "bomb.gz") || strstr(rig->text, "beyond all measure"));
		CHECK(stored_files(rig, ".tmp", NULL) == 0 && stored_files(rig, ".pac", NULL) == 1);
	}
	snprintf(line, sizeof(line), "rm -rf %s", dir);
	CHECK(system(line) == 0);
	rig_package_free(&pack);
}

#define T(x)          \
	{             \
#x, x \
	}
static const struct rig_test tests[] = { T(flash_from_the_store),
					 T(what_is_there_is_kept_once),
					 T(verify_finds_a_flipped_byte),
					 T(rot_is_found_as_it_is_sent),
					 T(damage_is_seen_at_the_start),
					 T(not_removed_while_a_job_uses_it),
					 T(full_disk),
					 T(quota),
					 T(killed_in_the_middle),
					 T(archives) };

int main(void)
{
	return rig_run(tests, sizeof(tests) / sizeof(tests[0]));
}
