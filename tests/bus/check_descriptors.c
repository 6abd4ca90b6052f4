/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What callers hand in: descriptors of every kind, too many, none, files that change, and files on a disk
 * that stops answering.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/bus/authority.h"

#define ERR(name) "org.fdld1.Error." name

static struct rig_phone *phone;
static struct rig_package pack;

static bool set(struct rig *rig, const struct phone_setup *setup, char *const more[])
{
	phone = rig_phone(rig, "sc9863a", "1", setup);
	rig_package(rig, &pack, "sc9863a", 50, 200000);
	return rig_up(rig, more) && rig_plug(rig, phone);
}

static bool is_error(struct rig *rig, const char *name)
{
	return !strcmp(rig->error, name);
}

static bool untouched(void)
{
	const struct bed_count *c = bed_count(bed_phone_dev(phone->bp));

	return !c->opens && !c->submits;
}

/* Open descriptors of the daemon; those of a file also have to be read-only there. */
static int open_fds(const struct rig *rig, const char *of)
{
	char path[96], link[256], text[512];
	const struct dirent *e;
	int n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", rig->daemon);
	dir = opendir(path);
	while (dir && (e = readdir(dir))) {
		ssize_t len;
		FILE *f;

		if (e->d_name[0] == '.')
			continue;
		if (!of) {
			n++;
			continue;
		}
		snprintf(path, sizeof(path), "/proc/%d/fd/%.20s", rig->daemon, e->d_name);
		len = readlink(path, link, sizeof(link) - 1);
		link[len > 0 ? len : 0] = '\0';
		if (strncmp(link, of, strlen(of)) != 0)
			continue;
		n++;
		snprintf(path, sizeof(path), "/proc/%d/fdinfo/%.20s", rig->daemon, e->d_name);
		f = fopen(path, "r");
		while (f && fgets(text, sizeof(text), f))
			if (!strncmp(text, "flags:", 6) &&
			    (strtoul(text + 6, NULL, 8) & O_ACCMODE) != O_RDONLY)
				n = -1000;
		if (f)
			fclose(f);
	}
	if (dir)
		closedir(dir);
	return n;
}

/* How many it has open once it has started: for half a second as many. */
static int usual(struct rig *rig)
{
	int n = open_fds(rig, NULL);

	for (int same = 0, i = 0; same < 5 && i < 100; i++) {
		rig_sleep(rig, 100);
		same = open_fds(rig, NULL) == n ? same + 1 : 0;
		n = open_fds(rig, NULL);
	}
	return n;
}

static bool settled(struct rig *rig, int expected)
{
	for (int i = 0; i < 50 && open_fds(rig, NULL) != expected; i++)
		rig_sleep(rig, 100);
	if (open_fds(rig, NULL) != expected)
		tap_note("%d descriptors were open, %d are", expected, open_fds(rig, NULL));
	return open_fds(rig, NULL) == expected;
}

/* ---- kinds -------------------------------------------------------------------------- */

/* By every method that takes one. Closes fd. */
static bool refused(struct rig *rig, int fd, const char *what)
{
	bool ok = fd >= 0 && !rig_call(rig, 5000, NULL, phone->slot, SLOT, "Flash", "ha{sv}", fd, 0) &&
		  is_error(rig, ERR("InvalidImage")) &&
		  !rig_call(rig, 5000, NULL, ROOT, MANAGER, "OpenImage", "ha{sv}", fd, 0) &&
		  is_error(rig, ERR("InvalidImage")) &&
		  !rig_call(rig, 5000, NULL, ROOT, MANAGER, "ImportImage", "ha{sv}", fd, 0) &&
		  is_error(rig, ERR("InvalidImage")) &&
		  !rig_call(rig, 5000, NULL, ROOT, MANAGER, "FlashNext", "haoa{sv}", fd, 0, 0) &&
		  is_error(rig, ERR("InvalidImage"));

	if (!ok)
		tap_note("%s (%d): '%s'", what, fd, rig->error);
	if (fd >= 0)
		close(fd);
	return ok;
}

