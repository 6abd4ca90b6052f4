/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The history of the real daemon: what it says of a dozen jobs is what their phones saw; it comes through
 * kills, damage, a full disk and a disk that cannot be written, and never holds up a job; backups are listed
 * and copied.
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/bus/ctl.h"

#define PHONES 6

static const char *in_state(const struct rig *rig, const char *name)
{
	static char path[2][256];
	static int next;
	char *to = path[next++ % 2];

	snprintf(to, sizeof(path[0]), "%s/%s", rig->state, name);
	return to;
}

static unsigned int lines(const char *text)
{
	unsigned int n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

/* Jobs that match these options. */
static int count(struct rig *rig, const char *options)
{
	if (ctl(rig, 10000, "history --json %s", options) != 0)
		return -1;
	return (int)lines(ctl_out);
}

static bool history_is(struct rig *rig, const char *state)
{
	return rig_expect(rig, 10000, ROOT, MANAGER, "HistoryState", state);
}

static bool again(struct rig *rig, struct rig_phone *p)
{
	bed_phone_unplug(p->bp, true);
	rig_sleep(rig, 50);
	return rig_plug(rig, p);
}

static bool told(const struct rig *rig, const char *word)
{
	char command[400];

	snprintf(command, sizeof(command), "grep -q '%s' %s", word, rig->log);
	return system(command) == 0;
}

/* ---- what the phones saw ---------------------------------------------------------- */

struct run {
	struct rig_phone *p;
	char job[64], error[128];
	size_t entries; /* of the phone before it */
};

/* The images that a phone has taken whole since then: how many, and their bytes. */
static unsigned int taken(const struct run *run, uint64_t *bytes)
{
	unsigned int n = 0;

	*bytes = 0;
	for (size_t i = run->entries; i < phone_entries(run->p->phone); i++) {
		const struct phone_entry *e = phone_entry(run->p->phone, i);

		if (e->stage != PHONE_FDL2 || !e->ends || e->end_reply != 0x80)
			continue;
		n++;
		*bytes += e->received;
	}
	return n;
}

static const char *str(json_object *o, const char *key)
{
	return json_object_get_string(json_object_object_get(o, key));
}

static uint64_t num(json_object *o, const char *key)
{
	return json_object_get_uint64(json_object_object_get(o, key));
}

/* The same from a line of the history. */
static unsigned int recorded(json_object *line, uint64_t *bytes, uint64_t *usec)
{
	json_object *steps = json_object_object_get(line, "steps");
	unsigned int n = 0;

	*bytes = *usec = 0;
	for (size_t i = 0; i < json_object_array_length(steps); i++) {
		json_object *s = json_object_array_get_idx(steps, i);
		const char *verdict = str(s, "verdict");

		*usec += num(s, "usec");
		if (!num(s, "bytes_sent") || (strcmp(verdict, "acknowledged") && strcmp(verdict, "verified")))
			continue;
		n++;
		*bytes += num(s, "bytes_sent");
	}
	return n;
}

static void sum_of(const void *data, size_t len, char out[65])
{
	unsigned char sum[32];

	EVP_Digest(data, len, sum, NULL, EVP_sha256(), NULL);
	for (int i = 0; i < 32; i++)
		snprintf(out + 2 * i, 3, "%02x", sum[i]);
}

static void sum_of_file(const char *path, char out[65])
{
	FILE *f = fopen(path, "r");
	char *text = NULL;
	size_t len = 0, n;
	char buf[65536];
	FILE *m = open_memstream(&text, &len);

	while (f && (n = fread(buf, 1, sizeof(buf), f)) > 0)
		fwrite(buf, 1, n, m);
	fclose(m);
	if (f)
		fclose(f);
	sum_of(text, len, out);
	free(text);
}

static bool same_word(const char *what, const char *have, const char *want)
{
	if (have && !strcmp(have, want))
		return true;
	tap_note("%s: '%s', not '%s'", what, have ? have : "(null)", want);
	return false;
}

/* One line against the phone, the job's end as its caller was told, and the package. */
static bool agrees(struct rig *rig, json_object *line, const struct run *run, const struct rig_package *pack,
		   const char *digest)
{
	uint64_t phone_bytes, bytes, usec;
	unsigned int phone_count = taken(run, &phone_bytes), have = recorded(line, &bytes, &usec);
	char fdl1[65], fdl2[65];
	bool good;

	sum_of(pack->spec.fdl1, pack->spec.fdl1_len, fdl1);
	sum_of(pack->spec.fdl2, pack->spec.fdl2_len, fdl2);
	if (have != phone_count || bytes != phone_bytes) {
		tap_note("%s: %u images of %llu bytes in the history, %u of %llu in the phone", run->job,
			 have, (unsigned long long)bytes, phone_count, (unsigned long long)phone_bytes);
		return false;
	}
	good = same_word("result", str(line, "result"), *run->error ? "failed" : "succeeded") &&
	       same_word("error", str(line, "error"),
			 *run->error ? run->error + strlen("org.fdld1.Error.") : "") &&
	       same_word("slot", str(line, "slot"), run->p->id) &&
	       same_word("fdl1", str(line, "fdl1"), fdl1) && same_word("fdl2", str(line, "fdl2"), fdl2) &&
	       same_word("digest", str(line, "digest"), digest) &&
	       same_word("version", str(line, "version"), rig_get(rig, ROOT, MANAGER, "Version"));
	/* times: entries fit into the run, the run into the job */
	if (usec > num(line, "run_usec") || !num(line, "run_usec") ||
	    num(line, "finished_at") < num(line, "started_at") ||
	    num(line, "run_usec") > num(line, "finished_at") - num(line, "started_at") + 50000) {
		tap_note("%s: times do not fit", run->job);
		good = false;
	}
	return good && (!have || usec) && *str(line, "host");
}

static void dozen(struct rig *rig)
{
	static const char *const faults[PHONES] = { NULL,
						    "F37 on boot",
						    "unplug at midst 2 of fdl2",
						    "refuse at start of system with 0x8a",
						    "unplug at midst 1 of boot",
						    NULL };
	struct run run[2 * PHONES] = { 0 };
	struct rig_package pack;
	unsigned int failed = 0;
	uint64_t total = 0;
	char digest[65], text[128];

	rig_package(rig, &pack, "sc9863a", 31, 20000);
	sum_of_file(pack.path, digest);
	for (int i = 0; i < PHONES; i++) {
		struct phone_setup setup = { .faults = faults[i], .seed = (uint64_t)i + 1 };

		snprintf(text, sizeof(text), "%d", i + 1);
		run[i].p = run[PHONES + i].p = rig_phone(rig, "sc9863a", text, &setup);
	}
	CHECK(rig_up(rig, NULL));
	for (int i = 0; i < PHONES; i++)
		CHECK(rig_plug(rig, run[i].p));
	for (int i = 0; i < 2 * PHONES; i++) {
		struct run *r = &run[i];

		if (i == PHONES)
			for (int j = 0; j < PHONES; j++) {
				CHECK(phone_set_faults(run[j].p->phone, j == 5 ? "F37 on boot" : "", NULL));
				CHECK(again(rig, run[j].p));
			}
		r->entries = phone_entries(r->p->phone);
		snprintf(r->job, sizeof(r->job), "%s",
			 rig_flash(rig, r->p->slot, pack.fd, "a{sv}", 1, "name", "s", "dozen.pac"));
		CHECK(*r->job == '/');
		/* three at a time */
		for (int j = i - 2; i % 3 == 2 && j <= i; j++)
			snprintf(run[j].error, sizeof(run[j].error), "%s", rig_wait(rig, run[j].job, 60000));
		if (i == PHONES - 1)
			for (int j = 0; j < PHONES; j++) /* what the phone saw, before it is used again */
				CHECK(history_is(rig, "ready"));
		if (i == PHONES - 1) {
			CHECK(count(rig, "") == PHONES);
			for (int j = 0; j < PHONES; j++) {
				json_object *line = ctl_line(PHONES - 1 - j);
				bool good = line && agrees(rig, line, &run[j], &pack, digest);

				json_object_put(line);
				CHECK(good);
			}
		}
	}
	CHECK(history_is(rig, "ready"));
	CHECK(count(rig, "") == 2 * PHONES);
	for (int j = 0; j < 2 * PHONES; j++) {
		failed += *run[j].error != 0;
		if (j < PHONES)
			continue;

		json_object *line = ctl_line(2 * PHONES - 1 - j);
		bool good = line && agrees(rig, line, &run[j], &pack, digest);

		total += num(line, "bytes_sent");
		json_object_put(line);
		CHECK(good);
	}
	CHECK(total > 0 && failed == 5);
	CHECK(count(rig, "--result fail") == 5 && count(rig, "--result pass") == 7);
	CHECK(count(rig, "--error SignatureRefused") == 2);
	CHECK(count(rig, "--slot 1-1") == 2 && count(rig, "--slot 1-77") == 0);
	CHECK(count(rig, "--image dozen.pac") == 12 && count(rig, "--limit 5") == 5);
	snprintf(text, sizeof(text), "--image %.10s", digest);
	CHECK(count(rig, text) == 12);
	CHECK(count(rig, "--since 1h --until now") == 12 && count(rig, "--until 1h") == 0);
	CHECK(ctl(rig, 10000, "history verify") == 0 && strstr(ctl_out, "12 jobs compared, no difference"));
	/* made anew it says the same, word for word */
	CHECK(count(rig, "--full") == 12);

	char *before = strdup(ctl_out);

	CHECK(ctl(rig, 10000, "history rebuild") == 0 && strstr(ctl_out, "12 jobs"));
	CHECK(count(rig, "--full") == 12);
	CHECK(!strcmp(before, ctl_out));
	CHECK(rig_down(rig, SIGTERM, 5000) == 0);
	CHECK(unlink(in_state(rig, "history.db")) == 0);
	CHECK(rig_up(rig, NULL) && history_is(rig, "ready"));
	CHECK(count(rig, "--full") == 12);
	CHECK(!strcmp(before, ctl_out));
	free(before);
	rig_package_free(&pack);
}

/* ---- the client ------------------------------------------------------------------- */

static void words(struct rig *rig)
{
	struct phone_setup setup = { .faults = "F37 on boot" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL),
			 *q = rig_phone(rig, "sc9863a", "2", &setup);
	struct rig_package pack;
	const char *unit;
	char text[256];

	rig_package(rig, &pack, "sc9863a", 32, 4096);
	CHECK(rig_up(rig, NULL) && history_is(rig, "ready"));
	CHECK(ctl(rig, 5000, "history") == 0 && strstr(ctl_out, "No such jobs."));
	CHECK(ctl(rig, 5000, "history --json") == 0 && !ctl_out[0]);
	CHECK(rig_plug(rig, p) && rig_plug(rig, q));
	CHECK(ctl(rig, 60000, "flash --slot 1-1 %s", pack.path) == 0);
	CHECK(ctl(rig, 60000, "flash --slot 1-2 %s", pack.path) == ctl_code("SignatureRefused"));
	CHECK(ctl(rig, 5000, "history") == 0 && lines(ctl_out) == 3);
	CHECK(strstr(ctl_out, "succeeded") && strstr(ctl_out, "SignatureRefused"));
	CHECK(ctl(rig, 5000, "history --csv") == 0 && lines(ctl_out) == 3);
	CHECK(!strncmp(ctl_out, "job,kind,result,error,", 22) && strstr(ctl_out, ",\"SignatureRefused\","));
	CHECK(ctl_both(rig, 0, "history verify"));
	CHECK(ctl_both(rig, 0, "history rebuild"));
	/* the identity: eight digits, unless it is asked for in full */
	CHECK(count(rig, "--result pass") == 1);
	unit = ctl_str(0, "unit");
	CHECK(strlen(unit) == 8);
	snprintf(text, sizeof(text), "--unit %s", unit);
	CHECK(count(rig, text) == 1);
	CHECK(count(rig, "--full --result pass") == 1 && strlen(ctl_str(0, "unit")) == 64);
	snprintf(text, sizeof(text), "--unit %.12s --full", ctl_str(0, "unit"));
	CHECK(count(rig, text) == 1);
	/* times as people write them */
	static const char *const before[] = {
		"2020-01-01", "'2020-01-01 07:30'", "2020-01-01T07:30:15", "yesterday", "1h",
		"-2d",	      "'1h 30min'",	    "@1577836800",	   "26w"
	};
	static const char *const after[] = { "now", "2199-12-31", "'2199-12-31 23:59'", "@7258118400" };

	for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++) {
		snprintf(text, sizeof(text), "--since %s", before[i]);
		CHECK(count(rig, text) == 2);
		snprintf(text, sizeof(text), "--until %s", before[i]);
		CHECK(count(rig, text) == 0);
	}
	for (size_t i = 0; i < sizeof(after) / sizeof(after[0]); i++) {
		snprintf(text, sizeof(text), "--until %s", after[i]);
		CHECK(count(rig, text) == 2);
		snprintf(text, sizeof(text), "--since %s", after[i]);
		CHECK(count(rig, text) == 0);
	}
	CHECK(ctl(rig, 5000, "history --since 2020-13-01") == 2 &&
	      ctl(rig, 5000, "history --since 25:00") == 2);
	CHECK(ctl(rig, 5000, "history --until ''") == 2 && ctl(rig, 5000, "history --until 3parsecs") == 2);
	/* wrong words */
	CHECK(ctl(rig, 5000, "history --since whenever") == 2 && strstr(ctl_err, "whenever"));
	CHECK(ctl(rig, 5000, "history --error Nonsense") == 2 &&
	      ctl(rig, 5000, "history --result maybe") == 2);
	CHECK(ctl(rig, 5000, "history --limit 0") == 2 && ctl(rig, 5000, "history frobnicate") == 2);
	CHECK(ctl(rig, 5000, "history --csv --json") == 2);
	CHECK(ctl(rig, 5000, "history --unit xyz") == ctl_code("InvalidArgs"));
	/* options that the bus does not know */
	CHECK(!rig_call(rig, 5000, NULL, ROOT, MANAGER, "History", "a{sv}", 1, "colour", "s", "red"));
	CHECK(strstr(rig->error, "InvalidArgs"));
	CHECK(!rig_call(rig, 5000, NULL, ROOT, MANAGER, "Backups", "a{sv}", 1, "error", "s", "UsbIo"));
	CHECK(strstr(rig->error, "InvalidArgs"));
	/* a database that says something else: every difference, and its own exit status */
	CHECK(rig_down(rig, SIGTERM, 5000) == 0);
	snprintf(text, sizeof(text), "sqlite3 %s \"UPDATE job SET result='failed' WHERE job=1\"",
		 in_state(rig, "history.db"));
	if (system("command -v sqlite3 >/dev/null") == 0) {
		CHECK(system(text) == 0);
		CHECK(rig_up(rig, NULL) && history_is(rig, "ready"));
		CHECK(ctl(rig, 5000, "history verify") == ctl_code("HistoryDiffers"));
		CHECK(strstr(ctl_out, "job 1: result: 'failed' in the database, 'succeeded' in the files"));
		CHECK(ctl_both(rig, ctl_code("HistoryDiffers"), "history verify"));
		CHECK(ctl(rig, 5000, "history rebuild") == 0 && ctl(rig, 5000, "history verify") == 0);
	}
	rig_package_free(&pack);
}

