/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The wire between tests/phone and the bed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bed/internal.h"
#include "tests/bed/phone_usb.h"

/* How often a phone is looked at that wants to say something and has nobody to listen. */
#define IDLE_NS UINT64_C(1000000)

struct bed_phone {
	struct bed *bed;
	struct phone *phone;
	struct bed_dev *dev;
	struct bed_spec spec;
	char controller[96], ports[32], id_path[128], tag[32];
	uint8_t desc[256];
	uint64_t epoch; /* bed_now() at the phone's time 0 */
	unsigned int speed;
	bool (*watch)(void *arg);
	void *watch_arg;
	bool offered, held; /* the transfer at hand was told of before; nothing goes out any more */
};

static uint64_t phone_time(const struct bed_phone *bp, uint64_t now)
{
	return (now - bp->epoch) / 1000 * bp->speed;
}

static uint64_t bed_time(const struct bed_phone *bp, uint64_t usec)
{
	if (usec == PHONE_NEVER)
		return UINT64_MAX;
	/* rounded up: never too early for the phone */
	return bp->epoch + (usec / bp->speed + 1) * 1000;
}

static void attach(struct bed_phone *bp, bool uevent);

/* One event of the phone; false: it changed what stands on the port, and the device at hand is not the phone
 * any more. */
static bool pass_on(struct bed_phone *bp, struct bed_dev *dev, const struct phone_event *event)
{
	switch (event->kind) {
	case PHONE_IN: bed_in(dev, event->bytes, event->length, event->ends); return true;
	case PHONE_IN_HALT: bed_in_status(dev, -EPIPE); return true;
	case PHONE_IN_PROTO: bed_in_status(dev, -EPROTO); return true;
	case PHONE_IN_BABBLE: bed_in_status(dev, -EOVERFLOW); return true;
	case PHONE_DETACH: bed_unplug(dev, true); return false;
	case PHONE_ATTACH:
		bed_unplug(dev, true);
		attach(bp, true);
		return false;
	}
	return false;
}

static int on_out(struct bed_dev *dev, const uint8_t *data, size_t len, bool zlp)
{
	struct bed_phone *bp = bed_user(dev);
	enum phone_taken taken;

	if (bp->watch && !bp->offered && !bp->held)
		bp->held = bp->watch(bp->watch_arg);
	bp->offered = true;
	if (bp->held)
		return -EAGAIN;
	taken = phone_stage(bp->phone) == PHONE_RUNNING
			? phone_port_out(bp->phone, phone_time(bp, bed_now()), bed_out_endpoint(dev), data,
					 len)
			: phone_out(bp->phone, phone_time(bp, bed_now()), data, len, zlp);
	bp->offered = taken == PHONE_NAK;
	switch (taken) {
	case PHONE_TAKEN: return 0;
	case PHONE_NAK: return -EAGAIN;
	case PHONE_HALTED: return -EPIPE;
	case PHONE_PROTO: return -EPROTO;
	case PHONE_GONE: break;
	}
	/* it has left, or is about to: its DETACH will take this transfer along */
	return -EAGAIN;
}

static void on_in(struct bed_dev *dev, uint64_t now)
{
	struct bed_phone *bp = bed_user(dev);
	struct phone_event event;

	while (bed_in_posted(dev) && phone_poll(bp->phone, phone_time(bp, now), &event)) {
		if (!pass_on(bp, dev, &event))
			return;
	}
}

static int on_control(struct bed_dev *dev, const uint8_t setup[8], uint8_t *data, size_t len)
{
	struct bed_phone *bp = bed_user(dev);

	if (setup[0] & 0x80)
		return -EPIPE;
	return phone_control(bp->phone, phone_time(bp, bed_now()), setup[0], setup[1],
			     (uint16_t)(setup[2] | setup[3] << 8), (uint16_t)(setup[4] | setup[5] << 8));
}

static void on_reset(struct bed_dev *dev)
{
	struct bed_phone *bp = bed_user(dev);

	phone_bus_reset(bp->phone, phone_time(bp, bed_now()));
}

