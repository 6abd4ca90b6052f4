/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/bench/station.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/phone/loader.h"

static _Noreturn void die(const char *what, const char *why)
{
	fprintf(stderr, "bench: %s: %s\n", what, why);
	exit(1);
}

void station_open(struct bench_station *s, const char *build, size_t phones,
		  void (*trace)(void *arg, const struct phone_trace *frame), void *const trace_arg[])
{
	char ports[8];

	memset(s, 0, sizeof(*s));
	s->build = build;
	s->phones = phones;
	s->bed = bed_new();
	bed_bus(s->bed, NULL, NULL);
	bed_set_memory(s->bed, 64u << 20);
	for (size_t i = 0; i < phones; i++) {
		struct bed_spec where = { .bus = 1, .ports = ports };
		struct phone_setup setup = { .seed = i + 1,
					     .time_percent = PHONE_INSTANT,
					     .trace = trace,
					     .trace_arg = trace ? trace_arg[i] : NULL };
		const char *why = NULL;

		snprintf(ports, sizeof(ports), "%zu", i + 1);
		s->phone[i] = phone_new(phone_profile_by_name(STATION_PROFILE), &setup, &why);
		if (!s->phone[i])
			die("no phone", why ? why : "no memory");
		s->bp[i] = bed_phone_new(s->bed, s->phone[i], &where, 1);
	}
}

void station_close(struct bench_station *s)
{
	if (s->daemon) {
		kill(s->daemon, SIGTERM);
		if (bed_wait(s->bed, s->daemon, 10000) < 0) {
			kill(s->daemon, SIGKILL);
			bed_wait(s->bed, s->daemon, 10000);
		}
	}
	bed_free(s->bed);
	for (size_t i = 0; i < s->phones; i++) {
		bed_phone_free(s->bp[i]);
		phone_free(s->phone[i]);
	}
}

bool station_daemon(struct bench_station *s)
{
	char program[PATH_MAX], out[64];
	char *argv[] = { program, (char *)"--state-dir=/run/bench-state",
			 (char *)"--runtime-dir=/run/bench-runtime", NULL };

	station_sh(
		s, 10000, out, sizeof(out),
		"rm -rf /run/bench-state /run/bench-runtime; mkdir -m 700 /run/bench-state /run/bench-runtime");
	snprintf(program, sizeof(program), "%s/fdld", s->build);
	s->daemon = bed_spawn(s->bed, argv, NULL, "/run/bench.log");
	return bed_ready(s->bed, 10000);
}

bool station_plug(struct bench_station *s)
{
	char out[64];

	for (size_t i = 0; i < s->phones; i++)
		bed_phone_plug(s->bp[i], s->daemon != 0);
	for (int tries = 0; s->daemon && tries < 100; tries++) {
		if (station_sh(s, 10000, out, sizeof(out), "fdlctl list | grep -c ' ready '") == 0 &&
		    strtoul(out, NULL, 10) == s->phones)
			return true;
		bed_run(s->bed, 50, NULL, NULL);
	}
	return !s->daemon;
}

static cpu_set_t others;

unsigned int station_processors(void)
{
	cpu_set_t one;
	int first = 0;

	if (sched_getaffinity(0, sizeof(others), &others) < 0 || CPU_COUNT(&others) < 2) {
		CPU_ZERO(&others);
		return 0;
	}
	while (!CPU_ISSET(first, &others))
		first++;
	CPU_CLR(first, &others);
	CPU_ZERO(&one);
	CPU_SET(first, &one);
	if (sched_setaffinity(0, sizeof(one), &one) < 0)
		die("sched_setaffinity", strerror(errno));
	return (unsigned int)CPU_COUNT(&others);
}

void station_threads_aside(struct bench_station *s)
{
	char path[48];
	struct dirent *entry;
	DIR *threads;

	if (!s->daemon || !CPU_COUNT(&others))
		return;
	snprintf(path, sizeof(path), "/proc/%d/task", (int)s->daemon);
	threads = opendir(path);
	if (!threads)
		die(path, strerror(errno));
	while ((entry = readdir(threads))) {
		pid_t id = (pid_t)strtol(entry->d_name, NULL, 10);

		if (id > 0 && id != s->daemon)
			(void)sched_setaffinity(id, sizeof(others), &others); /* it may have ended */
	}
	closedir(threads);
}

int station_sh(struct bench_station *s, int timeout_ms, char *out, size_t cap, const char *command)
{
	char full[PATH_MAX], line[PATH_MAX + 512];
	int status;

	if (!realpath(s->build, full))
		die(s->build, strerror(errno));
	snprintf(line, sizeof(line), "PATH=%s:$PATH; %s", full, command);
	status = bed_sh(s->bed, timeout_ms, out, cap, line);
	return status >= 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool station_package(struct compose_spec *spec)
{
	const struct phone_profile *profile = phone_profile_by_name(STATION_PROFILE);
	size_t n1 = phone_loader_size(profile, 1), n2 = phone_loader_size(profile, 2);
	uint8_t *fdl1 = malloc(n1), *fdl2 = malloc(n2);
	int fd = open(STATION_PACKAGE, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	uint64_t len;
	int r = -ENOMEM;

	if (fdl1 && fdl2 && fd >= 0) {
		spec->family = STATION_PROFILE;
		spec->fdl1_len = phone_make_loader(profile, 1, fdl1, n1);
		spec->fdl2_len = phone_make_loader(profile, 2, fdl2, n2);
		spec->fdl1 = fdl1;
		spec->fdl2 = fdl2;
		r = compose_write(spec, fd, &len);
	}
	if (fd >= 0)
		close(fd);
	free(fdl1);
	free(fdl2);
	if (r < 0)
		fprintf(stderr, "bench: the package could not be made: %s\n", strerror(-r));
	return r == 0;
}
