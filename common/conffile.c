/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lines of configuration files, and the values in them. */
#include "common/conffile.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"

#define SHOWN_PATH 120 /* bytes of a path that are told: its end */

/* Bytes of the character at p, 0: not UTF-8 (overlong, a surrogate, beyond Unicode, cut off). */
static size_t utf8(const unsigned char *p, size_t room)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = p[0] < 0x80 ? 1 : p[0] >> 5 == 6 ? 2 : p[0] >> 4 == 14 ? 3 : p[0] >> 3 == 30 ? 4 : 0;
	uint32_t c;

	if (n < 2 || n > room)
		return n <= room ? n : 0;
	c = p[0] & (0xffu >> (n + 1));
	for (size_t i = 1; i < n; i++) {
		if (p[i] >> 6 != 2)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	return c < least[n] || (c >= 0xd800 && c < 0xe000) || c > 0x10ffff ? 0 : n;
}

/* Bytes of the character at text that may be shown, 0: it may not be. */
static size_t shown(const char *text, size_t room)
{
	unsigned char c = (unsigned char)*text;

	return c < 0x20 || c == 0x7f ? 0 : utf8((const unsigned char *)text, room);
}

bool conf_clean(const char *text)
{
	size_t n, room = strlen(text);

	for (; room; text += n, room -= n) {
		n = shown(text, room);
		if (!n)
			return false;
	}
	return true;
}

/* What was cut in the middle of a character, or never was one. */
static void scrub(char *text)
{
	for (size_t n, room = strlen(text); room; text += n, room -= n) {
		n = shown(text, room);
		if (!n) {
			*text = '?';
			n = 1;
		}
	}
}

int conf_refuse(const char *file, unsigned int line, struct failure *why, const char *fmt, ...)
{
	char text[256], at[24] = "";
	size_t len = strlen(file);
	bool cut = len > SHOWN_PATH;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (line)
		snprintf(at, sizeof(at), ":%u", line);
	len = cut ? len - SHOWN_PATH : 0;
	(void)failure_set(why, ERR_CONFIG_INVALID, "%s%s%s: %s", cut ? ".." : "", file + len, at, text);
	if (why)
		scrub(why->detail);
	return -error_entry(ERR_CONFIG_INVALID)->err;
}

/* ---- lines -------------------------------------------------------------------------- */

struct parser {
	const char *file;
	const char *at, *end;
	unsigned int line; /* of what was taken last */
	char section[CONF_NAME_MAX];
	char text[CONF_LINE_MAX + 1]; /* the line with what it goes on to */
	size_t len;
};

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* One line as it stands in the file, without blanks around it. 1, 0: no more, or ConfigInvalid. */
static int take(struct parser *p, const char **line, size_t *len, struct failure *why)
{
	const char *nl, *to;

	if (p->at == p->end)
		return 0;
	p->line++;
	nl = memchr(p->at, '\n', (size_t)(p->end - p->at));
	to = nl ? nl : p->end;
	for (const char *c = p->at; c < to;) {
		size_t n = utf8((const unsigned char *)c, (size_t)(to - c));

		if (!n)
			return conf_refuse(p->file, p->line, why, "byte 0x%02x is no UTF-8",
					   (unsigned char)*c);
		if (((unsigned char)*c < 0x20 && *c != '\t' && (*c != '\r' || c + 1 != to)) || *c == 0x7f)
			return conf_refuse(p->file, p->line, why, "control character 0x%02x",
					   (unsigned char)*c);
		c += n;
	}
	*line = p->at;
	p->at = nl ? nl + 1 : p->end;
	while (to > *line && blank(to[-1]))
		to--;
	while (*line < to && blank(**line))
		(*line)++;
	*len = (size_t)(to - *line);
	return 1;
}

static bool comment(const char *line, size_t len)
{
	return len && (*line == '#' || *line == ';');
}

