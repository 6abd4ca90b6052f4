/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Phones and packages of the rig, and what must be on the one after the other was flashed. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bus/rig.h"
#include "tests/phone/loader.h"

#define SPARSE_MAGIC "\x3a\xff\x26\xed"
#define DHTB_MAGIC   "DHTB"

static _Noreturn void die(const char *what, const char *which)
{
	fprintf(stderr, "%s: %s\n", what, which ? which : strerror(errno));
	exit(99);
}

struct phone *rig_spare(struct rig *rig, const char *profile, const struct phone_setup *setup)
{
	const struct phone_profile *row = phone_profile_by_name(profile);
	struct phone_setup made = setup ? *setup : (struct phone_setup){ 0 };
	const char *why = NULL;
	struct phone *phone;

	if (!row || rig->phone_count == RIG_PHONES)
		die("no such profile, or too many phones", profile);
	if (!made.seed)
		made.seed = 100 + rig->phone_count;
	if (!made.time_percent)
		made.time_percent = 2;
	phone = phone_new(row, &made, &why);
	if (!phone)
		die("phone_new", why);
	rig->phone[rig->phone_count++].phone = phone;
	return phone;
}

struct rig_phone *rig_phone_at(struct rig *rig, const char *profile, const struct bed_spec *where,
			       const struct phone_setup *setup)
{
	struct rig_phone *p = &rig->phone[rig->phone_count];

	(void)rig_spare(rig, profile, setup);
	rig_phone_move(rig, p, where);
	return p;
}

struct rig_phone *rig_phone(struct rig *rig, const char *profile, const char *ports,
			    const struct phone_setup *setup)
{
	const struct bed_spec where = { .bus = 1, .ports = ports };

	return rig_phone_at(rig, profile, &where, setup);
}

void rig_phone_move(struct rig *rig, struct rig_phone *p, const struct bed_spec *where)
{
	const char *controller = where->controller ? where->controller : "pci0000:00/0000:00:14.0";
	char *path = NULL;

	snprintf(p->id, sizeof(p->id), "pci-%s-usb-0:%s", strchr(controller, '/') + 1, where->ports);
	if (sd_bus_path_encode(ROOT "/slot", p->id, &path) < 0)
		die("sd_bus_path_encode", p->id);
	snprintf(p->slot, sizeof(p->slot), "%s", path);
	free(path);
	/* the bed looks at what once hung there until its end */
	if (p->bp)
		rig->old[rig->old_count++] = p->bp;
	p->bp = bed_phone_new(rig->bed, p->phone, where, 0);
}

bool rig_plug(struct rig *rig, struct rig_phone *p)
{
	bed_phone_plug(p->bp, true);
	return rig_expect(rig, 5000, p->slot, SLOT, "State", "ready");
}

bool rig_replug(struct rig *rig, struct rig_phone *p)
{
	bed_phone_unplug(p->bp, true);
	return phone_set_faults(p->phone, "", NULL) &&
	       rig_expect(rig, 5000, p->slot, SLOT, "State", "empty") && rig_plug(rig, p);
}

/* ---- packages --------------------------------------------------------------------- */

static uint8_t *loader(const struct phone_profile *profile, int which, size_t *len)
{
	uint8_t *out;

	*len = phone_loader_size(profile, which);
	if (!*len)
		return NULL;
	out = malloc(*len);
	if (!out || phone_make_loader(profile, which, out, *len) != *len)
		die("phone_make_loader", profile->name);
	return out;
}

