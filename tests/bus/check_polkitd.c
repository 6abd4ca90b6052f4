/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The real polkitd on the bed's bus, with dbus/org.fdld1.policy and with rules: what the policy says of
 * strangers, what a rule changes, and that a daemon that is not root may ask at all. Real root only: polkitd
 * changes to its own user, and without there is one user.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/bus/agent.h"
#include "tests/bus/walk.h"

#define POLKITD "/usr/lib/polkit-1/polkitd"
#define ACTIONS "/usr/share/polkit-1/actions"
#define RULES	"/usr/share/polkit-1/rules.d"
#define ETC	"/etc/polkit-1/rules.d"
#define OWN_USER                                                                                  \
	64123 /* uid of "fdld" in the passwd of the bed; "nobody" is in the station's group there \
	       */

static bool put(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");
	bool ok = f && fputs(text, f) >= 0;

	if (f && fclose(f))
		ok = false;
	return ok && chmod(path, 0644) == 0;
}

static bool copy(const char *from, const char *to, const char *more)
{
	static char text[65536];
	FILE *f = fopen(from, "r");
	size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;

	if (f)
		fclose(f);
	text[n] = '\0';
	if (strlen(text) + strlen(more) >= sizeof(text))
		return false;
	strcat(text, more);
	return n && put(to, text);
}

/* Our own directories over polkit's, and a passwd with the service's user: in the bed's mount namespace only.
 */
static bool furnish(const char *policy)
{
	static bool done;

	if (!done) {
		if (mount("bed", ACTIONS, "tmpfs", 0, "mode=755") < 0 ||
		    mount("bed", RULES, "tmpfs", 0, "mode=755") < 0 ||
		    mount("bed", ETC, "tmpfs", 0, "mode=755") < 0 ||
		    !copy("/etc/passwd", "/run/passwd", "fdld:x:64123:64123::/:/usr/sbin/nologin\n") ||
		    mount("/run/passwd", "/etc/passwd", NULL, MS_BIND, NULL) < 0 ||
		    !copy("/etc/group", "/run/group", "fdld-station:x:64124:nobody\n") ||
		    mount("/run/group", "/etc/group", NULL, MS_BIND, NULL) < 0)
			return false;
		done = true;
	}
	unlink(ETC "/10.rules");
	return copy(policy, ACTIONS "/org.fdld1.policy", "");
}

static bool has_polkit(void *arg)
{
	sd_bus_creds *creds = NULL;
	int r = sd_bus_get_name_creds(rig_bus(arg), "org.freedesktop.PolicyKit1", 0, &creds);

	sd_bus_creds_unref(creds);
	return r >= 0;
}

static pid_t polkitd;

/* A test that broke off has left it behind. */
static void stop(struct rig *rig)
{
	if (!polkitd)
		return;
	kill(polkitd, SIGKILL);
	(void)bed_wait(rig->bed, polkitd, 5000);
	polkitd = 0;
}

static bool start(struct rig *rig)
{
	char *argv[] = { (char *)POLKITD, (char *)"--no-debug", NULL };
	char log[128];

	stop(rig);
	snprintf(log, sizeof(log), "%s/polkitd.log", rig->dir);
	polkitd = bed_start(rig->bed, argv, log);
	return rig_until(rig, 10000, has_polkit, rig);
}

/* ---- the policy as it is shipped ------------------------------------------------------ */

static void strangers(struct rig *rig)
{
	struct scene s;

	CHECK(furnish("dbus/org.fdld1.policy"));
	CHECK(scene_set(rig, &s, NULL) && start(rig));
	/* an empty slot with a job that waits, somebody else's */
	bed_phone_unplug(s.phone->bp, true);
	CHECK(rig_expect(rig, 3000, s.phone->slot, SLOT, "State", "empty"));
	CHECK(rig_flash(rig, s.phone->slot, s.pack.fd, NULL, 0));
	s.phone = rig_phone(rig, "sc9863a", "2", NULL);
	CHECK(rig_plug(rig, s.phone));
	CHECK(walk_as_stranger(rig, &s, false));
	s.user->interactive = true;
	CHECK(walk_as_stranger(rig, &s, false));
	CHECK(scene_untouched(&s) && rig_counter(rig, "jobs-accepted") == 1);
	scene_strike(&s);
	stop(rig);
}

/* ---- rules ---------------------------------------------------------------------------- */

static bool flashes(struct rig *rig, struct scene *s)
{
	char job[64], wrong[128];

	if (!scene_flash(rig, s, 10000, job, sizeof(job))) {
		tap_note("%s: %s", s->user->error, s->user->text);
		return false;
	}
	return !strcmp(rig_wait(rig, job, 60000), "") &&
	       rig_compare(s->phone->phone, &s->pack, wrong, sizeof(wrong)) > 0 && !wrong[0];
}

