/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A package is flashed, but the phone is started with the loaders of another: by name, by file, by rule, and
 * where the package has none. What the phone was given is compared byte by byte.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bus/conf.h"
#include "tests/bus/ctl.h"
#include "tests/bus/rig.h"
#include "tests/phone/loader.h"

#define RULES  "/etc/fdld/rules.d/10-line.conf"
#define QUICK  "[armed]\naway-time=0s\nunit-away-time=0s\nsettle-time=0s\n"
#define HEADER 512u /* of a signed loader */

/* Packages of one phone: as it came, and one whose loaders are others of the same family. */
struct stock {
	struct rig_package own, tuned, pro; /* pro: of another family */
};

static void stock_make(struct rig *rig, struct stock *s)
{
	uint8_t *part[2];
	size_t len[2];

	memset(s, 0, sizeof(*s));
	rig_package(rig, &s->own, "sc9863a", 5, 4096);
	rig_package(rig, &s->tuned, "sc9863a", 6, 4096);
	rig_package(rig, &s->pro, "ums512", 7, 4096);
	part[0] = s->tuned.fdl1;
	part[1] = s->tuned.fdl2;
	len[0] = s->tuned.spec.fdl1_len;
	len[1] = s->tuned.spec.fdl2_len;
	for (int i = 0; i < 2; i++) {
		memset(part[i] + HEADER + 0x700, 0x5a ^ i, 0x300);
		phone_make_dhtb(part[i] + HEADER, len[i] - HEADER, part[i], len[i]);
	}
	rig_package_write(rig, &s->tuned);
}

static void stock_free(struct stock *s)
{
	rig_package_free(&s->own);
	rig_package_free(&s->tuned);
	rig_package_free(&s->pro);
}

/* A service that has all of it: tuned and pro as pairs, own as a package. */
static bool stock_up(struct rig *rig, struct stock *s, const char *rules)
{
	stock_make(rig, s);
	conf_put(rig, ETC, QUICK);
	if (rules)
		conf_put(rig, RULES, rules);
	return rig_up(rig, NULL) && ctl(rig, 20000, "loader import %s --name tuned", s->tuned.path) == 0 &&
	       ctl(rig, 20000, "loader import %s --name pro", s->pro.path) == 0 &&
	       ctl(rig, 20000, "image import %s --name line", s->own.path) == 0;
}

/* Its last loader of this name was this one, whole. */
static bool given(struct phone *phone, const char *name, const uint8_t *bytes, size_t len)
{
	const struct phone_entry *e = NULL;
	uint64_t at = 0;

	for (size_t i = 0; i < phone_entries(phone); i++)
		if (!strcmp(phone_entry(phone, i)->name, name))
			e = phone_entry(phone, i);
	if (!e || e->size != len || e->received != len || !e->ends)
		return false;
	for (size_t i = 0; i < e->piece_count; i++) {
		const struct phone_piece *p = &e->pieces[i];

		if (!p->accepted)
			continue;
		if (p->offset != at || p->length > len - at ||
		    p->digest != phone_digest(bytes + at, p->length))
			return false;
		at += p->length;
	}
	return at == len;
}

static bool started_with(struct phone *phone, const struct rig_package *p)
{
	return given(phone, "fdl1", p->fdl1, p->spec.fdl1_len) &&
	       given(phone, "fdl2", p->fdl2, p->spec.fdl2_len);
}

static bool flashed(struct rig *rig, struct rig_phone *p, const struct rig_package *with)
{
	char wrong[128];
	unsigned int n = rig_compare(p->phone, with, wrong, sizeof(wrong));

	(void)rig;
	if (n < 8 || wrong[0])
		tap_note("%u entries, %s", n, wrong);
	return n >= 8 && !wrong[0];
}

static bool away(struct rig *rig, struct rig_phone *p)
{
	bed_phone_unplug(p->bp, true);
	return rig_expect(rig, 10000, p->slot, SLOT, "State", "empty");
}

