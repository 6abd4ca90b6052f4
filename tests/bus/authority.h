/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Other users on the rig's bus, and a polkit authority that does as it is told: for what the real one cannot
 * be made to do (not answer, answer late, answer nonsense, go away). It speaks the documented interface and
 * keeps what it was asked. Real root only: without, there is one user.
 */
#ifndef TESTS_BUS_AUTHORITY_H
#define TESTS_BUS_AUTHORITY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-bus.h>

#include "tests/bus/rig.h"

#define NOT_AUTHORIZED "org.fdld1.Error.NotAuthorized"
#define NEEDS_PASSWORD "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired"

/* As rig_run(), where there are other users; else one line says that it was skipped. Before bed_enter(). */
int users_run(const struct rig_test *tests, size_t count);

/* ---- callers ------------------------------------------------------------------------ */

/* The bus lets in only whom it finds in passwd: nobody, and bin. */
#define STRANGER   65534
#define OTHER	   2

#define USER_CALLS 512

struct user {
	sd_bus *bus;
	bool interactive; /* of the calls that follow */
	char error[128], text[512];
	unsigned int answered, refused; /* of user_send() */
	sd_bus_slot *open[USER_CALLS];
	unsigned int sent;
};
/* A connection of this uid. Ends the program where it cannot be made. */
struct user *user_new(struct rig *rig, uid_t uid);
void user_free(struct user *user);
/* As rig_call(), of this user. */
bool user_call(struct rig *rig, struct user *user, int timeout_ms, sd_bus_message **reply, const char *path,
	       const char *iface, const char *member, const char *types, ...);
/* Sends and does not wait; answers are counted, error and text are those of the last refusal. */
void user_send(struct user *user, const char *path, const char *iface, const char *member, const char *types,
	       ...);
/* Runs rig, users and authority. */
void users_sleep(struct rig *rig, int ms);
/* Until this count is so, and a moment on: that it does not go further. */
bool users_count(struct rig *rig, const unsigned int *count, unsigned int value);
bool users_until(struct rig *rig, int timeout_ms, bool (*pred)(void *arg), void *arg);
/* Lets go of what a test left open; after each test. */
void users_forget(void);

/* ---- the authority ------------------------------------------------------------------ */

enum authority_mood {
	AUTHORITY_YES,
	AUTHORITY_NO,
	AUTHORITY_CHALLENGE, /* a password would do, and no agent is there */
	AUTHORITY_ERROR,
	AUTHORITY_NONSENSE, /* a reply of another signature */
	AUTHORITY_SILENT,   /* until authority_answer() */
};

struct authority_asked {
	char kind[40], name[40], action[64], slot[300], image[160], operation[200], id[64];
	uint32_t flags;
};

struct authority {
	enum authority_mood mood;
	const char *only; /* YES to this action, NO to the others; NULL: as the mood says */
	unsigned int asked, cancelled;
	struct authority_asked last;
	char action[24][64]; /* each that it was asked about, once */
	unsigned int actions;
	char cancelled_id[64]; /* the last */
};
/* Owns org.freedesktop.PolicyKit1 from now on; one at a time. */
struct authority *authority_new(struct rig *rig, enum authority_mood mood);
/* Answers all that it was silent about. */
void authority_answer(enum authority_mood mood);
/* Leaves the bus. */
void authority_free(void);

/* ---- a scene ------------------------------------------------------------------------ */

struct scene {
	struct rig_phone *phone;
	struct rig_package pack;
	struct user *user;
};
/* A phone that is ready, a package, the daemon (more: its arguments or NULL) and a stranger. */
bool scene_set(struct rig *rig, struct scene *s, char *const more[]);
void scene_strike(struct scene *s);
/* Nothing that anybody asked for has reached the phone: nobody even opened it. */
bool scene_untouched(const struct scene *s);
/* The stranger calls Slot.Flash with the name stock.pac; job (room bytes) gets the path, may be NULL. */
bool scene_flash(struct rig *rig, struct scene *s, int timeout_ms, char *job, size_t room);
/* One of Manager.Counters; UINT64_MAX: there is none. */
uint64_t rig_counter(struct rig *rig, const char *key);

#endif
