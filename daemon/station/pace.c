/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "station/pace.h"

/* Everything short of a success stays below 1. */
#define FRACTION_CAP 0.999

void pace_update(struct pace *p, uint64_t now, uint64_t done, uint64_t total)
{
	p->done = done;
	p->total = total;
	if (total) {
		double f = done >= total ? FRACTION_CAP : (double)done / (double)total;

		if (f > FRACTION_CAP)
			f = FRACTION_CAP;
		if (f > p->fraction)
			p->fraction = f;
	}

	unsigned int last = (p->count + PACE_SAMPLES - 1) % PACE_SAMPLES;

	if (p->count && (now < p->sample[last].at + PACE_STEP))
		return;
	p->sample[p->count % PACE_SAMPLES].at = now;
	p->sample[p->count % PACE_SAMPLES].done = done;
	p->count++;
}

void pace_finish(struct pace *p, bool success)
{
	if (success)
		p->fraction = 1;
}

uint64_t pace_rate(const struct pace *p, uint64_t now)
{
	unsigned int oldest = p->count <= PACE_SAMPLES ? 0 : p->count % PACE_SAMPLES;

	if (p->count < 2 || now <= p->sample[oldest].at || p->done < p->sample[oldest].done)
		return 0;
	return (uint64_t)((double)(p->done - p->sample[oldest].done) * 1e6 /
			  (double)(now - p->sample[oldest].at));
}

uint64_t pace_eta(const struct pace *p, uint64_t now)
{
	uint64_t rate = pace_rate(p, now);

	if (p->count < PACE_ETA_FROM || !rate || p->total < p->done)
		return UINT64_MAX;
	return (uint64_t)((double)(p->total - p->done) * 1e6 / (double)rate);
}
