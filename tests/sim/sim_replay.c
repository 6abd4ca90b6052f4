/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sim_replay FILE [--package PROFILE[:SEED[:verified|:raw]]]: a trace of a job (`fdlctl jobs trace ID`) as
 * the phone's side of a real session; says whether the session goes the same way. The package and the donor
 * of what a trace leaves out are the simulation's, of that profile (sc9863a) and seed (7). Without arguments:
 * the same as a test, with recordings of failing simulations and damaged ones. TAP.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "tests/sim/replay.h"
#include "tests/simlib/scenario.h"
#include "tests/simlib/simlib.h"

struct spec {
	char profile[32];
	uint64_t seed;
	bool verified, raw; /* raw: raw data mode, with one image of more than a block */
};

struct stage { /* what a spec stands for */
	struct scenario sc;
	struct plan_options options;
	struct plan *plan;
	struct session_config session;
};

static bool stage_make(const struct spec *spec, struct stage *st)
{
	const struct phone_profile *p = phone_profile_by_name(spec->profile);
	struct scenario_want want = { .tiny = true, .huge = spec->raw };
	struct failure why = { 0 };

	memset(st, 0, sizeof(*st));
	if (!p || scenario_make(spec->seed, p, &want, &st->sc, &why))
		return false;
	st->options.level = spec->verified ? LEVEL_VERIFIED : LEVEL_ACKNOWLEDGED;
	st->options.raw = spec->raw;
	if (plan_compile(st->sc.package.pac, &st->options, &st->plan, &why)) {
		scenario_free(&st->sc);
		return false;
	}
	st->session = (struct session_config){ .plan = st->plan, .arrival_seen = true, .job = 1 };
	return true;
}

static void stage_free(struct stage *st)
{
	plan_free(st->plan);
	scenario_free(&st->sc);
}

static struct phone *plugged(const struct stage *st, uint64_t seed, const char *faults)
{
	const char *why = "";
	struct phone *phone = scenario_phone(&st->sc, seed, faults, &why);

	if (phone)
		phone_plug(phone, 0);
	else
		printf("# no phone: %s\n", why);
	return phone;
}

static bool replay(struct stage *st, const struct spec *spec, const struct replay_list *list,
		   struct replay_outcome *out)
{
	struct replay_config config = { .list = list,
					.session = &st->session,
					.package = &st->sc.package.source };
	int rc;

	memset(out, 0, sizeof(*out));
	config.donor = plugged(st, spec->seed, NULL);
	rc = config.donor ? replay_run(&config, out) : -ENOMEM;
	phone_free(config.donor);
	if (rc)
		snprintf(out->text, sizeof(out->text), "the replay could not be made: %s", strerror(-rc));
	return rc == 0 && out->same;
}

/* ---- a file --------------------------------------------------------------------------------------- */

static char *slurp(const char *path)
{
	FILE *f = fopen(path, "r");
	size_t room = 1 << 20, n;
	char *text = malloc(room);

	if (!f || !text) {
		perror(path);
		exit(2);
	}
	n = fread(text, 1, room - 1, f);
	text[n] = 0;
	fclose(f);
	return text;
}

static int spec_read(const char *text, struct spec *spec)
{
	char level[16] = "";
	int n = sscanf(text, "%31[^:]:%" SCNu64 ":%15s", spec->profile, &spec->seed, level);

	spec->verified = !strcmp(level, "verified");
	spec->raw = !strcmp(level, "raw");
	return n < 1 || (level[0] && !spec->verified && !spec->raw) || !phone_profile_by_name(spec->profile)
		       ? -EINVAL
		       : 0;
}

static int file(const char *path, const struct spec *spec)
{
	static struct replay_list list;
	struct replay_outcome out;
	char *text = slurp(path), why[160];
	struct stage st;
	bool same;

	if (!replay_read(text, &list, why, sizeof(why))) {
		printf("%s is damaged, %s\n", path, why);
		free(text);
		return 2;
	}
	free(text);
	if (!list.whole) {
		printf("tail only: the last %zu events of a longer session that ended with '%s'; they agree with "
		       "themselves\n",
		       list.count, list.end);
		return 0;
	}
	if (!stage_make(spec, &st)) {
		printf("no package of %s, seed %" PRIu64 "\n", spec->profile, spec->seed);
		return 2;
	}
	same = replay(&st, spec, &list, &out);
	printf("%s: %zu events, %zu requests and %zu answers replayed (%zu completed from a donor, %zu with zeros), "
	       "recorded end '%s'\n",
	       same ? "the same way" : "another way", list.count, out.requests, out.answers, out.found,
	       out.unknown, list.end);
	if (!same)
		printf("%s\n", out.text);
	stage_free(&st);
	return same ? 0 : 1;
}

