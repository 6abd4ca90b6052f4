/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How the daemon's calls come here: a seccomp filter hands ioctls of usbfs, lseek and close to the bed, which
 * answers those that belong to a node of it and lets the kernel do the rest (fast-testbed 3).
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "tests/bed/internal.h"

#if defined(__x86_64__)
#define TRAP_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define TRAP_ARCH AUDIT_ARCH_AARCH64
#else
#error "the bed knows x86-64 and aarch64"
#endif

#define PTS_MAJOR 136

/* Linux 6.6; older kernels refuse them, which costs a little time and nothing else */
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS	   SECCOMP_IOW(4, __u64)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif

/* What a call on files is about. */
enum about { ABOUT_FD, ABOUT_NAME, ABOUT_NEW_NAME };
static const struct file_call {
	int nr;
	enum about about; /* a descriptor; a folder and a name in it; two folders with a name in each */
} file_calls[] = {
	{ __NR_write, ABOUT_FD },	   { __NR_fsync, ABOUT_FD },	 { __NR_fdatasync, ABOUT_FD },
	{ __NR_pread64, ABOUT_FD },	   { __NR_mkdirat, ABOUT_NAME }, { __NR_renameat2, ABOUT_NEW_NAME },
	{ __NR_linkat, ABOUT_NEW_NAME },
#ifdef __NR_renameat
	{ __NR_renameat, ABOUT_NEW_NAME },
#endif
};
#define FILE_CALLS (sizeof(file_calls) / sizeof(*file_calls))

#define JUMP_IF(value, yes, no) \
	(struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, (uint8_t)((yes)-1), (uint8_t)((no)-1))

int trap_install(bool files)
{
	static const int always[] = { __NR_close, __NR_lseek };
	const size_t shown = 2 + (files ? FILE_CALLS : 0), allow = 3 + shown + 5, notify = allow + 1;
	struct sock_filter code[12 + FILE_CALLS];
	struct sock_fprog prog = { 0, code };
	size_t n = 0;

	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						 offsetof(struct seccomp_data, arch));
	code[n] = JUMP_IF(TRAP_ARCH, 1, allow - n);
	n++;
	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < shown; i++, n++)
		code[n] = JUMP_IF((uint32_t)(i < 2 ? always[i] : file_calls[i - 2].nr), notify - n, 1);
	code[n] = JUMP_IF(__NR_ioctl, 1, allow - n);
	n++;
	/* the second byte of an ioctl number is its type; usbfs has 'U' */
	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						 offsetof(struct seccomp_data, args[1]));
	code[n++] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 8);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xff);
	code[n] = JUMP_IF('U', notify - n, 1);
	n++;
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
	prog.len = (unsigned short)n;
	/* killable only: a signal must not restart a submit that was half served */
	return (int)syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER,
			    SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &prog);
}

int trap_send(int socket, int fd)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	char byte = 0;
	struct iovec part = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &part,
			      .msg_iovlen = 1,
			      .msg_control = control.buf,
			      .msg_controllen = sizeof(control.buf) };
	struct cmsghdr *head = CMSG_FIRSTHDR(&msg);

	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(head), &fd, sizeof(fd));
	return sendmsg(socket, &msg, 0) < 0 ? -errno : 0;
}

int trap_receive(int socket)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	char byte;
	struct iovec part = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &part,
			      .msg_iovlen = 1,
			      .msg_control = control.buf,
			      .msg_controllen = sizeof(control.buf) };
	__u64 flags = SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP;
	int fd;

	if (recvmsg(socket, &msg, MSG_CMSG_CLOEXEC) <= 0 || !CMSG_FIRSTHDR(&msg))
		return -1;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	/* caller and bed take turns: wake the other one where we are */
	ioctl(fd, SECCOMP_IOCTL_NOTIF_SET_FLAGS, flags);
	return fd;
}

/* ---- who is it about ------------------------------------------------------------------------------- */

static struct opener *opener_find(struct bed *bed, const struct proc *proc, int fd)
{
	struct opener *opener;

	for (opener = bed->openers; opener; opener = opener->next) {
		if (opener->proc == proc && opener->fd == fd)
			return opener;
	}
	return NULL;
}

/* The device behind a descriptor, by the number of its tty. The newest first: numbers come back. */
static struct bed_dev *dev_behind(struct bed *bed, pid_t pid, int fd)
{
	struct stat st;
	char path[48];
	unsigned int i;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
	if (stat(path, &st) < 0 || !S_ISCHR(st.st_mode) || major(st.st_rdev) != PTS_MAJOR)
		return NULL;
	for (i = bed->devs; i-- > 0;) {
		if (bed->dev[i]->pts == (int)minor(st.st_rdev))
			return bed->dev[i];
	}
	return NULL;
}

