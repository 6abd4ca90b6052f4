/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Another partition table for a phone, by the real daemon: the difference first, what is the phone's own
 * through it, tables that are refused, and a phone that goes away in the middle.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "tests/bus/ctl.h"
#include "tests/bus/rig.h"

#define ROWS 160

static struct phone_slice before[ROWS], after[ROWS];
static uint8_t was[4u << 20], is[4u << 20];

static unsigned int deeds(const struct phone *phone, enum phone_deed_kind kind)
{
	unsigned int n = 0;

	for (size_t i = 0; i < phone_deeds(phone); i++)
		n += phone_deed(phone, i)->kind == kind;
	return n;
}

static unsigned int changes(const struct phone *phone)
{
	return (unsigned int)phone_deeds(phone) - deeds(phone, PHONE_DEED_RAM) - deeds(phone, PHONE_DEED_LOG);
}

/* ---- the file ------------------------------------------------------------------------ */

static char xml[64 * 1024];

static const char *file_of(struct rig *rig)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/table.xml", rig->dir);
	return path;
}

static bool save(struct rig *rig, const char *text)
{
	FILE *f = fopen(file_of(rig), "w");

	return f && fputs(text, f) >= 0 && fclose(f) == 0;
}

/* What `partitions --xml` says is in xml and in the file. */
static bool fetch(struct rig *rig, const struct rig_package *pack)
{
	if (ctl(rig, 60000, "partitions --xml --loader %s", pack->path) != 0 ||
	    strlen(ctl_out) >= sizeof(xml))
		return false;
	snprintf(xml, sizeof(xml), "%s", ctl_out);
	return save(rig, xml);
}

/* The line of a row, or NULL. */
static char *row(const char *name)
{
	char key[64];
	char *at;

	snprintf(key, sizeof(key), "id=\"%s\"", name);
	at = strstr(xml, key);
	while (at && at > xml && at[-1] != '\n')
		at--;
	return at;
}

static bool drop(const char *name)
{
	char *at = row(name), *end = at ? strchr(at, '\n') : NULL;

	if (!end)
		return false;
	memmove(at, end + 1, strlen(end + 1) + 1);
	return true;
}

static bool insert(const char *before_row, const char *text)
{
	char *at = row(before_row);
	size_t n = strlen(text);

	if (!at || strlen(xml) + n >= sizeof(xml))
		return false;
	memmove(at + n, at, strlen(at) + 1);
	memcpy(at, text, n);
	return true;
}

/* size="N" becomes size="N + more". */
static bool grow(const char *name, long more)
{
	char *at = row(name), *size = at ? strstr(at, "size=\"") : NULL, *end, tail[8192], text[32];

	if (!size)
		return false;
	size += 6;
	more += strtol(size, &end, 10);
	if (strlen(end) >= sizeof(tail))
		return false;
	snprintf(tail, sizeof(tail), "%s", end);
	snprintf(text, sizeof(text), "%ld", more);
	strcpy(size, text);
	strcat(size, tail);
	return true;
}

static size_t slot_of(const struct phone_slice *rows, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(rows[i].name, name))
			return i;
	return ROWS;
}

static bool go(struct rig *rig, struct rig_phone *p, struct rig_package *pack, const char *name)
{
	rig_package(rig, pack, name, 7, 4096);
	return rig_up(rig, NULL) && rig_plug(rig, p);
}

/* ---- round, on every kind of phone --------------------------------------------------- */

static bool lay(struct rig_phone *p, const char *name, size_t len, uint64_t seed)
{
	compose_random(seed, was, len);
	return phone_storage_write(p->phone, name, 0, was, len);
}

/* The phone clears two places in it by itself at the end of a write (device-behaviour 10). */
static bool holds_misc(struct rig_phone *p, size_t len, uint64_t seed)
{
	compose_random(seed, was, len);
	return phone_storage_read(p->phone, "miscdata", 0, is, len) && !memcmp(was, is, 0x2400) &&
	       !memcmp(was + 0x2800, is + 0x2800, 0x81400 - 0x2800) &&
	       !memcmp(was + 0x81800, is + 0x81800, len - 0x81800);
}

