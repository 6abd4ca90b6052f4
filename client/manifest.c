/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/manifest.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "client/client.h"
#include "common/util.h"
#include "flash/partition.h"
#include "pac/digest.h"

#define MANIFEST_BYTES (1u << 20) /* more than any has */
#define PIECE	       (256u << 10)

static int target(struct failure *why, const char *name, int err)
{
	return failure_set(why, ERR_TARGET_FAILED, "%s: %s", name, strerror(err));
}

static int damaged(struct failure *why, const char *what)
{
	return failure_set(why, ERR_BACKUP_DAMAGED, "%s", what);
}

/* ---- the folder ---- */

int manifest_open(const char *path, bool make, struct failure *why)
{
	int fd;

	if (make && mkdir(path, 0700) < 0 && errno != EEXIST)
		return target(why, path, errno);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return make ? target(why, path, errno)
			    : failure_set(why, ERR_BACKUP_DAMAGED, "%s: %s", path, strerror(errno));
	if (flock(fd, (make ? LOCK_EX : LOCK_SH) | LOCK_NB) == 0)
		return fd;
	failure_set(why, ERR_TARGET_FAILED, "%s: %s", path,
		    errno == EWOULDBLOCK ? "another fdlctl works in it" : strerror(errno));
	close(fd);
	return -EBUSY;
}

bool manifest_empty(int dir)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *e;
	bool empty = d != NULL;

	while (empty && (e = readdir(d)))
		empty = !strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") ||
			!strcmp(e->d_name, MANIFEST_FILE ".part");
	if (d)
		closedir(d);
	else if (fd >= 0)
		close(fd);
	return empty;
}

void manifest_name(const char *partition, char *buf, size_t size)
{
	size_t at = 0;

	for (const char *p = partition; *p && at + 8 < size; p++) {
		bool plain = isalnum((unsigned char)*p) || *p == '_' ||
			     (p > partition && (*p == '-' || *p == '.'));

		at += (size_t)(plain ? snprintf(buf + at, size - at, "%c", *p)
				     : snprintf(buf + at, size - at, "%%%02X", (unsigned char)*p));
	}
	snprintf(buf + at, size - at, ".img");
}

int manifest_put(int dir, const char *name, const void *bytes, size_t len, struct failure *why)
{
	char part[160];
	const char *p = bytes;
	int fd, r = 0;

	snprintf(part, sizeof(part), "%s.part", name);
	(void)unlinkat(dir, part, 0);
	fd = openat(dir, part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return target(why, name, errno);
	while (len && !r) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno != EINTR)
			r = errno;
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		}
	}
	if (!r && fsync(fd) < 0)
		r = errno;
	if (close(fd) < 0 && !r)
		r = errno;
	if (!r && renameat(dir, part, dir, name) < 0)
		r = errno;
	if (r) {
		(void)unlinkat(dir, part, 0);
		return target(why, name, r);
	}
	(void)fsync(dir);
	return 0;
}

/* ---- out ---- */

static void put(json_object *o, const char *key, const char *text)
{
	if (*text)
		json_object_object_add(o, key, json_object_new_string(text));
}

static json_object *file_json(const struct manifest_file *f)
{
	unsigned traits = partition_traits(f->partition);
	json_object *o = json_object_new_object();

	put(o, "partition", f->partition);
	put(o, "class", partition_class_name(partition_class(f->partition)));
	if (*f->file) {
		put(o, "file", f->file);
		json_object_object_add(o, "size", json_object_new_uint64(f->size));
		put(o, "sha256", f->sha256);
		/* which of the two, and in what form (pac-and-flow 3.4) */
		if (traits & (PARTITION_NV | PARTITION_RUNTIME_NV))
			put(o, "copy", "first, as the loader gives it: mended, without header");
	}
	put(o, "error", f->error);
	return o;
}

