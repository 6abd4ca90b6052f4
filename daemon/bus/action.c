/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who may do what: every method of ours has a row here, and one that has none is refused. Until polkit is
 * asked, everything but a read is for root and our own user.
 */
#include "bus/internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/journal.h"
#include "common/util.h"

enum action {
	ACTION_READ,  /* anyone; nothing is kept for the caller */
	ACTION_WATCH, /* anyone; something is kept until it is answered or the caller leaves */
	ACTION_FLASH, /* the rest: root and our own user */
	ACTION_IMPORT,
	ACTION_CANCEL,
	ACTION_TRACE,
	ACTION_DRAIN,
};

static const struct row {
	const char *interface, *method;
	enum action action;
	bus_method_fn fn;
} rows[] = {
	{ FDLD_IFACE_MANAGER, "OpenImage", ACTION_IMPORT, manager_open_image },
	{ FDLD_IFACE_MANAGER, "FlashNext", ACTION_FLASH, manager_flash_next },
	{ FDLD_IFACE_MANAGER, "FlashNextImage", ACTION_FLASH, manager_flash_next_image },
	{ FDLD_IFACE_MANAGER, "GetSlot", ACTION_READ, manager_get_slot },
	{ FDLD_IFACE_MANAGER, "GetJob", ACTION_READ, manager_get_job },
	{ FDLD_IFACE_MANAGER, "Drain", ACTION_DRAIN, manager_drain },
	{ FDLD_IFACE_SLOT, "Flash", ACTION_FLASH, slot_flash },
	{ FDLD_IFACE_SLOT, "FlashImage", ACTION_FLASH, slot_flash_image },
	{ FDLD_IFACE_JOB, "Cancel", ACTION_CANCEL, job_call_cancel },
	{ FDLD_IFACE_JOB, "Wait", ACTION_WATCH, job_call_wait },
	{ FDLD_IFACE_JOB, "Trace", ACTION_TRACE, job_call_trace },
	{ FDLD_IFACE_JOB, "Plan", ACTION_READ, job_call_plan },
	{ FDLD_IFACE_IMAGE, "Release", ACTION_IMPORT, image_call_release },
};

static const struct row *row_of(sd_bus_message *m)
{
	const char *interface = sd_bus_message_get_interface(m), *method = sd_bus_message_get_member(m);

	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++)
		if (interface && !strcmp(rows[i].interface, interface) && !strcmp(rows[i].method, method))
			return &rows[i];
	return NULL;
}

static bool allowed(enum action action, const struct client *client)
{
	if (action == ACTION_READ || action == ACTION_WATCH)
		return true;
	return client && client->known && (client->uid == 0 || client->uid == geteuid());
}

static void say_denied(const struct row *row, const struct client *client)
{
	struct journal_field field = { "FDL_SENDER_UID", NULL };
	char uid[16];

	snprintf(uid, sizeof(uid), "%u", client->uid);
	field.value = uid;
	journal_event(EVENT_CALL_DENIED, &field, 1, "%s.%s was denied to uid %s (%s)", row->interface,
		      row->method, uid, client->name);
}

int bus_method(sd_bus_message *m, void *object, sd_bus_error *error)
{
	const struct row *row = row_of(m);
	struct object *o = object;
	struct call call = { .bus = o->bus, .m = m, .object = o, .error = error };
	struct failure why = { 0 };

	if (!row) {
		/* also a call without an interface: which method it means is not ours to guess */
		failure_set(&why, ERR_NOT_AUTHORIZED, "%s has no rule", sd_bus_message_get_member(m));
		return reply_failure(error, &why);
	}
	if (row->action != ACTION_READ) {
		int r = client_find(call.bus, m, &call.client, &why);

		if (r < 0)
			return reply_failure(error, &why);
		if (r == 0)
			return 1; /* it comes again */
	}
	if (!allowed(row->action, call.client)) {
		failure_set(&why, ERR_NOT_AUTHORIZED,
			    "%s is for root and the service's own user; you are uid %u", row->method,
			    call.client->uid);
		say_denied(row, call.client);
		return reply_failure(error, &why);
	}
	return row->fn(&call);
}
