/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What an image is, from its first bytes: signed (DHTB), SIHR, uImage, sparse, NV; and what a loader gives
 * away about the chip it is for (pac-and-flow 6.2 to 6.6).
 */
#ifndef FDLD_PAC_IMAGE_H
#define FDLD_PAC_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "pac/source.h"

#define DHTB_MAGIC  0x42544844u
#define DHTB_HEADER 512u
#define IMAGE_PEEK  1024u /* bytes of an image's start that image_peek() wants to see */

enum image_kind {
	IMAGE_NONE,	/* no file */
	IMAGE_RAW,	/* bytes as they are */
	IMAGE_SPARSE,	/* Android sparse, perhaps behind a DHTB header */
	IMAGE_NV,	/* NV items, one core */
	IMAGE_NV_MULTI, /* NV items, INDX container */
	IMAGE_SIHR,	/* 8850-family signed header */
	IMAGE_UIMAGE,	/* U-Boot image header */
};
const char *
image_kind_name(enum image_kind kind); /* "raw", "sparse", "nv", "nv-multi", "sihr", "uimage", "none" */

/* pac-and-flow 6.2, 6.3. Offsets in bytes from the start of the image. */
struct dhtb_info {
	bool present;
	bool at_end; /* in the last 512 bytes (vbmeta) instead of the first */
	uint32_t version;
	uint8_t hash[32];      /* SHA-256 of the payload, as stored */
	uint64_t address;      /* as stored; often filler */
	uint64_t payload_at;   /* 0x200, or 0 when at_end */
	uint64_t payload_size; /* bytes the hash covers */
	bool is_packed;
	bool signature;	  /* a SIMGHDR trailer follows the payload */
	uint64_t cert_at; /* certificate: offset and size from the trailer; 0 if none */
	uint64_t cert_size;
};

struct image_info {
	enum image_kind kind;
	struct dhtb_info dhtb;
	uint64_t body_at;  /* where the image proper begins: 0x200 behind a DHTB header, else 0 */
	uint64_t expanded; /* bytes on the device if sparse (from its header), else the file's length */
	uint64_t load;	   /* SIHR, uImage: load address from the header; else 0 */
	bool broken;	   /* of an entry that is not ticked: its header makes no sense; not to be flashed */
	bool hollow;	   /* sparse, and all of its chunks are holes: nothing of it is written */
	bool spl_header;   /* carries the eMMC boot header magic at 0x20 (6.5) */
};

/*
 * Parses a DHTB header from 512 bytes. size is the whole image's length. 0; -ENOENT without magic; or
 * PackageImageDamaged (sizes that leave the image) in *why, why->offset in bytes of the image.
 */
int dhtb_parse(const uint8_t header[DHTB_HEADER], uint64_t size, struct dhtb_info *out, struct failure *why);

#define DHTB_TRAILER 0x60u /* bytes behind the payload that tell of a certificate, if there is one */
/*
 * How long the signed image is that begins with this header: payload, and the trailer with its certificate if
 * the DHTB_TRAILER bytes behind the payload (NULL: not read yet) are one. 0 and *len in bytes from the header
 * on; -ENOENT without magic; -ERANGE for more than limit bytes.
 */
int dhtb_length(const uint8_t header[DHTB_HEADER], const uint8_t *trailer, uint64_t limit, uint64_t *len);

/*
 * Looks at the image at [offset, offset + size): a few short reads, whatever its size. vbmeta tells that a
 * header may stand in the last 512 bytes. NV is not told from here (it has no magic); see nv.h. 0,
 * PackageImageDamaged, PackageSparse, PackageReadFailed.
 */
int image_peek(const struct source *src, uint64_t offset, uint64_t size, bool vbmeta, struct image_info *out,
	       struct failure *why);

enum sureness { SURE_NOT, SURE_FAIR, SURE_GOOD, SURE_VERY };
const char *sureness_name(enum sureness s); /* "unknown", "fair", "good", "very good" */

/* One family of chips that share loader addresses (pac-and-flow 7.1). */
struct chip_family {
	const char *name;  /* our name, after the vendor's platform: "sharkl3" */
	const char *chips; /* for people: "SC9863A, SC8581A" */
	uint64_t fdl1;	   /* base; 0 unknown */
	uint64_t fdl2;	   /* base; 0 none or unknown */
	bool single;	   /* one loader only */
	const char *marks; /* texts in loaders and product names, lower case, '|' between */
};
const struct chip_family *chip_family_at(size_t i); /* NULL past the end */
const struct chip_family *chip_family_by_name(const char *name);
/* The family a free text (product name, version) speaks of; the longest mark wins; NULL if none. */
const struct chip_family *chip_family_in_text(const char *text);

struct loader_info {
	bool present;
	uint64_t size; /* bytes of the file */
	uint64_t base; /* load address its link address asks for, header included; 0 unknown */
	enum sureness base_sure;
	const struct chip_family *family; /* from texts inside; NULL unknown */
	char family_text[64];		  /* the text that told, as found */
	enum sureness family_sure;
	char version[64];    /* its VERSION text if it holds one ("Spreadtrum Boot Block version 1.1") */
	bool second_enum;    /* "##PORT-SECOND-ENUM##": it brings up USB anew, the phone leaves and returns */
	bool device_manager; /* "#$DEVICE_MANAGER$#" (OMA DM) */
	bool lk;	     /* FDL2 built on LK rather than U-Boot, as far as texts tell */
	bool a64;	     /* starts with an A64 branch */
	struct dhtb_info dhtb;
};

/*
 * Inspects a loader (at most its first 4 MiB). stage is 1 or 2. 0, or PackageReadFailed, PackageImageDamaged,
 * Internal (memory). Pure evidence, no verdict.
 */
int loader_inspect(const struct source *src, uint64_t offset, uint64_t size, int stage,
		   struct loader_info *out, struct failure *why);

/*
 * Hashes the payload of a DHTB image at [offset, ...) and compares. 0 equal, PackageImageDamaged (both hashes
 * in detail), PackageReadFailed, Internal.
 */
int dhtb_verify(const struct source *src, uint64_t offset, const struct dhtb_info *d, struct failure *why);

#endif
