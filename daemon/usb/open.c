/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is done once for each arrival, on the phone's own thread, because every step of it can hang with the
 * phone: open the node, make sure that it is the device udev spoke of, wrap and claim it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/usbdevice_fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "common/util.h"
#include "usb/internal.h"

#define USB_MAJOR      189
#define DESC_DEVICE    18
#define DT_INTERFACE   4
#define DT_ENDPOINT    5
#define INTERFACE_SIZE 9
#define ENDPOINT_SIZE  7
#define ENDPOINT_BULK  2

static int open_failure(struct usb_opening *opening, int error, const char *what)
{
	enum error_id id = ERR_USB_IO;

	switch (error) {
	case ENOENT:
	case ENODEV:
	case ENXIO: id = ERR_DEVICE_VANISHED; break;
	case EACCES:
	case EPERM: id = ERR_USB_ACCESS; break;
	case ENOMEM: id = ERR_USB_NO_MEMORY; break;
	default: break;
	}
	return failure_set(&opening->why, id, "%s %s: %s", what, opening->arrival.devnode, strerror(error));
}

/* Bus and address as the node itself says. The bus is known only to newer kernels. */
static int check_address(struct usb_opening *opening, const struct stat *st)
{
	const struct usb_arrival *arrival = &opening->arrival;
	struct usbdevfs_conninfo_ex more = { 0 };
	struct usbdevfs_connectinfo info = { 0 };
	unsigned int bus = arrival->busnum, num;

	if (ioctl(opening->fd, USBDEVFS_CONNINFO_EX(sizeof(more)), &more) >= 0) {
		bus = more.busnum;
		num = more.devnum;
	} else if (errno == ENODEV || ioctl(opening->fd, USBDEVFS_CONNECTINFO, &info) < 0) {
		return open_failure(opening, errno, "connection of");
	} else {
		num = info.devnum;
		if (major(st->st_rdev) == USB_MAJOR)
			bus = minor(st->st_rdev) / 128 + 1;
	}
	if (bus != arrival->busnum || num != arrival->devnum)
		return failure_set(&opening->why, ERR_USB_NODE_WRONG,
				   "%s: expected bus %u device %u, found %u/%u", arrival->devnode,
				   arrival->busnum, arrival->devnum, bus, num);
	return 0;
}

/* The first bulk endpoints of the interface, alternate setting 0 (bsl-protocol 2.2). */
static void find_endpoints(const uint8_t *desc, size_t len, int interface, struct usb_pipe_facts *facts)
{
	bool ours = false;
	size_t i;

	for (i = DESC_DEVICE; i + 2 <= len && desc[i] >= 2 && i + desc[i] <= len; i += desc[i]) {
		const uint8_t *d = desc + i;

		if (d[1] == DT_INTERFACE && d[0] >= INTERFACE_SIZE)
			ours = d[2] == interface && d[3] == 0;
		if (!ours || d[1] != DT_ENDPOINT || d[0] < ENDPOINT_SIZE || (d[3] & 3) != ENDPOINT_BULK)
			continue;
		if (d[2] & 0x80 && !facts->ep_in) {
			facts->ep_in = d[2];
			facts->packet_in = get_le16(d + 4) & 0x7ff;
		} else if (!(d[2] & 0x80) && !facts->ep_out) {
			facts->ep_out = d[2];
			facts->packet_out = get_le16(d + 4) & 0x7ff;
		}
	}
}

static int check_descriptors(struct usb_opening *opening)
{
	struct usb_pipe_facts *facts = &opening->facts;
	uint8_t desc[4096];
	ssize_t len;

	if (lseek(opening->fd, 0, SEEK_SET) < 0)
		return open_failure(opening, errno, "descriptors of");
	len = read(opening->fd, desc, sizeof(desc));
	if (len < DESC_DEVICE)
		return open_failure(opening, len < 0 && errno != EIO ? errno : ENODEV, "descriptors of");
	if (get_le16(desc + 8) != opening->arrival.vendor || get_le16(desc + 10) != opening->arrival.product)
		return failure_set(&opening->why, ERR_USB_NODE_WRONG,
				   "%s: expected %04x:%04x, found %04x:%04x", opening->arrival.devnode,
				   opening->arrival.vendor, opening->arrival.product, get_le16(desc + 8),
				   get_le16(desc + 10));
	facts->bcd_usb = get_le16(desc + 2);
	facts->bcd_device = get_le16(desc + 12);
	if (opening->interface == USB_NO_INTERFACE)
		return 0;
	find_endpoints(desc, (size_t)len, opening->interface, facts);
	if (!facts->packet_in || !facts->packet_out)
		return failure_set(&opening->why, ERR_USB_NODE_WRONG,
				   "%s: interface %d has no pair of bulk endpoints", opening->arrival.devnode,
				   opening->interface);
	return 0;
}

static int open_node(struct usb_opening *opening)
{
	struct stat st;
	int r;

	/* O_NOCTTY: on a test bed the node is a tty */
	opening->fd = open(opening->arrival.devnode, O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (opening->fd < 0)
		return open_failure(opening, errno, "open");
	if (fstat(opening->fd, &st) < 0)
		return open_failure(opening, errno, "stat");
	if (!S_ISCHR(st.st_mode))
		return failure_set(&opening->why, ERR_USB_NODE_WRONG, "%s is not a character device",
				   opening->arrival.devnode);
	r = check_address(opening, &st);
	return r < 0 ? r : check_descriptors(opening);
}

static int claim_failure(struct usb_opening *opening, int r)
{
	struct usbdevfs_getdriver driver = { .interface = (unsigned int)opening->interface };

	if (r != LIBUSB_ERROR_BUSY)
		return usb_error(&opening->why, r, "claim");
	if (ioctl(opening->fd, USBDEVFS_GETDRIVER, &driver) < 0)
		return failure_set(&opening->why, ERR_USB_CLAIMED,
				   "interface %d is held, by whom is not known", opening->interface);
	driver.driver[sizeof(driver.driver) - 1] = '\0';
	return failure_set(&opening->why, ERR_USB_CLAIMED, "interface %d is held by %s%s", opening->interface,
			   driver.driver, strcmp(driver.driver, "usbfs") ? "" : ", that is another program");
}

void usb_opening_close(libusb_device_handle *handle, int fd)
{
	if (handle) {
		libusb_release_interface(handle, 0);
		libusb_close(handle);
	}
	if (fd >= 0)
		close(fd);
}

void usb_opening_run(struct usb_opening *opening)
{
	int r;

	opening->fd = -1;
	if (open_node(opening) < 0)
		goto fail;
	r = libusb_wrap_sys_device(opening->usb, opening->fd, &opening->handle);
	if (r < 0) {
		opening->handle = NULL;
		usb_error(&opening->why, r, "open");
		goto fail;
	}
	if (opening->interface == USB_NO_INTERFACE)
		return;
	libusb_set_auto_detach_kernel_driver(opening->handle, 1);
	r = libusb_claim_interface(opening->handle, opening->interface);
	if (r == 0)
		return;
	claim_failure(opening, r);
	libusb_close(opening->handle);
	opening->handle = NULL;
fail:
	if (opening->fd >= 0)
		close(opening->fd);
	opening->fd = -1;
}