static uint64_t on_tick(struct bed_dev *dev, uint64_t now)
{
	struct bed_phone *bp = bed_user(dev);
	struct phone_event event;
	uint64_t due;

	/* on the bus with somebody listening: on_in() has asked for everything already */
	if (bed_gone(dev) || !bed_in_posted(dev)) {
		while (phone_poll_bus(bp->phone, phone_time(bp, now), &event)) {
			if (!pass_on(bp, dev, &event) && bp->dev != dev)
				return UINT64_MAX;
		}
	}
	due = bed_time(bp, phone_due(bp->phone));
	return due <= now ? now + IDLE_NS : due;
}

static const struct bed_model phone_model = {
	.out = on_out,
	.in = on_in,
	.control = on_control,
	.reset = on_reset,
	.tick = on_tick,
};

static void attach(struct bed_phone *bp, bool uevent)
{
	const uint8_t *desc;
	size_t len;

	desc = phone_descriptors(bp->phone, &len);
	if (len > sizeof(bp->desc))
		bed_die("descriptors of a phone");
	memcpy(bp->desc, desc, len);
	bp->spec.desc = bp->desc;
	bp->spec.desc_len = len;
	bp->spec.num = 0;
	if (bp->dev)
		bp->dev->replaced = true;
	bp->dev = bed_plug(bp->bed, &bp->spec, uevent);
}

struct bed_phone *bed_phone_new(struct bed *bed, struct phone *phone, const struct bed_spec *where,
				unsigned int speed)
{
	struct bed_phone *bp = calloc(1, sizeof(*bp));

	if (!bp)
		bed_die("phone");
	bp->bed = bed;
	bp->phone = phone;
	bp->spec = *where;
	bp->spec.model = &phone_model;
	bp->spec.user = bp;
	if (where->controller)
		bp->spec.controller = strncpy(bp->controller, where->controller, sizeof(bp->controller) - 1);
	bp->spec.ports = strncpy(bp->ports, where->ports, sizeof(bp->ports) - 1);
	if (where->id_path)
		bp->spec.id_path = strncpy(bp->id_path, where->id_path, sizeof(bp->id_path) - 1);
	if (where->tag)
		bp->spec.tag = strncpy(bp->tag, where->tag, sizeof(bp->tag) - 1);
	bp->epoch = bed_now();
	bp->speed = speed ? speed : 1;
	return bp;
}

void bed_phone_free(struct bed_phone *bp)
{
	free(bp);
}

void bed_phone_plug(struct bed_phone *bp, bool uevent)
{
	phone_plug(bp->phone, bed_phone_now(bp));
	attach(bp, uevent);
}

void bed_phone_unplug(struct bed_phone *bp, bool uevent)
{
	phone_unplug(bp->phone, bed_phone_now(bp));
	if (bp->dev)
		bed_unplug(bp->dev, uevent);
}

void bed_phone_replug(struct bed_phone *bp, bool uevent)
{
	if (bp->dev)
		bed_unplug(bp->dev, uevent);
	phone_replug(bp->phone, bed_phone_now(bp));
	attach(bp, uevent);
}

void bed_phone_swap(struct bed_phone *bp, struct phone *other, bool uevent)
{
	if (bp->dev)
		bed_unplug(bp->dev, uevent);
	bp->phone = other;
	bed_phone_plug(bp, uevent);
}

void bed_phone_watch(struct bed_phone *bp, bool (*fn)(void *arg), void *arg)
{
	bp->watch = fn;
	bp->watch_arg = arg;
	bp->held = bp->offered = false;
}

struct phone *bed_phone_phone(const struct bed_phone *bp)
{
	return bp->phone;
}

struct bed_dev *bed_phone_dev(const struct bed_phone *bp)
{
	return bp->dev;
}

uint64_t bed_phone_now(const struct bed_phone *bp)
{
	return phone_time(bp, bed_now());
}
