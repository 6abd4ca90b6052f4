/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/simlib/errand.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flash/partition.h"
#include "tests/phone/loader.h"

#define IMAGE	90000u	   /* bytes of an image at most */
#define WHOLE	(2u << 20) /* bytes: of larger areas a piece is read */
#define ERASED	0x10000u   /* bytes of an erase by number */
#define CONTROL 2048u	   /* of misc: slot metadata */

const char *errand_name(enum errand_kind kind)
{
	static const char *const names[ERRAND_KINDS] = {
		"write",  "erase", "erase-some", "nv",	  "restore", "read",  "save",	 "start",     "slot",
		"verity", "mode",  "show",	 "learn", "look",    "table", "give-up", "everything"
	};

	return names[kind];
}

/* ---- the phone beforehand ---- */

static uint32_t crc32(const uint8_t *p, size_t n)
{
	uint32_t crc = 0xFFFFFFFF;

	while (n--) {
		crc ^= *p++;
		for (int k = 0; k < 8; k++)
			crc = crc & 1 ? crc >> 1 ^ 0xEDB88320 : crc >> 1;
	}
	return ~crc;
}

void errand_prepare(struct work_phone *w, uint64_t seed)
{
	static const char *const metas[] = { "vbmeta", "vbmeta_a", "vbmeta_b" };
	uint8_t b[4096], *c = b + CONTROL;
	uint32_t crc;

	sim_bytes(seed, b, sizeof(b));
	memset(b, 0, 832);
	memcpy(c, "_a\0\0BCAB\1\2\0\0\x8f\0\x6e\0", 16);
	memset(c + 16, 0, 12);
	crc = crc32(c, 28);
	for (int i = 0; i < 4; i++)
		c[28 + i] = (uint8_t)(crc >> 8 * i);
	phone_storage_write(w->phone, "misc", 0, b, sizeof(b));
	for (size_t i = 0; i < sizeof(metas) / sizeof(metas[0]); i++) {
		sim_bytes(seed + 1 + i, b, sizeof(b));
		memcpy(b, "AVB0", 4);
		memset(b + 120, 0, 4);
		phone_storage_write(w->phone, metas[i], 0, b, sizeof(b));
	}
}

/* ---- choosing ---- */

bool errand_fits(const struct work_phone *w, enum errand_kind kind)
{
	const struct phone_profile *p = w->sc.profile;
	uint64_t size;

	if (p->second == PHONE_NAND)
		return kind <= ERRAND_ERASE_SOME || kind == ERRAND_READ;
	if (work_by_number(w))
		return kind < ERRAND_START;
	if (kind == ERRAND_VERITY)
		return !p->secure && (phone_storage_size(w->phone, "vbmeta", &size) ||
				      phone_storage_size(w->phone, "vbmeta_a", &size));
	if (kind == ERRAND_GIVE_UP || kind == ERRAND_MODE)
		return phone_storage_size(w->phone, "miscdata", &size);
	return true;
}

/* A place that anything may be written to, none twice. */
static const struct phone_part *pick(const struct errand *e, const struct work_phone *w, struct sim_random *r)
{
	static const char *const names[] = { "logo",   "logo_a", "l_modem", "l_modem_b", "dtbo",
					     "dtbo_a", "modem",	 "boot",    "boot_a",	 "ap",
					     "kernel", "ps",	 "user",    "appimg",	 "mmires" };

	for (;;) {
		const struct phone_part *p = work_part(w,
						       names[sim_below(r, sizeof(names) / sizeof(names[0]))]);
		bool taken = !p;

		for (size_t i = 0; i < e->parts && !taken; i++)
			taken = !strcmp(e->part[i].name, p->name);
		if (!taken)
			return p;
	}
}

static struct errand_part *add(struct errand *e, const char *name, uint64_t address)
{
	struct errand_part *p = &e->part[e->parts++];

	snprintf(p->name, sizeof(p->name), "%s", name);
	snprintf(p->id, sizeof(p->id), "It%s", name);
	p->address = address;
	return p;
}

static bool fill(struct errand_part *p, const uint8_t *bytes, size_t len)
{
	p->bytes = malloc(len);
	p->len = len;
	if (!p->bytes)
		return false;
	memcpy(p->bytes, bytes, len);
	p->source = source_memory(p->bytes, p->len);
	return true;
}

static bool add_image(struct errand *e, const struct work_phone *w, struct sim_random *r)
{
	const struct phone_part *at = pick(e, w, r);
	uint64_t room = at->size < IMAGE - 600 ? at->size / 2 : IMAGE - 600;
	size_t len = (size_t)(600 + sim_below(r, room - 600));
	static uint8_t body[IMAGE], image[IMAGE];

	sim_bytes(sim_random(r), body, len);
	body[0] = 0x22;
	if (w->sc.profile->secure)
		len = phone_make_dhtb(body, len, image, sizeof(image));
	return fill(add(e, at->name, at->id), w->sc.profile->secure ? image : body, len);
}

