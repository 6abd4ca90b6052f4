/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/inhibit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/journal.h"
#include "common/util.h"
#include "loop/loop.h"
#include "station/station.h"

#define LOGIN_NAME  "org.freedesktop.login1"
#define LOGIN_PATH  "/org/freedesktop/login1"
#define LOGIN_IFACE "org.freedesktop.login1.Manager"

/* what `systemd-inhibit --list` shows */
#define WHO	   "Phone flashing (fdld)"
#define WHY	   "A phone that is cut off in the middle does not start until it is flashed again"

#define AGAIN_USEC 1000000u /* after a lock was lost */

/*
 * The kinds of the block lock: the high-level ones do not cover the lid and the keys. The user fdld needs an
 * action of polkit for each of them (60-fdld-inhibit.rules).
 */
static const char block_what[] = "shutdown:sleep:idle:handle-power-key:handle-suspend-key:handle-lid-switch";
/* Delay locks exist for these two only. */
static const char delay_what[] = "shutdown:sleep";

struct lock {
	struct host_inhibit *inhibit;
	const char *what, *mode;
	bool wanted;
	bool tried; /* it was refused: not asked again before it is wanted anew */
	int fd;	    /* -1: not held */
	struct loop_io *watch;
	sd_bus_slot *asking;
};

/* One of the two things logind prepares for. */
struct going {
	struct host_inhibit *inhibit;
	const char *signal, *property, *word;
	bool soon;
	sd_bus_slot *match, *asking;
};

struct host_inhibit {
	struct loop *loop;
	struct station *station;
	sd_bus *bus; /* from up to down */
	struct loop_timer *again;
	struct lock block, delay;
	struct going shutdown, sleep;
	bool deferred;
	bool absent_told;  /* once for all */
	bool refused_told; /* until a lock was given again */
	bool refused;
};

static void look(void *arg);

/* ---- one lock --------------------------------------------------------------------- */

static void let_go(struct lock *lock)
{
	lock->asking = sd_bus_slot_unref(lock->asking);
	/* the watch goes before the descriptor */
	loop_io_free(lock->watch);
	lock->watch = NULL;
	if (lock->fd >= 0)
		close(lock->fd);
	lock->fd = -1;
	lock->tried = false;
}

/* Nobody reads the other end any more: logind has ended, or has thrown the lock away. */
static void on_lost(int fd, unsigned int events, void *arg)
{
	struct lock *lock = arg;

	let_go(lock);
	lock->tried = true; /* not at once: it may be on its way down */
	if (lock == &lock->inhibit->block)
		journal_event(EVENT_INHIBITOR_LOST, NULL, 0,
			      "logind has dropped the lock that keeps the machine awake; asking again");
	(void)loop_timer_after(lock->inhibit->again, AGAIN_USEC);
}

static bool nobody_there(const sd_bus_error *error)
{
	return sd_bus_error_has_name(error, SD_BUS_ERROR_SERVICE_UNKNOWN) ||
	       sd_bus_error_has_name(error, SD_BUS_ERROR_NAME_HAS_NO_OWNER) ||
	       (error->name && !strncmp(error->name, "org.freedesktop.DBus.Error.Spawn.",
					strlen("org.freedesktop.DBus.Error.Spawn.")));
}

static void not_given(struct lock *lock, const sd_bus_error *error)
{
	struct host_inhibit *inhibit = lock->inhibit;

	lock->tried = true;
	if (nobody_there(error)) {
		if (!inhibit->absent_told)
			journal_line(
				LOG_NOTICE,
				"there is no logind on this bus: nothing keeps the machine awake while phones are flashed");
		inhibit->absent_told = true;
		return;
	}
	if (lock == &inhibit->block)
		inhibit->refused = true;
	if (!inhibit->refused_told)
		journal_event(EVENT_INHIBITOR_LOST, NULL, 0, "logind refused the %s lock on %s: %s",
			      lock->mode, lock->what, error->message ? error->message : error->name);
	inhibit->refused_told = true;
}

