/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What libudev sees: sysfs directories with hubs and port chains, the udev database, tags, and uevents as
 * udevd multicasts them after its rules have run. The device node is the slave of a PTY under its usual name.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <pty.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "tests/bed/internal.h"

const uint8_t bed_unisoc_desc[] = {
	18, 1, 0x00, 0x02, 0,	 0,    0, 64,	0x82, 0x17, 0x00, 0x4d, 0xff, 0xff, 0, 0, 0, 1, /* device */
	9,  2, 32,   0,	   1,	 1,    0, 0xc0, 0x32, /* configuration */
	9,  4, 0,    0,	   2,	 0xff, 0, 0,	0,    /* interface */
	7,  5, 0x85, 2,	   0x00, 0x02, 0,	      /* bulk IN, 512 */
	7,  5, 0x06, 2,	   0x00, 0x02, 0,	      /* bulk OUT, 512 */
};
const size_t bed_unisoc_desc_len = sizeof(bed_unisoc_desc);

static unsigned int minor_of(const struct bed_spec *spec)
{
	return (spec->bus - 1u) * 128u + spec->num - 1u;
}

static unsigned int le16(const uint8_t *p)
{
	return p[0] | (unsigned int)p[1] << 8;
}

/* ---- events ----------------------------------------------------------------------------------- */

/* MurmurHash2 with seed 0: what libudev's socket filter compares instead of strings */
static uint32_t hash32(const char *text)
{
	const uint32_t mul = 0x5bd1e995;
	uint32_t left = (uint32_t)strlen(text), hash = left, word;

	for (; left >= 4; left -= 4, text += 4) {
		memcpy(&word, text, 4);
		word *= mul;
		word ^= word >> 24;
		hash = hash * mul ^ word * mul;
	}
	if (left) {
		while (left--)
			hash ^= (uint32_t)(uint8_t)text[left] << (8 * left);
		hash *= mul;
	}
	hash ^= hash >> 13;
	hash *= mul;
	return hash ^ hash >> 15;
}

static uint64_t bloom64(const char *tag)
{
	uint32_t hash = hash32(tag);

	return UINT64_C(1) << (hash & 63) | UINT64_C(1) << (hash >> 6 & 63) |
	       UINT64_C(1) << (hash >> 12 & 63) | UINT64_C(1) << (hash >> 18 & 63);
}

struct text {
	char buf[1536];
	size_t len;
};

static void __attribute__((format(printf, 2, 3))) property(struct text *text, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	text->len += (size_t)vsnprintf(text->buf + text->len, sizeof(text->buf) - text->len, fmt, ap) + 1;
	va_end(ap);
	if (text->len > sizeof(text->buf))
		abort();
}

void bed_uevent(struct bed_dev *dev, const char *action)
{
	struct {
		char prefix[8];
		uint32_t magic, header, offset, length, subsystem, devtype, tag_hi, tag_lo;
	} head = { "libudev",
		   htonl(0xfeedcafe),
		   sizeof(head),
		   sizeof(head),
		   0,
		   htonl(hash32("usb")),
		   htonl(hash32("usb_device")),
		   0,
		   0 };
	struct sockaddr_nl to = { .nl_family = AF_NETLINK,
				  .nl_groups = 2 /* what udevd sends, after rules */ };
	const struct bed_spec *spec = &dev->spec;
	struct text text = { .len = 0 };
	struct iovec part[2];
	struct msghdr msg = { .msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = part, .msg_iovlen = 2 };

	property(&text, "ACTION=%s", action);
	property(&text, "DEVPATH=%s", dev->sys + strlen("/sys"));
	property(&text, "SUBSYSTEM=usb");
	property(&text, "DEVTYPE=usb_device");
	property(&text, "DEVNAME=%s", dev->node);
	property(&text, "BUSNUM=%03u", spec->bus);
	property(&text, "DEVNUM=%03u", spec->num);
	property(&text, "MAJOR=189");
	property(&text, "MINOR=%u", minor_of(spec));
	property(&text, "PRODUCT=%x/%x/%x", le16(spec->desc + 8), le16(spec->desc + 10),
		 le16(spec->desc + 12));
	if (spec->id_path)
		property(&text, "ID_PATH=%s", spec->id_path);
	if (spec->serial)
		property(&text, "ID_SERIAL_SHORT=%s", spec->serial);
	if (spec->tag) {
		uint64_t bits = bloom64(spec->tag);

		head.tag_hi = htonl((uint32_t)(bits >> 32));
		head.tag_lo = htonl((uint32_t)bits);
		property(&text, "TAGS=:%s:", spec->tag);
		property(&text, "CURRENT_TAGS=:%s:", spec->tag);
	}
	property(&text, "SEQNUM=%llu", (unsigned long long)++dev->bed->seqnum);
	head.length = (uint32_t)text.len;
	part[0] = (struct iovec){ &head, sizeof(head) };
	part[1] = (struct iovec){ text.buf, text.len };
	/* nobody listens, or somebody does not keep up: both are the listener's affair */
	if (sendmsg(dev->bed->uevents, &msg, 0) < 0 && errno != ECONNREFUSED && errno != ENOBUFS)
		bed_die("uevent");
}

