/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Errors in the user's language. The cause and the remedy are looked up by the error's name in our own table
 * and then in the catalogue; the daemon speaks English, and a newer one may know errors that we do not.
 */
#include <stdarg.h>
#include <string.h>

#include "client/client.h"
#include "common/names.h"
#include "common/util.h"

/* Appends as much as fits; len stays below size. */
__attribute__((format(printf, 4, 5))) static size_t put(char *buf, size_t size, size_t len, const char *fmt,
							...)
{
	va_list ap;
	int n;

	if (len + 1 >= size)
		return len;
	va_start(ap, fmt);
	n = vsnprintf(buf + len, size - len, fmt, ap);
	va_end(ap);
	if (n < 0) {
		buf[len] = '\0';
		return len;
	}
	return MIN(len + (size_t)n, size - 1);
}

/* "SignatureRefused in fdl2, write boot at 0x1000, reply 0x84" */
static size_t put_place(const struct failure *why, const char *name, char *buf, size_t size)
{
	size_t len = put(buf, size, 0, "%s", name);

	if (why->stage[0])
		len = put(buf, size, len, _(" in %.*s"), (int)sizeof(why->stage), why->stage);
	if (why->step[0])
		len = put(buf, size, len, "%s%.*s", why->stage[0] ? ", " : _(" at "), (int)sizeof(why->step),
			  why->step);
	if (why->entry[0])
		len = put(buf, size, len, " %.*s", (int)sizeof(why->entry), why->entry);
	if (why->has_offset)
		len = put(buf, size, len, _(" at 0x%llx"), (unsigned long long)why->offset);
	if (why->code > 0)
		len = put(buf, size, len, _(", reply 0x%02x"), (unsigned)why->code);
	return len;
}

static const char *put_all(const struct failure *why, const char *name, const char *cause, char *buf,
			   size_t size)
{
	size_t len = put_place(why, name, buf, size);

	len = put(buf, size, len, ": %s", cause);
	if (why->detail[0])
		put(buf, size, len, " (%.*s)", (int)sizeof(why->detail), why->detail);
	return buf;
}

const char *words_failure(const struct failure *why, char *buf, size_t size)
{
	const struct error_entry *e = error_entry(why->error);

	return put_all(why, e->name, *e->cause ? _(e->cause) : "", buf, size);
}

const char *words_remote(enum error_id id, const char *message, char *buf, size_t size)
{
	const struct error_entry *e = error_entry(id);
	const char *at = id == ERR_NONE ? NULL : strstr(message, e->cause);
	size_t len;

	if (id == ERR_NONE) {
		snprintf(buf, size, "%s", message);
	} else if (at) { /* as failure_text() builds it */
		len = put(buf, size, 0, "%.*s%s", (int)(at - message), message, _(e->cause));
		put(buf, size, len, "%s", at + strlen(e->cause));
	} else {
		snprintf(buf, size, "%s: %s (%s)", e->name, _(e->cause), message);
	}
	return buf;
}

static void copy(char *to, size_t size, json_object *details, const char *key)
{
	snprintf(to, size, "%s", prop_str(details, key));
}

const char *words_job(const char *error, json_object *details, char *buf, size_t size)
{
	struct failure why = { .error = error_by_name(error), .code = -1 };

	if (why.error == ERR_NONE) {
		snprintf(buf, size, "%s", prop_str(details, "message"));
		return buf;
	}
	copy(why.stage, sizeof(why.stage), details, "stage");
	copy(why.step, sizeof(why.step), details, "step");
	copy(why.entry, sizeof(why.entry), details, "entry");
	copy(why.detail, sizeof(why.detail), details, "detail");
	why.has_offset = json_object_object_get_ex(details, "offset", NULL);
	why.offset = prop_u64(details, "offset");
	if (json_object_object_get_ex(details, "device_code", NULL))
		why.code = (int)prop_u64(details, "device_code");
	return words_failure(&why, buf, size);
}

const char *words_remedy(enum error_id id, const char *fallback)
{
	return id == ERR_NONE ? fallback : _(error_entry(id)->remedy);
}
