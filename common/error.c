/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/error.h"
#include "common/names.h"
#include "common/utf8.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct error_entry no_error = { ERR_NONE, "None", "", 0, 0, FAULT_NONE, false, "", "" };

static const struct error_entry table[ERR_COUNT] = {
#define ROW(id, name, err, exit_code, fault, again, cause, remedy) \
	[ERR_##id] = { ERR_##id, name, FDLD_ERROR_PREFIX name, err, exit_code, fault, again, cause, remedy },
#include "common/errors.def"
#undef ROW
};

const struct error_entry *error_entry(enum error_id id)
{
	if (id == ERR_NONE)
		return &no_error;
	if ((unsigned)id >= ERR_COUNT)
		return &table[ERR_INTERNAL];
	return &table[id];
}

enum error_id error_by_name(const char *name)
{
	static const char prefix[] = FDLD_ERROR_PREFIX;

	if (!name)
		return ERR_NONE;
	if (!strncmp(name, prefix, sizeof(prefix) - 1))
		name += sizeof(prefix) - 1;
	for (unsigned i = ERR_NONE + 1; i < ERR_COUNT; i++)
		if (!strcmp(table[i].name, name))
			return (enum error_id)i;
	return ERR_NONE;
}

const char *error_fault_name(enum error_fault fault)
{
	switch (fault) {
	case FAULT_NONE: return "none";
	case FAULT_CALLER: return "caller";
	case FAULT_PACKAGE: return "package";
	case FAULT_PHONE: return "phone";
	case FAULT_STATION: return "station";
	case FAULT_US: return "us";
	}
	return "us";
}

int failure_set(struct failure *why, enum error_id error, const char *fmt, ...)
{
	/* formatted aside first: an argument may point into *why itself */
	char detail[sizeof(why->detail)];
	va_list ap;

	if (!why)
		return -error_entry(error)->err;
	va_start(ap, fmt);
	if (vsnprintf(detail, sizeof(detail), fmt, ap) < 0)
		detail[0] = '\0';
	va_end(ap);
	utf8_tame(detail); /* it may have been cut in the middle of a character */
	if (why->error != error) {
		memset(why, 0, sizeof(*why));
		why->error = error;
		why->code = -1;
	}
	memcpy(why->detail, detail, sizeof(why->detail));
	return -error_entry(error)->err;
}

/* Appends as much as fits; len stays below size, so the text is always terminated. */
__attribute__((format(printf, 4, 5))) static size_t append(char *buf, size_t size, size_t len,
							   const char *fmt, ...)
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
	return (size_t)n < size - len ? len + (size_t)n : size - 1;
}

const char *failure_text(const struct failure *why, char *buf, unsigned long size)
{
	const struct error_entry *e;
	size_t len = 0;

	if (!size)
		return buf;
	buf[0] = '\0';
	if (!why || why->error == ERR_NONE) {
		append(buf, size, 0, "no failure");
		return buf;
	}
	e = error_entry(why->error);
	len = append(buf, size, len, "%s", e->name);
	if (why->stage[0])
		len = append(buf, size, len, " in %.*s", (int)sizeof(why->stage), why->stage);
	if (why->step[0])
		len = append(buf, size, len, "%s%.*s", why->stage[0] ? ", " : " at ", (int)sizeof(why->step),
			     why->step);
	if (why->entry[0])
		len = append(buf, size, len, " %.*s", (int)sizeof(why->entry), why->entry);
	if (why->has_offset)
		len = append(buf, size, len, " at 0x%llx", (unsigned long long)why->offset);
	if (why->code > 0)
		len = append(buf, size, len, ", reply 0x%02x", (unsigned)why->code);
	len = append(buf, size, len, ": %s", e->cause);
	if (why->detail[0])
		append(buf, size, len, " (%.*s)", (int)sizeof(why->detail), why->detail);
	return buf;
}
