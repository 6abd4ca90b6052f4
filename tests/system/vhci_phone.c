/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The far end of vhci_hcd's sockets (the kernel's Documentation/usb/usbip_protocol). Two rules shape this
 * file: the kernel waits without limit for the answer to an UNLINK, so nothing here sleeps while one could
 * come in; and what arrives are requests, not packets, so that where one ends is decided here.
 */
#include "tests/system/vhci_phone.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define VHCI		 "/sys/devices/platform/vhci_hcd.0/"
#define PORTS_PER_HC	 30u /* 15 of high speed, then 15 of super speed */
#define ATTACH_TRIES	 2500
#define RETRY_US	 2000u
#define SOCKET_BYTES	 (4 << 20)
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

struct request {
	struct request *next;
	uint32_t serial, length, done;
	bool zero_packet;
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
	uint64_t epoch;
};

static uint64_t now_us(const struct vhci_phone *vp)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000 - vp->epoch;
}

/* ---- queues --------------------------------------------------------------------------------------- */

static void list_init(struct list *list)
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

static void list_clear(struct list *list)
{
	while (list->head) {
		struct request *request = list->head;

		list->head = request->next;
		free(request);
	}
	list_init(list);
}

static void speech_pop(struct vhci_phone *vp)
{
	struct speech *speech = vp->said;

	vp->said = speech->next;
	if (!vp->said)
		vp->said_tail = &vp->said;
	free(speech);
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

static void finish(struct vhci_phone *vp, struct list *list, int status)
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

static void detach(struct vhci_phone *vp)
{
	if (vp->socket >= 0)
		close(vp->socket);
	vp->socket = -1;
	vp->wanted = false;
	list_clear(&vp->out);
	list_clear(&vp->in);
	list_clear(&vp->deaf);
	while (vp->said)
		speech_pop(vp);
	pthread_cond_broadcast(&vp->changed);
}

static unsigned int attach_port(const struct vhci_phone *vp)
{
	return vp->hub * PORTS_PER_HC + vp->port - 1;
}

/* One try; the port is taken as long as the kernel tidies up what hung there before. */
static void attach(struct vhci_phone *vp)
{
	static unsigned int number;
	int pair[2], file, length, size = SOCKET_BYTES;
	char line[64];
	bool taken;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return;
	for (int i = 0; i < 2; i++)
		(void)setsockopt(pair[i], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	length = snprintf(line, sizeof(line), "%u %d %u %d", attach_port(vp), pair[0],
			  (1u << 16) + __atomic_add_fetch(&number, 1, __ATOMIC_RELAXED),
			  phone_usb(vp->phone).high_speed ? 3 : 2);
	file = open(VHCI "attach", O_WRONLY | O_CLOEXEC);
	taken = file >= 0 && write(file, line, (size_t)length) == length;
	if (file >= 0)
		close(file);
	close(pair[0]);
	if (taken) {
		vp->socket = pair[1];
		vp->wanted = false;
		vp->tries = 0;
		vp->count.plugs++;
	} else {
		close(pair[1]);
		if (++vp->tries > ATTACH_TRIES) {
			vp->wanted = false;
			vp->tries = 0;
			vp->count.failures++;
		}
	}
	if (!vp->wanted)
		pthread_cond_broadcast(&vp->changed);
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
		status = phone_control(vp->phone, now_us(vp), setup[0], setup[1],
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

/* One request off the socket; false: it is closed. */
static bool take(struct vhci_phone *vp)
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
				     .zero_packet = ntohl(pdu.word[0]) & FLAG_ZERO_PACKET };
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

/* ---- what the phone does -------------------------------------------------------------------------- */

/* Offers the oldest OUT transfer; false: it stays. */
static bool offer(struct vhci_phone *vp)
{
	struct request *request = vp->out.head;
	int status = 0;

	switch (phone_out(vp->phone, now_us(vp), request->data, request->length, request->zero_packet)) {
	case PHONE_TAKEN: break;
	case PHONE_HALTED: status = -EPIPE; break;
	case PHONE_PROTO: status = -EPROTO; break;
	case PHONE_NAK:
	case PHONE_GONE: /* its departure will take the transfer along */ return false;
	}
	request->done = status ? 0 : request->length;
	vp->count.out_bytes += request->done;
	finish(vp, &vp->out, status);
	return true;
}

/* Moves what was said into the oldest IN transfer, packet by packet as a bus does; false: nothing moves. */
static bool deliver(struct vhci_phone *vp)
{
	struct request *request = vp->in.head;
	struct speech *speech = vp->said;
	size_t packet = phone_usb(vp->phone).max_packet, length;
	bool full, ended;

	if (!request || !speech)
		return false;
	length = speech->length - speech->at;
	if (length > packet)
		length = packet;
	if (length > request->length - request->done) {
		speech_pop(vp);
		finish(vp, &vp->in, -EOVERFLOW);
		return true;
	}
	memcpy(request->data + request->done, speech->data + speech->at, length);
	request->done += (uint32_t)length;
	speech->at += length;
	full = request->done == request->length;
	ended = speech->at == speech->length && speech->ends;
	/* a transfer that is full needs no short packet; one of length zero then comes by itself */
	if (speech->at == speech->length && (!ended || !full || speech->length % packet || !speech->length))
		speech_pop(vp);
	if (full || ended)
		finish(vp, &vp->in, 0);
	return true;
}

static bool say(struct vhci_phone *vp, const struct phone_event *event)
{
	struct speech *speech = malloc(sizeof(*speech) + event->length);

	if (!speech)
		return false;
	*speech = (struct speech){ .length = event->length, .ends = event->ends };
	if (event->length)
		memcpy(speech->data, event->bytes, event->length);
	*vp->said_tail = speech;
	vp->said_tail = &speech->next;
	return true;
}

/* One event of the phone; false: there is none. */
static bool listen_to(struct vhci_phone *vp)
{
	struct phone_event event;
	bool listener = vp->socket >= 0 && vp->in.head && !vp->said;

	if (!(listener ? phone_poll(vp->phone, now_us(vp), &event)
		       : phone_poll_bus(vp->phone, now_us(vp), &event)))
		return false;
	switch (event.kind) {
	case PHONE_IN: return say(vp, &event);
	case PHONE_IN_HALT: finish(vp, &vp->in, -EPIPE); break;
	case PHONE_IN_PROTO: finish(vp, &vp->in, -EPROTO); break;
	case PHONE_IN_BABBLE: finish(vp, &vp->in, -EOVERFLOW); break;
	case PHONE_DETACH: detach(vp); break;
	case PHONE_ATTACH:
		detach(vp);
		vp->wanted = true;
		break;
	}
	return true;
}

/* Everything that can happen now; how long nothing more will, in microseconds. */
static uint64_t settle(struct vhci_phone *vp)
{
	uint64_t due, now;
	bool moved = true;

	while (moved) {
		moved = vp->socket >= 0 && vp->out.head && offer(vp);
		moved |= listen_to(vp);
		moved |= vp->socket >= 0 && deliver(vp);
		if (vp->wanted && vp->socket < 0)
			attach(vp);
	}
	due = phone_due(vp->phone);
	now = now_us(vp);
	if (vp->wanted)
		return RETRY_US;
	if (due == PHONE_NEVER)
		return PHONE_NEVER;
	/* something is due and nobody posts what it needs: look again a little later */
	return due > now ? due - now : RETRY_US;
}

static void *serve(void *arg)
{
	struct vhci_phone *vp = arg;

	pthread_mutex_lock(&vp->lock);
	while (!vp->quit) {
		uint64_t rest = settle(vp), word;
		struct timespec limit = { .tv_sec = (time_t)(rest / 1000000),
					  .tv_nsec = (long)(rest % 1000000) * 1000 };
		struct pollfd fds[2] = { { .fd = vp->wake, .events = POLLIN },
					 { .fd = vp->socket, .events = POLLIN } };

		pthread_mutex_unlock(&vp->lock);
		(void)ppoll(fds, 2, rest == PHONE_NEVER ? NULL : &limit, NULL);
		pthread_mutex_lock(&vp->lock);
		if (fds[0].revents && read(vp->wake, &word, sizeof(word)) < 0 && errno != EAGAIN)
			break;
		/* asked again: meanwhile another socket may have taken the place and the number of this one
		 */
		fds[1].fd = vp->socket;
		if (vp->socket >= 0 && poll(&fds[1], 1, 0) > 0 && !take(vp))
			detach(vp);
	}
	detach(vp);
	pthread_mutex_unlock(&vp->lock);
	return NULL;
}

/* ---- from outside --------------------------------------------------------------------------------- */

static void wake(struct vhci_phone *vp)
{
	const uint64_t one = 1;

	if (write(vp->wake, &one, sizeof(one)) < 0)
		abort();
}

struct vhci_phone *vhci_phone_new(struct phone *phone, unsigned int controller, unsigned int port)
{
	struct vhci_phone *vp = calloc(1, sizeof(*vp));

	if (!vp)
		return NULL;
	vp->phone = phone;
	vp->hub = controller;
	vp->port = port;
	vp->socket = -1;
	vp->epoch = 0;
	vp->epoch = now_us(vp);
	list_init(&vp->out);
	list_init(&vp->in);
	list_init(&vp->deaf);
	vp->said_tail = &vp->said;
	pthread_mutex_init(&vp->lock, NULL);
	pthread_cond_init(&vp->changed, NULL);
	vp->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (vp->wake < 0 || pthread_create(&vp->thread, NULL, serve, vp)) {
		if (vp->wake >= 0)
			close(vp->wake);
		free(vp);
		return NULL;
	}
	return vp;
}

void vhci_phone_free(struct vhci_phone *vp)
{
	if (!vp)
		return;
	pthread_mutex_lock(&vp->lock);
	vp->quit = true;
	pthread_mutex_unlock(&vp->lock);
	wake(vp);
	pthread_join(vp->thread, NULL);
	close(vp->wake);
	pthread_cond_destroy(&vp->changed);
	pthread_mutex_destroy(&vp->lock);
	free(vp);
}

bool vhci_phone_plug(struct vhci_phone *vp)
{
	bool there;

	pthread_mutex_lock(&vp->lock);
	phone_plug(vp->phone, now_us(vp));
	vp->wanted = true;
	wake(vp);
	while (vp->wanted)
		pthread_cond_wait(&vp->changed, &vp->lock);
	there = vp->socket >= 0;
	pthread_mutex_unlock(&vp->lock);
	return there;
}

void vhci_phone_unplug(struct vhci_phone *vp)
{
	pthread_mutex_lock(&vp->lock);
	phone_unplug(vp->phone, now_us(vp));
	detach(vp);
	pthread_mutex_unlock(&vp->lock);
	wake(vp);
}

void vhci_phone_swap(struct vhci_phone *vp, struct phone *phone)
{
	pthread_mutex_lock(&vp->lock);
	vp->phone = phone;
	pthread_mutex_unlock(&vp->lock);
	wake(vp);
}

struct phone *vhci_phone_hold(struct vhci_phone *vp)
{
	pthread_mutex_lock(&vp->lock);
	return vp->phone;
}

void vhci_phone_release(struct vhci_phone *vp)
{
	pthread_mutex_unlock(&vp->lock);
}

struct vhci_count vhci_phone_count(struct vhci_phone *vp)
{
	struct vhci_count count;

	pthread_mutex_lock(&vp->lock);
	count = vp->count;
	pthread_mutex_unlock(&vp->lock);
	return count;
}

bool vhci_phone_attached(struct vhci_phone *vp)
{
	bool attached;

	pthread_mutex_lock(&vp->lock);
	attached = vp->socket >= 0;
	pthread_mutex_unlock(&vp->lock);
	return attached;
}
