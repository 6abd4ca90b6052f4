/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What vhci_phone.c (the phone, its thread, the caller) and vhci_wire.c (the kernel's requests) share. */
#ifndef TESTS_SYSTEM_VHCI_INSIDE_H
#define TESTS_SYSTEM_VHCI_INSIDE_H

#include <pthread.h>
#include <stddef.h>

#include "tests/system/vhci_phone.h"

struct request {
	struct request *next;
	uint32_t serial, length, done;
	bool zero_packet;
	uint8_t endpoint;
	uint8_t data[];
};

struct list {
	struct request *head, **tail;
};

/* What the phone has said and nobody has fetched yet. */
struct speech {
	struct speech *next;
	size_t length, at;
	bool ends;
	uint8_t data[];
};

struct vhci_phone {
	struct phone *phone;
	unsigned int hub, port;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int wake, socket;
	bool quit, wanted; /* wanted: it is to be attached as soon as the kernel lets it */
	unsigned int tries;
	struct list out, in, deaf; /* deaf: control requests that are never answered */
	struct speech *said, **said_tail;
	struct vhci_count count;
	uint64_t epoch, skipped;
};

uint64_t vhci_now(const struct vhci_phone *vp); /* of the phone's clock, microseconds */
void vhci_list_init(struct list *list);
void vhci_list_clear(struct list *list);
/* Answers the oldest request of a list: done bytes of it, or a negative errno. */
void vhci_finish(struct vhci_phone *vp, struct list *list, int status);
/* One request off the socket; false: it is closed. */
bool vhci_take(struct vhci_phone *vp);

#endif
