/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bsl/reply.h"
#include "bsl/payload.h"
#include "common/util.h"

#include <errno.h>
#include <stdio.h>

static bool printable(uint8_t c)
{
	return c >= ' ' && c <= '~';
}

static bool all_bytes(const uint8_t *p, size_t len, uint8_t value)
{
	for (size_t i = 0; i < len; i++)
		if (p[i] != value)
			return false;
	return true;
}

int bsl_parse_version(const uint8_t *payload, size_t len, struct bsl_version *version)
{
	size_t n = 0;

	memset(version, 0, sizeof(*version));
	for (; n < len && n < sizeof(version->text) - 1 && payload[n]; n++)
		version->text[n] = printable(payload[n]) ? (char)payload[n] : '?';
	if (!n)
		return -EBADMSG;
	version->sprd3 = !strncmp(version->text, "SPRD3", 5);
	version->autodownloader = !strncmp(version->text, "SPRD4", 5);
	version->boot_block = !strncmp(version->text, "Spreadtrum Boot Block", 21);
	return 0;
}

/* ---- capability block ---- */

#define TLV_MAGIC 0x7477656eu /* "newt" */

static void set_raw_level(struct bsl_capability *cap, uint8_t level)
{
	cap->raw_level = level <= 2 ? level : 0;
}

static void set_storage(struct bsl_capability *cap, uint32_t v)
{
	if (v >= BSL_STORAGE_NAND && v <= BSL_STORAGE_UFS)
		cap->storage = (enum bsl_storage)v;
}

static void parse_flat(const uint8_t *p, size_t len, uint32_t version, struct bsl_capability *cap)
{
	cap->form = BSL_CAP_FLAT;
	cap->version = version;
	/* the flag of 0x21 is as old as the structure; the rest came with version 2 */
	if (len < 8) {
		cap->warnings |= BSL_CAP_WARN_TRUNCATED;
		return;
	}
	cap->disable_transcode = get_le32(p + 4) == 1;
	if (version == 1)
		return;
	if (len < 16) {
		cap->warnings |= BSL_CAP_WARN_TRUNCATED;
		return;
	}
	cap->old_memory = p[8];
	if (version >= 3)
		set_raw_level(cap, p[9]);
	cap->flush_bytes = (uint64_t)get_le32(p + 12) * 1024;
	if (len >= 20) {
		uint32_t v = get_le32(p + 16);

		/* one field, two histories: told apart by value (bsl-protocol 6.1) */
		set_storage(cap, v);
		if (v == 1 || v == 2) {
			cap->handshake = true;
			cap->handshake_kind = v;
		}
	}
}

static void parse_item(unsigned type, const uint8_t *p, size_t len, struct bsl_capability *cap)
{
	static const uint16_t lengths[] = { 4, 1, 1, 4, 260, 8, 4, 4 };

	if (type >= ARRAY_SIZE(lengths)) {
		cap->unknown_items++;
		return;
	}
	/* whatever its form: a phone that asks for a handshake must not be sent anything else */
	if (type == 4)
		cap->handshake = true;
	if (len != lengths[type]) {
		cap->warnings |= BSL_CAP_WARN_LENGTH;
		return;
	}
	switch (type) {
	case 0: cap->disable_transcode = get_le32(p) == 1; break;
	case 1: cap->old_memory = p[0]; break;
	case 2: set_raw_level(cap, p[0]); break;
	case 3: cap->flush_bytes = (uint64_t)get_le32(p) * 1024; break;
	case 4: cap->handshake_kind = get_le32(p); break;
	case 5:
		cap->has_time_stamp = true;
		memcpy(cap->time_stamp, p, 8);
		break;
	case 6: set_storage(cap, get_le32(p)); break;
	case 7: cap->log_dump = get_le32(p) != 0; break;
	}
	if (type == 5 || type == 7)
		cap->lk = true;
}

