/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Makes packages for tests, written from the format's side (pac-and-flow 1 to 3, 6) and sharing nothing with
 * the reader: whole smartphone packages from a scheme and a seed, with images that hurt (flag bytes, zero
 * runs, odd sizes, sparse, signed, NV), and broken ones. Everything is reproducible from the spec. What
 * is handed out is the caller's: free(). Out of memory aborts.
 *
 *	struct compose_spec spec = { .family = "sc9863a", .seed = 7 };
 *	uint8_t *pac; size_t len;
 *	compose_package(&spec, &pac, &len);
 */
#ifndef TESTS_COMPOSE_COMPOSE_H
#define TESTS_COMPOSE_COMPOSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- schemes ---- */

/*
 * A small built-in scheme as XML (malloc'd, NUL-terminated) for "sc9863a", "ums512", "ums9230" (A/B names,
 * SPLLoaderEMMC and SPLLoaderUFS), "ums9620", "ud710", "sc7731g", "sc8830" (addresses), "sc6531efm",
 * "ums9117", "uic8850". NULL: no such family. The partition tables are those of the simulated phones of the
 * same name; NV items asked for are those every simulated phone has.
 */
char *compose_scheme(const char *family);
/* Family names, NULL behind the last. */
const char *compose_family(size_t i);

/* FDLD_DATA (or ../shared/data): the whole of a real file such as "xml/sc9863a.xml", NUL appended; NULL where
 * there is none. */
uint8_t *compose_data(const char *path, size_t *len);

/* text with the first occurrence of `from` (all = every one) replaced by `to`; malloc'd. Aborts when `from`
 * does not occur. */
char *compose_replace(const char *text, const char *from, const char *to, bool all);

/* ---- images ---- */

/* Seeded bytes with many 7E and 7D, runs of zeros and of 0xFF. */
void compose_random(uint64_t seed, void *out, size_t len);
/* An Android boot image (magic, page size) around such bytes; len as it is, at least 2048. */
void compose_boot(uint64_t seed, void *out, size_t len);

/* DHTB header in front (512 bytes), SIMGHDR trailer and certificate of 692 bytes behind; hash right. *len =
 * 512 + body + 692. */
uint8_t *compose_sign(const void *body, size_t body_len, size_t *len);
/* The header in the last 512 bytes instead, as vbmeta has it: total bytes in all, of which the hash covers
 * the first body_len. */
uint8_t *compose_sign_tail(const void *body, size_t body_len, size_t total, size_t *len);

struct compose_sparse {
	uint64_t seed;
	uint32_t block;	 /* bytes; 0 = 4096 */
	uint32_t chunks; /* 0 = 24: RAW, FILL and DONT_CARE in turn, now and then a CRC32 chunk */
	uint64_t gap;	 /* bytes of a DONT_CARE chunk put in the middle; makes the expanded image large */
	const char *break_at; /* NULL, or "magic", "version", "block", "type", "total", "blocks", "count",
				 "fill" */
};
uint8_t *compose_sparse(const struct compose_sparse *spec, size_t *len);
/* Expands a sparse image (holes become `hole` bytes) into malloc'd memory; NULL when it is broken or larger
 * than 256 MiB. */
uint8_t *compose_expand(const uint8_t *sparse, size_t len, uint8_t hole, size_t *expanded);

struct compose_nv {
	uint64_t seed;
	size_t size;	     /* bytes with fill; 0 = 64 KiB */
	const uint16_t *ids; /* items beside 5, 2, 0x179, 0x186, 0x1e4, 0x191, 0x19a, 0x1f0; may be NULL */
	size_t id_count;
	const uint16_t *without; /* items to leave out */
	size_t without_count;
	uint16_t cali; /* version word of item 2; 0 = 0xff0a */
	bool multi;    /* INDX container with two cores */
	bool big_endian;
	bool swap_words;   /* every 32-bit word reversed, as some phones deliver it */
	bool flash_header; /* 512-byte 0x4E56 header in front */
	bool seal;	   /* right CRC in bytes 0 and 1; shipped images have a wrong one */
};
uint8_t *compose_nv(const struct compose_nv *spec, size_t *len);
/* Bytes of data that compose_nv() gives an item: the same for every seed, so that images merge. */
uint16_t compose_nv_len(uint16_t id);
/* The ids that a scheme's NVBackup lists with a number, and the well-known ones it lists by name; malloc'd.
 */
uint16_t *compose_nv_ids(const char *xml, size_t *count);

/* ---- packages ---- */

