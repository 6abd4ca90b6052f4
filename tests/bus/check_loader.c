/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The loader store: pairs come in from packages, archives and files, stay, are chosen, and wrong ones do not.
 */
#include <dirent.h>
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
#include "tests/bus/rig.h"

#define ERR(x) "org.fdld1.Error." x
#define LOADER "org.fdld1.Loader"

/* Files of a store with this ending. */
static unsigned int files(struct rig *rig, const char *store, const char *ending)
{
	char path[512];
	unsigned int count = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/%s", rig->state, store);
	dir = opendir(path);
	for (struct dirent *e; dir && (e = readdir(dir));) {
		size_t n = strlen(e->d_name), m = strlen(ending);

		count += e->d_name[0] != '.' && n >= m && !strcmp(e->d_name + n - m, ending);
	}
	if (dir)
		closedir(dir);
	return count;
}

/* A file with these bytes in the rig's folder; its path in a ring of eight. */
static const char *file_of(struct rig *rig, const char *name, const void *bytes, size_t len)
{
	static char ring[8][160];
	static unsigned int at;
	char *path = ring[at++ % 8];
	int fd;

	snprintf(path, sizeof(ring[0]), "%s/%s", rig->dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, bytes, len) != (ssize_t)len)
		return "";
	close(fd);
	return path;
}

struct loaders {
	struct rig_package pack;
	const char *file[2]; /* its loaders as files */
};

/* bytes: typical size of the images beside them */
static void loaders_and(struct rig *rig, struct loaders *l, const char *family, size_t bytes)
{
	char name[2][64];

	memset(l, 0, sizeof(*l));
	rig_package(rig, &l->pack, family, 5, bytes);
	snprintf(name[0], sizeof(name[0]), "%s-fdl1.bin", family);
	snprintf(name[1], sizeof(name[1]), "%s-fdl2.bin", family);
	l->file[0] = strdup(file_of(rig, name[0], l->pack.fdl1, l->pack.spec.fdl1_len));
	l->file[1] = strdup(file_of(rig, name[1], l->pack.fdl2, l->pack.spec.fdl2_len));
}

static void loaders_of(struct rig *rig, struct loaders *l, const char *family)
{
	loaders_and(rig, l, family, 0);
}

static void loaders_free(struct loaders *l)
{
	for (int i = 0; i < 2; i++) {
		unlink(l->file[i]);
		free((void *)l->file[i]);
	}
	rig_package_free(&l->pack);
}

static unsigned int listed(struct rig *rig)
{
	json_object *list;
	unsigned int n = 99;

	if (ctl(rig, 5000, "--json loader list") == 0 && (list = ctl_line(0))) {
		n = (unsigned int)json_object_array_length(list);
		json_object_put(list);
	}
	return n;
}

/* The whole way of one pair: in from a package, shown, over a restart, out. */
static void from_a_package(struct rig *rig)
{
	struct loaders l;
	char digest[80], name[160];

	loaders_of(rig, &l, "sc9863a");
	CHECK(rig_up(rig, NULL));
	CHECK(ctl(rig, 5000, "loader list") == 0);
	CHECK(ctl(rig, 20000, "--json loader import %s --name line", l.pack.path) == 0);
	snprintf(digest, sizeof(digest), "%s", ctl_str(0, "Digest"));
	CHECK(strlen(digest) == 64 && !strcmp(ctl_str(0, "State"), "good"));
	CHECK(!strcmp(ctl_str(0, "Name"), "line") && strlen(ctl_str(0, "OriginDigest")) == 64);
	snprintf(name, sizeof(name), "%s", strrchr(l.pack.path, '/') + 1);
	CHECK(!strcmp(ctl_str(0, "Origin"), name));
	CHECK(!strcmp(ctl_str(0, "Family"), "sharkl3"));
	CHECK(ctl(rig, 5000, "loader show line") == 0 && strstr(ctl_out, "0x5000  ") &&
	      strstr(ctl_out, "0x9efffe00  "));
	CHECK(files(rig, "loader", ".pac") == 1 && files(rig, "loader", ".img") == 1);
	CHECK(files(rig, "loader", ".tmp") == 0 && files(rig, "image", "") == 0);
	/* it is no image, and none of the pictures of images shows it */
	CHECK(ctl(rig, 5000, "image list") == 0 && !strstr(ctl_out, "line"));
	CHECK(ctl(rig, 5000, "flash line --slot 1-1 --dry-run") != 0);
	rig_disconnect(rig);
	CHECK(rig_down(rig, SIGTERM, 10000) == 0);
	CHECK(rig_up(rig, NULL));
	CHECK(listed(rig) == 1);
	CHECK(!strcmp(ctl_str(0, "0.Digest"), digest) || strstr(ctl_out, digest));
	digest[8] = 0;
	CHECK(ctl(rig, 5000, "loader show %s", digest) == 0 && strstr(ctl_out, "line"));
	CHECK(ctl(rig, 5000, "loader show nobody") == ctl_code("NoLoader"));
	CHECK(ctl(rig, 5000, "loader remove line") == 0);
	CHECK(listed(rig) == 0 && files(rig, "loader", "") == 0);
	loaders_free(&l);
}

