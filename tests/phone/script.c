/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The script language of fault.h, and scripts from a seed. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/phone/device.h"

static const struct {
	const char *word;
	enum point point;
} points[] = {
	{ "control", AT_CONTROL },
	{ "probe", AT_PROBE },
	{ "connect", AT_CONNECT },
	{ "start", AT_START },
	{ "midst", AT_MIDST },
	{ "end", AT_END },
	{ "exec", AT_EXEC },
	{ "erase", AT_ERASE },
	{ "repartition", AT_REPARTITION },
	{ "read-start", AT_READ_START },
	{ "read", AT_READ },
	{ "read-end", AT_READ_END },
	{ "uid", AT_UID },
	{ "list", AT_LIST },
	{ "reset", AT_RESET },
	{ "poweroff", AT_POWER_OFF },
	{ "plain", AT_PLAIN },
	{ "raw", AT_RAW },
	{ "raw-start", AT_RAW_START },
	{ "charge", AT_CHARGE },
	{ "chunk", AT_CHUNK },
	{ "reply", AT_REPLY },
	{ "attach", AT_ATTACH },
	{ "any", AT_ANY },
};

static enum point point_by(const char *word)
{
	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++)
		if (strcmp(points[i].word, word) == 0)
			return points[i].point;
	return AT_NONE;
}

const char *ph_point_name(enum point point)
{
	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++)
		if (points[i].point == point)
			return points[i].word;
	return "";
}

static bool number(const char *word, uint64_t *out)
{
	char *end;

	*out = strtoull(word, &end, 0);
	return end != word && *end == 0;
}

static bool duration(const char *word, uint64_t *out)
{
	char *end;
	uint64_t value = strtoull(word, &end, 10);

	if (end == word)
		return false;
	if (strcmp(end, "us") == 0)
		*out = value;
	else if (strcmp(end, "ms") == 0)
		*out = value * 1000;
	else if (strcmp(end, "s") == 0)
		*out = value * 1000000;
	else
		return false;
	return true;
}

static bool value_word(const char *word, uint64_t *out)
{
	static const char *const forms[] = { "flat", "tlv", "bare", "ack" };

	for (uint64_t i = 0; i < 4; i++)
		if (strcmp(word, forms[i]) == 0) {
			*out = i;
			return true;
		}
	return number(word, out);
}

/* Defaults that make a bare "F04" or "stall" do something. */
static void defaults(struct armed *a)
{
	static const struct {
		const char *id;
		enum point point;
		unsigned nth;
	} by_id[] = { { "F04", AT_MIDST, 3 },  { "F05", AT_REPLY, 5 }, { "F09", AT_MIDST, 2 },
		      { "F20", AT_UID, 1 },    { "F28", AT_READ, 2 },  { "F62", AT_MIDST, 5 },
		      { "F63", AT_MIDST, 3 },  { "U01", AT_MIDST, 5 }, { "U02", AT_MIDST, 5 },
		      { "U03", AT_MIDST, 5 },  { "U04", AT_REPLY, 5 }, { "U05", AT_REPLY, 5 },
		      { "U06", AT_REPLY, 5 },  { "U07", AT_REPLY, 5 }, { "U08", AT_START, 1 },
		      { "U16", AT_MIDST, 5 },  { "U17", AT_MIDST, 5 }, { "U18", AT_REPLY, 5 },
		      { "U20", AT_REPLY, 5 },  { "U21", AT_REPLY, 5 }, { "U22", AT_REPLY, 5 },
		      { "U25", AT_MIDST, 5 },  { "U28", AT_MIDST, 5 }, { "U30", AT_REPLY, 5 },
		      { "U23", AT_CONTROL, 1 } };
	static const char *const every[] = { "F02", "U12", "U15", "U24", "U26", "F36", "F37", "F46",
					     "F53", "F35", "F34", "F60", "U27", "U36", NULL };
	size_t count;
	const char *id = phone_faults(&count)[a->row].id;

	for (size_t i = 0; i < sizeof(by_id) / sizeof(by_id[0]) && a->point == AT_NONE; i++)
		if (strcmp(by_id[i].id, id) == 0) {
			a->point = by_id[i].point;
			a->nth = by_id[i].nth;
		}
	for (size_t i = 0; every[i]; i++)
		if (strcmp(every[i], id) == 0 && a->point == AT_NONE)
			a->nth = EVERY;
}

static int parse_line(struct armed *a, char **words, size_t count, const char **why)
{
	size_t at = 1;

	*a = (struct armed){ .row = ph_fault_row(words[0]), .nth = 1 };
	if (a->row < 0) {
		*why = "fault script: no such fault";
		return -1;
	}
	/* "damage reply 5" and "late 30s at ..." */
	if (at < count && point_by(words[at]) != AT_NONE) {
		a->point = point_by(words[at++]);
	} else if (at < count && duration(words[at], &a->time)) {
		a->has_time = true;
		at++;
	}
	while (at < count) {
		const char *key = words[at];
		const char *arg = at + 1 < count ? words[at + 1] : "";
		uint64_t n = 0;

		if (strcmp(key, "*") == 0 || number(key, &n)) {
			a->nth = key[0] == '*' ? EVERY : (unsigned)n;
			at++;
			continue;
		}
		at += 2;
		if (strcmp(key, "at") == 0 && point_by(arg) != AT_NONE) {
			a->point = point_by(arg);
		} else if (strcmp(key, "of") == 0 || strcmp(key, "on") == 0) {
			snprintf(a->name, sizeof(a->name), "%.35s", arg);
			if (!arg[0])
				break;
		} else if (strcmp(key, "from") == 0 && number(arg, &a->from)) {
			a->has_from = true;
			if (at < count && strcmp(words[at], "offset") == 0)
				at++;
		} else if (strcmp(key, "from") == 0 && strcmp(arg, "offset") == 0 && at < count &&
			   number(words[at], &a->from)) {
			a->has_from = true;
			at++;
		} else if (strcmp(key, "for") == 0 && duration(arg, &a->time)) {
			a->has_time = true;
		} else if (strcmp(key, "with") == 0 && value_word(arg, &a->value)) {
			a->has_value = true;
		} else {
			*why = "fault script: word not understood";
			return -1;
		}
	}
	defaults(a);
	return 0;
}

