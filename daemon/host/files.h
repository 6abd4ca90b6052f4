/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Small files for others to read, replaced whole (a reader sees the old or the new text, never half of one),
 * on a thread of their own. They live in the runtime directory: nothing is synced.
 */
#ifndef FDLD_HOST_FILES_H
#define FDLD_HOST_FILES_H

#include <sys/types.h>

struct loop;
struct host_files;

/* dir, which exists, is copied. NULL when memory is short. */
struct host_files *host_files_new(struct loop *loop, const char *dir);
/*
 * Turns the loop until everything that was put is written and answered, but no longer than 5 s: what was
 * asked for before the end is told after it, and those who wait for done() can be freed. NULL is fine.
 */
void host_files_settle(struct host_files *files);
/* What is not written by now is dropped, and no done() is called any more. NULL is fine. */
void host_files_free(struct host_files *files);

typedef void (*host_files_fn)(void *user, int err); /* 0 or negative errno; on the loop */
/*
 * Replaces dir/name. name may begin with one folder, which is made when it is not there. Takes text (from
 * malloc, NULL: out of memory) in every case. done may be NULL. 0, or negative errno: done() is not called.
 */
int host_files_put(struct host_files *files, const char *name, mode_t mode, char *text, host_files_fn done,
		   void *user);
/* Removes dir/name, silently, after what was put before. */
void host_files_remove(struct host_files *files, const char *name);

#endif