static void from_files(struct rig *rig)
{
	struct loaders l;
	char digest[80];

	loaders_of(rig, &l, "sc9863a");
	CHECK(rig_up(rig, NULL));
	/* where they are linked can be told of these: no address has to be said */
	CHECK(ctl(rig, 20000, "--json loader import --fdl1 %s@0x5000 --fdl2 %s@0x9EFFFE00 --name own",
		  l.file[0], l.file[1]) == 0);
	snprintf(digest, sizeof(digest), "%s", ctl_str(0, "Digest"));
	CHECK(!strcmp(ctl_str(0, "Origin"), "") && !strcmp(ctl_str(0, "OriginDigest"), ""));
	/* the same pair out of a package is the same */
	CHECK(ctl(rig, 20000, "--json loader import %s --name again", l.pack.path) == 0);
	CHECK(!strcmp(ctl_str(0, "Digest"), digest) && !strcmp(ctl_str(0, "Name"), "again"));
	CHECK(listed(rig) == 1 && files(rig, "loader", ".pac") == 1);
	CHECK(ctl(rig, 5000, "loader import --fdl2 %s@0x9EFFFE00", l.file[1]) == 2);
	CHECK(ctl(rig, 5000, "loader import --fdl1 %s@nowhere", l.file[0]) == 2);
	CHECK(ctl(rig, 5000, "loader import --fdl1 %s.not@0x5000", l.file[0]) == ctl_code("InvalidImage"));
	loaders_free(&l);
}

static void from_archives(struct rig *rig)
{
	struct loaders l;
	char line[512];

	loaders_of(rig, &l, "sc9863a");
	CHECK(rig_up(rig, NULL));
	snprintf(line, sizeof(line),
		 "cd %s && mkdir arc && cp %s arc/x.pac && bsdtar -a -cf arc/a.zip -C arc x.pac && "
		 "xz -0 -c <arc/x.pac >arc/x.pac.xz && bsdtar -cf arc/none.tar -C arc a.zip",
		 rig->dir, l.pack.path);
	CHECK(system(line) == 0);
	CHECK(ctl(rig, 20000, "loader import %s/arc/a.zip --name zip", rig->dir) == 0);
	CHECK(ctl(rig, 20000, "loader import %s/arc/x.pac.xz --name xz", rig->dir) == 0);
	CHECK(listed(rig) == 1 && files(rig, "loader", ".pac") == 1 && files(rig, "loader", ".tmp") == 0);
	CHECK(ctl(rig, 20000, "loader import %s/arc/none.tar", rig->dir) == ctl_code("PackageNotPac"));
	CHECK(ctl(rig, 20000, "loader import %s/arc/x.pac.xz --name xz", rig->dir) == 0);
	/* a pair is small: the package is not what is kept */
	snprintf(line, sizeof(line), "test $(cat %s/loader/*.pac | wc -c) -lt 400000", rig->state);
	CHECK(system(line) == 0);
	snprintf(line, sizeof(line), "rm -rf %s/arc", rig->dir);
	CHECK(system(line) == 0);
	loaders_free(&l);
}