/* ---- what goes wrong -------------------------------------------------------------- */

static void killed(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;
	const char *job;

	rig_package(rig, &pack, "sc9863a", 33, 4096);
	for (int i = 0; i < 4; i++) {
		CHECK(rig_up(rig, NULL));
		CHECK(again(rig, p));
		job = rig_flash(rig, p->slot, pack.fd, NULL, 0);
		CHECK(job);
		if (i % 2)
			rig_sleep(rig, 700);
		else /* the very moment its end is told */
			CHECK(!strcmp(rig_wait(rig, job, 60000), ""));
		CHECK(rig_down(rig, SIGKILL, 3000) == 256 + SIGKILL);
	}
	CHECK(rig_up(rig, NULL) && history_is(rig, "ready"));
	CHECK(rig_num(rig, ROOT, MANAGER, "HistoryRebuilt") == 0);
	CHECK(count(rig, "") == 4);
	CHECK(count(rig, "--result interrupted") == 2 && count(rig, "--result pass") == 2);
	CHECK(ctl(rig, 5000, "history verify") == 0 && strstr(ctl_out, "4 jobs compared"));
	rig_package_free(&pack);
}

static bool spoil(const char *path)
{
	int fd = open(path, O_WRONLY);
	char junk[64];

	memset(junk, 0x5a, sizeof(junk));

	bool good = fd >= 0 && pwrite(fd, junk, sizeof(junk), 0) == (ssize_t)sizeof(junk);

	if (fd >= 0)
		close(fd);
	return good;
}

