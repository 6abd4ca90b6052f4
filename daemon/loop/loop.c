/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The base, its turns, timers, watches and signals. libevent 2.1 has no hook before it sleeps, so the outer
 * loop is ours: prepare hooks, then one round of EVLOOP_ONCE (dbus-daemon-practice 7).
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include <event2/event.h>

#include "common/util.h"
#include "loop/internal.h"

struct loop_prepare {
	struct loop *loop;
	struct loop_prepare *next;
	loop_fn fn; /* NULL: freed while the hooks ran, swept afterwards */
	void *arg;
};

struct loop_timer {
	struct loop *loop;
	struct event *event;
	uint64_t at;
	bool armed;
	loop_fn fn;
	void *arg;
};

struct loop_io {
	struct loop *loop;
	struct event *event;
	int fd;
	unsigned int events;
	loop_io_fn fn;
	void *arg;
};

struct loop_signal {
	struct loop *loop;
	struct event *event;
	loop_fn fn;
	void *arg;
};

uint64_t loop_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

/* ---- turns --------------------------------------------------------------------------------------- */

void loop_woken(struct loop *loop)
{
	if (!loop->turn_began)
		loop->turn_began = loop_now();
}

static void turn_measure(struct loop *loop)
{
	uint64_t took;

	if (!loop->turn_began)
		return;
	took = loop_now() - loop->turn_began;
	loop->turn_began = 0;
	if (took > loop->stats.max_turn_usec)
		loop->stats.max_turn_usec = took;
	if (took > LOOP_SLOW_TURN_USEC)
		loop->stats.slow_turns++;
}

static void prepare_run(struct loop *loop)
{
	struct loop_prepare **at, *hook;

	if (loop->prepare)
		loop_woken(loop);
	for (hook = loop->prepare; hook; hook = hook->next) {
		if (hook->fn)
			hook->fn(hook->arg);
	}
	at = &loop->prepare;
	while ((hook = *at)) {
		if (hook->fn) {
			at = &hook->next;
			continue;
		}
		*at = hook->next;
		free(hook);
	}
}

/* Only there to end the wait of one loop_turn(). */
static void on_turn_limit(evutil_socket_t fd, short what, void *arg)
{
}

static int turn(struct loop *loop, bool sleep)
{
	int r;

	prepare_run(loop);
	if (loop->quit)
		return 0;
	if (loop_calls_ready(loop))
		sleep = false;
	turn_measure(loop);
	r = event_base_loop(loop->base, EVLOOP_ONCE | (sleep ? 0 : EVLOOP_NONBLOCK));
	if (r < 0)
		return -EIO;
	loop_calls_run(loop);
	loop->stats.turns++;
	return 0;
}

int loop_turn(struct loop *loop, uint64_t max_usec)
{
	struct timeval tv = { (time_t)(max_usec / 1000000u), (suseconds_t)(max_usec % 1000000u) };
	int r;

	loop->thread = pthread_self();
	if (max_usec && evtimer_add(loop->limit, &tv) < 0)
		return -ENOMEM;
	r = turn(loop, max_usec != 0);
	evtimer_del(loop->limit);
	turn_measure(loop);
	return r;
}

int loop_run(struct loop *loop)
{
	int r = 0;

	loop->thread = pthread_self();
	while (!loop->quit && r == 0)
		r = turn(loop, true);
	turn_measure(loop);
	loop->quit = false;
	return r < 0 ? r : loop->code;
}

void loop_quit(struct loop *loop, int code)
{
	loop->quit = true;
	loop->code = code;
}

bool loop_here(const struct loop *loop)
{
	return pthread_equal(loop->thread, pthread_self());
}

uint64_t loop_turns(const struct loop *loop)
{
	return loop->stats.turns;
}

void loop_stats(const struct loop *loop, struct loop_stats *stats)
{
	*stats = loop->stats;
}

