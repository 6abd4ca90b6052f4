/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Areas erased, user data, everything: on each kind of phone what its storage holds afterwards, and what it
 * must still hold; what is refused before anything is changed; what is this phone's own; faults in the
 * middle.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/util.h"
#include "tests/bus/conf.h"
#include "tests/bus/ctl.h"
#include "tests/bus/rig.h"

#define LOOK 4096u

static uint8_t want[8u << 20], have[8u << 20];

static bool lay(struct rig_phone *p, const char *area, uint64_t seed)
{
	compose_random(seed, want, LOOK);
	return phone_storage_write(p->phone, area, 0, want, LOOK);
}

/* As lay() with this seed has left it. */
static bool there(const struct rig_phone *p, const char *area, uint64_t seed)
{
	compose_random(seed, want, LOOK);
	return phone_storage_read(p->phone, area, 0, have, LOOK) && !memcmp(have, want, LOOK);
}

static bool erased(const struct rig_phone *p, const char *area)
{
	if (!phone_storage_read(p->phone, area, 0, have, LOOK))
		return false;
	for (size_t i = 0; i < LOOK; i++)
		if (have[i] != have[0] || (have[i] && have[i] != 0xff))
			return false;
	return true;
}

static unsigned int deeds(const struct phone *phone, enum phone_deed_kind kind)
{
	unsigned int n = 0;

	for (size_t i = 0; i < phone_deeds(phone); i++)
		n += phone_deed(phone, i)->kind == kind;
	return n;
}

/* What is not in RAM, and not the phone's own log. */
static unsigned int changes(const struct phone *phone)
{
	return (unsigned int)phone_deeds(phone) - deeds(phone, PHONE_DEED_RAM) - deeds(phone, PHONE_DEED_LOG);
}

static const char *job(struct rig *rig, int number, const char *property)
{
	char path[64];

	snprintf(path, sizeof(path), ROOT "/job/%d", number);
	return rig_get(rig, path, JOB, property);
}

static bool refused(struct rig *rig, const struct rig_phone *p, const char *error, const char *args)
{
	int code = ctl(rig, 60000, "erase %s", args);

	if (code == ctl_code(error) && !changes(p->phone))
		return true;
	tap_note("erase %s: exit %d, not %s; %s", args, code, error, ctl_out);
	return false;
}

/* ---- round, on every kind of phone --------------------------------------------------------- */

static void profile(struct rig *rig, const char *name, const char *one, const char *two, const char *other)
{
	struct rig_phone *p = rig_phone(rig, name, "1", NULL);
	struct rig_package pack;
	unsigned int once;

	rig_package(rig, &pack, name, 7, 4096);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	CHECK(lay(p, one, 1) && lay(p, two, 2) && lay(p, other, 3));
	/* a dry run says what would be done, and does none of it */
	CHECK(ctl(rig, 60000, "erase --slot 1-1 --loader %s --dry-run %s", pack.path, one) == 0);
	CHECK(strstr(ctl_out, "erase") && strstr(ctl_out, one) && !changes(p->phone) && there(p, one, 1));
	CHECK(!strcmp(job(rig, 1, "Kind"), "dry-run"));
	once = deeds(p->phone, PHONE_DEED_RAM);
	CHECK(once == 2);
	/* on the session that it has left; the pair is known of it */
	CHECK(ctl(rig, 60000, "erase %s %s", one, two) == 0);
	CHECK(strstr(ctl_out, "PASS") && strstr(ctl_out, "verified") &&
	      strstr(ctl_out, "stays in its loader"));
	CHECK(erased(p, one) && erased(p, two) && there(p, other, 3));
	CHECK(deeds(p->phone, PHONE_DEED_ERASE) == 2 && changes(p->phone) == 2);
	CHECK(!strcmp(job(rig, 2, "Kind"), "erase") && !strcmp(job(rig, 2, "State"), "succeeded"));
	CHECK(lay(p, one, 4));
	CHECK(ctl(rig, 60000, "read --output %s/one.img %s+4K", rig->dir, one) == 0);
	CHECK(ctl(rig, 60000, "erase %s", one) == 0 && erased(p, one));
	CHECK(deeds(p->phone, PHONE_DEED_RAM) == once);
	/* and everybody tells it */
	CHECK(ctl(rig, 5000, "--json history") == 0);
	CHECK(strstr(ctl_out, "\"kind\":\"erase\"") && strstr(ctl_out, one) &&
	      strstr(ctl_out, "\"op\":\"erase\""));
	CHECK(ctl(rig, 5000, "history verify") == 0);
	CHECK(ctl(rig, 5000, "jobs 2") == 0 && strstr(ctl_out, "erase") && strstr(ctl_out, two));
	CHECK(rig_num(rig, p->slot, SLOT, "Attempts") == 0);
	rig_package_free(&pack);
}