static bool again(struct rig *rig, struct rig_phone *p)
{
	return away(rig, p) && rig_plug(rig, p);
}

/* What is on record of the latest job. */
static bool on_record(struct rig *rig, const char *loader, const struct rig_package *p)
{
	uint8_t sum[32];
	char hex[65];

	if (ctl(rig, 10000, "--json history --limit 1") != 0 || !ctl_json())
		return false;
	phone_sha256(p->fdl1, p->spec.fdl1_len, sum);
	for (int i = 0; i < 32; i++)
		snprintf(hex + 2 * i, 3, "%02x", sum[i]);
	if (strcmp(ctl_str(0, "loader"), loader) != 0 || strcmp(ctl_str(0, "fdl1"), hex) != 0)
		tap_note("on record: %s", ctl_out);
	return !strcmp(ctl_str(0, "loader"), loader) && !strcmp(ctl_str(0, "fdl1"), hex);
}

static void by_name(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct stock s;
	char digest[80];

	CHECK(stock_up(rig, &s, NULL));
	CHECK(ctl(rig, 5000, "--json loader show tuned") == 0);
	snprintf(digest, sizeof(digest), "%.12s", ctl_str(0, "Digest"));
	CHECK(rig_plug(rig, p));
	/* a pair that is there is no reason to take it */
	CHECK(ctl(rig, 60000, "flash %s --slot %s", s.own.path, p->id) == 0);
	CHECK(started_with(p->phone, &s.own) && on_record(rig, "", &s.own));
	CHECK(again(rig, p));
	CHECK(ctl(rig, 60000, "flash %s --slot %s --loader tuned --level verified", s.own.path, p->id) == 0);
	CHECK(started_with(p->phone, &s.tuned) && flashed(rig, p, &s.own));
	CHECK(on_record(rig, "tuned", &s.tuned));
	/* of a stored package, by the digits of a digest; and both by the same name */
	CHECK(again(rig, p));
	CHECK(ctl(rig, 60000, "flash --image line --slot %s --loader %s", p->id, digest) == 0);
	CHECK(started_with(p->phone, &s.tuned) && on_record(rig, "tuned", &s.tuned));
	CHECK(again(rig, p));
	CHECK(ctl(rig, 60000, "flash --image line --slot %s --loader line", p->id) == 0);
	CHECK(started_with(p->phone, &s.own) && on_record(rig, "", &s.own));
	/* the next phone that comes */
	CHECK(away(rig, p));
	bed_phone_plug(p->bp, true);
	CHECK(ctl(rig, 60000, "flash --image line --loader tuned --wait 30") == 0);
	CHECK(started_with(p->phone, &s.tuned));
	stock_free(&s);
}

