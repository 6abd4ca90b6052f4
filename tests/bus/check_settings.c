/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What every setting of fdld.conf changes on the real daemon; those of one user are in check_users. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bus/conf.h"

/* ---- what each setting does --------------------------------------------------------- */

static void service_settings(struct rig *rig)
{
	struct bed_spec tagged = { .bus = 1, .ports = "2", .tag = "station" };
	struct rig_phone *plain = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_phone *other = rig_phone_at(rig, "sc9863a", &tagged, NULL);

	conf_put(rig, ETC, "[service]\nlog-level=error\nudev-tag=station\n");
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, other));
	bed_phone_plug(plain->bp, true);
	rig_sleep(rig, 200);
	CHECK(rig_num(rig, ROOT, MANAGER, "LoopStallMaxUsec") < 5000000);
	CHECK(ctl(rig, 5000, "list") == 0);
	CHECK(strstr(ctl_out, "1-2") && !strstr(ctl_out, "1-1"));
	CHECK(!conf_logged(rig, "info:") && !conf_logged(rig, "notice:"));
	/* another level at once, another tag from the next start on */
	conf_put(rig, ETC, "[service]\nlog-level=debug\n");
	CHECK(conf_reload(rig));
	CHECK(conf_logged(rig, "info: the configuration was read anew"));
	CHECK(conf_logged(rig, "service.udev-tag= (was station; from the next start on)"));
	CONFIG("log-level", "debug " ETC ":2");
	CONFIG("udev-tag", "station " ETC ":3");
	CHECK(ctl(rig, 5000, "config udev-tag") == 0 &&
	      strstr(ctl_out, "service.udev-tag is - from the next start"));
	CHECK(ctl(rig, 5000, "--json config udev-tag") == 0 && strstr(ctl_out, "\"pending\":\"\""));
	CHECK(rig_down(rig, SIGTERM, 5000) == 0);
	CHECK(rig_up(rig, NULL));
	CHECK(ctl(rig, 5000, "list") == 0 && strstr(ctl_out, "1-1"));
	CHECK(ctl(rig, 5000, "config udev-tag") == 0 && !strstr(ctl_out, "next start"));
}

static const char *error_of(struct rig *rig, const char *job)
{
	const char *name = rig_get(rig, job, JOB, "ErrorName");

	return !strncmp(name, ERR(""), strlen(ERR(""))) ? name + strlen(ERR("")) : name;
}

static void job_limits(struct rig *rig)
{
	struct phone_setup slow = { .time_percent = 60 };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &slow);
	struct rig_phone *q = rig_phone(rig, "sc9863a", "2", NULL);
	struct rig_package pack;
	const char *a, *b;
	uint64_t began;

	rig_package(rig, &pack, "sc9863a", 12, 4096);
	conf_put(rig, ETC, "[jobs]\nmax-open=2\nmax-running=1\nwait=1s\n");
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	CHECK(rig_plug(rig, q));
	a = rig_flash(rig, p->slot, pack.fd, NULL, 0);
	b = rig_flash(rig, q->slot, pack.fd, NULL, 0);
	CHECK(a && b);
	CHECK(!rig_flash(rig, q->slot, pack.fd, NULL, 0) && conf_refused(rig, "LimitsExceeded"));
	CHECK(rig_expect(rig, 3000, a, JOB, "State", "running"));
	CHECK(rig_expect(rig, 3000, b, JOB, "QueuedFor", "limit"));
	CHECK(strstr(rig_get(rig, b, PROG, "Why"), "jobs.max-running"));
	rig_sleep(rig, 1200); /* longer than jobs.wait: being kept out is no waiting for a phone */
	CHECK(!strcmp(rig_get(rig, b, JOB, "State"), "queued"));
	CHECK(bed_count(bed_phone_dev(q->bp))->opens == 0);
	CHECK(conf_set(rig, "[jobs]\nmax-running=2\n"));
	CHECK(rig_expect(rig, 3000, b, JOB, "State", "running"));
	CHECK(!strcmp(rig_get(rig, a, JOB, "State"), "running"));
	CHECK(!strcmp(rig_wait(rig, a, 60000), "") && !strcmp(rig_wait(rig, b, 60000), ""));
	/* nobody comes */
	began = bed_now();
	CHECK(rig_call(rig, 5000, NULL, ROOT, MANAGER, "FlashNext", "haoa{sv}", pack.fd, 0, 0));
	b = ROOT "/job/3";
	CHECK(!strcmp(rig_wait(rig, b, 5000), ERR("WaitExpired")));
	CHECK(bed_now() - began > 900000000 && bed_now() - began < 60000000000);
	/* nobody comes, and that may last */
	CHECK(conf_set(rig, "[jobs]\nwait=infinity\n"));
	CHECK(rig_call(rig, 5000, NULL, ROOT, MANAGER, "FlashNext", "haoa{sv}", pack.fd, 0, 0));
	b = ROOT "/job/4";
	rig_sleep(rig, 1500);
	CHECK(!strcmp(rig_get(rig, b, JOB, "State"), "waiting-for-device"));
	CHECK(rig_num(rig, b, PROG, "DeadlineUsec") == UINT64_MAX);
	rig_package_free(&pack);
}

