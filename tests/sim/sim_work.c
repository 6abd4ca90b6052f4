/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Everything that is not a whole package: one partition written or erased, the table learned and changed,
 * areas read, one job after the other on a phone that stays in its loader. Every kind of phone; what a job
 * was not told to touch is as it was.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flash/partition.h"
#include "flash/table_text.h"
#include "tests/phone/loader.h"
#include "tests/simlib/work.h"

#define MISC  (1u << 20) /* bytes of that partition */
#define IMAGE 70001u	 /* bytes: more than a read, odd */

static unsigned tests, failures;
static char name_text[160];

static void ok(bool good, const char *profile, const char *what, const char *why)
{
	tests++;
	failures += !good;
	snprintf(name_text, sizeof(name_text), "%s: %s", profile, what);
	printf("%sok %u - %s%s%s\n", good ? "" : "not ", tests, name_text, good ? "" : ": ", good ? "" : why);
}

/* ---- one partition -------------------------------------------------------------------------------- */

struct place {
	char name[40];	  /* partition, or how the phone's storage calls it */
	uint64_t address; /* by number */
	uint64_t size;
};

static bool find_place(const struct work_phone *w, const char *const *names, struct place *p)
{
	for (; *names; names++) {
		char slot[40];
		const struct phone_part *at;

		snprintf(slot, sizeof(slot), "%s_a", *names);
		at = work_part(w, slot);
		if (!at)
			at = work_part(w, *names);
		if (!at)
			continue;
		snprintf(p->name, sizeof(p->name), "%s", at->name);
		p->address = at->id;
		p->size = at->size;
		return true;
	}
	return false;
}

static struct made_part *put(struct work_phone *w, struct work_job *j, const char *id, const struct place *p,
			     const struct source *source)
{
	bool number = work_by_number(w);
	const char *type = source ? (number ? "CODE" : "CODE2") : number ? "EraseFlash" : "EraseFlash2";
	struct made_part *m = work_add(j, id, type, number ? NULL : p->name, number ? p->address : 0, source);

	if (number && !source)
		m->size = 0x10000;
	return m;
}

/* Written, then on the same session read, erased, and written again after a new start. */
static void one_partition(const char *profile)
{
	static const char *const usual[] = { "logo", "modem", "boot", "ap", "kernel", "ps", NULL };
	uint8_t *image = malloc(IMAGE);
	struct source source;
	struct work_phone w;
	struct work_job j = { 0 };
	struct place p = { 0 };
	size_t len = IMAGE, loads;
	bool ran;

	if (!image || !work_begin(&w, profile, 21, NULL, NULL) || !find_place(&w, usual, &p)) {
		ok(false, profile, "set up", "no phone");
		return;
	}
	if (p.size < len)
		len = (size_t)p.size & ~1u;
	sim_bytes(77, image, len);
	image[0] = 0x22;
	if (w.sc.profile->secure) {
		static uint8_t body[IMAGE];

		memcpy(body, image, len - 512);
		len = phone_make_dhtb(body, len - 512, image, IMAGE);
	}
	source = source_memory(image, len);

	j.options = (struct plan_options){ .own = OWN_REFUSE, .level = LEVEL_VERIFIED, .end = END_STAY };
	put(&w, &j, "image", &p, &source);
	ran = work_run(&w, &j);
	ok(work_passed(&w, ran, &j) && work_holds(&w, p.name, 0, image, len), profile,
	   "one partition is written", work_told(&j));
	ok(j.plan && !j.plan->backup_count && !strcmp(j.o.nv, "none") && j.o.verified_entries, profile,
	   "what it cannot touch is not backed up, and it is compared", work_told(&j));
	work_done(&j);

	loads = phone_entries(w.phone);
	j.options = (struct plan_options){ .end = END_STAY };
	j.reads = 1;
	j.read[0].size = len;
	if (work_by_number(&w))
		j.read[0].address = p.address;
	else
		snprintf(j.read[0].target, sizeof(j.read[0].target), "%s", p.name);
	ran = work_run(&w, &j);
	ok(work_passed(&w, ran, &j) && j.o.sink[0].size == len && !memcmp(j.o.sink[0].bytes, image, len),
	   profile, "it is read on the session that stayed", work_told(&j));
	ok(phone_entries(w.phone) == loads && !work_changes(&w), profile,
	   "without loaders, and nothing is changed", work_told(&j));
	work_done(&j);

	j.options = (struct plan_options){ .own = OWN_REFUSE, .level = LEVEL_VERIFIED, .end = END_STAY };
	put(&w, &j, "EraseIt", &p, NULL);
	ran = work_run(&w, &j);
	ok(work_passed(&w, ran, &j) && work_erased(&w, p.name) && j.o.verified_entries, profile,
	   "it is erased on the session that stayed, and looked at", work_told(&j));
	ok(phone_entries(w.phone) == loads, profile, "again without loaders", work_told(&j));
	work_done(&j);

	work_replug(&w);
	j.options = (struct plan_options){ .own = OWN_REFUSE, .level = LEVEL_VERIFIED };
	put(&w, &j, "EraseIt", &p, NULL);
	put(&w, &j, "image", &p, &source);
	ran = work_run(&w, &j);
	ok(work_passed(&w, ran, &j) && work_holds(&w, p.name, 0, image, len), profile,
	   "erased and written after a new start", work_told(&j));
	ok(scenario_kept(&w.sc, w.phone, false, name_text, sizeof(name_text)), profile,
	   "NV and factory data are as they were", name_text);
	work_done(&j);
	work_end(&w);
	free(image);
}

