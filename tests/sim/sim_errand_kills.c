/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The house dies at every want of a single thing, on several kinds of phone together: a place written,
 * erased, NV, what is the phone's own restored, another table, marks. What the phone lost is in a durable
 * copy; the same thing asked for again passes, with proof, and then nothing is owed that should not be.
 * Reading an area piece by piece is broken off at its beginning, once inside, and at its end. sim_kills does
 * the same to whole packages.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/simlib/errand.h"
#include "tests/simlib/judge.h"

#define ATTEMPTS  5
#define WANTS_MAX 4096

struct row {
	enum errand_kind kind;
	enum errand_table table;
	const char *profile;
	int vbmeta;
	uint32_t half; /* 1, 2: of the wants */
};

/* Two phones share the wants of one kind of thing: the one dies at those with odd numbers. */
#define FOUR(kind, table)                                                                                    \
	{ kind, table, "sc9863a", 0, 1 }, { kind, table, "ums512", 0, 2 }, { kind, table, "ums9230", 0, 1 }, \
	{                                                                                                    \
		kind, table, "ums9620", 0, 2                                                                 \
	}

static const struct row rows[] = {
	{ ERRAND_WRITE, 0, "sc9863a", 0, 1 },
	{ ERRAND_WRITE, 0, "ums9230", 0, 2 },
	{ ERRAND_WRITE, 0, "sc8830", 0, 1 },
	{ ERRAND_WRITE, 0, "sc6531e", 0, 2 },
	{ ERRAND_ERASE_SOME, 0, "sc9863a", 0, 1 },
	{ ERRAND_ERASE_SOME, 0, "ums9620", 0, 2 },
	{ ERRAND_ERASE_SOME, 0, "sc7731g", 0, 1 },
	{ ERRAND_ERASE_SOME, 0, "uic8850", 0, 2 },
	{ ERRAND_NV, 0, "sc9863a", 0, 1 },
	{ ERRAND_NV, 0, "ums9230", 0, 2 },
	{ ERRAND_NV, 0, "sc8830", 0, 1 },
	{ ERRAND_NV, 0, "ums9117", 0, 2 },
	FOUR(ERRAND_RESTORE, 0),
	FOUR(ERRAND_START, 0),
	FOUR(ERRAND_SLOT, 0),
	FOUR(ERRAND_MODE, 0),
	{ ERRAND_VERITY, 0, "sc9863a", 1, 1 },
	{ ERRAND_VERITY, 0, "sc9863a", 2, 2 },
	{ ERRAND_VERITY, 0, "ums9620", 2, 1 },
	{ ERRAND_VERITY, 0, "sc9832e", 2, 2 },
	FOUR(ERRAND_TABLE, ERRAND_TABLE_LARGER),
	{ ERRAND_TABLE, ERRAND_TABLE_WITHOUT_OWN, "sc9863a", 0, 1 },
	{ ERRAND_TABLE, ERRAND_TABLE_WITHOUT_OWN, "ums9230", 0, 2 },
	{ ERRAND_GIVE_UP, 0, "sc9863a", 0, 1 },
	{ ERRAND_GIVE_UP, 0, "ums9620", 0, 2 },
	{ ERRAND_EVERYTHING, 0, "ums512", 0, 1 },
	{ ERRAND_EVERYTHING, 0, "ums9230", 0, 2 },
};

/* What one run wanted: where it is worth to die. */
struct log {
	uint32_t count;
	bool worth[WANTS_MAX];
	char last[80], before[80];
	bool all; /* the loaders too */
};

struct kills {
	const struct row *row;
	struct work_phone w;
	struct errand e;
	struct sim_random r;
	struct errand_word word;
	struct log log;
	uint32_t killed, owed;
	char text[300];
};

static bool fail(struct kills *k, uint32_t job, uint32_t at, const char *what)
{
	snprintf(k->text, sizeof(k->text), "job %u, killed at want %u: %s", job, at, what);
	return false;
}

/* The third of the same and what follows it are like the second. */
static void note(void *arg, const struct session *s, const struct want *want, uint32_t number)
{
	struct log *l = arg;
	const struct session_progress *p = session_progress(s);
	char now[80];

	(void)number;
	if (l->count + 1 >= WANTS_MAX)
		return;
	snprintf(now, sizeof(now), "%d %s %s", want->kind, p->step, p->entry);
	/* want and answer take turns */
	l->worth[++l->count] = (l->all || p->stage >= STAGE_LEARN) && strcmp(now, l->before) != 0;
	if (l->count > 1 && strcmp(now, l->before) != 0)
		l->worth[l->count - 1] = l->all || p->stage >= STAGE_LEARN;
	memcpy(l->before, l->last, sizeof(l->before));
	memcpy(l->last, now, sizeof(l->last));
}

static bool begin(struct kills *k)
{
	/* a table of a file counts in MiB */
	const struct scenario_want want = { .tiny = true,
					    .small_own = k->row->kind == ERRAND_TABLE ? 1024 : 256,
					    .vbmeta = k->row->vbmeta };

	k->r.state = 11;
	k->word = (struct errand_word){ .without_backup = false };
	if (!work_begin(&k->w, k->row->profile, 11, &want, NULL))
		return false;
	errand_prepare(&k->w, 11);
	scenario_snapshot(&k->w.sc, k->w.phone);
	return errand_make(&k->e, &k->w, k->row->kind, k->row->table, &k->r);
}

static void end(struct kills *k)
{
	errand_free(&k->e);
	work_end(&k->w);
}

