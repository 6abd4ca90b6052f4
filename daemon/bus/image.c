/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* org.fdld1.Image */
#include "bus/internal.h"

#include "common/util.h"

struct values {
	const char *state, *name, *product, *firmware, *digest, *loader, *error_name;
	uint64_t size, checked, opened_at, imported_at, details;
	bool stored;
};

static void fill(struct bus *bus, void *handle, void *out)
{
	struct values *v = out;
	struct image_view view;

	image_view(handle, &view);
	v->state = view.state;
	v->name = view.name;
	v->product = view.product;
	v->firmware = view.firmware;
	v->digest = view.digest;
	v->loader = view.given;
	v->error_name = reply_error_name(&view.failure);
	v->size = view.size;
	v->checked = view.bytes_checked;
	v->opened_at = view.opened_at;
	v->imported_at = view.imported_at;
	v->stored = view.stored;
	v->details = view.failure.error;
}

static int append_details(struct bus *bus, void *handle, sd_bus_message *m)
{
	struct image_view view;

	image_view(handle, &view);
	return reply_details(m, &view.failure);
}

#define PROP(n, t, member, ...)                                                              \
	{                                                                                    \
		.name = n, .type = t, .offset = offsetof(struct values, member), __VA_ARGS__ \
	}
static const struct bus_prop props[] = {
	PROP("State", 's', state),
	PROP("Name", 's', name),
	PROP("Size", 't', size),
	PROP("BytesChecked", 't', checked, .quiet = true),
	PROP("Product", 's', product),
	PROP("Firmware", 's', firmware),
	PROP("Digest", 's', digest),
	PROP("Loader", 's', loader),
	PROP("OpenedAt", 't', opened_at),
	PROP("Stored", 'b', stored),
	PROP("ImportedAt", 't', imported_at),
	PROP("ErrorName", 's', error_name),
	PROP("ErrorDetails", 'a', details, .append = append_details),
};

#define CONST	SD_BUS_VTABLE_PROPERTY_CONST
#define CHANGES SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE
static const sd_bus_vtable vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD_WITH_ARGS("Release", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT, bus_method,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Remove", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT, bus_method,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Verify", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT, bus_method,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_PROPERTY("State", "s", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("Name", "s", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("Size", "t", bus_get, 0, CONST),
	SD_BUS_PROPERTY("BytesChecked", "t", bus_get, 0, 0),
	SD_BUS_PROPERTY("Product", "s", bus_get, 0, CONST),
	SD_BUS_PROPERTY("Firmware", "s", bus_get, 0, CONST),
	SD_BUS_PROPERTY("Digest", "s", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("Loader", "s", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("OpenedAt", "t", bus_get, 0, CONST),
	SD_BUS_PROPERTY("Stored", "b", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("ImportedAt", "t", bus_get, 0, CONST),
	SD_BUS_PROPERTY("ErrorName", "s", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("ErrorDetails", "a{sv}", bus_get, 0, CHANGES),
	SD_BUS_VTABLE_END,
};

const struct bus_class bus_class_image = { FDLD_IFACE_IMAGE, props, ARRAY_SIZE(props), fill, vtable };

int image_call_release(struct call *call)
{
	struct failure why = { 0 };
	struct options options;
	int r = options_read(call->bus, call->m, 0, &options, &why);

	options_free(&options);
	if (r < 0)
		return reply_failure(call->error, &why);
	if (!client_drop_image(call->client, call->object->handle)) {
		failure_set(&why, ERR_NO_SUCH_IMAGE, "%s does not hold %s", call->client->name,
			    call->object->path);
		return reply_failure(call->error, &why);
	}
	return sd_bus_reply_method_return(call->m, "");
}

int image_call_remove(struct call *call)
{
	return work_on_stored(call, false);
}

int image_call_verify(struct call *call)
{
	return work_on_stored(call, true);
}
