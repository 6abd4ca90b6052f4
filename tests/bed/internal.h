/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of the bed share. ns.c makes the namespaces, sysfs.c what libudev sees, usbfs.c what libusb
 * sees, trap.c carries the calls of the daemon here, run.c is the loop and the processes.
 */
#ifndef FDLD_TESTS_BED_INTERNAL_H
#define FDLD_TESTS_BED_INTERNAL_H

#include <linux/usbdevice_fs.h>

#include "tests/bed/bed.h"

#define BED_DEV_MAX   1024
#define BED_PROC_MAX  16
#define BED_OPEN_MAX  512
#define BED_STAGE_DIR "/run/dev"

struct proc {
	pid_t pid; /* 0: free */
	int listener;
};

/* One open file on a device node, as far as its use tells. */
struct opener {
	struct opener *next;
	struct proc *proc;
	int fd;
	struct bed_dev *dev;
	bool claimed;
};

struct urb {
	struct urb *next;
	struct opener *opener;
	pid_t pid;
	uint64_t addr;	       /* of the daemon's struct usbdevfs_urb */
	uint64_t due;	       /* OUT: when the wire is through with it */
	uint8_t *data;	       /* OUT and control: copy of what was sent */
	size_t room;	       /* of data; kept for the next user of this record */
	struct usbdevfs_urb u; /* last: it ends in an array */
};

struct urb_queue {
	struct urb *head, **tail;
};

struct blob {
	struct blob *next;
	const uint8_t *bytes; /* of a queued one: right behind this structure, less what was used before */
	size_t len, off;
	bool ends;
};

/* A synchronous request that is not answered. */
struct held {
	struct held *next;
	int listener;
	uint64_t id;
};

struct bed_dev {
	struct bed *bed;
	struct bed_spec spec;
	struct bed_fault fault;
	struct bed_count count;
	char controller[96], ports[32], id_path[128], tag[32];
	char name[48], sys[224], node[48];
	int master, slave, pts;
	bool ready, gone;
	bool replaced; /* plugged again as another bed_dev: no more ticks */
	bool busy;     /* in its model right now */
	unsigned int openers;
	struct urb_queue out, in, done; /* pending, pending, reapable */
	struct urb_queue deaf;		/* control requests that are never answered */
	struct blob *blobs, **blobs_tail;
	uint64_t wire_free; /* when the wire is idle again */
	uint64_t due;	    /* look at it then */
	uint16_t packet_in, packet_out;
	struct held *held;
};

struct bed {
	struct bed_dev *dev[BED_DEV_MAX];
	unsigned int devs;
	struct proc proc[BED_PROC_MAX];
	struct opener *openers;
	struct urb *spare;
	uint8_t last_num[256];
	int uevents, notify_fd, watch_fd;
	uint64_t seqnum, mem, mem_limit;
	struct bed_notify notify;
	struct bed_stats stats;
	pid_t bus;
	char bus_listen[160];
	bool (*files)(void *arg, const char *path);
	void *files_arg;
};

#define MUST(x)                            \
	do {                               \
		if ((x) < 0)               \
			bed_die("%s", #x); \
	} while (0)

_Noreturn void bed_die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void bed_mkdirs(const char *path);
void bed_put(const char *path, const void *data, size_t len);
void bed_putf(const char *dir, const char *file, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* urb.c */
int urb_peek(pid_t pid, uint64_t addr, void *buf, size_t len);
int urb_poke(pid_t pid, uint64_t addr, const void *buf, size_t len);
void urb_queue_add(struct urb_queue *queue, struct urb *urb);
/* The first transfer of an opener, or the one at an address of it; NULL: none. */
struct urb *urb_queue_take(struct urb_queue *queue, const struct opener *opener, const uint64_t *addr);
struct urb *urb_new(struct bed *bed);
void urb_free(struct bed_dev *dev, struct urb *urb);
void urb_finish(struct bed_dev *dev, struct urb *urb, int status);
void usbfs_init(struct bed_dev *dev);
void usbfs_gone(struct bed_dev *dev);			  /* every transfer ends with -ESHUTDOWN */
void usbfs_look(struct bed_dev *dev, uint64_t now);	  /* moves what can move; sets dev->due */
void usbfs_close(struct bed *bed, struct opener *opener); /* the opener is freed */
void usbfs_drop(struct bed_dev *dev);			  /* at the end of the bed: frees what is left */
void usbfs_ready(struct bed_dev *dev, bool on);

/* usbfs.c */
/* Answers a call; *hold: no answer now (the caller keeps the notification). */
long usbfs_ioctl(struct bed_dev *dev, struct opener *opener, pid_t pid, uint32_t req, uint64_t arg,
		 bool *hold);
void usbfs_rewind(struct bed_dev *dev);

/* trap.c */
int trap_install(bool files); /* in the child: returns the listener */
void trap_serve(struct bed *bed, struct proc *proc);
void trap_hangup(struct bed *bed, struct proc *proc);
int trap_send(int socket, int fd);
int trap_receive(int socket);

#endif
