/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* org.fdld1.Progress: what changes often, apart, so that nobody else has to wake up for it */
#include "bus/internal.h"

#include "common/util.h"

struct values {
	uint64_t done, total, rate, eta, silent, deadline;
	double fraction, check;
	uint32_t stage, stages, entry, entries;
	const char *why;
	bool waiting;
};

static void fill(struct bus *bus, void *handle, void *out)
{
	struct values *v = out;
	struct job_progress p;

	job_progress(handle, &p);
	v->done = p.bytes_done;
	v->total = p.bytes_total;
	v->rate = p.rate;
	v->eta = p.eta_usec;
	v->silent = p.silent_usec;
	v->deadline = p.deadline_usec;
	v->fraction = p.fraction;
	v->check = p.check_fraction;
	v->stage = p.stage_index;
	v->stages = p.stage_count;
	v->entry = p.entry_index;
	v->entries = p.entry_count;
	v->why = p.why;
	v->waiting = p.waiting_for_phone;
}

#define PROP(n, t, member)                                                      \
	{                                                                       \
		.name = n, .type = t, .offset = offsetof(struct values, member) \
	}
static const struct bus_prop props[] = {
	PROP("BytesDone", 't', done),
	PROP("BytesTotal", 't', total),
	PROP("Fraction", 'd', fraction),
	PROP("Rate", 't', rate),
	PROP("EtaUsec", 't', eta),
	PROP("StageIndex", 'u', stage),
	PROP("StageCount", 'u', stages),
	PROP("EntryIndex", 'u', entry),
	PROP("EntryCount", 'u', entries),
	PROP("CheckFraction", 'd', check),
	PROP("WaitingForPhone", 'b', waiting),
	PROP("SilentUsec", 't', silent),
	PROP("DeadlineUsec", 't', deadline),
	PROP("Why", 's', why),
};

#define CONST	SD_BUS_VTABLE_PROPERTY_CONST
#define CHANGES SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE
static const sd_bus_vtable vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_PROPERTY("BytesDone", "t", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("BytesTotal", "t", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("Fraction", "d", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("Rate", "t", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("EtaUsec", "t", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("StageIndex", "u", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("StageCount", "u", bus_get, 0, CONST),
	SD_BUS_PROPERTY("EntryIndex", "u", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("EntryCount", "u", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("CheckFraction", "d", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("WaitingForPhone", "b", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("SilentUsec", "t", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("DeadlineUsec", "t", bus_get, 0, CHANGES),
	SD_BUS_PROPERTY("Why", "s", bus_get, 0, CHANGES),
	SD_BUS_VTABLE_END,
};

const struct bus_class bus_class_progress = { FDLD_IFACE_PROGRESS, props, ARRAY_SIZE(props), fill, vtable };