static void sc9863a(struct rig *rig)
{
	profile(rig, "sc9863a", "misc", "logo", "boot");
}

static void ums512(struct rig *rig)
{
	profile(rig, "ums512", "misc", "logo", "boot");
}

static void ums9230(struct rig *rig)
{
	profile(rig, "ums9230", "misc", "boot_a", "boot_b");
}

static void ums9620(struct rig *rig)
{
	profile(rig, "ums9620", "misc", "logo", "boot");
}

/* By number: so many bytes from there on. */
static void by_number(struct rig *rig, const char *name, const char *number, const char *place,
		      const char *other)
{
	struct rig_phone *p = rig_phone(rig, name, "1", NULL);
	struct rig_package pack;

	rig_package(rig, &pack, name, 7, 4096);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	CHECK(lay(p, place, 1) && lay(p, other, 2));
	CHECK(ctl(rig, 60000, "erase --loader %s %s", pack.path, number) == ctl_code("InvalidArgs"));
	CHECK(ctl(rig, 60000, "erase --loader %s %s+64K misc", pack.path, number) == ctl_code("InvalidArgs"));
	/* its package speaks in numbers: nothing is guessed */
	CHECK(ctl(rig, 60000, "erase --loader %s misc", pack.path) == ctl_code("NoPartitions"));
	CHECK(ctl(rig, 60000, "erase --loader %s --user-data", pack.path) == ctl_code("NoPartitions"));
	CHECK(ctl(rig, 60000, "erase --loader %s --everything --i-know", pack.path) ==
	      ctl_code("InvalidArgs"));
	CHECK(ctl(rig, 60000, "erase --loader %s 0x90000002+4K", pack.path) == ctl_code("PartitionUnique"));
	CHECK(!changes(p->phone) && !bed_count(bed_phone_dev(p->bp))->submits);
	CHECK(ctl(rig, 60000, "erase-flash --loader %s %s 0x10000", pack.path, number) == 0);
	CHECK(strstr(ctl_out, "PASS") && erased(p, place) && there(p, other, 2));
	CHECK(lay(p, place, 3));
	CHECK(ctl(rig, 60000, "erase %s+64K", number) == 0 && erased(p, place) && there(p, other, 2));
	rig_package_free(&pack);
}

static void sc8830(struct rig *rig)
{
	by_number(rig, "sc8830", "0x80000007", "boot", "recovery");
}

static void uic8850(struct rig *rig)
{
	by_number(rig, "uic8850", "0x60030000", "ap", "appimg");
}

static void ums9117(struct rig *rig)
{
	by_number(rig, "ums9117", "0x80000003", "kernel", "user");
}

/* ---- what is refused ------------------------------------------------------------------------ */

static void refusals(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;

	rig_package(rig, &pack, "sc9863a", 7, 4096);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	CHECK(refused(rig, p, "NoLoader", "misc"));
	CHECK(ctl(rig, 20000, "loader import %s --name pair", pack.path) == 0);
	CHECK(refused(rig, p, "InvalidArgs", "erase_all") &&
	      refused(rig, p, "InvalidArgs", "user_partition"));
	CHECK(refused(rig, p, "InvalidArgs", "misc misc") &&
	      refused(rig, p, "InvalidArgs", "misc 0x8000+4K"));
	CHECK(refused(rig, p, "InvalidArgs", "--level sampled misc"));
	CHECK(refused(rig, p, "PartitionUnique", "--everything"));
	CHECK(refused(rig, p, "PartitionUnique", "misc prodnv") &&
	      refused(rig, p, "PartitionUnique", "l_fixnv1") &&
	      refused(rig, p, "PartitionUnique", "miscdata"));
	CHECK(!bed_count(bed_phone_dev(p->bp))->submits);
	CHECK(ctl(rig, 5000, "erase") == 2 && ctl(rig, 5000, "erase misc --everything") == 2 &&
	      ctl(rig, 5000, "erase misc+4K") == 2 && ctl(rig, 5000, "erase misc:4K") == 2 &&
	      ctl(rig, 5000, "erase-flash 0x1000") == 2 && ctl(rig, 5000, "erase-flash misc 4K") == 2);
	/* only the phone can tell; then nothing of the others is erased either */
	CHECK(refused(rig, p, "PartitionMissing", "misc nonesuch"));
	CHECK(refused(rig, p, "PartitionMissing", "boot_a") && strstr(ctl_out, "'boot'"));
	/* and by number it is not asked */
	CHECK(refused(rig, p, "InvalidArgs", "0x80000007+64K"));
	CHECK(ctl(rig, 60000, "erase misc") == 0 && erased(p, "misc"));
	rig_package_free(&pack);
}