/* Of another package: one that is stored, or a file. */
static void of_a_package(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct stock s;

	CHECK(stock_up(rig, &s, NULL));
	CHECK(ctl(rig, 20000, "image import %s --name other", s.tuned.path) == 0);
	CHECK(rig_plug(rig, p));
	CHECK(ctl(rig, 60000, "flash %s --slot %s --loader other", s.own.path, p->id) == 0);
	CHECK(started_with(p->phone, &s.tuned) && flashed(rig, p, &s.own));
	CHECK(on_record(rig, "other", &s.tuned));
	CHECK(again(rig, p));
	CHECK(ctl(rig, 60000, "flash %s --slot %s --loader %s", s.own.path, p->id, s.tuned.path) == 0);
	CHECK(started_with(p->phone, &s.tuned) && flashed(rig, p, &s.own));
	/* what is asked for can be seen before */
	CHECK(away(rig, p));
	CHECK(ctl(rig, 5000, "flash %s --dry-run --loader %s", s.own.path, s.tuned.path) == 0 &&
	      strstr(ctl_out, "FDL2"));
	CHECK(ctl(rig, 5000, "flash %s --dry-run --loader %s", s.own.path, s.pro.path) ==
	      ctl_code("LoaderMismatch"));
	CHECK(ctl(rig, 5000, "flash %s --dry-run --loader tuned", s.own.path) == 2);
	CHECK(rig_plug(rig, p));
	CHECK(ctl(rig, 60000, "flash %s --dry-run --slot %s --loader tuned", s.own.path, p->id) == 0 &&
	      strstr(ctl_out, "started with the loaders of tuned"));
	CHECK(started_with(p->phone, &s.tuned));
	/* damage of what only lends is found before anything is written */
	s.tuned.spec.damage = COMPOSE_FLIP_BODY;
	s.tuned.spec.image_bytes = 4 << 20; /* its check takes longer than the way to the gate */
	rig_package_write(rig, &s.tuned);
	CHECK(again(rig, p));
	CHECK(ctl(rig, 60000, "flash %s --slot %s --loader %s", s.own.path, p->id, s.tuned.path) ==
	      ctl_code("PackageBodyCrc"));
	CHECK(ctl(rig, 10000, "--json history --limit 1") == 0 && !strcmp(ctl_str(0, "leaves"), "unchanged"));
	stock_free(&s);
}

static bool begun(void *arg)
{
	const struct rig_phone *p = arg;

	return phone_entries(p->phone) && !strcmp(phone_entry(p->phone, 0)->name, "fdl1");
}

/* What does not fit is refused, and the phone hears no word of it. */
static void what_does_not_fit(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct stock s;
	char job[128], line[256];

	CHECK(stock_up(rig, &s, NULL));
	CHECK(rig_plug(rig, p));
	CHECK(ctl(rig, 20000, "flash --image line --slot %s --loader pro", p->id) ==
	      ctl_code("LoaderMismatch"));
	CHECK(strstr(ctl_err, "sharkl5pro") && strstr(ctl_err, "sharkl3"));
	CHECK(ctl(rig, 20000, "flash %s --slot %s --loader %s", s.own.path, p->id, s.pro.path) ==
	      ctl_code("LoaderMismatch"));
	CHECK(ctl(rig, 20000, "flash --image line --slot %s --loader nobody", p->id) == ctl_code("NoLoader"));
	CHECK(strstr(ctl_err, "tuned (sharkl3)") && strstr(ctl_err, "pro (sharkl5pro)"));
	CHECK(!rig_flash(rig, p->slot, s.own.fd, "a{sv}", 1, "loader", "s", "/org/fdld1/image/4711") &&
	      !strcmp(rig->error, ERR("NoSuchImage")));
	/* names are offered, and what they are for */
	snprintf(line, sizeof(line), "%s/fdlctl __complete 2 flash --loader '' 2>&1", rig->build);
	CHECK(bed_sh(rig->bed, 5000, ctl_out, sizeof(ctl_out), line) == 0 && strstr(ctl_out, "tuned") &&
	      strstr(ctl_out, "sharkl5pro"));
	CHECK(!bed_count(bed_phone_dev(p->bp))->submits);
	/* forced it is tried, and this phone has nothing to say to it */
	CHECK(ctl(rig, 20000, "flash --image line --slot %s --loader pro --force-loaders --detach", p->id) ==
	      0);
	CHECK(rig_expect(rig, 20000, p->slot, SLOT, "State", "busy"));
	snprintf(job, sizeof(job), "%s", rig_get(rig, p->slot, SLOT, "Job"));
	CHECK(rig_until(rig, 20000, begun, p));
	CHECK(!strcmp(rig_get(rig, job, JOB, "Stage"), "fdl1"));
	CHECK(rig_call(rig, 5000, NULL, job, JOB, "Cancel", "a{sv}", 1, "force", "b", 1));
	CHECK(strcmp(rig_wait(rig, job, 60000), "") != 0);
	stock_free(&s);
}