static void damaged(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;
	const char *job;

	rig_package(rig, &pack, "sc9863a", 34, 4096);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	job = rig_flash(rig, p->slot, pack.fd, NULL, 0);
	CHECK(job && !strcmp(rig_wait(rig, job, 60000), ""));
	CHECK(count(rig, "") == 1);
	CHECK(rig_down(rig, SIGTERM, 5000) == 0);
	CHECK(spoil(in_state(rig, "history.db")));
	CHECK(rig_up(rig, NULL) && history_is(rig, "ready"));
	CHECK(rig_num(rig, ROOT, MANAGER, "HistoryRebuilt") == 1);
	CHECK(access(in_state(rig, "history.db.damaged"), F_OK) == 0);
	CHECK(told(rig, "moved aside"));
	CHECK(count(rig, "") == 1 && ctl(rig, 5000, "history verify") == 0);
	rig_package_free(&pack);
}

/* A folder in the place of the database: nothing can be written, jobs go on, and it heals with the next one.
 */
static void unwritable(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;
	const char *job;

	rig_package(rig, &pack, "sc9863a", 35, 4096);
	CHECK(mkdir(in_state(rig, "history.db"), 0700) == 0);
	CHECK(rig_up(rig, NULL) && history_is(rig, "failed"));
	CHECK(*rig_get(rig, ROOT, MANAGER, "HistoryError"));
	CHECK(told(rig, "the history cannot be written") && told(rig, "FDL_ERROR=HistoryUnusable"));
	CHECK(rig_plug(rig, p));
	job = rig_flash(rig, p->slot, pack.fd, NULL, 0);
	CHECK(job && !strcmp(rig_wait(rig, job, 60000), ""));
	CHECK(!strcmp(rig_get(rig, ROOT, MANAGER, "HistoryState"), "failed"));
	CHECK(ctl(rig, 5000, "history") == ctl_code("HistoryUnusable") && strstr(ctl_err, "what to do:"));
	CHECK(ctl(rig, 5000, "history verify") == ctl_code("HistoryUnusable"));
	/* backups need no database */
	CHECK(ctl(rig, 5000, "nv list --json") == 0 && lines(ctl_out) == 1);
	CHECK(rmdir(in_state(rig, "history.db")) == 0);
	CHECK(again(rig, p));
	job = rig_flash(rig, p->slot, pack.fd, NULL, 0);
	CHECK(job && !strcmp(rig_wait(rig, job, 60000), ""));
	CHECK(history_is(rig, "ready") && !*rig_get(rig, ROOT, MANAGER, "HistoryError"));
	CHECK(told(rig, "can be written again: 2 jobs"));
	CHECK(count(rig, "") == 2 && ctl(rig, 5000, "history verify") == 0);
	rig_package_free(&pack);
}