static void slots(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "ums9230", "1", NULL);
	struct rig_package pack;

	rig_package(rig, &pack, "ums9230", 7, 4096);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	CHECK(ctl(rig, 20000, "loader import %s --name pair", pack.path) == 0);
	CHECK(refused(rig, p, "PartitionMissing", "boot"));
	CHECK(strstr(ctl_out, "'boot_a'") && strstr(ctl_out, "'boot_b'") && strstr(ctl_out, "unchanged"));
	rig_package_free(&pack);
}

/* Loaders out of a package that is found damaged elsewhere are not worked with. */
static void damaged(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;
	char args[160];
	FILE *f;
	int c;

	rig_package(rig, &pack, "sc9863a", 7, 4096);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	CHECK(lay(p, "misc", 1));
	f = fopen(pack.path, "r+");
	CHECK(f && fseek(f, 0, SEEK_END) == 0 && fseek(f, ftell(f) / 2, SEEK_SET) == 0 &&
	      (c = fgetc(f)) >= 0 && fseek(f, -1, SEEK_CUR) == 0 && fputc(c ^ 1, f) >= 0 && fclose(f) == 0);
	snprintf(args, sizeof(args), "--loader %s misc", pack.path);
	CHECK(refused(rig, p, "PackageBodyCrc", args) && there(p, "misc", 1));
	rig_package_free(&pack);
}

/* ---- what is this phone's own ----------------------------------------------------------------- */

static void own(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;

	rig_package(rig, &pack, "sc9863a", 7, 4096);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	CHECK(lay(p, "logo", 1));
	CHECK(ctl(rig, 60000, "erase --loader %s --i-know miscdata", pack.path) == 0 &&
	      erased(p, "miscdata"));
	CHECK(there(p, "logo", 1));
	CHECK(ctl(rig, 5000, "--json nv list") == 0 && strstr(ctl_out, "miscdata.was"));
	CHECK(!*rig_get(rig, p->slot, SLOT, "OwedBackup"));
	/* NV is owed, and the next package brings it back */
	CHECK(ctl(rig, 60000, "erase --i-know l_fixnv1 --end reset") == 0 && erased(p, "l_fixnv1"));
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "OwedBackup"), "2"));
	CHECK(strstr(job(rig, 2, "Kind"), "erase"));
	rig_package_free(&pack);
}

static void cannot_be_kept(struct rig *rig)
{
	struct phone_setup setup = { .faults = "fail-read on miscdata" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &setup);
	struct rig_package pack;
	char args[160];

	rig_package(rig, &pack, "sc9863a", 7, 4096);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	snprintf(args, sizeof(args), "--loader %s --i-know miscdata", pack.path);
	CHECK(refused(rig, p, "BackupFailed", args));
	rig_package_free(&pack);
}

static void user_data(struct rig *rig)
{
	static const char command[] = "boot-recovery", argument[] = "recovery\n--wipe_data\n";
	struct rig_phone *p = rig_phone(rig, "ums512", "1", NULL);
	struct rig_package pack;

	rig_package(rig, &pack, "ums512", 7, 4096);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	CHECK(lay(p, "userdata", 1) && lay(p, "misc", 2));
	CHECK(ctl(rig, 60000, "erase --loader %s --user-data", pack.path) == 0);
	CHECK(strstr(ctl_out, "fdlctl reset"));
	/* recovery does it, with everything that belongs to it; the rest of misc is somebody else's */
	CHECK(there(p, "userdata", 1) && !deeds(p->phone, PHONE_DEED_ERASE));
	CHECK(phone_storage_read(p->phone, "misc", 0, have, LOOK));
	CHECK(!memcmp(have, command, sizeof(command)) && !memcmp(have + 64, argument, sizeof(argument)));
	compose_random(2, want, LOOK);
	CHECK(!memcmp(have + 2048, want + 2048, LOOK - 2048));
	CHECK(!strcmp(job(rig, 1, "Kind"), "erase"));
	rig_package_free(&pack);
}

