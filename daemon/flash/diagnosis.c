/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "flash/diagnosis.h"

#include "common/util.h"

#define CODE(doing, code, when, error, cite)                               \
	{                                                                  \
		DOING_##doing, SYMPTOM_CODE, code, when, ERR_##error, cite \
	}
#define ELSE(doing, error, cite) CODE(doing, CODE_ANY, 0, error, cite)
#define SEEN(doing, symptom, when, error, cite)                                     \
	{                                                                           \
		DOING_##doing, SYMPTOM_##symptom, CODE_ANY, when, ERR_##error, cite \
	}

/* clang-format off */
static const struct diagnosis_row rows[] = {
	/* the boot ROM */
	SEEN(PROBE_ROM, SILENT, 0, PHONE_SILENT, "bsl-protocol 14: CHECK_BAUD no answer"),
	SEEN(PROBE_ROM, NOT_TAKEN, 0, PHONE_NOT_TAKING, "bsl-protocol 14: first OUT"),
	SEEN(PROBE_ROM, GARBLED, 0, VERSION_UNEXPECTED, "bsl-protocol 14: CHECK_BAUD first byte returned"),
	SEEN(PROBE_ROM, GONE, 0, PHONE_LEFT, "bsl-protocol 14: open, device vanishes"),
	ELSE(PROBE_ROM, VERSION_UNEXPECTED, "bsl-protocol 14: CHECK_BAUD other text"),
	SEEN(DETECT, SILENT, 0, STAGE_UNKNOWN, "device-behaviour 18"),
	SEEN(DETECT, NOT_TAKEN, 0, PHONE_NOT_TAKING, "device-behaviour 18"),
	SEEN(DETECT, GARBLED, 0, STAGE_UNKNOWN, "device-behaviour 18"),
	SEEN(DETECT, STAYS, 0, STAGE_UNKNOWN, "device-behaviour 17: F33, F68, F69"),
	SEEN(DETECT, GONE, 0, PHONE_LEFT, "bsl-protocol 14: open, device vanishes"),
	ELSE(DETECT, STAGE_UNKNOWN, "device-behaviour 18"),
	SEEN(CONNECT_ROM, GONE, 0, PHONE_LEFT, "bsl-protocol 14: open, device vanishes"),
	SEEN(CONNECT_ROM, SILENT, 0, ROM_CONNECT_FAILED, "bsl-protocol 4.1"),
	SEEN(CONNECT_ROM, NOT_TAKEN, 0, ROM_CONNECT_FAILED, "bsl-protocol 4.1"),
	SEEN(CONNECT_ROM, GARBLED, 0, ROM_CONNECT_FAILED, "bsl-protocol 4.1"),
	ELSE(CONNECT_ROM, ROM_CONNECT_FAILED, "bsl-protocol 4.1"),
	SEEN(START_FDL1, SILENT, 0, FDL1_ADDRESS_REFUSED, "bsl-protocol 14: BROM START"),
	SEEN(START_FDL1, NOT_TAKEN, 0, FDL1_ADDRESS_REFUSED, "bsl-protocol 14: BROM START"),
	SEEN(START_FDL1, GARBLED, 0, FDL1_TRANSFER_FAILED, "device-behaviour 17: F05"),
	CODE(START_FDL1, 0x89, 0, FDL1_ADDRESS_REFUSED, "bsl-protocol 14: BROM START"),
	CODE(START_FDL1, 0x8A, 0, FDL1_ADDRESS_REFUSED, "bsl-protocol 14: BROM START"),
	CODE(START_FDL1, 0x8B, 0, FDL1_TRANSFER_FAILED, "bsl-protocol 14: BROM MIDST"),
	ELSE(START_FDL1, FDL1_ADDRESS_REFUSED, "bsl-protocol 4.1"),
	SEEN(SEND_FDL1, SILENT, WHEN_FIRST, FDL1_ADDRESS_REFUSED, "bsl-protocol 14: BROM START, first MIDST"),
	SEEN(SEND_FDL1, NOT_TAKEN, WHEN_FIRST, FDL1_ADDRESS_REFUSED, "bsl-protocol 14: BROM START, first MIDST"),
	SEEN(SEND_FDL1, SILENT, 0, FDL1_TRANSFER_FAILED, "bsl-protocol 14: BROM MIDST"),
	SEEN(SEND_FDL1, NOT_TAKEN, 0, FDL1_TRANSFER_FAILED, "bsl-protocol 14: BROM MIDST"),
	SEEN(SEND_FDL1, GARBLED, 0, FDL1_TRANSFER_FAILED, "device-behaviour 17: F05"),
	CODE(SEND_FDL1, 0x8A, 0, FDL1_SIZE_REFUSED, "bsl-protocol 14: BROM END"),
	CODE(SEND_FDL1, 0xA6, 0, FDL1_REJECTED, "bsl-protocol 14: BROM END"),
	ELSE(SEND_FDL1, FDL1_TRANSFER_FAILED, "bsl-protocol 14: BROM MIDST"),
	CODE(END_FDL1, 0xA6, 0, FDL1_REJECTED, "bsl-protocol 14: BROM END, A6"),
	CODE(END_FDL1, 0xAA, 0, FDL1_REJECTED, "bsl-protocol 8"),
	CODE(END_FDL1, 0x88, 0, FDL1_SIZE_REFUSED, "bsl-protocol 14: BROM END, 88"),
	CODE(END_FDL1, 0x8A, 0, FDL1_SIZE_REFUSED, "bsl-protocol 14: BROM END, 8A"),
	SEEN(END_FDL1, GONE, 0, FDL1_REJECTED, "device-behaviour 17: F14"),
	SEEN(END_FDL1, SILENT, 0, FDL1_TRANSFER_FAILED, "bsl-protocol 14: BROM MIDST"),
	SEEN(END_FDL1, NOT_TAKEN, 0, FDL1_TRANSFER_FAILED, "bsl-protocol 14: BROM MIDST"),
	SEEN(END_FDL1, GARBLED, 0, FDL1_TRANSFER_FAILED, "device-behaviour 17: F05"),
	ELSE(END_FDL1, FDL1_TRANSFER_FAILED, "bsl-protocol 14: BROM END"),
	CODE(EXEC_FDL1, 0xA6, 0, FDL1_REJECTED, "device-behaviour 17: F14"),
	SEEN(EXEC_FDL1, SILENT, 0, FDL1_SILENT, "device-behaviour 17: F14"),
	SEEN(EXEC_FDL1, NOT_TAKEN, 0, FDL1_TRANSFER_FAILED, "bsl-protocol 14: BROM MIDST"),
	SEEN(EXEC_FDL1, GARBLED, 0, FDL1_TRANSFER_FAILED, "device-behaviour 17: F05"),
	ELSE(EXEC_FDL1, FDL1_REJECTED, "device-behaviour 17: F14"),

	/* FDL1 */
	SEEN(RETURN_FDL1, OTHER, 0, PHONE_SWAPPED, "bsl-protocol 2.5"),
	SEEN(RETURN_FDL1, NOT_BACK, 0, PHONE_NOT_BACK, "bsl-protocol 14: after FDL1 EXEC, port disappears"),
	SEEN(PROBE_FDL1, ROM_AGAIN, 0, PHONE_SWAPPED, "bsl-protocol 14: after FDL1 EXEC, VER CRC16 again"),
	SEEN(PROBE_FDL1, SILENT, 0, FDL1_SILENT, "bsl-protocol 14: after FDL1 EXEC, no VER ever"),
	SEEN(PROBE_FDL1, NOT_TAKEN, 0, FDL1_SILENT, "bsl-protocol 14: after FDL1 EXEC, no VER ever"),
	SEEN(PROBE_FDL1, GARBLED, 0, FDL1_SILENT, "bsl-protocol 14: after FDL1 EXEC, no VER ever"),
	ELSE(PROBE_FDL1, VERSION_UNEXPECTED, "bsl-protocol 14: CHECK_BAUD other text"),
	SEEN(CONNECT_FDL1, SILENT, 0, FDL1_CONNECT_FAILED, "bsl-protocol 4.2"),
	SEEN(CONNECT_FDL1, NOT_TAKEN, 0, FDL1_CONNECT_FAILED, "bsl-protocol 4.2"),
	SEEN(CONNECT_FDL1, GARBLED, 0, FDL1_CONNECT_FAILED, "device-behaviour 17: F05"),
	ELSE(CONNECT_FDL1, FDL1_CONNECT_FAILED, "bsl-protocol 4.2"),
	SEEN(CHARGE, SILENT, 0, FDL1_CONNECT_FAILED, "device-behaviour 17: F13"),
	SEEN(CHARGE, NOT_TAKEN, 0, FDL1_CONNECT_FAILED, "device-behaviour 17: F13"),
	CODE(CHARGE, 0x8B, 0, FDL1_CONNECT_FAILED, "device-behaviour 17: F04"),
	SEEN(START_FDL2, SILENT, 0, FDL2_ADDRESS_REFUSED, "bsl-protocol 14: FDL2 START to FDL1"),
	SEEN(START_FDL2, NOT_TAKEN, 0, FDL2_ADDRESS_REFUSED, "bsl-protocol 14: FDL2 START to FDL1"),
	SEEN(START_FDL2, GARBLED, 0, FDL2_TRANSFER_FAILED, "device-behaviour 17: F05"),
	CODE(START_FDL2, 0x8B, 0, FDL2_TRANSFER_FAILED, "device-behaviour 17: F04"),
	ELSE(START_FDL2, FDL2_ADDRESS_REFUSED, "bsl-protocol 14: FDL2 START to FDL1"),
	SEEN(SEND_FDL2, SILENT, 0, FDL2_TRANSFER_FAILED, "bsl-protocol 14: FDL2 MIDST to FDL1"),
	SEEN(SEND_FDL2, NOT_TAKEN, 0, FDL2_TRANSFER_FAILED, "bsl-protocol 14: FDL2 MIDST to FDL1"),
	SEEN(SEND_FDL2, GARBLED, 0, FDL2_TRANSFER_FAILED, "device-behaviour 17: F05"),
	ELSE(SEND_FDL2, FDL2_TRANSFER_FAILED, "device-behaviour 17: F04, F09"),
	SEEN(END_FDL2, SILENT, 0, FDL2_TRANSFER_FAILED, "bsl-protocol 14: FDL2 MIDST to FDL1"),
	SEEN(END_FDL2, NOT_TAKEN, 0, FDL2_TRANSFER_FAILED, "bsl-protocol 14: FDL2 MIDST to FDL1"),
	SEEN(END_FDL2, GARBLED, 0, FDL2_TRANSFER_FAILED, "device-behaviour 17: F05"),
	ELSE(END_FDL2, FDL2_TRANSFER_FAILED, "bsl-protocol 4.2"),

	/* the start of FDL2 */
	CODE(EXEC_FDL2, 0x8B, 0, FDL2_DAMAGED, "bsl-protocol 14: FDL2 EXEC, 8B; device-behaviour 17: F12"),
	CODE(EXEC_FDL2, 0xA3, 0, CHIP_MISMATCH, "bsl-protocol 14: FDL2 EXEC, A3"),
	CODE(EXEC_FDL2, 0x97, 0, STORAGE_FAILED, "bsl-protocol 14: FDL2 EXEC, 97"),
	CODE(EXEC_FDL2, 0x98, 0, STORAGE_FAILED, "bsl-protocol 14: FDL2 EXEC, 98"),
	CODE(EXEC_FDL2, 0xB4, 0, STORAGE_FAILED, "bsl-protocol 14: FDL2 EXEC, B4"),
	CODE(EXEC_FDL2, 0x84, 0, STORAGE_FAILED, "bsl-protocol 4.3: old FDL2, storage does not start"),
	CODE(EXEC_FDL2, 0x99, 0, SDRAM_PARAMETERS, "bsl-protocol 14: FDL2 EXEC, 99"),
	CODE(EXEC_FDL2, 0x9A, 0, SDRAM_PARAMETERS, "bsl-protocol 14: FDL2 EXEC, 9A"),
	CODE(EXEC_FDL2, 0xA6, 0, FDL2_REJECTED, "bsl-protocol 8"),
	CODE(EXEC_FDL2, 0xAA, 0, FDL2_REJECTED, "bsl-protocol 8"),
	SEEN(EXEC_FDL2, SILENT, 0, FDL2_REJECTED, "bsl-protocol 14: FDL2 EXEC, timeout; device-behaviour 17: F11"),
	SEEN(EXEC_FDL2, NOT_TAKEN, 0, FDL2_TRANSFER_FAILED, "bsl-protocol 14: FDL2 MIDST to FDL1"),
	SEEN(EXEC_FDL2, GONE, 0, FDL2_POWERED_OFF, "device-behaviour 10.2"),
	SEEN(EXEC_FDL2, MALFORMED, 0, CAPABILITY_MALFORMED, "bsl-protocol 6"),
	ELSE(EXEC_FDL2, FDL2_REJECTED, "bsl-protocol 4.3"),

	/* the first commands to FDL2 */
	SEEN(ANY, SILENT, WHEN_UNSPOKEN, FDL2_CRASHED, "bsl-protocol 14: first FDL2 command"),
	SEEN(ANY, NOT_TAKEN, WHEN_UNSPOKEN, FDL2_CRASHED, "bsl-protocol 14: first FDL2 command"),
	CODE(SETUP, 0xB9, 0, HANDSHAKE_REQUIRED, "device-behaviour 17: F57"),
	CODE(UID, 0xB9, 0, HANDSHAKE_REQUIRED, "device-behaviour 17: F57"),
	CODE(TABLE_OPEN, 0xB9, 0, HANDSHAKE_REQUIRED, "device-behaviour 17: F57"),
	CODE(TABLE_OPEN, 0xFE, 0, AUTH_REQUIRED, "bsl-protocol 14: any FDL2 cmd, FE; device-behaviour 17: F56"),
	CODE(TABLE_OPEN, 0x84, 0, NOT_PERMITTED, "device-behaviour 17: F58"),
	CODE(TABLE_READ, 0x8A, 0, READ_SHORT, "bsl-protocol 3.4"),
	SEEN(TABLE_READ, SHORT, 0, READ_SHORT, "bsl-protocol 14: any read, bad length"),
	SEEN(TABLE_OPEN, SILENT, 0, READ_UNANSWERED, "bsl-protocol 5"),
	SEEN(TABLE_READ, SILENT, 0, READ_UNANSWERED, "device-behaviour 17: F21, F53"),
	CODE(TABLE_READ, 0x8B, 0, LINK_CHECK_REFUSED, "bsl-protocol 14: any FDL2 cmd, 8B"),
	ELSE(TABLE_READ, TABLE_UNREADABLE, "bsl-protocol 11.3, 11.4"),

	/* backups */
	SEEN(BACKUP_NV, SHORT, 0, READ_SHORT, "bsl-protocol 14: any read, bad length"),
	SEEN(BACKUP_NV, SILENT, 0, READ_UNANSWERED, "bsl-protocol 11.1"),
	CODE(BACKUP_NV, 0x8B, 0, LINK_CHECK_REFUSED, "bsl-protocol 14: any FDL2 cmd, 8B"),
	CODE(BACKUP_NV, 0xFE, 0, AUTH_REQUIRED, "device-behaviour 17: F56"),
	CODE(BACKUP_NV, 0x80, 0, UNEXPECTED_REPLY, "bsl-protocol 8: replies carry no echo"),
	ELSE(BACKUP_NV, NV_UNREADABLE, "bsl-protocol 14: READ_START, 84; device-behaviour 17: F50"),
	SEEN(BACKUP_FILE, SHORT, 0, READ_SHORT, "bsl-protocol 14: any read, bad length"),
	SEEN(BACKUP_FILE, SILENT, 0, READ_UNANSWERED, "bsl-protocol 11.1"),
	CODE(BACKUP_FILE, 0x8B, 0, LINK_CHECK_REFUSED, "bsl-protocol 14: any FDL2 cmd, 8B"),
	CODE(BACKUP_FILE, 0xFE, 0, AUTH_REQUIRED, "device-behaviour 17: F56"),
	CODE(BACKUP_FILE, 0x80, 0, UNEXPECTED_REPLY, "bsl-protocol 8: replies carry no echo"),
	ELSE(BACKUP_FILE, BACKUP_FAILED, "bsl-protocol 14: READ_START, 84; device-behaviour 17: F51, F52"),

	/* erasing and repartition */
	SEEN(ERASE, SILENT, 0, ERASE_UNANSWERED, "bsl-protocol 14: 0x0A, timeout"),
	CODE(ERASE, 0x8B, 0, LINK_CHECK_REFUSED, "bsl-protocol 14: any FDL2 cmd, 8B"),
	CODE(ERASE, 0xAC, 0, WRITE_PROTECTED, "device-behaviour 17: F47"),
	CODE(ERASE, 0xB3, 0, WRITE_PROTECTED, "bsl-protocol 8"),
	CODE(ERASE, 0x89, 0, ADDRESS_REFUSED, "bsl-protocol 8"),
	CODE(ERASE, 0xFE, 0, UNSUPPORTED_COMMAND, "bsl-protocol 14: any FDL2 cmd, FE"),
	CODE(ERASE, 0x82, 0, UNSUPPORTED_COMMAND, "bsl-protocol 16.2"),
	ELSE(ERASE, ERASE_FAILED, "device-behaviour 17: F44"),
	SEEN(REPARTITION, SILENT, 0, REPARTITION_UNANSWERED, "bsl-protocol 12"),
	CODE(REPARTITION, 0x8B, 0, LINK_CHECK_REFUSED, "bsl-protocol 14: any FDL2 cmd, 8B"),
	CODE(REPARTITION, 0x96, 0, REPARTITION_MALFORMED, "device-behaviour 17: F45"),
	CODE(REPARTITION, 0xAC, 0, WRITE_PROTECTED, "device-behaviour 17: F47"),
	CODE(REPARTITION, 0xB3, 0, WRITE_PROTECTED, "bsl-protocol 8"),
	CODE(REPARTITION, 0xFE, 0, UNSUPPORTED_COMMAND, "bsl-protocol 14: any FDL2 cmd, FE"),
	ELSE(REPARTITION, REPARTITION_REFUSED, "bsl-protocol 14: 0x0B; device-behaviour 17: F46"),
	SEEN(PROVE_TABLE, DIFFERS, 0, TABLE_DIFFERS, "bsl-protocol 12"),
	SEEN(PROVE_TABLE, SILENT, 0, READ_UNANSWERED, "bsl-protocol 11.4"),
	CODE(PROVE_TABLE, 0x8B, 0, LINK_CHECK_REFUSED, "bsl-protocol 14: any FDL2 cmd, 8B"),
	SEEN(PROVE_TABLE, SHORT, 0, READ_SHORT, "bsl-protocol 14: any read, bad length"),
	ELSE(PROVE_TABLE, TABLE_DIFFERS, "bsl-protocol 12"),
	SEEN(ENABLE, SILENT, 0, WRITE_PROTECTED, "device-behaviour 10.9"),
	CODE(ENABLE, 0x8B, 0, LINK_CHECK_REFUSED, "bsl-protocol 14: any FDL2 cmd, 8B"),
	ELSE(ENABLE, WRITE_PROTECTED, "device-behaviour 17: F47"),

	/* writing */
	CODE(START, 0x8A, WHEN_NV, NV_TOO_LARGE, "bsl-protocol 14: START, 8A; device-behaviour 17: F35"),
	CODE(START, 0xAC, 0, WRITE_PROTECTED, "bsl-protocol 14: START, AC"),
	CODE(START, 0x84, WHEN_LK | WHEN_OPENED, STORAGE_WRITE_FAILED, "device-behaviour 7.5; 10.8"),
	CODE(START, 0x84, WHEN_LK, NOT_PERMITTED, "device-behaviour 17: F58"),
	CODE(START, 0x84, 0, STORAGE_WRITE_FAILED, "device-behaviour 7.5"),
	CODE(START, 0x96, WHEN_SINGLE, STORAGE_WRITE_FAILED, "bsl-protocol 16.2"),
	CODE(START, 0x96, 0, ADDRESS_REFUSED, "device-behaviour 17: F30"),
	CODE(START, 0x97, 0, STORAGE_WRITE_FAILED, "device-behaviour 7.5"),
	CODE(START, 0x8D, 0, STORAGE_WRITE_FAILED, "bsl-protocol 16.2"),
	CODE(START, 0xA0, WHEN_NV, NV_CHECKSUM_REFUSED, "bsl-protocol 14: END/last chunk NV, A0"),
	SEEN(SEND, SILENT, WHEN_LAST, WRITE_UNANSWERED, "bsl-protocol 14: MIDST, last chunk, timeout; device-behaviour 17: F36"),
	CODE(SEND, 0x84, WHEN_LAST, SIGNATURE_REFUSED, "bsl-protocol 14: MIDST, last chunk, 84; device-behaviour 17: F37"),
	CODE(SEND, 0xA1, WHEN_NV, NV_CHECKSUM_REFUSED, "device-behaviour 17: F34"),
	CODE(SEND, 0xA2, WHEN_NV | WHEN_LK | WHEN_LAST, NV_CHECKSUM_REFUSED, "device-behaviour 10.11"),
	CODE(SEND, 0xA2, 0, STORAGE_WRITE_FAILED, "bsl-protocol 14: MIDST, A2; device-behaviour 17: F29, F31, F32, F40, F41"),
	CODE(SEND, 0x84, 0, STORAGE_WRITE_FAILED, "device-behaviour 12"),
	SEEN(RAW, SILENT, 0, WRITE_UNANSWERED, "bsl-protocol 14: raw"),
	SEEN(RAW, NOT_TAKEN, 0, PHONE_TIMEOUT, "bsl-protocol 14: raw"),
	CODE(RAW, 0xA2, 0, STORAGE_WRITE_FAILED, "device-behaviour 17: F42"),
	CODE(RAW, 0x84, 0, STORAGE_WRITE_FAILED, "device-behaviour 17: F42"),
	CODE(RAW, 0x8A, 0, SIZE_REFUSED, "bsl-protocol 10"),
	SEEN(END, SILENT, 0, WRITE_UNANSWERED, "bsl-protocol 5"),
	CODE(END, 0x84, 0, END_INCOMPLETE, "bsl-protocol 14: END, 84; device-behaviour 17: F38"),
	CODE(END, 0xA1, WHEN_NV, NV_CHECKSUM_REFUSED, "device-behaviour 12"),
	CODE(END, 0xA2, WHEN_OLD, STORAGE_WRITE_FAILED, "device-behaviour 12"),
	CODE(END, 0xA2, 0, END_FAILED, "device-behaviour 5.6"),
	CODE(END, 0x8B, WHEN_SINGLE, STORAGE_WRITE_FAILED, "bsl-protocol 16.2: read-back CRC of the phone"),
	CODE(END, 0x88, 0, END_INCOMPLETE, "bsl-protocol 8"),
	CODE(END, 0x8A, 0, END_INCOMPLETE, "device-behaviour 13"),

	/* reading back */
	CODE(VERIFY_OPEN, 0xFE, 0, VERIFY_UNREADABLE, "bsl-protocol 14: any FDL2 cmd, FE"),
	SEEN(VERIFY_OPEN, SILENT, 0, READ_UNANSWERED, "bsl-protocol 5"),
	CODE(VERIFY_OPEN, 0x8B, 0, LINK_CHECK_REFUSED, "bsl-protocol 14: any FDL2 cmd, 8B"),
	ELSE(VERIFY_OPEN, VERIFY_UNREADABLE, "bsl-protocol 14: READ_START, 84"),
	SEEN(VERIFY_READ, DIFFERS, 0, VERIFY_MISMATCH, "device-behaviour 17: F43, F59"),
	SEEN(VERIFY_READ, SHORT, 0, READ_SHORT, "bsl-protocol 14: any read, bad length"),
	SEEN(VERIFY_READ, SILENT, 0, READ_UNANSWERED, "bsl-protocol 5"),
	CODE(VERIFY_READ, 0x8B, 0, LINK_CHECK_REFUSED, "bsl-protocol 14: any FDL2 cmd, 8B"),
	CODE(VERIFY_READ, 0x84, 0, VERIFY_UNREADABLE, "device-behaviour 17: F52"),
	CODE(VERIFY_READ, 0x8A, 0, READ_SHORT, "bsl-protocol 3.4"),
	ELSE(VERIFY_READ, READ_FAILED, "device-behaviour 10.12"),

	/* reading for the caller */
	SEEN(READ_OPEN, SILENT, 0, READ_UNANSWERED, "bsl-protocol 5"),
	CODE(READ_OPEN, 0x8B, 0, LINK_CHECK_REFUSED, "bsl-protocol 14: any FDL2 cmd, 8B"),
	CODE(READ_OPEN, 0xFE, 0, UNSUPPORTED_COMMAND, "bsl-protocol 14: any FDL2 cmd, FE"),
	/* that is looked at once, and was at the table: this area is what cannot be read */
	CODE(READ_OPEN, 0x84, WHEN_LK | WHEN_OPENED, READ_FAILED, "device-behaviour 10.8; 17: F50, F51"),
	CODE(READ_OPEN, 0x84, WHEN_LK, NOT_PERMITTED, "device-behaviour 17: F58"),
	ELSE(READ_OPEN, READ_FAILED, "bsl-protocol 14: READ_START, 84; device-behaviour 17: F50, F51"),
	SEEN(READ, SHORT, 0, READ_SHORT, "bsl-protocol 14: any read, bad length"),
	SEEN(READ, SILENT, 0, READ_UNANSWERED, "bsl-protocol 5"),
	CODE(READ, 0x8B, 0, LINK_CHECK_REFUSED, "bsl-protocol 14: any FDL2 cmd, 8B"),
	CODE(READ, 0x8A, 0, READ_SHORT, "bsl-protocol 3.4"),
	ELSE(READ, READ_FAILED, "device-behaviour 17: F52; 10.12"),

	/* the end */
	SEEN(RESET, SILENT, 0, RESET_NOT_DONE, "bsl-protocol 14: 0x05, no ACK"),
	SEEN(RESET, NOT_TAKEN, 0, RESET_NOT_DONE, "bsl-protocol 14: 0x05, no ACK"),
	SEEN(RESET, GARBLED, 0, RESET_NOT_DONE, "bsl-protocol 14: 0x05, no ACK"),
	SEEN(RESET, STAYS, 0, RESET_NOT_DONE, "device-behaviour 17: F60"),
	ELSE(RESET, RESET_NOT_DONE, "device-behaviour 17: F60"),
	SEEN(POWER_OFF, SILENT, 0, RESET_NOT_DONE, "bsl-protocol 14: 0x17, no ACK"),
	SEEN(POWER_OFF, NOT_TAKEN, 0, RESET_NOT_DONE, "bsl-protocol 14: 0x17, no ACK"),
	SEEN(POWER_OFF, GARBLED, 0, RESET_NOT_DONE, "bsl-protocol 14: 0x17, no ACK"),
	ELSE(POWER_OFF, RESET_NOT_DONE, "bsl-protocol 4.6"),

	/* whatever was being done */
	CODE(ANY, 0x8B, 0, LINK_CHECK_REFUSED, "bsl-protocol 14: any FDL2 cmd, 8B; device-behaviour 17: F04"),
	CODE(ANY, 0xFE, WHEN_UNSPOKEN, AUTH_REQUIRED, "device-behaviour 17: F56"),
	CODE(ANY, 0xFE, 0, UNSUPPORTED_COMMAND, "bsl-protocol 14: any FDL2 cmd, FE; device-behaviour 17: F20"),
	CODE(ANY, 0x82, 0, UNSUPPORTED_COMMAND, "bsl-protocol 7"),
	CODE(ANY, 0x83, 0, UNSUPPORTED_COMMAND, "bsl-protocol 7"),
	CODE(ANY, 0x86, 0, DOWNLOAD_STATE_REFUSED, "bsl-protocol 8"),
	CODE(ANY, 0x87, 0, DOWNLOAD_STATE_REFUSED, "bsl-protocol 8"),
	CODE(ANY, 0x88, 0, DOWNLOAD_STATE_REFUSED, "bsl-protocol 8"),
	CODE(ANY, 0x89, 0, ADDRESS_REFUSED, "bsl-protocol 8"),
	CODE(ANY, 0x8A, 0, SIZE_REFUSED, "bsl-protocol 8"),
	CODE(ANY, 0xA2, 0, STORAGE_WRITE_FAILED, "bsl-protocol 8"),
	CODE(ANY, 0xA0, WHEN_NV, NV_CHECKSUM_REFUSED, "bsl-protocol 8"),
	CODE(ANY, 0xA1, 0, STORAGE_WRITE_FAILED, "bsl-protocol 8"),
	CODE(ANY, 0xA6, 0, SIGNATURE_REFUSED, "bsl-protocol 8"),
	CODE(ANY, 0xAA, 0, SIGNATURE_REFUSED, "bsl-protocol 8"),
	CODE(ANY, 0xAC, 0, WRITE_PROTECTED, "bsl-protocol 8"),
	CODE(ANY, 0xB3, 0, WRITE_PROTECTED, "bsl-protocol 8"),
	CODE(ANY, 0xB9, 0, HANDSHAKE_REQUIRED, "bsl-protocol 6.3"),
	CODE(ANY, 0xD1, 0, REPARTITION_REFUSED, "bsl-protocol 8"),
	CODE(ANY, 0xD2, 0, READ_FAILED, "bsl-protocol 8"),
	CODE(ANY, 0x97, 0, STORAGE_FAILED, "bsl-protocol 8"),
	CODE(ANY, 0x98, 0, STORAGE_FAILED, "bsl-protocol 8"),
	CODE(ANY, 0xB4, 0, STORAGE_FAILED, "bsl-protocol 8"),
	ELSE(ANY, UNEXPECTED_REPLY, "bsl-protocol 8"),
	SEEN(ANY, SILENT, 0, PHONE_TIMEOUT, "bsl-protocol 5"),
	SEEN(ANY, NOT_TAKEN, 0, PHONE_TIMEOUT, "device-behaviour 15"),
	SEEN(ANY, GARBLED, 0, LINK_GARBLED, "device-behaviour 17: F05"),
	SEEN(ANY, GONE, 0, DEVICE_VANISHED, "device-behaviour 17: F62"),
	SEEN(ANY, SHORT, 0, READ_SHORT, "bsl-protocol 14: any read, bad length"),
	SEEN(ANY, MALFORMED, 0, UNEXPECTED_REPLY, "bsl-protocol 8"),
	SEEN(ANY, ROM_AGAIN, 0, PHONE_SWAPPED, "bsl-protocol 2.5"),
	SEEN(ANY, OTHER, 0, PHONE_SWAPPED, "bsl-protocol 2.5"),
	SEEN(ANY, NOT_BACK, 0, PHONE_NOT_BACK, "bsl-protocol 2.5"),
	SEEN(ANY, STAYS, 0, RESET_NOT_DONE, "device-behaviour 17: F60"),
	SEEN(ANY, DIFFERS, 0, VERIFY_MISMATCH, "pac-and-flow 5.9"),
};
/* clang-format on */

