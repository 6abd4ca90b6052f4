/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who may see what of the history: a stranger sees jobs and backups, whole identities and NV only with
 * polkit's leave; and what a caller is given cannot be changed by anybody.
 */
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/bus/authority.h"

#define EXPORT_NV      "org.fdld1.export-nv"
#define MANAGE_HISTORY "org.fdld1.manage-history"

/* The lines of the descriptor that comes next; false: there is none, or somebody could change it. */
static bool read_lines(sd_bus_message *reply, char *text, size_t room)
{
	int fd, seals;
	ssize_t n;

	if (sd_bus_message_read(reply, "h", &fd) < 0)
		return false;
	seals = fcntl(fd, F_GET_SEALS);
	n = pread(fd, text, room - 1, 0);
	if (n < 0 || seals != (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE))
		return false;
	text[n] = '\0';
	return write(fd, "x", 1) < 0 && errno == EPERM && ftruncate(fd, n + 1) < 0;
}

/* Length of the identity in the first line. */
static size_t unit_len(const char *line)
{
	const char *at = strstr(line, "\"unit\":\"");

	return at ? strcspn(at + 8, "\"") : 0;
}

static bool flashed(struct rig *rig, struct scene *s)
{
	const char *job = rig_flash(rig, s->phone->slot, s->pack.fd, NULL, 0);

	/* what is asked next must have it, however slow the disk is */
	return job && !strcmp(rig_wait(rig, job, 60000), "");
}

static void history(struct rig *rig)
{
	static char text[65536];
	sd_bus_message *reply;
	struct authority *a;
	struct scene s;

	CHECK(scene_set(rig, &s, NULL));
	a = authority_new(rig, AUTHORITY_NO);
	CHECK(flashed(rig, &s));
	/* a read, for which nobody is asked */
	CHECK(user_call(rig, s.user, 5000, &reply, ROOT, MANAGER, "History", "a{sv}", 1, "steps", "b", 1));
	CHECK(read_lines(reply, text, sizeof(text)));
	sd_bus_message_unref(reply);
	CHECK(!a->asked && strstr(text, "\"result\":\"succeeded\"") && unit_len(text) == 8);
	/* whole identities are none */
	CHECK(!user_call(rig, s.user, 5000, NULL, ROOT, MANAGER, "History", "a{sv}", 1, "full", "b", 1));
	CHECK(!strcmp(s.user->error, NOT_AUTHORIZED) && a->asked == 1);
	CHECK(!strcmp(a->last.action, EXPORT_NV) && !strcmp(a->last.operation, "history full"));
	CHECK(!strcmp(a->last.slot, "any"));
	a->mood = AUTHORITY_YES;
	CHECK(user_call(rig, s.user, 5000, &reply, ROOT, MANAGER, "History", "a{sv}", 2, "full", "b", 1,
			"slot", "s", s.phone->id));
	CHECK(read_lines(reply, text, sizeof(text)) && unit_len(text) == 64);
	sd_bus_message_unref(reply);
	CHECK(a->asked == 2 && !strcmp(a->last.slot, s.phone->id));
	/* the whole of it is nobody's to read through */
	a->mood = AUTHORITY_NO;
	CHECK(!user_call(rig, s.user, 5000, NULL, ROOT, MANAGER, "HistoryVerify", "a{sv}", 0));
	CHECK(!strcmp(s.user->error, NOT_AUTHORIZED) && !strcmp(a->last.action, MANAGE_HISTORY));
	CHECK(!user_call(rig, s.user, 5000, NULL, ROOT, MANAGER, "HistoryRebuild", "a{sv}", 0));
	CHECK(!strcmp(s.user->error, NOT_AUTHORIZED) && !strcmp(a->last.action, MANAGE_HISTORY));
	a->mood = AUTHORITY_YES;
	CHECK(user_call(rig, s.user, 5000, &reply, ROOT, MANAGER, "HistoryVerify", "a{sv}", 0));
	CHECK(read_lines(reply, text, sizeof(text)) && !*text);
	sd_bus_message_unref(reply);
	CHECK(user_call(rig, s.user, 5000, NULL, ROOT, MANAGER, "HistoryRebuild", "a{sv}", 0));
	scene_strike(&s);
}

static void backups(struct rig *rig)
{
	static char text[65536];
	char path[128], name[64] = "", want[160];
	sd_bus_message *reply;
	struct authority *a;
	struct stat st;
	struct scene s;
	int fd;

	CHECK(scene_set(rig, &s, NULL));
	a = authority_new(rig, AUTHORITY_NO);
	CHECK(flashed(rig, &s));
	CHECK(user_call(rig, s.user, 5000, &reply, ROOT, MANAGER, "Backups", "a{sv}", 0));
	CHECK(read_lines(reply, text, sizeof(text)) && !a->asked && unit_len(text) == 8);
	sd_bus_message_unref(reply);
	CHECK(strstr(text, "\"name\":\"") && sscanf(strstr(text, "\"name\":\"") + 8, "%63[^\"]", name) == 1);
	CHECK(!user_call(rig, s.user, 5000, NULL, ROOT, MANAGER, "Backups", "a{sv}", 1, "full", "b", 1));
	CHECK(!strcmp(s.user->error, NOT_AUTHORIZED) && !strcmp(a->last.action, EXPORT_NV));
	/* content: asked, and told what about */
	snprintf(path, sizeof(path), "%s/copy", rig->dir);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	CHECK(fd >= 0);
	CHECK(!user_call(rig, s.user, 5000, NULL, ROOT, MANAGER, "ExportBackup", "tsha{sv}", (uint64_t)1,
			 name, fd, 0));
	snprintf(want, sizeof(want), "export-nv job 1 %s", name);
	CHECK(!strcmp(s.user->error, NOT_AUTHORIZED) && !strcmp(a->last.action, EXPORT_NV));
	CHECK(!strcmp(a->last.operation, want) && !strcmp(a->last.slot, s.phone->id));
	CHECK(fstat(fd, &st) == 0 && st.st_size == 0);
	a->mood = AUTHORITY_YES;
	CHECK(user_call(rig, s.user, 5000, NULL, ROOT, MANAGER, "ExportBackup", "tsha{sv}", (uint64_t)1, name,
			fd, 0));
	CHECK(fstat(fd, &st) == 0 && st.st_size > 0);
	close(fd);
	scene_strike(&s);
}

static const struct rig_test tests[] = {
	{ "a stranger and the history", history },
	{ "a stranger and the backups", backups },
};

int main(void)
{
	return users_run(tests, sizeof(tests) / sizeof(tests[0]));
}