static void everything(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;

	rig_package(rig, &pack, "sc9863a", 7, 4096);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	CHECK(ctl(rig, 60000, "erase --loader %s --everything --i-know --dry-run", pack.path) == 0);
	CHECK(strstr(ctl_out, "everything") && !changes(p->phone));
	CHECK(ctl(rig, 120000, "erase --everything --i-know") == 0);
	CHECK(deeds(p->phone, PHONE_DEED_ERASE_ALL) == 1);
	CHECK(ctl(rig, 5000, "--json nv list") == 0 && strstr(ctl_out, "prodnv") &&
	      strstr(ctl_out, "miscdata") && strstr(ctl_out, "l_fixnv1"));
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "OwedBackup"), "2"));
	rig_package_free(&pack);
}

/* ---- faults in the middle --------------------------------------------------------------------- */

static void broken(struct rig *rig, const char *faults, const char *error, bool first_gone)
{
	struct phone_setup setup = { .faults = faults };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &setup);
	struct rig_package pack;

	rig_package(rig, &pack, "sc9863a", 7, 4096);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	CHECK(lay(p, "misc", 1) && lay(p, "logo", 2) && lay(p, "boot", 3));
	CHECK(ctl(rig, 60000, "erase --loader %s misc logo boot", pack.path) == ctl_code(error));
	CHECK(erased(p, "misc") == first_gone && there(p, "boot", 3));
	CHECK(!strcmp(job(rig, 1, "State"), "failed") && strstr(ctl_out, "erase") &&
	      strstr(ctl_out, "needs-flash"));
	rig_package_free(&pack);
}

static void unplugged(struct rig *rig)
{
	broken(rig, "unplug at erase of logo", "DeviceVanished", true);
}

static void erase_fails(struct rig *rig)
{
	broken(rig, "fail-erase on logo", "EraseFailed", true);
}

/* Acknowledged, and not done: on this build of loader that partition is never erased. */
static void lied(struct rig *rig)
{
	struct phone_setup setup = { .faults = "lie-erase on logo" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &setup);
	struct rig_package pack;

	rig_package(rig, &pack, "sc9863a", 7, 4096);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	CHECK(lay(p, "misc", 1) && lay(p, "logo", 2));
	CHECK(ctl(rig, 60000, "erase --loader %s misc logo", pack.path) == ctl_code("VerifyMismatch"));
	CHECK(erased(p, "misc") && there(p, "logo", 2) && strstr(ctl_out, "not erased"));
	rig_package_free(&pack);
}

/* What was begun is finished, what was not is left. */
static void cancelled(struct rig *rig)
{
	struct phone_setup setup = { .faults = "late at erase 1 for 4s" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &setup);
	struct rig_package pack;
	struct ctl_run run;
	char args[256];

	rig_package(rig, &pack, "sc9863a", 7, 4096);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	CHECK(lay(p, "misc", 1) && lay(p, "logo", 2));
	snprintf(args, sizeof(args), "erase --loader %s misc logo", pack.path);
	ctl_start(rig, &run, args);
	CHECK(rig_expect(rig, 30000, ROOT "/job/1", JOB, "Entry", "misc"));
	CHECK(rig_call(rig, 5000, NULL, ROOT "/job/1", JOB, "Cancel", "a{sv}", 0));
	CHECK(rig_expect(rig, 20000, ROOT "/job/1", JOB, "State", "cancelled"));
	(void)ctl_wait(rig, &run, 20000);
	CHECK(erased(p, "misc") && there(p, "logo", 2));
	CHECK(!strcmp(job(rig, 1, "CancelLeaves"), "needs-flash"));
	rig_package_free(&pack);
}