static void kinds(struct rig *rig)
{
	char path[128];
	int pair[2], before, fd;

	CHECK(set(rig, NULL, NULL));
	CHECK(rig_call(rig, 5000, NULL, ROOT, MANAGER, "GetSlot", "s", phone->id));
	before = usual(rig);
	CHECK(refused(rig, open(pack.path, O_WRONLY | O_CLOEXEC), "write-only"));
	CHECK(refused(rig, open(pack.path, O_RDWR | O_CLOEXEC), "read-write"));
	CHECK(refused(rig, open(pack.path, O_PATH | O_CLOEXEC), "O_PATH"));
	CHECK(refused(rig, open(rig->dir, O_PATH | O_DIRECTORY | O_CLOEXEC), "O_PATH of a directory"));
	CHECK(refused(rig, open(rig->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), "directory"));
	CHECK(refused(rig, open("/dev/zero", O_RDONLY | O_CLOEXEC), "character device"));
	CHECK(pipe2(pair, O_CLOEXEC) == 0);
	CHECK(refused(rig, pair[0], "pipe"));
	CHECK(refused(rig, pair[1], "end of a pipe that is written"));
	snprintf(path, sizeof(path), "%s/fifo", rig->dir);
	CHECK(mkfifo(path, 0600) == 0);
	CHECK(refused(rig, open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC), "FIFO"));
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	CHECK(refused(rig, pair[0], "socket"));
	CHECK(shutdown(pair[1], SHUT_WR) == 0);
	CHECK(refused(rig, pair[1], "socket that only reads"));
	CHECK(refused(rig, eventfd(0, EFD_CLOEXEC), "eventfd"));
	CHECK(refused(rig, epoll_create1(EPOLL_CLOEXEC), "epoll"));
	CHECK(refused(rig, memfd_create("x", MFD_CLOEXEC), "memfd"));
	CHECK(refused(rig, open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC), "namespace"));
	snprintf(path, sizeof(path), "%s/empty", rig->dir);
	CHECK(refused(rig, open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0600), "empty"));
	fd = open(path, O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0 && ftruncate(fd, INT64_C(1) << 42) == 0);
	close(fd);
	CHECK(refused(rig, open(path, O_RDONLY | O_CLOEXEC), "4 TiB of nothing"));
	CHECK(refused(rig, open("/proc/self/maps", O_RDONLY | O_CLOEXEC),
		      "a file of /proc, which has no size"));
	CHECK(untouched());
	CHECK(settled(rig, before));
	/* what does not matter for a file is taken as it is */
	fd = open(pack.path, O_RDONLY | O_NONBLOCK | O_APPEND | O_CLOEXEC);
	CHECK(rig_call(rig, 5000, NULL, ROOT, MANAGER, "OpenImage", "ha{sv}", fd, 0));
	close(fd);
	rig_package_free(&pack);
}

/* ---- too many, none ------------------------------------------------------------------ */

static sd_bus_message *many(struct rig *rig, int fd, int count)
{
	sd_bus_message *call = NULL;
	int r = sd_bus_message_new_method_call(rig_bus(rig), &call, "org.fdld1", ROOT, MANAGER, "OpenImage");

	for (int i = 0; r >= 0 && i < count; i++)
		r = sd_bus_message_append(call, "h", fd);
	return r < 0 ? NULL : call;
}

static void seventeen(struct rig *rig)
{
	sd_bus_message *call;
	int before, null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	CHECK(set(rig, NULL, NULL));
	CHECK(rig_call(rig, 5000, NULL, ROOT, MANAGER, "GetSlot", "s", phone->id));
	before = usual(rig);
	/* as many as the bus passes, too many for the method */
	for (int i = 0; i < 20; i++) {
		call = many(rig, null, 16);
		CHECK(call && sd_bus_send(rig_bus(rig), call, NULL) >= 0);
		sd_bus_message_unref(call);
	}
	CHECK(settled(rig, before));
	/* one more: the bus throws the caller out, and the daemon does not notice */
	call = many(rig, null, 17);
	CHECK(call && sd_bus_send(rig_bus(rig), call, NULL) >= 0);
	sd_bus_message_unref(call);
	rig_sleep(rig, 200);
	rig_disconnect(rig);
	CHECK(!strcmp(rig_get(rig, ROOT, MANAGER, "Probing"), "false"));
	CHECK(!rig_call(rig, 5000, NULL, ROOT, MANAGER, "OpenImage", "hhha{sv}", null, null, null, 0));
	CHECK(is_error(rig, "org.freedesktop.DBus.Error.InvalidArgs"));
	CHECK(untouched() && settled(rig, before));
	CHECK(rig_flash(rig, phone->slot, pack.fd, NULL, 0));
	close(null);
	rig_package_free(&pack);
}

struct raw_field {
	uint8_t code;
	const char *text;
};

