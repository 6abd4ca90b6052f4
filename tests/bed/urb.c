/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Transfers and the wire. Payload is copied once in each direction: OUT from the daemon's memory when it is
 * submitted, IN straight into it when the device sends.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <termios.h>
#include <unistd.h>

#include "tests/bed/internal.h"

int urb_peek(pid_t pid, uint64_t addr, void *buf, size_t len)
{
	struct iovec here = { buf, len }, there = { (void *)(uintptr_t)addr, len };

	return !len || process_vm_readv(pid, &here, 1, &there, 1, 0) == (ssize_t)len ? 0 : -EFAULT;
}

int urb_poke(pid_t pid, uint64_t addr, const void *buf, size_t len)
{
	struct iovec here = { (void *)(uintptr_t)buf, len }, there = { (void *)(uintptr_t)addr, len };

	return !len || process_vm_writev(pid, &here, 1, &there, 1, 0) == (ssize_t)len ? 0 : -EFAULT;
}

/*
 * The node is a tty: stopped output means "nothing to reap", running output wakes whoever polls for POLLOUT,
 * as usbfs does when a transfer is complete.
 */
void usbfs_ready(struct bed_dev *dev, bool on)
{
	if (dev->ready == on || dev->gone)
		return;
	dev->ready = on;
	tcflow(dev->slave, on ? TCOON : TCOOFF);
}

/* ---- queues ------------------------------------------------------------------------------------- */

static void queue_init(struct urb_queue *queue)
{
	queue->head = NULL;
	queue->tail = &queue->head;
}

void urb_queue_add(struct urb_queue *queue, struct urb *urb)
{
	urb->next = NULL;
	*queue->tail = urb;
	queue->tail = &urb->next;
}

static struct urb *urb_queue_pop(struct urb_queue *queue)
{
	struct urb *urb = queue->head;

	if (urb) {
		queue->head = urb->next;
		if (!queue->head)
			queue->tail = &queue->head;
	}
	return urb;
}

/* The first transfer of an opener, or the one at an address of it. */
struct urb *urb_queue_take(struct urb_queue *queue, const struct opener *opener, const uint64_t *addr)
{
	struct urb **at = &queue->head, *urb;

	for (; (urb = *at); at = &urb->next) {
		if (urb->opener != opener || (addr && urb->addr != *addr))
			continue;
		*at = urb->next;
		if (!*at)
			queue->tail = at;
		return urb;
	}
	return NULL;
}

struct urb *urb_new(struct bed *bed)
{
	struct urb *urb = bed->spare;

	if (urb)
		bed->spare = urb->next;
	else
		urb = calloc(1, sizeof(*urb));
	if (!urb)
		bed_die("transfer");
	return urb;
}

void urb_free(struct bed_dev *dev, struct urb *urb)
{
	dev->bed->mem -= (uint64_t)urb->u.buffer_length;
	dev->count.pending--;
	urb->next = dev->bed->spare;
	dev->bed->spare = urb;
}

void urb_finish(struct bed_dev *dev, struct urb *urb, int status)
{
	urb->u.status = status;
	urb_queue_add(&dev->done, urb);
	usbfs_ready(dev, true);
}

void usbfs_init(struct bed_dev *dev)
{
	const uint8_t *desc = dev->spec.desc;
	size_t i;

	queue_init(&dev->out);
	queue_init(&dev->in);
	queue_init(&dev->done);
	queue_init(&dev->deaf);
	dev->blobs_tail = &dev->blobs;
	dev->packet_in = dev->packet_out = 512;
	for (i = 0; i + 6 < dev->spec.desc_len && desc[i]; i += desc[i]) {
		if (desc[i + 1] != 5)
			continue;
		*(desc[i + 2] & 0x80 ? &dev->packet_in
				     : &dev->packet_out) = (uint16_t)(desc[i + 4] | desc[i + 5] << 8);
	}
}

/* ---- IN ------------------------------------------------------------------------------------------- */

static void blob_pop(struct bed_dev *dev)
{
	struct blob *blob = dev->blobs;

	dev->blobs = blob->next;
	if (!dev->blobs)
		dev->blobs_tail = &dev->blobs;
	free(blob);
}

