/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "bsl/codec.h"
#include "bsl/wide.h"
#include "common/util.h"
#include "tests/unit/bsl_oracle.h"

/* G2 .. G53 of bsl-protocol 19; G1 is the probe, which is no frame */
static const struct golden {
	const char *name;
	enum bsl_check check;
	enum bsl_framing framing;
	uint16_t type;
	const char *payload, *wire;
} golden[] = {
	{ "G2", BSL_CHECK_CRC16, BSL_FRAMING_ESCAPED, 0x00, "", "7e 00 00 00 00 00 00 7e" },
	{ "G3", BSL_CHECK_SUM, BSL_FRAMING_ESCAPED, 0x00, "", "7e 00 00 00 00 ff ff 7e" },
	{ "G4", BSL_CHECK_CRC16, BSL_FRAMING_ESCAPED, 0x80, "", "7e 00 80 00 00 3b 5a 7e" },
	{ "G5", BSL_CHECK_SUM, BSL_FRAMING_ESCAPED, 0x80, "", "7e 00 80 00 00 ff 7f 7e" },
	{ "G6", BSL_CHECK_CRC16, BSL_FRAMING_ESCAPED, 0x81, "53 50 52 44 33 00",
	  "7e 00 81 00 06 53 50 52 44 33 00 57 0a 7e" },
	{ "G7", BSL_CHECK_CRC16, BSL_FRAMING_ESCAPED, 0x81, "53 50 52 44 34 3a 41 75 74 6f 44 00",
	  "7e 00 81 00 0c 53 50 52 44 34 3a 41 75 74 6f 44 00 fd 8b 7e" },
	{ "G8", BSL_CHECK_SUM, BSL_FRAMING_ESCAPED, 0x81, "53 50 52 44 34 3a 41 75 74 6f 44 00",
	  "7e 00 81 00 0c 53 50 52 44 34 3a 41 75 74 6f 44 00 2b bf 7e" },
	{ "G9", BSL_CHECK_SUM, BSL_FRAMING_ESCAPED, 0x81,
	  "53 70 72 65 61 64 74 72 75 6d 20 42 6f 6f 74 20 42 6c 6f 63 6b 20 76 65 72 73 69 6f 6e 20 31 2e 31 00",
	  "7e 00 81 00 22 53 70 72 65 61 64 74 72 75 6d 20 42 6f 6f 74 20 42 6c 6f 63 6b 20 76 65 72 73 69 6f 6e 20 31 2e 31 00 aa e9 7e" },
	{ "G10", BSL_CHECK_SUM, BSL_FRAMING_ESCAPED, 0x81,
	  "53 70 72 65 61 64 74 72 75 6d 20 42 6f 6f 74 20 42 6c 6f 63 6b 20 76 65 72 73 69 6f 6e 20 31 2e 32 00",
	  "7e 00 81 00 22 53 70 72 65 61 64 74 72 75 6d 20 42 6f 6f 74 20 42 6c 6f 63 6b 20 76 65 72 73 69 6f 6e 20 31 2e 32 00 a9 e9 7e" },
	{ "G11", BSL_CHECK_CRC16, BSL_FRAMING_ESCAPED, 0x81,
	  "53 70 72 65 61 64 74 72 75 6d 20 42 6f 6f 74 20 42 6c 6f 63 6b 20 76 65 72 73 69 6f 6e 20 31 2e 32 00",
	  "7e 00 81 00 22 53 70 72 65 61 64 74 72 75 6d 20 42 6f 6f 74 20 42 6c 6f 63 6b 20 76 65 72 73 69 6f 6e 20 31 2e 32 00 51 aa 7e" },
	{ "G12", BSL_CHECK_CRC16, BSL_FRAMING_ESCAPED, 0x01, "00 00 55 00 00 00 c0 00",
	  "7e 00 01 00 08 00 00 55 00 00 00 c0 00 d4 77 7e" },
	{ "G13", BSL_CHECK_CRC16, BSL_FRAMING_ESCAPED, 0x01, "65 00 08 00 00 00 d2 e4",
	  "7e 00 01 00 08 65 00 08 00 00 00 d2 e4 f7 1d 7e" },
	{ "G14", BSL_CHECK_CRC16, BSL_FRAMING_ESCAPED, 0x01, "40 00 40 00 00 00 0e d4",
	  "7e 00 01 00 08 40 00 40 00 00 00 0e d4 c5 80 7e" },
	{ "G15", BSL_CHECK_CRC16, BSL_FRAMING_ESCAPED, 0x01, "00 00 3f 88 00 00 00 08",
	  "7e 00 01 00 08 00 00 3f 88 00 00 00 08 ba cc 7e" },
	{ "G16", BSL_CHECK_SUM, BSL_FRAMING_ESCAPED, 0x01, "9e ff fe 00 00 10 7d 7e",
	  "7e 00 01 00 08 9e ff fe 00 00 10 7d 5d 7d 5e e5 67 7e" },
	{ "G17", BSL_CHECK_CRC16, BSL_FRAMING_ESCAPED, 0x02, "00 00 00 00 00 00 00 00",
	  "7e 00 02 00 08 00 00 00 00 00 00 00 00 89 4c 7e" },
	{ "G18", BSL_CHECK_CRC16, BSL_FRAMING_ESCAPED, 0x02, "7e 7d 00 ff",
	  "7e 00 02 00 04 7d 5e 7d 5d 00 ff 8d 63 7e" },
	{ "G19", BSL_CHECK_SUM, BSL_FRAMING_ESCAPED, 0x02, "7e 7d 00 ff",
	  "7e 00 02 00 04 7d 5e 7d 5d 00 ff 80 7d 5d 7e" },
	{ "G20", BSL_CHECK_SUM, BSL_FRAMING_PLAIN, 0x02, "7e 7d 00 ff",
	  "7e 00 02 00 04 7e 7d 00 ff 80 7d 7e" },
	{ "G21", BSL_CHECK_CRC16, BSL_FRAMING_ESCAPED, 0x02, "00 27", "7e 00 02 00 02 00 27 7d 5e 66 7e" },
	{ "G22", BSL_CHECK_SUM, BSL_FRAMING_ESCAPED, 0x02, "7e 7e 7e 7e",
	  "7e 00 02 00 04 7d 5e 7d 5e 7d 5e 7d 5e 02 fd 7e" },
	{ "G23", BSL_CHECK_SUM, BSL_FRAMING_ESCAPED, 0x02, "01 02 03", "7e 00 02 00 03 01 02 03 f8 fb 7e" },
	{ "G24", BSL_CHECK_SUM, BSL_FRAMING_ESCAPED, 0x02, "01 02 03 00",
	  "7e 00 02 00 04 01 02 03 00 fb f7 7e" },
	{ "G25", BSL_CHECK_CRC16, BSL_FRAMING_ESCAPED, 0x02, "01 02 03", "7e 00 02 00 03 01 02 03 71 ad 7e" },
	{ "G26", BSL_CHECK_SUM, BSL_FRAMING_ESCAPED, 0x93, "01 02 03", "7e 00 93 00 03 01 02 03 fb 67 7e" },
	{ "G27", BSL_CHECK_CRC16, BSL_FRAMING_ESCAPED, 0x03, "", "7e 00 03 00 00 59 50 7e" },
	{ "G28", BSL_CHECK_SUM, BSL_FRAMING_ESCAPED, 0x03, "", "7e 00 03 00 00 ff fc 7e" },
	{ "G29", BSL_CHECK_CRC16, BSL_FRAMING_ESCAPED, 0x04, "", "7e 00 04 00 00 dc c0 7e" },
	{ "G30", BSL_CHECK_SUM, BSL_FRAMING_ESCAPED, 0x04, "", "7e 00 04 00 00 ff fb 7e" },
	{ "G31", BSL_CHECK_SUM, BSL_FRAMING_ESCAPED, 0x05, "", "7e 00 05 00 00 ff fa 7e" },
	{ "G32", BSL_CHECK_SUM, BSL_FRAMING_ESCAPED, 0x17, "", "7e 00 17 00 00 ff e8 7e" },
	{ "G33", BSL_CHECK_SUM, BSL_FRAMING_ESCAPED, 0x09, "00 01 c2 00",
	  "7e 00 09 00 04 00 01 c2 00 3d f1 7e" },
	{ "G34", BSL_CHECK_SUM, BSL_FRAMING_ESCAPED, 0x09, "00 0e 10 00",
	  "7e 00 09 00 04 00 0e 10 00 ef e4 7e" },
	{ "G35", BSL_CHECK_SUM, BSL_FRAMING_ESCAPED, 0x13, "", "7e 00 13 00 00 ff ec 7e" },
	{ "G36", BSL_CHECK_SUM, BSL_FRAMING_ESCAPED, 0x21, "", "7e 00 21 00 00 ff de 7e" },
	{ "G37", BSL_CHECK_SUM, BSL_FRAMING_ESCAPED, 0x28, "", "7e 00 28 00 00 ff d7 7e" },
	{ "G38", BSL_CHECK_SUM, BSL_FRAMING_ESCAPED, 0x33, "", "7e 00 33 00 00 ff cc 7e" },
	{ "G39", BSL_CHECK_SUM, BSL_FRAMING_ESCAPED, 0x31, "00 00 00 00 00 00 00 00 00 00 20 00",
	  "7e 00 31 00 0c 00 00 00 00 00 00 00 00 00 00 20 00 df c2 7e" },
	{ "G40", BSL_CHECK_SUM, BSL_FRAMING_ESCAPED, 0x0d, "", "7e 00 0d 00 00 ff f2 7e" },
	{ "G41", BSL_CHECK_SUM, BSL_FRAMING_ESCAPED, 0x9b, "00 00 00 00 00 02 00 00 00 00 08 00",
	  "7e 00 9b 00 0c 00 00 00 00 00 02 00 00 00 00 08 00 f7 56 7e" },
	{ "G42", BSL_CHECK_SUM, BSL_FRAMING_ESCAPED, 0x2d, "", "7e 00 2d 00 00 ff d2 7e" },
	{ "G43", BSL_CHECK_SUM, BSL_FRAMING_ESCAPED, 0x06, "80 00 00 03 00 00 10 00 00 00 00 00",
	  "7e 00 06 00 0c 80 00 00 03 00 00 10 00 00 00 00 00 6f ea 7e" },
	{ "G44", BSL_CHECK_SUM, BSL_FRAMING_ESCAPED, 0x11, "00 10 00 00 00 20 00 00",
	  "7e 00 11 00 08 00 10 00 00 00 20 00 00 ff b6 7e" },
	{ "G45", BSL_CHECK_SUM, BSL_FRAMING_ESCAPED, 0x11, "00 10 00 00 00 00 00 00 01 00 00 00",
	  "7e 00 11 00 0c 00 10 00 00 00 00 00 00 01 00 00 00 fe d2 7e" },
	{ "G46", BSL_CHECK_SUM, BSL_FRAMING_ESCAPED, 0x12, "", "7e 00 12 00 00 ff ed 7e" },
	{ "G47", BSL_CHECK_SUM, BSL_FRAMING_ESCAPED, 0x0a, "00 00 00 00 ff ff ff ff",
	  "7e 00 0a 00 08 00 00 00 00 ff ff ff ff ff ed 7e" },
	{ "G48", BSL_CHECK_SUM, BSL_FRAMING_ESCAPED, 0x96, "", "7e 00 96 00 00 ff 69 7e" },
	{ "G49", BSL_CHECK_SUM, BSL_FRAMING_ESCAPED, 0x8b, "", "7e 00 8b 00 00 ff 74 7e" },
	{ "G50", BSL_CHECK_SUM, BSL_FRAMING_ESCAPED, 0xfe, "", "7e 00 fe 00 00 ff 01 7e" },
	{ "G51", BSL_CHECK_CRC16, BSL_FRAMING_ESCAPED, 0xa6, "", "7e 00 a6 00 00 0f 3c 7e" },
	{ "G52", BSL_CHECK_SUM, BSL_FRAMING_ESCAPED, 0x96,
	  "6e 65 77 74 00 00 04 00 01 00 00 00 01 00 01 00 00 02 00 01 00 02 03 00 04 00 00 08 00 00 05 00 08 00 ff ff ff ff ff ff ff ff 06 00 04 00 02 01 00 00",
	  "7e 00 96 00 32 6e 65 77 74 00 00 04 00 01 00 00 00 01 00 01 00 00 02 00 01 00 02 03 00 04 00 00 08 00 00 05 00 08 00 ff ff ff ff ff ff ff ff 06 00 04 00 02 01 00 00 f2 4f 7e" },
	{ "G53", BSL_CHECK_SUM, BSL_FRAMING_ESCAPED, 0x2c, "00 00 00 65 70 73 74 3a",
	  "7e 00 2c 00 08 00 00 00 65 70 73 74 3a 1a b9 7e" },
};

