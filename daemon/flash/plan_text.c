/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/util.h"
#include "flash/plan_build.h"

static const char *name_of(const char *const *names, size_t n, unsigned value)
{
	return value < n && names[value] ? names[value] : "unknown";
}

const char *plan_op_name(enum plan_op op)
{
	static const char *const names[] = {
		[OP_ERASE_ALL] = "erase-all",
		[OP_REPARTITION] = "repartition",
		[OP_ERASE] = "erase",
		[OP_WRITE] = "write",
		[OP_WRITE_NV] = "write-nv",
		[OP_RESTORE] = "restore",
		[OP_CHANGE] = "change",
		[OP_FIRST_MODE] = "first-mode",
		[OP_ENABLE_WRITE] = "enable-write",
		[OP_VERIFY] = "verify",
		[OP_READ] = "read",
		[OP_RESET] = "reset",
		[OP_POWER_OFF] = "power-off",
	};

	return name_of(names, ARRAY_SIZE(names), op);
}

const char *guard_name(enum guard guard)
{
	static const char *const names[] = {
		[GUARD_ALWAYS] = "always",
		[GUARD_TABLE_DIFFERS] = "table-differs",
		[GUARD_STORAGE_EMMC] = "storage-emmc",
		[GUARD_STORAGE_UFS] = "storage-ufs",
		[GUARD_IN_TABLE] = "in-table",
		[GUARD_BACKUP_VALID] = "backup-valid",
	};

	return name_of(names, ARRAY_SIZE(names), guard);
}

const char *boundary_name(enum boundary boundary)
{
	static const char *const names[] = { "now", "entry", "bound" };

	return name_of(names, ARRAY_SIZE(names), boundary);
}

const char *nv_policy_name(enum nv_policy policy)
{
	static const char *const names[] = { "keep", "keep-if-any", "package" };

	return name_of(names, ARRAY_SIZE(names), policy);
}

const char *repartition_policy_name(enum repartition_policy policy)
{
	static const char *const names[] = { "on-mismatch", "package", "always", "never" };

	return name_of(names, ARRAY_SIZE(names), policy);
}

const char *verify_level_name(enum verify_level level)
{
	static const char *const names[] = { "acknowledged", "sampled", "verified" };

	return name_of(names, ARRAY_SIZE(names), level);
}

const char *end_action_name(enum end_action end)
{
	static const char *const names[] = { "reset", "power-off", "stay" };

	return name_of(names, ARRAY_SIZE(names), end);
}

const char *plan_unknown_text(enum plan_unknown unknown)
{
	static const char *const texts[] = {
		[UNKNOWN_NONE] = "",
		[UNKNOWN_UID] = "READ_CHIP_UID",
		[UNKNOWN_LIST_OR_UID] = "READ_PARTITION, or READ_CHIP_UID if its table can be read as GPT",
	};

	return name_of(texts, ARRAY_SIZE(texts), unknown);
}

static const char *bytes_text(uint64_t n, char *buf, size_t size)
{
	if (n < 10240)
		snprintf(buf, size, "%" PRIu64 " bytes", n);
	else if (n < 10u << 20)
		snprintf(buf, size, "%.1f KiB", (double)n / 1024);
	else if (n < 10ull << 30)
		snprintf(buf, size, "%.1f MiB", (double)n / (1 << 20));
	else
		snprintf(buf, size, "%.1f GiB", (double)n / (1 << 30));
	return buf;
}

