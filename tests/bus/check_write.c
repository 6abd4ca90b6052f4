/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Files into single places of a phone: what arrives, what stays as it was, what is refused before anything is
 * written, and what can go wrong while it is.
 */
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
#include "tests/bus/rig.h"

#define KIB 1024u
#define MIB (1024u * KIB)

static uint8_t image[8 * MIB], other[8 * MIB], have[8 * MIB];

/* A file of the caller's; its path in a ring of four. */
static const char *file(struct rig *rig, const char *name, const void *bytes, size_t len)
{
	static char path[4][128];
	static unsigned int at;
	char *to = path[at++ % 4];
	int fd;

	snprintf(to, sizeof(path[0]), "%s/%s", rig->dir, name);
	fd = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, bytes, len) != (ssize_t)len)
		tap_note("%s: %s", to, strerror(errno));
	close(fd);
	return to;
}

/* Bytes that are no image of any kind, signed where a phone wants that; *len: how many it became. */
static void bytes(uint64_t seed, bool sign, uint8_t *to, size_t *len)
{
	uint8_t *signed_image;

	compose_random(seed, to, *len);
	memcpy(to, "any", MIN(*len, (size_t)3));
	if (!sign)
		return;
	signed_image = compose_sign(to, *len, len);
	memcpy(to, signed_image, *len);
	free(signed_image);
}

static const char *any(struct rig *rig, const char *name, uint64_t seed, size_t len, bool sign)
{
	bytes(seed, sign, image, &len);
	return file(rig, name, image, len);
}

static bool holds(const struct rig_phone *p, const char *area, const uint8_t *want, size_t len)
{
	if (phone_storage_read(p->phone, area, 0, have, len) && !memcmp(have, want, len))
		return true;
	tap_note("%s: other bytes", area);
	return false;
}

static bool holds_any(const struct rig_phone *p, const char *area, uint64_t seed, size_t len, bool sign)
{
	bytes(seed, sign, other, &len);
	return holds(p, area, other, len);
}

/* How often a loader was executed on the phone. */
static unsigned int loads(const struct phone *phone)
{
	unsigned int n = 0;

	for (size_t i = 0; i < phone_deeds(phone); i++)
		n += phone_deed(phone, i)->kind == PHONE_DEED_RAM;
	return n;
}

/* What was changed of the storage, but for the phone's own log. */
static unsigned int changes(const struct phone *phone)
{
	unsigned int n = 0;

	for (size_t i = 0; i < phone_deeds(phone); i++)
		n += phone_deed(phone, i)->kind != PHONE_DEED_RAM &&
		     phone_deed(phone, i)->kind != PHONE_DEED_LOG;
	return n;
}

/* Nothing but these two places, and what a loader mirrors by itself. */
static bool only(const struct phone *phone, const char *one, const char *two)
{
	for (size_t i = 0; i < phone_deeds(phone); i++) {
		const struct phone_deed *d = phone_deed(phone, i);

		if (d->kind == PHONE_DEED_RAM || d->kind == PHONE_DEED_LOG || d->kind == PHONE_DEED_MIRROR ||
		    d->kind == PHONE_DEED_MISC || !strcmp(d->name, one) || !strcmp(d->name, two))
			continue;
		tap_note("%s of %s", phone_deed_name(d->kind), d->name);
		return false;
	}
	return true;
}

/* ---- every kind of phone --------------------------------------------------------------- */

struct profile {
	const char *name;
	const char *area, *second;   /* on the command line */
	const char *place, *another; /* in the phone */
	bool sign;		     /* it starts nothing else */
};