static const char *time_text(uint64_t when, char *buf, size_t size)
{
	time_t at = (time_t)when;
	struct tm tm;

	if (!gmtime_r(&at, &tm) || !strftime(buf, size, "%Y-%m-%dT%H:%M:%SZ", &tm))
		*buf = 0;
	return buf;
}

int manifest_save(int dir, const struct manifest *m, struct failure *why)
{
	json_object *o = json_object_new_object(), *table = json_object_new_object();
	json_object *files = json_object_new_array();
	char at[32], slot[2] = { m->slot, 0 };
	const char *text;
	int r;

	json_object_object_add(o, "fdld_backup", json_object_new_int(MANIFEST_FORMAT));
	put(o, "fdld", m->fdld);
	put(o, "created", time_text(m->created, at, sizeof(at)));
	put(o, "changed", time_text((uint64_t)time(NULL), at, sizeof(at)));
	json_object_object_add(o, "whole", json_object_new_boolean(m->whole));
	json_object_object_add(o, "unit_id", json_object_new_string(m->unit));
	put(o, "product", m->product);
	put(o, "storage", m->storage);
	put(o, "rom_version", m->rom);
	json_object_object_add(o, "user_data", json_object_new_boolean(m->user_data));
	put(o, "only_slot", slot);
	json_object_object_add(table, "source", json_object_new_string(m->source));
	json_object_object_add(table, "sector", json_object_new_uint64(m->sector));
	json_object_object_add(table, "user_size", json_object_new_uint64(m->user_size));
	json_object_object_add(table, "partitions", json_object_get(m->table));
	json_object_object_add(o, "table", table);
	for (size_t i = 0; i < m->count; i++)
		json_object_array_add(files, file_json(&m->file[i]));
	json_object_object_add(o, "files", files);
	text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE);
	r = text ? manifest_put(dir, MANIFEST_FILE, text, strlen(text), why)
		 : failure_set(why, ERR_INTERNAL, "out of memory");
	json_object_put(o);
	return r;
}

/* ---- in ---- */

static bool take(char *to, size_t size, const char *from)
{
	return snprintf(to, size, "%s", from) < (int)size;
}

/* Nothing that somebody has put into a manifest leads out of its folder. */
static bool take_file(struct manifest *m, json_object *o)
{
	struct manifest_file *f = &m->file[m->count];
	char made[sizeof(f->file)];

	if (m->count == MANIFEST_MAX || !take(f->partition, sizeof(f->partition), prop_str(o, "partition")) ||
	    !*f->partition || !take(f->file, sizeof(f->file), prop_str(o, "file")) ||
	    !take(f->sha256, sizeof(f->sha256), prop_str(o, "sha256")) ||
	    !take(f->error, sizeof(f->error), prop_str(o, "error")))
		return false;
	manifest_name(f->partition, made, sizeof(made));
	f->size = prop_u64(o, "size");
	if (*f->file && (strcmp(f->file, made) != 0 || strlen(f->sha256) != sizeof(f->sha256) - 1))
		return false;
	for (size_t i = 0; i < m->count; i++)
		if (!strcmp(m->file[i].partition, f->partition))
			return false;
	m->count++;
	return true;
}

static uint64_t time_of(const char *text)
{
	struct tm tm = { 0 };
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);

	return end && !*end ? (uint64_t)timegm(&tm) : 0;
}

static bool take_table(struct manifest *m, json_object *table)
{
	json_object *rows = NULL;

	if (!json_object_object_get_ex(table, "partitions", &rows) ||
	    !json_object_is_type(rows, json_type_array) || json_object_array_length(rows) > TABLE_MAX)
		return false;
	for (size_t i = 0; i < json_object_array_length(rows); i++)
		if (strlen(prop_str(json_object_array_get_idx(rows, i), "name")) > TABLE_NAME_MAX)
			return false;
	m->table = json_object_get(rows);
	m->sector = prop_u64(table, "sector");
	m->user_size = prop_u64(table, "user_size");
	return take(m->source, sizeof(m->source), prop_str(table, "source"));
}

