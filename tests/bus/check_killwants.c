/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The daemon is killed at every point of a flash where it wants something: before each transfer to the phone,
 * and before each write, sync, rename and read of the job's files and its package. Many phones are flashed
 * side by side; each is kept at a point of its own, and when all have come to theirs, the daemon is killed.
 * It starts again: each job is interrupted and says what was confirmed last, what is owed comes first, and
 * the same phone, flashed again, has its own NV and the whole package.
 *
 * Of a long row of transfers between which nothing is kept (a loader, the pieces of a backup) come both ends
 * and every eighth, beginning at another one each day of the year (SEED=n for that day). A sanitized daemon,
 * for which all that would take too long, is killed at some of what is left: every FIRSTth of the first
 * profile, every STEPth of the others. EVERY=n says otherwise, and EVERY=0 means each point there is.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/bus/ctl.h"

#define ERR(name) "org.fdld1.Error." name
#define VICTIMS	  32
#ifdef __SANITIZE_ADDRESS__
#define FIRST 4u
#define STEP  15u
#else
#define FIRST 1u
#define STEP  1u
#endif
#define NEVER	   UINT32_MAX
#define POINTS_MAX 2048u /* of one flash */
/* of a row of transfers */
#define ROW_ENDS 6u
#define ROW_STEP 8u

static const uint16_t items[] = { 5, 2, 0x179, 0x191 };

struct nv {
	uint8_t bytes[4][512];
	size_t len[4];
};

struct victim {
	struct rig_phone *p;
	struct nv own;
	char job[64], package[160];
	int fd;
	uint64_t number; /* of its job */
	uint32_t at, target;
	bool begun, held;
	char where[128]; /* the point it is kept at */
};

struct bench {
	struct rig *rig;
	uint8_t kind[POINTS_MAX]; /* of the points of the first phone's first flash: a file's, or after the
				     stage */
	uint32_t kinds;
	struct rig_package pack;
	struct victim victim[VICTIMS];
	uint32_t points; /* of one flash */
	unsigned int kills, owed;
	uint64_t sum, moved_at; /* of all counts, and when it grew last */
};

/* ---- points ------------------------------------------------------------------------- */

static bool point(struct victim *v, const char *where)
{
	if (!v->held && ++v->at == v->target) {
		v->held = true;
		snprintf(v->where, sizeof(v->where), "%s", where);
	}
	return v->held;
}

static struct bench bench;

static void note_kind(const struct victim *v, unsigned int kind)
{
	if (v == &bench.victim[0] && !bench.points && v->at < sizeof(bench.kind)) {
		bench.kind[v->at] = (uint8_t)kind;
		bench.kinds = v->at + 1;
	}
}

static bool on_out(void *arg)
{
	struct victim *v = arg;

	v->begun = true;
	note_kind(v, 1 + (unsigned int)phone_stage(v->p->phone));
	return point(v, "a transfer");
}

static bool on_file(void *arg, const char *path)
{
	struct bench *b = arg;
	const char *job = strstr(path, "/state/job/");
	uint64_t number = job ? strtoull(job + 11, NULL, 10) : 0;

	for (int i = 0; i < VICTIMS; i++) {
		struct victim *v = &b->victim[i];

		if (!v->begun || ((!number || number != v->number) && strcmp(path, v->package) != 0))
			continue;
		note_kind(v, 0);
		return point(v, job ? job : "the package");
	}
	return false;
}

/* ---- a round -------------------------------------------------------------------------- */

static void remember(struct phone *phone, struct nv *nv)
{
	memset(nv, 0, sizeof(*nv));
	for (int i = 0; i < 4; i++)
		nv->len[i] = rig_nv_item(phone, items[i], nv->bytes[i], sizeof(nv->bytes[i]));
}

/* Its job has let it go. */
static bool over(const struct phone *phone)
{
	return phone_stage(phone) == PHONE_BOOTED || phone_stage(phone) == PHONE_OFF;
}

/*
 * All are kept, or through; or nothing has moved for a while: results are written by one thread for all jobs,
 * and one that is kept there keeps the others.
 */
static bool all_there(void *arg)
{
	struct bench *b = arg;
	bool there = true;
	uint64_t sum = 0;

	for (int i = 0; i < VICTIMS; i++) {
		there &= b->victim[i].held || over(b->victim[i].p->phone);
		sum += b->victim[i].at;
	}
	if (sum != b->sum)
		b->moved_at = bed_now();
	b->sum = sum;
	return there || bed_now() - b->moved_at > UINT64_C(3000000000);
}