static void profile(struct rig *rig, const struct profile *f)
{
	struct rig_phone *p = rig_phone(rig, f->name, "1", NULL);
	const char *verb = *f->area == '0' ? "write-flash" : "write";
	struct rig_package pack;
	const char *a, *b;

	rig_package(rig, &pack, f->name, 7, 4096);
	a = any(rig, "a.img", 21, 300 * KIB + 13, f->sign);
	b = any(rig, "b.img", 22, 5000, f->sign);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	CHECK(ctl(rig, 60000, "%s --slot 1-1 --loader %s %s %s", verb, pack.path, f->area, a) == 0);
	CHECK(strstr(ctl_out, "PASS") && strstr(ctl_out, "written and compared") &&
	      strstr(ctl_out, "stays in its loader"));
	CHECK(holds_any(p, f->place, 21, 300 * KIB + 13, f->sign));
	CHECK(only(p->phone, f->place, "") && loads(p->phone) >= 1);
	/* the second one finds the loader there; two at once, the first of them shorter than what was there
	 */
	unsigned int once = loads(p->phone);

	CHECK(ctl(rig, 60000, "--json %s %s %s %s %s", verb, f->area, b, f->second, a) == 0 && ctl_json());
	CHECK(!strcmp(ctl_str(-1, "event"), "files"));
	CHECK(loads(p->phone) == once);
	CHECK(holds_any(p, f->place, 22, 5000, f->sign) &&
	      holds_any(p, f->another, 21, 300 * KIB + 13, f->sign));
	CHECK(!strcmp(rig_get(rig, ROOT "/job/2", JOB, "Kind"), "write"));
	CHECK(!strcmp(rig_dict(rig, ROOT "/job/2", JOB, "Result", "level"), "verified"));
	CHECK(!strcmp(rig_dict(rig, ROOT "/job/2", JOB, "Result", "nv"), "none"));
	CHECK(ctl(rig, 5000, "--json history") == 0 && strstr(ctl_out, "\"kind\":\"write\""));
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "State"), "ready"));
	CHECK(ctl(rig, 20000, "reset 1-1") == 0);
	rig_package_free(&pack);
}

static void sc9863a(struct rig *rig)
{
	profile(rig, &(struct profile){ "sc9863a", "logo", "boot", "logo", "boot", false });
}

static void ums9230(struct rig *rig)
{
	profile(rig, &(struct profile){ "ums9230", "boot_b", "misc", "boot_b", "misc", true });
}

static void ums9620(struct rig *rig)
{
	profile(rig, &(struct profile){ "ums9620", "misc", "boot", "misc", "boot", true });
}

static void sc8830(struct rig *rig)
{
	profile(rig, &(struct profile){ "sc8830", "0x80000003", "0x80000007", "modem", "boot", false });
}

static void uic8850(struct rig *rig)
{
	profile(rig, &(struct profile){ "uic8850", "0x60030000", "0x601ae000", "ap", "appimg", false });
}

static void ums9117(struct rig *rig)
{
	profile(rig, &(struct profile){ "ums9117", "0x80000003", "0x80000004", "kernel", "user", false });
}

/* ---- what a file can be ------------------------------------------------------------------ */

static void sparse(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct compose_sparse spec = { .seed = 3, .chunks = 40, .gap = 3 * MIB };
	size_t len, size, high_len;
	uint8_t *bytes = compose_sparse(&spec, &len), *low, *high;
	struct rig_package pack;

	rig_package(rig, &pack, "sc9863a", 7, 4096);
	low = compose_expand(bytes, len, 0, &size);
	high = compose_expand(bytes, len, 0xff, &high_len);
	CHECK(low && high && size == high_len && size > 3 * MIB && size <= sizeof(have));
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	CHECK(ctl(rig, 60000, "write --loader %s system %s", pack.path,
		  file(rig, "cache.simg", bytes, len)) == 0);
	CHECK(strstr(ctl_out, "written and compared"));
	CHECK(phone_storage_read(p->phone, "system", 0, have, size));
	for (size_t i = 0; i < size; i++) /* holes are whatever was there */
		CHECK(low[i] != high[i] || have[i] == low[i]);
	/* what it stands for has to fit, not what it is: 3 MiB into one */
	CHECK(ctl(rig, 60000, "write misc %s", file(rig, "cache.simg", bytes, len)) ==
	      ctl_code("ImageTooLarge"));
	/* a broken one is found before the phone hears of it */
	free(bytes);
	spec.break_at = "count";
	bytes = compose_sparse(&spec, &len);
	CHECK(ctl(rig, 60000, "write system %s", file(rig, "bad.simg", bytes, len)) ==
	      ctl_code("PackageSparse"));
	CHECK(only(p->phone, "system", ""));
	free(bytes);
	free(low);
	free(high);
	rig_package_free(&pack);
}

