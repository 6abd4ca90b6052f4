/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sizes of partitions by asking for them (bsl-protocol 11.2), where a phone gives out neither the start of
 * its user area nor a list. Only commands that every FDL2 with names knows: READ_START, READ_MIDST, READ_END;
 * a refused read is a normal answer there. Newer loaders tell the size in words ("<name>_size"); of the
 * others it is asked whether there is a byte; NAND loaders compare the size that READ_START announces.
 *
 * That a place is refused is no proof that it is not there: what cannot be replaced is backed up on its own
 * reading, not on this. NV names are not read for it: what is read there comes from memory without bounds
 * (device-behaviour 5.7). Their second copy is an ordinary partition and of the same size.
 */
#include <stdio.h>

#include "flash/inner.h"
#include "flash/partition.h"
#include "flash/plan_entries.h"

#define REQUESTS_MAX 4096u	 /* of one probing, all names together */
#define OPEN_SIZE    0xFFFFFFFFu /* announced; the loaders on eMMC and UFS do not look at it */
#define PROBE_ROWS   256u	 /* names asked for; what is found has to fit a table */
#define UNIT_ROWS    3u		 /* rows of a list that are measured at most until its unit is clear */
#define SIZE_MARK    "_size"
#define NO_END	     (UINT64_MAX / 2)

static struct probe_state *state(struct session *s)
{
	return &s->table.probe;
}

/* ---- what is asked for ----------------------------------------------------------------------- */

/* False: more names than a table holds. */
static bool add_name(struct probe_state *p, const struct flash_table *package, const char *name)
{
	const struct table_entry *e = table_find(package, name);
	struct probe_row *row;

	if (!bsl_name_valid(name) || rule_is_boot_area(name))
		return true;
	for (uint32_t i = 0; i < p->count; i++)
		if (!strcmp(p->row[i].name, name))
			return true;
	if (p->count == PROBE_ROWS)
		return false;
	row = &p->row[p->count++];
	snprintf(row->name, sizeof(row->name), "%s", name);
	row->expected = e && e->size != UINT64_MAX ? e->size : 0;
	return true;
}

static bool add_place(struct probe_state *p, const struct flash_table *package, const char *name)
{
	char twin[TABLE_NAME_MAX + 8];

	if (!add_name(p, package, name))
		return false;
	if (rule_nv_twin(name, twin, sizeof(twin)))
		return add_name(p, package, twin);
	if (!rule_has_twin(name))
		return true;
	snprintf(twin, sizeof(twin), "%.36s_bak", name);
	return add_name(p, package, twin);
}

/* Names that phones are known to have, where the plan is about whatever there is. */
static void known_names(struct session *s, struct probe_state *p, bool own)
{
	const char *name;

	for (size_t i = 0; (name = partition_known(i)); i++) {
		char slot[TABLE_NAME_MAX + 1];

		if (own && partition_class(name) != PARTITION_OWN)
			continue;
		snprintf(slot, sizeof(slot), "%.31s_a", name);
		add_name(p, &s->plan->table, name);
		add_name(p, &s->plan->table, slot);
	}
}

/* What a guard or a fit of this plan will want to know, and no more. */
static bool names_of_plan(struct session *s, struct probe_state *p)
{
	bool good = true,
	     all = s->plan->whole_table || (plan_compares_table(s->plan) && s->facts.storage != STORAGE_NAND);

	for (uint32_t i = 0; i < s->plan->table.count && all; i++)
		good = good && add_name(p, &s->plan->table, s->plan->table.entry[i].name);
	for (uint32_t i = 0; i < s->plan->backup_count; i++)
		if (s->plan->backup[i].by_name)
			good = good && add_place(p, &s->plan->table, s->plan->backup[i].target);
	for (uint32_t i = 0; i < s->plan->step_count; i++) {
		const struct plan_step *step = &s->plan->step[i];

		if (step->by_name && step->op != OP_ERASE_ALL && step->op != OP_VERIFY &&
		    strcmp(step->target, "user_partition") != 0)
			good = good && add_place(p, &s->plan->table, step->target);
	}
	if (s->plan->whole_table || s->plan->own_by_table)
		known_names(s, p, !s->plan->whole_table);
	return good;
}

