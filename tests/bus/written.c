/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/util.h"
#include "tests/bus/written.h"

uint8_t written_image[WRITTEN_MAX], written_other[WRITTEN_MAX], written_have[WRITTEN_MAX];

/* A file of the caller's; its path in a ring of four. */
const char *written_file(struct rig *rig, const char *name, const void *bytes, size_t len)
{
	static char path[4][128];
	static unsigned int at;
	char *to = path[at++ % 4];
	int fd;

	snprintf(to, sizeof(path[0]), "%s/%s", rig->dir, name);
	fd = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, bytes, len) != (ssize_t)len)
		tap_note("%s: %s", to, strerror(errno));
	close(fd);
	return to;
}

/* Bytes that are no image of any kind, signed where a phone wants that; *len: how many it became. */
void written_bytes(uint64_t seed, bool sign, uint8_t *to, size_t *len)
{
	uint8_t *signed_image;

	compose_random(seed, to, *len);
	memcpy(to, "any", MIN(*len, (size_t)3));
	if (!sign)
		return;
	signed_image = compose_sign(to, *len, len);
	memcpy(to, signed_image, *len);
	free(signed_image);
}

const char *written_any(struct rig *rig, const char *name, uint64_t seed, size_t len, bool sign)
{
	written_bytes(seed, sign, written_image, &len);
	return written_file(rig, name, written_image, len);
}

bool written_holds(const struct rig_phone *p, const char *area, const uint8_t *want, size_t len)
{
	if (phone_storage_read(p->phone, area, 0, written_have, len) && !memcmp(written_have, want, len))
		return true;
	tap_note("%s: other bytes", area);
	return false;
}

bool written_holds_any(const struct rig_phone *p, const char *area, uint64_t seed, size_t len, bool sign)
{
	written_bytes(seed, sign, written_other, &len);
	return written_holds(p, area, written_other, len);
}

/* How often a loader was executed on the phone. */
unsigned int written_loads(const struct phone *phone)
{
	unsigned int n = 0;

	for (size_t i = 0; i < phone_deeds(phone); i++)
		n += phone_deed(phone, i)->kind == PHONE_DEED_RAM;
	return n;
}

/* What was changed of the storage, but for the phone's own log. */
unsigned int written_changes(const struct phone *phone)
{
	unsigned int n = 0;

	for (size_t i = 0; i < phone_deeds(phone); i++)
		n += phone_deed(phone, i)->kind != PHONE_DEED_RAM &&
		     phone_deed(phone, i)->kind != PHONE_DEED_LOG;
	return n;
}

/* Nothing but these two places, and what a loader mirrors by itself. */
bool written_only(const struct phone *phone, const char *one, const char *two)
{
	for (size_t i = 0; i < phone_deeds(phone); i++) {
		const struct phone_deed *d = phone_deed(phone, i);

		if (d->kind == PHONE_DEED_RAM || d->kind == PHONE_DEED_LOG || d->kind == PHONE_DEED_MIRROR ||
		    d->kind == PHONE_DEED_MISC || !strcmp(d->name, one) || !strcmp(d->name, two))
			continue;
		tap_note("%s of %s", phone_deed_name(d->kind), d->name);
		return false;
	}
	return true;
}

bool written_call(struct rig *rig, const struct rig_phone *p, int fd, const char *loader)
{
	return rig_call(rig, 5000, NULL, p->slot, SLOT, "Write", "a(shs)a{sv}", 1, "logo", fd, "x.img", 1,
			"loader", "s", loader);
}
