/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bsl/message.h"
#include "common/util.h"

#define IN_ROM	(1u << BSL_STAGE_ROM)
#define IN_FDL1 (1u << BSL_STAGE_FDL1)
#define IN_FDL2 (1u << BSL_STAGE_FDL2)
#define IN_FDL	(1u << BSL_STAGE_FDL)
#define IN_ANY	(IN_ROM | IN_FDL1 | IN_FDL2 | IN_FDL)
#define NOWHERE 0u

#define MSEC	1000ull
#define SEC	1000000ull

/* A row of the table: what is public, and its times where no stage has its own. */
struct command_row {
	struct bsl_command_info info;
	uint64_t usual, deadline; /* usec */
	uint64_t usual_per_mib;	  /* usec added to usual for each MiB of work */
};

#define CMD(code_, name_, stages_, writes_, silent_, repeat_, usual_, deadline_, per_mib_, ...) \
	{                                                                                       \
		{                                                                               \
			BSL_CMD_##code_,      name_,	      stages_, writes_, silent_,        \
			BSL_REPEAT_##repeat_, { __VA_ARGS__ }                                   \
		},                                                                              \
			usual_, deadline_, per_mib_                                             \
	}
#define ACK BSL_REP_ACK

/*
 * Deadlines: bsl-protocol 5, column "Suggested". FDL1 calls a NULL handler for whatever it has not
 * registered, so its column is exactly the nine it knows (bsl-protocol 4.2); a single loader's is that of
 * bsl-protocol 16.2.
 */
