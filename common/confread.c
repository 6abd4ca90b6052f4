/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which configuration files count, and what may be believed. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "common/conffile.h"
#include "common/util.h"

void conf_list_free(struct conf_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->path[i]);
	free(list->path);
	memset(list, 0, sizeof(*list));
}

int conf_list_add(struct conf_list *list, const char *path)
{
	char **more = realloc(list->path, (list->count + 1) * sizeof(*more));

	if (!more)
		return -ENOMEM;
	list->path = more;
	more[list->count] = strdup(path);
	return more[list->count] ? (list->count++, 0) : -ENOMEM;
}

/* Whoever can write here decides what the station does. */
static int trusted(const struct stat *st, const char *path, const char *what, struct failure *why)
{
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return conf_refuse(path, 0, why, "%s belongs to uid %u, neither to root nor to us", what,
				   (unsigned int)st->st_uid);
	if (st->st_mode & (S_IWGRP | S_IWOTH))
		return conf_refuse(path, 0, why, "%s has mode %04o: %s can write to it", what,
				   (unsigned int)st->st_mode & 07777,
				   st->st_mode & S_IWOTH ? "everybody" : "its group");
	return 0;
}

/* ---- one file ----------------------------------------------------------------------- */

static int read_all(int fd, const char *path, char **text, size_t *len, struct failure *why)
{
	_cleanup_free_ char *buf = malloc(CONF_FILE_MAX + 1);
	size_t got = 0;
	ssize_t n;

	if (!buf)
		return failure_set(why, ERR_INTERNAL, "out of memory");
	while (got <= CONF_FILE_MAX) {
		n = read(fd, buf + got, CONF_FILE_MAX + 1 - got);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return conf_refuse(path, 0, why, "cannot be read: %s", strerror(errno));
		if (!n)
			break;
		got += (size_t)n;
	}
	if (got > CONF_FILE_MAX)
		return conf_refuse(path, 0, why, "is larger than %u bytes", CONF_FILE_MAX);
	*text = TAKE_PTR(buf);
	*len = got;
	return 0;
}

int conf_read(const char *path, char **text, size_t *len, struct failure *why)
{
	/* O_NONBLOCK: somebody's FIFO must not hold us up */
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return conf_refuse(path, 0, why, "cannot be opened: %s", strerror(errno));
	if (!S_ISREG(st.st_mode))
		return conf_refuse(path, 0, why, "is no regular file");
	r = trusted(&st, path, "the file", why);
	return r ? r : read_all(fd, path, text, len, why);
}

/* ---- which files -------------------------------------------------------------------- */

struct found {
	char *name, *path; /* path "": hidden on purpose */
};

struct finder {
	struct found *found;
	size_t count;
};

static void forget(struct finder *f)
{
	for (size_t i = 0; i < f->count; i++) {
		free(f->found[i].name);
		free(f->found[i].path);
	}
	free(f->found);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct found *)a)->name, ((const struct found *)b)->name);
}

