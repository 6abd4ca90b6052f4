/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files into single places of a phone: what arrives, and what stays as it was. */
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
	a = written_any(rig, "a.img", 21, 300 * KIB + 13, f->sign);
	b = written_any(rig, "b.img", 22, 5000, f->sign);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	CHECK(ctl(rig, 60000, "%s --slot 1-1 --loader %s %s %s", verb, pack.path, f->area, a) == 0);
	CHECK(strstr(ctl_out, "PASS") && strstr(ctl_out, "written and compared") &&
	      strstr(ctl_out, "stays in its loader"));
	CHECK(written_holds_any(p, f->place, 21, 300 * KIB + 13, f->sign));
	CHECK(written_only(p->phone, f->place, "") && written_loads(p->phone) >= 1);
	/* the second one finds the loader there; two at once, the first of them shorter than what was there
	 */
	unsigned int once = written_loads(p->phone);

	CHECK(ctl(rig, 60000, "--json %s %s %s %s %s", verb, f->area, b, f->second, a) == 0 && ctl_json());
	CHECK(!strcmp(ctl_str(-1, "event"), "files"));
	CHECK(written_loads(p->phone) == once);
	CHECK(written_holds_any(p, f->place, 22, 5000, f->sign) &&
	      written_holds_any(p, f->another, 21, 300 * KIB + 13, f->sign));
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

/* ---- more than the descriptors of one message (16) ---------------------------------------- */

#define MANY 20

static size_t jobs(struct rig *rig)
{
	size_t n = 0;
	char path[64];

	for (snprintf(path, sizeof(path), "%s/job/%zu", ROOT, n + 1); *rig_get(rig, path, JOB, "Kind") != '?';
	     snprintf(path, sizeof(path), "%s/job/%zu", ROOT, n + 1))
		n++;
	return n;
}