int ph_fault_parse(struct armed *out, unsigned room, const char *script, const char **why)
{
	char line[256], *words[16], *save, *word;
	unsigned count = 0;

	while (script && *script) {
		size_t length = strcspn(script, "\n;"), n = 0;

		if (length >= sizeof(line)) {
			*why = "fault script: line too long";
			return -1;
		}
		memcpy(line, script, length);
		line[length] = 0;
		line[strcspn(line, "#")] = 0;
		script += length + (script[length] != 0);
		for (word = strtok_r(line, " \t\r", &save); word && n < 16;
		     word = strtok_r(NULL, " \t\r", &save))
			words[n++] = word;
		if (n == 0)
			continue;
		if (count == room) {
			*why = "fault script: too many lines";
			return -1;
		}
		if (parse_line(&out[count++], words, n, why) < 0)
			return -1;
	}
	return (int)count;
}

static uint64_t step(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static bool fits(const struct phone_fault *fault, const struct phone_profile *profile)
{
	const char *at = fault->profiles;
	size_t length = strlen(profile->name);

	if (!(fault->flags & PHONE_FAULT_SCRIPTED))
		return false;
	for (; at && *at; at += strcspn(at, " "), at += *at == ' ')
		if (strncmp(at, profile->name, length) == 0 && (at[length] == ' ' || at[length] == 0))
			return true;
	return !fault->profiles;
}

static size_t random_line(uint64_t *state, const struct phone_profile *profile, const char *const *names,
			  size_t name_count, char *out, size_t room)
{
	static const enum point where[] = { AT_START,	AT_MIDST, AT_MIDST,	  AT_MIDST,
					    AT_END,	AT_EXEC,  AT_ERASE,	  AT_READ,
					    AT_READ,	AT_UID,	  AT_REPLY,	  AT_PLAIN,
					    AT_CONNECT, AT_RESET, AT_REPARTITION, AT_PROBE };
	size_t total, used;
	const struct phone_fault *rows = phone_faults(&total), *fault;
	struct armed probe;
	const char *name;

	do
		fault = &rows[step(state) % total];
	while (!fits(fault, profile));
	name = name_count ? names[step(state) % name_count]
			  : profile->parts[step(state) % profile->part_count].name;
	used = (size_t)snprintf(out, room, "%s", fault->id);
	probe = (struct armed){ .row = ph_fault_row(fault->id) };
	defaults(&probe);
	if (probe.point != AT_NONE && fault->id[0] == 'U' && probe.point != AT_CONTROL) {
		enum point point = where[step(state) % (sizeof(where) / sizeof(where[0]))];
		unsigned nth = 1;

		if (probe.point == AT_REPLY && point == AT_PROBE)
			point = AT_REPLY;
		if (point == AT_MIDST || point == AT_READ || point == AT_REPLY)
			nth = 1 + (unsigned)(step(state) % (step(state) % 4 ? 60 : 600));
		else if (point == AT_START || point == AT_END)
			nth = 1 + (unsigned)(step(state) % 12);
		used += (size_t)snprintf(out + used, room - used, " at %s %u", ph_point_name(point), nth);
	}
	if (fault->flags & PHONE_FAULT_NAMED)
		used += (size_t)snprintf(out + used, room - used, " on %s", name);
	if (strcmp(fault->id, "U12") == 0 || strcmp(fault->id, "U09") == 0)
		used += (size_t)snprintf(out + used, room - used, " from 0x%llx",
					 (unsigned long long)(step(state) % 8 * 4096));
	if (strcmp(fault->id, "U03") == 0)
		used += (size_t)snprintf(out + used, room - used, " for %llums",
					 (unsigned long long)(1000u << step(state) % 10));
	if (strcmp(fault->id, "F16") == 0)
		used += (size_t)snprintf(out + used, room - used, " with %s",
					 step(state) % 2 ? "flat" : "bare");
	return used;
}

size_t phone_fault_random(uint64_t seed, const struct phone_profile *profile, const char *const *names,
			  size_t name_count, char *out, size_t room)
{
	uint64_t state = seed * 0xd1342543de82ef95u + 1;
	size_t used = 0, lines;

	out[0] = 0;
	if (step(&state) % 8 == 0 || room < 256)
		return 0;
	lines = 1 + (step(&state) % 4 == 0);
	for (size_t i = 0; i < lines; i++) {
		if (i)
			out[used++] = '\n';
		used += random_line(&state, profile, names, name_count, out + used, room - used);
	}
	out[used] = 0;
	return used;
}
