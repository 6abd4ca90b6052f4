/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fdld: start, wire, run, stop. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bus/bus.h"
#include "common/journal.h"
#include "common/names.h"
#include "common/util.h"
#include "host/ending.h"
#include "host/files.h"
#include "host/hook.h"
#include "host/inhibit.h"
#include "host/log.h"
#include "host/logcontrol.h"
#include "host/metrics.h"
#include "host/notify.h"
#include "host/reload.h"
#include "host/renew.h"
#include "host/status.h"
#include "host/watchdog.h"
#include "loop/loop.h"
#include "station/config.h"
#include "station/station.h"

#define OVERRIDES_MAX 32

struct fdld {
	const char *address;
	const char *root; /* of the configuration */
	struct setting_override overrides[OVERRIDES_MAX];
	size_t override_count;
	struct station_config station_config;
	struct loop *loop;
	struct config *config;
	struct station *station;
	struct bus *bus;
	struct host_log *log;
	struct host_status *status;
	struct host_ending *ending;
	struct host_renew *renew;
	struct host_reload *reload;
	struct host_watchdog *watchdog;
	struct host_inhibit *inhibit;
	struct host_logcontrol *logcontrol;
	struct host_files *files;
	struct host_metrics *metrics;
	struct host_hook *hook;
};

static const char usage[] = "Usage: fdld [OPTIONS]\n"
			    "The Unisoc flashing service: owns " FDLD_BUS_NAME
			    " on D-Bus, works for its callers\n"
			    "(see fdlctl).\n"
			    "\n"
			    "  --bus=ADDRESS      D-Bus address; default: the system bus\n"
			    "  --session          the session bus\n"
			    "  --state-dir=DIR    jobs, backups; must exist and be ours; default:\n"
			    "                     $STATE_DIRECTORY, /var/lib/fdld\n"
			    "  --runtime-dir=DIR  what is known of each port; default: $RUNTIME_DIRECTORY,\n"
			    "                     /run/fdld\n"
			    "  --udev-tag=TAG     take only devices that a udev rule tagged so\n"
			    "  --keep=TIME        ended jobs stay on the bus this long; default: 30min\n"
			    "  --set=KEY=VALUE    any setting of fdld.conf(5), stronger than the files;\n"
			    "                     may be repeated\n"
			    "  --config-root=DIR  look for fdld.conf and its drop-ins below DIR\n"
			    "  -h, --help         this text\n"
			    "  -V, --version      version\n";

static void complain(const struct failure *why)
{
	char text[1024];

	fprintf(stderr, "fdld: %s\nfdld: %s\n", failure_text(why, text, sizeof(text)),
		error_entry(why->error)->remedy);
	host_notify_failed(why);
}

/* A setting on the command line. 0, or 2 as the exit code. */
static int override(struct fdld *fdld, enum setting_id id, const char *value)
{
	struct setting_override *o = &fdld->overrides[fdld->override_count];
	struct settings set;
	char reason[160];

	if (fdld->override_count == OVERRIDES_MAX) {
		fprintf(stderr, "fdld: more than %d settings on the command line\n", OVERRIDES_MAX);
		return 2;
	}
	if (setting_put(&set, id, value, reason, sizeof(reason)) < 0) {
		fprintf(stderr, "fdld: %s\n", reason);
		return 2;
	}
	o->id = id;
	snprintf(o->value, sizeof(o->value), "%s", value);
	fdld->override_count++;
	return 0;
}

static int override_named(struct fdld *fdld, const char *arg)
{
	const char *eq = strchr(arg, '=');
	char key[CONF_NAME_MAX * 2] = "";
	enum setting_id id;

	if (eq && (size_t)(eq - arg) < sizeof(key))
		memcpy(key, arg, (size_t)(eq - arg));
	id = setting_find(key);
	if (id == SETTING_NONE) {
		fprintf(stderr, "fdld: --set takes KEY=VALUE with a key of fdld.conf(5), not '%s'\n", arg);
		return 2;
	}
	return override(fdld, id, eq + 1);
}

