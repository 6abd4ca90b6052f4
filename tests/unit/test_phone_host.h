/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A tiny host for the phone's own tests: its own encoder, one exchange at a time on a virtual clock. */
#ifndef TESTS_UNIT_TEST_PHONE_HOST_H
#define TESTS_UNIT_TEST_PHONE_HOST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/phone/fault.h"
#include "tests/phone/loader.h"
#include "tests/phone/phone.h"

#define SILENT	0xffffu
#define LEFT	0xfffeu
#define GARBLED 0xfffdu

struct host {
	struct phone *phone;
	uint64_t now;
	bool sum, plain;
	uint8_t in[300000];
	size_t in_length;
	uint8_t payload[140000];
	size_t length;	/* of the last reply */
	unsigned chunk; /* loader packet */
};

static inline uint32_t host_check(bool sum, const uint8_t *body, size_t length)
{
	uint32_t check = 0;

	for (size_t i = 0; i < length; i++) {
		if (sum) {
			check += i & 1 ? (uint32_t)body[i] << 8 : body[i];
			continue;
		}
		check ^= (uint32_t)body[i] << 8;
		for (int b = 0; b < 8; b++)
			check = check & 0x8000 ? (check << 1 ^ 0x1021) & 0xffff : check << 1 & 0xffff;
	}
	while (sum && check >> 16)
		check = (check & 0xffff) + (check >> 16);
	return sum ? ~check & 0xffff : check;
}

static inline size_t host_frame(const struct host *h, uint16_t type, const void *data, size_t length,
				uint8_t *out)
{
	static uint8_t body[70000];
	size_t total = length + 6, at = 1;
	uint32_t check;

	body[0] = (uint8_t)(type >> 8);
	body[1] = (uint8_t)type;
	body[2] = (uint8_t)(length >> 8);
	body[3] = (uint8_t)length;
	if (length)
		memcpy(body + 4, data, length);
	check = host_check(h->sum, body, length + 4);
	if (h->sum && !(length & 1))
		check = (check & 0xff) << 8 | check >> 8; /* low byte first at an even place */
	body[length + 4] = (uint8_t)(check >> 8);
	body[length + 5] = (uint8_t)check;
	out[0] = 0x7e;
	for (size_t i = 0; i < total; i++) {
		if (!h->plain && (body[i] == 0x7e || body[i] == 0x7d)) {
			out[at++] = 0x7d;
			out[at++] = body[i] ^ 0x20;
		} else {
			out[at++] = body[i];
		}
	}
	out[at++] = 0x7e;
	return at;
}

/* Waits for IN bytes up to the deadline; false: nothing, or gone. */
static inline bool host_wait(struct host *h, uint64_t deadline, bool *left)
{
	struct phone_event ev;

	for (;;) {
		while (phone_poll(h->phone, h->now, &ev)) {
			if (ev.kind == PHONE_DETACH && left)
				*left = true;
			if (ev.kind == PHONE_ATTACH)
				phone_control(h->phone, h->now, 0x21, 0x22, 0x601, 0);
			if (ev.kind == PHONE_IN) {
				memcpy(h->in + h->in_length, ev.bytes, ev.length);
				h->in_length += ev.length;
				return true;
			}
		}
		if (phone_due(h->phone) > deadline) {
			h->now = deadline;
			return false;
		}
		h->now = phone_due(h->phone);
	}
}

static inline bool host_out(struct host *h, const void *data, size_t length, bool zlp)
{
	uint64_t deadline = h->now + 3000000;

	for (;;) {
		enum phone_taken taken = phone_out(h->phone, h->now, data, length, zlp);

		if (taken != PHONE_NAK)
			return taken == PHONE_TAKEN;
		if (phone_due(h->phone) > deadline || phone_due(h->phone) <= h->now)
			return false;
		h->now = phone_due(h->phone);
	}
}

/* One reply; its type, SILENT or LEFT. */
static inline unsigned host_reply(struct host *h, uint64_t timeout)
{
	uint64_t deadline = h->now + timeout;
	bool left = false;

	for (;;) {
		size_t at = 0, end, n = 0;
		static uint8_t body[200000];

		while (at + 1 < h->in_length && h->in[at] == 0x7e && h->in[at + 1] == 0x7e)
			at++;
		if (h->plain && h->in_length >= at + 8) {
			end = at + 7u + (size_t)(h->in[at + 3] << 8 | h->in[at + 4]);
			n = end - at - 1;
			if (end < h->in_length)
				memcpy(body, h->in + at + 1, n);
			else
				n = 0;
		} else {
			for (end = at + 1; end < h->in_length && h->in[end] != 0x7e; end++)
				body[n++] = h->in[end] == 0x7d ? h->in[++end] ^ 0x20 : h->in[end];
			if (end >= h->in_length)
				n = 0;
		}
		if (n) {
			uint32_t check = host_check(h->sum, body, n < 2 ? 0 : n - 2);

			if (n < 6 || check != (h->sum ? body[n - 2] | (uint32_t)body[n - 1] << 8
						      : (uint32_t)body[n - 2] << 8 | body[n - 1]))
				return GARBLED;
			h->length = n - 6;
			memcpy(h->payload, body + 4, n - 6);
			h->in_length -= end + 1;
			memmove(h->in, h->in + end + 1, h->in_length);
			return (unsigned)(body[0] << 8 | body[1]);
		}
		if (!host_wait(h, deadline, &left))
			return left ? LEFT : SILENT;
	}
}

