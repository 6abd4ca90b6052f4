/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A plan that reads areas of the phone into the caller's sinks: loaders, steps, end; nothing is destroyed. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "flash/partition.h"
#include "flash/plan_build.h"

#define MEASURE_MAX   (64u << 20) /* bytes that a signed header is believed */
#define NAME_MAX_SENT 31	  /* a phone copies names into 32 bytes (bsl-protocol 7) */

static bool sendable_name(const char *name)
{
	size_t n = strnlen(name, sizeof(((struct plan_read *)0)->target));

	if (!n || n > NAME_MAX_SENT)
		return false;
	for (size_t i = 0; i < n; i++)
		if (name[i] < 0x21 || name[i] > 0x7e)
			return false;
	return true;
}

bool plan_name_usable(const char *name)
{
	return sendable_name(name) && !rule_forbidden(name);
}

static int check_read(const struct plan *p, const struct plan_read *r, struct failure *why)
{
	bool by_name = r->target[0] != 0;

	if (by_name && p->old_ids)
		return failure_set(why, ERR_NO_PARTITIONS, "there is no '%s'", r->target);
	if (!by_name && !p->old_ids)
		return failure_set(why, ERR_INVALID_ARGS,
				   "this phone is read by the names of its partitions");
	/* a name with "_size" answers in words, and an empty one reads what was current before */
	if (by_name &&
	    (!sendable_name(r->target) || !strcmp(r->target, "erase_all") || strstr(r->target, "_size")))
		return failure_set(why, ERR_INVALID_ARGS, "'%.*s' is no name of a partition",
				   (int)sizeof(r->target) - 1, r->target);
	if (!r->size && !r->measure && (!by_name || rule_is_boot_area(r->target)))
		return failure_set(why, ERR_INVALID_ARGS,
				   "how many bytes has to be said where no table tells it");
	if (r->offset > UINT64_MAX / 2 || r->size > UINT64_MAX / 2)
		return failure_set(why, ERR_INVALID_ARGS, "more bytes than any phone has");
	if (!by_name &&
	    (r->address + r->offset > UINT32_MAX || r->size > UINT32_MAX - r->address - r->offset))
		return failure_set(why, ERR_INVALID_ARGS, "an address has 32 bits");
	return 0;
}

static int add_read(struct plan *p, const struct plan_read *r, uint32_t sink, struct failure *why)
{
	struct plan_step *s = plan_add(p, OP_READ);

	if (!s)
		return plan_full(why);
	s->boundary = BOUNDARY_NOW;
	s->by_name = r->target[0] != 0;
	s->address = r->address;
	s->offset = r->offset;
	s->size = r->size;
	s->measure = r->measure;
	if (s->measure && !s->size)
		s->size = MEASURE_MAX;
	if (s->measure && !s->by_name)
		s->size = MIN(s->size, UINT32_MAX - r->address - r->offset);
	s->sink = sink;
	if (s->by_name)
		snprintf(s->target, sizeof(s->target), "%s", r->target);
	else
		snprintf(s->target, sizeof(s->target), "0x%08" PRIx64, r->address + r->offset);
	if (s->by_name && rule_is_nv(s->target))
		plan_doubt(p, "%s is read as the phone's loader gives NV out: mended, without its header",
			   s->target);
	return 0;
}

/* A plan with loaders and nothing else. */
struct plan *plan_begin(const struct pac *pac, const struct plan_options *options, enum addressing addressing,
			struct failure *why)
{
	struct plan *p = calloc(1, sizeof(*p));

	if (why)
		memset(why, 0, sizeof(*why));
	if (!p) {
		failure_set(why, ERR_INTERNAL, "no memory for the plan");
		return NULL;
	}
	p->pac = pac;
	/* of the options only these mean something here */
	if (options)
		p->options = (struct plan_options){ .end = options->end,
						    .force_loaders = options->force_loaders,
						    .addressing = options->addressing };
	if (p->options.addressing == ADDRESSING_PACKAGE)
		p->options.addressing = addressing;
	p->options.repartition = REPARTITION_NEVER;
	return p;
}

