/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fdld.conf and its drop-ins, read into one book that knows where each value was said. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/settings.h"
#include "common/util.h"

/*
 * What the administrator says, what holds until the next boot, what came with a local build, what came with
 * the package. Not below /run/fdld: that folder is fdld's own, and what may be changed by it must not
 * configure it.
 */
const char *const settings_places[SETTINGS_PLACES] = {
	"/etc/fdld/fdld.conf",
	"/run/fdld.conf",
	"/usr/local/lib/fdld/fdld.conf",
	"/usr/lib/fdld/fdld.conf",
};

struct settings_book *settings_book_new(void)
{
	struct settings_book *book = calloc(1, sizeof(*book));

	if (book)
		settings_preset(&book->set);
	return book;
}

void settings_book_free(struct settings_book *book)
{
	if (!book)
		return;
	conf_list_free(&book->files);
	free(book);
}

char *setting_origin_text(const struct settings_book *book, enum setting_id id, char *buf, size_t size)
{
	const struct setting_origin *o = &book->origin[id];

	if (o->from == SETTING_FROM_FILE)
		snprintf(buf, size, "%s:%u", book->files.path[o->file], o->line);
	else
		snprintf(buf, size, "%s", o->from == SETTING_FROM_COMMAND_LINE ? "command line" : "default");
	return buf;
}

/* ---- one file ----------------------------------------------------------------------- */

struct reading {
	struct settings_book *book;
	uint32_t file;
	unsigned int said[SETTING_COUNT]; /* line in this file */
};

static bool section_known(const char *section)
{
	for (int i = 0; i < SETTING_COUNT; i++)
		if (!strcmp(setting_entry((enum setting_id)i)->section, section))
			return true;
	return false;
}

static int unknown(const struct conf_entry *e, struct failure *why)
{
	enum setting_id elsewhere = setting_find(e->key), like = setting_like(e->key);

	if (elsewhere != SETTING_NONE)
		return conf_refuse(e->file, e->line, why, "%s belongs into [%s], not into [%s]", e->key,
				   setting_entry(elsewhere)->section, e->section);
	if (like != SETTING_NONE)
		return conf_refuse(e->file, e->line, why, "[%s] has no %s; is %s meant?", e->section, e->key,
				   setting_entry(like)->name);
	return conf_refuse(e->file, e->line, why, "[%s] has no %s", e->section, e->key);
}

static int on_entry(void *user, const struct conf_entry *e, struct failure *why)
{
	struct reading *reading = user;
	struct settings_book *book = reading->book;
	char name[2 * CONF_NAME_MAX], reason[160];
	enum setting_id id;

	if (!e->key)
		return section_known(e->section)
			       ? 0
			       : conf_refuse(e->file, e->line, why, "there is no section [%s]", e->section);
	if (!*e->section)
		return conf_refuse(e->file, e->line, why, "%s stands before the first [section]", e->key);
	snprintf(name, sizeof(name), "%s.%s", e->section, e->key);
	id = setting_find(name);
	if (id == SETTING_NONE)
		return unknown(e, why);
	if (reading->said[id])
		return conf_refuse(e->file, e->line, why, "%s was set on line %u already", e->key,
				   reading->said[id]);
	if (setting_put(&book->set, id, e->value, reason, sizeof(reason)) < 0)
		return conf_refuse(e->file, e->line, why, "%s", reason);
	reading->said[id] = e->line;
	book->origin[id] = (struct setting_origin){ SETTING_FROM_FILE, reading->file, e->line };
	return 0;
}

int settings_parse(struct settings_book *book, const char *file, const char *text, size_t len,
		   struct failure *why)
{
	struct reading reading = { .book = book, .file = (uint32_t)book->files.count };

	if (conf_list_add(&book->files, file) < 0)
		return failure_set(why, ERR_INTERNAL, "out of memory");
	return conf_parse(file, text, len, on_entry, &reading, why);
}

/* ---- all of them -------------------------------------------------------------------- */

int settings_load_files(const char *const *paths, size_t count, struct settings_book **out,
			struct failure *why)
{
	struct settings_book *book = settings_book_new();
	int r = 0;

	if (!book)
		return failure_set(why, ERR_INTERNAL, "out of memory");
	for (size_t i = 0; !r && i < count; i++) {
		_cleanup_free_ char *text = NULL;
		size_t len;

		r = conf_read(paths[i], &text, &len, why);
		if (!r)
			r = settings_parse(book, paths[i], text, len, why);
	}
	if (r < 0)
		settings_book_free(book);
	else
		*out = book;
	return r;
}

int settings_load(const char *root, const struct setting_override *overrides, size_t count,
		  struct settings_book **out, struct failure *why)
{
	struct conf_list list;
	char reason[160];
	int r = conf_find(root, settings_places, SETTINGS_PLACES, &list, why);

	if (r < 0)
		return r;
	r = settings_load_files((const char *const *)list.path, list.count, out, why);
	conf_list_free(&list);
	for (size_t i = 0; !r && i < count; i++) {
		if (setting_put(&(*out)->set, overrides[i].id, overrides[i].value, reason, sizeof(reason)) <
		    0) {
			settings_book_free(*out);
			return conf_refuse("command line", 0, why, "%s", reason);
		}
		(*out)->origin[overrides[i].id] = (struct setting_origin){
			.from = SETTING_FROM_COMMAND_LINE
		};
	}
	return r;
}
