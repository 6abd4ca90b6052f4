/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of places from syspaths, and the budget of USB memory. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "usb/budget.h"
#include "usb/watcher.h"

static void expect(const char *syspath, const char *slot)
{
	char got[USB_SLOT_MAX];

	assert_int_equal(usb_slot_from_syspath(syspath, got, sizeof(got)), 0);
	assert_string_equal(got, slot);
}

static void pci_controllers(void **state)
{
	expect("/sys/devices/pci0000:00/0000:00:14.0/usb1/1-4/1-4.3", "pci-0000:00:14.0-usb-0:4.3");
	expect("/sys/devices/pci0000:00/0000:00:14.0/usb1/1-4", "pci-0000:00:14.0-usb-0:4");
	expect("/sys/devices/pci0000:00/0000:00:1c.4/0000:05:00.0/usb3/3-1/3-1.4/3-1.4.2",
	       "pci-0000:05:00.0-usb-0:1.4.2");
	expect("/sys/devices/pci10000:e0/10000:e0:06.0/10000:e1:00.0/usb2/2-12",
	       "pci-10000:e1:00.0-usb-0:12");
}

static void platform_controllers(void **state)
{
	expect("/sys/devices/platform/soc/a600000.ssusb/a600000.dwc3/xhci-hcd.0.auto/usb1/1-1/1-1.2",
	       "platform-xhci-hcd.0.auto-usb-0:1.2");
	expect("/sys/devices/platform/vhci_hcd.0/usb5/5-1", "platform-vhci_hcd.0-usb-0:1");
	expect("/sys/devices/pci0000:00/0000:00:10.0/xhci-hcd.1.auto/usb1/1-1",
	       "pci-0000:00:10.0-platform-xhci-hcd.1.auto-usb-0:1");
}

static void no_bus_number_survives(void **state)
{
	char one[USB_SLOT_MAX], two[USB_SLOT_MAX];

	assert_int_equal(usb_slot_from_syspath("/sys/devices/pci0000:00/0000:00:14.0/usb1/1-4/1-4.3", one,
					       sizeof(one)),
			 0);
	assert_int_equal(usb_slot_from_syspath("/sys/devices/pci0000:00/0000:00:14.0/usb12/12-4/12-4.3", two,
					       sizeof(two)),
			 0);
	assert_string_equal(one, two);
	assert_int_equal(usb_slot_from_syspath("/sys/devices/pci0000:00/0000:00:1a.0/usb1/1-4/1-4.3", two,
					       sizeof(two)),
			 0);
	assert_string_not_equal(one, two);
}

static void what_is_not_a_device(void **state)
{
	char slot[USB_SLOT_MAX] = "x";

	assert_int_equal(
		usb_slot_from_syspath("/sys/devices/pci0000:00/0000:00:14.0/usb1", slot, sizeof(slot)),
		-EINVAL);
	assert_string_equal(slot, "");
	assert_int_equal(usb_slot_from_syspath("/sys/devices/pci0000:00/0000:00:14.0/usb1/1-4/1-4:1.0", slot,
					       sizeof(slot)),
			 -EINVAL);
	assert_int_equal(usb_slot_from_syspath("/sys/devices/1-4", slot, sizeof(slot)), -EINVAL);
	assert_int_equal(usb_slot_from_syspath("/sys/devices/usb1/1-4", slot, sizeof(slot)), -EINVAL);
	assert_int_equal(usb_slot_from_syspath("", slot, sizeof(slot)), -EINVAL);
	assert_int_equal(usb_slot_from_syspath("/", slot, sizeof(slot)), -EINVAL);
	assert_int_equal(usb_slot_from_syspath("/sys/devices/pci0000:00/0000:00:14.0/usb1/1-4", slot, 10),
			 -ENAMETOOLONG);
	assert_string_equal(slot, "");
}

/* ---- the budget ------------------------------------------------------------------------------------ */

static struct usb_budget *budget_of(const char *text)
{
	char path[] = "/tmp/fdld-budget-XXXXXX";
	int fd = mkstemp(path);
	struct usb_budget *budget;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (int)strlen(text));
	close(fd);
	budget = usb_budget_new(path);
	unlink(path);
	assert_non_null(budget);
	return budget;
}

static uint64_t limit_of(const char *text)
{
	struct usb_budget *budget = budget_of(text);
	struct usb_budget_state now;

	usb_budget_state(budget, &now);
	usb_budget_free(budget);
	return now.limit;
}

