/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The real daemon on the bed: what it shows, what it takes, what it refuses. What goes wrong with phones and
 * processes is in check_trouble.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bus/rig.h"
#include "tests/bus/xml.h"

#define ERR(name) "org.fdld1.Error." name

static bool is_error(struct rig *rig, const char *name)
{
	return !strncmp(rig->error, "org.fdld1.Error.", 16) && !strcmp(rig->error + 16, name);
}

/* ---- start ------------------------------------------------------------------------ */

/* fdld must end by itself with this code and say the word on stderr. */
static bool refuses(struct rig *rig, char *const argv[], int code, const char *word)
{
	char text[4096] = "";
	pid_t pid = bed_spawn(rig->bed, argv, NULL, rig->log);
	int status = bed_wait(rig->bed, pid, 10000);
	FILE *f = fopen(rig->log, "r");

	if (f) {
		size_t n = fread(text, 1, sizeof(text) - 1, f);

		text[n] = '\0';
		fclose(f);
	}
	if (status == -1)
		kill(pid, SIGKILL);
	return status != -1 && WIFEXITED(status) && WEXITSTATUS(status) == code && strstr(text, word);
}

static void starts(struct rig *rig)
{
	CHECK(rig_up(rig, NULL));
	CHECK(!strcmp(rig_get(rig, ROOT, MANAGER, "Version"), FDLD_VERSION));
	CHECK(!strcmp(rig_get(rig, ROOT, MANAGER, "Probing"), "false"));
	CHECK(!strcmp(rig_get(rig, ROOT, MANAGER, "Draining"), "false"));
	CHECK(strstr(bed_notify(rig->bed)->status, "0 phones"));
	CHECK(rig_down(rig, SIGTERM, 5000) == 0);
	CHECK(bed_notify(rig->bed)->stopping);
}

static void state_directory(struct rig *rig)
{
	char program[256], missing[128], foreign[128], file[128];
	const char *argv[] = { program, "--state-dir", missing, "--runtime-dir", rig->runtime, NULL };

	snprintf(program, sizeof(program), "%s/fdld", rig->build);
	snprintf(missing, sizeof(missing), "%s/none", rig->dir);
	CHECK(refuses(rig, (char *const *)argv, 108, missing));
	snprintf(foreign, sizeof(foreign), "%s/foreign", rig->dir);
	argv[2] = foreign;
	CHECK(mkdir(foreign, 0700) == 0);
	if (chown(foreign, 12345, 12345) == 0) {
		CHECK(refuses(rig, (char *const *)argv, 108, "12345"));
	}
	snprintf(file, sizeof(file), "%s/file", rig->dir);
	argv[2] = file;
	close(open(file, O_WRONLY | O_CREAT, 0600));
	CHECK(refuses(rig, (char *const *)argv, 108, file));
}

static void name_taken(struct rig *rig)
{
	char program[256], other[128];
	const char *argv[] = { program, "--state-dir", other, "--runtime-dir", rig->runtime, NULL };

	CHECK(rig_up(rig, NULL));
	snprintf(program, sizeof(program), "%s/fdld", rig->build);
	snprintf(other, sizeof(other), "%s/other", rig->dir);
	CHECK(mkdir(other, 0700) == 0);
	CHECK(refuses(rig, (char *const *)argv, 110, "NameTaken"));
	CHECK(!strcmp(rig_get(rig, ROOT, MANAGER, "Probing"), "false"));
}

static void no_bus(struct rig *rig)
{
	char program[256];
	const char *argv[] = { program, "--bus", "unix:path=/run/nobody", "--state-dir", rig->state, NULL };

	snprintf(program, sizeof(program), "%s/fdld", rig->build);
	CHECK(refuses(rig, (char *const *)argv, 109, "BusFailed"));
}

static bool pinged(void *arg)
{
	return bed_notify(((struct rig *)arg)->bed)->watchdogs >= 3;
}

static void watchdog(struct rig *rig)
{
	setenv("WATCHDOG_USEC", "200000", 1);
	bool up = rig_up(rig, NULL);
	unsetenv("WATCHDOG_USEC");
	CHECK(up);
	CHECK(rig_until(rig, 3000, pinged, rig));
}

/* ---- what is shown ---------------------------------------------------------------- */