static uint8_t body[BSL_BODY_MAX];

static void test_golden(void **state)
{
	uint8_t payload[128], wire[128], out[512];

	for (size_t i = 0; i < ARRAY_SIZE(golden); i++) {
		const struct golden *g = &golden[i];
		size_t n = oracle_hex(g->payload, payload), w = oracle_hex(g->wire, wire), used;
		struct bsl_piece piece = { payload, n };
		struct bsl_deframer d;
		struct bsl_frame frame;
		enum bsl_fault fault;
		enum bsl_decode result;

		if (g->type < 0x80) {
			assert_int_equal(
				bsl_encode(g->check, g->framing, g->type, &piece, 1, out, sizeof(out)), w);
			assert_memory_equal(out, wire, w);
		}
		bsl_deframer_init(&d, body, sizeof(body));
		bsl_deframer_mode(&d, g->check, g->framing);
		result = bsl_deframer_feed(&d, wire, w, &used, &frame, &fault);
		assert_int_equal(used, w);
		if (g->type < 0x80 && (n & 1) && g->check == BSL_CHECK_SUM) {
			/* a host's odd frame is no phone's odd frame */
			assert_int_equal(result, BSL_DECODE_BAD);
			assert_int_equal(fault, BSL_FAULT_CHECK);
			continue;
		}
		assert_int_equal(result, BSL_DECODE_FRAME);
		assert_int_equal(frame.type, g->type);
		assert_int_equal(frame.check, g->check);
		assert_int_equal(frame.len, n);
		if (n)
			assert_memory_equal(frame.payload, payload, n);
	}
}