/* The next line that says something, with all that it goes on to, in p->text. 1, 0 or ConfigInvalid. */
static int take_whole(struct parser *p, unsigned int *first, struct failure *why)
{
	bool more = false;
	const char *line = "";
	size_t len = 0;
	int r;

	p->len = 0;
	while ((r = take(p, &line, &len, why)) > 0) {
		if (comment(line, len) || (!more && !len))
			continue;
		if (!more)
			*first = p->line;
		more = len && line[len - 1] == '\\';
		len -= more;
		while (len && blank(line[len - 1]))
			len--;
		if (p->len + 1 + len > CONF_LINE_MAX)
			return conf_refuse(p->file, *first, why, "longer than %u bytes", CONF_LINE_MAX);
		if (p->len && len)
			p->text[p->len++] = ' ';
		memcpy(p->text + p->len, line, len);
		p->len += len;
		p->text[p->len] = '\0';
		if (!more)
			return 1;
	}
	if (!r && more)
		return conf_refuse(p->file, *first, why, "goes on (\\) behind the end of the file");
	return r;
}

static bool name_ok(const char *name)
{
	static const char may[] = "-_.0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	size_t len = strlen(name);

	/* begins with a letter */
	return len && len < CONF_NAME_MAX && strchr(may + 13, *name) && strspn(name, may) == len;
}

static int section_begins(struct parser *p, struct conf_entry *entry, struct failure *why)
{
	char *name = p->text + 1;
	size_t len = strlen(name);

	if (!len || name[len - 1] != ']')
		return conf_refuse(p->file, entry->line, why, "a section is [name] and nothing behind it");
	name[--len] = '\0';
	if (!len || len >= CONF_NAME_MAX || strpbrk(name, "[]"))
		return conf_refuse(p->file, entry->line, why,
				   "a section's name has 1 to %u bytes and no brackets", CONF_NAME_MAX - 1);
	memcpy(p->section, name, len + 1);
	return 0;
}

static int split(struct parser *p, struct conf_entry *entry, struct failure *why)
{
	char *eq = strchr(p->text, '='), *end;

	if (!eq)
		return conf_refuse(p->file, entry->line, why, "'%.40s' is neither [section] nor key=value",
				   p->text);
	for (end = eq; end > p->text && blank(end[-1]); end--)
		;
	*end = '\0';
	for (eq++; blank(*eq); eq++)
		;
	if (!name_ok(p->text))
		return conf_refuse(p->file, entry->line, why, "'%.40s' is no name of a key", p->text);
	entry->key = p->text;
	entry->value = eq;
	return 0;
}

int conf_parse(const char *file, const char *text, size_t len, conf_fn fn, void *user, struct failure *why)
{
	_cleanup_free_ struct parser *p = calloc(1, sizeof(*p));
	struct conf_entry entry = { .file = file };
	int r;

	if (!p)
		return failure_set(why, ERR_INTERNAL, "out of memory");
	p->file = file;
	p->at = text;
	p->end = text + len;
	if (len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) /* some editors leave it in front */
		p->at += 3;
	while ((r = take_whole(p, &entry.line, why)) > 0) {
		entry.section = p->section;
		entry.key = NULL;
		entry.value = "";
		r = p->text[0] == '[' ? section_begins(p, &entry, why) : split(p, &entry, why);
		if (!r)
			r = fn(user, &entry, why);
		if (r < 0)
			return r;
	}
	return r;
}

/* ---- values ------------------------------------------------------------------------- */

/* The number that *at begins with; *at goes behind it. */
static int number(const char **at, uint64_t *out)
{
	const char *p = *at;
	uint64_t n = 0;

	if (*p < '0' || *p > '9')
		return -EINVAL;
	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(n, 10u, &n) || __builtin_add_overflow(n, (uint64_t)(*p - '0'), &n))
			return -ERANGE;
	*at = p;
	*out = n;
	return 0;
}

static const char *skip(const char *p)
{
	while (*p == ' ' || *p == '\t')
		p++;
	return p;
}

struct unit {
	const char *name;
	uint64_t factor;
};