/* ---- sysfs ------------------------------------------------------------------------------------- */

/* The ports of a hub: those we make, and no other device. */
static unsigned int ports_of(unsigned int vendor)
{
	return vendor == 0x1d6b ? 16 : vendor == 0x05e3 ? 8 : 0;
}

static void sys_node(const char *dir, const char *name, unsigned int bus, unsigned int num,
		     unsigned int vendor, unsigned int product, unsigned int bcd)
{
	unsigned int minor = (bus - 1) * 128 + num - 1;
	char path[320];

	bed_mkdirs(dir);
	bed_putf(dir, "busnum", "%u\n", bus);
	bed_putf(dir, "devnum", "%u\n", num);
	bed_putf(dir, "speed", "480\n");
	bed_putf(dir, "bConfigurationValue", "1\n");
	bed_putf(dir, "dev", "189:%u\n", minor);
	bed_putf(dir, "idVendor", "%04x\n", vendor);
	bed_putf(dir, "idProduct", "%04x\n", product);
	bed_putf(dir, "bcdDevice", "%04x\n", bcd);
	bed_putf(dir, "maxchild", "%u\n", ports_of(vendor));
	bed_putf(dir, "uevent",
		 "MAJOR=189\nMINOR=%u\nDEVNAME=bus/usb/%03u/%03u\nDEVTYPE=usb_device\nDRIVER=usb\n"
		 "PRODUCT=%x/%x/%x\nBUSNUM=%03u\nDEVNUM=%03u\n",
		 minor, bus, num, vendor, product, bcd, bus, num);
	snprintf(path, sizeof(path), "%s/subsystem", dir);
	unlink(path);
	MUST(symlink("/sys/bus/usb", path));
	snprintf(path, sizeof(path), "/sys/bus/usb/devices/%s", name);
	unlink(path);
	MUST(symlink(dir, path));
}

static void sys_remove(const char *dir, const char *name)
{
	static const char *const files[] = { "busnum",	"devnum",    "speed",	  "bConfigurationValue",
					     "dev",	"idVendor",  "idProduct", "bcdDevice",
					     "uevent",	"subsystem", "devpath",	  "descriptors",
					     "maxchild" };
	char path[320];
	size_t i;

	for (i = 0; i < sizeof(files) / sizeof(*files); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
		unlink(path);
	}
	rmdir(dir);
	snprintf(path, sizeof(path), "/sys/bus/usb/devices/%s", name);
	unlink(path);
}

