/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The memory that the kernel grants to USB transfers of user space is one pool for the whole machine
 * (usbcore's usbfs_memory_mb). Each phone is admitted with what its plan needs; the rest waits, first come
 * first served. Belongs to the loop's thread. Sizes in bytes.
 */
#ifndef FDLD_USB_BUDGET_H
#define FDLD_USB_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#define USB_BUDGET_PATH "/sys/module/usbcore/parameters/usbfs_memory_mb"

struct usb_budget;
struct usb_claim;

/* Reads the limit from path (NULL = USB_BUDGET_PATH): MiB, 0 = unlimited, unreadable = 16. NULL: no memory.
 */
struct usb_budget *usb_budget_new(const char *path);
/* Claims that are still held are forgotten (their pointers die). NULL is fine. */
void usb_budget_free(struct usb_budget *budget);
/*
 * Asks for bytes. *claim is the caller's until usb_budget_release(). Returns 1: granted now; 0: has to
 * wait, granted(user) will be called once, from within somebody's usb_budget_release(); -ENOMEM; -E2BIG: more
 * than the whole limit, will never fit (*claim is NULL).
 */
int usb_budget_ask(struct usb_budget *budget, uint64_t bytes, void (*granted)(void *user), void *user,
		   struct usb_claim **claim);
/* Gives back what was granted, or leaves the queue. NULL is fine. */
void usb_budget_release(struct usb_claim *claim);
bool usb_budget_granted(const struct usb_claim *claim);

/*
 * Of what the machine grants, we take at most this much from now on; 100 at the start. What is granted stays
 * granted. One claim alone is always let in, so that a small share makes phones wait, never impossible.
 */
void usb_budget_share(struct usb_budget *budget, uint32_t percent);

struct usb_budget_state {
	uint64_t limit; /* our share; UINT64_MAX = unlimited */
	uint64_t used;
	unsigned int holders, waiting;
};
void usb_budget_state(const struct usb_budget *budget, struct usb_budget_state *state);

#endif
