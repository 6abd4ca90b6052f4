/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * udev/70-fdld.rules under the real udevadm, among the machine's own rules: what a phone in download mode
 * gets, that its neighbours in the vendor's numbers get nothing, and that the daemon finds a phone by it.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/bed/bed.h"
#include "tests/bus/rig.h"

#define GROUP_ID  "64995"
#define ID_PATH	  "pci-0000:00:14.0-usb-0:4.3"
#define SLOT_PATH "pci_2d0000_3a00_3a14_2e0_2dusb_2d0_3a4_2e3"

static char out[1 << 16];

static bool sh(struct rig *rig, const char *command)
{
	return bed_sh(rig->bed, 20000, out, sizeof(out), command) == 0;
}

/* The rule where udev looks first, and a group of that name, whatever the machine has. */
static bool install_rule(struct rig *rig)
{
	return sh(rig, "mkdir -p /run/udev/rules.d && cp udev/70-fdld.rules /run/udev/rules.d/ && "
		       "{ grep -v '^fdld:' /etc/group; echo fdld:x:" GROUP_ID ":; } >/run/group && "
		       "mount --bind /run/group /etc/group");
}

static void put(const char *dir, const char *file, const char *text)
{
	char path[400];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	f = fopen(path, "w");
	if (!f || fputs(text, f) < 0 || fclose(f))
		exit(99);
}

/* A device of the bed with power/control, as sysfs has it. */
static struct bed_dev *plug(struct rig *rig, const uint8_t *desc)
{
	struct bed_spec spec = { .bus = 1, .ports = "4.3", .desc = desc, .desc_len = bed_unisoc_desc_len };
	struct bed_dev *dev = bed_plug(rig->bed, &spec, false);
	char dir[400];

	snprintf(dir, sizeof(dir), "%s/power", bed_syspath(dev));
	mkdir(dir, 0755);
	put(dir, "control", "auto\n");
	return dev;
}

static void unplug(struct bed_dev *dev)
{
	char path[400];

	snprintf(path, sizeof(path), "%s/power/control", bed_syspath(dev));
	unlink(path);
	snprintf(path, sizeof(path), "%s/power", bed_syspath(dev));
	rmdir(path);
	bed_unplug(dev, false);
}

static bool udevadm(struct rig *rig, const char *action, const char *syspath)
{
	char command[600];

	snprintf(command, sizeof(command), "udevadm test --action=%s %s 2>&1", action,
		 syspath + strlen("/sys"));
	return sh(rig, command);
}

/* A whole line of the output. */
static bool has_line(const char *line)
{
	size_t len = strlen(line);

	for (const char *p = out; (p = strstr(p, line)); p += len)
		if ((p == out || p[-1] == '\n') && (p[len] == '\n' || !p[len]))
			return true;
	tap_note("no line %s", line);
	return false;
}

/* Their order is not fixed. */
static bool has_tags(void)
{
	const char *line = strstr(out, "\nCURRENT_TAGS=:");
	char *end = line ? strchr(line + 1, '\n') : NULL;
	const char *tag, *systemd;

	if (!end)
		return false;
	tag = strstr(line, ":fdld:");
	systemd = strstr(line, ":systemd:");
	return tag && tag < end && systemd && systemd < end;
}

/* The last of the rules' assignments "... KEY value" is the one that counts. */
static bool last_is(const char *key, const char *value)
{
	char text[32], *last = NULL;

	snprintf(text, sizeof(text), " %s ", key);
	for (char *p = out; (p = strstr(p, text)); p++)
		last = p + strlen(text);
	if (last && !strncmp(last, value, strlen(value)) && last[strlen(value)] == '\n')
		return true;
	tap_note("%s is not %s but %.10s", key, value, last ? last : "not set");
	return false;
}

