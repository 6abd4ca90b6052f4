/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * daemon/loop and daemon/usb against the bed: phones that come, go, change, hang, and are not what they seem.
 * The child that plays the daemon is in tests/bed/usb_child.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <libusb.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/util.h"
#include "tests/bed/usb_child.h"

/* Before libusb's: transfers handed out and not given back, in memory that the child shares. */
static atomic_int *transfers;
static struct libusb_transfer *(*real_alloc)(int);
static void (*real_free)(struct libusb_transfer *);

struct libusb_transfer *LIBUSB_CALL libusb_alloc_transfer(int packets)
{
	struct libusb_transfer *transfer = real_alloc(packets);

	if (transfer)
		atomic_fetch_add(transfers, 1);
	return transfer;
}

void LIBUSB_CALL libusb_free_transfer(struct libusb_transfer *transfer)
{
	if (transfer)
		atomic_fetch_sub(transfers, 1);
	real_free(transfer);
}

static void count_transfers(void)
{
	transfers = mmap(NULL, sizeof(*transfers), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	*(void **)&real_alloc = dlsym(RTLD_NEXT, "libusb_alloc_transfer");
	*(void **)&real_free = dlsym(RTLD_NEXT, "libusb_free_transfer");
	if (transfers == MAP_FAILED || !real_alloc || !real_free)
		abort();
}

static void sends(size_t len, unsigned int rounds)
{
	orders.send = len;
	orders.rounds = rounds;
}

/* By udev's times: what hung on the root hub from the start, or nearly, and what was plugged in later. */
static void t_came_later(void)
{
	static const uint32_t after[] = { 0, 14, 16, 4000 };

	for (uint8_t i = 0; i < 4; i++) {
		char ports[2] = { (char)('1' + i), '\0' };
		struct bed_spec spec = {
			.bus = 1, .ports = ports, .model = &usb_ack_model, .after_s = after[i]
		};

		(void)bed_plug(bed, &spec, false);
	}
	CHECK(child_start());
	CHECK(until_n("cold", 4, 5000));
	CHECK(said("cold later") == 2);
	CHECK(until("usb-0:3 arrived 1/4 cold later") && until("usb-0:4 arrived 1/5 cold later"));
	CHECK(child_stop());
}

static void t_cold_plug(void)
{
	struct bed_dev *dev = child_plug("4.3", &usb_ack_model, false);

	sends(64, 3);
	orders.options.flags = USB_OPEN_CONTROL;
	CHECK(child_start());
	CHECK(until("pci-0000:00:14.0-usb-0:4.3 arrived 1/2 cold"));
	CHECK(until_n("received 8 ", 3, 5000));
	CHECK(said("packets 512/512 bcd ffff") == 1);
	CHECK(said("sent 64 ok") == 3);
	CHECK(bed_count(dev)->controls == 1);
	CHECK(bed_count(dev)->opens == 1 && bed_count(dev)->claims == 1);
	CHECK(child_stop());
	CHECK(bed_count(dev)->closes == 1 && bed_count(dev)->pending == 0);
	CHECK(atomic_load(transfers) == 0);
}

static void t_hotplug(void)
{
	struct bed_dev *dev;
	long latency;

	sends(64, 1);
	orders.options.flags = USB_OPEN_CONTROL;
	CHECK(child_start());
	dev = child_plug("2", &usb_ack_model, true);
	CHECK(until("usb-0:2 arrived 1/2 event"));
	CHECK(until("received 8 "));
	latency = said_number(" latency ");
	printf("# uevent to first transfer: %ld us\n", latency);
	CHECK(latency >= 0 && latency <= 20000);
	/* the same news again changes nothing */
	bed_uevent(dev, "add");
	bed_uevent(dev, "change");
	bed_run(bed, 50, NULL, NULL);
	CHECK(said("arrived") == 1);
	bed_unplug(dev, true);
	CHECK(until("left 1/2") && until("closed"));
	CHECK(child_stop());
	CHECK(bed_count(dev)->closes == 1);
}

static void t_other_devices(void)
{
	static uint8_t other[64];
	struct bed_spec spec = { .bus = 1, .ports = "1", .desc = other, .desc_len = bed_unisoc_desc_len };

	memcpy(other, bed_unisoc_desc, bed_unisoc_desc_len);
	other[10] = 0x03;
	other[11] = 0x40; /* 1782:4003, a phone that runs and has no port for us */
	CHECK(child_start());
	bed_plug(bed, &spec, true);
	child_plug("2", NULL, true);
	CHECK(until("usb-0:2 opened ok"));
	CHECK(said("arrived") == 1 && !said("runs"));
	CHECK(child_stop());
}

/* It is told of as what it is, and nothing is opened. */
static void t_running(void)
{
	static uint8_t other[64];
	struct bed_spec spec = { .bus = 1, .ports = "1", .desc = other, .desc_len = bed_unisoc_desc_len };
	struct bed_dev *dev;

	memcpy(other, bed_unisoc_desc, bed_unisoc_desc_len);
	other[10] = 0x03; /* 1782:4d03 */
	CHECK(child_start());
	dev = bed_plug(bed, &spec, true);
	CHECK(until("usb-0:1 runs 1/2"));
	bed_unplug(dev, true);
	CHECK(until("usb-0:1 left 1/2"));
	CHECK(!said("arrived") && child_stop());
	CHECK(!bed_count(dev)->opens);
}

static void t_id_path_and_tag(void)
{
	struct bed_spec spec = {
		.bus = 1, .ports = "5", .id_path = "pci-0000:00:14.0-usb-0:99", .tag = "fdld"
	};

	orders.tag = "fdld";
	bed_plug(bed, &spec, false);
	child_plug("7", NULL, false);
	CHECK(child_start());
	CHECK(until("usb-0:99 opened ok"));
	spec.ports = "6";
	spec.id_path = "pci-0000:00:14.0-usb-0:98";
	child_plug("8", NULL, true);
	bed_plug(bed, &spec, true);
	CHECK(until("usb-0:98 opened ok"));
	CHECK(said("arrived") == 2);
	CHECK(child_stop());
}

static void t_unplug_in_flight(void)
{
	struct bed_dev *dev = child_plug("1", NULL, false);

	sends(64, 1);
	CHECK(child_start());
	CHECK(until("sent 64"));
	bed_unplug(dev, true);
	CHECK(until("closed"));
	CHECK(said("left 1/2") == 1);
	CHECK(child_stop());
	CHECK(bed_count(dev)->pending == 0);
}

static void t_unplug_without_event(void)
{
	struct bed_dev *dev = child_plug("1", NULL, false);

	sends(64, 1);
	CHECK(child_start());
	CHECK(until("sent 64"));
	bed_unplug(dev, false);
	CHECK(until("failed DeviceVanished") && until("closed"));
	bed_uevent(dev, "remove");
	CHECK(until("left 1/2"));
	CHECK(child_stop());
}

static void t_remove_first(void)
{
	struct bed_dev *dev = child_plug("1", NULL, false);

	sends(64, 1);
	CHECK(child_start());
	CHECK(until("sent 64"));
	bed_uevent(dev, "remove");
	CHECK(until("left 1/2") && until("closed"));
	bed_unplug(dev, false);
	CHECK(said("failed") == 0);
	CHECK(child_stop());
}

static void t_claim_busy(void)
{
	struct bed_dev *dev = child_plug("1", NULL, false);

	bed_fault(dev)->claim_errno = EBUSY;
	bed_fault(dev)->driver = "option";
	CHECK(child_start());
	CHECK(until("opened UsbClaimed (interface 0 is held by option)") && until("closed"));
	CHECK(child_stop());
	CHECK(bed_count(dev)->closes == bed_count(dev)->opens);
}

static void t_no_access(void)
{
	struct bed_dev *dev = child_plug("1", NULL, false);

	chmod(bed_node(dev), 0);
	orders.unprivileged = true;
	CHECK(child_start());
	/* with one uid in the namespace there is no way to lose its rights */
	CHECK(until("opened UsbAccess") || said("unprivileged impossible"));
	CHECK(child_stop());
}

static void t_node_swapped(void)
{
	bed_fault(child_plug("1", NULL, false))->connect_num = 77;
	CHECK(child_start());
	CHECK(until("opened UsbNodeWrong (/dev/bus/usb/001/002: expected bus 1 device 2, found 1/77)"));
	CHECK(until("closed"));
	CHECK(child_stop());
}

static void t_not_a_device(void)
{
	struct bed_dev *dev = child_plug("1", NULL, false);
	int fd;

	bed_unplug(dev, false);
	dev = bed_replug(dev, NULL, NULL, false);
	/* the node is covered by a plain file */
	fd = open("/run/plain", O_CREAT | O_RDWR | O_CLOEXEC, 0666);
	close(fd);
	if (bed_cover(dev, "/run/plain") < 0) {
		usb_failed = "bed_cover()";
		return;
	}
	CHECK(child_start());
	CHECK(until("opened UsbNodeWrong (/dev/bus/usb/001/003 is not a character device)"));
	CHECK(child_stop());
}

static void t_control_unanswered(void)
{
	struct bed_dev *deaf = child_plug("1", &usb_ack_model, false), *other;

	bed_fault(deaf)->hold_control = true;
	sends(64, 5);
	orders.options.flags = USB_OPEN_CONTROL;
	orders.options.control_usec = 1000000;
	CHECK(child_start());
	CHECK(until("usb-0:1 arrived"));
	bed_run(bed, 20, NULL, NULL);
	other = child_plug("2", &usb_ack_model, true);
	CHECK(until_n("usb-0:2 received 8 ", 5, 900));
	CHECK(said("usb-0:1 opened") == 0);
	CHECK(until("usb-0:1 opened UsbOpenTimeout") && until("usb-0:1 closed"));
	CHECK(child_stop());
	printf("# longest turn: %ld us\n", said_number("turn "));
	CHECK(said_number("turn ") < 50000);
	CHECK(bed_count(deaf)->pending == 0 && bed_count(other)->closes == 1);
}

static void t_open_hangs(void)
{
	struct bed_dev *deaf = child_plug("1", &usb_ack_model, false);

	/* GET_CONFIGURATION inside of libusb_wrap_sys_device() */
	bed_fault(deaf)->hold_ioctl = true;
	sends(64, 5);
	orders.options.open_usec = 1000000;
	CHECK(child_start());
	CHECK(until("usb-0:1 arrived"));
	bed_run(bed, 20, NULL, NULL);
	child_plug("2", &usb_ack_model, true);
	CHECK(until_n("usb-0:2 received 8 ", 5, 900));
	CHECK(until("usb-0:1 opened UsbOpenTimeout") && until("usb-0:1 closed"));
	/* the thread that was left behind comes back and closes what it had opened */
	bed_let_go(deaf);
	bed_run(bed, 100, NULL, NULL);
	CHECK(child_stop());
	CHECK(said_number("turn ") < 50000);
	CHECK(said("left behind 0") == 1);
	CHECK(bed_count(deaf)->closes == bed_count(deaf)->opens);
}

static void t_open_hangs_for_ever(void)
{
	bed_fault(child_plug("1", NULL, false))->hold_ioctl = true;
	orders.options.open_usec = 50000;
	CHECK(child_start());
	CHECK(until("opened UsbOpenTimeout") && until("closed"));
	/* and the daemon can end all the same */
	CHECK(child_stop());
	CHECK(said("left behind 1") == 1);
}

static void t_storm(void)
{
	struct bed_dev *dev;
	char ports[8];
	int i;

	sends(64, 100);
	CHECK(child_start());
	for (i = 0; i < 200; i++) {
		snprintf(ports, sizeof(ports), "%d", 1 + i % 50);
		dev = child_plug(ports, i / 3 % 2 ? &usb_ack_model : NULL, true);
		bed_run(bed, i % 3, NULL, NULL);
		bed_unplug(dev, true);
	}
	dev = child_plug("9.9", &usb_ack_model, true);
	CHECK(until("usb-0:9.9 received 8 "));
	bed_unplug(dev, true);
	CHECK(until("usb-0:9.9 left"));
	bed_run(bed, 200, NULL, NULL);
	CHECK(said(" arrived 1/") == said(" left 1/"));
	CHECK(said(" arrived 1/") == said(" closed\n"));
	CHECK(child_stop());
	CHECK(said("present 0") == 1);
	CHECK(atomic_load(transfers) == 0);
}

static void t_lost_events(void)
{
	struct bed_dev *dev, *stays;
	int i;

	/* without privileges, the receive buffer obeys the system's limit */
	orders.unprivileged = true;
	CHECK(child_start());
	stays = child_plug("3", &usb_ack_model, true);
	CHECK(until("usb-0:3 opened"));
	dev = child_plug("1", NULL, true);
	CHECK(until("usb-0:1 opened"));
	kill(child_pid, SIGSTOP);
	bed_unplug(dev, true);
	for (i = 0; i < 40000; i++)
		bed_uevent(dev, i % 2 ? "remove" : "add");
	dev = bed_replug(dev, NULL, NULL, true);
	child_plug("2", NULL, true);
	kill(child_pid, SIGCONT);
	CHECK(until("usb-0:2 arrived") && until_n("usb-0:1 arrived", 2, 5000));
	bed_run(bed, 100, NULL, NULL);
	CHECK(said("usb-0:3 left") == 0 && !bed_gone(stays));
	CHECK(said("usb-0:1 arrived 1/") == 2 && said("usb-0:2 arrived") == 1 && said("usb-0:1 left") == 1);
	CHECK(child_stop());
	CHECK(said("present 3") == 1);
	CHECK(said("unprivileged impossible") || said_number("rescans ") >= 1);
}

static void t_stale_events(void)
{
	struct bed_dev *first, *second;

	CHECK(child_start());
	first = child_plug("1", NULL, true);
	CHECK(until("arrived 1/2"));
	kill(child_pid, SIGSTOP);
	bed_unplug(first, true);
	second = bed_replug(first, NULL, NULL, true);
	/* news of the first, late */
	bed_uevent(first, "add");
	bed_uevent(first, "remove");
	kill(child_pid, SIGCONT);
	CHECK(until("arrived 1/3 event"));
	bed_run(bed, 50, NULL, NULL);
	CHECK(said("arrived") == 2 && said("left") == 1);
	bed_unplug(second, true);
	CHECK(until("left 1/3"));
	CHECK(child_stop());
	CHECK(said_number("stale ") >= 1);
}

static void t_reenumeration(void)
{
	struct bed_dev *dev = child_plug("4.1", &usb_ack_model, false);

	sends(64, 1);
	CHECK(child_start());
	CHECK(until("usb-0:4.1 received 8 "));
	bed_unplug(dev, true);
	dev = bed_replug(dev, &usb_ack_model, NULL, true);
	CHECK(until("usb-0:4.1 left 1/2") && until("usb-0:4.1 arrived 1/3 event"));
	CHECK(until_n("usb-0:4.1 received 8 ", 2, 5000));
	CHECK(child_stop());
	CHECK(bed_count(dev)->closes == 1);
}

static void t_32_devices(void)
{
	struct bed_spec spec = { .bus = 1, .model = &usb_ack_model, .bytes_per_s = 35000000 };
	char ports[8];
	int i;

	for (i = 0; i < 32; i++) {
		snprintf(ports, sizeof(ports), "%d.%d", 1 + i / 8, 1 + i % 8);
		spec.ports = ports;
		bed_plug(bed, &spec, false);
	}
	sends(65000, 16);
	CHECK(child_start());
	CHECK(until_n("received 8 ", 32 * 16, 20000));
	CHECK(child_stop());
	CHECK(said("failed") == 0);
}

static void t_buses_exchanged(void)
{
	struct bed_spec a = { .controller = "pci0000:00/0000:00:14.0", .bus = 1, .ports = "4.3" };
	struct bed_spec b = { .controller = "pci0000:00/0000:00:1a.0", .bus = 2, .ports = "4.3" };
	struct bed_dev *one = bed_plug(bed, &a, false), *two = bed_plug(bed, &b, false);

	CHECK(child_start());
	CHECK(until("pci-0000:00:14.0-usb-0:4.3 arrived 1/") &&
	      until("pci-0000:00:1a.0-usb-0:4.3 arrived 2/"));
	CHECK(child_stop());
	bed_unplug(one, false);
	bed_unplug(two, false);
	a.bus = 2;
	b.bus = 1;
	bed_plug(bed, &a, false);
	bed_plug(bed, &b, false);
	CHECK(child_start());
	CHECK(until("pci-0000:00:14.0-usb-0:4.3 arrived 2/") &&
	      until("pci-0000:00:1a.0-usb-0:4.3 arrived 1/"));
	CHECK(child_stop());
}

static void t_killed(void)
{
	struct bed_dev *dev = child_plug("1", &usb_ack_model, false);

	sends(64, 1);
	CHECK(child_start());
	CHECK(until("received 8 "));
	kill(child_pid, SIGKILL);
	CHECK(WIFSIGNALED(bed_wait(bed, child_pid, 5000)));
	CHECK(bed_count(dev)->closes == 1 && bed_count(dev)->pending == 0);
	child_forget();
	CHECK(child_start());
	CHECK(until("received 8 "));
	CHECK(child_stop());
}

#define T(f)              \
	{                 \
#f, t_##f \
	}
static const struct usb_test tests[] = {
	T(cold_plug),	 T(came_later),		T(hotplug),	     T(other_devices),
	T(running),	 T(id_path_and_tag),	T(unplug_in_flight), T(unplug_without_event),
	T(remove_first), T(claim_busy),		T(no_access),	     T(node_swapped),
	T(not_a_device), T(control_unanswered), T(open_hangs),	     T(open_hangs_for_ever),
	T(storm),	 T(lost_events),	T(stale_events),     T(reenumeration),
	T(32_devices),	 T(buses_exchanged),	T(killed),
};

int main(void)
{
	count_transfers();
	return usb_tests_run("usb", tests, ARRAY_SIZE(tests));
}
