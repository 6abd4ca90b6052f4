/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A package (.pac), read in place through a source. pac_open() is quick: structure, header CRC, table, XML,
 * scheme and the first bytes of each image. pac_check() is the long pass over every byte. Order and addresses
 * come from the XML, never from the table (pac-and-flow 1 and 2). A struct pac never changes after
 * pac_open(); a struct pac_body never after pac_check(): both may be read from several threads. Neither keeps
 * the source.
 */
#ifndef FDLD_PAC_PAC_H
#define FDLD_PAC_PAC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "pac/digest.h"
#include "pac/image.h"
#include "pac/nv.h"
#include "pac/scheme.h"
#include "pac/source.h"
#include "pac/sparse.h"

#define PAC_HEADER_SIZE 2124u
#define PAC_ENTRY_SIZE	2580u
#define PAC_ENTRIES_MAX 1024u	   /* the XML entry included */
#define PAC_XML_MAX	(8u << 20) /* bytes */
#define PAC_NAME_MAX	256u

struct pac_header {
	char version[80]; /* "BP_R1.0.0", ... */
	char product[PAC_NAME_MAX], product_version[PAC_NAME_MAX],
		product_alias[PAC_NAME_MAX]; /* cut to fit */
	uint64_t size;			     /* as recorded = the file's length */
	uint32_t entries;		     /* XML entry included */
	uint64_t table_at;		     /* bytes */
	uint32_t mode, flash_type, nand_strategy, nv_backup, nand_page_type;
	uint32_t oma_dm_product, oma_dm, preload;
	bool checked; /* the layout with magic and CRCs */
	bool masked;  /* the file table was masked; mask is its byte */
	uint8_t mask;
	uint16_t crc1, crc2; /* as stored */
	bool crc1_ok;	     /* false only with accept_bad_crc, or in the layout without CRC */
};

/* One row of the table. */
struct pac_entry {
	char id[PAC_NAME_MAX];	 /* empty: the XML or an auxiliary file */
	char name[PAC_NAME_MAX]; /* base name, cleaned; for display and patterns, never a path */
	uint64_t offset, size;	 /* of the payload in the package, bytes */
	uint32_t flag, check_flag;
	bool can_omit;
	uint32_t addr[5]; /* as stored; not to be used for addressing */
	uint32_t addrs;
	bool joined; /* a scheme file uses it */
};

/* One scheme File with what the package has for it, in XML order. */
struct pac_item {
	size_t index;			/* position in the scheme */
	const struct scheme_file *file; /* ID, alias, Type, class, flags, blocks, attributes */
	int entry;			/* row of the table, or -1: the package has none */
	bool ticked;			/* to be flashed: Flag is not 2 and nCheckFlag is set */
	bool can_omit;
	bool has_file;		 /* a payload of at least one byte */
	char name[PAC_NAME_MAX]; /* file name, empty if none */
	uint64_t offset, size;	 /* of the payload in the package, bytes */
	const char *partition;	 /* Block id, "" if by address */
	uint64_t address;	 /* Base of the first block */
	uint64_t block_size;	 /* Size of the first block: erase and read-back length; FourCC of formats */
	bool nv;		 /* ID begins with NV */
	bool backs_up;		 /* read before, write back: see scheme_file_backs_up() */
	struct image_info image; /* kind, signed header, expanded size, ... */
	char label[32];		 /* partition name, or address as 0x%08x: for messages */
};

struct pac_doubt {
	char entry[40]; /* ID or partition; empty: the package as a whole */
	char text[200];
};

struct pac_chip {
	const struct chip_family *family; /* NULL: cannot be told */
	enum sureness sure;
	char reason[6][120];
	size_t reasons;
	struct loader_info fdl1, fdl2;
	char mismatch[200]; /* they are of two families (accept_mismatch let them through); "" no */
};

struct pac_options {
	bool accept_bad_crc;  /* wrong or zero CRCs become doubts */
	bool made;	      /* put together by pac_made() in this process: nobody misses its CRC */
	bool without_loaders; /* its loaders may be missing: they come from elsewhere (swap.h) */
	bool as_is; /* what is written are bytes and nothing else: not sparse, not signed (loaders and NV are)
		     */
	bool accept_mismatch; /* loaders of two different families become a doubt */
	const char
		*product; /* use this product of the XML instead of the header's; NULL: as the header says */
	struct tag_key key; /* for the tags of pac_check(); random where they will be relied on */
};

