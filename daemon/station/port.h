/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What can be done to a port rather than to a phone in download mode: a phone that runs is asked to start in
 * that mode, a port is reset, its power is switched. Belongs to station.h, whose rules for strings, handles
 * and threads hold.
 */
#ifndef FDLD_STATION_PORT_H
#define FDLD_STATION_PORT_H

#include "station/station.h"

struct kick_request {
	const char *way;      /* "auto", "diag", "calibration", "diag-at", "at"; NULL or "": the slot's, else
				 "auto" */
	bool interface_given; /* the port is on this one, not where phones of these numbers have it */
	uint32_t interface;
	bool expect_device_given;
	uint64_t expect_device; /* DeviceChanged unless this is in the slot */
	struct station_caller caller;
};

/*
 * Asks the running phone of this slot to start in download mode: a job of kind "kick", which has the phone in
 * download mode when it has succeeded (at once, with nothing sent, if it was there already). done() as
 * station_flash() says. Negative errno with *why: NoRunningPhone, SlotBusy, DeviceChanged, InvalidArgs,
 * Draining, LimitsExceeded, Internal. As the job's error: KickRefused, KickUnanswered, KickNoReturn,
 * UsbAccess, UsbClaimed, UsbNodeWrong, DeviceVanished, ... It can be cancelled at any time.
 */
int station_kick(struct slot *slot, const struct kick_request *request, station_job_fn done, void *user,
		 struct failure *why);
/* A word that slot_kick_by() takes: 0, or InvalidArgs. */
int slot_kick_check(const char *way, struct failure *why);
/*
 * From now on a running phone of this place is asked this way whenever a job waits for a phone there, or the
 * place is armed; "off" or "": no more. Checked before.
 */
void slot_kick_by(struct slot *slot, const char *way);

/*
 * Resets the port under the phone that is there, in whatever mode: a job of kind "port-reset". The phone
 * stays, and may answer again, or leaves and comes anew. At once: SlotEmpty, SlotBusy, Draining,
 * LimitsExceeded. As the job's error: SlotEmpty, UsbAccess, UsbNodeWrong, UsbOpenTimeout, UsbIo.
 */
int station_port_reset(struct slot *slot, const struct station_caller *caller, station_job_fn done,
		       void *user, struct failure *why);

struct port_view {
	const char *hub; /* the kernel's name of it then: "1-4", "usb1" */
	uint32_t port;	 /* its number there */
	uint16_t vendor, product;
	const char *switching; /* what the hub says it can switch: "each", "together", "none" */
	bool powered, connected;
};
/* The port of a job, as its hub says it is at the end; NULL: it has not asked a hub. */
const struct port_view *job_port(const struct job *job);
#define PORT_OFF_USEC_MAX UINT64_C(60000000)
/*
 * A job of kind "port-power". action: "status", "on", "off", "cycle" (off for off_usec, 0: two seconds; a
 * cancel ends that time). At once: InvalidArgs, NoSuchSlot (no such port now), SlotBusy, Draining,
 * LimitsExceeded. As the job's error: HubNotAllowed, HubNotSwitching, NoSuchSlot, UsbNodeWrong,
 * UsbOpenTimeout, UsbIo.
 */
int station_port_power(struct slot *slot, const char *action, uint64_t off_usec,
		       const struct station_caller *caller, station_job_fn done, void *user,
		       struct failure *why);

#endif