static const struct command_row table[] = {
	/*  code, name, stages, writes, may be silent, repeat, usual, deadline, usual per MiB, accepted */
	CMD(PROBE, "PROBE", IN_ROM | IN_FDL1 | IN_FDL, false, true, PROBE, 200 * MSEC, 200 * MSEC, 0,
	    BSL_REP_VERSION),
	CMD(CONNECT, "CONNECT", IN_ANY, false, false, ROM_ONCE, 500 * MSEC, 3 * SEC, 0, ACK),
	CMD(START, "START", IN_ANY, true, false, NEVER, 1 * SEC, 30 * SEC, 10 * MSEC, ACK),
	CMD(MIDST, "MIDST", IN_ANY, true, false, NEVER, 1 * SEC, 60 * SEC, 0, ACK),
	CMD(END, "END", IN_ANY, true, false, NEVER, 2 * SEC, 200 * SEC, 0, ACK),
	CMD(EXEC, "EXEC", IN_ROM | IN_FDL1 | IN_FDL, false, false, NEVER, 1 * SEC, 3 * SEC, 0, ACK),
	CMD(RESET, "RESET", IN_FDL2 | IN_FDL, true, false, NEVER, 1 * SEC, 5 * SEC, 0, ACK),
	CMD(READ_FLASH, "READ_FLASH", IN_FDL2 | IN_FDL, false, false, ONCE, 1 * SEC, 20 * SEC, 200 * MSEC,
	    BSL_REP_READ_FLASH),
	CMD(READ_CHIP_TYPE, "READ_CHIP_TYPE", IN_FDL2, false, false, NEVER, 500 * MSEC, 3 * SEC, 0,
	    BSL_REP_CHIP_TYPE),
	CMD(READ_NVITEM, "READ_NVITEM", IN_FDL2, false, false, NEVER, 1 * SEC, 20 * SEC, 0, BSL_REP_NVITEM),
	CMD(CHANGE_BAUD, "CHANGE_BAUD", IN_FDL1 | IN_FDL, false, false, NEVER, 500 * MSEC, 3 * SEC, 0, ACK),
	CMD(ERASE, "ERASE", IN_FDL2 | IN_FDL, true, false, NEVER, 5 * SEC, 3600 * SEC, 2 * MSEC, ACK),
	CMD(REPARTITION, "REPARTITION", IN_FDL2 | IN_FDL, true, false, NEVER, 3 * SEC, 100 * SEC, 0, ACK),
	CMD(READ_FLASH_TYPE, "READ_FLASH_TYPE", IN_FDL2, false, false, NEVER, 500 * MSEC, 3 * SEC, 0,
	    BSL_REP_FLASH_TYPE),
	CMD(READ_FLASH_INFO, "READ_FLASH_INFO", IN_FDL2, false, true, NEVER, 500 * MSEC, 3 * SEC, 0,
	    BSL_REP_FLASH_INFO),
	CMD(READ_SECTOR_SIZE, "READ_SECTOR_SIZE", IN_FDL2, false, false, NEVER, 500 * MSEC, 3 * SEC, 0,
	    BSL_REP_SECTOR_SIZE),
	/* reading a damaged NV copy repairs it on flash (bsl-protocol 11.1): not a write to be asked leave
	   for */
	CMD(READ_START, "READ_START", IN_FDL2, false, false, NEVER, 1 * SEC, 20 * SEC, 0, ACK),
	CMD(READ_MIDST, "READ_MIDST", IN_FDL2, false, false, ONCE, 1 * SEC, 20 * SEC, 200 * MSEC,
	    BSL_REP_READ_FLASH),
	CMD(READ_END, "READ_END", IN_FDL2, false, false, NEVER, 1 * SEC, 20 * SEC, 0, ACK),
	CMD(KEEP_CHARGE, "KEEP_CHARGE", IN_FDL1, false, false, NEVER, 500 * MSEC, 3 * SEC, 0, ACK),
	CMD(EXTTABLE, "EXTTABLE", IN_FDL2, false, false, NEVER, 500 * MSEC, 3 * SEC, 0, ACK),
	CMD(READ_FLASH_UID, "READ_FLASH_UID", IN_FDL2, false, false, NEVER, 500 * MSEC, 3 * SEC, 0,
	    BSL_REP_FLASH_UID),
	CMD(READ_SOFTSIM_EID, "READ_SOFTSIM_EID", IN_FDL2, false, false, NEVER, 500 * MSEC, 3 * SEC, 0,
	    BSL_REP_SOFTSIM_EID),
	CMD(POWER_OFF, "POWER_OFF", IN_FDL2 | IN_FDL, true, false, NEVER, 1 * SEC, 5 * SEC, 0, ACK),
	CMD(CHECK_ROOT, "CHECK_ROOT", IN_FDL2, false, false, NEVER, 500 * MSEC, 3 * SEC, 0, ACK),
	CMD(READ_CHIP_UID, "READ_CHIP_UID", IN_FDL2, false, false, NEVER, 500 * MSEC, 3 * SEC, 0,
	    BSL_REP_CHIP_UID),
	CMD(ENABLE_WRITE, "ENABLE_WRITE", IN_FDL2, false, false, NEVER, 500 * MSEC, 3 * SEC, 0, ACK),
	CMD(ENABLE_SECUREBOOT, "ENABLE_SECUREBOOT", NOWHERE, true, false, NEVER, 1 * SEC, 20 * SEC, 0, ACK),
	CMD(IDENTIFY_START, "IDENTIFY_START", IN_FDL2, false, false, NEVER, 500 * MSEC, 3 * SEC, 0,
	    BSL_REP_IDENTIFY_START),
	CMD(IDENTIFY_END, "IDENTIFY_END", IN_FDL2, false, false, NEVER, 500 * MSEC, 3 * SEC, 0,
	    BSL_REP_IDENTIFY_END),
	CMD(READ_CU_REF, "READ_CU_REF", IN_FDL2, false, false, NEVER, 500 * MSEC, 3 * SEC, 0, BSL_REP_CU_REF),
	CMD(READ_REFINFO, "READ_REFINFO", IN_FDL2, true, false, NEVER, 1 * SEC, 20 * SEC, 0, BSL_REP_REFINFO),
	CMD(DISABLE_TRANSCODE, "DISABLE_TRANSCODE", IN_FDL2, false, false, NEVER, 500 * MSEC, 3 * SEC, 0,
	    ACK),
	CMD(WRITE_DATETIME, "WRITE_DATETIME", IN_FDL2, true, false, NEVER, 1 * SEC, 20 * SEC, 0, ACK),
	CMD(CUST_DUMMY, "CUST_DUMMY", NOWHERE, true, false, NEVER, 1 * SEC, 20 * SEC, 0, BSL_REP_CUST_DUMMY),
	CMD(READ_RF_TYPE, "READ_RF_TYPE", IN_FDL2, false, false, NEVER, 500 * MSEC, 3 * SEC, 0,
	    BSL_REP_RF_TYPE),
	CMD(ENABLE_DEBUG, "ENABLE_DEBUG", IN_FDL2, true, false, NEVER, 1 * SEC, 20 * SEC, 0, ACK),
	CMD(DDR_CHECK, "DDR_CHECK", IN_FDL1, false, false, NEVER, 10 * SEC, 30 * SEC, 0, ACK),
	CMD(SELF_REFRESH, "SELF_REFRESH", IN_FDL1, false, false, NEVER, 40 * SEC, 45 * SEC, 0, ACK),
	CMD(ENABLE_RAW, "ENABLE_RAW", IN_FDL2, false, false, NEVER, 500 * MSEC, 20 * SEC, 0, ACK),
	CMD(READ_NAND_BLOCKS, "READ_NAND_BLOCKS", IN_FDL2, false, false, NEVER, 1 * SEC, 20 * SEC, 0,
	    BSL_REP_NAND_BLOCKS),
	CMD(SET_FIRST_MODE, "SET_FIRST_MODE", IN_FDL2, true, false, NEVER, 500 * MSEC, 3 * SEC, 0, ACK),
	CMD(SET_RANDOM_DATA, "SET_RANDOM_DATA", IN_FDL2, false, false, NEVER, 1 * SEC, 20 * SEC, 0, ACK),
	CMD(SET_TIME_STAMP, "SET_TIME_STAMP", IN_FDL2, true, false, NEVER, 1 * SEC, 20 * SEC, 0, ACK),
	CMD(READ_PARTITIONS, "READ_PARTITIONS", IN_FDL2, false, false, NEVER, 500 * MSEC, 3 * SEC, 0,
	    BSL_REP_PARTITIONS),
	CMD(READ_PAC_VERSION, "READ_PAC_VERSION", IN_FDL2, false, true, NEVER, 500 * MSEC, 3 * SEC, 0,
	    BSL_REP_PAC_VERSION),
	CMD(WRITE_PAC_VERSION, "WRITE_PAC_VERSION", IN_FDL2, true, true, NEVER, 1 * SEC, 20 * SEC, 0, ACK),
	CMD(RAW_START, "RAW_START", IN_FDL2, true, false, NEVER, 1 * SEC, 20 * SEC, 0, ACK),
	CMD(FLUSH_DATA, "FLUSH_DATA", IN_FDL2, true, false, NEVER, 1 * SEC, 20 * SEC, 0, ACK),
	CMD(RAW_START2, "RAW_START2", IN_FDL2, true, false, NEVER, 1 * SEC, 20 * SEC, 0, ACK),
	CMD(ENABLE_LOG, "ENABLE_LOG", IN_FDL2, false, false, NEVER, 500 * MSEC, 3 * SEC, 0, ACK),
	CMD(DUMP_LOG, "DUMP_LOG", IN_FDL2, false, true, NEVER, 500 * MSEC, 5 * SEC, 0, BSL_REP_BOOT_LOG),
	CMD(DISABLE_SELINUX, "DISABLE_SELINUX", NOWHERE, true, false, NEVER, 1 * SEC, 20 * SEC, 0, ACK),
	CMD(AUTH_BEGIN, "AUTH_BEGIN", IN_FDL2, false, false, NEVER, 1 * SEC, 20 * SEC, 0, BSL_REP_AUTH_M1),
	CMD(AUTH_END, "AUTH_END", IN_FDL2, false, false, NEVER, 1 * SEC, 20 * SEC, 0, ACK),
	CMD(EMMC_CID, "EMMC_CID", IN_FDL2, false, false, NEVER, 500 * MSEC, 3 * SEC, 0, BSL_REP_EMMC_CID),
	CMD(WATCHDOG_OPEN, "WATCHDOG_OPEN", IN_FDL2, false, false, NEVER, 500 * MSEC, 3 * SEC, 0, ACK),
	CMD(WATCHDOG_CLOSE, "WATCHDOG_CLOSE", IN_FDL2, false, false, NEVER, 500 * MSEC, 3 * SEC, 0, ACK),
	CMD(POWER_OFF_NOKEY, "POWER_OFF_NOKEY", IN_FDL2, true, false, NEVER, 1 * SEC, 5 * SEC, 0, ACK),
	CMD(WRITE_EFUSE, "WRITE_EFUSE", NOWHERE, true, false, NEVER, 1 * SEC, 20 * SEC, 0, ACK),
	CMD(END_PROCESS, "END_PROCESS", IN_FDL2, false, false, NEVER, 500 * MSEC, 3 * SEC, 0, ACK),
};