static void introspection(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	static const char *const names[] = { MANAGER, SLOT, DEVICE, IMAGE, JOB, PROG };
	const char *paths[6] = { ROOT, p->slot, NULL, NULL, NULL, NULL };
	char device[64], image[64];
	struct rig_package pack;
	sd_bus_message *m = NULL;
	const char *s;

	rig_package(rig, &pack, "sc9863a", 1, 4096);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	snprintf(device, sizeof(device), "%s", rig_get(rig, p->slot, SLOT, "Device"));
	CHECK(rig_call(rig, 5000, &m, ROOT, MANAGER, "OpenImage", "ha{sv}", pack.fd, 0));
	CHECK(sd_bus_message_read(m, "o", &s) > 0);
	snprintf(image, sizeof(image), "%s", s);
	sd_bus_message_unref(m);
	paths[2] = device;
	paths[3] = image;
	paths[4] = paths[5] = rig_flash(rig, p->slot, pack.fd, NULL, 0);
	CHECK(paths[4]);
	for (size_t i = 0; i < 6; i++) {
		char wrong[512] = "";

		CHECK(rig_call(rig, 5000, &m, paths[i], "org.freedesktop.DBus.Introspectable", "Introspect",
			       NULL));
		CHECK(sd_bus_message_read(m, "s", &s) > 0);
		if (!xml_same(s, names[i], wrong, sizeof(wrong)))
			tap_note("%s: %s", names[i], wrong);
		CHECK(!wrong[0]);
		sd_bus_message_unref(m);
	}
	rig_package_free(&pack);
}

/* Every object a late client gets says the same as its properties one by one. */
static void object_manager(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "2.1", NULL);
	sd_bus_message *m = NULL;
	unsigned int objects = 0;
	bool slot = false, device = false;

	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	rig_disconnect(rig);
	CHECK(rig_call(rig, 5000, &m, ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", NULL));
	CHECK(sd_bus_message_enter_container(m, 'a', "{oa{sa{sv}}}") > 0);
	while (sd_bus_message_enter_container(m, 'e', "oa{sa{sv}}") > 0) {
		const char *path;

		CHECK(sd_bus_message_read(m, "o", &path) > 0);
		slot |= !strcmp(path, p->slot);
		device |= !strcmp(path, rig_get(rig, p->slot, SLOT, "Device"));
		objects++;
		CHECK(sd_bus_message_skip(m, "a{sa{sv}}") > 0 && sd_bus_message_exit_container(m) >= 0);
	}
	sd_bus_message_unref(m);
	CHECK(objects == 2 && slot && device);
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "Id"), p->id));
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "Port"), "1-2.1"));
	CHECK(!strcmp(rig_get(rig, ROOT "/device/1", DEVICE, "Slot"), p->slot));
	CHECK(rig_num(rig, ROOT "/device/1", DEVICE, "VendorId") == 0x1782);
	CHECK(!strcmp(rig_get(rig, ROOT "/device/1", DEVICE, "Stage"), "unknown"));
	/* no byte goes to a phone that nobody asked for, not even a little later */
	rig_sleep(rig, 100);
	CHECK(bed_count(bed_phone_dev(p->bp))->submits == 0);
	bed_phone_unplug(p->bp, true);
	CHECK(rig_expect(rig, 3000, p->slot, SLOT, "State", "empty"));
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "Device"), "/"));
	CHECK(!strcmp(rig_get(rig, ROOT "/device/1", DEVICE, "Stage"), "?"));
}

/* ---- signals ---------------------------------------------------------------------- */

/* What a client knows of one job that only listens. */
struct listener {
	const char *job;
	char state[32], stage[32], fraction[32], removed[512];
	unsigned int progress, finished, order; /* order: signals of any kind */
	unsigned int last_progress, ended_at;
	uint64_t times[4096];
};

static void hear_value(sd_bus_message *m, const char *name, struct listener *l)
{
	char *to = !strcmp(name, "State") ? l->state : !strcmp(name, "Stage") ? l->stage : NULL;
	const char *s;
	double d;

	if (to && sd_bus_message_read(m, "v", "s", &s) > 0)
		snprintf(to, sizeof(l->state), "%s", s);
	else if (!strcmp(name, "Fraction") && sd_bus_message_read(m, "v", "d", &d) > 0)
		snprintf(l->fraction, sizeof(l->fraction), "%.9g", d);
	else
		(void)sd_bus_message_skip(m, "v");
}

static int on_properties(sd_bus_message *m, void *user, sd_bus_error *error)
{
	struct listener *l = user;
	const char *iface, *name;

	if (strncmp(sd_bus_message_get_path(m), ROOT "/job/", 15) || sd_bus_message_read(m, "s", &iface) < 0)
		return 0;
	l->order++;
	if (!strcmp(iface, PROG) && l->progress < 4096) {
		l->last_progress = l->order;
		l->times[l->progress++] = bed_now();
	}
	if (sd_bus_message_enter_container(m, 'a', "{sv}") < 0)
		return 0;
	while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
		if (sd_bus_message_read(m, "s", &name) < 0)
			return 0;
		hear_value(m, name, l);
		(void)sd_bus_message_exit_container(m);
	}
	if (!strcmp(iface, JOB) && !strcmp(l->state, "succeeded") && !l->ended_at)
		l->ended_at = l->order;
	return 0;
}

