/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Loaders of a pair and what is to be done with them, made into a package that lies in memory. On a worker.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/util.h"
#include "station/package.h"
#include "station/single.h"

#define LOADER_MAX (16u << 20) /* bytes; no loader comes near it */
#define COPY_MAX   (64u << 20) /* of a file that is copied into memory */
#define PIECE	   (1u << 20)

struct loader {
	uint8_t *bytes; /* owned */
	struct source source;
};

static int take_loader(struct package_reader *from, const struct pac_item *item, struct loader *to,
		       struct failure *why)
{
	int r;

	if (!item || !item->has_file)
		return failure_set(why, ERR_PACKAGE_NO_LOADER, "%s has no file",
				   item ? item->file->id : "a loader");
	if (item->size > LOADER_MAX)
		return failure_set(why, ERR_PACKAGE_NO_LOADER, "%s: %llu bytes are no loader", item->file->id,
				   (unsigned long long)item->size);
	to->bytes = malloc((size_t)item->size + 1);
	if (!to->bytes)
		return failure_set(why, ERR_INTERNAL, "out of memory");
	r = package_reader_read(from, item->offset, to->bytes, (size_t)item->size, why);
	to->source = source_memory(to->bytes, (size_t)item->size);
	return r;
}

/* The file of each part, by descriptor: read where it lies. */
static int read_file(void *ctx, uint64_t offset, void *buf, size_t len)
{
	const struct single_part *p = ctx;
	uint8_t *to = buf;

	while (len) {
		ssize_t n = pread(p->fd, to, len, (off_t)offset);

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

static int open_part(struct single_part *p, struct failure *why)
{
	struct stat st;

	p->made.source = p->bytes || p->fd >= 0 ? &p->source : NULL;
	if (p->bytes)
		p->source = source_memory(p->bytes, (size_t)p->size);
	if (p->bytes || p->fd < 0)
		return 0;
	if (fstat(p->fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size <= 0)
		return failure_set(why, ERR_INVALID_IMAGE, "%s: not a regular file with something in it",
				   p->id);
	p->size = (uint64_t)st.st_size;
	if (p->size > COPY_MAX)
		return failure_set(why, ERR_IMAGE_TOO_LARGE, "%s: %llu bytes", p->id,
				   (unsigned long long)p->size);
	p->source = (struct source){ .size = p->size, .read_at = read_file, .ctx = p };
	return 0;
}

static int copy(const struct source *from, int fd, struct failure *why)
{
	_cleanup_free_ uint8_t *buf = malloc(PIECE);

	if (!buf)
		return failure_set(why, ERR_INTERNAL, "out of memory");
	for (uint64_t at = 0; at < from->size;) {
		size_t n = (size_t)MIN(from->size - at, (uint64_t)PIECE);
		int r = source_read(from, at, buf, n);

		if (r < 0)
			return failure_set(why, ERR_PACKAGE_READ_FAILED, "at %llu: %s",
					   (unsigned long long)at, strerror(-r));
		for (size_t done = 0; done < n;) {
			ssize_t put = pwrite(fd, buf + done, n - done, (off_t)(at + done));

			if (put < 0 && errno != EINTR)
				return failure_set(why, ERR_INTERNAL, "%s", strerror(errno));
			done += put < 0 ? 0 : (size_t)put;
		}
		at += n;
	}
	return 0;
}

/* Nobody can change it any more, and it is open for reading only, as every package is. */
static int seal(const struct source *from, struct failure *why)
{
	_cleanup_close_ int fd = memfd_create("fdld-package", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	char path[40];
	int r, again;

	if (fd < 0)
		return failure_set(why, ERR_INTERNAL, "no memory file: %s", strerror(errno));
	r = copy(from, fd, why);
	if (r < 0)
		return r;
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
		return failure_set(why, ERR_INTERNAL, "%s", strerror(errno));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_RDONLY | O_CLOEXEC);
	return again < 0 ? failure_set(why, ERR_INTERNAL, "%s", strerror(errno)) : again;
}

static int make(struct single *s, const struct pac *pac, struct loader loader[2], struct package **out,
		struct failure *why)
{
	struct made_part *part = calloc(s->parts + 2, sizeof(*part));
	bool two = pac_two_stage(pac);
	struct made *made = NULL;
	size_t n = 0;
	int r = 0;

	if (!part)
		return failure_set(why, ERR_INTERNAL, "out of memory");
	part[n++] = (struct made_part){
		.id = "FDL", .type = "FDL", .address = pac_fdl1(pac)->address, .source = &loader[0].source
	};
	if (two)
		part[n++] = (struct made_part){ .id = "FDL2",
						.type = "NAND_FDL",
						.address = pac_fdl2(pac)->address,
						.source = &loader[1].source };
	for (uint32_t i = 0; i < s->parts && !r; i++) {
		r = open_part(&s->part[i], why);
		part[n++] = s->part[i].made;
	}
	s->scheme.product = pac_header(pac)->product;
	s->scheme.flash_type = two;
	s->scheme.table = s->table.present ? &s->table : NULL;
	if (!r)
		r = pac_made(part, n, &s->scheme, &made, why);
	if (!r)
		r = made_seal(made, why);
	if (!r)
		r = seal(made_source(made), why);
	if (r >= 0) {
		*out = package_new(r, false, why);
		r = *out ? 0 : -error_entry(why->error)->err;
	}
	made_free(made);
	free(part);
	return r;
}

int single_package(struct single *s, struct package_reader *loaders, struct package **out,
		   struct failure *why)
{
	const struct pac *pac = package_pac(loaders->package);
	struct loader loader[2] = { 0 };
	int r = take_loader(loaders, pac_fdl1(pac), &loader[0], why);

	if (!r && pac_two_stage(pac))
		r = take_loader(loaders, pac_fdl2(pac), &loader[1], why);
	if (!r && s->prepare)
		r = s->prepare(s, s->arg, why);
	if (!r && s->failed)
		r = failure_set(why, ERR_LIMITS_EXCEEDED, "more than %d things at once", SINGLE_PARTS_MAX);
	if (!r)
		r = make(s, pac, loader, out, why);
	free(loader[0].bytes);
	free(loader[1].bytes);
	/* here, where closing may take its time */
	for (uint32_t i = 0; i < s->parts; i++)
		if (s->part[i].fd >= 0) {
			close(s->part[i].fd);
			s->part[i].fd = -1;
		}
	return r;
}