static bool has_booted(void *phone)
{
	return phone_stage(phone) == PHONE_BOOTED;
}

static void job_defaults(struct rig *rig)
{
	static const uint8_t erased[64] = { [0 ... 63] = 0xff };
	struct phone_setup blank = { .nv = erased, .nv_length = sizeof(erased) };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL), *q = rig_phone(rig, "sc9863a", "2", NULL);
	struct rig_phone *n = rig_phone(rig, "sc9863a", "3", &blank),
			 *o = rig_phone(rig, "sc9863a", "4", &blank);
	struct rig_package pack;
	const char *job;

	rig_package(rig, &pack, "sc9863a", 13, 4096);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	CHECK(rig_plug(rig, q));
	CHECK(rig_plug(rig, n));
	CHECK(rig_plug(rig, o));
	job = rig_flash(rig, p->slot, pack.fd, NULL, 0);
	CHECK(job && !strcmp(rig_wait(rig, job, 60000), ""));
	CHECK(!strcmp(rig_dict(rig, job, JOB, "Result", "level"), "acknowledged"));
	CHECK(rig_until(rig, 5000, has_booted, p->phone));
	job = rig_flash(rig, n->slot, pack.fd, NULL, 0);
	CHECK(job && rig_wait(rig, job, 60000)[0]);
	CHECK(!strcmp(error_of(rig, job), "NvInvalid"));
	CHECK(conf_set(rig, "[jobs]\nlevel=verified\nend=stay\nnv=keep-if-any\n"));
	job = rig_flash(rig, q->slot, pack.fd, NULL, 0);
	CHECK(job && !strcmp(rig_wait(rig, job, 60000), ""));
	CHECK(!strcmp(rig_dict(rig, job, JOB, "Result", "level"), "verified"));
	/* left where it is it does not start */
	rig_sleep(rig, 1000);
	CHECK(!has_booted(q->phone));
	job = rig_flash(rig, o->slot, pack.fd, NULL, 0);
	CHECK(job && !strcmp(rig_wait(rig, job, 60000), ""));
	CHECK(!strcmp(rig_dict(rig, job, JOB, "Result", "nv"), "blank"));
	rig_package_free(&pack);
}

static unsigned int jobs_shown(struct rig *rig)
{
	unsigned int n = 0;

	if (ctl(rig, 5000, "--json jobs") != 0)
		return 999;
	for (const char *p = ctl_out; (p = strstr(p, "\"Id\":")); p++)
		n++;
	return n;
}

static bool shows(struct rig *rig, unsigned int jobs)
{
	for (int i = 0; i < rig_patience(50); i++) {
		if (jobs_shown(rig) == jobs)
			return true;
		rig_sleep(rig, 100);
	}
	return false;
}

