/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who may do what: every method of ours has a row here, and one that has none is refused. Reads are for
 * everyone; for the rest polkit is asked, except about root and our own user.
 */
#include "bus/internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/util.h"

static const struct row {
	const char *interface, *method;
	enum action action; /* what the method asks for at least */
	demand_fn demand;   /* of those that ask for something */
	bus_method_fn fn;
} rows[] = {
	{ FDLD_IFACE_MANAGER, "OpenImage", ACTION_IMPORT_IMAGE, demand_open_image, manager_open_image },
	{ FDLD_IFACE_MANAGER, "ImportImage", ACTION_IMPORT_IMAGE, demand_open_image, manager_import_image },
	{ FDLD_IFACE_MANAGER, "ImportLoader", ACTION_IMPORT_IMAGE, demand_import_loader,
	  manager_import_loader },
	{ FDLD_IFACE_MANAGER, "ImportLoaderPair", ACTION_IMPORT_IMAGE, demand_import_pair,
	  manager_import_loader_pair },
	{ FDLD_IFACE_MANAGER, "GetStoredImage", ACTION_READ, NULL, manager_stored_image },
	{ FDLD_IFACE_MANAGER, "FlashNext", ACTION_FLASH, demand_flash_next, manager_flash_next },
	{ FDLD_IFACE_MANAGER, "FlashNextImage", ACTION_FLASH, demand_flash_next_image,
	  manager_flash_next_image },
	{ FDLD_IFACE_MANAGER, "Arm", ACTION_ARM, demand_arm, manager_arm },
	{ FDLD_IFACE_MANAGER, "Disarm", ACTION_ARM, demand_arm, manager_disarm },
	{ FDLD_IFACE_MANAGER, "GetSlot", ACTION_READ, NULL, manager_get_slot },
	{ FDLD_IFACE_MANAGER, "GetJob", ACTION_READ, NULL, manager_get_job },
	{ FDLD_IFACE_MANAGER, "Drain", ACTION_DRAIN, demand_whole, manager_drain },
	{ FDLD_IFACE_MANAGER, "GetSettings", ACTION_READ, NULL, manager_get_settings },
	{ FDLD_IFACE_MANAGER, "GetRules", ACTION_READ, NULL, manager_get_rules },
	{ FDLD_IFACE_MANAGER, "ExplainRules", ACTION_READ, NULL, manager_explain_rules },
	{ FDLD_IFACE_MANAGER, "Reload", ACTION_RELOAD, demand_whole, manager_reload },
	{ FDLD_IFACE_MANAGER, "History", ACTION_EXPORT_NV, demand_history, manager_history },
	{ FDLD_IFACE_MANAGER, "HistoryText", ACTION_EXPORT_NV, demand_history, manager_history_text },
	{ FDLD_IFACE_MANAGER, "HistoryVerify", ACTION_MANAGE_HISTORY, demand_whole, manager_history_verify },
	{ FDLD_IFACE_MANAGER, "HistoryRebuild", ACTION_MANAGE_HISTORY, demand_whole,
	  manager_history_rebuild },
	{ FDLD_IFACE_MANAGER, "Backups", ACTION_EXPORT_NV, demand_backups, manager_backups },
	{ FDLD_IFACE_MANAGER, "BackupsText", ACTION_EXPORT_NV, demand_backups, manager_backups_text },
	{ FDLD_IFACE_MANAGER, "ExportBackup", ACTION_EXPORT_NV, demand_export, manager_export_backup },
	{ FDLD_IFACE_SLOT, "Flash", ACTION_FLASH, demand_flash, slot_flash },
	{ FDLD_IFACE_SLOT, "FlashImage", ACTION_FLASH, demand_flash_image, slot_flash_image },
	{ FDLD_IFACE_SLOT, "Read", ACTION_READ_PHONE, demand_read, slot_read },
	{ FDLD_IFACE_SLOT, "Erase", ACTION_FLASH, demand_erase, slot_erase },
	{ FDLD_IFACE_SLOT, "Write", ACTION_FLASH, demand_write, slot_write },
	{ FDLD_IFACE_SLOT, "ReadTable", ACTION_READ_PHONE, demand_read_table, slot_read_table },
	{ FDLD_IFACE_SLOT, "Repartition", ACTION_FLASH, demand_repartition, slot_repartition },
	{ FDLD_IFACE_SLOT, "SetMarks", ACTION_FLASH, demand_marks, slot_set_marks },
	{ FDLD_IFACE_SLOT, "ReadMarks", ACTION_READ_PHONE, demand_marks, slot_read_marks },
	{ FDLD_IFACE_SLOT, "Reset", ACTION_READ_PHONE, demand_release_phone, slot_reset_phone },
	{ FDLD_IFACE_SLOT, "Kick", ACTION_CONTROL_PORT, demand_kick, slot_call_kick },
	{ FDLD_IFACE_SLOT, "ResetPort", ACTION_CONTROL_PORT, demand_port, slot_reset_port },
	{ FDLD_IFACE_SLOT, "PortPower", ACTION_CONTROL_PORT, demand_port, slot_port_power },
	{ FDLD_IFACE_SLOT, "Bind", ACTION_FLASH, demand_bind, slot_call_bind },
	{ FDLD_IFACE_SLOT, "Configure", ACTION_MANAGE_SLOTS, demand_slot, slot_configure },
	{ FDLD_IFACE_SLOT, "ResetCounters", ACTION_MANAGE_SLOTS, demand_slot, slot_reset_counters },
	{ FDLD_IFACE_SLOT, "Forget", ACTION_MANAGE_SLOTS, demand_slot, slot_call_forget },
	{ FDLD_IFACE_JOB, "Cancel", ACTION_CANCEL, demand_cancel, job_call_cancel },
	{ FDLD_IFACE_JOB, "Release", ACTION_FLASH, demand_go, job_call_release },
	{ FDLD_IFACE_JOB, "Refuse", ACTION_FLASH, demand_go, job_call_refuse },
	{ FDLD_IFACE_JOB, "Wait", ACTION_WATCH, NULL, job_call_wait },
	{ FDLD_IFACE_JOB, "Trace", ACTION_READ_TRACE, demand_trace, job_call_trace },
	{ FDLD_IFACE_JOB, "Plan", ACTION_READ, NULL, job_call_plan },
	{ FDLD_IFACE_JOB, "GetUnitId", ACTION_EXPORT_NV, demand_unit, job_call_unit },
	{ FDLD_IFACE_IMAGE, "Release", ACTION_OWN, demand_release, image_call_release },
	{ FDLD_IFACE_IMAGE, "Remove", ACTION_REMOVE_IMAGE, demand_image, image_call_remove },
	{ FDLD_IFACE_IMAGE, "Verify", ACTION_IMPORT_IMAGE, demand_image, image_call_verify },
	{ FDLD_IFACE_LOADER, "Remove", ACTION_REMOVE_IMAGE, demand_image, loader_call_remove },
};

