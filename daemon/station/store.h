/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The image store on disk: image/<SHA-256>.pac in the state directory, each with a record <SHA-256>.img of
 * what its one check has found (the tag of every chunk, doubts, names). A package is there when its record
 * is: the file is copied under a temporary name, checked, synced and renamed, then the record is written the
 * same way. What has no record is swept at the next start.
 *
 * Pairs of loaders are kept the same way in loader/, as packages made here that hold the loaders and nothing
 * else: the same pair from two packages is one file. Both stores share one quota.
 *
 * These functions block; they belong on workers, except where "start-up" is said. Any thread.
 */
#ifndef FDLD_STATION_STORE_H
#define FDLD_STATION_STORE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "pac/pac.h"
#include "station/package.h"
#include "station/records.h"

#define STORE_NAME_MAX 256

struct store;

/* Where a pair of loaders comes from. */
struct store_origin {
	char family[24]; /* as far as the whole package told; "" unknown */
	char name[STORE_NAME_MAX], digest[2 * DIGEST_SIZE + 1]; /* of the package; "" it came as files */
	bool forced;	/* though its parts are of two families, or linked elsewhere */
	bool by_number; /* the package spoke of the phone's places by number, not by name */
};

struct store_record {
	char digest[2 * DIGEST_SIZE + 1]; /* SHA-256 of the file, hex */
	char name[STORE_NAME_MAX], product[64], firmware[128];
	uint64_t size, imported_at; /* bytes; usec since 1970 */
	uint32_t uid;
	bool accept_bad_crc;
	struct store_origin loader; /* of a store of loaders; of an image: name of the pair it was given */
	struct pac_body *body;	    /* without sparse maps; NULL once it was handed on */
};
void store_record_clear(struct store_record *rec);
/* The text form. 0 and *text (free() it), or -ENOMEM. */
int store_record_text(const struct store_record *rec, const struct pac_body *body, char **text, size_t *len);
/* text is changed. 0 or -EBADMSG, -ENODATA, -EPROTONOSUPPORT, -ENOMEM; digest is not touched. */
int store_record_parse(char *text, size_t len, struct store_record *rec);

enum store_kind { STORE_IMAGES, STORE_LOADERS };
/* Start-up: makes the folder, sweeps what an interrupted import has left. StateDirectory or Internal. */
int store_open(struct records *records, enum store_kind kind, struct store **out, struct failure *why);
/* Start-up: the two share a quota from now on. */
void store_join(struct store *a, struct store *b);
struct store *store_ref(struct store *store);
void store_unref(struct store *store); /* NULL is fine */
/*
 * Start-up: calls fn for each package of the store, the oldest import first; rec is lent. package NULL: it
 * cannot be used, why says so. A record that cannot be read is shown with what is known. 0 or negative errno.
 */
int store_scan(struct store *store,
	       int (*fn)(void *user, const struct store_record *rec, struct package *package,
			 const struct failure *why),
	       void *user);

/* What is under way; the caller watches `moved` and may set `stop`. */
struct store_work {
	struct store *store;
	void *user;		    /* whose work it is; not looked at here */
	atomic_uint_fast64_t moved; /* bytes; grows while it lives */
	atomic_uint_fast64_t total; /* what moved will be at the end; 0: not known yet (an archive) */
	atomic_bool stop;	    /* ends it with Cancelled, leaving nothing */
	/* import: */
	int fd; /* taken over; closed by the caller of the work */
	char name[STORE_NAME_MAX];
	bool accept_bad_crc;
	/* import into a store of loaders: fd is a package, or, with parts, the first of so many loaders */
	uint32_t parts;
	int second;		     /* -1: none; taken over like fd */
	uint64_t address[2];	     /* of parts */
	char origin[STORE_NAME_MAX]; /* name of the package, to be remembered */
	bool force;		     /* a pair that is none is taken all the same */
	/* import into a store of images: NULL, or the pair that takes the place of the package's loaders */
	struct package *swap; /* a reference, given back by the caller of the work */
	char swap_family[24];
	uint32_t uid;
	uint64_t quota, now;	 /* bytes, UINT64_MAX none; usec since 1970 */
	struct store_record rec; /* out; body NULL */
	struct package *package; /* out: opened, with its body; one reference */
	/* verify, remove: */
	char digest[2 * DIGEST_SIZE + 1];
};
/* Of loaders: PackageNoLoader, LoaderMismatch too. 0 with rec and package; InvalidImage, Package...,
 * QuotaExceeded, StoreFailed, InvalidArgs (the name is another's), NotAuthorized (it is there, and only who
 * brought it gives it another name), Cancelled. */
int store_import(struct store_work *work, struct failure *why);
/* Opens it anew and reads all of it. 0 with package; PackageChanged, PackageReadFailed, Cancelled. */
int store_verify(struct store_work *work, struct failure *why);
/* 0 (also if it is gone already) or StoreFailed. */
int store_remove(struct store_work *work, struct failure *why);

/* unpack.c: */
/* True: the file begins like an archive or a compressed file that unpack() knows. */
bool unpack_wanted(int fd);
/*
 * Writes the one .pac in the archive fd into out, counting bytes into work->moved. room(work, bytes, why) is
 * asked before more of the disk is used. 0 or PackageNotPac (none or several in it, not to be read), ...
 */
int unpack(int fd, int out, struct store_work *work,
	   int (*room)(void *arg, uint64_t bytes, struct failure *why), void *arg, struct failure *why);

#endif