static const struct command_row *find(uint16_t command)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (table[i].info.code == command)
			return &table[i];
	return NULL;
}

const struct bsl_command_info *bsl_command_info(uint16_t command)
{
	const struct command_row *row = find(command);

	return row ? &row->info : NULL;
}

const char *bsl_command_name(uint16_t command)
{
	const struct command_row *row = find(command);

	return row ? row->info.name : "?";
}

const char *bsl_stage_name(enum bsl_stage stage)
{
	static const char *const names[] = { "unknown", "rom", "fdl1", "fdl2", "fdl" };

	return (unsigned)stage < BSL_STAGE_COUNT ? names[stage] : names[0];
}

bool bsl_command_allowed(uint16_t command, enum bsl_stage stage)
{
	const struct command_row *row = find(command);

	if (!row)
		return false;
	/* the probe is how an unknown stage is found out */
	if (stage == BSL_STAGE_UNKNOWN)
		return command == BSL_CMD_PROBE;
	return row->info.stages >> stage & 1;
}

bool bsl_command_accepts(uint16_t command, enum bsl_stage stage, uint16_t reply)
{
	const struct command_row *row = find(command);

	if (!row || !reply)
		return false;
	for (size_t i = 0; i < BSL_ACCEPT_MAX; i++)
		if (row->info.accepts[i] == reply)
			return true;
	/* FDL1 never answers EXEC; FDL2 does, with what it can do (bsl-protocol 4.3) */
	return command == BSL_CMD_EXEC && stage == BSL_STAGE_FDL1 && reply == BSL_REP_INCOMPATIBLE;
}