static const struct row *row_of(sd_bus_message *m)
{
	const char *interface = sd_bus_message_get_interface(m), *method = sd_bus_message_get_member(m);

	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++)
		if (interface && !strcmp(rows[i].interface, interface) && !strcmp(rows[i].method, method))
			return &rows[i];
	return NULL;
}

bool client_trusted(uint32_t uid)
{
	return uid == 0 || uid == geteuid();
}

static bool needs_leave(enum action action)
{
	return action >= ACTION_FLASH;
}

static int run(struct call *call, const struct row *row, enum action granted)
{
	call->granted = granted;
	return row->fn(call);
}

/* What the call asks for; its arguments are read from the start afterwards. */
static int demand_of(struct call *call, const struct row *row, struct demand *demand)
{
	int r;

	memset(demand, 0, sizeof(*demand));
	demand->action = row->action;
	if (!row->demand)
		return needs_leave(row->action) ? -EACCES : 0;
	r = row->demand(call, demand);
	if (r < 0)
		return r;
	r = sd_bus_message_rewind(call->m, true);
	return r < 0 ? r : 0;
}

static bool same(const struct demand *a, const struct demand *b)
{
	return a->action == b->action && !strcmp(a->slot, b->slot) && !strcmp(a->image, b->image) &&
	       !strcmp(a->operation, b->operation);
}

/*
 * Once more, with polkit's leave: the object is looked up anew, as it may have gone while a person was
 * typing, and the arguments must still ask for what the person was shown.
 */
static int go_on(const struct question *q, struct call *call)
{
	const struct row *row = row_of(q->call);
	struct failure why = { 0 };
	struct demand demand;
	int r;

	call->object = object_find(q->bus, sd_bus_message_get_path(q->call));
	if (!call->object || !row)
		return sd_bus_error_setf(call->error, SD_BUS_ERROR_UNKNOWN_OBJECT,
					 "%s has gone while the authorization was asked for",
					 sd_bus_message_get_path(q->call));
	r = sd_bus_message_rewind(q->call, true);
	if (r >= 0)
		r = demand_of(call, row, &demand);
	if (r < 0)
		return r;
	if (!same(&demand, &q->demand)) {
		failure_set(&why, ERR_NOT_AUTHORIZED,
			    "what it is about has changed while the authorization was asked for");
		return reply_failure(call->error, &why);
	}
	return run(call, row, demand.action);
}

static void on_answer(const struct question *q, enum polkit_answer answer, const char *said)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	struct call call = { .bus = q->bus, .m = q->call, .client = q->client, .error = &error };
	int r = 0;

	if (answer == POLKIT_GONE)
		return;
	if (answer == POLKIT_YES)
		r = go_on(q, &call);
	else
		polkit_refusal(q, answer, said, &error);
	if (r < 0 || sd_bus_error_is_set(&error))
		(void)sd_bus_reply_method_errno(q->call, r, &error);
}

/* The caller is known. */
static int decide(struct call *call, const struct row *row)
{
	struct failure why = { 0 };
	struct demand demand;
	int r;

	if (needs_leave(row->action) && client_trusted(call->client->uid))
		return run(call, row, ACTION_FLASH_UNPROTECTED);
	r = demand_of(call, row, &demand);
	if (r < 0)
		return r;
	if (!needs_leave(demand.action))
		return run(call, row, demand.action);
	if (polkit_ask(call->client, call->m, &demand, on_answer, NULL, &why) < 0)
		return reply_failure(call->error, &why);
	return 1; /* it is answered when polkit has answered */
}

int bus_method(sd_bus_message *m, void *object, sd_bus_error *error)
{
	const struct row *row = row_of(m);
	struct object *o = object;
	struct call call = { .bus = o->bus, .m = m, .object = o, .error = error };
	struct failure why = { 0 };
	int r;

	if (!row) {
		/* also a call without an interface: which method it means is not ours to guess */
		failure_set(&why, ERR_NOT_AUTHORIZED, "%s has no rule", sd_bus_message_get_member(m));
		return reply_failure(error, &why);
	}
	if (row->action == ACTION_READ)
		return run(&call, row, ACTION_READ);
	r = client_find(call.bus, m, &call.client, &why);
	if (r < 0)
		return reply_failure(error, &why);
	return r ? decide(&call, row) : 1; /* 0: it comes again */
}
