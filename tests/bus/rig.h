/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The rig of the bus tests: the bed, a private bus, the real daemon, packages, phones, and a D-Bus client of
 * our own that goes on serving the bed while it waits. A failing set-up ends the program with exit code 99.
 */
#ifndef TESTS_BUS_RIG_H
#define TESTS_BUS_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-bus.h>

#include "tests/bed/bed.h"
#include "tests/bed/phone_usb.h"
#include "tests/compose/compose.h"
#include "tests/phone/phone.h"

#define ROOT	   "/org/fdld1"
#define MANAGER	   "org.fdld1.Manager"
#define SLOT	   "org.fdld1.Slot"
#define DEVICE	   "org.fdld1.Device"
#define JOB	   "org.fdld1.Job"
#define PROG	   "org.fdld1.Progress"
#define IMAGE	   "org.fdld1.Image"

#define RIG_PHONES 32

struct rig_phone {
	struct phone *phone;
	struct bed_phone *bp;
	char id[128];	/* the slot's Id, if it hangs on the first controller */
	char slot[400]; /* its object path */
};

struct rig {
	struct bed *bed;
	const char *build; /* folder of fdld and fdlctl */
	pid_t daemon;
	sd_bus *bus;
	char dir[64], state[96], runtime[96], log[96];
	char conf[96]; /* where fdld looks for /etc/fdld/fdld.conf and the like: nothing is there */
	struct rig_phone phone[RIG_PHONES];
	unsigned int phone_count;
	struct bed_phone *old[RIG_PHONES]; /* of phones that were moved */
	unsigned int old_count;
	char error[128], text[512]; /* of the last call that was refused; empty after a success */
};

/* ---- life ------------------------------------------------------------------------- */

/* bed_enter() was called. Bed, bus and folders; no daemon yet. build: the folder of fdld and fdlctl. */
struct rig *rig_new(const char *build);
/* Ends everything; forgets the phones; removes the folders. */
void rig_free(struct rig *rig);
/* Starts fdld (more: further arguments, NULL-terminated, or NULL) and waits until it is ready. */
bool rig_up(struct rig *rig, char *const more[]);
/* Sends a signal and waits for the end; exit status, -1: it goes on, 256 + signal if killed. */
int rig_down(struct rig *rig, int signo, int timeout_ms);
/* Our own connection; made again after rig_disconnect(). */
sd_bus *rig_bus(struct rig *rig);
void rig_disconnect(struct rig *rig);
/* Serves bed and bus until pred(arg) is true, but no longer than rig_patience(). */
bool rig_until(struct rig *rig, int timeout_ms, bool (*pred)(void *arg), void *arg);
void rig_sleep(struct rig *rig, int ms);
/*
 * What is due in timeout_ms may come PATIENCE times as late (preset 4), for this machine may do other things,
 * too: so it is with every wait for something here and in ctl.h, which only a failing test uses up.
 */
int rig_patience(int timeout_ms);

/* ---- D-Bus ------------------------------------------------------------------------ */

/*
 * Calls and waits; the reply (may be NULL: not wanted) is the caller's. False: rig->error is the error's name
 * ("" after timeout_ms).
 */
bool rig_call(struct rig *rig, int timeout_ms, sd_bus_message **reply, const char *path, const char *iface,
	      const char *member, const char *types, ...);
/* A property as text: strings, paths, numbers, "true"/"false"; "?" when it cannot be read. Static, a ring of
 * eight. */
const char *rig_get(struct rig *rig, const char *path, const char *iface, const char *name);
uint64_t rig_num(struct rig *rig, const char *path, const char *iface, const char *name);
double rig_real(struct rig *rig, const char *path, const char *iface, const char *name);
/* A string of a dictionary property ("Result", "ErrorDetails"); "?" when it is not there. */
const char *rig_dict(struct rig *rig, const char *path, const char *iface, const char *name, const char *key);
/* Until the property has this text. */
bool rig_expect(struct rig *rig, int timeout_ms, const char *path, const char *iface, const char *name,
		const char *value);

/* ---- work ------------------------------------------------------------------------- */

/*
 * Slot.Flash with options as sd_bus_message_append() takes the inside of an a{sv}: count, then key, type,
 * value ... The job's path in a ring of sixteen, or NULL.
 */
const char *rig_flash(struct rig *rig, const char *slot, int fd, const char *types, ...);
/* Job.Wait: "" succeeded; the error's name; "timeout". */
const char *rig_wait(struct rig *rig, const char *job, int timeout_ms);

/* ---- phones and packages (stock.c) ------------------------------------------------ */

/*
 * A phone of this profile on these ports ("1", "2.4"), not plugged yet. setup may be NULL; where it says
 * nothing the phone is quick (its own waits nearly gone) and unfilled but for NV and calibration.
 */
struct rig_phone *rig_phone(struct rig *rig, const char *profile, const char *ports,
			    const struct phone_setup *setup);
/* The same at another place; the id and slot path are made from controller and ports. */
struct rig_phone *rig_phone_at(struct rig *rig, const char *profile, const struct bed_spec *where,
			       const struct phone_setup *setup);
/* A phone that hangs nowhere yet: to be swapped in. */
struct phone *rig_spare(struct rig *rig, const char *profile, const struct phone_setup *setup);
/* An unplugged phone to another place. */
void rig_phone_move(struct rig *rig, struct rig_phone *p, const struct bed_spec *where);
/* Plugs it in and waits until its slot is "ready" (daemon up). */
bool rig_plug(struct rig *rig, struct rig_phone *p);
/* Pulls it, lets its faults be over, and plugs it in again. */
bool rig_replug(struct rig *rig, struct rig_phone *p);

/* A package for a family with loaders that its simulated phone takes; opened read-only. */
struct rig_package {
	struct compose_spec spec;
	uint8_t *fdl1, *fdl2;
	char path[128];
	uint64_t size;
	int fd;
};
/* family is profile and scheme at once. bytes: typical size of an image, 0 = default. */
void rig_package(struct rig *rig, struct rig_package *package, const char *family, uint64_t seed,
		 size_t bytes);
/* The same from a spec that the caller has changed since. */
void rig_package_write(struct rig *rig, struct rig_package *package);
void rig_package_free(struct rig_package *package);

/*
 * Compares the phone's storage with the package, entry by entry of the scheme: images byte by byte (sparse
 * ones without their holes), NV not. Returns the number compared; *wrong (room bytes) names the first that
 * differs, else empty.
 */
unsigned int rig_compare(struct phone *phone, const struct rig_package *package, char *wrong, size_t room);
/* The bytes of NV item id in the phone's fixnv pair (any of the usual names). 0: not there. */
size_t rig_nv_item(struct phone *phone, uint16_t id, uint8_t *out, size_t room);

/* ---- TAP -------------------------------------------------------------------------- */

void tap_ok(bool ok, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void tap_skip(const char *name, const char *why);
void tap_note(const char *fmt, ...) __attribute__((format(printf, 1, 2))); /* "# ..." */
/* Prints the plan line; exit code. */
int tap_end(void);

/* ---- tests with a fresh rig each -------------------------------------------------- */

struct rig_test {
	const char *name;
	void (*fn)(struct rig *rig);
};
/* bed_enter(), then all of them, or the one that $ONLY names; fdld is taken from $FDLD_BUILD or "build". Exit
 * code. */
int rig_run(const struct rig_test *tests, size_t count);
/* Notes the first failure of a test. */
bool rig_check(bool ok, const char *what, int line);
#define CHECK(x)                                   \
	do {                                       \
		if (!rig_check((x), #x, __LINE__)) \
			return;                    \
	} while (0)

#endif
