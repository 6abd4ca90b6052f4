/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of an open package share: package.c, package_made.c, package_proof.c, package_read.c. */
#ifndef FDLD_STATION_PACKAGE_INNER_H
#define FDLD_STATION_PACKAGE_INNER_H

#include <pthread.h>

#include "station/package.h"

/* Bytes of the package in memory: PACKAGE_SPAN of them, or what is left at its end, with the tags of its
 * digest chunks. */
#define SPAN_TAGS (PACKAGE_SPAN / DIGEST_CHUNK)
struct span {
	struct span *next;
	uint64_t at;   /* in the package */
	uint64_t used; /* stamp, for the choice of what to drop */
	uint32_t users;
	enum { SPAN_LOADING, SPAN_READY, SPAN_FAILED } state;
	int err;
	uint8_t tag[SPAN_TAGS][TAG_SIZE];
	uint32_t len;
	uint8_t bytes[];
};

/* One file. Reads of it are of any thread. */
struct package_file {
	int fd;
	uint64_t size;	 /* when it was looked at */
	atomic_bool cut; /* a read came to its end before that */
	char name[256];	 /* of a part, to tell which: its file's name, or where it goes */
};

struct package_parts;

struct package {
	atomic_uint refs;
	struct package_file file;    /* fd -1: there are */
	struct package_parts *parts; /* several (package_made.c); NULL: one */
	uint64_t size;
	struct source source;
	struct pac_options options;
	struct pac *pac;
	char loader[2][2 * DIGEST_SIZE + 1];
	_Atomic(struct pac_body *) body;
	atomic_uint_fast64_t checked;
	atomic_bool stop;

	pthread_mutex_t mutex;
	pthread_cond_t loaded;
	struct span *spans;
	uint32_t idle;
	uint64_t stamp;
};

/* A new package without a file, whose key is random. NULL with *why. */
struct package *package_alloc(struct failure *why);
/* How the descriptor was opened: for reading and nothing else. The file system is not asked. */
int package_fd_check(int fd, struct failure *why);
/* What it is: file->size, or InvalidImage. Asks the file system, which may be one that does not answer. */
int package_file_look(struct package_file *file, struct failure *why);
/* The package's size and source: of its file, which is looked at, or as it was made. */
int package_look(struct package *p, struct failure *why);
/* source.read_at of a file; ctx: struct package_file. */
int package_file_read(void *ctx, uint64_t offset, void *buf, size_t len);
/* Closes them aside: a file system may not let go, and that is for a thread to wait for. */
void package_close(const int *fds, size_t count);
/* Exactly len bytes of the package. */
int package_read_at(struct package *p, uint64_t offset, void *buf, size_t len);
/* A read that met the end of a file is a change of that file, not a bad disk. Returns r or what it became. */
int package_name_cut(struct package *p, int r, struct failure *why);
/* SHA-256 of both loaders, for package_loader(). */
int package_name_loaders(struct package *p, struct failure *why);
/* PackageChanged: these bytes of it are others than were checked. */
int package_not_the_same(const struct package *p, uint64_t index, struct failure *why);
/* package_read.c */
void package_spans_free(struct package *p);
/* package_made.c */
void package_parts_free(struct package_parts *parts); /* NULL is fine */
/* Which files have bytes in this range: "boot.img", "boot.img, dtbo.img"; "": none has, they are ours. */
const char *package_parts_at(const struct package_parts *parts, uint64_t offset, uint64_t len, char *buf,
			     size_t size);
/* The first file that turned out to be cut; NULL: none. */
const struct package_file *package_parts_cut(const struct package_parts *parts);

#endif
