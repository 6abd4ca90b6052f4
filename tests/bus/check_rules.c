/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Rule files on the real daemon: which count, what a bad one does at the start and on a reload, whose they
 * may be, which rule a phone gets and why, and fdlctl's words for it. That they begin jobs by themselves is
 * elsewhere.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bus/conf.h"

#define RULES "/etc/fdld/rules.d/"

/* fdlctl's words, however they were wrapped. */
static bool told(const char *words)
{
	static char flat[32768];
	size_t n = 0;

	for (const char *p = ctl_out; *p && n + 1 < sizeof(flat); p++) {
		bool gap = *p == ' ' || *p == '\n' || *p == '\t';

		if (!gap || (n && flat[n - 1] != ' '))
			flat[n++] = gap ? ' ' : *p;
	}
	flat[n] = '\0';
	if (!strstr(flat, words))
		tap_note("no '%s' in: %s", words, flat);
	return strstr(flat, words) != NULL;
}

/* The names of the rules in force, as fdlctl tells a program: "a b c". */
static const char *in_force(struct rig *rig)
{
	static char names[512];
	json_object *all, *rules = NULL;

	*names = '\0';
	if (ctl(rig, 5000, "--json rules") != 0 || !ctl_json())
		return "fdlctl failed";
	all = ctl_line(0);
	json_object_object_get_ex(all, "rules", &rules);
	for (size_t i = 0; rules && i < json_object_array_length(rules); i++) {
		json_object *name = NULL;

		json_object_object_get_ex(json_object_array_get_idx(rules, i), "name", &name);
		snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s", i ? " " : "",
			 json_object_get_string(name));
	}
	json_object_put(all);
	return names;
}

#define IN_FORCE(want)                                                             \
	do {                                                                       \
		const char *got_ = in_force(rig);                                  \
		if (strcmp(got_, want) != 0)                                       \
			tap_note("'%s' instead of '%s'; %s", got_, want, ctl_err); \
		CHECK(!strcmp(got_, want));                                        \
	} while (0)

/* "rule/fit of the first rule/fit of the second ..." for a place, as the bus tells it. */
static const char *explained(struct rig *rig, const char *slot, const char *key, const char *value)
{
	static char text[512];
	sd_bus_message *reply = NULL;
	const char *entry, *what;
	bool good = key ? rig_call(rig, 5000, &reply, ROOT, MANAGER, "ExplainRules", "sa{sv}", slot, 1, key,
				   "s", value)
			: rig_call(rig, 5000, &reply, ROOT, MANAGER, "ExplainRules", "sa{sv}", slot, 0);

	if (!good)
		return rig->error;
	*text = '\0';
	/* a{sv}, then aa{sv}: of the first "rule", of the others "fit" */
	for (int list = 0; list < 2; list++) {
		if (list && sd_bus_message_enter_container(reply, 'a', "a{sv}") < 0)
			break;
		while (sd_bus_message_enter_container(reply, 'a', "{sv}") > 0) {
			while (sd_bus_message_enter_container(reply, 'e', "sv") > 0) {
				what = NULL;
				sd_bus_message_read_basic(reply, 's', &entry);
				if (!strcmp(entry, list ? "fit" : "rule"))
					sd_bus_message_read(reply, "v", "s", &what);
				else
					sd_bus_message_skip(reply, "v");
				if (what)
					snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s",
						 list ? "/" : "", what);
				sd_bus_message_exit_container(reply);
			}
			sd_bus_message_exit_container(reply);
			if (!list)
				break;
		}
	}
	sd_bus_message_unref(reply);
	return text;
}

#define EXPLAINED(slot, key, value, want)                             \
	do {                                                          \
		const char *got_ = explained(rig, slot, key, value);  \
		if (strcmp(got_, want) != 0)                          \
			tap_note("'%s' instead of '%s'", got_, want); \
		CHECK(!strcmp(got_, want));                           \
	} while (0)

/* ---- which files -------------------------------------------------------------------- */

