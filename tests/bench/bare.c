/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/bench/bare.h"

#include <errno.h>
#include <fcntl.h>
#include <libusb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bsl/codec.h"
#include "bsl/payload.h"

#define RING	     16u
#define LOADER_BLOCK 528u
#define IN_SIZE	     (132u * 1024u)
#define PROBE_MS     200u
#define REPLY_MS     60000u

enum phase { PROBE_ROM, LOAD1, PROBE_FDL1, LOAD2, PLAIN, WRITE, READ, DONE };
enum {
	CONNECT = 0,
	START = 1,
	MIDST = 2,
	END = 3,
	EXEC = 4,
	READ_START = 0x10,
	READ_MIDST = 0x11,
	READ_END = 0x12,
	DISABLE_TRANSCODE = 0x21
};

struct bare {
	const struct bare_job *job;
	libusb_device_handle *handle;
	struct libusb_transfer *out, *in;
	int fd;
	enum phase phase;
	int step; /* within a phase: 0 CONNECT, 1 START, 2 MIDST..., 3 END, 4 EXEC */
	uint64_t sent;
	uint8_t *frame, *bytes; /* one frame; one block of the file */
	bool failed;
};

struct ring {
	uint8_t *bytes[RING];
	size_t len[RING];
};

static struct ring ring;
static size_t busy;
static int file = -1;

static void encode(struct bare *b, enum bsl_check check, enum bsl_framing framing, uint16_t type,
		   const void *data, size_t len)
{
	struct bsl_piece piece = { data, len };
	ssize_t n = bsl_encode(check, framing, type, &piece, len ? 1 : 0, b->frame, IN_SIZE);

	b->out->buffer = b->frame;
	b->out->length = n < 0 ? 0 : (int)n;
}

static void load(struct bare *b, enum bsl_check check, const uint8_t *image, size_t len, uint32_t base)
{
	struct bsl_payload p;
	size_t n = len - b->sent < LOADER_BLOCK ? len - b->sent : LOADER_BLOCK;

	switch (b->step) {
	case 0: encode(b, check, BSL_FRAMING_ESCAPED, CONNECT, NULL, 0); break;
	case 1:
		bsl_payload_start_address(&p, base, (uint32_t)len, NULL);
		encode(b, check, BSL_FRAMING_ESCAPED, START, p.bytes, p.len);
		b->sent = 0;
		break;
	case 2:
		encode(b, check, BSL_FRAMING_ESCAPED, MIDST, image + b->sent, n);
		b->sent += n;
		if (b->sent < len)
			b->step--; /* stays at 2 */
		break;
	case 3: encode(b, check, BSL_FRAMING_ESCAPED, END, NULL, 0); break;
	default:
		encode(b, check, BSL_FRAMING_ESCAPED, EXEC, NULL, 0);
		b->phase++;
		b->step = -1;
	}
	b->step++;
}

static bool fetch(struct bare *b, uint64_t block, size_t len)
{
	return pread(file, b->bytes, len, (off_t)(block * len)) == (ssize_t)len;
}

/* 7E, type, length, data, sum, 7E; the data are those of the block asked for last. */
static bool look(struct bare *b)
{
	size_t n = (size_t)b->in->actual_length;
	const uint8_t *p = b->in->buffer;
	uint16_t sum, got;

	if (n != b->job->read_block + 8u || !fetch(b, b->sent - 1, b->job->read_block))
		return false;
	memcpy(&got, p + n - 3, 2);
	sum = (uint16_t)~bsl_sum(p + 1, n - 4);
	return (sum == got || sum == __builtin_bswap16(got)) && !memcmp(p + 5, b->bytes, b->job->read_block);
}

static void write_block(struct bare *b)
{
	uint64_t blocks = b->job->bytes / BARE_BLOCK;
	struct bsl_payload p;

	if (b->step == 0) {
		bsl_payload_start_name(&p, b->job->partition, blocks * BARE_BLOCK, NULL);
		encode(b, BSL_CHECK_SUM, BSL_FRAMING_PLAIN, START, p.bytes, p.len);
		b->step = 1;
		b->sent = 0;
	} else if (b->sent < blocks && file >= 0) {
		b->failed |= !fetch(b, b->sent, BARE_BLOCK);
		encode(b, BSL_CHECK_SUM, BSL_FRAMING_PLAIN, MIDST, b->bytes, BARE_BLOCK);
		b->sent++;
	} else if (b->sent < blocks) {
		b->out->buffer = ring.bytes[b->sent % RING];
		b->out->length = (int)ring.len[b->sent % RING];
		b->sent++;
	} else {
		encode(b, BSL_CHECK_SUM, BSL_FRAMING_PLAIN, END, NULL, 0);
		b->phase = READ;
		b->step = 0;
	}
}

static void read_block(struct bare *b)
{
	uint64_t blocks = b->job->bytes / b->job->read_block;
	struct bsl_payload p;

	if (b->step == 0) {
		bsl_payload_read_start(&p, b->job->partition, blocks * b->job->read_block);
		encode(b, BSL_CHECK_SUM, BSL_FRAMING_PLAIN, READ_START, p.bytes, p.len);
		b->step = 1;
		b->sent = 0;
	} else if (b->sent < blocks) {
		bsl_payload_read_midst(&p, BSL_FRAMING_PLAIN, b->job->read_block,
				       b->sent * b->job->read_block);
		encode(b, BSL_CHECK_SUM, BSL_FRAMING_PLAIN, READ_MIDST, p.bytes, p.len);
		b->sent++;
	} else {
		encode(b, BSL_CHECK_SUM, BSL_FRAMING_PLAIN, READ_END, NULL, 0);
		b->phase = DONE;
	}
}