/* 0: go on; else exit with code - 1. */
static int parse(struct fdld *fdld, int argc, char **argv)
{
	enum { OPT_BUS = 256, OPT_SESSION, OPT_STATE, OPT_RUNTIME, OPT_TAG, OPT_KEEP, OPT_SET, OPT_ROOT };
	static const struct option options[] = {
		{ "bus", required_argument, NULL, OPT_BUS },
		{ "session", no_argument, NULL, OPT_SESSION },
		{ "state-dir", required_argument, NULL, OPT_STATE },
		{ "runtime-dir", required_argument, NULL, OPT_RUNTIME },
		{ "udev-tag", required_argument, NULL, OPT_TAG },
		{ "keep", required_argument, NULL, OPT_KEEP },
		{ "set", required_argument, NULL, OPT_SET },
		{ "config-root", required_argument, NULL, OPT_ROOT },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	int c, bad = 0;

	while ((c = getopt_long(argc, argv, "hV", options, NULL)) != -1) {
		switch (c) {
		case OPT_BUS: fdld->address = optarg; break;
		case OPT_SESSION: fdld->address = "session"; break;
		case OPT_STATE: fdld->station_config.state_dir = optarg; break;
		case OPT_RUNTIME: fdld->station_config.runtime_dir = optarg; break;
		case OPT_TAG: bad = override(fdld, SETTING_UDEV_TAG, optarg); break;
		case OPT_KEEP: bad = override(fdld, SETTING_KEEP, optarg); break;
		case OPT_SET: bad = override_named(fdld, optarg); break;
		case OPT_ROOT: fdld->root = optarg; break;
		case 'h': fputs(usage, stdout); return 1;
		case 'V': puts("fdld " FDLD_VERSION); return 1;
		default: fputs("fdld: try --help\n", stderr); return 1 + 2;
		}
		if (bad)
			return 1 + bad;
	}
	if (optind < argc) {
		fprintf(stderr, "fdld: unexpected argument '%s'; try --help\n", argv[optind]);
		return 1 + 2;
	}
	return 0;
}

static void choose_directories(struct station_config *config)
{
	const char *state = secure_getenv("STATE_DIRECTORY");
	const char *runtime = secure_getenv("RUNTIME_DIRECTORY");

	if (!config->state_dir)
		config->state_dir = state ? state : "/var/lib/fdld";
	if (!config->runtime_dir)
		config->runtime_dir = runtime ? runtime : "/run/fdld";
	/* gone with each boot; whether it can be used is the station's to say */
	(void)mkdir(config->runtime_dir, 0711);
}

static void on_ready(void *user)
{
	struct fdld *fdld = user;
	struct failure why = { 0 };

	/* the name first: a second instance must not touch a phone */
	if (station_start(fdld->station, &why) < 0) {
		complain(&why);
		loop_quit(fdld->loop, error_entry(why.error)->exit_code);
		return;
	}
	journal_event(EVENT_SERVICE_STARTED, NULL, 0, "fdld " FDLD_VERSION " is ready on %s", fdld->address);
	host_notify_ready();
}

static void on_refused(void *user, const struct failure *why)
{
	struct fdld *fdld = user;

	complain(why);
	loop_quit(fdld->loop, error_entry(why->error)->exit_code);
}

/* what of the host lives on the same connection */
static int on_attach(void *user, sd_bus *conn)
{
	struct fdld *fdld = user;

	return host_logcontrol_attach(fdld->logcontrol, conn);
}

static void on_up(void *user, sd_bus *conn)
{
	struct fdld *fdld = user;

	host_inhibit_up(fdld->inhibit, conn);
	host_hook_up(fdld->hook, conn);
}

static void on_down(void *user)
{
	struct fdld *fdld = user;

	host_hook_down(fdld->hook);
	host_inhibit_down(fdld->inhibit);
	host_logcontrol_down(fdld->logcontrol);
}

static const struct bus_events bus_events = {
	.ready = on_ready, .refused = on_refused, .attach = on_attach, .up = on_up, .down = on_down
};

static int wire(struct fdld *fdld, struct failure *why)
{
	int r;

	fdld->loop = loop_new();
	if (!fdld->loop)
		return failure_set(why, ERR_INTERNAL, "no event loop");
	r = config_new(fdld->loop, fdld->root, fdld->overrides, fdld->override_count, &fdld->config, why);
	if (r < 0) {
		struct journal_field fields[JOURNAL_FAILURE_FIELDS];

		journal_event(EVENT_CONFIG_REJECTED, fields, journal_failure_fields(why, fields),
			      "the configuration is refused, fdld does not start: %s", why->detail);
		return r;
	}
	fdld->station_config.config = fdld->config;
	fdld->station_config.settings = &config_book(fdld->config)->set;
	r = station_new(fdld->loop, &fdld->station_config, &fdld->station, why);
	if (r < 0)
		return r;
	fdld->bus = bus_new(fdld->loop, fdld->station, fdld->address, &bus_events, fdld);
	fdld->log = host_log_new(fdld->loop, fdld->station);
	fdld->status = host_status_new(fdld->loop, fdld->station);
	fdld->ending = host_ending_new(fdld->loop, fdld->station);
	fdld->renew = host_renew_new(fdld->loop, fdld->station);
	fdld->reload = host_reload_new(fdld->loop, fdld->station);
	fdld->inhibit = host_inhibit_new(fdld->loop, fdld->station);
	fdld->logcontrol = host_logcontrol_new();
	fdld->files = host_files_new(fdld->loop, fdld->station_config.runtime_dir);
	if (fdld->files) {
		fdld->metrics = host_metrics_new(fdld->loop, fdld->station, fdld->files);
		fdld->hook = host_hook_new(fdld->station, fdld->files);
	}
	if (!fdld->bus || !fdld->log || !fdld->status || !fdld->ending || !fdld->renew || !fdld->reload ||
	    !fdld->inhibit || !fdld->logcontrol || !fdld->metrics || !fdld->hook ||
	    host_watchdog_new(fdld->loop, &fdld->watchdog) < 0)
		return failure_set(why, ERR_INTERNAL, "no memory");
	host_status_ask(fdld->status, fdld->ending, fdld->inhibit, fdld->renew);
	return 0;
}

static void unwire(struct fdld *fdld)
{
	host_watchdog_free(fdld->watchdog);
	host_status_free(fdld->status);
	host_reload_free(fdld->reload);
	host_renew_free(fdld->renew);
	host_ending_free(fdld->ending);
	/* what is left is short, and results on their way to disk are not torn off */
	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	host_files_settle(fdld->files);
	host_log_free(fdld->log);
	bus_stop(fdld->bus);
	host_hook_free(fdld->hook);
	host_metrics_free(fdld->metrics);
	host_files_free(fdld->files);
	host_inhibit_free(fdld->inhibit);
	host_logcontrol_free(fdld->logcontrol);
	station_free(fdld->station);
	config_free(fdld->config);
	bus_free(fdld->bus);
	loop_free(fdld->loop);
}

int main(int argc, char **argv)
{
	struct fdld fdld = { .address = "system" };
	struct failure why = { 0 };
	int r = parse(&fdld, argc, argv);

	if (r)
		return r - 1;
	umask(0077);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN); /* until there is something to reload */
	choose_directories(&fdld.station_config);
	if (wire(&fdld, &why) < 0) {
		complain(&why);
		r = error_entry(why.error)->exit_code;
	} else {
		bus_start(fdld.bus);
		r = loop_run(fdld.loop);
		if (r < 0) {
			failure_set(&why, ERR_INTERNAL, "the event loop failed: error %d", -r);
			complain(&why);
			r = error_entry(ERR_INTERNAL)->exit_code;
		}
	}
	unwire(&fdld);
	return r;
}
