/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A phone that was started as usual: a composite device with diagnosis, log and AT port, which takes the
 * request to start anew in download mode (bsl-protocol 2.6), or takes it amiss.
 */
#include "tests/phone/device.h"

#define PORTS	   3
#define LEAVE_USEC 200000u
#define AWAY_USEC  1500000u

static const uint8_t command[] = "AT+SPREF=\"AUTODLOADER\"\r\n";
#define COMMAND (sizeof(command) - 1)

void phone_runs(struct phone *p, const struct phone_running *how)
{
	p->runs = how != NULL;
	p->how = how ? *how : (struct phone_running){ 0 };
}

void ph_running_identity(struct phone *p)
{
	uint8_t device[18] = { 18, 1, 0, 2, 0, 0, 0, 64, 0x82, 0x17, 0x03, 0x4d, 0xff, 0xff, 1, 2, 3, 1 };
	uint8_t config[9] = { 9, 2, 0, 0, PORTS, 1, 0, 0xc0, 250 };
	uint8_t *at = p->descriptors + sizeof(device) + sizeof(config);

	p->usb = (struct phone_usb){ .vendor = 0x1782,
				     .product = 0x4d03,
				     .device = 0xffff,
				     .in_endpoint = 0x81,
				     .out_endpoint = 0x01,
				     .max_packet = 512,
				     .high_speed = true };
	for (uint8_t port = 0; port < PORTS; port++) {
		uint8_t interface[9] = { 9, 4, port, 0, 2, 0xff, 0, 0, 0 };

		memcpy(at, interface, sizeof(interface));
		at += sizeof(interface);
		for (int in = 1; in >= 0; in--) {
			uint8_t end[7] = { 7, 5, (uint8_t)((in ? 0x80 : 0) | (port + 1)), 2, 0, 2, 0 };

			memcpy(at, end, sizeof(end));
			at += sizeof(end);
		}
	}
	p->descriptors_length = (size_t)(at - p->descriptors);
	ph_put_le16(config + 2, (uint16_t)(p->descriptors_length - sizeof(device)));
	memcpy(p->descriptors, device, sizeof(device));
	memcpy(p->descriptors + sizeof(device), config, sizeof(config));
}

static void say(struct phone *p, const void *bytes, size_t length)
{
	ph_queue(p, p->now + ph_delay(p, 5000), PHONE_IN, bytes, length, true);
}

static void leave(struct phone *p, bool calibration)
{
	bool running = calibration || p->how.restarts;

	p->calibration = calibration;
	p->leaving = true;
	ph_leave(p, p->now + ph_delay(p, LEAVE_USEC),
		 p->how.stays_away ? PHONE_NEVER : ph_delay(p, AWAY_USEC),
		 p->how.stays_away ? PHONE_BOOTED
		 : running	   ? PHONE_RUNNING
				   : PHONE_ROM);
}

/* One frame between its flags. */
static void diag_frame(struct phone *p, const uint8_t *f, size_t length)
{
	static const uint8_t mumble[] = { 0x7e, 0, 0, 0, 0, 8, 0, 0xfe, 0xff, 0x7e };

	if (length < 8 || ph_le16(f + 4) != length)
		return;
	if (f[6] == 0xfe && f[7] == 0x82 && p->how.diag && (!p->how.calibration_first || p->calibration))
		leave(p, false);
	else if (f[6] == 0xfe && f[7] == 0x81 && p->how.calibration_first)
		leave(p, true);
	else if (f[6] == 0x68 && p->how.diag_at && length == 8 + COMMAND && !memcmp(f + 8, command, COMMAND))
		leave(p, false);
	else if (p->how.mumbles)
		say(p, mumble, sizeof(mumble));
}

static void diag_bytes(struct phone *p, const uint8_t *data, size_t length)
{
	if (length >= 2 && data[0] == 0x7e && data[length - 1] == 0x7e)
		diag_frame(p, data + 1, length - 2);
}

static void at_bytes(struct phone *p, const uint8_t *data, size_t length)
{
	static const char ok[] = "\r\nOK\r\n", error[] = "\r\n+CME ERROR: 3\r\n";

	if (length != COMMAND || memcmp(data, command, COMMAND) != 0)
		return;
	if (p->how.says_error) {
		say(p, error, sizeof(error) - 1);
	} else if (p->how.at) {
		say(p, ok, sizeof(ok) - 1);
		leave(p, false);
	}
}

enum phone_taken phone_port_out(struct phone *p, uint64_t now, uint8_t endpoint, const void *data,
				size_t length)
{
	ph_advance(p, now);
	if (!p->present)
		return PHONE_GONE;
	if (p->how.reads_nothing)
		return PHONE_NAK;
	p->counters.transfers_in++;
	p->counters.bytes_in += length;
	if (p->leaving)
		return PHONE_TAKEN;
	if (endpoint == 1)
		diag_bytes(p, data, length);
	else if (endpoint == 3)
		at_bytes(p, data, length);
	return PHONE_TAKEN;
}
