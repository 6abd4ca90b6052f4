/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Power of one port, by the class requests of the hub that it is a port of, over the hub's own node in usbfs.
 * What the hub says afterwards is what counts: many take the request and switch nothing. A port of a USB 3
 * hub is two, one of each speed, that share their power: both are switched.
 */
#ifndef FDLD_USB_HUBPORT_H
#define FDLD_USB_HUBPORT_H

#include "common/error.h"
#include "loop/loop.h"

enum usb_hub_verb {
	USB_HUB_LOOK, /* changes nothing */
	USB_HUB_ON,
	USB_HUB_OFF,
	USB_HUB_CYCLE, /* off, and on again */
};

enum usb_hub_switching {
	USB_HUB_EACH,	  /* each port by itself */
	USB_HUB_TOGETHER, /* all of them or none */
	USB_HUB_NEVER,	  /* they always have power */
};

/* As the hub says. Of two that share their power: powered if one is, connected likewise. */
struct usb_hub_state {
	char hub[48]; /* the kernel's name: "1-4", "usb1" */
	uint8_t port;
	uint16_t vendor, product; /* of the hub */
	enum usb_hub_switching switching;
	bool powered, connected;
};

struct usb_hub_errand;
/*
 * state NULL: why says it. HubNotAllowed: its node may not be opened; HubNotSwitching: it cannot switch this
 * port alone, or has only said so; both name the hub. UsbNodeWrong, UsbOpenTimeout, UsbIo, NoSuchSlot.
 */
typedef void (*usb_hub_fn)(void *user, const struct usb_hub_state *state, const struct failure *why);
/*
 * port: the kernel's name of the place, "1-4.3". off_usec: how long a cycle leaves it without power. done()
 * is called once, never from within. NULL with *why: nothing has begun (Internal, UsbNoMemory).
 */
struct usb_hub_errand *usb_hub_begin(struct loop *loop, const char *port, enum usb_hub_verb verb,
				     uint64_t off_usec, usb_hub_fn done, void *user, struct failure *why);
/* A cycle leaves the port without power no longer. */
void usb_hub_hurry(struct usb_hub_errand *errand);
/* done() will not be called, and the handle is gone. What was begun goes on. */
void usb_hub_forget(struct usb_hub_errand *errand);

#endif
