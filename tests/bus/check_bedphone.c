/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The simulated phone on the bed: that its USB side arrives at libusb as it left the phone. What it says is
 * the matter of other tests.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/util.h"
#include "tests/bed/phone_usb.h"
#include "tests/bed/usb_child.h"

static struct phone *make(const char *profile, const char *faults)
{
	struct phone_setup setup = { .seed = 1, .faults = faults, .unfilled = true };
	const struct phone_profile *found = phone_profile_by_name(profile);
	struct phone *phone = found ? phone_new(found, &setup, NULL) : NULL;

	if (!phone)
		printf("# no phone %s %s\n", profile, faults ? faults : "");
	return phone;
}

static struct bed_phone *put(struct phone *phone, const char *ports, bool uevent)
{
	struct bed_spec spec = { .bus = 1, .ports = ports };
	struct bed_phone *bp = bed_phone_new(bed, phone, &spec, 10);

	bed_phone_plug(bp, uevent);
	return bp;
}

/* One byte 0x7e, as a ROM wants it, and its version comes back. */
static void ask(void)
{
	orders.send = 1;
	orders.rounds = 1;
	orders.options.flags = USB_OPEN_CONTROL;
}

static struct phone *phones[4];
static struct bed_phone *places[4];

static void clean(void)
{
	size_t i;

	/* the bed lets go first: it still may look at its devices */
	bed_free(bed);
	bed = NULL;
	for (i = 0; i < ARRAY_SIZE(phones); i++) {
		bed_phone_free(TAKE_PTR(places[i]));
		if (phones[i])
			phone_free(TAKE_PTR(phones[i]));
	}
}

static void t_version_body(void)
{
	static const char *const profiles[] = { "sc9863a", "ums512", "ums9230", "sc7731g" };
	char ports[4];
	size_t i;

	ask();
	for (i = 0; i < ARRAY_SIZE(profiles); i++) {
		snprintf(ports, sizeof(ports), "%zu", i + 1);
		CHECK(phones[i] = make(profiles[i], NULL));
		places[i] = put(phones[i], ports, false);
	}
	CHECK(child_start());
	CHECK(until_n(" sent 1 ok", 4, 5000));
	CHECK(until_n(" received ", 4, 5000));
	for (i = 0; i < ARRAY_SIZE(profiles); i++)
		CHECK(phone_counters(phones[i])->frames_out == 1);
	CHECK(child_stop());
}

static void t_version(void)
{
	t_version_body();
	clean();
}

static void t_nak_body(void)
{
	CHECK(phones[0] = make("ums512", NULL));
	places[0] = put(phones[0], "1", false);
	ask();
	/* this driver takes nothing before the class request */
	orders.options.flags = 0;
	orders.wait_ms = 100;
	CHECK(child_start());
	CHECK(until("silent") && until("sent 0 Cancelled"));
	CHECK(phone_counters(phones[0])->naks > 0);
	CHECK(child_stop());
}

static void t_nak_without_control(void)
{
	t_nak_body();
	clean();
}

static void t_cable_body(void)
{
	CHECK(phones[0] = make("sc9863a", NULL));
	CHECK(phones[1] = make("sc9863a", NULL));
	ask();
	CHECK(child_start());
	places[0] = put(phones[0], "4.2", true);
	CHECK(until("usb-0:4.2 arrived 1/2 event") && until("received "));
	bed_phone_unplug(places[0], true);
	CHECK(until("left 1/2"));
	bed_phone_plug(places[0], true);
	CHECK(until("arrived 1/3 event") && until_n("received ", 2, 5000));
	bed_phone_swap(places[0], phones[1], true);
	CHECK(until("left 1/3") && until("arrived 1/4 event") && until_n("received ", 3, 5000));
	CHECK(phone_counters(phones[0])->frames_out == 2 && phone_counters(phones[1])->frames_out == 1);
	CHECK(child_stop());
}

static void t_cable(void)
{
	t_cable_body();
	clean();
}

static void t_faults_body(void)
{
	CHECK(phones[0] = make("ums512", "unplug at probe"));
	CHECK(phones[1] = make("ums512", "babble at probe"));
	CHECK(phones[2] = make("ums512", NULL));
	places[0] = put(phones[0], "1", false);
	places[1] = put(phones[1], "2", false);
	places[2] = put(phones[2], "3", false);
	CHECK(phones[3] = make("ums512", "deaf at control"));
	places[3] = put(phones[3], "4", false);
	ask();
	orders.options.control_usec = 200000;
	CHECK(child_start());
	CHECK(until("usb-0:1 left ") && until("usb-0:1 closed"));
	CHECK(until("usb-0:2 failed UsbBabble") && until("usb-0:3 received "));
	CHECK(until("usb-0:4 opened UsbOpenTimeout"));
	CHECK(bed_gone(bed_phone_dev(places[0])) && !bed_gone(bed_phone_dev(places[2])));
	CHECK(child_stop());
}

static void t_faults(void)
{
	t_faults_body();
	clean();
}

#define T(f)              \
	{                 \
#f, t_##f \
	}
static const struct usb_test tests[] = {
	T(version),
	T(nak_without_control),
	T(cable),
	T(faults),
};

int main(void)
{
	return usb_tests_run("bedphone", tests, ARRAY_SIZE(tests));
}
