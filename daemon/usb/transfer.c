/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The transfers of a pipe. Everything here runs on the loop's thread; libusb calls back from within
 * libusb_handle_events, where a device must not be closed, so nothing here does.
 */
#include <errno.h>
#include <stdlib.h>

#include "common/util.h"
#include "usb/internal.h"

#define RETRY_USEC	 20000u
#define MEMORY_USEC	 UINT64_C(10000000)
#define CONTROL_USEC	 UINT64_C(2000000)
#define CLASS_REQUEST	 0x21
#define SET_LINE_STATE	 0x22
#define LINE_STATE_VALUE 0x0601

static void submit_in(struct usb_pipe *pipe);
static void pump_out(struct usb_pipe *pipe);

/* ---- failures -------------------------------------------------------------------------------------- */

void pipe_cancel_all(struct usb_pipe *pipe)
{
	unsigned int i;

	if (pipe->control_busy)
		libusb_cancel_transfer(pipe->control);
	if (pipe->in_busy)
		libusb_cancel_transfer(pipe->in);
	for (i = 0; i < DEPTH_MAX; i++) {
		if (pipe->slot[i].busy)
			libusb_cancel_transfer(pipe->slot[i].transfer);
	}
}

static void on_doom(void *arg)
{
	struct usb_pipe *pipe = arg;
	struct failure why = pipe->doom;

	pipe->doom = (struct failure){ 0 };
	if (why.error)
		pipe_fail(pipe, &why);
}

void pipe_fail(struct usb_pipe *pipe, const struct failure *why)
{
	enum pipe_state was = pipe->state;

	if (was == PIPE_FAILED || pipe->closing || pipe->doom.error)
		return;
	if (pipe->in_call) {
		/* the caller must not hear of it before its own call has returned */
		pipe->doom = *why;
		if (loop_defer(pipe->loop, on_doom, pipe) < 0)
			loop_timer_after(pipe->timer, 0);
		return;
	}
	pipe->state = PIPE_FAILED;
	pipe->chunks = 0;
	loop_timer_stop(pipe->timer);
	pipe_cancel_all(pipe);
	if (was == PIPE_OPEN)
		pipe->events->failed(pipe->user, why);
	else
		pipe->events->opened(pipe->user, why);
}

static void fail_transfer(struct usb_pipe *pipe, const struct libusb_transfer *transfer)
{
	const char *way = transfer == pipe->control   ? "control request"
			  : transfer->endpoint & 0x80 ? "IN transfer"
						      : "OUT transfer";
	struct failure why = { 0 };

	switch (transfer->status) {
	case LIBUSB_TRANSFER_NO_DEVICE:
		failure_set(&why, ERR_DEVICE_VANISHED, "%s: the phone has left the bus", way);
		break;
	case LIBUSB_TRANSFER_STALL:
		failure_set(&why, ERR_USB_STALL, "%s on %02x", way, transfer->endpoint);
		break;
	case LIBUSB_TRANSFER_OVERFLOW:
		failure_set(&why, ERR_USB_BABBLE, "%s on %02x", way, transfer->endpoint);
		break;
	default:
		failure_set(&why, ERR_USB_IO, "%s on %02x, status %d", way, transfer->endpoint,
			    transfer->status);
	}
	pipe_fail(pipe, &why);
}

/* The kernel's pool is empty for now: others give back, so ask again. */
static void wait_for_memory(struct usb_pipe *pipe, size_t bytes)
{
	uint64_t now = loop_now(),
		 limit = pipe->options.memory_usec ? pipe->options.memory_usec : MEMORY_USEC;
	struct failure why = { 0 };

	if (!pipe->nomem_since)
		pipe->nomem_since = now;
	pipe->facts.nomem_retries++;
	if (now - pipe->nomem_since < limit && loop_timer_after(pipe->timer, RETRY_USEC) == 0)
		return;
	failure_set(&why, ERR_USB_NO_MEMORY,
		    "a transfer of %zu bytes was refused %u times in %llu ms, %u in flight", bytes,
		    pipe->facts.nomem_retries, (unsigned long long)((now - pipe->nomem_since) / 1000),
		    pipe->inflight);
	pipe_fail(pipe, &why);
}