static int on_answer(sd_bus_message *m, void *user, sd_bus_error *ret)
{
	struct lock *lock = user;
	struct host_inhibit *inhibit = lock->inhibit;
	int theirs, fd;

	lock->asking = sd_bus_slot_unref(lock->asking);
	if (sd_bus_message_is_method_error(m, NULL)) {
		not_given(lock, sd_bus_message_get_error(m));
		return 0;
	}
	/* the descriptor in the message goes with the message */
	if (sd_bus_message_read(m, "h", &theirs) < 0 || (fd = fcntl(theirs, F_DUPFD_CLOEXEC, 3)) < 0) {
		lock->tried = true;
		return 0;
	}
	lock->fd = fd;
	/* never readable: what wakes it is that the other end was closed */
	lock->watch = loop_io_new(inhibit->loop, fd, LOOP_READ, on_lost, lock);
	if (lock == &inhibit->block) {
		if (inhibit->refused)
			journal_line(LOG_NOTICE, "the machine is kept awake again");
		inhibit->refused = inhibit->refused_told = false;
	}
	return 0;
}

static void ask(struct lock *lock)
{
	struct host_inhibit *inhibit = lock->inhibit;

	if (sd_bus_call_method_async(inhibit->bus, &lock->asking, LOGIN_NAME, LOGIN_PATH, LOGIN_IFACE,
				     "Inhibit", on_answer, lock, "ssss", lock->what, WHO, WHY,
				     lock->mode) < 0)
		lock->tried = true;
}

static void settle(struct lock *lock, bool wanted)
{
	struct host_inhibit *inhibit = lock->inhibit;

	lock->wanted = wanted;
	if (!wanted) {
		let_go(lock);
		return;
	}
	/* while logind is about to act it gives no lock */
	if (lock->fd < 0 && !lock->asking && !lock->tried && inhibit->bus && !inhibit->shutdown.soon &&
	    !inhibit->sleep.soon)
		ask(lock);
}

/* ---- both ------------------------------------------------------------------------- */

static void look(void *arg)
{
	struct host_inhibit *inhibit = arg;
	struct station_counts c;
	bool open;

	inhibit->deferred = false;
	station_counts(inhibit->station, &c);
	open = c.running || c.queued || c.waiting;
	settle(&inhibit->block, c.running);
	if (!c.running)
		inhibit->refused = false;
	/* Once nothing more begins the delay has done its work; before a sleep a running job may use what is
	 * left of it. */
	if (inhibit->shutdown.soon)
		open = false;
	else if (inhibit->sleep.soon)
		open = c.running;
	settle(&inhibit->delay, open);
}

/* Not in the station's own call: the bus is asked in a turn of ours. */
static void touch(struct host_inhibit *inhibit)
{
	if (!inhibit->deferred && loop_defer(inhibit->loop, look, inhibit) == 0)
		inhibit->deferred = true;
}

static void on_again(void *arg)
{
	struct host_inhibit *inhibit = arg;

	inhibit->block.tried = inhibit->delay.tried = false;
	touch(inhibit);
}

static void on_job(void *user, struct job *job)
{
	touch(user);
}

static const struct station_events events = {
	.job_added = on_job,
	.job_changed = on_job,
	.job_finished = on_job,
};

/* ---- what logind prepares for ----------------------------------------------------- */

static void hold(struct host_inhibit *inhibit)
{
	const char *word = inhibit->shutdown.soon ? inhibit->shutdown.word
			   : inhibit->sleep.soon  ? inhibit->sleep.word
						  : NULL;

	station_hold(inhibit->station, word);
	touch(inhibit);
}

static int on_preparing(sd_bus_message *m, void *user, sd_bus_error *ret)
{
	struct going *going = user;
	int soon = 0;

	going->asking = sd_bus_slot_unref(going->asking);
	if (sd_bus_message_is_method_error(m, NULL) || sd_bus_message_read(m, "v", "b", &soon) < 0)
		soon = 0;
	if (going->soon == !!soon)
		return 0;
	going->soon = soon;
	journal_line(LOG_NOTICE,
		     soon ? "the machine is about to %s: no further job begins"
			  : "the machine goes on after %s: jobs begin again",
		     going->word);
	hold(going->inhibit);
	return 0;
}

