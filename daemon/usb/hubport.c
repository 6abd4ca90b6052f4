/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Requests of USB 2.0, chapter 11.24, and USB 3.2, chapter 10.16. A hub can hang like any device: thread and
 * libusb of its own, as with usb/kick.c.
 */
#include "usb/hubport.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/util.h"
#include "usb/internal.h"

#define DEVICES		      "/sys/bus/usb/devices"

#define CLASS_HUB	      9
#define GET_STATUS	      0
#define CLEAR_FEATURE	      1
#define SET_FEATURE	      3
#define GET_DESCRIPTOR	      6
#define PORT_POWER	      8
#define TO_HUB		      0xa0 /* class, device, IN */
#define TO_PORT_IN	      0xa3 /* class, other, IN */
#define TO_PORT_OUT	      0x23
#define DESCRIPTOR_HUB	      0x29
#define DESCRIPTOR_SUPER      0x2a
#define STATUS_CONNECTED      0x0001u
#define STATUS_POWERED	      0x0100u
#define STATUS_POWERED_SUPER  0x0200u
#define CHARACTERISTICS_POWER 0x0003u

#define REQUEST_MSEC	      2000u
#define OPEN_USEC	      UINT64_C(3000000)
/* A hub may take 2 ms times 255 until its power is good; and off it has to stay. */
#define SETTLE_USEC UINT64_C(1500000)
#define STEP_USEC   20000u
#define HOLD_USEC   100000u

/* One hub's half of the port. */
struct half {
	char hub[48];
	uint8_t port;
	bool super;
	enum usb_hub_switching switching;
	unsigned int status;
	struct usb_opening opening;
};

struct usb_hub_errand {
	struct worker *worker;
	char port[64];
	enum usb_hub_verb verb;
	uint64_t off_usec;
	atomic_bool hurry;
	libusb_context *usb;
	struct half half[2];
	unsigned int halves;
	struct failure why;
	usb_hub_fn done;
	void *user;
};

/* ---- which hub ---- */

static bool attribute(const char *hub, const char *name, int base, unsigned int *value)
{
	char path[160], text[32] = "", *end;
	FILE *f;

	snprintf(path, sizeof(path), DEVICES "/%s/%s", hub, name);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (!fgets(text, sizeof(text), f))
		text[0] = '\0';
	fclose(f);
	*value = (unsigned int)strtoul(text, &end, base);
	return end != text;
}

/* "1-4.3": port 3 of "1-4"; "1-4": port 4 of "usb1". */
static bool split(const char *port, struct half *half)
{
	const char *dot = strrchr(port, '.'), *dash = strchr(port, '-');
	const char *last = dot ? dot : dash;
	long number;

	if (!last || !dash || last - port >= 40)
		return false;
	number = strtol(last + 1, NULL, 10);
	snprintf(half->hub, sizeof(half->hub), "%s%.*s", dot ? "" : "usb", (int)(last - port), port);
	half->port = (uint8_t)number;
	return number > 0 && number < 256;
}

/* The port of the other speed at the same socket: the kernel knows it by the firmware's tables. */
static bool peer(const struct half *half, struct half *other)
{
	char path[224], to[PATH_MAX], name[64];
	const char *dash, *last;
	ssize_t n;

	if (!strncmp(half->hub, "usb", 3))
		snprintf(path, sizeof(path), DEVICES "/%s/%s-0:1.0/%s-port%u/peer", half->hub, half->hub + 3,
			 half->hub, half->port);
	else
		snprintf(path, sizeof(path), DEVICES "/%s/%s:1.0/%s-port%u/peer", half->hub, half->hub,
			 half->hub, half->port);
	n = readlink(path, to, sizeof(to) - 1);
	if (n < 0)
		return false;
	to[n] = '\0';
	last = strrchr(to, '/');
	snprintf(name, sizeof(name), "%.63s", last ? last + 1 : to);
	dash = strstr(name, "-port");
	if (!dash || dash == name || (size_t)(dash - name) >= sizeof(other->hub))
		return false;
	snprintf(other->hub, sizeof(other->hub), "%.*s", (int)(dash - name), name);
	other->port = (uint8_t)strtoul(dash + 5, NULL, 10);
	return other->port > 0;
}

/* ---- one half ---- */

static const char *hub_text(const struct half *half, char *buf, size_t size)
{
	snprintf(buf, size, "hub %s (%04x:%04x)", half->hub, half->opening.arrival.vendor,
		 half->opening.arrival.product);
	return buf;
}

static int io_failure(struct usb_hub_errand *e, const struct half *half, int r, const char *what)
{
	char text[96];

	if (r >= 0) /* fewer bytes than were asked for */
		r = LIBUSB_ERROR_IO;
	usb_error(&e->why, r, hub_text(half, text, sizeof(text)));
	failure_set(&e->why, e->why.error, "%s: %s: %s", text, what, libusb_strerror(r));
	return r;
}

