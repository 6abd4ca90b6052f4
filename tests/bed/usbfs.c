/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What libusb sees: the calls of usbfs.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "tests/bed/internal.h"

#define CONNINFO_EX_NR	  32
#define CAP_CONNINFO_EX	  0x80
#define SPEED_HIGH	  3
#define GET_CONFIGURATION 8

static bool has_endpoint(const struct bed_dev *dev, uint8_t endpoint)
{
	const uint8_t *desc = dev->spec.desc;
	size_t i;

	for (i = 0; i + 2 < dev->spec.desc_len && desc[i]; i += desc[i]) {
		if (desc[i + 1] == 5 && desc[i + 2] == endpoint)
			return true;
	}
	return false;
}

static int model_control(struct bed_dev *dev, const uint8_t setup[8], uint8_t *data, size_t len)
{
	const struct bed_model *model = dev->spec.model;
	int r;

	dev->count.controls++;
	if (!model || !model->control)
		return setup[0] & 0x80 ? -EPIPE : (int)len;
	dev->busy = true;
	r = model->control(dev, setup, data, len);
	dev->busy = false;
	return r;
}

static int submit_control(struct bed_dev *dev, struct urb *urb)
{
	size_t len = (size_t)urb->u.buffer_length;
	int n;

	if (len < 8)
		return -EINVAL;
	n = dev->fault.hold_control ? -ETIMEDOUT : model_control(dev, urb->data, urb->data + 8, len - 8);
	if (n == -ETIMEDOUT) {
		/* stays with the device until it is taken back */
		urb_queue_add(&dev->deaf, urb);
		return 0;
	}
	if (n > 0 && urb->data[0] & 0x80 &&
	    urb_poke(urb->pid, (uint64_t)(uintptr_t)urb->u.buffer + 8, urb->data + 8, (size_t)n) < 0)
		return -EFAULT;
	urb->u.actual_length = n > 0 ? n : 0;
	urb_finish(dev, urb, n < 0 ? n : 0);
	return 0;
}

static long take_back(struct bed_dev *dev, struct urb *urb, int error)
{
	urb_free(dev, urb);
	return error;
}

static long submit(struct bed_dev *dev, struct opener *opener, pid_t pid, uint64_t addr)
{
	struct bed *bed = dev->bed;
	uint64_t now = bed_now(), start;
	struct urb *urb = urb_new(bed);
	size_t len;
	int r;

	if (urb_peek(pid, addr, &urb->u, sizeof(urb->u)) < 0) {
		urb->u.buffer_length = 0;
		dev->count.pending++;
		return take_back(dev, urb, -EFAULT);
	}
	urb->opener = opener;
	urb->pid = pid;
	urb->addr = addr;
	urb->u.actual_length = 0;
	len = (size_t)urb->u.buffer_length;
	bed->mem += len;
	dev->count.pending++;
	if (urb->u.type != USBDEVFS_URB_TYPE_CONTROL && !has_endpoint(dev, urb->u.endpoint))
		return take_back(dev, urb, -ENOENT);
	if (urb->u.type != USBDEVFS_URB_TYPE_CONTROL && dev->fault.submit_times) {
		dev->fault.submit_times--;
		return take_back(dev, urb, -dev->fault.submit_errno);
	}
	if (bed->mem > bed->mem_limit)
		return take_back(dev, urb, -ENOMEM);
	if (bed->mem > bed->stats.mem_peak)
		bed->stats.mem_peak = bed->mem;
	bed->stats.submits++;
	dev->count.submits++;
	if (!dev->count.first_submit_ns)
		dev->count.first_submit_ns = now;
	if (urb->u.endpoint & 0x80) {
		urb_queue_add(&dev->in, urb);
		usbfs_look(dev, now);
		return 0;
	}
	if (urb->room < len) {
		free(urb->data);
		urb->data = malloc(len);
		urb->room = len;
		if (!urb->data)
			bed_die("OUT data");
	}
	if (urb_peek(pid, (uint64_t)(uintptr_t)urb->u.buffer, urb->data, len) < 0)
		return take_back(dev, urb, -EFAULT);
	if (urb->u.type == USBDEVFS_URB_TYPE_CONTROL) {
		r = submit_control(dev, urb);
		return r < 0 ? take_back(dev, urb, r) : 0;
	}
	start = now > dev->wire_free ? now : dev->wire_free;
	urb->due = dev->spec.bytes_per_s ? start + len * UINT64_C(1000000000) / dev->spec.bytes_per_s : now;
	urb->due += dev->spec.latency_us * UINT64_C(1000);
	dev->wire_free = urb->due;
	urb_queue_add(&dev->out, urb);
	usbfs_look(dev, now);
	return 0;
}