/* Rows of a list by which its unit can be told: ordinary partitions, not the one that takes the rest. */
static bool names_of_list(struct session *s, struct probe_state *p)
{
	const struct flash_table *t = &s->facts.table;
	char twin[TABLE_NAME_MAX + 8];

	for (uint32_t i = 0; i + 1 < t->count && p->count < UNIT_ROWS; i++) {
		const char *name = t->entry[i].name;

		if (!t->entry[i].size || rule_nv_twin(name, twin, sizeof(twin)) || !strcmp(name, "prodnv") ||
		    !strcmp(name, "uboot") || !bsl_name_valid(name))
			continue;
		snprintf(p->row[p->count].name, sizeof(p->row[0].name), "%s", name);
		p->row[p->count++].expected = t->entry[i].size / t->unit * 1024;
	}
	return true;
}

/* ---- one name -------------------------------------------------------------------------------- */

static void open_reader(struct session *s, const char *name, uint64_t size)
{
	struct probe_state *p = state(s);

	reader_open(&p->r, true, name, 0, size);
	p->r.doing_open = p->r.doing_read = s->table.prove ? DOING_PROVE_TABLE : DOING_TABLE_READ;
}

/* The name whose size counts for a row. */
static const char *place_of(const struct probe_row *row, char *buf, size_t size)
{
	return rule_nv_twin(row->name, buf, size) ? buf : row->name;
}

static void ask_words(struct session *s, const char *name)
{
	char text[BSL_NAME_MAX + 1];

	snprintf(text, sizeof(text), "%.25s%s", name, SIZE_MARK);
	state(s)->how = PROBE_WORDS;
	open_reader(s, text, PROBE_TEXT);
}

static void ask_bytes(struct session *s)
{
	struct probe_state *p = state(s);
	const struct probe_row *row = &p->row[p->i];
	char buf[TABLE_NAME_MAX + 8];
	bool nand = s->facts.storage == STORAGE_NAND;

	p->how = nand ? PROBE_OPENINGS : PROBE_BYTES;
	size_search_begin(&p->search, row->expected, nand ? PROBE_UNIT_NAND : PROBE_UNIT,
			  nand		 ? UINT32_MAX
			  : p->user_size ? p->user_size
					 : PROBE_BOUND);
	open_reader(s, place_of(row, buf, sizeof(buf)), OPEN_SIZE);
	if (nand)
		p->r.at = READER_OVER; /* each question opens anew */
}

static void begin_row(struct session *s)
{
	struct probe_state *p = state(s);
	char buf[TABLE_NAME_MAX + 8];
	const char *place;

	p->there = p->again = false;
	p->size = 0;
	if (p->i == p->count) {
		p->how = PROBE_OVER;
		return;
	}
	place = place_of(&p->row[p->i], buf, sizeof(buf));
	if (s->facts.lk && strlen(place) + strlen(SIZE_MARK) <= BSL_NAME_MAX)
		ask_words(s, place);
	else
		ask_bytes(s);
}

static bool unit_found(struct session *s, const struct probe_row *row)
{
	uint64_t size = state(s)->size;

	if (size == row->expected)
		table_set_unit(&s->facts.table, 1024);
	else if (size == 8 * row->expected)
		table_set_unit(&s->facts.table, 8192);
	return s->facts.table.unit_sure;
}