static void limits(void **state)
{
	struct usb_budget *budget = usb_budget_new("/nonexistent/usbfs_memory_mb");
	struct usb_budget_state now;

	usb_budget_state(budget, &now);
	usb_budget_free(budget);
	assert_true(now.limit == UINT64_C(16) << 20);
	assert_true(limit_of("0\n") == UINT64_MAX);
	assert_true(limit_of("1000\n") == UINT64_C(1000) << 20);
	assert_true(limit_of("nonsense\n") == UINT64_C(16) << 20);
}

static void count_grant(void *user)
{
	++*(int *)user;
}

static void first_come_first_served(void **state)
{
	struct usb_budget *budget = budget_of("1\n");
	struct usb_claim *a, *b, *c, *d;
	struct usb_budget_state now;
	int grants[4] = { 0 };

	assert_int_equal(usb_budget_ask(budget, 2 << 20, count_grant, &grants[0], &a), -E2BIG);
	assert_null(a);
	assert_int_equal(usb_budget_ask(budget, 600000, count_grant, &grants[0], &a), 1);
	assert_int_equal(usb_budget_ask(budget, 600000, count_grant, &grants[1], &b), 0);
	/* would fit, but somebody was there before */
	assert_int_equal(usb_budget_ask(budget, 1000, count_grant, &grants[2], &c), 0);
	assert_int_equal(usb_budget_ask(budget, 600000, count_grant, &grants[3], &d), 0);
	assert_false(usb_budget_granted(b));
	usb_budget_release(a);
	assert_int_equal(grants[0], 0);
	assert_int_equal(grants[1], 1);
	assert_int_equal(grants[2], 1);
	assert_int_equal(grants[3], 0);
	usb_budget_state(budget, &now);
	assert_int_equal(now.holders, 2);
	assert_int_equal(now.waiting, 1);
	assert_int_equal(now.used, 601000);
	/* one that waits leaves the queue */
	usb_budget_release(d);
	usb_budget_release(b);
	usb_budget_release(c);
	usb_budget_state(budget, &now);
	assert_int_equal(now.used, 0);
	assert_int_equal(grants[3], 0);
	usb_budget_free(budget);
}

static void leaving_the_queue_lets_others_in(void **state)
{
	struct usb_budget *budget = budget_of("1\n");
	struct usb_claim *a, *b, *c;
	int grant = 0;

	assert_int_equal(usb_budget_ask(budget, 600000, NULL, NULL, &a), 1);
	assert_int_equal(usb_budget_ask(budget, 600000, NULL, NULL, &b), 0);
	assert_int_equal(usb_budget_ask(budget, 1000, count_grant, &grant, &c), 0);
	usb_budget_release(b);
	assert_int_equal(grant, 1);
	usb_budget_free(budget);
}

/* A share of it: phones wait, and none is shut out. */
static void shared_with_others(void **state)
{
	struct usb_budget *budget = budget_of("1\n");
	struct usb_claim *a, *b, *c;
	struct usb_budget_state now;
	int grants[2] = { 0 };

	usb_budget_share(budget, 50);
	usb_budget_state(budget, &now);
	assert_in_range(now.limit, (1 << 19) - 100, 1 << 19);
	assert_int_equal(usb_budget_ask(budget, 300000, NULL, NULL, &a), 1);
	assert_int_equal(usb_budget_ask(budget, 300000, count_grant, &grants[0], &b), 0);
	usb_budget_share(budget, 100);
	assert_int_equal(grants[0], 1);
	/* less than what is out: that stays out, and nothing more goes */
	usb_budget_share(budget, 10);
	assert_int_equal(usb_budget_ask(budget, 300000, count_grant, &grants[1], &c), 0);
	usb_budget_release(a);
	assert_int_equal(grants[1], 0);
	/* one alone is let in although it is more than the share */
	usb_budget_release(b);
	assert_int_equal(grants[1], 1);
	assert_int_equal(usb_budget_ask(budget, 1000, NULL, NULL, &a), 0);
	assert_int_equal(usb_budget_ask(budget, 2 << 20, NULL, NULL, &b), -E2BIG);
	usb_budget_free(budget);
	budget = budget_of("0\n");
	usb_budget_share(budget, 10);
	usb_budget_state(budget, &now);
	assert_true(now.limit == UINT64_MAX);
	usb_budget_free(budget);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pci_controllers),
		cmocka_unit_test(platform_controllers),
		cmocka_unit_test(no_bus_number_survives),
		cmocka_unit_test(what_is_not_a_device),
		cmocka_unit_test(limits),
		cmocka_unit_test(first_come_first_served),
		cmocka_unit_test(leaving_the_queue_lets_others_in),
		cmocka_unit_test(shared_with_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