void bed_in_drop(struct bed_dev *dev)
{
	while (dev->blobs)
		blob_pop(dev);
}

size_t bed_in_queued(const struct bed_dev *dev)
{
	const struct blob *blob;
	size_t sum = 0;

	for (blob = dev->blobs; blob; blob = blob->next)
		sum += blob->len - blob->off;
	return sum;
}

bool bed_in_posted(const struct bed_dev *dev)
{
	return dev->in.head && !dev->fault.mute;
}

void bed_in_status(struct bed_dev *dev, int status)
{
	struct urb *urb = urb_queue_pop(&dev->in);

	if (urb)
		urb_finish(dev, urb, status);
}

static void in_finish(struct bed_dev *dev, int status)
{
	struct urb *urb = urb_queue_pop(&dev->in);

	if (dev->fault.in_status) {
		status = dev->fault.in_status;
		dev->fault.in_status = 0;
	}
	dev->count.in_transfers++;
	dev->count.in_bytes += (uint64_t)urb->u.actual_length;
	dev->bed->stats.in_bytes += (uint64_t)urb->u.actual_length;
	urb_finish(dev, urb, status);
}

/*
 * Moves bytes into the posted transfer. False: none is posted. *done: the blob is used up.
 */
static bool in_feed(struct bed_dev *dev, struct blob *blob, bool *done)
{
	struct urb *urb = dev->in.head;
	size_t len, room;
	bool babble, ended, full;

	if (!urb || dev->fault.mute)
		return false;
	len = blob->len - blob->off;
	room = (size_t)(urb->u.buffer_length - urb->u.actual_length);
	/* a packet that does not fit where the buffer ends */
	babble = len > room && room % dev->packet_in;
	if (len > room)
		len = room;
	if (urb_poke(urb->pid, (uint64_t)(uintptr_t)urb->u.buffer + (uint64_t)urb->u.actual_length,
		     blob->bytes + blob->off, len) < 0) {
		in_finish(dev, -EFAULT);
		return true;
	}
	urb->u.actual_length += (int)len;
	blob->off += len;
	full = urb->u.actual_length == urb->u.buffer_length;
	/* what ends with a full buffer is complete without its short packet; a zero-length one then comes
	 * alone */
	ended = blob->off == blob->len && blob->ends && (!full || blob->len % dev->packet_in || !blob->len);
	*done = babble || (blob->off == blob->len && (!blob->ends || ended));
	if (babble || ended || full)
		in_finish(dev, babble ? -EOVERFLOW : 0);
	return true;
}

void bed_in(struct bed_dev *dev, const void *data, size_t len, bool ends)
{
	struct blob view = { .bytes = data, .len = len, .ends = ends }, *blob;
	bool done = false;

	/* straight into the host's buffers as far as they go; only what is left is kept */
	while (!dev->blobs && !done && in_feed(dev, &view, &done))
		;
	if (done)
		return;
	blob = malloc(sizeof(*blob) + len - view.off);
	if (!blob)
		bed_die("IN data");
	*blob = view;
	blob->next = NULL;
	blob->bytes = (uint8_t *)(blob + 1) - view.off;
	if (len > view.off)
		memcpy(blob + 1, view.bytes + view.off, len - view.off);
	*dev->blobs_tail = blob;
	dev->blobs_tail = &blob->next;
}

/* The same for what is queued; false: nothing can be moved. */
static bool in_move(struct bed_dev *dev)
{
	bool done = false;

	if (!dev->blobs || !in_feed(dev, dev->blobs, &done))
		return false;
	if (done)
		blob_pop(dev);
	return true;
}

/* ---- OUT ---------------------------------------------------------------------------------------- */

