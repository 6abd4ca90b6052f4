/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The vocabulary: every command and reply by name, and the table that says of each command where it may be
 * sent, whether it may be repeated, what it waits for and how long (bsl-protocol 5, 7, 8). Payloads are built
 * in payload.h and read in reply.h.
 */
#ifndef FDLD_BSL_MESSAGE_H
#define FDLD_BSL_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Who is listening. Also decides the check: CRC-16 in the ROM, sum everywhere else. */
enum bsl_stage {
	BSL_STAGE_UNKNOWN,
	BSL_STAGE_ROM,	/* boot ROM, or a boot loader playing it */
	BSL_STAGE_FDL1, /* first loader, or a boot loader playing it */
	BSL_STAGE_FDL2, /* second loader */
	BSL_STAGE_FDL,	/* the only loader of 8850/8910 modems and feature phones: does everything
			   (bsl-protocol 16.2) */
	BSL_STAGE_COUNT
};
const char *bsl_stage_name(enum bsl_stage stage); /* "unknown", "rom", "fdl1", "fdl2", "fdl" */

enum bsl_command {
	BSL_CMD_CONNECT = 0x00,
	BSL_CMD_START = 0x01,
	BSL_CMD_MIDST = 0x02,
	BSL_CMD_END = 0x03,
	BSL_CMD_EXEC = 0x04,
	BSL_CMD_RESET = 0x05,
	BSL_CMD_READ_FLASH = 0x06,
	BSL_CMD_READ_CHIP_TYPE = 0x07,
	BSL_CMD_READ_NVITEM = 0x08,
	BSL_CMD_CHANGE_BAUD = 0x09,
	BSL_CMD_ERASE = 0x0a,
	BSL_CMD_REPARTITION = 0x0b,
	BSL_CMD_READ_FLASH_TYPE = 0x0c,
	BSL_CMD_READ_FLASH_INFO =
		0x0d, /* only where the storage is known to be NAND: else no reply, and worse */
	BSL_CMD_READ_SECTOR_SIZE = 0x0f,
	BSL_CMD_READ_START = 0x10,
	BSL_CMD_READ_MIDST = 0x11,
	BSL_CMD_READ_END = 0x12,
	BSL_CMD_KEEP_CHARGE = 0x13,
	BSL_CMD_EXTTABLE = 0x14,
	BSL_CMD_READ_FLASH_UID = 0x15,
	BSL_CMD_READ_SOFTSIM_EID = 0x16,
	BSL_CMD_POWER_OFF = 0x17,
	BSL_CMD_CHECK_ROOT = 0x19,
	BSL_CMD_READ_CHIP_UID = 0x1a,
	BSL_CMD_ENABLE_WRITE = 0x1b,
	BSL_CMD_ENABLE_SECUREBOOT = 0x1c,
	BSL_CMD_IDENTIFY_START = 0x1d,
	BSL_CMD_IDENTIFY_END = 0x1e,
	BSL_CMD_READ_CU_REF = 0x1f,
	BSL_CMD_READ_REFINFO = 0x20, /* swaps: writes what it is sent */
	BSL_CMD_DISABLE_TRANSCODE = 0x21,
	BSL_CMD_WRITE_DATETIME = 0x22,
	BSL_CMD_CUST_DUMMY = 0x23,
	BSL_CMD_READ_RF_TYPE = 0x24,
	BSL_CMD_ENABLE_DEBUG = 0x25,
	BSL_CMD_DDR_CHECK = 0x26,
	BSL_CMD_SELF_REFRESH = 0x27,
	BSL_CMD_ENABLE_RAW = 0x28,
	BSL_CMD_READ_NAND_BLOCKS = 0x29,
	BSL_CMD_SET_FIRST_MODE = 0x2a,
	BSL_CMD_SET_RANDOM_DATA = 0x2b,
	BSL_CMD_SET_TIME_STAMP = 0x2c,
	BSL_CMD_READ_PARTITIONS = 0x2d,
	BSL_CMD_READ_PAC_VERSION = 0x2e,
	BSL_CMD_WRITE_PAC_VERSION = 0x2f,
	BSL_CMD_RAW_START = 0x31,
	BSL_CMD_FLUSH_DATA = 0x32,
	BSL_CMD_RAW_START2 = 0x33,
	BSL_CMD_ENABLE_LOG = 0x34,
	BSL_CMD_DUMP_LOG = 0x35,
	BSL_CMD_DISABLE_SELINUX = 0x40,
	BSL_CMD_AUTH_BEGIN = 0x41,
	BSL_CMD_AUTH_END = 0x42,
	BSL_CMD_EMMC_CID = 0x43,
	BSL_CMD_WATCHDOG_OPEN = 0x44,
	BSL_CMD_WATCHDOG_CLOSE = 0x45,
	BSL_CMD_POWER_OFF_NOKEY = 0x46,
	BSL_CMD_WRITE_EFUSE = 0x47, /* irreversible: allowed in no stage */
	BSL_CMD_PROBE = 0x7e,	    /* CHECK_BAUD: a single byte 7E, not a frame */
	BSL_CMD_END_PROCESS = 0x7f,
};

