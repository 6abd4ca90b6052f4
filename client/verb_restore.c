/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * restore: what backup has read goes back. Nothing is sent before every file was compared with its sum, and
 * nothing is written before the phone was found to have room for it and to be the right one. NV that a phone
 * makes anew from its fixed NV is not put back but erased.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/ask.h"
#include "client/backup.h"
#include "client/change.h"
#include "client/package.h"
#include "common/format.h"
#include "common/names.h"
#include "common/util.h"
#include "flash/marks.h"
#include "flash/partition.h"

#define BATCH	    16	/* descriptors that a message may carry on the system bus */
#define NV_OVERHEAD 512 /* bytes that a loader puts before NV (pac-and-flow 3.4) */

enum { OPT_ONLY = 1, OPT_WITHOUT };

static const struct verb_opt options[] = {
	{ "only", OPT_ONLY, N_("NAME"), N_("only this partition or class; again: more"), true },
	{ "without", OPT_WITHOUT, N_("NAME"), N_("leave this one out; again: more"), true },
	CHANGE_OPTIONS,
	{ 0 },
};

struct restore {
	struct client *c;
	const char *path;
	int dir;
	struct manifest m;
	const char *only[BACKUP_NAMES_MAX], *without[BACKUP_NAMES_MAX];
	size_t only_count, without_count;
	struct change_wish change;
	char device[128];
	bool known; /* it is the phone that the backup was made of */
	const struct manifest_file *put[MANIFEST_MAX], *erase[MANIFEST_MAX];
	size_t puts, erases, done; /* done: of put */
	uint64_t bytes;
};

static int say(const struct restore *r, enum error_id id, const char *what)
{
	struct failure why = { .error = id, .code = -1 };

	snprintf(why.detail, sizeof(why.detail), "%s", what);
	return client_complain(r->c, &why);
}

/* ---- the folder ---- */

static bool wanted(const struct restore *r, const char *partition, bool *only, bool *without)
{
	return (!r->only_count || manifest_named(partition, r->only, r->only_count, only)) &&
	       !manifest_named(partition, r->without, r->without_count, without);
}