const char *plan_step_text(const struct plan *plan, const struct plan_step *s, char *buf, size_t size)
{
	const char *op = plan_op_name(s->op);
	char amount[32];

	bytes_text(s->size, amount, sizeof(amount));
	switch (s->op) {
	case OP_ERASE_ALL: snprintf(buf, size, "erase everything: boot areas, table, user area"); break;
	case OP_REPARTITION:
		snprintf(buf, size, "repartition (%" PRIu32 " partitions)", plan->table.count);
		break;
	case OP_ERASE:
		if (!s->by_name && s->address == 0xFE000006u) /* the size field names the file system */
			snprintf(buf, size, "format %c%c%c%c", (int)(s->size & 0x7f),
				 (int)(s->size >> 8 & 0x7f), (int)(s->size >> 16 & 0x7f),
				 (int)(s->size >> 24 & 0x7f));
		else if (!s->size || s->size >= ERASE_EVERYTHING || rule_write_only(s->address))
			snprintf(buf, size, "erase %s", s->target);
		else
			snprintf(buf, size, "erase %s (%s)", s->target, amount);
		break;
	case OP_WRITE_NV:
		snprintf(buf, size, "write NV %s (%s, %s)", s->target, amount,
			 s->backup < 0 ? "the package's"
			 : s->item < 0 ? "this phone's"
				       : "merged with this phone's");
		break;
	case OP_FIRST_MODE:
		snprintf(buf, size, "set the mode of the first start (%d)", plan->mark[0].value);
		break;
	case OP_CHANGE: snprintf(buf, size, "change %s (read, kept and written back)", s->target); break;
	case OP_RESTORE: snprintf(buf, size, "restore %s (%s, this phone's)", s->target, amount); break;
	case OP_VERIFY:
		if (!s->size)
			snprintf(buf, size, "verify %s: not compared (%s)", s->target, s->no_verify);
		else
			snprintf(buf, size, "verify %s (%s)%s%s", s->target, amount,
				 s->no_verify[0] ? ", " : "", s->no_verify);
		break;
	case OP_WRITE: snprintf(buf, size, "write %s (%s)", s->target, amount); break;
	case OP_READ:
		if (s->measure)
			snprintf(buf, size, "read %s from byte %" PRIu64 ", as long as its header says",
				 s->target, s->offset);
		else if (!s->size)
			snprintf(buf, size, "read %s from byte %" PRIu64 " to its end", s->target, s->offset);
		else
			snprintf(buf, size, "read %s (%s from byte %" PRIu64 ")", s->target, amount,
				 s->offset);
		break;
	default: snprintf(buf, size, "%s", op); break;
	}
	return buf;
}

static const char *guard_words(enum guard guard)
{
	switch (guard) {
	case GUARD_TABLE_DIFFERS: return ", if the phone's table differs";
	case GUARD_STORAGE_EMMC: return ", if the phone has eMMC";
	case GUARD_STORAGE_UFS: return ", if the phone has UFS";
	case GUARD_IN_TABLE: return ", if the table lists it";
	case GUARD_BACKUP_VALID: return ", if it was there";
	default: return "";
	}
}

static void print_loader(const struct plan *p, const struct plan_loader *l, uint32_t index, plan_line line,
			 void *ctx)
{
	const struct pac_item *item = plan_loader_item(p, l);
	char text[256], amount[32];

	if (!item)
		return;
	snprintf(text, sizeof(text), "%s at 0x%08" PRIx32 " (%s%s%s)%s", item->file->id, l->base,
		 bytes_text(l->size, amount, sizeof(amount)), l->text[0] ? ", " : "", l->text,
		 l->second_enum ? ", the phone leaves the bus and returns"
		 : l->may_leave ? ", the phone may leave the bus for a moment"
				: "");
	line(ctx, "loader", index, text);
}

void plan_print(const struct plan *p, plan_line line, void *ctx)
{
	char text[400], one[256], amount[32], back[32];

	snprintf(text, sizeof(text), "%s, %s; NV %s, repartition %s, level %s, then %s",
		 p->family == PLAN_TWO_STAGE ? "two loaders" : "one loader",
		 p->old_ids ? "by address" : "by partition", nv_policy_name(p->options.nv),
		 repartition_policy_name(p->options.repartition), verify_level_name(p->options.level),
		 end_action_name(p->options.end));
	line(ctx, "family", 0, text);
	print_loader(p, &p->fdl1, 0, line, ctx);
	print_loader(p, &p->fdl2, 1, line, ctx);
	for (uint32_t i = 0; i < p->table.count; i++) {
		const struct table_entry *e = &p->table.entry[i];

		snprintf(text, sizeof(text), "%s %s", e->name,
			 e->size == UINT64_MAX ? "the rest" : bytes_text(e->size, amount, sizeof(amount)));
		line(ctx, "table", i, text);
	}
	for (uint32_t i = 0; i < p->backup_count; i++) {
		snprintf(text, sizeof(text), "keep %s of %s (%s)%s",
			 p->backup[i].kind == BACKUP_NV ? "NV" : "content", p->backup[i].target,
			 bytes_text(p->backup[i].size, amount, sizeof(amount)),
			 p->backup[i].must ? ", nothing is erased without it" : "");
		line(ctx, "backup", i, text);
	}
	for (uint32_t i = 0; i < p->step_count; i++) {
		const struct plan_step *s = &p->step[i];

		snprintf(text, sizeof(text), "%s%s", plan_step_text(p, s, one, sizeof(one)),
			 guard_words(s->guard));
		line(ctx, "step", i, text);
	}
	for (uint32_t i = 0; i < p->doubt_count; i++)
		line(ctx, "doubt", i, p->doubt[i]);
	snprintf(text, sizeof(text), "%s to send, %s to read back",
		 bytes_text(p->bytes_to_send, amount, sizeof(amount)),
		 bytes_text(p->bytes_to_verify + p->bytes_to_read, back, sizeof(back)));
	line(ctx, "total", 0, text);
}
