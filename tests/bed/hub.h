/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A hub with a node of its own, whose ports answer the class requests for power: honestly, or as the hubs do
 * that cost nothing. What hangs on a port loses its power with it.
 */
#ifndef FDLD_TESTS_BED_HUB_H
#define FDLD_TESTS_BED_HUB_H

#include "tests/bed/bed.h"
#include "tests/bed/phone_usb.h"

enum bed_hub_kind {
	BED_HUB_SWITCHES,
	BED_HUB_PRETENDS, /* takes the request, and all stays as it is */
	BED_HUB_RELAPSES, /* says it is off for a moment */
	BED_HUB_REFUSES,  /* stalls the request */
	BED_HUB_TOGETHER, /* says that its ports are switched together */
	BED_HUB_NEVER,	  /* says that they are not switched at all */
};

struct bed_hub;

/* Plugs it in; before anything on its ports. super: a USB 3 one, with other bits. Never NULL. */
struct bed_hub *bed_hub_new(struct bed *bed, uint8_t bus, const char *ports, enum bed_hub_kind kind,
			    bool super);
/* After bed_free(). */
void bed_hub_free(struct bed_hub *hub);
/* This phone hangs on that port. */
void bed_hub_attach(struct bed_hub *hub, uint8_t port, struct bed_phone *phone);
/* The two ports are the halves of one socket: as the kernel tells it. */
void bed_hub_pair(struct bed_hub *hub, struct bed_hub *other, uint8_t port);
/* Nobody may open its node. */
void bed_hub_deny(struct bed_hub *hub);
bool bed_hub_powered(const struct bed_hub *hub, uint8_t port);
/* Requests to switch something, so far. */
unsigned int bed_hub_switched(const struct bed_hub *hub);
const struct bed_count *bed_hub_count(const struct bed_hub *hub);

#endif
