/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * CRC-16/ARC (reflected polynomial 0xA001, initial value 0, no final xor): the check of the container
 * (pac-and-flow 1.3) and of NV images (bsl-protocol 9.4). Sixteen bytes at a time.
 */
#ifndef FDLD_PAC_CRC16_H
#define FDLD_PAC_CRC16_H

#include <stddef.h>
#include <stdint.h>

/* Continues crc (0 to begin with) over len bytes. CRC of "123456789" is 0xBB3D. */
uint16_t crc16_arc(uint16_t crc, const void *data, size_t len);

#endif
