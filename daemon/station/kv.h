/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The text form of everything the station keeps on disk: a first line "<what> <version>", then key=value
 * lines, and "end=1" as the last, so that a file that was cut can be told from a whole one. In values
 * newline, carriage return and backslash are escaped by a backslash.
 */
#ifndef FDLD_STATION_KV_H
#define FDLD_STATION_KV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kv {
	char *text;
	size_t len, cap;
	bool failed; /* memory was short: text is not to be used */
};

void kv_begin(struct kv *kv, const char *what, unsigned int version);
void kv_str(struct kv *kv, const char *key, const char *value); /* "" is left out */
void kv_num(struct kv *kv, const char *key, uint64_t value);
/* Adds the last line. 0, or -ENOMEM if anything failed since kv_begin(). */
int kv_end(struct kv *kv);
void kv_free(struct kv *kv);

typedef void (*kv_fn)(void *user, const char *key, char *value);
/*
 * Calls fn for each line of text, which is changed in place (values are unescaped). A line without "=" is
 * skipped. 0; -EBADMSG: another kind of file, or nothing; -EPROTONOSUPPORT: a newer version; -ENODATA: cut
 * (fn was called for the whole lines that are there).
 */
int kv_parse(char *text, size_t len, const char *what, unsigned int version, kv_fn fn, void *user);

/* Decimal, all of it; def if it is none. */
uint64_t kv_u64(const char *value, uint64_t def);
/* Copies, always terminated. True if it fitted. */
bool kv_copy(char *to, size_t size, const char *value);

#endif
