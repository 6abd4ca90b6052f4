/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * backup: a whole phone into a folder, one file a partition, with a manifest. Run again into the same folder
 * it keeps what is there and right, and reads the rest.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client/ask.h"
#include "client/backup.h"
#include "common/format.h"
#include "common/names.h"
#include "common/util.h"
#include "flash/marks.h"
#include "flash/partition.h"

enum { OPT_SLOT = 1, OPT_LOADER, OPT_USER, OPT_LITE, OPT_ONLY, OPT_WITHOUT, OPT_END, OPT_WAIT, OPT_FORCE };

static const struct verb_opt options[] = {
	{ "slot", OPT_SLOT, N_("SLOT"), N_("this port; without it the only one with a phone"), false },
	{ "user-data", OPT_USER, NULL, N_("user data too (userdata, metadata, cache)"), false },
	{ "lite", OPT_LITE, NULL, N_("of A/B partitions only those of the active slot"), false },
	{ "only", OPT_ONLY, N_("NAME"), N_("only this partition or class; again: more"), true },
	{ "without", OPT_WITHOUT, N_("NAME"), N_("leave this one out; again: more"), true },
	{ "loader", OPT_LOADER, N_("LOADER"), N_("a stored pair, or a package whose loaders to use"), false },
	{ "end", OPT_END, N_("ACTION"), N_("stay (default), reset, power-off"), false },
	{ "wait", OPT_WAIT, N_("SECONDS"), N_("how long to wait for a phone (600; 0: do not)"), false },
	{ "force-loaders", OPT_FORCE, NULL, N_("take loaders that are not of one family"), false },
	{ 0 },
};

struct wish {
	const char *only[BACKUP_NAMES_MAX], *without[BACKUP_NAMES_MAX];
	size_t only_count, without_count;
	bool user_data, lite;
	const char *slot, *end;
	struct read_wish read;
};

static int say(const struct backup *b, enum error_id id, const char *what)
{
	struct failure why = { .error = id, .code = -1 };

	snprintf(why.detail, sizeof(why.detail), "%s", what);
	return client_complain(b->c, &why);
}

/* ---- the phone ---- */

static void copy(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from);
}

static void take_phone(struct backup *b, const struct backup_phone *phone)
{
	struct manifest *m = &b->m;

	if (*phone->unit)
		copy(m->unit, sizeof(m->unit), phone->unit);
	copy(m->source, sizeof(m->source), prop_str(phone->result, "table_source"));
	copy(m->storage, sizeof(m->storage), prop_str(phone->result, "storage"));
	if (*prop_str(phone->result, "rom_version"))
		copy(m->rom, sizeof(m->rom), prop_str(phone->result, "rom_version"));
	if (*prop_str(phone->image, "Product"))
		copy(m->product, sizeof(m->product), prop_str(phone->image, "Product"));
	copy(m->fdld, sizeof(m->fdld), FDLD_VERSION);
	m->sector = prop_u64(phone->result, "sector");
	m->user_size = prop_u64(phone->result, "user_size");
	json_object_put(m->table);
	m->table = json_object_get(phone->table);
}

/* The phone that the folder is of, as far as both tell; and its table. */
static int compare(const struct backup *b, const char *unit, json_object *table)
{
	if (*b->m.unit && *unit && strcmp(b->m.unit, unit) != 0)
		return say(b, ERR_BACKUP_OF_ANOTHER, "the phone's identity is another one");
	if (!manifest_same_table(b->m.table, table))
		return say(b, ERR_BACKUP_OF_ANOTHER, "the phone's partition table is another one");
	return 0;
}

static int learn(struct backup *b, struct read_wish *wish)
{
	struct backup_phone phone;
	int rc;

	wish->slot = b->slot;
	rc = backup_learn(b->c, wish, &phone);
	if (!rc && b->m.table)
		rc = compare(b, phone.unit, phone.table);
	if (rc)
		return rc;
	take_phone(b, &phone);
	/* from here on with the loader that runs there, and no other phone */
	copy(b->device, sizeof(b->device), phone.device);
	b->wish = (struct read_wish){ .slot = b->slot, .expect = b->device, .has_wait = true };
	return 0;
}

/* ---- what is wanted ---- */

static bool has_slots(const struct flash_table *t)
{
	for (uint32_t i = 0; i < t->count; i++) {
		size_t n = strlen(t->entry[i].name);

		if (n > 2 &&
		    (!strcmp(t->entry[i].name + n - 2, "_a") || !strcmp(t->entry[i].name + n - 2, "_b")))
			return true;
	}
	return false;
}

/* Which slot the phone starts, from misc. */
static int active_slot(struct backup *b, char *slot)
{
	struct mark_slots slots;
	uint8_t misc[4096];
	int rc = backup_peek(b, "misc", misc, sizeof(misc));

	if (rc)
		return rc;
	if (mark_show_slots(misc, sizeof(misc), &slots) || !slots.active)
		return say(b, ERR_INVALID_ARGS,
			   "--lite: the phone's misc does not tell which slot is active");
	*slot = slots.active;
	return 0;
}

