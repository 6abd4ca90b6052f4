/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/bus/login.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NAME  "org.freedesktop.login1"
#define PATH  "/org/freedesktop/login1"
#define IFACE "org.freedesktop.login1.Manager"

static int on_inhibit(sd_bus_message *m, void *user, sd_bus_error *error)
{
	struct login *login = user;
	const char *what, *who, *why, *mode;
	struct login_lock *lock;
	int fd[2], r;

	login->asked++;
	r = sd_bus_message_read(m, "ssss", &what, &who, &why, &mode);
	if (r < 0)
		return r;
	if (login->silent)
		return 1;
	if (login->refuses && !strcmp(mode, "block"))
		return sd_bus_error_set(error, "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired",
					"Interactive authentication required.");
	/* delay exists for these two only */
	if (!strcmp(mode, "delay") && strcmp(what, "shutdown:sleep"))
		return sd_bus_error_set(error, SD_BUS_ERROR_INVALID_ARGS, "Delay inhibitors only for ...");
	if (login->sleeping || login->stopping)
		return sd_bus_error_set(error, "org.freedesktop.login1.OperationInProgress",
					"The operation inhibition has been requested for is already running");
	if (login->count == LOGIN_LOCKS || pipe2(fd, O_CLOEXEC | O_NONBLOCK) < 0)
		return -ENFILE;
	lock = &login->lock[login->count++];
	snprintf(lock->what, sizeof(lock->what), "%s", what);
	snprintf(lock->who, sizeof(lock->who), "%s", who);
	snprintf(lock->why, sizeof(lock->why), "%s", why);
	snprintf(lock->mode, sizeof(lock->mode), "%s", mode);
	lock->fd = fd[0];
	r = sd_bus_reply_method_return(m, "h", fd[1]);
	close(fd[1]); /* the message has its own */
	return r;
}

static int get_preparing(sd_bus *bus, const char *path, const char *interface, const char *property,
			 sd_bus_message *reply, void *user, sd_bus_error *error)
{
	struct login *login = user;

	return sd_bus_message_append(reply, "b",
				     strstr(property, "Sleep") ? login->sleeping : login->stopping);
}

static const sd_bus_vtable vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("Inhibit", "ssss", "h", on_inhibit, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_PROPERTY("PreparingForSleep", "b", get_preparing, 0, 0),
	SD_BUS_PROPERTY("PreparingForShutdown", "b", get_preparing, 0, 0),
	SD_BUS_SIGNAL("PrepareForSleep", "b", 0),
	SD_BUS_SIGNAL("PrepareForShutdown", "b", 0),
	SD_BUS_VTABLE_END,
};

bool login_start(struct login *login, struct rig *rig)
{
	memset(login, 0, sizeof(*login));
	login->rig = rig;
	return sd_bus_add_object_vtable(rig_bus(rig), &login->slot, PATH, IFACE, vtable, login) >= 0 &&
	       sd_bus_request_name(rig_bus(rig), NAME, 0) >= 0;
}

void login_drop(struct login *login)
{
	for (unsigned int i = 0; i < login->count; i++) {
		if (login->lock[i].fd >= 0)
			close(login->lock[i].fd);
		login->lock[i].fd = -1;
	}
}

void login_free(struct login *login)
{
	login_drop(login);
	login->slot = sd_bus_slot_unref(login->slot);
}

static bool held(const struct login_lock *lock)
{
	struct pollfd p = { .fd = lock->fd, .events = POLLIN };

	return lock->fd >= 0 && poll(&p, 1, 0) == 0;
}

unsigned int login_held(const struct login *login, const char *mode)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < login->count; i++)
		n += !strcmp(login->lock[i].mode, mode) && held(&login->lock[i]);
	return n;
}

struct expected {
	const struct login *login;
	const char *mode;
	unsigned int count;
};

static bool as_expected(void *arg)
{
	const struct expected *e = arg;

	return login_held(e->login, e->mode) == e->count;
}

bool login_expect(struct login *login, const char *mode, unsigned int count, int timeout_ms)
{
	struct expected e = { login, mode, count };

	return rig_until(login->rig, timeout_ms, as_expected, &e);
}

const struct login_lock *login_last(const struct login *login, const char *mode)
{
	for (unsigned int i = login->count; i--;)
		if (!strcmp(login->lock[i].mode, mode))
			return &login->lock[i];
	return NULL;
}

void login_prepare(struct login *login, const char *what, bool soon, bool truly)
{
	if (truly && !strcmp(what, "PrepareForSleep"))
		login->sleeping = soon;
	else if (truly)
		login->stopping = soon;
	(void)sd_bus_emit_signal(rig_bus(login->rig), PATH, IFACE, what, "b", soon);
}
