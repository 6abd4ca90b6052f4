/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A package that is put together here: a header, a file table and an XML of our own around bytes that lie
 * elsewhere. Whatever is written to a phone is a package, be it one image for one partition, and goes through
 * the one parser, plan, gate and verification. Nothing is copied: a read of the package is a read of its
 * part.
 *
 *	struct made_part part[] = {
 *		{ .id = "FDL", .type = "FDL", .address = 0x5000, .source = &fdl1 },
 *		{ .id = "FDL2", .type = "NAND_FDL", .address = 0x9EFFFE00, .source = &fdl2 },
 *		{ .id = "boot_a", .type = "CODE2", .partition = "boot_a", .source = &image },
 *		{ .id = "EraseMisc", .type = "EraseFlash2", .partition = "misc" },
 *	};
 *	struct made_scheme scheme = { .product = "sc9863a", .flash_type = 1 };
 *	pac_made(part, 4, &scheme, &made, &why);
 *	pac_open(made_source(made), &(struct pac_options){ .made = true }, &pac, &why);
 *
 * The order of the parts is the order of the XML, which is the order of the work (the planner moves nothing
 * but what it moves for any package). Layout as in pac-and-flow 1: header, table, the parts' bytes in order,
 * the XML last.
 */
#ifndef FDLD_PAC_MADE_H
#define FDLD_PAC_MADE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "pac/scheme.h"
#include "pac/source.h"

/* One File of the scheme. Texts and the source's ctx are the caller's; texts may go after pac_made(). */
struct made_part {
	const char *id;	  /* ID: at most 63 bytes, not twice (NV images: begins with "NV"; see scheme.h) */
	const char *type; /* as in the XML: "FDL", "NAND_FDL", "CODE2", "YAFFS_IMG2", "NV_COMM",
			     "EraseFlash2", ... */
	const char *partition; /* Block id; NULL: by address */
	uint64_t address;      /* Base, 32 bits unless a partition is named */
	uint64_t size; /* Size of the Block, bytes: length of an erase by address, of an NV; 0 = not given */
	const struct source
		*source;  /* the file's bytes, copied as a struct; NULL: an operation without a file */
	const char *name; /* file name to show; NULL: made from the ID */
	int check_flag;	  /* CheckFlag: 0, 1 (loaders get 1 by themselves), 2 */
	bool backup;	  /* backup="1" */
};

struct made_scheme {
	const char *product; /* names the chip to people and to the guess of its family; at most 127 bytes */
	const char *version; /* free text of the header; NULL: none */
	int flash_type;	     /* FlashTypeID: 0 one loader, 1 two loaders */
	bool nv_backup;	     /* NVBackup backup="1", with the items: */
	const struct scheme_nv_item *nv;
	size_t nvs;
	bool as_is;			  /* for whoever opens it: see pac_options */
	const struct scheme_table *table; /* Partitions, for a repartition; NULL: none */
};

struct made;

/* A run of bytes of the package: of a part, or ours. In order, without gaps or empty ones. */
struct made_extent {
	uint64_t offset, length; /* in the package, bytes */
	int part;		 /* index of the part, whose byte 0 is `offset`; -1: generated */
	const uint8_t *bytes;	 /* generated ones (of the struct made); NULL for a part */
};

/*
 * Makes the package. 0 and *out (made_free), or InvalidArgs (no parts, more than a table holds, an ID that is
 * too long or there twice, an address beyond 32 bits; why->entry names the part), Internal (memory). Whether
 * it makes sense is for pac_open() to say.
 */
int pac_made(const struct made_part *part, size_t parts, const struct made_scheme *scheme, struct made **out,
	     struct failure *why);
void made_free(struct made *m);

/* The package as bytes; valid as long as `m` and the parts' sources. May be read from several threads if they
 * may. */
const struct source *made_source(const struct made *m);

/*
 * Where its bytes come from, so that whoever owns several descriptors can make a reader of his own; at most
 * PAC_ENTRIES_MAX + 2 extents. made_seal() changes the bytes of the first one.
 */
const struct made_extent *made_map(const struct made *m, size_t *count);

/*
 * Reads every part once and puts the CRCs in, for a package that is to be a file on its own: byte 0 to
 * made_source()->size of the source are then a .pac that any tool accepts. Without it the package is of the
 * layout that has no CRC (pac-and-flow 1.3): what pac_check() finds is then proved by tags alone. Before the
 * source is used by others. 0, PackageReadFailed, Internal.
 */
int made_seal(struct made *m, struct failure *why);

#define MADE_NV_ITEMS 16

/*
 * The list of a package for an NV image that comes alone: of the items that are known to be a phone's own
 * (calibration, IMEI, Bluetooth, band, simlock, test results) those that this image has, to be kept from the
 * phone. Only the IMEI has to be in the phone. Goes into made_scheme.nv, with nv_backup. 0 and *count, or
 * PackageNv (no valid NV image), PackageReadFailed, Internal.
 */
int made_nv_items(const struct source *image, struct scheme_nv_item out[MADE_NV_ITEMS], size_t *count,
		  struct failure *why);

/*
 * A table as XML: a <Partitions> element with one row a line, as packages have it; saved to a file it is what
 * made_table_parse() takes. *text is malloc'd, NUL-terminated; *len without the NUL. 0, or -ENOMEM.
 */
int made_table_xml(const struct scheme_table *t, char **text, size_t *len);

/*
 * The table of a file: a document whose root is <Partitions>, or a package's whole XML (then of the product
 * named, or of the only one with a table). 0 and *out (made_table_free); PackageXml, PackagePartitions,
 * PackageName, PackageScheme, PackageProduct as scheme_parse(); PackagePartitions when there is no table in
 * it.
 */
int made_table_parse(const void *data, size_t len, const char *product, struct scheme_table *out,
		     struct failure *why);
void made_table_free(struct scheme_table *t);

#endif