/*
 * A job on each, then all of them are plugged in: one that is kept at its end already would keep those from
 * being written that are still asked for. first: number of the first of these jobs.
 */
static void begin(struct bench *b, uint64_t first)
{
	struct rig *rig = b->rig;

	for (int i = 0; i < VICTIMS; i++) {
		struct victim *v = &b->victim[i];
		const char *s;

		v->number = first + (uint64_t)i;
		v->at = 0;
		v->begun = v->held = false;
		bed_phone_watch(v->p->bp, on_out, v);
		/* so that its place is known */
		CHECK(rig_call(rig, 20000, NULL, ROOT, MANAGER, "GetSlot", "s", v->p->id));
		s = rig_flash(rig, v->p->slot, v->fd, "a{sv}", 2, "without_backup", "b", 1, "repartition",
			      "s", "always");
		if (!s)
			tap_note("%d: %s: %s", i, rig->error, rig->text);
		CHECK(s);
		snprintf(v->job, sizeof(v->job), "%s", s);
		CHECK(strtoull(strrchr(s, '/') + 1, NULL, 10) == v->number);
	}
	for (int i = 0; i < VICTIMS; i++)
		bed_phone_plug(b->victim[i].p->bp, true);
	b->sum = 0;
	b->moved_at = bed_now();
}

static void unplug_all(struct bench *b)
{
	for (int i = 0; i < VICTIMS; i++)
		bed_phone_unplug(b->victim[i].p->bp, true);
}

/* A phone without an identity: a person says whose backup it is. */
static void as_told(struct bench *b, struct victim *v)
{
	struct rig *rig = b->rig;
	char from[32];
	const char *s;

	snprintf(from, sizeof(from), "%s", rig_get(rig, v->p->slot, SLOT, "OwedBackup"));
	bed_phone_unplug(v->p->bp, true);
	CHECK(rig_expect(rig, 20000, v->p->slot, SLOT, "State", "empty"));
	CHECK(rig_plug(rig, v->p));
	s = rig_flash(rig, v->p->slot, v->fd, "a{sv}", 3, "without_backup", "b", 1, "repartition", "s",
		      "always", "nv_from", "s", from);
	CHECK(s);
	snprintf(v->job, sizeof(v->job), "%s", s);
}

/* Each of them flashed to its end: whole, and its own NV in it. */
static void ends_whole(struct bench *b)
{
	struct rig *rig = b->rig;
	char wrong[128];

	for (int i = 0; i < VICTIMS; i++)
		if (!strcmp(rig_wait(rig, b->victim[i].job, 120000), ERR("NvOwed")))
			as_told(b, &b->victim[i]);
	for (int i = 0; i < VICTIMS; i++) {
		struct victim *v = &b->victim[i];
		const char *end = rig_wait(rig, v->job, 120000);
		struct nv now;

		if (*end)
			tap_note("after %s (point %u): %s %s", v->where, v->target, end,
				 rig_dict(rig, v->job, JOB, "ErrorDetails", "detail"));
		CHECK(!*end);
		CHECK(!strcmp(rig_get(rig, v->p->slot, SLOT, "OwedBackup"), ""));
		remember(v->p->phone, &now);
		if (memcmp(&now, &v->own, sizeof(now)))
			tap_note("after %s (point %u): NV differ", v->where, v->target);
		CHECK(!memcmp(&now, &v->own, sizeof(now)));
		rig_compare(v->p->phone, &b->pack, wrong, sizeof(wrong));
		if (wrong[0])
			tap_note("after %s (point %u): %s", v->where, v->target, wrong);
		CHECK(!wrong[0]);
	}
}

/* "write boot (3675 bytes)", "write NV l_fixnv1 (...)": the phone has got that far. Nothing may be confirmed.
 */
