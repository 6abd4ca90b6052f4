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
		return failure_set(why, ERR_NO_PARTITIONS, "there is no place for such marks");
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

static int add_change(struct plan *p, const char *name, enum guard guard, struct failure *why)
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
	s->guard = guard;
	s->boundary = BOUNDARY_ENTRY;
	s->backup = (int32_t)(p->backup_count - 1);
	snprintf(s->target, sizeof(s->target), "%s", name);
	return plan_add_verify(p, p->step_count - 1, false) ? 0 : plan_full(why);
}

static int add_mark(struct plan *p, const struct mark *m, const char *target, enum guard guard,
		    struct failure *why)
{
	struct mark *to = &p->mark[p->mark_count];

	if (p->mark_count == PLAN_MARKS_MAX)
		return failure_set(why, ERR_INVALID_ARGS, "more than %d marks", PLAN_MARKS_MAX);
	*to = *m;
	snprintf(to->target, sizeof(to->target), "%s", target);
	p->mark_count++;
	return add_change(p, target, guard, why);
}

/* A phone has one of them, or two for its slots, or all three; verity is off for good when it is off in each.
 */
static int add_verity(struct plan *p, const struct mark *m, struct failure *why)
{
	int rc = 0;

	for (int i = MARK_AREA_VBMETA; i <= MARK_AREA_VBMETA_B && !rc; i++)
		rc = add_mark(p, m, mark_areas[i].name, GUARD_IN_TABLE, why);
	return rc;
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
		const struct mark *m = &marks[i];

		if (m->kind == MARK_FIRST_MODE) {
			p->mark[p->mark_count++] = *m;
			rc = add_first_mode(p, m, count, why);
		} else if (m->kind == MARK_VERITY && !m->target[0]) {
			rc = add_verity(p, m, why);
		} else {
			rc = add_mark(p, m, mark_target(m), GUARD_ALWAYS, why);
		}
	}
	return plan_finish(p, rc, out, why);
}

int plan_compile_show_marks(const struct pac *pac, const struct plan_options *options, struct plan **out,
			    struct failure *why)
{
	struct plan_read reads[MARK_AREAS] = { 0 };
	int rc;

	for (uint32_t i = 0; i < MARK_AREAS; i++) {
		snprintf(reads[i].target, sizeof(reads[i].target), "%s", mark_areas[i].name);
		reads[i].offset = mark_areas[i].offset;
		reads[i].size = mark_areas[i].size;
	}
	rc = plan_compile_read(pac, options, reads, MARK_AREAS, out, why);
	for (uint32_t i = 0; !rc && i < (*out)->step_count; i++)
		if ((*out)->step[i].op == OP_READ)
			(*out)->step[i].guard = GUARD_IN_TABLE;
	return rc;
}
