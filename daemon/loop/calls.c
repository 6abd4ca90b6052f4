/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Calls for the next turn: deferred by the loop's own thread, or posted by others through the mailbox, which
 * is a locked list and an eventfd. libevent itself is never touched by another thread.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/util.h"
#include "loop/internal.h"

#define THREADS_WAIT_SEC 2

struct loop_mailbox {
	pthread_mutex_t lock;
	pthread_cond_t empty; /* threads became 0 */
	struct loop_item *items, **tail;
	unsigned int refs, threads;
	int fd;
	bool shut;
};

struct call {
	struct loop_item item;
	struct loop *loop;
	loop_fn fn;
	void *arg;
};

static void call_run(struct loop_item *item)
{
	struct call *call = CONTAINER_OF(item, struct call, item);
	loop_fn fn = call->fn;
	void *arg = call->arg;

	free(call);
	fn(arg);
}

static void call_drop(struct loop_item *item)
{
	free(CONTAINER_OF(item, struct call, item));
}

static struct call *call_new(struct loop *loop, loop_fn fn, void *arg)
{
	struct call *call = calloc(1, sizeof(*call));

	if (!call)
		return NULL;
	call->item.run = call_run;
	call->item.drop = call_drop;
	call->loop = loop;
	call->fn = fn;
	call->arg = arg;
	return call;
}

/* ---- the mailbox: any thread ---------------------------------------------------------------------- */

static struct loop_mailbox *mailbox_new(void)
{
	struct loop_mailbox *box = calloc(1, sizeof(*box));

	if (!box)
		return NULL;
	box->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (box->fd < 0) {
		free(box);
		return NULL;
	}
	pthread_mutex_init(&box->lock, NULL);
	pthread_cond_init(&box->empty, NULL);
	box->tail = &box->items;
	box->refs = 1;
	return box;
}

struct loop_mailbox *loop_mailbox_ref(struct loop *loop)
{
	struct loop_mailbox *box = loop->box;

	pthread_mutex_lock(&box->lock);
	box->refs++;
	pthread_mutex_unlock(&box->lock);
	return box;
}

void loop_mailbox_unref(struct loop_mailbox *box)
{
	bool last;

	if (!box)
		return;
	pthread_mutex_lock(&box->lock);
	last = --box->refs == 0;
	pthread_mutex_unlock(&box->lock);
	if (!last)
		return;
	pthread_cond_destroy(&box->empty);
	pthread_mutex_destroy(&box->lock);
	free(box);
}

