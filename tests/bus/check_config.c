/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fdld.conf on the real daemon: which files count, what a bad one does at the start and on a reload, and who
 * may ask for one. What each setting changes: check_settings, check_users.
 */
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

/* ---- which files -------------------------------------------------------------------- */

static void layers(struct rig *rig)
{
	static char keep[] = "--keep=90", limit[] = "--set=max-open=7";
	char *const more[] = { keep, limit, NULL };

	conf_put(rig, "/usr/lib/fdld/fdld.conf", "[jobs]\nwait=1min\nlevel=verified\n");
	conf_put(rig, "/usr/local/lib/fdld/fdld.conf", "[jobs]\nwait=2min\n");
	conf_put(rig, "/run/fdld.conf", "[jobs]\nwait=3min\n");
	conf_put(rig, "/usr/lib/fdld/fdld.conf.d/10-a.conf", "[jobs]\nend=stay\nnv=keep-if-any\nkeep=1h\n");
	conf_put(rig, "/usr/lib/fdld/fdld.conf.d/20-b.conf", "[images]\nmax-images=20\n");
	conf_put(rig, "/usr/local/lib/fdld/fdld.conf.d/30-c.conf", "[images]\nmax-images=30\n");
	conf_put(rig, "/run/fdld.conf.d/40-d.conf", "# until the next boot\n[service]\nlog-level=debug\n");
	CHECK(rig_up(rig, more));
	CONFIG("wait", "3min /run/fdld.conf:2");
	CONFIG("level", "acknowledged default");
	CONFIG("jobs.end", "stay /usr/lib/fdld/fdld.conf.d/10-a.conf:2");
	CONFIG("max-images", "30 /usr/local/lib/fdld/fdld.conf.d/30-c.conf:2");
	CONFIG("log-level", "debug /run/fdld.conf.d/40-d.conf:3");
	CONFIG("keep", "1min 30s command line");
	CONFIG("max-open", "7 command line");
	/* the administrator's main file, a drop-in in place of the vendor's, one that is hidden */
	conf_put(rig, ETC, "[jobs]\n\nwait = infinity\nmax-open=9\n");
	conf_put(rig, DROPIN "10-a.conf", "[jobs]\nend=power-off\n");
	CHECK(symlink("/dev/null", conf_path(rig, DROPIN "30-c.conf")) == 0);
	conf_put(rig, DROPIN "40-d.conf~", "[jobs]\nend=reset\n");
	CHECK(conf_reload(rig));
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
		      conf_path(rig, DROPIN "10-a.conf")));
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

	conf_put(rig, ETC, shipped);
	free(shipped);
	CHECK(conf_reload(rig));
	CHECK(conf_logged(rig, "read anew from 1 files: nothing has changed"));
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

	conf_put(rig, ETC, "[jobs]\nwait=1min\n");
	conf_put(rig, DROPIN "20-bad.conf", "# a\n[jobs]\nmax-runing = 3\n");
	CHECK(start_status(rig, NULL) == ctl_code("ConfigInvalid"));
	CHECK(conf_logged(rig, "20-bad.conf:3: [jobs] has no max-runing; is jobs.max-running meant?"));
	CHECK(conf_logged(rig, "fdlctl config check")); /* the remedy */
	CHECK(conf_logged(rig, "error: the configuration is refused"));
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
	conf_put(rig, DROPIN "20-bad.conf", "# a\n[jobs]\nmax-running = 3\n");
	CHECK(rig_up(rig, NULL));
	CONFIG("max-running", "3 " DROPIN "20-bad.conf:3");
}

