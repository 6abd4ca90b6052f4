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

/* MiB where all of them are whole ones, as in most packages; else KiB; the last row takes what is left. */
int table_xml(json_object *rows, char **text)
{
	size_t count = json_object_array_length(rows), len;
	struct scheme_table t = { .present = true };
	uint64_t unit = 1 << 20;
	bool fit = count > 0;

	t.part = calloc(count + 1, sizeof(*t.part));
	if (!t.part)
		return -ENOMEM;
	for (size_t i = 0; i + 1 < count; i++)
		if (prop_u64(json_object_array_get_idx(rows, i), "size") % unit)
			unit = 1 << 10;
	t.v1 = unit == 1 << 10;
	t.unit = t.v1 ? 2 : 0;
	t.unit_bytes = (uint32_t)unit;
	t.parts = count;
	for (size_t i = 0; i < count; i++) {
		json_object *row = json_object_array_get_idx(rows, i);
		uint64_t bytes = prop_u64(row, "size");
		const char *name = prop_str(row, "name");

		fit &= strlen(name) < sizeof(t.part[i].name) &&
		       (i + 1 == count || (bytes != UINT64_MAX && !(bytes % unit)));
		snprintf(t.part[i].name, sizeof(t.part[i].name), "%.31s", name);
		t.part[i].size = i + 1 == count ? SCHEME_REST : bytes / unit;
	}
	if (fit && made_table_xml(&t, text, &len) < 0)
		fit = false;
	free(t.part);
	return fit ? 0 : -ERANGE;
}

static int show_xml(const struct client *c, json_object *rows)
{
	_cleanup_free_ char *text = NULL;
	int r = table_xml(rows, &text);

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
		return show_xml(c, rows);
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