static void parse_tlv(const uint8_t *p, size_t len, struct bsl_capability *cap)
{
	size_t at = 4;

	cap->form = BSL_CAP_TLV;
	while (len - at >= 4) {
		unsigned type = get_le16(p + at);
		size_t n = get_le16(p + at + 2);

		at += 4;
		if (n > len - at) {
			cap->warnings |= BSL_CAP_WARN_TRUNCATED;
			/* even cut short it is a demand */
			if (type == 4)
				cap->handshake = true;
			return;
		}
		parse_item(type, p + at, n, cap);
		at += n;
	}
	/* one byte of padding is how a phone makes its length even */
	if (len - at > 1)
		cap->warnings |= BSL_CAP_WARN_TRUNCATED;
}

int bsl_parse_capability(const uint8_t *payload, size_t len, struct bsl_capability *cap)
{
	uint32_t first;

	memset(cap, 0, sizeof(*cap));
	if (!len)
		return 0;
	if (len < 4)
		return -EBADMSG;
	first = get_le32(payload);
	if (first == TLV_MAGIC)
		parse_tlv(payload, len, cap);
	else if (first >= 1 && first <= 4)
		parse_flat(payload, len, first, cap);
	else
		cap->warnings |= BSL_CAP_WARN_FORM;
	return 0;
}

/* ---- chip UID ---- */

static bool is_hex(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!((p[i] >= '0' && p[i] <= '9') || (p[i] >= 'a' && p[i] <= 'f') ||
		      (p[i] >= 'A' && p[i] <= 'F')))
			return false;
	return true;
}

