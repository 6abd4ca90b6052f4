/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The house dies at every single want of a flash, on every kind of phone, and the job is run again on the
 * same phone: it passes, nothing is owed any more, the package is on it, and the phone's own is what it was.
 * tests/bus/check_killwants.c does the same to the real daemon, where that takes its time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "tests/simlib/scenario.h"
#include "tests/simlib/simlib.h"

#define ATTEMPTS 4

struct kills {
	struct scenario sc;
	struct plan_options options;
	uint32_t wants, owed;
	char text[300];
};

static bool fail(struct kills *k, uint32_t at, const char *what)
{
	snprintf(k->text, sizeof(k->text), "killed at want %u: %s", at, what);
	return false;
}

/* One attempt, killed at a want (0: not). */
static bool run(struct kills *k, struct phone *phone, struct sim_records *records, uint32_t kill_at,
		uint64_t job, uint64_t *now, struct sim_outcome *o)
{
	struct sim_config config = {
		.phone = phone,
		.package = &k->sc.package.source,
		.session = { .arrival_seen = true, .job = job },
		.records = records,
		.breaks = { .kill_at = kill_at },
		.now = *now,
		.seed = job,
		.fetch_usec = 100,
		.store_usec = 100,
	};
	struct failure why = { 0 };
	struct plan *plan = NULL;
	bool good;

	good = plan_compile(k->sc.package.pac, &k->options, &plan, &why) == 0;
	config.session.plan = plan;
	good = good && sim_run(&config, o) == 0;
	plan_free(plan);
	if (good)
		*now = o->now + 5000000;
	return good;
}

/* What the phone lost, somebody keeps. */
static bool safe(const struct kills *k, const struct phone *phone, const struct sim_records *records)
{
	char what[160];

	return sim_records_owed(records) || scenario_kept(&k->sc, phone, false, what, sizeof(what));
}

/* A phone without an identity: a person says whose backup it is. */
static void tell_whose(struct kills *k, const struct sim_records *records)
{
	for (uint32_t i = 0; i < records->count; i++)
		if (records->backup[i]->owed)
			snprintf(k->options.nv_from, sizeof(k->options.nv_from), "%llu",
				 (unsigned long long)records->backup[i]->job);
}

static bool again(struct kills *k, struct phone *phone, struct sim_records *records, uint32_t at,
		  uint64_t *now)
{
	struct sim_outcome o = { 0 };
	char what[160];
	bool good = true;

	for (uint64_t job = 2; good && !o.pass; job++) {
		if (o.failure.error == ERR_NV_OWED)
			tell_whose(k, records);
		sim_outcome_free(&o);
		memset(&o, 0, sizeof(o));
		phone_unplug(phone, *now);
		*now += 3000000;
		phone_plug(phone, *now);
		good = run(k, phone, records, 0, job, now, &o);
		if (!good)
			fail(k, at, "the next attempt could not be made");
		else if (!o.pass && (job == ATTEMPTS || o.failure.error != ERR_NV_OWED))
			good = fail(k, at, failure_text(&o.failure, what, sizeof(what)));
	}
	k->options.nv_from[0] = '\0';
	sim_outcome_free(&o);
	if (good && sim_records_owed(records))
		good = fail(k, at, "it passed, and a backup is owed all the same");
	if (good && !scenario_holds(&k->sc, &k->options, phone, what, sizeof(what)))
		good = fail(k, at, what);
	if (good && !scenario_kept(&k->sc, phone, false, what, sizeof(what)))
		good = fail(k, at, what);
	return good;
}

/* False: text. *more: there was such a want. */
static bool kill_at(struct kills *k, uint32_t at, bool *more)
{
	struct sim_records *records = sim_records_new();
	struct sim_outcome o = { 0 };
	const char *why = "";
	struct phone *phone = scenario_phone(&k->sc, 7, NULL, &why);
	uint64_t now = 0;
	bool good = records && phone;

	if (good) {
		phone_plug(phone, now);
		good = run(k, phone, records, at, 1, &now, &o);
	}
	*more = o.killed;
	if (!good)
		fail(k, at, "no setup");
	else if (o.broken[0])
		good = fail(k, at, o.broken);
	else if (!o.killed && !o.pass)
		good = fail(k, at, "it fails without being killed");
	else if (!safe(k, phone, records))
		good = fail(k, at, "the phone's own is lost, and nothing is owed");
	if (good && o.killed) {
		k->owed += sim_records_owed(records) != 0;
		good = again(k, phone, records, at, &now);
	}
	sim_outcome_free(&o);
	phone_free(phone);
	sim_records_free(records);
	return good;
}

static bool kills(const struct phone_profile *profile, struct kills *k)
{
	const struct scenario_want want = { .tiny = true };
	struct failure why = { 0 };
	bool good = true, more = true;

	memset(k, 0, sizeof(*k));
	k->options.repartition = REPARTITION_ALWAYS;
	if (scenario_make(7, profile, &want, &k->sc, &why)) {
		snprintf(k->text, sizeof(k->text), "no package: %s", why.detail);
		return false;
	}
	for (uint32_t at = 1; good && more; at++) {
		good = kill_at(k, at, &more);
		k->wants += more;
	}
	scenario_free(&k->sc);
	return good;
}

int main(void)
{
	size_t count, bad = 0;
	const struct phone_profile *rows = phone_profiles(&count);
	static struct kills k;

	for (size_t i = 0; i < count; i++) {
		bool good = kills(&rows[i], &k);

		bad += !good;
		printf("%sok %zu - %s: killed at each of %u wants, owed after %u of them%s%s\n",
		       good ? "" : "not ", i + 1, rows[i].name, k.wants, k.owed, good ? "" : ": ", k.text);
		fflush(stdout);
	}
	printf("1..%zu\n", count);
	return bad != 0;
}
