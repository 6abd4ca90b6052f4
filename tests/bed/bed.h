/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The bed: emulated USB devices under the real libusb, libudev and D-Bus, without hardware, VM or root. The
 * test program moves into private mount and network namespaces, writes sysfs, sends real uevents, serves a
 * PTY as device node and answers the usbfs ioctls of the daemon it spawned by seccomp user notification
 * (fast-testbed 3). The daemon is unmodified and knows nothing of it.
 *
 * One thread: everything is served from bed_run() and the functions that say they run the bed. Never block on
 * the daemon anywhere else. A failing set-up call of the kernel ends the program with exit code 99.
 */
#ifndef FDLD_TESTS_BED_BED_H
#define FDLD_TESTS_BED_BED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define BED_BUS_ADDRESS "unix:path=/run/dbus/system_bus_socket"

struct bed;
struct bed_dev;

/*
 * First call of main, before any thread: namespaces and mounts. Afterwards this process and its children see
 * private /sys/{bus,class,dev,devices}, /dev, /run; everything else is the machine's. Where the kernel
 * refuses, prints one line with the remedy and exits with 77.
 */
void bed_enter(void);
struct bed *bed_new(void);
/* Kills what still runs, unplugs everything. NULL is fine. */
void bed_free(struct bed *bed);

/* ---- devices ---------------------------------------------------------------------------------- */

/* What a device does; every callback is optional and runs inside bed_run(). */
struct bed_model {
	/*
	 * A bulk OUT transfer reached the wire, whole; zlp: the host closes it with a zero-length packet.
	 * Returns 0: taken; -EAGAIN: NAK, the transfer stays pending and is offered again whenever the device
	 * is looked at (bed_retry(), tick()); another negative errno: the transfer ends with that status.
	 * Missing: everything is taken.
	 */
	int (*out)(struct bed_dev *dev, const uint8_t *data, size_t len, bool zlp);
	/*
	 * The host has an IN transfer posted and nothing is queued for it: may call bed_in() or
	 * bed_in_status().
	 */
	void (*in)(struct bed_dev *dev, uint64_t now);
	/*
	 * A control request; setup is the 8 bytes of USB. data holds len bytes (to the device) or room for
	 * them. Returns the bytes of the data stage or a negative errno (-EPIPE: stall; -ETIMEDOUT: never
	 * answered). Missing: OUT requests succeed, IN requests stall.
	 */
	int (*control)(struct bed_dev *dev, const uint8_t setup[8], uint8_t *data, size_t len);
	/* The first file on the node was used, the last one was closed (also when its process died). */
	void (*opened)(struct bed_dev *dev);
	void (*closed)(struct bed_dev *dev);
	void (*reset)(struct bed_dev *dev); /* USBDEVFS_RESET */
	/*
	 * Time passes: called whenever the bed looks at the device, also after it was unplugged, until it is
	 * plugged again or the bed ends. now: bed_now(). Returns when it wants to be called at the latest
	 * (ns, absolute), UINT64_MAX = no wish. May unplug its own device or plug it again.
	 */
	uint64_t (*tick)(struct bed_dev *dev, uint64_t now);
};

struct bed_spec {
	const char *controller; /* below /sys/devices; NULL = "pci0000:00/0000:00:14.0" */
	uint8_t bus;		/* kernel's bus number, 1.. */
	uint8_t num;		/* device number, 2.. ; 0 = next free of that bus */
	const char *ports;	/* port chain, "1" or "4.3"; hubs in between are made as needed */
	const uint8_t
		*desc; /* device and configuration descriptors; NULL = bed_unisoc_desc. Must stay valid. */
	size_t desc_len;
	uint32_t bytes_per_s; /* of the emulated wire, OUT; 0 = no limit */
	uint32_t latency_us;  /* for each OUT transfer */
	const char *
		id_path; /* what udev's path_id said: goes into event and database; NULL = no such property */
	const char *serial; /* what usb_id read of it; NULL = none */
	const char *tag;    /* udev tag, as a rule would set; NULL = none */
	uint32_t after_s;   /* came so many seconds after its root hub, by udev's database; 0: with it */
	const struct bed_model *model;
	void *user;
};

