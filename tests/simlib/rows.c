/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/simlib/rows.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define BSL "bsl-protocol 14: "
#define DEV "device-behaviour 17: "

/* a row says only what is special about it */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

/* clang-format off */
static const struct sim_row rows[] = {
	/* the boot ROM */
	{ BSL "CHECK_BAUD no answer", "sc9863a", "stall at probe", ERR_PHONE_SILENT, "rom", "connect" },
	{ BSL "first OUT is never taken", "sc9863a", "nak at control for 3600s", ERR_PHONE_NOT_TAKING, "rom", "connect" },
	{ BSL "CHECK_BAUD other text", "sc9863a", "short at probe *", ERR_VERSION_UNEXPECTED, "rom", "connect" },
	{ BSL "device vanishes within seconds", "sc9863a", "unplug at probe", ERR_PHONE_LEFT, "rom", "connect" },
	{ "bsl-protocol 4.1: CONNECT refused twice", "sc9863a", "refuse at connect * with 0x84", ERR_ROM_CONNECT_FAILED, "rom", "connect" },
	{ BSL "BROM START, 89", "sc9863a", "refuse at start of fdl1 with 0x89", ERR_FDL1_ADDRESS_REFUSED, "rom", "load-fdl1" },
	{ BSL "BROM START, 8A", "sc9863a", "refuse at start of fdl1 with 0x8a", ERR_FDL1_ADDRESS_REFUSED, "rom", "load-fdl1" },
	{ BSL "BROM START, timeout", "sc9863a", "stall at start of fdl1", ERR_FDL1_ADDRESS_REFUSED, "rom", "load-fdl1" },
	{ BSL "BROM START, timeout at the first MIDST", "sc9863a", "stall at midst 1 of fdl1", ERR_FDL1_ADDRESS_REFUSED, "rom", "load-fdl1" },
	{ BSL "BROM MIDST, timeout", "sc9863a", "stall at midst 5 of fdl1", ERR_FDL1_TRANSFER_FAILED, "rom", "load-fdl1" },
	{ BSL "BROM MIDST, 8B", "sc9863a", "F04 at midst 3 of fdl1", ERR_FDL1_TRANSFER_FAILED, "rom", "load-fdl1" },
	{ BSL "BROM END, A6", "ums9230", "F14 with 0", ERR_FDL1_REJECTED, "rom", "load-fdl1" },
	{ BSL "BROM END, 88", "sc9863a", "refuse at end of fdl1 with 0x88", ERR_FDL1_SIZE_REFUSED, "rom", "load-fdl1" },
	{ BSL "BROM END, 8A", "sc9863a", "refuse at end of fdl1 with 0x8a", ERR_FDL1_SIZE_REFUSED, "rom", "load-fdl1" },
	{ DEV "F14 silence after EXEC", "sc9863a", "F14 with 1", ERR_FDL1_SILENT, "fdl1", "start-fdl1" },
	{ DEV "F01 probes lost", "sc9863a", "F01 for 3s", ERR_NONE, NULL, NULL },
	{ DEV "F02 one VER for several probes", "sc9863a", "F02", ERR_NONE, NULL, NULL },

	/* FDL1 */
	{ BSL "after FDL1 EXEC, port disappears: announced", "sc7731g", "F15 for 2s", ERR_NONE, NULL, NULL },
	{ DEV "F15, not announced but possible", "sc9863a", "F15 for 2s", ERR_NONE, NULL, NULL },
	{ DEV "F15, longer than a moment", "sc9863a", "F15 for 9s", ERR_PHONE_NOT_BACK, "fdl1", "start-fdl1" },
	{ "design, promise 9: a departure that no plan spoke of", "uic8850", "F15 for 1s", ERR_DEVICE_VANISHED, "fdl", "start-fdl1" },
	{ BSL "after FDL1 EXEC, port disappears for good", "sc7731g", "F15 for 90s", ERR_PHONE_NOT_BACK, "rom", "start-fdl1" },
	{ BSL "after FDL1 EXEC, VER CRC16 again", "sc7731g", "restart at exec of fdl1", ERR_PHONE_SWAPPED, "fdl1", "start-fdl1" },
	{ "design, promise 9: another phone in the window", "sc7731g", "", ERR_PHONE_SWAPPED, "fdl1", "start-fdl1", ROW_SWAP },
	{ "bsl-protocol 4.2: CONNECT refused", "sc9863a", "refuse at connect 2 with 0x84", ERR_FDL1_CONNECT_FAILED, "fdl1", "connect-fdl1" },
	{ "bsl-protocol 4.2: KEEP_CHARGE never answered", "sc9863a", "stall at charge", ERR_FDL1_CONNECT_FAILED, "fdl1", "keep-charge" },
	{ BSL "FDL2 START to FDL1, timeout", "sc9863a", "F08", ERR_FDL2_ADDRESS_REFUSED, "fdl1", "load-fdl2" },
	{ BSL "FDL2 MIDST to FDL1, timeout", "sc9863a", "stall at midst 4 of fdl2", ERR_FDL2_TRANSFER_FAILED, "fdl1", "load-fdl2" },
	{ DEV "F04 in FDL1", "sc9863a", "F04 at midst 4 of fdl2", ERR_FDL2_TRANSFER_FAILED, "fdl1", "load-fdl2" },
	{ DEV "F09", "sc9863a", "F09 at midst 3 of fdl2", ERR_FDL2_TRANSFER_FAILED, "fdl1", "load-fdl2" },

	/* the start of FDL2 */
	{ BSL "FDL2 EXEC, 8B", "sc9863a", "F12", ERR_FDL2_DAMAGED, "fdl1", "start-fdl2" },
	{ BSL "FDL2 EXEC, timeout", "sc9863a", "F11", ERR_FDL2_REJECTED, "fdl1", "start-fdl2" },
	{ BSL "FDL2 EXEC, 97", "sc9863a", "start-error with 0x97", ERR_STORAGE_FAILED, "fdl1", "start-fdl2" },
	{ BSL "FDL2 EXEC, 98", "sc9863a", "start-error with 0x98", ERR_STORAGE_FAILED, "fdl1", "start-fdl2" },
	{ BSL "FDL2 EXEC, B4", "sc9863a", "start-error with 0xb4", ERR_STORAGE_FAILED, "fdl1", "start-fdl2" },
	{ BSL "FDL2 EXEC, A3", "sc9863a", "start-error with 0xa3", ERR_CHIP_MISMATCH, "fdl1", "start-fdl2" },
	{ BSL "FDL2 EXEC, 99", "sc9863a", "start-error with 0x99", ERR_SDRAM_PARAMETERS, "fdl1", "start-fdl2" },
	{ BSL "FDL2 EXEC, 9A", "sc9863a", "start-error with 0x9a", ERR_SDRAM_PARAMETERS, "fdl1", "start-fdl2" },
	{ BSL "FDL2 EXEC, 96", "sc9863a", "", ERR_NONE, NULL, NULL },
	{ "bsl-protocol 6: a block of two bytes", "sc9863a", "malformed-offer", ERR_CAPABILITY_MALFORMED, "fdl1", "start-fdl2" },
	{ "device-behaviour 10.2: no permit", "ums9230", "permit", ERR_FDL2_POWERED_OFF, "fdl1", "start-fdl2" },
	{ DEV "F57", "ums9230", "F57", ERR_HANDSHAKE_REQUIRED, "fdl1", "start-fdl2" },
	{ DEV "F56", "ums9230", "F56", ERR_AUTH_REQUIRED, "fdl2", "read-table" },
	{ DEV "F58", "ums9230", "F58", ERR_NOT_PERMITTED, "fdl2", "read-table" },
	{ BSL "first FDL2 command, OUT timeout", "sc9863a", "stall at plain", ERR_FDL2_CRASHED, "fdl2", "set-up" },
	{ DEV "F16 tlv", "sc9863a", "F16 with 2", ERR_NONE, NULL, NULL },
	{ DEV "F17", "sc9863a", "F17", ERR_NONE, NULL, NULL },

	/* learning */
	{ BSL "any FDL2 cmd, 8B then silence", "sc9863a", "F04 at read-start of l_fixnv1", ERR_LINK_CHECK_REFUSED, "fdl2", "back-up" },
	{ BSL "any read, bad length", "sc9863a", "read-short at read 1", ERR_READ_SHORT, "fdl2", "read-table" },
	{ BSL "READ_START, 84: NV damaged", "sc9863a", "F50", ERR_NV_UNREADABLE, "fdl2", "resolve" },
	{ "bsl-protocol 8: an ACK to a read is no word on NV", "sc9863a", "refuse at read 1 of l_fixnv1 with 0x80", ERR_UNEXPECTED_REPLY, "fdl2", "back-up" },
	{ "bsl-protocol 8: nor on what else is the phone's own", "sc9863a", "refuse at read 1 of miscdata with 0x80", ERR_UNEXPECTED_REPLY, "fdl2", "back-up", ROW_OTHER_TABLE },
	{ "bsl-protocol 8: answers one behind, a no to something else", "sc8830", "duplicate at midst 19", ERR_UNEXPECTED_REPLY, "fdl2", "back-up" },
	{ "bsl-protocol 8: answers one behind, an ACK of something else", "sc7731g", "duplicate at midst 22", ERR_UNEXPECTED_REPLY, "fdl2", "back-up" },
	{ "pac-and-flow 3.1: no valid NV", "sc9863a", "", ERR_NV_UNREADABLE, "fdl2", "resolve", ROW_NV_BLANK },
	{ "pac-and-flow 3.3: NV of another layout", "sc9863a", "", ERR_NV_MERGE_FAILED, "package", "join-nv", ROW_NV_OTHER },
	{ DEV "F51, table moves", "sc9863a", "F51", ERR_BACKUP_FAILED, "fdl2", "resolve", ROW_OTHER_TABLE },
	{ DEV "F51, nothing moves", "sc9863a", "F51", ERR_NONE, NULL, NULL },
	{ DEV "F48", "sc9863a", "F48", ERR_NONE, NULL, NULL },
	{ DEV "F49", "sc9863a", "F49", ERR_NONE, NULL, NULL },
	{ DEV "F54", "sc9863a", "F54", ERR_NONE, NULL, NULL },
	{ BSL "0x2D, FE", "sc9863a", "F53; fail-read on user_partition", ERR_NONE, NULL, NULL, ROW_ONLY_BOOT },
	{ DEV "F53, 96 and dead", "sc9863a", "F53 with 0x96; fail-read on user_partition", ERR_READ_UNANSWERED, "fdl2", "read-table", ROW_ONLY_BOOT },
	{ DEV "F54, measured", "sc9863a", "F54; fail-read on user_partition", ERR_NONE, NULL, NULL, ROW_ONLY_BOOT },
	{ "bsl-protocol 11.2: sizes by probing", "sc9832e", "", ERR_NONE, NULL, NULL, ROW_OTHER_TABLE },
	{ "bsl-protocol 11.2: sizes in words", "ums9620", "fail-read on user_partition", ERR_NONE, NULL, NULL, ROW_OTHER_TABLE },
	{ "bsl-protocol 11.2: a table that is not there, found by probing", "sc9832e", "lie-repartition", ERR_TABLE_DIFFERS, "fdl2", "repartition", ROW_OTHER_TABLE },
	{ "bsl-protocol 11.2: nothing is shown", "sc9863a", "refuse at read * with 0x84", ERR_TABLE_UNREADABLE, "fdl2", "resolve", ROW_OTHER_TABLE },
	{ "bsl-protocol 11.2: some hang instead", "sc9832e", "stall at read 9", ERR_READ_UNANSWERED, "fdl2", "read-table" },
	{ "bsl-protocol 5: a read is never answered", "sc9863a", "stall at read-start of l_fixnv1", ERR_READ_UNANSWERED, "fdl2", "back-up" },
	{ "pac-and-flow 9: another storage", "ums9620", "", ERR_STORAGE_MISMATCH, "fdl2", "resolve", 0, "SPLLoaderUFS" },
	{ "pac-and-flow 9: incompatible partition", "sc9863a", "", ERR_REPARTITION_NOT_ALLOWED, "fdl2", "resolve", ROW_NEVER | ROW_NO_BOOT },
	{ "design, promise 6: the gate", "sc9863a", "", ERR_PACKAGE_BODY_CRC, "fdl2", "check-package", ROW_GATE },

	{ "pac-and-flow 6.2: an unticked entry that was named", "sc9863a", "", ERR_NONE, NULL, NULL, ROW_UNTICKED, "SPLLoader" },
	{ "pac-and-flow 6.2: a damaged one", "sc9863a", "", ERR_PACKAGE_IMAGE_DAMAGED, "package", "check-entry", ROW_UNTICKED | ROW_DAMAGED, "SPLLoader" },
	{ "pac-and-flow 6.1: an unticked sparse one", "sc9863a", "", ERR_NONE, NULL, NULL, ROW_UNTICKED, "System" },
	{ "pac-and-flow 6.1: a damaged one", "sc9863a", "", ERR_PACKAGE_SPARSE, "package", "check-entry", ROW_UNTICKED | ROW_DAMAGED, "System" },

	/* erasing, table */
	{ DEV "F44", "sc9863a", "F44 on uboot", ERR_ERASE_FAILED, "fdl2", "erase" },
	{ BSL "0x0A, timeout", "sc9863a", "stall at erase", ERR_ERASE_UNANSWERED, "fdl2", "erase" },
	{ "bsl-protocol 9.5: erase_all never answered", "sc9863a", "stall at erase", ERR_ERASE_UNANSWERED, "fdl2", "erase-all", ROW_ERASE_ALL },
	{ DEV "F46", "sc9863a", "F46", ERR_REPARTITION_REFUSED, "fdl2", "repartition", ROW_OTHER_TABLE },
	{ BSL "0x0B, D1", "ums9230", "refuse at repartition with 0xd1", ERR_REPARTITION_REFUSED, "fdl2", "repartition", ROW_OTHER_TABLE },
	{ DEV "F45", "sc9863a", "F45", ERR_REPARTITION_MALFORMED, "fdl2", "repartition", ROW_OTHER_TABLE },
	{ "bsl-protocol 12: never answered", "sc9863a", "stall at repartition", ERR_REPARTITION_UNANSWERED, "fdl2", "repartition", ROW_OTHER_TABLE },
	{ "bsl-protocol 12: acknowledged, not done", "sc9863a", "lie-repartition", ERR_TABLE_DIFFERS, "fdl2", "repartition", ROW_OTHER_TABLE },

	/* writing */
	{ DEV "F47", "sc9863a", "F47", ERR_NONE, NULL, NULL },
	{ DEV "F47, and refused although it was enabled", "sc9863a", "F47; refuse at start * of boot with 0xac", ERR_WRITE_PROTECTED, "fdl2", "write" },
	{ BSL "START, AC", "sc9863a", "refuse at start * of boot with 0xac", ERR_WRITE_PROTECTED, "fdl2", "write" },
	{ BSL "START, 8A", "sc9863a", "F35", ERR_NV_TOO_LARGE, "fdl2", "write-nv" },
	{ "bsl-protocol 8: 8A", "sc9863a", "refuse at start of boot with 0x8a", ERR_SIZE_REFUSED, "fdl2", "write" },
	{ "bsl-protocol 8: 89", "sc9863a", "refuse at start of boot with 0x89", ERR_ADDRESS_REFUSED, "fdl2", "write" },
	{ "bsl-protocol 8: 86", "sc9863a", "refuse at midst of boot with 0x86", ERR_DOWNLOAD_STATE_REFUSED, "fdl2", "write" },
	{ BSL "any FDL2 cmd, FE", "sc9863a", "refuse at start of boot with 0xfe", ERR_UNSUPPORTED_COMMAND, "fdl2", "write" },
	{ DEV "F30", "nand-9820e", "refuse at start of boot with 0x96", ERR_ADDRESS_REFUSED, "fdl2", "write" },
	{ BSL "MIDST, A2", "sc9863a", "fail-write on boot", ERR_STORAGE_WRITE_FAILED, "fdl2", "write" },
	{ DEV "F40", "sc9863a", "F40 on boot", ERR_STORAGE_WRITE_FAILED, "fdl2", "write" },
	{ DEV "F41", "ums512", "F41 on uboot", ERR_STORAGE_WRITE_FAILED, "fdl2", "write" },
	{ DEV "F32", "sc9863a", "F32 on system", ERR_STORAGE_WRITE_FAILED, "fdl2", "write" },
	{ BSL "MIDST, last chunk, 84", "sc9863a", "F37 on boot", ERR_SIGNATURE_REFUSED, "fdl2", "write" },
	{ BSL "MIDST, last chunk, timeout", "sc9863a", "F36 on boot", ERR_WRITE_UNANSWERED, "fdl2", "write" },
	{ "bsl-protocol 16.2: AA", "ums9117", "refuse at end of boot0 with 0xaa", ERR_SIGNATURE_REFUSED, "fdl2", "write" },
	{ BSL "END, 84", "sc9863a", "F38 on boot", ERR_END_INCOMPLETE, "fdl2", "write" },
	{ "device-behaviour 5.6: END, A2", "sc9863a", "refuse at end of boot with 0xa2", ERR_END_FAILED, "fdl2", "write" },
	{ BSL "END/last chunk NV, A1", "sc9863a", "F34", ERR_NV_CHECKSUM_REFUSED, "fdl2", "write-nv" },
	{ BSL "END/last chunk NV, A2 of LK", "ums9620", "F34", ERR_NV_CHECKSUM_REFUSED, "fdl2", "write-nv" },
	{ "device-behaviour 17: F42", "sc9863a", "F42 on boot", ERR_STORAGE_WRITE_FAILED, "fdl2", "write", ROW_RAW },
	{ BSL "raw, stall after a block", "sc9863a", "stall at chunk of boot", ERR_WRITE_UNANSWERED, "fdl2", "write", ROW_RAW },
	{ DEV "F70", "sc9863a", "F70 on boot for 120s", ERR_NONE, NULL, NULL },
	{ BSL "MIDST super, timeout part-way", "sc9863a", "stall at midst 1 of boot", ERR_PHONE_TIMEOUT, "fdl2", "write", ROW_LARGE },
	{ DEV "F55", "ums9230", "F55", ERR_NONE, NULL, NULL },
	{ DEV "F63", "uic8850", "F63 at midst 2 of ap", ERR_DEVICE_VANISHED, "fdl", "write" },

	/* reading back */
	{ DEV "F59", "ums9230", "F59 on boot_a", ERR_VERIFY_MISMATCH, "fdl2", "verify", ROW_VERIFIED },
	{ "issue 2.5: a phone that answers from its buffer", "sc9863a", "read-buffer on boot", ERR_VERIFY_MISMATCH, "fdl2", "verify", ROW_VERIFIED },
	{ "promise 1: acknowledged, not stored", "sc9863a", "lie-write on boot", ERR_VERIFY_MISMATCH, "fdl2", "verify", ROW_VERIFIED },
	{ "promise 1: NV acknowledged, not stored", "sc9863a", "lie-nv", ERR_VERIFY_MISMATCH, "fdl2", "verify" },
	{ DEV "F52", "sc9863a", "fail-read on boot", ERR_VERIFY_UNREADABLE, "fdl2", "verify", ROW_VERIFIED },
	{ DEV "F52, answered once", "sc9863a", "F52 at read of boot", ERR_VERIFY_UNREADABLE, "fdl2", "verify", ROW_VERIFIED },
	{ "device-behaviour 10.12: D2", "ums9620", "refuse at read * of boot with 0xd2", ERR_READ_FAILED, "fdl2", "verify", ROW_VERIFIED },

	/* the end */
	{ DEV "F60", "sc9863a", "F60", ERR_RESET_NOT_DONE, "fdl2", "reset" },
	{ BSL "0x05, no ACK, disconnect", "sc9863a", "boot at reset", ERR_NONE, NULL, NULL },
	{ DEV "F61", "sc9863a", "", ERR_NONE, NULL, NULL, ROW_POWER_OFF },

	/* at any time */
	{ DEV "F05 of a write", "sc9863a", "damage at midst of boot", ERR_LINK_GARBLED, "fdl2", "write" },
	{ "bsl-protocol 8: an answer to something else", "sc9863a", "wrong-type at midst of boot with 0x93", ERR_UNEXPECTED_REPLY, "fdl2", "write" },
	{ BSL "session, cable pulled", "sc9863a", "unplug at midst of boot", ERR_DEVICE_VANISHED, "fdl2", "write" },
	{ BSL "session, LIBUSB_ERROR_PIPE", "sc9863a", "halt at midst of boot", ERR_USB_STALL, "fdl2", "write" },
	{ BSL "session, transfer error", "sc9863a", "proto at midst of boot", ERR_USB_IO, "fdl2", "write" },
	{ "dbus-daemon-practice 8: overflow", "sc9863a", "babble at midst of boot", ERR_USB_BABBLE, "fdl2", "write" },
	{ BSL "open, control request never answered", "sc9863a", "deaf at control", ERR_USB_OPEN_TIMEOUT, "", "" },
	{ DEV "F67", "sc9863a", "F67", ERR_NONE, NULL, NULL },
	{ DEV "F68: nobody knows", "sc9863a", "F68", ERR_STAGE_UNKNOWN, "rom", "connect", ROW_FOUND },
	{ DEV "F68: a session was broken off in it", "sc9863a", "F68", ERR_STAGE_UNKNOWN, "fdl2", "connect", ROW_FOUND | ROW_KNOWN | ROW_DIRTY },
	{ DEV "F68: our record says so", "sc9863a", "F68", ERR_NONE, NULL, NULL, ROW_FOUND | ROW_KNOWN },
	{ BSL "session, cable pulled while the line is drained", "sc9863a", "F68", ERR_PHONE_LEFT, "rom", "connect", ROW_FOUND | ROW_KNOWN | ROW_UNPLUG },
	{ DEV "F69: nobody knows that it is plain", "sc9863a", "F69", ERR_STAGE_UNKNOWN, "rom", "connect", ROW_FOUND },
	{ DEV "F69: our record says so", "sc9863a", "F69", ERR_NONE, NULL, NULL, ROW_FOUND | ROW_KNOWN | ROW_PLAIN },
};
/* clang-format on */