static void keeping(struct rig *rig)
{
	struct rig_package pack;
	const char *job;
	char path[256];

	rig_package(rig, &pack, "sc9863a", 14, 4096);
	conf_put(rig, ETC, "[jobs]\nkeep-max=2\n");
	CHECK(rig_up(rig, NULL));
	for (int i = 0; i < 4; i++) {
		CHECK(rig_call(rig, 5000, NULL, ROOT, MANAGER, "FlashNext", "haoa{sv}", pack.fd, 0, 1,
			       "wait_usec", "t", UINT64_C(10000)));
		rig_sleep(rig, 30);
	}
	CHECK(shows(rig, 2));
	/* a shorter time holds for what is there already */
	CHECK(conf_set(rig, "[jobs]\nkeep=1s\n"));
	CHECK(shows(rig, 0));
	CHECK(conf_set(rig, "[jobs]\nkeep=1h\n"));
	CHECK(rig_call(rig, 5000, NULL, ROOT, MANAGER, "FlashNext", "haoa{sv}", pack.fd, 0, 1, "wait_usec",
		       "t", UINT64_C(10000)));
	rig_sleep(rig, 1500);
	CHECK(jobs_shown(rig) == 1);
	/* the folders stay */
	job = "1";
	snprintf(path, sizeof(path), "%s/job/%s/result", rig->state, job);
	CHECK(access(path, R_OK) == 0);
	rig_package_free(&pack);
}

static void memory(struct rig *rig)
{
	struct phone_setup slow = { .time_percent = 50 };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &slow),
			 *q = rig_phone(rig, "sc9863a", "2", &slow);
	struct rig_package pack;
	const char *a, *b;

	rig_package(rig, &pack, "sc9863a", 15, 4096);
	conf_put(rig, ETC, "[usb]\nmemory-share=1%\n");
	CHECK(rig_up(rig, NULL));
	CHECK(ctl(rig, 5000, "config memory-share") == 0 && strstr(ctl_out, "1%"));
	CHECK(rig_plug(rig, p));
	CHECK(rig_plug(rig, q));
	a = rig_flash(rig, p->slot, pack.fd, NULL, 0);
	b = rig_flash(rig, q->slot, pack.fd, NULL, 0);
	CHECK(a && b);
	/* one is let in although the share is less than it needs; the other one waits for it */
	CHECK(rig_expect(rig, 3000, a, JOB, "State", "running"));
	CHECK(rig_expect(rig, 3000, b, JOB, "QueuedFor", "usb-memory"));
	CHECK(conf_set(rig, "[usb]\nmemory-share=50%\n"));
	CHECK(rig_expect(rig, 3000, b, JOB, "State", "running"));
	CHECK(!strcmp(rig_wait(rig, a, 60000), "") && !strcmp(rig_wait(rig, b, 60000), ""));
	rig_package_free(&pack);
}

static void images(struct rig *rig)
{
	struct rig_package pack;

	rig_package(rig, &pack, "sc9863a", 16, 4096);
	conf_put(rig, ETC, "[images]\nmax-images=1\n");
	CHECK(rig_up(rig, NULL));
	CHECK(rig_call(rig, 10000, NULL, ROOT, MANAGER, "OpenImage", "ha{sv}", pack.fd, 0));
	CHECK(!rig_call(rig, 10000, NULL, ROOT, MANAGER, "OpenImage", "ha{sv}", pack.fd, 0));
	CHECK(conf_refused(rig, "LimitsExceeded"));
	CHECK(conf_set(rig, "[images]\nmax-images=2\n"));
	CHECK(rig_call(rig, 10000, NULL, ROOT, MANAGER, "OpenImage", "ha{sv}", pack.fd, 0));
	rig_package_free(&pack);
}

/* ---- deadlines: a disk that stands still, made by standing between the daemon and libc ------ */