static bool confirmed(const struct victim *v, const char *text)
{
	const struct phone *phone = v->p->phone;
	char name[40];
	unsigned int n;

	if (sscanf(text, "write NV %39s", name) != 1 && sscanf(text, "write %39s", name) != 1)
		return true;
	if (sscanf(name, "0x%x", &n) == 1) /* it calls them by name */
		for (size_t i = 0; i < phone_profile(phone)->part_count; i++)
			if (phone_profile(phone)->parts[i].id == n)
				snprintf(name, sizeof(name), "%s", phone_profile(phone)->parts[i].name);
	for (size_t i = 0; i < phone_entries(phone); i++)
		if (!strcmp(phone_entry(phone, i)->name, name) && phone_entry(phone, i)->ends)
			return true;
	tap_note("killed at %s (point %u): '%s' is confirmed, the phone knows nothing of it", v->where,
		 v->target, text);
	return false;
}

/* What the daemon says of each after its death. */
static void says_what_was(struct bench *b)
{
	struct rig *rig = b->rig;
	unsigned int owed = 0, lines = 0;
	bool others = false;

	for (int i = 0; i < VICTIMS; i++) {
		struct victim *v = &b->victim[i];
		const char *state = rig_get(rig, v->job, JOB, "State");
		struct nv now;
		bool owes = *rig_get(rig, v->p->slot, SLOT, "OwedBackup") != '\0';

		owed += owes;
		b->owed += owes;
		if (!v->held) { /* it had fewer points this time */
			CHECK(!strcmp(state, "succeeded") || !strcmp(state, "interrupted"));
			continue;
		}
		b->kills++;
		/* its result has its name, and only the folder's sync was still to come */
		if (!strcmp(state, "succeeded") && over(v->p->phone))
			continue;
		if (strcmp(state, "interrupted"))
			tap_note("killed at %s (point %u): %s", v->where, v->target, state);
		CHECK(!strcmp(state, "interrupted"));
		CHECK(!strcmp(rig_get(rig, v->job, JOB, "ErrorName"), ERR("Interrupted")));
		CHECK(confirmed(v, rig_dict(rig, v->job, JOB, "Result", "last_confirmed")));
		/* what is not owed, the phone has */
		remember(v->p->phone, &now);
		if (!owes && memcmp(&now, &v->own, sizeof(now)))
			tap_note("killed at %s (point %u): NV are lost", v->where, v->target);
		CHECK(owes || !memcmp(&now, &v->own, sizeof(now)));
	}
	CHECK(ctl(rig, 20000, "--json nv list") == 0);
	for (const char *c = ctl_out; *c; c++)
		lines += *c == '\n';
	for (unsigned int i = 0; i < lines; i++) {
		bool is = !strcmp(ctl_str((int)i, "owed"), "true");

		CHECK(!is || !others); /* those first */
		others |= !is;
		owed -= is;
	}
	if (owed)
		tap_note("%d slots owe without a line:\n%s", (int)owed, ctl_out);
	CHECK(owed == 0);
}

static void forget_state(struct bench *b)
{
	char command[256];

	snprintf(command, sizeof(command), "rm -rf %s/* %s/*", b->rig->state, b->rig->runtime);
	if (system(command))
		tap_note("%s failed", command);
}

/* One kill for all of them, and what comes after it. */
static void round_of(struct bench *b, const uint32_t *targets)
{
	struct rig *rig = b->rig;

	forget_state(b);
	CHECK(rig_up(rig, NULL));
	for (int i = 0; i < VICTIMS; i++)
		b->victim[i].target = targets[i];
	begin(b, 1);
	if (!rig_until(rig, 120000, all_there, b))
		for (int i = 0; i < VICTIMS; i++)
			if (!b->victim[i].held)
				tap_note("%s stands at %u, not at %u: %s %s", b->victim[i].job,
					 b->victim[i].at, b->victim[i].target,
					 rig_get(rig, b->victim[i].job, JOB, "State"),
					 rig_get(rig, b->victim[i].job, JOB, "ErrorName"));
	CHECK(all_there(b));
	CHECK(rig_down(rig, SIGKILL, 5000) == 256 + SIGKILL);
	for (int i = 0; i < VICTIMS; i++)
		b->victim[i].number = 0;
	unplug_all(b);
	CHECK(rig_up(rig, NULL));
	says_what_was(b);
	for (int i = 0; i < VICTIMS; i++)
		b->victim[i].target = NEVER;
	begin(b, 1 + VICTIMS);
	ends_whole(b);
	unplug_all(b);
	CHECK(rig_down(rig, SIGTERM, 20000) == 0);
}

/* ---- a profile ------------------------------------------------------------------------- */

