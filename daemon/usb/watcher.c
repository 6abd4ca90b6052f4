/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Phones as udev tells of them. What is matched comes from the properties of the event, because sysfs
 * attributes of a device that has gone already cannot be read (fast-testbed 9). Whether the event is still
 * true is asked of sysfs: the device number there must be the event's.
 */
#include <errno.h>
#include <libudev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "usb/kick.h"
#include "usb/watcher.h"

/* A powered hub full of phones, plugged in, while the loop is busy. */
#define RECEIVE_BUFFER (4 * 1024 * 1024)
/* Events handled in one turn; more wait for the next. */
#define BATCH 64
/* Far more than the enumeration of what hangs on a root hub when it is found takes. */
#define LATER_USEC (UINT64_C(15) * 1000000)

struct present {
	struct present *next;
	struct usb_arrival arrival;
	bool seen; /* by the scan that goes on */
};

struct usb_watcher {
	struct loop *loop;
	struct udev *udev;
	struct udev_monitor *monitor;
	struct loop_io *io;
	struct present *list;
	const struct usb_watcher_events *events;
	void *user;
	char *tag;
	struct usb_watcher_stats stats;
	bool telling; /* in a callback, which may free us ... */
	bool dead;    /* ... and then we go when it returns */
};

/* ---- what a device says about itself ------------------------------------------------------------------ */

static bool number(const char *text, int base, unsigned int max, unsigned int *value)
{
	unsigned long parsed;
	char *end;

	if (!text || !*text)
		return false;
	parsed = strtoul(text, &end, base);
	if (*end && *end != '/' && *end != '\n')
		return false;
	*value = (unsigned int)parsed;
	return parsed <= max;
}

/* PRODUCT=1782/4d00/310: hexadecimal without leading zeros */
static bool product(const char *text, struct usb_arrival *arrival)
{
	unsigned int vendor, id, bcd;
	const char *second = text ? strchr(text, '/') : NULL;
	const char *third = second ? strchr(second + 1, '/') : NULL;

	if (!third || !number(text, 16, 0xffff, &vendor) || !number(second + 1, 16, 0xffff, &id) ||
	    !number(third + 1, 16, 0xffff, &bcd))
		return false;
	arrival->vendor = (uint16_t)vendor;
	arrival->product = (uint16_t)id;
	arrival->bcd_device = (uint16_t)bcd;
	return true;
}

static bool copy(char *to, size_t size, const char *from)
{
	return from && *from && (size_t)snprintf(to, size, "%s", from) < size;
}

