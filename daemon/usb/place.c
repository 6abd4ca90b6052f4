/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "usb/place.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"

#define DEVICES	  "/sys/bus/usb/devices"
#define CHAIN_MAX 32 /* "15.15.15.15.15.15"; USB knows five hubs in a row */

/* "4.3": numbers without leading zeros, with a dot between each two */
static bool is_chain(const char *text)
{
	size_t len = strlen(text);
	bool begins = true;

	if (!len || len >= CHAIN_MAX)
		return false;
	for (const char *p = text; *p; p++) {
		if (*p == '.') {
			if (begins || !p[1])
				return false;
			begins = true;
		} else if (!isdigit((unsigned char)*p) || (begins && *p == '0')) {
			return false;
		} else {
			begins = false;
		}
	}
	return true;
}

/* The hub that the last number of the chain is a port of has that many. */
static bool port_exists(const char *bus, const char *chain)
{
	const char *last = strrchr(chain, '.');
	char path[128], text[16] = "";
	long port = strtol(last ? last + 1 : chain, NULL, 10);
	FILE *f;

	if (last)
		snprintf(path, sizeof(path), DEVICES "/%s-%.*s/maxchild", bus, (int)(last - chain), chain);
	else
		snprintf(path, sizeof(path), DEVICES "/usb%s/maxchild", bus);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (!fgets(text, sizeof(text), f))
		text[0] = '\0';
	fclose(f);
	return port >= 1 && port <= strtol(text, NULL, 10);
}

/* What the slot of this chain on this bus is called. False: no such bus. */
static bool slot_of(const char *bus, const char *chain, char *slot, size_t size)
{
	char link[64], path[PATH_MAX + 80];
	_cleanup_free_ char *root = NULL;

	snprintf(link, sizeof(link), DEVICES "/usb%s", bus);
	root = realpath(link, NULL);
	if (!root)
		return false;
	snprintf(path, sizeof(path), "%s/%s-%s", root, bus, chain);
	return usb_slot_from_syspath(path, slot, size) == 0;
}

static bool is_bus(const char *text)
{
	size_t len = strspn(text, "0123456789");

	return len && len <= 5 && !text[len];
}

static int by_slot(const char *name, const char *chain, struct usb_place *place)
{
	DIR *dir = opendir(DEVICES);
	char slot[USB_SLOT_MAX];
	struct dirent *e;
	int r = -ENOENT;

	if (!dir)
		return -ENOENT;
	/* two root hubs of one controller share their name; the port has to exist on one of them */
	while (r && (e = readdir(dir))) {
		const char *bus = e->d_name + 3;

		if (strncmp(e->d_name, "usb", 3) || !is_bus(bus))
			continue;
		if (!slot_of(bus, chain, slot, sizeof(slot)) || strcmp(slot, name) ||
		    !port_exists(bus, chain))
			continue;
		snprintf(place->slot, sizeof(place->slot), "%s", slot);
		snprintf(place->port, sizeof(place->port), "%s-%s", bus, chain);
		r = 0;
	}
	closedir(dir);
	return r;
}

int usb_place_find(const char *name, struct usb_place *place)
{
	const char *colon = strrchr(name, ':'), *dash = strchr(name, '-');
	char bus[8];

	if (strlen(name) >= USB_SLOT_MAX)
		return -ENOENT;
	if (colon)
		return is_chain(colon + 1) ? by_slot(name, colon + 1, place) : -ENOENT;
	if (!dash || dash == name || (size_t)(dash - name) >= sizeof(bus) || !is_chain(dash + 1))
		return -ENOENT;
	snprintf(bus, sizeof(bus), "%.*s", (int)(dash - name), name);
	if (!is_bus(bus) || !port_exists(bus, dash + 1) ||
	    !slot_of(bus, dash + 1, place->slot, sizeof(place->slot)))
		return -ENOENT;
	snprintf(place->port, sizeof(place->port), "%s", name);
	return 0;
}
