/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "station/kv.h"

static void add(struct kv *kv, const char *bytes, size_t len)
{
	if (kv->failed)
		return;
	if (kv->len + len + 1 > kv->cap) {
		size_t cap = (kv->len + len + 1) * 2;
		char *grown = realloc(kv->text, cap);

		if (!grown) {
			kv->failed = true;
			return;
		}
		kv->text = grown;
		kv->cap = cap;
	}
	memcpy(kv->text + kv->len, bytes, len);
	kv->len += len;
	kv->text[kv->len] = 0;
}

void kv_begin(struct kv *kv, const char *what, unsigned int version)
{
	char line[64];

	memset(kv, 0, sizeof(*kv));
	add(kv, line, (size_t)snprintf(line, sizeof(line), "%s %u\n", what, version));
}

void kv_str(struct kv *kv, const char *key, const char *value)
{
	if (!value || !*value)
		return;
	add(kv, key, strlen(key));
	add(kv, "=", 1);
	while (*value) {
		size_t plain = strcspn(value, "\n\r\\");

		add(kv, value, plain);
		value += plain;
		if (*value) {
			add(kv, *value == '\n' ? "\\n" : *value == '\r' ? "\\r" : "\\\\", 2);
			value++;
		}
	}
	add(kv, "\n", 1);
}

void kv_num(struct kv *kv, const char *key, uint64_t value)
{
	char line[96];

	add(kv, line, (size_t)snprintf(line, sizeof(line), "%.60s=%" PRIu64 "\n", key, value));
}

int kv_end(struct kv *kv)
{
	add(kv, "end=1\n", 6);
	return kv->failed ? -ENOMEM : 0;
}

void kv_free(struct kv *kv)
{
	free(kv->text);
	memset(kv, 0, sizeof(*kv));
}

static void unescape(char *value)
{
	char *to = value;

	while (*value) {
		if (value[0] == '\\' && value[1]) {
			*to++ = (char)(value[1] == 'n' ? '\n' : value[1] == 'r' ? '\r' : value[1]);
			value += 2;
		} else {
			*to++ = *value++;
		}
	}
	*to = 0;
}

/* The first line: "<what> <version>". */
static int head(const char *line, const char *what, unsigned int version)
{
	size_t n = strlen(what);

	if (strncmp(line, what, n) || line[n] != ' ')
		return -EBADMSG;

	uint64_t found = kv_u64(line + n + 1, 0);

	if (!found)
		return -EBADMSG;
	return found > version ? -EPROTONOSUPPORT : 0;
}

int kv_parse(char *text, size_t len, const char *what, unsigned int version, kv_fn fn, void *user)
{
	bool first = true, ended = false;

	while (len && !ended) {
		char *nl = memchr(text, '\n', len);

		if (!nl)
			break;

		size_t line = (size_t)(nl - text);
		char *eq;

		*nl = 0;
		if (strlen(text) != line)
			return -EBADMSG; /* a NUL in it: never ours */
		eq = strchr(text, '=');
		if (first) {
			int r = head(text, what, version);

			if (r < 0)
				return r;
			first = false;
		} else if (!strcmp(text, "end=1")) {
			ended = true;
		} else if (eq) {
			*eq = 0;
			unescape(eq + 1);
			fn(user, text, eq + 1);
		}
		text = nl + 1;
		len -= line + 1;
	}
	return first ? -EBADMSG : ended ? 0 : -ENODATA;
}

uint64_t kv_u64(const char *value, uint64_t def)
{
	char *end;

	if (*value < '0' || *value > '9')
		return def;
	errno = 0;

	unsigned long long n = strtoull(value, &end, 10);

	return errno || *end ? def : n;
}

bool kv_copy(char *to, size_t size, const char *value)
{
	size_t n = strlen(value);
	size_t fits = n < size ? n : size - 1;

	memcpy(to, value, fits);
	to[fits] = 0;
	return fits == n;
}