static void bad_reload(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	const char *error;
	uint64_t at;

	conf_put(rig, ETC, "[jobs]\nwait=5min\n");
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	at = rig_num(rig, ROOT, MANAGER, "ConfigReadAt");
	CHECK(at > 0);
	CHECK(!strcmp(rig_get(rig, ROOT, MANAGER, "ConfigError"), ""));
	conf_put(rig, ETC, "[jobs]\nwait=1min\nkeep=1h\nkeep-max=none\n");
	CHECK(!conf_reload(rig) && conf_refused(rig, "ConfigInvalid"));
	CHECK(strstr(rig->text, "fdld.conf:4: keep-max is a number, not 'none'"));
	/* not a part of it */
	CONFIG("wait", "5min " ETC ":2");
	CONFIG("keep", "30min default");
	CHECK(rig_num(rig, ROOT, MANAGER, "ConfigReadAt") == at);
	/* said wherever somebody looks */
	error = rig_get(rig, ROOT, MANAGER, "ConfigError");
	CHECK(strstr(error, "fdld.conf:4: keep-max is a number"));
	CHECK(ctl(rig, 5000, "config") == 0 && conf_said("fdld.conf:4:"));
	CHECK(ctl(rig, 5000, "--json config") == 0 && ctl_json() &&
	      strstr(ctl_str(0, "error"), "fdld.conf:4:"));
	CHECK(ctl(rig, 5000, "config reload") == ctl_code("ConfigInvalid") && conf_said("fdld.conf:4:"));
	CHECK(strstr(bed_notify(rig->bed)->status, "configuration refused: ") &&
	      strstr(bed_notify(rig->bed)->status, "fdld.conf:4:"));
	CHECK(conf_logged(rig, "what was in force stays so"));
	/* what is cut in the middle of a character can still be told */
	conf_put(
		rig, ETC,
		"[jobs]\nwait=\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
		"\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\n");
	CHECK(!conf_reload(rig) && conf_refused(rig, "ConfigInvalid") && strstr(rig->text, "fdld.conf:2:"));
	CHECK(strstr(rig_get(rig, ROOT, MANAGER, "ConfigError"), "fdld.conf:2:"));
	/* and gone when it is gone */
	conf_put(rig, ETC, "[jobs]\nwait=1min\nkeep=1h\n");
	CHECK(ctl(rig, 5000, "config reload") == 0);
	CHECK(!strcmp(rig_get(rig, ROOT, MANAGER, "ConfigError"), ""));
	CHECK(rig_num(rig, ROOT, MANAGER, "ConfigReadAt") > at);
	CONFIG("wait", "1min " ETC ":2");
	CHECK(ctl(rig, 5000, "config") == 0 && !ctl_err[0]);
	CHECK(!strstr(bed_notify(rig->bed)->status, "refused"));
	CHECK(conf_logged(rig, "jobs.wait=1min (was 5min), jobs.keep=1h (was 30min)"));
	/* files that are gone are defaults */
	CHECK(unlink(conf_path(rig, ETC)) == 0);
	CHECK(conf_reload(rig));
	CONFIG("wait", "10min default");
}

static void trust(struct rig *rig)
{
	conf_put(rig, ETC, "[jobs]\nwait=5min\n");
	CHECK(rig_up(rig, NULL));
	CHECK(chmod(conf_path(rig, ETC), 0666) == 0);
	CHECK(!conf_reload(rig) && conf_refused(rig, "ConfigInvalid"));
	CHECK(strstr(rig->text, "has mode 0666: everybody can write to it"));
	CHECK(chmod(conf_path(rig, ETC), 0664) == 0);
	CHECK(!conf_reload(rig) && strstr(rig->text, "its group can write to it"));
	CHECK(chmod(conf_path(rig, ETC), 0644) == 0);
	CHECK(conf_reload(rig));
	CHECK(chmod(conf_path(rig, "/etc/fdld"), 0777) == 0);
	CHECK(!conf_reload(rig) && strstr(rig->text, "/etc/fdld: the folder has mode 0777"));
	CHECK(chmod(conf_path(rig, "/etc/fdld"), 0755) == 0);
	conf_put(rig, DROPIN "x", "");
	CHECK(mkfifo(conf_path(rig, DROPIN "50-pipe.conf"), 0600) == 0);
	CHECK(!conf_reload(rig) && strstr(rig->text, "50-pipe.conf: is no regular file"));
	CHECK(unlink(conf_path(rig, DROPIN "50-pipe.conf")) == 0);
	CHECK(symlink("nowhere", conf_path(rig, DROPIN "50-dead.conf")) == 0);
	CHECK(!conf_reload(rig) && strstr(rig->text, "50-dead.conf: cannot be opened: No such file"));
	CHECK(unlink(conf_path(rig, DROPIN "50-dead.conf")) == 0);
	CHECK(conf_reload(rig));
	CONFIG("wait", "5min " ETC ":2");
	/* only root can give a file away */
	if (chown(conf_path(rig, ETC), 65534, 65534) == 0) {
		CHECK(!conf_reload(rig) &&
		      strstr(rig->text, "belongs to uid 65534, neither to root nor to us"));
		CHECK(start_status(rig, NULL) == ctl_code("ConfigInvalid"));
	}
}