/* Anybody on the bus can send us a signal of that name, so it is only a reason to ask. */
static int on_signal(sd_bus_message *m, void *user, sd_bus_error *ret)
{
	struct going *going = user;
	sd_bus *bus = going->inhibit->bus;

	if (!bus)
		return 0;
	going->asking = sd_bus_slot_unref(going->asking);
	(void)sd_bus_call_method_async(bus, &going->asking, LOGIN_NAME, LOGIN_PATH,
				       "org.freedesktop.DBus.Properties", "Get", on_preparing, going, "ss",
				       LOGIN_IFACE, going->property);
	return 0;
}

/* ---- life ------------------------------------------------------------------------- */

struct host_inhibit *host_inhibit_new(struct loop *loop, struct station *station)
{
	struct host_inhibit *inhibit = calloc(1, sizeof(*inhibit));

	if (!inhibit)
		return NULL;
	inhibit->loop = loop;
	inhibit->station = station;
	inhibit->block = (struct lock){ .inhibit = inhibit, .what = block_what, .mode = "block", .fd = -1 };
	inhibit->delay = (struct lock){ .inhibit = inhibit, .what = delay_what, .mode = "delay", .fd = -1 };
	inhibit->shutdown = (struct going){ .inhibit = inhibit,
					    .signal = "PrepareForShutdown",
					    .property = "PreparingForShutdown",
					    .word = "shutdown" };
	inhibit->sleep = (struct going){ .inhibit = inhibit,
					 .signal = "PrepareForSleep",
					 .property = "PreparingForSleep",
					 .word = "sleep" };
	inhibit->again = loop_timer_new(loop, on_again, inhibit);
	if (!inhibit->again || station_subscribe(station, &events, inhibit) < 0) {
		host_inhibit_free(inhibit);
		return NULL;
	}
	return inhibit;
}

void host_inhibit_free(struct host_inhibit *inhibit)
{
	if (!inhibit)
		return;
	host_inhibit_down(inhibit);
	station_unsubscribe(inhibit->station, &events, inhibit);
	loop_forget(inhibit->loop, inhibit);
	let_go(&inhibit->block);
	let_go(&inhibit->delay);
	loop_timer_free(inhibit->again);
	free(inhibit);
}

static void follow(struct going *going)
{
	(void)sd_bus_match_signal_async(going->inhibit->bus, &going->match, LOGIN_NAME, LOGIN_PATH,
					LOGIN_IFACE, going->signal, on_signal, NULL, going);
}

void host_inhibit_up(struct host_inhibit *inhibit, sd_bus *bus)
{
	inhibit->bus = bus;
	inhibit->block.tried = inhibit->delay.tried = false;
	follow(&inhibit->shutdown);
	follow(&inhibit->sleep);
	touch(inhibit);
}

static void unfollow(struct going *going)
{
	going->match = sd_bus_slot_unref(going->match);
	going->asking = sd_bus_slot_unref(going->asking);
	/* what it was about to do we would not hear the end of */
	going->soon = false;
}

void host_inhibit_down(struct host_inhibit *inhibit)
{
	if (!inhibit->bus)
		return;
	unfollow(&inhibit->shutdown);
	unfollow(&inhibit->sleep);
	inhibit->block.asking = sd_bus_slot_unref(inhibit->block.asking);
	inhibit->delay.asking = sd_bus_slot_unref(inhibit->delay.asking);
	inhibit->bus = NULL;
	hold(inhibit);
}

const char *host_inhibit_note(const struct host_inhibit *inhibit)
{
	return inhibit->refused
		       ? "; the machine may go to sleep or be shut down meanwhile (no lock of logind)"
		       : "";
}