static void test_golden_data(void **state)
{
	static uint8_t data[2112], out[BSL_WIRE_MAX];
	static const struct {
		enum bsl_check check;
		int kind;
		size_t len, wire;
		uint16_t value;
	} rows[] = {
		{ BSL_CHECK_CRC16, 0, 528, 536, 0x5025 }, { BSL_CHECK_SUM, 0, 528, 536, 0xfded },
		{ BSL_CHECK_CRC16, 1, 528, 540, 0x20aa }, { BSL_CHECK_SUM, 1, 528, 540, 0x452e },
		{ BSL_CHECK_SUM, 2, 2112, 2137, 0x6b4d },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct bsl_piece piece = { data, rows[i].len };
		struct bsl_deframer d;
		struct bsl_frame frame;
		enum bsl_fault fault;
		size_t used;

		for (size_t k = 0; k < rows[i].len; k++)
			data[k] = rows[i].kind == 0 ? 0xff : (uint8_t)(rows[i].kind == 1 ? k : 7 * k + 3);
		assert_int_equal(
			bsl_encode(rows[i].check, BSL_FRAMING_ESCAPED, 2, &piece, 1, out, sizeof(out)),
			rows[i].wire);
		bsl_deframer_init(&d, body, sizeof(body));
		assert_int_equal(bsl_deframer_feed(&d, out, rows[i].wire, &used, &frame, &fault),
				 BSL_DECODE_FRAME);
		assert_int_equal(frame.check_field, rows[i].value);
	}
}