static void no_pair(struct rig *rig)
{
	struct loaders a, b;
	unsigned int mismatch;

	loaders_of(rig, &a, "sc9863a");
	loaders_of(rig, &b, "ums512");
	CHECK(rig_up(rig, NULL));
	mismatch = (unsigned int)ctl_code("LoaderMismatch");
	CHECK(ctl(rig, 5000, "loader check %s", a.pack.path) == 0);
	CHECK(ctl(rig, 5000, "loader check %s@0x5000 %s@0x9EFFFE00", a.file[0], a.file[1]) == 0);
	CHECK(ctl(rig, 5000, "--json loader check %s %s", a.file[0], b.file[1]) == (int)mismatch);
	CHECK(!strcmp(ctl_str(0, "verdict"), "mismatch"));
	CHECK(strstr(ctl_str(0, "wrong"), "sharkl"));
	CHECK(ctl(rig, 5000, "loader check %s %s", a.file[0], b.file[1]) == (int)mismatch);
	/* the daemon does not take our word for it */
	CHECK(ctl(rig, 20000, "loader import --fdl1 %s@0x5000 --fdl2 %s@0x9EFFFE00 --name odd", a.file[0],
		  b.file[1]) == (int)mismatch);
	CHECK(files(rig, "loader", "") == 0);
	CHECK(ctl(rig, 20000, "loader import --fdl1 %s@0x5500 --fdl2 %s@0x9EFFFE00 --name odd", a.file[0],
		  a.file[1]) == (int)mismatch);
	CHECK(strstr(ctl_err, "0x5000") && strstr(ctl_err, "0x5500"));
	CHECK(files(rig, "loader", "") == 0);
	CHECK(ctl(rig, 20000,
		  "--json loader import --fdl1 %s@0x5000 --fdl2 %s@0x9EFFFE00 --name odd --force-loaders",
		  a.file[0], b.file[1]) == 0);
	CHECK(listed(rig) == 1 && strstr(ctl_out, "\"Forced\":true"));
	loaders_free(&a);
	loaders_free(&b);
}

/* Names: one for one pair; whose they are; a slot's. */
static void names(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct loaders a, b;

	loaders_of(rig, &a, "sc9863a");
	loaders_of(rig, &b, "ums512");
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	CHECK(ctl(rig, 5000, "slot set %s --loader one", p->id) == ctl_code("NoLoader"));
	CHECK(ctl(rig, 20000, "loader import %s --name one", a.pack.path) == 0);
	CHECK(ctl(rig, 20000, "loader import %s --name one", b.pack.path) == ctl_code("InvalidArgs"));
	CHECK(files(rig, "loader", ".pac") == 1 && files(rig, "loader", ".tmp") == 0);
	CHECK(ctl(rig, 20000, "loader import %s --name two", b.pack.path) == 0);
	CHECK(listed(rig) == 2);
	/* a package of the image store may be called the same */
	CHECK(ctl(rig, 20000, "image import %s --name one", a.pack.path) == 0);
	CHECK(ctl(rig, 5000, "slot set %s --label A1 --loader three", p->id) == ctl_code("NoLoader"));
	CHECK(strstr(ctl_err, "one (sharkl3), two (sharkl5pro)"));
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "Label"), "")); /* all of it or nothing */
	CHECK(ctl(rig, 5000, "slot set %s --label A1 --loader two", p->id) == 0);
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "Loader"), "two"));
	CHECK(ctl(rig, 5000, "slots") == 0 && strstr(ctl_out, "loader two"));
	/* it cannot go as long as the place counts on it, also after a restart */
	CHECK(ctl(rig, 5000, "loader remove two") == ctl_code("ImageInUse") && strstr(ctl_err, p->id));
	rig_disconnect(rig);
	CHECK(rig_down(rig, SIGTERM, 10000) == 0);
	CHECK(rig_up(rig, NULL));
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "Loader"), "two"));
	CHECK(ctl(rig, 5000, "loader remove two") == ctl_code("ImageInUse"));
	CHECK(ctl(rig, 5000, "slot reset-counters A1") == 0);
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "Loader"), "two"));
	CHECK(ctl(rig, 5000, "slot set A1 --loader ''") == 0);
	CHECK(ctl(rig, 5000, "loader remove two") == 0);
	CHECK(listed(rig) == 1);
	loaders_free(&a);
	loaders_free(&b);
}

