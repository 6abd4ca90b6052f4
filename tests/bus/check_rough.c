/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A station whose slots are armed while what it stands on gives way: the clock, its directory, its rules, its
 * database. Phones are flashed or left alone for a reason that is told; nothing is flashed twice, nothing is
 * lost.
 */
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/bus/conf.h"
#include "tests/bus/ctl.h"
#include "tests/bus/line.h"
#include "tests/bus/rig.h"

/* ---- a clock that people set: what the daemon takes for the time is off by so many seconds ---- */

static const char clock_source[] = "#include <stdio.h>\n"
				   "#include <sys/syscall.h>\n"
				   "#include <time.h>\n"
				   "#include <unistd.h>\n"
				   "int clock_gettime(clockid_t id, struct timespec *ts)\n"
				   "{\n"
				   "	long long by = 0;\n"
				   "	int r = (int)syscall(SYS_clock_gettime, id, ts);\n"
				   "	FILE *f = r || id != CLOCK_REALTIME ? NULL : fopen(SET, \"r\");\n"
				   "	if (f && fscanf(f, \"%lld\", &by) != 1)\n"
				   "		by = 0;\n"
				   "	if (f)\n"
				   "		fclose(f);\n"
				   "	ts->tv_sec += by;\n"
				   "	return r;\n"
				   "}\n";

static bool clock_made(struct rig *rig)
{
	char path[160], line[400];
	FILE *f;

	snprintf(path, sizeof(path), "%s/clock.c", rig->dir);
	f = fopen(path, "w");
	if (!f || fputs(clock_source, f) < 0 || fclose(f) != 0)
		return false;
	snprintf(line, sizeof(line), "cd %s && cc -shared -fPIC -DSET='\"%s/set\"' clock.c -o clock.so 2>&1",
		 rig->dir, rig->dir);
	return bed_sh(rig->bed, 30000, ctl_out, sizeof(ctl_out), line) == 0;
}

static void clock_set(struct rig *rig, long long by)
{
	char line[300];

	snprintf(line, sizeof(line), "echo %lld >%s/set.new && mv %s/set.new %s/set", by, rig->dir, rig->dir,
		 rig->dir);
	CHECK(system(line) == 0);
}

/* The daemon, begun by another program or with something before its libraries. */
static bool up_by(struct rig *rig, const char *const *before, char *const *env)
{
	const char *argv[16];
	char program[256];
	int n = 0;

	snprintf(program, sizeof(program), "%s/fdld", rig->build);
	while (before && before[n]) {
		argv[n] = before[n];
		n++;
	}
	argv[n++] = program;
	argv[n++] = "--state-dir";
	argv[n++] = rig->state;
	argv[n++] = "--runtime-dir";
	argv[n++] = rig->runtime;
	argv[n++] = "--config-root";
	argv[n++] = rig->conf;
	argv[n] = NULL;
	rig->daemon = bed_spawn(rig->bed, (char *const *)argv, env, rig->log);
	return bed_ready(rig->bed, 10000);
}

static bool up_with_clock(struct rig *rig)
{
	static char asan[] = "ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0";
	char preload[200], *env[] = { preload, asan, NULL };

	snprintf(preload, sizeof(preload), "LD_PRELOAD=%s/clock.so", rig->dir);
	return up_by(rig, NULL, env);
}

static void put_line(struct rig *rig, struct rig_package *pack, const char *settings, const char *rules)
{
	rig_package(rig, pack, "sc9863a", 6, 4096);
	conf_put(rig, ETC, settings);
	conf_put(rig, LINE_RULES, rules);
}

static unsigned int jobs_in_history(struct rig *rig, const char *filter)
{
	unsigned int lines = 0;

	if (ctl(rig, 20000, "--json history %s", filter) != 0)
		return UINT_MAX;
	for (const char *c = ctl_out; *c; c++)
		lines += *c == '\n';
	return lines;
}

#define YEAR 31536000ll

