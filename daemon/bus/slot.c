/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* org.fdld1.Slot */
#include "bus/internal.h"

#include "common/util.h"

struct values {
	const char *id, *port, *state, *device, *runs, *job, *owed, *label, *note, *loader, *kick,
		*last_result, *last_unit;
	uint32_t queued;
	uint64_t since, attempts, passes, failures, mean_usec, last_usec, rate, last_at, reasons;
	const char *armed_rule, *armed_why, *armed_text, *stopped;
	uint64_t armed_since, stopped_at, bound;
	bool suspect, armed;
};

static int append_reasons(struct bus *bus, void *handle, sd_bus_message *m)
{
	struct slot_view view;
	int r = sd_bus_message_open_container(m, 'a', "{st}");

	slot_view(handle, &view);
	for (uint32_t i = 0; r >= 0 && i < view.book->reasons; i++)
		r = sd_bus_message_append(m, "{st}", view.book->reason[i].what, view.book->reason[i].count);
	return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_one(sd_bus_message *m, const char *key, const char *text)
{
	return *text ? sd_bus_message_append(m, "{ss}", key, text) : 0;
}

static int append_bound(struct bus *bus, void *handle, sd_bus_message *m)
{
	const struct slot_arm *arm;
	struct slot_view view;
	int r = sd_bus_message_open_container(m, 'a', "{ss}");

	slot_view(handle, &view);
	arm = &view.book->arm;
	if (r < 0 || (r = append_one(m, "run-work-order", arm->run.work_order)) < 0 ||
	    (r = append_one(m, "run-operator", arm->run.operator)) < 0 ||
	    (r = append_one(m, "work-order", arm->next.work_order)) < 0 ||
	    (r = append_one(m, "operator", arm->next.operator)) < 0 ||
	    (r = append_one(m, "serial", arm->next.serial)) < 0)
		return r;
	return sd_bus_message_close_container(m);
}

/* Another one for other texts, as far as that matters for telling a change. */
static uint64_t mark_of(const struct slot_book *book)
{
	const struct slot_bound *both[] = { &book->arm.run, &book->arm.next };
	uint64_t h = 5381;

	for (int i = 0; i < 2; i++) {
		const char *texts[] = { both[i]->work_order, both[i]->operator, both[i]->serial };

		for (int k = 0; k < 3; k++, h = h * 33 + 1)
			for (const char *c = texts[k]; *c; c++)
				h = h * 33 + (unsigned char)*c;
	}
	return h;
}

static void fill(struct bus *bus, void *handle, void *out)
{
	struct values *v = out;
	struct slot_view view;

	slot_view(handle, &view);
	v->id = view.id;
	v->port = view.port;
	v->state = view.state;
	v->device = object_path(bus, view.device);
	v->runs = object_path(bus, view.runs);
	v->job = object_path(bus, view.job);
	v->queued = view.queued;
	v->owed = view.owed;
	v->label = view.book->label;
	v->note = view.book->note;
	v->loader = view.book->loader;
	v->kick = view.book->kick;
	v->since = view.book->since;
	v->attempts = view.book->attempts;
	v->passes = view.book->passes;
	v->failures = view.book->failures;
	v->reasons = view.book->failures + (view.book->since << 20); /* marker: changes with them */
	v->mean_usec = v->passes ? view.book->pass_usec / v->passes : 0;
	v->rate = view.book->pass_usec
			  ? (uint64_t)((double)view.book->pass_bytes * 1e6 / (double)view.book->pass_usec)
			  : 0;
	v->last_usec = view.book->last_usec;
	v->last_at = view.book->last_at;
	v->last_result = view.book->last_result;
	v->last_unit = view.book->last_unit;
	v->suspect = view.suspect;
	v->bound = mark_of(view.book);
	v->armed = view.book->arm.armed != 0;
	v->armed_since = view.book->arm.armed;
	v->armed_rule = view.book->arm.rule;
	v->armed_why = view.armed_why;
	v->armed_text = view.armed_text;
	v->stopped = view.book->arm.stopped;
	v->stopped_at = view.book->arm.stopped_at;
}

#define PROP(n, t, member)                                                      \
	{                                                                       \
		.name = n, .type = t, .offset = offsetof(struct values, member) \
	}
static const struct bus_prop props[] = {
	PROP("Id", 's', id),
	PROP("Port", 's', port),
	PROP("State", 's', state),
	PROP("Device", 'o', device),
	PROP("RunningDevice", 'o', runs),
	PROP("Job", 'o', job),
	PROP("Queued", 'u', queued),
	PROP("OwedBackup", 's', owed),
	PROP("Label", 's', label),
	PROP("Note", 's', note),
	PROP("Loader", 's', loader),
	PROP("KickBy", 's', kick),
	PROP("CountedSince", 't', since),
	PROP("Attempts", 't', attempts),
	PROP("Passes", 't', passes),
	PROP("Failures", 't', failures),
	{ .name = "FailuresBy",
	  .type = 'a',
	  .offset = offsetof(struct values, reasons),
	  .append = append_reasons },
	PROP("MeanUsec", 't', mean_usec),
	PROP("LastUsec", 't', last_usec),
	PROP("MeanRate", 't', rate),
	PROP("LastAt", 't', last_at),
	PROP("LastResult", 's', last_result),
	PROP("LastUnit", 's', last_unit),
	PROP("Suspect", 'b', suspect),
	{ .name = "Bound", .type = 'a', .offset = offsetof(struct values, bound), .append = append_bound },
	PROP("Armed", 'b', armed),
	PROP("ArmedSince", 't', armed_since),
	PROP("ArmedRule", 's', armed_rule),
	PROP("ArmedWhy", 's', armed_why),
	PROP("ArmedDetail", 's', armed_text),
	PROP("DisarmedWhy", 's', stopped),
	PROP("DisarmedAt", 't', stopped_at),
};

#define CONST	SD_BUS_VTABLE_PROPERTY_CONST
#define CHANGES SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE
static const sd_bus_vtable vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD_WITH_ARGS("Flash", SD_BUS_ARGS("h", file, "a{sv}", options), SD_BUS_RESULT("o", job),
				bus_method, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("FlashImage", SD_BUS_ARGS("o", image, "a{sv}", options),
				SD_BUS_RESULT("o", job), bus_method, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_PROPERTY("Id", "s", bus_get, 0, CONST),
	SD_BUS_PROPERTY("Port", "s", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("State", "s", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("Device", "o", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("RunningDevice", "o", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("Job", "o", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("Queued", "u", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("OwedBackup", "s", bus_get, 0, CHANGES),
	SD_BUS_METHOD_WITH_ARGS("Read", SD_BUS_ARGS("a(stth)", areas, "a{sv}", options),
				SD_BUS_RESULT("o", job), bus_method, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Erase", SD_BUS_ARGS("a(st)", areas, "a{sv}", options),
				SD_BUS_RESULT("o", job), bus_method, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Write", SD_BUS_ARGS("a(shs)", files, "a{sv}", options),
				SD_BUS_RESULT("o", job), bus_method, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("ReadTable", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("o", job),
				bus_method, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Repartition", SD_BUS_ARGS("h", xml, "a{sv}", options),
				SD_BUS_RESULT("o", job), bus_method, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("SetMarks", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("o", job),
				bus_method, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("ReadMarks", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("o", job),
				bus_method, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Reset", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("o", job), bus_method,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Kick", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("o", job), bus_method,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("ResetPort", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("o", job),
				bus_method, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("PortPower", SD_BUS_ARGS("s", action, "a{sv}", options),
				SD_BUS_RESULT("o", job), bus_method, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Bind", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT, bus_method,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_PROPERTY("Bound", "a{ss}", bus_get, 0, CHANGES),
	SD_BUS_METHOD_WITH_ARGS("Configure", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT, bus_method,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("ResetCounters", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT, bus_method,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Forget", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT, bus_method,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_PROPERTY("Label", "s", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("Note", "s", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("Loader", "s", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("KickBy", "s", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("CountedSince", "t", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("Attempts", "t", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("Passes", "t", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("Failures", "t", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("FailuresBy", "a{st}", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("MeanUsec", "t", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("LastUsec", "t", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("MeanRate", "t", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("LastAt", "t", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("LastResult", "s", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("LastUnit", "s", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("Suspect", "b", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("Armed", "b", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("ArmedSince", "t", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("ArmedRule", "s", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("ArmedWhy", "s", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("ArmedDetail", "s", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("DisarmedWhy", "s", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("DisarmedAt", "t", bus_get, 0, CHANGES),
	SD_BUS_VTABLE_END,
};

const struct bus_class bus_class_slot = { FDLD_IFACE_SLOT, props, ARRAY_SIZE(props), fill, vtable };

int slot_flash(struct call *call)
{
	struct work_place place = { .flash = true, .slot = call->object->handle, .fd = -1 };
	struct failure why = { 0 };

	if (work_take_fd(call->m, &place.fd, &why) < 0)
		return reply_failure(call->error, &why);
	return work_begin(call, &place, OPTION_FLASH | OPTION_IMAGE | OPTION_EXPECT);
}

int slot_flash_image(struct call *call)
{
	struct work_place place = { .flash = true, .slot = call->object->handle, .fd = -1 };
	struct failure why = { 0 };
	const char *path;
	int r = sd_bus_message_read_basic(call->m, 'o', &path);

	if (r < 0)
		return r;
	place.image = object_handle(call->bus, KIND_IMAGE, path);
	if (!place.image) {
		failure_set(&why, ERR_NO_SUCH_IMAGE, "%s", path);
		return reply_failure(call->error, &why);
	}
	image_hold(place.image);
	return work_begin(call, &place, OPTION_FLASH | OPTION_EXPECT);
}

/* The answer comes when it is on the disk. */
static int changed(struct call *call, int r, const struct failure *why)
{
	struct slot *slot = call->object->handle;

	return r < 0 ? reply_failure(call->error, why) : work_slots_stored(call, &slot, 1);
}

int slot_call_bind(struct call *call)
{
	struct failure why = { 0 };
	struct options options;
	int r = options_read(call->bus, call->m, OPTION_BIND | OPTION_RUN, &options, &why);

	if (r >= 0)
		r = work_room(call, &why);
	if (r >= 0)
		r = slot_bind(call->object->handle, &options.bind, &why);
	options_free(&options);
	return changed(call, r, &why);
}

int slot_configure(struct call *call)
{
	struct failure why = { 0 };
	struct options options;
	int r = options_read(call->bus, call->m, OPTION_LABEL, &options, &why);

	if (r >= 0 && options.kick)
		r = slot_kick_check(options.kick, &why);
	if (r >= 0)
		r = work_room(call, &why);
	if (r >= 0)
		r = slot_set(call->object->handle, options.label, options.note, options.loader, &why);
	if (r >= 0 && options.kick)
		slot_kick_by(call->object->handle, options.kick);
	options_free(&options);
	return changed(call, r, &why);
}

/* Also of a caller who needs nobody's leave: an option nobody knows is refused. */
static int without_options(struct call *call, void (*fn)(struct slot *slot))
{
	struct failure why = { 0 };
	struct options options;
	int r = options_read(call->bus, call->m, 0, &options, &why);

	options_free(&options);
	if (r >= 0)
		r = work_room(call, &why);
	if (r >= 0)
		fn(call->object->handle);
	return changed(call, r, &why);
}

int slot_reset_counters(struct call *call)
{
	return without_options(call, slot_reset);
}

int slot_call_forget(struct call *call)
{
	return without_options(call, slot_forget);
}