/* A package whose loaders are no pair: shown, and neither kept nor flashed. */
static void a_package_of_two_families(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct loaders a, b;

	loaders_of(rig, &a, "sc9863a");
	loaders_of(rig, &b, "ums512");
	a.pack.spec.fdl2 = b.pack.fdl2;
	a.pack.spec.fdl2_len = b.pack.spec.fdl2_len;
	rig_package_write(rig, &a.pack);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	CHECK(ctl(rig, 5000, "loader check %s", a.pack.path) == ctl_code("LoaderMismatch"));
	CHECK(ctl(rig, 20000, "loader import %s --name odd", a.pack.path) == ctl_code("LoaderMismatch"));
	CHECK(files(rig, "loader", "") == 0);
	CHECK(ctl(rig, 20000, "flash %s --slot %s", a.pack.path, p->id) == ctl_code("LoaderMismatch"));
	CHECK(!bed_count(bed_phone_dev(p->bp))->submits); /* before anything was sent */
	CHECK(ctl(rig, 20000, "loader import %s --name odd --force-loaders", a.pack.path) == 0);
	CHECK(ctl(rig, 5000, "loader show odd") == 0 && strstr(ctl_out, "forced"));
	CHECK(ctl(rig, 5000, "loader list") == 0 && strstr(ctl_out, "forced"));
	loaders_free(&a);
	loaders_free(&b);
}

/* A package without loaders, or with another phone's, goes onto a phone with those of the store. */
static void in_place_of_its_own(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct loaders right, other;
	struct compose_file none[2] = { { .id = "FDL", .data = "", .len = 0 },
					{ .id = "FDL2", .data = "", .len = 0 } };
	struct rig_package bare;
	char wrong[128], line[512], digest[80];

	loaders_of(rig, &right, "sc9863a");
	loaders_of(rig, &other, "ums512");
	rig_package(rig, &bare, "sc9863a", 77, 0);
	bare.spec.file = none;
	bare.spec.files = 2;
	rig_package_write(rig, &bare);
	CHECK(rig_up(rig, NULL));
	CHECK(ctl(rig, 20000, "image import %s --name bare", bare.path) == ctl_code("PackageEntryMissing"));
	CHECK(ctl(rig, 20000, "image import %s --name bare --loader l3", bare.path) == ctl_code("NoLoader"));
	CHECK(ctl(rig, 20000, "loader import %s --name l3", right.pack.path) == 0);
	CHECK(ctl(rig, 20000, "loader import %s --name pro", other.pack.path) == 0);
	CHECK(ctl(rig, 20000, "image import %s --name bare --loader pro", bare.path) ==
	      ctl_code("LoaderMismatch"));
	CHECK(ctl(rig, 20000, "image import %s --name bare --loader pro --force-loaders", bare.path) ==
	      ctl_code("LoaderMismatch")); /* they go to other addresses */
	CHECK(files(rig, "image", "") == 0);
	CHECK(ctl(rig, 20000, "--json image import %s --name bare --loader l3", bare.path) == 0);
	CHECK(!strcmp(ctl_str(0, "Loader"), "l3") && !strcmp(ctl_str(0, "State"), "good"));
	snprintf(digest, sizeof(digest), "%s", ctl_str(0, "Digest"));
	/* the same once more is the same; it is a package that anybody's tools take */
	CHECK(ctl(rig, 20000, "--json image import %s --name bare --loader l3", bare.path) == 0);
	CHECK(!strcmp(ctl_str(0, "Digest"), digest) && files(rig, "image", ".pac") == 1);
	snprintf(line, sizeof(line), "cp %s/image/*.pac %s/out.pac", rig->state, rig->dir);
	CHECK(system(line) == 0);
	CHECK(ctl(rig, 5000, "--json info %s/out.pac", rig->dir) == 0);
	CHECK(!strcmp(ctl_str(0, "integrity"), "good"));
	CHECK(ctl(rig, 5000, "loader check %s/out.pac", rig->dir) == 0);
	rig_disconnect(rig);
	CHECK(rig_down(rig, SIGTERM, 10000) == 0);
	CHECK(rig_up(rig, NULL));
	CHECK(ctl(rig, 5000, "image show bare") == 0 && strstr(ctl_out, "l3"));
	CHECK(rig_plug(rig, p));
	CHECK(ctl(rig, 60000, "flash bare --slot %s --level verified", p->id) == 0);
	bare.spec.file = NULL;
	bare.spec.files = 0;
	rig_package_write(rig, &bare); /* with loaders, as the comparison wants a whole one */
	CHECK(rig_compare(p->phone, &bare, wrong, sizeof(wrong)) >= 8 && !wrong[0]);
	/* damage is found before new check sums could cover it up */
	snprintf(line, sizeof(line),
		 "cp %s %s/bad.pac && printf X | dd of=%s/bad.pac bs=1 seek=%llu conv=notrunc 2>/dev/null",
		 bare.path, rig->dir, rig->dir, (unsigned long long)bare.size / 2);
	CHECK(system(line) == 0);
	CHECK(ctl(rig, 20000, "image import %s/bad.pac --name bad --loader l3 --accept-bad-crc", rig->dir) ==
	      ctl_code("PackageBodyCrc"));
	CHECK(files(rig, "image", ".pac") == 1 && files(rig, "image", ".tmp") == 0);
	snprintf(line, sizeof(line), "rm %s/bad.pac %s/out.pac", rig->dir, rig->dir);
	CHECK(system(line) == 0);
	rig_package_free(&bare);
	loaders_free(&right);
	loaders_free(&other);
}