static int on_finished(sd_bus_message *m, void *user, sd_bus_error *error)
{
	((struct listener *)user)->finished++;
	return 0;
}

static bool device_removed(void *arg)
{
	return strstr(((struct listener *)arg)->removed, DEVICE " ");
}

static int on_removed(sd_bus_message *m, void *user, sd_bus_error *error)
{
	struct listener *l = user;
	const char *path, *iface;
	size_t n;

	if (sd_bus_message_read(m, "o", &path) < 0 || strncmp(path, ROOT "/device/", 18))
		return 0;
	(void)sd_bus_message_enter_container(m, 'a', "s");
	while (sd_bus_message_read(m, "s", &iface) > 0) {
		n = strlen(l->removed);
		snprintf(l->removed + n, sizeof(l->removed) - n, "%s ", iface);
	}
	return 0;
}

/* Who only listens knows in the end what who asks is told; progress comes in moderation and before the end.
 */
static void signals(struct rig *rig)
{
	struct phone_setup slow = { .time_percent = 60 };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &slow);
	static struct listener l;
	struct rig_package pack;
	unsigned int close_by = 0;

	memset(&l, 0, sizeof(l));
	rig_package(rig, &pack, "sc9863a", 20, 100000);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	CHECK(sd_bus_match_signal_async(rig_bus(rig), NULL, "org.fdld1", NULL,
					"org.freedesktop.DBus.Properties", "PropertiesChanged", on_properties,
					NULL, &l) >= 0);
	CHECK(sd_bus_match_signal_async(rig_bus(rig), NULL, "org.fdld1", ROOT, MANAGER, "JobFinished",
					on_finished, NULL, &l) >= 0);
	CHECK(sd_bus_match_signal_async(rig_bus(rig), NULL, "org.fdld1", ROOT,
					"org.freedesktop.DBus.ObjectManager", "InterfacesRemoved", on_removed,
					NULL, &l) >= 0);
	l.job = rig_flash(rig, p->slot, pack.fd, NULL, 0);
	CHECK(!strcmp(rig_wait(rig, l.job, 60000), ""));
	rig_sleep(rig, 100);
	CHECK(!strcmp(l.state, rig_get(rig, l.job, JOB, "State")));
	CHECK(!strcmp(l.stage, rig_get(rig, l.job, JOB, "Stage")));
	CHECK(!strcmp(l.fraction, rig_get(rig, l.job, PROG, "Fraction")) && !strcmp(l.fraction, "1"));
	CHECK(l.finished == 1);
	CHECK(l.last_progress < l.ended_at);
	/* four a second, and one more for each change of stage */
	for (unsigned int i = 1; i < l.progress; i++)
		close_by += l.times[i] - l.times[i - 1] < 200000000u;
	tap_note("%u signals of progress, %u of them hurried", l.progress, close_by);
	CHECK(l.progress >= 4 && close_by <= 11);
	/* with the phone its device goes, by name of our interface too */
	bed_phone_unplug(p->bp, true);
	CHECK(rig_until(rig, 5000, device_removed, &l));
	rig_package_free(&pack);
}

/* ---- the main job ----------------------------------------------------------------- */

static void flash_passes(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	uint8_t before[16], after[16];
	struct rig_package pack;
	char wrong[128], text[256];
	const char *job;

	rig_package(rig, &pack, "sc9863a", 5, 0);
	CHECK(rig_nv_item(p->phone, 5, before, sizeof(before)) == 8);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	job = rig_flash(rig, p->slot, pack.fd, "a{sv}", 1, "name", "s", "made.pac");
	CHECK(job);
	CHECK(!strcmp(rig_wait(rig, job, 60000), ""));
	CHECK(!strcmp(rig_get(rig, job, JOB, "State"), "succeeded"));
	CHECK(!strcmp(rig_get(rig, job, JOB, "Stage"), "finished"));
	CHECK(!strcmp(rig_get(rig, job, JOB, "ImageName"), "made.pac"));
	CHECK(!strcmp(rig_get(rig, job, JOB, "CancelLeaves"), "complete"));
	CHECK(!strcmp(rig_get(rig, job, JOB, "ErrorName"), ""));
	CHECK(!strcmp(rig_dict(rig, job, JOB, "Result", "level"), "acknowledged"));
	CHECK(!strcmp(rig_dict(rig, job, JOB, "Result", "nv"), "kept"));
	CHECK(rig_real(rig, job, PROG, "Fraction") == 1);
	CHECK(rig_num(rig, job, PROG, "BytesDone") == rig_num(rig, job, PROG, "BytesTotal"));
	/* asked again, it answers again */
	CHECK(!strcmp(rig_wait(rig, job, 5000), ""));
	snprintf(text, sizeof(text), "%s", job);
	rig_disconnect(rig);
	CHECK(!strcmp(rig_wait(rig, text, 5000), ""));
	CHECK(rig_compare(p->phone, &pack, wrong, sizeof(wrong)) >= 8);
	if (wrong[0])
		tap_note("storage differs: %s", wrong);
	CHECK(!wrong[0]);
	CHECK(rig_nv_item(p->phone, 5, after, sizeof(after)) == 8 && !memcmp(before, after, 8));
	rig_package_free(&pack);
}