static const char slow_disk[] = "#define _GNU_SOURCE\n"
				"#include <stdio.h>\n"
				"#include <sys/stat.h>\n"
				"#include <sys/syscall.h>\n"
				"#include <sys/types.h>\n"
				"#include <unistd.h>\n"
				"static int held(const char *what, long at, long len)\n"
				"{\n"
				"	long from = 0, to = -1;\n"
				"	FILE *f = fopen(what, \"r\");\n"
				"	if (!f)\n"
				"		return 0;\n"
				"	if (fscanf(f, \"%ld %ld\", &from, &to) != 2)\n"
				"		to = -1;\n"
				"	fclose(f);\n"
				"	return at < to && at + len > from;\n"
				"}\n"
				"ssize_t pread64(int fd, void *buf, size_t len, off64_t at)\n"
				"{\n"
				"	while (held(FOLDER \"/read\", at, len))\n"
				"		usleep(10000);\n"
				"	return syscall(SYS_pread64, fd, buf, len, at);\n"
				"}\n"
				"ssize_t read(int fd, void *buf, size_t len)\n"
				"{\n"
				"	struct stat st;\n"
				"	if (!fstat(fd, &st) && S_ISREG(st.st_mode))\n"
				"		while (held(FOLDER \"/files\", 0, 1))\n"
				"			usleep(10000);\n"
				"	return syscall(SYS_read, fd, buf, len);\n"
				"}\n"
				"int fsync(int fd)\n"
				"{\n"
				"	while (held(FOLDER \"/sync\", 0, 1))\n"
				"		usleep(10000);\n"
				"	return syscall(SYS_fsync, fd);\n"
				"}\n";

/* Builds it, and starts the daemon on it. */
static bool up_on_slow_disk(struct rig *rig)
{
	const char *argv[] = { NULL,	     "--state-dir",   rig->state, "--runtime-dir",
			       rig->runtime, "--config-root", rig->conf,  NULL };
	char path[128], program[256], preload[160], *env[] = { preload, NULL, NULL };
	static char asan[] = "ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0";
	FILE *f;

	snprintf(path, sizeof(path), "%s/slow.c", rig->dir);
	f = fopen(path, "w");
	if (!f || fputs(slow_disk, f) < 0 || fclose(f) != 0)
		return false;
	snprintf(program, sizeof(program),
		 "cd %s && cc -shared -fPIC -DFOLDER='\"%s\"' slow.c -o slow.so 2>&1", rig->dir, rig->dir);
	if (bed_sh(rig->bed, 30000, ctl_out, sizeof(ctl_out), program) != 0) {
		tap_note("%s", ctl_out);
		return false;
	}
	snprintf(program, sizeof(program), "%s/fdld", rig->build);
	snprintf(preload, sizeof(preload), "LD_PRELOAD=%s/slow.so", rig->dir);
	env[1] = asan;
	argv[0] = program;
	rig->daemon = bed_spawn(rig->bed, (char *const *)argv, env, rig->log);
	return bed_ready(rig->bed, 10000);
}

