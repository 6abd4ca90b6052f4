/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bus/link.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"

#define DRAIN_MESSAGES 64u	 /* then USB gets its turn; the zero timeout brings us back */
#define RETRY_FIRST    100000u	 /* usec */
#define RETRY_MOST     5000000u	 /* usec */
#define SET_UP_LIMIT   20000000u /* usec from connect() to owning the name */

enum link_state { LINK_IDLE, LINK_CONNECTING, LINK_NAMING, LINK_UP };

struct link {
	struct loop *loop;
	char *address, *name;
	const struct link_events *events;
	void *user;
	enum link_state state;
	bool ever_up, lost;
	sd_bus *bus;
	struct loop_prepare *prepare;
	struct loop_io *io;
	int fd; /* that io watches */
	struct loop_timer *timeout, *retry;
	uint64_t retry_usec;
	int error; /* why it was lost, negative errno */
};

static void attempt(void *arg);

/* ---- losing it -------------------------------------------------------------------- */

static void disarm(struct link *link)
{
	/* the watch goes before the descriptor */
	loop_io_free(link->io);
	link->io = NULL;
	link->fd = -1;
	loop_timer_stop(link->timeout);
}

static void drop(struct link *link)
{
	disarm(link);
	if (link->bus)
		link->events->down(link->user);
	link->bus = sd_bus_close_unref(link->bus);
	loop_timer_stop(link->retry);
	link->state = LINK_IDLE;
	link->lost = false;
}

static void refuse(struct link *link, int error)
{
	struct failure why = { 0 };

	if (error == -EEXIST)
		failure_set(&why, ERR_NAME_TAKEN, "%s on %s", link->name, link->address);
	else
		failure_set(&why, ERR_BUS_FAILED, "%s: %s", link->address, strerror(-error));
	link->events->refused(link->user, &why);
}

/* Not within a callback of sd-bus: that connection is still being used there. */
static void give_up(struct link *link)
{
	int error = link->error ? link->error : -ECONNRESET;

	drop(link);
	link->error = 0;
	if (!link->ever_up) {
		refuse(link, error);
		return;
	}
	(void)loop_timer_after(link->retry, link->retry_usec);
	link->retry_usec = MIN(link->retry_usec * 2, (uint64_t)RETRY_MOST);
}

static void mark_lost(struct link *link, int error)
{
	if (!link->lost)
		link->error = error;
	link->lost = true;
}

/* ---- talking ---------------------------------------------------------------------- */

static void pump(struct link *link)
{
	for (unsigned int i = 0; i < DRAIN_MESSAGES && link->bus && !link->lost; i++) {
		int r = sd_bus_process(link->bus, NULL);

		if (r == 0 || r == -EBUSY)
			return;
		if (r < 0)
			mark_lost(link, r);
	}
}

static void on_io(int fd, unsigned int events, void *arg)
{
	pump(arg);
}

static void on_timeout(void *arg)
{
	pump(arg);
}

static int arm(struct link *link)
{
	uint64_t at = UINT64_MAX;
	int fd = sd_bus_get_fd(link->bus);
	int events = sd_bus_get_events(link->bus);
	unsigned int want;
	int r;

	if (fd < 0)
		return fd;
	if (events < 0)
		return events;
	want = (events & POLLIN ? LOOP_READ : 0) | (events & POLLOUT ? LOOP_WRITE : 0);
	if (link->io && link->fd != fd) {
		loop_io_free(link->io);
		link->io = NULL;
	}
	if (link->io) {
		r = loop_io_set(link->io, want);
	} else {
		link->io = loop_io_new(link->loop, fd, want, on_io, link);
		r = link->io ? 0 : -ENOMEM;
	}
	if (r < 0)
		return r;
	link->fd = fd;
	r = sd_bus_get_timeout(link->bus, &at);
	if (r < 0)
		return r;
	return loop_timer_at(link->timeout, r > 0 ? at : UINT64_MAX);
}

/* Before every sleep. Emission may fill the queues, so arming comes last. */
static void on_prepare(void *arg)
{
	struct link *link = arg;
	int r;

	if (link->lost)
		give_up(link);
	if (!link->bus)
		return;
	if (link->state == LINK_UP)
		link->events->turn(link->user);
	r = arm(link);
	if (r < 0) {
		mark_lost(link, r);
		(void)loop_timer_after(link->timeout, 0);
	}
}

/* ---- getting it ------------------------------------------------------------------- */

static int on_disconnected(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	mark_lost(arg, -ECONNRESET);
	return 0;
}

static int on_name(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	struct link *link = arg;
	uint32_t answer = 0;
	int r = sd_bus_message_is_method_error(m, NULL) ? -sd_bus_message_get_errno(m)
							: sd_bus_message_read(m, "u", &answer);

	if (r >= 0 && answer != 1 && answer != 4) /* primary owner, already ours */
		r = -EEXIST;
	if (r < 0) {
		mark_lost(link, r);
		return 0;
	}
	link->state = LINK_UP;
	link->ever_up = true;
	link->retry_usec = RETRY_FIRST;
	loop_timer_stop(link->retry);
	link->events->up(link->user, link->bus);
	return 0;
}