static void put_row(struct session *s, const struct probe_row *row)
{
	struct probe_state *p = state(s);
	struct flash_table *t = &s->facts.table;
	char other[TABLE_NAME_MAX + 1];

	/* without such a row old loaders show the second boot area under this name (device-behaviour 7.2) */
	if (!strcmp(row->name, "uboot") && (!row->expected || p->size != row->expected))
		return;
	if (!p->there || t->count == TABLE_MAX)
		return;
	/* of one slot there is the other */
	if (rule_other_slot(row->name, other, sizeof(other)))
		add_name(p, &s->plan->table, other);
	snprintf(t->entry[t->count].name, sizeof(t->entry[0].name), "%s", row->name);
	t->entry[t->count++].size = p->size;
}

static void end_row(struct session *s)
{
	struct probe_state *p = state(s);
	const struct probe_row *row = &p->row[p->i];

	if (p->how == PROBE_WORDS && !p->area_asked) {
		p->area_asked = true;
		begin_row(s);
		return;
	}
	if (p->how == PROBE_WORDS && !p->there) {
		ask_bytes(s); /* not told in words: not there, or a loader that does not tell this one */
		return;
	}
	if (p->how != PROBE_WORDS && p->there && p->size != PROBE_UNKNOWN)
		p->size = size_search_result(&p->search);
	if (p->unit) {
		if (unit_found(s, row)) {
			p->how = PROBE_OVER;
			return;
		}
	} else {
		put_row(s, row);
	}
	p->i++;
	begin_row(s);
}

/* ---- as a part of reading the table ------------------------------------------------------------ */

bool probe_begin(struct session *s, bool unit)
{
	struct probe_state *p = state(s);
	struct flash_table *t = &s->facts.table;

	probe_free(s);
	memset(p, 0, sizeof(*p));
	p->row = calloc(PROBE_ROWS, sizeof(*p->row));
	p->unit = unit;
	if (!p->row || !(unit ? names_of_list(s, p) : s->table.prove ? true : names_of_plan(s, p)))
		return false;
	for (uint32_t i = 0; s->table.prove && i < s->resolved->table.count; i++)
		add_name(p, &s->resolved->table, s->resolved->table.entry[i].name);
	if (!unit) {
		memset(t, 0, sizeof(*t));
		t->origin = TABLE_PROBED;
		t->unit_sure = true;
	}
	if (!p->count)
		return false;
	session_note(s, RECORD_NOTE, unit ? "measure unit" : "probe sizes");
	if (s->facts.storage == STORAGE_NAND) {
		p->area_asked = true;
		begin_row(s);
	} else {
		ask_words(s, "user_partition");
	}
	return true;
}

void probe_free(struct session *s)
{
	free(s->table.probe.row);
	s->table.probe.row = NULL;
}

/* A phone that showed none of the places shows nothing: its table is as unknown as before. */
static void conclude(struct session *s)
{
	struct probe_state *p = state(s);
	struct flash_table *t = &s->facts.table;

	t->user_size = p->user_size;
	if (!p->unit) {
		t->sector = p->sector;
		if (!p->seen || p->requests > REQUESTS_MAX)
			t->count = 0;
		if (!t->count)
			t->origin = TABLE_NONE;
	}
	if (s->facts.storage == STORAGE_UNKNOWN && p->sector)
		s->facts.storage = p->sector == 4096 ? STORAGE_UFS : STORAGE_EMMC;
	probe_free(s);
}

/* Where to read for the next question; false: the row is decided. */
static bool aim(struct probe_state *p, size_t *piece)
{
	if (!p->there) {
		p->r.pos = 0;
		*piece = 8;
		return true;
	}
	if (p->size == PROBE_UNKNOWN || !size_search_next(&p->search, &p->question))
		return false;
	p->r.pos = p->question - 4;
	*piece = 4;
	return true;
}

/* The next opening of a NAND place; false: the row is decided. */
static bool open_again(struct session *s)
{
	struct probe_state *p = state(s);
	char name[BSL_NAME_MAX + 1];

	if (p->size == PROBE_UNKNOWN || p->absent || !size_search_next(&p->search, &p->question))
		return false;
	snprintf(name, sizeof(name), "%s", p->r.name);
	open_reader(s, name, p->there ? p->question : 8);
	return true;
}

