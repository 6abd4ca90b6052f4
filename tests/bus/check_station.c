/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A line with every place armed: phones come and go in random order, some fail, some are pulled out in the
 * middle, and nobody but the rules starts anything. At the end the counters of the places and the history
 * say what the phones themselves have seen. SEED=n to repeat an order, ROUNDS=n for a longer shift.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "tests/bus/conf.h"
#include "tests/bus/ctl.h"

#define RULES	 "/etc/fdld/rules.d/10-line.conf"
#define PHONES	 32
#define BAD	 2 /* of them, the last ones, are never good */
#define PATIENCE 120000

/* What a round of a phone is to be like. */
enum fate { GOOD, REFUSES, MUTE, LEAVES, PULLED, FATES };
static const char *const faults[FATES] = {
	[GOOD] = "",
	[REFUSES] = "refuse at end * of boot with 0xa2",
	[MUTE] = "refuse at connect *",
	[LEAVES] = "unplug at midst 1 of boot",
	[PULLED] = "", /* by hand, wherever it stands */
};

enum state { AWAY, THERE, GOING, DONE };

struct unit {
	struct rig_phone *p;
	enum state state;
	enum fate fate;
	unsigned int round, rounds;
	unsigned int heard;   /* transfers of this round */
	unsigned int pull_at; /* the cable is pulled at that transfer; 0: not */
	bool pull, pulled;
	unsigned int passes, failures, vanished, refused; /* as the phone saw it */
	uint64_t next;					  /* when it goes on, bed_now() */
	uint8_t own[16];
};

struct line {
	struct rig *rig;
	struct rig_package pack;
	struct unit unit[PHONES];
	unsigned int seed;
};

static unsigned int number(const char *name, unsigned int def)
{
	const char *text = getenv(name);

	return text ? (unsigned int)strtoul(text, NULL, 10) : def;
}

static bool on_out(void *arg)
{
	struct unit *u = arg;

	u->pull |= ++u->heard == u->pull_at;
	return u->pull; /* what is to be pulled hears no more */
}

static uint64_t soon(struct line *l)
{
	return bed_now() + (uint64_t)(rand_r(&l->seed) % 60) * 1000000;
}

/* ---- one unit --------------------------------------------------------------------------- */

static void come(struct line *l, struct unit *u)
{
	bool bad = u >= &l->unit[PHONES - BAD];

	/* the last round of a good one is good: then everything must be right in it */
	u->fate = bad			      ? REFUSES
		  : u->round + 1 == u->rounds ? GOOD
					      : (enum fate)(rand_r(&l->seed) % (FATES + 2));
	if (u->fate >= FATES)
		u->fate = GOOD;
	u->heard = 0;
	u->pull = u->pulled = false;
	u->pull_at = u->fate == PULLED ? 1 + (unsigned int)rand_r(&l->seed) % 100 : 0;
	(void)phone_set_faults(u->p->phone, faults[u->fate], NULL);
	bed_phone_watch(u->p->bp, on_out, u);
	bed_phone_plug(u->p->bp, true);
	u->state = THERE;
}

/* Whether the daemon says that its job has ended. */
static bool ended(struct line *l, const struct unit *u)
{
	uint64_t done = rig_num(l->rig, u->p->slot, SLOT, "Passes") +
			rig_num(l->rig, u->p->slot, SLOT, "Failures");

	return done > u->round;
}

/* As the phone sees it: it was sent on into its system, or not. */
static void judge(struct unit *u)
{
	bool whole = phone_stage(u->p->phone) == PHONE_BOOTED;

	u->passes += whole;
	u->failures += !whole;
	u->vanished += !whole && (u->fate == LEAVES || u->pulled);
	u->refused += !whole && u->fate == REFUSES;
}

static void turn(struct line *l, struct unit *u)
{
	struct rig *rig = l->rig;

	switch (u->state) {
	case AWAY:
		if (bed_now() >= u->next)
			come(l, u);
		break;
	case THERE:
		if (u->pull && !u->pulled) {
			u->pulled = true;
			bed_phone_unplug(u->p->bp, true);
		}
		if (!ended(l, u))
			break;
		judge(u);
		bed_phone_unplug(u->p->bp, true);
		u->state = GOING;
		break;
	case GOING:
		if (strcmp(rig_get(rig, u->p->slot, SLOT, "State"), "empty") != 0)
			break;
		u->next = soon(l);
		u->state = ++u->round == u->rounds ? DONE : AWAY;
		break;
	case DONE: break;
	}
}

