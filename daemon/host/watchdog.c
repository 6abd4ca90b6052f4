/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/watchdog.h"

#include <errno.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>

#include "host/notify.h"

struct host_watchdog {
	struct loop_timer *timer;
	uint64_t period; /* usec */
};

static void on_time(void *arg)
{
	struct host_watchdog *dog = arg;

	host_notify_alive();
	(void)loop_timer_after(dog->timer, dog->period);
}

int host_watchdog_new(struct loop *loop, struct host_watchdog **out)
{
	struct host_watchdog *dog;
	uint64_t usec = 0;

	*out = NULL;
	if (sd_watchdog_enabled(0, &usec) <= 0 || !usec)
		return 0;
	dog = calloc(1, sizeof(*dog));
	if (!dog)
		return -ENOMEM;
	dog->period = usec / 2;
	dog->timer = loop_timer_new(loop, on_time, dog);
	if (!dog->timer || loop_timer_after(dog->timer, 0) < 0) {
		host_watchdog_free(dog);
		return -ENOMEM;
	}
	*out = dog;
	return 0;
}

void host_watchdog_free(struct host_watchdog *dog)
{
	if (!dog)
		return;
	loop_timer_free(dog->timer);
	free(dog);
}
