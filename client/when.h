/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Points of time as people write them: "2026-11-21", "2026-11-21 07:30[:15]", "07:30" (today), "today",
 * "yesterday", "now", "2h" or "-2h" (ago; us ms s min h d w, put together), "@1700000000" (seconds since
 * 1970). Local time.
 */
#ifndef FDLD_CLIENT_WHEN_H
#define FDLD_CLIENT_WHEN_H

#include <stdbool.h>
#include <stdint.h>

/* now and *out: usec since 1970. False: not understood. */
bool when_parse(const char *text, uint64_t now, uint64_t *out);
uint64_t when_now(void);

#endif