/* A method call put together by hand (little endian); no library would make the one we need. */
static size_t raw_call(uint8_t *out, uint32_t serial, const struct raw_field *fields, const char *signature,
		       const void *body, uint32_t body_len)
{
	uint32_t len;
	size_t n = 16;

	memset(out, 0, 512);
	for (; fields->text; fields++) {
		len = (uint32_t)strlen(fields->text);
		n = (n + 7) & ~(size_t)7;
		out[n] = fields->code;
		out[n + 1] = 1;
		out[n + 2] = fields->code == 1 ? 'o' : 's';
		memcpy(out + n + 4, &len, 4);
		memcpy(out + n + 8, fields->text, len);
		n += 8 + len + 1;
	}
	if (signature) {
		n = (n + 7) & ~(size_t)7;
		out[n] = 8;
		out[n + 1] = 1;
		out[n + 2] = 'g';
		out[n + 4] = (uint8_t)strlen(signature);
		memcpy(out + n + 5, signature, strlen(signature));
		n += 5 + strlen(signature) + 1;
	}
	len = (uint32_t)(n - 16);
	memcpy(out, "l\1\0\1", 4);
	memcpy(out + 4, &body_len, 4);
	memcpy(out + 8, &serial, 4);
	memcpy(out + 12, &len, 4);
	n = (n + 7) & ~(size_t)7;
	memcpy(out + n, body, body_len);
	return n + body_len;
}

/* Its body says "descriptor number n", and it carries none. */
static size_t lie(uint8_t *out, uint32_t serial, uint32_t number)
{
	static const struct raw_field fields[] = {
		{ 1, ROOT }, { 2, MANAGER }, { 3, "OpenImage" }, { 6, "org.fdld1" }, { 0, NULL }
	};
	uint32_t body[2] = { number, 0 };

	return raw_call(out, serial, fields, "ha{sv}", body, sizeof(body));
}

static size_t hello(uint8_t *out)
{
	static const struct raw_field fields[] = { { 1, "/org/freedesktop/DBus" },
						   { 2, "org.freedesktop.DBus" },
						   { 3, "Hello" },
						   { 6, "org.freedesktop.DBus" },
						   { 0, NULL } };

	return raw_call(out, 1, fields, NULL, "", 0);
}

static bool say(int fd, const void *data, size_t len)
{
	return send(fd, data, len, MSG_NOSIGNAL) == (ssize_t)len;
}

static void none(struct rig *rig)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = "/run/dbus/system_bus_socket" };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	static const char login[] = "\0AUTH EXTERNAL\r\nDATA\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n";
	uint8_t message[512];
	char answer[4096];
	size_t got = 0;

	CHECK(set(rig, NULL, NULL));
	CHECK(connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0);
	CHECK(say(fd, login, sizeof(login) - 1));
	CHECK(say(fd, message, hello(message)));
	for (uint32_t i = 0; i < 4; i++)
		CHECK(say(fd, message, lie(message, 2 + i, i ? 0x7fffffffu * i : 0)));
	for (int i = 0; i < 50; i++) {
		ssize_t n;

		rig_sleep(rig, 10);
		n = recv(fd, answer + got, sizeof(answer) - got, MSG_DONTWAIT);
		got += n > 0 ? (size_t)n : 0;
	}
	/* the bus or the daemon: somebody must have refused, and the daemon goes on */
	CHECK(!memmem(answer, got, "/org/fdld1/image/", 17));
	CHECK(memmem(answer, got, "org.freedesktop.DBus", 20));
	tap_note("%zu bytes came back%s", got,
		 memmem(answer, got, "InvalidArgs", 11) ? ", InvalidArgs among them" : "");
	close(fd);
	CHECK(rig_counter(rig, "images") == 0);
	CHECK(untouched());
	CHECK(rig_flash(rig, phone->slot, pack.fd, NULL, 0));
	rig_package_free(&pack);
}

/* ---- only what was handed in ---------------------------------------------------------- */

static bool passes(struct rig *rig, const char *job)
{
	char wrong[128] = "", error[128];

	snprintf(error, sizeof(error), "%s", rig_wait(rig, job, 60000));
	if (error[0])
		tap_note("%s", error);
	return !error[0] && rig_compare(phone->phone, &pack, wrong, sizeof(wrong)) > 0 && !wrong[0];
}

/*
 * Once it is open its name is nothing to us: another file stands there, which nobody may read; and what we
 * have of it cannot be written through.
 */
