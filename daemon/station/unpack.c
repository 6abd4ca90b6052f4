/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A package out of an archive: zip, tar, or the bare file through xz, zstd, gzip, bzip2. Its bytes stream
 * into a file that is open already; names in the archive are looked at for their ending and used for nothing.
 */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/util.h"
#include "station/store.h"

#define BLOCK	    (256u << 10)
#define STEP	    (UINT64_C(64) << 20) /* room is asked for in such steps */
#define ENTRIES_MAX 4096u
/*
 * A bomb grows without end. Packages are mostly compressed images: some of them hold long runs of nothing,
 * none is nearly nothing but that.
 */
#define RATIO_FREE (UINT64_C(256) << 20)
#define RATIO_MAX  100u

bool unpack_wanted(int fd)
{
	static const struct {
		uint8_t bytes[6], len;
	} magic[] = {
		{ "PK\003\004", 4 },
		{ "\375"
		  "7zXZ",
		  6 },
		{ "\050\265\057\375", 4 },
		{ "\037\213", 2 },
		{ "BZh", 3 },
	};
	uint8_t head[512] = { 0 };
	ssize_t n = pread(fd, head, sizeof(head), 0);

	for (size_t i = 0; i < ARRAY_SIZE(magic); i++)
		if (n >= magic[i].len && !memcmp(head, magic[i].bytes, magic[i].len))
			return true;
	return n == (ssize_t)sizeof(head) && !memcmp(head + 257, "ustar", 5);
}

struct unpacking {
	struct archive *a;
	int out;
	struct store_work *work;
	int (*room)(void *arg, uint64_t bytes, struct failure *why);
	void *arg;
	uint64_t written, granted;
};

static int broken(struct unpacking *u, struct failure *why)
{
	const char *said = archive_error_string(u->a);

	return failure_set(why, ERR_PACKAGE_NOT_PAC, "the archive cannot be read: %.160s",
			   said ? said : "it is damaged");
}

static int put(struct unpacking *u, const char *bytes, size_t len, struct failure *why)
{
	uint64_t read_so_far = (uint64_t)archive_filter_bytes(u->a, -1);
	int r;

	if (atomic_load(&u->work->stop))
		return failure_set(why, ERR_CANCELLED, "the service is being stopped");
	if (u->written + len > PACKAGE_SIZE_MAX ||
	    (u->written + len > RATIO_FREE && u->written + len > RATIO_MAX * read_so_far))
		return failure_set(why, ERR_PACKAGE_NOT_PAC,
				   "what is in the archive grows beyond all measure: %" PRIu64
				   " bytes out of %" PRIu64,
				   u->written + len, read_so_far);
	while (u->written + len > u->granted) {
		r = u->room(u->arg, STEP, why);
		/* the last step may be less than a whole one */
		if (r < 0) {
			struct failure again = { 0 };

			if (u->room(u->arg, u->written + len - u->granted, &again) < 0)
				return failure_set(why, again.error,
						   "%" PRIu64
						   " bytes are unpacked, and more is to come: %.180s",
						   u->written, again.detail);
			memset(why, 0, sizeof(*why));
			u->granted = u->written + len;
			break;
		}
		u->granted += STEP;
	}
	while (len) {
		ssize_t n = write(u->out, bytes, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno; /* the caller says what is left */
		bytes += n;
		len -= (size_t)n;
		u->written += (uint64_t)n;
		atomic_fetch_add(&u->work->moved, (uint64_t)n);
	}
	return 0;
}

static int take_entry(struct unpacking *u, struct failure *why)
{
	char buf[BLOCK / 8];
	la_ssize_t n;
	int r = 0;

	while (!r && (n = archive_read_data(u->a, buf, sizeof(buf))) != 0)
		r = n < 0 ? broken(u, why) : put(u, buf, (size_t)n, why);
	return r;
}

static bool is_package(struct archive *a, struct archive_entry *entry)
{
	const char *name = archive_entry_pathname(entry);
	size_t len = name ? strlen(name) : 0;

	if (archive_format(a) == ARCHIVE_FORMAT_RAW)
		return true; /* a bare file that was compressed */
	return archive_entry_filetype(entry) == S_IFREG && len > 4 && !strcasecmp(name + len - 4, ".pac");
}

static int walk(struct unpacking *u, struct failure *why)
{
	unsigned int entries = 0, found = 0;
	struct archive_entry *entry;
	int rc, r;

	while ((rc = archive_read_next_header(u->a, &entry)) == ARCHIVE_OK || rc == ARCHIVE_WARN) {
		if (++entries > ENTRIES_MAX)
			return failure_set(why, ERR_PACKAGE_NOT_PAC, "the archive has more than %u entries",
					   ENTRIES_MAX);
		if (!is_package(u->a, entry))
			continue; /* libarchive skips its data with the next header */
		if (++found > 1)
			return failure_set(why, ERR_PACKAGE_NOT_PAC,
					   "the archive has more than one .pac in it");
		r = take_entry(u, why);
		if (r < 0)
			return r;
	}
	if (rc != ARCHIVE_EOF)
		return broken(u, why);
	return found ? 0 : failure_set(why, ERR_PACKAGE_NOT_PAC, "the archive has no .pac in it");
}

int unpack(int fd, int out, struct store_work *work,
	   int (*room)(void *arg, uint64_t bytes, struct failure *why), void *arg, struct failure *why)
{
	struct unpacking u = { .a = archive_read_new(), .out = out, .work = work, .room = room, .arg = arg };
	int r;

	if (!u.a)
		return failure_set(why, ERR_INTERNAL, "out of memory");
	/* these and no others: some of libarchive's filters run programs */
	if (archive_read_support_filter_xz(u.a) != ARCHIVE_OK ||
	    archive_read_support_filter_zstd(u.a) != ARCHIVE_OK ||
	    archive_read_support_filter_gzip(u.a) != ARCHIVE_OK ||
	    archive_read_support_filter_bzip2(u.a) != ARCHIVE_OK ||
	    archive_read_support_format_zip(u.a) != ARCHIVE_OK ||
	    archive_read_support_format_tar(u.a) != ARCHIVE_OK ||
	    archive_read_support_format_raw(u.a) != ARCHIVE_OK)
		r = failure_set(why, ERR_UNSUPPORTED, "this libarchive lacks a format");
	else if (lseek(fd, 0, SEEK_SET) < 0 || archive_read_open_fd(u.a, fd, BLOCK) != ARCHIVE_OK)
		r = broken(&u, why);
	else
		r = walk(&u, why);
	archive_read_free(u.a);
	return r;
}
