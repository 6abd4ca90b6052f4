/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Phones of the machine, and the packages for them, which the host makes before it boots. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/compose/compose.h"
#include "tests/phone/loader.h"
#include "tests/system/guest.h"

static struct guest_phone *phones[PHONES];
static unsigned int phone_count;

struct guest_phone *phone_at(const char *profile, const char *variant, unsigned int controller,
			     unsigned int port, const struct phone_setup *setup)
{
	struct phone_setup made = setup ? *setup : (struct phone_setup){ 0 };
	struct guest_phone *p = calloc(1, sizeof(*p));
	const struct phone_profile *row = phone_profile_by_name(profile);
	const char *why = NULL;
	char *path = NULL;

	if (!p || !row || phone_count == PHONES)
		die("no place for a phone, or no profile", profile);
	if (!made.seed)
		made.seed = 100 + phone_count;
	if (!made.time_percent)
		made.time_percent = 10;
	p->phone = phone_new(row, &made, &why);
	if (!p->phone)
		die("phone_new", why);
	p->vp = vhci_phone_new(p->phone, controller, port);
	if (!p->vp)
		die("vhci_phone_new", NULL);
	snprintf(p->id, sizeof(p->id), "platform-vhci_hcd.%u-usb-0:%u", controller, port);
	if (sd_bus_path_encode(ROOT "/slot", p->id, &path) < 0)
		die("sd_bus_path_encode", p->id);
	snprintf(p->slot, sizeof(p->slot), "%s", path);
	free(path);
	snprintf(p->pac, sizeof(p->pac), "%s/pac/%s%s.pac", share, profile, variant);
	p->before = store_before(p->phone, p->pac);
	phones[phone_count++] = p;
	return p;
}

bool plug(struct guest_phone *p)
{
	return vhci_phone_plug(p->vp) && expect(20000, p->slot, SLOT, "State", "ready");
}

void unplug(struct guest_phone *p)
{
	vhci_phone_unplug(p->vp);
	if (daemon_pid() > 0 && !expect(20000, p->slot, SLOT, "Device", "/"))
		note("fdld has not seen the phone leave");
}

uint64_t words(struct guest_phone *p)
{
	struct vhci_count count = vhci_phone_count(p->vp);

	return count.out + count.in + count.class_calls;
}

const char *storage(struct guest_phone *p, unsigned int *images)
{
	static char wrong[256];
	struct store_report report;

	store_check(vhci_phone_hold(p->vp), p->pac, p->before, &report);
	vhci_phone_release(p->vp);
	if (images)
		*images = report.images;
	snprintf(wrong, sizeof(wrong), "%s", report.wrong);
	if (!wrong[0] && !report.images)
		strcpy(wrong, "nothing was compared");
	return wrong;
}

void phones_free(void)
{
	while (phone_count) {
		struct guest_phone *p = phones[--phone_count];

		vhci_phone_free(p->vp);
		phone_free(p->phone);
		store_before_free(p->before);
		free(p);
	}
}

/* ---- packages ------------------------------------------------------------------------------------- */

static void *loader(const struct phone_profile *profile, int which, size_t *length)
{
	void *bytes;

	*length = phone_loader_size(profile, which);
	bytes = malloc(*length ? *length : 1);
	if (!bytes || (*length && phone_make_loader(profile, which, bytes, *length) != *length))
		die("loader", profile->name);
	return bytes;
}

static void make_package(const char *dir, const char *family, const char *variant, size_t image_bytes)
{
	const struct phone_profile *profile = phone_profile_by_name(family);
	struct compose_spec spec = { .family = family, .seed = 11, .image_bytes = image_bytes };
	char path[512];
	void *fdl[2];
	uint64_t length;
	int fd, r;

	if (!profile)
		die("no such profile", family);
	spec.fdl1 = fdl[0] = loader(profile, 1, &spec.fdl1_len);
	spec.fdl2 = fdl[1] = loader(profile, 2, &spec.fdl2_len);
	snprintf(path, sizeof(path), "%s/%s%s.pac", dir, family, variant);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	r = fd < 0 ? -errno : compose_write(&spec, fd, &length);
	if (r < 0)
		die(path, strerror(-r));
	close(fd);
	free(fdl[0]);
	free(fdl[1]);
}

int make_packages(const char *dir)
{
	make_package(dir, "sc9863a", "", 40000);
	make_package(dir, "sc7731g", "", 30000);
	return 0;
}