static bool all_done(struct line *l)
{
	uint64_t until = bed_now() + (uint64_t)PATIENCE * 1000000;
	bool busy = true;

	while (busy && bed_now() < until) {
		busy = false;
		for (int i = 0; i < PHONES; i++) {
			turn(l, &l->unit[i]);
			busy |= l->unit[i].state != DONE;
		}
		rig_sleep(l->rig, 5);
	}
	for (int i = 0; busy && i < PHONES; i++) {
		const struct unit *u = &l->unit[i];

		if (u->state != DONE)
			tap_note("%s: round %u, fate %d, state %d, %u transfers, slot %s, '%s' %s", u->p->id,
				 u->round, u->fate, u->state, u->heard,
				 rig_get(l->rig, u->p->slot, SLOT, "State"),
				 rig_get(l->rig, u->p->slot, SLOT, "ArmedWhy"),
				 rig_get(l->rig, u->p->slot, SLOT, "ArmedDetail"));
	}
	return !busy;
}

/* ---- the sums ----------------------------------------------------------------------------- */

static unsigned int history(struct rig *rig, const char *filter)
{
	unsigned int lines = 0;

	if (ctl(rig, 20000, "--json history %s", filter))
		return 99999;
	for (const char *c = ctl_out; *c; c++)
		lines += *c == '\n';
	return lines;
}

static bool equal(const char *what, uint64_t said, uint64_t seen)
{
	if (said == seen)
		return true;
	tap_note("%s: %llu, the phones saw %llu", what, (unsigned long long)said, (unsigned long long)seen);
	return false;
}

static void sums(struct line *l)
{
	struct rig *rig = l->rig;
	static const char *const left[] = { "DeviceVanished", "PhoneLeft",    "PhoneNotBack",
					    "Fdl1Rejected",   "Fdl2Rejected", "Fdl2PoweredOff" };
	unsigned int passes = 0, failures = 0, vanished = 0, refused = 0, told = 0;
	char wrong[128];

	for (int i = 0; i < PHONES; i++) {
		const struct unit *u = &l->unit[i];
		uint8_t now[16];

		CHECK(equal(u->p->id, rig_num(rig, u->p->slot, SLOT, "Passes"), u->passes));
		CHECK(equal(u->p->id, rig_num(rig, u->p->slot, SLOT, "Failures"), u->failures));
		CHECK(equal(u->p->id, rig_num(rig, u->p->slot, SLOT, "Attempts"), u->passes + u->failures));
		passes += u->passes;
		failures += u->failures;
		vanished += u->vanished;
		refused += u->refused;
		if (i >= PHONES - BAD)
			continue;
		(void)rig_compare(u->p->phone, &l->pack, wrong, sizeof(wrong));
		if (wrong[0])
			tap_note("%s: %s", u->p->id, wrong);
		CHECK(!wrong[0]);
		CHECK(rig_nv_item(u->p->phone, 5, now, sizeof(now)) == 8 && !memcmp(now, u->own, 8));
		CHECK(!strcmp(rig_get(rig, u->p->slot, SLOT, "OwedBackup"), ""));
	}
	CHECK(equal("passes", history(rig, "--result pass"), passes));
	CHECK(equal("failures", history(rig, "--result fail"), failures));
	CHECK(equal("jobs", history(rig, ""), passes + failures));
	/* in a loader's first moments the same departure has another name */
	for (unsigned int i = 0; i < sizeof(left) / sizeof(left[0]); i++) {
		char filter[64];

		snprintf(filter, sizeof(filter), "--error %s", left[i]);
		told += history(rig, filter);
	}
	CHECK(equal("gone in the middle", told, vanished));
	CHECK(equal("refused", history(rig, "--error EndFailed"), refused));
	CHECK(equal("no answer", history(rig, "--error RomConnectFailed"), failures - vanished - refused));
	tap_note("%u phones passed, %u failed, %u of them left, %u refused", passes, failures, vanished,
		 refused);
}

/* ---- a shift ------------------------------------------------------------------------------- */

static void set_up(struct line *l, const char *settings, const char *rules)
{
	struct rig *rig = l->rig;

	rig_package(rig, &l->pack, "sc9863a", 51, 2048);
	conf_put(rig, ETC, settings);
	conf_put(rig, RULES, rules);
	CHECK(rig_up(rig, NULL));
	CHECK(ctl(rig, 30000, "image import %s --name line.pac", l->pack.path) == 0);
}