void rig_package_write(struct rig *rig, struct rig_package *package)
{
	static unsigned int number;
	int fd, r;

	if (package->fd >= 0)
		close(package->fd);
	snprintf(package->path, sizeof(package->path), "%s/%s-%u.pac", rig->dir, package->spec.family,
		 ++number);
	fd = open(package->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		die("open", NULL);
	r = compose_write(&package->spec, fd, &package->size);
	close(fd);
	if (r < 0)
		die("compose_write", strerror(-r));
	package->fd = open(package->path, O_RDONLY | O_CLOEXEC);
	if (package->fd < 0)
		die("open", NULL);
}

void rig_package(struct rig *rig, struct rig_package *package, const char *family, uint64_t seed,
		 size_t bytes)
{
	const struct phone_profile *profile = phone_profile_by_name(family);

	memset(package, 0, sizeof(*package));
	if (!profile)
		die("no such profile", family);
	package->fd = -1;
	/* what there is of the product in the wild is named after its flash */
	package->spec.family = !strcmp(family, "sc6531e") ? "sc6531efm" : family;
	package->spec.seed = seed;
	package->spec.image_bytes = bytes;
	package->fdl1 = loader(profile, 1, &package->spec.fdl1_len);
	package->fdl2 = loader(profile, 2, &package->spec.fdl2_len);
	package->spec.fdl1 = package->fdl1;
	package->spec.fdl2 = package->fdl2;
	rig_package_write(rig, package);
}

void rig_package_free(struct rig_package *package)
{
	free(package->fdl1);
	free(package->fdl2);
	if (package->fd >= 0)
		close(package->fd);
}

/* ---- comparing -------------------------------------------------------------------- */

static bool field(const char *from, const char *end, const char *open, const char *close, char *out,
		  size_t room)
{
	const char *a = strstr(from, open), *b;

	out[0] = '\0';
	if (!a || a >= end)
		return false;
	a += strlen(open);
	b = strstr(a, close);
	if (!b || b > end || (size_t)(b - a) >= room)
		return false;
	memcpy(out, a, (size_t)(b - a));
	out[b - a] = '\0';
	return true;
}

/* Where the phone may differ by right: the boot loader's header, which it patches, and holes of a sparse
 * image. */
static bool same(struct phone *phone, const char *partition, const uint8_t *image, size_t len)
{
	uint8_t *have, *low = NULL, *high = NULL;
	size_t size = len, high_len = 0;
	bool good = true;

	if (len > 28 && !memcmp(image, SPARSE_MAGIC, 4)) {
		/* expanded twice with two fillings: a byte that differs between them is in a hole */
		low = compose_expand(image, len, 0x00, &size);
		high = compose_expand(image, len, 0xff, &high_len);
		if (!low || !high || size != high_len)
			die("compose_expand", partition);
	}
	have = malloc(size ? size : 1);
	if (!have || !phone_storage_read(phone, partition, 0, have, size)) {
		good = false;
	} else if (low) {
		for (size_t i = 0; good && i < size; i++)
			good = low[i] != high[i] || have[i] == low[i];
	} else {
		size_t from = !strcmp(partition, "splloader") ? 512 : 0;

		good = size <= from || !memcmp(have + from, image + from, size - from);
	}
	free(have);
	free(low);
	free(high);
	return good;
}

unsigned int rig_compare(struct phone *phone, const struct rig_package *package, char *wrong, size_t room)
{
	char *xml = package->spec.xml ? strdup(package->spec.xml) : compose_scheme(package->spec.family);
	char id[64], type[32], block[64], seen[64][64];
	unsigned int compared = 0, ids = 0;

	wrong[0] = '\0';
	if (!xml)
		die("compose_scheme", package->spec.family);
	for (const char *p = xml; (p = strstr(p, "<File")); p++) {
		const char *end = strstr(p, "</File>"), *kept;
		unsigned int nth = 0;
		uint8_t *image;
		size_t len = 0;

		if (!end)
			break;
		if (!field(p, end, "<ID>", "</ID>", id, sizeof(id)) ||
		    !field(p, end, "<Type>", "</Type>", type, sizeof(type)) ||
		    !field(p, end, "<Block id=\"", "\"", block, sizeof(block)))
			continue;
		for (unsigned int i = 0; i < ids; i++)
			nth += !strcmp(seen[i], id);
		if (ids < 64)
			strcpy(seen[ids++], id);
		kept = strstr(p, "backup=\"1\"");
		if (!strncmp(type, "NV", 2) || !strncmp(type, "Erase", 5) || (kept && kept < end))
			continue;
		image = compose_payload(&package->spec, id, nth, &len);
		if (!image || !len) {
			free(image);
			continue;
		}
		compared++;
		if (!same(phone, block, image, len) && !wrong[0])
			snprintf(wrong, room, "%s in %s", id, block);
		free(image);
	}
	free(xml);
	return compared;
}

size_t rig_nv_item(struct phone *phone, uint16_t id, uint8_t *out, size_t room)
{
	static const char *const names[] = { "l_fixnv1", "l_fixnv1_a", "nr_fixnv1", "fixnv1" };
	static uint8_t nv[4 << 20];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		size_t len = sizeof(nv), at = 4;

		if (!phone_nv_read(phone, names[i], nv, &len))
			continue;
		while (at + 4 <= len) {
			uint16_t item = (uint16_t)(nv[at] | nv[at + 1] << 8);
			uint16_t size = (uint16_t)(nv[at + 2] | nv[at + 3] << 8);

			if (item == 0xffff || at + 4 + size > len)
				break;
			if (item == id && size <= room) {
				memcpy(out, nv + at + 4, size);
				return size;
			}
			at += 4u + ((size + 3u) & ~3u);
		}
	}
	return 0;
}