/* letters or digits, then three numbers, each behind an underscore */
static bool is_lot(const uint8_t *p, size_t len)
{
	unsigned fields = 0;
	size_t run = 0;

	for (size_t i = 0; i < len; i++) {
		uint8_t c = p[i];

		if (c == '_') {
			if (!run)
				return false;
			fields++;
			run = 0;
			continue;
		}
		if (!(c >= '0' && c <= '9') &&
		    (fields || !((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'))))
			return false;
		run++;
	}
	return fields == 3 && run;
}

int bsl_parse_uid(const uint8_t *payload, size_t len, struct bsl_uid *uid)
{
	size_t n = len;

	memset(uid, 0, sizeof(*uid));
	if (all_bytes(payload, len, 0) || all_bytes(payload, len, 0xff))
		return 0;
	while (n && !payload[n - 1])
		n--;
	if (n == 64 && is_hex(payload, n))
		uid->kind = BSL_UID_SHA256;
	else if ((n == 16 || n == 18) && is_hex(payload, n))
		uid->kind = BSL_UID_HEX;
	else if (n <= 64 && is_lot(payload, n))
		uid->kind = BSL_UID_LOT;
	if (uid->kind != BSL_UID_NONE) {
		for (size_t i = 0; i < n; i++) {
			char c = (char)payload[i];

			if (uid->kind != BSL_UID_LOT && c >= 'A' && c <= 'F')
				c = (char)(c - 'A' + 'a');
			uid->text[i] = c;
		}
		return 0;
	}
	if (len != 8)
		return -EBADMSG;
	uid->kind = BSL_UID_BINARY;
	snprintf(uid->text, sizeof(uid->text), "%08x%08x", get_le32(payload), get_le32(payload + 4));
	return 0;
}

/* ---- partition list ---- */

int bsl_partition_count(size_t len)
{
	if (len % BSL_TABLE_V0_ROW)
		return -EBADMSG;
	return (int)(len / BSL_TABLE_V0_ROW);
}

int bsl_parse_partition(const uint8_t *payload, size_t len, size_t index, struct bsl_partition *partition)
{
	const uint8_t *p;
	size_t n;

	memset(partition, 0, sizeof(*partition));
	if (index >= len / BSL_TABLE_V0_ROW)
		return -ERANGE;
	p = payload + index * BSL_TABLE_V0_ROW;
	for (n = 0; n < sizeof(partition->name); n++) {
		uint16_t unit = get_le16(p + 2 * n);

		if (!unit)
			break;
		if (n == sizeof(partition->name) - 1 || unit <= ' ' || unit > '~') {
			memset(partition, 0, sizeof(*partition));
			return -EBADMSG;
		}
		partition->name[n] = (char)unit;
	}
	partition->size = get_le32(p + BSL_NAME_BYTES);
	return n ? 0 : -EBADMSG;
}

/* ---- the rest ---- */

int bsl_parse_log(const uint8_t *payload, size_t len, struct bsl_log *log)
{
	memset(log, 0, sizeof(*log));
	if (len < 4)
		return -EBADMSG;
	log->word = get_le32(payload);
	payload += 4;
	len -= 4;
	while (len && !payload[len - 1])
		len--;
	log->len = len;
	for (size_t i = 0; i < MIN(len, sizeof(log->text) - 1); i++)
		log->text[i] = printable(payload[i]) || payload[i] == '\n' ? (char)payload[i] : '?';
	return 0;
}

int bsl_parse_flash_info(const uint8_t *payload, size_t len, struct bsl_flash_info *info)
{
	memset(info, 0, sizeof(*info));
	if (len < 12)
		return -EBADMSG;
	info->flag = get_be32(payload);
	info->block_size = get_be32(payload + 4);
	info->page_size = get_be32(payload + 8);
	return 0;
}

int bsl_parse_flash_type(const uint8_t *payload, size_t len, struct bsl_flash_type *type)
{
	memset(type, 0, sizeof(*type));
	if (len < 16)
		return -EBADMSG;
	type->manufacturer = get_be32(payload);
	type->device = get_be32(payload + 4);
	type->extended = get_be32(payload + 8);
	type->ext_support = get_be32(payload + 12);
	return 0;
}

static int word(const uint8_t *payload, size_t len, bool little, uint32_t *v)
{
	*v = 0;
	if (len < 4)
		return -EBADMSG;
	*v = little ? get_le32(payload) : get_be32(payload);
	return 0;
}

int bsl_parse_sector_size(const uint8_t *payload, size_t len, uint32_t *bytes)
{
	return word(payload, len, false, bytes);
}

int bsl_parse_chip_type(const uint8_t *payload, size_t len, uint32_t *chip)
{
	return word(payload, len, false, chip);
}

int bsl_parse_rf_type(const uint8_t *payload, size_t len, uint32_t *type)
{
	return word(payload, len, true, type);
}

int bsl_parse_actual_size(const uint8_t *payload, size_t len, uint64_t *bytes)
{
	*bytes = 0;
	if (!len)
		return -ENODATA;
	if (len != 8)
		return -EBADMSG;
	*bytes = get_le64(payload);
	return 0;
}

int bsl_parse_auth(const uint8_t *payload, size_t len, struct bsl_auth *auth)
{
	const uint8_t *project;

	memset(auth, 0, sizeof(*auth));
	auth->needed = true;
	if (len < 290)
		return -EBADMSG;
	project = payload + 256;
	for (size_t i = 0; i < 32 && project[i]; i++)
		auth->project[i] = printable(project[i]) ? (char)project[i] : '?';
	auth->needed = get_le16(payload + 288) != 1;
	return 0;
}

int bsl_parse_pac_version(const uint8_t *payload, size_t len, char *text, size_t size)
{
	size_t n = 0;

	if (!size)
		return -ENOBUFS;
	text[0] = '\0';
	if (len & 1)
		return -EBADMSG;
	for (; n < len / 2 && n + 1 < size; n++) {
		uint16_t unit = get_le16(payload + 2 * n);

		if (!unit)
			break;
		text[n] = unit >= ' ' && unit <= '~' ? (char)unit : '?';
	}
	text[n] = '\0';
	return 0;
}
