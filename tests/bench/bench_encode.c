/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Encodes data as a session does, so that callgrind can count instructions. Two runs of different size differ
 * by the encoding alone; encode.sh does that sum. usage: bench_encode
 * plain|escaped|crc|decode-plain|decode-escaped KIBIBYTES
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bsl/codec.h"

#define CHUNK 0xf800u

static uint8_t data[CHUNK], wire[BSL_WIRE_MAX], body[BSL_BODY_MAX];

static void fill(void)
{
	uint64_t state = 1;

	for (size_t i = 0; i < sizeof(data); i++) {
		state = state * 6364136223846793005u + 1442695040888963407u;
		data[i] = (uint8_t)(state >> 56);
	}
}

int main(int argc, char **argv)
{
	enum bsl_framing framing;
	enum bsl_check check = BSL_CHECK_SUM;
	bool decode;
	size_t left, turns = 0;
	unsigned long long sum = 0;

	if (argc != 3) {
		fprintf(stderr, "usage: %s plain|escaped|crc|decode-plain|decode-escaped KIBIBYTES\n",
			argv[0]);
		return 2;
	}
	framing = strstr(argv[1], "plain") ? BSL_FRAMING_PLAIN : BSL_FRAMING_ESCAPED;
	decode = !strncmp(argv[1], "decode", 6);
	if (!strcmp(argv[1], "crc"))
		check = BSL_CHECK_CRC16;
	left = strtoul(argv[2], NULL, 10) * 1024;
	fill();
	for (; left; turns++) {
		struct bsl_piece piece = { data, left < CHUNK ? left : CHUNK };
		ssize_t w = 0;

		/* for decoding one frame is made and taken again and again; host and phone agree on even ones
		 */
		if (!decode || !turns || piece.len < CHUNK)
			w = bsl_encode(check, framing, 0x93, &piece, 1, wire, sizeof(wire));
		else
			w = (ssize_t)sum;
		if (w < 0)
			return 1;
		if (decode) {
			struct bsl_deframer d;
			struct bsl_frame frame;
			enum bsl_fault fault;
			size_t used;

			bsl_deframer_init(&d, body, sizeof(body));
			bsl_deframer_mode(&d, check, framing);
			if (bsl_deframer_feed(&d, wire, (size_t)w, &used, &frame, &fault) != BSL_DECODE_FRAME)
				return 1;
			sum = (unsigned long long)w;
		} else {
			sum += (unsigned long long)w;
		}
		left -= piece.len;
	}
	fprintf(stderr, "%s: %llu\n", argv[1], sum);
	return 0;
}