static void never_reopened(struct rig *rig)
{
	struct phone_setup waits = { .faults = "late at end of l_modem for 1s" };
	char path[160];
	const char *job;
	int fd;

	CHECK(set(rig, &waits, NULL));
	snprintf(path, sizeof(path), "%s/moved", rig->dir);
	/* the offset is the caller's: it may stand anywhere, and stays there */
	CHECK(lseek(pack.fd, 4711, SEEK_SET) == 4711);
	job = rig_flash(rig, phone->slot, pack.fd, NULL, 0);
	CHECK(job && rename(pack.path, path) == 0);
	fd = open(pack.path, O_WRONLY | O_CREAT | O_CLOEXEC, 0000);
	CHECK(fd >= 0 && write(fd, "no package", 10) == 10);
	close(fd);
	CHECK(unlink(path) == 0);
	CHECK(rig_expect(rig, 20000, job, JOB, "Entry", "l_modem"));
	CHECK(open_fds(rig, path) == 1 && open_fds(rig, pack.path) == 0);
	CHECK(passes(rig, job));
	CHECK(lseek(pack.fd, 0, SEEK_CUR) == 4711);
	rig_package_free(&pack);
}

/* The caller has closed its own before the call was even read. */
static void closed_early(struct rig *rig)
{
	sd_bus_message *call = NULL;
	int fd;

	CHECK(set(rig, NULL, NULL));
	fd = open(pack.path, O_RDONLY | O_CLOEXEC);
	CHECK(sd_bus_message_new_method_call(rig_bus(rig), &call, "org.fdld1", phone->slot, SLOT, "Flash") >=
	      0);
	CHECK(sd_bus_message_append(call, "ha{sv}", fd, 0) >= 0);
	close(fd);
	CHECK(sd_bus_send(rig_bus(rig), call, NULL) >= 0 && sd_bus_flush(rig_bus(rig)) >= 0);
	sd_bus_message_unref(call);
	CHECK(rig_expect(rig, 5000, ROOT "/job/1", JOB, "StartedBy", "0"));
	CHECK(passes(rig, ROOT "/job/1"));
	rig_package_free(&pack);
}

/* ---- files that shrink ---------------------------------------------------------------- */

static void shrinks(struct rig *rig)
{
	struct phone_setup waits = { .faults = "late at end of l_modem for 1s" };
	const char *job;
	char image[64];
	sd_bus_message *m = NULL;
	const char *s;

	CHECK(set(rig, &waits, NULL));
	job = rig_flash(rig, phone->slot, pack.fd, NULL, 0);
	CHECK(job && rig_expect(rig, 20000, job, JOB, "Entry", "l_modem"));
	CHECK(truncate(pack.path, 4096) == 0);
	CHECK(!strcmp(rig_wait(rig, job, 60000), ERR("PackageChanged")));
	CHECK(!strcmp(rig_get(rig, job, JOB, "CancelLeaves"), "needs-flash"));
	/* shorter from the start: its header says how long it is */
	CHECK(!rig_flash(rig, phone->slot, pack.fd, NULL, 0) && is_error(rig, ERR("PackageSize")));
	/* between opening and flashing */
	rig_package_write(rig, &pack);
	CHECK(rig_call(rig, 5000, &m, ROOT, MANAGER, "OpenImage", "ha{sv}", pack.fd, 0));
	CHECK(sd_bus_message_read(m, "o", &s) > 0);
	snprintf(image, sizeof(image), "%s", s);
	sd_bus_message_unref(m);
	CHECK(rig_expect(rig, 5000, image, IMAGE, "State", "good"));
	CHECK(truncate(pack.path, (off_t)pack.size / 2) == 0);
	bed_phone_unplug(phone->bp, true);
	CHECK(rig_expect(rig, 5000, phone->slot, SLOT, "State", "empty"));
	CHECK(rig_plug(rig, phone));
	CHECK(rig_call(rig, 5000, &m, phone->slot, SLOT, "FlashImage", "oa{sv}", image, 0));
	CHECK(sd_bus_message_read(m, "o", &s) > 0);
	CHECK(!strcmp(rig_wait(rig, s, 60000), ERR("PackageChanged")));
	sd_bus_message_unref(m);
	rig_package_free(&pack);
}

static const struct rig_test tests[] = {
	{ "every kind of descriptor that is no package", kinds },
	{ "17 descriptors", seventeen },
	{ "a descriptor that is not there", none },
	{ "never opened again by name, only read", never_reopened },
	{ "closed by its caller", closed_early },
	{ "a file that shrinks", shrinks },
};

int main(void)
{
	return rig_run(tests, sizeof(tests) / sizeof(tests[0]));
}