enum step_says probe_next(struct session *s, struct ask *ask)
{
	struct probe_state *p = state(s);
	size_t piece = PROBE_TEXT;

	while (p->how != PROBE_OVER && p->requests++ <= REQUESTS_MAX) {
		if (p->r.at == READER_OVER && (p->how != PROBE_OPENINGS || !open_again(s))) {
			p->absent = false;
			end_row(s);
			continue;
		}
		if (p->r.at == READER_DATA && p->how == PROBE_BYTES && !aim(p, &piece))
			p->r.at = READER_END;
		return reader_next(s, &p->r, ask, piece);
	}
	conclude(s);
	return STEP_DONE;
}

/* The phone does not open it. */
static enum step_says not_opened(struct session *s, const struct answer *a)
{
	struct probe_state *p = state(s);

	p->r.at = READER_OVER;
	if (p->how == PROBE_WORDS)
		return STEP_ASK;
	if (a->code == BSL_REP_SIZE_ERROR && a->len == 8 && get_le64(a->payload)) {
		p->there = p->seen = true; /* some tell how much there is (bsl-protocol 8: 8A) */
		size_search_take(&p->search, get_le64(a->payload), true);
		size_search_take(&p->search, get_le64(a->payload) + p->search.unit, false);
	} else if (a->code == BSL_REP_SIZE_ERROR && p->how == PROBE_OPENINGS) {
		size_search_take(&p->search, p->question, false);
	} else if (!strcmp(p->row[p->i].name, "prodnv")) {
		p->there = true; /* without a file system it is not opened (device-behaviour 17: F51) */
		p->size = PROBE_UNKNOWN;
	} else {
		p->absent = true;
	}
	return STEP_ASK;
}

static enum step_says not_read(struct session *s)
{
	struct probe_state *p = state(s);

	p->r.again = false;
	if (p->how == PROBE_BYTES && p->there)
		size_search_take(&p->search, p->question, false);
	else if (p->how == PROBE_BYTES && !p->again)
		p->again = true;
	else
		p->r.at = READER_END;
	return STEP_ASK;
}

static void was_read(struct session *s, const uint8_t *data, size_t len)
{
	struct probe_state *p = state(s);
	char buf[TABLE_NAME_MAX + 8];
	uint32_t sector = 0;
	uint64_t size = 0;

	if (p->how == PROBE_BYTES) {
		if (p->there)
			size_search_take(&p->search, p->question, true);
		p->there = p->seen = true;
	} else if (!p->area_asked) {
		if (probe_text(data, len, "user_partition", &size, &sector)) {
			p->user_size = size;
			p->sector = sector;
		}
	} else if (probe_text(data, len, place_of(&p->row[p->i], buf, sizeof(buf)), &size, &sector)) {
		p->there = p->seen = true;
		p->size = size;
	}
}

enum step_says probe_take(struct session *s, const struct answer *a)
{
	struct probe_state *p = state(s);
	const uint8_t *data;
	enum step_says says;
	bool opening = p->r.at == READER_START;
	size_t len;

	if (a->kind == ANSWER_CODE && p->r.at != READER_END) {
		if (a->code == BSL_REP_VERIFY_ERROR || a->code == BSL_REP_UNSUPPORTED)
			return step_refused(s, a);
		return opening ? not_opened(s, a) : not_read(s);
	}
	says = reader_take(s, &p->r, a, &data, &len);
	if (says != STEP_ASK)
		return says;
	if (opening && p->how == PROBE_BYTES)
		p->r.size = NO_END; /* questions may lie anywhere */
	if (opening && p->how == PROBE_OPENINGS) {
		if (p->there)
			size_search_take(&p->search, p->question, true);
		p->there = p->seen = true;
		p->r.at = READER_END;
	}
	if (len)
		was_read(s, data, len);
	return STEP_ASK;
}
