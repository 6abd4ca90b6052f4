/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The daemon beside its transfers: memory with a package of more than 4 GiB on 16 phones, wake-ups while
 * nothing happens, and the time from the event of a phone that is waited for to its first transfer.
 *
 * usage: bench_station BUILDDIR [--phones N] [--seconds S]
 */
#include <dirent.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/station.h"

#define HUGE	 (UINT64_C(4098) << 20) /* fits the 4100 MiB of the phone's system partition */
#define ARRIVALS 15u
#define MOVED	 (UINT64_C(64) << 20) /* bytes each phone has taken when memory is looked at */

/* A number of /proc/PID/status, in its unit; 0: not there. */
static uint64_t status_number(const char *path, const char *name)
{
	char line[256];
	uint64_t value = 0;
	FILE *f = fopen(path, "r");

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, name, strlen(name)))
			value = strtoull(line + strlen(name), NULL, 10);
	if (f)
		fclose(f);
	return value;
}

/* Sleeps that every thread of the daemon has ended so far. */
static uint64_t wake_ups(pid_t pid)
{
	char path[288];
	uint64_t sum = 0;
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%s/status", pid, entry->d_name);
		sum += status_number(path, "voluntary_ctxt_switches:");
	}
	if (dir)
		closedir(dir);
	return sum;
}

static uint64_t peak_kib(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	return status_number(path, "VmHWM:");
}

/* ---- memory -------------------------------------------------------------------------------------------- */

static uint64_t moved[STATION_PHONES];

static void on_frame(void *arg, const struct phone_trace *frame)
{
	if (frame->direction == PHONE_TO_PHONE)
		*(uint64_t *)arg += frame->size;
}

static bool all_moved(void *arg)
{
	const struct bench_station *s = arg;

	for (size_t i = 0; i < s->phones; i++)
		if (moved[i] < MOVED)
			return false;
	return true;
}

static bool memory(const char *build, size_t phones)
{
	struct compose_spec spec = { .seed = 5, .huge = HUGE };
	struct bench_station s;
	void *args[STATION_PHONES];
	char out[4096];
	bool good;

	memset(moved, 0, sizeof(moved));
	for (size_t i = 0; i < phones; i++)
		args[i] = &moved[i];
	if (!station_package(&spec))
		return false;
	station_open(&s, build, phones, on_frame, args);
	good = station_daemon(&s) && station_plug(&s) &&
	       station_sh(&s, 60000, out, sizeof(out),
			  "fdlctl flash --all --detach --entry System " STATION_PACKAGE " 2>&1") == 0 &&
	       bed_run(s.bed, 90000, all_moved, &s);
	if (good)
		printf("peak memory of fdld, %zu phones, a package of %.1f GiB: %.1f MiB resident (goal below 64)\n",
		       phones, (double)HUGE / (1 << 30), (double)peak_kib(s.daemon) / 1024);
	else
		fprintf(stderr, "bench: the large package did not get under way: %s\n", out);
	kill(s.daemon, SIGKILL); /* in the middle of it: there is nothing to wait for */
	station_close(&s);
	return good;
}

/* ---- idle -----------------------------------------------------------------------------------------------
 */

static bool idle(const char *build, size_t phones, unsigned int seconds)
{
	struct bench_station s;
	uint64_t before;
	bool good;

	station_open(&s, build, phones, NULL, NULL);
	good = station_daemon(&s) && station_plug(&s);
	if (good) {
		bed_run(s.bed, 2000, NULL, NULL); /* what the arrivals and the client have left behind */
		before = wake_ups(s.daemon);
		bed_run(s.bed, (int)seconds * 1000, NULL, NULL);
		printf("wake-ups of fdld in %u s with %zu idle phones: %" PRIu64
		       " (goal 0 without a watchdog)\n",
		       seconds, phones, wake_ups(s.daemon) - before);
	}
	station_close(&s);
	return good;
}

/* ---- the first transfer ----------------------------------------------------------------------------------
 */

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* One arrival that a job waits for; UINT64_MAX: it did not work out. */
static uint64_t one_arrival(const char *build)
{
	struct bench_station s;
	uint64_t usec = UINT64_MAX;
	char out[4096];

	station_open(&s, build, 1, NULL, NULL);
	if (station_daemon(&s) &&
	    station_sh(&s, 30000, out, sizeof(out),
		       "fdlctl flash --detach --end stay " STATION_PACKAGE " 2>&1") == 0) {
		bed_phone_plug(s.bp[0], true);
		bed_run(s.bed, 300, NULL, NULL);
		if (station_sh(
			    &s, 10000, out, sizeof(out),
			    "busctl get-property org.fdld1 /org/fdld1/device/1 org.fdld1.Device FirstTransferUsec") ==
		    0)
			sscanf(out, "t %" SCNu64, &usec);
	}
	station_close(&s);
	return usec;
}

static bool arrivals(const char *build)
{
	struct compose_spec spec = { .seed = 6 };
	uint64_t usec[ARRIVALS];

	if (!station_package(&spec))
		return false;
	for (unsigned int i = 0; i < ARRIVALS; i++) {
		usec[i] = one_arrival(build);
		if (usec[i] == UINT64_MAX) {
			fprintf(stderr, "bench: no first transfer\n");
			return false;
		}
	}
	qsort(usec, ARRIVALS, sizeof(usec[0]), by_value);
	printf("from the event of a phone that is waited for to its first transfer, %u times: %.1f ms in the middle, "
	       "%.1f ms at worst (goal at most 20)\n",
	       ARRIVALS, (double)usec[ARRIVALS / 2] / 1000, (double)usec[ARRIVALS - 1] / 1000);
	return true;
}

int main(int argc, char **argv)
{
	unsigned long phones = 16, seconds = 10;
	bool good;

	if (argc < 2) {
		fprintf(stderr, "usage: %s BUILDDIR [--phones N] [--seconds S]\n", argv[0]);
		return 2;
	}
	for (int i = 2; i + 1 < argc; i += 2) {
		unsigned long v = strtoul(argv[i + 1], NULL, 10);

		if (!strcmp(argv[i], "--phones") && v && v <= STATION_PHONES)
			phones = v;
		else if (!strcmp(argv[i], "--seconds") && v && v <= 600)
			seconds = v;
	}
	bed_enter();
	good = arrivals(argv[1]);
	fflush(stdout);
	good &= idle(argv[1], phones, (unsigned int)seconds);
	fflush(stdout);
	good &= memory(argv[1], phones);
	return good ? 0 : 1;
}
