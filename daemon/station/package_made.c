/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Packages that are put together here (pac/made.h): the bytes of a part are in memory or in a file of the
 * caller's, and are read from there and nowhere else. Everything above sees one package.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "common/util.h"
#include "station/package_inner.h"

struct package_parts {
	struct made *made;
	size_t count;
	struct {
		struct package_file file; /* fd -1: it has none */
		void *bytes;
	} part[];
};

void package_parts_free(struct package_parts *parts)
{
	int fds[PAC_ENTRIES_MAX];
	size_t n = 0;

	if (!parts)
		return;
	made_free(parts->made);
	for (size_t i = 0; i < parts->count; i++) {
		free(parts->part[i].bytes);
		if (parts->part[i].file.fd >= 0)
			fds[n++] = parts->part[i].file.fd;
		if (n == ARRAY_SIZE(fds)) {
			package_close(fds, n);
			n = 0;
		}
	}
	package_close(fds, n);
	free(parts);
}

const char *package_parts_at(const struct package_parts *parts, uint64_t offset, uint64_t len, char *buf,
			     size_t size)
{
	const struct made_extent *x;
	size_t count, used = 0;

	*buf = 0;
	x = made_map(parts->made, &count);
	for (size_t i = 0; i < count; i++) {
		const struct package_file *file = x[i].part < 0 ? NULL : &parts->part[x[i].part].file;

		if (!file || file->fd < 0 || x[i].offset >= offset + len ||
		    x[i].offset + x[i].length <= offset)
			continue;
		/* they share a chunk, which is proved as a whole */
		if (used < size)
			used += (size_t)snprintf(buf + used, size - used, "%s%s", used ? ", " : "",
						 file->name);
	}
	if (used >= size)
		memcpy(buf + size - 4, "...", 4);
	return buf;
}

const struct package_file *package_parts_cut(const struct package_parts *parts)
{
	for (size_t i = 0; i < parts->count; i++)
		if (atomic_load(&parts->part[i].file.cut))
			return &parts->part[i].file;
	return NULL;
}

/* Takes what the parts bring, also when it fails. */
static struct package_parts *take_parts(struct package_part *part, size_t count)
{
	struct package_parts *all = calloc(1, sizeof(*all) + count * sizeof(all->part[0]));

	for (size_t i = 0; i < count; i++) {
		struct package_part *p = &part[i];
		const char *name = p->made.name	       ? p->made.name
				   : p->made.partition ? p->made.partition
						       : p->made.id;

		if (!all) {
			free(p->bytes);
			package_close(&p->fd, p->fd >= 0);
		} else {
			all->part[i].bytes = p->bytes;
			all->part[i].file.fd = p->fd;
			snprintf(all->part[i].file.name, sizeof(all->part[i].file.name), "%s", name);
		}
		p->bytes = NULL;
		p->fd = -1;
	}
	if (all)
		all->count = count;
	return all;
}

static int in_file(const struct package_file *file, int r, struct failure *why)
{
	char detail[sizeof(why->detail)];

	if (!r || !why || why->error != ERR_INVALID_IMAGE)
		return r;
	snprintf(detail, sizeof(detail), "%.80s: %.150s", file->name, why->detail);
	return failure_set(why, ERR_INVALID_IMAGE, "%s", detail);
}

static int make(struct package *p, struct package_part *part, const struct made_scheme *scheme,
		struct failure *why)
{
	struct package_parts *all = p->parts;
	_cleanup_free_ struct made_part *made = calloc(all->count + 1, sizeof(*made));
	_cleanup_free_ struct source *source = calloc(all->count + 1, sizeof(*source));
	int r = 0;

	if (!made || !source)
		return failure_set(why, ERR_INTERNAL, "out of memory");
	for (size_t i = 0; i < all->count && !r; i++) {
		struct package_file *file = &all->part[i].file;

		made[i] = part[i].made;
		made[i].source = NULL;
		if (all->part[i].bytes) {
			source[i] = source_memory(all->part[i].bytes, part[i].size);
			made[i].source = &source[i];
		}
		if (file->fd < 0)
			continue;
		r = package_fd_check(file->fd, why);
		if (!r)
			r = package_file_look(file, why);
		r = in_file(file, r, why);
		source[i] = (struct source){ file->size, package_file_read, file };
		made[i].source = &source[i];
	}
	if (!r)
		r = pac_made(made, all->count, scheme, &all->made, why);
	if (r < 0)
		return r;
	p->source = *made_source(all->made);
	p->size = p->source.size;
	return p->size <= PACKAGE_SIZE_MAX
		       ? 0
		       : failure_set(why, ERR_INVALID_IMAGE, "%" PRIu64 " bytes are more than a package has",
				     p->size);
}

int package_make(struct package_part *part, size_t parts, const struct made_scheme *scheme,
		 struct package **out, struct failure *why)
{
	struct package_parts *all;
	struct package *p;
	int r;

	*out = NULL;
	all = take_parts(part, parts);
	if (!all)
		return failure_set(why, ERR_INTERNAL, "out of memory");
	p = package_alloc(why);
	if (!p) {
		package_parts_free(all);
		return -ENOMEM;
	}
	p->parts = all;
	p->options.made = true;
	p->options.as_is = scheme->as_is;
	r = parts < PAC_ENTRIES_MAX ? make(p, part, scheme, why)
				    : failure_set(why, ERR_INVALID_ARGS, "%zu parts are too many", parts);
	if (r < 0) {
		package_unref(p);
		return r;
	}
	*out = p;
	return 0;
}
