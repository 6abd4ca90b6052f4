/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What kind of phone: data only. One constant row for each product the tests know; facts from
 * device-behaviour 3-13 and 16, bsl-protocol 2.2 and 3.4, pac-and-flow 6.6 and 7.1. Where a page calls a
 * figure uncertain, the row takes the stricter reading.
 */
#ifndef TESTS_PHONE_PROFILE_H
#define TESTS_PHONE_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum phone_driver { PHONE_MUSB, PHONE_DWC3, PHONE_OTG, PHONE_RTOS };

enum phone_second {		  /* what runs after FDL1 */
		    PHONE_UBOOT,  /* u-boot15 FDL2 */
		    PHONE_LK,	  /* late u-boot and LK: same commands, section 10 */
		    PHONE_NAND,	  /* u-boot15 on NAND, section 7.5 */
		    PHONE_IDS,	  /* old generation with partition ids, section 12 */
		    PHONE_NORIDS, /* feature phones: RTOS engine with 0x80000000/0x90000000 ids
				     (bsl-protocol 16.3, pac-and-flow 5.12) */
		    PHONE_SINGLE, /* RTOS 8850: FDL1 is the only loader, section 13 */
};

enum phone_offer { PHONE_FLAT, PHONE_TLV, PHONE_BARE, PHONE_BARE_ACK }; /* answer to EXEC of FDL2 */

enum phone_store { PHONE_EMMC, PHONE_UFS, PHONE_RAWNAND, PHONE_NOR };

enum phone_verify {
	PHONE_ROM_OPEN, /* ROM checks nothing but that the code fits it */
	PHONE_ROM_END,	/* hash and family at END: A6 */
	PHONE_ROM_EXEC, /* at EXEC: ACK, then silence */
};

enum phone_part_flag {
	PHONE_PART_VERIFIED = 1, /* secure profiles verify it before the write (device-behaviour 9) */
	PHONE_PART_FILLED = 2,	 /* seeded content on a used phone */
	PHONE_PART_EXT4 = 4,	 /* has the ext2 magic on a used phone (prodnv) */
};

struct phone_part {
	const char *name;
	uint64_t size;	/* bytes; UINT64_MAX on the last = rest */
	unsigned flags; /* enum phone_part_flag */
	uint32_t id;	/* id products: 0x80000003 ...; NOR: start address or id */
	uint64_t start; /* NOR and NAND only: byte offset in the flash */
};

struct phone_profile {
	const char *name;     /* "sc9863a" */
	const char *family;   /* "sharkl3": the tag a made loader must carry */
	const char *marks[4]; /* other byte strings by which a real FDL2 of the family is known */
	const char *title;

	/* ROM */
	const char *rom_text;		      /* VER, its NUL is sent too */
	uint32_t rom_window, rom_window_size; /* FDL1 must lie in it */
	uint32_t fdl1_base;		      /* START address of FDL1 (header included) */
	uint32_t fdl2_base;		      /* 0: no second loader */
	uint64_t fdl1_limit;		      /* largest FDL1 in bytes */
	unsigned rom_packet;		      /* largest MIDST payload the ROM survives */
	enum phone_verify rom_verify;
	bool rom_hash;	     /* the ROM checks the DHTB SHA-256 */
	bool rom_link;	     /* code only runs where it was linked: u32 at payload+0x14 must be base+0x200 */
	bool control_needed; /* bulk OUT NAKs before the class request */
	bool autodownload;   /* SPRD4 role: plays ROM and FDL1, content ignored (device-behaviour 11) */
	uint16_t bcd_device;
	uint8_t in_endpoint, out_endpoint;
	uint16_t max_packet;

	/* FDL1 */
	enum phone_driver driver1;
	const char *fdl1_text;
	unsigned fdl1_packet; /* MAX_PKT_SIZE; usable payload is 2 less */
	uint32_t fdl1_window, fdl1_window_size;
	bool second_enumeration; /* FDL1 built with CONFIG_USB_RESET */
	bool dual_spl;		 /* bad FDL2 header hash: 8B at EXEC */
	bool fdl2_hash;		 /* FDL1 verifies FDL2: silence when wrong */

	/* FDL2 */
	enum phone_second second;
	enum phone_driver driver2;
	enum phone_offer offer;
	uint32_t offer_version;
	uint8_t raw_level;
	bool raw_true_end; /* the last raw reply follows the last write (LK) */
	uint32_t flush_kib;
	bool no_hdlc;	    /* 0x21 offered */
	bool leak;	    /* unknown command leaks a packet */
	bool secure;	    /* images of verified partitions must carry a right DHTB hash */
	bool verify_silent; /* new flow: silence; else 0x84 */
	bool slots;	    /* A/B mirroring (LK) */
	bool list;	    /* 0x2D known */
	bool user_hidden;   /* reads of user_partition are refused: no GPT to be had */
	bool sha_uid;
	bool size_names; /* "<any>_size" reads (LK) */
	bool log_self;	 /* uboot_log writes itself */

	/* storage */
	enum phone_store store;
	unsigned sector; /* bytes */
	uint64_t user_bytes;
	uint64_t boot_bytes;   /* each of BOOT1, BOOT2 */
	uint8_t erased;	       /* value of erased bytes */
	uint32_t fixnv_bytes;  /* body */
	uint64_t buffer_bytes; /* regular mode buffer */
	const struct phone_part *parts;
	size_t part_count;

	/* timing, microseconds (device-behaviour 14; estimates where that says so) */
	uint32_t t_reply;		   /* an ordinary command */
	uint32_t t_fdl1;		   /* ROM EXEC ACK to FDL1 listening */
	uint32_t t_fdl2;		   /* EXEC to 0x96 */
	uint32_t t_gone;		   /* length of a re-enumeration */
	uint32_t write_mib_s, erase_mib_s; /* storage speed, MiB per second */
	uint32_t t_end;
	uint32_t t_erase; /* floor of one erase */
	uint32_t t_repartition;
};

/* Rows in a fixed order. */
const struct phone_profile *phone_profiles(size_t *count);
/* NULL if unknown. */
const struct phone_profile *phone_profile_by_name(const char *name);

#endif
