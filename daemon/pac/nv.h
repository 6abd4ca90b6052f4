/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * NV images: the item stream, its multi-core container, checks, and the merge that carries a phone's own
 * calibration and identity into a new image (pac-and-flow 3, bsl-protocol 9.4). Pure functions over memory.
 * An IMEI is only ever copied from the phone; nothing here can make one.
 */
#ifndef FDLD_PAC_NV_H
#define FDLD_PAC_NV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "pac/scheme.h"

#define NV_SIZE_MAX	  (64u << 20) /* bytes of an image; larger is refused */
#define NV_ITEMS_MAX	  65536u      /* in one core */
#define NV_CORES_MAX	  32u
#define NV_FLASH_MAGIC	  0x00004E56u /* raw dumps: 512-byte header in front */
#define NV_FLASH_HEADER	  512u

#define NV_ID_CALIBRATION 0x0002u
#define NV_ID_IMEI	  0x0005u /* 8 bytes */
#define NV_ID_IMEI2	  0x0179u
#define NV_ID_IMEI3	  0x0186u
#define NV_ID_IMEI4	  0x01E4u
#define NV_ID_BLUETOOTH	  0x0191u

struct nv_item {
	uint16_t id;
	uint16_t len;	 /* bytes of data, without the padding to 4 */
	uint32_t offset; /* of the data, from the start of the image */
};

struct nv_core {
	char name[17];	       /* of the INDX row; empty for a single image */
	uint32_t offset, size; /* where its stream lies in the image, bytes */
	struct nv_item *item;
	size_t items;
	uint32_t end;	 /* offset just behind its terminator (or the end of the stream) */
	bool terminated; /* by id 0xFFFF rather than by the end of the file */
};

/* A parsed image: an index over bytes the caller owns and keeps. */
struct nv_image {
	const uint8_t *data;
	size_t len;
	bool big_endian;
	bool multi;
	struct nv_core *core; /* one, unless multi */
	size_t cores;
	uint32_t true_len; /* bytes that carry something; the rest is fill */
};

/*
 * Bytes to skip at the front: 512 when a raw dump's header (u32 0x4E56) stands there, else 0
 * (pac-and-flow 3.4). When *len is given, it receives the length recorded in that header if it is plausible,
 * else what is left.
 */
size_t nv_flash_header(const uint8_t *data, size_t size, size_t *len);

/*
 * Parses an image without a 0x4E56 header. Tries little-endian, then big-endian. data must outlive *img. 0
 * (release with nv_free), or NvInvalid in *why with why->offset at the first bad byte; -ENOMEM as Internal.
 */
int nv_parse(const uint8_t *data, size_t len, struct nv_image *img, struct failure *why);
void nv_free(struct nv_image *img);

/*
 * As a phone may deliver it: undoes, in place, a word swap (every 32-bit word reversed) if only then the
 * image parses. *swapped (may be NULL) tells. len is rounded down to whole words for the swap. Errors as
 * nv_parse().
 */
int nv_parse_device(uint8_t *data, size_t len, struct nv_image *img, bool *swapped, struct failure *why);

/* The item with this id; core = index, or NV_ANY_CORE for the first that has it. NULL if none. *at (may be
 * NULL): core found in. */
#define NV_ANY_CORE SIZE_MAX
const struct nv_item *nv_find(const struct nv_image *img, size_t core, uint16_t id, size_t *at);

/*
 * The vendor's sanity rules (pac-and-flow 3.1): id 5 present with length 8, id 2 with version word
 * 0xFF0A..0xFF0C. modern: an image without id 2 passes, and *doubt (may be NULL) is set. 0, or NvInvalid.
 */
int nv_sane(const struct nv_image *img, bool modern, bool *doubt, struct failure *why);

/* An IMEI item is blank when all its bytes are 0x00 or all are 0xFF. */
bool nv_item_blank(const struct nv_image *img, const struct nv_item *item);

/*
 * Prepares an image for sending: CRC-16/ARC over bytes 2..end stored big-endian at 0..1, then the sum of all
 * bytes modulo 2^32, which goes into START (pac-and-flow 3.2). -EINVAL for less than 4 bytes, -ERANGE when
 * the sum is 0 (never sendable).
 */
int nv_seal(uint8_t *data, size_t len, uint32_t *sum);
/* Sum of all bytes modulo 2^32. */
uint32_t nv_sum(const uint8_t *data, size_t len);
/* Whether the stored CRC is right. Shipped images rarely have a valid one. */
bool nv_crc_ok(const uint8_t *data, size_t len);

enum nv_outcome {
	NV_KEPT,     /* copied from the phone */
	NV_SAME,     /* both were equal already */
	NV_ABSENT,   /* not in the phone, allowed by Continue */
	NV_NO_PLACE, /* in the phone but the new image has no such item; only where nothing but a blank would
			be lost */
	NV_NOT_LISTED,	 /* kept although the package does not ask for it (IMEI) */
	NV_LEFT_PACKAGE, /* backup="0": the package's own value stands */
	NV_FAILED,	 /* the reason the merge failed */
};
const char *nv_outcome_name(
	enum nv_outcome o); /* "kept", "same", "absent", "no-place", "not-listed", "package", "failed" */

struct nv_report_row {
	char name[SCHEME_ID_MAX];
	uint16_t id;
	uint16_t core; /* index in the new image */
	uint32_t len;  /* bytes */
	enum nv_outcome outcome;
};

struct nv_report {
	struct nv_report_row *row;
	size_t rows;
	size_t kept;
};
void nv_report_free(struct nv_report *r);

/*
 * Carries the listed items of the phone's image into the package's image (pac-and-flow 3.3). *out is a new
 * buffer of the package image's length (free()), with the package's CRC untouched: seal it afterwards. Rules:
 *  - an item with backup="1" must be in the phone (else an error unless Continue) and in the package (always
 * an error), with equal lengths;
 *  - Calibration: equal version words, known versions only;
 *  - IMEI: id 5 is mandatory if listed; 0x179, 0x186, 0x1E4 go along where both images have them; a phone's
 * IMEI for which the new image has no place is an error unless it is blank; an IMEI is kept even where the
 * list does not name it;
 *  - core by core for multi-core images, whose counts must match.
 * *report (may be NULL) is filled in either case. 0, NvMergeFailed (entry = item name, detail = id, lengths),
 * Internal.
 */
int nv_merge(const struct nv_image *phone, const struct nv_image *package, const struct scheme_nv_item *list,
	     size_t items, uint8_t **out, struct nv_report *report, struct failure *why);

/*
 * CheckCali (pac-and-flow 5.6): which of enum scheme_cali the image carries an item for. Presence of the item
 * only; the calibrated marks inside are the vendor's secret.
 */
unsigned nv_calibrations(const struct nv_image *img);

/*
 * Compares what was written with what a phone returns: bytes 0..3 (CRC and time stamp) may differ
 * (pac-and-flow 5.9), and a returned image may be longer by fill. 0 equal; else 1 and *offset of the first
 * difference.
 */
int nv_compare(const uint8_t *want, size_t want_len, const uint8_t *got, size_t got_len, size_t *offset);

#endif
