/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A disk that stops answering for the history: jobs go on, other questions are answered, it is said, and
 * when the disk comes back all is caught up with. The disk is a real FUSE whose server holds its answers.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/bus/ctl.h"
#include "tests/bus/slowdisk.h"

static void stuck(struct rig *rig)
{
	char *quick[] = { (char[]){ "--set=store-timeout=1s" }, NULL };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct slowdisk *disk = slowdisk_new();
	struct rig_package pack;
	char path[160], log[400];
	const char *job;

	rig_package(rig, &pack, "sc9863a", 41, 4096);
	slowdisk_reset(disk, "/dev/null");
	disk->hold_stat = true;
	snprintf(path, sizeof(path), "%s/history.db", rig->state);
	CHECK(symlink(SLOWDISK_FILE, path) == 0);
	CHECK(rig_up(rig, quick) && rig_plug(rig, p));
	CHECK(!strcmp(rig_get(rig, ROOT, MANAGER, "HistoryState"), "starting"));
	job = rig_flash(rig, p->slot, pack.fd, NULL, 0);
	CHECK(job && !strcmp(rig_wait(rig, job, 30000), ""));
	CHECK(rig_expect(rig, 15000, ROOT, MANAGER, "HistoryState", "failed"));
	CHECK(strstr(rig_get(rig, ROOT, MANAGER, "HistoryError"), "has not answered"));
	snprintf(log, sizeof(log), "grep -q 'the history cannot be written' %s", rig->log);
	CHECK(bed_sh(rig->bed, 2000, ctl_out, sizeof(ctl_out), log) == 0);
	/* asked all the same: an answer within its time; and nobody else waits for it */
	CHECK(ctl(rig, 10000, "history") == ctl_code("HistoryUnusable"));
	CHECK(ctl(rig, 5000, "history verify") == ctl_code("HistoryUnusable"));
	CHECK(ctl(rig, 5000, "nv list --json") == 0 && strstr(ctl_out, "\"job\":1,"));
	CHECK(rig_num(rig, ROOT, MANAGER, "LoopStallMaxUsec") < 2000000);
	bed_phone_unplug(p->bp, true);
	rig_sleep(rig, 50);
	CHECK(rig_plug(rig, p));
	job = rig_flash(rig, p->slot, pack.fd, NULL, 0);
	CHECK(job && !strcmp(rig_wait(rig, job, 30000), ""));
	/* there again, and by itself what it was: a history of all jobs */
	CHECK(unlink(path) == 0);
	slowdisk_reset(disk, NULL);
	CHECK(rig_expect(rig, 40000, ROOT, MANAGER, "HistoryState", "ready"));
	CHECK(ctl(rig, 10000, "history --json") == 0 && strstr(ctl_out, "{\"job\":2,") &&
	      strstr(ctl_out, "{\"job\":1,"));
	CHECK(ctl(rig, 10000, "history verify") == 0);
	rig_package_free(&pack);
}

static void told_to_stop(struct rig *rig)
{
	struct slowdisk *disk = slowdisk_new();
	char path[160];

	slowdisk_reset(disk, "/dev/null");
	disk->hold_stat = true;
	snprintf(path, sizeof(path), "%s/history.db", rig->state);
	CHECK(symlink(SLOWDISK_FILE, path) == 0);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_down(rig, SIGTERM, 8000) == 0);
	slowdisk_reset(disk, NULL);
	CHECK(unlink(path) == 0);
}

static const struct rig_test tests[] = {
	{ "jobs go on while the disk of the history hangs", stuck },
	{ "nor does the end of the service wait for it", told_to_stop },
};

int main(void)
{
	if (geteuid() || !slowdisk_prepare()) {
		tap_skip("a history on a disk that does not answer", "it takes root and /dev/fuse");
		return tap_end();
	}
	return rig_run(tests, sizeof(tests) / sizeof(tests[0]));
}
