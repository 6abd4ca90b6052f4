/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A plan that changes marks: what stands in a partition is read, kept, changed and written back. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/util.h"
#include "flash/builder.h"
#include "flash/partition.h"

static int check(const struct plan *p, const struct mark *marks, uint32_t count, struct failure *why)
{
	if (!count || count > PLAN_MARKS_MAX)
		return failure_set(why, ERR_INVALID_ARGS, "%u marks, 1 to %d are possible", count,
				   PLAN_MARKS_MAX);
	if (p->old_ids)
		return failure_set(why, ERR_INVALID_ARGS,
				   "a phone without named partitions has no such marks");
	for (uint32_t i = 0; i < count; i++) {
		const char *name = mark_target(&marks[i]);

		if (marks[i].kind == MARK_FIRST_MODE && !marks[i].target[0])
			continue;
		if ((unsigned)marks[i].kind > MARK_VERITY || marks[i].kind == MARK_FIRST_MODE ||
		    strnlen(name, 32) == 32 || rule_forbidden(name) ||
		    partition_class(name) == PARTITION_OWN || rule_is_runtime_nv(name) ||
		    rule_is_boot_area(name))
			return failure_set(why, ERR_INVALID_ARGS, "'%.39s' is no place for such a mark",
					   name);
	}
	return 0;
}

/* Not every loader knows the command: nothing else is asked of it that it may not know (plan.h,
 * plan_unknown). */
static int add_first_mode(struct plan *p, const struct mark *m, uint32_t count, struct failure *why)
{
	struct plan_step *s;

	if (count > 1)
		return failure_set(why, ERR_INVALID_ARGS, "the mode of the first start is set alone");
	if (m->value < 0 || m->value > 255)
		return failure_set(why, ERR_INVALID_ARGS, "a mode is 0 to 255, not %d", m->value);
	s = plan_add(p, OP_FIRST_MODE);
	if (!s)
		return plan_full(why);
	s->destructive = s->by_name = true;
	s->boundary = BOUNDARY_ENTRY;
	s->size = 4;
	snprintf(s->target, sizeof(s->target), "miscdata");
	return 0;
}

static int add_change(struct plan *p, const char *name, struct failure *why)
{
	struct builder b = { .p = p, .why = why };
	struct plan_backup *k;
	struct plan_step *s;

	if (builder_find_backup(p, true, name, 0) >= 0)
		return 0;
	k = builder_new_backup(&b, BACKUP_FILE, name, 0);
	if (!k)
		return plan_full(why);
	k->must = k->given_up = k->held = true;
	s = plan_add(p, OP_CHANGE);
	if (!s)
		return plan_full(why);
	s->destructive = s->by_name = true;
	s->boundary = BOUNDARY_ENTRY;
	s->backup = (int32_t)(p->backup_count - 1);
	snprintf(s->target, sizeof(s->target), "%s", name);
	return plan_add_verify(p, p->step_count - 1, false) ? 0 : plan_full(why);
}

int plan_compile_marks(const struct pac *pac, const struct plan_options *options, const struct mark *marks,
		       uint32_t count, struct plan **out, struct failure *why)
{
	struct plan *p = plan_begin(pac, options, ADDRESSING_PACKAGE, why);
	int rc;

	*out = NULL;
	if (!p)
		return -ENOMEM;
	p->options.own = OWN_REFUSE;
	p->options.level = LEVEL_VERIFIED;
	rc = plan_head(p, why);
	if (!rc)
		rc = check(p, marks, count, why);
	for (uint32_t i = 0; i < count && !rc; i++) {
		p->mark[p->mark_count] = marks[i];
		snprintf(p->mark[p->mark_count++].target, sizeof(p->mark[0].target), "%s",
			 mark_target(&marks[i]));
		rc = marks[i].kind == MARK_FIRST_MODE ? add_first_mode(p, &marks[i], count, why)
						      : add_change(p, mark_target(&marks[i]), why);
	}
	return plan_finish(p, rc, out, why);
}