/* ---- the test -------------------------------------------------------------------------------------- */

static const struct {
	struct spec spec;
	const char *faults;
	struct sim_breaks breaks;
	const char *error; /* the recorded session must have ended so */
	bool hidden;	   /* what made it so stands behind the 16 bytes that a recording keeps */
} cases[] = {
	{ { "sc9863a", 7, false, false }, "stall at probe", { 0 }, "PhoneSilent", false },
	{ { "sc9863a", 7, false, false }, "damage at probe 0", { 0 }, "VersionUnexpected", false },
	{ { "sc9863a", 7, false, false }, "refuse at connect * with 0x84", { 0 }, "RomConnectFailed", false },
	{ { "sc9863a", 8, false, false }, "stall at midst 3 of fdl1", { 0 }, "Fdl1TransferFailed", false },
	{ { "sc9863a", 8, false, false }, "damage at midst 2 of fdl1", { 0 }, "Fdl1TransferFailed", false },
	{ { "ums9230", 9, false, false }, "F14 with 0", { 0 }, "Fdl1Rejected", false },
	{ { "sc9863a", 9, false, false }, "restart at exec", { 0 }, "PhoneSwapped", false },
	{ { "sc7731g", 7, false, false },
	  "refuse at connect 2 with 0x84",
	  { 0 },
	  "Fdl1ConnectFailed",
	  false },
	{ { "sc9863a", 7, false, false }, "U34 with 0x97", { 0 }, "StorageFailed", false },
	{ { "ums9230", 7, false, false }, "F57", { 0 }, "HandshakeRequired", true },
	{ { "ums512", 7, false, false }, "unplug at erase", { 0 }, "DeviceVanished", false },
	{ { "ums512", 7, false, false }, "damage at erase", { 0 }, "LinkGarbled", false },
	{ { "sc9863a", 7, false, false }, "F36 on boot", { 0 }, "WriteUnanswered", false },
	{ { "sc9863a", 7, false, false }, "F34", { 0 }, "NvChecksumRefused", false },
	{ { "sc9863a", 7, false, false }, "halt at midst of boot", { 0 }, "UsbStall", false },
	{ { "sc9863a", 7, true, false }, "U15 on boot", { 0 }, "VerifyMismatch", false },
	{ { "uic8850", 7, true, false }, "U14 on ap", { 0 }, "VerifyMismatch", false },
	{ { "sc8830", 7, false, false }, "stall at end of boot", { 0 }, "WriteUnanswered", false },
	{ { "sc6531e", 7, false, false }, "unplug at midst 2 of fdl1", { 0 }, "DeviceVanished", false },
	{ { "uic8850", 7, false, false }, "refuse at end 2 with 0xaa", { 0 }, "SignatureRefused", false },
	{ { "ums9117", 7, false, false }, "", { .unplug_at = 40 }, "DeviceVanished", false },
	{ { "ums9620", 7, false, false }, "", { .force_at = 30 }, "Cancelled", false },
	{ { "sc9863a", 7, false, false }, "", { .store_fails_at = 2 }, "StoreFailed", false },
	{ { "sc9863a", 7, false, false }, "", { .gate_fails = true }, "PackageBodyCrc", false },
	{ { "sc9863a", 7, false, true }, "stall at chunk of boot", { 0 }, "WriteUnanswered", false },
	{ { "sc9863a", 7, false, true }, "F42 on boot", { 0 }, "StorageWriteFailed", false },
	{ { "sc9863a", 7, false, true }, "unplug at end of boot", { 0 }, "DeviceVanished", false },
};

static unsigned count, failed, whole;

static void tap(bool good, const char *name, const char *text)
{
	printf("%sok %u - %s%s%s\n", good ? "" : "not ", ++count, name, *text ? ": " : "", text);
	failed += !good;
}

