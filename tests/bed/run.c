/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The loop of the bed, the processes it starts, and what they say through NOTIFY_SOCKET.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/netlink.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/bed/internal.h"

#define NOTIFY_PATH "/run/bed-notify"
#define NS_PER_MS   UINT64_C(1000000)
#define RECHECK_NS  (10 * NS_PER_MS)

uint64_t bed_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* ---- notifications --------------------------------------------------------------------------------- */

static void notify_line(struct bed_notify *notify, const char *line)
{
	if (!strcmp(line, "READY=1"))
		notify->ready = true;
	else if (!strcmp(line, "STOPPING=1"))
		notify->stopping = true;
	else if (!strcmp(line, "RELOADING=1"))
		notify->reloading = true;
	else if (!strcmp(line, "WATCHDOG=1"))
		notify->watchdogs++;
	else if (sscanf(line, "EXTEND_TIMEOUT_USEC=%" SCNu64, &notify->extend_usec) == 1)
		notify->extends++;
	else if (!strncmp(line, "STATUS=", 7))
		snprintf(notify->status, sizeof(notify->status), "%.*s", (int)sizeof(notify->status) - 1,
			 line + 7);
}

static void notify_read(struct bed *bed)
{
	char text[2048], *line, *save;
	ssize_t n;

	while ((n = recv(bed->notify_fd, text, sizeof(text) - 1, MSG_DONTWAIT)) > 0) {
		text[n] = '\0';
		for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
			notify_line(&bed->notify, line);
	}
}

const struct bed_notify *bed_notify(struct bed *bed)
{
	notify_read(bed);
	return &bed->notify;
}

/* ---- the loop ------------------------------------------------------------------------------------- */

/* Looks at every device whose time has come; returns when the next one's does. */
static uint64_t look(struct bed *bed, uint64_t now)
{
	uint64_t next = UINT64_MAX;
	unsigned int i;

	for (i = 0; i < bed->devs; i++) {
		struct bed_dev *dev = bed->dev[i];

		if (dev->due <= now && !dev->busy)
			usbfs_look(dev, now);
		if (dev->due < next)
			next = dev->due;
	}
	return next;
}

static void wait_and_serve(struct bed *bed, uint64_t wait)
{
	struct timespec ts = { (time_t)(wait / 1000000000u), (long)(wait % 1000000000u) };
	struct pollfd fds[BED_PROC_MAX + 2];
	struct proc *procs[BED_PROC_MAX];
	nfds_t n = 0, i, listeners;

	for (i = 0; i < BED_PROC_MAX; i++) {
		if (!bed->proc[i].pid || bed->proc[i].listener < 0)
			continue;
		procs[n] = &bed->proc[i];
		fds[n++] = (struct pollfd){ bed->proc[i].listener, POLLIN, 0 };
	}
	listeners = n;
	fds[n++] = (struct pollfd){ bed->notify_fd, POLLIN, 0 };
	if (bed->watch_fd >= 0)
		fds[n++] = (struct pollfd){ bed->watch_fd, POLLIN, 0 };
	if (ppoll(fds, n, &ts, NULL) < 0) {
		if (errno != EINTR)
			bed_die("ppoll");
		return;
	}
	for (i = 0; i < listeners; i++) {
		if (fds[i].revents & POLLIN)
			trap_serve(bed, procs[i]);
		else if (fds[i].revents & (POLLHUP | POLLERR))
			trap_hangup(bed, procs[i]);
	}
	if (fds[listeners].revents & POLLIN)
		notify_read(bed);
}

bool bed_run(struct bed *bed, int timeout_ms, bool (*pred)(void *arg), void *arg)
{
	uint64_t end = bed_now() + (uint64_t)timeout_ms * NS_PER_MS, now, next;

	for (;;) {
		now = bed_now();
		next = look(bed, now);
		if (pred && pred(arg))
			return true;
		if (now >= end)
			return false;
		if (next > end)
			next = end;
		/* without a predicate nobody outside of the bed is waited for */
		if (pred && next > now + RECHECK_NS)
			next = now + RECHECK_NS;
		wait_and_serve(bed, next > now ? next - now : 0);
	}
}

void bed_watch(struct bed *bed, int fd)
{
	bed->watch_fd = fd;
}

/* ---- processes ------------------------------------------------------------------------------------- */

static struct proc *proc_free(struct bed *bed)
{
	unsigned int i;

	for (i = 0; i < BED_PROC_MAX; i++) {
		if (!bed->proc[i].pid)
			return &bed->proc[i];
	}
	errno = EAGAIN;
	bed_die("too many processes");
}

static void redirect(const char *path, bool input)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
	int null = input ? open("/dev/null", O_RDONLY) : -1;

	if (fd >= 0) {
		dup2(fd, STDOUT_FILENO);
		dup2(fd, STDERR_FILENO);
		if (fd > STDERR_FILENO)
			close(fd);
	}
	if (null > STDERR_FILENO) {
		dup2(null, STDIN_FILENO);
		close(null);
	}
}

/* Forks a child whose calls come to us. In the child returns 0, in the parent its number. */
static pid_t fork_trapped(struct bed *bed, const char *log)
{
	struct proc *proc = proc_free(bed);
	int pair[2], listener;
	pid_t pid;

	memset(&bed->notify, 0, sizeof(bed->notify));
	fflush(stdout);
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	pid = fork();
	if (pid < 0)
		bed_die("fork");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		setenv("NOTIFY_SOCKET", NOTIFY_PATH, 1);
		if (log)
			redirect(log, true);
		/* no close() from here on: it would wait for a bed that waits for the listener */
		listener = trap_install(bed->files);
		if (listener < 0 || trap_send(pair[1], listener) < 0)
			_exit(98);
		return 0;
	}
	close(pair[1]);
	listener = trap_receive(pair[0]);
	close(pair[0]);
	if (listener < 0)
		bed_die("no seccomp listener");
	proc->pid = pid;
	proc->listener = listener;
	return pid;
}

