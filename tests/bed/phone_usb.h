/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A simulated phone (tests/phone) plugged into the bed: OUT transfers and control requests go to the phone,
 * its replies come in, and when it leaves the bus and comes back, so does its device, on the same port under
 * the next number.
 */
#ifndef FDLD_TESTS_BED_PHONE_USB_H
#define FDLD_TESTS_BED_PHONE_USB_H

#include "tests/bed/bed.h"
#include "tests/phone/phone.h"

struct bed_phone;

/*
 * where: controller, bus, ports, wire speed, ID_PATH and tag; num, desc, model and user are ours. Strings are
 * copied. speed: the phone's time runs so many times faster than ours, 0 = 1. The phone stays the caller's
 * and must live until bed_phone_free(). Not plugged yet. Never NULL (a failure ends the program).
 */
struct bed_phone *bed_phone_new(struct bed *bed, struct phone *phone, const struct bed_spec *where,
				unsigned int speed);
/* After bed_free(). NULL is fine. */
void bed_phone_free(struct bed_phone *bp);
/* Cable in, boot key held. */
void bed_phone_plug(struct bed_phone *bp, bool uevent);
/* Cable out; the phone loses power. */
void bed_phone_unplug(struct bed_phone *bp, bool uevent);
/* Cable out and in of a phone that runs on: same stage, next device number. */
void bed_phone_replug(struct bed_phone *bp, bool uevent);
/* Another phone takes its place on the port: unplugs the old one if it is still there, plugs the new one. */
void bed_phone_swap(struct bed_phone *bp, struct phone *other, bool uevent);
/*
 * fn is told of each OUT transfer before the phone gets it; true: the phone never gets it, nor any after it,
 * and the host waits, until fn is set again. NULL: nobody is told.
 */
void bed_phone_watch(struct bed_phone *bp, bool (*fn)(void *arg), void *arg);
struct phone *bed_phone_phone(const struct bed_phone *bp);
/* The device that stands for it now or stood for it last; NULL before the first plug. */
struct bed_dev *bed_phone_dev(const struct bed_phone *bp);
/* The phone's clock, microseconds. */
uint64_t bed_phone_now(const struct bed_phone *bp);

#endif