/* The slot that the phone is to start, as the backup's misc says; 'a' if it says nothing. */
static char active_slot(const struct restore *r)
{
	_cleanup_close_ int fd = openat(r->dir, "misc.img", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct mark_slots slots = { 0 };
	uint8_t misc[4096];

	if (fd < 0 || pread(fd, misc, sizeof(misc), 0) != (ssize_t)sizeof(misc) ||
	    mark_show_slots(misc, sizeof(misc), &slots) || !slots.active)
		return 'a';
	return slots.active;
}

static bool is_of_slot(const char *partition, char slot)
{
	size_t n = strlen(partition);

	return n > 2 && partition[n - 2] == '_' && partition[n - 1] == slot;
}

/*
 * What starts the phone goes last: until then it only comes up in download mode. And the active slot behind
 * the other one: there are loaders that write an image to both.
 */
static int choose(struct restore *r)
{
	const char active = active_slot(r);
	static const enum partition_class order[] = { PARTITION_GENERIC, PARTITION_OWN,
						      PARTITION_BOOT_CHAIN };
	bool only[BACKUP_NAMES_MAX] = { 0 }, without[BACKUP_NAMES_MAX] = { 0 };

	for (size_t k = 0; k < 2 * ARRAY_SIZE(order); k++)
		for (size_t i = 0; i < r->m.count; i++) {
			const struct manifest_file *f = &r->m.file[i];
			unsigned traits = partition_traits(f->partition);

			if (partition_class(f->partition) != order[k / 2] ||
			    is_of_slot(f->partition, active) != k % 2 ||
			    !wanted(r, f->partition, only, without) || !*f->file)
				continue;
			if (traits & PARTITION_RUNTIME_NV)
				r->erase[r->erases++] = f;
			else
				r->put[r->puts++] = f;
		}
	for (size_t i = 0; i < r->only_count; i++)
		if (!only[i])
			return say(r, ERR_PARTITION_MISSING, r->only[i]);
	for (size_t i = 0; i < r->without_count; i++)
		if (!without[i])
			return say(r, ERR_PARTITION_MISSING, r->without[i]);
	return r->puts || r->erases ? 0 : say(r, ERR_BACKUP_DAMAGED, "no file of it is wanted");
}

static int check_files(struct restore *r)
{
	struct failure why = { 0 };
	char size[FORMAT_MAX];

	for (size_t i = 0; i < r->puts; i++)
		r->bytes += r->put[i]->size;
	if (!r->c->json)
		printf(_("Comparing %zu files (%s) with their sums.\n"), r->puts,
		       format_size(r->bytes, size, sizeof(size)));
	fflush(stdout);
	for (size_t i = 0; i < r->puts; i++)
		if (manifest_check(r->dir, r->put[i], &why))
			return client_complain(r->c, &why);
	return 0;
}

static int open_folder(struct restore *r)
{
	struct failure why = { 0 };
	int rc;

	r->dir = manifest_open(r->path, false, &why);
	if (r->dir < 0)
		return client_complain(r->c, &why);
	rc = manifest_load(r->dir, &r->m, &why);
	if (rc == -ENOENT)
		return say(r, ERR_BACKUP_DAMAGED, "there is no " MANIFEST_FILE " in the folder");
	if (rc)
		return client_complain(r->c, &why);
	if (!r->m.whole && !r->c->json)
		printf(_("The backup is not whole: what is not in it stays as it is on the phone.\n"));
	rc = choose(r);
	return rc ? rc : check_files(r);
}

/* ---- the phone ---- */

static int fits(const struct restore *r, const struct manifest_file *f, const struct flash_table *t)
{
	bool nv = partition_traits(f->partition) & (PARTITION_NV | PARTITION_RUNTIME_NV);
	uint64_t need = f->size + (nv ? NV_OVERHEAD : 0);
	const struct table_entry *e = NULL;
	char text[128];

	if (partition_traits(f->partition) & PARTITION_BOOT_AREA)
		return 0;
	for (uint32_t i = 0; i < t->count && !e; i++)
		if (!strcmp(t->entry[i].name, f->partition))
			e = &t->entry[i];
	if (e && (e->size == UINT64_MAX || e->size >= need))
		return 0;
	if (e)
		snprintf(text, sizeof(text), "%s: %" PRIu64 " bytes are there, %" PRIu64 " are needed",
			 f->partition, e->size, need);
	else
		snprintf(text, sizeof(text), "%s: the phone has no such partition", f->partition);
	return say(r, ERR_BACKUP_DOES_NOT_FIT, text);
}

/* What is one phone's own goes back to that phone only, or on somebody's word. */
static int may(struct restore *r)
{
	char text[160];

	for (size_t i = 0; i < r->puts; i++) {
		if (partition_class(r->put[i]->partition) != PARTITION_OWN || r->known || r->change.i_know)
			continue;
		snprintf(text, sizeof(text), "%s: %s; `--without own` leaves such partitions out",
			 r->put[i]->partition,
			 *r->m.unit ? "the backup is of another phone, or this one does not tell who it is"
				    : "the backup does not tell of which phone it is");
		return say(r, ERR_PARTITION_UNIQUE, text);
	}
	return 0;
}

static int meet(struct restore *r)
{
	struct read_wish wish = { .slot = r->change.path,
				  .loader = r->change.loader,
				  .force_loaders = r->change.force_loaders,
				  .has_wait = r->change.has_wait,
				  .wait_usec = r->change.wait_usec };
	struct backup_phone phone;
	struct flash_table t;
	int rc = backup_learn(r->c, &wish, &phone);

	if (rc)
		return rc;
	manifest_table(phone.table, &t);
	snprintf(r->device, sizeof(r->device), "%s", phone.device);
	r->known = *r->m.unit && !strcmp(r->m.unit, phone.unit);
	for (size_t i = 0; i < r->puts && !rc; i++)
		rc = fits(r, r->put[i], &t);
	for (size_t i = 0; i < r->erases && !rc; i++)
		rc = fits(r, r->erase[i], &t);
	return rc ? rc : may(r);
}

/* ---- writing ---- */

/* Common to writing and erasing; the phone is the one that was looked at, and runs its loader. */
static int put_options(struct restore *r, sd_bus_message *m, bool own)
{
	struct change_wish w = r->change;
	int rc;

	w.loader = NULL;
	w.end = NULL;
	w.i_know = own;
	w.has_wait = true;
	w.wait_usec = 0;
	w.expect = r->device;
	return change_put(r->c, m, &w, &rc);
}

static int ask_and_follow(struct restore *r, sd_bus_message *m, int n)
{
	_cleanup_free_ char *job = NULL;
	int rc;

	if (n >= 0)
		n = sd_bus_message_close_container(m);
	rc = ask_path(r->c, m, n, &job);
	if (!rc)
		rc = follow_jobs(r->c, (const char *const[]){ job }, 1, true);
	return !rc && r->change.dry_run ? package_print_decided(r->c, job) : rc;
}

/* The next ones that go together: of one class; NV each alone, as each has items of its own. */
static size_t gather(const struct restore *r, size_t from)
{
	enum partition_class class = partition_class(r->put[from]->partition);
	size_t n = 1;

	if (partition_traits(r->put[from]->partition) & PARTITION_NV)
		return 1;
	while (n < BATCH && from + n < r->puts && partition_class(r->put[from + n]->partition) == class &&
	       !(partition_traits(r->put[from + n]->partition) & PARTITION_NV))
		n++;
	return n;
}

static int write_batch(struct restore *r, size_t from, size_t count)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	bool own = partition_class(r->put[from]->partition) == PARTITION_OWN;
	int rc = 0, n = sd_bus_message_new_method_call(r->c->bus, &m, FDLD_BUS_NAME, r->change.path,
						       FDLD_IFACE_SLOT, "Write");

	if (n >= 0)
		n = sd_bus_message_open_container(m, 'a', "(shs)");
	for (size_t i = from; n >= 0 && i < from + count && !rc; i++) {
		const struct manifest_file *f = r->put[i];
		_cleanup_close_ int fd = openat(r->dir, f->file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

		if (fd < 0)
			rc = say(r, ERR_BACKUP_DAMAGED, f->file);
		else
			n = sd_bus_message_append(m, "(shs)", f->partition, fd, f->file);
	}
	if (rc)
		return rc;
	if (n >= 0)
		n = sd_bus_message_close_container(m);
	if (n >= 0)
		n = sd_bus_message_open_container(m, 'a', "{sv}");
	/* byte by byte: it is what the phone had, whatever it looks like */
	if (n >= 0)
		n = ask_flag(m, "as_is", true);
	if (n >= 0 && partition_traits(r->put[from]->partition) & PARTITION_NV)
		n = ask_text(m, "nv", "package");
	if (n >= 0)
		n = put_options(r, m, own);
	return ask_and_follow(r, m, n);
}

static int erase_all(struct restore *r)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int n;

	if (!r->erases)
		return 0;
	n = sd_bus_message_new_method_call(r->c->bus, &m, FDLD_BUS_NAME, r->change.path, FDLD_IFACE_SLOT,
					   "Erase");
	if (n >= 0)
		n = sd_bus_message_open_container(m, 'a', "(st)");
	for (size_t i = 0; n >= 0 && i < r->erases; i++)
		n = sd_bus_message_append(m, "(st)", r->erase[i]->partition, UINT64_C(0));
	if (n >= 0)
		n = sd_bus_message_close_container(m);
	if (n >= 0)
		n = sd_bus_message_open_container(m, 'a', "{sv}");
	if (n >= 0)
		n = put_options(r, m, false);
	return ask_and_follow(r, m, n);
}