static const char *take_all(struct manifest *m, json_object *o)
{
	json_object *files = NULL, *table = NULL;
	const char *slot = prop_str(o, "only_slot");

	if (prop_u64(o, "fdld_backup") > MANIFEST_FORMAT)
		return MANIFEST_FILE ": of a newer fdlctl";
	if (prop_u64(o, "fdld_backup") != MANIFEST_FORMAT)
		return MANIFEST_FILE ": not the manifest of a backup";
	if (!take(m->unit, sizeof(m->unit), prop_str(o, "unit_id")) ||
	    !take(m->product, sizeof(m->product), prop_str(o, "product")) ||
	    !take(m->storage, sizeof(m->storage), prop_str(o, "storage")) ||
	    !take(m->rom, sizeof(m->rom), prop_str(o, "rom_version")) ||
	    !take(m->fdld, sizeof(m->fdld), prop_str(o, "fdld")))
		return MANIFEST_FILE ": a text that is too long";
	m->created = time_of(prop_str(o, "created"));
	m->whole = prop_bool(o, "whole");
	m->user_data = prop_bool(o, "user_data");
	m->slot = !strcmp(slot, "a") || !strcmp(slot, "b") ? *slot : 0;
	if (!json_object_object_get_ex(o, "table", &table) || !take_table(m, table))
		return MANIFEST_FILE ": no partition table";
	if (!json_object_object_get_ex(o, "files", &files) || !json_object_is_type(files, json_type_array))
		return MANIFEST_FILE ": no files";
	for (size_t i = 0; i < json_object_array_length(files); i++)
		if (!take_file(m, json_object_array_get_idx(files, i)))
			return MANIFEST_FILE ": a file that is none of a backup";
	return NULL;
}

