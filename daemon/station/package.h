/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An open package as threads share it: the descriptor, the parsed package, the digests of its whole-file
 * check, and a small cache of what was read and proved. Counted, so that a thread left behind in a
 * read that never returns holds nothing but its own reference.
 */
#ifndef FDLD_STATION_PACKAGE_H
#define FDLD_STATION_PACKAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "pac/digest.h"
#include "pac/made.h"
#include "pac/pac.h"

struct package;
struct span; /* of it, in memory */

/* Bounds what a file of holes can make us allocate (32 bytes a chunk); real packages have a tenth of it. */
#define PACKAGE_SIZE_MAX (UINT64_C(128) << 30)

/* Takes fd. Only how it was opened is looked at (InvalidImage), the file system is not asked. NULL with *why.
 */
struct package *package_new(int fd, bool accept_bad_crc, struct failure *why);
/* Before package_parse(): a package whose loaders are missing is taken; a plan finds others (pac/pac.h). */
void package_lenient(struct package *p);
/* A part of a package that is put together here; it has bytes, or a file, or is an operation without one. */
struct package_part {
	struct made_part made; /* its source is not looked at; texts may go afterwards */
	void *bytes;	       /* malloc'd, of this size; or NULL, and */
	uint64_t size;
	int fd; /* all of this file; or -1 */
};
/*
 * On a worker: a package that is made of parts, whose files stay theirs: what holds for the file of a package
 * holds for each of them. Takes bytes and descriptors, also on failure. 0 and *out, then package_parse(); or
 * InvalidImage (not opened for reading only, no file, empty, too large: the detail names it), and what
 * pac_made() says.
 */
int package_make(struct package_part *part, size_t parts, const struct made_scheme *scheme,
		 struct package **out, struct failure *why);
struct package *package_ref(struct package *p);
void package_unref(struct package *p); /* NULL is fine; any thread */

uint64_t package_size(const struct package *p);
/* On a worker. 0, then package_pac(); or negative errno with *why. */
int package_parse(struct package *p, struct failure *why);
const struct pac *package_pac(const struct package *p); /* NULL before package_parse() */
/* SHA-256 in hex of the first (1) or second (2) loader's file as it was when the package was opened; "" none.
 */
const char *package_loader(const struct package *p, int which);
/* On a worker: the whole-file check. 0, then package_body(). package_stop() ends it with Cancelled. */
int package_check(struct package *p, struct failure *why);
/* The same where somebody else looks on: adds the bytes to *at, ends with Cancelled once *stop is true. */
int package_check_told(struct package *p, atomic_uint_fast64_t *at, const atomic_bool *stop,
		       struct failure *why);
void package_stop(struct package *p);		   /* any thread */
uint64_t package_checked(const struct package *p); /* bytes so far; any thread */
/* NULL until the check has passed. Never changes afterwards; any thread. */
const struct pac_body *package_body(const struct package *p);

/*
 * Instead of parse and check, for bytes that were checked before: takes body, which lacks its sparse maps.
 * What is read of the file here is proved by it, and so is its end; the rest is proved as it is read. 0; or
 * PackageChanged, PackageReadFailed, Internal ...
 */
int package_restore(struct package *p, struct pac_body *body, struct failure *why);
/*
 * On a worker, of a package that has its body: reads the file from its first byte to its last and compares.
 * at: bytes so far, stop: ends it with Cancelled; both of any thread. 0 or PackageChanged, PackageReadFailed.
 */
int package_prove(struct package *p, atomic_uint_fast64_t *at, const atomic_bool *stop, struct failure *why);

/*
 * One reader of a package: what it read before the digests were there, to be proved when they are. Belongs to
 * the job's reader thread, except package_reader_prove().
 */
#define READER_EARLY_MAX 64
struct package_reader {
	struct package *package;
	uint32_t early_count;
	bool early_full; /* more was read than can be remembered: it cannot be proved */
	struct {
		uint64_t index;
		uint8_t tag[TAG_SIZE];
	} early[READER_EARLY_MAX];
};

/* Bytes that are read at once and kept together, whole digest chunks: so many that most pieces that phones
 * take lie in one. */
#define PACKAGE_SPAN (4u * DIGEST_CHUNK)

/*
 * On a reader thread: exactly len bytes of the file from offset, whole spans of it read and, once the
 * digests are there, compared. PackageChanged (not the bytes that were checked, or the file was cut),
 * PackageReadFailed (errno in detail; anywhere in the span).
 */
int package_reader_read(struct package_reader *r, uint64_t offset, void *buf, size_t len,
			struct failure *why);
/*
 * On any thread, without waiting for a disk: bytes that are in memory and proved, as they lie there, until
 * package_return(), which must come before the last package_unref(). NULL: they are not, or not in one span.
 */
const uint8_t *package_lend(struct package *p, uint64_t offset, size_t len, struct span **loan);
void package_return(struct package *p, struct span *loan);
/* The same as a copy, also out of several spans. False: ask package_reader_read(). */
bool package_try(struct package *p, uint64_t offset, void *buf, size_t len);
/*
 * On a reader thread: has the span at this offset read and hashed for whoever wants it next. A failure is
 * met again, and told, by that one. Offsets outside do nothing.
 */
void package_warm(struct package *p, uint64_t offset);
/*
 * Any thread: every span from offset to end is there, or is being read; such stay a while longer. What lies
 * outside counts as there.
 */
bool package_is_warm(struct package *p, uint64_t offset, uint64_t end);
/* With the digests there and no read going on: what was read before them was the same. 0 or PackageChanged.
 */
int package_reader_prove(struct package_reader *r, struct failure *why);

#endif
