/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* org.fdld1.Loader, and how pairs come into their store. */
#include "bus/internal.h"

#include <unistd.h>

#include "common/util.h"

struct values {
	const char *state, *name, *digest, *family, *chips, *sure, *origin, *origin_digest, *error_name;
	uint64_t imported_at, parts, doubts, details;
	bool forced;
};

static void fill(struct bus *bus, void *handle, void *out)
{
	struct values *v = out;
	struct image_view image;
	struct loader_view view;

	image_view(handle, &image);
	loader_view(handle, &view);
	v->state = image.state;
	v->name = image.name;
	v->digest = image.digest;
	v->imported_at = image.imported_at;
	v->error_name = reply_error_name(&image.failure);
	v->details = image.failure.error;
	v->family = view.family;
	v->chips = view.chips;
	v->sure = view.sure;
	v->origin = view.origin;
	v->origin_digest = view.origin_digest;
	v->forced = view.forced;
	v->parts = view.parts; /* markers: what they stand for changes with the state only */
	v->doubts = image.doubts;
}

static int append_parts(struct bus *bus, void *handle, sd_bus_message *m)
{
	struct loader_view view;
	int r = sd_bus_message_open_container(m, 'a', "a{sv}");

	loader_view(handle, &view);
	for (uint32_t i = 0; r >= 0 && i < view.parts; i++) {
		r = sd_bus_message_open_container(m, 'a', "{sv}");
		if (r >= 0)
			r = reply_entry(m, "address", 't', &view.part[i].address);
		if (r >= 0)
			r = reply_entry(m, "size", 't', &view.part[i].size);
		if (r >= 0)
			r = reply_entry(m, "digest", 's', view.part[i].digest);
		if (r >= 0)
			r = reply_entry(m, "version", 's', view.part[i].version);
		if (r >= 0)
			r = sd_bus_message_close_container(m);
	}
	return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_doubts(struct bus *bus, void *handle, sd_bus_message *m)
{
	struct image_view view;
	int r = sd_bus_message_open_container(m, 'a', "s");

	image_view(handle, &view);
	for (uint32_t i = 0; r >= 0 && i < view.doubts; i++)
		r = reply_text(m, image_doubt(handle, i, NULL));
	return r < 0 ? r : sd_bus_message_close_container(m);
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
	PROP("Digest", 's', digest),
	PROP("Family", 's', family),
	PROP("Chips", 's', chips),
	PROP("FamilySure", 's', sure),
	PROP("Parts", 'a', parts, .append = append_parts),
	PROP("Origin", 's', origin),
	PROP("OriginDigest", 's', origin_digest),
	PROP("Forced", 'b', forced),
	PROP("Doubts", 'a', doubts, .append = append_doubts),
	PROP("ImportedAt", 't', imported_at),
	PROP("ErrorName", 's', error_name),
	PROP("ErrorDetails", 'a', details, .append = append_details),
};

#define CONST	SD_BUS_VTABLE_PROPERTY_CONST
#define CHANGES SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE
static const sd_bus_vtable vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD_WITH_ARGS("Remove", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT, bus_method,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_PROPERTY("State", "s", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("Name", "s", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("Digest", "s", bus_get, 0, CONST),
	SD_BUS_PROPERTY("Family", "s", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("Chips", "s", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("FamilySure", "s", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("Parts", "aa{sv}", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("Origin", "s", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("OriginDigest", "s", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("Forced", "b", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("Doubts", "as", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("ImportedAt", "t", bus_get, 0, CONST),
	SD_BUS_PROPERTY("ErrorName", "s", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("ErrorDetails", "a{sv}", bus_get, 0, CHANGES),
	SD_BUS_VTABLE_END,
};

const struct bus_class bus_class_loader = { FDLD_IFACE_LOADER, props, ARRAY_SIZE(props), fill, vtable };

int loader_call_remove(struct call *call)
{
	return work_on_stored(call, false);
}

int manager_import_loader(struct call *call)
{
	struct work_place place = {
		.fd = -1, .import = true, .loader = true, .source.part = { { .fd = -1 }, { .fd = -1 } }
	};
	struct failure why = { 0 };

	if (work_take_fd(call->m, &place.source.part[0].fd, &why) < 0)
		return reply_failure(call->error, &why);
	return work_begin(call, &place, OPTION_IMAGE | OPTION_LOADER);
}

/* The a(ht) that comes next. */
static int read_parts(struct call *call, struct loader_source *source, struct failure *why)
{
	sd_bus_message *m = call->m;
	int r = sd_bus_message_enter_container(m, 'a', "(ht)");

	while (r >= 0 && (r = sd_bus_message_enter_container(m, 'r', "ht")) > 0) {
		uint32_t i = source->parts;

		if (i == ARRAY_SIZE(source->part))
			return failure_set(why, ERR_INVALID_ARGS, "more than two loaders");
		r = work_take_fd(m, &source->part[i].fd, why);
		if (r < 0)
			return r;
		source->parts++;
		r = sd_bus_message_read_basic(m, 't', &source->part[i].address);
		if (r >= 0 && (!source->part[i].address || source->part[i].address > UINT32_MAX))
			return failure_set(why, ERR_INVALID_ARGS, "a loader goes to an address of 32 bits");
		if (r >= 0)
			r = sd_bus_message_exit_container(m);
	}
	if (r >= 0)
		r = sd_bus_message_exit_container(m);
	if (r < 0)
		return failure_set(why, ERR_INVALID_ARGS, "malformed loaders");
	return source->parts ? 0 : failure_set(why, ERR_INVALID_ARGS, "no loader");
}

int manager_import_loader_pair(struct call *call)
{
	struct work_place place = {
		.fd = -1, .import = true, .loader = true, .source.part = { { .fd = -1 }, { .fd = -1 } }
	};
	struct failure why = { 0 };

	if (read_parts(call, &place.source, &why) < 0) {
		for (unsigned int i = 0; i < ARRAY_SIZE(place.source.part); i++)
			if (place.source.part[i].fd >= 0)
				close(place.source.part[i].fd);
		return reply_failure(call->error, &why);
	}
	return work_begin(call, &place, OPTION_LOADER);
}