static void next(struct bare *b)
{
	static uint8_t flag[1] = { 0x7e };

	b->in->timeout = REPLY_MS;
	switch (b->phase) {
	case PROBE_ROM:
	case PROBE_FDL1:
		b->out->buffer = flag;
		b->out->length = 1;
		b->in->timeout = PROBE_MS;
		break;
	case LOAD1: load(b, BSL_CHECK_CRC16, b->job->fdl1, b->job->fdl1_len, b->job->fdl1_base); break;
	case LOAD2: load(b, BSL_CHECK_SUM, b->job->fdl2, b->job->fdl2_len, b->job->fdl2_base); break;
	case PLAIN:
		encode(b, BSL_CHECK_SUM, BSL_FRAMING_ESCAPED, DISABLE_TRANSCODE, NULL, 0);
		b->phase++;
		b->step = 0;
		break;
	case WRITE: write_block(b); break;
	case READ: read_block(b); break;
	case DONE: busy--; return;
	}
	if (libusb_submit_transfer(b->in) || libusb_submit_transfer(b->out)) {
		b->failed = true;
		busy--;
	}
}

static void out_done(struct libusb_transfer *t)
{
	struct bare *b = t->user_data;

	if (t->status != LIBUSB_TRANSFER_COMPLETED)
		b->failed = true;
}

static void in_done(struct libusb_transfer *t)
{
	struct bare *b = t->user_data;
	bool probing = b->phase == PROBE_ROM || b->phase == PROBE_FDL1;

	if (t->status == LIBUSB_TRANSFER_TIMED_OUT && probing) {
		next(b);
		return;
	}
	if (t->status != LIBUSB_TRANSFER_COMPLETED || t->actual_length < 8 || b->failed) {
		b->failed = true;
		busy--;
		return;
	}
	if (file >= 0 && b->phase == READ && b->step && b->sent && !look(b)) {
		fprintf(stderr, "bare loop: block %llu is not what the file has\n",
			(unsigned long long)b->sent);
		b->failed = true;
		busy--;
		return;
	}
	if (probing) {
		b->phase++;
		b->step = 0;
	}
	next(b);
}

static int open_one(libusb_context *usb, struct bare *b, const char *node)
{
	b->fd = open(node, O_RDWR | O_CLOEXEC | O_NOCTTY);
	b->frame = malloc(IN_SIZE);
	b->bytes = malloc(IN_SIZE);
	b->out = libusb_alloc_transfer(0);
	b->in = libusb_alloc_transfer(0);
	if (b->fd < 0 || !b->frame || !b->bytes || !b->out || !b->in ||
	    libusb_wrap_sys_device(usb, b->fd, &b->handle) || libusb_claim_interface(b->handle, 0) ||
	    libusb_control_transfer(b->handle, 0x21, 0x22, 0x0601, 0, NULL, 0, 1000) < 0)
		return -EIO;
	libusb_fill_bulk_transfer(b->out, b->handle, 0x06, NULL, 0, out_done, b, REPLY_MS);
	libusb_fill_bulk_transfer(b->in, b->handle, 0x85, malloc(IN_SIZE), IN_SIZE, in_done, b, REPLY_MS);
	return b->in->buffer ? 0 : -ENOMEM;
}

static int make_ring(void)
{
	uint8_t *data = malloc(BARE_BLOCK);
	uint32_t x = 1;

	for (unsigned i = 0; data && i < RING; i++) {
		struct bsl_piece piece = { data, BARE_BLOCK };

		for (size_t k = 0; k < BARE_BLOCK; k++) {
			x = x * 1664525u + 1013904223u;
			data[k] = (uint8_t)(x >> 24);
		}
		ring.bytes[i] = malloc(IN_SIZE);
		if (!ring.bytes[i])
			return -ENOMEM;
		ring.len[i] = (size_t)bsl_encode(BSL_CHECK_SUM, BSL_FRAMING_PLAIN, MIDST, &piece, 1,
						 ring.bytes[i], IN_SIZE);
	}
	free(data);
	return data ? 0 : -ENOMEM;
}

int bare_run(const struct bare_job *job)
{
	static struct bare phones[BARE_PHONES_MAX];
	libusb_context *usb = NULL;

	libusb_set_option(NULL, LIBUSB_OPTION_NO_DEVICE_DISCOVERY);
	if (job->file)
		file = open(job->file, O_RDONLY | O_CLOEXEC);
	if ((job->file && file < 0) || make_ring() < 0 || libusb_init(&usb))
		return 1;
	for (size_t i = 0; i < job->phones; i++) {
		phones[i].job = job;
		if (open_one(usb, &phones[i], job->node[i]) < 0) {
			fprintf(stderr, "bare loop: cannot open %s\n", job->node[i]);
			return 1;
		}
	}
	for (size_t i = 0; i < job->phones; i++) {
		busy++;
		next(&phones[i]);
	}
	while (busy)
		libusb_handle_events(usb);
	for (size_t i = 0; i < job->phones; i++) {
		if (phones[i].failed) {
			fprintf(stderr, "bare loop: phone %zu failed in phase %d\n", i, phones[i].phase);
			return 1;
		}
	}
	return 0;
}