static int write_all(struct restore *r)
{
	bool erased = false;
	int rc = 0;

	while (r->done < r->puts && !rc) {
		size_t n = gather(r, r->done);

		/* what is made from NV goes before what starts the phone comes */
		if (!erased && partition_class(r->put[r->done]->partition) == PARTITION_BOOT_CHAIN) {
			rc = erase_all(r);
			erased = true;
		}
		if (!rc)
			rc = write_batch(r, r->done, n);
		if (!rc)
			r->done += n;
	}
	return rc || erased ? rc : erase_all(r);
}

/* ---- what is said ---- */

static void describe(const struct restore *r, char *text, size_t size)
{
	size_t used = (size_t)snprintf(text, size, _("Written to the phone, from %s:"), clean(r->path));

	for (size_t i = 0; i < r->puts && used < size; i++)
		used += (size_t)snprintf(text + used, size - used, "%s%s", i ? ", " : " ",
					 clean(r->put[i]->partition));
	for (size_t i = 0; i < r->erases && used < size; i++)
		used += (size_t)snprintf(text + used, size - used, "%s%s", i ? ", " : _("; erased: "),
					 clean(r->erase[i]->partition));
}

static void tell(const struct restore *r, int rc)
{
	if (r->c->json) {
		json_object *o = json_object_new_object(), *list = json_object_new_array();

		json_object_object_add(o, "event", json_object_new_string("restore"));
		json_object_object_add(o, "path", json_object_new_string(r->path));
		json_object_object_add(o, "same_phone", json_object_new_boolean(r->known));
		json_object_object_add(o, "files_written", json_object_new_uint64(r->done));
		for (size_t i = r->done; i < r->puts; i++)
			json_object_array_add(list, json_object_new_string(r->put[i]->partition));
		json_object_object_add(o, "not_written", list);
		print_json(o);
		json_object_put(o);
		return;
	}
	if (!rc) {
		printf(_("All %zu files of the backup in %s are on the phone.\n"), r->puts, clean(r->path));
		return;
	}
	printf(_("%zu of %zu files were written. Not surely on the phone:"), r->done, r->puts);
	for (size_t i = r->done; i < r->puts; i++)
		printf(" %s", clean(r->put[i]->partition));
	printf("\n%s\n", _("Run it again to write all of them, or those with --only."));
}

