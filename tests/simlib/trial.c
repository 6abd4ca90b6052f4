/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/simlib/trial.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "bsl/shelf.h"
#include "common/util.h"
#include "tests/simlib/judge.h"

#define ATTEMPTS 7

struct trial {
	uint64_t seed;
	struct sim_random r;
	struct sim_tally *tally;
	FILE *trace;
	char *text;
	size_t size;

	const struct phone_profile *profile;
	struct scenario sc;
	struct sim_package lender; /* of the loaders, where the package's own are none */
	struct plan_options options;
	struct plan *plan;
	struct phone *phone;
	struct sim_records *records;
	struct bsl_shelf *shelf; /* NULL: nobody else flashes this package */
	struct sim_config config;
	char faults[400];
	uint64_t now;
	size_t entries_seen, deeds_seen;
	unsigned doubtful_seen, refused_seen;
	unsigned attempt;
	bool lied, nv_written; /* ever */
	bool given_up;	       /* an attempt was told in so many words to write the package's NV */
	bool reading;	       /* a plan that only reads */
	struct plan_read read[2];
};

static bool fail(struct trial *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static bool fail(struct trial *t, const char *fmt, ...)
{
	va_list ap;
	int n = snprintf(t->text, t->size, "%s, attempt %u: ", t->profile->name, t->attempt);

	va_start(ap, fmt);
	vsnprintf(t->text + n, t->size - (size_t)n, fmt, ap);
	va_end(ap);
	return false;
}

/* ---- choosing ---- */

static bool fits(const struct phone_fault *f, const struct phone_profile *p)
{
	size_t n = strlen(p->name);

	if (!f->profiles)
		return true;
	for (const char *at = strstr(f->profiles, p->name); at; at = strstr(at + 1, p->name))
		if ((at == f->profiles || at[-1] == ' ') && (!at[n] || at[n] == ' '))
			return true;
	return false;
}

/* Each fault in turn, so that a short run meets them all; the other half is left to chance. */
static void choose_faults(struct trial *t)
{
	size_t count, profiles;
	const struct phone_fault *faults = phone_faults(&count);
	const struct phone_profile *all = phone_profiles(&profiles);
	const struct phone_fault *f = &faults[t->seed / 2 % count];

	t->profile = &all[sim_below(&t->r, profiles)];
	if (t->seed % 2 == 0 && f->flags & PHONE_FAULT_SCRIPTED) {
		for (unsigned i = 0; i < 40 && !fits(f, t->profile); i++)
			t->profile = &all[sim_below(&t->r, profiles)];
		snprintf(t->faults, sizeof(t->faults), "%s", f->id);
		return;
	}
	phone_fault_random(sim_random(&t->r), t->profile, NULL, 0, t->faults, sizeof(t->faults));
}

static bool wants_list(const struct trial *t)
{
	return !strncmp(t->faults, "F53", 3) || !strncmp(t->faults, "F54", 3);
}

static bool hides_table(struct trial *t)
{
	bool named = t->profile->second == PHONE_UBOOT || t->profile->second == PHONE_LK;

	return wants_list(t) || (named && strlen(t->faults) < 100 && sim_one_in(&t->r, 10));
}

static void choose_scenario(struct trial *t, struct scenario_want *w)
{
	struct sim_random *r = &t->r;

	*w = (struct scenario_want){
		.other_table = sim_one_in(r, 3),
		.large = sim_one_in(r, 12),
		.huge = sim_one_in(r, 120),
		.unsigned_spl = sim_one_in(r, 3),
		.no_nv = sim_one_in(r, 12),
		.bad_signature = t->profile->secure && sim_one_in(r, 12),
		.tiny = !sim_one_in(r, 3),
		.blank = sim_one_in(r, 40),
		.nv_blank = sim_one_in(r, 40),
	};
}

static void choose_options(struct trial *t)
{
	static const char *const names[] = { "BOOT",   "l_modem", "FLASH_LTE", "UBOOTLoader",
					     "NV_LTE", "nv",	  "logo" };
	struct sim_random *r = &t->r;
	struct plan_options *o = &t->options;

	memset(o, 0, sizeof(*o));
	o->level = sim_one_in(r, 2) ? LEVEL_VERIFIED : LEVEL_ACKNOWLEDGED;
	o->nv = sim_one_in(r, 10) ? NV_KEEP_IF_ANY : sim_one_in(r, 30) ? NV_PACKAGE : NV_KEEP;
	if ((t->sc.want.blank || t->sc.want.nv_blank) && !sim_one_in(r, 3))
		o->nv = NV_KEEP_IF_ANY;
	o->repartition = sim_one_in(r, 3) ? (enum repartition_policy)sim_below(r, 4)
					  : REPARTITION_ON_MISMATCH;
	o->end = (enum end_action)sim_below(r, 8) < 6 ? END_RESET : (enum end_action)sim_below(r, 3);
	o->erase_all = sim_one_in(r, 25) && o->repartition != REPARTITION_NEVER;
	o->continue_without_backup = sim_one_in(r, 6);
	o->raw = sim_one_in(r, t->sc.want.huge ? 2 : 10);
	if (sim_one_in(r, 14)) {
		snprintf(o->without[0], sizeof(o->without[0]), "%s", names[sim_below(r, ARRAY_SIZE(names))]);
		o->without_count = 1;
	} else if (sim_one_in(r, 12) && !o->erase_all) {
		snprintf(o->only[0], sizeof(o->only[0]), "%s", names[sim_below(r, ARRAY_SIZE(names))]);
		o->only_count = 1;
	}
	if (wants_list(t)) { /* nothing is kept: the list may be asked for */
		*o = (struct plan_options){ .level = o->level, .end = o->end, .only_count = 1 };
		snprintf(o->only[0], sizeof(o->only[0]), "boot");
	}
}

/* One area to its end, and a piece of it that begins and ends oddly. */
static void choose_reads(struct trial *t)
{
	static const char *const places[] = { "misc", "miscdata", "boot", "boot_a" };
	const struct phone_profile *p = t->profile;
	const struct phone_part *part = &p->parts[0];
	bool ids = p->second == PHONE_IDS || p->second == PHONE_NORIDS || p->second == PHONE_SINGLE;

	t->reading = sim_one_in(&t->r, 16) && !wants_list(t);
	for (size_t i = 0; i < p->part_count && ids; i++)
		if (!strcmp(p->parts[i].name, "boot") || !strcmp(p->parts[i].name, "kernel"))
			part = &p->parts[i];
	for (size_t k = 0; k < ARRAY_SIZE(places) && !ids; k++)
		for (size_t i = 0; i < p->part_count && part == &p->parts[0]; i++)
			if (i && !strcmp(p->parts[i].name, places[k]))
				part = &p->parts[i];
	for (size_t i = 0; i < 2; i++) {
		struct plan_read *r = &t->read[i];

		*r = (struct plan_read){ .size = 1 + sim_below(&t->r, 30000) };
		if (ids)
			r->address = part->id;
		else
			snprintf(r->target, sizeof(r->target), "%s", part->name);
		if (i && p->second != PHONE_SINGLE)
			r->offset = sim_below(&t->r, 20000);
		else if (!i && !ids && p->second != PHONE_NAND && part->size <= 2u << 20)
			r->size = 0;
	}
}

static bool sinks_right(const struct trial *t, const struct sim_outcome *o)
{
	bool ids = !t->read[0].target[0], same = true;
	const struct phone_part *part = NULL;

	for (size_t i = 0; i < t->profile->part_count && ids; i++)
		if (t->profile->parts[i].id == t->read[0].address)
			part = &t->profile->parts[i];
	for (size_t i = 0; i < 2 && same; i++) {
		const struct sim_sink *sink = &o->sink[i];
		uint8_t *was = malloc(sink->size + 1);

		same = was && sink->synced && sink->size &&
		       (!t->read[i].size || sink->size == t->read[i].size) &&
		       phone_storage_read(t->phone, part ? part->name : t->read[i].target, t->read[i].offset,
					  was, sink->size) &&
		       !memcmp(was, sink->bytes, sink->size);
		free(was);
	}
	return same;
}

static uint32_t somewhere(struct trial *t, uint64_t chance, uint64_t among)
{
	return sim_one_in(&t->r, chance) ? 1 + (uint32_t)sim_below(&t->r, among) : 0;
}

static void choose_breaks(struct trial *t, struct sim_breaks *b)
{
	memset(b, 0, sizeof(*b));
	/* half of the seeds show what the phone's fault alone does */
	if (t->seed % 2 == 0 && sim_one_in(&t->r, 2))
		return;
	b->kill_at = somewhere(t, 4, 280);
	b->cancel_at = somewhere(t, 14, 280);
	b->force_at = somewhere(t, 40, 280);
	b->unplug_at = somewhere(t, 30, 280);
	b->fetch_fails_at = somewhere(t, 50, 60);
	b->store_fails_at = somewhere(t, 50, 8);
	b->sync_fails_at = somewhere(t, 50, 8);
	b->sink_full_at = somewhere(t, 20, 60000);
	b->sink_closed_at = somewhere(t, 20, 60000);
	b->gate_fails = sim_one_in(&t->r, 80);
	b->open_fails = sim_one_in(&t->r, 80);
}

/* ---- judging one attempt ---- */

static const struct scenario_image *image_of(const struct scenario *s, const struct phone_entry *e)
{
	for (size_t i = 0; i < s->images; i++) {
		const struct scenario_image *im = &s->image[i];

		/* two boot loaders share one place: their lengths tell them apart */
		if (im->by_name && !strcmp(im->place, e->name) &&
		    (e->size == im->len || e->size == im->len + 1))
			return im;
	}
	return NULL;
}

bool sim_pieces_right(const struct scenario *s, const struct phone *phone, size_t first, char *text,
		      size_t size)
{
	for (size_t i = first; i < phone_entries(phone); i++) {
		const struct phone_entry *e = phone_entry(phone, i);
		const struct scenario_image *im = e->stage == PHONE_FDL2 ? image_of(s, e) : NULL;
		uint64_t at = 0;

		if (e->ends > 1) {
			snprintf(text, size, "%s was ended %u times", e->name, e->ends);
			return false;
		}
		for (size_t k = 0; im && k < e->piece_count; k++) {
			const struct phone_piece *p = &e->pieces[k];
			uint64_t len = p->length;

			if (p->offset != at || at + len > im->len + 1) {
				snprintf(text, size,
					 "%s: piece %zu of %" PRIu64 " bytes at %" PRIu64
					 ", expected at %" PRIu64,
					 e->name, k, len, p->offset, at);
				return false;
			}
			if (at + len <= im->len && p->digest != phone_digest(im->data + at, len)) {
				snprintf(text, size, "%s: piece %zu at %" PRIu64 " is not the image's",
					 e->name, k, at);
				return false;
			}
			if (p->accepted)
				at += len;
		}
	}
	return true;
}

static void watch(void *arg, const struct session *s, const struct want *w, uint32_t number)
{
	struct trial *t = arg;

	(void)w;
	(void)number;
	tally_step(t->tally, session_progress(s)->step, false);
}

static bool has_fault(const struct trial *t, const char *id)
{
	return phone_fault_count(t->phone, id).fired > 0;
}

static bool judge_pass(struct trial *t, const struct sim_outcome *o)
{
	char what[160];
	bool verified = t->options.level == LEVEL_VERIFIED;

	if (t->reading)
		return t->lied || sinks_right(t, o) ||
		       fail(t, "passed, but what was read is not what is there");
	if (o->level != t->options.level)
		return fail(t, "passed at level %d, asked for %d", o->level, t->options.level);
	if ((verified || !t->lied) && !scenario_holds(&t->sc, &t->options, t->phone, what, sizeof(what)))
		return fail(t, "passed but %s", what);
	if (!t->lied && !scenario_erased(&t->sc, &t->options, t->phone, what, sizeof(what)))
		return fail(t, "passed but %s", what);
	return true;
}

/* Own NV is on the phone, or a backup that is right is owed. */
static bool own_is_safe(struct trial *t, char *what, size_t size)
{
	const struct sim_records *r = t->records;

	if (scenario_kept(&t->sc, t->phone, false, what, size))
		return true;
	for (uint32_t i = 0; i < r->count; i++)
		if (r->backup[i]->owed)
			return true;
	return false;
}

/* Of what a phone may not know a session sends one command at most (device-behaviour 17: F20, F21). */
static bool asked_once(struct trial *t, const struct sim_outcome *o)
{
	const struct phone_counters *c = phone_counters(t->phone);
	unsigned doubtful = c->doubtful - t->doubtful_seen, refused = c->refused - t->refused_seen;

	t->doubtful_seen = c->doubtful;
	t->refused_seen = c->refused;
	if (doubtful > 1)
		return fail(t, "%u commands were sent that the phone may not know", doubtful);
	/* one may be refused and gone on from; what is refused besides ends the session */
	if (refused > 1u + (o->done && !o->pass))
		return fail(t, "%u commands were answered as unknown", refused);
	return true;
}

/* What this attempt did to the storage, the phone's own repairs and marks left out. */
static size_t destroyed(struct trial *t)
{
	size_t n = 0, all = phone_deeds(t->phone);

	for (; t->deeds_seen < all; t->deeds_seen++) {
		enum phone_deed_kind kind = phone_deed(t->phone, t->deeds_seen)->kind;

		n += kind == PHONE_DEED_WRITE || kind == PHONE_DEED_NV || kind == PHONE_DEED_ERASE ||
		     kind == PHONE_DEED_ERASE_ALL || kind == PHONE_DEED_REPARTITION;
	}
	return n;
}

static bool judge(struct trial *t, const struct sim_outcome *o)
{
	char what[160];

	if (o->broken[0])
		return fail(t, "%s (%s)", o->broken, o->progress);
	if (!o->done && !o->killed)
		return fail(t, "neither done nor killed");
	t->lied |= phone_has_lied(t->phone);
	/* a phone that says another name is another phone: what is owed to the first is not found */
	t->lied |= has_fault(t, "U24");
	t->nv_written |= o->changed;
	if (!sim_pieces_right(&t->sc, t->phone, t->entries_seen, what, sizeof(what)) &&
	    !has_fault(t, "U16") && !has_fault(t, "F43"))
		return fail(t, "%s", what);
	t->entries_seen = phone_entries(t->phone);
	if (!asked_once(t, o))
		return false;
	if (phone_counters(t->phone)->second_starts > phone_fault_count(t->phone, "F47").fired)
		return fail(t, "an entry was started a second time");
	if (t->reading && (destroyed(t) || o->changed))
		return fail(t, "a plan that reads has changed something");
	if (destroyed(t) && o->done && (!o->changed || !strcmp(o->leaves, "unchanged")))
		return fail(t, "says '%s', but the storage was changed", o->leaves);
	if (o->done && o->pass && strcmp(o->leaves, t->reading ? "unchanged" : "complete") != 0)
		return fail(t, "passed and leaves '%s'", o->leaves);
	if (o->cancelled && o->pass)
		return fail(t, "cancelled and passed");
	if (o->done && !o->pass && o->failure.error == ERR_NONE)
		return fail(t, "failed without an error");
	if (o->done && !o->pass && !sim_words_agree(o))
		return fail(t, "%s is told of a phone that is left '%s'", error_entry(o->failure.error)->name,
			    o->leaves);
	if (o->done && !o->pass && o->failure.error == ERR_INTERNAL)
		return fail(t, "Internal: %s", o->failure.detail);
	/* package: own NV is given up in so many words; a lying phone may lose what it says it has */
	t->given_up |= t->options.nv == NV_PACKAGE;
	if (!t->given_up && !t->lied && !own_is_safe(t, what, sizeof(what)))
		return fail(t, "the phone's own is lost and nothing is owed: %s", what);
	return !o->pass || judge_pass(t, o);
}

/* ---- attempts ---- */

static bool compile(struct trial *t)
{
	struct failure why;

	plan_free(t->plan);
	t->plan = NULL;
	if (t->reading)
		return plan_compile_read(t->sc.package.pac, &t->options, t->read, 2, &t->plan, &why) == 0;
	return plan_compile(t->sc.package.pac, &t->options, &t->plan, &why) == 0;
}

static bool attempt(struct trial *t, const struct sim_breaks *breaks, struct sim_outcome *o)
{
	bool good;

	if (t->trace)
		fprintf(t->trace, "# attempt %u, faults '%s'\n", t->attempt, t->attempt ? "" : t->faults);
	t->config = (struct sim_config){
		.phone = t->phone,
		.package = &t->sc.package.source,
		.loaders = &t->lender.source,
		.session = { .plan = t->plan,
			     .arrival_seen = true,
			     .shelf = t->shelf,
			     .job = t->attempt + 1 },
		.records = t->records,
		.now = t->now,
		.seed = sim_random(&t->r),
		.cut = true,
		.fetch_usec = 800,
		.store_usec = 20000,
		.sink_write = sim_one_in(&t->r, 3) ? 1 + (size_t)sim_below(&t->r, 40000) : 0,
		.gate_usec = sim_one_in(&t->r, 3) ? 30000000 : 100000,
		.trace = t->trace,
		.watch = watch,
		.watch_arg = t,
	};
	if (breaks)
		t->config.breaks = *breaks;
	if (sim_run(&t->config, o)) {
		fail(t, "the run could not be made");
		return false;
	}
	tally_attempt(t->tally, o, t->phone);
	if (t->trace) {
		char text[400];

		fprintf(t->trace, "# %s %s (%s)\n",
			o->killed ? "killed"
			: o->pass ? "pass"
				  : "fail",
			o->pass || o->killed ? "" : failure_text(&o->failure, text, sizeof(text)),
			o->progress);
	}
	good = judge(t, o);
	t->now = o->now + 1000000;
	return good;
}

/* Another try by a person: power cycle, no faults any more. */
static bool again(struct trial *t)
{
	const char *why;

	phone_unplug(t->phone, t->now);
	t->now += 3000000;
	if (!phone_set_faults(t->phone, "", &why))
		return fail(t, "faults can not be cleared: %s", why);
	phone_plug(t->phone, t->now);
	t->entries_seen = phone_entries(t->phone);
	t->attempt++;
	return true;
}

/* Would this package pass on such a phone if nothing ever happened to it? */
static bool can_pass(struct trial *t)
{
	const char *why;
	struct phone *phone = scenario_phone(&t->sc, t->seed, t->faults, &why), *mine = t->phone;
	struct sim_records *records = t->records;
	struct sim_tally scratch = { 0 }, *tally = t->tally;
	struct sim_outcome o = { 0 };
	FILE *trace = t->trace;
	bool pass;

	if (!phone)
		return true;
	phone_set_faults(phone, "", &why);
	t->phone = phone;
	t->records = NULL;
	t->tally = &scratch;
	t->trace = NULL;
	phone_plug(phone, t->now);
	t->config.phone = phone;
	t->config.records = NULL;
	t->config.session.plan = t->plan;
	t->config.trace = NULL;
	memset(&t->config.breaks, 0, sizeof(t->config.breaks));
	pass = !sim_run(&t->config, &o) && o.pass;
	sim_outcome_free(&o);
	phone_free(phone);
	t->phone = mine;
	t->records = records;
	t->tally = tally;
	t->trace = trace;
	return pass;
}

static bool until_it_passes(struct trial *t, struct sim_outcome *o)
{
	while (!o->pass) {
		struct sim_breaks breaks = { 0 };
		bool killed = o->killed;

		if (t->attempt == ATTEMPTS) {
			/* what a liar gave away may be gone for good */
			return !t->lied && can_pass(t) ? fail(t, "still %s after %d clean attempts: %s",
							      error_entry(o->failure.error)->name, ATTEMPTS,
							      o->failure.detail)
						       : true;
		}
		/* no identity, or another phone's: a person says whose NV it is */
		if (!killed && o->failure.error == ERR_NV_OWED && !t->options.nv_from[0])
			for (uint32_t i = 0; i < t->records->count; i++)
				if (t->records->backup[i]->owed)
					snprintf(t->options.nv_from, sizeof(t->options.nv_from), "%" PRIu64,
						 t->records->backup[i]->job);
		if (t->options.nv_from[0] && t->options.nv == NV_PACKAGE)
			t->options.nv = NV_KEEP;
		/* a new board whose first attempt broke off: now its areas are there, but nothing in them */
		if (!killed && o->failure.error == ERR_BACKUP_FAILED)
			t->options.continue_without_backup = true;
		if (!killed && (t->sc.want.blank || t->sc.want.nv_blank) && t->options.nv == NV_KEEP &&
		    (o->failure.error == ERR_NV_UNREADABLE || o->failure.error == ERR_NV_INVALID))
			t->options.nv = NV_KEEP_IF_ANY;
		if (t->attempt < 3)
			breaks.kill_at = somewhere(t, 2, 280);
		if (!again(t) || !compile(t))
			return t->text[0] == 0;
		sim_outcome_free(o);
		if (!attempt(t, &breaks, o))
			return false;
	}
	return true;
}

static bool judge_end(struct trial *t, const struct sim_outcome *o)
{
	char what[160];

	if (!o->pass || t->given_up || t->lied)
		return true;
	if (!scenario_kept(&t->sc, t->phone, false, what, sizeof(what)))
		return fail(t, "passed in the end, but %s", what);
	return true;
}

static bool run(struct trial *t)
{
	struct sim_breaks breaks;
	struct sim_outcome o = { 0 };
	bool good;

	choose_breaks(t, &breaks);
	scenario_snapshot(&t->sc, t->phone);
	phone_plug(t->phone, t->now);
	good = attempt(t, &breaks, &o);
	if (good)
		good = until_it_passes(t, &o);
	if (good)
		good = judge_end(t, &o);
	t->tally->passes += o.pass;
	t->tally->virtual_sec += t->now / 1000000;
	sim_outcome_free(&o);
	return good;
}

bool sim_trial(uint64_t seed, struct sim_tally *tally, FILE *trace, char *text, size_t size)
{
	struct trial t = {
		.seed = seed, .r = { seed }, .tally = tally, .trace = trace, .text = text, .size = size
	};
	struct scenario_want want;
	struct failure why = { 0 };
	const char *reason = "";
	bool good = false;

	text[0] = 0;
	tally->runs++;
	choose_faults(&t);
	choose_scenario(&t, &want);
	/* a phone that does not show its table: found by probing; a list is asked for where nothing is kept
	 */
	if (hides_table(&t))
		strncat(t.faults, "; U10 on user_partition", sizeof(t.faults) - strlen(t.faults) - 1);
	/* raw mode and its faults need images of more than one block */
	if (!strncmp(t.faults, "F39", 3) || !strncmp(t.faults, "F42", 3) || !strncmp(t.faults, "F43", 3))
		want.huge = true;
	if (scenario_make(sim_random(&t.r), t.profile, &want, &t.sc, &why))
		return fail(&t, "no package: %s %s", error_entry(why.error)->name, why.detail);
	choose_options(&t);
	choose_reads(&t);
	/* a number of its own: other seeds stay what they were */
	if (seed % 9 == 4 && !t.reading) {
		if (sim_lend(&t.sc.package, &t.lender))
			return fail(&t, "no second package");
		t.options.loaders = t.lender.pac;
	}
	if (!strncmp(t.faults, "F42", 3) || !strncmp(t.faults, "F43", 3))
		t.options.raw = true;
	if (!compile(&t)) {
		/* options that make no plan: the refusal has its unit tests */
		sim_package_free(&t.lender);
		scenario_free(&t.sc);
		return true;
	}
	/* every other one is not alone: what an attempt has sent the next one finds encoded */
	t.shelf = seed & 1 ? session_shelf_new() : NULL;
	if (t.shelf)
		bsl_shelf_ref(t.shelf);
	t.records = sim_records_new();
	t.phone = scenario_phone(&t.sc, seed, t.faults, &reason);
	if (!t.records || !t.phone)
		fail(&t, "no phone: %s ('%s')", reason, t.faults);
	else
		good = run(&t);
	phone_free(t.phone);
	sim_records_free(t.records);
	if (t.shelf)
		bsl_shelf_unref(t.shelf);
	session_shelf_free(t.shelf);
	plan_free(t.plan);
	sim_package_free(&t.lender);
	scenario_free(&t.sc);
	return good;
}