/* FNV-1a: enough to see that it is not the same one. */
static uint64_t mark(const char *text)
{
	uint64_t sum = UINT64_C(0xcbf29ce484222325);

	if (!text || !*text)
		return 0;
	for (; *text; text++)
		sum = (sum ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
	return sum ? sum : 1;
}

/*
 * A phone that was plugged in before the machine came up is found within moments of its root hub, however
 * long the start takes. One that came later has just been switched on by its cable, whether or not we ran at
 * the time.
 */
static bool came_later(struct udev_device *device)
{
	struct udev_device *hub = device, *up;
	uint64_t age, hub_age;

	/* each keeps a reference on its parent */
	while ((up = udev_device_get_parent_with_subsystem_devtype(hub, "usb", "usb_device")))
		hub = up;
	age = udev_device_get_usec_since_initialized(device);
	hub_age = udev_device_get_usec_since_initialized(hub);
	return hub != device && age && hub_age > age && hub_age - age >= LATER_USEC;
}

/* False: not a phone, or an event too damaged to say so. */
static bool read_device(struct udev_device *device, struct usb_arrival *arrival)
{
	const char *devtype = udev_device_get_devtype(device);
	unsigned int bus, num;

	*arrival = (struct usb_arrival){ .received_usec = loop_now() };
	if (!devtype || strcmp(devtype, "usb_device"))
		return false;
	if (!product(udev_device_get_property_value(device, "PRODUCT"), arrival))
		return false;
	arrival->running = usb_kick_profile(arrival->vendor, arrival->product) != NULL;
	if (!arrival->running &&
	    (arrival->vendor != USB_VENDOR_UNISOC || arrival->product != USB_PRODUCT_DOWNLOAD))
		return false;
	if (arrival->running)
		arrival->serial = mark(udev_device_get_property_value(device, "ID_SERIAL_SHORT"));
	if (!number(udev_device_get_property_value(device, "BUSNUM"), 10, 255, &bus) ||
	    !number(udev_device_get_property_value(device, "DEVNUM"), 10, 255, &num))
		return false;
	arrival->busnum = (uint8_t)bus;
	arrival->devnum = (uint8_t)num;
	if (!copy(arrival->syspath, sizeof(arrival->syspath), udev_device_get_syspath(device)) ||
	    !copy(arrival->devnode, sizeof(arrival->devnode), udev_device_get_devnode(device)))
		return false;
	if (copy(arrival->slot, sizeof(arrival->slot), udev_device_get_property_value(device, "ID_PATH")))
		return true;
	return usb_slot_from_syspath(arrival->syspath, arrival->slot, sizeof(arrival->slot)) == 0;
}

/* Does sysfs still show this device number at this place? */
static bool is_current(const struct usb_arrival *arrival)
{
	char path[USB_SYSPATH_MAX + 8], text[16] = "";
	unsigned int num;
	FILE *file;

	snprintf(path, sizeof(path), "%s/devnum", arrival->syspath);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (!fgets(text, sizeof(text), file))
		text[0] = '\0';
	fclose(file);
	return number(text, 10, 255, &num) && num == arrival->devnum;
}

/* ---- the list ----------------------------------------------------------------------------------------- */

static struct present **find(struct usb_watcher *watcher, const char *syspath)
{
	struct present **at = &watcher->list;

	while (*at && strcmp((*at)->arrival.syspath, syspath))
		at = &(*at)->next;
	return *at ? at : NULL;
}

static bool same_device(const struct usb_arrival *a, const struct usb_arrival *b)
{
	return a->busnum == b->busnum && a->devnum == b->devnum;
}

/* Each of the two ends in a callback that may free the watcher: false then. */
static bool told(struct usb_watcher *watcher)
{
	watcher->telling = false;
	if (!watcher->dead)
		return true;
	usb_watcher_free(watcher);
	return false;
}

static bool tell_left(struct usb_watcher *watcher, struct present **at)
{
	struct present *present = *at;

	*at = present->next;
	watcher->stats.present--;
	watcher->telling = true;
	watcher->events->left(watcher->user, &present->arrival);
	free(present);
	return told(watcher);
}

static bool tell_arrived(struct usb_watcher *watcher, const struct usb_arrival *arrival)
{
	struct present *present = calloc(1, sizeof(*present));

	/* without memory the phone is not there for us; the next scan tries again */
	if (!present)
		return true;
	present->arrival = *arrival;
	present->seen = true;
	present->next = watcher->list;
	watcher->list = present;
	watcher->stats.present++;
	watcher->telling = true;
	watcher->events->arrived(watcher->user, arrival);
	return told(watcher);
}

/* Brings one syspath up to date with a device that is there. */
static bool reconcile(struct usb_watcher *watcher, struct usb_arrival *arrival, enum usb_seen seen)
{
	struct present **at = find(watcher, arrival->syspath);

	if (at && same_device(&(*at)->arrival, arrival)) {
		(*at)->seen = true;
		return true;
	}
	/* replaced while we were not looking: its removal was lost, or is still to come and will find another
	 * number */
	if (at && !tell_left(watcher, at))
		return false;
	arrival->seen = seen;
	return tell_arrived(watcher, arrival);
}

/* ---- enumeration -------------------------------------------------------------------------------------- */

static bool drop_unseen(struct usb_watcher *watcher)
{
	struct present **at = &watcher->list;

	while (*at) {
		if ((*at)->seen) {
			at = &(*at)->next;
			continue;
		}
		if (!tell_left(watcher, at))
			return false;
		/* the callback may have changed the list */
		at = &watcher->list;
	}
	return true;
}

static bool scan(struct usb_watcher *watcher, enum usb_seen seen)
{
	struct udev_enumerate *all = udev_enumerate_new(watcher->udev);
	struct udev_list_entry *entry;
	struct present *present;
	bool alive = true;

	if (!all)
		return true;
	for (present = watcher->list; present; present = present->next)
		present->seen = false;
	udev_enumerate_add_match_subsystem(all, "usb");
	udev_enumerate_add_match_property(all, "DEVTYPE", "usb_device");
	if (watcher->tag)
		udev_enumerate_add_match_tag(all, watcher->tag);
	if (udev_enumerate_scan_devices(all) < 0) {
		udev_enumerate_unref(all);
		return true;
	}
	udev_list_entry_foreach (entry, udev_enumerate_get_list_entry(all)) {
		struct udev_device *device = udev_device_new_from_syspath(watcher->udev,
									  udev_list_entry_get_name(entry));
		struct usb_arrival arrival;

		if (!device)
			continue;
		if (read_device(device, &arrival)) {
			arrival.later = seen == USB_SEEN_COLD && came_later(device);
			alive = reconcile(watcher, &arrival, seen);
		}
		udev_device_unref(device);
		if (!alive)
			break;
	}
	udev_enumerate_unref(all);
	return alive && drop_unseen(watcher);
}

/* ---- the monitor -------------------------------------------------------------------------------------- */

static bool handle(struct usb_watcher *watcher, struct udev_device *device)
{
	const char *action = udev_device_get_action(device);
	struct usb_arrival arrival;
	struct present **at;

	watcher->stats.events++;
	if (!action || !read_device(device, &arrival))
		return true;
	if (!strcmp(action, "remove")) {
		at = find(watcher, arrival.syspath);
		/* of the device before the present one: that has been taken for gone already */
		if (!at || !same_device(&(*at)->arrival, &arrival))
			return true;
		return tell_left(watcher, at);
	}
	if (!is_current(&arrival)) {
		watcher->stats.stale++;
		return true;
	}
	return reconcile(watcher, &arrival, USB_SEEN_EVENT);
}

/*
 * Events were dropped. What is still queued is older than what a scan will find, and would be taken for news
 * after it: throw it away first.
 */
static bool recover(struct usb_watcher *watcher)
{
	struct udev_device *device;

	watcher->stats.rescans++;
	do {
		errno = 0;
		device = udev_monitor_receive_device(watcher->monitor);
		if (device)
			udev_device_unref(device);
	} while (device || errno == ENOBUFS);
	return scan(watcher, USB_SEEN_RESCAN);
}

static void on_monitor(int fd, unsigned int events, void *arg)
{
	struct usb_watcher *watcher = arg;
	struct udev_device *device;
	bool alive = true;
	int i;

	for (i = 0; alive && i < BATCH; i++) {
		errno = 0;
		device = udev_monitor_receive_device(watcher->monitor);
		if (!device) {
			if (errno == ENOBUFS)
				recover(watcher);
			return;
		}
		alive = handle(watcher, device);
		udev_device_unref(device);
	}
}

static int open_monitor(struct usb_watcher *watcher)
{
	int r;

	watcher->monitor = udev_monitor_new_from_netlink(watcher->udev, "udev");
	if (!watcher->monitor)
		return errno ? -errno : -ENOMEM;
	r = udev_monitor_filter_add_match_subsystem_devtype(watcher->monitor, "usb", "usb_device");
	if (r >= 0 && watcher->tag)
		r = udev_monitor_filter_add_match_tag(watcher->monitor, watcher->tag);
	if (r < 0)
		return r;
	/* beyond the system's limit only with privileges; less is not an error, a scan makes up for losses */
	udev_monitor_set_receive_buffer_size(watcher->monitor, RECEIVE_BUFFER);
	r = udev_monitor_enable_receiving(watcher->monitor);
	if (r < 0)
		return r;
	watcher->io = loop_io_new(watcher->loop, udev_monitor_get_fd(watcher->monitor), LOOP_READ, on_monitor,
				  watcher);
	return watcher->io ? 0 : -ENOMEM;
}

struct usb_watcher *usb_watcher_new(struct loop *loop, const char *tag,
				    const struct usb_watcher_events *events, void *user, struct failure *why)
{
	struct usb_watcher *watcher = calloc(1, sizeof(*watcher));
	int r = -ENOMEM;

	if (!watcher)
		goto fail;
	watcher->loop = loop;
	watcher->events = events;
	watcher->user = user;
	if (tag) {
		watcher->tag = strdup(tag);
		if (!watcher->tag)
			goto fail;
	}
	watcher->udev = udev_new();
	if (!watcher->udev)
		goto fail;
	r = open_monitor(watcher);
	if (r < 0)
		goto fail;
	scan(watcher, USB_SEEN_COLD);
	return watcher;
fail:
	failure_set(why, ERR_INTERNAL, "udev monitor: %s", strerror(-r));
	usb_watcher_free(watcher);
	return NULL;
}

void usb_watcher_rescan(struct usb_watcher *watcher)
{
	recover(watcher);
}

void usb_watcher_free(struct usb_watcher *watcher)
{
	struct present *present;

	if (!watcher)
		return;
	if (watcher->telling) {
		watcher->dead = true;
		return;
	}
	loop_io_free(watcher->io);
	while ((present = watcher->list)) {
		watcher->list = present->next;
		free(present);
	}
	udev_monitor_unref(watcher->monitor);
	udev_unref(watcher->udev);
	free(watcher->tag);
	free(watcher);
}

void usb_watcher_stats(const struct usb_watcher *watcher, struct usb_watcher_stats *stats)
{
	*stats = watcher->stats;
}

const struct usb_arrival *usb_watcher_present(const struct usb_watcher *watcher, unsigned int i)
{
	const struct present *present = watcher->list;

	while (present && i--)
		present = present->next;
	return present ? &present->arrival : NULL;
}
