/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Every fault as a row (device-behaviour 17), then the general ones. */
#include "tests/phone/device.h"

#define I     PHONE_FAULT_INHERENT
#define S     PHONE_FAULT_SCRIPTED
#define N     PHONE_FAULT_BENIGN
#define D     PHONE_FAULT_DEADLY
#define L     PHONE_FAULT_LYING
#define H     PHONE_FAULT_HOST
#define U     PHONE_FAULT_SETUP
#define P     PHONE_FAULT_NAMED
#define R     PHONE_FAULT_REPEATABLE

#define UBOOT "sc9863a ums512 ud710 sprd4-autod nand-9820e sc9832e"
#define LK    "ums9230 ums9620"
#define BOTH  "sc9863a ums512 ud710 sprd4-autod ums9230 ums9620 sc9832e"
#define MUSB  "sc9863a ums512 sprd4-autod ums9230 ums9620 nand-9820e sc9832e"
#define OLD   "sc7731g sc8830"

static const struct phone_fault rows[] = {
	{ "F01", "lost-probe", "first probes after ROM EXEC are lost (for TIME)", I | S | N, NULL },
	{ "F02", "one-version", "several probes, one VER", I | S | N, NULL },
	{ "F03", "long-probe", "DWC3 FDL1 dies of a first transfer that is not one 7E", I | H | D, "ud710" },
	{ "F04", "check-refused", "a byte from the host arrives damaged: 8B, then nothing", I | S | D, NULL },
	{ "F05", "damaged-reply", "a reply byte is damaged on the cable", S, NULL },
	{ "F06", "odd-reply", "odd data reply with unswapped check", I | N, NULL },
	{ "F07", "odd-midst", "odd MIDST with the wrong check order", I | H | D, NULL },
	{ "F08", "address-window", "FDL1 hangs on a START address it does not like", I | S | D, NULL },
	{ "F09", "fdl1-overflow", "FDL1 answers 8A to a MIDST beyond START's size", I | S | R, NULL },
	{ "F10", "silent-exec", "FDL1 never answers EXEC", I | N, NULL },
	{ "F11", "fdl2-signature", "FDL2 refused: silence after EXEC", I | S | D, NULL },
	{ "F12", "fdl2-hash", "header hash of FDL2 wrong: 8B at EXEC", S | D, NULL },
	{ "F13", "fdl1-unknown", "unregistered command in FDL1: crash", I | H | D, NULL },
	{ "F14", "fdl1-signature", "ROM refuses FDL1: A6 at END (with 0) or silence after EXEC (with 1)",
	  I | S | D, NULL },
	{ "F15", "second-enumeration", "the phone re-enumerates after FDL1's EXEC (TIME away)", I | S | N,
	  NULL },
	{ "F16", "offer-form", "96 as flat, tlv, bare or ack", I | S | N, NULL },
	{ "F17", "no-raw", "version 2 without raw mode", I | S | N, UBOOT },
	{ "F18", "mcp-dwc3", "0D on DWC3 eMMC: silence, OUT dead", I | H | D, "ud710" },
	{ "F19", "mcp-musb", "0D on musb eMMC: silence once", I | H | N, MUSB },
	{ "F20", "unknown-command", "a command is answered FE", I | S | N, BOTH },
	{ "F21", "pool", "packet pool exhausted by unknown commands", I | H | D, UBOOT },
	{ "F22", "probe-in-fdl2", "CONNECT or 7E in FDL2", I | H, NULL },
	{ "F23", "two-frames", "second frame of one transfer is lost", I | H | D, NULL },
	{ "F24", "missing-zlp", "transfer of a packet multiple without ZLP does not end", I | H, NULL },
	{ "F25", "stray-zlp", "a surplus ZLP kills DWC3 (scripted: musb FDL2 too)", I | S | H | D, NULL },
	{ "F26", "read-modulo", "musb cuts replies modulo 64 KiB", I | H | R, MUSB },
	{ "F27", "split-reply", "dwc_otg splits replies of 64-multiples", I | N, OLD },
	{ "F28", "dropped-reply", "a reply is dropped after one second", I | S, NULL },
	{ "F29", "absent-emmc", "START to an absent partition is acknowledged", I | N, BOTH },
	{ "F30", "absent-nand", "START to an absent partition: 96", I, "nand-9820e " OLD },
	{ "F31", "too-big", "image beyond the partition: A2 at flush", I, NULL },
	{ "F32", "sparse-fails", "sparse writer fails: A2", I | S | P, BOTH },
	{ "F33", "sparse-sticks", "next sparse image is parsed as a continuation", I | S | P | L, UBOOT },
	{ "F34", "nv-sum", "NV sum refused: A1 (LK A2)", I | S | R, BOTH },
	{ "F35", "nv-size", "NV beyond FIXNV_SIZE: 8A at START", I | S, BOTH },
	{ "F36", "verify-silence", "image refused by the new flow: last MIDST never answered", I | S | P | D,
	  BOTH },
	{ "F37", "verify-84", "image refused by the old flow: 84 at last MIDST", I | S | P, BOTH },
	{ "F38", "early-end", "END says 84: bytes are missing", I | S | P | R, BOTH },
	{ "F39", "lost-tail", "END says 80 though the tail of a large image is lost", I | S | P | L, BOTH },
	{ "F40", "end-after-error", "MIDST A2, then END 80", I | S | P, BOTH },
	{ "F41", "no-backup", "backup partition missing: A2 though the primary is written", I | S | P, BOTH },
	{ "F42", "raw-write-error", "raw mode: A2 in the place of an ACK", S | P | D,
	  "sc9863a ums512 ums9230 ums9620" },
	{ "F43", "raw-short", "short raw piece accepted, stale bytes written", I | S | P | L,
	  "sc9863a ums512 ums9230 ums9620" },
	{ "F44", "erase-no-backup", "ERASE: A2 after the primary is erased", I | S | P, BOTH },
	{ "F45", "table-length", "REPARTITION: 96", I | S, BOTH },
	{ "F46", "table-refused", "REPARTITION: 84, old table stays", I | S, BOTH },
	{ "F47", "write-protect", "START and REPARTITION: AC until 1B", S | U, BOTH },
	{ "F48", "gpt-primary", "primary GPT broken: repaired at the first named access", I | S | U | N,
	  BOTH },
	{ "F49", "nv-one-bad", "one NV copy bad: repaired by the read", I | S | U | N, BOTH },
	{ "F50", "nv-both-bad", "both NV copies bad: 84 at READ_START", I | S | U, NULL },
	{ "F51", "prodnv-blank", "prodnv without ext magic: 84 at READ_START", I | S | U | N, BOTH },
	{ "F52", "read-beyond", "READ_MIDST: 84", I | S | R, BOTH },
	{ "F53", "no-list", "2D: FE (with 0x96: 96, then dead)", S, BOTH },
	{ "F54", "list-unit", "sizes of 2D in 8 KiB units", I | S | N, BOTH },
	{ "F55", "log-packets", "FF packets before replies", I | S | N, LK },
	{ "F56", "auth", "everything but 41, 42, 21 is FE", S | U, LK },
	{ "F57", "handshake", "handshake build: B9", I | S | U, LK },
	{ "F58", "permission", "84 on every START, READ_START, ERASE, REPARTITION", S | U, LK },
	{ "F59", "skip-list", "partition on the skip list: ACKs without effect, reads echo", S | P | L, LK },
	{ "F60", "reset-ignored", "RESET acknowledged, the phone stays", S, NULL },
	{ "F61", "off-waits", "power-off waits for the cable", I | N, NULL },
	{ "F62", "vanish", "the phone disappears (same as unplug)", S | D, NULL },
	{ "F63", "rtos-check", "RTOS: check error resets", I | S, "uic8850 ums9117 sc6531e" },
	{ "F64", "rtos-oversize", "RTOS: oversize packet is dropped silently", I | H,
	  "uic8850 ums9117 sc6531e" },
	{ "F65", "erase-id-0", "old ERASE of id 0 wipes all", I | H, OLD },
	{ "F66", "overlap", "musb FDL1: a transfer during a reply corrupts", I | H | D, MUSB },
	{ "F67", "stale-in", "an old reply waits in the IN FIFO", S | U | N, NULL },
	{ "F68", "left-in-fdl2", "an earlier session left it in FDL2", I | S | U, BOTH },
	{ "F69", "left-plain", "an earlier session left it without escapes", I | S | U, BOTH },
	{ "F70", "slow-flush", "the last MIDST takes TIME", S | N, BOTH },
	{ "U01", "unplug", "the cable is pulled", S | D, NULL },
	{ "U02", "stall", "silence from here on", S | D, NULL },
	{ "U03", "late", "the reply comes TIME later", S, NULL },
	{ "U04", "duplicate", "the reply comes twice", S, NULL },
	{ "U05", "damage", "one bit of the reply is wrong", S, NULL },
	{ "U06", "short", "only half of the reply comes", S, NULL },
	{ "U07", "lose", "executed, but the reply never comes", S, NULL },
	{ "U08", "refuse", "not executed; answered VALUE (84)", S, NULL },
	{ "U09", "fail-write", "storage write error at OFFSET", S | P, NULL },
	{ "U10", "fail-read", "storage read error at OFFSET", S | P, BOTH },
	{ "U11", "fail-erase", "erase error", S | P, BOTH },
	{ "U12", "lie-write", "acknowledged, not stored from OFFSET on", S | P | L, NULL },
	{ "U13", "lie-midst", "one MIDST acknowledged, stored as zeros", S | P | L, BOTH },
	{ "U14", "flip", "one stored bit turns (at OFFSET or anywhere)", S | P | L, NULL },
	{ "U15", "read-buffer", "reads answered from the receive buffer", S | P | L, BOTH },
	{ "U16", "restart", "the phone resets and comes back in ROM", S | D, NULL },
	{ "U17", "boot", "the phone resets and boots normally", S | D, NULL },
	{ "U18", "extra", "an unasked packet VALUE (FF) before the reply", S, NULL },
	{ "U19", "pieces", "replies in transfers of VALUE (60) bytes", S | U | N, NULL },
	{ "U20", "halt", "the endpoint halts", S | D, NULL },
	{ "U21", "proto", "the IN transfer fails with a bus error", S, NULL },
	{ "U22", "babble", "the phone sends more than asked for", S, NULL },
	{ "U23", "deaf", "the control request is never answered", S | D, NULL },
	{ "U24", "swap-uid", "another UID than before", S, BOTH },
	{ "U25", "wrong-type", "answered VALUE (93) instead of executing", S, NULL },
	{ "U26", "slow-storage", "writes VALUE (20) times slower", S | N, NULL },
	{ "U27", "lie-erase", "erase acknowledged, nothing erased", S | P | L, BOTH },
	{ "U28", "nak", "OUT NAKs for TIME", S, NULL },
	{ "U29", "read-short", "half of what was asked for", S, BOTH },
	{ "U30", "garbage", "VALUE (16) random bytes before the reply", S, NULL },
	{ "U31", "lie-repartition", "acknowledged, table unchanged", S | L, BOTH },
	{ "U32", "lie-nv", "NV acknowledged, not stored", S | P | L, BOTH },
	{ "U33", "malformed-offer", "96 with two bytes", S, BOTH },
	{ "U34", "start-error", "FDL2 starts with code VALUE (97), then silence", S | D, NULL },
	{ "U35", "permit", "FDL2 switches the phone off at start", S | D, NULL },
	{ "U36", "no-uid", "UID of zeros", S, BOTH },
};

const struct phone_fault *phone_faults(size_t *count)
{
	*count = sizeof(rows) / sizeof(rows[0]);
	return rows;
}

int ph_fault_row(const char *id)
{
	/* Ids are in order: F01.. then U01.. */
	if ((id[0] == 'F' || id[0] == 'U') && id[1] >= '0' && id[1] <= '9' && id[2] >= '0' && id[2] <= '9' &&
	    !id[3]) {
		size_t at = (size_t)((id[1] - '0') * 10 + id[2] - '0') - 1 + (id[0] == 'U' ? 70 : 0);

		if (at < sizeof(rows) / sizeof(rows[0]) && memcmp(rows[at].id, id, 3) == 0)
			return (int)at;
		return -1;
	}
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strcmp(rows[i].name, id) == 0)
			return (int)i;
	return -1;
}

const struct phone_fault *phone_fault_by_name(const char *name)
{
	int row = ph_fault_row(name);

	return row < 0 ? NULL : &rows[row];
}
