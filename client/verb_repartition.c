/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * repartition: another partition table for a phone. First it is only looked at what that would do, and shown;
 * the phone waits in its loader meanwhile. Then it is asked, and done by a second job on the same phone.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/ask.h"
#include "client/read.h"
#include "common/format.h"
#include "common/names.h"
#include "common/util.h"

enum { OPT_SLOT = 1, OPT_LOADER, OPT_PRODUCT, OPT_DRY, OPT_YES, OPT_KNOW, OPT_END, OPT_FORCE, OPT_WAIT };

static const struct verb_opt options[] = {
	{ "slot", OPT_SLOT, N_("SLOT"), N_("this port; without it the only one with a phone"), false },
	{ "dry-run", OPT_DRY, NULL, N_("show the difference and leave it at that"), false },
	{ "yes", OPT_YES, NULL, N_("do not ask once it is shown"), false },
	{ "i-know", OPT_KNOW, NULL, N_("also without room for what is the phone's own"), false },
	{ "product", OPT_PRODUCT, N_("NAME"), N_("of a package's XML with several products"), false },
	{ "loader", OPT_LOADER, N_("LOADER"), N_("a stored pair, or a package whose loaders to use"), false },
	{ "end", OPT_END, N_("ACTION"), N_("stay (default), reset, power-off"), false },
	{ "wait", OPT_WAIT, N_("SECONDS"), N_("how long to wait for a phone (600; 0: do not)"), false },
	{ "force-loaders", OPT_FORCE, NULL, N_("take loaders that are not of one family"), false },
	{ 0 },
};

struct wish {
	struct read_wish read;
	const char *name, *file, *product; /* name: of the slot as it was said */
	char *loader;			   /* as the daemon knows it */
	char *device;			   /* that was looked at */
	bool dry, yes, i_know;
	int fd;
};

/* ---- the jobs ---- */

static int put_options(sd_bus_message *m, const struct wish *w, bool dry)
{
	int r = sd_bus_message_open_container(m, 'a', "{sv}");

	if (r >= 0)
		r = ask_text(m, "product", w->product);
	if (r >= 0)
		r = ask_text(m, "loader", w->loader);
	if (r >= 0)
		r = ask_text(m, "end", dry ? "stay" : w->read.end);
	if (r >= 0)
		r = ask_flag(m, "dry_run", dry);
	if (r >= 0)
		r = ask_flag(m, "i_know", w->i_know);
	if (r >= 0)
		r = ask_flag(m, "force_loaders", w->read.force_loaders);
	if (r >= 0 && w->device)
		r = sd_bus_message_append(m, "{sv}", "expect_device", "o", w->device);
	if (r >= 0 && w->read.has_wait)
		r = sd_bus_message_append(m, "{sv}", "wait_usec", "t", w->read.wait_usec);
	return r < 0 ? r : sd_bus_message_close_container(m);
}

static int ask(struct client *c, const struct wish *w, bool dry, char **job)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r = sd_bus_message_new_method_call(c->bus, &m, FDLD_BUS_NAME, w->read.slot, FDLD_IFACE_SLOT,
					       "Repartition");

	if (r >= 0)
		r = sd_bus_message_append(m, "h", w->fd);
	if (r >= 0)
		r = put_options(m, w, dry);
	return ask_path(c, m, r, job);
}

/* ---- the difference ---- */

static const char *content_text(const char *content, const char *change)
{
	if (!strcmp(content, "stays"))
		return _("stays");
	if (!strcmp(content, "cut"))
		return _("its end is cut off");
	if (!strcmp(content, "kept"))
		return _("is kept and put back");
	if (!strcmp(content, "saved"))
		return _("goes; a copy stays in the job's folder");
	if (!strcmp(content, "empty"))
		return _("new and empty");
	if (!strcmp(content, "unsure"))
		return _("perhaps lost: the phone does not tell its place");
	return !strcmp(change, "gone") ? _("goes, and is lost") : _("moves, and is lost");
}