static void test_checks(void **state)
{
	uint8_t data[300];
	uint64_t seed = 1;

	assert_int_equal(bsl_crc16(0, "123456789", 9), 0x31c3);
	oracle_fill(&seed, data, sizeof(data), false);
	for (size_t at = 0; at < 17; at++)
		for (size_t n = 0; n + at <= sizeof(data); n++) {
			size_t cut = n / 3;

			assert_int_equal(bsl_crc16(0, data + at, n), oracle_crc(data + at, n));
			assert_int_equal(bsl_crc16(bsl_crc16(0, data + at, cut), data + at + cut, n - cut),
					 oracle_crc(data + at, n));
			assert_int_equal(bsl_sum(data + at, n), oracle_sum(data + at, n));
		}
}

/* lanes must not overflow, whatever the length */
static void test_long_sum(void **state)
{
	size_t n = (2u << 20) + 33;
	uint8_t *p = malloc(n);

	assert_non_null(p);
	memset(p, 0xff, n);
	assert_int_equal(bsl_sum(p, n), oracle_sum(p, n));
	assert_int_equal(bsl_sum(p, n & ~(size_t)1), 0xffff);
	free(p);
}

typedef size_t copy_fn(uint8_t *, const uint8_t *, size_t);

static void check_copy(copy_fn *copy)
{
	uint8_t from[100], to[100 + 16];

	/* each single byte value at each place */
	for (unsigned value = 0; value < 256; value++)
		for (size_t at = 0; at < 80; at++) {
			bool special = value == 0x7d || value == 0x7e;
			size_t n;

			memset(from, 0x80 | (value & 0x7f) | 1, sizeof(from));
			from[at] = (uint8_t)value;
			memset(to, 0xaa, sizeof(to));
			n = copy(to, from, 80);
			assert_int_equal(n, special ? at : 80);
			assert_memory_equal(to, from, n);
			for (size_t i = 80; i < sizeof(to); i++)
				assert_int_equal(to[i], 0xaa);
		}
}