/* The whole word at *at, which may be none. 0 or -EINVAL. */
static int unit_of(const char **at, const struct unit *units, size_t count, uint64_t *factor)
{
	size_t len = strcspn(*at, " \t0123456789");

	for (size_t i = 0; i < count; i++)
		if (strlen(units[i].name) == len && !strncmp(*at, units[i].name, len)) {
			*at += len;
			*factor = units[i].factor;
			return 0;
		}
	return -EINVAL;
}

int conf_u64(const char *value, uint64_t *out)
{
	int r = number(&value, out);

	return r ? r : *value ? -EINVAL : 0;
}

int conf_duration(const char *value, uint64_t *usec)
{
	static const struct unit units[] = { { "us", 1 },
					     { "ms", 1000 },
					     { "s", 1000000 },
					     { "sec", 1000000 },
					     { "m", 60000000 },
					     { "min", 60000000 },
					     { "h", UINT64_C(3600000000) },
					     { "d", UINT64_C(86400000000) },
					     { "w", UINT64_C(604800000000) } };
	uint64_t sum = 0, n, factor;
	int r;

	if (!strcmp(value, "infinity")) {
		*usec = UINT64_MAX;
		return 0;
	}
	if (!conf_u64(value, &n)) /* the one number that needs no unit */
		return __builtin_mul_overflow(n, 1000000u, usec) ? -ERANGE : 0;
	do {
		r = number(&value, &n);
		value = skip(value);
		if (!r)
			r = unit_of(&value, units, ARRAY_SIZE(units), &factor);
		if (r)
			return r;
		if (__builtin_mul_overflow(n, factor, &n) || __builtin_add_overflow(sum, n, &sum) ||
		    sum == UINT64_MAX)
			return -ERANGE;
		value = skip(value);
	} while (*value);
	*usec = sum;
	return 0;
}

int conf_size(const char *value, uint64_t *bytes)
{
	static const struct unit units[] = { { "", 1 },
					     { "B", 1 },
					     { "K", 1u << 10 },
					     { "KiB", 1u << 10 },
					     { "M", 1u << 20 },
					     { "MiB", 1u << 20 },
					     { "G", 1u << 30 },
					     { "GiB", 1u << 30 },
					     { "T", UINT64_C(1) << 40 },
					     { "TiB", UINT64_C(1) << 40 } };
	uint64_t n, factor;
	int r = number(&value, &n);

	value = skip(value);
	if (!r)
		r = unit_of(&value, units, ARRAY_SIZE(units), &factor);
	if (r)
		return r;
	if (*value)
		return -EINVAL;
	return __builtin_mul_overflow(n, factor, bytes) ? -ERANGE : 0;
}

int conf_percent(const char *value, uint32_t *percent)
{
	uint64_t n;
	int r = number(&value, &n);

	if (r)
		return r;
	if (strcmp(skip(value), "%"))
		return -EINVAL;
	if (n > 100)
		return -ERANGE;
	*percent = (uint32_t)n;
	return 0;
}

int conf_bool(const char *value, bool *out)
{
	static const char *const words[] = { "no", "yes", "false", "true", "off", "on", "0", "1" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (!strcmp(value, words[i])) {
			*out = i & 1;
			return 0;
		}
	return -EINVAL;
}

char *conf_duration_text(uint64_t usec, char *buf, size_t size)
{
	static const struct unit units[] = { { "d", UINT64_C(86400000000) },
					     { "h", UINT64_C(3600000000) },
					     { "min", 60000000 },
					     { "s", 1000000 },
					     { "ms", 1000 },
					     { "us", 1 } };
	size_t at = 0;

	if (usec == UINT64_MAX) {
		snprintf(buf, size, "infinity");
		return buf;
	}
	snprintf(buf, size, "0s");
	for (size_t i = 0; i < ARRAY_SIZE(units) && at < size; i++) {
		if (usec < units[i].factor)
			continue;
		at += (size_t)snprintf(buf + at, size - at, "%s%" PRIu64 "%s", at ? " " : "",
				       usec / units[i].factor, units[i].name);
		usec %= units[i].factor;
	}
	return buf;
}