/* The open file, made known at its first use. Calls that belong to an opening look again who it is. */
static struct opener *opener_of(struct bed *bed, struct proc *proc, pid_t pid, int fd, bool fresh)
{
	struct opener *opener = opener_find(bed, proc, fd);
	struct bed_dev *dev;

	if (opener && !fresh)
		return opener;
	dev = dev_behind(bed, pid, fd);
	if (opener && opener->dev == dev)
		return opener;
	if (opener)
		usbfs_close(bed, opener);
	if (!dev)
		return NULL;
	opener = calloc(1, sizeof(*opener));
	if (!opener)
		bed_die("opener");
	opener->proc = proc;
	opener->fd = fd;
	opener->dev = dev;
	opener->next = bed->openers;
	bed->openers = opener;
	dev->count.opens++;
	if (dev->openers++ == 0 && !dev->gone && dev->spec.model && dev->spec.model->opened)
		dev->spec.model->opened(dev);
	return opener;
}

/* ---- calls ----------------------------------------------------------------------------------------- */

static void keep(struct bed_dev *dev, const struct proc *proc, uint64_t id)
{
	struct held *held = calloc(1, sizeof(*held));

	if (!held)
		bed_die("held call");
	held->listener = proc->listener;
	held->id = id;
	held->next = dev->held;
	dev->held = held;
}

void bed_let_go(struct bed_dev *dev)
{
	struct held *held;

	dev->fault.hold_ioctl = false;
	while ((held = dev->held)) {
		struct seccomp_notif_resp answer = { .id = held->id,
						     .error = dev->gone ? -ENODEV : -ETIMEDOUT };

		dev->held = held->next;
		ioctl(held->listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
		free(held);
	}
}

/* The path that a call on files is about; false: it is none of them, or has none. */
static bool file_of(const struct seccomp_notif *call, char *path, size_t room)
{
	char link[48], name[256] = "";
	enum about about = ABOUT_FD;
	size_t i;
	ssize_t n;
	int fd;

	for (i = 0; i < FILE_CALLS && call->data.nr != file_calls[i].nr; i++)
		;
	if (i == FILE_CALLS)
		return false;
	about = file_calls[i].about;
	fd = (int)call->data.args[about == ABOUT_NEW_NAME ? 2 : 0];
	if (about != ABOUT_FD) {
		uint64_t at = call->data.args[about == ABOUT_NEW_NAME ? 3 : 1];

		/* a name may end where its page does */
		for (i = 0;
		     i + 1 < sizeof(name) && urb_peek((pid_t)call->pid, at + i, name + i, 1) == 0 && name[i];)
			i++;
		name[i] = '\0';
	}
	snprintf(link, sizeof(link), "/proc/%d/fd/%d", (int)call->pid, fd);
	n = readlink(link, path, room - 1);
	if (n < 0)
		return false;
	path[n] = '\0';
	if (about != ABOUT_FD)
		snprintf(path + n, room - (size_t)n, "/%s", name);
	return true;
}

void trap_serve(struct bed *bed, struct proc *proc)
{
	char path[512];
	struct seccomp_notif call = { 0 };
	struct seccomp_notif_resp answer = { 0 };
	struct opener *opener;
	bool hold = false;
	uint32_t req;
	pid_t pid;
	long value;
	int fd;

	if (ioctl(proc->listener, SECCOMP_IOCTL_NOTIF_RECV, &call) < 0)
		return;
	pid = (pid_t)call.pid;
	fd = (int)call.data.args[0];
	req = (uint32_t)call.data.args[1];
	answer.id = call.id;
	bed->stats.calls++;
	if (file_of(&call, path, sizeof(path))) {
		/* whoever is kept is let go by its end */
		hold = bed->files && bed->files(bed->files_arg, path);
		answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	} else if (call.data.nr == __NR_close) {
		opener = opener_find(bed, proc, fd);
		if (opener)
			usbfs_close(bed, opener);
		answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	} else if (call.data.nr == __NR_lseek) {
		opener = opener_of(bed, proc, pid, fd, true);
		if (opener)
			usbfs_rewind(opener->dev);
		else
			answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	} else {
		opener = opener_of(bed, proc, pid, fd,
				   req == USBDEVFS_CONNECTINFO || req == USBDEVFS_GET_CAPABILITIES);
		if (!opener) {
			answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
		} else {
			value = usbfs_ioctl(opener->dev, opener, pid, req, call.data.args[2], &hold);
			if (hold)
				keep(opener->dev, proc, call.id);
			else if (value < 0)
				answer.error = (int)value;
			else
				answer.val = value;
		}
	}
	if (!hold)
		ioctl(proc->listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
}

/* Every process under this filter has ended. */
void trap_hangup(struct bed *bed, struct proc *proc)
{
	struct opener *opener = bed->openers, *next;

	for (; opener; opener = next) {
		next = opener->next;
		if (opener->proc == proc)
			usbfs_close(bed, opener);
	}
	close(proc->listener);
	proc->listener = -1;
}