/* All of the table, for --only: what is named is wanted, whatever it is, but what the phone takes from
 * nobody.
 */
static uint32_t everything(const struct flash_table *t, struct plan_read *out)
{
	const struct plan_save boot_area = { .user_data = true };
	uint32_t n = plan_reads_of_table(t, &boot_area, out) ? 1 : 0; /* the boot area, in no table */

	for (uint32_t i = 0; i < t->count; i++) {
		if (partition_traits(t->entry[i].name) & PARTITION_NV_TWIN)
			continue;
		out[n] = (struct plan_read){ 0 };
		copy(out[n++].target, sizeof(out[0].target), t->entry[i].name);
	}
	return n;
}

static int unused(const struct backup *b, const char *const *names, const bool *used, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!used[i])
			return say(b, ERR_PARTITION_MISSING, names[i]);
	return 0;
}

static bool own(const struct plan_read *want)
{
	return plan_area_own(want->target);
}

static int choose(struct backup *b, const struct wish *w)
{
	bool only[BACKUP_NAMES_MAX] = { 0 }, without[BACKUP_NAMES_MAX] = { 0 };
	struct plan_save save = { .user_data = w->user_data };
	struct plan_read all[PLAN_READS_MAX];
	struct flash_table t;
	uint32_t count;
	int rc = 0;

	manifest_table(b->m.table, &t);
	if (w->lite && has_slots(&t))
		rc = active_slot(b, &save.slot);
	if (rc)
		return rc;
	count = w->only_count ? everything(&t, all) : plan_reads_of_table(&t, &save, all);
	/* what is the phone's own first: if it dies on the way, that is what was worth most */
	for (int pass = 0; pass < 2; pass++)
		for (uint32_t i = 0; i < count; i++)
			if (own(&all[i]) == !pass &&
			    (!w->only_count || manifest_named(all[i].target, w->only, w->only_count, only)) &&
			    !manifest_named(all[i].target, w->without, w->without_count, without))
				b->want[b->wants++] = all[i];
	b->m.slot = save.slot;
	b->m.user_data |= w->user_data;
	rc = unused(b, w->only, only, w->only_count);
	return rc ? rc : unused(b, w->without, without, w->without_count);
}

/* ---- what is there ---- */

/* A table that cannot be put back as it is has no XML: sizes that are not known, or found in no order. */
static int put_table(struct backup *b)
{
	_cleanup_free_ char *text = NULL;
	struct failure why = { 0 };

	if (!strcmp(b->m.source, "probed") || table_xml(b->m.table, b->m.user_size, &text))
		return 0;
	return manifest_put(b->dir, MANIFEST_TABLE, text, strlen(text), &why) ? client_complain(b->c, &why)
									      : 0;
}

/* Files that are there and right need not be read again. */
static void keep_right_ones(struct backup *b)
{
	size_t to = 0;

	for (size_t i = 0; i < b->wants; i++) {
		const struct plan_read want = b->want[i];
		struct manifest_file *f = manifest_find(&b->m, want.target, false);
		struct failure why = { 0 };

		if (f && *f->file && !manifest_check(b->dir, f, &why)) {
			b->kept++;
			continue;
		}
		if (f && *f->file && !b->c->json)
			printf(_("%s is not what it was: read again\n"), clean(f->file));
		if (f)
			*f->file = 0;
		b->want[to++] = want;
	}
	b->wants = to;
	if (b->kept && !b->c->json)
		printf(_("%zu files are there already and right\n"), b->kept);
}

static int begin(struct backup *b, const struct wish *w)
{
	struct failure why = { 0 };
	int rc = choose(b, w);

	if (rc)
		return rc;
	manifest_sweep(b->dir);
	keep_right_ones(b);
	b->m.whole = false;
	if (!b->m.created)
		b->m.created = (uint64_t)time(NULL);
	if (manifest_save(b->dir, &b->m, &why))
		return client_complain(b->c, &why);
	return put_table(b);
}

/* ---- the end ---- */

