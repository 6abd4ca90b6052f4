/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/simlib/work.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flash/table_text.h"

bool work_begin(struct work_phone *w, const char *profile, uint64_t seed, const struct scenario_want *want,
		const char *faults)
{
	const struct scenario_want tiny = { .tiny = true };
	const struct pac_item *item[2];
	struct failure why = { 0 };
	const char *wrong = NULL;

	memset(w, 0, sizeof(*w));
	w->seed = seed;
	w->records = sim_records_new();
	if (!w->records ||
	    scenario_make(seed, phone_profile_by_name(profile), want ? want : &tiny, &w->sc, &why))
		return false;
	item[0] = pac_fdl1(w->sc.package.pac);
	item[1] = pac_fdl2(w->sc.package.pac);
	for (int i = 0; i < 2 && item[i]; i++)
		w->loader[i] = source_memory(w->sc.package.bytes + item[i]->offset, item[i]->size);
	w->phone = scenario_phone(&w->sc, seed, faults, &wrong);
	if (w->phone)
		phone_plug(w->phone, 0);
	return w->phone != NULL;
}

void work_end(struct work_phone *w)
{
	phone_free(w->phone);
	sim_records_free(w->records);
	scenario_free(&w->sc);
}

void work_replug(struct work_phone *w)
{
	phone_unplug(w->phone, w->now + 1000000);
	w->now += 2000000;
	phone_plug(w->phone, w->now);
	w->stays = false;
	w->told = false;
}

struct made_part *work_add(struct work_job *j, const char *id, const char *type, const char *partition,
			   uint64_t address, const struct source *source)
{
	struct made_part *p = &j->part[j->parts];

	if (j->parts == WORK_PARTS)
		abort();
	j->parts++;
	*p = (struct made_part){
		.id = id, .type = type, .partition = partition, .address = address, .source = source
	};
	return p;
}

static int make(struct work_phone *w, struct work_job *j)
{
	struct made_part all[WORK_PARTS + 2];
	struct pac_options opt = { .made = true };
	const struct phone_profile *p = w->sc.profile;
	size_t n = 0;
	int rc;

	all[n++] = (struct made_part){
		.id = "FDL", .type = "FDL", .address = p->fdl1_base, .source = &w->loader[0]
	};
	if (p->fdl2_base)
		all[n++] = (struct made_part){
			.id = "FDL2", .type = "NAND_FDL", .address = p->fdl2_base, .source = &w->loader[1]
		};
	memcpy(all + n, j->part, j->parts * sizeof(j->part[0]));
	j->scheme.product = p->name;
	j->scheme.flash_type = p->fdl2_base != 0;
	rc = pac_made(all, n + j->parts, &j->scheme, &j->made, &j->refused);
	if (!rc)
		rc = pac_open(made_source(j->made), &opt, &j->pac, &j->refused);
	/* what the gate does beside the session */
	if (!rc)
		rc = pac_check(j->pac, made_source(j->made), &opt, NULL, NULL, &j->body, &j->refused);
	if (!rc && j->reads)
		rc = plan_compile_read(j->pac, &j->options, j->read, j->reads, &j->plan, &j->refused);
	else if (!rc && j->marks)
		rc = plan_compile_marks(j->pac, &j->options, j->mark, j->marks, &j->plan, &j->refused);
	else if (!rc && j->show)
		rc = plan_compile_show_marks(j->pac, &j->options, &j->plan, &j->refused);
	else if (!rc && j->table)
		rc = plan_compile_table(j->pac, &j->options, &j->plan, &j->refused);
	else if (!rc)
		rc = plan_compile(j->pac, &j->options, &j->plan, &j->refused);
	return rc;
}

static void look_for_backup(struct work_phone *w)
{
	w->kept = false;
	for (uint32_t i = 0; i < w->records->count; i++) {
		const struct sim_backup *b = w->records->backup[i];
		size_t n = strlen(w->kept_name);

		if (b && b->job == w->job && b->kept && !strncmp(b->name, w->kept_name, n) &&
		    (!b->name[n] || !strcmp(b->name + n, ".was")))
			w->kept = !w->kept_bytes || (b->kept_size == w->kept_len &&
						     !memcmp(b->kept, w->kept_bytes, w->kept_len));
	}
}

/* What the station tells of a table, at the moment it does: as soon as it is decided. */
static void look_for_table(struct work_phone *w, const struct session_result *r)
{
	struct flash_table *coming;

	if (w->table_told || !r->resolved || !r->resolved->table.count)
		return;
	coming = malloc(sizeof(*coming));
	if (coming && !table_of_plan(r->resolved, r->facts, coming, NULL)) {
		w->told_rows = table_difference(&r->facts->table, coming, NULL, NULL);
		w->table_told = true;
	}
	free(coming);
}