/* The line goes on at its own pace, and nobody who was there a moment ago was away for years. */
static void the_clock_jumps(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL),
			 *others[2] = { rig_phone(rig, "sc9863a", "2", NULL),
					rig_phone(rig, "sc9863a", "3", NULL) };
	const long long by[] = { 2 * YEAR, -2 * YEAR };
	struct rig_package pack;
	char when[64];

	CHECK(clock_made(rig));
	put_line(
		rig, &pack,
		"[armed]\naway-time=0s\nsettle-time=0s\nunit-away-time=1h\n[history]\nkeep-days=100\nbackup-days=100\n",
		"[all]\nimage=line.pac\n");
	CHECK(up_with_clock(rig));
	CHECK(ctl(rig, 30000, "image import %s --name line.pac", pack.path) == 0);
	CHECK(line_known(rig, p) && line_known(rig, others[0]) && line_known(rig, others[1]));
	CHECK(ctl(rig, 10000, "arm --all") == 0);
	bed_phone_plug(p->bp, true);
	CHECK(line_passes(rig, p, "1"));
	line_unplugged(rig, p);
	for (int i = 0; i < 2; i++) {
		clock_set(rig, by[i]);
		bed_phone_plug(p->bp, true);
		CHECK(line_says(rig, p, "passed"));
		line_unplugged(rig, p);
		bed_phone_plug(others[i]->bp, true);
		CHECK(line_passes(rig, others[i], "1"));
		line_unplugged(rig, others[i]);
	}
	/* nothing has become old by that: all of them, with times that can be */
	CHECK(jobs_in_history(rig, "") == 5 && jobs_in_history(rig, "--result skipped") == 2);
	snprintf(when, sizeof(when), "--since @%lld", (long long)time(NULL) + YEAR);
	CHECK(jobs_in_history(rig, when) == 2);
	snprintf(when, sizeof(when), "--until @%lld", (long long)time(NULL) - YEAR);
	CHECK(jobs_in_history(rig, when) == 2);
	CHECK(ctl(rig, 20000, "history verify") == 0);
	CHECK(ctl(rig, 20000, "nv list") == 0 && !strstr(ctl_out, "No "));
	/* set back further, over a start: that proves no absence either */
	CHECK(rig_down(rig, SIGTERM, 20000) == 0);
	rig_disconnect(rig);
	clock_set(rig, -3 * YEAR);
	CHECK(up_with_clock(rig));
	CHECK(jobs_in_history(rig, "") == 5);
	bed_phone_plug(p->bp, true);
	CHECK(line_says(rig, p, "passed"));
	CHECK(ctl(rig, 10000, "arm --present %s", p->id) == 0);
	CHECK(line_passes(rig, p, "2"));
	CHECK(rig_num(rig, p->slot, SLOT, "LastUsec") < UINT64_C(600000000));
	rig_package_free(&pack);
}

/* ---- a directory that cannot be written any more ---- */

static void writable(struct rig *rig, bool yes)
{
	char line[300];

	snprintf(line, sizeof(line), "cd %s && find . -type d -exec chmod %s {} +", rig->state,
		 yes ? "u+w" : "a-w");
	CHECK(system(line) == 0);
}

/* Root without the right to go past modes. */
static const char *const bound[] = { "setpriv", "--bounding-set", "-dac_override,-dac_read_search", NULL };

static void the_directory_is_locked(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;

	put_line(rig, &pack, "[armed]\naway-time=0s\nsettle-time=0s\nunit-away-time=0s\n",
		 "[all]\nimage=line.pac\nstop-after=unlimited\n");
	CHECK(up_by(rig, bound, NULL));
	CHECK(ctl(rig, 30000, "image import %s --name line.pac", pack.path) == 0);
	CHECK(line_known(rig, p) && ctl(rig, 10000, "arm --all") == 0);
	writable(rig, false);
	bed_phone_plug(p->bp, true);
	CHECK(line_says(rig, p, "refused"));
	CHECK(strstr(rig_get(rig, p->slot, SLOT, "ArmedDetail"), "StoreFailed"));
	CHECK(conf_logged(rig, "no job for the phone there: StoreFailed"));
	CHECK(!bed_count(bed_phone_dev(p->bp))->submits);
	/* what is said now is in force, and that it is not kept is told */
	CHECK(ctl(rig, 10000, "bind %s --serial S1", p->id) == ctl_code("StoreFailed"));
	line_unplugged(rig, p);
	writable(rig, true);
	bed_phone_plug(p->bp, true);
	CHECK(line_passes(rig, p, "1"));
	CHECK(jobs_in_history(rig, "--serial S1") == 1);
	rig_package_free(&pack);
}

