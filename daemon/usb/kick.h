/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A phone that runs has ports of its own (diagnosis, AT commands) on which it takes the request to start
 * again in download mode (bsl-protocol 2.6). They are bulk pairs, claimed by us through usbfs like that of a
 * boot ROM; no driver and no tty comes into it. The phone does what it is asked or does not: nothing here
 * works against its will.
 */
#ifndef FDLD_USB_KICK_H
#define FDLD_USB_KICK_H

#include "common/error.h"
#include "loop/loop.h"
#include "usb/watcher.h"

enum usb_kick_way {
	USB_KICK_DIAG,	      /* diagnosis: go to the download mode */
	USB_KICK_CALIBRATION, /* diagnosis: go to calibration; phones that take the request above only there
				 come back as running ones */
	USB_KICK_DIAG_AT,     /* the AT command, wrapped into a diagnosis frame */
	USB_KICK_AT,	      /* the AT command on the AT port itself */
	USB_KICK_WAYS
};

/* Which interface has which port; of what is not documented well each reading is a row of its own. */
struct usb_kick_profile {
	uint16_t vendor, product;
	int8_t diag, at; /* interface numbers; -1: it has none */
};
/* NULL: not the numbers of a running phone that we know. */
const struct usb_kick_profile *usb_kick_profile(uint16_t vendor, uint16_t product);
/* The interface that this way takes, -1: there is none. */
int usb_kick_interface(const struct usb_kick_profile *profile, enum usb_kick_way way);

struct usb_kick_order {
	enum usb_kick_way way;
	uint8_t interface;
	uint64_t leave_usec; /* how long it may take to leave the bus after that */
};

enum usb_kick_end {
	USB_KICK_LEFT,	  /* it has left the bus */
	USB_KICK_STAYED,  /* it has not */
	USB_KICK_REFUSED, /* nor will it: it said so */
};

struct usb_kick_report {
	enum usb_kick_end end;
	bool taken;	 /* all of the request went out */
	char answer[64]; /* what it said, fit to be shown; "": nothing */
};

struct usb_kick;
/* report NULL: it came to nothing, see why (DeviceVanished, UsbAccess, UsbClaimed, UsbNodeWrong,
 * UsbOpenTimeout, UsbIo, ...). */
typedef void (*usb_kick_fn)(void *user, const struct usb_kick_report *report, const struct failure *why);
/*
 * Opens the phone on a thread of its own, claims the interface, asks, listens until the phone has left, lets
 * go. done() is called once, never from within. All arguments are copied. NULL with *why: nothing has begun.
 */
struct usb_kick *usb_kick_begin(struct loop *loop, const struct usb_arrival *arrival,
				const struct usb_kick_order *order, usb_kick_fn done, void *user,
				struct failure *why);
/* Its request may have gone out; it listens no longer, lets go, and reports within moments. */
void usb_kick_stop(struct usb_kick *kick);
/* Nobody waits for it any more: done() will not be called, and the handle is gone. What the thread does goes
 * on. */
void usb_kick_forget(struct usb_kick *kick);

/*
 * Resets the port of a device (USBDEVFS_RESET): what hangs in its USB answers again, or leaves the bus. As
 * usb_kick_begin(), but the report says only whether it is gone.
 */
struct usb_kick *usb_port_reset(struct loop *loop, const struct usb_arrival *arrival, usb_kick_fn done,
				void *user, struct failure *why);

#endif
