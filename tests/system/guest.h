/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The test inside the booted machine: lines of TAP for the host, commands, calls on the system bus, phones
 * and packages. It runs as root, as a service of its own beside fdld, and knows fdld only as others do. What
 * cannot be set up ends the program with code 99.
 */
#ifndef TESTS_SYSTEM_GUEST_H
#define TESTS_SYSTEM_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include <systemd/sd-bus.h>

#include "tests/bus/storecheck.h"
#include "tests/phone/phone.h"
#include "tests/system/vhci_phone.h"

#define FDLD	"org.fdld1"
#define ROOT	"/org/fdld1"
#define MANAGER FDLD ".Manager"
#define SLOT	FDLD ".Slot"
#define DEVICE	FDLD ".Device"
#define JOB	FDLD ".Job"
#define UNIT	"fdld.service"
#define ERR(n)	FDLD ".Error." n

/* Where the host's folder is mounted: packages, .deb files, results. */
extern const char *share;
/* Which boot of the same station this is, from 1. */
extern unsigned int boot;

/* ---- results -------------------------------------------------------------------------------------- */

/* A line for what was tested; false: it failed, and more was printed. */
bool ok(bool good, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Several lines, each as a note. */
void note_text(const char *text);
/* Number of failed lines so far. */
unsigned int failed(void);
_Noreturn void die(const char *what, const char *which);
/* The last scenario of this boot has come to its end; what follows takes the machine down. */
void leave(void);
/* CLOCK_MONOTONIC, milliseconds. */
uint64_t now_ms(void);

/* Calls pred until it is true; false after timeout_ms. */
bool until(int timeout_ms, bool (*pred)(void *arg), void *arg);
void rest(int ms);

/* ---- commands ------------------------------------------------------------------------------------- */

/* What the last sh() printed on both its outputs, without the last newline. */
extern char said[65536];
/* Runs a line of shell; its status, 256 + signal, -1 when it was killed after a minute. */
int sh(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The same as another user, without a session. */
int sh_as(const char *user, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Starts one and returns; its output goes to the file. */
pid_t sh_start(const char *file, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Status as sh() of one that was started; -1: it goes on after timeout_ms. */
int sh_wait(pid_t pid, int timeout_ms);
/* A whole small file, NUL-terminated, in a static buffer; "" if there is none. */
const char *slurp(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* ---- the bus -------------------------------------------------------------------------------------- */

sd_bus *bus(void);
/* Name and text of what the last call was refused with; empty after a success. */
extern char refusal[128], refusal_text[512];
/* Calls fdld; the reply (may be NULL) is the caller's. */
bool call(sd_bus_message **reply, const char *path, const char *iface, const char *member, const char *types,
	  ...);
/* A property of fdld as text, "?" if it cannot be read; static, a ring of eight. */
const char *get(const char *path, const char *iface, const char *name);
/* A string of a dictionary property. */
const char *get_in(const char *path, const char *iface, const char *name, const char *key);
/* Until the property has this text. */
bool expect(int timeout_ms, const char *path, const char *iface, const char *name, const char *value);
/* A property of the unit, as systemctl show gives it; static, a ring of eight. */
const char *unit(const char *name);
/* Main process of the service, 0: none. */
pid_t daemon_pid(void);
/* Active in this state ("active", "inactive", ...). */
bool unit_is(int timeout_ms, const char *state);

/* ---- phones --------------------------------------------------------------------------------------- */

#define PHONES 24

struct guest_phone {
	struct phone *phone;
	struct vhci_phone *vp;
	char id[64], slot[160]; /* the slot's Id and object path */
	char pac[128];		/* package of its family */
	struct store_before *before;
};

/*
 * A phone of this profile on a controller (0 to 7) and port (1 to 15), with the package
 * "<profile><variant>.pac" of the share remembered as what it is to be compared with. setup may be NULL. Not
 * plugged.
 */
struct guest_phone *phone_at(const char *profile, const char *variant, unsigned int controller,
			     unsigned int port, const struct phone_setup *setup);
/* Plugs it in and waits until fdld shows it as ready. */
bool plug(struct guest_phone *p);
/* Unplugs it and waits until the slot is empty (if there is a slot). */
void unplug(struct guest_phone *p);
/* Bulk transfers and requests to the interface that have reached it. */
uint64_t words(struct guest_phone *p);
/* Slot.Flash of the phone's package; options as sd_bus_message_append() takes an a{sv}. The job's path, NULL:
 * refused. A ring. */
const char *flash(struct guest_phone *p, const char *types, ...);
/* Until the job has ended: "" if it has succeeded, else the error's name, or "timeout". */
const char *outcome(const char *job, int timeout_ms);
/* Its storage is the package's: "" or what differs. *images: compared byte by byte (may be NULL). */
const char *storage(struct guest_phone *p, unsigned int *images);
/* Takes all away. */
void phones_free(void);

/* Host side: writes the packages and leaves. */
int make_packages(const char *dir);

/* ---- scenarios ------------------------------------------------------------------------------------ */

/* s_work.c */
void machine_is_up(void);
void package_is_installed(void);
void plug_starts_service(void);
void flash_passes(void);
void unplug_is_named(void);
void returning_phone_passes(void);
void eight_at_once(void);
/* s_port.c */
void running_phone_is_kicked(void);
void ports_are_switched(void);
/* s_package.c */
void removal_waits_for_job(void);
/* s_access.c */
void strangers_are_refused(void);
void rule_lets_in(void);
void starter_may_cancel(void);
void seat_counts(void);
void password_is_asked(void);
void sandbox_holds(void);
/* s_service.c */
void call_starts_service(void);
void machine_stays_awake(void);
void log_level_is_set(void);
void configuration_is_taken(void);
void journal_tells(void);
void killed_service_returns(void);
void hung_service_returns(void);
void restart_lets_job_end(void);
void upgrade_lets_job_end(void);
/* s_station.c */
void line_runs_by_itself(void);
void upgrade_keeps_the_line(void);
void power_cut_keeps_the_line(void);
/* s_again.c */
void power_is_cut(void);
void interruption_is_told(void);
void owed_nv_returns(void);
void modem_manager_keeps_off(void);
void reboot_lets_job_end(void);

#endif