static uint64_t nv_address(const struct work_phone *w)
{
	if (w->sc.nv_name[0])
		return 0;
	return w->sc.profile->second == PHONE_SINGLE ? 0xfe000003 : 0x90000001;
}

/* file: somebody's, of which all that is not the phone's own is taken; or the phone's as it is, whole. */
static bool add_nv(struct errand *e, const struct work_phone *w, bool file)
{
	size_t room = 2 << 20;
	uint8_t *body = malloc(room);
	struct errand_part *p = add(e, w->sc.nv_place, nv_address(w));
	struct source source = source_memory(w->sc.nv_package, w->sc.nv_len);
	struct failure why;
	bool good = body != NULL;

	snprintf(p->id, sizeof(p->id), "NV");
	p->nv = true;
	if (file)
		good = good && fill(p, w->sc.nv_package, w->sc.nv_len) &&
		       !made_nv_items(&source, e->nv, &e->nvs, &why);
	else if (good && phone_nv_read(w->phone, w->sc.nv_place, body, &room))
		good = fill(p, body, room);
	else
		good = good && fill(p, w->sc.nv_phone, w->sc.nv_len);
	free(body);
	return good;
}

/* As the client puts a backup back: what is the phone's own, NV alone, the rest; each is a job. */
static bool make_restore(struct errand *e, const struct work_phone *w, struct sim_random *r)
{
	static uint8_t own[0x2000];
	uint64_t size;
	bool good = true;

	if (!e->number && phone_storage_size(w->phone, "miscdata", &size) &&
	    phone_storage_read(w->phone, "miscdata", 0, own, sizeof(own))) {
		struct errand_part *p = add(e, "miscdata", 0);

		/* as it was on another day */
		sim_bytes(sim_random(r), own + 512, 64);
		p->own = true;
		good = fill(p, own, sizeof(own));
		e->first[++e->jobs] = e->parts;
	}
	good = good && add_nv(e, w, false);
	e->first[++e->jobs] = e->parts;
	for (int i = 0; i < 2 && good; i++)
		good = add_image(e, w, r);
	e->first[++e->jobs] = e->parts;
	e->gives_up = e->part[0].own ? "miscdata" : NULL;
	return good;
}

/* Another table: the phone's with misc larger, a row less, one more; or with no place for prodnv. */
static bool make_table(struct errand *e, const struct work_phone *w, enum errand_table which,
		       struct sim_random *r)
{
	struct phone_slice slice[TABLE_MAX];
	size_t n = phone_partitions(w->phone, slice, TABLE_MAX - 1);
	uint64_t how = which == ERRAND_TABLE_ANY	   ? sim_below(r, 8)
		       : which == ERRAND_TABLE_SAME	   ? 0
		       : which == ERRAND_TABLE_WITHOUT_OWN ? 1
							   : 4;
	struct scheme_partition *row = calloc(n + 2, sizeof(*row));

	e->table = (struct scheme_table){ .present = true, .unit_bytes = 1 << 20, .part = row };
	if (!row || n < 4)
		return false;
	e->same = how == 0;
	if (how == 1 && e->kind == ERRAND_TABLE)
		e->gives_up = "prodnv";
	for (size_t i = 0; i < n; i++) {
		struct scheme_partition *to = &row[e->table.parts];

		if ((how == 1 && !strcmp(slice[i].name, "prodnv")) ||
		    (how == 2 && !strcmp(slice[i].name, "sysdumpdb")))
			continue;
		if (how == 3 && i + 1 == n && strcmp(slice[n - 2].name, "of_ours") != 0) {
			snprintf(to->name, sizeof(to->name), "of_ours");
			to->size = 1;
			e->table.parts++;
			to++;
		}
		snprintf(to->name, sizeof(to->name), "%s", slice[i].name);
		to->size = i + 1 == n ? SCHEME_REST : (slice[i].size + 0xFFFFF) >> 20;
		if (how >= 4 && !strcmp(to->name, "misc"))
			to->size = to->size > 8 ? 1 : to->size + 1 + sim_below(r, 3);
		e->table.parts++;
	}
	return true;
}

