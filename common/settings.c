/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of settings, and values as words and numbers. */
#include "common/settings.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/util.h"

#define UNLIMITED "unlimited"

static const struct row {
	struct setting_entry entry;
	size_t offset;
} rows[SETTING_COUNT] = {
#define SETTING(id, section, key, type, member, preset, least, most, words, restart, help)                 \
	[SETTING_##id] = { { section, key, section "." key, SETTING_IS_##type, preset, least, most, words, \
			     restart, help },                                                              \
			   offsetof(struct settings, member) },
#include "common/settings.def"
#undef SETTING
};

const struct setting_entry *setting_entry(enum setting_id id)
{
	return &rows[id].entry;
}

enum setting_id setting_find(const char *name)
{
	for (int i = 0; i < SETTING_COUNT; i++)
		if (!strcmp(rows[i].entry.name, name) || !strcmp(rows[i].entry.key, name))
			return (enum setting_id)i;
	return SETTING_NONE;
}

unsigned int setting_distance(const char *a, const char *b)
{
	unsigned int row[CONF_NAME_MAX], last, old;
	size_t n = strlen(b);

	if (n >= CONF_NAME_MAX)
		return UINT32_MAX;
	for (unsigned int j = 0; j <= n; j++)
		row[j] = j;
	for (; *a; a++) {
		last = row[0]++;
		for (size_t j = 1; j <= n; j++) {
			old = row[j];
			row[j] = MIN(MIN(row[j], row[j - 1]) + 1, last + (*a != b[j - 1]));
			last = old;
		}
	}
	return row[n];
}

enum setting_id setting_like(const char *name)
{
	enum setting_id like = SETTING_NONE;
	unsigned int best = 4;

	for (int i = 0; i < SETTING_COUNT; i++) {
		unsigned int d = MIN(setting_distance(name, rows[i].entry.key),
				     setting_distance(name, rows[i].entry.name));

		if (d < best && d < strlen(rows[i].entry.key)) {
			best = d;
			like = (enum setting_id)i;
		}
	}
	return like;
}

/* ---- values ------------------------------------------------------------------------- */

static void *at(struct settings *set, enum setting_id id)
{
	return (char *)set + rows[id].offset;
}

bool setting_number(const struct settings *set, enum setting_id id, uint64_t *out)
{
	const void *p = (const char *)set + rows[id].offset;

	switch (rows[id].entry.type) {
	case SETTING_IS_SIZE:
	case SETTING_IS_DURATION: *out = *(const uint64_t *)p; return true;
	case SETTING_IS_COUNT:
	case SETTING_IS_PERCENT: *out = *(const uint32_t *)p; return true;
	default: return false;
	}
}

static void put_number(struct settings *set, enum setting_id id, uint64_t n)
{
	if (rows[id].entry.type == SETTING_IS_DURATION || rows[id].entry.type == SETTING_IS_SIZE)
		*(uint64_t *)at(set, id) = n;
	else
		*(uint32_t *)at(set, id) = (uint32_t)n;
}

static int read_size(const char *value, uint64_t *n)
{
	if (!strcmp(value, UNLIMITED)) {
		*n = UINT64_MAX;
		return 0;
	}
	return conf_size(value, n);
}

static char *size_text(uint64_t n, char *buf, size_t size)
{
	static const char units[] = "KMGT"; /* each 1024 of the one before */
	size_t unit = 0;

	if (n == UINT64_MAX) {
		snprintf(buf, size, UNLIMITED);
		return buf;
	}
	while (n && n % 1024 == 0 && unit < strlen(units)) {
		n /= 1024;
		unit++;
	}
	snprintf(buf, size, "%" PRIu64 "%.*s", n, unit ? 1 : 0, unit ? &units[unit - 1] : "");
	return buf;
}

char *setting_number_text(const struct setting_entry *e, uint64_t n, char *buf, size_t size)
{
	if (e->type == SETTING_IS_DURATION)
		conf_duration_text(n, buf, size);
	else if (e->type == SETTING_IS_SIZE)
		size_text(n, buf, size);
	else if (e->type == SETTING_IS_COUNT && n == UINT32_MAX)
		snprintf(buf, size, UNLIMITED);
	else
		snprintf(buf, size, "%" PRIu64 "%s", n, e->type == SETTING_IS_PERCENT ? "%" : "");
	return buf;
}

char *setting_text(const struct settings *set, enum setting_id id, char *buf, size_t size)
{
	uint64_t n;

	if (setting_number(set, id, &n))
		return setting_number_text(&rows[id].entry, n, buf, size);
	snprintf(buf, size, "%s", (const char *)set + rows[id].offset);
	return buf;
}