static void shift(struct rig *rig)
{
	static struct line l;
	unsigned int seed = number("SEED", (unsigned int)time(NULL)), rounds = number("ROUNDS", 3);

	l = (struct line){ .rig = rig, .seed = seed };
	tap_note("SEED=%u", seed);
	/* a place is away as soon as it is empty: each phone that comes is another one */
	set_up(&l, "[armed]\naway-time=0s\nunit-away-time=0s\nsettle-time=0s\nstop-slots=unlimited\n",
	       "[never good]\nslot=*:5.3, *:5.4\nimage=line.pac\nstop-after=2\n"
	       "[line]\nimage=line.pac\nstop-after=unlimited\n");
	for (int i = 0; i < PHONES; i++) {
		struct unit *u = &l.unit[i];
		char ports[16];

		snprintf(ports, sizeof(ports), "%d.%d", 1 + i / 7, 1 + i % 7);
		u->p = rig_phone(rig, "sc9863a", ports, &(struct phone_setup){ .unfilled = true });
		u->rounds = i >= PHONES - BAD ? 2 : rounds;
		CHECK(rig_nv_item(u->p->phone, 5, u->own, sizeof(u->own)) == 8);
		/* places become known by a phone that is not touched */
		CHECK(rig_plug(rig, u->p));
		bed_phone_unplug(u->p->bp, true);
	}
	for (int i = 0; i < PHONES; i++)
		CHECK(rig_expect(rig, 20000, l.unit[i].p->slot, SLOT, "State", "empty"));
	CHECK(ctl(rig, 10000, "arm --all") == 0);
	for (int i = 0; i < PHONES; i++)
		l.unit[i].next = soon(&l);
	CHECK(all_done(&l));
	sums(&l);
	/* those that were never good have stopped, and say why; who comes now is left alone */
	for (int i = PHONES - BAD; i < PHONES; i++) {
		struct rig_phone *p = l.unit[i].p;

		CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "Armed"), "false"));
		CHECK(strstr(rig_get(rig, p->slot, SLOT, "DisarmedWhy"), "EndFailed"));
		CHECK(rig_plug(rig, p));
		l.unit[i].heard = 0;
	}
	CHECK(ctl(rig, 20000, "history verify") == 0);
	CHECK(!l.unit[PHONES - 1].heard && !l.unit[PHONES - 2].heard);
	CHECK(!strcmp(rig_get(rig, l.unit[0].p->slot, SLOT, "Armed"), "true"));
	rig_package_free(&l.pack);
}

/* ---- after a crash --------------------------------------------------------------------------- */

static void after_a_crash(struct rig *rig)
{
	static struct line l;
	static struct unit a, b;
	uint8_t now[16];
	char wrong[128];
	uint64_t submits;

	l = (struct line){ .rig = rig };
	a = b = (struct unit){ 0 };
	set_up(&l, "[armed]\naway-time=0s\nunit-away-time=0s\nsettle-time=0s\n",
	       "[goes on]\nslot=*:1\nimage=line.pac\nafter-crash=yes\nretries=0\n[waits]\nimage=line.pac\n");
	a.p = rig_phone(rig, "sc9863a", "1",
			&(struct phone_setup){ .faults = "late 60s at midst 1 of boot" });
	b.p = rig_phone(rig, "sc9863a", "2",
			&(struct phone_setup){ .faults = "late 60s at midst 1 of boot" });
	CHECK(rig_nv_item(b.p->phone, 5, b.own, sizeof(b.own)) == 8);
	CHECK(rig_nv_item(a.p->phone, 5, a.own, sizeof(a.own)) == 8);
	CHECK(rig_plug(rig, a.p) && rig_plug(rig, b.p));
	CHECK(ctl(rig, 10000, "arm --all --present") == 0);
	CHECK(rig_expect(rig, 30000, ROOT "/job/1", JOB, "Entry", "boot"));
	CHECK(rig_expect(rig, 30000, ROOT "/job/2", JOB, "Entry", "boot"));
	CHECK(rig_down(rig, SIGKILL, 5000) == 256 + SIGKILL);
	rig_disconnect(rig);
	CHECK(phone_set_faults(a.p->phone, "", NULL) && phone_set_faults(b.p->phone, "", NULL));
	submits = bed_count(bed_phone_dev(b.p->bp))->submits;
	CHECK(rig_up(rig, NULL));
	CHECK(!strcmp(rig_get(rig, ROOT "/job/1", JOB, "State"), "interrupted"));
	CHECK(!strcmp(rig_get(rig, ROOT "/job/2", JOB, "State"), "interrupted"));
	/* the rule of the one lets it begin by itself, whatever comes of it; the other hears nothing */
	CHECK(rig_expect(rig, 30000, b.p->slot, SLOT, "ArmedWhy", "crashed"));
	for (int i = 0; i < 6000 && !ended(&l, &a); i++)
		rig_sleep(rig, 10);
	CHECK(ended(&l, &a));
	/* what it was left in hears nothing: the operator is told what to do, and that it is this one */
	if (!strcmp(rig_get(rig, a.p->slot, SLOT, "LastResult"), "failed")) {
		CHECK(rig_expect(rig, 20000, a.p->slot, SLOT, "ArmedWhy", "replug"));
		CHECK(*rig_get(rig, a.p->slot, SLOT, "ArmedDetail"));
		CHECK(conf_logged(rig, "the phone on 1-1 has to be plugged in anew"));
		CHECK(ctl(rig, 10000, "list") == 0 && strstr(ctl_out, "plug it in anew"));
	}
	CHECK(conf_logged(rig, "the phone on 1-2 has to be plugged in anew"));
	tap_note("begun with after the crash: %s", rig_get(rig, a.p->slot, SLOT, "LastResult"));
	CHECK(bed_count(bed_phone_dev(b.p->bp))->submits == submits);
	CHECK(*rig_get(rig, b.p->slot, SLOT, "OwedBackup"));
	/* plugged in again both are flashed by themselves, and what was owed is returned */
	for (int i = 0; i < 2; i++) {
		struct unit *u = i ? &b : &a;
		uint64_t passes = rig_num(rig, u->p->slot, SLOT, "Passes");
		char want[16];

		snprintf(want, sizeof(want), "%llu", (unsigned long long)passes + 1);
		bed_phone_unplug(u->p->bp, true);
		CHECK(rig_expect(rig, 20000, u->p->slot, SLOT, "State", "empty"));
		bed_phone_plug(u->p->bp, true);
		CHECK(rig_expect(rig, 60000, u->p->slot, SLOT, "Passes", want));
		(void)rig_compare(u->p->phone, &l.pack, wrong, sizeof(wrong));
		CHECK(!wrong[0]);
		CHECK(rig_nv_item(u->p->phone, 5, now, sizeof(now)) == 8 && !memcmp(now, u->own, 8));
		CHECK(!strcmp(rig_get(rig, u->p->slot, SLOT, "OwedBackup"), ""));
	}
	rig_package_free(&l.pack);
}