static void signed_images(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "ums9230", "1", NULL);
	struct rig_package pack;
	size_t len = 100 * KIB;

	rig_package(rig, &pack, "ums9230", 7, 4096);
	bytes(5, true, image, &len);
	image[70000] ^= 1;
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	/* what it says of itself is not so: refused by us, with nothing written */
	CHECK(ctl(rig, 60000, "write --loader %s boot_a %s", pack.path, file(rig, "boot.img", image, len)) ==
	      ctl_code("PackageImageDamaged"));
	CHECK(!changes(p->phone));
	image[70000] ^= 1;
	CHECK(ctl(rig, 60000, "write --loader %s boot_a %s", pack.path, file(rig, "boot.img", image, len)) ==
	      0);
	CHECK(holds(p, "boot_a", image, len));
	rig_package_free(&pack);
}

/* An item of an image that begins at its items. */
static size_t item_of(const uint8_t *nv, size_t len, uint16_t id, const uint8_t **at)
{
	for (size_t i = 4; i + 4 <= len;) {
		size_t size = (size_t)nv[i + 2] | (size_t)nv[i + 3] << 8;

		if (nv[i] == 0xff && nv[i + 1] == 0xff)
			break;
		*at = nv + i + 4;
		if ((nv[i] | nv[i + 1] << 8) == id && i + 4 + size <= len)
			return size;
		i += 4 + ((size + 3) & ~(size_t)3);
	}
	return 0;
}

static void nv(struct rig *rig, const char *name, const char *id, const char *area)
{
	struct rig_phone *p = rig_phone(rig, name, "1", NULL);
	static const uint16_t own[] = { 5, 2, 0x179, 0x191, 0x19a, 0x1f0 };
	uint8_t before[6][8192], after[8192], *bytes;
	size_t size[6], len;
	struct rig_package pack;
	const char *path;

	rig_package(rig, &pack, name, 7, 4096);
	bytes = compose_payload(&pack.spec, id, 0, &len);
	CHECK(bytes);
	path = file(rig, "nv.bin", bytes, len);
	for (int i = 0; i < 6; i++)
		size[i] = rig_nv_item(p->phone, own[i], before[i], sizeof(before[i]));
	CHECK(size[0] == 8 && size[1] > 1000);
	for (int i = 0; i < 6; i++) {
		const uint8_t *at;

		if (size[i])
			CHECK(item_of(bytes, len, own[i], &at) == size[i] &&
			      memcmp(at, before[i], size[i]) != 0);
	}
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	CHECK(ctl(rig, 60000, "write --loader %s %s %s", pack.path, area, path) == 0);
	for (int i = 0; i < 6; i++) {
		CHECK(rig_nv_item(p->phone, own[i], after, sizeof(after)) == size[i]);
		CHECK(!memcmp(before[i], after, size[i]));
	}
	CHECK(!strcmp(rig_dict(rig, ROOT "/job/1", JOB, "Result", "nv"), "kept"));
	/* the rest is the file's: items that a phone does not keep */
	len = sizeof(have);
	CHECK(phone_nv_read(p->phone, area, have, &len));
	CHECK(memmem(have, len, bytes + 4, 4) != NULL);
	CHECK(rig_num(rig, p->slot, SLOT, "OwedBackup") == 0);
	/* as it is in the file: only in so many words, and then the phone's is owed until it is back */
	CHECK(ctl(rig, 60000, "write --nv package %s %s", area, path) == ctl_code("PartitionUnique"));
	CHECK(ctl(rig, 60000, "write --nv package --i-know %s %s", area, path) == 0);
	CHECK(rig_nv_item(p->phone, 5, after, sizeof(after)) == 8 && memcmp(before[0], after, 8) != 0);
	/* what is no NV, and the copies that a phone makes by itself */
	CHECK(ctl(rig, 60000, "write %s %s", area, any(rig, "no.bin", 3, 4000, false)) ==
	      ctl_code("PackageNv"));
	CHECK(strstr(ctl_out, "no.bin") || strstr(ctl_err, "no.bin"));
	free(bytes);
	rig_package_free(&pack);
}