/* A link to /dev/null: this name is not to be read. */
static bool hidden(const char *path)
{
	char to[16];
	ssize_t n = readlink(path, to, sizeof(to));
	struct stat st;

	if (n == 9 && !memcmp(to, "/dev/null", 9))
		return true;
	return n >= 0 && stat(path, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
}

static int keep(struct finder *f, const char *name, const char *path, struct failure *why)
{
	struct found *more;

	for (size_t i = 0; i < f->count; i++)
		if (!strcmp(f->found[i].name, name))
			return 0; /* a place of higher precedence has it */
	if (f->count == CONF_DROPINS_MAX)
		return conf_refuse(path, 0, why, "more than %u files", CONF_DROPINS_MAX);
	more = realloc(f->found, (f->count + 1) * sizeof(*more));
	if (!more)
		return failure_set(why, ERR_INTERNAL, "out of memory");
	f->found = more;
	more[f->count].name = strdup(name);
	more[f->count].path = strdup(hidden(path) ? "" : path);
	f->count++;
	if (!more[f->count - 1].name || !more[f->count - 1].path)
		return failure_set(why, ERR_INTERNAL, "out of memory");
	return 0;
}

/* The drop-ins of one place. */
static int look_into(struct finder *f, const char *folder, struct failure *why)
{
	DIR *dir = opendir(folder);
	const struct dirent *d;
	struct stat st;
	int r;

	if (!dir)
		return errno == ENOENT || errno == ENOTDIR
			       ? 0
			       : conf_refuse(folder, 0, why, "cannot be read: %s", strerror(errno));
	r = fstat(dirfd(dir), &st) < 0 ? conf_refuse(folder, 0, why, "%s", strerror(errno))
				       : trusted(&st, folder, "the folder", why);
	while (!r && (d = readdir(dir))) {
		size_t len = strlen(d->d_name);
		char path[PATH_MAX];

		if (d->d_name[0] == '.' || len < 6 || strcmp(d->d_name + len - 5, ".conf"))
			continue;
		if ((size_t)snprintf(path, sizeof(path), "%s/%s", folder, d->d_name) >= sizeof(path))
			r = conf_refuse(folder, 0, why, "a path in it is too long");
		else if (!conf_clean(path))
			r = conf_refuse(path, 0, why, "its name is not UTF-8, or has control characters");
		else
			r = keep(f, d->d_name, path, why);
	}
	closedir(dir);
	return r;
}

/* The main file of one place. 1: this is it; 0: there is none; or ConfigInvalid. */
static int look_for(const char *path, struct conf_list *out, struct failure *why)
{
	char folder[PATH_MAX];
	struct stat st;
	char *slash;
	int r;

	if (lstat(path, &st) < 0)
		return errno == ENOENT || errno == ENOTDIR
			       ? 0
			       : conf_refuse(path, 0, why, "cannot be opened: %s", strerror(errno));
	if (hidden(path))
		return 1;
	snprintf(folder, sizeof(folder), "%s", path);
	slash = strrchr(folder, '/');
	if (slash && slash != folder) {
		*slash = '\0';
		if (stat(folder, &st) < 0)
			return conf_refuse(folder, 0, why, "%s", strerror(errno));
		r = trusted(&st, folder, "the folder", why);
		if (r)
			return r;
	}
	return conf_list_add(out, path) < 0 ? failure_set(why, ERR_INTERNAL, "out of memory") : 1;
}

static int find(const char *root, const char *const *places, size_t count, bool have_main, struct finder *f,
		struct conf_list *out, struct failure *why)
{

	for (size_t i = 0; i < count; i++) {
		char path[PATH_MAX];
		int n = snprintf(path, sizeof(path) - 2, "%s%s", root ? root : "", places[i]), r;

		if (n < 0 || (size_t)n >= sizeof(path) - 2)
			return conf_refuse(places[i], 0, why, "the path is too long");
		if (!conf_clean(path))
			return conf_refuse(path, 0, why, "the path is not UTF-8, or has control characters");
		r = have_main ? 1 : look_for(path, out, why);
		if (r < 0)
			return r;
		have_main = r;
		memcpy(path + n, ".d", 3);
		r = look_into(f, path, why);
		if (r < 0)
			return r;
	}
	return 0;
}

static int find_all(const char *root, const char *const *places, size_t count, bool dropins_only,
		    struct conf_list *out, struct failure *why)
{
	struct finder f = { 0 };
	int r;

	memset(out, 0, sizeof(*out));
	r = find(root, places, count, dropins_only, &f, out, why);
	if (f.count)
		qsort(f.found, f.count, sizeof(*f.found), by_name);
	for (size_t i = 0; !r && i < f.count; i++)
		if (*f.found[i].path && conf_list_add(out, f.found[i].path) < 0)
			r = failure_set(why, ERR_INTERNAL, "out of memory");
	forget(&f);
	if (r < 0)
		conf_list_free(out);
	return r < 0 ? r : 0;
}

int conf_find(const char *root, const char *const *places, size_t count, struct conf_list *out,
	      struct failure *why)
{
	return find_all(root, places, count, false, out, why);
}

int conf_find_dropins(const char *root, const char *const *places, size_t count, struct conf_list *out,
		      struct failure *why)
{
	return find_all(root, places, count, true, out, why);
}
