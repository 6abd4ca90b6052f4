/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From the first boot to a phone that holds its package. */
#include <stdlib.h>
#include <string.h>

#include "tests/system/guest.h"

static bool is_up(void *arg)
{
	return sh("systemctl is-active multi-user.target") == 0;
}

void machine_is_up(void)
{
	bool up = until(60000, is_up, NULL);

	(void)sh("cut -d' ' -f1 /proc/uptime >%s/up", share);
	ok(up, "the machine is up");
}

void package_is_installed(void)
{
	ok(sh("dpkg -i %s/deb/fdld_*.deb %s/deb/fdlctl_*.deb", share, share) == 0, "the packages install");
	ok(unit_is(20000, "active"), "installing starts the service");
}

void plug_starts_service(void)
{
	struct guest_phone *p = phone_at("sc9863a", "", 0, 1, NULL);

	ok(sh("systemctl stop " UNIT) == 0 && unit_is(10000, "inactive"), "the service stops");
	ok(vhci_phone_plug(p->vp), "a phone is plugged in");
	ok(unit_is(20000, "active"), "a plugged phone starts the service");
	ok(expect(20000, p->slot, SLOT, "State", "ready"), "it is shown as ready");
	ok(words(p) == 0, "not a word was said to it");
}

void flash_passes(void)
{
	struct guest_phone *p = phone_at("sc9863a", "", 1, 1, NULL);
	unsigned int images;
	const char *wrong;

	ok(plug(p), "another phone");
	ok(sh("fdlctl flash --slot %s --level verified %s", p->id, p->pac) == 0, "fdlctl flash passes");
	wrong = storage(p, &images);
	ok(!*wrong, "its storage is the package's, %u images: %s", images, wrong);
	unplug(p);
}
