/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Phones that run, and ports, under the real kernel, the real rules and the service's own sandbox. The
 * virtual host controller switches the power of its ports as far as its hub says so; what hangs there stays.
 */
#include <string.h>
#include <unistd.h>

#include "tests/system/guest.h"

#define HUB_RULES "/etc/udev/rules.d/71-hubs.rules"

static void runs(struct guest_phone *p, const struct phone_running *how)
{
	phone_runs(vhci_phone_hold(p->vp), how);
	vhci_phone_release(p->vp);
}

void running_phone_is_kicked(void)
{
	struct guest_phone *p = phone_at("sc9863a", "", 3, 1, NULL);
	const char *error;

	ok(sh("systemctl stop " UNIT) == 0 && unit_is(10000, "inactive"), "the service stops");
	runs(p, &(struct phone_running){ .diag = true });
	ok(vhci_phone_plug(p->vp), "a phone that runs is plugged in");
	rest(2000);
	ok(unit_is(0, "inactive"), "nobody starts the service for that");
	ok(sh("systemctl start " UNIT) == 0 && expect(20000, p->slot, SLOT, "State", "running"),
	   "the service sees it for what it is");
	ok(sh("stat -c '%%U:%%G %%a' /dev/bus/usb/*/* | grep -c '^root:fdld 660$'") == 0 &&
		   !strcmp(said, "1"),
	   "its node belongs to the service, and only its node");
	ok(words(p) == 0, "not a word was said to it");
	ok(sh("fdlctl kick %s", p->id) == 0 && strstr(said, "download mode"),
	   "asked by its diagnosis port: %s", said);
	ok(expect(20000, p->slot, SLOT, "State", "ready"), "it is a phone in download mode");
	error = outcome(flash(p, NULL, 0), 60000);
	ok(!*error, "it is flashed %s", error);
	error = storage(p, NULL);
	ok(!*error, "and holds its package %s", error);
	unplug(p);
	/* the AT port is another interface of the same device */
	runs(p, &(struct phone_running){ .at = true });
	ok(vhci_phone_plug(p->vp) && expect(20000, p->slot, SLOT, "State", "running"), "it runs again");
	ok(sh("fdlctl kick --way at %s", p->id) == 0, "asked by its AT port: %s", said);
	ok(expect(20000, p->slot, SLOT, "State", "ready"), "it is in download mode once more");
	unplug(p);
	phones_free();
}

static bool hubs_are_ours(void *arg)
{
	return sh("stat -c %%G /dev/bus/usb/*/001 | grep -qx fdld") == 0;
}

void ports_are_switched(void)
{
	struct guest_phone *p = phone_at("sc9863a", "", 4, 1, NULL);
	const char *error;

	ok(plug(p), "a phone");
	ok(sh("fdlctl port reset %s", p->id) == 0, "its port is reset: %s", said);
	ok(sh("journalctl -k -b --no-pager | grep -c 'reset high-speed USB device'") == 0, "by the kernel");
	error = outcome(flash(p, NULL, 0), 60000);
	ok(!*error, "the phone passes after it %s", error);
	unplug(p);
	ok(plug(p), "it is plugged in again");
	ok(sh("fdlctl port off %s", p->id) != 0 && strstr(said, "HubNotAllowed"), "no rule names the hub: %s",
	   said);
	/* as the line in our rules says, with the numbers of root hubs */
	ok(sh("sed -n 's/^#\\(.*bDeviceClass.*\\)/\\1/p' /lib/udev/rules.d/70-fdld.rules | "
	      "sed 's/05e3/1d6b/; s/\"0610\"/\"000[23]\"/' >" HUB_RULES " && test -s " HUB_RULES
	      " && udevadm control --reload && udevadm trigger --action=change --subsystem-match=usb && "
	      "udevadm settle") == 0 &&
		   until(10000, hubs_are_ours, NULL),
	   "a rule does");
	ok(sh("fdlctl --json port status %s", p->id) == 0 && strstr(said, "\"powered\":true") &&
		   strstr(said, "\"switching\":\"each\""),
	   "the hub tells of the port: %s", said);
	ok(sh("fdlctl --json port off %s", p->id) == 0 && strstr(said, "\"powered\":false"), "it is off: %s",
	   said);
	ok(sh("fdlctl --json port on %s", p->id) == 0 && strstr(said, "\"powered\":true"), "it is on: %s",
	   said);
	(void)sh("rm " HUB_RULES " && udevadm control --reload && udevadm trigger --action=change "
		 "--subsystem-match=usb && udevadm settle");
	unplug(p);
	phones_free();
}
