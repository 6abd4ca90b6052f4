/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bytes to and from one phone: libusb's asynchronous transfers, two bulk endpoints, no meaning. What libusb
 * does synchronously (wrap, claim, release, close) runs on a thread of that phone; everything else, and every
 * event, on the loop's thread. A phone can leave at any moment: failed transfers, refused submits and
 * usb_pipe_close() all meet in one path, in any order.
 */
#ifndef FDLD_USB_PIPE_H
#define FDLD_USB_PIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "loop/loop.h"
#include "usb/watcher.h"

/* One IN transfer takes the largest escaped reply, 2 * (65536 + 6) + 2 (bsl-protocol 2.4), in whole packets.
 */
#define USB_IN_SIZE (132u * 1024u)
/* Usual stream: pieces of this size, this many in flight. */
#define USB_STREAM_PIECE 65536u
#define USB_STREAM_DEPTH 4u
/* What one pipe can have with the kernel at once: for usb_budget_ask(). frame: the largest single send. */
#define USB_PIPE_MEMORY(frame)	      ((uint64_t)USB_IN_SIZE + (frame) + 1024u)
#define USB_PIPE_STREAM_MEMORY(depth) ((uint64_t)USB_IN_SIZE + (uint64_t)(depth)*USB_STREAM_PIECE + 1024u)

struct usb_context;
struct usb_pipe;

/* libusb on the loop. NULL with *why set (Internal) when it cannot start. */
struct usb_context *usb_context_new(struct loop *loop, struct failure *why);
/* All pipes must be closed. What threads left behind still use is not freed. NULL is fine. */
void usb_context_free(struct usb_context *ctx);

struct usb_pipe_events {
	/*
	 * Once, never from within usb_pipe_open(). why == NULL: the phone is open, the IN transfer is posted.
	 * Else: DeviceVanished, UsbAccess, UsbClaimed (detail names the driver), UsbNodeWrong,
	 * UsbOpenTimeout, UsbNoMemory, UsbIo, UsbStall; the pipe must then be closed.
	 */
	void (*opened)(void *user, const struct failure *why);
	/*
	 * Once for each usb_pipe_send() and usb_pipe_stream() that returned 0, in order, unless the pipe
	 * failed or was closed. len: bytes that went out. why: NULL, or Cancelled after
	 * usb_pipe_cancel_out().
	 */
	void (*sent)(void *user, const struct failure *why, size_t len);
	/*
	 * Bytes came; a reply may overtake sent() of what it answers. They stay valid until the next
	 * received() or until usb_pipe_close(), whichever is first. more: the phone's transfer has not ended
	 * with a short packet (buffer full, or usb_pipe_take_partial()). len may be 0 (a zero-length packet,
	 * or nothing to take).
	 */
	void (*received)(void *user, const uint8_t *bytes, size_t len, bool more);
	/*
	 * Once at most, after opened(NULL): DeviceVanished, UsbStall, UsbBabble, UsbIo, UsbNoMemory. Nothing
	 * else but closed() follows; the pipe must be closed.
	 */
	void (*failed)(void *user, const struct failure *why);
	/* Once, after usb_pipe_close(): user is not touched again. */
	void (*closed)(void *user);
};

#define USB_OPEN_CONTROL \
	1u /* send the class request 0x21/0x22/0x0601 once before opened() (bsl-protocol 2.3) */

struct usb_pipe_options {
	unsigned int flags;
	uint64_t open_usec;    /* for open, wrap, claim together; 0 = 3 s. Then UsbOpenTimeout, the thread is
				  left behind. */
	uint64_t control_usec; /* for the control request; 0 = 2 s. Then UsbOpenTimeout. */
	uint64_t memory_usec;  /* how long a submit refused with ENOMEM is tried again; 0 = 10 s. Then
				  UsbNoMemory. */
};

/*
 * Begins to open the phone. events must live as long as the pipe. arrival is copied. options may be NULL (all
 * zero). NULL with *why set (UsbNoMemory) when not even that is possible; no event follows then.
 */
struct usb_pipe *usb_pipe_open(struct usb_context *ctx, const struct usb_arrival *arrival,
			       const struct usb_pipe_options *options, const struct usb_pipe_events *events,
			       void *user, struct failure *why);
/*
 * Sends one transfer. bytes are lent until sent(), failed() or closed(). zlp: close with a zero-length packet
 * if len is a multiple of the packet size (the caller knows when that is right, bsl-protocol 2.4). One at a
 * time: -EBUSY while one is out; -ENOTCONN before opened() and after failed() or usb_pipe_close(). len > 0.
 * Errors of the submit itself arrive as failed().
 */
int usb_pipe_send(struct usb_pipe *pipe, const uint8_t *bytes, size_t len, bool zlp);
/*
 * Raw mode: sends a lent chunk as several transfers in flight at once. A second chunk may be queued while the
 * first is going (-EBUSY for a third). Every chunk but the last must be a multiple of the packet size
 * (-EINVAL); the last ends with a short packet or a zero-length one. One sent() for each chunk.
 */
int usb_pipe_stream(struct usb_pipe *pipe, const uint8_t *bytes, size_t len, bool last);
/* Transfers of a stream in flight; 1..16, initially USB_STREAM_DEPTH. A short machine halves it by itself. */
void usb_pipe_set_depth(struct usb_pipe *pipe, unsigned int depth);
unsigned int usb_pipe_depth(const struct usb_pipe *pipe);
/* Takes back what is going out; sent(Cancelled) follows for each send or chunk. Without effect when idle. */
void usb_pipe_cancel_out(struct usb_pipe *pipe);
/*
 * Hands over what an unfinished IN transfer already holds: a reply whose length is a multiple of the packet
 * size and that no zero-length packet closed. received(more = true) follows in a later turn, possibly with
 * len 0.
 */
void usb_pipe_take_partial(struct usb_pipe *pipe);
/* Cancels, waits, releases, closes; closed() follows, never from within this call. Idempotent. The pipe is
 * then gone. */
void usb_pipe_close(struct usb_pipe *pipe);

/* Facts about an open phone. All zero before opened(NULL). */
struct usb_pipe_facts {
	uint8_t ep_in, ep_out;		/* addresses, IN with bit 7 */
	uint16_t packet_in, packet_out; /* wMaxPacketSize */
	uint16_t bcd_usb, bcd_device;	/* as the descriptors read from the node say */
	uint64_t open_begun_usec;	/* usb_pipe_open() */
	uint64_t first_transfer_usec;	/* submission of the first transfer (control request or IN) */
	uint64_t bytes_out, bytes_in;
	unsigned int nomem_retries;
};
void usb_pipe_facts(const struct usb_pipe *pipe, struct usb_pipe_facts *facts);

#endif