static void layers(struct rig *rig)
{
	conf_put(rig, "/usr/lib/fdld/rules.d/50-v.conf", "[vendor]\nimage=v\n");
	conf_put(rig, "/usr/local/lib/fdld/rules.d/40-l.conf", "[local]\nimage=l\n");
	conf_put(rig, "/run/fdld.rules.d/60-r.conf", "[now]\nimage=r\n");
	CHECK(rig_up(rig, NULL));
	IN_FORCE("local vendor now");
	CHECK(ctl(rig, 5000, "rules") == 0 && told("[vendor]") && told("50-v.conf:1") &&
	      told("every phone") && told("image=v"));
	/* the administrator's in place of the vendor's, one that is hidden, one more */
	conf_put(rig, RULES "50-v.conf", "[ours]\nlabel=A*, !A7\nimage=v\nlevel=sampled\n");
	CHECK(symlink("/dev/null", conf_path(rig, RULES "60-r.conf")) == 0);
	conf_put(rig, RULES "70-x.conf", "# two\n[x]\naction=nothing\n[y]\nimage=y\n");
	IN_FORCE("local vendor now"); /* until somebody says so */
	CHECK(conf_reload(rig));
	IN_FORCE("local ours x y");
	CHECK(conf_logged(rig, "rules: 4 (was 3)"));
	CHECK(ctl(rig, 5000, "rules list") == 0 && told("label=A*, !A7") && told("image=v; level=sampled") &&
	      told("70-x.conf:4"));
	/* the file that is installed has none */
	CHECK(bed_sh(rig->bed, 5000, ctl_out, sizeof(ctl_out), "cat daemon/rules.conf") == 0);
	char *shipped = strdup(ctl_out);

	conf_put(rig, RULES "70-x.conf", shipped);
	free(shipped);
	CHECK(conf_reload(rig));
	IN_FORCE("local ours");
}

static void none(struct rig *rig)
{
	CHECK(rig_up(rig, NULL));
	IN_FORCE("");
	CHECK(ctl(rig, 5000, "rules") == 0 && told("There are no rules: nothing begins by itself"));
	CHECK(ctl(rig, 5000, "rules look") == 2);
	CHECK(ctl(rig, 5000, "rules list now") == 2);
	CHECK(ctl(rig, 5000, "rules --unit 00") == 2);
	CHECK(ctl(rig, 5000, "rules check") == 0 && told("There is no slot yet"));
	CHECK(ctl(rig, 5000, "rules check nowhere") == ctl_code("NoSuchSlot"));
}

/* ---- bad files ---------------------------------------------------------------------- */

