/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A CRC is linear: the remainder of a byte followed by k zero bytes is the xor of the remainders of its bits.
 * So the sixteen tables of the slice-by-16 method need only eight words each, and the compiler unfolds them
 * into constant tables.
 */
#include "pac/crc16.h"

/* BASIS(k): remainders of the bits 0..7 of a byte that k more bytes follow */
#define BASIS_0(m, n)  m(n, 0xc0c1, 0xc181, 0xc301, 0xc601, 0xcc01, 0xd801, 0xf001, 0xa001)
#define BASIS_1(m, n)  m(n, 0x9001, 0x6001, 0xc002, 0xc007, 0xc00d, 0xc019, 0xc031, 0xc061)
#define BASIS_2(m, n)  m(n, 0xc051, 0xc0a1, 0xc141, 0xc281, 0xc501, 0xca01, 0xd401, 0xe801)
#define BASIS_3(m, n)  m(n, 0xfc01, 0xb801, 0x3001, 0x6002, 0xc004, 0xc00b, 0xc015, 0xc029)
#define BASIS_4(m, n)  m(n, 0xc03d, 0xc079, 0xc0f1, 0xc1e1, 0xc3c1, 0xc781, 0xcf01, 0xde01)
#define BASIS_5(m, n)  m(n, 0xd101, 0xe201, 0x8401, 0x4801, 0x9002, 0x6007, 0xc00e, 0xc01f)
#define BASIS_6(m, n)  m(n, 0xc010, 0xc023, 0xc045, 0xc089, 0xc111, 0xc221, 0xc441, 0xc881)
#define BASIS_7(m, n)  m(n, 0xccc1, 0xd981, 0xf301, 0xa601, 0x0c01, 0x1802, 0x3004, 0x6008)
#define BASIS_8(m, n)  m(n, 0x900d, 0x6019, 0xc032, 0xc067, 0xc0cd, 0xc199, 0xc331, 0xc661)
#define BASIS_9(m, n)  m(n, 0xc551, 0xcaa1, 0xd541, 0xea81, 0x9501, 0x6a01, 0xd402, 0xe807)
#define BASIS_10(m, n) m(n, 0xfc04, 0xb80b, 0x3015, 0x602a, 0xc054, 0xc0ab, 0xc155, 0xc2a9)
#define BASIS_11(m, n) m(n, 0xc3fd, 0xc7f9, 0xcff1, 0xdfe1, 0xffc1, 0xbf81, 0x3f01, 0x7e02)
#define BASIS_12(m, n) m(n, 0x8102, 0x4207, 0x840e, 0x481f, 0x903e, 0x607f, 0xc0fe, 0xc1ff)
#define BASIS_13(m, n) m(n, 0xc100, 0xc203, 0xc405, 0xc809, 0xd011, 0xe021, 0x8041, 0x4081)
#define BASIS_14(m, n) m(n, 0x00c1, 0x0182, 0x0304, 0x0608, 0x0c10, 0x1820, 0x3040, 0x6080)
#define BASIS_15(m, n) m(n, 0x90c1, 0x6181, 0xc302, 0xc607, 0xcc0d, 0xd819, 0xf031, 0xa061)

#define FOLD(n, b0, b1, b2, b3, b4, b5, b6, b7)                                                \
	(uint16_t)(((n)&1 ? b0 : 0) ^ ((n)&2 ? b1 : 0) ^ ((n)&4 ? b2 : 0) ^ ((n)&8 ? b3 : 0) ^ \
		   ((n)&16 ? b4 : 0) ^ ((n)&32 ? b5 : 0) ^ ((n)&64 ? b6 : 0) ^ ((n)&128 ? b7 : 0))
#define ROW4(basis, n)	basis(FOLD, n), basis(FOLD, (n) + 1), basis(FOLD, (n) + 2), basis(FOLD, (n) + 3)
#define ROW16(basis, n) ROW4(basis, n), ROW4(basis, (n) + 4), ROW4(basis, (n) + 8), ROW4(basis, (n) + 12)
#define ROW64(basis, n) \
	ROW16(basis, n), ROW16(basis, (n) + 16), ROW16(basis, (n) + 32), ROW16(basis, (n) + 48)
#define TABLE(basis)                                                                    \
	{                                                                               \
		ROW64(basis, 0), ROW64(basis, 64), ROW64(basis, 128), ROW64(basis, 192) \
	}

/* table[k][n]: remainder of byte n followed by k zero bytes */
static const uint16_t table[16][256] = {
	TABLE(BASIS_0),	 TABLE(BASIS_1),  TABLE(BASIS_2),  TABLE(BASIS_3),  TABLE(BASIS_4),  TABLE(BASIS_5),
	TABLE(BASIS_6),	 TABLE(BASIS_7),  TABLE(BASIS_8),  TABLE(BASIS_9),  TABLE(BASIS_10), TABLE(BASIS_11),
	TABLE(BASIS_12), TABLE(BASIS_13), TABLE(BASIS_14), TABLE(BASIS_15),
};

uint16_t crc16_arc(uint16_t crc, const void *data, size_t len)
{
	const uint8_t *p = data;

	for (; len >= 16; len -= 16, p += 16) {
		crc = table[15][p[0] ^ (crc & 0xff)] ^ table[14][p[1] ^ (crc >> 8)] ^ table[13][p[2]] ^
		      table[12][p[3]] ^ table[11][p[4]] ^ table[10][p[5]] ^ table[9][p[6]] ^ table[8][p[7]] ^
		      table[7][p[8]] ^ table[6][p[9]] ^ table[5][p[10]] ^ table[4][p[11]] ^ table[3][p[12]] ^
		      table[2][p[13]] ^ table[1][p[14]] ^ table[0][p[15]];
	}
	while (len--)
		crc = (uint16_t)(crc >> 8 ^ table[0][(crc ^ *p++) & 0xff]);
	return crc;
}