static void profile(struct rig *rig, const char *name, const char *goes, const char *nv)
{
	struct rig_phone *p = rig_phone(rig, name, "1", NULL);
	size_t count = phone_partitions(p->phone, before, ROWS), now, nv_len = sizeof(was);
	static uint8_t nv_was[4u << 20], nv_is[4u << 20];
	struct rig_package pack;
	size_t nv_now = sizeof(nv_is);
	unsigned int once;
	uint64_t own;

	CHECK(go(rig, p, &pack, name));
	CHECK(phone_storage_size(p->phone, "miscdata", &own) && own <= sizeof(was));
	CHECK(lay(p, "miscdata", own, 51) && phone_nv_read(p->phone, nv, nv_was, &nv_len));
	/* as it was saved: nothing to be done, and nothing is */
	CHECK(fetch(rig, &pack));
	once = deeds(p->phone, PHONE_DEED_RAM);
	CHECK(ctl(rig, 60000, "repartition --yes %s", file_of(rig)) == 0);
	CHECK(strstr(ctl_out, "has this table already") && !changes(p->phone));
	CHECK(!strcmp(rig_get(rig, ROOT "/job/2", JOB, "Kind"), "dry-run"));
	/* one goes, one grows, one is new; all that lies behind moves */
	CHECK(drop(goes) && grow("misc", 3) && insert("misc", "\t<Partition id=\"oem\" size=\"5\"/>\n"));
	CHECK(save(rig, xml));
	CHECK(ctl(rig, 60000, "repartition --dry-run %s", file_of(rig)) == 0);
	CHECK(strstr(ctl_out, "oem") && strstr(ctl_out, "new and empty") &&
	      strstr(ctl_out, "goes, and is lost") && strstr(ctl_out, "is kept and put back") &&
	      strstr(ctl_out, "moves, and is lost"));
	CHECK(!changes(p->phone) && deeds(p->phone, PHONE_DEED_RAM) == once);
	/* nobody there to be asked */
	CHECK(ctl(rig, 60000, "repartition %s </dev/null", file_of(rig)) == 2);
	CHECK(ctl(rig, 90000, "--json repartition --yes %s", file_of(rig)) == 0 && ctl_json());
	CHECK(!strcmp(ctl_str(0, "event"), "difference") && changes(p->phone));
	now = phone_partitions(p->phone, after, ROWS);
	CHECK(now == count && slot_of(after, now, goes) == ROWS && slot_of(after, now, "oem") < ROWS);
	CHECK(after[slot_of(after, now, "oem")].size == 5u << 20);
	CHECK(after[slot_of(after, now, "misc")].size ==
	      before[slot_of(before, count, "misc")].size + (3u << 20));
	CHECK(deeds(p->phone, PHONE_DEED_REPARTITION) == 1 && deeds(p->phone, PHONE_DEED_RAM) == once);
	CHECK(holds_misc(p, own, 51));
	CHECK(phone_nv_read(p->phone, nv, nv_is, &nv_now));
	CHECK(nv_now == nv_len && !memcmp(nv_was, nv_is, nv_len));
	CHECK(!strcmp(rig_get(rig, ROOT "/job/5", JOB, "Kind"), "repartition") &&
	      !strcmp(rig_dict(rig, ROOT "/job/5", JOB, "Result", "level"), "verified") &&
	      !strcmp(rig_dict(rig, ROOT "/job/5", JOB, "Result", "nv"), "kept") &&
	      !strcmp(rig_dict(rig, ROOT "/job/5", JOB, "Result", "table_source"), "gpt"));
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "OwedBackup"), ""));
	/* and it is that one now */
	CHECK(ctl(rig, 60000, "partitions --xml") == 0 && !strcmp(ctl_out, xml));
	CHECK(ctl(rig, 60000, "repartition --yes --end reset %s", file_of(rig)) == 0 &&
	      strstr(ctl_out, "already"));
	CHECK(deeds(p->phone, PHONE_DEED_REPARTITION) == 1);
	rig_package_free(&pack);
}