static long reap(struct bed_dev *dev, struct opener *opener, pid_t pid, uint64_t arg)
{
	struct urb *urb = urb_queue_take(&dev->done, opener, NULL);
	uint64_t addr;
	int r;

	if (!urb) {
		dev->bed->stats.empty_reaps++;
		usbfs_ready(dev, false);
		return dev->gone ? -ENODEV : -EAGAIN;
	}
	dev->bed->stats.reaps++;
	addr = urb->addr;
	/* status, flags, buffer, buffer_length, actual_length lie side by side; only the first and the last
	 * change */
	r = urb_poke(pid, addr + offsetof(struct usbdevfs_urb, status), &urb->u.status,
		     sizeof(urb->u.status));
	if (!r)
		r = urb_poke(pid, addr + offsetof(struct usbdevfs_urb, actual_length), &urb->u.actual_length,
			     sizeof(urb->u.actual_length));
	if (!r)
		r = urb_poke(pid, arg, &addr, sizeof(addr));
	urb_free(dev, urb);
	if (!dev->done.head)
		usbfs_ready(dev, false);
	return r;
}

static long discard(struct bed_dev *dev, struct opener *opener, uint64_t addr)
{
	struct urb *urb = urb_queue_take(&dev->in, opener, &addr);

	if (!urb)
		urb = urb_queue_take(&dev->out, opener, &addr);
	if (!urb)
		urb = urb_queue_take(&dev->deaf, opener, &addr);
	if (!urb)
		return -EINVAL;
	urb_finish(dev, urb, -ENOENT);
	return 0;
}

static long control(struct bed_dev *dev, pid_t pid, uint64_t arg, bool *hold)
{
	struct usbdevfs_ctrltransfer request;
	uint8_t setup[8], data[4096];
	int n;

	if (dev->fault.hold_ioctl) {
		*hold = true;
		return 0;
	}
	if (urb_peek(pid, arg, &request, sizeof(request)) < 0 || request.wLength > sizeof(data))
		return -EFAULT;
	if (request.bRequestType == 0x80 && request.bRequest == GET_CONFIGURATION && request.wLength) {
		data[0] = 1;
		return urb_poke(pid, (uintptr_t)request.data, data, 1) < 0 ? -EFAULT : 1;
	}
	memcpy(setup, &request, sizeof(setup));
	if (!(setup[0] & 0x80) && urb_peek(pid, (uintptr_t)request.data, data, request.wLength) < 0)
		return -EFAULT;
	n = model_control(dev, setup, data, request.wLength);
	if (n > 0 && setup[0] & 0x80 && urb_poke(pid, (uintptr_t)request.data, data, (size_t)n) < 0)
		return -EFAULT;
	return n;
}