/* The directory of a port, with root hub and hubs above it where they are missing. */
static void sys_path(struct bed_dev *dev)
{
	unsigned int bus = dev->spec.bus;
	const char *dot = dev->ports;
	char hub[48];
	int n;

	n = snprintf(dev->sys, sizeof(dev->sys), "/sys/devices/%s/usb%u", dev->controller, bus);
	snprintf(hub, sizeof(hub), "usb%u", bus);
	if (access(dev->sys, F_OK) < 0)
		sys_node(dev->sys, hub, bus, 1, 0x1d6b, 2, 0x0606);
	while ((dot = strchr(dot, '.'))) {
		snprintf(hub, sizeof(hub), "%u-%.*s", bus, (int)(dot - dev->ports), dev->ports);
		n += snprintf(dev->sys + n, sizeof(dev->sys) - (size_t)n, "/%s", hub);
		/* high numbers, so that they are in nobody's way */
		if (access(dev->sys, F_OK) < 0)
			sys_node(dev->sys, hub, bus, 120, 0x05e3, 0x0610, 0x0100);
		dot++;
	}
	snprintf(dev->name, sizeof(dev->name), "%u-%s", bus, dev->ports);
	snprintf(dev->sys + n, sizeof(dev->sys) - (size_t)n, "/%s", dev->name);
	snprintf(dev->node, sizeof(dev->node), "/dev/bus/usb/%03u/%03u", bus, dev->spec.num);
}

static void sys_make(struct bed_dev *dev)
{
	const uint8_t *desc = dev->spec.desc;
	char path[320];

	sys_node(dev->sys, dev->name, dev->spec.bus, dev->spec.num, le16(desc + 8), le16(desc + 10),
		 le16(desc + 12));
	bed_putf(dev->sys, "devpath", "%s\n", dev->ports);
	snprintf(path, sizeof(path), "%s/descriptors", dev->sys);
	bed_put(path, desc, dev->spec.desc_len);
	snprintf(path, sizeof(path), "/sys/dev/char/189:%u", minor_of(&dev->spec));
	unlink(path);
	MUST(symlink(dev->sys, path));
}

static void udev_make(struct bed_dev *dev)
{
	char name[32], path[320];

	snprintf(name, sizeof(name), "c189:%u", minor_of(&dev->spec));
	bed_putf("/run/udev/data", name, "I:%llu\nE:ID_BUS=usb\n%s%s%s%s%s%s%s%s%s%s%s%sV:1\n",
		 dev->spec.after_s * 1000000ULL + 1, dev->spec.serial ? "E:ID_SERIAL_SHORT=" : "",
		 dev->spec.serial ? dev->spec.serial : "", dev->spec.serial ? "\n" : "",
		 dev->spec.id_path ? "E:ID_PATH=" : "", dev->id_path, dev->spec.id_path ? "\n" : "",
		 dev->spec.tag ? "G:" : "", dev->tag, dev->spec.tag ? "\n" : "", dev->spec.tag ? "Q:" : "",
		 dev->tag, dev->spec.tag ? "\n" : "");
	/* its root hub, which has the first number of the bus */
	snprintf(name, sizeof(name), "c189:%u", (dev->spec.bus - 1) * 128u);
	bed_putf("/run/udev/data", name, "I:1\nV:1\n");
	if (!dev->spec.tag)
		return;
	snprintf(name, sizeof(name), "c189:%u", minor_of(&dev->spec));
	snprintf(path, sizeof(path), "/run/udev/tags/%s", dev->tag);
	bed_mkdirs(path);
	bed_putf(path, name, "%s", "");
}

static void udev_remove(struct bed_dev *dev)
{
	unsigned int minor = minor_of(&dev->spec);
	char path[320];

	snprintf(path, sizeof(path), "/sys/dev/char/189:%u", minor);
	unlink(path);
	snprintf(path, sizeof(path), "/run/udev/data/c189:%u", minor);
	unlink(path);
	snprintf(path, sizeof(path), "/run/udev/tags/%s/c189:%u", dev->tag, minor);
	if (dev->spec.tag)
		unlink(path);
}

/* ---- the node ----------------------------------------------------------------------------------- */

