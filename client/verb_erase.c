/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* erase: partitions, flash by address, the user data, or everything; erase-flash: by address only. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "client/ask.h"
#include "client/change.h"
#include "client/read.h"
#include "common/format.h"
#include "common/names.h"
#include "common/util.h"
#include "flash/partition.h"

#define AREAS_MAX 64

enum { OPT_USER_DATA = 1, OPT_EVERYTHING };

static const struct verb_opt options[] = {
	{ "user-data", OPT_USER_DATA, NULL, N_("have the phone delete it at its next start"), false },
	{ "everything", OPT_EVERYTHING, NULL, N_("all there is, with --i-know"), false },
	CHANGE_OPTIONS,
	{ 0 },
};

static const struct verb_opt flash_options[] = {
	CHANGE_OPTIONS,
	{ 0 },
};

struct wish {
	struct change_wish change;
	struct read_area area[AREAS_MAX];
	size_t count;
	bool user_data, everything;
};

/* What is going to be lost, for whoever is asked. */
static void describe(const struct wish *w, char *text, size_t size)
{
	const char *slot = w->change.slot ? w->change.slot : "";
	size_t used;

	if (w->everything) {
		snprintf(
			text, size, "%s",
			_("Everything on the phone is erased, with what it needs to start, its partition table, and "
			  "its calibration and identity, which are kept here before."));
		return;
	}
	if (w->user_data) {
		snprintf(text, size, "%s", _("The phone is told to delete its user data at its next start."));
		return;
	}
	used = (size_t)snprintf(text, size, "%s %s", _("Erased on the phone:"), slot);
	for (size_t i = 0; i < w->count && used < size; i++) {
		const struct read_area *a = &w->area[i];
		enum partition_class class = partition_class(a->target);
		char bytes[FORMAT_MAX];

		used += (size_t)snprintf(text + used, size - used, "%s%s", i ? ", " : " ", clean(a->target));
		if (a->size && used < size)
			used += (size_t)snprintf(text + used, size - used, " (%s)",
						 format_size(a->size, bytes, sizeof(bytes)));
		if (class == PARTITION_GENERIC || used >= size)
			continue;
		used += (size_t)snprintf(text + used, size - used, " [%s]",
					 class == PARTITION_OWN ? _("this phone's own, kept before")
								: _("the phone does not start without it"));
	}
}

static int send(struct client *c, struct wish *w)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int rc = 0, r = sd_bus_message_new_method_call(c->bus, &m, FDLD_BUS_NAME, w->change.path,
						       FDLD_IFACE_SLOT, "Erase");

	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "(st)");
	for (size_t i = 0; r >= 0 && i < w->count; i++)
		r = sd_bus_message_append(m, "(st)", w->area[i].target, w->area[i].size);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "{sv}");
	if (r >= 0)
		r = ask_flag(m, "user_data", w->user_data);
	if (r >= 0)
		r = ask_flag(m, "everything", w->everything);
	if (r >= 0)
		r = change_put(c, m, &w->change, &rc);
	if (rc)
		return rc;
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	return change_run(c, &w->change, m, r);
}

static int erase(struct client *c, struct wish *w, const char *verb)
{
	char text[4096];
	int rc = change_begin(c, &w->change, verb);

	if (!rc) {
		describe(w, text, sizeof(text));
		rc = change_confirm(c, &w->change, text);
	}
	if (!rc)
		rc = send(c, w);
	if (!rc && w->user_data && !w->change.dry_run && !c->json &&
	    (!w->change.end || !strcmp(w->change.end, "stay")))
		print_wrapped(stdout, "      ", _("The user data goes when the phone starts: fdlctl reset"));
	change_drop(&w->change);
	return rc;
}

static int run(struct client *c, int argc, char **argv)
{
	struct wish w = { 0 };
	int opt, rc;

	while ((opt = verb_next(c, &verb_erase, argc, argv, &rc)) != -1)
		switch (opt) {
		case -2: return rc;
		case OPT_USER_DATA: w.user_data = true; break;
		case OPT_EVERYTHING: w.everything = true; break;
		default:
			rc = change_take(&w.change, opt);
			if (rc)
				return rc;
		}
	if (argc - optind > AREAS_MAX)
		return client_usage(N_("erase: at most %d areas at a time"), AREAS_MAX);
	for (; optind < argc; optind++) {
		struct read_area *a = &w.area[w.count++];

		if (!read_area_parse(argv[optind], a) || a->offset ||
		    (a->size && strncmp(a->target, "0x", 2) != 0) || a->size > UINT32_MAX)
			return client_usage(
				N_("erase: '%s' is no area: the NAME of a partition, or ADDRESS+SIZE"),
				argv[optind]);
	}
	if ((w.count > 0) + w.user_data + w.everything != 1)
		return client_usage(
			N_("erase: what? Partitions, or ADDRESS+SIZE, or --user-data, or --everything"));
	return erase(c, &w, "erase");
}

const struct verb verb_erase = {
	.name = "erase",
	.args = N_("PART..."),
	.summary = N_("erase partitions, user data, or everything"),
	.about = N_(
		"Erases partitions, each as a whole, or flash (ADDRESS+SIZE; K, M and G count). Whatever else the phone "
		"has stays, and it stays in its loader for the next command. What is this phone's own takes --i-know."),
	.options = options,
	.operand = OPERAND_NONE,
	.run = run,
};

static int run_flash(struct client *c, int argc, char **argv)
{
	struct wish w = { .count = 1 };
	char area[128];
	int opt, rc;

	while ((opt = verb_next(c, &verb_erase_flash, argc, argv, &rc)) != -1) {
		if (opt == -2)
			return rc;
		rc = change_take(&w.change, opt);
		if (rc)
			return rc;
	}
	if (argc - optind != 2)
		return client_usage(N_("erase-flash: ADDRESS and SIZE"));
	snprintf(area, sizeof(area), "%.60s+%.60s", argv[optind], argv[optind + 1]);
	if (!read_area_parse(area, &w.area[0]) || strncmp(w.area[0].target, "0x", 2) != 0 ||
	    w.area[0].offset || w.area[0].size > UINT32_MAX)
		return client_usage(N_("erase-flash: '%s' and '%s' are no address and size"), argv[optind],
				    argv[optind + 1]);
	return erase(c, &w, "erase-flash");
}

const struct verb verb_erase_flash = {
	.name = "erase-flash",
	.args = N_("ADDRESS SIZE"),
	.summary = N_("erase flash by address"),
	.about = N_(
		"Erases so many bytes of a phone whose storage has addresses or numbers rather than names: feature phones, "
		"and loaders of before partition tables."),
	.options = flash_options,
	.operand = OPERAND_NONE,
	.beside = "erase",
	.run = run_flash,
};
