/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The phone's partition table: a GPT at the start of the user area; where that cannot be had, the 0x2D list
 * if that is what the plan spends its one command on that the phone may not know; else sizes by probing
 * (bsl-protocol 11.2 to 11.4). Also proves a table after it was written.
 */
#include <errno.h>

#include "flash/inner.h"

#define TABLE_FIRST (32u * 1024u)
#define TABLE_LIMIT (256u * 1024u)

static void open_gpt(struct session *s, size_t upto)
{
	struct table_state *t = &s->table;
	enum doing open = t->prove ? DOING_PROVE_TABLE : DOING_TABLE_OPEN;

	reader_open(&t->r, true, "user_partition", 0, upto);
	t->r.doing_open = open;
	t->r.doing_read = t->prove ? DOING_PROVE_TABLE : DOING_TABLE_READ;
	t->len = 0;
}

enum step_says table_begin(struct session *s, bool prove)
{
	struct table_state *t = &s->table;

	free(t->bytes);
	probe_free(s);
	memset(t, 0, sizeof(*t));
	t->prove = prove;
	t->bytes = malloc(TABLE_LIMIT);
	if (!t->bytes)
		return step_fail(s, ERR_INTERNAL, "no memory for a partition table");
	t->room = TABLE_LIMIT;
	if (prove)
		memset(&s->facts.table, 0, sizeof(s->facts.table)); /* what it was proves nothing */
	open_gpt(s, TABLE_FIRST);
	return STEP_ASK;
}

static bool list_allowed(const struct session *s)
{
	return s->plan->may_not_know == UNKNOWN_LIST_OR_UID && !s->unknown_spent && s->phase == PHASE_TABLE &&
	       s->where == BSL_STAGE_FDL2 && s->facts.storage != STORAGE_NAND && s->facts.has_capabilities;
}

/*
 * Old loaders may hang where a read is refused (bsl-protocol 11.2), and a board without a table has nothing
 * to ask for. A broken first copy is mended by the first access by name: the table is read again after the
 * backups.
 */
static bool probing_allowed(const struct session *s)
{
	if (s->plan->old_ids || s->where != BSL_STAGE_FDL2 || !s->facts.has_capabilities ||
	    s->facts.table_absent)
		return false;
	if (s->table.prove)
		return s->facts.storage != STORAGE_NAND;
	return !(s->table_damaged && s->phase == PHASE_TABLE && s->plan->backup_count);
}

static void probe(struct session *s, bool unit)
{
	s->table.at = probing_allowed(s) && probe_begin(s, unit) ? TABLE_PROBE : TABLE_OVER;
}

static void no_gpt(struct session *s)
{
	const struct device_facts *before = s->resumed ? s->config.before : NULL;

	/* a list is asked for once in a power cycle: it is what it was, or what was proved since */
	if (before && before->table.origin == TABLE_LIST && before->table.count && !s->table.prove) {
		s->facts.table = before->table;
		s->facts.table_absent = false;
		s->table.at = TABLE_OVER;
		return;
	}
	if (list_allowed(s))
		s->table.at = TABLE_LIST_READ;
	else
		probe(s, false);
}

static void parse_gpt(struct session *s)
{
	struct table_state *t = &s->table;
	size_t need = 0;
	int r;

	memset(&s->facts.table, 0, sizeof(s->facts.table));
	r = table_from_gpt(t->bytes, t->len, &s->facts.table, &need);
	if (r == 0) {
		s->facts.table_absent = false;
		/* where FDL2 did not say, the sector does (bsl-protocol 11.4) */
		if (s->facts.storage == STORAGE_UNKNOWN)
			s->facts.storage = s->facts.table.sector == 4096 ? STORAGE_UFS : STORAGE_EMMC;
		t->at = TABLE_OVER;
		return;
	}
	memset(&s->facts.table, 0, sizeof(s->facts.table));
	s->facts.table_absent = r == -ENOENT; /* a new board: there is room for one */
	s->table_damaged = r == -EBADMSG;
	if (r == -EAGAIN && need > t->len && need <= t->room)
		open_gpt(s, (need + 511) / 512 * 512);
	else
		no_gpt(s);
}

enum step_says table_next(struct session *s, struct ask *ask)
{
	struct table_state *t = &s->table;

	while (t->at == TABLE_GPT_READ) {
		enum step_says says = reader_next(s, &t->r, ask, 0);

		if (says != STEP_DONE)
			return says;
		parse_gpt(s);
	}
	if (t->at == TABLE_LIST_READ) {
		s->unknown_spent = true;
		ask_command(s, ask, DOING_TABLE_READ, BSL_CMD_READ_PARTITIONS);
		return STEP_ASK;
	}
	if (t->at == TABLE_PROBE) {
		enum step_says says = probe_next(s, ask);

		if (says != STEP_DONE)
			return says;
		t->at = TABLE_OVER;
	}
	free(t->bytes);
	t->bytes = NULL;
	return STEP_DONE;
}

static enum step_says list_take(struct session *s, const struct answer *a)
{
	uint32_t sector = s->facts.storage == STORAGE_UFS ? 4096 : s->facts.storage == STORAGE_EMMC ? 512 : 0;

	/* older FDL2 do not know it (bsl-protocol 14: 0x2D); U-Boot ones lose a packet by it, no more */
	if (a->kind == ANSWER_CODE && a->code != BSL_REP_VERIFY_ERROR) {
		probe(s, false);
		return STEP_ASK;
	}
	if (a->kind != ANSWER_GOOD)
		return step_refused(s, a);
	s->table.at = TABLE_OVER;
	if (table_from_list(a->payload, a->len, NULL, sector, &s->plan->table, &s->facts.table)) {
		memset(&s->facts.table, 0, sizeof(s->facts.table));
		probe(s, false);
	} else if (!s->facts.table.unit_sure) {
		probe(s, true); /* numbers are no sizes until their unit is measured */
	}
	return STEP_ASK;
}

enum step_says table_take(struct session *s, const struct answer *a)
{
	struct table_state *t = &s->table;
	const uint8_t *data;
	enum step_says says;
	size_t len;

	if (t->at == TABLE_LIST_READ)
		return list_take(s, a);
	if (t->at == TABLE_PROBE)
		return probe_take(s, a);
	if (a->kind == ANSWER_CODE && a->code != BSL_REP_VERIFY_ERROR) {
		bool opening = t->r.at == READER_START;

		/* every FDL2 opens the user area; what refuses even that refuses everything */
		if (opening &&
		    (a->code == BSL_REP_UNSUPPORTED || a->code == BSL_REP_FAILED ||
		     a->code == BSL_REP_RANDOM_ERROR) &&
		    !t->prove)
			return step_refused(s, a);
		t->refused = true;
		/* only NAND has no user area to open (bsl-protocol 11.2) */
		if (opening && a->code == BSL_REP_INCOMPATIBLE && s->facts.storage == STORAGE_UNKNOWN)
			s->facts.storage = STORAGE_NAND;
		no_gpt(s);
		return STEP_ASK;
	}
	says = reader_take(s, &t->r, a, &data, &len);
	if (says != STEP_ASK)
		return says;
	if (len) {
		memcpy(t->bytes + t->len, data, MIN(len, t->room - t->len));
		t->len += MIN(len, t->room - t->len);
	}
	return STEP_ASK;
}

static enum step_says read_begin(struct session *s)
{
	return table_begin(s, false);
}

const struct step_kind step_table = {
	.name = "read-table",
	.stage = STAGE_LEARN,
	.begin = read_begin,
	.next = table_next,
	.take = table_take,
};
