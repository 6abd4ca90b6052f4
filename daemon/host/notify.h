/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the service manager is told: READY, STATUS, STOPPING, and the time that the end still needs. Without
 * NOTIFY_SOCKET every call does nothing. Belongs to the loop's thread; nothing here blocks.
 */
#ifndef FDLD_HOST_NOTIFY_H
#define FDLD_HOST_NOTIFY_H

#include <stdint.h>

#include "common/error.h"

/* Once: the name is owned and what is plugged in is known. */
void host_notify_ready(void);
/* The configuration is read anew, and that is over. Neither is told before READY or after STOPPING. */
void host_notify_reloading(void);
void host_notify_reloaded(void);
/* One line for `systemctl status`; sent only when it differs from the last one. At most 200 bytes are kept.
 */
void host_notify_status(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The daemon has begun to end. */
void host_notify_stopping(void);
/* The end needs this much more, counted from now; call again before that time is over. */
void host_notify_extend(uint64_t usec);
/* A start that failed: errno and STATUS, so that the manager shows why. */
void host_notify_failed(const struct failure *why);
/* WATCHDOG=1; only host/watchdog.c calls it, from the loop. */
void host_notify_alive(void);

#endif