static void nv_sc9863a(struct rig *rig)
{
	nv(rig, "sc9863a", "NV_LTE", "l_fixnv1");
}

static void nv_ums9230(struct rig *rig)
{
	nv(rig, "ums9230", "NV_LTE", "l_fixnv1_a");
}

/* A phone without names: its NV has a number, and so has what else is its own. */
static void own_by_number(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "ums9117", "1", NULL);
	const uint8_t *was, *is, *brought;
	struct compose_nv spec = { .seed = 99 };
	size_t len = sizeof(other), now = sizeof(have), size;
	struct rig_package pack;
	char kept[200];
	uint8_t *nv = compose_nv(&spec, &size);
	const char *path = file(rig, "nv.bin", nv, size);

	rig_package(rig, &pack, "ums9117", 7, 4096);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	CHECK(phone_nv_read(p->phone, "nv", other, &len));
	CHECK(item_of(other, len, 5, &was) == 8 && item_of(nv, size, 5, &brought) == 8 &&
	      memcmp(was, brought, 8) != 0);
	CHECK(ctl(rig, 60000, "write-flash --loader %s 0x90000001 %s", pack.path, path) == 0);
	CHECK(phone_nv_read(p->phone, "nv", have, &now));
	CHECK(item_of(have, now, 5, &is) == 8 && !memcmp(was, is, 8));
	CHECK(!strcmp(rig_dict(rig, ROOT "/job/1", JOB, "Result", "nv"), "kept"));
	/* the numbers are written as one likes, and mean the same */
	CHECK(ctl(rig, 60000, "write-flash 2415919106 %s", any(rig, "x.img", 8, 4096, false)) ==
	      ctl_code("PartitionUnique"));
	CHECK(ctl(rig, 60000, "write-flash --i-know 2415919106 %s", any(rig, "x.img", 8, 4096, false)) == 0);
	CHECK(holds_any(p, "phasecheck", 8, 4096, false));
	snprintf(kept, sizeof(kept), "%s/job/2/nv/0x90000002", rig->state);
	CHECK(access(kept, F_OK) == 0);
	free(nv);
	rig_package_free(&pack);
}

/* ---- what is refused ------------------------------------------------------------------- */

static bool refuses(struct rig *rig, const char *args, const char *error, const char *says)
{
	int code = ctl(rig, 60000, "%s", args);

	if (code == ctl_code(error) && (!says || strstr(ctl_out, says) || strstr(ctl_err, says)))
		return true;
	tap_note("%s: %d: %s%s", args, code, ctl_out, ctl_err);
	return false;
}