/* ---- rules that are wrong ---- */

static void the_rules_are_wrong(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack, pack2;
	char wrong[128];

	rig_package(rig, &pack2, "sc9863a", 7, 4096);
	CHECK(line_up(rig, &pack, "[armed]\naway-time=0s\nsettle-time=0s\nunit-away-time=0s\n",
		      "[all]\nimage=line.pac\n"));
	CHECK(ctl(rig, 30000, "image import %s --name other.pac", pack2.path) == 0);
	CHECK(line_known(rig, p) && ctl(rig, 10000, "arm --all") == 0);
	conf_put(rig, LINE_RULES, "[all]\nimage=other.pac\nimagine=this\n");
	CHECK(!conf_reload(rig));
	/* what was in force goes on, all of it */
	bed_phone_plug(p->bp, true);
	CHECK(line_passes(rig, p, "1"));
	CHECK(rig_compare(p->phone, &pack, wrong, sizeof(wrong)) >= 8 && !wrong[0]);
	line_unplugged(rig, p);
	conf_put(rig, LINE_RULES, "[all]\nimage=other.pac\n");
	CHECK(conf_reload(rig));
	bed_phone_plug(p->bp, true);
	CHECK(line_passes(rig, p, "2"));
	CHECK(rig_compare(p->phone, &pack2, wrong, sizeof(wrong)) >= 8 && !wrong[0]);
	rig_package_free(&pack);
	rig_package_free(&pack2);
}

/* ---- a database that breaks ---- */

/* Somebody puts something else in its place while a phone is being flashed. */
static void the_database_breaks(struct rig *rig)
{
	struct phone_setup setup = { .faults = "late 2s at midst 1 of boot" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL),
			 *q = rig_phone(rig, "sc9863a", "2", &setup);
	struct rig_package pack;
	char line[300], job[128];

	CHECK(line_up(rig, &pack, "[armed]\naway-time=0s\nsettle-time=0s\nunit-away-time=0s\n",
		      "[all]\nimage=line.pac\n"));
	CHECK(line_known(rig, p) && line_known(rig, q) && ctl(rig, 10000, "arm --all") == 0);
	bed_phone_plug(p->bp, true);
	CHECK(line_passes(rig, p, "1"));
	line_unplugged(rig, p);
	bed_phone_plug(q->bp, true);
	CHECK(rig_expect(rig, 20000, q->slot, SLOT, "State", "busy"));
	snprintf(job, sizeof(job), "%s", rig_get(rig, q->slot, SLOT, "Job"));
	CHECK(rig_expect(rig, 60000, job, JOB, "Entry", "boot"));
	snprintf(line, sizeof(line),
		 "cd %s && head -c 40000 /dev/urandom >x && rm -f history.db-* && mv x history.db",
		 rig->state);
	CHECK(system(line) == 0);
	CHECK(line_passes(rig, q, "1"));
	/* the next phone finds nothing in its way, and nobody is missing */
	CHECK(rig_expect(rig, 20000, ROOT, MANAGER, "HistoryState", "ready"));
	CHECK(rig_expect(rig, 20000, ROOT, MANAGER, "HistoryRebuilt", "1"));
	bed_phone_plug(p->bp, true);
	CHECK(line_passes(rig, p, "2"));
	CHECK(jobs_in_history(rig, "") == 3 && ctl(rig, 20000, "history verify") == 0);
	CHECK(conf_logged(rig, "was moved aside"));
	rig_package_free(&pack);
}

static const struct rig_test tests[] = {
	{ "the clock jumps under armed slots", the_clock_jumps },
	{ "a directory that cannot be written under an armed slot", the_directory_is_locked },
	{ "bad rules under an armed slot", the_rules_are_wrong },
	{ "a damaged database under armed slots", the_database_breaks },
};

int main(void)
{
	return rig_run(tests, sizeof(tests) / sizeof(tests[0]));
}