static bool control_is(struct bed_dev *dev, const char *text)
{
	char path[400], is[32] = "";
	FILE *f;

	snprintf(path, sizeof(path), "%s/power/control", bed_syspath(dev));
	f = fopen(path, "r");
	if (f && !fgets(is, sizeof(is), f))
		is[0] = '\0';
	if (f)
		fclose(f);
	return !strncmp(is, text, strlen(text));
}

/* What path_id goes by: the controller as a PCI function. */
static void make_controller(void)
{
	const char *dir = "/sys/devices/pci0000:00/0000:00:14.0";
	char path[400];

	mkdir("/sys/bus/pci", 0755);
	mkdir("/sys/bus/pci/devices", 0755);
	put(dir, "uevent", "PCI_CLASS=C0330\n");
	snprintf(path, sizeof(path), "%s/subsystem", dir);
	unlink(path); /* of an earlier test */
	if (symlink("/sys/bus/pci", path) < 0)
		exit(99);
}

/* A serial port made of the phone's interface, as usb-serial makes one. */
static void make_tty(struct bed_dev *dev, char *tty, size_t room)
{
	char path[400];

	snprintf(path, sizeof(path), "%s/1-4.3:1.0", bed_syspath(dev));
	mkdir(path, 0755);
	put(path, "uevent", "DEVTYPE=usb_interface\nPRODUCT=1782/4d00/ffff\n");
	snprintf(path, sizeof(path), "%s/1-4.3:1.0/subsystem", bed_syspath(dev));
	unlink(path); /* of an earlier test */
	if (symlink("/sys/bus/usb", path) < 0)
		exit(99);
	snprintf(path, sizeof(path), "%s/1-4.3:1.0/ttyUSB0", bed_syspath(dev));
	mkdir(path, 0755);
	snprintf(tty, room, "%s/tty", path);
	mkdir(tty, 0755);
	snprintf(tty, room, "%s/tty/ttyUSB0", path);
	mkdir(tty, 0755);
	put(tty, "uevent", "MAJOR=188\nMINOR=0\nDEVNAME=ttyUSB0\n");
	put(tty, "dev", "188:0\n");
	mkdir("/sys/class/tty", 0755);
	snprintf(path, sizeof(path), "%s/subsystem", tty);
	unlink(path);
	if (symlink("/sys/class/tty", path) < 0)
		exit(99);
}

static void a_phone_gets_all(struct rig *rig)
{
	struct bed_dev *dev;

	CHECK(install_rule(rig));
	dev = plug(rig, NULL);
	make_controller();
	CHECK(udevadm(rig, "add", bed_syspath(dev)));
	CHECK(has_tags());
	CHECK(has_line("SYSTEMD_WANTS=fdld.service"));
	CHECK(has_line("ID_MM_DEVICE_IGNORE=1"));
	CHECK(has_line("ID_PATH=" ID_PATH));
	CHECK(last_is("GROUP", GROUP_ID));
	CHECK(last_is("MODE", "0660"));
	CHECK(control_is(dev, "on"));
	/* of the later events too, or the tag would not be a current one */
	CHECK(udevadm(rig, "bind", bed_syspath(dev)));
	CHECK(has_tags());
}

static void a_port_made_of_it_is_left_alone(struct rig *rig)
{
	struct bed_dev *dev;
	char tty[300];

	CHECK(install_rule(rig));
	dev = plug(rig, NULL);
	make_tty(dev, tty, sizeof(tty));
	CHECK(udevadm(rig, "add", tty));
	CHECK(has_line("ID_MM_DEVICE_IGNORE=1"));
	CHECK(has_line("ID_MM_PORT_IGNORE=1"));
	CHECK(!strstr(out, "fdld:") && !strstr(out, "SYSTEMD_WANTS"));
}