struct pac;

/*
 * Opens a package. opt may be NULL. 0 and *out (pac_free), or negative errno with *why: PackageSize,
 * PackageNotPac, PackageHeaderCrc, PackageTable, PackageMasked, PackageXml, PackageProduct, PackageScheme,
 * PackageType, PackageEntryMissing, PackageNoLoader, PackageName, PackagePartitions, PackageNv,
 * PackageSparse, PackageImageDamaged, PackageUnsafe, LoaderMismatch, PackageReadFailed, Internal. why->entry
 * names the entry, why->offset the byte in the package, why->detail expected and found.
 */
int pac_open(const struct source *src, const struct pac_options *opt, struct pac **out, struct failure *why);
void pac_free(struct pac *p);

const struct pac_header *pac_header(const struct pac *p);
const struct pac_entry *pac_entries(const struct pac *p, size_t *count);
const struct pac_item *pac_items(const struct pac *p,
				 size_t *count); /* XML order, Flag 2 included (never ticked) */
const struct pac_doubt *pac_doubts(const struct pac *p, size_t *count);
const struct scheme_doc *pac_document(const struct pac *p);
const struct scheme_product *pac_product(const struct pac *p); /* never NULL */
const struct scheme *pac_scheme(const struct pac *p);	       /* never NULL */
const struct pac_chip *pac_chip(const struct pac *p);	       /* never NULL */
/* The family it is named for, by product, version and scheme; its loaders are not asked. NULL: none. */
const struct chip_family *pac_named_for(const struct pac *p);
/* It brings each loader that it needs: false only with without_loaders. */
bool pac_has_loaders(const struct pac *p);
bool pac_two_stage(const struct pac *p);	      /* FlashTypeID >= 1 in the XML */
const struct pac_item *pac_fdl1(const struct pac *p); /* never NULL */
const struct pac_item *pac_fdl2(const struct pac *p); /* NULL for a single-loader product */
/* By ID or alias without case; the first; NULL if none. */
const struct pac_item *pac_item_by_id(const struct pac *p, const char *id);
/* The text of the XML as found, for display; len bytes. */
const char *pac_xml(const struct pac *p, size_t *len);

/* ---- the body ---- */

struct pac_body {
	struct digest_table digest;
	uint8_t sha256[DIGEST_SIZE]; /* of the whole file: names this very content */
	bool crc_ok;		     /* false only with accept_bad_crc, or in the layout without CRC */
	uint16_t crc2;		     /* computed */
	struct sparse_map **map;     /* one for each item; NULL where the image is not sparse or not ticked */
	size_t maps;		     /* = number of items */
	size_t dhtb_checked;	     /* images whose signed hash was found right */
	struct pac_doubt *doubt;
	size_t doubts;
};

/*
 * Told now and then (at least once for each MiB) how far the pass is, bytes of total. Returning false ends it
 * with Cancelled. Called on the thread of pac_check().
 */
typedef bool (*pac_progress)(void *ctx, uint64_t done, uint64_t total);

/*
 * Reads the whole package once, in order: body CRC, SHA-256, chunk tags, hashes of signed images; and walks
 * the sparse images. opt as for pac_open(). progress may be NULL. 0 and *body (pac_body_free); or
 * PackageBodyCrc, PackageSparse, PackageImageDamaged, PackageChanged (no longer the file that was opened),
 * PackageReadFailed, Cancelled, Internal.
 */
int pac_check(const struct pac *p, const struct source *src, const struct pac_options *opt,
	      pac_progress progress, void *ctx, struct pac_body **body, struct failure *why);
void pac_body_free(struct pac_body *body);
/*
 * For a body whose other members were kept from an earlier pac_check(): walks the sparse images again, which
 * reads nothing but their headers. Fails as pac_check() does. keep_going may be NULL.
 */
int pac_body_maps(struct pac_body *body, const struct pac *pac, const struct source *src,
		  bool (*keep_going)(void *), void *ctx, struct failure *why);

/* The extents of a sparse item; NULL if it is not sparse. */
const struct sparse_map *pac_body_map(const struct pac_body *body, const struct pac_item *item);

#endif