static void many(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct phone_slice rows[160], row[MANY];
	size_t count = phone_partitions(p->phone, rows, ARRAY_SIZE(rows)), n = 0;
	char args[2048] = "", name[24];
	struct rig_package pack;

	rig_package(rig, &pack, "sc9863a", 7, 4096);
	for (size_t i = 0; i < count && n < MANY; i++)
		if (!strstr(rows[i].name, "nv") && strcmp(rows[i].name, "miscdata") != 0 &&
		    strcmp(rows[i].name, "persist") != 0) /* nobody's own */
			row[n++] = rows[i];
	CHECK(n == MANY);
	for (size_t i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "%zu.img", i);
		snprintf(args + strlen(args), sizeof(args) - strlen(args), " %s %s", row[i].name,
			 written_any(rig, name, 200 + i, 4096, false));
	}
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	/* what the second job would be refused for, the first one has not begun yet */
	CHECK(ctl(rig, 60000, "write --loader %s%s nonesuch %s", pack.path, args,
		  written_any(rig, "x.img", 1, 4096, false)) == ctl_code("PartitionMissing"));
	CHECK(!written_changes(p->phone) && written_loads(p->phone) == 2);
	CHECK(ctl(rig, 60000, "write --dry-run%s", args) == 0);
	CHECK(strstr(ctl_out, row[0].name) && strstr(ctl_out, row[n - 1].name));
	CHECK(!written_changes(p->phone));
	count = jobs(rig);
	CHECK(ctl(rig, 60000, "--json write --end reset%s", args) == 0 && ctl_json());
	CHECK(!strcmp(ctl_str(-1, "event"), "files"));
	for (size_t i = 0; i < n; i++)
		CHECK(strstr(ctl_out, row[i].name) &&
		      written_holds_any(p, row[i].name, 200 + i, 4096, false));
	/* looked at twice, written twice, started once */
	CHECK(jobs(rig) == count + 4 && written_loads(p->phone) == 2);
	rig_package_free(&pack);
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
	CHECK(low && high && size == high_len && size > 3 * MIB && size <= sizeof(written_have));
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	CHECK(ctl(rig, 60000, "write --loader %s system %s", pack.path,
		  written_file(rig, "cache.simg", bytes, len)) == 0);
	CHECK(strstr(ctl_out, "written and compared"));
	CHECK(phone_storage_read(p->phone, "system", 0, written_have, size));
	for (size_t i = 0; i < size; i++) /* holes are whatever was there */
		CHECK(low[i] != high[i] || written_have[i] == low[i]);
	/* what it stands for has to fit, not what it is: 3 MiB into one */
	CHECK(ctl(rig, 60000, "write misc %s", written_file(rig, "cache.simg", bytes, len)) ==
	      ctl_code("ImageTooLarge"));
	/* a broken one is found before the phone hears of it */
	free(bytes);
	spec.break_at = "count";
	bytes = compose_sparse(&spec, &len);
	CHECK(ctl(rig, 60000, "write system %s", written_file(rig, "bad.simg", bytes, len)) ==
	      ctl_code("PackageSparse"));
	CHECK(written_only(p->phone, "system", ""));
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
	written_bytes(5, true, written_image, &len);
	written_image[70000] ^= 1;
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	/* what it says of itself is not so: refused by us, with nothing written */
	CHECK(ctl(rig, 60000, "write --loader %s boot_a %s", pack.path,
		  written_file(rig, "boot.img", written_image, len)) == ctl_code("PackageImageDamaged"));
	CHECK(!written_changes(p->phone));
	written_image[70000] ^= 1;
	CHECK(ctl(rig, 60000, "write --loader %s boot_a %s", pack.path,
		  written_file(rig, "boot.img", written_image, len)) == 0);
	CHECK(written_holds(p, "boot_a", written_image, len));
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
	path = written_file(rig, "nv.bin", bytes, len);
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
	len = sizeof(written_have);
	CHECK(phone_nv_read(p->phone, area, written_have, &len));
	CHECK(memmem(written_have, len, bytes + 4, 4) != NULL);
	CHECK(rig_num(rig, p->slot, SLOT, "OwedBackup") == 0);
	/* as it is in the file: only in so many words, and then the phone's is owed until it is back */
	CHECK(ctl(rig, 60000, "write --nv package %s %s", area, path) == ctl_code("PartitionUnique"));
	CHECK(ctl(rig, 60000, "write --nv package --i-know %s %s", area, path) == 0);
	CHECK(rig_nv_item(p->phone, 5, after, sizeof(after)) == 8 && memcmp(before[0], after, 8) != 0);
	/* what is no NV, and the copies that a phone makes by itself */
	CHECK(ctl(rig, 60000, "write %s %s", area, written_any(rig, "no.bin", 3, 4000, false)) ==
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
	size_t len = sizeof(written_other), now = sizeof(written_have), size;
	struct rig_package pack;
	char kept[200];
	uint8_t *nv = compose_nv(&spec, &size);
	const char *path = written_file(rig, "nv.bin", nv, size);

	rig_package(rig, &pack, "ums9117", 7, 4096);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	CHECK(phone_nv_read(p->phone, "nv", written_other, &len));
	CHECK(item_of(written_other, len, 5, &was) == 8 && item_of(nv, size, 5, &brought) == 8 &&
	      memcmp(was, brought, 8) != 0);
	CHECK(ctl(rig, 60000, "write-flash --loader %s 0x90000001 %s", pack.path, path) == 0);
	CHECK(phone_nv_read(p->phone, "nv", written_have, &now));
	CHECK(item_of(written_have, now, 5, &is) == 8 && !memcmp(was, is, 8));
	CHECK(!strcmp(rig_dict(rig, ROOT "/job/1", JOB, "Result", "nv"), "kept"));
	/* the numbers are written as one likes, and mean the same */
	CHECK(ctl(rig, 60000, "write-flash 2415919106 %s", written_any(rig, "x.img", 8, 4096, false)) ==
	      ctl_code("PartitionUnique"));
	CHECK(ctl(rig, 60000, "write-flash --i-know 2415919106 %s",
		  written_any(rig, "x.img", 8, 4096, false)) == 0);
	CHECK(written_holds_any(p, "phasecheck", 8, 4096, false));
	snprintf(kept, sizeof(kept), "%s/job/2/nv/0x90000002.was", rig->state);
	CHECK(access(kept, F_OK) == 0);
	free(nv);
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
	path = written_any(rig, "x.img", 13, 4000, false);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	CHECK(phone_storage_read(p->phone, "miscdata", 0, written_other, 64 * KIB));
	CHECK(ctl(rig, 60000, "write --i-know --loader %s miscdata %s", pack.path, path) == 0);
	CHECK(written_holds_any(p, "miscdata", 13, 4000, false));
	/* what was there is on the disk */
	CHECK(phone_storage_read(p->phone, "miscdata", 0, written_image, 64 * KIB));
	snprintf(kept, sizeof(kept), "%s/job/1/nv/miscdata.was", rig->state);
	fd = open(kept, O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0 && fstat(fd, &st) == 0 && st.st_size >= 64 * KIB);
	CHECK(read(fd, written_have, 64 * KIB) == 64 * KIB);
	close(fd);
	written_bytes(13, false, written_image, &(size_t){ 4000 });
	CHECK(memcmp(written_have, written_image, 4000) != 0 &&
	      !memcmp(written_have + 4000, written_other + 4000, 60000));
	rig_package_free(&pack);
}

/* What starts the phone is told before; a dry run changes nothing, and says what would be. */
static void dry_run(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;
	const char *path;

	rig_package(rig, &pack, "sc9863a", 7, 4096);
	path = written_any(rig, "x.img", 14, 4000, false);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	CHECK(ctl(rig, 60000, "write --dry-run --loader %s sml %s logo %s", pack.path, path, path) == 0);
	CHECK(strstr(ctl_out, "write sml") && strstr(ctl_out, "write logo") &&
	      strstr(ctl_out, "sml is part of what starts") && !strstr(ctl_out, "check sums") &&
	      strstr(ctl_out, "stays in its loader"));
	CHECK(!written_changes(p->phone));
	CHECK(ctl(rig, 60000, "write --level acknowledged --end reset logo %s", path) == 0);
	CHECK(strstr(ctl_out, "written") && !strstr(ctl_out, "compared"));
	CHECK(written_holds_any(p, "logo", 14, 4000, false) && written_loads(p->phone) == 2);
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
		{ "more files than a message of the bus carries", many },
		{ "a sparse image", sparse },
		{ "signed images", signed_images },
		{ "sc9863a: NV keeps what is the phone's own", nv_sc9863a },
		{ "ums9230: NV keeps what is the phone's own", nv_ums9230 },
		{ "a phone without names: what is its own", own_by_number },
		{ "the phone's own, in so many words", known },
		{ "a dry run, and a write that is not compared", dry_run },
	};

	return rig_run(tests, ARRAY_SIZE(tests));
}