/* Which pair a job gets: never a guess, and never one that is none. */
static void which_one_a_job_gets(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct loaders l3, pro;
	char out[128];

	loaders_of(rig, &l3, "sc9863a");
	loaders_of(rig, &pro, "ums512");
	snprintf(out, sizeof(out), "%s/area", rig->dir);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
#define READ(more) \
	ctl(rig, 60000, "read --slot %s --output %s --replace --end reset " more " logo", p->id, out)
	CHECK(ctl(rig, 20000, "loader import %s --name pro", pro.pack.path) == 0);
	CHECK(ctl(rig, 20000,
		  "loader import --fdl1 %s@0x5000 --fdl2 %s@0x9EFFFE00 --name odd --force-loaders",
		  l3.file[0], pro.file[1]) == 0);
	CHECK(ctl(rig, 20000, "loader import %s --name l3", l3.pack.path) == 0);
	CHECK(READ("") == ctl_code("LoaderAmbiguous"));
	CHECK(strstr(ctl_err, "(sharkl5pro)") && strstr(ctl_err, "(sharkl3)"));
	CHECK(READ("--loader nobody") == ctl_code("NoLoader"));
	/* forced into the store is not forced onto a phone */
	CHECK(READ("--loader odd") == ctl_code("LoaderMismatch"));
	CHECK(ctl(rig, 5000, "slot set %s --loader odd", p->id) == 0);
	CHECK(READ("") == ctl_code("LoaderMismatch"));
	CHECK(!bed_count(bed_phone_dev(p->bp))->submits); /* of all that the phone has heard nothing */
	/* who asks has the last word; then the slot's; then the only one */
	CHECK(READ("--loader l3") == 0);
	bed_phone_unplug(p->bp, true);
	CHECK(rig_expect(rig, 5000, p->slot, SLOT, "State", "empty"));
	CHECK(ctl(rig, 5000, "slot set %s --loader l3", p->id) == 0);
	CHECK(rig_plug(rig, p));
	CHECK(READ("") == 0);
	bed_phone_unplug(p->bp, true);
	CHECK(rig_expect(rig, 5000, p->slot, SLOT, "State", "empty"));
	CHECK(ctl(rig, 5000, "slot set %s --loader ''", p->id) == 0);
	CHECK(ctl(rig, 5000, "loader remove odd") == 0 && ctl(rig, 5000, "loader remove pro") == 0);
	CHECK(rig_plug(rig, p));
	CHECK(READ("") == 0);
#undef READ
	unlink(out);
	loaders_free(&l3);
	loaders_free(&pro);
}

static void killed_in_the_middle(struct rig *rig)
{
	struct loaders l;
	struct ctl_run *run = malloc(sizeof(*run));
	char args[256];
	unsigned int seen = 0;

	CHECK(run);
	loaders_and(rig, &l, "sc9863a", 4 << 20);
	for (int i = 0; i < 4; i++) {
		CHECK(rig_up(rig, NULL));
		snprintf(args, sizeof(args), "loader import %s --name line", l.pack.path);
		ctl_start(rig, run, args);
		for (int turn = 0; turn < 4000 && !files(rig, "loader", ".tmp"); turn++)
			rig_sleep(rig, 1);
		rig_sleep(rig, 5 * i);
		seen += files(rig, "loader", ".tmp") != 0 && files(rig, "loader", ".img") == 0;
		CHECK(rig_down(rig, SIGKILL, 5000) == 256 + SIGKILL);
		ctl_wait(rig, run, 5000);
		CHECK(rig_up(rig, NULL));
		CHECK(files(rig, "loader", ".tmp") == 0);
		CHECK(files(rig, "loader", ".pac") == files(rig, "loader", ".img"));
		CHECK(listed(rig) == files(rig, "loader", ".pac"));
		CHECK(rig_down(rig, SIGTERM, 5000) == 0);
	}
	tap_note("killed %u times in the middle", seen);
	free(run);
	loaders_free(&l);
}

