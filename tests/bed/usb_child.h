/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * For tests of daemon/loop and daemon/usb by themselves: a forked child plays the daemon (loop, watcher, one
 * pipe for each phone) with its usbfs calls trapped, and reports each event as a line on a pipe. The lines:
 *
 *   SLOT arrived BUS/NUM cold|event|rescan [later]      SLOT left BUS/NUM
 *   SLOT runs BUS/NUM           a phone that is not in download mode
 *   SLOT opened NAME (detail)                   NAME: ok or an error name
 *   SLOT latency USEC                           from receipt of the event to the first transfer
 *   SLOT packets IN/OUT bcd XXXX
 *   SLOT sent BYTES NAME depth N                SLOT received BYTES[+] sum N
 *   SLOT failed NAME (detail)                   SLOT silent    SLOT refused    SLOT closed
 *   ready, turn USEC, watched N stale N rescans N present N, left behind N, end
 */
#ifndef FDLD_TESTS_BED_USB_CHILD_H
#define FDLD_TESTS_BED_USB_CHILD_H

#include "tests/bed/bed.h"
#include "usb/pipe.h"

/* What the child does with every phone; zeroed before each test. */
struct usb_orders {
	size_t send;	     /* bytes of each send after opened(); 0 = none */
	unsigned int rounds; /* sends, each after the reply to the one before */
	size_t stream;	     /* bytes to stream after opened(), at most USB_PAYLOAD_SIZE */
	unsigned int
		wait_ms; /* a reply is awaited so long, then the child takes back and takes the partial one */
	struct usb_pipe_options options;
	const char *tag;
	bool unprivileged; /* without capabilities, as nobody */
	bool zlp;
};

#define USB_PAYLOAD_SIZE (8u << 20)

extern struct usb_orders orders;
extern struct bed *bed; /* of the test that runs */
extern pid_t child_pid;

/* The i-th byte of everything that the child sends; the first is 0x7e, by itself a question to a boot ROM. */
uint8_t usb_payload(size_t i);
/* Starts the child and waits until it has enumerated; false: it did not come up. */
bool child_start(void);
/* Ends it; true if it has tidied up and ended well. */
bool child_stop(void);
/* After it was killed. */
void child_forget(void);
/* How often the child has said this, up to now. */
unsigned int said(const char *what);
/* Runs the bed until it was said so often. */
bool until_n(const char *what, unsigned int count, int ms);
bool until(const char *what);
/* The number behind a word, where it was said last; -1: never. */
long said_number(const char *word);

/* Plugs into bus 1. */
struct bed_dev *child_plug(const char *ports, const struct bed_model *model, bool uevent);
/* Answers each OUT transfer with a reply of eight bytes. */
extern const struct bed_model usb_ack_model;

struct usb_test {
	const char *name;
	void (*run)(void);
};
/* Runs each in a bed of its own (or the one named by ONLY), prints TAP; the exit code. */
int usb_tests_run(const char *title, const struct usb_test *tests, size_t count);

extern const char *usb_failed; /* set by CHECK() */
#define CHECK(x)                         \
	do {                             \
		if (!(x)) {              \
			usb_failed = #x; \
			return;          \
		}                        \
	} while (0)

#endif