static void watch(void *arg, const struct session *s, const struct want *want, uint32_t number)
{
	struct work_phone *w = arg;

	if (w->kept_name && !session_progress(s)->changed)
		look_for_backup(w);
	look_for_table(w, session_result(s));
	if (w->look)
		w->look(w->look_arg, s, want, number);
}

static void ended(void *arg, const struct session *s)
{
	look_for_table(arg, session_result(s));
}

bool work_run(struct work_phone *w, struct work_job *j)
{
	struct sim_breaks breaks = w->config.breaks;
	FILE *trace = w->config.trace;
	struct device_facts before = w->before;

	w->deeds = phone_deeds(w->phone);
	w->table_told = false;
	if (make(w, j))
		return j->refused.error != ERR_NONE;
	w->config = (struct sim_config){
		.phone = w->phone,
		.package = made_source(j->made),
		.session = { .plan = j->plan,
			     .arrival_seen = !w->stays,
			     .job = ++w->job,
			     .resolve_only = j->look },
		.records = w->records,
		.breaks = breaks,
		.now = w->now,
		.seed = w->seed + w->job,
		.cut = true,
		.fetch_usec = 200,
		.store_usec = 500,
		.gate_usec = 5000,
		.trace = trace,
		.watch = watch,
		.ended = ended,
		.watch_arg = w,
	};
	if (w->stays) {
		struct port_record *r = &w->config.session.record;

		r->known = true;
		*r = w->record;
		if (w->told)
			w->config.session.before = &before;
	}
	if (sim_run(&w->config, &j->o))
		return false;
	w->before = j->o.facts;
	w->record = j->o.record;
	w->told = true;
	w->now = j->o.now + 1000000;
	w->stays = j->o.pass && j->options.end == END_STAY;
	return j->o.done && !j->o.broken[0];
}

void work_done(struct work_job *j)
{
	sim_outcome_free(&j->o);
	plan_free(j->plan);
	pac_body_free(j->body);
	pac_free(j->pac);
	made_free(j->made);
	memset(j, 0, sizeof(*j));
}

size_t work_changes(const struct work_phone *w)
{
	size_t n = 0;

	for (size_t i = w->deeds; i < phone_deeds(w->phone); i++) {
		enum phone_deed_kind k = phone_deed(w->phone, i)->kind;

		n += k == PHONE_DEED_WRITE || k == PHONE_DEED_MIRROR || k == PHONE_DEED_NV ||
		     k == PHONE_DEED_ERASE || k == PHONE_DEED_ERASE_ALL || k == PHONE_DEED_REPARTITION;
	}
	return n;
}

const char *work_told(const struct work_job *j)
{
	static char text[400];

	if (j->refused.error)
		return failure_text(&j->refused, text, sizeof(text));
	if (j->o.broken[0])
		return j->o.broken;
	if (!j->o.pass)
		return failure_text(&j->o.failure, text, sizeof(text));
	snprintf(text, sizeof(text), "passed, leaves %s, nv %s", j->o.leaves, j->o.nv);
	return text;
}

const struct phone_part *work_part(const struct work_phone *w, const char *name)
{
	const struct phone_profile *p = w->sc.profile;

	for (size_t i = 0; i < p->part_count; i++)
		if (!strcmp(p->parts[i].name, name))
			return &p->parts[i];
	return NULL;
}

bool work_by_number(const struct work_phone *w)
{
	return w->sc.profile->second == PHONE_IDS || w->sc.profile->second == PHONE_NORIDS ||
	       w->sc.profile->second == PHONE_SINGLE;
}

bool work_holds(const struct work_phone *w, const char *place, uint64_t offset, const uint8_t *want,
		size_t len)
{
	uint8_t *got = malloc(len);
	bool same = got && phone_storage_read(w->phone, place, offset, got, len) && !memcmp(got, want, len);

	free(got);
	return same;
}

bool work_erased(const struct work_phone *w, const char *place)
{
	uint8_t got[4096];

	if (!phone_storage_read(w->phone, place, 0, got, sizeof(got)))
		return false;
	for (size_t i = 0; i < sizeof(got); i++)
		if (got[i] != w->sc.profile->erased)
			return false;
	return true;
}

bool work_passed(const struct work_phone *w, bool ran, const struct work_job *j)
{
	const struct phone_counters *c = phone_counters(w->phone);

	return ran && j->plan && j->o.pass && !c->check_errors && !c->unknown_commands;
}

bool work_refused(const struct work_phone *w, bool ran, const struct work_job *j, enum error_id error)
{
	const struct failure *f = j->refused.error ? &j->refused : &j->o.failure;

	return ran && f->error == error && !work_changes(w) && !j->o.changed;
}