static unsigned int number(const char *name, unsigned int def)
{
	const char *text = getenv(name);

	return text ? (unsigned int)strtoul(text, NULL, 10) : def;
}

static void prepare(struct bench *b, const char *family)
{
	struct rig *rig = b->rig;

	rig_package(rig, &b->pack, family, 41, 2048);
	for (int i = 0; i < VICTIMS; i++) {
		struct victim *v = &b->victim[i];
		char ports[16];

		snprintf(ports, sizeof(ports), "%d.%d", 1 + i / 7, 1 + i % 7);
		v->p = rig_phone(rig, family, ports,
				 &(struct phone_setup){ .time_percent = 1, .unfilled = true });
		remember(v->p->phone, &v->own);
		/* once, for the hub that it hangs on */
		bed_phone_plug(v->p->bp, true);
		bed_phone_unplug(v->p->bp, true);
		/* by its path a read says whose it is */
		snprintf(v->package, sizeof(v->package), "%s/kill-%d.pac", rig->dir, i);
		CHECK(link(b->pack.path, v->package) == 0);
		v->fd = open(v->package, 0);
		CHECK(v->fd >= 0);
	}
}

/* Of the points of one flash (from 1) those at which to kill; the result is their number. */
static uint32_t choose(const struct bench *b, unsigned int step, unsigned int day, uint32_t *chosen)
{
	uint32_t n = 0, all = 0;

	for (uint32_t at = 0, end; at < b->points; at = end) {
		for (end = at + 1; end < b->kinds && b->kind[at] && b->kind[end] == b->kind[at]; end++)
			;
		for (uint32_t i = at; i < end; i++) {
			bool within = i - at >= ROW_ENDS && end - i > ROW_ENDS;

			if (step && within && (i - at + day) % ROW_STEP)
				continue;
			if (!step || (all++ + day) % step == 0)
				chosen[n++] = i + 1;
		}
	}
	return n;
}

static void kills(struct rig *rig, const char *family, unsigned int step)
{
	static uint32_t chosen[POINTS_MAX];
	struct bench *b = &bench;
	unsigned int day = number("SEED", (unsigned int)(time(NULL) / 86400)), rounds = 0;
	uint32_t targets[VICTIMS], next, count;

	*b = (struct bench){ .rig = rig };
	bed_watch_files(rig->bed, on_file, b);
	prepare(b, family);
	/* how many there are, and that nothing is in the way of a flash */
	CHECK(rig_up(rig, NULL));
	for (int i = 0; i < VICTIMS; i++)
		b->victim[i].target = NEVER;
	begin(b, 1);
	ends_whole(b);
	unplug_all(b);
	CHECK(rig_down(rig, SIGTERM, 20000) == 0);
	for (int i = 0; i < VICTIMS; i++)
		b->points = b->victim[i].at > b->points ? b->victim[i].at : b->points;
	CHECK(b->points <= POINTS_MAX);
	count = choose(b, step, day, chosen);
	CHECK(count);
	for (next = 0; next < count; rounds++) {
		for (int i = 0; i < VICTIMS; i++, next++)
			targets[i] = chosen[next % count];
		round_of(b, targets);
	}
	tap_note(
		"%s: a flash has %u points, killed at %u of them in %u rounds (SEED=%u); a backup was owed %u times",
		family, b->points, b->kills, rounds, day, b->owed);
	for (int i = 0; i < VICTIMS; i++)
		close(b->victim[i].fd);
	bed_watch_files(rig->bed, NULL, NULL);
	rig_package_free(&b->pack);
}

static void sc9863a(struct rig *rig)
{
	kills(rig, "sc9863a", number("EVERY", FIRST));
}

static void ums9620(struct rig *rig)
{
	kills(rig, "ums9620", number("EVERY", STEP));
}

static void sc8830(struct rig *rig)
{
	kills(rig, "sc8830", number("EVERY", STEP));
}

static void sc7731g(struct rig *rig)
{
	kills(rig, "sc7731g", number("EVERY", STEP));
}

static const struct rig_test tests[] = {
	{ "sc9863a: killed wherever it wants something", sc9863a },
	{ "ums9620", ums9620 },
	{ "sc8830", sc8830 },
	{ "sc7731g", sc7731g },
};

int main(void)
{
	return rig_run(tests, sizeof(tests) / sizeof(tests[0]));
}