static void names(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL), *q = rig_phone(rig, "ums9230", "2", NULL);
	struct rig_package one, two;
	char args[400];
	const char *path;

	rig_package(rig, &one, "sc9863a", 7, 4096);
	rig_package(rig, &two, "ums9230", 7, 4096);
	path = any(rig, "x.img", 9, MIB + 1, false);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p) && rig_plug(rig, q));
	snprintf(args, sizeof(args), "write --slot 1-2 --loader %s boot %s", two.path, path);
	CHECK(refuses(rig, args, "PartitionMissing", "'boot_a'") && strstr(ctl_out, "'boot_b'"));
	snprintf(args, sizeof(args), "write --slot 1-1 --loader %s boot_a %s", one.path, path);
	CHECK(refuses(rig, args, "PartitionMissing", "say 'boot'"));
	snprintf(args, sizeof(args), "write --slot 1-1 BOOT %s", path);
	CHECK(refuses(rig, args, "PartitionMissing", "'boot'"));
	snprintf(args, sizeof(args), "write --slot 1-1 nonesuch %s", path);
	CHECK(refuses(rig, args, "PartitionMissing", "nonesuch"));
	snprintf(args, sizeof(args), "write --slot 1-1 recovrey %s", path);
	CHECK(refuses(rig, args, "PartitionMissing", "'recovery' is"));
	snprintf(args, sizeof(args), "write --slot 1-1 misc %s", path);
	CHECK(refuses(rig, args, "ImageTooLarge", "misc"));
	/* all of them are looked at before the first is written */
	snprintf(args, sizeof(args), "write --slot 1-1 logo %s misc %s", path, path);
	CHECK(refuses(rig, args, "ImageTooLarge", "misc"));
	snprintf(args, sizeof(args), "write --slot 1-1 logo %s logo %s", path, path);
	CHECK(refuses(rig, args, "InvalidArgs", "twice"));
	snprintf(args, sizeof(args), "write --slot 1-1 logo %s 0x80000003 %s", path, path);
	CHECK(refuses(rig, args, "InvalidArgs", "addresses"));
	snprintf(args, sizeof(args), "write --slot 1-1 erase_all %s", path);
	CHECK(refuses(rig, args, "InvalidArgs", "erase_all"));
	snprintf(args, sizeof(args), "write --slot 1-1 l_fixnv2 %s", path);
	CHECK(refuses(rig, args, "PackageUnsafe", "l_fixnv2"));
	/* and what is this one phone's own */
	snprintf(args, sizeof(args), "write --slot 1-1 prodnv %s", path);
	CHECK(refuses(rig, args, "PartitionUnique", "prodnv"));
	snprintf(args, sizeof(args), "write --slot 1-1 logo %s miscdata %s", path, path);
	CHECK(refuses(rig, args, "PartitionUnique", "miscdata"));
	CHECK(!changes(p->phone) && !changes(q->phone));
	/* an address is nothing to a phone of names */
	snprintf(args, sizeof(args), "write-flash --slot 1-1 0x80000003 %s", path);
	CHECK(refuses(rig, args, "InvalidArgs", "names of its partitions"));
	CHECK(!changes(p->phone));
	rig_package_free(&one);
	rig_package_free(&two);
}

static void files(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;
	char args[400], fifo[128];

	rig_package(rig, &pack, "sc9863a", 7, 4096);
	snprintf(fifo, sizeof(fifo), "%s/fifo", rig->dir);
	CHECK(mkfifo(fifo, 0600) == 0);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	CHECK(ctl(rig, 20000, "image import %s", pack.path) == 0);
	snprintf(args, sizeof(args), "write --loader %s logo %s", strrchr(pack.path, '/') + 1, pack.path);
	CHECK(refuses(rig, args, "InvalidImage", "a whole package"));
	snprintf(args, sizeof(args), "write logo %s", file(rig, "none", "", 0));
	CHECK(refuses(rig, args, "InvalidImage", "it is empty"));
	snprintf(args, sizeof(args), "write logo %s", rig->dir);
	CHECK(refuses(rig, args, "InvalidImage", "it is a folder"));
	snprintf(args, sizeof(args), "write logo %s", fifo);
	CHECK(refuses(rig, args, "InvalidImage", "a pipe"));
	CHECK(refuses(rig, "write logo /dev/zero", "InvalidImage", "a device"));
	CHECK(refuses(rig, "write logo /nowhere/x.img", "InvalidImage", "No such file"));
	CHECK(ctl(rig, 5000, "write") == 2 && ctl(rig, 5000, "write logo") == 2 &&
	      ctl(rig, 5000, "write logo a misc") == 2 && ctl(rig, 5000, "write '' %s", pack.path) == 2 &&
	      ctl(rig, 5000, "write-flash boot %s", pack.path) == 2);
	CHECK(!bed_count(bed_phone_dev(p->bp))->submits);
	rig_package_free(&pack);
}

static bool write_fd(struct rig *rig, const struct rig_phone *p, int fd, const char *loader)
{
	return rig_call(rig, 5000, NULL, p->slot, SLOT, "Write", "a(shs)a{sv}", 1, "logo", fd, "x.img", 1,
			"loader", "s", loader);
}