static int start_status(struct rig *rig)
{
	const char *argv[] = { NULL,	     "--state-dir",   rig->state, "--runtime-dir",
			       rig->runtime, "--config-root", rig->conf,  NULL };
	char program[256];
	int status;

	snprintf(program, sizeof(program), "%s/fdld", rig->build);
	argv[0] = program;
	status = bed_wait(rig->bed, bed_spawn(rig->bed, (char *const *)argv, NULL, rig->log), 10000);
	return status != -1 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void bad_start(struct rig *rig)
{
	conf_put(rig, RULES "10-a.conf", "[a]\nimage=x\n");
	conf_put(rig, RULES "20-b.conf", "[b]\nimage=x\n\nlable=A*\n");
	CHECK(start_status(rig) == ctl_code("ConfigInvalid"));
	CHECK(conf_logged(rig, "20-b.conf:4: a rule has no lable; is label meant?"));
	conf_put(rig, RULES "20-b.conf", "[b]\nimage=x\n\nlabel=A*\n");
	CHECK(rig_up(rig, NULL));
	IN_FORCE("a b");
}

static void bad_reload(struct rig *rig)
{
	conf_put(rig, RULES "10-a.conf", "[a]\nimage=x\n");
	CHECK(rig_up(rig, NULL));
	/* settings and rules: both, or nothing of them */
	conf_put(rig, ETC, "[jobs]\nwait=1min\n");
	conf_put(rig, RULES "10-a.conf", "[a]\nimage=x\n[b]\nimage=y\nnv=package\n");
	CHECK(!conf_reload(rig) && conf_refused(rig, "ConfigInvalid"));
	CHECK(strstr(rig->text, "10-a.conf:5: nv is one of keep, keep-if-any, not 'package'"));
	IN_FORCE("a");
	CONFIG("wait", "10min default");
	CHECK(ctl(rig, 5000, "rules") == 0 && conf_said("stays in force until a reload succeeds") &&
	      conf_said("10-a.conf:5:"));
	CHECK(strstr(rig_get(rig, ROOT, MANAGER, "ConfigError"), "10-a.conf:5:"));
	conf_put(rig, ETC, "[jobs]\nwait=never\n");
	conf_put(rig, RULES "10-a.conf", "[c]\nimage=x\n");
	CHECK(!conf_reload(rig) && strstr(rig->text, "fdld.conf:2:"));
	IN_FORCE("a");
	conf_put(rig, ETC, "[jobs]\nwait=1min\n");
	CHECK(ctl(rig, 5000, "config reload") == 0);
	IN_FORCE("c");
	CONFIG("wait", "1min " ETC ":2");
	CHECK(ctl(rig, 5000, "rules") == 0 && !ctl_err[0]);
	/* one name in two files */
	conf_put(rig, RULES "20-b.conf", "[c]\nimage=x\n");
	CHECK(!conf_reload(rig) && strstr(rig->text, "20-b.conf:1: there is a rule [c] already, at "));
	CHECK(unlink(conf_path(rig, RULES "20-b.conf")) == 0 && conf_reload(rig));
	/* files that are gone are no rules */
	CHECK(unlink(conf_path(rig, RULES "10-a.conf")) == 0 && conf_reload(rig));
	IN_FORCE("");
}

/* Whoever writes rules decides what phones get: root, or the service's own user. */
static void trust(struct rig *rig)
{
	conf_put(rig, RULES "10-a.conf", "[a]\nimage=x\n");
	CHECK(rig_up(rig, NULL));
	conf_put(rig, RULES "10-a.conf", "[b]\nimage=y\n");
	CHECK(chmod(conf_path(rig, RULES "10-a.conf"), 0664) == 0);
	CHECK(!conf_reload(rig) && conf_refused(rig, "ConfigInvalid"));
	CHECK(strstr(rig->text, "10-a.conf: the file has mode 0664: its group can write to it"));
	CHECK(chmod(conf_path(rig, RULES "10-a.conf"), 0644) == 0);
	CHECK(chmod(conf_path(rig, "/etc/fdld/rules.d"), 0777) == 0);
	CHECK(!conf_reload(rig) && strstr(rig->text, "rules.d: the folder has mode 0777"));
	CHECK(chmod(conf_path(rig, "/etc/fdld/rules.d"), 0755) == 0);
	/* only root can give a file away */
	if (chown(conf_path(rig, RULES "10-a.conf"), 65534, 65534) == 0) {
		CHECK(!conf_reload(rig) &&
		      strstr(rig->text, "belongs to uid 65534, neither to root nor to us"));
		CHECK(chown(conf_path(rig, RULES "10-a.conf"), 0, 0) == 0);
	}
	/* what the service may write to is no place for them */
	(void)mkdir(conf_path(rig, "/run/fdld"), 0755);
	conf_put(rig, "/run/fdld/rules.d/00-own.conf", "[own]\nimage=x\n");
	IN_FORCE("a");
	CHECK(conf_reload(rig));
	IN_FORCE("b");
}

/* ---- which rule --------------------------------------------------------------------- */

#define FOUR                                                                                           \
	"[repair]\nlabel=R*\naction=nothing\n[golden]\nlabel=A1\nunit=0011*\nimage=gold.pac\n[line]\n" \
	"label=A*, B*\nstorage=emmc\nimage=%s\n[rest]\nimage=nowhere.pac\n"

static bool label(struct rig *rig, const char *slot, const char *text)
{
	return rig_call(rig, 5000, NULL, slot, SLOT, "Configure", "a{sv}", 1, "label", "s", text);
}

static bool rules_put(struct rig *rig, const char *image)
{
	char text[512];

	snprintf(text, sizeof(text), FOUR, image);
	conf_put(rig, RULES "10-four.conf", text);
	return conf_reload(rig);
}

static void explain(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;
	char *digest;

	rig_package(rig, &pack, "sc9863a", 3, 4096);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	CHECK(ctl(rig, 30000, "image import --name line.pac %s", pack.path) == 0);
	CHECK(rules_put(rig, "line.pac"));
	EXPLAINED("1-1", NULL, NULL, "rest/differs/differs/differs/fits");
	CHECK(label(rig, p->slot, "R1"));
	EXPLAINED("1-1", NULL, NULL, "repair/fits/differs/differs/fits");
	CHECK(label(rig, p->slot, "A1"));
	/* what the phone has not been asked is no reason to pass a rule over */
	EXPLAINED("A1", NULL, NULL, "golden/differs/open/open/fits");
	EXPLAINED(p->id, "unit", "00aa", "line/differs/differs/open/fits");
	EXPLAINED(p->id, "unit", "0011", "golden/differs/fits/open/fits");
	EXPLAINED("1-1", "storage", "ufs", "golden/differs/open/differs/fits");
	CHECK(!strcmp(explained(rig, "1-99", NULL, NULL), ERR("NoSuchSlot")));
	CHECK(!strcmp(explained(rig, "1-1", "colour", "red"), ERR("InvalidArgs")));
	/* nobody has spoken to it for all that */
	CHECK(bed_count(bed_phone_dev(p->bp))->submits == 0);
	/* in words */
	CHECK(ctl(rig, 5000, "rules check A1 --unit 00aa") == 0);
	CHECK(told("A1 (A1) [line]: flash line.pac") && told("10-four.conf:8 not armed") &&
	      told("[repair] is passed over: label is 'A1', not 'R*'") &&
	      told("[golden] is passed over: unit is '00aa', not '0011*'") &&
	      told("given up before anything of the phone is changed unless storage=emmc") &&
	      told("[rest] stands behind it, and is not asked"));
	/* an image that is not there is its exit status */
	CHECK(ctl(rig, 5000, "rules check 1-1") == ctl_code("NoSuchImage"));
	CHECK(told("[golden]: flash gold.pac") && told("its image cannot be had: NoSuchImage"));
	CHECK(ctl(rig, 5000, "rules check") == ctl_code("NoSuchImage") && told("1-1 (A1) [golden]"));
	CHECK(label(rig, p->slot, "R1"));
	CHECK(ctl(rig, 5000, "rules check") == 0 && told("1-1 (R1) [repair]: nothing"));
	CHECK(label(rig, p->slot, "B1"));
	/* for programs; by digest */
	digest = ctl(rig, 5000, "--json image show line.pac") == 0 && ctl_json()
			 ? strdup(ctl_str(0, "Digest"))
			 : NULL;
	CHECK(digest && strlen(digest) == 64);
	CHECK(rules_put(rig, digest));
	CHECK(ctl(rig, 5000, "--json rules check 1-1") == 0 && ctl_json());
	json_object *all = ctl_line(0), *one = json_object_array_get_idx(all, 0), *value = NULL;

	CHECK(json_object_object_get_ex(one, "digest", &value) &&
	      !strcmp(json_object_get_string(value), digest));
	CHECK(json_object_object_get_ex(one, "rule", &value) &&
	      !strcmp(json_object_get_string(value), "line"));
	CHECK(json_object_object_get_ex(one, "rules", &value) && json_object_array_length(value) == 4);
	json_object_put(all);
	free(digest);
	rig_package_free(&pack);
}

/* What a job has learned of a phone counts as long as it is there. */
static void learned(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;
	const char *job;

	rig_package(rig, &pack, "sc9863a", 3, 4096);
	conf_put(rig, RULES "10.conf",
		 "[ufs]\nstorage=ufs\nimage=a\n[nobody]\nunit=!*\nimage=b\n[met]\nstage=rom\nstorage=emmc\n"
		 "family=sharkl3\nimage=c\n");
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	EXPLAINED("1-1", NULL, NULL, "ufs/open/open/open");
	job = rig_flash(rig, p->slot, pack.fd, "a{sv}", 1, "end", "s", "stay");
	CHECK(job && !strcmp(rig_wait(rig, job, 60000), ""));
	EXPLAINED("1-1", NULL, NULL, "met/differs/differs/fits");
	/* of its identity no more is told than everybody may know */
	CHECK(ctl(rig, 5000, "--json rules check 1-1") == ctl_code("NoSuchImage") && ctl_json());
	json_object *all = ctl_line(0), *one = json_object_array_get_idx(all, 0), *facts = NULL, *unit = NULL;

	CHECK(json_object_object_get_ex(one, "facts", &facts) &&
	      json_object_object_get_ex(facts, "unit", &unit) && strlen(json_object_get_string(unit)) == 8 &&
	      !strcmp(json_object_get_string(unit),
		      rig_get(rig, rig_get(rig, p->slot, SLOT, "Device"), DEVICE, "UnitId")));
	json_object_put(all);
	bed_phone_unplug(p->bp, true);
	CHECK(rig_expect(rig, 10000, p->slot, SLOT, "State", "empty"));
	EXPLAINED("1-1", NULL, NULL, "ufs/open/open/open");
	rig_package_free(&pack);
}

/* Job number n of the daemon ended so: "RuleNotMet unchanged foreign", "succeeded". */
static bool ended(struct rig *rig, int n, const char *error)
{
	char job[64];

	snprintf(job, sizeof(job), ROOT "/job/%d", n);
	if (!*error)
		return !strcmp(rig_get(rig, job, JOB, "State"), "succeeded");
	return !strcmp(rig_get(rig, job, JOB, "State"), "skipped") &&
	       !strcmp(rig_get(rig, job, JOB, "ErrorName") + strlen(ERR("")), error) &&
	       !strcmp(rig_dict(rig, job, JOB, "Result", "leaves"), "unchanged");
}

/*
 * A condition that only the phone can tell, and tells otherwise: the job gives up, nothing of the phone is
 * changed, and the next rule is asked. Each phone is refused by a rule at most once.
 */
static void gives_way(struct rig *rig)
{
	struct phone_setup nobody = { .faults = "no-uid" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL),
			 *q = rig_phone(rig, "sc9863a", "2", &nobody);
	struct rig_package pack;
	char wrong[128];

	rig_package(rig, &pack, "sc9863a", 3, 4096);
	conf_put(rig, RULES "10.conf",
		 "[foreign]\nunit=?*, !*\nimage=line.pac\n[ufs]\nstorage=ufs\nimage=line.pac\n"
		 "[named]\nlabel=B\nunit=?*\nimage=line.pac\n[line]\nimage=line.pac\n");
	CHECK(rig_up(rig, NULL));
	CHECK(ctl(rig, 30000, "image import --name line.pac %s", pack.path) == 0);
	CHECK(rig_plug(rig, p));
	CHECK(ctl(rig, 10000, "arm --present 1-1") == 0);
	CHECK(rig_expect(rig, 60000, p->slot, SLOT, "Passes", "1"));
	CHECK(ended(rig, 1, "RuleNotMet") && ended(rig, 2, ""));
	CHECK(rig_num(rig, p->slot, SLOT, "Attempts") == 1 && rig_num(rig, p->slot, SLOT, "Failures") == 0);
	CHECK(rig_compare(p->phone, &pack, wrong, sizeof(wrong)) >= 8 && !wrong[0]);
	/* what it does not tell although it was asked is known to be nothing */
	CHECK(rig_plug(rig, q) && label(rig, q->slot, "B"));
	CHECK(ctl(rig, 10000, "arm --present 1-2") == 0);
	CHECK(rig_expect(rig, 60000, q->slot, SLOT, "Passes", "1"));
	CHECK(ended(rig, 3, "RuleNotMet") && ended(rig, 4, ""));
	CHECK(!strcmp(rig_get(rig, ROOT "/job/5", JOB, "State"), "?"));
	/* one rule and no other */
	CHECK(ctl(rig, 10000, "arm --rule ufs 1-1") == 0);
	CHECK(ctl(rig, 10000, "rules check 1-1") == 0);
	CHECK(told("[line] is passed over: the slot is armed with [ufs] alone"));
	EXPLAINED("1-1", "storage", "ufs", "ufs/open/fits/differs/fits");
	EXPLAINED("1-1", "storage", "emmc", "/open/differs/differs/fits");
	rig_package_free(&pack);
}

static bool begun(void *arg)
{
	struct rig *rig = arg;

	return !strcmp(rig_get(rig, ROOT "/job/1", JOB, "Stage"), "flash") ||
	       !strcmp(rig_get(rig, ROOT "/job/1", JOB, "State"), "succeeded");
}

/* A job keeps the rule it began with, whatever becomes of the files; the next phone gets what holds then. */
static void while_flashing(struct rig *rig)
{
	struct phone_setup waits = { .faults = "late at end of l_modem for 3s" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &waits);
	struct rig_package pack;

	rig_package(rig, &pack, "sc9863a", 3, 4096);
	conf_put(rig, RULES "10.conf", "[line]\nimage=line.pac\nend=stay\nlevel=verified\n");
	CHECK(rig_up(rig, NULL));
	CHECK(ctl(rig, 30000, "image import --name line.pac %s", pack.path) == 0);
	CHECK(rig_plug(rig, p));
	CHECK(ctl(rig, 10000, "arm --present 1-1") == 0);
	CHECK(rig_until(rig, 60000, begun, rig));
	conf_put(rig, RULES "10.conf", "[other]\nimage=nowhere.pac\n");
	for (int i = 0; i < 3; i++)
		CHECK(conf_reload(rig));
	IN_FORCE("other");
	CHECK(rig_expect(rig, 60000, ROOT "/job/1", JOB, "State", "succeeded"));
	CHECK(!strcmp(rig_dict(rig, ROOT "/job/1", JOB, "Result", "level"), "verified"));
	bed_phone_unplug(p->bp, true);
	CHECK(rig_expect(rig, 10000, p->slot, SLOT, "State", "empty"));
	CHECK(ctl(rig, 10000, "rules check 1-1") == ctl_code("NoSuchImage") &&
	      told("[other]: flash nowhere.pac") && told(":1 armed"));
	rig_package_free(&pack);
}

/* ---- fdlctl rules check, other files ------------------------------------------------ */

static void offline(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	const char *other = conf_path(rig, "/other.conf");

	CHECK(ctl(rig, 5000, "rules check --root %s", rig->conf) == 0 && told("no file, and so no rule"));
	conf_put(rig, RULES "10.conf", "[a]\nimage=x\n[b]\nimage=y\n");
	CHECK(ctl(rig, 5000, "rules check --root %s", rig->conf) == 0 && told("good ") && told("rules: 2"));
	CHECK(ctl(rig, 5000, "--json rules check --root %s", rig->conf) == 0 && ctl_json());
	CHECK(!strcmp(ctl_str(0, "good"), "true"));
	/* the daemon reads settings and rules in one go, and so does this */
	CHECK(ctl(rig, 5000, "config check --root %s", rig->conf) == 0 && told("good ") &&
	      told("rules.d/10.conf"));
	conf_put(rig, RULES "20.conf", "[c]\n");
	CHECK(ctl(rig, 5000, "config check --root %s", rig->conf) == ctl_code("ConfigInvalid") &&
	      conf_said("20.conf:1: the rule [c] names no image"));
	CHECK(unlink(conf_path(rig, RULES "20.conf")) == 0);
	conf_put(rig, "/other.conf", "[o]\nlabel=X*\nimage=z\n[a]\nimage=x\nretries=lots\n");
	CHECK(ctl(rig, 5000, "rules check --file %s", other) == ctl_code("ConfigInvalid"));
	CHECK(conf_said("other.conf:6: retries is a number, not 'lots'") && !ctl_out[0]);
	CHECK(ctl(rig, 5000, "--json rules check --file %s", other) == ctl_code("ConfigInvalid") &&
	      ctl_json() && !strcmp(ctl_str(0, "error"), "ConfigInvalid"));
	CHECK(ctl(rig, 5000, "rules check --file %s --root %s", other, rig->conf) == 2);
	CHECK(ctl(rig, 5000, "rules check --file %s/nothing.conf", rig->dir) == ctl_code("ConfigInvalid"));
	CHECK(ctl(rig, 5000, "rules") == ctl_code("DaemonUnreachable"));
	/* what a place would get of a file that is not in force */
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	CHECK(label(rig, p->slot, "X9"));
	conf_put(rig, "/other.conf", "[o]\nlabel=X*\nunit=00*\nimage=z\n[p]\nimage=x\n");
	CHECK(ctl(rig, 5000, "rules check --file %s 1-1", other) == 0);
	CHECK(told("1-1 (X9) [o]: flash z") && told("other.conf:1") && told("unless unit=00*"));
	CHECK(ctl(rig, 5000, "rules check --file %s --unit ff 1-1", other) == 0 && told("[p]: flash x"));
	IN_FORCE("a b");
}

/* TAB: words, places, what conditions know. */
static void completion(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	char line[256];

	conf_put(rig, RULES "10.conf", "[fast]\nimage=x.pac\n[with blanks]\nimage=y.pac\n");
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	snprintf(line, sizeof(line), "%s/fdlctl __complete 2 arm --rule '' 2>&1", rig->build);
	CHECK(bed_sh(rig->bed, 5000, ctl_out, sizeof(ctl_out), line) == 0 && told("fast x.pac") &&
	      !strstr(ctl_out, "blanks"));
	snprintf(line, sizeof(line), "%s/fdlctl __complete 1 rules '' 2>&1", rig->build);
	CHECK(bed_sh(rig->bed, 5000, ctl_out, sizeof(ctl_out), line) == 0 && told("list") && told("check"));
	snprintf(line, sizeof(line), "%s/fdlctl __complete 2 rules check '' 2>&1", rig->build);
	CHECK(bed_sh(rig->bed, 5000, ctl_out, sizeof(ctl_out), line) == 0 && told("1-1"));
	snprintf(line, sizeof(line), "%s/fdlctl __complete 3 rules check --storage '' 2>&1", rig->build);
	CHECK(bed_sh(rig->bed, 5000, ctl_out, sizeof(ctl_out), line) == 0 && told("nand emmc ufs nor"));
	snprintf(line, sizeof(line), "%s/fdlctl __complete 2 rules list '' 2>&1", rig->build);
	CHECK(bed_sh(rig->bed, 5000, ctl_out, sizeof(ctl_out), line) == 0 && !ctl_out[0]);
}

static const struct rig_test tests[] = {
	{ "which files count, and in which order", layers },
	{ "no rules at all", none },
	{ "a bad rule file at the start: named, and nothing is begun", bad_start },
	{ "a bad rule file on a reload: settings and rules stay", bad_reload },
	{ "rules of strangers are refused", trust },
	{ "which rule a phone gets, and why not another", explain },
	{ "what a job has learned of a phone, until it leaves", learned },
	{ "a rule that turns out not to be for a phone gives way to the next", gives_way },
	{ "a reload while a job of a rule runs", while_flashing },
	{ "fdlctl rules check with other files", offline },
	{ "TAB", completion },
};

int main(void)
{
	return rig_run(tests, sizeof(tests) / sizeof(tests[0]));
}