/* An erase that the phone acknowledges and does not do: seen, and said not to have been done. */
static void lies(const char *profile)
{
	static const char *const usual[] = { "logo", "modem", "boot", "ap", "kernel", "ps", NULL };
	static uint8_t bytes[4096];
	struct work_phone w;
	struct work_job j = { 0 };
	struct place p = { 0 };
	bool ran;

	if (!work_begin(&w, profile, 34, NULL, "lie-erase") || !find_place(&w, usual, &p)) {
		ok(false, profile, "set up", "no phone");
		return;
	}
	sim_bytes(78, bytes, sizeof(bytes));
	phone_storage_write(w.phone, p.name, 0, bytes, sizeof(bytes));
	j.options = (struct plan_options){ .own = OWN_REFUSE, .level = LEVEL_VERIFIED, .end = END_STAY };
	put(&w, &j, "EraseIt", &p, NULL);
	ran = work_run(&w, &j);
	ok(ran && !j.o.pass && j.o.failure.error == ERR_VERIFY_MISMATCH &&
		   work_holds(&w, p.name, 0, bytes, sizeof(bytes)),
	   profile, "an erase that was not done is found out", work_told(&j));
	work_done(&j);

	/* who takes the phone's word for it gets it */
	work_replug(&w);
	j.options = (struct plan_options){ .own = OWN_REFUSE, .end = END_STAY };
	put(&w, &j, "EraseIt", &p, NULL);
	ran = work_run(&w, &j);
	ok(work_passed(&w, ran, &j) && !j.o.verified_entries, profile, "unless nobody looks", work_told(&j));
	work_done(&j);
	work_end(&w);
}

/* ---- refusals ------------------------------------------------------------------------------------- */

