/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Errors as the bus sees them: the name from the one table, the text for people, details as a dictionary. */
#include "bus/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/utf8.h"
#include "common/util.h"

static sd_bus_error_map error_map[ERR_COUNT];

int reply_map_errors(void)
{
	unsigned int n = 0;

	for (int id = ERR_NONE + 1; id < ERR_COUNT; id++) {
		const struct error_entry *e = error_entry((enum error_id)id);

		error_map[n++] = (sd_bus_error_map)SD_BUS_ERROR_MAP(e->bus_name, e->err);
	}
	error_map[n] = (sd_bus_error_map)SD_BUS_ERROR_MAP_END;
	return sd_bus_error_add_map(error_map);
}

const char *reply_error_name(const struct failure *why)
{
	return why->error == ERR_NONE ? "" : error_entry(why->error)->bus_name;
}

/* The text begins with the name: a token that does not change. */
int reply_failure(sd_bus_error *error, const struct failure *why)
{
	char text[1024];

	failure_text(why, text, sizeof(text));
	utf8_tame(text);
	return sd_bus_error_set(error, error_entry(why->error)->bus_name, text);
}

void reply_failure_to(sd_bus_message *m, const struct failure *why)
{
	char text[1024];

	failure_text(why, text, sizeof(text));
	utf8_tame(text);
	(void)sd_bus_reply_method_errorf(m, error_entry(why->error)->bus_name, "%s", text);
}

int reply_text(sd_bus_message *m, const char *text)
{
	_cleanup_free_ char *tamed = NULL;

	if (!utf8_good(text)) {
		tamed = strdup(text);
		if (!tamed)
			return -ENOMEM;
		utf8_tame(tamed);
		text = tamed;
	}
	return sd_bus_message_append_basic(m, 's', text);
}

void reply_text_to(sd_bus_message *call, const char *text)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;

	if (sd_bus_message_new_method_return(call, &m) >= 0 && reply_text(m, text) >= 0)
		(void)sd_bus_send(NULL, m, NULL);
}

int reply_entry(sd_bus_message *m, const char *key, char type, const void *value)
{
	const char types[2] = { type, '\0' };
	int r = sd_bus_message_open_container(m, 'e', "sv");

	if (r >= 0)
		r = sd_bus_message_append_basic(m, 's', key);
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'v', types);
	if (r >= 0)
		r = type == 's' ? reply_text(m, value) : sd_bus_message_append_basic(m, type, value);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	return r < 0 ? r : sd_bus_message_close_container(m);
}

int reply_strings(sd_bus_message *m, const char *key, const char *(*next)(const void *arg, uint32_t index),
		  const void *arg)
{
	int r = sd_bus_message_open_container(m, 'e', "sv");

	if (r >= 0)
		r = sd_bus_message_append_basic(m, 's', key);
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'v', "as");
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "s");
	for (uint32_t i = 0; r >= 0; i++) {
		const char *line = next(arg, i);

		if (!line[0])
			break;
		r = reply_text(m, line);
	}
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	return r < 0 ? r : sd_bus_message_close_container(m);
}

int reply_details(sd_bus_message *m, const struct failure *why)
{
	int r = sd_bus_message_open_container(m, 'a', "{sv}");

	if (r < 0)
		return r;
	if (why->error != ERR_NONE) {
		const struct error_entry *e = error_entry(why->error);
		uint32_t exit_code = (uint32_t)e->exit_code, code = (uint32_t)why->code;
		int again = e->again;
		char text[1024];

		if ((r = reply_entry(m, "stage", 's', why->stage)) < 0 ||
		    (r = reply_entry(m, "step", 's', why->step)) < 0 ||
		    (r = reply_entry(m, "entry", 's', why->entry)) < 0 ||
		    (why->has_offset && (r = reply_entry(m, "offset", 't', &why->offset)) < 0) ||
		    (why->code > 0 && (r = reply_entry(m, "device_code", 'u', &code)) < 0) ||
		    (r = reply_entry(m, "detail", 's', why->detail)) < 0 ||
		    (r = reply_entry(m, "cause", 's', e->cause)) < 0 ||
		    (r = reply_entry(m, "remedy", 's', e->remedy)) < 0 ||
		    (r = reply_entry(m, "fault", 's', error_fault_name(e->fault))) < 0 ||
		    (r = reply_entry(m, "retry", 'b', &again)) < 0 ||
		    (r = reply_entry(m, "exit_code", 'u', &exit_code)) < 0 ||
		    (r = reply_entry(m, "message", 's', failure_text(why, text, sizeof(text)))) < 0)
			return r;
	}
	return sd_bus_message_close_container(m);
}
