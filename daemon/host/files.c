/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/util.h"
#include "loop/worker.h"

#define SETTLE_USEC 5000000u

struct host_files {
	struct loop *loop;
	struct worker *worker;
	char dir[PATH_MAX];
};

/* One file; what the thread touches is its own. */
struct put {
	char path[PATH_MAX], folder[PATH_MAX];
	mode_t mode;
	char *text; /* NULL: remove */
	int err;
	host_files_fn done;
	void *user;
};

struct host_files *host_files_new(struct loop *loop, const char *dir)
{
	struct host_files *files = calloc(1, sizeof(*files));

	if (!files)
		return NULL;
	files->loop = loop;
	files->worker = worker_new(loop, "fdld-tell", 1);
	if (!files->worker ||
	    snprintf(files->dir, sizeof(files->dir), "%s", dir) >= (int)sizeof(files->dir)) {
		host_files_free(files);
		return NULL;
	}
	return files;
}

void host_files_settle(struct host_files *files)
{
	uint64_t now, until = loop_now() + SETTLE_USEC;

	while (files && worker_busy(files->worker) && (now = loop_now()) < until)
		if (loop_turn(files->loop, until - now) < 0)
			return;
}

void host_files_free(struct host_files *files)
{
	if (!files)
		return;
	worker_abandon(files->worker);
	free(files);
}

static int write_all(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

static int replace(const struct put *p)
{
	char temporary[PATH_MAX + 8];
	int fd, err;

	snprintf(temporary, sizeof(temporary), "%s.new", p->path);
	if (*p->folder && mkdir(p->folder, 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	err = write_all(fd, p->text, strlen(p->text));
	if (!err && fchmod(fd, p->mode) < 0)
		err = -errno;
	if (close(fd) < 0 && !err)
		err = -errno;
	if (!err && rename(temporary, p->path) < 0)
		err = -errno;
	if (err)
		unlink(temporary);
	return err;
}

static void put_run(void *arg)
{
	struct put *p = arg;

	if (p->text)
		p->err = replace(p);
	else
		unlink(p->path);
}

static void put_done(void *arg, int status)
{
	struct put *p = arg;

	if (p->done)
		p->done(p->user, status < 0 ? status : p->err);
}

static void put_release(void *arg)
{
	struct put *p = arg;

	free(p->text);
	free(p);
}

static int queue(struct host_files *files, const char *name, mode_t mode, char *text, host_files_fn done,
		 void *user)
{
	struct worker_call call = { .run = put_run, .done = put_done, .release = put_release };
	const char *slash = strchr(name, '/');
	struct put *p = calloc(1, sizeof(*p));
	int err = -ENOMEM;

	if (p) {
		p->mode = mode;
		p->text = text;
		p->done = done;
		p->user = user;
		err = snprintf(p->path, sizeof(p->path), "%s/%s", files->dir, name) < (int)sizeof(p->path)
			      ? 0
			      : -ENAMETOOLONG;
		if (slash)
			snprintf(p->folder, sizeof(p->folder), "%s/%.*s", files->dir, (int)(slash - name),
				 name);
		call.arg = p;
		if (!err)
			err = worker_submit(files->worker, &call, NULL);
	}
	if (err) {
		free(p);
		free(text);
	}
	return err;
}

int host_files_put(struct host_files *files, const char *name, mode_t mode, char *text, host_files_fn done,
		   void *user)
{
	return text ? queue(files, name, mode, text, done, user) : -ENOMEM;
}

void host_files_remove(struct host_files *files, const char *name)
{
	(void)queue(files, name, 0, NULL, NULL, NULL);
}