static void check_verb(struct rig *rig)
{
	char other[128];

	/* without a daemon */
	CHECK(ctl(rig, 5000, "config check --root %s", rig->conf) == 0 && strstr(ctl_out, "no file"));
	conf_put(rig, ETC, "[jobs]\nwait=5min\n");
	conf_put(rig, "/usr/lib/fdld/fdld.conf.d/10-v.conf", "[usb]\nmemory-share=50%\n");
	CHECK(ctl(rig, 5000, "config check --root %s", rig->conf) == 0);
	CHECK(strstr(ctl_out, "good ") && strstr(ctl_out, ETC) && strstr(ctl_out, "10-v.conf"));
	conf_put(rig, DROPIN "20-w.conf", "[jobs]\nwait=5\n\n[usb]\nwait=5\n");
	CHECK(ctl(rig, 5000, "config check --root %s", rig->conf) == ctl_code("ConfigInvalid"));
	CHECK(conf_said("20-w.conf:5: wait belongs into") && !ctl_out[0]);
	CHECK(ctl(rig, 5000, "--json config check --root %s", rig->conf) == ctl_code("ConfigInvalid"));
	CHECK(ctl_json() && !strcmp(ctl_str(0, "error"), "ConfigInvalid"));
	/* one file by itself, before it is put where it counts */
	CHECK(ctl(rig, 5000, "config check %s", conf_path(rig, DROPIN "20-w.conf")) ==
	      ctl_code("ConfigInvalid"));
	CHECK(ctl(rig, 5000, "config check %s daemon/fdld.conf", conf_path(rig, ETC)) == 0);
	CHECK(ctl(rig, 5000, "--json config check %s", conf_path(rig, ETC)) == 0 && ctl_json());
	snprintf(other, sizeof(other), "%s/nothing.conf", rig->dir);
	CHECK(ctl(rig, 5000, "config check %s", other) == ctl_code("ConfigInvalid") &&
	      conf_said("No such file"));
	CHECK(ctl(rig, 5000, "config check --root %s %s", rig->conf, other) == 2);
	CHECK(ctl(rig, 5000, "config --root %s", rig->conf) == 2);
	CHECK(ctl(rig, 5000, "config wait") == ctl_code("DaemonUnreachable"));
}

/* ---- reloading ---------------------------------------------------------------------- */

static bool reloaded(void *arg)
{
	return !strcmp(rig_get(arg, ROOT, MANAGER, "ConfigError"), "") && conf_logged(arg, "was read anew");
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
	conf_put(rig, ETC, "[jobs]\nkeep=2h\n");
	kill(rig->daemon, SIGHUP);
	CHECK(rig_until(rig, 5000, reloaded, rig));
	CHECK(bed_notify(rig->bed)->reloading);
	CONFIG("keep", "2h " ETC ":2");
	answers = 0;
	for (int i = 0; i < 30; i++) {
		snprintf(text, sizeof(text), "[jobs]\nkeep=%dh\n", i + 3);
		conf_put(rig, ETC, text);
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

	conf_put(rig, ETC, "[jobs]\nwait=5min\n");
	CHECK(rig_up(rig, NULL));
	snprintf(command, sizeof(command), "%s true 2>&1", as);
	if (bed_sh(rig->bed, 5000, ctl_out, sizeof(ctl_out), command) != 0)
		return;
	conf_put(rig, ETC, "[jobs]\nwait=6min\n");
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
	conf_put(rig, ETC, "[jobs]\nwait=never\n");
	CHECK(bed_sh(rig->bed, 10000, ctl_out, sizeof(ctl_out),
		     "$(sed -n 's/^ExecReload=//p' systemd/fdld.service.in) 2>&1") != 0);
	CHECK(strstr(ctl_out, "fdld.conf:2: wait is a time"));
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
};

int main(void)
{
	return rig_run(tests, sizeof(tests) / sizeof(tests[0]));
}