/* 0, or a libusb error; on a shortage of memory the timer is set, on all else the pipe has failed. */
static int submit(struct usb_pipe *pipe, struct libusb_transfer *transfer, const char *what)
{
	uint64_t now = pipe->facts.first_transfer_usec ? 0 : loop_now();
	struct failure why = { 0 };
	int r = libusb_submit_transfer(transfer);

	if (r == 0) {
		if (now)
			pipe->facts.first_transfer_usec = now;
		pipe->inflight++;
		pipe->nomem_since = 0;
	} else if (r == LIBUSB_ERROR_NO_MEM) {
		wait_for_memory(pipe, (size_t)transfer->length);
	} else {
		usb_error(&why, r, what);
		pipe_fail(pipe, &why);
	}
	return r;
}

/* ---- control: once, before anything else -------------------------------------------------------------- */

static void LIBUSB_CALL on_control(struct libusb_transfer *transfer)
{
	struct usb_pipe *pipe = transfer->user_data;

	pipe->control_busy = false;
	pipe->inflight--;
	if (pipe->state == PIPE_CONTROL && !pipe->closing) {
		pipe->control_deadline = 0;
		loop_timer_stop(pipe->timer);
		if (transfer->status == LIBUSB_TRANSFER_COMPLETED)
			submit_in(pipe);
		else
			fail_transfer(pipe, transfer);
	}
	pipe_idle(pipe);
}

static void submit_control(struct usb_pipe *pipe)
{
	uint64_t limit = pipe->options.control_usec ? pipe->options.control_usec : CONTROL_USEC;
	struct failure why = { 0 };

	libusb_fill_control_setup(pipe->setup, CLASS_REQUEST, SET_LINE_STATE, LINE_STATE_VALUE, 0, 0);
	libusb_fill_control_transfer(pipe->control, pipe->handle, pipe->setup, on_control, pipe, 0);
	if (submit(pipe, pipe->control, "control request") != 0)
		return;
	pipe->control_busy = true;
	pipe->control_deadline = loop_now() + limit;
	if (loop_timer_at(pipe->timer, pipe->control_deadline) < 0) {
		failure_set(&why, ERR_USB_NO_MEMORY, "no timer for the control request");
		pipe_fail(pipe, &why);
	}
}

void pipe_start(struct usb_pipe *pipe)
{
	pipe->state = PIPE_CONTROL;
	if (pipe->options.flags & USB_OPEN_CONTROL)
		submit_control(pipe);
	else
		submit_in(pipe);
}

void pipe_on_timer(void *arg)
{
	struct usb_pipe *pipe = arg;
	struct failure why = { 0 };

	if (pipe->closing) {
		pipe_idle(pipe);
		return;
	}
	if (pipe->state == PIPE_FAILED)
		return;
	if (pipe->doom.error) {
		on_doom(pipe);
		return;
	}
	if (pipe->control_deadline) {
		failure_set(&why, ERR_USB_OPEN_TIMEOUT, "the first control request was not answered");
		pipe_fail(pipe, &why);
		return;
	}
	if (pipe->state == PIPE_CONTROL && pipe->options.flags & USB_OPEN_CONTROL &&
	    !pipe->facts.first_transfer_usec) {
		submit_control(pipe);
		return;
	}
	if (!pipe->in_busy)
		submit_in(pipe);
	pump_out(pipe);
}

/* ---- IN: always posted --------------------------------------------------------------------------------- */

static void LIBUSB_CALL on_in(struct libusb_transfer *transfer)
{
	struct usb_pipe *pipe = transfer->user_data;
	const uint8_t *bytes = transfer->buffer;
	size_t len = (size_t)transfer->actual_length;
	bool full = transfer->actual_length == transfer->length;
	bool partial = transfer->status == LIBUSB_TRANSFER_CANCELLED && pipe->partial;

	pipe->in_busy = false;
	pipe->inflight--;
	pipe->facts.bytes_in += len;
	if (pipe->state != PIPE_OPEN || pipe->closing) {
		pipe_idle(pipe);
		return;
	}
	if (transfer->status != LIBUSB_TRANSFER_COMPLETED && !partial) {
		fail_transfer(pipe, transfer);
		pipe_idle(pipe);
		return;
	}
	pipe->partial = false;
	/*
	 * Bytes first, then the news that no more will come: a phone may say its last word and leave. The
	 * other buffer is posted before the caller thinks about these.
	 */
	libusb_fill_bulk_transfer(transfer, pipe->handle, pipe->facts.ep_in, pipe->in_buffer[pipe->in_next],
				  USB_IN_SIZE, on_in, pipe, 0);
	if (libusb_submit_transfer(transfer) == 0) {
		pipe->in_busy = true;
		pipe->inflight++;
		pipe->in_next ^= 1;
	}
	pipe->events->received(pipe->user, bytes, len, full || partial);
	if (!pipe->in_busy && !pipe->closing && pipe->state == PIPE_OPEN)
		submit_in(pipe);
	pipe_idle(pipe);
}