static bool make_mark(struct errand *e, const struct work_phone *w, struct sim_random *r)
{
	uint64_t size = 0;
	int value = 0;
	enum mark_kind kind = MARK_BOOT;

	snprintf(e->place, sizeof(e->place), "misc");
	switch (e->kind) {
	case ERRAND_START: value = (int)sim_below(r, BOOT_WIPE_DATA + 1); break;
	case ERRAND_SLOT:
		kind = MARK_SLOT;
		value = sim_one_in(r, 2) ? 'a' : 'b';
		break;
	case ERRAND_VERITY:
		kind = MARK_VERITY;
		value = (int)sim_below(r, 2);
		snprintf(e->place, sizeof(e->place), "%s",
			 phone_storage_size(w->phone, "vbmeta", &size) ? "vbmeta" : "vbmeta_b");
		break;
	default:
		kind = MARK_FIRST_MODE;
		value = (int)sim_below(r, 256);
		snprintf(e->place, sizeof(e->place), "miscdata");
	}
	e->mark = (struct mark){ .kind = kind, .value = value };
	if (!phone_storage_size(w->phone, e->place, &size))
		return false;
	e->before_len = (size_t)size;
	e->before = malloc(e->before_len);
	return e->before && phone_storage_read(w->phone, e->place, 0, e->before, e->before_len);
}

/* By number nobody tells how large an area is: pieces. */
static bool make_reads(struct errand *e, const struct work_phone *w, struct sim_random *r, uint32_t count)
{
	e->area = calloc(count, sizeof(*e->area));
	for (uint32_t i = 0; e->area && i < count; i++) {
		const struct phone_part *at = pick(e, w, r);
		struct plan_read *a = &e->area[e->areas++];

		a->size = 1 + sim_below(r, at->size < 60000 ? at->size / 2 : 30000);
		if (e->number)
			a->address = at->id;
		else
			snprintf(a->target, sizeof(a->target), "%s", at->name);
		snprintf(e->part[0].name, sizeof(e->part[0].name), "%s", at->name);
	}
	return e->area != NULL;
}

bool errand_make(struct errand *e, const struct work_phone *w, enum errand_kind kind, enum errand_table table,
		 struct sim_random *r)
{
	bool good = true;

	memset(e, 0, sizeof(*e));
	e->kind = kind;
	e->number = work_by_number(w);
	switch (kind) {
	case ERRAND_WRITE: good = add_image(e, w, r); break;
	case ERRAND_ERASE_SOME:
	case ERRAND_ERASE:
		for (size_t i = kind == ERRAND_ERASE ? 1 : 2; i--;) {
			const struct phone_part *p = pick(e, w, r);

			add(e, p->name, p->id);
		}
		break;
	case ERRAND_GIVE_UP:
		add(e, "miscdata", 0)->own = true;
		e->gives_up = "miscdata";
		break;
	case ERRAND_NV: good = add_nv(e, w, true); break;
	case ERRAND_RESTORE: return make_restore(e, w, r);
	case ERRAND_READ: good = make_reads(e, w, r, 1); break;
	case ERRAND_SAVE: good = !e->number || make_reads(e, w, r, 3); break;
	case ERRAND_TABLE:
	case ERRAND_LOOK: good = make_table(e, w, table, r); break;
	case ERRAND_START:
	case ERRAND_SLOT:
	case ERRAND_VERITY:
	case ERRAND_MODE: good = make_mark(e, w, r); break;
	default: break;
	}
	e->jobs = 1;
	e->first[1] = e->parts;
	return good;
}

void errand_free(struct errand *e)
{
	for (size_t i = 0; i < e->parts; i++)
		free(e->part[i].bytes);
	free(e->area);
	free(e->before);
	made_table_free(&e->table);
	memset(e, 0, sizeof(*e));
}

/* ---- the jobs ---- */

bool errand_reads(const struct errand *e)
{
	return e->kind == ERRAND_READ || e->kind == ERRAND_SAVE || e->kind == ERRAND_SHOW ||
	       e->kind == ERRAND_LEARN || e->kind == ERRAND_LOOK;
}

static void build_parts(struct errand *e, struct work_phone *w, const struct errand_word *word,
			struct work_job *j)
{
	for (size_t i = e->first[e->job]; i < e->first[e->job + 1]; i++) {
		struct errand_part *p = &e->part[i];
		bool named = !e->number || (p->nv && w->sc.nv_name[0]);
		const char *type = !p->bytes ? (e->number ? "EraseFlash" : "EraseFlash2")
				   : p->nv   ? (e->number ? "NV" : "NV_COMM")
					     : (e->number ? "CODE" : "CODE2");
		struct made_part *m = work_add(j, p->id, type,
					       !named  ? NULL
					       : p->nv ? w->sc.nv_name
						       : p->name,
					       named ? 0 : p->address, p->bytes ? &p->source : NULL);

		if (p->nv)
			m->size = 0x100000;
		else if (!p->bytes && e->number)
			m->size = ERASED;
		/* a backup's bytes are nothing but bytes */
		if (e->kind == ERRAND_RESTORE && (p->own || p->nv)) {
			j->options.own = OWN_I_KNOW;
			if (p->nv && !word->nv_from[0])
				j->options.nv = NV_PACKAGE;
		}
	}
	j->scheme.as_is = e->kind == ERRAND_RESTORE;
	if (e->nvs) {
		j->scheme.nv = e->nv;
		j->scheme.nvs = e->nvs;
		j->scheme.nv_backup = true;
	}
}

