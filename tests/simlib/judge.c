/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What holds for the end of any job, whatever it was for. */
#include "tests/simlib/judge.h"

#include <stdarg.h>
#include <string.h>

#include "common/util.h"

bool sim_words_agree(const struct sim_outcome *o)
{
	static const struct {
		const char *words, *leaves;
	} claims[] = { { "nothing was erased", "unchanged" },
		       { "is unchanged", "unchanged" },
		       { "nothing has to be repeated", "unchanged complete" } };
	const struct error_entry *e = error_entry(o->failure.error);

	for (size_t i = 0; i < ARRAY_SIZE(claims); i++)
		if ((strstr(e->cause, claims[i].words) || strstr(e->remedy, claims[i].words)) &&
		    (!*o->leaves || !strstr(claims[i].leaves, o->leaves)))
			return false;
	return true;
}

static bool fail(char *text, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static bool fail(char *text, size_t size, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, size, fmt, ap);
	va_end(ap);
	return false;
}

bool sim_end_is_told(const struct sim_outcome *o, bool reads, char *text, size_t size)
{
	const struct error_entry *e = error_entry(o->failure.error);

	if (o->broken[0])
		return fail(text, size, "%s (%s)", o->broken, o->progress);
	if (o->killed)
		return true;
	if (!o->done)
		return fail(text, size, "neither done nor killed");
	if (o->cancelled && o->pass)
		return fail(text, size, "cancelled and passed");
	if (o->pass && strcmp(o->leaves, o->changed ? "complete" : "unchanged") != 0)
		return fail(text, size, "passed and leaves '%s'", o->leaves);
	if (reads && o->changed)
		return fail(text, size, "a job that reads has changed something");
	if (o->pass)
		return o->failure.error == ERR_NONE || fail(text, size, "passed with %s", e->name);
	if (o->failure.error == ERR_NONE)
		return fail(text, size, "failed without an error");
	if (o->failure.error == ERR_INTERNAL)
		return fail(text, size, "Internal: %s", o->failure.detail);
	if (!*e->name || !*e->cause || !*e->remedy)
		return fail(text, size, "%s has no words", e->name);
	if (!*o->failure.stage && o->failure.error != ERR_USB_OPEN_TIMEOUT)
		return fail(text, size, "%s without a stage", e->name);
	return sim_words_agree(o) ||
	       fail(text, size, "%s is told of a phone that is left '%s'", e->name, o->leaves);
}
