/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The life of a pipe: opened on the phone's thread, used on the loop, closed on the phone's thread again.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "usb/internal.h"

#define OPEN_USEC  UINT64_C(3000000)
#define CLOSE_USEC UINT64_C(3000000)

struct closing {
	struct usb_context *ctx;
	libusb_device_handle *handle;
	int fd;
	struct usb_pipe *pipe; /* loop only */
};

/* ---- closing ---------------------------------------------------------------------------------------------
 */

/* The last act: nothing of the pipe is with libusb, the kernel or a thread any more. */
static void finish(void *arg)
{
	struct usb_pipe *pipe = arg;

	loop_forget(pipe->loop, pipe);
	loop_timer_free(pipe->timer);
	worker_close(pipe->worker);
	usb_context_drop(pipe->ctx);
	pipe->events->closed(pipe->user);
	free(pipe);
}

static void close_run(void *arg)
{
	struct closing *closing = arg;

	usb_opening_close(closing->handle, closing->fd);
}

static void close_done(void *arg, int status)
{
	struct closing *closing = arg;

	finish(closing->pipe);
}

static void close_release(void *arg)
{
	struct closing *closing = arg;

	usb_context_drop(closing->ctx);
	free(closing);
}

static int close_on_thread(struct usb_pipe *pipe)
{
	struct closing *closing = calloc(1, sizeof(*closing));
	struct worker_call call = {
		.run = close_run,
		.done = close_done,
		.release = close_release,
		.arg = closing,
		.deadline = loop_now() + CLOSE_USEC,
	};
	int r;

	if (!closing)
		return -ENOMEM;
	closing->ctx = pipe->ctx;
	closing->handle = pipe->handle;
	closing->fd = pipe->fd;
	closing->pipe = pipe;
	usb_context_hold(pipe->ctx);
	r = worker_submit(pipe->worker, &call, NULL);
	if (r < 0)
		close_release(closing);
	return r;
}

/* In a call of its own: never within a callback of libusb, which holds locks that closing needs. */
static void close_now(void *arg)
{
	struct usb_pipe *pipe = arg;

	loop_timer_stop(pipe->timer);
	usb_context_unwatch(pipe->ctx, &pipe->watch);
	pipe_transfers_free(pipe);
	if (!pipe->handle && pipe->fd < 0) {
		finish(pipe);
		return;
	}
	if (close_on_thread(pipe) == 0)
		return;
	/* no thread to be had: it is better to risk a slow turn than to keep the phone */
	usb_opening_close(pipe->handle, pipe->fd);
	finish(pipe);
}

void pipe_idle(struct usb_pipe *pipe)
{
	if (!pipe->closing || pipe->finished || pipe->inflight ||
	    (pipe->state == PIPE_OPENING && !pipe->stuck))
		return;
	pipe->finished = true;
	/* the timer serves where memory for a deferred call is short */
	if (loop_defer(pipe->loop, close_now, pipe) < 0) {
		pipe->finished = false;
		loop_timer_after(pipe->timer, 1000);
	}
}

void usb_pipe_close(struct usb_pipe *pipe)
{
	if (pipe->closing)
		return;
	pipe->closing = true;
	loop_timer_stop(pipe->timer);
	pipe_cancel_all(pipe);
	pipe_idle(pipe);
}

/* ---- opening ---------------------------------------------------------------------------------------------
 */

static void opening_run(void *arg)
{
	usb_opening_run(arg);
}

static void opening_release(void *arg)
{
	struct usb_opening *opening = arg;

	/* only where nobody took them: the thread came back after it had been given up */
	usb_opening_close(opening->handle, opening->fd);
	usb_context_drop(opening->ctx);
	free(opening);
}

static void opening_take(struct usb_pipe *pipe, struct usb_opening *opening)
{
	uint64_t begun = pipe->facts.open_begun_usec;

	pipe->handle = opening->handle;
	pipe->fd = opening->fd;
	opening->handle = NULL;
	opening->fd = -1;
	pipe->facts = opening->facts;
	pipe->facts.open_begun_usec = begun;
}