static bool out_move(struct bed_dev *dev, uint64_t now)
{
	const struct bed_model *model = dev->spec.model;
	struct urb *urb = dev->out.head, **before = dev->done.tail;
	int status = dev->fault.out_status, cut = dev->fault.short_by;
	bool zlp;

	if (!urb || urb->due > now || dev->fault.nak)
		return false;
	zlp = urb->u.flags & USBDEVFS_URB_ZERO_PACKET;
	if (!status && model && model->out) {
		dev->busy = true;
		status = model->out(dev, urb->data, (size_t)(urb->u.buffer_length - cut), zlp);
		dev->busy = false;
		if (dev->gone || status == -EAGAIN || dev->out.head != urb)
			return false;
	}
	dev->fault.out_status = dev->fault.short_by = 0;
	urb_queue_pop(&dev->out);
	urb->u.actual_length = status ? 0 : urb->u.buffer_length - cut;
	dev->count.out_transfers++;
	dev->count.out_bytes += (uint64_t)urb->u.actual_length;
	dev->bed->stats.out_bytes += (uint64_t)urb->u.actual_length;
	if (zlp && urb->u.buffer_length % dev->packet_out == 0)
		dev->count.zlps++;
	/* the host hears that it was sent before it hears what the model answered to it */
	urb->u.status = status;
	urb->next = *before;
	*before = urb;
	if (dev->done.tail == before)
		dev->done.tail = &urb->next;
	usbfs_ready(dev, true);
	return true;
}

uint8_t bed_out_endpoint(const struct bed_dev *dev)
{
	return dev->out.head ? dev->out.head->u.endpoint : 0;
}

/* ---- the wire ------------------------------------------------------------------------------------- */

void usbfs_look(struct bed_dev *dev, uint64_t now)
{
	const struct bed_model *model = dev->spec.model;
	bool moved = true;

	dev->due = UINT64_MAX;
	while (!dev->gone && moved) {
		moved = out_move(dev, now);
		if (dev->gone)
			break;
		if (dev->in.head && !dev->blobs && !dev->fault.mute && model && model->in) {
			dev->busy = true;
			model->in(dev, now);
			dev->busy = false;
			if (dev->gone)
				break;
		}
		moved |= in_move(dev);
	}
	if (!dev->gone && dev->out.head && !dev->fault.nak && dev->out.head->due > now)
		dev->due = dev->out.head->due;
	if (!dev->replaced && model && model->tick) {
		uint64_t due;

		dev->busy = true;
		due = model->tick(dev, now);
		dev->busy = false;
		if (due < dev->due)
			dev->due = due;
	}
}

void bed_retry(struct bed_dev *dev)
{
	if (!dev->busy)
		usbfs_look(dev, bed_now());
}

void usbfs_gone(struct bed_dev *dev)
{
	struct urb *urb;

	while ((urb = urb_queue_pop(&dev->out)) || (urb = urb_queue_pop(&dev->in)) ||
	       (urb = urb_queue_pop(&dev->deaf)))
		urb_finish(dev, urb, -ESHUTDOWN);
	dev->gone = true;
	bed_in_drop(dev);
	bed_let_go(dev);
}

void usbfs_close(struct bed *bed, struct opener *opener)
{
	struct bed_dev *dev = opener->dev;
	struct opener **at = &bed->openers;
	struct urb *urb;

	while ((urb = urb_queue_take(&dev->out, opener, NULL)) ||
	       (urb = urb_queue_take(&dev->in, opener, NULL)) ||
	       (urb = urb_queue_take(&dev->done, opener, NULL)) ||
	       (urb = urb_queue_take(&dev->deaf, opener, NULL)))
		urb_free(dev, urb);
	if (!dev->done.head)
		usbfs_ready(dev, false);
	while (*at != opener)
		at = &(*at)->next;
	*at = opener->next;
	free(opener);
	dev->count.closes++;
	if (--dev->openers)
		return;
	bed_in_drop(dev);
	if (!dev->gone && dev->spec.model && dev->spec.model->closed)
		dev->spec.model->closed(dev);
}

void usbfs_drop(struct bed_dev *dev)
{
	struct urb *urb;

	bed_in_drop(dev);
	while ((urb = urb_queue_pop(&dev->out)) || (urb = urb_queue_pop(&dev->in)) ||
	       (urb = urb_queue_pop(&dev->done)) || (urb = urb_queue_pop(&dev->deaf)))
		urb_free(dev, urb);
}
