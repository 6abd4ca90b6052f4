/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* org.fdld1.Device: read-only */
#include "bus/internal.h"

#include "common/util.h"

struct values {
	uint64_t number, arrived_at, first_transfer, kept_until;
	const char *slot, *stage, *unit;
	uint32_t bus_number, device_number;
	uint16_t vendor, product;
	bool present, arrival_seen;
};

static void fill(struct bus *bus, void *handle, void *out)
{
	struct values *v = out;
	struct device_view view;

	device_view(handle, &view);
	v->number = view.number;
	v->arrived_at = view.arrived_at;
	v->first_transfer = view.first_transfer_usec;
	v->kept_until = view.kept_until_at;
	v->slot = object_path(bus, view.slot);
	v->stage = view.stage;
	v->unit = view.unit;
	v->bus_number = view.bus;
	v->device_number = view.address;
	v->vendor = view.vendor;
	v->product = view.product;
	v->present = view.present;
	v->arrival_seen = view.arrival_seen;
}

#define PROP(n, t, member, ...)                                                              \
	{                                                                                    \
		.name = n, .type = t, .offset = offsetof(struct values, member), __VA_ARGS__ \
	}
static const struct bus_prop props[] = {
	PROP("Number", 't', number),
	PROP("Slot", 'o', slot),
	PROP("VendorId", 'q', vendor),
	PROP("ProductId", 'q', product),
	PROP("ArrivedAt", 't', arrived_at),
	PROP("Present", 'b', present),
	PROP("BusNumber", 'u', bus_number),
	PROP("DeviceNumber", 'u', device_number),
	PROP("Stage", 's', stage),
	PROP("ArrivalSeen", 'b', arrival_seen),
	PROP("KeptUntil", 't', kept_until),
	PROP("UnitId", 's', unit),
	PROP("FirstTransferUsec", 't', first_transfer, .quiet = true),
};

#define CONST	SD_BUS_VTABLE_PROPERTY_CONST
#define CHANGES SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE
static const sd_bus_vtable vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_PROPERTY("Number", "t", bus_get, 0, CONST),
	SD_BUS_PROPERTY("Slot", "o", bus_get, 0, CONST),
	SD_BUS_PROPERTY("VendorId", "q", bus_get, 0, CONST),
	SD_BUS_PROPERTY("ProductId", "q", bus_get, 0, CONST),
	SD_BUS_PROPERTY("ArrivedAt", "t", bus_get, 0, CONST),
	SD_BUS_PROPERTY("Present", "b", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("BusNumber", "u", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("DeviceNumber", "u", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("Stage", "s", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("ArrivalSeen", "b", bus_get, 0, CONST),
	SD_BUS_PROPERTY("UnitId", "s", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("KeptUntil", "t", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("FirstTransferUsec", "t", bus_get, 0, 0),
	SD_BUS_VTABLE_END,
};

const struct bus_class bus_class_device = { FDLD_IFACE_DEVICE, props, ARRAY_SIZE(props), fill, vtable };