static void opening_done(void *arg, int status)
{
	struct usb_opening *opening = arg;
	struct usb_pipe *pipe = opening->pipe;
	struct failure why = { 0 };
	int r;

	if (status < 0) {
		pipe->stuck = true;
		failure_set(&why, ERR_USB_OPEN_TIMEOUT, "%s could not be opened in %llu ms",
			    pipe->arrival.devnode,
			    (unsigned long long)((loop_now() - pipe->facts.open_begun_usec) / 1000));
		pipe_fail(pipe, &why);
		pipe_idle(pipe);
		return;
	}
	if (opening->why.error) {
		pipe->stuck = true;
		pipe_fail(pipe, &opening->why);
		pipe_idle(pipe);
		return;
	}
	opening_take(pipe, opening);
	pipe->state = PIPE_CONTROL;
	if (pipe->closing) {
		pipe_idle(pipe);
		return;
	}
	r = pipe_transfers_make(pipe);
	if (r == 0)
		r = usb_context_watch(pipe->ctx, &pipe->watch, pipe->fd);
	if (r < 0) {
		failure_set(&why, r == -EPERM ? ERR_USB_NODE_WRONG : ERR_USB_NO_MEMORY, "%s: %s",
			    pipe->arrival.devnode, strerror(-r));
		pipe_fail(pipe, &why);
		return;
	}
	pipe_start(pipe);
}

static int open_on_thread(struct usb_pipe *pipe)
{
	struct usb_opening *opening = calloc(1, sizeof(*opening));
	uint64_t limit = pipe->options.open_usec ? pipe->options.open_usec : OPEN_USEC;
	struct worker_call call = {
		.run = opening_run,
		.done = opening_done,
		.release = opening_release,
		.arg = opening,
		.deadline = loop_now() + limit,
	};
	int r;

	if (!opening)
		return -ENOMEM;
	opening->ctx = pipe->ctx;
	opening->usb = usb_context_hold(pipe->ctx);
	opening->arrival = pipe->arrival;
	opening->fd = -1;
	opening->pipe = pipe;
	r = worker_submit(pipe->worker, &call, NULL);
	if (r < 0)
		opening_release(opening);
	return r;
}

struct usb_pipe *usb_pipe_open(struct usb_context *ctx, const struct usb_arrival *arrival,
			       const struct usb_pipe_options *options, const struct usb_pipe_events *events,
			       void *user, struct failure *why)
{
	struct usb_pipe *pipe = calloc(1, sizeof(*pipe));
	int r = -ENOMEM;

	if (!pipe)
		goto fail;
	pipe->ctx = ctx;
	pipe->loop = usb_context_loop(ctx);
	pipe->events = events;
	pipe->user = user;
	if (options)
		pipe->options = *options;
	pipe->arrival = *arrival;
	pipe->fd = -1;
	pipe->depth = USB_STREAM_DEPTH;
	pipe->facts.open_begun_usec = loop_now();
	pipe->timer = loop_timer_new(pipe->loop, pipe_on_timer, pipe);
	pipe->worker = worker_new(pipe->loop, "fdld-phone", 1);
	if (pipe->timer && pipe->worker)
		r = open_on_thread(pipe);
	if (r < 0)
		goto fail;
	usb_context_hold(ctx);
	return pipe;
fail:
	failure_set(why, ERR_USB_NO_MEMORY, "no thread or memory to open %s: %s", arrival->devnode,
		    strerror(-r));
	if (pipe) {
		loop_timer_free(pipe->timer);
		worker_close(pipe->worker);
	}
	free(pipe);
	return NULL;
}

/* ---- what can be asked -----------------------------------------------------------------------------------
 */

void usb_pipe_set_depth(struct usb_pipe *pipe, unsigned int depth)
{
	pipe->depth = MIN(MAX(depth, 1u), DEPTH_MAX);
}

unsigned int usb_pipe_depth(const struct usb_pipe *pipe)
{
	return pipe->depth;
}

void usb_pipe_facts(const struct usb_pipe *pipe, struct usb_pipe_facts *facts)
{
	*facts = pipe->facts;
}
