/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* org.fdld1.Slot */
#include "bus/internal.h"

#include "common/util.h"

struct values {
	const char *id, *port, *state, *device, *job, *owed;
	uint32_t queued;
};

static void fill(struct bus *bus, void *handle, void *out)
{
	struct values *v = out;
	struct slot_view view;

	slot_view(handle, &view);
	v->id = view.id;
	v->port = view.port;
	v->state = view.state;
	v->device = object_path(bus, view.device);
	v->job = object_path(bus, view.job);
	v->queued = view.queued;
	v->owed = view.owed;
}

#define PROP(n, t, member)                                                      \
	{                                                                       \
		.name = n, .type = t, .offset = offsetof(struct values, member) \
	}
static const struct bus_prop props[] = {
	PROP("Id", 's', id),	       PROP("Port", 's', port), PROP("State", 's', state),
	PROP("Device", 'o', device),   PROP("Job", 'o', job),	PROP("Queued", 'u', queued),
	PROP("OwedBackup", 's', owed),
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
	SD_BUS_PROPERTY("Job", "o", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("Queued", "u", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("OwedBackup", "s", bus_get, 0, CHANGES),
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