/* A package that has no loaders takes the slot's, or the only pair there is. */
static void without_any(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct compose_file none[2] = { { .id = "FDL", .data = "", .len = 0 },
					{ .id = "FDL2", .data = "", .len = 0 } };
	struct rig_package bare, like;
	struct stock s;

	stock_make(rig, &s);
	rig_package(rig, &bare, "sc9863a", 77, 4096);
	rig_package(rig, &like, "sc9863a", 77, 4096);
	bare.spec.file = none;
	bare.spec.files = 2;
	rig_package_write(rig, &bare);
	CHECK(rig_up(rig, NULL));
	CHECK(rig_plug(rig, p));
	CHECK(ctl(rig, 20000, "flash %s --slot %s", bare.path, p->id) == ctl_code("NoLoader"));
	CHECK(ctl(rig, 20000, "loader import %s --name pro", s.pro.path) == 0);
	CHECK(ctl(rig, 20000, "flash %s --slot %s", bare.path, p->id) == ctl_code("NoLoader"));
	CHECK(strstr(ctl_err, "pro (sharkl5pro)"));
	CHECK(ctl(rig, 20000, "loader import %s --name own", s.own.path) == 0);
	CHECK(ctl(rig, 20000, "loader import %s --name tuned", s.tuned.path) == 0);
	CHECK(ctl(rig, 20000, "flash %s --slot %s", bare.path, p->id) == ctl_code("LoaderAmbiguous"));
	CHECK(strstr(ctl_err, "own (sharkl3)") && strstr(ctl_err, "tuned (sharkl3)"));
	CHECK(ctl(rig, 5000, "slot set %s --loader pro", p->id) == 0);
	CHECK(ctl(rig, 20000, "flash %s --slot %s", bare.path, p->id) == ctl_code("LoaderMismatch"));
	CHECK(!bed_count(bed_phone_dev(p->bp))->submits);
	CHECK(ctl(rig, 5000, "slot set %s --loader tuned", p->id) == 0);
	CHECK(ctl(rig, 60000, "flash %s --slot %s", bare.path, p->id) == 0);
	CHECK(started_with(p->phone, &s.tuned) && flashed(rig, p, &like));
	CHECK(on_record(rig, "tuned", &s.tuned));
	/* who has loaders is not given the slot's */
	CHECK(again(rig, p));
	CHECK(ctl(rig, 60000, "flash %s --slot %s", s.own.path, p->id) == 0);
	CHECK(started_with(p->phone, &s.own));
	/* the only one that can be meant */
	CHECK(ctl(rig, 5000, "slot set %s --loader ''", p->id) == 0);
	CHECK(ctl(rig, 5000, "loader remove own") == 0);
	CHECK(again(rig, p));
	CHECK(ctl(rig, 60000, "flash %s --slot %s", bare.path, p->id) == 0);
	CHECK(started_with(p->phone, &s.tuned));
	rig_package_free(&bare);
	rig_package_free(&like);
	stock_free(&s);
}

/* Whom a job waits with is not taken away from it. */
static void held_while_it_waits(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct ctl_run *run = malloc(sizeof(*run));
	char args[256], line[256];
	struct stock s;

	CHECK(run && stock_up(rig, &s, NULL));
	CHECK(rig_plug(rig, p) && away(rig, p));
	snprintf(args, sizeof(args), "flash --image line --slot %s --loader tuned --wait 60", p->id);
	ctl_start(rig, run, args);
	CHECK(rig_expect(rig, 10000, p->slot, SLOT, "State", "waiting"));
	CHECK(ctl(rig, 5000, "loader remove tuned") == ctl_code("ImageInUse") && strstr(ctl_err, "job"));
	/* nor does the file have to keep its name */
	snprintf(line, sizeof(line), "rm %s/loader/*.pac", rig->state);
	CHECK(system(line) == 0);
	bed_phone_plug(p->bp, true);
	CHECK(ctl_wait(rig, run, 60000) == 0);
	CHECK(started_with(p->phone, &s.tuned) && flashed(rig, p, &s.own));
	CHECK(ctl(rig, 5000, "loader remove tuned") == 0);
	free(run);
	stock_free(&s);
}