/* To the last byte. */
static bool fill(struct rig *rig)
{
	int fd = open(in_state(rig, "filler"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	char page[4096] = "";
	bool full;

	while (fd >= 0 && write(fd, page, sizeof(page)) > 0)
		;
	full = fd >= 0 && errno == ENOSPC;
	if (fd >= 0)
		close(fd);
	return full;
}

/* A full disk: what is there can be read, nothing can be made anew, and it heals. */
static void full(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;
	const char *job;

	rig_package(rig, &pack, "sc9863a", 36, 4096);
	CHECK(mount("small", rig->state, "tmpfs", 0, "size=32m,mode=700") == 0);
	CHECK(rig_up(rig, NULL) && history_is(rig, "ready") && rig_plug(rig, p));
	job = rig_flash(rig, p->slot, pack.fd, NULL, 0);
	CHECK(job && !strcmp(rig_wait(rig, job, 60000), ""));
	CHECK(count(rig, "") == 1);
	CHECK(again(rig, p));
	CHECK(fill(rig));
	job = rig_flash(rig, p->slot, pack.fd, NULL, 0);
	CHECK(!job && strstr(rig->error, "StoreFailed"));
	/* nothing can be made of it, and what is there can be read */
	CHECK(ctl(rig, 5000, "history rebuild") == ctl_code("HistoryUnusable"));
	CHECK(history_is(rig, "failed") && strstr(rig_get(rig, ROOT, MANAGER, "HistoryError"), "full"));
	CHECK(count(rig, "") == 1);
	CHECK(unlink(in_state(rig, "filler")) == 0);
	job = rig_flash(rig, p->slot, pack.fd, NULL, 0);
	CHECK(job && !strcmp(rig_wait(rig, job, 60000), ""));
	CHECK(history_is(rig, "ready") && count(rig, "") == 2 && ctl(rig, 5000, "history verify") == 0);
	CHECK(rig_down(rig, SIGTERM, 5000) == 0);
	CHECK(umount2(rig->state, MNT_DETACH) == 0);
	rig_package_free(&pack);
}

/* ---- retention -------------------------------------------------------------------- */

static void kept(struct rig *rig)
{
	char *few[] = { (char[]){ "--set=keep-jobs=2" }, (char[]){ "--set=jobs.keep=1s" }, NULL };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;
	const char *job;

	rig_package(rig, &pack, "sc9863a", 37, 4096);
	CHECK(rig_up(rig, few) && history_is(rig, "ready"));
	for (int i = 0; i < 4; i++) {
		CHECK(again(rig, p));
		job = rig_flash(rig, p->slot, pack.fd, NULL, 0);
		CHECK(job && !strcmp(rig_wait(rig, job, 60000), ""));
		rig_sleep(rig, 1200); /* it has left the bus when the next one ends */
	}
	CHECK(count(rig, "") <= 3);
	CHECK(access(in_state(rig, "job/1"), F_OK) < 0 && access(in_state(rig, "job/4"), F_OK) == 0);
	CHECK(ctl(rig, 5000, "history verify") == 0);
	rig_package_free(&pack);
}

/* ---- backups ---------------------------------------------------------------------- */

static void backups(struct rig *rig)
{
	struct phone_setup cut = { .faults = "unplug at midst 1 of l_fixnv1" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL), *q = rig_phone(rig, "sc9863a", "2", &cut);
	struct rig_package pack;
	char path[128], name[64], args[400];
	struct stat st;
	static struct ctl_run run;

	rig_package(rig, &pack, "sc9863a", 38, 4096);
	CHECK(rig_up(rig, NULL));
	CHECK(ctl(rig, 5000, "nv list") == 0 && strstr(ctl_out, "No backups."));
	CHECK(rig_plug(rig, p) && rig_plug(rig, q));
	CHECK(ctl(rig, 60000, "flash --slot 1-2 --without-backup --repartition always %s", pack.path) != 0);
	CHECK(ctl(rig, 60000, "flash --slot 1-1 %s", pack.path) == 0);
	/* the one that is owed comes first, although it is older */
	CHECK(ctl(rig, 5000, "nv list --json") == 0 && lines(ctl_out) == 2 && ctl_json());
	CHECK(!strncmp(ctl_out, "{\"job\":1,\"owed\":true,", 21));
	CHECK(strlen(ctl_str(0, "unit")) == 8);
	CHECK(ctl(rig, 5000, "nv list") == 0 && strstr(ctl_out, "owed"));
	CHECK(ctl(rig, 5000, "nv list --slot 1-1 --json") == 0 && lines(ctl_out) == 1);
	/* a copy is the backup, and its owner's alone */
	snprintf(path, sizeof(path), "%s/copies", rig->dir);
	CHECK(mkdir(path, 0755) == 0);
	CHECK(ctl(rig, 5000, "nv export 2 %s", path) == 0 && lines(ctl_out) >= 1);
	snprintf(
		args, sizeof(args),
		"cd %s && for f in *; do cmp $f %s/job/2/nv/$f && test $(stat -c %%a $f) = 600 || exit 1; done && "
		"ls | head -n 1",
		path, rig->state);
	CHECK(bed_sh(rig->bed, 5000, ctl_out, sizeof(ctl_out), args) == 0);
	CHECK(sscanf(ctl_out, "%63s", name) == 1);
	snprintf(path, sizeof(path), "%s/one", rig->dir);
	CHECK(ctl(rig, 5000, "nv export --name %s 2 %s", name, path) == 0);
	CHECK(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600 && st.st_size > 0);
	/* never over a file, to a terminal, or of something that is not there */
	CHECK(ctl(rig, 5000, "nv export --name %s 2 %s", name, path) == ctl_code("InvalidArgs"));
	CHECK(ctl(rig, 5000, "nv export --name %s 2 /dev/null", name) == ctl_code("InvalidArgs"));
	snprintf(args, sizeof(args), "nv export --name %s 2 /proc/self/fd/1", name);
	ctl_start_tty(rig, &run, NULL, args);
	CHECK(ctl_wait(rig, &run, 5000) == ctl_code("InvalidArgs"));
	CHECK(unlink(path) == 0);
	CHECK(ctl(rig, 5000, "nv export --name nosuch 2 %s", path) == ctl_code("NoSuchBackup"));
	CHECK(ctl(rig, 5000, "nv export 77 %s", path) == ctl_code("NoSuchBackup"));
	CHECK(access(path, F_OK) < 0);
	CHECK(ctl(rig, 5000, "nv export 2") == 2 && ctl(rig, 5000, "nv") == 2 &&
	      ctl(rig, 5000, "nv export x y") == 2);
	/* the bus itself: no pipe, nothing that holds something already, nothing outside of the folder */
	int pipes[2], used = open(pack.path, O_RDWR);

	CHECK(pipe(pipes) == 0 && used >= 0);
	CHECK(!rig_call(rig, 5000, NULL, ROOT, MANAGER, "ExportBackup", "tsha{sv}", (uint64_t)2, name,
			pipes[1], 0));
	CHECK(strstr(rig->error, "InvalidArgs"));
	CHECK(!rig_call(rig, 5000, NULL, ROOT, MANAGER, "ExportBackup", "tsha{sv}", (uint64_t)2, name, used,
			0));
	CHECK(strstr(rig->error, "InvalidArgs"));
	CHECK(!rig_call(rig, 5000, NULL, ROOT, MANAGER, "ExportBackup", "tsha{sv}", (uint64_t)2, name,
			pack.fd, 0));
	CHECK(strstr(rig->error, "InvalidArgs"));
	close(used);
	snprintf(path, sizeof(path), "%s/fresh", rig->dir);
	used = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	CHECK(!rig_call(rig, 5000, NULL, ROOT, MANAGER, "ExportBackup", "tsha{sv}", (uint64_t)2, "../result",
			used, 0));
	CHECK(strstr(rig->error, "NoSuchBackup"));
	close(used);
	close(pipes[0]);
	close(pipes[1]);
	rig_package_free(&pack);
}

static const struct rig_test tests[] = {
	{ "a dozen jobs, as their phones saw them; made anew the same", dozen },
	{ "words, filters, differences", words },
	{ "killed between file and database", killed },
	{ "a damaged database", damaged },
	{ "a database that cannot be written", unwritable },
	{ "a full disk", full },
	{ "old jobs go", kept },
	{ "backups listed and copied", backups },
};

int main(void)
{
	return rig_run(tests, sizeof(tests) / sizeof(tests[0]));
}