int plan_finish(struct plan *p, int rc, struct plan **out, struct failure *why)
{
	bool spent = p->step_count && p->step[0].op == OP_FIRST_MODE;

	p->may_not_know = p->old_ids || spent ? UNKNOWN_NONE
			  : p->backup_count   ? UNKNOWN_UID
					      : UNKNOWN_LIST_OR_UID;
	if (!rc)
		rc = plan_add_end(p, why);
	if (rc) {
		plan_blame(why);
		plan_free(p);
		return rc;
	}
	plan_total(p);
	*out = p;
	return 0;
}

int plan_compile_read(const struct pac *pac, const struct plan_options *options,
		      const struct plan_read *reads, uint32_t count, struct plan **out, struct failure *why)
{
	struct plan *p;
	int rc;

	*out = NULL;
	p = plan_begin(pac, options, count && !reads[0].target[0] ? ADDRESSING_NUMBERS : ADDRESSING_NAMES,
		       why);
	if (!p)
		return -ENOMEM;
	rc = plan_head(p, why);
	if (!rc && (!count || count > PLAN_READS_MAX))
		rc = failure_set(why, ERR_INVALID_ARGS, "%" PRIu32 " areas to read, 1 to %d are possible",
				 count, PLAN_READS_MAX);
	for (uint32_t i = 0; i < count && !rc; i++) {
		rc = check_read(p, &reads[i], why);
		if (!rc)
			rc = add_read(p, &reads[i], i, why);
	}
	return plan_finish(p, rc, out, why);
}

int plan_compile_table(const struct pac *pac, const struct plan_options *options, struct plan **out,
		       struct failure *why)
{
	struct plan *p = plan_begin(pac, options, ADDRESSING_PACKAGE, why);
	int rc;

	*out = NULL;
	if (!p)
		return -ENOMEM;
	p->whole_table = true;
	rc = plan_head(p, why);
	if (!rc && p->old_ids)
		rc = failure_set(why, ERR_NO_PARTITIONS, "there is no table that could be read");
	return plan_finish(p, rc, out, why);
}

int plan_compile_end(enum end_action end, struct plan **out, struct failure *why)
{
	struct plan *p = calloc(1, sizeof(*p));
	int rc;

	*out = NULL;
	if (why)
		memset(why, 0, sizeof(*why));
	if (!p)
		return failure_set(why, ERR_INTERNAL, "no memory for the plan");
	p->family = PLAN_TWO_STAGE;
	p->fdl1.item = p->fdl2.item = -1;
	p->old_ids = true; /* nothing is asked about its table */
	p->options.end = end;
	p->options.repartition = REPARTITION_NEVER;
	rc = end == END_STAY ? failure_set(why, ERR_INVALID_ARGS, "an end that is none")
			     : plan_add_end(p, why);
	if (rc) {
		plan_blame(why);
		plan_free(p);
		return rc;
	}
	*out = p;
	return 0;
}

int plan_fit_read(struct plan *to, const struct device_facts *facts, struct plan_step *s, struct failure *why)
{
	const struct flash_table *t = &facts->table;
	const struct table_entry *row = s->by_name ? table_find(t, s->target) : NULL;
	bool whole_area = s->by_name && !strcmp(s->target, "user_partition");
	uint64_t have = whole_area ? t->user_size : row && t->unit_sure ? row->size : 0;

	if (!s->by_name || rule_is_boot_area(s->target))
		return 0;
	if (have == UINT64_MAX)
		have = 0; /* there, of unknown size */
	if (have && (rule_is_nv(s->target) || rule_is_runtime_nv(s->target)))
		have -= MIN(have, NV_FLASH_HEADER);
	if (t->count && !row && !whole_area)
		return plan_absent(t, s->target, why);
	if (!have && !s->size)
		return failure_set(why, ERR_TABLE_UNREADABLE,
				   "how large '%s' is could not be found: say how many bytes", s->target);
	if (!have) {
		plan_doubt(to, "how large %s is could not be found: read as asked", s->target);
		return 0;
	}
	if (s->measure && s->offset < have)
		s->size = MIN(s->size, have - s->offset);
	if (s->offset >= have || s->size > have - s->offset)
		return failure_set(why, ERR_INVALID_ARGS,
				   "bytes %" PRIu64 " to %" PRIu64 " were asked for, '%s' has %" PRIu64,
				   s->offset, s->offset + s->size, s->target, have);
	if (!s->size)
		s->size = have - s->offset;
	return 0;
}