/* A phone that a job has left in a loader goes on with that one; what is told of it is true. */
static void one_runs_already(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct stock s;
	char out[128];

	CHECK(stock_up(rig, &s, NULL));
	snprintf(out, sizeof(out), "%s/area", rig->dir);
	CHECK(rig_plug(rig, p));
	CHECK(ctl(rig, 60000, "read --slot %s --output %s --loader tuned logo", p->id, out) == 0);
	CHECK(started_with(p->phone, &s.tuned));
	CHECK(ctl(rig, 60000, "flash --image line --slot %s --end stay", p->id) == 0);
	CHECK(started_with(p->phone, &s.tuned) && flashed(rig, p, &s.own));
	CHECK(on_record(rig, "tuned", &s.tuned));
	CHECK(strstr(ctl_out, "those of tuned ran on the phone already"));
	/* and what is known to run there is still that */
	CHECK(ctl(rig, 60000, "read --slot %s --output %s --replace --end reset logo", p->id, out) == 0);
	CHECK(on_record(rig, "", &s.tuned));
	unlink(out);
	stock_free(&s);
}

static bool passes(struct rig *rig, const struct rig_phone *p, const char *count)
{
	if (rig_expect(rig, 60000, p->slot, SLOT, "Passes", count))
		return true;
	tap_note("%s passes, '%s' %s", rig_get(rig, p->slot, SLOT, "Passes"),
		 rig_get(rig, p->slot, SLOT, "ArmedWhy"), rig_get(rig, p->slot, SLOT, "ArmedDetail"));
	return false;
}

static void by_rule(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct stock s;

	CHECK(stock_up(rig, &s, "[all]\nimage=line\nloader=tuned\n"));
	CHECK(rig_plug(rig, p) && away(rig, p));
	CHECK(ctl(rig, 5000, "rules check %s", p->id) == 0 &&
	      strstr(ctl_out, "[all]: flash line with the loaders of tuned"));
	CHECK(ctl(rig, 5000, "rules") == 0 && strstr(ctl_out, "loader=tuned"));
	CHECK(ctl(rig, 5000, "arm --all") == 0);
	bed_phone_plug(p->bp, true);
	CHECK(passes(rig, p, "1"));
	CHECK(started_with(p->phone, &s.tuned) && flashed(rig, p, &s.own));
	CHECK(on_record(rig, "tuned", &s.tuned));
	/* it stays as long as the rule counts on it */
	CHECK(ctl(rig, 5000, "loader remove tuned") == ctl_code("ImageInUse") && strstr(ctl_err, "[all]"));
	/* one that is not there, or is for others: no word to the phone, and it is said */
	CHECK(away(rig, p));
	conf_put(rig, RULES, "[all]\nimage=line\nloader=new\n");
	CHECK(conf_reload(rig));
	CHECK(ctl(rig, 5000, "rules check %s", p->id) == ctl_code("NoLoader") &&
	      strstr(ctl_out, "its loaders cannot be had"));
	bed_phone_plug(p->bp, true);
	CHECK(rig_expect(rig, 20000, p->slot, SLOT, "ArmedWhy", "refused"));
	CHECK(strstr(rig_get(rig, p->slot, SLOT, "ArmedDetail"), "new"));
	CHECK(!bed_count(bed_phone_dev(p->bp))->submits);
	CHECK(ctl(rig, 5000, "loader remove tuned") == 0);
	/* once it has come the phone need not come again */
	CHECK(ctl(rig, 20000, "loader import %s --name new", s.tuned.path) == 0);
	CHECK(passes(rig, p, "2"));
	CHECK(started_with(p->phone, &s.tuned) && on_record(rig, "new", &s.tuned));
	CHECK(away(rig, p));
	conf_put(rig, RULES, "[all]\nimage=line\nloader=pro\n");
	CHECK(conf_reload(rig));
	bed_phone_plug(p->bp, true);
	CHECK(rig_expect(rig, 20000, p->slot, SLOT, "ArmedWhy", "refused"));
	CHECK(!bed_count(bed_phone_dev(p->bp))->submits);
	stock_free(&s);
}