static void flash_verified(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;
	const char *job;

	rig_package(rig, &pack, "sc9863a", 6, 8192);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	job = rig_flash(rig, p->slot, pack.fd, "a{sv}", 2, "level", "s", "verified", "end", "s", "stay");
	CHECK(!strcmp(rig_wait(rig, job, 60000), ""));
	CHECK(!strcmp(rig_dict(rig, job, JOB, "Result", "level"), "verified"));
	CHECK(strtoull(rig_dict(rig, job, JOB, "Result", "bytes_compared"), NULL, 10) > 0);
	rig_package_free(&pack);
}

static void dry_run(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;
	sd_bus_message *m = NULL;
	const char *job, *key;
	int resolved = 0;

	rig_package(rig, &pack, "sc9863a", 7, 8192);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	job = rig_flash(rig, p->slot, pack.fd, "a{sv}", 1, "dry_run", "b", 1);
	CHECK(!strcmp(rig_wait(rig, job, 30000), ""));
	CHECK(!strcmp(rig_get(rig, job, JOB, "Kind"), "dry-run"));
	CHECK(phone_counters(p->phone)->erases == 0 && phone_counters(p->phone)->repartitions == 0);
	CHECK(rig_call(rig, 5000, &m, job, JOB, "Plan", "a{sv}", 0));
	/* as the phone decides it, not as the package has it */
	CHECK(sd_bus_message_enter_container(m, 'a', "{sv}") > 0);
	while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
		CHECK(sd_bus_message_read(m, "s", &key) > 0);
		if (!strcmp(key, "resolved"))
			CHECK(sd_bus_message_read(m, "v", "b", &resolved) > 0);
		else
			CHECK(sd_bus_message_skip(m, "v") > 0);
		CHECK(sd_bus_message_exit_container(m) > 0);
	}
	CHECK(resolved);
	sd_bus_message_unref(m);
	rig_package_free(&pack);
}

static void shell_flash(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	char out[8192], command[1024], job[64] = "";
	struct rig_package pack;

	rig_package(rig, &pack, "sc9863a", 8, 4096);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	/* busctl cannot hand over a descriptor */
	snprintf(command, sizeof(command),
		 "gdbus call --system -d org.fdld1 -o %s -m org.fdld1.Slot.Flash 'handle 3' "
		 "\"{'level': <'verified'>}\" 3<%s 2>&1",
		 p->slot, pack.path);
	CHECK(bed_sh(rig->bed, 20000, out, sizeof(out), command) == 0);
	CHECK(sscanf(out, "(objectpath '%63[^']'", job) == 1);
	snprintf(command, sizeof(command),
		 "busctl --system --timeout=1h call org.fdld1 %s org.fdld1.Job Wait 2>&1", job);
	CHECK(bed_sh(rig->bed, 60000, out, sizeof(out), command) == 0);
	CHECK(strstr(out, "\"level\" s \"verified\""));
	rig_package_free(&pack);
}

/* ---- refusals --------------------------------------------------------------------- */