static void descriptors(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	const struct {
		const char *path;
		int flags;
	} bad[] = { { NULL, O_RDWR },
		    { NULL, O_WRONLY },
		    { NULL, O_PATH },
		    { "/dev/zero", O_RDONLY },
		    { "/tmp", O_RDONLY | O_DIRECTORY } };
	struct rig_package pack;
	const char *path, *base;
	int fd, pipes[2];

	rig_package(rig, &pack, "sc9863a", 7, 4096);
	base = strrchr(pack.path, '/') + 1;
	path = any(rig, "x.img", 12, 70000, false);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	CHECK(ctl(rig, 20000, "image import %s", pack.path) == 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		fd = open(bad[i].path ? bad[i].path : path, bad[i].flags | O_CLOEXEC);
		CHECK(fd >= 0 && !write_fd(rig, p, fd, base));
		close(fd);
		CHECK(!strcmp(rig->error, ERR("InvalidImage")));
	}
	CHECK(pipe2(pipes, O_CLOEXEC) == 0 && !write_fd(rig, p, pipes[0], base));
	CHECK(!strcmp(rig->error, ERR("InvalidImage")) && strstr(rig->text, "x.img"));
	close(pipes[0]);
	close(pipes[1]);
	CHECK(!rig_call(rig, 5000, NULL, p->slot, SLOT, "Write", "a(shs)a{sv}", 0, 0));
	CHECK(!strcmp(rig->error, ERR("InvalidArgs")));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(!rig_call(rig, 5000, NULL, p->slot, SLOT, "Write", "a(shs)a{sv}", 1, "logo", fd, "", 1,
			"entries", "s", ""));
	CHECK(!strcmp(rig->error, ERR("InvalidArgs")));
	CHECK(!loads(p->phone) && !bed_count(bed_phone_dev(p->bp))->submits);
	/* closed by its caller, and its name taken away: it is the file that counts */
	CHECK(write_fd(rig, p, fd, base));
	close(fd);
	CHECK(unlink(path) == 0);
	CHECK(!strcmp(rig_wait(rig, ROOT "/job/1", 30000), ""));
	CHECK(holds_any(p, "logo", 12, 70000, false));
	rig_package_free(&pack);
}

/* ---- the phone's own ----------------------------------------------------------------------- */

static void known(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;
	char kept[200];
	struct stat st;
	const char *path;
	int fd;

	rig_package(rig, &pack, "sc9863a", 7, 4096);
	path = any(rig, "x.img", 13, 4000, false);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	CHECK(phone_storage_read(p->phone, "miscdata", 0, other, 64 * KIB));
	CHECK(ctl(rig, 60000, "write --i-know --loader %s miscdata %s", pack.path, path) == 0);
	CHECK(holds_any(p, "miscdata", 13, 4000, false));
	/* what was there is on the disk */
	CHECK(phone_storage_read(p->phone, "miscdata", 0, image, 64 * KIB));
	snprintf(kept, sizeof(kept), "%s/job/1/nv/miscdata", rig->state);
	fd = open(kept, O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0 && fstat(fd, &st) == 0 && st.st_size >= 64 * KIB);
	CHECK(read(fd, have, 64 * KIB) == 64 * KIB);
	close(fd);
	bytes(13, false, image, &(size_t){ 4000 });
	CHECK(memcmp(have, image, 4000) != 0 && !memcmp(have + 4000, other + 4000, 60000));
	rig_package_free(&pack);
}

/* What starts the phone is told before; a dry run changes nothing, and says what would be. */
static void dry_run(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;
	const char *path;

	rig_package(rig, &pack, "sc9863a", 7, 4096);
	path = any(rig, "x.img", 14, 4000, false);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	CHECK(ctl(rig, 60000, "write --dry-run --loader %s sml %s logo %s", pack.path, path, path) == 0);
	CHECK(strstr(ctl_out, "write sml") && strstr(ctl_out, "write logo") &&
	      strstr(ctl_out, "sml is part of what starts") && !strstr(ctl_out, "check sums") &&
	      strstr(ctl_out, "stays in its loader"));
	CHECK(!changes(p->phone));
	CHECK(ctl(rig, 60000, "write --level acknowledged --end reset logo %s", path) == 0);
	CHECK(strstr(ctl_out, "written") && !strstr(ctl_out, "compared"));
	CHECK(holds_any(p, "logo", 14, 4000, false) && loads(p->phone) == 2);
	rig_package_free(&pack);
}