/* The gate opens with another package: the loaders stay those that were asked for. */
static void through_the_gate(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package other;
	struct stock s;
	char job[128];

	rig_package(rig, &other, "sc9863a", 9, 4096);
	CHECK(stock_up(rig, &s, "[all]\nimage=line\nloader=tuned\ngate=client\ngate-timeout=60s\n"));
	CHECK(ctl(rig, 20000, "image import %s --name other", other.path) == 0);
	CHECK(rig_plug(rig, p) && away(rig, p) && ctl(rig, 5000, "arm --all") == 0);
	bed_phone_plug(p->bp, true);
	CHECK(rig_expect(rig, 20000, p->slot, SLOT, "State", "waiting"));
	snprintf(job, sizeof(job), "%s", rig_get(rig, p->slot, SLOT, "Job"));
	CHECK(ctl(rig, 5000, "loader remove tuned") == ctl_code("ImageInUse"));
	CHECK(ctl(rig, 10000, "release %llu --image other",
		  (unsigned long long)rig_num(rig, job, JOB, "Id")) == 0);
	CHECK(!strcmp(rig_wait(rig, job, 60000), ""));
	CHECK(!strcmp(rig_dict(rig, job, JOB, "Result", "loader"), "tuned"));
	CHECK(started_with(p->phone, &s.tuned) && flashed(rig, p, &other));
	rig_package_free(&other);
	stock_free(&s);
}

/* Killed in the middle: the rule begins again, with the same loaders. */
static void after_a_crash(struct rig *rig)
{
	struct phone_setup setup = { .faults = "late 5s at midst 1 of boot" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &setup);
	struct stock s;
	char job[128];

	CHECK(stock_up(rig, &s, "[all]\nimage=line\nloader=tuned\nafter-crash=yes\n"));
	CHECK(rig_plug(rig, p) && away(rig, p) && ctl(rig, 5000, "arm --all") == 0);
	bed_phone_plug(p->bp, true);
	CHECK(rig_expect(rig, 20000, p->slot, SLOT, "State", "busy"));
	snprintf(job, sizeof(job), "%s", rig_get(rig, p->slot, SLOT, "Job"));
	CHECK(rig_expect(rig, 60000, job, JOB, "Entry", "boot"));
	CHECK(rig_down(rig, SIGKILL, 5000) == 256 + SIGKILL);
	rig_disconnect(rig);
	bed_phone_unplug(p->bp, true);
	CHECK(rig_up(rig, NULL));
	/* what the dead one has asked for is known */
	CHECK(on_record(rig, "tuned", &s.tuned));
	bed_phone_plug(p->bp, true);
	CHECK(passes(rig, p, "1"));
	CHECK(started_with(p->phone, &s.tuned) && flashed(rig, p, &s.own) &&
	      on_record(rig, "tuned", &s.tuned));
	stock_free(&s);
}

static const struct rig_test tests[] = {
	{ "a pair that is named", by_name },
	{ "the loaders of another package", of_a_package },
	{ "what does not fit, and what is not there", what_does_not_fit },
	{ "a package without loaders", without_any },
	{ "held while a job waits with it", held_while_it_waits },
	{ "one runs on the phone already", one_runs_already },
	{ "by rule", by_rule },
	{ "through the gate", through_the_gate },
	{ "after a crash", after_a_crash },
};

int main(void)
{
	return rig_run(tests, sizeof(tests) / sizeof(tests[0]));
}