static void refusals(const char *profile)
{
	static const uint8_t bytes[600] = { 0x22 }, large[MISC + 1] = { 0x22 };
	static const char *const boot[] = { "boot", NULL };
	struct source source = source_memory(bytes, sizeof(bytes));
	struct work_phone w;
	struct work_job j = { 0 };
	struct place p = { 0 };
	bool ran;

	if (!work_begin(&w, profile, 22, NULL, NULL) || !find_place(&w, boot, &p)) {
		ok(false, profile, "set up", "no phone");
		return;
	}
	j.options.own = OWN_REFUSE;
	work_add(&j, "image", "CODE2", w.sc.profile->slots ? "boot" : "boot_a", 0, &source);
	ran = work_run(&w, &j);
	ok(work_refused(&w, ran, &j, ERR_PARTITION_MISSING) &&
		   strstr(j.o.failure.detail, w.sc.profile->slots ? "'boot_a' or 'boot_b'" : "say 'boot'"),
	   profile, "a name for the other number of slots is refused with the right one", work_told(&j));
	work_done(&j);

	work_replug(&w);
	j.options.own = OWN_REFUSE;
	work_add(&j, "image", "EraseFlash2", p.name, 0, NULL);
	work_add(&j, "NoSuch", "EraseFlash2", "nothing_here", 0, NULL);
	ran = work_run(&w, &j);
	ok(work_refused(&w, ran, &j, ERR_PARTITION_MISSING), profile,
	   "an erase of what is not there stops the others too", work_told(&j));
	work_done(&j);

	work_replug(&w);
	j.options.own = OWN_REFUSE;
	source = source_memory(large, MISC + 1);
	work_add(&j, "image", "CODE2", "misc", 0, &source);
	ran = work_run(&w, &j);
	ok(work_refused(&w, ran, &j, ERR_IMAGE_TOO_LARGE), profile, "what does not fit is refused",
	   work_told(&j));
	work_done(&j);

	j.options.own = OWN_REFUSE;
	work_add(&j, "own", "EraseFlash2", "prodnv", 0, NULL);
	ran = work_run(&w, &j);
	ok(work_refused(&w, ran, &j, ERR_PARTITION_UNIQUE), profile, "the phone's own is not erased unasked",
	   work_told(&j));
	work_done(&j);

	j.options.own = OWN_REFUSE;
	work_add(&j, "own", "CODE2", "miscdata", 0, &source);
	ran = work_run(&w, &j);
	ok(work_refused(&w, ran, &j, ERR_PARTITION_UNIQUE), profile, "nor written", work_told(&j));
	work_done(&j);
	work_end(&w);
}

/* Said in so many words: done, but there is a copy, and NV is owed. */
static void given_up(const char *profile)
{
	struct work_phone w;
	struct work_job j = { 0 };
	uint64_t size = 0;
	uint8_t *was;
	bool ran;

	if (!work_begin(&w, profile, 23, NULL, NULL) || !phone_storage_size(w.phone, "miscdata", &size)) {
		ok(false, profile, "set up", "no phone");
		return;
	}
	was = malloc((size_t)size);
	ran = was && phone_storage_read(w.phone, "miscdata", 0, was, (size_t)size);
	j.options.own = OWN_I_KNOW;
	work_add(&j, "own", "EraseFlash2", "miscdata", 0, NULL);
	w.kept_name = "miscdata";
	w.kept_bytes = was;
	w.kept_len = (size_t)size;
	ran = ran && work_run(&w, &j);
	ok(work_passed(&w, ran, &j) && work_erased(&w, "miscdata") && w.kept, profile,
	   "what is given up is on disk before", work_told(&j));
	ok(!j.o.nv_owed && !sim_records_owed(w.records), profile, "and owed to nobody", work_told(&j));
	free(was);
	work_done(&j);

	work_replug(&w);
	j.options.own = OWN_I_KNOW;
	work_add(&j, "nv", "EraseFlash2", w.sc.nv_name, 0, NULL);
	w.kept_name = w.sc.nv_name;
	w.kept_bytes = NULL;
	ran = work_run(&w, &j);
	ok(work_passed(&w, ran, &j) && w.kept && j.o.nv_owed && !strcmp(j.o.nv, "owed"), profile,
	   "NV that is erased is on disk, and owed", work_told(&j));
	work_done(&j);
	work_end(&w);
}

/* An NV image from a file: what is the phone's own stays, the rest is the file's; the phone's copy as it is
 * goes back. */
