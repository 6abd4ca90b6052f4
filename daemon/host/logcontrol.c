/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/logcontrol.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/journal.h"
#include "common/util.h"

#define LOG_PATH   "/org/freedesktop/LogControl1"
#define LOG_IFACE  "org.freedesktop.LogControl1"
#define PROPERTIES "org.freedesktop.DBus.Properties"
#define ASKED_MAX  16u /* sets that wait until we know who asks */

static const char *const levels[] = { "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug" };
static const char *const targets[] = { [JOURNAL_AUTO] = "auto",
				       [JOURNAL_NATIVE] = "journal",
				       [JOURNAL_CONSOLE] = "console",
				       [JOURNAL_NULL] = "null" };

struct asked {
	struct asked *next;
	struct host_logcontrol *control;
	sd_bus_message *m;
	sd_bus_slot *query;
	bool level; /* else the target */
	int value;
};

struct host_logcontrol {
	sd_bus *bus;
	sd_bus_slot *object, *vtable;
	struct asked *asked;
	unsigned int asked_count;
};

static int index_of(const char *const *names, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(names[i], name))
			return (int)i;
	return -EINVAL;
}

/* ---- setting ---------------------------------------------------------------------- */

static void asked_free(struct asked *a)
{
	for (struct asked **p = &a->control->asked; *p; p = &(*p)->next)
		if (*p == a) {
			*p = a->next;
			a->control->asked_count--;
			break;
		}
	sd_bus_slot_unref(a->query);
	sd_bus_message_unref(a->m);
	free(a);
}

static void apply(const struct asked *a, uint32_t uid)
{
	const char *what = a->level ? "level" : "target";
	const char *name = a->level ? levels[a->value] : targets[a->value];

	/* said where it is seen: before less is logged, or after more is */
	if (a->level && a->value > journal_level())
		journal_set_level(a->value);
	journal_line(LOG_NOTICE, "log %s is set to %s by uid %u", what, name, uid);
	if (a->level)
		journal_set_level(a->value);
	else
		journal_set_target((enum journal_target)a->value);
	(void)sd_bus_reply_method_return(a->m, "");
}

static void deny(const struct asked *a, const uint32_t *uid)
{
	char text[16] = "";
	struct journal_field field = { "FDL_SENDER_UID", text };

	if (uid)
		snprintf(text, sizeof(text), "%u", *uid);
	journal_event(EVENT_CALL_DENIED, &field, 1, "setting the log %s was denied to %s%s",
		      a->level ? "level" : "target", uid ? "uid " : "a caller that nobody knows", text);
	(void)sd_bus_reply_method_errorf(a->m, SD_BUS_ERROR_ACCESS_DENIED,
					 "This is for root and the service's own user.");
}

static int on_uid(sd_bus_message *m, void *user, sd_bus_error *error)
{
	struct asked *a = user;
	uint32_t uid;

	if (sd_bus_message_is_method_error(m, NULL) || sd_bus_message_read(m, "u", &uid) < 0)
		deny(a, NULL); /* fail closed */
	else if (uid && uid != geteuid())
		deny(a, &uid);
	else
		apply(a, uid);
	asked_free(a);
	return 0;
}

/* Takes the call over once it can only be answered by who the caller is. */
static int set(struct host_logcontrol *control, sd_bus_message *m, bool level, int value)
{
	const char *sender = sd_bus_message_get_sender(m);
	struct asked *a;
	int r;

	if (!sender || control->asked_count >= ASKED_MAX)
		return sd_bus_reply_method_errorf(m, SD_BUS_ERROR_LIMITS_EXCEEDED, "Too many calls at once.");
	a = calloc(1, sizeof(*a));
	if (!a)
		return -ENOMEM;
	*a = (struct asked){ .next = control->asked, .control = control, .level = level, .value = value };
	a->m = sd_bus_message_ref(m);
	control->asked = a;
	control->asked_count++;
	r = sd_bus_call_method_async(control->bus, &a->query, "org.freedesktop.DBus", "/org/freedesktop/DBus",
				     "org.freedesktop.DBus", "GetConnectionUnixUser", on_uid, a, "s", sender);
	if (r < 0) {
		asked_free(a);
		return r;
	}
	return 1;
}