static void sc9863a(struct rig *rig)
{
	profile(rig, "sc9863a", "sysdumpdb", "l_fixnv1");
}

static void ums512(struct rig *rig)
{
	profile(rig, "ums512", "sysdumpdb", "l_fixnv1");
}

static void ums9230(struct rig *rig)
{
	profile(rig, "ums9230", "sysdumpdb", "l_fixnv1_a");
}

static void ums9620(struct rig *rig)
{
	profile(rig, "ums9620", "sysdumpdb", "nr_fixnv1");
}

/* ---- the XML of a package ------------------------------------------------------------ */

static void package_xml(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;

	CHECK(go(rig, p, &pack, "sc9863a") && fetch(rig, &pack));
	memmove(xml + 400, xml, strlen(xml) + 1);
	{
		int n = snprintf(xml, 400,
				 "<?xml version=\"1.0\"?><BMAConfig><ProductList><Product name=\"one\">"
				 "<SchemeName>s</SchemeName><FlashTypeID>1</FlashTypeID>");

		memmove(xml + n, xml + 400, strlen(xml + 400) + 1);
	}
	strcat(xml,
	       "</Product></ProductList><SchemeList><Scheme name=\"s\"></Scheme></SchemeList></BMAConfig>");
	CHECK(save(rig, xml));
	CHECK(ctl(rig, 60000, "repartition --dry-run --product one %s", file_of(rig)) == 0 &&
	      strstr(ctl_out, "already"));
	CHECK(ctl(rig, 60000, "repartition --dry-run %s", file_of(rig)) == 0);
	CHECK(ctl(rig, 60000, "repartition --dry-run --product two %s", file_of(rig)) ==
	      ctl_code("PackageProduct"));
	rig_package_free(&pack);
}

/* ---- tables that are refused --------------------------------------------------------- */

static bool refused(struct rig *rig, const char *error, const char *word)
{
	int code;

	if (!save(rig, xml))
		return false;
	code = ctl(rig, 60000, "repartition --yes %s", file_of(rig));
	if (code == ctl_code(error) && (strstr(ctl_out, word) || strstr(ctl_err, word)))
		return true;
	tap_note("%d, not %s: %s %s", code, error, ctl_out, ctl_err);
	return false;
}

static void wrong(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;
	static char good[sizeof(xml)];
	unsigned int once;

	CHECK(go(rig, p, &pack, "sc9863a") && fetch(rig, &pack));
	memcpy(good, xml, sizeof(good));
	once = deeds(p->phone, PHONE_DEED_RAM);
	/* the phone's own would have no place */
	CHECK(drop("prodnv") && refused(rig, "PartitionUnique", "prodnv"));
	/* a name twice */
	memcpy(xml, good, sizeof(xml));
	CHECK(insert("misc", "\t<Partition id=\"boot\" size=\"5\"/>\n") &&
	      refused(rig, "PackagePartitions", "boot"));
	/* more than there is */
	memcpy(xml, good, sizeof(xml));
	CHECK(grow("boot", 1000000) && refused(rig, "StorageMismatch", "MiB"));
	/* an overlap */
	memcpy(xml, good, sizeof(xml));
	{
		char *at = strstr(xml, "<Partitions>");

		CHECK(at);
		snprintf(xml, sizeof(xml), "<Partitions unit=\"0\">%s",
			 good + (at - xml) + strlen("<Partitions>"));
	}
	CHECK(drop("misc") && insert("boot", "\t<Partition id=\"misc\" size=\"1\" gap=\"-1\"/>\n") &&
	      refused(rig, "PackagePartitions", "misc"));
	/* the rest in the middle, and nothing at all */
	memcpy(xml, good, sizeof(xml));
	CHECK(insert("misc", "\t<Partition id=\"oem\" size=\"0xFFFFFFFF\"/>\n") &&
	      refused(rig, "PackagePartitions", "oem"));
	snprintf(xml, sizeof(xml), "<Partitions>\n");
	CHECK(refused(rig, "PackageXml", ""));
	snprintf(xml, sizeof(xml), "<Nothing/>");
	CHECK(refused(rig, "PackageScheme", "BMAConfig"));
	CHECK(ctl(rig, 5000, "repartition --yes %s/none.xml", rig->dir) == ctl_code("InvalidImage"));
	/* no file of that kind, and no file at all */
	CHECK(ctl(rig, 5000, "repartition --yes /dev/null") == ctl_code("InvalidImage") &&
	      ctl(rig, 5000, "repartition --yes %s", rig->dir) == ctl_code("InvalidImage"));
	CHECK(ctl(rig, 5000, "repartition") == 2 && ctl(rig, 5000, "repartition a b --yes") == 2);
	/* half of what is the phone's own */
	memcpy(xml, good, sizeof(xml));
	CHECK(grow("prodnv", -1) && refused(rig, "ImageTooLarge", "prodnv"));
	CHECK(!changes(p->phone) && deeds(p->phone, PHONE_DEED_RAM) == once);
	/* and the phone waits for the right one */
	memcpy(xml, good, sizeof(xml));
	CHECK(save(rig, xml) && ctl(rig, 60000, "repartition --yes %s", file_of(rig)) == 0);
	CHECK(deeds(p->phone, PHONE_DEED_RAM) == once);
	rig_package_free(&pack);
}