int manifest_load(int dir, struct manifest *m, struct failure *why)
{
	_cleanup_close_ int fd = openat(dir, MANIFEST_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	_cleanup_free_ char *text = NULL;
	const char *wrong = NULL;
	json_object *o;
	struct stat st;
	size_t at = 0;
	ssize_t n;

	memset(m, 0, sizeof(*m));
	if (fd < 0 && errno == ENOENT)
		return -ENOENT;
	if (fd < 0 || fstat(fd, &st) < 0)
		return failure_set(why, ERR_BACKUP_DAMAGED, MANIFEST_FILE ": %s", strerror(errno));
	if (!S_ISREG(st.st_mode) || st.st_size > MANIFEST_BYTES)
		return damaged(why, MANIFEST_FILE ": not the manifest of a backup");
	text = calloc(1, MANIFEST_BYTES + 1);
	if (!text)
		return failure_set(why, ERR_INTERNAL, "out of memory");
	while (at < MANIFEST_BYTES && (n = read(fd, text + at, MANIFEST_BYTES - at)) != 0) {
		if (n < 0 && errno != EINTR)
			return failure_set(why, ERR_BACKUP_DAMAGED, MANIFEST_FILE ": %s", strerror(errno));
		at += n > 0 ? (size_t)n : 0;
	}
	o = json_tokener_parse(text);
	wrong = o && json_object_is_type(o, json_type_object) ? take_all(m, o)
							      : MANIFEST_FILE ": it is no JSON object";
	json_object_put(o);
	return wrong ? damaged(why, wrong) : 0;
}

void manifest_free(struct manifest *m)
{
	json_object_put(m->table);
	m->table = NULL;
}

struct manifest_file *manifest_find(struct manifest *m, const char *partition, bool make)
{
	for (size_t i = 0; i < m->count; i++)
		if (!strcmp(m->file[i].partition, partition))
			return &m->file[i];
	if (!make || m->count == MANIFEST_MAX)
		return NULL;
	m->file[m->count] = (struct manifest_file){ 0 };
	snprintf(m->file[m->count].partition, sizeof(m->file[0].partition), "%s", partition);
	return &m->file[m->count++];
}

/* ---- files ---- */

static int sum_of(int fd, uint64_t *size, char *hex)
{
	struct digest_stream *s = digest_stream_new();
	uint8_t *buf = malloc(PIECE), sum[DIGEST_SIZE];
	int r = s && buf ? 0 : -ENOMEM;
	ssize_t n;

	*size = 0;
	while (!r && (n = read(fd, buf, PIECE)) != 0) {
		if (n < 0)
			r = errno == EINTR ? 0 : -errno;
		else
			r = digest_stream_put(s, buf, (size_t)n);
		*size += n > 0 ? (uint64_t)n : 0;
	}
	if (s && digest_stream_end(s, r ? NULL : sum))
		r = -EIO;
	for (size_t i = 0; !r && i < sizeof(sum); i++)
		snprintf(hex + 2 * i, 3, "%02x", sum[i]);
	free(buf);
	return r;
}

int manifest_check(int dir, const struct manifest_file *f, struct failure *why)
{
	_cleanup_close_ int fd = openat(dir, f->file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	char hex[2 * DIGEST_SIZE + 1];
	struct stat st;
	uint64_t size;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return failure_set(why, ERR_BACKUP_DAMAGED, "%s: %s", f->file, strerror(errno));
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != f->size)
		return failure_set(why, ERR_BACKUP_DAMAGED, "%s: %" PRIu64 " bytes, and not %" PRIu64,
				   f->file, (uint64_t)st.st_size, f->size);
	r = sum_of(fd, &size, hex);
	if (r)
		return failure_set(why, ERR_BACKUP_DAMAGED, "%s: %s", f->file, strerror(-r));
	if (size != f->size || strcmp(hex, f->sha256) != 0)
		return failure_set(why, ERR_BACKUP_DAMAGED, "%s: its SHA-256 is another one", f->file);
	return 0;
}

bool manifest_named(const char *partition, const char *const *list, size_t count, bool *used)
{
	const char *class = partition_class_name(partition_class(partition));
	bool named = false;

	for (size_t i = 0; i < count; i++)
		if (!strcmp(list[i], partition) || !strcmp(list[i], class))
			named = used[i] = true;
	return named;
}

void manifest_sweep(int dir)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *e;

	while (d && (e = readdir(d))) {
		size_t n = strlen(e->d_name);

		if (n > 9 && !strcmp(e->d_name + n - 9, ".img.part"))
			(void)unlinkat(dir, e->d_name, 0);
	}
	if (d)
		closedir(d);
	else if (fd >= 0)
		close(fd);
}

/* ---- tables ---- */

static json_object *row_of(json_object *rows, const char *name)
{
	for (size_t i = 0; i < json_object_array_length(rows); i++) {
		json_object *row = json_object_array_get_idx(rows, i);

		if (!strcmp(prop_str(row, "name"), name))
			return row;
	}
	return NULL;
}

bool manifest_same_table(json_object *a, json_object *b)
{
	size_t count = json_object_array_length(a);

	if (count != json_object_array_length(b))
		return false;
	for (size_t i = 0; i < count; i++) {
		json_object *one = json_object_array_get_idx(a, i);
		json_object *other = row_of(b, prop_str(one, "name"));
		uint64_t start = prop_u64(one, "start"), there = other ? prop_u64(other, "start") : 0;

		if (!other || prop_u64(one, "size") != prop_u64(other, "size") ||
		    (start && there && start != there))
			return false;
	}
	return true;
}

void manifest_table(json_object *rows, struct flash_table *t)
{
	memset(t, 0, sizeof(*t));
	for (size_t i = 0; i < json_object_array_length(rows) && t->count < TABLE_MAX; i++) {
		json_object *row = json_object_array_get_idx(rows, i);
		struct table_entry *e = &t->entry[t->count++];

		snprintf(e->name, sizeof(e->name), "%s", prop_str(row, "name"));
		e->start = prop_u64(row, "start");
		e->size = prop_u64(row, "size");
	}
}