static void submit_in(struct usb_pipe *pipe)
{
	libusb_fill_bulk_transfer(pipe->in, pipe->handle, pipe->facts.ep_in, pipe->in_buffer[pipe->in_next],
				  USB_IN_SIZE, on_in, pipe, 0);
	if (submit(pipe, pipe->in, "IN transfer") != 0)
		return;
	pipe->in_busy = true;
	pipe->in_next ^= 1;
	if (pipe->state == PIPE_CONTROL) {
		pipe->state = PIPE_OPEN;
		pipe->events->opened(pipe->user, NULL);
	}
}

static void on_partial_now(void *arg)
{
	struct usb_pipe *pipe = arg;

	if (pipe->state != PIPE_OPEN || pipe->closing || !pipe->partial || pipe->in_busy)
		return;
	pipe->partial = false;
	pipe->events->received(pipe->user, pipe->in_buffer[0], 0, true);
}

void usb_pipe_take_partial(struct usb_pipe *pipe)
{
	if (pipe->state != PIPE_OPEN || pipe->closing || pipe->partial)
		return;
	pipe->partial = true;
	/* when it is just being completed, its bytes come anyway */
	if (pipe->in_busy)
		libusb_cancel_transfer(pipe->in);
	else if (loop_defer(pipe->loop, on_partial_now, pipe) < 0)
		pipe->partial = false;
}

/* ---- OUT -------------------------------------------------------------------------------------------------
 */

static void chunk_pop(struct usb_pipe *pipe)
{
	pipe->chunk[0] = pipe->chunk[1];
	pipe->chunks--;
}

/* Everything that was going out has come back after a cancel. */
static void tell_cancelled(void *arg)
{
	struct usb_pipe *pipe = arg;
	struct failure why = { 0 };
	unsigned int left = pipe->chunks;

	pipe->cancelling = false;
	failure_set(&why, ERR_CANCELLED, "the transfer was taken back");
	/* only those that were there: the caller may send again in the callback */
	while (left-- && pipe->chunks && pipe->state == PIPE_OPEN && !pipe->closing) {
		size_t done = pipe->chunk[0].done;

		chunk_pop(pipe);
		pipe->events->sent(pipe->user, &why, done);
	}
}

static void LIBUSB_CALL on_out(struct libusb_transfer *transfer)
{
	struct out_slot *slot = transfer->user_data;
	struct usb_pipe *pipe = slot->pipe;
	struct out_chunk *chunk = &pipe->chunk[0];
	struct failure why = { 0 };
	size_t len = (size_t)transfer->actual_length;

	slot->busy = false;
	pipe->inflight--;
	pipe->out_inflight--;
	pipe->facts.bytes_out += len;
	if (pipe->state != PIPE_OPEN || pipe->closing)
		goto out;
	/* bulk transfers end in order, so this one belongs to the oldest chunk */
	chunk->done += len;
	if (transfer->status != LIBUSB_TRANSFER_COMPLETED &&
	    !(pipe->cancelling && transfer->status == LIBUSB_TRANSFER_CANCELLED)) {
		fail_transfer(pipe, transfer);
		goto out;
	}
	if (pipe->cancelling) {
		if (!pipe->out_inflight)
			tell_cancelled(pipe);
		goto out;
	}
	if (transfer->actual_length != transfer->length) {
		failure_set(&why, ERR_USB_IO, "OUT transfer: %d of %d bytes went out",
			    transfer->actual_length, transfer->length);
		pipe_fail(pipe, &why);
		goto out;
	}
	/* the next piece is on its way before the caller thinks */
	pump_out(pipe);
	if (pipe->state == PIPE_OPEN && chunk->done == chunk->len) {
		size_t done = chunk->len;

		chunk_pop(pipe);
		pipe->events->sent(pipe->user, NULL, done);
	}
out:
	pipe_idle(pipe);
}

static struct out_slot *slot_free(struct usb_pipe *pipe)
{
	unsigned int i;

	for (i = 0; i < DEPTH_MAX; i++) {
		if (!pipe->slot[i].busy)
			return &pipe->slot[i];
	}
	return NULL;
}

/* The oldest chunk that is not wholly with the kernel. */
static struct out_chunk *chunk_next(struct usb_pipe *pipe)
{
	unsigned int i;

	for (i = 0; i < pipe->chunks; i++) {
		if (pipe->chunk[i].submitted < pipe->chunk[i].len)
			return &pipe->chunk[i];
	}
	return NULL;
}

