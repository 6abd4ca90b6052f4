/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The configuration on org.fdld1.Manager: what is in force and where that was said; read it anew. */
#include "bus/internal.h"

#include <errno.h>
#include <stdlib.h>

#include "common/settings.h"
#include "common/util.h"
#include "station/config.h"

/* ---- GetSettings ------------------------------------------------------------------ */

static int append_value(sd_bus_message *m, const struct settings *set, enum setting_id id)
{
	char text[SETTING_TEXT_MAX];
	uint64_t number;
	uint32_t small;
	int r;

	setting_text(set, id, text, sizeof(text));
	r = reply_entry(m, "text", 's', text);
	if (r < 0 || !setting_number(set, id, &number))
		return r < 0 ? r : reply_entry(m, "value", 's', text);
	if (setting_entry(id)->type == SETTING_IS_DURATION || setting_entry(id)->type == SETTING_IS_SIZE)
		return reply_entry(m, "value", 't', &number);
	small = (uint32_t)number;
	return reply_entry(m, "value", 'u', &small);
}

static int append_origin(sd_bus_message *m, const struct settings_book *book, enum setting_id id)
{
	static const char *const from[] = { [SETTING_FROM_PRESET] = "default",
					    [SETTING_FROM_FILE] = "file",
					    [SETTING_FROM_COMMAND_LINE] = "command-line" };
	const struct setting_origin *o = &book->origin[id];
	int r = reply_entry(m, "from", 's', from[o->from]);

	if (r < 0 || o->from != SETTING_FROM_FILE)
		return r;
	r = reply_entry(m, "file", 's', book->files.path[o->file]);
	return r < 0 ? r : reply_entry(m, "line", 'u', &o->line);
}

static int append_setting(sd_bus_message *m, const struct config *config, const struct settings *in_force,
			  enum setting_id id)
{
	const struct setting_entry *e = setting_entry(id);
	char pending[SETTING_TEXT_MAX];
	int restart = e->restart, r;

	if ((r = sd_bus_message_open_container(m, 'a', "{sv}")) < 0 ||
	    (r = reply_entry(m, "name", 's', e->name)) < 0 || (r = append_value(m, in_force, id)) < 0 ||
	    (r = reply_entry(m, "default", 's', e->preset)) < 0 ||
	    (r = append_origin(m, config_book_of(config, id), id)) < 0 ||
	    (r = reply_entry(m, "restart", 'b', &restart)) < 0 ||
	    (config_pending(config, id, pending, sizeof(pending)) &&
	     (r = reply_entry(m, "pending", 's', pending)) < 0))
		return r;
	return sd_bus_message_close_container(m);
}

static int append_files(sd_bus_message *m, const struct settings_book *book)
{
	int r = sd_bus_message_open_container(m, 'a', "s");

	for (size_t i = 0; r >= 0 && i < book->files.count; i++)
		r = reply_text(m, book->files.path[i]);
	return r < 0 ? r : sd_bus_message_close_container(m);
}

int manager_get_settings(struct call *call)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	const struct station *st = call->bus->station;
	const struct config *config = station_config(st);
	int r = sd_bus_message_new_method_return(call->m, &m);

	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "a{sv}");
	for (int i = 0; r >= 0 && i < SETTING_COUNT; i++)
		r = append_setting(m, config, station_settings(st), (enum setting_id)i);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	if (r >= 0)
		r = append_files(m, config_book(config));
	return r < 0 ? r : sd_bus_send(NULL, m, NULL);
}

/* ---- Reload ----------------------------------------------------------------------- */

/* The caller may have gone meanwhile: the answer then goes nowhere. */
static void on_read(void *user, const struct failure *why)
{
	sd_bus_message *m = user;

	if (why)
		reply_failure_to(m, why);
	else
		(void)sd_bus_reply_method_return(m, "");
	sd_bus_message_unref(m);
}

int manager_reload(struct call *call)
{
	struct config *config = station_config(call->bus->station);
	struct failure why = { 0 };
	struct options options;
	int r = options_read(call->bus, call->m, 0, &options, &why);

	options_free(&options);
	if (r >= 0) {
		r = config_reload(config, on_read, sd_bus_message_ref(call->m), &why);
		if (r < 0)
			sd_bus_message_unref(call->m);
	}
	return r < 0 ? reply_failure(call->error, &why) : 1;
}
