/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of this room share: context.c has libusb on the loop, open.c what runs on a phone's thread,
 * pipe.c and transfer.c the rest.
 */
#ifndef FDLD_USB_INTERNAL_H
#define FDLD_USB_INTERNAL_H

#include <libusb.h>

#include "loop/worker.h"
#include "usb/pipe.h"

#define DEPTH_MAX 16u

/* ---- context.c ------------------------------------------------------------------------------------- */

/* The loop's watch on one device node. */
struct usb_watch {
	struct usb_watch *next;
	int fd;
	struct loop_io *io; /* NULL: libusb has dropped the node after a hang-up */
};

/* Any thread: keeps libusb alive for whoever still is inside of it. */
libusb_context *usb_context_hold(struct usb_context *ctx);
void usb_context_drop(struct usb_context *ctx);
struct loop *usb_context_loop(struct usb_context *ctx);
/* Lets libusb look at this node whenever it wants; the watch must be removed before the node is closed. */
int usb_context_watch(struct usb_context *ctx, struct usb_watch *watch, int fd);
void usb_context_unwatch(struct usb_context *ctx, struct usb_watch *watch);
/* A libusb error as one of ours, with words. Returns the row's negative errno. */
int usb_error(struct failure *why, int libusb_code, const char *what);

/* ---- open.c: runs on the phone's thread -----------------------------------------------------------------
 */

/* Only the node is wanted. */
#define USB_NO_INTERFACE (-1)

struct usb_opening {
	struct usb_context *ctx;
	libusb_context *usb;
	struct usb_arrival arrival;
	int interface; /* to be claimed; 0 is that of a boot ROM */
	/* results; handle and fd are the opening's until somebody takes them */
	struct failure why;
	libusb_device_handle *handle;
	int fd;
	struct usb_pipe_facts facts;
	void *pipe; /* loop only */
};

void usb_opening_run(struct usb_opening *opening);
/* Releases the interface, closes handle and node. */
void usb_opening_close(libusb_device_handle *handle, int fd);

/* ---- pipe.c, transfer.c ----------------------------------------------------------------------------------
 */

enum pipe_state {
	PIPE_OPENING, /* on the phone's thread */
	PIPE_CONTROL, /* the first control request is out, or the first IN waits for memory */
	PIPE_OPEN,
	PIPE_FAILED, /* told so; waits for usb_pipe_close() */
};

/* What the caller lent to send. */
struct out_chunk {
	const uint8_t *bytes;
	size_t len, piece;
	size_t submitted, done;
	bool zlp;
};

struct out_slot {
	struct usb_pipe *pipe;
	struct libusb_transfer *transfer;
	bool busy;
};

struct usb_pipe {
	struct usb_context *ctx;
	struct loop *loop;
	struct worker *worker;
	const struct usb_pipe_events *events;
	void *user;
	struct usb_pipe_options options;
	struct usb_arrival arrival;
	struct usb_pipe_facts facts;
	enum pipe_state state;
	bool closing, finished; /* usb_pipe_close() was called; the last act is queued */
	bool stuck;		/* the thread was left behind */
	libusb_device_handle *handle;
	int fd;
	struct usb_watch watch;
	unsigned int inflight;
	bool in_call;	     /* inside usb_pipe_send() or _stream(): no callbacks */
	struct failure doom; /* what to fail with after it */

	struct libusb_transfer *control, *in;
	uint8_t setup[LIBUSB_CONTROL_SETUP_SIZE];
	bool control_busy, in_busy;
	uint8_t *in_buffer[2];
	unsigned int in_next; /* which buffer the next submit fills */
	bool partial;	      /* somebody waits for what an unfinished IN holds */

	struct out_slot slot[DEPTH_MAX];
	struct out_chunk chunk[2];
	unsigned int chunks, out_inflight, depth;
	bool cancelling;

	struct loop_timer *timer; /* control deadline, then memory retries */
	uint64_t control_deadline, nomem_since;
};

int pipe_transfers_make(struct usb_pipe *pipe);
void pipe_transfers_free(struct usb_pipe *pipe);
/* Begins with the first transfer; ends in opened(). */
void pipe_start(struct usb_pipe *pipe);
void pipe_on_timer(void *arg);
/* The one way down: idempotent, from wherever the bad news came. */
void pipe_fail(struct usb_pipe *pipe, const struct failure *why);
void pipe_cancel_all(struct usb_pipe *pipe);
/* A transfer has come back; when it was the last of a closing pipe, the pipe goes on to close. */
void pipe_idle(struct usb_pipe *pipe);

#endif