static bool flip(struct rig *rig)
{
	char line[512];

	snprintf(line, sizeof(line),
		 "f=$(ls %s/loader/*.pac) && printf X | dd of=\"$f\" bs=1 seek=9000 conv=notrunc 2>/dev/null",
		 rig->state);
	return system(line) == 0;
}

static void damage_is_seen_at_the_start(struct rig *rig)
{
	struct loaders l;

	loaders_of(rig, &l, "sc9863a");
	CHECK(rig_up(rig, NULL));
	CHECK(ctl(rig, 20000, "loader import %s --name line", l.pack.path) == 0);
	rig_disconnect(rig);
	CHECK(rig_down(rig, SIGTERM, 10000) == 0);
	CHECK(flip(rig));
	CHECK(rig_up(rig, NULL));
	CHECK(ctl(rig, 5000, "loader list") == 0 && strstr(ctl_out, "bad"));
	CHECK(ctl(rig, 5000, "loader show line") == 0 && strstr(ctl_out, "changed on disk"));
	/* the same once more mends it */
	CHECK(ctl(rig, 20000, "loader import %s --name line", l.pack.path) == 0);
	CHECK(ctl(rig, 5000, "loader list") == 0 && !strstr(ctl_out, "bad"));
	CHECK(ctl(rig, 5000, "loader show line") == 0 && strstr(ctl_out, "0x5000"));
	loaders_free(&l);
}

static void quota_of_both_stores(struct rig *rig)
{
	struct loaders l;
	char path[512];
	FILE *f;

	loaders_and(rig, &l, "sc9863a", 1 << 20);
	snprintf(path, sizeof(path), "mkdir -p %s/etc/fdld", rig->conf);
	CHECK(system(path) == 0);
	snprintf(path, sizeof(path), "%s/etc/fdld/fdld.conf", rig->conf);
	CHECK(f = fopen(path, "w"));
	fprintf(f, "[images]\nstore-quota = %llu\n", (unsigned long long)l.pack.size + 4096);
	fclose(f);
	CHECK(rig_up(rig, NULL));
	/* a package leaves no room for a pair, and a pair none for the package */
	CHECK(ctl(rig, 30000, "image import %s --name whole", l.pack.path) == 0);
	CHECK(ctl(rig, 30000, "loader import %s --name line", l.pack.path) == ctl_code("QuotaExceeded"));
	CHECK(files(rig, "loader", "") == 0);
	CHECK(ctl(rig, 30000, "image remove whole") == 0);
	CHECK(ctl(rig, 30000, "loader import %s --name line", l.pack.path) == 0);
	CHECK(ctl(rig, 30000, "image import %s --name whole", l.pack.path) == ctl_code("QuotaExceeded"));
	CHECK(rig_down(rig, SIGTERM, 10000) == 0);
	CHECK(rig_up(rig, NULL));
	CHECK(ctl(rig, 30000, "image import %s --name whole", l.pack.path) == ctl_code("QuotaExceeded"));
	CHECK(ctl(rig, 30000, "loader remove line") == 0);
	CHECK(ctl(rig, 30000, "image import %s --name whole", l.pack.path) == 0);
	loaders_free(&l);
}