static void options_refused(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;

	rig_package(rig, &pack, "sc9863a", 9, 4096);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	CHECK(!rig_flash(rig, p->slot, pack.fd, "a{sv}", 1, "colour", "s", "red"));
	CHECK(is_error(rig, "InvalidArgs") && strstr(rig->text, "'colour'"));
	CHECK(!rig_flash(rig, p->slot, pack.fd, "a{sv}", 1, "level", "b", 1));
	CHECK(is_error(rig, "InvalidArgs") && strstr(rig->text, "'level'"));
	CHECK(!rig_flash(rig, p->slot, pack.fd, "a{sv}", 1, "level", "s", "maybe"));
	CHECK(is_error(rig, "InvalidArgs") && strstr(rig->text, "maybe"));
	CHECK(!rig_flash(rig, p->slot, pack.fd, "a{sv}", 2, "end", "s", "stay", "end", "s", "stay"));
	CHECK(is_error(rig, "InvalidArgs") && strstr(rig->text, "twice"));
	CHECK(!rig_flash(rig, p->slot, pack.fd, "a{sv}", 1, "entries", "as", 1, "no-such-entry"));
	CHECK(is_error(rig, "InvalidArgs") && strstr(rig->text, "no-such-entry"));
	CHECK(!rig_flash(rig, p->slot, pack.fd, "a{sv}", 1, "expect_device", "o", ROOT "/device/77"));
	CHECK(is_error(rig, "DeviceChanged"));
	CHECK(!rig_flash(rig, ROOT "/slot/none", pack.fd, NULL, 0));
	CHECK(!rig_call(rig, 5000, NULL, ROOT, MANAGER, "FlashNext", "haoa{sv}", pack.fd, 1,
			ROOT "/slot/none", 0));
	CHECK(is_error(rig, "NoSuchSlot"));
	CHECK(!rig_call(rig, 5000, NULL, ROOT, MANAGER, "FlashNextImage", "oaoa{sv}", ROOT "/image/9", 0, 0));
	CHECK(is_error(rig, "NoSuchImage"));
	CHECK(!rig_call(rig, 5000, NULL, ROOT, MANAGER, "GetJob", "t", (uint64_t)12));
	CHECK(is_error(rig, "NoSuchJob"));
	CHECK(phone_stage(p->phone) == PHONE_ROM && bed_count(bed_phone_dev(p->bp))->submits == 0);
	rig_package_free(&pack);
}

static bool refused_fd(struct rig *rig, const char *slot, int fd)
{
	bool ok = !rig_flash(rig, slot, fd, NULL, 0) && is_error(rig, "InvalidImage");

	if (!ok)
		tap_note("descriptor taken, or refused as '%s'", rig->error);
	close(fd);
	return ok;
}

static void descriptors(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;
	char path[128];
	int pipes[2];

	rig_package(rig, &pack, "sc9863a", 10, 4096);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	CHECK(refused_fd(rig, p->slot, open(pack.path, O_WRONLY | O_CLOEXEC)));
	CHECK(refused_fd(rig, p->slot, open(pack.path, O_RDWR | O_CLOEXEC)));
	CHECK(refused_fd(rig, p->slot, open(rig->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
	CHECK(refused_fd(rig, p->slot, open(pack.path, O_PATH | O_CLOEXEC)));
	CHECK(refused_fd(rig, p->slot, open("/dev/zero", O_RDONLY | O_CLOEXEC)));
	CHECK(pipe(pipes) == 0);
	CHECK(refused_fd(rig, p->slot, pipes[0]));
	close(pipes[1]);
	snprintf(path, sizeof(path), "%s/fifo", rig->dir);
	CHECK(mkfifo(path, 0600) == 0);
	CHECK(refused_fd(rig, p->slot, open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)));
	snprintf(path, sizeof(path), "%s/empty", rig->dir);
	close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	CHECK(!rig_flash(rig, p->slot, open(path, O_RDONLY | O_CLOEXEC), NULL, 0));
	CHECK(!strncmp(rig->error, ERR("Package"), strlen(ERR("Package"))) || is_error(rig, "InvalidImage"));
	/* and a right one still works */
	CHECK(rig_flash(rig, p->slot, pack.fd, NULL, 0));
	rig_package_free(&pack);
}

/* 17 descriptors in one message: the bus throws the caller out; the daemon does not notice. */
static void seventeen(struct rig *rig)
{
	sd_bus_message *call = NULL;
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	CHECK(rig_up(rig, NULL));
	CHECK(sd_bus_message_new_method_call(rig_bus(rig), &call, "org.fdld1", ROOT, MANAGER, "OpenImage") >=
	      0);
	for (int i = 0; i < 17; i++)
		CHECK(sd_bus_message_append(call, "h", null) >= 0);
	CHECK(sd_bus_send(rig_bus(rig), call, NULL) >= 0);
	sd_bus_message_unref(call);
	rig_sleep(rig, 200);
	rig_disconnect(rig);
	CHECK(!strcmp(rig_get(rig, ROOT, MANAGER, "Probing"), "false"));
	/* few enough to pass the bus, too many for the method */
	CHECK(!rig_call(rig, 5000, NULL, ROOT, MANAGER, "OpenImage", "hhha{sv}", null, null, null, 0));
	CHECK(!strcmp(rig->error, "org.freedesktop.DBus.Error.InvalidArgs"));
	close(null);
}

static void damaged_packages(struct rig *rig)
{
	static const struct {
		enum compose_damage damage;
		const char *error;
	} cases[] = {
		{ COMPOSE_TRUNCATE, "PackageSize" },
		{ COMPOSE_NOT_PAC, "PackageNotPac" },
		{ COMPOSE_FLIP_HEADER, "PackageHeaderCrc" },
	};
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;

	rig_package(rig, &pack, "sc9863a", 11, 4096);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		pack.spec.damage = cases[i].damage;
		rig_package_write(rig, &pack);
		CHECK(!rig_flash(rig, p->slot, pack.fd, NULL, 0));
		if (!is_error(rig, cases[i].error))
			tap_note("%s expected, %s came: %s", cases[i].error, rig->error, rig->text);
		CHECK(is_error(rig, cases[i].error));
	}
	/* the whole-file check is a gate: the loaders may have been sent, nothing was erased */
	pack.spec.damage = COMPOSE_FLIP_BODY;
	rig_package_write(rig, &pack);
	const char *job = rig_flash(rig, p->slot, pack.fd, NULL, 0);
	if (job) {
		CHECK(!strcmp(rig_wait(rig, job, 30000), ERR("PackageBodyCrc")));
		CHECK(!strcmp(rig_get(rig, job, JOB, "CancelLeaves"), "unchanged"));
	} else {
		CHECK(is_error(rig, "PackageBodyCrc"));
	}
	CHECK(phone_counters(p->phone)->erases == 0);
	rig_package_free(&pack);
}

/* ---- waiting, queueing, cancelling ------------------------------------------------ */

static void wait_for_phone(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "3", NULL);
	struct rig_package pack;
	sd_bus_message *m = NULL;
	const char *job;
	char path[64];

	rig_package(rig, &pack, "sc9863a", 12, 4096);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_call(rig, 5000, &m, ROOT, MANAGER, "FlashNext", "haoa{sv}", pack.fd, 0, 0));
	CHECK(sd_bus_message_read(m, "o", &job) > 0);
	snprintf(path, sizeof(path), "%s", job);
	sd_bus_message_unref(m);
	CHECK(!strcmp(rig_get(rig, path, JOB, "State"), "waiting-for-device"));
	CHECK(!strcmp(rig_get(rig, path, JOB, "Slot"), "/"));
	CHECK(rig_num(rig, path, PROG, "DeadlineUsec") <= 600000000u);
	bed_phone_plug(p->bp, true);
	CHECK(!strcmp(rig_wait(rig, path, 60000), ""));
	CHECK(!strcmp(rig_get(rig, path, JOB, "Slot"), p->slot));
	rig_package_free(&pack);
}