unsigned bsl_command_repeats(uint16_t command, enum bsl_stage stage)
{
	const struct command_row *row = find(command);

	if (!row)
		return 0;
	switch (row->info.repeat) {
	case BSL_REPEAT_NEVER: return 0;
	case BSL_REPEAT_PROBE: return UINT32_MAX;
	case BSL_REPEAT_ROM_ONCE: return stage == BSL_STAGE_ROM ? 1 : 0;
	case BSL_REPEAT_ONCE: return 1;
	}
	return 0;
}

struct bsl_timing bsl_command_timing(uint16_t command, enum bsl_stage stage, unsigned flags, uint64_t bytes)
{
	const struct command_row *row = find(command);
	struct bsl_timing t = { 500 * MSEC, 3 * SEC, 1 };
	uint64_t per_mib;

	if (!row)
		return t;
	t.usual_usec = row->usual;
	t.deadline_usec = row->deadline;
	per_mib = row->usual_per_mib;
	if (command == BSL_CMD_PROBE) {
		/* a ROM answers at once; FDL1 trains its memory first */
		t.tries = 25;
		if (stage == BSL_STAGE_FDL1 || stage == BSL_STAGE_FDL) {
			t = (struct bsl_timing){ 1 * SEC, 1 * SEC, 30 };
		}
	} else if (command == BSL_CMD_EXEC && stage == BSL_STAGE_FDL1) {
		t.usual_usec = 4 * SEC;
		t.deadline_usec = 60 * SEC;
	} else if (command == BSL_CMD_MIDST && (flags & BSL_TIMING_FLUSH)) {
		t.usual_usec = 2 * SEC;
		t.deadline_usec = 500 * SEC;
		per_mib = 50 * MSEC;
	}
	t.usual_usec += (bytes >> 20) < 1000000 ? (bytes >> 20) * per_mib : t.deadline_usec;
	t.usual_usec = MIN(t.usual_usec, t.deadline_usec);
	return t;
}