/* The daemon is killed in the middle: the next one says of an erase what it says of a flash. */
static void crash(struct rig *rig)
{
	struct phone_setup setup = { .faults = "late at erase 3 for 60s" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &setup);
	struct rig_package pack;
	struct ctl_run run;
	char args[256];

	rig_package(rig, &pack, "sc9863a", 7, 4096);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	CHECK(lay(p, "misc", 1) && lay(p, "boot", 3));
	snprintf(args, sizeof(args), "erase --loader %s --i-know misc l_fixnv1 logo boot", pack.path);
	ctl_start(rig, &run, args);
	CHECK(rig_expect(rig, 30000, ROOT "/job/1", JOB, "Entry", "logo"));
	CHECK(rig_down(rig, SIGKILL, 3000) == 256 + SIGKILL);
	(void)ctl_wait(rig, &run, 20000);
	CHECK(rig_up(rig, NULL));
	CHECK(!strcmp(job(rig, 1, "State"), "interrupted") && !strcmp(job(rig, 1, "Kind"), "erase"));
	CHECK(!strcmp(job(rig, 1, "CancelLeaves"), "needs-flash"));
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "OwedBackup"), "1"));
	CHECK(erased(p, "misc") && erased(p, "l_fixnv1") && there(p, "boot", 3));
	rig_package_free(&pack);
}

/* A client that is killed takes nothing with it. */
static void killed(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;
	struct ctl_run run;
	char args[256];

	rig_package(rig, &pack, "sc9863a", 7, 4096);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	CHECK(lay(p, "misc", 1));
	snprintf(args, sizeof(args), "erase --loader %s misc", pack.path);
	ctl_start(rig, &run, args);
	CHECK(rig_expect(rig, 20000, ROOT "/job/1", JOB, "Kind", "erase"));
	kill(run.pid, SIGKILL);
	(void)ctl_wait(rig, &run, 5000);
	CHECK(rig_expect(rig, 30000, ROOT "/job/1", JOB, "State", "succeeded") && erased(p, "misc"));
	rig_package_free(&pack);
}

/* On a terminal it asks. */
static void asked(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;
	struct ctl_run run;

	rig_package(rig, &pack, "sc9863a", 7, 4096);
	CHECK(rig_up(rig, NULL) && rig_plug(rig, p));
	CHECK(ctl(rig, 20000, "loader import %s --name pair", pack.path) == 0);
	CHECK(lay(p, "misc", 1));
	ctl_start_tty(rig, &run, NULL, "erase misc uboot");
	CHECK(ctl_says(rig, &run, "Type 'yes'", 10000) && ctl_said(&run, "does not start without it"));
	CHECK(ctl_type(&run, "no\n") && ctl_wait(rig, &run, 10000) == 2);
	CHECK(!changes(p->phone) && !bed_count(bed_phone_dev(p->bp))->submits);
	ctl_start_tty(rig, &run, NULL, "erase misc");
	CHECK(ctl_says(rig, &run, "Type 'yes'", 10000) && ctl_type(&run, "yes\n"));
	CHECK(ctl_wait(rig, &run, 60000) == 0 && erased(p, "misc"));
	CHECK(lay(p, "misc", 1));
	ctl_start_tty(rig, &run, NULL, "erase --yes misc");
	CHECK(ctl_wait(rig, &run, 60000) == 0 && erased(p, "misc"));
	rig_package_free(&pack);
}

int main(void)
{
	static const struct rig_test tests[] = {
		{ "sc9863a: a dry run, two areas, one again on the same session", sc9863a },
		{ "ums512: the same", ums512 },
		{ "ums9230: the same", ums9230 },
		{ "ums9620: the same", ums9620 },
		{ "sc8830, by numbers", sc8830 },
		{ "uic8850, by addresses, with one loader", uic8850 },
		{ "ums9117, by numbers", ums9117 },
		{ "names, areas and loaders that are refused", refusals },
		{ "a phone with two slots has no 'boot'", slots },
		{ "loaders of a damaged package", damaged },
		{ "what is the phone's own is kept first, NV is owed", own },
		{ "what cannot be kept is not erased", cannot_be_kept },
		{ "user data, as a factory reset does", user_data },
		{ "everything", everything },
		{ "unplugged in the middle", unplugged },
		{ "the phone fails to erase", erase_fails },
		{ "acknowledged and not done", lied },
		{ "cancelled between two areas", cancelled },
		{ "the daemon is killed", crash },
		{ "the client is killed", killed },
		{ "asked on a terminal", asked },
	};

	return rig_run(tests, ARRAY_SIZE(tests));
}