enum bsl_reply_type {
	BSL_REP_ACK = 0x80,
	BSL_REP_VERSION = 0x81,
	BSL_REP_INVALID_CMD = 0x82,
	BSL_REP_UNKNOWN_CMD = 0x83,
	BSL_REP_FAILED = 0x84,
	BSL_REP_BAUD_REFUSED = 0x85,
	BSL_REP_NOT_STARTED = 0x86,
	BSL_REP_MULTI_START = 0x87,
	BSL_REP_EARLY_END = 0x88,
	BSL_REP_DEST_ERROR = 0x89,
	BSL_REP_SIZE_ERROR = 0x8a,
	BSL_REP_VERIFY_ERROR = 0x8b,
	BSL_REP_NOT_VERIFIED = 0x8c,
	BSL_REP_NO_MEMORY = 0x8d,
	BSL_REP_INPUT_TIMEOUT = 0x8e,
	BSL_REP_READ_FLASH = 0x93,
	BSL_REP_CHIP_TYPE = 0x94,
	BSL_REP_NVITEM = 0x95,
	BSL_REP_INCOMPATIBLE = 0x96, /* after EXEC: FDL2's capability block, good news */
	BSL_REP_UNKNOWN_DEVICE = 0x97,
	BSL_REP_DEVICE_SIZE = 0x98,
	BSL_REP_ILLEGAL_SDRAM = 0x99,
	BSL_REP_SDRAM_PARAMETER = 0x9a,
	BSL_REP_FLASH_INFO = 0x9b,
	BSL_REP_SECTOR_SIZE = 0x9c,
	BSL_REP_FLASH_TYPE = 0x9d,
	BSL_REP_FLASH_UID = 0x9e,
	BSL_REP_SOFTSIM_EID = 0x9f,
	BSL_REP_ERROR_CHECKSUM = 0xa0,
	BSL_REP_CHECKSUM_DIFFERS = 0xa1,
	BSL_REP_WRITE_ERROR = 0xa2,
	BSL_REP_CHIP_MISMATCH = 0xa3,
	BSL_REP_FLASH_CONFIG = 0xa4,
	BSL_REP_STL_SIZE = 0xa5,
	BSL_REP_SIGNATURE = 0xa6,
	BSL_REP_ROOTED = 0xa7,
	BSL_REP_SIM_LOCK = 0xa8,
	BSL_REP_SIM_UNLOCK = 0xa9,
	BSL_REP_SECURE_VERIFY = 0xaa,
	BSL_REP_CHIP_UID = 0xab,
	BSL_REP_WRITE_NOT_ENABLED = 0xac,
	BSL_REP_SECUREBOOT_ERROR = 0xad,
	BSL_REP_IDENTIFY_START = 0xae,
	BSL_REP_IDENTIFY_END = 0xaf,
	BSL_REP_CU_REF = 0xb0,
	BSL_REP_REFINFO = 0xb1,
	BSL_REP_CUST_DUMMY = 0xb2,
	BSL_REP_WRITE_PROTECTED = 0xb3,
	BSL_REP_FLASH_INIT = 0xb4,
	BSL_REP_RF_TYPE = 0xb5,
	BSL_REP_DDR_ERROR = 0xb6,
	BSL_REP_REFRESH_ERROR = 0xb7,
	BSL_REP_NAND_BLOCKS = 0xb8,
	BSL_REP_RANDOM_ERROR = 0xb9,
	BSL_REP_PARTITIONS = 0xba,
	BSL_REP_BOOT_LOG = 0xbb,
	BSL_REP_PAC_VERSION = 0xbc,
	BSL_REP_AUTH_M1 = 0xbd,
	BSL_REP_PARTITION_VALUE = 0xbe,
	BSL_REP_NO_PARTITION = 0xbf,
	BSL_REP_EMMC_CID = 0xc0,
	BSL_REP_MAGIC_ERROR = 0xd0,
	BSL_REP_REPARTITION_ERROR = 0xd1,
	BSL_REP_READ_ERROR = 0xd2,
	BSL_REP_MALLOC_ERROR = 0xd3,
	BSL_REP_UNSUPPORTED = 0xfe,
	BSL_REP_LOG = 0xff, /* at any time; never an answer */
};