void loop_stats_reset_max(struct loop *loop)
{
	loop->stats.max_turn_usec = 0;
}

struct loop *loop_new(void)
{
	struct event_config *config = event_config_new();
	struct loop *loop = calloc(1, sizeof(*loop));

	if (!loop || !config)
		goto fail;
	/*
	 * Precise: the default clock of libevent has a grain of 4 ms. No cached time: a timer that a long
	 * call sets counts from then, not from the start of the turn.
	 */
	if (event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER | EVENT_BASE_FLAG_NO_CACHE_TIME |
						  EVENT_BASE_FLAG_NOLOCK) < 0)
		goto fail;
	loop->base = event_base_new_with_config(config);
	if (!loop->base)
		goto fail;
	loop->limit = evtimer_new(loop->base, on_turn_limit, NULL);
	if (!loop->limit)
		goto fail;
	loop->thread = pthread_self();
	if (loop_calls_init(loop) < 0)
		goto fail;
	event_config_free(config);
	return loop;
fail:
	if (loop && loop->limit)
		event_free(loop->limit);
	if (loop && loop->base)
		event_base_free(loop->base);
	if (config)
		event_config_free(config);
	free(loop);
	return NULL;
}

void loop_end_add(struct loop *loop, struct loop_end *end)
{
	end->next = loop->ends;
	loop->ends = end;
}

void loop_end_remove(struct loop *loop, struct loop_end *end)
{
	struct loop_end **at = &loop->ends;

	while (*at && *at != end)
		at = &(*at)->next;
	if (*at)
		*at = end->next;
}

void loop_free(struct loop *loop)
{
	struct loop_end *end;

	if (!loop)
		return;
	while ((end = loop->ends)) {
		loop->ends = end->next;
		end->fn(end);
	}
	loop_calls_end(loop);
	event_free(loop->limit);
	event_base_free(loop->base);
	free(loop);
}

/* ---- prepare hooks ---------------------------------------------------------------------------------- */

struct loop_prepare *loop_prepare_new(struct loop *loop, loop_fn fn, void *arg)
{
	struct loop_prepare *hook = calloc(1, sizeof(*hook)), **at = &loop->prepare;

	if (!hook)
		return NULL;
	hook->loop = loop;
	hook->fn = fn;
	hook->arg = arg;
	while (*at)
		at = &(*at)->next;
	*at = hook;
	return hook;
}

void loop_prepare_free(struct loop_prepare *hook)
{
	if (!hook)
		return;
	/* swept before the next sleep; until then it stays linked, so a hook may free itself or another */
	hook->fn = NULL;
}

void loop_prepare_sweep(struct loop *loop)
{
	struct loop_prepare *hook;

	while ((hook = loop->prepare)) {
		loop->prepare = hook->next;
		free(hook);
	}
}

/* ---- timers --------------------------------------------------------------------------------------- */

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct loop_timer *timer = arg;

	loop_woken(timer->loop);
	timer->armed = false;
	/* libevent rounds; we promised never to be early */
	if (loop_now() < timer->at && loop_timer_at(timer, timer->at) == 0)
		return;
	timer->fn(timer->arg);
}

struct loop_timer *loop_timer_new(struct loop *loop, loop_fn fn, void *arg)
{
	struct loop_timer *timer = calloc(1, sizeof(*timer));

	if (!timer)
		return NULL;
	timer->loop = loop;
	timer->fn = fn;
	timer->arg = arg;
	timer->event = evtimer_new(loop->base, on_timer, timer);
	if (!timer->event) {
		free(timer);
		return NULL;
	}
	return timer;
}