/* The example that is installed beside the documentation, put where it would be in force. */
static void station_group(struct rig *rig)
{
	struct scene s;
	struct user *other;

	CHECK(furnish("dbus/org.fdld1.policy"));
	CHECK(copy("dbus/fdld-station.rules", ETC "/10.rules", ""));
	CHECK(scene_set(rig, &s, NULL) && start(rig));
	other = user_new(rig, OTHER);
	CHECK(user_call(rig, s.user, 10000, NULL, ROOT, MANAGER, "OpenImage", "ha{sv}", s.pack.fd, 0));
	CHECK(!user_call(rig, other, 10000, NULL, ROOT, MANAGER, "OpenImage", "ha{sv}", s.pack.fd, 0));
	CHECK(!strcmp(other->error, NEEDS_PASSWORD));
	CHECK(!user_call(rig, s.user, 10000, NULL, s.phone->slot, SLOT, "Flash", "ha{sv}", s.pack.fd, 1,
			 "erase_all", "b", 1));
	CHECK(!strcmp(s.user->error, NEEDS_PASSWORD));
	CHECK(!user_call(rig, s.user, 10000, NULL, ROOT, MANAGER, "Drain", "a{sv}", 0));
	CHECK(scene_untouched(&s));
	CHECK(flashes(rig, &s));
	scene_strike(&s);
	stop(rig);
}

/* Rules see what the call is about; whoever may flash may open; no is no password. */
static void rules(struct rig *rig)
{
	struct scene s;
	char text[1024];

	CHECK(furnish("dbus/org.fdld1.policy"));
	snprintf(text, sizeof(text),
		 "polkit.addRule(function (action, subject) {\n"
		 "  if (action.id == 'org.fdld1.flash' && subject.user == 'nobody' &&\n"
		 "      action.lookup('slot') == 'pci-0000:00:14.0-usb-0:1' &&\n"
		 "      action.lookup('image') == 'stock.pac' && action.lookup('operation') == 'flash')\n"
		 "    return polkit.Result.YES;\n"
		 "  if (action.id == 'org.fdld1.flash-unprotected')\n"
		 "    return polkit.Result.NO;\n"
		 "});\n");
	CHECK(put(ETC "/10.rules", text));
	CHECK(scene_set(rig, &s, NULL) && start(rig));
	CHECK(!user_call(rig, s.user, 10000, NULL, s.phone->slot, SLOT, "Flash", "ha{sv}", s.pack.fd, 1,
			 "name", "s", "other.pac"));
	CHECK(!strcmp(s.user->error, NEEDS_PASSWORD));
	CHECK(!user_call(rig, s.user, 10000, NULL, s.phone->slot, SLOT, "Flash", "ha{sv}", s.pack.fd, 1, "nv",
			 "s", "package"));
	CHECK(!strcmp(s.user->error, NOT_AUTHORIZED));
	CHECK(scene_untouched(&s));
	CHECK(flashes(rig, &s));
	scene_strike(&s);
	stop(rig);
}

static void implied(struct rig *rig)
{
	struct scene s;

	CHECK(furnish("dbus/org.fdld1.policy"));
	CHECK(put(ETC "/10.rules", "polkit.addRule(function (action, subject) {\n"
				   "  if (action.id == 'org.fdld1.flash') return polkit.Result.YES; });\n"));
	CHECK(scene_set(rig, &s, NULL) && start(rig));
	CHECK(user_call(rig, s.user, 10000, NULL, ROOT, MANAGER, "OpenImage", "ha{sv}", s.pack.fd, 0));
	CHECK(!user_call(rig, s.user, 10000, NULL, ROOT, MANAGER, "Drain", "a{sv}", 0));
	scene_strike(&s);
	stop(rig);
}

/* ---- a person in front of it ---------------------------------------------------------- */

/* "ACTION COOKIE | MESSAGE" in pieces */
static bool dialogue(struct rig *rig, struct agent *agent, char *cookie, size_t room)
{
	static const char action[] = " org.fdld1.flash ";
	static const char message[] =
		"Authentication is required to flash stock.pac to the phone on pci-0000:00:14.0-usb-0:1";
	char line[1024], *bar;

	if (!agent_says(rig, agent, 10000, "begin", line, sizeof(line)))
		return false;
	bar = strstr(line, " | ");
	if (strncmp(line, action, strlen(action)) || !bar || strcmp(bar + 3, message)) {
		tap_note("%s", line);
		return false;
	}
	*bar = '\0';
	snprintf(cookie, room, "%s", line + strlen(action));
	agent->text[0] = '\0';
	return true;
}

