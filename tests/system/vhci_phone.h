/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A simulated phone (tests/phone) on the kernel's virtual host controller: what the kernel asks of its device
 * comes over a socket and goes to the phone, its replies go back, and when it leaves the bus and returns, so
 * does its device, on the same port. One thread for each phone; all functions may be called from any other.
 * Needs root and vhci-hcd.
 */
#ifndef TESTS_SYSTEM_VHCI_PHONE_H
#define TESTS_SYSTEM_VHCI_PHONE_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/phone/phone.h"

struct vhci_phone;

/* Seen on the wire since vhci_phone_new(). */
struct vhci_count {
	uint64_t out, in;     /* bulk requests that arrived, answered or not */
	uint64_t out_bytes;   /* of those the phone took */
	uint64_t class_calls; /* requests to the interface; the kernel's own questions while it enumerates are
				 not counted */
	uint64_t unlinks;
	unsigned int plugs;    /* times it was attached, by us or by itself */
	unsigned int failures; /* attaches that the kernel refused for good */
};

/*
 * controller 0 to 7 and port 1 to 15 of Debian's kernel. Ports of one controller are enumerated one after the
 * other, those of several at once. The phone stays the caller's, must outlive this, and is touched by nobody
 * else between vhci_phone_new() and vhci_phone_free() unless vhci_phone_hold() says so. NULL: no memory or no
 * thread. Not plugged yet.
 */
struct vhci_phone *vhci_phone_new(struct phone *phone, unsigned int controller, unsigned int port);
/* Unplugs it first. NULL is fine. */
void vhci_phone_free(struct vhci_phone *vp);

/* Cable in, boot key held. Returns when the kernel has taken the device; false if it did not within seconds.
 */
bool vhci_phone_plug(struct vhci_phone *vp);
/* Cable out; the phone loses power. Returns when the socket is closed, before the kernel has noticed. */
void vhci_phone_unplug(struct vhci_phone *vp);
/* Another phone stands on this port from now on; only while nothing is plugged in. */
void vhci_phone_swap(struct vhci_phone *vp, struct phone *phone);

/* The phone's clock jumps forward: what it was late with comes now. */
void vhci_phone_skip(struct vhci_phone *vp, uint64_t usec);

/* Keeps the phone's thread off it until vhci_phone_release(), to look inside or to change it. */
struct phone *vhci_phone_hold(struct vhci_phone *vp);
void vhci_phone_release(struct vhci_phone *vp);

struct vhci_count vhci_phone_count(struct vhci_phone *vp);
/* On the bus now. */
bool vhci_phone_attached(struct vhci_phone *vp);

#endif