/* Said in so many words: it is done, and there is a copy. */
static void i_know(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;
	uint64_t own;
	FILE *f;

	CHECK(go(rig, p, &pack, "sc9863a") && fetch(rig, &pack));
	CHECK(phone_storage_size(p->phone, "miscdata", &own) && own <= sizeof(was) &&
	      lay(p, "miscdata", own, 52));
	CHECK(drop("miscdata") && save(rig, xml));
	CHECK(ctl(rig, 60000, "repartition --yes %s", file_of(rig)) == ctl_code("PartitionUnique"));
	CHECK(ctl(rig, 90000, "repartition --yes --i-know %s", file_of(rig)) == 0);
	CHECK(strstr(ctl_out, "a copy stays"));
	CHECK(slot_of(after, phone_partitions(p->phone, after, ROWS), "miscdata") == ROWS);
	snprintf((char *)is, 160, "cmp %s/job/4/nv/miscdata.was -", rig->state);
	f = popen((const char *)is, "w");
	compose_random(52, was, own);
	CHECK(f && fwrite(was, own, 1, f) == 1 && pclose(f) == 0);
	/* nothing is owed for it */
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "OwedBackup"), ""));
	rig_package_free(&pack);
}

/* ---- faults and answers -------------------------------------------------------------- */

/* It goes when the new table stands and NV is not back yet. */
static void unplugged(struct rig *rig)
{
	struct phone_setup setup = { .faults = "unplug at start 1 of l_fixnv1" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	struct rig_package pack;

	CHECK(go(rig, p, &pack, "sc9863a") && fetch(rig, &pack));
	CHECK(grow("misc", 3) && save(rig, xml));
	CHECK(phone_set_faults(p->phone, setup.faults, NULL));
	CHECK(ctl(rig, 90000, "repartition --yes %s", file_of(rig)) == ctl_code("DeviceVanished"));
	CHECK(!strcmp(rig_get(rig, p->slot, SLOT, "OwedBackup"), "3"));
	CHECK(ctl(rig, 5000, "nv list") == 0);
	rig_package_free(&pack);
}

/* A phone whose start cannot be read, but whose loader lists its partitions. */
static void by_list(struct rig *rig)
{
	struct phone_setup setup = { .faults = "fail-read on user_partition" };
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", &setup);
	struct rig_package pack;
	uint64_t own;

	CHECK(go(rig, p, &pack, "sc9863a") && fetch(rig, &pack));
	CHECK(phone_storage_size(p->phone, "miscdata", &own) && own <= sizeof(was) &&
	      lay(p, "miscdata", own, 53));
	CHECK(ctl(rig, 60000, "repartition --yes %s", file_of(rig)) == 0 && strstr(ctl_out, "already"));
	CHECK(grow("misc", 3) && save(rig, xml) && !changes(p->phone));
	CHECK(ctl(rig, 60000, "repartition --dry-run %s", file_of(rig)) == 0 &&
	      strstr(ctl_out, "perhaps lost"));
	CHECK(!changes(p->phone));
	CHECK(ctl(rig, 90000, "repartition --yes %s", file_of(rig)) == 0);
	CHECK(holds_misc(p, own, 53) && deeds(p->phone, PHONE_DEED_REPARTITION) == 1);
	rig_package_free(&pack);
}

/* Phones that know no names: said before a byte is sent, where their package tells it. */
static void by_number(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc8830", "1", NULL);
	struct rig_package pack;

	rig_package(rig, &pack, "sc8830", 7, 4096);
	snprintf(xml, sizeof(xml), "<Partitions>\n\t<Partition id=\"boot\" size=\"5\"/>\n</Partitions>\n");
	CHECK(save(rig, xml) && rig_up(rig, NULL));
	CHECK(ctl(rig, 60000, "loader import %s", pack.path) == 0);
	CHECK(rig_down(rig, SIGTERM, 10000) == 0 && rig_up(rig, NULL) && rig_plug(rig, p));
	CHECK(ctl(rig, 60000, "repartition --yes --loader %s %s", pack.path, file_of(rig)) ==
	      ctl_code("NoPartitions"));
	CHECK(strstr(ctl_err, "numbers"));
	/* a stored pair remembers it of the package it came from */
	CHECK(ctl(rig, 60000, "repartition --yes %s", file_of(rig)) == ctl_code("NoPartitions"));
	CHECK(ctl(rig, 60000, "read boot --output %s/boot", rig->dir) == ctl_code("NoPartitions"));
	/* and there is no table that could be asked for */
	CHECK(ctl(rig, 60000, "partitions") == ctl_code("NoPartitions"));
	CHECK(!bed_count(bed_phone_dev(p->bp))->submits);
	CHECK(ctl(rig, 60000, "read 0x80000007+4K --output %s/boot", rig->dir) == 0);
	rig_package_free(&pack);
}

static void asked(struct rig *rig)
{
	struct rig_phone *p = rig_phone(rig, "sc9863a", "1", NULL);
	static struct ctl_run run;
	struct rig_package pack;
	char args[200];

	CHECK(go(rig, p, &pack, "sc9863a") && fetch(rig, &pack));
	CHECK(grow("misc", 3) && save(rig, xml));
	snprintf(args, sizeof(args), "repartition %s", file_of(rig));
	ctl_start_tty(rig, &run, NULL, args);
	CHECK(ctl_says(rig, &run, "[y/N]", 60000) && !changes(p->phone));
	CHECK(ctl_type(&run, "n\n") && ctl_wait(rig, &run, 20000) == ctl_code("Cancelled"));
	CHECK(!changes(p->phone));
	ctl_start_tty(rig, &run, NULL, args);
	CHECK(ctl_says(rig, &run, "[y/N]", 60000) && ctl_type(&run, "y\n"));
	CHECK(ctl_wait(rig, &run, 90000) == 0 && deeds(p->phone, PHONE_DEED_REPARTITION) == 1);
	rig_package_free(&pack);
}

int main(void)
{
	static const struct rig_test tests[] = {
		{ "sc9863a: saved, compared, changed; its own comes along", sc9863a },
		{ "ums512: the same", ums512 },
		{ "ums9230: the same", ums9230 },
		{ "ums9620: the same", ums9620 },
		{ "the table of a package's XML", package_xml },
		{ "tables that are refused", wrong },
		{ "without room for what is its own", i_know },
		{ "unplugged before NV is back", unplugged },
		{ "a table that the loader lists", by_list },
		{ "phones that have none", by_number },
		{ "asked on a terminal", asked },
	};

	return rig_run(tests, ARRAY_SIZE(tests));
}
