/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A private dbus-daemon where programs look for the system bus.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bed/internal.h"

#define SOCKET_PATH "/run/dbus/system_bus_socket"
#define CONFIG_PATH "/run/dbus/bed.conf"

static const char open_policy[] =
	"  <policy context=\"default\">\n"
	"    <allow user=\"*\"/><allow own=\"*\"/>\n"
	"    <allow send_type=\"method_call\"/><allow send_type=\"signal\"/>\n"
	"    <allow send_requested_reply=\"true\" send_type=\"method_return\"/>\n"
	"    <allow send_requested_reply=\"true\" send_type=\"error\"/>\n"
	"    <allow receive_type=\"method_call\"/><allow receive_type=\"signal\"/>\n"
	"    <allow receive_type=\"method_return\"/><allow receive_type=\"error\"/>\n"
	"  </policy>\n";

static void write_config(const char *listen)
{
	char more[192] = "";

	/* from outside the user namespace our uid looks different on both sides of the socket */
	if (listen)
		snprintf(more, sizeof(more),
			 "  <listen>unix:path=%s</listen>\n  <auth>ANONYMOUS</auth>\n"
			 "  <allow_anonymous/>\n",
			 listen);
	bed_putf("/run/dbus", "bed.conf",
		 "<busconfig>\n  <listen>unix:path=" SOCKET_PATH
		 "</listen>\n  <auth>EXTERNAL</auth>\n%s%s</busconfig>\n",
		 more, open_policy);
}

static bool bus_is_up(void *arg)
{
	return access(SOCKET_PATH, F_OK) == 0;
}

pid_t bed_bus(struct bed *bed, const char *config, const char *listen)
{
	pid_t pid;

	if (!config)
		write_config(listen);
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		bed_die("fork");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* it says that it cannot raise its limit of descriptors, which nobody needs to know */
		if (!freopen("/run/dbus/bed.log", "a", stderr))
			_exit(126);
		execlp("dbus-daemon", "dbus-daemon", "--config-file", config ? config : CONFIG_PATH,
		       "--nofork", "--nopidfile", (char *)NULL);
		_exit(127);
	}
	bed->bus = pid;
	snprintf(bed->bus_listen, sizeof(bed->bus_listen), "%s", listen ? listen : "");
	if (!bed_run(bed, 5000, bus_is_up, NULL)) {
		errno = ETIMEDOUT;
		bed_die("dbus-daemon does not start (see /run/dbus/bed.log)");
	}
	return pid;
}

void bed_bus_stop(struct bed *bed)
{
	if (!bed->bus)
		return;
	kill(bed->bus, SIGTERM);
	waitpid(bed->bus, NULL, 0);
	bed->bus = 0;
	unlink(SOCKET_PATH);
	if (bed->bus_listen[0])
		unlink(bed->bus_listen);
}
