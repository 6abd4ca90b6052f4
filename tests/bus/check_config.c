/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fdld.conf on the real daemon: which files count, what a bad one does at the start and on a reload, who may
 * ask for one, and what every setting changes.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bus/ctl.h"
#include "tests/bus/rig.h"

#define ERR(name) "org.fdld1.Error." name
#define ETC	  "/etc/fdld/fdld.conf"
#define DROPIN	  ETC ".d/"

/* ---- files -------------------------------------------------------------------------- */

static const char *in(struct rig *rig, const char *name)
{
	static char path[4][256];
	static unsigned int next;
	char *p = path[next++ % 4];

	snprintf(p, sizeof(path[0]), "%s%s", rig->conf, name);
	return p;
}

static void folders(char *path)
{
	for (char *p = strchr(path + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = '\0';
		(void)mkdir(path, 0755);
		*p = '/';
	}
}

/* Writes a file below the root of the configuration; its folders are made. */
static void put(struct rig *rig, const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s%s", rig->conf, name);
	folders(path);
	(void)unlink(path);
	f = fopen(path, "w");
	if (!f || fputs(text, f) < 0 || fclose(f) != 0 || chmod(path, 0644) < 0) {
		perror(path);
		exit(99);
	}
}

static bool logged(struct rig *rig, const char *text)
{
	static char log[1 << 20];
	int fd = open(rig->log, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, log, sizeof(log) - 1);

	if (fd >= 0)
		close(fd);
	log[n > 0 ? n : 0] = '\0';
	return strstr(log, text) != NULL;
}

/* ---- the daemon --------------------------------------------------------------------- */

static bool reload(struct rig *rig)
{
	return rig_call(rig, 5000, NULL, ROOT, MANAGER, "Reload", "a{sv}", 0);
}

static bool is_error(struct rig *rig, const char *name)
{
	return !strncmp(rig->error, ERR(""), strlen(ERR(""))) && !strcmp(rig->error + strlen(ERR("")), name);
}

/* As fdlctl tells it: "value  where"; the root of the configuration is left out. Static. */
static const char *config(struct rig *rig, const char *key)
{
	static char text[512];
	char *at, *gap;

	if (ctl(rig, 5000, "config %s", key) != 0)
		return "fdlctl failed";
	snprintf(text, sizeof(text), "%s", ctl_out);
	text[strcspn(text, "\n")] = '\0';
	at = strstr(text, rig->conf);
	if (at)
		memmove(at, at + strlen(rig->conf), strlen(at + strlen(rig->conf)) + 1);
	gap = strstr(text, "  ");
	if (gap)
		memmove(gap, gap + 1, strlen(gap));
	return text;
}

#define CONFIG(key, want)                                                                   \
	do {                                                                                \
		const char *got_ = config(rig, key);                                        \
		if (strcmp(got_, want) != 0)                                                \
			tap_note("%s: '%s' instead of '%s'; %s", key, got_, want, ctl_err); \
		CHECK(!strcmp(got_, want));                                                 \
	} while (0)

/* What fdlctl complained of has these words in it, however it was wrapped. */
static bool said(const char *words)
{
	static char flat[16384];
	size_t n = 0;

	for (const char *p = ctl_err; *p && n + 1 < sizeof(flat); p++) {
		bool gap = *p == ' ' || *p == '\n';

		if (!gap || (n && flat[n - 1] != ' '))
			flat[n++] = gap ? ' ' : *p;
	}
	flat[n] = '\0';
	return strstr(flat, words) != NULL;
}

/* Puts the text in force as the one drop-in that there is. */
static bool set(struct rig *rig, const char *text)
{
	put(rig, DROPIN "50-test.conf", text);
	return reload(rig);
}

/* ---- which files -------------------------------------------------------------------- */

static void layers(struct rig *rig)
{
	static char keep[] = "--keep=90", limit[] = "--set=max-open=7";
	char *const more[] = { keep, limit, NULL };

	put(rig, "/usr/lib/fdld/fdld.conf", "[jobs]\nwait=1min\nlevel=verified\n");
	put(rig, "/usr/local/lib/fdld/fdld.conf", "[jobs]\nwait=2min\n");
	put(rig, "/run/fdld.conf", "[jobs]\nwait=3min\n");
	put(rig, "/usr/lib/fdld/fdld.conf.d/10-a.conf", "[jobs]\nend=stay\nnv=keep-if-any\nkeep=1h\n");
	put(rig, "/usr/lib/fdld/fdld.conf.d/20-b.conf", "[images]\nmax-images=20\n");
	put(rig, "/usr/local/lib/fdld/fdld.conf.d/30-c.conf", "[images]\nmax-images=30\n");
	put(rig, "/run/fdld.conf.d/40-d.conf", "# until the next boot\n[service]\nlog-level=debug\n");
	CHECK(rig_up(rig, more));
	CONFIG("wait", "3min /run/fdld.conf:2");
	CONFIG("level", "acknowledged default");
	CONFIG("jobs.end", "stay /usr/lib/fdld/fdld.conf.d/10-a.conf:2");
	CONFIG("max-images", "30 /usr/local/lib/fdld/fdld.conf.d/30-c.conf:2");
	CONFIG("log-level", "debug /run/fdld.conf.d/40-d.conf:3");
	CONFIG("keep", "1min 30s command line");
	CONFIG("max-open", "7 command line");
	/* the administrator's main file, a drop-in in place of the vendor's, one that is hidden */
	put(rig, ETC, "[jobs]\n\nwait = infinity\nmax-open=9\n");
	put(rig, DROPIN "10-a.conf", "[jobs]\nend=power-off\n");
	CHECK(symlink("/dev/null", in(rig, DROPIN "30-c.conf")) == 0);
	put(rig, DROPIN "40-d.conf~", "[jobs]\nend=reset\n");
	CHECK(reload(rig));
	CONFIG("wait", "infinity " ETC ":3");
	CONFIG("end", "power-off " DROPIN "10-a.conf:2");
	CONFIG("nv", "keep default");
	CONFIG("max-images", "20 /usr/lib/fdld/fdld.conf.d/20-b.conf:2");
	CONFIG("max-open", "7 command line");
	/* the same for programs */
	CHECK(ctl(rig, 5000, "--json config") == 0 && ctl_json());
	json_object *all = ctl_line(0), *files = NULL, *settings = NULL;

	CHECK(json_object_object_get_ex(all, "files", &files) && json_object_array_length(files) == 4);
	CHECK(!strcmp(json_object_get_string(json_object_array_get_idx(files, 1)),
		      in(rig, DROPIN "10-a.conf")));
	CHECK(json_object_object_get_ex(all, "settings", &settings) &&
	      json_object_array_length(settings) >= 15);
	json_object_put(all);
	CHECK(ctl(rig, 5000, "--json config wait") == 0 && ctl_json());
	CHECK(!strcmp(ctl_str(0, "name"), "jobs.wait") && !strcmp(ctl_str(0, "from"), "file"));
	CHECK(!strcmp(ctl_str(0, "value"), "18446744073709551615") &&
	      !strcmp(ctl_str(0, "default"), "10min"));
	CHECK(ctl(rig, 5000, "config colour") == 2);
	CHECK(ctl(rig, 5000, "config wait now") == 2);
}

static void defaults(struct rig *rig)
{
	CHECK(rig_up(rig, NULL));
	CHECK(ctl(rig, 5000, "config") == 0);
	CHECK(strstr(ctl_out, "jobs.wait") && strstr(ctl_out, "10min") && !strstr(ctl_out, ":"));
	CHECK(!ctl_err[0]);
	/* the file that is installed changes nothing */
	CHECK(bed_sh(rig->bed, 5000, ctl_out, sizeof(ctl_out), "cat daemon/fdld.conf") == 0);
	char *shipped = strdup(ctl_out);

	put(rig, ETC, shipped);
	free(shipped);
	CHECK(reload(rig));
	CHECK(logged(rig, "read anew from 1 files: nothing has changed"));
	CHECK(ctl(rig, 5000, "config") == 0);
	CHECK(!strstr(ctl_out, "fdld.conf"));
}

/* ---- bad files ---------------------------------------------------------------------- */

/* Its end, with at most one more argument. */
static int start_status(struct rig *rig, const char *more)
{
	const char *argv[] = { NULL,	     "--state-dir",   rig->state, "--runtime-dir",
			       rig->runtime, "--config-root", rig->conf,  more,
			       NULL };
	char program[256];
	int status;

	snprintf(program, sizeof(program), "%s/fdld", rig->build);
	argv[0] = program;
	status = bed_wait(rig->bed, bed_spawn(rig->bed, (char *const *)argv, NULL, rig->log), 5000);
	return status != -1 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void bad_start(struct rig *rig)
{
	static const char *const usage[] = { "--keep=-5",	"--keep=soon",	    "--keep=0",
					     "--set=jobs.wait", "--set=colour=red", "--set=wait=0",
					     "--udev-tag=a b" };
	const struct bed_notify *told;

	put(rig, ETC, "[jobs]\nwait=1min\n");
	put(rig, DROPIN "20-bad.conf", "# a\n[jobs]\nmax-runing = 3\n");
	CHECK(start_status(rig, NULL) == ctl_code("ConfigInvalid"));
	CHECK(logged(rig, "20-bad.conf:3: [jobs] has no max-runing; is jobs.max-running meant?"));
	CHECK(logged(rig, "fdlctl config check")); /* the remedy */
	CHECK(logged(rig, "error: the configuration is refused"));
	told = bed_notify(rig->bed);
	CHECK(!told->ready && strstr(told->status, "ConfigInvalid"));
	/* nothing was begun: the state directory is as it was */
	CHECK(bed_sh(rig->bed, 5000, ctl_out, sizeof(ctl_out), "true") == 0);
	CHECK(access(rig->state, F_OK) == 0 && rmdir(rig->state) == 0 && mkdir(rig->state, 0700) == 0);
	for (size_t i = 0; i < sizeof(usage) / sizeof(usage[0]); i++) {
		if (start_status(rig, usage[i]) != 2)
			tap_note("%s", usage[i]);
		CHECK(start_status(rig, usage[i]) == 2);
	}
	put(rig, DROPIN "20-bad.conf", "# a\n[jobs]\nmax-running = 3\n");
	CHECK(rig_up(rig, NULL));
	CONFIG("max-running", "3 " DROPIN "20-bad.conf:3");
}

static void bad_reload(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	const char *error;
	uint64_t at;

	put(rig, ETC, "[jobs]\nwait=5min\n");
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	at = rig_num(rig, ROOT, MANAGER, "ConfigReadAt");
	CHECK(at > 0);
	CHECK(!strcmp(rig_get(rig, ROOT, MANAGER, "ConfigError"), ""));
	put(rig, ETC, "[jobs]\nwait=1min\nkeep=1h\nkeep-max=none\n");
	CHECK(!reload(rig) && is_error(rig, "ConfigInvalid"));
	CHECK(strstr(rig->text, "fdld.conf:4: keep-max is a number, not 'none'"));
	/* not a part of it */
	CONFIG("wait", "5min " ETC ":2");
	CONFIG("keep", "30min default");
	CHECK(rig_num(rig, ROOT, MANAGER, "ConfigReadAt") == at);
	/* said wherever somebody looks */
	error = rig_get(rig, ROOT, MANAGER, "ConfigError");
	CHECK(strstr(error, "fdld.conf:4: keep-max is a number"));
	CHECK(ctl(rig, 5000, "config") == 0 && said("fdld.conf:4:"));
	CHECK(ctl(rig, 5000, "--json config") == 0 && ctl_json() &&
	      strstr(ctl_str(0, "error"), "fdld.conf:4:"));
	CHECK(ctl(rig, 5000, "config reload") == ctl_code("ConfigInvalid") && said("fdld.conf:4:"));
	CHECK(strstr(bed_notify(rig->bed)->status, "configuration refused: ") &&
	      strstr(bed_notify(rig->bed)->status, "fdld.conf:4:"));
	CHECK(logged(rig, "what was in force stays so"));
	/* what is cut in the middle of a character can still be told */
	put(rig, ETC,
	    "[jobs]\nwait=\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
	    "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\n");
	CHECK(!reload(rig) && is_error(rig, "ConfigInvalid") && strstr(rig->text, "fdld.conf:2:"));
	CHECK(strstr(rig_get(rig, ROOT, MANAGER, "ConfigError"), "fdld.conf:2:"));
	/* and gone when it is gone */
	put(rig, ETC, "[jobs]\nwait=1min\nkeep=1h\n");
	CHECK(ctl(rig, 5000, "config reload") == 0);
	CHECK(!strcmp(rig_get(rig, ROOT, MANAGER, "ConfigError"), ""));
	CHECK(rig_num(rig, ROOT, MANAGER, "ConfigReadAt") > at);
	CONFIG("wait", "1min " ETC ":2");
	CHECK(ctl(rig, 5000, "config") == 0 && !ctl_err[0]);
	CHECK(!strstr(bed_notify(rig->bed)->status, "refused"));
	CHECK(logged(rig, "jobs.wait=1min (was 5min), jobs.keep=1h (was 30min)"));
	/* files that are gone are defaults */
	CHECK(unlink(in(rig, ETC)) == 0);
	CHECK(reload(rig));
	CONFIG("wait", "10min default");
}

static void trust(struct rig *rig)
{
	put(rig, ETC, "[jobs]\nwait=5min\n");
	CHECK(rig_up(rig, NULL));
	CHECK(chmod(in(rig, ETC), 0666) == 0);
	CHECK(!reload(rig) && is_error(rig, "ConfigInvalid"));
	CHECK(strstr(rig->text, "has mode 0666: everybody can write to it"));
	CHECK(chmod(in(rig, ETC), 0664) == 0);
	CHECK(!reload(rig) && strstr(rig->text, "its group can write to it"));
	CHECK(chmod(in(rig, ETC), 0644) == 0);
	CHECK(reload(rig));
	CHECK(chmod(in(rig, "/etc/fdld"), 0777) == 0);
	CHECK(!reload(rig) && strstr(rig->text, "/etc/fdld: the folder has mode 0777"));
	CHECK(chmod(in(rig, "/etc/fdld"), 0755) == 0);
	put(rig, DROPIN "x", "");
	CHECK(mkfifo(in(rig, DROPIN "50-pipe.conf"), 0600) == 0);
	CHECK(!reload(rig) && strstr(rig->text, "50-pipe.conf: is no regular file"));
	CHECK(unlink(in(rig, DROPIN "50-pipe.conf")) == 0);
	CHECK(symlink("nowhere", in(rig, DROPIN "50-dead.conf")) == 0);
	CHECK(!reload(rig) && strstr(rig->text, "50-dead.conf: cannot be opened: No such file"));
	CHECK(unlink(in(rig, DROPIN "50-dead.conf")) == 0);
	CHECK(reload(rig));
	CONFIG("wait", "5min " ETC ":2");
	/* only root can give a file away */
	if (chown(in(rig, ETC), 65534, 65534) == 0) {
		CHECK(!reload(rig) && strstr(rig->text, "belongs to uid 65534, neither to root nor to us"));
		CHECK(start_status(rig, NULL) == ctl_code("ConfigInvalid"));
	}
}

static void check_verb(struct rig *rig)
{
	char other[128];

	/* without a daemon */
	CHECK(ctl(rig, 5000, "config check --root %s", rig->conf) == 0 && strstr(ctl_out, "no file"));
	put(rig, ETC, "[jobs]\nwait=5min\n");
	put(rig, "/usr/lib/fdld/fdld.conf.d/10-v.conf", "[usb]\nmemory-share=50%\n");
	CHECK(ctl(rig, 5000, "config check --root %s", rig->conf) == 0);
	CHECK(strstr(ctl_out, "good ") && strstr(ctl_out, ETC) && strstr(ctl_out, "10-v.conf"));
	put(rig, DROPIN "20-w.conf", "[jobs]\nwait=5\n\n[usb]\nwait=5\n");
	CHECK(ctl(rig, 5000, "config check --root %s", rig->conf) == ctl_code("ConfigInvalid"));
	CHECK(said("20-w.conf:5: wait belongs into") && !ctl_out[0]);
	CHECK(ctl(rig, 5000, "--json config check --root %s", rig->conf) == ctl_code("ConfigInvalid"));
	CHECK(ctl_json() && !strcmp(ctl_str(0, "error"), "ConfigInvalid"));
	/* one file by itself, before it is put where it counts */
	CHECK(ctl(rig, 5000, "config check %s", in(rig, DROPIN "20-w.conf")) == ctl_code("ConfigInvalid"));
	CHECK(ctl(rig, 5000, "config check %s daemon/fdld.conf", in(rig, ETC)) == 0);
	CHECK(ctl(rig, 5000, "--json config check %s", in(rig, ETC)) == 0 && ctl_json());
	snprintf(other, sizeof(other), "%s/nothing.conf", rig->dir);
	CHECK(ctl(rig, 5000, "config check %s", other) == ctl_code("ConfigInvalid") && said("No such file"));
	CHECK(ctl(rig, 5000, "config check --root %s %s", rig->conf, other) == 2);
	CHECK(ctl(rig, 5000, "config --root %s", rig->conf) == 2);
	CHECK(ctl(rig, 5000, "config wait") == ctl_code("DaemonUnreachable"));
}

/* ---- reloading ---------------------------------------------------------------------- */

static bool reloaded(void *arg)
{
	return !strcmp(rig_get(arg, ROOT, MANAGER, "ConfigError"), "") && logged(arg, "was read anew");
}

static unsigned int answers;

static int on_answer(sd_bus_message *m, void *user, sd_bus_error *error)
{
	unsigned int *good = user;

	answers++;
	*good += !sd_bus_message_is_method_error(m, NULL);
	return 0;
}

static bool all_answered(void *arg)
{
	return answers == 30;
}

/* A job that runs does not notice; every one who asks is answered, with the files as they are by then. */
static void while_flashing(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;
	unsigned int good = 0;
	const char *job;
	char wrong[128], text[64];

	rig_package(rig, &pack, "sc9863a", 11, 40000);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	job = rig_flash(rig, p->slot, pack.fd, NULL, 0);
	CHECK(job);
	/* by signal: the service manager is told of the beginning and of the end */
	put(rig, ETC, "[jobs]\nkeep=2h\n");
	kill(rig->daemon, SIGHUP);
	CHECK(rig_until(rig, 5000, reloaded, rig));
	CHECK(bed_notify(rig->bed)->reloading);
	CONFIG("keep", "2h " ETC ":2");
	answers = 0;
	for (int i = 0; i < 30; i++) {
		snprintf(text, sizeof(text), "[jobs]\nkeep=%dh\n", i + 3);
		put(rig, ETC, text);
		kill(rig->daemon, SIGHUP);
		CHECK(sd_bus_call_method_async(rig_bus(rig), NULL, "org.fdld1", ROOT, MANAGER, "Reload",
					       on_answer, &good, "a{sv}", 0) >= 0);
	}
	CHECK(rig_until(rig, 10000, all_answered, NULL));
	CHECK(good == 30);
	CONFIG("keep", "1d 8h " ETC ":2"); /* 32 h */
	CHECK(!strcmp(rig_wait(rig, job, 60000), ""));
	CHECK(rig_compare(p->phone, &pack, wrong, sizeof(wrong)) > 5 && !wrong[0]);
	/* one that asks and leaves takes nothing with it */
	CHECK(sd_bus_call_method_async(rig_bus(rig), NULL, "org.fdld1", ROOT, MANAGER, "Reload", on_answer,
				       &good, "a{sv}", 0) >= 0);
	(void)sd_bus_flush(rig_bus(rig));
	rig_disconnect(rig);
	rig_sleep(rig, 100);
	CONFIG("keep", "1d 8h " ETC ":2");
	rig_package_free(&pack);
}

/* Only where there is a second user: as real root. */
static void stranger(struct rig *rig)
{
	const char *as = "setpriv --reuid=65534 --regid=65534 --clear-groups ";
	char command[512];

	put(rig, ETC, "[jobs]\nwait=5min\n");
	CHECK(rig_up(rig, NULL));
	snprintf(command, sizeof(command), "%s true 2>&1", as);
	if (bed_sh(rig->bed, 5000, ctl_out, sizeof(ctl_out), command) != 0)
		return;
	put(rig, ETC, "[jobs]\nwait=6min\n");
	snprintf(command, sizeof(command),
		 "%s busctl --system call org.fdld1 " ROOT " " MANAGER " Reload 'a{sv}' 0 2>&1", as);
	CHECK(bed_sh(rig->bed, 10000, ctl_out, sizeof(ctl_out), command) != 0);
	CONFIG("wait", "5min " ETC ":2");
	snprintf(command, sizeof(command),
		 "%s busctl --system call org.fdld1 " ROOT " " MANAGER " GetSettings 2>&1", as);
	CHECK(bed_sh(rig->bed, 10000, ctl_out, sizeof(ctl_out), command) == 0 &&
	      strstr(ctl_out, "jobs.wait"));
	/* what the unit's ExecReload does, as our own user */
	CHECK(bed_sh(rig->bed, 10000, ctl_out, sizeof(ctl_out),
		     "$(sed -n 's/^ExecReload=//p' systemd/fdld.service.in) 2>&1") == 0);
	CONFIG("wait", "6min " ETC ":2");
	put(rig, ETC, "[jobs]\nwait=never\n");
	CHECK(bed_sh(rig->bed, 10000, ctl_out, sizeof(ctl_out),
		     "$(sed -n 's/^ExecReload=//p' systemd/fdld.service.in) 2>&1") != 0);
	CHECK(strstr(ctl_out, "fdld.conf:2: wait is a time"));
}

/* ---- what each setting does --------------------------------------------------------- */

static void service_settings(struct rig *rig)
{
	struct bed_spec tagged = { .bus = 1, .ports = "2", .tag = "station" };
	struct rig_phone *plain = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_phone *other = rig_phone_at(rig, "sc9863a", &tagged, NULL);

	put(rig, ETC, "[service]\nlog-level=error\nudev-tag=station\n");
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, other));
	bed_phone_plug(plain->bp, true);
	rig_sleep(rig, 200);
	CHECK(rig_num(rig, ROOT, MANAGER, "LoopStallMaxUsec") < 1000000);
	CHECK(ctl(rig, 5000, "list") == 0);
	CHECK(strstr(ctl_out, "1-2") && !strstr(ctl_out, "1-1"));
	CHECK(!logged(rig, "info:") && !logged(rig, "notice:"));
	/* another level at once, another tag from the next start on */
	put(rig, ETC, "[service]\nlog-level=debug\n");
	CHECK(reload(rig));
	CHECK(logged(rig, "info: the configuration was read anew"));
	CHECK(logged(rig, "service.udev-tag= (was station; from the next start on)"));
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
	put(rig, ETC, "[jobs]\nmax-open=2\nmax-running=1\nwait=1s\n");
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	CHECK(rig_plug(rig, q));
	a = rig_flash(rig, p->slot, pack.fd, NULL, 0);
	b = rig_flash(rig, q->slot, pack.fd, NULL, 0);
	CHECK(a && b);
	CHECK(!rig_flash(rig, q->slot, pack.fd, NULL, 0) && is_error(rig, "LimitsExceeded"));
	CHECK(rig_expect(rig, 3000, a, JOB, "State", "running"));
	CHECK(rig_expect(rig, 3000, b, JOB, "QueuedFor", "limit"));
	CHECK(strstr(rig_get(rig, b, PROG, "Why"), "jobs.max-running"));
	rig_sleep(rig, 1200); /* longer than jobs.wait: being kept out is no waiting for a phone */
	CHECK(!strcmp(rig_get(rig, b, JOB, "State"), "queued"));
	CHECK(bed_count(bed_phone_dev(q->bp))->opens == 0);
	CHECK(set(rig, "[jobs]\nmax-running=2\n"));
	CHECK(rig_expect(rig, 3000, b, JOB, "State", "running"));
	CHECK(!strcmp(rig_get(rig, a, JOB, "State"), "running"));
	CHECK(!strcmp(rig_wait(rig, a, 60000), "") && !strcmp(rig_wait(rig, b, 60000), ""));
	/* nobody comes */
	began = bed_now();
	CHECK(rig_call(rig, 5000, NULL, ROOT, MANAGER, "FlashNext", "haoa{sv}", pack.fd, 0, 0));
	b = ROOT "/job/3";
	CHECK(!strcmp(rig_wait(rig, b, 5000), ERR("WaitExpired")));
	CHECK(bed_now() - began > 900000000 && bed_now() - began < 3000000000);
	/* nobody comes, and that may last */
	CHECK(set(rig, "[jobs]\nwait=infinity\n"));
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
	CHECK(set(rig, "[jobs]\nlevel=verified\nend=stay\nnv=keep-if-any\n"));
	job = rig_flash(rig, q->slot, pack.fd, NULL, 0);
	CHECK(job && !strcmp(rig_wait(rig, job, 60000), ""));
	CHECK(!strcmp(rig_dict(rig, job, JOB, "Result", "level"), "verified"));
	/* left where it is it does not start */
	CHECK(!rig_until(rig, 1000, has_booted, q->phone));
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

static void keeping(struct rig *rig)
{
	struct rig_package pack;
	const char *job;
	char path[256];

	rig_package(rig, &pack, "sc9863a", 14, 4096);
	put(rig, ETC, "[jobs]\nkeep-max=2\n");
	CHECK(rig_up(rig, NULL));
	for (int i = 0; i < 4; i++) {
		CHECK(rig_call(rig, 5000, NULL, ROOT, MANAGER, "FlashNext", "haoa{sv}", pack.fd, 0, 1,
			       "wait_usec", "t", UINT64_C(10000)));
		rig_sleep(rig, 30);
	}
	rig_sleep(rig, 200);
	CHECK(jobs_shown(rig) == 2);
	/* a shorter time holds for what is there already */
	CHECK(set(rig, "[jobs]\nkeep=1s\n"));
	rig_sleep(rig, 1300);
	CHECK(jobs_shown(rig) == 0);
	CHECK(set(rig, "[jobs]\nkeep=1h\n"));
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
	put(rig, ETC, "[usb]\nmemory-share=1%\n");
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
	CHECK(set(rig, "[usb]\nmemory-share=50%\n"));
	CHECK(rig_expect(rig, 3000, b, JOB, "State", "running"));
	CHECK(!strcmp(rig_wait(rig, a, 60000), "") && !strcmp(rig_wait(rig, b, 60000), ""));
	rig_package_free(&pack);
}

static void images(struct rig *rig)
{
	struct rig_package pack;

	rig_package(rig, &pack, "sc9863a", 16, 4096);
	put(rig, ETC, "[images]\nmax-images=1\n");
	CHECK(rig_up(rig, NULL));
	CHECK(rig_call(rig, 10000, NULL, ROOT, MANAGER, "OpenImage", "ha{sv}", pack.fd, 0));
	CHECK(!rig_call(rig, 10000, NULL, ROOT, MANAGER, "OpenImage", "ha{sv}", pack.fd, 0));
	CHECK(is_error(rig, "LimitsExceeded"));
	CHECK(set(rig, "[images]\nmax-images=2\n"));
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
	put(rig, ETC, "[images]\nopen-timeout=1s\n");
	CHECK(up_on_slow_disk(rig));
	CHECK(rig_plug(rig, p));
	CHECK(rig_plug(rig, q));
	/* open-timeout: not a byte */
	hold(rig, "read", 0, 1L << 40);
	began = bed_now();
	CHECK(!open_image(rig, &pack) && is_error(rig, "PackageReadStalled") && between(began, 900, 4000));
	CHECK(strstr(rig->text, "within 1 s"));
	hold(rig, "read", -1, -1);
	/* check-timeout: the structure can be read, something in the middle cannot */
	CHECK(set(rig, "[images]\ncheck-timeout=1s\n"));
	hold(rig, "read", (long)pack.size / 2, (long)pack.size / 2 + 4096);
	began = bed_now();
	image = open_image(rig, &pack);
	CHECK(image && rig_expect(rig, 6000, image, IMAGE, "State", "bad") && between(began, 900, 4000));
	CHECK(strstr(rig_dict(rig, image, IMAGE, "ErrorDetails", "message"), "PackageReadStalled"));
	hold(rig, "read", -1, -1);
	/* read-timeout: the package is good, and then the disk stands still under the job */
	CHECK(set(rig, "[images]\nread-timeout=1s\n"));
	image = open_image(rig, &pack);
	CHECK(image && rig_expect(rig, 6000, image, IMAGE, "State", "good"));
	CHECK(rig_call(rig, 5000, NULL, p->slot, SLOT, "FlashImage", "oa{sv}", image, 0));
	job = ROOT "/job/1";
	CHECK(rig_expect(rig, 5000, job, JOB, "State", "running"));
	hold(rig, "read", 0, 1L << 40);
	began = bed_now();
	CHECK(!strcmp(rig_wait(rig, job, 20000), ERR("PackageReadStalled")) && between(began, 900, 9000));
	hold(rig, "read", -1, -1);
	/* the files of the configuration themselves: who asks waits, nobody else does */
	answers = 0;
	hold(rig, "files", 0, 1);
	CHECK(sd_bus_call_method_async(rig_bus(rig), NULL, "org.fdld1", ROOT, MANAGER, "Reload", on_answer,
				       &good, "a{sv}", 0) >= 0);
	began = bed_now();
	for (int i = 0; i < 20; i++)
		CONFIG("read-timeout", "1s " DROPIN "50-test.conf:2");
	CHECK(between(began, 0, 5000) && !answers);
	CHECK(rig_num(rig, ROOT, MANAGER, "LoopStallMaxUsec") < 500000);
	hold(rig, "files", -1, -1);
	CHECK(rig_until(rig, 5000, one_answered, NULL) && good == 1);
	/* store-timeout: a record does not come back */
	CHECK(set(rig, "[jobs]\nstore-timeout=1s\n"));
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
	{ "which files count, and where each value was said", layers },
	{ "no file, and the file that is installed: the defaults", defaults },
	{ "a bad file at the start: named, and nothing is begun", bad_start },
	{ "a bad file on a reload: what was in force stays", bad_reload },
	{ "files that others can write to are refused", trust },
	{ "fdlctl config check, without a daemon", check_verb },
	{ "SIGHUP and Reload while a phone is flashed", while_flashing },
	{ "a stranger reads and does not reload; ExecReload does", stranger },
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