static const char *size_text(uint64_t bytes, char *buf, size_t size)
{
	if (!bytes)
		return "-";
	return bytes == UINT64_MAX ? _("the rest") : format_size(bytes, buf, size);
}

static void show_rows(const struct client *c, json_object *rows, size_t differ)
{
	char was[FORMAT_MAX], will[FORMAT_MAX], head[128];
	size_t same = 0;

	if (!differ) {
		printf("%s\n", _("The phone has this table already."));
		return;
	}
	snprintf(head, sizeof(head), "%s %12s %12s  %s", padded(_("PARTITION"), 24), _("NOW"), _("NEW"),
		 _("CONTENT"));
	printf("%s\n", tone(c, TONE_BOLD, head));
	for (size_t i = 0; i < json_object_array_length(rows); i++) {
		json_object *row = json_object_array_get_idx(rows, i);
		const char *content = prop_str(row, "content"), *change = prop_str(row, "change");

		if (!strcmp(change, "same") && !strcmp(content, "stays")) {
			same++;
			continue;
		}
		printf("%s %12s %12s  %s\n", padded(prop_text(row, "name"), 24),
		       size_text(prop_u64(row, "was"), was, sizeof(was)),
		       size_text(prop_u64(row, "will"), will, sizeof(will)), content_text(content, change));
	}
	if (same)
		printf(_("others, which stay as they are: %zu\n"), same);
}

/* How many rows differ; negative: the job tells nothing. */
static int show(const struct client *c, const char *job)
{
	json_object *result = NULL, *rows = NULL, *o;
	size_t differ = 0;

	json_object_object_get_ex(mirror_props(c, job, FDLD_IFACE_JOB), "Result", &result);
	json_object_object_get_ex(result, "table_changes", &rows);
	if (!rows)
		return -1;
	for (size_t i = 0; i < json_object_array_length(rows); i++)
		differ += strcmp(prop_str(json_object_array_get_idx(rows, i), "change"), "same") != 0;
	if (!c->json) {
		show_rows(c, rows, differ);
		return (int)differ;
	}
	o = json_object_new_object();
	json_object_object_add(o, "event", json_object_new_string("difference"));
	json_object_object_add(o, "source", json_object_new_string(prop_str(result, "table_source")));
	json_object_object_add(o, "differ", json_object_new_uint64(differ));
	json_object_object_add(o, "partitions", json_object_get(rows));
	print_json(o);
	json_object_put(o);
	return (int)differ;
}

/* ---- asking ---- */

static bool confirmed(void)
{
	char line[16];

	printf("%s", _("Write this table to the phone? [y/N] "));
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		return false;
	/* in the user's language, and in English */
	return line[0] == 'y' || line[0] == 'Y' || !strncasecmp(line, _("y"), strlen(_("y")));
}

static int decline(struct client *c, const char *slot)
{
	printf("%s\n", _("Nothing was changed."));
	read_say_kept(c, slot);
	return error_entry(ERR_CANCELLED)->exit_code;
}

/* ---- the verb ---- */

/* An earlier one was broken off behind the table: what it owes comes back with this one. */
static bool owes(const struct client *c, const char *slot)
{
	const char *job = prop_text(mirror_props(c, slot, FDLD_IFACE_SLOT), "OwedBackup");

	if (*job && !c->json)
		printf(_("NV owed to a phone of this port by job %s\n"), job);
	return *job;
}

static int finish_unchanged(struct client *c, const struct wish *w)
{
	const char *end = w->read.end;

	if (!w->dry && end && strcmp(end, "stay") != 0)
		return read_release(c, w->read.slot, !strcmp(end, "power-off"));
	if (!c->json)
		read_say_kept(c, w->read.slot);
	return 0;
}

