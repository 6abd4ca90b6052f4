/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The phone behind the socket: what arrives are requests, not packets, so that where one ends is decided
 * here.
 */
#include "tests/system/vhci_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define VHCI	     "/sys/devices/platform/vhci_hcd.0/"
#define PORTS_PER_HC 30u /* 15 of high speed, then 15 of super speed */
#define ATTACH_TRIES 2500
#define RETRY_US     2000u
#define SOCKET_BYTES (4 << 20)

uint64_t vhci_now(const struct vhci_phone *vp)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000 - vp->epoch + vp->skipped;
}

static void speech_pop(struct vhci_phone *vp)
{
	struct speech *speech = vp->said;

	vp->said = speech->next;
	if (!vp->said)
		vp->said_tail = &vp->said;
	free(speech);
}

/* ---- on and off the bus --------------------------------------------------------------------------- */

static void detach(struct vhci_phone *vp)
{
	if (vp->socket >= 0)
		close(vp->socket);
	vp->socket = -1;
	vp->wanted = false;
	vhci_list_clear(&vp->out);
	vhci_list_clear(&vp->in);
	vhci_list_clear(&vp->deaf);
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

/* ---- what the phone does -------------------------------------------------------------------------- */

/* Offers the oldest OUT transfer; false: it stays. */
static bool offer(struct vhci_phone *vp)
{
	struct request *request = vp->out.head;
	bool runs = phone_stage(vp->phone) == PHONE_RUNNING;
	int status = 0;

	switch (runs ? phone_port_out(vp->phone, vhci_now(vp), request->endpoint, request->data,
				      request->length)
		     : phone_out(vp->phone, vhci_now(vp), request->data, request->length,
				 request->zero_packet)) {
	case PHONE_TAKEN: break;
	case PHONE_HALTED: status = -EPIPE; break;
	case PHONE_PROTO: status = -EPROTO; break;
	case PHONE_NAK:
	case PHONE_GONE: /* its departure will take the transfer along */ return false;
	}
	request->done = status ? 0 : request->length;
	vp->count.out_bytes += request->done;
	vhci_finish(vp, &vp->out, status);
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
		vhci_finish(vp, &vp->in, -EOVERFLOW);
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
		vhci_finish(vp, &vp->in, 0);
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

	if (!(listener ? phone_poll(vp->phone, vhci_now(vp), &event)
		       : phone_poll_bus(vp->phone, vhci_now(vp), &event)))
		return false;
	switch (event.kind) {
	case PHONE_IN: return say(vp, &event);
	case PHONE_IN_HALT: vhci_finish(vp, &vp->in, -EPIPE); break;
	case PHONE_IN_PROTO: vhci_finish(vp, &vp->in, -EPROTO); break;
	case PHONE_IN_BABBLE: vhci_finish(vp, &vp->in, -EOVERFLOW); break;
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
	now = vhci_now(vp);
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
		if (vp->socket >= 0 && poll(&fds[1], 1, 0) > 0 && !vhci_take(vp))
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
	vp->epoch = vhci_now(vp);
	vhci_list_init(&vp->out);
	vhci_list_init(&vp->in);
	vhci_list_init(&vp->deaf);
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
	phone_plug(vp->phone, vhci_now(vp));
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
	phone_unplug(vp->phone, vhci_now(vp));
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

void vhci_phone_skip(struct vhci_phone *vp, uint64_t usec)
{
	pthread_mutex_lock(&vp->lock);
	vp->skipped += usec;
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