const struct sim_row *sim_rows(size_t *count)
{
	*count = sizeof(rows) / sizeof(rows[0]);
	return rows;
}

struct row_run {
	const struct sim_row *row;
	struct scenario sc;
	struct plan_options options;
	struct plan *plan;
	struct phone *phone, *other;
	struct sim_tally *tally;
	char *text;
	size_t size;
};

static void watch(void *arg, const struct session *s, const struct want *w, uint32_t number)
{
	struct row_run *r = arg;

	(void)w;
	(void)number;
	if (r->tally)
		tally_step(r->tally, session_progress(s)->step, false);
}

/* The phone's table without one of the entries that are written. */
static bool drop_boot(struct scenario *s)
{
	s->parts = calloc(s->profile->part_count, sizeof(*s->parts));
	if (!s->parts)
		return false;
	for (size_t i = 0; i < s->profile->part_count; i++)
		if (strcmp(s->profile->parts[i].name, "boot") != 0)
			s->parts[s->part_count++] = s->profile->parts[i];
	return true;
}

static bool prepare(struct row_run *r)
{
	const struct sim_row *row = r->row;
	struct scenario_want want = {
		.other_table = row->how & ROW_OTHER_TABLE,
		.large = row->how & ROW_LARGE,
		.huge = row->how & ROW_RAW,
		.nv_blank = row->how & ROW_NV_BLANK,
		.untick = row->how & ROW_UNTICKED ? row->without : NULL,
		.damaged = row->how & ROW_DAMAGED,
	};
	struct failure why = { 0 };
	const char *reason = "";
	int rc = scenario_make(4, phone_profile_by_name(row->profile), &want, &r->sc, &why);

	r->options.level = row->how & ROW_VERIFIED ? LEVEL_VERIFIED : LEVEL_ACKNOWLEDGED;
	r->options.raw = row->how & ROW_RAW;
	r->options.erase_all = row->how & ROW_ERASE_ALL;
	r->options.repartition = row->how & ROW_NEVER ? REPARTITION_NEVER : REPARTITION_ON_MISMATCH;
	r->options.end = row->how & ROW_POWER_OFF ? END_POWER_OFF : END_RESET;
	if (row->how & ROW_UNTICKED) {
		snprintf(r->options.only[0], sizeof(r->options.only[0]), "%s", row->without);
		r->options.only_count = 1;
	} else if (row->without) {
		snprintf(r->options.without[0], sizeof(r->options.without[0]), "%s", row->without);
		r->options.without_count = 1;
	}
	if (row->how & ROW_ONLY_BOOT) {
		snprintf(r->options.only[0], sizeof(r->options.only[0]), "boot");
		r->options.only_count = 1;
	}
	if (!rc && row->how & ROW_NO_BOOT && !drop_boot(&r->sc))
		rc = -12;
	if (!rc && row->how & ROW_NV_OTHER)
		r->sc.nv_phone[4 + 4 + 6020 + 2] = 9; /* an item of another length */
	if (!rc)
		rc = plan_compile(r->sc.package.pac, &r->options, &r->plan, &why);
	if (!rc)
		r->phone = scenario_phone(&r->sc, 4, row->faults, &reason);
	if (!rc && r->phone && row->how & ROW_SWAP)
		r->other = scenario_phone(&r->sc, 5, "", &reason);
	if (!r->phone)
		snprintf(r->text, r->size, "can not be set up: %s %s", why.detail, reason);
	return r->phone != NULL;
}