/* Sees every message to the object before the table of properties does, and takes Set out. */
static int on_message(sd_bus_message *m, void *user, sd_bus_error *error)
{
	struct host_logcontrol *control = user;
	const char *interface, *property, *type, *value;
	int index, r;

	if (!sd_bus_message_is_method_call(m, PROPERTIES, "Set"))
		return 0;
	r = sd_bus_message_read(m, "ss", &interface, &property);
	if (r < 0)
		return r;
	if (strcmp(interface, LOG_IFACE))
		return sd_bus_error_setf(error, SD_BUS_ERROR_UNKNOWN_INTERFACE, "No interface %s here.",
					 interface);
	if (!strcmp(property, "SyslogIdentifier"))
		return sd_bus_error_setf(error, SD_BUS_ERROR_PROPERTY_READ_ONLY, "%s cannot be set.",
					 property);
	if (strcmp(property, "LogLevel") && strcmp(property, "LogTarget"))
		return sd_bus_error_setf(error, SD_BUS_ERROR_UNKNOWN_PROPERTY, "No property %s here.",
					 property);
	r = sd_bus_message_peek_type(m, NULL, &type);
	if (r < 0)
		return r;
	if (strcmp(type, "s"))
		return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "%s is a string.", property);
	r = sd_bus_message_read(m, "v", "s", &value);
	if (r < 0)
		return r;
	if (!strcmp(property, "LogLevel")) {
		index = index_of(levels, ARRAY_SIZE(levels), value);
		if (index < 0)
			return sd_bus_error_setf(
				error, SD_BUS_ERROR_INVALID_ARGS,
				"No such level: %s (emerg, alert, crit, err, warning, notice, info, debug).",
				value);
		return set(control, m, true, index);
	}
	index = index_of(targets, ARRAY_SIZE(targets), value);
	if (index < 0)
		return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
					 "No such target: %s (auto, journal, console, null).", value);
	return set(control, m, false, index);
}

/* ---- reading ---------------------------------------------------------------------- */

static int get_level(sd_bus *bus, const char *path, const char *interface, const char *property,
		     sd_bus_message *reply, void *user, sd_bus_error *error)
{
	return sd_bus_message_append(reply, "s", levels[journal_level()]);
}

static int get_target(sd_bus *bus, const char *path, const char *interface, const char *property,
		      sd_bus_message *reply, void *user, sd_bus_error *error)
{
	return sd_bus_message_append(reply, "s", targets[journal_target()]);
}

static int get_identifier(sd_bus *bus, const char *path, const char *interface, const char *property,
			  sd_bus_message *reply, void *user, sd_bus_error *error)
{
	return sd_bus_message_append(reply, "s", program_invocation_short_name);
}

/* Set never comes here (on_message); if it did it would be refused. */
static int refuse(sd_bus *bus, const char *path, const char *interface, const char *property,
		  sd_bus_message *value, void *user, sd_bus_error *error)
{
	return -EPERM;
}

static const sd_bus_vtable vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_WRITABLE_PROPERTY("LogLevel", "s", get_level, refuse, 0, 0),
	SD_BUS_WRITABLE_PROPERTY("LogTarget", "s", get_target, refuse, 0, 0),
	SD_BUS_PROPERTY("SyslogIdentifier", "s", get_identifier, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_VTABLE_END,
};

/* ---- life ------------------------------------------------------------------------- */

struct host_logcontrol *host_logcontrol_new(void)
{
	return calloc(1, sizeof(struct host_logcontrol));
}

void host_logcontrol_free(struct host_logcontrol *control)
{
	if (!control)
		return;
	host_logcontrol_down(control);
	free(control);
}

int host_logcontrol_attach(struct host_logcontrol *control, sd_bus *bus)
{
	int r = sd_bus_add_object(bus, &control->object, LOG_PATH, on_message, control);

	if (r >= 0)
		r = sd_bus_add_object_vtable(bus, &control->vtable, LOG_PATH, LOG_IFACE, vtable, control);
	if (r < 0) {
		host_logcontrol_down(control);
		return r;
	}
	control->bus = bus;
	return 0;
}

void host_logcontrol_down(struct host_logcontrol *control)
{
	while (control->asked)
		asked_free(control->asked);
	control->object = sd_bus_slot_unref(control->object);
	control->vtable = sd_bus_slot_unref(control->vtable);
	control->bus = NULL;
}