static int open_half(struct usb_hub_errand *e, struct half *half)
{
	struct usb_arrival *a = &half->opening.arrival;
	unsigned int bus, num, vendor, product, speed = 0;
	uint8_t desc[64];
	char text[96];
	int r;

	if (!attribute(half->hub, "busnum", 10, &bus) || !attribute(half->hub, "devnum", 10, &num) ||
	    !attribute(half->hub, "idVendor", 16, &vendor) ||
	    !attribute(half->hub, "idProduct", 16, &product))
		return failure_set(&e->why, ERR_NO_SUCH_SLOT, "%s: no hub %s", e->port, half->hub);
	a->busnum = (uint8_t)bus;
	a->devnum = (uint8_t)num;
	a->vendor = (uint16_t)vendor;
	a->product = (uint16_t)product;
	snprintf(a->devnode, sizeof(a->devnode), "/dev/bus/usb/%03u/%03u", a->busnum, a->devnum);
	half->super = attribute(half->hub, "speed", 10, &speed) && speed >= 5000;
	half->opening.usb = e->usb;
	half->opening.interface = USB_NO_INTERFACE;
	half->opening.fd = -1;
	usb_opening_run(&half->opening);
	hub_text(half, text, sizeof(text));
	if (half->opening.why.error == ERR_USB_ACCESS)
		return failure_set(&e->why, ERR_HUB_NOT_ALLOWED, "%s, %s", text, a->devnode);
	if (half->opening.why.error)
		return failure_set(&e->why, half->opening.why.error, "%s: %s", text,
				   half->opening.why.detail);
	r = libusb_control_transfer(half->opening.handle, TO_HUB, GET_DESCRIPTOR,
				    (half->super ? DESCRIPTOR_SUPER : DESCRIPTOR_HUB) << 8, 0, desc,
				    sizeof(desc), REQUEST_MSEC);
	if (r < 7)
		return io_failure(e, half, r, "its descriptor");
	if (half->port > desc[2])
		return failure_set(&e->why, ERR_NO_SUCH_SLOT, "%s has %u ports, this is port %u", text,
				   desc[2], half->port);
	switch (get_le16(desc + 3) & CHARACTERISTICS_POWER) {
	case 0: half->switching = USB_HUB_TOGETHER; break;
	case 1: half->switching = USB_HUB_EACH; break;
	default: half->switching = USB_HUB_NEVER; break;
	}
	return 0;
}

static int look(struct usb_hub_errand *e, struct half *half)
{
	uint8_t status[4];
	int r = libusb_control_transfer(half->opening.handle, TO_PORT_IN, GET_STATUS, 0, half->port, status,
					sizeof(status), REQUEST_MSEC);

	if (r != sizeof(status))
		return io_failure(e, half, r, "status of its port");
	half->status = get_le16(status);
	return 0;
}

static bool powered(const struct half *half)
{
	return half->status & (half->super ? STATUS_POWERED_SUPER : STATUS_POWERED);
}

/* The request, and what the hub says of the port until it says the same, and still does a moment later. */
static int set_half(struct usb_hub_errand *e, struct half *half, bool on)
{
	uint64_t until = loop_now() + SETTLE_USEC;
	char text[96];
	int r = libusb_control_transfer(half->opening.handle, TO_PORT_OUT, on ? SET_FEATURE : CLEAR_FEATURE,
					PORT_POWER, half->port, NULL, 0, REQUEST_MSEC);

	if (r == LIBUSB_ERROR_PIPE)
		return failure_set(&e->why, ERR_HUB_NOT_SWITCHING, "%s refuses to switch port %u",
				   hub_text(half, text, sizeof(text)), half->port);
	if (r < 0)
		return io_failure(e, half, r, "power of its port");
	do {
		usleep(STEP_USEC);
		r = look(e, half);
	} while (r == 0 && powered(half) != on && loop_now() < until);
	if (r == 0 && powered(half) == on) {
		usleep(HOLD_USEC);
		r = look(e, half);
	}
	if (r < 0)
		return r;
	if (powered(half) == on)
		return 0;
	return failure_set(&e->why, ERR_HUB_NOT_SWITCHING,
			   "%s took the request and says that port %u still has %s power",
			   hub_text(half, text, sizeof(text)), half->port, on ? "no" : "its");
}

/* ---- both ---- */

static int may_go_off(struct usb_hub_errand *e)
{
	for (unsigned int i = 0; i < e->halves; i++) {
		char text[96];

		hub_text(&e->half[i], text, sizeof(text));
		if (e->half[i].switching == USB_HUB_TOGETHER)
			return failure_set(&e->why, ERR_HUB_NOT_SWITCHING,
					   "%s switches all of its ports together", text);
		if (e->half[i].switching == USB_HUB_NEVER)
			return failure_set(&e->why, ERR_HUB_NOT_SWITCHING, "%s switches none of its ports",
					   text);
	}
	return 0;
}