static int work(struct client *c, struct wish *w)
{
	_cleanup_free_ char *first = NULL, *second = NULL;
	const char *device;
	int differ, rc = ask(c, w, true, &first);

	if (!rc)
		rc = table_follow(c, first);
	if (rc)
		return rc;
	differ = show(c, first);
	if (differ < 0)
		return error_entry(ERR_INTERNAL)->exit_code;
	if ((!differ && !owes(c, w->read.slot)) || w->dry)
		return finish_unchanged(c, w);
	if (!w->yes && !confirmed())
		return decline(c, w->read.slot);
	/* this phone and no other */
	device = prop_str(mirror_props(c, w->read.slot, FDLD_IFACE_SLOT), "Device");
	w->device = strdup(device);
	if (!w->device)
		return error_entry(ERR_INTERNAL)->exit_code;
	rc = ask(c, w, false, &second);
	if (!rc)
		rc = follow_jobs(c, (const char *const[]){ second }, 1, true);
	if (!rc && !c->json)
		read_say_kept(c, w->read.slot);
	return rc;
}

static int open_file(const struct client *c, struct wish *w)
{
	struct failure why = { .error = ERR_INVALID_IMAGE, .code = -1 };

	w->fd = open(w->file, O_RDONLY | O_CLOEXEC);
	if (w->fd >= 0)
		return 0;
	snprintf(why.detail, sizeof(why.detail), "%s: %s", w->file, strerror(errno));
	return client_complain(c, &why);
}

static int take(struct client *c, int argc, char **argv, struct wish *w)
{
	int opt, rc;

	while ((opt = verb_next(c, &verb_repartition, argc, argv, &rc)) != -1)
		switch (opt) {
		case -2: w->file = NULL; return rc;
		case OPT_SLOT: w->name = optarg; break;
		case OPT_LOADER: w->read.loader = optarg; break;
		case OPT_PRODUCT: w->product = optarg; break;
		case OPT_DRY: w->dry = true; break;
		case OPT_YES: w->yes = true; break;
		case OPT_KNOW: w->i_know = true; break;
		case OPT_END: w->read.end = optarg; break;
		case OPT_FORCE: w->read.force_loaders = true; break;
		case OPT_WAIT:
			w->read.has_wait = true;
			rc = ask_seconds(optarg, &w->read.wait_usec);
			if (rc)
				return rc;
			break;
		default: break;
		}
	if (argc - optind != 1)
		return client_usage(N_("repartition: one file, as 'fdlctl partitions --xml' saves it"));
	if (!w->dry && !w->yes && (c->json || !isatty(STDIN_FILENO)))
		return client_usage(N_("repartition: nobody can be asked here: --yes, or --dry-run"));
	if (c->host)
		return client_usage(N_("repartition: files do not go through ssh; run it on %s"), c->host);
	w->file = argv[optind];
	return 0;
}

static int run(struct client *c, int argc, char **argv)
{
	_cleanup_free_ char *slot = NULL;
	struct wish w = { .fd = -1 };
	int rc = take(c, argc, argv, &w);

	if (rc || !w.file)
		return rc;
	rc = open_file(c, &w);
	if (!rc)
		rc = mirror_load(c);
	if (!rc)
		rc = w.name ? ask_slot(c, w.name, &slot) : ask_only_slot(c, "repartition", &slot);
	if (!rc && w.read.loader)
		rc = ask_package(c, w.read.loader, &w.loader);
	w.read.slot = slot;
	if (!rc)
		rc = work(c, &w);
	free(w.loader);
	free(w.device);
	if (w.fd >= 0)
		close(w.fd);
	return rc;
}

const struct verb verb_repartition = {
	.name = "repartition",
	.args = N_("FILE"),
	.summary = N_("another partition table for a phone"),
	.about = N_(
		"Gives the phone the partition table of FILE: what 'partitions --xml' has saved, or the XML of a package. Shows what "
		"changes and asks before anything is written. What is the phone's own (NV, factory data) is kept and put back."),
	.options = options,
	.operand = OPERAND_ANY_FILE,
	.beside = "backup",
	.run = run,
};
