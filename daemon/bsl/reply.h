/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What replies say (bsl-protocol 6, 7, 8, 11). Parsers take the payload of a frame, trust nothing in it, and
 * copy what they find: no result points into the payload unless its comment says so. 0, or -EBADMSG:
 * malformed.
 */
#ifndef FDLD_BSL_REPLY_H
#define FDLD_BSL_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- 81 VERSION ---- */
struct bsl_version {
	char text[64];	     /* up to the first NUL; bytes that are not printable ASCII become '?' */
	bool sprd3;	     /* "SPRD3": plain boot ROM, or a Wi-Fi loader when checked by sum */
	bool autodownloader; /* "SPRD4": a boot loader that plays ROM and FDL1 (bsl-protocol 4.4) */
	bool boot_block; /* "Spreadtrum Boot Block version x": FDL1, or a branded ROM when checked by CRC */
};
/* Empty text is malformed. */
int bsl_parse_version(const uint8_t *payload, size_t len, struct bsl_version *version);

/* ---- 96 after EXEC: what FDL2 can do ---- */
enum bsl_capability_form { BSL_CAP_NONE, BSL_CAP_FLAT, BSL_CAP_TLV };
enum bsl_storage {
	BSL_STORAGE_UNKNOWN = 0,
	BSL_STORAGE_NAND = 0x101,
	BSL_STORAGE_EMMC = 0x102,
	BSL_STORAGE_UFS = 0x103
};

/* Oddities that do not stop a job but belong into its log. */
#define BSL_CAP_WARN_FORM      1u /* neither a known version nor the TLV mark: taken for "no capabilities" */
#define BSL_CAP_WARN_LENGTH    2u /* a known item of unexpected length: passed over */
#define BSL_CAP_WARN_TRUNCATED 4u /* ends inside an item */

struct bsl_capability {
	enum bsl_capability_form form;
	uint32_t version;	/* FLAT: 1 .. 4 */
	bool disable_transcode; /* 0x21 may be sent */
	uint8_t old_memory;	/* bit 0 boot areas used, bit 1 GPT there, bit 2 RPMB key written */
	uint8_t raw_level;	/* 0 none, 1 = 0x31 flow, 2 = 0x33 flow; other values read as 0 */
	uint64_t flush_bytes;	/* raw block; 0 unknown */
	enum bsl_storage storage;
	bool handshake;		 /* the vendor's answer is due before anything else: stop */
	uint32_t handshake_kind; /* 1 AES-CBC, 2 RSA-2048, 0 not told */
	bool has_time_stamp;	 /* TLV 5 was there: a newer (LK) loader */
	uint8_t time_stamp[8];	 /* as stored; all FF: never flashed */
	bool log_dump;		 /* TLV 7: 0x35 answers, and a newer (LK) loader */
	bool lk;		 /* TLV 5 or 7 (device-behaviour 10.3) */
	unsigned unknown_items;	 /* TLVs passed over */
	unsigned warnings;	 /* BSL_CAP_WARN_ bits */
};
/* Empty: no capabilities. 1 to 3 bytes: malformed. Everything else is read leniently (bsl-protocol 6). */
int bsl_parse_capability(const uint8_t *payload, size_t len, struct bsl_capability *cap);

/* ---- AB CHIP_UID ---- */
enum bsl_uid_kind {
	BSL_UID_NONE,	/* empty, zeros or all FF: the phone has none to tell */
	BSL_UID_SHA256, /* text: 64 lower-case hex digits, the canonical form already */
	BSL_UID_HEX, /* text: 16 or 18 lower-case hex digits; canonical is the SHA-256 of the 16-digit text */
	BSL_UID_BINARY, /* 8 bytes, two LE words: text is those as 16 hex digits, high efuse word (first on
			   the wire) first */
	BSL_UID_LOT,	/* text: lot_wafer_x_y; canonical is the SHA-256 of the text */
};
struct bsl_uid {
	enum bsl_uid_kind kind;
	char text[65]; /* normalised as said above; what has to be hashed where the kind is not SHA256 */
};
/* Anything else than those forms, or longer than 64 bytes plus padding: malformed. */
int bsl_parse_uid(const uint8_t *payload, size_t len, struct bsl_uid *uid);

/* ---- BA partition list ---- */
struct bsl_partition {
	char name[36]; /* printable ASCII, at most 35 characters */
	uint32_t size; /* raw number; its unit depends on the sector size: the caller's problem
			  (bsl-protocol 11.3) */
};
/* Number of records; -EBADMSG where len is no multiple of 76. */
int bsl_partition_count(size_t len);
/* Record index; -EBADMSG: name empty, not terminated or not printable ASCII; -ERANGE: no such record. */
int bsl_parse_partition(const uint8_t *payload, size_t len, size_t index, struct bsl_partition *partition);

/* ---- FF LOG, BB BOOT_LOG ---- */
struct bsl_log {
	uint32_t word;	/* FF: 0 serial, 1 DDR. BB: 1 more to come, 0 the last */
	size_t len;	/* of the whole text in bytes, as the phone sent it without padding */
	char text[256]; /* the beginning, unprintable bytes as '?', newlines kept */
};
int bsl_parse_log(const uint8_t *payload, size_t len, struct bsl_log *log);

/* ---- smaller ones ---- */
struct bsl_flash_info {			      /* 9B, NAND */
	uint32_t flag, block_size, page_size; /* bytes */
};
int bsl_parse_flash_info(const uint8_t *payload, size_t len, struct bsl_flash_info *info);
struct bsl_flash_type { /* 9D */
	uint32_t manufacturer, device, extended, ext_support;
};
int bsl_parse_flash_type(const uint8_t *payload, size_t len, struct bsl_flash_type *type);
int bsl_parse_sector_size(const uint8_t *payload, size_t len, uint32_t *bytes); /* 9C, BE32 */
int bsl_parse_chip_type(const uint8_t *payload, size_t len, uint32_t *chip);	/* 94, BE32; also A3 */
int bsl_parse_rf_type(const uint8_t *payload, size_t len, uint32_t *type);	/* B5, LE32 */
/* 8A on READ_START: some loaders attach the true size, LE64. -ENODATA: none attached. */
int bsl_parse_actual_size(const uint8_t *payload, size_t len, uint64_t *bytes);
struct bsl_auth { /* BD: 256 bytes challenge, 32 project name, LE16 status */
	char project[33];
	bool needed;
};
int bsl_parse_auth(const uint8_t *payload, size_t len, struct bsl_auth *auth);
/* BC, UTF-16LE: text gets ASCII, '?' for the rest; always terminated. */
int bsl_parse_pac_version(const uint8_t *payload, size_t len, char *text, size_t size);

#endif
