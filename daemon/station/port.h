/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What can be done to a port rather than to a phone in download mode: a phone that runs is asked to start in
 * that mode. Belongs to station.h, whose rules for strings, handles and threads hold.
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

typedef void (*station_device_fn)(void *user, struct device *device, const struct failure *why);
/*
 * Asks the running phone of this slot to start in download mode. 0: done() is called once, never from within,
 * with the phone in download mode, or NULL and why (KickRefused, KickUnanswered, KickNoReturn, UsbAccess,
 * UsbClaimed, UsbNodeWrong, DeviceVanished, ...). 1: there is one in download mode already, done() is not
 * called. Negative errno with *why: NoRunningPhone, SlotBusy, DeviceChanged, InvalidArgs, Draining, Internal.
 */
int station_kick(struct slot *slot, const struct kick_request *request, station_device_fn done, void *user,
		 struct failure *why);
/* A word that slot_kick_by() takes: 0, or InvalidArgs. */
int slot_kick_check(const char *way, struct failure *why);
/*
 * From now on a running phone of this place is asked this way whenever a job waits for a phone there, or the
 * place is armed; "off" or "": no more. Checked before.
 */
void slot_kick_by(struct slot *slot, const char *way);

#endif