/* 1782:4d00, vendor interface, bulk IN 0x85 and OUT 0x06 of 512 bytes (bsl-protocol 2.2) */
extern const uint8_t bed_unisoc_desc[];
extern const size_t bed_unisoc_desc_len;

/* Plugs a device in. uevent: announce it (hotplug), else it is just there (found by enumeration). */
struct bed_dev *bed_plug(struct bed *bed, const struct bed_spec *spec, bool uevent);
/* Takes it out; every transfer ends with -ESHUTDOWN. dev stays valid until the daemon has closed it and
 * bed_free(). */
void bed_unplug(struct bed_dev *dev, bool uevent);
/* Plugs a device into the same port again, with the next device number. model and user may change. */
struct bed_dev *bed_replug(struct bed_dev *gone, const struct bed_model *model, void *user, bool uevent);
/* Sends an event for a device, as often as wanted, whatever its state: "add", "remove", "bind", "change". */
void bed_uevent(struct bed_dev *dev, const char *action);
/*
 * Queues bytes for the IN endpoint; they are copied. ends: the host's transfer ends after them (short packet,
 * or a zero-length packet where len is a multiple of the packet size); else len must be such a multiple and
 * the transfer stays open. len 0 with ends is a lone zero-length packet.
 */
void bed_in(struct bed_dev *dev, const void *data, size_t len, bool ends);
/* Ends the IN transfer that the host has posted (if any) with a status: -EPIPE, -EPROTO, -EOVERFLOW. */
void bed_in_status(struct bed_dev *dev, int status);
/* Drops what is queued for IN and not fetched. */
void bed_in_drop(struct bed_dev *dev);
size_t bed_in_queued(const struct bed_dev *dev); /* bytes */
bool bed_in_posted(const struct bed_dev *dev);	 /* the host waits for IN */
/* Looks at the device now: NAKed OUT transfers are offered again, tick() is called. */
void bed_retry(struct bed_dev *dev);
/* Puts another file over the node, as if somebody had. 0 or a negative errno. */
int bed_cover(struct bed_dev *dev, const char *path);
/* In out(): which endpoint the transfer is for. */
uint8_t bed_out_endpoint(const struct bed_dev *dev);
struct bed *bed_of(struct bed_dev *dev);
void *bed_user(struct bed_dev *dev);
const struct bed_spec *bed_spec(const struct bed_dev *dev); /* with num filled in */
const char *bed_syspath(const struct bed_dev *dev);
const char *bed_node(const struct bed_dev *dev);
bool bed_gone(const struct bed_dev *dev);

/* Faults of one device; set members between bed_run() calls. */
struct bed_fault {
	int claim_errno;	   /* next claim fails so */
	const char *driver;	   /* what USBDEVFS_GETDRIVER names; NULL = no driver */
	int submit_errno;	   /* bulk submits fail so ... */
	unsigned int submit_times; /* ... this many times */
	int out_status, in_status; /* status of the next OUT or IN transfer that completes: -EPIPE, -EPROTO,
				      -EOVERFLOW ... */
	int short_by;		   /* next OUT transfer completes short by n bytes */
	bool mute;		   /* nothing comes in: IN transfers stay pending */
	bool nak;		   /* nothing goes out: OUT transfers stay pending */
	bool hold_ioctl; /* synchronous control requests are never answered: the caller hangs in its ioctl */
	bool hold_control; /* asynchronous control requests stay pending */
	int connect_num;   /* USBDEVFS_CONNECTINFO names this device number instead; 0 = the right one */
};
struct bed_fault *bed_fault(struct bed_dev *dev);
/* Answers the ioctls that hold_ioctl kept, and clears it. */
void bed_let_go(struct bed_dev *dev);