static long connect_info(struct bed_dev *dev, pid_t pid, uint32_t req, uint64_t arg)
{
	uint8_t num = dev->fault.connect_num ? (uint8_t)dev->fault.connect_num : dev->spec.num;
	struct usbdevfs_connectinfo info = { .devnum = num, .slow = 0 };
	struct usbdevfs_conninfo_ex more = {
		.size = sizeof(more), .busnum = dev->spec.bus, .devnum = num, .speed = SPEED_HIGH
	};
	size_t room = _IOC_SIZE(req);
	const char *port;

	if (req == USBDEVFS_CONNECTINFO)
		return urb_poke(pid, arg, &info, sizeof(info));
	for (port = dev->ports; port && more.num_ports < sizeof(more.ports); port = strchr(port, '.')) {
		port += *port == '.';
		more.ports[more.num_ports++] = (uint8_t)atoi(port);
	}
	return urb_poke(pid, arg, &more, room < sizeof(more) ? room : sizeof(more));
}

static long driver_name(struct bed_dev *dev, pid_t pid, uint64_t arg)
{
	struct usbdevfs_getdriver answer = { 0 };

	if (!dev->fault.driver)
		return -ENODATA;
	strncpy(answer.driver, dev->fault.driver, sizeof(answer.driver) - 1);
	return urb_poke(pid, arg + offsetof(struct usbdevfs_getdriver, driver), answer.driver,
			sizeof(answer.driver));
}

static long claim(struct bed_dev *dev, struct opener *opener)
{
	int error = dev->fault.claim_errno;

	dev->fault.claim_errno = 0;
	if (error)
		return -error;
	dev->count.claims += !opener->claimed;
	opener->claimed = true;
	return 0;
}

void usbfs_rewind(struct bed_dev *dev)
{
	/* the node is a tty and holds what was typed into it: the descriptors, once more */
	tcflush(dev->slave, TCIFLUSH);
	if (!dev->gone && write(dev->master, dev->spec.desc, dev->spec.desc_len) < 0)
		bed_die("descriptors");
}

long usbfs_ioctl(struct bed_dev *dev, struct opener *opener, pid_t pid, uint32_t req, uint64_t arg,
		 bool *hold)
{
	uint32_t caps = USBDEVFS_CAP_ZERO_PACKET | USBDEVFS_CAP_BULK_CONTINUATION |
			USBDEVFS_CAP_NO_PACKET_SIZE_LIM | USBDEVFS_CAP_BULK_SCATTER_GATHER |
			USBDEVFS_CAP_REAP_AFTER_DISCONNECT | CAP_CONNINFO_EX;

	if (req == USBDEVFS_REAPURBNDELAY || req == USBDEVFS_REAPURB)
		return reap(dev, opener, pid, arg);
	if (dev->gone)
		return -ENODEV;
	if (_IOC_NR(req) == CONNINFO_EX_NR)
		return connect_info(dev, pid, req, arg);
	switch (req) {
	case USBDEVFS_SUBMITURB: return submit(dev, opener, pid, arg);
	case USBDEVFS_DISCARDURB: return discard(dev, opener, arg);
	case USBDEVFS_GET_CAPABILITIES: return urb_poke(pid, arg, &caps, sizeof(caps));
	case USBDEVFS_CONNECTINFO: return connect_info(dev, pid, req, arg);
	case USBDEVFS_CLAIMINTERFACE:
	case USBDEVFS_DISCONNECT_CLAIM: return claim(dev, opener);
	case USBDEVFS_RELEASEINTERFACE: opener->claimed = false; return 0;
	case USBDEVFS_GETDRIVER: return driver_name(dev, pid, arg);
	case USBDEVFS_CONTROL: return control(dev, pid, arg, hold);
	case USBDEVFS_GET_SPEED: return SPEED_HIGH;
	case USBDEVFS_RESET:
		if (dev->spec.model && dev->spec.model->reset)
			dev->spec.model->reset(dev);
		return 0;
	case USBDEVFS_SETINTERFACE:
	case USBDEVFS_SETCONFIGURATION:
	case USBDEVFS_CLEAR_HALT:
	case USBDEVFS_RESETEP: return 0;
	case USBDEVFS_IOCTL: return -ENODATA;
	default: return -ENOTTY;
	}
}