static int restore(struct restore *r)
{
	char text[4096];
	int rc = open_folder(r);

	if (!rc)
		rc = change_begin(r->c, &r->change, "restore");
	if (!rc)
		rc = meet(r);
	if (rc)
		return rc;
	describe(r, text, sizeof(text));
	rc = change_confirm(r->c, &r->change, text);
	if (rc)
		return rc;
	rc = write_all(r);
	if (r->change.dry_run)
		return rc;
	tell(r, rc);
	if (!rc && r->change.end && strcmp(r->change.end, "stay") != 0)
		return read_release(r->c, r->change.path, !strcmp(r->change.end, "power-off"));
	if (!r->c->json)
		read_say_kept(r->c, r->change.path);
	return rc;
}

static int add(const char **list, size_t *count, const char *name)
{
	if (*count == BACKUP_NAMES_MAX)
		return client_usage(N_("restore: too many names"));
	list[(*count)++] = name;
	return 0;
}

static int run(struct client *c, int argc, char **argv)
{
	struct restore r = { .c = c, .dir = -1 };
	const char *end;
	int opt, rc;

	while ((opt = verb_next(c, &verb_restore, argc, argv, &rc)) != -1) {
		if (opt == -2)
			return rc;
		if (opt == OPT_ONLY)
			rc = add(r.only, &r.only_count, optarg);
		else if (opt == OPT_WITHOUT)
			rc = add(r.without, &r.without_count, optarg);
		else
			rc = change_take(&r.change, opt);
		if (rc)
			return rc;
	}
	if (c->host)
		return client_usage(
			N_("restore: files do not come through ssh; copy the folder to %s and do it there"),
			c->host);
	if (argc - optind != 1)
		return client_usage(N_("restore: which folder?"));
	end = r.change.end;
	if (end && strcmp(end, "stay") && strcmp(end, "reset") && strcmp(end, "power-off"))
		return client_usage(N_("restore: '%s' is no end: stay, reset, power-off"), end);
	r.path = argv[optind];
	rc = restore(&r);
	manifest_free(&r.m);
	change_drop(&r.change);
	if (r.dir >= 0)
		close(r.dir);
	return rc;
}

const struct verb verb_restore = {
	.name = "restore",
	.args = N_("DIR"),
	.summary = N_("put a backup back"),
	.about = N_(
		"Writes what is in the folder of a backup to the phone, once all files were compared with their sums and the "
		"phone was found to have room. What is one phone's own goes back to that phone only."),
	.options = options,
	.operand = OPERAND_FOLDER,
	.beside = "backup",
	.run = run,
};
