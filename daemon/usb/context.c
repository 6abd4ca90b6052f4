/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libusb on the loop. Its own two descriptors are watched from the start. A device node is watched from the
 * moment its pipe has it until before it is closed again, by the pipe itself: libusb's notifiers would come
 * from the phone's thread, where no watch may be touched, and when they arrived here the number could belong
 * to another file. One notifier is needed all the same: after a hang-up libusb forgets the node while it
 * handles events, and an error that nobody reads would keep the loop awake.
 */
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "common/util.h"
#include "usb/internal.h"

#define OWN_FDS_MAX 8

struct usb_context {
	libusb_context *usb;
	struct loop *loop;
	atomic_uint refs;
	struct usb_watch own[OWN_FDS_MAX];
	unsigned int owns;
	struct usb_watch *watches;
	uint64_t pumped; /* turn */
};

libusb_context *usb_context_hold(struct usb_context *ctx)
{
	atomic_fetch_add(&ctx->refs, 1);
	return ctx->usb;
}

void usb_context_drop(struct usb_context *ctx)
{
	if (atomic_fetch_sub(&ctx->refs, 1) != 1)
		return;
	libusb_exit(ctx->usb);
	free(ctx);
}

struct loop *usb_context_loop(struct usb_context *ctx)
{
	return ctx->loop;
}

static void on_ready(int fd, unsigned int events, void *arg)
{
	static struct timeval zero;
	struct usb_context *ctx = arg;

	/* libusb polls all of its descriptors at each call: once a turn is enough, what is left stays ready
	 */
	if (ctx->pumped == loop_turns(ctx->loop) + 1)
		return;
	ctx->pumped = loop_turns(ctx->loop) + 1;
	libusb_handle_events_timeout_completed(ctx->usb, &zero, NULL);
}

/* In handle_events() on the loop, or in libusb_close() on a phone's thread; the latter is no news. */
static void on_removed(int fd, void *arg)
{
	struct usb_context *ctx = arg;
	struct usb_watch *watch;

	if (!loop_here(ctx->loop))
		return;
	for (watch = ctx->watches; watch; watch = watch->next) {
		if (watch->fd != fd)
			continue;
		loop_io_free(watch->io);
		watch->io = NULL;
	}
}

static void on_added(int fd, short events, void *arg)
{
}

int usb_context_watch(struct usb_context *ctx, struct usb_watch *watch, int fd)
{
	watch->fd = fd;
	/* usbfs is writable when a transfer can be reaped */
	watch->io = loop_io_new(ctx->loop, fd, LOOP_WRITE, on_ready, ctx);
	if (!watch->io)
		return errno ? -errno : -ENOMEM;
	watch->next = ctx->watches;
	ctx->watches = watch;
	return 0;
}

void usb_context_unwatch(struct usb_context *ctx, struct usb_watch *watch)
{
	struct usb_watch **at = &ctx->watches;

	while (*at && *at != watch)
		at = &(*at)->next;
	if (!*at)
		return;
	*at = watch->next;
	loop_io_free(watch->io);
	watch->io = NULL;
}

static int watch_own(struct usb_context *ctx)
{
	const struct libusb_pollfd **list = libusb_get_pollfds(ctx->usb);
	int i, r = list ? 0 : -ENOMEM;

	for (i = 0; list && list[i] && r == 0; i++) {
		struct usb_watch *watch = &ctx->own[ctx->owns];
		unsigned int events = (list[i]->events & POLLIN ? LOOP_READ : 0) |
				      (list[i]->events & POLLOUT ? LOOP_WRITE : 0);

		if (ctx->owns == OWN_FDS_MAX) {
			r = -E2BIG;
			break;
		}
		watch->fd = list[i]->fd;
		watch->io = loop_io_new(ctx->loop, watch->fd, events, on_ready, ctx);
		if (!watch->io)
			r = -ENOMEM;
		else
			ctx->owns++;
	}
	libusb_free_pollfds(list);
	return r;
}

static void unwatch_own(struct usb_context *ctx)
{
	while (ctx->owns)
		loop_io_free(ctx->own[--ctx->owns].io);
}

struct usb_context *usb_context_new(struct loop *loop, struct failure *why)
{
	struct usb_context *ctx = calloc(1, sizeof(*ctx));
	int r;

	if (!ctx) {
		failure_set(why, ERR_INTERNAL, "libusb: out of memory");
		return NULL;
	}
	ctx->loop = loop;
	atomic_init(&ctx->refs, 1);
	/* udev is our only source of arrivals, and libusb's own thread for it is not wanted */
	libusb_set_option(NULL, LIBUSB_OPTION_NO_DEVICE_DISCOVERY);
	r = libusb_init(&ctx->usb);
	if (r < 0) {
		failure_set(why, ERR_INTERNAL, "libusb: %s", libusb_strerror(r));
		free(ctx);
		return NULL;
	}
	libusb_set_pollfd_notifiers(ctx->usb, on_added, on_removed, ctx);
	/* no transfer of ours has a timeout, so libusb's timers need no attention where they are no
	 * descriptor */
	if (watch_own(ctx) < 0) {
		failure_set(why, ERR_INTERNAL, "libusb: descriptors cannot be watched");
		usb_context_free(ctx);
		return NULL;
	}
	return ctx;
}

void usb_context_free(struct usb_context *ctx)
{
	if (!ctx)
		return;
	unwatch_own(ctx);
	libusb_set_pollfd_notifiers(ctx->usb, NULL, NULL, NULL);
	usb_context_drop(ctx);
}

int usb_error(struct failure *why, int libusb_code, const char *what)
{
	enum error_id id = ERR_USB_IO;

	switch (libusb_code) {
	case LIBUSB_ERROR_NO_DEVICE:
	case LIBUSB_ERROR_NOT_FOUND: id = ERR_DEVICE_VANISHED; break;
	case LIBUSB_ERROR_ACCESS: id = ERR_USB_ACCESS; break;
	case LIBUSB_ERROR_BUSY: id = ERR_USB_CLAIMED; break;
	case LIBUSB_ERROR_NO_MEM: id = ERR_USB_NO_MEMORY; break;
	case LIBUSB_ERROR_PIPE: id = ERR_USB_STALL; break;
	case LIBUSB_ERROR_OVERFLOW: id = ERR_USB_BABBLE; break;
	default: break;
	}
	return failure_set(why, id, "%s: %s", what, libusb_strerror(libusb_code));
}