static void test_copy(void **state)
{
	check_copy(wide_copy_any);
#ifdef __SSE2__
	check_copy(wide_copy_sse2);
#endif
}

/* the encoder against the slow one: any content, any pieces, both checks, both framings */
static void test_encode_random(void **state)
{
	static uint8_t data[70000], out[BSL_WIRE_MAX], want[BSL_WIRE_MAX];
	uint64_t seed = 2;

	for (int turn = 0; turn < 3000; turn++) {
		size_t n = oracle_random(&seed) % (turn % 50 ? 300 : BSL_PAYLOAD_MAX + 1), w;
		bool crc = oracle_random(&seed) & 1, plain = oracle_random(&seed) & 1;
		size_t a = n ? oracle_random(&seed) % n : 0,
		       b = a + (n > a ? oracle_random(&seed) % (n - a) : 0);
		struct bsl_piece pieces[] = { { data, a }, { data + a, b - a }, { data + b, n - b } };
		enum bsl_framing framing = plain ? BSL_FRAMING_PLAIN : BSL_FRAMING_ESCAPED;
		uint16_t type = (uint16_t)(oracle_random(&seed) % 0x80);

		oracle_fill(&seed, data, n, turn & 1);
		w = oracle_frame(want, crc, plain, false, type, data, n);
		memset(out, 0x55, sizeof(out));
		assert_int_equal(bsl_encode(crc ? BSL_CHECK_CRC16 : BSL_CHECK_SUM, framing, type, pieces, 3,
					    out, bsl_wire_bound(framing, n)),
				 w);
		assert_memory_equal(out, want, w);
		for (size_t i = bsl_wire_bound(framing, n); i < sizeof(out); i++)
			if (out[i] != 0x55)
				fail_msg("written behind the bound");
		/* the phone's own rule: the whole body sums up to FFFF */
		if (!crc && plain)
			assert_int_equal(oracle_sum(out + 1, n + 6), 0xffff);
	}
}

