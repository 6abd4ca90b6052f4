/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How far, how fast, how long still: a fraction that never falls and is 1 only with a success, a rate over a
 * sliding window, an estimate once five samples are there. Pure: the caller tells the time. usec are
 * monotonic, sizes bytes.
 */
#ifndef FDLD_STATION_PACE_H
#define FDLD_STATION_PACE_H

#include <stdbool.h>
#include <stdint.h>

#define PACE_SAMPLES  24
#define PACE_STEP     250000u /* usec between two samples */
#define PACE_ETA_FROM 5	      /* samples */

struct pace {
	uint64_t done, total;
	double fraction;
	unsigned int count; /* samples ever taken */
	struct {
		uint64_t at, done;
	} sample[PACE_SAMPLES];
};

void pace_update(struct pace *p, uint64_t now, uint64_t done, uint64_t total);
void pace_finish(struct pace *p, bool success);
uint64_t pace_rate(const struct pace *p, uint64_t now); /* bytes/s, 0 unknown */
uint64_t pace_eta(const struct pace *p, uint64_t now);	/* usec, UINT64_MAX unknown */

#endif
