/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Ports by name, whether or not something is plugged in there: what the kernel says of its hubs. Blocks only
 * on sysfs.
 */
#ifndef FDLD_USB_PLACE_H
#define FDLD_USB_PLACE_H

#include "usb/watcher.h"

struct usb_place {
	char slot[USB_SLOT_MAX]; /* as in struct usb_arrival */
	char port[64];		 /* the kernel's name now, "1-4.3" */
};

/*
 * name: a slot's ("pci-0000:00:14.0-usb-0:4.3") or the kernel's ("1-4.3"). 0 and *place, or -ENOENT: no hub
 * of this machine has such a port now. Names come from callers: nothing but names of hubs and their number of
 * ports decides.
 */
int usb_place_find(const char *name, struct usb_place *place);

#endif