static bool judge(struct row_run *r, const struct sim_outcome *o)
{
	const struct sim_row *row = r->row;
	const char *name = o->failure.error ? error_entry(o->failure.error)->name : "none";
	char what[160];

	if (o->broken[0]) {
		snprintf(r->text, r->size, "%s", o->broken);
	} else if (row->error == ERR_NONE && !o->pass) {
		snprintf(r->text, r->size, "should pass, but %s in %s, %s: %s", name, o->failure.stage,
			 o->failure.step, o->failure.detail);
	} else if (row->error == ERR_NONE &&
		   !scenario_holds(&r->sc, &r->options, r->phone, what, sizeof(what))) {
		snprintf(r->text, r->size, "passed, but %s", what);
	} else if (o->failure.error != row->error) {
		snprintf(r->text, r->size, "should end with %s, not %s in %s, %s: %s",
			 error_entry(row->error)->name, o->pass ? "PASS" : name, o->failure.stage,
			 o->failure.step, o->failure.detail);
	} else if (row->stage &&
		   (strcmp(o->failure.stage, row->stage) || strcmp(o->failure.step, row->step))) {
		snprintf(r->text, r->size, "%s, but in %s, %s instead of %s, %s", name, o->failure.stage,
			 o->failure.step, row->stage, row->step);
	} else if (row->error &&
		   (!error_entry(row->error)->cause[0] || !error_entry(row->error)->remedy[0])) {
		snprintf(r->text, r->size, "%s has no cause or no remedy", name);
	} else {
		return true;
	}
	return false;
}