static void test_encode_refuses(void **state)
{
	static uint8_t data[BSL_PAYLOAD_MAX + 1], out[BSL_WIRE_MAX];
	struct bsl_piece all[] = { { data, BSL_PAYLOAD_MAX }, { data, 1 } };

	assert_int_equal(bsl_encode(BSL_CHECK_SUM, BSL_FRAMING_PLAIN, 2, all, 2, out, sizeof(out)),
			 -EMSGSIZE);
	assert_int_equal(bsl_encode(BSL_CHECK_SUM, BSL_FRAMING_PLAIN, 2, all, 1, out, BSL_PAYLOAD_MAX + 7),
			 -ENOBUFS);
	assert_int_equal(bsl_encode(BSL_CHECK_SUM, BSL_FRAMING_ESCAPED, 2, all, 1, out, BSL_WIRE_MAX - 1),
			 -ENOBUFS);
	assert_int_equal(bsl_encode(BSL_CHECK_EITHER, BSL_FRAMING_PLAIN, 2, all, 1, out, sizeof(out)),
			 -EINVAL);
	assert_int_equal(bsl_encode(BSL_CHECK_SUM, BSL_FRAMING_PLAIN, 2, all, 1, out, sizeof(out)),
			 BSL_PAYLOAD_MAX + 8);
}

static void test_fit(void **state)
{
	static uint8_t data[BSL_PAYLOAD_MAX], out[BSL_WIRE_MAX];
	uint64_t seed = 3;
	unsigned cut = 0;

	assert_int_equal(bsl_fit_payload(512, 504, 512), 502);
	assert_int_equal(bsl_fit_payload(511, 503, 512), 503);
	assert_int_equal(bsl_fit_payload(512, 503, 512), 502);
	assert_int_equal(bsl_fit_payload(512, 504, 0), 504);
	for (int turn = 0; turn < 2000; turn++) {
		size_t n = 1 + oracle_random(&seed) % 3000, taken;
		unsigned packet = turn & 1 ? 64 : 512;
		bool plain = turn & 2;
		ssize_t w;

		oracle_fill(&seed, data, n, turn & 4);
		w = bsl_encode_fit(turn & 8 ? BSL_CHECK_SUM : BSL_CHECK_CRC16,
				   plain ? BSL_FRAMING_PLAIN : BSL_FRAMING_ESCAPED, 2, data, n, packet, out,
				   sizeof(out), &taken);
		assert_true(w > 0);
		assert_true(taken <= n && taken);
		assert_int_not_equal(w % packet, 0);
		/* whatever was cut, only the end of a file may be odd */
		assert_true(taken == n || taken % 2 == 0);
		cut += taken != n;
	}
	assert_true(cut > 5);
}

