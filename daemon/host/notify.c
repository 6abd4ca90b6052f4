/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/notify.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "loop/loop.h"

static char last_status[201];
static enum { STARTING, RUNNING, RELOADING, STOPPING } state;

void host_notify_ready(void)
{
	(void)sd_notify(0, "READY=1");
	state = RUNNING;
}

void host_notify_reloading(void)
{
	if (state != RUNNING)
		return;
	/* the time is asked for by managers since 253, to tell this from an earlier one; others pass over it
	 */
	(void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)loop_now());
	state = RELOADING;
}

void host_notify_reloaded(void)
{
	if (state == RELOADING)
		host_notify_ready();
}

void host_notify_status(const char *fmt, ...)
{
	char text[sizeof(last_status)];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0 || !strcmp(text, last_status))
		return;
	memcpy(last_status, text, sizeof(last_status));
	(void)sd_notifyf(0, "STATUS=%s", text);
}

void host_notify_stopping(void)
{
	(void)sd_notify(0, "STOPPING=1");
	state = STOPPING;
}

void host_notify_extend(uint64_t usec)
{
	(void)sd_notifyf(0, "EXTEND_TIMEOUT_USEC=%llu", (unsigned long long)usec);
}

void host_notify_failed(const struct failure *why)
{
	char text[512];

	(void)sd_notifyf(0, "STATUS=%s\nERRNO=%d", failure_text(why, text, sizeof(text)),
			 error_entry(why->error)->err);
}

void host_notify_alive(void)
{
	(void)sd_notify(0, "WATCHDOG=1");
}