/* A simulation that fails; its recording as text. NULL: text says why. */
static char *record(struct stage *st, const struct spec *spec, const char *faults, struct sim_breaks breaks,
		    struct sim_outcome *o, char *text, size_t size)
{
	struct phone *phone = plugged(st, spec->seed, faults);
	struct sim_config config = { .phone = phone,
				     .package = &st->sc.package.source,
				     .session = st->session,
				     .breaks = breaks,
				     .seed = spec->seed,
				     .cut = true,
				     .fetch_usec = 500,
				     .store_usec = 2000,
				     .gate_usec = 10000 };
	FILE *null = fopen("/dev/null", "w");

	config.trace = null;
	memset(o, 0, sizeof(*o));
	if (phone && sim_run(&config, o))
		snprintf(text, size, "the simulation could not be made");
	else if (o->broken[0])
		snprintf(text, size, "%s", o->broken);
	if (null)
		fclose(null);
	phone_free(phone);
	return text[0] ? NULL : o->trace;
}

static void one(size_t i, bool only)
{
	static struct replay_list list;
	struct replay_outcome out;
	struct sim_outcome o;
	char name[160], text[400] = "", why[160];
	struct stage st;
	char *trace;
	bool good = false;

	snprintf(name, sizeof(name), "%s, seed %" PRIu64 ", '%s'", cases[i].spec.profile, cases[i].spec.seed,
		 cases[i].faults);
	if (!stage_make(&cases[i].spec, &st)) {
		tap(false, name, "no package");
		return;
	}
	trace = record(&st, &cases[i].spec, cases[i].faults, cases[i].breaks, &o, text, sizeof(text));
	if (trace && only)
		fputs(trace, stdout);
	if (!trace) {
		tap(false, name, text);
	} else if (o.pass || strcmp(error_entry(o.failure.error)->name, cases[i].error)) {
		failure_text(&o.failure, text, sizeof(text));
		tap(false, name, o.pass ? "the simulation passed" : text);
	} else if (!replay_read(trace, &list, why, sizeof(why))) {
		tap(false, name, why);
	} else if (!list.whole) {
		tap(true, name, "tail only, it agrees with itself");
	} else {
		good = replay(&st, &cases[i].spec, &list, &out) && out.failure.error == o.failure.error;
		whole += list.whole;
		/* what went out unframed is a part of the recording */
		good = good && (out.streams > 0) == cases[i].spec.raw;
		if (cases[i].hidden) /* named as unknown, not passed off as the same */
			good = !good && out.unknown == 1 && out.answers > 10;
		snprintf(text, sizeof(text), "%zu requests, %zu answers, %zu from the donor, %zu unknown%s%s",
			 out.requests, out.answers, out.found, out.unknown, out.text[0] ? "; " : "",
			 out.text);
		tap(good, name, text);
	}
	sim_outcome_free(&o);
	stage_free(&st);
}

/* ---- recordings that are no good ---------------------------------------------------------------------- */

static const char good_text[] = "1.000000 usb open\n"
				"1.000000 note connect\n"
				"1.000000 out 007e len 0 check 0000 -\n"
				"1.010000 in 0081 len 6 check 570a 535052443300\n"
				"1.010000 out 0000 len 0 check 0000 -\n"
				"3.010000 timeout no answer\n"
				"3.010000 note silent\n"
				"3.010000 note RomConnectFaile\n";

