/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Loaders into their store: out of a package, which is checked whole first, or as files. What is kept is a
 * package made of them and their addresses alone, so that the same pair is the same file wherever it came
 * from. It is read, proved and served by the code of any package.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <fcntl.h>

#include "common/util.h"
#include "flash/plan.h"
#include "pac/made.h"
#include "pac/pair.h"
#include "station/kv.h"
#include "station/store_inner.h"

#define LOADER_MAX (16u << 20) /* bytes; no loader comes near it */
#define PIECE	   (1u << 20)
#define PRODUCT	   "loaders" /* never the package's: it would make two of one pair */

struct part {
	uint8_t *bytes; /* owned; NULL: there is none */
	size_t size;
	uint64_t address;
	struct source source;
};

struct pair {
	struct part part[2];
	bool two;	   /* the phone takes two */
	bool from_package; /* whoever made that has said where they go */
};

static void pair_free(struct pair *pair)
{
	free(pair->part[0].bytes);
	free(pair->part[1].bytes);
}

/* ---- as files ---- */

static int read_file(struct import *in, int fd, struct part *part, struct failure *why)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return failure_set(why, ERR_INVALID_IMAGE, "%s", strerror(errno));
	if (!S_ISREG(st.st_mode) || st.st_size <= 0 || st.st_size > (off_t)LOADER_MAX)
		return failure_set(why, ERR_INVALID_IMAGE,
				   S_ISREG(st.st_mode) ? "%" PRIu64 " bytes are no loader"
						       : "not a regular file",
				   (uint64_t)st.st_size);
	part->size = (size_t)st.st_size;
	part->bytes = malloc(part->size);
	if (!part->bytes)
		return failure_set(why, ERR_INTERNAL, "out of memory");
	for (size_t at = 0; at < part->size;) {
		ssize_t n = pread(fd, part->bytes + at, MIN(part->size - at, (size_t)PIECE), (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? failure_set(why, ERR_PACKAGE_READ_FAILED, "at %zu: %s", at,
					       strerror(errno))
				 : failure_set(why, ERR_PACKAGE_CHANGED, "the file ended at %zu of %zu bytes",
					       at, part->size);
		at += (size_t)n;
		atomic_fetch_add(&in->work->moved, (uint64_t)n);
	}
	return store_stopped(in->work, why);
}

static int from_files(struct import *in, struct pair *pair, struct failure *why)
{
	const struct store_work *work = in->work;
	const int fds[2] = { work->fd, work->second };
	int r = 0;

	pair->two = work->parts == 2;
	for (uint32_t i = 0; !r && i < work->parts; i++) {
		pair->part[i].address = work->address[i];
		r = read_file(in, fds[i], &pair->part[i], why);
	}
	return r;
}

/* ---- out of a package ---- */

static int take_item(struct package *p, const struct pac_item *item, struct part *part, struct failure *why)
{
	struct package_reader reader = { .package = p };

	if (!item->has_file)
		return failure_set(why, ERR_PACKAGE_NO_LOADER, "%s has no file", item->file->id);
	if (item->size > LOADER_MAX)
		return failure_set(why, ERR_PACKAGE_NO_LOADER, "%s: %" PRIu64 " bytes are no loader",
				   item->file->id, item->size);
	part->address = item->address;
	part->size = (size_t)item->size;
	part->bytes = malloc(part->size);
	if (!part->bytes)
		return failure_set(why, ERR_INTERNAL, "out of memory");
	return package_reader_read(&reader, item->offset, part->bytes, part->size, why);
}

/* The descriptor that is read: the caller's, or the file that its archive was unpacked into. */
static int open_origin(struct import *in, struct failure *why)
{
	int fd, r;

	if (!unpack_wanted(in->work->fd)) {
		fd = fcntl(in->work->fd, F_DUPFD_CLOEXEC, 3);
		return fd < 0 ? failure_set(why, ERR_INTERNAL, "%s", strerror(errno)) : fd;
	}
	r = unpack(in->work->fd, in->out, in->work, store_more_room, in, why);
	if (r < 0)
		return (r == -ENOSPC || r == -EDQUOT) && why->error == ERR_NONE ? store_cannot(in, -r, why)
										: r;
	fd = openat(in->store->dir, in->tmp, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? store_cannot(in, errno, why) : fd;
}

static int take_both(struct package *p, struct pair *pair, struct failure *why)
{
	const struct pac *pac = package_pac(p);
	int r = take_item(p, pac_fdl1(pac), &pair->part[0], why);

	pair->two = pac_fdl2(pac) != NULL;
	pair->from_package = true;
	return !r && pair->two ? take_item(p, pac_fdl2(pac), &pair->part[1], why) : r;
}

static int from_package(struct import *in, struct pair *pair, struct failure *why)
{
	struct store_work *work = in->work;
	struct package *p;
	int fd = open_origin(in, why), r;

	if (fd < 0)
		return fd;
	p = package_new(fd, work->accept_bad_crc, why);
	if (!p)
		return -error_entry(why->error)->err;
	r = package_parse(p, why);
	if (!r)
		atomic_store(&work->total, atomic_load(&work->moved) + package_size(p));
	if (!r) /* whole: what is wrong with a package is known before its loaders run on a phone */
		r = package_check_told(p, &work->moved, &work->stop, why);
	if (!r)
		r = take_both(p, pair, why);
	if (!r) {
		const struct pac_chip *chip = pac_chip(package_pac(p));

		for (unsigned int i = 0; i < DIGEST_SIZE; i++)
			snprintf(in->origin.digest + 2 * i, 3, "%02x", package_body(p)->sha256[i]);
		kv_copy(in->origin.family, sizeof(in->origin.family), chip->family ? chip->family->name : "");
		in->origin.by_number = plan_addressing_of(package_pac(p)) == ADDRESSING_NUMBERS;
	}
	package_unref(p);
	return r;
}

/* ---- what they are, together ---- */

static int judge(struct import *in, struct pair *pair, struct failure *why)
{
	struct loader_info info[2] = { 0 };
	struct pair_verdict verdict;

	for (int i = 0; i < 2; i++) {
		struct part *part = &pair->part[i];
		int r;

		if (!part->bytes)
			continue;
		part->source = source_memory(part->bytes, part->size);
		r = loader_inspect(&part->source, 0, part->size, i + 1, &info[i], why);
		if (r < 0)
			return r;
	}
	pair_judge(&(struct pair_part){ &info[0], pair->part[0].address },
		   &(struct pair_part){ &info[1], pair->part[1].address }, &verdict);
	if (verdict.mismatch || (verdict.misplaced && !pair->from_package)) {
		if (!in->work->force)
			return failure_set(why, ERR_LOADER_MISMATCH, "%s", verdict.wrong);
		in->origin.forced = true;
	}
	if (verdict.family && !*in->origin.family)
		kv_copy(in->origin.family, sizeof(in->origin.family), verdict.family->name);
	return 0;
}

static int write_made(struct import *in, const struct source *source, struct failure *why)
{
	_cleanup_free_ uint8_t *buf = malloc(PIECE);

	if (!buf)
		return failure_set(why, ERR_INTERNAL, "out of memory");
	for (uint64_t at = 0; at < source->size;) {
		size_t n = (size_t)MIN(source->size - at, (uint64_t)PIECE);

		if (source_read(source, at, buf, n) < 0)
			return failure_set(why, ERR_INTERNAL, "a package of loaders cannot be read");
		for (size_t done = 0; done < n;) {
			ssize_t put = pwrite(in->out, buf + done, n - done, (off_t)(at + done));

			if (put < 0 && errno != EINTR)
				return store_cannot(in, errno, why);
			done += put < 0 ? 0 : (size_t)put;
		}
		at += n;
	}
	return 0;
}

static int make(struct import *in, const struct pair *pair, struct failure *why)
{
	const struct made_part parts[2] = {
		{ .id = "FDL",
		  .type = "FDL",
		  .address = pair->part[0].address,
		  .source = &pair->part[0].source },
		{ .id = "FDL2",
		  .type = "NAND_FDL",
		  .address = pair->part[1].address,
		  .source = &pair->part[1].source },
	};
	const struct made_scheme scheme = { .product = PRODUCT, .flash_type = pair->two };
	struct made *made;
	int r = pac_made(parts, pair->two ? 2 : 1, &scheme, &made, why);

	if (r < 0)
		return r;
	r = made_seal(made, why);
	/* what an archive was unpacked into goes first */
	if (!r && ftruncate(in->out, 0) < 0)
		r = store_cannot(in, errno, why);
	if (!r)
		r = store_more_room(in, made_source(made)->size, why);
	if (!r)
		r = write_made(in, made_source(made), why);
	made_free(made);
	return r;
}

int store_take_loaders(struct import *in, struct failure *why)
{
	struct pair pair = { 0 };
	int r;

	kv_copy(in->origin.name, sizeof(in->origin.name), in->work->origin);
	r = in->work->parts ? from_files(in, &pair, why) : from_package(in, &pair, why);

	if (!r)
		r = judge(in, &pair, why);
	if (!r)
		r = store_stopped(in->work, why);
	if (!r)
		r = make(in, &pair, why);
	pair_free(&pair);
	return r;
}