/* phones' frames, cut anywhere, with repeated and shared flags, noise in front */
static void test_decode_random(void **state)
{
	static uint8_t data[BSL_PAYLOAD_MAX], wire[4 * BSL_WIRE_MAX];
	uint64_t seed = 4;

	for (int turn = 0; turn < 1500; turn++) {
		bool crc = oracle_random(&seed) & 1, plain = oracle_random(&seed) & 1,
		     share = oracle_random(&seed) & 1;
		size_t n = oracle_random(&seed) % (turn % 40 ? 400 : BSL_PAYLOAD_MAX + 1), w = 0, frames = 0,
		       at = 0;
		size_t noise = oracle_random(&seed) % 5;
		struct bsl_deframer d;

		oracle_fill(&seed, data, n, turn & 1);
		memset(wire, 0x11, noise);
		w = noise;
		for (int i = 0; i < 3; i++) {
			/* the opening flag may be the last one's closing flag */
			size_t back = share && i ? 1 : 0;

			w = w - back + oracle_frame(wire + w - back, crc, plain, true, 0x93, data, n);
			if (!share)
				wire[w++] = 0x7e;
		}
		bsl_deframer_init(&d, body, sizeof(body));
		bsl_deframer_mode(&d, crc ? BSL_CHECK_CRC16 : BSL_CHECK_SUM,
				  plain ? BSL_FRAMING_PLAIN : BSL_FRAMING_ESCAPED);
		while (at < w) {
			size_t piece = 1 + oracle_random(&seed) % (turn % 3 ? 9 + w / 5 : 3), used;
			struct bsl_frame frame;
			enum bsl_fault fault;

			piece = MIN(piece, w - at);
			switch (bsl_deframer_feed(&d, wire + at, piece, &used, &frame, &fault)) {
			case BSL_DECODE_FRAME:
				assert_int_equal(frame.type, 0x93);
				assert_int_equal(frame.len, n);
				if (n)
					assert_memory_equal(frame.payload, data, n);
				frames++;
				break;
			case BSL_DECODE_MORE: assert_int_equal(used, piece); break;
			case BSL_DECODE_BAD: fail_msg("turn %d: %s", turn, bsl_fault_text(fault));
			}
			assert_true(used <= piece);
			at += used;
		}
		assert_int_equal(frames, 3);
		assert_int_equal(d.skipped, noise);
		assert_int_equal(bsl_deframer_pending(&d), 0);
	}
}

/* what is fed: faults in order, then whether a good ACK behind it is still found */
static void expect(enum bsl_framing framing, size_t size, const char *hex, enum bsl_fault want)
{
	uint8_t wire[256];
	size_t w = oracle_hex(hex, wire), at = 0, used;
	struct bsl_deframer d;
	struct bsl_frame frame;
	enum bsl_fault fault, first = BSL_FAULT_NONE;
	bool ack = false;

	w += oracle_hex("7e 7e 00 80 00 00 ff 7f 7e", wire + w);
	bsl_deframer_init(&d, body, size);
	bsl_deframer_mode(&d, BSL_CHECK_SUM, framing);
	while (at < w) {
		enum bsl_decode r = bsl_deframer_feed(&d, wire + at, w - at, &used, &frame, &fault);

		if (r == BSL_DECODE_BAD && !first)
			first = fault;
		if (r == BSL_DECODE_FRAME && frame.type == 0x80)
			ack = true;
		at += used;
	}
	assert_int_equal(first, want);
	assert_true(ack);
	assert_true(strlen(bsl_fault_text(want)) > 5);
}

static void test_faults(void **state)
{
	const enum bsl_framing esc = BSL_FRAMING_ESCAPED, plain = BSL_FRAMING_PLAIN;

	expect(esc, sizeof(body), "7e 00 80 00 00 ff 7e 7e", BSL_FAULT_SHORT);
	expect(esc, sizeof(body), "7e 00 80 00 00 ff 7d 7e", BSL_FAULT_ESCAPE);
	expect(esc, sizeof(body), "7e 00 80 00 00 7d 00 ff 7e", BSL_FAULT_ESCAPE);
	expect(esc, sizeof(body), "7e 00 80 00 00 ff 6f 7e", BSL_FAULT_CHECK);
	expect(esc, sizeof(body), "7e 00 80 00 02 ff 7d 5d 7e", BSL_FAULT_LENGTH);
	expect(esc, 8, "7e 00 93 00 04 01 02 03 04 05 7e", BSL_FAULT_LONG);
	expect(esc, 8, "7e 00 93 00 04 01 02 03 04 7d 5e 7e", BSL_FAULT_LONG);
	expect(plain, 8, "7e 00 93 00 04 01 02 03 04 05 7e", BSL_FAULT_LONG);
	expect(plain, sizeof(body), "7e 00 80 00 00 ff 7f 00 11", BSL_FAULT_TAIL);
	expect(plain, sizeof(body), "7e 42 80 00 00 ff 7f 11", BSL_FAULT_TYPE);
	expect(plain, sizeof(body), "7e 00 80 00 00 ff 6f 7e", BSL_FAULT_CHECK);
	/* a frame that fits exactly is no fault */
	expect(esc, 6, "7e 7e 7e", BSL_FAULT_NONE);
	expect(plain, 6, "11 22 7e", BSL_FAULT_NONE);
}