/* What a reply is when nothing in particular was asked. */
enum bsl_reply_kind { BSL_KIND_UNKNOWN, BSL_KIND_ACK, BSL_KIND_DATA, BSL_KIND_REFUSAL, BSL_KIND_LOG };

/* Which request may be sent again after silence. What may have been executed and is not idempotent: never. */
enum bsl_repeat {
	BSL_REPEAT_NEVER,
	BSL_REPEAT_PROBE,    /* any number of times, while the first still counts */
	BSL_REPEAT_ROM_ONCE, /* once, and only to the ROM */
	BSL_REPEAT_ONCE,     /* once: reads by offset */
};

#define BSL_ACCEPT_MAX 3

struct bsl_command_info {
	uint16_t code;
	const char *name;   /* "START", "READ_MIDST" ... */
	uint8_t stages;	    /* bit 1 << enum bsl_stage: where it may be sent */
	bool writes;	    /* changes storage, directly or as a side effect */
	bool may_be_silent; /* some loaders never answer it though all is well (bsl-protocol 4.5, 7) */
	enum bsl_repeat repeat;
	uint8_t accepts[BSL_ACCEPT_MAX]; /* replies that mean success, 0 terminated */
};

/* NULL: fdld knows no such command. */
const struct bsl_command_info *bsl_command_info(uint16_t command);
/* "START"; "?" if unknown. Static text. */
const char *bsl_command_name(uint16_t command);
const char *bsl_reply_name(uint16_t type);
enum bsl_reply_kind bsl_reply_kind(uint16_t type);

bool bsl_command_allowed(uint16_t command, enum bsl_stage stage);
bool bsl_command_accepts(uint16_t command, enum bsl_stage stage, uint16_t reply);
/* How often it may be sent again after a timeout: 0, 1, or UINT32_MAX for the probe (its tries are in the
 * timing). */
unsigned bsl_command_repeats(uint16_t command, enum bsl_stage stage);

/* This MIDST makes the phone check and write what it has gathered: the last of a file, or one that may fill
 * its buffer. */
#define BSL_TIMING_FLUSH 1u

struct bsl_timing {
	uint64_t usual_usec;	/* a healthy phone has answered by then; later, show that it is awaited */
	uint64_t deadline_usec; /* a phone that has not answered by then will not */
	unsigned tries;		/* probe: how often; else 1 */
};

/*
 * bytes: how much the phone has to clear, check, write, erase or read for this request (0: unknown); only the
 * usual time depends on it. EXEC in FDL1 is the one that FDL2 answers. Unknown commands get 3 s.
 */
struct bsl_timing bsl_command_timing(uint16_t command, enum bsl_stage stage, unsigned flags, uint64_t bytes);

/* Payload bytes that every phone of a stage takes in one MIDST (bsl-protocol 3.4). */
#define BSL_CHUNK_ROM	       528u
#define BSL_CHUNK_FDL1	       528u
#define BSL_CHUNK_FDL2_ESCAPED 0x5000u
#define BSL_CHUNK_FDL	       0x2000u /* single loaders drop what exceeds 0x3000 (device-behaviour 13) */
#define BSL_CHUNK_FDL2_PLAIN   0xf800u
/* Most bytes of one READ_MIDST: the phone's reply has to fit its own buffers (bsl-protocol 3.4). */
#define BSL_READ_ESCAPED_MAX 0x7ff0u
#define BSL_READ_PLAIN_MAX   65464u

#endif
