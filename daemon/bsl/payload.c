/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bsl/payload.h"
#include "bsl/message.h"
#include "common/util.h"

#include <errno.h>

bool bsl_name_valid(const char *name)
{
	size_t n;

	if (!name)
		return false;
	for (n = 0; name[n]; n++)
		if (n >= BSL_NAME_MAX || name[n] <= ' ' || name[n] > '~')
			return false;
	return n > 0;
}

/* Names that mean more than a partition. */
static bool name_is_pseudo(const char *name)
{
	return !strcmp(name, "erase_all") || !strcmp(name, "user_partition");
}

static int refuse(struct bsl_payload *p)
{
	p->len = 0;
	return -EINVAL;
}

static void add_be32(struct bsl_payload *p, uint32_t v)
{
	put_be32(p->bytes + p->len, v);
	p->len += 4;
}

static void add_le32(struct bsl_payload *p, uint32_t v)
{
	put_le32(p->bytes + p->len, v);
	p->len += 4;
}

static void add_le64(struct bsl_payload *p, uint64_t v)
{
	put_le64(p->bytes + p->len, v);
	p->len += 8;
}

static void name_units(uint8_t *out, const char *name)
{
	memset(out, 0, BSL_NAME_BYTES);
	for (size_t i = 0; name[i]; i++)
		put_le16(out + 2 * i, (uint8_t)name[i]);
}

static void add_name(struct bsl_payload *p, const char *name)
{
	name_units(p->bytes + p->len, name);
	p->len += BSL_NAME_BYTES;
}

int bsl_payload_start_address(struct bsl_payload *p, uint32_t address, uint32_t size, const uint32_t *sum)
{
	p->len = 0;
	if (!size)
		return refuse(p);
	add_be32(p, address);
	add_be32(p, size);
	if (sum)
		add_be32(p, *sum);
	return 0;
}

/* name, size as it needs to be wide: 0x4c or 0x58 bytes */
static void name_and_size(struct bsl_payload *p, const char *name, uint64_t size)
{
	add_name(p, name);
	if (size > UINT32_MAX) {
		add_le64(p, size);
		add_le64(p, 0);
	} else {
		add_le32(p, (uint32_t)size);
	}
}

int bsl_payload_start_name(struct bsl_payload *p, const char *name, uint64_t size, const uint32_t *sum)
{
	p->len = 0;
	if (!bsl_name_valid(name) || name_is_pseudo(name) || !size)
		return refuse(p);
	name_and_size(p, name, size);
	if (sum)
		add_le32(p, *sum);
	return 0;
}

int bsl_payload_erase_address(struct bsl_payload *p, uint32_t address, uint32_t size)
{
	p->len = 0;
	if (!address)
		return refuse(p);
	add_be32(p, address);
	add_be32(p, size);
	return 0;
}

int bsl_payload_erase_name(struct bsl_payload *p, const char *name)
{
	p->len = 0;
	if (!bsl_name_valid(name) || name_is_pseudo(name))
		return refuse(p);
	add_name(p, name);
	add_le32(p, 0);
	return 0;
}

int bsl_payload_erase_all_name(struct bsl_payload *p)
{
	p->len = 0;
	add_name(p, "erase_all");
	add_le32(p, UINT32_MAX);
	return 0;
}

int bsl_payload_erase_all_address(struct bsl_payload *p)
{
	p->len = 0;
	add_be32(p, 0);
	add_be32(p, UINT32_MAX);
	return 0;
}

int bsl_payload_read_start(struct bsl_payload *p, const char *name, uint64_t size)
{
	p->len = 0;
	if (!bsl_name_valid(name) || !size)
		return refuse(p);
	name_and_size(p, name, size);
	return 0;
}

static bool read_len_valid(enum bsl_framing framing, uint32_t len)
{
	return len && len <= (framing == BSL_FRAMING_PLAIN ? BSL_READ_PLAIN_MAX : BSL_READ_ESCAPED_MAX);
}

int bsl_payload_read_midst(struct bsl_payload *p, enum bsl_framing framing, uint32_t len, uint64_t offset)
{
	p->len = 0;
	if (!read_len_valid(framing, len) || offset > UINT64_MAX - len)
		return refuse(p);
	add_le32(p, len);
	if (offset > UINT32_MAX)
		add_le64(p, offset);
	else
		add_le32(p, (uint32_t)offset);
	return 0;
}

int bsl_payload_read_flash(struct bsl_payload *p, enum bsl_framing framing, uint32_t id, uint32_t size,
			   uint32_t offset)
{
	int r = bsl_payload_read_flash_address(p, framing, id, size);

	if (r < 0)
		return r;
	if (offset > UINT32_MAX - size)
		return refuse(p);
	add_be32(p, offset);
	return 0;
}

int bsl_payload_read_flash_address(struct bsl_payload *p, enum bsl_framing framing, uint32_t address,
				   uint32_t size)
{
	p->len = 0;
	if (!read_len_valid(framing, size))
		return refuse(p);
	add_be32(p, address);
	add_be32(p, size);
	return 0;
}

int bsl_payload_change_baud(struct bsl_payload *p, uint32_t baud)
{
	static const uint32_t rates[] = { 57600,   115200,  230400,  460800, 921600,
					  1000000, 2000000, 3250000, 4000000 };

	p->len = 0;
	for (size_t i = 0; i < ARRAY_SIZE(rates); i++) {
		if (rates[i] == baud) {
			add_be32(p, baud);
			return 0;
		}
	}
	return refuse(p);
}