static const struct reply_row {
	uint16_t code;
	enum bsl_reply_kind kind;
	const char *name;
} replies[] = {
	{ BSL_REP_ACK, BSL_KIND_ACK, "ACK" },
	{ BSL_REP_VERSION, BSL_KIND_DATA, "VERSION" },
	{ BSL_REP_INVALID_CMD, BSL_KIND_REFUSAL, "INVALID_CMD" },
	{ BSL_REP_UNKNOWN_CMD, BSL_KIND_REFUSAL, "UNKNOWN_CMD" },
	{ BSL_REP_FAILED, BSL_KIND_REFUSAL, "FAILED" },
	{ BSL_REP_BAUD_REFUSED, BSL_KIND_REFUSAL, "BAUD_REFUSED" },
	{ BSL_REP_NOT_STARTED, BSL_KIND_REFUSAL, "NOT_STARTED" },
	{ BSL_REP_MULTI_START, BSL_KIND_REFUSAL, "MULTI_START" },
	{ BSL_REP_EARLY_END, BSL_KIND_REFUSAL, "EARLY_END" },
	{ BSL_REP_DEST_ERROR, BSL_KIND_REFUSAL, "DEST_ERROR" },
	{ BSL_REP_SIZE_ERROR, BSL_KIND_REFUSAL, "SIZE_ERROR" },
	{ BSL_REP_VERIFY_ERROR, BSL_KIND_REFUSAL, "VERIFY_ERROR" },
	{ BSL_REP_NOT_VERIFIED, BSL_KIND_REFUSAL, "NOT_VERIFIED" },
	{ BSL_REP_NO_MEMORY, BSL_KIND_REFUSAL, "NO_MEMORY" },
	{ BSL_REP_INPUT_TIMEOUT, BSL_KIND_REFUSAL, "INPUT_TIMEOUT" },
	{ BSL_REP_READ_FLASH, BSL_KIND_DATA, "READ_FLASH" },
	{ BSL_REP_CHIP_TYPE, BSL_KIND_DATA, "CHIP_TYPE" },
	{ BSL_REP_NVITEM, BSL_KIND_DATA, "NVITEM" },
	{ BSL_REP_INCOMPATIBLE, BSL_KIND_REFUSAL, "INCOMPATIBLE_PARTITION" },
	{ BSL_REP_UNKNOWN_DEVICE, BSL_KIND_REFUSAL, "UNKNOWN_DEVICE" },
	{ BSL_REP_DEVICE_SIZE, BSL_KIND_REFUSAL, "DEVICE_SIZE" },
	{ BSL_REP_ILLEGAL_SDRAM, BSL_KIND_REFUSAL, "ILLEGAL_SDRAM" },
	{ BSL_REP_SDRAM_PARAMETER, BSL_KIND_REFUSAL, "SDRAM_PARAMETER" },
	{ BSL_REP_FLASH_INFO, BSL_KIND_DATA, "FLASH_INFO" },
	{ BSL_REP_SECTOR_SIZE, BSL_KIND_DATA, "SECTOR_SIZE" },
	{ BSL_REP_FLASH_TYPE, BSL_KIND_DATA, "FLASH_TYPE" },
	{ BSL_REP_FLASH_UID, BSL_KIND_DATA, "FLASH_UID" },
	{ BSL_REP_SOFTSIM_EID, BSL_KIND_DATA, "SOFTSIM_EID" },
	{ BSL_REP_ERROR_CHECKSUM, BSL_KIND_REFUSAL, "ERROR_CHECKSUM" },
	{ BSL_REP_CHECKSUM_DIFFERS, BSL_KIND_REFUSAL, "CHECKSUM_DIFFERS" },
	{ BSL_REP_WRITE_ERROR, BSL_KIND_REFUSAL, "WRITE_ERROR" },
	{ BSL_REP_CHIP_MISMATCH, BSL_KIND_REFUSAL, "CHIP_MISMATCH" },
	{ BSL_REP_FLASH_CONFIG, BSL_KIND_REFUSAL, "FLASH_CONFIG" },
	{ BSL_REP_STL_SIZE, BSL_KIND_REFUSAL, "STL_SIZE" },
	{ BSL_REP_SIGNATURE, BSL_KIND_REFUSAL, "SIGNATURE" },
	{ BSL_REP_ROOTED, BSL_KIND_REFUSAL, "ROOTED" },
	{ BSL_REP_SIM_LOCK, BSL_KIND_REFUSAL, "SIM_LOCK" },
	{ BSL_REP_SIM_UNLOCK, BSL_KIND_REFUSAL, "SIM_UNLOCK" },
	{ BSL_REP_SECURE_VERIFY, BSL_KIND_REFUSAL, "SECURE_VERIFY" },
	{ BSL_REP_CHIP_UID, BSL_KIND_DATA, "CHIP_UID" },
	{ BSL_REP_WRITE_NOT_ENABLED, BSL_KIND_REFUSAL, "WRITE_NOT_ENABLED" },
	{ BSL_REP_SECUREBOOT_ERROR, BSL_KIND_REFUSAL, "SECUREBOOT_ERROR" },
	{ BSL_REP_IDENTIFY_START, BSL_KIND_DATA, "IDENTIFY_START" },
	{ BSL_REP_IDENTIFY_END, BSL_KIND_DATA, "IDENTIFY_END" },
	{ BSL_REP_CU_REF, BSL_KIND_DATA, "CU_REF" },
	{ BSL_REP_REFINFO, BSL_KIND_DATA, "REFINFO" },
	{ BSL_REP_CUST_DUMMY, BSL_KIND_DATA, "CUST_DUMMY" },
	{ BSL_REP_WRITE_PROTECTED, BSL_KIND_REFUSAL, "WRITE_PROTECTED" },
	{ BSL_REP_FLASH_INIT, BSL_KIND_REFUSAL, "FLASH_INIT" },
	{ BSL_REP_RF_TYPE, BSL_KIND_DATA, "RF_TYPE" },
	{ BSL_REP_DDR_ERROR, BSL_KIND_REFUSAL, "DDR_ERROR" },
	{ BSL_REP_REFRESH_ERROR, BSL_KIND_REFUSAL, "REFRESH_ERROR" },
	{ BSL_REP_NAND_BLOCKS, BSL_KIND_DATA, "NAND_BLOCKS" },
	{ BSL_REP_RANDOM_ERROR, BSL_KIND_REFUSAL, "RANDOM_ERROR" },
	{ BSL_REP_PARTITIONS, BSL_KIND_DATA, "PARTITIONS" },
	{ BSL_REP_BOOT_LOG, BSL_KIND_DATA, "BOOT_LOG" },
	{ BSL_REP_PAC_VERSION, BSL_KIND_DATA, "PAC_VERSION" },
	{ BSL_REP_AUTH_M1, BSL_KIND_DATA, "AUTH_M1" },
	{ BSL_REP_PARTITION_VALUE, BSL_KIND_DATA, "PARTITION_VALUE" },
	{ BSL_REP_NO_PARTITION, BSL_KIND_REFUSAL, "NO_PARTITION" },
	{ BSL_REP_EMMC_CID, BSL_KIND_DATA, "EMMC_CID" },
	{ BSL_REP_MAGIC_ERROR, BSL_KIND_REFUSAL, "MAGIC_ERROR" },
	{ BSL_REP_REPARTITION_ERROR, BSL_KIND_REFUSAL, "REPARTITION_ERROR" },
	{ BSL_REP_READ_ERROR, BSL_KIND_REFUSAL, "READ_ERROR" },
	{ BSL_REP_MALLOC_ERROR, BSL_KIND_REFUSAL, "MALLOC_ERROR" },
	{ BSL_REP_UNSUPPORTED, BSL_KIND_REFUSAL, "UNSUPPORTED_COMMAND" },
	{ BSL_REP_LOG, BSL_KIND_LOG, "LOG" },
};

const char *bsl_reply_name(uint16_t type)
{
	for (size_t i = 0; i < ARRAY_SIZE(replies); i++)
		if (replies[i].code == type)
			return replies[i].name;
	return "?";
}

enum bsl_reply_kind bsl_reply_kind(uint16_t type)
{
	for (size_t i = 0; i < ARRAY_SIZE(replies); i++)
		if (replies[i].code == type)
			return replies[i].kind;
	return BSL_KIND_UNKNOWN;
}
