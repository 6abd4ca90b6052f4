/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * usage: guest SHARE              inside the machine, started by its service: the scenarios of this boot
 *        guest --packages DIR     on the host: makes the firmware packages that they use
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/system/guest.h"

struct scenario {
	const char *name;
	void (*run)(void);
};

static const struct scenario first_boot[] = {
	{ "up", machine_is_up },
	{ "install", package_is_installed },
	{ "plug", plug_starts_service },
	{ "flash", flash_passes },
};

int main(int argc, char **argv)
{
	char path[256];

	if (argc == 3 && !strcmp(argv[1], "--packages"))
		return make_packages(argv[2]);
	if (argc != 2)
		return 2;
	share = argv[1];
	boot = (unsigned int)strtoul(slurp("%s/boot", share), NULL, 10);
	snprintf(path, sizeof(path), "%s/tap", share);
	if (!freopen(path, "a", stdout))
		return 98;
	for (size_t i = 0; i < sizeof(first_boot) / sizeof(first_boot[0]); i++)
		first_boot[i].run();
	phones_free();
	return failed() ? 1 : 0;
}