static void full_disk(struct rig *rig)
{
	struct loaders l;
	char line[512];

	loaders_of(rig, &l, "sc9863a");
	CHECK(mount("small", rig->state, "tmpfs", 0, "size=2m,mode=700") == 0);
	CHECK(rig_up(rig, NULL));
	snprintf(line, sizeof(line), "dd if=/dev/zero of=%s/ballast bs=4096 2>/dev/null", rig->state);
	(void)!system(line); /* until nothing is left */
	CHECK(ctl(rig, 20000, "loader import %s --name line", l.pack.path) == ctl_code("QuotaExceeded"));
	CHECK(files(rig, "loader", "") == 0 && listed(rig) == 0);
	snprintf(line, sizeof(line), "%s/ballast", rig->state);
	CHECK(unlink(line) == 0);
	CHECK(ctl(rig, 20000, "loader import %s --name line", l.pack.path) == 0);
	CHECK(rig_down(rig, SIGTERM, 5000) == 0);
	CHECK(umount2(rig->state, MNT_DETACH) == 0);
	loaders_free(&l);
}

/* What is no loader, no package, no file, and what is not meant so. */
static void refused(struct rig *rig)
{
	static uint8_t zeros[17 << 20];
	struct loaders l;
	const char *path;
	int fd;

	loaders_of(rig, &l, "sc9863a");
	CHECK(rig_up(rig, NULL));
	path = file_of(rig, "zeros", zeros, 100);
	CHECK(ctl(rig, 10000, "loader import %s", path) == ctl_code("PackageNotPac"));
	CHECK(ctl(rig, 10000, "loader import /dev/null") == ctl_code("InvalidImage"));
	path = file_of(rig, "large", zeros, sizeof(zeros));
	CHECK(ctl(rig, 10000, "loader import --fdl1 %s@0x5000", path) == ctl_code("InvalidImage"));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(!rig_call(rig, 10000, NULL, ROOT, MANAGER, "ImportLoaderPair", "a(ht)a{sv}", 1, fd,
			(uint64_t)0x5000, 0) &&
	      !strcmp(rig->error, ERR("InvalidImage")));
	close(fd);
	fd = open(l.file[0], O_RDONLY | O_CLOEXEC);
	CHECK(!rig_call(rig, 10000, NULL, ROOT, MANAGER, "ImportLoaderPair", "a(ht)a{sv}", 0, 0) &&
	      !strcmp(rig->error, ERR("InvalidArgs")));
	CHECK(!rig_call(rig, 10000, NULL, ROOT, MANAGER, "ImportLoaderPair", "a(ht)a{sv}", 1, fd, (uint64_t)0,
			0) &&
	      !strcmp(rig->error, ERR("InvalidArgs")));
	CHECK(!rig_call(rig, 10000, NULL, ROOT, MANAGER, "ImportLoaderPair", "a(ht)a{sv}", 1, fd,
			(uint64_t)1 << 32, 0) &&
	      !strcmp(rig->error, ERR("InvalidArgs")));
	CHECK(!rig_call(rig, 10000, NULL, ROOT, MANAGER, "ImportLoaderPair", "a(ht)a{sv}", 3, fd,
			(uint64_t)0x5000, fd, (uint64_t)0x5000, fd, (uint64_t)0x5000, 0) &&
	      !strcmp(rig->error, ERR("InvalidArgs")));
	CHECK(!rig_call(rig, 10000, NULL, ROOT, MANAGER, "ImportLoaderPair", "a(ht)a{sv}", 1, fd,
			(uint64_t)0x5000, 1, "accept_bad_crc", "b", 1) &&
	      !strcmp(rig->error, ERR("InvalidArgs")));
	close(fd);
	fd = open(l.file[0], O_RDWR | O_CLOEXEC);
	CHECK(!rig_call(rig, 10000, NULL, ROOT, MANAGER, "ImportLoaderPair", "a(ht)a{sv}", 2, fd,
			(uint64_t)0x5000, fd, (uint64_t)0x9efffe00, 0) &&
	      !strcmp(rig->error, ERR("InvalidImage")));
	close(fd);
	CHECK(files(rig, "loader", "") == 0);
	loaders_free(&l);
}

#define T(x)          \
	{             \
#x, x \
	}
static const struct rig_test tests[] = {
	T(from_a_package),
	T(from_files),
	T(from_archives),
	T(no_pair),
	T(names),
	T(a_package_of_two_families),
	T(in_place_of_its_own),
	T(which_one_a_job_gets),
	T(killed_in_the_middle),
	T(damage_is_seen_at_the_start),
	T(quota_of_both_stores),
	T(full_disk),
	T(refused),
};

int main(void)
{
	return rig_run(tests, sizeof(tests) / sizeof(tests[0]));
}
