/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* partitions: the phone's table, for people, for programs, or as the XML that repartitioning takes. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/ask.h"
#include "client/read.h"
#include "common/format.h"
#include "common/names.h"
#include "common/util.h"
#include "flash/table_text.h"
#include "pac/made.h"

enum { OPT_SLOT = 1, OPT_LOADER, OPT_XML, OPT_END, OPT_FORCE };

static const struct verb_opt options[] = {
	{ "slot", OPT_SLOT, N_("SLOT"), N_("the same as SLOT without the option"), false },
	{ "loader", OPT_LOADER, N_("LOADER"), N_("a stored pair, or a package whose loaders to use"), false },
	{ "xml", OPT_XML, NULL, N_("as the <Partitions> of a package"), false },
	{ "end", OPT_END, N_("ACTION"), N_("stay (default), reset, power-off"), false },
	{ "force-loaders", OPT_FORCE, NULL, N_("take loaders that are not of one family"), false },
	{ 0 },
};

int table_begin(struct client *c, const struct read_wish *w, char **job)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	_cleanup_free_ char *loader = NULL;
	int r, rc = w->loader ? ask_package(c, w->loader, &loader) : 0;

	if (rc)
		return rc;
	r = sd_bus_message_new_method_call(c->bus, &m, FDLD_BUS_NAME, w->slot, FDLD_IFACE_SLOT, "ReadTable");
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "{sv}");
	if (r >= 0)
		r = ask_text(m, "loader", loader);
	if (r >= 0)
		r = ask_text(m, "end", w->end);
	if (r >= 0)
		r = ask_flag(m, "force_loaders", w->force_loaders);
	if (r >= 0 && w->has_wait)
		r = sd_bus_message_append(m, "{sv}", "wait_usec", "t", w->wait_usec);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	return ask_path(c, m, r, job);
}

/* What is told meanwhile goes where it does not mix with the table. */
int table_follow(struct client *c, const char *job)
{
	bool tty = c->tty;
	int rc, out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);

	fflush(stdout);
	if (out < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
		return error_entry(ERR_INTERNAL)->exit_code;
	c->tty = isatty(STDOUT_FILENO);
	rc = follow_jobs(c, (const char *const[]){ job }, 1, true);
	fflush(stdout);
	if (dup2(out, STDOUT_FILENO) < 0)
		rc = error_entry(ERR_INTERNAL)->exit_code;
	close(out);
	c->tty = tty;
	return rc;
}

/* ---- forms ---- */

static void show(const struct client *c, json_object *result, json_object *rows)
{
	char size[FORMAT_MAX], head[128];

	snprintf(head, sizeof(head), "%s %14s %14s  %s", padded(_("PARTITION"), 24), _("START"), _("BYTES"),
		 _("SIZE"));
	printf("%s\n", tone(c, TONE_BOLD, head));
	for (size_t i = 0; i < json_object_array_length(rows); i++) {
		json_object *row = json_object_array_get_idx(rows, i);
		uint64_t bytes = prop_u64(row, "size"), start = prop_u64(row, "start");
		char at[24] = "-";

		if (start)
			snprintf(at, sizeof(at), "0x%" PRIx64, start);
		if (bytes == UINT64_MAX)
			printf("%s %14s %14s  %s\n", padded(prop_text(row, "name"), 24), at, "-",
			       _("not known"));
		else
			printf("%s %14s %14" PRIu64 "  %s\n", padded(prop_text(row, "name"), 24), at, bytes,
			       format_size(bytes, size, sizeof(size)));
	}
	printf(_("source: %s\n"), prop_text(result, "table_source"));
}

/* Rows with places, as a GPT has them; of a list there is their order alone. */
static void take_rows(json_object *rows, struct flash_table *t)
{
	t->origin = TABLE_GPT;
	for (size_t i = 0; i < json_object_array_length(rows) && t->count < TABLE_MAX; i++) {
		json_object *row = json_object_array_get_idx(rows, i);
		struct table_entry *e = &t->entry[t->count++];

		snprintf(e->name, sizeof(e->name), "%s", prop_str(row, "name"));
		e->start = prop_u64(row, "start");
		e->size = prop_u64(row, "size");
		if (!e->start)
			t->origin = TABLE_LIST;
	}
}

