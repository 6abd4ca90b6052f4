/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The wire format of vhci_hcd's sockets (the kernel's Documentation/usb/usbip_protocol): requests come in,
 * answers go out. The kernel waits without limit for the answer to an UNLINK, so nothing here sleeps while
 * one could come in.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "tests/system/vhci_inside.h"

#define FLAG_ZERO_PACKET 0x40u
#define LARGEST_TRANSFER (64u << 20)

enum { CMD_SUBMIT = 1, CMD_UNLINK, RET_SUBMIT, RET_UNLINK };

/* Every word is big endian on the wire. */
struct pdu {
	uint32_t command, serial, device, in, endpoint;
	/* SUBMIT: flags, length; UNLINK: serial of the victim; answers: status, length */
	uint32_t word[5];
	uint8_t setup[8];
};

/* ---- queues --------------------------------------------------------------------------------------- */

void vhci_list_init(struct list *list)
{
	list->head = NULL;
	list->tail = &list->head;
}

static void list_add(struct list *list, struct request *request)
{
	request->next = NULL;
	*list->tail = request;
	list->tail = &request->next;
}

static bool list_drop(struct list *list, uint32_t serial)
{
	for (struct request **at = &list->head; *at; at = &(*at)->next) {
		struct request *request = *at;

		if (request->serial != serial)
			continue;
		*at = request->next;
		if (!*at)
			list->tail = at;
		free(request);
		return true;
	}
	return false;
}

void vhci_list_clear(struct list *list)
{
	while (list->head) {
		struct request *request = list->head;

		list->head = request->next;
		free(request);
	}
	vhci_list_init(list);
}

/* ---- the socket ----------------------------------------------------------------------------------- */

static bool transfer(int fd, void *data, size_t length, bool out)
{
	uint8_t *at = data;

	while (length) {
		ssize_t n = out ? send(fd, at, length, MSG_NOSIGNAL) : recv(fd, at, length, MSG_WAITALL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		at += n;
		length -= (size_t)n;
	}
	return true;
}

/* A failure shows when the socket is read next. */
static void answer(struct vhci_phone *vp, uint32_t command, uint32_t serial, int status, uint32_t length,
		   const void *data, size_t bytes)
{
	struct pdu pdu = { .command = htonl(command),
			   .serial = htonl(serial),
			   .word = { htonl((uint32_t)status), htonl(length) } };

	if (transfer(vp->socket, &pdu, sizeof(pdu), true) && bytes)
		(void)transfer(vp->socket, (void *)(uintptr_t)data, bytes, true);
}

void vhci_finish(struct vhci_phone *vp, struct list *list, int status)
{
	struct request *request = list->head;
	bool in = list == &vp->in;

	list->head = request->next;
	if (!list->head)
		list->tail = &list->head;
	answer(vp, RET_SUBMIT, request->serial, status, status ? 0 : request->done, request->data,
	       in && !status ? request->done : 0);
	free(request);
}

/* ---- control requests ----------------------------------------------------------------------------- */

/* The data of a standard IN request, or NULL. */
static const void *describe(const struct vhci_phone *vp, const uint8_t setup[8], size_t *length)
{
	static const uint8_t zero[2];
	const uint8_t *all;
	size_t whole;

	if (setup[0] == 0x80 && setup[1] == 6) {
		all = phone_descriptors(vp->phone, &whole);
		if (setup[3] == 1) {
			*length = 18;
			return all;
		}
		if (setup[3] == 2 && setup[2] == 0) {
			*length = whole - 18;
			return all + 18;
		}
		return NULL;
	}
	if ((setup[0] & 0xe0) == 0x80 && setup[1] == 0) {
		*length = 2;
		return zero;
	}
	return NULL;
}

static void control(struct vhci_phone *vp, struct request *request, const uint8_t setup[8])
{
	size_t length = 0;
	const void *data = NULL;
	int status = 0;

	if ((setup[0] & 0x60) == 0x20) {
		vp->count.class_calls++;
		status = phone_control(vp->phone, vhci_now(vp), setup[0], setup[1],
				       (uint16_t)(setup[2] | setup[3] << 8),
				       (uint16_t)(setup[4] | setup[5] << 8));
		if (status == -ETIMEDOUT) {
			list_add(&vp->deaf, request);
			return;
		}
		if (status == -ENODEV)
			status = -EPROTO;
	} else if (setup[0] & 0x80) {
		data = describe(vp, setup, &length);
		if (!data)
			status = -EPIPE;
	}
	if (length > request->length)
		length = request->length;
	answer(vp, RET_SUBMIT, request->serial, status, status ? 0 : (uint32_t)length, data,
	       status ? 0 : length);
	free(request);
}

/* ---- what the kernel asks ------------------------------------------------------------------------- */

bool vhci_take(struct vhci_phone *vp)
{
	struct pdu pdu;
	struct request *request;
	uint32_t serial, length;
	bool in;

	if (!transfer(vp->socket, &pdu, sizeof(pdu), false))
		return false;
	serial = ntohl(pdu.serial);
	if (ntohl(pdu.command) == CMD_UNLINK) {
		uint32_t victim = ntohl(pdu.word[0]);
		bool had = list_drop(&vp->in, victim) || list_drop(&vp->out, victim) ||
			   list_drop(&vp->deaf, victim);

		vp->count.unlinks++;
		answer(vp, RET_UNLINK, serial, had ? -ECONNRESET : 0, 0, NULL, 0);
		return true;
	}
	length = ntohl(pdu.word[1]);
	in = ntohl(pdu.in) != 0;
	if (ntohl(pdu.command) != CMD_SUBMIT || length > LARGEST_TRANSFER)
		return false;
	request = malloc(sizeof(*request) + length);
	if (!request)
		return false;
	*request = (struct request){ .serial = serial,
				     .length = length,
				     .zero_packet = ntohl(pdu.word[0]) & FLAG_ZERO_PACKET,
				     .endpoint = (uint8_t)ntohl(pdu.endpoint) };
	if (!in && length && !transfer(vp->socket, request->data, length, false)) {
		free(request);
		return false;
	}
	if (ntohl(pdu.endpoint) == 0) {
		control(vp, request, pdu.setup);
	} else if (in) {
		vp->count.in++;
		list_add(&vp->in, request);
	} else {
		vp->count.out++;
		list_add(&vp->out, request);
	}
	return true;
}
