/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * usage: guest SHARE              inside the machine, started by its service: the scenarios of this boot
 *        guest --packages DIR     on the host: makes the firmware packages that they use
 *        guest --tsc              on the host: the frequency of its time stamp counter in kHz, nothing if it
 * has none
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/system/guest.h"

#define GOES_DOWN 100 /* the service's script: there is nothing left to say */

struct scenario {
	const char *name;
	void (*run)(void);
};

static const struct scenario first_boot[] = {
	{ "up", machine_is_up },
	{ "install", package_is_installed },
	{ "flash", flash_passes },
	{ "plug", plug_starts_service },
	{ "unplug", unplug_is_named },
	{ "return", returning_phone_passes },
	{ "eight", eight_at_once },
	{ "kick", running_phone_is_kicked },
	{ "port", ports_are_switched },
	{ "strangers", strangers_are_refused },
	{ "rule", rule_lets_in },
	{ "cancel", starter_may_cancel },
	{ "seat", seat_counts },
	{ "password", password_is_asked },
	{ "sandbox", sandbox_holds },
	{ "call", call_starts_service },
	{ "awake", machine_stays_awake },
	{ "level", log_level_is_set },
	{ "config", configuration_is_taken },
	{ "journal", journal_tells },
	{ "killed", killed_service_returns },
	{ "hung", hung_service_returns },
	{ "restart", restart_lets_job_end },
	{ "line", line_runs_by_itself },
	{ "upgrade", upgrade_lets_job_end },
	{ "keeps", upgrade_keeps_the_line },
	{ "power", power_is_cut },
};

static const struct scenario second_boot[] = {
	{ "up", machine_is_up },
	{ "install", package_is_installed },
	{ "interrupted", interruption_is_told },
	{ "owed", owed_nv_returns },
	{ "armed", power_cut_keeps_the_line },
	{ "modem", modem_manager_keeps_off },
	{ "removal", removal_waits_for_job },
	{ "reboot", reboot_lets_job_end },
};

/* The two that the others rest on, and those that the host names in a file, or all. */
static bool wanted(const char *name)
{
	const char *only = slurp("%s/only", share);

	return !*only || !strcmp(name, "up") || !strcmp(name, "install") || strstr(only, name);
}

static void run(const struct scenario *scenarios, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (wanted(scenarios[i].name))
			scenarios[i].run();
}

#ifdef __x86_64__
/* Counter and clock as of the same moment, or nearly. */
static void moment(uint64_t *counter, uint64_t *nsec)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < 200; i++) {
		struct timespec a, b;
		uint64_t c, from, took;

		clock_gettime(CLOCK_MONOTONIC_RAW, &a);
		c = __builtin_ia32_rdtsc();
		clock_gettime(CLOCK_MONOTONIC_RAW, &b);
		from = (uint64_t)a.tv_sec * 1000000000 + (uint64_t)a.tv_nsec;
		took = (uint64_t)b.tv_sec * 1000000000 + (uint64_t)b.tv_nsec - from;
		if (took < best) {
			best = took;
			*counter = c;
			*nsec = from + took / 2;
		}
	}
}
#endif

/*
 * The emulated processor counts with ours. A kernel that finds out for itself how fast that is may be wrong
 * by far when the emulator does not get its share just then, and lives in a time of its own ever after.
 */
static int tell_tsc(void)
{
#ifdef __x86_64__
	uint64_t counter[2], nsec[2];

	moment(&counter[0], &nsec[0]);
	rest(200);
	moment(&counter[1], &nsec[1]);
	printf("%" PRIu64 "\n",
	       (uint64_t)((double)(counter[1] - counter[0]) * 1e6 / (double)(nsec[1] - nsec[0])));
#endif
	return 0;
}

int main(int argc, char **argv)
{
	char path[256];

	if (argc == 3 && !strcmp(argv[1], "--packages"))
		return make_packages(argv[2]);
	if (argc == 2 && !strcmp(argv[1], "--tsc"))
		return tell_tsc();
	if (argc != 2)
		return 2;
	share = argv[1];
	boot = (unsigned int)strtoul(slurp("%s/boot", share), NULL, 10);
	snprintf(path, sizeof(path), "%s/tap", share);
	if (!freopen(path, "a", stdout))
		return 98;
	if (boot == 1)
		run(first_boot, sizeof(first_boot) / sizeof(first_boot[0]));
	else
		run(second_boot, sizeof(second_boot) / sizeof(second_boot[0]));
	phones_free();
	/* both boots end with the machine going down; with anything else something was amiss or left out */
	return failed() ? 1 : boot == 1 ? 0 : GOES_DOWN;
}