/* The interface of the phone as a driver has it; the driver's file takes what is written. */
static void make_driver(const char *interface, const char *driver)
{
	char dir[200], path[400];

	snprintf(dir, sizeof(dir), "/sys/bus/usb/drivers/%s", driver);
	mkdir("/sys/bus/usb/drivers", 0755);
	mkdir(dir, 0755);
	put(dir, "unbind", "");
	snprintf(path, sizeof(path), "%s/driver", interface);
	unlink(path);
	if (symlink(dir, path) < 0)
		exit(99);
}

static bool let_go(const char *driver, const char *text)
{
	char path[200], is[64] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/sys/bus/usb/drivers/%s/unbind", driver);
	f = fopen(path, "r");
	if (f && !fgets(is, sizeof(is), f))
		is[0] = '\0';
	if (f)
		fclose(f);
	is[strcspn(is, "\n")] = '\0';
	if (!strcmp(is, text))
		return true;
	tap_note("%s was told '%s'", driver, is);
	return false;
}

static void serial_drivers_let_go(struct rig *rig)
{
	static const char *const taught[] = { "option", "usbserial_generic" };
	char tty[300], interface[300];
	struct bed_dev *dev;

	CHECK(install_rule(rig));
	dev = plug(rig, NULL);
	make_tty(dev, tty, sizeof(tty));
	snprintf(interface, sizeof(interface), "%s/1-4.3:1.0", bed_syspath(dev));
	for (unsigned int i = 0; i < 2; i++) {
		make_driver(interface, taught[i]);
		CHECK(udevadm(rig, "bind", interface));
		CHECK(let_go(taught[i], "1-4.3:1.0"));
		make_driver(interface, taught[i]);
		CHECK(udevadm(rig, "unbind", interface));
		CHECK(let_go(taught[i], ""));
	}
	/* we ourselves, when we have claimed it, and who belongs there */
	make_driver(interface, "usbfs");
	CHECK(udevadm(rig, "bind", interface));
	CHECK(let_go("usbfs", "") && let_go("option", "") && let_go("usbserial_generic", ""));
}

/* The modems of the vendor keep their driver. */
static void modems_keep_their_driver(struct rig *rig)
{
	static uint8_t desc[256];
	char tty[300], interface[300];
	struct bed_dev *dev;

	memcpy(desc, bed_unisoc_desc, bed_unisoc_desc_len);
	desc[10] = 0x01;
	CHECK(install_rule(rig));
	dev = plug(rig, desc);
	make_tty(dev, tty, sizeof(tty));
	snprintf(interface, sizeof(interface), "%s/1-4.3:1.0", bed_syspath(dev));
	make_driver(interface, "option");
	CHECK(udevadm(rig, "bind", interface));
	CHECK(let_go("option", ""));
}

/* Its node is ours to open, and nothing else changes for it. */
static void a_running_phone_gets_its_node(struct rig *rig)
{
	static uint8_t desc[256];
	struct bed_dev *dev;

	memcpy(desc, bed_unisoc_desc, bed_unisoc_desc_len);
	desc[10] = 0x03;
	CHECK(install_rule(rig));
	dev = plug(rig, desc);
	make_controller();
	CHECK(udevadm(rig, "add", bed_syspath(dev)));
	CHECK(has_line("ID_PATH=" ID_PATH) && strstr(out, "TAGS=:fdld"));
	CHECK(last_is("GROUP", GROUP_ID) && last_is("MODE", "0660"));
	CHECK(!strstr(out, "SYSTEMD_WANTS") && !strstr(out, "ID_MM_") && control_is(dev, "auto"));
}