static void node_make(struct bed_dev *dev)
{
	struct termios raw;
	char path[64];

	MUST(openpty(&dev->master, &dev->slave, NULL, NULL, NULL));
	fcntl(dev->master, F_SETFD, FD_CLOEXEC);
	fcntl(dev->slave, F_SETFD, FD_CLOEXEC);
	tcgetattr(dev->slave, &raw);
	cfmakeraw(&raw);
	tcsetattr(dev->slave, TCSANOW, &raw);
	MUST(ioctl(dev->master, TIOCGPTN, &dev->pts));
	dev->ready = true;
	usbfs_ready(dev, false);
	snprintf(path, sizeof(path), "/dev/bus/usb/%03u", dev->spec.bus);
	bed_mkdirs(path);
	/* a mount point that nobody can open by mistake before the bind is there */
	MUST(mknod(dev->node, S_IFSOCK | 0666, 0));
	snprintf(path, sizeof(path), "/dev/pts/%d", dev->pts);
	MUST(chmod(path, 0666));
	MUST(mount(path, dev->node, NULL, MS_BIND, NULL));
}

int bed_cover(struct bed_dev *dev, const char *path)
{
	return mount(path, dev->node, NULL, MS_BIND, NULL) < 0 ? -errno : 0;
}

static uint8_t free_num(struct bed *bed, uint8_t bus)
{
	unsigned int num = bed->last_num[bus], tries, i;

	for (tries = 0; tries < 118; tries++) {
		num = num < 2 || num >= 119 ? 2 : num + 1;
		for (i = 0; i < bed->devs; i++) {
			if (!bed->dev[i]->gone && bed->dev[i]->spec.bus == bus &&
			    bed->dev[i]->spec.num == num)
				break;
		}
		if (i == bed->devs)
			return (uint8_t)num;
	}
	errno = ENOSPC;
	bed_die("device numbers of bus %u", bus);
}

struct bed_dev *bed_plug(struct bed *bed, const struct bed_spec *spec, bool uevent)
{
	struct bed_dev *dev = calloc(1, sizeof(*dev));

	if (!dev || bed->devs == BED_DEV_MAX)
		bed_die("too many devices");
	dev->bed = bed;
	dev->spec = *spec;
	if (!dev->spec.desc) {
		dev->spec.desc = bed_unisoc_desc;
		dev->spec.desc_len = bed_unisoc_desc_len;
	}
	snprintf(dev->controller, sizeof(dev->controller), "%s",
		 spec->controller ? spec->controller : "pci0000:00/0000:00:14.0");
	snprintf(dev->ports, sizeof(dev->ports), "%s", spec->ports);
	snprintf(dev->id_path, sizeof(dev->id_path), "%s", spec->id_path ? spec->id_path : "");
	snprintf(dev->tag, sizeof(dev->tag), "%s", spec->tag ? spec->tag : "");
	dev->spec.controller = dev->controller;
	dev->spec.ports = dev->ports;
	dev->spec.id_path = spec->id_path ? dev->id_path : NULL;
	dev->spec.tag = spec->tag ? dev->tag : NULL;
	if (!dev->spec.num)
		dev->spec.num = free_num(bed, spec->bus);
	bed->last_num[spec->bus] = dev->spec.num;
	usbfs_init(dev);
	sys_path(dev);
	node_make(dev);
	sys_make(dev);
	udev_make(dev);
	dev->count.plugged_ns = bed_now();
	bed->dev[bed->devs++] = dev;
	if (uevent) {
		bed_uevent(dev, "add");
		bed_uevent(dev, "bind");
	}
	return dev;
}

void bed_unplug(struct bed_dev *dev, bool uevent)
{
	if (dev->gone)
		return;
	usbfs_gone(dev);
	/* waiters on the node now see an error and a hang-up, as usbfs shows it */
	close(dev->master);
	close(dev->slave);
	while (umount2(dev->node, MNT_DETACH) == 0)
		; /* bed_cover() may lie over it */
	unlink(dev->node);
	udev_remove(dev);
	sys_remove(dev->sys, dev->name);
	if (uevent)
		bed_uevent(dev, "remove");
}

struct bed_dev *bed_replug(struct bed_dev *gone, const struct bed_model *model, void *user, bool uevent)
{
	struct bed_spec spec = gone->spec;

	gone->replaced = true;
	spec.num = 0;
	spec.model = model;
	spec.user = user;
	return bed_plug(gone->bed, &spec, uevent);
}