/* From now on reads of these bytes (or, "sync", every fsync) do not come back, until from is -1. */
static void hold(struct rig *rig, const char *what, long from, long to)
{
	char path[128], whole[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", rig->dir, what);
	snprintf(whole, sizeof(whole), "%s/new", rig->dir);
	if (from < 0) {
		(void)unlink(path);
		return;
	}
	f = fopen(whole, "w");
	if (!f || fprintf(f, "%ld %ld\n", from, to) < 0 || fclose(f) != 0 || rename(whole, path) < 0) {
		perror(path);
		exit(99);
	}
}

static bool between(uint64_t began, unsigned int least_ms, unsigned int most_ms)
{
	uint64_t ms = (bed_now() - began) / 1000000;

	if (ms < least_ms || ms > most_ms)
		tap_note("took %" PRIu64 " ms, not %u to %u", ms, least_ms, most_ms);
	return ms >= least_ms && ms <= most_ms;
}

static const char *open_image(struct rig *rig, const struct rig_package *pack)
{
	static char path[64];
	sd_bus_message *m = NULL;
	const char *p = "";

	if (!rig_call(rig, 10000, &m, ROOT, MANAGER, "OpenImage", "ha{sv}", pack->fd, 0) ||
	    sd_bus_message_read(m, "o", &p) < 0)
		return NULL;
	snprintf(path, sizeof(path), "%s", p);
	sd_bus_message_unref(m);
	return path;
}

static unsigned int answers;

static int on_answer(sd_bus_message *m, void *user, sd_bus_error *error)
{
	unsigned int *good = user;

	answers++;
	*good += !sd_bus_message_is_method_error(m, NULL);
	return 0;
}

static bool one_answered(void *arg)
{
	return answers == 1;
}

static void deadlines(struct rig *rig)
{
	unsigned int good = 0;
	struct phone_setup slow = { .time_percent = 60 };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &slow),
			 *q = rig_phone(rig, "sc9863a", "2", &slow);
	struct rig_package pack;
	const char *image, *job;
	uint64_t began;

	rig_package(rig, &pack, "sc9863a", 17, 300000);
	conf_put(rig, ETC, "[images]\nopen-timeout=1s\n");
	CHECK(up_on_slow_disk(rig));
	CHECK(rig_plug(rig, p));
	CHECK(rig_plug(rig, q));
	/* open-timeout: not a byte */
	hold(rig, "read", 0, 1L << 40);
	began = bed_now();
	CHECK(!open_image(rig, &pack) && conf_refused(rig, "PackageReadStalled") &&
	      between(began, 900, 15000));
	CHECK(strstr(rig->text, "within 1 s"));
	hold(rig, "read", -1, -1);
	/* check-timeout: the structure can be read, something in the middle cannot */
	CHECK(conf_set(rig, "[images]\ncheck-timeout=1s\n"));
	hold(rig, "read", (long)pack.size / 2, (long)pack.size / 2 + 4096);
	began = bed_now();
	image = open_image(rig, &pack);
	CHECK(image && rig_expect(rig, 6000, image, IMAGE, "State", "bad") && between(began, 900, 15000));
	CHECK(strstr(rig_dict(rig, image, IMAGE, "ErrorDetails", "message"), "PackageReadStalled"));
	hold(rig, "read", -1, -1);
	/* read-timeout: the package is good, and then the disk stands still under the job */
	CHECK(conf_set(rig, "[images]\nread-timeout=1s\n"));
	image = open_image(rig, &pack);
	CHECK(image && rig_expect(rig, 6000, image, IMAGE, "State", "good"));
	CHECK(rig_call(rig, 5000, NULL, p->slot, SLOT, "FlashImage", "oa{sv}", image, 0));
	job = ROOT "/job/1";
	CHECK(rig_expect(rig, 5000, job, JOB, "State", "running"));
	hold(rig, "read", 0, 1L << 40);
	began = bed_now();
	CHECK(!strcmp(rig_wait(rig, job, 20000), ERR("PackageReadStalled")) && between(began, 900, 20000));
	hold(rig, "read", -1, -1);
	/* the files of the configuration themselves: who asks waits, nobody else does */
	answers = 0;
	hold(rig, "files", 0, 1);
	CHECK(sd_bus_call_method_async(rig_bus(rig), NULL, "org.fdld1", ROOT, MANAGER, "Reload", on_answer,
				       &good, "a{sv}", 0) >= 0);
	began = bed_now();
	for (int i = 0; i < 20; i++)
		CONFIG("read-timeout", "1s " DROPIN "50-test.conf:2");
	CHECK(between(began, 0, 15000) && !answers);
	CHECK(rig_num(rig, ROOT, MANAGER, "LoopStallMaxUsec") < 2000000);
	hold(rig, "files", -1, -1);
	CHECK(rig_until(rig, 5000, one_answered, NULL) && good == 1);
	/* store-timeout: a record does not come back */
	CHECK(conf_set(rig, "[jobs]\nstore-timeout=1s\n"));
	CHECK(rig_call(rig, 5000, NULL, q->slot, SLOT, "FlashImage", "oa{sv}", image, 0));
	job = ROOT "/job/2";
	CHECK(rig_expect(rig, 5000, job, JOB, "State", "running"));
	hold(rig, "sync", 0, 1);
	rig_sleep(rig, 4000); /* its first record is due meanwhile */
	hold(rig, "sync", -1, -1);
	CHECK(!strcmp(rig_wait(rig, job, 20000), ERR("StoreFailed")));
	CHECK(strstr(rig_dict(rig, job, JOB, "ErrorDetails", "detail"), "has not answered for 1 s"));
	rig_package_free(&pack);
}

static const struct rig_test tests[] = {
	{ "log-level, udev-tag", service_settings },
	{ "max-open, max-running, wait", job_limits },
	{ "level, end, nv", job_defaults },
	{ "keep, keep-max", keeping },
	{ "memory-share", memory },
	{ "max-images", images },
	{ "open-, check-, read- and store-timeout", deadlines },
};

int main(void)
{
	return rig_run(tests, sizeof(tests) / sizeof(tests[0]));
}