int loop_mailbox_post(struct loop_mailbox *box, struct loop_item *item)
{
	static const uint64_t one = 1;
	bool first;

	pthread_mutex_lock(&box->lock);
	if (box->shut) {
		pthread_mutex_unlock(&box->lock);
		return -ESHUTDOWN;
	}
	first = !box->items;
	item->next = NULL;
	*box->tail = item;
	box->tail = &item->next;
	/*
	 * Under the lock, because loop_free() must not close the descriptor in between. A counter at its
	 * limit, the only way to fail, is awake too.
	 */
	while (first && write(box->fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
	pthread_mutex_unlock(&box->lock);
	return 0;
}

void loop_mailbox_enter(struct loop_mailbox *box)
{
	pthread_mutex_lock(&box->lock);
	box->threads++;
	pthread_mutex_unlock(&box->lock);
}

void loop_mailbox_leave(struct loop_mailbox *box)
{
	pthread_mutex_lock(&box->lock);
	if (--box->threads == 0)
		pthread_cond_broadcast(&box->empty);
	pthread_mutex_unlock(&box->lock);
}

int loop_post(struct loop *loop, loop_fn fn, void *arg)
{
	struct call *call = call_new(loop, fn, arg);
	int r;

	if (!call)
		return -ENOMEM;
	r = loop_mailbox_post(loop->box, &call->item);
	if (r < 0)
		free(call);
	return r;
}

/* ---- the loop's side --------------------------------------------------------------------------------- */

static struct loop_item *mailbox_take(struct loop_mailbox *box)
{
	struct loop_item *items;
	uint64_t count;

	pthread_mutex_lock(&box->lock);
	items = box->items;
	box->items = NULL;
	box->tail = &box->items;
	if (read(box->fd, &count, sizeof(count)) < 0)
		count = 0; /* EAGAIN: nothing was posted */
	pthread_mutex_unlock(&box->lock);
	return items;
}

static void queue_items(struct loop *loop, struct loop_item *items)
{
	*loop->calls_tail = items;
	while (*loop->calls_tail)
		loop->calls_tail = &(*loop->calls_tail)->next;
}

static void on_mail(evutil_socket_t fd, short what, void *arg)
{
	struct loop *loop = arg;

	loop_woken(loop);
	queue_items(loop, mailbox_take(loop->box));
}

int loop_defer(struct loop *loop, loop_fn fn, void *arg)
{
	struct call *call = call_new(loop, fn, arg);

	if (!call)
		return -ENOMEM;
	queue_items(loop, &call->item);
	return 0;
}

bool loop_calls_ready(const struct loop *loop)
{
	return loop->calls;
}

void loop_calls_run(struct loop *loop)
{
	struct loop_item *item;

	if (!loop->calls)
		return;
	loop_woken(loop);
	/* only what is there now: a call that defers itself must let descriptors have their turn */
	loop->running = loop->calls;
	loop->calls = NULL;
	loop->calls_tail = &loop->calls;
	while ((item = loop->running)) {
		loop->running = item->next;
		item->run(item);
	}
}

/* Takes calls with this arg out of a list; returns the rest. */
static struct loop_item *forget_in(struct loop_item *items, const void *arg)
{
	struct loop_item *item, *kept = NULL, **tail = &kept;

	while ((item = items)) {
		struct call *call = CONTAINER_OF(item, struct call, item);

		items = item->next;
		if (item->run == call_run && call->arg == arg) {
			free(call);
			continue;
		}
		item->next = NULL;
		*tail = item;
		tail = &item->next;
	}
	return kept;
}

void loop_forget(struct loop *loop, const void *arg)
{
	struct loop_item *calls;

	/* what is still in the mailbox comes over first, so that one search finds all */
	queue_items(loop, mailbox_take(loop->box));
	loop->running = forget_in(loop->running, arg);
	calls = forget_in(loop->calls, arg);
	loop->calls_tail = &loop->calls;
	queue_items(loop, calls);
}

static void drop_all(struct loop_item *items)
{
	struct loop_item *item;

	while ((item = items)) {
		items = item->next;
		item->drop(item);
	}
}

int loop_calls_init(struct loop *loop)
{
	loop->calls_tail = &loop->calls;
	loop->box = mailbox_new();
	if (!loop->box)
		return -ENOMEM;
	loop->box_event = event_new(loop->base, loop->box->fd, EV_READ | EV_PERSIST, on_mail, loop);
	if (loop->box_event && event_add(loop->box_event, NULL) == 0)
		return 0;
	if (loop->box_event)
		event_free(loop->box_event);
	close(loop->box->fd);
	loop_mailbox_unref(loop->box);
	return -ENOMEM;
}

void loop_calls_end(struct loop *loop)
{
	struct loop_mailbox *box = loop->box;
	struct loop_item *items, *calls = loop->calls;
	struct timespec until;

	loop->calls = NULL;
	loop->calls_tail = &loop->calls;
	/* not by the clock that people set */
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += THREADS_WAIT_SEC;
	pthread_mutex_lock(&box->lock);
	box->shut = true;
	items = box->items;
	box->items = NULL;
	while (box->threads && pthread_cond_clockwait(&box->empty, &box->lock, CLOCK_MONOTONIC, &until) == 0)
		;
	event_free(loop->box_event);
	close(box->fd);
	box->fd = -1;
	pthread_mutex_unlock(&box->lock);
	drop_all(calls);
	drop_all(items);
	loop_prepare_sweep(loop);
	loop_mailbox_unref(box);
}
