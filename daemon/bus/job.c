/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* org.fdld1.Job: properties. The methods are in job_call.c. */
#include "bus/internal.h"

#include "common/util.h"

struct values {
	uint64_t id, created_at, started_at, finished_at, cancel_wait, result, details;
	const char *rule, *work_order, *operator, * serial;
	const char *kind, *state, *stage, *step, *entry, *queued_for;
	const char *slot, *device, *image, *image_name, *boundary, *leaves, *error_name;
	uint32_t uid;
	bool cancelling;
};

static void fill(struct bus *bus, void *handle, void *out)
{
	struct values *v = out;
	struct job_view view;

	job_view(handle, &view);
	v->id = view.number;
	v->created_at = view.created_at;
	v->started_at = view.started_at;
	v->finished_at = view.finished_at;
	v->cancel_wait = view.cancel_wait_usec;
	v->result = view.ended ? UINT64_MAX : view.whole;
	v->details = view.failure.error;
	v->rule = view.rule;
	v->work_order = view.work_order;
	v->operator= view.operator;
	v->serial = view.serial_number;
	v->kind = view.kind;
	v->state = view.state;
	v->stage = view.stage;
	v->step = view.step;
	v->entry = view.entry;
	v->queued_for = view.queued_for;
	v->slot = object_path(bus, view.slot);
	v->device = object_path(bus, view.device);
	v->image = object_path(bus, view.image);
	v->image_name = view.image_name;
	v->boundary = view.boundary;
	v->leaves = view.leaves;
	v->error_name = reply_error_name(&view.failure);
	v->uid = view.uid;
	v->cancelling = view.cancelling;
}

static int append_entries(struct job *job, bool ended, sd_bus_message *m)
{
	bool (*next)(const struct job *, uint32_t, struct job_entry *) = ended ? job_entry : job_whole;
	struct job_entry e;
	int r = sd_bus_message_open_container(m, 'e', "sv");

	if (r >= 0)
		r = sd_bus_message_append_basic(m, 's', "entries");
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'v', "aa{sv}");
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "a{sv}");
	for (uint32_t i = 0; r >= 0 && next(job, i, &e); i++)
		if ((r = sd_bus_message_open_container(m, 'a', "{sv}")) >= 0 &&
		    (r = reply_entry(m, "entry", 's', e.entry)) >= 0 &&
		    (r = reply_entry(m, "op", 's', e.op)) >= 0 &&
		    (r = reply_entry(m, "verdict", 's', e.verdict)) >= 0 &&
		    (r = reply_entry(m, "bytes_sent", 't', &e.bytes_sent)) >= 0 &&
		    (r = reply_entry(m, "bytes_compared", 't', &e.bytes_compared)) >= 0 &&
		    (r = reply_entry(m, "bytes_read", 't', &e.bytes_read)) >= 0 &&
		    (r = reply_entry(m, "sha256", 's', e.sha256)) >= 0 &&
		    (r = reply_entry(m, "note", 's', e.note)) >= 0)
			r = sd_bus_message_close_container(m);
	for (int i = 0; r >= 0 && i < 3; i++)
		r = sd_bus_message_close_container(m);
	return r;
}

static const char *next_note(const void *job, uint32_t index)
{
	return job_note(job, index);
}

int job_append_result(struct bus *bus, void *handle, sd_bus_message *m)
{
	struct job_view view;
	struct job_result res;
	int r = sd_bus_message_open_container(m, 'a', "{sv}");

	job_view(handle, &view);
	job_result(handle, &res);
	if (r < 0)
		return r;
	if (view.ended &&
	    ((r = reply_entry(m, "result", 's', res.result)) < 0 ||
	     (r = reply_entry(m, "level", 's', res.level)) < 0 ||
	     (*res.sample && (r = reply_entry(m, "sample", 's', res.sample)) < 0) ||
	     (r = reply_entry(m, "leaves", 's', res.leaves)) < 0 ||
	     (r = reply_entry(m, "nv", 's', res.nv)) < 0 ||
	     (*view.loader && (r = reply_entry(m, "loader", 's', view.loader)) < 0) ||
	     (r = reply_entry(m, "fdl1", 's', view.fdl1)) < 0 ||
	     (r = reply_entry(m, "fdl2", 's', view.fdl2)) < 0 ||
	     (r = reply_entry(m, "storage", 's', res.storage)) < 0 ||
	     (r = reply_entry(m, "rom_version", 's', res.rom_version)) < 0 ||
	     (r = reply_entry(m, "bytes_sent", 't', &res.bytes_sent)) < 0 ||
	     (r = reply_entry(m, "bytes_compared", 't', &res.bytes_compared)) < 0 ||
	     (r = reply_entry(m, "bytes_read", 't', &res.bytes_read)) < 0 ||
	     (r = reply_entry(m, "duration_usec", 't', &res.duration_usec)) < 0 ||
	     (res.last_confirmed[0] && (r = reply_entry(m, "last_confirmed", 's', res.last_confirmed)) < 0) ||
	     (r = reply_strings(m, "notes", next_note, handle)) < 0 ||
	     (r = append_entries(handle, true, m)) < 0 || (r = table_append(handle, m)) < 0 ||
	     (r = marks_append(handle, m)) < 0 || (r = port_append(handle, m)) < 0))
		return r;
	if (!view.ended && view.whole && (r = append_entries(handle, false, m)) < 0)
		return r;
	return sd_bus_message_close_container(m);
}

