/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The name of a physical place from a syspath, by the rules of systemd's path_id builtin: the controller
 * nearest to the root hub, what it sits on if that is a PCI function, and the port chain. No bus number.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/util.h"
#include "usb/watcher.h"

struct part {
	const char *text;
	int len;
};

static bool is_hex(const char *text, int count)
{
	for (; count; count--, text++) {
		if (!isxdigit((unsigned char)*text))
			return false;
	}
	return true;
}

/* "0000:00:14.0"; domains may be longer than four digits */
static bool is_pci_function(struct part part)
{
	const char *tail = part.text + part.len - 8;

	return part.len >= 12 && is_hex(part.text, part.len - 8) && tail[0] == ':' && is_hex(tail + 1, 2) &&
	       tail[3] == ':' && is_hex(tail + 4, 2) && tail[6] == '.' && is_hex(tail + 7, 1);
}

/* "usb1": a root hub */
static bool is_root_hub(struct part part)
{
	int i;

	if (part.len < 4 || memcmp(part.text, "usb", 3))
		return false;
	for (i = 3; i < part.len; i++) {
		if (!isdigit((unsigned char)part.text[i]))
			return false;
	}
	return true;
}

/* The last component before `end`; false: there is none. */
static bool last_part(const char *path, const char *end, struct part *part)
{
	const char *start;

	while (end > path && end[-1] == '/')
		end--;
	for (start = end; start > path && start[-1] != '/'; start--)
		;
	part->text = start;
	part->len = (int)(end - start);
	return part->len > 0;
}

/* "1-4.3" -> "4.3"; NULL if it does not look like a device. */
static const char *port_chain(struct part device)
{
	const char *dash = memchr(device.text, '-', (size_t)device.len);
	const char *p;

	if (!dash || dash == device.text || dash + 1 == device.text + device.len)
		return NULL;
	for (p = device.text; p < device.text + device.len; p++) {
		if (!isdigit((unsigned char)*p) && p != dash && *p != '.')
			return NULL;
	}
	return dash + 1;
}

int usb_slot_from_syspath(const char *syspath, char *slot, size_t size)
{
	struct part device, part, controller, parent;
	const char *ports, *devices;
	bool found = false;
	int n;

	if (size)
		slot[0] = '\0';
	devices = strncmp(syspath, "/sys/devices/", 13) ? syspath : syspath + 13;
	if (!last_part(devices, devices + strlen(devices), &device))
		return -EINVAL;
	ports = port_chain(device);
	if (!ports)
		return -EINVAL;
	part = device;
	while (!found && last_part(devices, part.text, &part))
		found = is_root_hub(part);
	if (!found || !last_part(devices, part.text, &controller))
		return -EINVAL;
	if (is_pci_function(controller)) {
		n = snprintf(slot, size, "pci-%.*s-usb-0:%.*s", controller.len, controller.text,
			     (int)(device.text + device.len - ports), ports);
	} else {
		/* a controller inside a PCI function carries both names */
		found = false;
		for (parent = controller; !found && last_part(devices, parent.text, &parent);)
			found = is_pci_function(parent);
		n = snprintf(slot, size, "%s%.*s%splatform-%.*s-usb-0:%.*s", found ? "pci-" : "",
			     found ? parent.len : 0, found ? parent.text : "", found ? "-" : "",
			     controller.len, controller.text, (int)(device.text + device.len - ports), ports);
	}
	if (n < 0 || (size_t)n >= size) {
		if (size)
			slot[0] = '\0';
		return -ENAMETOOLONG;
	}
	return 0;
}