static void build_reads(struct errand *e, struct work_job *j)
{
	uint32_t at = e->kind == ERRAND_SAVE && !e->number ? (e->job - 1) * SIM_SINKS : 0;

	for (; at < e->areas && j->reads < SIM_SINKS; at++)
		j->read[j->reads++] = e->area[at];
}

void errand_build(struct errand *e, struct work_phone *w, const struct errand_word *word,
		  enum verify_level level, bool stay, struct work_job *j)
{
	memset(j, 0, sizeof(*j));
	j->options.end = stay ? END_STAY : END_RESET;
	j->options.own = e->gives_up || e->kind == ERRAND_EVERYTHING ? OWN_I_KNOW : OWN_REFUSE;
	j->options.level = level;
	j->options.continue_without_backup = word->without_backup;
	j->options.nv = word->nv_if_any ? NV_KEEP_IF_ANY : NV_KEEP;
	memcpy(j->options.nv_from, word->nv_from, sizeof(j->options.nv_from));
	w->kept_name = e->job == 0 ? e->gives_up : NULL;
	switch (e->kind) {
	case ERRAND_READ: build_reads(e, j); break;
	case ERRAND_SAVE:
		if (e->number || e->job)
			build_reads(e, j);
		else
			j->table = true;
		break;
	case ERRAND_START:
	case ERRAND_SLOT:
	case ERRAND_VERITY:
	case ERRAND_MODE:
		j->marks = 1;
		j->mark[0] = e->mark;
		break;
	case ERRAND_SHOW: j->show = true; break;
	case ERRAND_LEARN: j->table = true; break;
	case ERRAND_LOOK: j->look = true; j->options.own = OWN_I_KNOW; /* fallthrough */
	case ERRAND_TABLE: j->scheme.table = &e->table; break;
	case ERRAND_EVERYTHING: j->options.erase_all = true; break;
	default: build_parts(e, w, word, j);
	}
}

/* Of what there is to save: now and then all of it, else a handful; of what is large, the beginning. */
static bool take_areas(struct errand *e, const struct work_phone *w, struct sim_random *r)
{
	const struct plan_save save = { .user_data = true };
	struct plan_read *all = calloc(PLAN_READS_MAX, sizeof(*all));
	uint32_t n = all ? plan_reads_of_table(&w->before.table, &save, all) : 0, kept = 0;
	bool whole = sim_one_in(r, 6);

	for (uint32_t i = 0; i < n; i++) {
		const struct table_entry *t = table_find(&w->before.table, all[i].target);
		bool own = partition_class(all[i].target) == PARTITION_OWN;

		if (!whole && !sim_one_in(r, own ? 2 : 6))
			continue;
		all[kept] = all[i];
		if (t && t->size > WHOLE &&
		    !(partition_traits(t->name) & (PARTITION_NV | PARTITION_RUNTIME_NV)))
			all[kept].size = 1 + sim_below(r, 100000);
		kept++;
	}
	e->area = all;
	e->areas = kept;
	e->jobs = 1 + (kept + SIM_SINKS - 1) / SIM_SINKS;
	return kept != 0;
}

bool errand_next(struct errand *e, const struct work_phone *w, struct sim_random *r)
{
	if (e->kind == ERRAND_SAVE && !e->number && !e->job && !take_areas(e, w, r))
		return false;
	return ++e->job < e->jobs;
}

static bool cannot_be_given(const struct work_phone *w, const char *name)
{
	size_t room = 2 << 20;
	uint8_t magic[2], *nv;
	bool bad;

	if (!strcmp(name, "prodnv"))
		return phone_storage_read(w->phone, name, 1024 + 56, magic, 2) &&
		       (magic[0] != 0x53 || magic[1] != 0xEF);
	if (!strstr(name, "nv1"))
		return false;
	nv = malloc(room);
	bad = nv && !phone_nv_read(w->phone, name, nv, &room);
	free(nv);
	return bad;
}

bool errand_leave(struct errand *e, const struct work_phone *w, const char *area)
{
	for (uint32_t i = 0; i < e->areas && e->kind == ERRAND_SAVE; i++) {
		if (strcmp(e->area[i].target, area) != 0 || !cannot_be_given(w, area))
			continue;
		memmove(&e->area[i], &e->area[i + 1], (e->areas - i - 1) * sizeof(e->area[0]));
		e->areas--;
		e->jobs = 1 + (e->areas + SIM_SINKS - 1) / SIM_SINKS;
		return true;
	}
	return false;
}