static int append_details(struct bus *bus, void *handle, sd_bus_message *m)
{
	struct job_view view;

	job_view(handle, &view);
	return reply_details(m, &view.failure);
}

#define PROP(n, t, member, ...)                                                              \
	{                                                                                    \
		.name = n, .type = t, .offset = offsetof(struct values, member), __VA_ARGS__ \
	}
static const struct bus_prop props[] = {
	PROP("Id", 't', id),
	PROP("Kind", 's', kind),
	PROP("State", 's', state),
	PROP("Stage", 's', stage),
	PROP("Step", 's', step),
	PROP("Entry", 's', entry),
	PROP("QueuedFor", 's', queued_for),
	PROP("Slot", 'o', slot),
	PROP("Device", 'o', device),
	PROP("Image", 'o', image),
	PROP("ImageName", 's', image_name),
	PROP("StartedBy", 'u', uid),
	PROP("CreatedAt", 't', created_at),
	PROP("StartedAt", 't', started_at),
	PROP("FinishedAt", 't', finished_at),
	PROP("CancelBoundary", 's', boundary),
	PROP("CancelWaitUsec", 't', cancel_wait),
	PROP("CancelLeaves", 's', leaves),
	PROP("Cancelling", 'b', cancelling),
	PROP("Result", 'a', result, .append = job_append_result),
	PROP("Rule", 's', rule),
	PROP("WorkOrder", 's', work_order),
	PROP("Operator", 's', operator),
	PROP("Serial", 's', serial),
	PROP("ErrorName", 's', error_name),
	PROP("ErrorDetails", 'a', details, .append = append_details),
};

#define CONST	SD_BUS_VTABLE_PROPERTY_CONST
#define CHANGES SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE
static const sd_bus_vtable vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD_WITH_ARGS("Cancel", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT, bus_method,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Wait", SD_BUS_NO_ARGS, SD_BUS_RESULT("a{sv}", result), bus_method,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Trace", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("s", text), bus_method,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Plan", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("a{sv}", plan),
				bus_method, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("GetUnitId", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("s", unit_id),
				bus_method, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_PROPERTY("Id", "t", bus_get, 0, CONST),
	SD_BUS_PROPERTY("Kind", "s", bus_get, 0, CONST),
	SD_BUS_PROPERTY("State", "s", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("Stage", "s", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("Step", "s", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("Entry", "s", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("QueuedFor", "s", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("Slot", "o", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("Device", "o", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("Image", "o", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("ImageName", "s", bus_get, 0, CONST),
	SD_BUS_PROPERTY("StartedBy", "u", bus_get, 0, CONST),
	SD_BUS_PROPERTY("CreatedAt", "t", bus_get, 0, CONST),
	SD_BUS_PROPERTY("StartedAt", "t", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("FinishedAt", "t", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("CancelBoundary", "s", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("CancelWaitUsec", "t", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("CancelLeaves", "s", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("Cancelling", "b", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("Result", "a{sv}", bus_get, 0, CHANGES),
	SD_BUS_METHOD_WITH_ARGS("Release", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT, bus_method,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Refuse", SD_BUS_ARGS("s", reason), SD_BUS_NO_RESULT, bus_method,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_PROPERTY("Rule", "s", bus_get, 0, CONST),
	SD_BUS_PROPERTY("WorkOrder", "s", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("Operator", "s", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("Serial", "s", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("ErrorName", "s", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("ErrorDetails", "a{sv}", bus_get, 0, CHANGES),
	SD_BUS_VTABLE_END,
};

const struct bus_class bus_class_job = { FDLD_IFACE_JOB, props, ARRAY_SIZE(props), fill, vtable };
