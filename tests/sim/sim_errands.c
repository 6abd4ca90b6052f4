/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sim_errands [--seeds N] [--seed S]: seeds of single things (errand.h): three errands on one phone, one of
 * them broken off or met by a fault. Each is tried again as a person would. Whatever happens: a job that says
 * it changed nothing did not, one that passed did what it was for and has proved it, a failure has a name, a
 * stage and words that are true, nothing is written twice, what is the phone's own is on it or in a copy,
 * what nobody asked for is as it was, and the record of the port says what the phone runs.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/phone/fault.h"
#include "tests/simlib/errand.h"
#include "tests/simlib/judge.h"

#define ERRANDS	 3
#define ATTEMPTS 5
#define CANARY	 4096u

struct trial {
	struct work_phone w;
	struct sim_random r;
	FILE *trace;
	char *text;
	size_t size;
	struct errand e;
	struct errand_word word;
	bool lied, gave_up, wiped;
	const char *gone; /* given up by this errand, and begun with */
	char canary[40];
	uint8_t was[CANARY];
	struct phone_slice lies; /* where the canary lies */
	size_t entries;		 /* seen before the attempt */
	unsigned doubtful, refused;
	enum verify_level level;
};

static bool fail(struct trial *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static bool fail(struct trial *t, const char *fmt, ...)
{
	int n = snprintf(t->text, t->size, "%s, %s: ", t->w.sc.profile->name, errand_name(t->e.kind));
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(t->text + n, t->size - (size_t)n, fmt, ap);
	va_end(ap);
	return false;
}

static struct phone_slice slice_of(const struct trial *t, const char *name)
{
	struct phone_slice all[TABLE_MAX];
	size_t n = phone_partitions(t->w.phone, all, TABLE_MAX);

	for (size_t i = 0; i < n; i++)
		if (!strcmp(all[i].name, name))
			return all[i];
	return (struct phone_slice){ .size = 0 };
}

/* Something that no errand is about. */
static void choose_canary(struct trial *t)
{
	static const char *const names[] = { "pm_sys", "pm_sys_a", "dsp", "bootloader", "spl" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && !t->canary[0]; i++)
		if (phone_storage_read(t->w.phone, names[i], 0, t->was, sizeof(t->was)))
			snprintf(t->canary, sizeof(t->canary), "%s", names[i]);
	sim_bytes(sim_random(&t->r), t->was, sizeof(t->was));
	t->was[0] = 0x22;
	phone_storage_write(t->w.phone, t->canary, 0, t->was, sizeof(t->was));
	t->lies = slice_of(t, t->canary);
}

static void choose_breaks(struct trial *t, struct sim_breaks *b)
{
	uint32_t at = 1 + (uint32_t)sim_below(&t->r, sim_one_in(&t->r, 2) ? 60 : 160);

	memset(b, 0, sizeof(*b));
	switch (sim_below(&t->r, 11)) {
	case 0: b->kill_at = at; break;
	case 1: b->unplug_at = at; break;
	case 2: b->cancel_at = at; break;
	case 3: b->force_at = at; break;
	case 4: b->fetch_fails_at = 1 + at % 8; break;
	case 5: b->store_fails_at = 1 + at % 6; break;
	case 6: b->sync_fails_at = 1 + at % 4; break;
	case 7: b->gate_fails = true; break;
	case 8: b->sink_full_at = at * 300; break;
	case 9: b->sink_closed_at = at * 300; break;
	default: break;
	}
}

/* ---- judging ---- */

/* No place was begun twice unless the phone itself asked for it. */
static bool nothing_twice(struct trial *t)
{
	for (size_t i = t->entries; i < phone_entries(t->w.phone); i++) {
		struct phone_entry e = *phone_entry(t->w.phone, i);

		if (e.ends > 1)
			return fail(t, "%s was ended %u times", e.name, e.ends);
		for (size_t k = i + 1; k < phone_entries(t->w.phone); k++) {
			const struct phone_entry *n = phone_entry(t->w.phone, k);

			if (!strcmp(n->name, e.name) && n->stage == e.stage && !e.refused && !n->refused)
				return fail(t, "%s was begun twice", e.name);
		}
	}
	return true;
}

/* Of what a phone may not know a session sends one command at most. */
static bool asked_once(struct trial *t, const struct sim_outcome *o)
{
	const struct phone_counters *c = phone_counters(t->w.phone);
	unsigned doubtful = c->doubtful - t->doubtful, refused = c->refused - t->refused;

	t->doubtful = c->doubtful;
	t->refused = c->refused;
	if (doubtful > 1)
		return fail(t, "%u commands were sent that the phone may not know", doubtful);
	if (refused > 1u + (o->done && !o->pass))
		return fail(t, "%u commands were answered as unknown", refused);
	return true;
}

/* What the next session is told of a phone that waits in its loader. */
static bool record_is_true(struct trial *t, const struct sim_outcome *o, bool stay)
{
	const char *stage = t->w.sc.profile->fdl2_base ? "fdl2" : "fdl1";
	enum phone_stage want = t->w.sc.profile->fdl2_base ? PHONE_FDL2 : PHONE_FDL1;

	if (!o->pass || !stay)
		return true;
	if (strcmp(o->record.stage, stage) != 0 || phone_stage(t->w.phone) != want)
		return fail(t, "is left in %s, and the record says '%s'", stage, o->record.stage);
	if (o->record.plain_framing != phone_plain(t->w.phone))
		return fail(t, "the record says %splain framing", o->record.plain_framing ? "" : "no ");
	return true;
}

static bool canary_lives(struct trial *t)
{
	struct phone_slice now = slice_of(t, t->canary);

	/* a table that was asked for may move it: then its content is gone, as is told */
	if (t->wiped || now.start != t->lies.start || now.size != t->lies.size) {
		t->canary[0] = 0;
		return true;
	}
	return work_holds(&t->w, t->canary, 0, t->was, sizeof(t->was)) ||
	       fail(t, "%s is not as it was", t->canary);
}

static bool judge(struct trial *t, const struct work_job *j, bool stay)
{
	char what[200] = "";
	const struct sim_outcome *o = &j->o;
	bool changed = work_changes(&t->w) != 0;

	t->lied |= phone_has_lied(t->w.phone);
	t->wiped |= changed && t->e.kind == ERRAND_EVERYTHING;
	if (j->refused.error)
		return !changed || fail(t, "refused, and %zu deeds", work_changes(&t->w));
	if (!sim_end_is_told(o, errand_reads(&t->e), what, sizeof(what)))
		return fail(t, "%s", what);
	if (!nothing_twice(t) || !asked_once(t, o))
		return false;
	if (o->done && !o->changed && changed && !t->lied)
		return fail(t, "it says unchanged after %zu deeds", work_changes(&t->w));
	if (errand_reads(&t->e) && changed)
		return fail(t, "%zu deeds of a job that reads", work_changes(&t->w));
	/* marks are compared in any case */
	if (o->pass && !j->look && o->level != (j->marks ? LEVEL_VERIFIED : t->level))
		return fail(t, "passed at level %d", o->level);
	/* a level that compares would have found it out */
	if (o->pass && (!t->lied || (o->level == LEVEL_VERIFIED && o->changed)) &&
	    !errand_done(&t->e, &t->w, j, what, sizeof(what)))
		return fail(t, "passed, but %s", what);
	if (t->w.kept_name && changed) {
		t->gone = t->w.kept_name;
		if (!t->w.kept && !t->gave_up && !t->word.without_backup && !t->lied)
			return fail(t, "%s was given up before it was kept", t->gone);
		t->gave_up = true; /* from now on there is a copy of it, or nobody wants one */
	}
	if (!t->lied && !t->word.without_backup && !errand_own_safe(&t->w, t->gone, what, sizeof(what)))
		return fail(t, "%s", what);
	if (t->canary[0] && !t->lied && !canary_lives(t))
		return false;
	return t->lied || record_is_true(t, o, stay);
}

/* ---- attempts ---- */

/* What a person would say after this refusal. */
static void learn_from(struct trial *t, const struct work_job *j)
{
	enum error_id e = j->refused.error ? j->refused.error : j->o.failure.error;
	struct errand_word *w = &t->word;

	if (e == ERR_NV_OWED && !w->nv_from[0])
		for (uint32_t i = 0; i < t->w.records->count; i++)
			if (t->w.records->backup[i]->owed)
				snprintf(w->nv_from, sizeof(w->nv_from), "%" PRIu64,
					 t->w.records->backup[i]->job);
	if (e == ERR_NV_OWED && w->nv_from[0] && sim_records_owed(t->w.records) == 0)
		w->nv_from[0] = 0;
	if (e == ERR_BACKUP_FAILED)
		w->without_backup = true;
	if (e == ERR_NV_INVALID || e == ERR_NV_UNREADABLE)
		w->nv_if_any = true;
	if (e == ERR_READ_FAILED)
		(void)errand_leave(&t->e, &t->w, j->o.failure.entry);
}

/* True: it passed. *good false: an invariant is broken. */
static bool attempt(struct trial *t, bool stay, bool *good)
{
	struct work_job j;
	bool pass;

	t->entries = phone_entries(t->w.phone);
	t->level = errand_reads(&t->e)	  ? LEVEL_ACKNOWLEDGED
		   : sim_one_in(&t->r, 3) ? LEVEL_ACKNOWLEDGED
					  : LEVEL_VERIFIED;
	errand_build(&t->e, &t->w, &t->word, t->level, stay, &j);
	if (t->trace)
		fprintf(t->trace, "# %s, job %u%s\n", errand_name(t->e.kind), t->e.job,
			t->w.stays ? ", resumed" : "");
	*good = work_run(&t->w, &j) || j.o.killed;
	if (!*good)
		fail(t, "the runner: %s", j.o.broken);
	*good = *good && judge(t, &j, stay);
	if (t->trace)
		fprintf(t->trace, "# %s%s%s\n", j.o.killed ? "killed" : work_told(&j),
			phone_death(t->w.phone)[0] ? "; the phone: " : "", phone_death(t->w.phone));
	learn_from(t, &j);
	pass = j.o.pass;
	work_done(&j);
	return pass;
}

/* What a liar gave away may be gone for good; some loaders hang when they find both copies of NV bad. */
static bool hopeless(const struct trial *t)
{
	return t->lied || strstr(phone_death(t->w.phone), "both NV copies bad");
}

static bool errand(struct trial *t, bool last)
{
	enum errand_kind kind;
	unsigned tries = 0;
	const char *why;

	do
		kind = (enum errand_kind)sim_below(&t->r, ERRAND_KINDS);
	while (!errand_fits(&t->w, kind) || (kind == ERRAND_EVERYTHING && !last));
	t->word = (struct errand_word){ .without_backup = false };
	t->gone = NULL;
	t->gave_up = false;
	if (!errand_make(&t->e, &t->w, kind, ERRAND_TABLE_ANY, &t->r))
		return fail(t, "could not be made up");
	for (;;) {
		bool stay = t->e.job + 1 < t->e.jobs || (!last && sim_one_in(&t->r, 2)), good;

		if (attempt(t, stay, &good)) {
			/* what was given up is not the phone's own any more */
			if (good && t->e.gives_up && !t->e.job)
				scenario_snapshot(&t->w.sc, t->w.phone);
			/* what has moved holds nothing; somebody fills it */
			if (good && kind == ERRAND_TABLE)
				errand_prepare(&t->w, sim_random(&t->r));
			if (good && errand_next(&t->e, &t->w, &t->r)) {
				if (!stay)
					work_replug(&t->w);
				continue;
			}
			if (good && !stay)
				work_replug(&t->w);
			return good;
		}
		if (!good)
			return false;
		if (tries + 1 == ATTEMPTS && hopeless(t))
			return true;
		memset(&t->w.config.breaks, 0, sizeof(t->w.config.breaks));
		phone_set_faults(t->w.phone, "", &why);
		work_replug(&t->w);
		if (t->e.kind == ERRAND_SAVE && t->e.job && t->e.job >= t->e.jobs)
			return true; /* nothing of it is left that can be had */
		if (++tries == ATTEMPTS)
			return fail(t, "never passes");
	}
}

static bool trial(uint64_t seed, FILE *trace, char *text, size_t size)
{
	static const char *const profiles[] = { "sc9863a", "ums512",  "ums9230", "ums9620",
						"ud710",   "sc9832e", "sc7731g", "sc8830",
						"sc6531e", "ums9117", "uic8850" };
	struct scenario_want want = { .tiny = true };
	struct trial *t = calloc(1, sizeof(*t));
	char faults[400] = "", what[200] = "";
	const char *profile;
	bool good = true;

	if (!t)
		return false;
	t->r.state = seed;
	t->text = text;
	t->size = size;
	t->trace = trace;
	text[0] = 0;
	profile = profiles[sim_below(&t->r, sizeof(profiles) / sizeof(profiles[0]))];
	want.small_own = sim_one_in(&t->r, 5) ? 0 : 1024;
	want.vbmeta = (int)sim_below(&t->r, 3);
	if (sim_one_in(&t->r, 2))
		phone_fault_random(sim_random(&t->r), phone_profile_by_name(profile), NULL, 0, faults,
				   sizeof(faults));
	if (trace)
		fprintf(trace, "# %s, faults '%s'\n", profile, faults);
	if (!work_begin(&t->w, profile, seed, &want, faults[0] ? faults : NULL)) {
		snprintf(text, size, "no phone %s with '%s'", profile, faults);
		good = false;
	} else {
		t->w.config.trace = trace;
		errand_prepare(&t->w, seed);
		scenario_snapshot(&t->w.sc, t->w.phone);
		choose_canary(t);
		choose_breaks(t, &t->w.config.breaks);
	}
	for (unsigned i = 0; good && i < ERRANDS; i++) {
		errand_free(&t->e);
		good = errand(t, i + 1 == ERRANDS);
	}
	if (good && !t->lied && !sim_records_owed(t->w.records) &&
	    !scenario_kept(&t->w.sc, t->w.phone, false, what, sizeof(what)))
		good = fail(t, "in the end %s", what);
	errand_free(&t->e);
	work_end(&t->w);
	free(t);
	return good;
}

int main(int argc, char **argv)
{
	uint64_t seeds = 600, first = 1, bad = 0;
	bool single = false;
	char text[400];

	for (int i = 1; i + 1 < argc; i += 2) {
		single |= !strcmp(argv[i], "--seed");
		if (!strcmp(argv[i], "--seeds"))
			seeds = strtoull(argv[i + 1], NULL, 0);
		else
			first = strtoull(argv[i + 1], NULL, 0);
	}
	if (single) {
		bool good = trial(first, stdout, text, sizeof(text));

		printf("%s 1 - seed %" PRIu64 " %s\n1..1\n", good ? "ok" : "not ok", first, text);
		return !good;
	}
	for (uint64_t i = 0; i < seeds && bad < 20; i++)
		if (!trial(first + i, NULL, text, sizeof(text))) {
			printf("# seed %" PRIu64 ": %s\n", first + i, text);
			bad++;
		}
	printf("%sok 1 - %" PRIu64 " seeds of single things keep every invariant\n1..1\n", bad ? "not " : "",
	       seeds);
	return bad != 0;
}