bool sim_row_run(const struct sim_row *row, struct sim_tally *tally, FILE *trace, char *text, size_t size)
{
	struct row_run r = { .row = row, .tally = tally, .text = text, .size = size };
	struct sim_outcome o = { 0 };
	bool good = false;

	text[0] = 0;
	if (prepare(&r)) {
		struct sim_config c = {
			.phone = r.phone,
			.package = &r.sc.package.source,
			.session = { .plan = r.plan, .arrival_seen = !(row->how & ROW_FOUND), .job = 1 },
			.swap = r.other,
			.seed = 4,
			.cut = true,
			.fetch_usec = 500,
			.store_usec = 1000,
			.trace = trace,
			.watch = watch,
			.watch_arg = &r,
		};

		if (row->how & ROW_KNOWN) {
			c.session.record = (struct port_record){ .known = true,
								 .dirty = row->how & ROW_DIRTY };
			c.session.record.plain_framing = row->how & ROW_PLAIN;
			snprintf(c.session.record.stage, sizeof(c.session.record.stage), "fdl2");
		}
		c.breaks.gate_fails = row->how & ROW_GATE;
		c.breaks.unplug_at = row->how & ROW_UNPLUG ? 1 : 0;
		phone_plug(r.phone, 0);
		if (sim_run(&c, &o))
			snprintf(text, size, "could not be run");
		else
			good = judge(&r, &o);
		if (tally)
			tally_attempt(tally, &o, r.phone);
	}
	sim_outcome_free(&o);
	phone_free(r.phone);
	phone_free(r.other);
	plan_free(r.plan);
	scenario_free(&r.sc);
	return good;
}