static void pump_out(struct usb_pipe *pipe)
{
	struct out_chunk *chunk;
	struct out_slot *slot;
	size_t len;
	int r;

	while (pipe->state == PIPE_OPEN && !pipe->closing && !pipe->cancelling && !pipe->doom.error &&
	       pipe->out_inflight < pipe->depth && (chunk = chunk_next(pipe)) && (slot = slot_free(pipe))) {
		len = MIN(chunk->len - chunk->submitted, chunk->piece);
		libusb_fill_bulk_transfer(slot->transfer, pipe->handle, pipe->facts.ep_out,
					  (uint8_t *)(uintptr_t)chunk->bytes + chunk->submitted, (int)len,
					  on_out, slot, 0);
		/* the kernel adds it only where the length is a multiple of the packet size */
		slot->transfer->flags = chunk->zlp && chunk->submitted + len == chunk->len
						? LIBUSB_TRANSFER_ADD_ZERO_PACKET
						: 0;
		r = submit(pipe, slot->transfer, "OUT transfer");
		if (r == LIBUSB_ERROR_NO_MEM && pipe->depth > 1)
			pipe->depth /= 2;
		if (r != 0)
			return;
		slot->busy = true;
		pipe->out_inflight++;
		chunk->submitted += len;
	}
}

static int queue_chunk(struct usb_pipe *pipe, const struct out_chunk *chunk)
{
	pipe->chunk[pipe->chunks++] = *chunk;
	pipe->in_call = true;
	pump_out(pipe);
	pipe->in_call = false;
	return 0;
}

int usb_pipe_send(struct usb_pipe *pipe, const uint8_t *bytes, size_t len, bool zlp)
{
	struct out_chunk chunk = { .bytes = bytes, .len = len, .piece = len, .zlp = zlp };

	if (pipe->state != PIPE_OPEN || pipe->closing)
		return -ENOTCONN;
	if (pipe->chunks || pipe->cancelling)
		return -EBUSY;
	if (!len || len > INT32_MAX)
		return -EINVAL;
	return queue_chunk(pipe, &chunk);
}

int usb_pipe_stream(struct usb_pipe *pipe, const uint8_t *bytes, size_t len, bool last)
{
	struct out_chunk chunk = { .bytes = bytes, .len = len, .piece = USB_STREAM_PIECE, .zlp = last };

	if (pipe->state != PIPE_OPEN || pipe->closing)
		return -ENOTCONN;
	if (pipe->chunks == ARRAY_SIZE(pipe->chunk) || pipe->cancelling)
		return -EBUSY;
	if (!len || (!last && len % pipe->facts.packet_out))
		return -EINVAL;
	return queue_chunk(pipe, &chunk);
}

void usb_pipe_cancel_out(struct usb_pipe *pipe)
{
	unsigned int i;

	if (pipe->state != PIPE_OPEN || pipe->closing || !pipe->chunks || pipe->cancelling)
		return;
	pipe->cancelling = true;
	for (i = 0; i < DEPTH_MAX; i++) {
		if (pipe->slot[i].busy)
			libusb_cancel_transfer(pipe->slot[i].transfer);
	}
	/* nothing with the kernel (it had no memory): the answer still comes in a later turn */
	if (!pipe->out_inflight && loop_defer(pipe->loop, tell_cancelled, pipe) < 0)
		tell_cancelled(pipe);
}

/* ---- memory ----------------------------------------------------------------------------------------------
 */

int pipe_transfers_make(struct usb_pipe *pipe)
{
	unsigned int i;

	pipe->control = libusb_alloc_transfer(0);
	pipe->in = libusb_alloc_transfer(0);
	pipe->in_buffer[0] = malloc(USB_IN_SIZE);
	pipe->in_buffer[1] = malloc(USB_IN_SIZE);
	if (!pipe->control || !pipe->in || !pipe->in_buffer[0] || !pipe->in_buffer[1])
		return -ENOMEM;
	for (i = 0; i < DEPTH_MAX; i++) {
		pipe->slot[i].pipe = pipe;
		pipe->slot[i].transfer = libusb_alloc_transfer(0);
		if (!pipe->slot[i].transfer)
			return -ENOMEM;
	}
	return 0;
}

void pipe_transfers_free(struct usb_pipe *pipe)
{
	unsigned int i;

	libusb_free_transfer(pipe->control);
	libusb_free_transfer(pipe->in);
	for (i = 0; i < DEPTH_MAX; i++)
		libusb_free_transfer(pipe->slot[i].transfer);
	free(pipe->in_buffer[0]);
	free(pipe->in_buffer[1]);
}