int table_xml(json_object *rows, uint64_t user_size, char **text)
{
	struct flash_table *t = calloc(1, sizeof(*t));
	struct scheme_table scheme = { 0 };
	size_t len;
	int r;

	if (!t)
		return -ENOMEM;
	t->unit_sure = true;
	t->user_size = user_size;
	take_rows(rows, t);
	/* where the device ends is not known: the last one takes what there is, as in packages */
	if (!user_size && t->count)
		t->entry[t->count - 1].size = UINT64_MAX;
	r = json_object_array_length(rows) > TABLE_MAX ? -ERANGE : table_to_scheme(t, &scheme);
	free(t);
	if (!r)
		r = made_table_xml(&scheme, text, &len);
	made_table_free(&scheme);
	return r == -ENODATA ? -ERANGE : r;
}

static int show_xml(const struct client *c, json_object *rows, uint64_t user_size)
{
	_cleanup_free_ char *text = NULL;
	int r = table_xml(rows, user_size, &text);

	if (r == -ENOMEM)
		return error_entry(ERR_INTERNAL)->exit_code;
	if (r) {
		struct failure why = { .error = ERR_TABLE_UNREADABLE, .code = -1 };

		snprintf(why.detail, sizeof(why.detail),
			 "not every size is known: it cannot be written as XML");
		return client_complain(c, &why);
	}
	fputs(text, stdout);
	return 0;
}

static int print(const struct client *c, const char *job, bool xml)
{
	json_object *result = NULL, *rows = NULL, *o;
	const char *source;

	json_object_object_get_ex(mirror_props(c, job, FDLD_IFACE_JOB), "Result", &result);
	json_object_object_get_ex(result, "table", &rows);
	source = prop_str(result, "table_source");
	if (!rows || !json_object_array_length(rows)) {
		struct failure why = { .error = ERR_TABLE_UNREADABLE, .code = -1 };

		snprintf(why.detail, sizeof(why.detail), "this phone tells of no partitions");
		return client_complain(c, &why);
	}
	/* in no order of the phone's: nothing that could be put back */
	if (xml && !strcmp(source, "probed")) {
		struct failure why = { .error = ERR_TABLE_UNREADABLE, .code = -1 };

		snprintf(
			why.detail, sizeof(why.detail),
			"sizes were found name by name, and their order was not: it is no table to be put back");
		return client_complain(c, &why);
	}
	if (xml)
		return show_xml(c, rows, prop_u64(result, "user_size"));
	if (!c->json) {
		show(c, result, rows);
		return 0;
	}
	o = json_object_new_object();
	json_object_object_add(o, "source", json_object_new_string(source));
	json_object_object_add(o, "sector", json_object_new_uint64(prop_u64(result, "sector")));
	json_object_object_add(o, "user_size", json_object_new_uint64(prop_u64(result, "user_size")));
	json_object_object_add(o, "partitions", json_object_get(rows));
	print_json(o);
	json_object_put(o);
	return 0;
}

static int run(struct client *c, int argc, char **argv)
{
	_cleanup_free_ char *slot = NULL, *job = NULL;
	struct read_wish w = { 0 };
	const char *name = NULL;
	bool xml = false;
	int opt, rc;

	while ((opt = verb_next(c, &verb_partitions, argc, argv, &rc)) != -1)
		switch (opt) {
		case -2: return rc;
		case OPT_SLOT: name = optarg; break;
		case OPT_LOADER: w.loader = optarg; break;
		case OPT_XML: xml = true; break;
		case OPT_END: w.end = optarg; break;
		case OPT_FORCE: w.force_loaders = true; break;
		default: break;
		}
	if (argc - optind > (name ? 0 : 1))
		return client_usage(N_("partitions: one slot at a time"));
	if (xml && c->json)
		return client_usage(N_("partitions: either --xml or --json"));
	if (!name && optind < argc)
		name = argv[optind];
	rc = mirror_load(c);
	if (!rc)
		rc = name ? ask_slot(c, name, &slot) : ask_only_slot(c, "partitions", &slot);
	w.slot = slot;
	if (!rc)
		rc = table_begin(c, &w, &job);
	if (!rc)
		rc = table_follow(c, job);
	return rc ? rc : print(c, job, xml);
}

const struct verb verb_partitions = {
	.name = "partitions",
	.args = N_("[SLOT]"),
	.summary = N_("the partition table of a phone"),
	.about = N_(
		"Prints the phone's partition table and how it was found: gpt, list, or probed name by name."),
	.options = options,
	.operand = OPERAND_PLACES,
	.beside = "list",
	.run = run,
};