bool setting_same(const struct settings *a, const struct settings *b, enum setting_id id)
{
	char ta[SETTING_TEXT_MAX], tb[SETTING_TEXT_MAX];

	return !strcmp(setting_text(a, id, ta, sizeof(ta)), setting_text(b, id, tb, sizeof(tb)));
}

static int read_number(const struct setting_entry *e, const char *value, uint64_t *n)
{
	uint32_t percent = 0;
	int r;

	switch (e->type) {
	case SETTING_IS_DURATION: return conf_duration(value, n);
	case SETTING_IS_SIZE: return read_size(value, n);
	case SETTING_IS_PERCENT:
		r = conf_percent(value, &percent);
		*n = percent;
		return r;
	default:
		if (e->most == UINT32_MAX && !strcmp(value, UNLIMITED)) {
			*n = UINT32_MAX;
			return 0;
		}
		r = conf_u64(value, n);
		/* one less than the word for it, which a number must not be taken for */
		return !r && *n >= UINT32_MAX ? -ERANGE : r;
	}
}

int setting_take_number(const struct setting_entry *e, const char *value, uint64_t *out, char *reason,
			size_t size)
{
	static const char *const what[] = { [SETTING_IS_DURATION] = "a time such as 90s, 10min or 1h 30min",
					    [SETTING_IS_COUNT] = "a number",
					    [SETTING_IS_PERCENT] = "a percentage such as 50%",
					    [SETTING_IS_SIZE] = "a size such as 500M or 64G" };
	char least[SETTING_TEXT_MAX], most[SETTING_TEXT_MAX];
	uint64_t n = 0;
	int r = read_number(e, value, &n);

	if (!r && n >= e->least && n <= e->most) {
		*out = n;
		return 0;
	}
	if (r == -EINVAL)
		snprintf(reason, size, "%s is %s%s, not '%.30s'", e->key, what[e->type],
			 e->type == SETTING_IS_DURATION && e->most == UINT64_MAX ? ", or infinity"
			 : e->type == SETTING_IS_SIZE ||
					 (e->type == SETTING_IS_COUNT && e->most == UINT32_MAX)
				 ? ", or " UNLIMITED
				 : "",
			 value);
	else
		snprintf(reason, size, "%s lies between %s and %s, '%.30s' does not", e->key,
			 setting_number_text(e, e->least, least, sizeof(least)),
			 setting_number_text(e, e->most, most, sizeof(most)), value);
	return -EINVAL;
}

bool setting_one_of(const char *value, const char *words)
{
	size_t len = strlen(value);

	while (len) {
		size_t n = strcspn(words, ",");

		if (n == len && !strncmp(words, value, n))
			return true;
		if (!words[n])
			break;
		words += n + 2; /* the blank, too */
	}
	return false;
}

static int take_string(struct settings *set, enum setting_id id, const char *value, char *reason, size_t size)
{
	const struct setting_entry *e = &rows[id].entry;

	if (e->type == SETTING_IS_WORD && !setting_one_of(value, e->words)) {
		snprintf(reason, size, "%s is one of %s, not '%.30s'", e->key, e->words, value);
		return -EINVAL;
	}
	/* the only texts are names of udev tags: what udev takes there */
	if (strlen(value) >= SETTING_TEXT_MAX ||
	    value[strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")]) {
		snprintf(reason, size, "%s is of at most %u letters, digits, - and _, not '%.30s'", e->key,
			 SETTING_TEXT_MAX - 1, value);
		return -EINVAL;
	}
	snprintf(at(set, id), SETTING_TEXT_MAX, "%s", value);
	return 0;
}

int setting_put(struct settings *set, enum setting_id id, const char *value, char *reason, size_t size)
{
	const struct setting_entry *e = &rows[id].entry;
	uint64_t n = 0;
	int r;

	if (!*value)
		value = e->preset;
	if (e->type == SETTING_IS_WORD || e->type == SETTING_IS_TEXT)
		return take_string(set, id, value, reason, size);
	r = setting_take_number(e, value, &n, reason, size);
	if (!r)
		put_number(set, id, n);
	return r;
}

void settings_preset(struct settings *set)
{
	char reason[8];

	memset(set, 0, sizeof(*set));
	/* the table's own values are good: a test says so */
	for (int i = 0; i < SETTING_COUNT; i++)
		(void)setting_put(set, (enum setting_id)i, "", reason, sizeof(reason));
}