int bsl_payload_self_refresh(struct bsl_payload *p, uint32_t seconds)
{
	p->len = 0;
	if (!seconds)
		return refuse(p);
	add_le32(p, seconds);
	return 0;
}

int bsl_payload_enable_raw(struct bsl_payload *p, bool linux_hint)
{
	p->len = 0;
	if (linux_hint)
		add_le64(p, 0);
	return 0;
}

int bsl_payload_raw_start(struct bsl_payload *p, uint64_t offset, uint32_t len)
{
	p->len = 0;
	if (!len || offset > UINT64_MAX - len)
		return refuse(p);
	add_le64(p, offset);
	add_le32(p, len);
	return 0;
}

static int bytes32(struct bsl_payload *p, const uint8_t bytes[32])
{
	memcpy(p->bytes, bytes, 32);
	p->len = 32;
	return 0;
}

int bsl_payload_flush_data(struct bsl_payload *p, const uint8_t sha256[32])
{
	return bytes32(p, sha256);
}

int bsl_payload_random_data(struct bsl_payload *p, const uint8_t random[32])
{
	return bytes32(p, random);
}

/* CRC-16/ARC; eight bytes a session are no reason for a table. */
static uint16_t crc_arc(const uint8_t *p, size_t len)
{
	uint16_t crc = 0;

	while (len--) {
		crc ^= *p++;
		for (int i = 0; i < 8; i++)
			crc = (uint16_t)(crc & 1 ? crc >> 1 ^ 0xa001 : crc >> 1);
	}
	return crc;
}

int bsl_payload_time_stamp(struct bsl_payload *p, uint32_t unix_time)
{
	p->len = 0;
	add_le32(p, unix_time);
	put_le16(p->bytes + 4, 0x7370);
	put_le16(p->bytes + 6, crc_arc(p->bytes, 6));
	p->len = 8;
	return 0;
}

int bsl_payload_watchdog(struct bsl_payload *p, uint32_t msec)
{
	p->len = 0;
	if (!msec)
		return refuse(p);
	add_le32(p, msec);
	return 0;
}

/* ---- REPARTITION ---- */

static int check_rows(const struct bsl_table_row *rows, size_t count, uint64_t size_max, bool gaps)
{
	if (!count)
		return -EINVAL;
	for (size_t i = 0; i < count; i++) {
		if (!bsl_name_valid(rows[i].name) || name_is_pseudo(rows[i].name) || !rows[i].size)
			return -EINVAL;
		if (rows[i].size == BSL_REST ? i + 1 != count : rows[i].size > size_max)
			return -EINVAL;
		/* a loader takes any size whose low 32 bits are all set for "rest" */
		if (rows[i].size != BSL_REST && (uint32_t)rows[i].size == UINT32_MAX)
			return -EINVAL;
		if (rows[i].gap < 0 || (!gaps && rows[i].gap))
			return -EINVAL;
		for (size_t j = 0; j < i; j++)
			if (!strcmp(rows[i].name, rows[j].name))
				return -EINVAL;
	}
	return 0;
}

ssize_t bsl_payload_repartition_v0(const struct bsl_table_row *rows, size_t count, uint8_t *out, size_t size)
{
	int r;

	if (count > BSL_PAYLOAD_MAX / BSL_TABLE_V0_ROW)
		return -EMSGSIZE;
	r = check_rows(rows, count, UINT32_MAX - 1, false);
	if (r < 0)
		return r;
	if (size < count * BSL_TABLE_V0_ROW)
		return -ENOBUFS;
	for (size_t i = 0; i < count; i++) {
		name_units(out + i * BSL_TABLE_V0_ROW, rows[i].name);
		put_le32(out + i * BSL_TABLE_V0_ROW + BSL_NAME_BYTES, (uint32_t)rows[i].size);
	}
	return (ssize_t)(count * BSL_TABLE_V0_ROW);
}

ssize_t bsl_payload_repartition_v1(const struct bsl_table_row *rows, size_t count, enum bsl_table_unit unit,
				   uint8_t *out, size_t size)
{
	uint8_t *p = out + BSL_TABLE_V1_HEADER;
	int r;

	if ((unsigned)unit > BSL_UNIT_SECTOR)
		return -EINVAL;
	if (count > (BSL_PAYLOAD_MAX - BSL_TABLE_V1_HEADER) / BSL_TABLE_V1_ROW)
		return -EMSGSIZE;
	r = check_rows(rows, count, INT64_MAX, true);
	if (r < 0)
		return r;
	if (size < BSL_TABLE_V1_HEADER + count * BSL_TABLE_V1_ROW)
		return -ENOBUFS;
	memset(out, 0, BSL_TABLE_V1_HEADER);
	memcpy(out, "par:", 4);
	out[4] = 1;
	out[5] = (uint8_t)unit;
	out[6] = 1;
	put_le16(out + 12, BSL_TABLE_V1_HEADER);
	put_le16(out + 14, (uint16_t)(count * BSL_TABLE_V1_ROW));
	for (size_t i = 0; i < count; i++, p += BSL_TABLE_V1_ROW) {
		name_units(p, rows[i].name);
		put_le64(p + BSL_NAME_BYTES, rows[i].size);
		put_le64(p + BSL_NAME_BYTES + 8, (uint64_t)rows[i].gap);
	}
	return p - out;
}