const struct diagnosis_row *diagnosis_rows(size_t *count)
{
	*count = ARRAY_SIZE(rows);
	return rows;
}

const struct diagnosis_row *diagnose(enum doing doing, enum symptom symptom, int code, unsigned when)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct diagnosis_row *r = &rows[i];

		if ((r->doing == DOING_ANY || r->doing == doing) && r->symptom == symptom &&
		    (r->code == CODE_ANY || r->code == code) && (r->when & when) == r->when)
			return r;
	}
	return &rows[ARRAY_SIZE(rows) - 1];
}

const char *doing_name(enum doing doing)
{
	static const char *const names[DOING_COUNT] = {
		"any",	       "probe-rom",   "detect",	     "connect-rom", "start-fdl1",   "send-fdl1",
		"end-fdl1",    "exec-fdl1",   "return-fdl1", "probe-fdl1",  "connect-fdl1", "keep-charge",
		"start-fdl2",  "send-fdl2",   "end-fdl2",    "exec-fdl2",   "setup",	    "read-uid",
		"table-open",  "table-read",  "backup-nv",   "backup-file", "enable-write", "erase",
		"repartition", "prove-table", "start",	     "send",	    "raw",	    "end",
		"verify-open", "verify-read", "read-open",   "read",	    "reset",	    "power-off",
	};

	return (unsigned)doing < DOING_COUNT ? names[doing] : "any";
}

const char *symptom_name(enum symptom symptom)
{
	static const char *const names[SYMPTOM_COUNT] = {
		"code",	     "silent",	  "not-taken", "garbled",  "gone",  "short",
		"malformed", "rom-again", "other",     "not-back", "stays", "differs",
	};

	return (unsigned)symptom < SYMPTOM_COUNT ? names[symptom] : "code";
}
