/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/simlib/tally.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void tally_step(struct sim_tally *t, const char *name, bool hit)
{
	for (size_t i = 0; i < TALLY_STEPS; i++) {
		if (!t->step[i].name[0])
			snprintf(t->step[i].name, sizeof(t->step[i].name), "%s", name);
		if (strcmp(t->step[i].name, name) != 0)
			continue;
		t->step[i].seen++;
		t->step[i].hit += hit;
		return;
	}
}

void tally_attempt(struct sim_tally *t, const struct sim_outcome *o, const struct phone *phone)
{
	size_t count;
	const struct phone_fault *faults = phone_faults(&count);
	bool bad = o->done && !o->pass;

	t->attempts++;
	t->kills += o->killed;
	t->inputs += o->inputs;
	for (size_t i = 0; i <= WANT_DONE; i++)
		t->want[i].seen += o->want_count[i];
	if (bad) {
		t->error[o->failure.error < ERR_COUNT ? o->failure.error : ERR_INTERNAL]++;
		t->want[o->last_want].hit++;
		if (o->step[0])
			tally_step(t, o->step, true);
	}
	for (size_t i = 0; i < count && i < TALLY_FAULTS; i++) {
		bool fired = phone_fault_count(phone, faults[i].id).fired > 0;

		t->fault[i].fired += fired;
		t->fault[i].changed += fired && bad;
	}
}

void tally_merge(struct sim_tally *into, const struct sim_tally *from)
{
	into->runs += from->runs;
	into->passes += from->passes;
	into->attempts += from->attempts;
	into->kills += from->kills;
	into->virtual_sec += from->virtual_sec;
	into->inputs += from->inputs;
	for (size_t i = 0; i < TALLY_FAULTS; i++) {
		into->fault[i].fired += from->fault[i].fired;
		into->fault[i].changed += from->fault[i].changed;
	}
	for (size_t i = 0; i < ERR_COUNT; i++)
		into->error[i] += from->error[i];
	for (size_t i = 0; i <= WANT_DONE; i++) {
		into->want[i].seen += from->want[i].seen;
		into->want[i].hit += from->want[i].hit;
	}
	for (size_t i = 0; i < TALLY_STEPS && from->step[i].name[0]; i++) {
		tally_step(into, from->step[i].name, false);
		for (size_t k = 0; k < TALLY_STEPS; k++) {
			if (strcmp(into->step[k].name, from->step[i].name) != 0)
				continue;
			into->step[k].seen += from->step[i].seen - 1;
			into->step[k].hit += from->step[i].hit;
		}
	}
}

/* ---- excuses ---- */

static char *slurp(const char *path)
{
	FILE *f = path ? fopen(path, "r") : NULL;
	char *text = calloc(1, 65536);
	size_t n = 0;

	if (f && text)
		n = fread(text, 1, 65535, f);
	if (f)
		fclose(f);
	if (text)
		text[n] = 0;
	return text;
}

static bool excused(const char *file, const char *kind, const char *name)
{
	char want[80];
	size_t n;

	snprintf(want, sizeof(want), "%s %s ", kind, name);
	n = strlen(want);
	for (const char *at = file; at && *at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL)
		if (!strncmp(at, want, n) && at[n] > ' ')
			return true;
	return false;
}

static unsigned check(FILE *to, const char *file, const char *kind, const char *name, uint64_t count)
{
	if (count || excused(file, kind, name))
		return 0;
	fprintf(to, "# NEVER: %s %s\n", kind, name);
	return 1;
}

unsigned tally_print(const struct sim_tally *t, const char *excuses, FILE *to)
{
	size_t count;
	const struct phone_fault *faults = phone_faults(&count);
	char *file = slurp(excuses);
	unsigned zeros = 0;

	fprintf(to, "# fault  injected  changed\n");
	for (size_t i = 0; i < count && i < TALLY_FAULTS; i++) {
		fprintf(to, "# %-4s %10" PRIu64 " %8" PRIu64 "  %s\n", faults[i].id, t->fault[i].fired,
			t->fault[i].changed, faults[i].name);
		zeros += check(to, file, "fault", faults[i].id, t->fault[i].fired);
		/* a benign fault must not change anything: that is what its zero says */
		if (t->fault[i].fired && !(faults[i].flags & PHONE_FAULT_BENIGN))
			zeros += check(to, file, "changed", faults[i].id, t->fault[i].changed);
	}
	fprintf(to, "# error                      reached\n");
	for (unsigned i = 1; i < ERR_COUNT; i++) {
		if (t->error[i])
			fprintf(to, "# %-24s %9" PRIu64 "\n", error_entry(i)->name, t->error[i]);
		zeros += check(to, file, "error", error_entry(i)->name, t->error[i]);
	}
	fprintf(to, "# want          taken      hit\n");
	for (unsigned i = 0; i < WANT_DONE; i++) {
		fprintf(to, "# %-8s %10" PRIu64 " %8" PRIu64 "\n", sim_want_name(i), t->want[i].seen,
			t->want[i].hit);
		zeros += check(to, file, "want", sim_want_name(i), t->want[i].hit);
	}
	fprintf(to, "# step                      seen      hit\n");
	for (size_t i = 0; i < TALLY_STEPS && t->step[i].name[0]; i++) {
		fprintf(to, "# %-20s %10" PRIu64 " %8" PRIu64 "\n", t->step[i].name, t->step[i].seen,
			t->step[i].hit);
		zeros += check(to, file, "step", t->step[i].name, t->step[i].hit);
	}
	fprintf(to,
		"# %" PRIu64 " seeds, %" PRIu64 " attempts (%" PRIu64 " killed), %" PRIu64
		" seeds passed, %" PRIu64 " inputs\n",
		t->runs, t->attempts, t->kills, t->passes, t->inputs);
	free(file);
	return zeros;
}