static void learn_from(struct kills *k, const struct work_job *j)
{
	if (j->o.failure.error != ERR_NV_OWED || k->word.nv_from[0])
		return;
	for (uint32_t i = 0; i < k->w.records->count; i++)
		if (k->w.records->backup[i]->owed)
			snprintf(k->word.nv_from, sizeof(k->word.nv_from), "%" PRIu64,
				 k->w.records->backup[i]->job);
}

enum end_of { PASSED, KILLED, FAILED, BROKEN };

static enum end_of run(struct kills *k, uint32_t at, char *what, size_t size)
{
	struct work_job j;
	enum end_of how;

	errand_build(&k->e, &k->w, &k->word, LEVEL_VERIFIED, false, &j);
	k->w.config.breaks = (struct sim_breaks){ .kill_at = at };
	if (!work_run(&k->w, &j) && !j.o.killed) {
		snprintf(what, size, "the runner: %s", j.o.broken);
		how = BROKEN;
	} else if (!j.refused.error && !sim_end_is_told(&j.o, false, what, size)) {
		how = BROKEN;
	} else if (j.o.pass) {
		how = errand_done(&k->e, &k->w, &j, what, size) ? PASSED : BROKEN;
	} else {
		snprintf(what, size, "%s", work_told(&j));
		how = j.o.killed ? KILLED : FAILED;
	}
	learn_from(k, &j);
	work_done(&j);
	return how;
}

/* The jobs before this one, as they should be. */
static bool up_to(struct kills *k, uint32_t job)
{
	char what[200];

	for (uint32_t i = 0; i < job; i++) {
		if (run(k, 0, what, sizeof(what)) != PASSED)
			return false;
		if (!i && k->e.gives_up)
			scenario_snapshot(&k->w.sc, k->w.phone);
		errand_next(&k->e, &k->w, &k->r);
		work_replug(&k->w);
	}
	return true;
}

static bool again(struct kills *k, uint32_t job, uint32_t at)
{
	const char *gone = job ? NULL : k->e.gives_up;
	char what[240] = "";
	enum end_of how = FAILED;

	for (int i = 0; i < ATTEMPTS && how == FAILED; i++) {
		work_replug(&k->w);
		how = run(k, 0, what, sizeof(what));
	}
	if (how != PASSED)
		return fail(k, job, at, what);
	if (k->row->kind == ERRAND_EVERYTHING)
		return errand_own_safe(&k->w, NULL, what, sizeof(what)) || fail(k, job, at, what);
	if (sim_records_owed(k->w.records))
		return fail(k, job, at, "it passed, and something is owed all the same");
	if (gone)
		return errand_own_safe(&k->w, gone, what, sizeof(what)) || fail(k, job, at, what);
	return scenario_kept(&k->w.sc, k->w.phone, false, what, sizeof(what)) || fail(k, job, at, what);
}

static bool kill_at(struct kills *k, uint32_t job, uint32_t at)
{
	char what[240] = "";
	bool good = begin(k) && up_to(k, job);
	enum end_of how;

	if (!good) {
		end(k);
		return fail(k, job, at, "no setup");
	}
	how = run(k, at, what, sizeof(what));
	if (how != KILLED)
		good = fail(k, job, at, how == PASSED ? "it was not killed" : what);
	if (good && k->w.kept_name && work_changes(&k->w) && !k->w.kept)
		good = fail(k, job, at, "what is given up was not kept before");
	if (good && !errand_own_safe(&k->w, job ? NULL : k->e.gives_up, what, sizeof(what)))
		good = fail(k, job, at, what);
	if (good) {
		k->killed++;
		k->owed += sim_records_owed(k->w.records) != 0;
		good = again(k, job, at);
	}
	end(k);
	return good;
}

static bool job_kills(struct kills *k, uint32_t job)
{
	char what[240] = "";
	bool good = begin(k) && up_to(k, job);
	struct log *l = &k->log;

	memset(l, 0, sizeof(*l));
	l->all = k->row->kind == ERRAND_WRITE;
	k->w.look = note;
	k->w.look_arg = l;
	good = good && run(k, 0, what, sizeof(what)) == PASSED;
	end(k);
	if (!good)
		return fail(k, job, 0, what);
	for (uint32_t at = 1; at <= l->count && good; at++)
		if (l->worth[at] && at % 2 == k->row->half % 2)
			good = kill_at(k, job, at);
	return good;
}

static bool row_kills(struct kills *k, const struct row *row)
{
	uint32_t jobs;
	bool good;

	memset(k, 0, sizeof(*k));
	k->row = row;
	good = begin(k);
	jobs = k->e.jobs;
	end(k);
	for (uint32_t job = 0; job < jobs && good; job++)
		good = job_kills(k, job);
	return good;
}

int main(int argc, char **argv)
{
	size_t count = sizeof(rows) / sizeof(rows[0]), bad = 0;
	size_t only = argc > 1 ? strtoul(argv[1], NULL, 0) : 0;
	static struct kills k;

	for (size_t i = 0; i < count; i++) {
		bool good = (only && only != i + 1) || row_kills(&k, &rows[i]);

		bad += !good;
		printf("%sok %zu - %s, %s: killed at %u wants, owed after %u of them%s%s\n",
		       good ? "" : "not ", i + 1, rows[i].profile, errand_name(rows[i].kind), k.killed,
		       k.owed, good ? "" : ": ", k.text);
		fflush(stdout);
	}
	printf("1..%zu\n", count);
	return bad != 0;
}