/* ---- no room ----------------------------------------------------------------------------------- */

/* Fills the state disk, or makes room again. */
static bool filled(struct rig *rig, bool full)
{
	char command[256];

	snprintf(command, sizeof(command),
		 full ? "dd if=/dev/zero of=%s/filler bs=4k 2>/dev/null; test -s %s/filler"
		      : "rm %s/filler; test -d %s",
		 rig->state, rig->state);
	return system(command) == 0;
}

static void no_room(struct rig *rig)
{
	static struct line l;
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);

	l = (struct line){ .rig = rig };
	CHECK(mount("small", rig->state, "tmpfs", 0, "size=32m,mode=700") == 0);
	set_up(&l, "[armed]\naway-time=0s\nunit-away-time=0s\nsettle-time=0s\n",
	       "[all]\nimage=line.pac\nstop-after=unlimited\n");
	CHECK(rig_plug(rig, p));
	bed_phone_unplug(p->bp, true);
	CHECK(rig_expect(rig, 20000, p->slot, SLOT, "State", "empty"));
	CHECK(ctl(rig, 10000, "arm --all") == 0);
	CHECK(filled(rig, true));
	bed_phone_plug(p->bp, true);
	/* refused in words, and nothing was destroyed; that it is armed is kept */
	for (int i = 0; i < 2000 && !*rig_get(rig, p->slot, SLOT, "ArmedWhy"); i++)
		rig_sleep(rig, 10);
	tap_note("'%s' %s", rig_get(rig, p->slot, SLOT, "ArmedWhy"),
		 rig_get(rig, p->slot, SLOT, "ArmedDetail"));
	CHECK(*rig_get(rig, p->slot, SLOT, "ArmedWhy"));
	CHECK(!phone_counters(p->phone)->erases && !phone_counters(p->phone)->repartitions);
	CHECK(filled(rig, false));
	bed_phone_unplug(p->bp, true);
	CHECK(rig_expect(rig, 20000, p->slot, SLOT, "State", "empty"));
	bed_phone_plug(p->bp, true);
	CHECK(rig_expect(rig, 60000, p->slot, SLOT, "Passes", "1"));
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "Armed"), "true"));
	CHECK(rig_down(rig, SIGTERM, 20000) == 0);
	CHECK(umount2(rig->state, MNT_DETACH) == 0);
	rig_package_free(&l.pack);
}

static const struct rig_test tests[] = {
	{ "32 phones come and go by rule", shift },
	{ "the rules decide after a crash", after_a_crash },
	{ "a full disk under an armed slot", no_room },
};

int main(void)
{
	return rig_run(tests, sizeof(tests) / sizeof(tests[0]));
}
