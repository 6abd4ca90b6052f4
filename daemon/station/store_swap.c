/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A package into the image store with a pair of the loader store in place of its own loaders. The copy is
 * proved as it came before anything in it is changed: its check sums are made anew afterwards, and would
 * cover up any damage.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/util.h"
#include "pac/pair.h"
#include "pac/swap.h"
#include "station/kv.h"
#include "station/store_inner.h"

struct swapping {
	struct import *in;
	struct source source; /* the copy */
	struct pac *pac;
	struct pac_body *body;
	struct swap swap;
	uint64_t before;
};

static int read_at(void *ctx, uint64_t offset, void *buf, size_t len)
{
	const struct swapping *s = ctx;
	uint8_t *to = buf;

	while (len) {
		ssize_t n = pread(s->in->out, to, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		to += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int write_at(struct swapping *s, uint64_t offset, const void *buf, size_t len, struct failure *why)
{
	const uint8_t *from = buf;

	while (len) {
		ssize_t n = pwrite(s->in->out, from, len, (off_t)offset);

		if (n < 0 && errno != EINTR)
			return store_cannot(s->in, errno, why);
		n = n < 0 ? 0 : n;
		from += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static bool on_progress(void *ctx, uint64_t done, uint64_t total)
{
	struct swapping *s = ctx;

	(void)total;
	atomic_fetch_add(&s->in->work->moved, done - s->before);
	s->before = done;
	return !atomic_load(&s->in->work->stop);
}

static int open_copy(struct swapping *s, struct failure *why)
{
	static const struct pac_options options = { .without_loaders = true, .accept_mismatch = true };
	const struct chip_family *family;
	const char *theirs = s->in->work->swap_family;
	struct stat st;
	int r;

	if (fstat(s->in->out, &st) < 0)
		return store_cannot(s->in, errno, why);
	s->source = (struct source){ .size = (uint64_t)st.st_size, .read_at = read_at, .ctx = s };
	r = pac_open(&s->source, &options, &s->pac, why);
	if (!r)
		r = pac_check(s->pac, &s->source, &options, on_progress, s, &s->body, why);
	if (r < 0)
		return r;
	family = pac_named_for(s->pac); /* its own loaders are not asked */
	if (!s->in->work->force && family && *theirs && strcmp(family->name, theirs) != 0)
		return failure_set(why, ERR_LOADER_MISMATCH, "the package is for %s, the loaders are for %s",
				   family->name, theirs);
	return 0;
}

/* The loaders' bytes, behind the end. */
static int put_loaders(struct swapping *s, const struct pac_item *const *item, size_t count,
		       struct failure *why)
{
	for (size_t i = 0; i < count; i++) {
		struct package_reader reader = { .package = s->in->work->swap };
		_cleanup_free_ uint8_t *bytes = malloc((size_t)item[i]->size);
		int r;

		if (!bytes)
			return failure_set(why, ERR_INTERNAL, "out of memory");
		r = package_reader_read(&reader, item[i]->offset, bytes, (size_t)item[i]->size, why);
		if (!r)
			r = write_at(s, s->swap.part[i].at, bytes, (size_t)item[i]->size, why);
		if (!r)
			r = write_at(s, s->swap.part[i].row_at, s->swap.part[i].row, PAC_ENTRY_SIZE, why);
		if (r < 0)
			return r;
	}
	return 0;
}

static int swap_loaders(struct swapping *s, struct failure *why)
{
	const struct pac *pair = package_pac(s->in->work->swap);
	const struct pac_item *item[2] = { pac_fdl1(pair), pac_fdl2(pair) };
	struct swap_loader loader[2] = { 0 };
	size_t count = item[1] ? 2 : 1;
	int r;

	for (size_t i = 0; i < count; i++)
		loader[i] = (struct swap_loader){ item[i]->address, item[i]->size };
	r = swap_prepare(&s->source, s->pac, loader, count, &s->swap, why);
	if (!r)
		r = store_more_room(s->in, s->swap.size - s->source.size, why);
	if (!r)
		r = put_loaders(s, item, count, why);
	s->source.size = s->swap.size;
	if (!r)
		r = swap_seal(&s->source, &s->swap, why);
	return r ? r : write_at(s, 0, s->swap.header, sizeof(s->swap.header), why);
}

int store_swap_loaders(struct import *in, struct failure *why)
{
	struct swapping *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return failure_set(why, ERR_INTERNAL, "out of memory");
	s->in = in;
	r = open_copy(s, why);
	if (!r)
		r = swap_loaders(s, why);
	if (!r) {
		kv_copy(in->origin.name, sizeof(in->origin.name), in->work->origin);
		kv_copy(in->origin.family, sizeof(in->origin.family), in->work->swap_family);
	}
	pac_body_free(s->body);
	pac_free(s->pac);
	free(s);
	return r;
}
