/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sixteen phones on one loop and one clock, at the pace of real ones: equal phones end together, and one that
 * stalls, goes silent or leaves changes nothing for the others.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/simlib/scenario.h"
#include "tests/simlib/simlib.h"

#define PHONES	  16
#define OWN	  "miscdata" /* no two phones have the same in it */
#define OWN_AT	  4096
#define HOST_USEC 400 /* what an input costs the loop: more than was measured */

struct line {
	struct scenario sc;
	struct plan *plan;
	struct bsl_shelf *shelf;
	struct phone *phone[PHONES];
	struct sim_config config[PHONES];
	struct sim_outcome out[PHONES];
};

static unsigned tests, failures;

static void ok(bool good, const char *name, const char *why)
{
	tests++;
	failures += !good;
	printf("%sok %u - %s%s%s\n", good ? "" : "not ", tests, name, good ? "" : ": ", good ? "" : why);
}

/* All of one profile, each with its own delays; the first has the faults. */
static bool run_so(struct line *l, const char *profile, const char *faults, uint64_t host_usec,
		   const struct plan_options *options)
{
	const struct phone_profile *p = phone_profile_by_name(profile);
	const struct scenario_want want = { .large = true };
	struct failure why = { 0 };
	const char *reason = "";

	memset(l, 0, sizeof(*l));
	if (scenario_make(5, p, &want, &l->sc, &why) ||
	    plan_compile(l->sc.package.pac, options, &l->plan, &why))
		return false;
	l->shelf = session_shelf_new();
	for (unsigned i = 0; i < PHONES; i++) {
		l->phone[i] = scenario_phone(&l->sc, 100 + i, i ? NULL : faults, &reason);
		if (!l->phone[i])
			return false;
		if (options->erase_all && !phone_storage_write(l->phone[i], OWN, OWN_AT, &i, sizeof(i)))
			return false;
		phone_plug(l->phone[i], 0);
		l->config[i] = (struct sim_config){
			.phone = l->phone[i],
			.package = &l->sc.package.source,
			.session = { .plan = l->plan, .arrival_seen = true, .shelf = l->shelf, .job = 1 },
			.seed = 7 + i,
			.cut = true,
			.fetch_usec = 300,
			.store_usec = 2000,
			.gate_usec = 10000,
		};
	}
	return sim_run_many(l->config, l->out, PHONES, host_usec) == 0;
}

static bool run(struct line *l, const char *profile, const char *faults, uint64_t host_usec)
{
	const struct plan_options options = { .level = LEVEL_VERIFIED };

	return run_so(l, profile, faults, host_usec, &options);
}

static void end(struct line *l)
{
	for (unsigned i = 0; i < PHONES; i++) {
		sim_outcome_free(&l->out[i]);
		phone_free(l->phone[i]);
	}
	session_shelf_free(l->shelf);
	plan_free(l->plan);
	scenario_free(&l->sc);
}

/* From first on: all passed; when the first and the last of them ended. */
static bool ended(const struct line *l, unsigned first, uint64_t *fastest, uint64_t *slowest, char *text,
		  size_t size)
{
	*fastest = UINT64_MAX;
	*slowest = 0;
	for (unsigned i = first; i < PHONES; i++) {
		const struct sim_outcome *o = &l->out[i];

		if (!o->pass) {
			snprintf(text, size, "phone %u: %s", i,
				 o->broken[0] ? o->broken : error_entry(o->failure.error)->name);
			return false;
		}
		*fastest = o->now < *fastest ? o->now : *fastest;
		*slowest = o->now > *slowest ? o->now : *slowest;
	}
	return true;
}

static void together(const char *profile)
{
	char name[80], text[160] = "could not be run";
	uint64_t fastest, slowest;
	struct line l;
	bool good = run(&l, profile, NULL, HOST_USEC) && ended(&l, 0, &fastest, &slowest, text, sizeof(text));

	if (good) {
		snprintf(text, sizeof(text), "slowest to fastest %.3f", (double)slowest / (double)fastest);
		good = slowest * 10 <= fastest * 11;
		printf("# %s: %s, %" PRIu64 " ms\n", profile, text, slowest / 1000);
	}
	snprintf(name, sizeof(name), "%d phones %s end together", PHONES, profile);
	ok(good, name, text);
	end(&l);
}

static void alone(const char *what, const char *faults)
{
	const char *profile = "sc9863a";
	char name[80], text[160] = "could not be run";
	uint64_t fastest, slowest, calm = 0;
	struct line l;
	bool good = run(&l, profile, NULL, HOST_USEC) && ended(&l, 1, &fastest, &calm, text, sizeof(text));

	end(&l);
	good = good && run(&l, profile, faults, HOST_USEC) &&
	       ended(&l, 1, &fastest, &slowest, text, sizeof(text));
	if (good && l.out[0].pass) {
		good = false;
		snprintf(text, sizeof(text), "the first one was to fail");
	} else if (good) {
		snprintf(text, sizeof(text), "others end after %" PRIu64 " instead of %" PRIu64 " us",
			 slowest, calm);
		good = slowest * 100 <= calm * 102;
	}
	snprintf(name, sizeof(name), "one phone %s, %d go on as before", what, PHONES - 1);
	ok(good, name, text);
	end(&l);
}

/* All are wiped, and get the same images, but each what was saved of it. */
static void own_things(void)
{
	const struct plan_options options = { .level = LEVEL_VERIFIED, .erase_all = true };
	char text[160] = "could not be run";
	uint64_t fastest, slowest;
	unsigned restored = 0;
	struct line l;
	bool good = run_so(&l, "sc9863a", NULL, HOST_USEC, &options) &&
		    ended(&l, 0, &fastest, &slowest, text, sizeof(text));

	for (unsigned i = 0; good && i < l.plan->step_count; i++)
		restored += l.plan->step[i].op == OP_RESTORE && !strcmp(l.plan->step[i].target, OWN);
	if (good && !restored) {
		good = false;
		snprintf(text, sizeof(text), "%s was not to be restored", OWN);
	}
	for (unsigned i = 0; good && i < PHONES; i++) {
		unsigned has = PHONES;

		good = phone_storage_read(l.phone[i], OWN, OWN_AT, &has, sizeof(has)) && has == i;
		snprintf(text, sizeof(text), "phone %u has what was of phone %u", i, has);
	}
	ok(good, "each phone gets back what is its own", text);
	end(&l);
}

/* The clock is shared: a host that costs something makes many phones slower than one with a host for itself.
 */
static void host_counts(void)
{
	char text[160] = "could not be run";
	uint64_t fastest, slow = 0, quick = 0;
	struct line l;
	bool good = run(&l, "sc9863a", NULL, 0) && ended(&l, 0, &fastest, &quick, text, sizeof(text));

	end(&l);
	good = good && run(&l, "sc9863a", NULL, 5000) && ended(&l, 0, &fastest, &slow, text, sizeof(text));
	if (good) {
		snprintf(text, sizeof(text), "%" PRIu64 " us with a slow host, %" PRIu64 " without", slow,
			 quick);
		good = slow > quick;
	}
	ok(good, "the loop is shared", text);
	end(&l);
}

int main(void)
{
	together("sc9863a");
	together("ums9230");
	together("sc7731g");
	alone("stalls", "stall at midst 3");
	alone("goes silent", "late 3600s at midst 3");
	alone("is unplugged", "unplug at midst 3");
	own_things();
	host_counts();
	printf("1..%u\n", tests);
	return failures != 0;
}
