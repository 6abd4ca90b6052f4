/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the benchmarks share: a bed with the daemon on it, phones without latencies of their own, a package.
 */
#ifndef FDLD_TESTS_BENCH_STATION_H
#define FDLD_TESTS_BENCH_STATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "tests/bed/phone_usb.h"
#include "tests/compose/compose.h"

#define STATION_PROFILE "sc9863a"
#define STATION_PACKAGE "/run/bench.pac"
#define STATION_PHONES	32u

struct bench_station {
	struct bed *bed;
	const char *build; /* folder of fdld and fdlctl */
	pid_t daemon;	   /* 0: none */
	size_t phones;
	struct phone *phone[STATION_PHONES];
	struct bed_phone *bp[STATION_PHONES];
};

/* A bed with a bus and 64 MiB of usbfs memory; the phones on ports 1.. are not plugged. trace: called for
 * each frame. */
void station_open(struct bench_station *s, const char *build, size_t phones,
		  void (*trace)(void *arg, const struct phone_trace *frame), void *const trace_arg[]);
/* Ends everything. */
void station_close(struct bench_station *s);
/* Starts fdld on an empty state directory; false: it is not ready after 10 s. */
bool station_daemon(struct bench_station *s);
/* All cables in; with the daemon up: waits until it shows every slot as ready. */
bool station_plug(struct bench_station *s);

/*
 * The emulated phones and the loop that talks to them take turns, so they get one processor, whichever loop
 * it is; what else the daemon runs gets the others, as on a machine that has some to spare. Without this it
 * is left to the scheduler whom a woken thread stands in the way of, and that is what would be measured.
 */
unsigned int station_processors(void);		     /* before anything else; the number of those others */
void station_threads_aside(struct bench_station *s); /* those that are there by now */
/* sh -c in the bed, `fdlctl` on PATH; stdout in out. Exit code, or -1 after timeout_ms. */
int station_sh(struct bench_station *s, int timeout_ms, char *out, size_t cap, const char *command);

/* The package of this spec at STATION_PACKAGE, with the loaders of the phones. False: it could not be made.
 */
bool station_package(struct compose_spec *spec);

#endif
