/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is done to a phone in one go and may hang with it: on a thread of its own, with a libusb of its own,
 * whose transfers nobody else's events can get between.
 */
#include "usb/kick.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/util.h"
#include "usb/internal.h"

#define OPEN_USEC    UINT64_C(3000000)
#define SEND_MSEC    2000u
#define LISTEN_MSEC  250u
#define CONTROL_MSEC 1000u

/* ---- facts ---- */

/*
 * 4d03: interface 0 is the diagnosis, 1 its log (bsl-protocol 2.1); an AT port, where there is one, comes
 * behind them. 3d00: a composite of feature phones whose first interface is the modem's port; some read this
 * number as a download mode, which nothing confirms. The rules of udev let us see it only if the station's
 * owner says so.
 */
static const struct usb_kick_profile profiles[] = {
	{ USB_VENDOR_UNISOC, 0x4d03, 0, 2 },
	{ USB_VENDOR_UNISOC, 0x3d00, -1, 0 },
};

#define AT_TEXT "AT+SPREF=\"AUTODLOADER\"\r\n"

/* A frame of the diagnosis: 7e, sequence (4), length, type, subtype, data, 7e; no check (bsl-protocol 2.6) */
static const uint8_t diag_download[] = { 0x7e, 0, 0, 0, 0, 8, 0, 0xfe, 0x82, 0x7e };
static const uint8_t diag_calibration[] = { 0x7e, 0, 0, 0, 0, 8, 0, 0xfe, 0x81, 0x7e };
static const uint8_t diag_at[] = "\x7e\0\0\0\0\x20\0\x68\0" AT_TEXT "\x7e";
static const uint8_t plain_at[] = AT_TEXT;

static const struct request {
	const uint8_t *bytes;
	size_t len;
	unsigned int times;
	bool diag;
} requests[] = {
	[USB_KICK_DIAG] = { diag_download, sizeof(diag_download), 1, true },
	[USB_KICK_CALIBRATION] = { diag_calibration, sizeof(diag_calibration), 1, true },
	/* without the NUL behind a literal */
	[USB_KICK_DIAG_AT] = { diag_at, sizeof(diag_at) - 1, 1, true },
	[USB_KICK_AT] = { plain_at, sizeof(plain_at) - 1, 3, false },
};

const struct usb_kick_profile *usb_kick_profile(uint16_t vendor, uint16_t product)
{
	for (size_t i = 0; i < ARRAY_SIZE(profiles); i++)
		if (profiles[i].vendor == vendor && profiles[i].product == product)
			return &profiles[i];
	return NULL;
}

int usb_kick_interface(const struct usb_kick_profile *profile, enum usb_kick_way way)
{
	return requests[way].diag ? profile->diag : profile->at;
}

/* ---- on the thread ---- */

struct usb_kick {
	struct worker *worker;
	struct usb_opening opening; /* without a context of the house: the thread has its own */
	struct usb_kick_order order;
	bool reset; /* only the port is reset */
	atomic_bool stop;
	struct usb_kick_report report;
	size_t heard;
	/* loop */
	usb_kick_fn done;
	void *user;
};

static void hear(struct usb_kick *kick, const uint8_t *bytes, int len)
{
	struct usb_kick_report *report = &kick->report;

	for (int i = 0; i < len && kick->heard + 1 < sizeof(report->answer); i++) {
		char c = (char)bytes[i];

		/* lines on one line; what else cannot be shown as dots */
		if (c == '\r' || c == '\n')
			c = ' ';
		if (c == ' ' && (!kick->heard || report->answer[kick->heard - 1] == ' '))
			continue;
		report->answer[kick->heard++] = c >= 0x20 && c < 0x7f ? c : '.';
	}
}

static bool gone(int r)
{
	return r == LIBUSB_ERROR_NO_DEVICE || r == LIBUSB_ERROR_NOT_FOUND;
}

/* The request, as often as it takes. A phone that leaves before the last time has understood. */
static int send_request(struct usb_kick *kick)
{
	const struct request *q = &requests[kick->order.way];
	libusb_device_handle *handle = kick->opening.handle;
	int r = 0, sent;

	/* the line is up, as with a boot ROM; ports that have no such thing refuse it */
	r = libusb_control_transfer(handle, 0x21, 0x22, 0x0601, kick->order.interface, NULL, 0, CONTROL_MSEC);
	if (gone(r))
		return r;
	for (unsigned int i = 0; i < q->times && !atomic_load(&kick->stop); i++) {
		r = libusb_bulk_transfer(handle, kick->opening.facts.ep_out, (uint8_t *)(uintptr_t)q->bytes,
					 (int)q->len, &sent, SEND_MSEC);
		if (r < 0)
			return gone(r) && i ? 0 : r;
		kick->report.taken = true;
	}
	return 0;
}