pid_t bed_spawn(struct bed *bed, char *const argv[], char *const env[], const char *log)
{
	pid_t pid = fork_trapped(bed, log);

	if (pid)
		return pid;
	for (; env && *env; env++)
		putenv(*env);
	execvp(argv[0], argv);
	perror(argv[0]);
	_exit(127);
}

pid_t bed_spawn_fn(struct bed *bed, int (*fn)(void *arg), void *arg)
{
	pid_t pid = fork_trapped(bed, NULL);

	if (pid)
		return pid;
	exit(fn(arg));
}

void bed_watch_files(struct bed *bed, bool (*fn)(void *arg, const char *path), void *arg)
{
	bed->files = fn;
	bed->files_arg = arg;
}

pid_t bed_start(struct bed *bed, char *const argv[], const char *out)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		bed_die("fork");
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	redirect(out, true);
	execvp(argv[0], argv);
	perror(argv[0]);
	_exit(127);
}

struct waiter {
	pid_t pid;
	int status;
};

static bool has_ended(void *arg)
{
	struct waiter *waiter = arg;

	return waitpid(waiter->pid, &waiter->status, WNOHANG) == waiter->pid;
}

int bed_wait(struct bed *bed, pid_t pid, int timeout_ms)
{
	struct waiter waiter = { pid, 0 };
	unsigned int i;

	if (!bed_run(bed, timeout_ms, has_ended, &waiter))
		return -1;
	for (i = 0; i < BED_PROC_MAX; i++) {
		if (bed->proc[i].pid != pid)
			continue;
		if (bed->proc[i].listener >= 0)
			trap_hangup(bed, &bed->proc[i]);
		bed->proc[i].pid = 0;
	}
	return waiter.status;
}

int bed_sh(struct bed *bed, int timeout_ms, char *out, size_t cap, const char *command)
{
	static unsigned int serial;
	char path[64];
	char *argv[] = { (char *)"/bin/sh", (char *)"-c", (char *)(uintptr_t)command, NULL };
	ssize_t n = -1;
	int fd, status;
	pid_t pid;

	snprintf(path, sizeof(path), "/run/bed-out.%u", ++serial);
	pid = bed_start(bed, argv, path);
	status = bed_wait(bed, pid, timeout_ms);
	if (status == -1) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, out, cap - 1);
		close(fd);
	}
	out[n > 0 ? n : 0] = '\0';
	unlink(path);
	return status;
}

static bool is_ready(void *arg)
{
	return bed_notify(arg)->ready;
}

bool bed_ready(struct bed *bed, int timeout_ms)
{
	return bed_run(bed, timeout_ms, is_ready, bed);
}

/* ---- a bed ---------------------------------------------------------------------------------------- */

struct bed *bed_new(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = NOTIFY_PATH };
	struct bed *bed = calloc(1, sizeof(*bed));

	if (!bed)
		bed_die("bed");
	bed->watch_fd = -1;
	unlink(NOTIFY_PATH);
	MUST(bed->notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	MUST(bind(bed->notify_fd, (struct sockaddr *)&addr, sizeof(addr)));
	MUST(chmod(NOTIFY_PATH, 0666));
	MUST(bed->uevents = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT));
	bed_set_memory(bed, UINT64_C(16) << 20);
	return bed;
}

void bed_set_memory(struct bed *bed, uint64_t bytes)
{
	bed->mem_limit = bytes;
	bed_putf("/sys/module/usbcore/parameters", "usbfs_memory_mb", "%llu\n",
		 (unsigned long long)((bytes + (1u << 20) - 1) >> 20));
}

void bed_free(struct bed *bed)
{
	struct urb *urb;
	unsigned int i;

	if (!bed)
		return;
	for (i = 0; i < BED_PROC_MAX; i++) {
		if (!bed->proc[i].pid)
			continue;
		kill(bed->proc[i].pid, SIGKILL);
		bed_wait(bed, bed->proc[i].pid, 2000);
	}
	/* what hangs on a hub goes before the hub */
	for (i = bed->devs; i-- > 0;) {
		bed->dev[i]->replaced = true;
		bed_unplug(bed->dev[i], false);
	}
	while (bed->openers)
		usbfs_close(bed, bed->openers);
	for (i = 0; i < bed->devs; i++) {
		usbfs_drop(bed->dev[i]);
		free(bed->dev[i]);
	}
	while ((urb = bed->spare)) {
		bed->spare = urb->next;
		free(urb->data);
		free(urb);
	}
	bed_bus_stop(bed);
	close(bed->notify_fd);
	close(bed->uevents);
	free(bed);
}

struct bed *bed_of(struct bed_dev *dev)
{
	return dev->bed;
}

void *bed_user(struct bed_dev *dev)
{
	return dev->spec.user;
}

const struct bed_spec *bed_spec(const struct bed_dev *dev)
{
	return &dev->spec;
}

const char *bed_syspath(const struct bed_dev *dev)
{
	return dev->sys;
}

const char *bed_node(const struct bed_dev *dev)
{
	return dev->node;
}

bool bed_gone(const struct bed_dev *dev)
{
	return dev->gone;
}

struct bed_fault *bed_fault(struct bed_dev *dev)
{
	return &dev->fault;
}

const struct bed_count *bed_count(const struct bed_dev *dev)
{
	return &dev->count;
}

const struct bed_stats *bed_stats(const struct bed *bed)
{
	return &bed->stats;
}