static const struct {
	const char *name, *from, *to; /* first occurrence replaced; to NULL: cut there */
	const char *reason;
} damages[] = {
	{ "a kind that is none", "usb open", "usc open", "line 1: not a recorded event" },
	{ "no digits in the time", "1.01", "x.01", "line 4: not a recorded event" },
	{ "seconds in parts", ".010000 in", ".9999999 in", "line 4: not a recorded event" },
	{ "a bit in an answer", "535052443300", "535052443301", "line 4: bytes and check do not agree" },
	{ "a bit in its check", "570a", "570b", "line 4: bytes and check do not agree" },
	{ "another length", "len 6", "len 7", "line 4: fewer bytes than it says" },
	{ "an endless length", "len 6", "len 65536", "line 4: longer than a frame can be" },
	{ "half a byte", "535052443300", "53505244330", "line 4: not a recorded event" },
	{ "no bytes", " 535052443300", " -", "line 4: fewer bytes than it says" },
	{ "words behind it", "443300", "443300 x", "line 4: not a recorded event" },
	{ "time runs back", "1.010000 in", "0.990000 in", "line 4: time runs back" },
	{ "a line lost", "1.010000 in 0081 len 6 check 570a 535052443300\n", "",
	  "line 4: a request before the one ahead of it was settled" },
	{ "a stream that shows its bytes", "1.010000 out 0000 len 0 check 0000 -",
	  "1.010000 stream 0000 len 4 check 0000 01020304",
	  "line 5: a stream that shows its bytes, or has none" },
	{ "an empty line", "3.010000 timeout no answer\n", "3.010000 timeout no answer\n\n",
	  "line 7: not a recorded event" },
	{ "cut inside a line", " 0000 -\n3.010000 timeout", NULL, "line 5: cut off" },
	{ "cut behind a line", "3.010000 note silent", NULL, "line 6: the end is missing" },
	{ "nothing", "1.000000 usb", NULL, "line 1: nothing is recorded" },
};

static void damage(size_t i)
{
	static struct replay_list list;
	char text[1000], why[160] = "taken", name[80];
	const char *at = strstr(good_text, damages[i].from);
	int n = (int)(at - good_text);

	snprintf(text, sizeof(text), "%.*s%s%s", n, good_text, damages[i].to ? damages[i].to : "",
		 damages[i].to ? at + strlen(damages[i].from) : "");
	snprintf(name, sizeof(name), "damaged: %s", damages[i].name);
	tap(!replay_read(text, &list, why, sizeof(why)) && !strcmp(why, damages[i].reason), name, why);
}

/* The same recording before another phone and package goes another way, and is said to. */
static void another(void)
{
	static struct replay_list list;
	const struct spec first = { "sc9863a", 7, false, false }, other = { "uic8850", 7, false, false };
	const struct sim_breaks none = { 0 };
	char text[400] = "", why[160] = "";
	struct replay_outcome out = { 0 };
	struct sim_outcome o;
	struct stage st;
	char *trace;
	bool good;

	if (!stage_make(&first, &st))
		return;
	trace = record(&st, &first, "U34 with 0x97", none, &o, text, sizeof(text));
	good = trace && replay_read(trace, &list, why, sizeof(why));
	stage_free(&st);
	sim_outcome_free(&o);
	good = good && stage_make(&other, &st) && !replay(&st, &other, &list, &out) && out.text[0];
	tap(good, "another phone and package go another way", good ? out.text : why);
	if (good)
		stage_free(&st);
}

/* A session longer than the recorder: only its end is there, and it is known as such. */
static void tail(void)
{
	static struct replay_list list;
	char text[400] = "", why[160] = "";
	const struct spec spec = { "sc9863a", 7, true, false };
	const struct sim_breaks none = { 0 };
	struct sim_outcome o;
	struct stage st;
	char *trace;

	if (!stage_make(&spec, &st))
		return;
	trace = record(&st, &spec, "", none, &o, text, sizeof(text));
	tap(trace && replay_read(trace, &list, why, sizeof(why)) && !list.whole &&
		    list.count == RECORDER_EVENTS && !strcmp(list.end, "pass"),
	    "a long session leaves its tail", trace ? why : text);
	sim_outcome_free(&o);
	stage_free(&st);
}

int main(int argc, char **argv)
{
	struct spec spec = { "sc9863a", 7, false, false };
	const char *path = NULL;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--package") && i + 1 < argc && !spec_read(argv[i + 1], &spec)) {
			i++;
		} else if (argv[i][0] != '-' && !path) {
			path = argv[i];
		} else {
			fprintf(stderr, "usage: %s [FILE [--package PROFILE[:SEED[:verified|:raw]]]]\n",
				argv[0]);
			return 2;
		}
	}
	if (path)
		return file(path, &spec);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		one(i, getenv("ONLY") && (size_t)atoi(getenv("ONLY")) == i);
	for (size_t i = 0; i < ARRAY_SIZE(damages); i++)
		damage(i);
	another();
	tail();
	tap(whole >= 12, "at least a dozen recordings were whole", "");
	printf("1..%u\n", count);
	return failed != 0;
}