static int on_connected(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	struct link *link = arg;
	int r;

	link->state = LINK_NAMING;
	/* no queueing: somebody else having it is an error at the start, and a reason to try later afterwards
	 */
	r = sd_bus_request_name_async(link->bus, NULL, link->name, 0, on_name, link);
	if (r < 0)
		mark_lost(link, r);
	return 0;
}

static int make(struct link *link)
{
	_cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
	const char *system = secure_getenv("DBUS_SYSTEM_BUS_ADDRESS");
	const char *session = secure_getenv("DBUS_SESSION_BUS_ADDRESS");
	const char *address = link->address;
	char user_bus[256];
	int r;

	if (!strcmp(address, LINK_ADDRESS_SYSTEM)) {
		address = system ? system : "unix:path=/run/dbus/system_bus_socket";
	} else if (!strcmp(address, LINK_ADDRESS_SESSION)) {
		const char *dir = secure_getenv("XDG_RUNTIME_DIR");

		if (!session && !dir)
			return -ENOENT;
		snprintf(user_bus, sizeof(user_bus), "unix:path=%s/bus", dir ? dir : "");
		address = session ? session : user_bus;
	}
	r = sd_bus_new(&bus);
	if (r < 0)
		return r;
	if ((r = sd_bus_set_description(bus, "fdld")) < 0 || (r = sd_bus_set_address(bus, address)) < 0 ||
	    (r = sd_bus_set_bus_client(bus, true)) < 0 || (r = sd_bus_set_connected_signal(bus, true)) < 0 ||
	    (r = sd_bus_negotiate_fds(bus, true)) < 0)
		return r;
	r = sd_bus_start(bus);
	if (r < 0)
		return r;
	r = sd_bus_match_signal(bus, NULL, "org.freedesktop.DBus.Local", NULL, "org.freedesktop.DBus.Local",
				"Connected", on_connected, link);
	if (r >= 0)
		r = sd_bus_match_signal(bus, NULL, "org.freedesktop.DBus.Local", NULL,
					"org.freedesktop.DBus.Local", "Disconnected", on_disconnected, link);
	if (r >= 0)
		r = link->events->attach(link->user, bus);
	if (r < 0) {
		link->events->down(link->user);
		return r;
	}
	link->bus = TAKE_PTR(bus);
	link->state = LINK_CONNECTING;
	return 0;
}

static void attempt(void *arg)
{
	struct link *link = arg;
	int r;

	if (link->state != LINK_IDLE) { /* the set-up took too long */
		mark_lost(link, -ETIMEDOUT);
		return;
	}
	r = make(link);
	if (r < 0) {
		link->error = r;
		give_up(link);
		return;
	}
	(void)loop_timer_after(link->retry, SET_UP_LIMIT);
}

/* ---- life ------------------------------------------------------------------------- */

struct link *link_new(struct loop *loop, const char *address, const char *name,
		      const struct link_events *events, void *user)
{
	struct link *link = calloc(1, sizeof(*link));

	if (!link)
		return NULL;
	link->loop = loop;
	link->events = events;
	link->user = user;
	link->fd = -1;
	link->retry_usec = RETRY_FIRST;
	link->address = strdup(address);
	link->name = strdup(name);
	link->timeout = loop_timer_new(loop, on_timeout, link);
	link->retry = loop_timer_new(loop, attempt, link);
	link->prepare = loop_prepare_new(loop, on_prepare, link);
	if (!link->address || !link->name || !link->timeout || !link->retry || !link->prepare) {
		link_free(link);
		return NULL;
	}
	return link;
}

void link_start(struct link *link)
{
	(void)loop_timer_after(link->retry, 0);
}

sd_bus *link_bus(const struct link *link)
{
	return link->state == LINK_UP && !link->lost ? link->bus : NULL;
}

/* Bounded by hand: sd_bus_flush() would wait for a bus that does not read. */
static void flush(struct link *link)
{
	uint64_t until = loop_now() + 500000;

	while (link->bus && !link->lost && loop_now() < until) {
		int events = sd_bus_get_events(link->bus);

		if (events < 0 || !(events & POLLOUT))
			return;
		if (sd_bus_wait(link->bus, 50000) < 0)
			return;
		pump(link);
	}
}

void link_free(struct link *link)
{
	if (!link)
		return;
	if (link->timeout) {
		flush(link);
		drop(link);
	}
	loop_prepare_free(link->prepare);
	loop_timer_free(link->timeout);
	loop_timer_free(link->retry);
	free(link->address);
	free(link->name);
	free(link);
}