static int set_all(struct usb_hub_errand *e, bool on)
{
	int r = 0;

	/* the socket has power as long as one of the two has */
	for (unsigned int i = e->halves; i-- > 0 && r == 0;)
		r = set_half(e, &e->half[i], on);
	return r;
}

static void stay_off(const struct usb_hub_errand *e)
{
	uint64_t until = loop_now() + e->off_usec, now;

	while ((now = loop_now()) < until && !atomic_load(&e->hurry))
		usleep((useconds_t)MIN(until - now, UINT64_C(100000)));
}

static void work(struct usb_hub_errand *e)
{
	int r = 0;

	for (unsigned int i = 0; i < e->halves && r == 0; i++) {
		r = open_half(e, &e->half[i]);
		if (r == 0)
			r = look(e, &e->half[i]);
	}
	if (r == 0 && (e->verb == USB_HUB_OFF || e->verb == USB_HUB_CYCLE))
		r = may_go_off(e);
	if (r == 0 && (e->verb == USB_HUB_OFF || e->verb == USB_HUB_CYCLE))
		r = set_all(e, false);
	if (r == 0 && e->verb == USB_HUB_CYCLE)
		stay_off(e);
	if (r == 0 && (e->verb == USB_HUB_ON || e->verb == USB_HUB_CYCLE))
		(void)set_all(e, true);
}

static void errand_run(void *arg)
{
	struct usb_hub_errand *e = arg;
	int r = libusb_init(&e->usb);

	if (r < 0) {
		failure_set(&e->why, ERR_INTERNAL, "libusb: %s", libusb_strerror(r));
		return;
	}
	work(e);
	for (unsigned int i = 0; i < e->halves; i++)
		usb_opening_close(e->half[i].opening.handle, e->half[i].opening.fd);
	libusb_exit(e->usb);
}

/* ---- on the loop ---- */

static void tell(struct usb_hub_errand *e)
{
	const struct half *half = &e->half[0];
	struct usb_hub_state state = { .port = half->port,
				       .vendor = half->opening.arrival.vendor,
				       .product = half->opening.arrival.product,
				       .switching = half->switching };

	snprintf(state.hub, sizeof(state.hub), "%s", half->hub);
	for (unsigned int i = 0; i < e->halves; i++) {
		state.powered |= powered(&e->half[i]);
		state.connected |= (e->half[i].status & STATUS_CONNECTED) != 0;
		state.switching = MAX(state.switching, e->half[i].switching);
	}
	e->done(e->user, &state, NULL);
}

static void errand_done(void *arg, int status)
{
	struct usb_hub_errand *e = arg;
	struct failure why = { 0 };

	worker_close(e->worker);
	if (status < 0) {
		failure_set(&why, ERR_USB_OPEN_TIMEOUT, "the hub of port %s hangs", e->port);
		e->done(e->user, NULL, &why);
	} else if (e->why.error) {
		e->done(e->user, NULL, &e->why);
	} else {
		tell(e);
	}
}

static void errand_release(void *arg)
{
	free(arg);
}

struct usb_hub_errand *usb_hub_begin(struct loop *loop, const char *port, enum usb_hub_verb verb,
				     uint64_t off_usec, usb_hub_fn done, void *user, struct failure *why)
{
	struct usb_hub_errand *e = calloc(1, sizeof(*e));
	struct worker_call call = { .run = errand_run, .done = errand_done, .release = errand_release };
	int r = -ENOMEM;

	if (e && (strlen(port) >= sizeof(e->port) || !split(port, &e->half[0]))) {
		free(e);
		failure_set(why, ERR_INTERNAL, "\"%s\" is no port", port);
		return NULL;
	}
	if (e) {
		snprintf(e->port, sizeof(e->port), "%s", port);
		e->halves = peer(&e->half[0], &e->half[1]) ? 2 : 1;
		e->verb = verb;
		e->off_usec = off_usec;
		e->half[0].opening.fd = e->half[1].opening.fd = -1;
		e->done = done;
		e->user = user;
		call.arg = e;
		call.deadline = loop_now() + off_usec +
				2 * (OPEN_USEC + 4 * SETTLE_USEC + 4 * REQUEST_MSEC * UINT64_C(1000));
		e->worker = worker_new(loop, "fdld-hub", 1);
		if (e->worker)
			r = worker_submit(e->worker, &call, NULL);
	}
	if (r == 0)
		return e;
	failure_set(why, ERR_USB_NO_MEMORY, "no thread or memory for the hub of %s: %s", port, strerror(-r));
	if (e)
		worker_close(e->worker);
	free(e);
	return NULL;
}

void usb_hub_hurry(struct usb_hub_errand *errand)
{
	atomic_store(&errand->hurry, true);
}

void usb_hub_forget(struct usb_hub_errand *errand)
{
	worker_abandon(errand->worker);
}