static void prompts(struct rig *rig)
{
	struct agent agent;
	struct scene s;
	char cookie[256], job[128];

	CHECK(furnish("dbus/org.fdld1.policy"));
	CHECK(scene_set(rig, &s, NULL) && start(rig));
	CHECK(agent_start(rig, &agent, STRANGER, s.phone->slot, s.pack.fd));
	/* dismissed */
	agent_tell(&agent, 'c');
	CHECK(dialogue(rig, &agent, cookie, sizeof(cookie)));
	agent_tell(&agent, 'd');
	CHECK(agent_says(rig, &agent, 5000, "reply " NOT_AUTHORIZED, NULL, 0));
	CHECK(scene_untouched(&s));
	/* the right password */
	agent.text[0] = '\0';
	agent_tell(&agent, 'c');
	CHECK(dialogue(rig, &agent, cookie, sizeof(cookie)));
	CHECK(scene_untouched(&s));
	CHECK(agent_password(rig, STRANGER, cookie));
	agent_tell(&agent, 'd');
	CHECK(agent_says(rig, &agent, 5000, "reply ", job, sizeof(job)));
	CHECK(!strcmp(rig_wait(rig, job, 60000), ""));
	CHECK(rig_num(rig, job, JOB, "StartedBy") == STRANGER);
	/* whoever asked has gone: so does the dialogue, and the password comes too late */
	agent.text[0] = '\0';
	agent_tell(&agent, 'c');
	CHECK(dialogue(rig, &agent, cookie, sizeof(cookie)));
	agent_tell(&agent, 'l');
	CHECK(agent_says(rig, &agent, 5000, "cancel ", job, sizeof(job)));
	CHECK(!strcmp(job, cookie));
	agent_tell(&agent, 'd');
	rig_sleep(rig, 500);
	CHECK(rig_counter(rig, "jobs-accepted") == 1);
	agent_stop(rig, &agent);
	scene_strike(&s);
	stop(rig);
}

/* ---- a daemon that is not root -------------------------------------------------------- */

/* As scene_set(), the daemon as the user that the policy's annotation names. */
static bool set_unprivileged(struct rig *rig, struct scene *s)
{
	char fdld[256];
	const char *argv[] = { "setpriv",     "--reuid=64123", "--regid=64123", "--clear-groups", fdld,
			       "--state-dir", rig->state,      "--runtime-dir", rig->runtime,	  NULL };

	memset(s, 0, sizeof(*s));
	snprintf(fdld, sizeof(fdld), "%s/fdld", rig->build);
	if (chmod(rig->dir, 0755) < 0 || chown(rig->state, OWN_USER, OWN_USER) < 0 ||
	    chown(rig->runtime, OWN_USER, OWN_USER) < 0 || chmod(rig->state, 0700) < 0)
		return false;
	s->phone = rig_phone(rig, "sc9863a", "1", NULL);
	rig_package(rig, &s->pack, "sc9863a", 40, 4096);
	rig->daemon = bed_spawn(rig->bed, (char *const *)argv, NULL, rig->log);
	if (!bed_ready(rig->bed, 10000))
		return false;
	bed_phone_plug(s->phone->bp, true);
	/* what the udev rule's GROUP does */
	if (chown(bed_node(bed_phone_dev(s->phone->bp)), OWN_USER, OWN_USER) < 0 ||
	    !rig_expect(rig, 5000, s->phone->slot, SLOT, "State", "ready"))
		return false;
	s->user = user_new(rig, STRANGER);
	return true;
}

static void owner(struct rig *rig)
{
	struct scene s;
	struct user *own;

	CHECK(furnish("dbus/org.fdld1.policy"));
	CHECK(copy("dbus/fdld-station.rules", ETC "/10.rules", ""));
	CHECK(set_unprivileged(rig, &s) && start(rig));
	CHECK(flashes(rig, &s));
	/* neither root nor the daemon's own user is asked about */
	CHECK(rig_call(rig, 5000, NULL, ROOT, MANAGER, "OpenImage", "ha{sv}", s.pack.fd, 0));
	own = user_new(rig, OWN_USER);
	CHECK(user_call(rig, own, 5000, NULL, ROOT, MANAGER, "OpenImage", "ha{sv}", s.pack.fd, 0));
	scene_strike(&s);
	stop(rig);
}

/* What the annotation is there for. */
static void without_owner(struct rig *rig)
{
	struct scene s;

	CHECK(system("grep -v policykit.owner dbus/org.fdld1.policy > /run/ownerless.policy") == 0);
	CHECK(furnish("/run/ownerless.policy"));
	CHECK(copy("dbus/fdld-station.rules", ETC "/10.rules", ""));
	CHECK(set_unprivileged(rig, &s) && start(rig));
	CHECK(!scene_flash(rig, &s, 10000, NULL, 0));
	CHECK(!strcmp(s.user->error, NOT_AUTHORIZED) && strstr(s.user->text, "polkit cannot be asked"));
	CHECK(scene_untouched(&s));
	scene_strike(&s);
	stop(rig);
}

static const struct rig_test tests[] = {
	{ "the policy keeps strangers out", strangers },
	{ "the example of a station's group", station_group },
	{ "rules see slot, image and operation", rules },
	{ "whoever may flash may open a package", implied },
	{ "a person is asked, dismisses it, types the password, leaves", prompts },
	{ "a daemon that is not root may ask", owner },
	{ "and may not without the owner annotation", without_owner },
};

int main(void)
{
	if (access(POLKITD, X_OK) < 0) {
		tap_skip("the real polkitd", "polkitd is not installed: make deps");
		return tap_end();
	}
	return users_run(tests, sizeof(tests) / sizeof(tests[0]));
}