static void wait_expires(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "3", NULL);
	struct rig_package pack;
	const char *job;

	rig_package(rig, &pack, "sc9863a", 13, 4096);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	bed_phone_unplug(p->bp, true);
	CHECK(rig_expect(rig, 3000, p->slot, SLOT, "State", "empty"));
	CHECK(!rig_flash(rig, p->slot, pack.fd, "a{sv}", 1, "wait_usec", "t", (uint64_t)0));
	CHECK(is_error(rig, "SlotEmpty"));
	job = rig_flash(rig, p->slot, pack.fd, "a{sv}", 1, "wait_usec", "t", (uint64_t)300000);
	CHECK(job);
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "State"), "waiting"));
	CHECK(!strcmp(rig_wait(rig, job, 5000), ERR("WaitExpired")));
	CHECK(!strcmp(rig_get(rig, job, JOB, "State"), "failed"));
	rig_package_free(&pack);
}

static void slot_busy(struct rig *rig)
{
	struct phone_setup slow = { .time_percent = 100 };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &slow);
	struct rig_package pack;
	const char *first, *second;

	rig_package(rig, &pack, "sc9863a", 14, 4096);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	first = rig_flash(rig, p->slot, pack.fd, NULL, 0);
	CHECK(first && rig_expect(rig, 3000, p->slot, SLOT, "State", "busy"));
	second = rig_flash(rig, p->slot, pack.fd, NULL, 0);
	CHECK(second);
	CHECK(!strcmp(rig_get(rig, second, JOB, "State"), "queued"));
	CHECK(!strcmp(rig_get(rig, second, JOB, "QueuedFor"), "slot"));
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "Job"), first));
	CHECK(rig_num(rig, p->slot, SLOT, "Queued") == 1);
	CHECK(rig_call(rig, 5000, NULL, second, JOB, "Cancel", "a{sv}", 0));
	CHECK(!strcmp(rig_wait(rig, second, 5000), ERR("Cancelled")));
	CHECK(!strcmp(rig_wait(rig, first, 60000), ""));
	rig_package_free(&pack);
}