static void nv_alone(const char *profile)
{
	struct scheme_nv_item items[MADE_NV_ITEMS];
	struct work_phone w;
	struct work_job j = { 0 };
	struct source source;
	struct failure why = { 0 };
	bool ran;

	if (!work_begin(&w, profile, 31, NULL, NULL)) {
		ok(false, profile, "set up", "no phone");
		return;
	}
	source = source_memory(w.sc.nv_package, w.sc.nv_len);
	ran = !made_nv_items(&source, items, &j.scheme.nvs, &why);
	j.scheme.nv = items;
	j.scheme.nv_backup = true;
	j.options = (struct plan_options){ .own = OWN_REFUSE, .end = END_STAY };
	work_add(&j, "NV", work_by_number(&w) ? "NV" : "NV_COMM", w.sc.nv_name[0] ? w.sc.nv_name : NULL,
		 w.sc.nv_name[0]			? 0
		 : w.sc.profile->second == PHONE_SINGLE ? 0xfe000003
							: 0x90000001,
		 &source);
	j.part[0].size = 0x100000;
	ran = ran && work_run(&w, &j);
	ok(work_passed(&w, ran, &j) && !strcmp(j.o.nv, "kept") &&
		   scenario_kept(&w.sc, w.phone, true, name_text, sizeof(name_text)),
	   profile, "NV from a file keeps what is the phone's own", j.o.pass ? name_text : work_told(&j));
	work_done(&j);
	work_end(&w);
}

/* What cannot be kept is not given up either. */
static void not_kept(const char *profile)
{
	struct work_phone w;
	struct work_job j = { 0 };
	bool ran;

	if (!work_begin(&w, profile, 30, NULL, "fail-read on miscdata")) {
		ok(false, profile, "set up", "no phone");
		return;
	}
	j.options.own = OWN_I_KNOW;
	work_add(&j, "own", "EraseFlash2", "miscdata", 0, NULL);
	ran = work_run(&w, &j);
	ok(work_refused(&w, ran, &j, ERR_BACKUP_FAILED), profile, "what cannot be kept is not given up",
	   work_told(&j));
	work_done(&j);
	work_end(&w);
}

/* How long a signed image is, its header tells. */
static void measured(const char *profile)
{
	static const char *const usual[] = { "logo", "modem", "boot", "ap", "kernel", "ps", NULL };
	static uint8_t body[40001], image[41000];
	struct work_phone w;
	struct work_job j = { 0 };
	struct place p = { 0 };
	size_t len;
	bool ran;

	if (!work_begin(&w, profile, 27, NULL, NULL) || !find_place(&w, usual, &p)) {
		ok(false, profile, "set up", "no phone");
		return;
	}
	sim_bytes(5, body, sizeof(body));
	len = phone_make_dhtb(body, sizeof(body), image, sizeof(image));
	phone_storage_write(w.phone, p.name, 0, image, len);
	j.reads = 1;
	j.read[0].measure = true;
	if (work_by_number(&w))
		j.read[0].address = p.address;
	else
		snprintf(j.read[0].target, sizeof(j.read[0].target), "%s", p.name);
	j.options.end = END_STAY;
	ran = work_run(&w, &j);
	ok(work_passed(&w, ran, &j) && j.o.sink[0].size == len && !memcmp(j.o.sink[0].bytes, image, len),
	   profile, "as much is read as the signed header says", work_told(&j));
	work_done(&j);

	image[0] ^= 1;
	phone_storage_write(w.phone, p.name, 0, image, len);
	j.reads = 1;
	j.read[0].measure = true;
	if (work_by_number(&w))
		j.read[0].address = p.address;
	else
		snprintf(j.read[0].target, sizeof(j.read[0].target), "%s", p.name);
	ran = work_run(&w, &j);
	ok(work_refused(&w, ran, &j, ERR_INVALID_ARGS) && !j.o.sink[0].size, profile,
	   "without a signed header nothing is guessed", work_told(&j));
	work_done(&j);
	work_end(&w);
}

int main(void)
{
	static const char *const all[] = { "sc9863a", "ums512",	 "ums9230", "ums9620", "sc7731g",
					   "sc8830",  "sc6531e", "uic8850", "ums9117" };
	static const char *const named[] = { "sc9863a", "ums512", "ums9230", "ums9620" };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		one_partition(all[i]);
		if (i < 6) /* of the others none is known to */
			lies(all[i]);
		measured(all[i]);
		nv_alone(all[i]);
	}
	for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
		refusals(named[i]);
		given_up(named[i]);
		not_kept(named[i]);
	}
	printf("1..%u\n", tests);
	return failures != 0;
}
