/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Seeds of single things: three errands on one phone, one of them broken off or met by a fault. Each is tried
 * again as a person would. Whatever happens: a job that says it changed nothing did not, one that passed did
 * what it was for, nothing is written twice, and what nobody asked for is as it was.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flash/partition.h"
#include "flash/table_text.h"
#include "tests/phone/fault.h"
#include "tests/phone/loader.h"
#include "tests/simlib/work.h"

#define ERRANDS	 3
#define ATTEMPTS 5
#define IMAGE	 90000u
#define CANARY	 4096u

enum errand { WRITE_ONE, ERASE_ONE, READ_ONE, MARK_ONE, NEW_TABLE, LEARN_TABLE, GIVE_UP, KINDS };

struct trial {
	struct work_phone w;
	struct sim_random r;
	FILE *trace;
	char *text;
	size_t size;
	enum errand kind;
	char name[40]; /* the place of the errand */
	uint64_t address;
	bool number, lied, gave_up, moved;
	uint8_t image[IMAGE];
	size_t len;
	struct source source;
	struct scheme_table table;
	char canary[40];
	uint8_t was[CANARY];
	size_t entries; /* seen before the attempt */
	char nv_from[24];
	bool without_backup, nv_if_any;
};

static bool fail(struct trial *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static bool fail(struct trial *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(t->text, t->size, fmt, ap);
	va_end(ap);
	return false;
}

static const struct phone_part *part(const struct trial *t, const char *name)
{
	const struct phone_profile *p = t->w.sc.profile;

	for (size_t i = 0; i < p->part_count; i++)
		if (!strcmp(p->parts[i].name, name))
			return &p->parts[i];
	return NULL;
}

static const struct phone_part *pick(struct trial *t)
{
	static const char *const names[] = { "logo",  "logo_a", "l_modem", "l_modem_b", "dtbo",	  "dtbo_a",
					     "modem", "boot",	"boot_a",  "ap",	"kernel", "ps" };
	const struct phone_part *p = NULL;

	while (!p)
		p = part(t, names[sim_below(&t->r, sizeof(names) / sizeof(names[0]))]);
	return p;
}

/* Something that no errand is about. */
static void choose_canary(struct trial *t)
{
	static const char *const names[] = { "pm_sys", "pm_sys_a", "dsp", "mmires", "bootloader", "spl" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && !t->canary[0]; i++)
		if (part(t, names[i]) && phone_storage_read(t->w.phone, names[i], 0, t->was, sizeof(t->was)))
			snprintf(t->canary, sizeof(t->canary), "%s", names[i]);
}

static void choose_image(struct trial *t, const struct phone_part *p)
{
	uint64_t room = p->size < IMAGE - 600 ? p->size / 2 : IMAGE - 600;
	static uint8_t body[IMAGE];

	t->len = (size_t)(600 + sim_below(&t->r, room - 600));
	sim_bytes(sim_random(&t->r), body, t->len);
	body[0] = 0x22;
	if (t->w.sc.profile->secure)
		t->len = phone_make_dhtb(body, t->len, t->image, sizeof(t->image));
	else
		memcpy(t->image, body, t->len);
	t->source = source_memory(t->image, t->len);
}

static void choose_table(struct trial *t)
{
	const struct phone_profile *p = t->w.sc.profile;
	struct scheme_partition *row = calloc(p->part_count, sizeof(*row));

	made_table_free(&t->table);
	if (!row)
		abort();
	t->table = (struct scheme_table){ .present = true, .unit_bytes = 1 << 20, .part = row };
	for (size_t i = 0; i < p->part_count; i++) {
		snprintf(row[i].name, sizeof(row[i].name), "%s", p->parts[i].name);
		row[i].size = p->parts[i].size == UINT64_MAX ? SCHEME_REST
							     : (p->parts[i].size + 0xFFFFF) >> 20;
		if (!strcmp(row[i].name, "misc"))
			row[i].size += 1 + sim_below(&t->r, 3);
		t->table.parts++;
	}
}

static void choose_errand(struct trial *t)
{
	const struct phone_part *p = pick(t);
	bool nand = t->w.sc.profile->second == PHONE_NAND;

	t->without_backup = t->nv_if_any = false;
	do
		t->kind = (enum errand)sim_below(&t->r, KINDS);
	while ((t->number && t->kind >= MARK_ONE) || (nand && t->kind >= READ_ONE));
	snprintf(t->name, sizeof(t->name), "%s", p->name);
	t->address = p->id;
	if (t->kind == WRITE_ONE)
		choose_image(t, p);
	if (t->kind == NEW_TABLE)
		choose_table(t);
	if (t->kind == MARK_ONE)
		snprintf(t->name, sizeof(t->name), "misc");
	if (t->kind == GIVE_UP)
		snprintf(t->name, sizeof(t->name), "miscdata");
}

static void build(struct trial *t, struct work_job *j, bool stay)
{
	struct made_part *m;

	memset(j, 0, sizeof(*j));
	j->options.end = stay ? END_STAY : END_RESET;
	j->options.own = t->kind == GIVE_UP ? OWN_I_KNOW : OWN_REFUSE;
	j->options.level = sim_one_in(&t->r, 2) ? LEVEL_VERIFIED : LEVEL_ACKNOWLEDGED;
	j->options.continue_without_backup = t->without_backup;
	j->options.nv = t->nv_if_any ? NV_KEEP_IF_ANY : NV_KEEP;
	memcpy(j->options.nv_from, t->nv_from, sizeof(j->options.nv_from));
	t->w.kept_name = NULL;
	switch (t->kind) {
	case WRITE_ONE:
		work_add(j, "image", t->number ? "CODE" : "CODE2", t->number ? NULL : t->name, t->address,
			 &t->source);
		break;
	case GIVE_UP: t->w.kept_name = t->name; /* fall through */
	case ERASE_ONE:
		m = work_add(j, "EraseIt", t->number ? "EraseFlash" : "EraseFlash2",
			     t->number ? NULL : t->name, t->number ? t->address : 0, NULL);
		m->size = t->number ? 0x10000 : 0;
		break;
	case READ_ONE:
		j->reads = 1;
		j->read[0].size = 30000;
		j->read[0].address = t->number ? t->address : 0;
		if (!t->number)
			snprintf(j->read[0].target, sizeof(j->read[0].target), "%s", t->name);
		break;
	case MARK_ONE:
		j->marks = 1;
		j->mark[0] = (struct mark){ .kind = MARK_BOOT, .value = BOOT_FASTBOOT };
		break;
	case NEW_TABLE: j->scheme.table = &t->table; break;
	default: j->table = true; break;
	}
	if (!t->number)
		for (size_t i = 0; i < j->parts; i++)
			j->part[i].address = 0;
}

static bool is_erased(const struct trial *t)
{
	uint8_t got[512];

	if (!phone_storage_read(t->w.phone, t->name, 0, got, sizeof(got)))
		return false;
	for (size_t i = 0; i < sizeof(got); i++)
		if (got[i] != t->w.sc.profile->erased)
			return false;
	return true;
}

/* A job that passed did what it was for. */
static bool judge_pass(struct trial *t, const struct work_job *j)
{
	uint8_t got[IMAGE];
	uint64_t size = 0;

	switch (t->kind) {
	case WRITE_ONE:
		if (!phone_storage_read(t->w.phone, t->name, 0, got, t->len) ||
		    memcmp(got, t->image, t->len) != 0)
			return fail(t, "%s does not hold what was written", t->name);
		return true;
	case GIVE_UP:
		if (!t->w.kept && !t->without_backup)
			return fail(t, "%s was not kept", t->name); /* fall through */
	case ERASE_ONE: return is_erased(t) ? true : fail(t, "%s is not erased", t->name);
	case READ_ONE:
		if (j->o.sink[0].size != 30000 || !j->o.sink[0].synced ||
		    !phone_storage_read(t->w.phone, t->name, 0, got, 30000) ||
		    memcmp(got, j->o.sink[0].bytes, 30000) != 0)
			return fail(t, "%s was read wrong", t->name);
		return true;
	case MARK_ONE:
		if (!phone_storage_read(t->w.phone, "misc", 0, got, 128) ||
		    memcmp(got + 64, "recovery\n--fastboot\n", 21) != 0)
			return fail(t, "the mark is not there");
		return true;
	case NEW_TABLE:
		for (size_t i = 0; i < t->table.parts; i++)
			if (!phone_storage_size(t->w.phone, t->table.part[i].name, &size) ||
			    (t->table.part[i].size != SCHEME_REST && size >> 20 != t->table.part[i].size))
				return fail(t, "the table has another %s", t->table.part[i].name);
		return true;
	default: return j->o.facts.table.count || t->number ? true : fail(t, "no table was found");
	}
}

/* No place was begun twice unless the phone itself asked for it. */
static bool nothing_twice(struct trial *t)
{
	for (size_t i = t->entries; i < phone_entries(t->w.phone); i++) {
		struct phone_entry e = *phone_entry(t->w.phone, i);

		for (size_t k = i + 1; k < phone_entries(t->w.phone); k++) {
			const struct phone_entry *n = phone_entry(t->w.phone, k);

			if (!strcmp(n->name, e.name) && n->stage == e.stage && !e.refused && !n->refused)
				return fail(t, "%s was begun twice", e.name);
		}
	}
	return true;
}

static bool judge(struct trial *t, const struct work_job *j)
{
	t->lied |= phone_has_lied(t->w.phone);
	if (!nothing_twice(t))
		return false;
	if (!j->o.killed && !j->o.changed && work_changes(&t->w) && !t->lied)
		return fail(t, "it says unchanged after %zu deeds", work_changes(&t->w));
	if (j->o.pass && !j->plan)
		return fail(t, "passed without a plan");
	/* a level that compares would have found it out */
	if (j->o.pass && (!t->lied || j->o.level == LEVEL_VERIFIED) && !judge_pass(t, j) && !t->lied)
		return false;
	t->text[0] = 0;
	if (t->kind == GIVE_UP && work_changes(&t->w))
		t->gave_up = true;
	if (t->kind == GIVE_UP && work_changes(&t->w) && !t->w.kept && !t->without_backup && !t->lied)
		return fail(t, "%s was given up before it was kept", t->name);
	t->moved |= t->kind == NEW_TABLE && work_changes(&t->w);
	return true;
}

static void choose_breaks(struct trial *t, struct sim_breaks *b)
{
	uint32_t at = 1 + (uint32_t)sim_below(&t->r, sim_one_in(&t->r, 2) ? 60 : 160);

	memset(b, 0, sizeof(*b));
	switch (sim_below(&t->r, 10)) {
	case 0: b->kill_at = at; break;
	case 1: b->unplug_at = at; break;
	case 2: b->cancel_at = at; break;
	case 3: b->force_at = at; break;
	case 4: b->fetch_fails_at = 1 + at % 8; break;
	case 5: b->store_fails_at = 1 + at % 6; break;
	case 6: b->sync_fails_at = 1 + at % 4; break;
	case 7: b->gate_fails = true; break;
	case 8: b->sink_full_at = at * 300; break;
	default: break;
	}
}

/* What a person would say after this refusal. */
static void learn_from(struct trial *t, const struct work_job *j)
{
	enum error_id e = j->refused.error ? j->refused.error : j->o.failure.error;

	if (e == ERR_NV_OWED && !t->nv_from[0])
		for (uint32_t i = 0; i < t->w.records->count; i++)
			if (t->w.records->backup[i]->owed)
				snprintf(t->nv_from, sizeof(t->nv_from), "%" PRIu64,
					 t->w.records->backup[i]->job);
	if (e == ERR_NV_OWED && t->nv_from[0] && sim_records_owed(t->w.records) == 0)
		t->nv_from[0] = 0;
	if (e == ERR_BACKUP_FAILED)
		t->without_backup = true;
	if (e == ERR_NV_INVALID || e == ERR_NV_UNREADABLE)
		t->nv_if_any = true;
}

static bool errand(struct trial *t, bool last)
{
	const char *why;

	choose_errand(t);
	for (unsigned attempt = 0; attempt < ATTEMPTS; attempt++) {
		bool stay = !last && sim_one_in(&t->r, 2), pass, good;
		struct work_job j;

		t->entries = phone_entries(t->w.phone);
		build(t, &j, stay);
		if (t->trace)
			fprintf(t->trace, "# errand %d on %s, attempt %u%s\n", t->kind, t->name, attempt,
				t->w.stays ? ", resumed" : "");
		good = work_run(&t->w, &j) || j.o.killed;
		if (!good)
			fail(t, "the runner: %s", j.o.broken);
		good = good && judge(t, &j);
		if (t->trace) {
			char text[300];

			fprintf(t->trace, "# %s\n",
				j.o.pass     ? "pass"
				: j.o.killed ? "killed"
					     : failure_text(j.refused.error ? &j.refused : &j.o.failure, text,
							    sizeof(text)));
		}
		learn_from(t, &j);
		pass = j.o.pass;
		work_done(&j);
		if (!good || pass) {
			if (good && !stay)
				work_replug(&t->w);
			return good;
		}
		memset(&t->w.config.breaks, 0, sizeof(t->w.config.breaks));
		phone_set_faults(t->w.phone, "", &why);
		work_replug(&t->w);
	}
	/* what a liar gave away may be gone for good; a broken table may keep a name away */
	return t->lied || t->moved ? true : fail(t, "errand %d on %s never passes", t->kind, t->name);
}

static bool trial(uint64_t seed, FILE *trace, char *text, size_t size)
{
	static const char *const profiles[] = { "sc9863a", "ums512",  "ums9230", "ums9620",
						"ud710",   "sc9832e", "sc7731g", "sc8830",
						"sc6531e", "ums9117", "uic8850" };
	struct scenario_want want = { .tiny = true };
	struct trial *t = calloc(1, sizeof(*t));
	char faults[400] = "", what[200] = "";
	const char *profile;
	bool good = true;

	if (!t)
		return false;
	t->r.state = seed;
	t->text = text;
	t->size = size;
	t->trace = trace;
	text[0] = 0;
	profile = profiles[sim_below(&t->r, sizeof(profiles) / sizeof(profiles[0]))];
	if (sim_one_in(&t->r, 2))
		phone_fault_random(sim_random(&t->r), phone_profile_by_name(profile), NULL, 0, faults,
				   sizeof(faults));
	if (trace)
		fprintf(trace, "# %s, faults '%s'\n", profile, faults);
	if (!work_begin(&t->w, profile, seed, &want, faults[0] ? faults : NULL)) {
		good = fail(t, "no phone %s with '%s'", profile, faults);
	} else {
		t->number = t->w.sc.profile->second == PHONE_IDS || t->w.sc.profile->second == PHONE_NORIDS ||
			    t->w.sc.profile->second == PHONE_SINGLE;
		t->w.config.trace = trace;
		scenario_snapshot(&t->w.sc, t->w.phone);
		choose_canary(t);
		choose_breaks(t, &t->w.config.breaks);
	}
	for (unsigned i = 0; good && i < ERRANDS; i++)
		good = errand(t, i + 1 == ERRANDS);
	if (good && t->canary[0] && !t->moved && !t->lied) {
		uint8_t is[CANARY];

		if (!phone_storage_read(t->w.phone, t->canary, 0, is, sizeof(is)) ||
		    memcmp(is, t->was, sizeof(is)) != 0)
			good = fail(t, "%s is not as it was", t->canary);
	}
	if (good && !t->gave_up && !t->lied && !sim_records_owed(t->w.records) &&
	    !scenario_kept(&t->w.sc, t->w.phone, false, what, sizeof(what)))
		good = fail(t, "in the end %s", what);
	made_table_free(&t->table);
	work_end(&t->w);
	free(t);
	return good;
}

int main(int argc, char **argv)
{
	uint64_t seeds = 600, first = 1, bad = 0;
	bool single = false;
	char text[300];

	for (int i = 1; i + 1 < argc; i += 2) {
		single |= !strcmp(argv[i], "--seed");
		if (!strcmp(argv[i], "--seeds"))
			seeds = strtoull(argv[i + 1], NULL, 0);
		else
			first = strtoull(argv[i + 1], NULL, 0);
	}
	if (single) {
		bool good = trial(first, stdout, text, sizeof(text));

		printf("%s 1 - seed %" PRIu64 " %s\n1..1\n", good ? "ok" : "not ok", first, text);
		return !good;
	}
	for (uint64_t i = 0; i < seeds && bad < 20; i++)
		if (!trial(first + i, NULL, text, sizeof(text))) {
			printf("# seed %" PRIu64 ": %s\n", first + i, text);
			bad++;
		}
	printf("%sok 1 - %" PRIu64 " seeds of single things keep every invariant\n1..1\n", bad ? "not " : "",
	       seeds);
	return bad != 0;
}