/* The payload of one ID, instead of a made one. */
struct compose_file {
	const char *id;
	unsigned nth; /* which of several files of that ID, from 0 */
	const void *data;
	size_t len;
	const char *name; /* file name field; NULL = made from the ID */
};

enum compose_damage {
	COMPOSE_WHOLE,
	COMPOSE_TRUNCATE,    /* `amount` bytes (0: 1000) missing at the end */
	COMPOSE_TRAILING,    /* `amount` bytes (0: 1000) too many */
	COMPOSE_FLIP_HEADER, /* one bit at byte `amount` (0: 60) of the header, CRC not mended */
	COMPOSE_FLIP_BODY,   /* one bit in the middle of the payload of `victim` (NULL: the largest), CRC not
				mended */
	COMPOSE_ZERO_CRC,    /* both CRC fields zero */
	COMPOSE_WRONG_BODY_CRC, /* header says another body CRC */
	COMPOSE_NO_MAGIC,	/* magic wiped, CRCs kept */
	COMPOSE_NOT_PAC,	/* version and magic overwritten with text */
	/* from here on the CRCs are right, so that the rule itself is met */
	COMPOSE_COUNT_ZERO,
	COMPOSE_COUNT_HUGE,	/* 0xFFFFFFFF entries */
	COMPOSE_COUNT_MORE,	/* 1000 entries in a file that cannot hold them */
	COMPOSE_TABLE_OUTSIDE,	/* table offset beyond the end */
	COMPOSE_TABLE_INSIDE,	/* table offset within the header */
	COMPOSE_ENTRY_SIZE,	/* first entry says 2576 bytes */
	COMPOSE_OFFSET_OUTSIDE, /* `victim`'s payload leads past the end */
	COMPOSE_OFFSET_WRAP,	/* offset + size wraps around 2^64 */
	COMPOSE_OFFSET_TABLE,	/* payload lies in the table */
	COMPOSE_XML_FIRST,	/* the XML entry is not the last one */
	COMPOSE_LONG_STRINGS,	/* every text field filled to its end, without NUL, with non-ASCII and path
				   parts */
	COMPOSE_GAP,		/* 512 bytes between payloads: only a doubt */
	COMPOSE_MASK_CRC,	/* with masked: wFTCRC is wrong */
	COMPOSE_MASK_SIZE,	/* with masked: the recorded table length is wrong */
};

struct compose_spec {
	const char *family;    /* built-in scheme; used when xml is NULL */
	const char *xml;       /* scheme text, ASCII or UTF-8 */
	size_t xml_len;	       /* 0: strlen */
	const char *product;   /* szPrdName; NULL: name of the first Product */
	const char *version;   /* szPrdVersion */
	const char *container; /* szVersion; NULL: BP_R1.0.0, or BP_R2.0.1 above 4 GiB */
	uint64_t seed;
	const void *fdl1,
		*fdl2; /* loaders; NULL: made, signed, with the right link address for the scheme's Base */
	size_t fdl1_len, fdl2_len;
	size_t image_bytes; /* typical size of a made image; 0 = 20000; they vary and many are odd */
	uint64_t huge; /* the largest image (System, Super or UserData) becomes a plain one of so many bytes:
			  compose_write() only */
	bool multi_nv, sealed_nv;
	bool plain_boot; /* boot chain without signatures */
	bool shuffle;	 /* table order is not scheme order */
	bool old_layout; /* no magic, no CRC */
	bool masked;	 /* table masked with `mask` (0: 0xF8) */
	uint8_t mask;
	bool by_alias;	   /* szFileID holds the alias */
	bool no_addresses; /* dwAddr all zero, as one packer leaves them */
	const struct compose_file *file;
	size_t files;
	const char *untick; /* IDs with nCheckFlag 0, separated by commas */
	const char *leave;  /* IDs without an entry */
	const char *empty;  /* IDs whose file has no bytes */
	enum compose_damage damage;
	uint64_t amount;
	const char *victim;
};

/* The whole package in memory. 0, or -1 when the spec cannot be met (no such family, huge). */
int compose_package(const struct compose_spec *spec, uint8_t **bytes, size_t *len);
/* The same into a file from offset 0 (holes stay holes: needs little space for a huge one); *len: its length.
 * 0 or negative errno. */
int compose_write(const struct compose_spec *spec, int fd, uint64_t *len);

/* The payload that the package of this spec has for the nth file of an ID; NULL if none. Made images only
 * depend on seed and ID. */
uint8_t *compose_payload(const struct compose_spec *spec, const char *id, unsigned nth, size_t *len);

/* CRC-16/ARC, bit by bit: the reference. */
uint16_t compose_crc16(uint16_t crc, const void *data, size_t len);

#endif