/* ---- faults in the middle -------------------------------------------------------------------- */

static void fault(struct rig *rig, const char *script, const char *error, const char *leaves)
{
	struct phone_setup setup = { .faults = script };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &setup);
	struct rig_package pack;
	const char *path;

	rig_package(rig, &pack, "sc9863a", 7, 4096);
	path = any(rig, "x.img", 15, MIB, false);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	CHECK(ctl(rig, 60000, "write --loader %s logo %s", pack.path, path) == ctl_code(error));
	CHECK(!strcmp(rig_get(rig, ROOT "/job/1", JOB, "CancelLeaves"), leaves));
	CHECK(only(p->phone, "logo", ""));
	/* after a new start all is well */
	CHECK(phone_set_faults(p->phone, "", NULL));
	bed_phone_unplug(p->bp, true);
	CHECK(rig_expect(rig, 5000, p->slot, SLOT, "State", "empty") && rig_plug(rig, p));
	CHECK(ctl(rig, 60000, "write --loader %s logo %s", pack.path, path) == 0);
	CHECK(holds_any(p, "logo", 15, MIB, false));
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

		path = any(rig, "x.img", 16, 6 * MIB, false);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		rw = open(path, O_WRONLY | O_CLOEXEC);
		CHECK(fd >= 0 && rw >= 0 && write_fd(rig, p, fd, strrchr(pack.path, '/') + 1));
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
		 any(rig, "x.img", 18, MIB, false), any(rig, "y.img", 19, MIB, false));
	ctl_start(rig, &run, args);
	CHECK(rig_expect(rig, 20000, ROOT "/job/1", JOB, "Entry", "logo"));
	CHECK(ctl(rig, 20000, "cancel 1") == 0);
	CHECK(ctl_wait(rig, &run, 30000) == ctl_code("Cancelled"));
	CHECK(!strcmp(rig_get(rig, ROOT "/job/1", JOB, "CancelLeaves"), "needs-flash"));
	CHECK(holds_any(p, "logo", 18, MIB, false) && only(p->phone, "logo", ""));
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
		 any(rig, "x.img", 17, 3 * MIB, false));
	ctl_start(rig, &run, args);
	CHECK(rig_expect(rig, 20000, ROOT "/job/1", JOB, "Entry", "logo"));
	CHECK(kill(run.pid, SIGKILL) == 0 && ctl_wait(rig, &run, 5000) == 256 + SIGKILL);
	CHECK(!strcmp(rig_wait(rig, ROOT "/job/1", 60000), ""));
	CHECK(holds_any(p, "logo", 17, 3 * MIB, false));
	rig_package_free(&pack);
}

int main(void)
{
	static const struct rig_test tests[] = {
		{ "sc9863a: written and compared", sc9863a },
		{ "ums9230: written and compared", ums9230 },
		{ "ums9620: written and compared", ums9620 },
		{ "sc8830: written and compared", sc8830 },
		{ "uic8850: written and compared", uic8850 },
		{ "ums9117: written and compared", ums9117 },
		{ "a sparse image", sparse },
		{ "signed images", signed_images },
		{ "sc9863a: NV keeps what is the phone's own", nv_sc9863a },
		{ "ums9230: NV keeps what is the phone's own", nv_ums9230 },
		{ "a phone without names: what is its own", own_by_number },
		{ "names and places that are refused", names },
		{ "files that are refused", files },
		{ "descriptors that are refused", descriptors },
		{ "the phone's own, in so many words", known },
		{ "a dry run, and a write that is not compared", dry_run },
		{ "unplugged in the middle", unplugged },
		{ "a write that fails", not_written },
		{ "a phone that lies", lied },
		{ "the file changes", changes_meanwhile },
		{ "cancelled between two", cancelled },
		{ "the client is killed", client_dies },
	};

	return rig_run(tests, ARRAY_SIZE(tests));
}