static void tell(const struct backup *b)
{
	char size[FORMAT_MAX];

	if (b->c->json) {
		json_object *o = json_object_new_object(), *list = json_object_new_array();

		json_object_object_add(o, "event", json_object_new_string("backup"));
		json_object_object_add(o, "path", json_object_new_string(b->path));
		json_object_object_add(o, "unit_id", json_object_new_string(b->m.unit));
		json_object_object_add(o, "files_read", json_object_new_uint64(b->read));
		json_object_object_add(o, "files_kept", json_object_new_uint64(b->kept));
		json_object_object_add(o, "bytes_read", json_object_new_uint64(b->bytes));
		for (size_t i = 0; i < b->m.count; i++)
			if (*b->m.file[i].error)
				json_object_array_add(list, json_object_new_string(b->m.file[i].partition));
		json_object_object_add(o, "missing", list);
		json_object_object_add(o, "whole", json_object_new_boolean(b->m.whole));
		print_json(o);
		json_object_put(o);
		return;
	}
	for (size_t i = 0; i < b->m.count; i++)
		if (*b->m.file[i].error)
			printf(_("%s  %s could not be read: %s\n"), tone(b->c, TONE_WARN, _("MISSING")),
			       clean(b->m.file[i].partition), clean(b->m.file[i].error));
	if (b->m.whole)
		printf(_("The backup in %s is whole: %zu files read (%s), %zu kept.\n"), clean(b->path),
		       b->read, format_size(b->bytes, size, sizeof(size)), b->kept);
	else
		printf(_("The backup in %s is not whole yet. Run it again: what is there is kept.\n"),
		       clean(b->path));
}

static int finish(struct backup *b, const struct wish *w, int rc)
{
	struct failure why = { 0 };
	int end = 0;

	b->m.whole = !rc && !b->worst;
	if (manifest_save(b->dir, &b->m, &why) && !rc)
		rc = client_complain(b->c, &why);
	tell(b);
	if (!rc && w->end && strcmp(w->end, "stay") != 0)
		end = read_release(b->c, b->slot, !strcmp(w->end, "power-off"));
	else if (!b->c->json)
		read_say_kept(b->c, b->slot);
	return rc ? rc : b->worst ? b->worst : end;
}

static int make(struct backup *b, struct wish *w)
{
	_cleanup_free_ char *slot = NULL;
	struct failure why = { 0 };
	int rc, r;

	b->dir = manifest_open(b->path, true, &why);
	if (b->dir < 0)
		return client_complain(b->c, &why);
	r = manifest_load(b->dir, &b->m, &why);
	if (r && r != -ENOENT)
		return client_complain(b->c, &why);
	if (r && !manifest_empty(b->dir))
		return say(b, ERR_BACKUP_DAMAGED,
			   "the folder holds files but no manifest; an empty one is needed");
	rc = mirror_load(b->c);
	if (!rc)
		rc = w->slot ? ask_slot(b->c, w->slot, &slot) : ask_only_slot(b->c, "backup", &slot);
	b->slot = slot;
	if (!rc)
		rc = learn(b, &w->read);
	if (!rc)
		rc = begin(b, w);
	if (rc)
		return rc;
	return finish(b, w, backup_read(b));
}

static int add(const char **list, size_t *count, const char *name)
{
	if (*count == BACKUP_NAMES_MAX)
		return client_usage(N_("backup: too many names"));
	list[(*count)++] = name;
	return 0;
}

static int run(struct client *c, int argc, char **argv)
{
	struct backup b = { .c = c, .dir = -1 };
	struct wish w = { 0 };
	int opt, rc;

	while ((opt = verb_next(c, &verb_backup, argc, argv, &rc)) != -1) {
		switch (opt) {
		case -2: return rc;
		case OPT_SLOT: w.slot = optarg; break;
		case OPT_USER: w.user_data = true; break;
		case OPT_LITE: w.lite = true; break;
		case OPT_ONLY: rc = add(w.only, &w.only_count, optarg); break;
		case OPT_WITHOUT: rc = add(w.without, &w.without_count, optarg); break;
		case OPT_LOADER: w.read.loader = optarg; break;
		case OPT_END: w.end = optarg; break;
		case OPT_FORCE: w.read.force_loaders = true; break;
		case OPT_WAIT:
			w.read.has_wait = true;
			rc = ask_seconds(optarg, &w.read.wait_usec);
			break;
		default: break;
		}
		if (rc)
			return rc;
	}
	if (c->host)
		return client_usage(
			N_("backup: files do not come through ssh; make it on %s and copy the folder from there"),
			c->host);
	if (argc - optind != 1)
		return client_usage(N_("backup: which folder?"));
	if (w.end && strcmp(w.end, "stay") && strcmp(w.end, "reset") && strcmp(w.end, "power-off"))
		return client_usage(N_("backup: '%s' is no end: stay, reset, power-off"), w.end);
	b.path = argv[optind];
	rc = make(&b, &w);
	manifest_free(&b.m);
	if (b.dir >= 0)
		close(b.dir);
	return rc;
}

const struct verb verb_backup = {
	.name = "backup",
	.args = N_("DIR"),
	.summary = N_("phones into folders, and back; their tables"),
	.about = N_(
		"Reads all partitions, but for user data and logs, into the folder: one file each, the table as XML, and a "
		"manifest with sizes and SHA-256. Run again it keeps what is there and reads the rest. The phone is not changed."),
	.options = options,
	.operand = OPERAND_FOLDER,
	.run = run,
};
