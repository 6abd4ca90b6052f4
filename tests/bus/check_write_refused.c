/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is not written to a phone: places, files and descriptors that are refused before it hears of them. */
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
	path = written_any(rig, "x.img", 9, MIB + 1, false);
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
	CHECK(!written_changes(p->phone) && !written_changes(q->phone));
	/* an address is nothing to a phone of names */
	snprintf(args, sizeof(args), "write-flash --slot 1-1 0x80000003 %s", path);
	CHECK(refuses(rig, args, "InvalidArgs", "names of its partitions"));
	CHECK(!written_changes(p->phone));
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
	snprintf(args, sizeof(args), "write logo %s", written_file(rig, "none", "", 0));
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
	path = written_any(rig, "x.img", 12, 70000, false);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	CHECK(ctl(rig, 20000, "image import %s", pack.path) == 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		fd = open(bad[i].path ? bad[i].path : path, bad[i].flags | O_CLOEXEC);
		CHECK(fd >= 0 && !written_call(rig, p, fd, base));
		close(fd);
		CHECK(!strcmp(rig->error, ERR("InvalidImage")));
	}
	CHECK(pipe2(pipes, O_CLOEXEC) == 0 && !written_call(rig, p, pipes[0], base));
	CHECK(!strcmp(rig->error, ERR("InvalidImage")) && strstr(rig->text, "x.img"));
	close(pipes[0]);
	close(pipes[1]);
	/* a name is a word of somebody's: it is shown without what steers a terminal */
	fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	CHECK(!rig_call(rig, 5000, NULL, p->slot, SLOT, "Write", "a(shs)a{sv}", 1, "logo", fd, "a\n\033[2Jb",
			1, "loader", "s", base));
	close(fd);
	CHECK(!strcmp(rig->error, ERR("InvalidImage")) && strstr(rig->text, "a??[2Jb"));
	CHECK(!rig_call(rig, 5000, NULL, p->slot, SLOT, "Write", "a(shs)a{sv}", 0, 0));
	CHECK(!strcmp(rig->error, ERR("InvalidArgs")));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(!rig_call(rig, 5000, NULL, p->slot, SLOT, "Write", "a(shs)a{sv}", 1, "logo", fd, "", 1,
			"entries", "s", ""));
	CHECK(!strcmp(rig->error, ERR("InvalidArgs")));
	CHECK(!written_loads(p->phone) && !bed_count(bed_phone_dev(p->bp))->submits);
	/* closed by its caller, and its name taken away: it is the file that counts */
	CHECK(written_call(rig, p, fd, base));
	close(fd);
	CHECK(unlink(path) == 0);
	CHECK(!strcmp(rig_wait(rig, ROOT "/job/1", 30000), ""));
	CHECK(written_holds_any(p, "logo", 12, 70000, false));
	rig_package_free(&pack);
}

/* On a terminal a person is shown what is replaced, and has the last word. */
static void asked(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	static struct ctl_run run;
	struct rig_package pack;
	char args[400];

	rig_package(rig, &pack, "sc9863a", 7, 4096);
	snprintf(args, sizeof(args), "write --loader %s --level acknowledged sml %s", pack.path,
		 written_any(rig, "x.img", 28, 3 * KIB, false));
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	ctl_start_tty(rig, &run, NULL, args);
	CHECK(ctl_says(rig, &run, "Type 'yes'", 10000));
	CHECK(ctl_said(&run, "sml (x.img, 3.00 KiB)") && ctl_said(&run, "does not start without it"));
	CHECK(ctl_type(&run, "no\r") && ctl_wait(rig, &run, 10000) == 2);
	CHECK(!bed_count(bed_phone_dev(p->bp))->submits);
	ctl_start_tty(rig, &run, NULL, args);
	CHECK(ctl_says(rig, &run, "Type 'yes'", 10000));
	CHECK(ctl_type(&run, "yes\r") && ctl_wait(rig, &run, 60000) == 0);
	CHECK(written_holds_any(p, "sml", 28, 3 * KIB, false));
	rig_package_free(&pack);
}

int main(void)
{
	static const struct rig_test tests[] = {
		{ "names and places that are refused", names },
		{ "files that are refused", files },
		{ "descriptors that are refused", descriptors },
		{ "a person who is asked", asked },
	};

	return rig_run(tests, ARRAY_SIZE(tests));
}