/* one flipped bit anywhere between the flags is always found */
static void test_flipped_bits(void **state)
{
	uint8_t payload[40], wire[128];
	uint64_t seed = 5;

	for (int mode = 0; mode < 4; mode++) {
		bool crc = mode & 1, plain = mode & 2;
		size_t w;

		oracle_fill(&seed, payload, sizeof(payload), true);
		w = oracle_frame(wire, crc, plain, true, 0x93, payload, sizeof(payload));
		for (size_t bit = 8; bit < (w - 1) * 8; bit++) {
			struct bsl_deframer d;
			struct bsl_frame frame;
			enum bsl_fault fault;
			size_t at = 0, used;

			wire[bit / 8] ^= (uint8_t)(1 << bit % 8);
			bsl_deframer_init(&d, body, sizeof(body));
			bsl_deframer_mode(&d, crc ? BSL_CHECK_CRC16 : BSL_CHECK_SUM,
					  plain ? BSL_FRAMING_PLAIN : BSL_FRAMING_ESCAPED);
			while (at < w) {
				if (bsl_deframer_feed(&d, wire + at, w - at, &used, &frame, &fault) ==
				    BSL_DECODE_FRAME)
					fail_msg("bit %zu of mode %d went unseen", bit, mode);
				at += used;
			}
			wire[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
	}
}

static void test_either(void **state)
{
	static const struct {
		const char *wire;
		enum bsl_check check;
	} rows[] = {
		{ "7e 00 81 00 06 53 50 52 44 33 00 57 0a 7e", BSL_CHECK_CRC16 },
		{ "7e 00 81 00 0c 53 50 52 44 34 3a 41 75 74 6f 44 00 2b bf 7e", BSL_CHECK_SUM },
	};

	for (size_t i = 0; i < 2; i++)
		for (int mode = 1; mode <= 3; mode++) {
			uint8_t wire[64];
			size_t w = oracle_hex(rows[i].wire, wire), used;
			struct bsl_deframer d;
			struct bsl_frame frame;
			enum bsl_fault fault;
			bool right = mode & rows[i].check;

			bsl_deframer_init(&d, body, sizeof(body));
			bsl_deframer_mode(&d, (enum bsl_check)mode, BSL_FRAMING_ESCAPED);
			assert_int_equal(bsl_deframer_feed(&d, wire, w, &used, &frame, &fault),
					 right ? BSL_DECODE_FRAME : BSL_DECODE_BAD);
			if (right)
				assert_int_equal(frame.check, rows[i].check);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),	       cmocka_unit_test(test_golden_data),
		cmocka_unit_test(test_checks),	       cmocka_unit_test(test_long_sum),
		cmocka_unit_test(test_copy),	       cmocka_unit_test(test_encode_random),
		cmocka_unit_test(test_encode_refuses), cmocka_unit_test(test_fit),
		cmocka_unit_test(test_decode_random),  cmocka_unit_test(test_faults),
		cmocka_unit_test(test_flipped_bits),   cmocka_unit_test(test_either),
	};

	return cmocka_run_group_tests_name("codec", tests, NULL, NULL);
}