static inline unsigned host_do(struct host *h, uint16_t type, const void *data, size_t length,
			       uint64_t timeout)
{
	static uint8_t wire[140010];
	size_t size = host_frame(h, type, data, length, wire);

	if (!host_out(h, wire, size, true))
		return SILENT;
	return host_reply(h, timeout);
}

static inline void host_be32(uint8_t *at, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(v >> (24 - 8 * i));
}

static inline void host_le32(uint8_t *at, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(v >> 8 * i);
}

static inline unsigned host_load(struct host *h, uint32_t base, const uint8_t *image, size_t size)
{
	uint8_t head[8];
	unsigned code;

	host_be32(head, base);
	host_be32(head + 4, (uint32_t)size);
	code = host_do(h, 1, head, 8, 3000000);
	for (size_t at = 0; code == 0x80 && at < size; at += 528)
		code = host_do(h, 2, image + at, size - at < 528 ? size - at : 528, 3000000);
	return code == 0x80 ? host_do(h, 3, NULL, 0, 3000000) : code;
}

static inline void host_plug(struct host *h, struct phone *phone)
{
	uint64_t now = h->phone == phone ? h->now : 1000; /* a phone's time never runs backwards */

	memset(h, 0, sizeof(*h));
	h->phone = phone;
	h->now = now;
	phone_plug(phone, h->now);
	assert_int_equal(phone_control(phone, h->now, 0x21, 0x22, 0x601, 0), 0);
}

static inline unsigned host_probe(struct host *h, unsigned times)
{
	unsigned code = SILENT;

	for (unsigned i = 0; i < times && (code == SILENT || code == LEFT); i++) {
		if (!host_out(h, "\x7e", 1, false)) {
			host_reply(h, 300000);
			continue;
		}
		code = host_reply(h, 500000);
	}
	return code;
}

/* Through ROM and FDL1 up to the answer to EXEC of FDL2. */
static inline unsigned host_boot(struct host *h)
{
	const struct phone_profile *profile = phone_profile(h->phone);
	static uint8_t image[70000];
	size_t size = phone_make_loader(profile, 1, image, sizeof(image));
	unsigned code = host_probe(h, 1);

	if (code != 0x81)
		return code;
	code = host_do(h, 0, NULL, 0, 1000000);
	if (code == 0x80)
		code = host_load(h, profile->fdl1_base, image, size);
	if (code == 0x80)
		code = host_do(h, 4, NULL, 0, 1000000);
	if (code != 0x80)
		return code;
	h->sum = true;
	code = host_probe(h, 20);
	if (code != 0x81 || profile->fdl2_base == 0)
		return code;
	code = host_do(h, 0, NULL, 0, 1000000);
	size = phone_make_loader(profile, 2, image, sizeof(image));
	if (code == 0x80)
		code = host_load(h, profile->fdl2_base, image, size);
	return code == 0x80 ? host_do(h, 4, NULL, 0, 60000000) : code;
}

static inline size_t host_named(uint8_t *out, const char *name, uint32_t size)
{
	memset(out, 0, 76);
	for (size_t i = 0; name[i]; i++)
		out[2 * i] = (uint8_t)name[i];
	host_le32(out + 72, size);
	return 76;
}

/* START, MIDSTs, END; the first code that is not an ACK. */
static inline unsigned host_write(struct host *h, const char *name, const uint8_t *data, size_t size, bool nv)
{
	uint8_t head[80];
	uint32_t sum = 0;
	size_t length = host_named(head, name, (uint32_t)size);
	unsigned code;

	for (size_t i = 0; i < size; i++)
		sum += data[i];
	if (nv) {
		host_le32(head + 76, sum);
		length = 80;
	}
	code = host_do(h, 1, head, length, 3000000);
	for (size_t at = 0; code == 0x80 && at < size; at += 0xf800)
		code = host_do(h, 2, data + at, size - at < 0xf800 ? size - at : 0xf800, 500000000);
	return code == 0x80 ? host_do(h, 3, NULL, 0, 60000000) : code;
}

static inline unsigned host_read(struct host *h, const char *name, uint64_t offset, uint8_t *out,
				 uint32_t size)
{
	uint8_t head[76], ask[8];
	unsigned code;

	host_named(head, name, size);
	code = host_do(h, 0x10, head, 76, 3000000);
	if (code != 0x80)
		return code;
	for (uint32_t at = 0; at < size;) {
		uint32_t part = size - at < 0x3000 ? size - at : 0x3000;

		host_le32(ask, part);
		host_le32(ask + 4, (uint32_t)offset + at);
		code = host_do(h, 0x11, ask, 8, 3000000);
		if (code != 0x93 || h->length != part)
			return code;
		memcpy(out + at, h->payload, part);
		at += part;
	}
	return host_do(h, 0x12, NULL, 0, 3000000);
}

static inline struct phone *host_phone(const char *profile, const char *faults)
{
	struct phone_setup setup = { .seed = 7, .faults = faults };
	const char *why = NULL;
	struct phone *phone = phone_new(phone_profile_by_name(profile), &setup, &why);

	if (!phone)
		fail_msg("%s", why);
	return phone;
}

static inline void host_random(uint8_t *out, size_t size, uint64_t seed)
{
	for (size_t i = 0; i < size; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		out[i] = (uint8_t)(seed >> 56);
	}
}

#endif