int loop_timer_at(struct loop_timer *timer, uint64_t usec)
{
	uint64_t now = loop_now(), wait;
	struct timeval tv;

	if (usec == UINT64_MAX) {
		loop_timer_stop(timer);
		return 0;
	}
	wait = usec > now ? usec - now : 0;
	/* a year is as good as any longer time, and fits every time_t */
	wait = MIN(wait, 31536000u * UINT64_C(1000000));
	tv.tv_sec = (time_t)(wait / 1000000u);
	tv.tv_usec = (suseconds_t)(wait % 1000000u);
	if (evtimer_add(timer->event, &tv) < 0)
		return -ENOMEM;
	timer->at = usec;
	timer->armed = true;
	return 0;
}

int loop_timer_after(struct loop_timer *timer, uint64_t usec)
{
	uint64_t now = loop_now();

	return loop_timer_at(timer, usec < UINT64_MAX - now ? now + usec : UINT64_MAX);
}

void loop_timer_stop(struct loop_timer *timer)
{
	if (!timer->armed)
		return;
	timer->armed = false;
	evtimer_del(timer->event);
}

bool loop_timer_armed(const struct loop_timer *timer)
{
	return timer->armed;
}

void loop_timer_free(struct loop_timer *timer)
{
	if (!timer)
		return;
	event_free(timer->event);
	free(timer);
}

/* ---- descriptors ------------------------------------------------------------------------------------ */

static void on_io(evutil_socket_t fd, short what, void *arg)
{
	struct loop_io *io = arg;

	loop_woken(io->loop);
	io->fn(io->fd, (what & EV_READ ? LOOP_READ : 0) | (what & EV_WRITE ? LOOP_WRITE : 0), io->arg);
}

static short event_mask(unsigned int events)
{
	return (short)(EV_PERSIST | (events & LOOP_READ ? EV_READ : 0) |
		       (events & LOOP_WRITE ? EV_WRITE : 0));
}

struct loop_io *loop_io_new(struct loop *loop, int fd, unsigned int events, loop_io_fn fn, void *arg)
{
	struct loop_io *io = calloc(1, sizeof(*io));

	if (!io)
		return NULL;
	io->loop = loop;
	io->fd = fd;
	io->fn = fn;
	io->arg = arg;
	io->event = event_new(loop->base, fd, event_mask(events), on_io, io);
	if (!io->event) {
		free(io);
		errno = ENOMEM;
		return NULL;
	}
	if (events && event_add(io->event, NULL) < 0) {
		int saved = errno ? errno : EPERM;

		event_free(io->event);
		free(io);
		errno = saved;
		return NULL;
	}
	io->events = events;
	return io;
}

int loop_io_set(struct loop_io *io, unsigned int events)
{
	if (events == io->events)
		return 0;
	if (io->events)
		event_del(io->event);
	io->events = 0;
	if (!events)
		return 0;
	if (event_assign(io->event, io->loop->base, io->fd, event_mask(events), on_io, io) < 0)
		return -EINVAL;
	if (event_add(io->event, NULL) < 0)
		return errno ? -errno : -EPERM;
	io->events = events;
	return 0;
}

void loop_io_free(struct loop_io *io)
{
	if (!io)
		return;
	event_free(io->event);
	free(io);
}

/* ---- signals --------------------------------------------------------------------------------------- */

static void on_signal(evutil_socket_t fd, short what, void *arg)
{
	struct loop_signal *sig = arg;

	loop_woken(sig->loop);
	sig->fn(sig->arg);
}

struct loop_signal *loop_signal_new(struct loop *loop, int signo, loop_fn fn, void *arg)
{
	struct loop_signal *sig = calloc(1, sizeof(*sig));

	if (!sig)
		return NULL;
	sig->loop = loop;
	sig->fn = fn;
	sig->arg = arg;
	sig->event = evsignal_new(loop->base, signo, on_signal, sig);
	if (!sig->event || event_add(sig->event, NULL) < 0) {
		loop_signal_free(sig);
		return NULL;
	}
	return sig;
}

void loop_signal_free(struct loop_signal *sig)
{
	if (!sig)
		return;
	if (sig->event)
		event_free(sig->event);
	free(sig);
}
