/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Payloads of the requests (bsl-protocol 7). Names go out as 36 UTF-16LE units; a phone copies them into 32
 * bytes without a look at their length, so names longer than 31 characters, empty or not printable ASCII are
 * refused here. All builders return 0, or -EINVAL for an argument that no phone may be sent; then *p is
 * empty.
 */
#ifndef FDLD_BSL_PAYLOAD_H
#define FDLD_BSL_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "bsl/codec.h"

#define BSL_NAME_MAX   31u
#define BSL_NAME_BYTES 72u

/* Largest fixed payload: START by name with 64-bit size and sum, 0x5c. */
struct bsl_payload {
	size_t len;
	uint8_t bytes[96];
};

bool bsl_name_valid(const char *name);

/* RAM or partition ID; BE32. sum: bytes of the file added modulo 2^32 (NV), NULL: none. size 0 is refused. */
int bsl_payload_start_address(struct bsl_payload *p, uint32_t address, uint32_t size, const uint32_t *sum);
/*
 * Partition; sizes above 32 bits take the long form by themselves. Refuses size 0 and the pseudo partitions
 * `erase_all` and `user_partition`. sum as above, little endian here (bsl-protocol 9.3).
 */
int bsl_payload_start_name(struct bsl_payload *p, const char *name, uint64_t size, const uint32_t *sum);
/* Single-loader phones. Address or ID 0 is refused: old loaders then erase everything. */
int bsl_payload_erase_address(struct bsl_payload *p, uint32_t address, uint32_t size);
/* A whole partition (size field 0). `erase_all` and `user_partition` are refused. */
int bsl_payload_erase_name(struct bsl_payload *p, const char *name);
/* Everything, boot areas too. Functions of their own, so that no name from a package can mean it. */
int bsl_payload_erase_all_name(struct bsl_payload *p);
int bsl_payload_erase_all_address(struct bsl_payload *p);
/* size: bytes that will be asked for at most (end offset). No pseudo partition is refused: reading harms
 * none. */
int bsl_payload_read_start(struct bsl_payload *p, const char *name, uint64_t size);
/*
 * len 1 .. BSL_READ_PLAIN_MAX or BSL_READ_ESCAPED_MAX by framing: 0 crashes phones, more wraps or overflows
 * (bsl-protocol 3.4). Offsets from 2^32 on take the long form.
 */
int bsl_payload_read_midst(struct bsl_payload *p, enum bsl_framing framing, uint32_t len, uint64_t offset);
/* Single-loader phones: BE32 id, size, offset; or the two-field form BE32 address, size. Same limits for
 * size. */
int bsl_payload_read_flash(struct bsl_payload *p, enum bsl_framing framing, uint32_t id, uint32_t size,
			   uint32_t offset);
int bsl_payload_read_flash_address(struct bsl_payload *p, enum bsl_framing framing, uint32_t address,
				   uint32_t size);
/* One of the nine rates of bsl-protocol 7. */
int bsl_payload_change_baud(struct bsl_payload *p, uint32_t baud);
int bsl_payload_self_refresh(struct bsl_payload *p, uint32_t seconds);
/* linux_hint: 8 bytes whose length tells newer loaders that the host is not Windows (content zero). */
int bsl_payload_enable_raw(struct bsl_payload *p, bool linux_hint);
/* 12-byte form: LE64 offset, LE32 length. len 0 is refused. */
int bsl_payload_raw_start(struct bsl_payload *p, uint64_t offset, uint32_t len);
int bsl_payload_flush_data(struct bsl_payload *p, const uint8_t sha256[32]);
int bsl_payload_random_data(struct bsl_payload *p, const uint8_t random[32]);
/* Unix time; sign and CRC-ARC are added (G53). */
int bsl_payload_time_stamp(struct bsl_payload *p, uint32_t unix_time);
int bsl_payload_watchdog(struct bsl_payload *p, uint32_t msec);

/* ---- REPARTITION (bsl-protocol 12) ---- */

#define BSL_REST UINT64_MAX /* size of the last row: what is left of the storage */

enum bsl_table_unit { BSL_UNIT_MB, BSL_UNIT_512K, BSL_UNIT_KB, BSL_UNIT_BYTE, BSL_UNIT_SECTOR };

struct bsl_table_row {
	const char *name;
	uint64_t
		size; /* v0: MiB, below 2^32-1; v1: in the unit of the table; BSL_REST in the last row only */
	int64_t gap;  /* v1 only, in the unit of the table, before this row; v0: must be 0 */
};

#define BSL_TABLE_V0_ROW    76u
#define BSL_TABLE_V1_ROW    88u
#define BSL_TABLE_V1_HEADER 16u
/*
 * Writes the table into out and returns its length; -EINVAL: no rows, a name refused or repeated, size 0,
 * REST not last, a gap in v0, a negative gap in v1 (an overlap); -EMSGSIZE: more rows than one frame takes;
 * -ENOBUFS: out too small.
 */
ssize_t bsl_payload_repartition_v0(const struct bsl_table_row *rows, size_t count, uint8_t *out, size_t size);
ssize_t bsl_payload_repartition_v1(const struct bsl_table_row *rows, size_t count, enum bsl_table_unit unit,
				   uint8_t *out, size_t size);

#endif
