/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A logind by script, on the rig's own connection: gives locks as pipes, refuses them, drops them, and tells
 * that the machine is about to sleep or to shut down.
 */
#ifndef TESTS_BUS_LOGIN_H
#define TESTS_BUS_LOGIN_H

#include "tests/bus/rig.h"

#define LOGIN_LOCKS 32

struct login_lock {
	char what[160], who[80], why[160], mode[8];
	int fd; /* our end; -1: dropped by us */
};

struct login {
	struct rig *rig;
	bool refuses; /* as logind refuses who has no session */
	bool silent;  /* never answers */
	int sleeping, stopping;
	unsigned int asked; /* calls of Inhibit */
	unsigned int count;
	struct login_lock lock[LOGIN_LOCKS];
	sd_bus_slot *slot;
};

/* Takes the name. What it gave is given back by login_free(). */
bool login_start(struct login *login, struct rig *rig);
void login_free(struct login *login);
/* Locks of this mode that somebody holds now. */
unsigned int login_held(const struct login *login, const char *mode);
/* Serves until `count` locks of this mode are held. */
bool login_expect(struct login *login, const char *mode, unsigned int count, int timeout_ms);
/* The last one that was given in this mode. */
const struct login_lock *login_last(const struct login *login, const char *mode);
/* Closes our ends, as a logind that dies. */
void login_drop(struct login *login);
/* Says PrepareForSleep or PrepareForShutdown; truly: the property says the same. */
void login_prepare(struct login *login, const char *what, bool soon, bool truly);

#endif
