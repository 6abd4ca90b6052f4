/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The clients of org.fdld1(5), run as printed there, and fdlctl: each lists, flashes, follows and cancels on
 * the real daemon. And the page names every member of the contract.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bus/rig.h"

#define REAL_PYTHON "/usr/bin/python3"

static char out[65536];

static int run(struct rig *rig, int timeout_ms, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static int run(struct rig *rig, int timeout_ms, const char *fmt, ...)
{
	char command[1024];
	va_list ap;
	int status;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	out[0] = '\0';
	status = bed_sh(rig->bed, timeout_ms, out, sizeof(out), command);
	return status != -1 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The same, and what it printed if it ended otherwise than it should. */
#define RUN(code, ...)                                      \
	do {                                                \
		int got_ = run(rig, 60000, __VA_ARGS__);    \
		if (got_ != (code))                         \
			tap_note("exit %d: %s", got_, out); \
		CHECK(got_ == (code));                      \
	} while (0)

static void use(struct rig *rig, const char *client)
{
	struct phone_setup slow = { .time_percent = 400 };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1.2", NULL);
	struct rig_phone *q = rig_phone(rig, "sc9863a", "3", &slow);
	struct rig_package pack;
	char job[64] = "";

	rig_package(rig, &pack, "sc9863a", 3, 4096);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	CHECK(rig_plug(rig, q));
	CHECK(run(rig, 10000, "%s list 2>&1", client) == 0);
	CHECK(strstr(out, p->id) || strstr(out, p->slot));
	CHECK(run(rig, 20000, "%s flash 1-1.2 %s 2>&1", client, pack.path) == 0);
	CHECK(sscanf(out, "%63s", job) == 1 && strstr(job, ROOT "/job/"));
	CHECK(run(rig, 60000, "%s follow %s 2>&1", client, job) == 0);
	CHECK(!strcmp(rig_get(rig, job, JOB, "State"), "succeeded"));
	CHECK(run(rig, 20000, "%s flash %s %s 2>&1", client, q->id, pack.path) == 0);
	CHECK(sscanf(out, "%63s", job) == 1);
	CHECK(run(rig, 10000, "%s cancel %s 2>&1", client, job) == 0);
	CHECK(run(rig, 20000, "%s follow %s 2>&1", client, job) == 1);
	CHECK(strstr(out, "Cancelled"));
	CHECK(run(rig, 10000, "%s cancel %s 2>&1", client, job) != 0);
	rig_package_free(&pack);
}

static bool extract(struct rig *rig, const char *name)
{
	return run(rig, 5000, "tests/bus/extract.sh %s > %s/%s && test -s %s/%s", name, rig->dir, name,
		   rig->dir, name) == 0;
}

static void shell(struct rig *rig)
{
	char client[128];

	CHECK(extract(rig, "client.sh"));
	snprintf(client, sizeof(client), "sh %s/client.sh", rig->dir);
	use(rig, client);
}

static void python(struct rig *rig)
{
	char client[128];

	CHECK(extract(rig, "client.py"));
	snprintf(client, sizeof(client), REAL_PYTHON " %s/client.py", rig->dir);
	use(rig, client);
}

static void in_c(struct rig *rig)
{
	char client[128];

	CHECK(extract(rig, "client.c"));
	/* the page says how */
	CHECK(run(rig, 60000, "cd %s && cc client.c $(pkg-config --cflags --libs libsystemd) -o client 2>&1",
		  rig->dir) == 0);
	snprintf(client, sizeof(client), "%s/client", rig->dir);
	use(rig, client);
}

static void page(struct rig *rig)
{
	CHECK(run(rig, 5000,
		  "sed -n 's/.*<\\(method\\|signal\\|property\\) name=\"\\([A-Za-z]*\\)\".*/\\2/p' dbus/*.xml | "
		  "sort -u | while read n; do grep -q \"^.B $n \" man/org.fdld1.5 || echo $n; done") == 0);
	if (out[0])
		tap_note("not in org.fdld1(5): %s", out);
	CHECK(!out[0]);
}

static void fdlctl(struct rig *rig)
{
	struct phone_setup slow = { .time_percent = 400 };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1.2", NULL);
	struct rig_phone *q = rig_phone(rig, "sc9863a", "3", &slow);
	struct rig_package pack;
	char ctl[256];

	snprintf(ctl, sizeof(ctl), "%s/fdlctl", rig->build);
	rig_package(rig, &pack, "sc9863a", 4, 4096);
	RUN(112, "%s list 2>&1", ctl); /* DaemonUnreachable */
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	CHECK(rig_plug(rig, q));
	RUN(0, "%s list 2>&1", ctl);
	CHECK(strstr(out, "1-1.2") && strstr(out, "1-3"));
	RUN(0, "%s info %s 2>&1", ctl, pack.path);
	RUN(0, "%s flash --dry-run %s 2>&1", ctl, pack.path);
	RUN(0, "%s flash --slot 1-1.2 %s 2>&1", ctl, pack.path);
	CHECK(strstr(out, "PASS"));
	RUN(0, "%s flash --slot 1-3 --detach %s 2>&1", ctl, pack.path);
	RUN(0, "%s cancel 2 2>&1", ctl);
	RUN(13, "%s --json attach 2 2>&1", ctl); /* Cancelled */
	RUN(0, "%s jobs 2>&1", ctl);
	CHECK(strstr(out, "Cancelled") || strstr(out, "cancelled"));
	RUN(0, "%s --json jobs 2>&1", ctl);
	RUN(6, "%s jobs 99 2>&1", ctl);				   /* NoSuchJob */
	RUN(5, "%s flash --slot nowhere %s 2>&1", ctl, pack.path); /* NoSuchSlot */
	CHECK(run(rig, 10000, "%s flash --slot 1-3 dbus/org.fdld1.conf 2>&1", ctl) >= 20);
	rig_package_free(&pack);
}

static const struct rig_test tests[] = {
	{ "org.fdld1(5): shell client", shell },
	{ "org.fdld1(5): Python client", python },
	{ "org.fdld1(5): C client", in_c },
	{ "org.fdld1(5) names every member", page },
	{ "fdlctl: list, info, flash, cancel, attach, jobs", fdlctl },
};

int main(void)
{
	return rig_run(tests, sizeof(tests) / sizeof(tests[0]));
}
