/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Class requests of USB 2.0, chapter 11.24. */
#include "tests/bed/hub.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "tests/bed/internal.h"

#define PORTS	   8
#define RELAPSE_NS UINT64_C(60000000)

static const uint8_t hub_desc[] = {
	18, 1, 0x10, 0x02, 9, 0, 2,  64,   0xe3, 0x05, 0x10, 0x06, 0, 1, 0, 0, 0, 1, /* device */
	9,  2, 25,   0,	   1, 1, 0,  0xe0, 50,					     /* configuration */
	9,  4, 0,    0,	   1, 9, 0,  0,	   0,					     /* interface */
	7,  5, 0x81, 3,	   1, 0, 12,						     /* interrupt IN */
};

struct bed_hub {
	struct bed_dev *dev;
	enum bed_hub_kind kind;
	bool super;
	bool off[PORTS + 1];
	uint64_t since[PORTS + 1];
	struct bed_phone *phone[PORTS + 1];
	unsigned int switched;
	char peer[400]; /* made in sysfs */
};

static bool is_on(const struct bed_hub *hub, unsigned int port)
{
	if (hub->kind == BED_HUB_PRETENDS)
		return true;
	if (hub->kind == BED_HUB_RELAPSES)
		return !hub->off[port] || bed_now() - hub->since[port] > RELAPSE_NS;
	return !hub->off[port];
}

static int descriptor(const struct bed_hub *hub, uint8_t type, uint8_t *data, size_t len)
{
	uint8_t desc[9] = { 9, type, PORTS, 1, 0, 50, 100, 0, 0xff };

	if (type != (hub->super ? 0x2a : 0x29))
		return -EPIPE;
	if (hub->kind == BED_HUB_TOGETHER)
		desc[3] = 0;
	else if (hub->kind == BED_HUB_NEVER)
		desc[3] = 2;
	if (len > sizeof(desc))
		len = sizeof(desc);
	memcpy(data, desc, len);
	return (int)len;
}

static int set_power(struct bed_hub *hub, unsigned int port, bool on)
{
	struct bed_phone *phone = hub->phone[port];

	hub->switched++;
	if (hub->kind == BED_HUB_REFUSES)
		return -EPIPE;
	if (hub->off[port] == !on)
		return 0;
	hub->off[port] = !on;
	hub->since[port] = bed_now();
	if (!phone || hub->kind != BED_HUB_SWITCHES)
		return 0;
	if (on)
		bed_phone_plug(phone, true);
	else
		bed_phone_unplug(phone, true);
	return 0;
}

static int on_control(struct bed_dev *dev, const uint8_t setup[8], uint8_t *data, size_t len)
{
	struct bed_hub *hub = bed_user(dev);
	unsigned int port = setup[4];
	unsigned int status;

	if (setup[0] == 0xa0 && setup[1] == 6)
		return descriptor(hub, setup[3], data, len);
	if (!port || port > PORTS)
		return -EPIPE;
	if (setup[0] == 0x23 && setup[2] == 8 && (setup[1] == 1 || setup[1] == 3))
		return set_power(hub, port, setup[1] == 3);
	if (setup[0] != 0xa3 || setup[1] != 0 || len < 4)
		return -EPIPE;
	status = is_on(hub, port) ? (hub->super ? 0x200 : 0x100) : 0;
	if (status && hub->phone[port] && phone_present(bed_phone_phone(hub->phone[port])))
		status |= 3;
	memcpy(data, (uint8_t[]){ (uint8_t)status, (uint8_t)(status >> 8), 0, 0 }, 4);
	return 4;
}

static const struct bed_model model = { .control = on_control };

struct bed_hub *bed_hub_new(struct bed *bed, uint8_t bus, const char *ports, enum bed_hub_kind kind,
			    bool super)
{
	struct bed_hub *hub = calloc(1, sizeof(*hub));
	struct bed_spec spec = { .bus = bus,
				 .ports = ports,
				 .desc = hub_desc,
				 .desc_len = sizeof(hub_desc),
				 .model = &model,
				 .user = hub };

	if (!hub)
		bed_die("hub");
	hub->kind = kind;
	hub->super = super;
	hub->dev = bed_plug(bed, &spec, true);
	if (super)
		bed_putf(bed_syspath(hub->dev), "speed", "5000\n");
	return hub;
}

void bed_hub_free(struct bed_hub *hub)
{
	if (hub && *hub->peer)
		unlink(hub->peer);
	free(hub);
}

void bed_hub_attach(struct bed_hub *hub, uint8_t port, struct bed_phone *phone)
{
	hub->phone[port] = phone;
}

void bed_hub_pair(struct bed_hub *hub, struct bed_hub *other, uint8_t port)
{
	char dir[320], to[160];

	snprintf(dir, sizeof(dir), "%s/%s:1.0/%s-port%u", hub->dev->sys, hub->dev->name, hub->dev->name,
		 port);
	bed_mkdirs(dir);
	snprintf(hub->peer, sizeof(hub->peer), "%s/peer", dir);
	snprintf(to, sizeof(to), "../../../%s/%s:1.0/%s-port%u", other->dev->name, other->dev->name,
		 other->dev->name, port);
	unlink(hub->peer);
	MUST(symlink(to, hub->peer));
}

void bed_hub_deny(struct bed_hub *hub)
{
	MUST(mount(NULL, hub->dev->node, NULL, MS_REMOUNT | MS_BIND | MS_NODEV | MS_NOSUID | MS_NOEXEC,
		   NULL));
}

bool bed_hub_powered(const struct bed_hub *hub, uint8_t port)
{
	return is_on(hub, port);
}

unsigned int bed_hub_switched(const struct bed_hub *hub)
{
	return hub->switched;
}

const struct bed_count *bed_hub_count(const struct bed_hub *hub)
{
	return bed_count(hub->dev);
}