static void cancel(struct rig *rig)
{
	struct phone_setup slow = { .time_percent = 100 };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &slow);
	struct rig_package pack;
	const char *job;

	rig_package(rig, &pack, "sc9863a", 15, 4096);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	job = rig_flash(rig, p->slot, pack.fd, NULL, 0);
	CHECK(job && rig_expect(rig, 3000, job, JOB, "State", "running"));
	CHECK(!strcmp(rig_get(rig, job, JOB, "CancelBoundary"), "now"));
	CHECK(!strcmp(rig_get(rig, job, JOB, "CancelLeaves"), "unchanged"));
	CHECK(!rig_call(rig, 5000, NULL, job, JOB, "Cancel", "a{sv}", 1, "gently", "b", 1));
	CHECK(is_error(rig, "InvalidArgs"));
	CHECK(rig_call(rig, 5000, NULL, job, JOB, "Cancel", "a{sv}", 0));
	CHECK(!strcmp(rig_wait(rig, job, 10000), ERR("Cancelled")));
	CHECK(!strcmp(rig_get(rig, job, JOB, "State"), "cancelled"));
	CHECK(!strcmp(rig_dict(rig, job, JOB, "Result", "leaves"), "unchanged"));
	CHECK(!strcmp(rig_dict(rig, job, JOB, "ErrorDetails", "exit_code"), "13"));
	CHECK(!rig_call(rig, 5000, NULL, job, JOB, "Cancel", "a{sv}", 0));
	CHECK(is_error(rig, "NotCancelable"));
	CHECK(phone_counters(p->phone)->erases == 0);
	rig_package_free(&pack);
}

/* ---- callers ---------------------------------------------------------------------- */

static bool is_sha256(const char *hex, int fd, uint64_t size)
{
	uint8_t *bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0), sum[32];
	char want[65] = "";

	if (bytes == MAP_FAILED)
		return false;
	EVP_Digest(bytes, size, sum, NULL, EVP_sha256(), NULL);
	munmap(bytes, size);
	for (int i = 0; i < 32; i++)
		snprintf(want + 2 * i, 3, "%02x", sum[i]);
	return !strcmp(hex, want);
}

static void image_life(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;
	sd_bus_message *m = NULL;
	const char *s;
	char image[64], job[64];

	rig_package(rig, &pack, "sc9863a", 16, 4096);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	CHECK(rig_call(rig, 5000, &m, ROOT, MANAGER, "OpenImage", "ha{sv}", pack.fd, 1, "name", "s",
		       "x.pac"));
	CHECK(sd_bus_message_read(m, "o", &s) > 0);
	snprintf(image, sizeof(image), "%s", s);
	sd_bus_message_unref(m);
	CHECK(rig_expect(rig, 5000, image, IMAGE, "State", "good"));
	CHECK(is_sha256(rig_get(rig, image, IMAGE, "Digest"), pack.fd, pack.size));
	CHECK(rig_num(rig, image, IMAGE, "Size") == pack.size);
	CHECK(!strcmp(rig_get(rig, image, IMAGE, "Name"), "x.pac"));
	CHECK(rig_call(rig, 5000, &m, p->slot, SLOT, "FlashImage", "oa{sv}", image, 0));
	CHECK(sd_bus_message_read(m, "o", &s) > 0);
	snprintf(job, sizeof(job), "%s", s);
	sd_bus_message_unref(m);
	/* the job keeps it; the caller may go */
	CHECK(rig_call(rig, 5000, NULL, image, IMAGE, "Release", "a{sv}", 0));
	CHECK(!strcmp(rig_wait(rig, job, 60000), ""));
	CHECK(rig_expect(rig, 5000, image, IMAGE, "State", "?"));
	CHECK(!strcmp(rig_get(rig, job, JOB, "Image"), "/"));
	/* a client that leaves the bus gives back what it had */
	CHECK(rig_call(rig, 5000, &m, ROOT, MANAGER, "OpenImage", "ha{sv}", pack.fd, 0));
	CHECK(sd_bus_message_read(m, "o", &s) > 0);
	snprintf(image, sizeof(image), "%s", s);
	sd_bus_message_unref(m);
	CHECK(strcmp(rig_get(rig, image, IMAGE, "State"), "?"));
	rig_disconnect(rig);
	CHECK(rig_expect(rig, 5000, image, IMAGE, "State", "?"));
	rig_package_free(&pack);
}

static void client_dies(struct rig *rig)
{
	struct phone_setup slow = { .time_percent = 60 };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &slow);
	struct rig_package pack;
	char job[64];
	const char *s;

	rig_package(rig, &pack, "sc9863a", 17, 4096);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	s = rig_flash(rig, p->slot, pack.fd, NULL, 0);
	CHECK(s);
	snprintf(job, sizeof(job), "%s", s);
	CHECK(!rig_call(rig, 50, NULL, job, JOB, "Wait", NULL));
	rig_disconnect(rig);
	rig_sleep(rig, 50);
	CHECK(!strcmp(rig_wait(rig, job, 60000), ""));
	rig_package_free(&pack);
}