/* Counters of one device over its life. */
struct bed_count {
	uint64_t submits, out_bytes, in_bytes, out_transfers, in_transfers;
	unsigned int opens, closes, claims, controls, zlps;
	unsigned int pending;	  /* transfers with the device now */
	uint64_t first_submit_ns; /* bed_now() at the first bulk or control transfer */
	uint64_t plugged_ns;
};
const struct bed_count *bed_count(const struct bed_dev *dev);

/* ---- processes --------------------------------------------------------------------------------- */

/*
 * Starts the daemon under test with its usbfs calls trapped; NOTIFY_SOCKET is set. env: "NAME=value" strings
 * added to the environment, NULL-terminated; may be NULL. Its output goes to log (a path, appended), or to
 * ours if NULL.
 */
pid_t bed_spawn(struct bed *bed, char *const argv[], char *const env[], const char *log);
/*
 * What bed_spawn() starts from now on asks before it makes a folder, writes, syncs, renames or links a file,
 * or reads one at an offset: fn gets the path, and returns true to keep the caller in that call until it is
 * killed. NULL: no more.
 */
void bed_watch_files(struct bed *bed, bool (*fn)(void *arg, const char *path), void *arg);
/* The same for a function of this program in a forked child, which exits with its result. */
pid_t bed_spawn_fn(struct bed *bed, int (*fn)(void *arg), void *arg);
/* A program that is not trapped (a client); stdout and stderr go to the file out. */
pid_t bed_start(struct bed *bed, char *const argv[], const char *out);
/* Runs the bed until the child ended: its wait status, or -1 if it still runs after timeout_ms. */
int bed_wait(struct bed *bed, pid_t pid, int timeout_ms);
/* sh -c, runs the bed meanwhile; stdout in out (at most cap - 1 bytes). Wait status, -1 = killed after
 * timeout_ms. */
int bed_sh(struct bed *bed, int timeout_ms, char *out, size_t cap, const char *command);

/* What came through NOTIFY_SOCKET since the last bed_spawn(). */
struct bed_notify {
	bool ready, stopping, reloading;
	unsigned int watchdogs;
	unsigned int extends; /* EXTEND_TIMEOUT_USEC= so far ... */
	uint64_t extend_usec; /* ... and the last of them */
	char status[256];     /* the last STATUS= */
};
const struct bed_notify *bed_notify(struct bed *bed);
/* Runs the bed until READY=1. */
bool bed_ready(struct bed *bed, int timeout_ms);

/*
 * Starts a private dbus-daemon on the default address of the system bus (BED_BUS_ADDRESS). config NULL =
 * everything allowed. listen: a second socket path outside /run, so that others than the bed's children can
 * come in; may be NULL.
 */
pid_t bed_bus(struct bed *bed, const char *config, const char *listen);
void bed_bus_stop(struct bed *bed);

/* ---- time and the loop -------------------------------------------------------------------------- */

uint64_t bed_now(void); /* CLOCK_MONOTONIC, ns */
/* Runs the bed until pred(arg) is true (checked at every wake and each 10 ms); false after timeout_ms. pred
 * may be NULL. */
bool bed_run(struct bed *bed, int timeout_ms, bool (*pred)(void *arg), void *arg);
/* Runs pred's bed also while this descriptor is quiet: a wake-up for bed_run(), e.g. the pipe of a child. -1
 * = none. */
void bed_watch(struct bed *bed, int fd);
/* usbfs memory of the whole machine, initially 16 MiB; also what usbcore's parameter says. Beyond it submits
 * get ENOMEM. */
void bed_set_memory(struct bed *bed, uint64_t bytes);

struct bed_stats {
	uint64_t calls, submits, reaps, empty_reaps, out_bytes, in_bytes, mem_peak;
};
const struct bed_stats *bed_stats(const struct bed *bed);

#endif
