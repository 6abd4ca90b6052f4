/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* org.fdld1.Manager */
#include "bus/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "station/config.h"

struct values {
	const char *version, *config_error, *history_state, *history_error;
	uint64_t history_rebuilt;
	uint64_t config_read_at;
	bool probing, draining;
	uint64_t counters, stall; /* counters: nothing to compare, it is not signalled */
};

static void fill(struct bus *bus, void *handle, void *out)
{
	struct values *v = out;
	struct history_view history;
	struct loop_stats stats;

	loop_stats(bus->loop, &stats);
	station_history(bus->station, &history);
	v->history_state = history.state;
	v->history_error = history.failure->detail;
	v->history_rebuilt = history.rebuilt;
	v->version = FDLD_VERSION;
	v->config_error = config_failure(station_config(bus->station))->detail;
	v->config_read_at = config_read_at(station_config(bus->station));
	v->probing = station_probing(bus->station);
	v->draining = station_draining(bus->station);
	v->counters = 0;
	v->stall = stats.max_turn_usec;
}

static int append_counters(struct bus *bus, void *handle, sd_bus_message *m)
{
	struct station_counts c;
	int r;

	station_counts(bus->station, &c);
	r = sd_bus_message_open_container(m, 'a', "{st}");
	if (r >= 0)
		r = sd_bus_message_append(
			m, "{st}{st}{st}{st}{st}{st}{st}{st}{st}{st}{st}{st}{st}{st}{st}{st}{st}{st}{st}",
			"jobs-accepted", c.jobs_accepted, "jobs-succeeded", c.jobs_succeeded, "jobs-failed",
			c.jobs_failed, "jobs-skipped", c.jobs_skipped, "jobs-cancelled", c.jobs_cancelled,
			"jobs-interrupted", c.jobs_interrupted, "jobs-waiting", (uint64_t)c.waiting,
			"jobs-queued", (uint64_t)c.queued, "jobs-running", (uint64_t)c.running,
			"backups-owed", (uint64_t)c.owed, "devices-arrived", c.devices_arrived, "devices",
			(uint64_t)c.devices, "slots", (uint64_t)c.slots, "images", (uint64_t)c.images,
			"usb-memory-used", c.usb_memory_used, "usb-memory-limit", c.usb_memory_limit,
			"threads-left-behind", (uint64_t)c.threads_left_behind, "slots-armed",
			(uint64_t)c.armed, "slots-stopped", (uint64_t)c.stopped);
	return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_chores(struct bus *bus, void *handle, sd_bus_message *m)
{
	struct chore_view v;
	int r = sd_bus_message_open_container(m, 'a', "(sstt)");

	(void)handle;
	for (uint32_t i = 0; r >= 0 && station_chore(bus->station, i, &v); i++)
		r = sd_bus_message_append(m, "(sstt)", v.kind, v.name, v.done, v.total);
	return r < 0 ? r : sd_bus_message_close_container(m);
}

#define PROP(n, t, member, ...)                                                              \
	{                                                                                    \
		.name = n, .type = t, .offset = offsetof(struct values, member), __VA_ARGS__ \
	}
static const struct bus_prop props[] = {
	PROP("Version", 's', version),
	PROP("Probing", 'b', probing),
	PROP("Draining", 'b', draining),
	PROP("ConfigError", 's', config_error),
	PROP("ConfigReadAt", 't', config_read_at),
	PROP("HistoryState", 's', history_state),
	PROP("HistoryError", 's', history_error),
	PROP("HistoryRebuilt", 't', history_rebuilt),
	PROP("Counters", 'a', counters, .quiet = true, .append = append_counters),
	PROP("StoreWork", 'a', counters, .quiet = true, .append = append_chores),
	PROP("LoopStallMaxUsec", 't', stall, .quiet = true),
};

#define CONST	SD_BUS_VTABLE_PROPERTY_CONST
#define CHANGES SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE
static const sd_bus_vtable vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD_WITH_ARGS("OpenImage", SD_BUS_ARGS("h", file, "a{sv}", options),
				SD_BUS_RESULT("o", image), bus_method, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("ImportImage", SD_BUS_ARGS("h", file, "a{sv}", options),
				SD_BUS_RESULT("o", image), bus_method, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("ImportLoader", SD_BUS_ARGS("h", file, "a{sv}", options),
				SD_BUS_RESULT("o", loader), bus_method, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("ImportLoaderPair", SD_BUS_ARGS("a(ht)", parts, "a{sv}", options),
				SD_BUS_RESULT("o", loader), bus_method, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("GetStoredImage", SD_BUS_ARGS("s", name), SD_BUS_RESULT("o", image),
				bus_method, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("FlashNext", SD_BUS_ARGS("h", file, "ao", slots, "a{sv}", options),
				SD_BUS_RESULT("o", job), bus_method, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("FlashNextImage", SD_BUS_ARGS("o", image, "ao", slots, "a{sv}", options),
				SD_BUS_RESULT("o", job), bus_method, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Arm", SD_BUS_ARGS("ao", slots, "a{sv}", options), SD_BUS_NO_RESULT,
				bus_method, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Disarm", SD_BUS_ARGS("ao", slots, "a{sv}", options), SD_BUS_NO_RESULT,
				bus_method, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("GetSlot", SD_BUS_ARGS("s", name), SD_BUS_RESULT("o", slot), bus_method,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("GetJob", SD_BUS_ARGS("t", id), SD_BUS_RESULT("o", job), bus_method,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Drain", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT, bus_method,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("GetSettings", SD_BUS_NO_ARGS, SD_BUS_RESULT("aa{sv}", settings, "as", files),
				bus_method, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("GetRules", SD_BUS_NO_ARGS, SD_BUS_RESULT("aa{sv}", rules, "as", files),
				bus_method, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("ExplainRules", SD_BUS_ARGS("s", slot, "a{sv}", options),
				SD_BUS_RESULT("a{sv}", answer, "aa{sv}", rules), bus_method,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Reload", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT, bus_method,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("History", SD_BUS_ARGS("a{sv}", filter), SD_BUS_RESULT("h", lines, "t", more),
				bus_method, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("HistoryText", SD_BUS_ARGS("a{sv}", filter),
				SD_BUS_RESULT("s", text, "t", more), bus_method, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("HistoryVerify", SD_BUS_ARGS("a{sv}", options),
				SD_BUS_RESULT("h", differences, "t", jobs, "t", count), bus_method,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("HistoryRebuild", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("t", jobs),
				bus_method, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Backups", SD_BUS_ARGS("a{sv}", filter), SD_BUS_RESULT("h", lines),
				bus_method, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("BackupsText", SD_BUS_ARGS("a{sv}", filter), SD_BUS_RESULT("s", text),
				bus_method, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("ExportBackup", SD_BUS_ARGS("t", job, "s", name, "h", file, "a{sv}", options),
				SD_BUS_RESULT("t", bytes), bus_method, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_SIGNAL_WITH_ARGS("JobFinished", SD_BUS_ARGS("o", job, "s", result, "s", error_name), 0),
	SD_BUS_PROPERTY("Version", "s", bus_get, 0, CONST),
	SD_BUS_PROPERTY("Probing", "b", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("Draining", "b", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("ConfigError", "s", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("ConfigReadAt", "t", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("HistoryState", "s", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("HistoryError", "s", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("HistoryRebuilt", "t", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("Counters", "a{st}", bus_get, 0, 0),
	SD_BUS_PROPERTY("StoreWork", "a(sstt)", bus_get, 0, 0),
	SD_BUS_PROPERTY("LoopStallMaxUsec", "t", bus_get, 0, 0),
	SD_BUS_VTABLE_END,
};

const struct bus_class bus_class_manager = { FDLD_IFACE_MANAGER, props, ARRAY_SIZE(props), fill, vtable };

/* ---- methods ---------------------------------------------------------------------- */

int manager_open_image(struct call *call)
{
	struct work_place place = { .fd = -1 };
	struct failure why = { 0 };

	if (work_take_fd(call->m, &place.fd, &why) < 0)
		return reply_failure(call->error, &why);
	return work_begin(call, &place, OPTION_IMAGE);
}

int manager_import_image(struct call *call)
{
	struct work_place place = { .fd = -1, .import = true };
	struct failure why = { 0 };

	if (work_take_fd(call->m, &place.fd, &why) < 0)
		return reply_failure(call->error, &why);
	return work_begin(call, &place, OPTION_IMAGE | OPTION_IMPORT);
}

int manager_stored_image(struct call *call)
{
	struct failure why = { 0 };
	struct image *image;
	const char *name;
	int r = sd_bus_message_read_basic(call->m, 's', &name);

	if (r < 0)
		return r;
	image = station_stored_image(call->bus->station, name, &why);
	if (!image)
		return reply_failure(call->error, &why);
	return sd_bus_reply_method_return(call->m, "o", object_path(call->bus, image));
}

/* The ao of slots that comes next. *slots is the caller's. */
static int read_slots(struct call *call, struct slot ***slots, uint32_t *count, struct failure *why)
{
	const char *path;
	int r = sd_bus_message_enter_container(call->m, 'a', "o");

	*slots = NULL;
	*count = 0;
	while (r >= 0 && (r = sd_bus_message_read_basic(call->m, 'o', &path)) > 0) {
		struct slot *slot = object_handle(call->bus, KIND_SLOT, path);
		struct slot **more;

		if (!slot)
			return failure_set(why, ERR_NO_SUCH_SLOT, "%s", path);
		more = realloc(*slots, (*count + 1) * sizeof(*more));
		if (!more)
			return failure_set(why, ERR_INTERNAL, "no memory");
		*slots = more;
		more[(*count)++] = slot;
	}
	if (r >= 0)
		r = sd_bus_message_exit_container(call->m);
	return r < 0 ? failure_set(why, ERR_INVALID_ARGS, "malformed slots") : 0;
}

int manager_flash_next(struct call *call)
{
	struct work_place place = { .flash = true, .fd = -1 };
	struct failure why = { 0 };

	if (work_take_fd(call->m, &place.fd, &why) < 0)
		return reply_failure(call->error, &why);
	if (read_slots(call, &place.slots, &place.slot_count, &why) < 0) {
		close(place.fd);
		free(place.slots);
		return reply_failure(call->error, &why);
	}
	return work_begin(call, &place, OPTION_FLASH | OPTION_IMAGE);
}

int manager_flash_next_image(struct call *call)
{
	struct work_place place = { .flash = true, .fd = -1 };
	struct failure why = { 0 };
	struct image *image;
	const char *path;
	int r = sd_bus_message_read_basic(call->m, 'o', &path);

	if (r < 0)
		return r;
	image = object_handle(call->bus, KIND_IMAGE, path);
	if (!image) {
		failure_set(&why, ERR_NO_SUCH_IMAGE, "%s", path);
		return reply_failure(call->error, &why);
	}
	if (read_slots(call, &place.slots, &place.slot_count, &why) < 0) {
		free(place.slots);
		return reply_failure(call->error, &why);
	}
	image_hold(image);
	place.image = image;
	return work_begin(call, &place, OPTION_FLASH);
}

static int arm_or_disarm(struct call *call, bool arm)
{
	struct station *st = call->bus->station;
	struct options options = { 0 };
	struct failure why = { 0 };
	struct slot **slots;
	uint32_t count;
	int r = read_slots(call, &slots, &count, &why);

	if (r >= 0)
		r = options_read(call->bus, call->m, arm ? OPTION_ARM : 0, &options, &why);
	if (r >= 0)
		r = work_room(call, &why);
	if (r >= 0 && arm)
		r = station_arm(st, slots, count, &options.arm, &why);
	else if (r >= 0)
		station_disarm(st, slots, count);
	/* who is told that a port is armed counts on it over a restart, too */
	r = r < 0 ? reply_failure(call->error, &why) : work_slots_stored(call, slots, count);
	free(slots);
	options_free(&options);
	return r;
}

int manager_arm(struct call *call)
{
	return arm_or_disarm(call, true);
}

int manager_disarm(struct call *call)
{
	return arm_or_disarm(call, false);
}

int manager_get_slot(struct call *call)
{
	struct failure why = { 0 };
	struct slot *slot;
	const char *name;
	int r = sd_bus_message_read_basic(call->m, 's', &name);

	if (r < 0)
		return r;
	slot = station_slot_named(call->bus->station, name);
	if (!slot) {
		failure_set(&why, ERR_NO_SUCH_SLOT, "%.128s", name);
		return reply_failure(call->error, &why);
	}
	return sd_bus_reply_method_return(call->m, "o", object_path(call->bus, slot));
}

int manager_get_job(struct call *call)
{
	struct failure why = { 0 };
	struct job *job;
	uint64_t number;
	int r = sd_bus_message_read_basic(call->m, 't', &number);

	if (r < 0)
		return r;
	job = station_job(call->bus->station, number);
	if (!object_of(call->bus, job)) {
		failure_set(&why, ERR_NO_SUCH_JOB, "%llu", (unsigned long long)number);
		return reply_failure(call->error, &why);
	}
	return sd_bus_reply_method_return(call->m, "o", object_path(call->bus, job));
}

int manager_drain(struct call *call)
{
	struct failure why = { 0 };
	struct options options;
	int r = options_read(call->bus, call->m, 0, &options, &why);

	options_free(&options);
	if (r < 0)
		return reply_failure(call->error, &why);
	station_drain(call->bus->station, false);
	return sd_bus_reply_method_return(call->m, "");
}