static void listen(struct usb_kick *kick)
{
	uint64_t until = loop_now() + kick->order.leave_usec;
	uint8_t bytes[2048];

	kick->report.end = USB_KICK_STAYED;
	while (loop_now() < until && !atomic_load(&kick->stop)) {
		int len = 0, r = libusb_bulk_transfer(kick->opening.handle, kick->opening.facts.ep_in, bytes,
						      sizeof(bytes), &len, LISTEN_MSEC);

		hear(kick, bytes, len);
		if (gone(r)) {
			kick->report.end = USB_KICK_LEFT;
			return;
		}
		if (!requests[kick->order.way].diag && strstr(kick->report.answer, "ERROR")) {
			kick->report.end = USB_KICK_REFUSED;
			return;
		}
		if (r == LIBUSB_ERROR_PIPE)
			(void)libusb_clear_halt(kick->opening.handle, kick->opening.facts.ep_in);
		if (r < 0 && r != LIBUSB_ERROR_TIMEOUT)
			usleep(LISTEN_MSEC * 1000 / 5); /* a port that only fails is not asked without end */
	}
}

static void ask(struct usb_kick *kick)
{
	int r = send_request(kick);

	if (r == LIBUSB_ERROR_TIMEOUT) /* nobody reads there */
		kick->report.end = USB_KICK_STAYED;
	else if (r < 0 && !kick->report.taken)
		usb_error(&kick->opening.why, r, "request");
	else
		listen(kick);
	(void)libusb_release_interface(kick->opening.handle, kick->order.interface);
}

static void reset(struct usb_kick *kick)
{
	int r = libusb_reset_device(kick->opening.handle);

	kick->report.taken = true;
	/* NOT_FOUND: it is another device now, and comes anew */
	kick->report.end = gone(r) ? USB_KICK_LEFT : USB_KICK_STAYED;
	if (r < 0 && !gone(r))
		usb_error(&kick->opening.why, r, "reset");
}

static void kick_run(void *arg)
{
	struct usb_kick *kick = arg;
	struct usb_opening *opening = &kick->opening;
	libusb_context *usb = NULL;
	int r = libusb_init(&usb);

	if (r < 0) {
		failure_set(&opening->why, ERR_INTERNAL, "libusb: %s", libusb_strerror(r));
		return;
	}
	opening->usb = usb;
	usb_opening_run(opening);
	if (!opening->why.error && kick->reset)
		reset(kick);
	else if (!opening->why.error)
		ask(kick);
	usb_opening_close(opening->handle, opening->fd);
	libusb_exit(usb);
}

/* ---- on the loop ---- */

static void kick_done(void *arg, int status)
{
	struct usb_kick *kick = arg;
	struct failure why = { 0 };

	worker_close(kick->worker);
	if (status < 0) { /* the thread may still be writing into the rest */
		failure_set(&why, ERR_USB_OPEN_TIMEOUT, "%s hangs in its node",
			    kick->opening.arrival.devnode);
		kick->done(kick->user, NULL, &why);
	} else if (kick->opening.why.error) {
		kick->done(kick->user, NULL, &kick->opening.why);
	} else {
		kick->done(kick->user, &kick->report, NULL);
	}
}

static void kick_release(void *arg)
{
	free(arg);
}

static struct usb_kick *begin(struct loop *loop, const struct usb_arrival *arrival,
			      const struct usb_kick_order *order, usb_kick_fn done, void *user,
			      struct failure *why)
{
	struct usb_kick *kick = calloc(1, sizeof(*kick));
	struct worker_call call = { .run = kick_run, .done = kick_done, .release = kick_release };
	int r = -ENOMEM;

	if (kick) {
		kick->opening.arrival = *arrival;
		kick->opening.fd = -1;
		if (order)
			kick->order = *order;
		kick->opening.interface = order ? order->interface : USB_NO_INTERFACE;
		kick->reset = !order;
		kick->done = done;
		kick->user = user;
		call.arg = kick;
		call.deadline = loop_now() + OPEN_USEC + kick->order.leave_usec +
				(CONTROL_MSEC + 3 * SEND_MSEC) * UINT64_C(1000) + OPEN_USEC;
		kick->worker = worker_new(loop, "fdld-port", 1);
		if (kick->worker)
			r = worker_submit(kick->worker, &call, NULL);
	}
	if (r == 0)
		return kick;
	failure_set(why, ERR_USB_NO_MEMORY, "no thread or memory to open %s: %s", arrival->devnode,
		    strerror(-r));
	if (kick)
		worker_close(kick->worker);
	free(kick);
	return NULL;
}

struct usb_kick *usb_kick_begin(struct loop *loop, const struct usb_arrival *arrival,
				const struct usb_kick_order *order, usb_kick_fn done, void *user,
				struct failure *why)
{
	return begin(loop, arrival, order, done, user, why);
}

struct usb_kick *usb_port_reset(struct loop *loop, const struct usb_arrival *arrival, usb_kick_fn done,
				void *user, struct failure *why)
{
	return begin(loop, arrival, NULL, done, user, why);
}

void usb_kick_stop(struct usb_kick *kick)
{
	atomic_store(&kick->stop, true);
}

void usb_kick_forget(struct usb_kick *kick)
{
	worker_abandon(kick->worker);
}