/* The line for hubs: nothing as it comes; and once it is said, those hubs and no other device. */
static void hubs_only_if_said(struct rig *rig)
{
	static uint8_t desc[256];
	struct bed_dev *dev;

	memcpy(desc, bed_unisoc_desc, bed_unisoc_desc_len);
	memcpy(desc + 8, (const uint8_t[]){ 0xe3, 0x05, 0x10, 0x06 }, 4);
	CHECK(install_rule(rig));
	dev = plug(rig, desc);
	put(bed_syspath(dev), "bDeviceClass", "09\n");
	CHECK(udevadm(rig, "add", bed_syspath(dev)));
	CHECK(!strstr(out, " GROUP "));
	CHECK(sh(
		rig,
		"sed -n 's/^#\\(.*bDeviceClass.*\\)/\\1/p' udev/70-fdld.rules >/run/udev/rules.d/71-hubs.rules && "
		"test -s /run/udev/rules.d/71-hubs.rules"));
	CHECK(udevadm(rig, "add", bed_syspath(dev)));
	CHECK(last_is("GROUP", GROUP_ID) && last_is("MODE", "0660"));
	CHECK(!strstr(out, "TAGS=:fdld") && !strstr(out, "SYSTEMD_WANTS"));
	put(bed_syspath(dev), "bDeviceClass", "00\n");
	CHECK(udevadm(rig, "add", bed_syspath(dev)));
	CHECK(!strstr(out, " GROUP "));
	unlink("/run/udev/rules.d/71-hubs.rules");
}

static void neighbours_get_nothing(struct rig *rig)
{
	/* a modem of the vendor, and another vendor with the same product number */
	static const uint8_t id[][4] = { { 0x82, 0x17, 0x01, 0x4d }, { 0x83, 0x17, 0x00, 0x4d } };

	CHECK(install_rule(rig));
	for (unsigned int i = 0; i < 2; i++) {
		static uint8_t desc[2][256];
		struct bed_dev *dev;

		memcpy(desc[i], bed_unisoc_desc, bed_unisoc_desc_len);
		memcpy(desc[i] + 8, id[i], sizeof(id[i]));
		dev = plug(rig, desc[i]);
		CHECK(udevadm(rig, "add", bed_syspath(dev)));
		CHECK(!strstr(out, "TAGS=:fdld") && !strstr(out, "SYSTEMD_WANTS") && !strstr(out, "ID_MM_"));
		CHECK(!strstr(out, " GROUP "));
		CHECK(control_is(dev, "auto"));
		unplug(dev);
	}
}

static void nothing_is_set_when_it_leaves(struct rig *rig)
{
	struct bed_dev *dev;

	CHECK(install_rule(rig));
	dev = plug(rig, NULL);
	CHECK(udevadm(rig, "remove", bed_syspath(dev)));
	CHECK(!strstr(out, " GROUP " GROUP_ID) && control_is(dev, "auto"));
}

/* The database that udevadm has just written is what the daemon reads: tag and name of the port. */
static void the_daemon_finds_it(struct rig *rig)
{
	char tag[] = "--udev-tag=fdld";
	char *more[] = { tag, NULL };
	struct bed_spec bare = { .bus = 1, .ports = "2" };
	struct bed_dev *dev;

	CHECK(install_rule(rig));
	dev = plug(rig, NULL);
	bed_plug(rig->bed, &bare, false); /* no rule was run for this one */
	make_controller();
	CHECK(udevadm(rig, "add", bed_syspath(dev)));
	CHECK(rig_up(rig, more));
	CHECK(rig_expect(rig, 3000, ROOT "/device/1", DEVICE, "Slot", ROOT "/slot/" SLOT_PATH));
	CHECK(!strcmp(rig_get(rig, ROOT "/device/2", DEVICE, "Slot"), "?"));
	CHECK(rig_down(rig, SIGTERM, 5000) == 0);
}

#define T(x)          \
	{             \
#x, x \
	}
static const struct rig_test tests[] = {
	T(a_phone_gets_all),	     T(a_port_made_of_it_is_left_alone), T(serial_drivers_let_go),
	T(modems_keep_their_driver), T(a_running_phone_gets_its_node),	 T(hubs_only_if_said),
	T(neighbours_get_nothing),   T(nothing_is_set_when_it_leaves),	 T(the_daemon_finds_it)
};

int main(void)
{
	return rig_run(tests, sizeof(tests) / sizeof(tests[0]));
}
