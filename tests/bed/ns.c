/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Namespaces and mounts: a private /run, /dev and the parts of /sys that libudev reads. /sys itself stays a
 * sysfs, because libusb asks statfs what it is; a private network namespace has its own uevent groups, to
 * which its owner may send.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bed/internal.h"

_Noreturn void bed_die(const char *fmt, ...)
{
	int saved = errno;
	va_list ap;

	fputs("bed: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, ": %s\n", strerror(saved));
	exit(99);
}

/* One line, in the form of a TAP plan, so that a harness can show it as it is. */
static _Noreturn void refuse(const char *what, const char *remedy)
{
	printf("1..0 # SKIP the bed cannot run here: %s: %s; %s\n", what, strerror(errno), remedy);
	fflush(stdout);
	_exit(77);
}

void bed_put(const char *path, const void *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0 || write(fd, data, len) != (ssize_t)len)
		bed_die("write %s", path);
	close(fd);
}

void bed_putf(const char *dir, const char *file, const char *fmt, ...)
{
	char path[320], text[1024];
	va_list ap;
	int n;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	bed_put(path, text, (size_t)n);
}

void bed_mkdirs(const char *path)
{
	char copy[320];
	char *p;

	snprintf(copy, sizeof(copy), "%s", path);
	for (p = copy + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		mkdir(copy, 0755);
		*p = '/';
	}
	if (mkdir(copy, 0755) < 0 && errno != EEXIST)
		bed_die("mkdir %s", copy);
}

static void map_ids(uid_t uid, gid_t gid)
{
	bed_putf("/proc/self", "setgroups", "deny");
	bed_putf("/proc/self", "uid_map", "0 %u 1", uid);
	bed_putf("/proc/self", "gid_map", "0 %u 1", gid);
}

static void make_dev(void)
{
	static const char *const nodes[] = { "null", "zero", "full", "random", "urandom" };
	static const char *const dirs[] = { "pts", "shm", "bus/usb" };
	static const char *const links[][2] = { { "pts/ptmx", "ptmx" },
						{ "/proc/self/fd", "fd" },
						{ "/proc/self/fd/0", "stdin" },
						{ "/proc/self/fd/1", "stdout" },
						{ "/proc/self/fd/2", "stderr" } };
	char from[64], to[64];
	size_t i;

	bed_mkdirs(BED_STAGE_DIR);
	MUST(mount("bed", BED_STAGE_DIR, "tmpfs", 0, "mode=755"));
	for (i = 0; i < sizeof(nodes) / sizeof(*nodes); i++) {
		snprintf(from, sizeof(from), "/dev/%s", nodes[i]);
		snprintf(to, sizeof(to), BED_STAGE_DIR "/%s", nodes[i]);
		bed_put(to, "", 0);
		MUST(mount(from, to, NULL, MS_BIND, NULL));
	}
	for (i = 0; i < sizeof(dirs) / sizeof(*dirs); i++) {
		snprintf(to, sizeof(to), BED_STAGE_DIR "/%s", dirs[i]);
		bed_mkdirs(to);
	}
	MUST(chmod(BED_STAGE_DIR "/shm", 01777));
	MUST(mount("devpts", BED_STAGE_DIR "/pts", "devpts", 0, "newinstance,ptmxmode=0666,mode=0600"));
	for (i = 0; i < sizeof(links) / sizeof(*links); i++) {
		snprintf(to, sizeof(to), BED_STAGE_DIR "/%s", links[i][1]);
		MUST(symlink(links[i][0], to));
	}
	MUST(mount(BED_STAGE_DIR, "/dev", NULL, MS_MOVE, NULL));
	rmdir(BED_STAGE_DIR);
}

/* Finds out in a child whether the kernel lets us trap calls, before a test relies on it. */
static void try_trap(void)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		_exit(trap_install(false) < 0 ? errno : 0);
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		bed_die("fork");
	if (!WIFEXITED(status) || WEXITSTATUS(status)) {
		errno = WIFEXITED(status) ? WEXITSTATUS(status) : EINVAL;
		refuse("seccomp user notification",
		       "it needs Linux 5.19 or newer and a container that allows seccomp(2)");
	}
}

void bed_enter(void)
{
	static const char *const over[] = { "/run",	"/sys/bus",	"/sys/class",
					    "/sys/dev", "/sys/devices", "/sys/module" };
	uid_t uid = geteuid();
	gid_t gid = getegid();
	size_t i;

	if (unshare(CLONE_NEWNS | CLONE_NEWNET | (uid ? CLONE_NEWUSER : 0)) < 0)
		refuse("unshare",
		       "run as root, or allow user namespaces (sysctl kernel.unprivileged_userns_clone=1, "
		       "kernel.apparmor_restrict_unprivileged_userns=0, user.max_user_namespaces)");
	if (uid)
		map_ids(uid, gid);
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("bed", over[0], "tmpfs", 0, "mode=755") < 0)
		refuse("mount",
		       "run as root in a container that may mount (CAP_SYS_ADMIN), or outside of one");
	for (i = 1; i < sizeof(over) / sizeof(*over); i++) {
		/* a kernel without modules has no /sys/module */
		if (mount("bed", over[i], "tmpfs", 0, "mode=755") < 0 && errno != ENOENT)
			refuse("mount", "run as root outside of a container");
	}
	make_dev();
	bed_mkdirs("/sys/bus/usb/devices");
	bed_mkdirs("/sys/dev/char");
	bed_mkdirs("/sys/module/usbcore/parameters");
	bed_mkdirs("/run/dbus");
	bed_mkdirs("/run/udev/data");
	/* without it libudev takes /dev for a plain directory that no udevd serves, and keeps its monitor
	 * shut */
	bed_put("/run/udev/control", "", 0);
	/* /sys/devices is a tmpfs here, which libudev would not take for a sysfs */
	setenv("SYSTEMD_DEVICE_VERIFY_SYSFS", "0", 1);
	unsetenv("DBUS_SYSTEM_BUS_ADDRESS");
	try_trap();
}