static int on_nothing(sd_bus_message *m, void *user, sd_bus_error *error)
{
	const sd_bus_error *e = sd_bus_message_get_error(m);

	if (e && !strcmp(e->name, ERR("LimitsExceeded")))
		(*(unsigned int *)user)++;
	return 0;
}

static bool six(void *user)
{
	return *(unsigned int *)user >= 6;
}

static void wait_limit(struct rig *rig)
{
	struct rig_package pack;
	sd_bus_message *m = NULL;
	unsigned int refused = 0;
	const char *s;
	char job[64];

	rig_package(rig, &pack, "sc9863a", 18, 4096);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_call(rig, 5000, &m, ROOT, MANAGER, "FlashNext", "haoa{sv}", pack.fd, 0, 0));
	CHECK(sd_bus_message_read(m, "o", &s) > 0);
	snprintf(job, sizeof(job), "%s", s);
	sd_bus_message_unref(m);
	for (int i = 0; i < 70; i++)
		CHECK(sd_bus_call_method_async(rig_bus(rig), NULL, "org.fdld1", job, JOB, "Wait", on_nothing,
					       &refused, NULL) >= 0);
	CHECK(rig_until(rig, 5000, six, &refused));
	rig_sleep(rig, 200);
	CHECK(refused == 6);
	rig_package_free(&pack);
}

/* Only where there is a second user: as real root. */
static void stranger(struct rig *rig)
{
	char out[2048];
	const char *as = "setpriv --reuid=65534 --regid=65534 --clear-groups ";
	char command[512];

	CHECK(rig_up(rig, NULL));
	snprintf(command, sizeof(command), "%s true 2>&1", as);
	if (bed_sh(rig->bed, 5000, out, sizeof(out), command) != 0)
		return;
	snprintf(command, sizeof(command),
		 "%s gdbus call --system -d org.fdld1 -o " ROOT " -m org.fdld1.Manager.Drain '{}' 2>&1", as);
	CHECK(bed_sh(rig->bed, 10000, out, sizeof(out), command) != 0);
	CHECK(strstr(out, ERR("NotAuthorized")));
	snprintf(command, sizeof(command),
		 "%s busctl --system get-property org.fdld1 " ROOT " org.fdld1.Manager Draining 2>&1", as);
	CHECK(bed_sh(rig->bed, 10000, out, sizeof(out), command) == 0);
	CHECK(strstr(out, "b false"));
}

static void drain(struct rig *rig)
{
	struct rig_package pack;

	rig_package(rig, &pack, "sc9863a", 19, 4096);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_call(rig, 5000, NULL, ROOT, MANAGER, "Drain", "a{sv}", 0));
	CHECK(!strcmp(rig_get(rig, ROOT, MANAGER, "Draining"), "true"));
	CHECK(!rig_call(rig, 5000, NULL, ROOT, MANAGER, "FlashNext", "haoa{sv}", pack.fd, 0, 0));
	CHECK(is_error(rig, "Draining"));
	rig_package_free(&pack);
}

static const struct rig_test tests[] = {
	{ "start, READY, STATUS, STOPPING", starts },
	{ "state directory missing, foreign, no directory", state_directory },
	{ "name taken", name_taken },
	{ "no bus", no_bus },
	{ "watchdog", watchdog },
	{ "introspection equals dbus/*.xml", introspection },
	{ "ObjectManager, late client, phone leaves", object_manager },
	{ "signals say what can be read", signals },
	{ "flash passes, storage equals package, NV kept", flash_passes },
	{ "flash verified", flash_verified },
	{ "dry run writes nothing", dry_run },
	{ "flash from a shell", shell_flash },
	{ "options refused by name, expect_device", options_refused },
	{ "wrong kinds of descriptors", descriptors },
	{ "17 descriptors", seventeen },
	{ "damaged packages", damaged_packages },
	{ "FlashNext waits for a phone", wait_for_phone },
	{ "waiting ends: SlotEmpty, WaitExpired", wait_expires },
	{ "a busy slot queues", slot_busy },
	{ "cancel", cancel },
	{ "life of an image", image_life },
	{ "a client dies, its job does not", client_dies },
	{ "limit of open Waits", wait_limit },
	{ "a stranger reads and asks in vain", stranger },
	{ "drain", drain },
};

int main(void)
{
	return rig_run(tests, sizeof(tests) / sizeof(tests[0]));
}
