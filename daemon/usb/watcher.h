/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Watches the machine for phones in download mode (1782:4d00, bsl-protocol 2.1), and for those that run and
 * have a port to be asked into it (usb/kick.h), by libudev: the monitor is opened first, then what is there
 * is enumerated, and both are merged by syspath. Every event is a reason to look at one syspath again, so
 * that repeated, late and lost events all end in the same state. Belongs to the loop's thread.
 */
#ifndef FDLD_USB_WATCHER_H
#define FDLD_USB_WATCHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "loop/loop.h"

#define USB_VENDOR_UNISOC    0x1782
#define USB_PRODUCT_DOWNLOAD 0x4d00

#define USB_SLOT_MAX	     128
#define USB_SYSPATH_MAX	     256

enum usb_seen {
	USB_SEEN_COLD,	 /* it was there before the watcher: what state it is in is not known */
	USB_SEEN_EVENT,	 /* its arrival was reported: fresh */
	USB_SEEN_RESCAN, /* found by looking again after events were lost: arrived while we were running,
			    fresh */
};

/* One arrival of one phone. A plain value: copy freely, owns nothing. */
struct usb_arrival {
	char syspath[USB_SYSPATH_MAX];
	char devnode[64];	 /* "/dev/bus/usb/001/005" */
	char slot[USB_SLOT_MAX]; /* the physical place: ID_PATH or the same derived; never holds a bus number
				  */
	uint8_t busnum; /* the kernel's numbers: to be shown and to check the node, never to identify */
	uint8_t devnum;
	uint16_t vendor, product;
	uint16_t bcd_device; /* 0x0310 = 3.10 */
	bool running;	     /* not in download mode: no pipe may be opened to it */
	uint64_t serial;     /* of a running one: mark of the number it goes by on USB, which is not kept; 0:
				none */
	enum usb_seen seen;
	bool later; /* of a cold one: it came long after the root hub it hangs on, so it was plugged into a
		       machine that ran; false where udev's records do not say */
	uint64_t received_usec; /* monotonic; when the event (or the scan) told us */
};

struct usb_watcher_events {
	/* A phone is there. The same syspath arrives again only after left(). */
	void (*arrived)(void *user, const struct usb_arrival *arrival);
	/* It is gone; arrival is what arrived() was given. */
	void (*left)(void *user, const struct usb_arrival *arrival);
};

struct usb_watcher;

/*
 * Starts watching; arrived() is called for what is there already before this returns. tag, if not NULL,
 * limits both monitor and enumeration to devices that a udev rule tagged so. NULL with *why set (BusFailed is
 * never used: the causes are Internal with errno text) when udev cannot be opened.
 */
struct usb_watcher *usb_watcher_new(struct loop *loop, const char *tag,
				    const struct usb_watcher_events *events, void *user, struct failure *why);
/* Looks at everything again, as after lost events. */
void usb_watcher_rescan(struct usb_watcher *watcher);
/* left() is not called. NULL is fine. */
void usb_watcher_free(struct usb_watcher *watcher);

struct usb_watcher_stats {
	uint64_t events;  /* received, of any USB device */
	uint64_t stale;	  /* additions of a device that had gone or been replaced already */
	uint64_t rescans; /* after lost events */
	unsigned int present;
};
void usb_watcher_stats(const struct usb_watcher *watcher, struct usb_watcher_stats *stats);
/* The i-th phone that is present, or NULL; any order. */
const struct usb_arrival *usb_watcher_present(const struct usb_watcher *watcher, unsigned int i);

/*
 * The slot name of a USB device from its syspath alone, as systemd's path_id would make it:
 * ".../pci0000:00/0000:00:14.0/usb1/1-4/1-4.3" -> "pci-0000:00:14.0-usb-0:4.3". Always NUL-terminates; 0 or
 * -EINVAL (not a USB device below a root hub), -ENAMETOOLONG.
 */
int usb_slot_from_syspath(const char *syspath, char *slot, size_t size);

#endif
